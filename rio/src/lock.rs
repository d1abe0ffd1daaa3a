//! The lock: one owner of a region at a time, held by the open file and given up by the kernel whatever happens.
//!
//! It is a `flock`, so it belongs to the open file and not to the process: a second opener in the same process is
//! refused as well. Start at [`open_locked`].

use std::fs::{self, File, OpenOptions, TryLockError};
use std::ops::Deref;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::libc;

use crate::Error;

/// An open file with its lock, given up on drop.
#[derive(Debug)]
pub(crate) struct Locked {
    file: File,
    /// The process that locked it. The lock is shared with forked children, and is not theirs to give up.
    owner: u32,
}

impl Deref for Locked {
    type Target = File;

    fn deref(&self) -> &File {
        &self.file
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // Closing would not do: while another thread starts a program, the child holds a copy of our open file, and
        // with it the lock, until it is that program.
        if self.owner == std::process::id() {
            let _ = self.file.unlock();
        }
    }
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// To read and write, as its only owner.
    Owner,
    /// To read, beside other readers.
    Reader,
}

/// The first sleep between two tries, doubled up to [`LONGEST_SLEEP`].
const SHORTEST_SLEEP: Duration = Duration::from_millis(1);
const LONGEST_SLEEP: Duration = Duration::from_millis(50);

/// Opens the file and locks it, waiting at most `wait`.
pub(crate) fn open_locked(path: &Path, access: Access, wait: Duration) -> Result<Locked, Error> {
    let begun = Instant::now();
    loop {
        let file = OpenOptions::new()
            .read(true)
            .write(access == Access::Owner)
            .custom_flags(libc::O_NONBLOCK) // So that a pipe by this name is an error and not a wait.
            .open(path)
            .map_err(|source| Error::system(path, "open", source))?;
        let file = acquire(file, path, access, begun, wait)?;
        // While we waited, the file may have been replaced, and the lock of a file without a name keeps nobody out.
        let held = file.metadata().map_err(|source| Error::system(path, "fstat", source))?;
        match fs::metadata(path) {
            Ok(named) if (named.dev(), named.ino()) == (held.dev(), held.ino()) => return Ok(file),
            _ => continue,
        }
    }
}

/// Locks the file, waiting at most `wait` from `begun` on.
pub(crate) fn acquire(
    file: File,
    path: &Path,
    access: Access,
    begun: Instant,
    wait: Duration,
) -> Result<Locked, Error> {
    let mut sleep = SHORTEST_SLEEP;
    loop {
        let tried = match access {
            Access::Owner => file.try_lock(),
            Access::Reader => file.try_lock_shared(),
        };
        match tried {
            Ok(()) => return Ok(Locked { file, owner: std::process::id() }),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(source)) => return Err(Error::system(path, "flock", source)),
        }
        let waited = begun.elapsed();
        let Some(left) = wait.checked_sub(waited).filter(|left| !left.is_zero()) else {
            return Err(Error::Locked { path: path.to_owned(), waited_millis: waited.as_millis() as u64 });
        };
        std::thread::sleep(sleep.min(left));
        sleep = (sleep * 2).min(LONGEST_SLEEP);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_replaced_while_we_waited_is_not_the_one_we_get() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("a"), dir.path().join("b"));
        fs::write(&path, "old").unwrap();
        let old = open_locked(&path, Access::Owner, Duration::ZERO).unwrap();
        let waiter = {
            let path = path.clone();
            std::thread::spawn(move || open_locked(&path, Access::Owner, Duration::from_secs(60)).unwrap())
        };
        std::thread::sleep(Duration::from_millis(30)); // Whether it waits already or not, it gets the new one.
        fs::write(&other, "new").unwrap();
        fs::rename(&other, &path).unwrap();
        drop(old);
        let got = waiter.join().unwrap().metadata().unwrap();
        assert_eq!(got.ino(), fs::metadata(&path).unwrap().ino());
    }

    #[test]
    fn dropping_it_frees_it_though_a_copy_of_the_open_file_lives() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "").unwrap();
        let owner = open_locked(&path, Access::Owner, Duration::ZERO).unwrap();
        let _as_a_child_has_it = owner.try_clone().unwrap();
        drop(owner);
        open_locked(&path, Access::Owner, Duration::ZERO).unwrap();
    }

    #[test]
    fn readers_share_and_an_owner_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "").unwrap();
        let open = |access| open_locked(&path, access, Duration::ZERO);
        let readers = (open(Access::Reader).unwrap(), open(Access::Reader).unwrap());
        assert!(matches!(open(Access::Owner), Err(Error::Locked { .. })));
        drop(readers);
        let owner = open(Access::Owner).unwrap();
        assert!(matches!(open(Access::Reader), Err(Error::Locked { .. })));
        drop(owner);
    }
}
