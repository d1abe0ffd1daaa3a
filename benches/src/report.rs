//! All that a comparison finds: as a value, as JSON, and as text that can be pasted into a document.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::aims::{self, Aim, Limit};
use crate::claims::{self, Claim};
use crate::engine::Level;
use crate::fragmentation::Phase;
use crate::machine::Machine;
use crate::opening::Opening;
use crate::race::{Outcome, Spread, Standing, ratio};
use crate::recovery::Recovery;
use crate::work::Counter;
use crate::workload::{Durable, Workload};

/// All that a comparison has found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// Who counted instructions.
    pub counter: Counter,
    /// Race by race.
    pub races: Vec<Race>,
    /// One range of 8 bytes in data of growing length.
    pub growth: Vec<Growth>,
    /// Recovery by length of the log.
    pub recoveries: Vec<Recovery>,
    /// Contenders that ran without a system call, and those that made one.
    pub silent: Vec<(String, bool)>,
    /// Segments by length.
    pub openings: Vec<Opening>,
    /// The heap's history.
    pub phases: Vec<Phase>,
    /// What was aimed at.
    pub aims: Vec<Aim>,
    /// What the paper claims.
    pub claims: Vec<Claim>,
    /// What there was no room for.
    pub left_out: Vec<String>,
    /// What did not work.
    pub failures: Vec<String>,
}

/// One workload's race.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Race {
    /// Name of the workload.
    pub workload: String,
    /// What a store needs to be durable.
    pub domain: String,
    /// Transactions of a contender in a round, at most.
    pub per_round: usize,
    /// Rounds that were timed.
    pub rounds: usize,
    /// What came out.
    pub results: Vec<Standing>,
}

impl Race {
    /// How a contender fared, if it was in the race and did not fail.
    pub fn outcome(&self, name: &str) -> Option<&Outcome> {
        let found = self.results.iter().find(|standing| standing.name == name)?;
        found.outcome.as_ref().ok()
    }

    /// The first that is called vista, which is the way that the workload is best written.
    pub fn vista(&self) -> Option<(&Standing, &Outcome)> {
        let standing = self.results.iter().find(|standing| standing.name.starts_with("vista"))?;
        Some((standing, standing.outcome.as_ref().ok()?))
    }
}

/// A contender with data of one length.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Growth {
    /// The length.
    pub bytes: u64,
    /// How the contender fared.
    pub standing: Standing,
}

impl Report {
    /// The race on this workload.
    pub fn race(&self, workload: Workload, durable: Durable) -> Option<&Race> {
        let domain = durable.domain().to_string();
        self.races.iter().find(|race| race.workload == workload.title() && race.domain == domain)
    }

    /// Compares what was found with what is aimed at and what the paper claims.
    pub fn judge(&mut self) {
        self.aims = aims::of(self);
        self.claims = claims::of(self);
    }

    /// All tables.
    pub fn text(&self) -> String {
        let mut text = self.machine.lines().join("\n");
        writeln!(text, "\n{}\n", self.counter.line()).expect("a string takes all");
        let tables = [
            self.races.iter().map(race_table).collect::<Vec<_>>().join("\n"),
            self.races.iter().filter_map(latency_table).collect::<Vec<_>>().join("\n"),
            growth_table(&self.growth),
            recovery_table(&self.recoveries),
            if self.openings.is_empty() { String::new() } else { opening_table(&self.openings) },
            if self.phases.is_empty() { String::new() } else { phase_table(&self.phases) },
            self.silent.iter().map(silent_line).collect(),
            if self.claims.is_empty() { String::new() } else { claim_table(&self.claims) },
            if self.aims.is_empty() { String::new() } else { aim_table(&self.aims) },
            lines("left out: ", &self.left_out),
            lines("FAILED: ", &self.failures),
        ];
        for table in tables.iter().filter(|table| !table.is_empty()) {
            text.push_str(table);
            text.push('\n');
        }
        text
    }
}

pub(crate) fn lines(head: &str, lines: &[String]) -> String {
    lines.iter().map(|line| format!("{head}{line}\n")).collect()
}

fn silent_line((name, is_silent): &(String, bool)) -> String {
    format!("{}: {name}\n", if *is_silent { "no system call" } else { "MADE A SYSTEM CALL" })
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
fn bounds(race: &Race, outcome: &Outcome) -> [Option<f64>; 2] {
    let stores = race.outcome("bare stores").or_else(|| race.outcome("malloc and free"));
    [stores, race.outcome("bare undo log")].map(|bound| bound.map(|bound| ratio(outcome, bound)))
}

fn race_table(race: &Race) -> String {
    let header = [
        "engine",
        "survives",
        "ns",
        "quartiles",
        "CPU",
        "process",
        "to stores",
        "to undo log",
        "fences",
        "lines",
        "log bytes",
        "allocations",
        "instructions",
        "calls",
        "a round",
    ];
    let rows: Vec<_> = race.results.iter().map(|standing| race_row(race, standing, header.len())).collect();
    let title = format!(
        "{}; {}: nanoseconds per transaction, at most {} of them a round, {} rounds\n\n",
        race.workload, race.domain, race.per_round, race.rounds
    );
    let failed = |standing: &Standing| {
        let failure = standing.outcome.as_ref().err()?;
        Some(format!("{} failed: {failure}\n", standing.name))
    };
    let configured = |standing: &Standing| {
        let configuration = &standing.configuration;
        (!configuration.is_empty()).then(|| format!("- {}: {configuration}\n", standing.name))
    };
    let notes: String = race.results.iter().filter_map(configured).collect();
    let failures: String = race.results.iter().filter_map(failed).collect();
    title + &table(&header, &rows) + &notes + &failures
}

fn race_row(race: &Race, standing: &Standing, columns: usize) -> Vec<String> {
    let mut row = vec![standing.name.clone(), standing.level.to_string()];
    let Ok(outcome) = &standing.outcome else {
        row.push("failed".to_owned());
        row.resize(columns, "-".to_owned());
        return row;
    };
    let [stores, log] = bounds(race, outcome);
    let factor = |ratio: Option<f64>| ratio.map_or_else(dash, figure);
    let count = |count: Option<f64>| count.map_or_else(dash, plain);
    let seam = outcome.costs.and_then(|costs| costs.seam);
    let work = outcome.work.as_ref();
    row.extend([
        nanos(outcome.wall.median),
        format!("{}..{}", nanos(outcome.wall.lower), nanos(outcome.wall.upper)),
        nanos(outcome.thread.median),
        nanos(outcome.process.median),
        factor(stores),
        factor(log),
        count(seam.map(|seam| seam.fences)),
        count(seam.map(|seam| seam.lines)),
        count(seam.map(|seam| seam.log_bytes)),
        count(outcome.costs.map(|costs| costs.allocations)),
        count(work.and_then(|work| work.instructions).map(f64::round)),
        count(work.map(|work| work.system_calls)),
        outcome.per_round.to_string(),
    ]);
    row
}

/// Three digits or more.
pub(crate) fn figure(figure: f64) -> String {
    if figure < 100.0 { format!("{figure:.2}") } else { format!("{figure:.0}") }
}

fn dash() -> String {
    "-".to_owned()
}

pub(crate) fn nanos(nanos: f64) -> String {
    if nanos < 1000.0 { format!("{nanos:.1}") } else { format!("{nanos:.0}") }
}

/// A count: whole if it is.
fn plain(count: f64) -> String {
    if count.fract() == 0.0 { format!("{count:.0}") } else { format!("{count:.2}") }
}

/// Of a race whose transactions were also timed one by one.
fn latency_table(race: &Race) -> Option<String> {
    let latency = |standing: &Standing| {
        let latency = standing.outcome.as_ref().ok()?.latency?;
        let mut row = vec![standing.name.clone(), standing.level.to_string()];
        row.extend(latency.quantiles().map(|nanos| nanos.map_or_else(dash, |nanos| nanos.to_string())));
        row.extend([latency.max, latency.overhead, latency.count].map(|number| number.to_string()));
        Some(row)
    };
    let rows: Vec<_> = race.results.iter().filter_map(latency).collect();
    let header = ["engine", "survives", "p50", "p99", "p99.9", "max", "of the clock", "transactions"];
    let title = format!(
        "{}; {}: latency of a transaction in nanoseconds, the clock's own included\n\n",
        race.workload, race.domain
    );
    (!rows.is_empty()).then(|| title + &table(&header, &rows))
}

fn growth_table(growth: &[Growth]) -> String {
    let mut lengths: Vec<_> = growth.iter().map(|growth| growth.bytes).collect();
    lengths.sort_unstable();
    lengths.dedup();
    let mut engines: Vec<(&str, Level)> = Vec::new();
    for Growth { standing, .. } in growth {
        if !engines.iter().any(|(name, _)| *name == standing.name) {
            engines.push((&standing.name, standing.level));
        }
    }
    if engines.is_empty() {
        return String::new();
    }
    let cell = |name: &str, bytes: u64| {
        let found = growth.iter().find(|growth| growth.bytes == bytes && growth.standing.name == name);
        let outcome = found.map(|growth| &growth.standing.outcome);
        match outcome {
            Some(Ok(outcome)) => nanos(outcome.wall.median),
            Some(Err(_)) => "failed".to_owned(),
            None => dash(),
        }
    };
    let rows: Vec<_> = engines
        .iter()
        .map(|(name, level)| {
            let cells = lengths.iter().map(|&bytes| cell(name, bytes));
            [(*name).to_owned(), level.to_string()].into_iter().chain(cells).collect()
        })
        .collect();
    let lengths: Vec<_> = lengths.iter().map(|bytes| format!("{} MiB", bytes >> 20)).collect();
    let header: Vec<_> =
        ["engine", "survives"].into_iter().chain(lengths.iter().map(String::as_str)).collect();
    let title = "one range of 8 B; page-cache: nanoseconds per transaction, by length of the data\n\n";
    title.to_owned() + &table(&header, &rows)
}

fn recovery_table(recoveries: &[Recovery]) -> String {
    if recoveries.is_empty() {
        return String::new();
    }
    let rows: Vec<_> = recoveries
        .iter()
        .map(|recovery| {
            vec![
                recovery.name.clone(),
                recovery.level.to_string(),
                format!("{} KiB", recovery.log_bytes >> 10),
                micros(recovery.micros),
            ]
        })
        .collect();
    let title =
        "recovery, in microseconds (quartiles): opening after a kill, by the bytes that the log restores\n\n";
    title.to_owned() + &table(&["engine", "survives", "restored", "opening"], &rows)
}

pub(crate) fn micros(spread: Spread) -> String {
    format!("{:.0} ({:.0}..{:.0})", spread.median, spread.lower, spread.upper)
}

fn opening_table(openings: &[Opening]) -> String {
    let rows: Vec<_> = openings
        .iter()
        .map(|opening| {
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
                phase.name.clone(),
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

pub(crate) fn aim_table(aims: &[Aim]) -> String {
    let rows: Vec<_> = aims
        .iter()
        .map(|aim| {
            let limit = match aim.limit {
                Limit::AtMost(limit) => format!("at most {limit:.2}"),
                Limit::AtLeast(limit) => format!("at least {limit:.2}"),
            };
            let verdict = if aim.is_reached() { "reached" } else { "MISSED" };
            vec![aim.what.clone(), limit, figure(aim.found), verdict.to_owned()]
        })
        .collect();
    table(&["aim", "limit", "found", ""], &rows)
}

fn claim_table(claims: &[Claim]) -> String {
    let rows: Vec<_> = claims
        .iter()
        .map(|claim| {
            let verdict = match claim.holds {
                Some(true) => "holds",
                Some(false) => "DOES NOT HOLD",
                None => "-",
            };
            let paper = claim.paper.map_or_else(dash, |paper| format!("{paper:.0}"));
            vec![claim.what.clone(), claim.of.clone(), paper, figure(claim.ours), verdict.to_owned()]
        })
        .collect();
    table(&["claim of the paper", "of", "paper", "here", ""], &rows)
}
