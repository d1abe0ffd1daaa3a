//! A region left open when the system went down is refused, unless it had been promised to survive that, or the
//! caller insists.

use std::fs;

use rio::{Domain, DomainChoice, Error, Region, Uuid};

use crate::support::{BACKING_AT, BOOT_ID_AT, STATE_AT, SURVIVES_AT, USER, everywhere, left_open, patch};

const EARLIER: Uuid = Uuid::from_u128(0x1234_5678_9abc_4def_8123_4567_89ab_cdef);

#[test]
fn left_open_in_this_boot_it_opens_as_not_clean() {
    everywhere(|dir| {
        let region = Region::open(left_open(dir, &Region::options())).unwrap();
        assert!(!region.was_clean());
        assert_eq!(region.bytes(USER..USER + 4).unwrap(), b"kept");
    });
}

#[test]
fn left_open_in_an_earlier_boot_it_is_refused_unless_accepted() {
    // A forced domain does not make the kernel write its pages back in order.
    for domain in [DomainChoice::Auto, DomainChoice::Forced(Domain::Adr), DomainChoice::Forced(Domain::Eadr)]
    {
        everywhere(|dir| {
            let options = Region::options().domain(domain);
            let path = left_open(dir, &options);
            patch(&path, |copy| copy[BOOT_ID_AT..BOOT_ID_AT + 16].copy_from_slice(EARLIER.as_bytes()));
            let bytes = fs::read(&path).unwrap();
            for options in [options.clone(), options.clone().private(true)] {
                match options.open(&path).unwrap_err() {
                    Error::LeftOpenAcrossReboot { left_open, now, .. } => {
                        assert_eq!(left_open, EARLIER);
                        assert_ne!(now, EARLIER);
                    }
                    other => panic!("{other}"),
                }
                assert!(fs::read(&path).unwrap() == bytes);
            }
            assert!(options.size(1 << 16).open_or_create(&path).is_err());

            // Dropped, or killed, it is as doubtful as before; closed, it is clean.
            drop(Region::options().accept_reboot(true).open(&path).unwrap());
            assert!(matches!(Region::open(&path), Err(Error::LeftOpenAcrossReboot { .. })));
            let region = Region::options().accept_reboot(true).open(&path).unwrap();
            assert!(!region.was_clean());
            region.close().unwrap();
            assert!(Region::open(&path).unwrap().was_clean());
        });
    }
}

#[test]
fn closed_in_an_earlier_boot_it_opens() {
    everywhere(|dir| {
        let path = left_open(dir, &Region::options());
        patch(&path, |copy| {
            copy[BOOT_ID_AT..BOOT_ID_AT + 16].copy_from_slice(EARLIER.as_bytes());
            copy[STATE_AT] = 2;
        });
        assert!(Region::open(&path).unwrap().was_clean());
    });
}

#[test]
fn what_was_promised_to_survive_the_kernel_opens_in_the_next_boot() {
    everywhere(|dir| {
        let path = left_open(dir, &Region::options());
        patch(&path, |copy| {
            copy[BOOT_ID_AT..BOOT_ID_AT + 16].copy_from_slice(EARLIER.as_bytes());
            copy[BACKING_AT] = 3; // fsdax
            copy[SURVIVES_AT] = 0b011; // process and kernel
        });
        assert!(!Region::open(&path).unwrap().was_clean());
    });
}
