//! A new entry, and the nodes that it splits.
//!
//! What a split needs is allocated before anything changes, so that a segment that is full leaves the map whole. Start at
//! [`insert_at`].

use crate::collections::btree_map::node::{Inner, Node, Sought};
use crate::collections::btree_map::path::Path;
use crate::collections::btree_map::{PBTreeMap, one_more};
use crate::collections::layout::{BTREE_LEVELS_MAX as LEVELS_MAX, BTreeHeader, BTreeNode};
use crate::content::Depth;
use crate::error::Result;
use crate::{Key, Persistent, Writer};

/// Inserts an entry that is not there at the end of `path`, and returns its leaf and slot.
#[inline]
pub(super) fn insert_at<K: Key, V: Persistent>(
    map: PBTreeMap<K, V>,
    tx: &mut impl Writer,
    header: &BTreeHeader,
    path: &Path,
    sought: &impl Sought<K>,
    value: V,
) -> Result<(Node<K, V>, usize)> {
    let len = one_more(map, tx, header)?;
    let leaf = Node::<K, V>::at(path.leaf().node);
    let mut head = *leaf.load(tx, 0)?;
    if head.len() == Node::<K, V>::CAPACITY {
        return split_and_insert(map, tx, header, path, sought, value);
    }
    let key = sought.make(tx)?;
    let rank = path.leaf().rank;
    let slot = leaf.enter(tx, &mut head, rank, key, value)?;
    leaf.save(tx, &head)?;
    map.write_len(tx, len)?;
    Ok((leaf, slot))
}

/// Inserts the first entry of an empty map.
#[cold]
pub(super) fn insert_first<K: Key, V: Persistent>(
    map: PBTreeMap<K, V>,
    tx: &mut impl Writer,
    sought: &impl Sought<K>,
    value: V,
) -> Result<(Node<K, V>, usize)> {
    let key = sought.make(tx)?;
    let leaf = Node::<K, V>::allocate(tx).inspect_err(|_| give_back_key(tx, key))?;
    let mut head = BTreeNode::empty(0);
    leaf.enter(tx, &mut head, 0, key, value)?;
    leaf.save_new(tx, &head)?;
    map.write_header(tx, BTreeHeader { root: leaf.offset(), len: 1 })?;
    Ok((leaf, 0))
}

/// A key that is not needed after all. That it cannot be freed is not the error to tell of.
fn give_back_key<K: Key>(tx: &mut impl Writer, key: K) {
    let _ = key.release(tx, Depth::default());
}

/// Which nodes a new entry splits.
struct Plan {
    /// Full nodes on the path, from the leaf on.
    split_count: usize,
    /// Whether the entry comes behind all others. The new nodes then get it alone, and the old ones stay full: a map
    /// that is filled in ascending order has full nodes.
    is_last: bool,
}

impl Plan {
    fn of<K: Key, V: Persistent>(tx: &impl Writer, path: &Path) -> Result<Self> {
        let mut plan = Plan { split_count: 1, is_last: path.leaf().rank == Node::<K, V>::CAPACITY };
        let mut is_full = true;
        for level in 1..path.height() {
            let step = path.at(level);
            let count = Inner::<K>::at(step.node).load(tx, level)?.len();
            is_full &= count == Inner::<K>::CAPACITY;
            plan.split_count += usize::from(is_full);
            plan.is_last &= step.rank + 1 == count;
        }
        Ok(plan)
    }

    /// Entries that stay in a full node.
    fn kept(&self, capacity: usize) -> usize {
        if self.is_last { capacity } else { capacity / 2 }
    }
}

/// Nodes for what is split: for each level one, and a root if all are.
struct Reserved {
    nodes: [u64; LEVELS_MAX + 1],
    count: usize,
}

impl Reserved {
    fn take<K: Key, V: Persistent>(tx: &mut impl Writer, plan: &Plan, path: &Path) -> Result<Self> {
        let mut reserved = Reserved { nodes: [0; LEVELS_MAX + 1], count: 0 };
        let count = plan.split_count + usize::from(plan.split_count == path.height());
        if count > LEVELS_MAX {
            let root = path.at(path.height() - 1).node;
            return Err(tx.damaged(root, "B-tree: levels", count as u64, "fewer than any tree needs"));
        }
        for level in 0..count {
            let node = match level {
                0 => Node::<K, V>::allocate(tx).map(Node::offset),
                _ => Inner::<K>::allocate(tx).map(Node::offset),
            };
            match node {
                Ok(node) => (reserved.nodes[level], reserved.count) = (node, level + 1),
                Err(error) => {
                    reserved.give_back::<K, V>(tx);
                    return Err(error);
                }
            }
        }
        Ok(reserved)
    }

    /// Frees them. That it fails is not the error to tell of.
    fn give_back<K: Key, V: Persistent>(&self, tx: &mut impl Writer) {
        for level in 0..self.count {
            let _ = match level {
                0 => Node::<K, V>::at(self.nodes[0]).free(tx),
                _ => Inner::<K>::at(self.nodes[level]).free(tx),
            };
        }
    }
}

#[cold]
#[inline(never)]
fn split_and_insert<K: Key, V: Persistent>(
    map: PBTreeMap<K, V>,
    tx: &mut impl Writer,
    header: &BTreeHeader,
    path: &Path,
    sought: &impl Sought<K>,
    value: V,
) -> Result<(Node<K, V>, usize)> {
    let plan = Plan::of::<K, V>(tx, path)?;
    let leaf = Node::<K, V>::at(path.leaf().node);
    let mut head = *leaf.load(tx, 0)?;
    let kept = plan.kept(Node::<K, V>::CAPACITY);
    let first_moved = if plan.is_last { None } else { Some(*leaf.key_at(tx, &head, kept)?) };

    let reserved = Reserved::take::<K, V>(tx, &plan, path)?;
    let key = sought.make(tx).inspect_err(|_| reserved.give_back::<K, V>(tx))?;
    let separator = first_moved.unwrap_or(key).duplicate(tx).inspect_err(|_| {
        give_back_key(tx, key);
        reserved.give_back::<K, V>(tx);
    })?;

    // From here on only the log can lack room.
    let right = Node::<K, V>::at(reserved.nodes[0]);
    let mut right_head = BTreeNode::empty(0);
    leaf.move_to(tx, &mut head, kept, right, &mut right_head)?;
    let rank = path.leaf().rank;
    let entered = if rank <= kept && !plan.is_last {
        (leaf, leaf.enter(tx, &mut head, rank, key, value)?)
    } else {
        (right, right.enter(tx, &mut right_head, rank - kept, key, value)?)
    };
    right.save_new(tx, &right_head)?;
    if !plan.is_last {
        leaf.save(tx, &head)?;
    }
    let root = enter_in_parents(tx, header, path, &plan, &reserved, separator)?;
    let len = header.len + 1;
    if root == header.root {
        map.write_len(tx, len)?;
    } else {
        map.write_header(tx, BTreeHeader { root, len })?;
    }
    Ok(entered)
}

/// Enters the new leaf in its parent, which may have to be split too, and so on; returns the root.
fn enter_in_parents<K: Key>(
    tx: &mut impl Writer,
    header: &BTreeHeader,
    path: &Path,
    plan: &Plan,
    reserved: &Reserved,
    mut separator: K,
) -> Result<u64> {
    let kept = plan.kept(Inner::<K>::CAPACITY);
    for level in 1..path.height() {
        let node = Inner::<K>::at(path.at(level).node);
        let mut head = *node.load(tx, level)?;
        let (rank, child) = (path.at(level).rank + 1, reserved.nodes[level - 1]);
        if level >= plan.split_count {
            node.enter(tx, &mut head, rank, separator, child)?;
            node.save(tx, &head)?;
            return Ok(header.root);
        }
        let right = Inner::<K>::at(reserved.nodes[level]);
        let mut right_head = BTreeNode::empty(level);
        if plan.is_last {
            right.enter(tx, &mut right_head, 0, K::zeroed(), child)?; // The separator moves up.
        } else {
            // The first key that moves stands between the two nodes: its owner is the parent from here on.
            let slot = node.slot(tx, &head, kept)?;
            let moved = (*tx.get(node.key(slot))?, *tx.get(node.value(slot))?);
            right.enter(tx, &mut right_head, 0, K::zeroed(), moved.1)?;
            node.move_to(tx, &mut head, kept + 1, right, &mut right_head)?;
            node.truncate(tx, &mut head, kept);
            if rank <= kept {
                node.enter(tx, &mut head, rank, separator, child)?;
            } else {
                right.enter(tx, &mut right_head, rank - kept, separator, child)?;
            }
            node.save(tx, &head)?;
            separator = moved.0;
        }
        right.save_new(tx, &right_head)?;
    }
    let root = Inner::<K>::at(reserved.nodes[path.height()]);
    let mut head = BTreeNode::empty(path.height());
    root.enter(tx, &mut head, 0, K::zeroed(), header.root)?;
    root.enter(tx, &mut head, 1, separator, reserved.nodes[path.height() - 1])?;
    root.save_new(tx, &head)?;
    Ok(root.offset())
}
