//! The queue's processes, killed: an acknowledged push is delivered, an acknowledged job is not any more.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use example_queue::{Options, Queue};

use crate::support::dir;

fn command(file: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_example-queue"));
    command.arg("--file").arg(file).args(["--max-attempts", "1000000", "--lock-wait", "20s"]).args(arguments);
    command
}

/// The talk with a process that answers lines, until it is killed.
struct Talk {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

fn start(file: &Path) -> (Child, Talk) {
    let mut child = command(file, &["shell"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    (child, Talk { input, output: BufReader::new(output) })
}

impl Talk {
    /// The answer, if there is a whole one.
    fn ask(&mut self, line: &str) -> Option<String> {
        writeln!(self.input, "{line}").ok()?;
        let mut answer = String::new();
        self.output.read_line(&mut answer).ok()?;
        answer.strip_suffix('\n').map(str::to_owned)
    }
}

/// What the answers have told, and what was asked and never answered.
#[derive(Default)]
struct Seen {
    /// Jobs that were pushed, and not acknowledged.
    jobs: BTreeMap<u64, String>,
    acked: BTreeSet<u64>,
    /// Pushed without an answer: such a job may be delivered, or never have been.
    maybe_pushed: BTreeSet<String>,
    /// Acknowledged without an answer: such a job may be delivered, or not any more.
    maybe_acked: BTreeSet<u64>,
    delivered: u64,
}

impl Seen {
    /// Notes a delivery, and gives the job's number.
    fn deliver(&mut self, answer: &str) -> u64 {
        let mut words = answer.strip_prefix("taken ").unwrap().splitn(3, ' ');
        let id: u64 = words.next().unwrap().parse().unwrap();
        let payload = words.nth(1).unwrap();
        assert!(!self.acked.contains(&id), "job {id} is delivered, and was acknowledged");
        match self.jobs.get(&id) {
            Some(pushed) => assert_eq!(pushed, payload, "job {id}"),
            None => {
                assert!(self.maybe_pushed.remove(payload), "job {id} is {payload:?}, which nobody pushed");
                self.jobs.insert(id, payload.to_owned());
            }
        }
        self.delivered += 1;
        id
    }

    fn ack(&mut self, id: u64) {
        self.jobs.remove(&id);
        self.maybe_acked.remove(&id);
        self.acked.insert(id);
    }
}

#[test]
fn what_was_answered_holds_through_kills_at_any_time() {
    let dir = dir();
    let file = dir.path().join("queue");
    let mut random = fastrand::Rng::with_seed(5);
    let mut seen = Seen::default();
    for round in 0..40 {
        let (mut child, mut talk) = start(&file);
        let delay = Duration::from_micros(random.u64(0..25_000));
        let killer = thread::spawn(move || {
            thread::sleep(delay);
            child.kill().unwrap();
            child.wait().unwrap();
        });
        work(&mut talk, &mut seen, &mut random, round);
        killer.join().unwrap();
    }
    assert!(seen.acked.len() > 50 && seen.delivered > 100, "the kills left time to work");
    drain(&file, &mut seen);
}

/// Pushes, takes and acknowledges until there is no answer any more.
fn work(talk: &mut Talk, seen: &mut Seen, random: &mut fastrand::Rng, round: u32) {
    let mut leased = Vec::new();
    for n in 0.. {
        match random.u8(0..10) {
            0..4 => {
                let payload = format!("job {n} of round {round} {}", "x".repeat(random.usize(0..100)));
                seen.maybe_pushed.insert(payload.clone());
                let Some(answer) = talk.ask(&format!("push {payload}")) else { return };
                let id = answer.strip_prefix("pushed ").unwrap().parse().unwrap();
                seen.maybe_pushed.remove(&payload);
                assert!(seen.jobs.insert(id, payload).is_none() && !seen.acked.contains(&id), "{id} again");
            }
            4..7 => {
                let Some(answer) = talk.ask(&format!("take {}", random.u8(0..20))) else { return };
                if answer != "nothing" {
                    leased.push(seen.deliver(&answer));
                }
            }
            kind => {
                let Some(id) = leased.pop() else { continue };
                if kind == 7 {
                    let Some(answer) = talk.ask(&format!("nack {id} 1 no")) else { return };
                    assert!(answer == format!("again {id}") || answer.starts_with("refused"), "{answer}");
                    continue;
                }
                seen.maybe_acked.insert(id);
                let Some(answer) = talk.ask(&format!("ack {id}")) else { return };
                seen.maybe_acked.remove(&id);
                if answer == format!("acked {id}") {
                    seen.ack(id);
                } else {
                    // Leased twice by this process, because the first lease ran out; and ended by now.
                    assert!(answer.starts_with("refused"), "{answer}");
                }
            }
        }
    }
}

/// Takes all that is left. Then nothing is missing.
fn drain(file: &Path, seen: &mut Seen) {
    let (mut child, mut talk) = start(file);
    loop {
        let answer = talk.ask("take 3600000").unwrap();
        if answer != "nothing" {
            let id = seen.deliver(&answer);
            assert_eq!(talk.ask(&format!("ack {id}")).unwrap(), format!("acked {id}"));
            seen.ack(id);
        } else if talk.ask("stats").unwrap().contains("\"waiting\":0") {
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    drop(talk);
    assert!(child.wait().unwrap().success());
    let left: BTreeSet<u64> = seen.jobs.keys().copied().collect();
    assert!(left.is_subset(&seen.maybe_acked), "never delivered: {left:?}");

    let queue = Queue::open(file, &Options::default()).unwrap();
    assert_eq!(queue.check().unwrap(), Vec::<String>::new());
    assert_eq!(queue.jobs().unwrap(), []);
    queue.close().unwrap();
}

#[test]
fn workers_that_are_killed_leave_their_jobs_to_others() {
    const JOBS: usize = 40;
    let dir = dir();
    let (file, log) = (dir.path().join("queue"), dir.path().join("log"));
    let mut random = fastrand::Rng::with_seed(6);
    let payloads: Vec<String> = (0..JOBS).map(|n| format!("job {n}")).collect();
    let mut push = command(&file, &["push"]);
    assert!(push.args(&payloads).output().unwrap().status.success());

    // A worker's lease is what its command may take and five seconds, too long for a test to wait for: behind a kill the
    // leases are ended by hand.
    let script = format!("printf '%s\n' \"$(cat)\" >> {}", log.display());
    for _ in 0..8 {
        let mut worker = command(&file, &["work", "--poll", "1ms", "--", "sh", "-c", &script]);
        let mut worker = worker.stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis(random.u64(5..60)));
        worker.kill().unwrap();
        worker.wait().unwrap();
        end_leases(&file);
    }
    let last = command(&file, &["work", "--poll", "1ms", "--until-empty", "--", "sh", "-c", &script]);
    assert!({ last }.output().unwrap().status.success());

    let lines = fs::read_to_string(&log).unwrap();
    let done: BTreeSet<&str> = lines.lines().collect();
    assert_eq!(done, payloads.iter().map(String::as_str).collect(), "each was done, once at least");
    let queue = Queue::open(&file, &Options::default()).unwrap();
    let stats = queue.stats().unwrap();
    assert_eq!((stats.acked, stats.waiting, stats.dead), (JOBS as u64, 0, 0));
    assert_eq!(queue.check().unwrap(), Vec::<String>::new());
}

/// Gives back what is leased: it is delivered at once.
fn end_leases(file: &Path) {
    let mut queue = Queue::open(file, &Options { attempts_max: u32::MAX, ..Options::default() }).unwrap();
    for (id, _, _, state) in queue.jobs().unwrap() {
        if state == "waiting" {
            // It may wait without a lease, for its next attempt.
            let _ = queue.nack(id, 0, "killed", example_queue::now());
        }
    }
    queue.close().unwrap();
}
