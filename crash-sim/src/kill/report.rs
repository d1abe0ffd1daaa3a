//! What the kills have shown. Start at [`KillReport`].

use std::fmt;
use std::time::Duration;

use rio::Domain;

use crate::Oracle;
use crate::campaign::Expect;

/// When a process was killed.
///
/// ```
/// let moment = crash_sim::KillMoment::Recovery { call: 2, of: 5 };
/// assert_eq!(moment.to_string(), "at call 2 of 5 of the recovery");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KillMoment {
    /// So long after its file was open, by its parent.
    Random {
        /// How long, in microseconds.
        micros: u64,
    },
    /// At a call of the creation, by itself.
    Creation {
        /// Which store, flush, fence or growth, counted from 1.
        call: u64,
        /// How many there are.
        of: u64,
    },
    /// At a call of an operation, by itself.
    Operation {
        /// The operation, counted from 0.
        number: usize,
        /// Which store, flush, fence or growth, counted from 1; the one after the last is the moment before the
        /// acknowledgement.
        call: u64,
        /// How many there are.
        of: u64,
    },
    /// At a call of the recovery, by itself.
    Recovery {
        /// Which store, flush, fence or growth, counted from 1.
        call: u64,
        /// How many there are in that recovery.
        of: u64,
    },
}

impl KillMoment {
    /// Whether it is told by a count and not by a clock, so that the same seed comes to it again.
    ///
    /// ```
    /// use crash_sim::KillMoment;
    ///
    /// assert!(KillMoment::Recovery { call: 2, of: 5 }.is_counted());
    /// assert!(!KillMoment::Random { micros: 300 }.is_counted());
    /// ```
    pub fn is_counted(&self) -> bool {
        !matches!(self, KillMoment::Random { .. })
    }
}

impl fmt::Display for KillMoment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KillMoment::Random { micros } => write!(f, "{micros} us after it was open"),
            KillMoment::Creation { call, of } => write!(f, "at call {call} of {of} of the creation"),
            KillMoment::Operation { number, call, of } if call > of => {
                write!(f, "behind operation {number}, before its acknowledgement")
            }
            KillMoment::Operation { number, call, of } => {
                write!(f, "at call {call} of {of} of operation {number}")
            }
            KillMoment::Recovery { call, of } => write!(f, "at call {call} of {of} of the recovery"),
        }
    }
}

/// What [`Campaign::kill`](crate::Campaign::kill) has seen. Printing it gives a few lines for people.
///
/// Example: see [`Campaign::kill`](crate::Campaign::kill).
#[derive(Clone, Debug)]
pub struct KillReport {
    /// Name of the campaign.
    pub name: String,
    /// The domain that the file was opened for.
    pub domain: Domain,
    /// What chance began with.
    pub seed: u64,
    /// Rounds that were run.
    pub rounds: usize,
    /// Files that were made.
    pub files: usize,
    /// Every kill, in order.
    pub kills: Vec<KillMoment>,
    /// Operations that were acknowledged, over all files.
    pub acknowledged: usize,
    /// How often only what was acknowledged was found behind a kill: an operation in flight was undone, or had not begun.
    pub found_before: usize,
    /// How often the operation in flight was found behind a kill, whole.
    pub found_after: usize,
    /// How often a file whose creation was killed was refused, as it may be.
    pub refused: usize,
    /// What does not hold; more than one only if the campaign keeps going.
    pub failures: Vec<KillFailure>,
    /// Why it could not run here, or not to its end.
    pub skipped: Option<String>,
    /// Time it took.
    pub duration: Duration,
}

/// A kill behind which something does not hold.
///
/// ```no_run
/// # use crash_sim::{Campaign, Sim};
/// # fn campaign() -> Campaign<Sim> {
/// #     Campaign::new("word", 4096)
/// #         .create(|sim: Sim| Ok::<_, String>(sim))
/// #         .open(|sim: Sim| Ok::<_, String>(sim))
/// #         .operations(2, |sim, n| {
/// #             sim.store(0, n as u64 + 1);
/// #             sim.persist(0, 8);
/// #             Ok::<_, String>(())
/// #         })
/// #         .model(0, |model, n| *model = n as u64 + 1, |sim| sim.load(0))
/// # }
/// let report = campaign().kill(&crash_sim::KillOptions::new());
/// for failure in &report.failures {
///     println!("{failure}"); // It ends in the line that replays it.
/// }
/// ```
#[derive(Clone, Debug)]
pub struct KillFailure {
    /// What does not hold.
    pub oracle: Oracle,
    /// What the check or the recovery said.
    pub message: String,
    /// What would have been right.
    pub expect: Expect,
    /// The round; None if the workload fails without a kill.
    pub round: Option<usize>,
    /// All kills that this file had seen, in order.
    pub kills: Vec<KillMoment>,
    /// The line that runs the rounds of this file again, up to this one.
    pub replay: String,
}

impl KillReport {
    pub(super) fn new(name: &str, domain: Domain, seed: u64) -> Self {
        KillReport {
            name: name.to_owned(),
            domain,
            seed,
            rounds: 0,
            files: 0,
            kills: Vec::new(),
            acknowledged: 0,
            found_before: 0,
            found_after: 0,
            refused: 0,
            failures: Vec::new(),
            skipped: None,
            duration: Duration::ZERO,
        }
    }

    /// Whether it ran and found nothing.
    ///
    /// Example: see [`Campaign::kill`](crate::Campaign::kill).
    pub fn is_ok(&self) -> bool {
        self.failures.is_empty() && self.skipped.is_none()
    }

    /// Kills by the clock.
    ///
    /// ```no_run
    /// # use crash_sim::{Campaign, Sim};
    /// # fn campaign() -> Campaign<Sim> {
    /// #     Campaign::new("word", 4096)
    /// #         .create(|sim: Sim| Ok::<_, String>(sim))
    /// #         .open(|sim: Sim| Ok::<_, String>(sim))
    /// #         .operations(2, |sim, n| {
    /// #             sim.store(0, n as u64 + 1);
    /// #             sim.persist(0, 8);
    /// #             Ok::<_, String>(())
    /// #         })
    /// #         .model(0, |model, n| *model = n as u64 + 1, |sim| sim.load(0))
    /// # }
    /// let report = campaign().kill(&crash_sim::KillOptions::new());
    /// let by_kind = report.random_kills() + report.counted_kills() + report.recovery_kills();
    /// assert_eq!(by_kind, report.kills.len());
    /// ```
    pub fn random_kills(&self) -> usize {
        self.kills.iter().filter(|kill| !kill.is_counted()).count()
    }

    /// Kills at a call of an operation, or of the creation.
    ///
    /// Example: see [`random_kills`](KillReport::random_kills).
    pub fn counted_kills(&self) -> usize {
        self.kills.len() - self.random_kills() - self.recovery_kills()
    }

    /// Kills in a recovery.
    ///
    /// Example: see [`random_kills`](KillReport::random_kills).
    pub fn recovery_kills(&self) -> usize {
        self.kills.iter().filter(|kill| matches!(kill, KillMoment::Recovery { .. })).count()
    }

    /// Ends the test if anything failed. What could not run here is printed, and passes.
    ///
    /// ```no_run
    /// # use crash_sim::{Campaign, Sim};
    /// # fn campaign() -> Campaign<Sim> {
    /// #     Campaign::new("word", 4096)
    /// #         .create(|sim: Sim| Ok::<_, String>(sim))
    /// #         .open(|sim: Sim| Ok::<_, String>(sim))
    /// #         .operations(2, |sim, n| {
    /// #             sim.store(0, n as u64 + 1);
    /// #             sim.persist(0, 8);
    /// #             Ok::<_, String>(())
    /// #         })
    /// #         .model(0, |model, n| *model = n as u64 + 1, |sim| sim.load(0))
    /// # }
    /// campaign().kill(&crash_sim::KillOptions::new()).assert();
    /// ```
    ///
    /// # Panics
    /// With the report, if there is a failure.
    pub fn assert(&self) {
        assert!(self.failures.is_empty(), "{self}");
        if self.skipped.is_some() {
            eprintln!("{self}");
        }
    }
}

impl fmt::Display for KillReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KillReport { name, domain, .. } = self;
        writeln!(f, "crash-sim: {name}: a process with {domain} code on a real file, killed")?;
        if let Some(why) = &self.skipped {
            writeln!(f, "  skipped     {why}")?;
        }
        self.failures.iter().take(1).try_for_each(|failure| writeln!(f, "{failure}"))?;
        if self.failures.len() > 1 {
            writeln!(f, "  failures    {}", self.failures.len())?;
        }
        writeln!(
            f,
            "  killed      {} times: {} by the clock, {} at counted moments, {} in recovery",
            self.kills.len(),
            self.random_kills(),
            self.counted_kills(),
            self.recovery_kills()
        )?;
        writeln!(
            f,
            "  operations  {} acknowledged; behind a kill, the one in flight was there {} times, and not {} times",
            self.acknowledged, self.found_after, self.found_before
        )?;
        writeln!(
            f,
            "  rounds      {} on {} files in {:.3} s, seed {}",
            self.rounds,
            self.files,
            self.duration.as_secs_f64(),
            self.seed
        )?;
        write!(
            f,
            "  not seen    the kernel and the caches live on, so that no missing flush, fence or sync can show"
        )
    }
}

impl fmt::Display for KillFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  broken      {}", self.oracle)?;
        writeln!(f, "  found       {}", self.message)?;
        writeln!(f, "  expected    {}", self.expect)?;
        self.kills.iter().try_for_each(|kill| writeln!(f, "  killed      {kill}"))?;
        write!(f, "  replay      {}", self.replay)
    }
}
