//! Whether the collections of a segment are sound, without the type of its root: by the description that it keeps.
//!
//! What has to hold of a collection is asked in one place, for this and for the typed
//! [`Segment::check_content`](crate::Segment::check_content): `collections/audit.rs`. Here is what follows the description.
//! Start at [`Inspector::check_content`].

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;

use rio::Medium;

use crate::check::{Block, Violation};
use crate::collections::audit::{self, Keys, Values};
use crate::collections::btree_map::audit::b_tree;
use crate::collections::erased::Extent;
use crate::collections::hash_map::audit::hash_map;
use crate::content::{Audit, Depth};
use crate::error::Result;
use crate::inspect::schema::{Collection, Number, Schema, Type};
use crate::inspect::{Inspector, word};
use crate::{PBytes, PString, Persistent, Reader};

/// How deep values may stand in each other, collections included: what the stack is good for.
const NESTING_MAX: u32 = 500;

/// What [`Inspector::check_content`] has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Content {
    /// Every broken invariant of the collections.
    pub violations: Vec<Violation>,
    /// How many collections there are.
    pub collection_count: u64,
    /// The allocated blocks, other than the root's, that no collection owns, by offset. They are leaked, or held by raw
    /// pointers or by values of an unknown type. Empty if there are violations: what is below damage has no owner either.
    pub unowned: Vec<Block>,
    /// Whether there is a `PPtr` or a `PSlice` that leads somewhere: then nobody but the program knows what is leaked.
    pub has_raw_pointers: bool,
    /// The types whose values were not looked at: this version does not know them, or their description was cut off, or
    /// they stand in too many others.
    pub unknown: Vec<Type>,
    /// The types of keys, in B-trees, whose order is known to the program alone: structs.
    pub unordered: Vec<Type>,
}

impl<M: Medium> Inspector<M> {
    /// Looks at every collection that the root owns, as far as the description says what there is: at headers, lengths and
    /// capacities, at the order of keys, at hashes and duplicates, at UTF-8, and that each block has one owner. Changes
    /// nothing, and reads everything, so that the time grows with the data. Meaningful after
    /// [`recover`](Inspector::recover); the heap is for [`check`](Inspector::check).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("numbers");
    /// use vista::{PVec, Segment, inspect::Inspector};
    ///
    /// let mut segment = Segment::<PVec<u64>>::create(&path, 1 << 20)?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     *tx.root_mut()? = PVec::from_slice(tx, &[1, 2, 3])?;
    ///     PVec::from_slice(tx, &[4, 5, 6]).map(drop) // Nothing holds it.
    /// })?;
    /// segment.close()?;
    /// let content = Inspector::open(&path)?.check_content()?;
    /// assert_eq!((content.collection_count, content.violations.len()), (1, 0));
    /// assert_eq!(content.unowned.len(), 2); // The header and the elements of the other one.
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// [`Segment::check_content`](crate::Segment::check_content), which has the types, knows more in three ways. A block
    /// without an owner is no violation here (INV-C2) but a note. The order of keys that are structs is not looked at, for
    /// a program may have given them one of its own; their hashes are. And an `audit` that a type has by hand is not
    /// called: its fields are looked at as any struct's.
    ///
    /// # Errors
    /// As [`schema`](Inspector::schema).
    pub fn check_content(&self) -> Result<Content> {
        let schema = self.schema()?;
        let root = self.root()?;
        let mut audit = Audit::new(&self.blocks(), root.offset);
        let walk = Walk::new(&schema, self);
        match walk.values(schema.root()) {
            Some(values) => {
                if let Err(error) = values.audit(&mut audit, root.offset, 1, Depth::default()) {
                    audit.failed(root.offset, &error);
                }
            }
            None => walk.skip(schema.root()),
        }
        let (violations, mut unowned, has_raw_pointers) = audit.end();
        if !violations.is_empty() {
            unowned.clear();
        }
        let (collection_count, unknown, unordered) =
            (walk.collection_count.get(), walk.unknown.take(), walk.unordered.take());
        Ok(Content { violations, collection_count, unowned, has_raw_pointers, unknown, unordered })
    }
}

/// A walk along a description. The audit that it feeds is handed on from call to call; what it notes itself is in cells.
struct Walk<'a, A> {
    schema: &'a Schema,
    on: &'a A,
    /// For each struct, whether something in it has to be looked at.
    may_own: Vec<bool>,
    nesting: Cell<u32>,
    collection_count: Cell<u64>,
    unknown: RefCell<Vec<Type>>,
    unordered: RefCell<Vec<Type>>,
}

impl<'a, A: Reader> Walk<'a, A> {
    fn new(schema: &'a Schema, on: &'a A) -> Self {
        let mut walk = Walk {
            schema,
            on,
            may_own: vec![false; schema.structs().len()],
            nesting: Cell::new(0),
            collection_count: Cell::new(0),
            unknown: RefCell::default(),
            unordered: RefCell::default(),
        };
        // What stands in a struct may be described behind it: until nothing changes any more.
        loop {
            let fields = schema.structs().iter().map(|structure| structure.fields.iter());
            let found = fields.map(|mut fields| fields.any(|field| walk.may_own(&field.of))).collect();
            if std::mem::replace(&mut walk.may_own, found) == walk.may_own {
                return walk;
            }
        }
    }

    fn may_own(&self, of: &Type) -> bool {
        match of {
            Type::Number(_) | Type::Nothing => false,
            Type::Array { of, .. } => self.may_own(of),
            Type::Struct { index, .. } => self.may_own[*index],
            _ => true,
        }
    }

    /// Values of a type; nothing if that is not known.
    fn values<'w>(&'w self, of: &'w Type) -> Option<Described<'w, 'a, A>> {
        Some(Described { walk: self, of, extent: self.schema.extent_of(of)? })
    }

    /// Notes a type whose values are not looked at.
    fn skip(&self, of: &Type) {
        note(&self.unknown, of);
    }

    /// Looks at what one value owns.
    fn value(&self, audit: &mut Audit, of: &Type, bytes: &'a [u8], depth: Depth) {
        if !self.may_own(of) {
            return;
        }
        if self.nesting.get() == NESTING_MAX {
            return self.skip(of);
        }
        self.nesting.set(self.nesting.get() + 1);
        match of {
            Type::Array { of, .. } => match self.schema.extent_of(of) {
                Some(element) => self.elements(audit, of, element, bytes, depth),
                None => self.skip(of),
            },
            Type::Struct { index, .. } => {
                for field in &self.schema.structs()[*index].fields {
                    let from = bytes.get(field.offset as usize..).unwrap_or_default();
                    let size = self.schema.size_of(&field.of);
                    match size.and_then(|size| from.get(..usize::try_from(size).ok()?)) {
                        Some(bytes) => self.value(audit, &field.of, bytes, depth),
                        None => self.skip(&field.of),
                    }
                }
            }
            Type::Pointer(_) if word(bytes) != 0 => audit.has_raw_pointers(),
            Type::Slice(_) if word(&bytes[8..]) != 0 => audit.has_raw_pointers(),
            Type::Handle { collection, of } if word(bytes) != 0 => {
                self.collection(audit, *collection, of, word(bytes), depth);
            }
            Type::Unknown(_) => self.skip(of),
            _ => {}
        }
        self.nesting.set(self.nesting.get() - 1);
    }

    fn elements(&self, audit: &mut Audit, of: &Type, element: Extent, bytes: &'a [u8], depth: Depth) {
        // What has no bytes has no handle.
        if let Some(size) = usize::try_from(element.size).ok().filter(|size| *size > 0) {
            bytes.chunks_exact(size).for_each(|bytes| self.value(audit, of, bytes, depth));
        }
    }

    /// Looks at a collection, by its handle that is not null.
    fn collection(&self, audit: &mut Audit, which: Collection, of: &[Type], offset: u64, depth: Depth) {
        self.collection_count.set(self.collection_count.get() + 1);
        let on = self.on;
        let first = of.first().unwrap_or(&Type::Nothing);
        let second = match which {
            Collection::PHashMap | Collection::PBTreeMap => of.get(1).unwrap_or(&Type::Nothing),
            _ => &Type::Nothing,
        };
        let (Some(values), Some(seconds)) = (self.values(first), self.values(second)) else {
            return self.skip(if self.values(first).is_none() { first } else { second });
        };
        match which {
            Collection::PVec => audit::vec(on, audit, offset, &values, depth),
            Collection::PBytes => bytemuck::cast::<u64, PBytes>(offset).audit(on, audit, depth),
            Collection::PString => bytemuck::cast::<u64, PString>(offset).audit(on, audit, depth),
            Collection::PVecDeque => audit::deque(on, audit, offset, &values, depth),
            Collection::PSlab => audit::slab(on, audit, offset, &values, depth),
            Collection::PCell => audit::cell(on, audit, offset, &values, depth),
            Collection::POption => audit::option(on, audit, offset, &values, depth),
            Collection::PHashMap | Collection::PHashSet => {
                hash_map(on, audit, offset, &values, &seconds, depth);
            }
            Collection::PBTreeMap => {
                if !is_ordered(first) {
                    note(&self.unordered, first);
                }
                b_tree(on, audit, offset, &values, &seconds, depth);
            }
        }
    }
}

/// Adds a type to a list, once.
fn note(list: &RefCell<Vec<Type>>, of: &Type) {
    let mut list = list.borrow_mut();
    if !list.contains(of) {
        list.push(of.clone());
    }
}

/// Values of a type that a description names.
struct Described<'w, 'a, A> {
    walk: &'w Walk<'a, A>,
    of: &'w Type,
    extent: Extent,
}

impl<A: Reader> Values for Described<'_, '_, A> {
    fn extent(&self) -> Extent {
        self.extent
    }

    fn may_own(&self) -> bool {
        self.walk.may_own(self.of)
    }

    fn audit(&self, audit: &mut Audit, offset: u64, count: u64, depth: Depth) -> Result<()> {
        let bytes = self.extent.bytes(self.walk.on, offset, count)?;
        self.walk.elements(audit, self.of, self.extent, bytes, depth);
        Ok(())
    }
}

impl<'a, A: Reader> Described<'_, 'a, A> {
    fn bytes_at(&self, offset: u64) -> Result<&'a [u8]> {
        self.extent.bytes(self.walk.on, offset, 1)
    }
}

impl<'a, A: Reader> Keys<'a> for Described<'_, 'a, A> {
    fn bytes(&self, offset: u64) -> Result<&'a [u8]> {
        let bytes = self.bytes_at(offset)?;
        if is_string(self.of) {
            return bytemuck::pod_read_unaligned::<PBytes>(bytes).as_slice(self.walk.on);
        }
        Ok(bytes)
    }

    fn compare(&self, offset: u64, other: u64) -> Result<Option<Ordering>> {
        if is_string(self.of) {
            return Ok(Some(self.bytes(offset)?.cmp(self.bytes(other)?)));
        }
        Ok(is_ordered(self.of).then_some(compare(self.of, self.bytes_at(offset)?, self.bytes_at(other)?)))
    }
}

/// Whether a key is a string, which stands for its content.
fn is_string(of: &Type) -> bool {
    matches!(of, Type::Handle { collection: Collection::PBytes | Collection::PString, .. })
}

/// Whether the order of keys is known. That of floats there is none of, and structs have one of their own.
fn is_ordered(of: &Type) -> bool {
    match of {
        Type::Number(number) => !matches!(number, Number::F32 | Number::F64),
        Type::Nothing | Type::Pointer(_) | Type::Slice(_) => true,
        Type::Array { of, .. } => is_ordered(of),
        _ => is_string(of),
    }
}

/// Compares two keys of a type whose order is known, by their bytes.
fn compare(of: &Type, bytes: &[u8], other: &[u8]) -> Ordering {
    macro_rules! read {
        ($of:ty) => {
            bytemuck::pod_read_unaligned::<$of>(bytes).cmp(&bytemuck::pod_read_unaligned::<$of>(other))
        };
    }
    match of {
        Type::Array { of, count } => {
            let size = bytes.len().checked_div(*count as usize).unwrap_or(0).max(1);
            let pairs = bytes.chunks_exact(size).zip(other.chunks_exact(size));
            pairs
                .map(|(bytes, other)| compare(of, bytes, other))
                .find(|o| o.is_ne())
                .unwrap_or(Ordering::Equal)
        }
        Type::Slice(_) => read!([u64; 2]),
        Type::Pointer(_) => read!(u64),
        Type::Number(number) => match number {
            Number::U8 => read!(u8),
            Number::U16 => read!(u16),
            Number::U32 => read!(u32),
            Number::U64 => read!(u64),
            Number::U128 => read!(u128),
            Number::I8 => read!(i8),
            Number::I16 => read!(i16),
            Number::I32 => read!(i32),
            Number::I64 => read!(i64),
            Number::I128 => read!(i128),
            Number::F32 | Number::F64 => Ordering::Equal, // They are no keys.
        },
        _ => Ordering::Equal,
    }
}
