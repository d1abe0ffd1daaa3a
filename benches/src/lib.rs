//! What a transaction costs: the same workloads for all engines, plain memory among them as the bound.
//!
//! `cargo run --release -p benches -- compare` races the engines side by side; `cargo bench -p benches` asks the same
//! questions one at a time. Results are recorded in `docs/RESULTS.md`.

#![deny(unsafe_code)]

pub mod engine; // one trait for all engines, and the loop that they run in
pub mod bare; // unsafe: the bounds
pub mod debit_credit; // four ranges per transaction
pub mod one_range; // one range, short or long
pub mod heap; // blocks that come and go
pub mod opening; // segments of all lengths, with and without a log in flight
pub mod fragmentation; // what a heap's history leaves behind
pub mod race; // contenders side by side
pub mod counting; // unsafe: a medium that counts
pub mod allocations; // unsafe: an allocator that counts
pub mod silence; // unsafe: the proof that no system call is made
pub mod files; // where the regions live
pub mod machine; // what a number was measured on
pub mod report; // tables
