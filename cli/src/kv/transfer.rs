//! Import and export: many entries, as a file of lines.

use std::fs::{File, Permissions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::{fs, process};

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::entry::{Entry, Format, Owned};
use super::{Change, Sizes, Store, put};
use crate::failure::Failure;
use crate::output::{Lines, Output, Verdict, counted};

/// Bytes after which a transaction ends even if its lines are fewer.
const BATCH_BYTES_MAX: usize = 4 << 20;
/// Bytes of a line at most: a file that is no text may have no end of a line before it has filled the memory.
const LINE_BYTES_MAX: u64 = 1 << 30;
/// What a shell reports for a program that was interrupted.
const INTERRUPTED: i32 = 130;

#[derive(clap::Args)]
pub(super) struct Import {
    /// The file to read; - reads stdin.
    file: PathBuf,
    /// Its format [default: by the end of its name, or else jsonl].
    #[arg(long)]
    format: Option<Format>,
    /// How many lines make a transaction.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    #[command(flatten)]
    sizes: Sizes,
}

#[derive(clap::Args)]
pub(super) struct Export {
    /// The file to write, which must not be there yet; - or nothing writes to stdout.
    file: Option<PathBuf>,
    /// Its format [default: by the end of its name, or else jsonl].
    #[arg(long)]
    format: Option<Format>,
}

#[derive(Default, Serialize)]
struct Imported {
    lines: u64,
    new: u64,
    replaced: u64,
    unchanged: u64,
    transactions: u64,
}

impl Import {
    pub(super) fn run(&self, store: &Store<'_>, is_json: bool) -> Result<Verdict, Failure> {
        let is_stdin = self.file.as_os_str() == "-";
        let name = if is_stdin { Path::new("<stdin>") } else { &self.file };
        let fail = |error: io::Error| Failure::system(name, "read", &error);
        let (input, len): (Box<dyn BufRead>, _) = if is_stdin {
            (Box::new(io::stdin().lock()), None)
        } else {
            let file = File::open(&self.file).map_err(fail)?;
            let metadata = file.metadata().map_err(fail)?;
            (Box::new(BufReader::with_capacity(1 << 16, file)), metadata.is_file().then_some(metadata.len()))
        };
        let format = self.format.or_else(|| Format::of_name(&self.file)).unwrap_or(Format::Jsonl);
        let mut reader = Reader { input, name, format, line: 0, bytes: 0, line_bytes_max: LINE_BYTES_MAX };
        // Nothing is created for a file that does not even begin well.
        let mut batch = reader.batch(self.batch)?;

        let bar = bar(len, is_json);
        let mut segment = store.write_or_create(&self.sizes)?;
        let mut imported = Imported::default();
        while !batch.is_empty() {
            let changes = segment.transaction(|tx| -> vista::Result<Vec<Change>> {
                batch.iter().map(|Owned { key, value }| put(tx, key, value)).collect()
            });
            let changes = changes.map_err(|error| imported.so_far(error.into()))?;
            for change in changes {
                match change {
                    Change::None => imported.unchanged += 1,
                    Change::New => imported.new += 1,
                    Change::Replaced => imported.replaced += 1,
                }
            }
            imported.lines += batch.len() as u64;
            imported.transactions += 1;
            bar.set_position(reader.bytes);
            bar.set_message(counted(imported.lines, "line"));
            batch = reader.batch(self.batch).map_err(|failure| imported.so_far(failure))?;
        }
        bar.finish_and_clear();
        segment.close()?;
        let mut output = Output::default();
        if is_json {
            output.json(&imported)?;
        } else {
            output.line(format!(
                "{}: {} new, {} replaced, {} as they were",
                counted(imported.lines, "line"),
                imported.new,
                imported.replaced,
                imported.unchanged,
            ))?;
        }
        Ok(Verdict::Good)
    }
}

impl Imported {
    /// A failure, and what it does not take back.
    fn so_far(&self, failure: Failure) -> Failure {
        failure.after(&format!(
            "{} before that are in the store, and importing them again does no harm",
            counted(self.lines, "line")
        ))
    }
}

/// A bar on a terminal: of bytes, where it is known how many there are.
fn bar(len: Option<u64>, is_json: bool) -> ProgressBar {
    let target = if is_json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(len, target);
    let template = match len {
        Some(_) => "{bar:40} {bytes}/{total_bytes}  {msg}  {eta}",
        None => "{spinner} {bytes}  {msg}",
    };
    bar.set_style(ProgressStyle::with_template(template).expect("a template that indicatif knows"));
    bar
}

/// Lines, read in batches.
struct Reader<'a> {
    input: Box<dyn BufRead>,
    name: &'a Path,
    format: Format,
    /// Number of the line that was read last.
    line: u64,
    bytes: u64,
    line_bytes_max: u64,
}

impl Reader<'_> {
    /// The next lines, none at the end. Empty ones are left out.
    fn batch(&mut self, count: u32) -> Result<Vec<Owned>, Failure> {
        let mut batch = Vec::new();
        let mut len = 0;
        let mut line = Vec::new();
        while batch.len() < count as usize && len < BATCH_BYTES_MAX {
            line.clear();
            let read = (&mut self.input).take(self.line_bytes_max + 1).read_until(b'\n', &mut line);
            let read = read.map_err(|error| Failure::system(self.name, "read", &error))?;
            if read == 0 {
                break;
            }
            self.line += 1;
            self.bytes += read as u64;
            if read as u64 > self.line_bytes_max {
                let (name, number) = (self.name.display(), self.line);
                let most = counted(self.line_bytes_max, "byte");
                return Err(Failure::new(format!("{name}: line {number}: longer than {most}")));
            }
            len += read;
            let text = line.strip_suffix(b"\n").unwrap_or(&line);
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            if text.is_empty() {
                continue;
            }
            batch.push(self.format.read(text).map_err(|wrong| {
                Failure::new(format!("{}: line {}: {wrong}", self.name.display(), self.line))
                    .with_advice("see vista kv --help for the formats")
            })?);
        }
        // A whole batch of empty lines is not the end.
        if batch.is_empty() && len > 0 { self.batch(count) } else { Ok(batch) }
    }
}

impl Export {
    pub(super) fn run(&self, store: &Store<'_>, is_json: bool) -> Result<Verdict, Failure> {
        let file = self.file.as_deref().filter(|file| file.as_os_str() != "-");
        let by_name = file.and_then(Format::of_name);
        let format = self.format.or(by_name).unwrap_or(Format::Jsonl);
        match file {
            None => self.to_stdout(store, format),
            Some(file) => self.to_file(store, format, file, is_json),
        }
    }

    fn to_stdout(&self, store: &Store<'_>, format: Format) -> Result<Verdict, Failure> {
        let segment = store.read()?;
        let mut lines = Lines::new();
        for entry in segment.root()?.iter(&segment)? {
            let (key, value) = entry?;
            let entry = Entry { key: key.as_slice(&segment)?, value: value.as_slice(&segment)? };
            lines.line(|line| format.write(entry, line))?;
            if lines.is_closed() {
                break;
            }
        }
        lines.finish()?;
        Ok(Verdict::Good)
    }

    /// The file appears under its name whole, or not at all.
    fn to_file(
        &self,
        store: &Store<'_>,
        format: Format,
        path: &Path,
        is_json: bool,
    ) -> Result<Verdict, Failure> {
        #[derive(Serialize)]
        struct Exported {
            lines: u64,
            bytes: u64,
        }
        let fail = |error: io::Error| {
            let failure = Failure::system(path, "write", &error);
            match error.kind() {
                io::ErrorKind::AlreadyExists => {
                    failure.with_advice("choose another name, or remove it yourself")
                }
                io::ErrorKind::StorageFull => failure.with_advice("make room on the file system"),
                io::ErrorKind::FileTooLarge => failure.with_advice("the limit is set by ulimit -f"),
                _ => failure,
            }
        };
        let segment = store.read()?;
        let count = segment.root()?.len(&segment)? as u64;
        let directory =
            path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // As any other new file, for whom the umask says.
        let permissions = Permissions::from_mode(0o666);
        let file = tempfile::Builder::new().permissions(permissions).tempfile_in(directory).map_err(fail)?;
        remove_when_interrupted(file.path().to_owned())?;
        let target = if is_json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(count), target);
        let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} lines  {msg}  {eta}");
        bar.set_style(style.expect("a template that indicatif knows"));
        let mut writer = io::BufWriter::with_capacity(1 << 16, file);
        let mut exported = Exported { lines: 0, bytes: 0 };
        let mut line = Vec::new();
        for entry in segment.root()?.iter(&segment)? {
            let (key, value) = entry?;
            line.clear();
            format.write(Entry { key: key.as_slice(&segment)?, value: value.as_slice(&segment)? }, &mut line);
            line.push(b'\n');
            writer.write_all(&line).map_err(fail)?;
            exported.lines += 1;
            exported.bytes += line.len() as u64;
            if exported.lines.is_multiple_of(1024) {
                bar.set_position(exported.lines);
                bar.set_message(HumanBytes(exported.bytes).to_string());
            }
        }
        let file = writer.into_inner().map_err(|error| fail(error.into_error()))?;
        file.as_file().sync_all().map_err(fail)?;
        file.persist_noclobber(path).map_err(|error| fail(error.error))?;
        bar.finish_and_clear();
        let mut output = Output::default();
        if is_json {
            output.json(&exported)?;
        } else {
            output.line(counted(exported.lines, "line"))?;
        }
        Ok(Verdict::Good)
    }
}

/// An interrupt ends the process without dropping anything: what was written so far is removed before.
fn remove_when_interrupted(path: PathBuf) -> Result<(), Failure> {
    let remove = move || {
        let _ = fs::remove_file(&path); // When it has its own name, it is not there any more.
        process::exit(INTERRUPTED);
    };
    ctrlc::set_handler(remove).map_err(|error| Failure::new(format!("signal handler: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_an_end_is_refused_before_it_fills_the_memory() {
        let read = |input: &'static [u8]| {
            let input = Box::new(input);
            let (name, format) = (Path::new("endless"), Format::Tsv);
            let mut reader = Reader { input, name, format, line: 0, bytes: 0, line_bytes_max: 10 };
            reader.batch(5).map(|batch| batch.len()).map_err(|failure| failure.to_string())
        };
        assert_eq!(read(b"key\tvalue\nkey\tv"), Ok(2));
        assert_eq!(
            read(b"a\tb\nkey\tvalue and more\n").unwrap_err(),
            "endless: line 2: longer than 10 bytes"
        );
    }
}
