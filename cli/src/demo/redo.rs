//! The same bank on lrvm: on a disk, and on regions of rio beside the file of the demonstration.
//!
//! The same transfers, each a transaction that is flushed before the next begins, in a log that is truncated at its
//! threshold as often as it takes. Start at [`measure`].

use std::path::Path;
use std::time::{Duration, Instant};

use lrvm::on_rio::Regions;
use lrvm::{Begin, End, Options, Region, Rvm};
use serde::Serialize;
use vista::rio::RegionOptions;
use workloads::{Model, Plan, Scale, Transfer};

use super::machine::file_system_of;
use crate::failure::Failure;

/// Long enough for a thousand transactions between truncations.
const LOG_LEN: u64 = 1 << 20;
/// Time until which a round goes on.
const ROUND_TIME: Duration = Duration::from_millis(100);
/// Time at which it ends even if there was no truncation yet.
const ROUND_TIME_MAX: Duration = Duration::from_secs(5);
/// Transactions between two looks at the clock.
const BLOCK_LEN: u64 = 10;
/// Bytes in one of the transactions that fill the bank.
const FILL_LEN: usize = 1 << 16;

/// What a transaction took.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Redo {
    pub(crate) is_on_rio: bool,
    pub(crate) file_system: String,
    pub(crate) transaction_nanos: f64,
    pub(crate) transactions: u64,
    pub(crate) truncations: u64,
}

/// Measures on a new bank in this directory, and compares it with the model afterwards. The inner error is a violation.
pub(crate) fn measure(
    directory: &Path,
    is_on_rio: bool,
    scale: Scale,
    seed: u64,
) -> Result<Result<Redo, String>, Failure> {
    let plan = Plan::new(scale);
    let (log, data) = (directory.join("log"), directory.join("segment"));
    let options = Options::new().background(false);
    let system = |error: std::io::Error| Failure::system(directory, "create a bank on lrvm", &error);
    let rvm = if is_on_rio {
        let regions = Regions::new(directory, RegionOptions::new()).map_err(system)?;
        regions.create_log(&log, LOG_LEN).map_err(system)?;
        regions.create_segment(&data, plan.len()).map_err(system)?;
        regions.open(&log, &options)?
    } else {
        lrvm::create_log(&log, LOG_LEN)?;
        lrvm::create_segment(&data, plan.len())?;
        options.open(&log)?
    };
    let mut region = rvm.map(&data, 0..plan.len())?;
    fill(&rvm, &mut region, &plan)?;

    let truncations = || {
        let statistics = rvm.statistics();
        statistics.incremental_truncations + statistics.epoch_truncations
    };
    let (begun, before, mut index) = (Instant::now(), truncations(), 0);
    while begun.elapsed() < ROUND_TIME || truncations() == before && begun.elapsed() < ROUND_TIME_MAX {
        for _ in 0..BLOCK_LEN {
            let transfer = Transfer::at(scale, seed, index);
            let mut tx = rvm.begin(Begin::Restore)?;
            let enlisted = tx.enlist(&mut region)?;
            plan.debit_credit(&mut tx, enlisted, &transfer, index)?;
            tx.commit(End::Flush)?;
            index += 1;
        }
    }
    let transaction_nanos = begun.elapsed().as_secs_f64() * 1e9 / index as f64;
    let truncations = truncations() - before;

    // As a crash would leave it: what was committed has to come back out of log and segment.
    drop((region, rvm));
    let rvm = if is_on_rio {
        Regions::new(directory, RegionOptions::new()).map_err(system)?.open(&log, &options)?
    } else {
        options.open(&log)?
    };
    let region = rvm.map(&data, 0..plan.len())?;
    let verified = plan.verify(region.bytes(), &mut Model::new(scale, seed));
    drop(region);
    rvm.close()?;
    Ok(match verified {
        Err(discrepancy) => Err(discrepancy.to_string()),
        Ok(verified) if verified.count != index => {
            Err(format!("found {} transactions, expected {index}", verified.count))
        }
        Ok(_) => Ok(Redo {
            is_on_rio,
            file_system: file_system_of(directory).unwrap_or_else(|| "an unknown file system".to_owned()),
            transaction_nanos,
            transactions: index,
            truncations,
        }),
    })
}

/// Makes an empty bank, in transactions that the log can hold.
fn fill(rvm: &Rvm, region: &mut Region, plan: &Plan) -> Result<(), Failure> {
    let mut empty = vec![0; region.bytes().len()];
    plan.create(&mut empty);
    for (offset, chunk) in (0..).step_by(FILL_LEN).zip(empty.chunks(FILL_LEN)) {
        let mut tx = rvm.begin(Begin::NoRestore)?;
        let region = tx.enlist(region)?;
        tx.modify(region, offset, chunk)?;
        tx.commit(End::NoFlush)?;
    }
    Ok(rvm.truncate()?)
}
