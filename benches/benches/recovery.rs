//! How long does recovery take, by the length of the log?

#![allow(missing_docs)] // Of what criterion's macros make.

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use vista::{PSlice, Segment, SegmentOptions};

fn recovery(criterion: &mut Criterion) {
    let files = support::files();
    let mut group = criterion.benchmark_group("recovery");
    for kib in [4, 64, 1024, 16384] {
        let (image, path) = (files.path(), files.path());
        in_flight(&path, &image, kib << 10).expect("a new segment");
        group.throughput(Throughput::Bytes(kib << 10));
        group.bench_function(format!("{kib} KiB"), |bencher| {
            bencher.iter_custom(|count| {
                let recover = |_| {
                    std::fs::copy(&image, &path).expect("room for a copy");
                    let started = Instant::now();
                    let segment =
                        Segment::<PSlice<u64>>::open(&path).expect("a segment that can be recovered");
                    let duration = started.elapsed();
                    assert_eq!(segment.recovery().byte_count, kib << 10, "bytes that were rolled back");
                    duration
                };
                (0..count).map(recover).sum::<Duration>()
            });
        });
        [image, path].iter().for_each(|path| std::fs::remove_file(path).expect("the segment's file"));
    }
}

/// Makes `image` what a process leaves that is killed with so many bytes in its log.
fn in_flight(path: &Path, image: &Path, bytes: u64) -> vista::Result<()> {
    let len = (3 * bytes + (16 << 20)).next_multiple_of(1 << 20);
    let mut segment = SegmentOptions::new().size(len).create_with(path, |tx| {
        *tx.root_mut()? = tx.alloc_slice_zeroed::<u64>((bytes / 8) as usize)?;
        Ok::<_, vista::Error>(())
    })?;
    let words = *segment.root()?;
    let mut tx = segment.begin()?;
    tx.slice_mut(words)?.fill(u64::MAX);
    std::fs::copy(path, image).expect("room for a copy");
    tx.abort()?;
    segment.close()
}

criterion_group! { name = group; config = support::quick(); targets = recovery }
criterion_main!(group);
