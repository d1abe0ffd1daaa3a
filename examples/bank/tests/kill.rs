//! The bank of the guide under SIGKILL: it is started, killed and started again, and each time its file is compared with
//! a bank in plain vectors.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use vista::{Persistent, Segment};

// Declared anew, not taken from the program: a file is opened by whoever has the same layout.

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Bank {
    accounts: [i64; 100_000],
    tellers: [i64; 10],
    branch: i64,
    transfers: u64,
    history: [Record; 40_000],
}

#[derive(Clone, Copy, Debug, PartialEq, Persistent)]
#[repr(C)]
struct Record {
    account: u64,
    teller: u64,
    amount: i64,
}

fn bank(path: &Path, count: u64) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bank"));
    command.arg(path).arg(count.to_string());
    command
}

/// The transfers that the program makes, in plain memory.
struct Model {
    accounts: Vec<i64>,
    tellers: Vec<i64>,
    branch: i64,
    history: Vec<Record>,
    transfers: u64,
}

impl Model {
    fn new() -> Self {
        let none = Record { account: 0, teller: 0, amount: 0 };
        Model {
            accounts: vec![0; 100_000],
            tellers: vec![0; 10],
            branch: 0,
            history: vec![none; 40_000],
            transfers: 0,
        }
    }

    /// Goes on with what the history of `bank` has, which must be all that is new.
    fn advance(&mut self, bank: &Bank) {
        assert!(bank.transfers >= self.transfers, "transfers that had committed are gone");
        let mix = |x: u64| (x ^ x >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for n in self.transfers..bank.transfers {
            let (who, much) = (mix(mix(n) ^ 1), mix(mix(n) ^ 2));
            let amount = (much >> 32) as i64 % 2_001 - 1_000;
            let record = Record { account: (who >> 32) % 100_000, teller: who % 10, amount };
            self.accounts[record.account as usize] += amount;
            self.tellers[record.teller as usize] += amount;
            self.branch += amount;
            self.history[n as usize % 40_000] = record;
        }
        self.transfers = bank.transfers;
    }

    fn compare(&self, bank: &Bank) {
        assert!(self.accounts[..] == bank.accounts, "accounts");
        assert_eq!(self.tellers[..], bank.tellers);
        assert_eq!(self.branch, bank.branch);
        assert!(self.history[..] == bank.history, "history");
    }
}

#[test]
fn what_had_committed_is_there_and_nothing_by_half() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bank");
    let mut model = Model::new();
    let mut rolled_back = 0;
    for round in 0..12 {
        let mut child = bank(&path, u64::MAX).stdout(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis(40 + 17 * round % 60));
        child.kill().unwrap(); // SIGKILL.
        assert!(!child.wait().unwrap().success(), "it was to end by the signal alone");
        if !path.exists() {
            continue; // Killed before the file had its name.
        }
        let segment = Segment::<Bank>::open(&path).unwrap();
        rolled_back += u32::from(segment.recovery().transaction != 0);
        assert_eq!(segment.check().unwrap(), []);
        model.advance(segment.root().unwrap());
        model.compare(segment.root().unwrap());
    }
    assert!(model.transfers > 0, "no process came to a transfer");
    println!("{} transfers, {rolled_back} of them cut off and rolled back", model.transfers);
}

#[test]
fn it_ends_when_it_is_asked_to_and_says_what_there_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bank");
    let first = bank(&path, 1_000).output().unwrap();
    let second = bank(&path, 0).output().unwrap();
    assert!(first.status.success() && second.status.success());
    let said = String::from_utf8(second.stdout).unwrap();
    assert!(said.starts_with("1000 transfers"), "{said}");
}

#[test]
fn it_waits_for_an_owner_that_is_about_to_go() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bank");
    let owner = Segment::<Bank>::create(&path, 4 << 20).unwrap();
    let going = thread::spawn(move || {
        thread::sleep(Duration::from_millis(200));
        owner.close().unwrap();
    });
    let next = bank(&path, 1).output().unwrap();
    assert!(next.status.success(), "{next:?}");
    going.join().unwrap();
}
