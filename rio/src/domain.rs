//! Persistence domains: where a store has to arrive to survive, and which failures it then survives.

use std::fmt;

use crate::Backing;
use crate::device::PowerDomain;

/// The persistence domain of a mapping, named after what keeps the bytes.
///
/// ```
/// use rio::Domain;
///
/// assert!(Domain::Adr.needs_flush() && Domain::Adr.needs_fence());
/// assert!(!Domain::Eadr.needs_flush() && Domain::Eadr.needs_fence());
/// assert!(!Domain::PageCache.needs_flush() && !Domain::PageCache.needs_fence());
/// ```
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
    ///
    /// Example: see [`Domain`].
    #[inline]
    pub fn needs_flush(self) -> bool {
        matches!(self, Domain::Adr)
    }

    /// Whether durable order needs a fence of the processor, not only of the compiler.
    ///
    /// Example: see [`Domain`].
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

/// Which domain a region is opened for.
///
/// ```
/// use rio::{Domain, DomainChoice, Region};
///
/// // What does ADR's flushing cost here, on memory that does not need it?
/// let region = Region::options().size(1 << 20).domain(DomainChoice::Forced(Domain::Adr)).anonymous()?;
/// assert_eq!(region.survives().to_string(), "nothing", "a choice adds nothing");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DomainChoice {
    /// The one that the file lies in, as the system tells it.
    #[default]
    Auto,
    /// This one, whatever the file lies in: to measure or test its write-backs and fences on ordinary memory, or
    /// to leave them out on memory that would need them. It changes what the library does and can only lower
    /// what [`Region::survives`](crate::Region::survives) promises.
    Forced(Domain),
}

/// The failures that a region survives: what its bytes and its order are worth.
///
/// ```
/// let region = rio::Region::options().size(1 << 20).anonymous()?;
/// if !region.survives().power_loss {
///     println!("this survives {} and no power cut", region.survives());
/// }
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Survives {
    /// `kill -9`, a panic, an abort, the OOM killer.
    pub process_crash: bool,
    /// A panic or warm reset of the kernel, memory kept.
    pub kernel_crash: bool,
    /// A power cut.
    pub power_loss: bool,
}

impl Survives {
    /// Nothing at all.
    pub(crate) const NOTHING: Survives =
        Survives { process_crash: false, kernel_crash: false, power_loss: false };

    /// What bytes on `backing`, whose power-fail domain the system calls `power`, survive when the library
    /// flushes and fences as for `domain`: the weaker of both.
    pub(crate) fn on(backing: Backing, power: PowerDomain, domain: Domain, can_write_back: bool) -> Survives {
        let dax = backing.is_dax();
        let (kernel, power) = match domain {
            Domain::PageCache => (false, false),
            Domain::Eadr => (power == PowerDomain::Caches, power == PowerDomain::Caches),
            Domain::Adr => (can_write_back, can_write_back && power != PowerDomain::Unknown),
        };
        Survives {
            // A memfd lives as long as somebody holds it, and its only holder is the process.
            process_crash: backing != Backing::Anonymous,
            kernel_crash: dax && kernel,
            power_loss: dax && power,
        }
    }
}

impl fmt::Display for Survives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [
            (self.process_crash, "process crash"),
            (self.kernel_crash, "kernel crash"),
            (self.power_loss, "power loss"),
        ];
        let mut separator = "";
        for (_, word) in words.iter().filter(|(survived, _)| *survived) {
            write!(f, "{separator}{word}")?;
            separator = ", ";
        }
        if separator.is_empty() { f.write_str("nothing") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `bits` is process, kernel, power.
    fn check(backing: Backing, power: PowerDomain, domain: Domain, bits: [bool; 3]) {
        let [process_crash, kernel_crash, power_loss] = bits;
        let expected = Survives { process_crash, kernel_crash, power_loss };
        assert_eq!(Survives::on(backing, power, domain, true), expected, "{backing} {power:?} {domain}");
    }

    #[test]
    fn no_domain_makes_ordinary_memory_survive_more_than_the_process() {
        for domain in [Domain::PageCache, Domain::Eadr, Domain::Adr] {
            for power in [PowerDomain::Unknown, PowerDomain::Controller, PowerDomain::Caches] {
                check(Backing::PageCache, power, domain, [true, false, false]);
                check(Backing::Tmpfs, power, domain, [true, false, false]);
                check(Backing::Anonymous, power, domain, [false, false, false]);
            }
        }
    }

    #[test]
    fn dax_survives_what_both_the_device_and_the_flushing_are_good_for() {
        for dax in [Backing::FsDax, Backing::DevDax] {
            check(dax, PowerDomain::Caches, Domain::Eadr, [true, true, true]);
            check(dax, PowerDomain::Caches, Domain::Adr, [true, true, true]);
            check(dax, PowerDomain::Controller, Domain::Adr, [true, true, true]);
            // Forced below what the device needs.
            check(dax, PowerDomain::Controller, Domain::Eadr, [true, false, false]);
            check(dax, PowerDomain::Caches, Domain::PageCache, [true, false, false]);
            // Memory that the kernel was told to keep apart is no more than DRAM to a power cut.
            check(dax, PowerDomain::Unknown, Domain::Adr, [true, true, false]);
        }
        let unable = Survives::on(Backing::DevDax, PowerDomain::Controller, Domain::Adr, false);
        assert_eq!(unable, Survives { process_crash: true, ..Survives::NOTHING });
    }

    #[test]
    fn survival_reads_as_a_list() {
        assert_eq!(Survives::NOTHING.to_string(), "nothing");
        let two = Survives { process_crash: true, kernel_crash: true, power_loss: false };
        assert_eq!(two.to_string(), "process crash, kernel crash");
    }
}
