//! SQLite, as it comes with rusqlite 0.41 (bundled): a B-tree with a write-ahead log.
//!
//! A table is `(key INTEGER PRIMARY KEY, record BLOB)`, so that the key is the row's number in the B-tree. Statements are
//! prepared once and kept in the connection's cache; a transaction is `BEGIN IMMEDIATE` and `COMMIT`, one that reads
//! `BEGIN` and `COMMIT`. `locking_mode=EXCLUSIVE` keeps the log's index in the heap rather than in shared memory (sqlite.org,
//! "Write-Ahead Logging", 8); the page cache holds the whole database (`cache_size`). The log is written back into the
//! database every 1000 pages, the default, within the commit that comes upon it.
//!
//! - *Power loss*: `journal_mode=WAL`, `synchronous=FULL`: the log is synced at each commit (sqlite.org, "PRAGMA
//!   synchronous"; with NORMAL a power cut may roll back the last ones).
//! - *Process crash*: `synchronous=OFF`: SQLite "continues without syncing as soon as it has handed data off to the
//!   operating system", so that data survive the application but not the system.
//! - *Nothing*: `journal_mode=OFF`, which has no rollback. Not taken: a transaction that aborts would be undefined.

use std::path::Path;

use rusqlite::Connection;

use crate::contest::{Home, Peer, Visitor};
use crate::engine::Level;
use crate::keyed::{Get, Keyed, LOAD_LEN, MISSING, NAMES, Put};
use crate::records::{Change, End, Look, Size, Store, Table};

const FAULTLESS: &str = "a SQLite statement without fault";

/// A table's statements.
struct Statements {
    insert: String,
    update: String,
    select: String,
    count: u64,
}

/// The peer at each level.
pub fn visit(visitor: &mut impl Visitor) {
    visitor.visit(
        Peer {
            name: "SQLite, sync",
            level: Level::PowerLoss,
            configuration: "SQLite (rusqlite 0.41), WAL, synchronous=FULL, exclusive lock, cache of 256 MiB; what C allocates is not counted",
            home: Home::Disk,variables: &[],
        },
        |path, sizes| Sqlite::open(path, sizes, "FULL"),
    );
    visitor.visit(
        Peer {
            name: "SQLite",
            level: Level::ProcessCrash,
            configuration: "SQLite (rusqlite 0.41), WAL, synchronous=OFF, exclusive lock, cache of 256 MiB; what C allocates is not counted",
            home: Home::Memory,variables: &[],
        },
        |path, sizes| Sqlite::open(path, sizes, "OFF"),
    );
}

/// The store.
pub struct Sqlite {
    pub(crate) connection: Connection,
    tables: Vec<Statements>,
}

impl Sqlite {
    /// Opens the database, or creates it, in a directory of this name: the log lies beside it.
    ///
    /// # Panics
    /// On SQLite's errors.
    pub fn open(dir: &Path, sizes: &[Size], synchronous: &str) -> Self {
        std::fs::create_dir_all(dir).expect("a directory");
        let connection = Connection::open(dir.join("database")).expect("a SQLite database");
        let pragma = |name: &str, value: &str| {
            connection.pragma_update(None, name, value).unwrap_or_else(|error| panic!("{name}: {error}"));
        };
        pragma("locking_mode", "EXCLUSIVE");
        pragma("journal_mode", "WAL");
        pragma("synchronous", synchronous);
        pragma("cache_size", "-262144");
        let mode: String =
            connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).expect("a journal mode");
        assert_eq!(mode, "wal", "what was asked for");
        connection.set_prepared_statement_cache_capacity(64);
        let tables = std::iter::zip(NAMES, sizes).map(|(name, size)| {
            let columns = "key INTEGER PRIMARY KEY, record BLOB NOT NULL";
            connection
                .execute(&format!("CREATE TABLE IF NOT EXISTS {name} ({columns})"), [])
                .expect(FAULTLESS);
            Statements {
                insert: format!("INSERT INTO {name} VALUES (?1, ?2)"),
                update: format!("UPDATE {name} SET record = ?2 WHERE key = ?1"),
                select: format!("SELECT record FROM {name} WHERE key = ?1"),
                count: size.count,
            }
        });
        let tables = tables.collect();
        Sqlite { connection, tables }
    }

    pub(crate) fn execute(&self, statement: &str) {
        self.connection.prepare_cached(statement).expect(FAULTLESS).execute([]).expect(FAULTLESS);
    }
}

/// A transaction of whichever kind: SQLite has one for both.
struct Records<'a>(&'a Sqlite);

impl Get for Records<'_> {
    fn get<T: Table, O>(&mut self, key: u64, look: impl FnOnce(&[u8]) -> O) -> O {
        let mut select = self.0.connection.prepare_cached(&self.0.tables[T::INDEX].select).expect(FAULTLESS);
        let mut rows = select.query([key as i64]).expect(FAULTLESS);
        let row = rows.next().expect(FAULTLESS).expect(MISSING);
        look(row.get_ref(0).expect(FAULTLESS).as_blob().expect("a blob"))
    }
}

impl Put for Records<'_> {
    fn put<T: Table>(&mut self, key: u64, value: &[u8]) {
        let mut update = self.0.connection.prepare_cached(&self.0.tables[T::INDEX].update).expect(FAULTLESS);
        let count = update.execute((key as i64, value)).expect(FAULTLESS);
        assert_eq!(count, 1, "{MISSING}");
    }
}

impl Store for Sqlite {
    fn load<T: Table>(&mut self, mut record: impl FnMut(u64) -> T::Record) {
        let table = &self.tables[T::INDEX];
        let count = table.count;
        for first in (0..count).step_by(LOAD_LEN as usize) {
            self.execute("BEGIN IMMEDIATE");
            let mut insert = self.connection.prepare_cached(&table.insert).expect(FAULTLESS);
            for index in first..count.min(first + LOAD_LEN) {
                insert.execute((index as i64, bytemuck::bytes_of(&record(index)))).expect(FAULTLESS);
            }
            drop(insert);
            self.execute("COMMIT");
        }
    }

    fn change(&mut self, work: &mut impl Change) {
        self.execute("BEGIN IMMEDIATE");
        match work.run(&mut Keyed(Records(self))) {
            End::Commit => self.execute("COMMIT"),
            End::Abort => self.execute("ROLLBACK"),
        }
    }

    fn look(&self, work: &mut impl Look) {
        self.execute("BEGIN");
        work.run(&mut Keyed(Records(self)));
        self.execute("COMMIT");
    }
}
