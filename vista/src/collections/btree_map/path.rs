//! A place in the tree: the nodes from a leaf up to the root, and the rank in each.
//!
//! A path borrows nothing, so that what it leads to can be changed. The level falls by one from node to node, so that
//! no bytes make a way down that does not end. Start at [`Path::seek`].

use std::ops::Bound;

use crate::collections::btree_map::node::{ByView, Inner, Node, Sought};
use crate::collections::layout::{BTREE_LEVELS_MAX as LEVELS_MAX, BTreeHeader, BTreeNode};
use crate::error::Result;
use crate::{Key, Persistent, Reader};

/// A node, and a rank in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) node: u64,
    pub(super) rank: usize,
}

/// The steps from a leaf, at level 0, up to the root.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path {
    steps: [Step; LEVELS_MAX],
    height: usize,
}

/// What stands in front of the entries of a node, which is a leaf at level 0.
#[inline]
pub(super) fn load_at<K: Key, V: Persistent>(
    on: &impl Reader,
    node: u64,
    level: usize,
) -> Result<&BTreeNode> {
    if level == 0 { Node::<K, V>::at(node).load(on, 0) } else { Inner::<K>::at(node).load(on, level) }
}

impl Path {
    /// Number of levels.
    #[inline]
    pub(super) fn height(&self) -> usize {
        self.height
    }

    /// The step at a level below the height.
    #[inline]
    pub(super) fn at(&self, level: usize) -> Step {
        self.steps[level]
    }

    /// The leaf, and the rank in it.
    #[inline]
    pub(super) fn leaf(&self) -> Step {
        self.steps[0]
    }

    /// Moves inside the leaf.
    #[inline]
    pub(super) fn set_rank(&mut self, rank: usize) {
        self.steps[0].rank = rank;
    }

    /// A way that leads nowhere yet.
    #[inline(always)]
    pub(super) fn new() -> Self {
        Path { steps: [Step::default(); LEVELS_MAX], height: 1 }
    }

    /// Leads to where a key stands, or would stand, and tells whether it does. The map is not empty. (A path is long, and
    /// not returned but changed.)
    #[inline]
    pub(super) fn seek<K: Key, V: Persistent>(
        &mut self,
        on: &impl Reader,
        header: &BTreeHeader,
        sought: &impl Sought<K>,
    ) -> Result<bool> {
        let mut node = header.root;
        let mut head = Node::<K, V>::at(node).load_root(on)?;
        self.height = usize::from(head.level) + 1;
        for level in (1..self.height).rev() {
            let inner = Inner::<K>::at(node);
            let rank = inner.seek(on, head, sought)?;
            self.steps[level] = Step { node, rank };
            node = *inner.value_at(on, head, rank)?;
            head = load_at::<K, V>(on, node, level - 1)?;
        }
        let (rank, is_found) = Node::<K, V>::at(node).find(on, head, sought)?;
        self.steps[0] = Step { node, rank };
        Ok(is_found)
    }

    /// The way to the first entry, or to the last. The map is not empty.
    pub(super) fn to_end<K: Key, V: Persistent>(
        on: &impl Reader,
        header: &BTreeHeader,
        is_last: bool,
    ) -> Result<Self> {
        let level = usize::from(Node::<K, V>::at(header.root).load_root(on)?.level);
        let mut path = Path { height: level + 1, ..Path::new() };
        path.descend::<K, V>(on, header.root, level, is_last)?;
        Ok(path)
    }

    /// The way to the first entry inside of a lower bound; `None` if there is none. The map is not empty.
    pub(super) fn to_lower<K: Key, V: Persistent>(
        on: &impl Reader,
        header: &BTreeHeader,
        bound: Bound<&K::View>,
    ) -> Result<Option<Self>> {
        let (view, is_skipped) = match bound {
            Bound::Unbounded => return Self::to_end::<K, V>(on, header, false).map(Some),
            Bound::Included(view) => (view, false),
            Bound::Excluded(view) => (view, true),
        };
        let mut path = Path::new();
        let is_found = path.seek::<K, V>(on, header, &ByView(view))?;
        let rank = path.leaf().rank + usize::from(is_found && is_skipped);
        path.set_rank(rank);
        let is_inside = rank < Node::<K, V>::at(path.leaf().node).load(on, 0)?.len();
        Ok((is_inside || path.next_leaf::<K, V>(on)?).then_some(path))
    }

    /// The way to the last entry inside of an upper bound; `None` if there is none. The map is not empty.
    pub(super) fn to_upper<K: Key, V: Persistent>(
        on: &impl Reader,
        header: &BTreeHeader,
        bound: Bound<&K::View>,
    ) -> Result<Option<Self>> {
        let (view, is_skipped) = match bound {
            Bound::Unbounded => return Self::to_end::<K, V>(on, header, true).map(Some),
            Bound::Included(view) => (view, false),
            Bound::Excluded(view) => (view, true),
        };
        let mut path = Path::new();
        let is_found = path.seek::<K, V>(on, header, &ByView(view))?;
        let behind = path.leaf().rank + usize::from(is_found && !is_skipped);
        match behind.checked_sub(1) {
            Some(rank) => path.set_rank(rank),
            None if path.previous_leaf::<K, V>(on)? => {}
            None => return Ok(None),
        }
        Ok(Some(path))
    }

    /// Whether an entry that is inserted here comes behind all others.
    pub(super) fn is_end<K: Key, V: Persistent>(&self, on: &impl Reader) -> Result<bool> {
        let Step { node, rank } = self.leaf();
        if rank != Node::<K, V>::at(node).load(on, 0)?.len() {
            return Ok(false);
        }
        for level in 1..self.height {
            let Step { node, rank } = self.steps[level];
            if rank + 1 != Inner::<K>::at(node).load(on, level)?.len() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Moves to the first entry of the next leaf; false if there is none.
    pub(super) fn next_leaf<K: Key, V: Persistent>(&mut self, on: &impl Reader) -> Result<bool> {
        for level in 1..self.height {
            let Step { node, rank } = self.steps[level];
            let inner = Inner::<K>::at(node);
            let head = inner.load(on, level)?;
            if rank + 1 < head.len() {
                self.steps[level].rank = rank + 1;
                self.descend::<K, V>(on, *inner.value_at(on, head, rank + 1)?, level - 1, false)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Moves to the last entry of the leaf before; false if there is none.
    pub(super) fn previous_leaf<K: Key, V: Persistent>(&mut self, on: &impl Reader) -> Result<bool> {
        for level in 1..self.height {
            let Step { node, rank } = self.steps[level];
            if let Some(before) = rank.checked_sub(1) {
                let inner = Inner::<K>::at(node);
                let head = inner.load(on, level)?;
                self.steps[level].rank = before;
                self.descend::<K, V>(on, *inner.value_at(on, head, before)?, level - 1, true)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Goes down to the first entry below a node, or to the last.
    fn descend<K: Key, V: Persistent>(
        &mut self,
        on: &impl Reader,
        mut node: u64,
        level: usize,
        is_last: bool,
    ) -> Result<()> {
        let end = |head: &BTreeNode| if is_last { head.len() - 1 } else { 0 };
        for level in (1..=level).rev() {
            let inner = Inner::<K>::at(node);
            let head = inner.load(on, level)?;
            let rank = end(head);
            self.steps[level] = Step { node, rank };
            node = *inner.value_at(on, head, rank)?;
        }
        let head = Node::<K, V>::at(node).load(on, 0)?;
        self.steps[0] = Step { node, rank: end(head) };
        Ok(())
    }
}
