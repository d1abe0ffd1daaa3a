//! What a disk campaign has found: figures, and at most one failure, made small.

use std::fmt;
use std::time::Duration;

use super::case::Case;
use crate::report::{Oracle, REPLAY, command};

/// See the module. Printing it gives a few lines for people.
///
/// ```
/// # use crash_sim::disk::{Ack, Disk, DiskCampaign, Turn};
/// # use std::io::{self, IoSlice};
/// # fn campaign() -> DiskCampaign<Disk, u64> {
/// #     DiskCampaign::new("word", 0)
/// #         .file("word", 512)
/// #         .create(|disk: &Disk| Ok::<_, io::Error>(disk.clone()))
/// #         .open(|disk: &Disk| {
/// #             disk.file("word").unwrap().sync()?;
/// #             Ok::<_, io::Error>(disk.clone())
/// #         })
/// #         .operations(2, |disk: &mut Disk, turn: Turn| {
/// #             let file = disk.file("word").unwrap();
/// #             file.write_all_at(0, &[IoSlice::new(&(turn.number as u64 + 1).to_le_bytes())])?;
/// #             file.sync()?;
/// #             Ok::<_, io::Error>(Ack::Durable)
/// #         })
/// #         .step(|word, turn| *word = turn.number as u64 + 1)
/// #         .view(|disk: &mut Disk| {
/// #             let mut word = [0; 8];
/// #             disk.file("word").unwrap().read_at(0, &mut word)?;
/// #             Ok::<_, io::Error>(u64::from_le_bytes(word))
/// #         })
/// # }
/// let report = campaign().explore();
/// println!("{report}");
/// assert!(report.images > 0 && report.failure.is_none());
/// ```
#[derive(Clone, Debug, Default)]
pub struct DiskReport {
    /// Name of the campaign.
    pub name: String,
    /// Events of the workload: sectors written, and syncs.
    pub events: usize,
    /// Crash points, those of recoveries among them.
    pub points: u64,
    /// Combinations of what a power cut may leave, over all crash points.
    pub combinations: u128,
    /// Those that were not looked at, where a point has more than the budget.
    pub uncovered: u128,
    /// Distinct crash images. Equal images that may hold different things count once for each.
    pub images: usize,
    /// Images met at each depth: of the workload, of its recoveries, of theirs, ...
    pub levels: Vec<usize>,
    /// Recoveries that were run and checked.
    pub recoveries: u64,
    /// Runs in which a call failed.
    pub faults: u64,
    /// Images from which the work went on.
    pub resumed: u64,
    /// Images that were met beyond the budget, or behind a failure, and not recovered.
    pub left: usize,
    /// The failure.
    pub failure: Option<Box<DiskFailure>>,
    /// Why a replay could not run.
    pub skipped: Option<String>,
    /// Time it took.
    pub duration: Duration,
}

/// A case in which something does not hold.
///
/// A campaign whose operations forget to sync:
///
/// ```
/// # use crash_sim::disk::{Ack, Disk, DiskCampaign, Turn};
/// # use std::io::{self, IoSlice};
/// # fn campaign() -> DiskCampaign<Disk, u64> {
/// #     DiskCampaign::new("word", 0)
/// #         .file("word", 512)
/// #         .create(|disk: &Disk| Ok::<_, io::Error>(disk.clone()))
/// #         .open(|disk: &Disk| {
/// #             disk.file("word").unwrap().sync()?;
/// #             Ok::<_, io::Error>(disk.clone())
/// #         })
/// #         .operations(2, |disk: &mut Disk, turn: Turn| {
/// #             let file = disk.file("word").unwrap();
/// #             file.write_all_at(0, &[IoSlice::new(&(turn.number as u64 + 1).to_le_bytes())])?;
/// #             // No sync.
/// #             Ok::<_, io::Error>(Ack::Durable)
/// #         })
/// #         .step(|word, turn| *word = turn.number as u64 + 1)
/// #         .view(|disk: &mut Disk| {
/// #             let mut word = [0; 8];
/// #             disk.file("word").unwrap().read_at(0, &mut word)?;
/// #             Ok::<_, io::Error>(u64::from_le_bytes(word))
/// #         })
/// # }
/// let failure = campaign().explore().failure.unwrap();
/// println!("{failure}"); // It ends in the line that replays it.
/// assert_eq!(failure.oracle, crash_sim::Oracle::Durability);
/// ```
#[derive(Clone, Debug)]
pub struct DiskFailure {
    /// What does not hold.
    pub oracle: Oracle,
    /// What was found, or what recovery said.
    pub message: String,
    /// Each run, in words: what failed in it, where it crashed, and what was lost.
    pub runs: Vec<String>,
    /// The case, for [`DiskCampaign::replay`](super::DiskCampaign::replay).
    pub case: String,
    /// The line that runs exactly this case again.
    pub replay: String,
}

/// What the environment calls this campaign.
pub(super) fn key(name: &str) -> String {
    format!("{name}:disk")
}

impl DiskFailure {
    pub(super) fn new(name: &str, case: &Case, oracle: Oracle, message: String, runs: Vec<String>) -> Self {
        let replay = format!("{REPLAY}='{}:{case}' {}", key(name), command());
        DiskFailure { oracle, message, runs, case: case.to_string(), replay }
    }
}

impl DiskReport {
    /// The largest number of crashes after which an image appeared that none with fewer crashes had shown, less one.
    ///
    /// ```
    /// # use crash_sim::disk::{Ack, Disk, DiskCampaign, Turn};
    /// # use std::io::{self, IoSlice};
    /// # fn campaign() -> DiskCampaign<Disk, u64> {
    /// #     DiskCampaign::new("word", 0)
    /// #         .file("word", 512)
    /// #         .create(|disk: &Disk| Ok::<_, io::Error>(disk.clone()))
    /// #         .open(|disk: &Disk| {
    /// #             disk.file("word").unwrap().sync()?;
    /// #             Ok::<_, io::Error>(disk.clone())
    /// #         })
    /// #         .operations(2, |disk: &mut Disk, turn: Turn| {
    /// #             let file = disk.file("word").unwrap();
    /// #             file.write_all_at(0, &[IoSlice::new(&(turn.number as u64 + 1).to_le_bytes())])?;
    /// #             file.sync()?;
    /// #             Ok::<_, io::Error>(Ack::Durable)
    /// #         })
    /// #         .step(|word, turn| *word = turn.number as u64 + 1)
    /// #         .view(|disk: &mut Disk| {
    /// #             let mut word = [0; 8];
    /// #             disk.file("word").unwrap().read_at(0, &mut word)?;
    /// #             Ok::<_, io::Error>(u64::from_le_bytes(word))
    /// #         })
    /// # }
    /// assert_eq!(campaign().explore().depth(), 0); // Opening writes nothing.
    /// ```
    pub fn depth(&self) -> usize {
        self.levels.len().saturating_sub(1)
    }

    /// Whether every image that the model allows was recovered. Whether every fault was tried in every recovery, and how
    /// often the work went on, does not count.
    ///
    /// ```
    /// # use crash_sim::disk::{Ack, Disk, DiskCampaign, Turn};
    /// # use std::io::{self, IoSlice};
    /// # fn campaign() -> DiskCampaign<Disk, u64> {
    /// #     DiskCampaign::new("word", 0)
    /// #         .file("word", 512)
    /// #         .create(|disk: &Disk| Ok::<_, io::Error>(disk.clone()))
    /// #         .open(|disk: &Disk| {
    /// #             disk.file("word").unwrap().sync()?;
    /// #             Ok::<_, io::Error>(disk.clone())
    /// #         })
    /// #         .operations(2, |disk: &mut Disk, turn: Turn| {
    /// #             let file = disk.file("word").unwrap();
    /// #             file.write_all_at(0, &[IoSlice::new(&(turn.number as u64 + 1).to_le_bytes())])?;
    /// #             file.sync()?;
    /// #             Ok::<_, io::Error>(Ack::Durable)
    /// #         })
    /// #         .step(|word, turn| *word = turn.number as u64 + 1)
    /// #         .view(|disk: &mut Disk| {
    /// #             let mut word = [0; 8];
    /// #             disk.file("word").unwrap().read_at(0, &mut word)?;
    /// #             Ok::<_, io::Error>(u64::from_le_bytes(word))
    /// #         })
    /// # }
    /// assert!(campaign().explore().is_complete());
    /// ```
    pub fn is_complete(&self) -> bool {
        self.uncovered == 0 && self.left == 0 && self.skipped.is_none() && self.failure.is_none()
    }

    /// Ends the test if anything failed.
    ///
    /// ```
    /// # use crash_sim::disk::{Ack, Disk, DiskCampaign, Turn};
    /// # use std::io::{self, IoSlice};
    /// # fn campaign() -> DiskCampaign<Disk, u64> {
    /// #     DiskCampaign::new("word", 0)
    /// #         .file("word", 512)
    /// #         .create(|disk: &Disk| Ok::<_, io::Error>(disk.clone()))
    /// #         .open(|disk: &Disk| {
    /// #             disk.file("word").unwrap().sync()?;
    /// #             Ok::<_, io::Error>(disk.clone())
    /// #         })
    /// #         .operations(2, |disk: &mut Disk, turn: Turn| {
    /// #             let file = disk.file("word").unwrap();
    /// #             file.write_all_at(0, &[IoSlice::new(&(turn.number as u64 + 1).to_le_bytes())])?;
    /// #             file.sync()?;
    /// #             Ok::<_, io::Error>(Ack::Durable)
    /// #         })
    /// #         .step(|word, turn| *word = turn.number as u64 + 1)
    /// #         .view(|disk: &mut Disk| {
    /// #             let mut word = [0; 8];
    /// #             disk.file("word").unwrap().read_at(0, &mut word)?;
    /// #             Ok::<_, io::Error>(u64::from_le_bytes(word))
    /// #         })
    /// # }
    /// campaign().explore().assert();
    /// ```
    ///
    /// # Panics
    /// With the report, if there is a failure.
    pub fn assert(&self) {
        assert!(self.failure.is_none(), "{self}");
        if self.skipped.is_some() {
            eprintln!("{self}");
        }
    }
}

impl fmt::Display for DiskReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "crash-sim: {}: crashes and failures of a disk", self.name)?;
        if let Some(why) = &self.skipped {
            return write!(f, "  skipped     {why}");
        }
        if let Some(failure) = &self.failure {
            writeln!(f, "{failure}")?;
        }
        writeln!(
            f,
            "  explored    {} events, {} crash points, {} images, {} recoveries, {} faults, {} resumed in {:.3} s",
            self.events,
            self.points,
            self.images,
            self.recoveries,
            self.faults,
            self.resumed,
            self.duration.as_secs_f64()
        )?;
        writeln!(f, "  depth       {} (images by number of crashes: {:?})", self.depth(), self.levels)?;
        match (self.is_complete(), &self.failure) {
            (true, _) => write!(f, "  covered     everything that the model allows"),
            (false, Some(_)) => write!(f, "  covered     ended at a failure, {} images left", self.left),
            (false, None) => write!(
                f,
                "  covered     {} of {} combinations were not tried; {} images are left",
                self.uncovered, self.combinations, self.left
            ),
        }
    }
}

impl fmt::Display for DiskFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  broken      {}", self.oracle)?;
        writeln!(f, "  found       {}", self.message)?;
        self.runs.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        write!(f, "  replay      {}", self.replay)
    }
}
