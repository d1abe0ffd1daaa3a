//! The machine recorder: every store, write-back and fence that the optimised code of this process really executed.
//!
//! The memory is mapped twice. The program under test uses the *view*, which is read-only while it is traced; the
//! *alias* is always writable. A store to the view faults once: the handler decodes the instruction, writes it anew
//! into a slot with its operand aimed at the alias, and has the program go on there. The processor itself does the
//! rest, with all its flags, locks and masks. Write-backs and fences touch no protected page: they are found in the
//! executable by decoding it, and their first byte is made a breakpoint while traces are on. There is no second
//! process, and no privilege is needed. Start at [`Arena::trace`].
//!
//! # What is seen, and what is not
//!
//! - A store is recorded with the bytes that are there after it executed. A masked store is recorded over its whole
//!   range, and a failed compare-exchange as a store of what was there: both store nothing new in the rest.
//! - `rep movs` and `rep stos` are one store per element: the processor may be interrupted between any two.
//! - A locked instruction (and `xchg` with memory) that hits the arena is followed by a fence, since it orders
//!   write-backs. One that hits other memory is not seen: fewer fences than there were leave more images possible.
//! - Write-backs and fences are found in the executable itself, not in shared libraries. A write-back of other memory
//!   than the arena is not recorded; a fence always is.
//! - A system call that stores to the view (such as `read` into it) fails with EFAULT; aim it at the alias. So does one
//!   that reads from it (such as `write`) while loads are recorded.
//! - Of the threads, only the one that called [`Arena::trace`] is recorded. Stores of others are executed and counted.
//! - Refused are scatters and gathers, `xsave`, `maskmovq`, `maskmovdqu`, `movdir64b`, `enqcmd`, calls through memory of
//!   the arena, operands relative to `fs` or `gs`, and a stack inside the arena.
//! - The handler allocates, which is sound because no allocator keeps its own memory in an arena. A global allocator
//!   that itself executes `mfence` or `sfence` within this executable is the exception: it must not be used here.
//! - A signal handler of the program must not touch an arena: it might come between a store and its execution.
//! - A thread that blocks SIGSEGV or SIGTRAP must not touch an arena, or execute a fence while a trace is on.

use std::io;

use crate::trace::{Event, Site};

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod arena; // the memory, mapped twice
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod mapping; // slots, scratch page and alias, within reach of each other
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod table; // which arena an address belongs to
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod decode; // what an instruction does to memory, and the same one aimed elsewhere
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod strings; // rep movs and its kin, element by element
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod tracer; // the trace that is on in this thread
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod engine; // the signal handlers
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod fences; // write-backs and fences made breakpoints
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod executable; // the code of this program
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod stack; // where the handlers run

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub use arena::Arena;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub use executable::{in_file, in_memory};
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub use tracer::mark;

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
mod stub; // the same names elsewhere
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
pub use stub::{Arena, in_file, in_memory, mark};

/// What the program may do with the view.
///
/// Example: see [`Arena::protect`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Load and store.
    Open,
    /// Load; each store traps.
    Stores,
    /// Nothing without a trap.
    All,
}

/// What to record, and what to leave out.
///
/// Example: see [`Arena::trace`].
#[derive(Clone, Copy, Debug)]
pub struct TraceOptions<'a> {
    /// Record loads too. Every load then traps.
    pub loads: bool,
    /// Record the loads from these pages of 4096 bytes alone, by their number (offset / 4096).
    pub load_pages: Option<&'a [u64]>,
    /// Neither execute nor record the n-th of the stores, flushes and fences, counted from 0. Of a store only the bytes
    /// stay as they were: registers and flags are what they would have been, and a fence that the instruction implies is
    /// an event of its own.
    pub skip: Option<usize>,
    /// The same for all stores, flushes and fences by the instruction at this address.
    pub skip_site: Option<Site>,
    /// The number of events beyond which the trace is given up: the program runs on unrecorded.
    pub event_limit: usize,
}

impl Default for TraceOptions<'_> {
    /// Stores, flushes and fences, all executed, up to a million.
    fn default() -> Self {
        TraceOptions { loads: false, load_pages: None, skip: None, skip_site: None, event_limit: 1_000_000 }
    }
}

/// What stood in the way of a trace.
///
/// ```
/// use crash_sim::machine::{ARENA_LIMIT, Arena, MachineError};
///
/// match Arena::new(ARENA_LIMIT + 1) {
///     Err(MachineError::TooLarge { limit, .. }) => assert_eq!(limit, ARENA_LIMIT),
///     Err(error) => println!("no machine recorder here: {error}"),
///     Ok(_) => unreachable!(),
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MachineError {
    /// Not this operating system or processor.
    #[error("the machine recorder exists for Linux on x86-64 only")]
    Unsupported,
    /// An instruction cannot be aimed at the alias. It was executed, with everything after it, unrecorded.
    #[error("the machine recorder cannot record `{instruction}` at {site:#x}")]
    Refused {
        /// The instruction.
        instruction: String,
        /// Its address.
        site: Site,
    },
    /// More happened than was allowed for.
    #[error("more than {limit} events")]
    TooManyEvents {
        /// The limit that was set.
        limit: usize,
    },
    /// The thread or the arena is being traced already.
    #[error("a trace is on already, in this thread or of this arena")]
    Nested,
    /// An arena of this many bytes is out of reach of an instruction.
    #[error("{len} bytes are more than the {limit} of an arena")]
    TooLarge {
        /// What was asked for.
        len: u64,
        /// The most there can be.
        limit: u64,
    },
    /// There are too many arenas at once.
    #[error("more than {limit} arenas at once")]
    TooManyArenas {
        /// The most there can be.
        limit: usize,
    },
    /// The range is not one that can be mapped a second time.
    #[error("{address:#x}: {reason}")]
    NotShared {
        /// Where.
        address: u64,
        /// Why not.
        reason: &'static str,
    },
    /// The system refused.
    #[error("{call}: {source} ({hint})")]
    System {
        /// What was called.
        call: &'static str,
        /// What the system said.
        source: io::Error,
        /// What may be the reason, and how to allow it.
        hint: &'static str,
    },
}

/// The most bytes of an arena: what `[rip+disp32]` reaches, with room to spare.
pub const ARENA_LIMIT: u64 = 1 << 30;

/// Whether an event is one of those that [`TraceOptions::skip`] counts.
///
/// ```
/// use crash_sim::machine::is_counted;
/// use crash_sim::trace::Event;
///
/// assert!(is_counted(&Event::Fence) && !is_counted(&Event::Load { offset: 0, len: 8 }));
/// ```
pub fn is_counted(event: &Event) -> bool {
    matches!(event, Event::Store { .. } | Event::Flush { .. } | Event::Fence)
}
