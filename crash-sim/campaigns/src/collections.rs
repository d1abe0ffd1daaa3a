//! The campaigns over vista's collections: what is done to each, and what it must hold after each crash. Start at
//! [`campaign`].
//!
//! What is compared is what a collection says that it holds, and that
//! [`check_content`](vista::Segment::check_content) finds nothing: not the bytes, among which spare ones may differ.

pub mod linear; // PVec, PVecDeque, PSlab, PBytes, PString, PCell, POption
pub mod hash_map; // PHashMap
pub mod btree_map; // PBTreeMap
pub mod mixed; // several at once

use crash_sim::{BoxError, Campaign, Sim};
use rio::Domain;
use vista::layout::PAGE_LEN;
use vista::{Persistent, Segment, Transaction};

/// What is tested: a segment with this root.
pub type Subject<R> = Segment<R, Sim>;

/// One operation.
pub type Step<R> = fn(&mut Subject<R>);

/// A workload.
pub struct Scenario<R: Persistent> {
    /// Its name in reports, replay lines and on the command line.
    pub name: &'static str,
    /// What there is before the first operation.
    pub fill: Step<R>,
    /// The operations.
    pub operations: Vec<Step<R>>,
    /// What the collections hold, as text.
    pub content: fn(&Subject<R>) -> vista::Result<String>,
}

impl<R: Persistent> Clone for Scenario<R> {
    fn clone(&self) -> Self {
        Scenario { operations: self.operations.clone(), ..*self }
    }
}

/// Bytes of the segments.
const LEN: u64 = 64 * PAGE_LEN;

/// A campaign over a scenario.
pub fn campaign<R: Persistent>(scenario: &Scenario<R>, domain: Domain) -> Campaign<Subject<R>> {
    let states = states(scenario);
    let Scenario { name, fill, content, .. } = *scenario;
    let operations = scenario.operations.clone();
    Campaign::new(name, LEN)
        .domain(domain)
        .create(move |sim| create(sim, fill))
        .open(Segment::open_on)
        .operations(operations.len(), move |subject, number| -> Result<(), BoxError> {
            operations[number](subject);
            Ok(())
        })
        .check(move |subject, expect| expect.one_of(&states, &sound_content(subject, content)?))
        .close(Segment::close)
}

fn create<R: Persistent>(sim: Sim, fill: Step<R>) -> Result<Subject<R>, BoxError> {
    let mut subject = Segment::create_on(sim, PAGE_LEN)?;
    fill(&mut subject);
    Ok(subject)
}

/// What there is after so many operations, when nothing crashes.
fn states<R: Persistent>(scenario: &Scenario<R>) -> Vec<String> {
    let sim = Sim::new(LEN, LEN, Domain::PageCache);
    let mut subject = create(sim, scenario.fill).expect("a new segment");
    let content = |subject: &Subject<R>| sound_content(subject, scenario.content).expect("a sound segment");
    let mut states = vec![content(&subject)];
    for operation in &scenario.operations {
        operation(&mut subject);
        states.push(content(&subject));
    }
    states
}

fn sound_content<R: Persistent>(
    subject: &Subject<R>,
    content: fn(&Subject<R>) -> vista::Result<String>,
) -> Result<String, BoxError> {
    let violations = subject.check_content()?;
    match violations.first() {
        Some(first) => Err(format!("{} violations; the first: {first}", violations.len()).into()),
        None => Ok(content(subject)?),
    }
}

/// A transaction that commits.
fn commit<R: Persistent>(
    subject: &mut Subject<R>,
    f: impl FnOnce(&mut Transaction<'_, R, Sim>) -> vista::Result<()>,
) {
    subject.transaction(f).expect("there is room");
}
