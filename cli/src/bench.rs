//! `vista bench`: how fast transactions are on this machine. Small, and without anything to compare with; for that there is
//! the package of benchmarks. Start at [`run`].

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;
use vista::{PBTreeMap, PHashMap, PPtr, Segment, SegmentOptions};
use workloads::{Bank, Scale, Transfer, debit_credit, draw};

use crate::demo::machine::Machine;
use crate::demo::place::Place;
use crate::failure::Failure;
use crate::output::{Grouped, Output, Verdict};
use crate::paint::Paint;

/// Measure this machine: transactions a second, their latency, allocation, maps.
///
/// Everything runs in one thread of one process, on a new file in shared memory and, if asked for, in a directory of your
/// choice; the files are removed at the end. Each line says what one operation takes, and is the median of some rounds. What
/// a file survives is said beside it: numbers compare only at the same level.
#[derive(clap::Args)]
#[command(after_help = "Exit codes: 0 measured; 2 a file could not be made.")]
pub(crate) struct Args {
    /// A directory to measure in too.
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// Fewer and shorter rounds.
    #[arg(long)]
    quick: bool,
    /// Print one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
}

/// How much is measured.
#[derive(Clone, Copy)]
struct Effort {
    rounds: usize,
    round_time: Duration,
    /// Transactions whose latency is taken.
    latencies: u64,
    /// Entries of a map, and blocks.
    entries: u64,
}

const USUAL: Effort =
    Effort { rounds: 7, round_time: Duration::from_millis(300), latencies: 1_000_000, entries: 200_000 };
const QUICK: Effort =
    Effort { rounds: 3, round_time: Duration::from_millis(20), latencies: 20_000, entries: 5_000 };

#[derive(Serialize)]
struct Report {
    is_quick: bool,
    places: Vec<Measured>,
}

/// What was measured in one place.
#[derive(Serialize)]
struct Measured {
    directory: String,
    machine: Machine,
    rows: Vec<Row>,
    latency: Latency,
}

/// One operation.
#[derive(Serialize)]
struct Row {
    name: &'static str,
    nanos: f64,
    per_second: f64,
}

impl Row {
    /// From the times that single rounds took per operation.
    fn new(name: &'static str, mut nanos: Vec<f64>) -> Row {
        nanos.sort_by(f64::total_cmp);
        let nanos = nanos[nanos.len() / 2];
        Row { name, nanos, per_second: 1e9 / nanos }
    }
}

/// Of single debit-credit transactions, the clock's own time included.
#[derive(Serialize)]
struct Latency {
    count: u64,
    p50_nanos: u64,
    p90_nanos: u64,
    p99_nanos: u64,
    p999_nanos: u64,
    max_nanos: u64,
}

pub(crate) fn run(args: &Args, paint: Paint) -> Result<Verdict, Failure> {
    let effort = if args.quick { QUICK } else { USUAL };
    let place = Place::new(None)?;
    let mut directories = vec![place.beside()?];
    if let Some(path) = &args.path {
        directories.push(place.scratch_in(path)?);
    }
    let mut output = Output::default();
    let mut report = Report { is_quick: args.quick, places: Vec::new() };
    for directory in directories {
        let measured = measure(&directory, effort)?;
        if !args.json {
            measured.print(&mut output, paint)?;
        }
        report.places.push(measured);
        if output.is_closed() {
            return Ok(Verdict::Good);
        }
    }
    if args.json {
        output.json(&report)?;
    }
    Ok(Verdict::Good)
}

fn measure(directory: &Path, effort: Effort) -> Result<Measured, Failure> {
    let bank = directory.join("bank");
    let (transfers, latency) = transfers(&bank, effort)?;
    let machine = Machine::look(&bank)?;
    // One file at a time: containers often have little shared memory.
    remove(&bank)?;
    let mut rows = vec![transfers];
    rows.extend(blocks(&directory.join("blocks"), effort)?);
    rows.extend(maps(&directory.join("maps"), effort)?);
    Ok(Measured { directory: directory.display().to_string(), machine, rows, latency })
}

fn transfers(path: &Path, effort: Effort) -> Result<(Row, Latency), Failure> {
    const SEED: u64 = 1;
    /// Transactions between two looks at the clock.
    const BLOCK_LEN: u64 = 1000;
    let scale = Scale::new(1).expect("the least scale");
    let options = SegmentOptions::new().size(scale.segment_bytes()).prefault(true);
    let mut segment = options.create_with(path, |tx| Bank::create_in(tx, scale))?;
    let bank = *segment.root()?;
    let mut index = 0;
    let mut transact = |segment: &mut Segment<Bank>| {
        let transfer = Transfer::at(scale, SEED, index);
        let done = segment.transaction(|tx| debit_credit(tx, &bank, &transfer, index));
        index += 1;
        done
    };
    let mut rounds = Vec::new();
    for _ in 0..=effort.rounds {
        let (begun, mut count) = (Instant::now(), 0);
        while begun.elapsed() < effort.round_time {
            (0..BLOCK_LEN).try_for_each(|_| transact(&mut segment))?;
            count += BLOCK_LEN;
        }
        rounds.push(begun.elapsed().as_secs_f64() * 1e9 / count as f64);
    }
    rounds.remove(0); // A round to warm up.

    let mut latencies = empty_histogram();
    for _ in 0..effort.latencies {
        let begun = Instant::now();
        transact(&mut segment)?;
        note(&mut latencies, begun.elapsed());
    }
    segment.close()?;
    Ok((Row::new("debit-credit transaction", rounds), Latency::from(&latencies)))
}

fn empty_histogram() -> Histogram<u64> {
    Histogram::new(3).expect("three digits are allowed")
}

fn note(latencies: &mut Histogram<u64>, time: Duration) {
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    // Not `saturating_record`: a histogram that grows begins with a range up to 2, and that would clamp to it.
    latencies.record(nanos).expect("a histogram that grows takes any value");
}

impl From<&Histogram<u64>> for Latency {
    fn from(nanos: &Histogram<u64>) -> Latency {
        let at = |quantile| nanos.value_at_quantile(quantile);
        Latency {
            count: nanos.len(),
            p50_nanos: at(0.5),
            p90_nanos: at(0.9),
            p99_nanos: at(0.99),
            p999_nanos: at(0.999),
            max_nanos: nanos.max(),
        }
    }
}

fn remove(path: &Path) -> Result<(), Failure> {
    fs::remove_file(path).map_err(|error| Failure::system(path, "remove", &error))
}

/// Blocks of 64 bytes, a hundred in a transaction.
fn blocks(path: &Path, effort: Effort) -> Result<Vec<Row>, Failure> {
    const IN_ONE: usize = 100;
    let options = SegmentOptions::new().size((effort.entries * 100).max(1 << 20)).prefault(true);
    let mut segment = options.create::<u64>(path)?;
    let (mut alloc, mut free) = (Vec::new(), Vec::new());
    for _ in 0..effort.rounds {
        let count = effort.entries as usize / IN_ONE * IN_ONE;
        let mut blocks: Vec<PPtr<[u64; 8]>> = Vec::with_capacity(count);
        let begun = Instant::now();
        while blocks.len() < count {
            segment.transaction(|tx| -> vista::Result<()> {
                (0..IN_ONE as u64).try_for_each(|n| {
                    blocks.push(tx.alloc([n; 8])?);
                    Ok(())
                })
            })?;
        }
        alloc.push(begun.elapsed().as_secs_f64() * 1e9 / count as f64);
        let begun = Instant::now();
        for some in blocks.chunks(IN_ONE) {
            segment.transaction(|tx| some.iter().try_for_each(|block| tx.free(*block)))?;
        }
        free.push(begun.elapsed().as_secs_f64() * 1e9 / count as f64);
    }
    segment.close()?;
    remove(path)?;
    Ok(vec![Row::new("allocate 64 bytes", alloc), Row::new("free 64 bytes", free)])
}

/// Maps of numbers, each insert a transaction.
fn maps(path: &Path, effort: Effort) -> Result<Vec<Row>, Failure> {
    type Maps = (PBTreeMap<u64, u64>, PHashMap<u64, u64>);
    let mut rounds: [Vec<f64>; 4] = Default::default();
    for round in 0..effort.rounds {
        let path = path.with_extension(round.to_string());
        let options = SegmentOptions::new().size((effort.entries * 100).max(1 << 20)).prefault(true);
        let mut segment = options.create::<[u64; 2]>(&path)?;
        let (tree, hash): Maps = segment
            .transaction(|tx| -> vista::Result<Maps> { Ok((PBTreeMap::new(tx)?, PHashMap::new(tx)?)) })?;
        let key = |index| draw(round as u64, index);
        let per = |begun: Instant| begun.elapsed().as_secs_f64() * 1e9 / effort.entries as f64;

        let begun = Instant::now();
        for index in 0..effort.entries {
            segment.transaction(|tx| tree.insert(tx, key(index), index))?;
        }
        rounds[0].push(per(begun));
        let begun = Instant::now();
        for index in 0..effort.entries {
            black_box(tree.get(&segment, key(index))?);
        }
        rounds[1].push(per(begun));
        let begun = Instant::now();
        for index in 0..effort.entries {
            segment.transaction(|tx| hash.insert(tx, key(index), index))?;
        }
        rounds[2].push(per(begun));
        let begun = Instant::now();
        for index in 0..effort.entries {
            black_box(hash.get(&segment, key(index))?);
        }
        rounds[3].push(per(begun));
        segment.close()?;
        remove(&path)?;
    }
    let names =
        ["B-tree: insert, a transaction", "B-tree: get", "hash map: insert, a transaction", "hash map: get"];
    Ok(names.into_iter().zip(rounds).map(|(name, rounds)| Row::new(name, rounds)).collect())
}

impl Measured {
    fn print(&self, output: &mut Output, paint: Paint) -> Result<(), Failure> {
        let Machine { processor, kernel, file_system, backing, domain, survives, is_protected, build } =
            &self.machine;
        output.line(format!("{} {file_system} ({backing}), {}", paint.name("on"), self.directory))?;
        output.line(format!("  survives: {survives} (persistence domain {domain})"))?;
        for Row { name, nanos, per_second } in &self.rows {
            let times = Grouped(*per_second as u64);
            output.line(format!("  {name:<32} {nanos:>9.1} ns  {times:>13} per second"))?;
        }
        let Latency { p50_nanos, p90_nanos, p99_nanos, p999_nanos, max_nanos, .. } = self.latency;
        let latencies =
            [p50_nanos, p90_nanos, p99_nanos, p999_nanos, max_nanos].map(|n| Grouped(n).to_string());
        let [p50, p90, p99, p999, max] = latencies;
        output.line(format!(
            "  latency of a debit-credit, in ns: half within {p50}, 90 % {p90}, 99 % {p99}, 99.9 % {p999}, all {max}"
        ))?;
        let protection = if *is_protected { "on" } else { "off" };
        output.line(paint.aside(format!("  {processor}, Linux {kernel}, protection {protection}, {build}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_transaction_counts_as_long_as_it_took() {
        let mut latencies = empty_histogram();
        for nanos in [100, 200, 300, 5_000_000] {
            note(&mut latencies, Duration::from_nanos(nanos));
        }
        let Latency { count, p50_nanos, max_nanos, .. } = Latency::from(&latencies);
        assert_eq!((count, p50_nanos), (4, 200));
        assert!(max_nanos.abs_diff(5_000_000) <= 5_000, "{max_nanos}");
    }
}
