//! The counters count what they say, and the promises about a transaction's costs hold.

use std::process::{Command, Output};

use benches::debit_credit;
use benches::engine::Entry;
use benches::{allocations, heap, system_calls};
use rio::Domain;
use workloads::Scale;

use crate::{dir, files};

/// Fences of one transaction, and allocations of a hundred.
fn costs(entry: &Entry) -> (f64, u64) {
    let (mut runner, counters) = entry.make_counting().unwrap();
    runner.run(0..100);
    let (before, allocations_before) = (counters.counts(), allocations::count());
    runner.run(100..200);
    let allocations = allocations::count() - allocations_before;
    (counters.counts().since(before).fences as f64 / 100.0, allocations)
}

#[test]
fn fences_are_three_where_ranges_are_declared_together() {
    let (files, scale) = (files(), Scale::new(1).unwrap());
    let inputs = debit_credit::transfers(scale, 7, 200);
    let fences: Vec<_> = debit_credit::entries_adr(&files, &inputs, scale)
        .iter()
        .map(|entry| (entry.name, costs(entry).0))
        .collect();
    assert_eq!(
        fences,
        [
            ("bare stores", 0.0),
            ("bare undo log", 3.0),
            ("vista get_disjoint_mut", 3.0),
            ("vista write", 3.0),
            ("vista get_mut", 6.0)
        ]
    );
}

#[test]
fn a_transaction_does_not_fence_or_allocate_on_the_page_cache() {
    let (files, scale) = (files(), Scale::new(1).unwrap());
    let inputs = debit_credit::transfers(scale, 7, 200);
    for entry in debit_credit::entries(&files, &inputs, scale) {
        assert_eq!(costs(&entry), (0.0, 0), "{}", entry.name);
    }
}

#[test]
fn allocations_are_seen() {
    let (files, inputs) = (files(), heap::values(7, 200));
    let entries = heap::entries(&files, &inputs, Domain::PageCache, false);
    assert_eq!(costs(&entries[0]).1, 100, "malloc and free");
    assert_eq!(costs(&entries[1]).1, 0, "vista");
}

fn silent(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_benches"));
    command.args(["silent", "alloc-free", "vista, one transaction", "--dir"]).arg(dir());
    command.args(arguments).output().unwrap()
}

#[test]
fn a_transaction_makes_no_system_call_and_one_would_be_seen() {
    let output = silent(&[]);
    assert!(output.status.success() && output.stdout == b".", "{output:?}");
    let output = silent(&["--make-a-call"]);
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
}

#[test]
fn system_calls_of_all_threads_are_counted_between_the_marks() {
    for count in [0, 1, 100] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_benches"));
        assert_eq!(system_calls::count(command.args(["calls", &count.to_string()])).unwrap(), count);
    }
}

#[test]
fn a_program_without_marks_is_an_error() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_benches"));
    let error = system_calls::count(command.arg("--version").stderr(std::process::Stdio::null()));
    assert!(error.is_err(), "{error:?}");
}

#[test]
fn a_pwrite_and_an_fdatasync_are_two_system_calls() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_benches"));
    command
        .args(["run", "range8", "bare pwrite + fdatasync", "--count", "20", "--traced", "--dir"])
        .arg(dir());
    command.arg("--disk").arg(dir());
    assert_eq!(system_calls::count(&mut command).unwrap(), 40);
}
