//! Where the bank lies: at a path that was asked for, which is kept, or in a directory of our own, which is removed
//! however the demonstration ends.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{env, process};

use tempfile::TempDir;

use super::machine::file_system_of;
use crate::failure::Failure;

const SHARED_MEMORY: &str = "/dev/shm";
const NAME: &str = "bank";
/// What a shell reports for a program that was interrupted.
const INTERRUPTED: i32 = 130;

/// The place of the bank. Dropping it removes a directory of our own.
pub(crate) struct Place {
    path: PathBuf,
    own: Arc<Mutex<Option<TempDir>>>,
    /// Directories for what is never kept.
    scratch: Arc<Mutex<Vec<TempDir>>>,
}

impl Place {
    /// The given path, or one in tmpfs if there is a tmpfs to write to, and in the directory for temporary files if
    /// not.
    pub(crate) fn new(path: Option<&Path>) -> Result<Place, Failure> {
        if let Some(path) = path {
            // Its creation says so too, but only after the work of filling a whole bank.
            if path.symlink_metadata().is_ok() {
                let what = format!("{}: already exists; it was left untouched", path.display());
                return Err(Failure::new(what).with_advice("choose another path, or remove it yourself"));
            }
            let place = Place { path: path.to_owned(), own: Arc::default(), scratch: Arc::default() };
            place.remove_when_interrupted()?;
            return Ok(place);
        }
        let shared_memory = Path::new(SHARED_MEMORY);
        let is_tmpfs = file_system_of(shared_memory).is_some_and(|name| name == "tmpfs");
        let in_memory = if is_tmpfs { directory_in(shared_memory).ok() } else { None };
        let own = match in_memory {
            Some(own) => own,
            None => directory_in(&env::temp_dir())?,
        };
        let path = own.path().join(NAME);
        let place = Place { path, own: Arc::new(Mutex::new(Some(own))), scratch: Arc::default() };
        place.remove_when_interrupted()?;
        Ok(place)
    }

    /// Moves on to the directory for temporary files; false if it is there already or where it was asked to be.
    pub(crate) fn move_on(&mut self) -> Result<bool, Failure> {
        if !self.path.starts_with(SHARED_MEMORY) || take(&self.own).is_none() {
            return Ok(false);
        }
        let own = directory_in(&env::temp_dir())?;
        self.path = own.path().join(NAME);
        *lock(&self.own) = Some(own);
        Ok(true)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A directory beside the bank that is removed however this ends.
    pub(crate) fn beside(&self) -> Result<PathBuf, Failure> {
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        self.scratch_in(parent.unwrap_or(Path::new(".")))
    }

    /// One on a disk, if there is one to be found: where temporary files go, or else here.
    pub(crate) fn on_disk(&self) -> Result<PathBuf, Failure> {
        let is_disk =
            |path: &PathBuf| file_system_of(path).is_some_and(|name| name != "tmpfs" && name != "ramfs");
        let candidates = [env::temp_dir(), "/var/tmp".into(), ".".into()];
        let disk = candidates.iter().find(|path| is_disk(path) && tempfile::tempfile_in(path).is_ok());
        self.scratch_in(disk.unwrap_or(&candidates[0]))
    }

    /// A directory in another one that is removed however this ends.
    pub(crate) fn scratch_in(&self, parent: &Path) -> Result<PathBuf, Failure> {
        let directory = directory_in(parent)?;
        let path = directory.path().to_owned();
        lock(&self.scratch).push(directory);
        Ok(path)
    }

    /// Leaves the file where it is.
    pub(crate) fn keep(&self) {
        if let Some(own) = take(&self.own) {
            let _ = own.keep();
        }
    }

    /// Leaves the file where it is, for the inspection of what could not go on.
    pub(crate) fn keep_for(&self, failure: Failure) -> Failure {
        self.keep();
        failure.kept(&self.path)
    }

    /// An interrupt ends the process without dropping anything. The child ends by itself when nobody reads its pipe any
    /// more.
    fn remove_when_interrupted(&self) -> Result<(), Failure> {
        let (own, scratch) = (self.own.clone(), self.scratch.clone());
        let remove = move || {
            drop(take(&own));
            lock(&scratch).clear();
            process::exit(INTERRUPTED);
        };
        ctrlc::set_handler(remove).map_err(|error| Failure::new(format!("signal handler: {error}")))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // The handler of interrupts holds on to it, and is never dropped.
        drop(take(&self.own));
        lock(&self.scratch).clear();
    }
}

fn directory_in(parent: &Path) -> Result<TempDir, Failure> {
    let directory = tempfile::Builder::new().prefix("vista-").tempdir_in(parent);
    directory.map_err(|error| Failure::system(parent, "create a directory", &error))
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

fn take(own: &Mutex<Option<TempDir>>) -> Option<TempDir> {
    lock(own).take()
}
