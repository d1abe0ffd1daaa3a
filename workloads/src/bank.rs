//! Debit-credit, in the manner of TPC-B: the benchmark by which recoverable memory has been measured since RVM.
//!
//! A transaction adds an amount to one account, one teller and one branch, and writes one record of a history that
//! is a ring: four ranges. The sizes are those of the Vista and RVM literature: per unit of scale (5 by default)
//! 100,000 accounts, 10 tellers and 1 branch of 100 bytes, and in all 40,000 history records of 50 bytes.
//!
//! How many transactions have committed is not stored anywhere, for that would be a fifth range: each history record
//! carries its number, and the newest one is the count. Start at [`debit_credit`].

use rio::Medium;
use vista::{Error, PPtr, PSlice, Persistent, Transaction, field, rio};

use crate::Transfer;

/// Number of records in the history ring: transaction `index` writes record `index % RING_LEN`.
pub const RING_LEN: u64 = 40_000;

const ACCOUNTS_PER_UNIT: u32 = 100_000;
const TELLERS_PER_UNIT: u32 = 10;
/// More would not leave account numbers their 32 bits.
const UNITS_MAX: u32 = u32::MAX / ACCOUNTS_PER_UNIT;

/// The size of a bank, in units of 100,000 accounts. The default is 5.
///
/// ```
/// # use vista::SegmentOptions;
/// # use workloads::{Account, Bank, Branch, History, Id, Model, Money, Scale, Tables, Teller, Transfer};
/// assert_eq!(Scale::default(), Scale::new(5).unwrap());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale(u32);

impl Scale {
    /// A scale from 1 to 42,949, the greatest for which account numbers have 32 bits; `None` for others.
    ///
    /// ```
    /// # use vista::SegmentOptions;
    /// # use workloads::{Account, Bank, Branch, History, Id, Model, Money, Scale, Tables, Teller, Transfer};
    /// assert!(Scale::new(1).is_some() && Scale::new(0).is_none() && Scale::new(50_000).is_none());
    /// ```
    pub fn new(units: u32) -> Option<Scale> {
        (1..=UNITS_MAX).contains(&units).then_some(Scale(units))
    }

    /// Number of units, which is the number of branches.
    ///
    /// ```
    /// # use vista::SegmentOptions;
    /// # use workloads::{Account, Bank, Branch, History, Id, Model, Money, Scale, Tables, Teller, Transfer};
    /// assert_eq!(Scale::default().branches(), 5);
    /// ```
    #[inline(always)]
    pub fn branches(self) -> u32 {
        self.0
    }

    /// Number of tellers.
    ///
    /// ```
    /// # use vista::SegmentOptions;
    /// # use workloads::{Account, Bank, Branch, History, Id, Model, Money, Scale, Tables, Teller, Transfer};
    /// assert_eq!(Scale::default().tellers(), 50);
    /// ```
    #[inline(always)]
    pub fn tellers(self) -> u32 {
        self.0 * TELLERS_PER_UNIT
    }

    /// Number of accounts.
    ///
    /// ```
    /// # use vista::SegmentOptions;
    /// # use workloads::{Account, Bank, Branch, History, Id, Model, Money, Scale, Tables, Teller, Transfer};
    /// assert_eq!(Scale::default().accounts(), 500_000);
    /// ```
    #[inline(always)]
    pub fn accounts(self) -> u32 {
        self.0 * ACCOUNTS_PER_UNIT
    }

    /// The branch of a teller.
    ///
    /// ```
    /// # use vista::SegmentOptions;
    /// # use workloads::{Account, Bank, Branch, History, Id, Model, Money, Scale, Tables, Teller, Transfer};
    /// assert_eq!(Scale::default().branch_of_teller(49), 4);
    /// ```
    #[inline(always)]
    pub fn branch_of_teller(self, teller: u32) -> u32 {
        teller / TELLERS_PER_UNIT
    }

    /// The branch of an account.
    ///
    /// ```
    /// # use vista::SegmentOptions;
    /// # use workloads::{Account, Bank, Branch, History, Id, Model, Money, Scale, Tables, Teller, Transfer};
    /// assert_eq!(Scale::default().branch_of_account(100_000), 1);
    /// ```
    #[inline(always)]
    pub fn branch_of_account(self, account: u32) -> u32 {
        account / ACCOUNTS_PER_UNIT
    }

    /// A length in bytes that a segment needs to hold the bank: its tables, what the heap keeps for each of their
    /// pages, and a mebibyte for log, headers and guards.
    ///
    /// Example: see [`Bank`].
    pub fn segment_bytes(self) -> u64 {
        let counts = [self.accounts(), self.tellers(), self.branches()];
        let record_count: u64 = counts.into_iter().map(u64::from).sum();
        let table_bytes = record_count * size_of::<Account>() as u64 + RING_LEN * size_of::<History>() as u64;
        table_bytes + table_bytes / 32 + (1 << 20)
    }
}

impl Default for Scale {
    fn default() -> Self {
        Scale(5)
    }
}

/// An amount of money: an `i64` that needs no alignment, so that records have the sizes of the definition.
///
/// Kept as bytes, but loaded and stored as one word: a balance that was stored in parts would make the next load of
/// it wait until those stores have reached the cache.
///
/// ```
/// # use vista::SegmentOptions;
/// # use workloads::{Account, Bank, Branch, History, Id, Model, Money, Scale, Tables, Teller, Transfer};
/// let mut balance = Money::new(100);
/// balance.add(-30);
/// assert_eq!(balance.get(), 70);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Persistent)]
#[repr(transparent)]
pub struct Money([u8; 8]);

impl Money {
    /// This amount.
    ///
    /// Example: see [`Money`].
    #[inline(always)]
    pub const fn new(amount: i64) -> Money {
        Money(amount.to_le_bytes())
    }

    /// The amount.
    ///
    /// Example: see [`Money`].
    #[inline(always)]
    pub const fn get(self) -> i64 {
        i64::from_le_bytes(self.0)
    }

    /// Adds to the amount; wraps round rather than panic on a damaged one.
    ///
    /// Example: see [`Money`].
    #[inline(always)]
    pub fn add(&mut self, delta: i64) {
        *self = Money::new(self.get().wrapping_add(delta));
    }
}

/// The number of an account, teller or branch: a `u32` that needs no alignment.
///
/// ```
/// # use vista::SegmentOptions;
/// # use workloads::{Account, Bank, Branch, History, Id, Model, Money, Scale, Tables, Teller, Transfer};
/// assert_eq!(Id::new(7).get(), 7);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Persistent)]
#[repr(transparent)]
pub struct Id([u8; 4]);

impl Id {
    /// This number.
    ///
    /// Example: see [`Id`].
    #[inline(always)]
    pub const fn new(number: u32) -> Id {
        Id(number.to_le_bytes())
    }

    /// The number.
    ///
    /// Example: see [`Id`].
    #[inline(always)]
    pub const fn get(self) -> u32 {
        u32::from_le_bytes(self.0)
    }
}

/// An account: 100 bytes.
///
/// Example: see [`Account::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Persistent)]
#[repr(C)]
pub struct Account {
    /// What it holds.
    pub balance: Money,
    /// Its index.
    pub id: Id,
    /// Index of its branch.
    pub branch: Id,
    /// Zero: the rest of what an account would hold.
    pub filler: [u8; 84],
}

/// A teller: 100 bytes.
///
/// Example: see [`Teller::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Persistent)]
#[repr(C)]
pub struct Teller {
    /// The sum of what went through their hands.
    pub balance: Money,
    /// Their index.
    pub id: Id,
    /// Index of their branch.
    pub branch: Id,
    /// Zero.
    pub filler: [u8; 84],
}

/// A branch: 100 bytes.
///
/// Example: see [`Branch::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Persistent)]
#[repr(C)]
pub struct Branch {
    /// The sum of what went through it.
    pub balance: Money,
    /// Its index.
    pub id: Id,
    /// Zero.
    pub filler: [u8; 88],
}

/// What the history keeps of a transaction: 50 bytes.
///
/// Example: see [`History::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Persistent)]
#[repr(C)]
pub struct History {
    number: [u8; 8],
    account: Id,
    teller: Id,
    branch: Id,
    delta: Money,
    filler: [u8; 22],
}

const _: () = {
    assert!(size_of::<Account>() == 100);
    assert!(size_of::<Teller>() == 100);
    assert!(size_of::<Branch>() == 100);
    assert!(size_of::<History>() == 50);
};

impl Account {
    /// Account number `id` with this balance.
    ///
    /// ```
    /// # use vista::SegmentOptions;
    /// # use workloads::{Account, Bank, Branch, History, Id, Model, Money, Scale, Tables, Teller, Transfer};
    /// let account = Account::new(100_000, 1, 0);
    /// assert_eq!((account.branch.get(), account.balance.get()), (1, 0));
    /// ```
    pub const fn new(id: u32, branch: u32, balance: i64) -> Account {
        Account { balance: Money::new(balance), id: Id::new(id), branch: Id::new(branch), filler: [0; 84] }
    }
}

impl Teller {
    /// Teller number `id` with this balance.
    ///
    /// ```
    /// # use vista::SegmentOptions;
    /// # use workloads::{Account, Bank, Branch, History, Id, Model, Money, Scale, Tables, Teller, Transfer};
    /// let teller = Teller::new(10, 1, 0);
    /// assert_eq!((teller.id.get(), teller.branch.get()), (10, 1));
    /// ```
    pub const fn new(id: u32, branch: u32, balance: i64) -> Teller {
        Teller { balance: Money::new(balance), id: Id::new(id), branch: Id::new(branch), filler: [0; 84] }
    }
}

impl Branch {
    /// Branch number `id` with this balance.
    ///
    /// ```
    /// # use vista::SegmentOptions;
    /// # use workloads::{Account, Bank, Branch, History, Id, Model, Money, Scale, Tables, Teller, Transfer};
    /// assert_eq!(Branch::new(1, 500).balance.get(), 500);
    /// ```
    pub const fn new(id: u32, balance: i64) -> Branch {
        Branch { balance: Money::new(balance), id: Id::new(id), filler: [0; 88] }
    }
}

impl History {
    /// A record that was never written.
    pub const EMPTY: History = History {
        number: [0; 8],
        account: Id::new(0),
        teller: Id::new(0),
        branch: Id::new(0),
        delta: Money::new(0),
        filler: [0; 22],
    };

    /// The record of transaction `index`.
    ///
    /// ```
    /// # use vista::SegmentOptions;
    /// # use workloads::{Account, Bank, Branch, History, Id, Model, Money, Scale, Tables, Teller, Transfer};
    /// let transfer = Transfer::at(Scale::default(), 42, 0);
    /// let record = History::new(0, &transfer);
    /// assert_eq!((record.number(), record.transfer()), (1, transfer));
    /// ```
    #[inline(always)]
    pub fn new(index: u64, transfer: &Transfer) -> History {
        History {
            number: index.wrapping_add(1).to_le_bytes(),
            account: Id::new(transfer.account),
            teller: Id::new(transfer.teller),
            branch: Id::new(transfer.branch),
            delta: Money::new(transfer.delta),
            filler: [0; 22],
        }
    }

    /// Number of the transaction, counted from one: its index and one. Zero in a record that was never written.
    ///
    /// ```
    /// # use vista::SegmentOptions;
    /// # use workloads::{Account, Bank, Branch, History, Id, Model, Money, Scale, Tables, Teller, Transfer};
    /// assert_eq!(History::EMPTY.number(), 0);
    /// ```
    #[inline]
    pub fn number(&self) -> u64 {
        u64::from_le_bytes(self.number)
    }

    /// The account, the teller, the branch and the amount.
    ///
    /// Example: see [`new`](History::new).
    pub fn transfer(&self) -> Transfer {
        Transfer {
            account: self.account.get(),
            teller: self.teller.get(),
            branch: self.branch.get(),
            delta: self.delta.get(),
        }
    }

    /// Zero.
    ///
    /// ```
    /// # use vista::SegmentOptions;
    /// # use workloads::{Account, Bank, Branch, History, Id, Model, Money, Scale, Tables, Teller, Transfer};
    /// assert_eq!(History::EMPTY.filler(), [0; 22]);
    /// ```
    pub fn filler(&self) -> &[u8] {
        &self.filler
    }
}

/// The root of the bank's segment: its tables. They never move, so a copy of it is as good as the root.
///
/// ```
/// # use vista::{Segment, SegmentOptions};
/// # use workloads::{Bank, Scale, Tables, Transfer, debit_credit, verify};
/// let scale = Scale::new(1).unwrap();
/// let mut segment = SegmentOptions::new().size(scale.segment_bytes()).anonymous::<Bank>()?;
/// segment.transaction(|tx| Bank::create_in(tx, scale))?;
/// let bank = *segment.root()?;
/// for index in 0..10 {
///     let transfer = Transfer::at(scale, 42, index);
///     segment.transaction(|tx| debit_credit(tx, &bank, &transfer, index))?;
/// }
/// assert_eq!(verify(&segment, 42)?.count, 10);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Persistent)]
#[repr(C)]
pub struct Bank {
    /// All accounts.
    pub accounts: PSlice<Account>,
    /// All tellers.
    pub tellers: PSlice<Teller>,
    /// All branches.
    pub branches: PSlice<Branch>,
    /// The ring of history records.
    pub history: PSlice<History>,
}

impl Bank {
    /// Makes a bank with empty accounts. Meant for [`SegmentOptions::create_with`](vista::SegmentOptions::create_with),
    /// with a size of [`Scale::segment_bytes`]: there is then either no file, or one with a whole bank.
    ///
    /// Example: see [`Bank`].
    ///
    /// # Errors
    /// [`Error::NoSpace`] if the segment is too short.
    pub fn create_in<M: Medium>(tx: &mut Transaction<'_, Bank, M>, scale: Scale) -> Result<(), Error> {
        let bank = Bank {
            accounts: tx.alloc_slice_zeroed(scale.accounts() as usize)?,
            tellers: tx.alloc_slice_zeroed(scale.tellers() as usize)?,
            branches: tx.alloc_slice_zeroed(scale.branches() as usize)?,
            history: tx.alloc_slice_zeroed(RING_LEN as usize)?,
        };
        for (id, account) in (0..).zip(tx.slice_mut(bank.accounts)?) {
            *account = Account::new(id, scale.branch_of_account(id), 0);
        }
        for (id, teller) in (0..).zip(tx.slice_mut(bank.tellers)?) {
            *teller = Teller::new(id, scale.branch_of_teller(id), 0);
        }
        for (id, branch) in (0..).zip(tx.slice_mut(bank.branches)?) {
            *branch = Branch::new(id, 0);
        }
        *tx.root_mut()? = bank;
        Ok(())
    }

    /// The scale that fits the number of branches, if there is one.
    ///
    /// ```
    /// # use vista::{Segment, SegmentOptions};
    /// # use workloads::{Bank, Scale, Tables, Transfer, debit_credit, verify};
    /// let scale = Scale::new(1).unwrap();
    /// let mut segment = SegmentOptions::new().size(scale.segment_bytes()).anonymous::<Bank>()?;
    /// segment.transaction(|tx| Bank::create_in(tx, scale))?;
    /// assert_eq!(segment.root()?.scale(), Some(scale));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn scale(&self) -> Option<Scale> {
        Scale::new(u32::try_from(self.branches.len()).ok()?)
    }
}

/// Makes one transfer within a transaction: four ranges, logged together and lent together, so that even a domain
/// that has to fence does so once. It is transaction number `index`, from 0.
///
/// A crash in the middle leaves all four ranges as they were.
///
/// Example: see [`Bank`].
///
/// # Errors
/// Those of [`Transaction::get_disjoint_mut`]; nothing has changed then. A transfer for a larger bank than this one
/// is [`Error::NullPointer`].
#[inline(always)]
pub fn debit_credit<R: Persistent, M: Medium>(
    tx: &mut Transaction<'_, R, M>,
    bank: &Bank,
    transfer: &Transfer,
    index: u64,
) -> Result<(), Error> {
    let account = bank.accounts.at(transfer.account as usize).unwrap_or(PPtr::NULL);
    let teller = bank.tellers.at(transfer.teller as usize).unwrap_or(PPtr::NULL);
    let branch = bank.branches.at(transfer.branch as usize).unwrap_or(PPtr::NULL);
    let history = bank.history.at((index % RING_LEN) as usize).unwrap_or(PPtr::NULL);
    let (account, teller, branch, history) = tx.get_disjoint_mut((
        field!(account, Account, balance),
        field!(teller, Teller, balance),
        field!(branch, Branch, balance),
        history,
    ))?;
    account.add(transfer.delta);
    teller.add(transfer.delta);
    branch.add(transfer.delta);
    *history = History::new(index, transfer);
    Ok(())
}

/// The bank's tables as plain memory, without transactions: the bound that every engine is compared with.
///
/// Example: see [`Plan::tables`](crate::Plan::tables).
#[derive(Debug)]
pub struct Tables<'a> {
    /// All accounts.
    pub accounts: &'a mut [Account],
    /// All tellers.
    pub tellers: &'a mut [Teller],
    /// All branches.
    pub branches: &'a mut [Branch],
    /// The ring of history records.
    pub history: &'a mut [History],
}

impl<'a> Tables<'a> {
    /// The tables of a bank in the bytes of its medium, of which the first is the one at offset `base`. `None` if
    /// they do not all lie in there, apart from each other.
    ///
    /// ```
    /// # use vista::{Segment, SegmentOptions};
    /// # use workloads::{Bank, Scale, Tables, Transfer, debit_credit, verify};
    /// let scale = Scale::new(1).unwrap();
    /// let mut segment = SegmentOptions::new().size(scale.segment_bytes()).anonymous::<Bank>()?;
    /// segment.transaction(|tx| Bank::create_in(tx, scale))?;
    /// let bank = *segment.root()?;
    /// let mut region = segment.into_medium()?;
    /// let first = bank.accounts.offset().min(bank.tellers.offset()).min(bank.branches.offset());
    /// let first = first.min(bank.history.offset());
    /// let end = region.len();
    /// let mut tables = Tables::in_bytes(&bank, first, region.bytes_mut(first..end)?).unwrap();
    /// tables.debit_credit(&Transfer::at(scale, 42, 0), 0);
    /// # assert_eq!(verify(&Segment::open_on(region)?, 42)?.count, 1);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn in_bytes(bank: &Bank, base: u64, bytes: &'a mut [u8]) -> Option<Tables<'a>> {
        fn range<T>(base: u64, slice: PSlice<T>) -> Option<std::ops::Range<usize>> {
            let start = usize::try_from(slice.offset().checked_sub(base)?).ok()?;
            Some(start..start.checked_add(slice.len().checked_mul(size_of::<T>())?)?)
        }
        let ranges = [
            range(base, bank.accounts)?,
            range(base, bank.tellers)?,
            range(base, bank.branches)?,
            range(base, bank.history)?,
        ];
        let [accounts, tellers, branches, history] = bytes.get_disjoint_mut(ranges).ok()?;
        // No record needs alignment, and the lengths are whole records.
        Some(Tables {
            accounts: bytemuck::cast_slice_mut(accounts),
            tellers: bytemuck::cast_slice_mut(tellers),
            branches: bytemuck::cast_slice_mut(branches),
            history: bytemuck::cast_slice_mut(history),
        })
    }

    /// The four stores of [`debit_credit`], without a transaction.
    ///
    /// Example: see [`Plan::tables`](crate::Plan::tables).
    ///
    /// # Panics
    /// If the transfer is one for a larger bank.
    #[inline(always)]
    pub fn debit_credit(&mut self, transfer: &Transfer, index: u64) {
        self.accounts[transfer.account as usize].balance.add(transfer.delta);
        self.tellers[transfer.teller as usize].balance.add(transfer.delta);
        self.branches[transfer.branch as usize].balance.add(transfer.delta);
        self.history[(index % RING_LEN) as usize] = History::new(index, transfer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_is_what_the_definition_says() {
        let scale = Scale::default();
        assert_eq!((scale.accounts(), scale.tellers(), scale.branches()), (500_000, 50, 5));
        assert_eq!((scale.branch_of_account(100_000), scale.branch_of_teller(49)), (1, 4));
        assert_eq!((Scale::new(0), Scale::new(42_950)), (None, None));
        let greatest = Scale::new(42_949).unwrap();
        assert!(greatest.segment_bytes() > u64::from(greatest.accounts()) * 100);
    }

    #[test]
    fn a_segment_of_the_length_given_holds_the_bank() {
        for units in [1, 2, 5] {
            let scale = Scale::new(units).unwrap();
            let len = scale.segment_bytes();
            let mut segment =
                vista::SegmentOptions::new().size(len).max_len(len).anonymous::<Bank>().unwrap();
            segment.transaction(|tx| Bank::create_in(tx, scale)).unwrap();
            assert!(segment.stats().unwrap().len <= len.next_multiple_of(4096));
        }
    }

    #[test]
    fn amounts_wrap_rather_than_panic() {
        let mut money = Money::new(i64::MAX);
        money.add(1);
        assert_eq!(money.get(), i64::MIN);
        assert_eq!(Id::new(7).get(), 7);
    }
}
