//! Crash campaigns over vista: workloads of every kind, and what must hold after each crash of them.
//!
//! Each scenario is a list of operations. What a segment holds after each of them is found once, without a crash; after
//! any crash it must hold what it held before the operation in flight, or after it, and its heap must be sound. Start
//! at [`campaign`].

#![allow(clippy::unit_arg)] // `Ok(*tx.get_mut(ptr)? = 1)` is a whole transaction in a line.

pub mod rvm; // the same over lrvm
pub mod scenarios; // what is done
pub mod collections; // what is done to collections
pub mod redo; // lrvm on a simulated disk

use crash_sim::{BoxError, Campaign, Model, Sim};
use rio::Domain;
use vista::layout::PAGE_LEN;
use vista::{PSlice, Segment};

use scenarios::{Scenario, Subject};

/// A campaign over a scenario.
pub fn campaign(scenario: &Scenario, domain: Domain) -> Campaign<Subject> {
    let states = states(scenario);
    let Scenario { size, capacity, is_filled, .. } = *scenario;
    let operations = scenario.operations.clone();
    Campaign::new(&scenario.name, size)
        .capacity(capacity)
        .domain(domain)
        .create(move |sim| create(sim, is_filled))
        .open(Segment::open_on)
        .operations(operations.len(), move |subject, number| operations[number](subject))
        .check(move |subject, expect| -> Result<(), BoxError> {
            let found = digest(subject)?;
            match states[expect.acked..=expect.begun].contains(&found) {
                true => Ok(()),
                false => {
                    let other = states.iter().position(|&state| state == found);
                    Err(other.map_or("no state that it ever had".into(), |n| format!("state {n}").into()))
                }
            }
        })
        .close(Segment::close)
}

fn create(sim: Sim, is_filled: bool) -> Result<Subject, BoxError> {
    let mut subject = Segment::create_on(sim, PAGE_LEN)?;
    if is_filled {
        scenarios::fill(&mut subject);
    }
    Ok(subject)
}

/// What the segment holds after so many operations, when nothing crashes.
fn states(scenario: &Scenario) -> Vec<u64> {
    let sim = Sim::new(scenario.size, scenario.capacity, Domain::PageCache);
    let mut subject = create(sim, scenario.is_filled).expect("a new segment");
    let mut states = vec![digest(&subject).expect("a sound segment")];
    for operation in &scenario.operations {
        operation(&mut subject).expect("an operation without a crash");
        states.push(digest(&subject).expect("a sound segment"));
    }
    states
}

/// Digest of what a segment holds: its blocks, where they are, and their bytes. An error if its heap is not sound.
fn digest(subject: &Subject) -> Result<u64, BoxError> {
    let violations = subject.check()?;
    if let Some(first) = violations.first() {
        return Err(format!("{} violations of the heap; the first: {first}", violations.len()).into());
    }
    let mut digest = 0x9E37_79B9_7F4A_7C15_u64;
    let mut add = |word: u64| {
        let product = u128::from(digest ^ word).wrapping_mul(0xD1B5_4A32_D192_ED03_D1B5_4A32_D192_ED03);
        digest = product as u64 ^ (product >> 64) as u64 ^ word.rotate_left(23);
    };
    for block in subject.blocks()? {
        add(block.offset);
        add(block.len);
        for word in subject.slice(PSlice::<u64>::from_raw_parts(block.offset, block.len / 8))? {
            add(*word);
        }
    }
    Ok(digest)
}

/// The pairs of a model and a domain that vista promises to survive.
pub const PAIRS: [(Model, Domain); 4] = [
    (Model::Coherent, Domain::PageCache),
    (Model::Coherent, Domain::Eadr),
    (Model::Coherent, Domain::Adr),
    (Model::Adr, Domain::Adr),
];
