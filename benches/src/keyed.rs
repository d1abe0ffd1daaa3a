//! Engines of keys and values behind the seam of [`records`](crate::records): a table is a map from index to record.
//!
//! A field is changed by reading the whole record, which is copied once, and storing it whole. Start at [`Keyed`].

use vista::Persistent;

use crate::records::{Field, Read, Table, Write};

/// A transaction of such an engine that reads.
pub trait Get {
    /// Looks at a record's bytes.
    ///
    /// # Panics
    /// If there is none.
    fn get<T: Table, O>(&mut self, key: u64, look: impl FnOnce(&[u8]) -> O) -> O;
}

/// A transaction of such an engine that writes.
pub trait Put: Get {
    /// Stores a record's bytes.
    fn put<T: Table>(&mut self, key: u64, value: &[u8]);

    /// Changes a record. An engine that finds it only once for both says how.
    fn edit<T: Table, O>(&mut self, key: u64, change: impl FnOnce(&mut T::Record) -> O) -> O {
        let mut record = self.get::<T, T::Record>(key, |bytes| *bytemuck::from_bytes(bytes));
        let output = change(&mut record);
        self.put::<T>(key, bytemuck::bytes_of(&record));
        output
    }
}

/// The transaction of an engine of keys and values, as the seam has it.
pub struct Keyed<K>(pub K);

impl<K: Get> Read for Keyed<K> {
    fn read<T: Table, O>(&mut self, index: u64, look: impl FnOnce(&T::Record) -> O) -> O {
        self.0.get::<T, O>(index, |bytes| look(bytemuck::from_bytes(bytes)))
    }
}

impl<K: Put> Write for Keyed<K> {
    fn update<T: Table, F: Persistent, O>(
        &mut self,
        index: u64,
        field: Field<T, F>,
        change: impl FnOnce(&T::Record) -> (F, O),
    ) -> O {
        self.0.edit::<T, O>(index, |record| {
            let (value, output) = change(record);
            bytemuck::bytes_of_mut(record)[field.range()].copy_from_slice(bytemuck::bytes_of(&value));
            output
        })
    }

    fn replace<T: Table>(&mut self, index: u64, record: &T::Record) {
        self.0.put::<T>(index, bytemuck::bytes_of(record));
    }

    fn fill<T: Table>(&mut self, start: u64, count: usize, word: u64) {
        let record_len = T::RECORD_LEN as u64;
        let end = start + count as u64 * 8;
        let fill = |bytes: &mut [u8]| {
            bytes.chunks_mut(8).for_each(|place| place.copy_from_slice(&word.to_le_bytes()))
        };
        for index in start / record_len..end.div_ceil(record_len) {
            let first = index * record_len;
            let part = start.max(first) - first..end.min(first + record_len) - first;
            let part = part.start as usize..part.end as usize;
            if part.len() == T::RECORD_LEN {
                let mut record: T::Record = bytemuck::Zeroable::zeroed();
                fill(bytemuck::bytes_of_mut(&mut record));
                self.0.put::<T>(index, bytemuck::bytes_of(&record));
            } else {
                self.0.edit::<T, ()>(index, |record| fill(&mut bytemuck::bytes_of_mut(record)[part.clone()]));
            }
        }
    }
}

/// Names of the tables, for engines that want some.
pub const NAMES: [&str; crate::records::TABLES_MAX] = ["t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7"];

/// Records in a transaction while tables are filled.
pub const LOAD_LEN: u64 = 50_000;

/// What is wrong if there is no record.
pub const MISSING: &str = "a record of the table";
