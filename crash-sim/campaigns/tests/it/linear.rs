//! Vectors, queues, slabs, strings, cells and options through every crash, as far as there is time for it in a test; the
//! command of this package goes on where this ends.

use campaigns::collections::linear::{self, Root};
use campaigns::collections::{Scenario, campaign};
use crash_sim::{Model, Recorder};
use rio::Domain;

use crate::support::PAIRS;

/// So many images of each scenario whose name begins so.
fn check(begin: &str, images: usize) {
    let scenarios: Vec<_> =
        linear::all().into_iter().filter(|scenario| scenario.name.starts_with(begin)).collect();
    assert!(!scenarios.is_empty(), "no scenario {begin}");
    for scenario in &scenarios {
        for pair in PAIRS {
            explore(scenario, pair, Recorder::Seam, images);
        }
    }
}

fn explore(scenario: &Scenario<Root>, (model, domain): (Model, Domain), recorder: Recorder, images: usize) {
    let campaign = campaign(scenario, domain).recorder(recorder).lazy().images_max(images).samples(20);
    let report = campaign.explore(model);
    println!("{report}");
    report.assert();
    let is_far = report.is_complete() || report.images >= images / 2 || report.uncovered > 0;
    assert!(is_far || report.skipped.is_some(), "{report}");
}

#[test]
fn vectors() {
    check("vec-", 4000);
}

#[test]
fn queues() {
    check("deque-", 4000);
}

#[test]
fn slabs() {
    check("slab-", 4000);
}

#[test]
fn strings() {
    check("bytes-", 4000);
    check("text", 4000);
}

#[test]
fn cells_and_options() {
    check("cell", 4000);
    check("option", 4000);
}

/// The same, as the machine sees it: each store that was really executed.
#[test]
fn as_the_machine_sees_it() {
    for name in ["vec-push-and-pop", "deque-push-and-pop", "slab-insert-and-remove", "bytes-push-and-pop"] {
        let scenario = linear::all().into_iter().find(|scenario| scenario.name == name).expect("a scenario");
        explore(&scenario, (Model::Adr, Domain::Adr), Recorder::Machine, 400);
    }
}
