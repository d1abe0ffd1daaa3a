//! Many entries more: those that come behind all others go to the last leaf without a search, and it is saved once.
//!
//! Start at [`insert_all`].

use std::cmp::Ordering;

use crate::collections::btree_map::grow::{insert_at, insert_first};
use crate::collections::btree_map::node::{Node, Sought};
use crate::collections::btree_map::path::Path;
use crate::collections::btree_map::{PBTreeMap, one_more, replace};
use crate::collections::layout::{BTreeHeader, BTreeNode};
use crate::error::Result;
use crate::{Key, Persistent, Writer};

/// The end of a map that is inserted to.
pub(super) struct End<K, V> {
    map: PBTreeMap<K, V>,
    last: Option<Last<K, V>>,
}

/// The last leaf, where it has room and is known. Its head and the map's are ahead of what is stored, until
/// [`End::save`].
struct Last<K, V> {
    leaf: Node<K, V>,
    head: BTreeNode,
    header: BTreeHeader,
}

/// Inserts items by `insert`, and saves what is left to save, also where one of them failed.
pub(super) fn insert_all<K: Key, V: Persistent, W: Writer, I>(
    map: PBTreeMap<K, V>,
    tx: &mut W,
    mut items: impl Iterator<Item = I>,
    mut insert: impl FnMut(&mut W, &mut End<K, V>, I) -> Result<()>,
) -> Result<()> {
    let mut end = End { map, last: None };
    let inserted = items.try_for_each(|item| insert(tx, &mut end, item));
    inserted.and(end.save(tx))
}

impl<K: Key, V: Persistent> End<K, V> {
    /// Inserts an entry, at the end if it belongs there; returns the value that stood there.
    #[inline]
    pub(super) fn insert(
        &mut self,
        tx: &mut impl Writer,
        sought: &impl Sought<K>,
        value: V,
    ) -> Result<Option<V>> {
        if let Some(Last { leaf, head, header }) = &mut self.last {
            let rank = head.len();
            let is_behind = sought.compare(tx, leaf.key_at(tx, head, rank - 1)?)? == Ordering::Less;
            if is_behind && rank < Node::<K, V>::CAPACITY {
                let len = one_more(self.map, tx, header)?;
                let key = sought.make(tx)?;
                leaf.enter(tx, head, rank, key, value)?;
                header.len = len;
                return Ok(None);
            }
        }
        self.save(tx)?;
        self.search_and_insert(tx, sought, value)
    }

    /// Stores what is ahead.
    pub(super) fn save(&mut self, tx: &mut impl Writer) -> Result<()> {
        if let Some(Last { leaf, head, header }) = self.last.take() {
            leaf.save(tx, &head)?;
            self.map.write_len(tx, header.len)?;
        }
        Ok(())
    }

    fn search_and_insert(
        &mut self,
        tx: &mut impl Writer,
        sought: &impl Sought<K>,
        value: V,
    ) -> Result<Option<V>> {
        let header = self.map.load_to_write(tx)?;
        let mut is_end = true;
        let (leaf, _) = if header.root == 0 {
            insert_first(self.map, tx, sought, value)?
        } else {
            let mut path = Path::new();
            if path.seek::<K, V>(tx, &header, sought)? {
                return replace::<K, V>(tx, &path, value).map(Some);
            }
            is_end = path.is_end::<K, V>(tx)?;
            insert_at(self.map, tx, &header, &path, sought, value)?
        };
        if is_end {
            let head = *leaf.load(tx, 0)?;
            self.last = Some(Last { leaf, head, header: self.map.load_to_write(tx)? });
        }
        Ok(None)
    }
}
