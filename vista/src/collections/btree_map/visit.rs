//! Changing or removing many entries in one walk.
//!
//! Each leaf is saved once, whatever goes from it, and neighbours are joined when the walk leaves their parent. Start at
//! [`visit`].

use std::ops::Bound;

use crate::collections::btree_map::PBTreeMap;
use crate::collections::btree_map::node::{ByView, Inner, Node};
use crate::collections::btree_map::shrink::{join, settle_root, take_child};
use crate::collections::layout::{BTreeHeader, BTreeNode};
use crate::error::Result;
use crate::{Key, Persistent, Reader, Writer};

type Bounds<'b, K> = (Bound<&'b <K as Key>::View>, Bound<&'b <K as Key>::View>);

/// A walk over the entries in a range.
struct Walk<'b, K: Key, F> {
    bounds: Bounds<'b, K>,
    decide: F,
    /// Entries that are gone.
    gone: u64,
    /// Nodes that may still come: more than this do not fit into the segment.
    nodes_left: u64,
}

/// Gives the entries in a range to `decide`, in their order. It may change the value, which is stored then; where it says
/// false, it has taken all that the entry owns, and the entry is removed.
pub(super) fn visit<K: Key, V: Persistent, W: Writer>(
    map: PBTreeMap<K, V>,
    tx: &mut W,
    bounds: Bounds<'_, K>,
    decide: impl FnMut(&mut W, &K, &mut V) -> Result<bool>,
) -> Result<()> {
    let header = map.load_to_write(tx)?;
    if header.root == 0 {
        return Ok(());
    }
    let nodes_left = tx.segment_len() / Node::<K, V>::LEN.min(Inner::<K>::LEN) + 1;
    let mut walk = Walk { bounds, decide, gone: 0, nodes_left };
    let level = usize::from(Node::<K, V>::at(header.root).load_root(tx)?.level);
    let left = walk.node::<V, W>(tx, header.root, level)?;
    if walk.gone == 0 {
        return Ok(());
    }
    let root = match left {
        0 => 0,
        1 if level > 0 => {
            let root = Inner::<K>::at(header.root);
            let head = *root.load(tx, level)?;
            settle_root(tx, root, &head)?
        }
        _ => header.root,
    };
    let len = match header.len.checked_sub(walk.gone) {
        Some(len) if (len == 0) == (root == 0) => len,
        _ => {
            return Err(tx.damaged(
                map.offset(),
                "B-tree: length",
                header.len,
                "that of its leaves together",
            ));
        }
    };
    map.write_header(tx, BTreeHeader { root, len })
}

impl<K: Key, F> Walk<'_, K, F> {
    /// Visits what lies below a node, and returns how many entries the node has left. With none, it is freed.
    fn node<V: Persistent, W: Writer>(&mut self, tx: &mut W, node: u64, level: usize) -> Result<usize>
    where
        F: FnMut(&mut W, &K, &mut V) -> Result<bool>,
    {
        match self.nodes_left.checked_sub(1) {
            Some(left) => self.nodes_left = left,
            None => return Err(tx.damaged(node, "B-tree: node", node, "one that did not come before")),
        }
        if level == 0 { self.leaf(tx, Node::at(node)) } else { self.inner(tx, Inner::at(node), level) }
    }

    fn leaf<V: Persistent, W: Writer>(&mut self, tx: &mut W, leaf: Node<K, V>) -> Result<usize>
    where
        F: FnMut(&mut W, &K, &mut V) -> Result<bool>,
    {
        let mut head = *leaf.load(tx, 0)?;
        let (first, behind) = self.ranks(tx, leaf, &head)?;
        let mut rank = first;
        for _ in first..behind {
            let slot = leaf.slot(tx, &head, rank)?;
            let (key, old) = (*tx.get(leaf.key(slot))?, *tx.get(leaf.value(slot))?);
            let mut value = old;
            if !(self.decide)(tx, &key, &mut value)? {
                leaf.take(tx, &mut head, rank);
                self.gone += 1;
                continue;
            }
            if bytemuck::bytes_of(&value) != bytemuck::bytes_of(&old) {
                tx.write(leaf.value(slot), value)?;
            }
            rank += 1;
        }
        finish(tx, leaf, &head, rank < behind)
    }

    /// The ranks of a leaf that lie in the range.
    fn ranks<V: Persistent>(
        &self,
        on: &impl Reader,
        leaf: Node<K, V>,
        head: &BTreeNode,
    ) -> Result<(usize, usize)> {
        let first = match self.bounds.0 {
            Bound::Unbounded => 0,
            Bound::Included(view) => leaf.find(on, head, &ByView(view))?.0,
            Bound::Excluded(view) => {
                let (rank, is_there) = leaf.find(on, head, &ByView(view))?;
                rank + usize::from(is_there)
            }
        };
        let behind = match self.bounds.1 {
            Bound::Unbounded => head.len(),
            Bound::Excluded(view) => leaf.find(on, head, &ByView(view))?.0,
            Bound::Included(view) => {
                let (rank, is_there) = leaf.find(on, head, &ByView(view))?;
                rank + usize::from(is_there)
            }
        };
        Ok((first, behind))
    }

    fn inner<V: Persistent, W: Writer>(&mut self, tx: &mut W, inner: Inner<K>, level: usize) -> Result<usize>
    where
        F: FnMut(&mut W, &K, &mut V) -> Result<bool>,
    {
        let mut head = *inner.load(tx, level)?;
        let seek = |tx: &W, view| inner.seek(tx, &head, &ByView(view));
        let first = match self.bounds.0 {
            Bound::Unbounded => 0,
            Bound::Included(view) | Bound::Excluded(view) => seek(tx, view)?,
        };
        let last = match self.bounds.1 {
            Bound::Unbounded => head.len() - 1,
            Bound::Included(view) | Bound::Excluded(view) => seek(tx, view)?,
        };
        let (gone, before) = (self.gone, head.len());
        let mut rank = first;
        for _ in first..=last {
            let child = *inner.value_at(tx, &head, rank)?;
            if self.node::<V, W>(tx, child, level - 1)? == 0 {
                take_child(tx, inner, &mut head, rank)?;
            } else {
                rank += 1;
            }
        }
        if self.gone > gone {
            // What comes before `first` and behind `last` has lost nothing, and may be a neighbour.
            let from = first.saturating_sub(1);
            match level {
                1 => join_children::<K, V>(tx, inner, &mut head, level, from, rank)?,
                _ => join_children::<K, u64>(tx, inner, &mut head, level, from, rank)?,
            }
        }
        finish(tx, inner, &head, head.len() < before)
    }
}

/// Joins children, from rank `from` to rank `to`, of which one has few entries.
fn join_children<K: Key, T: Persistent>(
    tx: &mut impl Writer,
    parent: Inner<K>,
    head: &mut BTreeNode,
    level: usize,
    from: usize,
    to: usize,
) -> Result<()> {
    let (mut left, mut to) = (from, to);
    while left < to && left + 1 < head.len() {
        let first = Node::<K, T>::at(*parent.value_at(tx, head, left)?);
        let second = Node::<K, T>::at(*parent.value_at(tx, head, left + 1)?);
        let (first_head, second_head) = (*first.load(tx, level - 1)?, *second.load(tx, level - 1)?);
        let (a, b) = (first_head.len(), second_head.len());
        if a.min(b) < Node::<K, T>::COUNT_MIN && a + b <= Node::<K, T>::JOINED_MAX {
            join(tx, parent, head, left, [first, second], [first_head, second_head])?;
            to -= 1;
        } else {
            left += 1;
        }
    }
    Ok(())
}

/// Saves the head of a node that has lost an entry, or frees the node if it was the last; returns how many are left.
fn finish<K: Key, T: Persistent>(
    tx: &mut impl Writer,
    node: Node<K, T>,
    head: &BTreeNode,
    is_changed: bool,
) -> Result<usize> {
    match head.len() {
        0 => node.free(tx)?,
        _ if is_changed => node.save(tx, head)?,
        _ => {}
    }
    Ok(head.len())
}
