//! What happened to the memory, in order: the stream that all recorders write and all models read.
//!
//! Offsets count from the start of the medium. Start at [`Trace`].

use std::fmt;

/// One thing that happened.
///
/// Example: see [`Trace`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Bytes were stored, by one instruction (machine) or as one word of what the library announced (seam). They are
    /// the trace's [`data`](Trace::data) from `at` on.
    Store {
        /// Where.
        offset: u64,
        /// How many bytes.
        len: u32,
        /// Where they stand in the trace's data.
        at: u32,
        /// Whether it went past the cache (a non-temporal store): ordered by the next fence alone.
        is_streaming: bool,
    },
    /// The line that holds this offset is being written back; durable after the next fence.
    Flush {
        /// Any offset in the line.
        offset: u64,
    },
    /// A fence: what was flushed or streamed before is durable.
    Fence,
    /// Everything stored to this range so far was written to the device below the page cache.
    Sync {
        /// Where.
        offset: u64,
        /// How many bytes.
        len: u64,
    },
    /// Bytes were read.
    Load {
        /// Where.
        offset: u64,
        /// How many bytes.
        len: u32,
    },
    /// The medium has this length from here on.
    Grow {
        /// The length.
        len: u64,
    },
    /// Operation `op` of the workload begins; they are counted from 1, and 0 is the creation.
    Begin {
        /// Its number.
        op: u32,
    },
    /// Operation `op` was acknowledged to its caller: it must survive from here on.
    Ack {
        /// Its number.
        op: u32,
    },
    /// Recovery has returned, and what it found was told to be the state after so many operations.
    Opened {
        /// Their number, if it could be told.
        state: Option<u32>,
    },
}

impl Event {
    /// Whether it marks a moment of the program, and nothing happens to the memory.
    ///
    /// ```
    /// use crash_sim::trace::Event;
    ///
    /// assert!(Event::Ack { op: 1 }.is_mark() && !Event::Fence.is_mark());
    /// ```
    pub fn is_mark(&self) -> bool {
        matches!(self, Event::Begin { .. } | Event::Ack { .. } | Event::Opened { .. })
    }

    /// Whether the medium is another one behind it.
    pub(crate) fn is_change(&self) -> bool {
        matches!(self, Event::Store { .. } | Event::Grow { .. })
    }
}

/// Where in the program an event came from: the address of the instruction, or 0 if the recorder does not see it.
///
/// Example: see [`Trace::site`].
pub type Site = u64;

/// A recorded stream of events.
///
/// ```
/// use crash_sim::trace::{Event, Trace};
///
/// let mut trace = Trace::new();
/// trace.push_store(0, &[1; 8], false, 0);
/// trace.push(Event::Fence, 0);
/// assert_eq!((trace.len(), trace.events()[1]), (2, Event::Fence));
/// ```
#[derive(Clone, Default)]
pub struct Trace {
    events: Vec<Event>,
    /// Behind the last one that is known there need be none.
    sites: Vec<Site>,
    data: Vec<u8>,
}

impl Trace {
    pub(crate) const EMPTY: Trace = Trace { events: Vec::new(), sites: Vec::new(), data: Vec::new() };

    /// An empty one.
    ///
    /// ```
    /// assert!(crash_sim::trace::Trace::new().events().is_empty());
    /// ```
    pub fn new() -> Self {
        Trace::EMPTY
    }

    /// The events, in order.
    ///
    /// ```
    /// use crash_sim::trace::{Event, Trace};
    ///
    /// let mut trace = Trace::new();
    /// trace.push(Event::Flush { offset: 0 }, 0);
    /// trace.push(Event::Fence, 0);
    /// assert_eq!(trace.events(), [Event::Flush { offset: 0 }, Event::Fence]);
    /// ```
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// How many events there are.
    ///
    /// ```
    /// # let mut trace = crash_sim::trace::Trace::new();
    /// trace.push_store(0, &[1; 8], false, 0);
    /// assert_eq!(trace.len(), 1);
    /// ```
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether nothing happened.
    ///
    /// ```
    /// # let mut trace = crash_sim::trace::Trace::new();
    /// assert!(trace.is_empty());
    /// trace.push_store(0, &[1; 8], false, 0);
    /// assert!(!trace.is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Where an event came from.
    ///
    /// ```
    /// # use crash_sim::trace::{Event, Trace};
    /// # let mut trace = Trace::new();
    /// trace.push(Event::Fence, 0x40_1000);
    /// trace.push(Event::Fence, 0); // Of which no site is known.
    /// assert_eq!((trace.site(0), trace.site(1)), (0x40_1000, 0));
    /// ```
    pub fn site(&self, index: usize) -> Site {
        self.sites.get(index).copied().unwrap_or(0)
    }

    /// The bytes of a store that starts at `at` in the data.
    ///
    /// ```
    /// # use crash_sim::trace::{Event, Trace};
    /// # let mut trace = Trace::new();
    /// trace.push_store(64, b"stored", false, 0);
    /// let Event::Store { len, at, .. } = trace.events()[0] else { unreachable!() };
    /// assert_eq!(trace.data(at, len), b"stored");
    /// ```
    pub fn data(&self, at: u32, len: u32) -> &[u8] {
        &self.data[at as usize..at as usize + len as usize]
    }

    /// Appends a store.
    ///
    /// ```
    /// # use crash_sim::trace::{Event, Trace};
    /// # let mut trace = Trace::new();
    /// trace.push_store(64, &[1; 16], true, 0); // Past the cache.
    /// assert!(matches!(trace.events()[0], Event::Store { offset: 64, len: 16, is_streaming: true, .. }));
    /// ```
    pub fn push_store(&mut self, offset: u64, bytes: &[u8], is_streaming: bool, site: Site) {
        let at = u32::try_from(self.data.len()).expect("a trace stores less than 4 GiB");
        self.data.extend_from_slice(bytes);
        self.push(Event::Store { offset, len: bytes.len() as u32, at, is_streaming }, site);
    }

    /// Appends an event that has no bytes.
    ///
    /// ```
    /// # use crash_sim::trace::{Event, Trace};
    /// # let mut trace = Trace::new();
    /// trace.push(Event::Sync { offset: 0, len: 4096 }, 0);
    /// assert_eq!(trace.events(), [Event::Sync { offset: 0, len: 4096 }]);
    /// ```
    pub fn push(&mut self, event: Event, site: Site) {
        if site != 0 {
            self.sites.resize(self.events.len(), 0);
            self.sites.push(site);
        }
        self.events.push(event);
    }

    /// Appends a store of one word, of which no site is known.
    #[inline]
    pub(crate) fn push_word(&mut self, offset: u64, word: u64) {
        let at = u32::try_from(self.data.len()).expect("a trace stores less than 4 GiB");
        self.data.extend_from_slice(&word.to_le_bytes());
        self.events.push(Event::Store { offset, len: 8, at, is_streaming: false });
    }

    /// Puts another event without bytes in the place of one.
    pub(crate) fn replace(&mut self, index: usize, event: Event) {
        self.events[index] = event;
    }

    /// Forgets all, and keeps the memory.
    ///
    /// ```
    /// # use crash_sim::trace::{Event, Trace};
    /// # let mut trace = Trace::new();
    /// trace.push(Event::Fence, 0);
    /// trace.clear();
    /// assert!(trace.is_empty());
    /// ```
    pub fn clear(&mut self) {
        self.events.clear();
        self.sites.clear();
        self.data.clear();
    }
}

/// Traces are equal if the same things happened, wherever they came from.
impl PartialEq for Trace {
    fn eq(&self, other: &Self) -> bool {
        self.events == other.events && self.data == other.data
    }
}

impl Eq for Trace {}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        for event in &self.events {
            match *event {
                Event::Store { offset, len, at, .. } => {
                    list.entry(&format_args!("store {offset}: {:02x?}", self.data(at, len)))
                }
                ref other => list.entry(other),
            };
        }
        list.finish()
    }
}
