//! A forked child has neither the memory nor the lock, and what it does with the value changes nothing.

#![allow(unsafe_code)] // It forks, and the child touches what it does not have.

use std::fs;

use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use rio::{Error, Medium, Region};

use crate::support::{USER, everywhere};

/// Runs `child` in a forked child, and how that ended.
fn forked(child: impl FnOnce()) -> WaitStatus {
    // SAFETY: the child calls what it is here to call, takes no lock that another thread may hold, and ends.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => waitpid(child, None).unwrap(),
        ForkResult::Child => {
            child();
            // SAFETY: it ends the process at once, without the exit handlers of the program that it is a copy of.
            unsafe { nix::libc::_exit(0) }
        }
    }
}

#[test]
fn a_child_that_drops_or_closes_the_region_changes_nothing() {
    everywhere(|dir| {
        let (path, copy) = (dir.join("region"), dir.join("copy"));
        let mut slot = Some(Region::create(&path, 1 << 16).unwrap());
        slot.as_mut().unwrap().bytes_mut(USER..USER + 4).unwrap().copy_from_slice(b"kept");
        let before = fs::read(&path).unwrap();
        for close in [false, true] {
            let ended = forked(|| match slot.take() {
                Some(region) if close => region.close().unwrap(),
                region => drop(region),
            });
            assert!(matches!(ended, WaitStatus::Exited(_, 0)), "{ended:?}");
            assert!(fs::read(&path).unwrap() == before);
            assert!(matches!(Region::open(&path), Err(Error::Locked { .. })));
        }
        fs::copy(&path, &copy).unwrap();
        assert!(!Region::open(&copy).unwrap().was_clean());
        let region = slot.expect("only the child took it");
        assert_eq!(region.bytes(USER..USER + 4).unwrap(), b"kept");
        region.close().unwrap();
        assert!(Region::open(&path).unwrap().was_clean());
    });
}

#[test]
fn a_child_cannot_reach_the_bytes_even_where_the_region_has_grown() {
    everywhere(|dir| {
        let mut region = Region::create(dir.join("region"), 1 << 16).unwrap();
        region.grow(1 << 20).unwrap();
        for offset in [0, USER, (1 << 20) - 1] {
            for base in [region.read_base(), region.write_base().cast_const()] {
                let ended = forked(|| {
                    let place = base.wrapping_add(offset as usize);
                    // SAFETY: none; the child shall die here.
                    unsafe { place.read_volatile() };
                });
                assert!(matches!(ended, WaitStatus::Signaled(_, Signal::SIGSEGV, _)), "{offset}: {ended:?}");
            }
        }
    });
}
