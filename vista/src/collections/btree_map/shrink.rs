//! An entry less, and the nodes that are joined.
//!
//! Start at [`remove_at`].

use crate::collections::btree_map::PBTreeMap;
use crate::collections::btree_map::node::{Inner, Node};
use crate::collections::btree_map::path::Path;
use crate::collections::layout::{BTREE_LEVELS_MAX as LEVELS_MAX, BTreeHeader, BTreeNode};
use crate::content::Depth;
use crate::error::Result;
use crate::{Key, Persistent, Writer};

/// Removes the entry at the end of `path`. What it owns is the caller's from here on.
#[inline]
pub(super) fn remove_at<K: Key, V: Persistent>(
    map: PBTreeMap<K, V>,
    tx: &mut impl Writer,
    header: &BTreeHeader,
    path: &Path,
) -> Result<(K, V)> {
    let leaf = Node::<K, V>::at(path.leaf().node);
    let mut head = *leaf.load(tx, 0)?;
    let rank = path.leaf().rank;
    let slot = leaf.slot(tx, &head, rank)?;
    let entry = (*tx.get(leaf.key(slot))?, *tx.get(leaf.value(slot))?);
    leaf.take(tx, &mut head, rank);
    let len = header.len - 1; // A map with a root has an entry at least.
    if head.len() >= Node::<K, V>::COUNT_MIN {
        leaf.save(tx, &head)?;
        map.write_len(tx, len)?;
    } else {
        let root = thin_out(tx, path, head, leaf)?;
        map.write_header(tx, BTreeHeader { root, len })?;
    }
    Ok(entry)
}

/// Saves the head of a leaf that has few entries now, after joining it with a neighbour if that can be, and so on with
/// its parents; returns the root.
#[cold]
#[inline(never)]
fn thin_out<K: Key, V: Persistent>(
    tx: &mut impl Writer,
    path: &Path,
    head: BTreeNode,
    leaf: Node<K, V>,
) -> Result<u64> {
    if path.height() == 1 {
        return save_root(tx, leaf, &head);
    }
    let (mut node, mut head) = enter_parent(tx, path, 1, leaf, head)?;
    for level in 2..path.height() {
        if head.len() >= Inner::<K>::COUNT_MIN {
            node.save(tx, &head)?;
            return Ok(path.at(path.height() - 1).node);
        }
        (node, head) = enter_parent(tx, path, level, node, head)?;
    }
    settle_root(tx, node, &head)
}

/// Joins the child at the path's step below `level`, if it can be, and returns its parent, whose head is not saved.
fn enter_parent<K: Key, T: Persistent>(
    tx: &mut impl Writer,
    path: &Path,
    level: usize,
    child: Node<K, T>,
    child_head: BTreeNode,
) -> Result<(Inner<K>, BTreeNode)> {
    let parent = Inner::<K>::at(path.at(level).node);
    let mut head = *parent.load(tx, level)?;
    let rank = path.at(level).rank;
    if child_head.len() == 0 {
        child.free(tx)?;
        take_child(tx, parent, &mut head, rank)?;
        return Ok((parent, head));
    }
    for left in [rank.checked_sub(1), Some(rank)].into_iter().flatten().filter(|left| left + 1 < head.len()) {
        let neighbour =
            Node::<K, T>::at(*parent.value_at(tx, &head, if left == rank { rank + 1 } else { left })?);
        let neighbour_head = *neighbour.load(tx, level - 1)?;
        if neighbour_head.len() + child_head.len() <= Node::<K, T>::JOINED_MAX {
            let (nodes, heads) = match left == rank {
                true => ([child, neighbour], [child_head, neighbour_head]),
                false => ([neighbour, child], [neighbour_head, child_head]),
            };
            join(tx, parent, &mut head, left, nodes, heads)?;
            return Ok((parent, head));
        }
    }
    child.save(tx, &child_head)?;
    Ok((parent, head))
}

/// Joins two neighbours, of which the first stands at rank `left` of their parent: moves the entries of the smaller one,
/// and frees it. Saves the head of the one that stays, and not the parent's.
pub(super) fn join<K: Key, T: Persistent>(
    tx: &mut impl Writer,
    parent: Inner<K>,
    parent_head: &mut BTreeNode,
    left: usize,
    [first, second]: [Node<K, T>; 2],
    [mut first_head, mut second_head]: [BTreeNode; 2],
) -> Result<()> {
    let separator = *parent.key_at(tx, parent_head, left + 1)?;
    let is_inner = first_head.level > 0;
    if !is_inner {
        separator.release(tx, Depth::default())?;
    }
    let (stays, head, goes) = if first_head.len() >= second_head.len() {
        if is_inner {
            // The first key of an inner node is nobody's: the separator takes its place.
            let child = *second.value_at(tx, &second_head, 0)?;
            let end = first_head.len();
            first.enter(tx, &mut first_head, end, separator, child)?;
        }
        second.move_to(tx, &mut second_head, usize::from(is_inner), first, &mut first_head)?;
        (first, first_head, second)
    } else {
        if is_inner {
            let slot = second.slot(tx, &second_head, 0)?;
            tx.write(second.key(slot), separator)?;
        }
        for rank in 0..first_head.len() {
            let slot = first.slot(tx, &first_head, rank)?;
            let (key, value) = (*tx.get(first.key(slot))?, *tx.get(first.value(slot))?);
            second.enter(tx, &mut second_head, rank, key, value)?;
        }
        let slot = parent.slot(tx, parent_head, left)?;
        tx.write(parent.value(slot), second.offset())?;
        (second, second_head, first)
    };
    stays.save(tx, &head)?;
    goes.free(tx)?;
    parent.take(tx, parent_head, left + 1);
    Ok(())
}

/// Takes a child, which is freed, out of its parent, and the separator with it. The head is not saved.
pub(super) fn take_child<K: Key>(
    tx: &mut impl Writer,
    parent: Inner<K>,
    head: &mut BTreeNode,
    rank: usize,
) -> Result<()> {
    // The first key owns nothing; the second will be the first.
    if K::OWNS && head.len() > 1 {
        let separator = *parent.key_at(tx, head, rank.max(1))?;
        separator.release(tx, Depth::default())?;
    }
    parent.take(tx, head, rank);
    Ok(())
}

/// Saves the head of a root, or frees it if it has no entry; returns the root.
fn save_root<K: Key, T: Persistent>(tx: &mut impl Writer, node: Node<K, T>, head: &BTreeNode) -> Result<u64> {
    if head.len() == 0 {
        node.free(tx)?;
        return Ok(0);
    }
    node.save(tx, head)?;
    Ok(node.offset())
}

/// Saves the head of a root that has children, or frees it if it has no more than one, and so on with that child; returns
/// the root.
pub(super) fn settle_root<K: Key>(tx: &mut impl Writer, root: Inner<K>, head: &BTreeNode) -> Result<u64> {
    if head.len() != 1 {
        return save_root(tx, root, head);
    }
    let (mut node, mut head) = (root, *head);
    for _ in 0..LEVELS_MAX {
        let child = *node.value_at(tx, &head, 0)?;
        node.free(tx)?;
        let Some(level @ 1..) = usize::from(head.level).checked_sub(1) else { return Ok(child) };
        node = Inner::at(child);
        head = *node.load(tx, level)?;
        if head.len() > 1 {
            break;
        }
    }
    Ok(node.offset())
}
