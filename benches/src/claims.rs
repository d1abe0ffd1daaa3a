//! What the Vista paper claims, beside what was measured: computed where lrvm was in the race.
//!
//! The paper (Lowell and Chen, SOSP 1997) tells of a small transaction of 10,000 microseconds in RVM on a disk, 500 in RVM
//! on Rio and 5 in Vista, of 720 lines, and multiplies: 20 for Rio alone, 100 for Vista on Rio, 2000 together. Start at [`of`].

use serde::{Deserialize, Serialize};

use crate::aims::{LRVM_DISK, LRVM_RIO};
use crate::race::{Outcome, ratio};
use crate::report::{Race, Report};
use crate::source;
use crate::workload::{Durable, Workload};

/// A claim of the paper's and what is found of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// What is claimed, and of what.
    pub what: String,
    /// The medium or the workload that the figure is of.
    pub of: String,
    /// The paper's figure, if it has one.
    pub paper: Option<f64>,
    /// Ours.
    pub ours: f64,
    /// Whether ours is at least as good; nothing, if the paper has none.
    pub holds: Option<bool>,
}

/// What lrvm does without waiting for each commit, flushed in groups.
const GROUPED: [(&str, &str); 2] =
    [("lrvm, disk, no-flush", "disk, group commit"), ("lrvm, on Rio, no-flush", "Rio, group commit")];

/// All claims that the report has the contenders for.
pub fn of(report: &Report) -> Vec<Claim> {
    let mut claims = Vec::new();
    for race in report.races.iter().filter(|race| race.domain == Durable::PageCache.domain().to_string()) {
        let is_small = race.workload == Workload::Range8.title()
            || ["debit-credit, scale", "order-entry"].iter().any(|name| race.workload.starts_with(name));
        if is_small {
            of_race(race, report, &mut claims);
        }
    }
    if !claims.is_empty() {
        for (files, lines) in source::counts() {
            let what = format!("lines: {files}");
            claims.push(claim(what, "vista/src", Some(720.0), lines as f64, |ours, paper| ours <= paper));
        }
    }
    claims
}

fn of_race(race: &Race, report: &Report, claims: &mut Vec<Claim>) {
    let (Some(disk), Some(rio), Some((_, vista))) =
        (race.outcome(LRVM_DISK), race.outcome(LRVM_RIO), race.vista())
    else {
        return;
    };
    let (disk_is, memory_is) = (&report.machine.disk_file_system, &report.machine.file_system);
    let mut times = |what: &str, slow: &Outcome, fast: &Outcome, paper: Option<f64>, media: String| {
        let of = format!("{}; {media}", race.workload);
        claims.push(claim(what.to_owned(), &of, paper, ratio(slow, fast), |ours, paper| ours >= paper));
    };
    let both = format!("{disk_is} and {memory_is}");
    times("Rio alone: lrvm on a disk over lrvm on Rio", disk, rio, Some(20.0), both.clone());
    times("vista on Rio: lrvm on Rio over vista", rio, vista, Some(100.0), memory_is.clone());
    times("together: lrvm on a disk over vista", disk, vista, Some(2000.0), both);
    for (name, medium) in GROUPED {
        if let Some(grouped) = race.outcome(name) {
            times(&format!("{name} over vista"), grouped, vista, None, medium.to_owned());
        }
    }
    let micros = |outcome: &Outcome| outcome.wall.median / 1000.0;
    let medians = [
        ("microseconds: lrvm on a disk", disk, 10_000.0, disk_is),
        ("microseconds: lrvm on Rio", rio, 500.0, memory_is),
        ("microseconds: vista", vista, 5.0, memory_is),
    ];
    for (what, outcome, paper, medium) in medians {
        let of = format!("{}; {medium}", race.workload);
        claims.push(claim(what.to_owned(), &of, Some(paper), micros(outcome), |ours, paper| ours <= paper));
    }
}

fn claim(what: String, of: &str, paper: Option<f64>, ours: f64, holds: fn(f64, f64) -> bool) -> Claim {
    Claim { what, of: of.to_owned(), paper, ours, holds: paper.map(|paper| holds(ours, paper)) }
}
