//! Bare engines and vista behind the seam of [`records`](crate::records): a table is an array, and what is logged is the
//! field that changes.
//!
//! Start at [`Bare`] and [`Vista`].

#![allow(unsafe_code)] // The bare engines.

use std::marker::PhantomData;
use std::ops::Range;
use std::path::Path;
use std::ptr;

use rio::{Domain, DomainChoice, HEADER_LEN, Medium, Region};
use vista::layout::LOG_OFFSET;
use vista::{PPtr, PSlice, Persistent, Segment, Transaction};

use crate::bare::Log;
use crate::engine::Level;
use crate::records::{Change, End, Field, Look, OnMedium, Read, Size, Store, TABLES_MAX, Table, Write};

/// Length of the log: vista's default, and enough for every transaction but long ranges.
const LOG_LEN: u64 = 65536;

/// A bare engine: the tables stand behind the header, page by page, and the log behind them. An index is checked, as it
/// is for an array of the language; nothing else is.
pub struct Bare<L, M: Medium> {
    medium: M,
    log: L,
    tables: [(*mut u8, u64); TABLES_MAX],
    /// Stores that wait until the log is declared, one behind the other.
    waiting: Vec<(*mut u8, usize)>,
    waiting_bytes: Vec<u8>,
}

/// Where the tables begin, and the log after them.
fn offsets(sizes: &[Size]) -> ([u64; TABLES_MAX], u64) {
    let mut offsets = [0; TABLES_MAX];
    let mut end = HEADER_LEN;
    for (offset, size) in std::iter::zip(&mut offsets, sizes) {
        *offset = end;
        end = (end + size.len()).next_multiple_of(4096);
    }
    (offsets, end)
}

impl<L: Log, M: Medium> Bare<L, M> {
    /// The engine on a medium that is zeroed, or that such an engine with these tables has left behind.
    pub fn new(medium: M, sizes: &[Size]) -> Self {
        let (offsets, log) = offsets(sizes);
        assert!(medium.len() >= log + LOG_LEN, "a medium with room for tables and log");
        let at = |offset: u64| medium.write_base().wrapping_add(offset as usize);
        let mut tables = [(ptr::null_mut(), 0); TABLES_MAX];
        for ((table, size), offset) in tables.iter_mut().zip(sizes).zip(offsets) {
            *table = (at(offset), size.count);
        }
        // SAFETY: (1) the engine owns the medium, whose mapping moves with nobody. (2) No workload has a transaction with
        // more than 64 KiB of records, but `fill`, which asserts it.
        let log = unsafe { L::new(&medium, log) };
        // SAFETY: the medium is zeroed, or the log is the one of this engine.
        unsafe { log.recover(&medium) };
        Bare { medium, log, tables, waiting: Vec::new(), waiting_bytes: Vec::new() }
    }

    #[inline(always)]
    fn record<T: Table>(&self, index: u64) -> *mut T::Record {
        let (base, count) = self.tables[T::INDEX];
        assert!(index < count, "a record of the table");
        base.cast::<T::Record>().wrapping_add(index as usize)
    }
}

/// A transaction of a bare engine.
struct BareTransaction<'a, L: Log, M: Medium> {
    store: &'a mut Bare<L, M>,
    log: L,
}

/// Reads of a bare engine.
struct BareReader<'a, L: Log, M: Medium>(&'a Bare<L, M>);

impl<L: Log, M: Medium> Read for BareReader<'_, L, M> {
    #[inline(always)]
    fn read<T: Table, O>(&mut self, index: u64, look: impl FnOnce(&T::Record) -> O) -> O {
        // SAFETY: the record lies in its table, any bytes are one, and while the engine is borrowed nobody stores.
        look(unsafe { &*self.0.record::<T>(index) })
    }
}

impl<L: Log, M: Medium> Read for BareTransaction<'_, L, M> {
    #[inline(always)]
    fn read<T: Table, O>(&mut self, index: u64, look: impl FnOnce(&T::Record) -> O) -> O {
        BareReader(self.store).read::<T, O>(index, look)
    }
}

impl<L: Log, M: Medium> BareTransaction<'_, L, M> {
    #[inline(always)]
    fn store<F: Persistent>(&mut self, target: *mut F, value: &F) {
        let medium = &self.store.medium;
        // SAFETY: the target lies in a table.
        unsafe { self.log.record(medium, target.cast(), size_of::<F>()) };
        if L::WAITS {
            self.store.waiting.push((target.cast(), size_of::<F>()));
            self.store.waiting_bytes.extend_from_slice(bytemuck::bytes_of(value));
        } else {
            // SAFETY: as above; the engine is borrowed alone, and no record needs alignment.
            unsafe { target.write_unaligned(*value) };
            self.log.stored(medium, target.cast(), size_of::<F>());
        }
    }

    #[inline(always)]
    fn end(self, end: End) {
        let Bare { medium, waiting, waiting_bytes, .. } = self.store;
        if end == End::Abort {
            waiting.clear();
            waiting_bytes.clear();
            return self.log.roll_back(medium);
        }
        if L::WAITS {
            self.log.declared(medium);
            let mut bytes = &waiting_bytes[..];
            for (target, len) in waiting.drain(..) {
                let (value, rest) = bytes.split_at(len);
                // SAFETY: the target lies in a table, and the bytes lie in a vector.
                unsafe { ptr::copy_nonoverlapping(value.as_ptr(), target, len) };
                self.log.stored(medium, target, len);
                bytes = rest;
            }
            waiting_bytes.clear();
        }
        self.log.commit(medium);
    }
}

impl<L: Log, M: Medium> Write for BareTransaction<'_, L, M> {
    #[inline(always)]
    fn update<T: Table, F: Persistent, O>(
        &mut self,
        index: u64,
        field: Field<T, F>,
        change: impl FnOnce(&T::Record) -> (F, O),
    ) -> O {
        let (value, output) = self.read::<T, _>(index, change);
        let target = self.store.record::<T>(index).cast::<u8>().wrapping_add(field.offset());
        self.store(target.cast(), &value);
        output
    }

    #[inline(always)]
    fn replace<T: Table>(&mut self, index: u64, record: &T::Record) {
        self.store(self.store.record::<T>(index), record);
    }

    fn fill<T: Table>(&mut self, start: u64, count: usize, word: u64) {
        let (base, records) = self.store.tables[T::INDEX];
        let end = start + count as u64 * 8;
        assert!(end <= records * T::RECORD_LEN as u64, "a part of the table");
        assert!(count as u64 * 8 + 4096 <= LOG_LEN, "a record that fits into the log");
        let target = base.wrapping_add(start as usize);
        // SAFETY: the target lies in the table.
        unsafe { self.log.record(&self.store.medium, target, count * 8) };
        self.log.declared(&self.store.medium);
        for at in 0..count {
            // SAFETY: as above; the engine is borrowed alone.
            unsafe { target.cast::<u64>().wrapping_add(at).write_unaligned(word) };
        }
        self.log.stored(&self.store.medium, target, count * 8);
    }
}

impl<L: Log, M: Medium> Store for Bare<L, M> {
    const CAN_ABORT: bool = L::KEEPS;

    fn load<T: Table>(&mut self, mut record: impl FnMut(u64) -> T::Record) {
        for index in 0..self.tables[T::INDEX].1 {
            // SAFETY: the record lies in its table, and the engine is borrowed alone.
            unsafe { self.record::<T>(index).write(record(index)) };
        }
    }

    #[inline(always)]
    fn change(&mut self, work: &mut impl Change) {
        let log = self.log;
        let mut transaction = BareTransaction { store: self, log };
        let end = work.run(&mut transaction);
        transaction.end(end);
    }

    #[inline(always)]
    fn look(&self, work: &mut impl Look) {
        work.run(&mut BareReader(self));
    }
}

/// [`Bare`], with this log.
pub struct BareKind<L>(PhantomData<fn() -> L>);

impl<L> BareKind<L> {
    /// It.
    pub fn new() -> Self {
        BareKind(PhantomData)
    }
}

impl<L> Default for BareKind<L> {
    fn default() -> Self {
        BareKind::new()
    }
}

impl<L> Clone for BareKind<L> {
    fn clone(&self) -> Self {
        BareKind::new()
    }
}

impl<L: Log + 'static> OnMedium for BareKind<L> {
    type Store<M: Medium> = Bare<L, M>;

    fn medium_len(&self, sizes: &[Size]) -> u64 {
        offsets(sizes).1 + LOG_LEN
    }

    fn log(&self, sizes: &[Size]) -> Range<u64> {
        let start = offsets(sizes).1;
        start..start + LOG_LEN
    }

    fn level(&self, domain: Domain) -> Level {
        crate::bare::level::<L>(domain)
    }

    fn make<M: Medium>(&self, medium: M, sizes: &[Size]) -> Bare<L, M> {
        Bare::new(medium, sizes)
    }
}

/// Tables in a segment.
type Root = [PSlice<u8>; TABLES_MAX];

/// Vista. `WAITS` says how it stores: by `write`, whose stores wait for a common fence, for domains that fence; else by
/// `get_mut`.
pub struct Vista<const WAITS: bool, M: Medium = Region> {
    segment: Segment<Root, M>,
    tables: Root,
    counts: [u64; TABLES_MAX],
}

const SOUND: &str = "a sound segment";
const FAULTLESS: &str = "a transaction without fault";

impl<const WAITS: bool, M: Medium> Vista<WAITS, M> {
    /// The engine in this segment, empty or filled.
    pub fn new(segment: Segment<Root, M>, sizes: &[Size]) -> Self {
        let tables = *segment.root().expect(SOUND);
        let mut counts = [0; TABLES_MAX];
        std::iter::zip(&mut counts, sizes).for_each(|(count, size)| *count = size.count);
        Vista { segment, tables, counts }
    }
}

impl<const WAITS: bool> Vista<WAITS> {
    /// In a file of this name, which is created if there is none. `is_private` keeps all changes to one that was there
    /// in this process's memory.
    ///
    /// # Panics
    /// On vista's errors.
    pub fn open(path: &Path, sizes: &[Size], domain: Domain, is_private: bool) -> Self {
        let options = Segment::<Root>::options()
            .size(VistaKind::<WAITS>.medium_len(sizes))
            .log_len(LOG_LEN)
            .domain(DomainChoice::Forced(domain));
        let options = options.private(is_private && path.exists());
        Vista::new(options.open_or_create(path).expect("a segment"), sizes)
    }
}

/// A table in a segment.
#[inline(always)]
fn slice_of<T: Table>(tables: &Root, counts: &[u64; TABLES_MAX]) -> PSlice<T::Record> {
    PSlice::from_raw_parts(tables[T::INDEX].offset(), counts[T::INDEX])
}

struct VistaTransaction<'a, 's, const WAITS: bool, M: Medium> {
    tx: &'a mut Transaction<'s, Root, M>,
    tables: &'a Root,
    counts: &'a [u64; TABLES_MAX],
}

impl<const WAITS: bool, M: Medium> VistaTransaction<'_, '_, WAITS, M> {
    #[inline(always)]
    fn record<T: Table>(&self, index: u64) -> PPtr<T::Record> {
        slice_of::<T>(self.tables, self.counts).at(index as usize).expect("a record of the table")
    }

    #[inline(always)]
    fn store<F: Persistent>(&mut self, target: PPtr<F>, value: &F) {
        if WAITS {
            self.tx.write(target, *value).expect(FAULTLESS);
        } else {
            *self.tx.get_mut(target).expect(FAULTLESS) = *value;
        }
    }
}

impl<const WAITS: bool, M: Medium> Read for VistaTransaction<'_, '_, WAITS, M> {
    #[inline(always)]
    fn read<T: Table, O>(&mut self, index: u64, look: impl FnOnce(&T::Record) -> O) -> O {
        look(self.tx.get(self.record::<T>(index)).expect(FAULTLESS))
    }
}

impl<const WAITS: bool, M: Medium> Write for VistaTransaction<'_, '_, WAITS, M> {
    #[inline(always)]
    fn update<T: Table, F: Persistent, O>(
        &mut self,
        index: u64,
        field: Field<T, F>,
        change: impl FnOnce(&T::Record) -> (F, O),
    ) -> O {
        let record = self.record::<T>(index);
        let (value, output) = change(self.tx.get(record).expect(FAULTLESS));
        self.store(PPtr::from_offset(record.offset() + field.offset() as u64), &value);
        output
    }

    #[inline(always)]
    fn replace<T: Table>(&mut self, index: u64, record: &T::Record) {
        self.store(self.record::<T>(index), record);
    }

    #[inline(always)]
    fn fill<T: Table>(&mut self, start: u64, count: usize, word: u64) {
        let bytes = self.counts[T::INDEX] * T::RECORD_LEN as u64;
        assert!(start.is_multiple_of(8) && start + count as u64 * 8 <= bytes, "a part of the table");
        let part = PSlice::from_raw_parts(self.tables[T::INDEX].offset() + start, count as u64);
        self.tx.slice_mut(part).expect(FAULTLESS).fill(word);
    }
}

struct VistaReader<'a, const WAITS: bool, M: Medium>(&'a Vista<WAITS, M>);

impl<const WAITS: bool, M: Medium> Read for VistaReader<'_, WAITS, M> {
    #[inline(always)]
    fn read<T: Table, O>(&mut self, index: u64, look: impl FnOnce(&T::Record) -> O) -> O {
        let slice = slice_of::<T>(&self.0.tables, &self.0.counts);
        let record = slice.at(index as usize).expect("a record of the table");
        look(self.0.segment.get(record).expect(SOUND))
    }
}

impl<const WAITS: bool, M: Medium> Store for Vista<WAITS, M> {
    fn load<T: Table>(&mut self, mut record: impl FnMut(u64) -> T::Record) {
        let count = self.counts[T::INDEX];
        let done = self.segment.transaction(|tx| {
            // As many words, so that a table begins at a multiple of 8.
            let words = tx.alloc_slice_zeroed::<u64>((count * T::RECORD_LEN as u64).div_ceil(8) as usize)?;
            let table = PSlice::<T::Record>::from_raw_parts(words.offset(), count);
            for (index, place) in (0..).zip(tx.slice_mut(table)?) {
                *place = record(index);
            }
            tx.root_mut()?[T::INDEX] = PSlice::from_raw_parts(words.offset(), count * T::RECORD_LEN as u64);
            Ok::<_, vista::Error>(())
        });
        done.expect("room for the tables");
        self.tables = *self.segment.root().expect(SOUND);
    }

    #[inline(always)]
    fn change(&mut self, work: &mut impl Change) {
        let (tables, counts) = (&self.tables, &self.counts);
        let done = self.segment.transaction(|tx| {
            let end = work.run(&mut VistaTransaction::<WAITS, M> { tx, tables, counts });
            if end == End::Commit { Ok(()) } else { Err(Stop::Aborted) }
        });
        if let Err(Stop::Failed(error)) = done {
            panic!("{FAULTLESS}: {error}");
        }
    }

    #[inline(always)]
    fn look(&self, work: &mut impl Look) {
        work.run(&mut VistaReader(self));
    }
}

/// Why a transaction has not committed.
enum Stop {
    Aborted,
    Failed(vista::Error),
}

impl From<vista::Error> for Stop {
    fn from(error: vista::Error) -> Self {
        Stop::Failed(error)
    }
}

/// [`Vista`], storing in this way.
#[derive(Clone, Copy, Debug, Default)]
pub struct VistaKind<const WAITS: bool>;

impl<const WAITS: bool> OnMedium for VistaKind<WAITS> {
    type Store<M: Medium> = Vista<WAITS, M>;

    fn medium_len(&self, sizes: &[Size]) -> u64 {
        let tables: u64 = sizes.iter().map(Size::len).sum();
        tables + tables / 32 + (2 << 20)
    }

    fn log(&self, _: &[Size]) -> Range<u64> {
        LOG_OFFSET..LOG_OFFSET + LOG_LEN
    }

    fn level(&self, domain: Domain) -> Level {
        if domain == Domain::PageCache { Level::ProcessCrash } else { Level::PowerLoss }
    }

    fn make<M: Medium>(&self, medium: M, sizes: &[Size]) -> Vista<WAITS, M> {
        Vista::new(Segment::create_on(medium, LOG_LEN).expect("a new segment"), sizes)
    }
}
