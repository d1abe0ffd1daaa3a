//! Every crash of the index's transactions: a file is in it wholly, or not at all.

use crash_sim::{Campaign, Model as Crashes, Sim};
use example_index::Index;

use crate::model::{Files, Operation, apply, step};

fn history() -> Vec<Operation> {
    vec![
        Operation::Put(1, vec![(1, 1), (2, 3)]),
        Operation::Put(2, vec![(2, 1), (3, 1)]),
        Operation::Put(1, vec![(2, 2), (4, 1)]), // Changed: a word goes, one stays, one comes.
        Operation::Skip(3),
        Operation::Remove(2),
        Operation::Tidy,
        Operation::Put(3, vec![(1, 1), (5, 9)]),
    ]
}

fn campaign() -> Campaign<Index<Sim>> {
    let operations = history();
    let steps = history();
    Campaign::new("index", 256 << 10)
        .create(Index::create_on)
        .open(Index::open_on)
        .operations(operations.len(), move |index, n| apply(index, &operations[n]))
        .model(
            Files::new(),
            move |files, n| step(files, &steps[n]),
            |index| {
                assert_eq!(index.check().unwrap(), Vec::<String>::new());
                index.contents().unwrap()
            },
        )
}

#[test]
fn a_killed_process_leaves_whole_files() {
    campaign().images_max(1500).explore(Crashes::Coherent).assert();
}

#[test]
fn a_power_cut_leaves_whole_files() {
    campaign().lazy().images_max(800).explore(Crashes::Adr).assert();
}
