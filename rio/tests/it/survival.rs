//! What was stored survives kill -9, and the next owner learns that the region was left open.

use std::path::Path;

use rio::{Domain, DomainChoice, Medium, Region};

use crate::support::{USER, child, disk, everywhere, role, start, tell, wait_for_the_end};

#[test]
fn stored_bytes_survive_a_kill() {
    if let Some((how, path)) = role() {
        store_and_wait(&how, &path);
    }
    everywhere(|dir| {
        for how in ["created", "opened", "grown", "unprotected", "adr"] {
            let path = dir.join(how);
            let mut id = None;
            if how != "created" {
                let region = Region::create(&path, 1 << 16).unwrap();
                id = Some(region.id());
                region.close().unwrap();
            }
            let (mut child, _) = start(child("survival::stored_bytes_survive_a_kill", how, &path));
            child.kill().unwrap();
            child.wait().unwrap();

            let region = Region::open(&path).unwrap();
            assert!(!region.was_clean(), "{how}");
            assert!(id.is_none_or(|id| id == region.id()));
            assert_eq!(region.len(), if how == "grown" { 1 << 20 } else { 1 << 16 });
            let bytes = region.bytes(USER..region.len()).unwrap();
            assert!(bytes.iter().zip(pattern()).all(|(found, stored)| *found == stored), "{how}");
            region.close().unwrap();
            assert!(Region::open(&path).unwrap().was_clean());
        }
    });
}

fn pattern() -> impl Iterator<Item = u8> {
    (0u64..).map(|at| (at * 31 % 251) as u8)
}

fn store_and_wait(how: &str, path: &Path) -> ! {
    let domain = if how == "adr" { DomainChoice::Forced(Domain::Adr) } else { DomainChoice::Auto };
    let options = Region::options().size(1 << 16).protection(how != "unprotected").domain(domain);
    let mut region = options.open_or_create(path).unwrap();
    if how == "grown" {
        region.grow(1 << 20).unwrap();
    }
    let len = region.len();
    for (place, byte) in region.bytes_mut(USER..len).unwrap().iter_mut().zip(pattern()) {
        *place = byte;
    }
    region.flush(USER, len - USER);
    region.fence();
    tell("stored");
    wait_for_the_end()
}

#[test]
fn killed_at_any_moment_it_opens_again() {
    if let Some((_, path)) = role() {
        // Opens, grows and closes as often as it can.
        tell("begun");
        for round in 1.. {
            let mut region = Region::open(&path).unwrap();
            let len = region.len();
            if len < 1 << 20 {
                region.grow(len + 4096).unwrap();
            }
            region.bytes_mut(USER..USER + 8).unwrap().copy_from_slice(&u64::to_ne_bytes(round));
            region.close().unwrap();
        }
    }
    let dir = disk();
    let path = dir.path().join("region");
    let region = Region::create(&path, 1 << 16).unwrap();
    let (id, mut len) = (region.id(), region.len());
    region.close().unwrap();
    for round in 0..12 {
        let (mut child, _) = start(child("survival::killed_at_any_moment_it_opens_again", "busy", &path));
        std::thread::sleep(std::time::Duration::from_micros(700 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        let region = Region::open(&path).unwrap();
        assert_eq!(region.id(), id);
        assert!(region.len() >= len);
        len = region.len();
        region.close().unwrap();
    }
}
