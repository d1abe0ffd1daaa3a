//! `stress` and `bench`: that they run, catch what is planted, and clean up.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Dir, text, vista};

const SMALL: [&str; 7] = ["stress", "--crashes", "4", "--seconds", "0.4", "--seed", "7"];

#[test]
fn nothing_is_lost_on_a_bank_or_on_maps() {
    for structure in ["bank", "map"] {
        let dir = Dir::new();
        let path = dir.path("kept");
        let said = vista(&[&SMALL[..], &["--structure", structure, "--path", text(&path)]].concat());
        assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{}", said.stdout);
        for part in ["seed 7", "4 crashes (7 kills)", "nothing was lost", "the file is kept"] {
            assert!(said.stdout.contains(part), "{part:?} is not in: {}", said.stdout);
        }
        assert_eq!(vista(&["check", text(&path)]).code, 0);
    }
}

#[test]
fn json_is_one_document_and_a_file_of_our_own_is_removed() {
    let said = vista(&[&SMALL[..], &["--structure", "map", "--json"]].concat());
    assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{}", said.stdout);
    let json = said.json();
    assert_eq!((&json["structure"], &json["seed"]), (&"map".into(), &7.into()));
    assert_eq!(json["crashes"].as_array().unwrap().len(), 4);
    assert!(json["total"]["acknowledged"].as_u64().unwrap() > 0, "{json}");
    assert!(json["violation"].is_null());
    let path = Path::new(json["path"].as_str().unwrap());
    assert!(!path.parent().unwrap().exists());
}

#[test]
fn a_transaction_that_was_acknowledged_and_is_not_there_is_caught() {
    for structure in ["bank", "map"] {
        let said = vista(&[&SMALL[..], &["--structure", structure, "--plant"]].concat());
        assert_eq!(said.code, 1, "{}{}", said.stdout, said.stderr);
        for part in ["VIOLATION: crash 1: ", "again: vista stress", "--seed 7"] {
            assert!(said.stdout.contains(part), "{part:?} is not in: {}", said.stdout);
        }
        let (_, path) = said.stdout.split_once("is kept: ").unwrap();
        fs::remove_dir_all(PathBuf::from(path.trim()).parent().unwrap()).unwrap();
    }
}

#[test]
fn the_machine_is_measured() {
    let dir = Dir::new();
    let said = vista(&["bench", "--quick", "--path", text(&dir.path("."))]);
    assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{}", said.stdout);
    for part in ["debit-credit", "survives: ", "allocate", "B-tree: get", "hash map: insert", "99 %"] {
        assert_eq!(said.stdout.matches(part).count().min(2), 2, "{part:?} in: {}", said.stdout);
    }
    assert_eq!(fs::read_dir(dir.path(".")).unwrap().count(), 0, "files were left behind");
    let json = vista(&["bench", "--quick", "--json"]).json();
    assert_eq!(json["places"].as_array().unwrap().len(), 1);
    let rows = json["places"][0]["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 7);
    assert!(rows.iter().all(|row| row["nanos"].as_f64().unwrap() > 0.0), "{json}");
    let lost = dir.path("no/such");
    vista(&["bench", "--quick", "--path", text(&lost)]).is_refusal(&["no/such"]);
}
