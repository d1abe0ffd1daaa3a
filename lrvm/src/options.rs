//! How a log is made and opened: what RVM's `initialize` and `set_options` take.

use std::path::Path;
use std::sync::Arc;

use crate::device::{Device, Devices, FileDevice, FileSystem};
use crate::error::{Error, Result};
use crate::log;
use crate::rvm::Rvm;

/// Which records a truncation takes, and from where.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let log = dir.path().join("log");
/// # lrvm::create_log(&log, 1 << 16)?;
/// # use lrvm::{Options, Rvm, Truncation};
/// let rvm = Options::new().truncation(Truncation::Epoch).open(&log)?;
/// assert_eq!(rvm.options().truncation, Truncation::Epoch);
/// # rvm.close()?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truncation {
    /// The newest bytes of all records up to where the log ended when it began, from the log.
    Epoch,
    /// Page by page from the mapped memory, the one with the oldest record first; an epoch where a transaction that does
    /// not end keeps the oldest page and space is short.
    Incremental,
}

/// What may be changed as long as a log is open, as RVM's `set_options` does.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let log = dir.path().join("log");
/// # lrvm::create_log(&log, 1 << 16)?;
/// # use lrvm::{Options, Rvm, Truncation};
/// let rvm = Rvm::open(&log)?;
/// let mut tuning = rvm.options();
/// tuning.threshold = 75;
/// rvm.set_options(tuning)?;
/// assert_eq!(rvm.options().threshold, 75);
/// # rvm.close()?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tuning {
    /// Per cent of the log in use beyond which it is truncated; 100 leaves it to the commit that finds no room.
    pub threshold: u8,
    /// How it is truncated.
    pub truncation: Truncation,
    /// Whether ranges of a transaction that overlap or touch are logged as one (RVM's `coalesce_ranges`).
    pub coalesce_ranges: bool,
    /// Whether a record that waits for a flush is left out if later ones overwrite all of it (RVM's `coalesce_trans`).
    pub coalesce_transactions: bool,
    /// Bytes that commits without flush may wait with: beyond them a commit flushes. At most the log's length.
    pub spool_len: u64,
}

/// How a log is opened.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("log");
/// lrvm::create_log(&path, 1 << 20)?;
/// let rvm = lrvm::Options::new().threshold(30).background(false).open(&path)?;
/// assert_eq!(rvm.options().threshold, 30);
/// # rvm.close()?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Options {
    pub(crate) threshold: u8,
    pub(crate) truncation: Truncation,
    pub(crate) coalesce_ranges: bool,
    pub(crate) coalesce_transactions: bool,
    pub(crate) spool_len: Option<u64>,
    pub(crate) background: bool,
    pub(crate) salvage: bool,
    pub(crate) read_len: u64,
    pub(crate) status_interval: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            threshold: 50,
            truncation: Truncation::Incremental,
            coalesce_ranges: true,
            coalesce_transactions: true,
            spool_len: None,
            background: true,
            salvage: false,
            read_len: 512 << 10,
            status_interval: 100,
        }
    }
}

impl Options {
    /// The defaults: incremental truncation at 50 %, in the background; both optimisations.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = dir.path().join("log");
    /// # lrvm::create_log(&log, 1 << 16)?;
    /// # use lrvm::{Options, Rvm, Truncation};
    /// let rvm = Options::new().open(&log)?;
    /// assert_eq!((rvm.options().threshold, rvm.options().truncation), (50, Truncation::Incremental));
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Per cent of the log in use beyond which it is truncated, from 1 to 100. By default 50, as in RVM.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = dir.path().join("log");
    /// # lrvm::create_log(&log, 1 << 16)?;
    /// # use lrvm::{Options, Rvm, Truncation};
    /// let rvm = Options::new().threshold(30).open(&log)?;
    /// assert_eq!(rvm.options().threshold, 30);
    /// # rvm.close()?;
    /// assert!(Options::new().threshold(101).open(&log).is_err());
    /// # let rvm = Rvm::open(&log)?;
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn threshold(mut self, per_cent: u8) -> Self {
        self.threshold = per_cent;
        self
    }

    /// How the log is truncated.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = dir.path().join("log");
    /// # lrvm::create_log(&log, 1 << 16)?;
    /// # use lrvm::{Options, Rvm, Truncation};
    /// let rvm = Options::new().truncation(Truncation::Epoch).open(&log)?;
    /// assert_eq!(rvm.options().truncation, Truncation::Epoch);
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn truncation(mut self, truncation: Truncation) -> Self {
        self.truncation = truncation;
        self
    }

    /// Whether truncation at the threshold has a thread of its own. Otherwise it is done by the commit that crosses it.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = dir.path().join("log");
    /// # lrvm::create_log(&log, 1 << 16)?;
    /// # use lrvm::{Options, Rvm, Truncation};
    /// let rvm = Options::new().background(false).open(&log)?; // No thread is started.
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn background(mut self, background: bool) -> Self {
        self.background = background;
        self
    }

    /// Whether ranges of a transaction that overlap or touch are logged as one.
    ///
    /// ```
    /// # use lrvm::{Begin, End, Options};
    /// # let dir = tempfile::tempdir()?;
    /// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
    /// # lrvm::create_log(&log, 1 << 16)?;
    /// # lrvm::create_segment(&data, 4096)?;
    /// let rvm = Options::new().coalesce_ranges(true).open(&log)?;
    /// let mut region = rvm.map(&data, 0..4096)?;
    /// let mut tx = rvm.begin(Begin::Restore)?;
    /// let all = tx.enlist(&mut region)?;
    /// tx.modify(all, 0, &[1; 8])?;
    /// tx.modify(all, 4, &[2; 8])?; // Overlaps with the first range.
    /// tx.commit(End::Flush)?;
    /// assert!(rvm.statistics().intra_bytes_saved > 0);
    /// # drop(region);
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn coalesce_ranges(mut self, coalesce: bool) -> Self {
        self.coalesce_ranges = coalesce;
        self
    }

    /// Whether a record that waits for a flush is left out if later ones overwrite all of it.
    ///
    /// ```
    /// # use lrvm::{Begin, End, Options};
    /// # let dir = tempfile::tempdir()?;
    /// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
    /// # lrvm::create_log(&log, 1 << 16)?;
    /// # lrvm::create_segment(&data, 4096)?;
    /// let rvm = Options::new().coalesce_transactions(true).open(&log)?;
    /// let mut region = rvm.map(&data, 0..4096)?;
    /// for value in [1_u64, 2] {
    ///     let mut tx = rvm.begin(Begin::Restore)?;
    ///     let all = tx.enlist(&mut region)?;
    ///     tx.write(all, 0, &value)?; // The second one overwrites all of the first.
    ///     tx.commit(End::NoFlush)?;
    /// }
    /// rvm.flush()?;
    /// assert_eq!(rvm.statistics().inter_records_saved, 1);
    /// # drop(region);
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn coalesce_transactions(mut self, coalesce: bool) -> Self {
        self.coalesce_transactions = coalesce;
        self
    }

    /// Bytes that commits without flush may wait with; by default a quarter of the log.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = dir.path().join("log");
    /// # lrvm::create_log(&log, 1 << 16)?;
    /// # use lrvm::{Options, Rvm, Truncation};
    /// let rvm = Options::new().spool_len(4096).open(&log)?;
    /// assert_eq!(rvm.options().spool_len, 4096);
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn spool_len(mut self, bytes: u64) -> Self {
        self.spool_len = Some(bytes);
        self
    }

    /// Bytes that recovery and truncation read at a time, 512 KiB by default, as in RVM.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = dir.path().join("log");
    /// # lrvm::create_log(&log, 1 << 16)?;
    /// # use lrvm::{Options, Rvm, Truncation};
    /// let rvm = Options::new().read_len(64 << 10).open(&log)?;
    /// # rvm.close()?;
    /// assert!(Options::new().read_len(0).open(&log).is_err());
    /// # let rvm = Rvm::open(&log)?;
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_len(mut self, bytes: u64) -> Self {
        self.read_len = bytes;
        self
    }

    /// After how many flushes the status block is written, so that it knows a tail; 100 by default, as in RVM. More mean
    /// fewer syncs, and a shorter part of the log in which damage cannot be told from a torn end.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = dir.path().join("log");
    /// # lrvm::create_log(&log, 1 << 16)?;
    /// # use lrvm::{Options, Rvm, Truncation};
    /// let rvm = Options::new().status_interval(1000).open(&log)?;
    /// # rvm.close()?;
    /// assert!(Options::new().status_interval(0).open(&log).is_err());
    /// # let rvm = Rvm::open(&log)?;
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn status_interval(mut self, flushes: u64) -> Self {
        self.status_interval = flushes;
        self
    }

    /// Whether a log that is damaged in the middle is opened all the same: what lies before the damage is recovered, and
    /// what lies behind it is given up. Otherwise such a log is an error, and left as it is.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = dir.path().join("log");
    /// # lrvm::create_log(&log, 1 << 16)?;
    /// # use lrvm::{Options, Rvm, Truncation};
    /// let rvm = match Rvm::open(&log) {
    ///     Err(lrvm::Error::Damaged { .. }) => Options::new().salvage(true).open(&log)?,
    ///     other => other?,
    /// };
    /// assert_eq!(rvm.recovery().salvaged_before, None); // Nothing was given up.
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn salvage(mut self, salvage: bool) -> Self {
        self.salvage = salvage;
        self
    }

    /// Opens the log at `path` and recovers: what had committed durably is then in the segments, nothing else is, and
    /// the log is empty. Segments are files, found by the names that they had.
    ///
    /// A crash in the middle loses nothing: the next opening does it again.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = dir.path().join("log");
    /// # lrvm::create_log(&log, 1 << 20)?;
    /// use lrvm::{Options, Truncation};
    ///
    /// let options = Options::new().truncation(Truncation::Epoch).threshold(75).background(false);
    /// let rvm = options.open(&log)?;
    /// # rvm.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::SegmentTooShort`], [`Error::InUse`], [`Error::Option`]; the system's.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Rvm> {
        let path = path.as_ref();
        let name: Arc<str> = path.display().to_string().into();
        let system = |source| open_error(&name, source);
        let device = FileDevice::open(path).map_err(system)?;
        // Where it really lies, whatever leads there: names are kept relative to that.
        let devices = path.canonicalize().and_then(|path| FileSystem::beside(&path)).map_err(system)?;
        self.open_on(Box::new(device), Box::new(devices), &name)
    }

    /// The same on devices of any kind; `name` is what errors call the log.
    ///
    /// Example: see [`FileSystem`].
    ///
    /// # Errors
    /// As [`open`](Options::open).
    pub fn open_on(&self, log: Box<dyn Device>, segments: Box<dyn Devices>, name: &str) -> Result<Rvm> {
        self.check()?;
        Rvm::start(*self, log, segments, name.into())
    }

    fn check(&self) -> Result<()> {
        check_threshold(self.threshold)?;
        let option = |option, found, expected| Err(Error::Option { option, found, expected });
        if self.read_len == 0 || usize::try_from(self.read_len).is_err() {
            return option("read_len", self.read_len, "a length that fits the memory, at least 1");
        }
        if self.status_interval == 0 {
            return option("status_interval", 0, "at least 1");
        }
        Ok(())
    }

    pub(crate) fn tuning(&self, ring_len: u64) -> Tuning {
        Tuning {
            threshold: self.threshold,
            truncation: self.truncation,
            coalesce_ranges: self.coalesce_ranges,
            coalesce_transactions: self.coalesce_transactions,
            spool_len: self.spool_len.unwrap_or(ring_len / 4).min(ring_len),
        }
    }
}

pub(crate) fn check_threshold(threshold: u8) -> Result<()> {
    if (1..=100).contains(&threshold) {
        return Ok(());
    }
    Err(Error::Option { option: "threshold", found: threshold.into(), expected: "1 to 100 per cent" })
}

pub(crate) fn open_error(name: &Arc<str>, source: std::io::Error) -> Error {
    if source.kind() == std::io::ErrorKind::ResourceBusy {
        Error::InUse { name: name.clone() }
    } else {
        Error::system(name, "open", source)
    }
}

/// Makes a log with room for `len` bytes of records: a file, all of it really written, that has its name when it is
/// whole. A crash in the middle may leave a hidden file beside it, and no log.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// let log = dir.path().join("log");
/// lrvm::create_log(&log, 1 << 20)?;
/// assert!(lrvm::create_log(&log, 1 << 20).is_err(), "there is one");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::Option`] unless `len` is whole pages; the system's, where there is something of this name or no space.
pub fn create_log(path: impl AsRef<Path>, len: u64) -> Result<()> {
    let path = path.as_ref();
    let created = FileDevice::create(path, log::device_len(len)?, |device| log::format(device));
    created.map(drop).map_err(|source| Error::system(&path.display().to_string().into(), "create", source))
}

/// Makes an empty log of a device with room for its fixed part of 270,336 bytes and one page at least, whatever it
/// holds. Durable on return; a crash in the middle leaves what is no log, or an empty one.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// use lrvm::FileDevice;
///
/// let device = FileDevice::create(dir.path().join("log"), 1 << 20, |_| Ok(()))?;
/// lrvm::create_log_on(&device)?;
/// # let short = FileDevice::create(dir.path().join("short"), 4096, |_| Ok(()))?;
/// assert!(lrvm::create_log_on(&short).is_err(), "4096 bytes are no log");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::Option`] if it is too short; the system's.
pub fn create_log_on(device: &dyn Device) -> Result<()> {
    let ring_len = device.len().saturating_sub(crate::layout::RING_OFFSET);
    log::device_len(ring_len / crate::layout::PAGE_LEN * crate::layout::PAGE_LEN)?;
    log::format(device).map_err(|source| Error::system(&"log device".into(), "create", source))
}

/// Makes a segment of `len` bytes: a file of zeroes, all of it really written, that has its name when it is whole.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// lrvm::create_segment(dir.path().join("data"), 8192)?;
/// assert!(lrvm::create_segment(dir.path().join("odd"), 100).is_err(), "no whole pages");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::Unaligned`] unless `len` is whole pages; the system's, where there is something of this name or no space.
pub fn create_segment(path: impl AsRef<Path>, len: u64) -> Result<()> {
    if len == 0 || !len.is_multiple_of(crate::layout::PAGE_LEN) {
        return Err(Error::Unaligned { offset: 0, len });
    }
    let path = path.as_ref();
    let created = FileDevice::create(path, len, |_| Ok(()));
    created.map(drop).map_err(|source| Error::system(&path.display().to_string().into(), "create", source))
}
