//! A campaign on a disk: what is tested, what it does, what it then holds; and the closure over all crashes of it.
//!
//! One run is recorded whole, and then walked along: at each point of it the images of a crash there are drawn from the
//! events so far. Start at [`DiskCampaign`], then [`Exploration`].

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt::{self, Debug};
use std::hash::Hash;
use std::rc::Rc;
use std::time::Instant;

use super::case::{Case, Crash, Kind, Run};
use super::report::{DiskFailure, DiskReport, key};
use super::{Disk, Event, Fault, Image};
use crate::campaign::BoxError;
use crate::panics;
use crate::report::{Oracle, asked_for_key};

/// Which operation is to be done.
///
/// Example: see the [module](super).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Turn {
    /// Its number, from 0 on.
    pub number: usize,
    /// How often the work has gone on after a crash. What an operation writes should depend on it, so that what an earlier
    /// life wrote is not taken for what this one did.
    pub life: usize,
}

/// What an operation that succeeded promises.
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
/// let campaign = campaign().operations(2, |disk: &mut Disk, turn: Turn| {
///     let file = disk.file("word").unwrap();
///     file.write_all_at(0, &[IoSlice::new(&(turn.number as u64 + 1).to_le_bytes())])?;
///     Ok::<_, io::Error>(Ack::Later) // There was no sync.
/// });
/// campaign.explore().assert();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack {
    /// This operation, and all before it, survive any crash.
    Durable,
    /// A crash may take it, with all that comes after it, but never a part of it.
    Later,
}

type Make<T> = Box<dyn Fn(&Disk) -> Result<T, BoxError>>;
type Apply<T> = Box<dyn Fn(&mut T, Turn) -> Result<Ack, BoxError>>;
type View<T, S> = Box<dyn Fn(&mut T) -> Result<S, BoxError>>;
type Close<T> = Box<dyn Fn(T) -> Result<(), BoxError>>;
type Refused<T> = Box<dyn Fn(&mut T, &BoxError) -> Result<(), BoxError>>;
type Step<S> = Box<dyn Fn(&mut S, Turn)>;
type Normalise = Box<dyn Fn(&mut Image)>;

/// See the [module](super). `T` is the structure, `S` what it holds.
///
/// Example: see the [module](super).
pub struct DiskCampaign<T, S> {
    name: String,
    files: Vec<(String, u64)>,
    start: S,
    create: Option<Make<T>>,
    open: Option<Make<T>>,
    count: usize,
    apply: Option<Apply<T>>,
    step: Option<Step<S>>,
    view: Option<View<T, S>>,
    close: Option<Close<T>>,
    refused: Option<Refused<T>>,
    normalise: Option<Normalise>,
    crashes_creation: bool,
    fails: bool,
    eager: u64,
    samples: u64,
    images_max: usize,
    resumed: usize,
    failing_recoveries: usize,
    events_max: usize,
    seed: u64,
}

impl<T, S: Clone + Eq + Hash + Debug> DiskCampaign<T, S> {
    /// A campaign whose structure holds `start` when it is new. The name stands in reports and replay lines.
    ///
    /// Example: see the [module](super), which has one for each closure.
    pub fn new(name: impl Into<String>, start: S) -> Self {
        DiskCampaign {
            name: name.into(),
            files: Vec::new(),
            start,
            create: None,
            open: None,
            count: 0,
            apply: None,
            step: None,
            view: None,
            close: None,
            refused: None,
            normalise: None,
            crashes_creation: false,
            fails: false,
            eager: 1 << 10,
            samples: 1 << 8,
            images_max: usize::MAX,
            resumed: 0,
            failing_recoveries: 0,
            events_max: 1 << 20,
            seed: 1,
        }
    }

    /// Adds a file of so many bytes, all zero.
    ///
    /// Example: see the [module](super).
    pub fn file(mut self, name: impl Into<String>, len: u64) -> Self {
        self.files.push((name.into(), len));
        self
    }

    /// Makes the structure. Not crashed, unless [`crash_creation`](DiskCampaign::crash_creation) says so.
    ///
    /// Example: see the [module](super).
    pub fn create<E: Into<BoxError>>(mut self, create: impl Fn(&Disk) -> Result<T, E> + 'static) -> Self {
        self.create = Some(Box::new(move |disk| create(disk).map_err(Into::into)));
        self
    }

    /// Opens it after a crash.
    ///
    /// Example: see the [module](super).
    pub fn open<E: Into<BoxError>>(mut self, open: impl Fn(&Disk) -> Result<T, E> + 'static) -> Self {
        self.open = Some(Box::new(move |disk| open(disk).map_err(Into::into)));
        self
    }

    /// The workload: so many operations. Where the work goes on after a crash, they begin with number 0 again, in another
    /// [life](Turn::life).
    ///
    /// Example: see the [module](super).
    pub fn operations<E: Into<BoxError>>(
        mut self,
        count: usize,
        apply: impl Fn(&mut T, Turn) -> Result<Ack, E> + 'static,
    ) -> Self {
        self.count = count;
        self.apply = Some(Box::new(move |subject, turn| apply(subject, turn).map_err(Into::into)));
        self
    }

    /// What an operation does to the state.
    ///
    /// Example: see the [module](super).
    pub fn step(mut self, step: impl Fn(&mut S, Turn) + 'static) -> Self {
        self.step = Some(Box::new(step));
        self
    }

    /// What the opened structure holds.
    ///
    /// Example: see the [module](super).
    pub fn view<E: Into<BoxError>>(mut self, view: impl Fn(&mut T) -> Result<S, E> + 'static) -> Self {
        self.view = Some(Box::new(move |subject| view(subject).map_err(Into::into)));
        self
    }

    /// Closes it behind the last operation; crashed as the operations are. By default it is dropped with the disk gone.
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
    /// let campaign = campaign().close(|disk: Disk| disk.file("word").unwrap().sync());
    /// campaign.explore().assert();
    /// ```
    pub fn close<E: Into<BoxError>>(mut self, close: impl Fn(T) -> Result<(), E> + 'static) -> Self {
        self.close = Some(Box::new(move |subject| close(subject).map_err(Into::into)));
        self
    }

    /// Is shown the structure after an operation has failed by a fault, with the error, and says what is wrong with that.
    ///
    /// ```
    /// # use crash_sim::disk::{Ack, Disk, DiskCampaign, Turn};
    /// # use std::io::{self, IoSlice};
    /// # fn campaign() -> DiskCampaign<Disk, u64> {
    /// #     DiskCampaign::new("word", 0)
    /// #         .file("word", 512)
    /// #         .create(|disk: &Disk| Ok::<_, io::Error>(disk.clone()))
    /// #         .open(|disk: &Disk| {
    /// #             let (file, mut word) = (disk.file("word").unwrap(), [0; 8]);
    /// #             file.read_at(0, &mut word)?;
    /// #             file.write_all_at(0, &[IoSlice::new(&word)])?;
    /// #             file.sync()?;
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
    /// // Opening writes the word once more: another sync alone would not make durable what a failed one has left.
    /// let campaign = campaign().faults().refused(|disk: &mut Disk, error| {
    ///     // The file is there all the same.
    ///     if disk.file("word").is_some() { Ok(()) } else { Err(error.to_string()) }
    /// });
    /// campaign.explore().assert();
    /// ```
    pub fn refused<E: Into<BoxError>>(
        mut self,
        refused: impl Fn(&mut T, &BoxError) -> Result<(), E> + 'static,
    ) -> Self {
        self.refused = Some(Box::new(move |subject, error| refused(subject, error).map_err(Into::into)));
        self
    }

    /// Makes images equal that differ in what does not matter, such as the time of day or a counter of openings: without
    /// that the closure may have no end. What it makes is compared and never recovered.
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
    /// // Bytes that mean nothing may differ:
    /// let campaign = campaign().normalise(|image| image.edit("word", 8, 8, |bytes| bytes.fill(0)));
    /// campaign.explore().assert();
    /// ```
    pub fn normalise(mut self, normalise: impl Fn(&mut Image) + 'static) -> Self {
        self.normalise = Some(Box::new(normalise));
        self
    }

    /// Crashes the creation too; what it leaves may be refused, or holds what a new structure does.
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
    /// campaign().crash_creation().explore().assert();
    /// ```
    pub fn crash_creation(mut self) -> Self {
        self.crashes_creation = true;
        self
    }

    /// Runs the workload again for each of its writes and syncs, which fails in each way.
    ///
    /// ```
    /// # use crash_sim::disk::{Ack, Disk, DiskCampaign, Turn};
    /// # use std::io::{self, IoSlice};
    /// # fn campaign() -> DiskCampaign<Disk, u64> {
    /// #     DiskCampaign::new("word", 0)
    /// #         .file("word", 512)
    /// #         .create(|disk: &Disk| Ok::<_, io::Error>(disk.clone()))
    /// #         .open(|disk: &Disk| {
    /// #             let (file, mut word) = (disk.file("word").unwrap(), [0; 8]);
    /// #             file.read_at(0, &mut word)?;
    /// #             file.write_all_at(0, &[IoSlice::new(&word)])?;
    /// #             file.sync()?;
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
    /// // Opening writes the word once more: another sync alone would not make durable what a failed one has left.
    /// let report = campaign().faults().explore();
    /// report.assert();
    /// assert!(report.faults > 0);
    /// ```
    pub fn faults(mut self) -> Self {
        self.fails = true;
        self
    }

    /// The same in the recovery from so many images.
    ///
    /// ```
    /// # use crash_sim::disk::{Ack, Disk, DiskCampaign, Turn};
    /// # use std::io::{self, IoSlice};
    /// # fn campaign() -> DiskCampaign<Disk, u64> {
    /// #     DiskCampaign::new("word", 0)
    /// #         .file("word", 512)
    /// #         .create(|disk: &Disk| Ok::<_, io::Error>(disk.clone()))
    /// #         .open(|disk: &Disk| {
    /// #             let (file, mut word) = (disk.file("word").unwrap(), [0; 8]);
    /// #             file.read_at(0, &mut word)?;
    /// #             file.write_all_at(0, &[IoSlice::new(&word)])?;
    /// #             file.sync()?;
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
    /// // Opening writes the word once more: another sync alone would not make durable what a failed one has left.
    /// campaign().faults().failing_recoveries(2).explore().assert();
    /// ```
    pub fn failing_recoveries(mut self, count: usize) -> Self {
        self.failing_recoveries = count;
        self
    }

    /// Goes on working from so many recovered images, with crashes.
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
    /// let report = campaign().resume(2).explore();
    /// report.assert();
    /// assert_eq!(report.resumed, 2);
    /// ```
    pub fn resume(mut self, count: usize) -> Self {
        self.resumed = count;
        self
    }

    /// Where a point has more combinations than `eager` (1,024 by default), some `samples` of them are tried (256).
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
    /// let report = campaign().combinations(1 << 16, 1 << 12).explore();
    /// assert_eq!(report.uncovered, 0);
    /// ```
    pub fn combinations(mut self, eager: u64, samples: u64) -> Self {
        (self.eager, self.samples) = (eager, samples);
        self
    }

    /// Ends after so many distinct images, and reports how many are left.
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
    /// let report = campaign().images_max(1).explore();
    /// assert!(!report.is_complete() && report.left > 0);
    /// ```
    pub fn images_max(mut self, count: usize) -> Self {
        self.images_max = count;
        self
    }

    /// What chance begins with.
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
    /// assert_eq!(campaign().seed(7).explore().images, campaign().seed(7).explore().images);
    /// ```
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Runs it. See the [module](super).
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
    /// report.assert();
    /// assert!(report.is_complete());
    /// ```
    ///
    /// # Panics
    /// If a closure is missing.
    pub fn explore(&self) -> DiskReport {
        if let Some(case) = asked_for_key(&key(&self.name)) {
            return self.replay(&case);
        }
        let started = Instant::now();
        let mut exploration = Exploration::new(self);
        if let Err(case) = exploration.explore() {
            exploration.report.left = exploration.tasks.len() + exploration.later.len();
            exploration.report.failure = Some(Box::new(self.minimise(case)));
        }
        exploration.report.duration = started.elapsed();
        exploration.report
    }

    /// Runs one case alone, as the replay line of a report names it.
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
    /// assert!(campaign().replay(&failure.case).failure.is_some());
    /// ```
    ///
    /// # Panics
    /// If a closure is missing or the case is not well-formed.
    pub fn replay(&self, case: &str) -> DiskReport {
        let case: Case = case.parse().unwrap_or_else(|error| panic!("{error}"));
        let mut report = DiskReport { name: self.name.clone(), ..DiskReport::default() };
        match self.follow(&case) {
            Err(why) => report.skipped = Some(why),
            Ok(followed) => {
                report.recoveries = case.0.len() as u64;
                report.failure = followed.into_failure(&self.name, &case).map(Box::new);
                if report.failure.is_none() {
                    report.skipped = Some(format!("{case} does not fail"));
                }
            }
        }
        report
    }

    /// Takes away what is lost needlessly.
    fn minimise(&self, mut case: Case) -> DiskFailure {
        let failed =
            |case: &Case| self.follow(case).ok().and_then(|followed| followed.into_failure(&self.name, case));
        let mut failure = failed(&case).unwrap_or_else(|| {
            let message = "the case did not fail when it was run again: it is not deterministic".to_owned();
            DiskFailure::new(&self.name, &case, Oracle::Workload, message, Vec::new())
        });
        loop {
            let mut smaller = Vec::new();
            for (index, run) in case.0.iter().enumerate() {
                for lost in 0..run.crash.as_ref().map_or(0, |crash| crash.lost.len()) {
                    let mut other = case.clone();
                    other.0[index].crash.as_mut().expect("it has one").lost.remove(lost);
                    smaller.push(other);
                }
            }
            let next = smaller.into_iter().find_map(|case| {
                let found = failed(&case).filter(|found| found.oracle == failure.oracle)?;
                Some((case, found))
            });
            let Some(next) = next else { return failure };
            (case, failure) = next;
        }
    }

    /// Runs a case.
    fn follow(&self, case: &Case) -> Result<Followed, String> {
        let mut from: Option<(Image, Rc<Allowed<S>>)> = None;
        let (mut life, mut runs) = (0, Vec::new());
        for run in &case.0 {
            life += usize::from(run.kind == Kind::Resume);
            let recording = self.run(from.as_ref().map(|(image, allowed)| (image, &**allowed)), run, life);
            let Some(crash) = &run.crash else {
                runs.push(words(run, None));
                return Ok(Followed { failed: recording.failed, runs });
            };
            if crash.point as usize > recording.events.len() {
                return Err(format!("{case}: a run has {} events and no more", recording.events.len()));
            }
            let mut image = recording.start.clone();
            recording.events[..crash.point as usize].iter().for_each(|event| image.apply(event));
            runs.push(words(run, Some(&image)));
            let allowed = Rc::new(recording.allowed(crash.point));
            if !crash.is_kill {
                let mut kept: Vec<u16> = image.units().iter().map(|unit| unit.versions).collect();
                for &(unit, versions) in &crash.lost {
                    let kept = kept.get_mut(usize::from(unit));
                    *kept.ok_or_else(|| format!("{case}: there is no dirty sector {unit}"))? = versions;
                }
                image = image.cuts().image(&kept);
            }
            from = Some((image, allowed));
        }
        Err(format!("{case}: its last run crashes"))
    }

    /// Runs what a run of a case does, and records it.
    fn run(&self, from: Option<(&Image, &Allowed<S>)>, run: &Run, life: usize) -> Recording<S> {
        panics::install();
        let disk = match from {
            Some((image, _)) => Disk::of(image.clone()),
            None => Disk::new(self.files.iter().map(|(name, len)| (name.as_str(), *len))),
        };
        let given = match from {
            Some((_, allowed)) => allowed.clone(),
            None => Allowed { states: vec![self.start.clone()], older: Vec::new(), may_refuse: true },
        };
        let mut recording = Recording {
            start: disk.image(),
            events: Vec::new(),
            calls: Vec::new(),
            fault_point: None,
            given,
            ready: None,
            ready_calls: 0,
            states: Vec::new(),
            marks: Vec::new(),
            failed: None,
        };
        disk.record(run.fault, self.events_max);
        let ended = panics::catch(|| self.work(&disk, run, life, &mut recording));
        disk.kill();
        recording.failed = match ended {
            Ok(Ok(())) => None,
            Ok(Err(failed)) => Some(failed),
            Err(message) => Some((Oracle::Panic, message)),
        };
        let mut state = disk.lock();
        recording.events = std::mem::take(&mut state.events);
        recording.calls = std::mem::take(&mut state.calls);
        recording.fault_point = state.fault_point;
        recording
    }

    fn work(
        &self,
        disk: &Disk,
        run: &Run,
        life: usize,
        recording: &mut Recording<S>,
    ) -> Result<(), (Oracle, String)> {
        let has_fault = || disk.lock().fault_point.is_some();
        let is_new = run.kind == Kind::Work;
        let make = if is_new { &self.create } else { &self.open };
        let make = make.as_ref().expect("a campaign creates and opens");
        let view = self.view.as_ref().expect("a campaign has a view");
        let mut subject = match make(disk) {
            Ok(subject) => subject,
            Err(_) if has_fault() || !is_new && recording.given.may_refuse => return Ok(()),
            Err(error) => {
                let oracle = if is_new { Oracle::Workload } else { Oracle::Refused };
                return Err((oracle, words_of(&error)));
            }
        };
        let found = match view(&mut subject) {
            Ok(found) => found,
            Err(_) if has_fault() => {
                disk.kill();
                return Ok(());
            }
            Err(error) => return Err((Oracle::Refused, words_of(&error))),
        };
        if let Some(failed) = recording.given.refuses(&found) {
            disk.kill();
            return Err(failed);
        }
        recording.ready = Some(disk.event_count());
        recording.ready_calls = disk.call_count();
        recording.states.push(found);
        if run.kind != Kind::Open {
            self.operate(disk, subject, life, recording)?;
        }
        disk.kill();
        Ok(())
    }

    /// Does the operations, and closes.
    fn operate(
        &self,
        disk: &Disk,
        mut subject: T,
        life: usize,
        recording: &mut Recording<S>,
    ) -> Result<(), (Oracle, String)> {
        let has_fault = || disk.lock().fault_point.is_some();
        let oracle = if life == 0 { Oracle::Workload } else { Oracle::Resume };
        let (mut acked, mut begun) = (0, 0);
        for number in 0..self.count {
            let turn = Turn { number, life };
            let mut state = recording.states[begun].clone();
            self.step.as_ref().expect("operations have steps")(&mut state, turn);
            recording.states.push(state);
            begun += 1;
            recording.marks.push(Mark { point: disk.event_count(), acked, begun });
            match self.apply.as_ref().expect("there are operations")(&mut subject, turn) {
                Ok(Ack::Durable) => acked = begun,
                Ok(Ack::Later) => {}
                Err(error) if has_fault() => {
                    let is_right =
                        self.refused.as_ref().map_or(Ok(()), |refused| refused(&mut subject, &error));
                    disk.kill();
                    return is_right.map_err(|wrong| (oracle, words_of(&wrong)));
                }
                Err(error) => {
                    disk.kill();
                    return Err((oracle, format!("operation {number}: {}", words_of(&error))));
                }
            }
            recording.marks.push(Mark { point: disk.event_count(), acked, begun });
        }
        if let Some(close) = &self.close {
            match close(subject) {
                Ok(()) => {
                    recording.marks.push(Mark { point: disk.event_count(), acked: begun, begun });
                }
                Err(_) if has_fault() => {}
                Err(error) => return Err((oracle, format!("close: {}", words_of(&error)))),
            }
        } else {
            disk.kill();
        }
        Ok(())
    }
}

impl<T, S> Debug for DiskCampaign<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskCampaign").field("name", &self.name).finish_non_exhaustive()
    }
}

/// An error and its causes in a line.
fn words_of(error: &BoxError) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}

fn words(run: &Run, image: Option<&Image>) -> String {
    let kind = match run.kind {
        Kind::Work => "workload",
        Kind::Open => "recovery",
        Kind::Resume => "more work",
    };
    let mut words = format!("{kind:<11} ");
    if let Some((call, fault)) = run.fault {
        words += &format!("call {call} fails: {fault:?}; ");
    }
    let Some((crash, image)) = run.crash.as_ref().zip(image) else { return words + "fails" };
    if crash.is_kill {
        return words + &format!("killed after {} events", crash.point);
    }
    words += &format!("power cut after {} events; ", crash.point);
    let units = image.units();
    let lost = crash.lost.iter().filter_map(|&(unit, kept)| {
        let unit = units.get(usize::from(unit))?;
        Some(format!(
            "{} sector {} has version {kept} of {}",
            image.name_of(unit.file),
            unit.sector,
            unit.versions
        ))
    });
    let lost: Vec<String> = lost.collect();
    words + &if lost.is_empty() { "nothing is lost".to_owned() } else { lost.join(", ") }
}

/// What a structure may hold after a crash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Allowed<S> {
    states: Vec<S>,
    /// What it held before, and must not any more.
    older: Vec<S>,
    /// It need not open.
    may_refuse: bool,
}

impl<S: PartialEq + Debug> Allowed<S> {
    fn refuses(&self, found: &S) -> Option<(Oracle, String)> {
        if self.states.contains(found) {
            return None;
        }
        let oracle = if self.older.contains(found) { Oracle::Durability } else { Oracle::Atomicity };
        Some((oracle, format!("{found:?}, allowed are {:?}", self.states)))
    }

    /// Whether what it allows is allowed by the other too.
    fn is_within(&self, other: &Self) -> bool {
        (other.may_refuse || !self.may_refuse) && self.states.iter().all(|state| other.states.contains(state))
    }
}

/// How far the work was at a moment.
#[derive(Clone, Copy, Debug)]
struct Mark {
    point: u32,
    acked: usize,
    begun: usize,
}

/// A run.
struct Recording<S> {
    start: Image,
    events: Vec<Event>,
    calls: Vec<bool>,
    fault_point: Option<u32>,
    /// What held until it was open.
    given: Allowed<S>,
    /// How many events there were when it was open.
    ready: Option<u32>,
    /// How many calls.
    ready_calls: u32,
    /// What it held then and after each operation.
    states: Vec<S>,
    marks: Vec<Mark>,
    failed: Option<(Oracle, String)>,
}

impl<S: Clone> Recording<S> {
    /// What may be there after a crash when so many events had happened. What was acknowledged before the next event must
    /// be there; what had begun after the last one cannot.
    fn allowed(&self, point: u32) -> Allowed<S> {
        if self.ready.is_none_or(|ready| point < ready) {
            return self.given.clone();
        }
        let begun =
            self.marks.iter().take_while(|mark| mark.point < point).last().map_or(0, |mark| mark.begun);
        let acked =
            self.marks.iter().take_while(|mark| mark.point <= point).last().map_or(0, |mark| mark.acked);
        Allowed {
            states: self.states[acked..=begun.max(acked)].to_vec(),
            older: self.states[..acked].to_vec(),
            may_refuse: false,
        }
    }
}

struct Followed {
    failed: Option<(Oracle, String)>,
    runs: Vec<String>,
}

impl Followed {
    fn into_failure(self, name: &str, case: &Case) -> Option<DiskFailure> {
        let (oracle, message) = self.failed?;
        Some(DiskFailure::new(name, case, oracle, message, self.runs))
    }
}

/// An image that is to be recovered.
#[derive(Clone)]
struct Task<S> {
    image: Image,
    allowed: Rc<Allowed<S>>,
    /// How it came to be.
    runs: Rc<Vec<Run>>,
    life: usize,
}

impl<S> Task<S> {
    fn case(&self, run: Run) -> Case {
        Case(self.runs.iter().cloned().chain([run]).collect())
    }
}

struct Exploration<'a, T, S> {
    campaign: &'a DiskCampaign<T, S>,
    report: DiskReport,
    tasks: VecDeque<Task<S>>,
    /// The same, of what has used its share of the budget.
    later: VecDeque<Task<S>>,
    /// Images of the workload, from some of which more is done.
    firsts: Vec<Task<S>>,
    allowed: HashMap<Allowed<S>, Rc<Allowed<S>>>,
    /// Images, as they are, with what they may hold.
    met: HashSet<(u128, *const Allowed<S>)>,
    /// Normal images, with what they were checked for.
    seen: HashMap<u128, Vec<Rc<Allowed<S>>>>,
}

impl<'a, T, S: Clone + Eq + Hash + Debug> Exploration<'a, T, S> {
    fn new(campaign: &'a DiskCampaign<T, S>) -> Self {
        Exploration {
            campaign,
            report: DiskReport { name: campaign.name.clone(), ..DiskReport::default() },
            tasks: VecDeque::new(),
            later: VecDeque::new(),
            firsts: Vec::new(),
            allowed: HashMap::new(),
            met: HashSet::new(),
            seen: HashMap::new(),
        }
    }

    fn explore(&mut self) -> Result<(), Case> {
        let campaign = self.campaign;
        let work = Run::new(Kind::Work);
        let recording = campaign.run(None, &work, 0);
        self.report.events = recording.events.len();
        if recording.failed.is_some() {
            return Err(Case(vec![work]));
        }
        let ready = recording.ready.expect("it has not failed");
        let first_point = if campaign.crashes_creation { 0 } else { ready };
        let first_call = if campaign.crashes_creation { 0 } else { recording.ready_calls };
        self.walk(&recording, first_point, None, &work);
        let budget = campaign.images_max as u64;
        self.close(budget / 2)?; // The other half is for what fails and what goes on.
        if campaign.fails {
            let runs = faults(&work, &recording.calls, first_call);
            self.fault_each(None, runs, budget / 4 * 3)?;
        }
        let firsts = std::mem::take(&mut self.firsts);
        for task in spread(&firsts, campaign.failing_recoveries) {
            let open = Run::new(Kind::Open);
            let recording = campaign.run(Some((&task.image, &task.allowed)), &open, task.life);
            self.fault_each(Some(task), faults(&open, &recording.calls, 0), budget / 8 * 7)?;
        }
        let resumed: Vec<_> = spread(&firsts, campaign.resumed).collect();
        for (index, task) in resumed.iter().enumerate() {
            self.report.resumed += 1;
            let run = Run::new(Kind::Resume);
            let recording = campaign.run(Some((&task.image, &task.allowed)), &run, task.life + 1);
            if recording.failed.is_some() {
                return Err(task.case(run));
            }
            if let Some(ready) = recording.ready {
                self.walk(&recording, ready, Some(task), &run);
            }
            self.close(self.share(budget, resumed.len() - index))?;
        }
        std::mem::swap(&mut self.tasks, &mut self.later);
        self.close(self.share(budget, 1))?;
        self.report.left = self.later.len();
        Ok(())
    }

    /// What this one of so many may use, that nobody goes beyond `budget`.
    fn share(&self, budget: u64, count: usize) -> u64 {
        budget.saturating_sub(self.report.recoveries) / count as u64
    }

    fn fault_each(&mut self, from: Option<&Task<S>>, runs: Vec<Run>, budget: u64) -> Result<(), Case> {
        let count = runs.len();
        for (index, run) in runs.into_iter().enumerate() {
            self.fault(from, run, self.share(budget, count - index))?;
        }
        Ok(())
    }

    /// Runs something in which a call fails, and all crashes behind that.
    fn fault(&mut self, from: Option<&Task<S>>, run: Run, share: u64) -> Result<(), Case> {
        self.report.faults += 1;
        let life = from.map_or(0, |task| task.life);
        let recording = self.campaign.run(from.map(|task| (&task.image, &*task.allowed)), &run, life);
        if recording.failed.is_some() {
            return Err(from.map_or_else(|| Case(vec![run.clone()]), |task| task.case(run.clone())));
        }
        if let Some(point) = recording.fault_point {
            self.walk(&recording, point, from, &run);
        }
        self.close(share)
    }

    /// Recovers all images that wait, crashes those recoveries, and so on; after so many of them what waits is for later.
    fn close(&mut self, share: u64) -> Result<(), Case> {
        let last = self.report.recoveries.saturating_add(share);
        while self.report.recoveries < last {
            let Some(task) = self.tasks.pop_front() else { return Ok(()) };
            let open = Run::new(Kind::Open);
            self.report.recoveries += 1;
            let recording = self.campaign.run(Some((&task.image, &task.allowed)), &open, task.life);
            if recording.failed.is_some() {
                return Err(task.case(open));
            }
            self.walk(&recording, 0, Some(&task), &open);
        }
        self.later.append(&mut self.tasks);
        Ok(())
    }

    /// Draws the images of all crashes of a run from a point on.
    fn walk(&mut self, recording: &Recording<S>, first: u32, from: Option<&Task<S>>, run: &Run) {
        let mut image = recording.start.clone();
        for point in 0..=recording.events.len() {
            if point as u32 >= first {
                self.point(recording, point, &image, from, run);
            }
            if let Some(event) = recording.events.get(point) {
                image.apply(event);
            }
        }
    }

    fn point(
        &mut self,
        recording: &Recording<S>,
        point: usize,
        image: &Image,
        from: Option<&Task<S>>,
        run: &Run,
    ) {
        self.report.points += 1;
        let allowed = recording.allowed(point as u32);
        let allowed = self.allowed.entry(allowed).or_insert_with_key(|key| Rc::new(key.clone())).clone();
        let life = from.map_or(0, |task| task.life) + usize::from(run.kind == Kind::Resume);
        let runs = |crash: Crash| {
            let before = from.map_or(&[][..], |task| &task.runs);
            Rc::new([before, &[Run { crash: Some(crash), ..run.clone() }]].concat())
        };
        let point_number = point as u32;
        let kill = || runs(Crash { point: point_number, lost: Vec::new(), is_kill: true });
        self.meet(image.fingerprint(), || image.clone(), &allowed, life, kill);
        let is_in_write = matches!(
            (recording.events.get(point.wrapping_sub(1)), recording.events.get(point)),
            (Some(Event::Written { call: one, .. }), Some(Event::Written { call: other, .. })) if one == other
        );
        if is_in_write {
            return; // What a power cut leaves here it may leave behind the write as well.
        }
        let (units, cuts) = (image.units(), image.cuts());
        let campaign = self.campaign;
        let seed = campaign.seed.wrapping_add(self.report.points);
        let (tried, all) = image.power_cuts(campaign.eager, campaign.samples, seed, |kept| {
            let lost = units.iter().zip(kept).enumerate();
            let lost = lost.filter(|(_, (unit, kept))| unit.versions != **kept);
            let cut = || {
                let lost = lost.clone().map(|(unit, (_, kept))| (unit as u16, *kept)).collect();
                runs(Crash { point: point_number, lost, is_kill: false })
            };
            self.meet(cuts.fingerprint(kept), || cuts.image(kept), &allowed, life, cut);
        });
        self.report.combinations = self.report.combinations.saturating_add(all);
        self.report.uncovered = self.report.uncovered.saturating_add(all - u128::from(tried).min(all));
    }

    /// Notes an image that is to be recovered, unless it has been.
    fn meet(
        &mut self,
        fingerprint: u128,
        image: impl FnOnce() -> Image,
        allowed: &Rc<Allowed<S>>,
        life: usize,
        runs: impl FnOnce() -> Rc<Vec<Run>>,
    ) {
        if !self.met.insert((fingerprint, Rc::as_ptr(allowed))) {
            return;
        }
        let image = image();
        let mut normal = image.clone();
        if let Some(normalise) = &self.campaign.normalise {
            normalise(&mut normal);
        }
        let seen = self.seen.entry(normal.fingerprint()).or_default();
        if seen.iter().any(|other| other.is_within(allowed)) {
            return;
        }
        seen.push(allowed.clone());
        self.report.images += 1;
        let task = Task { image, allowed: allowed.clone(), runs: runs(), life };
        let depth = task.runs.len() - 1;
        self.report.levels.resize(self.report.levels.len().max(depth + 1), 0);
        self.report.levels[depth] += 1;
        if depth == 0 {
            self.firsts.push(task.clone());
        }
        self.tasks.push_back(task);
    }
}

/// The run with each of its calls failing in each way.
fn faults(run: &Run, calls: &[bool], first: u32) -> Vec<Run> {
    let mut runs = Vec::new();
    for (call, &is_write) in calls.iter().enumerate().skip(first as usize) {
        let ways = if is_write { &Fault::OF_WRITES[..] } else { &Fault::OF_SYNCS };
        runs.extend(ways.iter().map(|&fault| Run { fault: Some((call as u32, fault)), ..run.clone() }));
    }
    runs
}

/// So many of them, spread evenly.
fn spread<S>(all: &[S], count: usize) -> impl Iterator<Item = &S> {
    let count = count.min(all.len());
    (0..count).map(move |index| &all[index * all.len() / count])
}
