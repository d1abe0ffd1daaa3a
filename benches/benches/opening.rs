//! Does it take longer to open a longer segment?

#![allow(missing_docs)] // Of what criterion's macros make.

mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use vista::{Segment, SegmentOptions};

fn opening(criterion: &mut Criterion) {
    let files = support::files();
    let mut group = criterion.benchmark_group("open and close");
    for mib in [16, 256, 1024] {
        let path = files.path();
        let made = SegmentOptions::new().size(mib << 20).create::<u64>(&path).and_then(Segment::close);
        made.expect("a new segment");
        group.bench_function(format!("{mib} MiB"), |bencher| {
            bencher.iter(|| Segment::<u64>::open(&path).and_then(Segment::close).expect("a sound segment"));
        });
        std::fs::remove_file(&path).expect("the segment's file");
    }
}

criterion_group! { name = group; config = support::quick(); targets = opening }
criterion_main!(group);
