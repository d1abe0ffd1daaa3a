//! The process that updates, killed: what it told of is in the index, the rest is as it was, and the next one goes on.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use example_index::Index;
use example_index::update::{Options, update};

use crate::support::{dir as temporary_dir, expected, text, write_old};

/// Texts on the disk, and all that ever stood in each file since the index was last known to be complete: any of these may be
/// what the index has.
#[derive(Default)]
struct Texts {
    now: BTreeMap<PathBuf, String>,
    ever: BTreeMap<PathBuf, Vec<Option<String>>>,
    changes: u64,
}

impl Texts {
    fn write(&mut self, path: PathBuf, text: String) {
        self.changes += 1;
        write_old(&path, &text, self.changes);
        self.ever.entry(path.clone()).or_insert_with(|| vec![None]).push(Some(text.clone()));
        self.now.insert(path, text);
    }

    fn remove(&mut self, path: &Path) {
        fs::remove_file(path).unwrap();
        self.now.remove(path);
        self.ever.get_mut(path).unwrap().push(None);
    }

    /// What was told is in the index: an older content is no excuse from here on.
    fn settle(&mut self, path: &Path) {
        self.ever.insert(path.to_owned(), vec![self.now.get(path).cloned()]);
    }
}

#[test]
fn what_was_told_of_is_there_and_the_rest_is_whole_through_kills_at_any_time() {
    let dir = temporary_dir();
    let (root, file) = (dir.path().canonicalize().unwrap().join("texts"), dir.path().join("index"));
    fs::create_dir(&root).unwrap();
    let mut random = fastrand::Rng::with_seed(3);
    let mut texts = Texts::default();
    for n in 0..300 {
        texts.write(root.join(format!("{n}")), text(&mut random));
    }
    let mut told_count = 0;
    for round in 0..25 {
        told_count +=
            update_and_kill(&root, &file, Duration::from_micros(random.u64(500..40_000)), &mut texts);
        check(&file, &texts);
        for n in 0..20 {
            let known: Vec<&PathBuf> = texts.now.keys().collect();
            let path = (*random.choice(&known).unwrap()).clone();
            match random.u8(0..4) {
                0 => texts.remove(&path),
                1 => texts.write(root.join(format!("{round}-{n}")), text(&mut random)),
                _ => texts.write(path, text(&mut random)),
            }
        }
    }
    assert!(told_count > 100, "the kills left time to work: {told_count}");

    let mut index = Index::open_or_create(&file, 1 << 30).unwrap();
    update(&mut index, &root, &Options::default(), |_| {}).unwrap();
    assert_eq!(index.contents().unwrap(), expected(&texts.now));
    assert_eq!(index.check().unwrap(), Vec::<String>::new());
    index.close().unwrap();
}

/// Starts an update, kills it after a time, and gives how many files it told of.
fn update_and_kill(root: &Path, file: &Path, delay: Duration, texts: &mut Texts) -> usize {
    let mut command = Command::new(env!("CARGO_BIN_EXE_example-index"));
    command.arg("--file").arg(file).arg("update").arg("--list").arg(root);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let killer = std::thread::spawn(move || {
        std::thread::sleep(delay);
        child.kill().unwrap();
        child.wait().unwrap();
    });
    let mut count = 0;
    for line in output.split(b'\n') {
        let line = String::from_utf8(line.unwrap()).unwrap();
        let Some((verb, path)) = line.split_once(' ') else { continue };
        let path = Path::new(path);
        // The last line may be cut off: then it names another file, or none.
        if !matches!(verb, "put" | "same" | "removed") || !texts.ever.contains_key(path) {
            continue;
        }
        count += 1;
        texts.settle(path);
    }
    killer.join().unwrap();
    count
}

/// Each file of the index has one of the contents that it may have; all of it, and nothing else.
fn check(file: &Path, texts: &Texts) {
    if !file.exists() {
        return; // Killed before there was one.
    }
    let index = Index::open(file).unwrap();
    assert_eq!(index.check().unwrap(), Vec::<String>::new());
    let found = index.contents().unwrap();
    for (path, ever) in &texts.ever {
        let found = found.get(path.as_os_str().as_bytes());
        let is_one = ever.iter().any(|text| {
            let one: Option<BTreeMap<PathBuf, String>> =
                text.as_ref().map(|text| BTreeMap::from([(path.clone(), text.clone())]));
            found == one.as_ref().map(expected).and_then(|files| files.into_values().next()).as_ref()
        });
        assert!(is_one, "{}: {found:?} is none of {ever:?}", path.display());
    }
    assert!(found.len() <= texts.ever.len());
    index.close().unwrap();
}
