//! The collections: each equals its std model under any history, and survives hostile bytes.

mod vec;
mod btree_map;
mod hash_map;
