//! Collections on trial: what an insert, a lookup, a removal, a walk and a range take, by number of entries.
//!
//! Vista's collections stand beside std's in plain memory, which are the bound, and beside engines of others that keep
//! what a killed process had committed. `cargo run --release -p benches -- collections` tries them; results are recorded
//! in `docs/RESULTS.md`. Start at [`subject::Subject`] and [`rounds::trial`].

pub mod keys; // which keys, in which order
pub mod subject; // what all can do; std's collections
pub mod ours; // vista's
#[cfg(feature = "peers")]
pub mod peers; // redb, fjall, LMDB and SQLite
#[cfg(pmdk_maps)]
pub mod pmdk; // unsafe: PMDK's maps, in C
pub mod contenders; // who is on trial
pub mod rounds; // side by side, with the same number of entries
pub mod load; // a million pairs
pub mod large; // opening a large map
pub mod report; // all that was found, and tables of it
