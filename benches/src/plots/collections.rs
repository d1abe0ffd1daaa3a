//! Pictures of a report on collections: time of an operation by the number of entries.

use super::canvas::{self, Axis, Line, Unit};
use super::style::in_order;
use super::{Result, foot_of};
use crate::collections::contenders::Family;
use crate::collections::keys::Order;
use crate::collections::report::{Report, Trial, operation_title};
use crate::collections::subject::Operation;

/// What is drawn of each family, with the operations in a transaction.
const DRAWN: [(&str, Operation, usize); 7] = [
    ("insert", Operation::Insert, 1),
    ("insert-1000", Operation::Insert, 1000),
    ("hit", Operation::Hit, 1),
    ("miss", Operation::Miss, 1),
    ("remove", Operation::Remove, 1),
    ("iterate", Operation::Iterate, 1),
    ("range", Operation::Range, 1),
];

/// The name and the text of each plot that there are figures for.
///
/// # Errors
/// The drawing library's.
pub fn collections(report: &Report) -> Result<Vec<(String, String)>> {
    let foot = foot_of(&report.machine);
    let mut plots = Vec::new();
    for family in Family::ALL {
        for order in [Order::Random, Order::Sequential] {
            let trials = report.of(family, order);
            for (name, operation, batch) in DRAWN {
                let lines = lines(&trials, operation, batch);
                if !lines.iter().any(|line| line.points.len() > 1) {
                    continue;
                }
                let operation = operation_title(operation, batch);
                let title = format!("{}, {} keys: {operation}", family.title(), order.title());
                let x = Axis { name: "entries", unit: Unit::Entries };
                let y = Axis { name: "time of an operation", unit: Unit::Nanos };
                let svg = canvas::lines(&title, x, y, &lines, &foot)?;
                plots.push((format!("{}-{}-{name}.svg", family.title(), order.title()), svg));
            }
        }
    }
    Ok(plots)
}

/// A line for each collection, in order.
fn lines(trials: &[&Trial], operation: Operation, batch: usize) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for trial in trials {
        for standing in &trial.results {
            let Some(figure) = standing.figure(operation, batch) else { continue };
            let point = (trial.entries as f64, figure.nanos.median);
            match lines.iter_mut().find(|line| line.name == standing.name) {
                Some(line) => line.points.push(point),
                None => {
                    let label = format!("{} ({})", standing.name, standing.level);
                    lines.push(Line { label, name: standing.name.clone(), points: vec![point] });
                }
            }
        }
    }
    in_order(&lines, |line| &line.name).cloned().collect()
}
