//! Lightweight Recoverable Virtual Memory: transactions on mapped memory, by a redo log on disk.
//!
//! After Satyanarayanan, Mashburn, Kumar, Steere and Kistler (SOSP'93; ACM TOCS 12(1), 1994). Pages of a file, its
//! *segment*, are mapped as a [`Region`]; a [`Transaction`] declares the ranges that it changes, and when it commits their
//! new bytes go to the log with one write and one sync. The segment gets them later, when the log is *truncated*. Whatever
//! ends the process or the machine in between, opening the log brings all that had committed durably into the segments.
//! So it needs no special memory: a disk that does what a sync promises is enough to survive a power cut.
//!
//! ```
//! # let dir = tempfile::tempdir()?;
//! # let (log, data) = (dir.path().join("bank.log"), dir.path().join("bank"));
//! use lrvm::{Begin, End, Rvm};
//!
//! lrvm::create_log(&log, 1 << 20)?;
//! lrvm::create_segment(&data, 4096)?;
//!
//! let rvm = Rvm::open(&log)?;
//! let mut accounts = rvm.map(&data, 0..4096)?;
//! let mut tx = rvm.begin(Begin::Restore)?;
//! let bank = tx.enlist(&mut accounts)?;
//! tx.write(bank, 0, &90u64)?;
//! tx.write(bank, 8, &110u64)?;
//! tx.commit(End::Flush)?;
//! drop((accounts, rvm)); // As a crash would.
//!
//! let rvm = Rvm::open(&log)?; // Recovers.
//! let accounts = rvm.map(&data, 0..4096)?;
//! assert_eq!((accounts.read::<u64>(0)?, accounts.read::<u64>(8)?), (90, 110));
//! # drop(accounts);
//! # rvm.close()?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # What survives what
//!
//! | log and segments lie on | process crash | kernel crash | power loss |
//! |---|---|---|---|
//! | a disk | yes | yes | yes |
//! | tmpfs | yes | no | no |
//! | regions of rio ([`on_rio`]) | yes | as [`rio::Region::survives`] says | as it says |
//!
//! That is so of what was committed with [`End::Flush`], or before a [`flush`](Rvm::flush) that succeeded.
//!
//! # The calls of RVM
//!
//! | RVM | here |
//! |---|---|
//! | `rvm_create_log` | [`create_log`] |
//! | `rvm_initialize`, `rvm_terminate` | [`Rvm::open`] or [`Options::open`], [`Rvm::close`] |
//! | `rvm_map`, `rvm_unmap` | [`Rvm::map`], [`Region::unmap`] |
//! | `rvm_begin_transaction` | [`Rvm::begin`] and [`Transaction::enlist`] |
//! | `rvm_set_range`, `rvm_modify_bytes` | [`Transaction::set_range`], [`Transaction::modify`] |
//! | `rvm_end_transaction`, `rvm_abort_transaction` | [`Transaction::commit`], [`Transaction::abort`] |
//! | `rvm_flush`, `rvm_truncate` | [`Rvm::flush`], [`Rvm::truncate`] |
//! | `rvm_query`, `rvm_set_options`, `rvm_statistics` | [`Rvm::query`], [`Rvm::set_options`], [`Rvm::statistics`] |
//!
//! # What there is not
//!
//! No isolation but the borrow of regions, no nesting, no transactions over several logs; no environment variable, no
//! global state, nothing printed. One thread, if [`Options::background`] asks for it.

#![deny(unsafe_code)]

#[cfg(target_endian = "big")]
compile_error!("the format of a log is little-endian, and so must the processor be");

/// Whether a deliberate mistake is in force. Never, but in a build with `--cfg vista_planted`: see `plant.rs`.
#[cfg(not(vista_planted))]
macro_rules! planted {
    ($plant:ident) => {
        false
    };
}

#[cfg(vista_planted)]
#[doc(hidden)]
#[macro_use]
pub mod plant; // mistakes for crash testers to catch
mod rvm; // an open log: commits, flushes, maps
mod transaction; // ranges that change together
mod region; // pages of a segment in memory
mod recovery; // from the log to the segments
mod truncation; // the same while it is open
mod log; // status blocks, table of segments, ring
mod record; // one committed transaction
mod ranges; // merged, followed, gathered
mod options; // how a log is made and opened
mod statistics; // what it has done
mod memory; // unsafe: pages that several threads share
mod device; // the seam: what log and segments lie on
pub mod on_rio; // the same on regions of rio
pub mod layout; // every byte of a log
mod error; // what can go wrong

pub use device::{Device, Devices, FileDevice, FileSystem};
pub use error::{Error, Result};
pub use options::{Options, Truncation, Tuning, create_log, create_log_on, create_segment};
pub use region::{MapMode, Region};
pub use rvm::Rvm;
pub use statistics::{Query, Recovery, RegionQuery, Statistics};
pub use transaction::{Begin, End, Enlisted, Transaction};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The crate below: regions, and the seam that they share with crash testers.
pub use rio;
