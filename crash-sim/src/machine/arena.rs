//! An arena: memory with a view that traps and an alias that does not.
//!
//! Start at [`Arena::new`].

#![allow(unsafe_code)] // What handlers share is owned by hand.

use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU8, AtomicU64, Ordering};

use super::decode::Instruction;
use super::mapping::{
    ALIAS_AT, Mapped, Memfd, PAGE_LEN, Reservation, SCRATCH_AT, THREAD_COUNT, duplicate, joined, release,
    reservation_len, set_prot, writable_parts,
};
use super::{ARENA_LIMIT, MachineError, Protection, TraceOptions, engine, table, tracer};
use crate::trace::Trace;

/// What the signal handlers know of an arena.
pub(super) struct Shared {
    view: usize,
    alias: usize,
    len: u64,
    /// The parts of `[0, len)` that have an alias, in order; the rest are guards.
    parts: Vec<Range<u64>>,
    reservation: usize,
    protection: AtomicU8,
    is_traced: AtomicBool,
    foreign_stores: AtomicU64,
    /// What could not be recorded, since the trace began.
    refused: AtomicPtr<Instruction>,
    /// The thread that owns each page of slots, by its kernel id; 0 for none.
    slot_owners: [AtomicI32; THREAD_COUNT],
}

/// The view has this protection, but for pages of a trace that records loads of some pages alone.
const MIXED: u8 = 3;

impl Shared {
    /// The offset of an address of the view.
    pub(super) fn offset(&self, address: u64) -> Option<u64> {
        let offset = address.wrapping_sub(self.view as u64);
        (offset < self.len).then_some(offset)
    }

    /// Whether these bytes all lie in the arena.
    pub(super) fn holds(&self, offset: u64, len: u64) -> bool {
        offset.checked_add(len).is_some_and(|end| end <= self.len)
    }

    /// Whether this byte is none of ours though it lies in the view.
    pub(super) fn is_guard(&self, offset: u64) -> bool {
        let after = self.parts.partition_point(|part| part.end <= offset);
        self.parts.get(after).is_none_or(|part| offset < part.start)
    }

    pub(super) fn alias(&self, offset: u64) -> *mut u8 {
        ptr::with_exposed_provenance_mut(self.alias + offset as usize)
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Where a store that is skipped goes instead: aligned as its own place is. At least 2 KiB follow.
    pub(super) fn scratch(&self, offset: u64) -> *mut u8 {
        let at = SCRATCH_AT + 1024 + offset % 64;
        ptr::with_exposed_provenance_mut(self.reservation + at as usize)
    }

    /// The slots of the thread with this kernel id, a page; none if more threads than there is room for trapped here.
    pub(super) fn slots(&self, thread: i32) -> Option<*mut u8> {
        let first = thread as usize % THREAD_COUNT;
        let index = (first..THREAD_COUNT).chain(0..first).find(|index| {
            let owner = &self.slot_owners[*index];
            match owner.load(Ordering::Acquire) {
                0 => match owner.compare_exchange(0, thread, Ordering::AcqRel, Ordering::Acquire) {
                    Ok(_) => true,
                    Err(other) => other == thread,
                },
                other => other == thread,
            }
        })?;
        Some(ptr::with_exposed_provenance_mut(self.reservation + index * PAGE_LEN as usize))
    }

    /// Counts what another thread than the traced one does here.
    pub(super) fn count_foreign_if_traced(&self) {
        if self.is_traced.load(Ordering::Acquire) {
            self.foreign_stores.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Notes what could not be recorded, if it is the first, and opens the view so that the program goes on.
    pub(super) fn refuse(&self, instruction: Instruction) {
        let noted = Box::into_raw(Box::new(instruction));
        let null = ptr::null_mut();
        if self.refused.compare_exchange(null, noted, Ordering::AcqRel, Ordering::Acquire).is_err() {
            // SAFETY: made by `into_raw` just above and given to nobody.
            drop(unsafe { Box::from_raw(noted) });
        }
        self.open_from_handler();
    }

    pub(super) fn has_refused(&self) -> bool {
        !self.refused.load(Ordering::Acquire).is_null()
    }

    fn take_refused(&self) -> Option<Instruction> {
        let noted = self.refused.swap(ptr::null_mut(), Ordering::AcqRel);
        if noted.is_null() {
            return None;
        }
        // SAFETY: made by `into_raw` in `refuse`; the swap gave it to us alone.
        Some(*unsafe { Box::from_raw(noted) })
    }

    /// Opens the view; ends the process if the system refuses, since the program could not go on.
    pub(super) fn open_from_handler(&self) {
        if self.protect(Protection::Open).is_err() {
            engine::die("the view of an arena cannot be opened");
        }
    }

    pub(super) fn protection(&self) -> Protection {
        match self.protection.load(Ordering::Acquire) {
            0 => Protection::Open,
            1 => Protection::Stores,
            _ => Protection::All,
        }
    }

    fn protect(&self, protection: Protection) -> Result<(), MachineError> {
        let (state, prot) = match protection {
            Protection::Open => (0, libc::PROT_READ | libc::PROT_WRITE),
            Protection::Stores => (1, libc::PROT_READ),
            Protection::All => (2, libc::PROT_NONE),
        };
        if self.protection.load(Ordering::Acquire) != state {
            self.parts.iter().try_for_each(|part| set_prot(self.view, part.clone(), prot))?;
            self.protection.store(state, Ordering::Release);
        }
        Ok(())
    }

    /// Makes each load from these pages trap, and each store anywhere.
    fn protect_pages(&self, pages: &[u64]) -> Result<(), MachineError> {
        self.protect(Protection::Stores)?;
        self.protection.store(MIXED, Ordering::Release);
        for page in pages {
            let start = page.saturating_mul(PAGE_LEN);
            if start < self.len && !self.is_guard(start) {
                set_prot(self.view, start..start + PAGE_LEN, libc::PROT_NONE)?;
            }
        }
        Ok(())
    }
}

/// Memory whose stores can be recorded.
///
/// ```
/// use crash_sim::machine::{Arena, TraceOptions};
/// use crash_sim::trace::Trace;
///
/// let (arena, mut trace) = (Arena::new(4096)?, Trace::new());
/// let word = arena.view().cast::<u64>();
/// // SAFETY: the view has 4096 bytes, and nobody else uses them.
/// arena.trace(&TraceOptions::default(), &mut trace, || unsafe { word.write_volatile(7) })?;
/// println!("{trace:?}");
/// # assert_eq!(trace.len(), 1);
/// # Ok::<_, crash_sim::machine::MachineError>(())
/// ```
pub struct Arena {
    shared: *mut Shared,
    /// Whether the view was mapped by us, or lay there before.
    owns_view: bool,
}

// SAFETY: what is shared is behind atomics, or never changes; the bytes are reached by raw pointers alone.
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

impl Arena {
    /// New memory of `capacity` bytes, rounded up to whole pages, zero, with an open view.
    ///
    /// ```
    /// # use crash_sim::machine::{Arena, MachineError, Protection, TraceOptions};
    /// # use crash_sim::trace::{Event, Trace};
    /// let arena = Arena::new(5000)?;
    /// assert_eq!((arena.len(), arena.protection()), (8192, Protection::Open));
    /// # Ok::<_, MachineError>(())
    /// ```
    ///
    /// # Errors
    /// [`MachineError::TooLarge`] beyond [`ARENA_LIMIT`], [`MachineError::TooManyArenas`] beyond 1,024 at once, and
    /// [`MachineError::System`].
    pub fn new(capacity: u64) -> Result<Arena, MachineError> {
        let len = checked_len(capacity)?;
        engine::install()?;
        let reservation = Reservation::new(len)?;
        let file = Memfd::new(len)?;
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let view = Mapped::new(file.map(0, len, prot)?, len);
        let alias = reservation.start + ALIAS_AT as usize;
        file.map(alias, len, prot)?;
        let parts = std::iter::once(0..len).collect();
        let arena = Arena::of(view.start, len, parts, reservation, true)?;
        std::mem::forget(view);
        Ok(arena)
    }

    /// The same over memory of this process that is there already: `len` bytes at `address`, in whole pages. What of it
    /// is mapped shared and writable now is given an alias. What is inaccessible or not mapped is a guard and stays so,
    /// so that more may be set aside than there is. When the arena is dropped the memory is writable again.
    ///
    /// ```
    /// use crash_sim::machine::Arena;
    /// use rio::{Medium, Region};
    ///
    /// let region = Region::options().size(1 << 20).anonymous()?;
    /// // SAFETY: (1) The region outlives the arena and is not grown. (2) Nothing has a reference to its bytes.
    /// let arena = unsafe { Arena::over(region.write_base(), region.len())? };
    /// assert_eq!(arena.view(), region.write_base());
    /// # drop(arena);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MachineError::NotShared`] if some of it is mapped privately or not for writing, or if nothing is mapped;
    /// otherwise as [`Arena::new`]. The memory is then as it was.
    ///
    /// # Safety
    /// 1. The memory belongs to the caller, who neither unmaps nor maps it anew while the arena lives.
    /// 2. Rust references to it are treated as if the arena were not there: it adds a way to reach the bytes, by
    ///    [`alias`](Arena::alias), and stores nothing by itself.
    pub unsafe fn over(address: *mut u8, len: u64) -> Result<Arena, MachineError> {
        let view = address.expose_provenance();
        let not_shared = |reason| MachineError::NotShared { address: view as u64, reason };
        if !(view as u64).is_multiple_of(PAGE_LEN) {
            return Err(not_shared("it does not begin with a page"));
        }
        let len = checked_len(len)?;
        engine::install()?;
        let reservation = Reservation::new(len)?;
        let parts = writable_parts(view as u64, len)?;
        if parts.is_empty() {
            return Err(not_shared("nothing is mapped there"));
        }
        for part in &parts {
            let from = view + part.start as usize;
            let to = reservation.start + (ALIAS_AT + part.start) as usize;
            duplicate(from, to, part.end - part.start)?;
        }
        Arena::of(view, len, joined(parts), reservation, false)
    }

    fn of(
        view: usize,
        len: u64,
        parts: Vec<Range<u64>>,
        reservation: Reservation,
        owns_view: bool,
    ) -> Result<Arena, MachineError> {
        let shared = Box::into_raw(Box::new(Shared {
            view,
            alias: reservation.start + ALIAS_AT as usize,
            len,
            parts,
            reservation: reservation.start,
            protection: AtomicU8::new(0),
            is_traced: AtomicBool::new(false),
            foreign_stores: AtomicU64::new(0),
            refused: AtomicPtr::new(ptr::null_mut()),
            slot_owners: [const { AtomicI32::new(0) }; THREAD_COUNT],
        }));
        std::mem::forget(reservation); // From here on `Arena`'s own drop answers for it.
        let mut arena = Arena { shared, owns_view: false };
        if !table::enter(view, view + len as usize, shared) {
            return Err(MachineError::TooManyArenas { limit: table::LIMIT });
        }
        arena.owns_view = owns_view;
        Ok(arena)
    }

    fn shared(&self) -> &Shared {
        // SAFETY: made by `into_raw`, freed in `drop` alone.
        unsafe { &*self.shared }
    }

    /// Start of the view: what the program under test uses.
    ///
    /// Example: see [`trace`](Arena::trace).
    pub fn view(&self) -> *mut u8 {
        ptr::with_exposed_provenance_mut(self.shared().view)
    }

    /// Start of the alias: the same bytes, which can always be loaded and stored, but for guards.
    ///
    /// ```
    /// # use crash_sim::machine::{Arena, MachineError, Protection, TraceOptions};
    /// # use crash_sim::trace::{Event, Trace};
    /// let arena = Arena::new(4096)?;
    /// // SAFETY: the alias can always be stored to, and nobody else uses the arena.
    /// unsafe { arena.alias().write(7) };
    /// // SAFETY: the view is open, and shows the same bytes.
    /// assert_eq!(unsafe { arena.view().read() }, 7);
    /// # Ok::<_, MachineError>(())
    /// ```
    pub fn alias(&self) -> *mut u8 {
        self.shared().alias(0)
    }

    /// Length in bytes, a multiple of 4096.
    ///
    /// Example: see [`new`](Arena::new).
    pub fn len(&self) -> u64 {
        self.shared().len
    }

    /// Whether there is no byte at all, which is never so.
    ///
    /// ```
    /// # use crash_sim::machine::{Arena, MachineError, Protection, TraceOptions};
    /// # use crash_sim::trace::{Event, Trace};
    /// assert!(!Arena::new(1)?.is_empty());
    /// # Ok::<_, MachineError>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        false
    }

    /// What the program may do with the view now.
    ///
    /// Example: see [`protect`](Arena::protect).
    pub fn protection(&self) -> Protection {
        self.shared().protection()
    }

    /// Sets what the program may do with the view. What it may not do is done for it, unrecorded, while no trace is on:
    /// with [`Protection::Stores`] kept from one trace to the next there is no system call between them.
    ///
    /// An instruction that would be refused in a trace opens the view, and is executed.
    ///
    /// ```
    /// # use crash_sim::machine::{Arena, MachineError, Protection, TraceOptions};
    /// # use crash_sim::trace::{Event, Trace};
    /// let arena = Arena::new(4096)?;
    /// arena.protect(Protection::Stores)?; // The next traces begin without a system call.
    /// assert_eq!(arena.protection(), Protection::Stores);
    /// # Ok::<_, MachineError>(())
    /// ```
    ///
    /// # Errors
    /// [`MachineError::Nested`] while a trace of this arena is on; [`MachineError::System`].
    pub fn protect(&self, protection: Protection) -> Result<(), MachineError> {
        if self.shared().is_traced.load(Ordering::Acquire) {
            return Err(MachineError::Nested);
        }
        self.shared().protect(protection)
    }

    /// How many stores and loads of other threads than the traced one trapped while a trace was on. They were executed
    /// and not recorded.
    ///
    /// ```
    /// # use crash_sim::machine::{Arena, MachineError, Protection, TraceOptions};
    /// # use crash_sim::trace::{Event, Trace};
    /// let arena = Arena::new(4096)?;
    /// arena.trace(&TraceOptions::default(), &mut Trace::new(), || ())?;
    /// assert_eq!(arena.foreign_stores(), 0); // No other thread came in between.
    /// # Ok::<_, MachineError>(())
    /// ```
    pub fn foreign_stores(&self) -> u64 {
        self.shared().foreign_stores.load(Ordering::Relaxed)
    }

    /// Runs `f` in this thread and appends what it does to the arena to `trace`. The protection of the view is
    /// afterwards what it was before. If `f` panics, recording ends and the panic goes on.
    ///
    /// ```
    /// # use crash_sim::machine::{Arena, MachineError, Protection, TraceOptions};
    /// # use crash_sim::trace::{Event, Trace};
    /// let (arena, mut trace) = (Arena::new(4096)?, Trace::new());
    /// let word = arena.view().cast::<u64>();
    /// arena.trace(&TraceOptions::default(), &mut trace, || {
    ///     // SAFETY: the view has 4096 bytes, and nobody else uses them.
    ///     unsafe { word.write_volatile(7) };
    /// })?;
    /// assert!(matches!(trace.events(), [Event::Store { offset: 0, len: 8, .. }]));
    /// # Ok::<_, MachineError>(())
    /// ```
    ///
    /// # Errors
    /// [`MachineError::Nested`] if this thread or this arena is being traced, before `f` runs;
    /// [`MachineError::Refused`] and [`MachineError::TooManyEvents`] after it ran, and what was recorded so far is in
    /// the trace; [`MachineError::System`] before or after.
    pub fn trace<T>(
        &self,
        options: &TraceOptions<'_>,
        trace: &mut Trace,
        f: impl FnOnce() -> T,
    ) -> Result<T, MachineError> {
        if tracer::is_on() {
            return Err(MachineError::Nested);
        }
        let shared = self.shared();
        let claim = Claim::new(shared)?;
        let _ = shared.take_refused();
        let protected = Protected::new(shared, options)?;
        let (result, is_over_limit) = tracer::run(shared, options, trace, f)?;
        let refused = shared.take_refused();
        protected.restore()?;
        drop(claim);
        match refused {
            Some(instruction) => Err(instruction.refusal()),
            None if is_over_limit => Err(MachineError::TooManyEvents { limit: options.event_limit }),
            None => Ok(result),
        }
    }
}

impl std::fmt::Debug for Arena {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut list = f.debug_struct("Arena");
        list.field("view", &self.view()).field("alias", &self.alias());
        list.field("len", &self.len()).field("protection", &self.protection()).finish()
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let shared = self.shared();
        let _ = shared.take_refused();
        if self.owns_view {
            release(shared.view, shared.len);
        } else {
            // Of memory that is not ours, a failure leaves pages protected, and the next store to them dies of it.
            let _ = shared.protect(Protection::Open);
        }
        table::leave(self.shared);
        release(shared.reservation, reservation_len(shared.len));
        // SAFETY: made by `into_raw`, out of the table, and nobody uses an arena that is being dropped.
        drop(unsafe { Box::from_raw(self.shared) });
    }
}

/// One trace at a time.
struct Claim<'a>(&'a Shared);

impl<'a> Claim<'a> {
    fn new(shared: &'a Shared) -> Result<Self, MachineError> {
        match shared.is_traced.swap(true, Ordering::AcqRel) {
            true => Err(MachineError::Nested),
            false => Ok(Claim(shared)),
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.0.is_traced.store(false, Ordering::Release);
    }
}

/// The protection that a trace wants, until it is restored or dropped.
struct Protected<'a> {
    shared: &'a Shared,
    before: Protection,
}

impl<'a> Protected<'a> {
    fn new(shared: &'a Shared, options: &TraceOptions<'_>) -> Result<Self, MachineError> {
        let protected = Protected { shared, before: shared.protection() };
        match options.load_pages {
            _ if options.loads => shared.protect(Protection::All)?,
            Some(pages) if !pages.is_empty() => shared.protect_pages(pages)?,
            _ => shared.protect(Protection::Stores)?,
        }
        Ok(protected)
    }

    fn restore(self) -> Result<(), MachineError> {
        self.shared.protect(self.before)
    }
}

impl Drop for Protected<'_> {
    fn drop(&mut self) {
        let _ = self.shared.protect(self.before); // A panic goes on; nobody would hear of it.
    }
}

fn checked_len(len: u64) -> Result<u64, MachineError> {
    if len == 0 || len > ARENA_LIMIT {
        return Err(MachineError::TooLarge { len, limit: ARENA_LIMIT });
    }
    Ok(len.next_multiple_of(PAGE_LEN))
}
