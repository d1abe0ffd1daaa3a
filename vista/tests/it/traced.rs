//! A medium in memory that can be looked at while a transaction is open, and that records what it is told.
//!
//! Stores are found by comparing: between two calls of the library whatever has changed was stored, announced or
//! not. They are recorded as words of eight bytes in ascending order. Start at [`Traced`] and [`Tape`].

#![allow(unsafe_code)] // It implements the seam.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rio::{Buffer, Domain, LINE_LEN, Medium};

/// What the medium was told, or found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Store { offset: u64, word: [u8; 8] },
    Flush { offset: u64, len: u64 },
    Fence,
    Grow { len: u64 },
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Traced {
    shared: Arc<Shared>,
}

/// The medium's bytes and record, also while a segment owns the medium.
#[derive(Clone, Debug)]
pub(crate) struct Tape {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    buffer: Buffer,
    len: AtomicU64,
    domain: Domain,
    /// None if nothing is recorded.
    record: Mutex<Option<Record>>,
}

#[derive(Debug)]
struct Record {
    /// The bytes after the last event.
    seen: Vec<u8>,
    events: Vec<Event>,
    /// Whether stores are announced, so that nothing else need be compared before the end.
    is_announced: bool,
}

impl Traced {
    /// Zeroed memory that may grow.
    pub(crate) fn new(len: u64, capacity: u64, domain: Domain) -> (Self, Tape) {
        let buffer = Buffer::new(capacity, capacity);
        let shared = Shared { buffer, len: AtomicU64::new(len), domain, record: Mutex::new(None) };
        let shared = Arc::new(shared);
        (Traced { shared: shared.clone() }, Tape { shared })
    }

    /// Memory with these bytes that may grow.
    pub(crate) fn from_bytes(bytes: &[u8], capacity: u64, domain: Domain) -> (Self, Tape) {
        let capacity = capacity.max(bytes.len() as u64);
        let mut buffer = Buffer::new(capacity, capacity);
        buffer.bytes_mut()[..bytes.len()].copy_from_slice(bytes);
        let len = AtomicU64::new(bytes.len() as u64);
        let shared = Arc::new(Shared { buffer, len, domain, record: Mutex::new(None) });
        (Traced { shared: shared.clone() }, Tape { shared })
    }
}

impl Tape {
    /// The bytes as a crash would leave them now. Not to be called while a `&mut` is lent.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.shared.bytes().to_vec()
    }

    /// Flips a bit, as a stray store would. Not to be called while anything is lent.
    pub(crate) fn flip(&self, offset: u64) {
        assert!(offset < self.shared.len.load(Ordering::Relaxed));
        // SAFETY: inside the buffer, just checked.
        let at = unsafe { self.shared.buffer.write_base().add(offset as usize) };
        // SAFETY: as above, and nobody else uses the byte, as promised.
        unsafe { *at ^= 1 }
    }

    /// Records from now on.
    pub(crate) fn start(&self) {
        self.start_as(false);
    }

    /// Records what is announced from now on: quicker, where nothing is lent.
    pub(crate) fn start_announced(&self) {
        self.start_as(true);
    }

    fn start_as(&self, is_announced: bool) {
        let record = Record { seen: self.bytes(), events: Vec::new(), is_announced };
        *self.shared.record.lock().unwrap() = Some(record);
    }

    /// The events so far.
    pub(crate) fn event_count(&self) -> usize {
        self.shared.observe(None);
        self.shared.record.lock().unwrap().as_ref().map_or(0, |record| record.events.len())
    }

    /// Ends the recording.
    pub(crate) fn stop(&self) -> Vec<Event> {
        self.shared.observe(None);
        let record = self.shared.record.lock().unwrap().take().expect("a recording was started");
        assert!(record.seen == self.shared.bytes(), "a store was not announced");
        record.events
    }
}

impl Shared {
    fn observe(&self, event: Option<Event>) {
        self.observe_store(0..0, event);
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: (1) the buffer has `capacity >= len` initialised bytes. (2) The callers are the library's calls into
        // the medium and tests between its calls, when nobody stores.
        unsafe {
            std::slice::from_raw_parts(self.buffer.read_base(), self.len.load(Ordering::Relaxed) as usize)
        }
    }

    /// Records what has changed, what was announced last, then the event.
    fn observe_store(&self, announced: Range<u64>, event: Option<Event>) {
        let mut record = self.record.lock().unwrap();
        let Some(Record { seen, events, is_announced }) = record.as_mut() else { return };
        let now = self.bytes();
        seen.resize(now.len(), 0);
        let compared =
            if *is_announced { announced.start as usize..announced.end as usize } else { 0..now.len() };
        let mut last = Vec::new();
        for start in compared.clone().step_by(1024) {
            let end = compared.end.min(start + 1024);
            if seen[start..end] == now[start..end] {
                continue;
            }
            for at in (start..end).step_by(8) {
                if seen[at..at + 8] != now[at..at + 8] {
                    let word: [u8; 8] = now[at..at + 8].try_into().unwrap();
                    seen[at..at + 8].copy_from_slice(&word);
                    let store = Event::Store { offset: at as u64, word };
                    if announced.contains(&(at as u64)) { last.push(store) } else { events.push(store) }
                }
            }
        }
        events.extend(last);
        events.extend(event);
    }
}

// SAFETY: (1) the buffer's memory neither moves nor shrinks, and has `capacity >= len` bytes. (2) Both views are one
// address. (3) `len` changes in `grow` alone, upwards. (4) A tape reads only when nobody stores. (5) No method writes.
unsafe impl Medium for Traced {
    fn len(&self) -> u64 {
        self.shared.len.load(Ordering::Relaxed)
    }

    fn read_base(&self) -> *const u8 {
        self.shared.buffer.read_base()
    }

    fn write_base(&self) -> *mut u8 {
        self.shared.buffer.write_base()
    }

    fn domain(&self) -> Domain {
        self.shared.domain
    }

    fn flush(&self, offset: u64, len: u64) {
        assert!(offset + len <= self.len(), "a flush of {len} bytes at {offset} is outside");
        self.shared.observe(Some(Event::Flush { offset, len }));
    }

    fn fence(&self) {
        self.shared.observe(Some(Event::Fence));
    }

    fn max_len(&self) -> u64 {
        self.shared.buffer.len()
    }

    fn grow(&mut self, len: u64) -> Result<(), rio::Error> {
        self.shared.observe(None);
        if len > self.max_len() {
            return Err(rio::Error::ReservationExhausted {
                path: self.name(),
                wanted: len,
                reserved: self.max_len(),
            });
        }
        let len = len.max(self.len());
        self.shared.len.store(len, Ordering::Relaxed);
        self.shared.observe(Some(Event::Grow { len }));
        Ok(())
    }

    fn stored(&self, offset: u64, len: u64) {
        assert!(offset + len <= self.len(), "a store of {len} bytes at {offset} is outside");
        self.shared.observe_store(offset / 8 * 8..(offset + len).next_multiple_of(8), None);
    }

    fn lent(&self, offset: u64, len: u64) {
        assert!(offset + len <= self.len(), "{len} bytes lent at {offset} are outside");
        self.shared.observe(None);
    }

    fn name(&self) -> String {
        "<traced>".to_owned()
    }
}

/// Applies a store or a growth to an image.
pub(crate) fn apply(image: &mut Vec<u8>, event: Event) {
    match event {
        Event::Store { offset, word } => image[offset as usize..offset as usize + 8].copy_from_slice(&word),
        Event::Grow { len } => image.resize(len as usize, 0),
        Event::Flush { .. } | Event::Fence => {}
    }
}

/// The line of an offset.
pub(crate) fn line_of(offset: u64) -> u64 {
    offset / LINE_LEN
}
