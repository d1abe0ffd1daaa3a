//! LMDB, as it comes with heed 0.22: a B-tree in a mapped file, whose pages are copied when they are changed.
//!
//! One write transaction for each of the workload's, one read transaction for each that reads; databases are opened once.
//! Keys are integers (`MDB_INTEGERKEY`), which are compared as such.
//!
//! - *Power loss*: no flags: pages are written and synced at commit, then the meta page (lmdb.tech, `mdb_env_open`).
//! - *Process crash*: `MDB_NOSYNC | MDB_WRITEMAP`: pages are changed in the shared mapping itself, and nothing is synced.
//!   "A system crash can then corrupt the database"; the page cache outlives the process.

#![allow(unsafe_code)] // Opening is: nobody else may change the file.

use std::path::Path;

use heed::byteorder::NativeEndian;
use heed::types::{Bytes, U64};
use heed::{Database, Env, EnvFlags, EnvOpenOptions, IntegerComparator, RoTxn, RwTxn, WithTls};

use crate::contest::{Home, Peer, Visitor};
use crate::engine::Level;
use crate::keyed::{Get, Keyed, LOAD_LEN, MISSING, NAMES, Put};
use crate::records::{Change, End, Look, Size, Store, TABLES_MAX, Table};

const FAULTLESS: &str = "an LMDB transaction without fault";

/// The peer at each level.
pub fn visit(visitor: &mut impl Visitor) {
    visitor.visit(
        Peer {
            name: "LMDB, sync",
            level: Level::PowerLoss,
            configuration: "LMDB (heed 0.22), no flags; what C allocates is not counted",
            home: Home::Disk,
            variables: &[],
        },
        |path, sizes| Lmdb::open(path, sizes, EnvFlags::empty()),
    );
    visitor.visit(
        Peer {
            name: "LMDB",
            level: Level::ProcessCrash,
            configuration: "LMDB (heed 0.22), MDB_NOSYNC | MDB_WRITEMAP; what C allocates is not counted",
            home: Home::Memory,
            variables: &[],
        },
        |path, sizes| Lmdb::open(path, sizes, EnvFlags::NO_SYNC | EnvFlags::WRITE_MAP),
    );
}

/// A database, and the number of its records.
pub(crate) type Counted = (Database<U64<NativeEndian>, Bytes, IntegerComparator>, u64);

/// The store.
pub struct Lmdb {
    pub(crate) tables: Vec<Counted>,
    pub(crate) environment: Env,
}

impl Lmdb {
    /// Opens the environment, or creates it.
    ///
    /// # Panics
    /// On LMDB's errors.
    pub fn open(dir: &Path, sizes: &[Size], flags: EnvFlags) -> Self {
        std::fs::create_dir_all(dir).expect("a directory");
        // Pages are half full at worst, and a page of a record that does not fit is its own: four times is enough.
        let bytes: u64 = sizes.iter().map(Size::len).sum();
        let map_len = (4 * bytes + (64 << 20)).next_multiple_of(4096) as usize;
        let mut options = EnvOpenOptions::new();
        options.map_size(map_len).max_dbs(TABLES_MAX as u32);
        // SAFETY: without syncing the file may be damaged after a crash of the system, and is then not opened again.
        unsafe { options.flags(flags) };
        // SAFETY: nobody else opens the file, and nobody changes it but through LMDB.
        let environment = unsafe { options.open(dir) }.expect("an LMDB environment");
        let mut transaction = environment.write_txn().expect(FAULTLESS);
        let tables = std::iter::zip(NAMES, sizes).map(|(name, size)| {
            let mut options = environment.database_options().types::<U64<NativeEndian>, Bytes>();
            options.name(name);
            let options = options.key_comparator();
            (options.create(&mut transaction).expect("an LMDB database"), size.count)
        });
        let tables = tables.collect();
        transaction.commit().expect(FAULTLESS);
        Lmdb { environment, tables }
    }
}

struct Reader<'a>(&'a [Counted], RoTxn<'a, WithTls>);

impl Get for Reader<'_> {
    fn get<T: Table, O>(&mut self, key: u64, look: impl FnOnce(&[u8]) -> O) -> O {
        look(self.0[T::INDEX].0.get(&self.1, &key).expect(FAULTLESS).expect(MISSING))
    }
}

struct Writer<'a>(&'a [Counted], RwTxn<'a>);

impl Get for Writer<'_> {
    fn get<T: Table, O>(&mut self, key: u64, look: impl FnOnce(&[u8]) -> O) -> O {
        look(self.0[T::INDEX].0.get(&self.1, &key).expect(FAULTLESS).expect(MISSING))
    }
}

impl Put for Writer<'_> {
    fn put<T: Table>(&mut self, key: u64, value: &[u8]) {
        self.0[T::INDEX].0.put(&mut self.1, &key, value).expect(FAULTLESS);
    }
}

impl Store for Lmdb {
    fn load<T: Table>(&mut self, mut record: impl FnMut(u64) -> T::Record) {
        let count = self.tables[T::INDEX].1;
        for first in (0..count).step_by(LOAD_LEN as usize) {
            let mut writer = Writer(&self.tables, self.environment.write_txn().expect(FAULTLESS));
            for index in first..count.min(first + LOAD_LEN) {
                writer.put::<T>(index, bytemuck::bytes_of(&record(index)));
            }
            writer.1.commit().expect(FAULTLESS);
        }
    }

    fn change(&mut self, work: &mut impl Change) {
        let mut writer = Keyed(Writer(&self.tables, self.environment.write_txn().expect(FAULTLESS)));
        match work.run(&mut writer) {
            End::Commit => writer.0.1.commit().expect(FAULTLESS),
            End::Abort => writer.0.1.abort(),
        }
    }

    fn look(&self, work: &mut impl Look) {
        work.run(&mut Keyed(Reader(&self.tables, self.environment.read_txn().expect(FAULTLESS))));
    }
}
