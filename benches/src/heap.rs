//! The heap: blocks of 64 bytes are allocated and freed, beside `malloc` and `free` as the bound.
//!
//! Start at [`entries`].

#![allow(unsafe_code)] // An engine's `transact` is unsafe for the sake of the bare ones.

use std::hint::black_box;
use std::ops::Range;
use std::sync::Arc;

use rio::{Domain, Medium};
use vista::layout::LOG_OFFSET;
use vista::{PPtr, Segment};

use crate::engine::{Engine, Entry, Level, Random, Recipe};
use crate::files::{Files, Setting};

/// What is allocated: 64 bytes.
pub type Block = [u64; 8];

const LOG_LEN: u64 = 65536;
/// Blocks alive in the workload with a population.
const LIVE: usize = 10_000;

/// Values for `count` blocks.
pub fn values(seed: u64, count: usize) -> Arc<[u64]> {
    let mut random = Random::new(seed);
    (0..count).map(|_| random.word()).collect()
}

/// The digest after these values: their sum, as read back from the blocks.
pub fn model(values: &[u64]) -> u64 {
    values.iter().fold(0, |sum, value| sum.wrapping_add(*value))
}

/// `malloc` and `free`.
pub struct Malloc {
    live: Vec<Option<Box<Block>>>,
    next: usize,
    sum: u64,
}

impl Malloc {
    /// With so many blocks alive.
    pub fn new(live: usize) -> Self {
        Malloc { live: (0..live).map(|_| Some(Box::default())).collect(), next: 0, sum: 0 }
    }
}

impl Engine for Malloc {
    type Input = u64;

    fn admits(&self, _: &u64) -> bool {
        true
    }

    #[inline(always)]
    unsafe fn transact(&mut self, input: &u64) {
        let block = black_box(Box::new([*input; 8]));
        self.sum = self.sum.wrapping_add(block[7]);
        if self.live.is_empty() {
            drop(black_box(block));
            return;
        }
        self.next = if self.next + 1 < self.live.len() { self.next + 1 } else { 0 };
        self.live[self.next] = Some(block);
    }

    fn digest(&self) -> u64 {
        self.sum
    }
}

/// Vista's heap: allocation and free in one transaction, or in one each.
pub struct Vista<const TOGETHER: bool, M: Medium> {
    segment: Segment<u64, M>,
    live: Vec<PPtr<Block>>,
    next: usize,
    sum: u64,
}

impl<const TOGETHER: bool, M: Medium> Vista<TOGETHER, M> {
    /// The engine on a zeroed medium, with so many blocks alive.
    ///
    /// # Errors
    /// Vista's.
    pub fn new(medium: M, live: usize) -> vista::Result<Self> {
        let mut segment = Segment::<u64, M>::create_on(medium, LOG_LEN)?;
        let live = segment.transaction(|tx| (0..live).map(|_| tx.alloc([0; 8])).collect())?;
        Ok(Vista { segment, live, next: 0, sum: 0 })
    }

    /// The block whose place in the population the new one takes; the new one itself without a population.
    #[inline(always)]
    fn replace(&mut self, block: PPtr<Block>) -> PPtr<Block> {
        if self.live.is_empty() {
            return block;
        }
        self.next = if self.next + 1 < self.live.len() { self.next + 1 } else { 0 };
        std::mem::replace(&mut self.live[self.next], block)
    }
}

impl<const TOGETHER: bool, M: Medium> Engine for Vista<TOGETHER, M> {
    type Input = u64;

    fn admits(&self, _: &u64) -> bool {
        true
    }

    #[inline(always)]
    unsafe fn transact(&mut self, input: &u64) {
        const FAULTLESS: &str = "a transaction without fault";
        if TOGETHER {
            let mut tx = self.segment.begin().expect(FAULTLESS);
            let block = tx.alloc([*input; 8]).expect(FAULTLESS);
            self.sum = self.sum.wrapping_add(tx.get(block).expect(FAULTLESS)[7]);
            let old = if self.live.is_empty() {
                block
            } else {
                self.next = if self.next + 1 < self.live.len() { self.next + 1 } else { 0 };
                std::mem::replace(&mut self.live[self.next], block)
            };
            tx.free(old).expect(FAULTLESS);
            tx.commit().expect(FAULTLESS);
        } else {
            let block = self.segment.transaction(|tx| tx.alloc([*input; 8])).expect(FAULTLESS);
            self.sum = self.sum.wrapping_add(self.segment.get(block).expect(FAULTLESS)[7]);
            let old = self.replace(block);
            self.segment.transaction(|tx| tx.free(old)).expect(FAULTLESS);
        }
    }

    fn digest(&self) -> u64 {
        let blocks = self.segment.stats().expect("a sound segment").block_count;
        assert_eq!(
            blocks,
            1 + self.live.len() as u64,
            "the root and the live blocks, and nothing has leaked"
        );
        self.sum
    }
}

/// Recipe of the bound, which needs no medium.
#[derive(Clone, Copy)]
struct MallocRecipe {
    live: usize,
}

impl Recipe for MallocRecipe {
    type Input = u64;
    type Engine<M: Medium> = Malloc;

    fn medium_len(&self) -> u64 {
        1 << 20
    }

    fn log(&self) -> Range<u64> {
        0..0
    }

    fn level(&self, _: Domain) -> Level {
        Level::Nothing
    }

    fn make<M: Medium>(&self, _: M) -> Malloc {
        Malloc::new(self.live)
    }
}

/// Recipe of vista's heap.
#[derive(Clone, Copy)]
struct VistaRecipe<const TOGETHER: bool> {
    live: usize,
}

impl<const TOGETHER: bool> Recipe for VistaRecipe<TOGETHER> {
    type Input = u64;
    type Engine<M: Medium> = Vista<TOGETHER, M>;

    fn medium_len(&self) -> u64 {
        16 << 20
    }

    fn log(&self) -> Range<u64> {
        LOG_OFFSET..LOG_OFFSET + LOG_LEN
    }

    fn make<M: Medium>(&self, medium: M) -> Vista<TOGETHER, M> {
        Vista::new(medium, self.live).expect("a new segment")
    }
}

/// The engines of this workload. Without a population a block is freed as soon as it was allocated, so that the same one
/// comes again and again; with one, the oldest of ten thousand is.
pub fn entries(files: &Files, inputs: &Arc<[u64]>, domain: Domain, has_population: bool) -> Vec<Entry> {
    let live = if has_population { LIVE } else { 0 };
    let setting = Setting::forced(domain);
    vec![
        Entry::new("malloc and free", files, setting, inputs, MallocRecipe { live }),
        Entry::new("vista, one transaction", files, setting, inputs, VistaRecipe::<true> { live }),
        Entry::new("vista, two transactions", files, setting, inputs, VistaRecipe::<false> { live }),
    ]
}
