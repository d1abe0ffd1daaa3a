//! libpmemobj 1.12 of PMDK: transactions by undo log on persistent memory, in C.
//!
//! The tables lie in the pool's root object. A transaction is `pmemobj_tx_begin`, `pmemobj_tx_add_range_direct` for each
//! range before it is stored to, `pmemobj_tx_commit` and `pmemobj_tx_end` (pmem.io, libpmemobj(7), pmemobj_tx_begin(3),
//! pmemobj_tx_add_range(3)). Reads are loads.
//!
//! What it survives is chosen by the environment, which the library reads when it is loaded (libpmem(7), "Environment"):
//! engines to compare with run in the same process, so that they meet the same.
//!
//! - *Process crash*: `PMEM_IS_PMEM_FORCE=1 PMEM_NO_FLUSH=1 PMEM_NO_MOVNT=1`: no msync, no write-backs, no stores that go
//!   round the cache (without the last it would still pay for those).
//! - *Power loss*, on ADR memory: `PMEM_IS_PMEM_FORCE=1`: lines are written back by the best instruction that the
//!   processor has, and fenced.
//!
//! In any other environment it does not take part: on what is no persistent memory it would call msync for each range.

#![allow(unsafe_code)] // A library in C.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use vista::Persistent;

use crate::contest::{Home, Peer, Visitor};
use crate::engine::Level;
use crate::records::{Change, End, Field, Look, Read, Size, Store, TABLES_MAX, Table, Write};

/// An object's place: `PMEMoid`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Oid {
    pub(crate) pool_id: u64,
    pub(crate) offset: u64,
}

/// `PMEMobjpool`, of which nothing is known. A pointer to it is where the pool is mapped.
#[repr(C)]
pub(crate) struct Pool {
    _private: [u8; 0],
}

// libpmemobj/pool_base.h, base.h and tx_base.h of version 1.12.
unsafe extern "C" {
    fn pmemobj_create(
        path: *const c_char,
        layout: *const c_char,
        len: usize,
        mode: libc::mode_t,
    ) -> *mut Pool;
    fn pmemobj_open(path: *const c_char, layout: *const c_char) -> *mut Pool;
    fn pmemobj_close(pool: *mut Pool);
    fn pmemobj_root(pool: *mut Pool, len: usize) -> Oid;
    fn pmemobj_persist(pool: *mut Pool, start: *const c_void, len: usize);
    fn pmemobj_errormsg() -> *const c_char;
    fn pmemobj_tx_begin(pool: *mut Pool, jump: *mut c_void, ...) -> c_int;
    fn pmemobj_tx_add_range_direct(start: *const c_void, len: usize) -> c_int;
    #[cfg(pmdk_maps)]
    fn pmemobj_tx_alloc(len: usize, type_number: u64) -> Oid;
    #[cfg(pmdk_maps)]
    fn pmemobj_tx_free(object: Oid) -> c_int;
    fn pmemobj_tx_commit();
    fn pmemobj_tx_abort(error: c_int);
    fn pmemobj_tx_end() -> c_int;
}

/// `TX_PARAM_NONE`: no locks.
const NO_PARAMETERS: c_int = 0;
const LAYOUT: &CStr = c"rio-vista-benches";

/// What the environment makes the library do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Regime {
    /// No write-backs, no stores round the cache.
    Plain,
    /// Write-backs and fences.
    WriteBack,
}

impl Regime {
    /// Both.
    pub const ALL: [Regime; 2] = [Regime::Plain, Regime::WriteBack];

    /// The environment that chooses it.
    pub fn variables(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Regime::Plain => &[("PMEM_IS_PMEM_FORCE", "1"), ("PMEM_NO_FLUSH", "1"), ("PMEM_NO_MOVNT", "1")],
            Regime::WriteBack => &[("PMEM_IS_PMEM_FORCE", "1")],
        }
    }

    /// The one that this process was started in, if it is one of them.
    pub fn here() -> Option<Regime> {
        let has = |name| std::env::var_os(name).is_some_and(|value| value == "1");
        if !has("PMEM_IS_PMEM_FORCE") {
            return None;
        }
        match (has("PMEM_NO_FLUSH"), has("PMEM_NO_MOVNT")) {
            (true, true) => Some(Regime::Plain),
            (false, false) => Some(Regime::WriteBack),
            _ => None,
        }
    }
}

/// The peer at the level of this process's environment, if it is there.
pub fn visit(visitor: &mut impl Visitor) {
    if let Some(regime) = Regime::here() {
        visitor.visit(peer(regime), Pmdk::open);
    }
}

/// The peer at each level, for those who see to the environment.
pub fn visit_all(visitor: &mut impl Visitor) {
    for regime in Regime::ALL {
        visitor.visit(peer(regime), Pmdk::open);
    }
}

fn peer(regime: Regime) -> Peer {
    let variables = regime.variables();
    match regime {
        Regime::Plain => Peer {
            name: "libpmemobj",
            level: Level::ProcessCrash,
            configuration: "libpmemobj, PMEM_IS_PMEM_FORCE=1 PMEM_NO_FLUSH=1 PMEM_NO_MOVNT=1; what C allocates is not counted",
            home: Home::Memory,
            variables,
        },
        Regime::WriteBack => Peer {
            name: "libpmemobj, write-back",
            level: Level::PowerLoss,
            configuration: "libpmemobj, PMEM_IS_PMEM_FORCE=1; on ADR memory; what C allocates is not counted",
            home: Home::Adr,
            variables,
        },
    }
}

/// The store.
pub struct Pmdk {
    pool: PoolFile,
    tables: [(*mut u8, u64); TABLES_MAX],
}

/// Why the last call failed.
pub(crate) fn reason() -> String {
    // SAFETY: the function has no conditions.
    let message = unsafe { pmemobj_errormsg() };
    // SAFETY: the library gives a string of this thread, which ends with a zero.
    unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned()
}

/// A pool that is open.
pub(crate) struct PoolFile {
    pool: *mut Pool,
    root: *mut u8,
}

impl PoolFile {
    /// Opens the pool, or creates it with so many bytes, `root_len` of them for its root.
    ///
    /// # Panics
    /// On the library's errors, as in all that follows.
    pub(crate) fn open(path: &Path, pool_len: u64, root_len: u64) -> Self {
        let name = CString::new(path.as_os_str().as_bytes()).expect("a path without zeroes");
        let pool = if path.exists() {
            // SAFETY: both are strings that end with a zero.
            unsafe { pmemobj_open(name.as_ptr(), LAYOUT.as_ptr()) }
        } else {
            let pool_len = pool_len.next_multiple_of(4096) as usize;
            // SAFETY: as above.
            unsafe { pmemobj_create(name.as_ptr(), LAYOUT.as_ptr(), pool_len, 0o600) }
        };
        assert!(!pool.is_null(), "a pool: {}", reason());
        // SAFETY: the pool is open.
        let root = unsafe { pmemobj_root(pool, root_len as usize) };
        assert!(root.offset > 0, "a root: {}", reason());
        PoolFile { pool, root: pool.cast::<u8>().wrapping_add(root.offset as usize) }
    }

    /// Begins a transaction.
    #[inline(always)]
    pub(crate) fn begin(&self) {
        // SAFETY: the pool is open; without a place to jump to, errors are returned.
        let error = unsafe { pmemobj_tx_begin(self.pool, ptr::null_mut(), NO_PARAMETERS) };
        assert_eq!(error, 0, "a transaction that begins");
    }

    /// Ends a transaction, and waits for what it needs to survive.
    #[inline(always)]
    pub(crate) fn end(&self, end: End) {
        match end {
            // SAFETY: a transaction is open, and its work is done.
            End::Commit => unsafe { pmemobj_tx_commit() },
            // SAFETY: a transaction is open, and its work is to be undone.
            End::Abort => unsafe { pmemobj_tx_abort(libc::ECANCELED) },
        }
        // SAFETY: a transaction was begun, and has committed or aborted.
        let error = unsafe { pmemobj_tx_end() };
        let expected = if end == End::Commit { 0 } else { libc::ECANCELED };
        assert_eq!(error, expected, "a transaction that ends");
    }
}

impl Drop for PoolFile {
    fn drop(&mut self) {
        // SAFETY: the pool is open, and nobody has it any more.
        unsafe { pmemobj_close(self.pool) };
    }
}

#[cfg(pmdk_maps)]
impl PoolFile {
    pub(crate) fn pool(&self) -> *mut Pool {
        self.pool
    }

    pub(crate) fn root(&self) -> *mut u8 {
        self.root
    }

    /// Where an object lies.
    #[inline(always)]
    pub(crate) fn at(&self, object: Oid) -> *mut u8 {
        self.pool.cast::<u8>().wrapping_add(object.offset as usize)
    }

    /// Allocates an object within a transaction.
    #[inline(always)]
    pub(crate) fn alloc(&self, len: usize) -> Oid {
        // SAFETY: a transaction of this pool is open; without one the library returns no object.
        let object = unsafe { pmemobj_tx_alloc(len, 0) };
        assert!(object.offset > 0, "an object: {}", reason());
        object
    }

    /// Frees one, at the commit.
    #[inline(always)]
    pub(crate) fn free(&self, object: Oid) {
        // SAFETY: the object is one of this pool, and a transaction is open.
        let error = unsafe { pmemobj_tx_free(object) };
        assert_eq!(error, 0, "an object that is freed");
    }
}

impl Pmdk {
    /// Opens the pool, or creates it.
    ///
    /// # Panics
    /// On the library's errors.
    pub fn open(path: &Path, sizes: &[Size]) -> Self {
        let mut tables = [(0, 0); TABLES_MAX];
        let mut root_len = 0;
        for (table, size) in tables.iter_mut().zip(sizes) {
            *table = (root_len, size.count);
            root_len = (root_len + size.len()).next_multiple_of(64);
        }
        let pool = PoolFile::open(path, root_len + root_len / 8 + (64 << 20), root_len);
        let tables = tables.map(|(offset, count)| (pool.root.wrapping_add(offset as usize), count));
        Pmdk { pool, tables }
    }

    #[inline(always)]
    fn record<T: Table>(&self, index: u64) -> *mut T::Record {
        let (base, count) = self.tables[T::INDEX];
        assert!(index < count, "a record of the table");
        base.cast::<T::Record>().wrapping_add(index as usize)
    }
}

struct Reader<'a>(&'a Pmdk);

impl Read for Reader<'_> {
    #[inline(always)]
    fn read<T: Table, O>(&mut self, index: u64, look: impl FnOnce(&T::Record) -> O) -> O {
        // SAFETY: the record lies in the pool, any bytes are one, and while the store is borrowed nobody stores.
        look(unsafe { &*self.0.record::<T>(index) })
    }
}

/// A transaction that has begun.
struct Writer<'a>(&'a Pmdk, PhantomData<&'a mut Pmdk>);

impl Read for Writer<'_> {
    #[inline(always)]
    fn read<T: Table, O>(&mut self, index: u64, look: impl FnOnce(&T::Record) -> O) -> O {
        Reader(self.0).read::<T, O>(index, look)
    }
}

impl Writer<'_> {
    #[inline(always)]
    fn add_range<F>(&mut self, target: *mut F, count: usize) {
        // SAFETY: a transaction is open, and the range lies in its pool.
        let error = unsafe { pmemobj_tx_add_range_direct(target.cast(), size_of::<F>() * count) };
        assert_eq!(error, 0, "a range that is logged");
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
        let (value, output) = self.read::<T, _>(index, change);
        let target: *mut F = self.0.record::<T>(index).cast::<u8>().wrapping_add(field.offset()).cast();
        self.add_range(target, 1);
        // SAFETY: the target lies in the pool, the store is borrowed alone, and no record needs alignment.
        unsafe { target.write_unaligned(value) };
        output
    }

    #[inline(always)]
    fn replace<T: Table>(&mut self, index: u64, record: &T::Record) {
        let target = self.0.record::<T>(index);
        self.add_range(target, 1);
        // SAFETY: as above.
        unsafe { target.write_unaligned(*record) };
    }

    #[inline(always)]
    fn fill<T: Table>(&mut self, start: u64, count: usize, word: u64) {
        let (base, records) = self.0.tables[T::INDEX];
        assert!(start.is_multiple_of(8) && start + count as u64 * 8 <= records * T::RECORD_LEN as u64);
        let target: *mut u64 = base.wrapping_add(start as usize).cast();
        self.add_range(target, count);
        // SAFETY: as above; tables begin at multiples of 8, for the library's objects do at multiples of 16.
        unsafe { &mut *ptr::slice_from_raw_parts_mut(target, count) }.fill(word);
    }
}

impl Store for Pmdk {
    fn load<T: Table>(&mut self, mut record: impl FnMut(u64) -> T::Record) {
        let (base, count) = self.tables[T::INDEX];
        for index in 0..count {
            // SAFETY: the record lies in the pool, and the store is borrowed alone.
            unsafe { self.record::<T>(index).write_unaligned(record(index)) };
        }
        // SAFETY: the range lies in the pool.
        unsafe { pmemobj_persist(self.pool.pool, base.cast(), count as usize * T::RECORD_LEN) };
    }

    #[inline(always)]
    fn change(&mut self, work: &mut impl Change) {
        self.pool.begin();
        let end = work.run(&mut Writer(self, PhantomData));
        self.pool.end(end);
    }

    #[inline(always)]
    fn look(&self, work: &mut impl Look) {
        work.run(&mut Reader(self));
    }
}
