//! B-trees through every crash, as far as there is time for it in a test; the command of this package goes on where
//! this ends.

use campaigns::collections::{btree_map, campaign};
use crash_sim::{Model, Recorder};
use rio::Domain;

use crate::support;

/// So many images of a scenario.
fn check(name: &str, images: usize) {
    support::check(btree_map::all(), name, images);
}

#[test]
fn insertions() {
    check("btree-map-insert", 1500);
    check("btree-map-leaf-split", 1500);
    check("btree-map-inner-split", 1500);
    check("btree-map-root-split", 1000);
}

#[test]
fn removals() {
    check("btree-map-remove", 1500);
    check("btree-map-merge", 1500);
    check("btree-map-collapse", 1500);
}

#[test]
fn rollbacks() {
    check("btree-map-slots-again", 1500);
    check("btree-map-split-in-vain", 1500);
}

#[test]
fn keys_and_values_that_own_memory() {
    check("btree-map-words", 1500);
}

#[test]
fn many_at_once() {
    check("btree-map-many", 1500);
    check("btree-map-clear", 800);
}

/// The same, as the machine sees it: each store that was really executed.
#[test]
fn as_the_machine_sees_it() {
    for scenario in btree_map::all()
        .iter()
        .filter(|it| ["btree-map-slots-again", "btree-map-inner-split"].contains(&it.name))
    {
        let campaign = campaign(scenario, Domain::Adr).recorder(Recorder::Machine).lazy();
        let report = campaign.images_max(400).samples(10).explore(Model::Adr);
        println!("{report}");
        report.assert();
    }
}
