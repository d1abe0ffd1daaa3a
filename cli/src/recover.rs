//! `vista recover`: opens a segment for real, whatever its root, rolls back what had not committed, and closes it.

use std::path::PathBuf;

use serde::Serialize;
use vista::inspect::Inspector;
use vista::rio::Region;
use vista::{Recovery, Violation};

use crate::failure::Failure;
use crate::output::{Bytes, Grouped, Output, Time, Verdict, counted};
use crate::paint::Paint;

/// Roll back what had not committed, and close the segment cleanly, as the program that owns it would by opening it.
///
/// First a private copy is recovered and every invariant checked there; if one is broken, the file is left as it is.
#[derive(clap::Args)]
#[command(after_help = "\
Exit codes: 0 recovered, or there was nothing to do; 1 an invariant is broken, and the file was left as it is; \
2 cannot be opened.")]
pub(crate) struct Args {
    /// The file of the segment.
    path: PathBuf,
    /// Say what would be done, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Open also what was left open across a reboot: the kernel wrote such a file back in no order, so be sure that you
    /// can check its content.
    #[arg(long)]
    accept_reboot: bool,
    /// Print one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Serialize)]
struct Report {
    path: String,
    is_dry_run: bool,
    was_closed: bool,
    rolled_back: Option<RolledBack>,
    violations: Vec<String>,
    /// Whether the file was changed.
    is_changed: bool,
}

#[derive(Serialize)]
struct RolledBack {
    transaction: u64,
    record_count: u64,
    byte_count: u64,
    has_torn_batch: bool,
    micros: f64,
}

impl RolledBack {
    fn of(recovery: &Recovery) -> Option<RolledBack> {
        (recovery.transaction != 0).then_some(RolledBack {
            transaction: recovery.transaction,
            record_count: recovery.record_count,
            byte_count: recovery.byte_count,
            has_torn_batch: recovery.has_torn_batch,
            micros: recovery.duration.as_secs_f64() * 1e6,
        })
    }
}

pub(crate) fn run(args: &Args, paint: Paint) -> Result<Verdict, Failure> {
    let open =
        |private| Region::options().private(private).accept_reboot(args.accept_reboot).open(&args.path);
    // What a copy shows costs nothing but time.
    let copy = open(true)?;
    let was_closed = copy.was_clean();
    let (mut recovery, violations) = recover(&mut Inspector::open_on(copy)?)?;
    let is_changed = violations.is_empty() && !args.dry_run && !(was_closed && recovery.transaction == 0);
    if is_changed {
        let mut inspector = Inspector::open_on(open(false)?)?;
        recovery = inspector.recover()?;
        inspector.close()?;
    }
    let report = Report {
        path: args.path.display().to_string(),
        is_dry_run: args.dry_run,
        was_closed,
        rolled_back: RolledBack::of(&recovery),
        violations: violations.iter().map(ToString::to_string).collect(),
        is_changed,
    };
    let mut output = Output::default();
    if args.json {
        output.json(&report)?;
    } else {
        report.print(&mut output, paint)?;
    }
    Ok(Verdict::good_if(report.violations.is_empty()))
}

fn recover(inspector: &mut Inspector) -> vista::Result<(Recovery, Vec<Violation>)> {
    Ok((inspector.recover()?, inspector.check()))
}

impl Report {
    fn print(&self, output: &mut Output, paint: Paint) -> Result<(), Failure> {
        let path = &self.path;
        let is_done = self.is_changed;
        if !self.was_closed {
            output.line(format!("{path}: its last owner left it open, or was killed"))?;
        }
        match &self.rolled_back {
            None => output.line(format!("{path}: no transaction is in flight"))?,
            Some(RolledBack { transaction, record_count, byte_count, has_torn_batch, micros }) => {
                let verb = if is_done { "rolled back" } else { "would be rolled back" };
                let time = Time(std::time::Duration::from_secs_f64(micros / 1e6));
                let torn = if *has_torn_batch { "; its last batch was torn, and is left out" } else { "" };
                output.line(format!(
                    "{path}: transaction {} {verb}: {}, {} restored in {time}{torn}",
                    Grouped(*transaction),
                    counted(*record_count, "record"),
                    Bytes(*byte_count),
                ))?;
            }
        }
        for violation in &self.violations {
            output.line(format!("{path}: {}", paint.bad(violation)))?;
        }
        output.line(match (self.violations.is_empty(), is_done, self.is_dry_run) {
            (false, ..) => format!("{path}: not sound; the file was left as it is"),
            (true, true, _) => format!("{path}: {}, and closed", paint.good("sound")),
            (true, false, true) => format!("{path}: would be sound; nothing was changed"),
            (true, false, false) => format!("{path}: {}; there was nothing to do", paint.good("sound")),
        })
    }
}
