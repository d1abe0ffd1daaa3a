//! lrvm through every crash of a simulated disk and every failure of its calls, as far as there is time for it in a test.
//!
//! The command of this package goes on where they end.

use campaigns::redo::{Scenario, campaign, scenarios};
use crash_sim::disk::DiskReport;

fn scenario(name: &str) -> Scenario {
    let found = scenarios().into_iter().find(|scenario| scenario.name == name);
    found.unwrap_or_else(|| panic!("no scenario {name}"))
}

fn check(name: &str, images: usize) -> DiskReport {
    let campaign = campaign(&scenario(name)).combinations(256, 64).images_max(images);
    let campaign = campaign.faults().failing_recoveries(3).resume(6);
    let report = if scenario(name).is_made { campaign.crash_creation() } else { campaign }.explore();
    println!("{report}");
    report.assert();
    assert!(report.images > 10 && report.depth() > 0, "{report}");
    report
}

macro_rules! scenarios {
    ($($test:ident $name:literal,)*) => {
        $(#[test]
        fn $test() {
            check($name, 2000);
        })*

        #[test]
        fn each_scenario_has_a_test() {
            let names: Vec<&str> = scenarios().iter().map(|scenario| scenario.name).collect();
            assert_eq!(names, [$($name),*]);
        }
    };
}

scenarios! {
    commits_with_flush "flush",
    commits_without_flush "no-flush",
    records_that_later_ones_overwrite "overwritten",
    transactions_over_several_regions "several-regions",
    a_ring_that_wraps "wrap",
    a_segment_that_is_mapped_later "second-segment",
    truncation_by_epoch "epoch",
    incremental_truncation "incremental",
    commits_that_find_no_room "no-room",
    the_making_of_a_log "creation",
    a_log_that_is_closed_and_opened "closed-and-opened",
    regions_that_are_unmapped_and_mapped "unmapped-and-mapped",
    transactions_that_are_aborted_or_forgotten "aborted-and-forgotten",
}
