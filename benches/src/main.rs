//! The comparison: all engines side by side, with counts and aims. See `docs/RESULTS.md`.

#![deny(unsafe_code)]

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use benches::allocations::CountingAllocator;
use benches::engine::Entry;
use benches::files::{Files, Setting};
use benches::fragmentation;
use benches::machine::Machine;
use benches::one_range::ARRAY_LEN;
use benches::opening::{self, die_in_transaction, run_until_killed};
use benches::race::{self, Plan, race, ratio};
use benches::report::{Aim, Race, Report};
use benches::silence::{make_a_call, silently};
use benches::{debit_credit, heap, one_range};
use clap::{Parser, Subcommand, ValueEnum};
use workloads::Scale;

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
}

#[derive(Subcommand)]
enum Action {
    /// Races all engines, counts, and prints tables.
    Compare {
        /// Fewer and shorter rounds.
        #[arg(long)]
        quick: bool,
        /// Also writes everything to this file.
        #[arg(long)]
        json: Option<PathBuf>,
    },
    /// Runs one engine alone, for a profiler. Without a name, lists the engines.
    Run {
        workload: Workload,
        engine: Option<String>,
        /// Number of transactions.
        #[arg(long, default_value_t = 1_000_000)]
        count: usize,
        /// Processor time per transaction, rather than nothing, is printed.
        #[arg(long)]
        time: bool,
    },
    /// Runs transactions without the right to make a system call; is killed if it makes one.
    Silent {
        workload: Workload,
        engine: String,
        /// Makes one, to see that it is caught.
        #[arg(long)]
        make_a_call: bool,
    },
    /// Opens a segment and is killed in the middle of a transaction.
    #[command(hide = true)]
    Die { path: PathBuf },
}

/// A workload by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Workload {
    DebitCredit,
    Range8,
    Range64,
    Range512,
    Range4k,
    Range64k,
    Range1m,
    AllocFree,
    AllocFreePopulated,
}

/// Seed of all workloads.
const SEED: u64 = 1997;
/// Transactions in the proof that there is no system call.
const SILENT_COUNT: usize = 100_000;

impl Workload {
    fn title(self) -> &'static str {
        match self {
            Workload::DebitCredit => "debit-credit, scale 5",
            Workload::Range8 => "one range of 8 B",
            Workload::Range64 => "one range of 64 B",
            Workload::Range512 => "one range of 512 B",
            Workload::Range4k => "one range of 4 KiB",
            Workload::Range64k => "one range of 64 KiB",
            Workload::Range1m => "one range of 1 MiB",
            Workload::AllocFree => "alloc and free of 64 B",
            Workload::AllocFreePopulated => "alloc and free of 64 B, the oldest of 10,000",
        }
    }

    /// Transactions in a round of some milliseconds.
    fn per_round(self) -> usize {
        match self {
            Workload::Range512 => 50_000,
            Workload::Range4k => 10_000,
            Workload::Range64k => 500,
            Workload::Range1m => 32,
            _ => 100_000,
        }
    }

    /// The engines, with so many inputs, and the digest that they must have in the end.
    fn entries(self, files: &Files, count: usize) -> (Vec<Entry>, u64) {
        fn range<const N: usize>(files: &Files, count: usize) -> (Vec<Entry>, u64) {
            let inputs = one_range::fills::<N>(SEED, count, ARRAY_LEN);
            (one_range::entries::<N>(files, &inputs, ARRAY_LEN), one_range::model::<N>(&inputs, ARRAY_LEN))
        }
        match self {
            Workload::DebitCredit => {
                let scale = Scale::default();
                let inputs = debit_credit::transfers(scale, SEED, count);
                (debit_credit::entries(files, &inputs, scale), debit_credit::model(scale, &inputs))
            }
            Workload::Range8 => range::<1>(files, count),
            Workload::Range64 => range::<8>(files, count),
            Workload::Range512 => range::<64>(files, count),
            Workload::Range4k => range::<512>(files, count),
            Workload::Range64k => range::<8192>(files, count),
            Workload::Range1m => range::<131_072>(files, count),
            Workload::AllocFree | Workload::AllocFreePopulated => {
                let inputs = heap::values(SEED, count);
                let has_population = self == Workload::AllocFreePopulated;
                (heap::entries(files, &inputs, has_population), heap::model(&inputs))
            }
        }
    }

    fn entry(self, files: &Files, count: usize, name: &str) -> (Entry, u64) {
        let (entries, digest) = self.entries(files, count);
        let names: Vec<_> = entries.iter().map(|entry| entry.name).collect();
        let entry = entries.into_iter().find(|entry| entry.name == name);
        (entry.unwrap_or_else(|| panic!("{name} is none of {names:?}")), digest)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Arguments { command, dir } = Arguments::parse();
    match command {
        Action::Compare { quick, json } => {
            let report = compare(&dir, quick)?;
            print!("{}", report.text());
            if let Some(path) = json {
                std::fs::write(path, serde_json::to_string_pretty(&report)?)?;
            }
        }
        Action::Run { workload, engine: None, .. } => {
            let (entries, _) = workload.entries(&Files::new(&dir)?, 1);
            entries.iter().for_each(|entry| println!("{}", entry.name));
        }
        Action::Run { workload, engine: Some(engine), count, time } => {
            race::pin();
            let (entry, digest) = workload.entry(&Files::new(&dir)?, count, &engine);
            let mut runner = entry.make();
            let nanos = race::thread_nanos(|| runner.run(0..count));
            race::check(runner.as_ref(), digest);
            if time {
                println!("{:.1} ns", nanos / count as f64);
            }
        }
        Action::Silent { workload, engine, make_a_call: makes_a_call } => {
            let files = Files::new(&dir)?;
            let (entry, _) = workload.entry(&files, 2 * SILENT_COUNT, &engine);
            let mut runner = entry.make();
            drop((entry, files)); // The directory goes now: nobody can remove it later.
            runner.run(0..SILENT_COUNT);
            silently(|| {
                runner.run(SILENT_COUNT..2 * SILENT_COUNT);
                if makes_a_call {
                    make_a_call();
                }
            });
        }
        Action::Die { path } => die_in_transaction(&path)?,
    }
    Ok(())
}

fn compare(dir: &Path, quick: bool) -> Result<Report, Box<dyn std::error::Error>> {
    race::pin();
    let files = Files::new(dir)?;
    let adr = files.region(1 << 20, Setting::forced(rio::Domain::Adr));
    let machine = Machine::here(dir, adr.write_back().to_string());
    drop(adr);

    let races: Vec<_> = Workload::value_variants().iter().map(|&w| run_race(w, &files, quick)).collect();

    let silent = [
        (Workload::DebitCredit, "vista get_disjoint_mut"),
        (Workload::DebitCredit, "vista get_mut"),
        (Workload::DebitCredit, "vista get_disjoint_mut, ADR"),
        (Workload::DebitCredit, "vista write, ADR"),
        (Workload::Range8, "vista"),
        (Workload::AllocFree, "vista, one transaction"),
        (Workload::AllocFreePopulated, "vista, two transactions"),
    ];
    let silent: Vec<_> = silent
        .iter()
        .map(|&(workload, engine)| {
            eprintln!("without system calls: {}, {engine}", workload.title());
            (format!("{}: {engine}", workload.title()), is_silent(dir, workload, engine, false))
        })
        .collect();
    assert!(!is_silent(dir, Workload::Range8, "vista", true), "a system call that is not caught");

    let mut openings = Vec::new();
    for mib in [16, 256, 1024, 4096] {
        eprintln!("opening: {mib} MiB");
        let kill = |path: &Path| run_until_killed(&["die".as_ref(), path.as_os_str()]);
        openings.push(opening::measure(&files.path(), mib << 20, if quick { 5 } else { 25 }, kill)?);
    }
    eprintln!("fragmentation");
    let phases = fragmentation::measure(&files.path(), if quick { 16 << 20 } else { 64 << 20 })?;

    let mut report = Report { machine, races, silent, openings, phases, aims: Vec::new() };
    report.aims = aims(&report);
    Ok(report)
}

fn run_race(workload: Workload, files: &Files, quick: bool) -> Race {
    eprintln!("race: {}", workload.title());
    let plan = if quick {
        Plan { rounds: 7, warm_up: 2, per_round: workload.per_round() / 4 }
    } else {
        Plan { rounds: 31, warm_up: 3, per_round: workload.per_round() }
    };
    let (entries, digest) = workload.entries(files, plan.input_count());
    let results = race(&entries, plan, digest);
    Race { workload: workload.title().to_owned(), per_round: plan.per_round, rounds: plan.rounds, results }
}

/// Runs this program again without the right to make a system call; whether it lives to say so.
fn is_silent(dir: &Path, workload: Workload, engine: &str, makes_a_call: bool) -> bool {
    let program = std::env::current_exe().expect("the path of this program");
    let mut command = Command::new(program);
    let name = workload.to_possible_value().expect("a workload has a name");
    command.args(["silent", name.get_name(), engine, "--dir"]).arg(dir);
    if makes_a_call {
        command.arg("--make-a-call");
    }
    let output = command.output().expect("this program runs");
    let killed = output.status.signal().is_some();
    assert!(killed || output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    !killed && output.stdout == b"."
}

fn aims(report: &Report) -> Vec<Aim> {
    let race = |workload: Workload| {
        let found = report.races.iter().find(|race| race.workload == workload.title());
        found.expect("all workloads have been raced")
    };
    let ratio_in = |workload, result: &str, bound: &str| {
        let race = race(workload);
        ratio(race.result(result), race.result(bound))
    };
    let aim = |what: &str, limit, found| Aim { what: what.to_owned(), limit, found };
    let mut aims = Vec::new();
    for way in ["vista get_disjoint_mut", "vista get_mut"] {
        let what = |bound| format!("debit-credit, {way}: times the {bound}");
        let stores = ratio_in(Workload::DebitCredit, way, "bare stores");
        aims.push(aim(&what("bare stores"), 2.0, stores));
        let log = ratio_in(Workload::DebitCredit, way, "bare undo log");
        aims.push(aim(&what("bare undo log"), 1.3, log));
    }
    let small = ratio_in(Workload::Range8, "vista", "bare stores");
    aims.push(aim("one range of 8 B: times the bare store", 2.0, small));
    for (engine, bound) in [
        ("vista", "bare undo log"),
        ("vista, log of 2 MiB", "bare undo log"),
        ("vista, ADR, log of 2 MiB", "bare undo log, ADR"),
    ] {
        let found = ratio_in(Workload::Range64k, engine, bound);
        aims.push(aim(&format!("one range of 64 KiB, {engine}: times the {bound}"), 1.2, found));
    }
    for way in ["vista get_disjoint_mut, ADR", "vista write, ADR"] {
        let found = ratio_in(Workload::DebitCredit, way, "bare undo log, ADR");
        aims.push(aim(&format!("debit-credit, {way}: times the bare undo log"), 1.2, found));
        let fences = race(Workload::DebitCredit).result(way).costs.fences;
        aims.push(aim(&format!("debit-credit, {way}: fences"), 3.0, fences));
    }
    let [shortest, .., longest] = &report.openings[..] else { return aims };
    let empty = longest.empty.median / shortest.empty.median;
    aims.push(aim("opening 4 GiB, empty log: times 16 MiB", 1.5, empty));
    let in_flight = longest.in_flight.median / shortest.in_flight.median;
    aims.push(aim("opening 4 GiB, 1 MiB in flight: times 16 MiB", 1.5, in_flight));
    let steady = report.races.iter().flat_map(|race| &race.results);
    let steady = steady.filter(|result| result.name.starts_with("vista"));
    aims.push(aim("volatile allocations per transaction", 0.0, steady.map(|r| r.costs.allocations).sum()));
    let loud = report.silent.iter().filter(|(_, is_silent)| !is_silent).count();
    aims.push(aim("contenders that made a system call", 0.0, loud as f64));
    aims
}
