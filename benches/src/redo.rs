//! Lrvm behind the seam of [`records`](crate::records): a table is an array in a region of its own segment, and what is
//! logged is the field that changes.
//!
//! Truncation is part of what is measured: the one who commits does it, when half of the log is in use. Start at [`visit`].

use std::fs;
use std::path::Path;

use lrvm::on_rio::Regions;
use lrvm::{Begin, Enlisted, MapMode, Options, Region, Rvm, Transaction};
use rio::RegionOptions;
use vista::Persistent;

use crate::aims::{LRVM_DISK, LRVM_FILES, LRVM_RIO};
use crate::contest::{Home, Peer, Visitor};
use crate::engine::Level;
use crate::records::{Change, End, Field, Look, Read, Size, Store, TABLES_MAX, Table, Write};

/// Length of the log in memory: room for some fifty thousand transactions of debit-credit.
const LOG_LEN: u64 = 16 << 20;
/// The same on a disk, where fewer transactions run: short enough that some truncations come to be measured.
const DISK_LOG_LEN: u64 = 4 << 20;
/// Bytes in a transaction that fills a table.
const LOAD_LEN: usize = 1 << 19;
/// Transactions that wait for a flush together, where not every one is flushed.
pub const GROUP_LEN: u64 = 1000;
/// Alignment of tables.
const PAGE_LEN: u64 = 4096;

const FAULTLESS: &str = "lrvm without fault";

/// What log and segment lie on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// Files on a disk.
    Disk,
    /// Files in memory.
    Files,
    /// Regions of rio.
    Rio,
}

/// Shows lrvm in all its ways.
pub fn visit(visitor: &mut impl Visitor) {
    let disk =
        |name, level, configuration| Peer { name, level, configuration, home: Home::Disk, variables: &[] };
    let memory = |name, level, configuration| Peer { home: Home::Memory, ..disk(name, level, configuration) };
    visitor.visit(
        disk(LRVM_DISK, Level::PowerLoss, "every commit flushed; log of 4 MiB, truncated at 50 %"),
        |path, sizes| Lrvm::open(path, sizes, On::Disk, lrvm::End::Flush),
    );
    visitor.visit(
        disk("lrvm, disk, no-flush", Level::Nothing, "a flush per 1000 commits: a crash loses up to 1000"),
        |path, sizes| Lrvm::open(path, sizes, On::Disk, lrvm::End::NoFlush),
    );
    visitor.visit(
        memory(LRVM_FILES, Level::ProcessCrash, "every commit flushed; log of 16 MiB, truncated at 50 %"),
        |path, sizes| Lrvm::open(path, sizes, On::Files, lrvm::End::Flush),
    );
    visitor.visit(
        memory(LRVM_RIO, Level::ProcessCrash, "every commit flushed; log of 16 MiB, truncated at 50 %"),
        |path, sizes| Lrvm::open(path, sizes, On::Rio, lrvm::End::Flush),
    );
    visitor.visit(
        memory(
            "lrvm, on Rio, no-flush",
            Level::Nothing,
            "a flush per 1000 commits: a crash loses up to 1000",
        ),
        |path, sizes| Lrvm::open(path, sizes, On::Rio, lrvm::End::NoFlush),
    );
}

/// The store.
pub struct Lrvm {
    /// Goes before the log that it belongs to.
    region: Region,
    rvm: Rvm,
    end: lrvm::End,
    /// Commits since the last flush.
    waiting: u64,
    tables: Tables,
}

/// Where the tables begin in the region, and how many records they have.
#[derive(Clone, Copy)]
struct Tables([(u64, u64); TABLES_MAX]);

impl Tables {
    fn new(sizes: &[Size]) -> (Tables, u64) {
        let (mut tables, mut end) = ([(0, 0); TABLES_MAX], 0);
        for (table, size) in tables.iter_mut().zip(sizes) {
            *table = (end, size.count);
            end = (end + size.len()).next_multiple_of(PAGE_LEN);
        }
        (Tables(tables), end)
    }

    #[inline(always)]
    fn offset<T: Table>(&self, index: u64) -> u64 {
        let (start, count) = self.0[T::INDEX];
        assert!(index < count, "a record of the table");
        start + index * T::RECORD_LEN as u64
    }
}

impl Lrvm {
    /// Opens log and segment in the directory at `path`, or creates them.
    ///
    /// # Panics
    /// On lrvm's errors.
    pub fn open(path: &Path, sizes: &[Size], on: On, end: lrvm::End) -> Self {
        let (tables, len) = Tables::new(sizes);
        let is_new = !path.exists();
        let (log, data) = (path.join("log"), path.join("segment"));
        if is_new {
            fs::create_dir(path).expect("a directory");
        }
        let options = Options::new().background(false);
        let rvm = match on {
            On::Disk | On::Files => {
                if is_new {
                    let log_len = if on == On::Disk { DISK_LOG_LEN } else { LOG_LEN };
                    lrvm::create_log(&log, log_len).expect(FAULTLESS);
                    lrvm::create_segment(&data, len).expect(FAULTLESS);
                }
                options.open(&log)
            }
            On::Rio => {
                let regions = Regions::new(path, RegionOptions::new()).expect(FAULTLESS);
                if is_new {
                    regions.create_log(&log, LOG_LEN).expect(FAULTLESS);
                    regions.create_segment(&data, len).expect(FAULTLESS);
                }
                regions.open(&log, &options)
            }
        };
        let rvm = rvm.expect(FAULTLESS);
        let region = rvm.map_with(&data, 0..len, MapMode::Copy).expect(FAULTLESS);
        Lrvm { region, rvm, end, waiting: 0, tables }
    }

    /// Stores to bytes of the region, in transactions that wait in the log until it is flushed.
    fn put(&mut self, offset: u64, bytes: &[u8]) {
        let mut tx = self.rvm.begin(Begin::NoRestore).expect(FAULTLESS);
        let region = tx.enlist(&mut self.region).expect(FAULTLESS);
        tx.modify(region, offset, bytes).expect(FAULTLESS);
        tx.commit(lrvm::End::NoFlush).expect(FAULTLESS);
    }
}

/// The reads of a transaction that only reads.
struct Reader<'a>(&'a Lrvm);

impl Read for Reader<'_> {
    #[inline(always)]
    fn read<T: Table, O>(&mut self, index: u64, look: impl FnOnce(&T::Record) -> O) -> O {
        look(record::<T>(self.0.region.bytes(), self.0.tables.offset::<T>(index)))
    }
}

#[inline(always)]
fn record<T: Table>(bytes: &[u8], offset: u64) -> &T::Record {
    bytemuck::from_bytes(&bytes[offset as usize..][..T::RECORD_LEN])
}

/// A transaction.
struct Writer<'r> {
    tx: Transaction<'r>,
    region: Enlisted,
    tables: Tables,
}

impl Read for Writer<'_> {
    #[inline(always)]
    fn read<T: Table, O>(&mut self, index: u64, look: impl FnOnce(&T::Record) -> O) -> O {
        let offset = self.tables.offset::<T>(index);
        look(record::<T>(self.tx.bytes(self.region).expect(FAULTLESS), offset))
    }
}

impl Write for Writer<'_> {
    #[inline(always)]
    fn update<T: Table, F: Persistent, O>(
        &mut self,
        index: u64,
        field: Field<T, F>,
        change: impl FnOnce(&T::Record) -> (F, O),
    ) -> O {
        let offset = self.tables.offset::<T>(index);
        let (value, output) = self.read::<T, _>(index, change);
        let place = offset + field.offset() as u64;
        self.tx.modify(self.region, place, bytemuck::bytes_of(&value)).expect(FAULTLESS);
        output
    }

    #[inline(always)]
    fn replace<T: Table>(&mut self, index: u64, record: &T::Record) {
        let offset = self.tables.offset::<T>(index);
        self.tx.modify(self.region, offset, bytemuck::bytes_of(record)).expect(FAULTLESS);
    }

    fn fill<T: Table>(&mut self, start: u64, count: usize, word: u64) {
        let (base, records) = self.tables.0[T::INDEX];
        let len = count as u64 * 8;
        assert!(start + len <= records * T::RECORD_LEN as u64, "a part of the table");
        let bytes = self.tx.set_range(self.region, base + start, len).expect(FAULTLESS);
        for chunk in bytes.chunks_exact_mut(8) {
            chunk.copy_from_slice(&word.to_ne_bytes());
        }
    }
}

impl Store for Lrvm {
    fn load<T: Table>(&mut self, mut record: impl FnMut(u64) -> T::Record) {
        let (start, count) = self.tables.0[T::INDEX];
        let per_transaction = (LOAD_LEN / T::RECORD_LEN).max(1) as u64;
        for first in (0..count).step_by(per_transaction as usize) {
            let mut bytes = Vec::with_capacity(LOAD_LEN);
            for index in first..count.min(first + per_transaction) {
                bytes.extend_from_slice(bytemuck::bytes_of(&record(index)));
            }
            self.put(start + first * T::RECORD_LEN as u64, &bytes);
        }
        self.rvm.truncate().expect(FAULTLESS);
    }

    #[inline(always)]
    fn change(&mut self, work: &mut impl Change) {
        let mut tx = self.rvm.begin(Begin::Restore).expect(FAULTLESS);
        let region = tx.enlist(&mut self.region).expect(FAULTLESS);
        let mut writer = Writer { tx, region, tables: self.tables };
        if work.run(&mut writer) == End::Abort {
            return writer.tx.abort().expect(FAULTLESS);
        }
        writer.tx.commit(self.end).expect(FAULTLESS);
        if self.end == lrvm::End::NoFlush {
            self.waiting += 1;
            if self.waiting == GROUP_LEN {
                self.rvm.flush().expect(FAULTLESS);
                self.waiting = 0;
            }
        }
    }

    #[inline(always)]
    fn look(&self, work: &mut impl Look) {
        work.run(&mut Reader(self));
    }
}
