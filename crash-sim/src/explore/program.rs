//! The program under test, run: its workload as if nothing ever crashed, and its recovery of an image. Start at
//! [`Explorer::recover`].

use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};

use super::moment::Context;
use super::{Explorer, Job};
use crate::campaign::Expect;
use crate::image::{Canvas, Delta};
use crate::model::{Model, Pending, step};
use crate::panics;
use crate::report::Oracle;
use crate::sim::Loader;
use crate::trace::Event;

/// What a run of the program under test came to.
pub(super) enum Ran {
    /// It was refused, as it may be.
    Refused,
    /// It holds, and is this state if that could be told.
    Holds(Option<usize>),
    Fails(Oracle, String),
}

/// Whether the workload goes on behind a recovery. Where recovery stored nothing there is less to find, in what the
/// opener keeps in memory and what the operation in flight has left: such images get half of the budget.
#[derive(Clone, Copy)]
pub(super) enum Resume {
    Never,
    IfRecovered,
    Always,
}

impl<T> Explorer<'_, T> {
    /// Opens an image and checks what it holds; then lets the workload go on, if it may. The stream of all of it is left
    /// in `trace`.
    pub(super) fn recover(&mut self, job: &Job, resume: Resume) -> Ran {
        self.loader.load(self.canvas.base(), &job.delta);
        self.stage.set_len(job.len);
        self.trace.clear();
        self.report.recoveries += 1;
        let ran = self.open(job, resume);
        self.loader.note(&self.trace);
        if !matches!(ran, Ran::Fails(Oracle::Panic, _))
            && self.report.recoveries.is_power_of_two()
            && let Err(message) = self.check_announced(&job.delta)
        {
            return Ran::Fails(Oracle::Unannounced, message);
        }
        ran
    }

    fn open(&mut self, job: &Job, resume: Resume) -> Ran {
        let open = self.campaign.open.as_ref().expect("a campaign opens its structure");
        let medium = self.stage.medium(self.domain);
        // It is opened, checked and dropped in one place: what is as large as a segment takes time to move.
        let mut opened = None;
        let returned = self.record(|| opened = Some(open(medium)));
        match (returned, &mut opened) {
            (Err(panic), _) => Ran::Fails(Oracle::Panic, format!("recovery panicked: {panic}")),
            (_, Some(Err(_))) if job.context.is_creating => Ran::Refused,
            (_, Some(Err(error))) => Ran::Fails(Oracle::Refused, format!("recovery refused it: {error}")),
            (_, Some(Ok(subject))) => match self.check_and_resume(job, subject, resume) {
                failed @ Ran::Fails(Oracle::Resume, _) => failed,
                ran => match self.record(|| opened = None) {
                    Ok(()) => ran,
                    Err(panic) => Ran::Fails(Oracle::Panic, format!("dropping it panicked: {panic}")),
                },
            },
            (Ok(()), None) => unreachable!("what has returned has a value"),
        }
    }

    fn check_and_resume(&mut self, job: &Job, subject: &mut T, resume: Resume) -> Ran {
        let opened = self.trace.len();
        self.trace.push(Event::Opened { state: None }, 0);
        let ran = self.check(subject, job.context);
        if let Ran::Holds(Some(state)) = ran {
            self.trace.replace(opened, Event::Opened { state: Some(state as u32) });
            let is_recovered = self.trace.events()[..opened].iter().any(Event::is_change);
            let is_due = match resume {
                Resume::Never => false,
                Resume::IfRecovered => is_recovered,
                Resume::Always => true,
            };
            if is_due && state < self.campaign.operation_count {
                self.resumed += 1;
                let mut rest = state..self.campaign.operation_count;
                if let Err(message) = rest.try_for_each(|number| self.operate(subject, number)) {
                    return Ran::Fails(Oracle::Resume, message);
                }
            }
        }
        ran
    }

    /// One operation of the workload, with its marks.
    fn operate(&mut self, subject: &mut T, number: usize) -> Result<(), String> {
        let apply = self.campaign.apply.as_ref().expect("a campaign has operations");
        self.trace.push(Event::Begin { op: number as u32 + 1 }, 0);
        self.record(|| apply(subject, number))
            .map_err(|panic| format!("operation {number} panicked: {panic}"))?
            .map_err(|error| format!("operation {number}: {error}"))?;
        self.trace.push(Event::Ack { op: number as u32 + 1 }, 0);
        Ok(())
    }

    /// Which state a structure is in, of those that it may be in.
    fn check(&mut self, subject: &mut T, context: Context) -> Ran {
        let check = self.campaign.check.as_ref().expect("a campaign checks what it finds");
        let Expect { acked, begun } = context.expect;
        let mut holds = |expect: Expect| match self.record(|| check(subject, &expect)) {
            Ok(result) => result.map_err(|error| (Oracle::Atomicity, error.to_string())),
            Err(panic) => Err((Oracle::Panic, format!("the check panicked: {panic}"))),
        };
        let mut wrong = None;
        for state in acked..=begun {
            match holds(Expect::exactly(state)) {
                Ok(()) => return Ran::Holds(Some(state)),
                Err(error) => wrong = Some(error),
            }
        }
        if acked < begun {
            // A check that takes both and neither of them alone is a loose one.
            match holds(context.expect) {
                Ok(()) => return Ran::Holds(None),
                Err(error) => wrong = Some(error),
            }
        }
        let (mut oracle, message) = wrong.expect("at least one state was tried");
        if oracle == Oracle::Atomicity && (0..acked).any(|state| holds(Expect::exactly(state)).is_ok()) {
            oracle = Oracle::Durability;
        }
        Ran::Fails(oracle, message)
    }

    /// Creates, operates and closes, as if nothing ever crashed.
    pub(super) fn run_workload(&mut self) -> Result<(), String> {
        let campaign = self.campaign;
        let create = campaign.create.as_ref().expect("a campaign creates its structure");
        assert!(campaign.apply.is_some(), "a campaign has operations");
        self.start_from_zero();
        self.stage.watch_stores(campaign.crashes_creation);
        let is_recorded = campaign.crashes_creation;
        let medium = self.stage.medium(self.domain);
        let made =
            if is_recorded { self.record(|| create(medium)) } else { panics::catch(|| create(medium)) };
        let mut subject =
            made.map_err(|panic| format!("creation: {panic}"))?.map_err(|e| format!("creation: {e}"))?;
        if is_recorded {
            self.trace.push(Event::Ack { op: 0 }, 0);
        } else {
            self.stage.watch_stores(true);
            self.rebase();
            self.origin.1 = self.stage.len();
        }
        for number in 0..campaign.operation_count {
            self.operate(&mut subject, number)?;
        }
        let closed = self.record(|| match &campaign.close {
            Some(close) => close(subject),
            None => {
                drop(subject);
                Ok(())
            }
        });
        closed.map_err(|panic| format!("close: {panic}"))?.map_err(|error| format!("close: {error}"))?;
        self.loader.note(&self.trace);
        let checked = self.check_announced(&Delta::default());
        self.workload = mem::take(&mut self.trace);
        self.report.events = self.workload.len();
        checked
    }

    fn start_from_zero(&mut self) {
        self.stage.words().iter().for_each(|word| word.store(0, Ordering::Relaxed));
        if self.campaign.crashes_creation {
            self.rebase();
        }
        self.stage.set_len(self.campaign.size);
        self.trace.clear();
    }

    /// The memory as it is now is what all images are differences to.
    fn rebase(&mut self) {
        self.canvas = Canvas::new(self.stage.copy());
        self.loader = Loader::new(self.stage.clone());
    }

    /// The stream explains all that has changed.
    pub(super) fn check_announced(&mut self, before: &Delta) -> Result<(), String> {
        self.canvas.load(before);
        for index in 0..self.trace.len() {
            step(Model::Coherent, &self.trace, index, &mut Pending::default(), &mut self.canvas);
        }
        let is_other = |(word, &explained): (&AtomicU64, &u64)| word.load(Ordering::Relaxed) != explained;
        match self.stage.words().iter().zip(self.canvas.words()).position(is_other) {
            None => Ok(()),
            Some(index) => Err(format!(
                "the word at {} was changed, and the medium was not told: a structure announces its stores by \
                 `Medium::stored`, or what it lends by `Medium::lent`",
                index * 8
            )),
        }
    }

    /// Runs a piece of the program under test, and adds what happens to the stream.
    fn record<R>(&mut self, run: impl FnOnce() -> R) -> Result<R, String> {
        self.stage.record(&mut self.trace, &mut self.undecided, self.budget.events, run)
    }
}
