//! The bank in plain bytes, for whatever knows no types: where its tables stand, one behind the other on pages of their
//! own. Start at [`Plan`].

use bytemuck::{Pod, Zeroable};

use crate::{
    Account, Branch, Discrepancy, History, Model, Money, RING_LEN, Scale, Tables, Teller, Transfer, Verified,
};

const PAGE_LEN: usize = 4096;

/// Where the tables of a bank stand in bytes.
///
/// ```
/// use workloads::{Plan, Scale};
///
/// let plan = Plan::new(Scale::new(1).unwrap());
/// let mut bytes = vec![0; plan.len() as usize];
/// plan.create(&mut bytes);
/// assert_eq!(plan.tables(&mut bytes).accounts.len(), 100_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    scale: Scale,
    tellers: usize,
    branches: usize,
    history: usize,
    len: usize,
}

impl Plan {
    /// For a bank of this scale.
    ///
    /// Example: see [`tables`](Plan::tables).
    pub fn new(scale: Scale) -> Plan {
        let behind =
            |offset: usize, count: usize, len: usize| (offset + count * len).next_multiple_of(PAGE_LEN);
        let tellers = behind(0, scale.accounts() as usize, size_of::<Account>());
        let branches = behind(tellers, scale.tellers() as usize, size_of::<Teller>());
        let history = behind(branches, scale.branches() as usize, size_of::<Branch>());
        let len = behind(history, RING_LEN as usize, size_of::<History>());
        Plan { scale, tellers, branches, history, len }
    }

    /// Bytes that it takes, whole pages of 4096.
    ///
    /// ```
    /// # use workloads::{Model, Plan, Scale, Transfer};
    /// let scale = Scale::new(1).unwrap();
    /// let plan = Plan::new(scale);
    /// assert_eq!(plan.len() % 4096, 0);
    /// assert!(plan.len() > u64::from(scale.accounts()) * 100);
    /// ```
    pub fn len(&self) -> u64 {
        self.len as u64
    }

    /// Whether it takes none, which no bank does.
    ///
    /// ```
    /// # use workloads::{Model, Plan, Scale, Transfer};
    /// let scale = Scale::new(1).unwrap();
    /// let plan = Plan::new(scale);
    /// assert!(!plan.is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The tables in such bytes.
    ///
    /// ```
    /// # use workloads::{Model, Plan, Scale, Transfer};
    /// let scale = Scale::new(1).unwrap();
    /// let plan = Plan::new(scale);
    /// let mut bytes = vec![0; plan.len() as usize];
    /// plan.create(&mut bytes);
    /// for index in 0..10 {
    ///     plan.tables(&mut bytes).debit_credit(&Transfer::at(scale, 42, index), index);
    /// }
    /// assert_eq!(plan.verify(&bytes, &mut Model::new(scale, 42)).unwrap().count, 10);
    /// ```
    ///
    /// # Panics
    /// If there are fewer bytes than [`len`](Plan::len).
    pub fn tables<'a>(&self, bytes: &'a mut [u8]) -> Tables<'a> {
        let (accounts, rest) = bytes.split_at_mut(self.tellers);
        let (tellers, rest) = rest.split_at_mut(self.branches - self.tellers);
        let (branches, rest) = rest.split_at_mut(self.history - self.branches);
        Tables {
            accounts: records_mut(accounts, self.scale.accounts() as usize),
            tellers: records_mut(tellers, self.scale.tellers() as usize),
            branches: records_mut(branches, self.scale.branches() as usize),
            history: records_mut(rest, RING_LEN as usize),
        }
    }

    /// Makes a bank with empty accounts of zeroes.
    ///
    /// Example: see [`tables`](Plan::tables).
    ///
    /// # Panics
    /// As [`tables`](Plan::tables).
    pub fn create(&self, bytes: &mut [u8]) {
        let Tables { accounts, tellers, branches, .. } = self.tables(bytes);
        for (id, account) in (0..).zip(accounts) {
            *account = Account::new(id, self.scale.branch_of_account(id), 0);
        }
        for (id, teller) in (0..).zip(tellers) {
            *teller = Teller::new(id, self.scale.branch_of_teller(id), 0);
        }
        for (id, branch) in (0..).zip(branches) {
            *branch = Branch::new(id, 0);
        }
    }

    /// Compares the tables in such bytes with a model, as [`Model::verify`].
    ///
    /// ```
    /// # use workloads::{Model, Plan, Scale, Transfer};
    /// let scale = Scale::new(1).unwrap();
    /// let plan = Plan::new(scale);
    /// let mut bytes = vec![0; plan.len() as usize];
    /// plan.create(&mut bytes);
    /// plan.tables(&mut bytes).accounts[7].balance.add(1); // That no transfer has put there.
    /// assert!(plan.verify(&bytes, &mut Model::new(scale, 42)).is_err());
    /// ```
    ///
    /// # Errors
    /// The first [`Discrepancy`].
    ///
    /// # Panics
    /// As [`tables`](Plan::tables).
    pub fn verify(&self, bytes: &[u8], model: &mut Model) -> Result<Verified, Discrepancy> {
        model.verify_tables(
            records(&bytes[..self.tellers], self.scale.accounts() as usize),
            records(&bytes[self.tellers..self.branches], self.scale.tellers() as usize),
            records(&bytes[self.branches..self.history], self.scale.branches() as usize),
            records(&bytes[self.history..self.len], RING_LEN as usize),
        )
    }

    /// The three balances of a transfer and its history record, as offsets in such bytes.
    #[inline]
    fn places(&self, transfer: &Transfer, index: u64) -> ([usize; 3], usize) {
        // A balance is the first field of its record.
        let account = transfer.account as usize * size_of::<Account>();
        let teller = self.tellers + transfer.teller as usize * size_of::<Teller>();
        let branch = self.branches + transfer.branch as usize * size_of::<Branch>();
        let history = self.history + (index % RING_LEN) as usize * size_of::<History>();
        ([account, teller, branch], history)
    }

    /// Makes one transfer within a transaction of lrvm, on a region that holds such bytes: four ranges. It is
    /// transaction number `index`, from 0.
    ///
    /// A crash in the middle leaves all of it or nothing.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
    /// # use workloads::{Plan, Scale, Transfer};
    /// # let scale = Scale::new(1).unwrap();
    /// # let plan = Plan::new(scale);
    /// # lrvm::create_log(&log, 1 << 16)?;
    /// # lrvm::create_segment(&data, plan.len())?;
    /// # let rvm = lrvm::Options::new().background(false).open(&log)?;
    /// let mut region = rvm.map(&data, 0..plan.len())?;
    /// let mut tx = rvm.begin(lrvm::Begin::Restore)?;
    /// let bank = tx.enlist(&mut region)?;
    /// plan.debit_credit(&mut tx, bank, &Transfer::at(scale, 42, 0), 0)?;
    /// tx.commit(lrvm::End::Flush)?;
    /// # drop(region);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// lrvm's: the transfer is one for a larger bank.
    #[inline]
    pub fn debit_credit(
        &self,
        tx: &mut lrvm::Transaction<'_>,
        region: lrvm::Enlisted,
        transfer: &Transfer,
        index: u64,
    ) -> lrvm::Result<()> {
        let (balances, history) = self.places(transfer, index);
        for balance in balances {
            let bytes = tx.set_range(region, balance as u64, size_of::<Money>() as u64)?;
            let mut money: Money = bytemuck::pod_read_unaligned(bytes);
            money.add(transfer.delta);
            bytes.copy_from_slice(bytemuck::bytes_of(&money));
        }
        tx.write(region, history as u64, &History::new(index, transfer))
    }
}

fn records<T: Pod>(bytes: &[u8], count: usize) -> &[T] {
    bytemuck::cast_slice(&bytes[..count * size_of::<T>()])
}

fn records_mut<T: Pod + Zeroable>(bytes: &mut [u8], count: usize) -> &mut [T] {
    bytemuck::cast_slice_mut(&mut bytes[..count * size_of::<T>()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bank_in_bytes_agrees_with_the_model() {
        let (scale, seed) = (Scale::new(1).unwrap(), 3);
        let plan = Plan::new(scale);
        let mut bytes = vec![0; plan.len() as usize];
        plan.create(&mut bytes);
        for index in 0..50_000 {
            plan.tables(&mut bytes).debit_credit(&Transfer::at(scale, seed, index), index);
        }
        assert_eq!(plan.verify(&bytes, &mut Model::new(scale, seed)).unwrap().count, 50_000);
        bytes[plan.tellers] ^= 1;
        plan.verify(&bytes, &mut Model::new(scale, seed)).unwrap_err();
    }

    #[test]
    fn a_bank_on_lrvm_agrees_with_the_model() {
        let (scale, seed) = (Scale::new(1).unwrap(), 4);
        let plan = Plan::new(scale);
        let dir = tempfile::tempdir().unwrap();
        let (log, data) = (dir.path().join("log"), dir.path().join("data"));
        lrvm::create_log(&log, 1 << 20).unwrap();
        lrvm::create_segment(&data, plan.len()).unwrap();
        let open = || lrvm::Options::new().background(false).open(&log).unwrap();
        let rvm = open();
        let mut region = rvm.map(&data, 0..plan.len()).unwrap();
        // As a whole it would be larger than the log.
        let mut empty = vec![0; plan.len() as usize];
        plan.create(&mut empty);
        for (offset, chunk) in (0..).step_by(1 << 16).zip(empty.chunks(1 << 16)) {
            let mut tx = rvm.begin(lrvm::Begin::NoRestore).unwrap();
            let region = tx.enlist(&mut region).unwrap();
            tx.modify(region, offset, chunk).unwrap();
            tx.commit(lrvm::End::NoFlush).unwrap();
        }
        for index in 0..5000 {
            let mut tx = rvm.begin(lrvm::Begin::Restore).unwrap();
            let region = tx.enlist(&mut region).unwrap();
            plan.debit_credit(&mut tx, region, &Transfer::at(scale, seed, index), index).unwrap();
            tx.commit(lrvm::End::NoFlush).unwrap();
        }
        drop((region, rvm));
        let rvm = open();
        let region = rvm.map(&data, 0..plan.len()).unwrap();
        assert_eq!(plan.verify(region.bytes(), &mut Model::new(scale, seed)).unwrap().count, 5000);
    }
}
