//! The campaigns are seen to catch: a medium that loses one flush or fence of what the library asks for is found out,
//! whichever it is.

#![allow(unsafe_code)] // It implements the seam, by passing it on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crash_sim::{BoxError, Campaign, Model, Report, Sim};
use rio::{Domain, Medium};
use vista::{PPtr, Segment};

/// A medium that does not pass on the flush or fence of a number.
struct Forgetful {
    sim: Sim,
    count: Arc<AtomicUsize>,
    dropped: usize,
}

impl Forgetful {
    fn is_passed_on(&self) -> bool {
        self.count.fetch_add(1, Ordering::Relaxed) != self.dropped
    }
}

// SAFETY: all five promises are those of the medium below, to which every call is passed on. A flush or fence that is
// left out makes nothing less safe.
unsafe impl Medium for Forgetful {
    fn len(&self) -> u64 {
        self.sim.len()
    }

    fn read_base(&self) -> *const u8 {
        self.sim.read_base()
    }

    fn write_base(&self) -> *mut u8 {
        self.sim.write_base()
    }

    fn domain(&self) -> Domain {
        self.sim.domain()
    }

    fn flush(&self, offset: u64, len: u64) {
        if self.is_passed_on() {
            self.sim.flush(offset, len);
        }
    }

    fn fence(&self) {
        if self.is_passed_on() {
            self.sim.fence();
        }
    }

    fn max_len(&self) -> u64 {
        self.sim.max_len()
    }

    fn grow(&mut self, len: u64) -> Result<(), rio::Error> {
        self.sim.grow(len)
    }

    fn stored(&self, offset: u64, len: u64) {
        self.sim.stored(offset, len);
    }

    fn lent(&self, offset: u64, len: u64) {
        self.sim.lent(offset, len);
    }

    fn loaded(&self, offset: u64, len: u64) {
        self.sim.loaded(offset, len);
    }

    fn name(&self) -> String {
        self.sim.name()
    }
}

type Subject = Segment<[u64; 32], Forgetful>;

/// A transaction over two lines, twice, without the flush or fence of a number. How many there are.
fn explore(dropped: usize) -> (Report, usize) {
    let count = Arc::<AtomicUsize>::default();
    let counted = count.clone();
    let begun = count.clone();
    let report = Campaign::new(format!("forgetful-{dropped}"), 64 << 10)
        .create(move |sim| Segment::create_on(Forgetful { sim, count: count.clone(), dropped }, 4096))
        .open(|sim| Segment::open_on(Forgetful { sim, count: Arc::default(), dropped: usize::MAX }))
        .operations(2, move |subject: &mut Subject, n| -> Result<(), BoxError> {
            if n == 0 {
                begun.store(0, Ordering::Relaxed);
            }
            subject.transaction(|tx| -> vista::Result<()> {
                let start = tx.root_ptr().offset();
                let word = |index: u64| PPtr::<u64>::from_offset(start + 8 * index);
                let (a, b) = tx.get_disjoint_mut((word(0), word(16)))?;
                (*a, *b) = (*a + 1, *b + 1);
                Ok(())
            })?;
            Ok(())
        })
        .model(
            (0, 0),
            |(a, b), _| (*a, *b) = (*a + 1, *b + 1),
            |subject| {
                let root = subject.root().unwrap();
                (root[0], root[16])
            },
        )
        .explore(Model::Adr);
    (report, counted.load(Ordering::Relaxed))
}

#[test]
fn a_library_that_would_not_flush_is_caught() {
    let (report, count) = explore(usize::MAX);
    report.assert();
    assert!(count > 10, "{count} flushes and fences");
    let missed: Vec<usize> = (0..count).filter(|&dropped| explore(dropped).0.failure.is_none()).collect();
    assert_eq!(missed, [], "of {count} flushes and fences: {report}");
}
