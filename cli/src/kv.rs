//! `vista kv`: a small store of keys and values in a segment, usable from a shell.
//!
//! The root is a [`PBTreeMap`] of [`PBytes`] to [`PBytes`]. What only reads maps a private copy. Each write is a
//! transaction, and an import one for each batch of lines. Start at [`run`].

mod entry; // one entry as a line: JSON, or fields set apart by tabs
mod transfer; // import and export

use std::ffi::OsString;
use std::io::{self, Read};
use std::ops::Bound;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use vista::{PBTreeMap, PBytes, Segment, SegmentOptions, Transaction};

use crate::failure::Failure;
use crate::output::{Bytes, Grouped, Lines, Output, Verdict, counted};
use entry::{Entry, Format};

/// What a store's root is.
pub(crate) type Root = PBTreeMap<PBytes, PBytes>;

/// A small store of keys and values, both of any bytes, sorted by key.
///
/// The file is created by the first `set` or `import`, and grows as it has to. What `set`, `del` and each batch of an import
/// have done is there when they return, whatever kills the process later; what a kill interrupts has not been done.
/// Whether it survives more than that depends on what the file lies on: see `vista info`.
#[derive(clap::Args)]
#[command(after_help = "\
Lines of JSON are {\"key\": \"...\", \"value\": \"...\"}; a key or value that is not UTF-8 is \"key_base64\" or \"value_base64\".
Lines of TSV are key, tab, value; in both, \\t \\n \\r and \\\\ stand for tab, line feed, carriage return and backslash.

Examples:
  vista kv notes set ada 'first programmer'
  vista kv notes get ada
  vista kv notes import people.jsonl
  vista kv notes scan --prefix a --limit 10
  vista kv notes export --format tsv | head

Exit codes: 0 done; 1 there is no such key; 2 the file cannot be used, or the command is wrong.")]
pub(crate) struct Args {
    /// The file of the store.
    path: PathBuf,
    #[command(subcommand)]
    action: Action,
    /// Seconds to wait for another process that has the file open.
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 0.0, value_parser = seconds)]
    wait: f64,
    /// Print JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Print the value of a key, and a line feed.
    Get {
        /// The key.
        key: OsString,
        /// Print the value alone, without a line feed.
        #[arg(long, short)]
        raw: bool,
    },
    /// Set a key to a value; replaces the value that it had.
    Set {
        /// The key.
        key: OsString,
        /// The value; - reads it from stdin, all of it.
        #[arg(allow_negative_numbers = true)]
        value: OsString,
        #[command(flatten)]
        sizes: Sizes,
    },
    /// Delete keys. The exit code is 1 if one was not there.
    Del {
        /// The keys.
        #[arg(required = true)]
        keys: Vec<OsString>,
    },
    /// Print entries in the order of their keys, as lines of TSV or, with --json, of JSON.
    Scan(Scan),
    /// Print the number of entries.
    Count,
    /// Print what the store consists of.
    Stat,
    /// Set keys from a file of lines, in transactions of some lines each.
    ///
    /// What is there already is left as it is, so that an import that was killed may simply be run again.
    Import(transfer::Import),
    /// Write all entries, as a file that import reads.
    Export(transfer::Export),
}

/// How large a store is made, and may become.
#[derive(clap::Args)]
struct Sizes {
    /// Length of the file if it has to be created, such as 64M; it grows on demand.
    #[arg(long, value_name = "BYTES", default_value = "1M", value_parser = size)]
    size: u64,
    /// Length up to which it may grow.
    #[arg(long, value_name = "BYTES", value_parser = size)]
    max_size: Option<u64>,
}

#[derive(clap::Args)]
struct Scan {
    /// Keys that begin with this.
    #[arg(long, value_name = "TEXT")]
    prefix: Option<OsString>,
    /// Keys from this one on.
    #[arg(long, value_name = "KEY")]
    from: Option<OsString>,
    /// Keys before this one.
    #[arg(long, value_name = "KEY")]
    to: Option<OsString>,
    /// No more than so many.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// From the last to the first.
    #[arg(long)]
    reverse: bool,
    /// Keys without their values.
    #[arg(long)]
    keys: bool,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=1e6).contains(&seconds) { Ok(seconds) } else { Err("not from 0 to 1000000".to_owned()) }
}

/// A length in bytes, with `K`, `M`, `G` or `T` behind it for powers of 1024.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let shift = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KIB" => 10,
        "M" | "MIB" => 20,
        "G" | "GIB" => 30,
        "T" | "TIB" => 40,
        _ => return Err("not a number of bytes, such as 65536, 64K, 1M or 2G".to_owned()),
    };
    let number: u64 =
        digits.parse().map_err(|_| "not a number of bytes, such as 65536, 64K, 1M or 2G".to_owned())?;
    number.checked_mul(1 << shift).ok_or_else(|| "more bytes than there are".to_owned())
}

/// The file, as one action opens it.
struct Store<'a> {
    path: &'a Path,
    wait: Duration,
}

impl Store<'_> {
    fn options(&self) -> SegmentOptions {
        SegmentOptions::new().lock_wait(self.wait)
    }

    /// A private copy: reading changes nothing, not even what the last owner left to be rolled back.
    fn read(&self) -> Result<Segment<Root>, Failure> {
        Ok(self.options().private(true).open(self.path)?)
    }

    fn write(&self) -> Result<Segment<Root>, Failure> {
        Ok(self.options().open(self.path)?)
    }

    /// The file, made if it is not there.
    fn write_or_create(&self, sizes: &Sizes) -> Result<Segment<Root>, Failure> {
        let mut options = self.options().size(sizes.size);
        if let Some(max_len) = sizes.max_size {
            if max_len < sizes.size {
                let what = format!(
                    "--max-size of {} is less than the --size of {}",
                    Bytes(max_len),
                    Bytes(sizes.size)
                );
                return Err(Failure::new(what));
            }
            options = options.max_len(max_len);
        }
        Ok(options.open_or_create_with(self.path, |tx| -> vista::Result<()> {
            Root::or_new(tx, tx.root_ptr())?;
            Ok(())
        })?)
    }
}

/// Sets a key; whether something changed.
fn put(tx: &mut Transaction<'_, Root>, key: &[u8], value: &[u8]) -> vista::Result<Change> {
    let map = Root::or_new(tx, tx.root_ptr())?;
    if let Some(found) = map.get(tx, key)?
        && found.as_slice(tx)? == value
    {
        return Ok(Change::None);
    }
    let value = PBytes::from_slice(tx, value)?;
    match map.insert(tx, key, value)? {
        None => Ok(Change::New),
        Some(old) => {
            tx.release(old)?;
            Ok(Change::Replaced)
        }
    }
}

/// What setting a key did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Change {
    /// It had this value already.
    None,
    New,
    Replaced,
}

pub(crate) fn run(args: &Args) -> Result<Verdict, Failure> {
    let store = Store { path: &args.path, wait: Duration::from_secs_f64(args.wait) };
    match &args.action {
        Action::Get { key, raw } => get(&store, key.as_bytes(), *raw, args.json),
        Action::Set { key, value, sizes } => set(&store, key.as_bytes(), value, sizes, args.json),
        Action::Del { keys } => delete(&store, keys, args.json),
        Action::Scan(scan) => scan.run(&store, args.json),
        Action::Count => count(&store, args.json),
        Action::Stat => stat(&store, args.json),
        Action::Import(import) => import.run(&store, args.json),
        Action::Export(export) => export.run(&store, args.json),
    }
}

fn get(store: &Store<'_>, key: &[u8], is_raw: bool, is_json: bool) -> Result<Verdict, Failure> {
    let segment = store.read()?;
    let found = segment.root()?.get(&segment, key)?;
    let value = found.map(|value| value.as_slice(&segment)).transpose()?;
    let mut output = Output::default();
    match (value, is_json) {
        (None, false) => {}
        (None, true) => output.line("null")?,
        (Some(value), true) => output.line(Entry { key, value }.json())?,
        (Some(value), false) => {
            output.bytes(value)?;
            output.bytes(if is_raw { b"" } else { b"\n" })?;
        }
    }
    Ok(Verdict::good_if(value.is_some()))
}

fn set(
    store: &Store<'_>,
    key: &[u8],
    value: &OsString,
    sizes: &Sizes,
    is_json: bool,
) -> Result<Verdict, Failure> {
    let value = match value.as_bytes() {
        b"-" => {
            let mut value = Vec::new();
            // One more than fits is enough to be refused for.
            let read = io::stdin().lock().take(PBytes::MAX_LEN as u64 + 1).read_to_end(&mut value);
            read.map_err(|error| Failure::system(Path::new("<stdin>"), "read", &error))?;
            value
        }
        _ => value.clone().into_vec(),
    };
    let mut segment = store.write_or_create(sizes)?;
    let change = segment.transaction(|tx| put(tx, key, &value))?;
    segment.close()?;
    if is_json {
        #[derive(Serialize)]
        struct Report {
            change: Change,
        }
        Output::default().json(&Report { change })?;
    }
    Ok(Verdict::Good)
}

fn delete(store: &Store<'_>, keys: &[OsString], is_json: bool) -> Result<Verdict, Failure> {
    #[derive(Serialize)]
    struct Report {
        deleted: u64,
        missing: u64,
    }
    let mut segment = store.write()?;
    // All of them, or on an error none.
    let deleted = segment.transaction(|tx| -> vista::Result<u64> {
        let map = *tx.root();
        let mut deleted = 0;
        // A store that was never written to has no map.
        for key in keys.iter().filter(|_| !map.is_null()) {
            if let Some(value) = map.remove(tx, key.as_bytes())? {
                tx.release(value)?;
                deleted += 1;
            }
        }
        Ok(deleted)
    })?;
    segment.close()?;
    let missing = keys.len() as u64 - deleted;
    if is_json {
        Output::default().json(&Report { deleted, missing })?;
    }
    Ok(Verdict::good_if(missing == 0))
}

fn count(store: &Store<'_>, is_json: bool) -> Result<Verdict, Failure> {
    #[derive(Serialize)]
    struct Report {
        count: u64,
    }
    let segment = store.read()?;
    let count = segment.root()?.len(&segment)? as u64;
    let mut output = Output::default();
    if is_json {
        output.json(&Report { count })?
    } else {
        output.line(count)?
    }
    Ok(Verdict::Good)
}

fn stat(store: &Store<'_>, is_json: bool) -> Result<Verdict, Failure> {
    #[derive(Serialize)]
    struct Report {
        path: String,
        count: u64,
        key_bytes: u64,
        value_bytes: u64,
        len: u64,
        allocated: u64,
        capacity: u64,
        backing: String,
        domain: String,
    }
    let segment = store.read()?;
    let stats = segment.stats()?;
    let mut report = Report {
        path: store.path.display().to_string(),
        count: segment.root()?.len(&segment)? as u64,
        key_bytes: 0,
        value_bytes: 0,
        len: stats.len,
        allocated: stats.allocated,
        capacity: stats.capacity,
        // Of the file, and not of this private copy.
        backing: segment.medium()?.backing().to_string(),
        domain: segment.medium()?.domain().to_string(),
    };
    for entry in segment.root()?.iter(&segment)? {
        let (key, value) = entry?;
        report.key_bytes += key.as_slice(&segment)?.len() as u64;
        report.value_bytes += value.as_slice(&segment)?.len() as u64;
    }
    let mut output = Output::default();
    if is_json {
        output.json(&report)?;
        return Ok(Verdict::Good);
    }
    let mut field = |name: &str, value: &dyn std::fmt::Display| output.line(format!("  {name:<10} {value}"));
    field("store", &report.path)?;
    field("entries", &Grouped(report.count))?;
    field("keys", &Bytes(report.key_bytes))?;
    field("values", &Bytes(report.value_bytes))?;
    field("allocated", &format!("{} of {}", Bytes(report.allocated), counted(report.capacity, "byte")))?;
    field("file", &Bytes(report.len))?;
    field("lies on", &format!("{}, persistence domain {}", report.backing, report.domain))?;
    Ok(Verdict::Good)
}

impl Scan {
    fn run(&self, store: &Store<'_>, is_json: bool) -> Result<Verdict, Failure> {
        let segment = store.read()?;
        let mut lines = Lines::new();
        if let Some([from, to]) = self.range() {
            let range = (bound(&from), bound(&to));
            let mut entries = segment.root()?.range(&segment, range)?;
            let mut left = self.limit.unwrap_or(u64::MAX);
            while left > 0 && !lines.is_closed() {
                let next = if self.reverse { entries.next_back() } else { entries.next() };
                let Some(entry) = next else { break };
                let (key, value) = entry?;
                let (key, value) = (key.as_slice(&segment)?, value.as_slice(&segment)?);
                let format = if is_json { Format::Jsonl } else { Format::Tsv };
                lines.line(|line| match self.keys {
                    true => format.write_key(key, line),
                    false => format.write(Entry { key, value }, line),
                })?;
                left -= 1;
            }
        }
        lines.finish()?;
        Ok(Verdict::Good)
    }

    /// The keys that were asked for; `None` if there can be none.
    fn range(&self) -> Option<[Bound<Vec<u8>>; 2]> {
        let owned = |text: &Option<OsString>| text.as_ref().map(|text| text.as_bytes().to_vec());
        let prefix = owned(&self.prefix);
        let from = owned(&self.from).into_iter().chain(prefix.clone()).max();
        let to = owned(&self.to).into_iter().chain(prefix.and_then(|prefix| behind(&prefix))).min();
        if let (Some(from), Some(to)) = (&from, &to)
            && from >= to
        {
            return None;
        }
        Some([from.map_or(Bound::Unbounded, Bound::Included), to.map_or(Bound::Unbounded, Bound::Excluded)])
    }
}

/// The first key behind all that begin with a prefix, if there is one.
fn behind(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != u8::MAX)?;
    let mut behind = prefix[..=last].to_vec();
    behind[last] += 1;
    Some(behind)
}

fn bound(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        for (text, expected) in [
            ("0", Some(0)),
            ("65536", Some(65536)),
            ("64k", Some(65536)),
            ("2G", Some(2 << 30)),
            ("1MiB", Some(1 << 20)),
        ] {
            assert_eq!(size(text).ok(), expected, "{text}");
        }
        for text in ["", "M", "1X", "-1", "1.5M", "99999999999999999999", "99999999999T"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_prefix_ends_before_the_next_one() {
        assert_eq!(behind(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(behind(b"a\xff\xff"), Some(b"b".to_vec()));
        assert_eq!(behind(b"\xff"), None);
        assert_eq!(behind(b""), None);
    }
}
