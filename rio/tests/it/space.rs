//! Blocks are there when create and grow return; a full disk is an error at that moment, and changes nothing.
//!
//! A file system small enough to fill would have to be mounted, which needs privilege. A limit on the size of files
//! makes the same call fail in the same place, and beyond the size of a tmpfs it fails without filling it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rio::{Error, Region};

use crate::support::{USER, child_under, everywhere, memory, role, run};

#[test]
fn every_byte_has_its_block() {
    everywhere(|dir| {
        let path = dir.join("region");
        let mut region = Region::create(&path, 1 << 20).unwrap();
        assert!(fs::metadata(&path).unwrap().blocks() * 512 >= 1 << 20);
        region.grow(3 << 20).unwrap();
        assert!(fs::metadata(&path).unwrap().blocks() * 512 >= 3 << 20);
    });
}

fn check_no_space(path: &Path, region: &mut Region, wanted: u64) {
    let old_len = region.len();
    for _ in 0..2 {
        let error = region.grow(wanted).unwrap_err();
        assert!(matches!(error, Error::NoSpace { wanted: at, .. } if at == wanted), "{error}");
        assert_eq!((region.len(), fs::metadata(path).unwrap().len()), (old_len, old_len));
    }
    region.bytes_mut(old_len - 4..old_len).unwrap().copy_from_slice(b"well");
    region.grow(old_len + 4096).unwrap();
    assert_eq!(region.bytes(old_len - 4..old_len).unwrap(), b"well");
    assert!(region.bytes(old_len..old_len + 4096).unwrap().iter().all(|byte| *byte == 0));
}

#[test]
fn a_limit_on_files_is_no_space_and_leaves_the_region_healthy() {
    if let Some((_, path)) = role() {
        let other = path.with_file_name("other");
        assert!(matches!(Region::create(&other, 16 << 20), Err(Error::NoSpace { wanted: 16_777_216, .. })));
        assert!(!other.exists());
        let mut region = Region::create(&path, 1 << 16).unwrap();
        check_no_space(&path, &mut region, 16 << 20);
        region.close().unwrap();
        return;
    }
    everywhere(|dir| {
        let path = dir.join("region");
        // 4 MiB. The kernel also sends a signal, which is ignored as a program that expects it would.
        let limits = "trap '' XFSZ; ulimit -f 8192";
        let test = "space::a_limit_on_files_is_no_space_and_leaves_the_region_healthy";
        run(child_under(limits, test, "limited", &path));
        let region = Region::open(&path).unwrap();
        assert_eq!((region.len(), region.was_clean()), ((1 << 16) + 4096, true));
        assert_eq!(region.bytes((1 << 16) - 4..1 << 16).unwrap(), b"well");
        assert_eq!(fs::read_dir(dir).unwrap().count(), 1);
    });
}

#[test]
fn beyond_the_size_of_a_tmpfs_is_no_space() {
    let dir = memory();
    let found = nix::sys::statfs::statfs(dir.path()).unwrap();
    let total = found.blocks() * found.block_size() as u64;
    if found.filesystem_type() != nix::sys::statfs::TMPFS_MAGIC || total == 0 {
        return; // On a disk this would fill it; there the limit above has to do.
    }
    let beyond = (total + (1 << 30)).next_multiple_of(1 << 20);
    let path = dir.path().join("region");
    assert!(matches!(Region::create(&path, beyond), Err(Error::NoSpace { .. })));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    let mut region = Region::options().size(1 << 16).reserve(2 * beyond).create(&path).unwrap();
    check_no_space(&path, &mut region, beyond);
    assert!(region.len() > USER);
}
