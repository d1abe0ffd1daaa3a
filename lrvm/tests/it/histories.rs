//! Any history of calls leaves what a plain model says, through any number of crashes.

use lrvm::{Begin, End, Error, Options, Region, Rvm, Truncation};
use proptest::prelude::*;

use crate::support::{PAGE, Stores, options};

#[derive(Clone, Debug)]
enum Step {
    /// Ranges of regions, and how the transaction ends.
    Transaction(Vec<(usize, u64, u64, u8)>, How),
    Flush,
    Truncate,
    TruncateIncrementally,
    Remap(usize),
    Tune(u8, bool, bool),
    Close,
    Crash,
}

#[derive(Clone, Copy, Debug)]
enum How {
    Commit(End),
    Abort,
    Forget,
}

const PAGES: [u64; 2] = [2, 1];

fn step() -> impl Strategy<Value = Step> {
    let range = (0usize..2, 0u64..8300, 0u64..400, any::<u8>());
    let how = prop_oneof![
        4 => Just(How::Commit(End::NoFlush)),
        3 => Just(How::Commit(End::Flush)),
        1 => Just(How::Abort),
        1 => Just(How::Forget),
    ];
    prop_oneof![
        12 => (prop::collection::vec(range, 0..5), how).prop_map(|(ranges, how)| Step::Transaction(ranges, how)),
        2 => Just(Step::Flush),
        1 => Just(Step::Truncate),
        1 => Just(Step::TruncateIncrementally),
        2 => (0usize..2).prop_map(Step::Remap),
        1 => (1u8..=100, any::<bool>(), any::<bool>()).prop_map(|(threshold, ranges, transactions)| {
            Step::Tune(threshold, ranges, transactions)
        }),
        1 => Just(Step::Close),
        2 => Just(Step::Crash),
    ]
}

type State = [Vec<u8>; 2];

struct World {
    stores: Stores,
    options: Options,
    rvm: Option<Rvm>,
    regions: Vec<Region>,
    /// What it held after each commit since the last one that is known to be durable, that one first.
    states: Vec<State>,
}

impl World {
    fn open(&mut self) -> Result<(), TestCaseError> {
        let rvm = self.stores.open(self.options).unwrap();
        self.regions = (0..2).map(|segment| self.stores.map(&rvm, segment).unwrap()).collect();
        self.rvm = Some(rvm);
        let found: State = [0, 1].map(|segment| self.regions[segment].bytes().to_vec());
        prop_assert!(self.states.contains(&found), "none of the {} states", self.states.len());
        self.states = vec![found];
        Ok(())
    }

    fn rvm(&self) -> &Rvm {
        self.rvm.as_ref().unwrap()
    }

    fn newest(&self) -> &State {
        self.states.last().unwrap()
    }

    fn all_is_durable(&mut self) {
        self.states.drain(..self.states.len() - 1);
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Transaction(ranges, how) => self.transact(ranges, *how)?,
            Step::Flush => {
                self.rvm().flush().unwrap();
                self.all_is_durable();
            }
            Step::Truncate => {
                self.rvm().truncate().unwrap();
                self.all_is_durable();
                prop_assert_eq!(self.rvm().query().used, 0);
            }
            Step::TruncateIncrementally => {
                let is_all = self.rvm().truncate_incrementally().unwrap();
                self.all_is_durable();
                prop_assert!(!is_all || self.rvm().query().used == 0);
            }
            Step::Remap(segment) => {
                // Even one that a transaction was forgotten on: it is dropped then.
                let old = self.regions.remove(*segment);
                if let Err((region, error)) = old.unmap() {
                    prop_assert!(matches!(error, Error::Uncommitted { .. }), "{}", error);
                    drop(region);
                }
                let region = self.stores.map(self.rvm(), *segment).unwrap();
                prop_assert!(region.bytes() == self.newest()[*segment]);
                self.regions.insert(*segment, region);
            }
            &Step::Tune(threshold, ranges, transactions) => {
                let mut tuning = self.rvm().options();
                (tuning.threshold, tuning.coalesce_ranges, tuning.coalesce_transactions) =
                    (threshold, ranges, transactions);
                self.rvm().set_options(tuning).unwrap();
            }
            Step::Close => {
                self.regions.clear();
                self.rvm.take().unwrap().close().unwrap();
                self.all_is_durable();
                for (store, state) in self.stores.segments.iter().zip(self.states.last().unwrap()) {
                    prop_assert!(store.bytes() == *state);
                }
                self.open()?;
                prop_assert!(self.rvm().recovery().was_clean);
            }
            Step::Crash => {
                self.stores = self.stores.crashed();
                self.regions.clear();
                self.rvm = None;
                self.open()?;
            }
        }
        Ok(())
    }

    fn transact(&mut self, ranges: &[(usize, u64, u64, u8)], how: How) -> Result<(), TestCaseError> {
        let mut new = self.newest().clone();
        let mut tx = self.rvm.as_ref().unwrap().begin(Begin::Restore).unwrap();
        let mut enlisted = Vec::new();
        for region in &mut self.regions {
            enlisted.push(tx.enlist(region).unwrap());
        }
        for &(region, offset, len, value) in ranges {
            let region_len = PAGES[region] * PAGE;
            match tx.set_range(enlisted[region], offset, len) {
                Ok(bytes) => {
                    bytes.fill(value);
                    new[region][offset as usize..(offset + len) as usize].fill(value);
                }
                Err(error) => {
                    prop_assert!(matches!(error, Error::OutsideRegion { .. }), "{}", error);
                    prop_assert!(offset + len > region_len);
                }
            }
        }
        for (region, new) in enlisted.iter().zip(&new) {
            prop_assert!(tx.bytes(*region).unwrap() == new);
        }
        match how {
            How::Commit(end) => {
                tx.commit(end).unwrap();
                self.states.push(new);
                if end == End::Flush {
                    self.all_is_durable();
                }
            }
            How::Abort => tx.abort().unwrap(),
            How::Forget => std::mem::forget(tx),
        }
        if !matches!(how, How::Forget) {
            for (region, state) in self.regions.iter().zip(self.states.last().unwrap()) {
                prop_assert!(region.bytes() == state);
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_history(
        steps in prop::collection::vec(step(), 1..60),
        log_pages in 1u64..4,
        is_epoch in any::<bool>(),
        in_background in any::<bool>(),
    ) {
        let truncation = if is_epoch { Truncation::Epoch } else { Truncation::Incremental };
        let options = options().truncation(truncation).background(in_background).status_interval(3).read_len(1000);
        let states = vec![PAGES.map(|pages| vec![0; (pages * PAGE) as usize])];
        let stores = Stores::new(log_pages, &PAGES);
        let mut world = World { stores, options, rvm: None, regions: Vec::new(), states };
        world.open()?;
        for step in &steps {
            world.step(step)?;
        }
    }
}
