//! `vista stress`: the kills of the demonstration, as many as one likes, on a bank or on maps. Start at [`run`].

pub(crate) mod map; // the maps, their changes and their model

use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use workloads::{Bank, Model, Scale};

use crate::demo::crash::{Crash, Demo, Subject};
use crate::demo::place::Place;
use crate::demo::worker::Structure;
use crate::demo::{Total, create, seconds, seed_of_the_day};
use crate::failure::Failure;
use crate::output::{Grouped, Output, Verdict, counted};
use crate::paint::Paint;

/// Kill a process again and again with SIGKILL, and compare all that it leaves behind with a model.
///
/// A child process makes transactions as fast as it can and acknowledges each one after its commit. It is killed at random
/// moments; sometimes its successor is killed too, while it recovers. After every crash the file is opened: every
/// acknowledged transaction has to be there, nothing by half, and every invariant of heap and collections has to hold.
#[derive(clap::Args)]
#[command(
    after_help = "Exit codes: 0 nothing was lost or half done; 1 something was, and the file is kept; \
                  2 the campaign could not be run."
)]
pub(crate) struct Args {
    /// What the transactions change.
    #[arg(long, default_value = "bank")]
    structure: Structure,
    /// How many times the process is killed and the file examined.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    crashes: u32,
    /// For how many seconds the child runs, over all crashes together.
    #[arg(long, value_name = "S", default_value_t = 10.0, value_parser = seconds)]
    seconds: f64,
    /// Where the file is created; it is kept [default: in shared memory, removed at the end].
    #[arg(long, value_name = "FILE")]
    path: Option<PathBuf>,
    /// Seed of the transactions and of the plan of kills [default: another one each time].
    #[arg(long)]
    seed: Option<u64>,
    /// Print one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
    /// Let the child make a mistake, to see that it is caught.
    #[arg(long, hide = true)]
    plant: bool,
}

#[derive(Serialize)]
struct Report {
    structure: &'static str,
    seed: u64,
    path: String,
    is_kept: bool,
    total: Total,
    violation: Option<String>,
    crashes: Vec<Crash>,
}

/// Bytes of a bank beside its tables, for logs.
const LOG_ROOM: u64 = 16 << 20;

/// Runs the campaign.
pub(crate) fn run(args: &Args, paint: Paint) -> Result<Verdict, Failure> {
    let seed = args.seed.unwrap_or_else(seed_of_the_day);
    let path = args.path.as_deref();
    match args.structure {
        Structure::Bank => {
            let scale = Scale::new(1).expect("the least scale");
            let len = scale.segment_bytes() + LOG_ROOM;
            let place = create(path, len, |tx| Bank::create_in(tx, scale))?;
            campaign(args, place, seed, Model::new(scale, seed), paint)
        }
        Structure::Map => {
            let place = create(path, map::SEGMENT_LEN, map::Maps::create_in)?;
            campaign(args, place, seed, map::Model::new(seed), paint)
        }
    }
}

fn campaign<S: Subject>(
    args: &Args,
    place: Place,
    seed: u64,
    mut model: S,
    paint: Paint,
) -> Result<Verdict, Failure> {
    let mut output = Output::default();
    if !args.json {
        let crashes = counted_crashes(args.crashes.into());
        let path = place.path().display();
        output.line(format!("{crashes} of {} in {path}; seed {seed}", S::STRUCTURE.name()))?;
    }
    let target = if args.json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(Some(args.crashes.into()), target);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} crashes  {msg}  {eta}");
    bar.set_style(style.expect("a template that indicatif knows"));

    let demo = Demo {
        path: place.path().to_owned(),
        seed,
        // Uniform from zero to twice the mean.
        run_max: Duration::from_secs_f64(2.0 * args.seconds / f64::from(args.crashes)),
        plant: args.plant,
    };
    let mut crashes = Vec::new();
    let mut violation = None;
    for number in 1..=u64::from(args.crashes) {
        match demo.crash(number, &mut model).map_err(|failure| place.keep_for(failure))? {
            Ok(crash) => {
                bar.set_message(format!("{} transactions", Grouped(crash.found)));
                bar.inc(1);
                crashes.push(crash);
            }
            Err(found) => {
                violation = Some(format!("crash {number}: {found}"));
                break;
            }
        }
    }
    bar.finish_and_clear();
    let is_kept = args.path.is_some() || violation.is_some();
    let report = Report {
        structure: S::STRUCTURE.option(),
        seed,
        path: place.path().display().to_string(),
        is_kept,
        total: Total::of(&crashes),
        violation,
        crashes,
    };
    if args.json {
        output.json(&report)?;
    } else {
        report.print(&mut output, paint)?;
    }
    if is_kept {
        place.keep();
    }
    Ok(Verdict::good_if(report.violation.is_none()))
}

fn counted_crashes(count: u64) -> String {
    if count == 1 { "1 crash".to_owned() } else { format!("{} crashes", Grouped(count)) }
}

impl Report {
    fn print(&self, output: &mut Output, paint: Paint) -> Result<(), Failure> {
        let Total { crash_count, kill_count, acknowledged, found, .. } = self.total;
        if crash_count == 0 {
            return self.print_end(output, paint);
        }
        output.line(format!(
            "{} ({}): {} transactions were acknowledged, and {} are there",
            counted_crashes(crash_count),
            counted(kill_count, "kill"),
            Grouped(acknowledged),
            Grouped(found),
        ))?;
        output.line(format!(
            "one was in flight {}, and was rolled back; of {} aimed at that rollback, {} cut it off half-way",
            counted(self.total.rolled_back_count, "time"),
            counted(self.total.cut_aimed_count, "kill"),
            Grouped(self.total.cut_hit_count),
        ))?;
        self.print_end(output, paint)
    }

    fn print_end(&self, output: &mut Output, paint: Paint) -> Result<(), Failure> {
        match &self.violation {
            None => output
                .line(paint.good("nothing was lost, nothing is half done, and every invariant holds"))?,
            Some(violation) => {
                output.line(paint.bad(format!("VIOLATION: {violation}")))?;
                output.line(format!(
                    "again: vista stress --structure {} --seed {}",
                    self.structure, self.seed
                ))?;
            }
        }
        if self.is_kept {
            output.line(format!("the file is kept: {}", self.path))?;
        }
        Ok(())
    }
}
