//! A recorder that executes a process one instruction at a time: the independent check of the quick ones.
//!
//! The code runs in a child, which is this program once more (`reexec`). Its parent, by ptrace, decodes each
//! instruction before it executes, works out where it stores, and reads the bytes that are there behind it. That takes
//! some 10 to 20 microseconds for an instruction, and nothing of the program is changed. Start at [`record`].
//!
//! ```no_run
//! use crash_sim::{stepper, trace::Event};
//!
//! static WORD: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
//! let recording = stepper::record("one store", WORD.as_ptr().cast(), 8, || {
//!     WORD.store(7, std::sync::atomic::Ordering::Relaxed);
//! })?;
//! assert!(matches!(recording.trace.events(), [Event::Store { offset: 0, len: 8, .. }]));
//! # Ok::<_, stepper::StepError>(())
//! ```
//!
//! # What is seen, and what is not
//!
//! - A store is recorded with the bytes that are there after it executed. A masked store is recorded over its whole
//!   range, and a failed compare-exchange as a store of what was there.
//! - `rep movs` and `rep stos` are one store per element.
//! - A locked instruction (and `xchg` with memory) that stores to the memory is followed by a fence.
//! - Where an instruction stores and how much cannot always be decoded (scatters, `xsave`), and what a system call stores
//!   cannot at all: there all words that have changed are recorded, in the order of their addresses.
//! - Only the thread that records is executed step by step. What others store is not seen.
//! - What hardware or another process writes is not seen.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod decode; // what an instruction does to memory
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod tracee; // a stopped thread of another process
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod watched; // the memory that is looked at
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod walk; // from marker to marker

use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::trace::Trace;

/// What was recorded.
///
/// ```no_run
/// # use crash_sim::stepper::{self, StepError, Stepper};
/// # use std::sync::atomic::{AtomicU64, Ordering};
/// # static WORD: AtomicU64 = AtomicU64::new(0);
/// let recording = stepper::record("one store", WORD.as_ptr().cast(), 8, || WORD.store(7, Ordering::Relaxed))?;
/// assert_eq!((recording.before[0], recording.after[0]), (0, 7));
/// println!("{} instructions in {:?}", recording.steps, recording.duration);
/// # Ok::<_, StepError>(())
/// ```
#[derive(Clone)]
pub struct Recording {
    /// What happened to the memory; `site` is the address of the instruction, in the child.
    pub trace: Trace,
    /// The memory, or the file, before.
    pub before: Vec<u8>,
    /// The same, after.
    pub after: Vec<u8>,
    /// Instructions that were executed, each element of a repeated one counted.
    pub steps: u64,
    /// Time from marker to marker.
    pub duration: Duration,
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Recording { trace, steps, duration, .. } = self;
        write!(f, "{steps} steps in {duration:?}: {trace:?}")
    }
}

/// Why nothing was recorded.
///
/// ```no_run
/// # use crash_sim::stepper::{self, StepError, Stepper};
/// # use std::sync::atomic::{AtomicU64, Ordering};
/// # static WORD: AtomicU64 = AtomicU64::new(0);
/// match stepper::record("one store", WORD.as_ptr().cast(), 8, || WORD.store(7, Ordering::Relaxed)) {
///     Ok(recording) => println!("{recording:?}"),
///     Err(error) if error.is_skip() => println!("not here: {error}"),
///     Err(error) => return Err(error),
/// }
/// # Ok::<_, StepError>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// Not this operating system or processor.
    #[error("single-stepping exists for Linux on x86-64 only")]
    Unsupported,
    /// The system does not allow it.
    #[error(
        "ptrace is refused ({source}): set kernel.yama.ptrace_scope to 0 or 1; in a container add the capability, as \
         by `docker run --cap-add SYS_PTRACE`, or allow it in the seccomp profile"
    )]
    Refused {
        /// What the system said.
        source: io::Error,
    },
    /// The child panicked, or ended.
    #[error("{0}")]
    Child(String),
    /// It took too long.
    #[error("not done in {0:?}")]
    Late(Duration),
    /// The system failed.
    #[error("{call}: {source}")]
    System {
        /// What was called.
        call: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// This process is the child of something else: what is recorded is not the business of this run.
    #[error("this process is the child of something else")]
    NotHere,
}

impl StepError {
    /// Whether it could not run here, rather than went wrong.
    ///
    /// ```
    /// use crash_sim::stepper::StepError;
    /// use std::time::Duration;
    ///
    /// assert!(StepError::Unsupported.is_skip() && !StepError::Late(Duration::from_secs(60)).is_skip());
    /// ```
    pub fn is_skip(&self) -> bool {
        matches!(self, StepError::Unsupported | StepError::Refused { .. } | StepError::NotHere)
    }
}

/// Records the stores, write-backs and fences of `run` that concern `len` bytes from `address` on: a [`Stepper`] with the
/// defaults.
///
/// Example: see the [module](self).
///
/// # Errors
/// See [`StepError`].
pub fn record(name: &str, address: *const u8, len: u64, run: impl FnOnce()) -> Result<Recording, StepError> {
    Stepper::new(name).memory(address, len, run)
}

/// How code is executed step by step.
///
/// The child is this test once more, up to the call of [`memory`](Stepper::memory) or [`file`](Stepper::file) with the
/// same name, which runs the code and does not return there; in the parent the code does not run. So the test has to do
/// the same every time, and what it does before should be quick.
///
/// ```no_run
/// # use crash_sim::stepper::{self, StepError, Stepper};
/// # use std::sync::atomic::{AtomicU64, Ordering};
/// # static WORD: AtomicU64 = AtomicU64::new(0);
/// let stepper = Stepper::new("with loads").loads();
/// let recording = stepper.memory(WORD.as_ptr().cast(), 8, || {
///     WORD.load(Ordering::Relaxed);
/// })?;
/// assert_eq!(recording.trace.len(), 1);
/// # Ok::<_, StepError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Stepper {
    name: String,
    loads: bool,
    time_limit: Duration,
    command: Option<Vec<String>>,
}

impl Stepper {
    /// Without loads, within a minute. The name is the only one of its kind in its test.
    ///
    /// Example: see [`Stepper`].
    pub fn new(name: impl Into<String>) -> Self {
        Stepper { name: name.into(), loads: false, time_limit: Duration::from_secs(60), command: None }
    }

    /// Records loads as well.
    ///
    /// Example: see [`Stepper`].
    pub fn loads(mut self) -> Self {
        self.loads = true;
        self
    }

    /// How long it may take, the start of the child with it.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let stepper = crash_sim::stepper::Stepper::new("long").time_limit(Duration::from_secs(600));
    /// ```
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// The program and its arguments that come to this call again: needed outside of tests, where it cannot be known.
    ///
    /// ```
    /// let program = std::env::current_exe()?.display().to_string();
    /// let stepper = crash_sim::stepper::Stepper::new("one store").command(vec![program, "step".to_owned()]);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    ///
    /// # Panics
    /// If there is no program.
    pub fn command(mut self, command: Vec<String>) -> Self {
        assert!(!command.is_empty(), "a command begins with a program");
        self.command = Some(command);
        self
    }

    /// Records what concerns `len` bytes from `address` on, which should be the start of a cache line. Offsets count from
    /// there. The memory is looked at from outside, by its address: that it is readable is all that is asked.
    ///
    /// Example: see [`Stepper`].
    ///
    /// # Errors
    /// See [`StepError`].
    ///
    /// # Panics
    /// If this is not a thread of a test and no [`command`](Stepper::command) was given.
    pub fn memory(&self, address: *const u8, len: u64, run: impl FnOnce()) -> Result<Recording, StepError> {
        self.record(Subject::Memory { start: address.addr() as u64, len }, run)
    }

    /// Records what concerns this file, wherever the code maps it shared, and its length; the file need not exist before.
    /// Offsets are those in the file. A file that is made without a name and linked later is known by its directory: of
    /// those there should be only this one. `msync`, `fsync` and `fdatasync` of it are recorded too; what is written to it
    /// otherwise than by mapping is not.
    ///
    /// ```no_run
    /// # use crash_sim::stepper::{self, StepError, Stepper};
    /// # use std::sync::atomic::{AtomicU64, Ordering};
    /// # static WORD: AtomicU64 = AtomicU64::new(0);
    /// # let path = std::env::temp_dir().join("stepped");
    /// let recording = Stepper::new("a region").file(&path, || {
    ///     let region = rio::Region::create(&path, 1 << 20).unwrap();
    ///     region.close().unwrap();
    /// })?;
    /// println!("creating it stored {} times", recording.trace.len());
    /// # Ok::<_, StepError>(())
    /// ```
    ///
    /// # Errors
    /// See [`StepError`].
    ///
    /// # Panics
    /// As [`memory`](Stepper::memory).
    pub fn file(&self, path: impl AsRef<Path>, run: impl FnOnce()) -> Result<Recording, StepError> {
        self.record(Subject::File(path.as_ref()), run)
    }

    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    fn record(&self, subject: Subject<'_>, run: impl FnOnce()) -> Result<Recording, StepError> {
        walk::record(self, subject, run)
    }

    #[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
    fn record(&self, _subject: Subject<'_>, _run: impl FnOnce()) -> Result<Recording, StepError> {
        Err(StepError::Unsupported)
    }
}

/// What is looked at.
#[cfg_attr(not(all(target_os = "linux", target_arch = "x86_64")), allow(dead_code))]
enum Subject<'p> {
    Memory { start: u64, len: u64 },
    File(&'p Path),
}
