//! One trait for all engines, and the loop that all of them run in.
//!
//! The loop is compiled once for every engine (static dispatch): nothing but the engine's own work stands between two
//! transactions. Start at [`Engine`].

#![allow(unsafe_code)] // Bare engines do not check their inputs; the contender has, before the loop.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use rio::{Domain, Medium, Region};
use serde::{Deserialize, Serialize};

use crate::counting::{Counters, Counting};
use crate::files::{Files, Setting};

/// What a transaction survives once its commit has returned. Without it a time says little: what survives less is
/// cheaper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Level {
    /// Nothing: there is no transaction, or its end is not waited for at all.
    Nothing,
    /// The end of the process, by `kill -9` too; neither a kernel's crash nor a power cut.
    ProcessCrash,
    /// A power cut, on the medium that the engine is meant for.
    PowerLoss,
}

impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Level::Nothing => "nothing",
            Level::ProcessCrash => "process crash",
            Level::PowerLoss => "power loss",
        })
    }
}

/// One engine on one workload.
pub trait Engine {
    /// What one transaction is given. Generated before anything is timed.
    type Input;

    /// Whether a transaction with this input stays inside the engine's data.
    fn admits(&self, input: &Self::Input) -> bool;

    /// Runs one transaction.
    ///
    /// # Safety
    /// The engine [admits](Engine::admits) the input.
    unsafe fn transact(&mut self, input: &Self::Input);

    /// A digest of all the data, by which engines are compared with the model.
    fn digest(&self) -> u64;
}

/// An engine together with inputs that it admits.
pub struct Contender<E: Engine> {
    name: &'static str,
    engine: E,
    inputs: Arc<[E::Input]>,
}

impl<E: Engine> Contender<E> {
    /// Checks every input, so that the loop need not.
    ///
    /// # Panics
    /// If the engine does not admit one of them.
    pub fn new(name: &'static str, engine: E, inputs: Arc<[E::Input]>) -> Self {
        assert!(inputs.iter().all(|input| engine.admits(input)), "{name}: an input outside of its data");
        Contender { name, engine, inputs }
    }
}

/// A contender whose engine does not matter any more: what a race holds. Dynamic dispatch ends at the loop.
pub trait Runner {
    /// What tables call it.
    fn name(&self) -> &'static str;

    /// Number of inputs.
    fn input_count(&self) -> usize;

    /// Runs a transaction for each of these inputs, in order.
    ///
    /// # Panics
    /// If there are not so many inputs.
    fn run(&mut self, inputs: Range<usize>);

    /// The engine's digest.
    fn digest(&self) -> u64;
}

impl<E: Engine> Runner for Contender<E> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn input_count(&self) -> usize {
        self.inputs.len()
    }

    #[inline(never)]
    fn run(&mut self, inputs: Range<usize>) {
        for input in &self.inputs[inputs] {
            // SAFETY: `new` asked the engine for each of the inputs, and they cannot have changed.
            unsafe { self.engine.transact(input) };
        }
    }

    fn digest(&self) -> u64 {
        self.engine.digest()
    }
}

/// How an engine is made on a medium, whichever that is.
pub trait Recipe {
    /// What its transactions are given.
    type Input;
    /// The engine.
    type Engine<M: Medium>: Engine<Input = Self::Input>;

    /// Bytes that the medium has to have.
    fn medium_len(&self) -> u64;

    /// Where the log stands in the medium.
    fn log(&self) -> Range<u64>;

    /// What a transaction survives in this domain.
    fn level(&self, domain: Domain) -> Level {
        if domain == Domain::PageCache { Level::ProcessCrash } else { Level::PowerLoss }
    }

    /// Makes the engine on a zeroed medium.
    fn make<M: Medium>(&self, medium: M) -> Self::Engine<M>;
}

type MakeCounting = dyn Fn() -> (Box<dyn Runner>, Counters);

/// A contender by name, made when it is wanted: some take a second and fifty megabytes.
pub struct Entry {
    /// What tables call it.
    pub name: &'static str,
    /// What its transactions survive.
    pub level: Level,
    /// What was chosen for that; empty if the setting of the race says it.
    pub configuration: &'static str,
    /// The fewest transactions that may be timed together.
    pub least: usize,
    make: Box<dyn Fn() -> Box<dyn Runner>>,
    make_counting: Option<Box<MakeCounting>>,
}

impl Entry {
    /// The engine of this recipe, with its inputs, on regions of this setting.
    pub fn new<R>(
        name: &'static str,
        files: &Files,
        setting: Setting,
        inputs: &Arc<[R::Input]>,
        recipe: R,
    ) -> Self
    where
        R: Recipe + Clone + 'static,
        R::Engine<Region>: 'static,
        R::Engine<Counting<Region>>: 'static,
    {
        let make = {
            let (files, inputs, recipe) = (files.clone(), inputs.clone(), recipe.clone());
            move || -> Box<dyn Runner> {
                let engine = recipe.make(files.region(recipe.medium_len(), setting));
                Box::new(Contender::new(name, engine, inputs.clone()))
            }
        };
        let level = recipe.level(setting.domain());
        let make_counting = {
            let (files, inputs) = (files.clone(), inputs.clone());
            move || -> (Box<dyn Runner>, Counters) {
                let region = files.region(recipe.medium_len(), setting);
                let (medium, counters) = Counting::new(region, recipe.log());
                (Box::new(Contender::new(name, recipe.make(medium), inputs.clone())), counters)
            }
        };
        Entry {
            name,
            level,
            configuration: "",
            least: 1,
            make: Box::new(make),
            make_counting: Some(Box::new(make_counting)),
        }
    }

    /// An engine that keeps its data elsewhere than in a medium: what passes through the seam cannot be counted.
    pub fn elsewhere<E: Engine + 'static>(
        name: &'static str,
        level: Level,
        inputs: &Arc<[E::Input]>,
        make: impl Fn() -> E + 'static,
    ) -> Self {
        let inputs = inputs.clone();
        let make = move || -> Box<dyn Runner> { Box::new(Contender::new(name, make(), inputs.clone())) };
        Entry { name, level, configuration: "", least: 1, make: Box::new(make), make_counting: None }
    }

    /// The same, with what was chosen for its level.
    pub fn configured(self, configuration: &'static str) -> Self {
        Entry { configuration, ..self }
    }

    /// Times at least so many transactions together, so that what the engine does now and then (such as to truncate its
    /// log) has its share in every round.
    pub fn with_least(self, least: usize) -> Self {
        Entry { least, ..self }
    }

    /// Makes it.
    pub fn make(&self) -> Box<dyn Runner> {
        (self.make)()
    }

    /// Makes it on a medium that counts, if it is one that takes a medium.
    pub fn make_counting(&self) -> Option<(Box<dyn Runner>, Counters)> {
        self.make_counting.as_ref().map(|make| make())
    }
}

/// Folds words into a digest; the order matters.
pub fn digest(words: impl IntoIterator<Item = u64>) -> u64 {
    words.into_iter().fold(0xCBF2_9CE4_8422_2325, fold)
}

/// Folds one more word into a digest.
pub fn fold(digest: u64, word: u64) -> u64 {
    (digest ^ word).wrapping_mul(0x0000_0100_0000_01B3).rotate_left(29)
}

/// A small generator (splitmix64) with a seed, so that every engine and every run sees the same inputs.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator that always gives the same numbers for the same seed.
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// The next number.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.word()) * u128::from(end)) >> 64) as u64
    }
}
