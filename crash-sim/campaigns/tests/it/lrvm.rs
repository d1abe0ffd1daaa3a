//! lrvm on Rio through every crash, as far as there is time for it in a test.
//!
//! The command of this package goes on where these end. Start at [`each`].

use campaigns::rvm::{self, Scenario, Subject};
use crash_sim::{Campaign, Model, Recorder};
use rio::Domain;

/// What lrvm promises on Rio: a kill in any domain, and a power cut where lines are flushed.
const PAIRS: [(Model, Domain); 3] =
    [(Model::Coherent, Domain::PageCache), (Model::Coherent, Domain::Adr), (Model::Adr, Domain::Adr)];

/// Explores scenarios under all pairs, with settings.
fn each(
    is_wanted: impl Fn(&Scenario) -> bool,
    images: usize,
    set: impl Fn(Campaign<Subject>) -> Campaign<Subject>,
) {
    let mut count = 0;
    for scenario in rvm::all().iter().filter(|scenario| is_wanted(scenario)) {
        for (model, domain) in PAIRS {
            let report = set(rvm::campaign(scenario, domain).images_max(images)).explore(model);
            println!("{report}");
            report.assert();
            assert!(report.images > 20 || report.skipped.is_some(), "{report}");
            count += 1;
        }
    }
    assert!(count > 0, "no scenario is wanted");
}

#[test]
fn what_was_acknowledged_is_there_after_any_crash() {
    each(|scenario| scenario.operation_count() > 0, 1000, |campaign| campaign);
}

#[test]
fn the_log_goes_on_behind_a_recovery() {
    each(|scenario| scenario.operation_count() > 0, 250, |campaign| campaign.resume(40));
}

/// What a killed process had stored and not flushed counts for the next one.
#[test]
fn a_power_cut_after_a_kill() {
    for scenario in rvm::all().iter().filter(|scenario| scenario.operation_count() > 0) {
        let campaign = rvm::campaign(scenario, Domain::Adr).kill_before_power_cut().images_max(800);
        let report = campaign.resume(10).explore(Model::Adr);
        println!("{report}");
        report.assert();
    }
}

/// A crash of a creation leaves no log, or an empty one.
#[test]
fn creation() {
    each(|scenario| scenario.operation_count() == 0, 2000, Campaign::crash_creation);
}

/// The compiled code, store by store.
#[test]
fn the_machine_sees_the_same() {
    let is_wanted = ["lrvm-without-flush", "lrvm-incremental"];
    each(|scenario| is_wanted.contains(&scenario.name), 80, |campaign| campaign.recorder(Recorder::Machine));
}

/// Real processes on real files, killed at their writes and syncs, and at any time.
#[test]
fn killed_processes_lose_nothing_that_was_acknowledged() {
    let program = env!("CARGO_BIN_EXE_campaigns");
    let output = std::process::Command::new(program).args(["lrvm-kill", "40"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}
