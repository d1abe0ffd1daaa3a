//! A forced domain does its write-backs and fences on any memory, and promises no more than the memory keeps.

use rio::{Backing, Domain, DomainChoice, Medium, Region, WriteBack};

use crate::support::{USER, disk, everywhere, memory};

#[test]
fn ordinary_files_lie_in_the_page_cache() {
    let region = Region::create(memory().path().join("region"), 1 << 16).unwrap();
    assert!(matches!(region.backing(), Backing::Tmpfs | Backing::PageCache | Backing::FsDax));
    let dir = disk();
    let region = Region::create(dir.path().join("region"), 1 << 16).unwrap();
    if region.backing() == Backing::PageCache {
        assert_eq!((region.domain(), region.write_back()), (Domain::PageCache, WriteBack::None));
        let survives = region.survives();
        assert!(survives.process_crash && !survives.kernel_crash && !survives.power_loss);
    }
}

#[test]
fn a_forced_domain_executes_its_instructions_and_promises_no_more() {
    everywhere(|dir| {
        for (domain, writes_back) in [(Domain::Adr, true), (Domain::Eadr, false), (Domain::PageCache, false)]
        {
            let path = dir.join(domain.to_string());
            let options = Region::options().domain(DomainChoice::Forced(domain));
            let mut region = options.clone().size(1 << 16).create(&path).unwrap();
            assert_eq!(region.domain(), domain);
            assert_eq!(region.write_back() != WriteBack::None, writes_back, "{domain}");
            if !matches!(region.backing(), Backing::FsDax | Backing::DevDax) {
                assert!(region.survives().process_crash && !region.survives().kernel_crash);
                assert!(!region.survives().power_loss);
            }
            region.bytes_mut(USER..1 << 16).unwrap().fill(3);
            for (offset, len) in [(USER, 0), (USER, 1), (USER + 63, 2), (0, 1 << 16), ((1 << 16) - 1, 1)] {
                region.flush(offset, len);
                region.fence();
            }
            region.grow(1 << 20).unwrap();
            region.flush(USER, (1 << 20) - USER);
            region.fence();
            region.close().unwrap();
            let region = options.open(&path).unwrap();
            assert!(region.was_clean() && region.bytes(USER..1 << 16).unwrap().iter().all(|byte| *byte == 3));
        }
    });
}

#[test]
#[should_panic(expected = "beyond")]
fn a_flush_beyond_the_end_is_our_own_mistake() {
    let options = Region::options().size(1 << 16).domain(DomainChoice::Forced(Domain::Adr));
    options.anonymous().unwrap().flush((1 << 16) - 1, 2);
}
