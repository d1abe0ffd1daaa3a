//! The trace that is on in this thread.
//!
//! A store is recorded with the bytes that are there after it executed, and it executes when the handler has returned:
//! it is *pending* until the next event, or the end. Start at [`run`].

#![allow(unsafe_code)] // The handlers reach the trace by the address that the thread left for them.

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{Ordering, compiler_fence};

use super::arena::Shared;
use super::mapping::PAGE_LEN;
use super::stack::AlternateStack;
use super::{MachineError, TraceOptions, fences};
use crate::trace::{Event, Site, Trace};

/// What the handlers know of a thread. Its parts have no destructor and need no initialisation, so that a handler may
/// use them at any moment.
pub(super) struct Local {
    tracer: Cell<*mut Tracer>,
    is_handling: Cell<bool>,
    thread: Cell<i32>,
}

thread_local! {
    static LOCAL: Local =
        const { Local { tracer: Cell::new(ptr::null_mut()), is_handling: Cell::new(false), thread: Cell::new(0) } };
}

impl Local {
    /// Calls a handler's work with what is known of this thread; not at all, but returning `nested`, if the thread is
    /// within such work already.
    pub(super) fn handle<T>(nested: T, work: impl FnOnce(&Local) -> T) -> T {
        LOCAL.with(|local| {
            if local.is_handling.replace(true) {
                return nested;
            }
            compiler_fence(Ordering::SeqCst);
            let result = work(local);
            compiler_fence(Ordering::SeqCst);
            local.is_handling.set(false);
            result
        })
    }

    /// The trace that is on, for the handler alone.
    #[allow(clippy::mut_from_ref)] // The reference is not into `self`, and there is one at a time.
    pub(super) fn tracer(&self) -> Option<&mut Tracer> {
        // SAFETY: it is null, or that of `run`, which waits below us on this thread's stack and uses it only through the
        // same pointer when it is no longer here. `is_handling` keeps a second handler from it.
        unsafe { self.tracer.get().as_mut() }
    }

    /// The kernel's number of this thread.
    pub(super) fn thread(&self) -> i32 {
        if self.thread.get() == 0 {
            // SAFETY: it takes nothing and cannot fail.
            self.thread.set(unsafe { libc::gettid() });
        }
        self.thread.get()
    }
}

/// Whether a trace is on in this thread.
pub(super) fn is_on() -> bool {
    LOCAL.with(|local| !local.tracer.get().is_null())
}

/// Appends an event to the trace that is on in this thread, such as [`Event::Begin`] and [`Event::Ack`]; whether one is
/// on. It stands behind all stores that the program makes before the call, and it is not one that
/// [`TraceOptions::skip`] counts.
///
/// ```
/// use crash_sim::machine::{Arena, TraceOptions, mark};
/// use crash_sim::trace::{Event, Trace};
///
/// let (arena, mut trace) = (Arena::new(4096)?, Trace::new());
/// arena.trace(&TraceOptions::default(), &mut trace, || assert!(mark(Event::Ack { op: 1 })))?;
/// assert_eq!(trace.events(), [Event::Ack { op: 1 }]);
/// assert!(!mark(Event::Ack { op: 2 }), "no trace is on");
/// # Ok::<_, crash_sim::machine::MachineError>(())
/// ```
#[inline(never)]
pub fn mark(event: Event) -> bool {
    compiler_fence(Ordering::SeqCst);
    let is_marked = Local::handle(false, |local| {
        let Some(tracer) = local.tracer() else { return false };
        tracer.settle();
        tracer.push(event, 0);
        true
    });
    compiler_fence(Ordering::SeqCst);
    is_marked
}

/// A store that executes now.
struct Pending {
    offset: u64,
    len: u32,
    is_streaming: bool,
    site: Site,
}

/// A trace that is on.
pub(super) struct Tracer {
    arena: *const Shared,
    trace: *mut Trace,
    records_loads: bool,
    skip: Option<usize>,
    skip_site: Option<Site>,
    limit: usize,
    /// Stores, flushes and fences so far, with those that were skipped.
    counted: usize,
    /// Events so far.
    recorded: usize,
    is_over_limit: bool,
    pending: Option<Pending>,
    /// The fence that the pending instruction implies.
    pending_fence: Option<Site>,
    /// Where this thread executes what was aimed at the alias.
    slots: Option<*mut u8>,
}

/// Runs `f` with recording on; its result, and whether there were too many events.
pub(super) fn run<T>(
    shared: &Shared,
    options: &TraceOptions<'_>,
    trace: &mut Trace,
    f: impl FnOnce() -> T,
) -> Result<(T, bool), MachineError> {
    let _stack = AlternateStack::enter()?;
    let _breakpoints = fences::Breakpoints::on()?;
    let mut tracer = Tracer {
        arena: shared,
        trace,
        records_loads: options.loads || options.load_pages.is_some_and(|pages| !pages.is_empty()),
        skip: options.skip,
        skip_site: options.skip_site,
        limit: options.event_limit,
        counted: 0,
        recorded: 0,
        is_over_limit: false,
        pending: None,
        pending_fence: None,
        slots: LOCAL.with(|local| shared.slots(local.thread())),
    };
    let on = On::new(&raw mut tracer);
    let result = f();
    drop(on);
    Ok((result, tracer.is_over_limit))
}

/// Recording is on until this is dropped.
struct On(*mut Tracer);

impl On {
    fn new(tracer: *mut Tracer) -> Self {
        LOCAL.with(|local| local.tracer.set(tracer));
        compiler_fence(Ordering::SeqCst); // The stores of the traced code stay behind, those before it before.
        On(tracer)
    }
}

impl Drop for On {
    fn drop(&mut self) {
        compiler_fence(Ordering::SeqCst);
        LOCAL.with(|local| local.tracer.set(ptr::null_mut()));
        // SAFETY: `run` still waits, and no handler knows the tracer any more.
        unsafe { (*self.0).settle() };
    }
}

impl Tracer {
    pub(super) fn is_of(&self, arena: &Shared) -> bool {
        ptr::eq(self.arena, arena)
    }

    pub(super) fn arena(&self) -> &'static Shared {
        // SAFETY: `run` borrows the arena for as long as a tracer is known to a handler.
        unsafe { &*self.arena }
    }

    pub(super) fn slots(&self) -> Option<*mut u8> {
        self.slots
    }

    fn is_recording(&self) -> bool {
        !self.is_over_limit && !self.arena().has_refused()
    }

    /// Whether there is room for one more event; if not, recording ends and the view is opened.
    fn has_room(&mut self) -> bool {
        if !self.is_recording() {
            return false;
        }
        if self.recorded >= self.limit {
            self.is_over_limit = true;
            self.arena().open_from_handler();
            return false;
        }
        self.recorded += 1;
        true
    }

    fn trace(&mut self) -> &mut Trace {
        // SAFETY: `run` holds the exclusive borrow of it, and lends it to nobody else.
        unsafe { &mut *self.trace }
    }

    fn push(&mut self, event: Event, site: Site) {
        if self.has_room() {
            self.trace().push(event, site);
        }
    }

    /// Counts an event that may be skipped; whether it is.
    fn skips(&mut self, site: Site) -> bool {
        let index = self.counted;
        self.counted += 1;
        self.skip == Some(index) || self.skip_site == Some(site)
    }

    /// Records what is pending, which has been executed by now, and which there was room for.
    pub(super) fn settle(&mut self) {
        if let Some(pending) = self.pending.take() {
            let Pending { offset, len, is_streaming, site } = pending;
            let start = self.arena().alias(offset).cast_const();
            // SAFETY: the range was checked against the arena when the store trapped, and it has just been stored to.
            let bytes = unsafe { std::slice::from_raw_parts(start, len as usize) };
            self.trace().push_store(offset, bytes, is_streaming, site);
        }
        if let Some(site) = self.pending_fence.take() {
            self.trace().push(Event::Fence, site);
        }
    }

    /// A load is about to be executed.
    pub(super) fn load(&mut self, arena: &Shared, offset: u64, len: u32, site: Site) {
        if !self.is_of(arena) {
            arena.count_foreign_if_traced();
        } else if self.records_loads {
            self.settle();
            self.push(Event::Load { offset, len }, site);
        }
    }

    /// A store is about to be executed, and with it perhaps a fence; whether it shall be. If not, only the store is left
    /// out.
    pub(super) fn store(
        &mut self,
        offset: u64,
        len: u32,
        site: Site,
        is_streaming: bool,
        is_locked: bool,
    ) -> bool {
        self.settle();
        let is_executed = !self.skips(site);
        if is_executed && self.has_room() {
            self.pending = Some(Pending { offset, len, is_streaming, site });
        }
        if is_locked && !self.skips(site) && self.has_room() {
            self.pending_fence = Some(site);
        }
        is_executed
    }

    /// A store of these bytes is about to be made by the handler; whether it shall be.
    pub(super) fn store_now(&mut self, arena: &Shared, offset: u64, bytes: &[u8], site: Site) -> bool {
        if !self.is_of(arena) {
            arena.count_foreign_if_traced();
            return true;
        }
        self.settle();
        if self.skips(site) {
            return false;
        }
        if self.has_room() {
            self.trace().push_store(offset, bytes, false, site);
        }
        true
    }

    /// A write-back of the line at this address of the program.
    pub(super) fn flush(&mut self, address: u64, site: Site) {
        let Some(offset) = self.arena().offset(address) else { return };
        self.settle();
        if !self.skips(site) {
            self.push(Event::Flush { offset: offset / 64 * 64 }, site);
        }
    }

    /// A fence.
    pub(super) fn fence(&mut self, site: Site) {
        self.settle();
        if !self.skips(site) {
            self.push(Event::Fence, site);
        }
    }
}

const _: () = assert!(PAGE_LEN.is_multiple_of(64));
