//! Vista's maps behind the seam of [`records`](crate::records): a record is found by its key, and what is logged is the
//! field that changes.
//!
//! A map holds one table, of records of `LEN` bytes. Start at [`MapKind`].

use std::marker::PhantomData;
use std::ops::Range;

use rio::{Domain, Medium};
use vista::layout::LOG_OFFSET;
use vista::{PBTreeMap, PHashMap, PPtr, Persistent, Reader, Result, Segment, Transaction, Writer};

use crate::engine::Level;
use crate::records::{Change, End, Field, Look, OnMedium, Read, Size, Store, Table, Write};

/// Length of the log: vista's default in a segment of 64 MiB.
const LOG_LEN: u64 = 1 << 20;
/// Records in a transaction that fills the table.
const LOAD_LEN: u64 = 1000;

const FAULTLESS: &str = "a transaction without fault";
const SOUND: &str = "a sound segment";
const MISSING: &str = "a record of the table";

/// A map from indices to records.
pub trait Map<const LEN: usize>: Persistent {
    /// As the map's `or_new`.
    ///
    /// # Errors
    /// Vista's, as of all that follow.
    fn or_new(tx: &mut impl Writer, field: PPtr<Self>) -> Result<Self>;

    /// Adds a record.
    ///
    /// # Errors
    /// Vista's.
    fn add(self, tx: &mut impl Writer, key: u64, record: [u8; LEN]) -> Result<()>;

    /// Where a record lies.
    ///
    /// # Errors
    /// Vista's.
    fn place(self, on: &impl Reader, key: u64) -> Result<Option<PPtr<[u8; LEN]>>>;
}

/// Both maps have these under the same names.
macro_rules! map {
    ($map:ident) => {
        impl<const LEN: usize> Map<LEN> for $map<u64, [u8; LEN]> {
            fn or_new(tx: &mut impl Writer, field: PPtr<Self>) -> Result<Self> {
                $map::or_new(tx, field)
            }

            fn add(self, tx: &mut impl Writer, key: u64, record: [u8; LEN]) -> Result<()> {
                self.insert(tx, key, record).map(drop)
            }

            #[inline(always)]
            fn place(self, on: &impl Reader, key: u64) -> Result<Option<PPtr<[u8; LEN]>>> {
                $map::place(self, on, key)
            }
        }
    };
}

map!(PHashMap);
map!(PBTreeMap);

/// The store: a segment whose root is the map.
pub struct Mapped<C: Persistent, M: Medium, const LEN: usize> {
    segment: Segment<C, M>,
    map: C,
    count: u64,
}

/// A record as the table's type, which has the same bytes.
#[inline(always)]
fn record_at<C: Map<LEN>, T: Table, const LEN: usize>(on: &impl Reader, map: C, key: u64) -> PPtr<T::Record> {
    PPtr::from_offset(map.place(on, key).expect(SOUND).expect(MISSING).offset())
}

struct Records<'a, C: Persistent, M: Medium, const LEN: usize>(&'a Segment<C, M>, C);

impl<C: Map<LEN>, M: Medium, const LEN: usize> Read for Records<'_, C, M, LEN> {
    #[inline(always)]
    fn read<T: Table, O>(&mut self, index: u64, look: impl FnOnce(&T::Record) -> O) -> O {
        look(self.0.get(record_at::<C, T, LEN>(self.0, self.1, index)).expect(SOUND))
    }
}

struct Writing<'a, 's, C: Persistent, M: Medium, const LEN: usize>(&'a mut Transaction<'s, C, M>, C);

impl<C: Map<LEN>, M: Medium, const LEN: usize> Read for Writing<'_, '_, C, M, LEN> {
    #[inline(always)]
    fn read<T: Table, O>(&mut self, index: u64, look: impl FnOnce(&T::Record) -> O) -> O {
        look(self.0.get(record_at::<C, T, LEN>(self.0, self.1, index)).expect(FAULTLESS))
    }
}

impl<C: Map<LEN>, M: Medium, const LEN: usize> Write for Writing<'_, '_, C, M, LEN> {
    #[inline(always)]
    fn update<T: Table, F: Persistent, O>(
        &mut self,
        index: u64,
        field: Field<T, F>,
        change: impl FnOnce(&T::Record) -> (F, O),
    ) -> O {
        let record = record_at::<C, T, LEN>(self.0, self.1, index);
        let (value, output) = change(self.0.get(record).expect(FAULTLESS));
        let place = PPtr::from_offset(record.offset() + field.offset() as u64);
        self.0.write(place, value).expect(FAULTLESS);
        output
    }

    #[inline(always)]
    fn replace<T: Table>(&mut self, index: u64, record: &T::Record) {
        let place = record_at::<C, T, LEN>(self.0, self.1, index);
        self.0.write(place, *record).expect(FAULTLESS);
    }

    fn fill<T: Table>(&mut self, start: u64, count: usize, word: u64) {
        let bytes = word.to_le_bytes().into_iter().cycle();
        for (offset, byte) in (start..start + count as u64 * 8).zip(bytes) {
            let record = record_at::<C, T, LEN>(self.0, self.1, offset / LEN as u64);
            let place = PPtr::from_offset(record.offset() + offset % LEN as u64);
            self.0.write(place, byte).expect(FAULTLESS);
        }
    }
}

impl<C: Map<LEN>, M: Medium, const LEN: usize> Store for Mapped<C, M, LEN> {
    fn load<T: Table>(&mut self, mut record: impl FnMut(u64) -> T::Record) {
        assert_eq!((T::INDEX, T::RECORD_LEN), (0, LEN), "the one table of this store");
        let map = self.map;
        for first in (0..self.count).step_by(LOAD_LEN as usize) {
            let done = self.segment.transaction(|tx| {
                (first..self.count.min(first + LOAD_LEN)).try_for_each(|index| {
                    let mut bytes = [0; LEN];
                    bytes.copy_from_slice(bytemuck::bytes_of(&record(index)));
                    map.add(tx, index, bytes)
                })
            });
            done.expect("room for the table");
        }
    }

    #[inline(always)]
    fn change(&mut self, work: &mut impl Change) {
        let map = self.map;
        let mut tx = self.segment.begin().expect(FAULTLESS);
        match work.run(&mut Writing::<C, M, LEN>(&mut tx, map)) {
            End::Commit => tx.commit().expect(FAULTLESS),
            End::Abort => tx.abort().expect(FAULTLESS),
        }
    }

    #[inline(always)]
    fn look(&self, work: &mut impl Look) {
        work.run(&mut Records::<C, M, LEN>(&self.segment, self.map));
    }
}

/// [`Mapped`], in this map.
pub struct MapKind<C, const LEN: usize>(PhantomData<fn() -> C>);

impl<C, const LEN: usize> MapKind<C, LEN> {
    /// It.
    pub fn new() -> Self {
        MapKind(PhantomData)
    }
}

impl<C, const LEN: usize> Default for MapKind<C, LEN> {
    fn default() -> Self {
        MapKind::new()
    }
}

impl<C, const LEN: usize> Clone for MapKind<C, LEN> {
    fn clone(&self) -> Self {
        MapKind::new()
    }
}

impl<C: Map<LEN>, const LEN: usize> OnMedium for MapKind<C, LEN> {
    type Store<M: Medium> = Mapped<C, M, LEN>;

    fn medium_len(&self, sizes: &[Size]) -> u64 {
        // Tables and nodes that are half empty at worst, and one that is grown out of.
        let records: u64 = sizes.iter().map(|size| size.count * (LEN as u64 + 16)).sum();
        3 * records + (4 << 20)
    }

    fn log(&self, _: &[Size]) -> Range<u64> {
        LOG_OFFSET..LOG_OFFSET + LOG_LEN
    }

    fn level(&self, domain: Domain) -> Level {
        if domain == Domain::PageCache { Level::ProcessCrash } else { Level::PowerLoss }
    }

    fn make<M: Medium>(&self, medium: M, sizes: &[Size]) -> Mapped<C, M, LEN> {
        let mut segment = Segment::<C, M>::create_on(medium, LOG_LEN).expect("a new segment");
        let map = segment.transaction(|tx| C::or_new(tx, tx.root_ptr())).expect(FAULTLESS);
        Mapped { segment, map, count: sizes[0].count }
    }
}
