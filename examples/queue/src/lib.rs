//! A durable job queue in one file: a job that was pushed is delivered until somebody has acknowledged it, through any
//! crash of any process that has to do with it.
//!
//! [`Queue`] is the structure; [`work`] runs a command for each job; [`shell`] is the queue by lines of text. Start at
//! [`Queue::push`] and [`Queue::take`].

#![forbid(unsafe_code)]

mod error; // what can go wrong
mod queue; // jobs in a segment
pub mod shell; // the queue by lines of text
pub mod work; // a command for each job

pub use error::{Error, Result};
pub use queue::{DeadJob, Fate, JobInfo, Options, Queue, Receipt, Root, Stats, Taken};

/// Milliseconds since the epoch, by the wall clock: what is kept has to mean the same to the next process, and no
/// monotonic clock does. Every method takes the time as an argument, so that tests need not wait.
pub type Millis = u64;

/// What the wall clock shows. A clock before the epoch counts as standing at it.
pub fn now() -> Millis {
    millis(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default())
}

/// A duration in milliseconds.
pub fn millis(duration: std::time::Duration) -> Millis {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
