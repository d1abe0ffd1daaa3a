//! Any bytes at all end in `Ok` or `Err`: damaged, cut off, random, or forged by somebody who knows every check.

use rio::{Buffer, Domain};
use vista::inspect::Inspector;
use vista::layout::*;
use vista::{Error, PPtr, Segment};

use crate::exercise::{Root, any_bytes, patched, sample};
use crate::forge::{Image, LogWriter, seal};
use crate::support::{SplitMix, pages, reopen};

/// With what went wrong in front of the panic of whatever it led to.
fn survive(what: impl Fn() -> String, bytes: &[u8]) {
    let result = std::panic::catch_unwind(|| any_bytes(bytes));
    assert!(result.is_ok(), "{}", what());
}

fn flip_every(step: usize, domain: Domain, is_in_flight: bool) {
    let image = sample(domain, is_in_flight);
    let mut bytes = image.clone();
    for at in (0..image.len()).step_by(step) {
        // Where nothing is but zeroes of data or of free pages, one in eight will do.
        if image[at.saturating_sub(32)..(at + 32).min(image.len())].iter().all(|&byte| byte == 0)
            && at % 8 != 0
        {
            continue;
        }
        bytes[at] ^= 1 << (at * 5 / step % 8);
        survive(|| format!("{domain}, in flight: {is_in_flight}, byte {at} flipped"), &bytes);
        bytes[at] = image[at];
    }
}

#[test]
fn every_byte_flipped_in_a_segment_at_rest() {
    flip_every(1, Domain::PageCache, false);
}

#[test]
fn every_byte_flipped_with_a_log_in_flight() {
    flip_every(1, Domain::PageCache, true);
}

#[test]
fn every_byte_flipped_with_an_ordered_log_in_flight() {
    flip_every(1, Domain::Adr, true);
}

#[test]
fn bytes_set_to_extremes() {
    for is_in_flight in [false, true] {
        let image = sample(Domain::PageCache, is_in_flight);
        let mut bytes = image.clone();
        for at in (0..image.len() - 8).step_by(8).filter(|at| at % 4096 < 512 || at % 64 == 0) {
            for word in [0, u64::MAX] {
                bytes[at..at + 8].copy_from_slice(&u64::to_le_bytes(word));
                survive(|| format!("word {word:#x} at {at}"), &bytes);
            }
            bytes[at..at + 8].copy_from_slice(&image[at..at + 8]);
        }
    }
}

#[test]
fn every_truncation() {
    for is_in_flight in [false, true] {
        let image = sample(Domain::PageCache, is_in_flight);
        for len in (0..image.len()).step_by(509).chain((0..18).flat_map(|page| {
            let end = page * 4096;
            [end, end + 1, end + 64]
        })) {
            survive(|| format!("cut to {len}"), &image[..len.min(image.len())]);
        }
    }
}

#[test]
fn random_bytes_and_random_pages() {
    let mut random = SplitMix(1);
    let image = sample(Domain::PageCache, true);
    for round in 0..300 {
        let mut bytes = image.clone();
        match round % 3 {
            0 => bytes.iter_mut().for_each(|byte| *byte = random.next() as u8),
            1 => {
                let page = random.below(18) as usize * 4096;
                bytes[page..page + 4096].iter_mut().for_each(|byte| *byte = random.next() as u8);
            }
            _ => {
                let (from, to) = (random.below(18) as usize * 4096, random.below(18) as usize * 4096);
                bytes.copy_within(from..from + 4096, to);
            }
        }
        survive(|| format!("round {round}"), &bytes);
    }
}

/// Words over a sample whose checks are then made to fit: what only a forger would write.
#[test]
fn forged_structures_of_random_words() {
    let mut random = SplitMix(2);
    let interesting = [0, 1, 2, 3, 4, 7, 8, 9, 10, 11, 12, 17, 255, 4096, u64::MAX, 1 << 32, 1 << 41];
    let image = Image(sample(Domain::PageCache, false));
    let (meta, table) = (image.meta(), image.zone(0).offset);
    for round in 0..3000 {
        let mut input = vec![4 | (random.below(4) as u8)];
        for _ in 0..1 + random.below(4) {
            let at = match random.below(5) {
                0 => meta + 8 * random.below(6),
                1 => meta + 4096 + 8 * random.below(66),
                2 => meta + 8192 + 8 * random.below(8),
                _ => table + 4 * random.below(16 * 10),
            };
            input.extend(&(at as u32).to_le_bytes()[..3]);
            let word = interesting[random.below(17) as usize];
            let word = if random.below(4) == 0 { random.next() } else { word };
            input.extend(word.to_le_bytes());
        }
        survive(|| format!("round {round}: {input:?}"), &patched(&input));
    }
}

fn is_damaged(image: &Image) -> bool {
    matches!(reopen::<Root>(&image.0, Domain::PageCache), Err(Error::Damaged { .. }))
}

/// Forges a log in flight; every outcome is survived, and this one expected.
fn check_log(expect_damage: bool, forge: impl Fn(&mut LogWriter<'_>, u64)) {
    for domain in [Domain::PageCache, Domain::Adr] {
        let mut image = Image(sample(domain, false));
        let before = image.clone();
        let data = image.first_page() * PAGE_LEN;
        forge(&mut LogWriter::new(&mut image), data);
        survive(|| "a forged log".to_owned(), &image.0);
        let buffer = || Buffer::from_bytes(&image.0).with_domain(domain);
        let result = Segment::<Root, Buffer>::open_on(buffer());
        assert_eq!(matches!(result, Err(Error::Damaged { .. })), expect_damage, "{:?}", result.err());
        if expect_damage {
            // Nothing was rolled back that was not whole: all but the log is as it was.
            let mut inspector = Inspector::open_on(buffer()).unwrap();
            let _ = inspector.recover();
            let log = LOG_OFFSET as usize..(LOG_OFFSET + PAGE_LEN) as usize;
            let after = inspector.medium().bytes();
            assert!(after[..log.start] == before.0[..log.start]);
        }
    }
}

#[test]
fn a_forged_log_that_is_whole_is_taken() {
    check_log(false, |log, data| log.record(KIND_IMAGE, data, &[1; 64]).publish());
    check_log(false, |log, data| {
        let first = log.tail;
        log.record(KIND_SAVEPOINT, 0, &[0; 8])
            .record(KIND_IMAGE, data, &[1; 3])
            .record(KIND_IMAGE, data, &[2; 8]);
        let tail = log.tail;
        log.set_batch(first).publish_at(tail, true);
    });
}

#[test]
fn records_that_lead_out_of_what_a_transaction_may_change_are_refused() {
    let guard = LOG_OFFSET + 2 * PAGE_LEN - PAGE_LEN;
    for target in [
        0,
        1,
        8191,
        SEGMENT_OFFSET,
        SEGMENT_OFFSET + 4096,
        LOG_OFFSET,
        LOG_OFFSET + 24,
        guard,
        pages(18),
        (1 << 44) - 1,
    ] {
        check_log(true, |log, _| log.record(KIND_IMAGE, target, &[0; 8]).publish());
        check_log(true, |log, data| {
            log.record(KIND_IMAGE, target, &[0; 8]).record(KIND_IMAGE, data, &[0; 8]).publish()
        });
    }
    // Across a border: out of the metadata, into the guard behind a zone's table, over the end.
    check_log(true, |log, data| log.record(KIND_IMAGE, data - 4, &[0; 8]).publish());
    check_log(true, |log, data| log.record(KIND_IMAGE, data - PAGE_LEN - 4, &[0; 8]).publish());
    check_log(true, |log, _| log.record(KIND_IMAGE, pages(18) - 4, &[0; 8]).publish());
}

#[test]
fn records_of_impossible_shape_are_refused() {
    let word = |target: u64, kind: u64, len: u64| target << 20 | kind << 18 | len;
    check_log(true, |log, data| log.raw_record(word(data, KIND_IMAGE, 0), &[]).publish());
    for len in [9, 4096, 1 << 17, (1 << 18) - 1] {
        check_log(true, |log, data| log.raw_record(word(data, KIND_IMAGE, len), &[0; 8]).publish());
    }
    for kind in [KIND_FRESH, KIND_LINK, KIND_SAVEPOINT] {
        for len in [0, 7, 16] {
            check_log(true, |log, data| {
                log.raw_record(word(data, kind, len), &vec![0; len as usize]).publish()
            });
        }
    }
    check_log(true, |log, data| log.record(KIND_SAVEPOINT, data, &[0; 8]).publish());
    check_log(true, |log, data| log.record(KIND_LINK, data, &[0; 8]).publish());
}

#[test]
fn tails_outside_are_refused() {
    // (The start of the records is the fenced tail of a log whose only batch is torn.)
    check_log(true, |log, data| log.record(KIND_IMAGE, data, &[0; 8]).publish_at(LOG_OFFSET + 24, false));
    for tail in [
        0,
        8,
        16,
        LOG_OFFSET,
        LOG_OFFSET + 8,
        LOG_OFFSET + 32,
        LOG_OFFSET + 40,
        LOG_OFFSET + 8192,
        pages(18) + 8,
        (1 << 44) - 16,
        (1 << 44) - 8,
    ] {
        check_log(true, |log, data| log.record(KIND_IMAGE, data, &[0; 8]).publish_at(tail, false));
        check_log(true, |log, data| {
            log.record(KIND_IMAGE, data, &[0; 8]).set_batch(tail).publish_at(tail, true)
        });
    }
}

#[test]
fn links_in_a_circle_are_refused() {
    // A link whose payload is its own end.
    check_log(true, |log, data| {
        let extent = data + pages(5);
        log.tail = extent;
        log.record(KIND_LINK, extent, &(extent + 24).to_le_bytes()).publish();
    });
    // Two that lead to each other.
    check_log(true, |log, data| {
        let (one, other) = (data + pages(5), data + pages(6));
        log.tail = one;
        log.record(KIND_LINK, one, &(other + 24).to_le_bytes());
        log.tail = other;
        log.record(KIND_LINK, other, &(one + 24).to_le_bytes()).publish();
    });
    // To nowhere.
    for before in [0, 1, 8, u64::MAX, pages(18), LOG_OFFSET] {
        check_log(true, |log, data| {
            let extent = data + pages(5);
            log.tail = extent;
            log.record(KIND_LINK, extent, &before.to_le_bytes()).publish();
        });
    }
}

/// Whole when it is checked, a circle if its first image were copied back, which would overwrite the link.
#[test]
fn an_image_of_the_log_itself_is_not_copied_back() {
    for domain in [Domain::PageCache, Domain::Adr] {
        let mut image = Image(sample(domain, false));
        let extent = image.first_page() * PAGE_LEN + pages(5);
        let mut log = LogWriter::new(&mut image);
        log.record(KIND_IMAGE, extent + pages(1), &[1; 8]).link(extent);
        let end = log.tail + 8 + 16;
        log.record(KIND_IMAGE, extent, &end.to_le_bytes()).publish();
        survive(|| "a log in a circle".to_owned(), &image.0);
        assert!(!is_damaged(&image));
    }
}

#[test]
fn a_forged_log_in_user_data_that_overwrites_itself_ends() {
    let mut random = SplitMix(3);
    for round in 0..500 {
        let mut image = Image(sample(Domain::PageCache, false));
        let data = image.first_page() * PAGE_LEN;
        let extent = data + pages(5);
        let mut log = LogWriter::new(&mut image);
        log.record(KIND_IMAGE, extent + 8 * random.below(20), &random.next().to_le_bytes()).link(extent);
        for _ in 0..1 + random.below(6) {
            let target = extent + 8 * random.below(24);
            let payload = [extent + 24, extent + 48, log.tail, random.next()][random.below(4) as usize];
            log.record(KIND_IMAGE, target, &payload.to_le_bytes());
        }
        log.publish();
        survive(|| format!("round {round}"), &image.0);
    }
}

fn check_forged(what: &str, forge: impl FnOnce(&mut Image, u64)) {
    let mut image = Image(sample(Domain::PageCache, false));
    let first = image.first_page();
    forge(&mut image, first);
    survive(|| what.to_owned(), &image.0);
}

fn check_refused(what: &str, forge: impl FnOnce(&mut Image)) {
    let mut image = Image(sample(Domain::PageCache, false));
    forge(&mut image);
    survive(|| what.to_owned(), &image.0);
    let result = reopen::<Root>(&image.0, Domain::PageCache);
    assert!(
        matches!(result, Err(Error::Damaged { .. } | Error::BadOption { .. } | Error::RootMismatch { .. })),
        "{what}: {result:?}"
    );
}

#[test]
fn forged_geometry_is_refused() {
    for log_len in [0, 1, 4095, 8192, pages(10), 1 << 43, u64::MAX, u64::MAX - 4095] {
        check_refused("log", |image| {
            let mut header = image.header();
            header.log_len = log_len;
            image.set_header(header);
            let mut header = image.header();
            header.meta_offset = LOG_OFFSET.wrapping_add(log_len).wrapping_add(PAGE_LEN);
            image.set_header(header);
        });
    }
    check_refused("metadata", |image| image.set_header(SegmentHeader { meta_offset: 0, ..image.header() }));
    check_refused("version", |image| image.set_header(SegmentHeader { version: 2, ..image.header() }));
    check_refused("page", |image| image.set_header(SegmentHeader { page_len: 8192, ..image.header() }));
    check_refused("reserved", |image| image.set_header(SegmentHeader { reserved: [0, 1], ..image.header() }));
    check_refused("magic", |image| image.store(SEGMENT_OFFSET, *b"VISTASEH"));
}

#[test]
fn forged_zones_are_refused() {
    let zone = Image(sample(Domain::PageCache, false)).zone(0);
    for (offset, page_count) in [
        (zone.offset, zone.page_count + 1),
        (zone.offset, u64::MAX),
        (zone.offset, 1 << 52),
        (zone.offset, 0),
        (zone.offset + 8, 1),
        (zone.offset - PAGE_LEN, 1),
        (0, 1),
        (LOG_OFFSET, 1),
        (u64::MAX - 4095, 1),
        (pages(18), 1),
    ] {
        check_refused("zone", |image| image.set_zone(0, offset, page_count, 0));
    }
    for count in [0, 2, 128, 129, 1 << 41] {
        check_refused("count", |image| image.set_word(image.meta() + PAGE_LEN, count));
    }
    check_refused("a zone over the first", |image| {
        image.set_word(image.meta() + PAGE_LEN, 2);
        image.set_zone(1, zone.offset + PAGE_LEN, 2, 0);
    });
}

#[test]
fn forged_roots_are_refused() {
    let image = Image(sample(Domain::PageCache, false));
    let data = image.first_page() * PAGE_LEN;
    for offset in [
        0,
        1,
        SEGMENT_OFFSET,
        LOG_OFFSET,
        image.meta(),
        data - 8,
        data + 4,
        pages(18) - 8,
        pages(18),
        u64::MAX - 7,
        u64::MAX,
    ] {
        check_refused("root", |image| image.set_root(|root| root.root_offset = offset));
    }
    check_refused("length", |image| image.set_root(|root| root.root_len += 1));
    check_refused("text", |image| image.set_root(|root| root.text_len = u32::MAX));
    check_refused("fingerprint", |image| image.set_root(|root| root.fingerprint ^= 1));
    check_forged("text of no characters", |image, _| {
        image.set_root(|root| root.text = [0xFF; ROOT_TEXT_LEN])
    });
}

#[test]
fn forged_lists_and_descriptors_are_survived() {
    for list in 0..32 {
        check_forged("a list that is one page again and again", |image, first| {
            image.set_word(image.run_head(list), first + 3);
            image.set_descriptor(first + 3, |d| {
                (d.kind, d.run_pages, d.next) = (PAGE_FREE, 1 << list.min(2), first as u32 + 3)
            });
        });
        check_forged("a class of another page", |image, first| {
            image.set_word(image.partial_head(list), first + 1)
        });
        check_forged("a class of a page above the top", |image, first| {
            image.set_word(image.partial_head(list), first + 9);
            image.set_descriptor(first + 9, |d| (d.kind, d.class) = (PAGE_SLAB, list.min(21) as u8));
        });
    }
    for page in 0..8 {
        for run_pages in [0, 1, 2, 9, 10, 1000, u32::MAX] {
            for kind in [PAGE_FREE, PAGE_FREE_TAIL, PAGE_LARGE, PAGE_SLAB] {
                check_forged("a run of any length", |image, first| {
                    image.set_descriptor(first + page, |d| (d.kind, d.run_pages) = (kind, run_pages));
                });
            }
        }
        check_forged("a bitmap beyond its page", |image, first| {
            image.set_descriptor(first + page, |d| {
                (d.kind, d.class, d.bitmap) = (PAGE_SLAB, 21, [u64::MAX; 4])
            });
        });
        check_forged("any page a neighbour of any", |image, first| {
            for other in 0..8 {
                image.set_descriptor(first + other, |d| {
                    (d.next, d.prev) = ((first + page) as u32, (first + page) as u32)
                });
            }
        });
    }
    for top in [0, 1, 5, 9, 10, 11, 1 << 41] {
        check_forged("a top anywhere", |image, _| image.set_top(top));
    }
}

/// The last number there is.
#[test]
fn the_number_of_transactions_may_wrap() {
    for sequence in [u64::MAX, u64::from(u32::MAX), u64::MAX - 1] {
        let mut image = Image(sample(Domain::PageCache, false));
        image.store(LOG_OFFSET + 8, sequence);
        image.store(LOG_OFFSET + 16, seal(0, sequence));
        survive(|| "a number at its end".to_owned(), &image.0);
        let mut segment = reopen::<Root>(&image.0, Domain::PageCache).unwrap();
        for _ in 0..3 {
            let mut tx = segment.begin().unwrap();
            tx.root_mut().unwrap();
            let block = tx.alloc([1u64; 8]).unwrap();
            tx.free(block).unwrap();
            tx.get_mut(PPtr::<u64>::from_offset(block.offset())).unwrap();
            tx.abort().unwrap();
        }
        assert!(segment.check().unwrap().is_empty());
    }
}
