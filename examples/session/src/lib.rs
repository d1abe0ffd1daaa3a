//! A web session cache and rate limiter that is still warm after a crash.
//!
//! [`Store`] is the persistent structure: sessions by token, and a token bucket for each client. [`server`] puts it behind
//! HTTP, [`client`] talks to that, and [`load`] measures the two together. Start at [`Store`].

#![forbid(unsafe_code)]

mod token; // what a client shows to be known again
mod bucket; // how often a client may ask
mod store; // sessions and buckets in a segment
pub mod server; // HTTP in front of the store
pub mod client; // one connection to it
pub mod load; // many of them, measured

pub use bucket::{Admission, Client, Rate};
pub use store::{Root, Session, Stats, Store};
pub use token::Token;

/// Microseconds since the epoch, by the wall clock: what is kept has to mean the same to the next process, and no
/// monotonic clock does.
pub type Micros = u64;

/// What the wall clock shows. A clock before the epoch counts as standing at it.
pub fn now() -> Micros {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}
