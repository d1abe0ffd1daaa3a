//! Where the regions of a comparison live: files without a name in one directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rio::{Domain, DomainChoice, Region};
use tempfile::TempDir;

/// How a region is opened.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    domain: Domain,
    protection: bool,
}

impl Setting {
    /// As users open it: protected, and stores are durable when they are made.
    pub fn page_cache() -> Self {
        Setting { domain: Domain::PageCache, protection: true }
    }

    /// Protected, with the write-backs and fences of this domain, whatever the file lies on.
    pub fn forced(domain: Domain) -> Self {
        Setting { domain, protection: true }
    }

    /// Whose write-backs and fences are made.
    pub(crate) fn domain(self) -> Domain {
        self.domain
    }

    /// The same with one view for readers and writers.
    pub fn unprotected(self) -> Self {
        Setting { protection: false, ..self }
    }
}

/// A directory of its own, which goes when the last handle goes.
#[derive(Clone, Debug)]
pub struct Files {
    dir: Arc<TempDir>,
    count: Arc<AtomicU64>,
}

impl Files {
    /// A new directory inside `parent`.
    ///
    /// # Errors
    /// The system's error.
    pub fn new(parent: &Path) -> std::io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("rio-vista-benches-").tempdir_in(parent)?;
        Ok(Files { dir: Arc::new(dir), count: Arc::default() })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A path that nothing has.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join(self.count.fetch_add(1, Ordering::Relaxed).to_string())
    }

    /// A new region with all pages there, whose file has no name any more.
    ///
    /// # Panics
    /// If the system does not give it.
    pub fn region(&self, len: u64, setting: Setting) -> Region {
        let path = self.path();
        let domain = DomainChoice::Forced(setting.domain);
        let options = Region::options().size(len).domain(domain).protection(setting.protection);
        let region = options.prefault(true).create(&path).expect("a new region");
        std::fs::remove_file(&path).expect("the region's file");
        region
    }
}
