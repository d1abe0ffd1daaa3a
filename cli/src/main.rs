//! The `vista` command: it shows a segment, checks it, recovers it, keeps keys and values in one, and demonstrates that
//! it survives `kill -9`.
//!
//! One module per subcommand; each returns a [`Verdict`], which becomes the exit code, or a `Failure`, which
//! becomes one line on stderr. Start at `demo.rs`.

#![forbid(unsafe_code)]

mod demo; // a bank under kill -9
mod info; // what is in a segment
mod check; // whether a segment is sound
mod dump; // all of it: records, pages, values
mod recover; // rolling back and closing, for real
mod stress; // kills without end, on a bank or on maps
mod bench; // how fast this machine is
mod kv; // a store of keys and values
mod pages; // completions for shells, and man pages
mod look; // what info and check see: a segment in a private copy
mod usage; // a wrong command line, in one line
mod output; // lines on stdout, and numbers for people
mod paint; // colours, on a terminal
mod limit; // files that may not become as long as they would
mod failure; // what went wrong, where, and what to do

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::output::Verdict;
use crate::paint::{Paint, When};

const EXAMPLES: &str = "\
Examples:
  vista demo                         kill a process 20 times, and prove that nothing is lost or half done
  vista demo --crashes 100 --seed 7  more of it, with the same transfers and the same plan of kills each time
  vista demo --path /data/bank       on a file of your own, which is kept
  vista info /data/bank              what is in a segment: header, log, heap, root
  vista check /data/bank && echo ok  whether it is sound
  vista dump /data/bank --root       what its root holds, by the names of the fields
  vista recover /data/bank           roll back what had not committed, and close it
  vista stress --structure map       kill a process that changes maps, 100 times
  vista kv notes set ada countess    a store of keys and values; see vista kv --help
  vista bench --quick                how fast transactions are on this machine

Exit codes: 0 all is well; 1 an invariant is broken; 2 a file cannot be opened, or the command is wrong.";

/// Persistent memory with transactions: demonstrate it, look into it, check it, use it.
#[derive(Parser)]
#[command(name = "vista", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// When to use colours.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    color: When,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::Args),
    Info(info::Args),
    Check(check::Args),
    Dump(dump::Args),
    Recover(recover::Args),
    Stress(stress::Args),
    Bench(bench::Args),
    Kv(kv::Args),
    Completions(pages::Completions),
    #[command(hide = true)]
    Man(pages::Man),
    #[command(hide = true)]
    DemoWorker(demo::worker::Args),
}

impl Command {
    /// Whether a reader of JSON waits for what the command has to say.
    fn is_json(&self) -> bool {
        match self {
            Command::Demo(args) => args.json,
            Command::Info(args) => args.json,
            Command::Check(args) => args.json,
            Command::Dump(args) => args.json,
            Command::Recover(args) => args.json,
            Command::Stress(args) => args.json,
            Command::Bench(args) => args.json,
            Command::Kv(args) => args.json,
            Command::Completions(_) | Command::Man(_) | Command::DemoWorker(_) => false,
        }
    }
}

fn main() -> ExitCode {
    limit::let_writes_fail();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage::end(&error),
    };
    let paint = Paint::on_stdout(cli.color);
    let is_json = cli.command.is_json();
    let result = match cli.command {
        Command::Demo(args) => demo::run(&args),
        Command::Info(args) => info::run(&args),
        Command::Check(args) => check::run(&args, paint),
        Command::Dump(args) => dump::run(&args, paint),
        Command::Recover(args) => recover::run(&args, paint),
        Command::Stress(args) => stress::run(&args, paint),
        Command::Bench(args) => bench::run(&args, paint),
        Command::Kv(args) => kv::run(&args),
        Command::Completions(args) => pages::complete(&args),
        Command::Man(args) => pages::man(&args),
        Command::DemoWorker(args) => demo::worker::run(&args),
    };
    match result {
        Ok(Verdict::Good) => ExitCode::SUCCESS,
        Ok(Verdict::Bad) => ExitCode::FAILURE,
        Err(failure) => {
            failure.report(is_json);
            ExitCode::from(2)
        }
    }
}
