//! `PString` equals `String` under any history; a position inside of a character is an error.

use proptest::prelude::*;
use rio::Domain;
use vista::{Error, PBytes, PString, Reader, Writer};

use crate::history::{self, Subject, is_out, segment};

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Push(char),
    PushStr(String),
    Pop,
    Insert(usize, char),
    InsertStr(usize, String),
    Remove(usize),
    Drain(usize, usize),
    Truncate(usize),
    Set(String),
    Reserve(usize),
    Shrink,
    Clear,
}

fn op() -> impl Strategy<Value = Op> {
    let at = 0..32usize;
    let text = || "[aü€🌍]{0,6}";
    prop_oneof![
        2 => any::<char>().prop_map(Op::Push),
        3 => text().prop_map(Op::PushStr),
        3 => Just(Op::Pop),
        1 => (at.clone(), any::<char>()).prop_map(|(at, c)| Op::Insert(at, c)),
        2 => (at.clone(), text()).prop_map(|(at, text)| Op::InsertStr(at, text)),
        2 => at.clone().prop_map(Op::Remove),
        2 => (at.clone(), at.clone()).prop_map(|(a, b)| Op::Drain(a, b)),
        2 => at.clone().prop_map(Op::Truncate),
        1 => text().prop_map(Op::Set),
        1 => at.prop_map(Op::Reserve),
        1 => Just(Op::Shrink),
        1 => Just(Op::Clear),
    ]
}

impl Subject for PString {
    type Model = String;
    type Op = Op;

    fn make(tx: &mut impl Writer) -> vista::Result<Self> {
        PString::new(tx, "")
    }

    fn apply(self, tx: &mut impl Writer, model: &mut String, op: &Op) -> vista::Result<()> {
        let len = model.len();
        match *op {
            Op::Push(c) => {
                self.push(tx, c)?;
                model.push(c);
            }
            Op::PushStr(ref text) => {
                self.push_str(tx, text)?;
                model.push_str(text);
            }
            Op::Pop => assert_eq!(self.pop(tx)?, model.pop()),
            Op::Insert(at, c) if model.is_char_boundary(at) => {
                self.insert(tx, at, c)?;
                model.insert(at, c);
            }
            Op::Insert(at, c) => assert!(is_out(self.insert(tx, at, c))),
            Op::InsertStr(at, ref text) if model.is_char_boundary(at) => {
                self.insert_str(tx, at, text)?;
                model.insert_str(at, text);
            }
            Op::InsertStr(at, ref text) => assert!(is_out(self.insert_str(tx, at, text))),
            Op::Remove(at) if at < len && model.is_char_boundary(at) => {
                assert_eq!(self.remove(tx, at)?, model.remove(at));
            }
            Op::Remove(at) => assert!(is_out(self.remove(tx, at))),
            Op::Drain(a, b) if a <= b && model.is_char_boundary(a) && model.is_char_boundary(b) => {
                assert_eq!(self.drain(tx, a..b)?, model.drain(a..b).collect::<String>());
            }
            Op::Drain(a, b) => assert!(is_out(self.drain(tx, a..b))),
            Op::Truncate(to) if to > len || model.is_char_boundary(to) => {
                self.truncate(tx, to)?;
                model.truncate(to);
            }
            Op::Truncate(to) => assert!(is_out(self.truncate(tx, to))),
            Op::Set(ref text) => {
                self.set(tx, text)?;
                model.clone_from(text);
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

    fn read(self, on: &impl Reader) -> vista::Result<String> {
        let text = self.as_str(on)?;
        assert_eq!((self.len(on)?, self.is_empty(on)?), (text.len(), text.is_empty()));
        for index in 0..text.len() + 2 {
            assert_eq!(self.is_char_boundary(on, index)?, text.is_char_boundary(index));
        }
        Ok(text.to_owned())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_history_equals_its_model(transactions in history::transactions(op())) {
        history::check::<PString>(&transactions);
    }
}

#[test]
fn bytes_that_are_no_text_are_an_error_where_text_is_read() {
    for bad in [&b"a\xFF"[..], b"\x80", b"ab\xE2\x82", b"\x80\x80\x80\x80\x80\x80", b"\xF0\x9F\x8C"] {
        let mut segment = segment::<PString>(Domain::PageCache);
        segment
            .transaction(|tx| -> vista::Result<()> {
                let text = PString::from_bytes(PBytes::from_slice(tx, bad)?);
                *tx.root_mut()? = text;
                let is_damaged = |result: vista::Result<()>| matches!(result, Err(Error::Damaged { .. }));
                assert!(is_damaged(text.as_str(tx).map(drop)) && is_damaged(text.pop(tx).map(drop)));
                assert!(is_damaged(text.drain(tx, ..).map(drop)));
                assert_eq!(text.as_bytes(tx)?, bad, "as it was");
                Ok(())
            })
            .unwrap();
        assert_eq!(segment.check_content().unwrap()[0].invariant, "INV-C3");
    }
}
