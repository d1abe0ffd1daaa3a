//! `PCell` equals a value under any history.

use proptest::prelude::*;
use rio::Domain;
use vista::{Error, PCell, PVec, Reader, Writer};

use crate::history::{self, Subject, segment};

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Set(u32),
    Replace(u32),
    Change(u32),
    Update(u32),
    Take,
    SwapWith(u32),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        any::<u32>().prop_map(Op::Set),
        any::<u32>().prop_map(Op::Replace),
        any::<u32>().prop_map(Op::Change),
        any::<u32>().prop_map(Op::Update),
        Just(Op::Take),
        any::<u32>().prop_map(Op::SwapWith),
    ]
}

impl Subject for PCell<u32> {
    type Model = u32;
    type Op = Op;

    fn make(tx: &mut impl Writer) -> vista::Result<Self> {
        PCell::new(tx, 0)
    }

    fn apply(self, tx: &mut impl Writer, model: &mut u32, op: &Op) -> vista::Result<()> {
        match *op {
            Op::Set(v) => {
                self.set(tx, v)?;
                *model = v;
            }
            Op::Replace(v) => assert_eq!(self.replace(tx, v)?, std::mem::replace(model, v)),
            Op::Change(v) => (*self.get_mut(tx)?, *model) = (v, v),
            Op::Update(v) => {
                self.update(tx, |old| old.wrapping_mul(v))?;
                *model = model.wrapping_mul(v);
            }
            Op::Take => assert_eq!(self.take(tx)?, std::mem::take(model)),
            Op::SwapWith(v) => {
                let other = PCell::new(tx, v)?;
                self.swap(tx, other)?;
                assert_eq!(other.into_inner(tx)?, std::mem::replace(model, v));
            }
        }
        Ok(())
    }

    fn read(self, on: &impl Reader) -> vista::Result<u32> {
        let value = *self.get(on)?;
        assert_eq!(*on.get(self.place())?, value);
        Ok(value)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_history_equals_its_model(transactions in history::transactions(op())) {
        history::check::<PCell<u32>>(&transactions);
    }
}

#[test]
fn what_was_taken_out_leaves_no_block() {
    let mut segment = segment::<PCell<PVec<u64>>>(Domain::PageCache);
    segment
        .transaction(|tx| -> vista::Result<()> {
            let vec = PVec::from_slice(tx, &[1, 2])?;
            let cell = PCell::or_new(tx, tx.root_ptr(), vec)?;
            assert!(PCell::or_new(tx, tx.root_ptr(), PVec::null())?.ptr_eq(cell), "there is one now");
            *tx.root_mut()? = PCell::null();
            let vec = cell.into_inner(tx)?;
            assert!(matches!(cell.into_inner(tx), Err(Error::DoubleFree { .. })));
            assert_eq!(vec.as_slice(tx)?, [1, 2]);
            tx.release(vec)
        })
        .unwrap();
    assert_eq!(segment.check_content().unwrap(), []);
}
