//! The bound of whatever waits for a disk: the changed bytes appended to a file, by one `pwrite` and one `fdatasync`.
//!
//! Data live in vectors; a transaction appends a record of offset, length and new bytes for each of its ranges. The file
//! has all of its blocks beforehand, so that a commit changes nothing but data, and is used as a ring. Nothing is checked,
//! nothing is truncated and nothing could be recovered: no redo log on this disk can be faster. Start at [`DebitCredit`].

#![allow(unsafe_code)] // An engine's `transact` is unsafe for the sake of the bare ones.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytemuck::bytes_of;
use workloads::{Account, Branch, History, RING_LEN, Scale, Tables, Teller, Transfer};

use crate::debit_credit::{digest_tables, empty_tables, is_in};
use crate::engine::{Engine, Entry, Level, digest};
use crate::files::Files;
use crate::one_range::Fill;
use crate::ranges::Scatter;

/// What tables call it.
pub const NAME: &str = "bare pwrite + fdatasync";

/// Length of the file.
const RING_BYTES: usize = 64 << 20;

/// The file, and what the transaction has for it.
struct Ring {
    file: File,
    next: usize,
    record: Vec<u8>,
}

impl Ring {
    fn new(files: &Files) -> Self {
        let path = files.path();
        let file = File::create_new(&path).expect("a new file");
        std::fs::remove_file(&path).expect("the file's name");
        let zeroes = vec![0; 1 << 20];
        for offset in (0..RING_BYTES).step_by(zeroes.len()) {
            file.write_all_at(&zeroes, offset as u64).expect("room for the file");
        }
        file.sync_all().expect("a disk that works");
        Ring { file, next: 0, record: Vec::new() }
    }

    #[inline]
    fn append(&mut self, offset: usize, bytes: &[u8]) {
        self.record.extend_from_slice(bytes_of(&[offset as u64, bytes.len() as u64]));
        self.record.extend_from_slice(bytes);
    }

    #[inline]
    fn commit(&mut self) {
        if self.next + self.record.len() > RING_BYTES {
            self.next = 0;
        }
        self.file.write_all_at(&self.record, self.next as u64).expect("a disk that works");
        self.file.sync_data().expect("a disk that works");
        self.next += self.record.len();
        self.record.clear();
    }
}

/// Debit-credit.
pub struct DebitCredit {
    ring: Ring,
    scale: Scale,
    accounts: Vec<Account>,
    tellers: Vec<Teller>,
    branches: Vec<Branch>,
    history: Vec<History>,
    index: u64,
}

impl DebitCredit {
    /// The contender, with its file in `disk`.
    pub fn entry(disk: &Files, inputs: &Arc<[Transfer]>, scale: Scale) -> Entry {
        let disk = disk.clone();
        Entry::elsewhere(NAME, Level::PowerLoss, inputs, move || {
            let (accounts, tellers, branches, history) = empty_tables(scale);
            DebitCredit { ring: Ring::new(&disk), scale, accounts, tellers, branches, history, index: 0 }
        })
    }
}

impl Engine for DebitCredit {
    type Input = Transfer;

    fn admits(&self, input: &Transfer) -> bool {
        is_in(self.scale, input)
    }

    #[inline(always)]
    unsafe fn transact(&mut self, input: &Transfer) {
        let mut tables = Tables {
            accounts: &mut self.accounts,
            tellers: &mut self.tellers,
            branches: &mut self.branches,
            history: &mut self.history,
        };
        tables.debit_credit(input, self.index);
        let (account, teller, branch) =
            (input.account as usize, input.teller as usize, input.branch as usize);
        let entry = (self.index % RING_LEN) as usize;
        self.ring.append(account, bytes_of(&self.accounts[account].balance));
        self.ring.append(teller, bytes_of(&self.tellers[teller].balance));
        self.ring.append(branch, bytes_of(&self.branches[branch].balance));
        self.ring.append(entry, bytes_of(&self.history[entry]));
        self.ring.commit();
        self.index += 1;
    }

    fn digest(&self) -> u64 {
        digest_tables(&self.accounts, &self.tellers, &self.branches, &self.history)
    }
}

/// Tells the ranges of an input, and what is stored to all of each.
type Ranges<I> = fn(&I, &mut dyn FnMut(Range<usize>, u64));

/// An array of integers: one range of `N`, or as many as the input has.
struct Array<I> {
    ring: Ring,
    words: Vec<u64>,
    ranges: Ranges<I>,
}

impl<I> Engine for Array<I> {
    type Input = I;

    fn admits(&self, input: &I) -> bool {
        let mut is_in = true;
        (self.ranges)(input, &mut |range, _| is_in &= range.end <= self.words.len());
        is_in
    }

    #[inline(always)]
    unsafe fn transact(&mut self, input: &I) {
        let Array { ring, words, ranges } = self;
        ranges(input, &mut |range, value| {
            words[range.clone()].fill(value);
            ring.append(range.start, bytemuck::cast_slice(&words[range]));
        });
        ring.commit();
    }

    fn digest(&self) -> u64 {
        digest(self.words.iter().copied())
    }
}

/// One range of `N` integers, with its file in `disk`.
pub fn one_range<const N: usize>(disk: &Files, inputs: &Arc<[Fill]>, array_len: usize) -> Entry {
    array(disk, inputs, array_len, |input, store| store(input.at..input.at + N, input.value))
}

/// `K` ranges of one integer, with its file in `disk`.
pub fn ranges<const K: usize>(disk: &Files, inputs: &Arc<[Scatter<K>]>, array_len: usize) -> Entry {
    array(disk, inputs, array_len, |input, store| {
        input.places.iter().for_each(|&place| store(place as usize..place as usize + 1, input.value));
    })
}

fn array<I: 'static>(disk: &Files, inputs: &Arc<[I]>, array_len: usize, ranges: Ranges<I>) -> Entry {
    let disk = disk.clone();
    let make = move || Array { ring: Ring::new(&disk), words: vec![0; array_len], ranges };
    Entry::elsewhere(NAME, Level::PowerLoss, inputs, make)
}
