//! Recovery: how long it takes, by the length of the log that a killed process left.
//!
//! An engine's process is killed with a log of so many bytes, and opening is timed. Start at [`measure`].

use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::engine::Level;
use crate::opening;
use crate::race::Spread;

/// An engine whose process can be killed.
pub struct Patient {
    /// Its name.
    pub name: &'static str,
    /// What its transactions survive.
    pub level: Level,
    /// Makes its files in this empty directory, with room for a log of so many bytes.
    pub create: fn(&Path, u64),
    /// Opens them, leaves a log of so many bytes, and kills the process.
    pub die: fn(&Path, u64),
    /// Opens and closes them; what opening took. Panics if what was to be recovered is not.
    pub recover: fn(&Path, u64) -> Duration,
}

/// The engines.
pub const PATIENTS: &[Patient] = &[VISTA, LRVM];

/// An undo log of one transaction in flight.
const VISTA: Patient = Patient {
    name: "vista",
    level: Level::ProcessCrash,
    create: |dir, bytes| {
        // Room for the data, and for a log as long that goes on in free space.
        let len = (3 * bytes + (16 << 20)).next_multiple_of(1 << 20);
        opening::create(&dir.join(VISTA_FILE), len, bytes / 8).expect("a new segment");
    },
    die: |dir, bytes| opening::die_in_transaction(&dir.join(VISTA_FILE), bytes).expect("a sound segment"),
    recover: |dir, bytes| {
        let started = Instant::now();
        let segment = opening::open(&dir.join(VISTA_FILE)).expect("a segment that can be recovered");
        let duration = started.elapsed();
        opening::check_rollback(&segment, bytes);
        segment.close().expect("a sound segment");
        duration
    },
};

/// A redo log of transactions that have committed, none of which has got to its segment.
const LRVM: Patient = Patient {
    name: "lrvm",
    level: Level::ProcessCrash,
    create: |dir, bytes| {
        lrvm::create_log(dir.join(LRVM_LOG), (2 * bytes + (1 << 20)).next_multiple_of(1 << 20))
            .expect("a new log");
        lrvm::create_segment(dir.join(LRVM_SEGMENT), bytes).expect("a new segment");
    },
    die: |dir, bytes| {
        let rvm = open_lrvm(dir);
        let mut region = rvm.map(dir.join(LRVM_SEGMENT), 0..bytes).expect("a region");
        let new = region.read::<u64>(0).expect("a word") + 1;
        let words = vec![new; (bytes.min(LRVM_RANGE_LEN) / 8) as usize];
        for offset in (0..bytes).step_by(LRVM_RANGE_LEN as usize) {
            let mut tx = rvm.begin(lrvm::Begin::NoRestore).expect("a sound log");
            let region = tx.enlist(&mut region).expect("a region of its own");
            tx.modify(region, offset, bytemuck::cast_slice(&words)).expect("a range inside");
            tx.commit(lrvm::End::NoFlush).expect("room in the log");
        }
        rvm.flush().expect("a sound log");
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL).expect("a signal that is sent");
    },
    recover: |dir, bytes| {
        let started = Instant::now();
        let rvm = open_lrvm(dir);
        let duration = started.elapsed();
        assert_eq!(rvm.recovery().applied_bytes, bytes, "all that had committed");
        let region = rvm.map(dir.join(LRVM_SEGMENT), 0..bytes).expect("a region");
        let words: &[u64] = bytemuck::cast_slice(region.bytes());
        assert!(words.iter().all(|&word| word == words[0] && word != 0), "the words of one round");
        drop(region);
        rvm.close().expect("a sound log");
        duration
    },
};

/// Bytes in one of its transactions.
const LRVM_RANGE_LEN: u64 = 4096;

fn open_lrvm(dir: &Path) -> lrvm::Rvm {
    // All stays in the log until the process is killed.
    let options = lrvm::Options::new().background(false).threshold(100);
    options.open(dir.join(LRVM_LOG)).expect("a log that can be recovered")
}

const LRVM_LOG: &str = "log.lrvm";
const LRVM_SEGMENT: &str = "segment.lrvm";

const VISTA_FILE: &str = "segment.vista";

/// The engine of this name.
///
/// # Panics
/// If there is none.
pub fn patient(name: &str) -> &'static Patient {
    PATIENTS.iter().find(|patient| patient.name == name).unwrap_or_else(|| panic!("no engine {name}"))
}

/// What recovery from a log of one length took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recovery {
    /// The engine.
    pub name: String,
    /// What its transactions survive.
    pub level: Level,
    /// Bytes of data that the log was to restore.
    pub log_bytes: u64,
    /// Microseconds that opening took.
    pub micros: Spread,
}

/// Kills and recovers `times` times, in an empty directory. `kill` runs the engine's `die` in another process.
pub fn measure(patient: &Patient, dir: &Path, log_bytes: u64, times: usize, kill: impl Fn()) -> Recovery {
    (patient.create)(dir, log_bytes);
    let recover = || {
        kill();
        (patient.recover)(dir, log_bytes).as_nanos() as f64 / 1000.0
    };
    recover(); // The first time, the kernel does not have the pages at hand.
    let micros = Spread::of((0..times).map(|_| recover()));
    Recovery { name: patient.name.to_owned(), level: patient.level, log_bytes, micros }
}
