//! A crash in the middle of a migration leaves the old root or the new one, and opening goes on from either.

use crash_sim::{BoxError, Campaign, Model, Recorder, Sim};
use rio::Domain;
use vista::{Error, PVec, Persistent, Segment, Transaction};

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Old {
    numbers: PVec<u32>,
}

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct New {
    numbers: PVec<u64>,
    sum: u64,
}

/// One program, before its update and after.
enum Ledger {
    Before(Segment<Old, Sim>),
    After(Segment<New, Sim>),
    Between,
}

fn convert(tx: &mut Transaction<'_, Old, Sim>) -> Result<New, Error> {
    let old = tx.root().numbers;
    let numbers = old.as_slice(tx)?.to_vec();
    let new = PVec::new(tx)?;
    new.extend(tx, numbers.iter().map(|&number| u64::from(number)))?;
    tx.release(old)?;
    Ok(New { numbers: new, sum: numbers.iter().map(|&number| u64::from(number)).sum() })
}

fn create(sim: Sim) -> Result<Ledger, Error> {
    let mut segment = Segment::<Old, Sim>::create_on(sim, 4096)?;
    segment.transaction(|tx| {
        let numbers = PVec::from_slice(tx, &[1, 2, 3])?;
        tx.root_mut()?.numbers = numbers;
        Ok::<_, Error>(())
    })?;
    Ok(Ledger::Before(segment))
}

fn step(ledger: &mut Ledger, number: usize) -> Result<(), BoxError> {
    match std::mem::replace(ledger, Ledger::Between) {
        Ledger::Before(segment) => *ledger = Ledger::After(segment.migrate(convert)?),
        Ledger::After(mut segment) => {
            segment.transaction(|tx| {
                let New { numbers, sum } = *tx.root();
                numbers.push(tx, number as u64)?;
                tx.root_mut()?.sum = sum + number as u64;
                Ok::<_, Error>(())
            })?;
            *ledger = Ledger::After(segment);
        }
        Ledger::Between => unreachable!("a step that failed ends the campaign"),
    }
    Ok(())
}

/// The numbers, whatever their type is at the moment; and that everything is in order.
fn content(ledger: &mut Ledger) -> Vec<u64> {
    match ledger {
        Ledger::Before(segment) => {
            assert_eq!(segment.check_content().unwrap(), []);
            let numbers = segment.root().unwrap().numbers;
            numbers.iter(segment).unwrap().map(|&number| number.into()).collect()
        }
        Ledger::After(segment) => {
            assert_eq!(segment.check_content().unwrap(), []);
            let &New { numbers, sum } = segment.root().unwrap();
            let numbers = numbers.as_slice(segment).unwrap().to_vec();
            assert_eq!(numbers.iter().sum::<u64>(), sum);
            numbers
        }
        Ledger::Between => unreachable!("as above"),
    }
}

fn campaign(recorder: Recorder) -> Campaign<Ledger> {
    let then = |model: &mut Vec<u64>, number: usize| {
        if number > 0 {
            model.push(number as u64);
        }
    };
    Campaign::new("migration", 20 * 4096)
        .create(create)
        .open(|sim| Segment::open_or_migrate_on(sim, convert).map(Ledger::After))
        .operations(2, step)
        .model(vec![1, 2, 3], then, content)
        .recorder(recorder)
}

#[test]
fn a_crash_leaves_one_root_or_the_other() {
    for (model, domain) in
        [(Model::Coherent, Domain::PageCache), (Model::Coherent, Domain::Adr), (Model::Adr, Domain::Adr)]
    {
        let report = campaign(Recorder::Seam).domain(domain).lazy().images_max(1000).explore(model);
        println!("{report}");
        report.assert();
        assert!(report.recoveries > 100, "{report}");
    }
}
