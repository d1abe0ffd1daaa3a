//! What was stored is there again, with the region's identity and how it was left.

use rio::{Backing, Domain, Medium, Region, RegionOptions};

use crate::support::{USER, everywhere};

fn is_send_and_sync<T: Send + Sync>() {}

#[test]
fn a_region_can_be_sent_and_shared() {
    is_send_and_sync::<Region>();
    is_send_and_sync::<RegionOptions>();
}

#[test]
fn bytes_and_identity_are_there_after_close_and_open() {
    everywhere(|dir| {
        let path = dir.join("region");
        let mut region = Region::create(&path, 100_000).unwrap();
        let id = region.id();
        assert_eq!((region.len() % 4096, region.path()), (0, path.as_path()));
        assert!(region.len() >= 100_000 && region.was_created() && region.was_clean());
        assert!(region.bytes(USER..region.len()).unwrap().iter().all(|byte| *byte == 0));
        region.bytes_mut(USER + 10..USER + 15).unwrap().copy_from_slice(b"hello");
        let len = region.len();
        region.close().unwrap();

        for _ in 0..3 {
            let region = Region::open(&path).unwrap();
            assert_eq!((region.id(), region.len(), region.domain()), (id, len, Domain::PageCache));
            assert!(region.was_clean() && !region.was_created() && region.survives().process_crash);
            assert_eq!(region.bytes(USER + 10..USER + 15).unwrap(), b"hello");
            region.sync().unwrap();
            region.close().unwrap();
        }
    });
}

#[test]
fn dropping_closes_it() {
    everywhere(|dir| {
        let path = dir.join("region");
        drop(Region::create(&path, 1 << 16).unwrap());
        assert!(Region::open(&path).unwrap().was_clean());
    });
}

#[test]
fn both_views_show_the_same_bytes() {
    let mut region = Region::options().size(1 << 16).anonymous().unwrap();
    assert_eq!(region.backing(), Backing::Anonymous);
    assert!(region.is_protected());
    assert_ne!(region.read_base(), region.write_base().cast_const());
    assert_eq!((region.read_base().addr() % 4096, region.write_base().addr() % 4096), (0, 0));
    region.bytes_mut(USER..USER + 3).unwrap().copy_from_slice(b"abc");
    assert_eq!(region.bytes(USER..USER + 3).unwrap(), b"abc");
    assert!(!region.survives().process_crash);
    region.close().unwrap();
}

#[test]
fn without_protection_there_is_one_view() {
    let region = Region::options().size(1 << 16).protection(false).anonymous().unwrap();
    assert!(!region.is_protected());
    assert_eq!(region.read_base(), region.write_base().cast_const());
}

#[test]
fn hints_change_nothing_but_time() {
    everywhere(|dir| {
        let options = Region::options().size(4 << 20).huge_pages(true).prefault(true);
        let mut region = options.create(dir.join("region")).unwrap();
        region.grow(8 << 20).unwrap();
        assert!(region.bytes(USER..8 << 20).unwrap().iter().all(|byte| *byte == 0));
        region.close().unwrap();
    });
}

#[test]
fn ranges_outside_and_the_header_are_refused() {
    let mut region = Region::options().size(1 << 16).anonymous().unwrap();
    for range in [0..8, 0..USER, USER - 1..USER + 1, 65_530..65_537, 65_537..65_537, u64::MAX - 1..u64::MAX] {
        assert!(region.bytes(range.clone()).is_err(), "{range:?}");
        assert!(region.bytes_mut(range.clone()).is_err(), "{range:?}");
    }
    let backwards = std::ops::Range { start: USER + 2, end: USER + 1 };
    assert!(region.bytes(backwards).is_err());
    assert!(region.bytes(USER..USER).unwrap().is_empty());
    assert!(region.bytes(65_536..65_536).unwrap().is_empty());
}
