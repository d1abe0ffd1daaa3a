//! What is made of the figures: quantiles, claims, aims, JSON, tables and plots.

use benches::aims::Limit;
use benches::engine::{Level, Runner};
use benches::latency::{self, Latency};
use benches::plots;
use benches::race::{Outcome, Spread, Standing, ratio};
use benches::recovery::Recovery;
use benches::report::{Growth, Race, Report};
use benches::source;
use benches::workload::{Durable, Workload};

#[test]
fn a_spread_is_the_middle_and_its_quarters() {
    let spread = Spread::of([9.0, 1.0, 5.0, 3.0, 7.0]);
    assert_eq!((spread.lower, spread.median, spread.upper), (3.0, 5.0, 7.0));
    let one = Spread::of([2.0]);
    assert_eq!((one.lower, one.median, one.upper), (2.0, 2.0, 2.0));
}

#[test]
fn a_ratio_is_taken_within_the_rounds() {
    // What held up a round held up both: the ratio is 2 in each of them.
    let (slow, fast) = (outcome(&[20.0, 200.0, 60.0]), outcome(&[10.0, 100.0, 30.0]));
    assert_eq!(ratio(&slow, &fast), 2.0);
}

/// Sleeps a millisecond, but twenty in every fiftieth transaction.
struct Sleeper;

impl Runner for Sleeper {
    fn name(&self) -> &'static str {
        "sleeper"
    }

    fn input_count(&self) -> usize {
        200
    }

    fn run(&mut self, inputs: std::ops::Range<usize>) {
        for input in inputs {
            let millis = if input % 50 == 49 { 20 } else { 1 };
            std::thread::sleep(std::time::Duration::from_millis(millis));
        }
    }

    fn digest(&self) -> u64 {
        0
    }
}

#[test]
fn latency_shows_what_the_median_hides() {
    let latency = latency::measure(&mut Sleeper, 0..200);
    assert_eq!(latency.count, 200);
    // A sleep is never too short; how much too long it is depends on the machine.
    assert!(
        latency.p50 >= 1_000_000 && latency.p99 >= 20_000_000 && latency.max >= latency.p999,
        "{latency:?}"
    );
    assert_eq!(
        latency.quantiles(),
        [Some(latency.p50), Some(latency.p99), None],
        "200 do not tell of one in 1000"
    );
}

fn outcome(rounds: &[f64]) -> Outcome {
    let spread = Spread::of(rounds.iter().copied());
    let latency = Latency { count: 5000, p50: 40, p99: 90, p999: 300, max: 4000, overhead: 20 };
    Outcome {
        per_round: 100,
        wall: spread,
        rounds: rounds.to_vec(),
        thread: spread,
        process: spread,
        latency: Some(latency),
        costs: None,
        work: None,
    }
}

/// Nanoseconds of each, in round figures of no machine.
const MADE_UP: [(&str, Level, f64); 8] = [
    ("bare stores", Level::Nothing, 20.0),
    ("vista", Level::ProcessCrash, 50.0),
    ("lrvm, disk, flush", Level::PowerLoss, 200_000.0),
    ("lrvm, on Rio, flush", Level::ProcessCrash, 2_500.0),
    ("lrvm, on Rio, no-flush", Level::Nothing, 1_000.0),
    ("bare pwrite + fdatasync", Level::PowerLoss, 100_000.0),
    ("redb, <every> commit & no wait", Level::ProcessCrash, 400.0),
    ("libpmemobj", Level::ProcessCrash, 2_000.0),
];

fn made_up() -> Report {
    let race = |workload: Workload, factor: f64| {
        let standing = |(name, level, nanos): (&str, Level, f64)| Standing {
            name: name.to_owned(),
            level,
            configuration: String::new(),
            outcome: Ok(outcome(&[nanos * factor, nanos * factor * 1.5])),
        };
        let mut results: Vec<_> = MADE_UP.into_iter().map(standing).collect();
        let outcome = Err("its disk is gone".to_owned());
        results.push(Standing {
            name: "fjall".to_owned(),
            level: Level::PowerLoss,
            configuration: "a batch with PersistMode::SyncData".to_owned(),
            outcome,
        });
        Race {
            workload: workload.title().to_owned(),
            domain: Durable::PageCache.domain().to_string(),
            per_round: 100,
            rounds: 2,
            results,
        }
    };
    let races = vec![
        race(Workload::Range8, 1.0),
        race(Workload::Range64, 2.0),
        race(Workload::Ranges4, 2.0),
        race(Workload::Ranges16, 4.0),
    ];
    let growth = [1, 64].map(|mib| Growth { bytes: mib << 20, standing: races[0].results[1].clone() });
    let micros = Spread::of([100.0]);
    let recovery =
        |log_bytes| Recovery { name: "vista".to_owned(), level: Level::ProcessCrash, log_bytes, micros };
    let mut report = Report { races, growth: growth.into(), ..Report::default() };
    report.recoveries = vec![recovery(4096), recovery(1 << 20)];
    report.machine.file_system = "tmpfs".to_owned();
    report.machine.disk_file_system = "ext4".to_owned();
    report.judge();
    report
}

#[test]
fn claims_are_computed_from_the_races() {
    let report = made_up();
    let claim = |what: &str| {
        let claim = report.claims.iter().find(|claim| claim.what.starts_with(what)).unwrap();
        (claim.paper, claim.ours, claim.holds)
    };
    assert_eq!(claim("Rio alone"), (Some(20.0), 80.0, Some(true)));
    assert_eq!(claim("vista on Rio"), (Some(100.0), 50.0, Some(false)));
    assert_eq!(claim("together"), (Some(2000.0), 4000.0, Some(true)));
    assert_eq!(claim("lrvm, on Rio, no-flush over vista"), (None, 20.0, None));
    assert_eq!(claim("microseconds: vista"), (Some(5.0), 0.075, Some(true)));
    let lines = claim("lines: segment");
    assert_eq!((lines.0, lines.2), (Some(720.0), Some(lines.1 <= 720.0)));
    assert!(report.claims.iter().all(|claim| !claim.of.contains("64 B")), "of small transactions alone");
}

#[test]
fn aims_are_asked_of_those_who_were_there() {
    let report = made_up();
    let aim = |what: &str| {
        let aim = report.aims.iter().find(|aim| aim.what.contains(what)).unwrap_or_else(|| panic!("{what}"));
        (aim.limit, aim.found, aim.is_reached())
    };
    assert_eq!(aim("libpmemobj: times vista"), (Limit::AtLeast(30.0), 40.0, true));
    assert_eq!(aim("redb, <every> commit & no wait: times vista"), (Limit::AtLeast(10.0), 8.0, false));
    assert_eq!(aim("times the bare pwrite"), (Limit::AtMost(1.5), 2.0, false));
    assert_eq!(aim("microseconds on tmpfs").0, Limit::AtMost(2.0));
    assert!(report.aims.iter().all(|aim| !aim.what.contains("fjall")), "who failed has no figure");
}

#[test]
fn lines_are_counted_without_comments_and_tests() {
    assert_eq!(source::lines("//! Idea.\n\nfn f() { // why\n    1\n}\n\n#[cfg(test)]\nmod tests {}\n"), 3);
    let [(_, heart), (_, with_what_is_below), (files, with_the_heap)] = source::counts();
    assert!(0 < heart && heart < with_what_is_below && with_what_is_below < with_the_heap, "{files}");
}

#[test]
fn a_report_is_the_same_after_json() {
    let report = made_up();
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
}

#[test]
fn tables_name_everybody_with_what_they_survive() {
    let text = made_up().text();
    for (name, level, _) in MADE_UP {
        let line = text.lines().find(|line| line.starts_with(&format!("| {name} ")));
        assert!(line.unwrap().contains(&level.to_string()), "{line:?}");
    }
    assert!(text.contains("fjall failed: its disk is gone"));
    let widths = |table: &str| table.lines().map(|line| line.chars().count()).collect::<Vec<_>>();
    for table in text.split("\n\n").filter(|part| part.starts_with('|')) {
        let rows: String =
            table.lines().filter(|line| line.starts_with('|')).map(|line| format!("{line}\n")).collect();
        assert!(widths(&rows).windows(2).all(|pair| pair[0] == pair[1]), "columns of equal width: {rows}");
    }
}

#[test]
fn plots_are_whole_and_have_every_engine_in_them() {
    let plots = plots::all(&made_up()).unwrap();
    let names: Vec<_> = plots.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "throughput-page-cache.svg",
            "size-page-cache.svg",
            "ranges-page-cache.svg",
            "latency.svg",
            "growth.svg",
            "recovery.svg"
        ]
    );
    for (name, svg) in &plots {
        check_well_formed(name, svg);
        let engines: Vec<_> = match name.as_str() {
            "growth.svg" | "recovery.svg" => vec!["vista"],
            _ => MADE_UP.map(|(name, ..)| name).into(),
        };
        for engine in engines {
            let escaped = engine.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            assert!(svg.contains(&format!("{escaped} (")), "{engine} in {name}");
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{name}");
    }
}

/// Every element that is opened is closed, in order, and no text has a bare `<` or `&`.
fn check_well_formed(name: &str, svg: &str) {
    let mut open = Vec::new();
    let mut rest = svg;
    while let Some(start) = rest.find('<') {
        let text = &rest[..start];
        assert!(
            !text
                .replace("&amp;", "")
                .replace("&lt;", "")
                .replace("&gt;", "")
                .replace("&apos;", "")
                .contains('&'),
            "{name}: {text}"
        );
        let end = start + rest[start..].find('>').unwrap_or_else(|| panic!("{name}: a tag without end"));
        let tag = &rest[start + 1..end];
        let element = tag.trim_start_matches('/').split_whitespace().next().unwrap().trim_end_matches('/');
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(element), "{name}");
        } else if !tag.ends_with('/') && !tag.starts_with(['?', '!']) {
            open.push(element);
        }
        rest = &rest[end + 1..];
    }
    assert!(open.is_empty() && svg.starts_with("<svg"), "{name}: {open:?}");
}
