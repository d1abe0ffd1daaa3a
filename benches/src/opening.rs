//! Opening: how long it takes to open a segment, with an empty log and with one in flight.
//!
//! The aim is that it does not grow with the segment. The log in flight is that of a process which is killed in the middle of
//! a transaction. Start at [`measure`].

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use nix::sys::signal::{Signal, raise};
use serde::{Deserialize, Serialize};
use vista::{PSlice, Segment, SegmentOptions};

use crate::race::Spread;

/// Bytes of user data that are changed when the process is killed.
pub const IN_FLIGHT_LEN: u64 = 1 << 20;

/// What opening a segment of one length took, in microseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Opening {
    /// Length of the segment in bytes.
    pub len: u64,
    /// With an empty log, after a clean close.
    pub empty: Spread,
    /// After a kill with a log in flight: opening, with the rollback.
    pub in_flight: Spread,
    /// The rollback alone.
    pub rollback: Spread,
    /// Bytes that were rolled back each time.
    pub byte_count: u64,
}

/// Opens a segment of `len` bytes, nine tenths of which are one slice in use, `times` times. `kill` runs
/// [`die_in_transaction`] on the path in another process.
///
/// # Errors
/// Vista's.
///
/// # Panics
/// If what was in flight is not rolled back.
pub fn measure(path: &Path, len: u64, times: usize, kill: impl Fn(&Path)) -> vista::Result<Opening> {
    create(path, len, len / 10 * 9 / 8)?;
    let (mut empty, mut in_flight, mut rollback) = (Vec::new(), Vec::new(), Vec::new());
    let mut byte_count = 0;
    for _ in 0..times {
        let (segment, micros) = open_timed(path)?;
        assert_eq!(segment.recovery().record_count, 0, "a log that is empty");
        empty.push(micros);
        segment.close()?;

        kill(path);
        let (segment, micros) = open_timed(path)?;
        byte_count = segment.recovery().byte_count;
        check_rollback(&segment, IN_FLIGHT_LEN);
        in_flight.push(micros);
        rollback.push(segment.recovery().duration.as_nanos() as f64 / 1000.0);
        segment.close()?;
    }
    std::fs::remove_file(path).expect("the segment's file");
    Ok(Opening {
        len,
        empty: Spread::of(empty),
        in_flight: Spread::of(in_flight),
        rollback: Spread::of(rollback),
        byte_count,
    })
}

fn open_timed(path: &Path) -> vista::Result<(Segment<PSlice<u64>>, f64)> {
    let started = Instant::now();
    let segment = open(path)?;
    Ok((segment, started.elapsed().as_nanos() as f64 / 1000.0))
}

/// A segment of `len` bytes with one slice of so many words.
///
/// # Errors
/// Vista's.
pub(crate) fn create(path: &Path, len: u64, words: u64) -> vista::Result<()> {
    // What has no place in the log's first 64 KiB goes on in free space, as the log of any large transaction does.
    let segment = SegmentOptions::new().size(len).create_with(path, |tx| {
        *tx.root_mut()? = tx.alloc_slice_zeroed::<u64>(words as usize)?;
        Ok::<_, vista::Error>(())
    })?;
    segment.close()
}

pub(crate) fn open(path: &Path) -> vista::Result<Segment<PSlice<u64>>> {
    Segment::open(path)
}

/// # Panics
/// If not all of so many bytes have been rolled back.
pub(crate) fn check_rollback(segment: &Segment<PSlice<u64>>, bytes: u64) {
    assert_eq!(segment.recovery().byte_count, bytes, "bytes that were rolled back");
    let words = segment.root().and_then(|root| segment.slice(*root)).expect("a sound segment");
    assert!(words[..bytes as usize / 8].iter().all(|&word| word == 0), "what had not committed is gone");
}

/// Opens the segment, changes its first `bytes` bytes in a transaction, and is killed before the commit.
///
/// # Errors
/// Vista's.
pub fn die_in_transaction(path: &Path, bytes: u64) -> vista::Result<()> {
    let mut segment = open(path)?;
    let words = *segment.root()?;
    let mut tx = segment.begin()?;
    let range = words.slice(..bytes as usize / 8).expect("a segment with so much data");
    tx.slice_mut(range)?.fill(u64::MAX);
    raise(Signal::SIGKILL).expect("a process may kill itself");
    Ok(())
}

/// Runs this program again with these arguments and expects it to be killed.
///
/// # Panics
/// If it ends in another way.
pub fn run_until_killed(arguments: &[&std::ffi::OsStr]) {
    use std::os::unix::process::ExitStatusExt;
    let program = std::env::current_exe().expect("the path of this program");
    let status = Command::new(program).args(arguments).status().expect("this program runs");
    assert_eq!(status.signal(), Some(Signal::SIGKILL as i32), "a process that was to be killed: {status}");
}
