//! The bank in plain vectors, and the comparison of a segment with it.
//!
//! The model knows nothing of segments and transactions; it adds. Start at [`Model::verify`].

use std::fmt;

use rio::Medium;
use vista::{Error, PSlice, Persistent, Segment, rio};

use crate::{Account, Bank, Branch, History, RING_LEN, Scale, Teller, Transfer};

/// What a bank holds after a number of transfers. It only goes forward, so a test that looks at a segment again
/// and again keeps one, which then replays no transfer twice.
///
/// Example: see [`verify`](Model::verify).
#[derive(Clone, Debug)]
pub struct Model {
    scale: Scale,
    seed: u64,
    count: u64,
    accounts: Vec<i64>,
    tellers: Vec<i64>,
    branches: Vec<i64>,
    /// Sum of all amounts: what the sum of each table has to be.
    delta_sum: i128,
}

/// What a verification has found to be right.
///
/// ```
/// # use vista::SegmentOptions;
/// # use workloads::{Bank, Discrepancy, Model, Scale, Transfer, debit_credit, transaction_count, verify};
/// # let scale = Scale::new(1).unwrap();
/// # let mut segment = SegmentOptions::new().size(scale.segment_bytes()).anonymous::<Bank>()?;
/// # segment.transaction(|tx| Bank::create_in(tx, scale))?;
/// # let bank = *segment.root()?;
/// let verified = verify(&segment, 42)?;
/// assert_eq!((verified.count, verified.sum), (0, 0)); // A new bank.
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Number of transactions in the segment: all with an index below this, and no others.
    pub count: u64,
    /// Sum of the accounts' balances, which is that of the tellers' and that of the branches'.
    pub sum: i128,
}

/// The first thing that is not as the model has it.
///
/// ```
/// # use vista::SegmentOptions;
/// # use workloads::{Bank, Discrepancy, Model, Scale, Transfer, debit_credit, transaction_count, verify};
/// # let scale = Scale::new(1).unwrap();
/// # let mut segment = SegmentOptions::new().size(scale.segment_bytes()).anonymous::<Bank>()?;
/// # segment.transaction(|tx| Bank::create_in(tx, scale))?;
/// # let bank = *segment.root()?;
/// segment.transaction(|tx| {
///     let account = tx.slice_mut(bank.accounts)?;
///     account[7].balance.add(1); // That no transfer has put there.
///     Ok::<_, vista::Error>(())
/// })?;
/// assert!(matches!(verify(&segment, 42), Err(Discrepancy::Record { table: "account", index: 7, .. })));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Discrepancy {
    /// A table cannot be read.
    Unreadable(Error),
    /// A table has another length.
    Length {
        /// The table.
        table: &'static str,
        /// Number of its records.
        found: u64,
        /// What the scale makes of it.
        expected: u64,
    },
    /// Transactions have been there and are gone.
    Lost {
        /// Number of transactions in the segment.
        found: u64,
        /// Number that had been there before.
        expected: u64,
    },
    /// A record holds something else.
    Record {
        /// The table.
        table: &'static str,
        /// Index of the record in it.
        index: u64,
        /// The field that differs.
        field: &'static str,
        /// What it holds.
        found: i128,
        /// What the model holds.
        expected: i128,
        /// Number of transactions that the model has replayed.
        count: u64,
    },
    /// The balances of a table do not add up.
    Sum {
        /// The table.
        table: &'static str,
        /// Their sum.
        found: i128,
        /// The sum of all amounts.
        expected: i128,
    },
}

impl fmt::Display for Discrepancy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Discrepancy::Unreadable(error) => write!(f, "the bank cannot be read: {error}"),
            Discrepancy::Length { table, found, expected } => {
                write!(f, "{table}: found {found} records, expected {expected}")
            }
            Discrepancy::Lost { found, expected } => {
                write!(f, "history: found {found} transactions, expected at least {expected}")
            }
            Discrepancy::Record { table, index, field, found, expected, count } => write!(
                f,
                "{table} {index}: {field}: found {found}, expected {expected} after {count} transactions"
            ),
            Discrepancy::Sum { table, found, expected } => {
                write!(f, "{table}: the sum of balances: found {found}, expected {expected}")
            }
        }
    }
}

impl std::error::Error for Discrepancy {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Discrepancy::Unreadable(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Error> for Discrepancy {
    fn from(error: Error) -> Self {
        Discrepancy::Unreadable(error)
    }
}

/// Compares a segment with a model replayed from the beginning. For repeated looks keep a [`Model`].
///
/// Example: see [`Bank`].
///
/// # Errors
/// As [`Model::verify`].
pub fn verify<M: Medium>(segment: &Segment<Bank, M>, seed: u64) -> Result<Verified, Discrepancy> {
    let bank = segment.root()?;
    let expected = Discrepancy::Length { table: "branches", found: bank.branches.len() as u64, expected: 1 };
    Model::new(bank.scale().ok_or(expected)?, seed).verify(segment)
}

/// Number of transactions that the segment holds, by its newest history record. That they are all there is for
/// [`verify`] to say.
///
/// ```
/// # use vista::SegmentOptions;
/// # use workloads::{Bank, Discrepancy, Model, Scale, Transfer, debit_credit, transaction_count, verify};
/// # let scale = Scale::new(1).unwrap();
/// # let mut segment = SegmentOptions::new().size(scale.segment_bytes()).anonymous::<Bank>()?;
/// # segment.transaction(|tx| Bank::create_in(tx, scale))?;
/// # let bank = *segment.root()?;
/// segment.transaction(|tx| debit_credit(tx, &bank, &Transfer::at(scale, 42, 0), 0))?;
/// assert_eq!(transaction_count(&segment)?, 1);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of [`Segment::slice`].
pub fn transaction_count<M: Medium>(segment: &Segment<Bank, M>) -> Result<u64, Error> {
    let history = segment.slice(segment.root()?.history)?;
    Ok(newest_number(history))
}

fn newest_number(history: &[History]) -> u64 {
    history.iter().map(History::number).max().unwrap_or(0)
}

impl Model {
    /// The bank before the first transfer of the run with this seed.
    ///
    /// ```
    /// # use workloads::{Model, Scale};
    /// let mut model = Model::new(Scale::new(1).unwrap(), 42);
    /// assert_eq!((model.seed(), model.count()), (42, 0));
    /// ```
    pub fn new(scale: Scale, seed: u64) -> Model {
        Model {
            scale,
            seed,
            count: 0,
            accounts: vec![0; scale.accounts() as usize],
            tellers: vec![0; scale.tellers() as usize],
            branches: vec![0; scale.branches() as usize],
            delta_sum: 0,
        }
    }

    /// The seed of the run.
    ///
    /// Example: see [`new`](Model::new).
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Number of transfers so far.
    ///
    /// Example: see [`new`](Model::new).
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Applies the next transfer.
    ///
    /// ```
    /// # use workloads::{Model, Scale};
    /// let mut model = Model::new(Scale::new(1).unwrap(), 42);
    /// model.apply_next();
    /// assert_eq!(model.count(), 1);
    /// ```
    pub fn apply_next(&mut self) {
        let transfer = Transfer::at(self.scale, self.seed, self.count);
        self.accounts[transfer.account as usize] += transfer.delta;
        self.tellers[transfer.teller as usize] += transfer.delta;
        self.branches[transfer.branch as usize] += transfer.delta;
        self.delta_sum += i128::from(transfer.delta);
        self.count += 1;
    }

    /// Applies transfers until there are `count`; no fewer than before.
    ///
    /// ```
    /// # use workloads::{Model, Scale};
    /// let mut model = Model::new(Scale::new(1).unwrap(), 42);
    /// model.advance_to(1000);
    /// model.advance_to(10); // No fewer than before.
    /// assert_eq!(model.count(), 1000);
    /// ```
    pub fn advance_to(&mut self, count: u64) {
        while self.count < count {
            self.apply_next();
        }
    }

    /// Finds how many transactions the segment holds, replays that many, and compares every account, teller, branch
    /// and history record, and the sums.
    ///
    /// A transaction that is half there, or not there although a later one is, differs somewhere from the model at
    /// any count.
    ///
    /// ```
    /// # use vista::SegmentOptions;
    /// # use workloads::{Bank, Discrepancy, Model, Scale, Transfer, debit_credit, transaction_count, verify};
    /// # let scale = Scale::new(1).unwrap();
    /// # let mut segment = SegmentOptions::new().size(scale.segment_bytes()).anonymous::<Bank>()?;
    /// # segment.transaction(|tx| Bank::create_in(tx, scale))?;
    /// # let bank = *segment.root()?;
    /// let mut model = Model::new(scale, 42);
    /// for index in 0..100 {
    ///     segment.transaction(|tx| debit_credit(tx, &bank, &Transfer::at(scale, 42, index), index))?;
    ///     if index % 50 == 0 {
    ///         assert_eq!(model.verify(&segment)?.count, index + 1); // Replays what is new alone.
    ///     }
    /// }
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The first [`Discrepancy`], from the shape of the tables to their sums.
    pub fn verify<M: Medium>(&mut self, segment: &Segment<Bank, M>) -> Result<Verified, Discrepancy> {
        let bank = segment.root()?;
        let accounts = read(segment, "accounts", bank.accounts, self.scale.accounts().into())?;
        let tellers = read(segment, "tellers", bank.tellers, self.scale.tellers().into())?;
        let branches = read(segment, "branches", bank.branches, self.scale.branches().into())?;
        let history = read(segment, "history", bank.history, RING_LEN)?;
        self.verify_tables(accounts, tellers, branches, history)
    }

    /// The same for tables of the right lengths, wherever they lie.
    pub(crate) fn verify_tables(
        &mut self,
        accounts: &[Account],
        tellers: &[Teller],
        branches: &[Branch],
        history: &[History],
    ) -> Result<Verified, Discrepancy> {
        let count = newest_number(history);
        // The history first: what it holds follows from the count alone. A count that is off shows here, before
        // anything is replayed as far as that.
        for (slot, found) in (0..).zip(history) {
            let expected = match newest_index(slot, count) {
                Some(index) => History::new(index, &Transfer::at(self.scale, self.seed, index)),
                None => History::EMPTY,
            };
            compare("history", slot, found, &expected, count)?;
        }
        if count < self.count {
            return Err(Discrepancy::Lost { found: count, expected: self.count });
        }
        self.advance_to(count);

        for ((id, found), &balance) in (0..).zip(accounts).zip(&self.accounts) {
            let expected = Account::new(id, self.scale.branch_of_account(id), balance);
            compare("account", id.into(), found, &expected, count)?;
        }
        for ((id, found), &balance) in (0..).zip(tellers).zip(&self.tellers) {
            let expected = Teller::new(id, self.scale.branch_of_teller(id), balance);
            compare("teller", id.into(), found, &expected, count)?;
        }
        for ((id, found), &balance) in (0..).zip(branches).zip(&self.branches) {
            compare("branch", id.into(), found, &Branch::new(id, balance), count)?;
        }
        // The model has been right if this holds: three sums that were added in three orders.
        self.check_sum("accounts", accounts.iter().map(|account| account.balance.get()))?;
        self.check_sum("tellers", tellers.iter().map(|teller| teller.balance.get()))?;
        self.check_sum("branches", branches.iter().map(|branch| branch.balance.get()))?;
        Ok(Verified { count, sum: self.delta_sum })
    }

    fn check_sum(&self, table: &'static str, balances: impl Iterator<Item = i64>) -> Result<(), Discrepancy> {
        let found = balances.map(i128::from).sum();
        if found == self.delta_sum {
            Ok(())
        } else {
            Err(Discrepancy::Sum { table, found, expected: self.delta_sum })
        }
    }
}

/// The last transaction below `count` that wrote this record of the ring.
fn newest_index(slot: u64, count: u64) -> Option<u64> {
    let newest = count.checked_sub(1)?;
    newest.checked_sub((newest % RING_LEN + RING_LEN - slot) % RING_LEN)
}

fn read<'s, T: Persistent, M: Medium>(
    segment: &'s Segment<Bank, M>,
    table: &'static str,
    slice: PSlice<T>,
    expected: u64,
) -> Result<&'s [T], Discrepancy> {
    let found = slice.len() as u64;
    if found != expected {
        return Err(Discrepancy::Length { table, found, expected });
    }
    Ok(segment.slice(slice)?)
}

/// Compares two records: all of their bytes at once, and by their fields only to say what differs.
fn compare<T: Fields>(
    table: &'static str,
    index: u64,
    found: &T,
    expected: &T,
    count: u64,
) -> Result<(), Discrepancy> {
    if found == expected {
        return Ok(());
    }
    let (field, found, expected) = std::iter::zip(found.fields(), expected.fields())
        .find(|(found, expected)| found != expected)
        .map(|((field, found), (_, expected))| (field, found, expected))
        .expect("records that differ do so in a field");
    Err(Discrepancy::Record { table, index, field, found, expected, count })
}

/// A record as names and numbers.
trait Fields: PartialEq {
    fn fields(&self) -> Vec<(&'static str, i128)>;
}

impl Fields for Account {
    fn fields(&self) -> Vec<(&'static str, i128)> {
        vec![
            ("balance", self.balance.get().into()),
            ("id", self.id.get().into()),
            ("branch", self.branch.get().into()),
            ("filler", first_byte(&self.filler)),
        ]
    }
}

impl Fields for Teller {
    fn fields(&self) -> Vec<(&'static str, i128)> {
        vec![
            ("balance", self.balance.get().into()),
            ("id", self.id.get().into()),
            ("branch", self.branch.get().into()),
            ("filler", first_byte(&self.filler)),
        ]
    }
}

impl Fields for Branch {
    fn fields(&self) -> Vec<(&'static str, i128)> {
        vec![
            ("balance", self.balance.get().into()),
            ("id", self.id.get().into()),
            ("filler", first_byte(&self.filler)),
        ]
    }
}

impl Fields for History {
    fn fields(&self) -> Vec<(&'static str, i128)> {
        let Transfer { account, teller, branch, delta } = self.transfer();
        vec![
            ("number", self.number().into()),
            ("account", account.into()),
            ("teller", teller.into()),
            ("branch", branch.into()),
            ("delta", delta.into()),
            ("filler", first_byte(self.filler())),
        ]
    }
}

/// The first byte of a filler that is not the zero it has to be.
fn first_byte(filler: &[u8]) -> i128 {
    filler.iter().copied().find(|&byte| byte != 0).unwrap_or(0).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Id, Money, Tables, debit_credit};
    use vista::{SegmentOptions, Transaction};

    const SEED: u64 = 42;

    fn bank_of(transfer_count: u64) -> Segment<Bank> {
        let scale = Scale::new(1).unwrap();
        let mut segment = SegmentOptions::new().size(scale.segment_bytes()).anonymous::<Bank>().unwrap();
        segment.transaction(|tx| Bank::create_in(tx, scale)).unwrap();
        run(&mut segment, 0..transfer_count);
        segment
    }

    fn run(segment: &mut Segment<Bank>, indices: std::ops::Range<u64>) {
        let bank = *segment.root().unwrap();
        let scale = bank.scale().unwrap();
        for index in indices {
            let transfer = Transfer::at(scale, SEED, index);
            segment.transaction(|tx| debit_credit(tx, &bank, &transfer, index)).unwrap();
        }
    }

    fn model() -> Model {
        Model::new(Scale::new(1).unwrap(), SEED)
    }

    #[test]
    fn a_bank_agrees_with_the_model_before_within_and_beyond_one_round_of_the_ring() {
        let mut segment = bank_of(0);
        let mut model = model();
        let mut done = 0;
        for count in [0, 1, 500, RING_LEN - 1, RING_LEN, RING_LEN + 1, 2 * RING_LEN + 7] {
            run(&mut segment, done..count);
            done = count;
            assert_eq!(model.verify(&segment).unwrap().count, count);
            assert_eq!(transaction_count(&segment).unwrap(), count);
        }
        assert_eq!(verify(&segment, SEED).unwrap(), model.verify(&segment).unwrap());
        assert!(verify(&segment, SEED + 1).is_err(), "the run of another seed");
        assert!(segment.check().unwrap().is_empty());
    }

    #[test]
    fn a_transfer_that_was_rolled_back_has_never_been() {
        let mut segment = bank_of(100);
        let bank = *segment.root().unwrap();
        let transfer = Transfer::at(bank.scale().unwrap(), SEED, 100);
        let mut tx = segment.begin().unwrap();
        debit_credit(&mut tx, &bank, &transfer, 100).unwrap();
        tx.abort().unwrap();
        assert_eq!(verify(&segment, SEED).unwrap().count, 100);
    }

    #[test]
    fn bare_stores_do_what_the_transaction_does() {
        let mut segment = bank_of(100);
        let bank = *segment.root().unwrap();
        let mut region = segment.into_medium().unwrap();
        let base = rio::HEADER_LEN;
        let len = region.len();
        // Vista's guards lie below the tables.
        let first = bank.accounts.offset().min(bank.tellers.offset());
        let first = first.min(bank.branches.offset()).min(bank.history.offset());
        assert!(Tables::in_bytes(&bank, first + 1, region.bytes_mut(first + 1..len).unwrap()).is_none());
        let mut tables = Tables::in_bytes(&bank, first, region.bytes_mut(first..len).unwrap()).unwrap();
        for index in 100..RING_LEN + 300 {
            tables.debit_credit(&Transfer::at(bank.scale().unwrap(), SEED, index), index);
        }
        assert!(first > base);
        segment = Segment::open_on(region).unwrap();
        assert_eq!(verify(&segment, SEED).unwrap().count, RING_LEN + 300);
    }

    #[test]
    fn a_transfer_for_a_larger_bank_is_an_error() {
        let mut segment = bank_of(0);
        let bank = *segment.root().unwrap();
        let transfer = Transfer { account: 100_000, teller: 0, branch: 0, delta: 1 };
        let result = segment.transaction(|tx| debit_credit(tx, &bank, &transfer, 0));
        assert!(matches!(result, Err(Error::NullPointer { .. })), "{result:?}");
    }

    /// A bank of 1000 transfers with one thing wrong has to be seen as wrong there.
    fn check_caught(
        plant: impl FnOnce(&mut Transaction<'_, Bank>, &Bank) -> Result<(), Error>,
        expected: &str,
    ) {
        let mut segment = bank_of(1000);
        let bank = *segment.root().unwrap();
        segment.transaction(|tx| plant(tx, &bank)).unwrap();
        let found = verify(&segment, SEED).unwrap_err();
        assert!(found.to_string().starts_with(expected), "{found}, expected {expected}");
    }

    #[test]
    fn each_kind_of_discrepancy_is_caught() {
        check_caught(
            |tx, bank| {
                tx.get_mut(bank.accounts.at(77_777).unwrap())?.balance.add(1);
                Ok(())
            },
            "account 77777: balance: found ",
        );
        check_caught(
            |tx, bank| {
                tx.get_mut(bank.accounts.at(3).unwrap())?.filler[80] = 9;
                Ok(())
            },
            "account 3: filler: found 9, expected 0 after 1000 transactions",
        );
        check_caught(
            |tx, bank| {
                tx.get_mut(bank.tellers.at(9).unwrap())?.balance.add(-1);
                Ok(())
            },
            "teller 9: balance: found ",
        );
        check_caught(
            |tx, bank| {
                tx.get_mut(bank.tellers.at(4).unwrap())?.id = Id::new(5);
                Ok(())
            },
            "teller 4: id: found 5, expected 4",
        );
        check_caught(
            |tx, bank| {
                tx.get_mut(bank.branches.at(0).unwrap())?.balance = Money::new(0);
                Ok(())
            },
            "branch 0: balance: found 0, expected ",
        );
        check_caught(
            |tx, bank| tx.write(bank.history.at(500).unwrap(), History::EMPTY),
            "history 500: number: found 0, expected 501",
        );
        check_caught(
            |tx, bank| {
                let transfer = Transfer { account: 0, teller: 0, branch: 0, delta: 0 };
                tx.write(bank.history.at(5).unwrap(), History::new(5, &transfer))
            },
            "history 5: account: found 0, expected ",
        );
        check_caught(
            |tx, bank| {
                tx.root_mut()?.tellers = bank.tellers.slice(1..).unwrap();
                Ok(())
            },
            "tellers: found 9 records, expected 10",
        );
        check_caught(
            |tx, bank| {
                tx.root_mut()?.accounts = PSlice::from_raw_parts(8, bank.accounts.len() as u64);
                Ok(())
            },
            "the bank cannot be read: ",
        );
        check_caught(
            |tx, _| {
                tx.root_mut()?.branches = PSlice::empty();
                Ok(())
            },
            "branches: found 0 records, expected 1",
        );
    }

    #[test]
    fn a_number_that_was_never_reached_is_caught_without_replaying_so_many() {
        check_caught(
            |tx, bank| {
                let far = History::new(u64::MAX - 1, &Transfer::at(Scale::new(1).unwrap(), SEED, 0));
                tx.write(bank.history.at(7).unwrap(), far)
            },
            "history 0: number: found 1, expected ",
        );
    }

    #[test]
    fn half_a_transaction_is_caught_whichever_half_it_is() {
        let transfer = Transfer::at(Scale::new(1).unwrap(), SEED, 1000);
        check_caught(
            |tx, bank| tx.write(bank.history.at(1000).unwrap(), History::new(1000, &transfer)),
            &format!("account {}: balance: found ", transfer.account),
        );
        check_caught(
            |tx, bank| {
                tx.get_mut(bank.accounts.at(transfer.account as usize).unwrap())?.balance.add(transfer.delta);
                tx.get_mut(bank.tellers.at(transfer.teller as usize).unwrap())?.balance.add(transfer.delta);
                tx.get_mut(bank.branches.at(transfer.branch as usize).unwrap())?.balance.add(transfer.delta);
                Ok(())
            },
            &format!("account {}: balance: found ", transfer.account),
        );
    }

    #[test]
    fn transactions_that_were_there_may_not_be_gone() {
        let mut model = model();
        model.verify(&bank_of(1000)).unwrap();
        let lost = model.verify(&bank_of(999)).unwrap_err();
        assert_eq!(lost.to_string(), "history: found 999 transactions, expected at least 1000");
    }

    #[test]
    fn sums_are_checked_apart_from_the_replay() {
        for (table, spoil) in [
            ("accounts", (|m: &mut Model| m.accounts[8] += 1) as fn(&mut Model)),
            ("tellers", |m| m.tellers[8] += 1),
            ("branches", |m| m.branches[0] += 1),
        ] {
            // A model that is wrong in the same way as the segment does not see it.
            let mut segment = bank_of(1000);
            let bank = *segment.root().unwrap();
            let mut model = model();
            model.advance_to(1000);
            spoil(&mut model);
            let spoiled: Result<(), Error> = segment.transaction(|tx| {
                match table {
                    "accounts" => tx.get_mut(bank.accounts.at(8).unwrap())?.balance.add(1),
                    "tellers" => tx.get_mut(bank.tellers.at(8).unwrap())?.balance.add(1),
                    _ => tx.get_mut(bank.branches.at(0).unwrap())?.balance.add(1),
                }
                Ok(())
            });
            spoiled.unwrap();
            let found = model.verify(&segment).unwrap_err();
            assert!(matches!(found, Discrepancy::Sum { table: t, .. } if t == table), "{found}");
        }
    }
}
