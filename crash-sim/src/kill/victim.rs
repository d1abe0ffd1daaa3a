//! A region whose process dies at a counted call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rio::{Medium, Region};

/// Counts what is announced, and ends the process by SIGKILL when it comes to a number.
#[derive(Debug)]
pub(crate) struct Clockwork {
    calls: AtomicU64,
    /// The number; 0 for never.
    last: AtomicU64,
    /// How long each call lingers, in nanoseconds.
    linger: AtomicU64,
}

impl Clockwork {
    pub(super) fn new(linger: Duration) -> Arc<Self> {
        let linger = AtomicU64::new(linger.as_nanos() as u64);
        Arc::new(Clockwork { calls: AtomicU64::new(0), last: AtomicU64::new(0), linger })
    }

    /// Counts from 1 again, up to `last` if that is not 0.
    pub(super) fn wind(&self, last: u64) {
        self.calls.store(0, Ordering::Relaxed);
        self.last.store(last, Ordering::Relaxed);
    }

    /// How many calls there were since then.
    pub(super) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    fn tick(&self) {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        if call == self.last.load(Ordering::Relaxed) {
            die();
        }
        let linger = self.linger.load(Ordering::Relaxed);
        if linger > 0 {
            let start = Instant::now();
            while start.elapsed() < Duration::from_nanos(linger) {
                std::hint::spin_loop();
            }
        }
    }
}

/// Ends this process by SIGKILL, now.
pub(super) fn die() -> ! {
    let _ = kill(Pid::this(), Signal::SIGKILL);
    // The signal is delivered before the call returns; if it was refused, ending in another way is noticed.
    std::process::abort()
}

/// A region whose process may be killed at a counted call.
pub(crate) struct Victim {
    region: Region,
    clockwork: Arc<Clockwork>,
}

impl Victim {
    pub(super) fn new(region: Region, clockwork: Arc<Clockwork>) -> Self {
        Victim { region, clockwork }
    }

    pub(crate) fn region(&self) -> &Region {
        &self.region
    }

    pub(crate) fn flush(&self, offset: u64, len: u64) {
        self.count();
        self.region.flush(offset, len);
    }

    pub(crate) fn fence(&self) {
        self.count();
        self.region.fence();
    }

    pub(crate) fn grow(&mut self, len: u64) -> Result<(), rio::Error> {
        self.count();
        Medium::grow(&mut self.region, len)
    }

    pub(crate) fn guard(&mut self, offset: u64, len: u64) -> Result<(), rio::Error> {
        Medium::guard(&mut self.region, offset, len)
    }

    /// Is told of a store just made, or of a flush, a fence or a growth that is about to happen.
    pub(crate) fn count(&self) {
        self.clockwork.tick();
    }

    pub(crate) fn close(self) -> Result<(), rio::Error> {
        self.region.close()
    }
}
