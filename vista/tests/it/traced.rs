//! A medium in memory that can be looked at while a transaction is open, and that keeps what it was told to flush.
//!
//! Start at [`Traced`] and [`Tape`].

#![allow(unsafe_code)] // It implements the seam.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rio::{Buffer, Domain, Medium};

/// What the medium was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Flush { offset: u64 },
    Fence,
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
    events: Mutex<Vec<Event>>,
}

/// Events that are kept: what comes first is what tests look at.
const EVENTS_MAX: usize = 1000;

impl Traced {
    /// Zeroed memory that may grow.
    pub(crate) fn new(len: u64, capacity: u64, domain: Domain) -> (Self, Tape) {
        Self::on(Buffer::new(capacity, capacity), len, domain)
    }

    /// Memory with these bytes that may grow.
    pub(crate) fn from_bytes(bytes: &[u8], capacity: u64, domain: Domain) -> (Self, Tape) {
        let capacity = capacity.max(bytes.len() as u64);
        let mut buffer = Buffer::new(capacity, capacity);
        buffer.bytes_mut()[..bytes.len()].copy_from_slice(bytes);
        Self::on(buffer, bytes.len() as u64, domain)
    }

    fn on(buffer: Buffer, len: u64, domain: Domain) -> (Self, Tape) {
        let shared = Shared { buffer, len: AtomicU64::new(len), domain, events: Mutex::default() };
        let shared = Arc::new(shared);
        (Traced { shared: shared.clone() }, Tape { shared })
    }
}

impl Tape {
    /// The bytes as a crash would leave them now. Not to be called while a `&mut` is lent.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let len = self.shared.len.load(Ordering::Relaxed) as usize;
        // SAFETY: (1) the buffer has `capacity >= len` initialised bytes. (2) Nobody stores meanwhile, as promised.
        unsafe { std::slice::from_raw_parts(self.shared.buffer.read_base(), len) }.to_vec()
    }

    /// The word at an offset. Not to be called while a `&mut` is lent.
    #[allow(dead_code, reason = "not every program of tests asks")]
    pub(crate) fn word(&self, offset: u64) -> u64 {
        let at = offset as usize;
        let bytes = self.shared.buffer.bytes().get(at..at + 8).expect("inside of the medium");
        u64::from_le_bytes(bytes.try_into().expect("eight bytes"))
    }

    /// Flips a bit, as a stray store would. Not to be called while anything is lent.
    pub(crate) fn flip(&self, offset: u64) {
        assert!(offset < self.shared.len.load(Ordering::Relaxed));
        // SAFETY: inside the buffer, just checked.
        let at = unsafe { self.shared.buffer.write_base().add(offset as usize) };
        // SAFETY: as above, and nobody else uses the byte, as promised.
        unsafe { *at ^= 1 }
    }

    /// What the medium was told first.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.shared.events.lock().unwrap().clone()
    }
}

impl Shared {
    fn note(&self, event: Event) {
        let mut events = self.events.lock().unwrap();
        if events.len() < EVENTS_MAX {
            events.push(event);
        }
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
        self.shared.note(Event::Flush { offset });
    }

    fn fence(&self) {
        self.shared.note(Event::Fence);
    }

    fn max_len(&self) -> u64 {
        self.shared.buffer.len()
    }

    fn grow(&mut self, len: u64) -> Result<(), rio::Error> {
        if len > self.max_len() {
            return Err(rio::Error::ReservationExhausted {
                path: self.name(),
                wanted: len,
                reserved: self.max_len(),
            });
        }
        self.shared.len.store(len.max(self.len()), Ordering::Relaxed);
        Ok(())
    }

    fn stored(&self, offset: u64, len: u64) {
        assert!(offset + len <= self.len(), "a store of {len} bytes at {offset} is outside");
    }

    fn lent(&self, offset: u64, len: u64) {
        assert!(offset + len <= self.len(), "{len} bytes lent at {offset} are outside");
    }

    fn name(&self) -> String {
        "<traced>".to_owned()
    }
}
