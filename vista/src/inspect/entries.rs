//! What a collection holds, read without the types of its elements: by their sizes.
//!
//! `docs/FORMAT.md` says where everything stands. Start at [`Walk::collection`].

use crate::collections::layout::{
    BTreeHeader, BTreeNode, DequeHeader, GROUP_SLOTS, HashMapHeader, OCCUPIED, SLOT_FULL, SlabHeader,
    VecHeader,
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
                let VecHeader { len, capacity, data, .. } = *self.on.get(PPtr::from_offset(offset))?;
                if len > capacity {
                    return Err(self.on.damaged(offset, "vector: length", len, "at most the capacity"));
                }
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
        let DequeHeader { head, tail, capacity, data } = *self.on.get(PPtr::from_offset(offset))?;
        let len = tail.wrapping_sub(head);
        if len > capacity || (capacity != 0 && !capacity.is_power_of_two()) {
            return Err(self.on.damaged(offset, "ring: length", len, "at most the capacity, a power of two"));
        }
        let Some(size) = self.schema.size_of(of) else { return Ok(Value::Unknown { of: of.clone() }) };
        let mut items = Vec::new();
        for number in 0..len.min(self.limits.items as u64) {
            if self.left == 0 {
                break;
            }
            let place = head.wrapping_add(number) & (capacity - 1);
            items.push(self.at(of, data.saturating_add(place.saturating_mul(size)), depth));
        }
        Ok(Value::List { len, items })
    }

    fn slab(&mut self, of: &Type, offset: u64, depth: Depth) -> Result<Value> {
        let header: SlabHeader = *self.on.get(PPtr::from_offset(offset))?;
        if header.used > header.capacity || header.len > header.used {
            return Err(self.on.damaged(offset, "slab: length", header.len, "at most the slots in use"));
        }
        let Some(size) = self.schema.size_of(of) else { return Ok(Value::Unknown { of: of.clone() }) };
        let links: &[u64] = self.on.slice(PSlice::from_raw_parts(header.links, header.used))?;
        let occupied = (0..).zip(links).filter(|(_, link)| **link == OCCUPIED).map(|(id, _)| id);
        let mut entries = Vec::new();
        for id in occupied.take(self.limits.items) {
            if self.left == 0 {
                break;
            }
            let value = self.at(of, header.values.saturating_add(size.saturating_mul(id)), depth);
            entries.push((Value::Unsigned(id.into()), value));
        }
        Ok(Value::Map { len: header.len, entries })
    }

    fn option(&mut self, of: &Type, offset: u64, depth: Depth) -> Result<Value> {
        let Some(size) = self.schema.size_of(of) else { return Ok(Value::Unknown { of: of.clone() }) };
        let flag_offset = offset.saturating_add(size).checked_next_multiple_of(8).unwrap_or(u64::MAX);
        match *self.on.get::<u64>(PPtr::from_offset(flag_offset))? {
            0 => Ok(Value::None),
            1 => Ok(self.at(of, offset, depth)),
            flag => Err(self.on.damaged(flag_offset, "option: flag", flag, "0 or 1")),
        }
    }

    fn hash_map(&mut self, key: &Type, value: &Type, offset: u64, depth: Depth) -> Result<Value> {
        let header: HashMapHeader = *self.on.get(PPtr::from_offset(offset))?;
        let (Some(keys), Some(values)) = (self.shape(key), self.shape(value)) else {
            return Ok(Value::Unknown { of: if self.shape(key).is_none() { key } else { value }.clone() });
        };
        let bits = header.table_bits.max(header.next_bits);
        if bits > TABLE_BITS_MAX {
            return Err(self.on.damaged(
                offset,
                "hash map: groups",
                bits.into(),
                "at most 2 to the power of 48",
            ));
        }
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
                let table = Table { offset: table, groups: 1 << bits, keys, values };
                self.table(&table, first_group, [key, value], &mut entries, depth)?;
            }
        }
        Ok(Value::Map { len: header.len, entries })
    }

    /// The entries of one table of a hash map.
    fn table(
        &mut self,
        table: &Table,
        first_group: u64,
        of: [&Type; 2],
        entries: &mut Vec<(Value, Value)>,
        depth: Depth,
    ) -> Result<()> {
        let slot_align = table.keys.align.max(table.values.align);
        let value_start = aligned(table.keys.size, table.values.align);
        let slot_len = aligned(value_start.saturating_add(table.values.size), slot_align);
        let slots_start = aligned(GROUP_SLOTS, slot_align);
        let align = slot_align.max(GROUP_SLOTS);
        let group_len = aligned(slots_start.saturating_add(slot_len.saturating_mul(GROUP_SLOTS)), align);
        // All of it lies in the user data, or none of it is taken.
        let bytes = self.bytes(table.offset, group_len.saturating_mul(table.groups), align)?;
        for group in first_group..table.groups {
            let group = group * group_len;
            let control = &bytes[group as usize..][..GROUP_SLOTS as usize];
            for slot in (0..GROUP_SLOTS).filter(|slot| control[*slot as usize] & SLOT_FULL != 0) {
                if entries.len() == self.limits.items || self.left == 0 {
                    return Ok(());
                }
                let start = table.offset + group + slots_start + slot * slot_len;
                entries.push((self.at(of[0], start, depth), self.at(of[1], start + value_start, depth)));
            }
        }
        Ok(())
    }

    fn b_tree(&mut self, key: &Type, value: &Type, offset: u64, depth: Depth) -> Result<Value> {
        let BTreeHeader { root, len } = *self.on.get(PPtr::from_offset(offset))?;
        let (Some(keys), Some(values)) = (self.shape(key), self.shape(value)) else {
            return Ok(Value::Unknown { of: if self.shape(key).is_none() { key } else { value }.clone() });
        };
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
            let child = Shape { size: 8, align: 8 };
            let shape = NodeShape::of(keys, if node.level == 0 { values } else { child });
            let is_level_sound = match expected_level {
                None => node.level < LEVELS_MAX,
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
            let place = |start: u64, size: u64, slot: u8| {
                offset.saturating_add(start).saturating_add(size.saturating_mul(slot.into()))
            };
            if node.level > 0 {
                for slot in order.iter().rev() {
                    let child: u64 = *self.on.get(PPtr::from_offset(place(shape.values_start, 8, *slot)))?;
                    nodes.push((child, Some(node.level - 1)));
                }
                continue;
            }
            for slot in order {
                if entries.len() == self.limits.items || self.left == 0 {
                    break;
                }
                let found_key = self.at(key, place(shape.keys_start, keys.size, *slot), depth);
                let found_value = self.at(value, place(shape.values_start, values.size, *slot), depth);
                entries.push((found_key, found_value));
            }
        }
        Ok(Value::Map { len, entries })
    }

    fn shape(&self, of: &Type) -> Option<Shape> {
        Some(Shape { size: self.schema.size_of(of)?, align: self.schema.align_of(of)? })
    }
}

/// More groups than this to the power of two, a hash map does not have.
const TABLE_BITS_MAX: u32 = 48;
/// More levels than this, a B-tree does not have.
const LEVELS_MAX: u8 = 24;

/// Size and alignment of a type, in bytes.
#[derive(Clone, Copy)]
struct Shape {
    size: u64,
    align: u64,
}

/// A table of a hash map.
struct Table {
    offset: u64,
    groups: u64,
    keys: Shape,
    values: Shape,
}

/// Where keys and values begin in a node of a B-tree, and how many there may be.
struct NodeShape {
    capacity: u64,
    keys_start: u64,
    values_start: u64,
}

impl NodeShape {
    fn of(keys: Shape, values: Shape) -> NodeShape {
        let entry_len = keys.size.saturating_add(values.size).max(1);
        let capacity = (4096 / entry_len).clamp(7, 32);
        let keys_start = aligned(size_of::<BTreeNode>() as u64, keys.align);
        let values_start =
            aligned(keys_start.saturating_add(keys.size.saturating_mul(capacity)), values.align);
        NodeShape { capacity, keys_start, values_start }
    }
}

/// The next multiple of an alignment. What is too large for that lies nowhere, whatever it is.
fn aligned(len: u64, align: u64) -> u64 {
    len.checked_next_multiple_of(align).unwrap_or(u64::MAX)
}
