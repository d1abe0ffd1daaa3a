//! Making a failure small: the fewest losses with which it fails the same way. Start at [`Explorer::minimise`].

use super::Explorer;
use super::program::Ran;
use crate::case::{Case, Crash};
use crate::report::Oracle;

/// How many pairs of losses are tried to make a failure small.
const MINIMISE_MAX: usize = 10_000;

impl<T> Explorer<'_, T> {
    /// The same crash with fewer units lost, if it fails as well: none, one, two, or without those that do not matter.
    pub(super) fn minimise(&mut self, case: &Case, oracle: Oracle) -> Option<Case> {
        let (last, before) = case.0.split_last()?;
        if last.is_kill || last.lost.is_empty() {
            return None;
        }
        let mut at = self.position(before).ok()?;
        let units = self.units_at(&mut at, last.point as usize)?;
        let fails = |explorer: &mut Self, lost: &[(u16, u16)]| {
            let crash = Crash { point: last.point, lost: lost.into(), is_kill: false };
            let job = explorer.image_at(&at, &units, &crash)?;
            let resume = explorer.as_in_campaign();
            let is_same = |ran| matches!(ran, Ran::Fails(again, _) if again == oracle);
            is_same(explorer.recover(&job, resume)).then_some(crash)
        };
        let all: Vec<(u16, u16)> = last.lost.to_vec();
        let mut best = fails(self, &[]);
        best = best.or_else(|| all.iter().find_map(|&one| fails(self, &[one])));
        let pairs = || all.iter().enumerate().flat_map(|(i, &a)| all[..i].iter().map(move |&b| [b, a]));
        best = best.or_else(|| pairs().take(MINIMISE_MAX).find_map(|pair| fails(self, &pair)));
        if best.is_none() {
            let mut left = all.clone();
            for one in all {
                let fewer: Vec<_> = left.iter().copied().filter(|&other| other != one).collect();
                if let Some(crash) = fails(self, &fewer) {
                    left = fewer;
                    best = Some(crash);
                }
            }
        }
        let mut crashes = before.to_vec();
        crashes.push(best?);
        Some(Case(crashes))
    }
}
