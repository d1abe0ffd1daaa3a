//! Any history of transactions equals its model, through commits, aborts, crashes, savepoints and growth.

#![no_main]
#![allow(dead_code)] // The modules are those of the integration tests, which use all of them.

use libfuzzer_sys::fuzz_target;

#[path = "../../vista/tests/it/exercise.rs"]
mod exercise;
#[path = "../../vista/tests/it/forge.rs"]
mod forge;
#[path = "../../vista/tests/it/history.rs"]
mod history;
#[path = "../../vista/tests/it/support.rs"]
mod support;
#[path = "../../vista/tests/it/traced.rs"]
mod traced;

fuzz_target!(|input: &[u8]| history::run_bytes(input));
