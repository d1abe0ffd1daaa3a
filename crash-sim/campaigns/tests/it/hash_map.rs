//! Hash maps through every crash, as far as there is time for it in a test; the command of this package goes on where
//! this ends.

use campaigns::collections::{campaign, hash_map};
use crash_sim::{Model, Recorder};
use rio::Domain;

/// What vista promises on ordinary files, and in an ordered domain under a kill and a power cut.
const PAIRS: [(Model, Domain); 3] =
    [(Model::Coherent, Domain::PageCache), (Model::Coherent, Domain::Adr), (Model::Adr, Domain::Adr)];

/// So many images of a scenario, and fewer under the model that has many for one.
fn check(name: &str, images: usize) {
    let scenario = hash_map::all().into_iter().find(|scenario| scenario.name == name);
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
