//! Opening a large map: how long until the first lookup has answered, after a clean close and after a kill.
//!
//! A segment of fixed length is filled with pairs of 8 and 100 bytes until no transaction of a thousand more finds room.
//! Another process then opens it, changes a part in a transaction, and is killed in the middle. Start at [`measure`].

use std::path::Path;
use std::time::Instant;

use nix::sys::signal::{Signal, raise};
use serde::{Deserialize, Serialize};
use vista::{Error, PBTreeMap, PHashMap, Segment, SegmentOptions};

use super::contenders::Structure;
use super::keys::{self, Order};
use super::load::VALUE_LEN;
use super::ours::Handle;
use crate::race::Spread;

/// Entries that the killed transaction has taken away.
pub const IN_FLIGHT: u64 = 1000;
/// Entries in a transaction while the segment is filled.
const FILL_LEN: u64 = 1000;

/// What opening a map took, in microseconds, with the first lookup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Opening {
    /// The map.
    pub structure: Structure,
    /// Length of the segment in bytes.
    pub len: u64,
    /// Entries that it has.
    pub entries: u64,
    /// After a clean close.
    pub closed: Spread,
    /// After a kill in the middle of a transaction: with the rollback.
    pub killed: Spread,
    /// Bytes that the rollback has restored.
    pub restored: u64,
}

/// As [`measure`], of vista's map of this structure.
///
/// # Errors
/// As [`measure`].
///
/// # Panics
/// As [`measure`], and if it is no map.
pub fn measure_one(
    structure: Structure,
    path: &Path,
    len: u64,
    times: usize,
    kill: impl Fn(&Path),
) -> vista::Result<Opening> {
    match structure {
        Structure::Hash => measure::<Hash>(structure, path, len, times, kill),
        Structure::Btree => measure::<Tree>(structure, path, len, times, kill),
        other => panic!("a {} is no map", other.title()),
    }
}

/// As [`die`], with vista's map of this structure.
///
/// # Errors
/// As [`die`].
///
/// # Panics
/// If it is no map.
pub fn die_in(structure: Structure, path: &Path) -> vista::Result<()> {
    match structure {
        Structure::Hash => die::<Hash>(path),
        Structure::Btree => die::<Tree>(path),
        other => panic!("a {} is no map", other.title()),
    }
}

type Hash = PHashMap<u64, [u8; VALUE_LEN]>;
type Tree = PBTreeMap<u64, [u8; VALUE_LEN]>;

/// Fills a segment of `len` bytes with a map, and opens it `times` times. `kill` runs [`die`] on the path in another
/// process.
///
/// # Errors
/// Vista's.
///
/// # Panics
/// If something is not there that has to be.
pub fn measure<C: Handle<VALUE_LEN>>(
    structure: Structure,
    path: &Path,
    len: u64,
    times: usize,
    kill: impl Fn(&Path),
) -> vista::Result<Opening> {
    let entries = create::<C>(path, len)?;
    let (mut closed, mut killed, mut restored) = (Vec::new(), Vec::new(), 0);
    for _ in 0..times {
        let (segment, micros) = open_timed::<C>(path)?;
        assert_eq!(segment.recovery().record_count, 0, "a log that is empty");
        closed.push(micros);
        segment.close()?;

        kill(path);
        let (segment, micros) = open_timed::<C>(path)?;
        restored = segment.recovery().byte_count;
        assert!(restored > 0, "a transaction that was rolled back");
        for number in (0..IN_FLIGHT).chain([entries - 1]) {
            let key = Order::Random.key(number);
            assert_eq!(segment.root()?.find(&segment, key)?, Some(keys::word(key)), "entry {number}");
        }
        killed.push(micros);
        segment.close()?;
    }
    std::fs::remove_file(path).expect("the segment's file");
    let (closed, killed) = (Spread::of(closed), Spread::of(killed));
    Ok(Opening { structure, len, entries, closed, killed, restored })
}

/// Fills a new segment; number of the entries that found room.
fn create<C: Handle<VALUE_LEN>>(path: &Path, len: u64) -> vista::Result<u64> {
    let mut segment = SegmentOptions::new().size(len).max_len(len).create::<C>(path)?;
    let map = segment.transaction(|tx| C::or_new(tx, tx.root_ptr()))?;
    let mut entries = 0;
    loop {
        let done = segment.transaction(|tx| {
            let mut fresh = entries..entries + FILL_LEN;
            fresh.try_for_each(|number| map.add(tx, Order::Random.key(number)))
        });
        match done {
            Ok(()) => entries += FILL_LEN,
            Err(Error::NoSpace { .. }) => break,
            Err(error) => return Err(error),
        }
    }
    segment.close()?;
    Ok(entries)
}

fn open_timed<C: Handle<VALUE_LEN>>(path: &Path) -> vista::Result<(Segment<C>, f64)> {
    let key = Order::Random.key(0);
    let started = Instant::now();
    let segment = Segment::<C>::open(path)?;
    let found = segment.root()?.find(&segment, key)?;
    let micros = started.elapsed().as_nanos() as f64 / 1000.0;
    assert_eq!(found, Some(keys::word(key)), "the first entry");
    Ok((segment, micros))
}

/// Opens a map, takes its first entries away, and is killed before the commit.
///
/// # Errors
/// Vista's.
pub fn die<C: Handle<VALUE_LEN>>(path: &Path) -> vista::Result<()> {
    let mut segment = Segment::<C>::open(path)?;
    let map = *segment.root()?;
    let mut tx = segment.begin()?;
    for number in 0..IN_FLIGHT {
        map.take(&mut tx, Order::Random.key(number))?;
    }
    raise(Signal::SIGKILL).expect("a process may kill itself");
    Ok(())
}
