//! Devices on rio: a log and segments in mapped memory, so that no commit makes a system call.
//!
//! Start at [`Regions`] for files, and at [`Partition`] for parts of any medium.

#![allow(unsafe_code)] // It copies to and from the views of a medium.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::{fs, ptr};

use rio::{HEADER_LEN, Medium, RegionOptions};

use crate::device::{Device, Devices};
use crate::layout::PAGE_LEN;

/// Part of a medium as a device. A write is flushed as the medium's domain asks; a sync is its fence.
///
/// ```
/// use lrvm::on_rio::MediumDevice;
/// use lrvm::rio::{Buffer, HEADER_LEN};
/// use lrvm::Device;
///
/// let device = MediumDevice::new(Buffer::new(1 << 20, 1 << 20))?;
/// assert_eq!(device.len(), (1 << 20) - HEADER_LEN);
/// lrvm::create_log_on(&device)?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct MediumDevice<M: Medium> {
    part: Arc<Part<M>>,
}

/// Part of a medium, that at most one device stands for at a time.
struct Part<M: Medium> {
    medium: Arc<M>,
    range: Range<u64>,
    /// Who writes has the bytes alone.
    lock: RwLock<()>,
    is_open: AtomicBool,
}

impl<M: Medium> MediumDevice<M> {
    /// All of a medium behind the bytes that belong to rio.
    ///
    /// ```
    /// use lrvm::on_rio::MediumDevice;
    /// use lrvm::rio::Buffer;
    ///
    /// assert!(MediumDevice::new(Buffer::new(8192, 8192)).is_err(), "no byte behind rio's own");
    /// ```
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if it has no more bytes than those.
    pub fn new(medium: M) -> io::Result<MediumDevice<M>> {
        let len = medium.len();
        if len <= HEADER_LEN {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let part = Part {
            medium: Arc::new(medium),
            range: HEADER_LEN..len,
            lock: RwLock::new(()),
            is_open: AtomicBool::new(true),
        };
        Ok(MediumDevice { part: Arc::new(part) })
    }

    /// Where these bytes of the device stand in the medium.
    fn place(&self, offset: u64, len: usize) -> io::Result<u64> {
        let Range { start, end } = self.part.range;
        match offset.checked_add(len as u64) {
            Some(device_end) if device_end <= end - start => Ok(start + offset),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl<M: Medium> Device for MediumDevice<M> {
    fn len(&self) -> u64 {
        self.part.range.end - self.part.range.start
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let place = self.place(offset, bytes.len())?;
        let _shared = self.part.lock.read().unwrap_or_else(PoisonError::into_inner);
        self.part.medium.loaded(place, bytes.len() as u64);
        let from = self.part.medium.read_base().wrapping_add(place as usize);
        // SAFETY: (1) The bytes lie in the medium, whose view is valid for reads: parts lie inside of it and `place` has
        // checked that these lie inside of the part. (2) The lock keeps writers of this part out, and parts lie apart.
        // (3) `bytes` is borrowed alone, and lies in ordinary memory.
        unsafe { ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), bytes.len()) };
        Ok(())
    }

    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let len = parts.iter().map(|part| part.len()).sum();
        let mut place = self.place(offset, len)?;
        let medium = &self.part.medium;
        let _alone = self.part.lock.write().unwrap_or_else(PoisonError::into_inner);
        for part in parts {
            let to = medium.write_base().wrapping_add(place as usize);
            // SAFETY: (1) The bytes lie in the medium, whose view is valid for writes, as above; all parts together have
            // been checked. (2) The lock keeps everyone else of this part out. (3) `part` lies in ordinary memory.
            unsafe { ptr::copy_nonoverlapping(part.as_ptr(), to, part.len()) };
            medium.stored(place, part.len() as u64);
            medium.flush(place, part.len() as u64);
            place += part.len() as u64;
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.part.medium.fence(); // Orders: what was written and flushed before is durable.
        Ok(())
    }

    fn settle(&self) -> io::Result<()> {
        // A process may have been killed between its stores and their flush: they are there, and not durable.
        let Range { start, end } = self.part.range;
        self.part.medium.flush(start, end - start);
        self.sync()
    }
}

impl<M: Medium> Drop for MediumDevice<M> {
    fn drop(&mut self) {
        self.part.is_open.store(false, Ordering::Release);
    }
}

impl<M: Medium> Part<M> {
    fn claim(&self) -> io::Result<()> {
        if self.is_open.swap(true, Ordering::Acquire) {
            Err(io::ErrorKind::ResourceBusy.into())
        } else {
            Ok(())
        }
    }
}

/// Files that are regions of rio, by path: a segment's first byte stands behind the region's header.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// use lrvm::on_rio::Regions;
/// use lrvm::rio::RegionOptions;
/// use lrvm::Options;
///
/// let (log, data) = (dir.path().join("log"), dir.path().join("data"));
/// let regions = Regions::new(dir.path(), RegionOptions::new())?;
/// regions.create_log(&log, 1 << 16)?;
/// regions.create_segment(&data, 4096)?;
/// let rvm = regions.open(&log, &Options::new())?;
/// let region = rvm.map(&data, 0..4096)?; // And on as with files.
/// # drop(region);
/// # rvm.close()?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Regions {
    base: PathBuf,
    options: RegionOptions,
}

impl Regions {
    /// Regions opened with these options. Kept names are relative to the directory `base` if they lie below it.
    ///
    /// Example: see [`Regions`].
    ///
    /// # Errors
    /// The system's, if there is no such directory.
    pub fn new(base: impl AsRef<Path>, options: RegionOptions) -> io::Result<Regions> {
        Ok(Regions { base: fs::canonicalize(base)?, options })
    }

    /// Makes a log with room for `len` bytes of records: a region that has its name when it is whole.
    ///
    /// A crash in the middle leaves no log of this name, or a whole one.
    ///
    /// Example: see [`Regions`].
    ///
    /// # Errors
    /// rio's, or [`Error::Option`](crate::Error::Option), as the cause of an [`io::Error`].
    pub fn create_log(&self, path: impl AsRef<Path>, len: u64) -> io::Result<()> {
        let len = crate::log::device_len(len).map_err(io::Error::other)?;
        let fill = |region| {
            let device = MediumDevice::new(region).map_err(Fill::Log)?;
            crate::log::format(&device).map_err(Fill::Log)?;
            device.into_medium().ok_or_else(|| Fill::Log(io::ErrorKind::ResourceBusy.into()))
        };
        let options = self.options.clone().size(HEADER_LEN + len);
        let region = options.create_with::<Fill>(path, fill).map_err(Fill::into_io)?;
        region.close().map_err(io::Error::other)
    }

    /// Makes a segment of `len` bytes, whole pages, all zero.
    ///
    /// A crash in the middle leaves no segment of this name, or a whole one.
    ///
    /// Example: see [`Regions`].
    ///
    /// # Errors
    /// [`Error::Unaligned`](crate::Error::Unaligned), or rio's, as the cause of an [`io::Error`].
    pub fn create_segment(&self, path: impl AsRef<Path>, len: u64) -> io::Result<()> {
        if len == 0 || !len.is_multiple_of(PAGE_LEN) || len > i64::MAX as u64 / 2 {
            return Err(io::Error::other(crate::Error::Unaligned { offset: 0, len }));
        }
        let region = self.options.clone().size(HEADER_LEN + len).create(path).map_err(io::Error::other)?;
        region.close().map_err(io::Error::other)
    }

    /// Opens the log at `path`, with segments from here.
    ///
    /// A crash in the middle loses nothing: the next opening does it again.
    ///
    /// Example: see [`Regions`].
    ///
    /// # Errors
    /// As [`Options::open`](crate::Options::open).
    pub fn open(&self, path: impl AsRef<Path>, options: &crate::Options) -> crate::Result<crate::Rvm> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let device =
            self.device(path).map_err(|source| crate::options::open_error(&name.as_str().into(), source))?;
        options.open_on(device, Box::new(self.clone()), &name)
    }

    fn device(&self, path: &Path) -> io::Result<Box<dyn Device>> {
        let region = self.options.open(path).map_err(|error| match error {
            rio::Error::Locked { .. } => io::Error::new(io::ErrorKind::ResourceBusy, error),
            error => io::Error::other(error),
        })?;
        Ok(Box::new(MediumDevice::new(region)?))
    }
}

/// What can go wrong while a region becomes a log.
enum Fill {
    Rio(rio::Error),
    Log(io::Error),
}

impl From<rio::Error> for Fill {
    fn from(error: rio::Error) -> Fill {
        Fill::Rio(error)
    }
}

impl Fill {
    fn into_io(self) -> io::Error {
        match self {
            Fill::Rio(error) => io::Error::other(error),
            Fill::Log(error) => error,
        }
    }
}

impl<M: Medium> MediumDevice<M> {
    /// The medium again, if the device stands for all of it.
    ///
    /// ```
    /// use lrvm::on_rio::MediumDevice;
    /// use lrvm::rio::{Buffer, HEADER_LEN};
    ///
    /// let device = MediumDevice::new(Buffer::new(1 << 20, 1 << 20))?;
    /// lrvm::create_log_on(&device)?;
    /// let medium = device.into_medium().unwrap();
    /// assert!(medium.bytes()[HEADER_LEN as usize..].starts_with(&lrvm::layout::LOG_MAGIC));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_medium(self) -> Option<M> {
        let medium = self.part.medium.clone();
        drop(self);
        Arc::into_inner(medium)
    }
}

impl Devices for Regions {
    fn resolve(&self, name: &Path) -> io::Result<PathBuf> {
        let path = fs::canonicalize(name)?;
        Ok(path.strip_prefix(&self.base).map(Path::to_owned).unwrap_or(path))
    }

    fn open(&self, name: &Path) -> io::Result<Box<dyn Device>> {
        self.device(&self.base.join(name))
    }
}

/// A medium divided into parts with names: a log and its segments in one region, or in a crash tester's memory.
///
/// ```
/// use lrvm::on_rio::Partition;
/// use lrvm::{Begin, End, Options};
/// use lrvm::rio::Buffer;
///
/// // One medium, divided: in a crash tester's memory, or in one region.
/// let parts = Partition::new(Buffer::new(2 << 20, 2 << 20), [("log", 1 << 20), ("data", 4096)])?;
/// let log = parts.device("log")?;
/// lrvm::create_log_on(&log)?;
/// let rvm = Options::new().background(false).open_on(Box::new(log), Box::new(parts), "log")?;
/// let mut region = rvm.map("data", 0..4096)?;
/// let mut tx = rvm.begin(Begin::Restore)?;
/// let all = tx.enlist(&mut region)?;
/// tx.write(all, 0, &7_u64)?;
/// tx.commit(End::Flush)?;
/// # drop(region);
/// # rvm.close()?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct Partition<M: Medium> {
    parts: Arc<[(String, Arc<Part<M>>)]>,
}

impl<M: Medium> Clone for Partition<M> {
    fn clone(&self) -> Self {
        Partition { parts: self.parts.clone() }
    }
}

impl<M: Medium> Partition<M> {
    /// Divides a medium, behind the bytes that belong to rio, into parts of these names and lengths.
    ///
    /// Example: see [`Partition`].
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if it is too short; [`io::ErrorKind::AlreadyExists`] if two have the same name.
    pub fn new<'n>(medium: M, parts: impl IntoIterator<Item = (&'n str, u64)>) -> io::Result<Partition<M>> {
        let medium = Arc::new(medium);
        let mut start = HEADER_LEN;
        let mut divided: Vec<(String, Arc<Part<M>>)> = Vec::new();
        for (name, len) in parts {
            if divided.iter().any(|(other, _)| other == name) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            let end = start.checked_add(len).filter(|&end| end <= medium.len());
            let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
            let part = Part {
                medium: medium.clone(),
                range: start..end,
                lock: RwLock::new(()),
                is_open: AtomicBool::new(false),
            };
            divided.push((name.to_owned(), Arc::new(part)));
            start = end;
        }
        Ok(Partition { parts: divided.into() })
    }

    /// The part of this name as a device.
    ///
    /// ```
    /// use lrvm::on_rio::Partition;
    /// use lrvm::rio::Buffer;
    ///
    /// let parts = Partition::new(Buffer::new(1 << 20, 1 << 20), [("log", 1 << 19), ("data", 4096)])?;
    /// let data = parts.device("data")?;
    /// assert!(parts.device("data").is_err() && parts.device("more").is_err());
    /// # Ok::<_, std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`]; [`io::ErrorKind::ResourceBusy`] as long as another device stands for it.
    pub fn device(&self, name: &str) -> io::Result<MediumDevice<M>> {
        let (_, part) = self.parts.iter().find(|(other, _)| other == name).ok_or(io::ErrorKind::NotFound)?;
        part.claim()?;
        Ok(MediumDevice { part: part.clone() })
    }
}

impl<M: Medium + 'static> Devices for Partition<M> {
    fn resolve(&self, name: &Path) -> io::Result<PathBuf> {
        Ok(name.to_owned())
    }

    fn open(&self, name: &Path) -> io::Result<Box<dyn Device>> {
        Ok(Box::new(self.device(name.to_str().ok_or(io::ErrorKind::NotFound)?)?))
    }
}
