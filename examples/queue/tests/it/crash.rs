//! Every crash of the queue's transactions: each is there wholly or not at all.

use crash_sim::{Campaign, Model as Crashes, Sim};
use example_queue::Queue;

use crate::model::{ATTEMPTS_MAX, Model, Operation, apply};

/// What is done, one after the other, at times that are five apart.
const HISTORY: [Operation; 14] = [
    Operation::Push(1),
    Operation::Push(77),
    Operation::Take(5),
    Operation::Nack(1, 0),
    Operation::Take(5),
    Operation::Take(5), // The lease ran out: the third attempt.
    Operation::Take(9),
    Operation::Extend(2, 50),
    Operation::Take(5), // Nothing but to bury the first.
    Operation::Requeue(1),
    Operation::Take(5),
    Operation::Ack(1, Some(1)),
    Operation::Push(3),
    Operation::Ack(2, None),
];

fn campaign() -> Campaign<Queue<Sim>> {
    let now = |n: usize| 1000 + 5 * n as u64;
    Campaign::new("queue", 256 << 10)
        .create(|sim| Queue::create_on(sim, ATTEMPTS_MAX))
        .open(|sim| Queue::open_on(sim, ATTEMPTS_MAX))
        .operations(HISTORY.len(), move |queue, n| apply(queue, HISTORY[n], now(n)).map(drop))
        .model(
            Vec::new(),
            move |view, n| {
                let mut model = Model::default();
                (0..=n).for_each(|n| drop(model.apply(HISTORY[n], now(n))));
                *view = model.view();
            },
            |queue| {
                assert_eq!(queue.check().unwrap(), Vec::<String>::new());
                queue.jobs().unwrap()
            },
        )
}

#[test]
fn the_history_comes_to_each_kind_of_change() {
    let mut model = Model::default();
    let done: Vec<String> =
        (0..).zip(HISTORY).map(|(n, operation)| model.apply(operation, 1000 + 5 * n)).collect();
    for (n, part) in
        [(3, "Again"), (5, "taken 1 3"), (8, "nothing"), (9, "requeued"), (10, "taken 1 1"), (11, "acked")]
    {
        assert!(done[n].starts_with(part), "{done:?}");
    }
    assert_eq!(model.view().len(), 1);
}

#[test]
fn a_killed_process_leaves_whole_transactions() {
    campaign().images_max(1500).explore(Crashes::Coherent).assert();
}

#[test]
fn a_power_cut_leaves_whole_transactions() {
    campaign().lazy().images_max(800).explore(Crashes::Adr).assert();
}
