//! Each misuse has its own error, which says what was wrong, and nothing has changed.

use std::mem;
use std::process::Command;

use lrvm::{Begin, End, Error, MapMode, Options, Rvm, Truncation, create_log, create_segment};

use crate::support::{Call, PAGE, Place, Store, Stores, commit, options};

/// The error says this, and is of this kind.
macro_rules! refused {
    ($result:expr, $pattern:pat, $words:expr) => {
        let error = $result.map(drop).unwrap_err();
        assert!(matches!(error, $pattern), "{error:?}");
        assert_eq!(error.to_string(), $words);
    };
}

#[test]
fn a_region_is_whole_pages_inside_of_its_segment() {
    let place = Place::new(1 << 14, 2);
    let rvm = place.open();
    let map = |start, end| rvm.map(place.segment(), start..end);
    for (start, end) in [(0, 0), (1, 4097), (0, 100), (4096, 4097), (4096, 0)] {
        let words = format!(
            "a region of {} bytes at {start}: expected whole pages of 4096 bytes, at least one",
            end.max(start) - start
        );
        refused!(map(start, end), Error::Unaligned { .. }, words);
    }
    let outside = "segment: a region of 8192 bytes at 4096: the segment has 8192";
    refused!(map(4096, 12288), Error::OutsideSegment { .. }, outside);
    refused!(
        map(PAGE << 30, (PAGE << 30) + PAGE),
        Error::OutsideSegment { .. },
        format!("segment: a region of 4096 bytes at {}: the segment has 8192", PAGE << 30)
    );
    refused!(
        map(0, u64::MAX / PAGE * PAGE),
        Error::OutsideSegment { .. },
        format!("segment: a region of {} bytes at 0: the segment has 8192", u64::MAX / PAGE * PAGE)
    );
    assert_eq!(rvm.query().region_count, 0);
    refused!(
        create_segment(place.other("odd"), 5000),
        Error::Unaligned { .. },
        "a region of 5000 bytes at 0: expected whole pages of 4096 bytes, at least one"
    );
}

#[test]
fn no_byte_is_mapped_twice() {
    let place = Place::new(1 << 14, 4);
    let rvm = place.open();
    let first = rvm.map(place.segment(), PAGE..3 * PAGE).unwrap();
    for (start, end) in [(1, 3), (0, 4), (0, 2), (2, 4), (2, 3)] {
        let (start, end) = (start * PAGE, end * PAGE);
        refused!(
            rvm.map(place.segment(), start..end),
            Error::Overlap { .. },
            format!(
                "segment: a region of {} bytes at {start}: 8192 bytes at 4096 are mapped already",
                end - start
            )
        );
    }
    let others =
        (rvm.map(place.segment(), 0..PAGE).unwrap(), rvm.map(place.segment(), 3 * PAGE..4 * PAGE).unwrap());
    drop(first);
    rvm.map(place.segment(), PAGE..3 * PAGE).unwrap();
    drop(others);
}

#[test]
fn a_segment_has_one_name_however_it_is_called() {
    let place = Place::new(1 << 14, 1);
    let rvm = place.open();
    let region = place.map(&rvm);
    let link = place.other("link");
    std::os::unix::fs::symlink(place.segment(), &link).unwrap();
    std::fs::create_dir(place.other("dir")).unwrap();
    for name in [link, place.other("dir/../segment"), place.other("./segment")] {
        assert!(matches!(rvm.map(name, 0..PAGE), Err(Error::Overlap { .. })));
    }
    // Another hard link is another name: the file is locked.
    std::fs::hard_link(place.segment(), place.other("hard")).unwrap();
    assert!(matches!(rvm.map(place.other("hard"), 0..PAGE), Err(Error::InUse { .. })));
    assert_eq!(rvm.query().segments, ["segment"]);
    drop(region);
    // The log is no segment of itself.
    assert!(matches!(rvm.map(place.log(), 0..PAGE), Err(Error::InUse { .. })));
    let error = rvm.map(place.other("nothing"), 0..PAGE).unwrap_err();
    assert!(
        matches!(&error, Error::System { call: "open", source, .. } if source.kind() == std::io::ErrorKind::NotFound)
    );
    assert_eq!(error.to_string(), format!("{}: open failed", place.other("nothing").display()));
}

#[test]
fn a_range_lies_inside_of_its_region() {
    let place = Place::new(1 << 14, 1);
    let rvm = place.open();
    let mut region = place.map(&rvm);
    let mut tx = rvm.begin(Begin::Restore).unwrap();
    let enlisted = tx.enlist(&mut region).unwrap();
    for (offset, len) in [(4096, 1), (4090, 7), (0, 4097), (u64::MAX, 2), (1, u64::MAX)] {
        refused!(
            tx.set_range(enlisted, offset, len),
            Error::OutsideRegion { .. },
            format!("a range of {len} bytes at {offset}: the region has 4096")
        );
    }
    assert!(tx.set_range(enlisted, 4096, 0).unwrap().is_empty());
    tx.commit(End::Flush).unwrap();
    assert!(matches!(region.read::<u64>(4089), Err(Error::OutsideRegion { .. })));
    assert_eq!(rvm.query().used, 0);
}

#[test]
fn a_transaction_has_the_regions_of_its_log_that_it_enlisted() {
    let (place, other) = (Place::new(1 << 14, 1), Place::new(1 << 14, 2));
    let (rvm, strange) = (place.open(), other.open());
    let (mut region, mut foreign) = (place.map(&rvm), strange.map(other.segment(), 0..PAGE).unwrap());
    let mut second = strange.map(other.segment(), PAGE..2 * PAGE).unwrap();
    let mut tx = strange.begin(Begin::Restore).unwrap();
    refused!(
        tx.enlist(&mut region),
        Error::OtherLog,
        "the region belongs to another log than the transaction"
    );
    tx.enlist(&mut foreign).unwrap();
    let beyond = tx.enlist(&mut second).unwrap();
    drop(tx);
    let mut tx = rvm.begin(Begin::Restore).unwrap();
    tx.enlist(&mut region).unwrap();
    refused!(
        tx.set_range(beyond, 0, 1),
        Error::NotEnlisted { .. },
        "transaction 1 has not enlisted this region"
    );
    refused!(
        tx.bytes(beyond),
        Error::NotEnlisted { transaction: 1 },
        "transaction 1 has not enlisted this region"
    );
    drop(tx);
}

#[test]
fn what_is_larger_than_the_log_is_refused_before_anything_is_written() {
    let place = Place::new(PAGE, 2);
    let rvm = place.open();
    let mut region = place.map(&rvm);
    commit(&rvm, &mut region, End::NoFlush, &[(0, b"before")]).unwrap();
    let log = std::fs::read(place.log()).unwrap();
    for end in [End::Flush, End::NoFlush] {
        refused!(
            commit(&rvm, &mut region, end, &[(0, &[1; 4000])]),
            Error::TooLarge { .. },
            "a transaction of 4136 bytes in the log, which has 4096"
        );
        assert_eq!(&region.bytes()[..8], b"before\0\0");
    }
    assert!(std::fs::read(place.log()).unwrap() == log);
    assert_eq!((rvm.query().waiting, rvm.statistics().aborts), (1, 2));
    // The largest that there is room for.
    commit(&rvm, &mut region, End::Flush, &[(0, &[2; 4096 - 136])]).unwrap();
    drop((region, rvm));
    let rvm = place.open();
    assert_eq!(place.map(&rvm).bytes()[..4096 - 136], [2; 4096 - 136]);
}

#[test]
fn a_log_knows_256_segments_until_it_is_opened_anew() {
    let stores = Stores::new(1, &[1; 258]);
    let rvm = stores.open(options()).unwrap();
    for segment in 0..256 {
        stores.map(&rvm, segment).unwrap();
    }
    refused!(
        stores.map(&rvm, 256),
        Error::TooManySegments { count: 256 },
        "the log knows 256 segments, and cannot know more at the same time"
    );
    stores.map(&rvm, 3).unwrap(); // One that it knows.
    rvm.close().unwrap();
    let rvm = stores.open(options()).unwrap();
    let mut region = stores.map(&rvm, 257).unwrap();
    commit(&rvm, &mut region, End::Flush, &[(0, b"another")]).unwrap();
    let rvm = stores.crashed().open(options()).unwrap();
    assert_eq!(rvm.recovery().transactions, 1);
}

#[test]
fn a_name_fits_the_table_and_is_unicode() {
    let stores = Stores::new(1, &[1]);
    let rvm = stores.open(options()).unwrap();
    let name = "n".repeat(1009);
    refused!(
        rvm.map(&name, 0..PAGE),
        Error::Name { len: 1009, .. },
        format!("{name}: a name of 1009 bytes: expected Unicode of at most 1008 bytes")
    );
    use std::os::unix::ffi::OsStrExt;
    let odd = std::ffi::OsStr::from_bytes(&[b'a', 0xFF]);
    assert!(matches!(rvm.map(odd, 0..PAGE), Err(Error::Name { len: 2, .. })));
}

#[test]
fn one_log_is_open_once() {
    let place = Place::new(1 << 14, 1);
    let rvm = place.open();
    refused!(Rvm::open(place.log()), Error::InUse { .. }, format!("{}: in use", place.log().display()));
    // Nor may another log have its segment.
    create_log(place.other("second"), 1 << 14).unwrap();
    let second = Rvm::open(place.other("second")).unwrap();
    let region = place.map(&rvm);
    assert!(matches!(second.map(place.segment(), 0..PAGE), Err(Error::InUse { .. })));
    // Another process.
    let found = open_in_another_process(&place);
    assert!(found.contains("OPENED: in use"), "{found}");
    drop((region, rvm));
    let found = open_in_another_process(&place);
    assert!(found.contains("OPENED: yes"), "{found}");
}

const OTHER_PROCESS: &str = "LRVM_TEST_OPENS";

fn open_in_another_process(place: &Place) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["rules::opens_what_it_is_told_to", "--exact", "--nocapture", "--ignored"])
        .env(OTHER_PROCESS, place.log())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
#[ignore = "is the other process of `one_log_is_open_once`"]
fn opens_what_it_is_told_to() {
    let Some(log) = std::env::var_os(OTHER_PROCESS) else { return };
    match Rvm::open(log) {
        Ok(_) => println!("OPENED: yes"),
        Err(Error::InUse { .. }) => println!("OPENED: in use"),
        Err(error) => println!("OPENED: {error}"),
    }
}

#[test]
fn an_option_has_a_value_that_it_can_have() {
    let place = Place::new(1 << 14, 1);
    let open = |options: Options| options.open(place.log());
    for threshold in [0, 101] {
        refused!(
            open(options().threshold(threshold)),
            Error::Option { .. },
            format!("option threshold: found {threshold}, expected 1 to 100 per cent")
        );
    }
    refused!(
        open(options().read_len(0)),
        Error::Option { option: "read_len", .. },
        "option read_len: found 0, expected a length that fits the memory, at least 1"
    );
    refused!(
        open(options().status_interval(0)),
        Error::Option { option: "status_interval", .. },
        "option status_interval: found 0, expected at least 1"
    );
    for len in [0, 1, 5000, 1 << 50] {
        refused!(
            create_log(place.other("new"), len),
            Error::Option { option: "length of a log", .. },
            format!(
                "option length of a log: found {len}, expected whole pages of 4096 bytes, from 1 to 2^36 of them"
            )
        );
        assert!(!place.other("new").exists());
    }
    assert!(create_log(place.log(), PAGE).is_err() && create_segment(place.segment(), PAGE).is_err());
    let rvm = place.open();
    let before = rvm.options();
    let mut tuning = before;
    tuning.threshold = 0;
    assert!(matches!(rvm.set_options(tuning), Err(Error::Option { .. })));
    assert_eq!(rvm.options(), before);
    tuning.threshold = 7;
    (tuning.truncation, tuning.coalesce_ranges, tuning.spool_len) = (Truncation::Epoch, false, 1 << 40);
    rvm.set_options(tuning).unwrap();
    tuning.spool_len = 1 << 14; // No more than the log.
    assert_eq!(rvm.options(), tuning);
}

#[test]
fn a_log_with_regions_is_not_closed() {
    let place = Place::new(1 << 14, 2);
    let rvm = place.open();
    let regions = [0, 1].map(|page| rvm.map(place.segment(), page * PAGE..(page + 1) * PAGE).unwrap());
    refused!(rvm.close(), Error::StillMapped { count: 2 }, "2 regions are still mapped");
    drop(regions);
    place.open().close().unwrap();
}

#[test]
fn a_region_with_an_open_transaction_is_not_unmapped() {
    let place = Place::new(1 << 14, 1);
    let rvm = place.open();
    let mut region = place.map(&rvm);
    commit(&rvm, &mut region, End::NoFlush, &[(0, b"before")]).unwrap();
    let mut tx = rvm.begin(Begin::Restore).unwrap();
    let number = tx.number();
    let enlisted = tx.enlist(&mut region).unwrap();
    tx.modify(enlisted, 0, b"forgot").unwrap();
    mem::forget(tx);
    assert_eq!(rvm.query().uncommitted, [number]);
    assert_eq!((region.query().uncommitted, region.query().uncommitted_page_count), (Some(number), 1));
    let (mut region, error) = region.unmap().unwrap_err();
    assert!(matches!(error, Error::Uncommitted { transaction } if transaction == number));
    assert_eq!(
        error.to_string(),
        format!("transaction {number} on the region has neither committed nor aborted")
    );
    // The next transaction finds it rolled back.
    let mut tx = rvm.begin(Begin::Restore).unwrap();
    let enlisted = tx.enlist(&mut region).unwrap();
    assert_eq!(&tx.bytes(enlisted).unwrap()[..6], b"before");
    tx.modify(enlisted, 0, b"behind").unwrap();
    mem::forget(tx);
    // So does whoever maps it again after it was dropped.
    drop(region);
    let region = place.map(&rvm);
    assert_eq!(&region.bytes()[..6], b"before");
    assert!(region.unmap().is_ok());
    rvm.close().unwrap();
}

#[test]
fn what_cannot_be_restored_is_spoiled_until_it_is_mapped_again() {
    for truncation in [Truncation::Epoch, Truncation::Incremental] {
        let place = Place::new(1 << 14, 1);
        let rvm = options().truncation(truncation).open(place.log()).unwrap();
        let mut region = place.map(&rvm);
        commit(&rvm, &mut region, End::NoFlush, &[(0, b"newest")]).unwrap();
        let mut tx = rvm.begin(Begin::NoRestore).unwrap();
        let number = tx.number();
        let enlisted = tx.enlist(&mut region).unwrap();
        tx.modify(enlisted, 0, b"spoils").unwrap();
        refused!(
            tx.abort(),
            Error::NoRestore { .. },
            format!("transaction {number} began without restore: it cannot be aborted")
        );
        let mut tx = rvm.begin(Begin::Restore).unwrap();
        refused!(
            tx.enlist(&mut region),
            Error::Spoiled { .. },
            format!("the region was left by transaction {number}, which could not be restored: map it again")
        );
        drop(tx);
        // Whoever truncates does not write it.
        rvm.truncate_incrementally().unwrap();
        region.unmap().unwrap();
        let mut region = place.map(&rvm);
        assert_eq!(&region.bytes()[..6], b"newest");
        commit(&rvm, &mut region, End::Flush, &[(1, b"usable")]).unwrap();
        drop(region);
        rvm.close().unwrap();
        assert_eq!(&std::fs::read(place.segment()).unwrap()[..7], b"nusable");
    }
}

#[test]
fn without_restore_and_without_ranges_there_is_nothing_to_spoil() {
    let place = Place::new(1 << 14, 1);
    let rvm = place.open();
    let mut region = place.map(&rvm);
    let mut tx = rvm.begin(Begin::NoRestore).unwrap();
    tx.enlist(&mut region).unwrap();
    tx.abort().unwrap();
    let mut tx = rvm.begin(Begin::NoRestore).unwrap();
    let enlisted = tx.enlist(&mut region).unwrap();
    tx.modify(enlisted, 0, b"kept").unwrap();
    tx.commit(End::Flush).unwrap();
    assert_eq!(&region.bytes()[..4], b"kept");
}

#[test]
fn an_out_of_use_log_refuses_everything() {
    let stores = Stores::new(1, &[1]);
    let rvm = stores.open(options()).unwrap();
    let mut region = stores.map(&rvm, 0).unwrap();
    let mut waits = rvm.begin(Begin::Restore).unwrap();
    stores.log.hook(|call| match call {
        Call::Sync => Err(std::io::Error::other("no more")),
        _ => Ok(()),
    });
    let enlisted = waits.enlist(&mut region).unwrap();
    waits.modify(enlisted, 0, b"maybe").unwrap();
    refused!(waits.commit(End::Flush), Error::System { call: "sync", .. }, "log: sync failed");
    stores.log.hook(|_| Ok(()));
    let words = "out of use since an earlier failure: log: sync failed: no more";
    refused!(rvm.begin(Begin::Restore), Error::Poisoned { .. }, words);
    refused!(rvm.flush(), Error::Poisoned { .. }, words);
    refused!(rvm.truncate(), Error::Poisoned { .. }, words);
    refused!(rvm.truncate_incrementally(), Error::Poisoned { .. }, words);
    refused!(stores.map(&rvm, 0), Error::Poisoned { .. }, words);
    assert_eq!(rvm.query().poisoned.as_deref(), Some("log: sync failed: no more"));
    drop(region);
    refused!(rvm.close(), Error::Poisoned { .. }, words);
}

#[test]
fn there_may_be_no_memory_for_a_region() {
    // A device may be as long as it likes: what is asked for here no process can have.
    struct Endless;
    impl lrvm::Device for Endless {
        fn len(&self) -> u64 {
            u64::MAX
        }
        fn read_at(&self, _: u64, bytes: &mut [u8]) -> std::io::Result<()> {
            bytes.fill(0);
            Ok(())
        }
        fn write_at(&self, _: u64, _: &[std::io::IoSlice<'_>]) -> std::io::Result<()> {
            Ok(())
        }
        fn sync(&self) -> std::io::Result<()> {
            Ok(())
        }
    }
    struct Endlesses;
    impl lrvm::Devices for Endlesses {
        fn resolve(&self, name: &std::path::Path) -> std::io::Result<std::path::PathBuf> {
            Ok(name.to_owned())
        }
        fn open(&self, _: &std::path::Path) -> std::io::Result<Box<dyn lrvm::Device>> {
            Ok(Box::new(Endless))
        }
    }
    let log = Box::new(crate::support::InMemory(Store::log(1)));
    let rvm = options().open_on(log, Box::new(Endlesses), "log").unwrap();
    for len in [1 << 62, u64::MAX / PAGE * PAGE] {
        refused!(
            rvm.map("endless", 0..len),
            Error::NoMemory { .. },
            format!("no memory for a region of {len} bytes")
        );
    }
    assert_eq!(rvm.map("endless", 1 << 60..(1 << 60) + PAGE).unwrap().len(), PAGE);
}

#[test]
#[allow(unsafe_code)] // A private mapping wants a promise.
fn every_way_to_map_sees_the_right_bytes() {
    let place = Place::new(1 << 14, 2);
    let rvm = place.open();
    let mut region = place.map(&rvm);
    commit(&rvm, &mut region, End::NoFlush, &[(0, b"here"), (PAGE, b"there")]).unwrap();
    region.unmap().unwrap();
    for mode in [None, Some(MapMode::Copy), Some(MapMode::Zeroed)] {
        let (segment, all) = (place.segment(), 0..2 * PAGE);
        let mut region = match mode {
            Some(mode) => rvm.map_with(segment, all, mode).unwrap(),
            // SAFETY: (1) nobody has the file but this test. (2) It is a file, from its first byte.
            None => unsafe { rvm.map_private(segment, all) }.unwrap(),
        };
        assert_eq!(region.bytes().as_ptr() as usize % PAGE as usize, 0);
        if mode == Some(MapMode::Zeroed) {
            assert!(region.bytes().iter().all(|&byte| byte == 0));
            commit(&rvm, &mut region, End::Flush, &[(0, b"zero")]).unwrap();
        } else {
            assert_eq!(
                (&region.bytes()[..4], &region.bytes()[PAGE as usize..][..5]),
                (&b"here"[..], &b"there"[..])
            );
            commit(&rvm, &mut region, End::NoFlush, &[(100, b"more")]).unwrap();
            // Nothing gets to the segment around the log.
            assert_ne!(&std::fs::read(place.segment()).unwrap()[100..104], b"more", "{mode:?}");
            rvm.truncate().unwrap();
            assert_eq!(&region.bytes()[100..104], b"more");
            commit(&rvm, &mut region, End::NoFlush, &[(100, b"\0\0\0\0")]).unwrap();
        }
        region.unmap().unwrap();
    }
    rvm.close().unwrap();
    let bytes = std::fs::read(place.segment()).unwrap();
    assert_eq!((&bytes[..4], &bytes[PAGE as usize..][..5]), (&b"zero"[..], &b"there"[..]));
}

#[test]
fn what_is_mapped_again_is_the_newest_without_a_truncation_by_the_user() {
    let place = Place::new(1 << 16, 2);
    let rvm = place.open();
    for round in 0..6u8 {
        let mut region = place.map(&rvm);
        assert_eq!((region.bytes()[0], region.bytes()[PAGE as usize]), (round, round));
        let end = if round % 2 == 0 { End::NoFlush } else { End::Flush };
        commit(&rvm, &mut region, end, &[(0, &[round + 1]), (PAGE, &[round + 1])]).unwrap();
        if round == 3 {
            let mut tx = rvm.begin(Begin::Restore).unwrap();
            let enlisted = tx.enlist(&mut region).unwrap();
            tx.modify(enlisted, 0, &[99; 5000]).unwrap();
            mem::forget(tx);
        }
        if round == 4 {
            let (rvm, place) = (&rvm, &place);
            std::thread::scope(|scope| scope.spawn(move || drop(region)).join().unwrap());
            let parts = [0, 1].map(|page| rvm.map(place.segment(), page * PAGE..(page + 1) * PAGE).unwrap());
            assert_eq!(parts.map(|part| part.bytes()[0]), [5, 5]);
        }
    }
}

#[test]
fn log_and_segments_move_together() {
    let place = Place::new(1 << 16, 1);
    let rvm = place.open();
    let mut region = place.map(&rvm);
    commit(&rvm, &mut region, End::Flush, &[(0, b"moved")]).unwrap();
    let moved = place.other("elsewhere");
    std::fs::create_dir(&moved).unwrap();
    std::fs::copy(place.log(), moved.join("log")).unwrap(); // As a crash leaves it, with the record.
    std::fs::write(moved.join("segment"), vec![0; PAGE as usize]).unwrap();
    let elsewhere = options().open(moved.join("log")).unwrap();
    assert_eq!(elsewhere.recovery().transactions, 1);
    assert_eq!(&std::fs::read(moved.join("segment")).unwrap()[..5], b"moved");
}

#[test]
fn a_query_tells_how_it_stands() {
    let place = Place::new(1 << 14, 3);
    let rvm = place.open();
    let mut region = place.map(&rvm);
    // A record is 104 bytes and, for each range, 32 and its bytes in eights.
    commit(&rvm, &mut region, End::Flush, &[(0, b"12345"), (PAGE, b"12345678")]).unwrap();
    commit(&rvm, &mut region, End::NoFlush, &[(2 * PAGE - 1, b"ab")]).unwrap();
    let query = rvm.query();
    assert_eq!((query.log_len, query.head, query.tail, query.used), (1 << 14, 0, 184, 184));
    assert_eq!((query.waiting, query.waiting_len, query.region_count), (1, 144, 1));
    assert_eq!(
        (query.uncommitted, query.segments, query.poisoned),
        (vec![], vec!["segment".to_owned()], None)
    );
    let pages = region.query();
    assert_eq!((pages.page_count, pages.dirty_page_count, pages.uncommitted_page_count), (3, 3, 0));
    rvm.truncate().unwrap();
    assert_eq!((rvm.query().head, rvm.query().tail, rvm.query().used), (328, 328, 0));
    assert_eq!(region.query().dirty_page_count, 0);
    let statistics = rvm.statistics();
    assert_eq!((statistics.flush_commits, statistics.no_flush_commits, statistics.aborts), (1, 1, 0));
    assert_eq!((statistics.flushes, statistics.records_written, statistics.bytes_written), (2, 2, 328));
    assert_eq!((statistics.epoch_truncations, statistics.epoch_bytes, statistics.most_used), (1, 15, 328));
}

#[test]
fn memory_that_was_not_filled_does_not_get_to_the_segment() {
    for is_incremental in [true, false] {
        let place = Place::new(1 << 16, 1);
        let rvm = place.open();
        let mut region = place.map(&rvm);
        commit(&rvm, &mut region, End::Flush, &[(100, b"committed before")]).unwrap();
        region.unmap().unwrap();
        let mut region = rvm.map_with(place.segment(), 0..PAGE, MapMode::Zeroed).unwrap();
        commit(&rvm, &mut region, End::Flush, &[(0, b"declared")]).unwrap();
        if is_incremental {
            assert!(rvm.truncate_incrementally().unwrap());
        } else {
            rvm.truncate().unwrap();
        }
        assert_eq!(rvm.query().used, 0);
        region.unmap().unwrap();
        let region = place.map(&rvm);
        assert_eq!(
            (&region.bytes()[..8], &region.bytes()[100..116]),
            (&b"declared"[..], &b"committed before"[..])
        );
    }
}
