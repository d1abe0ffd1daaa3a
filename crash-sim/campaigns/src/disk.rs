//! lrvm on a simulated disk, as far as one has time: every scenario, every fault, many recoveries.

use campaigns::redo::{campaign, scenarios};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only scenarios whose name begins so.
    #[arg(default_value = "")]
    only: String,
    /// Recoveries per scenario at most; what is left is reported.
    #[arg(long, default_value_t = 100_000)]
    images: usize,
    /// Combinations of lost sectors of which all are tried.
    #[arg(long, default_value_t = 4096)]
    eager: u64,
    /// Combinations that are tried where there are more.
    #[arg(long, default_value_t = 1024)]
    samples: u64,
    /// Images in whose recovery every call fails.
    #[arg(long, default_value_t = 40)]
    failing: usize,
    /// Images from which the work goes on.
    #[arg(long, default_value_t = 100)]
    resumed: usize,
}

/// Whether everything holds.
pub(crate) fn main(arguments: &Arguments) -> bool {
    let mut is_ok = true;
    for scenario in scenarios().iter().filter(|scenario| scenario.name.starts_with(&arguments.only)) {
        let mut campaign = campaign(scenario)
            .combinations(arguments.eager, arguments.samples)
            .images_max(arguments.images)
            .faults()
            .failing_recoveries(arguments.failing)
            .resume(arguments.resumed);
        if scenario.is_made {
            campaign = campaign.crash_creation();
        }
        let report = campaign.explore();
        println!("{report}\n");
        is_ok &= report.failure.is_none();
    }
    is_ok
}
