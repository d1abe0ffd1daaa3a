//! lrvm on Rio: each scenario under each pair of model and domain, seen by each recorder. Start at [`main`].

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use campaigns::rvm::{self, Scenario, Subject};
use crash_sim::{Campaign, Model, Recorder, Report};
use rio::Domain;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only scenarios whose name begins so.
    #[arg(default_value = "")]
    only: String,
    /// Distinct images per campaign at most; what is left is reported.
    #[arg(long, default_value_t = 50_000)]
    images: usize,
    /// The same under the machine recorder.
    #[arg(long, default_value_t = 2_000)]
    machine_images: usize,
    /// Campaigns at the same time; by default as many as there are processors.
    #[arg(long)]
    threads: Option<usize>,
    /// Prints every report in full.
    #[arg(long)]
    verbose: bool,
}

/// What is done with a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It is crashed.
    Plain,
    /// So is the making of its log.
    Creation,
    /// It goes on behind recoveries.
    Resume,
    /// The process is killed, then the power is cut.
    KillFirst,
}

/// What lrvm promises on Rio: a kill in any domain, a power cut where lines are flushed. In the page cache nothing is synced.
const PAIRS: [(Model, Domain); 4] = [
    (Model::Coherent, Domain::PageCache),
    (Model::Coherent, Domain::Eadr),
    (Model::Coherent, Domain::Adr),
    (Model::Adr, Domain::Adr),
];

/// All kinds of campaigns under a model.
fn kinds(model: Model) -> Vec<Kind> {
    let mut kinds = vec![Kind::Plain, Kind::Creation, Kind::Resume];
    if model == Model::Adr {
        kinds.push(Kind::KillFirst);
    }
    kinds
}

/// A campaign of this kind.
pub(crate) fn campaign_of(
    scenario: &Scenario,
    domain: Domain,
    kind: Kind,
    images: usize,
) -> Campaign<Subject> {
    let campaign = rvm::campaign(scenario, domain).images_max(images);
    match kind {
        Kind::Plain => campaign,
        Kind::Creation => campaign.crash_creation().images_max(images.min(2000)),
        Kind::Resume => campaign.resume(200),
        Kind::KillFirst => campaign.kill_before_power_cut().resume(100),
    }
}

/// Whether everything holds.
pub(crate) fn main(arguments: &Arguments) -> bool {
    let scenarios: Vec<Scenario> =
        rvm::all().into_iter().filter(|scenario| scenario.name.starts_with(&arguments.only)).collect();
    let mut tasks = Vec::new();
    for scenario in &scenarios {
        for recorder in [Recorder::Seam, Recorder::Machine] {
            for (model, domain) in PAIRS {
                tasks.extend(kinds(model).into_iter().map(|kind| (scenario, recorder, model, domain, kind)));
            }
        }
    }
    let (next, reports, started) = (AtomicUsize::new(0), Mutex::new(Vec::new()), Instant::now());
    let threads = arguments.threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(&(scenario, recorder, model, domain, kind)) =
                    tasks.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    let images = match recorder {
                        Recorder::Seam => arguments.images,
                        Recorder::Machine => arguments.machine_images,
                    };
                    let report =
                        campaign_of(scenario, domain, kind, images).recorder(recorder).explore(model);
                    print(kind, &report, arguments.verbose);
                    reports.lock().expect("nobody panics with it").push(report);
                }
            });
        }
    });
    summary(&reports.into_inner().expect("nobody panics with it"), started)
}

fn print(kind: Kind, report: &Report, is_verbose: bool) {
    if is_verbose || report.failure.is_some() {
        println!("{report}\n");
        return;
    }
    let Report { name, recorder, model, domain, images, uncovered, left, levels, .. } = report;
    let covered = match (report.is_complete(), &report.skipped) {
        (_, Some(why)) => format!("skipped: {why}"),
        (true, _) => "complete".to_owned(),
        (false, _) => format!("{left} images left, {uncovered} combinations not tried"),
    };
    let seconds = report.duration.as_secs_f64();
    println!(
        "{name:25} {recorder:7} {model:8} {domain:10} {kind:?}: {images} images {levels:?}, {seconds:.3} s, {covered}"
    );
}

fn summary(reports: &[Report], started: Instant) -> bool {
    let failures = reports.iter().filter(|report| report.failure.is_some()).count();
    println!(
        "\n{} campaigns: {} images, {} recoveries; {} complete, {} skipped, {failures} failed; {:.0} s",
        reports.len(),
        reports.iter().map(|report| report.images).sum::<usize>(),
        reports.iter().map(|report| report.recoveries).sum::<u64>(),
        reports.iter().filter(|report| report.is_complete()).count(),
        reports.iter().filter(|report| report.skipped.is_some()).count(),
        started.elapsed().as_secs_f64()
    );
    failures == 0
}
