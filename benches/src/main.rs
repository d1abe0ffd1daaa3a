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
use benches::{debit_credit, heap, one_range, survive};
use clap::{Parser, Subcommand, ValueEnum};
use rio::Domain;
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
    /// What a store needs to be durable, whatever the regions lie on.
    #[arg(long, global = true, value_enum, default_value = "page-cache")]
    domain: Durable,
}

#[derive(Subcommand)]
enum Action {
    /// Races all engines in both domains, counts, and prints tables.
    Compare {
        /// Fewer and shorter rounds.
        #[arg(long)]
        quick: bool,
        /// Only these workloads, and only the races.
        #[arg(long, value_enum)]
        only: Vec<Workload>,
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
    /// Kills each engine's process, and checks that what it had acknowledged is there.
    Survive {
        /// Only these engines.
        #[arg(long)]
        engines: Vec<String>,
        /// Kills of each engine.
        #[arg(long, default_value_t = 20)]
        rounds: usize,
        /// Also writes the table to this file, as JSON.
        #[arg(long)]
        json: Option<PathBuf>,
    },
    /// One step of that. An interval of 0 checks, another one runs and tells after so many transactions.
    #[command(hide = true)]
    SurviveStep { engine: String, path: PathBuf, interval: u64 },
    /// Opens a segment and is killed in the middle of a transaction.
    #[command(hide = true)]
    Die { path: PathBuf },
}

/// A workload by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Workload {
    DebitCredit,
    DebitCreditHot,
    Range8,
    Range64,
    Range512,
    Range4k,
    Range64k,
    Range1m,
    AllocFree,
    AllocFreePopulated,
}

/// What a store needs to be durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Durable {
    PageCache,
    Adr,
}

impl Durable {
    fn domain(self) -> Domain {
        match self {
            Durable::PageCache => Domain::PageCache,
            Durable::Adr => Domain::Adr,
        }
    }
}

/// Seed of all workloads.
const SEED: u64 = 1997;
/// Transactions in the proof that there is no system call.
const SILENT_COUNT: usize = 100_000;
/// Accounts in the workload that stays in the caches.
const HOT_ACCOUNTS: u32 = 1000;

impl Workload {
    fn title(self) -> &'static str {
        match self {
            Workload::DebitCredit => "debit-credit, scale 5",
            Workload::DebitCreditHot => "debit-credit, 1,000 accounts of scale 5",
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
    fn entries(self, files: &Files, durable: Durable, count: usize) -> (Vec<Entry>, u64) {
        fn range<const N: usize>(files: &Files, durable: Durable, count: usize) -> (Vec<Entry>, u64) {
            let inputs = one_range::fills::<N>(SEED, count, ARRAY_LEN);
            let entries = match durable {
                Durable::PageCache => one_range::entries::<N>,
                Durable::Adr => one_range::entries_adr::<N>,
            };
            (entries(files, &inputs, ARRAY_LEN), one_range::model::<N>(&inputs, ARRAY_LEN))
        }
        match self {
            Workload::DebitCredit | Workload::DebitCreditHot => {
                let scale = Scale::default();
                let inputs = match self {
                    Workload::DebitCredit => debit_credit::transfers(scale, SEED, count),
                    _ => debit_credit::hot_transfers(scale, SEED, count, HOT_ACCOUNTS),
                };
                let entries = match durable {
                    Durable::PageCache => debit_credit::entries,
                    Durable::Adr => debit_credit::entries_adr,
                };
                (entries(files, &inputs, scale), debit_credit::model(scale, &inputs))
            }
            Workload::Range8 => range::<1>(files, durable, count),
            Workload::Range64 => range::<8>(files, durable, count),
            Workload::Range512 => range::<64>(files, durable, count),
            Workload::Range4k => range::<512>(files, durable, count),
            Workload::Range64k => range::<8192>(files, durable, count),
            Workload::Range1m => range::<131_072>(files, durable, count),
            Workload::AllocFree | Workload::AllocFreePopulated => {
                let inputs = heap::values(SEED, count);
                let has_population = self == Workload::AllocFreePopulated;
                let entries = heap::entries(files, &inputs, durable.domain(), has_population);
                (entries, heap::model(&inputs))
            }
        }
    }

    fn entry(self, files: &Files, durable: Durable, count: usize, name: &str) -> (Entry, u64) {
        let (entries, digest) = self.entries(files, durable, count);
        let names: Vec<_> = entries.iter().map(|entry| entry.name).collect();
        let entry = entries.into_iter().find(|entry| entry.name == name);
        (entry.unwrap_or_else(|| panic!("{name} is none of {names:?}")), digest)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Arguments { command, dir, domain } = Arguments::parse();
    match command {
        Action::Compare { quick, only, json } => {
            let report = compare(&dir, quick, &only)?;
            print!("{}", report.text());
            if let Some(path) = json {
                std::fs::write(path, serde_json::to_string_pretty(&report)?)?;
            }
        }
        Action::Run { workload, engine: None, .. } => {
            let (entries, _) = workload.entries(&Files::new(&dir)?, domain, 1);
            entries.iter().for_each(|entry| println!("{}", entry.name));
        }
        Action::Run { workload, engine: Some(engine), count, time } => {
            race::pin();
            let (entry, digest) = workload.entry(&Files::new(&dir)?, domain, count, &engine);
            let mut runner = entry.make();
            let nanos = race::thread_nanos(|| runner.run(0..count));
            race::check(runner.as_ref(), digest);
            if time {
                println!("{:.1} ns", nanos / count as f64);
            }
        }
        Action::Silent { workload, engine, make_a_call: makes_a_call } => {
            let files = Files::new(&dir)?;
            let (entry, _) = workload.entry(&files, domain, 2 * SILENT_COUNT, &engine);
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
        Action::Survive { engines, rounds, json } => {
            let program = std::env::current_exe()?;
            let survivors = survive::campaign(&program, &Files::new(&dir)?, &engines, rounds, SEED);
            print!("{}", survive::table(&survivors));
            if let Some(path) = json {
                std::fs::write(path, serde_json::to_string_pretty(&survivors)?)?;
            }
            if !survivors.iter().all(survive::Survivor::is_as_said) {
                return Err("an engine is not at the level that it says".into());
            }
        }
        Action::SurviveStep { engine, path, interval } => survive::step(&engine, &path, interval),
        Action::Die { path } => die_in_transaction(&path)?,
    }
    Ok(())
}

fn compare(dir: &Path, quick: bool, only: &[Workload]) -> Result<Report, Box<dyn std::error::Error>> {
    let processor = race::pin();
    let files = Files::new(dir)?;
    let adr = files.region(1 << 20, Setting::forced(Domain::Adr));
    let machine = Machine::here(dir, adr.write_back().to_string(), processor);
    drop(adr);

    let mut report = Report { machine, ..Report::default() };
    for durable in [Durable::PageCache, Durable::Adr] {
        for &workload in Workload::value_variants() {
            if only.is_empty() || only.contains(&workload) {
                report.races.push(run_race(workload, durable, &files, quick));
            }
        }
    }
    if !only.is_empty() {
        return Ok(report);
    }
    report.silent = SILENT
        .iter()
        .map(|&(workload, durable, engine)| {
            let name = format!("{}; {}: {engine}", workload.title(), durable.domain());
            eprintln!("without system calls: {name}");
            (name, is_silent(dir, workload, durable, engine, false))
        })
        .collect();
    let (workload, durable, engine) = SILENT[0];
    assert!(!is_silent(dir, workload, durable, engine, true), "a system call that is not caught");

    for mib in [16, 256, 1024, 4096] {
        eprintln!("opening: {mib} MiB");
        let kill = |path: &Path| run_until_killed(&["die".as_ref(), path.as_os_str()]);
        let times = if quick { 5 } else { 25 };
        report.openings.push(opening::measure(&files.path(), mib << 20, times, kill)?);
    }
    eprintln!("fragmentation");
    report.phases = fragmentation::measure(&files.path(), if quick { 16 << 20 } else { 64 << 20 })?;
    report.aims = aims(&report);
    Ok(report)
}

fn run_race(workload: Workload, durable: Durable, files: &Files, quick: bool) -> Race {
    let (title, domain) = (workload.title(), durable.domain());
    eprintln!("race: {title}; {domain}");
    let plan = if quick {
        Plan { rounds: 7, warm_up: 2, per_round: workload.per_round() / 4 }
    } else {
        Plan { rounds: 31, warm_up: 3, per_round: workload.per_round() }
    };
    let (entries, digest) = workload.entries(files, durable, plan.input_count());
    let results = race(&entries, plan, digest);
    Race {
        workload: title.to_owned(),
        domain: domain.to_string(),
        per_round: plan.per_round,
        rounds: plan.rounds,
        results,
    }
}

/// What is shown to run without a system call.
const SILENT: [(Workload, Durable, &str); 9] = [
    (Workload::DebitCredit, Durable::PageCache, "vista get_disjoint_mut"),
    (Workload::DebitCredit, Durable::PageCache, "vista get_mut"),
    (Workload::DebitCredit, Durable::PageCache, "vista write"),
    (Workload::DebitCredit, Durable::Adr, "vista get_disjoint_mut"),
    (Workload::DebitCredit, Durable::Adr, "vista write"),
    (Workload::Range8, Durable::PageCache, "vista"),
    (Workload::Range4k, Durable::PageCache, "vista"),
    (Workload::AllocFree, Durable::PageCache, "vista, one transaction"),
    (Workload::AllocFreePopulated, Durable::PageCache, "vista, two transactions"),
];

/// Runs this program again without the right to make a system call; whether it lives to say so.
fn is_silent(dir: &Path, workload: Workload, durable: Durable, engine: &str, makes_a_call: bool) -> bool {
    fn word(value: impl ValueEnum) -> String {
        value.to_possible_value().expect("a value that can be given").get_name().to_owned()
    }
    let program = std::env::current_exe().expect("the path of this program");
    let mut command = Command::new(program);
    command.args(["silent", &word(workload), engine, "--domain", &word(durable), "--dir"]).arg(dir);
    if makes_a_call {
        command.arg("--make-a-call");
    }
    let output = command.output().expect("this program runs");
    let killed = output.status.signal().is_some();
    assert!(killed || output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    !killed && output.stdout == b"."
}

fn aims(report: &Report) -> Vec<Aim> {
    let race = |workload: Workload, durable: Durable| {
        let domain = durable.domain().to_string();
        let is_it = |race: &&Race| race.workload == workload.title() && race.domain == domain;
        report.races.iter().find(is_it).expect("all workloads have been raced")
    };
    let mut aims = Vec::new();
    let mut aim = |what: String, limit, found| aims.push(Aim { what, limit, found });
    let mut times = |workload: Workload, durable: Durable, engine: &str, bound: &str, limit| {
        let race = race(workload, durable);
        let what = format!("{}; {}, {engine}: times the {bound}", race.workload, race.domain);
        aim(what, limit, ratio(race.result(engine), race.result(bound)));
    };
    for workload in [Workload::DebitCredit, Workload::DebitCreditHot] {
        for way in ["vista get_disjoint_mut", "vista get_mut"] {
            times(workload, Durable::PageCache, way, "bare stores", 2.0);
            times(workload, Durable::PageCache, way, "bare undo log", 1.3);
        }
    }
    times(Workload::Range8, Durable::PageCache, "vista", "bare stores", 2.0);
    times(Workload::Range64k, Durable::PageCache, "vista", "bare undo log", 1.2);
    for way in ["vista get_disjoint_mut", "vista write"] {
        times(Workload::DebitCredit, Durable::Adr, way, "bare undo log", 1.2);
    }
    times(Workload::Range64k, Durable::Adr, "vista", "bare undo log", 1.2);
    for way in ["vista get_disjoint_mut", "vista write"] {
        let fences = race(Workload::DebitCredit, Durable::Adr).result(way).costs.fences;
        aim(format!("debit-credit, scale 5; ADR, {way}: fences"), 3.0, fences);
    }
    if let [shortest, .., longest] = &report.openings[..] {
        let empty = longest.empty.median / shortest.empty.median;
        aim("opening 4 GiB, empty log: times 16 MiB".to_owned(), 1.5, empty);
        let in_flight = longest.in_flight.median / shortest.in_flight.median;
        aim("opening 4 GiB, 1 MiB in flight: times 16 MiB".to_owned(), 1.5, in_flight);
    }
    let results = report.races.iter().flat_map(|race| &race.results);
    let allocations = results.filter(|r| r.name.starts_with("vista")).map(|r| r.costs.allocations).sum();
    aim("volatile allocations per transaction, all of vista's".to_owned(), 0.0, allocations);
    let loud = report.silent.iter().filter(|(_, is_silent)| !is_silent).count();
    aim("contenders that made a system call".to_owned(), 0.0, loud as f64);
    aims
}
