//! Shared access to what a transaction works on, safe even if that transaction was forgotten.
//!
//! A `Transaction` that went through `mem::forget` never ended, yet its borrow has. Whoever comes next, also
//! with a shared reference, rolls it back first. Start at [`Settled::read`].

#![allow(unsafe_code)] // The first reader after a forgotten transaction changes what it has only `&` to.

use std::cell::{RefCell, UnsafeCell};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use rio::Medium;

use crate::batch::Batch;
use crate::core::Core;
use crate::error::Result;

/// A core, and whether a transaction on it has not ended.
pub(crate) struct Settled<M> {
    inner: UnsafeCell<Inner<M>>,
    is_open: AtomicBool,
    settling: Mutex<()>,
}

/// What a transaction has to itself.
pub(crate) struct Inner<M> {
    pub(crate) core: Core<M>,
    /// A reader inside a transaction may have to make stores that wait; outside of one nobody touches it.
    pub(crate) batch: RefCell<Batch>,
}

// SAFETY: (1) `Core` is plain data over a medium that is `Sync`. (2) Through `&self` the batch is reached only in
// `settle`. (3) `settle` changes both under its mutex and while `is_open`; no reference from `read` is alive then,
// since `read` returns none before `is_open` is false, and only a borrow of `&mut self` makes it true again.
unsafe impl<M: Medium> Sync for Settled<M> {}

impl<M: Medium> Settled<M> {
    pub(crate) fn new(core: Core<M>) -> Self {
        let batch = RefCell::new(Batch::new(core.log.is_ordered));
        let inner = UnsafeCell::new(Inner { core, batch });
        Settled { inner, is_open: AtomicBool::new(false), settling: Mutex::new(()) }
    }

    /// The core, without a transaction in flight.
    #[inline(always)]
    pub(crate) fn read(&self) -> Result<&Core<M>> {
        if self.is_open.load(Ordering::Acquire) {
            self.settle()?;
        }
        // SAFETY: nobody changes it: see `Sync` above.
        Ok(unsafe { &(*self.inner.get()).core })
    }

    /// The core for its only user, with the flag that is to be cleared when the transaction ends.
    #[inline(always)]
    pub(crate) fn begin(&mut self) -> Result<(&mut Inner<M>, &mut bool)> {
        if *self.is_open.get_mut() {
            self.settle()?;
        }
        Ok((self.inner.get_mut(), self.is_open.get_mut()))
    }

    pub(crate) fn into_core(self) -> Core<M> {
        self.inner.into_inner().core
    }

    /// Rolls a forgotten transaction back.
    #[cold]
    fn settle(&self) -> Result<()> {
        let _alone = self.settling.lock().unwrap_or_else(|poison| poison.into_inner());
        if !self.is_open.load(Ordering::Acquire) {
            return Ok(());
        }
        // SAFETY: the mutex is held and `is_open` was true under it: see `Sync` above.
        let Inner { core, batch } = unsafe { &mut *self.inner.get() };
        core.refuse_poisoned()?;
        core.abort(batch.get_mut())?;
        self.is_open.store(false, Ordering::Release);
        Ok(())
    }
}
