//! The mutation score of vista.

use campaigns::{campaign, scenarios};
use crash_sim::Model;
use rio::Domain;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only scenarios whose name begins so.
    #[arg(default_value = "")]
    only: String,
    /// Distinct images per mutant at most.
    #[arg(long, default_value_t = 20_000)]
    images: usize,
    /// Scenarios whose workload has more events are left out.
    #[arg(long, default_value_t = 400)]
    events: usize,
}

/// Prints the score of each scenario. Needless events are no failure.
pub(crate) fn main(arguments: &Arguments) -> bool {
    let (mut noticed, mut all) = (0, 0);
    for scenario in scenarios::all().iter().filter(|scenario| scenario.name.starts_with(&arguments.only)) {
        let mut campaign = campaign(scenario, Domain::Adr)
            .lazy()
            .kill_before_power_cut()
            .resume(10)
            .images_max(arguments.images);
        let report = campaign.explore(Model::Adr);
        if report.events == 0 || report.events > arguments.events {
            continue;
        }
        let mutants = campaign.mutants(&[Model::Adr, Model::Coherent]);
        println!("{mutants}");
        let score = mutants.score();
        (noticed, all) = (noticed + score.0, all + score.1);
    }
    println!("\n{noticed} of {all} events are needed");
    true
}
