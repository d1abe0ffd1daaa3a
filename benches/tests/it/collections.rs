//! Collections on trial: everybody finds the same, undo bytes are counted, and the report is what it says.

use std::process::Command;

use benches::aims::Limit;
use benches::collections::contenders::{Contender, Family, Role, Structure, contenders};
use benches::collections::keys::{self, Order};
use benches::collections::load::{Cargo, Load, Loaded, load};
use benches::collections::ours::Handle;
use benches::collections::report::{Report, Trial};
use benches::collections::rounds::{BATCHES, Figure, Plan, Setup, Standing, trial, undo_bytes};
use benches::collections::subject::Operation;
use benches::engine::Level;
use benches::plots;
use benches::race::Spread;
use vista::{PPtr, PVec, Persistent, Reader, Writer};

use crate::{dir, files};

const ORDERS: [Order; 2] = [Order::Random, Order::Sequential];

#[test]
fn every_collection_finds_the_same() {
    for family in Family::ALL {
        for order in ORDERS {
            let files = files();
            let (mut names, mut found) = (Vec::new(), Vec::new());
            for contender in contenders::<8>(family) {
                let mut made = contender.make(&files, 500);
                let subject = made.subject.as_mut();
                let all: Vec<_> = (0..500).map(|number| order.key(number)).collect();
                subject.insert(&all, 100);
                let asked = |number: u64| if family.is_sequence() { number } else { order.key(number) };
                let some: Vec<_> = (100..200).map(asked).collect();
                let missing: Vec<_> = (100..200).map(|number| order.missing(number)).collect();
                let misses = if subject.offers(Operation::Miss) { subject.get(&missing, 7) } else { 0 };
                let before = (subject.get(&some, 7), misses, subject.iterate(u64::MAX));
                let first: Vec<_> = all[..100].to_vec();
                if subject.offers(Operation::Remove) {
                    subject.remove(&first, 3);
                    assert_eq!(subject.iterate(u64::MAX).0, 400, "{}", contender.name);
                    assert_eq!(subject.iterate(10).0, 10, "{}", contender.name);
                }
                names.push(contender.name);
                found.push(before);
            }
            assert!(names.len() >= 2, "{names:?}");
            let sum = keys::sum((100..200).map(|number| order.key(number)));
            let all = keys::sum((0..500).map(|number| order.key(number)));
            assert!(found.iter().all(|found| *found == (sum, 0, (500, all))), "{names:?} {found:?}");
        }
    }
}

#[test]
fn ranges_are_those_of_std() {
    for family in [Family::Maps, Family::Vec] {
        let files = files();
        let all: Vec<_> = (0..500).map(|number| Order::Random.key(number)).collect();
        let starts: Vec<_> = if family.is_sequence() { vec![0, 7, 400] } else { all[..50].to_vec() };
        let mut sums = Vec::new();
        for contender in contenders::<8>(family) {
            let mut made = contender.make(&files, 500);
            if made.subject.offers(Operation::Range) {
                made.subject.insert(&all, 500);
                sums.push((contender.name, made.subject.range(&starts)));
            }
        }
        assert!(sums.len() >= 2 && sums.iter().all(|(_, sum)| *sum == sums[0].1), "{sums:?}");
    }
}

/// As short as a trial can be.
const SHORT: Plan = Plan { rounds: 2, warm_up: 1, budget: std::time::Duration::from_micros(200), most: 300 };

#[test]
fn a_trial_times_all_that_a_collection_offers() {
    for (family, entries) in [(Family::Maps, 300), (Family::Vec, 300), (Family::Deque, 300)] {
        let setup = Setup { family, order: Order::Random, entries };
        let mut turns = 0;
        let standings = trial(&contenders::<8>(family), setup, SHORT, &files(), &mut |_| turns += 1);
        assert!(turns > standings.len());
        for standing in &standings {
            let figures =
                standing.outcome.as_ref().unwrap_or_else(|reason| panic!("{}: {reason}", standing.name));
            assert!(standing.figure(Operation::Hit, 1).is_some());
            let is_asked_for_lookups_only = standing.name == "vista PVec as_slice";
            assert_eq!(standing.figure(Operation::Iterate, 1).is_none(), is_asked_for_lookups_only);
            for batch in BATCHES {
                let insert = standing.figure(Operation::Insert, batch);
                assert_eq!(insert.is_none(), is_asked_for_lookups_only, "{}", standing.name);
                let logs = insert.is_some_and(|figure| figure.undo_bytes.is_some());
                let is_ours = standing.role == Role::Ours && !is_asked_for_lookups_only;
                assert_eq!(logs, is_ours, "{}", standing.name);
            }
            assert!(figures.iter().all(|figure| figure.rounds.len() == 2 && figure.nanos.median > 0.0));
        }
    }
}

/// A vector that logs a word more than it needs to, which is on no log yet.
#[derive(Clone, Copy, Persistent)]
#[repr(transparent)]
struct Wasteful(PVec<[u8; 8]>);

impl Handle<8> for Wasteful {
    fn offers(operation: Operation) -> bool {
        <PVec<[u8; 8]> as Handle<8>>::offers(operation)
    }

    fn or_new(tx: &mut impl Writer, field: PPtr<Self>) -> vista::Result<Self> {
        let made = <PVec<[u8; 8]> as Handle<8>>::or_new(tx, PPtr::from_offset(field.offset()))?;
        Ok(Wasteful(made))
    }

    fn add(self, tx: &mut impl Writer, key: u64) -> vista::Result<()> {
        if let Some(first) = self.0.place(tx, 0)? {
            tx.get_mut(first)?;
        }
        Handle::<8>::add(self.0, tx, key)
    }

    fn take(self, tx: &mut impl Writer, key: u64) -> vista::Result<()> {
        Handle::<8>::take(self.0, tx, key)
    }

    fn find(self, on: &impl Reader, key: u64) -> vista::Result<Option<u64>> {
        Handle::<8>::find(self.0, on, key)
    }

    fn walk(self, on: &impl Reader, limit: u64) -> vista::Result<(u64, u64)> {
        Handle::<8>::walk(self.0, on, limit)
    }

    fn range(self, on: &impl Reader, start: u64) -> vista::Result<u64> {
        Handle::<8>::range(self.0, on, start)
    }
}

#[test]
fn undo_bytes_are_counted_and_a_word_too_many_is_noticed() {
    let (files, setup) = (files(), Setup { family: Family::Vec, order: Order::Sequential, entries: 1000 });
    let bytes = |contender: &Contender, operation: Operation| {
        let counted = undo_bytes(contender, setup, &files);
        counted.iter().find(|(other, batch, _)| (*other, *batch) == (operation, 1)).unwrap().2
    };
    let plain = Contender::ours::<PVec<[u8; 8]>, 8>("plain", Structure::Vec);
    let wasteful = Contender::ours::<Wasteful, 8>("wasteful", Structure::Vec);
    // The state when it begins to have a record and when it is emptied; a record is its payload and 16 bytes. A pop
    // logs the length; a push that and what stands behind it.
    assert_eq!(bytes(&plain, Operation::Remove), 8.0 + 16.0 + 24.0);
    let [one, more] = [&plain, &wasteful].map(|contender| bytes(contender, Operation::Insert));
    assert!(one > 0.0 && more >= one + 24.0, "{one} and {more}");
    let std = Contender::bound::<Vec<[u8; 8]>>("std", Structure::Vec);
    assert!(undo_bytes(&std, setup, &files).is_empty(), "who has no log has no undo bytes");
}

#[test]
fn a_collection_that_loses_an_entry_is_out() {
    #[derive(Clone, Copy, Persistent)]
    #[repr(transparent)]
    struct Forgetful(PVec<[u8; 8]>);

    impl Handle<8> for Forgetful {
        fn offers(operation: Operation) -> bool {
            <PVec<[u8; 8]> as Handle<8>>::offers(operation)
        }

        fn or_new(tx: &mut impl Writer, field: PPtr<Self>) -> vista::Result<Self> {
            Ok(Forgetful(<PVec<[u8; 8]> as Handle<8>>::or_new(tx, PPtr::from_offset(field.offset()))?))
        }

        fn add(self, tx: &mut impl Writer, key: u64) -> vista::Result<()> {
            let key = if key == Order::Sequential.key(77) { key + 2 } else { key };
            Handle::<8>::add(self.0, tx, key)
        }

        fn take(self, tx: &mut impl Writer, key: u64) -> vista::Result<()> {
            Handle::<8>::take(self.0, tx, key)
        }

        fn find(self, on: &impl Reader, key: u64) -> vista::Result<Option<u64>> {
            Handle::<8>::find(self.0, on, key)
        }

        fn walk(self, on: &impl Reader, limit: u64) -> vista::Result<(u64, u64)> {
            Handle::<8>::walk(self.0, on, limit)
        }

        fn range(self, on: &impl Reader, start: u64) -> vista::Result<u64> {
            Handle::<8>::range(self.0, on, start)
        }
    }

    let setup = Setup { family: Family::Vec, order: Order::Sequential, entries: 300 };
    let contenders = [
        Contender::bound::<Vec<[u8; 8]>>("std Vec", Structure::Vec),
        Contender::ours::<Forgetful, 8>("forgetful", Structure::Vec),
    ];
    let standings = trial(&contenders, setup, SHORT, &files(), &mut |_| {});
    assert!(standings[0].outcome.is_ok(), "{:?}", standings[0].outcome);
    assert!(standings[1].outcome.is_err());
}

#[test]
fn a_load_is_checked_and_timed() {
    let cargo = Cargo { pairs: 2000, order: Order::Random, batch: 500 };
    let Load { results, .. } = load(&contenders::<100>(Family::Maps), cargo, 2, &files(), &mut |_| {});
    assert!(results.len() >= 4);
    for loaded in results {
        assert_eq!(loaded.rounds.as_ref().map(Vec::len), Ok(2), "{}", loaded.name);
        assert!(loaded.spread().unwrap().median > 0.0);
    }
}

/// Nanoseconds in round figures of no machine: std's, ours, and two peers'.
fn made_up() -> Report {
    let standing = |name: &str, role, nanos: f64| {
        let figure = |operation, undo_bytes| Figure {
            operation,
            batch: 1,
            count: 100,
            nanos: Spread::of([nanos]),
            rounds: vec![nanos, nanos * 2.0],
            undo_bytes,
        };
        let undo = (role == Role::Ours).then_some(64.0);
        let outcome = Ok(vec![figure(Operation::Hit, None), figure(Operation::Insert, undo)]);
        let level = if role == Role::Bound { Level::Nothing } else { Level::ProcessCrash };
        Standing {
            name: name.to_owned(),
            role,
            structure: Structure::Hash,
            level,
            configuration: String::new(),
            outcome,
        }
    };
    let trial = |entries, slow: f64| Trial {
        family: Family::Maps,
        order: Order::Random,
        entries,
        results: vec![
            standing("std HashMap", Role::Bound, 20.0),
            standing("vista PHashMap", Role::Ours, 25.0 * slow),
            standing("LMDB", Role::Peer, 2000.0),
            standing("redb", Role::Peer, 200.0),
        ],
    };
    let loaded = |name: &str, role, nanos: f64| Loaded {
        name: name.to_owned(),
        role,
        structure: Structure::Hash,
        level: Level::ProcessCrash,
        rounds: Ok(vec![nanos]),
    };
    let cargo = Cargo { pairs: 1_000_000, order: Order::Random, batch: 1000 };
    let results = vec![
        loaded("std HashMap", Role::Bound, 100.0),
        loaded("vista PHashMap", Role::Ours, 250.0),
        loaded("LMDB", Role::Peer, 1000.0),
    ];
    let mut report = Report {
        trials: vec![trial(1000, 1.0), trial(1_000_000, 2.0)],
        loads: vec![Load { cargo, results }],
        ..Report::default()
    };
    report.judge();
    report
}

#[test]
fn aims_are_judged_where_they_are_furthest_from_being_reached() {
    let report = made_up();
    let aims: Vec<_> = report.aims.iter().map(|aim| (aim.limit, aim.found, aim.is_reached())).collect();
    assert_eq!(
        aims,
        [
            (Limit::AtMost(1.5), 2.5, false),   // Lookups beside std's.
            (Limit::AtMost(3.0), 2.5, true),    // Inserts beside std's.
            (Limit::AtLeast(10.0), 4.0, false), // Inserts beside redb's, the faster peer.
            (Limit::AtMost(3.0), 2.5, true),    // The load beside std's.
            (Limit::AtLeast(10.0), 4.0, false), // The load beside LMDB's.
        ]
    );
    assert!(report.aims.iter().take(3).all(|aim| aim.what.contains("1 M")), "{:?}", report.aims);
}

#[test]
fn a_report_is_json_tables_and_plots() {
    let report = made_up();
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    let text = report.text();
    for part in
        ["maps, random keys; insert, 1 in a transaction", "undo bytes", "64.00", "bulk load of 1 M pairs"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let plots = plots::collections(&report).unwrap();
    let names: Vec<_> = plots.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["maps-random-insert.svg", "maps-random-hit.svg"]);
    assert!(plots.iter().all(|(_, svg)| svg.starts_with("<svg") && svg.contains("vista PHashMap")));
}

#[test]
fn the_command_prints_json_and_writes_what_it_says() {
    let out = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_benches"));
    command.args(["collections", "--quick", "--sizes", "300", "--only", "vec", "--json", "--out"]);
    let output = command.arg(out.path()).arg("--dir").arg(dir()).arg("--disk").arg(dir()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let report: Report = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((report.trials.len(), report.failures.len()), (2, 0), "{:?}", report.failures);
    let written: Report =
        serde_json::from_slice(&std::fs::read(out.path().join("report.json")).unwrap()).unwrap();
    assert_eq!(written, report);
    assert!(std::fs::read_to_string(out.path().join("tables.md")).unwrap().contains("vista PVec"));
}

#[test]
fn a_map_that_fills_its_segment_is_opened_after_a_close_and_after_a_kill() {
    for structure in ["hash", "btree"] {
        let out = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_benches"));
        command.args([
            "collections",
            "--quick",
            "--sizes",
            "100",
            "--pairs",
            "500",
            "--opened",
            "4",
            "--json",
        ]);
        command.args(["--only", structure]).arg("--out").arg(out.path()).arg("--dir").arg(dir());
        let output = command.arg("--disk").arg(dir()).output().unwrap();
        let report: Report = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((report.openings.len(), report.loads.len()), (1, 2), "{:?}", report.failures);
        let opening = &report.openings[0];
        assert!(opening.entries >= 5000 && opening.restored > 0, "{opening:?}");
        assert_eq!(report.aims.iter().filter(|aim| aim.what.starts_with("opening")).count(), 2);
    }
}
