//! `POption` equals `Option` under any history.

use proptest::prelude::*;
use vista::{POption, Reader, Writer};

use crate::history::{self, Subject};

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Set(Option<u32>),
    Insert(u32, u32),
    Replace(u32),
    Change(u32),
    Take,
    Clear,
    GetOrInsert(u32),
    GetOrInsertWith(u32, u32),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        any::<Option<u32>>().prop_map(Op::Set),
        any::<(u32, u32)>().prop_map(|(v, w)| Op::Insert(v, w)),
        any::<u32>().prop_map(Op::Replace),
        any::<u32>().prop_map(Op::Change),
        Just(Op::Take),
        Just(Op::Clear),
        any::<u32>().prop_map(Op::GetOrInsert),
        any::<(u32, u32)>().prop_map(|(v, w)| Op::GetOrInsertWith(v, w)),
    ]
}

impl Subject for POption<u32> {
    type Model = Option<u32>;
    type Op = Op;

    fn make(tx: &mut impl Writer) -> vista::Result<Self> {
        POption::new(tx)
    }

    fn apply(self, tx: &mut impl Writer, model: &mut Option<u32>, op: &Op) -> vista::Result<()> {
        match *op {
            Op::Set(v) => assert_eq!(self.set(tx, v)?, std::mem::replace(model, v)),
            Op::Insert(v, w) => {
                let (here, there) = (self.insert(tx, v)?, model.insert(v));
                assert_eq!(here, there);
                (*here, *there) = (w, w);
            }
            Op::Replace(v) => assert_eq!(self.replace(tx, v)?, model.replace(v)),
            Op::Change(v) => match (self.get_mut(tx)?, model.as_mut()) {
                (Some(here), Some(there)) => (*here, *there) = (v, v),
                (here, there) => assert!(here.is_none() && there.is_none()),
            },
            Op::Take => assert_eq!(self.take(tx)?, model.take()),
            Op::Clear => {
                self.clear(tx)?;
                *model = None;
            }
            Op::GetOrInsert(v) => assert_eq!(self.get_or_insert(tx, v)?, model.get_or_insert(v)),
            Op::GetOrInsertWith(v, w) => {
                let here = self.get_or_insert_with(tx, |_| Ok(v))?;
                let there = model.get_or_insert_with(|| v);
                assert_eq!(here, there);
                (*here, *there) = (w, w);
            }
        }
        Ok(())
    }

    fn read(self, on: &impl Reader) -> vista::Result<Option<u32>> {
        let value = self.get(on)?.copied();
        assert_eq!((self.is_some(on)?, self.is_none(on)?), (value.is_some(), value.is_none()));
        assert_eq!(self.place(on)?.is_some(), value.is_some());
        Ok(value)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_history_equals_its_model(transactions in history::transactions(op())) {
        history::check::<POption<u32>>(&transactions);
    }
}
