//! std's maps behind the seam of [`records`](crate::records): the bound for engines that find a record by its key.
//!
//! Nothing is logged and nothing survives. The hash map has std's own hasher. A map holds one table, of records of `LEN`
//! bytes. Start at [`Plain`].

use std::collections::{BTreeMap, HashMap};

use vista::Persistent;

use crate::records::{Change, End, Field, Look, Read, Store, Table, Write};

/// A map from indices to records.
pub trait Map<const LEN: usize>: Default {
    /// A record.
    fn get(&self, key: u64) -> Option<&[u8; LEN]>;

    /// A record, to be changed.
    fn get_mut(&mut self, key: u64) -> Option<&mut [u8; LEN]>;

    /// Adds a record.
    fn insert(&mut self, key: u64, record: [u8; LEN]);
}

/// Both of std's maps have these under the same names.
macro_rules! map {
    ($map:ident) => {
        impl<const LEN: usize> Map<LEN> for $map<u64, [u8; LEN]> {
            #[inline(always)]
            fn get(&self, key: u64) -> Option<&[u8; LEN]> {
                $map::get(self, &key)
            }

            #[inline(always)]
            fn get_mut(&mut self, key: u64) -> Option<&mut [u8; LEN]> {
                $map::get_mut(self, &key)
            }

            fn insert(&mut self, key: u64, record: [u8; LEN]) {
                $map::insert(self, key, record);
            }
        }
    };
}

map!(HashMap);
map!(BTreeMap);

/// The store: the map, and the number of records to fill it with.
pub struct Plain<C, const LEN: usize> {
    map: C,
    count: u64,
}

const MISSING: &str = "a record of the table";

impl<C: Map<LEN>, const LEN: usize> Plain<C, LEN> {
    /// With room for so many records.
    pub fn new(count: u64) -> Self {
        Plain { map: C::default(), count }
    }

    #[inline(always)]
    fn record_mut<T: Table>(&mut self, index: u64) -> &mut T::Record {
        bytemuck::from_bytes_mut(self.map.get_mut(index).expect(MISSING))
    }
}

/// What both kinds of transactions of this store are: the store itself.
struct Records<S>(S);

impl<C: Map<LEN>, const LEN: usize> Read for Records<&Plain<C, LEN>> {
    #[inline(always)]
    fn read<T: Table, O>(&mut self, index: u64, look: impl FnOnce(&T::Record) -> O) -> O {
        look(bytemuck::from_bytes(self.0.map.get(index).expect(MISSING)))
    }
}

impl<C: Map<LEN>, const LEN: usize> Read for Records<&mut Plain<C, LEN>> {
    #[inline(always)]
    fn read<T: Table, O>(&mut self, index: u64, look: impl FnOnce(&T::Record) -> O) -> O {
        Records(&*self.0).read::<T, O>(index, look)
    }
}

impl<C: Map<LEN>, const LEN: usize> Write for Records<&mut Plain<C, LEN>> {
    #[inline(always)]
    fn update<T: Table, F: Persistent, O>(
        &mut self,
        index: u64,
        field: Field<T, F>,
        change: impl FnOnce(&T::Record) -> (F, O),
    ) -> O {
        let record = self.0.record_mut::<T>(index);
        let (value, output) = change(record);
        bytemuck::bytes_of_mut(record)[field.range()].copy_from_slice(bytemuck::bytes_of(&value));
        output
    }

    #[inline(always)]
    fn replace<T: Table>(&mut self, index: u64, record: &T::Record) {
        *self.0.record_mut::<T>(index) = *record;
    }

    fn fill<T: Table>(&mut self, start: u64, count: usize, word: u64) {
        let at = |offset: u64| (offset / LEN as u64, (offset % LEN as u64) as usize);
        for (offset, byte) in (start..start + count as u64 * 8).zip(word.to_le_bytes().into_iter().cycle()) {
            let (index, place) = at(offset);
            self.0.map.get_mut(index).expect(MISSING)[place] = byte;
        }
    }
}

impl<C: Map<LEN>, const LEN: usize> Store for Plain<C, LEN> {
    const CAN_ABORT: bool = false;

    fn load<T: Table>(&mut self, mut record: impl FnMut(u64) -> T::Record) {
        assert_eq!((T::INDEX, T::RECORD_LEN), (0, LEN), "the one table of this store");
        for index in 0..self.count {
            let mut bytes = [0; LEN];
            bytes.copy_from_slice(bytemuck::bytes_of(&record(index)));
            self.map.insert(index, bytes);
        }
    }

    #[inline(always)]
    fn change(&mut self, work: &mut impl Change) {
        let end = work.run(&mut Records(self));
        assert_eq!(end, End::Commit, "nothing can be taken back");
    }

    #[inline(always)]
    fn look(&self, work: &mut impl Look) {
        work.run(&mut Records(self));
    }
}
