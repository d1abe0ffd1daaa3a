//! YCSB's core workloads A, B, C and F: records of ten fields, some of which are asked for far more often than others.
//!
//! Cooper, Silberstein, Tam, Ramakrishnan and Sears, "Benchmarking Cloud Serving Systems with YCSB", SoCC 2010, has A, B
//! and C; F came with the distribution (`workloads/workloadf`). The parameters are theirs: a record has 10 fields of
//! 100 bytes; a read reads all of them, a write stores one; records are chosen by a Zipfian distribution with the constant
//! 0.99, and scattered over the keys by a hash of their rank, so that popular ones do not lie side by side.
//!
//! | workload | reads | updates | read-modify-writes |
//! |---|---:|---:|---:|
//! | A | 50 % | 50 % | |
//! | B | 95 % | 5 % | |
//! | C | 100 % | | |
//! | F | 50 % | | 50 % |
//!
//! D and E insert records, which tables of a fixed length have no room for. What is stored is one word over and over,
//! since its content costs the client time and the engine none. Start at [`Request::at`] and [`Model`].

use crate::random::{below, draw};

/// Fields of a record.
pub const FIELD_COUNT: usize = 10;
/// Bytes of a field.
pub const FIELD_LEN: usize = 100;
/// The Zipfian constant.
pub const SKEW: f64 = 0.99;

/// A field: one word over and over.
///
/// ```
/// # use workloads::ycsb::{self, Kind, Mix, Model, Request, Zipfian};
/// let field: ycsb::Field = ycsb::field(7);
/// assert_eq!((field.len(), field[0], field[8]), (100, 7, 7));
/// ```
pub type Field = [u8; FIELD_LEN];
/// A record: 1000 bytes.
///
/// ```
/// # use workloads::ycsb::{self, Kind, Mix, Model, Request, Zipfian};
/// let record: ycsb::Record = ycsb::record(42, 0);
/// assert_eq!(record.as_flattened().len(), 1000);
/// ```
pub type Record = [Field; FIELD_COUNT];

/// Which of the workloads.
///
/// ```
/// # use workloads::ycsb::{self, Kind, Mix, Model, Request, Zipfian};
/// assert_eq!(Mix::ALL.map(Mix::read_percent), [50, 95, 100, 50]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// Half are reads, half updates.
    A,
    /// 95 in 100 are reads, the others updates.
    B,
    /// All are reads.
    C,
    /// Half are reads, half read a record and store a field of it.
    F,
}

impl Mix {
    /// All of them.
    pub const ALL: [Mix; 4] = [Mix::A, Mix::B, Mix::C, Mix::F];

    /// Reads in a hundred.
    ///
    /// Example: see [`Mix`].
    pub fn read_percent(self) -> u32 {
        match self {
            Mix::A | Mix::F => 50,
            Mix::B => 95,
            Mix::C => 100,
        }
    }
}

/// What a request asks for.
///
/// ```
/// # use workloads::ycsb::{self, Kind, Mix, Model, Request, Zipfian};
/// let keys = Zipfian::new(1000);
/// assert_eq!(Request::at(Mix::C, &keys, 42, 0).kind, Kind::Read); // As all of this workload.
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// To read all fields of a record.
    Read,
    /// To store one field, whatever was there.
    Update,
    /// To read all fields, and to store one that depends on them.
    ReadModifyWrite,
}

/// One request, which is one transaction.
///
/// Example: see [`at`](Request::at).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The record.
    pub key: u32,
    /// The field that is stored.
    pub field: u8,
    /// What is asked for.
    pub kind: Kind,
    /// What the new field is made of.
    pub word: u64,
}

impl Request {
    /// Request number `index` of the run with this seed.
    ///
    /// ```
    /// # use workloads::ycsb::{self, Kind, Mix, Model, Request, Zipfian};
    /// let keys = Zipfian::new(1000);
    /// let request = Request::at(Mix::A, &keys, 42, 0);
    /// assert!(request.key < 1000 && request.field < 10);
    /// assert_eq!(request, Request::at(Mix::A, &keys, 42, 0));
    /// ```
    pub fn at(mix: Mix, keys: &Zipfian, seed: u64, index: u64) -> Request {
        let [who, what, word] = [0, 1, 2].map(|part| draw(seed, index.wrapping_mul(3).wrapping_add(part)));
        let kind = if below(100, what as u32) < mix.read_percent() {
            Kind::Read
        } else if mix == Mix::F {
            Kind::ReadModifyWrite
        } else {
            Kind::Update
        };
        let field = below(FIELD_COUNT as u32, (what >> 32) as u32) as u8;
        Request { key: keys.key(who), field, kind, word }
    }
}

/// The field made of this word.
///
/// ```
/// # use workloads::ycsb::{self, Kind, Mix, Model, Request, Zipfian};
/// assert_eq!(ycsb::field(0x0102)[..4], [2, 1, 0, 0]);
/// ```
#[inline(always)]
pub fn field(word: u64) -> Field {
    let mut field = [0; FIELD_LEN];
    field.chunks_mut(8).for_each(|place| place.copy_from_slice(&word.to_le_bytes()[..place.len()]));
    field
}

/// The record that a key has before the first request.
///
/// ```
/// # use workloads::ycsb::{self, Kind, Mix, Model, Request, Zipfian};
/// assert_eq!(ycsb::record(42, 7), Model::new(42, 10).records[7]);
/// ```
pub fn record(seed: u64, key: u32) -> Record {
    std::array::from_fn(|index| field(draw(!seed, u64::from(key) * FIELD_COUNT as u64 + index as u64)))
}

/// What reading a record gives, so that a read that is not made is noticed: the sum of its words.
///
/// ```
/// # use workloads::ycsb::{self, Kind, Mix, Model, Request, Zipfian};
/// let mut record = ycsb::record(42, 0);
/// let sum = ycsb::sum(&record);
/// record[9][95] ^= 1;
/// assert_ne!(ycsb::sum(&record), sum);
/// ```
#[inline(always)]
pub fn sum(record: &Record) -> u64 {
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    record.as_flattened().chunks_exact(8).fold(0, |sum: u64, bytes| sum.wrapping_add(word(bytes)))
}

/// The field that a read-modify-write stores, where it has read this [`sum`].
///
/// ```
/// # use workloads::ycsb::{self, Kind, Mix, Model, Request, Zipfian};
/// let request = Request { key: 0, field: 3, kind: Kind::ReadModifyWrite, word: 9 };
/// assert_eq!(ycsb::modified(&request, 1), ycsb::field(8)); // 9 and 1, by exclusive or.
/// ```
#[inline(always)]
pub fn modified(request: &Request, sum: u64) -> Field {
    field(request.word ^ sum)
}

/// Numbers below a count, of which a few are drawn often, by the method of Gray, Sundaresan, Englert, Baclawski and
/// Weinberger, "Quickly Generating Billion-Record Synthetic Databases", SIGMOD 1994, which YCSB uses.
///
/// ```
/// # use workloads::ycsb::{self, Kind, Mix, Model, Request, Zipfian};
/// let keys = Zipfian::new(1000);
/// let first = (0..1000).filter(|&index| keys.rank(workloads::draw(42, index)) == 0).count();
/// assert!(first > 50, "{first} times, and alike it would be once");
/// ```
#[derive(Clone, Debug)]
pub struct Zipfian {
    count: u32,
    zeta: f64,
    eta: f64,
}

impl Zipfian {
    /// Among so many records.
    ///
    /// Example: see [`Zipfian`].
    ///
    /// # Panics
    /// If there are fewer than two.
    pub fn new(count: u32) -> Zipfian {
        assert!(count >= 2, "records to choose from");
        let zeta = |count: u32| (1..=count).map(|rank| f64::from(rank).powf(-SKEW)).sum::<f64>();
        let (all, two) = (zeta(count), zeta(2));
        let eta = (1.0 - (2.0 / f64::from(count)).powf(1.0 - SKEW)) / (1.0 - two / all);
        Zipfian { count, zeta: all, eta }
    }

    /// Number of records.
    ///
    /// ```
    /// # use workloads::ycsb::{self, Kind, Mix, Model, Request, Zipfian};
    /// assert_eq!(Zipfian::new(1000).count(), 1000);
    /// ```
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The rank that these random bits choose: 0 most often.
    ///
    /// ```
    /// # use workloads::ycsb::{self, Kind, Mix, Model, Request, Zipfian};
    /// let keys = Zipfian::new(1000);
    /// assert_eq!(keys.rank(0), 0);
    /// assert!(keys.rank(u64::MAX) < 1000);
    /// ```
    pub fn rank(&self, bits: u64) -> u32 {
        let share = (bits >> 11) as f64 / (1_u64 << 53) as f64;
        let scaled = share * self.zeta;
        if scaled < 1.0 {
            return 0;
        }
        if scaled < 1.0 + 0.5_f64.powf(SKEW) {
            return 1;
        }
        let rank = f64::from(self.count) * (self.eta * share - self.eta + 1.0).powf(1.0 / (1.0 - SKEW));
        (rank as u32).min(self.count - 1)
    }

    /// The key that these random bits choose: that of the rank's hash (FNV-1a), as in YCSB. Two ranks may share a key.
    ///
    /// ```
    /// # use workloads::ycsb::{self, Kind, Mix, Model, Request, Zipfian};
    /// let keys = Zipfian::new(1000);
    /// let bits = workloads::draw(42, 0);
    /// assert!(keys.key(bits) < 1000 && keys.key(bits) == keys.key(bits));
    /// ```
    pub fn key(&self, bits: u64) -> u32 {
        let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        let hash = u64::from(self.rank(bits)).to_le_bytes().into_iter().fold(0xCBF2_9CE4_8422_2325, hash);
        (hash % u64::from(self.count)) as u32
    }
}

/// The records in a plain vector, with what has been read.
///
/// Example: see [`apply`](Model::apply).
#[derive(Clone, Debug)]
pub struct Model {
    /// By key.
    pub records: Vec<Record>,
    /// Sum of all that was read.
    pub read: u64,
}

impl Model {
    /// Before the first request.
    ///
    /// Example: see [`apply`](Model::apply).
    pub fn new(seed: u64, count: u32) -> Model {
        Model { records: (0..count).map(|key| record(seed, key)).collect(), read: 0 }
    }

    /// Does what a request asks for.
    ///
    /// ```
    /// # use workloads::ycsb::{self, Kind, Mix, Model, Request, Zipfian};
    /// let (keys, mut model) = (Zipfian::new(10), Model::new(42, 10));
    /// let request = Request { key: 3, field: 0, kind: Kind::Update, word: 7 };
    /// model.apply(&request);
    /// assert_eq!(model.records[3][0], ycsb::field(7));
    /// # let _ = keys;
    /// ```
    pub fn apply(&mut self, request: &Request) {
        let record = &mut self.records[request.key as usize];
        let sum = sum(record);
        let place = &mut record[usize::from(request.field)];
        match request.kind {
            Kind::Read => {}
            Kind::Update => *place = field(request.word),
            Kind::ReadModifyWrite => *place = modified(request, sum),
        }
        if request.kind != Kind::Update {
            self.read = self.read.wrapping_add(sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_the_requests_are_those_of_the_definition() {
        let keys = Zipfian::new(1000);
        for mix in Mix::ALL {
            let requests: Vec<_> = (0..20_000).map(|index| Request::at(mix, &keys, 7, index)).collect();
            let share = |kind: Kind| {
                100.0 * requests.iter().filter(|request| request.kind == kind).count() as f64 / 20_000.0
            };
            let reads = f64::from(mix.read_percent());
            assert!((share(Kind::Read) - reads).abs() < 1.5, "{mix:?}: {} % reads", share(Kind::Read));
            let writes = if mix == Mix::F { Kind::ReadModifyWrite } else { Kind::Update };
            assert!((share(writes) - (100.0 - reads)).abs() < 1.5, "{mix:?}: {} % writes", share(writes));
            assert!((0..10).all(|field| requests.iter().any(|request| request.field == field)));
        }
    }

    #[test]
    fn ranks_are_drawn_as_often_as_zipf_has_it() {
        let (count, draws) = (1000, 200_000);
        let keys = Zipfian::new(count);
        let mut found = vec![0; count as usize];
        (0..draws).for_each(|index| found[keys.rank(draw(3, index)) as usize] += 1);
        let zeta: f64 = (1..=count).map(|rank| f64::from(rank).powf(-SKEW)).sum();
        // The first two are exact, the others an approximation of the method.
        for (rank, slack) in [(0, 0.03), (1, 0.05), (9, 0.2), (99, 0.35)] {
            let expected = draws as f64 * f64::from(rank + 1).powf(-SKEW) / zeta;
            let off = f64::from(found[rank as usize]) / expected - 1.0;
            assert!(off.abs() < slack, "rank {rank}: {} of {expected}", found[rank as usize]);
        }
        assert_eq!(keys.rank(0), 0);
        assert!(keys.rank(u64::MAX) < count);
    }

    #[test]
    fn popular_keys_are_scattered_and_another_seed_is_another_run() {
        let keys = Zipfian::new(1000);
        let of_ranks: Vec<_> = [0, u64::MAX / 7].map(|bits| keys.key(bits)).into();
        assert!(of_ranks[0].abs_diff(of_ranks[1]) > 1, "{of_ranks:?}");
        assert_ne!(Request::at(Mix::A, &keys, 1, 5), Request::at(Mix::A, &keys, 2, 5));
        assert_eq!(Request::at(Mix::A, &keys, 1, 5), Request::at(Mix::A, &keys, 1, 5));
    }

    #[test]
    fn what_a_read_modify_write_stores_depends_on_all_that_it_has_read() {
        let request = Request { key: 1, field: 3, kind: Kind::ReadModifyWrite, word: 9 };
        let mut models = [Model::new(1, 4), Model::new(1, 4)];
        models[1].records[1][9][95] ^= 1;
        models.iter_mut().for_each(|model| model.apply(&request));
        assert_ne!(models[0].records[1][3], models[1].records[1][3]);
        assert_ne!(models[0].read, models[1].read);
    }
}
