//! Persistency models: which images a crash may leave of a stream of events.
//!
//! A model is a value laid over a recorded [`Trace`]. At each crash point there is what is surely there, and there are
//! *units* (cache lines, sectors, streamed words) of which each may have arrived in part, independently of the
//! others. Start at [`Model`].

use std::collections::BTreeMap;
use std::fmt;

use rio::Domain;

use crate::image::Canvas;
use crate::trace::{Event, Trace};

/// What survives of stores when everything stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Model {
    /// Everything that was stored: the process dies, its memory stays (page cache, or caches inside the power-fail
    /// domain). A crash falls between two instructions, or between two elements of a `rep` string instruction.
    Coherent,
    /// A power cut on memory whose controller is inside the power-fail domain, and whose caches are not. Of each line of
    /// 64 bytes there is some prefix of the stores made to it, in words of eight bytes, at least what was written back
    /// before the last fence. Lines are independent. Streamed stores are there or not, each by itself, until a fence.
    Adr,
    /// A power cut on a file in the page cache. Of each sector of 512 bytes there is some state that it had since the
    /// last sync. Sectors are independent.
    PowerLoss,
}

impl Model {
    /// The domain for which code has to be written to survive it.
    pub fn domain(self) -> Domain {
        match self {
            Model::Coherent | Model::PowerLoss => Domain::PageCache,
            Model::Adr => Domain::Adr,
        }
    }

    /// What a campaign under this model cannot see.
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
    /// The numbers of atoms, from 1 on, whose arrival makes a difference. Set at each crash point.
    pub(crate) steps: Vec<u16>,
}

impl Unit {
    /// Leaves the first of its atoms in an image.
    pub(crate) fn draw(&self, canvas: &mut Canvas, atom_count: usize) {
        for atom in &self.atoms[..atom_count] {
            canvas.set_masked(atom.word, atom.value, atom.mask);
        }
    }

    /// Adds all that tells it from other units to a hash.
    pub(crate) fn add_to_hash(&self, mut add: impl FnMut(u64)) {
        add(self.flushed as u64);
        for atom in &self.atoms {
            add(u64::from(atom.word));
            add(atom.value);
            add(atom.mask);
        }
    }

    /// Finds out which of its atoms make a difference to what has surely arrived. Whether any does.
    pub(crate) fn find_steps(&mut self, canvas: &Canvas) -> bool {
        self.steps.clear();
        // A line has eight words and a sector 64: a list is quicker than a map.
        let mut words: Vec<(u32, u64)> = Vec::with_capacity(self.atoms.len().min(64));
        for (index, atom) in self.atoms.iter().enumerate() {
            let at = words.iter().position(|&(word, _)| word == atom.word).unwrap_or_else(|| {
                words.push((atom.word, canvas.get(atom.word)));
                words.len() - 1
            });
            let new = words[at].1 & !atom.mask | atom.value & atom.mask;
            if new != words[at].1 {
                words[at].1 = new;
                let step = u16::try_from(index + 1);
                self.steps.push(step.expect("less than 65,536 stores to a line are under way at once"));
            }
        }
        !self.steps.is_empty()
    }
}

/// What is known of the medium at some event: what has surely arrived, and what is under way.
#[derive(Clone, Default)]
pub(crate) struct Pending {
    units: BTreeMap<u64, Unit>,
    streamed: Vec<Unit>,
    /// Words that have arrived, if anybody asks.
    pub(crate) arrived: Option<Vec<u32>>,
}

impl Pending {
    pub(crate) fn is_empty(&self) -> bool {
        self.units.is_empty() && self.streamed.is_empty()
    }

    /// All that is under way, over what has surely arrived.
    pub(crate) fn all_units(&self, canvas: &Canvas) -> Vec<Unit> {
        let numbered = self.units.values().chain(&self.streamed).enumerate().map(|(number, unit)| {
            let mut unit = unit.clone();
            unit.number = u16::try_from(number).expect("less than 65,536 lines are under way at once");
            unit.find_steps(canvas);
            unit
        });
        numbered.collect()
    }

    /// What makes a difference if it is there or not. On a line that is open already every store may.
    pub(crate) fn units(&self, canvas: &Canvas, is_open: impl Fn(u64) -> bool) -> Vec<Unit> {
        let mut units = self.all_units(canvas);
        units.retain_mut(|unit| {
            if is_open(unit.offset) {
                unit.steps = (1..=unit.atoms.len() as u16).collect();
            }
            !unit.steps.is_empty()
        });
        units
    }

    /// What is under way belongs to a stream that is over: its events have no number in the next.
    pub(crate) fn carried(mut self) -> Self {
        let units = self.units.values_mut().chain(&mut self.streamed);
        units.flat_map(|unit| &mut unit.atoms).for_each(|atom| atom.event = u32::MAX);
        self
    }

    /// Hash of what is under way.
    pub(crate) fn hash(&self) -> u128 {
        let mut hash = 0x243F_6A88_85A3_08D3_u128;
        let mut add = |word: u64| {
            hash = (hash ^ u128::from(word)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013B)
        };
        for unit in self.units.values().chain(&self.streamed) {
            unit.add_to_hash(&mut add);
        }
        hash
    }

    /// All of it arrives.
    pub(crate) fn draw(&self, canvas: &mut Canvas) {
        self.units.values().chain(&self.streamed).for_each(|unit| unit.draw(canvas, unit.atoms.len()));
    }
}

/// Walks over a trace and stops at each of its crash points: with the canvas as what has surely arrived, the number of
/// events that have happened, what may be there or not, and the words that have arrived, if `pending` notes them. The canvas is what had surely arrived before the trace, and
/// `pending` what was under way. The event `dropped` does not happen; `is_open` tells of lines whose content is open.
pub(crate) fn walk(
    model: Model,
    trace: &Trace,
    dropped: Option<usize>,
    pending: &mut Pending,
    canvas: &mut Canvas,
    is_open: impl Fn(u64) -> bool,
    mut stop: impl FnMut(&mut Canvas, usize, &[Unit], &[u32]),
) {
    let mut last = None;
    let mut stop_at = |index: usize, pending: &Pending, canvas: &mut Canvas| {
        if last.replace(index) != Some(index) {
            stop(
                canvas,
                index,
                &pending.units(canvas, &is_open),
                pending.arrived.as_deref().unwrap_or_default(),
            );
        }
    };
    for (index, &event) in trace.events().iter().enumerate() {
        let is_before = match event {
            Event::Fence => model == Model::Adr,
            Event::Sync { .. } => model == Model::PowerLoss,
            Event::Grow { .. } | Event::Begin { .. } => model != Model::Coherent,
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
pub(crate) fn step(model: Model, trace: &Trace, index: usize, pending: &mut Pending, canvas: &mut Canvas) {
    match (trace.events()[index], model) {
        (Event::Store { .. }, Model::Coherent) => {
            each_atom(trace, index, |atom| {
                canvas.set_masked(atom.word, atom.value, atom.mask);
                pending.arrived.iter_mut().for_each(|arrived| arrived.push(atom.word));
            });
        }
        (Event::Store { is_streaming: true, .. }, Model::Adr) => each_atom(trace, index, |atom| {
            let offset = u64::from(atom.word) * 8;
            // Where a line has stores under way, a streamed one drives it out of the cache and follows.
            if let Some(unit) = pending.units.get_mut(&(offset / model.unit_len())) {
                unit.atoms.push(atom);
                unit.flushed = unit.atoms.len();
                return;
            }
            pending.streamed.push(Unit { offset, atoms: vec![atom], ..Unit::default() });
        }),
        (Event::Store { .. }, _) => each_atom(trace, index, |atom| {
            let number = u64::from(atom.word) * 8 / model.unit_len();
            let unit = pending.units.entry(number).or_default();
            unit.offset = number * model.unit_len();
            // What was streamed to this line before comes first; it is on its way.
            let is_before = |streamed: &Unit| streamed.offset / model.unit_len() == number;
            for streamed in pending.streamed.extract_if(.., |streamed| is_before(streamed)) {
                unit.atoms.extend(streamed.atoms);
                unit.flushed = unit.atoms.len();
            }
            unit.atoms.push(atom);
        }),
        (Event::Flush { offset }, Model::Adr) => {
            if let Some(unit) = pending.units.get_mut(&(offset / model.unit_len())) {
                unit.flushed = unit.atoms.len();
            }
        }
        (Event::Fence, Model::Adr) => {
            let Pending { units, streamed, arrived } = pending;
            units.retain(|_, unit| arrive(unit, canvas, arrived));
            for mut unit in streamed.drain(..) {
                unit.flushed = 1;
                arrive(&mut unit, canvas, arrived);
            }
        }
        (Event::Sync { offset, len }, Model::PowerLoss) => {
            let numbers = offset / model.unit_len()..(offset + len).div_ceil(model.unit_len());
            for (_, unit) in pending.units.range_mut(numbers) {
                unit.flushed = unit.atoms.len();
            }
            let Pending { units, arrived, .. } = pending;
            units.retain(|_, unit| arrive(unit, canvas, arrived));
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
pub(crate) fn each_atom(trace: &Trace, index: usize, mut see: impl FnMut(Atom)) {
    let Event::Store { offset, len, at, .. } = trace.events()[index] else { return };
    let bytes = trace.data(at, len);
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
