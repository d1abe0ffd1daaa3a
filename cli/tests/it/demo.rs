//! `demo`: that it kills, compares, catches, and leaves nothing behind.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use vista::Segment;
use workloads::Bank;

use crate::support::{Dir, command, text, vista};

const SMALL: [&str; 7] = ["demo", "--scale", "1", "--seconds", "0.4", "--seed", "7"];

#[test]
fn nothing_is_lost_and_the_bank_is_kept_where_it_was_asked_for() {
    let dir = Dir::new();
    let path = dir.path("bank");
    let said = vista(&[&SMALL[..], &["--crashes", "4", "--path", text(&path)]].concat());
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    for part in
        ["100,000 accounts", "seed 7", "4 crashes", "none is half there", "ratio", "lrvm, on Rio", "is kept"]
    {
        assert!(said.stdout.contains(part), "{part:?} is not in: {}", said.stdout);
    }
    assert_eq!(said.stderr, "", "no bar where there is no terminal");

    let check = vista(&["check", text(&path)]);
    assert_eq!(check.code, 0, "{}{}", check.stdout, check.stderr);
    let segment = Segment::<Bank>::open(&path).unwrap();
    assert!(workloads::verify(&segment, 7).unwrap().count > 0);
}

#[test]
fn json_is_one_document_and_a_bank_of_our_own_is_removed() {
    let said = vista(&[&SMALL[..], &["--crashes", "4", "--json"]].concat());
    assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{}", said.stdout);
    let json = said.json();
    assert_eq!(json["crashes"].as_array().unwrap().len(), 4);
    assert_eq!(json["total"]["kill_count"], 7, "one of four crashes has three more kills");
    let number = |value: &serde_json::Value| value.as_u64().unwrap();
    assert!(number(&json["total"]["found"]) >= number(&json["total"]["acknowledged"]));
    assert!(number(&json["total"]["acknowledged"]) > 0);
    assert!(json["violation"].is_null());
    assert!(json["speed"]["ratio"].as_f64().unwrap() > 0.0);
    let redo = json["redo"].as_array().unwrap();
    assert_eq!(redo.len(), 2, "on Rio, and on a disk");
    assert!(redo.iter().all(|redo| number(&redo["transactions"]) > 0), "{redo:?}");
    assert_eq!(json["is_kept"], false);
    let path = Path::new(json["path"].as_str().unwrap());
    assert!(!path.parent().unwrap().exists());
}

#[test]
fn an_existing_file_is_never_overwritten() {
    let dir = Dir::new();
    let path = dir.path("mine");
    fs::write(&path, "dear to me").unwrap();
    vista(&[&SMALL[..], &["--path", text(&path)]].concat())
        .is_refusal(&["mine: already exists", "another path"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "dear to me");

    let lost = dir.path("no/such/directory");
    vista(&[&SMALL[..], &["--path", text(&lost)]].concat()).is_refusal(&["no/such", "is the path right?"]);
}

#[test]
fn a_transaction_that_was_acknowledged_and_is_not_there_is_caught() {
    for json in [&[][..], &["--json"]] {
        let said = vista(&[&SMALL[..], &["--crashes", "4", "--plant"], json].concat());
        assert_eq!(said.code, 1, "{}{}", said.stdout, said.stderr);
        let path = if json.is_empty() {
            assert!(said.stdout.contains("VIOLATION: crash 1: "), "{}", said.stdout);
            let (_, path) = said.stdout.split_once("is kept: ").unwrap();
            PathBuf::from(path.trim())
        } else {
            let json = said.json();
            assert!(json["violation"].as_str().unwrap().contains("crash 1: "), "{json}");
            assert_eq!(json["is_kept"], true);
            PathBuf::from(json["path"].as_str().unwrap())
        };
        assert_eq!(vista(&["check", text(&path)]).code, 0, "it is kept, and sound as a segment");
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }
}

/// A demonstration that would run for long, and the path of its bank.
fn start_long() -> (Child, PathBuf) {
    let args = [&SMALL[..4], &["60", "--crashes", "3"]].concat();
    let mut child = command().args(args).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    // "A bank of … accounts in PATH; seed …"
    let path = line.split_once(" in ").unwrap().1.split_once(';').unwrap().0;
    std::thread::spawn(move || stdout.read_to_end(&mut Vec::new()));
    (child, PathBuf::from(path))
}

/// Waits until its worker has the bank open. Opening it here to see that would take it from a worker that just comes.
fn wait_for_worker(path: &Path) {
    let begun = Instant::now();
    while !fs::read_dir("/proc").unwrap().any(|process| has_mapped(&process.unwrap().path(), path)) {
        assert!(begun.elapsed() < Duration::from_secs(20), "no worker came");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether a process is a worker that has the file mapped. It may have ended meanwhile.
fn has_mapped(process: &Path, file: &Path) -> bool {
    let says = |name: &str, what: &str| {
        fs::read(process.join(name)).is_ok_and(|text| String::from_utf8_lossy(&text).contains(what))
    };
    says("cmdline", "demo-worker") && says("maps", text(file))
}

#[test]
fn an_interrupt_leaves_neither_a_process_nor_a_file() {
    let (mut child, path) = start_long();
    wait_for_worker(&path);
    let interrupt = Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().unwrap();
    assert!(interrupt.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!path.parent().unwrap().exists());
}

#[test]
fn a_worker_does_not_outlive_the_demonstration_even_if_that_is_killed() {
    let (mut child, path) = start_long();
    wait_for_worker(&path);
    child.kill().unwrap();
    child.wait().unwrap();
    // The lock is free as soon as nobody has the file open.
    let options = vista::SegmentOptions::new().lock_wait(Duration::from_secs(20));
    options.open::<Bank>(&path).unwrap();
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
}
