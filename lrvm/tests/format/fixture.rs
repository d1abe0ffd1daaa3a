//! A log of format 1 with a batch in flight, as it was when the process died: every later version opens it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use lrvm::{Begin, End, Options, Rvm, create_log, create_segment};

/// The log's bytes that are not zero, sixteen a line behind their offset; the first line is its length.
const LOG: &str = include_str!("../fixtures/v1-log.txt");

fn commit(rvm: &Rvm, region: &mut lrvm::Region, end: End, changes: &[(u64, &[u8])]) {
    let mut tx = rvm.begin(Begin::Restore).unwrap();
    let enlisted = tx.enlist(region).unwrap();
    for &(offset, new) in changes {
        tx.modify(enlisted, offset, new).unwrap();
    }
    tx.commit(end).unwrap();
}

/// Makes the log anew: `cargo test -p lrvm --test format make -- --ignored`. Only for a new format, in a new file.
#[test]
#[ignore = "writes the fixture"]
fn make() {
    let dir = tempfile::tempdir().unwrap();
    let (log, data) = (dir.path().join("log"), dir.path().join("data"));
    create_log(&log, 4096).unwrap();
    create_segment(&data, 8192).unwrap();
    let rvm = Options::new().background(false).threshold(100).open(&log).unwrap();
    let mut region = rvm.map(&data, 0..8192).unwrap();
    commit(&rvm, &mut region, End::Flush, &[(0, &[1; 3500])]);
    rvm.truncate().unwrap();
    commit(&rvm, &mut region, End::Flush, &[(10, b"durable")]);
    commit(&rvm, &mut region, End::NoFlush, &[(100, b"a batch"), (5000, b"of two")]);
    commit(&rvm, &mut region, End::NoFlush, &[(102, b"BATCH"), (8191, b"!")]);
    rvm.flush().unwrap();
    let bytes = fs::read(&log).unwrap();
    let mut text = format!("{}\n", bytes.len());
    for (line, bytes) in bytes.chunks(16).enumerate().filter(|(_, bytes)| bytes.iter().any(|&byte| byte != 0))
    {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(text, "{} {hex}", line * 16).unwrap();
    }
    fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1-log.txt"), text).unwrap();
}

/// The bytes of the log.
fn fixture() -> Vec<u8> {
    let mut lines = LOG.lines();
    let mut bytes = vec![0; lines.next().unwrap().parse().unwrap()];
    for line in lines {
        let (offset, hex) = line.split_once(' ').unwrap();
        let offset: usize = offset.parse().unwrap();
        for (index, byte) in bytes[offset..offset + hex.len() / 2].iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).unwrap();
        }
    }
    bytes
}

#[test]
fn a_log_of_format_1_is_recovered() {
    let dir = tempfile::tempdir().unwrap();
    let (log, data) = (dir.path().join("log"), dir.path().join("data"));
    fs::write(&log, fixture()).unwrap();
    // What the truncation before had written to the segment.
    let mut model = vec![0; 8192];
    model[..3500].fill(1);
    fs::write(&data, &model).unwrap();

    let rvm = Options::new().background(false).open(&log).unwrap();
    let recovery = rvm.recovery();
    assert_eq!((recovery.was_clean, recovery.transactions, recovery.torn_bytes), (false, 3, 0));
    model[10..17].copy_from_slice(b"durable");
    model[100..107].copy_from_slice(b"a BATCH");
    model[5000..5006].copy_from_slice(b"of two");
    model[8191] = b'!';
    let region = rvm.map(&data, 0..8192).unwrap();
    assert_eq!(region.bytes(), model);
    drop(region);
    rvm.close().unwrap();
    assert_eq!(fs::read(&data).unwrap(), model);
}

/// The same log with its last batch cut short: that is gone, and what was durable before is there.
#[test]
fn its_last_batch_is_kept_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let (log, data) = (dir.path().join("log"), dir.path().join("data"));
    let mut bytes = fixture();
    let last = bytes.windows(5).rposition(|window| window == b"BATCH").unwrap();
    bytes[last] ^= 1;
    fs::write(&log, &bytes).unwrap();
    create_segment(&data, 8192).unwrap();
    let rvm = Options::new().background(false).open(&log).unwrap();
    assert_eq!(rvm.recovery().transactions, 1);
    let region = rvm.map(&data, 0..8192).unwrap();
    assert_eq!((&region.bytes()[10..17], &region.bytes()[100..107]), (&b"durable"[..], &[0; 7][..]));
}
