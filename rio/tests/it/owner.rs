//! A region has one owner at a time, in all processes, and the next is refused or waits as long as it says.

use std::path::Path;
use std::time::{Duration, Instant};

use rio::{Error, Region};

use crate::support::{child, everywhere, memory, role, start, tell, wait_for_the_end};

fn waited(result: Result<Region, Error>) -> u64 {
    match result {
        Err(Error::Locked { waited_millis, .. }) => waited_millis,
        other => panic!("{other:?}"),
    }
}

fn check_busy(path: &Path) {
    assert!(waited(Region::open(path)) < 50);
    let begun = Instant::now();
    let millis = waited(Region::options().lock_wait(Duration::from_millis(120)).open(path));
    assert!((120..5000).contains(&millis) && begun.elapsed() >= Duration::from_millis(120), "{millis}");
    waited(Region::options().private(true).open(path));
    assert!(matches!(Region::create(path, 1 << 16), Err(Error::AlreadyExists { .. })));
}

#[test]
fn a_second_owner_in_this_process_is_refused() {
    everywhere(|dir| {
        let path = dir.join("region");
        let region = Region::create(&path, 1 << 16).unwrap();
        check_busy(&path);
        region.close().unwrap();
        let region = Region::open(&path).unwrap();
        check_busy(&path);
        drop(region);
        Region::open(&path).unwrap();
    });
}

#[test]
fn who_waits_gets_it_when_the_owner_lets_go() {
    let dir = memory();
    let path = dir.path().join("region");
    let region = Region::create(&path, 1 << 16).unwrap();
    let waiter = {
        let path = path.clone();
        std::thread::spawn(move || Region::options().lock_wait(Duration::from_secs(60)).open(path).unwrap())
    };
    std::thread::sleep(Duration::from_millis(60));
    assert!(!waiter.is_finished());
    region.close().unwrap();
    assert!(waiter.join().unwrap().was_clean());
}

#[test]
fn a_second_owner_in_another_process_is_refused_until_the_first_dies() {
    if let Some((_, path)) = role() {
        let _region = Region::open(path).unwrap();
        tell("mine");
        wait_for_the_end();
    }
    let dir = memory();
    let path = dir.path().join("region");
    Region::create(&path, 1 << 16).unwrap().close().unwrap();
    let test = "owner::a_second_owner_in_another_process_is_refused_until_the_first_dies";
    let (mut child, _) = start(child(test, "owner", &path));
    check_busy(&path);
    let killer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(60));
        child.kill().unwrap();
        child.wait().unwrap();
    });
    let region = Region::options().lock_wait(Duration::from_secs(60)).open(&path).unwrap();
    assert!(!region.was_clean());
    killer.join().unwrap();
}
