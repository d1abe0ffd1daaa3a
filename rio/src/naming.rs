//! Naming: a new file gets its name when it is whole, at one moment, and never in another's place.
//!
//! The file is made without a name and linked at the end; a crash before that leaves nothing. Where the file
//! system has no nameless files it gets a name that nobody looks for, and a crash leaves that one behind.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::libc;
use uuid::Uuid;

use crate::Error;

/// How the file lives until it is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// Without a name where the file system can, else as below.
    Nameless,
    /// Under a name that nobody looks for.
    #[cfg_attr(not(test), allow(dead_code))] // Asked for by tests, met elsewhere when the first fails.
    Hidden,
}

/// A file on its way to a name. Dropped unnamed it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Unnamed {
    path: PathBuf,
    dir: PathBuf,
    /// The name until then, where it has one.
    hidden: Option<PathBuf>,
}

impl Unnamed {
    /// A new empty file in the directory of `path`.
    pub(crate) fn new(path: &Path, until: Until) -> Result<(File, Unnamed), Error> {
        refuse_existing(path)?;
        let Some(name) = path.file_name() else {
            return Err(Error::system(path, "open", io::Error::from(io::ErrorKind::InvalidInput)));
        };
        let dir = match path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir.to_owned(),
            _ => PathBuf::from("."),
        };
        let mut unnamed = Unnamed { path: path.to_owned(), dir, hidden: None };
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        if until == Until::Nameless {
            match options.clone().custom_flags(libc::O_TMPFILE).open(&unnamed.dir) {
                Ok(file) => return Ok((file, unnamed)),
                // The second is the word of kernels and file systems that take it for opening the directory.
                Err(error) if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EISDIR)) => {}
                Err(source) => return Err(Error::system(&unnamed.dir, "open", source)),
            }
        }
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.unfinished", Uuid::new_v4().simple()));
        let hidden = unnamed.dir.join(hidden);
        let file = options
            .create_new(true)
            .open(&hidden)
            .map_err(|source| Error::system(&hidden, "open", source))?;
        unnamed.hidden = Some(hidden);
        Ok((file, unnamed))
    }

    /// The directory that the name will stand in.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Gives the file its name, unless something has it already. The name is there from this call on; it is
    /// durable after the directory is synced.
    pub(crate) fn publish(self, file: &File) -> Result<(), Error> {
        let linked = match &self.hidden {
            None => {
                let from = format!("/proc/self/fd/{}", file.as_raw_fd());
                let linked = nix::unistd::linkat(
                    AT_FDCWD,
                    from.as_str(),
                    AT_FDCWD,
                    &self.path,
                    AtFlags::AT_SYMLINK_FOLLOW,
                );
                linked.map_err(|errno| ("linkat", io::Error::from(errno)))
            }
            Some(hidden) => rename_new(hidden, &self.path),
        };
        linked.map_err(|(call, source)| match refuse_existing(&self.path) {
            Err(exists) if source.kind() == io::ErrorKind::AlreadyExists => exists,
            _ => Error::system(&self.path, call, source),
        })
    }
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        if let Some(hidden) = &self.hidden {
            // After `rename_new` by a second link this removes the first; otherwise there is nothing to remove,
            // or the file was never wanted. If it fails, a file that nobody looks for stays behind.
            let _ = fs::remove_file(hidden);
        }
    }
}

/// Syncs a directory, so that the names in it are durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), Error> {
    File::open(dir)
        .and_then(|handle| handle.sync_all())
        .map_err(|source| Error::system(dir, "fsync of the directory", source))
}

/// Whatever has the name keeps it, be it a file, a directory or a dangling link.
fn refuse_existing(path: &Path) -> Result<(), Error> {
    match fs::symlink_metadata(path) {
        Ok(found) => Err(Error::AlreadyExists { path: path.to_owned(), len: found.len() }),
        Err(_) => Ok(()),
    }
}

/// Renames and never replaces: by a second link, or where the file system has no links, by the call made for it.
fn rename_new(from: &Path, to: &Path) -> Result<(), (&'static str, io::Error)> {
    match fs::hard_link(from, to) {
        Ok(()) => Ok(()),
        #[cfg(target_env = "gnu")]
        Err(error) if matches!(error.raw_os_error(), Some(libc::EPERM | libc::EOPNOTSUPP | libc::ENOSYS)) => {
            use nix::fcntl::{RenameFlags, renameat2};
            renameat2(AT_FDCWD, from, AT_FDCWD, to, RenameFlags::RENAME_NOREPLACE)
                .map_err(|errno| ("renameat2", errno.into()))
        }
        Err(source) => Err(("link", source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn names(dir: &Path) -> usize {
        fs::read_dir(dir).unwrap().count()
    }

    fn check(until: Until) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("region");
        // Dropped unnamed.
        drop(Unnamed::new(&path, until).unwrap());
        assert_eq!(names(dir.path()), 0, "{until:?}");
        // Named.
        let (mut file, unnamed) = Unnamed::new(&path, until).unwrap();
        file.write_all(b"first").unwrap();
        assert!(!path.exists());
        let (second, late) = Unnamed::new(&path, until).unwrap();
        unnamed.publish(&file).unwrap();
        assert_eq!((fs::read(&path).unwrap(), names(dir.path())), (b"first".to_vec(), 1 + hidden(until)));
        // Another was first.
        assert!(matches!(late.publish(&second), Err(Error::AlreadyExists { len: 5, .. })));
        assert!(matches!(Unnamed::new(&path, until), Err(Error::AlreadyExists { len: 5, .. })));
        assert_eq!((fs::read(&path).unwrap(), names(dir.path())), (b"first".to_vec(), 1));
    }

    /// Names that a file not yet named takes.
    fn hidden(until: Until) -> usize {
        usize::from(until == Until::Hidden)
    }

    #[test]
    fn a_name_is_given_once_and_at_the_end() {
        check(Until::Nameless);
        check(Until::Hidden);
    }

    #[test]
    fn a_dangling_link_keeps_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("region");
        std::os::unix::fs::symlink("nowhere", &path).unwrap();
        assert!(matches!(Unnamed::new(&path, Until::Nameless), Err(Error::AlreadyExists { .. })));
    }
}
