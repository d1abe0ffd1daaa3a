//! A segment is created whole or not at all, is found again as it was left, and is opened as nothing that it is not.

#![allow(unsafe_code)] // A type that describes itself at length.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::time::Duration;

use rio::{Buffer, Domain, DomainChoice, Region};
use tempfile::TempDir;
use vista::inspect::Inspector;
use vista::{Error, PPtr, Persistent, Segment, SegmentOptions, layout_of};

use crate::support::{SMALL, assert_sound, pages, sized};
use crate::traced::{Event, Traced};

#[derive(Clone, Copy, Debug, Default, PartialEq, Persistent)]
#[repr(C)]
struct Account {
    id: u64,
    balance: i64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Persistent)]
#[repr(C)]
struct Other {
    id: u64,
    balance: u64,
}

fn dir() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

fn files(dir: &Path) -> usize {
    fs::read_dir(dir).unwrap().count()
}

#[test]
fn what_was_committed_is_there_again() {
    let dir = dir();
    let path = dir.path().join("accounts");
    let mut segment = Segment::<Account>::create(&path, 1 << 20).unwrap();
    assert_eq!(segment.root().unwrap(), &Account::default());
    segment.transaction(|tx| Ok::<_, Error>(*tx.root_mut()? = Account { id: 1, balance: -5 })).unwrap();
    assert_eq!(segment.name(), path.display().to_string());
    segment.close().unwrap();
    for round in 0..3 {
        let mut segment = Segment::<Account>::open(&path).unwrap();
        assert!(segment.medium().unwrap().was_clean());
        assert_eq!(segment.recovery().record_count, 0);
        assert_eq!(segment.root().unwrap(), &Account { id: 1, balance: -5 + round });
        segment.transaction(|tx| Ok::<_, Error>(tx.root_mut()?.balance += 1)).unwrap();
        segment.sync().unwrap();
        assert_sound(&segment);
        drop(segment);
    }
    assert!(Segment::<Account>::open(&path).unwrap().medium().unwrap().was_clean(), "a drop closes too");
}

/// A copy of the file made while it is open is what a dead process leaves.
#[test]
fn what_was_left_open_is_recovered_and_says_so() {
    let dir = dir();
    let (path, left) = (dir.path().join("open"), dir.path().join("left"));
    let mut segment = Segment::<Account>::create(&path, 1 << 20).unwrap();
    segment.transaction(|tx| Ok::<_, Error>(tx.root_mut()?.id = 7)).unwrap();
    let mut tx = segment.begin().unwrap();
    tx.root_mut().unwrap().id = 8;
    tx.alloc([1u8; 100]).unwrap();
    let number = tx.number();
    fs::copy(&path, &left).unwrap();
    drop(tx);

    // A look changes nothing.
    let before = fs::read(&left).unwrap();
    let mut inspector = Inspector::open(&left).unwrap();
    let log = inspector.log().unwrap();
    assert!(log.is_in_flight && log.records.len() > 2 && log.sequence == number);
    assert_eq!(inspector.recover().unwrap().record_count, log.records.len() as u64);
    assert!(inspector.check().is_empty());
    assert_eq!(inspector.root().unwrap().layout, layout_of::<Account>().text);
    drop(inspector);
    assert!(fs::read(&left).unwrap() == before);

    let again = Segment::<Account>::open(&left).unwrap();
    assert!(!again.medium().unwrap().was_clean());
    assert_eq!(
        (again.recovery().transaction, again.recovery().record_count),
        (number, log.records.len() as u64)
    );
    assert!(again.recovery().byte_count >= 16);
    assert_eq!(again.root().unwrap().id, 7);
    again.close().unwrap();
    let again = Segment::<Account>::open(&left).unwrap();
    assert!(again.medium().unwrap().was_clean() && again.recovery().record_count == 0);
}

#[test]
fn a_root_of_another_type_shows_both() {
    let dir = dir();
    let path = dir.path().join("accounts");
    drop(Segment::<Account>::create(&path, 1 << 20).unwrap());
    let error = Segment::<Other>::open(&path).unwrap_err();
    let Error::RootMismatch { found, found_fingerprint, expected, expected_fingerprint, .. } = &error else {
        panic!("{error}")
    };
    let (ours, theirs) = (layout_of::<Account>(), layout_of::<Other>());
    assert_eq!((&**found, *found_fingerprint), (&*ours.text, ours.fingerprint));
    assert_eq!((&**expected, *expected_fingerprint), (&*theirs.text, theirs.fingerprint));
    let text = error.to_string();
    assert!(text.contains("balance:i64") && text.contains("balance:u64"), "{text}");
    drop(Segment::<Account>::open(&path).unwrap());
}

/// A description longer than the room for it is kept in part; its fingerprint is of the whole.
#[test]
fn a_root_with_a_long_description_is_found_again() {
    #[derive(Clone, Copy)]
    #[repr(transparent)]
    struct Wordy<const TAIL: u8>(u64);
    // SAFETY: a `u64` in a transparent struct.
    unsafe impl<const TAIL: u8> bytemuck::Zeroable for Wordy<TAIL> {}
    // SAFETY: as above.
    unsafe impl<const TAIL: u8> bytemuck::Pod for Wordy<TAIL> {}
    impl<const TAIL: u8> Persistent for Wordy<TAIL> {
        fn describe(_: &mut vista::Describer) -> String {
            format!("x{}{TAIL}", "\u{e9}".repeat(9000))
        }
    }
    let mut segment = Segment::<Wordy<1>, _>::create_on(Buffer::new(SMALL, SMALL), 4096).unwrap();
    segment.transaction(|tx| tx.root_mut().map(|_| ())).unwrap();
    let image = segment.into_medium().unwrap();
    drop(Segment::<Wordy<1>, _>::open_on(Buffer::from_bytes(image.bytes())).unwrap());
    let error = Segment::<Wordy<2>, _>::open_on(image).unwrap_err();
    let Error::RootMismatch { found, expected, .. } = error else { panic!("{error}") };
    assert!(found.len() > 4000 && found.len() < 4096 && expected.starts_with(&*found));
}

#[test]
fn create_with_fills_the_root_or_leaves_no_file() {
    #[derive(Debug)]
    enum Mine {
        No,
        Vista(Error),
    }
    impl From<Error> for Mine {
        fn from(error: Error) -> Self {
            Mine::Vista(error)
        }
    }
    let dir = dir();
    let path = dir.path().join("accounts");
    let options = SegmentOptions::new().size(1 << 20);
    let result = options.create_with::<Account, Mine>(&path, |_| Err(Mine::No));
    assert!(matches!(result, Err(Mine::No)) && files(dir.path()) == 0);
    let result = options.create_with::<Account, Mine>(&path, |tx| {
        tx.get(PPtr::<u64>::null())?;
        Ok(())
    });
    assert!(matches!(result, Err(Mine::Vista(Error::NullPointer { .. }))) && files(dir.path()) == 0);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        options.create_with::<Account, Error>(&path, |_| resume_unwind(Box::new("stop")))
    }));
    assert!(panicked.is_err() && files(dir.path()) == 0);

    let segment = options
        .create_with::<Account, Error>(&path, |tx| {
            tx.alloc([1u8; 10])?;
            tx.root_mut()?.id = 3;
            Ok(())
        })
        .unwrap();
    assert_eq!((segment.root().unwrap().id, segment.blocks().unwrap().len()), (3, 2));
    drop(segment);
    let before = fs::read(&path).unwrap();
    let error = options.create::<Account>(&path).unwrap_err();
    assert!(
        matches!(&error, Error::Medium(rio) if matches!(**rio, rio::Error::AlreadyExists { .. })),
        "{error}"
    );
    assert!(fs::read(&path).unwrap() == before);
}

#[test]
fn open_or_create_does_one_of_both() {
    let dir = dir();
    let path = dir.path().join("counter");
    for round in 0..3u64 {
        let mut segment = SegmentOptions::new()
            .size(1 << 20)
            .open_or_create_with::<u64, Error>(&path, |tx| Ok(*tx.root_mut()? = 10))
            .unwrap();
        assert_eq!(segment.medium().unwrap().was_created(), round == 0);
        assert_eq!(*segment.root().unwrap(), 10 + round);
        segment.transaction(|tx| Ok::<_, Error>(*tx.root_mut()? += 1)).unwrap();
    }
    assert!(matches!(Segment::<u32>::open_or_create(&path, 1 << 20), Err(Error::RootMismatch { .. })));
    assert!(Segment::<u64>::open(dir.path().join("none")).is_err() && files(dir.path()) == 1);
}

#[test]
fn one_owner_at_a_time() {
    let dir = dir();
    let path = dir.path().join("counter");
    let segment = Segment::<u64>::create(&path, 1 << 20).unwrap();
    let is_locked =
        |error: &Error| matches!(error, Error::Medium(rio) if matches!(**rio, rio::Error::Locked { .. }));
    assert!(is_locked(&Segment::<u64>::open(&path).unwrap_err()));
    let waiting = SegmentOptions::new().lock_wait(Duration::from_secs(20));
    std::thread::scope(|scope| {
        let second = scope.spawn(|| waiting.open::<u64>(&path).map(drop));
        std::thread::sleep(Duration::from_millis(30));
        segment.close().unwrap();
        second.join().unwrap().unwrap();
    });
}

#[test]
fn options_that_cannot_be_are_refused() {
    let dir = dir();
    let path = dir.path().join("file");
    let refused = |options: SegmentOptions| {
        let error = options.create::<u64>(&path).unwrap_err();
        assert_eq!(files(dir.path()), 0);
        error
    };
    assert!(matches!(
        refused(SegmentOptions::new().size(pages(4))),
        Error::BadOption { .. } | Error::Medium(_)
    ));
    for log_len in [0, 1, 4095, 5000, 1 << 20, u64::MAX, u64::MAX - 4095] {
        let error = refused(SegmentOptions::new().size(1 << 20).log_len(log_len));
        assert!(matches!(error, Error::BadOption { .. }), "{error}");
    }
    refused(SegmentOptions::new());
    for len in [0, 1, 4096, pages(9)] {
        let result = Segment::<u64, _>::create_on(Buffer::new(len, SMALL), 4096);
        assert!(matches!(result, Err(Error::BadOption { .. })), "{len}");
    }
    let error = Segment::<[u64; 20_000], _>::create_on(Buffer::new(SMALL, SMALL), 4096).unwrap_err();
    assert!(matches!(error, Error::NoSpace { .. }), "{error}");
}

#[test]
fn the_smallest_segment_works() {
    let mut len = 4096;
    let mut segment = loop {
        match Segment::<u64, _>::create_on(Buffer::new(len, len), 4096) {
            Ok(segment) => break segment,
            Err(_) => len += 1,
        }
        assert!(len < SMALL);
    };
    assert_eq!(segment.blocks().unwrap().len(), 1);
    segment.transaction(|tx| Ok::<_, Error>(*tx.root_mut()? = 1)).unwrap();
    assert!(segment.transaction(|tx| tx.alloc([0u8; 4096])).is_err());
    segment.transaction(|tx| tx.alloc([0u8; 16])).unwrap();
    assert_sound(&segment);
}

#[test]
fn nothing_is_formatted_that_holds_something() {
    let mut buffer = Buffer::new(SMALL, SMALL);
    buffer.bytes_mut()[8192] = 1;
    assert!(matches!(Segment::<u64, _>::create_on(buffer, 4096), Err(Error::Damaged { .. })));
    let segment = Segment::<u64, _>::create_on(Buffer::new(SMALL, SMALL), 4096).unwrap();
    assert!(Segment::<u64, _>::create_on(segment.into_medium().unwrap(), 4096).is_err());
}

#[test]
fn a_segment_grows_on_demand_up_to_its_limit() {
    let dir = dir();
    for domain in [DomainChoice::Auto, DomainChoice::Forced(Domain::Adr)] {
        let path = dir.path().join(format!("{domain:?}").replace([' ', '(', ')'], ""));
        let options = SegmentOptions::new().size(SMALL).max_len(4 << 20).domain(domain);
        let mut segment = options.create::<PPtr<[u8; 4000]>>(&path).unwrap();
        let mut last = PPtr::null();
        let error = loop {
            let result = segment.transaction(|tx| {
                for _ in 0..40 {
                    last = tx.alloc([7u8; 4000])?;
                }
                Ok::<_, Error>(*tx.root_mut()? = last)
            });
            if let Err(error) = result {
                break error;
            }
        };
        assert!(matches!(error, Error::NoSpace { .. }), "{error}");
        assert_sound(&segment);
        let blocks = segment.blocks().unwrap();
        assert!(blocks.len() > 700, "{}", blocks.len());
        let stats = segment.stats().unwrap();
        assert!(stats.len <= 4 << 20 && stats.zone_count > 1);
        assert!(matches!(segment.grow(1 << 30), Err(Error::NoSpace { .. })));
        segment.close().unwrap();
        let segment = Segment::<PPtr<[u8; 4000]>>::open(&path).unwrap();
        assert_eq!(segment.blocks().unwrap(), blocks);
        assert_eq!(segment.get(*segment.root().unwrap()).unwrap(), &[7; 4000]);
    }
}

#[test]
fn an_anonymous_segment_and_an_unprotected_one_work_alike() {
    let dir = dir();
    let options = SegmentOptions::new().size(1 << 20).protection(false).prefault(true);
    let segments: [Segment<u64, Region>; 2] =
        [options.anonymous().unwrap(), options.create(dir.path().join("file")).unwrap()];
    for mut segment in segments {
        segment.transaction(|tx| Ok::<_, Error>(*tx.root_mut()? += 3)).unwrap();
        assert_eq!(*segment.root().unwrap(), 3);
        segment.close().unwrap();
    }
}

#[test]
fn a_private_segment_leaves_the_file_alone() {
    let dir = dir();
    let path = dir.path().join("counter");
    drop(Segment::<u64>::create(&path, 1 << 20).unwrap());
    let before = fs::read(&path).unwrap();
    let mut segment = SegmentOptions::new().private(true).open::<u64>(&path).unwrap();
    segment.transaction(|tx| Ok::<_, Error>(*tx.root_mut()? = 3)).unwrap();
    assert_eq!(*segment.root().unwrap(), 3);
    segment.close().unwrap();
    assert!(fs::read(&path).unwrap() == before);
}

/// What a killed process stored and did not flush is made durable before anything is built upon it.
#[test]
fn opening_in_an_ordered_domain_flushes_what_it_finds() {
    let (segment, tape) = sized::<u64>(Domain::Adr, SMALL, SMALL);
    drop(segment);
    let (medium, tape) = Traced::from_bytes(&tape.bytes(), SMALL, Domain::Adr);
    let _segment = Segment::<u64, Traced>::open_on(medium).unwrap();
    let events = tape.events();
    let fence = events.iter().position(|event| *event == Event::Fence).expect("a fence");
    for offset in [vista::layout::SEGMENT_OFFSET, vista::layout::LOG_OFFSET] {
        let is_flush = |event: &Event| matches!(event, Event::Flush { offset: at } if *at == offset);
        assert!(events[..fence].iter().any(is_flush), "offset {offset}");
    }
}
