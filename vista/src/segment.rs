//! A segment: a region with its log, its heap and its root. What the user opens.
//!
//! Start at [`Segment::create`] and [`Segment::transaction`].

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rio::{Medium, Region};

use crate::check::{Block, Stats, Violation};
use crate::core::Core;
use crate::error::Result;
use crate::layout::PAGE_LEN;
use crate::leak::Settled;
use crate::space::Place;
use crate::{Error, PPtr, PSlice, Persistent, Recovery, SegmentOptions, Transaction, format, layout_of};

/// Persistent memory with a root of type `R`, changed by transactions.
///
/// Writing needs `&mut Segment`, reading `&Segment`, which may be shared between threads: the borrow checker is
/// all the isolation there is, and no lock is on the path.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("counters");
/// use vista::Segment;
///
/// let mut counters = Segment::<[u64; 4]>::open_or_create(&path, 1 << 20)?;
/// counters.transaction(|tx| -> vista::Result<()> {
///     tx.root_mut()?[2] += 1;
///     Ok(())
/// })?;
/// assert_eq!(counters.root()?[2], 1);
/// counters.close()?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # What a crash leaves
/// All transactions that had committed, and nothing of the one that had not: opening rolls it back. That holds for every
/// failure that the medium [survives](rio::Region::survives); after any other the file may be refused, or damaged.
///
/// Dropping a segment closes it as well as it can; [`close`](Segment::close) tells of errors.
pub struct Segment<R: Persistent, M: Medium = Region> {
    inner: Settled<M>,
    root: Place<R>,
    recovery: Recovery,
    name: Arc<str>,
}

impl<R: Persistent, M: Medium> fmt::Debug for Segment<R, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<R: Persistent, M: Medium> Segment<R, M> {
    /// Formats a medium, which must be all zero, and opens it. The root is all zero.
    ///
    /// The segment header is written last: after a crash in the middle the medium does not open as a segment.
    ///
    /// ```
    /// use vista::Segment;
    /// use vista::rio::Buffer;
    ///
    /// let segment = Segment::<u64, Buffer>::create_on(Buffer::new(1 << 20, 1 << 20), 4096)?;
    /// assert_eq!(*segment.root()?, 0);
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::BadOption`] if the medium is too short or too long for a segment, or `log_len` for its log;
    /// [`Error::Damaged`] if there is something where the segment header belongs; it is left as it is.
    pub fn create_on(medium: M, log_len: u64) -> Result<Self> {
        let root = layout_of::<R>();
        let core = format::create(medium, log_len, size_of::<R>() as u64, align_of::<R>() as u64, &root)?;
        Self::with_core(core, Recovery::default())
    }

    /// Opens a medium that holds a segment: rolls back what had not committed, and checks that the root is an `R`.
    ///
    /// ```
    /// use vista::Segment;
    /// use vista::rio::Buffer;
    ///
    /// let segment = Segment::<u64, Buffer>::create_on(Buffer::new(1 << 20, 1 << 20), 4096)?;
    /// let segment = Segment::<u64, Buffer>::open_on(segment.into_medium()?)?;
    /// assert_eq!(segment.recovery().transaction, 0, "nothing was in flight");
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Damaged`] names the first thing that is not what vista wrote; [`Error::RootMismatch`] shows both
    /// types. Nothing is changed but by the rollback, which happens before the root is looked at.
    pub fn open_on(medium: M) -> Result<Self> {
        let (core, recovery) = format::open(medium)?;
        Self::with_core(core, recovery)
    }

    pub(crate) fn with_core(mut core: Core<M>, recovery: Recovery) -> Result<Self> {
        let root: Place<R> = format::root_place(&core)?;
        core.root = root.bytes();
        Ok(Segment { root, recovery, name: core.name.clone(), inner: Settled::new(core) })
    }

    /// What opening had to roll back.
    ///
    /// ```
    /// # let segment = vista::SegmentOptions::new().size(1 << 20).anonymous::<u64>()?;
    /// assert_eq!(segment.recovery().record_count, 0);
    /// # Ok::<_, vista::Error>(())
    /// ```
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// The path, or what else the medium is called.
    ///
    /// ```
    /// # let segment = vista::SegmentOptions::new().size(1 << 20).anonymous::<u64>()?;
    /// assert_eq!(segment.name(), "<anonymous>");
    /// # Ok::<_, vista::Error>(())
    /// ```
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn name_shared(&self) -> Arc<str> {
        self.name.clone()
    }

    /// The medium below, for what it knows of itself: its domain, its length.
    ///
    /// ```
    /// # let segment = vista::SegmentOptions::new().size(1 << 20).anonymous::<u64>()?;
    /// println!("{}, survives {}", segment.medium()?.domain(), segment.medium()?.survives());
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Poisoned`] after a rollback that failed.
    pub fn medium(&self) -> Result<&M> {
        Ok(self.inner.read()?.space.medium())
    }

    /// The root.
    ///
    /// ```
    /// # let segment = vista::SegmentOptions::new().size(1 << 20).anonymous::<[u64; 2]>()?;
    /// assert_eq!(*segment.root()?, [0, 0], "a new root is all zero");
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Poisoned`] after a rollback that failed.
    #[inline]
    pub fn root(&self) -> Result<&R> {
        Ok(&self.inner.read()?.space.read(self.root)[0])
    }

    /// Pointer to the root.
    ///
    /// ```
    /// # let segment = vista::SegmentOptions::new().size(1 << 20).anonymous::<[u64; 2]>()?;
    /// let second = segment.root_ptr().at(1).unwrap();
    /// assert_eq!(*segment.get(second)?, 0);
    /// # Ok::<_, vista::Error>(())
    /// ```
    #[inline]
    pub fn root_ptr(&self) -> PPtr<R> {
        PPtr::from_offset(self.root.offset())
    }

    /// Reads a value.
    ///
    /// ```
    /// # use vista::{Error, PPtr, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PPtr<u64>>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     *tx.root_mut()? = tx.alloc(7)?;
    ///     Ok(())
    /// })?;
    /// let ptr = *segment.root()?;
    /// assert_eq!(*segment.get(ptr)?, 7);
    /// // A pointer is checked when it is followed, wherever it came from.
    /// assert!(matches!(segment.get(PPtr::<u64>::from_offset(8192)), Err(Error::BadPointer { .. })));
    /// # Ok::<_, Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NullPointer`]; [`Error::BadPointer`] if it leads out of the user data or is not aligned;
    /// [`Error::Poisoned`] after a rollback that failed.
    #[inline]
    pub fn get<T: Persistent>(&self, ptr: PPtr<T>) -> Result<&T> {
        let core = self.inner.read()?;
        Ok(&core.space.read(core.follow(ptr)?)[0])
    }

    /// Reads a slice. An empty one can always be read.
    ///
    /// ```
    /// # let segment = vista::SegmentOptions::new().size(1 << 20).anonymous::<[u64; 4]>()?;
    /// let middle = segment.root_ptr().as_slice().slice(1..3).unwrap();
    /// assert_eq!(segment.slice(middle)?, [0, 0]);
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](Segment::get).
    #[inline(always)]
    pub fn slice<T: Persistent>(&self, slice: PSlice<T>) -> Result<&[T]> {
        let core = self.inner.read()?;
        Ok(core.space.read(core.follow_slice(slice)?))
    }

    /// Runs a transaction: commits if the closure returns `Ok`, rolls back if it returns `Err` or panics. A crash in the
    /// middle leaves what a rollback would have left.
    ///
    /// ```
    /// # use vista::{Error, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<i64>()?;
    /// let result = segment.transaction(|tx| {
    ///     *tx.root_mut()? -= 10;
    ///     if *tx.root() < 0 { Err("not enough".into()) } else { Ok(()) }
    /// });
    /// # let _: &Result<(), Box<dyn std::error::Error>> = &result;
    /// assert!(result.is_err());
    /// assert_eq!(*segment.root()?, 0);
    /// # Ok::<_, Error>(())
    /// ```
    ///
    /// # Errors
    /// What the closure returns, or an error of [`begin`](Segment::begin) or of
    /// [`commit`](Transaction::commit); the segment is then as it was before.
    #[inline]
    pub fn transaction<T, E: From<Error>>(
        &mut self,
        f: impl FnOnce(&mut Transaction<'_, R, M>) -> Result<T, E>,
    ) -> Result<T, E> {
        let (inner, is_open) = self.inner.begin()?;
        let mut tx = Transaction::begin(inner, is_open);
        let done = f(&mut tx)?;
        tx.commit_in_place()?;
        Ok(done)
    }

    /// Begins a transaction, which [`commit`](Transaction::commit) ends, and everything else rolls back.
    ///
    /// ```
    /// # use vista::{Error, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<u64>()?;
    /// let mut tx = segment.begin()?;
    /// *tx.root_mut()? = 1;
    /// tx.commit()?;
    ///
    /// let mut tx = segment.begin()?;
    /// *tx.root_mut()? = 2;
    /// drop(tx);
    /// assert_eq!(*segment.root()?, 1);
    /// # Ok::<_, Error>(())
    /// ```
    ///
    /// A transaction that was forgotten (`mem::forget`) is rolled back now.
    ///
    /// # Errors
    /// [`Error::Poisoned`] after a rollback that failed.
    #[inline]
    pub fn begin(&mut self) -> Result<Transaction<'_, R, M>> {
        let (inner, is_open) = self.inner.begin()?;
        Ok(Transaction::begin(inner, is_open))
    }
}

impl<R: Persistent, M: Medium> Segment<R, M> {
    /// Sizes and counts. Walks over the descriptors of all pages in use: time grows with the data, at 64 bytes read
    /// per page of 4 KiB.
    ///
    /// ```
    /// # let segment = vista::SegmentOptions::new().size(1 << 20).anonymous::<u64>()?;
    /// let stats = segment.stats()?;
    /// assert_eq!((stats.block_count, stats.len), (1, 1 << 20), "one block: the root");
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Poisoned`] after a rollback that failed.
    pub fn stats(&self) -> Result<Stats> {
        Ok(self.inner.read()?.stats())
    }

    /// Every broken invariant of root and heap; empty for a sound segment. Changes nothing. Takes the time of
    /// [`stats`](Segment::stats).
    ///
    /// ```
    /// # use vista::{Error, SegmentOptions};
    /// # let segment = SegmentOptions::new().size(1 << 20).anonymous::<u64>()?;
    /// assert_eq!(segment.check()?, []);
    /// # Ok::<_, Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Poisoned`] after a rollback that failed.
    pub fn check(&self) -> Result<Vec<Violation>> {
        Ok(self.inner.read()?.check_heap())
    }

    /// All allocated blocks, by offset: to compare with what can be reached from the root.
    ///
    /// ```
    /// # use vista::{Error, SegmentOptions};
    /// # let segment = SegmentOptions::new().size(1 << 20).anonymous::<u64>()?;
    /// let blocks = segment.blocks()?;
    /// assert_eq!(blocks.len(), 1, "the root is a block, and there is no other");
    /// assert_eq!(blocks[0].offset, segment.root_ptr().offset());
    /// # Ok::<_, Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Poisoned`] after a rollback that failed.
    pub fn blocks(&self) -> Result<Vec<Block>> {
        Ok(self.inner.read()?.blocks())
    }

    /// Adds room for at least `bytes` more, in one piece, so that no later transaction has to. Nothing moves. A crash in
    /// the middle leaves the segment as it was, or longer.
    ///
    /// ```
    /// # let mut segment = vista::SegmentOptions::new().size(1 << 20).anonymous::<u64>()?;
    /// segment.grow(1 << 20)?;
    /// assert!(segment.stats()?.len >= 2 << 20);
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoSpace`] beyond the configured limit, [`Error::Medium`] if the system has no room.
    pub fn grow(&mut self, bytes: u64) -> Result<()> {
        let (inner, _) = self.inner.begin()?;
        inner.core.add_zone(bytes.div_ceil(PAGE_LEN).max(1))?;
        Ok(())
    }

    /// The medium, without closing it. A transaction that was forgotten is rolled back.
    ///
    /// ```
    /// use vista::rio::{Buffer, Medium};
    /// use vista::Segment;
    ///
    /// let segment = Segment::<u64, Buffer>::create_on(Buffer::new(1 << 20, 1 << 20), 4096)?;
    /// let buffer = segment.into_medium()?;
    /// assert_eq!(buffer.len(), 1 << 20);
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Poisoned`] after a rollback that failed.
    pub fn into_medium(self) -> Result<M> {
        Ok(self.into_core()?.space.into_medium())
    }

    pub(crate) fn into_core(mut self) -> Result<Core<M>> {
        self.inner.begin()?;
        Ok(self.inner.into_core())
    }

    /// Makes everything durable and marks the medium as cleanly closed.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("segment");
    /// let segment = vista::Segment::<u64>::create(&path, 1 << 20)?;
    /// segment.close()?; // On a disk it opens in the next boot as well.
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The medium's error; it then stays marked as open, which is always safe. [`Error::Poisoned`] after a rollback
    /// that failed.
    pub fn close(self) -> Result<()> {
        Ok(self.into_medium()?.close()?)
    }
}

impl<R: Persistent> Segment<R> {
    /// The ways to create and open; see [`SegmentOptions`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("segment");
    /// let segment = vista::Segment::<u64>::options().size(1 << 20).log_len(8192).create::<u64>(&path)?;
    /// assert_eq!(segment.stats()?.log_len, 8192);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn options() -> SegmentOptions {
        SegmentOptions::new()
    }

    /// Creates a segment of `size` bytes with a root of zeroes. The file appears under its name whole, or not at all.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("segment");
    /// let segment = vista::Segment::<u64>::create(&path, 1 << 20)?;
    /// assert!(vista::Segment::<u64>::create(&path, 1 << 20).is_err(), "there is one");
    /// # segment.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`SegmentOptions::create`].
    pub fn create(path: impl AsRef<Path>, size: u64) -> Result<Self> {
        SegmentOptions::new().size(size).create(path)
    }

    /// Opens a segment, rolling back what had not committed.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("segment");
    /// # vista::Segment::<u64>::create(&path, 1 << 20)?.close()?;
    /// use vista::{Error, Segment};
    ///
    /// let segment = Segment::<u64>::open(&path)?;
    /// # segment.close()?;
    /// assert!(matches!(Segment::<u32>::open(&path), Err(Error::RootMismatch { .. })));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`SegmentOptions::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        SegmentOptions::new().open(path)
    }

    /// Opens the segment of this name, or creates it with `size` bytes if nothing has the name.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("segment");
    /// let segment = vista::Segment::<u64>::open_or_create(&path, 1 << 20)?;
    /// assert_eq!(*segment.root()?, 0);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`SegmentOptions::open_or_create`].
    pub fn open_or_create(path: impl AsRef<Path>, size: u64) -> Result<Self> {
        SegmentOptions::new().size(size).open_or_create(path)
    }

    /// Writes everything to the medium below, so that it survives the kernel too if nothing changes until then. No
    /// substitute for a persistence domain: a crash of the kernel later may still write pages back in any order.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("segment");
    /// let segment = vista::Segment::<u64>::create(&path, 1 << 20)?;
    /// segment.sync()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The system's error.
    pub fn sync(&self) -> Result<()> {
        Ok(self.medium()?.sync()?)
    }
}
