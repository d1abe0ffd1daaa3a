//! The comparison: all engines side by side, with counts and aims. See `docs/RESULTS.md`.

#![deny(unsafe_code)]

mod bars; // progress
mod children; // this program again, with a part of the work
mod collect; // collections, part by part
mod compare; // all parts, one after the other

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};

use benches::allocations::CountingAllocator;
use benches::collections::contenders::Structure;
use benches::collections::large;
use benches::files::Files;
use benches::marks::between_marks;
use benches::opening::{self, die_in_transaction};
use benches::race::{self, Times};
use benches::recovery;
use benches::silence::{make_a_call, silently};
use benches::survive;
use benches::system_calls;
use benches::task::{Message, Task};
use benches::work;
use benches::workload::{Durable, Places, Workload};
use clap::{Args, Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Measures what a transaction costs.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Action,
    /// Directory for the regions.
    #[arg(long, global = true, default_value = "/dev/shm")]
    dir: PathBuf,
    /// Directory for the files of those that wait for a disk, which should lie on one.
    #[arg(long, global = true, default_value = "/var/tmp")]
    disk: PathBuf,
    /// What a store needs to be durable, whatever the regions lie on.
    #[arg(long, global = true, value_enum, default_value = "page-cache")]
    domain: Durable,
}

#[derive(Subcommand)]
enum Action {
    /// Races all engines in both domains, counts, prints tables, and writes JSON and plots.
    Compare(compare::Options),
    /// Tries collections beside std's and beside peers: prints tables, and writes JSON and plots.
    Collections(collect::Options),
    /// Writes the tables and plots of a report on collections again.
    PlotCollections {
        /// The report, as `collections` has written it.
        json: PathBuf,
        /// Directory for them.
        #[arg(long)]
        out: PathBuf,
    },
    /// Draws the plots of a report again.
    Plot {
        /// The report, as `compare` has written it.
        json: PathBuf,
        /// Directory for the plots.
        #[arg(long)]
        out: PathBuf,
    },
    /// Runs one engine alone, for a profiler. Without a name, lists the engines.
    Run {
        workload: Workload,
        engine: Option<String>,
        #[command(flatten)]
        how: How,
    },
    /// Runs transactions without the right to make a system call; is killed if it makes one.
    Silent {
        workload: Workload,
        engine: String,
        /// Makes one, to see that it is caught.
        #[arg(long)]
        make_a_call: bool,
    },
    /// Makes some system calls between marks, for the tracer to count.
    #[command(hide = true)]
    Calls { count: usize },
    /// Does a part of a comparison, and says how it goes in lines of JSON.
    #[command(hide = true)]
    Task { json: String },
    /// Kills each engine's process, and checks that what it had acknowledged is there.
    Survive {
        /// Only these engines.
        #[arg(long)]
        engines: Vec<String>,
        /// Kills of each engine.
        #[arg(long, default_value_t = 20)]
        rounds: usize,
        /// Decides when they are killed.
        #[arg(long, default_value_t = 1997)]
        seed: u64,
        /// Also writes the table to this file, as JSON.
        #[arg(long)]
        json: Option<PathBuf>,
    },
    /// One step of that: fills, checks, or runs and tells after so many transactions.
    #[command(hide = true)]
    SurviveStep { engine: String, path: PathBuf, work: survive::Work },
    /// Opens a segment and is killed in the middle of a transaction.
    #[command(hide = true)]
    Die { path: PathBuf },
    /// Opens a map and is killed in the middle of a transaction.
    #[command(hide = true)]
    DieInMap { path: PathBuf, structure: Structure },
    /// Opens what an engine keeps in a directory, and is killed with so many bytes in its log.
    #[command(hide = true)]
    DieByEngine { dir: PathBuf, engine: String, bytes: u64 },
}

/// How one engine is run.
#[derive(Args)]
struct How {
    /// Number of transactions.
    #[arg(long, default_value_t = 1_000_000)]
    count: usize,
    /// Number of transactions before them.
    #[arg(long, default_value_t = 0)]
    warm_up: usize,
    /// Prints time and processor time per transaction.
    #[arg(long)]
    time: bool,
    /// Prints the instructions of all transactions, by the processor's counter.
    #[arg(long)]
    instructions: bool,
    /// Waits for a tracer.
    #[arg(long, hide = true)]
    traced: bool,
}

/// Transactions in the proof that there is no system call.
const SILENT_COUNT: usize = 100_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Arguments { command, dir, disk, domain } = Arguments::parse();
    match command {
        Action::Compare(options) => compare::compare(&dir, &disk, &options)?,
        Action::Collections(options) => collect::collect(&dir, &disk, &options)?,
        Action::PlotCollections { json, out } => {
            collect::again(&serde_json::from_slice(&std::fs::read(json)?)?, &out)?;
        }
        Action::Plot { json, out } => compare::plot(&serde_json::from_slice(&std::fs::read(json)?)?, &out)?,
        Action::Run { workload, engine: None, .. } => {
            let lineup = workload.lineup(&Places::new(&dir, &disk)?, domain, 1);
            lineup.entries.iter().for_each(|entry| println!("{}; survives: {}", entry.name, entry.level));
        }
        Action::Run { workload, engine: Some(engine), how } => {
            run(workload, domain, &engine, &how, &Places::new(&dir, &disk)?)?;
        }
        Action::Silent { workload, engine, make_a_call: makes_a_call } => {
            let places = Places::new(&dir, &disk)?;
            let (entry, _) = workload.contender(&places, domain, 2 * SILENT_COUNT, &engine);
            let mut runner = entry.make();
            drop((entry, places)); // The directories go now: nobody can remove them later.
            runner.run(0..SILENT_COUNT);
            silently(|| {
                runner.run(SILENT_COUNT..2 * SILENT_COUNT);
                if makes_a_call {
                    make_a_call();
                }
            });
        }
        Action::Survive { engines, rounds, seed, json } => {
            let program = std::env::current_exe()?;
            let survivors = survive::campaign(&program, &Files::new(&dir)?, &engines, rounds, seed);
            print!("{}", survive::table(&survivors));
            if let Some(path) = json {
                std::fs::write(path, serde_json::to_string_pretty(&survivors)?)?;
            }
            if !survivors.iter().all(survive::Survivor::is_as_said) {
                return Err("an engine is not at the level that it says".into());
            }
            if engines.is_empty() && !survivors.iter().any(survive::Survivor::is_caught) {
                return Err("nobody was caught, not even those who keep nothing".into());
            }
        }
        Action::SurviveStep { engine, path, work } => survive::step(&engine, &path, work),
        Action::Calls { count } => {
            system_calls::wait_for_tracer()?;
            make_calls(count);
        }
        Action::Task { json } => {
            let task: Task = serde_json::from_str(&json)?;
            let mut stdout = std::io::stdout();
            let mut say = |message: &Message| {
                let line = serde_json::to_string(message).expect("a message is plain data");
                if writeln!(stdout, "{line}").is_err() {
                    std::process::exit(1); // Whoever wanted to know is gone.
                }
            };
            task.run(&Places::new(&dir, &disk)?, &mut say);
        }
        Action::Die { path } => die_in_transaction(&path, opening::IN_FLIGHT_LEN)?,
        Action::DieInMap { path, structure } => large::die_in(structure, &path)?,
        Action::DieByEngine { dir, engine, bytes } => (recovery::patient(&engine).die)(&dir, bytes),
    }
    Ok(())
}

/// Runs one engine alone.
fn run(
    workload: Workload,
    durable: Durable,
    engine: &str,
    how: &How,
    places: &Places,
) -> Result<(), Box<dyn std::error::Error>> {
    if how.traced {
        system_calls::wait_for_tracer()?;
    }
    let all = how.warm_up + how.count;
    let (entry, digest) = workload.contender(places, durable, all, engine);
    // Before the engine is made: threads that it starts are counted too.
    let mut counter = how.instructions.then(work::hardware).transpose()?;
    let mut runner = entry.make();
    race::pin();
    runner.run(0..how.warm_up);
    counter.as_mut().map(|counter| counter.enable()).transpose()?;
    let times = Times::of(|| between_marks(|| runner.run(how.warm_up..all))).each(how.count);
    counter.as_mut().map(|counter| counter.disable()).transpose()?;
    race::check(runner.as_ref(), digest);
    if let Some(counter) = &mut counter {
        println!("{}", counter.read()?);
    }
    if how.time {
        println!(
            "{:.1} ns, {:.1} of processor, {:.1} of all threads'",
            times.wall, times.thread, times.process
        );
    }
    Ok(())
}

/// Makes so many system calls between the marks, half of them by another thread, and others before and behind.
fn make_calls(count: usize) {
    let calls = |count: usize| (0..count).for_each(|_| make_a_call());
    let stage = AtomicU8::new(0);
    // Without a system call, which a lock might make.
    let reach = |wanted: u8| {
        while stage.load(Ordering::Acquire) < wanted {
            std::hint::spin_loop();
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            stage.store(1, Ordering::Release);
            reach(2);
            calls(count / 2);
            stage.store(3, Ordering::Release);
            reach(4);
            calls(10);
        });
        reach(1);
        calls(10);
        between_marks(|| {
            stage.store(2, Ordering::Release);
            reach(3);
            calls(count - count / 2);
        });
        stage.store(4, Ordering::Release);
    });
}
