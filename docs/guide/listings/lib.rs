//! The listings of the guide, as doctests: `cargo test -p guide` compiles and runs every one of them.
//!
//! The chapters are `docs/guide/src`. mdBook and rustdoc hide the same lines, those that begin with `# `. What is not here
//! the book includes from a program that is a member of the workspace (`examples/bank`). `tests/it` checks that no
//! chapter is left out, that no listing is left uncompiled, and that no link leads nowhere.

#![deny(unsafe_code)]

macro_rules! chapters {
    ($($name:ident $file:literal),+ $(,)?) => {
        $(
            #[cfg(doctest)]
            #[doc = include_str!(concat!("../src/", $file))]
            mod $name {}
        )+
    };
}

chapters! {
    bank "bank.md",
    start "start.md",
    survives "survives.md",
    transactions "transactions.md",
    types "types.md",
    collections "collections.md",
    crash_sim "crash-sim.md",
    deploy "deploy.md",
    measuring "measuring.md",
    porting_serde "porting-serde.md",
    porting_lmdb "porting-lmdb.md",
    porting_libpmemobj "porting-libpmemobj.md",
    limits "limits.md",
}

/// The README of the workspace. It has no place in a package, so none of the published crates compiles it.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
mod readme {}
