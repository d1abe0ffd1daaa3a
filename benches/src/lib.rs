//! What a transaction costs: the same workloads for all engines, plain memory among them as the bound.
//!
//! `cargo run --release -p benches -- compare` races the engines side by side; `cargo bench -p benches` asks the same
//! questions one at a time. Results are recorded in `docs/RESULTS.md`.

#![deny(unsafe_code)]

pub mod engine; // one trait for all engines, and the loop that they run in
pub mod bare; // unsafe: the bounds in memory
pub mod pwrite; // unsafe: the bound on a disk
pub mod debit_credit; // four ranges per transaction
pub mod one_range; // one range, short or long
pub mod ranges; // one to many ranges
pub mod records; // unsafe: the seam between any workload and any engine
pub mod memory; // unsafe: bare engines and vista behind that seam
pub mod bank; // debit-credit through it
pub mod array; // one range through it
pub mod order_entry; // five kinds of transactions through it
pub mod ycsb; // records that are asked for by key through it
pub mod plain; // std's maps behind that seam
pub mod mapped; // vista's maps behind it
pub mod redo; // lrvm behind that seam
pub mod contest; // who takes part
pub mod survive; // who keeps what it has acknowledged
#[cfg(feature = "peers")]
pub mod keyed; // what engines of keys and values have in common
#[cfg(feature = "peers")]
pub mod redb;
#[cfg(feature = "peers")]
pub mod fjall;
#[cfg(feature = "peers")]
pub mod lmdb; // unsafe: opening is
#[cfg(feature = "peers")]
pub mod sqlite;
#[cfg(feature = "pmdk")]
pub mod pmdk; // unsafe: a library in C
pub mod heap; // blocks that come and go
pub mod opening; // segments of all lengths, with and without a log in flight
pub mod recovery; // logs of all lengths
pub mod fragmentation; // what a heap's history leaves behind
pub mod collections; // std's and vista's collections, and peers, side by side
pub mod workload; // the workloads by name, with everybody who runs them
pub mod race; // contenders side by side
pub mod latency; // unsafe: transactions one by one
pub mod counting; // unsafe: a medium that counts
pub mod allocations; // unsafe: an allocator that counts
pub mod work; // instructions and system calls, counted from outside
pub mod system_calls; // unsafe: a tracer that counts
pub mod marks; // unsafe: what an onlooker knows the loop by
pub mod silence; // unsafe: the proof that no system call is made
pub mod task; // each part of a comparison in a process of its own
pub mod files; // where the regions live
pub mod machine; // what a number was measured on
pub mod report; // all that was found, and tables of it
pub mod plots; // pictures of it
pub mod aims; // whether it is what it should be
pub mod claims; // what the paper says
pub mod source; // how many lines it takes
