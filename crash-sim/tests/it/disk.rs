//! A log with a deliberate mistake is found out by a simulated disk, and the right one is not.

use std::io::{self, IoSlice};

use crash_sim::Oracle;
use crash_sim::disk::{Ack, Disk, DiskCampaign, DiskFile, DiskReport, Turn};

/// What a log may get wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mistake {
    None,
    /// The record is not synced before the data is written.
    NoSync,
    /// A record has no checksum, so that a torn one counts.
    NoChecksum,
    /// A sync that failed is tried once more.
    SyncAgain,
    /// Recovery takes what it reads for durable.
    NoSyncInRecovery,
    /// Acknowledged before it is durable.
    EarlyAck,
}

const DATA_LEN: usize = 1200;

/// One record of the whole data, in three sectors: number, checksum, data. When it is durable it is copied to the data's
/// own place, which has its number behind it.
struct Store {
    log: DiskFile,
    data: DiskFile,
    number: u64,
    mistake: Mistake,
}

fn sum(number: u64, bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(number ^ 0x9E37_79B9, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

impl Store {
    fn open(disk: &Disk, mistake: Mistake) -> io::Result<Store> {
        let (log, data) = (disk.file("log").unwrap(), disk.file("data").unwrap());
        let mut store = Store { log, data, number: 0, mistake };
        let mut record = vec![0; 16 + DATA_LEN];
        store.log.read_at(0, &mut record)?;
        let word = |at: usize| u64::from_le_bytes(record[at..at + 8].try_into().unwrap());
        let (number, bytes) = (word(0), &record[16..]);
        if number != 0 && (word(8) == sum(number, bytes) || mistake == Mistake::NoChecksum) {
            store.number = number;
            if mistake != Mistake::NoSyncInRecovery {
                store.log.write_all_at(0, &[IoSlice::new(&record)])?; // A sync may have failed.
                store.log.sync()?;
            }
            store.data.write_all_at(0, &[IoSlice::new(bytes)])?;
            store.data.sync()?;
        }
        Ok(store)
    }

    fn put(&mut self, value: u8) -> io::Result<Ack> {
        let (number, bytes) = (self.number + 1, [value; DATA_LEN]);
        let parts = [&number.to_le_bytes()[..], &sum(number, &bytes).to_le_bytes(), &bytes];
        self.log.write_all_at(0, &parts.map(IoSlice::new))?;
        match self.mistake {
            Mistake::NoSync | Mistake::EarlyAck => {}
            Mistake::SyncAgain => self.log.sync().or_else(|_| self.log.sync())?,
            _ => self.log.sync()?,
        }
        self.number = number;
        if self.mistake == Mistake::EarlyAck {
            return Ok(Ack::Durable);
        }
        self.data.write_all_at(0, &[IoSlice::new(&bytes)])?;
        self.data.sync()?; // The log is used anew by the next one.
        Ok(Ack::Durable)
    }
}

fn campaign(mistake: Mistake) -> DiskCampaign<Store, Vec<u8>> {
    DiskCampaign::new("store", vec![0; DATA_LEN])
        .file("log", 2048)
        .file("data", 2048)
        .create(move |disk| Store::open(disk, mistake))
        .open(move |disk| Store::open(disk, mistake))
        .operations(2, |store, turn| store.put((turn.life * 10 + turn.number) as u8 + 1))
        .step(|data, turn: Turn| data.fill((turn.life * 10 + turn.number) as u8 + 1))
        .view(|store| -> io::Result<Vec<u8>> {
            let mut bytes = vec![0; DATA_LEN];
            store.data.read_at(0, &mut bytes)?;
            Ok(bytes)
        })
        .faults()
        .failing_recoveries(5)
        .resume(5)
}

fn check(mistake: Mistake, oracle: Oracle) -> DiskReport {
    let report = campaign(mistake).explore();
    let failure = report.failure.clone().unwrap_or_else(|| panic!("{mistake:?} is not found: {report}"));
    assert_eq!(failure.oracle, oracle, "{mistake:?}: {report}");
    let again = campaign(mistake).replay(&failure.case).failure.expect("the line fails again");
    assert_eq!((again.oracle, again.message), (failure.oracle, failure.message.clone()));
    assert!(failure.replay.starts_with(&format!("CRASH_SIM_REPLAY='store:disk:{}' cargo ", failure.case)));
    assert!(campaign(Mistake::None).replay(&failure.case).failure.is_none());
    report
}

#[test]
fn the_right_one_holds_everywhere() {
    let report = campaign(Mistake::None).explore();
    report.assert();
    assert!(
        report.is_complete() && report.images > 50 && report.faults > 20 && report.resumed == 5,
        "{report}"
    );
    assert_eq!(report.uncovered, 0);
}

#[test]
fn a_record_that_is_not_synced_is_found() {
    check(Mistake::NoSync, Oracle::Atomicity);
}

#[test]
fn a_record_without_checksum_is_found() {
    check(Mistake::NoChecksum, Oracle::Atomicity);
}

#[test]
fn a_sync_that_is_tried_again_is_found() {
    let report = check(Mistake::SyncAgain, Oracle::Atomicity);
    assert!(report.failure.expect("checked above").case.contains('f'));
}

#[test]
fn a_recovery_that_does_not_sync_is_found() {
    check(Mistake::NoSyncInRecovery, Oracle::Atomicity);
}

#[test]
fn an_early_acknowledgement_is_found() {
    check(Mistake::EarlyAck, Oracle::Durability);
}
