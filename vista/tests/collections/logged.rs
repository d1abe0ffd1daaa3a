//! What each operation logs, in bytes: the figures of the table in `collections.rs`.

#![allow(unsafe_code)] // It looks at the log of an open transaction.

use rio::{Buffer, Domain, Medium};
use vista::layout::{LOG_EMPTY, LOG_OFFSET, LOG_RECORDS};
use vista::{PBytes, PCell, POption, PSlab, PString, PVec, PVecDeque, Persistent, Segment, Transaction};

use crate::history::LEN;

/// One of each, all with room.
#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Root {
    vec: PVec<u64>,
    deque: PVecDeque<u64>,
    slab: PSlab<u64>,
    bytes: PBytes,
    text: PString,
    cell: PCell<u64>,
    option: POption<u64>,
}

type Tx<'s> = Transaction<'s, Root, Buffer>;

/// A segment, and where its log tells where it ends; see section 6 of docs/FORMAT.md.
struct Subject {
    segment: Segment<Root, Buffer>,
    state: *const u64,
}

impl Subject {
    fn new() -> Self {
        let buffer = Buffer::new(LEN, LEN).with_domain(Domain::PageCache);
        // SAFETY: the log's header lies inside.
        let state = unsafe { buffer.read_base().add(LOG_OFFSET as usize) }.cast();
        let mut segment: Segment<Root, Buffer> = Segment::create_on(buffer, 1 << 14).unwrap();
        let fill = |tx: &mut Tx<'_>| -> vista::Result<()> {
            let root = Root {
                vec: PVec::with_capacity(tx, 100)?,
                deque: PVecDeque::with_capacity(tx, 100)?,
                slab: PSlab::with_capacity(tx, 100)?,
                bytes: PBytes::with_capacity(tx, 100)?,
                text: PString::with_capacity(tx, 100)?,
                cell: PCell::new(tx, 1)?,
                option: POption::none(tx)?,
            };
            Ok(*tx.root_mut()? = root)
        };
        segment.transaction(fill).unwrap();
        Subject { segment, state }
    }

    /// Bytes of records that an operation leaves in the log: payloads, in whole words, and 16 bytes of footer for each.
    fn logged<T>(&mut self, operation: impl FnOnce(&mut Tx<'_>, Root) -> vista::Result<T>) -> u64 {
        let mut tx = self.segment.begin().unwrap();
        let root = *tx.root();
        operation(&mut tx, root).unwrap();
        // SAFETY: (1) the segment keeps the buffer, which does not move. (2) Nobody stores meanwhile.
        let state = unsafe { self.state.read_volatile() };
        tx.commit().unwrap();
        assert_eq!(self.segment.check_content().unwrap(), []);
        let value = state & ((1 << 42) - 1);
        if state == LOG_EMPTY { 0 } else { ((value & !1) << 2).saturating_sub(LOG_OFFSET + LOG_RECORDS) }
    }
}

/// A record of so many bytes.
fn record(len: u64) -> u64 {
    len.next_multiple_of(8) + 16
}

#[test]
fn reading_logs_nothing() {
    let mut subject = Subject::new();
    assert_eq!(subject.logged(|tx, root| root.vec.get(tx, 0).map(drop)), 0);
    assert_eq!(subject.logged(|tx, root| root.deque.front(tx).map(drop)), 0);
    assert_eq!(subject.logged(|tx, root| root.slab.get(tx, 0).map(drop)), 0);
    assert_eq!(subject.logged(|tx, root| root.text.as_str(tx).map(drop)), 0);
    assert_eq!(subject.logged(|tx, root| root.cell.get(tx).map(drop)), 0);
    assert_eq!(subject.logged(|tx, root| root.option.get(tx).map(drop)), 0);
}

#[test]
fn what_a_vector_logs() {
    let mut s = Subject::new();
    assert_eq!(s.logged(|tx, root| root.vec.push(tx, 1)), record(8), "24: the length");
    assert_eq!(s.logged(|tx, root| root.vec.extend_from_slice(tx, &[2; 50])), record(8), "24");
    assert_eq!(s.logged(|tx, root| root.vec.pop(tx)), record(8), "24: the length");
    assert_eq!(s.logged(|tx, root| root.vec.push(tx, 1)), record(8), "24, where an element stood before");
    let pop_and_push = |tx: &mut Tx<'_>, root: Root| {
        root.vec.pop(tx)?;
        root.vec.push(tx, 1)
    };
    assert_eq!(
        s.logged(pop_and_push),
        3 * record(8),
        "72: the place too, which counted when the transaction began"
    );
    assert_eq!(s.logged(|tx, root| root.vec.set(tx, 3, 1)), record(8), "24: the element");
    assert_eq!(s.logged(|tx, root| root.vec.get_mut(tx, 3).map(drop)), record(8), "24");
    assert_eq!(s.logged(|tx, root| root.vec.swap(tx, 3, 4)), 2 * record(8), "48");
    assert_eq!(s.logged(|tx, root| root.vec.swap_remove(tx, 3)), 2 * record(8), "48");
    // Of 50, from 10 on.
    assert_eq!(
        s.logged(|tx, root| root.vec.remove(tx, 10)),
        record(39 * 8) + record(8),
        "what moves, the length"
    );
    let insert = record(8) + record(38 * 8) + record(8);
    assert_eq!(
        s.logged(|tx, root| root.vec.insert(tx, 10, 1)),
        insert,
        "the last is pushed, the others move"
    );
    assert_eq!(s.logged(|tx, root| root.vec.truncate(tx, 20)), record(8), "24");
    assert_eq!(s.logged(|tx, root| root.vec.clear(tx)), record(8), "24");
}

#[test]
fn what_a_queue_logs() {
    let mut s = Subject::new();
    assert_eq!(s.logged(|tx, root| root.deque.push_back(tx, 1)), record(8), "24: the counter");
    assert_eq!(s.logged(|tx, root| root.deque.push_front(tx, 1)), record(8), "24");
    assert_eq!(s.logged(|tx, root| root.deque.pop_front(tx)), record(8), "24: the counter");
    assert_eq!(s.logged(|tx, root| root.deque.pop_back(tx)), record(8), "24");
    assert_eq!(s.logged(|tx, root| root.deque.extend_from_slice(tx, &[2; 50])), record(8), "24");
    let around = |tx: &mut Tx<'_>, root: Root| {
        root.deque.pop_back(tx)?;
        root.deque.push_back(tx, 1)
    };
    assert_eq!(
        s.logged(around),
        3 * record(8),
        "72: the place too, which counted when the transaction began"
    );
    assert_eq!(s.logged(|tx, root| root.deque.set(tx, 3, 1)), record(8), "24");
    let insert = record(10 * 8) + 2 * record(8);
    assert_eq!(s.logged(|tx, root| root.deque.insert(tx, 40, 1)), insert, "what moves, on the shorter side");
    assert_eq!(s.logged(|tx, root| root.deque.remove(tx, 41)), record(9 * 8) + record(8));
    assert_eq!(s.logged(|tx, root| root.deque.rotate_left(tx, 3)), record(3 * 8) + record(16));
    assert_eq!(s.logged(|tx, root| root.deque.clear(tx)), record(8), "24");
}

#[test]
fn what_a_slab_logs() {
    let mut s = Subject::new();
    assert_eq!(s.logged(|tx, root| root.slab.insert(tx, 1)), record(16), "32: the counts");
    assert_eq!(s.logged(|tx, root| root.slab.insert(tx, 2)), record(16), "32");
    assert_eq!(
        s.logged(|tx, root| root.slab.remove(tx, 0)),
        record(8) + record(16),
        "56: the link, two words of header"
    );
    let again = record(8) + record(16);
    assert_eq!(s.logged(|tx, root| root.slab.insert(tx, 3)), again, "56: the link, two words of header");
    assert_eq!(s.logged(|tx, root| root.slab.get_mut(tx, 0).map(drop)), record(8), "24");
    assert_eq!(s.logged(|tx, root| root.slab.clear(tx)), record(24), "40");
}

#[test]
fn what_a_string_logs() {
    let mut s = Subject::new();
    assert_eq!(s.logged(|tx, root| root.bytes.push(tx, 1)), record(4), "24: the length");
    assert_eq!(s.logged(|tx, root| root.bytes.pop(tx)), record(4), "24: the length");
    assert_eq!(s.logged(|tx, root| root.bytes.extend_from_slice(tx, &[2; 20])), record(4), "24");
    assert_eq!(
        s.logged(|tx, root| root.bytes.drain(tx, 5..10)),
        record(10) + record(4),
        "what moves, the length"
    );
    assert_eq!(s.logged(|tx, root| root.bytes.set(tx, b"other")), record(5) + record(4), "48");
    assert_eq!(s.logged(|tx, root| root.text.push_str(tx, "some text")), record(4), "24");
    assert_eq!(s.logged(|tx, root| root.text.truncate(tx, 4)), record(4), "24");
}

#[test]
fn what_cells_and_options_log() {
    let mut s = Subject::new();
    assert_eq!(s.logged(|tx, root| root.cell.set(tx, 2)), record(8), "24");
    assert_eq!(s.logged(|tx, root| root.cell.get_mut(tx).map(drop)), record(8), "24");
    assert_eq!(s.logged(|tx, root| root.option.replace(tx, 1)), record(8), "24: whether there is a value");
    assert_eq!(s.logged(|tx, root| root.option.replace(tx, 2)), record(8), "24: the value");
    assert_eq!(s.logged(|tx, root| root.option.take(tx)), record(8), "24: whether there is a value");
}

/// Growing copies into memory that is not logged: what is left are the heap's descriptors and the header.
#[test]
fn a_growth_logs_no_element() {
    let mut s = Subject::new();
    s.logged(|tx, root| {
        root.vec.extend(tx, 0..1000)?;
        root.deque.extend(tx, 0..1024)?;
        root.slab.reserve(tx, 1000)?;
        (0..1000).try_for_each(|n| root.slab.insert(tx, n).map(drop))?;
        root.bytes.resize(tx, 8000, 1)
    });
    let root = *s.segment.root().unwrap();
    let capacities = [
        root.vec.capacity(&s.segment).unwrap(),
        root.deque.capacity(&s.segment).unwrap(),
        root.slab.capacity(&s.segment).unwrap(),
        root.bytes.capacity(&s.segment).unwrap(),
    ];
    assert_eq!(capacities, [1000, 1024, 1000, 8000], "all are full");
    let grown = [
        s.logged(|tx, root| root.vec.push(tx, 1)),
        s.logged(|tx, root| root.deque.push_back(tx, 1)),
        s.logged(|tx, root| root.slab.insert(tx, 1)),
        s.logged(|tx, root| root.bytes.push(tx, 1)),
    ];
    assert!(grown.iter().all(|&len| len < 4000), "{grown:?} of 8000 bytes each");
}
