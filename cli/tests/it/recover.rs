//! `recover`: that it rolls back and closes, and when it does not.

use std::fs;
use std::mem::offset_of;
use std::path::Path;

use vista::Segment;
use vista::rio::layout::{COPY_LEN, HeaderCopy, MAGIC};

use crate::support::{Dir, Root, die_in_transaction, make_segment, text, vista};

#[test]
fn what_had_not_committed_is_rolled_back_and_the_file_closed() {
    let dir = Dir::new();
    let path = dir.path("list");
    make_segment(&path);
    die_in_transaction(&path);
    let before = fs::read(&path).unwrap();

    let said = vista(&["recover", text(&path), "--dry-run"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    for part in ["left it open", "transaction 303 would be rolled back", "nothing was changed"] {
        assert!(said.stdout.contains(part), "{part:?} is not in: {}", said.stdout);
    }
    let json = vista(&["recover", text(&path), "--dry-run", "--json"]).json();
    assert_eq!(
        (json["is_changed"].as_bool(), json["rolled_back"]["transaction"].as_u64()),
        (Some(false), Some(303))
    );
    assert_eq!(fs::read(&path).unwrap(), before, "the file was changed");

    let json = vista(&["recover", text(&path), "--json"]).json();
    assert_eq!((json["is_changed"].as_bool(), json["was_closed"].as_bool()), (Some(true), Some(false)));
    assert!(json["rolled_back"]["record_count"].as_u64().unwrap() >= 2);
    let info = vista(&["info", text(&path), "--json"]).json();
    assert_eq!((&info["region"]["was_closed"], &info["log"]["is_in_flight"]), (&true.into(), &false.into()));
    assert_eq!(Segment::<Root>::open(&path).unwrap().root().unwrap().count, 300);

    let said = vista(&["recover", text(&path)]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(said.stdout.contains("nothing to do"), "{}", said.stdout);
}

#[test]
fn it_says_what_it_did() {
    let dir = Dir::new();
    let path = dir.path("list");
    make_segment(&path);
    die_in_transaction(&path);
    let said = vista(&["recover", text(&path)]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    for part in ["transaction 303 rolled back: ", "restored in", "sound, and closed"] {
        assert!(said.stdout.contains(part), "{part:?} is not in: {}", said.stdout);
    }
    assert_eq!(vista(&["check", text(&path)]).code, 0);
}

#[test]
fn what_is_not_sound_is_left_as_it_is() {
    let dir = Dir::new();
    let path = dir.path("list");
    make_segment(&path);
    die_in_transaction(&path);
    // A descriptor that the transaction did not touch.
    let mut bytes = fs::read(&path).unwrap();
    let fixed_len = vista::inspect::Inspector::open(&path).unwrap().fixed_len() as usize;
    bytes[fixed_len + 24] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let said = vista(&["recover", text(&path)]);
    assert_eq!(said.code, 1, "{}{}", said.stdout, said.stderr);
    assert!(said.stdout.contains("INV-H") && said.stdout.contains("left as it is"), "{}", said.stdout);
    let json = vista(&["recover", text(&path), "--json"]);
    assert_eq!((json.code, json.json()["is_changed"].as_bool()), (1, Some(false)));
    assert_eq!(fs::read(&path).unwrap(), bytes, "the file was changed");

    // A log that cannot be read.
    let state = vista::layout::LOG_OFFSET as usize;
    bytes[state] ^= 8;
    fs::write(&path, &bytes).unwrap();
    vista(&["recover", text(&path)]).is_refusal(&["log: state", "left as it is"]);
    assert_eq!(fs::read(&path).unwrap(), bytes, "the file was changed");
}

/// Makes the file look as if the system had gone down since it was opened: another boot id in both copies of the header.
fn reboot(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    for copy in bytes.chunks_mut(COPY_LEN).take(2).filter(|copy| copy.starts_with(&MAGIC)) {
        copy[offset_of!(HeaderCopy, boot_id)] ^= 1;
        let crc_at = offset_of!(HeaderCopy, crc);
        let crc = crc32fast::hash(&copy[..crc_at]);
        copy[crc_at..crc_at + 4].copy_from_slice(&crc.to_le_bytes());
    }
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_file_from_before_a_reboot_is_taken_only_by_who_insists() {
    let dir = Dir::new();
    let path = dir.path("list");
    make_segment(&path);
    die_in_transaction(&path);
    reboot(&path);
    let bytes = fs::read(&path).unwrap();
    for args in [&["recover"][..], &["recover", "--dry-run"]] {
        let said = vista(&[args, &[text(&path)]].concat());
        said.is_refusal(&["left open across a reboot", "recover --accept-reboot"]);
    }
    assert_eq!(fs::read(&path).unwrap(), bytes, "the file was changed");
    let said = vista(&["recover", "--accept-reboot", "--json", text(&path)]);
    assert_eq!((said.code, said.json()["is_changed"].as_bool()), (0, Some(true)));
    assert_eq!(Segment::<Root>::open(&path).unwrap().root().unwrap().count, 300);
}
