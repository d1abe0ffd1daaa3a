//! The log: a status block in two copies, a table of segments, and a ring of records.
//!
//! A position counts bytes since the log was created; the ring holds it at that number modulo its length. What lies from
//! head to tail is needed; the rest of the ring is free, whatever it holds. Start at [`Log`] and [`scan`](Log::scan).

use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bytemuck::Zeroable;
use uuid::Uuid;

use crate::device::Device;
use crate::error::{Error, Result};
use crate::layout::{
    COUNT_MAX, FORMAT_VERSION, LAST_OF_BATCH, LOG_MAGIC, PAGE_LEN, RECORD_HEADER_LEN, RECORD_MAGIC,
    RECORD_TRAILER_LEN, RING_LEN_MAX, RING_LEN_MIN, RING_OFFSET, RecordHeader, SEGMENT_COUNT,
    SEGMENTS_OFFSET, STATUS_OFFSETS, SegmentEntry, Status,
};
use crate::record::{self, Fault, Record};

/// A log on its device.
pub(crate) struct Log {
    device: Box<dyn Device>,
    name: Arc<str>,
    ring_len: u64,
    id: u64,
    /// What records of the present incarnation carry.
    record_id: AtomicU64,
    /// The block in force, as it stands on the device.
    status: Mutex<Status>,
    /// Whether a sync has failed. The system tells one caller of a failure, which may be another than the one whose bytes
    /// were lost: so they sync one after the other, and after the first failure not at all.
    has_failed: Mutex<bool>,
}

/// What a status block says that changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) head: u64,
    pub(crate) tail: u64,
}

/// Makes an empty log of the whole device, whatever it holds. Durable on return.
pub(crate) fn format(device: &dyn Device) -> io::Result<()> {
    let ring_len = device.len().saturating_sub(RING_OFFSET) / PAGE_LEN * PAGE_LEN;
    let nanos = unix_nanos();
    let mut status = Status {
        magic: LOG_MAGIC,
        version: FORMAT_VERSION,
        clean: 1,
        id: Uuid::new_v4().into_bytes(),
        ring_len,
        next_transaction: 1,
        written_nanos: nanos,
        created_nanos: nanos,
        ..Status::zeroed()
    };
    // A copy from before must not be taken for the log, should the new ones not get there.
    for offset in STATUS_OFFSETS {
        device.write_at(offset, &[IoSlice::new(bytemuck::bytes_of(&Status::zeroed()))])?;
    }
    device.sync()?; // Orders: what was here is no log any more, then it becomes one.
    for (generation, offset) in (1..).zip(STATUS_OFFSETS) {
        status.generation = generation;
        status.crc = status_crc(&status);
        device.write_at(offset, &[IoSlice::new(bytemuck::bytes_of(&status))])?;
        device.sync()?; // Orders: one copy is whole before the other is touched.
    }
    Ok(())
}

/// Length of the device for a log with a ring of `ring_len` bytes.
///
/// # Errors
/// [`Error::Option`] if there is no such ring.
pub(crate) fn device_len(ring_len: u64) -> Result<u64> {
    if !(RING_LEN_MIN..=RING_LEN_MAX).contains(&ring_len) || !ring_len.is_multiple_of(PAGE_LEN) {
        let expected = "whole pages of 4096 bytes, from 1 to 2^36 of them";
        return Err(Error::Option { option: "length of a log", found: ring_len, expected });
    }
    Ok(RING_OFFSET + ring_len)
}

fn status_crc(status: &Status) -> u32 {
    crc32fast::hash(&bytemuck::bytes_of(status)[..std::mem::offset_of!(Status, crc)])
}

fn entry_crc(entry: &SegmentEntry) -> u32 {
    crc32fast::hash(&bytemuck::bytes_of(entry)[4..])
}

fn unix_nanos() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// What a scan from the head has found.
#[derive(Clone, Debug)]
pub(crate) struct Scan {
    /// Behind the last record of the last whole batch.
    pub(crate) tail: u64,
    /// Where it is not sure that what the device reads is what it keeps: there begins the last batch, whose sync may have
    /// failed. All before it was durable when the batch was written.
    pub(crate) doubtful: u64,
    /// Records up to there.
    pub(crate) record_count: u64,
    /// The largest number of a transaction among them.
    pub(crate) last_transaction: u64,
    /// Bytes of whole records behind the tail, of a batch that is not whole.
    pub(crate) torn_len: u64,
    /// What ends the log too early: something before it must have been durable.
    pub(crate) damage: Option<Fault>,
}

/// Which of the two copies of the status block are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Copies {
    pub(crate) good: [bool; 2],
}

impl Log {
    /// The log on this device.
    pub(crate) fn open(device: Box<dyn Device>, name: Arc<str>) -> Result<(Log, Copies)> {
        let mut read = [Err(Error::OtherLog), Err(Error::OtherLog)];
        for (status, offset) in read.iter_mut().zip(STATUS_OFFSETS) {
            *status = read_status(&*device, &name, offset);
        }
        let copies = Copies { good: [read[0].is_ok(), read[1].is_ok()] };
        let status = match read {
            [Ok(first), Ok(second)] if second.generation > first.generation => second,
            [Ok(first), _] => first,
            [Err(_), Ok(second)] => second,
            [Err(error), Err(_)] => return Err(error),
        };
        let id = u64::from_le_bytes(status.id[..8].try_into().expect("eight bytes"));
        let log = Log {
            device,
            name,
            ring_len: status.ring_len,
            id,
            record_id: AtomicU64::new(id ^ status.incarnation),
            status: Mutex::new(status),
            has_failed: Mutex::new(false),
        };
        Ok((log, copies))
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn ring_len(&self) -> u64 {
        self.ring_len
    }

    pub(crate) fn status(&self) -> Status {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a record of the present incarnation carries.
    pub(crate) fn record_id(&self) -> u64 {
        self.record_id.load(Ordering::Relaxed)
    }

    /// Writes the status block in force once more, where it stands: it may be in a cache alone.
    pub(crate) fn write_status_again(&self) -> Result<()> {
        let status = self.status();
        let offset = STATUS_OFFSETS[((status.generation - 1) % 2) as usize];
        self.write_device(offset, &[IoSlice::new(bytemuck::bytes_of(&status))])
    }

    /// Writes the status block, changed by `change`, in place of its older copy. Durable on return, and the copy that was
    /// in force until then is whole at every moment before.
    pub(crate) fn write_status(&self, change: impl FnOnce(&mut Status)) -> Result<()> {
        let mut held = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        let mut status = *held;
        change(&mut status);
        status.generation += 1;
        status.written_nanos = unix_nanos();
        status.crc = status_crc(&status);
        let turn = if planted!(StatusOverItself) { 0 } else { status.generation - 1 };
        let offset = STATUS_OFFSETS[(turn % 2) as usize];
        self.write_device(offset, &[IoSlice::new(bytemuck::bytes_of(&status))])?;
        if !planted!(StatusNotSynced) {
            self.sync()?; // Orders: this copy is whole before the other is touched, and before freed space is used.
        }
        self.record_id.store(self.id ^ status.incarnation, Ordering::Relaxed);
        *held = status;
        Ok(())
    }

    /// Writes which segment a number means. Durable on return.
    pub(crate) fn write_segment(&self, number: u32, name: &str) -> Result<()> {
        debug_assert!(number < SEGMENT_COUNT);
        let mut entry = SegmentEntry {
            name_len: name.len() as u32,
            incarnation: self.status().incarnation,
            ..SegmentEntry::zeroed()
        };
        entry.name[..name.len()].copy_from_slice(name.as_bytes());
        entry.crc = entry_crc(&entry);
        let offset = SEGMENTS_OFFSET + u64::from(number) * size_of::<SegmentEntry>() as u64;
        self.write_device(offset, &[IoSlice::new(bytemuck::bytes_of(&entry))])?;
        if planted!(EntryNotSynced) {
            return Ok(());
        }
        self.sync() // Orders: the table knows the number before a record has it.
    }

    /// The name of the segment that has this number in the records of the present incarnation.
    pub(crate) fn read_segment(&self, number: u32) -> Result<String> {
        let damaged = |field: usize, what, found, expected: String| {
            let offset =
                SEGMENTS_OFFSET + u64::from(number) * size_of::<SegmentEntry>() as u64 + field as u64;
            Error::Damaged { log: self.name.clone(), offset, what, found, expected: expected.into() }
        };
        if number >= SEGMENT_COUNT {
            return Err(damaged(
                0,
                "number of a segment",
                number.into(),
                format!("less than {SEGMENT_COUNT}"),
            ));
        }
        let offset = SEGMENTS_OFFSET + u64::from(number) * size_of::<SegmentEntry>() as u64;
        let mut entry = SegmentEntry::zeroed();
        self.read_device(offset, bytemuck::bytes_of_mut(&mut entry))?;
        let crc = entry_crc(&entry);
        if entry.crc != crc {
            return Err(damaged(0, "checksum of a segment's entry", entry.crc.into(), format!("{crc:#x}")));
        }
        let incarnation = self.status().incarnation;
        if entry.incarnation != incarnation {
            let at = std::mem::offset_of!(SegmentEntry, incarnation);
            return Err(damaged(
                at,
                "incarnation of a segment's entry",
                entry.incarnation,
                incarnation.to_string(),
            ));
        }
        let name = entry.name.get(..entry.name_len as usize).and_then(|name| std::str::from_utf8(name).ok());
        name.map(str::to_owned).ok_or_else(|| {
            let at = std::mem::offset_of!(SegmentEntry, name_len);
            damaged(at, "name of a segment", entry.name_len.into(), "the length of a name".to_owned())
        })
    }

    /// Where a position stands on the device.
    pub(crate) fn offset_of(&self, position: u64) -> u64 {
        RING_OFFSET + position % self.ring_len
    }

    /// Writes records from this position on; durable after a [`sync`](Log::sync).
    pub(crate) fn write(&self, position: u64, parts: &[IoSlice<'_>]) -> Result<()> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let room = (self.ring_len - position % self.ring_len) as usize;
        if len <= room {
            return self.write_device(self.offset_of(position), parts);
        }
        // The part that goes to the ring's start is cut off the one that reaches over its end.
        let room = if planted!(WrapSplitsWrong) { room - 8 } else { room };
        let (mut first, mut second, mut left) = (Vec::new(), Vec::new(), room);
        for part in parts {
            let (before, after) = part.split_at(left.min(part.len()));
            left -= before.len();
            for (side, bytes) in [(&mut first, before), (&mut second, after)] {
                if !bytes.is_empty() {
                    side.push(IoSlice::new(bytes));
                }
            }
        }
        self.write_device(self.offset_of(position), &first)?;
        self.write_device(RING_OFFSET, &second)
    }

    pub(crate) fn sync(&self) -> Result<()> {
        let mut has_failed = self.has_failed.lock().unwrap_or_else(PoisonError::into_inner);
        let synced = if *has_failed {
            Err(io::Error::other("a sync has failed before"))
        } else {
            self.device.sync().inspect_err(|_| *has_failed = true)
        };
        synced.map_err(|source| Error::system(&self.name, "sync", source))
    }

    /// Makes durable all that is there, whoever wrote it.
    pub(crate) fn settle(&self) -> Result<()> {
        self.device.settle().map_err(|source| Error::system(&self.name, "sync", source))
    }

    fn write_device(&self, offset: u64, parts: &[IoSlice<'_>]) -> Result<()> {
        self.device.write_at(offset, parts).map_err(|source| Error::system(&self.name, "write", source))
    }

    fn read_device(&self, offset: u64, bytes: &mut [u8]) -> Result<()> {
        self.device.read_at(offset, bytes).map_err(|source| Error::system(&self.name, "read", source))
    }

    /// Reads what the ring has from this position on.
    fn read(&self, position: u64, bytes: &mut [u8]) -> Result<()> {
        let room = (self.ring_len - position % self.ring_len).min(bytes.len() as u64) as usize;
        let (first, second) = bytes.split_at_mut(room);
        self.read_device(self.offset_of(position), first)?;
        if second.is_empty() { Ok(()) } else { self.read_device(RING_OFFSET, second) }
    }

    /// What is wrong, as an error.
    pub(crate) fn damaged(&self, fault: &Fault) -> Error {
        let Fault { position, what, found, ref expected } = *fault;
        Error::Damaged {
            log: self.name.clone(),
            offset: self.offset_of(position),
            what,
            found,
            expected: expected.as_str().into(),
        }
    }

    /// Walks from the head to the end of the last whole batch, and finds out whether that is the end.
    ///
    /// What stands behind the end of a log may be anything: a batch cut off by the crash, or what the ring held before.
    /// But a record that says that all before it was durable proves that the log went on: what stopped the walk is
    /// then damage, and so it is before the tail that the status block knows.
    pub(crate) fn scan(&self, read_len: usize) -> Result<Scan> {
        let status = self.status();
        let id = self.id ^ status.incarnation;
        let limit = status.head + self.ring_len;
        let mut window = Window::new(self, read_len, limit);
        let mut scan = Scan {
            tail: status.head,
            doubtful: status.tail,
            record_count: 0,
            last_transaction: 0,
            torn_len: 0,
            damage: None,
        };
        let (mut position, mut batch, mut records, mut last) = (status.head, status.head, 0, 0);
        let fault = loop {
            let header = match window.header(position, id)? {
                Ok(header) => header,
                Err(fault) => break Some(fault),
            };
            if header.batch != batch && !planted!(PlaceNotChecked) || header.position + header.len > limit {
                break Some(Fault {
                    position,
                    what: "batch of a record",
                    found: header.batch,
                    expected: batch.to_string(),
                });
            }
            let record = match record::check(header, window.at(position, header.len as usize)?) {
                Ok(record) => record,
                Err(fault) => break Some(fault),
            };
            records += 1;
            last = record.header.transaction.max(last);
            position += header.len;
            if header.flags & LAST_OF_BATCH != 0 || planted!(PartOfBatchKept) {
                scan.tail = position;
                scan.doubtful = batch.max(status.tail);
                scan.record_count += records;
                scan.last_transaction = last;
                let is_end = header.flags & LAST_OF_BATCH != 0 || !planted!(PartOfBatchKept);
                (batch, records) = (if is_end { position } else { batch }, 0);
            }
            if position == limit {
                let found = scan.tail;
                break (found != limit).then(|| Fault {
                    position: batch,
                    what: "end of a batch",
                    found,
                    expected: limit.to_string(),
                });
            }
        };
        scan.torn_len = position - scan.tail;
        let Some(fault) = fault else { return Ok(scan) }; // The ring is full of it.
        if scan.tail < status.tail || self.goes_on(&mut window, position, limit, id)? {
            scan.damage = Some(fault);
        }
        Ok(scan)
    }

    /// Whether a record proves that the log was durable at `stop`, and went on.
    ///
    /// It may stand whole rounds further on, where the status block in force is an old one, and the newer is damaged.
    fn goes_on(&self, window: &mut Window<'_>, stop: u64, limit: u64, id: u64) -> Result<bool> {
        let mut position = stop;
        while position + RECORD_HEADER_LEN as u64 <= limit {
            if window.at(position, 4)? == RECORD_MAGIC {
                let bytes = window.at(position, RECORD_HEADER_LEN)?;
                let header: RecordHeader = bytemuck::pod_read_unaligned(bytes);
                let is_here = header
                    .position
                    .checked_sub(position)
                    .is_some_and(|ahead| ahead.is_multiple_of(self.ring_len));
                if is_here
                    && header.batch > stop
                    && record::check_header(bytes, id, header.position, self.ring_len).is_ok()
                {
                    return Ok(true);
                }
            }
            position += 8;
        }
        Ok(false)
    }

    /// Writes once more what the ring holds from `extent.head` to `extent.tail`.
    ///
    /// A sync that failed may have left it in the cache alone, where it is taken for durable, and no later sync would
    /// change that.
    pub(crate) fn write_again(&self, extent: Extent, read_len: usize) -> Result<()> {
        let mut position = extent.head;
        while position < extent.tail {
            let mut bytes = vec![0; (extent.tail - position).min(read_len as u64) as usize];
            self.read(position, &mut bytes)?;
            self.write(position, &[IoSlice::new(&bytes)])?;
            position += bytes.len() as u64;
        }
        Ok(())
    }

    /// Walks from `extent.tail` back to `extent.head`, whose records have been checked once, and checks them again.
    pub(crate) fn walk_back(
        &self,
        extent: Extent,
        read_len: usize,
        mut visit: impl FnMut(Record<'_>) -> Result<()>,
    ) -> Result<()> {
        let id = self.record_id();
        let mut window = Window::new(self, read_len, extent.tail);
        let mut end = extent.tail;
        while end > extent.head {
            let trailer_len = RECORD_TRAILER_LEN as u64;
            let fault =
                |what, found, expected: String| self.damaged(&Fault { position: end, what, found, expected });
            if end - extent.head < record::EMPTY_LEN {
                return Err(fault("end of a record", end, format!("at least {}", record::EMPTY_LEN)));
            }
            let trailer = window.before(end, trailer_len as usize)?;
            let position = record::position_before(trailer, end).map_err(|fault| self.damaged(&fault))?;
            if position < extent.head {
                return Err(fault("position of a record", position, format!("at least {}", extent.head)));
            }
            let bytes = window.before(end, (end - position) as usize)?;
            let header = record::check_header(bytes, id, position, self.ring_len);
            let header = header.map_err(|fault| self.damaged(&fault))?;
            if header.len != end - position {
                return Err(fault("length of a record", header.len, (end - position).to_string()));
            }
            visit(record::check(header, bytes).map_err(|fault| self.damaged(&fault))?)?;
            end = position;
        }
        Ok(())
    }
}

fn read_status(device: &dyn Device, name: &Arc<str>, offset: u64) -> Result<Status> {
    let mut status = Status::zeroed();
    let damaged = |field: usize, what, found, expected: String| Error::Damaged {
        log: name.clone(),
        offset: offset + field as u64,
        what,
        found,
        expected: expected.into(),
    };
    if device.len() < RING_OFFSET + RING_LEN_MIN {
        let expected = format!("at least {}", RING_OFFSET + RING_LEN_MIN);
        return Err(damaged(0, "length of a log", device.len(), expected));
    }
    let read = device.read_at(offset, bytemuck::bytes_of_mut(&mut status));
    read.map_err(|source| Error::system(name, "read", source))?;
    macro_rules! demand {
        ($is_right:expr, $field:ident, $found:expr, $what:literal, $expected:expr) => {
            if !$is_right {
                return Err(damaged(
                    std::mem::offset_of!(Status, $field),
                    $what,
                    $found,
                    $expected.to_string(),
                ));
            }
        };
    }
    let (magic, expected) = (u64::from_le_bytes(status.magic), u64::from_le_bytes(LOG_MAGIC));
    demand!(magic == expected, magic, magic, "magic of a log", format_args!("{expected:#x}"));
    demand!(
        status.version == FORMAT_VERSION,
        version,
        status.version.into(),
        "version of the format",
        FORMAT_VERSION
    );
    let crc = status_crc(&status);
    demand!(
        status.crc == crc || planted!(StatusCheckSkipped),
        crc,
        status.crc.into(),
        "checksum of a status block",
        format_args!("{crc:#x}")
    );
    let ring_len_max = (device.len() - RING_OFFSET).min(RING_LEN_MAX);
    let is_ring =
        (RING_LEN_MIN..=ring_len_max).contains(&status.ring_len) && status.ring_len.is_multiple_of(PAGE_LEN);
    demand!(is_ring, ring_len, status.ring_len, "length of the ring", format_args!("at most {ring_len_max}"));
    let is_extent = status.head.is_multiple_of(8)
        && status.tail.is_multiple_of(8)
        && status.tail.checked_sub(status.head).is_some_and(|used| used <= status.ring_len)
        && status.tail <= COUNT_MAX;
    demand!(
        is_extent,
        head,
        status.head,
        "head of the log",
        format_args!("at most the tail, {}", status.tail)
    );
    // Nothing ever counts so far, and nothing that counts on may overflow.
    let counts = [
        status.generation,
        status.incarnation,
        status.next_transaction,
        status.flush_count,
        status.truncation_count,
    ];
    let largest = counts.into_iter().max().unwrap_or(0);
    demand!(largest <= COUNT_MAX, generation, largest, "counts of a status block", COUNT_MAX);
    let place = status.generation.checked_sub(1).map(|turn| STATUS_OFFSETS[(turn % 2) as usize]);
    demand!(
        place == Some(offset) || planted!(StatusOverItself),
        generation,
        status.generation,
        "generation of a status block",
        if offset == STATUS_OFFSETS[0] { "an odd one" } else { "an even one, not 0" }
    );
    demand!(
        status.next_transaction != 0,
        next_transaction,
        0,
        "number of the next transaction",
        "at least 1"
    );
    demand!(
        status.clean == 0 || status.clean == 1 && status.head == status.tail,
        clean,
        status.clean.into(),
        "mark of a clean close",
        "0, or 1 in an empty log"
    );
    demand!(
        status.reserved == [0; 17] && status.reserved_end == 0,
        reserved,
        1,
        "reserved fields of a status block",
        0
    );
    Ok(status)
}

/// Bytes of the ring, read ahead.
struct Window<'a> {
    log: &'a Log,
    read_len: usize,
    limit: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    fn new(log: &'a Log, read_len: usize, limit: u64) -> Self {
        Window { log, read_len, limit, start: 0, bytes: Vec::new() }
    }

    fn has(&self, position: u64, len: usize) -> bool {
        position >= self.start && position + len as u64 <= self.start + self.bytes.len() as u64
    }

    fn fill(&mut self, start: u64, len: usize) -> Result<()> {
        self.bytes.resize(len, 0);
        self.start = start;
        let read = self.log.read(start, &mut self.bytes);
        if read.is_err() {
            self.bytes.clear();
        }
        read
    }

    /// `len` bytes from `position` on, which lie before the limit; what follows is read ahead.
    fn at(&mut self, position: u64, len: usize) -> Result<&[u8]> {
        if !self.has(position, len) {
            let ahead = (self.limit - position).min(self.read_len.max(len) as u64);
            self.fill(position, ahead as usize)?;
        }
        Ok(&self.bytes[(position - self.start) as usize..][..len])
    }

    /// `len` bytes before `end`; what lies before them is read ahead.
    fn before(&mut self, end: u64, len: usize) -> Result<&[u8]> {
        let position = end - len as u64;
        if !self.has(position, len) {
            let ahead = end.min(self.read_len.max(len) as u64).min(self.log.ring_len);
            self.fill(end - ahead, ahead as usize)?;
        }
        Ok(&self.bytes[(position - self.start) as usize..][..len])
    }

    /// The checked header of the record at `position`, all of which lies before the limit.
    fn header(&mut self, position: u64, id: u64) -> Result<std::result::Result<RecordHeader, Fault>> {
        let (ring_len, limit) = (self.log.ring_len, self.limit);
        if limit - position < record::EMPTY_LEN {
            let expected = record::EMPTY_LEN.to_string();
            return Ok(Err(Fault { position, what: "room for a record", found: limit - position, expected }));
        }
        let checked = record::check_header(self.at(position, RECORD_HEADER_LEN)?, id, position, ring_len);
        Ok(checked.and_then(|header| {
            let room = limit - position;
            if header.len <= room {
                return Ok(header);
            }
            let expected = format!("at most {room}");
            Err(Fault { position, what: "length of a record", found: header.len, expected })
        }))
    }
}
