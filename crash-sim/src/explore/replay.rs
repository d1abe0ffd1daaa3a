//! Following a case: the stream and the image of each of its crashes, made once more. Start at [`run`].

use std::mem;
use std::time::Instant;

use super::moment::{Moment, Moments};
use super::program::{Ran, Resume};
use super::{Explorer, Job, Start};
use crate::campaign::Campaign;
use crate::case::{Case, Crash};
use crate::combine::draw;
use crate::image::Delta;
use crate::model::{Model, Pending, Unit, step};
use crate::report::{Failure, Report};
use crate::trace::Trace;

/// Runs one case of a campaign.
pub(crate) fn run<T>(campaign: &Campaign<T>, model: Model, case: &str) -> Report {
    let case: Case = case.parse().unwrap_or_else(|error| panic!("{}: {error}", campaign.name));
    let started = Instant::now();
    let mut explorer = match Explorer::new(campaign, model) {
        Ok(explorer) => explorer,
        Err(report) => return *report,
    };
    match explorer.follow(&case) {
        Ok(()) => {}
        // What was mended since may do less, or persist it earlier.
        Err(Stop::NotThere(why)) => explorer.report.skipped = Some(format!("case {case}: {why}")),
        Err(Stop::Fails(why)) => panic!("{}: case {case}: {why}", campaign.name),
    }
    explorer.finish(started)
}

/// Why a case could not be followed to its end.
pub(super) enum Stop {
    /// The program does not come to where it was to crash, or does not leave there what was to be lost.
    NotThere(String),
    /// A crash before the last one fails already.
    Fails(String),
}

/// A stream, and what was there before it.
pub(super) struct Position {
    pub(super) trace: Trace,
    pub(super) dropped: Option<usize>,
    pub(super) arrived: Delta,
    pub(super) pending: Pending,
    pub(super) start: Start,
}

impl<T> Explorer<'_, T> {
    /// Runs one case.
    fn follow(&mut self, case: &Case) -> Result<(), Stop> {
        let Some((last, before)) = case.0.split_last() else { return Ok(()) };
        let mut at = self.position(before)?;
        let job = self.job_at(&mut at, before.len(), last)?;
        self.report.images = 1;
        if let Ran::Fails(oracle, message) = self.recover(&job, self.as_in_campaign()) {
            self.report.failures = 1;
            let mut failure = Failure::new(self.campaign, self.model, oracle, job.context.expect, message);
            failure.crashes = self.describe(case);
            failure.set_case(case);
            self.report.failure = Some(Box::new(failure));
        }
        Ok(())
    }

    /// Follows a case up to the stream in which its next crash falls.
    pub(super) fn position(&mut self, crashes: &[Crash]) -> Result<Position, Stop> {
        let mut at = Position {
            trace: self.workload.clone(),
            dropped: self.dropped_of_workload(),
            arrived: Delta::default(),
            pending: Pending::default(),
            start: self.start_of_workload(),
        };
        for (number, crash) in crashes.iter().enumerate() {
            let job = self.job_at(&mut at, number, crash)?;
            if let Ran::Fails(_, message) = self.recover(&job, self.as_in_campaign()) {
                return Err(Stop::Fails(format!("crash {number} fails already: {message}")));
            }
            let (start, pending) = self.start_behind(&job);
            let trace = mem::take(&mut self.trace);
            at = Position {
                dropped: self.dropped_of_recovery(&trace),
                trace,
                arrived: self.canvas.delta(),
                pending,
                start,
            };
        }
        Ok(at)
    }

    /// The image of a crash of a case.
    fn job_at(&mut self, at: &mut Position, number: usize, crash: &Crash) -> Result<Job, Stop> {
        let units = self.units_at(at, crash.point as usize).ok_or_else(|| {
            Stop::NotThere(format!("crash {number} is at {} of {} events", crash.point, at.trace.len()))
        })?;
        self.image_at(at, &units, crash)
            .ok_or_else(|| Stop::NotThere(format!("crash {number} loses what is not under way there")))
    }

    /// The units at a point of a stream; the canvas is what has surely arrived then, and `at` knows what is under way.
    pub(super) fn units_at(&mut self, at: &mut Position, point: usize) -> Option<Vec<Unit>> {
        if point > at.trace.len() {
            return None;
        }
        self.canvas.load(&at.arrived);
        for index in (0..point).filter(|&index| Some(index) != at.dropped) {
            step(self.model, &at.trace, index, &mut at.pending, &mut self.canvas);
        }
        at.arrived = self.canvas.delta();
        Some(at.pending.all_units(&self.canvas))
    }

    /// The image of one crash, from what [`units_at`](Explorer::units_at) has found.
    pub(super) fn image_at(&mut self, at: &Position, units: &[Unit], crash: &Crash) -> Option<Job> {
        self.canvas.load(&at.arrived);
        let moment = Moments::of(&at.trace, at.start.moment).at(crash.point as usize);
        let mut carried = None;
        if crash.is_kill {
            at.pending.draw(&mut self.canvas);
            carried = Some(Box::new((at.arrived.clone(), at.pending.clone().carried())));
        } else {
            let is_there = |&(unit, kept): &(u16, u16)| {
                units.get(usize::from(unit)).is_some_and(|unit| usize::from(kept) < unit.atoms.len())
            };
            if !crash.lost.iter().all(is_there) {
                return None;
            }
            draw(&mut self.canvas, units, &crash.lost);
        }
        let Moment { context, len, .. } = moment;
        Some(Job {
            delta: self.canvas.delta(),
            carried,
            open: self.nothing_open.clone(),
            len,
            context,
            depth: at.start.depth,
            node: usize::MAX,
        })
    }

    /// How the runs of a replay go on: as those of the campaign may have.
    pub(super) fn as_in_campaign(&self) -> Resume {
        if self.budget.resumed > 0 { Resume::Always } else { Resume::Never }
    }
}
