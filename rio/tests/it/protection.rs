//! A store through what readers hold, and any access to a guard, ends the process and leaves the file intact.

#![allow(unsafe_code)] // It does what must not be done.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use rio::{Error, HEADER_LEN, Medium, Region};

use crate::support::{child, everywhere, memory, role};

const SIGSEGV: i32 = 11;
const GUARD: u64 = HEADER_LEN + 4096;

#[test]
fn a_wild_access_dies_and_the_file_is_intact() {
    if let Some((role, path)) = role() {
        return misbehave(&role, &path);
    }
    everywhere(|dir| {
        let path = dir.join("region");
        Region::create(&path, 1 << 16).unwrap().close().unwrap();
        let body = |path: &Path| fs::read(path).unwrap().split_off(HEADER_LEN as usize);
        let before = body(&path);
        let test = "protection::a_wild_access_dies_and_the_file_is_intact";
        for role in [
            "store through the view for readers",
            "store to the header through it",
            "store beyond the end",
            "load beyond the end",
            "load from a guard",
            "load from a guard, other view",
            "store to a guard",
            "load from a guard after growing",
            "load from a guard without protection",
        ] {
            let output = child(test, role, &path).output().unwrap();
            assert_eq!(output.status.signal(), Some(SIGSEGV), "{role}: {output:?}");
            assert!(body(&path).starts_with(&before), "{role}"); // One of them grows it first.
            let region = Region::open(&path).unwrap();
            assert!(!region.was_clean(), "{role}");
        }
    });
}

/// The child: opens the region properly and then does what its role says.
fn misbehave(role: &str, path: &Path) {
    let protection = !role.ends_with("without protection");
    let mut region = Region::options().protection(protection).open(path).unwrap();
    region.guard(GUARD, 4096).unwrap();
    if role.ends_with("after growing") {
        region.grow(1 << 20).unwrap();
    }
    let (read, write) = (region.read_base().cast_mut(), region.write_base());
    let len = region.len() as usize;
    let place = match role {
        "store through the view for readers" => read.wrapping_add(len - 1),
        "store to the header through it" => read,
        "store beyond the end" => write.wrapping_add(len),
        "load beyond the end" => read.wrapping_add(len),
        "load from a guard, other view" | "store to a guard" => write.wrapping_add(GUARD as usize),
        _ => read.wrapping_add(GUARD as usize + 4095),
    };
    if role.starts_with("store") {
        // SAFETY: none; the process shall die here.
        unsafe { place.write_volatile(1) };
    } else {
        // SAFETY: none; the process shall die here.
        unsafe { place.read_volatile() };
    }
}

#[test]
fn a_guard_is_refused_to_safe_callers() {
    let mut region = Region::options().size(1 << 16).anonymous().unwrap();
    region.guard(GUARD, 8192).unwrap();
    for range in [GUARD..GUARD + 1, GUARD - 1..GUARD + 1, GUARD + 8191..GUARD + 8193, HEADER_LEN..1 << 16] {
        assert!(matches!(region.bytes(range.clone()), Err(Error::BadOption { .. })), "{range:?}");
        assert!(matches!(region.bytes_mut(range.clone()), Err(Error::BadOption { .. })), "{range:?}");
    }
    region.bytes_mut(GUARD - 4096..GUARD).unwrap().fill(1);
    region.bytes_mut(GUARD + 8192..1 << 16).unwrap().fill(1);
    region.sync().unwrap();
    region.grow(1 << 20).unwrap();
    region.close().unwrap();
}

#[test]
fn guards_that_cannot_be_are_refused() {
    let mut region = Region::options().size(1 << 16).anonymous().unwrap();
    for (offset, len) in [
        (0, 4096),
        (4096, 4096),
        (GUARD + 1, 4096),
        (GUARD, 0),
        (GUARD, 100),
        (1 << 16, 4096),
        ((1 << 16) - 4096, 8192),
        (GUARD, u64::MAX - 4095),
        (u64::MAX - 4095, 4096),
    ] {
        assert!(matches!(region.guard(offset, len), Err(Error::BadOption { .. })), "{offset} {len}");
    }
}

#[test]
fn a_guard_lasts_as_long_as_the_region_is_open() {
    let dir = memory();
    let path = dir.path().join("region");
    let mut region = Region::create(&path, 1 << 16).unwrap();
    region.bytes_mut(GUARD..GUARD + 1).unwrap()[0] = 5;
    region.guard(GUARD, 4096).unwrap();
    region.close().unwrap();
    assert_eq!(Region::open(&path).unwrap().bytes(GUARD..GUARD + 1).unwrap(), [5]);
}
