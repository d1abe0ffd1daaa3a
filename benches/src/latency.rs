//! Latency: how long a commit takes at worst, not in the middle.
//!
//! Each transaction is timed alone, from when nothing before it is left to be done until it is done itself, by the processor's time-stamp counter, calibrated against the system's clock. Reading it twice
//! takes time of its own, which is part of every value and stands beside them. Start at [`measure`].

#![allow(unsafe_code)] // Barriers.

use std::ops::Range;

use hdrhistogram::Histogram;
use quanta::Clock;
use serde::{Deserialize, Serialize};

use crate::engine::Runner;

/// Nanoseconds within which so many of the transactions were done, each with the clock's own time in it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Transactions that were timed.
    pub count: u64,
    /// Half.
    pub p50: u64,
    /// 99 in 100.
    pub p99: u64,
    /// 999 in 1000.
    pub p999: u64,
    /// All.
    pub max: u64,
    /// What the clock shows if nothing lies between its two readings: the median.
    pub overhead: u64,
}

impl Latency {
    /// p50, p99 and p99.9, where at least one transaction took longer.
    pub fn quantiles(&self) -> [Option<u64>; 3] {
        [(self.p50, 2), (self.p99, 100), (self.p999, 1000)]
            .map(|(nanos, one_in)| (self.count >= one_in).then_some(nanos))
    }
}

/// Times a transaction for each of these inputs.
///
/// # Panics
/// If there are no inputs.
pub fn measure(runner: &mut dyn Runner, inputs: Range<usize>) -> Latency {
    assert!(!inputs.is_empty(), "there is something to be timed");
    let clock = Clock::new();
    let mut time = |inputs: Range<usize>| {
        settle();
        let started = clock.raw();
        settle();
        runner.run(inputs);
        settle();
        let ended = clock.raw();
        clock.delta_as_nanos(started, ended)
    };
    // The call with nothing to run belongs to the overhead as the clock does.
    let empty = histogram((0..10_001).map(|_| time(0..0)));
    let count = inputs.len() as u64;
    let values = histogram(inputs.map(|input| time(input..input + 1)));
    Latency {
        count,
        p50: values.value_at_quantile(0.5),
        p99: values.value_at_quantile(0.99),
        p999: values.value_at_quantile(0.999),
        max: values.max(),
        overhead: empty.value_at_quantile(0.5),
    }
}

/// Waits for all instructions before it: the processor else reads its clock while loads are still on their way.
#[inline(always)]
fn settle() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the processor has the instruction, which is older than its 64 bits; it takes and changes nothing.
    unsafe {
        std::arch::x86_64::_mm_lfence();
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the barrier takes and changes nothing.
    unsafe {
        std::arch::asm!("dsb ish", "isb", options(nostack));
    }
}

/// Three digits of each value are kept.
fn histogram(nanos: impl Iterator<Item = u64>) -> Histogram<u64> {
    let mut histogram = Histogram::new(3).expect("three digits are allowed");
    nanos.for_each(|nanos| histogram.record(nanos).expect("a histogram that grows takes any value"));
    histogram
}
