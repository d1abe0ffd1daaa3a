//! The workloads by name, with everybody who runs them. Start at [`Workload::lineup`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ValueEnum;
use rio::Domain;
use serde::{Deserialize, Serialize};
use workloads::Scale;
use workloads::order_entry::Scale as OrderScale;
use workloads::ycsb::{Mix, Request};

use crate::engine::Entry;
use crate::files::Files;
use crate::one_range::{ARRAY_LEN, Fill};
use crate::ranges::Scatter;
use crate::{contest, debit_credit, heap, one_range, order_entry, pwrite, ranges, ycsb};

/// A workload by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum Workload {
    /// Debit-credit among all accounts.
    DebitCredit,
    /// Debit-credit among as few as stay in the caches.
    DebitCreditHot,
    /// Order-entry.
    OrderEntry,
    /// Order-entry in which a new-order draws from the stock.
    OrderEntryStock,
    /// YCSB's A: half reads, half updates.
    YcsbA,
    /// YCSB's B: 95 % reads, the rest updates.
    YcsbB,
    /// YCSB's C: reads alone.
    YcsbC,
    /// YCSB's F: half reads, half read-modify-writes.
    YcsbF,
    /// One range of 8 bytes.
    Range8,
    /// One range of 64 bytes.
    Range64,
    /// One range of 512 bytes.
    Range512,
    /// One range of 4 KiB.
    Range4k,
    /// One range of 64 KiB.
    Range64k,
    /// One range of 1 MiB.
    Range1m,
    /// One of 8 bytes; the following have more.
    Ranges1,
    /// Four.
    Ranges4,
    /// Sixteen.
    Ranges16,
    /// Sixty-four.
    Ranges64,
    /// Blocks that are freed as soon as they are there.
    AllocFree,
    /// Blocks among ten thousand.
    AllocFreePopulated,
}

/// What a store needs to be durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum Durable {
    /// To be made.
    PageCache,
    /// To be written back and fenced.
    Adr,
}

impl Durable {
    /// As `rio` has it.
    pub fn domain(self) -> Domain {
        match self {
            Durable::PageCache => Domain::PageCache,
            Durable::Adr => Domain::Adr,
        }
    }
}

/// Where everything lies that is made for a comparison.
#[derive(Clone, Debug)]
pub struct Places {
    /// For regions.
    pub memory: Files,
    /// For files whose commits wait for a disk.
    pub disk: Files,
}

impl Places {
    /// New directories inside of these.
    ///
    /// # Errors
    /// The system's.
    pub fn new(memory: &Path, disk: &Path) -> std::io::Result<Self> {
        Ok(Places { memory: Files::new(memory)?, disk: Files::new(disk)? })
    }

    /// The directories.
    pub fn paths(&self) -> [PathBuf; 2] {
        [&self.memory, &self.disk].map(|files| files.dir().to_owned())
    }
}

/// Who runs a workload, and what everybody's data must be.
pub struct Lineup {
    /// The contenders, bounds first.
    pub entries: Vec<Entry>,
    /// The digest after the first so many inputs.
    pub model: Box<dyn Fn(usize) -> u64>,
}

/// Seed of all workloads.
const SEED: u64 = 1997;
/// Accounts in the workload that stays in the caches.
const HOT_ACCOUNTS: u32 = 1000;

impl Workload {
    /// What tables call it.
    pub fn title(self) -> &'static str {
        match self {
            Workload::DebitCredit => "debit-credit, scale 5",
            Workload::DebitCreditHot => "debit-credit, 1,000 accounts of scale 5",
            Workload::OrderEntry => "order-entry",
            Workload::OrderEntryStock => "order-entry, with stock",
            Workload::YcsbA => "YCSB A, half updates",
            Workload::YcsbB => "YCSB B, 5 % updates",
            Workload::YcsbC => "YCSB C, reads",
            Workload::YcsbF => "YCSB F, half read-modify-writes",
            Workload::Range8 => "one range of 8 B",
            Workload::Range64 => "one range of 64 B",
            Workload::Range512 => "one range of 512 B",
            Workload::Range4k => "one range of 4 KiB",
            Workload::Range64k => "one range of 64 KiB",
            Workload::Range1m => "one range of 1 MiB",
            Workload::Ranges1 => "1 range of 8 B",
            Workload::Ranges4 => "4 ranges of 8 B",
            Workload::Ranges16 => "16 ranges of 8 B",
            Workload::Ranges64 => "64 ranges of 8 B",
            Workload::AllocFree => "alloc and free of 64 B",
            Workload::AllocFreePopulated => "alloc and free of 64 B, the oldest of 10,000",
        }
    }

    /// The workloads of one range, with its bytes.
    pub const SIZES: [(Workload, u64); 6] = [
        (Workload::Range8, 8),
        (Workload::Range64, 64),
        (Workload::Range512, 512),
        (Workload::Range4k, 4096),
        (Workload::Range64k, 65_536),
        (Workload::Range1m, 1_048_576),
    ];

    /// The workloads of several ranges, with their number.
    pub const RANGES: [(Workload, u64); 4] =
        [(Workload::Ranges1, 1), (Workload::Ranges4, 4), (Workload::Ranges16, 16), (Workload::Ranges64, 64)];

    /// Transactions in a round of some milliseconds.
    pub fn per_round(self) -> usize {
        match self {
            Workload::Range512 | Workload::Ranges4 => 50_000,
            Workload::OrderEntry | Workload::OrderEntryStock => 20_000,
            Workload::YcsbA | Workload::YcsbB | Workload::YcsbC | Workload::YcsbF => 20_000,
            Workload::Range4k | Workload::Ranges16 => 10_000,
            Workload::Ranges64 => 5_000,
            Workload::Range64k => 500,
            Workload::Range1m => 32,
            _ => 100_000,
        }
    }

    /// Whether its transactions are also timed one by one: they are short, and alike.
    pub fn has_latency(self) -> bool {
        matches!(self, Workload::DebitCredit | Workload::Range8)
    }

    /// Everybody, with so many inputs.
    pub fn lineup(self, places: &Places, durable: Durable, count: usize) -> Lineup {
        let files = &places.memory;
        match self {
            Workload::DebitCredit | Workload::DebitCreditHot => {
                let scale = Scale::default();
                let inputs = match self {
                    Workload::DebitCredit => debit_credit::transfers(scale, SEED, count),
                    _ => debit_credit::hot_transfers(scale, SEED, count, HOT_ACCOUNTS),
                };
                let mut entries = match durable {
                    Durable::PageCache => debit_credit::entries(files, &inputs, scale),
                    Durable::Adr => debit_credit::entries_adr(files, &inputs, scale),
                };
                if durable == Durable::PageCache {
                    entries.push(pwrite::DebitCredit::entry(&places.disk, &inputs, scale));
                }
                entries.extend(contest::debit_credit(places, durable, &inputs, scale));
                lineup(entries, inputs, move |inputs| debit_credit::model(scale, inputs))
            }
            Workload::OrderEntry => order_entry(places, durable, count, OrderScale::default()),
            Workload::OrderEntryStock => {
                order_entry(places, durable, count, OrderScale::default().with_stock())
            }
            Workload::YcsbA => ycsb(places, durable, count, Mix::A),
            Workload::YcsbB => ycsb(places, durable, count, Mix::B),
            Workload::YcsbC => ycsb(places, durable, count, Mix::C),
            Workload::YcsbF => ycsb(places, durable, count, Mix::F),
            Workload::Range8 => range::<1>(places, durable, count),
            Workload::Range64 => range::<8>(places, durable, count),
            Workload::Range512 => range::<64>(places, durable, count),
            Workload::Range4k => range::<512>(places, durable, count),
            Workload::Range64k => range::<8192>(places, durable, count),
            Workload::Range1m => range::<131_072>(places, durable, count),
            Workload::Ranges1 => ranges::<1>(places, durable, count),
            Workload::Ranges4 => ranges::<4>(places, durable, count),
            Workload::Ranges16 => ranges::<16>(places, durable, count),
            Workload::Ranges64 => ranges::<64>(places, durable, count),
            Workload::AllocFree | Workload::AllocFreePopulated => {
                let inputs = heap::values(SEED, count);
                let has_population = self == Workload::AllocFreePopulated;
                let entries = heap::entries(files, &inputs, durable.domain(), has_population);
                lineup(entries, inputs, heap::model)
            }
        }
    }

    /// One contender, with so many inputs, and the digest that its data must have behind them.
    ///
    /// # Panics
    /// If there is none of this name.
    pub fn contender(self, places: &Places, durable: Durable, count: usize, name: &str) -> (Entry, u64) {
        let lineup = self.lineup(places, durable, count);
        let digest = (lineup.model)(count);
        (find(lineup.entries, name), digest)
    }
}

/// # Panics
/// If there is none of this name.
fn find(entries: Vec<Entry>, name: &str) -> Entry {
    let names: Vec<_> = entries.iter().map(|entry| entry.name).collect();
    let entry = entries.into_iter().find(|entry| entry.name == name);
    entry.unwrap_or_else(|| panic!("{name} is none of {names:?}"))
}

fn lineup<I: 'static>(
    entries: Vec<Entry>,
    inputs: Arc<[I]>,
    model: impl Fn(&[I]) -> u64 + 'static,
) -> Lineup {
    Lineup { entries, model: Box::new(move |count| model(&inputs[..count])) }
}

fn order_entry(places: &Places, durable: Durable, count: usize, scale: OrderScale) -> Lineup {
    let inputs = order_entry::transactions(scale, SEED, count);
    let entries = contest::order_entry(places, durable, &inputs, scale);
    lineup(entries, inputs, move |inputs| order_entry::model(scale, inputs))
}

fn ycsb(places: &Places, durable: Durable, count: usize, mix: Mix) -> Lineup {
    let inputs = ycsb::requests(mix, ycsb::RECORD_COUNT, SEED, count);
    let entries = contest::ycsb(places, durable, &inputs, ycsb::RECORD_COUNT);
    lineup(entries, inputs, |requests: &[Request]| ycsb::model(ycsb::RECORD_COUNT, requests))
}

fn range<const N: usize>(places: &Places, durable: Durable, count: usize) -> Lineup {
    let inputs = one_range::fills::<N>(SEED, count, ARRAY_LEN);
    let mut entries = match durable {
        Durable::PageCache => one_range::entries::<N>(&places.memory, &inputs, ARRAY_LEN),
        Durable::Adr => one_range::entries_adr::<N>(&places.memory, &inputs, ARRAY_LEN),
    };
    if durable == Durable::PageCache {
        entries.push(pwrite::one_range::<N>(&places.disk, &inputs, ARRAY_LEN));
    }
    entries.extend(contest::one_range::<N>(places, durable, &inputs, ARRAY_LEN));
    lineup(entries, inputs, |inputs: &[Fill]| one_range::model::<N>(inputs, ARRAY_LEN))
}

fn ranges<const K: usize>(places: &Places, durable: Durable, count: usize) -> Lineup {
    let inputs = ranges::scatters::<K>(SEED, count, ARRAY_LEN);
    let mut entries = match durable {
        Durable::PageCache => ranges::entries::<K>(&places.memory, &inputs, ARRAY_LEN),
        Durable::Adr => ranges::entries_adr::<K>(&places.memory, &inputs, ARRAY_LEN),
    };
    if durable == Durable::PageCache {
        entries.push(pwrite::ranges::<K>(&places.disk, &inputs, ARRAY_LEN));
    }
    lineup(entries, inputs, |inputs: &[Scatter<K>]| ranges::model::<K>(inputs, ARRAY_LEN))
}

/// One contender with one range of 8 bytes in an array of so many bytes, and what its data must be.
///
/// # Panics
/// If there is none of this name.
pub fn grown(places: &Places, bytes: u64, count: usize, name: &str) -> Lineup {
    let array_len = (bytes / 8) as usize;
    let inputs = one_range::fills::<1>(SEED, count, array_len);
    let entry = find(one_range::entries::<1>(&places.memory, &inputs, array_len), name);
    lineup(vec![entry], inputs, move |inputs: &[Fill]| one_range::sparse_model(inputs, array_len))
}

/// The contenders of [`grown`].
pub fn growing(places: &Places) -> Vec<&'static str> {
    let inputs = one_range::fills::<1>(SEED, 1, 8);
    one_range::entries::<1>(&places.memory, &inputs, 8).iter().map(|entry| entry.name).collect()
}
