//! `vista info`: what is in a segment. It looks at a private copy, and changes nothing.

use std::path::PathBuf;

use serde::Serialize;
use vista::inspect::{LogInfo, RootInfo};

use crate::failure::Failure;
use crate::look::{Header, Records, Sight, by_kind, look};
use crate::output::{Bytes, Grouped, Output, Verdict, counted};

/// Show what is in a segment: header, log, heap, root. Changes nothing.
///
/// The segment is mapped as a private copy, in which a transaction in flight is rolled back to see what is behind
/// it; the file stays as it is. While its owner has it open, it cannot be looked at.
#[derive(clap::Args)]
#[command(after_help = "Exit codes: 0 shown; 1 shown, but a part of it is damaged; 2 cannot be opened.")]
pub(crate) struct Args {
    /// The file of the segment.
    path: PathBuf,
    /// Print one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &Args) -> Result<Verdict, Failure> {
    let sight = look(&args.path)?;
    let info = Info::of(&args.path, sight);
    let mut output = Output::default();
    if args.json {
        output.json(&info)?;
    } else {
        info.print(&mut output)?;
    }
    Ok(Verdict::good_if(info.damage.is_empty()))
}

#[derive(Serialize)]
struct Info {
    path: String,
    region: Header,
    root: Option<Root>,
    log: Option<Log>,
    heap: Option<Heap>,
    /// What cannot be shown, and why.
    damage: Vec<String>,
}

#[derive(Serialize)]
struct Root {
    offset: u64,
    len: u64,
    fingerprint: String,
    layout: String,
}

#[derive(Serialize)]
struct Log {
    first_extent_len: Option<u64>,
    sequence: u64,
    is_in_flight: bool,
    has_torn_batch: bool,
    records: Vec<Records>,
}

/// The heap, once what is in flight is rolled back.
#[derive(Serialize)]
struct Heap {
    capacity: u64,
    allocated: u64,
    block_count: u64,
    free_pages: u64,
    free_in_slabs: u64,
    largest_free: u64,
    /// Part of the free pages that is not in the longest run: 0 when all of it is.
    fragmentation: f64,
    zone_count: u64,
    overhead: u64,
}

impl Info {
    fn of(path: &std::path::Path, sight: Sight) -> Info {
        let mut damage = Vec::new();
        let mut note = |error: vista::Error| damage.push(error.to_string());
        let stats = sight.settled.as_ref().ok().map(|settled| settled.stats.clone());
        // A root that is being changed may fail its check until that is rolled back.
        let root = match sight.settled {
            Ok(settled) => settled.root,
            Err(error) => {
                note(error);
                sight.root
            }
        };
        let log_len = stats.as_ref().map(|stats| stats.log_len);
        let info = Info {
            path: path.display().to_string(),
            region: sight.header,
            root: root.map(Root::of).map_err(&mut note).ok(),
            log: sight.log.map(|log| Log::of(&log, log_len)).map_err(&mut note).ok(),
            heap: stats.map(|stats| Heap {
                capacity: stats.capacity,
                allocated: stats.allocated,
                block_count: stats.block_count,
                free_pages: stats.free_pages,
                free_in_slabs: stats.free_in_slabs,
                largest_free: stats.largest_free,
                fragmentation: match stats.free_pages {
                    0 => 0.0,
                    free => 1.0 - stats.largest_free as f64 / free as f64,
                },
                zone_count: stats.zone_count,
                overhead: stats.overhead,
            }),
            damage: Vec::new(),
        };
        damage.dedup();
        Info { damage, ..info }
    }

    fn print(&self, output: &mut Output) -> Result<(), Failure> {
        let Info { path, region, root, log, heap, damage } = self;
        let mut field =
            |name: &str, value: &dyn std::fmt::Display| output.line(format!("  {name:<15} {value}"));
        field("segment", path)?;
        field("identity", &region.id)?;
        field("length", &Bytes(region.len))?;
        field("format", &format!("version {}", region.format_version))?;
        field("lies on", &format!("{}, persistence domain {}", region.backing, region.domain))?;
        field("last owner", if region.was_closed { &"closed it" } else { &"left it open, or was killed" })?;
        if let Some(log) = log {
            let flight = match log.is_in_flight {
                true => format!("transaction {} is in flight; opening rolls it back", Grouped(log.sequence)),
                false => format!("empty after transaction {}", Grouped(log.sequence)),
            };
            field("log", &flight)?;
            for Records { kind, count, bytes } in &log.records {
                let times = counted(*count, "record");
                field("", &format!("{times}: {kind}, {}", Bytes(*bytes)))?;
            }
            if log.has_torn_batch {
                field("", &"its last batch is torn, and is left out")?;
            }
            if let Some(len) = log.first_extent_len {
                field("", &format!("first extent of {}", Bytes(len)))?;
            }
        }
        if let Some(heap) = heap {
            let blocks = counted(heap.block_count, "block");
            field("heap", &format!("{} in {}", Bytes(heap.capacity), counted(heap.zone_count, "zone")))?;
            field("", &format!("allocated: {} in {blocks}", Bytes(heap.allocated)))?;
            field("", &format!("free in whole pages: {}", Bytes(heap.free_pages)))?;
            field("", &format!("free on shared pages: {}", Bytes(heap.free_in_slabs)))?;
            field("", &format!("longest free run: {}", Bytes(heap.largest_free)))?;
            field("", &format!("fragmentation: {:.1} %", heap.fragmentation * 100.0))?;
            field("overhead", &Bytes(heap.overhead))?;
        }
        if let Some(root) = root {
            field("root", &format!("{} at offset {}", Bytes(root.len), root.offset))?;
            field("", &format!("fingerprint {}", root.fingerprint))?;
            for definition in definitions(&root.layout) {
                field("", &definition)?;
            }
        }
        for damage in damage {
            field("damage", damage)?;
        }
        Ok(())
    }
}

/// The structs of a layout: they are set apart by semicolons, and in `[u8; 84]` a space follows.
fn definitions(layout: &str) -> Vec<&str> {
    let ends = layout.match_indices(';').map(|(end, _)| end);
    let ends = ends.filter(|end| !layout[end + 1..].starts_with(' ')).chain([layout.len()]);
    let mut start = 0;
    ends.map(|end| &layout[std::mem::replace(&mut start, end + 1)..end]).collect()
}

impl Root {
    fn of(root: RootInfo) -> Root {
        let RootInfo { offset, len, fingerprint, layout } = root;
        Root { offset, len, fingerprint: format!("{fingerprint:#018x}"), layout }
    }
}

impl Log {
    fn of(log: &LogInfo, first_extent_len: Option<u64>) -> Log {
        let &LogInfo { sequence, is_in_flight, has_torn_batch, .. } = log;
        Log { first_extent_len, sequence, is_in_flight, has_torn_batch, records: by_kind(log) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_is_shown_struct_by_struct() {
        assert_eq!(definitions("A{b:[u8; 4]@0,c:B@4};B{};C"), ["A{b:[u8; 4]@0,c:B@4}", "B{}", "C"]);
        assert_eq!(definitions("u64"), ["u64"]);
        assert_eq!(definitions(""), [""]);
        assert_eq!(definitions("a;;"), ["a", "", ""]);
    }
}
