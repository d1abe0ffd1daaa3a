//! How a segment is created or opened: a region's options, and the length of the log.

use std::path::Path;
use std::time::Duration;

use rio::{DomainChoice, Region, RegionOptions};

use crate::error::Result;
use crate::layout::PAGE_LEN;
use crate::{Error, Persistent, Segment, Transaction};

/// A transaction whose log is longer than this is rare, and does without: its log goes on in the free space.
const LOG_LEN_DEFAULT_MAX: u64 = 1 << 20;

/// How a segment is created or opened. What is not said has a sensible default; only creating needs a
/// [`size`](SegmentOptions::size).
///
/// ```
/// use vista::SegmentOptions;
///
/// let dir = tempfile::tempdir()?;
/// let path = dir.path().join("counter");
/// let mut counter = SegmentOptions::new().size(1 << 20).open_or_create::<u64>(&path)?;
/// counter.transaction(|tx| {
///     *tx.root_mut()? += 1;
///     Ok::<_, vista::Error>(())
/// })?;
/// assert_eq!(*counter.root()?, 1);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SegmentOptions {
    region: RegionOptions,
    size: Option<u64>,
    log_len: Option<u64>,
}

impl Default for SegmentOptions {
    fn default() -> Self {
        SegmentOptions::new()
    }
}

impl SegmentOptions {
    /// The defaults.
    ///
    /// ```
    /// let segment = vista::SegmentOptions::new().size(1 << 20).anonymous::<u64>()?;
    /// assert_eq!(*segment.root()?, 0);
    /// # Ok::<_, vista::Error>(())
    /// ```
    pub fn new() -> Self {
        SegmentOptions { region: RegionOptions::new(), size: None, log_len: None }
    }

    /// Length of a new segment in bytes, rounded up to pages. Its blocks are allocated at once, so that a full disk is
    /// an error now.
    ///
    /// ```
    /// let segment = vista::SegmentOptions::new().size((1 << 20) + 1).anonymous::<u64>()?;
    /// assert_eq!(segment.stats()?.len, (1 << 20) + 4096);
    /// # Ok::<_, vista::Error>(())
    /// ```
    pub fn size(mut self, bytes: u64) -> Self {
        self.size = Some(bytes);
        self.region = self.region.size(bytes);
        self
    }

    /// Length to which the segment may grow on demand, in bytes. By default the address space that was
    /// [reserved](SegmentOptions::reserve).
    ///
    /// ```
    /// use vista::{Error, SegmentOptions};
    ///
    /// let mut segment = SegmentOptions::new().size(1 << 20).max_len(1 << 20).anonymous::<u64>()?;
    /// let full = segment.transaction(|tx| tx.alloc_slice_zeroed::<u64>(1 << 20));
    /// assert!(matches!(full, Err(Error::NoSpace { .. })));
    /// # Ok::<_, vista::Error>(())
    /// ```
    pub fn max_len(mut self, bytes: u64) -> Self {
        self.region = self.region.max_len(bytes);
        self
    }

    /// Address space to reserve at open, in bytes: a segment grows without moving, and no further than this.
    ///
    /// ```
    /// let segment = vista::SegmentOptions::new().size(1 << 20).reserve(1 << 24).anonymous::<u64>()?;
    /// assert_eq!(segment.stats()?.max_len, 1 << 24);
    /// # Ok::<_, vista::Error>(())
    /// ```
    pub fn reserve(mut self, bytes: u64) -> Self {
        self.region = self.region.reserve(bytes);
        self
    }

    /// Length of the log's first extent in a new segment, in bytes: whole pages. By default a 64th of the segment,
    /// between a page and 1 MiB. A transaction may be larger: its log then goes on in the free space.
    ///
    /// ```
    /// let segment = vista::SegmentOptions::new().size(1 << 20).log_len(16384).anonymous::<u64>()?;
    /// assert_eq!(segment.stats()?.log_len, 16384);
    /// # Ok::<_, vista::Error>(())
    /// ```
    pub fn log_len(mut self, bytes: u64) -> Self {
        self.log_len = Some(bytes);
        self
    }

    /// The persistence domain: found at open, or forced.
    ///
    /// ```
    /// use vista::SegmentOptions;
    /// use vista::rio::{Domain, DomainChoice};
    ///
    /// let options = SegmentOptions::new().size(1 << 20).domain(DomainChoice::Forced(Domain::Adr));
    /// assert_eq!(options.anonymous::<u64>()?.medium()?.domain(), Domain::Adr);
    /// # Ok::<_, vista::Error>(())
    /// ```
    pub fn domain(mut self, choice: DomainChoice) -> Self {
        self.region = self.region.domain(choice);
        self
    }

    /// Whether readers get a read-only view, so that a stray store through what they hold kills the process and
    /// spares the bytes. On by default.
    ///
    /// ```
    /// use vista::rio::Medium;
    ///
    /// let segment = vista::SegmentOptions::new().size(1 << 20).protection(false).anonymous::<u64>()?;
    /// let region = segment.medium()?;
    /// assert!(std::ptr::eq(region.read_base(), region.write_base())); // One view for both.
    /// # Ok::<_, vista::Error>(())
    /// ```
    pub fn protection(mut self, protection: bool) -> Self {
        self.region = self.region.protection(protection);
        self
    }

    /// Hint: map with huge pages.
    ///
    /// ```
    /// let options = vista::SegmentOptions::new().size(4 << 20).huge_pages(true);
    /// let segment = options.anonymous::<u64>()?; // Also where the system has none.
    /// assert_eq!(*segment.root()?, 0);
    /// # Ok::<_, vista::Error>(())
    /// ```
    pub fn huge_pages(mut self, huge_pages: bool) -> Self {
        self.region = self.region.huge_pages(huge_pages);
        self
    }

    /// Hint: touch all pages at open rather than one by one later.
    ///
    /// ```
    /// let options = vista::SegmentOptions::new().size(1 << 20).prefault(true);
    /// let segment = options.anonymous::<u64>()?; // Slower here, and without page faults from here on.
    /// assert_eq!(*segment.root()?, 0);
    /// # Ok::<_, vista::Error>(())
    /// ```
    pub fn prefault(mut self, prefault: bool) -> Self {
        self.region = self.region.prefault(prefault);
        self
    }

    /// Opens also what was left open across a reboot. The kernel wrote such a file back in no order: be sure that you
    /// can check its content. Without this it is refused.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("segment");
    /// # vista::Segment::<u64>::create(&path, 1 << 20)?.close()?;
    /// let segment = vista::SegmentOptions::new().accept_reboot(true).open::<u64>(&path)?;
    /// assert_eq!(segment.check_content()?, []); // And what the program itself knows of its data.
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn accept_reboot(mut self, accept: bool) -> Self {
        self.region = self.region.accept_reboot(accept);
        self
    }

    /// How long to wait for another owner to close the segment. Not at all by default.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("segment");
    /// use std::time::Duration;
    /// use vista::{Segment, SegmentOptions};
    ///
    /// let owner = Segment::<u64>::create(&path, 1 << 20)?;
    /// let options = SegmentOptions::new().lock_wait(Duration::from_millis(10));
    /// assert!(options.open::<u64>(&path).is_err(), "still in use");
    /// owner.close()?;
    /// options.open::<u64>(&path)?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn lock_wait(mut self, limit: Duration) -> Self {
        self.region = self.region.lock_wait(limit);
        self
    }

    /// Opens a private copy: recovery and all changes stay in this process's memory, and the file remains as it is. For
    /// tools that look.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("segment");
    /// use vista::{Segment, SegmentOptions};
    ///
    /// Segment::<u64>::create(&path, 1 << 20)?.close()?;
    /// let mut copy = SegmentOptions::new().private(true).open::<u64>(&path)?;
    /// copy.transaction(|tx| tx.write(tx.root_ptr(), 7))?;
    /// drop(copy);
    /// assert_eq!(*Segment::<u64>::open(&path)?.root()?, 0);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn private(mut self, private: bool) -> Self {
        self.region = self.region.private(private);
        self
    }

    /// Creates a segment with a root of zeroes. The file appears under its name whole, or not at all.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("segment");
    /// let segment = vista::SegmentOptions::new().size(1 << 20).create::<u64>(&path)?;
    /// assert_eq!(*segment.root()?, 0);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Medium`] with rio's reason, such as that the file exists, which is then left untouched;
    /// [`Error::BadOption`] if the size or the log's length cannot be.
    pub fn create<R: Persistent>(&self, path: impl AsRef<Path>) -> Result<Segment<R>> {
        self.create_with(path, |_| Ok(()))
    }

    /// As [`create`](SegmentOptions::create), with a transaction that fills the root before the file has its name: after
    /// a crash there is either no file or one with that content.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("answer");
    /// use vista::SegmentOptions;
    ///
    /// let options = SegmentOptions::new().size(1 << 20);
    /// let segment = options.create_with(&path, |tx| -> vista::Result<()> {
    ///     *tx.root_mut()? = 42u64;
    ///     Ok(())
    /// })?;
    /// assert_eq!(*segment.root()?, 42);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`create`](SegmentOptions::create), and what `init` returns; no file is left then.
    pub fn create_with<R: Persistent, E: From<Error>>(
        &self,
        path: impl AsRef<Path>,
        init: impl FnOnce(&mut Transaction<'_, R>) -> Result<(), E>,
    ) -> Result<Segment<R>, E> {
        let region =
            self.region.create_with(path, |region| self.fill(region, init)).map_err(Init::into_error)?;
        Ok(Segment::open_on(region)?)
    }

    /// Opens a segment, rolling back what had not committed. Nothing is ever created or formatted in place of what
    /// cannot be read.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("segment");
    /// # vista::Segment::<u64>::create(&path, 1 << 20)?.close()?;
    /// let segment = vista::SegmentOptions::new().open::<u64>(&path)?;
    /// assert_eq!(*segment.root()?, 0);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Medium`] with rio's reason, such as another owner; [`Error::Damaged`]; [`Error::RootMismatch`].
    pub fn open<R: Persistent>(&self, path: impl AsRef<Path>) -> Result<Segment<R>> {
        Segment::open_on(self.region.open(path)?)
    }

    /// Opens the segment of this name, or creates it if nothing has the name.
    ///
    /// A crash in the middle of creating leaves no file of this name, or a whole one.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("segment");
    /// let options = vista::SegmentOptions::new().size(1 << 20);
    /// for run in 1..=2_u64 {
    ///     let mut counter = options.open_or_create::<u64>(&path)?;
    ///     counter.transaction(|tx| tx.write(tx.root_ptr(), *tx.root() + 1))?;
    ///     assert_eq!(*counter.root()?, run);
    /// }
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`open`](SegmentOptions::open) and [`create`](SegmentOptions::create).
    pub fn open_or_create<R: Persistent>(&self, path: impl AsRef<Path>) -> Result<Segment<R>> {
        self.open_or_create_with(path, |_| Ok(()))
    }

    /// As [`open_or_create`](SegmentOptions::open_or_create), with the first content as in
    /// [`create_with`](SegmentOptions::create_with).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("segment");
    /// let options = vista::SegmentOptions::new().size(1 << 20);
    /// let segment = options.open_or_create_with(&path, |tx| -> vista::Result<()> {
    ///     *tx.root_mut()? = 42_u64; // If it is created.
    ///     Ok(())
    /// })?;
    /// assert_eq!(*segment.root()?, 42);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`open`](SegmentOptions::open) and [`create_with`](SegmentOptions::create_with).
    pub fn open_or_create_with<R: Persistent, E: From<Error>>(
        &self,
        path: impl AsRef<Path>,
        init: impl FnOnce(&mut Transaction<'_, R>) -> Result<(), E>,
    ) -> Result<Segment<R>, E> {
        let region = self.region.open_or_create_with(path, |region| self.fill(region, init));
        Ok(Segment::open_on(region.map_err(Init::into_error)?)?)
    }

    /// A segment in memory without a name, which ends with the process.
    ///
    /// ```
    /// let segment = vista::SegmentOptions::new().size(1 << 20).anonymous::<u64>()?;
    /// assert_eq!(*segment.root()?, 0);
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`create`](SegmentOptions::create).
    pub fn anonymous<R: Persistent>(&self) -> Result<Segment<R>> {
        Segment::create_on(self.region.anonymous()?, self.log_len_or_default())
    }

    pub(crate) fn region(&self) -> &RegionOptions {
        &self.region
    }

    /// Formats a region that has no name yet.
    fn fill<R: Persistent, E: From<Error>>(
        &self,
        region: Region,
        init: impl FnOnce(&mut Transaction<'_, R>) -> Result<(), E>,
    ) -> Result<Region, Init<E>> {
        let mut segment = Segment::create_on(region, self.log_len_or_default()).map_err(Init::Ours)?;
        segment.transaction(init).map_err(Init::Theirs)?;
        segment.into_medium().map_err(Init::Ours)
    }

    fn log_len_or_default(&self) -> u64 {
        let share = self.size.unwrap_or(0) / 64 / PAGE_LEN * PAGE_LEN;
        self.log_len.unwrap_or(share.clamp(PAGE_LEN, LOG_LEN_DEFAULT_MAX))
    }
}

/// Why a region could not be filled.
enum Init<E> {
    Ours(Error),
    Theirs(E),
}

impl<E> From<rio::Error> for Init<E> {
    fn from(error: rio::Error) -> Self {
        Init::Ours(error.into())
    }
}

impl<E: From<Error>> Init<E> {
    fn into_error(self) -> E {
        match self {
            Init::Ours(error) => error.into(),
            Init::Theirs(error) => error,
        }
    }
}
