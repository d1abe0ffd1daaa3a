//! Whether a map is sound. Start at [`b_tree`].

use std::cmp::Ordering;

use crate::collections::audit::{Keys, Values, look, owns_header, tell};
use crate::collections::erased::{Extent, NodeShape, b_tree_header};
use crate::collections::layout::{BTREE_LEVELS_MAX, BTreeHeader, BTreeNode};
use crate::content::{Audit, Depth};
use crate::error::Result;
use crate::{PPtr, Reader};

/// A `PBTreeMap`, by the offset of its header.
pub(crate) fn b_tree<'a>(
    on: &'a impl Reader,
    audit: &mut Audit,
    offset: u64,
    keys: &impl Keys<'a>,
    values: &impl Values,
    depth: Depth,
) {
    if !owns_header::<BTreeHeader>(audit, offset) {
        return;
    }
    let looked = (|| {
        let BTreeHeader { root, len } = b_tree_header(on, offset)?;
        let depth = depth.deeper(on)?;
        if root == 0 {
            return Ok(());
        }
        let level = on.get(PPtr::<BTreeNode>::from_offset(root))?.level;
        if usize::from(level) >= BTREE_LEVELS_MAX {
            return Err(on.damaged(root, "B-tree root: level", level.into(), "less than 24"));
        }
        let shapes = [
            NodeShape::of(keys.extent(), values.extent()),
            NodeShape::of(keys.extent(), Extent::of::<u64>()),
        ];
        Checker { on, audit, keys, values, shapes, depth, len: 0, before: None, is_whole: true }.map(
            offset,
            len,
            Below { node: root, level, lower: None, upper: None },
        )
    })();
    tell(audit, offset, looked);
}

/// A walk that looks at everything. It knows keys by where they lie.
struct Checker<'c, 'a, A, K, V> {
    on: &'a A,
    audit: &'c mut Audit,
    keys: &'c K,
    values: &'c V,
    /// Of a leaf, and of a node that has children.
    shapes: [NodeShape; 2],
    depth: Depth,
    /// Entries of the leaves so far.
    len: u64,
    /// The key before.
    before: Option<u64>,
    /// Whether all nodes could be looked at.
    is_whole: bool,
}

/// A node that is still to be looked at, and the separators on both sides, where there are some: all of its keys are to
/// lie from the first on and before the second.
#[derive(Clone, Copy)]
struct Below {
    node: u64,
    level: u8,
    lower: Option<u64>,
    upper: Option<u64>,
}

impl<'a, A: Reader, K: Keys<'a>, V: Values> Checker<'_, 'a, A, K, V> {
    fn map(&mut self, offset: u64, len: u64, root: Below) -> Result<()> {
        // Those that come next stand last. No node is looked at twice, since it would have two owners.
        let mut pending = vec![root];
        while let Some(next) = pending.pop() {
            let shape = self.shapes[usize::from(next.level > 0)];
            let Some(head) = self.head(next, shape)? else {
                self.is_whole = false;
                continue;
            };
            if next.level == 0 {
                self.leaf(head, next, shape)?;
                continue;
            }
            if next.node == root.node && head.count == 1 {
                self.audit.broken("INV-C42", root.node, "a root with one child");
                self.is_whole = false; // It has told.
            }
            self.inner(head, next, shape, &mut pending)?;
        }
        if self.is_whole && self.len != len {
            self.audit.broken("INV-C40", offset, format!("a length of {len} over {} entries", self.len));
        }
        Ok(())
    }

    /// What stands in front of the entries of a node, if it is sound.
    fn head(&mut self, below: Below, shape: NodeShape) -> Result<Option<&'a BTreeNode>> {
        let offset = below.node;
        if !self.audit.owns(offset, shape.len, shape.align) {
            return Ok(None);
        }
        let head = self.on.get(PPtr::<BTreeNode>::from_offset(offset))?;
        let count = usize::from(head.count);
        if head.level != below.level {
            let found = format!("a node of level {} where {} belongs", head.level, below.level);
            self.audit.broken("INV-C41", offset, found);
            return Ok(None);
        }
        if count == 0 || count as u64 > shape.capacity {
            self.audit.broken("INV-C42", offset, format!("{count} entries in a node of {}", shape.capacity));
            return Ok(None);
        }
        let order = &head.order[..count];
        let taken = order.iter().fold(0, |taken, slot| taken | 1u64.checked_shl((*slot).into()).unwrap_or(0));
        let used = u64::from(head.used);
        let is_sound = taken.count_ones() as usize == count && taken == used && used >> shape.capacity == 0;
        if !is_sound || head.reserved != 0 {
            self.audit.broken("INV-C43", offset, format!("slots {order:?} in order, {used:#x} used"));
            return Ok(None);
        }
        Ok(Some(head))
    }

    fn leaf(&mut self, head: &BTreeNode, below: Below, shape: NodeShape) -> Result<()> {
        let Below { node, lower, upper, .. } = below;
        for (rank, slot) in head.order[..head.count.into()].iter().copied().enumerate() {
            let key = self.keys.extent().element(node + shape.keys, slot.into());
            look(self.keys, self.audit, key, 1, self.depth)?;
            let value = self.values.extent().element(node + shape.values, slot.into());
            look(self.values, self.audit, value, 1, self.depth)?;
            if !self.is_less(self.before, Some(key))? {
                let found = format!("the key of rank {rank} is not behind the one before");
                self.audit.broken("INV-C44", node, found);
            }
            if !self.is_less(Some(key), upper)? || self.is_before(key, lower)? {
                let found = format!("the key of rank {rank} is not between its separators");
                self.audit.broken("INV-C45", node, found);
            }
            self.before = Some(key);
        }
        self.len += u64::from(head.count);
        Ok(())
    }

    fn inner(
        &mut self,
        head: &BTreeNode,
        below: Below,
        shape: NodeShape,
        pending: &mut Vec<Below>,
    ) -> Result<()> {
        let Below { node, level, mut lower, upper } = below;
        let order = &head.order[..head.count.into()];
        let first = pending.len();
        for (rank, slot) in order.iter().enumerate() {
            let mut separator = None;
            if let Some(next) = order.get(rank + 1) {
                let key = self.keys.extent().element(node + shape.keys, (*next).into());
                look(self.keys, self.audit, key, 1, self.depth)?;
                if !self.is_less(lower, Some(key))? || !self.is_less(Some(key), upper)? {
                    let found = format!("the key of rank {} is not between its separators", rank + 1);
                    self.audit.broken("INV-C45", node, found);
                }
                separator = Some(key);
            }
            let child: u64 = *self.on.get(PPtr::from_offset(node + shape.values + 8 * u64::from(*slot)))?;
            pending.push(Below { node: child, level: level - 1, lower, upper: separator.or(upper) });
            lower = separator;
        }
        pending[first..].reverse();
        Ok(())
    }

    /// Whether a key is less than another, as far as anybody can tell; nothing is less than all, or greater.
    fn is_less(&self, key: Option<u64>, other: Option<u64>) -> Result<bool> {
        match (key, other) {
            (Some(key), Some(other)) => {
                Ok(self.keys.compare(key, other)?.is_none_or(|order| order == Ordering::Less))
            }
            _ => Ok(true),
        }
    }

    /// Whether a key is known to be less than a separator.
    fn is_before(&self, key: u64, separator: Option<u64>) -> Result<bool> {
        match separator {
            Some(separator) => Ok(self.keys.compare(key, separator)? == Some(Ordering::Less)),
            None => Ok(false),
        }
    }
}
