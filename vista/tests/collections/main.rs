//! The collections: each equals its std model under any history, and survives hostile bytes.

#[allow(dead_code, reason = "the tests of segments use all of it")]
#[path = "../it/traced.rs"]
mod traced; // a medium that can be looked at
mod history; // any transactions, in any domain, beside a model
mod bytes;
mod string;
mod audit; // each invariant, broken
mod nested; // collections of collections
mod vec;
mod btree_map;
mod hash_map;
mod deque;
mod slab;
mod cell;
mod option;
