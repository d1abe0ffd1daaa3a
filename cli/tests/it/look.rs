//! `info` and `check`: what they show, and that they change nothing; `dump` too survives any damage.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::support::{Dir, die_in_transaction, make_segment, text, vista};

/// All that a look could change.
fn state_of(path: &Path) -> (Vec<u8>, i64, i64) {
    let metadata = fs::metadata(path).unwrap();
    (fs::read(path).unwrap(), metadata.mtime(), metadata.mtime_nsec())
}

#[test]
fn a_closed_segment_is_shown_and_sound() {
    let dir = Dir::new();
    let path = dir.path("list");
    make_segment(&path);
    let before = state_of(&path);

    let info = vista(&["info", text(&path)]);
    assert_eq!(info.code, 0, "{}", info.stderr);
    for part in
        ["closed it", "empty after transaction 302", "301 blocks", "Root{count:u64@0,list:PPtr<Node>@8}"]
    {
        assert!(info.stdout.contains(part), "{part:?} is not in: {}", info.stdout);
    }
    let info = vista(&["info", "--json", text(&path)]).json();
    assert_eq!(info["region"]["len"], 1 << 20);
    assert_eq!(info["region"]["was_closed"], true);
    assert_eq!(info["log"]["is_in_flight"], false);
    assert_eq!(info["heap"]["block_count"], 301);
    assert_eq!(info["root"]["len"], 16);
    assert_eq!(info["damage"].as_array().unwrap().len(), 0);

    let check = vista(&["check", text(&path)]);
    assert_eq!(check.code, 0, "{}", check.stderr);
    assert!(check.stdout.contains("sound: 301 blocks"), "{}", check.stdout);
    let check = vista(&["check", text(&path), "--json"]).json();
    assert_eq!(check["is_sound"], true);
    assert!(check["rolled_back"].is_null());

    assert!(state_of(&path) == before, "the file was changed");
}

#[test]
fn a_transaction_in_flight_is_shown_and_stays_in_the_file() {
    let dir = Dir::new();
    let path = dir.path("list");
    make_segment(&path);
    die_in_transaction(&path);
    let before = state_of(&path);

    let info = vista(&["info", text(&path)]);
    assert_eq!(info.code, 0, "{}", info.stderr);
    for part in ["left it open, or was killed", "transaction 303 is in flight", "before-image", "301 blocks"]
    {
        assert!(info.stdout.contains(part), "{part:?} is not in: {}", info.stdout);
    }
    let info = vista(&["info", "--json", text(&path)]).json();
    assert_eq!(info["region"]["was_closed"], false);
    assert_eq!(info["log"]["is_in_flight"], true);
    assert_eq!(info["log"]["records"][0]["kind"], "before-image");
    assert!(info["log"]["records"][0]["count"].as_u64().unwrap() >= 2);

    let check = vista(&["check", "--json", text(&path)]);
    assert_eq!(check.code, 0, "{}", check.stderr);
    assert_eq!(check.json()["rolled_back"]["transaction"], 303);
    assert!(vista(&["check", text(&path)]).stdout.contains("opening rolls it back"));

    assert!(state_of(&path) == before, "the file was changed");
}

#[test]
fn a_broken_invariant_is_shown_and_told_by_the_exit_code() {
    let dir = Dir::new();
    let path = dir.path("list");
    make_segment(&path);
    let mut bytes = fs::read(&path).unwrap();
    let fixed_len = vista::inspect::Inspector::open(&path).unwrap().fixed_len() as usize;
    bytes[fixed_len + 24] ^= 1; // The first descriptor's bitmap.
    fs::write(&path, &bytes).unwrap();

    let check = vista(&["check", text(&path)]);
    assert_eq!(check.code, 1, "{}{}", check.stdout, check.stderr);
    assert!(check.stdout.contains("INV-H") && check.stdout.contains("not sound"), "{}", check.stdout);
    let json = vista(&["check", "--json", text(&path)]);
    assert_eq!((json.code, json.json()["is_sound"].as_bool()), (1, Some(false)));
    assert!(!json.json()["violations"].as_array().unwrap().is_empty());
    assert_eq!(fs::read(&path).unwrap(), bytes, "the file was changed");
}

#[test]
fn a_damaged_log_is_shown_beside_what_is_sound() {
    let dir = Dir::new();
    let path = dir.path("list");
    make_segment(&path);
    die_in_transaction(&path);
    let mut bytes = fs::read(&path).unwrap();
    let state = vista::layout::LOG_OFFSET as usize;
    bytes[state] ^= 8;
    fs::write(&path, &bytes).unwrap();

    let info = vista(&["info", text(&path)]);
    assert_eq!(info.code, 1, "{}{}", info.stdout, info.stderr);
    for part in ["identity", "damage", "log: state"] {
        assert!(info.stdout.contains(part), "{part:?} is not in: {}", info.stdout);
    }
    assert_eq!(vista(&["info", "--json", text(&path)]).json()["log"], serde_json::Value::Null);
    vista(&["check", text(&path)]).is_refusal(&["list: at offset", "log: state", "left as it is"]);
}

#[test]
fn no_flipped_byte_makes_it_panic_or_hang() {
    let dir = Dir::new();
    let (path, spoiled) = (dir.path("list"), dir.path("spoiled"));
    make_segment(&path);
    die_in_transaction(&path);
    let whole = fs::read(&path).unwrap();
    // Headers, the log's beginning and the metadata, at steps that meet every field of some records.
    let fixed_len = vista::inspect::Inspector::open(&path).unwrap().fixed_len() as usize;
    let log = vista::layout::LOG_OFFSET as usize;
    let offsets = (0..256).step_by(13).chain((4096..4400).step_by(17));
    let offsets = offsets.chain((log..log + 256).step_by(11)).chain((fixed_len..fixed_len + 256).step_by(9));
    for offset in offsets {
        let mut bytes = whole.clone();
        bytes[offset] ^= 0x5a;
        fs::write(&spoiled, &bytes).unwrap();
        for command in ["info", "check", "dump"] {
            let said = vista(&[command, text(&spoiled)]);
            assert!((0..=2).contains(&said.code), "{command} after damage at {offset}: {}", said.code);
            assert_eq!(said.code == 2, !said.stderr.is_empty(), "{command}, {offset}: {}", said.stderr);
            assert!(said.stderr.lines().count() <= 1, "{command}, {offset}: {}", said.stderr);
        }
        assert!(fs::read(&spoiled).unwrap() == bytes, "the file was changed");
    }
}
