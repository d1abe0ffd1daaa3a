//! `dump`: records, pages and values, and that it changes nothing.

use std::fs;

use serde_json::{Value, json};
use vista::{PBTreeMap, PHashMap, POption, PPtr, PSlice, PString, PVec, Persistent, Segment};

use crate::support::{Dir, die_in_transaction, make_segment, text, vista};

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Library {
    opened: i64,
    rate: f64,
    name: PString,
    shelves: PVec<PString>,
    lent: PHashMap<PString, u64>,
    found: PBTreeMap<u64, Place>,
    keeper: POption<u64>,
    newest: PPtr<Place>,
    marks: PSlice<u16>,
    tag: [u8; 8],
}

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Place {
    shelf: u32,
    row: u32,
}

fn make_library(path: &std::path::Path) {
    let mut segment = Segment::<Library>::create(path, 1 << 20).unwrap();
    segment
        .transaction(|tx| -> vista::Result<()> {
            let shelves = PVec::new(tx)?;
            for name in ["Poetry", "Maths \"\u{1b}[1m\""] {
                let name = PString::new(tx, name)?;
                shelves.push(tx, name)?;
            }
            let lent = PHashMap::new(tx)?;
            lent.insert(tx, "ada", 3)?;
            let found = PBTreeMap::new(tx)?;
            for n in 0..100 {
                found.insert(tx, n, Place { shelf: n as u32, row: 7 })?;
            }
            let library = Library {
                opened: -12,
                rate: 0.5,
                name: PString::new(tx, "Grüße")?,
                shelves,
                lent,
                found,
                keeper: POption::some(tx, 5)?,
                newest: tx.alloc(Place { shelf: 1, row: 2 })?,
                marks: tx.alloc_slice(&[1, 2, 3])?,
                tag: *b"a\0\xffdefgh",
            };
            *tx.root_mut()? = library;
            Ok(())
        })
        .unwrap();
    segment.close().unwrap();
}

#[test]
fn a_root_is_shown_by_the_names_of_its_fields() {
    let dir = Dir::new();
    let path = dir.path("library");
    make_library(&path);
    let before = fs::read(&path).unwrap();

    let said = vista(&["dump", text(&path), "--root", "--limit", "3"]);
    assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{}", said.stdout);
    for part in [
        "opened: -12\n",
        "rate: 0.5\n",
        "\"Grüße\"\n",
        "\"Poetry\"",
        // What a terminal would obey is written out.
        "\"Maths \\\"\\u{1b}[1m\\\"\"",
        "\"ada\": 3\n",
        "100 entries",
        "and 97 more",
        "shelf: 1\n",
        "[1, 2, 3]",
        "tag: b\"a\\x00\\xffdefgh\"",
    ] {
        assert!(said.stdout.contains(part), "{part:?} is not in: {}", said.stdout);
    }
    assert!(!said.stdout.contains('\u{1b}') && !said.stdout.contains("heap"), "{}", said.stdout);

    let json = vista(&["dump", text(&path), "--json", "--limit", "3"]).json();
    let root = &json["root"]["value"];
    let found = &root["found"]["is"];
    assert_eq!(found[2], json!({"key": 2, "value": {"shelf": 2, "row": 7}}));
    assert_eq!(found[3], json!({"omitted": 97}));
    assert_eq!(root["name"]["is"], "Grüße");
    assert_eq!(root["lent"]["is"][0]["key"]["is"], "ada");
    assert_eq!(root["newest"]["is"], json!({"shelf": 1, "row": 2}));
    assert_eq!(root["keeper"]["is"], 5);
    assert_eq!(root["tag"]["base64"], "YQD/ZGVmZ2g=");
    assert_eq!(json["heap"]["page_count"], 256);
    assert_eq!(json["log"]["is_in_flight"], false);
    assert_eq!(json["damage"], json!([]));
    assert_eq!(fs::read(&path).unwrap(), before, "the file was changed");
}

#[test]
fn a_list_is_followed_as_far_as_asked_for() {
    let dir = Dir::new();
    let path = dir.path("list");
    make_segment(&path);
    let depth = |depth: &str| {
        let said = vista(&["dump", text(&path), "--root", "--depth", depth]);
        assert_eq!(said.code, 0, "{}", said.stderr);
        said.stdout.matches("value: ").count()
    };
    assert_eq!((depth("0"), depth("1"), depth("20")), (0, 1, 20));
    // More than a stack would take is not followed, whatever is asked for.
    assert!(depth("4000000000") < 300);
}

#[test]
fn records_in_flight_are_shown_and_stay_in_the_file() {
    let dir = Dir::new();
    let path = dir.path("list");
    make_segment(&path);
    die_in_transaction(&path);
    let before = fs::read(&path).unwrap();

    let said = vista(&["dump", text(&path)]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    for part in
        ["transaction 303 is in flight", "before-image", "user data: root", "metadata: ", "count: 300"]
    {
        assert!(said.stdout.contains(part), "{part:?} is not in: {}", said.stdout);
    }
    let json = vista(&["dump", text(&path), "--json", "--log", "--limit", "1"]).json();
    assert_eq!(json["log"]["records"].as_array().unwrap().len(), 1);
    assert!(json["log"]["record_count"].as_u64().unwrap() > 1);
    assert_eq!(json["log"]["records"][0]["kind"], "before-image");
    assert_eq!((json.get("heap"), json.get("root")), (None, None));
    assert!(vista(&["dump", text(&path), "--log", "--limit", "1"]).stdout.contains("more\n"));
    assert_eq!(fs::read(&path).unwrap(), before, "the file was changed");
}

#[test]
fn the_heap_is_a_picture_of_all_pages() {
    let dir = Dir::new();
    let path = dir.path("list");
    make_segment(&path);
    let said = vista(&["dump", text(&path), "--heap"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let picture: String = said.stdout.lines().filter(|line| line.trim_start().starts_with("0x")).collect();
    let symbols: String = picture.split_whitespace().filter(|word| !word.starts_with("0x")).collect();
    assert_eq!(symbols.len(), 256, "{}", said.stdout);
    assert!(symbols.starts_with("@@@|~"), "{symbols}");
    assert!(symbols.contains('A') && symbols.contains('.'), "{symbols}");
    for part in ["256 pages", "301 blocks of 16 bytes", "guard pages"] {
        assert!(said.stdout.contains(part), "{part:?} is not in: {}", said.stdout);
    }
    let json = vista(&["dump", text(&path), "--heap", "--json"]).json();
    let runs = json["heap"]["runs"].as_array().unwrap();
    let sum = |of: &dyn Fn(&Value) -> Option<u64>| runs.iter().filter_map(of).sum::<u64>();
    assert_eq!(sum(&|run| run["page_count"].as_u64()), 256);
    assert_eq!(sum(&|run| run["used"].as_u64()), 301);

    // A long file is shown with several pages in a character.
    let long = dir.path("long");
    Segment::<u64>::create(&long, 64 << 20).unwrap().close().unwrap();
    let said = vista(&["dump", text(&long), "--heap"]);
    assert!(said.stdout.contains("one character for 16 pages"), "{}", said.stdout);
    assert!(said.stdout.lines().count() < 40, "{}", said.stdout);
}

#[test]
fn colours_are_for_terminals_and_for_whom_asks() {
    let dir = Dir::new();
    let path = dir.path("list");
    make_segment(&path);
    let coloured = |args: &[&str]| vista(&[&["dump", text(&path)], args].concat()).stdout.contains('\u{1b}');
    assert!(!coloured(&[]));
    assert!(!coloured(&["--color", "never"]));
    assert!(coloured(&["--color", "always"]));
    assert!(!coloured(&["--json", "--color", "always"]));
}

#[test]
fn damage_is_told_and_the_rest_is_shown() {
    let dir = Dir::new();
    let path = dir.path("library");
    make_library(&path);
    let root = vista(&["dump", text(&path), "--json"]).json()["root"].clone();
    let shelves = root["value"]["shelves"]["at"].as_u64().unwrap() as usize;
    let mut bytes = fs::read(&path).unwrap();
    bytes[shelves..shelves + 8].copy_from_slice(&u64::MAX.to_le_bytes());
    fs::write(&path, &bytes).unwrap();

    let said = vista(&["dump", text(&path)]);
    assert_eq!(said.code, 1, "{}{}", said.stdout, said.stderr);
    for part in ["damage", "vector: length", "\"Grüße\"", "rate: 0.5"] {
        assert!(said.stdout.contains(part), "{part:?} is not in: {}", said.stdout);
    }
    let json = vista(&["dump", text(&path), "--json"]).json();
    assert!(json["damage"][0].as_str().unwrap().contains("vector: length"), "{json}");
    assert!(json["root"]["value"]["shelves"]["is"]["error"].is_string(), "{json}");
    assert_eq!(fs::read(&path).unwrap(), bytes, "the file was changed");
}
