//! Every byte that vista keeps on a medium: fixed representation, explicit sizes, reserved bytes zero.
//!
//! The compiler proves sizes and offsets below; `docs/FORMAT.md` explains the fields, and a test compares the
//! two. All numbers are little-endian. Start at [`SegmentHeader`].

use crate::Persistent;

/// Unit of the heap, of guards and of the geometry.
pub const PAGE_LEN: u64 = 4096;
/// A page-aligned offset is a page number shifted by this.
pub const PAGE_SHIFT: u32 = 12;
/// The longest medium: offsets take 44 bits, and the last page is kept out of reach of [`LOG_EMPTY`].
pub const MEDIUM_LEN_MAX: u64 = (1 << 44) - PAGE_LEN;

/// First bytes of a segment.
pub const SEGMENT_MAGIC: [u8; 8] = *b"VISTASEG";
/// Version of all that this file describes.
pub const FORMAT_VERSION: u32 = 1;

/// Where the segment header stands: right behind rio's own.
pub const SEGMENT_OFFSET: u64 = rio::HEADER_LEN;
/// Where the log stands: behind the header's page and a guard page.
pub const LOG_OFFSET: u64 = SEGMENT_OFFSET + 2 * PAGE_LEN;

/// The static geometry, written once when the segment is created.
///
/// ```
/// use vista::Segment;
/// use vista::layout::{FORMAT_VERSION, SEGMENT_MAGIC, SEGMENT_OFFSET, SegmentHeader};
/// use vista::rio::Buffer;
///
/// let segment = Segment::<u64, _>::create_on(Buffer::new(1 << 20, 1 << 20), 4096)?;
/// let bytes = segment.medium()?.bytes();
/// let header: SegmentHeader = bytemuck::pod_read_unaligned(&bytes[SEGMENT_OFFSET as usize..][..64]);
/// assert_eq!((header.magic, header.version, header.log_len), (SEGMENT_MAGIC, FORMAT_VERSION, 4096));
/// # Ok::<_, vista::Error>(())
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Persistent)]
#[persistent(crate = crate)]
pub struct SegmentHeader {
    /// [`SEGMENT_MAGIC`].
    pub magic: [u8; 8],
    /// [`FORMAT_VERSION`].
    pub version: u32,
    /// [`PAGE_LEN`].
    pub page_len: u32,
    /// Offset of the log's first extent: [`LOG_OFFSET`].
    pub log_offset: u64,
    /// Length of the log's first extent in bytes, whole pages.
    pub log_len: u64,
    /// Offset of the metadata: root page, heap page, zone directory.
    pub meta_offset: u64,
    /// Zero.
    pub reserved: [u64; 2],
    /// CRC-32 (ISO-HDLC) of the bytes before it.
    pub crc: u32,
    /// Zero.
    pub reserved_end: u32,
}

/// Start of the log's first extent. Records follow at once; the three words share a line with the first of them.
///
/// With the `bytes` of a segment, as in [`SegmentHeader`]:
///
/// ```
/// # use vista::layout::*;
/// # let segment = vista::Segment::<u64, _>::create_on(vista::rio::Buffer::new(1 << 20, 1 << 20), 4096)?;
/// # let bytes = segment.medium()?.bytes();
/// # let header: SegmentHeader = bytemuck::pod_read_unaligned(&bytes[SEGMENT_OFFSET as usize..][..64]);
/// let log: LogHeader = bytemuck::pod_read_unaligned(&bytes[LOG_OFFSET as usize..][..24]);
/// assert_eq!(log.state, LOG_EMPTY);
/// # Ok::<_, vista::Error>(())
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Persistent)]
#[persistent(crate = crate)]
pub struct LogHeader {
    /// [`LOG_EMPTY`], or the tail of the log as a sealed word: one store publishes a record, one store commits.
    pub state: u64,
    /// Number of the latest transaction; the seed of its records' checks.
    pub sequence: u64,
    /// In an ordered domain: the tail before the batch that is not fenced yet, sealed.
    pub batch: u64,
}

/// The state of a log without a transaction: no tail looks like it, since its 42 value bits are all ones.
pub const LOG_EMPTY: u64 = (0x2A_5A5A << 42) | ((1 << 42) - 1);
/// Offset of the first record in the log.
pub const LOG_RECORDS: u64 = size_of::<LogHeader>() as u64;

/// End of a record, behind its payload (padded to 8 bytes): the log is walked from its tail to its start.
///
/// A file while a transaction is open, which is what a crash would leave:
///
/// ```
/// # use vista::layout::*;
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("counter");
/// # let mut segment = vista::Segment::<u64>::create(&path, 1 << 20)?;
/// let mut tx = segment.begin()?;
/// *tx.root_mut()? = 7;
/// let bytes = std::fs::read(&path)?;
/// let at = (LOG_OFFSET + LOG_RECORDS) as usize + 8; // Behind eight bytes of payload.
/// let footer: RecordFooter = bytemuck::pod_read_unaligned(&bytes[at..][..16]);
/// assert_eq!(footer.target >> RECORD_LOW_BITS, tx.root_ptr().offset());
/// assert_eq!(footer.target & ((1 << RECORD_LOW_BITS) - 1), KIND_IMAGE << RECORD_LEN_BITS | 8);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Persistent)]
#[persistent(crate = crate)]
pub struct RecordFooter {
    /// Target offset (44 bits), kind (2 bits), payload length in bytes (18 bits).
    pub target: u64,
    /// Check of the payload, the target, the record's place and the number of the transaction.
    pub check: u64,
}

/// Payload is the before-image of the target.
pub const KIND_IMAGE: u64 = 0;
/// Payload is a length: so many bytes at the target are new in this transaction and have no before-image.
pub const KIND_FRESH: u64 = 1;
/// Payload is the tail of the extent before; the target is the place of this record, the first of its extent.
pub const KIND_LINK: u64 = 2;
/// Payload is the number of a savepoint; the target is zero.
pub const KIND_SAVEPOINT: u64 = 3;
/// Bits of the payload's length.
pub const RECORD_LEN_BITS: u32 = 18;
/// Bits of the payload's length and the kind.
pub const RECORD_LOW_BITS: u32 = RECORD_LEN_BITS + 2;
/// The longest payload of one record; longer ranges take several.
pub const PAYLOAD_LEN_MAX: u64 = (1 << RECORD_LEN_BITS) - 8;

/// What the root is: first page of the metadata. Written when the segment is created.
///
/// With the `bytes` of a segment and its `header`, as in [`SegmentHeader`]:
///
/// ```
/// # use vista::layout::*;
/// # let segment = vista::Segment::<u64, _>::create_on(vista::rio::Buffer::new(1 << 20, 1 << 20), 4096)?;
/// # let bytes = segment.medium()?.bytes();
/// # let header: SegmentHeader = bytemuck::pod_read_unaligned(&bytes[SEGMENT_OFFSET as usize..][..64]);
/// let page: RootPage = bytemuck::pod_read_unaligned(&bytes[header.meta_offset as usize..][..4096]);
/// assert_eq!((page.root_len, &page.text[..page.text_len as usize]), (8, b"u64".as_slice()));
/// # Ok::<_, vista::Error>(())
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Persistent)]
#[persistent(crate = crate)]
pub struct RootPage {
    /// Offset of the root.
    pub root_offset: u64,
    /// Size of the root in bytes.
    pub root_len: u64,
    /// Fingerprint of the root's layout: hash of the full description.
    pub fingerprint: u64,
    /// Bytes of the description kept in `text`.
    pub text_len: u32,
    /// CRC-32 (ISO-HDLC) of all other bytes of the page, with this field as zero.
    pub crc: u32,
    /// The description of the root's layout (UTF-8), cut to fit; zero behind it.
    pub text: [u8; ROOT_TEXT_LEN],
}

/// Room for the description of the root's layout.
pub const ROOT_TEXT_LEN: usize = PAGE_LEN as usize - 32;

/// Number of size-class lists in the heap page.
pub const CLASS_LISTS: usize = 32;
/// Number of lists of free runs, by the power of two of their pages.
pub const RUN_LISTS: usize = 32;
/// Number of zones that the directory holds.
pub const ZONES_MAX: usize = 128;

/// Heads of the heap's lists: second page of the metadata. All words are sealed.
///
/// With the `bytes` of a segment and its `header`, as in [`SegmentHeader`]:
///
/// ```
/// # use vista::layout::*;
/// # let segment = vista::Segment::<u64, _>::create_on(vista::rio::Buffer::new(1 << 20, 1 << 20), 4096)?;
/// # let bytes = segment.medium()?.bytes();
/// # let header: SegmentHeader = bytemuck::pod_read_unaligned(&bytes[SEGMENT_OFFSET as usize..][..64]);
/// let offset = header.meta_offset + PAGE_LEN;
/// let page: HeapPage = bytemuck::pod_read_unaligned(&bytes[offset as usize..][..4096]);
/// assert_eq!(page.zone_count & ((1 << 42) - 1), 1); // Above it is the seal.
/// # Ok::<_, vista::Error>(())
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Persistent)]
#[persistent(crate = crate)]
pub struct HeapPage {
    /// Number of zones; one store adds a zone.
    pub zone_count: u64,
    /// Per size class: first page with a free block.
    pub partial: [u64; CLASS_LISTS],
    /// Per power of two: first free run of at least so many pages and less than twice.
    pub runs: [u64; RUN_LISTS],
    /// Zero.
    pub reserved: [u64; 447],
}

/// One entry of the zone directory, the third page of the metadata.
///
/// With the `bytes` of a segment and its `header`, as in [`SegmentHeader`]:
///
/// ```
/// # use vista::layout::*;
/// # let segment = vista::Segment::<u64, _>::create_on(vista::rio::Buffer::new(1 << 20, 1 << 20), 4096)?;
/// # let bytes = segment.medium()?.bytes();
/// # let header: SegmentHeader = bytemuck::pod_read_unaligned(&bytes[SEGMENT_OFFSET as usize..][..64]);
/// let offset = header.meta_offset + 2 * PAGE_LEN;
/// let zone: ZoneEntry = bytemuck::pod_read_unaligned(&bytes[offset as usize..][..32]);
/// assert_eq!(zone.offset % PAGE_LEN, 0);
/// assert!(zone.offset + zone.page_count * PAGE_LEN <= bytes.len() as u64);
/// # Ok::<_, vista::Error>(())
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Persistent)]
#[persistent(crate = crate)]
pub struct ZoneEntry {
    /// Offset of the zone: its page descriptors, a guard page, then its pages.
    pub offset: u64,
    /// Number of its pages.
    pub page_count: u64,
    /// Number of pages from its first that were ever handed out and not given back, sealed.
    pub top: u64,
    /// Check of offset, count and index.
    pub check: u64,
}

/// What one page of user data is used for.
///
/// With the `bytes` of a segment and the `zone` of a [`ZoneEntry`]:
///
/// ```
/// # use vista::layout::*;
/// # let segment = vista::Segment::<u64, _>::create_on(vista::rio::Buffer::new(1 << 20, 1 << 20), 4096)?;
/// # let bytes = segment.medium()?.bytes();
/// # let header: SegmentHeader = bytemuck::pod_read_unaligned(&bytes[SEGMENT_OFFSET as usize..][..64]);
/// # let offset = header.meta_offset + 2 * PAGE_LEN;
/// # let zone: ZoneEntry = bytemuck::pod_read_unaligned(&bytes[offset as usize..][..32]);
/// let first: PageDescriptor = bytemuck::pod_read_unaligned(&bytes[zone.offset as usize..][..64]);
/// assert_eq!((first.kind, CLASSES[usize::from(first.class)]), (PAGE_SLAB, 16)); // The root is in it.
/// assert_eq!(first.bitmap, [1, 0, 0, 0]);
/// # Ok::<_, vista::Error>(())
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Persistent)]
#[persistent(crate = crate)]
pub struct PageDescriptor {
    /// One of `PAGE_*`.
    pub kind: u8,
    /// Size class of a slab.
    pub class: u8,
    /// Zero.
    pub reserved: u16,
    /// Low half of the number of the transaction that last freed something here.
    pub freed_sequence: u32,
    /// Length of the run that begins (or, in a tail, ends) here, in pages.
    pub run_pages: u32,
    /// Next page of the list that this page is in; 0 at the end.
    pub next: u32,
    /// Page before in that list; 0 at the start.
    pub prev: u32,
    /// Zero.
    pub reserved_word: u32,
    /// Slab: one bit per block, set when allocated.
    pub bitmap: [u64; 4],
    /// Check of the bytes before it and of the page's number.
    pub check: u64,
}

/// Inside a run, or never used. The whole descriptor is zero.
pub const PAGE_INNER: u8 = 0;
/// First page of a free run.
pub const PAGE_FREE: u8 = 1;
/// Last page of a free run of two pages or more.
pub const PAGE_FREE_TAIL: u8 = 2;
/// A page of blocks of one size class.
pub const PAGE_SLAB: u8 = 3;
/// First page of a large block.
pub const PAGE_LARGE: u8 = 4;

/// Length of a page descriptor.
pub const DESCRIPTOR_LEN: u64 = size_of::<PageDescriptor>() as u64;

/// Pages of the metadata before the first zone.
pub const META_PAGES: u64 = 3;

const _: () = {
    assert!(size_of::<SegmentHeader>() == 64);
    assert!(size_of::<LogHeader>() == 24);
    assert!(size_of::<RecordFooter>() == 16);
    assert!(size_of::<RootPage>() == PAGE_LEN as usize);
    assert!(size_of::<HeapPage>() == PAGE_LEN as usize);
    assert!(size_of::<ZoneEntry>() * ZONES_MAX == PAGE_LEN as usize);
    assert!(size_of::<PageDescriptor>() == 64);
    assert!(LOG_RECORDS.is_multiple_of(8));
};

/// The size classes of the heap: multiples of 16 that fill a page well.
pub const CLASSES: [u16; 22] = [
    16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 672, 816, 1024, 1360, 2048,
];
