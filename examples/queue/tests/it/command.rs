//! The command line: what it prints, what it refuses, and what becomes of commands that fail.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use example_queue::{Options, Queue};

use crate::support::dir;

fn run(file: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_example-queue"));
    command.arg("--file").arg(file).args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_job_goes_from_push_to_ack() {
    let dir = dir();
    let file = dir.path().join("queue");
    assert_eq!(text(&run(&file, &["push", "one", "two"])), "1\n2\n");
    let taken = run(&file, &["take", "--visibility", "1h"]);
    assert_eq!(text(&taken), "{\"attempt\":1,\"id\":1,\"payload\":\"one\"}\n");
    assert!(run(&file, &["extend", "1", "--visibility", "2h"]).status.success());
    assert_eq!(run(&file, &["ack", "1", "--attempt", "2"]).status.code(), Some(1));
    assert!(run(&file, &["ack", "1", "--attempt", "1"]).status.success());
    let twice = run(&file, &["ack", "1"]);
    assert_eq!(twice.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&twice.stderr),
        "example-queue: job 1: there is none, or it is acknowledged\n"
    );

    assert!(text(&run(&file, &["take"])).contains("two"));
    assert!(run(&file, &["nack", "2", "--reason", "later", "--delay", "1h"]).status.success());
    assert_eq!(run(&file, &["take"]).status.code(), Some(1), "it waits for an hour");
    let stats: example_stats::Stats = serde_json::from_str(&text(&run(&file, &["stats"]))).unwrap();
    assert_eq!((stats.waiting, stats.acked, stats.pushed), (1, 1, 2));
}

mod example_stats {
    #[derive(serde::Deserialize)]
    pub(crate) struct Stats {
        pub(crate) waiting: u64,
        pub(crate) acked: u64,
        pub(crate) pushed: u64,
    }
}

#[test]
fn each_line_is_a_job_whose_number_is_told_when_it_is_safe() {
    let dir = dir();
    let file = dir.path().join("queue");
    let mut command = Command::new(env!("CARGO_BIN_EXE_example-queue"));
    let child = command.arg("--file").arg(&file).args(["push", "--lines"]);
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"one\ntwo\n").unwrap();
    assert_eq!(text(&child.wait_with_output().unwrap()), "1\n2\n");
}

#[test]
fn what_fails_or_takes_too_long_is_tried_again_and_then_given_up() {
    let dir = dir();
    let file = dir.path().join("queue");
    run(&file, &["push", "good", "bad", "slow"]);
    let script = r#"case "$(cat)" in bad) exit 3;; slow) sleep 60;; esac"#;
    let options = ["--max-attempts", "2", "work", "--until-empty", "--timeout", "1s", "--backoff", "1ms"];
    let worked = run(&file, &[&options[..], &["--poll", "1ms", "--", "sh", "-c", script]].concat());
    let told = String::from_utf8_lossy(&worked.stderr).into_owned();
    assert!(worked.status.success() && told.ends_with("1 jobs done, 4 attempts failed\n"), "{told}");

    let queue = Queue::open(&file, &Options::default()).unwrap();
    let reasons: Vec<(u64, u32, String)> =
        queue.dead().unwrap().into_iter().map(|job| (job.id, job.attempts, job.reason)).collect();
    let expected = [(2, 2, "exit status: 3".to_owned()), (3, 2, "timed out after 1s".to_owned())];
    assert_eq!(reasons, expected);
    queue.close().unwrap();

    assert_eq!(text(&run(&file, &["dead"])).lines().count(), 2);
    assert!(run(&file, &["dead", "--requeue", "2", "--discard", "3"]).status.success());
    assert!(text(&run(&file, &["take"])).contains("bad"));
    assert_eq!(text(&run(&file, &["dead"])), "");
}

#[test]
fn who_has_the_queue_open_keeps_others_waiting_and_no_longer_than_they_say() {
    let dir = dir();
    let file = dir.path().join("queue");
    let queue = Queue::open(&file, &Options::default()).unwrap();
    let refused = run(&file, &["--lock-wait", "10ms", "push", "one"]);
    assert_eq!(refused.status.code(), Some(2));
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.starts_with("example-queue: ") && told.contains("queue"), "{told}");

    let waiting = std::thread::spawn({
        let file = file.clone();
        move || run(&file, &["--lock-wait", "60s", "push", "one"])
    });
    std::thread::sleep(std::time::Duration::from_millis(50));
    queue.close().unwrap();
    assert_eq!(text(&waiting.join().unwrap()), "1\n");
}
