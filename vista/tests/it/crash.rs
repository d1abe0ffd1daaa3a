//! Every crash image of small transactions opens as the state before or the state after, and nothing else: those of
//! the recovery, too, and of the recovery from that, as far as a budget goes.
//!
//! Two models. *Coherent*: a crash keeps every store made before it, as that of a process does. *ADR*: each line of
//! 64 bytes keeps some first of its stores, at least those flushed before the last fence; small sets of lines are tried
//! in all combinations, larger ones by seed. Start at [`explore`].

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use rio::Domain;
use vista::layout::PAGE_LEN;
use vista::{Error, PPtr, PSlice, Persistent, Segment, Transaction};

use crate::support::{SMALL, SplitMix, content, pages, sized};
use crate::traced::{Event, Traced, apply, line_of};

#[derive(Clone, Copy, Debug, PartialEq, Persistent)]
#[repr(C)]
struct Root {
    words: [u64; 8],
    small: PPtr<[u64; 8]>,
    large: PSlice<u8>,
    spare: [PPtr<[u64; 8]>; 5],
}

type Tx<'s> = Transaction<'s, Root, Traced>;
type Step = fn(&mut Segment<Root, Traced>);
type AnyStep<'a> = Box<dyn Fn(&mut Segment<Root, Traced>) + 'a>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Model {
    Coherent,
    Adr,
}

/// How many combinations of lines are tried in full at one point, and how many are sampled beyond.
const COMBINATIONS_MAX: u64 = 128;
const SAMPLES: u64 = 24;

/// The images that a crash may leave, each with the number of events before the crash.
fn images(model: Model, start: &[u8], events: &[Event], ends: &[usize], mut see: impl FnMut(usize, Vec<u8>)) {
    let mut image = start.to_vec();
    if model == Model::Coherent {
        see(0, image.clone());
        for (index, &event) in events.iter().enumerate() {
            apply(&mut image, event);
            if matches!(event, Event::Store { .. } | Event::Grow { .. }) || ends.contains(&(index + 1)) {
                see(index + 1, image.clone());
            }
        }
        return;
    }
    let mut random = SplitMix(events.len() as u64);
    // Per line: its stores since the last of them that is durable, and how many of them are flushed.
    let mut lines: std::collections::BTreeMap<u64, (Vec<Event>, usize)> = Default::default();
    for (index, &event) in events.iter().enumerate() {
        match event {
            Event::Store { offset, .. } => lines.entry(line_of(offset)).or_default().0.push(event),
            Event::Flush { offset, len } => {
                for (_, (stores, flushed)) in
                    lines.range_mut(line_of(offset)..=line_of(offset + len.max(1) - 1))
                {
                    *flushed = stores.len();
                }
            }
            Event::Grow { .. } => apply(&mut image, event),
            Event::Fence => {
                combine(&image, &lines, &mut random, |torn| see(index, torn));
                for (stores, flushed) in lines.values_mut() {
                    stores.drain(..*flushed).for_each(|store| apply(&mut image, store));
                    *flushed = 0;
                }
                lines.retain(|_, (stores, _)| !stores.is_empty());
            }
        }
        if ends.contains(&(index + 1)) {
            combine(&image, &lines, &mut random, |torn| see(index + 1, torn));
        }
    }
    combine(&image, &lines, &mut random, |torn| see(events.len(), torn));
}

/// What may have become of the stores that wait in the lines.
fn combine(
    image: &[u8],
    lines: &std::collections::BTreeMap<u64, (Vec<Event>, usize)>,
    random: &mut SplitMix,
    mut see: impl FnMut(Vec<u8>),
) {
    let lines: Vec<&[Event]> = lines.values().map(|(stores, _)| &stores[..]).collect();
    let mut with = |kept: &dyn Fn(usize) -> usize| {
        let mut torn = image.to_vec();
        for (index, stores) in lines.iter().enumerate() {
            stores[..kept(index)].iter().for_each(|&store| apply(&mut torn, store));
        }
        see(torn);
    };
    let product = lines.iter().try_fold(1u64, |n, line| n.checked_mul(line.len() as u64 + 1));
    if let Some(product) = product.filter(|&n| n <= COMBINATIONS_MAX) {
        for number in 0..product {
            with(&|index| {
                let below: u64 = lines[..index].iter().map(|line| line.len() as u64 + 1).product();
                (number / below % (lines[index].len() as u64 + 1)) as usize
            });
        }
        return;
    }
    with(&|_| 0);
    with(&|index| lines[index].len());
    for odd in 0..lines.len() {
        with(&|index| if index == odd { 0 } else { lines[index].len() });
        with(&|index| if index == odd { lines[index].len() } else { 0 });
    }
    for _ in 0..SAMPLES {
        let kept: Vec<usize> =
            lines.iter().map(|line| random.below(line.len() as u64 + 1) as usize).collect();
        with(&|index| kept[index]);
    }
}

/// Images met so far, and what each of them is opened as; both as hashes.
struct Explorer {
    model: Model,
    domain: Domain,
    seen: HashMap<u64, u64>,
}

impl Explorer {
    /// Opens an image; what it holds then is also what every crash of this recovery leads to.
    fn open(&mut self, image: &[u8], depth: usize, replay: &str) -> u64 {
        let hash = hash_of(image);
        if let Some(&known) = self.seen.get(&hash) {
            return known;
        }
        let (medium, tape) = Traced::from_bytes(image, 0, self.domain);
        let is_beyond = self.seen.len() > IMAGES_MAX && (depth < DEPTH || !hash.is_multiple_of(8));
        let is_last = depth == 0 || is_beyond;
        if !is_last {
            tape.start_announced();
        }
        let segment =
            Segment::<Root, Traced>::open_on(medium).unwrap_or_else(|error| panic!("{replay}: {error}"));
        let reached = hash_of(&content(&segment));
        self.seen.insert(hash, reached);
        if is_last {
            return reached;
        }
        let events = tape.stop();
        images(self.model, image, &events, &[], |at, torn| {
            let replay = format!("{replay}, recovery crashed at {at} of {}", events.len());
            let again = self.open(&torn, depth - 1, &replay);
            assert_eq!(again, reached, "{replay}: recovered to another state");
        });
        reached
    }
}

/// Crashes of recoveries from crashes of recoveries: so many, and beyond so many images one in eight, not deeper.
const DEPTH: usize = 6;
const IMAGES_MAX: usize = 1500;

fn hash_of<T: Hash + ?Sized>(value: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Runs the steps, crashes them everywhere, and opens what is left. Returns the number of distinct images.
fn explore(model: Model, name: &str, capacity: u64, setup: Step, steps: &[AnyStep<'_>]) -> usize {
    let domain = if model == Model::Coherent { Domain::PageCache } else { Domain::Adr };
    let (mut segment, tape) = sized::<Root>(domain, SMALL, capacity);
    setup(&mut segment);
    let start = tape.bytes();
    let mut states = vec![hash_of(&content(&segment))];
    tape.start();
    let mut ends = vec![0];
    for step in steps {
        step(&mut segment);
        ends.push(tape.event_count());
        states.push(hash_of(&content(&segment)));
    }
    let events = tape.stop();
    let mut explorer = Explorer { model, domain, seen: HashMap::new() };
    images(model, &start, &events, &ends, |at, image| {
        let replay = format!("replay: {name}, {model:?}, crash at event {at} of {}", events.len());
        let found = explorer.open(&image, DEPTH, &replay);
        // Steps that had returned stand; the one in flight may.
        let done = ends.partition_point(|&end| end <= at) - 1;
        let allowed = if ends[done] == at { &states[done..=done] } else { &states[done..=done + 1] };
        assert!(allowed.contains(&found), "{replay}: neither before nor after step {done}");
    });
    explorer.seen.len()
}

/// Both models; there is more than one image to each.
fn check(name: &str, steps: &[Step]) {
    check_with(name, SMALL, fill, steps);
}

fn check_with(name: &str, capacity: u64, setup: Step, steps: &[Step]) {
    let steps: Vec<AnyStep<'_>> = steps.iter().map(|&step| Box::new(step) as AnyStep<'_>).collect();
    for model in [Model::Coherent, Model::Adr] {
        let image_count = explore(model, name, capacity, setup, &steps);
        assert!(image_count > steps.len(), "{name}, {model:?}: {image_count} images");
    }
}

fn commit(segment: &mut Segment<Root, Traced>, f: impl FnOnce(&mut Tx<'_>) -> Result<(), Error>) {
    segment.transaction(f).unwrap();
}

/// Something of everything.
fn fill(segment: &mut Segment<Root, Traced>) {
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

fn word(tx: &Tx<'_>, index: u64) -> PPtr<u64> {
    PPtr::from_offset(tx.root_ptr().offset() + 8 * index)
}

#[test]
fn one_range() {
    check(
        "one_range",
        &[
            |s| commit(s, |tx| Ok(*tx.get_mut(word(tx, 0))? = 5)),
            |s| commit(s, |tx| Ok(tx.root_mut()?.words = [6; 8])),
        ],
    );
}

#[test]
fn many_ranges_and_repeated_ones() {
    check(
        "many_ranges",
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
    );
}

#[test]
fn ranges_lent_together() {
    check(
        "ranges_lent_together",
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
    );
}

#[test]
fn writes_that_wait_for_a_fence() {
    check(
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
    );
}

#[test]
fn savepoints() {
    check(
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
    );
}

/// Records that a rollback left, and that log one word again and again, must not show through a torn batch in their place.
#[test]
fn a_batch_in_the_place_of_what_was_rolled_back() {
    check(
        "batch_after_rollback",
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
    );
}

#[test]
fn aborts() {
    check(
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
    );
}

#[test]
fn allocations() {
    check(
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
    );
}

#[test]
fn frees() {
    check(
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
    );
}

/// A run that is freed between others, whose last page then tells of it.
#[test]
fn frees_between_others() {
    check(
        "frees_between",
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
    );
}

/// A log that wants to grow where nothing is free but what its own transaction has freed.
#[test]
fn a_log_does_not_grow_into_what_was_freed() {
    check(
        "log_over_freed",
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
    );
}

/// The dangerous case: what a transaction frees it may allocate again, yet must be able to bring back.
#[test]
fn frees_and_allocations_in_their_place() {
    check(
        "frees_and_allocations",
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
    );
}

#[test]
fn transactions_longer_than_their_log() {
    check(
        "longer",
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
    );
}

#[test]
fn growth() {
    check_with(
        "growth",
        SMALL + pages(70),
        fill,
        &[
            |s| s.grow(1).unwrap(),
            |s| {
                commit(s, |tx| {
                    // More than both zones have left in one piece.
                    let large = tx.alloc_slice_zeroed::<u8>(PAGE_LEN as usize)?;
                    tx.root_mut()?.large = large;
                    Ok(())
                })
            },
        ],
    );
    check_with(
        "growth in a transaction",
        SMALL + pages(100),
        fill,
        &[|s| {
            commit(s, |tx| {
                *tx.get_mut(word(tx, 0))? = 100;
                let large = tx.alloc_slice_zeroed::<u8>(12 * PAGE_LEN as usize)?;
                tx.slice_mut(large.slice(4000..4100).unwrap())?.fill(101);
                tx.root_mut()?.large = large;
                Ok(())
            })
        }],
    );
}

/// Transactions of any operations in a segment with little room: steps of the heap that fail, or are done again because
/// the log was full, in between.
#[test]
fn any_transactions() {
    check_any(0..3);
}

#[test]
#[ignore = "takes minutes"]
fn any_transactions_at_length() {
    check_any(3..60);
}

fn check_any(seeds: std::ops::Range<u64>) {
    for model in [Model::Coherent, Model::Adr] {
        for seed in seeds.clone() {
            let random = RefCell::new(SplitMix(seed));
            let live = RefCell::new(Vec::new());
            let steps: Vec<AnyStep<'_>> = (0..3)
                .map(|_| {
                    Box::new(|segment: &mut Segment<Root, Traced>| {
                        any_transaction(segment, &mut random.borrow_mut(), &mut live.borrow_mut());
                    }) as AnyStep<'_>
                })
                .collect();
            explore(model, &format!("any_transactions, seed {seed}"), SMALL, fill, &steps);
        }
    }
}

/// Operations on blocks that fill their place, so that all of their bytes are known.
fn any_transaction(segment: &mut Segment<Root, Traced>, random: &mut SplitMix, live: &mut Vec<PSlice<u8>>) {
    let before = live.clone();
    let mut tx = segment.begin().unwrap();
    let mut savepoint = None;
    for _ in 0..4 + random.below(14) {
        let at = random.below(live.len().max(1) as u64) as usize;
        match random.below(9) {
            0..=2 => {
                let len = [16, 64, 1024, 2048, 4096, 8192][random.below(6) as usize];
                live.extend(tx.alloc_slice(&vec![random.next() as u8; len]));
            }
            3 | 4 if !live.is_empty() => {
                if tx.free_slice(live[at]).is_ok() {
                    live.swap_remove(at);
                }
            }
            5 if !live.is_empty() => {
                let from = random.below(live[at].len() as u64) as usize;
                let part = live[at].slice(from..live[at].len().min(from + 700)).unwrap();
                if let Ok(bytes) = tx.slice_mut(part) {
                    bytes.fill(random.next() as u8);
                }
            }
            6 => savepoint = tx.savepoint().ok().map(|savepoint| (savepoint, live.clone())),
            7 => {
                if let Some((savepoint, then)) = savepoint.take() {
                    tx.rollback_to(&savepoint).unwrap();
                    *live = then;
                }
            }
            _ => drop(tx.write(word(&tx, random.below(8)), random.next())),
        }
    }
    if random.below(4) > 0 {
        tx.commit().unwrap();
    } else {
        tx.abort().unwrap();
        *live = before;
    }
}

/// A crash of a creation leaves nothing that opens, or the whole segment.
#[test]
fn creation() {
    for model in [Model::Coherent, Model::Adr] {
        let domain = if model == Model::Coherent { Domain::PageCache } else { Domain::Adr };
        let (medium, tape) = Traced::new(SMALL, SMALL, domain);
        let start = tape.bytes();
        tape.start();
        let segment = Segment::<Root, Traced>::create_on(medium, PAGE_LEN).unwrap();
        let whole = content(&segment);
        let events = tape.stop();
        let (mut opened, mut refused) = (0, 0);
        images(model, &start, &events, &[events.len()], |at, image| {
            let (medium, _) = Traced::from_bytes(&image, 0, domain);
            match Segment::<Root, Traced>::open_on(medium) {
                Ok(segment) => {
                    opened += 1;
                    assert_eq!(content(&segment), whole, "{model:?}, crash at event {at}");
                }
                Err(Error::Damaged { .. }) => {
                    refused += 1;
                    assert!(at < events.len(), "{model:?}: created, and yet refused");
                }
                Err(other) => panic!("{model:?}, crash at event {at}: {other}"),
            }
        });
        assert!(opened > 0 && refused > 0);
    }
}

/// The explorer is seen to catch: a medium that loses what the library says of flushes is found out.
#[test]
fn a_library_that_would_not_flush_is_caught() {
    let domain = Domain::Adr;
    let (mut segment, tape) = sized::<Root>(domain, SMALL, SMALL);
    fill(&mut segment);
    let start = tape.bytes();
    let states = [content(&segment), {
        tape.start();
        commit(&mut segment, |tx| {
            let small = tx.root().small;
            let (a, b) = tx.get_disjoint_mut((word(tx, 0), small))?;
            (*a, b[0]) = (5, 5);
            Ok(())
        });
        content(&segment)
    }];
    let events = tape.stop();
    let broken = |drop: &dyn Fn(usize, Event) -> bool| {
        let kept: Vec<Event> = events
            .iter()
            .enumerate()
            .filter(|&(index, &event)| !drop(index, event))
            .map(|(_, e)| *e)
            .collect();
        let mut bad = 0;
        images(Model::Adr, &start, &kept, &[kept.len()], |at, image| {
            let (medium, _) = Traced::from_bytes(&image, 0, domain);
            let found = Segment::<Root, Traced>::open_on(medium).map(|segment| content(&segment)).ok();
            let allowed = if at == kept.len() { &states[1..] } else { &states[..] };
            bad += usize::from(!found.is_some_and(|found| allowed.contains(&found)));
        });
        bad
    };
    assert_eq!(broken(&|_, _| false), 0, "as it is");
    let is_flush = |event| matches!(event, Event::Flush { .. });
    for dropped in (0..events.len()).filter(|&index| is_flush(events[index])) {
        assert!(broken(&|index, _| index == dropped) > 0, "without flush {dropped} of {events:?}");
    }
    let fences: Vec<_> = (0..events.len()).filter(|&index| events[index] == Event::Fence).collect();
    assert_eq!(fences.len(), 3, "records; data; end of the transaction");
    for dropped in fences {
        assert!(broken(&|index, _| index == dropped) > 0, "without fence {dropped}");
    }
}

/// Records that a power cut left torn must not be taken for those of a later transaction of the same number. The number of
/// a transaction without a record is taken back, so that what has a number has the state before it as its base.
#[test]
fn a_transaction_without_a_record_does_not_use_up_its_number() {
    for domain in [Domain::PageCache, Domain::Adr] {
        let (mut segment, _) = sized::<u64>(domain, SMALL, SMALL);
        let number = segment.begin().unwrap().number();
        for _ in 0..3 {
            segment.transaction(|tx| Ok::<_, vista::Error>(*tx.root())).unwrap();
            let tx = segment.begin().unwrap();
            tx.abort().unwrap();
            drop(segment.begin().unwrap());
        }
        assert_eq!(segment.begin().unwrap().number(), number, "{domain}");
        segment.transaction(|tx| tx.write(tx.root_ptr(), 1)).unwrap();
        assert_eq!(segment.begin().unwrap().number(), number + 1, "{domain}");
    }
}

/// What a killed process stored and did not flush is made durable before anything is built upon it.
#[test]
fn opening_in_an_ordered_domain_flushes_what_it_finds() {
    let (segment, tape) = sized::<u64>(Domain::Adr, SMALL, SMALL);
    drop(segment);
    let (medium, tape) = Traced::from_bytes(&tape.bytes(), SMALL, Domain::Adr);
    tape.start();
    let _segment = Segment::<u64, Traced>::open_on(medium).unwrap();
    let events = tape.stop();
    let fence = events.iter().position(|event| matches!(event, Event::Fence)).expect("a fence");
    for offset in [vista::layout::SEGMENT_OFFSET, vista::layout::LOG_OFFSET] {
        let is_flush = |event: &Event| matches!(event, Event::Flush { offset: at, .. } if *at == offset);
        assert!(events[..fence].iter().any(is_flush), "offset {offset}");
    }
}

/// The same, seen from what it is good for: a power cut tears a transaction, another one commits, and a second power cut
/// tears the one after that, whose records stand where those of the first do.
#[test]
fn a_power_cut_after_a_power_cut() {
    let set = |segment: &mut Segment<[u64; 8], Traced>, words: &[u64], value: u64| {
        let result = segment.transaction(|tx| {
            let start = tx.root_ptr().offset();
            tx.set_ranges(words.iter().map(|word| (start + 8 * word, 8)))?;
            words.iter().try_for_each(|word| tx.write(PPtr::from_offset(start + 8 * word), value))
        });
        result.unwrap();
    };
    let (mut segment, tape) = sized::<[u64; 8]>(Domain::Adr, SMALL, SMALL);
    set(&mut segment, &[0], 1);
    let start = tape.bytes();
    tape.start();
    segment.transaction(|tx| Ok::<_, Error>(*tx.root())).unwrap();
    set(&mut segment, &[1, 2, 3, 4], 2);
    let events = tape.stop();
    let mut seen = std::collections::HashSet::new();
    images(Model::Adr, &start, &events, &[], |at, image| {
        if !seen.insert(hash_of(&image)) {
            return;
        }
        let (medium, tape) = Traced::from_bytes(&image, 0, Domain::Adr);
        let mut segment = Segment::<[u64; 8], Traced>::open_on(medium).unwrap();
        set(&mut segment, &[4], 3);
        let (start, before) = (tape.bytes(), content(&segment));
        tape.start();
        set(&mut segment, &[1, 2, 3, 5], 4);
        let (events, after) = (tape.stop(), content(&segment));
        images(Model::Adr, &start, &events, &[events.len()], |then, image| {
            let (medium, _) = Traced::from_bytes(&image, 0, Domain::Adr);
            let found = content(&Segment::<[u64; 8], Traced>::open_on(medium).unwrap());
            let allowed = if then == events.len() { vec![&after] } else { vec![&before, &after] };
            assert!(allowed.contains(&&found), "crashes at events {at} and {then}");
        });
    });
}

/// A process is killed while it grows a segment, another one allocates there and commits, and then the power fails: what the
/// first had stored and not flushed counts for the second.
#[test]
fn a_power_cut_after_a_kill() {
    let capacity = SMALL + pages(70);
    let (mut segment, tape) = sized::<Root>(Domain::Adr, SMALL, capacity);
    fill(&mut segment);
    let start = tape.bytes();
    tape.start();
    segment.grow(1).unwrap();
    let killed = tape.stop();
    let mut image = start.clone();
    for (index, &event) in killed.iter().enumerate() {
        apply(&mut image, event);
        let (medium, tape) = Traced::from_bytes(&image, capacity, Domain::Adr);
        tape.start();
        let mut segment = Segment::<Root, Traced>::open_on(medium).unwrap();
        let before = content(&segment);
        commit(&mut segment, |tx| {
            let large = tx.alloc_slice(&[110u8; 8 * PAGE_LEN as usize])?;
            tx.root_mut()?.large = large;
            Ok(())
        });
        let after = content(&segment);
        let events: Vec<Event> = killed[..=index].iter().copied().chain(tape.stop()).collect();
        images(Model::Adr, &start, &events, &[events.len()], |at, image| {
            if at <= index + 1 {
                return;
            }
            let (medium, _) = Traced::from_bytes(&image, 0, Domain::Adr);
            let segment = Segment::<Root, Traced>::open_on(medium);
            let found = content(&segment.unwrap_or_else(|error| panic!("{index}, {at}: {error}")));
            let allowed = if at == events.len() { vec![&after] } else { vec![&before, &after] };
            assert!(allowed.contains(&&found), "killed at event {index}, power cut at {at}");
        });
    }
}
