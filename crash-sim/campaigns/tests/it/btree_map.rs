//! B-trees through every crash, as far as there is time for it in a test; the command of this package goes on where
//! this ends.

use campaigns::collections::{btree_map, campaign};
use crash_sim::{Model, Recorder};
use rio::Domain;

/// What vista promises on ordinary files, and in an ordered domain under a kill and a power cut.
const PAIRS: [(Model, Domain); 3] =
    [(Model::Coherent, Domain::PageCache), (Model::Coherent, Domain::Adr), (Model::Adr, Domain::Adr)];

/// So many images of a scenario, and fewer under the model that has many for one.
fn check(name: &str, images: usize) {
    let scenario = btree_map::all().into_iter().find(|scenario| scenario.name == name);
    let scenario = scenario.unwrap_or_else(|| panic!("no scenario {name}"));
    for (model, domain) in PAIRS {
        let images = if model == Model::Adr { images / 4 } else { images };
        let report = campaign(&scenario, domain).lazy().images_max(images).samples(20).explore(model);
        println!("{report}");
        report.assert();
        assert!(report.is_complete() || report.images >= images / 2 || report.uncovered > 0, "{report}");
    }
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
