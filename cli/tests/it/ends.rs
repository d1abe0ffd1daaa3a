//! A limit on files, and an interrupt, in the middle: nothing is left that nobody asked for, and nothing by half.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{iter, thread};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Dir, Said, command, said_of, text, vista};

/// Runs `vista` where no file may become longer than so many units of 512 bytes.
fn limited(units: u32, args: &[&str]) -> Said {
    let script = format!("ulimit -f {units}; exec \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_vista")]).args(args);
    said_of(command.stdin(Stdio::null()).output().unwrap())
}

/// The names in a directory.
fn names(directory: &Path) -> Vec<String> {
    let names =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

fn lines(count: u32) -> String {
    (0..count).map(|n| format!("key{n}\tvalue {n}\n")).collect()
}

#[test]
fn a_limit_on_files_is_an_error_and_not_the_end() {
    let dir = Dir::new();
    let (store, file, out) = (dir.path("store"), dir.path("lines.tsv"), dir.path("out.tsv"));
    fs::write(&file, lines(20_000)).unwrap();
    let import = ["kv", text(&store), "import", text(&file), "--size", "256K"];
    limited(1024, &import).is_refusal(&["no space", "lines before that are in the store"]);
    assert_eq!(vista(&["check", text(&store)]).code, 0);
    assert_eq!(vista(&import).code, 0);
    limited(64, &["kv", text(&store), "export", text(&out)]).is_refusal(&["out.tsv", "ulimit -f"]);
    let export = ["kv", text(&store), "export", text(&out), "--json"];
    limited(64, &export).is_json_refusal(&["out.tsv", "ulimit -f"]);
    limited(8, &["kv", text(&dir.path("new")), "set", "a", "b"]).is_refusal(&["new", "no space"]);
    assert_eq!(names(&dir.path(".")), ["lines.tsv", "store"], "nothing else is left");
}

fn start(args: &[&str]) -> Child {
    command().args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Interrupts a run as soon as something is there to be interrupted.
fn interrupt_when(mut child: Child, is_time: impl Fn() -> bool) -> std::process::ExitStatus {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_time() && child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "it does not begin");
        thread::sleep(Duration::from_millis(1));
    }
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    child.wait().unwrap()
}

#[test]
fn an_interrupted_import_leaves_whole_batches() {
    let dir = Dir::new();
    let (store, file) = (dir.path("store"), dir.path("lines.tsv"));
    let count = 200_000;
    fs::write(&file, lines(count)).unwrap();
    let import = ["kv", text(&store), "import", text(&file), "--batch", "10"];
    interrupt_when(start(&import), || store.exists());
    let check = vista(&["check", text(&store)]);
    assert_eq!(check.code, 0, "{}", check.stdout);
    let found = vista(&["kv", text(&store), "count"]).stdout;
    let found: u32 = found.trim().parse().unwrap();
    assert!(found <= count && found.is_multiple_of(10), "{found}");
    assert_eq!(names(&dir.path(".")), ["lines.tsv", "store"]);
}

#[test]
fn an_interrupted_export_leaves_nothing() {
    let dir = Dir::new();
    let (store, file, out) = (dir.path("store"), dir.path("lines.tsv"), dir.path("out.tsv"));
    fs::write(&file, lines(200_000)).unwrap();
    assert_eq!(vista(&["kv", text(&store), "import", text(&file)]).code, 0);
    // By the time that there is a file, its removal is arranged.
    let has_begun = || {
        let written = names(&dir.path(".")).into_iter().find(|name| name.starts_with(".tmp"));
        written.is_some_and(|name| fs::metadata(dir.path(&name)).is_ok_and(|file| file.len() > 0))
    };
    let status = interrupt_when(start(&["kv", text(&store), "export", text(&out)]), has_begun);
    let left = names(&dir.path("."));
    assert!(left.iter().all(|name| !name.starts_with(".tmp")), "{left:?}");
    assert_eq!(out.exists(), status.success(), "whole or not at all");
}

#[test]
fn interrupted_kills_leave_no_process_and_no_file() {
    let dir = Dir::new();
    let bank = dir.path("bank");
    let args = ["stress", "--crashes", "1000", "--seconds", "100", "--path", text(&bank)];
    let status = interrupt_when(start(&args), || bank.exists());
    assert_eq!(status.code(), Some(130));
    // What was asked for by its path is kept, and the child ends soon: then nobody owns it.
    let sound = iter::repeat_with(|| {
        thread::sleep(Duration::from_millis(20));
        vista(&["check", text(&bank)])
    });
    let last = sound.take(200).find(|said| said.code != 2).expect("the child ends");
    assert_eq!(last.code, 0, "{}", last.stdout);
}

#[test]
fn two_at_once_wait_for_each_other_if_they_may() {
    let dir = Dir::new();
    let store = dir.path("store");
    assert_eq!(vista(&["kv", text(&store), "set", "first", "1"]).code, 0);
    let writers: Vec<_> = (0..6)
        .map(|number| {
            let (key, value) = (format!("key{number}"), number.to_string());
            start(&["kv", text(&store), "set", &key, &value, "--wait", "30"])
        })
        .collect();
    for mut writer in writers {
        assert!(writer.wait().unwrap().success());
    }
    assert_eq!(vista(&["kv", text(&store), "count"]).stdout, "7\n");
    assert_eq!(vista(&["check", text(&store)]).code, 0);
}
