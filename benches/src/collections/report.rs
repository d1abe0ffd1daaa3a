//! All that the trials of collections find: as a value, as JSON, and as text that can be pasted into a document.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::contenders::{Family, Role};
use super::keys::Order;
use super::large::Opening;
use super::load::{Load, Loaded};
use super::rounds::{Figure, Standing};
use super::subject::Operation;
use crate::aims::{self, Aim};
use crate::machine::Machine;
use crate::race::Spread;
use crate::report::{aim_table, figure, lines, micros, nanos, table};

/// All that was found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// Trial by trial.
    pub trials: Vec<Trial>,
    /// Bulk loads.
    pub loads: Vec<Load>,
    /// Large maps that were opened.
    pub openings: Vec<Opening>,
    /// What was aimed at.
    pub aims: Vec<Aim>,
    /// What there was no room for.
    pub left_out: Vec<String>,
    /// What did not work.
    pub failures: Vec<String>,
}

/// One family with one number of entries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// The collections.
    pub family: Family,
    /// The order of the keys.
    pub order: Order,
    /// The entries that are there.
    pub entries: u64,
    /// What came out.
    pub results: Vec<Standing>,
}

/// Median over the rounds of how many times `figure` takes what `other` takes.
pub fn ratio(figure: &Figure, other: &Figure) -> f64 {
    rounds_ratio(&figure.rounds, &other.rounds)
}

fn rounds_ratio(rounds: &[f64], other: &[f64]) -> f64 {
    Spread::of(rounds.iter().zip(other).map(|(one, other)| one / other)).median
}

impl Trial {
    /// The figure of std's collection of the same structure.
    pub fn bound(&self, standing: &Standing, operation: Operation, batch: usize) -> Option<&Figure> {
        let is_bound = |other: &&Standing| other.role == Role::Bound && other.structure == standing.structure;
        self.results.iter().find(is_bound)?.figure(operation, batch)
    }

    /// The peer that needs least for an operation.
    pub fn fastest_peer(&self, operation: Operation, batch: usize) -> Option<(&Standing, &Figure)> {
        let peers = self.results.iter().filter(|standing| standing.role == Role::Peer);
        let figures = peers.filter_map(|standing| Some((standing, standing.figure(operation, batch)?)));
        figures.min_by(|one, other| one.1.nanos.median.total_cmp(&other.1.nanos.median))
    }

    /// What it is.
    pub fn title(&self) -> String {
        format!("{}; {}; {} entries", self.family.title(), self.order.title(), self.entries)
    }
}

impl Load {
    /// How many times as long a load took as that of std's collection of the same structure.
    pub fn to_bound(&self, loaded: &Loaded) -> Option<f64> {
        let is_bound = |other: &&Loaded| other.role == Role::Bound && other.structure == loaded.structure;
        let bound = self.results.iter().find(is_bound)?;
        over(loaded, bound)
    }

    /// The peer that was fastest.
    pub fn fastest_peer(&self) -> Option<&Loaded> {
        let peers = self.results.iter().filter(|loaded| loaded.role == Role::Peer);
        let timed = peers.filter_map(|loaded| Some((loaded, loaded.spread()?.median)));
        timed.min_by(|one, other| one.1.total_cmp(&other.1)).map(|(loaded, _)| loaded)
    }

    /// How many times as long as this load the fastest peer's took.
    pub fn fastest_peer_over(&self, loaded: &Loaded) -> Option<f64> {
        over(self.fastest_peer()?, loaded)
    }
}

fn over(one: &Loaded, other: &Loaded) -> Option<f64> {
    let [one, other] = [one, other].map(|loaded| loaded.rounds.as_ref().ok());
    let (one, other) = one.zip(other)?;
    (!one.is_empty() && !other.is_empty()).then(|| rounds_ratio(one, other))
}

impl Report {
    /// The trials of a family in one order, by number of entries.
    pub fn of(&self, family: Family, order: Order) -> Vec<&Trial> {
        let mut trials: Vec<_> =
            self.trials.iter().filter(|trial| trial.family == family && trial.order == order).collect();
        trials.sort_by_key(|trial| trial.entries);
        trials
    }

    /// Compares what was found with what is aimed at.
    pub fn judge(&mut self) {
        self.aims = aims::of_collections(self);
    }

    /// All tables.
    pub fn text(&self) -> String {
        let mut text = self.machine.lines().join("\n") + "\n\n";
        let mut tables = Vec::new();
        for family in Family::ALL {
            for order in [Order::Random, Order::Sequential] {
                let trials = self.of(family, order);
                let rows = rows_of(&trials);
                tables
                    .extend(rows.iter().map(|&(operation, batch)| {
                        operation_table(&trials, family, order, operation, batch)
                    }));
            }
        }
        tables.extend(self.loads.iter().map(load_table));
        if !self.openings.is_empty() {
            tables.push(opening_table(&self.openings));
        }
        tables.push(configurations(&self.trials));
        if !self.aims.is_empty() {
            tables.push(aim_table(&self.aims));
        }
        tables.push(lines("left out: ", &self.left_out));
        tables.push(lines("FAILED: ", &self.failures));
        for table in tables.iter().filter(|table| !table.is_empty()) {
            writeln!(text, "{table}").expect("a string takes all");
        }
        text
    }
}

/// Operations and batches that somebody was timed with, in the order of the trial.
fn rows_of(trials: &[&Trial]) -> Vec<(Operation, usize)> {
    let mut rows = Vec::new();
    let standings = trials.iter().flat_map(|trial| &trial.results);
    for figure in standings.filter_map(|standing| standing.outcome.as_ref().ok()).flatten() {
        if !rows.contains(&(figure.operation, figure.batch)) {
            rows.push((figure.operation, figure.batch));
        }
    }
    rows
}

/// Number of entries, short.
pub fn count_text(count: u64) -> String {
    match count {
        1_000_000.. if count.is_multiple_of(1_000_000) => format!("{} M", count / 1_000_000),
        1000.. if count.is_multiple_of(1000) => format!("{} K", count / 1000),
        _ => count.to_string(),
    }
}

/// What an operation is called where its transactions are told too.
pub fn operation_title(operation: Operation, batch: usize) -> String {
    match operation {
        Operation::Iterate | Operation::Range => operation.title().to_owned(),
        Operation::Hit | Operation::Miss if batch == 1 => operation.title().to_owned(),
        Operation::Hit | Operation::Miss => {
            format!("{}, {batch} in a read transaction of those who have such", operation.title())
        }
        _ => format!("{}, {batch} in a transaction", operation.title()),
    }
}

fn operation_table(
    trials: &[&Trial],
    family: Family,
    order: Order,
    operation: Operation,
    batch: usize,
) -> String {
    let mut names: Vec<&Standing> = Vec::new();
    for standing in trials.iter().flat_map(|trial| &trial.results) {
        if standing.figure(operation, batch).is_some()
            && !names.iter().any(|other| other.name == standing.name)
        {
            names.push(standing);
        }
    }
    let rows: Vec<_> = names
        .iter()
        .map(|standing| {
            let of = |trial: &Trial| trial.results.iter().find(|other| other.name == standing.name).cloned();
            let mut row = vec![standing.name.clone(), standing.level.to_string()];
            let (mut to_bound, mut to_peer, mut undo) = (None, None, None);
            for trial in trials {
                let Some(mine) = of(trial) else {
                    row.push("-".to_owned());
                    continue;
                };
                let Some(found) = mine.figure(operation, batch) else {
                    row.push(if mine.outcome.is_err() { "failed" } else { "-" }.to_owned());
                    continue;
                };
                row.push(nanos(found.nanos.median));
                let bound = trial.bound(standing, operation, batch).filter(|_| standing.role != Role::Bound);
                to_bound = larger(to_bound, bound.map(|bound| ratio(found, bound)));
                let peer = trial.fastest_peer(operation, batch).filter(|_| standing.role == Role::Ours);
                to_peer = smaller(to_peer, peer.map(|(_, peer)| ratio(peer, found)));
                undo = larger(undo, found.undo_bytes);
            }
            row.extend([to_bound, to_peer, undo].map(|value| value.map_or_else(|| "-".to_owned(), figure)));
            row
        })
        .collect();
    let sizes: Vec<_> = trials.iter().map(|trial| count_text(trial.entries)).collect();
    let mut header = vec!["collection", "survives"];
    header.extend(sizes.iter().map(String::as_str));
    header.extend(["times std's", "fastest peer's times", "undo bytes"]);
    let title = format!(
        "{}, {} keys; {}: nanoseconds, by number of entries; the last columns are the worst of them\n\n",
        family.title(),
        order.title(),
        operation_title(operation, batch)
    );
    title + &table(&header, &rows)
}

fn larger(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    one.into_iter().chain(other).max_by(f64::total_cmp)
}

fn smaller(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    one.into_iter().chain(other).min_by(f64::total_cmp)
}

fn load_table(load: &Load) -> String {
    let rows: Vec<_> = load
        .results
        .iter()
        .map(|loaded| {
            let mut row = vec![loaded.name.clone(), loaded.level.to_string()];
            let Some(spread) = loaded.spread() else {
                row.extend(["failed", "-", "-", "-"].map(str::to_owned));
                return row;
            };
            let whole = spread.median * load.cargo.pairs as f64 / 1e6;
            let to_bound = load.to_bound(loaded).filter(|_| loaded.role != Role::Bound);
            let to_peer = load.fastest_peer_over(loaded).filter(|_| loaded.role == Role::Ours);
            row.extend([format!("{whole:.0}"), nanos(spread.median)]);
            row.extend([to_bound, to_peer].map(|value| value.map_or_else(|| "-".to_owned(), figure)));
            row
        })
        .collect();
    let title = format!(
        "bulk load of {} pairs of 8 B and 100 B, {} keys, {} in a transaction\n\n",
        count_text(load.cargo.pairs),
        load.cargo.order.title(),
        count_text(load.cargo.batch as u64)
    );
    let header = ["collection", "survives", "ms", "ns a pair", "times std's", "fastest peer's times"];
    title + &table(&header, &rows)
}

fn opening_table(openings: &[Opening]) -> String {
    let rows: Vec<_> = openings
        .iter()
        .map(|opening| {
            vec![
                opening.structure.title().to_owned(),
                format!("{} MiB", opening.len >> 20),
                opening.entries.to_string(),
                micros(opening.closed),
                micros(opening.killed),
                opening.restored.to_string(),
            ]
        })
        .collect();
    let title = "opening a map, with the first lookup, in microseconds (quartiles): after a close; after a kill in the \
                 middle of a transaction\n\n";
    title.to_owned() + &table(&["map", "segment", "entries", "closed", "killed", "bytes restored"], &rows)
}

/// What was chosen for whom.
fn configurations(trials: &[Trial]) -> String {
    let mut seen: Vec<&str> = Vec::new();
    let mut text = String::new();
    for standing in trials.iter().flat_map(|trial| &trial.results) {
        if !standing.configuration.is_empty() && !seen.contains(&standing.name.as_str()) {
            seen.push(&standing.name);
            writeln!(text, "- {}: {}", standing.name, standing.configuration).expect("a string takes all");
        }
    }
    text
}
