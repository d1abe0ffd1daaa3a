//! A wild store through what a reader holds kills the process, and spares the bytes.

#![allow(unsafe_code)] // The wild store.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use vista::{Error, Segment};

const PATH: &str = "VISTA_TEST_PATH";
const SIGSEGV: i32 = 11;

/// Runs this test once more in a process of its own, which is to die.
fn die(test: &str, path: &Path) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads", "1"])
        .env(PATH, path)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.signal(), Some(SIGSEGV), "{:?}: {text}", output.status);
    assert!(text.contains("about to store"), "{text}");
}

fn check(test: &str, store: impl FnOnce(&Segment<[u64; 512]>)) {
    if let Some(path) = std::env::var_os(PATH) {
        let segment = Segment::<[u64; 512]>::open(path).unwrap();
        println!("about to store");
        store(&segment);
        println!("still alive");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("segment");
    let mut segment = Segment::<[u64; 512]>::create(&path, 1 << 20).unwrap();
    segment.transaction(|tx| Ok::<_, Error>(*tx.root_mut()? = [7; 512])).unwrap();
    segment.close().unwrap();
    die(test, &path);
    let segment = Segment::<[u64; 512]>::open(&path).unwrap();
    assert!(!segment.medium().unwrap().was_clean(), "the child had it open");
    assert_eq!(segment.root().unwrap(), &[7; 512]);
    assert!(segment.check().unwrap().is_empty());
}

/// Stores at an address, as a bug would.
fn store_at(address: *const u8) {
    // SAFETY: none. It is meant to kill the process, and what it would change is looked at afterwards.
    unsafe { address.cast_mut().write_volatile(1) };
}

#[test]
fn a_wild_store_through_a_reference_dies() {
    check("view::a_wild_store_through_a_reference_dies", |segment| {
        let root: &[u64; 512] = segment.root().unwrap();
        store_at((&raw const root[100]).cast());
    });
}

#[test]
fn a_wild_store_through_a_slice_dies() {
    check("view::a_wild_store_through_a_slice_dies", |segment| {
        let bytes = vista::PSlice::<u8>::from_raw_parts(segment.root_ptr().offset(), 100);
        store_at(&raw const segment.slice(bytes).unwrap()[50]);
    });
}

/// Running on beyond user data, through either view, ends at a guard: here downwards, from the first page.
#[test]
fn a_store_that_runs_out_of_the_user_data_dies() {
    check("view::a_store_that_runs_out_of_the_user_data_dies", |segment| {
        use rio::Medium;
        let medium = segment.medium().unwrap();
        let first_page = segment.root_ptr().offset() / 4096 * 4096;
        let mut at = first_page;
        while at > 0 {
            at -= 8;
            // Bytes of the guard behind the descriptors come first.
            store_at(medium.write_base().wrapping_add(at as usize));
        }
    });
}
