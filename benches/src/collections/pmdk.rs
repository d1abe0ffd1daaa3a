//! PMDK's own maps on libpmemobj: `hashmap_tx`, chained, and `btree_map`, of order 8.
//!
//! They are examples of PMDK's, which Debian ships as sources with the library; they are compiled from there as they are.
//! Where they are not installed they do not take part. A map keeps an object's id of 16 bytes under a key; values of 8
//! bytes stand in the id itself, which spares the allocation that longer ones need.
//!
//! The tree has no call that begins at a key, and so no ranges. Nor is anything taken away from it: in version 1.12.1
//! `btree_map_remove` fails ("invalid pool uuid") after some dozens of removals, where more than a thousand keys were
//! inserted in ascending order. The environment is the one of the other comparisons at the level of a process crash. Start at
//! [`contenders`].

#![allow(unsafe_code)] // A library in C.

use std::ffi::{c_int, c_void};
use std::marker::PhantomData;

use super::contenders::{Contender, Made, Structure};
use super::keys::{value, word, word_of};
use super::subject::{Operation, Subject};
use crate::pmdk::{Oid, Pool, PoolFile, Regime};
use crate::records::End;

/// `TOID(struct hashmap_tx)` and `TOID(struct btree_map)`: unions of an id and pointers that exist for their types alone,
/// which are passed as the id is.
type Map = Oid;

/// What is called for each entry of a map.
type Visit = extern "C" fn(key: u64, value: Oid, argument: *mut c_void) -> c_int;

// hashmap_tx.h and btree_map.h among the examples of version 1.12.
unsafe extern "C" {
    fn hm_tx_create(pool: *mut Pool, map: *mut Map, arguments: *mut c_void) -> c_int;
    fn hm_tx_insert(pool: *mut Pool, map: Map, key: u64, value: Oid) -> c_int;
    fn hm_tx_remove(pool: *mut Pool, map: Map, key: u64) -> Oid;
    fn hm_tx_get(pool: *mut Pool, map: Map, key: u64) -> Oid;
    fn hm_tx_foreach(pool: *mut Pool, map: Map, visit: Visit, argument: *mut c_void) -> c_int;
    fn btree_map_create(pool: *mut Pool, map: *mut Map, arguments: *mut c_void) -> c_int;
    fn btree_map_insert(pool: *mut Pool, map: Map, key: u64, value: Oid) -> c_int;
    fn btree_map_remove(pool: *mut Pool, map: Map, key: u64) -> Oid;
    fn btree_map_get(pool: *mut Pool, map: Map, key: u64) -> Oid;
    fn btree_map_foreach(pool: *mut Pool, map: Map, visit: Visit, argument: *mut c_void) -> c_int;
}

/// The calls of a kind of map.
#[derive(Clone, Copy)]
struct Calls {
    create: unsafe extern "C" fn(*mut Pool, *mut Map, *mut c_void) -> c_int,
    insert: unsafe extern "C" fn(*mut Pool, Map, u64, Oid) -> c_int,
    remove: unsafe extern "C" fn(*mut Pool, Map, u64) -> Oid,
    get: unsafe extern "C" fn(*mut Pool, Map, u64) -> Oid,
    foreach: unsafe extern "C" fn(*mut Pool, Map, Visit, *mut c_void) -> c_int,
    /// Whether what is removed can be relied upon.
    removes: bool,
}

const HASH: Calls = Calls {
    create: hm_tx_create,
    insert: hm_tx_insert,
    remove: hm_tx_remove,
    get: hm_tx_get,
    foreach: hm_tx_foreach,
    removes: true,
};

const TREE: Calls = Calls {
    create: btree_map_create,
    insert: btree_map_insert,
    remove: btree_map_remove,
    get: btree_map_get,
    foreach: btree_map_foreach,
    removes: false,
};

/// Both maps, if this process has the environment for them.
pub fn contenders<const LEN: usize>() -> Vec<Contender> {
    if Regime::here() != Some(Regime::Plain) {
        return Vec::new();
    }
    let contender = |name, structure, configuration, calls: Calls| {
        Contender::peer(name, structure, configuration, move |files, entries| {
            let path = files.path();
            // An entry, its share of nodes or buckets, and of the log when the buckets are rebuilt, for half as many more.
            let len = (entries + entries / 2 + 100_000) * (208 + LEN as u64) + (128 << 20);
            let pool = PoolFile::open(&path, len, size_of::<Map>() as u64);
            let root: *mut Map = pool.root().cast();
            // SAFETY: the pool is open, and the map's id has a place in its root, which is zero.
            let error = unsafe { (calls.create)(pool.pool(), root, std::ptr::null_mut()) };
            assert_eq!(error, 0, "a map: {}", crate::pmdk::reason());
            // SAFETY: the root lies in the pool, and any bytes are an id.
            let map = unsafe { root.read() };
            Made::at(path, Pairs::<LEN> { pool, map, calls, values: PhantomData })
        })
    };
    vec![
        contender(
            "libpmemobj hashmap_tx",
            Structure::Hash,
            "PMDK's example hashmap_tx; PMEM_NO_FLUSH=1",
            HASH,
        ),
        contender(
            "libpmemobj btree_map",
            Structure::Btree,
            "PMDK's example btree_map, whose removals fail; PMEM_NO_FLUSH=1",
            TREE,
        ),
    ]
}

/// A map in its pool, whose values have `LEN` bytes.
struct Pairs<const LEN: usize> {
    pool: PoolFile,
    map: Map,
    calls: Calls,
    values: PhantomData<[u8; LEN]>,
}

impl<const LEN: usize> Pairs<LEN> {
    const IS_INLINE: bool = LEN == 8;

    /// A value's id: the value itself, or an object that holds it.
    #[inline(always)]
    fn make(&self, key: u64) -> Oid {
        if Self::IS_INLINE {
            return Oid { pool_id: 1, offset: word(key) };
        }
        let id = self.pool.alloc(LEN);
        let place: *mut [u8; LEN] = self.pool.at(id).cast();
        // SAFETY: the object lies in the pool and has `LEN` bytes; this transaction has allocated it.
        unsafe { place.write(value(key)) };
        id
    }

    /// The word of a value that is there.
    #[inline(always)]
    fn word(&self, id: Oid) -> u64 {
        if Self::IS_INLINE {
            return id.offset;
        }
        let place: *const [u8; LEN] = self.pool.at(id).cast();
        // SAFETY: the object lies in the pool and has `LEN` bytes, any of which are a value.
        word_of(&unsafe { place.read() })
    }

    fn within(&self, keys: &[u64], batch: usize, mut work: impl FnMut(u64)) {
        for keys in keys.chunks(batch) {
            self.pool.begin();
            keys.iter().for_each(|&key| work(key));
            self.pool.end(End::Commit);
        }
    }
}

/// A walk on its way.
struct Walk<'a, const LEN: usize> {
    pairs: &'a Pairs<LEN>,
    left: u64,
    count: u64,
    sum: u64,
}

extern "C" fn visit<const LEN: usize>(_: u64, value: Oid, argument: *mut c_void) -> c_int {
    // SAFETY: `iterate` hands on its own walk, which nobody else has while it goes on.
    let walk = unsafe { &mut *argument.cast::<Walk<'_, LEN>>() };
    if walk.left == 0 {
        return 1;
    }
    walk.left -= 1;
    walk.count += 1;
    walk.sum = walk.sum.wrapping_add(walk.pairs.word(value));
    0
}

impl<const LEN: usize> Subject for Pairs<LEN> {
    fn offers(&self, operation: Operation) -> bool {
        operation != Operation::Range && (operation != Operation::Remove || self.calls.removes)
    }

    fn insert(&mut self, keys: &[u64], batch: usize) {
        self.within(keys, batch, |key| {
            let value = self.make(key);
            // SAFETY: the map lies in the pool, which is open.
            let error = unsafe { (self.calls.insert)(self.pool.pool(), self.map, key, value) };
            assert_eq!(error, 0, "an entry that is new");
        });
    }

    fn get(&mut self, keys: &[u64], _: usize) -> u64 {
        keys.iter().fold(0, |sum: u64, &key| {
            // SAFETY: as above.
            let value = unsafe { (self.calls.get)(self.pool.pool(), self.map, key) };
            if value.pool_id == 0 { sum } else { sum.wrapping_add(self.word(value)) }
        })
    }

    fn remove(&mut self, keys: &[u64], batch: usize) {
        self.within(keys, batch, |key| {
            // SAFETY: as above.
            let value = unsafe { (self.calls.remove)(self.pool.pool(), self.map, key) };
            assert!(value.pool_id != 0, "an entry that is there: {key} {}", crate::pmdk::reason());
            if !Self::IS_INLINE {
                self.pool.free(value);
            }
        });
    }

    fn iterate(&mut self, limit: u64) -> (u64, u64) {
        let mut walk = Walk::<LEN> { pairs: self, left: limit, count: 0, sum: 0 };
        // SAFETY: as above; the callback is given the walk that it expects.
        unsafe { (self.calls.foreach)(self.pool.pool(), self.map, visit::<LEN>, (&raw mut walk).cast()) };
        (walk.count, walk.sum)
    }

    fn range(&mut self, _: &[u64]) -> u64 {
        unreachable!("its maps have no ranges")
    }
}
