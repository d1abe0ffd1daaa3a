//! The whole map: what it owns is released, or looked at.

use std::cmp::Ordering;

use crate::collections::btree_map::node::{Inner, Node};
use crate::collections::btree_map::{HEADER_ALIGN, HEADER_LEN, PBTreeMap};
use crate::collections::layout::{BTreeHeader, BTreeNode};
use crate::content::{Audit, Depth};
use crate::error::Result;
use crate::{Describer, Key, PPtr, Persistent, Reader, Writer};

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
        if self.is_null() || !audit.owns(self.offset(), HEADER_LEN, HEADER_ALIGN) {
            return;
        }
        let looked = || -> Result<_> {
            let header = self.load(on)?;
            let level = match header.root {
                0 => 0,
                root => Node::<K, V>::at(root).load_root(on)?.level.into(),
            };
            Ok((header, level, depth.deeper(on)?))
        };
        let (header, level, depth) = match looked() {
            Ok(looked) => looked,
            Err(error) => return audit.failed(self.offset(), &error),
        };
        if header.root == 0 {
            return;
        }
        let mut checker: Checker<'_, _, K> = Checker { on, audit, depth, len: 0, before: None };
        match checker.below::<V>(header.root, level, [None, None]) {
            Ok(Some(1)) if level > 0 => {
                checker.broken("INV-C42", header.root, "a root with one child".into())
            }
            Ok(Some(_)) if checker.len != header.len => {
                let found = format!("a length of {} over {} entries", header.len, checker.len);
                checker.broken("INV-C40", self.offset(), found);
            }
            Ok(_) => {}
            Err(error) => checker.audit.failed(header.root, &error),
        }
    }
}

/// A walk that looks at everything.
struct Checker<'c, A, K> {
    on: &'c A,
    audit: &'c mut Audit,
    depth: Depth,
    /// Entries of the leaves so far.
    len: u64,
    /// The key before.
    before: Option<&'c K>,
}

/// The separators on both sides, where there are some.
type Between<'c, K> = [Option<&'c K>; 2];

impl<'c, A: Reader, K: Key> Checker<'c, A, K> {
    fn broken(&mut self, invariant: &'static str, offset: u64, found: String) {
        self.audit.broken(invariant, offset, found);
    }

    /// Looks at a node and at what is below it, all of whose keys are to lie from the first separator on and before the
    /// second. Returns how many entries the node has, or nothing if what was reported kept it from looking further.
    fn below<V: Persistent>(
        &mut self,
        node: u64,
        level: usize,
        between: Between<'c, K>,
    ) -> Result<Option<usize>> {
        if level == 0 {
            self.leaf::<V>(Node::at(node), between)
        } else {
            self.inner::<V>(Inner::at(node), level, between)
        }
    }

    /// What stands in front of the entries of a node, if it is sound.
    fn head<T: Persistent>(&mut self, node: Node<K, T>, level: usize) -> Result<Option<&'c BTreeNode>> {
        let offset = node.offset();
        if !self.audit.owns(offset, Node::<K, T>::LEN, Node::<K, T>::ALIGN) {
            return Ok(None);
        }
        let head = self.on.get(PPtr::<BTreeNode>::from_offset(offset))?;
        let (capacity, count) = (Node::<K, T>::CAPACITY, head.len());
        if usize::from(head.level) != level {
            self.broken("INV-C41", offset, format!("a node of level {} where {level} belongs", head.level));
            return Ok(None);
        }
        if count == 0 || count > capacity {
            self.broken("INV-C42", offset, format!("{count} entries in a node of {capacity}"));
            return Ok(None);
        }
        let mut taken = 0u64;
        for &slot in &head.order[..count] {
            taken |= 1u64.checked_shl(slot.into()).unwrap_or(0);
        }
        let used = u64::from(head.used);
        let is_sound = taken.count_ones() as usize == count && taken == used && used >> capacity == 0;
        if !is_sound || head.reserved != 0 {
            let found = format!("slots {:?} in order, {used:#x} used", &head.order[..count]);
            self.broken("INV-C43", offset, found);
            return Ok(None);
        }
        Ok(Some(head))
    }

    fn leaf<V: Persistent>(
        &mut self,
        leaf: Node<K, V>,
        [lower, upper]: Between<'c, K>,
    ) -> Result<Option<usize>> {
        let Some(head) = self.head(leaf, 0)? else { return Ok(None) };
        for rank in 0..head.len() {
            let (key, value) = (leaf.key_at(self.on, head, rank)?, leaf.value_at(self.on, head, rank)?);
            key.audit(self.on, self.audit, self.depth);
            value.audit(self.on, self.audit, self.depth);
            if !self.is_less(self.before, Some(key))? {
                self.broken(
                    "INV-C44",
                    leaf.offset(),
                    format!("the key of rank {rank} is not behind the one before"),
                );
            }
            let is_inside =
                self.is_less(Some(key), upper)? && !self.is_less(Some(key), lower.or(Some(key)))?;
            if !is_inside {
                self.broken(
                    "INV-C45",
                    leaf.offset(),
                    format!("the key of rank {rank} is not between its separators"),
                );
            }
            self.before = Some(key);
        }
        self.len += head.len() as u64;
        Ok(Some(head.len()))
    }

    fn inner<V: Persistent>(
        &mut self,
        inner: Inner<K>,
        level: usize,
        [mut lower, upper]: Between<'c, K>,
    ) -> Result<Option<usize>> {
        let Some(head) = self.head(inner, level)? else { return Ok(None) };
        let mut is_whole = true;
        for rank in 0..head.len() {
            let separator =
                if rank + 1 < head.len() { Some(inner.key_at(self.on, head, rank + 1)?) } else { None };
            if let Some(separator) = separator {
                separator.audit(self.on, self.audit, self.depth);
                if !self.is_less(lower, Some(separator))? || !self.is_less(Some(separator), upper)? {
                    let found = format!("the key of rank {} is not between its separators", rank + 1);
                    self.broken("INV-C45", inner.offset(), found);
                }
            }
            let between = [lower, separator.or(upper)];
            is_whole &= self.below::<V>(*inner.value_at(self.on, head, rank)?, level - 1, between)?.is_some();
            lower = separator;
        }
        Ok(is_whole.then_some(head.len()))
    }

    /// Whether a key is less than another; nothing is less than all, or greater.
    fn is_less(&self, key: Option<&K>, other: Option<&K>) -> Result<bool> {
        match (key, other) {
            (Some(key), Some(other)) => Ok(key.compare_keys(self.on, other)? == Ordering::Less),
            _ => Ok(true),
        }
    }
}
