//! The bulk load: a million pairs of 8 and 100 bytes, from an empty map on.
//!
//! Once in transactions of a thousand pairs, once in a single one. A round makes every map anew; making and removing it
//! is not timed. Start at [`load`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::contenders::{Contender, Role, Structure};
use super::keys::{self, Order};
use crate::engine::{Level, Random};
use crate::files::Files;
use crate::race::{Spread, Turn, message, pinned, shuffle};

/// Bytes of a value.
pub const VALUE_LEN: usize = 100;
/// Pairs that are loaded.
pub const PAIRS: u64 = 1_000_000;

/// What is loaded, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cargo {
    /// Pairs.
    pub pairs: u64,
    /// In which order.
    pub order: Order,
    /// Pairs in a transaction.
    pub batch: usize,
}

/// What everybody's load took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// What was loaded.
    pub cargo: Cargo,
    /// By whom.
    pub results: Vec<Loaded>,
}

/// What one load took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Loaded {
    /// Who loaded.
    pub name: String,
    /// Whose it is.
    pub role: Role,
    /// What it is.
    pub structure: Structure,
    /// What its transactions survive.
    pub level: Level,
    /// Nanoseconds per pair, of each round; or why there are none.
    pub rounds: Result<Vec<f64>, String>,
}

impl Loaded {
    /// Median and quartiles.
    pub fn spread(&self) -> Option<Spread> {
        let rounds = self.rounds.as_ref().ok()?;
        (!rounds.is_empty()).then(|| Spread::of(rounds.iter().copied()))
    }
}

/// Lets everybody load, as often as there are rounds.
pub fn load(
    contenders: &[Contender],
    cargo: Cargo,
    rounds: usize,
    files: &Files,
    watch: &mut dyn FnMut(Turn),
) -> Load {
    let keys: Vec<_> = (0..cargo.pairs).map(|number| cargo.order.key(number)).collect();
    let sum = keys::sum(keys.iter().copied());
    let mut results: Vec<_> = contenders
        .iter()
        .map(|contender| Loaded {
            name: contender.name.to_owned(),
            role: contender.role,
            structure: contender.structure,
            level: contender.level,
            rounds: Ok(Vec::new()),
        })
        .collect();
    let mut places: Vec<_> = (0..contenders.len()).collect();
    let mut random = Random::new(0x0DE2);
    let all = rounds * contenders.len();
    for done in 0..all {
        let at = done % contenders.len();
        if at == 0 {
            shuffle(&mut places, &mut random);
        }
        let (contender, result) = (&contenders[places[at]], &mut results[places[at]]);
        watch(Turn { name: contender.name.to_owned(), level: contender.level, done, all });
        let Ok(found) = &mut result.rounds else { continue };
        let once = || {
            let mut made = contender.make(files, cargo.pairs);
            let time = pinned(|| {
                let started = Instant::now();
                made.subject.insert(&keys, cargo.batch);
                started.elapsed()
            });
            assert_eq!(made.subject.iterate(u64::MAX), (cargo.pairs, sum), "the pairs, and their sum");
            time.as_nanos() as f64 / cargo.pairs as f64
        };
        match catch_unwind(AssertUnwindSafe(once)) {
            Ok(nanos) => found.push(nanos),
            Err(panic) => result.rounds = Err(message(panic.as_ref())),
        }
    }
    Load { cargo, results }
}
