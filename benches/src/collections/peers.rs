//! Peers as maps, configured as for the other comparisons: redb, fjall, LMDB and SQLite at the level of a process crash.
//!
//! A transaction has as many operations as one of vista's. Lookups are made in read transactions of `batch` lookups, walks
//! and ranges in one of their own. Start at [`contenders`].

use std::marker::PhantomData;
use std::path::Path;

use ::fjall::PersistMode;
use ::redb::{Durability, ReadableDatabase, ReadableTable, TableDefinition};
use heed::EnvFlags;

use super::contenders::{Contender, Made, Structure};
use super::keys::{value, word_of};
use super::subject::{Operation, RANGE_LEN, Subject, sum, walk};
use crate::fjall::Fjall;
use crate::lmdb::Lmdb;
use crate::records::Size;
use crate::redb::Redb;
use crate::sqlite::Sqlite;

/// The peers, with values of `LEN` bytes.
pub fn contenders<const LEN: usize>() -> Vec<Contender> {
    fn peer<const LEN: usize, S: 'static>(
        name: &'static str,
        configuration: &'static str,
        open: fn(&Path, &[Size]) -> S,
    ) -> Contender
    where
        Pairs<S, LEN>: Subject,
    {
        Contender::peer(name, Structure::Btree, configuration, move |files, entries| {
            let path = files.path();
            // Room for what is added beyond the entries, and for the key and what a page notes of a pair.
            let size = Size { name: "pairs", record_len: LEN + 24, count: entries + entries / 2 + 100_000 };
            Made::at(path.clone(), Pairs::<S, LEN>(open(&path, &[size]), PhantomData))
        })
    }
    vec![
        peer::<LEN, Redb>(
            "redb",
            "redb 4.1, Durability::Immediate, FileBackend without sync_data",
            |path, sizes| {
                let redb = Redb::open(path, sizes, false, Durability::Immediate);
                let transaction = redb.begin(Durability::Immediate);
                transaction.open_table(PAIRS).expect(FAULTLESS);
                transaction.commit().expect(FAULTLESS);
                redb
            },
        ),
        peer::<LEN, Fjall>("fjall", "fjall 2.11, a batch with PersistMode::Buffer", |path, sizes| {
            Fjall::open(path, sizes, Some(PersistMode::Buffer))
        }),
        peer::<LEN, Lmdb>("LMDB", "LMDB (heed 0.22), MDB_NOSYNC | MDB_WRITEMAP", |path, sizes| {
            Lmdb::open(path, sizes, EnvFlags::NO_SYNC | EnvFlags::WRITE_MAP)
        }),
        peer::<LEN, Sqlite>(
            "SQLite",
            "SQLite (rusqlite 0.41), WAL, synchronous=OFF, exclusive lock, cache of 256 MiB",
            |path, sizes| Sqlite::open(path, sizes, "OFF"),
        ),
    ]
}

/// A peer whose values have `LEN` bytes.
struct Pairs<S, const LEN: usize>(S, PhantomData<[u8; LEN]>);

const FAULTLESS: &str = "a peer without fault";
const PAIRS: TableDefinition<'static, u64, &'static [u8]> = TableDefinition::new("pairs");

impl<const LEN: usize> Subject for Pairs<Redb, LEN> {
    fn offers(&self, _: Operation) -> bool {
        true
    }

    fn insert(&mut self, keys: &[u64], batch: usize) {
        for keys in keys.chunks(batch) {
            let transaction = self.0.begin(Durability::Immediate);
            let mut table = transaction.open_table(PAIRS).expect(FAULTLESS);
            for key in keys {
                table.insert(key, &value::<LEN>(*key)[..]).expect(FAULTLESS);
            }
            drop(table);
            transaction.commit().expect(FAULTLESS);
        }
    }

    fn get(&mut self, keys: &[u64], batch: usize) -> u64 {
        sum(keys.chunks(batch).map(|keys| {
            let table = self.0.database.begin_read().expect(FAULTLESS).open_table(PAIRS).expect(FAULTLESS);
            let found = |key: &u64| table.get(key).expect(FAULTLESS).map(|value| word_of(value.value()));
            sum(keys.iter().filter_map(found))
        }))
    }

    fn remove(&mut self, keys: &[u64], batch: usize) {
        for keys in keys.chunks(batch) {
            let transaction = self.0.begin(Durability::Immediate);
            let mut table = transaction.open_table(PAIRS).expect(FAULTLESS);
            for key in keys {
                table.remove(key).expect(FAULTLESS);
            }
            drop(table);
            transaction.commit().expect(FAULTLESS);
        }
    }

    fn iterate(&mut self, limit: u64) -> (u64, u64) {
        let table = self.0.database.begin_read().expect(FAULTLESS).open_table(PAIRS).expect(FAULTLESS);
        walk(table.iter().expect(FAULTLESS).map(|pair| word_of(pair.expect(FAULTLESS).1.value())), limit)
    }

    fn range(&mut self, starts: &[u64]) -> u64 {
        sum(starts.iter().map(|&start| {
            let table = self.0.database.begin_read().expect(FAULTLESS).open_table(PAIRS).expect(FAULTLESS);
            let pairs = table.range(start..).expect(FAULTLESS).take(RANGE_LEN);
            sum(pairs.map(|pair| word_of(pair.expect(FAULTLESS).1.value())))
        }))
    }
}

impl<const LEN: usize> Subject for Pairs<Fjall, LEN> {
    fn offers(&self, _: Operation) -> bool {
        true
    }

    fn insert(&mut self, keys: &[u64], batch: usize) {
        for keys in keys.chunks(batch) {
            let mut writes = self.0.keyspace.batch().durability(self.0.mode);
            for key in keys {
                writes.insert(&self.0.tables[0].0, key.to_be_bytes(), value::<LEN>(*key));
            }
            writes.commit().expect(FAULTLESS);
        }
    }

    fn get(&mut self, keys: &[u64], _: usize) -> u64 {
        let table = &self.0.tables[0].0;
        let found = |key: &u64| table.get(key.to_be_bytes()).expect(FAULTLESS).map(|value| word_of(&value));
        sum(keys.iter().filter_map(found))
    }

    fn remove(&mut self, keys: &[u64], batch: usize) {
        for keys in keys.chunks(batch) {
            let mut writes = self.0.keyspace.batch().durability(self.0.mode);
            for key in keys {
                writes.remove(&self.0.tables[0].0, key.to_be_bytes());
            }
            writes.commit().expect(FAULTLESS);
        }
    }

    fn iterate(&mut self, limit: u64) -> (u64, u64) {
        walk(self.0.tables[0].0.iter().map(|pair| word_of(&pair.expect(FAULTLESS).1)), limit)
    }

    fn range(&mut self, starts: &[u64]) -> u64 {
        sum(starts.iter().map(|&start| {
            let pairs = self.0.tables[0].0.range(start.to_be_bytes()..).take(RANGE_LEN);
            sum(pairs.map(|pair| word_of(&pair.expect(FAULTLESS).1)))
        }))
    }
}

impl<const LEN: usize> Subject for Pairs<Lmdb, LEN> {
    fn offers(&self, _: Operation) -> bool {
        true
    }

    fn insert(&mut self, keys: &[u64], batch: usize) {
        let table = self.0.tables[0].0;
        for keys in keys.chunks(batch) {
            let mut transaction = self.0.environment.write_txn().expect(FAULTLESS);
            for key in keys {
                table.put(&mut transaction, key, &value::<LEN>(*key)).expect(FAULTLESS);
            }
            transaction.commit().expect(FAULTLESS);
        }
    }

    fn get(&mut self, keys: &[u64], batch: usize) -> u64 {
        let table = self.0.tables[0].0;
        sum(keys.chunks(batch).map(|keys| {
            let transaction = self.0.environment.read_txn().expect(FAULTLESS);
            sum(keys.iter().filter_map(|key| table.get(&transaction, key).expect(FAULTLESS)).map(word_of))
        }))
    }

    fn remove(&mut self, keys: &[u64], batch: usize) {
        let table = self.0.tables[0].0;
        for keys in keys.chunks(batch) {
            let mut transaction = self.0.environment.write_txn().expect(FAULTLESS);
            for key in keys {
                table.delete(&mut transaction, key).expect(FAULTLESS);
            }
            transaction.commit().expect(FAULTLESS);
        }
    }

    fn iterate(&mut self, limit: u64) -> (u64, u64) {
        let transaction = self.0.environment.read_txn().expect(FAULTLESS);
        let pairs = self.0.tables[0].0.iter(&transaction).expect(FAULTLESS);
        walk(pairs.map(|pair| word_of(pair.expect(FAULTLESS).1)), limit)
    }

    fn range(&mut self, starts: &[u64]) -> u64 {
        sum(starts.iter().map(|&start| {
            let transaction = self.0.environment.read_txn().expect(FAULTLESS);
            let pairs = self.0.tables[0].0.range(&transaction, &(start..)).expect(FAULTLESS).take(RANGE_LEN);
            sum(pairs.map(|pair| word_of(pair.expect(FAULTLESS).1)))
        }))
    }
}

impl<const LEN: usize> Pairs<Sqlite, LEN> {
    /// Runs `work` in transactions of so many keys.
    fn within(&self, begin: &str, keys: &[u64], batch: usize, mut work: impl FnMut(u64)) {
        for keys in keys.chunks(batch) {
            self.0.execute(begin);
            keys.iter().for_each(|&key| work(key));
            self.0.execute("COMMIT");
        }
    }
}

const WRITE: &str = "BEGIN IMMEDIATE";
const READ: &str = "BEGIN";

impl<const LEN: usize> Subject for Pairs<Sqlite, LEN> {
    fn offers(&self, _: Operation) -> bool {
        true
    }

    fn insert(&mut self, keys: &[u64], batch: usize) {
        let mut insert = self.0.connection.prepare_cached("INSERT INTO t0 VALUES (?1, ?2)").expect(FAULTLESS);
        self.within(WRITE, keys, batch, |key| {
            insert.execute((key as i64, &value::<LEN>(key)[..])).expect(FAULTLESS);
        });
    }

    fn get(&mut self, keys: &[u64], batch: usize) -> u64 {
        let select = "SELECT record FROM t0 WHERE key = ?1";
        let mut select = self.0.connection.prepare_cached(select).expect(FAULTLESS);
        let mut found = 0_u64;
        self.within(READ, keys, batch, |key| {
            let mut rows = select.query([key as i64]).expect(FAULTLESS);
            if let Some(row) = rows.next().expect(FAULTLESS) {
                found = found.wrapping_add(word_in(row));
            }
        });
        found
    }

    fn remove(&mut self, keys: &[u64], batch: usize) {
        let mut delete = self.0.connection.prepare_cached("DELETE FROM t0 WHERE key = ?1").expect(FAULTLESS);
        self.within(WRITE, keys, batch, |key| {
            assert_eq!(delete.execute([key as i64]).expect(FAULTLESS), 1, "an entry that is there");
        });
    }

    fn iterate(&mut self, limit: u64) -> (u64, u64) {
        let select = "SELECT record FROM t0 ORDER BY key LIMIT ?1";
        let mut select = self.0.connection.prepare_cached(select).expect(FAULTLESS);
        let mut rows = select.query([limit.min(i64::MAX as u64) as i64]).expect(FAULTLESS);
        walk(std::iter::from_fn(|| rows.next().expect(FAULTLESS).map(word_in)), limit)
    }

    fn range(&mut self, starts: &[u64]) -> u64 {
        let select = "SELECT record FROM t0 WHERE key >= ?1 ORDER BY key LIMIT ?2";
        let mut select = self.0.connection.prepare_cached(select).expect(FAULTLESS);
        let mut found = 0_u64;
        self.within(READ, starts, 1, |start| {
            let mut rows = select.query([start as i64, RANGE_LEN as i64]).expect(FAULTLESS);
            let words = std::iter::from_fn(|| rows.next().expect(FAULTLESS).map(word_in));
            found = found.wrapping_add(sum(words));
        });
        found
    }
}

fn word_in(row: &rusqlite::Row<'_>) -> u64 {
    word_of(row.get_ref(0).expect(FAULTLESS).as_blob().expect("a blob"))
}
