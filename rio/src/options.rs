//! How a region is created or opened. Start at [`RegionOptions`].

use std::path::Path;
use std::time::Duration;

use crate::{DomainChoice, Error, Region};

/// Address space that is set aside where nothing else is asked for: 256 GiB for each view. It costs no memory.
pub(crate) const DEFAULT_RESERVE: u64 = 256 << 30;

/// Options for creating and opening a [`Region`], ended by one of the methods that do it.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// use std::time::Duration;
///
/// let region = rio::Region::options()
///     .size(1 << 20)
///     .lock_wait(Duration::from_secs(2))
///     .open_or_create(dir.path().join("accounts"))?;
/// assert_eq!(region.len(), 1 << 20);
/// region.close()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing until one of the methods that create or open is called"]
pub struct RegionOptions {
    pub(crate) size: Option<u64>,
    pub(crate) domain: DomainChoice,
    pub(crate) protection: bool,
    pub(crate) huge_pages: bool,
    pub(crate) prefault: bool,
    pub(crate) accept_reboot: bool,
    pub(crate) reserve: u64,
    pub(crate) max_len: u64,
    pub(crate) lock_wait: Duration,
    pub(crate) private: bool,
}

impl Default for RegionOptions {
    fn default() -> Self {
        RegionOptions::new()
    }
}

impl RegionOptions {
    /// The defaults: protected, no hints, 256 GiB of address space, no waiting.
    ///
    /// ```
    /// let options = rio::RegionOptions::new(); // As `rio::Region::options()`.
    /// assert!(options.anonymous().is_err(), "a size is needed to create a region");
    /// ```
    pub fn new() -> Self {
        RegionOptions {
            size: None,
            domain: DomainChoice::Auto,
            protection: true,
            huge_pages: false,
            prefault: false,
            accept_reboot: false,
            reserve: DEFAULT_RESERVE,
            max_len: u64::MAX,
            lock_wait: Duration::ZERO,
            private: false,
        }
    }

    /// Length of a new region in bytes, with its header of [`HEADER_LEN`](crate::HEADER_LEN) bytes; rounded up to
    /// whole pages. Needed to create a region, but for a DAX device, where the default is all of it. An existing
    /// region keeps its own length.
    ///
    /// ```
    /// let region = rio::Region::options().size((1 << 20) + 1).anonymous()?;
    /// assert_eq!(region.len(), (1 << 20) + 4096);
    /// # Ok::<_, rio::Error>(())
    /// ```
    pub fn size(mut self, bytes: u64) -> Self {
        self.size = Some(bytes);
        self
    }

    /// The domain to flush and fence for; the default is the one that the file lies in.
    ///
    /// ```
    /// use rio::{Domain, DomainChoice, Region};
    ///
    /// let region = Region::options().size(1 << 20).domain(DomainChoice::Forced(Domain::Eadr)).anonymous()?;
    /// assert_eq!(region.domain(), Domain::Eadr);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn domain(mut self, choice: DomainChoice) -> Self {
        self.domain = choice;
        self
    }

    /// Whether readers get a view of their own through which nothing can be stored (the default), at the price of
    /// a second TLB entry for pages used through both. Without it guards remain.
    ///
    /// ```
    /// let region = rio::Region::options().size(1 << 20).protection(false).anonymous()?;
    /// assert!(!region.is_protected());
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn protection(mut self, protection: bool) -> Self {
        self.protection = protection;
        self
    }

    /// Asks the kernel for huge pages. Nothing happens if it has none for this file.
    ///
    /// ```
    /// let region = rio::Region::options().size(4 << 20).huge_pages(true).anonymous()?; // If there are any.
    /// # Ok::<_, rio::Error>(())
    /// ```
    pub fn huge_pages(mut self, huge_pages: bool) -> Self {
        self.huge_pages = huge_pages;
        self
    }

    /// Asks for all pages to be there when the region is, so that no later access takes a page fault. On a disk
    /// file this marks every page as changed, and the kernel writes them all. Nothing happens before Linux 5.14.
    ///
    /// ```
    /// let region = rio::Region::options().size(1 << 20).prefault(true).anonymous()?; // Slower here, not later.
    /// # Ok::<_, rio::Error>(())
    /// ```
    pub fn prefault(mut self, prefault: bool) -> Self {
        self.prefault = prefault;
        self
    }

    /// Opens a region though it was left open when the system went down and its bytes may have been written back
    /// in any order: for callers who can tell by themselves whether the content is good.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("region");
    /// # rio::Region::create(&path, 1 << 20)?.close()?;
    /// use rio::{Error, Region};
    ///
    /// let region = match Region::open(&path) {
    ///     Err(Error::LeftOpenAcrossReboot { .. }) => {
    ///         Region::options().accept_reboot(true).open(&path)? // And then checks its content.
    ///     }
    ///     other => other?,
    /// };
    /// # region.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn accept_reboot(mut self, accept: bool) -> Self {
        self.accept_reboot = accept;
        self
    }

    /// Address space to set aside for each view, in bytes, rounded up to 2 MiB. A region grows to this length
    /// without moving, and no further until it is opened again with more. It costs no memory; a process has some
    /// 128 TiB. Where the system refuses (a limit on address space) it is halved until it fits, leaving half of
    /// what the system would have given to others; [`Region::reserved_len`] tells what became of it.
    ///
    /// ```
    /// let region = rio::Region::options().size(1 << 20).reserve(1 << 24).anonymous()?;
    /// assert!(region.reserved_len() <= 1 << 24); // Less where the system refuses.
    /// # Ok::<_, rio::Error>(())
    /// ```
    pub fn reserve(mut self, bytes: u64) -> Self {
        self.reserve = bytes;
        self
    }

    /// The length beyond which the region shall not grow, in bytes; the default is the reservation.
    ///
    /// ```
    /// use rio::{Medium, Region};
    ///
    /// let mut region = Region::options().size(1 << 20).max_len(2 << 20).anonymous()?;
    /// region.grow(2 << 20)?;
    /// assert!(region.grow(3 << 20).is_err());
    /// # Ok::<_, rio::Error>(())
    /// ```
    pub fn max_len(mut self, bytes: u64) -> Self {
        self.max_len = bytes;
        self
    }

    /// How long to wait for another owner to let go; the default is not at all.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("region");
    /// use std::time::Duration;
    ///
    /// let owner = rio::Region::create(&path, 1 << 20)?;
    /// let options = rio::Region::options().lock_wait(Duration::from_millis(10));
    /// assert!(matches!(options.open(&path), Err(rio::Error::Locked { .. })));
    /// owner.close()?;
    /// options.open(&path)?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn lock_wait(mut self, limit: Duration) -> Self {
        self.lock_wait = limit;
        self
    }

    /// Opens for looking: the file is opened without the right to write, stores stay in this process's copies of
    /// the pages, and closing writes nothing. Private openers share the file with each other, and exclude owners
    /// as owners exclude them. There is one view, so stores through it are not caught; the region cannot grow and
    /// survives nothing. A DAX device cannot be opened so. For opening only: creating refuses it.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("region");
    /// # rio::Region::create(&path, 1 << 20)?.close()?;
    /// let mut copy = rio::Region::options().private(true).open(&path)?;
    /// copy.bytes_mut(8192..8193)?[0] = 1;
    /// drop(copy);
    /// assert_eq!(rio::Region::open(&path)?.bytes(8192..8193)?, [0]);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn private(mut self, private: bool) -> Self {
        self.private = private;
        self
    }

    /// Creates a region of [`size`](Self::size) bytes, all zero but for the header. The file appears under its
    /// name at one moment, whole: its blocks are allocated and its header is durable. A crash before that leaves
    /// no file of that name.
    ///
    /// The name may lie on a file system without nameless files (such as some network or overlay file systems);
    /// there a crash can leave a file called `.NAME.….unfinished` beside it, which may be deleted.
    ///
    /// A DAX device has its name already: it is zeroed, and the header written last. A crash before that leaves a
    /// device without a header.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("region");
    /// use rio::{Error, Region};
    ///
    /// Region::options().size(1 << 20).create(&path)?.close()?;
    /// assert!(matches!(Region::options().size(1 << 20).create(&path), Err(Error::AlreadyExists { .. })));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] if anything has the name, or the device bears a region; it is left untouched.
    /// [`Error::NoSpace`] if the blocks cannot be allocated. [`Error::BadOption`] without a size, or with one that
    /// does not fit. [`Error::System`] for what the system refuses.
    pub fn create(&self, path: impl AsRef<Path>) -> Result<Region, Error> {
        self.create_with(path, Ok)
    }

    /// As [`create`](Self::create); `init` gives the region its first content before the file has its name, so
    /// that a crash leaves either no file or one with that content, durable. It takes the region and gives the same
    /// one back, so that what is built on a region can be put on it meanwhile.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("region");
    /// let region = rio::Region::options().size(1 << 20).create_with(&path, |mut region| {
    ///     region.bytes_mut(8192..8195)?.copy_from_slice(b"abc");
    ///     Ok::<_, rio::Error>(region)
    /// })?;
    /// assert_eq!(region.bytes(8192..8195)?, b"abc");
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`create`](Self::create), and whatever `init` returns; no file is left then.
    pub fn create_with<E: From<Error>>(
        &self,
        path: impl AsRef<Path>,
        init: impl FnOnce(Region) -> Result<Region, E>,
    ) -> Result<Region, E> {
        Region::create_by(self, path.as_ref(), init)
    }

    /// Opens the region of this name. Nothing is ever created, formatted or repaired in place of what cannot be
    /// read. The region is marked as open, durably, before it is returned.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("region");
    /// use rio::{Error, Region};
    ///
    /// assert!(matches!(Region::options().open(&path), Err(Error::System { .. })), "there is none");
    /// std::fs::write(&path, [7; 9000])?;
    /// assert!(matches!(Region::options().open(&path), Err(Error::Damaged { .. })), "and this is none");
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Damaged`] or [`Error::Version`] if the file holds no region, or is cut short;
    /// [`Error::Locked`] if another owner has it; [`Error::LeftOpenAcrossReboot`] as described there;
    /// [`Error::System`] for what the system refuses, a missing file among it. The file is left untouched.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Region, Error> {
        Region::open_by(self, path.as_ref())
    }

    /// Opens the region of this name, or creates it if nothing has the name. Of two that race, one creates and the
    /// other opens (and waits, if it may). [`Region::was_created`] tells which it was.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("region");
    /// let region = rio::Region::options().size(1 << 20).open_or_create(&path)?;
    /// assert!(region.was_created());
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`open`](Self::open) and [`create`](Self::create).
    pub fn open_or_create(&self, path: impl AsRef<Path>) -> Result<Region, Error> {
        self.open_or_create_with(path, Ok)
    }

    /// As [`open_or_create`](Self::open_or_create), with the first content as in
    /// [`create_with`](Self::create_with). `init` is called at most once; what it made is dropped if another was
    /// faster.
    ///
    /// A crash in the middle leaves no file of this name, or one with that content.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("region");
    /// let options = rio::Region::options().size(1 << 20);
    /// let region = options.open_or_create_with(&path, |mut region| {
    ///     region.bytes_mut(rio::HEADER_LEN..rio::HEADER_LEN + 5)?.copy_from_slice(b"first"); // If it is created.
    ///     Ok::<_, rio::Error>(region)
    /// })?;
    /// assert_eq!(region.bytes(rio::HEADER_LEN..rio::HEADER_LEN + 5)?, b"first");
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`open`](Self::open) and [`create_with`](Self::create_with).
    pub fn open_or_create_with<E: From<Error>>(
        &self,
        path: impl AsRef<Path>,
        init: impl FnOnce(Region) -> Result<Region, E>,
    ) -> Result<Region, E> {
        Region::open_or_create_by(self, path.as_ref(), init)
    }

    /// A region of [`size`](Self::size) bytes in memory without a name, which ends with the process.
    ///
    /// ```
    /// let region = rio::Region::options().size(1 << 20).anonymous()?;
    /// assert!(!region.survives().process_crash);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn anonymous(&self) -> Result<Region, Error> {
        Region::anonymous_by(self)
    }
}
