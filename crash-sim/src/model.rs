//! Persistency models: which images a crash may leave of a stream of events.
//!
//! A model is a value laid over a recorded [`Trace`]. At each crash point there is what is surely there, and there are
//! *units* (cache lines, sectors, streamed words) of which each may have arrived in part, independently of the
//! others. Start at [`Model`].

use std::fmt;

use rio::Domain;

use crate::image::{Canvas, Sequence};
use crate::trace::{Event, Trace};

/// What survives of stores when everything stops.
///
/// ```
/// use crash_sim::Model;
/// use rio::Domain;
///
/// assert_eq!(Model::Coherent.domain(), Domain::PageCache);
/// println!("{}", Model::Adr.blind_spots());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Model {
    /// Everything that was stored: the process dies, its memory stays (page cache, or caches inside the power-fail
    /// domain). A crash falls between two instructions, or between two elements of a `rep` string instruction.
    Coherent,
    /// A power cut on memory whose controller is inside the power-fail domain, and whose caches are not. Of each line of
    /// 64 bytes there is some prefix of the stores made to it, in words of eight bytes, at least what was written back
    /// before the last fence. Lines are independent. Streamed stores are there or not, each by itself, until a fence, also
    /// in a line that holds other stores; a cached store to such a line comes behind what was streamed to it before.
    Adr,
    /// A power cut on a file in the page cache. Of each sector of 512 bytes there is some state that it had since the
    /// last sync. Sectors are independent.
    PowerLoss,
}

impl Model {
    /// The domain for which code has to be written to survive it.
    ///
    /// ```
    /// assert_eq!(crash_sim::Model::Adr.domain(), rio::Domain::Adr);
    /// ```
    pub fn domain(self) -> Domain {
        match self {
            Model::Coherent | Model::PowerLoss => Domain::PageCache,
            Model::Adr => Domain::Adr,
        }
    }

    /// What a campaign under this model cannot see.
    ///
    /// ```
    /// println!("not seen: {}", crash_sim::Model::Coherent.blind_spots());
    /// # assert!(crash_sim::Model::Coherent.blind_spots().contains("flushes"));
    /// ```
    pub fn blind_spots(self) -> &'static str {
        match self {
            Model::Coherent => {
                "missing flushes and fences: whatever was stored is kept, as it is when a process is killed"
            }
            Model::Adr => {
                "a crash between fences that only an earlier write-back of a later store would show is included; \
                 reordering by other threads, and torn words of eight bytes, are not"
            }
            Model::PowerLoss => "what the file system itself loses: names, lengths, blocks",
        }
    }

    pub(crate) fn unit_len(self) -> u64 {
        match self {
            Model::Coherent | Model::Adr => 64,
            Model::PowerLoss => 512,
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Model::Coherent => "coherent",
            Model::Adr => "adr",
            Model::PowerLoss => "power-loss",
        })
    }
}

/// A part of a store that arrives whole or not at all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Atom {
    pub(crate) word: u32,
    pub(crate) value: u64,
    pub(crate) mask: u64,
    /// Index of the event that stored it.
    pub(crate) event: u32,
}

/// Something that may have arrived in part.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unit {
    /// Its first byte.
    pub(crate) offset: u64,
    /// In the order of the program.
    pub(crate) atoms: Vec<Atom>,
    /// Its number among all that are under way, whether they make a difference or not: the same in every run.
    pub(crate) number: u16,
    /// How many of them are on their way.
    pub(crate) flushed: usize,
    /// Whether it is a single streamed word, which may lie in the line of another unit. Units are disjoint otherwise.
    pub(crate) is_streamed: bool,
    /// The numbers of atoms, from 1 on, whose arrival makes a difference. Set at each crash point.
    pub(crate) steps: Vec<u16>,
    /// For each step, what the image's hash changes by if so many atoms arrive, and nothing else.
    pub(crate) toggles: Vec<u128>,
}

impl Unit {
    /// Leaves the first of its atoms in an image.
    pub(crate) fn draw(&self, canvas: &mut Canvas, atom_count: usize) {
        for atom in &self.atoms[..atom_count] {
            canvas.set_masked(atom.word, atom.value, atom.mask);
        }
    }

    /// Adds all that tells it from other units to a hash.
    fn add_to_hash(&self, hash: &mut Sequence) {
        hash.add(self.flushed as u64);
        for atom in &self.atoms {
            hash.add(u64::from(atom.word));
            hash.add(atom.value);
            hash.add(atom.mask);
        }
    }

    /// Finds out which of its atoms make a difference to what has surely arrived. `words` is room to do it in.
    pub(crate) fn find_steps(&mut self, canvas: &Canvas, words: &mut Vec<(u32, u64)>) {
        self.steps.clear();
        self.toggles.clear();
        words.clear();
        let mut toggle = 0;
        for (index, atom) in self.atoms.iter().enumerate() {
            // A line has eight words and a sector 64: a list is quicker than a map.
            let at = words.iter().position(|&(word, _)| word == atom.word).unwrap_or_else(|| {
                words.push((atom.word, canvas.get(atom.word)));
                words.len() - 1
            });
            let old = words[at].1;
            let new = old & !atom.mask | atom.value & atom.mask;
            if new != old {
                words[at].1 = new;
                toggle ^= canvas.toggle(atom.word, old, new);
                self.steps.push(step_number(index));
                self.toggles.push(toggle);
            }
        }
    }

    /// Every atom may make a difference, whatever it does to what has surely arrived.
    fn count_all_steps(&mut self) {
        self.steps.clear();
        self.steps.extend((0..self.atoms.len()).map(step_number));
        self.toggles.resize(self.steps.len(), 0); // Such units are drawn.
    }
}

/// How many atoms have arrived with the one at `index`.
fn step_number(index: usize) -> u16 {
    u16::try_from(index + 1).expect("less than 65,536 stores to a line are under way at once")
}

/// What is known of the medium at some event: what has surely arrived, and what is under way.
#[derive(Clone, Default)]
pub(crate) struct Pending {
    /// Lines or sectors with stores under way, ascending: the number of each, and where its unit stands in `units`.
    lines: Vec<(u64, usize)>,
    units: Vec<Unit>,
    /// Units that no line uses: their memory serves again.
    free: Vec<usize>,
    /// Where in `lines` the last store went.
    last: usize,
    streamed: Vec<Unit>,
    /// Words that have arrived, if anybody asks.
    pub(crate) arrived: Option<Vec<u32>>,
    room: Vec<(u32, u64)>,
}

impl Pending {
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.streamed.is_empty()
    }

    /// Nothing is under way any more.
    pub(crate) fn clear(&mut self) {
        self.free.extend(self.lines.drain(..).map(|(_, at)| at));
        self.streamed.clear();
        self.arrived = None;
    }

    /// All that is under way, in the order in which it is drawn.
    fn iter(&self) -> impl Iterator<Item = &Unit> {
        self.lines.iter().map(|&(_, at)| &self.units[at]).chain(&self.streamed)
    }

    /// Finds out what makes a difference if it is there or not. On a line that is `is_open` already every store may.
    fn number_units(&mut self, canvas: &Canvas, is_open: impl Fn(u64) -> bool) {
        let Pending { lines, units, streamed, room, .. } = self;
        let mut number = 0;
        let mut see = |unit: &mut Unit, is_mixed: bool| {
            unit.number = u16::try_from(number).expect("less than 65,536 lines are under way at once");
            number += 1;
            unit.find_steps(canvas, room);
            // What is streamed over a store under way makes a difference to that.
            if is_mixed || is_open(unit.offset) {
                unit.count_all_steps();
            }
        };
        lines.iter().for_each(|&(_, at)| see(&mut units[at], false));
        let is_under_way =
            |unit: &Unit| lines.binary_search_by_key(&(unit.offset / 64), |line| line.0).is_ok();
        streamed.iter_mut().for_each(|unit| see(unit, is_under_way(unit)));
    }

    /// All that is under way, over what has surely arrived.
    pub(crate) fn all_units(&mut self, canvas: &Canvas) -> Vec<Unit> {
        self.number_units(canvas, |_| false);
        self.iter().cloned().collect()
    }

    /// What makes a difference if it is there or not.
    fn choices(&mut self, canvas: &Canvas, is_open: impl Fn(u64) -> bool) -> Vec<&Unit> {
        self.number_units(canvas, is_open);
        self.iter().filter(|unit| !unit.steps.is_empty()).collect()
    }

    /// What is under way belongs to a stream that is over: its events have no number in the next.
    pub(crate) fn carried(mut self) -> Self {
        let units = self.units.iter_mut().chain(&mut self.streamed);
        units.flat_map(|unit| &mut unit.atoms).for_each(|atom| atom.event = u32::MAX);
        self
    }

    /// Hash of what is under way.
    pub(crate) fn hash(&self) -> u128 {
        let mut hash = Sequence::new(0x243F_6A88_85A3_08D3);
        self.iter().for_each(|unit| unit.add_to_hash(&mut hash));
        hash.hash()
    }

    /// All of it arrives.
    pub(crate) fn draw(&self, canvas: &mut Canvas) {
        self.iter().for_each(|unit| unit.draw(canvas, unit.atoms.len()));
    }

    /// The unit of a line or sector, if there is one.
    fn unit_at(&mut self, number: u64) -> Option<&mut Unit> {
        let at = self.lines.binary_search_by_key(&number, |line| line.0).ok()?;
        Some(&mut self.units[self.lines[at].1])
    }

    /// The unit of a line or sector of so many bytes.
    fn unit_of(&mut self, number: u64, len: u64) -> &mut Unit {
        if self.lines.get(self.last).is_none_or(|line| line.0 != number) {
            self.last = self.lines.binary_search_by_key(&number, |line| line.0).unwrap_or_else(|at| {
                let unit = self.free.pop().unwrap_or_else(|| {
                    self.units.push(Unit::default());
                    self.units.len() - 1
                });
                self.units[unit].atoms.clear();
                self.units[unit].flushed = 0;
                self.units[unit].offset = number * len;
                self.lines.insert(at, (number, unit));
                at
            });
        }
        &mut self.units[self.lines[self.last].1]
    }

    /// A store that stays in the cache.
    fn store(&mut self, atom: Atom, unit_len: u64) {
        let number = u64::from(atom.word) * 8 / unit_len;
        if self.streamed.is_empty() {
            self.unit_of(number, unit_len).atoms.push(atom);
            return;
        }
        // What was streamed to this line before comes first; it is on its way.
        let is_before = |streamed: &mut Unit| streamed.offset / unit_len == number;
        let before: Vec<Unit> = self.streamed.extract_if(.., is_before).collect();
        let unit = self.unit_of(number, unit_len);
        if !before.is_empty() {
            unit.atoms.extend(before.into_iter().flat_map(|streamed| streamed.atoms));
            unit.flushed = unit.atoms.len();
        }
        unit.atoms.push(atom);
    }

    /// A store past the cache. The line, if it is in there, is written back before.
    fn stream(&mut self, atom: Atom, unit_len: u64) {
        let offset = u64::from(atom.word) * 8;
        if let Some(unit) = self.unit_at(offset / unit_len) {
            unit.flushed = unit.atoms.len();
        }
        let unit = Unit { offset, atoms: vec![atom], flushed: 1, is_streamed: true, ..Unit::default() };
        self.streamed.push(unit);
    }

    /// Whether a store makes an order of what is not in order now: several words were streamed to its line.
    fn is_ordered_by(&self, event: Event, unit_len: u64) -> bool {
        let Event::Store { offset, len, is_streaming: false, .. } = event else { return false };
        let lines = offset / unit_len..(offset + u64::from(len)).div_ceil(unit_len);
        self.streamed.iter().filter(|unit| lines.contains(&(unit.offset / unit_len))).nth(1).is_some()
    }

    /// What is on its way in these lines or sectors is there.
    fn arrive(&mut self, numbers: std::ops::Range<u64>, canvas: &mut Canvas) {
        let Pending { lines, units, free, arrived, .. } = self;
        lines.retain(|&(number, at)| {
            let is_left = !numbers.contains(&number) || arrive(&mut units[at], canvas, arrived);
            if !is_left {
                free.push(at);
            }
            is_left
        });
    }
}

/// Walks over a trace and stops at each of its crash points: with the canvas as what has surely arrived, the number of
/// events that have happened, what may be there or not, and the words that have arrived, if `pending` notes them. The
/// canvas is what had surely arrived before the trace, and `pending` what was under way. The event `dropped` does not
/// happen; `is_open` tells of lines whose content is open.
pub(crate) fn walk(
    model: Model,
    trace: &Trace,
    dropped: Option<usize>,
    pending: &mut Pending,
    canvas: &mut Canvas,
    is_open: impl Fn(u64) -> bool,
    mut stop: impl FnMut(&mut Canvas, usize, &[&Unit], &[u32]),
) {
    let mut last = None;
    let mut stop_at = |index: usize, pending: &mut Pending, canvas: &mut Canvas| {
        if last.replace(index) == Some(index) {
            return;
        }
        if pending.is_empty() {
            return stop(canvas, index, &[], pending.arrived.as_deref().unwrap_or_default());
        }
        let arrived = pending.arrived.take();
        let choices = pending.choices(canvas, &is_open);
        stop(canvas, index, &choices, arrived.as_deref().unwrap_or_default());
        pending.arrived = arrived;
    };
    for (index, &event) in trace.events().iter().enumerate() {
        let is_before = match event {
            Event::Fence => model == Model::Adr,
            Event::Sync { .. } => model == Model::PowerLoss,
            Event::Grow { .. } | Event::Begin { .. } => model != Model::Coherent,
            Event::Store { .. } => {
                !pending.streamed.is_empty() && pending.is_ordered_by(event, model.unit_len())
            }
            _ => false,
        };
        if is_before {
            stop_at(index, pending, canvas);
        }
        if Some(index) != dropped {
            step(model, trace, index, pending, canvas);
        }
        let is_behind = match event {
            Event::Store { .. } | Event::Grow { .. } => model == Model::Coherent,
            Event::Ack { .. } | Event::Opened { .. } => true,
            _ => false,
        };
        if is_behind {
            stop_at(index + 1, pending, canvas);
        }
    }
    stop_at(trace.len(), pending, canvas);
}

/// One event happens.
#[inline]
pub(crate) fn step(model: Model, trace: &Trace, index: usize, pending: &mut Pending, canvas: &mut Canvas) {
    match (trace.events()[index], model) {
        (Event::Store { .. }, Model::Coherent) => each_atom(trace, index, |atom| {
            canvas.set_masked(atom.word, atom.value, atom.mask);
            pending.arrived.iter_mut().for_each(|arrived| arrived.push(atom.word));
        }),
        (Event::Store { is_streaming: true, .. }, Model::Adr) => {
            each_atom(trace, index, |atom| pending.stream(atom, model.unit_len()));
        }
        (Event::Store { .. }, _) => each_atom(trace, index, |atom| pending.store(atom, model.unit_len())),
        (Event::Flush { offset }, Model::Adr) => {
            if let Some(unit) = pending.unit_at(offset / model.unit_len()) {
                unit.flushed = unit.atoms.len();
            }
        }
        (Event::Fence, Model::Adr) => {
            pending.arrive(0..u64::MAX, canvas);
            let Pending { streamed, arrived, .. } = pending;
            streamed.drain(..).for_each(|mut unit| _ = arrive(&mut unit, canvas, arrived));
        }
        (Event::Sync { offset, len }, Model::PowerLoss) => {
            let numbers = offset / model.unit_len()..(offset + len).div_ceil(model.unit_len());
            for &(number, at) in &pending.lines {
                if numbers.contains(&number) {
                    pending.units[at].flushed = pending.units[at].atoms.len();
                }
            }
            pending.arrive(numbers, canvas);
        }
        _ => {}
    }
}

/// What was on its way is there. Whether anything is left.
fn arrive(unit: &mut Unit, canvas: &mut Canvas, arrived: &mut Option<Vec<u32>>) -> bool {
    unit.draw(canvas, unit.flushed);
    if let Some(arrived) = arrived {
        arrived.extend(unit.atoms[..unit.flushed].iter().map(|atom| atom.word));
    }
    unit.atoms.drain(..unit.flushed);
    unit.flushed = 0;
    !unit.atoms.is_empty()
}

/// The atoms of a store.
#[inline]
fn each_atom(trace: &Trace, index: usize, mut see: impl FnMut(Atom)) {
    let Event::Store { offset, len, at, .. } = trace.events()[index] else { return };
    let bytes = trace.data(at, len);
    if offset % 8 == 0
        && let Ok(word) = bytes.try_into()
    {
        let value = u64::from_le_bytes(word);
        return see(Atom { word: (offset / 8) as u32, value, mask: u64::MAX, event: index as u32 });
    }
    let mut done = 0;
    while done < bytes.len() {
        let from = ((offset + done as u64) % 8) as usize;
        let count = (8 - from).min(bytes.len() - done);
        let (mut value, mut mask) = ([0; 8], [0; 8]);
        value[from..from + count].copy_from_slice(&bytes[done..done + count]);
        mask[from..from + count].fill(0xFF);
        see(Atom {
            word: ((offset + done as u64) / 8) as u32,
            value: u64::from_le_bytes(value),
            mask: u64::from_le_bytes(mask),
            event: index as u32,
        });
        done += count;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::combine::{Meet, combine};

    type Image = [u64; 3];

    /// Collects images of which only the first words matter.
    struct Collect(BTreeSet<Image>);

    impl Meet for Collect {
        fn is_new(&mut self, _: u128) -> bool {
            true
        }

        fn see(&mut self, canvas: &Canvas, _: &[u16]) {
            self.0.insert([0, 1, 2].map(|word| canvas.get(word)));
        }
    }

    /// What a power cut may leave of the first line, over all points and at the last one.
    fn images(events: &[Event]) -> (BTreeSet<Image>, BTreeSet<Image>) {
        let mut trace = Trace::new();
        for (number, &event) in events.iter().enumerate() {
            match event {
                Event::Store { offset, at, is_streaming, .. } => {
                    trace.push_store(offset, &u64::from(at).to_le_bytes(), is_streaming, 0);
                }
                other => trace.push(other, 0),
            }
            assert_eq!(trace.len(), number + 1);
        }
        let (mut all, mut last) = (BTreeSet::new(), BTreeSet::new());
        let mut canvas = Canvas::new(vec![0; 16]);
        let pending = &mut Pending::default();
        walk(
            Model::Adr,
            &trace,
            None,
            pending,
            &mut canvas,
            |_| false,
            |canvas, _, units, _| {
                let mut meet = Collect(BTreeSet::new());
                combine(canvas, units, 1000, 0, 0, &mut meet);
                all.extend(&meet.0);
                last = meet.0;
            },
        );
        (all, last)
    }

    /// A store of a value to a word, past the cache or not.
    fn store(word: u64, value: u32, is_streaming: bool) -> Event {
        Event::Store { offset: word * 8, len: 8, at: value, is_streaming }
    }

    fn check(events: &[Event], expected: &[Image]) {
        assert_eq!(images(events).0, expected.iter().copied().collect(), "{events:?}");
    }

    #[test]
    fn stores_to_a_line_arrive_as_a_prefix_and_streamed_words_each_by_itself() {
        let prefixes = [[0, 0, 0], [1, 0, 0], [1, 2, 0]];
        check(&[store(0, 1, false), store(1, 2, false)], &prefixes);
        check(&[store(0, 1, true), store(1, 2, true)], &[[0, 0, 0], [1, 0, 0], [0, 2, 0], [1, 2, 0]]);
    }

    #[test]
    fn words_streamed_to_a_line_with_stores_under_way_arrive_each_by_itself() {
        let mut subsets = Vec::new();
        for a in [0, 1] {
            for b in [0, 2] {
                subsets.extend([[a, b, 0], [a, b, 3]]);
            }
        }
        check(&[store(0, 1, false), store(1, 2, true), store(2, 3, true)], &subsets);
    }

    #[test]
    fn a_store_to_a_line_comes_behind_what_was_streamed_to_it() {
        let expected = [[0, 0, 0], [1, 0, 0], [0, 2, 0], [1, 2, 0], [1, 2, 3]];
        check(&[store(0, 1, true), store(1, 2, true), store(2, 3, false)], &expected);
    }

    #[test]
    fn a_word_streamed_over_a_store_under_way_may_take_it_back() {
        let events = [store(0, 1, false), store(1, 5, false), store(0, 0, true)];
        check(&events, &[[0, 0, 0], [1, 0, 0], [1, 5, 0], [0, 5, 0]]);
    }

    #[test]
    fn a_fence_orders_what_was_streamed_and_the_stores_that_it_drove_out() {
        let events = [store(0, 1, false), store(1, 2, true), Event::Fence, store(2, 3, false)];
        assert_eq!(images(&events).1, BTreeSet::from([[1, 2, 0], [1, 2, 3]]));
        let unflushed = [store(0, 1, false), Event::Fence];
        assert_eq!(images(&unflushed).1, BTreeSet::from([[0, 0, 0], [1, 0, 0]]));
    }
}
