//! `PBytes` equals `Vec<u8>` under any history, behind its header and in a block of its own.

use proptest::prelude::*;
use rio::Domain;
use vista::{Error, PBytes, Reader, Writer};

use crate::history::{self, Subject, is_out, segment};

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Push(u8),
    Pop,
    Extend(Vec<u8>),
    InsertSlice(usize, Vec<u8>),
    Drain(usize, usize),
    Truncate(usize),
    Resize(usize, u8),
    Set(Vec<u8>),
    Reverse,
    Reserve(usize),
    Shrink,
    Clear,
}

fn op() -> impl Strategy<Value = Op> {
    let at = 0..48usize;
    let bytes = || prop::collection::vec(any::<u8>(), 0..24);
    prop_oneof![
        3 => any::<u8>().prop_map(Op::Push),
        3 => Just(Op::Pop),
        2 => bytes().prop_map(Op::Extend),
        2 => (at.clone(), bytes()).prop_map(|(at, bytes)| Op::InsertSlice(at, bytes)),
        2 => (at.clone(), at.clone()).prop_map(|(a, b)| Op::Drain(a, b)),
        2 => at.clone().prop_map(Op::Truncate),
        1 => (at.clone(), any::<u8>()).prop_map(|(len, byte)| Op::Resize(len, byte)),
        2 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Op::Set),
        1 => Just(Op::Reverse),
        1 => at.prop_map(Op::Reserve),
        2 => Just(Op::Shrink),
        1 => Just(Op::Clear),
    ]
}

impl Subject for PBytes {
    type Model = Vec<u8>;
    type Op = Op;

    fn make(tx: &mut impl Writer) -> vista::Result<Self> {
        PBytes::new(tx)
    }

    fn apply(self, tx: &mut impl Writer, model: &mut Vec<u8>, op: &Op) -> vista::Result<()> {
        let len = model.len();
        match *op {
            Op::Push(byte) => {
                self.push(tx, byte)?;
                model.push(byte);
            }
            Op::Pop => assert_eq!(self.pop(tx)?, model.pop()),
            Op::Extend(ref bytes) => {
                self.extend_from_slice(tx, bytes)?;
                model.extend_from_slice(bytes);
            }
            Op::InsertSlice(at, ref bytes) if at <= len => {
                self.insert_slice(tx, at, bytes)?;
                drop(model.splice(at..at, bytes.iter().copied()));
            }
            Op::InsertSlice(at, ref bytes) => assert!(is_out(self.insert_slice(tx, at, bytes))),
            Op::Drain(a, b) if a <= b && b <= len => {
                assert_eq!(self.drain(tx, a..b)?, model.drain(a..b).collect::<Vec<_>>());
            }
            Op::Drain(a, b) => assert!(is_out(self.drain(tx, a..b))),
            Op::Truncate(to) => {
                self.truncate(tx, to)?;
                model.truncate(to);
            }
            Op::Resize(to, byte) => {
                self.resize(tx, to, byte)?;
                model.resize(to, byte);
            }
            Op::Set(ref bytes) => {
                self.set(tx, bytes)?;
                model.clone_from(bytes);
            }
            Op::Reverse => {
                self.as_mut_slice(tx)?.reverse();
                model.reverse();
            }
            Op::Reserve(n) => {
                self.reserve(tx, n)?;
                assert!(self.capacity(tx)? >= len + n);
            }
            Op::Shrink => {
                self.shrink_to_fit(tx)?;
                assert_eq!(self.capacity(tx)?, len.max(16));
            }
            Op::Clear => {
                self.clear(tx)?;
                model.clear();
            }
        }
        Ok(())
    }

    fn read(self, on: &impl Reader) -> vista::Result<Vec<u8>> {
        let all = self.as_slice(on)?;
        assert_eq!((self.len(on)?, self.is_empty(on)?), (all.len(), all.is_empty()));
        assert_eq!((self.first(on)?, self.last(on)?), (all.first().copied(), all.last().copied()));
        assert_eq!((self.get(on, 5)?, self.contains(on, 7)?), (all.get(5).copied(), all.contains(&7)));
        assert!(self.starts_with(on, &all[..all.len() / 2])? && self.ends_with(on, &all[all.len() / 2..])?);
        Ok(all.to_vec())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_history_equals_its_model(transactions in history::transactions(op())) {
        history::check::<PBytes>(&transactions);
    }
}

#[test]
fn a_string_has_two_gibibytes_at_most() {
    let mut segment = segment::<PBytes>(Domain::PageCache);
    segment
        .transaction(|tx| -> vista::Result<()> {
            let bytes = PBytes::or_new(tx, tx.root_ptr())?;
            bytes.push(tx, 1)?;
            for result in [bytes.reserve(tx, PBytes::MAX_LEN), bytes.resize(tx, usize::MAX, 0)] {
                assert!(matches!(result, Err(Error::BadOption { .. })));
            }
            assert!(matches!(bytes.reserve(tx, PBytes::MAX_LEN - 1), Err(Error::NoSpace { .. })));
            assert!(matches!(PBytes::with_capacity(tx, usize::MAX), Err(Error::BadOption { .. })));
            assert_eq!(bytes.as_slice(tx)?, [1]);
            Ok(())
        })
        .unwrap();
    assert_eq!(segment.check_content().unwrap(), []);
}

#[test]
fn a_duplicate_is_another_string() {
    let mut segment = segment::<[PBytes; 2]>(Domain::PageCache);
    segment
        .transaction(|tx| -> vista::Result<()> {
            let one = PBytes::from_slice(tx, b"one")?;
            let two = one.duplicate(tx)?;
            *tx.root_mut()? = [one, two];
            two.set(tx, b"two")?;
            assert_eq!((one.as_slice(tx)?, two.as_slice(tx)?), (&b"one"[..], &b"two"[..]));
            Ok(())
        })
        .unwrap();
    assert_eq!(segment.check_content().unwrap(), []);
}
