//! `kv`: a store as a shell sees it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use vista::{PBTreeMap, PBytes, Segment};

use crate::support::{Dir, Said, command, make_segment, said_of, text, vista};

fn kv(path: &Path, args: &[&str]) -> Said {
    vista(&[&["kv", text(path)], args].concat())
}

#[track_caller]
fn good(said: &Said) -> &str {
    assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{}", said.stdout);
    &said.stdout
}

fn with_stdin(path: &Path, args: &[&str], stdin: &[u8]) -> Said {
    let mut child = command();
    child.args(["kv", text(path)]).args(args);
    let mut child =
        child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let stdin = stdin.to_vec();
    // It may end before it has read everything.
    let writer = thread::spawn(move || drop(pipe.write_all(&stdin)));
    let said = said_of(child.wait_with_output().unwrap());
    writer.join().unwrap();
    said
}

#[test]
fn a_key_is_set_read_replaced_and_deleted() {
    let dir = Dir::new();
    let path = dir.path("store");
    assert_eq!(good(&kv(&path, &["set", "ada", "countess"])), "");
    assert_eq!(good(&kv(&path, &["get", "ada"])), "countess\n");
    assert_eq!(good(&kv(&path, &["get", "ada", "--raw"])), "countess");
    assert_eq!(kv(&path, &["get", "ada", "--json"]).json(), json!({"key": "ada", "value": "countess"}));
    assert_eq!(kv(&path, &["set", "ada", "mathematician", "--json"]).json(), json!({"change": "replaced"}));
    assert_eq!(kv(&path, &["set", "ada", "mathematician", "--json"]).json(), json!({"change": "none"}));
    assert_eq!(kv(&path, &["set", "bob", "-", "--json"]).json(), json!({"change": "new"}));
    assert_eq!(good(&kv(&path, &["get", "bob"])), "\n", "stdin was empty");
    assert_eq!(good(&kv(&path, &["count"])), "2\n");
    assert_eq!(kv(&path, &["count", "--json"]).json(), json!({"count": 2}));
    good(&kv(&path, &["set", "bob", "-5"]));
    good(&kv(&path, &["set", "--", "bob", "--json"]));
    assert_eq!(good(&kv(&path, &["get", "bob"])), "--json\n");

    let missing = kv(&path, &["get", "eve"]);
    assert_eq!((missing.code, missing.stdout.as_str(), missing.stderr.as_str()), (1, "", ""));
    let missing = kv(&path, &["get", "eve", "--json"]);
    assert_eq!((missing.code, missing.stdout.as_str()), (1, "null\n"));

    assert_eq!(kv(&path, &["del", "bob", "eve"]).code, 1);
    assert_eq!(kv(&path, &["del", "ada", "bob", "--json"]).json(), json!({"deleted": 1, "missing": 1}));
    assert_eq!(good(&kv(&path, &["count"])), "0\n");
    assert_eq!(good(&kv(&path, &["scan"])), "");
    let stat = kv(&path, &["stat", "--json"]).json();
    assert_eq!((&stat["count"], &stat["len"]), (&0.into(), &(1 << 20).into()));
    assert!(good(&kv(&path, &["stat"])).contains("entries    0"));
    is_sound(&path);
}

/// Nothing is damaged, and nothing is lost: every block has an owner.
fn is_sound(path: &Path) {
    let segment = Segment::<PBTreeMap<PBytes, PBytes>>::open(path).unwrap();
    assert_eq!(segment.check_content().unwrap(), []);
    segment.close().unwrap();
}

#[test]
fn any_bytes_are_kept() {
    let dir = Dir::new();
    let (path, other) = (dir.path("store"), dir.path("other"));
    let all: Vec<u8> = (0..=255).collect();
    assert_eq!(with_stdin(&path, &["set", "all", "-"], &all).code, 0);
    let output = command().args(["kv", text(&path), "get", "-r", "all"]).output().unwrap();
    assert_eq!(output.stdout, all);
    let key = std::ffi::OsStr::from_bytes(b"\xff\t\n\\");
    let set = command().args(["kv", text(&path), "set"]).arg(key).arg("odd").status().unwrap();
    assert!(set.success());
    let get = command().args(["kv", text(&path), "get"]).arg(key).output().unwrap();
    assert_eq!(get.stdout, b"odd\n");
    for format in ["jsonl", "tsv"] {
        let export = command().args(["kv", text(&path), "export", "--format", format]).output().unwrap();
        assert_eq!(export.stdout.iter().filter(|&&byte| byte == b'\n').count(), 2);
        let _ = fs::remove_file(&other);
        let said = with_stdin(&other, &["import", "--format", format, "-"], &export.stdout);
        assert_eq!(good(&said), "2 lines: 2 new, 0 replaced, 0 as they were\n");
        let again = command().args(["kv", text(&other), "export", "--format", format]).output().unwrap();
        assert_eq!(again.stdout, export.stdout, "{format}");
    }
}

#[test]
fn a_scan_shows_what_was_asked_for() {
    let dir = Dir::new();
    let path = dir.path("store");
    let lines: String =
        ["a", "ab", "abc", "b", "b\u{ff}", "c"].iter().map(|key| format!("{key}\tv{key}\n")).collect();
    good(&with_stdin(&path, &["import", "-", "--format", "tsv"], lines.as_bytes()));
    for (args, expected) in [
        (&["--keys"][..], "a ab abc b b\u{ff} c"),
        (&["--keys", "--prefix", "a"], "a ab abc"),
        (&["--keys", "--prefix", "ab", "--limit", "1"], "ab"),
        (&["--keys", "--reverse", "--limit", "2"], "c b\u{ff}"),
        (&["--keys", "--from", "ab", "--to", "b"], "ab abc"),
        (&["--keys", "--from", "b", "--prefix", "b"], "b b\u{ff}"),
        (&["--keys", "--from", "b", "--to", "a"], ""),
        (&["--keys", "--from", "b", "--to", "b"], ""),
        (&["--keys", "--prefix", "a", "--from", "abb", "--reverse"], "abc"),
        (&["--keys", "--prefix", "x"], ""),
        (&["--limit", "0"], ""),
        (&["--from", "c"], "c\tvc"),
    ] {
        let said = kv(&path, &[&["scan"], args].concat());
        assert_eq!(good(&said).lines().collect::<Vec<_>>().join(" "), expected, "{args:?}");
    }
    let said = kv(&path, &["scan", "--json", "--prefix", "ab"]);
    let lines: Vec<serde_json::Value> =
        good(&said).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, [json!({"key": "ab", "value": "vab"}), json!({"key": "abc", "value": "vabc"})]);
    assert_eq!(good(&kv(&path, &["scan", "--json", "--keys", "--limit", "1"])), "{\"key\":\"a\"}\n");
}

#[test]
fn a_file_of_lines_comes_back_as_it_was() {
    let dir = Dir::new();
    let (path, file) = (dir.path("store"), dir.path("lines.tsv"));
    let mut lines: Vec<String> = (0..5000).map(|n| format!("key {n:05}\tvalue {}", n * 7)).collect();
    fs::write(&file, lines.join("\r\n") + "\n\n\n").unwrap();
    let import = ["import", text(&file), "--batch", "97"];
    assert_eq!(good(&kv(&path, &import)), "5,000 lines: 5000 new, 0 replaced, 0 as they were\n");
    lines[7] = "key 00007\tanother".to_owned();
    fs::write(&file, lines.join("\n")).unwrap();
    let said = kv(&path, &[&import[..], &["--json"]].concat()).json();
    assert_eq!(
        (&said["replaced"], &said["unchanged"], &said["transactions"]),
        (&1.into(), &4999.into(), &52.into())
    );

    let out = dir.path("out.tsv");
    assert_eq!(good(&kv(&path, &["export", text(&out)])), "5,000 lines\n");
    assert_eq!(fs::read_to_string(&out).unwrap(), lines.join("\n") + "\n");
    kv(&path, &["export", text(&out)]).is_refusal(&["out.tsv", "another name"]);
    let json = dir.path("out.jsonl");
    assert_eq!(kv(&path, &["export", text(&json), "--json"]).json()["lines"], 5000);
    assert!(
        fs::read_to_string(&json).unwrap().starts_with("{\"key\":\"key 00000\",\"value\":\"value 0\"}\n")
    );
    is_sound(&path);
}

#[test]
fn a_line_that_is_none_is_refused_with_its_number() {
    let dir = Dir::new();
    let path = dir.path("store");
    with_stdin(&path, &["import", "-"], b"nonsense\n").is_refusal(&["<stdin>: line 1: ", "kv --help"]);
    assert!(!path.exists(), "nothing was created");
    let said =
        with_stdin(&path, &["import", "-", "--format", "tsv", "--batch", "2"], b"a\t1\nb\t2\nc\t3\nd\n");
    said.is_refusal(&["<stdin>: line 4: no tab", "2 lines before that are in the store"]);
    assert_eq!(good(&kv(&path, &["count"])), "2\n");
    let lost = dir.path("lost.tsv");
    kv(&path, &["import", text(&lost)]).is_refusal(&["lost.tsv: read: "]);
}

/// Starts an import of a pipe that never ends, and kills it when it has read some of it.
fn kill_during_import(path: &Path, lines: &str, after: Duration) {
    let mut child = command();
    child.args(["kv", text(path), "import", "--format", "tsv", "--batch", "50", "-"]);
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let lines = lines.to_owned();
    let writer = thread::spawn(move || {
        let _ = pipe.write_all(lines.as_bytes());
        pipe // Held open: the import does not come to its end.
    });
    thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    drop(writer.join().unwrap());
}

#[test]
fn an_import_that_was_killed_is_run_again() {
    let dir = Dir::new();
    let path = dir.path("store");
    let entries: BTreeMap<String, String> = (0..20_000u64)
        .map(|n| (format!("{:016x}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15)), format!("{n}")))
        .collect();
    let lines: String = entries.iter().map(|(key, value)| format!("{key}\t{value}\n")).collect();
    let mut seen = Vec::new();
    for round in 0..8 {
        kill_during_import(&path, &lines, Duration::from_millis(15 * (round + 1)));
        if path.exists() {
            let count = kv(&path, &["count"]);
            seen.push(good(&count).trim().parse::<u64>().unwrap());
            assert_eq!(vista(&["check", text(&path)]).code, 0);
        }
    }
    // What was imported stays, whole batches of it.
    assert!(seen.is_sorted(), "{seen:?}");
    assert!(seen.iter().all(|count| count % 50 == 0), "{seen:?}");
    let said = with_stdin(&path, &["import", "-", "--format", "tsv"], lines.as_bytes());
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(good(&kv(&path, &["export", "--format", "tsv"])), lines);
    is_sound(&path);
}

#[test]
fn a_store_of_its_size_is_full_and_stays_whole() {
    let dir = Dir::new();
    let path = dir.path("store");
    let lines: String = (0..5000).map(|n| format!("key{n}\t{}\n", "x".repeat(200))).collect();
    let import = ["import", "-", "--format", "tsv", "--batch", "100", "--size", "256K", "--max-size", "512K"];
    let said = with_stdin(&path, &import, lines.as_bytes());
    said.is_refusal(&["no space for", "lines before that are in the store", "let it become longer"]);
    let count: u64 = good(&kv(&path, &["count"])).trim().parse().unwrap();
    assert!(count > 0 && count < 5000 && count.is_multiple_of(100), "{count}");
    assert!(fs::metadata(&path).unwrap().len() <= 512 << 10);
    is_sound(&path);
    // With more room it goes on.
    let said = with_stdin(&path, &["import", "-", "--format", "tsv"], lines.as_bytes());
    assert_eq!(good(&said), format!("5,000 lines: {} new, 0 replaced, {count} as they were\n", 5000 - count));
    is_sound(&path);
}

#[test]
fn a_full_disk_is_an_error_in_one_line() {
    let dir = Dir::new();
    let (path, file) = (dir.path("store"), dir.path("lines.tsv"));
    let lines: String = (0..20_000).map(|n| format!("key{n}\t{}\n", "x".repeat(200))).collect();
    fs::write(&file, &lines).unwrap();
    // A limit to the length of files stands for a disk without room.
    let limits = "trap '' XFSZ; ulimit -f 4096; exec \"$@\"";
    let limited = |args: &[&str]| {
        let mut command = Command::new("sh");
        command.args(["-c", limits, "sh", env!("CARGO_BIN_EXE_vista"), "kv", text(&path)]).args(args);
        said_of(command.stdin(Stdio::null()).output().unwrap())
    };
    let said = limited(&["import", text(&file)]);
    said.is_refusal(&["store", "lines before that are in the store"]);
    let count: u64 = good(&kv(&path, &["count"])).trim().parse().unwrap();
    assert!(count > 0 && count < 20_000, "{count}");
    is_sound(&path);
    limited(&["set", "a", "b", "--size", "1M"]);
    let large = dir.path("large");
    let mut command = Command::new("sh");
    command.args([
        "-c",
        limits,
        "sh",
        env!("CARGO_BIN_EXE_vista"),
        "kv",
        text(&large),
        "set",
        "a",
        "b",
        "--size",
        "64M",
    ]);
    said_of(command.output().unwrap()).is_refusal(&["large"]);
    assert!(!large.exists(), "the file appears whole or not at all");
    assert_eq!(kv(&path, &["import", text(&file)]).code, 0);
}

#[test]
fn what_is_no_store_is_refused() {
    let dir = Dir::new();
    let (list, missing, garbage) = (dir.path("list"), dir.path("missing"), dir.path("garbage"));
    make_segment(&list);
    let before = fs::read(&list).unwrap();
    fs::write(&garbage, [7; 100_000]).unwrap();
    let file = dir.path("a.tsv");
    fs::write(&file, "a\tb\n").unwrap();
    let actions: [&[&str]; 8] = [
        &["get", "a"],
        &["set", "a", "b"],
        &["del", "a"],
        &["scan"],
        &["count"],
        &["stat"],
        &["import", text(&file)],
        &["export"],
    ];
    for action in actions {
        for json in [&[][..], &["--json"]] {
            let action = &[action, json].concat();
            let is_refused = |path: &Path, mentions: &[&str]| {
                let said = kv(path, action);
                if json.is_empty() { said.is_refusal(mentions) } else { said.is_json_refusal(mentions) }
            };
            is_refused(
                &list,
                &[
                    "another type",
                    "found Root{count:u64@0,list:PPtr<Node>@8}",
                    "expected PBTreeMap<PBytes, PBytes>",
                    "open it with the program that made it",
                ],
            );
            is_refused(&garbage, &["garbage", "left as it is"]);
            if !["set", "import"].contains(&action[0]) {
                is_refused(&missing, &["missing", "is the path right?"]);
                assert!(!missing.exists());
            }
        }
    }
    let after = fs::read(&list).unwrap();
    let from = vista::layout::LOG_OFFSET as usize;
    assert!(after[from..] == before[from..], "the segment was changed");
    assert_eq!(vista(&["check", text(&list)]).code, 0);
}

#[test]
fn a_store_that_is_in_use_is_refused_or_waited_for() {
    let dir = Dir::new();
    let path = dir.path("store");
    good(&kv(&path, &["set", "a", "b"]));
    // An import that waits for more lines has it open.
    let mut child = command();
    child.args(["kv", text(&path), "import", "-", "--format", "tsv", "--batch", "1", "--wait", "20"]);
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(b"c\td\n").unwrap();
    let begun = Instant::now();
    while kv(&path, &["get", "a"]).code == 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "it was never opened");
    }
    for action in [&["get", "a"][..], &["set", "a", "c"], &["del", "a"], &["scan"], &["export"]] {
        kv(&path, action).is_refusal(&["in use by another owner", "end the process"]);
    }
    vista(&["dump", text(&path)]).is_refusal(&["in use by another owner"]);
    vista(&["recover", text(&path)]).is_refusal(&["in use by another owner"]);
    let waiting = {
        let path = path.clone();
        thread::spawn(move || kv(&path, &["get", "c", "--wait", "20"]))
    };
    drop(pipe);
    assert!(child.wait().unwrap().success());
    assert_eq!(good(&waiting.join().unwrap()), "d\n");
}

#[test]
fn who_reads_no_further_ends_it_quietly() {
    let dir = Dir::new();
    let path = dir.path("store");
    let lines: String = (0..50_000).map(|n| format!("key{n}\tvalue\n")).collect();
    good(&with_stdin(&path, &["import", "-", "--format", "tsv"], lines.as_bytes()));
    for action in [&["scan"][..], &["export"], &["scan", "--reverse"]] {
        let mut child = command();
        child.args(["kv", text(&path)]).args(action).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = child.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("key"));
        let said = said_of(child.wait_with_output().unwrap());
        assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{action:?}");
    }
}

#[test]
fn reading_changes_nothing() {
    let dir = Dir::new();
    let path = dir.path("store");
    good(&kv(&path, &["set", "a", "b"]));
    let before = fs::read(&path).unwrap();
    for action in [&["get", "a"][..], &["scan"], &["count"], &["stat"], &["export"]] {
        good(&kv(&path, action));
    }
    assert_eq!(fs::read(&path).unwrap(), before);
    // A file that may only be read.
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o444)).unwrap();
    assert_eq!(good(&kv(&path, &["get", "a"])), "b\n");
}

#[test]
fn a_wrong_command_is_refused_in_one_line() {
    let dir = Dir::new();
    let path = dir.path("store");
    for (args, mention) in [
        (&["get"][..], "<KEY>"),
        (&["del"], "<KEYS>"),
        (&["put", "a", "b"], "put"),
        (&["set", "a"], "<VALUE>"),
        (&["set", "a", "b", "--size", "much"], "65536, 64K"),
        (&["import", "-", "--batch", "0"], "--batch"),
        (&["import", "-", "--format", "xml"], "xml"),
        (&["scan", "--limit", "-1"], "-1"),
        (&["count", "--wait", "-1"], "-1"),
    ] {
        kv(&path, args).is_refusal(&[mention, "vista kv", "--help"]);
    }
    assert!(!path.exists());
}
