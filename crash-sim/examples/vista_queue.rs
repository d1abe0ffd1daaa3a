//! A persistent queue on vista, with its crash test: an example for whoever builds a structure of their own.
//!
//! The queue knows nothing of crashes. Each operation is a transaction, and opening the segment takes back the one that
//! was cut off. It is generic over the [`Medium`]: a program uses it on a mapped file, [`Region`], and the crash test
//! on a [`Sim`]. Start at [`campaign`]; it is the whole test.
//!
//! `cargo run -p crash-sim --example vista_queue` uses the queue on a file, and then crashes it.

use std::collections::VecDeque;
use std::path::Path;

use crash_sim::{BoxError, Campaign, Model, Sim};
use rio::{Medium, Region};
use vista::{PPtr, Persistent, Segment};

/// The root of the segment.
#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Ends {
    first: PPtr<Node>,
    last: PPtr<Node>,
}

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Node {
    value: u64,
    next: PPtr<Node>,
}

/// A queue of numbers that outlives its process.
pub(crate) struct Queue<M: Medium = Region> {
    segment: Segment<Ends, M>,
}

impl Queue {
    fn open_or_create(path: &Path) -> vista::Result<Self> {
        Ok(Queue { segment: Segment::open_or_create(path, 1 << 20)? })
    }
}

impl<M: Medium> Queue<M> {
    fn create_on(medium: M) -> vista::Result<Self> {
        Ok(Queue { segment: Segment::create_on(medium, 4096)? })
    }

    fn open_on(medium: M) -> vista::Result<Self> {
        Ok(Queue { segment: Segment::open_on(medium)? })
    }

    fn push(&mut self, value: u64) -> vista::Result<()> {
        self.segment.transaction(|tx| {
            let last = tx.root().last;
            let new = tx.alloc(Node { value, next: PPtr::null() })?;
            if last.is_null() {
                tx.root_mut()?.first = new;
            } else {
                tx.get_mut(last)?.next = new;
            }
            tx.root_mut()?.last = new;
            Ok(())
        })
    }

    fn pop(&mut self) -> vista::Result<Option<u64>> {
        self.segment.transaction(|tx| {
            let first = tx.root().first;
            if first.is_null() {
                return Ok(None);
            }
            let Node { value, next } = *tx.get(first)?;
            let ends = tx.root_mut()?;
            ends.first = next;
            if next.is_null() {
                ends.last = next;
            }
            tx.free(first)?;
            Ok(Some(value))
        })
    }

    fn values(&self) -> vista::Result<VecDeque<u64>> {
        let mut values = VecDeque::new();
        let mut node = self.segment.root()?.first;
        while !node.is_null() {
            let Node { value, next } = *self.segment.get(node)?;
            values.push_back(value);
            node = next;
        }
        Ok(values)
    }

    fn close(self) -> vista::Result<()> {
        self.segment.close()
    }
}

/// The crash test: some operations, and what they do to an ordinary queue. After every crash the one must hold what the
/// other does, and nothing may have leaked: a block for the root, and one for each node.
pub(crate) fn campaign() -> Campaign<Queue<Sim>> {
    let is_pop = |n: usize| n == 2 || n == 3;
    let step = move |values: &mut VecDeque<u64>, n: usize| match is_pop(n) {
        true => assert!(values.pop_front().is_some()),
        false => values.push_back(n as u64),
    };
    Campaign::new("vista-queue", 64 << 10)
        .create(Queue::create_on)
        .open(Queue::open_on)
        .operations(5, move |queue, n| if is_pop(n) { queue.pop().map(drop) } else { queue.push(n as u64) })
        .model(VecDeque::new(), step, |queue| {
            let values = queue.values().unwrap();
            assert_eq!(queue.segment.blocks().unwrap().len(), values.len() + 1, "something leaked");
            values
        })
        .close(Queue::close)
}

fn main() -> Result<(), BoxError> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("queue");
    let mut queue = Queue::open_or_create(&path)?;
    queue.push(1)?;
    queue.push(2)?;
    drop(queue); // As a crash would: it was not closed.
    let mut queue = Queue::open_or_create(&path)?;
    println!("{:?} of {:?}\n", queue.pop()?, path.file_name());
    queue.close()?;

    println!("{}\n", campaign().explore(Model::Coherent));
    println!("{}", campaign().lazy().images_max(20_000).explore(Model::Adr));
    Ok(())
}
