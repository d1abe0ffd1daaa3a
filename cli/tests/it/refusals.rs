//! What cannot be opened is refused in one line, and what nobody reads is not written.

use std::fs;
use std::process::Stdio;

use vista::Segment;

use crate::support::{Dir, Root, command, make_segment, text, vista};

#[test]
fn what_is_no_segment_is_refused_in_one_line() {
    let dir = Dir::new();
    let whole = dir.path("whole");
    make_segment(&whole);
    let bytes = fs::read(&whole).unwrap();
    let mut damaged = bytes.clone();
    // Both copies of the region's header are alike, so both have to go.
    damaged[..8192].iter_mut().for_each(|byte| *byte ^= 0x5a);
    let files: [(&str, &[u8], &str); 6] = [
        ("empty", &[], "found"),
        ("a byte", &[7], "found"),
        ("garbage", &[0xab; 100_000], "found"),
        ("zeroes", &[0; 100_000], "found"),
        ("truncated", &bytes[..bytes.len() / 2], "found"),
        ("damaged", &damaged, "found"),
    ];
    for (name, content, mention) in files {
        let path = dir.path(name);
        fs::write(&path, content).unwrap();
        for command in ["info", "check", "dump", "recover"] {
            let mentions = [name, mention, "the file was left as it is"];
            vista(&[command, text(&path)]).is_refusal(&mentions);
            vista(&[command, text(&path), "--json"]).is_json_refusal(&mentions);
        }
        assert_eq!(fs::read(&path).unwrap(), content);
    }
}

#[test]
fn what_is_no_file_or_not_there_is_refused_in_one_line() {
    let dir = Dir::new();
    let missing = dir.path("missing");
    let directory = dir.path(".");
    for command in ["info", "check", "dump", "recover"] {
        vista(&[command, text(&missing)]).is_refusal(&["missing: open failed", "is the path right?"]);
        vista(&[command, text(&directory)]).is_refusal(&[text(&directory)]);
        vista(&[command, "/dev/null"]).is_refusal(&["/dev/null"]);
    }
    assert!(!missing.exists());
}

#[test]
fn a_segment_that_is_open_elsewhere_is_refused() {
    let dir = Dir::new();
    let path = dir.path("list");
    make_segment(&path);
    let owner = Segment::<Root>::open(&path).unwrap();
    for command in ["info", "check", "dump", "recover"] {
        vista(&[command, text(&path)]).is_refusal(&["in use by another owner", "end the process"]);
    }
    owner.close().unwrap();
    assert_eq!(vista(&["check", text(&path)]).code, 0);
}

#[test]
fn a_wrong_command_is_refused_in_one_line_and_none_with_the_usage() {
    for args in [
        &["info"][..],
        &["dump"],
        &["kv", "x"],
        &["stress", "--structure", "tree"],
        &["nothing"],
        &["demo", "--crashes", "0"],
        &["demo", "--scale", "0"],
    ] {
        vista(args).is_refusal(&["--help"]);
    }
    let said = vista(&[]);
    assert_eq!((said.code, said.stdout.as_str()), (2, ""));
    assert!(said.stderr.contains("Usage"), "{}", said.stderr);
}

#[test]
fn help_and_version_are_there() {
    let help = vista(&["--help"]);
    assert_eq!(help.code, 0);
    assert!(help.stdout.contains("vista demo") && help.stdout.contains("Exit codes"), "{}", help.stdout);
    assert!(!help.stdout.contains("worker"), "{}", help.stdout);
    for command in ["demo", "info", "check"] {
        assert!(vista(&[command, "--help"]).stdout.contains("Exit codes"));
    }
    assert_eq!(vista(&["--version"]).stdout, format!("vista {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_reader_who_has_gone_is_no_error() {
    let dir = Dir::new();
    let (path, bank) = (dir.path("list"), dir.path("bank"));
    make_segment(&path);
    let demo = ["demo", "--crashes", "2", "--scale", "1", "--seconds", "0.1", "--path", text(&bank)];
    let look = |command| [command, text(&path)];
    for args in [
        &look("info")[..],
        &look("check"),
        &look("dump"),
        &look("recover"),
        &["info", "--json", text(&path)],
        &["completions", "bash"],
        &demo,
    ] {
        let mut child = command().args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn who_asked_for_json_is_told_of_errors_in_json() {
    let dir = Dir::new();
    let (missing, below) = (dir.path("missing"), dir.path("missing/below"));
    for action in
        [&["get", "a"][..], &["del", "a"], &["scan"], &["count"], &["stat"], &["export"], &["import", "x"]]
    {
        vista(&[&["kv", text(&missing)], action, &["--json"]].concat()).is_json_refusal(&["No such file"]);
    }
    for command in ["demo", "stress"] {
        let args = [command, "--json", "--crashes", "1", "--path", text(&below)];
        vista(&args).is_json_refusal(&["No such file"]);
    }
    vista(&["check", "--jsn", "--json"]).is_json_refusal(&["--jsn", "vista check --help"]);
    vista(&["bench", "--json", "--seconds"]).is_json_refusal(&["vista bench --help"]);
    // What stands behind the two dashes is a value.
    vista(&["kv", text(&missing), "set", "--", "--json"]).is_refusal(&["required"]);
}

#[test]
fn what_a_terminal_would_obey_in_the_name_of_a_file_is_written_out() {
    let said = vista(&["check", "no\nsuch\u{1b}[31m file"]);
    said.is_refusal(&["no such\\u{1b}[31m file: open failed"]);
}
