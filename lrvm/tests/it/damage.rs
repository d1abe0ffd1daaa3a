//! What a crash leaves is recovered; damage is reported with its place, and loses nothing that lies before it.

use bytemuck::Zeroable;
use lrvm::layout::{
    COUNT_MAX, RANGE_HEADER_LEN, RECORD_HEADER_LEN, RECORD_TRAILER_LEN, RING_OFFSET, RangeHeader,
    RecordHeader, RecordTrailer, SEGMENTS_OFFSET, STATUS_OFFSETS, SegmentEntry, Status,
};
use lrvm::{End, Error, Recovery};
use proptest::prelude::*;

use crate::support::{PAGE, Store, Stores, commit, options};

/// A log of some batches as a crash leaves it: where each ends, and what the segment should hold then.
struct Batches {
    stores: Stores,
    ends: Vec<u64>,
    states: Vec<Vec<u8>>,
}

fn batches(count: u8) -> Batches {
    let stores = Stores::new(2, &[1]);
    let rvm = stores.open(options().threshold(100)).unwrap();
    let mut region = stores.map(&rvm, 0).unwrap();
    let (mut ends, mut states) = (vec![0], vec![region.bytes().to_vec()]);
    for number in 1..=count {
        let new = [number; 13];
        let place = u64::from(number) * 7;
        commit(&rvm, &mut region, End::NoFlush, &[(place, &new), (place + 500, &new[..8])]).unwrap();
        commit(&rvm, &mut region, End::Flush, &[(1000, &[number; 3])]).unwrap();
        ends.push(rvm.query().tail);
        states.push(region.bytes().to_vec());
    }
    let stores = stores.crashed();
    Batches { stores, ends, states }
}

/// A log with these bytes, beside a segment as it was.
fn with_log(stores: &Stores, log: Vec<u8>) -> Stores {
    let mut other = stores.crashed();
    other.log = Store::new(log);
    other
}

/// What is recovered from it, which must leave the log and the segment as they were if it fails.
fn recover(stores: &Stores, salvage: bool) -> Result<(Vec<u8>, Recovery), Error> {
    let before = (stores.log.bytes(), stores.segments[0].bytes());
    match stores.open(options().salvage(salvage)) {
        Ok(rvm) => {
            let region = stores.map(&rvm, 0)?;
            Ok((region.bytes().to_vec(), rvm.recovery().clone()))
        }
        Err(error) => {
            assert!(before == (stores.log.bytes(), stores.segments[0].bytes()), "{error}");
            Err(error)
        }
    }
}

#[test]
fn every_prefix_of_a_log_holds_its_whole_batches() {
    let Batches { stores, ends, states } = batches(6);
    let log = stores.log.bytes();
    let ring = RING_OFFSET as usize;
    let end = *ends.last().unwrap() as usize;
    for len in 0..=end {
        let mut cut = log.clone();
        cut[ring + len..].fill(0);
        // Zeroes that are cut off are not missed.
        let kept = (len..=end).take_while(|&at| at == len || log[ring + at - 1] == 0).last().unwrap() as u64;
        let count = ends.iter().rposition(|&end| end <= kept).unwrap();
        let (found, recovery) = recover(&with_log(&stores, cut), false).unwrap();
        assert!(found == states[count], "{len} bytes of {end}");
        assert_eq!(recovery.transactions, 2 * count as u64, "{len} bytes of {end}");
    }
}

#[test]
fn a_damaged_byte_is_reported_in_its_record_and_loses_nothing_before_it() {
    let Batches { stores, ends, states } = batches(4);
    let log = stores.log.bytes();
    for at in 0..*ends.last().unwrap() {
        let mut damaged = log.clone();
        damaged[(RING_OFFSET + at) as usize] ^= 0x55;
        let batch = ends.iter().rposition(|&end| end <= at).unwrap();
        match recover(&with_log(&stores, damaged.clone()), false) {
            // Nothing tells a damaged end from a torn one.
            Ok((found, _)) => assert!(batch + 2 == ends.len() && found == states[batch], "byte {at}"),
            Err(Error::Damaged { offset, .. }) => {
                assert!(batch + 2 < ends.len(), "byte {at}: a torn end");
                let place = offset - RING_OFFSET;
                assert!((ends[batch]..ends[batch + 1]).contains(&place), "byte {at}: reported at {place}");
                let (found, recovery) = recover(&with_log(&stores, damaged), true).unwrap();
                assert!(found == states[batch], "byte {at}: salvage");
                assert_eq!(recovery.salvaged_before, Some(offset));
            }
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
}

#[test]
fn a_lost_sector_is_reported_and_what_is_salvaged_goes_on() {
    let Batches { stores, ends, states } = batches(12);
    let log = stores.log.bytes();
    let last = ends[ends.len() - 2];
    for sector in 0..last / 512 {
        let mut damaged = log.clone();
        damaged[(RING_OFFSET + sector * 512) as usize..][..512].fill(0);
        let stores = with_log(&stores, damaged);
        let error = recover(&stores, false).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
        let batch = ends.iter().rposition(|&end| end <= sector * 512).unwrap();
        let rvm = stores.open(options().salvage(true)).unwrap();
        let mut region = stores.map(&rvm, 0).unwrap();
        assert!(region.bytes() == states[batch], "sector {sector}");
        commit(&rvm, &mut region, End::Flush, &[(3000, b"behind")]).unwrap();
        let expected = region.bytes().to_vec();
        // What was given up does not come back behind what was committed since.
        assert!(recover(&stores.crashed(), false).unwrap().0 == expected, "sector {sector}");
    }
}

#[test]
fn one_good_copy_of_the_status_block_is_enough() {
    let Batches { stores, states, .. } = batches(3);
    let log = stores.log.bytes();
    for copy in STATUS_OFFSETS {
        for at in 0..size_of::<Status>() {
            let mut damaged = log.clone();
            damaged[copy as usize + at] ^= 1;
            let (found, recovery) = recover(&with_log(&stores, damaged), false).unwrap();
            assert!(found == states[3] && recovery.status_was_torn, "copy at {copy}, byte {at}");
        }
    }
    let mut damaged = log.clone();
    STATUS_OFFSETS.iter().for_each(|&copy| damaged[copy as usize + 40] ^= 1);
    let error = recover(&with_log(&stores, damaged), false).unwrap_err();
    assert!(matches!(error, Error::Damaged { offset, .. } if offset < SEGMENTS_OFFSET), "{error}");
}

/// The newer copy is damaged, after the log went round: the older one says where it once began.
#[test]
fn an_old_status_block_is_not_taken_for_the_log_as_it_is() {
    for rounds in 1..40u8 {
        let stores = Stores::new(1, &[1]);
        let rvm = stores.open(options().threshold(100).status_interval(1000)).unwrap();
        let mut region = stores.map(&rvm, 0).unwrap();
        for round in 0..rounds {
            commit(&rvm, &mut region, End::Flush, &[(u64::from(round) * 8, &[round + 1; 700])]).unwrap();
            if round % 3 == 2 {
                rvm.truncate().unwrap();
            }
        }
        let (state, crashed) = (region.bytes().to_vec(), stores.crashed());
        let log = crashed.log.bytes();
        let generation = |copy: u64| {
            let bytes = &log[copy as usize..][..size_of::<Status>()];
            bytemuck::pod_read_unaligned::<Status>(bytes).generation
        };
        let newer = STATUS_OFFSETS.into_iter().max_by_key(|&copy| generation(copy)).unwrap();
        let mut damaged = log.clone();
        damaged[newer as usize + 50] ^= 1;
        match recover(&with_log(&crashed, damaged), false) {
            Ok((found, _)) => assert!(found == state, "{rounds} rounds: something is lost"),
            Err(error) => assert!(matches!(error, Error::Damaged { .. }), "{error}"),
        }
    }
}

/// The same where nothing but a record one whole round ahead tells of it.
#[test]
fn a_record_a_round_ahead_tells_that_a_status_block_is_old() {
    let stores = Stores::new(1, &[1]);
    let rvm = stores.open(options().threshold(100)).unwrap();
    let mut region = stores.map(&rvm, 0).unwrap();
    commit(&rvm, &mut region, End::Flush, &[(0, &[1; 4096 - 136])]).unwrap(); // All of the ring.
    rvm.truncate().unwrap();
    commit(&rvm, &mut region, End::Flush, &[(0, b"lost?")]).unwrap();
    let mut log = stores.log.bytes();
    let heads = STATUS_OFFSETS.map(|copy| {
        let bytes = &log[copy as usize..][..size_of::<Status>()];
        bytemuck::pod_read_unaligned::<Status>(bytes).head
    });
    let newer = STATUS_OFFSETS[heads.iter().position(|&head| head == PAGE).unwrap()];
    log[newer as usize + 50] ^= 1;
    let error = recover(&with_log(&stores, log), false).unwrap_err();
    assert!(matches!(error, Error::Damaged { offset: RING_OFFSET, .. }), "{error}");
}

#[test]
fn a_damaged_entry_of_the_table_of_segments_is_reported() {
    let Batches { stores, .. } = batches(2);
    for at in 0..size_of::<SegmentEntry>() {
        let mut log = stores.log.bytes();
        log[SEGMENTS_OFFSET as usize + at] ^= 1;
        let error = recover(&with_log(&stores, log), false).unwrap_err();
        let end = SEGMENTS_OFFSET + size_of::<SegmentEntry>() as u64;
        assert!(
            matches!(error, Error::Damaged { offset, .. } if (SEGMENTS_OFFSET..end).contains(&offset)),
            "byte {at}: {error}"
        );
    }
}

#[test]
fn a_segment_that_was_cut_is_reported_and_nothing_is_written() {
    let stores = Stores::new(2, &[1, 2]);
    let rvm = stores.open(options()).unwrap();
    let (mut first, mut second) = (stores.map(&rvm, 0).unwrap(), stores.map(&rvm, 1).unwrap());
    commit(&rvm, &mut first, End::Flush, &[(0, b"first")]).unwrap();
    commit(&rvm, &mut second, End::Flush, &[(PAGE, b"second")]).unwrap();
    let mut crashed = stores.crashed();
    crashed.segments[1] = Store::new(vec![0; PAGE as usize]);
    let error = recover(&crashed, false).unwrap_err();
    assert!(matches!(error, Error::SegmentTooShort { len: 4096, needed: 4102, .. }), "{error}");
    assert_eq!(error.to_string(), "1: its length is 4096, the log has changes up to 4102");
}

/// Numbers at which something may overflow.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        0u64..64,
        any::<u64>(),
        Just(COUNT_MAX),
        Just(COUNT_MAX + 1),
        (0u64..200).prop_map(|less| u64::MAX - less),
        (0u64..4).prop_map(|pages| pages * PAGE),
        (0u32..64).prop_map(|bit| 1 << bit),
    ]
}

fn seal_status(status: &mut Status) {
    let len = std::mem::offset_of!(Status, crc);
    status.crc = crc32fast::hash(&bytemuck::bytes_of(status)[..len]);
}

/// A record of one range, all of whose checksums are right whatever it says.
fn forged(
    mut header: RecordHeader,
    mut range: RangeHeader,
    mut trailer: RecordTrailer,
    data: &[u8],
) -> Vec<u8> {
    let crc = |bytes: &[u8]| crc32fast::hash(bytes);
    range.crc = 0;
    range.crc = crc(&[bytemuck::bytes_of(&range), data].concat());
    header.crc = 0;
    header.crc = crc(bytemuck::bytes_of(&header));
    let ranges = crc(&range.crc.to_le_bytes());
    trailer.all = crc(&[ranges.to_le_bytes(), header.crc.to_le_bytes()].concat());
    trailer.crc = 0;
    trailer.crc = crc(bytemuck::bytes_of(&trailer));
    [bytemuck::bytes_of(&header), bytemuck::bytes_of(&range), data, bytemuck::bytes_of(&trailer)].concat()
}

/// Opens whatever it is, and works with it if that can be done. Nothing may panic, loop, or reach outside of a device.
fn survive(stores: &Stores) -> Result<(), TestCaseError> {
    for salvage in [false, true] {
        let stores = stores.crashed();
        let opened = stores.open(options().salvage(salvage).read_len(100));
        if let Ok(rvm) = opened {
            for number in 0..3u8 {
                let Ok(mut region) = stores.map(&rvm, 0) else { break };
                let end = if number == 1 { End::NoFlush } else { End::Flush };
                let _ = commit(&rvm, &mut region, end, &[(u64::from(number) * 9, &[number; 900])]);
                let _ = rvm.truncate_incrementally();
            }
            let _ = rvm.close();
        }
        for store in std::iter::once(&stores.log).chain(&stores.segments) {
            prop_assert_eq!(store.stray_count.load(std::sync::atomic::Ordering::Relaxed), 0);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_status_block_may_say_anything(fields in prop::collection::vec((0usize..11, number()), 1..4)) {
        let Batches { stores, .. } = batches(2);
        let mut log = stores.log.bytes();
        for copy in STATUS_OFFSETS {
            let bytes = &mut log[copy as usize..][..size_of::<Status>()];
            let mut status: Status = bytemuck::pod_read_unaligned(bytes);
            for &(field, value) in &fields {
                match field {
                    0 => status.ring_len = value,
                    1 => status.generation = value,
                    2 => status.incarnation = value,
                    3 => status.head = value,
                    4 => status.tail = value,
                    5 => status.next_transaction = value,
                    6 => status.flush_count = value,
                    7 => status.truncation_count = value,
                    8 => status.clean = value as u32,
                    9 => (status.head, status.tail) = (value, value),
                    _ => status.written_nanos = value,
                }
            }
            seal_status(&mut status);
            bytes.copy_from_slice(bytemuck::bytes_of(&status));
        }
        survive(&with_log(&stores, log))?;
    }

    #[test]
    fn a_record_may_say_anything(fields in prop::collection::vec((0usize..14, number()), 0..4), at_end in any::<bool>()) {
        let Batches { stores, ends, .. } = batches(2);
        let mut log = stores.log.bytes();
        let status: Status = bytemuck::pod_read_unaligned(&log[..size_of::<Status>()]);
        let position = if at_end { ends[2] } else { 0 };
        let data = [7; 16];
        let len = (RECORD_HEADER_LEN + RANGE_HEADER_LEN + data.len() + RECORD_TRAILER_LEN) as u64;
        let mut header = RecordHeader {
            magic: *b"LREC",
            flags: 1,
            log: u64::from_le_bytes(status.id[..8].try_into().unwrap()) ^ status.incarnation,
            position,
            len,
            batch: position,
            transaction: 9,
            range_count: 1,
            ..RecordHeader::zeroed()
        };
        let mut range = RangeHeader { segment: 0, crc: 0, offset: 8, len: 16, back: RECORD_HEADER_LEN as u64 };
        let mut trailer = RecordTrailer {
            magic: *b"LEND",
            position,
            len,
            last: (RANGE_HEADER_LEN + data.len()) as u64,
            ..RecordTrailer::zeroed()
        };
        for &(field, value) in &fields {
            match field {
                0 => header.len = value,
                1 => (header.len, trailer.len) = (value, value),
                2 => header.batch = value,
                3 => header.transaction = value,
                4 => header.range_count = value as u32,
                5 => header.flags = value as u32,
                6 => (header.position, trailer.position) = (value, value),
                7 => range.segment = value as u32,
                8 => range.offset = value,
                9 => range.len = value,
                10 => range.back = value,
                11 => trailer.len = value,
                12 => trailer.last = value,
                _ => trailer.position = value,
            }
        }
        let record = forged(header, range, trailer, &data);
        log[(RING_OFFSET + position) as usize..][..record.len()].copy_from_slice(&record);
        survive(&with_log(&stores, log))?;
    }

    #[test]
    fn a_log_may_hold_anything(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        start in 0u64..RING_OFFSET + 4096,
    ) {
        let Batches { stores, .. } = batches(2);
        let mut log = stores.log.bytes();
        let start = if start % 3 == 0 { RING_OFFSET + start % 600 } else { start } as usize;
        log[start..start + bytes.len()].copy_from_slice(&bytes);
        survive(&with_log(&stores, log))?;
    }
}

/// With no field changed the forged record is a good one: what is tested above is not the checksums.
#[test]
fn a_forged_record_is_taken_for_a_record() {
    let Batches { stores, ends, states } = batches(2);
    let mut log = stores.log.bytes();
    let status: Status = bytemuck::pod_read_unaligned(&log[..size_of::<Status>()]);
    let len = (RECORD_HEADER_LEN + RANGE_HEADER_LEN + 16 + RECORD_TRAILER_LEN) as u64;
    let header = RecordHeader {
        magic: *b"LREC",
        flags: 1,
        log: u64::from_le_bytes(status.id[..8].try_into().unwrap()) ^ status.incarnation,
        position: ends[2],
        len,
        batch: ends[2],
        transaction: 9,
        range_count: 1,
        ..RecordHeader::zeroed()
    };
    let range = RangeHeader { segment: 0, crc: 0, offset: 3000, len: 16, back: RECORD_HEADER_LEN as u64 };
    let last = (RANGE_HEADER_LEN + 16) as u64;
    let trailer = RecordTrailer { magic: *b"LEND", position: ends[2], len, last, ..RecordTrailer::zeroed() };
    let record = forged(header, range, trailer, &[7; 16]);
    log[(RING_OFFSET + ends[2]) as usize..][..record.len()].copy_from_slice(&record);
    let (found, _) = recover(&with_log(&stores, log), false).unwrap();
    let mut expected = states[2].clone();
    expected[3000..3016].fill(7);
    assert!(found == expected);
}
