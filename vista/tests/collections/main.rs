//! The collections: each equals its std model under any history, and survives hostile bytes.

#![allow(clippy::unit_arg)] // `Ok(*tx.root_mut()? = value)` is a whole transaction in a line.

#[allow(dead_code, reason = "the tests of segments use all of it")]
#[path = "../it/traced.rs"]
mod traced; // a medium that can be looked at
mod history; // any transactions, in any domain, beside a model
mod bytes;
mod string;
mod audit; // each invariant, broken
mod described; // the same by the description alone
mod table; // every method of every collection
mod null; // on the null handle
mod hostile; // on any bytes
mod logged; // what each operation costs
mod shapes; // elements of odd sizes
mod nested; // collections of collections
mod mixed; // many in one transaction
mod vec;
mod btree_map;
mod hash_map;
mod deque;
mod slab;
mod cell;
mod option;
