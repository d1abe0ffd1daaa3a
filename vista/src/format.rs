//! Making and opening a segment: the static geometry, and every check before the first byte is trusted.
//!
//! Start at [`create`] and [`open`].

use std::hash::{BuildHasher, Hasher, RandomState};
use std::mem::offset_of;
use std::sync::Arc;

use bytemuck::Zeroable;
use rio::Medium;

use crate::batch::Batch;
use crate::core::Core;
use crate::error::Result;
use crate::heap::{EXTENTS_MAX, Heap, zone_len};
use crate::layout::{
    CLASS_LISTS, CLASSES, FORMAT_VERSION, HeapPage, LOG_EMPTY, LOG_OFFSET, LOG_RECORDS, LogHeader,
    MEDIUM_LEN_MAX, META_PAGES, PAGE_LEN, ROOT_TEXT_LEN, RUN_LISTS, RootPage, SEGMENT_MAGIC, SEGMENT_OFFSET,
    SegmentHeader, ZONES_MAX,
};
use crate::seal::{record_seed, seal, unseal, zone_check};
use crate::seen::Seen;
use crate::space::{Place, Room, Space, Window, Word};
use crate::undo::{Log, RECORDS_START};
use crate::vacated::Vacated;
use crate::{Error, Layout, Persistent, Recovery, layout_of};

/// Shortest log: one page.
pub(crate) const LOG_LEN_MIN: u64 = PAGE_LEN;

/// Shortest medium of a segment with a log of `log_len` bytes.
pub(crate) fn medium_len_min(log_len: u64) -> u64 {
    meta_offset(log_len).saturating_add(META_PAGES * PAGE_LEN + zone_len(1))
}

fn meta_offset(log_len: u64) -> u64 {
    LOG_OFFSET.saturating_add(log_len).saturating_add(PAGE_LEN)
}

/// Formats a medium that is all zero, with a root of `root_len` zero bytes.
pub(crate) fn create<M: Medium>(
    medium: M,
    log_len: u64,
    root_len: u64,
    root_align: u64,
    root: &Layout,
) -> Result<Core<M>> {
    let name: Arc<str> = medium.name().into();
    let bad_option = |what, found, expected: String| Error::BadOption {
        segment: name.clone(),
        what,
        found,
        expected: expected.into(),
    };
    if log_len < LOG_LEN_MIN || !log_len.is_multiple_of(PAGE_LEN) || log_len > MEDIUM_LEN_MAX {
        return Err(bad_option("length of the log", log_len, format!("whole pages of {PAGE_LEN} bytes")));
    }
    check_medium_len(&medium, &name, log_len)?;

    let header = sealed_header(SegmentHeader {
        magic: SEGMENT_MAGIC,
        version: FORMAT_VERSION,
        page_len: PAGE_LEN as u32,
        log_offset: LOG_OFFSET,
        log_len,
        meta_offset: meta_offset(log_len),
        ..SegmentHeader::zeroed()
    });
    let mut core = new_core(medium, name, &header)?;
    let header_place = header_place(&core.space)?;
    let found = core.space.load(header_place);
    if found != SegmentHeader::zeroed() {
        let found = u64::from_le_bytes(found.magic);
        return Err(core.damaged(SEGMENT_OFFSET, "segment header of a new medium", found, "zero"));
    }

    if planted!(HeaderFirst) {
        core.space.store_bytes(header_place.bytes(), bytemuck::bytes_of(&header));
    }
    let log = LogHeader { state: LOG_EMPTY, sequence: 0, batch: 0 };
    let log_place: Place<LogHeader> = place(&core.space, LOG_OFFSET)?;
    core.space.store_bytes(log_place.bytes(), bytemuck::bytes_of(&log));
    store_heap_page(&mut core);
    let zone = core.add_zone(1)?;
    debug_assert_eq!(zone, 0, "a new segment has one zone");

    let mut batch = Batch::new(core.log.is_ordered);
    core.begin_log(&mut batch);
    let block = core.alloc(&mut batch, root_len, root_align)?;
    core.space.store_zeroes(block);
    store_root(&mut core, block, root);
    core.commit(&mut batch)?;

    // All of it durable, then the header that makes it a segment.
    core.space.medium().flush(LOG_OFFSET, LOG_RECORDS);
    core.space.medium().flush(block.offset(), block.len());
    core.space.medium().flush(header.meta_offset, META_PAGES * PAGE_LEN);
    if !planted!(CreationNotFenced) {
        core.space.medium().fence(); // Orders: the content, then the header.
    }
    core.space.store_bytes(header_place.bytes(), bytemuck::bytes_of(&header));
    core.space.medium().flush(header_place.offset(), header_place.len());
    core.space.medium().fence(); // Orders: the header, then the first transaction.
    guard(&mut core, &header)?;
    Ok(core)
}

/// Opens a segment: checks the geometry, rolls back what had not committed.
pub(crate) fn open<M: Medium>(medium: M) -> Result<(Core<M>, Recovery)> {
    let mut core = open_raw(medium)?;
    let recovery = core.recover()?;
    Ok((core, recovery))
}

/// Opens a segment without looking at its log.
pub(crate) fn open_raw<M: Medium>(medium: M) -> Result<Core<M>> {
    let name: Arc<str> = medium.name().into();
    check_medium_len(&medium, &name, LOG_LEN_MIN)?;
    let space = Space::new(medium);
    let header = space.load(header_place(&space)?);
    check_header(&header, &name)?;
    check_medium_len(space.medium(), &name, header.log_len)?;
    let mut core = new_core(space.into_medium(), name, &header)?;
    core.log.sequence = core.space.load_word(core.log.sequence_word);
    core.log.seed = record_seed(core.log.sequence);
    check_reserved(&core)?;
    load_zones(&mut core)?;
    if core.log.is_ordered && !planted!(OpenWithoutFlush) {
        // Whoever was killed may have stored these words and not flushed them. What they say is built upon from here on.
        let (heap_page, zones) = (core.heap.meta.start() + PAGE_LEN, core.heap.zone_entry(0));
        core.space.medium().flush(SEGMENT_OFFSET, size_of::<SegmentHeader>() as u64);
        core.space.medium().flush(LOG_OFFSET, LOG_RECORDS);
        core.space.medium().flush(heap_page, offset_of!(HeapPage, reserved) as u64);
        core.space.medium().flush(zones.offset(), zones.len() * core.heap.zones.len() as u64);
        core.space.medium().fence(); // Orders: what is found, then everything that follows from it.
    }
    guard(&mut core, &header)?;
    for zone in 0..core.heap.zones.len() {
        core.guard_zone(zone)?;
    }
    Ok(core)
}

/// What is reserved is zero: behind the segment header, and in the heap page.
fn check_reserved<M: Medium>(core: &Core<M>) -> Result<()> {
    let heap_page = core.heap.meta.start() + PAGE_LEN;
    let header_end = SEGMENT_OFFSET + size_of::<SegmentHeader>() as u64;
    let heap_reserved = heap_page + offset_of!(HeapPage, reserved) as u64;
    for (start, end) in [(header_end, SEGMENT_OFFSET + PAGE_LEN), (heap_reserved, heap_page + PAGE_LEN)] {
        let window = Window::new(&core.space, start, end).expect("the geometry was checked");
        let bytes = core.space.read(window.place(start, end - start).expect("a window holds its own bytes"));
        if let Some(at) = first_nonzero(bytes) {
            return Err(core.damaged(start + at as u64, "reserved byte", bytes[at].into(), "zero"));
        }
    }
    let words = (CLASSES.len()..CLASS_LISTS).map(|class| core.heap.partial_head(class));
    for word in words {
        let found = core.space.load(word);
        if found != seal(0, word.offset()) {
            return Err(core.damaged(
                word.offset(),
                "head of a list without a class",
                found,
                "a sealed zero",
            ));
        }
    }
    Ok(())
}

/// Index of the first byte that is not zero, of a page at most. Compares it whole first, since nearly always there is none.
fn first_nonzero(bytes: &[u8]) -> Option<usize> {
    static ZEROES: [u8; PAGE_LEN as usize] = [0; PAGE_LEN as usize];
    if *bytes == ZEROES[..bytes.len()] { None } else { bytes.iter().position(|&byte| byte != 0) }
}

/// The root, if it is an `R`.
pub(crate) fn root_place<R: Persistent, M: Medium>(core: &Core<M>) -> Result<Place<R>> {
    let page = root_page(core)?;
    let layout = layout_of::<R>();
    if page.fingerprint != layout.fingerprint || page.root_len != size_of::<R>() as u64 {
        return Err(Error::RootMismatch {
            segment: core.name.clone(),
            offset: core.heap.meta.start() + offset_of!(RootPage, text) as u64,
            found: root_text(page).into(),
            found_fingerprint: page.fingerprint,
            expected: layout.text.into(),
            expected_fingerprint: layout.fingerprint,
        });
    }
    let place = core.heap.data_place(page.root_offset, 1);
    place.ok_or_else(|| {
        let offset = core.heap.meta.start() + offset_of!(RootPage, root_offset) as u64;
        core.damaged(offset, "root: offset", page.root_offset, "an aligned offset in the user data")
    })
}

/// The page that describes the root, its check done.
pub(crate) fn root_page<M: Medium>(core: &Core<M>) -> Result<&RootPage> {
    let start = core.heap.meta.start();
    let [page] = core.space.read_inside(root_page_place(core)) else { unreachable!("a place of one page") };
    let crc = root_crc(page);
    if page.crc != crc {
        let offset = start + offset_of!(RootPage, crc) as u64;
        return Err(core.damaged(offset, "root: checksum", page.crc.into(), &format!("{crc:#x}")));
    }
    if page.text_len as usize > ROOT_TEXT_LEN {
        let offset = start + offset_of!(RootPage, text_len) as u64;
        return Err(core.damaged(offset, "root: length of text", page.text_len.into(), "less than a page"));
    }
    Ok(page)
}

/// The description of the root's type that the segment keeps.
pub(crate) fn root_text(page: &RootPage) -> String {
    let text = &page.text[..(page.text_len as usize).min(ROOT_TEXT_LEN)];
    String::from_utf8_lossy(text).into_owned()
}

fn root_crc(page: &RootPage) -> u32 {
    let (before, rest) = bytemuck::bytes_of(page).split_at(offset_of!(RootPage, crc));
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(before);
    hasher.update(&[0; size_of::<u32>()]); // The checksum itself.
    hasher.update(&rest[size_of::<u32>()..]);
    hasher.finalize()
}

fn store_root<M: Medium>(core: &mut Core<M>, root: Place<u8>, layout: &Layout) {
    let place = root_page_place(core);
    core.space.store_bytes(place.bytes(), bytemuck::bytes_of(&root_page_of(root, layout)));
}

/// The place of the page that describes the root.
pub(crate) fn root_page_place<M: Medium>(core: &Core<M>) -> Place<RootPage> {
    core.heap.meta.place(core.heap.meta.start(), 1).expect("the root page lies in the metadata")
}

/// The page that describes a root.
pub(crate) fn root_page_of(root: Place<u8>, layout: &Layout) -> RootPage {
    let mut page = RootPage {
        root_offset: root.offset(),
        root_len: root.len(),
        fingerprint: layout.fingerprint,
        ..RootPage::zeroed()
    };
    let mut len = layout.text.len().min(ROOT_TEXT_LEN);
    while !layout.text.is_char_boundary(len) {
        len -= 1;
    }
    page.text[..len].copy_from_slice(&layout.text.as_bytes()[..len]);
    page.text_len = len as u32;
    page.crc = root_crc(&page);
    page
}

fn store_heap_page<M: Medium>(core: &mut Core<M>) {
    let words = (0..CLASS_LISTS)
        .map(|class| core.heap.partial_head(class))
        .chain((0..RUN_LISTS).map(|list| core.heap.run_head(list)))
        .chain([core.heap.zone_count()]);
    for word in words.collect::<Vec<_>>() {
        core.space.store_word(Word::of(word), seal(0, word.offset()));
    }
}

fn load_zones<M: Medium>(core: &mut Core<M>) -> Result<()> {
    let count = core.heap.zone_count();
    let word = core.space.load(count);
    let zone_count = unseal(word, count.offset()).filter(|n| (1..=ZONES_MAX as u64).contains(n));
    let Some(zone_count) = zone_count else {
        return Err(core.damaged(
            count.offset(),
            "heap: number of zones",
            word,
            "a sealed number from 1 to 128",
        ));
    };
    for index in 0..zone_count {
        let place = core.heap.zone_entry(index as usize);
        let entry = core.space.load(place);
        if entry.check != zone_check(&entry, index) {
            let offset = place.offset() + offset_of!(crate::layout::ZoneEntry, check) as u64;
            return Err(core.damaged(offset, "heap: check of a zone", entry.check, "one that fits the zone"));
        }
        if core.heap.push_zone(&core.space, &entry).is_none() {
            let expected = "a zone behind the one before and inside the medium";
            return Err(core.damaged(place.offset(), "heap: offset of a zone", entry.offset, expected));
        }
    }
    Ok(())
}

/// Makes the pages behind header and log inaccessible; those of a zone are its own.
fn guard<M: Medium>(core: &mut Core<M>, header: &SegmentHeader) -> Result<()> {
    core.space.medium_mut().guard(SEGMENT_OFFSET + PAGE_LEN, PAGE_LEN)?;
    Ok(core.space.medium_mut().guard(header.log_offset + header.log_len, PAGE_LEN)?)
}

fn new_core<M: Medium>(medium: M, name: Arc<str>, header: &SegmentHeader) -> Result<Core<M>> {
    let is_ordered = medium.domain().needs_fence();
    let space = Space::new(medium);
    let log_end = header.log_offset + header.log_len;
    let window = |start, end| Window::new(&space, start, end).expect("the geometry was checked");
    let first = window(RECORDS_START, log_end);
    let log = Log {
        state: Word::of(place(&space, LOG_OFFSET + offset_of!(LogHeader, state) as u64)?),
        sequence_word: Word::of(place(&space, LOG_OFFSET + offset_of!(LogHeader, sequence) as u64)?),
        batch_word: Word::of(place(&space, LOG_OFFSET + offset_of!(LogHeader, batch) as u64)?),
        first,
        first_room: Room::of(first),
        room: Room::of(first),
        sequence: 0,
        seed: record_seed(0),
        is_ordered,
        seen: Seen::new(),
        short_end: Log::short_end(first, is_ordered),
        vacated: Vacated::new(),
        extents: Vec::with_capacity(EXTENTS_MAX),
    };
    let heap = Heap::new(window(header.meta_offset, header.meta_offset + META_PAGES * PAGE_LEN));
    let root = heap.nothing();
    // Random keys of the standard library, new ones each time: unlike a counter they need no state of ours.
    let identity = RandomState::new().build_hasher().finish();
    Ok(Core { space, name, log, heap, root, identity, savepoint_count: 0, is_poisoned: false })
}

/// The place of a structure of the fixed geometry.
fn place<T, M: Medium>(space: &Space<M>, offset: u64) -> Result<Place<T>> {
    let window = Window::new(space, offset, offset + size_of::<T>() as u64);
    Ok(window.and_then(|w| w.place(offset, 1)).expect("the medium's length was checked"))
}

fn header_place<M: Medium>(space: &Space<M>) -> Result<Place<SegmentHeader>> {
    place(space, SEGMENT_OFFSET)
}

fn sealed_header(mut header: SegmentHeader) -> SegmentHeader {
    header.crc = header_crc(&header);
    header
}

fn header_crc(header: &SegmentHeader) -> u32 {
    crc32fast::hash(&bytemuck::bytes_of(header)[..offset_of!(SegmentHeader, crc)])
}

fn check_medium_len<M: Medium>(medium: &M, name: &Arc<str>, log_len: u64) -> Result<()> {
    let least = medium_len_min(log_len);
    if medium.len() < least || medium.len() > MEDIUM_LEN_MAX {
        return Err(Error::BadOption {
            segment: name.clone(),
            what: "length of the medium",
            found: medium.len(),
            expected: format!("{least} to {MEDIUM_LEN_MAX} bytes for a log of {log_len}").into(),
        });
    }
    Ok(())
}

fn check_header(header: &SegmentHeader, name: &Arc<str>) -> Result<()> {
    let damaged = |field: usize, what, found, expected: String| {
        Err(Error::Damaged {
            segment: name.clone(),
            offset: SEGMENT_OFFSET + field as u64,
            what,
            found,
            expected: expected.into(),
        })
    };
    let magic = u64::from_le_bytes(SEGMENT_MAGIC);
    if header.magic != SEGMENT_MAGIC {
        let found = u64::from_le_bytes(header.magic);
        return damaged(offset_of!(SegmentHeader, magic), "magic of a segment", found, format!("{magic:#x}"));
    }
    if header.version != FORMAT_VERSION {
        let (at, found) = (offset_of!(SegmentHeader, version), header.version.into());
        return damaged(at, "format version", found, format!("{FORMAT_VERSION}"));
    }
    let crc = header_crc(header);
    if header.crc != crc {
        let at = offset_of!(SegmentHeader, crc);
        return damaged(at, "checksum of the segment header", header.crc.into(), format!("{crc:#x}"));
    }
    // The checksum fits; what follows holds unless somebody forged it.
    let fields = [
        (offset_of!(SegmentHeader, page_len), "length of a page", header.page_len.into(), PAGE_LEN),
        (offset_of!(SegmentHeader, log_offset), "offset of the log", header.log_offset, LOG_OFFSET),
        (
            offset_of!(SegmentHeader, meta_offset),
            "offset of the metadata",
            header.meta_offset,
            meta_offset(header.log_len),
        ),
        (offset_of!(SegmentHeader, reserved), "reserved word", header.reserved[0] | header.reserved[1], 0),
        (offset_of!(SegmentHeader, reserved_end), "reserved word", header.reserved_end.into(), 0),
    ];
    for (at, what, found, expected) in fields {
        if found != expected {
            return damaged(at, what, found, format!("{expected}"));
        }
    }
    if header.log_len < LOG_LEN_MIN
        || !header.log_len.is_multiple_of(PAGE_LEN)
        || header.log_len > MEDIUM_LEN_MAX
    {
        let at = offset_of!(SegmentHeader, log_len);
        return damaged(at, "length of the log", header.log_len, format!("whole pages of {PAGE_LEN} bytes"));
    }
    Ok(())
}
