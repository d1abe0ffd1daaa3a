//! Hash maps: insertions, removals, growth in each of its phases, all crashed. Start at [`all`].

use std::collections::BTreeMap;

use crash_sim::Sim;
use vista::{PHashMap, PString, PVec, Persistent, Transaction};

use super::{Scenario, Step, Subject, commit};

/// A map of plain numbers, and one whose keys and values own memory.
#[derive(Clone, Copy, Persistent)]
#[repr(C)]
pub struct Root {
    numbers: PHashMap<u64, u64>,
    words: PHashMap<PString, PVec<u32>>,
}

type Tx<'s> = Transaction<'s, Root, Sim>;

/// All of them.
pub fn all() -> Vec<Scenario<Root>> {
    vec![
        insert(),
        remove(),
        words(),
        growth(),
        growth_in_one_transaction(),
        removals_while_growing(),
        purge(),
        slots_used_again_and_rolled_back(),
        clear(),
        reserve_and_shrink(),
    ]
}

fn scenario(name: &'static str, fill: Step<Root>, operations: &[Step<Root>]) -> Scenario<Root> {
    Scenario { name, fill, operations: operations.to_vec(), content }
}

fn content(subject: &Subject<Root>) -> vista::Result<String> {
    let root = subject.root()?;
    let numbers: BTreeMap<_, _> = root.numbers.iter(subject)?.collect();
    let mut words = BTreeMap::new();
    for (key, value) in root.words.iter(subject)? {
        words.insert(key.as_str(subject)?, value.as_slice(subject)?);
    }
    // Searches agree with the walk.
    for (&&key, value) in &numbers {
        assert_eq!(root.numbers.get(subject, key)?, Some(*value));
    }
    for (&key, &value) in &words {
        assert_eq!(root.words.get(subject, key)?.expect("a key of the map").as_slice(subject)?, value);
    }
    assert_eq!(root.numbers.len(subject)?, numbers.len());
    Ok(format!("{numbers:?} {words:?}"))
}

/// Makes the map of numbers, with so many of them.
fn numbers(subject: &mut Subject<Root>, count: u64) {
    commit(subject, |tx| {
        let numbers = PHashMap::with_seed(tx, 1)?;
        tx.root_mut()?.numbers = numbers;
        numbers.extend(tx, (0..count).map(|n| (n, n)))
    });
}

/// As many entries as a table of two groups takes before it grows.
fn a_full_table(subject: &mut Subject<Root>) {
    numbers(subject, 12);
}

fn with_numbers(
    subject: &mut Subject<Root>,
    f: impl FnOnce(&mut Tx<'_>, PHashMap<u64, u64>) -> vista::Result<()>,
) {
    commit(subject, |tx| {
        let map = tx.root().numbers;
        f(tx, map)
    });
}

fn add(subject: &mut Subject<Root>, key: u64) {
    with_numbers(subject, |tx, map| map.insert(tx, key, key).map(drop));
}

fn take(subject: &mut Subject<Root>, key: u64) {
    with_numbers(subject, |tx, map| map.remove(tx, key).map(drop));
}

fn insert() -> Scenario<Root> {
    scenario(
        "hash-map-insert",
        |s| numbers(s, 0),
        &[
            |s| add(s, 1), // The first table.
            |s| add(s, 2),
            |s| with_numbers(s, |tx, map| map.insert(tx, 1, 11).map(drop)),
            |s| with_numbers(s, |tx, map| Ok(*map.entry(tx, 3)?.or_insert(30)? += 3)),
        ],
    )
}

fn remove() -> Scenario<Root> {
    scenario(
        "hash-map-remove",
        |s| numbers(s, 4),
        &[
            |s| take(s, 1),
            |s| add(s, 5), // Where the one was that was removed.
            |s| {
                with_numbers(s, |tx, map| {
                    map.remove(tx, 2)?;
                    map.insert(tx, 6, 6)?;
                    map.remove(tx, 6)?;
                    map.insert(tx, 7, 7).map(drop)
                })
            },
            |s| {
                with_numbers(s, |tx, map| {
                    map.retain(tx, |key, value| {
                        *value += 1;
                        *key > 3
                    })
                })
            },
        ],
    )
}

fn words() -> Scenario<Root> {
    fn with_words(
        subject: &mut Subject<Root>,
        f: impl FnOnce(&mut Tx<'_>, PHashMap<PString, PVec<u32>>) -> vista::Result<()>,
    ) {
        commit(subject, |tx| {
            let map = tx.root().words;
            f(tx, map)
        });
    }
    scenario(
        "hash-map-words",
        |s| {
            commit(s, |tx| {
                let words = PHashMap::with_seed(tx, 2)?;
                tx.root_mut()?.words = words;
                let list = PVec::from_slice(tx, &[1, 2])?;
                words.insert(tx, "first", list).map(drop)
            });
        },
        &[
            |s| {
                with_words(s, |tx, map| {
                    let list = *map.entry(tx, "second")?.or_insert_with(PVec::new)?;
                    list.push(tx, 3)
                })
            },
            |s| {
                with_words(s, |tx, map| match map.remove(tx, "first")? {
                    Some(list) => tx.release(list),
                    None => Ok(()),
                })
            },
            |s| with_words(s, |tx, map| map.clear(tx)),
        ],
    )
}

/// Each phase of a growth has transactions of its own: two that clean, two that move.
fn growth() -> Scenario<Root> {
    scenario(
        "hash-map-growth",
        a_full_table,
        &[|s| add(s, 100), |s| add(s, 101), |s| add(s, 102), |s| add(s, 103), |s| add(s, 104)],
    )
}

/// The whole of it in one transaction, of which a part is rolled back and done again, and then in another one that
/// aborts.
fn growth_in_one_transaction() -> Scenario<Root> {
    fn add_all(tx: &mut Tx<'_>, keys: std::ops::Range<u64>) -> vista::Result<()> {
        let map = tx.root().numbers;
        map.extend(tx, keys.map(|key| (key, key)))
    }
    scenario(
        "hash-map-growth-in-one",
        a_full_table,
        &[
            |s| {
                let mut tx = s.begin().expect("a transaction");
                add_all(&mut tx, 100..106).expect("there is room");
                tx.abort().expect("an abort");
            },
            |s| {
                commit(s, |tx| {
                    add_all(tx, 200..201)?;
                    let savepoint = tx.savepoint()?;
                    add_all(tx, 300..303)?;
                    tx.rollback_to(&savepoint)?;
                    add_all(tx, 400..404)
                })
            },
        ],
    )
}

fn removals_while_growing() -> Scenario<Root> {
    scenario(
        "hash-map-removals-while-growing",
        |s| {
            a_full_table(s);
            add(s, 100);
        },
        &[
            |s| take(s, 3),
            |s| add(s, 101),
            |s| take(s, 101), // From the new table; moves a group.
            |s| {
                with_numbers(s, |tx, map| {
                    map.insert(tx, 102, 102)?;
                    map.remove(tx, 0).map(drop)
                })
            },
        ],
    )
}

/// A table that is full of removed entries is followed by one of the same size.
fn purge() -> Scenario<Root> {
    scenario(
        "hash-map-purge",
        |s| {
            a_full_table(s);
            for key in 0..9 {
                take(s, key);
            }
            // New keys may take slots of the removed ones; room is used up by those that do not.
            for key in 1000..1003 {
                add(s, key);
            }
        },
        &[|s| add(s, 200), |s| add(s, 201), |s| add(s, 202), |s| add(s, 203), |s| add(s, 204)],
    )
}

/// Slots that are emptied and filled again in a transaction that aborts, and behind a savepoint.
fn slots_used_again_and_rolled_back() -> Scenario<Root> {
    fn exchange(tx: &mut Tx<'_>, keys: std::ops::Range<u64>, by: u64) -> vista::Result<()> {
        let map = tx.root().numbers;
        for key in keys {
            map.remove(tx, key)?;
            map.insert(tx, key + by, key)?;
        }
        Ok(())
    }
    scenario(
        "hash-map-slots-again",
        |s| numbers(s, 4),
        &[
            |s| {
                let mut tx = s.begin().expect("a transaction");
                exchange(&mut tx, 0..3, 100).expect("there is room");
                tx.abort().expect("an abort");
            },
            |s| {
                commit(s, |tx| {
                    exchange(tx, 0..2, 200)?;
                    let savepoint = tx.savepoint()?;
                    exchange(tx, 200..202, 200)?;
                    tx.rollback_to(&savepoint)?;
                    exchange(tx, 200..201, 300)
                })
            },
        ],
    )
}

fn clear() -> Scenario<Root> {
    scenario(
        "hash-map-clear",
        a_full_table,
        &[
            |s| add(s, 100), // Two tables.
            |s| with_numbers(s, |tx, map| map.clear(tx)),
            |s| add(s, 1),
            |s| {
                commit(s, |tx| {
                    let map = std::mem::replace(&mut tx.root_mut()?.numbers, PHashMap::null());
                    tx.release(map)
                })
            },
        ],
    )
}

fn reserve_and_shrink() -> Scenario<Root> {
    scenario(
        "hash-map-reserve",
        |s| numbers(s, 5),
        &[
            |s| with_numbers(s, |tx, map| map.reserve(tx, 20)),
            |s| add(s, 100),
            |s| {
                with_numbers(s, |tx, map| {
                    map.shrink_to_fit(tx)?;
                    map.insert(tx, 101, 101).map(drop)
                })
            },
        ],
    )
}
