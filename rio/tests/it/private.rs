//! Who opens a region privately sees it as it is, may store to his own copy, and changes nothing in the file.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use rio::{Domain, DomainChoice, Error, Medium, Region};

use crate::support::{USER, everywhere, left_open};

#[test]
fn looking_changes_nothing() {
    everywhere(|dir| {
        let path = left_open(dir, &Region::options());
        let (bytes, before) = (fs::read(&path).unwrap(), fs::metadata(&path).unwrap());
        let options = Region::options().private(true).prefault(true);
        let mut region = options.open(&path).unwrap();
        let beside = options.open(&path).unwrap();
        assert!(
            region.is_private() && !region.was_clean() && !region.is_protected() && !region.was_created()
        );
        assert_eq!(region.bytes(USER..USER + 4).unwrap(), b"kept");
        region.bytes_mut(USER..USER + 4).unwrap().copy_from_slice(b"mine");
        assert_eq!(region.bytes(USER..USER + 4).unwrap(), b"mine");
        assert_eq!(beside.bytes(USER..USER + 4).unwrap(), b"kept");
        region.guard(USER, 4096).unwrap();
        region.sync().unwrap();
        assert!(matches!(region.grow(1 << 20), Err(Error::ReadOnly { what: "grow", .. })));
        assert!(!region.survives().process_crash);
        assert!(matches!(Region::open(&path), Err(Error::Locked { .. })));
        region.close().unwrap();
        drop(beside);
        let after = fs::metadata(&path).unwrap();
        assert!(fs::read(&path).unwrap() == bytes);
        assert_eq!((after.mtime_nsec(), after.ctime_nsec()), (before.mtime_nsec(), before.ctime_nsec()));
        assert!(!Region::open(&path).unwrap().was_clean());
    });
}

#[test]
fn a_file_without_the_right_to_write_can_be_looked_at() {
    everywhere(|dir| {
        let path = left_open(dir, &Region::options());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
        let forced = Region::options().private(true).domain(DomainChoice::Forced(Domain::Adr));
        let region = forced.open(&path).unwrap();
        assert_eq!((region.domain(), region.write_back()), (Domain::PageCache, rio::WriteBack::None));
    });
}
