//! `vista dump`: the records of the log, a picture of the heap, and what the root holds. It looks at a private copy, and
//! changes nothing.

mod picture; // the heap, one character for a page or some
mod tree; // a value, for people and as JSON

use std::path::{Path, PathBuf};

use serde::Serialize;
use vista::inspect::{Area, Inspector, Limits, LogInfo, RecordKind, Run, Usage, Value};
use vista::layout::{CLASSES, PAGE_LEN};

use crate::failure::Failure;
use crate::output::{Bytes, Grouped, Output, Verdict, counted};
use crate::paint::Paint;
use tree::Tree;

/// Show what a segment holds, in full: log records, a picture of the heap, the root. Changes nothing.
///
/// The segment is mapped as a private copy. The log is shown as it is in the file; then a transaction in flight is rolled
/// back in the copy, and heap and root are what opening would find. The root is shown by the description of its type that
/// the segment keeps: fields by name, pointers and slices followed, collections with their entries.
#[derive(clap::Args)]
#[command(after_help = "\
In JSON a pointer or a collection is {\"at\": offset, \"is\": value}, or null; bytes are {\"base64\": ...}; what a limit left
out is {\"omitted\": count}; a value that was shown before at another pointer is {\"at\": offset, \"seen\": true}.

Exit codes: 0 shown; 1 shown, but a part of it is damaged; 2 cannot be opened.")]
pub(crate) struct Args {
    /// The file of the segment.
    path: PathBuf,
    /// Show the log only, or what else is asked for.
    #[arg(long)]
    log: bool,
    /// Show the picture of the heap only, or what else is asked for.
    #[arg(long)]
    heap: bool,
    /// Show the root only, or what else is asked for.
    #[arg(long)]
    root: bool,
    /// How many records of the log, and how many elements of each list, are shown.
    #[arg(long, value_name = "N", default_value_t = 32)]
    limit: usize,
    /// How many pointers in a row are followed.
    #[arg(long, value_name = "N", default_value_t = 8)]
    depth: u32,
    /// Print one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
}

/// All that is shown.
#[derive(Serialize)]
struct Dump {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<Log>,
    #[serde(skip_serializing_if = "Option::is_none")]
    heap: Option<Heap>,
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<Root>,
    /// What cannot be shown, and why.
    damage: Vec<String>,
}

#[derive(Serialize)]
struct Log {
    sequence: u64,
    is_in_flight: bool,
    has_torn_batch: bool,
    record_count: u64,
    /// Newest first.
    records: Vec<Record>,
}

#[derive(Serialize)]
struct Record {
    kind: &'static str,
    offset: u64,
    target: u64,
    len: u64,
    area: Option<&'static str>,
}

#[derive(Serialize)]
struct Heap {
    page_len: u64,
    page_count: u64,
    runs: Vec<RunOfPages>,
    #[serde(skip)]
    picture: Vec<Run>,
}

#[derive(Serialize)]
struct RunOfPages {
    offset: u64,
    page_count: u64,
    usage: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    block_len: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capacity: Option<u64>,
}

#[derive(Serialize)]
struct Root {
    offset: u64,
    len: u64,
    layout: String,
    is_layout_cut: bool,
    value: Tree,
}

pub(crate) fn run(args: &Args, paint: Paint) -> Result<Verdict, Failure> {
    let dump = Dump::of(args)?;
    let mut output = Output::default();
    if args.json {
        output.json(&dump)?;
    } else {
        dump.print(&mut output, paint, args)?;
    }
    Ok(Verdict::good_if(dump.damage.is_empty()))
}

impl Dump {
    fn of(args: &Args) -> Result<Dump, Failure> {
        let shows_all = !(args.log || args.heap || args.root);
        let mut damage = Vec::new();
        let mut note = |error: vista::Error| damage.push(error.to_string());
        let mut inspector = Inspector::open(&args.path)?;
        let mut log = None;
        if args.log || shows_all {
            log = inspector.log().map(|log| Log::of(&inspector, &log, args.limit)).map_err(&mut note).ok();
        }
        if let Err(error) = inspector.recover() {
            note(error);
        }
        let mut root = None;
        if args.root || shows_all {
            let limits = Limits { depth: args.depth, items: args.limit, ..Limits::default() };
            root = Root::of(&inspector, &limits).map_err(&mut note).ok();
        }
        let heap = (args.heap || shows_all).then(|| Heap::of(&inspector));
        let damaged = heap.iter().flat_map(|heap| &heap.picture).filter(|run| run.usage == Usage::Damaged);
        let damaged = damaged.map(|run| run.page_count).sum::<u64>();
        if damaged > 0 {
            damage.push(format!("{}: {}", args.path.display(), counted(damaged, "damaged page descriptor")));
        }
        if let Some(root) = &root {
            root.value.errors(&mut damage);
        }
        damage.dedup();
        Ok(Dump { path: args.path.display().to_string(), log, heap, root, damage })
    }

    fn print(&self, output: &mut Output, paint: Paint, args: &Args) -> Result<(), Failure> {
        if let Some(log) = &self.log {
            log.print(output, paint)?;
        }
        if let Some(heap) = &self.heap {
            picture::print(&heap.picture, output, paint)?;
        }
        if let Some(root) = &self.root {
            let cut = if root.is_layout_cut { "; its description is cut off" } else { "" };
            output.line(format!(
                "{} {} at offset {}{cut}",
                paint.name("root"),
                Bytes(root.len),
                root.offset
            ))?;
            root.value.print(output, paint)?;
        }
        if !self.damage.is_empty() {
            output.line(format!("{} {}", paint.bad("damage"), name(&args.path)))?;
            self.damage.iter().try_for_each(|damage| output.line(format!("  {damage}")))?;
        }
        Ok(())
    }
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

impl Log {
    fn of(inspector: &Inspector, log: &LogInfo, limit: usize) -> Log {
        let record = |record: &vista::inspect::RecordInfo| Record {
            kind: match record.kind {
                RecordKind::Image => "before-image",
                RecordKind::Fresh => "new range",
                RecordKind::Link => "link",
                RecordKind::Savepoint => "savepoint",
            },
            offset: record.offset,
            target: record.target,
            len: record.len,
            area: matches!(record.kind, RecordKind::Image | RecordKind::Fresh)
                .then(|| name_of_area(inspector.area(record.target))),
        };
        Log {
            sequence: log.sequence,
            is_in_flight: log.is_in_flight,
            has_torn_batch: log.has_torn_batch,
            record_count: log.records.len() as u64,
            records: log.records.iter().take(limit).map(record).collect(),
        }
    }

    fn print(&self, output: &mut Output, paint: Paint) -> Result<(), Failure> {
        let state = match self.is_in_flight {
            true => format!(
                "transaction {} is in flight: {}, newest first",
                Grouped(self.sequence),
                counted(self.record_count, "record")
            ),
            false => format!("empty after transaction {}", Grouped(self.sequence)),
        };
        output.line(format!("{} {state}", paint.name("log")))?;
        if self.has_torn_batch {
            output.line("  its last batch is torn, and is left out")?;
        }
        if self.records.is_empty() {
            return Ok(());
        }
        let head = format!("{:>6}  {:<12}  {:>16}  {:>10}  in", "", "kind", "target", "bytes");
        output.line(paint.aside(head))?;
        for (place, Record { kind, target, len, area, .. }) in self.records.iter().enumerate() {
            let (target, area) = match area {
                Some(area) => (format!("{target:#x}"), *area),
                None => (String::new(), ""),
            };
            let line = format!("{:>6}  {kind:<12}  {target:>16}  {:>10}  {area}", place + 1, Grouped(*len));
            output.line(line.trim_end())?;
        }
        match self.record_count - self.records.len() as u64 {
            0 => Ok(()),
            more => output.line(format!("        and {} more", Grouped(more))),
        }
    }
}

fn name_of_area(area: Area) -> &'static str {
    match area {
        Area::Header => "header",
        Area::Log => "log",
        Area::RootPage => "metadata: root page",
        Area::HeapPage => "metadata: lists of the heap",
        Area::ZoneDirectory => "metadata: zones",
        Area::Descriptors => "metadata: page descriptors",
        Area::Root => "user data: root",
        Area::Data => "user data",
        _ => "nothing that a transaction may change",
    }
}

impl Heap {
    fn of(inspector: &Inspector) -> Heap {
        let picture = inspector.runs();
        let mut runs: Vec<RunOfPages> = Vec::new();
        for run in &picture {
            let run = RunOfPages::of(run);
            match runs.last_mut() {
                // Pages of blocks of one size side by side are one run.
                Some(last)
                    if last.usage == run.usage
                        && last.block_len.is_some()
                        && last.block_len == run.block_len =>
                {
                    last.page_count += run.page_count;
                    last.used = last.used.zip(run.used).map(|(a, b)| a + b);
                    last.capacity = last.capacity.zip(run.capacity).map(|(a, b)| a + b);
                }
                _ => runs.push(run),
            }
        }
        Heap { page_len: PAGE_LEN, page_count: picture.iter().map(|run| run.page_count).sum(), runs, picture }
    }
}

impl RunOfPages {
    fn of(run: &Run) -> RunOfPages {
        let (block_len, used, capacity) = match run.usage {
            Usage::Slab { class, used, capacity } => {
                (CLASSES.get(class).copied(), Some(used.into()), Some(capacity.into()))
            }
            _ => (None, None, None),
        };
        let usage = name_of_usage(run.usage);
        RunOfPages { offset: run.offset, page_count: run.page_count, usage, block_len, used, capacity }
    }
}

fn name_of_usage(usage: Usage) -> &'static str {
    match usage {
        Usage::Header => "header",
        Usage::Log => "log",
        Usage::Metadata => "metadata",
        Usage::Guard => "guard",
        Usage::Slab { .. } => "blocks of one size",
        Usage::Large => "large block",
        Usage::Free => "free",
        Usage::Untouched => "never used",
        _ => "damaged",
    }
}

impl Root {
    fn of(inspector: &Inspector, limits: &Limits) -> vista::Result<Root> {
        let info = inspector.root()?;
        let schema = inspector.schema()?;
        let value: Value = inspector.value(limits)?;
        Ok(Root {
            offset: info.offset,
            len: info.len,
            layout: info.layout,
            is_layout_cut: schema.is_cut(),
            value: Tree(value),
        })
    }
}
