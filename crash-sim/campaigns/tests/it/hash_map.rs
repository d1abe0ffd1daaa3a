//! Hash maps through every crash, as far as there is time for it in a test; the command of this package goes on where
//! this ends.

use campaigns::collections::{campaign, hash_map};
use crash_sim::{Model, Recorder};
use rio::Domain;

use crate::support;

/// So many images of a scenario.
fn check(name: &str, images: usize) {
    support::check(hash_map::all(), name, images);
}

#[test]
fn insertions() {
    check("hash-map-insert", 1500);
}

#[test]
fn removals() {
    check("hash-map-remove", 1500);
    check("hash-map-slots-again", 1500);
}

#[test]
fn keys_and_values_that_own_memory() {
    check("hash-map-words", 1500);
}

#[test]
fn growth() {
    check("hash-map-growth", 2500);
    check("hash-map-growth-in-one", 1500);
    check("hash-map-removals-while-growing", 1500);
    check("hash-map-purge", 1500);
}

#[test]
fn all_at_once() {
    check("hash-map-clear", 1000);
    check("hash-map-reserve", 1000);
}

/// The same, as the machine sees it: each store that was really executed.
#[test]
fn as_the_machine_sees_it() {
    for scenario in
        hash_map::all().iter().filter(|it| ["hash-map-slots-again", "hash-map-growth"].contains(&it.name))
    {
        let campaign = campaign(scenario, Domain::Adr).recorder(Recorder::Machine).lazy();
        let report = campaign.images_max(400).samples(10).explore(Model::Adr);
        println!("{report}");
        report.assert();
    }
}
