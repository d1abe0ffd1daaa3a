//! What a value owns: the memory of collections in it, and of those in their elements.
//!
//! Two walks know it: [`Persistent::release`] frees all of it, [`Persistent::audit`] looks at all of it and reports what
//! is not sound. Both follow what the file holds, which may be damaged; a [`Depth`] ends a walk that would not end.

use std::collections::HashMap;

use rio::Medium;

use crate::check::{Block, Violation};
use crate::error::Result;
use crate::heap::block_len;
use crate::{Error, Persistent, Reader, Segment};

/// How deep values may own each other for [`release`](Persistent::release) and [`audit`](Persistent::audit) to follow.
pub const MAX_DEPTH: u32 = 64;

/// How deep a walk has come.
///
/// Example: see [`deeper`](Depth::deeper).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth(u32);

impl Depth {
    /// One level deeper.
    ///
    /// ```
    /// use vista::{Depth, SegmentOptions};
    ///
    /// let segment = SegmentOptions::new().size(1 << 20).anonymous::<u64>()?;
    /// let mut depth = Depth::default();
    /// for _ in 0..vista::MAX_DEPTH {
    ///     depth = depth.deeper(&segment)?;
    /// }
    /// assert!(depth.deeper(&segment).is_err());
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::TooDeep`] beyond [`MAX_DEPTH`] levels.
    pub fn deeper(self, on: &impl Reader) -> Result<Depth> {
        if self.0 == MAX_DEPTH {
            return Err(Error::TooDeep { segment: on.segment_name(), limit: MAX_DEPTH });
        }
        Ok(Depth(self.0 + 1))
    }
}

/// What a walk over the content of a segment has found; see [`Segment::check_content`].
///
/// A type that implements [`Persistent`] by hand can have rules of its own:
///
/// ```
/// use vista::{Audit, Depth, Describer, Fields, Persistent, Reader, SegmentOptions};
///
/// #[derive(Clone, Copy)]
/// #[repr(transparent)]
/// struct Even(u64);
/// # // SAFETY: a transparent `u64`.
/// # unsafe impl bytemuck::Zeroable for Even {}
/// # // SAFETY: as above.
/// # unsafe impl bytemuck::Pod for Even {}
///
/// impl Persistent for Even {
///     fn describe(describer: &mut Describer) -> String {
///         describer.structure::<Self>("Even", |fields: &mut Fields<'_>| fields.field::<u64>("0", 0))
///     }
///
///     fn audit(&self, _: &impl Reader, audit: &mut Audit, _: Depth) {
///         if self.0 % 2 != 0 {
///             audit.broken("EVEN", 0, format!("{} is odd", self.0));
///         }
///     }
/// }
///
/// let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<Even>()?;
/// segment.transaction(|tx| tx.write(tx.root_ptr(), Even(7)))?;
/// assert_eq!(segment.check_content()?[0].to_string(), "EVEN: at offset 0: 7 is odd");
/// # Ok::<_, vista::Error>(())
/// ```
#[derive(Debug)]
pub struct Audit {
    /// What is not sound.
    violations: Vec<Violation>,
    /// The allocated blocks by offset, and whether an owner was found.
    blocks: HashMap<u64, (u64, bool)>,
    has_raw_pointers: bool,
}

impl Audit {
    /// An audit of a segment with these blocks, of which the root's has its owner.
    pub(crate) fn new(blocks: &[Block], root: u64) -> Self {
        let blocks = blocks.iter().map(|&Block { offset, len }| (offset, (len, offset == root))).collect();
        Audit { violations: Vec::new(), blocks, has_raw_pointers: false }
    }

    /// What was found: what is not sound, the blocks that have no owner, by offset, and whether there are raw pointers.
    pub(crate) fn end(self) -> (Vec<Violation>, Vec<Block>, bool) {
        let unowned = self.blocks.into_iter().filter(|(_, (_, is_owned))| !is_owned);
        let mut unowned: Vec<_> = unowned.map(|(offset, (len, _))| Block { offset, len }).collect();
        unowned.sort();
        (self.violations, unowned, self.has_raw_pointers)
    }

    /// Notes that a block of `len` bytes, aligned to `align`, belongs to the value that is looked at. False, and a
    /// violation, if it is no allocated block of that size or belongs to another value too: then do not look inside.
    ///
    /// A pointer that owns what it leads to:
    ///
    /// ```
    /// use vista::{Audit, Depth, Describer, PPtr, Persistent, Reader, SegmentOptions};
    ///
    /// #[derive(Clone, Copy)]
    /// #[repr(transparent)]
    /// struct Owner(PPtr<u64>);
    /// # // SAFETY: a transparent `PPtr`.
    /// # unsafe impl bytemuck::Zeroable for Owner {}
    /// # // SAFETY: as above.
    /// # unsafe impl bytemuck::Pod for Owner {}
    ///
    /// impl Persistent for Owner {
    /// #    fn describe(describer: &mut Describer) -> String {
    /// #        describer.structure::<Self>("Owner", |fields| fields.field::<PPtr<u64>>("0", 0))
    /// #    }
    /// #
    ///     // `describe` is left out here.
    ///     fn audit(&self, on: &impl Reader, audit: &mut Audit, depth: Depth) {
    ///         if self.0.is_null() || !audit.owns(self.0.offset(), 8, 8) {
    ///             return;
    ///         }
    ///         match on.get(self.0) {
    ///             Ok(value) => value.audit(on, audit, depth),
    ///             Err(error) => audit.failed(self.0.offset(), &error),
    ///         }
    ///     }
    /// }
    ///
    /// let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<Owner>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let owned = Owner(tx.alloc(7)?);
    ///     tx.write(tx.root_ptr(), owned)
    /// })?;
    /// assert_eq!(segment.check_content()?, []);
    /// segment.transaction(|tx| tx.write(tx.root_ptr(), Owner(PPtr::NULL)))?;
    /// assert_eq!(segment.check_content()?[0].invariant, "INV-C2"); // Nothing owns the block any more.
    /// # Ok::<_, vista::Error>(())
    /// ```
    pub fn owns(&mut self, offset: u64, len: u64, align: u64) -> bool {
        let wanted = block_len(len, align);
        let found = match self.blocks.get_mut(&offset) {
            None => format!("an owned block of {len} bytes is not allocated"),
            Some((allocated, _)) if *allocated != wanted => {
                format!(
                    "an owned block of {len} bytes lies in one of {allocated}, where one of {wanted} belongs"
                )
            }
            Some((_, true)) => "a block with two owners".to_owned(),
            Some((_, is_owned)) => {
                *is_owned = true;
                return true;
            }
        };
        self.broken("INV-C1", offset, found);
        false
    }

    /// Reports a broken invariant, by its number in docs/INVARIANTS.md.
    ///
    /// Example: see [`Audit`].
    pub fn broken(&mut self, invariant: &'static str, offset: u64, found: impl Into<String>) {
        self.violations.push(Violation { invariant, offset, found: found.into() });
    }

    /// Reports an error that reading met.
    ///
    /// Example: see [`owns`](Audit::owns).
    pub fn failed(&mut self, offset: u64, error: &Error) {
        self.broken("INV-C3", offset, error.to_string());
    }

    /// Notes that there are pointers of which nobody knows whether they own something: blocks without an owner are no
    /// violation then.
    ///
    /// A [`PPtr`](crate::PPtr) that is not null calls it of itself:
    ///
    /// ```
    /// use vista::{PPtr, SegmentOptions};
    ///
    /// let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PPtr<u64>>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let (number, _lost) = (tx.alloc(7_u64)?, tx.alloc(8_u64)?); // To the second one nothing refers.
    ///     tx.write(tx.root_ptr(), number)
    /// })?;
    /// assert_eq!(segment.check_content()?, []);
    /// # Ok::<_, vista::Error>(())
    /// ```
    pub fn has_raw_pointers(&mut self) {
        self.has_raw_pointers = true;
    }
}

impl<R: Persistent, M: Medium> Segment<R, M> {
    /// Every broken invariant: of the heap, as [`check`](Segment::check), and of every collection that the root owns.
    /// Empty for a sound segment. Changes nothing. Reads everything, so that the time grows with the data.
    ///
    /// A block that nothing owns is a violation too (a leak), unless there are [`PPtr`](crate::PPtr)s or
    /// [`PSlice`](crate::PSlice)s in the content: what they point to is known to the program alone.
    ///
    /// ```
    /// use vista::{PVec, SegmentOptions};
    ///
    /// let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u64>>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     *tx.root_mut()? = PVec::from_slice(tx, &[1, 2, 3])?;
    ///     Ok(())
    /// })?;
    /// assert_eq!(segment.check_content()?, []);
    ///
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     *tx.root_mut()? = PVec::null(); // Its memory is lost: `release` would have freed it.
    ///     Ok(())
    /// })?;
    /// assert_eq!(segment.check_content()?[0].invariant, "INV-C2");
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Poisoned`] after a rollback that failed.
    pub fn check_content(&self) -> Result<Vec<Violation>> {
        let mut violations = self.check()?;
        let mut audit = Audit::new(&self.blocks()?, self.root_ptr().offset());
        self.root()?.audit(self, &mut audit, Depth::default());
        let (broken, unowned, has_raw_pointers) = audit.end();
        violations.extend(broken);
        if !has_raw_pointers && violations.is_empty() {
            violations.extend(unowned.iter().map(|block| Violation {
                invariant: "INV-C2",
                offset: block.offset,
                found: format!("a block of {} bytes that nothing owns", block.len),
            }));
        }
        Ok(violations)
    }
}
