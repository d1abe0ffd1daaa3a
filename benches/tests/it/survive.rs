//! Engines keep what they have acknowledged when they are killed, and those that do not are caught.

use std::path::Path;

use benches::aims::{LRVM_DISK, LRVM_FILES, LRVM_RIO};
use benches::survive::{Outcome, Survivor, campaign};

use crate::files;

fn check(engines: &[&str], rounds: usize) -> Vec<Survivor> {
    let engines: Vec<_> = engines.iter().map(|&name| name.to_owned()).collect();
    let survivors = campaign(Path::new(env!("CARGO_BIN_EXE_benches")), &files(), &engines, rounds, 7);
    assert_eq!(survivors.len(), engines.len());
    assert!(survivors.iter().all(|survivor| survivor.outcomes.len() == rounds));
    survivors
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let names = ["bare undo log", "vista", "vista, write-back", LRVM_DISK, LRVM_FILES, LRVM_RIO];
    for survivor in check(&names, 4) {
        assert_eq!(survivor.kept(), 4, "{survivor:?}");
        assert!(survivor.is_as_said() && survivor.acknowledged > 0, "{survivor:?}");
    }
}

#[test]
fn what_only_lies_in_a_process_is_caught() {
    for survivor in check(&["vista, private copy", "lrvm, on Rio, no-flush"], 4) {
        assert!(survivor.outcomes.contains(&Outcome::Lost), "{survivor:?}");
        assert!(survivor.is_caught() && survivor.most_lost > 0, "{survivor:?}");
    }
}

#[cfg(feature = "peers")]
#[test]
fn peers_survive_a_kill_at_the_levels_that_are_compared() {
    let names =
        ["redb, sync", "redb", "fjall, sync", "fjall", "LMDB, sync", "LMDB", "SQLite, sync", "SQLite"];
    for survivor in check(&names, 4) {
        assert_eq!(survivor.kept(), 4, "{survivor:?}");
        assert!(survivor.is_as_said() && survivor.acknowledged > 0, "{survivor:?}");
    }
}

#[cfg(feature = "peers")]
#[test]
fn peers_are_caught_at_levels_that_are_too_weak() {
    for survivor in check(&["redb, Durability::None", "fjall, not persisted"], 4) {
        assert!(survivor.outcomes.contains(&Outcome::Lost), "{survivor:?}");
        assert!(survivor.is_caught() && survivor.most_lost > 0, "{survivor:?}");
    }
}

#[cfg(feature = "pmdk")]
#[test]
fn libpmemobj_survives_a_kill_in_both_environments() {
    for survivor in check(&["libpmemobj", "libpmemobj, write-back"], 4) {
        assert_eq!(survivor.kept(), 4, "{survivor:?}");
        assert!(survivor.acknowledged > 0, "{survivor:?}");
    }
}
