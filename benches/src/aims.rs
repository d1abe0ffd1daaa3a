//! What is aimed at, and whether it is reached: computed for those who were in the race.
//!
//! Start at [`of`] and [`of_collections`].

use serde::{Deserialize, Serialize};

use crate::collections::contenders::{Family, Role};
use crate::collections::keys::Order;
use crate::collections::report::{self as collections, count_text, operation_title};
use crate::collections::subject::Operation;
use crate::engine::Level;
use crate::pwrite;
use crate::race::{Outcome, Standing, ratio};
use crate::report::Report;
use crate::workload::{Durable, Workload};

/// Something to be reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Aim {
    /// What.
    pub what: String,
    /// What it may be.
    pub limit: Limit,
    /// What it is.
    pub found: f64,
}

/// What a figure may be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Limit {
    /// So much, or less.
    AtMost(f64),
    /// So much, or more.
    AtLeast(f64),
}

impl Aim {
    /// Whether it is.
    pub fn is_reached(&self) -> bool {
        match self.limit {
            Limit::AtMost(limit) => self.found <= limit,
            Limit::AtLeast(limit) => self.found >= limit,
        }
    }
}

/// The peers that keep what a killed process had committed, by how their names begin.
const PEERS: [&str; 4] = ["redb", "fjall", "LMDB", "SQLite"];
/// What is compared with peers: transactions of a few small ranges.
const SMALL: [&str; 3] = ["debit-credit", "order-entry", "one range of 8 B"];

/// All aims whose contenders were there and did not fail.
pub fn of(report: &Report) -> Vec<Aim> {
    let mut aims = Vec::new();
    bounds(report, &mut aims);
    peers(report, &mut aims);
    lrvm(report, &mut aims);
    counts(report, &mut aims);
    aims
}

/// Vista beside the bare engines.
fn bounds(report: &Report, aims: &mut Vec<Aim>) {
    let mut times = |workload: Workload, durable: Durable, name: &str, bound: &str, limit: f64| {
        let Some(race) = report.race(workload, durable) else { return };
        let (Some(engine), Some(limited)) = (race.outcome(name), race.outcome(bound)) else { return };
        let what = format!("{}; {}, {name}: times the {bound}", race.workload, race.domain);
        aims.push(Aim { what, limit: Limit::AtMost(limit), found: ratio(engine, limited) });
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
}

/// Vista beside the peers, on small transactions.
fn peers(report: &Report, aims: &mut Vec<Aim>) {
    for race in report.races.iter().filter(|race| SMALL.iter().any(|name| race.workload.starts_with(name))) {
        let Some((vista, ours)) = race.vista() else { continue };
        let is_adr = race.domain == Durable::Adr.domain().to_string();
        for standing in &race.results {
            let Ok(theirs) = &standing.outcome else { continue };
            let is_peer = PEERS.iter().any(|peer| standing.name.starts_with(peer));
            let limit = if standing.name.starts_with("libpmemobj") {
                if is_adr { 2.5 } else { 30.0 }
            } else if is_peer && !is_adr && standing.level == Level::ProcessCrash {
                10.0
            } else {
                continue;
            };
            let what = format!("{}; {}, {}: times {}", race.workload, race.domain, standing.name, vista.name);
            aims.push(Aim { what, limit: Limit::AtLeast(limit), found: ratio(theirs, ours) });
        }
    }
}

/// Lrvm beside what a disk and a memory can do at best.
fn lrvm(report: &Report, aims: &mut Vec<Aim>) {
    for workload in [Workload::DebitCredit, Workload::Range8] {
        let Some(race) = report.race(workload, Durable::PageCache) else { continue };
        let Some((lrvm, bound)) = race.outcome(LRVM_DISK).zip(race.outcome(pwrite::NAME)) else { continue };
        let what = format!("{}; {LRVM_DISK}: times the {}", race.workload, pwrite::NAME);
        aims.push(Aim { what, limit: Limit::AtMost(1.5), found: ratio(lrvm, bound) });
    }
    for name in [LRVM_FILES, LRVM_RIO] {
        let in_memory = report.race(Workload::Range8, Durable::PageCache).and_then(|race| race.outcome(name));
        if let Some(outcome) = in_memory.filter(|_| report.machine.file_system == "tmpfs") {
            let what = format!("one range of 8 B; {name}: microseconds on tmpfs");
            aims.push(Aim { what, limit: Limit::AtMost(2.0), found: outcome.wall.median / 1000.0 });
        }
    }
}

/// Names of lrvm where each commit is flushed: on a disk, in files in memory, and on rio.
pub const LRVM_DISK: &str = "lrvm, disk, flush";
/// See [`LRVM_DISK`].
pub const LRVM_FILES: &str = "lrvm, tmpfs, flush";
/// See [`LRVM_DISK`].
pub const LRVM_RIO: &str = "lrvm, on Rio, flush";

/// What is counted rather than timed.
fn counts(report: &Report, aims: &mut Vec<Aim>) {
    let mut at_most =
        |what: String, limit, found| aims.push(Aim { what, limit: Limit::AtMost(limit), found });
    for way in ["vista get_disjoint_mut", "vista write"] {
        let race = report.race(Workload::DebitCredit, Durable::Adr);
        let costs = race.and_then(|race| race.outcome(way)).and_then(|outcome| outcome.costs);
        if let Some(seam) = costs.and_then(|costs| costs.seam) {
            at_most(format!("debit-credit, scale 5; ADR, {way}: fences"), 3.0, seam.fences);
        }
    }
    if let [shortest, .., longest] = &report.openings[..] {
        let lengths = |case: &str| {
            format!("opening {} MiB, {case}: times {} MiB", longest.len >> 20, shortest.len >> 20)
        };
        at_most(lengths("empty log"), 1.5, longest.empty.median / shortest.empty.median);
        at_most(lengths("1 MiB in flight"), 1.5, longest.in_flight.median / shortest.in_flight.median);
    }
    let is_vistas = |standing: &&Standing| standing.name.starts_with("vista");
    let vistas = || report.races.iter().flat_map(|race| &race.results).filter(is_vistas);
    let outcomes: Vec<&Outcome> = vistas().filter_map(|standing| standing.outcome.as_ref().ok()).collect();
    if !outcomes.is_empty() {
        let allocations =
            outcomes.iter().filter_map(|outcome| outcome.costs).map(|costs| costs.allocations).sum();
        at_most("volatile allocations per transaction, all of vista's".to_owned(), 0.0, allocations);
    }
    if !report.silent.is_empty() {
        let loud = report.silent.iter().filter(|(_, is_silent)| !is_silent).count();
        at_most("contenders that made a system call".to_owned(), 0.0, loud as f64);
    }
}

/// All aims of collections whose contenders were there and did not fail: of reads, inserts, bulk loads and openings.
pub fn of_collections(report: &collections::Report) -> Vec<Aim> {
    let mut aims = Vec::new();
    for family in Family::ALL {
        for order in [Order::Random, Order::Sequential] {
            let trials = report.of(family, order);
            for (name, operation, batch) in ours(&trials) {
                let limits = match operation {
                    Operation::Insert => [Some(INSERT_TO_STD), Some(PEER_TO_INSERT)],
                    _ if operation.is_read() => [Some(READ_TO_STD), None],
                    _ => continue,
                };
                for limit in limits.into_iter().flatten() {
                    aims.extend(worst(&trials, &name, (operation, batch), order, limit));
                }
            }
        }
    }
    loads(report, &mut aims);
    for opening in &report.openings {
        let what = format!("opening a {} of {} MiB", opening.structure.title(), opening.len >> 20);
        for (how, micros) in [("after a close", opening.closed), ("after a kill", opening.killed)] {
            let (what, found) = (format!("{what}, {how}: milliseconds"), micros.median / 1000.0);
            aims.push(Aim { what, limit: Limit::AtMost(10.0), found });
        }
    }
    aims
}

/// Times std's.
const READ_TO_STD: Limit = Limit::AtMost(1.5);
/// Times std's, which keeps nothing.
const INSERT_TO_STD: Limit = Limit::AtMost(3.0);
/// How many times as long the fastest peer takes.
const PEER_TO_INSERT: Limit = Limit::AtLeast(10.0);

/// What vista's collections were timed with: name, operation, operations in a transaction. A batch of reads means
/// nothing to those who read without a transaction.
fn ours(trials: &[&collections::Trial]) -> Vec<(String, Operation, usize)> {
    let mut found = Vec::new();
    let standings = trials.iter().flat_map(|trial| &trial.results);
    for standing in standings.filter(|standing| standing.role == Role::Ours) {
        for figure in standing.outcome.iter().flatten() {
            let one = (standing.name.clone(), figure.operation, figure.batch);
            if !(found.contains(&one) || figure.operation.is_read() && figure.batch > 1) {
                found.push(one);
            }
        }
    }
    found
}

/// The aim for one operation, at the number of entries where it is furthest from being reached: a limit from above is
/// one beside std's collection, one from below is one beside the fastest peer.
fn worst(
    trials: &[&collections::Trial],
    name: &str,
    (operation, batch): (Operation, usize),
    order: Order,
    limit: Limit,
) -> Option<Aim> {
    let of = |trial: &&collections::Trial| {
        let standing = trial.results.iter().find(|standing| standing.name == name)?;
        let mine = standing.figure(operation, batch)?;
        let (other, ratio) = match limit {
            Limit::AtMost(_) => {
                let bound = trial.bound(standing, operation, batch)?;
                ("std's", collections::ratio(mine, bound))
            }
            Limit::AtLeast(_) => {
                let (peer, figure) = trial.fastest_peer(operation, batch)?;
                (peer.name.as_str(), collections::ratio(figure, mine))
            }
        };
        Some((ratio, trial.entries, other.to_owned()))
    };
    let ratios = trials.iter().filter_map(of);
    let (found, entries, other) = match limit {
        Limit::AtMost(_) => ratios.max_by(|one, other| one.0.total_cmp(&other.0))?,
        Limit::AtLeast(_) => ratios.min_by(|one, other| one.0.total_cmp(&other.0))?,
    };
    let title = format!("{name}; {} keys; {}", order.title(), operation_title(operation, batch));
    let entries = count_text(entries);
    let what = match limit {
        Limit::AtMost(_) => format!("{title}: times {other}, at worst, with {entries}"),
        Limit::AtLeast(_) => format!("{title}: times in the fastest peer's, at worst {other} with {entries}"),
    };
    Some(Aim { what, limit, found })
}

/// Bulk loads are inserts.
fn loads(report: &collections::Report, aims: &mut Vec<Aim>) {
    for load in &report.loads {
        let cargo = format!(
            "bulk load, {} keys, {} in a transaction",
            load.cargo.order.title(),
            count_text(load.cargo.batch as u64)
        );
        for loaded in load.results.iter().filter(|loaded| loaded.role == Role::Ours) {
            if let Some(found) = load.to_bound(loaded) {
                let what = format!("{}; {cargo}: times std's", loaded.name);
                aims.push(Aim { what, limit: INSERT_TO_STD, found });
            }
            if let Some((peer, found)) = load.fastest_peer().zip(load.fastest_peer_over(loaded)) {
                let what = format!("{}; {cargo}: times in the fastest peer's, {}", loaded.name, peer.name);
                aims.push(Aim { what, limit: PEER_TO_INSERT, found });
            }
        }
    }
}
