//! The seam between workloads and engines that know nothing of each other: tables of records of fixed length.
//!
//! An engine whose data are memory keeps a table as an array and logs the field that changes. An engine of keys and
//! values keeps it under its indices, reads the whole record and stores the whole record. A workload is written once, and
//! compiled for each engine: nothing of the seam is left at run time. Start at [`Store`] and [`Workload`].

#![allow(unsafe_code)] // It implements `transact`.

use std::fs;
use std::marker::PhantomData;
use std::ops::Range;
use std::path::PathBuf;

use rio::{Domain, Medium};
use vista::Persistent;

use crate::engine::{Engine, Level, Recipe, fold};

/// Tables that a workload may have.
pub const TABLES_MAX: usize = 8;

/// A table, at compile time. Its records need no alignment.
pub trait Table: 'static {
    /// What it holds.
    type Record: Persistent;
    /// Its place among the workload's [`Size`]s.
    const INDEX: usize;
    /// Length of a record in bytes.
    const RECORD_LEN: usize = {
        assert!(align_of::<Self::Record>() == 1 && Self::INDEX < TABLES_MAX);
        size_of::<Self::Record>()
    };
}

/// A table, at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// What it is called.
    pub name: &'static str,
    /// Length of a record in bytes.
    pub record_len: usize,
    /// Number of records.
    pub count: u64,
}

impl Size {
    /// So many records of a table.
    pub fn of<T: Table>(name: &'static str, count: u64) -> Size {
        Size { name, record_len: T::RECORD_LEN, count }
    }

    /// Length of the table in bytes.
    pub fn len(&self) -> u64 {
        self.record_len as u64 * self.count
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// A field of a table's records.
pub struct Field<T: Table, F> {
    offset: usize,
    types: PhantomData<fn(T) -> F>,
}

impl<T: Table, F> Field<T, F> {
    /// The field at this offset; `witness` fixes its type. Call it through [`field_of!`](crate::field_of).
    pub const fn new(offset: usize, witness: fn(&T::Record) -> &F) -> Self {
        let _ = witness;
        Field { offset, types: PhantomData }
    }

    /// Where it lies in a record.
    #[inline(always)]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Its bytes in a record.
    #[inline(always)]
    pub const fn range(&self) -> Range<usize> {
        self.offset..self.offset + size_of::<F>()
    }
}

/// `field_of!(Table, Record, field.path)`: a field of a table's records.
#[macro_export]
macro_rules! field_of {
    ($table:ty, $record:ty, $($path:tt)+) => {
        $crate::records::Field::<$table, _>::new(
            ::core::mem::offset_of!($record, $($path)+),
            |record: &$record| &record.$($path)+,
        )
    };
}

/// What can be read in a transaction.
pub trait Read {
    /// Looks at a record, where it lies if the engine can lend it.
    ///
    /// # Panics
    /// If there is no such record.
    fn read<T: Table, O>(&mut self, index: u64, look: impl FnOnce(&T::Record) -> O) -> O;
}

/// What a transaction can do. It neither reads nor changes again what it has changed: an engine may keep its changes
/// back until it commits.
pub trait Write: Read {
    /// Looks at a record, and then stores to one field of it.
    ///
    /// # Panics
    /// If there is no such record.
    fn update<T: Table, F: Persistent, O>(
        &mut self,
        index: u64,
        field: Field<T, F>,
        change: impl FnOnce(&T::Record) -> (F, O),
    ) -> O;

    /// Stores a whole record, whatever it was.
    ///
    /// # Panics
    /// If there is no such record.
    fn replace<T: Table>(&mut self, index: u64, record: &T::Record);

    /// Stores one word all over a part of a table: bytes `start..start + 8 * count`.
    ///
    /// # Panics
    /// If it does not lie in the table.
    fn fill<T: Table>(&mut self, start: u64, count: usize, word: u64);
}

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It has been.
    Commit,
    /// It has never been.
    Abort,
}

/// A transaction that changes something.
pub trait Change {
    /// Its work.
    fn run(&mut self, records: &mut impl Write) -> End;
}

/// A transaction that only reads.
pub trait Look {
    /// Its work.
    fn run(&mut self, records: &mut impl Read);
}

/// An engine: tables, and transactions on them. A failure of the engine is a panic: a race has no use for it.
pub trait Store {
    /// Whether it can take back what it has stored. If not, nobody may ask it to.
    const CAN_ABORT: bool = true;

    /// Fills a table that was never filled; in whatever transactions, for it is not timed.
    fn load<T: Table>(&mut self, record: impl FnMut(u64) -> T::Record);

    /// Runs a transaction, which survives what the engine's level says once this returns.
    fn change(&mut self, work: &mut impl Change);

    /// Runs a transaction that only reads.
    fn look(&self, work: &mut impl Look);
}

/// A workload, for any store.
pub trait Workload: Clone + 'static {
    /// What one transaction is given.
    type Input: 'static;
    /// What it keeps in volatile memory.
    type State: 'static;

    /// Its tables.
    fn sizes(&self) -> Vec<Size>;

    /// Fills them.
    fn load(&self, store: &mut impl Store);

    /// Finds the volatile state in the tables.
    fn state(&self, store: &impl Store) -> Self::State;

    /// Whether a transaction with this input stays inside the tables.
    fn admits(&self, input: &Self::Input) -> bool;

    /// Runs one transaction.
    fn transact(&self, state: &mut Self::State, store: &mut impl Store, input: &Self::Input);

    /// A digest of all tables, and of what was read.
    fn digest(&self, state: &Self::State, store: &impl Store) -> u64;
}

/// A workload on a store: an engine for the race.
pub struct On<S, W: Workload> {
    workload: W,
    state: W::State,
    store: S,
    /// Goes after the store.
    _place: Option<Place>,
}

/// A file or directory that is removed in the end.
pub(crate) struct Place(pub(crate) PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        // Whichever it is; what is left goes with the directory around it.
        let _ = fs::remove_file(&self.0).or_else(|_| fs::remove_dir_all(&self.0));
    }
}

impl<S: Store, W: Workload> On<S, W> {
    /// Fills a store that has nothing in it.
    pub fn new(workload: W, mut store: S) -> Self {
        workload.load(&mut store);
        On::open(workload, store)
    }

    /// On a store that was filled before.
    pub fn open(workload: W, store: S) -> Self {
        let state = workload.state(&store);
        On { workload, state, store, _place: None }
    }

    /// The same; what lies at this path is removed in the end.
    pub fn removing(self, path: PathBuf) -> Self {
        On { _place: Some(Place(path)), ..self }
    }

    /// The workload's volatile state.
    pub fn state(&self) -> &W::State {
        &self.state
    }
}

impl<S: Store, W: Workload> Engine for On<S, W> {
    type Input = W::Input;

    fn admits(&self, input: &W::Input) -> bool {
        self.workload.admits(input)
    }

    #[inline(always)]
    unsafe fn transact(&mut self, input: &W::Input) {
        self.workload.transact(&mut self.state, &mut self.store, input);
    }

    fn digest(&self) -> u64 {
        self.workload.digest(&self.state, &self.store)
    }
}

/// A store that lives on a medium, whichever that is.
pub trait OnMedium: Clone + 'static {
    /// The store.
    type Store<M: Medium>: Store;

    /// Bytes that the medium has to have for these tables.
    fn medium_len(&self, sizes: &[Size]) -> u64;

    /// Where the log stands in the medium.
    fn log(&self, sizes: &[Size]) -> Range<u64>;

    /// What a transaction survives in this domain.
    fn level(&self, domain: Domain) -> Level;

    /// Makes the store on a zeroed medium.
    fn make<M: Medium>(&self, medium: M, sizes: &[Size]) -> Self::Store<M>;
}

/// How a workload is made on a store that lives on a medium.
#[derive(Clone)]
pub struct Both<K, W> {
    /// The store's kind.
    pub kind: K,
    /// The workload.
    pub workload: W,
}

impl<K: OnMedium, W: Workload> Recipe for Both<K, W> {
    type Input = W::Input;
    type Engine<M: Medium> = On<K::Store<M>, W>;

    fn medium_len(&self) -> u64 {
        self.kind.medium_len(&self.workload.sizes())
    }

    fn log(&self) -> Range<u64> {
        self.kind.log(&self.workload.sizes())
    }

    fn level(&self, domain: Domain) -> Level {
        self.kind.level(domain)
    }

    fn make<M: Medium>(&self, medium: M) -> Self::Engine<M> {
        On::new(self.workload.clone(), self.kind.make(medium, &self.workload.sizes()))
    }
}

/// A digest of tables: of their bytes, eight by eight, each table beginning anew.
#[derive(Clone, Copy, Debug)]
pub struct Digest {
    digest: u64,
    word: [u8; 8],
    used: usize,
}

impl Default for Digest {
    fn default() -> Self {
        Digest { digest: crate::engine::digest([]), word: [0; 8], used: 0 }
    }
}

impl Digest {
    /// The next bytes of a table.
    pub fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let count = bytes.len().min(8 - self.used);
            self.word[self.used..self.used + count].copy_from_slice(&bytes[..count]);
            self.used += count;
            bytes = &bytes[count..];
            if self.used == 8 {
                self.end_word();
            }
        }
    }

    /// The table ends here.
    pub fn end_table(&mut self) {
        if self.used > 0 {
            self.end_word();
        }
    }

    fn end_word(&mut self) {
        self.digest = fold(self.digest, u64::from_le_bytes(self.word));
        (self.word, self.used) = ([0; 8], 0);
    }

    /// The digest of all tables so far.
    pub fn get(&self) -> u64 {
        self.digest
    }

    /// A whole table.
    pub fn add_table<T: Table>(&mut self, store: &impl Store, count: u64) {
        struct All<'a, T>(&'a mut Digest, u64, PhantomData<T>);
        impl<T: Table> Look for All<'_, T> {
            fn run(&mut self, records: &mut impl Read) {
                for index in 0..self.1 {
                    records.read::<T, _>(index, |record| self.0.add(bytemuck::bytes_of(record)));
                }
            }
        }
        store.look(&mut All::<T>(self, count, PhantomData));
        self.end_table();
    }
}
