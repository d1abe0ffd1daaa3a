//! `PVecDeque` equals `VecDeque` under any history, also where its counters wrap round.

use std::collections::VecDeque;

use proptest::prelude::*;
use rio::Domain;
use vista::collections::layout::DequeHeader;
use vista::{PPtr, PVecDeque, Reader, Writer};

use crate::history::{self, Subject, is_out, segment};

#[derive(Clone, Debug)]
pub(crate) enum Op {
    PushBack(u32),
    PushFront(u32),
    PopBack,
    PopFront,
    Insert(usize, u32),
    Remove(usize),
    Set(usize, u32),
    Change(usize, u32),
    ChangeEnds(u32),
    Swap(usize, usize),
    Truncate(usize),
    Extend(Vec<u32>),
    ExtendFromSlice(Vec<u32>),
    Retain(u32),
    Drain(usize, usize),
    RotateLeft(usize),
    RotateRight(usize),
    MakeContiguous,
    Reserve(usize),
    Shrink,
    Clear,
}

fn op() -> impl Strategy<Value = Op> {
    let at = 0..24usize;
    let values = || prop::collection::vec(any::<u32>(), 0..12);
    prop_oneof![
        4 => any::<u32>().prop_map(Op::PushBack),
        4 => any::<u32>().prop_map(Op::PushFront),
        3 => Just(Op::PopBack),
        3 => Just(Op::PopFront),
        3 => (at.clone(), any::<u32>()).prop_map(|(at, v)| Op::Insert(at, v)),
        2 => at.clone().prop_map(Op::Remove),
        1 => (at.clone(), any::<u32>()).prop_map(|(at, v)| Op::Set(at, v)),
        1 => (at.clone(), any::<u32>()).prop_map(|(at, v)| Op::Change(at, v)),
        1 => any::<u32>().prop_map(Op::ChangeEnds),
        1 => (at.clone(), at.clone()).prop_map(|(a, b)| Op::Swap(a, b)),
        1 => at.clone().prop_map(Op::Truncate),
        2 => values().prop_map(Op::Extend),
        2 => values().prop_map(Op::ExtendFromSlice),
        1 => (1..5u32).prop_map(Op::Retain),
        2 => (at.clone(), at.clone()).prop_map(|(a, b)| Op::Drain(a, b)),
        2 => at.clone().prop_map(Op::RotateLeft),
        2 => at.clone().prop_map(Op::RotateRight),
        1 => Just(Op::MakeContiguous),
        1 => at.prop_map(Op::Reserve),
        1 => Just(Op::Shrink),
        1 => Just(Op::Clear),
    ]
}

impl Subject for PVecDeque<u32> {
    type Model = VecDeque<u32>;
    type Op = Op;

    /// One whose counters are about to wrap round, in both directions.
    fn make(tx: &mut impl Writer) -> vista::Result<Self> {
        let deque = PVecDeque::new(tx)?;
        let header = PPtr::<DequeHeader>::from_offset(deque.offset());
        let start = u64::MAX - 2;
        *tx.get_mut(header)? = DequeHeader { head: start, tail: start, capacity: 0, data: 0 };
        Ok(deque)
    }

    fn apply(self, tx: &mut impl Writer, model: &mut VecDeque<u32>, op: &Op) -> vista::Result<()> {
        let len = model.len();
        match *op {
            Op::PushBack(v) => {
                self.push_back(tx, v)?;
                model.push_back(v);
            }
            Op::PushFront(v) => {
                self.push_front(tx, v)?;
                model.push_front(v);
            }
            Op::PopBack => assert_eq!(self.pop_back(tx)?, model.pop_back()),
            Op::PopFront => assert_eq!(self.pop_front(tx)?, model.pop_front()),
            Op::Insert(at, v) if at <= len => {
                self.insert(tx, at, v)?;
                model.insert(at, v);
            }
            Op::Insert(at, v) => assert!(is_out(self.insert(tx, at, v))),
            Op::Remove(at) => assert_eq!(self.remove(tx, at)?, model.remove(at)),
            Op::Set(at, v) if at < len => {
                assert_eq!(self.set(tx, at, v)?, std::mem::replace(&mut model[at], v))
            }
            Op::Set(at, v) => assert!(is_out(self.set(tx, at, v))),
            Op::Change(at, v) => match (self.get_mut(tx, at)?, model.get_mut(at)) {
                (Some(here), Some(there)) => (*here, *there) = (v, v),
                (here, there) => assert!(here.is_none() && there.is_none()),
            },
            Op::ChangeEnds(v) => {
                if let (Some(here), Some(there)) = (self.front_mut(tx)?, model.front_mut()) {
                    (*here, *there) = (v, v);
                }
                match (self.back_mut(tx)?, model.back_mut()) {
                    (Some(here), Some(there)) => (*here, *there) = (!v, !v),
                    (here, there) => assert!(here.is_none() && there.is_none()),
                }
            }
            Op::Swap(a, b) if a < len && b < len => {
                self.swap(tx, a, b)?;
                model.swap(a, b);
            }
            Op::Swap(a, b) => assert!(is_out(self.swap(tx, a, b))),
            Op::Truncate(to) => {
                self.truncate(tx, to)?;
                model.truncate(to);
            }
            Op::Extend(ref values) => {
                self.extend(tx, values.iter().copied())?;
                model.extend(values);
            }
            Op::ExtendFromSlice(ref values) => {
                self.extend_from_slice(tx, values)?;
                model.extend(values);
            }
            Op::Retain(n) => {
                self.retain(tx, |v| v.is_multiple_of(n))?;
                model.retain(|v| v.is_multiple_of(n));
            }
            Op::Drain(a, b) if a <= b && b <= len => {
                assert_eq!(self.drain(tx, a..b)?, model.drain(a..b).collect::<Vec<_>>());
            }
            Op::Drain(a, b) => assert!(is_out(self.drain(tx, a..b))),
            Op::RotateLeft(count) if count <= len => {
                self.rotate_left(tx, count)?;
                model.rotate_left(count);
            }
            Op::RotateLeft(count) => assert!(is_out(self.rotate_left(tx, count))),
            Op::RotateRight(count) if count <= len => {
                self.rotate_right(tx, count)?;
                model.rotate_right(count);
            }
            Op::RotateRight(count) => assert!(is_out(self.rotate_right(tx, count))),
            Op::MakeContiguous => {
                let all = self.make_contiguous(tx)?;
                assert_eq!(all, model.make_contiguous());
                all.sort_unstable();
                model.make_contiguous().sort_unstable();
                assert!(self.as_slices(tx)?.1.is_empty());
            }
            Op::Reserve(n) => {
                self.reserve(tx, n)?;
                assert!(self.capacity(tx)? >= len + n);
            }
            Op::Shrink => {
                self.shrink_to_fit(tx)?;
                assert_eq!(self.capacity(tx)?, if len == 0 { 0 } else { len.next_power_of_two() });
            }
            Op::Clear => {
                self.clear(tx)?;
                model.clear();
            }
        }
        Ok(())
    }

    fn read(self, on: &impl Reader) -> vista::Result<VecDeque<u32>> {
        let (front, back) = self.as_slices(on)?;
        let all: VecDeque<u32> = [front, back].concat().into();
        let len = all.len();
        assert_eq!((self.len(on)?, self.is_empty(on)?), (len, len == 0));
        assert_eq!((self.front(on)?, self.back(on)?), (all.front(), all.back()));
        assert_eq!((self.get(on, len)?, self.get(on, len / 2)?), (None, all.get(len / 2)));
        assert!(self.iter(on)?.eq(&all) && self.iter(on)?.rev().eq(all.iter().rev()));
        assert_eq!((self.iter(on)?.len(), self.iter(on)?.fold(0, |n, _| n + 1)), (len, len));
        let mut both = self.iter(on)?;
        let mut twice = Vec::new();
        while let Some(first) = both.next() {
            twice.push(*first);
            both.next_back();
        }
        assert!(twice.iter().eq(all.iter().take(len.div_ceil(2))));
        assert_eq!(self.contains(on, &7)?, all.contains(&7));
        Ok(all)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_history_equals_its_model(transactions in history::transactions(op())) {
        history::check::<PVecDeque<u32>>(&transactions);
    }
}

/// A queue that is never empty and never long goes round its ring for ever.
#[test]
fn a_queue_goes_round_its_ring_without_growing() {
    let mut segment = segment::<PVecDeque<u64>>(Domain::PageCache);
    let queue = segment.transaction(|tx| PVecDeque::or_new(tx, tx.root_ptr())).unwrap();
    segment.transaction(|tx| queue.extend(tx, 0..5)).unwrap();
    let capacity = queue.capacity(&segment).unwrap();
    for n in 0..1000 {
        let first = segment.transaction(|tx| {
            queue.push_back(tx, n + 5)?;
            queue.pop_front(tx)
        });
        assert_eq!(first.unwrap(), Some(n));
    }
    assert_eq!((queue.capacity(&segment).unwrap(), queue.len(&segment).unwrap()), (capacity, 5));
}
