//! The comparison: all parts, one after the other, each in a process of its own.
//!
//! What fails is written down, and the rest goes on. Start at [`compare`].

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use benches::files::{Files, Setting};
use benches::machine::{self, Machine};
use benches::plots;
use benches::race;
use benches::recovery::PATIENTS;
use benches::report::{Race, Report};
use benches::task::{Finding, Stopped, Task};
use benches::work::Counter;
use benches::workload::{self, Durable, Places, Workload};
use clap::{Args, ValueEnum};
use rio::Domain;

use crate::bars::Bars;
use crate::children::Nursery;

/// What is compared, and where it is written.
#[derive(Args)]
pub(crate) struct Options {
    /// Fewer and shorter rounds, less data: some minutes.
    #[arg(long)]
    quick: bool,
    /// Only these workloads, and only their races.
    #[arg(long, value_enum)]
    only: Vec<Workload>,
    /// Directory for report.json and the plots: `docs/results` if everything is compared, else `target/results`.
    #[arg(long)]
    out: Option<PathBuf>,
    /// The longest data, in MiB: 8192, or 256 if it has to be quick. Less, where memory does not reach.
    #[arg(long)]
    longest: Option<u64>,
}

impl Options {
    fn is_whole(&self) -> bool {
        self.only.is_empty()
    }

    fn out(&self) -> &Path {
        let default = if self.is_whole() && !self.quick { "docs/results" } else { "target/results" };
        self.out.as_deref().unwrap_or(Path::new(default))
    }

    /// Lengths of data in bytes.
    fn lengths(&self) -> impl Iterator<Item = u64> {
        let longest = self.longest.unwrap_or(if self.quick { 256 } else { 8192 });
        let step = if self.quick { 4 } else { 2 };
        (0..64)
            .step_by(step)
            .map(|power| 1 << power)
            .chain([8192])
            .filter(move |&mib| mib <= longest)
            .map(|mib| mib << 20)
    }

    /// Whether instructions and system calls of this workload are counted.
    fn has_work(&self, workload: Workload) -> bool {
        let is_short = matches!(workload, Workload::DebitCredit | Workload::Range8);
        if self.quick { is_short } else { !matches!(workload, Workload::Range64k | Workload::Range1m) }
    }
}

/// Compares, prints, and writes. An error is one of the report itself; what fails in it is a line of it.
pub(crate) fn compare(dir: &Path, disk: &Path, options: &Options) -> Result<(), Box<dyn Error>> {
    let out = options.out();
    fs::create_dir_all(out)?; // Before the work, rather than behind it.
    let mut report = Report { machine: machine(dir, disk)?, counter: Counter::here(), ..Report::default() };
    let mut run = Run { nursery: Nursery::new(dir, disk), bars: Bars::new(), report: &mut report };
    let tasks = run.tasks(dir, disk, options)?;
    run.bars.whole.set_length(tasks.len() as u64);
    for task in tasks {
        run.bars.begin(&task.title());
        run.task(task, options);
        run.bars.whole.inc(1);
    }
    if options.is_whole() {
        run.silence();
    }
    run.bars.end();
    report.judge();
    print!("{}", report.text());
    fs::write(out.join("report.json"), serde_json::to_string_pretty(&report)?)?;
    plot(&report, out)
}

/// Draws the plots.
pub(crate) fn plot(report: &Report, out: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(out)?;
    for (name, svg) in plots::all(report)? {
        fs::write(out.join(name), svg)?;
    }
    eprintln!("written to {}", out.display());
    Ok(())
}

pub(crate) fn machine(dir: &Path, disk: &Path) -> Result<Machine, Box<dyn Error>> {
    let adr = Files::new(dir)?.region(1 << 20, Setting::forced(Domain::Adr));
    Ok(Machine::here(dir, disk, adr.write_back().to_string(), race::last_processor()))
}

/// A comparison on its way.
struct Run<'a> {
    nursery: Nursery,
    bars: Bars,
    report: &'a mut Report,
}

impl Run<'_> {
    /// All that is to be done, but what there is no room for.
    fn tasks(&mut self, dir: &Path, disk: &Path, options: &Options) -> Result<Vec<Task>, Box<dyn Error>> {
        let is_quick = options.quick;
        let mut tasks = Vec::new();
        for &durable in Durable::value_variants() {
            for &workload in Workload::value_variants() {
                if options.is_whole() || options.only.contains(&workload) {
                    tasks.push(Task::Race { workload, durable, is_quick, without: Vec::new() });
                }
            }
        }
        if !options.is_whole() {
            return Ok(tasks);
        }
        let room = machine::room(dir);
        for bytes in options.lengths() {
            // The data, as much again in eight for the heap and what the process needs besides, and some for the system.
            if bytes + bytes / 8 + (256 << 20) > room {
                let (mib, room) = (bytes >> 20, room >> 20);
                self.report.left_out.push(format!("data of {mib} MiB: there is room for {room} MiB"));
                continue;
            }
            for name in workload::growing(&Places::new(dir, disk)?) {
                tasks.push(Task::Growth { name: name.to_owned(), bytes, is_quick });
            }
        }
        let logs = [4 << 10, 64 << 10, 1 << 20, 16 << 20, 64 << 20, 256 << 20];
        for patient in PATIENTS {
            for &log_bytes in &logs[..if is_quick { 4 } else { 6 }] {
                let times = if is_quick { 3 } else { 9 };
                tasks.push(Task::Recovery { name: patient.name.to_owned(), log_bytes, times });
            }
        }
        for mib in [16, 256, 1024, 4096] {
            tasks.push(Task::Opening { mib, times: if is_quick { 5 } else { 25 } });
        }
        tasks.push(Task::Fragmentation { bytes: if is_quick { 16 << 20 } else { 64 << 20 } });
        Ok(tasks)
    }

    fn task(&mut self, task: Task, options: &Options) {
        if let Task::Race { workload, durable, is_quick, .. } = task {
            self.race(workload, durable, is_quick, options);
            return;
        }
        let bars = &self.bars;
        match self.nursery.run(&task, &mut |turn| bars.turn(turn)) {
            Ok(Finding::Race(race)) => self.report.races.push(race),
            Ok(Finding::Growth(growth)) => self.report.growth.push(growth),
            Ok(Finding::Recovery(recovery)) => self.report.recoveries.push(recovery),
            Ok(Finding::Opening(opening)) => self.report.openings.push(opening),
            Ok(Finding::Phases(phases)) => self.report.phases = phases,
            Ok(Finding::Trial(_) | Finding::Load(_) | Finding::LargeMap(_)) => {
                self.failed(&task.title(), "it found something else");
            }
            Err(stopped) => self.failed(&task.title(), &stopped.reason),
        }
    }

    /// A race. Whoever takes its process down is out, and the others begin anew.
    fn race(&mut self, workload: Workload, durable: Durable, is_quick: bool, options: &Options) {
        let mut fallen = Vec::new();
        loop {
            let without = fallen.iter().map(|standing: &race::Standing| standing.name.clone()).collect();
            let task = Task::Race { workload, durable, is_quick, without };
            let bars = &self.bars;
            let stopped = match self.nursery.run(&task, &mut |turn| bars.turn(turn)) {
                Ok(Finding::Race(mut race)) => {
                    race.results.extend(fallen);
                    self.note_failures(&race);
                    if options.has_work(workload) {
                        self.work(&mut race, workload, durable);
                    }
                    self.report.races.push(race);
                    return;
                }
                Ok(_) => Stopped { turn: None, reason: "it found something else".to_owned() },
                Err(stopped) => stopped,
            };
            match stopped.standing() {
                Some(standing) if fallen.iter().all(|other| other.name != standing.name) => {
                    fallen.push(standing)
                }
                _ => return self.failed(&task.title(), &stopped.reason),
            }
        }
    }

    fn note_failures(&mut self, race: &Race) {
        for standing in &race.results {
            if let Err(reason) = &standing.outcome {
                self.failed(&format!("{}; {}: {}", race.workload, race.domain, standing.name), reason);
            }
        }
    }

    /// Counts the instructions and system calls of everybody who has not failed.
    fn work(&mut self, race: &mut Race, workload: Workload, durable: Durable) {
        let counter = self.report.counter;
        for standing in &mut race.results {
            let Ok(outcome) = &mut standing.outcome else { continue };
            self.bars.step(&format!("{}: instructions and system calls", standing.name));
            let count = outcome.per_round.min(10_000);
            match self.nursery.work(workload, durable, &standing.name, counter, count) {
                Ok(work) => outcome.work = Some(work),
                Err(error) => {
                    self.failed(&format!("{}: {}, counted", race.workload, standing.name), &error.to_string())
                }
            }
        }
    }

    /// Shows that transactions make no system call, and that one would be seen.
    fn silence(&mut self) {
        self.bars.begin("without the right to make a system call");
        for (index, (workload, durable, engine)) in SILENT.into_iter().enumerate() {
            let name = format!("{}; {}: {engine}", workload.title(), durable.domain());
            match self.nursery.is_silent(workload, durable, engine, false) {
                Ok(is_silent) => self.report.silent.push((name.clone(), is_silent)),
                Err(error) => self.failed(&name, &error.to_string()),
            }
            if index == 0
                && !self.nursery.is_silent(workload, durable, engine, true).is_ok_and(|is_silent| !is_silent)
            {
                self.failed(&name, "a system call that is not caught");
            }
        }
    }

    fn failed(&mut self, what: &str, reason: &str) {
        let line = format!("{what}: {reason}");
        self.bars.print(&format!("FAILED: {line}"));
        self.report.failures.push(line);
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
