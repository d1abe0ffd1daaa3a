//! The machine recorder and the single-stepper see the same of the same code: of vista on a real region, at whatever
//! opt-level this is compiled.

#![allow(unsafe_code)] // A region that exists already is traced by its address.

use crash_sim::machine::{Arena, TraceOptions};
use crash_sim::stepper::Stepper;
use crash_sim::trace::{Event, Trace};
use rio::{Domain, DomainChoice, Medium, Region};
use vista::{Segment, SegmentOptions};

type Subject = Segment<[u64; 32], Region>;

fn subject(domain: Domain) -> Subject {
    let options = SegmentOptions::new().size(1 << 20).domain(DomainChoice::Forced(domain));
    options.anonymous().expect("an anonymous segment")
}

fn work(segment: &mut Subject) {
    let done = segment.transaction(|tx| -> vista::Result<()> {
        tx.root_mut()?[3..20].fill(7);
        let block = tx.alloc_slice(&[5u8; 300])?;
        tx.write(tx.root_ptr(), [block.offset(); 32])?;
        tx.free_slice(block)
    });
    done.expect("a transaction");
    let mut tx = segment.begin().expect("a transaction");
    tx.root_mut().expect("a root")[0] = 1;
    tx.abort().expect("an abort");
}

fn check(domain: Domain) {
    // In the child of the stepper this segment is another one, made in the same way.
    let mut stepped = subject(domain);
    let medium = stepped.medium().expect("a medium");
    let (address, len) = (medium.write_base().cast_const(), medium.len());
    let recording = match Stepper::new("witness").memory(address, len, || work(&mut stepped)) {
        Ok(recording) => recording,
        Err(error) if error.is_skip() => return eprintln!("skipped: {error}"),
        Err(error) => panic!("{error}"),
    };
    let mut traced = subject(domain);
    let medium = traced.medium().expect("a medium");
    // SAFETY: the view for stores of a region is a shared mapping, which lives longer than the arena.
    let arena = match unsafe { Arena::over(medium.write_base(), medium.len()) } {
        Ok(arena) => arena,
        Err(error) => return eprintln!("skipped: {error}"),
    };
    let mut trace = Trace::new();
    arena.trace(&TraceOptions::default(), &mut trace, || work(&mut traced)).expect("a trace");
    drop(arena);
    let count = |wanted: fn(&Event) -> bool| trace.events().iter().filter(|event| wanted(event)).count();
    assert!(count(|event| matches!(event, Event::Store { .. })) > 40, "{domain}");
    assert_eq!(count(|event| matches!(event, Event::Fence)) > 0, domain.needs_fence());
    assert_eq!(count(|event| matches!(event, Event::Flush { .. })) > 0, domain.needs_flush());
    let stepped = recording.trace;
    let differing = (0..trace.len().max(stepped.len()))
        .find(|&index| trace.events().get(index) != stepped.events().get(index));
    let at = differing.map(|index| (index, trace.events().get(index), stepped.events().get(index)));
    assert!(trace == stepped, "{domain}: {} and {} events; first {at:?}", trace.len(), stepped.len());
}

#[test]
fn in_the_page_cache() {
    check(Domain::PageCache);
}

#[test]
fn with_write_backs_and_fences() {
    check(Domain::Adr);
}
