//! The command of the campaigns.
use crash_sim::Model;
use rio::Domain;
fn main() {
    let only = std::env::args().nth(1);
    let lazy = std::env::args().nth(2).is_some();
    for scenario in campaigns::scenarios::all() {
        if only.as_ref().is_some_and(|only| !scenario.name.starts_with(only.as_str())) {
            continue;
        }
        for (model, domain) in campaigns::PAIRS {
            if domain == Domain::Eadr {
                continue;
            }
            if lazy && model != Model::Adr {
                continue;
            }
            let mut c = campaigns::campaign(&scenario, domain).images_max(300_000);
            if lazy {
                c = c.lazy()
            }
            if std::env::var("M").is_ok() {
                c = c.recorder(crash_sim::Recorder::Machine)
            }
            let report = c.explore(model);
            println!(
                "{:26} {:8} {:10} events {:6} images {:7} {:?} uncovered {} left {} {:.0?} {:.2} us each",
                report.name,
                report.model.to_string(),
                domain.to_string(),
                report.events,
                report.images,
                report.levels,
                report.uncovered,
                report.left,
                report.duration,
                report.duration.as_secs_f64() * 1e6 / report.recoveries as f64
            );
            if !report.is_ok() {
                println!("{report}");
            }
        }
    }
    let _ = Model::Adr;
}
