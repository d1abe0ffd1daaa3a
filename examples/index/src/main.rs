//! The index on the command line.

#![forbid(unsafe_code)]

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, Parser, Subcommand};
use example_index::update::{self, Event};
use example_index::{Hit, Index};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

/// A persistent inverted index over the text files of a directory.
#[derive(Parser)]
#[command(
    name = "example-index",
    version,
    after_help = "Exit codes: 0 done; 1 nothing found, or not sound; 2 an error."
)]
struct Cli {
    /// The index.
    #[arg(long, global = true, default_value = "index.vista")]
    file: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Bring the index up to date with a directory. Kill it whenever you like; the next one goes on.
    Update(Update),
    #[command(flatten)]
    Look(Look),
}

/// What only reads.
#[derive(Subcommand)]
enum Look {
    /// Show the files that have all of the words, those first that have them most often.
    Query {
        /// The words.
        #[arg(required = true)]
        words: Vec<String>,
        /// How many files at most.
        #[arg(long, default_value_t = 20)]
        limit: usize,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// How much there is, as JSON.
    Stats,
    /// Whether the index is sound.
    Check,
}

#[derive(Args)]
struct Update {
    /// The directory.
    dir: PathBuf,
    /// How long the index may become, in MiB.
    #[arg(long, default_value_t = 16 << 10)]
    max_mib: u64,
    /// Longer files are left out; in KiB.
    #[arg(long, default_value_t = 4 << 10)]
    max_file_kib: u64,
    /// Read what symbolic links lead to, too.
    #[arg(long)]
    follow: bool,
    /// Read files also if their length and time have not changed.
    #[arg(long)]
    all: bool,
    /// Print what is in the index from now on, or not any more, file by file.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            // A reader who has read enough and gone is no error.
            let io_error = error.downcast_ref::<io::Error>();
            if io_error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
                return ExitCode::SUCCESS;
            }
            eprintln!("example-index: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, Box<dyn Error>> {
    match cli.command {
        Command::Update(args) => run_update(&cli.file, &args),
        Command::Look(command) => {
            let index = Index::open(&cli.file)?;
            let code = look(&index, command);
            index.close()?;
            code
        }
    }
}

fn run_update(file: &Path, args: &Update) -> Result<ExitCode, Box<dyn Error>> {
    let mut index = Index::open_or_create(file, args.max_mib.saturating_mul(1 << 20))?;
    let own = fs::metadata(file)?;
    let options = update::Options {
        file_len_max: args.max_file_kib.saturating_mul(1 << 10),
        follows_links: args.follow,
        reads_all: args.all,
        left_out: Some((own.dev(), own.ino())),
        ..update::Options::default()
    };
    let bar = ProgressBar::no_length().with_style(ProgressStyle::with_template(
        "{elapsed_precise} {wide_bar} {human_pos} of {human_len} files, {per_sec}, {eta} left",
    )?);
    let mut printed = Ok(());
    let report = update::update(&mut index, &args.dir, &options, |event| {
        match event {
            Event::ToRead(count) => bar.set_length(count),
            Event::Unreadable(path, error) => {
                bar.suspend(|| eprintln!("example-index: {}: {error}", path.display()));
            }
            Event::Put(_) | Event::Same(_) => bar.inc(1),
            Event::Removed(_) => {}
        }
        if let (true, Ok(())) = (args.list, &printed) {
            printed = list(event);
        }
    });
    bar.finish_and_clear();
    let report = report?;
    index.close()?;
    printed?;
    if !args.list {
        writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&report)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints what has just been committed.
fn list(event: Event<'_>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match event {
        Event::Put(path) => writeln!(out, "put {}", path.display()),
        Event::Same(path) => writeln!(out, "same {}", path.display()),
        Event::Removed(path) => writeln!(out, "removed {}", path.display()),
        Event::ToRead(_) | Event::Unreadable(..) => Ok(()),
    }
}

/// A file that was found, as JSON has it.
#[derive(Serialize)]
struct Found {
    path: String,
    count: u64,
}

impl From<&Hit> for Found {
    fn from(hit: &Hit) -> Self {
        Found { path: String::from_utf8_lossy(&hit.path).into_owned(), count: hit.count }
    }
}

fn look(index: &Index, command: Look) -> Result<ExitCode, Box<dyn Error>> {
    let mut out = io::stdout().lock();
    match command {
        Look::Query { words, limit, json } => {
            let begin = Instant::now();
            let (hits, count) = index.query(&words.join(" "), limit)?;
            let time = begin.elapsed();
            if json {
                let found: Vec<Found> = hits.iter().map(Found::from).collect();
                writeln!(out, "{}", serde_json::to_string_pretty(&found)?)?;
            } else {
                for hit in &hits {
                    writeln!(out, "{:>8} {}", hit.count, String::from_utf8_lossy(&hit.path))?;
                }
                eprintln!("{} of {count} files, in {time:.1?}", hits.len());
            }
            return Ok(if count > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Look::Stats => writeln!(out, "{}", serde_json::to_string_pretty(&index.stats()?)?)?,
        Look::Check => {
            let found = index.check()?;
            for line in &found {
                writeln!(out, "{line}")?;
            }
            if !found.is_empty() {
                return Ok(ExitCode::FAILURE);
            }
            let stats = index.stats()?;
            writeln!(out, "sound: {} files with {} words", stats.text_files, stats.words)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
