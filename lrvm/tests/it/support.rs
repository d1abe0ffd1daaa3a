//! Logs and segments in a directory of their own, or in memory.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use lrvm::{Begin, Device, Devices, End, Options, Region, Rvm, create_log, create_segment};
use tempfile::TempDir;

/// Length of a page.
pub(crate) const PAGE: u64 = 4096;

/// A log and a segment.
pub(crate) struct Place {
    dir: TempDir,
}

impl Place {
    /// A log of so many bytes, and a segment of so many pages.
    pub(crate) fn new(log_len: u64, pages: u64) -> Place {
        let place = Place { dir: tempfile::tempdir().unwrap() };
        create_log(place.log(), log_len).unwrap();
        create_segment(place.segment(), pages * PAGE).unwrap();
        place
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    pub(crate) fn segment(&self) -> PathBuf {
        self.dir.path().join("segment")
    }

    pub(crate) fn other(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Opens the log without a thread of its own.
    pub(crate) fn open(&self) -> Rvm {
        options().open(self.log()).unwrap()
    }

    /// Maps all pages of the segment.
    pub(crate) fn map(&self, rvm: &Rvm) -> Region {
        let len = std::fs::metadata(self.segment()).unwrap().len();
        rvm.map(self.segment(), 0..len).unwrap()
    }
}

/// Without a thread, so that everything happens in order.
pub(crate) fn options() -> Options {
    Options::new().background(false)
}

/// Commits these bytes at these offsets.
pub(crate) fn commit(rvm: &Rvm, region: &mut Region, end: End, changes: &[(u64, &[u8])]) -> lrvm::Result<()> {
    let mut tx = rvm.begin(Begin::Restore)?;
    let enlisted = tx.enlist(region)?;
    for &(offset, new) in changes {
        tx.modify(enlisted, offset, new)?;
    }
    tx.commit(end)
}

/// What is called on a device in memory, before it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Read,
    Write,
    Sync,
}

type Hook = Arc<dyn Fn(Call) -> io::Result<()> + Send + Sync>;

/// Bytes that a device stands for.
pub(crate) struct Store {
    bytes: RwLock<Vec<u8>>,
    hook: RwLock<Option<Hook>>,
    pub(crate) sync_count: AtomicU64,
    /// Calls outside of its bytes.
    pub(crate) stray_count: AtomicU64,
}

impl Store {
    pub(crate) fn new(bytes: Vec<u8>) -> Arc<Store> {
        let (bytes, hook) = (RwLock::new(bytes), RwLock::new(None));
        Arc::new(Store { bytes, hook, sync_count: AtomicU64::new(0), stray_count: AtomicU64::new(0) })
    }

    /// A new log of so many pages.
    pub(crate) fn log(pages: u64) -> Arc<Store> {
        let store = Store::new(vec![0; (lrvm::layout::RING_OFFSET + pages * PAGE) as usize]);
        lrvm::create_log_on(&InMemory(store.clone())).unwrap();
        store
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.bytes.read().unwrap().clone()
    }

    /// Is asked before every call from now on.
    pub(crate) fn hook(&self, hook: impl Fn(Call) -> io::Result<()> + Send + Sync + 'static) {
        *self.hook.write().unwrap() = Some(Arc::new(hook));
    }

    fn call(&self, call: Call) -> io::Result<()> {
        let hook = self.hook.read().unwrap().clone();
        hook.map_or(Ok(()), |hook| hook(call))
    }

    fn place(&self, offset: u64, len: usize, all: usize) -> io::Result<usize> {
        match offset.checked_add(len as u64) {
            Some(end) if end <= all as u64 => Ok(offset as usize),
            _ => {
                self.stray_count.fetch_add(1, Ordering::Relaxed);
                Err(io::ErrorKind::UnexpectedEof.into())
            }
        }
    }
}

/// A device in memory.
pub(crate) struct InMemory(pub(crate) Arc<Store>);

impl Device for InMemory {
    fn len(&self) -> u64 {
        self.0.bytes.read().unwrap().len() as u64
    }

    fn read_at(&self, offset: u64, to: &mut [u8]) -> io::Result<()> {
        self.0.call(Call::Read)?;
        let bytes = self.0.bytes.read().unwrap();
        let at = self.0.place(offset, to.len(), bytes.len())?;
        to.copy_from_slice(&bytes[at..at + to.len()]);
        Ok(())
    }

    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        self.0.call(Call::Write)?;
        let new: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        let mut bytes = self.0.bytes.write().unwrap();
        let at = self.0.place(offset, new.len(), bytes.len())?;
        bytes[at..at + new.len()].copy_from_slice(&new);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.0.call(Call::Sync)?;
        self.0.sync_count.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// A log in memory, and segments that are called by their number.
#[derive(Clone)]
pub(crate) struct Stores {
    pub(crate) log: Arc<Store>,
    pub(crate) segments: Vec<Arc<Store>>,
}

impl Stores {
    /// A log of so many pages, and a segment of so many pages each.
    pub(crate) fn new(log_pages: u64, segments: &[u64]) -> Stores {
        let segments = segments.iter().map(|pages| Store::new(vec![0; (pages * PAGE) as usize])).collect();
        Stores { log: Store::log(log_pages), segments }
    }

    /// What a crash of the process leaves now.
    pub(crate) fn crashed(&self) -> Stores {
        let copy = |store: &Arc<Store>| Store::new(store.bytes());
        Stores { log: copy(&self.log), segments: self.segments.iter().map(copy).collect() }
    }

    pub(crate) fn open(&self, options: Options) -> lrvm::Result<Rvm> {
        options.open_on(Box::new(InMemory(self.log.clone())), Box::new(self.clone()), "log")
    }

    pub(crate) fn map(&self, rvm: &Rvm, segment: usize) -> lrvm::Result<Region> {
        let len = InMemory(self.segments[segment].clone()).len();
        rvm.map(segment.to_string(), 0..len)
    }
}

impl Devices for Stores {
    fn resolve(&self, name: &Path) -> io::Result<PathBuf> {
        Ok(name.to_owned())
    }

    fn open(&self, name: &Path) -> io::Result<Box<dyn Device>> {
        let number: usize =
            name.to_str().and_then(|name| name.parse().ok()).ok_or(io::ErrorKind::NotFound)?;
        let store = self.segments.get(number).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(InMemory(store.clone())))
    }
}
