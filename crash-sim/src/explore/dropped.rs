//! Events left out: which can be, and which one a campaign leaves out. Start at [`droppable`].

use super::Explorer;
use super::program::Resume;
use super::replay::Stop;
use crate::campaign::Campaign;
use crate::lazy::Undecided;
use crate::model::Model;
use crate::mutants::{self, Dropped};
use crate::trace::{Event, Trace};

/// The events that can be left out of the workload, and of its recoveries, and where each came from. The campaign must be
/// one that holds.
pub(crate) fn droppable<T>(
    campaign: &Campaign<T>,
    model: Model,
) -> Result<Vec<(Dropped, Event, String)>, String> {
    let mut explorer = Explorer::new(campaign, model).map_err(|report| report.to_string())?;
    let mut found = Vec::new();
    let workload = explorer.workload.clone();
    for (number, index) in
        (0..workload.len()).filter(|&at| mutants::can_be_dropped(&workload.events()[at])).enumerate()
    {
        let source = explorer.source_of(&workload, index, &[]);
        found.push((Dropped::Workload(number), workload.events()[index], source));
    }
    // The recovery with the most events that can be left out stands for all.
    explorer.images_of_workload();
    let mut longest: (usize, usize) = (0, 0);
    while let Some(job) = explorer.queue.pop_front().filter(|job| job.depth == 0) {
        let _ = explorer.recover(&job, Resume::Never);
        explorer.undecided = Undecided::default();
        let count = explorer.trace.events().iter().filter(|event| mutants::can_be_dropped(event)).count();
        if count > longest.0 {
            longest = (count, job.node);
        }
    }
    if longest.0 > 0 {
        let case = explorer.case_of(longest.1);
        let at = explorer.position(&case.0).map_err(|(Stop::NotThere(why) | Stop::Fails(why))| why)?;
        let end = end_of_recovery(&at.trace);
        let events = (0..end).filter(|&index| mutants::can_be_dropped(&at.trace.events()[index]));
        for (number, index) in events.enumerate() {
            let source = explorer.source_of(&at.trace, index, &case.0);
            found.push((Dropped::Recovery(number), at.trace.events()[index], source));
        }
    }
    Ok(found)
}

impl<T> Explorer<'_, T> {
    /// The event of the workload that is left out.
    pub(super) fn dropped_of_workload(&self) -> Option<usize> {
        match self.campaign.dropped {
            Some(Dropped::Workload(number)) => dropped_in(&self.workload, number, self.workload.len()),
            _ => None,
        }
    }

    /// The event of a recovery that is left out.
    pub(super) fn dropped_of_recovery(&mut self, trace: &Trace) -> Option<usize> {
        let Some(Dropped::Recovery(number)) = self.campaign.dropped else { return None };
        dropped_in(trace, number, end_of_recovery(trace))
    }
}

/// The `number`-th event before `end` that can be left out.
fn dropped_in(trace: &Trace, number: usize, end: usize) -> Option<usize> {
    let can_be = |&index: &usize| mutants::can_be_dropped(&trace.events()[index]);
    (0..end).filter(can_be).nth(number)
}

/// How many events a recovery has, of a stream that goes on behind it.
fn end_of_recovery(trace: &Trace) -> usize {
    let is_end = |event: &Event| matches!(event, Event::Opened { .. });
    trace.events().iter().position(is_end).unwrap_or(trace.len())
}
