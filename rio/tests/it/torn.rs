//! An update of the header that is cut off anywhere, or torn, leaves what it said before or what it says now.

use std::fs;
use std::path::Path;

use rio::Region;

use crate::support::{COPY_LEN, memory};

const HEADER: usize = 2 * COPY_LEN;

/// The length that a file with this header opens with.
fn len_of(path: &Path, header: &[u8], body: &[u8]) -> u64 {
    fs::write(path, [header, &body[HEADER..]].concat()).unwrap();
    let region = Region::open(path).unwrap();
    assert!(!region.was_clean());
    region.len()
}

#[test]
fn a_growth_whose_header_is_torn_has_happened_or_not() {
    let dir = memory();
    let (path, image) = (dir.path().join("region"), dir.path().join("image"));
    let mut region = Region::create(&path, 3 * 4096).unwrap();
    let old = fs::read(&path).unwrap();
    region.grow(4 * 4096).unwrap();
    let new = fs::read(&path).unwrap();
    // One of the copies was the older; the update wrote that first, whole, and then the other.
    let generation = |copy: usize| u64::from_ne_bytes(old[copy * COPY_LEN + 24..][..8].try_into().unwrap());
    let first = usize::from(generation(1) < generation(0));

    let mut header = old[..HEADER].to_vec();
    for (copy, expected) in [(first, 3 * 4096), (1 - first, 4 * 4096)] {
        let place = copy * COPY_LEN..(copy + 1) * COPY_LEN;
        let (was, is) = (&old[place.clone()], &new[place.clone()]);
        for cut in 0..=128 {
            // The beginning arrived and the end did not, and the other way round.
            for (head, tail) in [(is, was), (was, is)] {
                let torn = [&head[..cut], &tail[cut..]].concat();
                let whole = torn == is;
                header[place.clone()].copy_from_slice(&torn);
                let len = len_of(&image, &header, &new);
                assert_eq!(len, if whole { 4 * 4096 } else { expected }, "copy {copy} cut at {cut}");
            }
        }
        header[place.clone()].copy_from_slice(is);
    }
    assert_eq!(header, new[..HEADER]);
}

#[test]
fn a_close_whose_header_is_torn_has_happened_or_not() {
    let dir = memory();
    let (path, image) = (dir.path().join("region"), dir.path().join("image"));
    let region = Region::create(&path, 3 * 4096).unwrap();
    let old = fs::read(&path).unwrap();
    region.close().unwrap();
    let new = fs::read(&path).unwrap();
    let mut marks = [0, 0];
    for cut in (0..=HEADER).step_by(8) {
        fs::write(&image, [&new[..cut], &old[cut..]].concat()).unwrap();
        marks[usize::from(Region::open(&image).unwrap().was_clean())] += 1;
    }
    assert!(marks[0] > 0 && marks[1] > 0, "{marks:?}");
}
