//! What cannot be read is an error that says where, and the file stays as it is, byte for byte.

use std::fs;
use std::path::Path;

use rio::{Error, Region};

use crate::support::{COPY_LEN, LEN_AT, VERSION_AT, everywhere, memory, patch};

/// The error of opening a file with these bytes, which must still be there afterwards.
fn refused(path: &Path, bytes: &[u8]) -> Error {
    fs::write(path, bytes).unwrap();
    let error = Region::options().open(path).expect_err("it opened");
    assert!(fs::read(path).unwrap() == bytes, "the file was changed");
    let private = Region::options().private(true).open(path).expect_err("it opened for looking");
    assert_eq!(error.to_string(), private.to_string());
    assert!(matches!(
        Region::options().size(1 << 16).open_or_create(path),
        Err(Error::Damaged { .. } | Error::Version { .. })
    ));
    assert!(fs::read(path).unwrap() == bytes, "the file was changed");
    error
}

/// A small region closed cleanly, as bytes.
fn region_bytes(dir: &Path) -> (Vec<u8>, Region) {
    let path = dir.join("model");
    Region::create(&path, 3 * 4096).unwrap().close().unwrap();
    let bytes = fs::read(&path).unwrap();
    (bytes, Region::open(&path).unwrap())
}

#[test]
fn empty_short_and_foreign_files_are_refused() {
    everywhere(|dir| {
        let path = dir.join("file");
        let check = |bytes: &[u8], offset_found: u64| match refused(&path, bytes) {
            Error::Damaged { offset, .. } => assert_eq!(offset, offset_found),
            other => panic!("{other}"),
        };
        check(b"", 0);
        check(b"x", 1);
        check(&vec![0; 8191], 8191);
        check(&vec![0; 8192], 0);
        check(&vec![0; 1 << 16], 0);
        check(&b"another program's file ".repeat(1000), 0);
    });
}

#[test]
fn a_file_cut_short_is_refused_at_every_length() {
    let dir = memory();
    let (bytes, model) = region_bytes(dir.path());
    let path = dir.path().join("file");
    for len in (0..bytes.len()).step_by(509) {
        let error = refused(&path, &bytes[..len]);
        assert!(matches!(&error, Error::Damaged { offset, .. } if *offset == len as u64), "{len}: {error}");
    }
    fs::write(&path, &bytes).unwrap();
    assert_eq!(Region::open(&path).unwrap().id(), model.id());
}

#[test]
fn any_damaged_byte_of_one_copy_loses_nothing() {
    let dir = memory();
    let (mut bytes, model) = region_bytes(dir.path());
    let path = dir.path().join("file");
    for at in 0..2 * COPY_LEN {
        for mask in [0x01, 0x80, 0xff] {
            bytes[at] ^= mask;
            fs::write(&path, &bytes).unwrap();
            let region = Region::open(&path).unwrap_or_else(|error| panic!("byte {at} ^ {mask:#x}: {error}"));
            assert_eq!((region.id(), region.len(), region.was_clean()), (model.id(), model.len(), true));
            bytes[at] ^= mask;
            if mask == 0xff {
                // Opening has mended the damaged copy.
                drop(region);
                let mut mended = fs::read(&path).unwrap();
                mended[if at < COPY_LEN { COPY_LEN } else { 0 } + 40] ^= 1;
                fs::write(&path, &mended).unwrap();
                assert_eq!(Region::open(&path).unwrap().id(), model.id(), "byte {at}");
            }
        }
    }
}

#[test]
fn the_same_byte_damaged_in_both_copies_is_an_error_that_says_where() {
    let dir = memory();
    let (mut bytes, _) = region_bytes(dir.path());
    let path = dir.path().join("file");
    for at in 0..COPY_LEN {
        bytes[at] ^= 0x10;
        bytes[COPY_LEN + at] ^= 0x10;
        match refused(&path, &bytes) {
            Error::Damaged { offset, found, expected, .. } => {
                assert!(offset < COPY_LEN as u64);
                assert_ne!(found, expected, "byte {at}");
            }
            Error::Version { offset, .. } => assert_eq!(offset, VERSION_AT as u64),
            other => panic!("byte {at}: {other}"),
        }
        bytes[at] ^= 0x10;
        bytes[COPY_LEN + at] ^= 0x10;
    }
}

#[test]
fn a_later_version_is_named() {
    let dir = memory();
    let (bytes, _) = region_bytes(dir.path());
    let path = dir.path().join("file");
    fs::write(&path, &bytes).unwrap();
    patch(&path, |copy| copy[VERSION_AT..VERSION_AT + 4].copy_from_slice(&7u32.to_ne_bytes()));
    let error = refused(&path, &fs::read(&path).unwrap());
    assert!(matches!(error, Error::Version { found: 7, expected: 1, offset: 12, .. }), "{error}");
}

#[test]
fn lengths_that_no_region_has_are_refused() {
    let dir = memory();
    let (bytes, _) = region_bytes(dir.path());
    let path = dir.path().join("file");
    for len in [0, 1, 4096, 8193, u64::MAX, u64::MAX - 4095, 1 << 63, 1 << 62, 4 * 4096] {
        fs::write(&path, &bytes).unwrap();
        patch(&path, |copy| copy[LEN_AT..LEN_AT + 8].copy_from_slice(&len.to_ne_bytes()));
        let error = refused(&path, &fs::read(&path).unwrap());
        assert!(matches!(error, Error::Damaged { .. }), "{len}: {error}");
    }
}

#[test]
fn a_missing_file_is_the_systems_error() {
    let dir = memory();
    let error = Region::open(dir.path().join("missing")).unwrap_err();
    assert!(matches!(&error, Error::System { call: "open", source, .. }
        if source.kind() == std::io::ErrorKind::NotFound));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
