//! Every byte that lrvm keeps: fixed representation, explicit sizes, reserved bytes zero.
//!
//! A log is a status block in two copies, a table of segments, and a ring of records. A segment has no bytes of ours: it
//! is the user's data and nothing else. The compiler proves sizes below; `docs/FORMAT.md` explains the fields. All
//! numbers are little-endian. Start at [`Status`].

use bytemuck::{Pod, Zeroable};

/// Unit of regions, of truncation and of the log's parts.
pub const PAGE_LEN: u64 = 4096;

/// First bytes of a log.
pub const LOG_MAGIC: [u8; 8] = *b"LRVM-LOG";
/// Version of all that this file describes.
pub const FORMAT_VERSION: u32 = 1;

/// Where the two copies of the status block stand.
pub const STATUS_OFFSETS: [u64; 2] = [0, PAGE_LEN];
/// Where the table of segments stands.
pub const SEGMENTS_OFFSET: u64 = 2 * PAGE_LEN;
/// Segments that a log can know at the same time.
pub const SEGMENT_COUNT: u32 = 256;
/// Bytes that a segment's name may have.
pub const SEGMENT_NAME_LEN: usize = 1008;
/// Where the ring begins.
pub const RING_OFFSET: u64 = SEGMENTS_OFFSET + SEGMENT_COUNT as u64 * size_of::<SegmentEntry>() as u64;
/// The shortest ring.
pub const RING_LEN_MIN: u64 = PAGE_LEN;
/// The longest ring: positions count for ever in 64 bits, and this leaves them room to.
pub const RING_LEN_MAX: u64 = 1 << 48;
/// The largest position, and the largest of each count: no log gets there, and what is beyond is damage.
pub const COUNT_MAX: u64 = u64::MAX / 2;

/// The status block: where the log begins, and what is known of its end.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("log");
/// use lrvm::layout::{LOG_MAGIC, STATUS_OFFSETS, Status};
///
/// lrvm::create_log(&path, 1 << 16)?;
/// let bytes = std::fs::read(&path)?;
/// let status: Status = bytemuck::pod_read_unaligned(&bytes[STATUS_OFFSETS[0] as usize..][..256]);
/// assert_eq!((status.magic, status.ring_len, status.head), (LOG_MAGIC, 1 << 16, status.tail));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Status {
    /// [`LOG_MAGIC`].
    pub magic: [u8; 8],
    /// [`FORMAT_VERSION`].
    pub version: u32,
    /// 1 after a clean close, when head and tail are the same; 0 otherwise.
    pub clean: u32,
    /// Identity of the log (UUID, version 4).
    pub id: [u8; 16],
    /// Length of the ring in bytes, whole pages.
    pub ring_len: u64,
    /// Counts the writes of this block: of two good copies the later one is in force.
    pub generation: u64,
    /// Counts the openings: records of an earlier one are not of this log any more.
    pub incarnation: u64,
    /// Position of the oldest record that recovery needs.
    pub head: u64,
    /// A position up to which the log is known to be durable. The true tail is found by scanning.
    pub tail: u64,
    /// Number of the next transaction.
    pub next_transaction: u64,
    /// Flushes since the log was created.
    pub flush_count: u64,
    /// Truncations since the log was created.
    pub truncation_count: u64,
    /// When this block was written: nanoseconds since 1970-01-01, UTC.
    pub written_nanos: u64,
    /// When the log was created: the same.
    pub created_nanos: u64,
    /// Zero.
    pub reserved: [u64; 17],
    /// CRC-32 (ISO-HDLC) of the bytes before it.
    pub crc: u32,
    /// Zero.
    pub reserved_end: u32,
}

/// Which segment a number in the records means. Written and durable before a record refers to it.
///
/// With a transaction `tx` on a region of the segment `data`:
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
/// # lrvm::create_log(&log, 1 << 16)?;
/// # lrvm::create_segment(&data, 4096)?;
/// # use lrvm::layout::*;
/// # let rvm = lrvm::Options::new().background(false).open(&log)?;
/// # let mut region = rvm.map(&data, 0..4096)?;
/// # let mut tx = rvm.begin(lrvm::Begin::Restore)?;
/// # let all = tx.enlist(&mut region)?;
/// tx.write(all, 0, &7_u64)?;
/// tx.commit(lrvm::End::Flush)?;
/// let bytes = std::fs::read(&log)?;
/// let entry: SegmentEntry = bytemuck::pod_read_unaligned(&bytes[SEGMENTS_OFFSET as usize..][..1024]);
/// assert_eq!(&entry.name[..entry.name_len as usize], b"data");
/// # drop(region);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct SegmentEntry {
    /// CRC-32 of the bytes behind it.
    pub crc: u32,
    /// Length of the name in bytes.
    pub name_len: u32,
    /// [`Status::incarnation`] in which it was written.
    pub incarnation: u64,
    /// The name: for a file, its path, relative to the log's directory if it lies below that. Zero behind its end.
    pub name: [u8; SEGMENT_NAME_LEN],
}

/// First bytes of a record's header.
pub const RECORD_MAGIC: [u8; 4] = *b"LREC";
/// First bytes of a record's trailer.
pub const TRAILER_MAGIC: [u8; 4] = *b"LEND";

/// In [`RecordHeader::flags`]: the last record of its batch. A batch is kept as a whole or not at all.
pub const LAST_OF_BATCH: u32 = 1;

/// Start of a record: one committed transaction. Its ranges follow, then a [`RecordTrailer`].
///
/// With a transaction `tx` on the region `all`, the first of a log:
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
/// # lrvm::create_log(&log, 1 << 16)?;
/// # lrvm::create_segment(&data, 4096)?;
/// # use lrvm::layout::*;
/// # let rvm = lrvm::Options::new().background(false).open(&log)?;
/// # let mut region = rvm.map(&data, 0..4096)?;
/// # let mut tx = rvm.begin(lrvm::Begin::Restore)?;
/// # let all = tx.enlist(&mut region)?;
/// tx.write(all, 0, &7_u64)?;
/// tx.commit(lrvm::End::Flush)?;
/// let bytes = std::fs::read(&log)?;
/// let record: RecordHeader = bytemuck::pod_read_unaligned(&bytes[RING_OFFSET as usize..][..64]);
/// assert_eq!((record.magic, record.flags, record.range_count), (RECORD_MAGIC, LAST_OF_BATCH, 1));
/// # drop(region);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct RecordHeader {
    /// [`RECORD_MAGIC`].
    pub magic: [u8; 4],
    /// [`LAST_OF_BATCH`] or zero.
    pub flags: u32,
    /// First half of the log's identity, by exclusive or with the incarnation.
    pub log: u64,
    /// Where the record stands: positions count bytes since the log was created, and the ring takes them modulo its
    /// length.
    pub position: u64,
    /// Length of the whole record in bytes, a multiple of 8.
    pub len: u64,
    /// Position at which the batch begins. All that lies before it was durable when this was written.
    pub batch: u64,
    /// Number of the transaction.
    pub transaction: u64,
    /// Number of ranges.
    pub range_count: u32,
    /// CRC-32 of the other fields.
    pub crc: u32,
    /// Zero.
    pub reserved: u64,
}

/// Start of a range in a record: its new bytes follow, padded with zeroes to a multiple of 8.
///
/// With a transaction `tx` on the region `all`, the first of a log:
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
/// # lrvm::create_log(&log, 1 << 16)?;
/// # lrvm::create_segment(&data, 4096)?;
/// # use lrvm::layout::*;
/// # let rvm = lrvm::Options::new().background(false).open(&log)?;
/// # let mut region = rvm.map(&data, 0..4096)?;
/// # let mut tx = rvm.begin(lrvm::Begin::Restore)?;
/// # let all = tx.enlist(&mut region)?;
/// tx.write(all, 16, &7_u64)?;
/// tx.commit(lrvm::End::Flush)?;
/// let bytes = std::fs::read(&log)?;
/// let at = RING_OFFSET as usize + RECORD_HEADER_LEN;
/// let range: RangeHeader = bytemuck::pod_read_unaligned(&bytes[at..][..RANGE_HEADER_LEN]);
/// assert_eq!((range.segment, range.offset, range.len), (0, 16, 8));
/// assert_eq!(bytes[at + RANGE_HEADER_LEN], 7); // The new bytes follow.
/// # drop(region);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct RangeHeader {
    /// Index in the table of segments.
    pub segment: u32,
    /// CRC-32 of the fields behind it and of the new bytes.
    pub crc: u32,
    /// Where the range stands in the segment.
    pub offset: u64,
    /// Length of the range in bytes.
    pub len: u64,
    /// Bytes back to the header of the range before it, or of the record if it is the first.
    pub back: u64,
}

/// End of a record, from which it is found when the log is walked from its tail.
///
/// With a transaction `tx` on the region `all`, the first of a log:
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
/// # lrvm::create_log(&log, 1 << 16)?;
/// # lrvm::create_segment(&data, 4096)?;
/// # use lrvm::layout::*;
/// # let rvm = lrvm::Options::new().background(false).open(&log)?;
/// # let mut region = rvm.map(&data, 0..4096)?;
/// # let mut tx = rvm.begin(lrvm::Begin::Restore)?;
/// # let all = tx.enlist(&mut region)?;
/// tx.write(all, 16, &7_u64)?;
/// tx.commit(lrvm::End::Flush)?;
/// let bytes = std::fs::read(&log)?;
/// let at = RING_OFFSET as usize + RECORD_HEADER_LEN + RANGE_HEADER_LEN + 8;
/// let trailer: RecordTrailer = bytemuck::pod_read_unaligned(&bytes[at..][..RECORD_TRAILER_LEN]);
/// assert_eq!((trailer.magic, trailer.len), (TRAILER_MAGIC, 64 + 32 + 8 + 40));
/// # drop(region);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct RecordTrailer {
    /// [`TRAILER_MAGIC`].
    pub magic: [u8; 4],
    /// CRC-32 of the fields behind it.
    pub crc: u32,
    /// The record's position.
    pub position: u64,
    /// The record's length in bytes.
    pub len: u64,
    /// CRC-32 of the checksums of the header and of all ranges: what makes them one record.
    pub all: u32,
    /// Zero.
    pub reserved: u32,
    /// Bytes from the header of the last range (or of the record if there is none) to here.
    pub last: u64,
}

/// Length of the header in bytes.
pub const RECORD_HEADER_LEN: usize = size_of::<RecordHeader>();
/// Length of a range's header in bytes.
pub const RANGE_HEADER_LEN: usize = size_of::<RangeHeader>();
/// Length of the trailer in bytes.
pub const RECORD_TRAILER_LEN: usize = size_of::<RecordTrailer>();

const _: () = {
    assert!(size_of::<Status>() == 256);
    assert!(size_of::<SegmentEntry>() == 1024);
    assert!(RECORD_HEADER_LEN == 64);
    assert!(RANGE_HEADER_LEN == 32);
    assert!(RECORD_TRAILER_LEN == 40);
    assert!(RING_OFFSET.is_multiple_of(PAGE_LEN));
};
