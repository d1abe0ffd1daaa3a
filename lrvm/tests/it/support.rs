//! Logs and segments in a directory of their own.

use std::path::PathBuf;

use lrvm::{Begin, End, Options, Region, Rvm, create_log, create_segment};
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
