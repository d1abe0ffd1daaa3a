//! The region: one mapped file as persistent memory.
//!
//! It has one owner, a header that says how the last owner left it, blocks for every byte, and address space to
//! grow into. A store into it survives what [`Region::survives`] says. Start at [`Region`]; how one comes to be is
//! in `opening.rs`.

#![allow(unsafe_code)] // It implements the seam, whose promises the compiler cannot check.

mod opening; // how a region comes to be: create and open

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering, compiler_fence};

use nix::errno::Errno;
use uuid::Uuid;

use crate::device::Ground;
use crate::header::{Header, State};
use crate::layout::COPY_LEN;
use crate::lock::Locked;
use crate::mapping::{self, Mapping, Sharing};
use crate::{
    Backing, Domain, Error, HEADER_LEN, Medium, RegionOptions, Survives, WriteBack, space, writeback,
};

/// A mapped file as persistent memory, owned alone as long as the value lives.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("region");
/// use rio::{HEADER_LEN, Region};
///
/// let mut region = Region::create(&path, 1 << 20)?;
/// region.bytes_mut(HEADER_LEN..HEADER_LEN + 5)?.copy_from_slice(b"hello");
/// region.close()?;
///
/// let region = Region::open(&path)?;
/// assert_eq!(region.bytes(HEADER_LEN..HEADER_LEN + 5)?, b"hello");
/// assert!(region.was_clean());
/// # Ok(())
/// # }
/// ```
///
/// # What a crash leaves
/// All bytes stored before a failure that [`survives`](Region::survives) lists, up to the last store made
/// durable as [`domain`](Region::domain) asks; the mark that the region was open; and whatever a half-done
/// [`grow`](Region::grow) had allocated, which the next owner does not see. Nothing is repaired or rolled back
/// here: a region keeps bytes, and knows no transactions.
///
/// # Dropping
/// A region that was opened with [`accept_reboot`](RegionOptions::accept_reboot) because it had been left open across
/// a reboot stays marked so until it is closed: whoever dropped it may have found that its content does not agree. Any other
/// region dropped without [`close`](Region::close) is closed as well as can be: errors go unnoticed, and then
/// it stays marked as open, which is always safe.
///
/// # Limits
/// What maps a file cannot keep others from it: a program that ignores the lock can change the bytes, and one
/// that truncates the file makes the next access die by SIGBUS, as a media error does. After a `fork` the child
/// has no such memory, and must leave the region alone; dropping or closing it there does nothing.
#[derive(Debug)]
#[repr(C)] // What every store and flush looks at stands in the first cache line.
pub struct Region {
    len: u64,
    domain: Domain,
    write_back: WriteBack,
    mapping: Mapping,

    /// Dropping it gives up the lock, so it comes after the mapping.
    file: Locked,
    path: PathBuf,
    header: Header,
    /// Which copy of the header is the newer one.
    newest: usize,
    phase: Phase,
    ground: Ground,
    survives: Survives,
    found: Option<State>,
    max_len: u64,
    private: bool,
    /// Opened at the caller's insistence, although left open across a reboot: only an explicit close makes it clean.
    is_doubtful: bool,
    hints: Hints,
    /// A sync failed. The kernel then forgets which pages it did not write, so that later syncs tell nothing.
    sync_failed: AtomicBool,
}

/// The unit of guards, whatever the kernel's pages.
const GUARD_LEN: u64 = 4096;

/// How far a region has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Being created: the medium has no header, and nobody can open it.
    Unpublished,
    /// Marked as open, but for private ones.
    Open,
    /// Nothing is to be written any more.
    Closed,
}

#[derive(Clone, Copy, Debug)]
struct Hints {
    huge_pages: bool,
    prefault: bool,
}

impl Region {
    /// Creates a region of `len` bytes: [`RegionOptions::create`] with the defaults.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("region");
    /// let region = rio::Region::create(&path, 1 << 20)?;
    /// assert!(region.was_created());
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub fn create(path: impl AsRef<Path>, len: u64) -> Result<Region, Error> {
        Region::options().size(len).create(path)
    }

    /// Opens a region: [`RegionOptions::open`] with the defaults.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("region");
    /// # rio::Region::create(&path, 1 << 20)?.close()?;
    /// let region = rio::Region::open(&path)?;
    /// assert!(!region.was_created());
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub fn open(path: impl AsRef<Path>) -> Result<Region, Error> {
        Region::options().open(path)
    }

    /// All that can be chosen when a region is created or opened.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("region");
    /// let region = rio::Region::options().size(1 << 20).max_len(1 << 30).open_or_create(&path)?;
    /// assert_eq!(region.max_len(), 1 << 30);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn options() -> RegionOptions {
        RegionOptions::new()
    }

    /// Length in bytes, with the header.
    ///
    /// ```
    /// # let region = rio::Region::options().size(1 << 20).anonymous()?;
    /// assert_eq!(region.len(), 1 << 20);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    #[allow(clippy::len_without_is_empty)] // No region is empty.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The path by which it was created or opened; `<anonymous>` without a file.
    ///
    /// ```
    /// # let region = rio::Region::options().size(1 << 20).anonymous()?;
    /// assert_eq!(region.path().display().to_string(), "<anonymous>");
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The identity given to it when it was created. A copy of the file has the same one.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("region");
    /// let region = rio::Region::create(&path, 1 << 20)?;
    /// let id = region.id();
    /// region.close()?;
    /// assert_eq!(rio::Region::open(&path)?.id(), id);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn id(&self) -> Uuid {
        self.header.id
    }

    /// What has to happen for a store to be durable, as detected or forced at open.
    ///
    /// ```
    /// use rio::{Domain, DomainChoice, Region};
    ///
    /// let region = Region::options().size(1 << 20).domain(DomainChoice::Forced(Domain::Adr)).anonymous()?;
    /// assert_eq!(region.domain(), Domain::Adr);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn domain(&self) -> Domain {
        self.domain
    }

    /// The failures that the bytes survive: the weaker of what they lie on and what is flushed for, so a forced
    /// domain never adds to it.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("region");
    /// let region = rio::Region::create(&path, 1 << 20)?;
    /// assert!(region.survives().process_crash);
    /// println!("{}", region.survives());
    ///
    /// let region = rio::Region::options().size(1 << 20).anonymous()?;
    /// assert_eq!(region.survives().to_string(), "nothing");
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn survives(&self) -> Survives {
        self.survives
    }

    /// What the region lies on.
    ///
    /// ```
    /// # let region = rio::Region::options().size(1 << 20).anonymous()?;
    /// assert_eq!(region.backing(), rio::Backing::Anonymous);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn backing(&self) -> Backing {
        self.ground.backing
    }

    /// Whether the last owner had closed it, when this one opened it. If not, whoever is above has to recover.
    /// True of a region just created.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("region");
    /// use rio::Region;
    ///
    /// Region::create(&path, 1 << 20)?.close()?;
    /// assert!(Region::open(&path)?.was_clean());
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn was_clean(&self) -> bool {
        self.found.is_none_or(|state| state == State::Clean)
    }

    /// Whether it was created by the call that returned it, and not found.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("region");
    /// let options = rio::Region::options().size(1 << 20);
    /// assert!(options.open_or_create(&path)?.was_created());
    /// assert!(!options.open_or_create(&path)?.was_created());
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn was_created(&self) -> bool {
        self.found.is_none()
    }

    /// Address space set aside for each view, in bytes: what was asked for, or what the system granted.
    ///
    /// ```
    /// let region = rio::Region::options().size(1 << 20).reserve(1 << 24).anonymous()?;
    /// assert_eq!(region.reserved_len(), 1 << 24);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn reserved_len(&self) -> u64 {
        self.mapping.reserved()
    }

    /// The length to which [`grow`](Region::grow) may go: the reservation, the limit of the options, the device.
    ///
    /// ```
    /// let region = rio::Region::options().size(1 << 20).max_len(1 << 22).anonymous()?;
    /// assert_eq!(region.max_len(), 1 << 22);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_len(&self) -> u64 {
        self.max_len
    }

    /// The instruction with which [`flush`](Medium::flush) writes lines back.
    ///
    /// ```
    /// # let region = rio::Region::options().size(1 << 20).anonymous()?;
    /// assert_eq!(region.write_back(), rio::WriteBack::None, "the page cache needs none");
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn write_back(&self) -> WriteBack {
        self.write_back
    }

    /// Whether readers have a view of their own, through which nothing can be stored.
    ///
    /// ```
    /// # let region = rio::Region::options().size(1 << 20).anonymous()?;
    /// assert!(region.is_protected(), "unless `protection(false)` says otherwise");
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_protected(&self) -> bool {
        self.mapping.is_protected()
    }

    /// Whether stores stay with this process ([`RegionOptions::private`]).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("region");
    /// use rio::Region;
    ///
    /// Region::create(&path, 1 << 20)?.close()?;
    /// assert!(Region::options().private(true).open(&path)?.is_private());
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_private(&self) -> bool {
        self.private
    }

    /// A range of the bytes, read through the view for readers.
    ///
    /// ```
    /// # let region = rio::Region::options().size(1 << 20).anonymous()?;
    /// use rio::HEADER_LEN;
    ///
    /// assert_eq!(region.bytes(HEADER_LEN..HEADER_LEN + 3)?, [0; 3]);
    /// assert!(region.bytes(0..8).is_err(), "the header is rio's");
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::BadOption`] for a range that is backwards, ends beyond the region, or touches the header or a
    /// guard.
    pub fn bytes(&self, range: Range<u64>) -> Result<&[u8], Error> {
        self.check(&range)?;
        Ok(self.mapping.bytes(range))
    }

    /// A range of the bytes, to change them. What a crash leaves of the change is any part of it, until it was
    /// flushed and fenced or [`sync`](Region::sync)ed as the domain asks.
    ///
    /// ```
    /// # let mut region = rio::Region::options().size(1 << 20).anonymous()?;
    /// use rio::{HEADER_LEN, Medium};
    ///
    /// region.bytes_mut(HEADER_LEN..HEADER_LEN + 3)?.copy_from_slice(b"abc");
    /// region.flush(HEADER_LEN, 3); // Durable behind the fence,
    /// region.fence(); //              on any medium that can make it so.
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`bytes`](Region::bytes).
    pub fn bytes_mut(&mut self, range: Range<u64>) -> Result<&mut [u8], Error> {
        self.check(&range)?;
        Ok(self.mapping.bytes_mut(range))
    }

    /// Grows to at least `len` bytes, rounded up to whole pages, without moving; the new bytes read as zero. Blocks,
    /// length and header are durable on return. A shorter `len` changes nothing.
    ///
    /// A crash in the middle leaves the old length, with blocks behind it that the next growth takes away.
    ///
    /// ```
    /// # let mut region = rio::Region::options().size(1 << 20).anonymous()?;
    /// region.grow(1 << 21)?;
    /// assert_eq!(region.len(), 1 << 21);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::ReservationExhausted`] beyond [`max_len`](Region::max_len): opening it again with a larger
    /// [`reserve`](RegionOptions::reserve) is the way out. [`Error::NoSpace`] if the blocks cannot be allocated;
    /// [`Error::ReadOnly`] if it was opened private; [`Error::System`] for what the system refuses. The region
    /// keeps its length and is as healthy as before.
    pub fn grow(&mut self, len: u64) -> Result<(), Error> {
        if len <= self.len {
            return Ok(());
        }
        if self.private {
            return Err(Error::ReadOnly { path: self.name(), what: "grow" });
        }
        if !self.mapping.is_ours() {
            return Err(Error::ReadOnly { path: self.name(), what: "grow in a forked child" });
        }
        let exhausted =
            || Error::ReservationExhausted { path: self.name(), wanted: len, reserved: self.max_len };
        let len = len.checked_next_multiple_of(mapping::page_len()).ok_or_else(exhausted)?;
        if let Some(device) = self.ground.dax.filter(|device| len > device.len) {
            debug_assert!(self.max_len <= device.len);
            return Err(space::no_space(&self.path, len, Errno::ENOSPC.into()));
        }
        if len > self.max_len {
            return Err(exhausted());
        }
        self.synced(|_| Ok(()))?; // After a failed sync the medium may hold any of the lengths tried.
        let old_len = self.len;
        self.allocate(len).inspect_err(|_| self.take_back(old_len))?;
        self.header.len = len;
        if self.phase == Phase::Open
            && let Err(error) = self.write_header()
        {
            self.header.len = old_len;
            // The medium may hold either length. Only when it surely holds the old one may the file be cut.
            if self.write_header().is_ok() {
                self.take_back(old_len);
            }
            return Err(error);
        }
        self.len = len;
        self.mapping.hint(old_len..len, self.hints.huge_pages, self.hints.prefault);
        Ok(())
    }

    /// Makes all bytes durable against as much as the backing can be durable against: on a disk file that
    /// includes a power cut, which [`survives`](Region::survives) does not, since what is stored later may be
    /// written back in any order. Does nothing where a store is as durable as it gets, or if opened private.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("region");
    /// # let mut region = rio::Region::create(&path, 1 << 20)?;
    /// region.bytes_mut(8192..8193)?[0] = 1;
    /// region.sync()?; // On the disk, if the file lies on one.
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::System`] if the kernel could not write. Since it does not try again by itself, every later sync
    /// fails as well, and the region stays marked as open.
    pub fn sync(&self) -> Result<(), Error> {
        self.fence();
        if self.private || !self.mapping.is_ours() {
            return Ok(());
        }
        if self.ground.backing == Backing::DevDax {
            self.write_back_all();
        }
        if self.ground.backing.needs_sync() {
            self.synced(|region| region.file.sync_data())?;
        }
        Ok(())
    }

    /// Makes everything durable, marks the region as closed, and gives up the lock. A crash in the middle leaves
    /// it marked as open.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("region");
    /// let region = rio::Region::create(&path, 1 << 20)?;
    /// region.close()?; // Tells of an error; dropping it does not.
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`sync`](Region::sync). The region is dropped all the same.
    pub fn close(mut self) -> Result<(), Error> {
        let result = self.shut();
        self.phase = Phase::Closed;
        result
    }

    /// Makes room in file and address space up to `len`.
    fn allocate(&mut self, len: u64) -> Result<(), Error> {
        if self.ground.backing == Backing::DevDax {
            self.mapping.bytes_mut(self.len..len).fill(0);
            self.write_back_all();
            return Ok(());
        }
        // What a growth that was cut off left behind, or somebody appended, is not ours and may be other than zero.
        self.file
            .set_len(self.header.len)
            .map_err(|source| Error::system(&self.path, "ftruncate", source))?;
        space::allocate(&self.file, &self.path, self.len..len, self.ground.backing)?;
        if self.ground.backing.needs_sync() {
            // Orders: the file is long enough on disk, then the header says so.
            self.synced(|region| region.file.sync_all())?;
        }
        let sharing = sharing(self.private, self.ground.backing);
        self.mapping.map(&self.file, len, sharing).map_err(|source| Error::system(&self.path, "mmap", source))
    }

    /// Takes back what a failed growth added. What cannot be taken back lies beyond the length, and does no harm.
    fn take_back(&mut self, len: u64) {
        if self.ground.dax.is_none() {
            self.mapping.unmap(len);
            let _ = self.file.set_len(len);
        }
    }

    /// Writes the header to both copies, the older one first.
    fn write_header(&mut self) -> Result<(), Error> {
        for _ in 0..2 {
            let older = 1 - self.newest;
            let offset = (older * COPY_LEN) as u64;
            self.header.generation += 1;
            self.mapping.store(offset, &self.header.page());
            self.newest = older;
            self.flush(offset, COPY_LEN as u64);
            self.fence(); // Orders: this copy is whole, then the other is touched.
            if self.ground.backing.needs_sync() {
                self.synced(|region| region.mapping.sync(offset..offset + COPY_LEN as u64))?;
            }
        }
        Ok(())
    }

    /// Calls for a sync, unless one has failed already.
    fn synced(&self, call: impl FnOnce(&Region) -> io::Result<()>) -> Result<(), Error> {
        let fail = |source| Error::system(&self.path, "sync", source);
        if self.sync_failed.load(Ordering::Relaxed) {
            return Err(fail(io::Error::other("an earlier sync failed, and what it lost is not known")));
        }
        call(self).inspect_err(|_| self.sync_failed.store(true, Ordering::Relaxed)).map_err(fail)
    }

    /// Writes back every line that may be touched, for a device that has no sync.
    fn write_back_all(&self) {
        for part in self.mapping.accessible(0..self.mapping.mapped()) {
            let start = self.mapping.write_base().wrapping_add(part.start as usize);
            // SAFETY: (1) the part is mapped and no guard. (2) It is the processor's best instruction.
            unsafe { WriteBack::best().lines(start, part.end - part.start) };
        }
        writeback::fence(); // Orders: every line has arrived, then what the caller makes of it.
    }

    /// The lines of a flush, in a domain that needs it. Out of line, so that where none does a flush is a branch.
    #[cold]
    #[inline(never)]
    fn write_back_lines(&self, offset: u64, len: u64) {
        let end = offset.checked_add(len).expect("a range to flush ends");
        assert!(end <= self.mapping.mapped(), "{offset} + {len} is beyond {} bytes", self.len);
        let start = self.mapping.write_base().wrapping_add(offset as usize);
        // SAFETY: (1) the range is mapped, just checked; a guard in it would end the process and change nothing.
        // (2) `write_back` came from `WriteBack::best`.
        unsafe { self.write_back.lines(start, len) };
    }

    /// Everything durable, then the mark that it is.
    fn shut(&mut self) -> Result<(), Error> {
        if self.private || self.phase != Phase::Open || !self.mapping.is_ours() {
            return Ok(());
        }
        self.sync()?;
        // Orders: all bytes, then the mark that says so; `sync` has waited for them.
        self.header.state = State::Clean;
        self.write_header()
    }

    /// The user's ranges: inside, in order, and neither header nor guard.
    fn check(&self, range: &Range<u64>) -> Result<(), Error> {
        let bad = |found, expected| Err(Error::option(&self.path, "range of bytes", found, expected));
        if range.start < HEADER_LEN {
            return bad(range.start, format!("a start from {HEADER_LEN} on, after the header"));
        }
        if range.end > self.len || range.start > range.end {
            return bad(range.end, format!("an end from {} to {}", range.start, self.len));
        }
        match self.mapping.guarded(range) {
            Some(guard) => {
                bad(range.start, format!("no byte of the guard from {} to {}", guard.start, guard.end))
            }
            None => Ok(()),
        }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        if self.is_doubtful {
            return; // It may have been dropped because its content did not agree.
        }
        let _ = self.shut(); // As documented: it then stays marked as open.
    }
}

// SAFETY: (1) the reservations of `mapping` never move, are aligned to 2 MiB, and `[0, len)` of them is mapped (its
// INV-M1), but for guards. (2) Both views map the same file shared; a private region has one view. (3) `len` changes
// in `grow` alone, upwards. (4) The lock keeps other owners away; `bytes` and `bytes_mut` borrow `self`. (5) Only the
// header is stored to, in `write_header`, and bytes beyond the old length, in `grow` before they are anybody's.
unsafe impl Medium for Region {
    #[inline(always)]
    fn len(&self) -> u64 {
        self.len
    }

    #[inline(always)]
    fn read_base(&self) -> *const u8 {
        self.mapping.read_base()
    }

    #[inline(always)]
    fn write_base(&self) -> *mut u8 {
        self.mapping.write_base()
    }

    #[inline(always)]
    fn domain(&self) -> Domain {
        self.domain
    }

    #[inline(always)]
    fn flush(&self, offset: u64, len: u64) {
        compiler_fence(Ordering::SeqCst);
        if self.write_back != WriteBack::None {
            self.write_back_lines(offset, len);
        }
    }

    #[inline(always)]
    fn fence(&self) {
        compiler_fence(Ordering::SeqCst);
        if self.domain.needs_fence() {
            writeback::fence();
        }
    }

    fn max_len(&self) -> u64 {
        self.max_len
    }

    fn grow(&mut self, len: u64) -> Result<(), Error> {
        Region::grow(self, len)
    }

    /// Makes whole pages inaccessible in both views. Where the kernel's pages are longer than 4 KiB it does nothing. On a DAX device whose pages are longer than the range, the
    /// range is only refused by [`Region::bytes`].
    fn guard(&mut self, offset: u64, len: u64) -> Result<(), Error> {
        let page_len = mapping::page_len();
        let bad = |what, found, expected| Err(Error::option(&self.path, what, found, expected));
        if page_len > GUARD_LEN && offset.is_multiple_of(GUARD_LEN) && len.is_multiple_of(GUARD_LEN) {
            return Ok(()); // The kernel's pages are too long for it; the range stays accessible.
        }
        if !offset.is_multiple_of(page_len) || offset < HEADER_LEN {
            return bad(
                "offset of a guard",
                offset,
                format!("a multiple of {page_len} from {HEADER_LEN} on"),
            );
        }
        if len == 0 || !len.is_multiple_of(page_len) || len > self.len.saturating_sub(offset) {
            let most = self.len.saturating_sub(offset);
            return bad("length of a guard", len, format!("a multiple of {page_len} up to {most}"));
        }
        let granule = self.ground.dax.map_or(page_len, |device| device.align);
        let fine = offset.is_multiple_of(granule) && len.is_multiple_of(granule);
        self.mapping
            .guard(offset..offset + len, fine)
            .map_err(|source| Error::system(&self.path, "mprotect", source))
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn close(self) -> Result<(), Error> {
        Region::close(self)
    }
}

/// How the file is mapped.
fn sharing(private: bool, backing: Backing) -> Sharing {
    match (private, backing) {
        (true, _) => Sharing::Private,
        (false, Backing::FsDax) => Sharing::SharedSync,
        (false, _) => Sharing::Shared,
    }
}
