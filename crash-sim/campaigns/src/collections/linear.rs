//! Vectors, queues, slabs, strings, cells and options: each of their operations, crashed everywhere. Start at [`all`].

use crash_sim::Sim;
use vista::{PBytes, PCell, POption, PSlab, PString, PVec, PVecDeque, Persistent, Transaction};

use super::{Scenario, Step, Subject, commit};

/// One of each, of plain elements, and some whose elements own memory.
#[derive(Clone, Copy, Persistent)]
#[repr(C)]
pub struct Root {
    vec: PVec<u64>,
    words: PVec<PString>,
    deque: PVecDeque<u64>,
    slab: PSlab<u64>,
    slab_of_words: PSlab<PString>,
    bytes: PBytes,
    text: PString,
    cell: PCell<u64>,
    option: POption<u64>,
    option_of_words: POption<PString>,
}

type Tx<'s> = Transaction<'s, Root, Sim>;

/// All of them.
pub fn all() -> Vec<Scenario<Root>> {
    vec![
        vec_push_and_pop(),
        vec_grow(),
        vec_in_the_middle(),
        vec_cut(),
        vec_of_words(),
        deque_push_and_pop(),
        deque_grow(),
        deque_in_the_middle(),
        deque_cut(),
        slab_insert_and_remove(),
        slab_grow(),
        slab_cut(),
        slab_of_words(),
        bytes_push_and_pop(),
        bytes_grow(),
        bytes_in_the_middle(),
        bytes_cut(),
        text(),
        cell(),
        option(),
        option_of_words(),
    ]
}

fn scenario(name: &'static str, fill: Step<Root>, operations: &[Step<Root>]) -> Scenario<Root> {
    Scenario { name, fill, operations: operations.to_vec(), content }
}

/// All that is there, as text.
fn content(subject: &Subject<Root>) -> vista::Result<String> {
    let root = subject.root()?;
    let words = |words: &mut dyn Iterator<Item = &PString>| -> vista::Result<Vec<String>> {
        words.map(|word| Ok(word.as_str(subject)?.to_owned())).collect()
    };
    let vec = root.vec.as_slice(subject)?;
    let words_of_vec = words(&mut root.words.iter(subject)?)?;
    let deque: Vec<_> = root.deque.iter(subject)?.collect();
    let slab: Vec<_> = root.slab.iter(subject)?.collect();
    let words_of_slab = words(&mut root.slab_of_words.iter(subject)?.map(|(_, word)| word))?;
    // The next id is part of what a slab holds: the list of free slots has an order.
    let ids = (root.slab.vacant_key(subject)?, root.slab_of_words.vacant_key(subject)?);
    let (bytes, text) = (root.bytes.as_slice(subject)?, root.text.as_str(subject)?);
    let cell = if root.cell.is_null() { None } else { Some(root.cell.get(subject)?) };
    let (option, word) =
        (root.option.get(subject)?, words(&mut root.option_of_words.get(subject)?.into_iter())?);
    Ok(format!(
        "{vec:?} {words_of_vec:?} {deque:?} {slab:?} {words_of_slab:?} {ids:?} {bytes:?} {text:?} {cell:?} {option:?} \
         {word:?}"
    ))
}

/// A transaction on one collection of the root.
macro_rules! on {
    ($subject:ident, $field:ident: |$tx:ident| $body:expr) => {
        commit($subject, |$tx| {
            let $field = $tx.root().$field;
            $body
        })
    };
}

/// Does something, and takes it back, in the middle of a transaction.
fn in_vain(tx: &mut Tx<'_>, f: impl FnOnce(&mut Tx<'_>) -> vista::Result<()>) -> vista::Result<()> {
    let savepoint = tx.savepoint()?;
    f(tx)?;
    tx.rollback_to(&savepoint)
}

/// A vector of three elements in memory for four.
fn a_vec(subject: &mut Subject<Root>) {
    commit(subject, |tx| {
        let vec = PVec::with_capacity(tx, 4)?;
        vec.extend_from_slice(tx, &[1, 2, 3])?;
        tx.root_mut()?.vec = vec;
        Ok(())
    });
}

/// Onto a place that is spare, onto one that an element left in the same transaction, and onto one that is spare again
/// behind a savepoint.
fn vec_push_and_pop() -> Scenario<Root> {
    scenario(
        "vec-push-and-pop",
        a_vec,
        &[
            |s| on!(s, vec: |tx| vec.push(tx, 4)),
            |s| {
                on!(s, vec: |tx| {
                    vec.pop(tx)?;
                    vec.pop(tx)?;
                    vec.push(tx, 5)?;
                    in_vain(tx, |tx| {
                        vec.push(tx, 6)?;
                        vec.pop(tx)?;
                        vec.pop(tx)?;
                        vec.push(tx, 7)
                    })
                })
            },
            |s| on!(s, vec: |tx| vec.push(tx, 8)),
            |s| on!(s, vec: |tx| vec.pop(tx).map(drop)),
        ],
    )
}

fn vec_grow() -> Scenario<Root> {
    scenario(
        "vec-grow",
        a_vec,
        &[
            |s| on!(s, vec: |tx| vec.extend(tx, [4, 5])),
            |s| {
                on!(s, vec: |tx| {
                    in_vain(tx, |tx| vec.reserve(tx, 20))?;
                    vec.shrink_to_fit(tx)?;
                    vec.push(tx, 6)
                })
            },
            |s| on!(s, vec: |tx| vec.shrink_to_fit(tx)),
        ],
    )
}

fn vec_in_the_middle() -> Scenario<Root> {
    scenario(
        "vec-in-the-middle",
        a_vec,
        &[
            |s| on!(s, vec: |tx| vec.insert(tx, 1, 10)),
            |s| on!(s, vec: |tx| vec.remove(tx, 0).map(drop)),
            |s| on!(s, vec: |tx| vec.swap_remove(tx, 0).map(drop)),
            |s| {
                on!(s, vec: |tx| {
                    vec.set(tx, 0, 11)?;
                    vec.swap(tx, 0, 1)?;
                    Ok(*vec.get_mut(tx, 1)?.expect("two elements") += 1)
                })
            },
        ],
    )
}

fn vec_cut() -> Scenario<Root> {
    scenario(
        "vec-cut",
        a_vec,
        &[
            |s| on!(s, vec: |tx| vec.truncate(tx, 2)),
            |s| {
                on!(s, vec: |tx| {
                    vec.clear(tx)?;
                    vec.extend_from_slice(tx, &[20, 21, 22, 23])
                })
            },
            |s| on!(s, vec: |tx| vec.retain(tx, |n| n % 2 == 1)),
            |s| on!(s, vec: |tx| vec.drain(tx, ..1).map(drop)),
            |s| on!(s, vec: |tx| vec.clear(tx)),
        ],
    )
}

/// Elements that own memory: appended, released with others, and with the vector.
fn vec_of_words() -> Scenario<Root> {
    scenario(
        "vec-of-words",
        |s| commit(s, |tx| Ok(tx.root_mut()?.words = PVec::new(tx)?)),
        &[
            |s| {
                on!(s, words: |tx| {
                    for word in ["one", "another that is longer"] {
                        let word = PString::new(tx, word)?;
                        words.push(tx, word)?;
                    }
                    Ok(())
                })
            },
            |s| on!(s, words: |tx| words.truncate(tx, 1)),
            |s| {
                on!(s, words: |tx| {
                    tx.root_mut()?.words = PVec::null();
                    tx.release(words)
                })
            },
        ],
    )
}

/// Three elements round the end of a ring of four places.
fn a_deque(subject: &mut Subject<Root>) {
    commit(subject, |tx| {
        let deque = PVecDeque::with_capacity(tx, 4)?;
        deque.extend(tx, [2, 3])?;
        deque.push_front(tx, 1)?;
        tx.root_mut()?.deque = deque;
        Ok(())
    });
}

fn deque_push_and_pop() -> Scenario<Root> {
    scenario(
        "deque-push-and-pop",
        a_deque,
        &[
            |s| on!(s, deque: |tx| deque.push_back(tx, 4)),
            |s| {
                on!(s, deque: |tx| {
                    deque.pop_front(tx)?;
                    deque.push_back(tx, 5)?;
                    in_vain(tx, |tx| {
                        deque.pop_back(tx)?;
                        deque.pop_back(tx)?;
                        deque.push_front(tx, 6)?;
                        deque.push_front(tx, 7)
                    })
                })
            },
            |s| on!(s, deque: |tx| deque.pop_back(tx).map(drop)),
            |s| on!(s, deque: |tx| deque.push_front(tx, 8)),
            |s| on!(s, deque: |tx| deque.pop_front(tx).map(drop)),
        ],
    )
}

fn deque_grow() -> Scenario<Root> {
    scenario(
        "deque-grow",
        a_deque,
        &[
            |s| on!(s, deque: |tx| deque.extend(tx, [4, 5])),
            |s| on!(s, deque: |tx| deque.make_contiguous(tx).map(|all| all.reverse())),
            |s| {
                on!(s, deque: |tx| {
                    deque.truncate(tx, 2)?;
                    in_vain(tx, |tx| deque.extend_from_slice(tx, &[9; 8]))?;
                    deque.shrink_to_fit(tx)?;
                    deque.push_front(tx, 6)
                })
            },
        ],
    )
}

fn deque_in_the_middle() -> Scenario<Root> {
    scenario(
        "deque-in-the-middle",
        a_deque,
        &[
            |s| on!(s, deque: |tx| deque.insert(tx, 1, 10)),
            |s| on!(s, deque: |tx| deque.remove(tx, 2).map(drop)),
            |s| on!(s, deque: |tx| deque.rotate_left(tx, 1)),
            |s| {
                on!(s, deque: |tx| {
                    deque.push_back(tx, 11)?;
                    deque.rotate_right(tx, 1)?; // No place is free.
                    deque.set(tx, 1, 12)?;
                    deque.swap(tx, 0, 2)?;
                    Ok(*deque.back_mut(tx)?.expect("four elements") += 1)
                })
            },
        ],
    )
}

fn deque_cut() -> Scenario<Root> {
    scenario(
        "deque-cut",
        a_deque,
        &[
            |s| on!(s, deque: |tx| deque.truncate(tx, 2)),
            |s| {
                on!(s, deque: |tx| {
                    deque.clear(tx)?;
                    deque.extend_from_slice(tx, &[20, 21, 22, 23])
                })
            },
            |s| on!(s, deque: |tx| deque.retain(tx, |n| n % 2 == 1)),
            |s| on!(s, deque: |tx| deque.drain(tx, ..1).map(drop)),
            |s| on!(s, deque: |tx| deque.clear(tx)),
        ],
    )
}

/// Three values in slots for four, the middle one removed.
fn a_slab(subject: &mut Subject<Root>) {
    commit(subject, |tx| {
        let slab = PSlab::with_capacity(tx, 4)?;
        for value in [1, 2, 3] {
            slab.insert(tx, value)?;
        }
        slab.remove(tx, 1)?;
        tx.root_mut()?.slab = slab;
        Ok(())
    });
}

/// Into the free slot, into one that was never used, and into those that were left in the same transaction.
fn slab_insert_and_remove() -> Scenario<Root> {
    scenario(
        "slab-insert-and-remove",
        a_slab,
        &[
            |s| on!(s, slab: |tx| slab.insert(tx, 4).map(drop)),
            |s| on!(s, slab: |tx| slab.insert(tx, 5).map(drop)),
            |s| {
                on!(s, slab: |tx| {
                    slab.remove(tx, 0)?;
                    slab.remove(tx, 3)?;
                    slab.insert(tx, 6)?;
                    in_vain(tx, |tx| {
                        slab.remove(tx, 1)?;
                        slab.insert(tx, 7)?;
                        slab.insert(tx, 8).map(drop)
                    })
                })
            },
            |s| on!(s, slab: |tx| Ok(*slab.get_mut(tx, 2)?.expect("a value") += 1)),
            |s| on!(s, slab: |tx| slab.remove(tx, 2).map(drop)),
        ],
    )
}

fn slab_grow() -> Scenario<Root> {
    scenario(
        "slab-grow",
        a_slab,
        &[
            |s| on!(s, slab: |tx| (4..7).try_for_each(|value| slab.insert(tx, value).map(drop))),
            |s| {
                on!(s, slab: |tx| {
                    in_vain(tx, |tx| slab.reserve(tx, 20))?;
                    slab.remove(tx, 4)?;
                    slab.reserve(tx, 10)?;
                    slab.insert(tx, 7).map(drop)
                })
            },
        ],
    )
}

fn slab_cut() -> Scenario<Root> {
    scenario(
        "slab-cut",
        a_slab,
        &[
            |s| on!(s, slab: |tx| slab.retain(tx, |id, _| id != 0)),
            |s| {
                on!(s, slab: |tx| {
                    slab.clear(tx)?;
                    // Slots 0 to 2 have held something, 3 has not.
                    (10..14).try_for_each(|value| slab.insert(tx, value).map(drop))
                })
            },
            |s| on!(s, slab: |tx| slab.drain(tx).map(drop)),
            |s| on!(s, slab: |tx| slab.insert(tx, 15).map(drop)),
        ],
    )
}

fn slab_of_words() -> Scenario<Root> {
    scenario(
        "slab-of-words",
        |s| commit(s, |tx| Ok(tx.root_mut()?.slab_of_words = PSlab::new(tx)?)),
        &[
            |s| {
                on!(s, slab_of_words: |tx| {
                    for word in ["one", "another that is longer"] {
                        let word = PString::new(tx, word)?;
                        slab_of_words.insert(tx, word)?;
                    }
                    Ok(())
                })
            },
            |s| {
                on!(s, slab_of_words: |tx| {
                    let word = slab_of_words.remove(tx, 0)?;
                    tx.release(word)
                })
            },
            |s| on!(s, slab_of_words: |tx| slab_of_words.clear(tx)),
        ],
    )
}

/// Fourteen bytes behind a header, with room for two more.
fn some_bytes(subject: &mut Subject<Root>) {
    commit(subject, |tx| {
        let bytes = PBytes::new(tx)?;
        bytes.extend_from_slice(tx, b"fourteen bytes")?;
        tx.root_mut()?.bytes = bytes;
        Ok(())
    });
}

fn bytes_push_and_pop() -> Scenario<Root> {
    scenario(
        "bytes-push-and-pop",
        some_bytes,
        &[
            |s| on!(s, bytes: |tx| bytes.push(tx, b'1')),
            |s| {
                on!(s, bytes: |tx| {
                    bytes.pop(tx)?;
                    bytes.pop(tx)?;
                    bytes.push(tx, b'2')?;
                    in_vain(tx, |tx| {
                        bytes.truncate(tx, 3)?;
                        bytes.extend_from_slice(tx, b"345")
                    })
                })
            },
            |s| on!(s, bytes: |tx| bytes.pop(tx).map(drop)),
        ],
    )
}

/// Out of the block with the header, to a larger one, and back again.
fn bytes_grow() -> Scenario<Root> {
    scenario(
        "bytes-grow",
        some_bytes,
        &[
            |s| on!(s, bytes: |tx| bytes.extend_from_slice(tx, b" and more")),
            |s| {
                on!(s, bytes: |tx| {
                    in_vain(tx, |tx| bytes.set(tx, &[b'x'; 70]))?;
                    bytes.reserve(tx, 30)
                })
            },
            |s| {
                on!(s, bytes: |tx| {
                    bytes.truncate(tx, 15)?;
                    bytes.shrink_to_fit(tx)?;
                    bytes.push(tx, b'!')
                })
            },
            |s| on!(s, bytes: |tx| bytes.set(tx, b"seventeen bytes..")),
        ],
    )
}

fn bytes_in_the_middle() -> Scenario<Root> {
    scenario(
        "bytes-in-the-middle",
        some_bytes,
        &[
            |s| on!(s, bytes: |tx| bytes.insert_slice(tx, 3, b"--")),
            |s| on!(s, bytes: |tx| bytes.drain(tx, 1..7).map(drop)),
            |s| on!(s, bytes: |tx| bytes.as_mut_slice(tx).map(|all| all.reverse())),
            |s| on!(s, bytes: |tx| bytes.set(tx, b"others")),
        ],
    )
}

fn bytes_cut() -> Scenario<Root> {
    scenario(
        "bytes-cut",
        some_bytes,
        &[
            |s| on!(s, bytes: |tx| bytes.truncate(tx, 10)),
            |s| {
                on!(s, bytes: |tx| {
                    bytes.clear(tx)?;
                    bytes.resize(tx, 12, b'y')
                })
            },
            |s| on!(s, bytes: |tx| bytes.clear(tx)),
        ],
    )
}

fn text() -> Scenario<Root> {
    scenario(
        "text",
        |s| commit(s, |tx| Ok(tx.root_mut()?.text = PString::new(tx, "Grüße")?)),
        &[
            |s| on!(s, text: |tx| text.push_str(tx, " aus Köln")),
            |s| {
                on!(s, text: |tx| {
                    text.pop(tx)?;
                    text.push(tx, 'n')?;
                    text.insert_str(tx, 2, "ü")?;
                    text.remove(tx, 4).map(drop)
                })
            },
            |s| {
                on!(s, text: |tx| {
                    text.truncate(tx, 4)?;
                    text.shrink_to_fit(tx)
                })
            },
        ],
    )
}

fn cell() -> Scenario<Root> {
    scenario(
        "cell",
        |s| commit(s, |tx| Ok(tx.root_mut()?.cell = PCell::new(tx, 1)?)),
        &[
            |s| on!(s, cell: |tx| cell.set(tx, 2)),
            |s| {
                on!(s, cell: |tx| {
                    cell.update(tx, |n| n + 1)?;
                    in_vain(tx, |tx| cell.take(tx).map(drop))?;
                    Ok(*cell.get_mut(tx)? += 1)
                })
            },
            |s| {
                on!(s, cell: |tx| {
                    let value = cell.into_inner(tx)?;
                    tx.root_mut()?.cell = PCell::new(tx, value + 1)?;
                    Ok(())
                })
            },
        ],
    )
}

/// A value that is taken and stored again in one transaction has to be logged, though there was none for a while.
fn option() -> Scenario<Root> {
    scenario(
        "option",
        |s| commit(s, |tx| Ok(tx.root_mut()?.option = POption::some(tx, 1)?)),
        &[
            |s| {
                on!(s, option: |tx| {
                    option.take(tx)?;
                    option.replace(tx, 2).map(drop)
                })
            },
            |s| on!(s, option: |tx| option.take(tx).map(drop)),
            |s| {
                on!(s, option: |tx| {
                    in_vain(tx, |tx| option.set(tx, Some(3)).map(drop))?;
                    Ok(*option.get_or_insert(tx, 4)? += 1)
                })
            },
        ],
    )
}

fn option_of_words() -> Scenario<Root> {
    scenario(
        "option-of-words",
        |s| commit(s, |tx| Ok(tx.root_mut()?.option_of_words = POption::none(tx)?)),
        &[
            |s| {
                on!(s, option_of_words: |tx| {
                    option_of_words.get_or_insert_with(tx, |tx| PString::new(tx, "one")).map(drop)
                })
            },
            |s| {
                on!(s, option_of_words: |tx| {
                    let other = PString::new(tx, "another")?;
                    option_of_words.insert(tx, other).map(drop)
                })
            },
            |s| on!(s, option_of_words: |tx| option_of_words.clear(tx)),
        ],
    )
}
