//! `vista demo`: a bank whose process is killed again and again.
//!
//! A child process runs transfers as fast as it can and acknowledges each one after its commit. It is killed with
//! SIGKILL at random moments, and the parent then compares all that it finds with a model: every acknowledged
//! transaction is there, and none is there by half. At the end the same transfers run without a child, against bare
//! stores to the same file and against a redo log. Start at [`run`].

pub(crate) mod place; // where the bank lies
pub(crate) mod crash; // one crash: the plan, the kill, the proof
pub(crate) mod worker; // the child, and the parent's hold on it
mod speed; // transactions against bare stores
mod redo; // the same on lrvm
pub(crate) mod machine; // what the numbers were measured on

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use vista::{Persistent, SegmentOptions, Transaction, rio};
use workloads::{Bank, Model, Scale};

use crate::failure::Failure;
use crate::output::{Bytes, Grouped, Output, Time, Verdict, counted};
use crash::{Crash, Demo};
use machine::Machine;
use place::Place;
use redo::Redo;
use speed::Speed;

/// Kill a process again and again, and prove that no transaction is lost or half done.
///
/// A child process makes bank transfers (debit-credit, in the manner of TPC-B) in a segment, and acknowledges each
/// one after its commit. It is killed with SIGKILL at random moments; sometimes its successor is killed too, while it
/// recovers. After every crash the file is opened and all of it is compared with a model. Then the speed of
/// transactions is measured beside bare stores to the same file, and beside the same bank on lrvm, whose redo log lies
/// in memory beside the file, and on a disk.
#[derive(clap::Args)]
#[command(
    after_help = "Exit codes: 0 nothing was lost or half done; 1 something was, and the file is kept; \
                        2 the demonstration could not be run."
)]
pub(crate) struct Args {
    /// How many times the process is killed and the file examined.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    crashes: u32,
    /// Seed of the transfers and of the plan of kills [default: another one each time].
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Where the bank is created; the file is kept [default: in shared memory, removed at the end].
    #[arg(long, value_name = "FILE")]
    path: Option<PathBuf>,
    /// For how many seconds the child runs, over all crashes together.
    #[arg(long, value_name = "T", default_value_t = 5.0, value_parser = seconds)]
    seconds: f64,
    /// Size of the bank, in units of 100,000 accounts.
    #[arg(long, value_name = "UNITS", default_value = "5", value_parser = scale)]
    scale: Scale,
    /// Print one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
    /// Let the child make a mistake, to see that it is caught.
    #[arg(long, hide = true)]
    plant: bool,
}

pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.001..=1e6).contains(&seconds) { Ok(seconds) } else { Err("not from 0.001 to 1000000".to_owned()) }
}

fn scale(text: &str) -> Result<Scale, String> {
    let units = text.parse().map_err(|_| "not a whole number".to_owned())?;
    Scale::new(units).ok_or_else(|| "not from 1 to 42949".to_owned())
}

/// All that was seen, for JSON.
#[derive(Serialize)]
struct Report {
    seed: u64,
    path: String,
    accounts: u32,
    is_kept: bool,
    crashes: Vec<Crash>,
    total: Total,
    violation: Option<String>,
    speed: Option<Speed>,
    redo: Vec<Redo>,
    machine: Option<Machine>,
}

#[derive(Clone, Copy, Default, Serialize)]
pub(crate) struct Total {
    pub(crate) crash_count: u64,
    pub(crate) kill_count: u64,
    pub(crate) acknowledged: u64,
    pub(crate) found: u64,
    pub(crate) rolled_back_count: u64,
    pub(crate) cut_aimed_count: u64,
    pub(crate) cut_hit_count: u64,
}

impl Total {
    pub(crate) fn of(crashes: &[Crash]) -> Total {
        let sum = |of: fn(&Crash) -> u64| crashes.iter().map(of).sum();
        Total {
            crash_count: crashes.len() as u64,
            kill_count: sum(|crash| 1 + crash.cuts_aimed),
            acknowledged: sum(|crash| crash.acknowledged),
            found: crashes.last().map_or(0, |crash| crash.found),
            rolled_back_count: sum(|crash| u64::from(crash.rolled_back.is_some())),
            cut_aimed_count: sum(|crash| crash.cuts_aimed),
            cut_hit_count: sum(|crash| crash.cuts_hit),
        }
    }
}

/// Runs the demonstration.
pub(crate) fn run(args: &Args) -> Result<Verdict, Failure> {
    let seed = args.seed.unwrap_or_else(seed_of_the_day);
    let place = create_bank(args)?;
    let mut show = Show::new(args);
    show.head(&place, args, seed)?;

    let demo = Demo {
        path: place.path().to_owned(),
        seed,
        // Uniform from zero to twice the mean.
        run_max: Duration::from_secs_f64(2.0 * args.seconds / f64::from(args.crashes)),
        plant: args.plant,
    };
    let mut model = Model::new(args.scale, seed);
    let mut crashes = Vec::new();
    let mut violation = None;
    for number in 1..=u64::from(args.crashes) {
        match demo.crash(number, &mut model).map_err(|failure| place.keep_for(failure))? {
            Ok(crash) => {
                show.crash(&crash)?;
                crashes.push(crash);
            }
            Err(found) => {
                violation = Some(format!("crash {number}: {found}"));
                break;
            }
        }
        if show.output.is_closed() {
            return Ok(Verdict::Good); // Nobody looks any more.
        }
    }
    show.bar.finish_and_clear();
    let total = Total::of(&crashes);
    if violation.is_none() {
        show.total(&total)?;
    }

    let (mut speed, mut machine) = (None, None);
    if violation.is_none() {
        match speed::measure(place.path(), &mut model).map_err(|failure| place.keep_for(failure))? {
            Ok(measured) => {
                machine = Some(Machine::look(place.path())?);
                speed = Some(measured);
            }
            Err(found) => violation = Some(format!("after the measurement: {found}")),
        }
    }
    let mut redo = Vec::new();
    if violation.is_none() {
        match measure_redo(&place, args.scale, seed)? {
            Ok(measured) => redo = measured,
            Err(found) => violation = Some(format!("on lrvm: {found}")),
        }
    }
    show.speed(speed.as_ref(), &redo, machine.as_ref())?;

    let is_kept = args.path.is_some() || violation.is_some();
    let report = Report {
        seed,
        path: place.path().display().to_string(),
        accounts: args.scale.accounts(),
        is_kept,
        crashes,
        total,
        violation,
        speed,
        redo,
        machine,
    };
    show.end(&report)?;
    if is_kept {
        place.keep();
    }
    Ok(Verdict::good_if(report.violation.is_none()))
}

/// Room for the log of a transaction that touches many accounts, beside the bank.
const LOG_ROOM: u64 = 16 << 20;

fn create_bank(args: &Args) -> Result<Place, Failure> {
    let len = args.scale.segment_bytes() + LOG_ROOM;
    create(args.path.as_deref(), len, |tx| Bank::create_in(tx, args.scale))
}

/// Creates a segment of `len` bytes where it was asked for, or where there is room for it.
pub(crate) fn create<R: Persistent>(
    path: Option<&Path>,
    len: u64,
    init: impl Fn(&mut Transaction<'_, R>) -> vista::Result<()>,
) -> Result<Place, Failure> {
    let mut place = Place::new(path)?;
    let options = SegmentOptions::new().size(len);
    loop {
        if machine::overfills_memory(place.path(), len) {
            if place.move_on()? {
                continue;
            }
            let what =
                format!("{}: {} are more than half of the free memory", place.path().display(), Bytes(len));
            return Err(Failure::new(what).with_advice("choose a smaller --scale, or a file on a disk"));
        }
        match options.create_with(place.path(), &init) {
            Ok(segment) => {
                segment.close()?;
                return Ok(place);
            }
            // Containers often have only 64 MiB of shared memory.
            Err(error) if is_no_space(&error) && place.move_on()? => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn is_no_space(error: &vista::Error) -> bool {
    matches!(error, vista::Error::Medium(error) if matches!(**error, rio::Error::NoSpace { .. }))
}

/// Any number will do, as long as it is printed.
pub(crate) fn seed_of_the_day() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |since| since.as_nanos() as u64 % 1_000_000_000)
}

/// What is shown meanwhile: lines on stdout and a bar on a terminal, or nothing at all before the JSON document.
struct Show {
    output: Output,
    is_json: bool,
    bar: ProgressBar,
}

impl Show {
    fn new(args: &Args) -> Show {
        // The bar draws on stderr, and only if that is a terminal.
        let target = if args.json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(args.crashes.into()), target);
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} crashes  {msg}");
        bar.set_style(style.expect("a template that indicatif knows"));
        Show { output: Output::default(), is_json: args.json, bar }
    }

    fn line(&mut self, line: impl Display) -> Result<(), Failure> {
        if self.is_json {
            return Ok(());
        }
        let output = &mut self.output;
        self.bar.suspend(|| output.line(line))
    }

    fn head(&mut self, place: &Place, args: &Args, seed: u64) -> Result<(), Failure> {
        let accounts = Grouped(args.scale.accounts().into());
        self.line(format!("A bank of {accounts} accounts in {}; seed {seed}.", place.path().display()))?;
        self.line(
            "Its process is killed with SIGKILL, the file opened, and all of it compared with a model.",
        )?;
        self.line("")?;
        self.line(format!("{:>47}", "rolled back"))?;
        self.line(row([
            &"crash",
            &"acknowledged",
            &"found in all",
            &"records",
            &"bytes",
            &"recovery",
            &"open",
            &"cut off",
        ]))
    }

    fn crash(&mut self, crash: &Crash) -> Result<(), Failure> {
        let micros = |micros| Time(Duration::from_secs_f64(micros / 1e6));
        let nothing: &dyn Display = &"-";
        let undone =
            crash.rolled_back.map(|undone| (Grouped(undone.record_count), Grouped(undone.byte_count)));
        let (records, bytes): (&dyn Display, &dyn Display) = match &undone {
            Some((records, bytes)) => (records, bytes),
            None => (nothing, nothing),
        };
        let cuts = Grouped(crash.cuts_hit);
        self.line(row([
            &Grouped(crash.number),
            &Grouped(crash.acknowledged),
            &Grouped(crash.found),
            records,
            bytes,
            &micros(crash.recovery_micros),
            &micros(crash.open_micros),
            if crash.cuts_hit == 0 { nothing } else { &cuts },
        ]))?;
        self.bar.set_message(format!("{} transactions", Grouped(crash.found)));
        self.bar.inc(1);
        Ok(())
    }

    fn total(&mut self, total: &Total) -> Result<(), Failure> {
        let &Total { crash_count, kill_count, acknowledged, found, .. } = total;
        self.line("")?;
        self.line(format!(
            "{} ({}): {} transactions were acknowledged, and {} are there.",
            if crash_count == 1 { "1 crash".to_owned() } else { format!("{} crashes", Grouped(crash_count)) },
            counted(kill_count, "kill"),
            Grouped(acknowledged),
            Grouped(found),
        ))?;
        self.line(format!(
            "One was in flight {}, and was rolled back; of {} aimed at that rollback, {} cut it off half-way.",
            counted(total.rolled_back_count, "time"),
            counted(total.cut_aimed_count, "kill"),
            Grouped(total.cut_hit_count),
        ))
    }

    fn speed(
        &mut self,
        speed: Option<&Speed>,
        redo: &[Redo],
        machine: Option<&Machine>,
    ) -> Result<(), Failure> {
        let (Some(speed), Some(machine)) = (speed, machine) else { return Ok(()) };
        self.line("No acknowledged transaction is lost, none is half there, and every invariant holds.")?;
        self.line("")?;
        self.line(format!(
            "In one process, without acknowledgements (medians of {} rounds, in turns, on the same file):",
            speed.round_count
        ))?;
        self.line(format!(
            "  debit-credit transaction  {:>7.1} ns  {:>12} per second",
            speed.transaction_nanos,
            Grouped(speed.transactions_per_second as u64)
        ))?;
        self.line(format!("  the same stores, bare     {:>7.1} ns", speed.bare_nanos))?;
        self.line(format!("  ratio                     {:>7.2}", speed.ratio))?;
        for Redo { is_on_rio, file_system, transaction_nanos, truncations, .. } in redo {
            let place = if *is_on_rio { "on Rio" } else { "on disk" };
            let engine = format!("lrvm, {place}, {file_system}");
            let times = transaction_nanos / speed.transaction_nanos;
            let truncations = counted(*truncations, "truncation");
            self.line(format!(
                "  {engine:<24}  {transaction_nanos:>7.0} ns  {times:>7.1} times vista; {truncations}"
            ))?;
        }
        self.line(format!("  on {}", machine.processor))?;
        self.line(format!(
            "  Linux {}, {} ({}), persistence domain {}, protection {}, {}",
            machine.kernel,
            machine.file_system,
            machine.backing,
            machine.domain,
            if machine.is_protected { "on" } else { "off" },
            machine.build,
        ))?;
        self.line(format!("  survives: {}", machine.survives))
    }

    fn end(&mut self, report: &Report) -> Result<(), Failure> {
        if self.is_json {
            return self.output.json(report);
        }
        if let Some(violation) = &report.violation {
            self.line(format!("VIOLATION: {violation}"))?;
            self.line(format!("seed {}", report.seed))?;
        }
        if report.is_kept {
            self.line(format!("The bank is kept: {}", report.path))?;
        }
        Ok(())
    }
}

/// The same bank on lrvm, beside the file and on a disk. It lies twice there, in memory and in its segment, and is no
/// larger than the default.
fn measure_redo(place: &Place, scale: Scale, seed: u64) -> Result<Result<Vec<Redo>, String>, Failure> {
    let scale = if scale.branches() > Scale::default().branches() { Scale::default() } else { scale };
    let mut measured = Vec::new();
    for is_on_rio in [true, false] {
        let directory = if is_on_rio { place.beside()? } else { place.on_disk()? };
        match redo::measure(&directory, is_on_rio, scale, seed)? {
            Ok(redo) => measured.push(redo),
            Err(violation) => return Ok(Err(violation)),
        }
    }
    Ok(Ok(measured))
}

/// One line of the table.
fn row([number, acknowledged, found, records, bytes, recovery, open, cuts]: [&dyn Display; 8]) -> String {
    format!(
        "{number:>5}  {acknowledged:>12}  {found:>12}  {records:>8}  {bytes:>9}  {recovery:>8}  {open:>8}  {cuts:>7}"
    )
}
