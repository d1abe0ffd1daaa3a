//! What the crash tester promises, one file per promise.

mod kill;
mod vista_smoke;
