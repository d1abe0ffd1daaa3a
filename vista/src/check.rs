//! Whether a segment is sound: a walk over every descriptor of the heap, without changing anything.
//!
//! Start at [`Core::check_heap`].

use std::collections::HashSet;
use std::fmt;

use rio::Medium;

use crate::batch::Batch;
use crate::core::Core;
use crate::error::Result;
use crate::format;
use crate::heap::{blocks_per_page, first_clear, run_list};
use crate::layout::{
    CLASSES, META_PAGES, PAGE_FREE, PAGE_FREE_TAIL, PAGE_INNER, PAGE_LARGE, PAGE_LEN, PAGE_SHIFT, PAGE_SLAB,
    PageDescriptor, RUN_LISTS,
};

/// A broken invariant: its number in docs/INVARIANTS.md, and where it shows.
///
/// ```
/// let violation = vista::Violation { invariant: "INV-H3", offset: 8192, found: "a page of no kind".into() };
/// assert!(violation.to_string().ends_with("at offset 8192: a page of no kind"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Number of the invariant, such as `INV-H3`.
    pub invariant: &'static str,
    /// Offset in the file, in bytes.
    pub offset: u64,
    /// What was found there.
    pub found: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: at offset {}: {}", self.invariant, self.offset, self.found)
    }
}

/// What a segment consists of, in bytes unless said otherwise.
///
/// ```
/// # let segment = vista::SegmentOptions::new().size(1 << 20).anonymous::<u64>()?;
/// let stats = segment.stats()?;
/// assert_eq!(stats.capacity + stats.overhead, stats.len);
/// assert!(stats.largest_free <= stats.free_pages);
/// # Ok::<_, vista::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Length of the segment.
    pub len: u64,
    /// Length to which it may grow.
    pub max_len: u64,
    /// Length of the log's first extent.
    pub log_len: u64,
    /// Number of the latest transaction. Aborted and empty ones count, and so do those of creation.
    pub transaction_count: u64,
    /// Number of zones.
    pub zone_count: u64,
    /// What headers, log, metadata and guard pages take.
    pub overhead: u64,
    /// What can be allocated in all, free or not.
    pub capacity: u64,
    /// What allocated blocks take, rounding included.
    pub allocated: u64,
    /// Number of allocated blocks.
    pub block_count: u64,
    /// Free blocks on pages that small blocks share.
    pub free_in_slabs: u64,
    /// Free runs of pages, and what was never handed out.
    pub free_pages: u64,
    /// The longest free run.
    pub largest_free: u64,
}

/// An allocated block.
///
/// ```
/// # let mut segment = vista::SegmentOptions::new().size(1 << 20).anonymous::<u64>()?;
/// let number = segment.transaction(|tx| tx.alloc(7_u64))?;
/// let blocks: Vec<vista::Block> = segment.blocks()?;
/// assert!(blocks.iter().any(|block| block.offset == number.offset() && block.len >= 8));
/// # Ok::<_, vista::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Block {
    /// Offset in the segment.
    pub offset: u64,
    /// Length of the block in bytes, which may be more than was asked for.
    pub len: u64,
}

/// What the walk has found.
#[derive(Default)]
struct Walk {
    violations: Vec<Violation>,
    stats: Stats,
    blocks: Vec<Block>,
    partial_pages: HashSet<u64>,
    free_runs: HashSet<u64>,
}

impl Walk {
    fn broken(&mut self, invariant: &'static str, offset: u64, found: impl Into<String>) {
        self.violations.push(Violation { invariant, offset, found: found.into() });
    }
}

impl<M: Medium> Core<M> {
    /// Every broken invariant of root and heap.
    pub(crate) fn check_heap(&self) -> Vec<Violation> {
        let mut walk = self.walk();
        self.check_lists(&mut walk);
        match format::root_page(self) {
            Ok(root) => {
                let is_block = |b: &Block| b.offset == root.root_offset && b.len >= root.root_len;
                if !walk.blocks.iter().any(is_block) {
                    walk.broken(
                        "INV-S2",
                        self.heap.meta.start(),
                        "the root is no allocated block of its length",
                    );
                }
            }
            Err(error) => walk.broken("INV-S1", self.heap.meta.start(), error.to_string()),
        }
        walk.violations
    }

    pub(crate) fn stats(&self) -> Stats {
        let stats = self.walk().stats;
        let len = self.space.medium().len();
        Stats {
            len,
            max_len: self.space.medium().max_len().max(len),
            log_len: self.log.first.end() - crate::layout::LOG_OFFSET,
            transaction_count: self.log.sequence,
            zone_count: self.heap.zones.len() as u64,
            overhead: len - stats.capacity,
            ..stats
        }
    }

    /// All allocated blocks, by offset.
    pub(crate) fn blocks(&self) -> Vec<Block> {
        self.walk().blocks
    }

    /// Looks at every page below the tops of the zones.
    fn walk(&self) -> Walk {
        let mut walk = Walk::default();
        for index in 0..self.heap.zones.len() {
            self.walk_zone(index, &mut walk);
        }
        walk
    }

    fn walk_zone(&self, index: usize, walk: &mut Walk) {
        let zone = &self.heap.zones[index];
        walk.stats.capacity += zone.page_count * PAGE_LEN;
        let top = match self.zone_top(&mut Batch::without_room(), index) {
            Ok(top) => top,
            Err(error) => return walk.broken("INV-H1", zone.table.start(), error.to_string()),
        };
        let above = (zone.page_count - top) * PAGE_LEN;
        walk.stats.free_pages += above;
        walk.stats.largest_free = walk.stats.largest_free.max(above);
        let mut page = zone.first_page;
        let end = zone.first_page + top;
        let mut follows_free = false;
        while page < end {
            let offset = page << PAGE_SHIFT;
            let descriptor = match self.descriptor(&mut Batch::without_room(), page) {
                Ok(descriptor) => descriptor,
                Err(error) => return walk.broken("INV-H2", offset, error.to_string()),
            };
            let run_pages = match descriptor.kind {
                PAGE_SLAB => 1,
                PAGE_FREE | PAGE_LARGE => u64::from(descriptor.run_pages),
                _ => 0,
            };
            if run_pages == 0 || run_pages > end - page {
                return walk.broken(
                    "INV-H3",
                    offset,
                    format!("no run begins here, or one of {run_pages} pages"),
                );
            }
            match descriptor.kind {
                PAGE_SLAB => walk_slab(walk, page, &descriptor),
                PAGE_LARGE => {
                    let len = run_pages * PAGE_LEN;
                    walk.stats.allocated += len;
                    walk.stats.block_count += 1;
                    walk.blocks.push(Block { offset, len });
                }
                _ => {
                    if follows_free {
                        walk.broken("INV-H4", offset, "two free runs side by side");
                    }
                    walk.stats.free_pages += run_pages * PAGE_LEN;
                    walk.stats.largest_free = walk.stats.largest_free.max(run_pages * PAGE_LEN);
                    walk.free_runs.insert(page);
                }
            }
            self.check_inside(walk, page, run_pages, descriptor.kind == PAGE_FREE);
            follows_free = descriptor.kind == PAGE_FREE;
            page += run_pages;
        }
        if follows_free {
            walk.broken("INV-H4", end << PAGE_SHIFT, "a free run below the top of its zone");
        }
    }

    /// Inside a run there are no descriptors, but for the tail of a free one.
    fn check_inside(&self, walk: &mut Walk, page: u64, run_pages: u64, is_free: bool) {
        for inner in page + 1..page + run_pages {
            let is_tail = is_free && inner == page + run_pages - 1;
            let expected = if is_tail { PAGE_FREE_TAIL } else { PAGE_INNER };
            match self.descriptor(&mut Batch::without_room(), inner) {
                Ok(d) if d.kind == expected && (!is_tail || u64::from(d.run_pages) == run_pages) => {}
                Ok(d) => {
                    walk.broken("INV-H5", inner << PAGE_SHIFT, format!("a page of kind {} in a run", d.kind))
                }
                Err(error) => walk.broken("INV-H2", inner << PAGE_SHIFT, error.to_string()),
            }
        }
    }

    /// Every page that belongs in a list is in it once, and nothing else is.
    fn check_lists(&self, walk: &mut Walk) {
        for class in 0..CLASSES.len() {
            let pages = std::mem::take(&mut walk.partial_pages);
            let (mine, others) = pages.into_iter().partition(|&page| {
                self.descriptor(&mut Batch::without_room(), page).is_ok_and(|d| usize::from(d.class) == class)
            });
            walk.partial_pages = others;
            self.check_list(walk, "INV-H6", self.heap.partial_head(class).offset(), mine, |d| {
                d.kind == PAGE_SLAB && usize::from(d.class) == class
            });
        }
        for list in 0..RUN_LISTS {
            let pages = std::mem::take(&mut walk.free_runs);
            let in_list = |d: &PageDescriptor| {
                d.kind == PAGE_FREE && d.run_pages > 0 && run_list(u64::from(d.run_pages)) == list
            };
            let (mine, others) = pages.into_iter().partition(|&page| {
                self.descriptor(&mut Batch::without_room(), page).is_ok_and(|d| in_list(&d))
            });
            walk.free_runs = others;
            self.check_list(walk, "INV-H7", self.heap.run_head(list).offset(), mine, in_list);
        }
    }

    fn check_list(
        &self,
        walk: &mut Walk,
        invariant: &'static str,
        head: u64,
        mut expected: HashSet<u64>,
        belongs: impl Fn(&PageDescriptor) -> bool,
    ) {
        let batch = &mut Batch::without_room();
        let place = self.heap.meta.place(head, 1).expect("a list's head lies in the metadata");
        let first = self.list_head(batch, place);
        let mut step = || -> Result<Option<String>> {
            let (mut page, mut before) = (first.clone()?, 0);
            while page != 0 {
                let descriptor = self.descriptor(batch, page)?;
                if !expected.remove(&page) || !belongs(&descriptor) {
                    return Ok(Some(format!("page {page} is in a list where it does not belong, or twice")));
                }
                if u64::from(descriptor.prev) != before {
                    return Ok(Some(format!("page {page} does not link back to page {before}")));
                }
                (before, page) = (page, u64::from(descriptor.next));
            }
            Ok(None)
        };
        match step() {
            Ok(None) => {}
            Ok(Some(found)) => return walk.broken(invariant, head, found),
            Err(error) => return walk.broken(invariant, head, error.to_string()),
        }
        if let Some(page) = expected.iter().min() {
            walk.broken(invariant, head, format!("page {page} is in no list: {} in all", expected.len()));
        }
    }

    /// Bytes of the file in front of the first zone.
    pub(crate) fn fixed_len(&self) -> u64 {
        self.heap.meta.start() + META_PAGES * PAGE_LEN
    }
}

fn walk_slab(walk: &mut Walk, page: u64, slab: &PageDescriptor) {
    let len = u64::from(CLASSES[usize::from(slab.class)]);
    let block_count = blocks_per_page(usize::from(slab.class));
    let offset = page << PAGE_SHIFT;
    for index in 0..256 {
        if slab.bitmap[index as usize / 64] >> (index % 64) & 1 == 0 {
            continue;
        }
        if index >= block_count {
            return walk.broken("INV-H8", offset, format!("block {index} of {block_count} is allocated"));
        }
        walk.blocks.push(Block { offset: offset + u64::from(index) * len, len });
    }
    let used: u32 = slab.bitmap.iter().map(|word| word.count_ones()).sum();
    walk.stats.allocated += u64::from(used) * len;
    walk.stats.block_count += u64::from(used);
    walk.stats.free_in_slabs += u64::from(block_count - used) * len;
    if first_clear(&slab.bitmap) < block_count {
        walk.partial_pages.insert(page);
    }
}
