//! Whether a map is sound. Start at [`PHashMap::audit_tables`].

use std::collections::HashSet;

use crate::collections::layout::{GROUP_SLOTS, HashMapHeader, SLOT_DELETED, SLOT_EMPTY, SLOT_FULL};
use crate::content::{Audit, Depth};
use crate::error::Result;
use crate::{Key, PHashMap, Persistent, Reader};

use super::grow::CLEANED_PER_INSERT;
use super::hash::hash_of;
use super::table::{At, Phase, Shape, Table, View, tag_of};

/// What the slots of a table add up to.
#[derive(Default)]
struct Sum {
    entries: u64,
    empty: u64,
}

impl<K: Key, V: Persistent> PHashMap<K, V> {
    /// Looks at header, tables and entries of a map whose header is the map's own.
    pub(super) fn audit_tables(self, on: &impl Reader, audit: &mut Audit, depth: Depth) -> Result<()> {
        let header = self.load(on)?;
        let depth = depth.deeper(on)?;
        for table in [header.main(), header.following()] {
            let is_owned =
                table.offset == 0 || audit.owns(table.offset, table.len::<K, V>(), Shape::<K, V>::ALIGN);
            if !is_owned {
                return Ok(()); // It has told.
            }
        }
        let (main, next) = (header.main(), header.following());
        let mut keys = HashSet::new();
        let mut look = |table: Table, moved: u64| -> Result<Sum> {
            match table.offset {
                0 => Ok(Sum::default()),
                _ => self.audit_table(on, &header, View::new(on, table, moved)?, &mut keys, audit, depth),
            }
        };
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
            audit.broken("INV-C20", self.offset(), found);
        }
        let reserve = if target.offset == 0 { 0 } else { target.groups() };
        if empty != header.room.saturating_add(reserve) {
            let found = format!("{empty} empty slots in {reserve} groups, and a room of {}", header.room);
            audit.broken("INV-C21", self.offset(), found);
        }
        // A settled map may have come to less, if it has more than this.
        let is_enough = header.room >= still_needed;
        if !is_enough {
            let found = format!("a room of {}, where {still_needed} are needed", header.room);
            audit.broken("INV-C25", self.offset(), found);
        }
        self.audit_clean(on, &header, audit)
    }

    /// Looks at one table.
    fn audit_table<'a, A: Reader>(
        self,
        on: &'a A,
        header: &HashMapHeader,
        table: View<'a, K, V>,
        keys: &mut HashSet<&'a [u8]>,
        audit: &mut Audit,
        depth: Depth,
    ) -> Result<Sum> {
        let mut sum = Sum::default();
        for group in 0..table.groups() {
            let ctrl = table.ctrl(group);
            let offset = table.spot(At { group, slot: 0 }).group.ctrl().offset();
            for slot in 0..GROUP_SLOTS {
                let byte = ctrl.byte(slot);
                sum.empty += u64::from(byte == SLOT_EMPTY);
                if (SLOT_DELETED + 1..SLOT_FULL).contains(&byte) {
                    audit.broken("INV-C22", offset, format!("a control byte of {byte:#x}"));
                }
            }
            for slot in table.entries(group) {
                sum.entries += 1;
                let at = At { group, slot };
                let offset = table.spot(at).start;
                let key = table.key(at);
                K::audit_all(std::slice::from_ref(key), on, audit, depth);
                V::audit_all(std::slice::from_ref(table.value(at)), on, audit, depth);
                let bytes = match key.own_bytes(on) {
                    Ok(bytes) => bytes,
                    Err(error) => {
                        audit.failed(offset, &error);
                        continue;
                    }
                };
                let hash = hash_of(header.seed, bytes);
                if ctrl.byte(slot) != tag_of(hash) || !table.leads_to(hash, group) {
                    audit.broken("INV-C23", offset, "a key where no search for it comes");
                }
                if !keys.insert(bytes) {
                    audit.broken("INV-C24", offset, "a key that has another entry");
                }
            }
        }
        Ok(sum)
    }

    /// Looks at what was cleaned for the next table.
    fn audit_clean(self, on: &impl Reader, header: &HashMapHeader, audit: &mut Audit) -> Result<()> {
        let Phase::Cleaning(cleaned) = header.phase() else { return Ok(()) };
        for index in 0..cleaned {
            let group = header.following().group::<K, V>(index);
            let ctrl = group.load(on)?;
            if ctrl.0 != 0 {
                audit.broken("INV-C26", group.ctrl().offset(), format!("a control word of {:#x}", ctrl.0));
            }
        }
        Ok(())
    }
}
