//! Every engine, on every workload, ends in the state of a model in plain vectors.

use std::ops::Range;
use std::time::Duration;

use benches::engine::{Engine, Entry, Level, Recipe};
use benches::files::Setting;
use benches::race::{Outcome, Plan, Standing, race};
use benches::{debit_credit, heap, one_range, pwrite, ranges};
use rio::Domain;
use workloads::{Scale, Transfer};

use crate::files;

fn check(entries: &[Entry], expected: u64, count: usize) {
    for entry in entries {
        let mut runner = entry.make();
        assert_ne!(runner.digest(), expected, "{}: the model's state from the beginning", entry.name);
        runner.run(0..count);
        assert_eq!(runner.digest(), expected, "{}", entry.name);
    }
}

#[test]
fn debit_credit_is_the_models() {
    let (files, scale) = (files(), Scale::new(1).unwrap());
    let all = debit_credit::transfers(scale, 7, 2000);
    let hot = debit_credit::hot_transfers(scale, 7, 2000, 10);
    for inputs in [all, hot] {
        let expected = debit_credit::model(scale, &inputs);
        check(&debit_credit::entries(&files, &inputs, scale), expected, 2000);
        check(&debit_credit::entries_adr(&files, &inputs, scale), expected, 2000);
    }
}

#[test]
fn one_range_is_the_models() {
    fn of_length<const N: usize>() {
        let (files, array_len) = (files(), 20_000);
        let inputs = one_range::fills::<N>(7, 50, array_len);
        let expected = one_range::model::<N>(&inputs, array_len);
        check(&one_range::entries::<N>(&files, &inputs, array_len), expected, 50);
        check(&one_range::entries_adr::<N>(&files, &inputs, array_len), expected, 50);
    }
    of_length::<1>();
    of_length::<8>();
    of_length::<512>();
    of_length::<8192>();
}

#[test]
fn blocks_hold_what_was_put_into_them() {
    let (files, inputs) = (files(), heap::values(7, 1000));
    for domain in [Domain::PageCache, Domain::Adr] {
        for has_population in [false, true] {
            check(&heap::entries(&files, &inputs, domain, has_population), heap::model(&inputs), 1000);
        }
    }
}

#[test]
fn many_ranges_are_the_models() {
    fn of_number<const K: usize>() {
        let (files, array_len) = (files(), 20_000);
        let inputs = ranges::scatters::<K>(7, 50, array_len);
        let expected = ranges::model::<K>(&inputs, array_len);
        check(&ranges::entries::<K>(&files, &inputs, array_len), expected, 50);
        check(&ranges::entries_adr::<K>(&files, &inputs, array_len), expected, 50);
        check(&[pwrite::ranges::<K>(&files, &inputs, array_len)], expected, 50);
    }
    of_number::<1>();
    of_number::<64>();
}

#[test]
fn the_bound_of_a_disk_does_the_same_work() {
    let (files, scale, array_len) = (files(), Scale::new(1).unwrap(), 20_000);
    let transfers = debit_credit::transfers(scale, 7, 50);
    let expected = debit_credit::model(scale, &transfers);
    check(&[pwrite::DebitCredit::entry(&files, &transfers, scale)], expected, 50);
    let fills = one_range::fills::<64>(7, 50, array_len);
    let expected = one_range::model::<64>(&fills, array_len);
    check(&[pwrite::one_range::<64>(&files, &fills, array_len)], expected, 50);
}

#[test]
fn a_sparse_model_is_the_model() {
    let inputs = one_range::fills::<1>(7, 500, 300);
    assert_eq!(one_range::sparse_model(&inputs, 300), one_range::model::<1>(&inputs, 300));
}

/// Three rounds of twenty behind two of warm-up, then ten transactions one by one.
const PLAN: Plan = Plan {
    rounds: 3,
    warm_up: 2,
    per_round: 20,
    budget: Duration::from_secs(10),
    one_by_one: 10,
    one_by_one_slow: 5,
    has_counts: true,
};

/// Races on values of the heap's.
fn race_on_values(entries: &[Entry], inputs: &[u64], plan: Plan) -> Vec<Standing> {
    race(entries, plan, &|count| heap::model(&inputs[..count]), &mut |_| {})
}

fn outcomes(standings: &[Standing]) -> Vec<Result<&Outcome, &str>> {
    standings.iter().map(|standing| standing.outcome.as_ref().map_err(String::as_str)).collect()
}

#[test]
fn a_race_runs_every_input_of_every_contender_once() {
    let (files, inputs) = (files(), heap::values(7, 110));
    assert_eq!(PLAN.input_count(), 110);
    // The digest is the sum of all values: one left out or run twice would show.
    let standings = race_on_values(&heap::entries(&files, &inputs, Domain::PageCache, false), &inputs, PLAN);
    for outcome in outcomes(&standings) {
        let outcome = outcome.unwrap();
        assert_eq!((outcome.rounds.len(), outcome.per_round, outcome.latency.unwrap().count), (3, 20, 10));
    }
}

#[test]
fn a_slow_contender_runs_fewer_and_is_checked_all_the_same() {
    let inputs = heap::values(7, 110);
    let slow = |least| Entry::elsewhere("slow", Level::Nothing, &inputs, || Sleepy(0)).with_least(least);
    let plan = Plan { budget: Duration::from_millis(2), ..PLAN };
    let standings = race_on_values(&[slow(1), slow(7)], &inputs, plan);
    let [few, more] = outcomes(&standings)[..] else { panic!("two contenders") };
    let (few, more) = (few.unwrap(), more.unwrap());
    assert!(few.per_round <= 2 && few.latency.unwrap().count == 5, "{few:?}");
    assert_eq!(more.per_round, 7, "as many as it has to");
    let asleep = few.thread.median < few.wall.median / 2.0;
    assert!(asleep, "a contender that sleeps takes little processor time: {few:?}");
}

/// An engine that leaves every tenth transaction out.
struct Careless(u64, u64);

impl Engine for Careless {
    type Input = u64;

    fn admits(&self, _: &u64) -> bool {
        true
    }

    #[allow(unsafe_code)] // As the trait has it.
    unsafe fn transact(&mut self, input: &u64) {
        self.1 += 1;
        if !self.1.is_multiple_of(10) {
            self.0 = self.0.wrapping_add(*input);
        }
    }

    fn digest(&self) -> u64 {
        self.0
    }
}

#[derive(Clone)]
struct CarelessRecipe;

impl Recipe for CarelessRecipe {
    type Input = u64;
    type Engine<M: rio::Medium> = Careless;

    fn medium_len(&self) -> u64 {
        1 << 20
    }

    fn log(&self) -> Range<u64> {
        0..0
    }

    fn make<M: rio::Medium>(&self, _: M) -> Careless {
        Careless(0, 0)
    }
}

#[test]
fn an_engine_that_skips_work_or_panics_is_out_and_the_others_go_on() {
    let (files, inputs) = (files(), heap::values(7, 110));
    let cached = Setting::page_cache();
    let mut entries = heap::entries(&files, &inputs, Domain::PageCache, false);
    entries.push(Entry::new("careless", &files, cached, &inputs, CarelessRecipe));
    entries
        .push(Entry::elsewhere("unmade", Level::Nothing, &inputs, || -> Sleepy { panic!("no such disk") }));
    let standings = race_on_values(&entries, &inputs, PLAN);
    let outcomes = outcomes(&standings);
    assert!(outcomes[..3].iter().all(Result::is_ok), "{outcomes:?}");
    assert!(outcomes[3].unwrap_err().contains("its data are not the model's"), "{outcomes:?}");
    assert_eq!(outcomes[4].unwrap_err(), "no such disk");
}

/// An engine that takes two milliseconds, most of them asleep.
struct Sleepy(u64);

impl Engine for Sleepy {
    type Input = u64;

    fn admits(&self, _: &u64) -> bool {
        true
    }

    #[allow(unsafe_code)] // As the trait has it.
    unsafe fn transact(&mut self, input: &u64) {
        std::thread::sleep(Duration::from_millis(2));
        self.0 = self.0.wrapping_add(*input);
    }

    fn digest(&self) -> u64 {
        self.0
    }
}

#[test]
#[should_panic(expected = "an input outside of its data")]
fn an_input_outside_of_the_data_is_refused() {
    let (files, scale) = (files(), Scale::new(1).unwrap());
    let outside = Transfer { account: scale.accounts(), ..Transfer::at(scale, 7, 0) };
    debit_credit::entries(&files, &[outside].into(), scale)[0].make();
}
