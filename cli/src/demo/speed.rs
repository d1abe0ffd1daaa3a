//! How fast transactions are, beside bare stores.
//!
//! The same transfers, drawn in the same loop, go to the same file, mapped in the same way: once through
//! transactions and once with nothing around the stores. Rounds of both alternate, so that whatever else happens on
//! the machine meets both, and medians are taken. The transfers go on where the crashes left off, so the bank can be
//! compared with the model at the end. Start at [`measure`].

use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;
use vista::rio::Region;
use vista::{Segment, SegmentOptions};
use workloads::{Bank, Model, Scale, Tables, Transfer, debit_credit};

use crate::failure::Failure;

const ROUND_COUNT: usize = 7;
const ROUND_TIME: Duration = Duration::from_millis(60);
/// Transactions between two looks at the clock.
const BLOCK_LEN: u64 = 10_000;
/// Transactions before the clock starts: caches and translations are those of another mapping.
const WARM_UP: u64 = 100_000;

/// Medians over the rounds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Speed {
    pub(crate) round_count: usize,
    pub(crate) transaction_nanos: f64,
    pub(crate) transactions_per_second: f64,
    pub(crate) bare_nanos: f64,
    /// Of the two medians.
    pub(crate) ratio: f64,
}

/// Measures, and compares the bank with the model afterwards. The inner error is a violation.
pub(crate) fn measure(path: &Path, model: &mut Model) -> Result<Result<Speed, String>, Failure> {
    let seed = model.seed();
    let mut index = model.count();
    let (mut transactions, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUND_COUNT {
        transactions.push(round_of_transactions(path, seed, &mut index)?);
        bare.push(round_of_bare_stores(path, seed, &mut index)?);
    }
    let segment = Segment::<Bank>::open(path)?;
    let verified = model.verify(&segment).map_err(|discrepancy| discrepancy.to_string());
    segment.close()?;
    let (transaction_nanos, bare_nanos) = (median(transactions), median(bare));
    Ok(verified.and_then(|verified| {
        if verified.count != index {
            return Err(format!("found {} transactions, expected {index}", verified.count));
        }
        Ok(Speed {
            round_count: ROUND_COUNT,
            transaction_nanos,
            transactions_per_second: 1e9 / transaction_nanos,
            bare_nanos,
            ratio: transaction_nanos / bare_nanos,
        })
    }))
}

fn round_of_transactions(path: &Path, seed: u64, index: &mut u64) -> Result<f64, Failure> {
    let mut segment = SegmentOptions::new().prefault(true).open::<Bank>(path)?;
    let bank = *segment.root()?;
    let scale = scale_of(&bank)?;
    let nanos = time(index, |indices| {
        for index in indices {
            let transfer = Transfer::at(scale, seed, index);
            segment.transaction(|tx| debit_credit(tx, &bank, &transfer, index))?;
        }
        Ok(())
    })?;
    segment.close()?;
    Ok(nanos)
}

/// No log is kept here: the region is opened without the segment on top of it.
fn round_of_bare_stores(path: &Path, seed: u64, index: &mut u64) -> Result<f64, Failure> {
    let segment = Segment::<Bank>::open(path)?;
    let bank = *segment.root()?;
    segment.close()?;
    let scale = scale_of(&bank)?;

    let mut region = Region::options().prefault(true).open(path)?;
    let (base, len) = (vista::rio::HEADER_LEN, region.len());
    let bytes = region.bytes_mut(base..len)?;
    let mut tables = Tables::in_bytes(&bank, base, bytes)
        .ok_or_else(|| Failure::new(format!("{}: the bank's tables overlap", path.display())))?;
    let nanos = time(index, |indices| {
        for index in indices {
            tables.debit_credit(&Transfer::at(scale, seed, index), index);
        }
        Ok(())
    })?;
    region.close()?;
    Ok(nanos)
}

fn scale_of(bank: &Bank) -> Result<Scale, Failure> {
    bank.scale().ok_or_else(|| Failure::new("the bank has no branches"))
}

/// Nanoseconds for one transaction, after a warm-up.
fn time(
    index: &mut u64,
    mut run: impl FnMut(std::ops::Range<u64>) -> Result<(), Failure>,
) -> Result<f64, Failure> {
    run(*index..*index + WARM_UP)?;
    *index += WARM_UP;
    let (begun, first) = (Instant::now(), *index);
    while begun.elapsed() < ROUND_TIME {
        run(*index..*index + BLOCK_LEN)?;
        *index += BLOCK_LEN;
    }
    Ok(begun.elapsed().as_secs_f64() * 1e9 / (*index - first) as f64)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
