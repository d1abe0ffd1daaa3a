//! redb 4.1: a B-tree whose pages are copied when they are changed.
//!
//! One write transaction for each of the workload's, one read transaction for each that reads; tables are opened once in
//! a transaction; a record is changed through `get_mut`, which finds it once.
//!
//! - *Power loss*: `Durability::Immediate`, "guaranteed to be persistent as soon as `commit` returns" (docs.rs,
//!   `redb::Durability`); one-phase commit with checksums, the default; the backend is `FileBackend`, which syncs.
//! - *Process crash*: the same, on a `StorageBackend` of our own that passes everything on to `FileBackend` but
//!   `sync_data`. Since version 3 redb has no durability between `Immediate` and `None`; a commit that is not `None`
//!   writes all of its pages to the file before it syncs, which the kernel keeps when the process dies.
//! - *Nothing*: `Durability::None`, whose commits "will not be persisted to disk unless followed by a commit with
//!   `Immediate`". Only to see that the check of survivors catches it.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;

use ::redb::backends::FileBackend;
use ::redb::{
    Database, Durability, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, StorageBackend,
    TableDefinition, WriteTransaction,
};

use crate::contest::{Home, Peer, Visitor};
use crate::engine::Level;
use crate::keyed::{Get, Keyed, LOAD_LEN, MISSING, NAMES, Put};
use crate::records::{Change, End, Look, Size, Store, TABLES_MAX, Table};

const FAULTLESS: &str = "a redb transaction without fault";

/// The peer at each level.
pub fn visit(visitor: &mut impl Visitor) {
    visitor.visit(
        Peer {
            name: "redb, sync",
            level: Level::PowerLoss,
            configuration: "redb 4.1, Durability::Immediate, FileBackend",
            home: Home::Disk,
            variables: &[],
        },
        |path, sizes| Redb::open(path, sizes, true, Durability::Immediate),
    );
    visitor.visit(
        Peer {
            name: "redb",
            level: Level::ProcessCrash,
            configuration: "redb 4.1, Durability::Immediate, FileBackend without sync_data",
            home: Home::Memory,
            variables: &[],
        },
        |path, sizes| Redb::open(path, sizes, false, Durability::Immediate),
    );
}

/// At a level that has to be caught.
pub fn visit_weak(visitor: &mut impl Visitor) {
    visitor.visit(
        Peer {
            name: "redb, Durability::None",
            level: Level::Nothing,
            configuration: "redb 4.1, Durability::None, FileBackend",
            home: Home::Memory,
            variables: &[],
        },
        |path, sizes| Redb::open(path, sizes, true, Durability::None),
    );
}

/// A file that is written to and never synced.
#[derive(Debug)]
struct Unsynced(FileBackend);

impl StorageBackend for Unsynced {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }
}

/// The store.
pub struct Redb {
    pub(crate) database: Database,
    durability: Durability,
    counts: [u64; TABLES_MAX],
}

impl Redb {
    /// Opens the database, or creates it.
    ///
    /// # Panics
    /// On redb's errors.
    pub fn open(path: &Path, sizes: &[Size], syncs: bool, durability: Durability) -> Self {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let backend = FileBackend::new(file.expect("a file")).expect("a file that is locked");
        let database = if syncs {
            Database::builder().create_with_backend(backend)
        } else {
            Database::builder().create_with_backend(Unsynced(backend))
        };
        let mut counts = [0; TABLES_MAX];
        std::iter::zip(&mut counts, sizes).for_each(|(count, size)| *count = size.count);
        Redb { database: database.expect("a redb database"), durability, counts }
    }

    pub(crate) fn begin(&self, durability: Durability) -> WriteTransaction {
        let mut transaction = self.database.begin_write().expect(FAULTLESS);
        transaction.set_durability(durability).expect(FAULTLESS);
        transaction
    }
}

fn definition<T: Table>() -> TableDefinition<'static, u64, &'static [u8]> {
    TableDefinition::new(NAMES[T::INDEX])
}

struct Writer<'t> {
    transaction: &'t WriteTransaction,
    tables: [Option<::redb::Table<'t, u64, &'static [u8]>>; TABLES_MAX],
}

impl<'t> Writer<'t> {
    fn table<T: Table>(&mut self) -> &mut ::redb::Table<'t, u64, &'static [u8]> {
        let open = || self.transaction.open_table(definition::<T>()).expect(FAULTLESS);
        self.tables[T::INDEX].get_or_insert_with(open)
    }
}

impl Get for Writer<'_> {
    fn get<T: Table, O>(&mut self, key: u64, look: impl FnOnce(&[u8]) -> O) -> O {
        look(self.table::<T>().get(key).expect(FAULTLESS).expect(MISSING).value())
    }
}

impl Put for Writer<'_> {
    fn put<T: Table>(&mut self, key: u64, value: &[u8]) {
        self.table::<T>().insert(key, value).expect(FAULTLESS);
    }

    fn edit<T: Table, O>(&mut self, key: u64, change: impl FnOnce(&mut T::Record) -> O) -> O {
        let mut place = self.table::<T>().get_mut(key).expect(FAULTLESS).expect(MISSING);
        let mut record: T::Record = *bytemuck::from_bytes(place.value());
        let output = change(&mut record);
        place.insert(bytemuck::bytes_of(&record)).expect(FAULTLESS);
        output
    }
}

struct Reader {
    transaction: ReadTransaction,
    tables: [Option<ReadOnlyTable<u64, &'static [u8]>>; TABLES_MAX],
}

impl Get for Reader {
    fn get<T: Table, O>(&mut self, key: u64, look: impl FnOnce(&[u8]) -> O) -> O {
        let open = || self.transaction.open_table(definition::<T>()).expect(FAULTLESS);
        let table = self.tables[T::INDEX].get_or_insert_with(open);
        look(table.get(key).expect(FAULTLESS).expect(MISSING).value())
    }
}

impl Store for Redb {
    fn load<T: Table>(&mut self, mut record: impl FnMut(u64) -> T::Record) {
        let count = self.counts[T::INDEX];
        for first in (0..count).step_by(LOAD_LEN as usize) {
            let transaction = self.begin(Durability::Immediate);
            let mut table = transaction.open_table(definition::<T>()).expect(FAULTLESS);
            for index in first..count.min(first + LOAD_LEN) {
                table.insert(index, bytemuck::bytes_of(&record(index))).expect(FAULTLESS);
            }
            drop(table);
            transaction.commit().expect(FAULTLESS);
        }
    }

    fn change(&mut self, work: &mut impl Change) {
        let transaction = self.begin(self.durability);
        let end =
            work.run(&mut Keyed(Writer { transaction: &transaction, tables: [const { None }; TABLES_MAX] }));
        match end {
            End::Commit => transaction.commit().expect(FAULTLESS),
            End::Abort => transaction.abort().expect(FAULTLESS),
        }
    }

    fn look(&self, work: &mut impl Look) {
        let transaction = self.database.begin_read().expect(FAULTLESS);
        work.run(&mut Keyed(Reader { transaction, tables: [const { None }; TABLES_MAX] }));
    }
}
