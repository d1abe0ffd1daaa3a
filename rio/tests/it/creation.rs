//! A new region's name appears at one moment, when it is whole, and never in the place of another file.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rio::{Error, Region};

use crate::support::{USER, child, everywhere, memory, role, run, start, tell, wait_for_the_end};

fn names(dir: &Path) -> usize {
    fs::read_dir(dir).unwrap().count()
}

#[test]
fn an_existing_file_is_left_untouched() {
    everywhere(|dir| {
        let path = dir.join("region");
        fs::write(&path, "precious").unwrap();
        let before = fs::metadata(&path).unwrap().modified().unwrap();
        assert!(matches!(Region::create(&path, 1 << 16), Err(Error::AlreadyExists { len: 8, .. })));
        assert_eq!(fs::read(&path).unwrap(), b"precious");
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), before);
        assert_eq!(names(dir), 1);
    });
}

#[test]
fn the_first_content_is_there_with_the_name() {
    everywhere(|dir| {
        let path = dir.join("region");
        let region = Region::options()
            .size(1 << 16)
            .create_with::<Error>(&path, |mut region| {
                assert!(!path.exists());
                region.grow(1 << 17)?;
                region.bytes_mut(USER..USER + 5)?.copy_from_slice(b"first");
                Ok(region)
            })
            .unwrap();
        assert!(path.exists() && region.was_created());
        region.close().unwrap();
        let region = Region::open(&path).unwrap();
        assert_eq!((region.bytes(USER..USER + 5).unwrap(), region.len()), (&b"first"[..], 1 << 17));
    });
}

#[derive(Debug)]
struct Unwilling;

impl From<Error> for Unwilling {
    fn from(error: Error) -> Self {
        panic!("{error}")
    }
}

#[test]
fn a_refusal_of_the_first_content_leaves_nothing() {
    everywhere(|dir| {
        let path = dir.join("region");
        assert!(matches!(
            Region::options().size(1 << 16).create_with(&path, |_| Err(Unwilling)),
            Err(Unwilling)
        ));
        assert_eq!(names(dir), 0);
    });
}

#[test]
fn a_file_that_appears_meanwhile_is_left_untouched() {
    everywhere(|dir| {
        let path = dir.join("region");
        let result = Region::options().size(1 << 16).create_with::<Error>(&path, |region| {
            fs::write(&path, "faster").unwrap();
            Ok(region)
        });
        assert!(matches!(result, Err(Error::AlreadyExists { len: 6, .. })));
        assert_eq!((fs::read(&path).unwrap(), names(dir)), (b"faster".to_vec(), 1));
    });
}

#[test]
fn a_crash_before_the_end_leaves_no_file() {
    if let Some((_, path)) = role() {
        let _ = Region::options().size(1 << 16).create_with::<Error>(path, |mut region| {
            region.bytes_mut(USER..USER + 4)?.fill(1);
            tell("half");
            wait_for_the_end()
        });
        return;
    }
    everywhere(|dir| {
        let path = dir.join("region");
        let (mut child, _) = start(child("creation::a_crash_before_the_end_leaves_no_file", "", &path));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(names(dir), 0);
        Region::create(&path, 1 << 16).unwrap().close().unwrap();
    });
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    let dir = memory();
    let path = dir.path().join("region");
    for size in [0, 1, USER - 4096, u64::MAX, 1 << 63] {
        assert!(matches!(Region::create(&path, size), Err(Error::BadOption { what: "size", .. })), "{size}");
    }
    assert!(matches!(Region::options().create(&path), Err(Error::BadOption { what: "size", found: 0, .. })));
    let private = Region::options().size(1 << 16).private(true);
    assert!(matches!(private.create(&path), Err(Error::BadOption { what: "private", .. })));
    assert!(matches!(private.anonymous(), Err(Error::BadOption { what: "private", .. })));
    assert_eq!(names(dir.path()), 0);
    Region::create(&path, USER).unwrap().close().unwrap();
}

#[test]
fn paths_that_cannot_be_are_refused() {
    let dir = memory();
    for name in ["missing/region", "", "..", "/"] {
        let path = if name.is_empty() { Path::new("").to_owned() } else { dir.path().join(name) };
        assert!(Region::create(&path, 1 << 16).is_err(), "{path:?}");
        assert!(Region::open(&path).is_err(), "{path:?}");
    }
    assert!(Region::open("/dev/null").is_err());
    assert!(Region::create("/dev/null", 1 << 16).is_err());
    assert_eq!(names(dir.path()), 0);
}

#[test]
fn of_two_that_race_one_creates_and_the_other_opens() {
    let race = |path: &Path| {
        Region::options()
            .size(1 << 16)
            .lock_wait(Duration::from_secs(30))
            .open_or_create_with::<Error>(path, |mut region| {
                region.bytes_mut(USER..USER + 4)?.copy_from_slice(b"once");
                Ok(region)
            })
            .unwrap()
    };
    if let Some((_, path)) = role() {
        let region = race(&path);
        assert_eq!(region.bytes(USER..USER + 4).unwrap(), b"once");
        tell(if region.was_created() { "created" } else { "opened" });
        region.close().unwrap();
        return;
    }
    let dir = memory();
    for round in 0..8 {
        let path = dir.path().join(format!("region-{round}"));
        let test = "creation::of_two_that_race_one_creates_and_the_other_opens";
        let racers: Vec<_> = (0..2)
            .map(|_| {
                let command = child(test, "racer", &path);
                std::thread::spawn(move || run(command))
            })
            .collect();
        let told: Vec<String> = racers.into_iter().map(|racer| racer.join().unwrap()).collect();
        let created = told.iter().filter(|text| text.contains("child: created")).count();
        let opened = told.iter().filter(|text| text.contains("child: opened")).count();
        assert_eq!((created, opened), (1, 1), "round {round}: {told:?}");
    }
    // The same among threads, where the race is closer.
    for round in 0..50 {
        let path = dir.path().join(format!("thread-{round}"));
        let created = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..4).map(|_| scope.spawn(|| race(&path).was_created())).collect();
            racers.into_iter().map(|racer| usize::from(racer.join().unwrap())).sum::<usize>()
        });
        assert_eq!(created, 1, "round {round}");
    }
}
