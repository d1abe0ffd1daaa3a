//! What the crash tester promises, one file per promise.

mod kill;
mod stepper;
mod vista_smoke;
