//! Debit-credit for any store: three balances, and a record of the history.
//!
//! The same transfers, tables and digest as in [`debit_credit`](crate::debit_credit), which has the engines that are
//! written for it. Start at [`DebitCredit`].

use workloads::{Account, Branch, History, Money, Teller, Transfer};

use crate::field_of;
use crate::records::{Change, Digest, End, Look, Read, Size, Store, Table, Workload, Write};

/// The accounts.
pub struct Accounts;

impl Table for Accounts {
    type Record = Account;
    const INDEX: usize = 0;
}

/// The tellers.
pub struct Tellers;

impl Table for Tellers {
    type Record = Teller;
    const INDEX: usize = 1;
}

/// The branches.
pub struct Branches;

impl Table for Branches {
    type Record = Branch;
    const INDEX: usize = 2;
}

/// The ring of history records.
pub struct Ring;

impl Table for Ring {
    type Record = History;
    const INDEX: usize = 3;
}

/// The workload. Tables may be cut short, for tests of which filling them is not the point.
#[derive(Clone, Copy, Debug)]
pub struct DebitCredit {
    scale: workloads::Scale,
    accounts: u32,
    ring_len: u64,
}

impl DebitCredit {
    /// All of it.
    pub fn new(scale: workloads::Scale) -> Self {
        DebitCredit { scale, accounts: scale.accounts(), ring_len: workloads::RING_LEN }
    }

    /// The first accounts only, and a history of so many records.
    pub fn cut(self, accounts: u32, ring_len: u64) -> Self {
        DebitCredit { accounts, ring_len, ..self }
    }

    /// Transfer number `index` of a run.
    pub fn transfer(&self, seed: u64, index: u64) -> Transfer {
        let transfer = Transfer::at(self.scale, seed, index);
        Transfer { account: transfer.account % self.accounts, ..transfer }
    }

    /// The digest of the tables after the first `count` transfers, from plain vectors.
    pub fn model(&self, seed: u64, count: u64) -> u64 {
        let (mut accounts, mut tellers, mut branches) = (
            vec![0; self.accounts as usize],
            vec![0; self.scale.tellers() as usize],
            vec![0; self.scale.branches() as usize],
        );
        let mut ring = vec![History::EMPTY; self.ring_len as usize];
        for index in 0..count {
            let transfer = self.transfer(seed, index);
            accounts[transfer.account as usize] += transfer.delta;
            tellers[transfer.teller as usize] += transfer.delta;
            branches[transfer.branch as usize] += transfer.delta;
            ring[(index % self.ring_len) as usize] = History::new(index, &transfer);
        }
        let mut digest = Digest::default();
        for (id, balance) in (0..).zip(accounts) {
            digest.add(bytemuck::bytes_of(&Account::new(id, self.scale.branch_of_account(id), balance)));
        }
        digest.end_table();
        for (id, balance) in (0..).zip(tellers) {
            digest.add(bytemuck::bytes_of(&Teller::new(id, self.scale.branch_of_teller(id), balance)));
        }
        digest.end_table();
        for (id, balance) in (0..).zip(branches) {
            digest.add(bytemuck::bytes_of(&Branch::new(id, balance)));
        }
        digest.end_table();
        ring.iter().for_each(|record| digest.add(bytemuck::bytes_of(record)));
        digest.end_table();
        digest.get()
    }
}

/// One transfer.
struct Move<'a> {
    transfer: &'a Transfer,
    index: u64,
    ring_len: u64,
}

impl Change for Move<'_> {
    #[inline(always)]
    fn run(&mut self, records: &mut impl Write) -> End {
        let &mut Move { transfer, index, ring_len } = self;
        let after = |balance: Money| {
            let mut balance = balance;
            balance.add(transfer.delta);
            (balance, ())
        };
        let balance = field_of!(Accounts, Account, balance);
        records.update(transfer.account.into(), balance, |account| after(account.balance));
        let balance = field_of!(Tellers, Teller, balance);
        records.update(transfer.teller.into(), balance, |teller| after(teller.balance));
        let balance = field_of!(Branches, Branch, balance);
        records.update(transfer.branch.into(), balance, |branch| after(branch.balance));
        records.replace::<Ring>(index % ring_len, &History::new(index, transfer));
        End::Commit
    }
}

/// Finds the newest number in the history.
struct Newest {
    ring_len: u64,
    number: u64,
}

impl Look for Newest {
    fn run(&mut self, records: &mut impl Read) {
        for slot in 0..self.ring_len {
            self.number = self.number.max(records.read::<Ring, _>(slot, History::number));
        }
    }
}

impl Workload for DebitCredit {
    type Input = Transfer;
    /// Number of transfers so far.
    type State = u64;

    fn sizes(&self) -> Vec<Size> {
        vec![
            Size::of::<Accounts>("accounts", self.accounts.into()),
            Size::of::<Tellers>("tellers", self.scale.tellers().into()),
            Size::of::<Branches>("branches", self.scale.branches().into()),
            Size::of::<Ring>("history", self.ring_len),
        ]
    }

    fn load(&self, store: &mut impl Store) {
        let scale = self.scale;
        store.load::<Accounts>(|id| Account::new(id as u32, scale.branch_of_account(id as u32), 0));
        store.load::<Tellers>(|id| Teller::new(id as u32, scale.branch_of_teller(id as u32), 0));
        store.load::<Branches>(|id| Branch::new(id as u32, 0));
        store.load::<Ring>(|_| History::EMPTY);
    }

    fn state(&self, store: &impl Store) -> u64 {
        let mut newest = Newest { ring_len: self.ring_len, number: 0 };
        store.look(&mut newest);
        newest.number
    }

    fn admits(&self, transfer: &Transfer) -> bool {
        transfer.account < self.accounts
            && transfer.teller < self.scale.tellers()
            && transfer.branch < self.scale.branches()
    }

    #[inline(always)]
    fn transact(&self, count: &mut u64, store: &mut impl Store, transfer: &Transfer) {
        store.change(&mut Move { transfer, index: *count, ring_len: self.ring_len });
        *count += 1;
    }

    fn digest(&self, _: &u64, store: &impl Store) -> u64 {
        let mut digest = Digest::default();
        digest.add_table::<Accounts>(store, self.accounts.into());
        digest.add_table::<Tellers>(store, self.scale.tellers().into());
        digest.add_table::<Branches>(store, self.scale.branches().into());
        digest.add_table::<Ring>(store, self.ring_len);
        digest.get()
    }
}
