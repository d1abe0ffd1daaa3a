//! The queue against a list that is searched from end to end, over random histories.

use std::collections::BTreeMap;

use example_queue::{Millis, Queue, Receipt};
use proptest::prelude::*;
use vista::rio::{Medium, RegionOptions};

pub(crate) const ATTEMPTS_MAX: u32 = 3;

#[derive(Clone, Debug, PartialEq)]
struct Job {
    payload: Vec<u8>,
    attempts: u32,
    state: State,
    at: Millis,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Fresh,
    Leased,
    Delayed,
    Dead,
}

/// A queue without any index.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Model {
    jobs: BTreeMap<u64, Job>,
    pushed: u64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    Push(u8),
    Take(Millis),
    Ack(u64, Option<u32>),
    Nack(u64, Millis),
    Extend(u64, Millis),
    Requeue(u64),
    Discard(u64),
}

impl Model {
    /// Does the same as the operation, and says what it returns.
    pub(crate) fn apply(&mut self, operation: Operation, now: Millis) -> String {
        match operation {
            Operation::Push(n) => {
                self.pushed += 1;
                let job = Job { payload: payload(n), attempts: 0, state: State::Fresh, at: 0 };
                self.jobs.insert(self.pushed, job);
                format!("pushed {}", self.pushed)
            }
            Operation::Take(visibility) => self.take(visibility, now),
            Operation::Ack(id, attempt) => match self.leased(id, attempt) {
                Ok(_) => {
                    self.jobs.remove(&id);
                    "acked".into()
                }
                Err(refused) => refused,
            },
            Operation::Nack(id, delay) => match self.leased(id, None) {
                Ok(job) if job.attempts >= ATTEMPTS_MAX => {
                    (job.state, job.at) = (State::Dead, now);
                    "Dead".into()
                }
                Ok(job) => {
                    (job.state, job.at) = (State::Delayed, now + delay);
                    format!("Again({})", job.at)
                }
                Err(refused) => refused,
            },
            Operation::Extend(id, visibility) => match self.leased(id, None) {
                Ok(job) => {
                    job.at = now + visibility;
                    "extended".into()
                }
                Err(refused) => refused,
            },
            Operation::Requeue(id) => match self.dead(id) {
                Ok(job) => {
                    (job.state, job.at, job.attempts) = (State::Delayed, now, 0);
                    "requeued".into()
                }
                Err(refused) => refused,
            },
            Operation::Discard(id) => match self.dead(id) {
                Ok(_) => {
                    self.jobs.remove(&id);
                    "discarded".into()
                }
                Err(refused) => refused,
            },
        }
    }

    fn take(&mut self, visibility: Millis, now: Millis) -> String {
        loop {
            let is_due = |job: &Job| matches!(job.state, State::Leased | State::Delayed) && job.at <= now;
            let due = self.jobs.iter().filter(|(_, job)| is_due(job)).min_by_key(|(id, job)| (job.at, **id));
            let fresh = || self.jobs.iter().find(|(_, job)| job.state == State::Fresh);
            let Some((&id, _)) = due.or_else(fresh) else { return "nothing".into() };
            let job = self.jobs.get_mut(&id).unwrap();
            if job.attempts >= ATTEMPTS_MAX {
                (job.state, job.at) = (State::Dead, now);
                continue;
            }
            job.attempts += 1;
            (job.state, job.at) = (State::Leased, now + visibility);
            return format!("taken {id} {} {:?}", job.attempts, job.payload);
        }
    }

    fn leased(&mut self, id: u64, attempt: Option<u32>) -> Result<&mut Job, String> {
        let job = self.jobs.get_mut(&id).ok_or("NoJob")?;
        match attempt {
            _ if job.state != State::Leased => Err("NotLeased".into()),
            Some(attempt) if attempt != job.attempts => Err("OtherAttempt".into()),
            _ => Ok(job),
        }
    }

    fn dead(&mut self, id: u64) -> Result<&mut Job, String> {
        let job = self.jobs.get_mut(&id).ok_or("NoJob")?;
        if job.state == State::Dead { Ok(job) } else { Err("NotDead".into()) }
    }

    /// What a queue of the same content shows.
    pub(crate) fn view(&self) -> Vec<(u64, Vec<u8>, u32, &'static str)> {
        let name = |state| match state {
            State::Fresh => "fresh",
            State::Leased | State::Delayed => "waiting",
            State::Dead => "dead",
        };
        self.jobs.iter().map(|(&id, job)| (id, job.payload.clone(), job.attempts, name(job.state))).collect()
    }
}

fn payload(number: u8) -> Vec<u8> {
    vec![number; usize::from(number) % 40]
}

pub(crate) fn apply<M: Medium>(
    queue: &mut Queue<M>,
    operation: Operation,
    now: Millis,
) -> Result<String, vista::Error> {
    let done = match operation {
        Operation::Push(n) => queue.push(&payload(n)).map(|id| format!("pushed {id}")),
        Operation::Take(visibility) => queue.take(visibility, now).map(|taken| match taken {
            Some(job) => format!("taken {} {} {:?}", job.id, job.attempt, job.payload),
            None => "nothing".into(),
        }),
        Operation::Ack(id, attempt) => queue.ack(Receipt { id, attempt }).map(|()| "acked".into()),
        Operation::Nack(id, delay) => queue.nack(id, delay, "no", now).map(|fate| format!("{fate:?}")),
        Operation::Extend(id, visibility) => queue.extend(id, visibility, now).map(|()| "extended".into()),
        Operation::Requeue(id) => queue.requeue(id, now).map(|()| "requeued".into()),
        Operation::Discard(id) => queue.discard(id).map(|()| "discarded".into()),
    };
    match done {
        Err(example_queue::Error::Vista(error)) => Err(error),
        Err(refused) => Ok(format!("{refused:?}").split(' ').next().unwrap().to_owned()),
        Ok(done) => Ok(done),
    }
}

fn operations() -> impl Strategy<Value = Vec<(Operation, Millis)>> {
    let id = || 1..12u64;
    let operation = prop_oneof![
        3 => any::<u8>().prop_map(Operation::Push),
        5 => (0..30u64).prop_map(Operation::Take),
        2 => (id(), prop::option::of(1..4u32)).prop_map(|(id, attempt)| Operation::Ack(id, attempt)),
        2 => (id(), 0..30u64).prop_map(|(id, delay)| Operation::Nack(id, delay)),
        1 => (id(), 0..30u64).prop_map(|(id, visibility)| Operation::Extend(id, visibility)),
        1 => id().prop_map(Operation::Requeue),
        1 => id().prop_map(Operation::Discard),
    ];
    prop::collection::vec((operation, 0..10u64), 0..150)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn the_queue_does_what_a_list_does(operations in operations()) {
        let region = RegionOptions::new().size(1 << 20).anonymous().unwrap();
        let mut queue = Queue::create_on(region, ATTEMPTS_MAX).unwrap();
        let (mut model, mut now) = (Model::default(), 1000);
        for (operation, pause) in operations {
            now += pause;
            prop_assert_eq!(apply(&mut queue, operation, now).unwrap(), model.apply(operation, now), "{:?}", operation);
            prop_assert_eq!(queue.jobs().unwrap(), model.view());
        }
        prop_assert_eq!(queue.check().unwrap(), Vec::<String>::new());
        let stats = queue.stats().unwrap();
        let held = stats.fresh + stats.waiting + stats.dead;
        prop_assert_eq!(stats.pushed, held + stats.acked + stats.discarded);
    }
}

#[test]
fn a_clock_that_was_set_back_delays_and_loses_nothing() {
    let region = RegionOptions::new().size(1 << 20).anonymous().unwrap();
    let mut queue = Queue::create_on(region, ATTEMPTS_MAX).unwrap();
    queue.push(b"old").unwrap();
    let taken = queue.take(10, 5000).unwrap().unwrap();
    queue.push(b"new").unwrap();
    // The clock steps back by four seconds: fresh jobs come as ever, and the lease lasts longer by as much.
    assert_eq!(queue.take(10, 1000).unwrap().unwrap().payload, b"new");
    assert_eq!(queue.take(10, 1005).unwrap(), None);
    assert_eq!(queue.take(10, 5010).unwrap().unwrap().payload, b"new");
    assert_eq!(queue.take(10, 5010).unwrap().map(|again| (again.id, again.attempt)), Some((taken.id, 2)));
}

/// Fills a queue with payloads of this length, and drains it in the most expensive way.
fn fill_and_drain(payload_len: usize) {
    let region = RegionOptions::new().size(256 << 10).max_len(256 << 10).anonymous().unwrap();
    let mut queue = Queue::create_on(region, 1).unwrap();
    let refused = loop {
        if let Err(error) = queue.push(&vec![7; payload_len]) {
            break error;
        }
    };
    assert!(matches!(refused, example_queue::Error::Full { .. }), "{refused}");
    let count = queue.stats().unwrap().pushed;
    // Half of them are given back with a long reason, half are given up by leases that run out.
    for n in 0..count {
        let job = queue.take(0, 1).unwrap().unwrap();
        if n % 2 == 0 {
            queue.nack(job.receipt(), 0, &"reason".repeat(100), 1).unwrap();
        }
    }
    assert_eq!(queue.take(0, 2).unwrap(), None);
    assert_eq!(queue.stats().unwrap().dead, count);
    let reasons: Vec<String> = queue.dead().unwrap().into_iter().map(|dead| dead.reason).collect();
    assert!(reasons[0].starts_with("reasonreason") && reasons[0].len() <= 120, "{reasons:?}");
    assert!(reasons.get(1).is_none_or(|reason| reason == "the lease ran out"), "{reasons:?}");
    for id in 1..=count {
        queue.discard(id).unwrap();
    }
    assert_eq!(queue.push(b"again").unwrap(), count + 1);
    assert_eq!(queue.check().unwrap(), Vec::<String>::new());
}

#[test]
fn a_full_queue_refuses_to_push_and_goes_on_with_all_else() {
    for payload_len in [0, 100, 1000, 2100, 5000, 40_000] {
        fill_and_drain(payload_len);
    }
}
