//! The names of the recorder where there is none.

use std::convert::Infallible;

use super::{MachineError, Protection, TraceOptions};
use crate::trace::{Event, Site, Trace};

/// Memory that is traced: none on this system.
#[derive(Debug)]
pub struct Arena(Infallible);

impl Arena {
    /// # Errors
    /// Always [`MachineError::Unsupported`].
    pub fn new(_capacity: u64) -> Result<Arena, MachineError> {
        Err(MachineError::Unsupported)
    }

    /// # Errors
    /// Always [`MachineError::Unsupported`].
    ///
    /// # Safety
    /// None is needed here; where there is a recorder it is.
    #[allow(unsafe_code)] // The signature is that of the real one.
    pub unsafe fn over(_address: *mut u8, _len: u64) -> Result<Arena, MachineError> {
        Err(MachineError::Unsupported)
    }

    /// Start of the view.
    pub fn view(&self) -> *mut u8 {
        match self.0 {}
    }

    /// Start of the alias.
    pub fn alias(&self) -> *mut u8 {
        match self.0 {}
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        match self.0 {}
    }

    /// Whether there is no byte at all.
    pub fn is_empty(&self) -> bool {
        match self.0 {}
    }

    /// The protection of the view.
    pub fn protection(&self) -> Protection {
        match self.0 {}
    }

    /// Sets the protection of the view.
    ///
    /// # Errors
    /// None: there is no arena.
    pub fn protect(&self, _protection: Protection) -> Result<(), MachineError> {
        match self.0 {}
    }

    /// Stores by other threads.
    pub fn foreign_stores(&self) -> u64 {
        match self.0 {}
    }

    /// Records what `f` does.
    ///
    /// # Errors
    /// None: there is no arena.
    pub fn trace<T>(
        &self,
        _options: &TraceOptions<'_>,
        _trace: &mut Trace,
        _f: impl FnOnce() -> T,
    ) -> Result<T, MachineError> {
        match self.0 {}
    }
}

/// Appends an event to the trace that is on in this thread; there is none.
pub fn mark(_event: Event) -> bool {
    false
}

/// Where an instruction stands in the executable's file; there is no such instruction.
pub fn in_file(_site: Site) -> Option<u64> {
    None
}

/// The reverse of [`in_file`].
pub fn in_memory(_address: u64) -> Option<Site> {
    None
}
