//! What does a debit-credit transaction cost in each engine?

#![allow(missing_docs)] // Of what criterion's macros make.

mod support;

use benches::debit_credit::{entries, entries_adr, hot_transfers, transfers};
use criterion::{Criterion, criterion_group, criterion_main};
use workloads::Scale;

fn debit_credit(criterion: &mut Criterion) {
    let files = support::files();
    let scale = Scale::default();
    let inputs = transfers(scale, 1997, 500_000);
    let hot = hot_transfers(scale, 1997, 100_000, 1000);
    support::measure(&mut criterion.benchmark_group("debit-credit"), &entries(&files, &inputs, scale));
    support::measure(
        &mut criterion.benchmark_group("debit-credit, 1,000 accounts"),
        &entries(&files, &hot, scale),
    );
    support::measure(
        &mut criterion.benchmark_group("debit-credit, ADR"),
        &entries_adr(&files, &inputs, scale),
    );
}

criterion_group! { name = group; config = support::quick(); targets = debit_credit }
criterion_main!(group);
