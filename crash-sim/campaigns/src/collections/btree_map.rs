//! B-trees: insertions and removals, with nodes that split, join and collapse on several levels, all crashed. Start at
//! [`all`].

use std::collections::BTreeMap;

use crash_sim::Sim;
use vista::{PBTreeMap, PString, PVec, Persistent, Transaction};

use super::{Scenario, Step, Subject, commit};

/// A key so long that no node has more than seven, and takes no more than a page.
type Wide = [u64; 66];

/// A map of plain numbers, one of small nodes, and one whose keys and values own memory.
#[derive(Clone, Copy, Persistent)]
#[repr(C)]
pub struct Root {
    numbers: PBTreeMap<u64, u64>,
    wide: PBTreeMap<Wide, u64>,
    words: PBTreeMap<PString, PVec<u32>>,
}

type Tx<'s> = Transaction<'s, Root, Sim>;

/// All of them.
pub fn all() -> Vec<Scenario<Root>> {
    vec![
        insert(),
        remove(),
        slots_used_again_and_rolled_back(),
        leaf_split(),
        leaf_split_in_vain(),
        inner_split(),
        root_split(),
        merge(),
        collapse(),
        words(),
        many(),
        clear(),
    ]
}

fn scenario(name: &'static str, fill: Step<Root>, operations: &[Step<Root>]) -> Scenario<Root> {
    Scenario { name, fill, operations: operations.to_vec(), content }
}

fn content(subject: &Subject<Root>) -> vista::Result<String> {
    let root = subject.root()?;
    let mut numbers = BTreeMap::new();
    for entry in root.numbers.iter(subject)? {
        let (key, value) = entry?;
        assert_eq!(root.numbers.get(subject, key)?, Some(value), "a search agrees with the walk");
        numbers.insert(key, value);
    }
    let mut wide = BTreeMap::new();
    for entry in root.wide.iter(subject)? {
        let (key, value) = entry?;
        assert_eq!(root.wide.get(subject, key)?, Some(value), "a search agrees with the walk");
        wide.insert(key[65], value);
    }
    let mut words = BTreeMap::new();
    for entry in root.words.iter(subject)?.rev() {
        let (key, value) = entry?;
        words.insert(key.as_str(subject)?, value.as_slice(subject)?);
    }
    Ok(format!("{numbers:?} {wide:?} {words:?}"))
}

/// Makes the map of numbers, with those from 0 on.
fn numbers(subject: &mut Subject<Root>, count: u64) {
    commit(subject, |tx| {
        let numbers = PBTreeMap::new(tx)?;
        tx.root_mut()?.numbers = numbers;
        numbers.extend(tx, (0..count).map(|n| (n, n)))
    });
}

/// Makes the map of small nodes, with every tenth number: those that ascend fill nodes wholly.
fn wide(subject: &mut Subject<Root>, count: u64) {
    commit(subject, |tx| {
        let wide = PBTreeMap::new(tx)?;
        tx.root_mut()?.wide = wide;
        wide.extend(tx, (0..count).map(|n| ([10 * n; 66], n)))
    });
}

/// A transaction on the map of numbers.
fn with_numbers(
    subject: &mut Subject<Root>,
    f: impl FnOnce(&mut Tx<'_>, PBTreeMap<u64, u64>) -> vista::Result<()>,
) {
    commit(subject, |tx| {
        let map = tx.root().numbers;
        f(tx, map)
    });
}

/// A transaction on the map of small nodes.
fn with_wide(
    subject: &mut Subject<Root>,
    f: impl FnOnce(&mut Tx<'_>, PBTreeMap<Wide, u64>) -> vista::Result<()>,
) {
    commit(subject, |tx| {
        let map = tx.root().wide;
        f(tx, map)
    });
}

fn add(subject: &mut Subject<Root>, key: u64) {
    with_wide(subject, |tx, map| map.insert(tx, [key; 66], key).map(drop));
}

fn take(subject: &mut Subject<Root>, keys: &[u64]) {
    with_wide(subject, |tx, map| keys.iter().try_for_each(|&key| map.remove(tx, [key; 66]).map(drop)));
}

/// Does something, and takes it back, in the middle of a transaction.
fn in_vain(tx: &mut Tx<'_>, f: impl FnOnce(&mut Tx<'_>) -> vista::Result<()>) -> vista::Result<()> {
    let savepoint = tx.savepoint()?;
    f(tx)?;
    tx.rollback_to(&savepoint)
}

fn insert() -> Scenario<Root> {
    scenario(
        "btree-map-insert",
        |s| numbers(s, 0),
        &[
            |s| with_numbers(s, |tx, map| map.insert(tx, 5, 5).map(drop)), // The first leaf.
            |s| with_numbers(s, |tx, map| map.insert(tx, 3, 3).map(drop)),
            |s| with_numbers(s, |tx, map| map.insert(tx, 5, 55).map(drop)),
            |s| with_numbers(s, |tx, map| Ok(*map.entry(tx, 4)?.or_insert(40)? += 4)),
        ],
    )
}

fn remove() -> Scenario<Root> {
    scenario(
        "btree-map-remove",
        |s| numbers(s, 4),
        &[
            |s| with_numbers(s, |tx, map| map.remove(tx, 1).map(drop)),
            |s| with_numbers(s, |tx, map| map.pop_first(tx).map(drop)),
            |s| {
                with_numbers(s, |tx, map| {
                    map.pop_last(tx)?;
                    map.pop_last(tx).map(drop) // The leaf goes.
                })
            },
            |s| with_numbers(s, |tx, map| map.insert(tx, 9, 9).map(drop)),
        ],
    )
}

/// A leaf all of whose slots have held something: an entry stands where another one was, that was removed in the same
/// transaction, or behind the same savepoint.
fn slots_used_again_and_rolled_back() -> Scenario<Root> {
    scenario(
        "btree-map-slots-again",
        |s| wide(s, 7),
        &[
            |s| {
                with_wide(s, |tx, map| {
                    map.remove(tx, [30; 66])?;
                    map.insert(tx, [35; 66], 35)?;
                    in_vain(tx, |tx| {
                        map.remove(tx, [35; 66])?;
                        map.remove(tx, [10; 66])?;
                        map.insert(tx, [36; 66], 36).map(drop)
                    })?;
                    map.remove(tx, [0; 66])?;
                    map.insert(tx, [5; 66], 5).map(drop)
                });
            },
            |s| {
                let mut tx = s.begin().expect("a segment that is sound");
                let map = tx.root().wide;
                let done = map.remove(&mut tx, [60; 66]).and_then(|_| map.insert(&mut tx, [61; 66], 61));
                done.expect("there is room");
                tx.abort().expect("a log that is whole");
            },
            |s| add(s, 62),
        ],
    )
}

fn leaf_split() -> Scenario<Root> {
    scenario(
        "btree-map-leaf-split",
        |s| wide(s, 7),
        &[
            |s| add(s, 25), // In the middle: a leaf on the right, and a root above both.
            |s| add(s, 100),
            |s| add(s, 110),
            |s| add(s, 120), // At the end.
            |s| add(s, 130),
        ],
    )
}

fn leaf_split_in_vain() -> Scenario<Root> {
    scenario(
        "btree-map-split-in-vain",
        |s| wide(s, 14),
        &[
            |s| {
                with_wide(s, |tx, map| {
                    in_vain(tx, |tx| map.insert(tx, [25; 66], 25).map(drop))?;
                    map.insert(tx, [26; 66], 26)?;
                    in_vain(tx, |tx| {
                        (0..7).try_for_each(|n| map.remove(tx, [10 * n; 66]).map(drop))?;
                        map.insert(tx, [27; 66], 27).map(drop)
                    })
                });
            },
            |s| {
                let mut tx = s.begin().expect("a segment that is sound");
                let map = tx.root().wide;
                map.insert(&mut tx, [95; 66], 95).expect("there is room");
                tx.abort().expect("a log that is whole");
            },
        ],
    )
}

/// Seven full leaves under one node, of which one splits, and so does the node.
fn inner_split() -> Scenario<Root> {
    scenario("btree-map-inner-split", |s| wide(s, 49), &[|s| add(s, 155), |s| add(s, 435), |s| add(s, 5)])
}

/// The same at the end: the new nodes have one entry, and the old ones stay as they are.
fn root_split() -> Scenario<Root> {
    scenario(
        "btree-map-root-split",
        |s| wide(s, 49),
        &[|s| add(s, 500), |s| add(s, 495), |s| take(s, &[500, 495])],
    )
}

/// Leaves with few entries are joined with the one on the left, the one on the right, or not at all.
fn merge() -> Scenario<Root> {
    scenario(
        "btree-map-merge",
        |s| wide(s, 28),
        &[
            |s| take(s, &[0, 10, 20, 30, 40]), // The neighbour is full.
            |s| take(s, &[80, 90, 100]),
            |s| take(s, &[60]), // Joined.
            |s| take(s, &[140, 150, 160, 170, 180, 190]),
            |s| take(s, &[200]), // Empty, and gone.
        ],
    )
}

/// Two levels become one, and none.
fn collapse() -> Scenario<Root> {
    scenario(
        "btree-map-collapse",
        |s| {
            wide(s, 50);
            // One after the other, for the log of all of them has no room here.
            (1..50).filter(|n| n % 7 != 0).for_each(|n: u64| take(s, &[10 * n]));
        },
        &[
            |s| take(s, &[350, 420, 490]),
            |s| take(s, &[70, 140, 210]),
            |s| take(s, &[280]),
            |s| take(s, &[0]),
        ],
    )
}

fn words() -> Scenario<Root> {
    fn with_words(
        subject: &mut Subject<Root>,
        f: impl FnOnce(&mut Tx<'_>, PBTreeMap<PString, PVec<u32>>) -> vista::Result<()>,
    ) {
        commit(subject, |tx| {
            let map = tx.root().words;
            f(tx, map)
        });
    }
    scenario(
        "btree-map-words",
        |s| {
            commit(s, |tx| {
                let words = PBTreeMap::new(tx)?;
                tx.root_mut()?.words = words;
                words.extend(tx, (0..32).map(|n| (format!("word {n:02}"), PVec::null())))
            });
        },
        &[
            |s| {
                with_words(s, |tx, map| {
                    let list = PVec::from_slice(tx, &[1, 2])?;
                    map.insert(tx, "word 07 and a half", list).map(drop) // A split, and a separator.
                });
            },
            |s| {
                with_words(s, |tx, map| {
                    let list = map.remove(tx, "word 07 and a half")?.expect("it is there");
                    tx.release(list)
                });
            },
            |s| {
                with_words(s, |tx, map| {
                    map.retain(tx, |_, _| false)?; // All joined, the separators freed.
                    let list = *map.entry(tx, "one")?.or_try_insert_with(PVec::new)?;
                    list.push(tx, 1)
                });
            },
            |s| {
                commit(s, |tx| {
                    let words = tx.root().words;
                    tx.root_mut()?.words = PBTreeMap::null();
                    tx.release(words)
                });
            },
        ],
    )
}

fn many() -> Scenario<Root> {
    scenario(
        "btree-map-many",
        |s| wide(s, 21),
        &[
            |s| {
                with_wide(s, |tx, map| {
                    map.retain(tx, |key, value| {
                        *value += key[0] % 3;
                        key[0] % 40 == 0
                    })
                })
            },
            |s| with_wide(s, |tx, map| map.drain(tx, [50; 66]..[130; 66]).map(drop)),
            |s| with_wide(s, |tx, map| map.extend(tx, (0..6).map(|n| ([37 * n; 66], n)))),
            |s| {
                with_wide(s, |tx, map| {
                    let other = map.split_off(tx, [100; 66])?;
                    other.insert(tx, [50; 66], 1)?;
                    map.append(tx, other)?;
                    tx.release(other)
                });
            },
        ],
    )
}

fn clear() -> Scenario<Root> {
    scenario("btree-map-clear", |s| wide(s, 20), &[|s| with_wide(s, |tx, map| map.clear(tx)), |s| add(s, 1)])
}
