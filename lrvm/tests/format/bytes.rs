//! The bytes of a real log, read as docs/FORMAT.md says and without a line of the library.

use std::fs;

use lrvm::{Begin, End, Options, create_log, create_segment};

const RING: usize = 270_336;
const RING_LEN: usize = 4096;

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn half(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// CRC-32 of ISO-HDLC, bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 })
    })
}

/// The same with these four bytes as zero.
fn crc_without(bytes: &[u8], field: usize) -> u32 {
    let mut bytes = bytes.to_vec();
    bytes[field..field + 4].fill(0);
    crc(&bytes)
}

/// A range: segment, offset, new bytes.
type Range = (u32, u64, Vec<u8>);

/// The record at a position, checked: its length, its batch, whether it is the last of it, and its ranges.
fn record(log: &[u8], position: u64, status: &[u8]) -> (u64, u64, bool, Vec<Range>) {
    let at = |offset: usize| RING + (position as usize + offset) % RING_LEN;
    let header: Vec<u8> = (0..64).map(|offset| log[at(offset)]).collect();
    let len = word(&header, 24);
    let bytes: Vec<u8> = (0..len as usize).map(|offset| log[at(offset)]).collect();
    assert_eq!(&header[..4], b"LREC");
    assert_eq!(word(&header, 8), word(status, 16) ^ word(status, 48), "log");
    assert_eq!(word(&header, 16), position);
    assert_eq!((half(&header, 52), word(&header, 56)), (crc_without(&header, 52), 0));
    let (mut ranges, mut crcs, mut start, mut before) = (Vec::new(), Vec::new(), 64, 0);
    for _ in 0..half(&header, 48) {
        let len = word(&bytes, start + 16) as usize;
        let end = start + 32 + len.next_multiple_of(8);
        assert_eq!(half(&bytes, start + 4), crc_without(&bytes[start..end], 4), "checksum of a range");
        assert_eq!(word(&bytes, start + 24), (start - before) as u64, "way back");
        assert!(bytes[start + 32 + len..end].iter().all(|&byte| byte == 0), "padding");
        let new = bytes[start + 32..start + 32 + len].to_vec();
        ranges.push((half(&bytes, start), word(&bytes, start + 8), new));
        crcs.extend_from_slice(&bytes[start + 4..start + 8]);
        (before, start) = (start, end);
    }
    let trailer = &bytes[start..];
    assert_eq!((trailer.len(), &trailer[..4]), (40, &b"LEND"[..]));
    assert_eq!(half(trailer, 4), crc_without(trailer, 4));
    assert_eq!((word(trailer, 8), word(trailer, 16)), (position, len));
    let both = [crc(&crcs).to_le_bytes(), header[52..56].try_into().unwrap()].concat();
    assert_eq!((half(trailer, 24), half(trailer, 28)), (crc(&both), 0));
    assert_eq!(word(trailer, 32), (start - before) as u64);
    (len, word(&header, 32), half(&header, 4) == 1, ranges)
}

#[test]
fn a_log_has_the_bytes_that_the_document_describes() {
    let dir = tempfile::tempdir().unwrap();
    let (log, data) = (dir.path().join("log"), dir.path().join("data"));
    create_log(&log, RING_LEN as u64).unwrap();
    create_segment(&data, 8192).unwrap();
    let rvm = Options::new().background(false).threshold(100).open(&log).unwrap();
    let mut region = rvm.map(&data, 4096..8192).unwrap();
    let mut commit = |end, changes: &[(u64, Vec<u8>)]| {
        let mut tx = rvm.begin(Begin::Restore).unwrap();
        let enlisted = tx.enlist(&mut region).unwrap();
        for (offset, new) in changes {
            tx.modify(enlisted, *offset, new).unwrap();
        }
        tx.commit(end).unwrap();
    };
    // Two thirds of the ring are used and freed, so that the next batch stands across its end.
    commit(End::Flush, &[(0, vec![1; 2500])]);
    rvm.truncate().unwrap();
    commit(End::Flush, &[(8, vec![2; 1000])]);
    commit(End::NoFlush, &[(100, b"three".to_vec()), (3000, b"four".to_vec())]);
    commit(End::NoFlush, &[(0, vec![5; 301])]);
    rvm.flush().unwrap();

    let bytes = fs::read(&log).unwrap();
    assert_eq!(bytes.len(), RING + RING_LEN);
    let copies = [&bytes[..256], &bytes[4096..4352]];
    for (index, status) in copies.into_iter().enumerate() {
        assert_eq!((&status[..8], half(status, 8), half(status, 12)), (&b"LRVM-LOG"[..], 1, 0));
        assert_eq!((word(status, 32), half(status, 248)), (RING_LEN as u64, crc(&status[..248])));
        assert_eq!((word(status, 40) + 1) % 2, index as u64, "place by generation");
        assert!(status[112..248].iter().chain(&status[252..]).all(|&byte| byte == 0));
    }
    let status = copies.into_iter().max_by_key(|status| word(status, 40)).unwrap();
    let entry = &bytes[8192..8192 + 1024];
    assert_eq!((half(entry, 0), half(entry, 4), word(entry, 8)), (crc(&entry[4..]), 4, word(status, 48)));
    assert_eq!((&entry[16..20], entry[20..].iter().max()), (&b"data"[..], Some(&0)));

    let first = word(status, 56);
    let (len, batch, is_last, ranges) = record(&bytes, first, status);
    assert_eq!((batch, is_last, ranges), (first, true, vec![(0, 4104, vec![2; 1000])]));
    let second = first + len;
    let (len, batch, is_last, ranges) = record(&bytes, second, status);
    assert_eq!((batch, is_last), (second, false));
    assert_eq!(ranges, [(0, 4196, b"three".to_vec()), (0, 7096, b"four".to_vec())]);
    let third = second + len;
    let (len, batch, is_last, ranges) = record(&bytes, third, status);
    assert_eq!((batch, is_last, ranges), (second, true, vec![(0, 4096, vec![5; 301])]));
    let lap = |position: u64| position / RING_LEN as u64;
    assert!(lap(first) < lap(third + len), "the ring has gone round");
    assert_eq!(rvm.query().tail, third + len);
}
