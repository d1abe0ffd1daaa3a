//! Space: the blocks of a file are there before anything is stored in them, so that a full disk is an error here
//! and not a SIGBUS later.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};

use crate::{Backing, Error};

/// Gives the file blocks for this range beyond its end; they read as zero. On failure the file may be longer than
/// before, which its owner has to take back.
pub(crate) fn allocate(file: &File, path: &Path, range: Range<u64>, backing: Backing) -> Result<(), Error> {
    let result = if backing == Backing::FsDax {
        // Allocation alone leaves extents that are marked as unwritten, and when the kernel crashed before that
        // mark was gone from the medium, what had been stored through the mapping was lost.
        write_zeroes(file, range.clone()).and_then(|()| file.sync_all())
    } else {
        match allocate_blocks(file, &range) {
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => write_zeroes(file, range.clone()),
            other => other.map_err(io::Error::from),
        }
    };
    result.map_err(|source| no_space(path, range.end, source))
}

/// The system's error in allocating, sorted.
pub(crate) fn no_space(path: &Path, wanted: u64, source: io::Error) -> Error {
    match source.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOSPC | Errno::EDQUOT | Errno::EFBIG) => {
            Error::NoSpace { path: path.display().to_string(), wanted, source }
        }
        _ => Error::system(path, "fallocate", source),
    }
}

fn allocate_blocks(file: &File, range: &Range<u64>) -> Result<(), Errno> {
    loop {
        let len = range.end - range.start;
        match fallocate(file, FallocateFlags::empty(), range.start as i64, len as i64) {
            Err(Errno::EINTR) => continue, // tmpfs gives up for any signal, and begins anew.
            other => return other,
        }
    }
}

fn write_zeroes(file: &File, range: Range<u64>) -> io::Result<()> {
    let zeroes = vec![0; (1 << 20).min(range.end - range.start) as usize];
    let mut offset = range.start;
    while offset < range.end {
        let part = &zeroes[..zeroes.len().min((range.end - offset) as usize)];
        file.write_all_at(part, offset)?;
        offset += part.len() as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    /// Bytes of blocks in a file of 2 MiB and a page, made in two steps.
    fn check(backing: Backing) {
        let file = tempfile::tempfile().unwrap();
        let path = Path::new("file");
        let len = (2 << 20) + 4096;
        allocate(&file, path, 0..4096, backing).unwrap();
        allocate(&file, path, 4096..len, backing).unwrap();
        let found = file.metadata().unwrap();
        assert_eq!(found.len(), len);
        assert!(found.blocks() * 512 >= len, "{backing}: {} blocks", found.blocks());
        let mut bytes = vec![1; len as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert!(bytes.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn blocks_are_allocated_and_not_only_promised() {
        check(Backing::PageCache);
        check(Backing::FsDax);
    }

    #[test]
    fn a_file_beyond_what_can_be_is_no_space() {
        let error = no_space(Path::new("file"), 7, Errno::EFBIG.into());
        assert!(matches!(error, Error::NoSpace { wanted: 7, .. }));
        let error = no_space(Path::new("file"), 7, Errno::EIO.into());
        assert!(matches!(error, Error::System { call: "fallocate", .. }));
    }
}
