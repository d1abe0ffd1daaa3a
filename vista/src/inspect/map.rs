//! What each page of a segment is used for, from its first byte to its last.
//!
//! Start at [`Inspector::runs`].

use rio::Medium;

use crate::batch::Batch;
use crate::core::Core;
use crate::heap::blocks_per_page;
use crate::inspect::Inspector;
use crate::layout::{LOG_OFFSET, PAGE_FREE, PAGE_LARGE, PAGE_LEN, PAGE_SHIFT, PAGE_SLAB, SEGMENT_OFFSET};

/// Pages side by side that serve one purpose.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("counter");
/// # vista::Segment::<u64>::create(&path, 1 << 20)?.close()?;
/// use vista::inspect::{Inspector, Usage};
///
/// let runs = Inspector::open(&path)?.runs();
/// let slab = runs.iter().find(|run| matches!(run.usage, Usage::Slab { .. })).unwrap();
/// assert_eq!(slab.page_count, 1); // The root is in it.
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Offset of the first page.
    pub offset: u64,
    /// Number of the pages.
    pub page_count: u64,
    /// What they are used for.
    pub usage: Usage,
}

/// What a page is used for.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("counter");
/// # vista::Segment::<u64>::create(&path, 1 << 20)?.close()?;
/// use vista::inspect::{Inspector, Usage};
///
/// let runs = Inspector::open(&path)?.runs();
/// assert_eq!((runs[0].usage, runs[1].usage, runs[2].usage), (Usage::Header, Usage::Guard, Usage::Log));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Usage {
    /// The headers of region and segment.
    Header,
    /// The log.
    Log,
    /// Root page, heap page and zone directory, or the descriptors of a zone.
    Metadata,
    /// Nothing: a page that no access is allowed to, in front of what must not be reached by mistake.
    Guard,
    /// Blocks of one size class.
    Slab {
        /// Index of the class in [`CLASSES`](crate::layout::CLASSES).
        class: usize,
        /// Number of allocated blocks.
        used: u32,
        /// Number of blocks.
        capacity: u32,
    },
    /// One large block.
    Large,
    /// A free run.
    Free,
    /// Pages that were never handed out, or all given back.
    Untouched,
    /// What cannot be told: the descriptor does not pass its check.
    Damaged,
}

/// What an offset of the file belongs to.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("counter");
/// # vista::Segment::<u64>::create(&path, 1 << 20)?.close()?;
/// use vista::inspect::{Area, Inspector};
///
/// let inspector = Inspector::open(&path)?;
/// assert_eq!((inspector.area(0), inspector.area(inspector.root()?.offset)), (Area::Header, Area::Root));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Area {
    /// The headers of region and segment.
    Header,
    /// The first extent of the log.
    Log,
    /// The page that describes the root.
    RootPage,
    /// The heads of the heap's lists.
    HeapPage,
    /// The directory of zones.
    ZoneDirectory,
    /// The descriptors of the pages of a zone.
    Descriptors,
    /// The root.
    Root,
    /// User data, but for the root.
    Data,
    /// Nothing that a transaction may change.
    Nothing,
}

impl<M: Medium> Inspector<M> {
    /// What each page is used for, without a gap from the first to the last. Meaningful after
    /// [`recover`](Inspector::recover).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("counter");
    /// # vista::Segment::<u64>::create(&path, 1 << 20)?.close()?;
    /// let inspector = vista::inspect::Inspector::open(&path)?;
    /// let mut end = 0;
    /// for run in inspector.runs() {
    ///     assert_eq!(run.offset, end);
    ///     end += run.page_count * vista::layout::PAGE_LEN;
    /// }
    /// assert_eq!(end, 1 << 20);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn runs(&self) -> Vec<Run> {
        let mut map = Map { runs: Vec::new(), end: 0 };
        let core = &self.core;
        let meta = core.heap.meta;
        map.until(LOG_OFFSET - PAGE_LEN, Usage::Header);
        map.until(LOG_OFFSET, Usage::Guard);
        map.until(core.log.first.end(), Usage::Log);
        map.until(meta.start(), Usage::Guard);
        map.until(meta.end(), Usage::Metadata);
        for index in 0..core.heap.zones.len() {
            zone(core, index, &mut map);
        }
        map.until(core.space.medium().len() / PAGE_LEN * PAGE_LEN, Usage::Untouched);
        map.runs
    }

    /// What an offset belongs to.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("counter");
    /// # vista::Segment::<u64>::create(&path, 1 << 20)?.close()?;
    /// use vista::inspect::{Area, Inspector};
    ///
    /// let inspector = Inspector::open(&path)?;
    /// assert_eq!(inspector.area(vista::layout::LOG_OFFSET), Area::Log);
    /// assert_eq!(inspector.area(u64::MAX), Area::Nothing);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn area(&self, offset: u64) -> Area {
        let core = &self.core;
        let meta = core.heap.meta.start();
        if offset < SEGMENT_OFFSET + PAGE_LEN {
            return Area::Header;
        }
        if (LOG_OFFSET..core.log.first.end()).contains(&offset) {
            return Area::Log;
        }
        if let Some(page) =
            offset.checked_sub(meta).map(|distance| distance / PAGE_LEN).filter(|page| *page < 3)
        {
            return [Area::RootPage, Area::HeapPage, Area::ZoneDirectory][page as usize];
        }
        let root = self.root().ok().and_then(|root| Some((offset.checked_sub(root.offset)?, root.len)));
        if root.is_some_and(|(distance, len)| distance < len) {
            return Area::Root;
        }
        for zone in &core.heap.zones {
            if zone.table.contains(offset, 1) {
                return Area::Descriptors;
            }
            if zone.pages.contains(offset, 1) {
                return Area::Data;
            }
        }
        Area::Nothing
    }
}

/// The runs so far, and where they end.
struct Map {
    runs: Vec<Run>,
    end: u64,
}

impl Map {
    /// Pages up to this offset; none if it was reached before.
    fn until(&mut self, end: u64, usage: Usage) {
        if end > self.end {
            let page_count = (end - self.end) >> PAGE_SHIFT;
            self.runs.push(Run { offset: self.end, page_count, usage });
            self.end = end;
        }
    }
}

fn zone<M: Medium>(core: &Core<M>, index: usize, map: &mut Map) {
    let zone = &core.heap.zones[index];
    map.until(zone.table.start(), Usage::Untouched);
    map.until(zone.table.end().next_multiple_of(PAGE_LEN), Usage::Metadata);
    map.until(zone.pages.start(), Usage::Guard);
    let batch = &mut Batch::without_room();
    let end = zone.first_page + zone.page_count;
    let Ok(top) = core.zone_top(batch, index) else { return map.until(zone.pages.end(), Usage::Damaged) };
    let (mut page, top) = (zone.first_page, zone.first_page + top.min(zone.page_count));
    while page < top {
        let run = core.descriptor(batch, page).ok().and_then(|descriptor| match descriptor.kind {
            PAGE_SLAB => {
                let class = usize::from(descriptor.class);
                let used = descriptor.bitmap.iter().map(|word| word.count_ones()).sum();
                Some((1, Usage::Slab { class, used, capacity: blocks_per_page(class) }))
            }
            PAGE_LARGE => Some((u64::from(descriptor.run_pages), Usage::Large)),
            PAGE_FREE => Some((u64::from(descriptor.run_pages), Usage::Free)),
            _ => None,
        });
        // Behind a run of an impossible length nothing is known but that the next page may be sound again.
        let (page_count, usage) =
            run.filter(|(count, _)| (1..=top - page).contains(count)).unwrap_or((1, Usage::Damaged));
        page += page_count;
        map.until(page << PAGE_SHIFT, usage);
    }
    map.until(end << PAGE_SHIFT, Usage::Untouched);
}
