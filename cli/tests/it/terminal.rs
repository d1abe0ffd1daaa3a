//! What only a terminal gets: colours and bars. The tests run the binary on a pseudo-terminal.

use std::fs::File;
use std::io::Read;
use std::process::Stdio;
use std::thread;

use nix::pty::{Winsize, openpty};

use crate::support::{Dir, command, make_segment, text};

/// What the binary writes to a terminal of 80 columns.
fn on_terminal(args: &[&str], variables: &[(&str, &str)]) -> (i32, String) {
    let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = openpty(&size, None).unwrap();
    let slave = |fd: &std::os::fd::OwnedFd| Stdio::from(fd.try_clone().unwrap());
    let mut command = command();
    command.args(args).env_remove("NO_COLOR").env("TERM", "xterm-256color").envs(variables.iter().copied());
    let mut child = command.stdout(slave(&pty.slave)).stderr(slave(&pty.slave)).spawn().unwrap();
    // The commands hold the other end too, and so it would never come to its end.
    drop((command, pty.slave));
    let mut master = File::from(pty.master);
    let reader = thread::spawn(move || {
        let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
        // At the end there is an error in place of an end.
        while let Ok(count @ 1..) = master.read(&mut buffer) {
            text.extend_from_slice(&buffer[..count]);
        }
        text
    });
    let code = child.wait().unwrap().code().unwrap();
    (code, String::from_utf8(reader.join().unwrap()).unwrap())
}

#[test]
fn a_terminal_gets_colours_unless_it_does_not_want_them() {
    let dir = Dir::new();
    let path = dir.path("list");
    make_segment(&path);
    for command in ["dump", "check", "recover"] {
        let args = [command, text(&path)];
        let is_coloured = |variables: &[(&str, &str)]| {
            let (code, said) = on_terminal(&args, variables);
            assert_eq!(code, 0, "{said}");
            said.contains('\u{1b}')
        };
        assert!(is_coloured(&[]), "{command}");
        assert!(is_coloured(&[("NO_COLOR", "")]), "{command}: an empty one means nothing");
        assert!(!is_coloured(&[("NO_COLOR", "1")]), "{command}");
        assert!(!is_coloured(&[("TERM", "dumb")]), "{command}");
        let (_, said) = on_terminal(&[&args[..], &["--color", "never"]].concat(), &[]);
        assert!(!said.contains('\u{1b}'), "{command}");
    }
}

#[test]
fn a_picture_is_as_wide_as_the_terminal_lets_it() {
    let dir = Dir::new();
    let path = dir.path("list");
    make_segment(&path);
    let (_, said) = on_terminal(&["dump", "--heap", text(&path)], &[("NO_COLOR", "1")]);
    assert!(said.lines().all(|line| line.trim_end().len() <= 80), "{said}");
    assert!(said.lines().any(|line| line.trim_end().len() == 80), "{said}");
}

#[test]
fn a_long_import_has_a_bar() {
    let dir = Dir::new();
    let (path, file) = (dir.path("store"), dir.path("lines.tsv"));
    let lines: String = (0..30_000).map(|n| format!("key{n}\tvalue\n")).collect();
    std::fs::write(&file, lines).unwrap();
    let import = ["kv", text(&path), "import", text(&file), "--batch", "10"];
    let (code, said) = on_terminal(&import, &[]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains('█') && said.contains("30,000 lines: 30000 new"), "{said}");
    let (code, said) = on_terminal(&[&import[..], &["--json"]].concat(), &[]);
    assert!(code == 0 && !said.contains('█'), "{said}");
}
