//! `vista check`: whether a segment is sound. It recovers and checks a private copy, and changes nothing.

use std::path::PathBuf;

use serde::Serialize;

use crate::failure::Failure;
use crate::look::look;
use crate::output::{Bytes, Grouped, Output, Verdict, counted};
use crate::paint::Paint;

/// Check whether a segment is sound: log, heap and root. Changes nothing.
///
/// What had not committed is rolled back in a private copy, as opening would do, and every invariant of the result is
/// checked. What the program keeps in the segment is for that program to check.
#[derive(clap::Args)]
#[command(after_help = "Exit codes: 0 sound; 1 an invariant is broken; 2 cannot be opened.")]
pub(crate) struct Args {
    /// The file of the segment.
    path: PathBuf,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    path: String,
    is_sound: bool,
    rolled_back: Option<RolledBack>,
    block_count: u64,
    allocated: u64,
    violations: Vec<Broken>,
}

#[derive(Serialize)]
struct RolledBack {
    transaction: u64,
    record_count: u64,
    byte_count: u64,
}

#[derive(Serialize)]
struct Broken {
    invariant: &'static str,
    offset: u64,
    found: String,
}

pub(crate) fn run(args: &Args, paint: Paint) -> Result<Verdict, Failure> {
    let settled = look(&args.path)?.settled?;
    let is_sound = settled.violations.is_empty();
    let rolled_back = (settled.recovery.transaction != 0).then_some(RolledBack {
        transaction: settled.recovery.transaction,
        record_count: settled.recovery.record_count,
        byte_count: settled.recovery.byte_count,
    });
    let broken = settled.violations.into_iter().map(|violation| Broken {
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
        for Broken { invariant, offset, found } in &self.violations {
            output.line(format!("{path}: {}: at offset {offset}: {found}", paint.bad(invariant)))?;
        }
        let blocks = counted(self.block_count, "block");
        output.line(match self.violations.len() as u64 {
            0 => format!("{path}: {}: {blocks}, {} allocated", paint.good("sound"), Bytes(self.allocated)),
            count => format!("{path}: {}: {}", paint.bad("not sound"), counted(count, "broken invariant")),
        })
    }
}
