//! SIGKILL to real processes, as often as one likes.

use campaigns::{campaign, scenarios};
use crash_sim::KillOptions;
use indicatif::{ProgressBar, ProgressStyle};
use rio::Domain;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many rounds; each is a kill or several.
    #[arg(default_value_t = 1000)]
    rounds: usize,
    /// The scenario.
    #[arg(long, default_value = "debit-credit")]
    scenario: String,
    /// What chance begins with.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the file is made; by default in the directory for temporary files.
    #[arg(long)]
    dir: Option<std::path::PathBuf>,
}

/// Whether everything holds.
pub(crate) fn main(arguments: &Arguments) -> bool {
    let all = scenarios::all();
    let Some(scenario) = all.iter().find(|scenario| scenario.name == arguments.scenario) else {
        let names: Vec<&str> = all.iter().map(|scenario| scenario.name.as_str()).collect();
        eprintln!("there is no scenario `{}`; there are {}", arguments.scenario, names.join(", "));
        return false;
    };
    let bar = ProgressBar::new(arguments.rounds as u64);
    let style = "{elapsed_precise} {bar:30} {pos} of {len} rounds, {eta} left";
    bar.set_style(ProgressStyle::with_template(style).expect("a template"));
    let shown = bar.clone();
    let command: Vec<String> = std::env::args().collect();
    let mut options = KillOptions::new()
        .rounds(arguments.rounds)
        .seed(arguments.seed)
        .command(command)
        .progress(move |report| shown.set_position(report.rounds as u64));
    if let Some(dir) = &arguments.dir {
        options = options.dir(dir);
    }
    let report = campaign(scenario, Domain::PageCache).kill(&options);
    bar.finish_and_clear();
    println!("{report}");
    report.is_ok()
}
