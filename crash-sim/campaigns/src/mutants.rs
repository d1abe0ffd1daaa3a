//! The mutation score of vista: which of its stores, write-backs and fences nobody misses, in any scenario.
//!
//! First each event of each scenario is left out, and looked for with few images. What is left are the places in the
//! source of which no event was missed: these are looked at again, with all the time that there is. Start at [`main`].

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use campaigns::{campaign, scenarios};
use crash_sim::trace::Event;
use crash_sim::{Campaign, Dropped, Model, Mutant, Mutants};
use rio::Domain;
use scenarios::Subject;

use crate::crew::{self, Tasks};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only scenarios whose name begins so.
    #[arg(default_value = "")]
    only: String,
    /// Distinct images per mutant at most, at first.
    #[arg(long, default_value_t = 1000)]
    images: usize,
    /// Scenarios whose workload has more events are left out.
    #[arg(long, default_value_t = 600)]
    events: usize,
    /// Seconds for the places of which no event was missed at first.
    #[arg(long, default_value_t = 300)]
    seconds: u64,
    /// Scenarios at the same time; by default as many as there are processors.
    #[arg(long)]
    threads: Option<usize>,
    /// Prints the score of each scenario as well.
    #[arg(long)]
    verbose: bool,
}

const MODELS: [Model; 2] = [Model::Adr, Model::Coherent];
/// One mutant at first.
const FIRST: Duration = Duration::from_secs(1);
/// Mutants of one place that are looked at again, at most: the first and the last of several scenarios.
const AGAIN: usize = 8;
/// Images that are kept at once then.
const IMAGES_AGAIN: usize = 100_000;

/// Prints the score. Needless events are no failure.
pub(crate) fn main(arguments: &Arguments) -> bool {
    let mut tasks = Vec::new();
    for (index, scenario) in scenarios::all().iter().enumerate() {
        let events = mutated(index).record().map_or(0, |trace| trace.len());
        if scenario.name.starts_with(&arguments.only) && (1..=arguments.events).contains(&events) {
            tasks.push((index, events));
        }
    }
    let scores = crew::each(
        &Tasks { noun: "scenarios", tasks: &tasks, threads: arguments.threads },
        |&(_, events)| (events * events) as f64,
        |&(index, _)| mutated(index).images_max(arguments.images).time_max(FIRST).mutants(&MODELS),
        |_, mutants| {
            let (noticed, count) = mutants.score();
            let seconds = mutants.duration.as_secs_f64();
            let line = format!("{:28} {noticed:4} of {count:4} noticed, {seconds:.0} s", mutants.name);
            Some(if arguments.verbose { format!("{line}\n{mutants}") } else { line })
        },
    );
    let scenarios: Vec<usize> = tasks.iter().map(|&(index, _)| index).collect();
    let mut places = places(&scenarios, &scores);
    look_again(&mut places, arguments);
    print(&places, &scores);
    true
}

/// The campaign of a scenario in which the most is missed.
fn mutated(scenario: usize) -> Campaign<Subject> {
    let scenario = &scenarios::all()[scenario];
    let campaign = campaign(scenario, Domain::Adr).lazy().kill_before_power_cut().resume(20);
    if scenario.name == "nothing" { campaign.crash_creation() } else { campaign }
}

/// A place in the source, with all that happens there.
struct Place {
    /// What it does, and the innermost two lines of vista behind those that all stores have in common.
    name: String,
    count: usize,
    noticed: usize,
    /// Of what was not noticed: the scenario, and the event.
    unnoticed: Vec<(usize, Dropped)>,
    /// Who noticed it when it was looked at again.
    again: Option<String>,
    /// Whether all that was looked at again was looked at whole.
    is_whole: bool,
}

fn places(scenarios: &[usize], scores: &[Mutants]) -> Vec<Place> {
    let mut places: BTreeMap<String, Place> = BTreeMap::new();
    for (&scenario, mutants) in scenarios.iter().zip(scores) {
        for mutant in &mutants.mutants {
            let name = name_of(mutant);
            let place = places.entry(name.clone()).or_insert_with(|| Place {
                name,
                count: 0,
                noticed: 0,
                unnoticed: Vec::new(),
                again: None,
                is_whole: false,
            });
            place.count += 1;
            match mutant.noticed {
                Some(_) => place.noticed += 1,
                None => place.unnoticed.push((scenario, mutant.dropped)),
            }
        }
    }
    places.into_values().collect()
}

fn name_of(mutant: &Mutant) -> String {
    let what = match mutant.event {
        Event::Store { .. } => "store",
        Event::Flush { .. } => "write-back",
        _ => "fence",
    };
    let of = if matches!(mutant.dropped, Dropped::Workload(_)) { "workload" } else { "recovery" };
    // A frame is `function<types> (file:line:column)`. The caller of a transaction says nothing of it.
    let frames = mutant.source.lines().map(str::trim).filter(|frame| frame.contains("(vista/src/"));
    let frames: Vec<String> = frames
        .filter_map(|frame| frame.trim_end_matches(')').rsplit_once(" ("))
        .map(|(function, place)| {
            let name = function.split('<').next().unwrap_or_default();
            let line =
                place.trim_start_matches("vista/src/").rsplit_once(':').map_or(place, |(line, _)| line);
            format!("{name} {line}")
        })
        .filter(|frame| !frame.starts_with("store_behind") && !frame.starts_with("store_bytes"))
        .take(2)
        .collect();
    format!("{what:10} in the {of}: {}", frames.join(" < "))
}

/// Looks at each place of which nothing was noticed again, with an equal share of the time.
fn look_again(places: &mut [Place], arguments: &Arguments) {
    let never: Vec<usize> = (0..places.len()).filter(|&at| places[at].noticed == 0).collect();
    let threads = arguments.threads.unwrap_or_else(crew::processors);
    let share = Duration::from_secs(arguments.seconds * threads as u64) / never.len().max(1) as u32;
    let found = crew::each(
        &Tasks { noun: "places", tasks: &never, threads: Some(threads) },
        |_| share.as_secs_f64(),
        |&at| notice(&places[at], share),
        |_, _| None,
    );
    for (at, (again, is_whole)) in never.into_iter().zip(found) {
        (places[at].again, places[at].is_whole) = (again, is_whole);
    }
}

/// Who notices that something of a place is missing, in this time; and whether all was looked at.
fn notice(place: &Place, share: Duration) -> (Option<String>, bool) {
    let mut chosen = Vec::new();
    for run in place.unnoticed.chunk_by(|a, b| a.0 == b.0) {
        chosen.extend([run[0], run[run.len() - 1]]);
    }
    chosen.dedup();
    let mut is_whole = chosen.len() <= AGAIN && chosen.len() == place.unnoticed.len();
    chosen.truncate(AGAIN);
    let until = Instant::now() + share;
    let mut left = (chosen.len() * MODELS.len()) as u32;
    for (scenario, dropped) in chosen {
        for model in MODELS {
            let time = until.saturating_duration_since(Instant::now()) / left;
            left -= 1;
            let mut campaign = mutated(scenario).images_max(IMAGES_AGAIN).time_max(time);
            campaign.without(Some(dropped));
            let report = campaign.explore(model);
            if report.failure.is_some() {
                return (Some(format!("{} ({model}), {} recoveries", report.name, report.recoveries)), true);
            }
            is_whole &= report.is_complete();
        }
    }
    (None, is_whole)
}

fn print(places: &[Place], scores: &[Mutants]) {
    let count: usize = places.iter().map(|place| place.count).sum();
    let noticed: usize = places.iter().map(|place| place.noticed).sum();
    let is_needed = |place: &&Place| place.noticed > 0 || place.again.is_some();
    let needed = places.iter().filter(is_needed).count();
    println!("\n noticed     of  place: what it is, in which function at which line, called from where");
    for Place { name, count, noticed, again, .. } in places.iter().filter(is_needed) {
        let again = again.as_ref().map_or_else(String::new, |who| format!("; again: {who}"));
        println!("{noticed:8} {count:6}  {name}{again}");
    }
    for Place { name, count, is_whole, .. } in places.iter().filter(|place| !is_needed(place)) {
        let how = if *is_whole { "" } else { ", as far as was looked" };
        println!("   never {count:6}  {name}{how}");
    }
    println!("\n{noticed} of {count} events left out were noticed at first, in {} scenarios.", scores.len());
    println!("{needed} of {} places are needed by some scenario.", places.len());
}
