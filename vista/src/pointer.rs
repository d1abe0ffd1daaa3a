//! How one thing in a segment refers to another: by its offset.
//!
//! A [`PPtr`] is 8 bytes, a [`PSlice`] 16. They hold whatever the file holds, and promise nothing: a pointer
//! is checked for bounds and alignment when it is followed, and arithmetic on a damaged one neither panics nor
//! wraps round to an offset that looks sound. Start at [`PPtr`] and [`field!`](crate::field).

use std::any::type_name;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::iter::FusedIterator;
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};

use bytemuck::{Pod, Zeroable};

use crate::Reader;
use crate::content::{Audit, Depth};
use crate::persistent::{Describer, Persistent};

/// A pointer to a `T` in the same segment: its offset from the segment's beginning, or null.
///
/// It is plain data and can be stored in the segment. All of its methods are safe, for it is checked when it
/// is followed; it does not keep what it points to alive, and following it after that was freed finds other
/// data (a logic error, never undefined behaviour).
///
/// ```
/// use vista::{PPtr, Persistent};
///
/// #[derive(Clone, Copy, Persistent)]
/// #[repr(C)]
/// struct Node {
///     value: u64,
///     next: PPtr<Node>,
/// }
///
/// let last = Node { value: 7, next: PPtr::null() };
/// assert!(last.next.is_null());
/// ```
#[repr(transparent)]
pub struct PPtr<T> {
    offset: u64,
    // Points to a `T` without owning one: whatever `T` is, this may be sent, shared and copied.
    target: PhantomData<fn() -> T>,
}

impl<T> PPtr<T> {
    /// The pointer to nothing: offset 0, where a segment keeps its header and never a value.
    pub const NULL: Self = Self::from_offset(0);

    /// The pointer to nothing.
    ///
    /// ```
    /// assert!(vista::PPtr::<u64>::null().is_null());
    /// ```
    pub const fn null() -> Self {
        Self::NULL
    }

    /// A pointer to whatever lies at `offset` bytes from the segment's beginning.
    ///
    /// ```
    /// # let segment = vista::SegmentOptions::new().size(1 << 20).anonymous::<u64>()?;
    /// let root = vista::PPtr::<u64>::from_offset(segment.root_ptr().offset());
    /// assert_eq!(*segment.get(root)?, 0);
    /// assert!(segment.get(vista::PPtr::<u64>::from_offset(8)).is_err()); // No user data is there.
    /// # Ok::<_, vista::Error>(())
    /// ```
    pub const fn from_offset(offset: u64) -> Self {
        Self { offset, target: PhantomData }
    }

    /// The distance from the segment's beginning, in bytes; 0 for null.
    ///
    /// ```
    /// assert_eq!(vista::PPtr::<u64>::from_offset(0x2000).offset(), 0x2000);
    /// ```
    pub const fn offset(self) -> u64 {
        self.offset
    }

    /// Whether it points to nothing.
    ///
    /// ```
    /// use vista::PPtr;
    ///
    /// assert!(PPtr::<u64>::NULL.is_null() && !PPtr::<u64>::from_offset(0x2000).is_null());
    /// ```
    pub const fn is_null(self) -> bool {
        self.offset == 0
    }

    /// The same place, seen as a `U`.
    ///
    /// Safe because any bytes are a value of any persistent type; the check of bounds and alignment is made
    /// for `U` when the pointer is followed.
    ///
    /// ```
    /// use vista::PPtr;
    ///
    /// let any = PPtr::<u8>::from_offset(0x2000);
    /// assert_eq!(any.cast::<[u64; 2]>().at(1), Some(PPtr::from_offset(0x2008)));
    /// ```
    pub const fn cast<U>(self) -> PPtr<U> {
        PPtr::from_offset(self.offset)
    }

    /// The pointer to a field, `field_offset` bytes further on; `witness` fixes its type. Null stays null.
    ///
    /// Call it through [`field!`](crate::field), which finds both arguments.
    #[doc(hidden)]
    #[inline]
    pub const fn project<F>(self, field_offset: usize, witness: fn(&T) -> &F) -> PPtr<F> {
        let _ = witness;
        self.forward(field_offset as u64)
    }

    /// The pointer `distance_bytes` further on. Null stays null, and one that would leave the address space
    /// stops at its end, where nothing can be.
    #[inline]
    const fn forward<U>(self, distance_bytes: u64) -> PPtr<U> {
        if self.is_null() {
            PPtr::NULL
        } else {
            PPtr::from_offset(self.offset.saturating_add(distance_bytes))
        }
    }
}

impl<T, const N: usize> PPtr<[T; N]> {
    /// The pointer to element `index`, or `None` if the array has no such element. Null stays null.
    ///
    /// ```
    /// use vista::PPtr;
    ///
    /// let array = PPtr::<[u32; 3]>::from_offset(0x2000);
    /// assert_eq!(array.at(2), Some(PPtr::<u32>::from_offset(0x2008)));
    /// assert_eq!(array.at(3), None);
    /// ```
    #[inline]
    pub const fn at(self, index: usize) -> Option<PPtr<T>> {
        // The product is less than the size of an array that exists as a type, and so cannot overflow.
        if index < N { Some(self.forward((index * size_of::<T>()) as u64)) } else { None }
    }

    /// All elements; none if the pointer is null.
    ///
    /// ```
    /// # let segment = vista::SegmentOptions::new().size(1 << 20).anonymous::<[u32; 3]>()?;
    /// let all = segment.root_ptr().as_slice();
    /// assert_eq!(segment.slice(all)?, [0, 0, 0]);
    /// # Ok::<_, vista::Error>(())
    /// ```
    #[inline]
    pub const fn as_slice(self) -> PSlice<T> {
        if self.is_null() { PSlice::empty() } else { PSlice::from_raw_parts(self.offset, N as u64) }
    }
}

/// A run of `T`s in the same segment: where the first lies, and how many they are.
///
/// What [`PPtr`] promises holds here too. An element is found by [`at`](PSlice::at), and checked when that
/// pointer is followed.
///
/// ```
/// use vista::{PPtr, PSlice};
///
/// let balances = PSlice::<i64>::from_raw_parts(0x2000, 3);
/// assert_eq!((balances.len(), balances.as_ptr()), (3, PPtr::from_offset(0x2000)));
/// ```
#[repr(C)]
pub struct PSlice<T> {
    offset: u64,
    len: u64,
    target: PhantomData<fn() -> T>,
}

impl<T> PSlice<T> {
    /// More elements than this would not fit into 64 bits of offset: a greater length was damaged.
    const MAX_LEN: u64 = if size_of::<T>() == 0 { u64::MAX } else { u64::MAX / size_of::<T>() as u64 };

    /// A slice of no elements.
    ///
    /// ```
    /// # let segment = vista::SegmentOptions::new().size(1 << 20).anonymous::<u64>()?;
    /// let none = vista::PSlice::<u64>::empty();
    /// assert!(none.is_empty() && segment.slice(none)?.is_empty());
    /// # Ok::<_, vista::Error>(())
    /// ```
    pub const fn empty() -> Self {
        Self::from_raw_parts(0, 0)
    }

    /// The slice of `len` elements of which the first lies at `offset` bytes from the segment's beginning.
    ///
    /// Example: see [`PSlice`].
    pub const fn from_raw_parts(offset: u64, len: u64) -> Self {
        Self { offset, len, target: PhantomData }
    }

    /// The distance of the first element from the segment's beginning, in bytes.
    ///
    /// ```
    /// assert_eq!(vista::PSlice::<i64>::from_raw_parts(0x2000, 3).offset(), 0x2000);
    /// ```
    pub const fn offset(self) -> u64 {
        self.offset
    }

    /// The pointer to the first element; null, usually, if there is none.
    ///
    /// ```
    /// use vista::{PPtr, PSlice};
    ///
    /// assert_eq!(PSlice::<i64>::from_raw_parts(0x2000, 3).as_ptr(), PPtr::from_offset(0x2000));
    /// ```
    pub const fn as_ptr(self) -> PPtr<T> {
        PPtr::from_offset(self.offset)
    }

    /// The number of elements. A damaged length that no address space could hold reads as the greatest one
    /// that it could.
    ///
    /// ```
    /// # let mut segment = vista::SegmentOptions::new().size(1 << 20).anonymous::<u64>()?;
    /// let numbers = segment.transaction(|tx| tx.alloc_slice(&[1_u64, 2, 3]))?;
    /// assert_eq!(numbers.len(), 3);
    /// # Ok::<_, vista::Error>(())
    /// ```
    #[inline]
    pub const fn len(self) -> usize {
        let len = if self.len < Self::MAX_LEN { self.len } else { Self::MAX_LEN };
        if len < usize::MAX as u64 { len as usize } else { usize::MAX }
    }

    /// Whether there are no elements.
    ///
    /// ```
    /// use vista::PSlice;
    ///
    /// assert!(PSlice::<i64>::empty().is_empty() && !PSlice::<i64>::from_raw_parts(0x2000, 3).is_empty());
    /// ```
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The pointer to element `index`, or `None` if there is no such element.
    ///
    /// ```
    /// use vista::{PPtr, PSlice};
    ///
    /// let balances = PSlice::<i64>::from_raw_parts(0x2000, 3);
    /// assert_eq!(balances.at(2), Some(PPtr::from_offset(0x2010)));
    /// assert_eq!(balances.at(3), None);
    /// ```
    #[inline]
    pub const fn at(self, index: usize) -> Option<PPtr<T>> {
        if index < self.len() { Some(PPtr::from_offset(self.offset_at(index))) } else { None }
    }

    /// The elements of `range`, or `None` if there are not all of them.
    ///
    /// ```
    /// use vista::PSlice;
    ///
    /// let balances = PSlice::<i64>::from_raw_parts(0x2000, 3);
    /// assert_eq!(balances.slice(1..), Some(PSlice::from_raw_parts(0x2008, 2)));
    /// assert_eq!(balances.slice(2..4), None);
    /// ```
    pub fn slice(self, range: impl RangeBounds<usize>) -> Option<PSlice<T>> {
        let start = match range.start_bound() {
            Bound::Included(&start) => start,
            Bound::Excluded(&before) => before.checked_add(1)?,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&last) => last.checked_add(1)?,
            Bound::Excluded(&end) => end,
            Bound::Unbounded => self.len(),
        };
        let sound = start <= end && end <= self.len();
        sound.then(|| Self::from_raw_parts(self.offset_at(start), (end - start) as u64))
    }

    /// The pointers to all elements, in order.
    ///
    /// ```
    /// use vista::PSlice;
    ///
    /// let offsets: Vec<u64> = PSlice::<u32>::from_raw_parts(0x2000, 3).iter().map(|ptr| ptr.offset()).collect();
    /// assert_eq!(offsets, [0x2000, 0x2004, 0x2008]);
    /// ```
    pub fn iter(self) -> impl DoubleEndedIterator<Item = PPtr<T>> + ExactSizeIterator + FusedIterator {
        (0..self.len()).map(move |index| PPtr::from_offset(self.offset_at(index)))
    }

    /// The offset of element `index`, which is at most the length: so the product cannot overflow. The sum
    /// can, if the offset was damaged, and then stops at the end, where nothing can be.
    #[inline]
    const fn offset_at(self, index: usize) -> u64 {
        self.offset.saturating_add(index as u64 * size_of::<T>() as u64)
    }
}

/// The pointer to a field of what `pointer` points to: `field!(pointer, Type, field.path)`.
///
/// The type of the result is the field's; the path is checked by the compiler. Null stays null.
///
/// ```
/// use vista::{PPtr, Persistent, field};
///
/// #[derive(Clone, Copy, Persistent)]
/// #[repr(C)]
/// struct Account {
///     id: u64,
///     balance: i64,
/// }
///
/// let account = PPtr::<Account>::from_offset(0x2000);
/// let balance: PPtr<i64> = field!(account, Account, balance);
/// assert_eq!(balance.offset(), 0x2008);
/// ```
#[macro_export]
macro_rules! field {
    ($pointer:expr, $type:ty, $($path:tt)+) => {
        $crate::PPtr::<$type>::project(
            $pointer,
            ::core::mem::offset_of!($type, $($path)+),
            |value: &$type| &value.$($path)+,
        )
    };
}

#[allow(unsafe_code, reason = "`Zeroable` has no other form")]
// SAFETY: zero is a `u64`, and `PhantomData` has no bytes.
unsafe impl<T> Zeroable for PPtr<T> {}

#[allow(unsafe_code, reason = "`Pod` has no other form")]
// SAFETY: (1) any bytes are a `u64`, and `PhantomData` has no bytes. (2) `repr(transparent)`, so there is no
// padding. (3) It is `Copy` and `'static`, and has no interior mutability. (4) It holds an offset and not an
// address, so it carries no provenance.
unsafe impl<T: 'static> Pod for PPtr<T> {}

#[allow(unsafe_code, reason = "`Zeroable` has no other form")]
// SAFETY: zeroes are two `u64`, and `PhantomData` has no bytes.
unsafe impl<T> Zeroable for PSlice<T> {}

#[allow(unsafe_code, reason = "`Pod` has no other form")]
// SAFETY: (1) any bytes are two `u64`, and `PhantomData` has no bytes. (2) `repr(C)` with two fields of the
// same alignment, so there is no padding; asserted below. (3) It is `Copy` and `'static`, and has no interior
// mutability. (4) It holds an offset and not an address, so it carries no provenance.
unsafe impl<T: 'static> Pod for PSlice<T> {}

const _: () = assert!(size_of::<PPtr<u8>>() == 8 && size_of::<PSlice<u8>>() == 16);

impl<T: Persistent> Persistent for PPtr<T> {
    fn describe(describer: &mut Describer) -> String {
        ["PPtr<", &T::describe(describer), ">"].concat()
    }

    /// A pointer owns nothing, but an audit has to know that there is one.
    const OWNS: bool = true;

    fn audit(&self, _: &impl Reader, audit: &mut Audit, _: Depth) {
        if !self.is_null() {
            audit.has_raw_pointers();
        }
    }
}

impl<T: Persistent> Persistent for PSlice<T> {
    fn describe(describer: &mut Describer) -> String {
        ["PSlice<", &T::describe(describer), ">"].concat()
    }

    /// A pointer owns nothing, but an audit has to know that there is one.
    const OWNS: bool = true;

    fn audit(&self, _: &impl Reader, audit: &mut Audit, _: Depth) {
        if !self.is_empty() {
            audit.has_raw_pointers();
        }
    }
}

// By hand, because derived they would ask the same of `T`, of which there is no value here.

impl<T> Clone for PPtr<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for PPtr<T> {}

impl<T> Default for PPtr<T> {
    fn default() -> Self {
        Self::NULL
    }
}

impl<T> PartialEq for PPtr<T> {
    fn eq(&self, other: &Self) -> bool {
        self.offset == other.offset
    }
}

impl<T> Eq for PPtr<T> {}

impl<T> PartialOrd for PPtr<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for PPtr<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.offset.cmp(&other.offset)
    }
}

impl<T> Hash for PPtr<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.offset.hash(state);
    }
}

impl<T> fmt::Debug for PPtr<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = ShortName(type_name::<T>());
        if self.is_null() {
            write!(f, "PPtr<{target}>(null)")
        } else {
            write!(f, "PPtr<{target}>({:#x})", self.offset)
        }
    }
}

impl<T> Clone for PSlice<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for PSlice<T> {}

impl<T> Default for PSlice<T> {
    fn default() -> Self {
        Self::empty()
    }
}

impl<T> PartialEq for PSlice<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.offset, self.len) == (other.offset, other.len)
    }
}

impl<T> Eq for PSlice<T> {}

impl<T> PartialOrd for PSlice<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for PSlice<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.offset, self.len).cmp(&(other.offset, other.len))
    }
}

impl<T> Hash for PSlice<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.offset, self.len).hash(state);
    }
}

impl<T> fmt::Debug for PSlice<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PSlice<{}>({:#x}; {})", ShortName(type_name::<T>()), self.offset, self.len)
    }
}

/// A type's name without the modules it lies in: `bank::Account` is shown as `Account`.
struct ShortName(&'static str);

impl fmt::Display for ShortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        for piece in self.0.split_inclusive(|c| !is_path(c)) {
            f.write_str(piece.rsplit("::").next().unwrap_or(piece))?;
        }
        Ok(())
    }
}
