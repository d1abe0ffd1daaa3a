//! A command for each job.
//!
//! The queue is open while a job is taken or ended, and not while the command runs: others push and take meanwhile.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::{Error, Fate, Millis, Options, Queue, Result, Taken, millis, now};

/// How much longer than a command may run its lease lasts: until it is killed, and that is noted.
const GRACE: Duration = Duration::from_secs(5);

/// How often it is looked whether a command has ended. There is no call that waits for a child and for a time.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// The longest pause before a job is tried again.
const BACKOFF_MAX: Duration = Duration::from_secs(3600);

/// How to work.
#[derive(Clone, Debug)]
pub struct Work {
    /// The command and its arguments. It gets the payload on its input, and `QUEUE_JOB` and `QUEUE_ATTEMPT` in its environment.
    pub command: Vec<String>,
    /// How long it may run. Then it is killed, with all that it started in its process group.
    pub timeout: Duration,
    /// The pause before the second attempt; doubled for each one after it.
    pub backoff: Duration,
    /// The pause before it is looked again whether there is a job.
    pub poll: Duration,
    /// Whether to end when no job is left, rather than wait for more.
    pub is_until_empty: bool,
}

/// What became of the jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Acknowledged.
    pub acked: u64,
    /// Attempts that failed.
    pub failed: u64,
}

/// Takes jobs and runs the command for each, until `is_asked_to_end`. Tells of each on stderr.
///
/// # Errors
/// The queue's; and the system's, if the command cannot be started at all.
pub fn run(path: &Path, options: &Options, work: &Work, is_asked_to_end: &AtomicBool) -> Result<Done> {
    let mut done = Done::default();
    let visibility = millis(work.timeout.saturating_add(GRACE));
    while !is_asked_to_end.load(Ordering::Relaxed) {
        let mut queue = Queue::open(path, options)?;
        let taken = queue.take(visibility, now())?;
        let stats = queue.stats()?;
        queue.close()?;
        let Some(job) = taken else {
            if work.is_until_empty && stats.fresh + stats.waiting == 0 {
                break;
            }
            thread::sleep(work.poll);
            continue;
        };
        match attempt(work, &job, is_asked_to_end)? {
            End::Good => {
                finish(path, options, &job, |queue| queue.ack(job.receipt()))?;
                done.acked += 1;
            }
            End::Bad(reason) => {
                let delay = backoff(work.backoff, job.attempt);
                let fate =
                    finish(path, options, &job, |queue| queue.nack(job.receipt(), delay, &reason, now()))?;
                let then = if fate == Some(Fate::Dead) { "; it is given up" } else { "" };
                eprintln!("job {}, attempt {}: {reason}{then}", job.id, job.attempt);
                done.failed += 1;
            }
        }
    }
    Ok(done)
}

/// Ends a job. That its lease has run out and somebody else has it, or has ended it, is told and no error: it was
/// delivered more than once, as may be.
fn finish<T>(
    path: &Path,
    options: &Options,
    job: &Taken,
    end: impl FnOnce(&mut Queue) -> Result<T>,
) -> Result<Option<T>> {
    let mut queue = Queue::open(path, options)?;
    let ended = match end(&mut queue) {
        Ok(ended) => Some(ended),
        Err(error @ (Error::NoJob { .. } | Error::NotLeased { .. } | Error::OtherAttempt { .. })) => {
            eprintln!("job {}, attempt {}: it took too long: {error}", job.id, job.attempt);
            None
        }
        Err(error) => return Err(error),
    };
    queue.close()?;
    Ok(ended)
}

/// The pause behind an attempt.
fn backoff(first: Duration, attempt: u32) -> Millis {
    let doubled = 1u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
    millis(first.saturating_mul(doubled).min(BACKOFF_MAX))
}

/// How an attempt ended.
enum End {
    Good,
    Bad(String),
}

fn attempt(work: &Work, job: &Taken, is_asked_to_end: &AtomicBool) -> Result<End> {
    let [program, arguments @ ..] = work.command.as_slice() else {
        return Ok(End::Bad("there is no command".to_owned()));
    };
    let payload = payload_file(&job.payload).map_err(|source| Error::System {
        what: "write the payload to a temporary file".to_owned(),
        source,
    })?;
    let mut child = Command::new(program)
        .args(arguments)
        .env("QUEUE_JOB", job.id.to_string())
        .env("QUEUE_ATTEMPT", job.attempt.to_string())
        .stdin(payload)
        .process_group(0) // So that it can be killed with all that it started.
        .spawn()
        .map_err(|source| Error::System { what: format!("start {program}"), source })?;
    wait(&mut child, work.timeout, is_asked_to_end)
        .map_err(|source| Error::System { what: format!("wait for {program}"), source })
}

/// A file without a name that holds the payload, to be read from its beginning. Not a pipe: a worker that is killed while it
/// fills one leaves the command with the first part of a payload, which looks like a whole one.
fn payload_file(payload: &[u8]) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(payload)?;
    file.rewind()?;
    Ok(file)
}

/// Waits for the command, and kills it when its time is over.
fn wait(child: &mut Child, timeout: Duration, is_asked_to_end: &AtomicBool) -> io::Result<End> {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(end_of(status));
        }
        let reason = match is_asked_to_end.load(Ordering::Relaxed) {
            true => "the worker was interrupted".to_owned(),
            false if begin.elapsed() >= timeout => format!("timed out after {timeout:?}"),
            false => {
                thread::sleep(LOOK_INTERVAL);
                continue;
            }
        };
        kill(child)?;
        return Ok(End::Bad(reason));
    }
}

fn kill(child: &mut Child) -> io::Result<()> {
    // The child was not waited for, so that its number, which is that of its group, belongs to nobody else.
    if let Ok(group) = i32::try_from(child.id()) {
        killpg(Pid::from_raw(group), Signal::SIGKILL)?;
    }
    child.wait().map(drop)
}

fn end_of(status: ExitStatus) -> End {
    if status.success() { End::Good } else { End::Bad(status.to_string()) }
}
