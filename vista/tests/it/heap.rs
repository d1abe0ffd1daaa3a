//! The heap against a model: blocks are where and what the model says, through commits, aborts, crashes, savepoints
//! and growth; nothing overlaps, nothing leaks, and what was freed is there again if the transaction does not commit.

use proptest::prelude::*;
use rio::Domain;
use vista::Segment;

use crate::history::{Kind, Live, Model, Op, assert_matches, free, run};
use crate::support::{pages, sized};
use crate::traced::Traced;

fn op() -> impl Strategy<Value = Op> {
    let sizes = prop_oneof![
        4 => 1usize..300,
        2 => 300usize..2100,
        2 => 2040usize..5000,
        1 => 5000usize..40_000,
    ];
    let alloc = prop_oneof![
        6 => sizes.prop_map(|count| (Kind::Bytes, count)),
        1 => (1usize..40).prop_map(|count| (Kind::Line, count)),
        1 => (1usize..12).prop_map(|count| (Kind::Aligned, count)),
        1 => (1usize..4).prop_map(|count| (Kind::Page, count)),
    ];
    let at = || any::<u16>().prop_map(usize::from);
    prop_oneof![
        8 => (alloc, any::<u8>()).prop_map(|((kind, count), fill)| Op::Alloc { kind, count, fill }),
        6 => at().prop_map(|at| Op::Free { at }),
        1 => at().prop_map(|at| Op::FreeAgain { at }),
        4 => (at(), at(), 0usize..6000, any::<u8>())
            .prop_map(|(at, from, len, fill)| Op::Change { at, from, len, fill }),
        2 => (at(), any::<u8>()).prop_map(|(at, fill)| Op::Write { at, fill }),
        2 => Just(Op::Savepoint),
        2 => at().prop_map(|at| Op::RollbackTo { at }),
        2 => Just(Op::Commit),
        1 => Just(Op::Abort),
        1 => Just(Op::Crash),
        1 => Just(Op::Grow),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_equals_its_model(ops in prop::collection::vec(op(), 1..120)) {
        run(Domain::PageCache, pages(60), pages(60), &ops);
    }

    #[test]
    fn any_history_in_an_ordered_domain_equals_its_model(ops in prop::collection::vec(op(), 1..120)) {
        run(Domain::Adr, pages(60), pages(60), &ops);
    }

    #[test]
    fn any_history_that_grows_equals_its_model(ops in prop::collection::vec(op(), 1..120)) {
        run(Domain::PageCache, pages(20), pages(500), &ops);
    }

    /// Where most operations meet the end of space, halfway or at once.
    #[test]
    fn any_history_without_room_equals_its_model(ops in prop::collection::vec(op(), 1..100)) {
        run(Domain::PageCache, pages(17), pages(17), &ops);
    }

    #[test]
    fn any_history_without_room_in_an_ordered_domain_equals_its_model(ops in prop::collection::vec(op(), 1..100)) {
        run(Domain::Adr, pages(17), pages(17), &ops);
    }
}

/// Freed and allocated again in one transaction that does not commit: the old bytes are there again.
#[test]
fn a_free_and_an_allocation_in_its_place_can_be_undone() {
    fn check(domain: Domain, old_lens: &[usize], new_lens: &[usize], is_crash: bool) {
        let (mut segment, tape) = sized::<u64>(domain, pages(100), pages(100));
        let mut model = Model::new();
        let mut tx = segment.begin().unwrap();
        for (index, &len) in old_lens.iter().enumerate() {
            let bytes: Vec<u8> = (0..len).map(|i| (i + index) as u8).collect();
            let offset = tx.alloc_slice(&bytes).unwrap().offset();
            model.insert(offset, Live { kind: Kind::Bytes, bytes });
        }
        tx.commit().unwrap();
        let mut tx = segment.begin().unwrap();
        for (&offset, live) in &model {
            free(&mut tx, offset, live).unwrap();
        }
        for round in 0..3 {
            for &len in new_lens {
                let new = tx.alloc_slice(&vec![0xEE; len]).unwrap();
                tx.slice_mut(new).unwrap().fill(round);
                if round == 1 {
                    tx.free_slice(new).unwrap();
                }
            }
        }
        if is_crash {
            let image = tape.bytes();
            std::mem::forget(tx);
            let (medium, _) = Traced::from_bytes(&image, 0, domain);
            assert_matches(&Segment::open_on(medium).unwrap(), &model);
        } else {
            tx.abort().unwrap();
            assert_matches(&segment, &model);
        }
    }
    for domain in [Domain::PageCache, Domain::Adr] {
        for is_crash in [false, true] {
            check(domain, &[64; 3], &[64; 5], is_crash);
            check(domain, &[64; 64], &[64, 4096, 300], is_crash);
            check(domain, &[9000], &[9000], is_crash);
            check(domain, &[9000, 5000, 64], &[4096, 4000, 64], is_crash);
            check(domain, &[20_000, 64, 20_000], &[100, 2000, 9000], is_crash);
            check(domain, &[2000; 9], &[12_000], is_crash);
        }
    }
}

/// What one transaction freed another may take without a before-image, and still undo.
#[test]
fn nothing_leaks_and_all_space_comes_back() {
    for domain in [Domain::PageCache, Domain::Adr] {
        let (mut segment, _) = sized::<u64>(domain, pages(60), pages(60));
        let free_at_first = segment.stats().unwrap().free_pages;
        for round in 0..50 {
            let len = [10, 100, 1000, 3000, 10_000][round % 5];
            let slices = segment
                .transaction(|tx| {
                    (0..8).map(|_| tx.alloc_slice(&vec![1u8; len])).collect::<Result<Vec<_>, _>>()
                })
                .unwrap();
            segment.transaction(|tx| slices.iter().try_for_each(|&slice| tx.free_slice(slice))).unwrap();
            let stats = segment.stats().unwrap();
            assert_eq!(stats.block_count, 1);
            // An empty page of a class may wait for its next block.
            assert!(free_at_first - stats.free_pages <= pages(3), "round {round}: {stats:?}");
        }
    }
}
