//! One range: each transaction declares one range of an array of integers and stores to all of it.
//!
//! The array has 52,428,800 bytes, the ranges have from 8 bytes to a megabyte and lie anywhere in it. What is stored is one
//! integer all over, so that no engine has to read what it stores. Start at [`entries`].

#![allow(unsafe_code)] // The bare engines.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::ops::Range;
use std::ptr;
use std::sync::Arc;

use rio::{Domain, HEADER_LEN, Medium, Region};
use vista::layout::LOG_OFFSET;
use vista::{PSlice, Segment};

use crate::bare::{Log, Nothing, Ordered, Undo};
use crate::engine::{Engine, Entry, Level, Random, Recipe, digest};
use crate::files::{Files, Setting};

/// Integers in the array, of 8 bytes each.
pub const ARRAY_LEN: usize = 52_428_800 / 8;

/// One transaction: a range of the array begins at `at`, and `value` is stored to all of it.
#[derive(Clone, Copy, Debug)]
pub struct Fill {
    /// Index of the first integer.
    pub at: usize,
    /// What is stored.
    pub value: u64,
}

/// `count` ranges of `N` integers at random places in an array of `array_len`.
pub fn fills<const N: usize>(seed: u64, count: usize, array_len: usize) -> Arc<[Fill]> {
    let mut random = Random::new(seed);
    let places = (array_len - N + 1) as u64;
    (0..count).map(|_| Fill { at: random.below(places) as usize, value: random.word() }).collect()
}

/// The digest of an array of zeroes after these transactions.
pub fn model<const N: usize>(inputs: &[Fill], array_len: usize) -> u64 {
    let mut words = vec![0; array_len];
    for input in inputs {
        words[input.at..input.at + N].fill(input.value);
    }
    digest(words)
}

/// The same for ranges of one integer in an array that is too long to be had twice.
pub fn sparse_model(inputs: &[Fill], array_len: usize) -> u64 {
    let newest: BTreeMap<usize, u64> = inputs.iter().map(|input| (input.at, input.value)).collect();
    let mut changed = newest.into_iter().peekable();
    digest(
        (0..array_len).map(|at| changed.next_if(|&(changed, _)| changed == at).map_or(0, |(_, value)| value)),
    )
}

/// A bare engine: the array stands behind the header, the log behind the array.
pub struct Bare<const N: usize, L, M: Medium> {
    medium: M,
    log: L,
    array: *mut u64,
    array_len: usize,
}

impl<const N: usize, L: Log, M: Medium> Bare<N, L, M> {
    /// Bytes that the medium has to have.
    pub const fn medium_len(array_len: usize) -> u64 {
        HEADER_LEN + (array_len * 8 + N * 8 + 4096) as u64
    }

    /// The engine on a zeroed medium.
    pub fn new(medium: M, array_len: usize) -> Self {
        assert!(medium.len() >= Self::medium_len(array_len), "a medium with room for array and log");
        // SAFETY: (1) the engine owns the medium, whose mapping moves with nobody. (2) There is room for the one record.
        let log = unsafe { L::new(&medium, HEADER_LEN + array_len as u64 * 8) };
        let array = medium.write_base().wrapping_add(HEADER_LEN as usize).cast();
        Bare { medium, log, array, array_len }
    }
}

impl<const N: usize, L: Log, M: Medium> Engine for Bare<N, L, M> {
    type Input = Fill;

    fn admits(&self, input: &Fill) -> bool {
        input.at <= self.array_len - N
    }

    #[inline(always)]
    unsafe fn transact(&mut self, input: &Fill) {
        let range = self.array.wrapping_add(input.at);
        let mut log = self.log;
        // SAFETY: the range lies in the array: it is admitted.
        unsafe { log.record(&self.medium, range.cast(), N * 8) };
        log.declared(&self.medium);
        // SAFETY: as above; the array belongs to the engine, which is borrowed alone.
        let words = unsafe { &mut *range.cast::<[u64; N]>() };
        words.fill(input.value);
        log.stored(&self.medium, range.cast(), N * 8);
        log.commit(&self.medium);
    }

    fn digest(&self) -> u64 {
        // SAFETY: the array lies in the medium, which is borrowed with the engine.
        let words = unsafe { &*ptr::slice_from_raw_parts(self.array, self.array_len) };
        digest(words.iter().copied())
    }
}

/// Vista by its typed calls: `get_mut` for one integer, `slice_mut` for more.
pub struct Vista<const N: usize, M: Medium> {
    segment: Segment<PSlice<u64>, M>,
    array: PSlice<u64>,
}

impl<const N: usize, M: Medium> Vista<N, M> {
    /// Bytes that the medium has to have.
    pub const fn medium_len(array_len: usize, log_len: u64) -> u64 {
        log_len + (array_len * 8 + 4 * N * 8 + (2 << 20)) as u64
    }

    /// The engine on a zeroed medium.
    pub fn new(medium: M, array_len: usize, log_len: u64) -> vista::Result<Self> {
        let mut segment = Segment::create_on(medium, log_len)?;
        let array = segment.transaction(|tx| {
            let array = tx.alloc_slice_zeroed(array_len)?;
            *tx.root_mut()? = array;
            Ok::<_, vista::Error>(array)
        })?;
        Ok(Vista { segment, array })
    }
}

impl<const N: usize, M: Medium> Engine for Vista<N, M> {
    type Input = Fill;

    fn admits(&self, input: &Fill) -> bool {
        self.array.slice(input.at..input.at + N).is_some()
    }

    #[inline(always)]
    unsafe fn transact(&mut self, input: &Fill) {
        let array = self.array;
        let done = self.segment.transaction(|tx| {
            if N == 1 {
                *tx.get_mut(array.at(input.at).expect("admitted"))? = input.value;
            } else {
                tx.slice_mut(array.slice(input.at..input.at + N).expect("admitted"))?.fill(input.value);
            }
            Ok::<_, vista::Error>(())
        });
        done.expect("a transaction without fault");
    }

    fn digest(&self) -> u64 {
        digest(self.segment.slice(self.array).expect("a sound segment").iter().copied())
    }
}

/// Recipe of the bare engine with this log.
#[derive(Clone, Copy)]
struct BareRecipe<const N: usize, L> {
    array_len: usize,
    log: PhantomData<L>,
}

impl<const N: usize, L: Log> Recipe for BareRecipe<N, L> {
    type Input = Fill;
    type Engine<M: Medium> = Bare<N, L, M>;

    fn medium_len(&self) -> u64 {
        Bare::<N, L, Region>::medium_len(self.array_len)
    }

    fn log(&self) -> Range<u64> {
        HEADER_LEN + self.array_len as u64 * 8..self.medium_len()
    }

    fn level(&self, domain: Domain) -> Level {
        crate::bare::level::<L>(domain)
    }

    fn make<M: Medium>(&self, medium: M) -> Bare<N, L, M> {
        Bare::new(medium, self.array_len)
    }
}

/// Recipe of vista with a log of this length.
#[derive(Clone, Copy)]
struct VistaRecipe<const N: usize> {
    array_len: usize,
    log_len: u64,
}

impl<const N: usize> Recipe for VistaRecipe<N> {
    type Input = Fill;
    type Engine<M: Medium> = Vista<N, M>;

    fn medium_len(&self) -> u64 {
        Vista::<N, Region>::medium_len(self.array_len, self.log_len)
    }

    fn log(&self) -> Range<u64> {
        LOG_OFFSET..LOG_OFFSET + self.log_len
    }

    fn make<M: Medium>(&self, medium: M) -> Vista<N, M> {
        Vista::new(medium, self.array_len, self.log_len).expect("a new segment")
    }
}

/// Length of vista's log by default, and one that holds the longest record.
const SHORT_LOG: u64 = 65536;
const LONG_LOG: u64 = 2 << 20;

/// The engines of this workload on the page cache, with ranges of `N` integers.
pub fn entries<const N: usize>(files: &Files, inputs: &Arc<[Fill]>, array_len: usize) -> Vec<Entry> {
    let cached = Setting::page_cache();
    let mut entries = vec![
        Entry::new("bare stores", files, cached, inputs, bare::<N, Nothing>(array_len)),
        Entry::new("bare undo log", files, cached, inputs, bare::<N, Undo>(array_len)),
        Entry::new("vista", files, cached, inputs, vista::<N>(array_len, SHORT_LOG)),
        Entry::new(
            "vista, unprotected",
            files,
            cached.unprotected(),
            inputs,
            vista::<N>(array_len, SHORT_LOG),
        ),
    ];
    if outgrows_the_log(N) {
        entries.push(Entry::new("vista, long log", files, cached, inputs, vista::<N>(array_len, LONG_LOG)));
    }
    entries
}

/// The engines of this workload with the write-backs and fences of ADR.
pub fn entries_adr<const N: usize>(files: &Files, inputs: &Arc<[Fill]>, array_len: usize) -> Vec<Entry> {
    let (cached, adr) = (Setting::page_cache(), Setting::forced(Domain::Adr));
    let mut entries = vec![
        Entry::new("bare stores", files, cached, inputs, bare::<N, Nothing>(array_len)),
        Entry::new("bare undo log", files, adr, inputs, bare::<N, Ordered>(array_len)),
        Entry::new("vista", files, adr, inputs, vista::<N>(array_len, SHORT_LOG)),
    ];
    if outgrows_the_log(N) {
        entries.push(Entry::new("vista, long log", files, adr, inputs, vista::<N>(array_len, LONG_LOG)));
    }
    entries
}

/// Whether a range of so many integers goes on in an extent of the log, if the log has its default length.
fn outgrows_the_log(words: usize) -> bool {
    words as u64 * 8 + 4096 > SHORT_LOG
}

fn vista<const N: usize>(array_len: usize, log_len: u64) -> VistaRecipe<N> {
    VistaRecipe { array_len, log_len }
}

fn bare<const N: usize, L>(array_len: usize) -> BareRecipe<N, L> {
    BareRecipe { array_len, log: PhantomData }
}
