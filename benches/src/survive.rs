//! What a transaction survives, checked: each engine's process is killed, and what it had acknowledged has to be there.
//!
//! A child runs debit-credit, and tells through a pipe how many transactions have committed. It is sent SIGKILL after a
//! random time; a second child opens what the first one left. The state has to be the model's after `n` transfers, where
//! `n` is at least what was told and at most what may have been begun. So nobody is compared at a level that loses data;
//! and engines at a level that keeps nothing take part to be caught, for a check that catches nobody says nothing.
//!
//! A kernel's crash and a power cut are not tried: for those an engine's word is taken. Start at [`campaign`].

use std::fmt;
use std::io::{Read, Write};
use std::num::ParseIntError;
use std::path::Path;
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use rio::{Domain, DomainChoice, Region};
use serde::Serialize;

use crate::bank::DebitCredit;
use crate::bare::{Log, Nothing, Undo};
use crate::contest::{self, Home, Peer, Visitor};
use crate::engine::{Engine, Level, Random};
use crate::files::Files;
use crate::memory::{Bare, BareKind, Vista};
use crate::records::{On, OnMedium, Size, Store, Workload};

/// Seed of the transfers.
const SEED: u64 = 1997;

/// Small tables, since it is the log and not the tables that is on trial.
fn workload() -> DebitCredit {
    DebitCredit::new(workloads::Scale::new(1).expect("a scale")).cut(1000, 500)
}

/// Shows all engines at all levels: those behind the seam, the peers, and the ones that have to be caught.
pub fn visit(visitor: &mut impl Visitor) {
    let ours =
        |name, level, configuration| Peer { name, level, configuration, home: Home::Memory, variables: &[] };
    visitor.visit(
        ours("bare stores", Level::Nothing, "no log: a transaction can be cut in two"),
        open_bare::<Nothing>,
    );
    visitor.visit(
        ours("vista, private copy", Level::Nothing, "changes stay in the memory of the process"),
        |path, sizes| Vista::<false>::open(path, sizes, Domain::PageCache, true),
    );
    visitor.visit(ours("bare undo log", Level::ProcessCrash, "page cache"), open_bare::<Undo>);
    visitor.visit(ours("vista", Level::ProcessCrash, "page cache"), |path, sizes| {
        Vista::<false>::open(path, sizes, Domain::PageCache, false)
    });
    visitor.visit(ours("vista, write-back", Level::PowerLoss, "forced ADR; on ADR memory"), |path, sizes| {
        Vista::<true>::open(path, sizes, Domain::Adr, false)
    });
    contest::visit_everywhere(visitor);
    contest::visit_weak(visitor);
}

fn open_bare<L: Log + 'static>(path: &Path, sizes: &[Size]) -> Bare<L, Region> {
    let len = BareKind::<L>::new().medium_len(sizes);
    let options = Region::options().size(len).domain(DomainChoice::Forced(Domain::PageCache));
    Bare::new(options.open_or_create(path).expect("a region"), sizes)
}

/// What a child does to one engine.
struct Step<'a> {
    engine: &'a str,
    path: &'a Path,
    work: Work,
    is_done: bool,
}

/// What a child is started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Makes the tables and fills them.
    Fill,
    /// Runs transfers until it is killed, and tells after each so many.
    Run(u64),
    /// Opens what is there, and says how many transfers it holds, and whether it is the model's state after those.
    Check,
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Work::Fill => f.write_str("fill"),
            Work::Run(interval) => write!(f, "{interval}"),
            Work::Check => f.write_str("check"),
        }
    }
}

impl FromStr for Work {
    type Err = ParseIntError;

    fn from_str(word: &str) -> Result<Self, ParseIntError> {
        match word {
            "fill" => Ok(Work::Fill),
            "check" => Ok(Work::Check),
            interval => Ok(Work::Run(interval.parse()?)),
        }
    }
}

impl Visitor for Step<'_> {
    fn visit<S: Store + 'static>(&mut self, peer: Peer, open: fn(&Path, &[Size]) -> S) {
        if peer.name != self.engine {
            return;
        }
        self.is_done = true;
        let workload = workload();
        let store = open(self.path, &workload.sizes());
        match self.work {
            Work::Fill => drop(On::new(workload, store)),
            Work::Run(interval) => run(On::open(workload, store), interval),
            Work::Check => {
                let on = On::open(workload, store);
                let count = *on.state();
                println!("{count} {}", on.digest() == workload.model(SEED, count));
            }
        }
    }
}

/// Runs one step in this process: what [`campaign`] starts children for.
///
/// # Panics
/// If there is no such engine.
pub fn step(engine: &str, path: &Path, work: Work) {
    let mut step = Step { engine, path, work, is_done: false };
    visit(&mut step);
    assert!(step.is_done, "no engine {engine}");
}

/// Transfers, until the process is killed.
fn run<S: Store>(mut on: On<S, DebitCredit>, interval: u64) {
    let workload = workload();
    let mut pipe = std::io::stdout().lock();
    let mut tell = |count: u64| {
        pipe.write_all(&count.to_le_bytes()).expect("somebody who listens");
        pipe.flush().expect("somebody who listens");
    };
    let mut count = *on.state();
    tell(count);
    loop {
        for _ in 0..interval {
            transact(&mut on, &workload.transfer(SEED, count));
            count += 1;
        }
        tell(count);
    }
}

#[allow(unsafe_code)] // As the trait has it.
fn transact<S: Store>(on: &mut On<S, DebitCredit>, transfer: &workloads::Transfer) {
    assert!(on.admits(transfer));
    // SAFETY: it admits the transfer.
    unsafe { on.transact(transfer) };
}

/// What was found after a kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Outcome {
    /// The model's state after as many transfers as it may be.
    Kept,
    /// Fewer transfers than were acknowledged.
    Lost,
    /// More transfers than were begun.
    Invented,
    /// No state that the model ever had.
    Torn,
    /// It cannot be opened any more.
    Refused,
}

/// One engine's rounds.
#[derive(Clone, Debug, Serialize)]
pub struct Survivor {
    /// What tables call it.
    pub name: &'static str,
    /// What it says that it survives.
    pub level: Level,
    /// What was chosen for that.
    pub configuration: &'static str,
    /// Round by round.
    pub outcomes: Vec<Outcome>,
    /// Transfers that were acknowledged, of all rounds.
    pub acknowledged: u64,
    /// The most that were acknowledged and gone after a kill.
    pub most_lost: u64,
}

impl Survivor {
    /// In how many rounds all was as it should be.
    pub fn kept(&self) -> usize {
        self.outcomes.iter().filter(|&&outcome| outcome == Outcome::Kept).count()
    }

    /// Whether it survives as much as it says: if that is a kill, in every round.
    pub fn is_as_said(&self) -> bool {
        self.level < Level::ProcessCrash || !self.is_caught()
    }

    /// Whether something was wrong in some round. Bare stores are seldom caught: a kill has to fall between two stores.
    pub fn is_caught(&self) -> bool {
        self.kept() < self.outcomes.len()
    }
}

/// Who is asked.
struct Names<'a> {
    only: &'a [String],
    peers: Vec<Peer>,
}

impl Visitor for Names<'_> {
    fn visit<S: Store + 'static>(&mut self, peer: Peer, _: fn(&Path, &[Size]) -> S) {
        if self.only.is_empty() || self.only.iter().any(|name| name == peer.name) {
            self.peers.push(peer);
        }
    }
}

/// Kills each engine so many times. `program` is this program, which [`step`]s when it is told
/// `survive-step <engine> <path> <work>`; without names, all engines are asked.
///
/// # Panics
/// If a child cannot be started.
pub fn campaign(program: &Path, files: &Files, only: &[String], rounds: usize, seed: u64) -> Vec<Survivor> {
    let mut names = Names { only, peers: Vec::new() };
    visit(&mut names);
    let mut random = Random::new(seed);
    names.peers.into_iter().map(|peer| torment(program, files, peer, rounds, &mut random)).collect()
}

fn torment(program: &Path, files: &Files, peer: Peer, rounds: usize, random: &mut Random) -> Survivor {
    let Peer { name, level, configuration, variables, .. } = peer;
    let mut survivor =
        Survivor { name, level, configuration, outcomes: Vec::new(), acknowledged: 0, most_lost: 0 };
    let child = |path: &Path, work: Work| {
        let mut command = Command::new(program);
        command.args(["survive-step", name]).arg(path).arg(work.to_string());
        command.envs(variables.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    };
    let filled = || {
        let path = files.path();
        assert!(
            child(&path, Work::Fill).status().expect("this program runs").success(),
            "{name}: not filled"
        );
        path
    };
    let mut path = filled();
    for round in 0..rounds {
        // Told after each transaction, or seldom: then the kill falls into one rather than into the telling.
        let interval = if round % 2 == 0 { 1 } else { 256 };
        let time = Duration::from_micros(1000 + random.below(40_000));
        let (first, told) = run_and_kill(child(&path, Work::Run(interval)), time);
        let output = child(&path, Work::Check).output().expect("this program runs");
        let found = String::from_utf8_lossy(&output.stdout).into_owned();
        let found = found.trim().split_once(' ').filter(|_| output.status.success());
        let found = found.and_then(|(count, is_model)| Some((count.parse().ok()?, is_model == "true")));
        let outcome = judge(told, interval, found);
        survivor.outcomes.push(outcome);
        survivor.acknowledged += told - first;
        if let (Outcome::Lost, Some((count, _))) = (outcome, found) {
            survivor.most_lost = survivor.most_lost.max(told - count);
        }
        if outcome != Outcome::Kept {
            path = filled();
        }
    }
    survivor
}

/// The outcome, from what was told, and from what was found and whether it is a state of the model.
fn judge(told: u64, interval: u64, found: Option<(u64, bool)>) -> Outcome {
    match found {
        None => Outcome::Refused,
        Some((_, false)) => Outcome::Torn,
        Some((count, true)) if count < told => Outcome::Lost,
        Some((count, true)) if count > told + interval => Outcome::Invented,
        Some((_, true)) => Outcome::Kept,
    }
}

/// The first count that the child told, and the last one.
fn run_and_kill(mut command: Command, time: Duration) -> (u64, u64) {
    let mut child = command.spawn().expect("this program runs");
    let mut pipe = child.stdout.take().expect("a pipe");
    // The second one too: something has to be acknowledged, however slow the machine.
    let (mut first, mut second) = ([0; 8], [0; 8]);
    pipe.read_exact(&mut first).expect("a child that opens its store");
    pipe.read_exact(&mut second).expect("a child that runs transfers");
    let listener = thread::spawn(move || {
        let (mut last, mut buffer, mut used) = (second, [0; 4096], 0);
        loop {
            let len = pipe.read(&mut buffer[used..]).expect("a pipe");
            if len == 0 {
                return last;
            }
            used += len;
            let whole = used / 8 * 8;
            if whole > 0 {
                last = buffer[whole - 8..whole].try_into().expect("eight bytes");
                buffer.copy_within(whole..used, 0);
                used -= whole;
            }
        }
    });
    thread::sleep(time);
    child.kill().expect("a child that can be killed");
    child.wait().expect("a child that ends");
    let last = listener.join().expect("a listener");
    (u64::from_le_bytes(first), u64::from_le_bytes(last))
}

/// What was found, as a table.
pub fn table(survivors: &[Survivor]) -> String {
    let rows: Vec<_> = survivors
        .iter()
        .map(|survivor| {
            let count =
                |wanted| survivor.outcomes.iter().filter(|&&outcome| outcome == wanted).count().to_string();
            vec![
                survivor.name.to_owned(),
                survivor.level.to_string(),
                survivor.outcomes.len().to_string(),
                count(Outcome::Kept),
                count(Outcome::Lost),
                count(Outcome::Torn),
                count(Outcome::Refused),
                count(Outcome::Invented),
                survivor.acknowledged.to_string(),
                survivor.most_lost.to_string(),
                match (survivor.is_as_said(), survivor.is_caught()) {
                    (false, _) => "NOT AS SAID",
                    (true, true) => "caught, as it has to be",
                    (true, false) => "",
                }
                .to_owned(),
                survivor.configuration.to_owned(),
            ]
        })
        .collect();
    let header = [
        "engine",
        "survives",
        "kills",
        "kept",
        "lost",
        "torn",
        "refused",
        "invented",
        "acknowledged",
        "most lost",
        "",
        "configuration",
    ];
    crate::report::table(&header, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_is_judged_by_what_was_told() {
        assert_eq!(judge(10, 1, Some((10, true))), Outcome::Kept);
        assert_eq!(judge(10, 1, Some((11, true))), Outcome::Kept);
        assert_eq!(judge(10, 1, Some((12, true))), Outcome::Invented);
        assert_eq!(judge(10, 256, Some((266, true))), Outcome::Kept);
        assert_eq!(judge(10, 1, Some((9, true))), Outcome::Lost);
        assert_eq!(judge(10, 1, Some((10, false))), Outcome::Torn);
        assert_eq!(judge(10, 1, None), Outcome::Refused);
    }
}
