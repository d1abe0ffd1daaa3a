//! Pictures of a report, as SVG.
//!
//! An engine has the same colour and the same place in the order wherever it appears, and its level of durability beside it.
//! Start at [`all`] and [`collections`](fn@collections).

mod canvas; // axes, lines, bars, text
mod collections; // collections, by their number of entries
mod style; // colours and order

use std::error::Error;

use crate::latency::Latency;
use crate::machine::Machine;
use crate::race::Standing;
use crate::report::{Race, Report};
use crate::workload::{Durable, Workload};
use canvas::{Axis, Bar, Line, Panel, Row, Unit};
pub use collections::collections;
use style::in_order;

/// What went wrong when a plot was drawn.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The name and the text of each plot that there are figures for.
///
/// # Errors
/// The drawing library's.
pub fn all(report: &Report) -> Result<Vec<(String, String)>> {
    let foot = foot_of(&report.machine);
    let mut plots = Vec::new();
    let mut add = |name: String, plot: Option<Result<String>>| -> Result<()> {
        if let Some(plot) = plot {
            plots.push((format!("{name}.svg"), plot?));
        }
        Ok(())
    };
    for durable in [Durable::PageCache, Durable::Adr] {
        let domain = durable.domain().to_string();
        let name = |plot: &str| format!("{plot}-{}", domain.to_lowercase());
        add(name("throughput"), throughput(report, &domain, &foot))?;
        let sizes = "one range, by its length";
        add(
            name("size"),
            sweep(report, durable, &Workload::SIZES, (sizes, "length of the range", Unit::Bytes), &foot),
        )?;
        let ranges = "ranges of 8 B in one transaction, by their number";
        add(
            name("ranges"),
            sweep(report, durable, &Workload::RANGES, (ranges, "number of ranges", Unit::Count), &foot),
        )?;
    }
    add("latency".to_owned(), latency(report, &foot))?;
    add("growth".to_owned(), growth(report, &foot))?;
    add("recovery".to_owned(), recovery(report, &foot))?;
    Ok(plots)
}

/// A figure is worth nothing without it.
fn foot_of(machine: &Machine) -> String {
    let (memory, disk) = (&machine.file_system, &machine.disk_file_system);
    format!("{}; regions on {memory}, disk: {disk}; commit {}", machine.processor, machine.commit)
}

fn label(standing: &Standing) -> String {
    format!("{} ({})", standing.name, standing.level)
}

/// Transactions per second, by workload and engine. Of the workloads that differ in one number alone the shortest stands
/// for all; the others have plots of their own.
fn throughput(report: &Report, domain: &str, foot: &str) -> Option<Result<String>> {
    let is_one_of_many = |race: &Race| {
        let of_sizes = Workload::SIZES.iter().skip(1);
        of_sizes.chain(&Workload::RANGES).any(|(workload, _)| race.workload == workload.title())
    };
    let panels: Vec<Panel<Bar>> = report
        .races
        .iter()
        .filter(|race| race.domain == domain && !is_one_of_many(race))
        .map(|race| Panel {
            title: race.workload.clone(),
            rows: in_order(&race.results, |standing| &standing.name)
                .filter_map(|standing| {
                    let outcome = standing.outcome.as_ref().ok()?;
                    let value = 1e9 / outcome.wall.median;
                    Some(Row { label: label(standing), name: standing.name.clone(), what: Bar(value) })
                })
                .collect(),
        })
        .collect();
    let title = format!("Transactions per second; {domain}");
    (!panels.is_empty()).then(|| canvas::bars(&title, "transactions per second", Unit::Rate, &panels, foot))
}

/// Time of a transaction by the one number in which these workloads differ.
fn sweep(
    report: &Report,
    durable: Durable,
    workloads: &[(Workload, u64)],
    (title, axis, unit): (&str, &str, Unit),
    foot: &str,
) -> Option<Result<String>> {
    let points = workloads.iter().flat_map(|&(workload, number)| {
        let standings = report.race(workload, durable).into_iter().flat_map(|race| &race.results);
        standings.filter_map(move |standing| {
            Some((standing, number as f64, standing.outcome.as_ref().ok()?.wall.median))
        })
    });
    let lines = lines(points.map(|(standing, x, y)| (&standing.name, label(standing), x, y)));
    let title = format!("Time of a transaction: {title}; {}", durable.domain());
    drawn(&title, "time of a transaction", (axis, unit), &lines, foot)
}

/// Time of a transaction by the length of the data.
fn growth(report: &Report, foot: &str) -> Option<Result<String>> {
    let points = report.growth.iter().filter_map(|growth| {
        let outcome = growth.standing.outcome.as_ref().ok()?;
        Some((&growth.standing.name, label(&growth.standing), growth.bytes as f64, outcome.wall.median))
    });
    let title = "Time of a transaction: 8 B anywhere in data of growing length; page-cache";
    drawn(title, "time of a transaction", ("length of the data", Unit::Bytes), &lines(points), foot)
}

/// Time of recovery by the length of the log.
fn recovery(report: &Report, foot: &str) -> Option<Result<String>> {
    let points = report.recoveries.iter().map(|recovery| {
        let label = format!("{} ({})", recovery.name, recovery.level);
        (&recovery.name, label, recovery.log_bytes as f64, recovery.micros.median * 1000.0)
    });
    drawn(
        "Time to open after a kill",
        "time to open",
        ("bytes that the log restores", Unit::Bytes),
        &lines(points),
        foot,
    )
}

/// A line for each engine, in order.
fn lines<'a>(points: impl Iterator<Item = (&'a String, String, f64, f64)>) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for (name, label, x, y) in points {
        match lines.iter_mut().find(|line| line.name == *name) {
            Some(line) => line.points.push((x, y)),
            None => lines.push(Line { label, name: name.clone(), points: vec![(x, y)] }),
        }
    }
    in_order(&lines, |line| &line.name).cloned().collect()
}

fn drawn(
    title: &str,
    what: &str,
    (axis, unit): (&str, Unit),
    lines: &[Line],
    foot: &str,
) -> Option<Result<String>> {
    let is_drawable = lines.iter().any(|line| line.points.len() > 1);
    let [x, y] = [Axis { name: axis, unit }, Axis { name: what, unit: Unit::Nanos }];
    is_drawable.then(|| canvas::lines(title, x, y, lines, foot))
}

/// Quantiles of the transactions that were timed one by one.
fn latency(report: &Report, foot: &str) -> Option<Result<String>> {
    let row = |standing: &Standing| {
        let latency = standing.outcome.as_ref().ok()?.latency?;
        let points = latency.quantiles().into_iter().flatten().map(|nanos| nanos as f64).collect();
        Some(Row { label: label(standing), name: standing.name.clone(), what: canvas::Dots(points) })
    };
    let mut overhead = None;
    let panels: Vec<_> = report
        .races
        .iter()
        .filter_map(|race| {
            let latency =
                |standing: &Standing| -> Option<Latency> { standing.outcome.as_ref().ok()?.latency };
            overhead = overhead.or(race.results.iter().find_map(latency).map(|latency| latency.overhead));
            let rows: Vec<_> = in_order(&race.results, |standing| &standing.name).filter_map(row).collect();
            (!rows.is_empty()).then(|| Panel { title: format!("{}; {}", race.workload, race.domain), rows })
        })
        .collect();
    let axis = format!("time of a transaction, {} ns of the clock's own included", overhead?);
    Some(canvas::dots("Latency at p50, p99 and p99.9", &axis, &["p50", "p99", "p99.9"], &panels, foot))
}
