//! Fragmentation: how much longer a segment is than what was asked of it, after a long random history.
//!
//! Blocks of mixed sizes come and go in a segment that begins small and grows on demand. Start at [`measure`].

use std::path::Path;

use serde::{Deserialize, Serialize};
use vista::{PSlice, Segment, SegmentOptions};

use crate::engine::Random;

/// The smallest and the largest block, in bytes. Sizes between are as likely on a logarithmic scale.
const SIZES: [f64; 2] = [16.0, 16384.0];
const FIRST_LEN: u64 = 1 << 20;

/// The heap after one phase of the history. Bytes, unless said otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// What the phase did.
    pub name: String,
    /// Allocations and frees so far.
    pub operations: u64,
    /// Number of live blocks.
    pub block_count: u64,
    /// What was asked for, of the live blocks.
    pub asked: u64,
    /// What they take, rounding included.
    pub allocated: u64,
    /// Free blocks on pages that others use.
    pub free_in_slabs: u64,
    /// Free pages.
    pub free_pages: u64,
    /// The longest free run.
    pub largest_free: u64,
    /// Length of the segment.
    pub len: u64,
    /// Number of zones.
    pub zone_count: u64,
}

impl Phase {
    /// What rounding adds to what was asked for, as a share of it.
    pub fn rounding(&self) -> f64 {
        self.allocated as f64 / self.asked as f64 - 1.0
    }

    /// Share of the pages in use that no block takes: external fragmentation that small blocks cause.
    pub fn slab_loss(&self) -> f64 {
        self.free_in_slabs as f64 / (self.allocated + self.free_in_slabs) as f64
    }

    /// Length of the segment over what was asked for.
    pub fn footprint(&self) -> f64 {
        self.len as f64 / self.asked as f64
    }
}

struct History {
    segment: Segment<u64>,
    random: Random,
    live: Vec<PSlice<u8>>,
    asked: u64,
    operations: u64,
    phases: Vec<Phase>,
}

/// Runs the history in a new segment at `path`, with `target` bytes asked for at its height.
///
/// # Errors
/// Vista's.
///
/// # Panics
/// If the heap is not sound in the end.
pub fn measure(path: &Path, target: u64) -> vista::Result<Vec<Phase>> {
    let mut history = History {
        segment: SegmentOptions::new().size(FIRST_LEN).create(path)?,
        random: Random::new(0xF4A6),
        live: Vec::new(),
        asked: 0,
        operations: 0,
        phases: Vec::new(),
    };
    let small = [SIZES[0], 256.0];
    history.fill(target, SIZES)?;
    history.note("filled")?;
    history.churn(10 * history.live.len() as u64, target, SIZES)?;
    history.note("ten times replaced at random")?;
    history.thin(target / 4)?;
    history.note("three quarters freed at random")?;
    history.fill(target, small)?;
    history.note("filled again with small blocks (to 256 B)")?;
    history.churn(4 * history.live.len() as u64, target, SIZES)?;
    history.note("replaced at random by all sizes")?;
    history.thin(0)?;
    history.note("all freed")?;
    assert_eq!(history.segment.check()?, [], "a sound heap");
    Ok(history.phases)
}

impl History {
    fn alloc(&mut self, [from, to]: [f64; 2]) -> vista::Result<()> {
        let share = self.random.below(1 << 32) as f64 / (1u64 << 32) as f64;
        let len = (from * (to / from).powf(share)) as usize;
        let block = self.segment.transaction(|tx| tx.alloc_slice_zeroed(len))?;
        self.live.push(block);
        self.asked += len as u64;
        self.operations += 1;
        Ok(())
    }

    fn free(&mut self) -> vista::Result<()> {
        let index = self.random.below(self.live.len() as u64) as usize;
        let block = self.live.swap_remove(index);
        self.segment.transaction(|tx| tx.free_slice(block))?;
        self.asked -= block.len() as u64;
        self.operations += 1;
        Ok(())
    }

    fn fill(&mut self, target: u64, sizes: [f64; 2]) -> vista::Result<()> {
        while self.asked < target {
            self.alloc(sizes)?;
        }
        Ok(())
    }

    fn thin(&mut self, target: u64) -> vista::Result<()> {
        while self.asked > target {
            self.free()?;
        }
        Ok(())
    }

    /// Frees and allocates at random, so that what was asked for stays about `target`.
    fn churn(&mut self, operations: u64, target: u64, sizes: [f64; 2]) -> vista::Result<()> {
        for _ in 0..operations {
            if self.asked > target { self.free()? } else { self.alloc(sizes)? }
        }
        self.fill(target, sizes)
    }

    fn note(&mut self, name: &'static str) -> vista::Result<()> {
        let stats = self.segment.stats()?;
        assert_eq!(stats.block_count, 1 + self.live.len() as u64, "the root and the live blocks");
        self.phases.push(Phase {
            name: name.to_owned(),
            operations: self.operations,
            block_count: self.live.len() as u64,
            asked: self.asked,
            allocated: stats.allocated,
            free_in_slabs: stats.free_in_slabs,
            free_pages: stats.free_pages,
            largest_free: stats.largest_free,
            len: stats.len,
            zone_count: stats.zone_count,
        });
        Ok(())
    }
}
