//! The classic workloads of recoverable memory, defined once: for the demonstration, the benchmarks and the
//! crash tests.
//!
//! A workload is a pure function from a seed and an index to a transaction. So a model in ordinary memory can
//! replay any prefix of a run, and say of every byte that a crash left behind what it has to be. Start at
//! [`Bank`], at [`Model::verify`], at [`order_entry::Transaction`], and at [`ycsb::Request`].
//!
//! ```
//! use vista::SegmentOptions;
//! use workloads::{Bank, Scale, Transfer, debit_credit, verify};
//!
//! let scale = Scale::new(1).unwrap();
//! let mut segment = SegmentOptions::new().size(scale.segment_bytes()).anonymous::<Bank>()?;
//! segment.transaction(|tx| Bank::create_in(tx, scale))?;
//! let bank = *segment.root()?;
//! for index in 0..100 {
//!     let transfer = Transfer::at(scale, 42, index);
//!     segment.transaction(|tx| debit_credit(tx, &bank, &transfer, index))?;
//! }
//! assert_eq!(verify(&segment, 42)?.count, 100); // Every balance is as the model has it.
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod bank; // debit-credit: the persistent types and the transaction
mod transfer; // what the transaction with a given index does
mod model; // the bank in plain vectors, and the comparison with a segment
mod plan; // the bank in plain bytes, and on lrvm
pub mod order_entry; // order-entry: types, transactions, model
pub mod ycsb; // YCSB's core workloads: requests, records, model
mod random; // one number for each seed and index

pub use bank::{Account, Bank, Branch, History, Id, Money, RING_LEN, Scale, Tables, Teller, debit_credit};
pub use model::{Discrepancy, Model, Verified, transaction_count, verify};
pub use plan::Plan;
pub use random::{below, draw};
pub use transfer::Transfer;
