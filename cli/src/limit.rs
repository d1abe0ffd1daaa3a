//! A limit on the length of files (`ulimit -f`): a write beyond it is an error like that of a full disk, with a line that
//! says so and what was begun removed, and does not kill the process.

use nix::sys::signal::{SigSet, Signal};

/// Blocks the signal that the kernel sends beside the error. Threads and children that come later have it blocked too.
pub(crate) fn let_writes_fail() {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGXFSZ);
    // If that fails, the signal does what it would have done.
    let _ = signals.thread_block();
}
