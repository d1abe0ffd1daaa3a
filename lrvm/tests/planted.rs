//! Without a crash hardly a plant is seen, and each has a name and says what is wrong.

#![cfg(vista_planted)]

use lrvm::plant::{self, PLANTS, Plant};
use lrvm::{Begin, End, Options, Truncation, create_log, create_segment};

#[test]
fn names_are_distinct_and_plants_count_up() {
    for (index, &(plant, name, what)) in PLANTS.iter().enumerate() {
        assert_eq!((plant as usize, plant.name(), plant::by_name(name)), (index, name, plant));
        assert_eq!(PLANTS.iter().filter(|(_, other, _)| *other == name).count(), 1, "{name}");
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !what.is_empty(), "{name}");
    }
}

/// Mistakes that lose bytes in any run; the others wait for a crash.
const SEEN_AT_ONCE: [Plant; 3] = [Plant::MapReadsStale, Plant::NewestImageRestored, Plant::WrapSplitsWrong];

#[test]
fn without_a_crash_the_others_are_not_seen() {
    for &(plant, name, _) in PLANTS {
        plant::set(Some(name));
        if !SEEN_AT_ONCE.contains(&plant) {
            smoke().unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
    plant::set(None);
    smoke().expect("nothing is planted");
}

/// Commits of either kind, and an incremental truncation; what is in memory is right all the time.
fn smoke() -> lrvm::Result<()> {
    let dir = tempfile::tempdir().expect("a directory");
    let (log, data) = (dir.path().join("log"), dir.path().join("data"));
    create_log(&log, 1 << 16)?;
    create_segment(&data, 8192)?;
    let options = Options::new().background(false).truncation(Truncation::Incremental);
    let rvm = options.open(&log)?;
    let mut region = rvm.map(&data, 0..8192)?;
    for round in 0..10u64 {
        for (end, value) in [(End::NoFlush, 2 * round), (End::Flush, 2 * round + 1)] {
            let mut tx = rvm.begin(Begin::Restore)?;
            let enlisted = tx.enlist(&mut region)?;
            tx.write(enlisted, 8 * round, &value)?;
            tx.write(enlisted, 4096, &value)?;
            tx.commit(end)?;
        }
        if round == 5 {
            rvm.truncate_incrementally()?;
        }
        assert_eq!(
            (region.read::<u64>(8 * round)?, region.read::<u64>(4096)?),
            (2 * round + 1, 2 * round + 1)
        );
    }
    Ok(())
}
