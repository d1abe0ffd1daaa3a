//! Completions, man pages and help.

use std::fs;

use crate::support::{Dir, text, vista};

const COMMANDS: [&str; 9] =
    ["demo", "info", "check", "dump", "recover", "stress", "bench", "kv", "completions"];

#[test]
fn completions_know_every_command_and_no_hidden_one() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = vista(&["completions", shell]);
        assert_eq!((said.code, said.stderr.as_str()), (0, ""));
        for command in COMMANDS {
            assert!(said.stdout.contains(command), "{shell}: {command}");
        }
    }
    let said = vista(&["completions", "nushell"]);
    said.is_refusal(&["nushell", "bash", "vista completions --help"]);
}

#[test]
fn there_is_a_man_page_for_every_command() {
    let dir = Dir::new();
    let man = dir.path("man/man1");
    let said = vista(&["man", text(&man)]);
    assert_eq!((said.code, said.stdout.as_str(), said.stderr.as_str()), (0, "", ""));
    let page =
        |name: &str| fs::read_to_string(man.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(page("vista.1").contains(".TH vista 1"));
    for command in COMMANDS {
        assert!(page(&format!("vista-{command}.1")).contains("Exit codes"), "{command}");
    }
    assert!(page("vista-kv-import.1").contains("batch"));
    assert!(!man.join("vista-demo-worker.1").exists(), "what is hidden has no page");

    let file = dir.path("file");
    fs::write(&file, "").unwrap();
    vista(&["man", text(&file)]).is_refusal(&["file: write a man page"]);
}

#[test]
fn every_command_has_help_with_its_exit_codes() {
    for command in COMMANDS {
        let help = vista(&[command, "--help"]);
        assert_eq!(help.code, 0);
        assert!(help.stdout.contains("Exit codes"), "{command}: {}", help.stdout);
        if command != "completions" {
            assert!(help.stdout.contains("--json"), "{command}: {}", help.stdout);
        }
    }
}
