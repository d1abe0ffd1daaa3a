//! What a collection holds, read without the types of its elements: by their sizes.
//!
//! `docs/FORMAT.md` says where everything stands. Start at [`Walk::collection`].

use std::ops::Range;

use crate::collections::erased::{self, Extent, NodeShape, TableShape};
use crate::collections::layout::{
    BTREE_LEVELS_MAX, BTreeHeader, BTreeNode, CTRL_LEN, GROUP_SLOTS, OCCUPIED, SLOT_FULL, VecHeader,
};
use crate::error::Result;
use crate::inspect::schema::{Collection, Type};
use crate::inspect::value::{Depth, Value, Walk};
use crate::{PBytes, PPtr, PSlice, Reader};

/// The handle of a collection, not null.
pub(super) struct Handle<'a> {
    pub(super) collection: Collection,
    /// The types of what it holds.
    pub(super) of: &'a [Type],
    /// Where it leads.
    pub(super) offset: u64,
    /// Its own bytes.
    pub(super) bytes: &'a [u8],
}

impl<'a, A: Reader> Walk<'a, A> {
    /// What a collection holds.
    pub(super) fn collection(&mut self, handle: Handle<'_>, depth: Depth) -> Result<Value> {
        let of = |place: usize| handle.of.get(place).unwrap_or(&Type::Nothing);
        let offset = handle.offset;
        match handle.collection {
            Collection::PVec => {
                let Some(element) = self.extent(of(0)) else { return Ok(unknown(of(0))) };
                let VecHeader { len, data, .. } = erased::vec_header(self.on, offset, element)?;
                Ok(self.list(of(0), data, len, depth))
            }
            Collection::PBytes => {
                let all = self.string(&handle)?;
                let bytes = all[..all.len().min(self.limits.bytes)].to_vec();
                Ok(Value::Bytes { len: all.len() as u64, bytes })
            }
            Collection::PString => self.text(&handle),
            Collection::PVecDeque => self.deque(of(0), offset, depth),
            Collection::PSlab => self.slab(of(0), offset, depth),
            Collection::PCell => Ok(self.at(of(0), offset, depth)),
            Collection::POption => self.option(of(0), offset, depth),
            Collection::PHashMap => self.hash_map(of(0), of(1), offset, depth),
            Collection::PHashSet => match self.hash_map(of(0), &Type::Nothing, offset, depth)? {
                Value::Map { len, entries } => {
                    Ok(Value::List { len, items: entries.into_iter().map(|(key, _)| key).collect() })
                }
                other => Ok(other),
            },
            Collection::PBTreeMap => self.b_tree(of(0), of(1), offset, depth),
        }
    }

    /// The bytes of a string.
    fn string(&self, handle: &Handle<'_>) -> Result<&'a [u8]> {
        bytemuck::pod_read_unaligned::<PBytes>(&handle.bytes[..8]).as_slice(self.on)
    }

    fn text(&self, handle: &Handle<'_>) -> Result<Value> {
        let all = self.string(handle)?;
        let start = &all[..all.len().min(self.limits.bytes)];
        let text = match std::str::from_utf8(start) {
            Ok(text) => text,
            Err(error) => {
                let (good, bad) = start.split_at(error.valid_up_to());
                // A limit may fall into a character.
                if error.error_len().is_some() || start.len() == all.len() {
                    let found = bad.first().copied().unwrap_or(0).into();
                    return Err(self.on.damaged(handle.offset, "string: UTF-8", found, "the next character"));
                }
                std::str::from_utf8(good).unwrap_or_default()
            }
        };
        Ok(Value::Text { len: all.len() as u64, text: text.to_owned() })
    }

    fn deque(&mut self, of: &Type, offset: u64, depth: Depth) -> Result<Value> {
        let Some(element) = self.extent(of) else { return Ok(unknown(of)) };
        let header = erased::deque_header(self.on, offset, element)?;
        let pieces = erased::deque_pieces(&header, element);
        let places =
            pieces.into_iter().flat_map(|(data, len)| (0..len).map(move |n| element.element(data, n)));
        let mut items = Vec::new();
        for place in places.take(self.limits.items) {
            if self.left == 0 {
                break;
            }
            items.push(self.at(of, place, depth));
        }
        Ok(Value::List { len: pieces[0].1 + pieces[1].1, items })
    }

    fn slab(&mut self, of: &Type, offset: u64, depth: Depth) -> Result<Value> {
        let header = erased::slab_header(self.on, offset)?;
        let Some(element) = self.extent(of) else { return Ok(unknown(of)) };
        let links: &[u64] = self.on.slice(PSlice::from_raw_parts(header.links, header.used))?;
        let occupied = (0..).zip(links).filter(|(_, link)| **link == OCCUPIED).map(|(id, _)| id);
        let mut entries = Vec::new();
        for id in occupied.take(self.limits.items) {
            if self.left == 0 {
                break;
            }
            let value = self.at(of, element.element(header.values, id), depth);
            entries.push((Value::Unsigned(id.into()), value));
        }
        Ok(Value::Map { len: header.len, entries })
    }

    fn option(&mut self, of: &Type, offset: u64, depth: Depth) -> Result<Value> {
        let Some(value) = self.extent(of) else { return Ok(unknown(of)) };
        let is_some = erased::option_is_some(self.on, offset, value)?;
        Ok(if is_some { self.at(of, offset, depth) } else { Value::None })
    }

    fn hash_map(&mut self, key: &Type, value: &Type, offset: u64, depth: Depth) -> Result<Value> {
        let header = erased::hash_map_header(self.on, offset)?;
        let (Some(keys), Some(values)) = (self.extent(key), self.extent(value)) else {
            return Ok(unknown(if self.extent(key).is_none() { key } else { value }));
        };
        let shape = TableShape::of(keys, values);
        let next_groups = 1u64 << header.next_bits;
        // While it grows, what was moved is in the next table; before that there is nothing in it.
        let moved = if header.next == 0 { None } else { header.progress.checked_sub(next_groups) };
        let mut tables = vec![(header.table, header.table_bits, moved.unwrap_or(0))];
        if moved.is_some() {
            tables.push((header.next, header.next_bits, 0));
        }
        let mut entries = Vec::new();
        for (table, bits, first_group) in tables {
            if table != 0 {
                self.table(shape, table, first_group..1 << bits, [key, value], &mut entries, depth)?;
            }
        }
        Ok(Value::Map { len: header.len, entries })
    }

    /// The entries of one table of a hash map, from the first group on that was not moved.
    fn table(
        &mut self,
        shape: TableShape,
        table: u64,
        groups: Range<u64>,
        of: [&Type; 2],
        entries: &mut Vec<(Value, Value)>,
        depth: Depth,
    ) -> Result<()> {
        // All of it lies in the user data, or none of it is taken.
        let bytes = shape.table(groups.end).bytes(self.on, table, 1)?;
        let all = groups.end;
        for group in groups {
            let control = &bytes[(group * CTRL_LEN) as usize..][..CTRL_LEN as usize];
            for slot in (0..GROUP_SLOTS).filter(|slot| control[*slot as usize] & SLOT_FULL != 0) {
                if entries.len() == self.limits.items || self.left == 0 {
                    return Ok(());
                }
                let start = table + shape.slot_at(all, group, slot);
                entries.push((self.at(of[0], start, depth), self.at(of[1], start + shape.value, depth)));
            }
        }
        Ok(())
    }

    fn b_tree(&mut self, key: &Type, value: &Type, offset: u64, depth: Depth) -> Result<Value> {
        let BTreeHeader { root, len } = erased::b_tree_header(self.on, offset)?;
        let (Some(keys), Some(values)) = (self.extent(key), self.extent(value)) else {
            return Ok(unknown(if self.extent(key).is_none() { key } else { value }));
        };
        let child = Extent::of::<u64>();
        let shapes = [NodeShape::of(keys, values), NodeShape::of(keys, child)];
        let mut entries = Vec::new();
        // Nodes that are still to be visited, the next one last, and the level that each has to have.
        let mut nodes = vec![(root, None)];
        // A damaged tree may lead to one node from many.
        let mut nodes_left = self.limits.values;
        while let Some((offset, expected_level)) = nodes.pop().filter(|(offset, _)| *offset != 0) {
            if entries.len() >= self.limits.items || self.left == 0 || nodes_left == 0 {
                break;
            }
            nodes_left -= 1;
            let node: BTreeNode = *self.on.get(PPtr::from_offset(offset))?;
            let shape = shapes[usize::from(node.level > 0)];
            let is_level_sound = match expected_level {
                None => usize::from(node.level) < BTREE_LEVELS_MAX,
                Some(level) => node.level == level,
            };
            if !is_level_sound {
                return Err(self.on.damaged(
                    offset,
                    "B-tree node: level",
                    node.level.into(),
                    "one less than above",
                ));
            }
            let order = &node.order[..usize::from(node.count).min(node.order.len())];
            if u64::from(node.count) > shape.capacity
                || order.iter().any(|slot| u64::from(*slot) >= shape.capacity)
            {
                return Err(self.on.damaged(
                    offset,
                    "B-tree node: slots",
                    node.count.into(),
                    "as many as it has",
                ));
            }
            let (keys_at, values_at) =
                (offset.saturating_add(shape.keys), offset.saturating_add(shape.values));
            if node.level > 0 {
                for slot in order.iter().rev() {
                    let place = PPtr::from_offset(child.element(values_at, (*slot).into()));
                    nodes.push((*self.on.get(place)?, Some(node.level - 1)));
                }
                continue;
            }
            for slot in order {
                if entries.len() == self.limits.items || self.left == 0 {
                    break;
                }
                let found_key = self.at(key, keys.element(keys_at, (*slot).into()), depth);
                let found_value = self.at(value, values.element(values_at, (*slot).into()), depth);
                entries.push((found_key, found_value));
            }
        }
        Ok(Value::Map { len, entries })
    }

    fn extent(&self, of: &Type) -> Option<Extent> {
        self.schema.extent_of(of)
    }
}

fn unknown(of: &Type) -> Value {
    Value::Unknown { of: of.clone() }
}
