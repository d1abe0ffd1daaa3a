//! `PSlab` equals a map from ids to values under any history, and gives ids as the `slab` crate does.

use std::collections::BTreeMap;

use proptest::prelude::*;
use vista::{PSlab, Reader, Writer};

use crate::history::{self, Subject, is_out};

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Insert(u32),
    Remove(u64),
    TryRemove(u64),
    Set(u64, u32),
    Change(u64, u32),
    Retain(u32),
    Drain,
    Reserve(usize),
    Clear,
}

fn op() -> impl Strategy<Value = Op> {
    let id = 0..24u64;
    prop_oneof![
        10 => any::<u32>().prop_map(Op::Insert),
        4 => id.clone().prop_map(Op::Remove),
        2 => id.clone().prop_map(Op::TryRemove),
        2 => (id.clone(), any::<u32>()).prop_map(|(id, v)| Op::Set(id, v)),
        2 => (id, any::<u32>()).prop_map(|(id, v)| Op::Change(id, v)),
        1 => (1..5u32).prop_map(Op::Retain),
        1 => Just(Op::Drain),
        1 => (0..24usize).prop_map(Op::Reserve),
        1 => Just(Op::Clear),
    ]
}

/// Values by id, and the free ids: the last is taken first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Model {
    values: BTreeMap<u64, u32>,
    free: Vec<u64>,
}

impl Model {
    fn next(&self) -> u64 {
        self.free.last().copied().unwrap_or(self.values.len() as u64)
    }

    fn remove(&mut self, id: u64) -> Option<u32> {
        let value = self.values.remove(&id)?;
        self.free.push(id);
        Some(value)
    }
}

impl Subject for PSlab<u32> {
    type Model = Model;
    type Op = Op;

    fn make(tx: &mut impl Writer) -> vista::Result<Self> {
        PSlab::new(tx)
    }

    fn apply(self, tx: &mut impl Writer, model: &mut Model, op: &Op) -> vista::Result<()> {
        match *op {
            Op::Insert(v) => {
                let id = model.next();
                assert_eq!((self.vacant_key(tx)?, self.insert(tx, v)?), (id, id));
                model.free.pop();
                model.values.insert(id, v);
            }
            Op::Remove(id) => match model.remove(id) {
                Some(value) => assert_eq!(self.remove(tx, id)?, value),
                None => assert!(is_out(self.remove(tx, id))),
            },
            Op::TryRemove(id) => assert_eq!(self.try_remove(tx, id)?, model.remove(id)),
            Op::Set(id, v) => match model.values.get_mut(&id) {
                Some(value) => assert_eq!(self.set(tx, id, v)?, std::mem::replace(value, v)),
                None => assert!(is_out(self.set(tx, id, v))),
            },
            Op::Change(id, v) => match (self.get_mut(tx, id)?, model.values.get_mut(&id)) {
                (Some(here), Some(there)) => (*here, *there) = (v, v),
                (here, there) => assert!(here.is_none() && there.is_none()),
            },
            Op::Retain(n) => {
                self.retain(tx, |id, v| (v ^ id as u32).is_multiple_of(n))?;
                let gone = model.values.iter().filter(|(id, v)| !(*v ^ **id as u32).is_multiple_of(n));
                for id in gone.map(|(id, _)| *id).collect::<Vec<_>>() {
                    model.remove(id);
                }
            }
            Op::Drain => {
                assert!(self.drain(tx)?.iter().eq(model.values.values()));
                *model = Model::default();
            }
            Op::Reserve(n) => {
                self.reserve(tx, n)?;
                assert!(self.capacity(tx)? >= model.values.len() + n);
            }
            Op::Clear => {
                self.clear(tx)?;
                *model = Model::default();
            }
        }
        Ok(())
    }

    fn read(self, on: &impl Reader) -> vista::Result<Model> {
        let values: BTreeMap<u64, u32> = self.iter(on)?.map(|(id, value)| (id, *value)).collect();
        assert_eq!((self.len(on)?, self.is_empty(on)?), (values.len(), values.is_empty()));
        assert!(self.iter(on)?.rev().map(|(id, _)| id).eq(values.keys().rev().copied()));
        for id in 0..26 {
            assert_eq!(
                (self.get(on, id)?, self.contains(on, id)?),
                (values.get(&id), values.contains_key(&id))
            );
        }
        // The list of free slots, by its links.
        let header =
            *on.get(vista::PPtr::<vista::collections::layout::SlabHeader>::from_offset(self.offset()))?;
        let (mut next, mut free) = (header.free_head, Vec::new());
        while next != 0 {
            free.insert(0, next - 1);
            next = *on.get(vista::PPtr::<u64>::from_offset(header.links + (next - 1) * 8))?;
        }
        Ok(Model { values, free })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_history_equals_its_model(transactions in history::transactions(op())) {
        history::check::<PSlab<u32>>(&transactions);
    }
}
