//! What does it cost to allocate and free a block of 64 bytes, beside `malloc` and `free`?

#![allow(missing_docs)] // Of what criterion's macros make.

mod support;

use benches::heap::{entries, values};
use criterion::{Criterion, criterion_group, criterion_main};
use rio::Domain;

fn heap(criterion: &mut Criterion) {
    let files = support::files();
    let inputs = values(1997, 100_000);
    for domain in [Domain::PageCache, Domain::Adr] {
        for (name, has_population) in [("the same", false), ("the oldest of 10,000", true)] {
            let mut group = criterion.benchmark_group(format!("alloc and free {name}, {domain}"));
            support::measure(&mut group, &entries(&files, &inputs, domain, has_population));
        }
    }
}

criterion_group! { name = group; config = support::quick(); targets = heap }
criterion_main!(group);
