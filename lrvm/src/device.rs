//! The seam: what a log and its segments lie on.
//!
//! All durability passes through [`Device::write_at`] and [`Device::sync`]. The file system is one place; regions of rio
//! are another; a crash tester puts in its own. Start at [`Device`].

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, IoSlice, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes that persist: a log device or a segment device.
///
/// What [`write_at`](Device::write_at) wrote is durable after a [`sync`](Device::sync) that began later and succeeded.
/// Before that any part of it may be durable, in sectors of 512 bytes, in any order. Reads see what was written.
/// Calls may come from several threads.
///
/// A device of one's own, as a test may use it:
///
/// ```
/// use std::io::{self, IoSlice};
/// use std::sync::Mutex;
///
/// /// Bytes that persist as long as the process does.
/// struct Memory(Mutex<Vec<u8>>);
///
/// impl lrvm::Device for Memory {
///     fn len(&self) -> u64 {
///         self.0.lock().unwrap().len() as u64
///     }
///     fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
///         let all = self.0.lock().unwrap();
///         let found = all.get(offset as usize..).and_then(|from| from.get(..bytes.len()));
///         bytes.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
///         Ok(())
///     }
///     fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
///         let new: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
///         self.0.lock().unwrap()[offset as usize..][..new.len()].copy_from_slice(&new);
///         Ok(())
///     }
///     fn sync(&self) -> io::Result<()> {
///         Ok(()) // Nothing is more durable than it was.
///     }
/// }
///
/// lrvm::create_log_on(&Memory(Mutex::new(vec![0; 1 << 20])))?;
/// # Ok::<_, lrvm::Error>(())
/// ```
pub trait Device: Send + Sync {
    /// Length in bytes, which does not change.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("device");
    /// # use lrvm::{Device, FileDevice};
    /// # use std::io::IoSlice;
    /// let device = FileDevice::create(&path, 4096, |_| Ok(()))?;
    /// assert_eq!(device.len(), 4096);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    fn len(&self) -> u64;

    /// Whether there is no byte at all.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("device");
    /// # use lrvm::{Device, FileDevice};
    /// # use std::io::IoSlice;
    /// let device = FileDevice::create(&path, 4096, |_| Ok(()))?;
    /// assert!(!device.is_empty());
    /// # Ok::<_, std::io::Error>(())
    /// ```
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads so many bytes.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("device");
    /// # use lrvm::{Device, FileDevice};
    /// # use std::io::IoSlice;
    /// let device = FileDevice::create(&path, 4096, |_| Ok(()))?;
    /// let mut bytes = [1; 8];
    /// device.read_at(4088, &mut bytes)?;
    /// assert_eq!(bytes, [0; 8]);
    /// assert!(device.read_at(4090, &mut bytes).is_err(), "beyond the end");
    /// # Ok::<_, std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// The system's; [`io::ErrorKind::UnexpectedEof`] behind the end.
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()>;

    /// Writes these parts, one behind the other, in one go where the system can.
    ///
    /// A crash before the next sync leaves each sector as it was or as it was written, whatever the others are.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("device");
    /// # use lrvm::{Device, FileDevice};
    /// # use std::io::IoSlice;
    /// let device = FileDevice::create(&path, 4096, |_| Ok(()))?;
    /// device.write_at(100, &[IoSlice::new(b"one"), IoSlice::new(b"two")])?;
    /// let mut bytes = [0; 6];
    /// device.read_at(100, &mut bytes)?;
    /// assert_eq!(&bytes, b"onetwo");
    /// # Ok::<_, std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// The system's; any part may have been written then.
    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()>;

    /// Makes durable all that was written before.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("device");
    /// # use lrvm::{Device, FileDevice};
    /// # use std::io::IoSlice;
    /// let device = FileDevice::create(&path, 4096, |_| Ok(()))?;
    /// device.write_at(0, &[IoSlice::new(b"kept")])?;
    /// device.sync()?; // Durable from here on.
    /// # Ok::<_, std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// The system's; what was written before is then in doubt for ever, whatever a later sync says.
    fn sync(&self) -> io::Result<()>;

    /// Makes durable also what an earlier owner wrote and did not come to sync, as it was killed: before anything is built
    /// upon it. By default a sync, which on a file does that.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("device");
    /// # use lrvm::{Device, FileDevice};
    /// # use std::io::IoSlice;
    /// let device = FileDevice::create(&path, 4096, |_| Ok(()))?;
    /// # drop(device);
    /// let device = FileDevice::open(&path)?;
    /// device.settle()?; // Whatever is read from here on is durable.
    /// # Ok::<_, std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`sync`](Device::sync).
    fn settle(&self) -> io::Result<()> {
        self.sync()
    }

    /// The file, if it is one that can be mapped.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("device");
    /// # use lrvm::{Device, FileDevice};
    /// # use std::io::IoSlice;
    /// let device = FileDevice::create(&path, 4096, |_| Ok(()))?;
    /// assert_eq!(device.file().unwrap().metadata()?.len(), 4096);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    fn file(&self) -> Option<&File> {
        None
    }
}

/// Where segments are found by name.
///
/// Example: see [`on_rio::Partition`](crate::on_rio::Partition), which is one.
pub trait Devices: Send + Sync {
    /// The one name that the log keeps for what is called `name` here: the same for whatever else it may be called.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("data");
    /// # lrvm::create_segment(&path, 4096)?;
    /// use lrvm::{Devices, FileSystem};
    ///
    /// let files = FileSystem::new(dir.path())?;
    /// assert_eq!(files.resolve(&path)?.to_str(), Some("data")); // However long its path is.
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The system's.
    fn resolve(&self, name: &Path) -> io::Result<PathBuf>;

    /// Opens a segment by its kept name, for this owner alone.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # lrvm::create_segment(dir.path().join("data"), 4096)?;
    /// use lrvm::{Devices, FileSystem};
    ///
    /// let files = FileSystem::new(dir.path())?;
    /// let device = files.open("data".as_ref())?;
    /// assert!(files.open("data".as_ref()).is_err(), "one owner at a time");
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The system's; [`io::ErrorKind::ResourceBusy`] if another has it open.
    fn open(&self, name: &Path) -> io::Result<Box<dyn Device>>;
}

/// Files, by path. Kept names are relative to a directory if they lie below it, so that log and segments can move together.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let log = dir.path().join("log");
/// # lrvm::create_log(&log, 1 << 16)?;
/// use lrvm::{FileDevice, FileSystem, Options};
///
/// // As `Options::open` does it:
/// let (device, files) = (FileDevice::open(&log)?, FileSystem::new(dir.path())?);
/// let rvm = Options::new().open_on(Box::new(device), Box::new(files), "log")?;
/// # rvm.close()?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FileSystem {
    base: PathBuf,
}

impl FileSystem {
    /// Files whose kept names are relative to the directory `base`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// use lrvm::FileSystem;
    ///
    /// assert!(FileSystem::new(dir.path()).is_ok() && FileSystem::new(dir.path().join("none")).is_err());
    /// # Ok::<_, std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// The system's, if there is no such directory.
    pub fn new(base: impl AsRef<Path>) -> io::Result<FileSystem> {
        Ok(FileSystem { base: fs::canonicalize(base)? })
    }

    /// The directory of the file at `path`, which need not exist itself.
    pub(crate) fn beside(path: &Path) -> io::Result<FileSystem> {
        FileSystem::new(directory_of(path))
    }
}

impl Devices for FileSystem {
    fn resolve(&self, name: &Path) -> io::Result<PathBuf> {
        let path = fs::canonicalize(name)?;
        Ok(path.strip_prefix(&self.base).map(Path::to_owned).unwrap_or(path))
    }

    fn open(&self, name: &Path) -> io::Result<Box<dyn Device>> {
        Ok(Box::new(FileDevice::open(self.base.join(name))?))
    }
}

/// One file, or block device, locked for this owner.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("device");
/// # use lrvm::{Device, FileDevice};
/// # use std::io::IoSlice;
/// let device = FileDevice::create(&path, 4096, |_| Ok(()))?;
/// device.write_at(0, &[IoSlice::new(b"kept")])?;
/// device.sync()?;
/// assert!(std::fs::read(&path)?.starts_with(b"kept"));
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct FileDevice {
    file: File,
    len: u64,
}

impl FileDevice {
    /// Opens the file at `path`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("device");
    /// # use lrvm::{Device, FileDevice};
    /// # use std::io::IoSlice;
    /// let device = FileDevice::create(&path, 4096, |_| Ok(()))?;
    /// assert!(FileDevice::open(&path).is_err(), "one owner at a time");
    /// drop(device);
    /// assert_eq!(FileDevice::open(&path)?.len(), 4096);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// The system's; [`io::ErrorKind::ResourceBusy`] if it is locked.
    pub fn open(path: impl AsRef<Path>) -> io::Result<FileDevice> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        FileDevice::of(file)
    }

    fn of(mut file: File) -> io::Result<FileDevice> {
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::ResourceBusy.into()),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let len = file.seek(SeekFrom::End(0))?; // Unlike its metadata, right for block devices too.
        Ok(FileDevice { file, len })
    }

    /// Makes a file of `len` bytes, all zero and really written, that gets its name when `fill` has been done with it
    /// and all of it is durable.
    ///
    /// A crash in the middle leaves no file of this name, or the whole one; beside it there may be a hidden one.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("device");
    /// # use lrvm::{Device, FileDevice};
    /// # use std::io::IoSlice;
    /// let device = FileDevice::create(&path, 4096, |device| {
    ///     assert!(!path.exists(), "not before it is whole");
    ///     device.write_at(0, &[IoSlice::new(b"magic")])
    /// })?;
    /// assert!(std::fs::read(&path)?.starts_with(b"magic"));
    /// assert!(FileDevice::create(&path, 4096, |_| Ok(())).is_err(), "there is one");
    /// # Ok::<_, std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// The system's; [`io::ErrorKind::AlreadyExists`] if there is one. There is then no new file.
    pub fn create(
        path: impl AsRef<Path>,
        len: u64,
        fill: impl FnOnce(&FileDevice) -> io::Result<()>,
    ) -> io::Result<FileDevice> {
        let path = path.as_ref();
        if fs::symlink_metadata(path).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let directory = directory_of(path);
        let Some(name) = path.file_name() else { return Err(io::ErrorKind::InvalidInput.into()) };
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}", uuid::Uuid::new_v4()));
        let hidden = directory.join(hidden);
        let made = (|| -> io::Result<FileDevice> {
            let file = OpenOptions::new().read(true).write(true).create_new(true).open(&hidden)?;
            write_zeroes(&file, len)?;
            let device = FileDevice::of(file)?;
            fill(&device)?;
            device.file.sync_all()?;
            fs::hard_link(&hidden, path)?; // Unlike a rename, never in another's place.
            Ok(device)
        })();
        let removed = fs::remove_file(&hidden);
        let device = made?;
        removed?;
        File::open(directory)?.sync_all()?;
        Ok(device)
    }
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    }
}

/// Written and not only allocated: a write to an extent that was never written changes metadata, which the first sync
/// after it has to wait for.
fn write_zeroes(file: &File, len: u64) -> io::Result<()> {
    static ZEROES: [u8; 1 << 16] = [0; 1 << 16];
    let mut offset = 0;
    while offset < len {
        let part = (len - offset).min(ZEROES.len() as u64);
        file.write_all_at(&ZEROES[..part as usize], offset)?;
        offset += part;
    }
    Ok(())
}

impl Device for FileDevice {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(bytes, offset)
    }

    fn write_at(&self, mut offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        if let [part] = parts {
            return self.file.write_all_at(part, offset);
        }
        /// The most parts that the system takes at once.
        const PARTS_MAX: usize = 1024;
        for parts in parts.chunks(PARTS_MAX) {
            let len: usize = parts.iter().map(|part| part.len()).sum();
            let at = i64::try_from(offset).map_err(io::Error::other)?;
            let written = match nix::sys::uio::pwritev(&self.file, parts, at) {
                Ok(written) => written,
                Err(nix::errno::Errno::EINTR) => 0,
                Err(errno) => return Err(errno.into()),
            };
            if written < len {
                // Rare: a signal, or a disk that is nearly full and says so at the next try.
                let rest: Vec<u8> =
                    parts.iter().flat_map(|part| part.iter().copied()).skip(written).collect();
                self.file.write_all_at(&rest, offset + written as u64)?;
            }
            offset += len as u64;
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn file(&self) -> Option<&File> {
        Some(&self.file)
    }
}
