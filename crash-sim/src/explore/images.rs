//! The images of a stream: what a crash at each of its points may leave. Start at [`Explorer::images_of`].

use std::mem;

use super::moment::Moments;
use super::{Explorer, Start};
use crate::campaign::Budget;
use crate::case::Crash;
use crate::combine::{Combined, Meet, combination_count, combine};
use crate::image::{Canvas, Seen, Sequence};
use crate::lazy::{Open, open_lines};
use crate::model::{Model, Pending, Unit, step, walk};
use crate::trace::{Event, Trace};

impl<T> Explorer<'_, T> {
    /// Meets all images of a stream, with the canvas as what has surely arrived before it.
    /// `left` is what crashes before have left open, and is so still.
    pub(super) fn images_of(
        &mut self,
        trace: &Trace,
        dropped: Option<usize>,
        pending: &mut Pending,
        start: Start,
        left: &[Open],
    ) {
        if self.campaign.crashes_after_kill && self.model == Model::Adr && !start.is_after_kill {
            if left.is_empty() {
                self.kills_of(trace, dropped, pending.clone(), start);
            } else {
                self.report.uncovered += 1; // Kills where lines are open are not looked at.
            }
        }
        let mut moments = Moments::of(trace, start.moment);
        let mut canvas = mem::replace(&mut self.canvas, Canvas::new(Vec::new()));
        let mut seen = mem::take(&mut self.seen);
        let Budget { eager, samples, seed, .. } = self.budget;
        let is_lazy = self.campaign.is_lazy;
        pending.arrived = (!left.is_empty()).then(Vec::new);
        let unit_len = self.model.unit_len();
        let is_open = |offset| left.iter().any(|open| open.offset(unit_len) == offset / unit_len * unit_len);
        let mut last = None;
        walk(self.model, trace, dropped, pending, &mut canvas, is_open, |canvas, index, units, arrived| {
            let moment = moments.at(index);
            if !moment.is_crashed {
                return;
            }
            if self.is_late() {
                self.report.uncovered += 1;
                return;
            }
            self.report.points += 1;
            let salt = moments.salt;
            // Most stores of a recovery store what is there already.
            let image = salt ^ canvas.hash();
            if units.is_empty() && left.is_empty() && last.replace(image) == Some(image) {
                self.report.combinations += 1;
                return;
            }
            let start = Start { moment, ..start };
            if !left.is_empty() || is_lazy && combination_count(units) > u128::from(eager) {
                self.meet_open(&mut seen, start, canvas, index, units, left, arrived);
                return;
            }
            let seed = seed ^ (index as u64) << 20 ^ units.len() as u64;
            let mut meet = MeetImages { explorer: self, seen: &mut seen, start, salt, index, units };
            let Combined { tried, all } = combine(canvas, units, eager, samples, seed, &mut meet);
            self.report.combinations += u128::from(tried);
            self.report.uncovered = self.report.uncovered.saturating_add(all - u128::from(tried));
        });
        self.canvas = canvas;
        self.seen = seen;
    }

    /// Meets what a kill leaves at each store: all that was stored, some of it still under way.
    fn kills_of(&mut self, trace: &Trace, dropped: Option<usize>, mut pending: Pending, start: Start) {
        let mut moments = Moments::of(trace, start.moment);
        let before = self.canvas.delta();
        for index in 0..trace.len() {
            if Some(index) != dropped {
                step(self.model, trace, index, &mut pending, &mut self.canvas);
            }
            let moment = moments.at(index + 1);
            let event = trace.events()[index];
            let is_point = matches!(event, Event::Store { .. } | Event::Grow { .. } | Event::Ack { .. });
            if is_point && moment.is_crashed && !pending.is_empty() {
                if self.is_late() {
                    self.report.uncovered += 1;
                    break;
                }
                let arrived = self.canvas.delta();
                let under_way = pending.hash() ^ self.canvas.hash().rotate_left(1);
                pending.draw(&mut self.canvas);
                if self.seen.insert(moment.hash() ^ self.canvas.hash() ^ under_way)
                    && let Some(place) = self.place()
                {
                    let crash = Crash { point: index as u32 + 1, lost: Box::default(), is_kill: true };
                    let carried = Some(Box::new((arrived.clone(), pending.clone().carried())));
                    let (delta, open) = (self.canvas.delta(), self.nothing_open.clone());
                    self.enqueue(place, Start { moment, ..start }, delta, carried, open, crash);
                }
                self.canvas.load(&arrived);
            }
        }
        self.canvas.load(&before);
    }

    /// Enqueues all images at a point as one, to be told apart when they are read.
    #[expect(clippy::too_many_arguments)]
    fn meet_open(
        &mut self,
        seen: &mut Seen,
        start: Start,
        canvas: &mut Canvas,
        index: usize,
        units: &[&Unit],
        left: &[Open],
        arrived: &[u32],
    ) {
        let open = open_lines(left, arrived, units, self.model.unit_len(), canvas);
        let mut hash = Sequence::new(0x13198A2E_03707344_A4093822_299F31D0);
        open.iter().for_each(|open| open.add_to_hash(&mut hash));
        if seen.insert(start.moment.hash() ^ canvas.hash() ^ hash.hash())
            && let Some(place) = self.place()
        {
            let crash = Crash { point: index as u32, lost: Box::default(), is_kill: false };
            self.enqueue(place, start, canvas.delta(), None, open.into(), crash);
        }
    }
}

/// Enqueues the images of a crash point that are new.
struct MeetImages<'a, 'c, T> {
    explorer: &'a mut Explorer<'c, T>,
    seen: &'a mut Seen,
    start: Start,
    /// What tells images apart beside their content.
    salt: u128,
    index: usize,
    units: &'a [&'a Unit],
}

impl<T> Meet for MeetImages<'_, '_, T> {
    #[inline]
    fn is_new(&mut self, hash: u128) -> bool {
        self.seen.insert(self.salt ^ hash)
    }

    fn see(&mut self, canvas: &Canvas, kept: &[u16]) {
        let Some(place) = self.explorer.place() else { return };
        let crash = Crash { point: self.index as u32, lost: lost_of(self.units, kept), is_kill: false };
        let open = self.explorer.nothing_open.clone();
        self.explorer.enqueue(place, self.start, canvas.delta(), None, open, crash);
    }
}

/// The units that did not arrive whole.
fn lost_of(units: &[&Unit], kept: &[u16]) -> Box<[(u16, u16)]> {
    let lost = |(index, unit): (usize, &&Unit)| {
        let kept = kept[index];
        (Some(&kept) != unit.steps.last()).then_some((unit.number, kept))
    };
    units.iter().enumerate().filter_map(lost).collect()
}
