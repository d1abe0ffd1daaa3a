//! The seam announces what the machine does, at opt-levels 0 to 3, and both lead to the same images.

use std::collections::BTreeMap;

use crash_sim::trace::{Event, Trace};
use crash_sim::{Campaign, Model, Recorder};
use rio::Domain;

#[allow(unreachable_pub)] // The same file is a library elsewhere.
#[path = "../../levels/subject.rs"]
mod subject; // at the opt-level of the tests

/// The stream as stretches between write-backs, fences and marks: what each leaves in the words that it changes.
#[derive(Debug, PartialEq)]
struct Stretch {
    words: BTreeMap<u64, [u8; 8]>,
    end: Event,
}

fn stretches(trace: &Trace, is_boundary: impl Fn(&Event) -> bool) -> Vec<Stretch> {
    let mut memory: BTreeMap<u64, [u8; 8]> = BTreeMap::new();
    let mut before = memory.clone();
    let mut stretches = Vec::new();
    for &event in trace.events() {
        if let Event::Store { offset, len, at, .. } = event {
            for (byte, offset) in trace.data(at, len).iter().zip(offset..) {
                memory.entry(offset / 8).or_insert([0xEE; 8])[(offset % 8) as usize] = *byte;
            }
            continue;
        }
        if !is_boundary(&event) {
            continue;
        }
        let changed = memory.iter().filter(|(word, value)| before.get(word) != Some(value));
        let words = changed.map(|(word, value)| (*word, *value)).collect();
        before = memory.clone();
        stretches.push(Stretch { words, end: event });
    }
    stretches
}

/// The campaigns of all levels, or none with the reason where there is no machine recorder.
fn levels<T>(make: impl Fn(Domain) -> Campaign<T>, domain: Domain) -> Option<(Trace, Trace)> {
    let seam = make(domain).record().expect("the seam records anywhere");
    match make(domain).recorder(Recorder::Machine).record() {
        Ok(machine) => Some((seam, machine)),
        Err(why) => {
            eprintln!("skipped: {why}");
            None
        }
    }
}

#[test]
fn the_seam_announces_what_the_machine_stores_writes_back_and_fences() {
    for domain in [Domain::PageCache, Domain::Eadr, Domain::Adr] {
        let all = [
            levels(subject::campaign, domain),
            levels(level_0::campaign, domain),
            levels(level_3::campaign, domain),
        ];
        // What the processor does not do in a domain the seam announces all the same.
        let is_boundary = |event: &Event| match event {
            Event::Flush { .. } => domain.needs_flush(),
            Event::Fence => domain.needs_fence(),
            _ => true,
        };
        for (seam, machine) in all.into_iter().flatten() {
            let (seam, machine) = (stretches(&seam, is_boundary), stretches(&machine, is_boundary));
            assert!(seam.len() >= 6, "three operations");
            let differing = seam.iter().zip(&machine).find(|(seam, machine)| seam != machine);
            assert!(differing.is_none() && seam.len() == machine.len(), "{domain}: {differing:#?}");
        }
    }
}

#[test]
fn the_closure_is_the_same_at_every_opt_level() {
    for recorder in [Recorder::Seam, Recorder::Machine] {
        let reports = [
            subject::campaign(Domain::Adr).recorder(recorder).lazy().explore(Model::Adr),
            level_0::campaign(Domain::Adr).recorder(recorder).lazy().explore(Model::Adr),
            level_3::campaign(Domain::Adr).recorder(recorder).lazy().explore(Model::Adr),
        ];
        reports.iter().for_each(crash_sim::Report::assert);
        if reports[0].skipped.is_none() {
            assert!(reports.iter().all(crash_sim::Report::is_complete));
            let found = reports.map(|report| (report.images, report.levels));
            assert!(found[0].0 > 1000 && found.iter().all(|one| *one == found[0]), "{recorder}: {found:?}");
        }
    }
}
