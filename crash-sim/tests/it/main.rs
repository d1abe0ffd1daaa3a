//! What the crash tester promises, one file per promise.

mod vista_smoke;
