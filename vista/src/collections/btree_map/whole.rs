//! The whole map: what it owns is released, or looked at.

use crate::collections::audit::Typed;
use crate::collections::btree_map::audit::b_tree;
use crate::collections::btree_map::node::{Inner, Node};
use crate::collections::btree_map::{HEADER_ALIGN, HEADER_LEN, PBTreeMap};
use crate::collections::layout::BTreeHeader;
use crate::content::{Audit, Depth};
use crate::error::Result;
use crate::{Describer, Key, Persistent, Reader, Writer};

/// Releases all entries and separators, and frees all nodes. A node that is met twice is freed already, which is an error.
pub(super) fn release_nodes<K: Key, V: Persistent>(
    tx: &mut impl Writer,
    header: &BTreeHeader,
    depth: Depth,
) -> Result<()> {
    let level = Node::<K, V>::at(header.root).load_root(tx)?.level.into();
    release_below::<K, V>(tx, header.root, level, depth)
}

fn release_below<K: Key, V: Persistent>(
    tx: &mut impl Writer,
    node: u64,
    level: usize,
    depth: Depth,
) -> Result<()> {
    let Some(below) = level.checked_sub(1) else {
        let leaf = Node::<K, V>::at(node);
        let head = *leaf.load(tx, 0)?;
        let owning_len = if K::OWNS || V::OWNS { head.len() } else { 0 };
        for rank in 0..owning_len {
            let slot = leaf.slot(tx, &head, rank)?;
            let (key, value) = (*tx.get(leaf.key(slot))?, *tx.get(leaf.value(slot))?);
            key.release(tx, depth)?;
            value.release(tx, depth)?;
        }
        return leaf.free(tx);
    };
    let inner = Inner::<K>::at(node);
    let head = *inner.load(tx, level)?;
    for rank in 0..head.len() {
        let slot = inner.slot(tx, &head, rank)?;
        let child = *tx.get(inner.value(slot))?;
        release_below::<K, V>(tx, child, below, depth)?;
        if rank > 0 {
            let separator = *tx.get(inner.key(slot))?;
            separator.release(tx, depth)?;
        }
    }
    inner.free(tx)
}

impl<K: Key, V: Persistent> Persistent for PBTreeMap<K, V> {
    const OWNS: bool = true;

    fn describe(describer: &mut Describer) -> String {
        let key = K::describe(describer);
        ["PBTreeMap<", &key, ", ", &V::describe(describer), ">"].concat()
    }

    fn release(&self, tx: &mut impl Writer, depth: Depth) -> Result<()> {
        if self.is_null() {
            return Ok(());
        }
        let depth = depth.deeper(tx)?;
        let header = self.load_to_write(tx)?;
        if header.root != 0 {
            release_nodes::<K, V>(tx, &header, depth)?;
        }
        tx.free_block(self.offset(), HEADER_LEN, HEADER_ALIGN)
    }

    fn audit(&self, on: &impl Reader, audit: &mut Audit, depth: Depth) {
        let (keys, values) = (Typed::<_, K>::new(on), Typed::<_, V>::new(on));
        b_tree(on, audit, self.offset(), &keys, &values, depth);
    }
}
