//! One crash: the plan of it, the kill, and the proof that nothing was lost or is half there.
//!
//! Start at [`Demo::crash`].

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use vista::inspect::{Inspector, RecordKind};
use vista::{Persistent, Recovery, Segment};
use workloads::{Bank, Model, draw};

use super::worker::{Heard, Pace, Structure, Worker};
use crate::failure::Failure;

/// What the children change, and what is known of it without them.
pub(crate) trait Subject {
    /// The segment's root.
    type Root: Persistent;
    /// What the children are told to change.
    const STRUCTURE: Structure;

    /// Number of transactions that were found when it was compared last.
    fn count(&self) -> u64;

    /// Compares everything; returns the number of transactions that are there, all from the first on and no other. Or what
    /// is wrong.
    fn compare(&mut self, segment: &Segment<Self::Root>) -> Result<u64, String>;
}

impl Subject for Model {
    type Root = Bank;
    const STRUCTURE: Structure = Structure::Bank;

    fn count(&self) -> u64 {
        Model::count(self)
    }

    /// Every account, teller, branch and history record.
    fn compare(&mut self, segment: &Segment<Bank>) -> Result<u64, String> {
        self.verify(segment).map(|verified| verified.count).map_err(|discrepancy| discrepancy.to_string())
    }
}

/// What is the same for all crashes.
pub(crate) struct Demo {
    pub(crate) path: PathBuf,
    pub(crate) seed: u64,
    /// The longest that a child runs before it is killed.
    pub(crate) run_max: Duration,
    /// Whether the children shall make a mistake.
    pub(crate) plant: bool,
}

/// What one crash has shown.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Crash {
    pub(crate) number: u64,
    /// Transactions that this crash's children acknowledged.
    pub(crate) acknowledged: u64,
    /// Transactions found since the beginning.
    pub(crate) found: u64,
    /// Transactions committed by this crash's children whose acknowledgement was not written any more.
    pub(crate) unacknowledged: u64,
    pub(crate) rolled_back: Option<RolledBack>,
    pub(crate) recovery_micros: f64,
    pub(crate) open_micros: f64,
    /// Children that were killed when they should have been recovering.
    pub(crate) cuts_aimed: u64,
    /// Those that left a recovery behind of which a part was done.
    pub(crate) cuts_hit: u64,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct RolledBack {
    pub(crate) transaction: u64,
    pub(crate) record_count: u64,
    pub(crate) byte_count: u64,
}

/// How one crash is to go, by seed and number alone.
struct Plan {
    pace: Pace,
    run: Duration,
    /// Kills of the children that come after and recover, each as part of the time that a recovery takes.
    cuts: Vec<f64>,
}

impl Plan {
    fn new(demo: &Demo, number: u64) -> Plan {
        let unit = |draw_index: u64| {
            let bits = draw(demo.seed ^ 0x6b69_6c6c, number * 8 + draw_index); // "kill"
            (bits >> 11) as f64 / (1u64 << 53) as f64
        };
        // In turns: the tightest acknowledgement; long rollbacks, cut off; transactions that take their time;
        // transactions as fast as they go.
        let turn = number % 4;
        let (batch, cut_count) = match turn {
            1 => (1, 0),
            2 => (64, 3),
            3 => (64, 0),
            _ => (256, 0),
        };
        Plan {
            pace: Pace { batch, sweep: turn == 2, linger: turn == 3, plant: demo.plant },
            run: demo.run_max.mul_f64(unit(0)),
            cuts: (1..=cut_count).map(|cut| 1.2 * unit(cut)).collect(),
        }
    }
}

/// What the kill left in the file, seen before anybody opens it.
struct Wreck {
    rolled_back: Option<RolledBack>,
    /// Records whose range holds the before-image already.
    restored_count: u64,
}

impl Demo {
    /// Runs a child, kills it, kills some of its successors as they recover, and compares what is there with the
    /// model. The inner error is a violation: something that must never be.
    pub(crate) fn crash<S: Subject>(
        &self,
        number: u64,
        model: &mut S,
    ) -> Result<Result<Crash, String>, Failure> {
        let plan = Plan::new(self, number);
        let count_before = model.count();

        let mut worker = Worker::start(S::STRUCTURE, &self.path, self.seed, plan.pace)?;
        let start_time = worker.wait_for_hello()?;
        worker.wait_since_start(start_time + plan.run);
        let mut heard = vec![worker.kill()?];

        let mut wreck = match look(&self.path) {
            Ok(wreck) => wreck,
            Err(failure) => return Ok(Err(failure.to_string())),
        };
        let mut cuts_hit = 0;
        for part in &plan.cuts {
            // A child needs the time of its start, which this one has shown, and then that of the rollback.
            let rollback_time = rollback_time(&wreck);
            let worker = Worker::start(S::STRUCTURE, &self.path, self.seed, plan.pace)?;
            worker.wait_since_start(start_time.mul_f64(0.8) + rollback_time.mul_f64(*part));
            let said = worker.kill()?;
            let found = match look(&self.path) {
                Ok(found) => found,
                Err(failure) => return Ok(Err(failure.to_string())),
            };
            let is_same = wreck.rolled_back.is_some()
                && found.rolled_back.map(|r| r.transaction) == wreck.rolled_back.map(|r| r.transaction);
            cuts_hit += u64::from(is_same && found.restored_count > wreck.restored_count);
            heard.push(said);
            wreck = found;
        }

        let opened = Instant::now();
        let segment = match Segment::<S::Root>::open(&self.path) {
            Ok(segment) => segment,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let open_micros = opened.elapsed().as_secs_f64() * 1e6;
        let recovery = *segment.recovery();
        let proof = prove(&segment, model, count_before, &heard, &plan, &wreck);
        segment.close()?;
        Ok(proof.map(|acknowledged| Crash {
            number,
            acknowledged,
            found: model.count(),
            unacknowledged: model.count() - count_before - acknowledged,
            rolled_back: rolled_back(&recovery),
            recovery_micros: recovery.duration.as_secs_f64() * 1e6,
            open_micros,
            cuts_aimed: plan.cuts.len() as u64,
            cuts_hit,
        }))
    }
}

/// Compares everything. Returns how many transactions were acknowledged since the last crash, or what is wrong.
fn prove<S: Subject>(
    segment: &Segment<S::Root>,
    model: &mut S,
    count_before: u64,
    heard: &[Heard],
    plan: &Plan,
    wreck: &Wreck,
) -> Result<u64, String> {
    // What the file said of the log, and what opening made of it.
    let (recovery, seen) = (rolled_back(segment.recovery()), wreck.rolled_back);
    let of = |r: Option<RolledBack>| r.map(|r| (r.transaction, r.record_count, r.byte_count));
    if of(recovery) != of(seen) {
        return Err(format!("recovery: rolled back {recovery:?}, expected {seen:?}"));
    }
    // Everything that the children were told and have told, one after the other.
    let mut count = count_before;
    let mut acknowledged = 0;
    for (place, heard) in heard.iter().enumerate() {
        if let Some((found, expected)) = heard.out_of_order {
            return Err(format!("acknowledgement of transaction {found}, expected {expected}"));
        }
        let Some(found) = heard.found else { continue };
        check_count(&format!("child {place}"), found, count, if place == 0 { 0 } else { plan.pace.batch })?;
        count = found + heard.acknowledged;
        acknowledged += heard.acknowledged;
    }
    let found = model.compare(segment)?;
    check_count(S::STRUCTURE.name(), found, count, plan.pace.batch)?;
    // The heap below.
    let violations = segment.check().map_err(|error| error.to_string())?;
    match violations.first() {
        None => Ok(acknowledged),
        Some(first) => Err(format!("{first} ({} in all)", violations.len())),
    }
}

/// All that was acknowledged has to be there, and no more than one batch that was not.
fn check_count(who: &str, found: u64, acknowledged: u64, batch: u64) -> Result<(), String> {
    if (acknowledged..=acknowledged + batch).contains(&found) {
        return Ok(());
    }
    Err(format!(
        "{who}: found {found} transactions, expected {acknowledged} that were acknowledged and at most {batch} more"
    ))
}

fn rolled_back(recovery: &Recovery) -> Option<RolledBack> {
    let &Recovery { transaction, record_count, byte_count, .. } = recovery;
    (transaction != 0).then_some(RolledBack { transaction, record_count, byte_count })
}

/// Looks at the log in a private copy, which leaves the file to the one who recovers it.
fn look(path: &Path) -> Result<Wreck, Failure> {
    let inspector = Inspector::open(path)?;
    let log = inspector.log()?;
    let mut wreck = Wreck { rolled_back: None, restored_count: 0 };
    if !log.is_in_flight {
        return Ok(wreck);
    }
    let region = inspector.medium();
    let mut byte_count = 0;
    for record in log.records.iter().filter(|record| record.kind == RecordKind::Image) {
        byte_count += record.len;
        let image = region.bytes(record.offset..record.offset + record.len)?;
        let target = region.bytes(record.target..record.target + record.len)?;
        wreck.restored_count += u64::from(image == target);
    }
    let record_count = log.records.len() as u64;
    wreck.rolled_back = Some(RolledBack { transaction: log.sequence, record_count, byte_count });
    Ok(wreck)
}

/// About how long a child takes to roll back: only where to aim depends on it.
fn rollback_time(wreck: &Wreck) -> Duration {
    Duration::from_nanos(20) * wreck.rolled_back.map_or(0, |undone| undone.record_count as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use vista::SegmentOptions;
    use workloads::{Scale, Transfer, debit_credit};

    const SEED: u64 = 11;
    const COUNT: u64 = 1000;

    /// A bank in which transactions 0 to 999 are there; the last one only as far as `last` makes it.
    fn bank(last: impl FnOnce(&mut vista::Transaction<'_, Bank>, &Bank, &Transfer)) -> Segment<Bank> {
        let scale = Scale::new(1).unwrap();
        let mut segment = SegmentOptions::new().size(scale.segment_bytes()).anonymous::<Bank>().unwrap();
        segment.transaction(|tx| Bank::create_in(tx, scale)).unwrap();
        let bank = *segment.root().unwrap();
        for index in 0..COUNT - 1 {
            let transfer = Transfer::at(scale, SEED, index);
            segment.transaction(|tx| debit_credit(tx, &bank, &transfer, index)).unwrap();
        }
        let mut tx = segment.begin().unwrap();
        last(&mut tx, &bank, &Transfer::at(scale, SEED, COUNT - 1));
        tx.commit().unwrap();
        segment
    }

    fn whole_bank() -> Segment<Bank> {
        bank(|tx, bank, transfer| debit_credit(tx, bank, transfer, COUNT - 1).unwrap())
    }

    fn heard(found: u64, acknowledged: u64) -> Heard {
        Heard { found: Some(found), acknowledged, out_of_order: None }
    }

    const NO_WRECK: Wreck = Wreck { rolled_back: None, restored_count: 0 };

    fn proof(segment: &Segment<Bank>, heard: &[Heard], wreck: &Wreck) -> Result<u64, String> {
        let pace = Pace { batch: 16, sweep: false, linger: false, plant: false };
        let plan = Plan { pace, run: Duration::ZERO, cuts: Vec::new() };
        prove(segment, &mut Model::new(Scale::new(1).unwrap(), SEED), 0, heard, &plan, wreck)
    }

    fn check_caught(segment: &Segment<Bank>, heard: &[Heard], wreck: &Wreck, expected: &str) {
        let found = proof(segment, heard, wreck).unwrap_err();
        assert!(found.contains(expected), "{found}, expected {expected}");
    }

    #[test]
    fn what_children_may_leave_behind_is_accepted() {
        let segment = whole_bank();
        for all in [
            &[heard(0, 1000)][..],
            &[heard(0, 984)],
            &[heard(0, 500), heard(516, 484)],
            &[heard(0, 990), Heard::default(), heard(995, 0)],
        ] {
            let acknowledged = all.iter().map(|heard| heard.acknowledged).sum();
            assert_eq!(proof(&segment, all, &NO_WRECK), Ok(acknowledged), "{all:?}");
        }
    }

    #[test]
    fn each_violation_is_caught() {
        let segment = whole_bank();
        let check = |heard: &[Heard], expected| check_caught(&segment, heard, &NO_WRECK, expected);
        check(&[heard(0, 1001)], "the bank: found 1000 transactions, expected 1001 that were acknowledged");
        check(&[heard(0, 983)], "the bank: found 1000 transactions, expected 983");
        check(&[heard(1, 999)], "child 0: found 1 transactions, expected 0");
        check(&[heard(0, 500), heard(499, 500)], "child 1: found 499 transactions, expected 500");
        check(&[heard(0, 500), heard(517, 480)], "child 1: found 517 transactions, expected 500");
        let jump = Heard { out_of_order: Some((7, 6)), ..heard(0, 1000) };
        check(&[jump], "acknowledgement of transaction 7, expected 6");
    }

    #[test]
    fn a_rollback_other_than_the_log_said_is_caught() {
        let undone = RolledBack { transaction: 3, record_count: 4, byte_count: 74 };
        let wreck = Wreck { rolled_back: Some(undone), restored_count: 0 };
        check_caught(&whole_bank(), &[heard(0, 1000)], &wreck, "recovery: rolled back None, expected Some");
    }

    #[test]
    fn half_a_transaction_is_caught() {
        let segment = bank(|tx, bank, transfer| {
            let account = bank.accounts.at(transfer.account as usize).unwrap();
            tx.get_mut(account).unwrap().balance.add(transfer.delta);
        });
        check_caught(&segment, &[heard(0, 999)], &NO_WRECK, "balance: found ");
    }

    #[test]
    fn a_plan_follows_from_seed_and_number() {
        let demo = |seed| Demo { path: PathBuf::new(), seed, run_max: Duration::from_secs(1), plant: false };
        let run = |seed, number| Plan::new(&demo(seed), number).run;
        assert_eq!(run(1, 5), run(1, 5));
        assert_ne!(run(1, 5), run(2, 5));
        assert_ne!(run(1, 5), run(1, 9));
        assert!((1..100).all(|number| run(3, number) < Duration::from_secs(1)));
    }
}
