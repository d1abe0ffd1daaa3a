//! Running the binary, and making segments to look at.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;
use vista::{PPtr, Persistent, Segment};

/// What a run of the binary has said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vista"));
    command.stdin(Stdio::null());
    command
}

/// Runs `vista` to its end. It may not panic, whatever happens.
pub(crate) fn vista(args: &[&str]) -> Said {
    said_of(command().args(args).output().unwrap())
}

/// What a run has said.
pub(crate) fn said_of(output: Output) -> Said {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let said = Said {
        code: output.status.code().unwrap(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    };
    assert!(!said.stderr.contains("panicked"), "{}", said.stderr);
    said
}

impl Said {
    /// One line on stderr that mentions all of this, nothing on stdout, and exit code 2.
    #[track_caller]
    pub(crate) fn is_refusal(&self, mentions: &[&str]) {
        assert_eq!(self.code, 2, "{}{}", self.stdout, self.stderr);
        assert_eq!((self.stdout.as_str(), self.stderr.lines().count()), ("", 1), "{}", self.stderr);
        for mention in mentions {
            assert!(self.stderr.contains(mention), "{mention:?} is not in: {}", self.stderr);
        }
    }

    /// The same where JSON was asked for: a document on stdout has the line too.
    #[track_caller]
    pub(crate) fn is_json_refusal(&self, mentions: &[&str]) {
        let json = self.json();
        let error = json["error"].as_str().unwrap();
        assert_eq!(self.stderr, format!("vista: {error}\n"));
        Said { code: self.code, stdout: String::new(), stderr: self.stderr.clone() }.is_refusal(mentions);
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

pub(crate) struct Dir(TempDir);

impl Dir {
    pub(crate) fn new() -> Dir {
        Dir(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A root to look at.
#[derive(Clone, Copy, Persistent)]
#[repr(C)]
pub(crate) struct Root {
    pub(crate) count: u64,
    pub(crate) list: PPtr<Node>,
}

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
pub(crate) struct Node {
    pub(crate) value: u64,
    pub(crate) next: PPtr<Node>,
}

/// Makes a segment with a few hundred blocks, and closes it.
pub(crate) fn make_segment(path: &Path) {
    let mut segment = Segment::<Root>::create(path, 1 << 20).unwrap();
    for value in 0..300 {
        segment.transaction(|tx| push(tx, value)).unwrap();
    }
    segment.close().unwrap();
}

fn push(tx: &mut vista::Transaction<'_, Root>, value: u64) -> vista::Result<()> {
    let next = tx.root().list;
    let list = tx.alloc(Node { value, next })?;
    let root = tx.root_mut()?;
    (root.list, root.count) = (list, root.count + 1);
    Ok(())
}

const PATH_VARIABLE: &str = "VISTA_TEST_DIES_IN_TRANSACTION";

/// Lets a process die in the middle of a transaction on this segment.
pub(crate) fn die_in_transaction(path: &Path) {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "support::a_process_that_dies_in_a_transaction"])
        .env(PATH_VARIABLE, path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(6), "it aborts: {status}");
}

/// Does nothing, unless it is run as a process of its own by [`die_in_transaction`].
#[test]
fn a_process_that_dies_in_a_transaction() {
    let Some(path) = std::env::var_os(PATH_VARIABLE) else { return };
    let mut segment = Segment::<Root>::open(path).unwrap();
    let mut tx = segment.begin().unwrap();
    push(&mut tx, 300).unwrap();
    std::process::abort();
}
