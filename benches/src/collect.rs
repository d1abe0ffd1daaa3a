//! Collections on trial: every part in a process of its own, as in a comparison.
//!
//! What fails is written down, and the rest goes on. Start at [`collect`].

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use benches::collections::contenders::{Family, Structure};
use benches::collections::keys::Order;
use benches::collections::load::{Cargo, Load, PAIRS};
use benches::collections::report::{Report, Trial, count_text};
use benches::collections::subject::RANGE_LEN;
use benches::machine;
use benches::plots;
use benches::task::{Finding, Stopped, Task};
use clap::Args;

use crate::bars::Bars;
use crate::children::Nursery;
use crate::compare::machine;

/// What is tried, and where it is written.
#[derive(Args)]
pub(crate) struct Options {
    /// Fewer and shorter rounds, fewer entries: some minutes.
    #[arg(long)]
    quick: bool,
    /// Numbers of entries, separated by commas: 1000 to 10000000, or to 1000000 if it has to be quick.
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u64).range(RANGE_LEN as u64..))]
    sizes: Vec<u64>,
    /// Only these collections, without bulk loads and openings of maps that are none of them.
    #[arg(long, value_enum)]
    only: Vec<Structure>,
    /// Prints JSON instead of tables.
    #[arg(long)]
    json: bool,
    /// Directory for report.json, tables.md and the plots.
    #[arg(long, default_value = "target/results/collections")]
    out: PathBuf,
    /// Length of the segment whose map is opened, in MiB.
    #[arg(long, default_value_t = 1024)]
    opened: u64,
    /// Pairs of the bulk load.
    #[arg(long, default_value_t = PAIRS)]
    pairs: u64,
}

impl Options {
    fn wants(&self, structure: Structure) -> bool {
        self.only.is_empty() || self.only.contains(&structure)
    }

    fn sizes(&self) -> Vec<u64> {
        match (&self.sizes[..], self.quick) {
            ([], true) => vec![1000, 10_000, 100_000, 1_000_000],
            ([], false) => vec![1000, 10_000, 100_000, 1_000_000, 10_000_000],
            (sizes, _) => sizes.to_vec(),
        }
    }

    /// All that is to be done, and what there is no room for.
    fn tasks(&self, dir: &Path) -> (Vec<Task>, Vec<String>) {
        let (mut tasks, mut left_out) = (Vec::new(), Vec::new());
        let room = machine::room(dir);
        let structures = &self.only;
        for family in Family::ALL {
            let has_any = [Structure::Hash, Structure::Btree, Structure::Vec, Structure::Deque]
                .into_iter()
                .any(|structure| structure.family() == family && self.wants(structure));
            if !has_any {
                continue;
            }
            for entries in self.sizes() {
                let each = if family == Family::Maps { MAP_BYTES } else { SEQUENCE_BYTES };
                let bytes = entries * each + (1 << 30);
                for order in [Order::Random, Order::Sequential] {
                    let task = Task::Trial {
                        family,
                        structures: structures.clone(),
                        order,
                        entries,
                        is_quick: self.quick,
                        without: Vec::new(),
                    };
                    if bytes > room {
                        let (need, room) = (bytes >> 20, room >> 20);
                        left_out.push(format!("{}: it takes {need} MiB of {room}", task.title()));
                    } else {
                        tasks.push(task);
                    }
                }
            }
        }
        let maps: Vec<_> =
            [Structure::Hash, Structure::Btree].into_iter().filter(|&map| self.wants(map)).collect();
        if maps.is_empty() {
            return (tasks, left_out);
        }
        let orders: &[Order] =
            if self.quick { &[Order::Random] } else { &[Order::Random, Order::Sequential] };
        for &order in orders {
            for batch in [1000, self.pairs as usize] {
                let cargo = Cargo { pairs: self.pairs, order, batch };
                let (structures, without) = (structures.clone(), Vec::new());
                tasks.push(Task::Load { cargo, structures, rounds: if self.quick { 3 } else { 5 }, without });
            }
        }
        for structure in maps {
            let times = if self.quick { 5 } else { 25 };
            tasks.push(Task::LargeMap { structure, mib: self.opened, times });
        }
        (tasks, left_out)
    }
}

/// Bytes that all maps together take of an entry, ample.
const MAP_BYTES: u64 = 1200;
/// The same of the others.
const SEQUENCE_BYTES: u64 = 64;

/// Tries, prints, and writes. An error is one of the report itself; what fails in it is a line of it.
pub(crate) fn collect(dir: &Path, disk: &Path, options: &Options) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(&options.out)?; // Before the work, rather than behind it.
    let (tasks, left_out) = options.tasks(dir);
    let mut report = Report { machine: machine(dir, disk)?, left_out, ..Report::default() };
    let mut run = Run { nursery: Nursery::new(dir, disk), bars: Bars::new(), report: &mut report };
    run.bars.whole.set_length(tasks.len() as u64);
    for task in tasks {
        run.bars.begin(&task.title());
        run.task(task);
        run.bars.whole.inc(1);
    }
    run.bars.end();
    report.judge();
    let json = serde_json::to_string_pretty(&report)?;
    if options.json {
        println!("{json}");
    } else {
        print!("{}", report.text());
    }
    fs::write(options.out.join("report.json"), json)?;
    write(&report, &options.out)
}

/// Writes tables and plots.
fn write(report: &Report, out: &Path) -> Result<(), Box<dyn Error>> {
    fs::write(out.join("tables.md"), markdown(report))?;
    for (name, svg) in plots::collections(report)? {
        fs::write(out.join(name), svg)?;
    }
    eprintln!("written to {}", out.display());
    Ok(())
}

/// The tables as a document.
fn markdown(report: &Report) -> String {
    let sizes: Vec<_> = report.trials.iter().map(|trial| count_text(trial.entries)).collect();
    let sizes =
        if sizes.is_empty() { "no trials".to_owned() } else { format!("trials with {}", distinct(sizes)) };
    format!("# Collections, all tables\n\nWritten by `benches collections`; {sizes}.\n\n{}", report.text())
}

fn distinct(mut texts: Vec<String>) -> String {
    let mut seen = Vec::new();
    texts.retain(|text| {
        let is_new = !seen.contains(text);
        seen.push(text.clone());
        is_new
    });
    texts.join(", ")
}

/// Draws and writes again from a report.
pub(crate) fn again(report: &Report, out: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(out)?;
    write(report, out)
}

/// Trials on their way.
struct Run<'a> {
    nursery: Nursery,
    bars: Bars,
    report: &'a mut Report,
}

impl Run<'_> {
    /// Does a task. Whoever takes its process down is out, and the others begin anew.
    fn task(&mut self, task: Task) {
        let mut fallen: Vec<(String, String)> = Vec::new();
        loop {
            let task = without(&task, fallen.iter().map(|(name, _)| name.clone()).collect());
            let bars = &self.bars;
            let stopped = match self.nursery.run(&task, &mut |turn| bars.turn(turn)) {
                Ok(Finding::Trial(trial)) => {
                    self.note_trial(&trial);
                    self.report.trials.push(trial);
                    break;
                }
                Ok(Finding::Load(load)) => {
                    self.note_load(&task, &load);
                    self.report.loads.push(load);
                    break;
                }
                Ok(Finding::LargeMap(opening)) => {
                    self.report.openings.push(opening);
                    break;
                }
                Ok(_) => Stopped { turn: None, reason: "it found something else".to_owned() },
                Err(stopped) => stopped,
            };
            match stopped.turn {
                Some(turn) if fallen.iter().all(|(name, _)| *name != turn.name) => {
                    fallen.push((turn.name, stopped.reason));
                }
                _ => {
                    self.failed(&task.title(), &stopped.reason);
                    break;
                }
            }
        }
        for (name, reason) in fallen {
            self.failed(&format!("{}: {name}", task.title()), &reason);
        }
    }

    fn note_trial(&mut self, trial: &Trial) {
        for standing in &trial.results {
            if let Err(reason) = &standing.outcome {
                self.failed(&format!("{}: {}", trial.title(), standing.name), reason);
            }
        }
    }

    fn note_load(&mut self, task: &Task, load: &Load) {
        for loaded in &load.results {
            if let Err(reason) = &loaded.rounds {
                self.failed(&format!("{}: {}", task.title(), loaded.name), reason);
            }
        }
    }

    fn failed(&mut self, what: &str, reason: &str) {
        let line = format!("{what}: {reason}");
        self.bars.print(&format!("FAILED: {line}"));
        self.report.failures.push(line);
    }
}

/// The same task without these.
fn without(task: &Task, fallen: Vec<String>) -> Task {
    let mut task = task.clone();
    if let Task::Trial { without, .. } | Task::Load { without, .. } = &mut task {
        *without = fallen;
    }
    task
}
