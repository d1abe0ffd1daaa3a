//! What a commit costs: `cargo run --release -p lrvm --example cost -- DIRECTORY`.

use std::time::Instant;

use lrvm::{Begin, End, Options, Truncation};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let parent = std::env::args().nth(1).unwrap_or_else(|| "/dev/shm".to_owned());
    let dir = tempfile::tempdir_in(parent)?;
    let (log, data) = (dir.path().join("log"), dir.path().join("data"));
    lrvm::create_log(&log, 16 << 20)?;
    lrvm::create_segment(&data, 50 << 20)?;
    for truncation in [Truncation::Epoch, Truncation::Incremental] {
        for (end, count) in [(End::Flush, 100_000u64), (End::NoFlush, 1_000_000)] {
            let rvm = Options::new().background(false).truncation(truncation).open(&log)?;
            let mut region = rvm.map(&data, 0..50 << 20)?;
            let started = Instant::now();
            let mut random = 1u64;
            for index in 0..count {
                random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let mut tx = rvm.begin(Begin::Restore)?;
                let region = tx.enlist(&mut region)?;
                tx.write(region, (random >> 32) % ((50 << 20) / 8) * 8, &index)?;
                tx.commit(end)?;
                if end == End::NoFlush && index % 1000 == 999 {
                    rvm.flush()?;
                }
            }
            let nanos = started.elapsed().as_nanos() as f64 / count as f64;
            println!(
                "{truncation:?} {end:?}: {nanos:.0} ns a transaction of 8 bytes; {:?}",
                rvm.statistics()
            );
        }
    }
    Ok(())
}
