//! A store that the medium is not told of is no crash test's to lose, and is reported.

#![allow(unsafe_code)] // It stores as no structure should.

use crash_sim::{Campaign, Model, Oracle, Sim};
use rio::Medium;

fn store(sim: &mut Sim, word: u64) {
    // SAFETY: (1) the medium has 4096 bytes at its base, which is aligned. (2) `&mut` is alone.
    unsafe { sim.write_base().cast::<u64>().write_volatile(word) }
}

fn campaign(is_announced: bool) -> Campaign<Sim> {
    Campaign::new("unannounced", 4096)
        .create(Ok::<_, String>)
        .open(Ok::<_, String>)
        .operations(1, move |sim, _| {
            store(sim, 1);
            if is_announced {
                sim.stored(0, 8);
            }
            sim.persist(0, 8);
            Ok::<_, String>(())
        })
        .model(0, |word, _| *word += 1, |sim| sim.load(0))
}

#[test]
fn an_unannounced_store_is_reported() {
    let report = campaign(false).explore(Model::Adr);
    let failure = report.failure.as_ref().unwrap_or_else(|| panic!("{report}"));
    assert_eq!(failure.oracle, Oracle::Workload, "{report}");
    assert!(failure.message.contains("the medium was not told"), "{report}");
    campaign(true).explore(Model::Adr).assert();
}

/// The machine sees it anyway.
#[test]
fn the_machine_needs_no_announcement() {
    let report = campaign(false).recorder(crash_sim::Recorder::Machine).explore(Model::Adr);
    report.assert();
}
