//! Persistence domains: where a store has to arrive to survive, and which failures it then survives.

use std::fmt;

/// The persistence domain of a mapping, named after what keeps the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Domain {
    /// The kernel's page cache (and tmpfs): a store survives the process as soon as it is made. It does not
    /// survive the kernel or a power cut unless synced, and the kernel writes pages back in no order.
    PageCache,
    /// The processor's caches are inside the power-fail domain (eADR, CXL GPF): a store survives in store order.
    Eadr,
    /// Only the memory controller is (ADR): a cache line survives once written back and fenced.
    Adr,
}

impl Domain {
    /// Whether a cache line must be written back before it is durable.
    #[inline]
    pub fn needs_flush(self) -> bool {
        matches!(self, Domain::Adr)
    }

    /// Whether durable order needs a fence of the processor, not only of the compiler.
    #[inline]
    pub fn needs_fence(self) -> bool {
        !matches!(self, Domain::PageCache)
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Domain::PageCache => "page-cache",
            Domain::Eadr => "eADR",
            Domain::Adr => "ADR",
        })
    }
}

/// The failures that a region survives: what its bytes and its order are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Survives {
    /// `kill -9`, a panic, an abort, the OOM killer.
    pub process_crash: bool,
    /// A panic or warm reset of the kernel, memory kept.
    pub kernel_crash: bool,
    /// A power cut.
    pub power_loss: bool,
}
