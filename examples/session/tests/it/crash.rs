//! Every crash of the store's transactions: each is there wholly or not at all.

use crash_sim::{Campaign, Model as Crashes, Sim};
use example_session::Store;

use crate::model::{LIFETIME, Model, Operation, RATE, apply, client, sessions};

/// What is done, and when.
const HISTORY: [(Operation, u64); 10] = [
    (Operation::Login(1), 1000),
    (Operation::Admit(1), 1001),
    (Operation::Login(2), 1002),
    (Operation::Turn, 1003),
    (Operation::Admit(1), 1004),
    (Operation::Renew(1), 1060),
    (Operation::Logout(1), 1070),
    (Operation::Turn, 1071),
    (Operation::Turn, 1110),
    (Operation::Sweep(2), 1200),
];

fn campaign() -> Campaign<Store<Sim>> {
    let view = |store: &mut Store<Sim>| {
        assert_eq!(store.check().unwrap(), Vec::<String>::new());
        let buckets = [client(1), client(2)].map(|client| store.full_at(client).unwrap());
        (sessions(store), buckets)
    };
    // The model never forgets a bucket; the store does with the third turn, the second behind its latest use.
    let mut model = Model::default();
    let mut states = vec![(model.sessions.clone(), [None, None])];
    for (number, (operation, now)) in HISTORY.into_iter().enumerate() {
        model.apply(operation, now);
        let bucket = model.full_at.get(&client(1)).copied().filter(|_| number < 8);
        states.push((model.sessions.clone(), [bucket, None]));
    }
    Campaign::new("session", 128 << 10)
        .create(|sim| Store::create_on(sim, RATE, LIFETIME, 1))
        .open(|sim| Store::open_on(sim, RATE, LIFETIME))
        .operations(HISTORY.len(), |store, n| apply(store, HISTORY[n].0, HISTORY[n].1).map(drop))
        .check(move |store, expect| expect.one_of(&states, &view(store)))
}

#[test]
fn a_killed_process_leaves_whole_transactions() {
    campaign().images_max(2000).explore(Crashes::Coherent).assert();
}

#[test]
fn a_power_cut_leaves_whole_transactions() {
    campaign().lazy().images_max(1000).explore(Crashes::Adr).assert();
}
