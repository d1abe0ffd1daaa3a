//! A failure in words: where it crashed, what was lost, and where in the source that happened. Start at
//! [`Explorer::describe`].

use super::Explorer;
use super::replay::Position;
use crate::case::{Case, Crash};
use crate::model::Unit;
use crate::symbols;
use crate::trace::{Event, Trace};

impl<T> Explorer<'_, T> {
    /// Each crash in words.
    pub(super) fn describe(&mut self, case: &Case) -> Vec<String> {
        let mut words = Vec::new();
        for (number, crash) in case.0.iter().enumerate() {
            let Ok(mut at) = self.position(&case.0[..number]) else { return words };
            let Some(units) = self.units_at(&mut at, crash.point as usize) else { return words };
            words.extend(self.describe_crash(number, crash, &at, &units, &case.0[..number]));
        }
        words
    }

    fn describe_crash(
        &mut self,
        number: usize,
        crash: &Crash,
        at: &Position,
        units: &[Unit],
        before: &[Crash],
    ) -> Vec<String> {
        let point = crash.point as usize;
        let whose = if number == 0 { "the workload".to_owned() } else { format!("recovery {number}") };
        let mut lines = vec![format!(
            "{} {whose}, {} of {} events",
            if crash.is_kill { "killed in" } else { "crashed in" },
            point,
            at.trace.len()
        )];
        if let Some(event) = at.trace.events().get(point) {
            lines.push(format!(
                "  before {}{}",
                event_words(event),
                self.source_of(&at.trace, point, before)
            ));
        }
        if let Some(last) = (0..point).rev().find(|&index| !at.trace.events()[index].is_mark()) {
            let event = &at.trace.events()[last];
            lines.push(format!("  behind {}{}", event_words(event), self.source_of(&at.trace, last, before)));
        }
        for &(number, kept) in &crash.lost {
            let unit = &units[usize::from(number)];
            let first = unit.atoms[usize::from(kept)].event as usize;
            let source =
                if first < at.trace.len() { self.source_of(&at.trace, first, before) } else { String::new() };
            lines.push(format!(
                "  lost at {}: all but the first {kept} of {} words, from the store of event {first} on{source}",
                unit.offset,
                unit.atoms.len(),
            ));
        }
        lines
    }

    /// Where an event of the stream behind these crashes came from, by the address that the recorder noted, or by running
    /// it once more and looking at the stack.
    pub(super) fn source_of(&mut self, trace: &Trace, index: usize, before: &[Crash]) -> String {
        let site = trace.site(index);
        if site != 0 {
            return symbols::of_address(site);
        }
        symbols::capture_at(index);
        if before.is_empty() {
            let _ = self.run_workload();
        } else {
            let _ = self.position(before);
        }
        symbols::captured()
    }
}

pub(crate) fn event_words(event: &Event) -> String {
    match *event {
        Event::Store { offset, len, is_streaming, .. } => {
            format!("a {}store of {len} bytes at {offset}", if is_streaming { "streaming " } else { "" })
        }
        Event::Flush { offset } => format!("the write-back of the line at {}", offset / 64 * 64),
        Event::Fence => "a fence".to_owned(),
        Event::Sync { .. } => "a sync".to_owned(),
        Event::Load { offset, len } => format!("a load of {len} bytes at {offset}"),
        Event::Grow { len } => format!("the growth to {len} bytes"),
        Event::Begin { op } => format!("the begin of operation {}", op - 1),
        Event::Ack { op: 0 } => "the acknowledgement of the creation".to_owned(),
        Event::Ack { op } => format!("the acknowledgement of operation {}", op - 1),
        Event::Opened { .. } => "the end of the recovery".to_owned(),
    }
}
