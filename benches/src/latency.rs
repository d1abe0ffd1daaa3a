//! Latency: how long a commit takes at worst, not in the middle.
//!
//! Each transaction is timed alone by the processor's time-stamp counter, calibrated against the system's clock. Reading it twice
//! takes time of its own, which is part of every value and stands beside them. Start at [`measure`].

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

/// Times a transaction for each of these inputs.
///
/// # Panics
/// If there are no inputs.
pub fn measure(runner: &mut dyn Runner, inputs: Range<usize>) -> Latency {
    assert!(!inputs.is_empty(), "there is something to be timed");
    let clock = Clock::new();
    let mut time = |inputs: Range<usize>| {
        let started = clock.raw();
        runner.run(inputs);
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

/// Three digits of each value are kept.
fn histogram(nanos: impl Iterator<Item = u64>) -> Histogram<u64> {
    let mut histogram = Histogram::new(3).expect("three digits are allowed");
    nanos.for_each(|nanos| histogram.record(nanos).expect("a histogram that grows takes any value"));
    histogram
}
