//! The index follows a directory.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use example_index::Index;
use example_index::update::{Options, Report, update};
use vista::rio::RegionOptions;

use crate::support::{expected, text, write_old};

fn index() -> Index {
    Index::create_on(RegionOptions::new().size(4 << 20).anonymous().unwrap()).unwrap()
}

#[test]
fn what_is_new_changed_or_gone_is_noticed_and_nothing_else_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    let mut texts = BTreeMap::new();
    for n in 0..50 {
        let (path, text) = (root.join(format!("{}/{n}.txt", n % 3)), text(&mut random));
        write_old(&path, &text, 0);
        texts.insert(path, text);
    }
    let mut index = index();
    let run = |index: &mut Index, all| {
        let options = Options { reads_all: all, ..Options::default() };
        update(index, &root, &options, |_| {}).unwrap()
    };
    assert_eq!(run(&mut index, false), Report { found: 50, added: 50, ..Report::default() });
    assert_eq!(index.contents().unwrap(), expected(&texts));
    assert_eq!(run(&mut index, false), Report { found: 50, unchanged: 50, ..Report::default() });
    assert_eq!(run(&mut index, true), Report { found: 50, same: 50, ..Report::default() });

    // The same length, another time and content; the same content, another time; gone; new.
    let path = |n: usize| root.join(format!("{}/{n}.txt", n % 3));
    write_old(&path(1), "x".repeat(texts[&path(1)].len()), 1);
    texts.insert(path(1), "x".repeat(texts[&path(1)].len()));
    write_old(&path(2), &texts[&path(2)], 1);
    fs::remove_file(path(3)).unwrap();
    texts.remove(&path(3));
    write_old(&path(50), "new", 0);
    texts.insert(path(50), "new".into());
    let report = run(&mut index, false);
    let wanted =
        Report { found: 50, unchanged: 47, changed: 1, same: 1, added: 1, removed: 1, ..Report::default() };
    assert_eq!(Report { forgotten_words: 0, ..report }, wanted);
    assert_eq!(index.contents().unwrap(), expected(&texts));
    assert_eq!(index.check().unwrap(), Vec::<String>::new());

    // A part of it by itself takes out nothing of the others.
    fs::remove_dir_all(root.join("0")).unwrap();
    assert_eq!(update(&mut index, &root.join("1"), &Options::default(), |_| {}).unwrap().removed, 0);
    assert_eq!(run(&mut index, false).removed, 16);
}

#[test]
fn a_file_that_was_changed_a_moment_ago_is_read_once_more() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("text");
    fs::write(&path, "one two").unwrap();
    let written = fs::metadata(&path).unwrap().modified().unwrap();
    let mut index = index();
    update(&mut index, dir.path(), &Options::default(), |_| {}).unwrap();
    // Changed within a tick of the file system's clock: length and time are what they were.
    fs::write(&path, "two one").unwrap();
    fs::write(&path, "one six").unwrap();
    fs::File::options().append(true).open(&path).unwrap().set_modified(written).unwrap();
    let report = update(&mut index, dir.path(), &Options::default(), |_| {}).unwrap();
    assert_eq!(report.changed, 1);
    assert_eq!(index.query("six", 9).unwrap().1, 1);
    assert_eq!(index.query("two", 9).unwrap().1, 0);
}

#[test]
fn what_is_no_text_is_counted_and_not_read_again_and_links_end() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    write_old(&root.join("text"), "word", 0);
    write_old(&root.join("zero"), b"word\0word", 0);
    write_old(&root.join("latin"), b"caf\xe9 word", 0);
    write_old(&root.join("long"), "word ".repeat(1000), 0);
    fs::create_dir(root.join("below")).unwrap();
    symlink(root, root.join("below/above")).unwrap();
    symlink(root.join("nowhere"), root.join("broken")).unwrap();
    symlink(root.join("text"), root.join("link")).unwrap();
    let options = Options { file_len_max: 1000, ..Options::default() };
    let mut index = index();
    let first = update(&mut index, root, &options, |_| {}).unwrap();
    assert_eq!(first, Report { found: 4, added: 4, binary: 2, too_long: 1, ..Report::default() });
    let second = update(&mut index, root, &options, |_| {}).unwrap();
    assert_eq!(second, Report { found: 4, unchanged: 4, ..Report::default() });
    assert_eq!(index.query("WORD", 9).unwrap().1, 1);
    let stats = index.stats().unwrap();
    assert_eq!((stats.text_files, stats.skipped_files, stats.words), (1, 3, 1));

    let options = Options { follows_links: true, ..options };
    let followed = update(&mut index, root, &options, |_| {}).unwrap();
    assert_eq!((followed.found, followed.added, followed.unreadable), (5, 1, 0));
}

fn run(file: &std::path::Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_example-index"));
    command.arg("--file").arg(file).args(arguments).output().unwrap()
}

#[test]
fn the_command_updates_and_answers() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    write_old(&root.join("one"), "apple pear apple", 0);
    write_old(&root.join("two"), "pear plum", 0);
    // The index lies in the directory itself, and is left out.
    let file = root.join("index.vista");
    let dir = root.to_str().unwrap();
    let updated = run(&file, &["update", dir]);
    assert!(updated.status.success(), "{updated:?}");
    assert!(String::from_utf8_lossy(&updated.stdout).contains("\"added\": 2,"), "{updated:?}");

    let found = run(&file, &["query", "pear"]);
    let lines = String::from_utf8(found.stdout).unwrap();
    assert_eq!(lines, format!("       1 {dir}/one\n       1 {dir}/two\n"));
    let found = run(&file, &["query", "--json", "Apple", "pear"]);
    let found: serde_json::Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(found, serde_json::json!([{ "path": format!("{dir}/one"), "count": 3 }]));
    assert_eq!(run(&file, &["query", "apple", "plum"]).status.code(), Some(1));
    let checked = run(&file, &["check"]);
    assert!(checked.status.success(), "{checked:?}");
    assert_eq!(String::from_utf8_lossy(&checked.stdout), "sound: 2 files with 3 words\n");
    assert_eq!(run(&root.join("nothing"), &["query", "apple"]).status.code(), Some(2));
    assert_eq!(run(&file, &["update", "/nowhere/at/all"]).status.code(), Some(2));
}

#[test]
fn the_command_waits_for_an_owner_that_is_about_to_go() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("index.vista");
    let owner = Index::open_or_create(&file, 1 << 30).unwrap();
    let going = thread::spawn(move || {
        thread::sleep(Duration::from_millis(200));
        owner.close().unwrap();
    });
    let checked = run(&file, &["check"]);
    assert!(checked.status.success(), "{checked:?}");
    going.join().unwrap();
}
