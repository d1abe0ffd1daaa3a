//! Whether a map is sound. Start at [`hash_map`].

use std::collections::HashSet;

use crate::collections::audit::{Keys, Values, look, owns_header, tell};
use crate::collections::erased::{TableShape, hash_map_header};
use crate::collections::layout::{CTRL_LEN, GROUP_SLOTS, HashMapHeader, SLOT_DELETED, SLOT_EMPTY, SLOT_FULL};
use crate::content::{Audit, Depth};
use crate::error::Result;
use crate::{PPtr, Reader};

use super::grow::CLEANED_PER_INSERT;
use super::hash::hash_of;
use super::table::{Ctrl, Phase, Table, leads_to, tag_of};

/// What the slots of a table add up to.
#[derive(Default)]
struct Sum {
    entries: u64,
    empty: u64,
}

/// A `PHashMap`, by the offset of its header.
pub(crate) fn hash_map<'a>(
    on: &'a impl Reader,
    audit: &mut Audit,
    offset: u64,
    keys: &impl Keys<'a>,
    values: &impl Values,
    depth: Depth,
) {
    if !owns_header::<HashMapHeader>(audit, offset) {
        return;
    }
    let shape = TableShape::of(keys.extent(), values.extent());
    let mut checker = Checker { on, audit, keys, values, shape, seen: HashSet::new() };
    let looked = checker.map(offset, depth);
    tell(audit, offset, looked);
}

/// A walk that looks at everything.
struct Checker<'c, 'a, A, K, V> {
    on: &'a A,
    audit: &'c mut Audit,
    keys: &'c K,
    values: &'c V,
    shape: TableShape,
    /// The keys that were met.
    seen: HashSet<&'a [u8]>,
}

impl<'a, A: Reader, K: Keys<'a>, V: Values> Checker<'_, 'a, A, K, V> {
    /// Looks at header, tables and entries.
    fn map(&mut self, offset: u64, depth: Depth) -> Result<()> {
        let header = hash_map_header(self.on, offset)?;
        let depth = depth.deeper(self.on)?;
        let (main, next) = (header.main(), header.following());
        for table in [main, next] {
            let extent = self.shape.table(table.groups());
            if table.offset != 0 && !self.audit.owns(table.offset, extent.size, extent.align) {
                return Ok(()); // It has told.
            }
        }
        let mut look = |table: Table, moved: u64| self.table(&header, table, moved, depth);
        let (entries, empty, target, still_needed) = match header.phase() {
            Phase::Settled => {
                let sum = look(main, 0)?;
                let needed = if main.offset == 0 { 0 } else { main.groups() };
                (sum.entries, sum.empty, main, needed)
            }
            Phase::Cleaning(cleaned) => {
                let sum = look(main, 0)?;
                let left = (next.groups() - cleaned).div_ceil(CLEANED_PER_INSERT);
                (sum.entries, sum.empty, main, left.saturating_sub(1))
            }
            Phase::Moving(moved) => {
                let (old, new) = (look(main, moved)?, look(next, 0)?);
                let needed = next.groups() + old.entries + (main.groups() - moved);
                (old.entries + new.entries, new.empty, next, needed)
            }
        };
        if entries != header.len {
            let found = format!("{} entries, and the header counts {}", entries, header.len);
            self.audit.broken("INV-C20", offset, found);
        }
        let reserve = if target.offset == 0 { 0 } else { target.groups() };
        if empty != header.room.saturating_add(reserve) {
            let found = format!("{empty} empty slots in {reserve} groups, and a room of {}", header.room);
            self.audit.broken("INV-C21", offset, found);
        }
        // A settled map may have come to less, if it has more than this.
        let is_enough = header.room >= still_needed;
        if !is_enough {
            let found = format!("a room of {}, where {still_needed} are needed", header.room);
            self.audit.broken("INV-C25", offset, found);
        }
        self.clean(&header)
    }

    /// Looks at one table, of which so many groups were moved: their entries do not count.
    fn table(&mut self, header: &HashMapHeader, table: Table, moved: u64, depth: Depth) -> Result<Sum> {
        let mut sum = Sum::default();
        if table.offset == 0 {
            return Ok(sum);
        }
        let shape = self.shape;
        let bytes = shape.table(table.groups()).bytes(self.on, table.offset, 1)?;
        let ctrl_of = |group: u64| Ctrl::of(bytes, group);
        for group in 0..table.groups() {
            let ctrl = ctrl_of(group);
            let offset = table.offset + group * CTRL_LEN;
            for slot in 0..GROUP_SLOTS {
                let byte = ctrl.byte(slot);
                sum.empty += u64::from(byte == SLOT_EMPTY);
                if byte != SLOT_EMPTY && byte != SLOT_DELETED && byte < SLOT_FULL {
                    self.audit.broken("INV-C22", offset, format!("a control byte of {byte:#x}"));
                }
            }
            if group < moved {
                continue;
            }
            for slot in ctrl.full() {
                sum.entries += 1;
                let offset = table.offset + shape.slot_at(table.groups(), group, slot);
                look(self.keys, self.audit, offset, 1, depth)?;
                look(self.values, self.audit, offset + shape.value, 1, depth)?;
                let key = match self.keys.bytes(offset) {
                    Ok(key) => key,
                    Err(error) => {
                        self.audit.failed(offset, &error);
                        continue;
                    }
                };
                let hash = hash_of(header.seed, key);
                if ctrl.byte(slot) != tag_of(hash) || !leads_to(hash, group, table.groups(), ctrl_of) {
                    self.audit.broken("INV-C23", offset, "a key where no search for it comes");
                }
                if !self.seen.insert(key) {
                    self.audit.broken("INV-C24", offset, "a key that has another entry");
                }
            }
        }
        Ok(sum)
    }

    /// Looks at what was cleaned for the next table.
    fn clean(&mut self, header: &HashMapHeader) -> Result<()> {
        let Phase::Cleaning(cleaned) = header.phase() else { return Ok(()) };
        for group in 0..cleaned {
            let offset = header.next.saturating_add(CTRL_LEN.saturating_mul(group));
            let ctrl: u64 = *self.on.get(PPtr::from_offset(offset))?;
            if ctrl != 0 {
                self.audit.broken("INV-C26", offset, format!("a control word of {ctrl:#x}"));
            }
        }
        Ok(())
    }
}
