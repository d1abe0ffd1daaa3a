//! `PVec` equals `Vec` under any history of operations, commits, aborts and rollbacks to savepoints.

use proptest::prelude::*;
use vista::{PVec, Reader, Writer};

use crate::history::{self, Subject, is_out};

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Push(u32),
    Pop,
    Insert(usize, u32),
    Remove(usize),
    SwapRemove(usize),
    Set(usize, u32),
    Change(usize, u32),
    Swap(usize, usize),
    Truncate(usize),
    Resize(usize, u32),
    Extend(Vec<u32>),
    ExtendFromSlice(Vec<u32>),
    Retain(u32),
    Drain(usize, usize),
    Sort,
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
        1 => (at.clone(), any::<u32>()).prop_map(|(at, v)| Op::Change(at, v)),
        1 => (at.clone(), at.clone()).prop_map(|(a, b)| Op::Swap(a, b)),
        1 => at.clone().prop_map(Op::Truncate),
        1 => (at.clone(), any::<u32>()).prop_map(|(len, v)| Op::Resize(len, v)),
        1 => prop::collection::vec(any::<u32>(), 0..20).prop_map(Op::Extend),
        2 => prop::collection::vec(any::<u32>(), 0..20).prop_map(Op::ExtendFromSlice),
        1 => (1..5u32).prop_map(Op::Retain),
        1 => (at.clone(), at.clone()).prop_map(|(a, b)| Op::Drain(a, b)),
        1 => Just(Op::Sort),
        1 => at.prop_map(Op::Reserve),
        1 => Just(Op::Shrink),
        1 => Just(Op::Clear),
    ]
}

impl Subject for PVec<u32> {
    type Model = Vec<u32>;
    type Op = Op;

    fn make(tx: &mut impl Writer) -> vista::Result<Self> {
        PVec::new(tx)
    }

    fn apply(self, tx: &mut impl Writer, model: &mut Vec<u32>, op: &Op) -> vista::Result<()> {
        let len = model.len();
        match *op {
            Op::Push(v) => {
                self.push(tx, v)?;
                model.push(v);
            }
            Op::Pop => assert_eq!(self.pop(tx)?, model.pop()),
            Op::Insert(at, v) if at <= len => {
                self.insert(tx, at, v)?;
                model.insert(at, v);
            }
            Op::Insert(at, v) => assert!(is_out(self.insert(tx, at, v))),
            Op::Remove(at) if at < len => assert_eq!(self.remove(tx, at)?, model.remove(at)),
            Op::Remove(at) => assert!(is_out(self.remove(tx, at))),
            Op::SwapRemove(at) if at < len => assert_eq!(self.swap_remove(tx, at)?, model.swap_remove(at)),
            Op::SwapRemove(at) => assert!(is_out(self.swap_remove(tx, at))),
            Op::Set(at, v) if at < len => {
                assert_eq!(self.set(tx, at, v)?, std::mem::replace(&mut model[at], v))
            }
            Op::Set(at, v) => assert!(is_out(self.set(tx, at, v))),
            Op::Change(at, v) => match (self.get_mut(tx, at)?, model.get_mut(at)) {
                (Some(here), Some(there)) => (*here, *there) = (v, v),
                (here, there) => assert!(here.is_none() && there.is_none()),
            },
            Op::Swap(a, b) if a < len && b < len => {
                self.swap(tx, a, b)?;
                model.swap(a, b);
            }
            Op::Swap(a, b) => assert!(is_out(self.swap(tx, a, b))),
            Op::Truncate(to) => {
                self.truncate(tx, to)?;
                model.truncate(to);
            }
            Op::Resize(to, v) => {
                self.resize(tx, to, v)?;
                model.resize(to, v);
            }
            Op::Extend(ref values) => {
                self.extend(tx, values.iter().copied())?;
                model.extend(values);
            }
            Op::ExtendFromSlice(ref values) => {
                self.extend_from_slice(tx, values)?;
                model.extend_from_slice(values);
            }
            Op::Retain(n) => {
                self.retain(tx, |v| v.is_multiple_of(n))?;
                model.retain(|v| v.is_multiple_of(n));
            }
            Op::Drain(a, b) if a <= b && b <= len => {
                assert_eq!(self.drain(tx, a..b)?, model.drain(a..b).collect::<Vec<_>>());
            }
            Op::Drain(a, b) => assert!(is_out(self.drain(tx, a..b))),
            Op::Sort => {
                self.sort(tx)?;
                model.sort_unstable();
            }
            Op::Reserve(n) => {
                self.reserve(tx, n)?;
                assert!(self.capacity(tx)? >= len + n);
            }
            Op::Shrink => {
                self.shrink_to_fit(tx)?;
                assert_eq!(self.capacity(tx)?, len);
            }
            Op::Clear => {
                self.clear(tx)?;
                model.clear();
            }
        }
        Ok(())
    }

    fn read(self, on: &impl Reader) -> vista::Result<Vec<u32>> {
        let all = self.as_slice(on)?;
        assert_eq!((self.len(on)?, self.is_empty(on)?), (all.len(), all.is_empty()));
        assert_eq!((self.first(on)?, self.last(on)?), (all.first(), all.last()));
        assert_eq!((self.get(on, all.len())?, self.get(on, all.len() / 2)?), (None, all.get(all.len() / 2)));
        assert!(self.iter(on)?.eq(all));
        Ok(all.to_vec())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_history_equals_its_model(transactions in history::transactions(op())) {
        history::check::<PVec<u32>>(&transactions);
    }
}
