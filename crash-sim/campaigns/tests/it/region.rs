//! Every store of a real region: opening, transactions, growth and close of a file, one machine instruction at a time.
//!
//! The single-stepper watches the file itself, so that the stores of rio to its header are seen as well as those of vista.

use std::fs;
use std::path::{Path, PathBuf};

use crash_sim::stepper::Stepper;
use crash_sim::trace::Event;
use vista::Segment;

/// Where a sync costs nothing, if there is such a place.
fn directory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    tempfile::tempdir_in(parent).expect("a directory")
}

type Counter = Segment<[u64; 2]>;

fn work(path: &PathBuf) {
    let mut counter = Counter::open(path).expect("it opens");
    counter.transaction(|tx| tx.write(tx.root_ptr(), [1, 1])).expect("a transaction");
    counter.grow(1 << 16).expect("it grows");
    counter.transaction(|tx| tx.write(tx.root_ptr(), [2, 2])).expect("a transaction");
    counter.close().expect("it closes");
}

#[test]
#[ignore = "takes half a minute: a whole process, one instruction at a time"]
fn a_file_opens_wherever_its_owner_was_killed() {
    let directory = directory();
    let path = directory.path().join("counter");
    Counter::create(&path, 128 << 10).and_then(Counter::close).expect("a new file");
    let recording = match Stepper::new("region").file(&path, || work(&path)) {
        Ok(recording) => recording,
        Err(error) if error.is_skip() => return eprintln!("skipped: {error}"),
        Err(error) => panic!("{error}"),
    };
    let mut image = recording.before.clone();
    let copy = directory.path().join("copy");
    let (mut images, mut grown, mut states) = (0, 0, [0; 3]);
    let mut last = 0;
    for (index, event) in recording.trace.events().iter().enumerate() {
        match *event {
            Event::Store { offset, len, at, .. } => {
                let bytes = recording.trace.data(at, len);
                let old = &mut image[offset as usize..][..len as usize];
                if old == bytes {
                    continue;
                }
                old.copy_from_slice(bytes);
            }
            Event::Grow { len } => {
                grown += 1;
                image.resize(len as usize, 0);
            }
            _ => continue,
        }
        images += 1;
        fs::write(&copy, &image).expect("room for a copy");
        let counter =
            Counter::open(&copy).unwrap_or_else(|error| panic!("killed behind event {index}: {error}"));
        assert_eq!(counter.check().expect("a check"), [], "killed behind event {index}");
        let [a, b] = *counter.root().expect("a root");
        assert!(
            a == b && a >= last && a - last <= 1,
            "killed behind event {index}: {a} and {b}, after {last}"
        );
        last = a;
        states[a as usize] += 1;
        drop(counter);
    }
    assert!(image == recording.after, "the events explain the file");
    assert!(images > 40 && grown > 0 && states.iter().all(|&count| count > 0), "{images} {grown} {states:?}");
}

/// Until it is whole nobody can open it, and from then on everybody. What a killed maker leaves of a file has no name yet,
/// where the system has nameless files; here it gets one at every store.
#[test]
fn a_new_file_is_none_or_whole_wherever_its_maker_was_killed() {
    let directory = directory();
    let path = directory.path().join("counter");
    let make = || Counter::create(&path, 96 << 10).and_then(Counter::close).expect("a new file");
    let recording = match Stepper::new("creation").file(&path, make) {
        Ok(recording) => recording,
        Err(error) if error.is_skip() => return eprintln!("skipped: {error}"),
        Err(error) => panic!("{error}"),
    };
    assert!(recording.before.is_empty(), "it was not there");
    let copy = directory.path().join("copy");
    let mut image = Vec::new();
    let (mut refused, mut opened) = (0, 0);
    for (index, event) in recording.trace.events().iter().enumerate() {
        match *event {
            Event::Store { offset, len, at, .. } => {
                let bytes = recording.trace.data(at, len);
                let old = &mut image[offset as usize..][..len as usize];
                if old == bytes {
                    continue;
                }
                old.copy_from_slice(bytes);
            }
            Event::Grow { len } => image.resize(len as usize, 0),
            _ => continue,
        }
        fs::write(&copy, &image).expect("room for a copy");
        match Counter::open(&copy) {
            Ok(counter) => {
                assert_eq!(counter.check().expect("a check"), [], "killed behind event {index}");
                assert_eq!(counter.root().expect("a root"), &[0, 0], "killed behind event {index}");
                opened += 1;
            }
            Err(error) => {
                assert!(opened == 0, "killed behind event {index}, it does not open any more: {error}");
                refused += 1;
            }
        }
    }
    println!("{} steps in {:?}: {refused} refused, {opened} opened", recording.steps, recording.duration);
    assert!(image == recording.after, "the events explain the file");
    assert!(refused > 100 && opened > 0, "{refused} refused, {opened} opened");
}
