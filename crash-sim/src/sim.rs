//! The medium under test: memory behind rio's seam that can be set to any image and knows what was done to it.
//!
//! A [`Stage`] owns the memory; a [`Sim`] is the medium that structures are created and opened on, which is made anew for
//! each recovery and costs nothing to make. Start at [`Sim`].

#![allow(unsafe_code)] // It implements the seam, and sets memory that is known by address.

use std::cell::{Cell, RefCell};
use std::mem;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering, compiler_fence};
use std::sync::{Arc, OnceLock};

use rio::{Buffer, Domain, Medium, WriteBack};

use crate::campaign::{BoxError, Recorder};
use crate::image::Delta;
use crate::lazy::Undecided;
use crate::machine::{self, Arena, Protection, TraceOptions};
use crate::trace::{Event, Trace};
use crate::{panics, symbols};

const PAGE_LEN: u64 = 4096;

/// Who sees what happens to the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watch {
    /// The seam itself: what the library announces.
    Seam,
    /// Something outside of the program; the seam does what a region of the domain does.
    Outside,
}

/// The medium that a campaign gives to [`create`](crate::Campaign::create) and [`open`](crate::Campaign::open).
///
/// It stands for a region: a structure that is generic over [`rio::Medium`] runs on it unchanged. Under the kill
/// recorder it is a region, on a real file.
///
/// ```
/// use crash_sim::{Campaign, Model, Sim};
/// use rio::Medium;
///
/// let campaign = Campaign::new("length", 4096)
///     .create(|sim: Sim| Ok::<_, String>(sim))
///     .open(|sim: Sim| Ok::<_, String>(sim))
///     .operations(1, |_: &mut Sim, _| Ok::<_, String>(()))
///     .model(4096, |_, _| (), |sim| sim.len());
/// campaign.explore(Model::Coherent).assert();
/// ```
pub struct Sim {
    base: NonNull<u8>,
    domain: Domain,
    inner: Inner,
}

enum Inner {
    Stage { stage: Arc<Stage>, watch: Watch },
    File(Box<crate::kill::Victim>),
}

// SAFETY: the memory belongs to a stage or region that the medium keeps alive; who uses its address answers for it.
unsafe impl Send for Sim {}
// SAFETY: as above; shared use only reads addresses and lengths, or records in a cell of the calling thread.
unsafe impl Sync for Sim {}

/// The memory of a campaign.
pub(crate) struct Stage {
    memory: Memory,
    len: AtomicU64,
    capacity: u64,
    number: u64,
}

enum Memory {
    Heap(Buffer),
    /// Stores to it are seen by the machine recorder.
    Traced(Arena),
}

thread_local! {
    static TAPE: RefCell<Tape> = const { RefCell::new(Tape::NONE) };
    /// What a load has to know of the tape: most do nothing but count.
    static LOADS: Loads = const { Loads { stage: Cell::new(0), left: Cell::new(0), are_watched: Cell::new(false) } };
}

/// What is recorded on this thread.
struct Tape {
    /// Number of the stage that is recorded; 0 for none.
    stage: u64,
    trace: Trace,
    /// Bytes that are lent, as they were then. They are words from the first byte's word on.
    lent: Vec<(u64, Vec<u64>)>,
    event_limit: usize,
    /// Number of the first event that asks for more than to be noted.
    special: usize,
    undecided: Undecided,
}

/// Loads on this thread from the stage that is recorded.
struct Loads {
    /// Its number.
    stage: Cell<u64>,
    /// How many more there may be.
    left: Cell<usize>,
    /// Whether some words are undecided.
    are_watched: Cell<bool>,
}

/// What a recording that would not end is given up with.
#[derive(Debug)]
pub(crate) struct Endless;

impl Stage {
    /// Memory for a recorder. An error says what is missing for it here.
    pub(crate) fn new(capacity: u64, recorder: Recorder) -> Result<Arc<Self>, BoxError> {
        if recorder == Recorder::Seam {
            return Ok(Self::on_heap(capacity));
        }
        let arena = Arena::new(capacity.next_multiple_of(PAGE_LEN))?;
        // Whatever the system would refuse it refuses now.
        arena.trace(&TraceOptions::default(), &mut Trace::new(), || ())?;
        Ok(Self::on(Memory::Traced(arena), capacity))
    }

    fn on_heap(capacity: u64) -> Arc<Self> {
        let len = capacity.next_multiple_of(PAGE_LEN);
        Self::on(Memory::Heap(Buffer::new(len, len)), capacity)
    }

    fn on(memory: Memory, capacity: u64) -> Arc<Self> {
        static STAGES: AtomicU64 = AtomicU64::new(1);
        let number = STAGES.fetch_add(1, Ordering::Relaxed);
        let capacity = capacity.next_multiple_of(PAGE_LEN);
        Arc::new(Stage { memory, len: AtomicU64::new(0), capacity, number })
    }

    pub(crate) fn len(&self) -> u64 {
        self.len.load(Ordering::Relaxed)
    }

    pub(crate) fn set_len(&self, len: u64) {
        debug_assert!(len <= self.capacity);
        self.len.store(len, Ordering::Relaxed);
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Where the program under test finds the memory.
    fn view(&self) -> *mut u8 {
        match &self.memory {
            Memory::Heap(buffer) => buffer.write_base(),
            Memory::Traced(arena) => arena.view(),
        }
    }

    /// Where the campaign finds it.
    fn base(&self) -> *mut u8 {
        match &self.memory {
            Memory::Heap(buffer) => buffer.write_base(),
            Memory::Traced(arena) => arena.alias(),
        }
    }

    /// Lets stores through unseen, or has each of them seen: `record` would do so, and undo it, every time.
    pub(crate) fn watch_stores(&self, is_watched: bool) {
        if let Memory::Traced(arena) = &self.memory {
            let protection = if is_watched { Protection::Stores } else { Protection::Open };
            arena.protect(protection).expect("it was protected before");
        }
    }

    /// The words of the memory: atomic, since a structure may have left a thread behind that still has a medium on this
    /// memory. They are set when no structure is open on it.
    pub(crate) fn words(&self) -> &[AtomicU64] {
        // SAFETY: the memory has so many words, aligned and initialised, and lives as long as the stage.
        unsafe { std::slice::from_raw_parts(self.base().cast::<AtomicU64>(), self.capacity as usize / 8) }
    }

    /// A copy of all of them.
    pub(crate) fn copy(&self) -> Vec<u64> {
        self.words().iter().map(|word| word.load(Ordering::Relaxed)).collect()
    }

    /// A medium on this memory.
    pub(crate) fn medium(self: &Arc<Self>, domain: Domain) -> Sim {
        let watch = match self.memory {
            Memory::Heap(_) => Watch::Seam,
            Memory::Traced(_) => Watch::Outside,
        };
        let base = NonNull::new(self.view()).expect("memory has an address");
        Sim { base, domain, inner: Inner::Stage { stage: self.clone(), watch } }
    }

    /// Runs a piece of the program under test and appends what happens to the memory to a trace; `Err` with the words
    /// of its panic. More than `event_limit` events in the trace are a panic.
    pub(crate) fn record<R>(
        &self,
        trace: &mut Trace,
        undecided: &mut Undecided,
        event_limit: usize,
        run: impl FnOnce() -> R,
    ) -> Result<R, String> {
        if let Memory::Traced(arena) = &self.memory {
            let outer = Tape::start(self.number, Trace::new(), mem::take(undecided), event_limit);
            let options = TraceOptions { event_limit, ..TraceOptions::default() };
            let result = arena.trace(&options, trace, || panics::catch(run));
            *undecided = outer.exchange().tape.undecided;
            return result.unwrap_or_else(|error| Err(format!("the machine recorder: {error}")));
        }
        let outer = Tape::start(self.number, mem::take(trace), mem::take(undecided), event_limit);
        let result = panics::catch(run);
        self.with_tape(|_| {});
        let tape = outer.exchange().tape;
        (*trace, *undecided) = (tape.trace, tape.undecided);
        result
    }

    /// Does something with the recording, if there is one on this thread; whoever had borrowed bytes is done with them.
    #[inline]
    fn with_tape(&self, note: impl FnOnce(&mut Tape)) {
        TAPE.with_borrow_mut(|tape| {
            if tape.stage != self.number {
                return;
            }
            if !tape.lent.is_empty() {
                self.look_at_lent(tape);
                tape.lent.clear();
            }
            note(tape);
        });
    }

    /// What has become of lent bytes by now is stored.
    fn look_at_lent(&self, tape: &mut Tape) {
        let mut lent = mem::take(&mut tape.lent);
        let memory = self.words();
        for (first, words) in &mut lent {
            for (index, old) in (*first..).zip(words) {
                let new = memory[index as usize].load(Ordering::Relaxed);
                if new != *old {
                    *old = new;
                    tape.store(index * 8, new);
                }
            }
        }
        tape.lent = lent;
    }

    /// Records the words of an announced store.
    #[inline]
    fn stored(&self, offset: u64, len: u64) {
        self.with_tape(|tape| {
            if !tape.undecided.is_empty() {
                tape.undecided.stored(offset, len);
            }
            let numbers = offset / 8..(offset + len).div_ceil(8);
            let words = &self.words()[numbers.start as usize..numbers.end as usize];
            for (index, word) in numbers.zip(words) {
                tape.store(index * 8, word.load(Ordering::Relaxed));
            }
        });
    }

    /// Whoever is lent bytes to read has them as long as he likes: no store through `&mut` comes between.
    #[inline]
    fn loaded(&self, offset: u64, len: u64) {
        LOADS.with(|loads| {
            if loads.stage.get() != self.number {
                return;
            }
            match loads.left.get().checked_sub(1) {
                Some(left) => loads.left.set(left),
                None => give_up(),
            }
            if loads.are_watched.get() {
                TAPE.with_borrow_mut(|tape| tape.undecided.loaded(offset, len));
            }
        });
    }

    fn lent(&self, offset: u64, len: u64) {
        TAPE.with_borrow_mut(|tape| {
            if tape.stage == self.number {
                // Several ranges may be lent together.
                self.look_at_lent(tape);
                tape.undecided.loaded(offset, len);
                let words = &self.words()[(offset / 8) as usize..(offset + len).div_ceil(8) as usize];
                tape.lent.push((offset / 8, words.iter().map(|word| word.load(Ordering::Relaxed)).collect()));
            }
        });
    }

    fn flushed(&self, offset: u64, len: u64) {
        assert!(offset.checked_add(len).is_some_and(|end| end <= self.len()), "a range to flush is inside");
        self.with_tape(|tape| {
            let lines = offset / 64..(offset + len).div_ceil(64);
            lines.for_each(|line| tape.push(Event::Flush { offset: line * 64 }));
        });
    }

    /// Notes what no store shows.
    fn note(&self, event: Event) {
        match self.memory {
            Memory::Heap(_) => self.with_tape(|tape| tape.push(event)),
            Memory::Traced(_) => {
                machine::mark(event);
            }
        }
    }

    /// The machine recorder sees the store; that the bytes are no longer what a crash left there it is told.
    #[inline]
    fn overwritten(&self, offset: u64, len: u64) {
        TAPE.with_borrow_mut(|tape| {
            if tape.stage == self.number && !tape.undecided.is_empty() {
                tape.undecided.stored(offset, len);
            }
        });
    }

    fn grow(&self, len: u64, name: String) -> Result<(), rio::Error> {
        let len = len.next_multiple_of(4096);
        if len > self.capacity {
            let (wanted, reserved) = (len, self.capacity);
            return Err(rio::Error::ReservationExhausted { path: name, wanted, reserved });
        }
        let len = len.max(self.len());
        self.note(Event::Grow { len });
        self.set_len(len);
        Ok(())
    }
}

/// Sets the memory of a stage to one image after the other.
pub(crate) struct Loader {
    stage: Arc<Stage>,
    /// Words that may differ from the base of the images.
    dirty: Vec<u32>,
}

impl Loader {
    /// The memory is the base now.
    pub(crate) fn new(stage: Arc<Stage>) -> Self {
        Loader { stage, dirty: Vec::new() }
    }

    /// Sets the memory to an image. Since the last call only what `note` was told has changed.
    pub(crate) fn load(&mut self, base: &[u64], delta: &Delta) {
        let words = self.stage.words();
        for index in self.dirty.drain(..) {
            words[index as usize].store(base[index as usize], Ordering::Relaxed);
        }
        for &(index, word) in delta.words() {
            words[index as usize].store(word, Ordering::Relaxed);
            self.dirty.push(index);
        }
    }

    /// Is told what happened to the memory.
    pub(crate) fn note(&mut self, trace: &Trace) {
        for event in trace.events() {
            if let Event::Store { offset, len, .. } = *event {
                self.dirty.extend((offset / 8) as u32..(offset + u64::from(len)).div_ceil(8) as u32);
            }
        }
    }
}

impl Tape {
    const NONE: Tape = Tape {
        stage: 0,
        trace: Trace::EMPTY,
        lent: Vec::new(),
        event_limit: 0,
        special: 0,
        undecided: Undecided::NONE,
    };

    /// Records on this thread from now on. Returns what was recorded there before.
    fn start(stage: u64, trace: Trace, undecided: Undecided, event_limit: usize) -> Outer {
        let last = event_limit.saturating_sub(1);
        let loads = (stage, last, !undecided.is_empty());
        let special = last.min(symbols::awaited());
        let tape = Tape { stage, trace, lent: Vec::new(), event_limit, special, undecided };
        Outer { tape, loads }.exchange()
    }

    #[inline]
    fn store(&mut self, offset: u64, word: u64) {
        let number = self.trace.len();
        self.trace.push_word(offset, word);
        // Only now: the store was made.
        if number >= self.special {
            self.at_special(number, number + 1);
        }
    }

    #[inline]
    fn push(&mut self, event: Event) {
        let number = self.trace.len();
        if number >= self.special {
            self.at_special(number, number);
        }
        self.trace.push(event, 0);
    }

    /// The event of this number is the one whose stack is asked for; or there are as many as there may be.
    #[cold]
    fn at_special(&self, number: usize, count: usize) {
        if number == symbols::awaited() {
            symbols::at_event(number);
        }
        if count >= self.event_limit {
            give_up();
        }
    }
}

/// A recording that another one has interrupted.
struct Outer {
    tape: Tape,
    loads: (u64, usize, bool),
}

impl Outer {
    /// Goes on with it. Returns what was recorded until now.
    fn exchange(self) -> Outer {
        let (stage, left, are_watched) = self.loads;
        let loads = LOADS.with(|loads| {
            (loads.stage.replace(stage), loads.left.replace(left), loads.are_watched.replace(are_watched))
        });
        Outer { tape: TAPE.replace(self.tape), loads }
    }
}

/// Ends a recording that would not end.
#[cold]
fn give_up() {
    if !std::thread::panicking() {
        std::panic::panic_any(Endless);
    }
}

impl Sim {
    /// A medium of `size` bytes of zero outside of any campaign, on memory of its own, that may grow to `capacity`.
    ///
    /// ```
    /// use crash_sim::Sim;
    /// use rio::Domain;
    ///
    /// let mut sim = Sim::new(4096, 8192, Domain::Adr);
    /// sim.store(64, 7);
    /// sim.persist(64, 8);
    /// assert_eq!(sim.load(64), 7);
    /// ```
    pub fn new(size: u64, capacity: u64, domain: Domain) -> Sim {
        let stage = Stage::on_heap(capacity.max(size));
        stage.set_len(size);
        stage.medium(domain)
    }

    pub(crate) fn on_file(victim: crate::kill::Victim) -> Self {
        let region = victim.region();
        let base = NonNull::new(region.write_base()).expect("a region has an address");
        Sim { base, domain: region.domain(), inner: Inner::File(Box::new(victim)) }
    }

    /// Writes everything stored so far to the device below the page cache, as far as the model of a power loss is
    /// concerned; on a real file it does so.
    ///
    /// ```
    /// use crash_sim::{Campaign, Model, Sim};
    ///
    /// let campaign = Campaign::new("page cache", 4096)
    ///     .create(|sim: Sim| Ok::<_, String>(sim))
    ///     .open(|sim: Sim| Ok::<_, String>(sim))
    ///     .operations(1, |sim, _| {
    ///         sim.store(0, 7);
    ///         sim.sync() // As `msync` would.
    ///     })
    ///     .model(0, |word, _| *word = 7, |sim| sim.load(0));
    /// campaign.explore(Model::PowerLoss).assert();
    /// ```
    ///
    /// # Errors
    /// The system's, on a real file.
    pub fn sync(&self) -> Result<(), rio::Error> {
        match &self.inner {
            Inner::Stage { stage, .. } => {
                stage.note(Event::Sync { offset: 0, len: stage.len() });
                Ok(())
            }
            Inner::File(victim) => victim.region().sync(),
        }
    }

    /// A word of eight bytes, for the small structures that need no library.
    ///
    /// As the view of a campaign:
    ///
    /// ```
    /// # use crash_sim::{Campaign, Model, Sim};
    /// # Campaign::new("doc", 4096)
    /// #     .create(|sim: Sim| Ok::<_, String>(sim))
    /// #     .open(|sim: Sim| Ok::<_, String>(sim))
    /// .operations(1, |sim, _| {
    ///     sim.store(0, sim.load(0) + 7);
    ///     Ok::<_, String>(sim.persist(0, 8))
    /// })
    /// #     .model(0, |word, _| *word = 7, |sim| sim.load(0))
    /// #     .explore(Model::Adr).assert();
    /// ```
    ///
    /// # Panics
    /// If the offset is not a multiple of 8 inside the medium.
    #[inline(always)]
    pub fn load(&self, offset: u64) -> u64 {
        let at = self.checked(offset);
        self.loaded(offset, 8);
        at.load(Ordering::Relaxed)
    }

    /// Stores a word of eight bytes. Durable as the domain has it.
    ///
    /// As an operation of a campaign:
    ///
    /// ```
    /// # use crash_sim::{Campaign, Model, Sim};
    /// # Campaign::new("doc", 4096)
    /// #     .create(|sim: Sim| Ok::<_, String>(sim))
    /// #     .open(|sim: Sim| Ok::<_, String>(sim))
    /// .operations(1, |sim, _| {
    ///     sim.store(0, 7);
    ///     Ok::<_, String>(sim.persist(0, 8))
    /// })
    /// #     .model(0, |word, _| *word = 7, |sim| sim.load(0))
    /// #     .explore(Model::Adr).assert();
    /// ```
    ///
    /// # Panics
    /// As [`load`](Sim::load).
    #[inline(always)] // So that the machine's instruction belongs to a line of the caller.
    pub fn store(&mut self, offset: u64, word: u64) {
        let at = self.checked(offset);
        at.store(word, Ordering::Relaxed);
        self.stored(offset, 8);
    }

    /// Flushes and fences: what was stored to these bytes is durable on return.
    ///
    /// Example: see [`store`](Sim::store).
    #[inline(always)]
    pub fn persist(&self, offset: u64, len: u64) {
        self.flush(offset, len);
        self.fence(); // Orders: the bytes, then whatever the caller does next.
    }

    fn checked(&self, offset: u64) -> &AtomicU64 {
        let is_inside =
            offset.is_multiple_of(8) && offset.checked_add(8).is_some_and(|end| end <= self.len());
        assert!(is_inside, "offset {offset} is no word of a medium of {} bytes", self.len());
        // SAFETY: inside the memory, just checked.
        let at = unsafe { self.base.as_ptr().add(offset as usize) }.cast();
        // SAFETY: aligned and inside, just checked; another medium on the same memory uses its words atomically too.
        unsafe { AtomicU64::from_ptr(at) }
    }
}

// SAFETY: (1) the memory belongs to the stage or region, which neither moves nor shrinks it, and is page-aligned.
// (2) Both views are one address, or those of a region. (3) `len` grows in `grow` alone while a structure is open; a
// campaign sets it between two of them. (4) A campaign reads and sets the memory when no structure is open, or in calls
// of the medium, when nothing is stored. (5) No method of the medium writes.
unsafe impl Medium for Sim {
    #[inline(always)]
    fn len(&self) -> u64 {
        match &self.inner {
            Inner::Stage { stage, .. } => stage.len(),
            Inner::File(victim) => victim.region().len(),
        }
    }

    #[inline(always)]
    fn read_base(&self) -> *const u8 {
        match &self.inner {
            Inner::Stage { .. } => self.base.as_ptr(),
            Inner::File(victim) => victim.region().read_base(),
        }
    }

    #[inline(always)]
    fn write_base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    #[inline(always)]
    fn domain(&self) -> Domain {
        self.domain
    }

    #[inline(always)]
    fn flush(&self, offset: u64, len: u64) {
        compiler_fence(Ordering::SeqCst);
        match &self.inner {
            Inner::Stage { .. } if !self.domain.needs_flush() => {}
            Inner::Stage { stage, watch: Watch::Seam } => stage.flushed(offset, len),
            Inner::Stage { .. } => self.write_back(offset, len),
            Inner::File(victim) => victim.flush(offset, len),
        }
    }

    #[inline(always)]
    fn fence(&self) {
        compiler_fence(Ordering::SeqCst);
        match &self.inner {
            Inner::Stage { .. } if !self.domain.needs_fence() => {}
            Inner::Stage { stage, watch: Watch::Seam } => stage.with_tape(|tape| tape.push(Event::Fence)),
            Inner::Stage { .. } => rio::store_fence(),
            Inner::File(victim) => victim.fence(),
        }
    }

    fn max_len(&self) -> u64 {
        match &self.inner {
            Inner::Stage { stage, .. } => stage.capacity(),
            Inner::File(victim) => victim.region().max_len(),
        }
    }

    fn grow(&mut self, len: u64) -> Result<(), rio::Error> {
        let name = self.name();
        match &mut self.inner {
            Inner::Stage { stage, .. } => stage.grow(len, name),
            Inner::File(victim) => victim.grow(len),
        }
    }

    fn guard(&mut self, offset: u64, len: u64) -> Result<(), rio::Error> {
        match &mut self.inner {
            Inner::Stage { .. } => Ok(()),
            Inner::File(victim) => victim.guard(offset, len),
        }
    }

    #[inline(always)]
    fn stored(&self, offset: u64, len: u64) {
        match &self.inner {
            Inner::Stage { stage, watch: Watch::Seam } => stage.stored(offset, len),
            Inner::Stage { stage, .. } => stage.overwritten(offset, len),
            Inner::File(victim) => victim.count(),
        }
    }

    #[inline(always)]
    fn lent(&self, offset: u64, len: u64) {
        match &self.inner {
            Inner::Stage { stage, watch: Watch::Seam } => stage.lent(offset, len),
            Inner::Stage { stage, .. } => stage.loaded(offset, len),
            Inner::File(_) => {}
        }
    }

    #[inline(always)]
    fn loaded(&self, offset: u64, len: u64) {
        if let Inner::Stage { stage, .. } = &self.inner {
            stage.loaded(offset, len);
        }
    }

    fn name(&self) -> String {
        match &self.inner {
            Inner::Stage { .. } => "<sim>".to_owned(),
            Inner::File(victim) => victim.region().name(),
        }
    }

    fn close(self) -> Result<(), rio::Error> {
        match self.inner {
            Inner::Stage { .. } => Ok(()),
            Inner::File(victim) => victim.close(),
        }
    }
}

impl Sim {
    #[inline(never)]
    fn write_back(&self, offset: u64, len: u64) {
        assert!(offset.checked_add(len).is_some_and(|end| end <= self.len()), "a range to flush is inside");
        // SAFETY: inside the memory, just checked.
        let start = unsafe { self.base.as_ptr().add(offset as usize) };
        // Asked once: in a virtual machine the question is answered by the host.
        static BEST: OnceLock<WriteBack> = OnceLock::new();
        let best = *BEST.get_or_init(WriteBack::best);
        // SAFETY: (1) the range is mapped, just checked. (2) The instruction is the processor's best.
        unsafe { best.lines(start, len) };
    }
}
