//! A hash map that grows step by step. Start at [`PHashMap::insert`] and [`PHashMap::get`]; `table.rs` tells how a
//! table is searched, `grow.rs` how one follows another.

pub(crate) mod audit; // whether one is sound
mod entry; // a place in the map, whether something is there or not
mod grow; // from one table to the next
mod hash; // where a key belongs
mod iter; // all entries
mod set; // keys alone
mod table; // groups of slots

use std::borrow::Borrow;
use std::ops::Range;

pub use entry::{Entry, OccupiedEntry, VacantEntry};
pub use iter::{Iter, Keys, Values};
pub use set::PHashSet;

use crate::collections::audit::Typed;
use crate::collections::handle::handle;
use crate::collections::layout::HashMapHeader;
use crate::content::{Audit, Depth};
use crate::error::Result;
use crate::seal::fold;
use crate::{Describer, Key, PPtr, Persistent, Reader, Writer, field};
use hash::hash_of;
use table::{At, Phase, Search, Shape, Spot, Table, Vacancy, View};

handle! {
    /// A hash map: std's `HashMap`, in a segment.
    ///
    /// ```
    /// use vista::{PHashMap, PString, Segment};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("counts");
    /// let mut segment = Segment::<PHashMap<PString, u64>>::open_or_create(&path, 1 << 20)?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let counts = PHashMap::or_new(tx, tx.root_ptr())?;
    ///     for word in "the more the better".split(' ') {
    ///         *counts.entry(tx, word)?.or_insert(0)? += 1;
    ///     }
    ///     counts.remove(tx, "more")?;
    ///     Ok(())
    /// })?;
    /// let counts = *segment.root()?;
    /// assert_eq!(counts.get(&segment, "the")?, Some(&2));
    /// assert_eq!(counts.len(&segment)?, 2);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Keys are whatever is a [`Key`]: plain values, searched by themselves; strings, searched by `&str` or `&[u8]`,
    /// which the map makes and frees. A value that is replaced or removed is returned to the caller, with all that it
    /// owns.
    ///
    /// # Cost
    /// A search reads the header and, mostly, one group of eight slots. `insert` and `remove` log two records: the
    /// control bytes of the group; the number of entries and the room that is left. What the slot of a new entry held is
    /// logged only if the same transaction has removed an entry from its group. Replacing a value logs the value.
    ///
    /// No call does the work of a whole growth: when three quarters of the slots are in use, a second table is
    /// allocated, and each insert prepares two groups of it. When it is ready, it takes all new entries, and each
    /// insert and each removal moves one group of eight slots to it; searches look into both until the first one is
    /// empty and freed (or until [`shrink_to_fit`](PHashMap::shrink_to_fit) or `reserve` moves the rest at once). Such
    /// a step logs the control bytes of each entry that it moves, and eight entries are the most. The memory of both
    /// tables is needed meanwhile: [`with_capacity`](PHashMap::with_capacity) and [`reserve`](PHashMap::reserve) avoid
    /// it where the number of entries is known. Freed slots are used again; a table that is full of them is followed by
    /// one of the same size.
    ///
    /// # Hostile keys
    /// Where a key lies depends on a seed in the header. `new` makes the seed of numbers that can be guessed, so that
    /// the same program makes the same file: who chooses keys can then make many of them lie in one place, and every
    /// search long. Where keys come from strangers, give a random one to [`with_seed`](PHashMap::with_seed), and let
    /// nobody read the file. The hash is quick and not a cryptographic one.
    ///
    /// # What a crash leaves
    /// The map as it was before the transaction. It may have been growing: it goes on where it was.
    PHashMap<K, V> of HashMapHeader, described as "PHashMap"
}

const HEADER_ALIGN: u64 = align_of::<HashMapHeader>() as u64;
const HEADER_LEN: u64 = size_of::<HashMapHeader>() as u64;

/// The header of a map without memory.
const fn empty_header(seed: u64) -> HashMapHeader {
    HashMapHeader { seed, table: 0, next: 0, table_bits: 0, next_bits: 0, len: 0, room: 0, progress: 0 }
}

/// Making one, and asking for what it holds.
impl<K: Key, V: Persistent> PHashMap<K, V> {
    /// Makes an empty map. Memory for entries comes with the first of them.
    ///
    /// ```
    /// # use vista::{PHashMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// let map = PHashMap::new(tx)?;
    /// *tx.root_mut()? = map; // What nothing holds can never be released.
    /// map.insert(tx, 1, 10)?;
    /// assert_eq!(map.get(tx, 1)?, Some(&10));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoSpace`](crate::Error::NoSpace) if the segment is full.
    pub fn new(tx: &mut impl Writer) -> Result<Self> {
        Self::with_capacity(tx, 0)
    }

    /// Makes an empty map that takes `capacity` entries before it has to grow.
    ///
    /// ```
    /// # use vista::{PHashMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// let map = PHashMap::with_capacity(tx, 100)?;
    /// *tx.root_mut()? = map;
    /// let capacity = map.capacity(tx)?;
    /// map.extend(tx, (0..100).map(|n| (n, n * 10)))?; // Without growing.
    /// assert!(capacity >= 100 && map.capacity(tx)? == capacity);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](PHashMap::new).
    pub fn with_capacity(tx: &mut impl Writer, capacity: usize) -> Result<Self> {
        let header = Self::allocate_header(tx)?;
        // No two maps have the same, and the same program makes the same ones.
        Self::make(tx, header, capacity, fold(header.offset(), tx.number() | 1 << 63))
    }

    /// Makes an empty map whose hashes are keyed by `seed`: a random number that nobody can guess, where strangers
    /// choose the keys.
    ///
    /// ```
    /// # use vista::{PHashMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let random = 0x5c1f_70a4_2b9e_d386; // In a program, of the system.
    /// let map = PHashMap::with_seed(tx, random)?;
    /// *tx.root_mut()? = map;
    /// map.insert(tx, 1, 10)?;
    /// assert_eq!(map.get(tx, 1)?, Some(&10));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](PHashMap::new).
    pub fn with_seed(tx: &mut impl Writer, seed: u64) -> Result<Self> {
        Self::with_capacity_and_seed(tx, 0, seed)
    }

    /// Makes an empty map that takes `capacity` entries before it has to grow, and whose hashes are keyed by `seed`.
    ///
    /// ```
    /// # use vista::{PHashMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let random = 0x5c1f_70a4_2b9e_d386; // In a program, of the system.
    /// let map = PHashMap::with_capacity_and_seed(tx, 100, random)?;
    /// *tx.root_mut()? = map;
    /// assert!(map.is_empty(tx)? && map.capacity(tx)? >= 100);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](PHashMap::new).
    pub fn with_capacity_and_seed(tx: &mut impl Writer, capacity: usize, seed: u64) -> Result<Self> {
        let header = Self::allocate_header(tx)?;
        Self::make(tx, header, capacity, seed)
    }

    fn allocate_header(tx: &mut impl Writer) -> Result<PPtr<HashMapHeader>> {
        Ok(PPtr::from_offset(tx.alloc_block(HEADER_LEN, HEADER_ALIGN)?))
    }

    fn make(tx: &mut impl Writer, header: PPtr<HashMapHeader>, capacity: usize, seed: u64) -> Result<Self> {
        tx.store_spare(header, empty_header(seed))?;
        let map = Self::from_header(header);
        map.reserve(tx, capacity)?;
        Ok(map)
    }

    /// The map that a field holds; if it holds none yet, makes one and stores it there.
    ///
    /// A crash leaves the field null again, and the map's memory free.
    ///
    /// ```
    /// # use vista::{PHashMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// let map = PHashMap::or_new(tx, tx.root_ptr())?;
    /// map.insert(tx, 1, 10)?;
    /// let same = PHashMap::or_new(tx, tx.root_ptr())?;
    /// assert_eq!(same.get(tx, 1)?, Some(&10));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](PHashMap::new), and [`Error::BadPointer`](crate::Error::BadPointer) if `field` leads to no field.
    pub fn or_new(tx: &mut impl Writer, field: PPtr<Self>) -> Result<Self> {
        Self::or_make(tx, field, Self::new)
    }

    /// The header, its fields in agreement; that of an empty map for null.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(in crate::collections) fn load(self, on: &impl Reader) -> Result<HashMapHeader> {
        if self.is_null() {
            return Ok(empty_header(0));
        }
        self.load_to_write(on)
    }

    /// The header of a map that is written to.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn load_to_write(self, on: &impl Reader) -> Result<HashMapHeader> {
        let header = *on.get(self.header)?; // Null is an error here.
        header.check(on, self.offset())?;
        Ok(header)
    }

    /// Number of entries.
    ///
    /// ```
    /// # use vista::{PHashMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let map = PHashMap::or_new(tx, tx.root_ptr())?;
    /// map.extend(tx, [(1, 10), (2, 20), (1, 30)])?;
    /// assert_eq!(map.len(tx)?, 2);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) if the header is not sound.
    pub fn len(self, on: &impl Reader) -> Result<usize> {
        Ok(self.load(on)?.len as usize)
    }

    /// Whether there are no entries.
    ///
    /// ```
    /// # use vista::{PHashMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let map = PHashMap::or_new(tx, tx.root_ptr())?;
    /// assert!(map.is_empty(tx)?);
    /// map.insert(tx, 1, 10)?;
    /// assert!(!map.is_empty(tx)?);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`len`](PHashMap::len).
    pub fn is_empty(self, on: &impl Reader) -> Result<bool> {
        Ok(self.load(on)?.len == 0)
    }

    /// Number of entries for which there is memory, before the map has to grow. Slots whose entries were removed count.
    ///
    /// ```
    /// # use vista::{PHashMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let map = PHashMap::or_new(tx, tx.root_ptr())?;
    /// assert_eq!(map.capacity(tx)?, 0);
    /// map.reserve(tx, 100)?;
    /// assert!(map.capacity(tx)? >= 100);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`len`](PHashMap::len).
    pub fn capacity(self, on: &impl Reader) -> Result<usize> {
        let header = self.load(on)?;
        let table = if header.next == 0 { header.main() } else { header.following() };
        Ok(if table.offset == 0 { 0 } else { (table.room() - table.groups()) as usize })
    }

    /// The value of a key.
    ///
    /// ```
    /// # use vista::{PHashMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PHashMap::or_new(tx, tx.root_ptr())?;
    /// ages.insert(tx, "Ada", 36)?;
    /// assert_eq!((ages.get(tx, "Ada")?, ages.get(tx, "Bob")?), (Some(&36), None));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) or [`Error::BadPointer`](crate::Error::BadPointer) if header, table
    /// or key is not sound.
    #[inline]
    pub fn get<A: Reader>(self, on: &A, key: impl Borrow<K::View>) -> Result<Option<&V>> {
        self.look(on, key.borrow(), |table, at| table.value(at))
    }

    /// The key in the map that equals this one, and its value.
    ///
    /// ```
    /// # use vista::{PHashMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PHashMap::or_new(tx, tx.root_ptr())?;
    /// ages.insert(tx, "Ada", 36)?;
    /// let (key, age) = ages.get_key_value(tx, "Ada")?.unwrap();
    /// assert_eq!((key.as_str(tx)?, age), ("Ada", &36));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](PHashMap::get).
    #[inline]
    pub fn get_key_value<A: Reader>(self, on: &A, key: impl Borrow<K::View>) -> Result<Option<(&K, &V)>> {
        self.look(on, key.borrow(), |table, at| (table.key(at), table.value(at)))
    }

    /// Whether a key has an entry.
    ///
    /// ```
    /// # use vista::{PHashMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PHashMap::or_new(tx, tx.root_ptr())?;
    /// ages.insert(tx, "Ada", 36)?;
    /// assert!(ages.contains_key(tx, "Ada")? && !ages.contains_key(tx, "Bob")?);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](PHashMap::get).
    #[inline]
    pub fn contains_key(self, on: &impl Reader, key: impl Borrow<K::View>) -> Result<bool> {
        Ok(self.look(on, key.borrow(), |_, _| ())?.is_some())
    }

    /// Where the value of a key lies: for what takes a pointer. It is good until the map is changed.
    ///
    /// ```
    /// # use vista::{PHashMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let map = PHashMap::or_new(tx, tx.root_ptr())?;
    /// map.extend(tx, [(1, 10), (2, 20)])?;
    /// let (one, two) = (map.place(tx, 1)?.unwrap(), map.place(tx, 2)?.unwrap());
    /// let (one, two) = tx.get_disjoint_mut((one, two))?; // Both at once, and one fence.
    /// std::mem::swap(one, two);
    /// assert_eq!(map.get(tx, 1)?, Some(&20));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](PHashMap::get).
    #[inline]
    pub fn place(self, on: &impl Reader, key: impl Borrow<K::View>) -> Result<Option<PPtr<V>>> {
        self.look(on, key.borrow(), |table, at| table.spot(at).value())
    }

    /// Looks for a key, and takes what is wanted of its slot.
    #[inline]
    fn look<'a, A: Reader, T>(
        self,
        on: &'a A,
        view: &K::View,
        take: impl Fn(&View<'a, K, V>, At) -> T,
    ) -> Result<Option<T>> {
        if self.is_null() {
            return Ok(None);
        }
        // Not copied as a whole, which takes as long as all the rest.
        let header = on.get(self.header)?;
        let hash = hash_of(header.seed, K::bytes_of(view));
        if header.next != 0 || header.table == 0 {
            return self.look_in_both(on, header, hash, view, take);
        }
        let table = View::new(on, header.main(), 0)?;
        Ok(table.find(on, hash, view)?.map(|at| take(&table, at)))
    }

    /// Looks for a key while the map grows, or has no table yet.
    #[inline(never)]
    fn look_in_both<'a, A: Reader, T>(
        self,
        on: &'a A,
        header: &HashMapHeader,
        hash: u64,
        view: &K::View,
        take: impl Fn(&View<'a, K, V>, At) -> T,
    ) -> Result<Option<T>> {
        header.check(on, self.offset())?;
        if header.table == 0 {
            return Ok(None);
        }
        let mut moved = 0;
        if let Phase::Moving(count) = header.phase() {
            let next = View::new(on, header.following(), 0)?;
            if let Some(at) = next.find(on, hash, view)? {
                return Ok(Some(take(&next, at)));
            }
            moved = count;
        }
        let table = View::new(on, header.main(), moved)?;
        Ok(table.find(on, hash, view)?.map(|at| take(&table, at)))
    }

    /// The tables in which there are entries.
    fn views<'a, A: Reader>(self, on: &'a A, header: &HashMapHeader) -> Result<[Option<View<'a, K, V>>; 2]> {
        let view = |table: Table, moved| match table.offset {
            0 => Ok(None),
            _ => View::new(on, table, moved).map(Some),
        };
        match header.phase() {
            Phase::Moving(moved) => Ok([view(header.main(), moved)?, view(header.following(), 0)?]),
            Phase::Settled | Phase::Cleaning(_) => Ok([view(header.main(), 0)?, None]),
        }
    }
}

/// Changing it.
impl<K: Key, V: Persistent> PHashMap<K, V> {
    /// Lends the value of a key for writing; logs it alone.
    ///
    /// ```
    /// # use vista::{PHashMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PHashMap::or_new(tx, tx.root_ptr())?;
    /// ages.insert(tx, "Ada", 36)?;
    /// *ages.get_mut(tx, "Ada")?.unwrap() += 1;
    /// assert_eq!(ages.get(tx, "Ada")?, Some(&37));
    /// assert_eq!(ages.get_mut(tx, "Bob")?, None);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](PHashMap::get), and [`Error::NoSpace`](crate::Error::NoSpace) if the log has no room.
    #[inline]
    pub fn get_mut<W: Writer>(self, tx: &mut W, key: impl Borrow<K::View>) -> Result<Option<&mut V>> {
        match self.place(tx, key)? {
            Some(place) => tx.get_mut(place).map(Some),
            None => Ok(None),
        }
    }

    /// Gives a key a value, and returns the one that it had, with all that it owns. The key that is in the map stays.
    ///
    /// A crash leaves the old value, or no entry; and takes back the step by which the insertion has let the map grow.
    ///
    /// ```
    /// # use vista::{PHashMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PHashMap::or_new(tx, tx.root_ptr())?;
    /// assert_eq!(ages.insert(tx, "Ada", 36)?, None);
    /// assert_eq!(ages.insert(tx, "Ada", 37)?, Some(36));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoSpace`](crate::Error::NoSpace); [`Error::NullPointer`](crate::Error::NullPointer) for the null
    /// handle; as [`get`](PHashMap::get).
    #[inline]
    pub fn insert(self, tx: &mut impl Writer, key: impl Borrow<K::View>, value: V) -> Result<Option<V>> {
        let view = key.borrow();
        let (hash, found) = self.search(tx, view)?;
        match found {
            Search::Found(spot) => {
                let old = *tx.get(spot.value())?;
                tx.write(spot.value(), value)?;
                Ok(Some(old))
            }
            Search::Missing(vacancy) => {
                self.add(tx, hash, vacancy, view, value)?;
                Ok(None)
            }
        }
    }

    /// Looks for a key that may have to be added: its hash, and what was found.
    #[inline]
    fn search(self, on: &impl Reader, view: &K::View) -> Result<(u64, Search<K, V>)> {
        // Not copied as a whole, which takes as long as all the rest.
        let header = on.get(self.header)?;
        header.check(on, self.offset())?;
        let hash = hash_of(header.seed, K::bytes_of(view));
        if header.next != 0 || header.table == 0 {
            let found = self.look_in_both(on, header, hash, view, |table, at| table.spot(at))?;
            return Ok((hash, found.map_or(Search::Missing(None), Search::Found)));
        }
        Ok((hash, View::new(on, header.main(), 0)?.find_or_vacancy(on, hash, view)?))
    }

    /// Adds an entry of a key that there is not, into the vacancy of a settled map or where it finds one.
    #[inline]
    fn add(
        self,
        tx: &mut impl Writer,
        hash: u64,
        vacancy: Option<Vacancy<K, V>>,
        view: &K::View,
        value: V,
    ) -> Result<Spot<K, V>> {
        let key = K::make(tx, view)?;
        let header = tx.get(self.header)?;
        let (len, room, kept) = (header.len, header.room, header.main().groups());
        let is_quick = |vacancy: &Vacancy<K, V>| !vacancy.takes_room() || room > kept;
        let Some(vacancy) = vacancy.filter(is_quick) else {
            return self.add_and_grow(tx, hash, key, value);
        };
        self.fill(tx, &vacancy, hash, key, value)?;
        let room = room - u64::from(vacancy.takes_room()); // There is more than is kept.
        tx.write(self.counts(), [len.saturating_add(1), room])?;
        Ok(vacancy.spot)
    }

    /// Stores an entry into a slot that has none. What the slot holds is logged if its group has given up an entry in this
    /// transaction (INV-C27).
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn fill(self, tx: &mut impl Writer, vacancy: &Vacancy<K, V>, hash: u64, key: K, value: V) -> Result<()> {
        let spot = vacancy.spot;
        let is_spare = !tx.has_vacated(spot.group.offset()) || planted!(DeletedSlotAsSpare);
        tx.put(is_spare, spot.key(), key)?;
        tx.put(is_spare, spot.value(), value)?;
        tx.write(spot.group.ctrl(), vacancy.taken(hash).0)
    }

    /// One empty slot less.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn less_room(self, on: &impl Reader, room: u64) -> Result<u64> {
        match room.checked_sub(1) {
            Some(room) => Ok(room),
            None => {
                let expected = "more than none while slots are empty";
                Err(on.damaged(self.offset(), "hash map: room", 0, expected))
            }
        }
    }

    /// Length and room, side by side, so that one record has both; behind them stands the progress.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn counts(self) -> PPtr<[u64; 2]> {
        field!(self.header, HashMapHeader, len).cast()
    }

    /// Removes a key, and returns its value with all that it owns.
    ///
    /// A crash leaves the entry where it was, with its key.
    ///
    /// ```
    /// # use vista::{PHashMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PHashMap::or_new(tx, tx.root_ptr())?;
    /// ages.insert(tx, "Ada", 36)?;
    /// assert_eq!((ages.remove(tx, "Ada")?, ages.remove(tx, "Ada")?), (Some(36), None));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](PHashMap::insert).
    #[inline]
    pub fn remove(self, tx: &mut impl Writer, key: impl Borrow<K::View>) -> Result<Option<V>> {
        let Some((key, value)) = self.remove_entry(tx, key)? else { return Ok(None) };
        key.release(tx, Depth::default())?;
        Ok(Some(value))
    }

    /// Removes a key, and returns it and its value, with all that they own.
    ///
    /// ```
    /// # use vista::{PHashMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PHashMap::or_new(tx, tx.root_ptr())?;
    /// ages.insert(tx, "Ada", 36)?;
    /// let (key, age) = ages.remove_entry(tx, "Ada")?.unwrap();
    /// assert_eq!((key.as_str(tx)?, age), ("Ada", 36));
    /// tx.release(key)?; // It belongs to the caller now.
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](PHashMap::insert).
    #[inline]
    pub fn remove_entry(self, tx: &mut impl Writer, key: impl Borrow<K::View>) -> Result<Option<(K, V)>> {
        match self.look(tx, key.borrow(), |table, at| table.spot(at))? {
            Some(spot) => self.take(tx, spot).map(Some),
            None => self.load_to_write(tx).map(|_| None), // Null is an error here.
        }
    }

    /// Removes the entry of a slot.
    #[inline]
    fn take(self, tx: &mut impl Writer, spot: Spot<K, V>) -> Result<(K, V)> {
        let (key, value) = (*tx.get(spot.key())?, *tx.get(spot.value())?);
        let before = spot.group.load(tx)?;
        let after = before.without(spot.slot);
        let header = tx.get(self.header)?;
        header.check(tx, self.offset())?;
        let len = self.less_entries(tx, header.len, 1)?;
        let room = header.room_without(spot.group, before, 1);
        let is_growing = header.next != 0;
        tx.vacate(spot.group.offset());
        tx.write(spot.group.ctrl(), after.0)?;
        tx.write(self.counts(), [len, room])?;
        if is_growing {
            self.go_on(tx)?;
        }
        Ok((key, value))
    }

    /// So many entries less.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn less_entries(self, on: &impl Reader, len: u64, count: u64) -> Result<u64> {
        match len.checked_sub(count) {
            Some(len) => Ok(len),
            None => Err(on.damaged(self.offset(), "hash map: length", len, "the number of entries")),
        }
    }

    /// The entry of a key, to look at, change, add or remove it with one search.
    ///
    /// ```
    /// # use vista::{PHashMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PHashMap::or_new(tx, tx.root_ptr())?;
    /// for name in ["Ada", "Bob", "Ada"] {
    ///     *ages.entry(tx, name)?.or_insert(0)? += 1;
    /// }
    /// assert_eq!((ages.get(tx, "Ada")?, ages.get(tx, "Bob")?), (Some(&2), Some(&1)));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](PHashMap::insert).
    #[inline]
    pub fn entry<'t, W: Writer, Q: Borrow<K::View>>(
        self,
        tx: &'t mut W,
        key: Q,
    ) -> Result<Entry<'t, K, V, W, Q>> {
        let (hash, found) = self.search(tx, key.borrow())?;
        Ok(Entry::new(self, tx, hash, found, key))
    }

    /// Inserts entries. A value that is replaced is released.
    ///
    /// After a crash none of the entries is inserted, and no value replaced.
    ///
    /// ```
    /// # use vista::{PHashMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let map = PHashMap::or_new(tx, tx.root_ptr())?;
    /// map.insert(tx, 2, 0)?;
    /// map.extend(tx, (1..=3).map(|n| (n, n * 10)))?;
    /// assert_eq!((map.len(tx)?, map.get(tx, 2)?), (3, Some(&20)));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert`](PHashMap::insert); the entries before the one that failed are inserted.
    pub fn extend<Q: Borrow<K::View>>(
        self,
        tx: &mut impl Writer,
        entries: impl IntoIterator<Item = (Q, V)>,
    ) -> Result<()> {
        for (key, value) in entries {
            if let Some(old) = self.insert(tx, key, value)? {
                old.release(tx, Depth::default())?;
            }
        }
        Ok(())
    }

    /// Calls `change` with every key and a copy of its value, and stores the copies that it changed; logs those.
    ///
    /// ```
    /// # use vista::{PHashMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let map = PHashMap::or_new(tx, tx.root_ptr())?;
    /// map.extend(tx, [(1, 10), (2, 20)])?;
    /// map.for_each_mut(tx, |key, value| *value += key)?;
    /// assert_eq!((map.get(tx, 1)?, map.get(tx, 2)?), (Some(&11), Some(&22)));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get_mut`](PHashMap::get_mut).
    pub fn for_each_mut(self, tx: &mut impl Writer, mut change: impl FnMut(&K, &mut V)) -> Result<()> {
        self.retain(tx, |key, value| {
            change(key, value);
            true
        })
    }

    /// Keeps the entries for which `keep` is true, with the value that `keep` leaves in the copy it is given. Keys and
    /// values of the others are released.
    ///
    /// After a crash the others are there again, with all that they own, and no value has changed.
    ///
    /// ```
    /// # use vista::{PHashMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let map = PHashMap::or_new(tx, tx.root_ptr())?;
    /// map.extend(tx, (1..=4).map(|n| (n, n * 10)))?;
    /// map.retain(tx, |key, _| key % 2 == 0)?;
    /// assert!(map.len(tx)? == 2 && map.contains_key(tx, 4)? && !map.contains_key(tx, 3)?);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`remove`](PHashMap::remove).
    pub fn retain(self, tx: &mut impl Writer, mut keep: impl FnMut(&K, &mut V) -> bool) -> Result<()> {
        let mut header = self.load_to_write(tx)?;
        for (table, groups) in self.places(tx, &header)? {
            for index in groups {
                let group = table.group::<K, V>(index);
                let ctrl = group.load(tx)?;
                let mut kept = ctrl;
                for slot in ctrl.full() {
                    let spot = group.spot(slot);
                    let (key, old) = (*tx.get(spot.key())?, *tx.get(spot.value())?);
                    let mut value = old;
                    if !keep(&key, &mut value) {
                        kept = kept.without(slot);
                        key.release(tx, Depth::default())?;
                        value.release(tx, Depth::default())?;
                    } else if bytemuck::bytes_of(&old) != bytemuck::bytes_of(&value) {
                        tx.write(spot.value(), value)?;
                    }
                }
                if kept != ctrl {
                    tx.vacate(group.offset());
                    let count = ctrl.full().count() - kept.full().count();
                    header.len = self.less_entries(tx, header.len, count as u64)?;
                    header.room = header.room_without(group, ctrl, count as u64);
                    tx.write(group.ctrl(), kept.0)?;
                    tx.write(self.counts(), [header.len, header.room])?;
                }
            }
        }
        Ok(())
    }

    /// The tables in which there are entries, and in which of their groups.
    fn places(self, on: &impl Reader, header: &HashMapHeader) -> Result<[(Table, Range<u64>); 2]> {
        // They lie in the user data: then a walk over them ends.
        let groups = |view: &Option<View<'_, K, V>>| view.as_ref().map_or(0..0, View::groups_left);
        let [main, next] = self.views(on, header)?;
        Ok([(header.main(), groups(&main)), (header.following(), groups(&next))])
    }

    /// Removes all entries and returns them, in no order. They belong to the caller now, and are not released. Gives
    /// back the memory.
    ///
    /// ```
    /// # use vista::{PHashMap, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<u64, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let map = PHashMap::or_new(tx, tx.root_ptr())?;
    /// map.extend(tx, [(1, 10), (2, 20)])?;
    /// let mut all = map.drain(tx)?;
    /// all.sort();
    /// assert_eq!(all, [(1, 10), (2, 20)]);
    /// assert!(map.is_empty(tx)?);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`remove`](PHashMap::remove).
    pub fn drain(self, tx: &mut impl Writer) -> Result<Vec<(K, V)>> {
        let header = self.load_to_write(tx)?;
        let entries = self.iter(tx)?.map(|(key, value)| (*key, *value)).collect();
        self.free_tables(tx, header)?;
        Ok(entries)
    }

    /// Removes all entries, and releases keys and values. Gives back the memory, which is cheaper than to keep it: what
    /// is kept would have to be logged.
    ///
    /// ```
    /// # use vista::{PHashMap, PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<PString, u64>>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let ages = PHashMap::or_new(tx, tx.root_ptr())?;
    /// ages.extend(tx, [("Ada", 36), ("Bob", 48)])?;
    /// ages.clear(tx)?;
    /// assert_eq!((ages.len(tx)?, ages.capacity(tx)?), (0, 0));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`remove`](PHashMap::remove), and of releasing.
    pub fn clear(self, tx: &mut impl Writer) -> Result<()> {
        let header = self.load_to_write(tx)?;
        self.release_entries(tx, &header, Depth::default())?;
        self.free_tables(tx, header)
    }

    /// Frees what keys and values own.
    fn release_entries(self, tx: &mut impl Writer, header: &HashMapHeader, depth: Depth) -> Result<()> {
        if !K::OWNS && !V::OWNS {
            return Ok(());
        }
        for (table, groups) in self.places(tx, header)? {
            for index in groups {
                let group = table.group::<K, V>(index);
                for slot in group.load(tx)?.full() {
                    let spot = group.spot(slot);
                    let (key, value) = (*tx.get(spot.key())?, *tx.get(spot.value())?);
                    key.release(tx, depth)?;
                    value.release(tx, depth)?;
                }
            }
        }
        Ok(())
    }

    /// Frees the tables; the map is empty then.
    fn free_tables(self, tx: &mut impl Writer, header: HashMapHeader) -> Result<()> {
        for table in [header.main(), header.following()] {
            self.free_table(tx, table)?;
        }
        tx.write(self.header, empty_header(header.seed))
    }

    fn free_table(self, tx: &mut impl Writer, table: Table) -> Result<()> {
        match table.offset {
            0 => Ok(()),
            offset => tx.free_block(offset, table.len::<K, V>(), Shape::<K, V>::ALIGN),
        }
    }
}

impl<K: Key, V: Persistent> Persistent for PHashMap<K, V> {
    const OWNS: bool = true;

    fn describe(describer: &mut Describer) -> String {
        ["PHashMap<", &K::describe(describer), ", ", &V::describe(describer), ">"].concat()
    }

    fn release(&self, tx: &mut impl Writer, depth: Depth) -> Result<()> {
        if self.is_null() {
            return Ok(());
        }
        let depth = depth.deeper(tx)?;
        let header = self.load(tx)?;
        self.release_entries(tx, &header, depth)?;
        for table in [header.main(), header.following()] {
            self.free_table(tx, table)?;
        }
        tx.free_block(self.offset(), HEADER_LEN, HEADER_ALIGN)
    }

    fn audit(&self, on: &impl Reader, audit: &mut Audit, depth: Depth) {
        let (keys, values) = (Typed::<_, K>::new(on), Typed::<_, V>::new(on));
        audit::hash_map(on, audit, self.offset(), &keys, &values, depth);
    }
}
