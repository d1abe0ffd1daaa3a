//! What does it cost to log and store one range, by its length?

#![allow(missing_docs)] // Of what criterion's macros make.

mod support;

use benches::files::Files;
use benches::one_range::{ARRAY_LEN, entries, entries_adr, fills};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn one_range(criterion: &mut Criterion) {
    let files = support::files();
    of_length::<1>(criterion, &files, 200_000);
    of_length::<8>(criterion, &files, 200_000);
    of_length::<64>(criterion, &files, 50_000);
    of_length::<512>(criterion, &files, 10_000);
    of_length::<8192>(criterion, &files, 1000);
    of_length::<131_072>(criterion, &files, 100);
}

fn of_length<const N: usize>(criterion: &mut Criterion, files: &Files, count: usize) {
    let inputs = fills::<N>(1997, count, ARRAY_LEN);
    let cached = entries::<N>(files, &inputs, ARRAY_LEN);
    let adr = entries_adr::<N>(files, &inputs, ARRAY_LEN);
    for (domain, entries) in [("page cache", cached), ("ADR", adr)] {
        let mut group = criterion.benchmark_group(format!("one range, {domain}, {} B", N * 8));
        group.throughput(Throughput::Bytes(N as u64 * 8));
        support::measure(&mut group, &entries);
    }
}

criterion_group! { name = group; config = support::quick(); targets = one_range }
criterion_main!(group);
