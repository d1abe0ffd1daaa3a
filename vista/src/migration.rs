//! A root of another type: the way from one version of a program to the next.
//!
//! The root lies in a block like any other, and the page that describes it changes through the same log; so a migration
//! is a transaction. Start at [`Segment::migrate`].

use std::path::Path;

use rio::Medium;

use crate::batch::Batch;
use crate::core::Core;
use crate::error::Result;
use crate::format;
use crate::persistent::align_bytes_of;
use crate::{Error, Persistent, Segment, SegmentOptions, Transaction, layout_of};

impl<Old: Persistent, M: Medium> Segment<Old, M> {
    /// Gives the segment a root of another type, in one transaction: `f` reads the old root, moves or converts what it
    /// refers to, and returns the new one. Both happen or neither, also in a crash: the file then opens as one of the two.
    ///
    /// What the old root owned, and the new one does not take over, `f` frees. The block of the old root is freed.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("names");
    /// use vista::{Error, PVec, PString, Persistent, Segment};
    ///
    /// #[derive(Clone, Copy, Persistent)]
    /// #[repr(C)]
    /// #[persistent(name = "Names")]
    /// struct NamesV1 {
    ///     names: PVec<PString>,
    /// }
    ///
    /// #[derive(Clone, Copy, Persistent)]
    /// #[repr(C)]
    /// struct Names {
    ///     names: PVec<PString>,
    ///     total_len: u64, // New.
    /// }
    /// # Segment::<NamesV1>::create(&path, 1 << 20)?.close()?;
    ///
    /// let names = match Segment::<Names>::open(&path) {
    ///     Err(Error::RootMismatch { .. }) => Segment::<NamesV1>::open(&path)?.migrate(|tx| {
    ///         let names = tx.root().names;
    ///         let mut total_len = 0;
    ///         for name in names.iter(tx)? {
    ///             total_len += name.as_str(tx)?.len() as u64;
    ///         }
    ///         Ok::<_, Error>(Names { names, total_len })
    ///     })?,
    ///     other => other?,
    /// };
    /// assert_eq!(names.root()?.total_len, 0);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// What `f` returns, or an error of the transaction ([`Error::NoSpace`], say). The segment is then closed as it was
    /// before, with the old root.
    pub fn migrate<New: Persistent, E: From<Error>>(
        mut self,
        f: impl FnOnce(&mut Transaction<'_, Old, M>) -> Result<New, E>,
    ) -> Result<Segment<New, M>, E> {
        self.transaction(|tx| {
            let new = f(tx)?;
            let old = tx.root_ptr();
            let (core, batch) = tx.parts();
            core.replace_root(batch, &new)?;
            tx.free(old)?;
            Ok::<_, E>(())
        })?;
        let recovery = *self.recovery();
        Ok(Segment::with_core(self.into_core()?, recovery)?)
    }
}

impl<R: Persistent, M: Medium> Segment<R, M> {
    /// Opens a medium that holds a segment with a root of this type, or [migrates](Segment::migrate) it if the root is an
    /// `Old`.
    ///
    /// ```
    /// use vista::rio::Buffer;
    /// use vista::{Error, Segment, Transaction};
    ///
    /// let old = Segment::<u32, Buffer>::create_on(Buffer::new(1 << 20, 1 << 20), 4096)?;
    /// let widen = |tx: &mut Transaction<'_, u32, Buffer>| Ok::<_, Error>(u64::from(*tx.root()));
    /// let counter: Segment<u64, Buffer> = Segment::open_or_migrate_on(old.into_medium()?, widen)?;
    /// assert_eq!(*counter.root()?, 0);
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`open_on`](Segment::open_on) and [`migrate`](Segment::migrate). [`Error::RootMismatch`] shows the layout that is
    /// there and that of `Old`, if it is neither of the two.
    pub fn open_or_migrate_on<Old: Persistent, E: From<Error>>(
        medium: M,
        f: impl FnOnce(&mut Transaction<'_, Old, M>) -> Result<R, E>,
    ) -> Result<Self, E> {
        let (core, recovery) = format::open(medium)?;
        match format::root_place::<R, M>(&core) {
            Err(Error::RootMismatch { .. }) => Segment::<Old, M>::with_core(core, recovery)?.migrate(f),
            _ => Ok(Self::with_core(core, recovery)?),
        }
    }
}

impl SegmentOptions {
    /// Opens a segment with a root of type `R`, or [migrates](Segment::migrate) it if the root is an `Old`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("counter");
    /// # vista::Segment::<u32>::create(&path, 1 << 20)?.close()?;
    /// use vista::{Error, Segment, SegmentOptions, Transaction};
    ///
    /// let widen = |tx: &mut Transaction<'_, u32>| Ok::<_, Error>(u64::from(*tx.root()));
    /// let counter: Segment<u64> = SegmentOptions::new().open_or_migrate(&path, widen)?;
    /// # assert_eq!(*counter.root()?, 0);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`open`](SegmentOptions::open) and [`migrate`](Segment::migrate). [`Error::RootMismatch`] shows the layout that is
    /// there and that of `Old`, if it is neither of the two.
    pub fn open_or_migrate<Old: Persistent, R: Persistent, E: From<Error>>(
        &self,
        path: impl AsRef<Path>,
        f: impl FnOnce(&mut Transaction<'_, Old>) -> Result<R, E>,
    ) -> Result<Segment<R>, E> {
        Segment::open_or_migrate_on(self.region().open(path).map_err(Error::from)?, f)
    }
}

impl<M: Medium> Core<M> {
    /// Allocates a new root, stores its value, and describes it in the root page; all of it logged.
    fn replace_root<New: Persistent>(&mut self, batch: &mut Batch, new: &New) -> Result<()> {
        let block = self.alloc(batch, size_of::<New>() as u64, align_bytes_of::<New>() as u64)?;
        self.space.store_bytes(block, bytemuck::bytes_of(new));
        let page = format::root_page_of(block, &layout_of::<New>());
        let place = format::root_page_place(self);
        self.write(batch, place, page)
    }
}
