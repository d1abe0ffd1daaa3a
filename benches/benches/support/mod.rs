//! What the micro-benchmarks share: engines under criterion, and settings that are quick.

use std::path::Path;
use std::time::Duration;

use benches::engine::Entry;
use benches::files::Files;
use criterion::{BenchmarkGroup, Criterion, measurement::WallTime};

/// Where regions live: memory if there is a place for it, else where temporary files go.
pub(crate) fn files() -> Files {
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    Files::new(&dir).expect("a directory for the regions")
}

/// Few samples of short length, so that all benchmarks together take some minutes.
pub(crate) fn quick() -> Criterion {
    Criterion::default()
        .sample_size(15)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args()
}

/// Measures each engine, one after the other, on its inputs over and over.
#[allow(dead_code)] // Opening has no engines.
pub(crate) fn measure(group: &mut BenchmarkGroup<'_, WallTime>, entries: &[Entry]) {
    for entry in entries {
        let mut runner = None; // Made when the benchmark is asked for: a filter leaves most of them out.
        group.bench_function(entry.name, |bencher| {
            let runner = runner.get_or_insert_with(|| entry.make());
            let inputs = runner.input_count();
            bencher.iter_custom(|count| {
                let mut left = count as usize;
                let started = std::time::Instant::now();
                while left > 0 {
                    let run = left.min(inputs);
                    runner.run(0..run);
                    left -= run;
                }
                started.elapsed()
            });
        });
    }
}
