//! Tasks: each part of a comparison runs in a process of its own, so that none meets what another has left in memory, and
//! one that dies takes nobody along.
//!
//! The program runs itself again with a task, and is told on standard output whose turn it is and, at the end, what was
//! found. Start at [`Task::run`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::collections::contenders::{Contender, Family, Role, Structure, contenders};
use crate::collections::keys::Order;
use crate::collections::large;
use crate::collections::load::{self, Cargo, Load, VALUE_LEN};
use crate::collections::report::{Trial, count_text};
use crate::collections::rounds::{self, Setup};
use crate::contest;
use crate::fragmentation::{self, Phase};
use crate::opening::{self, Opening, run_until_killed};
use crate::race::{self, Plan, Standing, Turn, race};
use crate::recovery::{self, Recovery};
use crate::report::{Growth, Race};
use crate::workload::{self, Durable, Places, Workload};

/// What a process is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Task {
    /// Everybody against each other.
    Race {
        /// On what.
        workload: Workload,
        /// Where a store is durable.
        durable: Durable,
        /// With fewer and shorter rounds.
        is_quick: bool,
        /// Who is not to take part.
        without: Vec<String>,
    },
    /// One contender with data of this length.
    Growth {
        /// Its name.
        name: String,
        /// The length.
        bytes: u64,
        /// With fewer and shorter rounds.
        is_quick: bool,
    },
    /// Recovery from a log of this length.
    Recovery {
        /// Of this engine.
        name: String,
        /// The length.
        log_bytes: u64,
        /// As often.
        times: usize,
    },
    /// Opening a segment of this length.
    Opening {
        /// The length.
        mib: u64,
        /// As often.
        times: usize,
    },
    /// Collections of a family side by side.
    Trial {
        /// The family.
        family: Family,
        /// Of these structures; of all, if empty.
        structures: Vec<Structure>,
        /// The order of the keys.
        order: Order,
        /// The entries that are there.
        entries: u64,
        /// With fewer and shorter rounds.
        is_quick: bool,
        /// Who is not to take part.
        without: Vec<String>,
    },
    /// Maps are filled.
    Load {
        /// With what.
        cargo: Cargo,
        /// Of these structures; of all, if empty.
        structures: Vec<Structure>,
        /// As often.
        rounds: usize,
        /// Who is not to take part.
        without: Vec<String>,
    },
    /// A map that fills a segment is opened.
    LargeMap {
        /// Which map.
        structure: Structure,
        /// Length of the segment.
        mib: u64,
        /// As often.
        times: usize,
    },
    /// A heap's history, up to so many bytes.
    Fragmentation {
        /// The bytes.
        bytes: u64,
    },
}

/// What was found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Finding {
    /// By [`Task::Race`].
    Race(Race),
    /// By [`Task::Growth`].
    Growth(Growth),
    /// By [`Task::Recovery`].
    Recovery(Recovery),
    /// By [`Task::Opening`].
    Opening(Opening),
    /// By [`Task::Fragmentation`].
    Phases(Vec<Phase>),
    /// By [`Task::Trial`].
    Trial(Trial),
    /// By [`Task::Load`].
    Load(Load),
    /// By [`Task::LargeMap`].
    LargeMap(large::Opening),
}

/// What a process says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Message {
    /// Whose turn it is from now on.
    Turn(Turn),
    /// It is done.
    Found(Box<Finding>),
    /// It cannot be done.
    Failed(String),
}

/// Seconds after which a turn that does not end is ended, and the process with it.
const TURN_SECONDS: u32 = 300;

impl Task {
    /// What a person calls it.
    pub fn title(&self) -> String {
        match self {
            Task::Race { workload, durable, .. } => format!("{}; {}", workload.title(), durable.domain()),
            Task::Growth { name, bytes, .. } => format!("growth: {name}, {} MiB", bytes >> 20),
            Task::Recovery { name, log_bytes, .. } => format!("recovery: {name}, {} KiB", log_bytes >> 10),
            Task::Opening { mib, .. } => format!("opening: {mib} MiB"),
            Task::Fragmentation { .. } => "fragmentation".to_owned(),
            Task::Trial { family, order, entries, .. } => {
                format!("{}; {} keys; {} entries", family.title(), order.title(), count_text(*entries))
            }
            Task::Load { cargo, .. } => {
                let (pairs, batch) = (count_text(cargo.pairs), count_text(cargo.batch as u64));
                format!("bulk load of {pairs}; {} keys; {batch} in a transaction", cargo.order.title())
            }
            Task::LargeMap { structure, mib, .. } => format!("opening: {} of {mib} MiB", structure.title()),
        }
    }

    /// Does it in this process, and says how it goes.
    pub fn run(&self, places: &Places, say: &mut dyn FnMut(&Message)) {
        // A failure is said, and not printed among the bars of whoever watches.
        std::panic::set_hook(Box::new(|_| {}));
        nix::unistd::alarm::set(TURN_SECONDS);
        let mut watch = |turn: Turn| {
            nix::unistd::alarm::set(TURN_SECONDS);
            say(&Message::Turn(turn));
        };
        let done = catch_unwind(AssertUnwindSafe(|| self.work(places, &mut watch)));
        say(&match done {
            Ok(finding) => Message::Found(Box::new(finding)),
            Err(panic) => Message::Failed(race::message(panic.as_ref())),
        });
    }

    fn work(&self, places: &Places, watch: &mut dyn FnMut(Turn)) -> Finding {
        match self {
            Task::Race { workload, durable, is_quick, without } => {
                Finding::Race(run_race(*workload, *durable, *is_quick, without, places, watch))
            }
            Task::Growth { name, bytes, is_quick } => {
                let plan = Plan { per_round: 100_000, has_counts: false, ..plan(*is_quick, 9) };
                let lineup = workload::grown(places, *bytes, plan.input_count(), name);
                let standing = race(&lineup.entries, plan, &lineup.model, watch).remove(0);
                Finding::Growth(Growth { bytes: *bytes, standing })
            }
            Task::Recovery { name, log_bytes, times } => {
                let (patient, dir) = (recovery::patient(name), places.memory.path());
                std::fs::create_dir(&dir).expect("a new directory");
                let die = [
                    "die-by-engine".as_ref(),
                    dir.as_os_str(),
                    name.as_ref(),
                    log_bytes.to_string().as_ref(),
                ]
                .map(std::ffi::OsStr::to_owned);
                let kill = || run_until_killed(&die.each_ref().map(AsRef::as_ref));
                Finding::Recovery(recovery::measure(patient, &dir, *log_bytes, *times, kill))
            }
            Task::Opening { mib, times } => {
                let kill = |path: &Path| run_until_killed(&["die".as_ref(), path.as_os_str()]);
                let opening = opening::measure(&places.memory.path(), mib << 20, *times, kill);
                Finding::Opening(opening.expect("a segment without fault"))
            }
            Task::Trial { family, structures, order, entries, is_quick, without } => {
                let contenders = chosen(contenders::<8>(*family), structures, without);
                let setup = Setup { family: *family, order: *order, entries: *entries };
                let results = rounds::trial(&contenders, setup, trial_plan(*is_quick), &places.memory, watch);
                Finding::Trial(Trial { family: *family, order: *order, entries: *entries, results })
            }
            Task::Load { cargo, structures, rounds, without } => {
                let contenders = chosen(contenders::<VALUE_LEN>(Family::Maps), structures, without);
                Finding::Load(load::load(&contenders, *cargo, *rounds, &places.memory, watch))
            }
            Task::LargeMap { structure, mib, times } => {
                let kill = |path: &Path| {
                    let structure = structure.to_possible_value().expect("a structure that can be given");
                    run_until_killed(&[
                        "die-in-map".as_ref(),
                        path.as_os_str(),
                        structure.get_name().as_ref(),
                    ]);
                };
                let opening = large::measure_one(*structure, &places.memory.path(), mib << 20, *times, kill);
                Finding::LargeMap(opening.expect("a segment without fault"))
            }
            Task::Fragmentation { bytes } => {
                let phases = fragmentation::measure(&places.memory.path(), *bytes);
                Finding::Phases(phases.expect("a segment without fault"))
            }
        }
    }
}

/// So many rounds, or fewer and shorter ones.
fn plan(is_quick: bool, rounds: usize) -> Plan {
    Plan {
        rounds: if is_quick { 5 } else { rounds },
        warm_up: if is_quick { 2 } else { 3 },
        per_round: 0,
        budget: Duration::from_millis(if is_quick { 10 } else { 50 }),
        one_by_one: 0,
        one_by_one_slow: if is_quick { 100 } else { 2000 },
        has_counts: true,
    }
}

fn trial_plan(is_quick: bool) -> rounds::Plan {
    rounds::Plan {
        rounds: if is_quick { 5 } else { 15 },
        warm_up: 2,
        budget: Duration::from_millis(if is_quick { 8 } else { 20 }),
        most: if is_quick { 50_000 } else { 100_000 },
    }
}

/// Those who are wanted: of these structures, or of all; peers stand beside both maps.
fn chosen(contenders: Vec<Contender>, structures: &[Structure], without: &[String]) -> Vec<Contender> {
    let is_wanted = |contender: &Contender| {
        let is_of_them = structures.is_empty() || structures.contains(&contender.structure);
        (is_of_them || contender.role == Role::Peer) && !without.iter().any(|name| name == contender.name)
    };
    contenders.into_iter().filter(is_wanted).collect()
}

fn run_race(
    workload: Workload,
    durable: Durable,
    is_quick: bool,
    without: &[String],
    places: &Places,
    watch: &mut dyn FnMut(Turn),
) -> Race {
    let per_round = workload.per_round() / if is_quick { 4 } else { 1 };
    let one_by_one = if workload.has_latency() { per_round } else { 0 };
    let plan = Plan { per_round, one_by_one, ..plan(is_quick, 31) };
    let mut lineup = workload.lineup(places, durable, plan.input_count());
    lineup.entries.retain(|entry| !without.iter().any(|name| name == entry.name));
    let results = race(&lineup.entries, plan, &lineup.model, watch);
    let (workload, domain) = (workload.title().to_owned(), durable.domain().to_string());
    Race { workload, domain, per_round: plan.per_round, rounds: plan.rounds, results }
}

impl Task {
    /// What its process has to have in its environment.
    pub fn variables(&self) -> &'static [(&'static str, &'static str)] {
        match self {
            Task::Race { durable, .. } => contest::variables(*durable),
            Task::Trial { .. } | Task::Load { .. } => contest::variables(Durable::PageCache),
            _ => &[],
        }
    }
}

/// Why a task has not been done.
#[derive(Clone, Debug)]
pub struct Stopped {
    /// Whose turn it was.
    pub turn: Option<Turn>,
    /// What the process said, or how it ended.
    pub reason: String,
}

impl Stopped {
    /// Of a process that ended so without having said what it found.
    pub fn by(status: ExitStatus, turn: Option<Turn>) -> Self {
        use std::os::unix::process::ExitStatusExt;
        let reason = match status.signal() {
            Some(libc::SIGALRM) => format!("took longer than {TURN_SECONDS} s and was ended"),
            Some(_) => format!("the process died: {status}"),
            None => format!("the process ended without an answer: {status}"),
        };
        Stopped { turn, reason }
    }

    /// The standing of the one whose turn it was.
    pub fn standing(&self) -> Option<Standing> {
        let turn = self.turn.as_ref()?;
        let (name, configuration) = (turn.name.clone(), String::new());
        Some(Standing { name, level: turn.level, configuration, outcome: Err(self.reason.clone()) })
    }
}
