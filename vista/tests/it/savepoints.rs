//! A transaction can go back to any of its savepoints, and to nothing else.

use rio::{Buffer, Domain};
use vista::{Error, PPtr, PSlice, Persistent, Savepoint, Segment, Transaction};

use crate::support::{Content, DOMAINS, SplitMix, content, pages, reopen, sized, small};
use crate::traced::Traced;

#[derive(Clone, Copy, Debug, PartialEq, Persistent)]
#[repr(C)]
struct Root {
    words: [u64; 16],
}

type Tx<'s> = Transaction<'s, Root, Traced>;

fn word(tx: &Tx<'_>, index: u64) -> PPtr<u64> {
    PPtr::from_offset(tx.root_ptr().offset() + 8 * index)
}

fn is_stale(tx: &mut Tx<'_>, savepoint: &Savepoint) -> bool {
    matches!(tx.rollback_to(savepoint), Err(Error::StaleSavepoint { .. }))
}

#[test]
fn nested_savepoints_come_back_in_any_order() {
    for domain in DOMAINS {
        let (mut segment, tape) = small::<Root>(domain);
        let mut tx = segment.begin().unwrap();
        let ptr = word(&tx, 0);
        let mut savepoints = Vec::new();
        for depth in 0..10 {
            *tx.get_mut(ptr).unwrap() = depth;
            savepoints.push(tx.savepoint().unwrap());
        }
        *tx.get_mut(ptr).unwrap() = 99;
        for depth in [9, 9, 8, 5, 5, 3] {
            tx.rollback_to(&savepoints[depth as usize]).unwrap();
            assert_eq!(*tx.get(ptr).unwrap(), depth);
            *tx.get_mut(ptr).unwrap() += 100;
            tx.write(word(&tx, 1), depth).unwrap();
        }
        for gone in [4, 5, 6, 9] {
            assert!(is_stale(&mut tx, &savepoints[gone]), "{domain}: {gone}");
        }
        tx.rollback_to(&savepoints[3]).unwrap();
        tx.commit().unwrap();
        assert_eq!(segment.root().unwrap().words[..2], [3, 0]);
        let again = reopen::<Root>(&tape.bytes(), domain).unwrap();
        assert_eq!(content(&again), content(&segment));
    }
}

#[test]
fn a_savepoint_rolled_back_over_is_stale_although_the_log_looks_the_same() {
    for domain in DOMAINS {
        let (mut segment, _) = small::<Root>(domain);
        let mut tx = segment.begin().unwrap();
        let ptr = word(&tx, 0);
        let base = tx.savepoint().unwrap();
        *tx.get_mut(ptr).unwrap() = 1;
        let gone = tx.savepoint().unwrap();
        tx.rollback_to(&base).unwrap();
        assert!(is_stale(&mut tx, &gone));
        *tx.get_mut(ptr).unwrap() = 1;
        assert!(is_stale(&mut tx, &gone));
        let new = tx.savepoint().unwrap();
        assert!(is_stale(&mut tx, &gone), "the new one stands in its place");
        *tx.get_mut(ptr).unwrap() = 2;
        tx.rollback_to(&new).unwrap();
        assert_eq!(*tx.get(ptr).unwrap(), 1);
    }
}

#[test]
fn a_savepoint_of_an_earlier_transaction_is_stale() {
    for domain in DOMAINS {
        let (mut segment, _) = small::<Root>(domain);
        let mut tx = segment.begin().unwrap();
        *tx.root_mut().unwrap() = Root { words: [1; 16] };
        let old = tx.savepoint().unwrap();
        tx.rollback_to(&old).unwrap();
        tx.abort().unwrap();
        let mut tx = segment.begin().unwrap();
        assert!(is_stale(&mut tx, &old));
        *tx.root_mut().unwrap() = Root { words: [1; 16] };
        assert!(is_stale(&mut tx, &old));
        let new = tx.savepoint().unwrap();
        assert!(is_stale(&mut tx, &old));
        tx.rollback_to(&new).unwrap();
    }
}

/// Two segments with the same history write the same log; a savepoint of one is none of the other.
#[test]
fn a_savepoint_of_another_segment_is_stale() {
    for domain in DOMAINS {
        for log_pages in [1, 8] {
            let make = |log_pages| {
                let buffer = Buffer::new(pages(40), pages(40)).with_domain(domain);
                Segment::<Root, Buffer>::create_on(buffer, pages(log_pages)).unwrap()
            };
            let (mut first, mut second) = (make(log_pages), make(1));
            let mut one = first.begin().unwrap();
            let foreign = one.savepoint().unwrap();
            let mut two = second.begin().unwrap();
            let own = two.savepoint().unwrap();
            let word = two.root_ptr().cast::<u64>();
            *two.get_mut(word).unwrap() = 5;
            let result = two.rollback_to(&foreign);
            assert!(matches!(result, Err(Error::StaleSavepoint { .. })), "{domain}: {result:?}");
            assert_eq!(*two.get(word).unwrap(), 5);
            two.rollback_to(&own).unwrap();
            // What a room of the wrong log would spill over.
            for _ in 0..2000 {
                two.set_range(word.offset(), 16).unwrap().fill(3);
            }
            two.commit().unwrap();
            assert!(second.check().unwrap().is_empty());
        }
    }
}

/// The savepoint's record still stands in the log's memory, behind an end that a longer record did not reach.
#[test]
fn a_savepoint_rolled_back_over_is_stale_although_its_record_still_stands() {
    for domain in DOMAINS {
        for back in (16..400).step_by(8) {
            let (mut segment, _) = sized::<Root>(domain, pages(40), pages(40));
            let mut tx = segment.begin().unwrap();
            let range = tx.root_ptr().offset();
            let base = tx.savepoint().unwrap();
            // Nearly a page of log.
            let block = tx.alloc_slice_zeroed::<u8>(4096).unwrap();
            let inner = tx.savepoint().unwrap();
            tx.set_range(block.offset(), 3400 - back).unwrap();
            let gone = tx.savepoint().unwrap();
            tx.rollback_to(&inner).unwrap();
            tx.set_range(block.offset(), 3300).unwrap();
            for _ in 0..3 {
                tx.set_range(range, 120).unwrap().fill(1);
            }
            assert!(is_stale(&mut tx, &gone), "{domain}: {back}");
            tx.rollback_to(&inner).unwrap();
            tx.rollback_to(&base).unwrap();
            tx.commit().unwrap();
            assert_eq!(segment.root().unwrap().words, [0; 16]);
        }
    }
}

#[test]
fn a_nested_transaction_that_fails_leaves_the_outer_one() {
    for domain in DOMAINS {
        let (mut segment, _) = small::<Root>(domain);
        let result = segment.transaction(|tx| {
            tx.root_mut()?.words[0] = 1;
            tx.nested(|tx| Ok::<_, Error>(tx.root_mut()?.words[1] = 2))?;
            let failed = tx.nested(|tx| {
                tx.root_mut()?.words[0] = 9;
                let block = tx.alloc([1u64; 100])?;
                tx.nested(|tx| tx.free(block))?;
                tx.get(PPtr::<u64>::null()).map(|_| ())
            });
            assert!(matches!(failed, Err(Error::NullPointer { .. })));
            assert_eq!(tx.root().words[..3], [1, 2, 0]);
            tx.root_mut()?.words[2] = 3;
            Ok::<_, Error>(())
        });
        result.unwrap();
        assert_eq!(segment.root().unwrap().words[..3], [1, 2, 3]);
        assert_eq!(segment.blocks().unwrap().len(), 1);
    }
}

#[test]
fn a_panic_in_a_nested_transaction_undoes_it_even_if_it_is_caught_inside_of_the_outer_one() {
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    for domain in DOMAINS {
        let (mut segment, _) = small::<Root>(domain);
        let mut tx = segment.begin().unwrap();
        tx.root_mut().unwrap().words[0] = 1;
        let caught = catch_unwind(AssertUnwindSafe(|| {
            tx.nested(|tx| -> Result<(), Error> {
                tx.root_mut()?.words = [9; 16];
                resume_unwind(Box::new("stop"))
            })
        }));
        assert!(caught.is_err());
        tx.commit().unwrap();
        assert_eq!(segment.root().unwrap().words[..2], [1, 0]);
    }
}

/// A free after the savepoint, an allocation in its place, and back: the old content is there again.
#[test]
fn what_was_freed_and_allocated_again_behind_a_savepoint_comes_back() {
    fn check(domain: Domain, len: usize) {
        let (mut segment, tape) = sized::<Root>(domain, pages(120), pages(120));
        let bytes: Vec<u8> = (0..len).map(|i| i as u8).collect();
        let old = segment.transaction(|tx| tx.alloc_slice(&bytes)).unwrap();
        let before = content(&segment);
        for is_new in [false, true] {
            let mut tx = segment.begin().unwrap();
            let block = if is_new { tx.alloc_slice(&bytes).unwrap() } else { old };
            let savepoint = tx.savepoint().unwrap();
            for round in 0..3 {
                tx.free_slice(block).unwrap();
                let other = tx.alloc_slice(&vec![round; len]).unwrap();
                tx.alloc_slice(&vec![round; len / 2 + 1]).unwrap();
                tx.slice_mut(other).unwrap()[len / 2] = 77;
                tx.rollback_to(&savepoint).unwrap();
                assert_eq!(tx.slice(block).unwrap(), bytes, "{domain}: {len}");
                tx.slice_mut(block).unwrap().fill(5);
                tx.rollback_to(&savepoint).unwrap();
            }
            assert_eq!(tx.slice(block).unwrap(), bytes);
            let crashed = tape.bytes();
            tx.abort().unwrap();
            assert_eq!(content(&segment), before, "{domain}: {len}");
            assert_eq!(content(&reopen::<Root>(&crashed, domain).unwrap()), before);
        }
    }
    for domain in DOMAINS {
        for len in [1, 16, 100, 2048, 2049, 4096, 5000, 20_000] {
            check(domain, len);
        }
    }
}

/// Random histories of one transaction against a stack of copies; the log is one page and goes on in extents.
#[test]
fn any_history_of_savepoints_equals_its_model() {
    for domain in DOMAINS {
        for seed in 0..if domain == Domain::PageCache { 300 } else { 150 } {
            check_history(domain, seed);
        }
    }
}

type Blocks = Vec<(PSlice<u8>, Vec<u8>)>;

fn check_history(domain: Domain, seed: u64) {
    let mut random = SplitMix(seed);
    let (mut segment, tape) = sized::<Root>(domain, pages(50), pages(200));
    let mut blocks: Blocks = Vec::new();
    for _ in 0..3 {
        let before: Content = content(&segment);
        let committed = blocks.clone();
        let mut tx = segment.begin().unwrap();
        let mut marks: Vec<(Savepoint, Blocks)> = Vec::new();
        let mut stale: Vec<Savepoint> = Vec::new();
        for _ in 0..random.below(60) {
            match random.below(10) {
                0 | 1 => marks.push((tx.savepoint().unwrap(), blocks.clone())),
                2 if !marks.is_empty() => {
                    let at = random.below(marks.len() as u64) as usize;
                    stale.extend(marks.drain(at + 1..).map(|(savepoint, _)| savepoint));
                    tx.rollback_to(&marks[at].0).unwrap();
                    blocks = marks[at].1.clone();
                }
                3 if !stale.is_empty() => {
                    let at = random.below(stale.len() as u64) as usize;
                    assert!(is_stale(&mut tx, &stale[at]), "seed {seed}");
                }
                4 | 5 => {
                    let len = [8, 40, 400, 3000, 9000, 30_000][random.below(6) as usize];
                    let fill = random.next() as u8;
                    if let Ok(slice) = tx.alloc_slice(&vec![fill; len]) {
                        blocks.push((slice, vec![fill; len]));
                    }
                }
                6 if !blocks.is_empty() => {
                    let at = random.below(blocks.len() as u64) as usize;
                    if tx.free_slice(blocks[at].0).is_ok() {
                        blocks.swap_remove(at);
                    }
                }
                _ if !blocks.is_empty() => {
                    let at = random.below(blocks.len() as u64) as usize;
                    let (slice, model) = &mut blocks[at];
                    let from = random.below(model.len() as u64) as usize;
                    let to = from + random.below((model.len() - from) as u64 + 1) as usize;
                    let fill = random.next() as u8;
                    if let Ok(bytes) = tx.slice_mut(slice.slice(from..to).unwrap()) {
                        bytes.fill(fill);
                        model[from..to].fill(fill);
                    }
                }
                _ => {}
            }
        }
        for (slice, model) in &blocks {
            assert_eq!(tx.slice(*slice).unwrap(), model, "{domain}: seed {seed}");
        }
        let crashed = tape.bytes();
        let again = reopen::<Root>(&crashed, domain).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!(content(&again), before, "{domain}: seed {seed}");
        if random.below(3) == 0 {
            tx.abort().unwrap();
            blocks = committed;
            assert_eq!(content(&segment), before, "{domain}: seed {seed}");
        } else {
            tx.commit().unwrap();
        }
        for (slice, model) in &blocks {
            assert_eq!(segment.slice(*slice).unwrap(), model, "{domain}: seed {seed}");
        }
        assert_eq!(segment.blocks().unwrap().len(), blocks.len() + 1);
        assert!(segment.check().unwrap().is_empty(), "{domain}: seed {seed}");
    }
}
