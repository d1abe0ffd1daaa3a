//! The mutation score of vista: which of its stores, write-backs and fences nobody misses, in any scenario.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use campaigns::{campaign, scenarios};
use crash_sim::trace::Event;
use crash_sim::{Dropped, Model, Mutants};
use rio::Domain;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only scenarios whose name begins so.
    #[arg(default_value = "")]
    only: String,
    /// Distinct images per mutant at most.
    #[arg(long, default_value_t = 5000)]
    images: usize,
    /// Scenarios whose workload has more events are left out.
    #[arg(long, default_value_t = 400)]
    events: usize,
    /// Prints the score of each scenario as well.
    #[arg(long)]
    verbose: bool,
}

/// Prints the score. Needless events are no failure.
pub(crate) fn main(arguments: &Arguments) -> bool {
    let names = scenarios::all().into_iter().map(|scenario| scenario.name);
    let indices: Vec<usize> =
        names.enumerate().filter(|(_, name)| name.starts_with(&arguments.only)).map(|(i, _)| i).collect();
    let next = AtomicUsize::new(0);
    let all = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(&index) = indices.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Some(mutants) = score(index, arguments) {
                        let (noticed, count) = mutants.score();
                        eprintln!(
                            "{}: {noticed} of {count}, {:.0} s",
                            mutants.name,
                            mutants.duration.as_secs_f64()
                        );
                        if arguments.verbose {
                            println!("{mutants}");
                        }
                        all.lock().expect("nobody panics with it").push(mutants);
                    }
                }
            });
        }
    });
    print(&all.into_inner().expect("nobody panics with it"));
    true
}

fn score(index: usize, arguments: &Arguments) -> Option<Mutants> {
    let scenario = &scenarios::all()[index];
    let mut campaign = campaign(scenario, Domain::Adr)
        .lazy()
        .kill_before_power_cut()
        .resume(20)
        .images_max(arguments.images);
    if scenario.name == "nothing" {
        campaign = campaign.crash_creation();
    }
    let events = campaign.record().ok()?.len();
    (1..=arguments.events).contains(&events).then(|| campaign.mutants(&[Model::Adr, Model::Coherent]))
}

/// By place in the source: how many were noticed, of how many.
fn print(all: &[Mutants]) {
    let mut places: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for mutant in all.iter().flat_map(|mutants| &mutants.mutants) {
        let what = match mutant.event {
            Event::Store { .. } => "store",
            Event::Flush { .. } => "write-back",
            _ => "fence",
        };
        let of = if matches!(mutant.dropped, Dropped::Workload(_)) { "workload" } else { "recovery" };
        let frames = mutant.source.lines().map(str::trim).filter(|frame| frame.contains("(vista/src/"));
        let places_of: Vec<&str> = frames
            .filter_map(|frame| frame.rsplit_once('('))
            .map(|(_, place)| place.trim_end_matches(')'))
            .take(3)
            .collect();
        let entry = places.entry(format!("{what:10} in the {of}, {}", places_of.join(" < "))).or_default();
        entry.1 += 1;
        entry.0 += usize::from(mutant.noticed.is_some());
    }
    let noticed: usize = places.values().map(|count| count.0).sum();
    let count: usize = places.values().map(|count| count.1).sum();
    let needed = places.values().filter(|count| count.0 > 0).count();
    println!("{noticed} of {count} events left out were noticed, in {} scenarios.", all.len());
    println!(
        "{needed} of {} places (what, and the innermost three lines) are needed by some scenario.",
        places.len()
    );
    for (place, (_, count)) in places.iter().filter(|(_, count)| count.0 == 0) {
        println!("  never noticed, {count:4} times: {place}");
    }
}
