//! The queue on the command line.

#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, Parser, Subcommand};
use example_queue::work::{self, Work};
use example_queue::{Fate, Options, Queue, Receipt, millis, now, shell};

/// A durable job queue with at-least-once delivery, in one file.
#[derive(Parser)]
#[command(
    name = "example-queue",
    version,
    after_help = "Exit codes: 0 done; 1 there is no such job; 2 an error."
)]
struct Cli {
    /// The file; made if it is not there.
    #[arg(long, global = true, default_value = "queue.vista")]
    file: PathBuf,
    /// How often a job is delivered before it is given up.
    #[arg(long, global = true, default_value_t = 5)]
    max_attempts: u32,
    /// How long the file may become, in MiB.
    #[arg(long, global = true, default_value_t = 1024)]
    max_mib: u64,
    /// How long to wait for another process that has the queue open.
    #[arg(long, global = true, default_value = "5s")]
    lock_wait: humantime::Duration,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Once(Once),
    /// Run a command for each job, with the payload on its input.
    Work(WorkArgs),
}

/// What is done with the queue open all the time.
#[derive(Subcommand)]
enum Once {
    /// Add jobs, all or none, and print their numbers.
    Push {
        /// What is to be done.
        #[arg(required_unless_present = "lines")]
        payloads: Vec<String>,
        /// A job for each line of the input instead, each by itself: its number is printed when it is safe.
        #[arg(long, conflicts_with = "payloads")]
        lines: bool,
    },
    /// Lease a job, and print it as JSON.
    Take {
        /// How long until it is delivered again.
        #[arg(long, default_value = "30s")]
        visibility: humantime::Duration,
    },
    /// Say that a job is done: it is never delivered again.
    Ack(Leased),
    /// Give a job back that could not be done.
    Nack {
        #[command(flatten)]
        job: Leased,
        /// How long until it is delivered again.
        #[arg(long, default_value = "0s")]
        delay: humantime::Duration,
        /// Why.
        #[arg(long, default_value = "given back")]
        reason: String,
    },
    /// Lease a job for longer.
    Extend {
        #[command(flatten)]
        job: Leased,
        /// How long from now.
        #[arg(long, default_value = "30s")]
        visibility: humantime::Duration,
    },
    /// The jobs that were given up, as JSON, a line for each.
    Dead {
        /// Give these all their attempts again.
        #[arg(long, value_name = "ID")]
        requeue: Vec<u64>,
        /// Remove these for good.
        #[arg(long, value_name = "ID")]
        discard: Vec<u64>,
    },
    /// How many jobs there are, as JSON.
    Stats,
    /// Answer lines on the input: see the documentation of `shell`.
    Shell,
}

#[derive(Args)]
struct WorkArgs {
    /// How long it may run.
    #[arg(long, default_value = "60s")]
    timeout: humantime::Duration,
    /// The pause before the second attempt; doubled for each one after it.
    #[arg(long, default_value = "1s")]
    backoff: humantime::Duration,
    /// The pause before it is looked again whether there is a job.
    #[arg(long, default_value = "200ms")]
    poll: humantime::Duration,
    /// End when no job is left.
    #[arg(long)]
    until_empty: bool,
    /// The command and its arguments.
    #[arg(required = true, last = true)]
    command: Vec<String>,
}

#[derive(Args)]
struct Leased {
    /// The job's number.
    id: u64,
    /// Only if this attempt is still the one that has it.
    #[arg(long)]
    attempt: Option<u32>,
}

impl From<Leased> for Receipt {
    fn from(job: Leased) -> Self {
        Receipt { id: job.id, attempt: job.attempt }
    }
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("example-queue: {error}");
            let is_about_a_job = error.downcast_ref::<example_queue::Error>().is_some_and(|error| {
                use example_queue::Error::{NoJob, NotDead, NotLeased, OtherAttempt};
                matches!(error, NoJob { .. } | NotDead { .. } | NotLeased { .. } | OtherAttempt { .. })
            });
            ExitCode::from(if is_about_a_job { 1 } else { 2 })
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, Box<dyn Error>> {
    let options = Options {
        attempts_max: cli.max_attempts,
        bytes_max: cli.max_mib.saturating_mul(1 << 20),
        lock_wait: cli.lock_wait.into(),
    };
    match cli.command {
        Command::Work(args) => run_work(&cli.file, &options, args),
        Command::Once(command) => {
            let mut queue = Queue::open(&cli.file, &options)?;
            let code = once(&mut queue, command);
            queue.close()?;
            code
        }
    }
}

fn run_work(file: &Path, options: &Options, args: WorkArgs) -> Result<ExitCode, Box<dyn Error>> {
    let work = Work {
        command: args.command,
        timeout: args.timeout.into(),
        backoff: args.backoff.into(),
        poll: args.poll.into(),
        is_until_empty: args.until_empty,
    };
    let is_asked_to_end = Arc::new(AtomicBool::new(false));
    let asked = is_asked_to_end.clone();
    ctrlc::set_handler(move || asked.store(true, Ordering::Relaxed))?;
    let done = work::run(file, options, &work, &is_asked_to_end)?;
    eprintln!("{} jobs done, {} attempts failed", done.acked, done.failed);
    Ok(ExitCode::SUCCESS)
}

fn once(queue: &mut Queue, command: Once) -> Result<ExitCode, Box<dyn Error>> {
    let mut out = io::stdout().lock();
    match command {
        Once::Push { payloads, lines: false } => {
            for id in queue.push_all(&payloads)? {
                writeln!(out, "{id}")?;
            }
        }
        Once::Push { .. } => {
            for line in io::stdin().lines() {
                writeln!(out, "{}", queue.push(line?.as_bytes())?)?;
            }
        }
        Once::Take { visibility } => {
            let Some(job) = queue.take(millis(visibility.into()), now())? else {
                eprintln!("there is no job");
                return Ok(ExitCode::FAILURE);
            };
            let text = String::from_utf8_lossy(&job.payload);
            let line = serde_json::json!({ "id": job.id, "attempt": job.attempt, "payload": text });
            writeln!(out, "{line}")?;
        }
        Once::Ack(job) => queue.ack(job)?,
        Once::Nack { job, delay, reason } => {
            if queue.nack(job, millis(delay.into()), &reason, now())? == Fate::Dead {
                eprintln!("that was its last attempt");
            }
        }
        Once::Extend { job, visibility } => queue.extend(job, millis(visibility.into()), now())?,
        Once::Dead { requeue, discard } => {
            for &id in &requeue {
                queue.requeue(id, now())?;
            }
            for &id in &discard {
                queue.discard(id)?;
            }
            if requeue.is_empty() && discard.is_empty() {
                for job in queue.dead()? {
                    writeln!(out, "{}", serde_json::to_string(&job)?)?;
                }
            }
        }
        Once::Stats => writeln!(out, "{}", serde_json::to_string_pretty(&queue.stats()?)?)?,
        Once::Shell => shell::run(queue, io::stdin().lock(), out)?,
    }
    Ok(ExitCode::SUCCESS)
}
