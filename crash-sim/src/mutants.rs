//! The mutation score: each store, write-back and fence left out in turn. What no model notices is needless work, or
//! a blind spot. Start at [`Mutants`].

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use crate::campaign::Campaign;
use crate::explore;
use crate::model::Model;
use crate::trace::Event;

/// An event that is left out, counted among the stores, write-backs and fences. The program does not notice: the store is
/// in the cache and never arrives, the write-back and the fence do not happen.
///
/// Example: see [`Campaign::without`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dropped {
    /// The one of this number in the workload.
    Workload(usize),
    /// The one of this number in each recovery.
    Recovery(usize),
}

/// Whether an event counts.
pub(crate) fn can_be_dropped(event: &Event) -> bool {
    matches!(event, Event::Store { .. } | Event::Flush { .. } | Event::Fence)
}

/// What became of all that were left out.
///
/// ```
/// # use crash_sim::{Campaign, Sim};
/// # fn campaign() -> Campaign<Sim> {
/// #     Campaign::new("word", 4096)
/// #         .create(|sim: Sim| Ok::<_, String>(sim))
/// #         .open(|sim: Sim| Ok::<_, String>(sim))
/// #         .operations(2, |sim, n| {
/// #             sim.store(0, n as u64 + 1);
/// #             sim.persist(0, 8);
/// #             Ok::<_, String>(())
/// #         })
/// #         .model(0, |model, n| *model = n as u64 + 1, |sim| sim.load(0))
/// # }
/// let mutants = campaign().mutants(&[crash_sim::Model::Adr]);
/// println!("{mutants}");
/// assert_eq!(mutants.mutants.len(), 6); // A store, a flush and a fence in each of two operations.
/// ```
#[derive(Clone, Debug)]
pub struct Mutants {
    /// Name of the campaign.
    pub name: String,
    /// Each event left out, in order.
    pub mutants: Vec<Mutant>,
    /// Time it took.
    pub duration: Duration,
}

/// One event left out.
///
/// ```
/// # use crash_sim::{Campaign, Sim};
/// # fn campaign() -> Campaign<Sim> {
/// #     Campaign::new("word", 4096)
/// #         .create(|sim: Sim| Ok::<_, String>(sim))
/// #         .open(|sim: Sim| Ok::<_, String>(sim))
/// #         .operations(2, |sim, n| {
/// #             sim.store(0, n as u64 + 1);
/// #             sim.persist(0, 8);
/// #             Ok::<_, String>(())
/// #         })
/// #         .model(0, |model, n| *model = n as u64 + 1, |sim| sim.load(0))
/// # }
/// use crash_sim::{Dropped, trace::Event};
///
/// let mutants = campaign().mutants(&[crash_sim::Model::Adr]);
/// let first = &mutants.mutants[0];
/// assert!(first.dropped == Dropped::Workload(0) && matches!(first.event, Event::Store { .. }));
/// assert!(first.noticed.is_some());
/// ```
#[derive(Clone, Debug)]
pub struct Mutant {
    /// Which one.
    pub dropped: Dropped,
    /// What it is.
    pub event: Event,
    /// Where it comes from: the innermost frames of the program under test.
    pub source: String,
    /// The first model that noticed, and after how many images.
    pub noticed: Option<(Model, usize)>,
    /// Whether a campaign without it ended before all images were recovered.
    pub is_cut_short: bool,
}

pub(crate) fn run<T>(campaign: &mut Campaign<T>, models: &[Model]) -> Mutants {
    let started = Instant::now();
    campaign.without(None);
    // The first model decides the domain, and so which events there are: in an ordered domain the same code writes back
    // and fences.
    let domain = campaign.domain;
    campaign.domain.get_or_insert(models[0].domain());
    for &model in models {
        campaign.explore(model).assert();
    }
    let list = explore::droppable(campaign, models[0]).unwrap_or_else(|error| panic!("{error}"));
    let mut mutants = Vec::new();
    for (dropped, event, source) in list {
        campaign.without(Some(dropped));
        let mut mutant = Mutant { dropped, event, source, noticed: None, is_cut_short: false };
        for &model in models {
            let report = campaign.explore(model);
            mutant.is_cut_short |= report.failure.is_none() && !report.is_complete();
            if report.failure.is_some() {
                mutant.noticed = Some((model, report.recoveries as usize));
                break;
            }
        }
        mutants.push(mutant);
    }
    campaign.without(None);
    campaign.domain = domain;
    Mutants { name: campaign.name.clone(), mutants, duration: started.elapsed() }
}

impl Mutants {
    /// Those that no model noticed.
    ///
    /// ```
    /// # use crash_sim::{Campaign, Sim};
    /// # fn campaign() -> Campaign<Sim> {
    /// #     Campaign::new("word", 4096)
    /// #         .create(|sim: Sim| Ok::<_, String>(sim))
    /// #         .open(|sim: Sim| Ok::<_, String>(sim))
    /// #         .operations(2, |sim, n| {
    /// #             sim.store(0, n as u64 + 1);
    /// #             sim.persist(0, 8);
    /// #             Ok::<_, String>(())
    /// #         })
    /// #         .model(0, |model, n| *model = n as u64 + 1, |sim| sim.load(0))
    /// # }
    /// let mutants = campaign().mutants(&[crash_sim::Model::Adr]);
    /// for mutant in mutants.unnoticed() {
    ///     println!("needless, or not looked for: {:?} at {}", mutant.event, mutant.source);
    /// }
    /// # assert_eq!(mutants.unnoticed().count(), 0);
    /// ```
    pub fn unnoticed(&self) -> impl Iterator<Item = &Mutant> {
        self.mutants.iter().filter(|mutant| mutant.noticed.is_none())
    }

    /// How many were noticed, of how many.
    ///
    /// ```
    /// # use crash_sim::{Campaign, Sim};
    /// # fn campaign() -> Campaign<Sim> {
    /// #     Campaign::new("word", 4096)
    /// #         .create(|sim: Sim| Ok::<_, String>(sim))
    /// #         .open(|sim: Sim| Ok::<_, String>(sim))
    /// #         .operations(2, |sim, n| {
    /// #             sim.store(0, n as u64 + 1);
    /// #             sim.persist(0, 8);
    /// #             Ok::<_, String>(())
    /// #         })
    /// #         .model(0, |model, n| *model = n as u64 + 1, |sim| sim.load(0))
    /// # }
    /// let mutants = campaign().mutants(&[crash_sim::Model::Adr]);
    /// assert_eq!(mutants.score(), (6, 6)); // Every event is needed.
    /// ```
    pub fn score(&self) -> (usize, usize) {
        (self.mutants.len() - self.unnoticed().count(), self.mutants.len())
    }
}

impl fmt::Display for Mutants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (noticed, all) = self.score();
        let seconds = self.duration.as_secs_f64();
        write!(f, "crash-sim: {}: {noticed} of {all} events are needed, found in {seconds:.1} s", self.name)?;
        let mut groups: BTreeMap<(&str, &str), Vec<&Mutant>> = BTreeMap::new();
        for mutant in self.unnoticed() {
            let of = match mutant.dropped {
                Dropped::Workload(_) => "workload",
                Dropped::Recovery(_) => "recovery",
            };
            groups.entry((of, &mutant.source)).or_default().push(mutant);
        }
        for ((of, source), mutants) in groups {
            let first = explore::event_words(&mutants[0].event);
            let cut =
                if mutants.iter().any(|mutant| mutant.is_cut_short) { ", as far as was looked" } else { "" };
            let more =
                if mutants.len() > 1 { format!(" and {} like it", mutants.len() - 1) } else { String::new() };
            write!(f, "\n  not noticed{cut}: {first}{more}, in the {of}{source}")?;
        }
        Ok(())
    }
}
