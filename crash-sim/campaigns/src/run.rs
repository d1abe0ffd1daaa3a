//! Everything: each scenario under each pair of model and domain, seen by each recorder.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use campaigns::{PAIRS, campaign, scenarios};
use crash_sim::{Campaign, Model, Recorder, Report};
use indicatif::{ProgressBar, ProgressStyle};
use rio::Domain;
use scenarios::Subject;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only scenarios whose name begins so.
    #[arg(default_value = "")]
    only: String,
    /// Distinct images per campaign at most; what is left is reported.
    #[arg(long, default_value_t = 50_000)]
    images: usize,
    /// The same under the machine recorder, which takes a hundred times as long for each.
    #[arg(long, default_value_t = 2_000)]
    machine_images: usize,
    /// Campaigns at the same time; by default as many as there are processors.
    #[arg(long)]
    threads: Option<usize>,
    /// Prints every report in full.
    #[arg(long)]
    verbose: bool,
}

/// What is done with a scenario beside its plain run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    Creation,
    KillFirst,
    Resume,
}

#[derive(Clone, Copy)]
struct Task {
    scenario: usize,
    recorder: Recorder,
    model: Model,
    domain: Domain,
    kind: Kind,
}

fn tasks(only: &str) -> Vec<Task> {
    let names: Vec<String> = scenarios::all().into_iter().map(|scenario| scenario.name).collect();
    let mut tasks = Vec::new();
    for (scenario, name) in names.iter().enumerate().filter(|(_, name)| name.starts_with(only)) {
        for recorder in [Recorder::Seam, Recorder::Machine] {
            for (model, domain) in PAIRS {
                let mut kinds = vec![Kind::Plain, Kind::Resume];
                if model == Model::Adr {
                    kinds.push(Kind::KillFirst);
                }
                if name == "nothing" {
                    kinds.push(Kind::Creation);
                }
                tasks.extend(kinds.into_iter().map(|kind| Task { scenario, recorder, model, domain, kind }));
            }
        }
    }
    tasks
}

fn campaign_of(task: Task, arguments: &Arguments) -> Campaign<Subject> {
    let scenario = &scenarios::all()[task.scenario];
    let images = match task.recorder {
        Recorder::Seam => arguments.images,
        Recorder::Machine => arguments.machine_images,
    };
    let campaign = campaign(scenario, task.domain).recorder(task.recorder).lazy().images_max(images);
    match task.kind {
        Kind::Plain => campaign,
        Kind::Creation => campaign.crash_creation(),
        Kind::KillFirst => campaign.kill_before_power_cut().images_max(images / 5),
        Kind::Resume => campaign.resume(100).images_max(images / 5),
    }
}

/// Whether everything holds.
pub(crate) fn main(arguments: &Arguments) -> bool {
    let tasks = tasks(&arguments.only);
    let bar = ProgressBar::new(tasks.len() as u64);
    let style = "{elapsed_precise} {bar:30} {pos} of {len} campaigns, {eta} left; {msg}";
    bar.set_style(ProgressStyle::with_template(style).expect("a template"));
    let next = AtomicUsize::new(0);
    let reports = Mutex::new(Vec::new());
    let started = Instant::now();
    let threads = arguments.threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(&task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let report = campaign_of(task, arguments).explore(task.model);
                    bar.set_message(format!("{} ({})", report.name, report.recorder));
                    bar.inc(1);
                    bar.suspend(|| print(&task, &report, arguments.verbose));
                    reports.lock().expect("nobody panics with it").push(report);
                }
            });
        }
    });
    bar.finish_and_clear();
    summary(&reports.into_inner().expect("nobody panics with it"), started)
}

fn print(task: &Task, report: &Report, is_verbose: bool) {
    if is_verbose || report.failure.is_some() {
        println!("{report}\n");
        return;
    }
    let Report { name, recorder, model, domain, images, uncovered, left, .. } = report;
    let kind = match task.kind {
        Kind::Plain => "",
        Kind::Creation => ", creation",
        Kind::KillFirst => ", killed first",
        Kind::Resume => ", resumed",
    };
    let covered = match (report.is_complete(), &report.skipped) {
        (_, Some(why)) => format!("skipped: {why}"),
        (true, _) => "complete".to_owned(),
        (false, _) => format!("{left} images left, {uncovered} points cut short"),
    };
    let seconds = report.duration.as_secs_f64();
    println!(
        "{name:24} {recorder:7} {model:8} {domain:10} {images:8} images, depth {:2}, {seconds:8.3} s, {covered}{kind}",
        report.depth()
    );
}

fn summary(reports: &[Report], started: Instant) -> bool {
    let failures = reports.iter().filter(|report| report.failure.is_some()).count();
    let skipped = reports.iter().filter(|report| report.skipped.is_some()).count();
    println!(
        "\n{} campaigns: {} crash points, {} images, {} recoveries; {} complete, {skipped} skipped, {failures} failed; {:.0} s",
        reports.len(),
        reports.iter().map(|report| report.points).sum::<u64>(),
        reports.iter().map(|report| report.images).sum::<usize>(),
        reports.iter().map(|report| report.recoveries).sum::<u64>(),
        reports.iter().filter(|report| report.is_complete() && report.is_ok()).count(),
        started.elapsed().as_secs_f64()
    );
    failures == 0
}
