//! `vista check`: whether a segment is sound. It recovers and checks a private copy, and changes nothing.
//!
//! Log, heap and root are checked whatever the root is; collections as far as the segment describes them. What is not
//! known to be wrong is a note, and leaves the exit code as it is. Start at [`run`].

use std::path::PathBuf;

use serde::Serialize;
use vista::inspect::{Content, Type};

use crate::failure::Failure;
use crate::look::look;
use crate::output::{Bytes, Grouped, Output, Verdict, counted};
use crate::paint::Paint;

/// How many violations, and how many blocks without an owner, are shown one by one.
const SHOWN_MAX: usize = 100;
/// Characters of a type's name that are shown.
const NAME_MAX: usize = 80;

/// Check whether a segment is sound: log, heap, root, and the collections in it. Changes nothing.
///
/// What had not committed is rolled back in a private copy, as opening would do, and every invariant of the result is
/// checked. Collections are found by the description of the root's type that the segment keeps: their headers, lengths,
/// hashes, order and text, and that each block has one owner. What raw pointers lead to, and what the values mean, is for
/// the program to check. Blocks that nothing owns are told as a note.
#[derive(clap::Args)]
#[command(after_help = "Exit codes: 0 sound, also with notes; 1 an invariant is broken; 2 cannot be opened.")]
pub(crate) struct Args {
    /// The file of the segment.
    path: PathBuf,
    /// Print one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Serialize)]
struct Report {
    path: String,
    is_sound: bool,
    rolled_back: Option<RolledBack>,
    block_count: u64,
    allocated: u64,
    /// What was found in the collections; nothing if they could not be looked at.
    content: Option<Looked>,
    notes: Vec<String>,
    violations: Vec<Broken>,
}

#[derive(Serialize)]
struct RolledBack {
    transaction: u64,
    record_count: u64,
    byte_count: u64,
}

#[derive(Serialize)]
struct Looked {
    collection_count: u64,
    has_raw_pointers: bool,
    unowned_count: u64,
    unowned_bytes: u64,
    /// The first of them.
    unowned: Vec<Unowned>,
    /// Types whose values were not looked at.
    unknown_types: Vec<String>,
    /// Types of keys whose order was not looked at.
    unordered_types: Vec<String>,
}

#[derive(Serialize)]
struct Unowned {
    offset: u64,
    len: u64,
}

#[derive(Serialize)]
struct Broken {
    invariant: &'static str,
    offset: u64,
    found: String,
}

pub(crate) fn run(args: &Args, paint: Paint) -> Result<Verdict, Failure> {
    let sight = look(&args.path)?;
    let settled = sight.settled?;
    let content = sight.inspector.check_content();
    let mut violations = settled.violations;
    let mut notes = Vec::new();
    let content = match content {
        Ok(content) => {
            violations.extend(content.violations.iter().cloned());
            notes = notes_on(&content);
            Some(Looked::of(&content))
        }
        // A root page that fails its check is among the violations; this one has a description that says nothing here.
        Err(error) => {
            notes.push(format!("contents were not looked at: {error}"));
            None
        }
    };
    let is_sound = violations.is_empty();
    let rolled_back = (settled.recovery.transaction != 0).then_some(RolledBack {
        transaction: settled.recovery.transaction,
        record_count: settled.recovery.record_count,
        byte_count: settled.recovery.byte_count,
    });
    let broken = violations.into_iter().map(|violation| Broken {
        invariant: violation.invariant,
        offset: violation.offset,
        found: violation.found,
    });
    let report = Report {
        path: args.path.display().to_string(),
        is_sound,
        rolled_back,
        block_count: settled.stats.block_count,
        allocated: settled.stats.allocated,
        content,
        notes,
        violations: broken.collect(),
    };
    let mut output = Output::default();
    if args.json {
        output.json(&report)?;
    } else {
        report.print(&mut output, paint)?;
    }
    Ok(Verdict::good_if(is_sound))
}

/// What a reader has to know beside what is broken.
fn notes_on(content: &Content) -> Vec<String> {
    let mut notes = Vec::new();
    let names = |types: &[Type]| types.iter().map(name_of).collect::<Vec<_>>().join(", ");
    if !content.unknown.is_empty() {
        let what = if content.collection_count == 0 { "contents" } else { "contents of these types" };
        notes.push(format!("{what} were not looked at: {} is not described", names(&content.unknown)));
    }
    if !content.unordered.is_empty() {
        notes.push(format!(
            "the order of keys was not looked at: only the program knows that of {}",
            names(&content.unordered)
        ));
    }
    if let Some(first) = content.unowned.first() {
        let count = content.unowned.len() as u64;
        let bytes = content.unowned.iter().map(|block| block.len).sum();
        let why = match (content.has_raw_pointers, content.unknown.is_empty()) {
            (true, _) => "raw pointers hold them, or they are leaked",
            (false, false) => "what is not described owns them, or they are leaked",
            (false, true) => "they are leaked (INV-C2)",
        };
        notes.push(format!(
            "no collection owns {}, {} in all, the first at offset {}: {why}",
            counted(count, "block"),
            Bytes(bytes),
            first.offset
        ));
    }
    notes
}

/// The name of a type. That of a root whose description was cut off in the middle of its fields is all that there is of it.
fn name_of(of: &Type) -> String {
    let name = of.to_string();
    let short = name.split('{').next().unwrap_or(&name);
    match short.char_indices().nth(NAME_MAX) {
        Some((end, _)) => format!("{}...", &short[..end]),
        None => short.to_owned(),
    }
}

impl Looked {
    fn of(content: &Content) -> Looked {
        let names = |types: &[Type]| types.iter().map(name_of).collect();
        let first = content.unowned.iter().take(SHOWN_MAX);
        Looked {
            collection_count: content.collection_count,
            has_raw_pointers: content.has_raw_pointers,
            unowned_count: content.unowned.len() as u64,
            unowned_bytes: content.unowned.iter().map(|block| block.len).sum(),
            unowned: first.map(|block| Unowned { offset: block.offset, len: block.len }).collect(),
            unknown_types: names(&content.unknown),
            unordered_types: names(&content.unordered),
        }
    }
}

impl Report {
    fn print(&self, output: &mut Output, paint: Paint) -> Result<(), Failure> {
        let path = &self.path;
        if let Some(RolledBack { transaction, record_count, byte_count }) = &self.rolled_back {
            let records = counted(*record_count, "record");
            output.line(format!(
                "{path}: transaction {} is in flight; opening rolls it back ({records}, {})",
                Grouped(*transaction),
                Bytes(*byte_count),
            ))?;
        }
        for note in &self.notes {
            output.line(format!("{path}: note: {note}"))?;
        }
        for Broken { invariant, offset, found } in self.violations.iter().take(SHOWN_MAX) {
            output.line(format!("{path}: {}: at offset {offset}: {found}", paint.bad(invariant)))?;
        }
        if let Some(more @ 1..) = self.violations.len().checked_sub(SHOWN_MAX) {
            output.line(format!("{path}: and {} more, which --json shows", Grouped(more as u64)))?;
        }
        let blocks = counted(self.block_count, "block");
        let collections = self.content.as_ref().map_or(0, |content| content.collection_count);
        let collections = match collections {
            0 => String::new(),
            count => format!(", {}", counted(count, "collection")),
        };
        output.line(match self.violations.len() as u64 {
            0 => format!(
                "{path}: {}: {blocks}, {} allocated{collections}",
                paint.good("sound"),
                Bytes(self.allocated)
            ),
            count => format!("{path}: {}: {}", paint.bad("not sound"), counted(count, "broken invariant")),
        })
    }
}
