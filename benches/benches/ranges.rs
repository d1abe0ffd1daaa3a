//! What does a further range of a transaction cost?

#![allow(missing_docs)] // Of what criterion's macros make.

mod support;

use benches::files::Files;
use benches::one_range::ARRAY_LEN;
use benches::ranges::{entries, entries_adr, scatters};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn ranges(criterion: &mut Criterion) {
    let files = support::files();
    of_number::<1>(criterion, &files, 200_000);
    of_number::<4>(criterion, &files, 50_000);
    of_number::<16>(criterion, &files, 20_000);
    of_number::<64>(criterion, &files, 5_000);
}

fn of_number<const K: usize>(criterion: &mut Criterion, files: &Files, count: usize) {
    let inputs = scatters::<K>(1997, count, ARRAY_LEN);
    let cached = entries::<K>(files, &inputs, ARRAY_LEN);
    let adr = entries_adr::<K>(files, &inputs, ARRAY_LEN);
    for (domain, entries) in [("page cache", cached), ("ADR", adr)] {
        let mut group = criterion.benchmark_group(format!("ranges of 8 B, {domain}, {K}"));
        group.throughput(Throughput::Elements(K as u64));
        support::measure(&mut group, &entries);
    }
}

criterion_group! { name = group; config = support::quick(); targets = ranges }
criterion_main!(group);
