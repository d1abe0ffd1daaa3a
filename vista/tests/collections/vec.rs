//! `PVec` equals `Vec` under any history of operations, commits, aborts and rollbacks to savepoints.

use proptest::prelude::*;
use vista::{Error, PVec, Segment, SegmentOptions};

#[derive(Clone, Debug)]
enum Op {
    Push(u32),
    Pop,
    Insert(usize, u32),
    Remove(usize),
    SwapRemove(usize),
    Set(usize, u32),
    Swap(usize, usize),
    Truncate(usize),
    Resize(usize, u32),
    Extend(Vec<u32>),
    Retain(u32),
    Drain(usize, usize),
    Reserve(usize),
    Shrink,
    Clear,
}

fn op() -> impl Strategy<Value = Op> {
    let at = 0..40usize;
    prop_oneof![
        4 => any::<u32>().prop_map(Op::Push),
        2 => Just(Op::Pop),
        2 => (at.clone(), any::<u32>()).prop_map(|(at, v)| Op::Insert(at, v)),
        2 => at.clone().prop_map(Op::Remove),
        1 => at.clone().prop_map(Op::SwapRemove),
        2 => (at.clone(), any::<u32>()).prop_map(|(at, v)| Op::Set(at, v)),
        1 => (at.clone(), at.clone()).prop_map(|(a, b)| Op::Swap(a, b)),
        1 => at.clone().prop_map(Op::Truncate),
        1 => (at.clone(), any::<u32>()).prop_map(|(len, v)| Op::Resize(len, v)),
        2 => prop::collection::vec(any::<u32>(), 0..20).prop_map(Op::Extend),
        1 => (1..5u32).prop_map(Op::Retain),
        1 => (at.clone(), at.clone()).prop_map(|(a, b)| Op::Drain(a, b)),
        1 => at.prop_map(Op::Reserve),
        1 => Just(Op::Shrink),
        1 => Just(Op::Clear),
    ]
}

/// Does an operation to both, and compares what they return.
fn apply(tx: &mut impl vista::Writer, vec: PVec<u32>, model: &mut Vec<u32>, op: &Op) -> vista::Result<()> {
    let len = model.len();
    let is_out = |error: Error| matches!(error, Error::OutOfBounds { .. });
    match *op {
        Op::Push(v) => {
            vec.push(tx, v)?;
            model.push(v);
        }
        Op::Pop => assert_eq!(vec.pop(tx)?, model.pop()),
        Op::Insert(at, v) if at <= len => {
            vec.insert(tx, at, v)?;
            model.insert(at, v);
        }
        Op::Insert(at, v) => assert!(is_out(vec.insert(tx, at, v).unwrap_err())),
        Op::Remove(at) if at < len => assert_eq!(vec.remove(tx, at)?, model.remove(at)),
        Op::Remove(at) => assert!(is_out(vec.remove(tx, at).unwrap_err())),
        Op::SwapRemove(at) if at < len => assert_eq!(vec.swap_remove(tx, at)?, model.swap_remove(at)),
        Op::SwapRemove(at) => assert!(is_out(vec.swap_remove(tx, at).unwrap_err())),
        Op::Set(at, v) if at < len => assert_eq!(vec.set(tx, at, v)?, std::mem::replace(&mut model[at], v)),
        Op::Set(at, v) => assert!(is_out(vec.set(tx, at, v).unwrap_err())),
        Op::Swap(a, b) if a < len && b < len => {
            vec.swap(tx, a, b)?;
            model.swap(a, b);
        }
        Op::Swap(a, b) => assert!(is_out(vec.swap(tx, a, b).unwrap_err())),
        Op::Truncate(to) => {
            vec.truncate(tx, to)?;
            model.truncate(to);
        }
        Op::Resize(to, v) => {
            vec.resize(tx, to, v)?;
            model.resize(to, v);
        }
        Op::Extend(ref values) => {
            vec.extend(tx, values.iter().copied())?;
            model.extend(values);
        }
        Op::Retain(n) => {
            vec.retain(tx, |v| v % n == 0)?;
            model.retain(|v| v % n == 0);
        }
        Op::Drain(a, b) if a <= b && b <= len => {
            assert_eq!(vec.drain(tx, a..b)?, model.drain(a..b).collect::<Vec<_>>());
        }
        Op::Drain(a, b) => assert!(is_out(vec.drain(tx, a..b).unwrap_err())),
        Op::Reserve(n) => vec.reserve(tx, n)?,
        Op::Shrink => {
            vec.shrink_to_fit(tx)?;
            assert_eq!(vec.capacity(tx)?, len);
        }
        Op::Clear => {
            vec.clear(tx)?;
            model.clear();
        }
    }
    assert_eq!(vec.as_slice(tx)?, &model[..]);
    Ok(())
}

/// How a transaction ends.
#[derive(Clone, Debug)]
enum End {
    Commit,
    Abort,
    /// Rolls back to a savepoint before the last so many operations, then commits.
    Rollback(usize),
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_history_equals_its_model(
        transactions in prop::collection::vec(
            (
                prop::collection::vec(op(), 1..12),
                prop_oneof![Just(End::Commit), Just(End::Abort), (0..6usize).prop_map(End::Rollback)],
            ),
            1..12,
        ),
    ) {
        let mut segment: Segment<PVec<u32>> = SegmentOptions::new().size(1 << 20).anonymous().unwrap();
        segment.transaction(|tx| PVec::or_new(tx, tx.root_ptr()).map(drop)).unwrap();
        let vec = *segment.root().unwrap();
        let mut model = Vec::new();
        for (ops, end) in &transactions {
            let before = model.clone();
            let mut tx = segment.begin().unwrap();
            let kept = match end {
                End::Rollback(count) => ops.len().saturating_sub(*count),
                _ => ops.len(),
            };
            for op in &ops[..kept] {
                apply(&mut tx, vec, &mut model, op).unwrap();
            }
            let savepoint = tx.savepoint().unwrap();
            let mut lost = model.clone();
            for op in &ops[kept..] {
                apply(&mut tx, vec, &mut lost, op).unwrap();
            }
            tx.rollback_to(&savepoint).unwrap();
            prop_assert_eq!(vec.as_slice(&tx).unwrap(), &model[..]);
            match end {
                End::Abort => {
                    tx.abort().unwrap();
                    model = before;
                }
                _ => tx.commit().unwrap(),
            }
            prop_assert_eq!(vec.as_slice(&segment).unwrap(), &model[..]);
            prop_assert_eq!(segment.check_content().unwrap(), vec![]);
        }
        segment.transaction(|tx| {
            let vec = tx.replace(tx.root_ptr(), PVec::null())?;
            tx.release(vec)
        }).unwrap();
        prop_assert_eq!(segment.blocks().unwrap().len(), 1, "everything is freed but the root");
    }
}
