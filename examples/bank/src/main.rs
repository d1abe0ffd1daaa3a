//! Debit-credit, the workload of the Vista paper. A transfer adds an amount to one account, one teller and the branch,
//! and keeps a record of it. Kill it at any moment, by any means, and start it again: the three sums agree.

use vista::{Persistent, SegmentOptions, Transaction, field};

/// The root of the segment: what lies in the file is what lies in memory.
#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Bank {
    accounts: [i64; 100_000],
    tellers: [i64; 10],
    branch: i64,
    transfers: u64,
    history: [Record; 40_000], // A ring: the newest of them.
}

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Record {
    account: u64,
    teller: u64,
    amount: i64,
}

/// Transfer number `n`: drawn by chance, and the same each time.
fn draw(n: u64) -> Record {
    let mix = |x: u64| (x ^ x >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (who, much) = (mix(mix(n) ^ 1), mix(mix(n) ^ 2));
    Record { account: (who >> 32) % 100_000, teller: who % 10, amount: (much >> 32) as i64 % 2_001 - 1_000 }
}

/// Five places change together, or none of them does.
fn transfer(tx: &mut Transaction<'_, Bank>) -> vista::Result<()> {
    let (bank, n, record) = (tx.root_ptr(), tx.root().transfers, draw(tx.root().transfers));
    let account = field!(bank, Bank, accounts).at(record.account as usize).expect("an account");
    let teller = field!(bank, Bank, tellers).at(record.teller as usize).expect("a teller");
    let row = field!(bank, Bank, history).at(n as usize % 40_000).expect("a record");
    let (branch, count) = (field!(bank, Bank, branch), field!(bank, Bank, transfers));
    let (account, teller, branch, count, row) = tx.get_disjoint_mut((account, teller, branch, count, row))?;
    *account += record.amount; // All five are in the log since they were lent.
    *teller += record.amount; //  Killed here, the transfer has never been.
    *branch += record.amount;
    *count += 1;
    *row = record;
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().unwrap_or("bank.vista".to_owned());
    let count = args.next().map_or(Ok(u64::MAX), |count| count.parse())?; // By default until it is killed.
    let options = SegmentOptions::new().size(4 << 20).lock_wait(std::time::Duration::from_secs(5));
    let mut segment = options.open_or_create::<Bank>(&path)?; // Waits for a killed owner; rolls back.
    let bank = segment.root()?;
    let sums: [i64; 3] = [bank.accounts.iter().sum(), bank.tellers.iter().sum(), bank.branch];
    println!("{} transfers; accounts, tellers and branch hold {sums:?}", bank.transfers);
    assert!(sums == [sums[0]; 3], "the sums do not agree");
    (0..count).try_for_each(|_| segment.transaction(transfer))?;
    Ok(segment.close()?)
}
