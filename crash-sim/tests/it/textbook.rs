//! The structures of the textbook: the right ones pass, and each classical mistake is found under every model that can
//! see it, and under no other.
//!
//! They are the examples themselves. Start at [`check_right`] and [`check_mistake`].

use crash_sim::Model::{Adr, Coherent};
use crash_sim::{Campaign, Failure, Model, Oracle, Recorder};

// `main` and what only it uses.
#[allow(dead_code)]
#[path = "../../examples/counter_pair.rs"]
mod counter_pair;
#[allow(dead_code)]
#[path = "../../examples/linked_list.rs"]
mod linked_list;
#[allow(dead_code)]
#[path = "../../examples/ring_buffer.rs"]
mod ring_buffer;
#[allow(dead_code)]
#[path = "../../examples/vista_queue.rs"]
mod vista_queue;

use Recorder::{Machine, Seam};

/// Every crash is survived, whoever looks on.
fn check_right<T>(campaign: impl Fn() -> Campaign<T>) {
    for model in [Coherent, Adr] {
        for recorder in [Seam, Machine] {
            let report = campaign().recorder(recorder).explore(model);
            report.assert();
            assert!(report.is_complete() || report.skipped.is_some(), "{report}");
            assert!(report.images > 3 || report.skipped.is_some(), "{report}");
        }
    }
}

/// It is found under these models alone, as a state that never was, at a line of this file; its replay line shows it
/// again, and shows nothing once it is mended.
fn check_mistake<T>(
    file: &str,
    seen_under: &[Model],
    right: impl Fn() -> Campaign<T>,
    wrong: impl Fn() -> Campaign<T>,
) {
    for model in [Coherent, Adr] {
        for recorder in [Seam, Machine] {
            let report = wrong().recorder(recorder).explore(model);
            if report.skipped.is_some() {
                continue;
            }
            if !seen_under.contains(&model) {
                assert!(report.is_ok() && report.is_complete(), "found where it cannot be seen: {report}");
                continue;
            }
            let failure = report.failure.as_ref().unwrap_or_else(|| panic!("not found: {report}"));
            assert_eq!(failure.oracle, Oracle::Atomicity, "{report}");
            assert!(report.to_string().contains(file), "{report}");
            let again = wrong().recorder(recorder).replay(model, &failure.case);
            let again = again.failure.unwrap_or_else(|| panic!("not replayed: {report}"));
            let Failure { oracle, message, expect, crashes, case, .. } = *again;
            assert_eq!((oracle, expect), (failure.oracle, failure.expect), "{report}");
            assert_eq!(
                (message, crashes, case),
                (failure.message.clone(), failure.crashes.clone(), failure.case.clone()),
                "{report}"
            );
            let mended = right().recorder(recorder).replay(model, &failure.case);
            assert!(mended.failure.is_none(), "{mended}");
        }
    }
}

#[test]
fn a_counter_pair_under_a_log_survives() {
    check_right(|| counter_pair::campaign(counter_pair::Version::Right));
}

#[test]
fn a_counter_without_a_log_is_found() {
    use counter_pair::{Version, campaign};
    let right = || campaign(Version::Right);
    check_mistake("counter_pair.rs", &[Coherent, Adr], right, || campaign(Version::SecondNotLogged));
}

#[test]
fn a_list_that_links_what_is_durable_survives() {
    check_right(|| linked_list::campaign(linked_list::Version::Right));
}

#[test]
fn a_node_that_is_linked_before_it_is_initialised_is_found() {
    use linked_list::{Version, campaign};
    let right = || campaign(Version::Right);
    check_mistake("linked_list.rs", &[Coherent, Adr], right, || campaign(Version::LinkedFirst));
}

/// Invisible to whoever only kills processes: their stores stay in the cache, flushed or not.
#[test]
fn a_node_that_is_not_flushed_is_found_by_a_power_cut_alone() {
    use linked_list::{Version, campaign};
    let right = || campaign(Version::Right);
    check_mistake("linked_list.rs", &[Adr], right, || campaign(Version::NodeNotFlushed));
}

#[test]
fn a_ring_that_counts_what_is_written_survives() {
    check_right(|| ring_buffer::campaign(ring_buffer::Version::Right));
}

#[test]
fn a_head_that_moves_before_its_element_is_written_is_found() {
    use ring_buffer::{Version, campaign};
    let right = || campaign(Version::Right);
    check_mistake("ring_buffer.rs", &[Coherent, Adr], right, || campaign(Version::HeadFirst));
}

/// The program's order is right, so that a kill shows nothing; the fence orders neither line before the other.
#[test]
fn one_fence_for_what_needs_two_is_found_by_a_power_cut_alone() {
    use ring_buffer::{Version, campaign};
    let right = || campaign(Version::Right);
    check_mistake("ring_buffer.rs", &[Adr], right, || campaign(Version::OneFence));
}

#[test]
fn the_queue_on_vista_survives() {
    check_right(|| vista_queue::campaign().lazy());
    vista_queue::campaign().lazy().resume(5).explore(Adr).assert();
    vista_queue::campaign().lazy().kill_before_power_cut().explore(Adr).assert();
}

/// Lazily or not, the same is found and the same is not, although each combination is one that must be told apart.
#[test]
fn lazy_finds_what_eager_finds() {
    fn check<T>(campaign: impl Fn() -> Campaign<T>) {
        for model in [Coherent, Adr] {
            for recorder in [Seam, Machine] {
                let eager = campaign().recorder(recorder).explore(model);
                let lazy = campaign().recorder(recorder).lazy().eager(1).explore(model);
                assert_eq!(lazy.is_ok(), eager.is_ok(), "{eager}\n{lazy}");
                assert!(lazy.uncovered == 0 || lazy.failure.is_some(), "{lazy}");
                let oracle =
                    |report: &crash_sim::Report| report.failure.as_ref().map(|failure| failure.oracle);
                assert_eq!(oracle(&lazy), oracle(&eager), "{eager}\n{lazy}");
            }
        }
    }
    use {counter_pair as pair, linked_list as list, ring_buffer as ring};
    for version in [pair::Version::Right, pair::Version::SecondNotLogged] {
        check(|| pair::campaign(version).resume(3));
    }
    for version in [list::Version::Right, list::Version::LinkedFirst, list::Version::NodeNotFlushed] {
        check(|| list::campaign(version).resume(3));
    }
    for version in [ring::Version::Right, ring::Version::HeadFirst, ring::Version::OneFence] {
        check(|| ring::campaign(version).resume(3));
    }
}
