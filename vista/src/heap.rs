//! The heap: pages of equal blocks for what is small, runs of pages for what is large.
//!
//! All of its state stands in the metadata, apart from user data, and changes only through the undo log; an
//! abort or a crash takes every allocation and every free back with the rest of the transaction, so that nothing
//! can leak. A block that was free when the transaction began needs no before-image. One thing is not undone: a
//! zone that was added stays, as it is free space and nothing else. Start at [`Core::alloc`] and [`Core::free`].

use rio::Medium;

use crate::Error;
use crate::batch::Batch;
use crate::core::Core;
use crate::error::Result;
use crate::layout::{
    CLASSES, DESCRIPTOR_LEN, HeapPage, MEDIUM_LEN_MAX, META_PAGES, PAGE_FREE, PAGE_FREE_TAIL, PAGE_INNER,
    PAGE_LARGE, PAGE_LEN, PAGE_SHIFT, PAGE_SLAB, PageDescriptor, RUN_LISTS, ZONES_MAX, ZoneEntry,
};
use crate::seal::{descriptor_check, seal, unseal, zone_check};
use crate::space::{Place, Space, Window, Word};

/// Free runs that are looked at in a list before a longer run is split instead.
const FIT_STEPS: usize = 16;
/// More stores to the metadata than any step makes.
const STEP_STORES_MAX: usize = 32;
/// Extents that a log may have.
pub(crate) const EXTENTS_MAX: usize = 256;
/// A zone that is added on demand has at least this length, and a quarter of the segment's.
const ZONE_LEN_MIN: u64 = 256 * 1024;

/// One stretch of the segment: descriptors, guard page, pages.
#[derive(Clone)]
pub(crate) struct Zone {
    /// The bytes of its pages.
    pub(crate) pages: Window,
    /// Its descriptors.
    pub(crate) table: Window,
    /// Number of its first page.
    pub(crate) first_page: u64,
    pub(crate) page_count: u64,
    top: Place<u64>,
    /// The pages from here on are taken by extents of the log.
    limit: u64,
    /// The transaction that lowered the top last, and the highest top before.
    lowered_by: u64,
    lowered_from: u64,
}

/// An extent of the log in free space, until the transaction ends.
struct Extent {
    window: Window,
    zone: usize,
    limit_before: u64,
}

/// The volatile side of the heap: its geometry, and what the log has borrowed.
pub(crate) struct Heap {
    /// Root page, heap page and zone directory.
    pub(crate) meta: Window,
    pub(crate) zones: Vec<Zone>,
    extents: Vec<Extent>,
    /// What the metadata held before each store of the step that is being done.
    step: Vec<(Place<u8>, [u8; DESCRIPTOR_LEN as usize])>,
    /// Whether a step is being done, in which the log may not grow, and whether it had to.
    pub(crate) is_in_step: bool,
    pub(crate) is_log_full: bool,
    /// The pages of the largest zone, and of the first or, if that is it, the second largest, below the log's extents: where
    /// most pointers lead. What was made early lies in the first, as headers of collections do, and what has grown since
    /// in a larger one.
    fast: [Window; 2],
}

/// A run of pages in a zone.
#[derive(Clone, Copy)]
struct Run {
    page: u64,
    page_count: u64,
    /// Whether this transaction may have freed some of it, so that its bytes are needed for a rollback.
    is_used: bool,
}

const CLASS_COUNT: usize = CLASSES.len();

/// Smallest class that holds `size` bytes aligned to `align`, or `None` for whole pages.
pub(crate) const fn class_for(size: u64, align: u64) -> Option<usize> {
    let mut class = 0;
    while class < CLASS_COUNT {
        let len = CLASSES[class] as u64;
        if len >= size && len.is_multiple_of(align) {
            return Some(class);
        }
        class += 1;
    }
    None
}

/// Pages of a large block; what has no bytes, but the alignment of a page, takes one too.
fn pages_of(size: u64) -> u64 {
    size.div_ceil(PAGE_LEN).max(1)
}

/// Length of the block that `size` bytes aligned to `align` take.
pub(crate) fn block_len(size: u64, align: u64) -> u64 {
    class_for(size, align).map_or(pages_of(size).saturating_mul(PAGE_LEN), |class| u64::from(CLASSES[class]))
}

/// Number of blocks on a page of this class.
pub(crate) fn blocks_per_page(class: usize) -> u32 {
    (PAGE_LEN / u64::from(CLASSES[class])) as u32
}

/// The list that a free run of so many pages is in.
pub(crate) fn run_list(page_count: u64) -> usize {
    (page_count.ilog2() as usize).min(RUN_LISTS - 1)
}

/// Bytes that a zone of so many pages takes.
pub(crate) fn zone_len(page_count: u64) -> u64 {
    (page_count * DESCRIPTOR_LEN).next_multiple_of(PAGE_LEN) + PAGE_LEN + page_count * PAGE_LEN
}

/// The most pages that a zone of so many bytes can have.
fn zone_pages(len: u64) -> u64 {
    let mut page_count = len.saturating_sub(PAGE_LEN) / (PAGE_LEN + DESCRIPTOR_LEN);
    while page_count > 0 && zone_len(page_count) > len {
        page_count -= 1;
    }
    page_count
}

impl Heap {
    pub(crate) fn new(meta: Window) -> Self {
        // A log has few extents: each is as long as twice the log before it, unless only gaps are left.
        Heap {
            meta,
            zones: Vec::new(),
            extents: Vec::with_capacity(EXTENTS_MAX),
            step: Vec::with_capacity(STEP_STORES_MAX),
            is_in_step: false,
            is_log_full: false,
            fast: [Window::EMPTY; 2],
        }
    }

    /// The place of `count` values of user data.
    #[inline(always)]
    pub(crate) fn data_place<T>(&self, offset: u64, count: u64) -> Option<Place<T>> {
        Window::place_in_any(offset, count, |offset, len| {
            let [largest, other] = self.fast;
            largest.contains(offset, len)
                || other.contains(offset, len)
                || self.is_data_elsewhere(offset, len)
        })
    }

    /// Whether the range lies in the pages of one zone, and the log has not borrowed it.
    #[inline(never)]
    fn is_data_elsewhere(&self, offset: u64, len: u64) -> bool {
        let in_zone = self.zone_at(offset).is_some_and(|zone| zone.pages.contains(offset, len));
        in_zone && !self.is_borrowed(offset, len)
    }

    /// A place without a byte, for what is empty.
    pub(crate) fn nothing<T>(&self) -> Place<T> {
        self.meta.place(self.meta.start(), 0).expect("the metadata begins at a page")
    }

    /// The place of bytes that a rollback may write: user data and metadata.
    pub(crate) fn undo_place(&self, offset: u64, len: u64) -> Option<Place<u8>> {
        let in_zone = || {
            let zone = self.zone_near(offset)?;
            zone.pages.place(offset, len).or_else(|| zone.table.place(offset, len))
        };
        self.fast[0].place(offset, len).or_else(in_zone).or_else(|| self.meta.place(offset, len))
    }

    /// The zone whose pages hold this offset.
    pub(crate) fn zone_at(&self, offset: u64) -> Option<&Zone> {
        self.zone_near(offset).filter(|zone| offset >= zone.pages.start() && offset < zone.pages.end())
    }

    /// The last zone that begins at or before this offset.
    fn zone_near(&self, offset: u64) -> Option<&Zone> {
        let after = self.zones.partition_point(|zone| zone.table.start() <= offset);
        after.checked_sub(1).map(|index| &self.zones[index])
    }

    fn zone_index(&self, page: u64) -> Option<usize> {
        let after = self.zones.partition_point(|zone| zone.first_page <= page);
        let index = after.checked_sub(1)?;
        (page - self.zones[index].first_page < self.zones[index].page_count).then_some(index)
    }

    /// Forgets a step that will not end: it panicked, or its rollback failed.
    pub(crate) fn forget_step(&mut self) {
        self.step.clear();
        self.is_in_step = false;
    }

    /// Whether the log has borrowed any byte of the range.
    pub(crate) fn is_borrowed(&self, offset: u64, len: u64) -> bool {
        self.extents.iter().any(|e| offset < e.window.end() && e.window.start() < offset + len)
    }

    pub(crate) fn has_extents(&self) -> bool {
        !self.extents.is_empty()
    }

    pub(crate) fn extent_count(&self) -> usize {
        self.extents.len()
    }

    pub(crate) fn extent(&self, index: usize) -> Option<Window> {
        self.extents.get(index).map(|extent| extent.window)
    }

    pub(crate) fn extents_len(&self) -> u64 {
        self.extents.iter().map(|extent| extent.window.end() - extent.window.start()).sum()
    }

    /// Gives all but the first `keep` extents back.
    pub(crate) fn release_extents(&mut self, keep: usize) {
        while self.extents.len() > keep {
            let extent = self.extents.pop().expect("more than `keep` extents");
            self.zones[extent.zone].limit = extent.limit_before;
        }
        self.choose_fast();
    }

    /// Points the quick check at two zones, as far as the log has not borrowed from them.
    fn choose_fast(&mut self) {
        let largest_of = |zones: &[Zone]| (0..zones.len()).max_by_key(|&index| zones[index].page_count);
        let second = |largest: usize| match largest {
            0 => largest_of(self.zones.get(1..)?).map(|index| index + 1),
            _ => Some(0),
        };
        let largest = largest_of(&self.zones);
        self.fast = [largest, largest.and_then(second)].map(|index| {
            let zone = index.map(|index| &self.zones[index]);
            zone.map_or(Window::EMPTY, |zone| zone.pages.until(zone.pages.start() + zone.limit * PAGE_LEN))
        });
    }

    /// The place of a list's head or another word of the heap page.
    fn heap_word(&self, field: usize, index: usize) -> Place<u64> {
        let offset = self.meta.start() + PAGE_LEN + (field + index * 8) as u64;
        self.meta.place(offset, 1).expect("the heap page lies in the metadata")
    }

    pub(crate) fn partial_head(&self, class: usize) -> Place<u64> {
        self.heap_word(std::mem::offset_of!(HeapPage, partial), class)
    }

    pub(crate) fn run_head(&self, list: usize) -> Place<u64> {
        self.heap_word(std::mem::offset_of!(HeapPage, runs), list)
    }

    pub(crate) fn zone_count(&self) -> Place<u64> {
        self.heap_word(std::mem::offset_of!(HeapPage, zone_count), 0)
    }

    pub(crate) fn zone_entry(&self, index: usize) -> Place<ZoneEntry> {
        let offset = self.meta.start() + 2 * PAGE_LEN + (index * size_of::<ZoneEntry>()) as u64;
        self.meta.place(offset, 1).expect("the directory lies in the metadata")
    }

    /// Where the next zone begins: behind the metadata, or behind a guard page after the zone before.
    fn next_zone(&self) -> u64 {
        self.zones
            .last()
            .map_or(self.meta.start() + META_PAGES * PAGE_LEN, |zone| zone.pages.end() + PAGE_LEN)
    }

    /// Takes a zone, whose entry is checked, into the geometry.
    pub(crate) fn push_zone<M: Medium>(&mut self, space: &Space<M>, entry: &ZoneEntry) -> Option<()> {
        let table_len = (entry.page_count.checked_mul(DESCRIPTOR_LEN)?).checked_next_multiple_of(PAGE_LEN)?;
        let table_end = entry.offset.checked_add(table_len)?;
        let pages_start = table_end.checked_add(PAGE_LEN)?;
        let pages_end = pages_start.checked_add(entry.page_count.checked_mul(PAGE_LEN)?)?;
        let is_new = entry.offset >= self.next_zone() && entry.offset.is_multiple_of(PAGE_LEN);
        if !is_new || entry.page_count == 0 {
            return None;
        }
        let top = self.zone_entry(self.zones.len()).offset() + std::mem::offset_of!(ZoneEntry, top) as u64;
        self.zones.push(Zone {
            pages: Window::new(space, pages_start, pages_end)?,
            table: Window::new(space, entry.offset, table_end)?,
            first_page: pages_start >> PAGE_SHIFT,
            page_count: entry.page_count,
            top: self.meta.place(top, 1)?,
            limit: entry.page_count,
            lowered_by: 0,
            lowered_from: 0,
        });
        self.choose_fast();
        Some(())
    }
}

impl<M: Medium> Core<M> {
    /// Allocates `size` bytes. Their content is not defined. They may be stored to without a before-image.
    ///
    /// # Errors
    /// `NoSpace` if neither the heap nor the medium has room; nothing has changed then, but for the growth.
    pub(crate) fn alloc(&mut self, batch: &mut Batch, size: u64, align: u64) -> Result<Place<u8>> {
        self.wholly(batch, |core, batch| core.try_alloc(batch, size, align))
    }

    /// Frees a block. Real at commit: until then its bytes stay, for a rollback.
    ///
    /// # Errors
    /// `NotABlock` and `DoubleFree` name the caller's mistakes; `Damaged` if the metadata fails its check.
    pub(crate) fn free(&mut self, batch: &mut Batch, offset: u64, size: u64, align: u64) -> Result<()> {
        self.wholly(batch, |core, batch| core.try_free(batch, offset, size, align))
    }

    /// Does a step of several stores wholly or not at all: if it fails, what it did is undone.
    ///
    /// The log alone cannot do that, for a range that was logged before the step is not logged again in it. So the
    /// step keeps what it overwrites, in volatile memory: after a crash the whole transaction is rolled back anyway.
    ///
    /// Nor may the log grow in a step, for it would take an extent from lists that are just being changed: the pages
    /// that the step is about to hand out, say. If the log is full, the step is undone, the log grows, and the step is
    /// done again.
    fn wholly<T>(
        &mut self,
        batch: &mut Batch,
        step: impl Fn(&mut Self, &mut Batch) -> Result<T>,
    ) -> Result<T> {
        let mut may_retry = true;
        loop {
            let mark = self.mark(batch);
            (self.heap.is_in_step, self.heap.is_log_full) = (true, false);
            let result = step(self, batch);
            self.heap.is_in_step = false;
            if result.is_err() {
                self.roll_back_to(batch, &mark)?;
            }
            self.heap.step.clear();
            if !self.heap.is_log_full || !may_retry {
                return result;
            }
            self.extend_log(batch, STEP_STORES_MAX as u64 * DESCRIPTOR_LEN)?;
            may_retry = false;
        }
    }

    /// Stores to the metadata in a step.
    #[inline]
    fn write_in_step(&mut self, batch: &mut Batch, place: Place<u8>, bytes: &[u8]) -> Result<()> {
        self.settle_for(batch, place);
        let mut before = [0; DESCRIPTOR_LEN as usize];
        let old = self.space.read_inside(place);
        before[..old.len()].copy_from_slice(old);
        self.heap.step.push((place, before));
        let is_unlogged = match bytes.first() {
            _ if place.len() < DESCRIPTOR_LEN => planted!(HeadNotLogged),
            Some(&PAGE_SLAB) => planted!(SlabNotLogged),
            Some(&PAGE_FREE_TAIL) => planted!(TailNotLogged),
            _ => false,
        };
        if is_unlogged {
            self.space.store_bytes(place, bytes);
            return Ok(());
        }
        self.write_bytes(batch, place, bytes)
    }

    /// Takes back what a step has stored, newest first. The records of all its ranges are fenced.
    pub(crate) fn undo_step(&mut self) {
        if self.heap.step.is_empty() {
            return;
        }
        for (place, before) in self.heap.step.drain(..).rev() {
            self.space.store_bytes(place, &before[..place.len() as usize]);
            self.space.medium().flush(place.offset(), place.len());
        }
        if self.log.is_ordered {
            self.space.medium().fence(); // Orders: the restored metadata, then the store that cuts the log.
        }
    }

    fn try_alloc(&mut self, batch: &mut Batch, size: u64, align: u64) -> Result<Place<u8>> {
        debug_assert!(align <= PAGE_LEN, "types are aligned to a page at most");
        let (offset, is_used) = match class_for(size, align) {
            Some(class) => self.alloc_small(batch, class)?,
            None => {
                let run = self.alloc_run(batch, pages_of(size))?;
                let head = PageDescriptor {
                    kind: PAGE_LARGE,
                    run_pages: run.page_count as u32,
                    ..PageDescriptor::default()
                };
                self.set_descriptor(batch, run.page, head)?;
                (run.page << PAGE_SHIFT, run.is_used)
            }
        };
        let zone = self.heap.zone_at(offset).expect("a block lies in a zone");
        let place = zone.pages.place(offset, size).expect("a block lies in its zone");
        self.heap.is_in_step = false; // The lists agree again, and the log may take what is left.
        if is_used && !planted!(ReuseNotLogged) {
            self.log_range(batch, place)?;
            if self.log.is_ordered && !planted!(ReuseNotSettled) {
                // The caller stores to the block without asking again.
                self.settle(batch);
            }
        } else {
            self.log_fresh(batch, place)?;
        }
        Ok(place)
    }

    fn try_free(&mut self, batch: &mut Batch, offset: u64, size: u64, align: u64) -> Result<()> {
        let foreign = |found| Error::NotABlock { segment: self.name.clone(), offset, len: size, found };
        let page = offset >> PAGE_SHIFT;
        let zone = self.heap.zone_index(page).ok_or_else(|| foreign("no user data"))?;
        if page - self.heap.zones[zone].first_page >= self.zone_top(batch, zone)? {
            return Err(foreign("memory that was never allocated"));
        }
        let descriptor = self.descriptor(batch, page)?;
        match (descriptor.kind, class_for(size, align)) {
            (PAGE_SLAB, Some(class)) if class == usize::from(descriptor.class) => {
                let in_page = offset & (PAGE_LEN - 1);
                let len = u64::from(CLASSES[class]);
                let index = (in_page / len) as u32;
                if !in_page.is_multiple_of(len) || index >= blocks_per_page(class) {
                    return Err(foreign("the inside of a block"));
                }
                if descriptor.bitmap[index as usize / 64] >> (index % 64) & 1 == 0 {
                    return Err(Error::DoubleFree { segment: self.name.clone(), offset });
                }
                self.free_small(batch, zone, page, descriptor, index)
            }
            (PAGE_LARGE, None) if u64::from(descriptor.run_pages) == pages_of(size) => {
                if offset & (PAGE_LEN - 1) != 0 {
                    return Err(foreign("the inside of a block"));
                }
                self.free_run(batch, zone, page, u64::from(descriptor.run_pages))
            }
            (PAGE_SLAB | PAGE_LARGE, _) => Err(foreign("a block of another size")),
            (PAGE_FREE | PAGE_FREE_TAIL, _) => Err(Error::DoubleFree { segment: self.name.clone(), offset }),
            _ => Err(foreign("the inside of a block, or of free memory")),
        }
    }

    /// One block of a class: offset, and whether its bytes are needed for a rollback.
    fn alloc_small(&mut self, batch: &mut Batch, class: usize) -> Result<(u64, bool)> {
        let head = self.heap.partial_head(class);
        let mut page = self.list_head(batch, head)?;
        let mut slab = if page != 0 {
            self.descriptor(batch, page)?
        } else {
            let run = self.alloc_run(batch, 1)?;
            page = run.page;
            self.set_list_head(batch, head, page)?;
            PageDescriptor {
                kind: PAGE_SLAB,
                class: class as u8,
                freed_sequence: if run.is_used { self.log.sequence as u32 } else { 0 },
                ..PageDescriptor::default()
            }
        };
        let block_count = blocks_per_page(class);
        let index = first_clear(&slab.bitmap);
        if slab.kind != PAGE_SLAB
            || usize::from(slab.class) != class
            || index >= block_count
            || slab.prev != 0
        {
            return Err(self.damaged_descriptor(page, "a page with a free block of the list's class"));
        }
        slab.bitmap[index as usize / 64] |= 1 << (index % 64);
        if first_clear(&slab.bitmap) >= block_count {
            self.set_list_head(batch, head, u64::from(slab.next))?;
            if slab.next != 0 {
                let mut next = self.descriptor(batch, u64::from(slab.next))?;
                next.prev = 0;
                self.set_descriptor(batch, u64::from(slab.next), next)?;
            }
            slab.next = 0;
        }
        let is_used = slab.freed_sequence == self.log.sequence as u32;
        self.set_descriptor(batch, page, slab)?;
        Ok(((page << PAGE_SHIFT) + u64::from(index) * u64::from(CLASSES[class]), is_used))
    }

    fn free_small(
        &mut self,
        batch: &mut Batch,
        zone: usize,
        page: u64,
        mut slab: PageDescriptor,
        index: u32,
    ) -> Result<()> {
        let class = usize::from(slab.class);
        let head = self.heap.partial_head(class);
        let was_full = first_clear(&slab.bitmap) >= blocks_per_page(class);
        slab.bitmap[index as usize / 64] &= !(1 << (index % 64));
        if !planted!(FreeNotNoted) {
            slab.freed_sequence = self.log.sequence as u32;
        }
        if was_full {
            slab.next = self.list_head(batch, head)? as u32;
            if slab.next != 0 {
                let mut next = self.descriptor(batch, u64::from(slab.next))?;
                next.prev = page as u32;
                self.set_descriptor(batch, u64::from(slab.next), next)?;
            }
            self.set_list_head(batch, head, page)?;
        } else if slab.bitmap == [0; 4] && (slab.next, slab.prev) != (0, 0) {
            // An empty page goes back, unless it is the class's only one with room.
            self.unlink(batch, head, page, &slab)?;
            return self.free_run(batch, zone, page, 1);
        }
        self.set_descriptor(batch, page, slab)
    }

    /// Takes a run of pages: from the free runs, else above the top, else from a new zone.
    fn alloc_run(&mut self, batch: &mut Batch, page_count: u64) -> Result<Run> {
        if let Some(run) = self.take_free_run(batch, page_count)? {
            return Ok(run);
        }
        for zone in 0..self.heap.zones.len() {
            if let Some(run) = self.take_above_top(batch, zone, page_count)? {
                return Ok(run);
            }
        }
        let wanted = page_count.saturating_mul(PAGE_LEN);
        if page_count > u64::from(u32::MAX) {
            return Err(self.no_space(wanted));
        }
        let zone = self.add_zone(page_count)?;
        let run = self.take_above_top(batch, zone, page_count)?;
        run.ok_or_else(|| self.no_space(wanted))
    }

    fn take_free_run(&mut self, batch: &mut Batch, page_count: u64) -> Result<Option<Run>> {
        for list in run_list(page_count)..RUN_LISTS {
            let head = self.heap.run_head(list);
            let mut page = self.list_head(batch, head)?;
            for _ in 0..FIT_STEPS {
                if page == 0 {
                    break;
                }
                let (zone, free) = self.free_head(batch, page)?;
                let run_pages = u64::from(free.run_pages);
                if run_pages >= page_count && !self.hosts_extent(page, run_pages) {
                    self.split_free_run(batch, zone, page, &free, page_count)?;
                    let is_used = free.freed_sequence == self.log.sequence as u32;
                    return Ok(Some(Run { page, page_count, is_used }));
                }
                page = u64::from(free.next);
            }
        }
        Ok(None)
    }

    /// Takes the first pages of a free run; the rest stays free.
    fn split_free_run(
        &mut self,
        batch: &mut Batch,
        zone: usize,
        page: u64,
        free: &PageDescriptor,
        page_count: u64,
    ) -> Result<()> {
        let run_pages = u64::from(free.run_pages);
        self.unlink(batch, self.heap.run_head(run_list(run_pages)), page, free)?;
        if run_pages > page_count {
            let rest = run_pages - page_count;
            self.link_free_run(batch, zone, page + page_count, rest, free.freed_sequence)
        } else if run_pages > 1 {
            self.set_descriptor(batch, page + run_pages - 1, PageDescriptor::default())
        } else {
            Ok(())
        }
    }

    fn take_above_top(&mut self, batch: &mut Batch, zone: usize, page_count: u64) -> Result<Option<Run>> {
        let top = self.zone_top(batch, zone)?;
        let Zone { first_page, limit, lowered_by, lowered_from, .. } = self.heap.zones[zone];
        if limit.saturating_sub(top) < page_count {
            return Ok(None);
        }
        self.set_zone_top(batch, zone, top + page_count)?;
        let is_used = lowered_by == self.log.sequence && top < lowered_from;
        Ok(Some(Run { page: first_page + top, page_count, is_used }))
    }

    /// Gives a run back: joined with the free runs beside it, or with the space above the top.
    fn free_run(&mut self, batch: &mut Batch, zone: usize, page: u64, page_count: u64) -> Result<()> {
        let Zone { first_page, .. } = self.heap.zones[zone];
        let top = self.zone_top(batch, zone)?;
        let (mut start, mut end) = (page, page + page_count);
        if end > first_page + top {
            return Err(self.damaged_descriptor(page, "a run below the top of its zone"));
        }
        // Only first and last pages of runs have descriptors; what becomes inner loses its own.
        self.set_descriptor(batch, page, PageDescriptor::default())?;
        if page > first_page {
            let left = self.descriptor(batch, page - 1)?;
            if matches!(left.kind, PAGE_FREE | PAGE_FREE_TAIL) {
                start = page.saturating_sub(u64::from(left.run_pages)).max(first_page);
                let (_, free) = self.free_head(batch, start)?;
                if u64::from(free.run_pages) != page - start {
                    return Err(self.damaged_descriptor(start, "a free run that ends before the freed one"));
                }
                self.unlink(batch, self.heap.run_head(run_list(page - start)), start, &free)?;
                self.set_descriptor(batch, start, PageDescriptor::default())?;
                self.set_descriptor(batch, page - 1, PageDescriptor::default())?;
            }
        }
        if end == first_page + top {
            let sequence = self.log.sequence;
            let zone_state = &mut self.heap.zones[zone];
            let lowered_from = if zone_state.lowered_by == sequence { zone_state.lowered_from } else { 0 };
            if !planted!(LoweredTopNotNoted) {
                (zone_state.lowered_by, zone_state.lowered_from) = (sequence, lowered_from.max(top));
            }
            return self.set_zone_top(batch, zone, start - first_page);
        }
        let right = self.descriptor(batch, end)?;
        if right.kind == PAGE_FREE {
            let (_, free) = self.free_head(batch, end)?;
            self.unlink(batch, self.heap.run_head(run_list(u64::from(free.run_pages))), end, &free)?;
            self.set_descriptor(batch, end, PageDescriptor::default())?;
            end += u64::from(free.run_pages);
        }
        self.link_free_run(batch, zone, start, end - start, self.log.sequence as u32)
    }

    fn link_free_run(
        &mut self,
        batch: &mut Batch,
        zone: usize,
        page: u64,
        page_count: u64,
        freed_sequence: u32,
    ) -> Result<()> {
        debug_assert!(
            page + page_count <= self.heap.zones[zone].first_page + self.heap.zones[zone].page_count
        );
        let head = self.heap.run_head(run_list(page_count));
        let next = self.list_head(batch, head)?;
        if next != 0 {
            let (_, mut free) = self.free_head(batch, next)?;
            free.prev = page as u32;
            self.set_descriptor(batch, next, free)?;
        }
        let run_pages = page_count as u32;
        if page_count > 1 {
            let tail = PageDescriptor { kind: PAGE_FREE_TAIL, run_pages, ..PageDescriptor::default() };
            self.set_descriptor(batch, page + page_count - 1, tail)?;
        }
        let free = PageDescriptor {
            kind: PAGE_FREE,
            run_pages,
            freed_sequence,
            next: next as u32,
            ..PageDescriptor::default()
        };
        self.set_descriptor(batch, page, free)?;
        self.set_list_head(batch, head, page)
    }

    /// Takes a page out of the list that begins at `head`.
    fn unlink(
        &mut self,
        batch: &mut Batch,
        head: Place<u64>,
        page: u64,
        link: &PageDescriptor,
    ) -> Result<()> {
        let (next, prev) = (u64::from(link.next), u64::from(link.prev));
        let is_broken = |core: &Self| core.damaged_descriptor(page, "a list whose links agree");
        if prev == 0 {
            if self.list_head(batch, head)? != page {
                return Err(is_broken(self));
            }
            self.set_list_head(batch, head, next)?;
        } else {
            let mut before = self.descriptor(batch, prev)?;
            if u64::from(before.next) != page || before.kind != link.kind {
                return Err(is_broken(self));
            }
            before.next = next as u32;
            self.set_descriptor(batch, prev, before)?;
        }
        if next != 0 {
            let mut after = self.descriptor(batch, next)?;
            if u64::from(after.prev) != page || after.kind != link.kind {
                return Err(is_broken(self));
            }
            after.prev = prev as u32;
            self.set_descriptor(batch, next, after)?;
        }
        Ok(())
    }

    /// The first page of a free run, its shape checked.
    fn free_head(&self, batch: &mut Batch, page: u64) -> Result<(usize, PageDescriptor)> {
        let free = self.descriptor(batch, page)?;
        let zone = self.heap.zone_index(page).expect("a page with a descriptor has a zone");
        let top = self.heap.zones[zone].first_page + self.zone_top(batch, zone)?;
        let run_pages = u64::from(free.run_pages);
        if free.kind != PAGE_FREE || run_pages == 0 || run_pages > top.saturating_sub(page) {
            return Err(self.damaged_descriptor(page, "the first page of a free run"));
        }
        Ok((zone, free))
    }

    fn hosts_extent(&self, page: u64, page_count: u64) -> bool {
        self.heap.is_borrowed(page << PAGE_SHIFT, page_count << PAGE_SHIFT)
    }

    /// Borrows free space for the log: at least `least` bytes, `wanted` if there are so many.
    pub(crate) fn reserve_extent(&mut self, batch: &mut Batch, least: u64, wanted: u64) -> Result<Window> {
        let least = least.div_ceil(PAGE_LEN);
        let wanted = wanted.div_ceil(PAGE_LEN).max(least);
        if self.heap.extents.len() == self.heap.extents.capacity() {
            return Err(self.no_space(wanted * PAGE_LEN));
        }
        if let Some(window) = self.extent_above_top(batch, least, wanted)? {
            return Ok(window);
        }
        if let Some(window) = self.extent_in_free_run(batch, wanted, wanted)? {
            return Ok(window);
        }
        if self.add_zone(wanted).is_err() {
            // No room in one piece: the longest gap does.
            if let Some(window) = self.extent_in_free_run(batch, least, wanted)? {
                return Ok(window);
            }
            self.add_zone(least)?;
        }
        let window = self.extent_above_top(batch, least, wanted)?;
        window.ok_or_else(|| self.no_space(wanted * PAGE_LEN))
    }

    fn extent_above_top(&mut self, batch: &mut Batch, least: u64, wanted: u64) -> Result<Option<Window>> {
        let mut best = (0, 0);
        for index in 0..self.heap.zones.len() {
            let top = self.zone_top(batch, index)?;
            let zone = &self.heap.zones[index];
            // What this transaction freed is needed for a rollback.
            let is_needed = zone.lowered_by == self.log.sequence && !planted!(ExtentOverFreed);
            let needed = if is_needed { zone.lowered_from } else { 0 };
            best = best.max((zone.limit.saturating_sub(top.max(needed)), index));
        }
        let (room, index) = best;
        if room < least {
            return Ok(None);
        }
        let page_count = wanted.min(room);
        let first_page = self.heap.zones[index].first_page + self.heap.zones[index].limit - page_count;
        Ok(Some(self.push_extent(index, first_page, page_count)))
    }

    fn extent_in_free_run(&mut self, batch: &mut Batch, least: u64, wanted: u64) -> Result<Option<Window>> {
        for list in (0..RUN_LISTS).rev() {
            let mut page = self.list_head(batch, self.heap.run_head(list))?;
            for _ in 0..FIT_STEPS {
                if page == 0 {
                    break;
                }
                let (zone, free) = self.free_head(batch, page)?;
                let run_pages = u64::from(free.run_pages);
                let is_needed = free.freed_sequence == self.log.sequence as u32 && !planted!(ExtentOverFreed);
                if run_pages >= least && !is_needed && !self.hosts_extent(page, run_pages) {
                    return Ok(Some(self.push_extent(zone, page, run_pages.min(wanted))));
                }
                page = u64::from(free.next);
            }
        }
        Ok(None)
    }

    fn push_extent(&mut self, zone: usize, page: u64, page_count: u64) -> Window {
        let state = &mut self.heap.zones[zone];
        let limit_before = state.limit;
        state.limit = limit_before.min(page - state.first_page);
        let start = page << PAGE_SHIFT;
        let window = Window::new(&self.space, start, start + page_count * PAGE_LEN);
        let window = window.expect("free pages lie in the medium");
        self.heap.extents.push(Extent { window, zone, limit_before });
        self.heap.choose_fast();
        window
    }

    /// Adds a zone of at least `page_count` pages, growing the medium where it must.
    ///
    /// Not part of the transaction: the zone is whole before one store counts it, and stays when the transaction
    /// is rolled back. A crash before that store leaves a longer medium, which the next zone takes.
    pub(crate) fn add_zone(&mut self, page_count: u64) -> Result<usize> {
        let index = self.heap.zones.len();
        let start = self.heap.next_zone();
        let medium = self.space.medium();
        let (len, max_len) = (medium.len(), medium.max_len().min(MEDIUM_LEN_MAX));
        let wanted = page_count.saturating_mul(PAGE_LEN);
        let Some(least) =
            page_count.checked_mul(2 * PAGE_LEN).map(|_| start.saturating_add(zone_len(page_count)))
        else {
            return Err(self.no_space(wanted));
        };
        if index == ZONES_MAX || least > max_len.max(len) {
            return Err(self.no_space(wanted));
        }
        if least > len {
            let step = ZONE_LEN_MIN.max(len / 4).next_multiple_of(PAGE_LEN);
            let roomy = start.saturating_add(step).min(max_len / PAGE_LEN * PAGE_LEN).max(least);
            let medium = self.space.medium_mut();
            if let Err(error) = medium.grow(roomy)
                && (roomy == least || medium.grow(least).is_err())
            {
                return Err(error.into());
            }
        }
        let page_count =
            zone_pages(self.space.medium().len().saturating_sub(start)).min(u64::from(u32::MAX) - 1);
        let mut entry = ZoneEntry { offset: start, page_count, top: 0, check: 0 };
        entry.check = zone_check(&entry, index as u64);
        let place = self.heap.zone_entry(index);
        entry.top = seal(0, place.offset() + std::mem::offset_of!(ZoneEntry, top) as u64);
        self.heap.push_zone(&self.space, &entry).expect("a zone is laid out behind the last one");
        if let Err(error) = self.guard_zone(index) {
            self.heap.zones.pop();
            self.heap.choose_fast();
            return Err(error);
        }
        if planted!(ZoneCountedFirst) {
            let count = self.heap.zone_count();
            self.space.publish(Word::of(count), seal(index as u64 + 1, count.offset()));
        }
        self.space.store_bytes(place.bytes(), bytemuck::bytes_of(&entry));
        if !planted!(ZoneNotFlushed) {
            self.space.medium().flush(place.offset(), place.len());
        }
        self.space.medium().fence(); // Orders: the zone's entry, then the count that makes it valid.
        let count = self.heap.zone_count();
        self.space.publish(Word::of(count), seal(index as u64 + 1, count.offset()));
        self.space.medium().flush(count.offset(), 8);
        self.space.medium().fence(); // Orders: the zone, then whatever a log says about it.
        Ok(index)
    }

    /// Makes the pages in front of a zone, and between its descriptors and its pages, inaccessible.
    pub(crate) fn guard_zone(&mut self, index: usize) -> Result<()> {
        let table = self.heap.zones[index].table;
        if index > 0 {
            self.space.medium_mut().guard(table.start() - PAGE_LEN, PAGE_LEN)?;
        }
        Ok(self.space.medium_mut().guard(table.end(), PAGE_LEN)?)
    }

    /// Number of pages of a zone below its top.
    pub(crate) fn zone_top(&self, batch: &mut Batch, zone: usize) -> Result<u64> {
        let Zone { top, page_count, .. } = self.heap.zones[zone];
        let word = self.peek(batch, top);
        unseal(word, top.offset()).filter(|&pages| pages <= page_count).ok_or_else(|| {
            self.damaged(top.offset(), "heap: top of a zone", word, "a sealed count of its pages")
        })
    }

    fn set_zone_top(&mut self, batch: &mut Batch, zone: usize, pages: u64) -> Result<()> {
        let top = self.heap.zones[zone].top;
        self.write_in_step(batch, top.bytes(), &seal(pages, top.offset()).to_le_bytes())
    }

    pub(crate) fn list_head(&self, batch: &mut Batch, head: Place<u64>) -> Result<u64> {
        let word = self.peek(batch, head);
        unseal(word, head.offset())
            .ok_or_else(|| self.damaged(head.offset(), "heap: head of a list", word, "a sealed page number"))
    }

    fn set_list_head(&mut self, batch: &mut Batch, head: Place<u64>, page: u64) -> Result<()> {
        self.write_in_step(batch, head.bytes(), &seal(page, head.offset()).to_le_bytes())
    }

    fn descriptor_place(&self, page: u64) -> Result<Place<PageDescriptor>> {
        let place = self.heap.zone_index(page).and_then(|index| {
            let zone = &self.heap.zones[index];
            zone.table.place(zone.table.start() + (page - zone.first_page) * DESCRIPTOR_LEN, 1)
        });
        let offset = self.heap.meta.start() + PAGE_LEN;
        place.ok_or_else(|| self.damaged(offset, "heap: page of a list or run", page, "a page of the heap"))
    }

    /// The descriptor of a page, its check done.
    pub(crate) fn descriptor(&self, batch: &mut Batch, page: u64) -> Result<PageDescriptor> {
        let place = self.descriptor_place(page)?;
        let descriptor = self.peek(batch, place);
        let is_sound = if descriptor.kind == PAGE_INNER {
            descriptor == PageDescriptor::default()
        } else {
            descriptor.kind <= PAGE_LARGE
                && usize::from(descriptor.class) < CLASS_COUNT
                && (descriptor.reserved, descriptor.reserved_word) == (0, 0)
                && descriptor.check == descriptor_check(&descriptor, page)
        };
        if is_sound { Ok(descriptor) } else { Err(self.damaged_descriptor(page, "one whose check fits")) }
    }

    fn set_descriptor(&mut self, batch: &mut Batch, page: u64, mut descriptor: PageDescriptor) -> Result<()> {
        if descriptor.kind != PAGE_INNER {
            descriptor.check = descriptor_check(&descriptor, page);
        }
        let place = self.descriptor_place(page)?;
        self.write_in_step(batch, place.bytes(), bytemuck::bytes_of(&descriptor))
    }

    #[cold]
    fn damaged_descriptor(&self, page: u64, expected: &str) -> Error {
        match self.descriptor_place(page) {
            Ok(place) => {
                let kind = u64::from(self.space.load(place).kind);
                self.damaged(place.offset(), "heap: descriptor of a page, kind", kind, expected)
            }
            Err(error) => error,
        }
    }

    #[cold]
    pub(crate) fn no_space(&self, wanted: u64) -> Error {
        let medium = self.space.medium();
        Error::NoSpace { segment: self.name.clone(), wanted, len: medium.len(), max_len: medium.max_len() }
    }
}

/// The lowest clear bit; 256 if there is none.
pub(crate) fn first_clear(bitmap: &[u64; 4]) -> u32 {
    for (i, word) in bitmap.iter().enumerate() {
        if *word != u64::MAX {
            return i as u32 * 64 + word.trailing_ones();
        }
    }
    256
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_fit_and_align() {
        for align in [1u64, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048] {
            for size in 1..=2048 {
                if let Some(class) = class_for(size, align) {
                    let len = u64::from(CLASSES[class]);
                    assert!(len >= size && len.is_multiple_of(align));
                }
            }
        }
        assert_eq!(class_for(2049, 8), None);
        assert_eq!(class_for(1, 4096), None);
        assert_eq!(class_for(0, 1), Some(0));
    }

    #[test]
    fn a_zone_fits_its_length() {
        for len in (0..3_000_000).step_by(1021) {
            let pages = zone_pages(len);
            assert!(pages == 0 || zone_len(pages) <= len, "{len}");
            assert!(zone_len(pages + 1) > len, "{len}");
        }
    }

    #[test]
    fn the_first_clear_bit_is_found() {
        assert_eq!(first_clear(&[0; 4]), 0);
        assert_eq!(first_clear(&[u64::MAX, 0b101, 0, 0]), 65);
        assert_eq!(first_clear(&[u64::MAX; 4]), 256);
    }
}
