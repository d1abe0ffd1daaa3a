//! What maps are searched by: plain values as they are, and strings by their content.

use std::cmp::Ordering;

use crate::error::Result;
use crate::{PBytes, PString, Persistent, Reader, Writer};

/// A key of a [`PHashMap`](crate::PHashMap) or a [`PBTreeMap`](crate::PBTreeMap).
///
/// Every persistent type that is `Ord` is one, and stands in the map as it is. [`PString`] and [`PBytes`] are, by their
/// content: the map is searched by `&str` or `&[u8]`, makes the string itself when it takes in a new key, and frees it
/// with the entry.
///
/// ```
/// use vista::{Key, PHashMap, PString, Reader, SegmentOptions};
///
/// /// Of two keys, the one to which the map has the greater value.
/// fn greater<'a, K: Key>(on: &impl Reader, map: PHashMap<K, u64>, a: &'a K::View, b: &'a K::View) -> vista::Result<&'a K::View> {
///     Ok(if map.get(on, a)? >= map.get(on, b)? { a } else { b })
/// }
///
/// let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PHashMap<PString, u64>>()?;
/// segment.transaction(|tx| -> vista::Result<()> {
///     let ages = PHashMap::or_new(tx, tx.root_ptr())?;
///     ages.insert(tx, "Ada", 36)?;
///     ages.insert(tx, "Bob", 48)?;
///     assert_eq!(greater(tx, ages, "Ada", "Bob")?, "Bob");
///     Ok(())
/// })?;
/// # Ok::<_, vista::Error>(())
/// ```
///
/// A hash map compares and hashes the bytes of a key; so values that are equal must have the same bytes, as those of all
/// integers, arrays and derived `Eq` do. A B-tree asks `Ord`.
pub trait Key: Persistent {
    /// What the map is searched by: the type itself, `str`, or `[u8]`.
    type View: ?Sized + Ord;

    /// The bytes of a view, by which it is hashed.
    #[doc(hidden)]
    fn bytes_of(view: &Self::View) -> &[u8];

    /// Compares this key with a view.
    #[doc(hidden)]
    fn compare(&self, on: &impl Reader, view: &Self::View) -> Result<Ordering>;

    /// Whether this key has the bytes of a view.
    #[doc(hidden)]
    fn equals(&self, on: &impl Reader, view: &Self::View) -> Result<bool>;

    /// The bytes of this key.
    #[doc(hidden)]
    fn own_bytes<'a>(&'a self, on: &'a impl Reader) -> Result<&'a [u8]>;

    /// Compares two keys of a map.
    #[doc(hidden)]
    fn compare_keys(&self, on: &impl Reader, other: &Self) -> Result<Ordering>;

    /// Makes a key of its own.
    #[doc(hidden)]
    fn make(tx: &mut impl Writer, view: &Self::View) -> Result<Self>;

    /// A second key of the same value: one that may be released on its own.
    #[doc(hidden)]
    fn duplicate(&self, tx: &mut impl Writer) -> Result<Self>;
}

impl<T: Persistent + Ord> Key for T {
    type View = T;

    #[inline(always)]
    fn bytes_of(view: &T) -> &[u8] {
        bytemuck::bytes_of(view)
    }

    #[inline(always)]
    fn compare(&self, _: &impl Reader, view: &T) -> Result<Ordering> {
        Ok(self.cmp(view))
    }

    #[inline(always)]
    fn equals(&self, _: &impl Reader, view: &T) -> Result<bool> {
        Ok(bytemuck::bytes_of(self) == bytemuck::bytes_of(view))
    }

    #[inline(always)]
    fn own_bytes<'a>(&'a self, _: &'a impl Reader) -> Result<&'a [u8]> {
        Ok(bytemuck::bytes_of(self))
    }

    #[inline(always)]
    fn compare_keys(&self, _: &impl Reader, other: &T) -> Result<Ordering> {
        Ok(self.cmp(other))
    }

    #[inline(always)]
    fn make(_: &mut impl Writer, view: &T) -> Result<T> {
        Ok(*view)
    }

    #[inline(always)]
    fn duplicate(&self, _: &mut impl Writer) -> Result<T> {
        Ok(*self)
    }
}

impl Key for PBytes {
    type View = [u8];

    fn bytes_of(view: &[u8]) -> &[u8] {
        view
    }

    fn compare(&self, on: &impl Reader, view: &[u8]) -> Result<Ordering> {
        Ok(self.as_slice(on)?.cmp(view))
    }

    fn equals(&self, on: &impl Reader, view: &[u8]) -> Result<bool> {
        Ok(self.as_slice(on)? == view)
    }

    fn own_bytes<'a>(&'a self, on: &'a impl Reader) -> Result<&'a [u8]> {
        self.as_slice(on)
    }

    fn compare_keys(&self, on: &impl Reader, other: &Self) -> Result<Ordering> {
        Ok(self.as_slice(on)?.cmp(other.as_slice(on)?))
    }

    fn make(tx: &mut impl Writer, view: &[u8]) -> Result<Self> {
        PBytes::from_slice(tx, view)
    }

    fn duplicate(&self, tx: &mut impl Writer) -> Result<Self> {
        PBytes::duplicate(*self, tx)
    }
}

/// The order of `str` is that of its bytes, so that UTF-8 is checked only when a key is read.
impl Key for PString {
    type View = str;

    fn bytes_of(view: &str) -> &[u8] {
        view.as_bytes()
    }

    fn compare(&self, on: &impl Reader, view: &str) -> Result<Ordering> {
        Key::compare(&self.into_bytes(), on, view.as_bytes())
    }

    fn equals(&self, on: &impl Reader, view: &str) -> Result<bool> {
        Key::equals(&self.into_bytes(), on, view.as_bytes())
    }

    fn own_bytes<'a>(&'a self, on: &'a impl Reader) -> Result<&'a [u8]> {
        self.as_bytes(on)
    }

    fn compare_keys(&self, on: &impl Reader, other: &Self) -> Result<Ordering> {
        Key::compare_keys(&self.into_bytes(), on, &other.into_bytes())
    }

    fn make(tx: &mut impl Writer, view: &str) -> Result<Self> {
        PString::new(tx, view)
    }

    fn duplicate(&self, tx: &mut impl Writer) -> Result<Self> {
        PString::duplicate(*self, tx)
    }
}
