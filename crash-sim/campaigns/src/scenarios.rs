//! The campaigns over vista: what it does there, transaction by transaction. Start at [`all`].

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use crash_sim::{BoxError, Sim};
use vista::layout::{CLASSES, PAGE_LEN};
use vista::{Error, PPtr, PSlice, Persistent, Segment, Transaction};

/// What all campaigns keep: words, and blocks of several sizes.
#[derive(Clone, Copy, Debug, PartialEq, Persistent)]
#[repr(C)]
pub struct Root {
    words: [u64; 8],
    small: PPtr<[u64; 8]>,
    large: PSlice<u8>,
    spare: [PPtr<[u64; 8]>; 5],
}

/// What is tested.
pub type Subject = Segment<Root, Sim>;

/// One operation.
pub type Operation = Arc<dyn Fn(&mut Subject) -> Result<(), BoxError>>;

type Tx<'s> = Transaction<'s, Root, Sim>;
type Step = fn(&mut Subject);

/// Bytes of a small segment: headers, a log of one page, metadata, one zone.
pub const SMALL: u64 = pages(20);

const fn pages(count: u64) -> u64 {
    count * PAGE_LEN
}

/// A workload.
#[derive(Clone)]
pub struct Scenario {
    /// Its name in reports, replay lines and on the command line.
    pub name: String,
    /// Bytes of the medium at creation.
    pub size: u64,
    /// Bytes to which it may grow.
    pub capacity: u64,
    /// Whether there is something of everything before the first operation.
    pub is_filled: bool,
    /// The operations.
    pub operations: Vec<Operation>,
}

fn scenario(name: &str, steps: &[Step]) -> Scenario {
    let operation = |&step: &Step| -> Operation {
        Arc::new(move |subject| {
            step(subject);
            Ok(())
        })
    };
    let operations = steps.iter().map(operation).collect();
    Scenario { name: name.to_owned(), size: SMALL, capacity: SMALL, is_filled: true, operations }
}

impl Scenario {
    fn growing(mut self, by: u64) -> Self {
        self.capacity = self.size + by;
        self
    }
}

fn commit(segment: &mut Subject, f: impl FnOnce(&mut Tx<'_>) -> Result<(), Error>) {
    segment.transaction(f).unwrap();
}

fn word(tx: &Tx<'_>, index: u64) -> PPtr<u64> {
    PPtr::from_offset(tx.root_ptr().offset() + 8 * index)
}

/// Something of everything.
pub fn fill(segment: &mut Subject) {
    commit(segment, |tx| {
        let small = tx.alloc([1u64; 8])?;
        let large = tx.alloc_slice(&[2u8; 2056])?;
        let mut spare = [PPtr::null(); 5];
        for spare in &mut spare {
            *spare = tx.alloc([3u64; 8])?;
        }
        *tx.root_mut()? = Root { words: [4; 8], small, large, spare };
        Ok(())
    });
}

/// All of them, the short ones first.
pub fn all() -> Vec<Scenario> {
    let mut all = vec![
        debit_credit(),
        nothing(),
        one_range(),
        many_ranges_and_repeated_ones(),
        ranges_lent_together(),
        writes_that_wait_for_a_fence(),
        savepoints(),
        a_batch_in_the_place_of_what_was_rolled_back(),
        a_number_in_use_again(),
        aborts(),
        a_longer_transaction_behind_an_abort(),
        one_allocation(),
        allocations(),
        frees(),
        frees_between_others(),
        frees_and_allocations_in_their_place(),
        transactions_longer_than_their_log(),
        a_log_does_not_grow_into_what_was_freed(),
        growth(),
        growth_in_a_transaction(),
        allocations_where_it_has_grown(),
        panic_in_a_transaction(),
        logged_again_after_a_rollback(),
        another_way_when_opened(),
        empty_and_reading(),
    ];
    all.extend(CLASSES.iter().map(|&len| blocks_of(u64::from(len), 3)));
    all.extend([1, 2, 3].map(|count| blocks_of(count * PAGE_LEN, 2)));
    all.extend((0..6).map(anything));
    all
}

/// The debit-credit transaction: three balances in lines of their own, and a record of what was done, lent together.
pub fn debit_credit() -> Scenario {
    scenario("debit-credit", &[|s| transfer(s, 3), |s| transfer(s, -5)])
}

fn transfer(segment: &mut Subject, amount: i64) {
    commit(segment, |tx| {
        let root = *tx.root();
        let history = PPtr::<[u64; 6]>::from_offset(root.spare[3].offset());
        let balance = |block: PPtr<[u64; 8]>| PPtr::<u64>::from_offset(block.offset());
        let (account, teller, branch, record) = tx.get_disjoint_mut((
            balance(root.spare[0]),
            balance(root.spare[1]),
            balance(root.spare[2]),
            history,
        ))?;
        for it in [account, teller, branch] {
            *it = it.wrapping_add_signed(amount);
        }
        *record = [0, 1, 2, amount as u64, record[4] + 1, 0];
        Ok(())
    });
}

/// A range that was logged behind a savepoint, rolled back, and changed again, in a log so long that ranges are
/// remembered.
fn logged_again_after_a_rollback() -> Scenario {
    scenario(
        "logged-again-after-rollback",
        &[|s| {
            commit(s, |tx| {
                let large = tx.root().large;
                tx.set_range(large.offset(), 600)?.fill(110);
                let savepoint = tx.savepoint()?;
                tx.set_range(large.offset() + 800, 64)?.fill(111);
                tx.rollback_to(&savepoint)?;
                tx.set_range(large.offset() + 800, 64)?.fill(112);
                Ok(())
            })
        }],
    )
}

/// Behind a recovery a program does something else than before it: less of the log is written, so that records which a
/// power cut had torn stay where later ones of the same number are to stand.
fn another_way_when_opened() -> Scenario {
    fn long(tx: &mut Tx<'_>) -> Result<(), Error> {
        tx.set_ranges([5, 6, 7, 1, 2, 3, 0].map(|index| (word(tx, index), 8)))
    }
    fn word(tx: &Tx<'_>, index: u64) -> u64 {
        tx.root_ptr().offset() + 8 * index
    }
    scenario(
        "another-way-when-opened",
        &[
            |s| commit(s, |_| Ok(())),
            |s| {
                // A segment that was just made had nothing to recover, and took no time for it.
                let is_new = s.recovery().duration.is_zero();
                commit(s, |tx| {
                    if is_new {
                        long(tx)?;
                    }
                    tx.write(PPtr::<u64>::from_offset(word(tx, 0)), 120)
                });
            },
            |s| {
                commit(s, |tx| {
                    long(tx)?;
                    tx.write(PPtr::<u64>::from_offset(word(tx, 1)), 121)
                });
            },
        ],
    )
}

/// Nothing at all between creation and close.
fn nothing() -> Scenario {
    Scenario { is_filled: false, ..scenario("nothing", &[]) }
}

/// Transactions that change nothing, or only look, between others.
fn empty_and_reading() -> Scenario {
    scenario(
        "empty-and-reading",
        &[
            |s| commit(s, |tx| Ok(assert_eq!(tx.root().words[0], 4))),
            |s| commit(s, |tx| tx.write(word(tx, 0), 5)),
            |s| drop(s.begin().unwrap()),
            |s| s.begin().unwrap().abort().unwrap(),
            |s| commit(s, |tx| tx.write(word(tx, 0), 6)),
        ],
    )
}

/// A panic unwinds through a transaction, which rolls it back.
fn panic_in_a_transaction() -> Scenario {
    scenario(
        "panic",
        &[
            |s| {
                let unwound = catch_unwind(AssertUnwindSafe(|| {
                    commit(s, |tx| {
                        tx.root_mut()?.words = [7; 8];
                        let small = tx.root().small;
                        tx.free(small)?;
                        let new = tx.alloc([8u64; 8])?;
                        tx.write(new, [9; 8])?;
                        resume_unwind(Box::new("in a transaction")) // A panic that prints nothing.
                    });
                }));
                assert!(unwound.is_err());
            },
            |s| commit(s, |tx| tx.write(word(tx, 1), 10)),
        ],
    )
}

/// Blocks of one length, allocated and freed in both orders and in the place of each other.
fn blocks_of(len: u64, count: usize) -> Scenario {
    let name = format!("blocks-of-{len}");
    let allocate = move |subject: &mut Subject| -> Result<(), BoxError> {
        subject.transaction(|tx| -> vista::Result<()> {
            for index in 0..count {
                let block = tx.alloc_slice(&vec![index as u8 + 20; len as usize])?;
                tx.root_mut()?.spare[index] = PPtr::from_offset(block.offset());
            }
            Ok(())
        })?;
        Ok(())
    };
    let replace = move |subject: &mut Subject| -> Result<(), BoxError> {
        subject.transaction(|tx| -> vista::Result<()> {
            let first = tx.root().spare[0];
            tx.free_slice(PSlice::<u8>::from_raw_parts(first.offset(), len))?;
            let block = tx.alloc_slice(&vec![30u8; len as usize])?;
            tx.slice_mut(block)?[3] = 31;
            tx.root_mut()?.spare[0] = PPtr::from_offset(block.offset());
            Ok(())
        })?;
        Ok(())
    };
    let free = move |subject: &mut Subject| -> Result<(), BoxError> {
        subject.transaction(|tx| -> vista::Result<()> {
            for index in 0..count {
                let block = std::mem::replace(&mut tx.root_mut()?.spare[index], PPtr::null());
                tx.free_slice(PSlice::<u8>::from_raw_parts(block.offset(), len))?;
            }
            Ok(())
        })?;
        Ok(())
    };
    let operations: Vec<Operation> = vec![Arc::new(allocate), Arc::new(replace), Arc::new(free)];
    Scenario { name, size: SMALL, capacity: SMALL + pages(40), is_filled: false, operations }
}

fn one_range() -> Scenario {
    scenario(
        "one-range",
        &[
            |s| commit(s, |tx| Ok(*tx.get_mut(word(tx, 0))? = 5)),
            |s| commit(s, |tx| Ok(tx.root_mut()?.words = [6; 8])),
        ],
    )
}

fn many_ranges_and_repeated_ones() -> Scenario {
    scenario(
        "many-ranges",
        &[
            |s| {
                commit(s, |tx| {
                    for index in [0, 3, 0, 5, 3, 0] {
                        *tx.get_mut(word(tx, index))? += 10;
                    }
                    tx.root_mut()?.words[7] = 9;
                    tx.root_mut()?.words[0] = 9;
                    let start = tx.root_ptr().offset();
                    tx.set_range(start + 3, 18)?.fill(1);
                    tx.set_range(start + 3, 30)?.fill(2);
                    Ok(())
                })
            },
            |s| commit(s, |tx| Ok(*tx.get_mut(word(tx, 1))? = 7)),
        ],
    )
}

fn ranges_lent_together() -> Scenario {
    scenario(
        "ranges-together",
        &[|s| {
            commit(s, |tx| {
                let small = tx.root().small;
                let (a, b, c) = tx.get_disjoint_mut((word(tx, 0), word(tx, 6), small))?;
                (*a, *b, c[7]) = (20, 21, 22);
                tx.set_ranges([(word(tx, 2).offset(), 16), (small.offset(), 24)])?;
                *tx.get_mut(word(tx, 2))? = 23;
                tx.get_mut(small)?[0] = 24;
                Ok(())
            })
        }],
    )
}

fn writes_that_wait_for_a_fence() -> Scenario {
    scenario(
        "writes",
        &[|s| {
            commit(s, |tx| {
                for index in 0..6 {
                    tx.write(word(tx, index), 30 + index)?;
                }
                assert_eq!(*tx.get(word(tx, 2))?, 32);
                tx.write(word(tx, 2), 40)?;
                tx.write(word(tx, 2), 41)?;
                let small = tx.root().small;
                tx.write(small, [42; 8])?;
                assert_eq!(tx.replace(word(tx, 2), 43)?, 41);
                Ok(())
            })
        }],
    )
}

fn savepoints() -> Scenario {
    scenario(
        "savepoints",
        &[|s| {
            commit(s, |tx| {
                tx.write(word(tx, 0), 50)?;
                let first = tx.savepoint()?;
                *tx.get_mut(word(tx, 0))? = 51;
                tx.write(word(tx, 1), 52)?;
                let new = tx.alloc([1u64; 8])?;
                tx.savepoint()?;
                tx.free(new)?;
                tx.rollback_to(&first)?;
                tx.write(word(tx, 2), 53)?;
                let result = tx.nested(|tx| {
                    tx.root_mut()?.words = [54; 8];
                    let small = tx.root().small;
                    tx.free(small)?;
                    tx.alloc([55u64; 8])?;
                    tx.get(PPtr::<u64>::null()).map(|_| ())
                });
                assert!(result.is_err());
                *tx.get_mut(word(tx, 3))? = 56;
                Ok(())
            })
        }],
    )
}

/// Records that a rollback left, and that log one word again and again, must not show through a torn batch in their place.
fn a_batch_in_the_place_of_what_was_rolled_back() -> Scenario {
    scenario(
        "batch-after-rollback",
        &[|s| {
            commit(s, |tx| {
                let savepoint = tx.savepoint()?;
                for _ in 0..4 {
                    *tx.get_mut(word(tx, 0))? += 1;
                }
                tx.rollback_to(&savepoint)?;
                tx.set_ranges([1, 2, 3, 5].map(|index| (word(tx, index).offset(), 8)))?;
                *tx.get_mut(word(tx, 1))? = 57;
                Ok(())
            })
        }],
    )
}

/// A transaction that a crash tears leaves its number to the next one, whose records stand where its own did: crashed
/// again behind a recovery, it must not take the one's for the other's.
fn a_number_in_use_again() -> Scenario {
    fn set(segment: &mut Subject, words: &[u64], value: u64) {
        commit(segment, |tx| {
            let root = tx.root_ptr().offset();
            tx.set_ranges(words.iter().map(|index| (root + 8 * index, 8)))?;
            words.iter().try_for_each(|&index| tx.write(word(tx, index), value))
        });
    }
    scenario(
        "number-in-use-again",
        &[
            |s| commit(s, |tx| Ok(assert_eq!(tx.root().words[7], 4))),
            |s| set(s, &[1, 2, 3, 4], 2),
            |s| set(s, &[4], 3),
            |s| set(s, &[1, 2, 3, 5], 4),
        ],
    )
}

fn aborts() -> Scenario {
    scenario(
        "aborts",
        &[
            |s| {
                let mut tx = s.begin().unwrap();
                tx.root_mut().unwrap().words = [60; 8];
                let small = tx.root().small;
                tx.free(small).unwrap();
                let new = tx.alloc([61u64; 8]).unwrap();
                tx.write(new, [62; 8]).unwrap();
                tx.write(word(&tx, 1), 63).unwrap();
                tx.abort().unwrap();
            },
            |s| commit(s, |tx| Ok(*tx.get_mut(word(tx, 1))? = 64)),
        ],
    )
}

/// What was logged in several batches is rolled back, and a transaction whose log is no shorter takes its place.
fn a_longer_transaction_behind_an_abort() -> Scenario {
    scenario(
        "longer-behind-an-abort",
        &[
            |s| {
                let mut tx = s.begin().unwrap();
                for index in 0..4 {
                    let word = word(&tx, index);
                    *tx.get_mut(word).unwrap() = 65;
                }
                tx.abort().unwrap();
            },
            |s| {
                commit(s, |tx| {
                    tx.set_ranges([5, 3, 6, 1].map(|index| (word(tx, index).offset(), 8)))?;
                    tx.write(word(tx, 3), 66)
                })
            },
        ],
    )
}

fn one_allocation() -> Scenario {
    scenario(
        "one-allocation",
        &[|s| {
            commit(s, |tx| {
                let small = tx.alloc([67u64; 8])?;
                let field = vista::field!(tx.root_ptr(), Root, small);
                tx.write(field, small)
            })
        }],
    )
}

fn allocations() -> Scenario {
    scenario(
        "allocations",
        &[
            |s| {
                commit(s, |tx| {
                    let small = tx.alloc([70u64; 8])?;
                    let field = vista::field!(tx.root_ptr(), Root, small);
                    tx.write(field, small)
                })
            },
            |s| {
                commit(s, |tx| {
                    let large = tx.alloc_slice(&[71u8; PAGE_LEN as usize])?;
                    let other = tx.alloc([72u64; 32])?;
                    tx.get_mut(other)?[3] = 73;
                    tx.root_mut()?.large = large;
                    Ok(())
                })
            },
        ],
    )
}

fn frees() -> Scenario {
    scenario(
        "frees",
        &[
            |s| {
                commit(s, |tx| {
                    let root = *tx.root();
                    tx.free(root.spare[2])?;
                    tx.free(root.small)
                })
            },
            |s| {
                commit(s, |tx| {
                    let large = tx.root().large;
                    tx.free_slice(large)
                })
            },
        ],
    )
}

/// A run that is freed between others, whose last page then tells of it.
fn frees_between_others() -> Scenario {
    scenario(
        "frees-between-others",
        &[
            |s| {
                commit(s, |tx| {
                    let large = tx.alloc_slice(&[74u8; 2 * PAGE_LEN as usize])?;
                    tx.alloc_slice(&[74u8; PAGE_LEN as usize])?;
                    tx.root_mut()?.large = large;
                    Ok(())
                })
            },
            |s| {
                commit(s, |tx| {
                    let large = tx.root().large;
                    tx.free_slice(large)
                })
            },
        ],
    )
}

/// The dangerous case: what a transaction frees it may allocate again, yet must be able to bring back.
fn frees_and_allocations_in_their_place() -> Scenario {
    scenario(
        "frees-and-allocations",
        &[
            |s| {
                commit(s, |tx| {
                    let root = *tx.root();
                    tx.free(root.small)?;
                    let small = tx.alloc([80u64; 8])?;
                    tx.free_slice(root.large)?;
                    let large = tx.alloc_slice(&[81u8; 2056])?;
                    tx.write(small, [82; 8])?;
                    tx.slice_mut(large)?[5] = 83;
                    (tx.root_mut()?.small, tx.root_mut()?.large) = (small, large);
                    Ok(())
                })
            },
            |s| {
                commit(s, |tx| {
                    let root = *tx.root();
                    let new = tx.alloc([84u64; 8])?;
                    tx.free(new)?;
                    let new = tx.alloc([85u64; 8])?;
                    tx.free(root.small)?;
                    tx.root_mut()?.small = new;
                    Ok(())
                })
            },
        ],
    )
}

fn transactions_longer_than_their_log() -> Scenario {
    scenario(
        "longer-than-the-log",
        &[
            |s| {
                commit(s, |tx| {
                    let root = *tx.root();
                    tx.slice_mut(root.large)?[1800..2000].fill(90);
                    *tx.get_mut(word(tx, 0))? = 91;
                    for index in 0..30 {
                        tx.root_mut()?.words[index % 8] += 1;
                        tx.savepoint()?;
                    }
                    Ok(())
                })
            },
            |s| {
                let mut tx = s.begin().unwrap();
                let large = tx.root().large;
                tx.slice_mut(large).unwrap()[2000..].fill(92);
                let savepoint = tx.savepoint().unwrap();
                tx.slice_mut(large).unwrap()[..100].fill(93);
                tx.rollback_to(&savepoint).unwrap();
                tx.write(word(&tx, 3), 94).unwrap();
                tx.abort().unwrap();
            },
        ],
    )
}

/// A log that wants to grow where nothing is free but what its own transaction has freed.
fn a_log_does_not_grow_into_what_was_freed() -> Scenario {
    scenario(
        "log-over-freed",
        &[
            |s| {
                commit(s, |tx| {
                    let last = tx.alloc_slice(&[75u8; 3 * PAGE_LEN as usize])?;
                    while tx.alloc_slice(&[76u8; PAGE_LEN as usize]).is_ok() {}
                    tx.root_mut()?.large = last;
                    Ok(())
                })
            },
            |s| {
                commit(s, |tx| {
                    let large = tx.root().large;
                    tx.free_slice(large)?;
                    let spare = tx.root().spare[0];
                    for _ in 0..50 {
                        if tx.savepoint().and_then(|_| Ok(tx.get_mut(spare)?[0] += 1)).is_err() {
                            break;
                        }
                    }
                    Ok(())
                })
            },
        ],
    )
}

/// Room is added between transactions, and used.
fn growth() -> Scenario {
    let steps: [Step; 2] = [
        |s| s.grow(1).unwrap(),
        |s| {
            commit(s, |tx| {
                // More than both zones have left in one piece.
                let large = tx.alloc_slice_zeroed::<u8>(PAGE_LEN as usize)?;
                tx.root_mut()?.large = large;
                Ok(())
            })
        },
    ];
    scenario("growth", &steps).growing(pages(70))
}

/// Room is added by a transaction that needs it.
fn growth_in_a_transaction() -> Scenario {
    let step: Step = |s| {
        commit(s, |tx| {
            *tx.get_mut(word(tx, 0))? = 100;
            let large = tx.alloc_slice_zeroed::<u8>(12 * PAGE_LEN as usize)?;
            tx.slice_mut(large.slice(4000..4100).unwrap())?.fill(101);
            tx.root_mut()?.large = large;
            Ok(())
        })
    };
    scenario("growth-in-a-transaction", &[step]).growing(pages(100))
}

/// A growth, and a block that fits nowhere else: what a killed process has grown counts for the next one.
fn allocations_where_it_has_grown() -> Scenario {
    let steps: [Step; 2] = [
        |s| s.grow(1).unwrap(),
        |s| {
            commit(s, |tx| {
                let large = tx.alloc_slice(&[110u8; 8 * PAGE_LEN as usize])?;
                tx.root_mut()?.large = large;
                Ok(())
            })
        },
    ];
    scenario("allocations-where-it-has-grown", &steps).growing(pages(70))
}

/// Transactions of any operations in a segment with little room: steps of the heap that fail, or are done again because
/// the log was full, in between.
pub fn anything(seed: u64) -> Scenario {
    let operation = move |number: u64| -> Operation {
        Arc::new(move |subject| {
            any_transaction(subject, &mut fastrand::Rng::with_seed(seed << 8 | number));
            Ok(())
        })
    };
    let operations = (0..3).map(operation).collect();
    Scenario { name: format!("anything-{seed}"), size: SMALL, capacity: SMALL, is_filled: true, operations }
}

/// Operations on blocks that fill their place, so that all of their bytes are known. Which blocks there are is read from
/// the segment itself, so that the same happens whenever it is in the same state.
fn any_transaction(segment: &mut Subject, random: &mut fastrand::Rng) {
    let lens = [16, 64, 1024, 2048, 4096, 8192];
    let fixed = {
        let root = segment.root().unwrap();
        let mut fixed: Vec<u64> = root.spare.iter().map(|spare| spare.offset()).collect();
        fixed.extend([segment.root_ptr().offset(), root.small.offset(), root.large.offset()]);
        fixed
    };
    let blocks = segment.blocks().unwrap().into_iter().filter(|block| !fixed.contains(&block.offset));
    let mut live: Vec<PSlice<u8>> =
        blocks.map(|block| PSlice::from_raw_parts(block.offset, block.len)).collect();
    let mut tx = segment.begin().unwrap();
    let mut savepoint = None;
    for _ in 0..random.usize(4..18) {
        let at = random.usize(0..live.len().max(1));
        match random.u8(0..9) {
            0..=2 => {
                let len = lens[random.usize(0..lens.len())];
                live.extend(tx.alloc_slice(&vec![random.u8(..); len]));
            }
            3 | 4 if !live.is_empty() => {
                if tx.free_slice(live[at]).is_ok() {
                    live.swap_remove(at);
                }
            }
            5 if !live.is_empty() => {
                let from = random.usize(0..live[at].len());
                let part = live[at].slice(from..live[at].len().min(from + 700)).unwrap();
                if let Ok(bytes) = tx.slice_mut(part) {
                    bytes.fill(random.u8(..));
                }
            }
            6 => savepoint = tx.savepoint().ok().map(|savepoint| (savepoint, live.clone())),
            7 => {
                if let Some((savepoint, then)) = savepoint.take() {
                    tx.rollback_to(&savepoint).unwrap();
                    live = then;
                }
            }
            _ => drop(tx.write(word(&tx, random.u64(0..8)), random.u64(..))),
        }
    }
    if random.u8(0..4) > 0 { tx.commit().unwrap() } else { tx.abort().unwrap() }
}
