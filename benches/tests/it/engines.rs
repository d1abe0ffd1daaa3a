//! Every engine, on every workload, ends in the state of a model in plain vectors.

use std::ops::Range;

use benches::engine::{Engine, Entry, Recipe};
use benches::race::{Plan, race};
use benches::{debit_credit, heap, one_range};
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
fn a_race_runs_every_input_of_every_contender_once() {
    let (files, inputs) = (files(), heap::values(7, 100));
    let plan = Plan { rounds: 3, warm_up: 2, per_round: 20 };
    assert_eq!(plan.input_count(), 100);
    let results = race(&heap::entries(&files, &inputs, Domain::PageCache, false), plan, heap::model(&inputs));
    assert!(results.iter().all(|result| result.rounds.len() == 3));
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
#[should_panic(expected = "its data are not the model's")]
fn an_engine_that_skips_work_is_caught() {
    let (files, inputs) = (files(), heap::values(7, 100));
    let setting = benches::files::Setting::page_cache();
    let entry = Entry::new("careless", &files, setting, &inputs, CarelessRecipe);
    race(&[entry], Plan { rounds: 4, warm_up: 1, per_round: 20 }, heap::model(&inputs));
}

#[test]
#[should_panic(expected = "an input outside of its data")]
fn an_input_outside_of_the_data_is_refused() {
    let (files, scale) = (files(), Scale::new(1).unwrap());
    let outside = Transfer { account: scale.accounts(), ..Transfer::at(scale, 7, 0) };
    debit_credit::entries(&files, &[outside].into(), scale)[0].make();
}
