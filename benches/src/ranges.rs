//! Many ranges: each transaction stores one integer to each of `K` places of an array.
//!
//! It asks what a further range of a transaction costs. The array is that of [`one_range`](crate::one_range). Start at
//! [`entries`].

#![allow(unsafe_code)] // The bare engines.

use std::marker::PhantomData;
use std::ops::Range;
use std::ptr;
use std::sync::Arc;

use rio::{Domain, HEADER_LEN, Medium, Region};
use vista::layout::LOG_OFFSET;
use vista::{PPtr, PSlice, Segment, Transaction};

use crate::bare::{Log, Nothing, Ordered, Undo};
use crate::engine::{Engine, Entry, Level, Random, Recipe, digest};
use crate::files::{Files, Setting};

/// Length of vista's log by default.
const LOG_LEN: u64 = 65536;
/// Length of a bare log's part of the medium: the tail, and a record for each range.
const fn bare_log_len(count: usize) -> u64 {
    8 + count as u64 * 24
}

/// One transaction: `value` is stored to each of the places.
#[derive(Clone, Copy, Debug)]
pub struct Scatter<const K: usize> {
    /// Indices in the array.
    pub places: [u32; K],
    /// What is stored.
    pub value: u64,
}

/// `count` transactions on random places of an array of `array_len`.
pub fn scatters<const K: usize>(seed: u64, count: usize, array_len: usize) -> Arc<[Scatter<K>]> {
    let mut random = Random::new(seed);
    let mut places = || std::array::from_fn(|_| random.below(array_len as u64) as u32);
    (0..count as u64).map(|index| Scatter { places: places(), value: index + 1 }).collect()
}

/// The digest of an array of zeroes after these transactions.
pub fn model<const K: usize>(inputs: &[Scatter<K>], array_len: usize) -> u64 {
    let mut words = vec![0; array_len];
    for input in inputs {
        input.places.iter().for_each(|&place| words[place as usize] = input.value);
    }
    digest(words)
}

fn is_in<const K: usize>(input: &Scatter<K>, array_len: usize) -> bool {
    input.places.iter().all(|&place| (place as usize) < array_len)
}

/// A bare engine: the array stands behind the header, the log behind the array.
pub struct Bare<const K: usize, L, M: Medium> {
    medium: M,
    log: L,
    array: *mut u64,
    array_len: usize,
}

impl<const K: usize, L: Log, M: Medium> Bare<K, L, M> {
    /// Bytes that the medium has to have.
    pub const fn medium_len(array_len: usize) -> u64 {
        HEADER_LEN + array_len as u64 * 8 + bare_log_len(K)
    }

    /// The engine on a zeroed medium.
    pub fn new(medium: M, array_len: usize) -> Self {
        assert!(medium.len() >= Self::medium_len(array_len), "a medium with room for array and log");
        // SAFETY: (1) the engine owns the medium, whose mapping moves with nobody. (2) There is room for the K records.
        let log = unsafe { L::new(&medium, HEADER_LEN + array_len as u64 * 8) };
        let array = medium.write_base().wrapping_add(HEADER_LEN as usize).cast();
        Bare { medium, log, array, array_len }
    }
}

impl<const K: usize, L: Log, M: Medium> Engine for Bare<K, L, M> {
    type Input = Scatter<K>;

    fn admits(&self, input: &Scatter<K>) -> bool {
        is_in(input, self.array_len)
    }

    #[inline(always)]
    unsafe fn transact(&mut self, input: &Scatter<K>) {
        let mut log = self.log;
        for place in input.places {
            let word = self.array.wrapping_add(place as usize);
            // SAFETY: the word lies in the array: it is admitted.
            unsafe { log.record(&self.medium, word.cast(), 8) };
        }
        log.declared(&self.medium);
        for place in input.places {
            let word = self.array.wrapping_add(place as usize);
            // SAFETY: as above; the array belongs to the engine, which is borrowed alone.
            unsafe { word.write(input.value) };
            log.stored(&self.medium, word.cast(), 8);
        }
        log.commit(&self.medium);
    }

    fn digest(&self) -> u64 {
        // SAFETY: the array lies in the medium, which is borrowed with the engine.
        let words = unsafe { &*ptr::slice_from_raw_parts(self.array, self.array_len) };
        digest(words.iter().copied())
    }
}

/// A way to store one integer with vista's calls.
pub trait Way {
    /// Stores it.
    ///
    /// # Errors
    /// Vista's.
    fn store<M: Medium>(
        tx: &mut Transaction<'_, PSlice<u64>, M>,
        place: PPtr<u64>,
        value: u64,
    ) -> vista::Result<()>;
}

/// `get_mut`: a record, then a reference.
pub struct Lent;

/// `write`: by value, so that on ordered domains all records may wait for one fence.
pub struct ByValue;

impl Way for Lent {
    #[inline(always)]
    fn store<M: Medium>(
        tx: &mut Transaction<'_, PSlice<u64>, M>,
        place: PPtr<u64>,
        value: u64,
    ) -> vista::Result<()> {
        *tx.get_mut(place)? = value;
        Ok(())
    }
}

impl Way for ByValue {
    #[inline(always)]
    fn store<M: Medium>(
        tx: &mut Transaction<'_, PSlice<u64>, M>,
        place: PPtr<u64>,
        value: u64,
    ) -> vista::Result<()> {
        tx.write(place, value)
    }
}

/// Vista, in one of the ways.
pub struct Vista<const K: usize, W, M: Medium> {
    segment: Segment<PSlice<u64>, M>,
    array: PSlice<u64>,
    way: PhantomData<fn() -> W>,
}

impl<const K: usize, W: Way, M: Medium> Vista<K, W, M> {
    /// The engine on a zeroed medium.
    ///
    /// # Errors
    /// Vista's.
    pub fn new(medium: M, array_len: usize) -> vista::Result<Self> {
        let mut segment = Segment::create_on(medium, LOG_LEN)?;
        let array = segment.transaction(|tx| {
            let array = tx.alloc_slice_zeroed(array_len)?;
            *tx.root_mut()? = array;
            Ok::<_, vista::Error>(array)
        })?;
        Ok(Vista { segment, array, way: PhantomData })
    }
}

impl<const K: usize, W: Way, M: Medium> Engine for Vista<K, W, M> {
    type Input = Scatter<K>;

    fn admits(&self, input: &Scatter<K>) -> bool {
        is_in(input, self.array.len())
    }

    #[inline(always)]
    unsafe fn transact(&mut self, input: &Scatter<K>) {
        let array = self.array;
        let done = self.segment.transaction(|tx| {
            for place in input.places {
                W::store(tx, array.at(place as usize).expect("admitted"), input.value)?;
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
struct BareRecipe<const K: usize, L> {
    array_len: usize,
    log: PhantomData<L>,
}

impl<const K: usize, L: Log> Recipe for BareRecipe<K, L> {
    type Input = Scatter<K>;
    type Engine<M: Medium> = Bare<K, L, M>;

    fn medium_len(&self) -> u64 {
        Bare::<K, L, Region>::medium_len(self.array_len)
    }

    fn log(&self) -> Range<u64> {
        HEADER_LEN + self.array_len as u64 * 8..self.medium_len()
    }

    fn level(&self, domain: Domain) -> Level {
        crate::bare::level::<L>(domain)
    }

    fn make<M: Medium>(&self, medium: M) -> Bare<K, L, M> {
        Bare::new(medium, self.array_len)
    }
}

/// Recipe of vista, in this way.
struct VistaRecipe<const K: usize, W> {
    array_len: usize,
    way: PhantomData<fn() -> W>,
}

impl<const K: usize, W> Clone for VistaRecipe<K, W> {
    fn clone(&self) -> Self {
        VistaRecipe { ..*self }
    }
}

impl<const K: usize, W: Way> Recipe for VistaRecipe<K, W> {
    type Input = Scatter<K>;
    type Engine<M: Medium> = Vista<K, W, M>;

    fn medium_len(&self) -> u64 {
        LOG_LEN + self.array_len as u64 * 8 + (2 << 20)
    }

    fn log(&self) -> Range<u64> {
        LOG_OFFSET..LOG_OFFSET + LOG_LEN
    }

    fn make<M: Medium>(&self, medium: M) -> Vista<K, W, M> {
        Vista::new(medium, self.array_len).expect("a new segment")
    }
}

/// The engines of this workload on the page cache.
pub fn entries<const K: usize>(files: &Files, inputs: &Arc<[Scatter<K>]>, array_len: usize) -> Vec<Entry> {
    let cached = Setting::page_cache();
    vec![
        Entry::new("bare stores", files, cached, inputs, bare::<K, Nothing>(array_len)),
        Entry::new("bare undo log", files, cached, inputs, bare::<K, Undo>(array_len)),
        Entry::new("vista get_mut", files, cached, inputs, vista::<K, Lent>(array_len)),
        Entry::new("vista write", files, cached, inputs, vista::<K, ByValue>(array_len)),
    ]
}

/// The engines of this workload with the write-backs and fences of ADR.
pub fn entries_adr<const K: usize>(
    files: &Files,
    inputs: &Arc<[Scatter<K>]>,
    array_len: usize,
) -> Vec<Entry> {
    let (cached, adr) = (Setting::page_cache(), Setting::forced(Domain::Adr));
    vec![
        Entry::new("bare stores", files, cached, inputs, bare::<K, Nothing>(array_len)),
        Entry::new("bare undo log", files, adr, inputs, bare::<K, Ordered>(array_len)),
        Entry::new("vista get_mut", files, adr, inputs, vista::<K, Lent>(array_len)),
        Entry::new("vista write", files, adr, inputs, vista::<K, ByValue>(array_len)),
    ]
}

fn bare<const K: usize, L>(array_len: usize) -> BareRecipe<K, L> {
    BareRecipe { array_len, log: PhantomData }
}

fn vista<const K: usize, W>(array_len: usize) -> VistaRecipe<K, W> {
    VistaRecipe { array_len, way: PhantomData }
}
