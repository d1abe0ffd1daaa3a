//! Tables, as text that can be pasted into a document.

use std::fmt::Write;

use serde::Serialize;

use crate::fragmentation::Phase;
use crate::machine::Machine;
use crate::opening::Opening;
use crate::race::{Result, ratio};

/// All that a comparison has found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// Race by race.
    pub races: Vec<Race>,
    /// Contenders that ran without a system call, and those that made one.
    pub silent: Vec<(String, bool)>,
    /// Segments by length.
    pub openings: Vec<Opening>,
    /// The heap's history.
    pub phases: Vec<Phase>,
    /// What was aimed at.
    pub aims: Vec<Aim>,
}

/// One workload's race.
#[derive(Clone, Debug, Serialize)]
pub struct Race {
    /// Name of the workload.
    pub workload: String,
    /// What a store needs to be durable.
    pub domain: String,
    /// Transactions of each contender in a round, and rounds.
    pub per_round: usize,
    /// Rounds that were timed.
    pub rounds: usize,
    /// What came out.
    pub results: Vec<Result>,
}

impl Race {
    /// The result of a contender.
    ///
    /// # Panics
    /// If it was not in the race.
    pub fn result(&self, name: &str) -> &Result {
        let found = self.results.iter().find(|result| result.name == name);
        found.unwrap_or_else(|| panic!("{name} was not in the race {}", self.workload))
    }
}

/// Something to be reached.
#[derive(Clone, Debug, Serialize)]
pub struct Aim {
    /// What.
    pub what: String,
    /// The most that it may be.
    pub limit: f64,
    /// What it is.
    pub found: f64,
}

impl Aim {
    /// Whether it is.
    pub fn is_reached(&self) -> bool {
        self.found <= self.limit
    }
}

impl Report {
    /// All tables.
    pub fn text(&self) -> String {
        let mut text = self.machine.lines().join("\n");
        text.push_str("\n\n");
        for race in &self.races {
            text.push_str(&race_table(race));
            text.push('\n');
        }
        if self.aims.is_empty() {
            return text; // The races alone were asked for.
        }
        text.push_str(&opening_table(&self.openings));
        text.push('\n');
        text.push_str(&phase_table(&self.phases));
        text.push('\n');
        for (name, is_silent) in &self.silent {
            let word = if *is_silent { "no system call" } else { "MADE A SYSTEM CALL" };
            writeln!(text, "{word}: {name}").expect("a string takes all");
        }
        text.push('\n');
        text.push_str(&aim_table(&self.aims));
        text
    }
}

/// Columns of equal width, as a Markdown table.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([header[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..header.len()).map(width).collect();
    let mut text = String::new();
    let mut line = |cells: Vec<&str>| {
        for (column, cell) in cells.iter().enumerate() {
            let width = widths[column];
            let cell = if column == 0 { format!("| {cell:<width$} ") } else { format!("| {cell:>width$} ") };
            text.push_str(&cell);
        }
        text.push_str("|\n");
    };
    line(header.to_vec());
    let rules: Vec<_> = widths.iter().enumerate().map(|(column, &width)| rule(column, width)).collect();
    line(rules.iter().map(String::as_str).collect());
    for row in rows {
        line(row.iter().map(String::as_str).collect());
    }
    text
}

fn rule(column: usize, width: usize) -> String {
    if column == 0 { "-".repeat(width) } else { format!("{}:", "-".repeat(width - 1)) }
}

/// What a contender is of its bounds.
fn bounds(race: &Race, result: &Result) -> [Option<f64>; 2] {
    let of = |name: &str| race.results.iter().find(|bound| bound.name == name);
    let stores = of("bare stores").or_else(|| of("malloc and free"));
    [stores, of("bare undo log")].map(|bound| bound.map(|bound| ratio(result, bound)))
}

fn race_table(race: &Race) -> String {
    let rows: Vec<Vec<String>> = race
        .results
        .iter()
        .map(|result| {
            let [stores, log] = bounds(race, result);
            let factor = |ratio: Option<f64>| ratio.map_or_else(|| "-".to_owned(), |r| format!("{r:.2}"));
            let costs = result.costs;
            vec![
                result.name.to_owned(),
                nanos(result.nanos.median),
                format!("{}..{}", nanos(result.nanos.lower), nanos(result.nanos.upper)),
                factor(stores),
                factor(log),
                plain(costs.fences),
                plain(costs.lines),
                plain(costs.log_bytes),
                plain(costs.allocations),
            ]
        })
        .collect();
    let header = [
        "engine",
        "ns",
        "quartiles",
        "to stores",
        "to undo log",
        "fences",
        "lines",
        "log bytes",
        "allocations",
    ];
    let title = format!(
        "{}; {}: nanoseconds per transaction, {} of them a round, {} rounds\n\n",
        race.workload, race.domain, race.per_round, race.rounds
    );
    title + &table(&header, &rows)
}

fn nanos(nanos: f64) -> String {
    if nanos < 1000.0 { format!("{nanos:.1}") } else { format!("{nanos:.0}") }
}

/// A count: whole if it is.
fn plain(count: f64) -> String {
    if count.fract() == 0.0 { format!("{count:.0}") } else { format!("{count:.2}") }
}

fn opening_table(openings: &[Opening]) -> String {
    let rows: Vec<_> = openings
        .iter()
        .map(|opening| {
            let micros = |spread: crate::race::Spread| {
                format!("{:.0} ({:.0}..{:.0})", spread.median, spread.lower, spread.upper)
            };
            vec![
                format!("{} MiB", opening.len >> 20),
                micros(opening.empty),
                micros(opening.in_flight),
                micros(opening.rollback),
            ]
        })
        .collect();
    let title = "opening, in microseconds (quartiles): with an empty log; after a kill with a transaction of 1 MiB in \
                 flight; of which the rollback\n\n";
    title.to_owned() + &table(&["segment", "empty log", "1 MiB in flight", "rollback"], &rows)
}

fn phase_table(phases: &[Phase]) -> String {
    let mib = |bytes: u64| format!("{:.1}", bytes as f64 / f64::from(1 << 20));
    let percent =
        |share: f64| if share.is_finite() { format!("{:.1} %", share * 100.0) } else { "-".to_owned() };
    let rows: Vec<_> = phases
        .iter()
        .map(|phase| {
            let is_empty = phase.asked == 0;
            vec![
                phase.name.to_owned(),
                phase.operations.to_string(),
                phase.block_count.to_string(),
                mib(phase.asked),
                if is_empty { "-".to_owned() } else { percent(phase.rounding()) },
                if is_empty { "-".to_owned() } else { percent(phase.slab_loss()) },
                mib(phase.free_pages),
                mib(phase.largest_free),
                mib(phase.len),
                phase.zone_count.to_string(),
                if is_empty { "-".to_owned() } else { format!("{:.2}", phase.footprint()) },
            ]
        })
        .collect();
    let header = [
        "fragmentation (MiB)",
        "operations",
        "blocks",
        "asked",
        "rounding",
        "slab loss",
        "free pages",
        "largest",
        "segment",
        "zones",
        "segment/asked",
    ];
    table(&header, &rows)
}

fn aim_table(aims: &[Aim]) -> String {
    let rows: Vec<_> = aims
        .iter()
        .map(|aim| {
            let verdict = if aim.is_reached() { "reached" } else { "MISSED" };
            vec![
                aim.what.clone(),
                format!("{:.2}", aim.limit),
                format!("{:.2}", aim.found),
                verdict.to_owned(),
            ]
        })
        .collect();
    table(&["aim", "at most", "found", ""], &rows)
}
