//! How quick the campaigns are. Figures of this machine, printed beside what they are figures of.

use std::time::Instant;

use campaigns::{campaign, scenarios};
use crash_sim::{Campaign, Model, Recorder, Sim};
use rio::{Domain, Medium};
use vista::Segment;

/// Rounds of which the median is printed.
const ROUNDS: usize = 9;

/// Prints all figures.
pub(crate) fn main() -> bool {
    let mut debit_credit = scenarios::debit_credit();
    debit_credit.operations.truncate(1);
    println!(
        "One debit-credit transaction (four ranges), every crash of it and of its recovery, to the fixpoint:"
    );
    for recorder in [Recorder::Seam, Recorder::Machine] {
        for (model, domain) in [(Model::Coherent, Domain::PageCache), (Model::Adr, Domain::Adr)] {
            for is_lazy in [false, true] {
                if model == Model::Coherent && is_lazy {
                    continue;
                }
                let how = if is_lazy { "as read" } else { "all" };
                let make = || {
                    let campaign = campaign(&debit_credit, domain).recorder(recorder);
                    if is_lazy { campaign.lazy() } else { campaign }
                };
                closure(&format!("{recorder}, {model}, {how}"), model, make);
            }
        }
    }
    println!(
        "\nRecoveries a second at the seam, of one segment with a transaction in flight (the check reads two words):"
    );
    for (model, domain) in [(Model::Coherent, Domain::PageCache), (Model::Adr, Domain::Adr)] {
        closure(&format!("seam, {model}"), model, || light(domain));
    }
    println!("\nOne store, write-back or fence:");
    alias_engine();
    true
}

fn closure<T>(name: &str, model: Model, make: impl Fn() -> Campaign<T>) {
    let campaign = make();
    let mut times = Vec::new();
    let mut last = campaign.explore(model); // A warm-up.
    for _ in 0..ROUNDS {
        last = campaign.explore(model);
        times.push(last.duration.as_secs_f64());
    }
    if let Some(why) = &last.skipped {
        println!("  {name:28} skipped: {why}");
        return;
    }
    assert!(last.is_ok() && last.is_complete(), "{last}");
    times.sort_by(f64::total_cmp);
    let median = times[ROUNDS / 2];
    println!(
        "  {name:28} {:9.3} ms, {:6} images, depth {}, {:9.0} recoveries a second",
        median * 1e3,
        last.images,
        last.depth(),
        last.recoveries as f64 / median
    );
}

/// A campaign whose check costs nothing beside the recovery.
fn light(domain: Domain) -> Campaign<Segment<[u64; 64], Sim>> {
    Campaign::new("light", 64 << 10)
        .domain(domain)
        .create(|sim| Segment::<[u64; 64], Sim>::create_on(sim, 4096))
        .open(Segment::open_on)
        .operations(4, |segment, number| {
            segment.transaction(|tx| -> vista::Result<()> {
                let root = tx.root_mut()?;
                for word in [0, 9, 18, 27, 36, 45, 54, 63] {
                    root[word] = number as u64 + 1;
                }
                Ok(())
            })
        })
        .check(|segment, expect| -> Result<(), std::fmt::Error> {
            let root = segment.root().map_err(|_| std::fmt::Error)?;
            let is_it = root[0] == root[63] && (expect.acked..=expect.begun).contains(&(root[0] as usize));
            is_it.then_some(()).ok_or(std::fmt::Error)
        })
}

/// The cost of what the machine recorder sees: stores to many words, and fences.
fn alias_engine() {
    const EVENTS: usize = 20_000;
    let make = |is_store: bool| {
        Campaign::new("events", 1 << 16)
            .recorder(Recorder::Machine)
            .domain(Domain::Adr)
            .samples(1)
            .eager(1)
            .create(Ok::<Sim, String>)
            .open(Ok::<Sim, String>)
            .operations(1, move |sim, _| {
                for event in 0..EVENTS as u64 {
                    if is_store { sim.store(event * 8 % (1 << 16), event) } else { sim.fence() }
                }
                Ok::<(), String>(())
            })
            .check(|_, _| Ok::<(), String>(()))
    };
    for (name, is_store) in [("store", true), ("fence", false)] {
        let campaign = make(is_store);
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let started = Instant::now();
            let report = campaign.explore(Model::PowerLoss);
            if let Some(why) = report.skipped {
                println!("  skipped: {why}");
                return;
            }
            assert_eq!(report.events, EVENTS + 2, "as many events as were made, and two marks");
            times.push(started.elapsed().as_secs_f64() / EVENTS as f64);
        }
        times.sort_by(f64::total_cmp);
        println!("  alias engine, {name}          {:9.3} us", times[ROUNDS / 2] * 1e6);
    }
}
