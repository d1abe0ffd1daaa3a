//! Everything: each scenario under each pair of model and domain, seen by each recorder, until its time is over.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use campaigns::collections::{self, btree_map, hash_map, linear, mixed};
use campaigns::{PAIRS, campaign, scenarios};
use crash_sim::{Campaign, Model, Recorder, Report};
use rio::Domain;
use vista::Persistent;

use crate::crew::{self, Tasks};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only scenarios whose name begins so.
    #[arg(default_value = "")]
    only: String,
    /// Seconds per campaign at most; what is left is reported.
    #[arg(long, default_value_t = 6.0)]
    seconds_each: f64,
    /// Megabytes that the images of one campaign may take, roughly; what is left is reported.
    #[arg(long, default_value_t = 1000)]
    megabytes: usize,
    /// Recoveries behind which the workload goes on, in the campaigns in which it does.
    #[arg(long, default_value_t = 100)]
    resumed: usize,
    /// What chance begins with, where there are more images than there is time for.
    #[arg(long, default_value_t = 1)]
    seed: u64,
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
    KillFirstAndResume,
    Resume,
}

/// A scenario, by its number in the list of its kind.
#[derive(Clone, Copy)]
enum Scenario {
    Segment(usize),
    HashMap(usize),
    BTreeMap(usize),
    Linear(usize),
    Mixed(usize),
}

#[derive(Clone, Copy)]
struct Task {
    scenario: Scenario,
    /// Events of its workload.
    events: usize,
    recorder: Recorder,
    model: Model,
    domain: Domain,
    kind: Kind,
}

/// The scenarios that are wanted: name, and events of the workload.
fn scenarios(only: &str) -> Vec<(Scenario, String, usize)> {
    let mut found = Vec::new();
    for (number, scenario) in scenarios::all().iter().enumerate() {
        if scenario.name.starts_with(only) {
            let events = campaign(scenario, Domain::Adr).record().map_or(0, |trace| trace.len());
            found.push((Scenario::Segment(number), scenario.name.clone(), events));
        }
    }
    found.extend(collections(only, &hash_map::all(), Scenario::HashMap));
    found.extend(collections(only, &btree_map::all(), Scenario::BTreeMap));
    found.extend(collections(only, &linear::all(), Scenario::Linear));
    found.extend(collections(only, &mixed::all(), Scenario::Mixed));
    found
}

/// The same, of a kind of collections.
fn collections<R: Persistent>(
    only: &str,
    all: &[collections::Scenario<R>],
    kind: fn(usize) -> Scenario,
) -> Vec<(Scenario, String, usize)> {
    let wanted = all.iter().enumerate().filter(|(_, scenario)| scenario.name.starts_with(only));
    let described = wanted.map(|(number, scenario)| {
        let recorded = collections::campaign(scenario, Domain::Adr).record();
        (kind(number), scenario.name.to_owned(), recorded.map_or(0, |trace| trace.len()))
    });
    described.collect()
}

fn tasks(only: &str) -> Vec<Task> {
    let mut tasks = Vec::new();
    for (scenario, name, events) in scenarios(only) {
        for recorder in [Recorder::Seam, Recorder::Machine] {
            for (model, domain) in PAIRS {
                let mut kinds = vec![Kind::Plain, Kind::Resume];
                if model == Model::Adr {
                    kinds.extend([Kind::KillFirst, Kind::KillFirstAndResume]);
                }
                if name == "nothing" {
                    kinds.push(Kind::Creation);
                }
                let task = |kind| Task { scenario, events, recorder, model, domain, kind };
                tasks.extend(kinds.into_iter().map(task));
            }
        }
    }
    tasks
}

fn explore(task: &Task, arguments: &Arguments) -> Report {
    match task.scenario {
        Scenario::Segment(number) => {
            let campaign = campaign(&scenarios::all()[number], task.domain);
            set(campaign, task, arguments).explore(task.model)
        }
        Scenario::HashMap(number) => {
            let campaign = collections::campaign(&hash_map::all()[number], task.domain);
            set(campaign, task, arguments).explore(task.model)
        }
        Scenario::BTreeMap(number) => {
            let campaign = collections::campaign(&btree_map::all()[number], task.domain);
            set(campaign, task, arguments).explore(task.model)
        }
        Scenario::Linear(number) => {
            let campaign = collections::campaign(&linear::all()[number], task.domain);
            set(campaign, task, arguments).explore(task.model)
        }
        Scenario::Mixed(number) => {
            let campaign = collections::campaign(&mixed::all()[number], task.domain);
            set(campaign, task, arguments).explore(task.model)
        }
    }
}

/// The campaign with the settings of a task.
fn set<T>(campaign: Campaign<T>, task: &Task, arguments: &Arguments) -> Campaign<T> {
    let campaign = campaign
        .recorder(task.recorder)
        .lazy()
        .seed(arguments.seed)
        .images_max(images(task, arguments))
        .time_max(Duration::from_secs_f64(arguments.seconds_each));
    match task.kind {
        Kind::Plain => campaign,
        Kind::Creation => campaign.crash_creation(),
        Kind::KillFirst => campaign.kill_before_power_cut(),
        Kind::KillFirstAndResume => campaign.kill_before_power_cut().resume(arguments.resumed),
        Kind::Resume => campaign.resume(arguments.resumed),
    }
}

/// Distinct images at most. Each is kept as the words in which it differs, and those are fewer than the events; behind a
/// kill there is all that is under way beside it.
fn images(task: &Task, arguments: &Arguments) -> usize {
    let bytes_per_event = match task.kind {
        Kind::KillFirst | Kind::KillFirstAndResume => 96,
        _ => 16,
    };
    (arguments.megabytes << 20) / (bytes_per_event * task.events.max(32))
}

/// Seconds that it will take, roughly, by the length of its workload.
fn cost(task: &Task, arguments: &Arguments) -> f64 {
    let images_per_event = match (task.model, task.kind) {
        (Model::Coherent, Kind::Plain | Kind::Creation) => 1.0,
        (_, Kind::Plain | Kind::Creation) => 10.0,
        (_, Kind::KillFirst | Kind::KillFirstAndResume | Kind::Resume) => 50.0,
    };
    let seconds_per_image = match task.recorder {
        Recorder::Seam => 30e-6,
        Recorder::Machine => 100e-6,
    };
    // A recovery takes the longer the more there is to undo.
    let images = images_per_event * task.events as f64;
    (images * seconds_per_image * (1.0 + task.events as f64 / 200.0)).min(arguments.seconds_each)
}

/// Whether everything holds.
pub(crate) fn main(arguments: &Arguments) -> bool {
    let tasks = tasks(&arguments.only);
    let started = Instant::now();
    let reports = crew::each(
        &Tasks { noun: "campaigns", tasks: &tasks, threads: arguments.threads },
        |task| cost(task, arguments),
        |task| explore(task, arguments),
        |task, report| Some(line(task, report, arguments.verbose)),
    );
    summary(&reports, started)
}

/// A campaign that has ended.
fn line(task: &Task, report: &Report, is_verbose: bool) -> String {
    if is_verbose || report.failure.is_some() {
        return format!("{report}\n");
    }
    let Report { name, recorder, model, domain, images, .. } = report;
    let kind = match task.kind {
        Kind::Plain => "",
        Kind::Creation => ", creation",
        Kind::KillFirst => ", killed first",
        Kind::KillFirstAndResume => ", killed first, resumed",
        Kind::Resume => ", resumed",
    };
    let seconds = report.duration.as_secs_f64();
    format!(
        "{name:28} {recorder:7} {model:8} {domain:10} {images:8} images, depth {:2}, {seconds:8.3} s, {}{kind}",
        report.depth(),
        covered(report)
    )
}

/// How far a campaign came.
fn covered(report: &Report) -> String {
    match &report.skipped {
        Some(why) => format!("skipped: {why}"),
        None if report.is_complete() => "complete".to_owned(),
        None => {
            let why = if report.is_out_of_time { "out of time" } else { "cut short" };
            let Report { left, uncovered, .. } = report;
            format!("{why}: {left} images left, {uncovered} combinations not tried")
        }
    }
}

/// Figures of several campaigns.
#[derive(Default)]
struct Sum {
    count: usize,
    complete: usize,
    out_of_time: usize,
    skipped: usize,
    failed: usize,
    points: u64,
    images: usize,
    left: usize,
    recoveries: u64,
    depth: usize,
    seconds: f64,
}

impl Sum {
    fn add(&mut self, report: &Report) {
        self.count += 1;
        self.complete += usize::from(report.is_complete());
        self.out_of_time += usize::from(report.is_out_of_time);
        self.skipped += usize::from(report.skipped.is_some());
        self.failed += usize::from(report.failure.is_some());
        self.points += report.points;
        self.images += report.images;
        self.left += report.left;
        self.recoveries += report.recoveries;
        self.depth = self.depth.max(report.depth());
        self.seconds += report.duration.as_secs_f64();
    }

    fn row(&self, name: &str) -> String {
        let Sum { count, complete, points, images, left, recoveries, depth, seconds, .. } = self;
        format!(
            "{name:30} {count:9} {complete:9} {points:12} {images:10} {left:10} {recoveries:11} {depth:6} {seconds:8.0}"
        )
    }
}

fn summary(reports: &[Report], started: Instant) -> bool {
    let mut all = Sum::default();
    let mut groups: BTreeMap<&str, Sum> = BTreeMap::new();
    for report in reports {
        all.add(report);
        let group = report.name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
        groups.entry(group).or_default().add(report);
    }
    println!(
        "\n{:30} campaigns  complete crash points     images images left  recoveries  depth  seconds",
        "scenario"
    );
    groups.iter().for_each(|(name, sum)| println!("{}", sum.row(name)));
    println!("{}", all.row("all"));
    let cut_short = all.count - all.complete - all.skipped - all.failed;
    println!(
        "\n{} campaigns in {:.0} s: {} complete, {cut_short} cut short ({} of them by their time), {} skipped, {} failed",
        all.count,
        started.elapsed().as_secs_f64(),
        all.complete,
        all.out_of_time,
        all.skipped,
        all.failed
    );
    all.failed == 0
}
