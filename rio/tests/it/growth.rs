//! A region grows without moving, up to what was set aside, and a growth that fails or is cut off changes nothing.

use std::fs::{self, OpenOptions};

use rio::{Error, Medium, Region};

use crate::support::{child_under, everywhere, memory, role, run};

#[test]
fn growing_moves_nothing_and_the_new_bytes_are_zero() {
    everywhere(|dir| {
        let path = dir.join("region");
        let mut region = Region::create(&path, 1 << 16).unwrap();
        let bases = (region.read_base(), region.write_base());
        let mut old_len = region.len();
        for len in [(1 << 16) + 1, 1 << 20, (2 << 20) + 4096, 5 << 20] {
            region.bytes_mut(old_len - 1..old_len).unwrap()[0] = 9;
            region.grow(len).unwrap();
            assert!(region.len() >= len && region.len() < len + 65_536);
            assert_eq!((region.read_base(), region.write_base()), bases);
            assert_eq!(region.bytes(old_len - 1..old_len).unwrap(), [9]);
            assert!(region.bytes(old_len..region.len()).unwrap().iter().all(|byte| *byte == 0));
            old_len = region.len();
        }
        region.grow(1).unwrap();
        assert_eq!(region.len(), old_len);
        region.close().unwrap();
        assert_eq!(Region::open(&path).unwrap().len(), old_len);
    });
}

#[test]
fn beyond_the_reservation_is_an_error_and_reopening_with_more_is_the_way_out() {
    let dir = memory();
    let path = dir.path().join("region");
    let mut region = Region::options().size(1 << 20).reserve(4 << 20).create(&path).unwrap();
    assert_eq!((region.reserved_len(), region.max_len()), (4 << 20, 4 << 20));
    let error = region.grow((4 << 20) + 1).unwrap_err();
    assert!(matches!(error, Error::ReservationExhausted { wanted: 4_194_305, reserved: 4_194_304, .. }));
    assert!(region.grow(u64::MAX).is_err());
    region.grow(4 << 20).unwrap();
    assert!(matches!(region.grow((4 << 20) + 1), Err(Error::ReservationExhausted { .. })));
    region.bytes_mut((4 << 20) - 1..4 << 20).unwrap()[0] = 1;
    region.close().unwrap();
    let mut region = Region::options().reserve(8 << 20).open(&path).unwrap();
    region.grow((4 << 20) + 1).unwrap();
    assert_eq!(region.bytes((4 << 20) - 1..(4 << 20) + 1).unwrap(), [1, 0]);
    region.close().unwrap();
    // A reservation below the length is made up to it.
    let region = Region::options().reserve(0).open(&path).unwrap();
    assert!(region.reserved_len() >= region.len());
}

#[test]
fn a_limit_is_kept() {
    let mut region = Region::options().size(1 << 16).max_len(1 << 17).anonymous().unwrap();
    assert_eq!(region.max_len(), 1 << 17);
    assert!(matches!(region.grow((1 << 17) + 1), Err(Error::ReservationExhausted { reserved: 131_072, .. })));
    region.grow(1 << 17).unwrap();
    // A limit below the length is no reason to refuse the region, only to grow.
    let region = Region::options().size(1 << 16).max_len(1).anonymous().unwrap();
    assert_eq!(region.max_len(), region.len());
}

#[test]
fn what_a_growth_cut_off_left_behind_is_not_seen_and_not_kept() {
    everywhere(|dir| {
        let path = dir.join("region");
        Region::create(&path, 1 << 16).unwrap().close().unwrap();
        let mut bytes = fs::read(&path).unwrap();
        bytes.resize(3 << 16, 0xee);
        fs::write(&path, &bytes).unwrap();
        let mut region = Region::open(&path).unwrap();
        assert_eq!(region.len(), 1 << 16);
        region.grow(2 << 16).unwrap();
        assert!(region.bytes(1 << 16..2 << 16).unwrap().iter().all(|byte| *byte == 0));
        assert_eq!(fs::metadata(&path).unwrap().len(), 2 << 16);
    });
}

#[test]
fn under_a_limit_on_address_space_less_is_set_aside() {
    if let Some((_, path)) = role() {
        let region = Region::create(path, 1 << 20).unwrap();
        let reserved = region.reserved_len();
        assert!((1 << 20..2 << 30).contains(&reserved), "{reserved}");
        // And some is left for others: 1 GiB for each view would have fitted too, but then this would not.
        let other = Region::options().size(1 << 20).reserve(256 << 20).anonymous().unwrap();
        assert_eq!(other.reserved_len(), 256 << 20, "beside {reserved}");
        return;
    }
    let dir = memory();
    let test = "growth::under_a_limit_on_address_space_less_is_set_aside";
    run(child_under("ulimit -v 2400000", test, "limited", &dir.path().join("region")));
}

#[test]
fn a_region_longer_than_the_default_reservation_still_opens() {
    let dir = memory();
    let path = dir.path().join("region");
    Region::options().size(3 << 20).create(&path).unwrap().close().unwrap();
    let region = Region::options().reserve(1 << 20).open(&path).unwrap();
    assert_eq!((region.reserved_len(), region.len()), (4 << 20, 3 << 20));
}

#[test]
fn a_file_truncated_behind_our_back_is_refused_at_the_next_open() {
    let dir = memory();
    let path = dir.path().join("region");
    Region::create(&path, 1 << 16).unwrap().close().unwrap();
    OpenOptions::new().write(true).open(&path).unwrap().set_len((1 << 16) - 4096).unwrap();
    assert!(matches!(Region::open(&path), Err(Error::Damaged { offset: 61_440, .. })));
}
