//! fjall 2.11: a log-structured merge tree, with a journal.
//!
//! One batch for each of the workload's transactions: all of it is written to the journal, then to the tables in memory.
//! A batch cannot read what it holds, and no workload asks it to; it is less work than a transaction of fjall's. Reads
//! are of the newest state, without a snapshot, since there is one writer, which is the reader. Keys are big-endian, so
//! that they are in order. Threads of fjall's own flush and merge, for which the pinned thread's time does not account.
//!
//! - *Power loss*: `PersistMode::SyncData`, fdatasync of the journal at each commit (docs.rs, `fjall::PersistMode`; the
//!   journal's length is set beforehand).
//! - *Process crash*: `PersistMode::Buffer`, which "flushes data to OS buffers": the journal's write at each commit.
//! - *Nothing*: no persist mode (`manual_journal_persist`), which leaves the journal in a buffer of the process. Only to
//!   see that the check of survivors catches it.

use std::path::Path;

use ::fjall::{Config, Keyspace, PartitionCreateOptions, PartitionHandle, PersistMode};

use crate::contest::{Home, Peer, Visitor};
use crate::engine::Level;
use crate::keyed::{Get, Keyed, LOAD_LEN, MISSING, NAMES, Put};
use crate::records::{Change, End, Look, Size, Store, Table};

const FAULTLESS: &str = "a fjall batch without fault";

/// The peer at each level.
pub fn visit(visitor: &mut impl Visitor) {
    visitor.visit(
        Peer {
            name: "fjall, sync",
            level: Level::PowerLoss,
            configuration: "fjall 2.11, a batch with PersistMode::SyncData",
            home: Home::Disk,
            variables: &[],
        },
        |path, sizes| Fjall::open(path, sizes, Some(PersistMode::SyncData)),
    );
    visitor.visit(
        Peer {
            name: "fjall",
            level: Level::ProcessCrash,
            configuration: "fjall 2.11, a batch with PersistMode::Buffer",
            home: Home::Memory,
            variables: &[],
        },
        |path, sizes| Fjall::open(path, sizes, Some(PersistMode::Buffer)),
    );
}

/// At a level that has to be caught.
pub fn visit_weak(visitor: &mut impl Visitor) {
    visitor.visit(
        Peer {
            name: "fjall, not persisted",
            level: Level::Nothing,
            configuration: "fjall 2.11, a batch without a PersistMode",
            home: Home::Memory,
            variables: &[],
        },
        |path, sizes| Fjall::open(path, sizes, None),
    );
}

/// The store.
pub struct Fjall {
    pub(crate) keyspace: Keyspace,
    pub(crate) tables: Vec<(PartitionHandle, u64)>,
    pub(crate) mode: Option<PersistMode>,
}

impl Fjall {
    /// Opens the keyspace, or creates it.
    ///
    /// # Panics
    /// On fjall's errors.
    pub fn open(path: &Path, sizes: &[Size], mode: Option<PersistMode>) -> Self {
        let config = Config::new(path).manual_journal_persist(mode.is_none());
        let keyspace = config.open().expect("a fjall keyspace");
        let tables = std::iter::zip(NAMES, sizes).map(|(name, size)| {
            let partition = keyspace.open_partition(name, PartitionCreateOptions::default());
            (partition.expect("a fjall partition"), size.count)
        });
        let tables = tables.collect();
        Fjall { keyspace, tables, mode }
    }
}

struct Reader<'a>(&'a Fjall);

impl Get for Reader<'_> {
    fn get<T: Table, O>(&mut self, key: u64, look: impl FnOnce(&[u8]) -> O) -> O {
        look(&self.0.tables[T::INDEX].0.get(key.to_be_bytes()).expect(FAULTLESS).expect(MISSING))
    }
}

struct Writer<'a> {
    store: &'a Fjall,
    batch: ::fjall::Batch,
}

impl Get for Writer<'_> {
    fn get<T: Table, O>(&mut self, key: u64, look: impl FnOnce(&[u8]) -> O) -> O {
        Reader(self.store).get::<T, O>(key, look)
    }
}

impl Put for Writer<'_> {
    fn put<T: Table>(&mut self, key: u64, value: &[u8]) {
        self.batch.insert(&self.store.tables[T::INDEX].0, key.to_be_bytes(), value);
    }
}

impl Store for Fjall {
    fn load<T: Table>(&mut self, mut record: impl FnMut(u64) -> T::Record) {
        let count = self.tables[T::INDEX].1;
        for first in (0..count).step_by(LOAD_LEN as usize) {
            let batch = self.keyspace.batch().durability(Some(PersistMode::SyncAll));
            let mut writer = Writer { store: self, batch };
            for index in first..count.min(first + LOAD_LEN) {
                writer.put::<T>(index, bytemuck::bytes_of(&record(index)));
            }
            writer.batch.commit().expect(FAULTLESS);
        }
    }

    fn change(&mut self, work: &mut impl Change) {
        let batch = self.keyspace.batch().durability(self.mode);
        let mut writer = Keyed(Writer { store: self, batch });
        if work.run(&mut writer) == End::Commit {
            writer.0.batch.commit().expect(FAULTLESS);
        }
    }

    fn look(&self, work: &mut impl Look) {
        work.run(&mut Keyed(Reader(self)));
    }
}
