//! Debit-credit: three balances and a record of the history, four ranges per transaction.
//!
//! Types, sizes and transfers are those of the crate `workloads`. Start at [`entries`].

#![allow(unsafe_code)] // The bare engines.

use std::marker::PhantomData;
use std::ops::Range;
use std::ptr;
use std::sync::Arc;

use rio::{Domain, HEADER_LEN, Medium, Region};
use vista::layout::LOG_OFFSET;
use vista::{PPtr, PSlice, Persistent, Segment, Transaction, field};
use workloads::{Account, Bank, Branch, History, Money, RING_LEN, Scale, Tables, Teller, Transfer};

use crate::bare::{Log, Nothing, Ordered, Undo};
use crate::engine::{Engine, Entry, Level, Recipe, digest};
use crate::files::{Files, Setting};

/// Length of the log in all engines: vista's default.
const LOG_LEN: u64 = 65536;

/// The first `count` transfers of a run.
pub fn transfers(scale: Scale, seed: u64, count: usize) -> Arc<[Transfer]> {
    (0..count as u64).map(|index| Transfer::at(scale, seed, index)).collect()
}

/// The same among the first `accounts` only, which stay in the processor's caches.
pub fn hot_transfers(scale: Scale, seed: u64, count: usize, accounts: u32) -> Arc<[Transfer]> {
    let hot = |transfer: &Transfer| Transfer { account: transfer.account % accounts, ..*transfer };
    transfers(scale, seed, count).iter().map(hot).collect()
}

/// The digest of a bank after these transfers.
pub fn model(scale: Scale, inputs: &[Transfer]) -> u64 {
    let (mut accounts, mut tellers, mut branches, mut history) = empty_tables(scale);
    let mut tables = Tables {
        accounts: &mut accounts,
        tellers: &mut tellers,
        branches: &mut branches,
        history: &mut history,
    };
    for (index, transfer) in (0..).zip(inputs) {
        tables.debit_credit(transfer, index);
    }
    digest_tables(&accounts, &tellers, &branches, &history)
}

pub(crate) fn empty_tables(scale: Scale) -> (Vec<Account>, Vec<Teller>, Vec<Branch>, Vec<History>) {
    (
        (0..scale.accounts()).map(|id| Account::new(id, scale.branch_of_account(id), 0)).collect(),
        (0..scale.tellers()).map(|id| Teller::new(id, scale.branch_of_teller(id), 0)).collect(),
        (0..scale.branches()).map(|id| Branch::new(id, 0)).collect(),
        vec![History::EMPTY; RING_LEN as usize],
    )
}

pub(crate) fn digest_tables(
    accounts: &[Account],
    tellers: &[Teller],
    branches: &[Branch],
    history: &[History],
) -> u64 {
    let bytes: [&[u8]; 4] = [
        bytemuck::cast_slice(accounts),
        bytemuck::cast_slice(tellers),
        bytemuck::cast_slice(branches),
        bytemuck::cast_slice(history),
    ];
    digest(bytes.into_iter().flat_map(|table| table.chunks(8)).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    }))
}

pub(crate) fn is_in(scale: Scale, transfer: &Transfer) -> bool {
    transfer.account < scale.accounts()
        && transfer.teller < scale.tellers()
        && transfer.branch < scale.branches()
}

/// A bare engine: the tables stand behind the header, page by page, and the log behind them.
pub struct Bare<L, M: Medium> {
    medium: M,
    log: L,
    accounts: *mut Account,
    tellers: *mut Teller,
    branches: *mut Branch,
    history: *mut History,
    scale: Scale,
    index: u64,
}

impl<L: Log, M: Medium> Bare<L, M> {
    /// Bytes that the medium has to have.
    pub fn medium_len(scale: Scale) -> u64 {
        Self::offsets(scale)[4] + LOG_LEN
    }

    /// Where the log stands.
    pub fn log_offset(scale: Scale) -> u64 {
        Self::offsets(scale)[4]
    }

    /// Accounts, tellers, branches, history, log.
    fn offsets(scale: Scale) -> [u64; 5] {
        let after =
            |offset: u64, count: u64, len: usize| (offset + count * len as u64).next_multiple_of(4096);
        let accounts = HEADER_LEN;
        let tellers = after(accounts, scale.accounts().into(), size_of::<Account>());
        let branches = after(tellers, scale.tellers().into(), size_of::<Teller>());
        let history = after(branches, scale.branches().into(), size_of::<Branch>());
        [accounts, tellers, branches, history, after(history, RING_LEN, size_of::<History>())]
    }

    /// The engine on a zeroed medium.
    pub fn new(medium: M, scale: Scale) -> Self {
        assert!(medium.len() >= Self::medium_len(scale), "a medium with room for bank and log");
        let [accounts, tellers, branches, history, log] = Self::offsets(scale);
        // SAFETY: (1) the engine owns the medium, whose mapping moves with nobody. (2) There is room for four records.
        let log = unsafe { L::new(&medium, log) };
        let at = |offset: u64| medium.write_base().wrapping_add(offset as usize);
        let bank = Bare {
            log,
            accounts: at(accounts).cast(),
            tellers: at(tellers).cast(),
            branches: at(branches).cast(),
            history: at(history).cast(),
            medium,
            scale,
            index: 0,
        };
        let (accounts, tellers, branches, history) = empty_tables(scale);
        // SAFETY: the table lies in the medium, and so in each of the following.
        unsafe { ptr::copy_nonoverlapping(accounts.as_ptr(), bank.accounts, accounts.len()) };
        // SAFETY: as above.
        unsafe { ptr::copy_nonoverlapping(tellers.as_ptr(), bank.tellers, tellers.len()) };
        // SAFETY: as above.
        unsafe { ptr::copy_nonoverlapping(branches.as_ptr(), bank.branches, branches.len()) };
        // SAFETY: as above.
        unsafe { ptr::copy_nonoverlapping(history.as_ptr(), bank.history, history.len()) };
        bank
    }
}

impl<L: Log, M: Medium> Engine for Bare<L, M> {
    type Input = Transfer;

    fn admits(&self, input: &Transfer) -> bool {
        is_in(self.scale, input)
    }

    #[inline(always)]
    unsafe fn transact(&mut self, input: &Transfer) {
        // A balance is the first field of its record.
        let balances: [*mut Money; 3] = [
            self.accounts.wrapping_add(input.account as usize).cast(),
            self.tellers.wrapping_add(input.teller as usize).cast(),
            self.branches.wrapping_add(input.branch as usize).cast(),
        ];
        let history = self.history.wrapping_add((self.index % RING_LEN) as usize);
        let medium = &self.medium;
        let mut log = self.log;
        for balance in balances {
            // SAFETY: the balance lies in its table: the transfer is admitted.
            unsafe { log.record(medium, balance.cast(), size_of::<Money>()) };
        }
        // SAFETY: the record lies in the ring.
        unsafe { log.record(medium, history.cast(), size_of::<History>()) };
        log.declared(medium);
        for balance in balances {
            // SAFETY: as above; the tables belong to the engine, which is borrowed alone.
            unsafe { &mut *balance }.add(input.delta);
            log.stored(medium, balance.cast(), size_of::<Money>());
        }
        // SAFETY: as above.
        unsafe { history.write(History::new(self.index, input)) };
        log.stored(medium, history.cast(), size_of::<History>());
        log.commit(medium);
        self.index += 1;
    }

    fn digest(&self) -> u64 {
        // SAFETY: the table lies in the medium, which is borrowed with the engine; and so for the following.
        let accounts = unsafe { &*ptr::slice_from_raw_parts(self.accounts, self.scale.accounts() as usize) };
        // SAFETY: as above.
        let tellers = unsafe { &*ptr::slice_from_raw_parts(self.tellers, self.scale.tellers() as usize) };
        // SAFETY: as above.
        let branches = unsafe { &*ptr::slice_from_raw_parts(self.branches, self.scale.branches() as usize) };
        // SAFETY: as above.
        let history = unsafe { &*ptr::slice_from_raw_parts(self.history, RING_LEN as usize) };
        digest_tables(accounts, tellers, branches, history)
    }
}

/// A way to write debit-credit with vista's calls.
pub trait Way {
    /// One transfer in a transaction.
    ///
    /// # Errors
    /// Vista's.
    fn transfer<M: Medium>(
        tx: &mut Transaction<'_, Bank, M>,
        bank: &Bank,
        transfer: &Transfer,
        index: u64,
    ) -> vista::Result<()>;
}

/// The plainest: `get_mut`, four times.
pub struct OneByOne;

/// `get_disjoint_mut`: four ranges lent together, as the crate `workloads` has it.
pub struct Together;

/// `get` and `write`: by value, so that nothing is lent.
pub struct ByValue;

/// The four pointers of a transfer.
type Pointers = (PPtr<Money>, PPtr<Money>, PPtr<Money>, PPtr<History>);

#[inline(always)]
fn pointers(bank: &Bank, transfer: &Transfer, index: u64) -> Pointers {
    let account = element(bank.accounts, transfer.account.into());
    let teller = element(bank.tellers, transfer.teller.into());
    let branch = element(bank.branches, transfer.branch.into());
    (
        field!(account, Account, balance),
        field!(teller, Teller, balance),
        field!(branch, Branch, balance),
        element(bank.history, index % RING_LEN),
    )
}

/// An element, or null, which is an error when it is followed.
#[inline(always)]
fn element<T: Persistent>(slice: PSlice<T>, index: u64) -> PPtr<T> {
    slice.at(index as usize).unwrap_or(PPtr::NULL)
}

impl Way for OneByOne {
    #[inline(always)]
    fn transfer<M: Medium>(
        tx: &mut Transaction<'_, Bank, M>,
        bank: &Bank,
        transfer: &Transfer,
        index: u64,
    ) -> vista::Result<()> {
        let (account, teller, branch, history) = pointers(bank, transfer, index);
        tx.get_mut(account)?.add(transfer.delta);
        tx.get_mut(teller)?.add(transfer.delta);
        tx.get_mut(branch)?.add(transfer.delta);
        *tx.get_mut(history)? = History::new(index, transfer);
        Ok(())
    }
}

impl Way for Together {
    #[inline(always)]
    fn transfer<M: Medium>(
        tx: &mut Transaction<'_, Bank, M>,
        bank: &Bank,
        transfer: &Transfer,
        index: u64,
    ) -> vista::Result<()> {
        workloads::debit_credit(tx, bank, transfer, index)
    }
}

impl Way for ByValue {
    #[inline(always)]
    fn transfer<M: Medium>(
        tx: &mut Transaction<'_, Bank, M>,
        bank: &Bank,
        transfer: &Transfer,
        index: u64,
    ) -> vista::Result<()> {
        let (account, teller, branch, history) = pointers(bank, transfer, index);
        for balance in [account, teller, branch] {
            let old = tx.get(balance)?.get();
            tx.write(balance, Money::new(old.wrapping_add(transfer.delta)))?;
        }
        tx.write(history, History::new(index, transfer))
    }
}

/// Vista, in one of the ways.
pub struct Vista<W, M: Medium> {
    segment: Segment<Bank, M>,
    bank: Bank,
    scale: Scale,
    index: u64,
    way: PhantomData<fn() -> W>,
}

impl<W: Way, M: Medium> Vista<W, M> {
    /// The engine on a zeroed medium of [`Scale::segment_bytes`].
    ///
    /// # Errors
    /// Vista's.
    pub fn new(medium: M, scale: Scale) -> vista::Result<Self> {
        let mut segment = Segment::create_on(medium, LOG_LEN)?;
        segment.transaction(|tx| Bank::create_in(tx, scale))?;
        let bank = *segment.root()?;
        Ok(Vista { segment, bank, scale, index: 0, way: PhantomData })
    }
}

impl<W: Way, M: Medium> Engine for Vista<W, M> {
    type Input = Transfer;

    fn admits(&self, input: &Transfer) -> bool {
        is_in(self.scale, input)
    }

    #[inline(always)]
    unsafe fn transact(&mut self, input: &Transfer) {
        let (bank, index) = (&self.bank, self.index);
        let done = self.segment.transaction(|tx| W::transfer(tx, bank, input, index));
        done.expect("a transaction without fault");
        self.index += 1;
    }

    fn digest(&self) -> u64 {
        const SOUND: &str = "a sound segment";
        digest_tables(
            self.segment.slice(self.bank.accounts).expect(SOUND),
            self.segment.slice(self.bank.tellers).expect(SOUND),
            self.segment.slice(self.bank.branches).expect(SOUND),
            self.segment.slice(self.bank.history).expect(SOUND),
        )
    }
}

/// Recipe of the bare engine with this log.
#[derive(Clone, Copy)]
struct BareRecipe<L> {
    scale: Scale,
    log: PhantomData<L>,
}

impl<L: Log> Recipe for BareRecipe<L> {
    type Input = Transfer;
    type Engine<M: Medium> = Bare<L, M>;

    fn medium_len(&self) -> u64 {
        Bare::<L, Region>::medium_len(self.scale)
    }

    fn log(&self) -> Range<u64> {
        let start = Bare::<L, Region>::log_offset(self.scale);
        start..start + LOG_LEN
    }

    fn level(&self, domain: Domain) -> Level {
        crate::bare::level::<L>(domain)
    }

    fn make<M: Medium>(&self, medium: M) -> Bare<L, M> {
        Bare::new(medium, self.scale)
    }
}

/// Recipe of vista, in this way.
struct VistaRecipe<W> {
    scale: Scale,
    way: PhantomData<fn() -> W>,
}

impl<W> Clone for VistaRecipe<W> {
    fn clone(&self) -> Self {
        VistaRecipe { ..*self }
    }
}

impl<W: Way> Recipe for VistaRecipe<W> {
    type Input = Transfer;
    type Engine<M: Medium> = Vista<W, M>;

    fn medium_len(&self) -> u64 {
        self.scale.segment_bytes()
    }

    fn log(&self) -> Range<u64> {
        LOG_OFFSET..LOG_OFFSET + LOG_LEN
    }

    fn make<M: Medium>(&self, medium: M) -> Vista<W, M> {
        Vista::new(medium, self.scale).expect("a new bank")
    }
}

/// The engines of this workload on the page cache, where a store survives the process as soon as it is made.
pub fn entries(files: &Files, inputs: &Arc<[Transfer]>, scale: Scale) -> Vec<Entry> {
    let cached = Setting::page_cache();
    let unprotected = cached.unprotected();
    vec![
        Entry::new("bare stores", files, cached, inputs, bare::<Nothing>(scale)),
        Entry::new("bare undo log", files, cached, inputs, bare::<Undo>(scale)),
        Entry::new("vista get_disjoint_mut", files, cached, inputs, vista::<Together>(scale)),
        Entry::new("vista get_mut", files, cached, inputs, vista::<OneByOne>(scale)),
        Entry::new("vista write", files, cached, inputs, vista::<ByValue>(scale)),
        Entry::new(
            "vista get_disjoint_mut, unprotected",
            files,
            unprotected,
            inputs,
            vista::<Together>(scale),
        ),
    ]
}

/// The engines of this workload with the write-backs and fences of ADR.
pub fn entries_adr(files: &Files, inputs: &Arc<[Transfer]>, scale: Scale) -> Vec<Entry> {
    let adr = Setting::forced(Domain::Adr);
    vec![
        Entry::new("bare stores", files, Setting::page_cache(), inputs, bare::<Nothing>(scale)),
        Entry::new("bare undo log", files, adr, inputs, bare::<Ordered>(scale)),
        Entry::new("vista get_disjoint_mut", files, adr, inputs, vista::<Together>(scale)),
        Entry::new("vista write", files, adr, inputs, vista::<ByValue>(scale)),
        Entry::new("vista get_mut", files, adr, inputs, vista::<OneByOne>(scale)),
    ]
}

fn bare<L>(scale: Scale) -> BareRecipe<L> {
    BareRecipe { scale, log: PhantomData }
}

fn vista<W>(scale: Scale) -> VistaRecipe<W> {
    VistaRecipe { scale, way: PhantomData }
}
