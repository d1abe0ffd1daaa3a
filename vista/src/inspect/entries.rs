//! What a collection holds, read without the types of its elements: by their sizes.
//!
//! `docs/FORMAT.md` says where everything stands. Start at [`Walk::collection`].

use crate::collections::layout::{DequeHeader, OCCUPIED, SlabHeader, VecHeader};
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
            0 => Ok(Value::Nothing),
            1 => Ok(self.at(of, offset, depth)),
            flag => Err(self.on.damaged(flag_offset, "option: flag", flag, "0 or 1")),
        }
    }
}
