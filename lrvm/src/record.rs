//! Records: one committed transaction each, which check themselves and can be walked both ways.
//!
//! The ranges are written when a transaction commits; where the record stands is known when it is flushed. Start at
//! [`Draft`] and [`check`].

use bytemuck::Zeroable;

use crate::layout::{
    COUNT_MAX, LAST_OF_BATCH, RANGE_HEADER_LEN, RECORD_HEADER_LEN, RECORD_MAGIC, RECORD_TRAILER_LEN,
    RangeHeader, RecordHeader, RecordTrailer, TRAILER_MAGIC,
};

/// What a record takes that has no range.
pub(crate) const EMPTY_LEN: u64 = (RECORD_HEADER_LEN + RECORD_TRAILER_LEN) as u64;

/// What a range of `len` bytes takes.
pub(crate) fn range_len(len: u64) -> u64 {
    RANGE_HEADER_LEN as u64 + len.next_multiple_of(8)
}

/// A record that is being written: whole but for its place.
#[derive(Debug)]
pub(crate) struct Draft {
    bytes: Vec<u8>,
    range_count: u32,
    ranges: crc32fast::Hasher,
    last: usize,
}

/// Where a record stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// [`RecordHeader::log`].
    pub(crate) log: u64,
    /// Its position.
    pub(crate) position: u64,
    /// Position of its batch.
    pub(crate) batch: u64,
    /// Whether it ends the batch.
    pub(crate) is_last: bool,
}

impl Draft {
    /// A record without ranges, in a buffer that may have been used before.
    pub(crate) fn new(mut bytes: Vec<u8>) -> Draft {
        bytes.clear();
        bytes.resize(RECORD_HEADER_LEN, 0);
        Draft { bytes, range_count: 0, ranges: crc32fast::Hasher::new(), last: 0 }
    }

    /// Adds a range with its new bytes.
    pub(crate) fn push(&mut self, segment: u32, offset: u64, new: &[u8]) {
        let start = self.bytes.len();
        let mut header =
            RangeHeader { segment, crc: 0, offset, len: new.len() as u64, back: (start - self.last) as u64 };
        self.bytes.extend_from_slice(bytemuck::bytes_of(&header));
        self.bytes.extend_from_slice(new);
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let (fields, padded) = self.bytes[start..].split_at_mut(RANGE_HEADER_LEN);
        header.crc = range_crc(&header, padded);
        fields.copy_from_slice(bytemuck::bytes_of(&header));
        self.ranges.update(&header.crc.to_le_bytes());
        self.range_count += 1;
        self.last = start;
    }

    /// Ends it.
    pub(crate) fn finish(mut self, transaction: u64) -> Finished {
        let last = (self.bytes.len() - self.last) as u64;
        let trailer = RecordTrailer { last, magic: TRAILER_MAGIC, ..RecordTrailer::zeroed() };
        self.bytes.extend_from_slice(bytemuck::bytes_of(&trailer));
        let header = RecordHeader {
            magic: RECORD_MAGIC,
            len: self.bytes.len() as u64,
            transaction,
            range_count: self.range_count,
            ..RecordHeader::zeroed()
        };
        self.bytes[..RECORD_HEADER_LEN].copy_from_slice(bytemuck::bytes_of(&header));
        Finished { bytes: self.bytes, ranges: self.ranges.finalize() }
    }
}

/// A record that needs but its place.
#[derive(Debug)]
pub(crate) struct Finished {
    bytes: Vec<u8>,
    ranges: u32,
}

impl Finished {
    pub(crate) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Gives it its place.
    pub(crate) fn place(&mut self, place: Place) {
        let (head, tail) = self.bytes.split_at_mut(RECORD_HEADER_LEN);
        let mut header: RecordHeader = bytemuck::pod_read_unaligned(head);
        header.flags = if place.is_last { LAST_OF_BATCH } else { 0 };
        header.log = place.log;
        header.position = place.position;
        header.batch = place.batch;
        header.crc = header_crc(&header);
        head.copy_from_slice(bytemuck::bytes_of(&header));
        let tail_len = tail.len();
        let tail = &mut tail[tail_len - RECORD_TRAILER_LEN..];
        let mut trailer: RecordTrailer = bytemuck::pod_read_unaligned(tail);
        trailer.position = place.position;
        trailer.len = header.len;
        trailer.all = all_crc(self.ranges, &header);
        trailer.crc = trailer_crc(&trailer);
        tail.copy_from_slice(bytemuck::bytes_of(&trailer));
    }

    /// The bytes as they go to the log.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The buffer, for another record.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }
}

fn header_crc(header: &RecordHeader) -> u32 {
    crc32fast::hash(bytemuck::bytes_of(&RecordHeader { crc: 0, ..*header }))
}

fn range_crc(header: &RangeHeader, padded: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(bytemuck::bytes_of(&RangeHeader { crc: 0, ..*header }));
    hasher.update(padded);
    hasher.finalize()
}

fn trailer_crc(trailer: &RecordTrailer) -> u32 {
    crc32fast::hash(bytemuck::bytes_of(&RecordTrailer { crc: 0, ..*trailer }))
}

fn all_crc(ranges: u32, header: &RecordHeader) -> u32 {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&ranges.to_le_bytes());
    bytes[4..].copy_from_slice(&header.crc.to_le_bytes());
    crc32fast::hash(&bytes)
}

/// What is wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Position of what is wrong.
    pub(crate) position: u64,
    /// What it is.
    pub(crate) what: &'static str,
    /// What it holds.
    pub(crate) found: u64,
    /// What it should hold.
    pub(crate) expected: String,
}

/// Checks a field.
fn demand(
    is_right: bool,
    position: u64,
    what: &'static str,
    found: u64,
    expected: impl ToString,
) -> Result<(), Fault> {
    if is_right { Ok(()) } else { Err(Fault { position, what, found, expected: expected.to_string() }) }
}

/// Checks the header of a record that stands at `position` of this log, in a ring of `ring_len` bytes.
pub(crate) fn check_header(
    bytes: &[u8],
    log: u64,
    position: u64,
    ring_len: u64,
) -> Result<RecordHeader, Fault> {
    let header: RecordHeader = bytemuck::pod_read_unaligned(&bytes[..RECORD_HEADER_LEN]);
    let magic = u32::from_le_bytes(header.magic);
    let record = u32::from_le_bytes(RECORD_MAGIC);
    demand(magic == record, position, "magic of a record", magic.into(), format_args!("{record:#x}"))?;
    let crc = header_crc(&header);
    demand(
        header.crc == crc,
        position,
        "checksum of a record's header",
        header.crc.into(),
        format_args!("{crc:#x}"),
    )?;
    let is_ours = header.log == log || planted!(IncarnationNotChecked);
    demand(is_ours, position, "log of a record", header.log, format_args!("{log:#x}"))?;
    let is_here = header.position == position || planted!(PlaceNotChecked);
    demand(is_here, position, "position of a record", header.position, position)?;
    let is_len = header.len >= EMPTY_LEN && header.len <= ring_len && header.len.is_multiple_of(8);
    demand(is_len, position, "length of a record", header.len, "a multiple of 8 that the ring holds")?;
    demand(
        header.batch <= position,
        position,
        "batch of a record",
        header.batch,
        "a position not behind the record",
    )?;
    demand(header.flags & !LAST_OF_BATCH == 0, position, "flags of a record", header.flags.into(), "0 or 1")?;
    let transaction = header.transaction;
    demand(transaction <= COUNT_MAX, position, "number of a transaction", transaction, COUNT_MAX)?;
    demand(header.reserved == 0, position, "reserved field of a record", header.reserved, 0)?;
    Ok(header)
}

/// A range of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range<'a> {
    pub(crate) segment: u32,
    pub(crate) offset: u64,
    pub(crate) new: &'a [u8],
}

/// A record that has been checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) header: RecordHeader,
    bytes: &'a [u8],
}

/// Checks all of a record behind its header, which has been checked.
pub(crate) fn check<'a>(header: RecordHeader, bytes: &'a [u8]) -> Result<Record<'a>, Fault> {
    let position = header.position;
    let end = bytes.len() - RECORD_TRAILER_LEN;
    let mut ranges = crc32fast::Hasher::new();
    let (mut at, mut before) = (RECORD_HEADER_LEN, 0);
    for _ in 0..header.range_count {
        let here = position + at as u64;
        demand(
            at + RANGE_HEADER_LEN <= end,
            here,
            "place of a range",
            at as u64,
            "one inside of the record",
        )?;
        let range: RangeHeader = bytemuck::pod_read_unaligned(&bytes[at..at + RANGE_HEADER_LEN]);
        let room = (end - at - RANGE_HEADER_LEN) as u64;
        demand(range.len <= room, here, "length of a range", range.len, format_args!("at most {room}"))?;
        // There is room for the padding too: all lengths around it are multiples of 8.
        let padded = &bytes[at + RANGE_HEADER_LEN..][..range.len.next_multiple_of(8) as usize];
        let crc = range_crc(&range, padded);
        let is_whole = range.crc == crc || planted!(RecordCheckSkipped);
        demand(is_whole, here, "checksum of a range", range.crc.into(), format_args!("{crc:#x}"))?;
        demand(range.back == (at - before) as u64, here, "way back from a range", range.back, at - before)?;
        let is_place = range.offset.checked_add(range.len).is_some();
        demand(is_place, here, "offset of a range", range.offset, "one whose end has 64 bits")?;
        ranges.update(&range.crc.to_le_bytes());
        before = at;
        at += range_len(range.len) as usize;
    }
    demand(at == end, position, "ranges of a record", at as u64, end)?;
    let here = position + end as u64;
    let trailer: RecordTrailer = bytemuck::pod_read_unaligned(&bytes[end..]);
    check_trailer(&trailer, here)?;
    demand(trailer.reserved == 0, here, "reserved field of a trailer", trailer.reserved.into(), 0)?;
    demand(trailer.position == position, here, "position in a trailer", trailer.position, position)?;
    demand(trailer.len == header.len, here, "length in a trailer", trailer.len, header.len)?;
    demand(
        trailer.last == (end - before) as u64,
        here,
        "way back from a trailer",
        trailer.last,
        end - before,
    )?;
    let all = all_crc(ranges.finalize(), &header);
    demand(trailer.all == all, here, "checksum of a record", trailer.all.into(), format_args!("{all:#x}"))?;
    Ok(Record { header, bytes })
}

fn check_trailer(trailer: &RecordTrailer, here: u64) -> Result<(), Fault> {
    let magic = u32::from_le_bytes(trailer.magic);
    let end = u32::from_le_bytes(TRAILER_MAGIC);
    demand(magic == end, here, "magic of a trailer", magic.into(), format_args!("{end:#x}"))?;
    let crc = trailer_crc(trailer);
    demand(trailer.crc == crc, here, "checksum of a trailer", trailer.crc.into(), format_args!("{crc:#x}"))
}

/// Position of the record whose trailer ends at `end`.
pub(crate) fn position_before(trailer: &[u8], end: u64) -> Result<u64, Fault> {
    let here = end - RECORD_TRAILER_LEN as u64;
    let trailer: RecordTrailer = bytemuck::pod_read_unaligned(trailer);
    check_trailer(&trailer, here)?;
    let is_place = trailer.position.checked_add(trailer.len) == Some(end) && trailer.len >= EMPTY_LEN;
    demand(is_place, here, "position in a trailer", trailer.position, "one whose record ends here")?;
    Ok(trailer.position)
}

impl<'a> Record<'a> {
    /// The ranges, the last one first.
    pub(crate) fn ranges_back(&self) -> impl Iterator<Item = Range<'a>> + use<'a> {
        let bytes = self.bytes;
        let trailer_at = bytes.len() - RECORD_TRAILER_LEN;
        let trailer: RecordTrailer = bytemuck::pod_read_unaligned(&bytes[trailer_at..]);
        let mut at = trailer_at - trailer.last as usize;
        // The ways back have been checked: they lead from range to range, and at last to the header at 0.
        std::iter::from_fn(move || {
            if at == 0 {
                return None;
            }
            let start = at + RANGE_HEADER_LEN;
            let range: RangeHeader = bytemuck::pod_read_unaligned(&bytes[at..start]);
            at -= range.back as usize;
            let new = &bytes[start..start + range.len as usize];
            Some(Range { segment: range.segment, offset: range.offset, new })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Finished {
        let mut draft = Draft::new(vec![9; 100]);
        draft.push(3, 4096, b"new bytes");
        draft.push(4, 0, &[7; 16]);
        let mut record = draft.finish(5);
        record.place(Place { log: 77, position: 1024, batch: 1000, is_last: true });
        record
    }

    fn checked(bytes: &[u8]) -> Result<Record<'_>, Fault> {
        let header = check_header(bytes, 77, 1024, 4096)?;
        check(header, &bytes[..(header.len as usize).min(bytes.len())])
    }

    #[test]
    fn what_was_written_is_read_in_both_directions() {
        let written = record();
        let record = checked(written.bytes()).unwrap();
        assert_eq!(
            (record.header.transaction, record.header.range_count, record.header.flags),
            (5, 2, LAST_OF_BATCH)
        );
        let ranges: Vec<_> = record.ranges_back().collect();
        let expected = [
            Range { segment: 4, offset: 0, new: &[7; 16] },
            Range { segment: 3, offset: 4096, new: b"new bytes" },
        ];
        assert_eq!(ranges, expected);
        let end = 1024 + written.len();
        let trailer = &written.bytes()[written.bytes().len() - RECORD_TRAILER_LEN..];
        assert_eq!(position_before(trailer, end), Ok(1024));
        assert_eq!(written.len(), EMPTY_LEN + range_len(9) + range_len(16));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let written = record();
        let mut bytes = written.bytes().to_vec();
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(checked(&bytes).is_err(), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
