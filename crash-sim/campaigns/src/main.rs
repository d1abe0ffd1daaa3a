//! The command of the campaigns: `run`, `plants`, `mutants`, `kill`, `speed`; over lrvm `lrvm`,
//! `lrvm-plants`, `lrvm-kill`, and `disk`. Start at [`main`].

mod crew; // many tasks on a few threads
mod disk; // lrvm on a simulated disk
mod lrvm; // the redo log, crashed everywhere
mod lrvm_kill; // and killed, on files
mod lrvm_plants; // and with its mistakes
mod kill; // real processes, thousands of times
mod mutants; // each event left out
mod plants; // each deliberate mistake looked for
mod run; // everything
mod speed; // figures

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Crash campaigns over vista.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Crashes every scenario everywhere: all models and domains, seen by the seam and by the machine.
    Run(run::Arguments),
    /// Crashes lrvm on Rio everywhere.
    Lrvm(lrvm::Arguments),
    /// Builds lrvm with its deliberate mistakes, and prints which tool finds which.
    LrvmPlants(lrvm_plants::Arguments),
    /// Looks for one plant of lrvm; in a build that has them.
    #[command(hide = true)]
    LrvmPlant(lrvm_plants::One),
    /// Kills processes that run transfers on lrvm, on files.
    LrvmKill(lrvm_kill::Arguments),
    /// Is killed.
    #[command(hide = true)]
    LrvmChild(lrvm_kill::Child),
    /// Builds vista with its deliberate mistakes, and prints which tool finds which.
    Plants(plants::Arguments),
    /// Looks for one plant; in a build that has them.
    #[command(hide = true)]
    Plant(plants::One),
    /// Leaves out each store, write-back and fence in turn, and prints those that nobody misses.
    Mutants(mutants::Arguments),
    /// Kills real processes.
    Kill(kill::Arguments),
    /// Crashes lrvm on a simulated disk, and lets every write and sync fail.
    Disk(disk::Arguments),
    /// Measures how quick all of this is.
    Speed,
}

fn main() -> ExitCode {
    let is_ok = match Arguments::parse().command {
        Command::Run(arguments) => run::main(&arguments),
        Command::Lrvm(arguments) => lrvm::main(&arguments),
        Command::LrvmPlants(arguments) => lrvm_plants::main(&arguments),
        Command::LrvmPlant(one) => lrvm_plants::one(&one),
        Command::LrvmKill(arguments) => lrvm_kill::main(&arguments),
        Command::LrvmChild(child) => lrvm_kill::child(&child),
        Command::Plants(arguments) => plants::main(&arguments),
        Command::Plant(one) => plants::one(&one),
        Command::Mutants(arguments) => mutants::main(&arguments),
        Command::Kill(arguments) => kill::main(&arguments),
        Command::Disk(arguments) => disk::main(&arguments),
        Command::Speed => speed::main(),
    };
    if is_ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
