//! What the transaction with a given index does. Start at [`Transfer::at`].

use crate::Scale;
use crate::random::{below, draw};

/// The largest amount of one transfer, in either direction: that of TPC-B.
const DELTA_MAX: u32 = 999_999;

/// One debit-credit transaction: an amount, and whose balances it changes.
///
/// ```
/// let transfer = workloads::Transfer::at(workloads::Scale::default(), 42, 0);
/// println!("{:+} on account {} by teller {}", transfer.delta, transfer.account, transfer.teller);
/// # assert!(transfer.delta.abs() < 1_000_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Index of the account.
    pub account: u32,
    /// Index of the teller.
    pub teller: u32,
    /// Index of the branch: the one that the teller belongs to.
    pub branch: u32,
    /// What is added to all three balances.
    pub delta: i64,
}

impl Transfer {
    /// Transfer number `index` of the run with this seed. Every index and seed has one.
    ///
    /// Account and teller are drawn uniformly from the whole bank, and independently of each other. (TPC-B draws 85 %
    /// of the accounts from the teller's branch, to load a distributed system; for one memory it makes no
    /// difference.)
    ///
    /// ```
    /// use workloads::{Scale, Transfer};
    ///
    /// let scale = Scale::default();
    /// let transfer = Transfer::at(scale, 42, 0);
    /// assert!(transfer.account < scale.accounts() && transfer.branch == scale.branch_of_teller(transfer.teller));
    /// assert_eq!(transfer, Transfer::at(scale, 42, 0));
    /// ```
    #[inline(always)]
    pub fn at(scale: Scale, seed: u64, index: u64) -> Transfer {
        let who = draw(seed, index.wrapping_mul(2));
        let amount = draw(seed, index.wrapping_mul(2).wrapping_add(1));
        let teller = below(scale.tellers(), who as u32);
        Transfer {
            account: below(scale.accounts(), (who >> 32) as u32),
            teller,
            branch: scale.branch_of_teller(teller),
            delta: i64::from(below(2 * DELTA_MAX + 1, amount as u32)) - i64::from(DELTA_MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfers_stay_in_the_bank_and_reach_all_of_it() {
        let scale = Scale::new(3).unwrap();
        let (mut tellers, mut branches) = ([false; 30], [false; 3]);
        let (mut least, mut most) = (i64::MAX, i64::MIN);
        for index in (0..10_000).chain(u64::MAX - 10..=u64::MAX) {
            let Transfer { account, teller, branch, delta } = Transfer::at(scale, 7, index);
            assert!(account < 300_000 && teller < 30 && branch == teller / 10);
            assert!(delta.abs() <= i64::from(DELTA_MAX));
            tellers[teller as usize] = true;
            branches[branch as usize] = true;
            (least, most) = (least.min(delta), most.max(delta));
        }
        assert_eq!((tellers, branches), ([true; 30], [true; 3]));
        assert!(least < -990_000 && most > 990_000);
    }

    #[test]
    fn another_seed_is_another_run() {
        let scale = Scale::default();
        assert_eq!(Transfer::at(scale, 1, 5), Transfer::at(scale, 1, 5));
        assert_ne!(Transfer::at(scale, 1, 5), Transfer::at(scale, 2, 5));
    }
}
