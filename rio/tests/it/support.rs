//! Files on a disk and in memory, child processes, and headers patched by hand: by the numbers of the format, not
//! by the library's own structs, so that a change of the format without notice fails here.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

pub(crate) const COPY_LEN: usize = 4096;
pub(crate) const VERSION_AT: usize = 12;
pub(crate) const LEN_AT: usize = 16;
pub(crate) const BOOT_ID_AT: usize = 48;
pub(crate) const STATE_AT: usize = 64;
pub(crate) const BACKING_AT: usize = 66;
pub(crate) const SURVIVES_AT: usize = 67;
const CRC_AT: usize = 124;

/// First byte of a region that is the user's.
pub(crate) const USER: u64 = rio::HEADER_LEN;

/// A directory on a disk (or wherever the build lies).
pub(crate) fn disk() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// A directory in memory, where there is one.
pub(crate) fn memory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| disk())
}

/// Runs the check on both.
pub(crate) fn everywhere(check: impl Fn(&Path)) {
    for dir in [disk(), memory()] {
        check(dir.path());
    }
}

/// Changes both copies of the header and mends their checksums.
pub(crate) fn patch(path: &Path, change: impl Fn(&mut [u8])) {
    let mut bytes = fs::read(path).unwrap();
    for copy in bytes[..2 * COPY_LEN].chunks_mut(COPY_LEN) {
        change(copy);
        let crc = crc32fast::hash(&copy[..CRC_AT]);
        copy[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_ne_bytes());
    }
    fs::write(path, bytes).unwrap();
}

/// A file as its owner would leave it by dying: a copy made while it is open.
pub(crate) fn left_open(dir: &Path, options: &rio::RegionOptions) -> PathBuf {
    let (path, copy) = (dir.join("open"), dir.join("left"));
    let mut region = options.clone().size(64 << 10).create(&path).unwrap();
    region.bytes_mut(USER..USER + 4).unwrap().copy_from_slice(b"kept");
    fs::copy(&path, &copy).unwrap();
    region.close().unwrap();
    fs::remove_file(&path).unwrap();
    copy
}

const ROLE: &str = "RIO_TEST_ROLE";
const PATH: &str = "RIO_TEST_PATH";

/// The role that this process plays for a test in another process, and the path that it is about.
pub(crate) fn role() -> Option<(String, PathBuf)> {
    Some((std::env::var(ROLE).ok()?, PathBuf::from(std::env::var_os(PATH)?)))
}

/// This program once more, to run one test in a role.
pub(crate) fn child(test: &str, role: &str, path: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]);
    as_child(command, role, path)
}

/// The same, under limits that the shell sets first.
pub(crate) fn child_under(limits: &str, test: &str, role: &str, path: &Path) -> Command {
    let mut command = Command::new("sh");
    let script = format!("{limits}; exec \"$0\" --exact {test} --nocapture");
    command.arg("-c").arg(script).arg(std::env::current_exe().unwrap());
    as_child(command, role, path)
}

fn as_child(mut command: Command, role: &str, path: &Path) -> Command {
    command.env(ROLE, role).env(PATH, path);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Tells the parent something, and that the child got here.
pub(crate) fn tell(word: &str) {
    println!("\nchild: {word}");
}

/// Starts the child and waits until it tells something.
pub(crate) fn start(mut command: Command) -> (Child, String) {
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut words =
        lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("child: ").map(str::to_owned));
    let word = words.next();
    (child, word.expect("the child ended before it told anything"))
}

/// Runs the child to its end, which shall be a good one.
pub(crate) fn run(mut command: Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Sleeps until it is killed.
pub(crate) fn wait_for_the_end() -> ! {
    loop {
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
}
