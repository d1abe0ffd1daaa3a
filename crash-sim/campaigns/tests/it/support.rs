//! What the tests of vista's scenarios share.

use campaigns::collections::{Scenario, campaign};
use crash_sim::Model;
use rio::Domain;
use vista::Persistent;

/// What vista promises on ordinary files, and in an ordered domain under a kill and a power cut.
pub(crate) const PAIRS: [(Model, Domain); 3] =
    [(Model::Coherent, Domain::PageCache), (Model::Coherent, Domain::Adr), (Model::Adr, Domain::Adr)];

/// So many images of the scenario of a collection, and fewer under the model that has many for one.
pub(crate) fn check<R: Persistent>(scenarios: Vec<Scenario<R>>, name: &str, images: usize) {
    let scenario = scenarios.into_iter().find(|scenario| scenario.name == name);
    let scenario = scenario.unwrap_or_else(|| panic!("no scenario {name}"));
    for (model, domain) in PAIRS {
        let images = if model == Model::Adr { images / 4 } else { images };
        let report = campaign(&scenario, domain).lazy().images_max(images).samples(20).explore(model);
        println!("{report}");
        report.assert();
        assert!(report.is_complete() || report.images >= images / 2 || report.uncovered > 0, "{report}");
    }
}
