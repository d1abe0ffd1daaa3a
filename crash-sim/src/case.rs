//! One case of a campaign in a few characters: where it crashed, and what was lost, crash by crash.
//!
//! `41` crashes when 41 events have happened, and everything stored by then arrives. `41-2.3-5.0` crashes there, and
//! unit 2 keeps the first 3 of its stores, unit 5 none. `41k` kills the process, and the caches live on. Crashes of
//! recovery follow behind a slash: `41-2.3/5`.

use std::fmt;
use std::str::FromStr;

/// A crash: where, and what became of what was under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Crash {
    /// How many events happened before it.
    pub(crate) point: u32,
    /// Units that did not arrive whole, and how many atoms of each did.
    pub(crate) lost: Box<[(u16, u16)]>,
    /// Only the process died, and its caches live on.
    pub(crate) is_kill: bool,
}

/// All crashes, the first one first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Case(pub(crate) Vec<Crash>);

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, crash) in self.0.iter().enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { "/" }, crash.point)?;
            if crash.is_kill {
                f.write_str("k")?;
            }
            crash.lost.iter().try_for_each(|(unit, kept)| write!(f, "-{unit}.{kept}"))?;
        }
        Ok(())
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is no case of a campaign, such as 41-2.3/5");
        let parse = |part: &str| {
            let mut parts = part.split('-');
            let point = parts.next().unwrap_or_default();
            let (point, is_kill) = point.strip_suffix('k').map_or((point, false), |point| (point, true));
            let lost = parts.map(|unit| {
                let (unit, kept) = unit.split_once('.')?;
                Some((unit.parse().ok()?, kept.parse().ok()?))
            });
            Some(Crash { point: point.parse().ok()?, lost: lost.collect::<Option<_>>()?, is_kill })
        };
        text.split('/').map(parse).collect::<Option<_>>().map(Case).ok_or_else(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_reads_as_it_is_written() {
        for text in ["0", "41-2.3-5.0", "41k/0/7-0.0"] {
            assert_eq!(text.parse::<Case>().unwrap().to_string(), text);
        }
        for text in ["", "x", "1-", "1-2", "1/", "1-2.3.4", "-1", "99999999999"] {
            assert!(text.parse::<Case>().is_err(), "{text}");
        }
    }
}
