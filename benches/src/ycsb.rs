//! YCSB's core workloads for any store: records of 1000 bytes under keys, a few of which are asked for often.
//!
//! The table has 50,000 records, as many bytes as debit-credit's. Engines whose data are memory store the field that a
//! request changes; those of keys and values read the record and store it whole, as YCSB's bindings for them do. Start at
//! [`Ycsb`].

use std::sync::Arc;

use workloads::ycsb::{self, FIELD_LEN, Kind, Mix, Model, Record, Request, Zipfian};

use crate::records::{Change, Digest, End, Field, Look, Read, Size, Store, Table, Workload, Write};

/// Records of the comparison.
pub const RECORD_COUNT: u32 = 50_000;
/// Seed of what the records hold before the first request.
const LOAD_SEED: u64 = 2010;

/// The one table.
pub struct Records;

impl Table for Records {
    type Record = Record;
    const INDEX: usize = 0;
}

/// The workload, whichever mix its requests are of.
#[derive(Clone, Copy, Debug)]
pub struct Ycsb {
    count: u32,
}

impl Ycsb {
    /// On so many records.
    pub fn new(count: u32) -> Self {
        Ycsb { count }
    }
}

/// The first `count` requests.
pub fn requests(mix: Mix, record_count: u32, seed: u64, count: usize) -> Arc<[Request]> {
    let keys = Zipfian::new(record_count);
    (0..count as u64).map(|index| Request::at(mix, &keys, seed, index)).collect()
}

/// The digest after these requests.
pub fn model(record_count: u32, requests: &[Request]) -> u64 {
    let mut model = Model::new(LOAD_SEED, record_count);
    requests.iter().for_each(|request| model.apply(request));
    let mut digest = Digest::default();
    model.records.iter().for_each(|record| digest.add(bytemuck::bytes_of(record)));
    digest.end_table();
    with_read(digest, model.read)
}

fn with_read(mut digest: Digest, read: u64) -> u64 {
    digest.add(&read.to_le_bytes());
    digest.get()
}

/// A request that reads, and what it has read.
struct Reading(u64, u64);

impl Look for Reading {
    #[inline(always)]
    fn run(&mut self, records: &mut impl Read) {
        self.1 = records.read::<Records, _>(self.0, ycsb::sum);
    }
}

/// A request that stores, and what it has read.
struct Storing<'a>(&'a Request, u64);

impl Change for Storing<'_> {
    #[inline(always)]
    fn run(&mut self, records: &mut impl Write) -> End {
        let &mut Storing(request, _) = self;
        let place =
            Field::<Records, ycsb::Field>::new(usize::from(request.field) * FIELD_LEN, |record| &record[0]);
        if request.kind == Kind::Update {
            records.update(request.key.into(), place, |_| (ycsb::field(request.word), ()));
        } else {
            self.1 = records.update(request.key.into(), place, |record| {
                let sum = ycsb::sum(record);
                (ycsb::modified(request, sum), sum)
            });
        }
        End::Commit
    }
}

impl Workload for Ycsb {
    type Input = Request;
    /// Sum of all that was read.
    type State = u64;

    fn sizes(&self) -> Vec<Size> {
        vec![Size::of::<Records>("usertable", self.count.into())]
    }

    fn load(&self, store: &mut impl Store) {
        store.load::<Records>(|key| ycsb::record(LOAD_SEED, key as u32));
    }

    fn state(&self, _: &impl Store) -> u64 {
        0
    }

    fn admits(&self, request: &Request) -> bool {
        request.key < self.count && usize::from(request.field) < ycsb::FIELD_COUNT
    }

    #[inline(always)]
    fn transact(&self, read: &mut u64, store: &mut impl Store, request: &Request) {
        let sum = if request.kind == Kind::Read {
            let mut reading = Reading(request.key.into(), 0);
            store.look(&mut reading);
            reading.1
        } else {
            let mut storing = Storing(request, 0);
            store.change(&mut storing);
            storing.1
        };
        *read = read.wrapping_add(sum);
    }

    fn digest(&self, read: &u64, store: &impl Store) -> u64 {
        let mut digest = Digest::default();
        digest.add_table::<Records>(store, self.count.into());
        with_read(digest, *read)
    }
}
