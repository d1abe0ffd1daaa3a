//! One case of a disk campaign in a few characters: run by run, what failed and where it crashed.
//!
//! `w@41-2.3-5.0/o` runs the workload (`w`), cuts the power when 41 events have happened, where dirty sector 2 keeps the
//! first 3 of its versions and sector 5 none, and opens (`o`). `r` opens and goes on working. A `k` behind the number of
//! events kills the process and nothing more. `wf7l@9/o` lets call 7 fail in the way `l`: see [`FAULTS`].

use std::fmt;
use std::str::FromStr;

use super::Fault;

/// How each fault is written.
const FAULTS: [(char, Fault); 7] = [
    ('n', Fault::WriteNothing),
    ('p', Fault::WritePart),
    ('a', Fault::WriteAll),
    ('s', Fault::WriteShort),
    ('l', Fault::SyncLost),
    ('k', Fault::SyncKept),
    ('m', Fault::SyncMixed),
];

/// What a run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Work,
    Open,
    Resume,
}

/// A crash of a run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Crash {
    /// How many events happened before it.
    pub(crate) point: u32,
    /// Dirty sectors that do not have their last version, and which they have.
    pub(crate) lost: Vec<(u16, u16)>,
    pub(crate) is_kill: bool,
}

/// A run, and what ended it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Run {
    pub(crate) kind: Kind,
    pub(crate) fault: Option<(u32, Fault)>,
    /// None for the last one.
    pub(crate) crash: Option<Crash>,
}

impl Run {
    pub(crate) fn new(kind: Kind) -> Run {
        Run { kind, fault: None, crash: None }
    }
}

/// Its runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Case(pub(crate) Vec<Run>);

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, run) in self.0.iter().enumerate() {
            let kind = match run.kind {
                Kind::Work => 'w',
                Kind::Open => 'o',
                Kind::Resume => 'r',
            };
            write!(f, "{}{kind}", if index == 0 { "" } else { "/" })?;
            if let Some((call, fault)) = run.fault {
                let (letter, _) = FAULTS.iter().find(|(_, other)| *other == fault).expect("all are there");
                write!(f, "f{call}{letter}")?;
            }
            if let Some(crash) = &run.crash {
                write!(f, "@{}{}", crash.point, if crash.is_kill { "k" } else { "" })?;
                crash.lost.iter().try_for_each(|(unit, kept)| write!(f, "-{unit}.{kept}"))?;
            }
        }
        Ok(())
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let runs = text.split('/').map(parse).collect::<Option<_>>().map(Case);
        runs.ok_or_else(|| format!("`{text}` is no case of a disk campaign, such as w@41-2.3/o"))
    }
}

fn parse(text: &str) -> Option<Run> {
    let (what, crash) = match text.split_once('@') {
        Some((what, crash)) => (what, Some(parse_crash(crash)?)),
        None => (text, None),
    };
    let mut letters = what.chars();
    let kind = match letters.next()? {
        'w' => Kind::Work,
        'o' => Kind::Open,
        'r' => Kind::Resume,
        _ => return None,
    };
    let rest = letters.as_str();
    let fault = if rest.is_empty() {
        None
    } else {
        let rest = rest.strip_prefix('f')?;
        let letter = rest.chars().next_back()?;
        let (_, fault) = FAULTS.iter().find(|(other, _)| *other == letter)?;
        Some((rest.strip_suffix(letter)?.parse().ok()?, *fault))
    };
    Some(Run { kind, fault, crash })
}

fn parse_crash(text: &str) -> Option<Crash> {
    let mut parts = text.split('-');
    let point = parts.next()?;
    let (point, is_kill) = point.strip_suffix('k').map_or((point, false), |point| (point, true));
    let lost = parts.map(|unit| {
        let (unit, kept) = unit.split_once('.')?;
        Some((unit.parse().ok()?, kept.parse().ok()?))
    });
    Some(Crash { point: point.parse().ok()?, lost: lost.collect::<Option<_>>()?, is_kill })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_reads_as_it_is_written() {
        for text in ["w", "w@41-2.3-5.0/o", "w@41k/of0n@7/r", "wf12m@3/o"] {
            assert_eq!(text.parse::<Case>().unwrap().to_string(), text);
        }
        for text in ["", "x", "w@", "w@1-2", "wf3", "wf3z", "w1", "w@1/", "w@99999999999"] {
            assert!(text.parse::<Case>().is_err(), "{text}");
        }
    }
}
