//! Opening and fragmentation run, and check what they measure.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use benches::recovery::{self, patient};
use benches::{fragmentation, opening};

use crate::files;

#[test]
fn opening_rolls_back_what_a_killed_process_left() {
    let files = files();
    let kill = |path: &Path| {
        let program = env!("CARGO_BIN_EXE_benches");
        let status = Command::new(program).arg("die").arg(path).status().unwrap();
        assert_eq!(status.signal(), Some(9));
    };
    let opening = opening::measure(&files.path(), 16 << 20, 2, kill).unwrap();
    assert_eq!(opening.byte_count, 1 << 20);
}

#[test]
fn a_log_of_any_length_is_recovered() {
    let files = files();
    for bytes in [4096, 1 << 20] {
        let dir = files.path();
        std::fs::create_dir(&dir).unwrap();
        let kill = || {
            let program = env!("CARGO_BIN_EXE_benches");
            let mut command = Command::new(program);
            command.arg("die-by-engine").arg(&dir).args(["vista", &bytes.to_string()]);
            assert_eq!(command.status().unwrap().signal(), Some(9));
        };
        let recovery = recovery::measure(patient("vista"), &dir, bytes, 1, kill);
        assert_eq!(recovery.log_bytes, bytes);
    }
}

#[test]
fn the_heap_is_empty_after_its_history() {
    let files = files();
    let phases = fragmentation::measure(&files.path(), 1 << 20).unwrap();
    let last = phases.last().unwrap();
    assert_eq!((last.asked, last.block_count), (0, 0));
}
