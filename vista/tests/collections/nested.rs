//! Collections of collections: what a value owns is freed with it, and audited with it, however deep.

use rio::{Buffer, Domain};
use vista::{
    Error, MAX_DEPTH, PBytes, PCell, POption, PSlab, PString, PVec, PVecDeque, Persistent, Segment,
    Transaction,
};

use crate::described::agrees;
use crate::history::segment;

type Tx<'s, R> = Transaction<'s, R, Buffer>;

/// Makes a root, looks at it, and releases it: then there is nothing left of it. An abort in between frees nothing.
fn check<R: Persistent>(
    make: impl Fn(&mut Tx<'_, R>) -> vista::Result<R>,
    look: impl Fn(&Segment<R, Buffer>) -> vista::Result<()>,
) {
    for domain in [Domain::PageCache, Domain::Adr] {
        let mut segment = segment::<R>(domain);
        make(&mut segment.begin().unwrap()).unwrap();
        assert_eq!(segment.blocks().unwrap().len(), 1, "made, and rolled back");
        segment.transaction(|tx| -> vista::Result<()> { Ok(*tx.root_mut()? = make(tx)?) }).unwrap();
        assert_eq!(agrees(&segment).violations, []);
        look(&segment).unwrap();

        let mut tx = segment.begin().unwrap();
        let root = *tx.root();
        tx.release(root).unwrap();
        tx.abort().unwrap();
        assert_eq!(segment.check_content().unwrap(), []);
        look(&segment).unwrap();

        let release = |tx: &mut Tx<'_, R>| -> vista::Result<()> {
            let root = *tx.root();
            *tx.root_mut()? = R::zeroed();
            tx.release(root)
        };
        segment.transaction(release).unwrap();
        assert_eq!(segment.blocks().unwrap().len(), 1, "everything is freed but the root");
        assert_eq!(segment.check_content().unwrap(), []);
    }
}

fn words<R: Persistent>(tx: &mut Tx<'_, R>, words: &[&str]) -> vista::Result<PVec<PString>> {
    let vec = PVec::new(tx)?;
    for word in words {
        let word = PString::new(tx, word)?;
        vec.push(tx, word)?;
    }
    Ok(vec)
}

#[test]
fn vectors_of_vectors_of_strings() {
    check::<PVec<PVec<PString>>>(
        |tx| {
            let lines = PVec::new(tx)?;
            for line in [&["a", "line", "of some words that are longer"][..], &[], &["", "ß"]] {
                let line = words(tx, line)?;
                lines.push(tx, line)?;
            }
            lines.push(tx, PVec::null())?;
            Ok(lines)
        },
        |segment| {
            let lines = segment.root()?.as_slice(segment)?;
            assert_eq!(lines[0].last(segment)?.unwrap().as_str(segment)?, "of some words that are longer");
            assert_eq!((lines.len(), lines[2].len(segment)?, lines[3].len(segment)?), (4, 2, 0));
            Ok(())
        },
    );
}

#[test]
fn queues_of_strings() {
    check::<PVecDeque<PString>>(
        |tx| {
            let queue = PVecDeque::new(tx)?;
            for n in 0..40 {
                let text = PString::new(tx, &n.to_string())?;
                if n % 2 == 0 { queue.push_back(tx, text)? } else { queue.push_front(tx, text)? }
            }
            let taken = queue.pop_front(tx)?.unwrap();
            assert_eq!(taken.as_str(tx)?, "39");
            tx.release(taken)?;
            queue.truncate(tx, 30)?; // Releases what is cut off.
            queue.retain(tx, |text| text.offset() % 32 == 0)?; // And what is not kept.
            let text = PString::new(tx, "last")?;
            queue.push_back(tx, text)?;
            Ok(queue)
        },
        |segment| {
            assert_eq!(segment.root()?.back(segment)?.unwrap().as_str(segment)?, "last");
            Ok(())
        },
    );
}

#[test]
fn an_option_of_a_cell_of_a_vector() {
    check::<POption<PCell<PVec<u8>>>>(
        |tx| {
            let bytes = PVec::from_slice(tx, b"bytes")?;
            let cell = PCell::new(tx, bytes)?;
            let option = POption::some(tx, cell)?;
            let other = PCell::new(tx, PVec::null())?;
            option.insert(tx, other)?; // Releases the one before.
            assert!(matches!(cell.into_inner(tx), Err(Error::DoubleFree { .. })));
            let bytes = PVec::from_slice(tx, b"others")?;
            other.set(tx, bytes)?;
            Ok(option)
        },
        |segment| {
            let cell = segment.root()?.get(segment)?.unwrap();
            assert_eq!(cell.get(segment)?.as_slice(segment)?, b"others");
            Ok(())
        },
    );
}

#[test]
fn a_slab_of_bytes() {
    check::<PSlab<PBytes>>(
        |tx| {
            let slab = PSlab::new(tx)?;
            for n in 0..20_u8 {
                let bytes = PBytes::from_slice(tx, &vec![n; usize::from(n) * 5])?;
                slab.insert(tx, bytes)?;
            }
            slab.retain(tx, |id, _| id % 3 == 0)?;
            Ok(slab)
        },
        |segment| {
            let slab = *segment.root()?;
            assert_eq!((slab.len(segment)?, slab.get(segment, 6)?.unwrap().len(segment)?), (7, 30));
            assert!(slab.get(segment, 7)?.is_none());
            Ok(())
        },
    );
    check::<PSlab<PBytes>>(
        |tx| {
            let slab = PSlab::new(tx)?;
            for _ in 0..2 {
                let bytes = PBytes::from_slice(tx, b"cleared")?;
                slab.insert(tx, bytes)?;
                slab.clear(tx)?;
            }
            Ok(slab)
        },
        |segment| Ok(assert!(segment.root()?.is_empty(segment)?)),
    );
}

/// A struct with collections for fields.
#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Library {
    name: PString,
    books: PSlab<Book>,
    wanted: PVecDeque<PString>,
    visits: [PVec<u32>; 2],
    note: POption<PBytes>,
    count: u64,
}

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Book {
    title: PString,
    authors: PVec<PString>,
}

#[test]
fn a_struct_whose_fields_are_collections() {
    check::<Library>(
        |tx| {
            let name = PString::new(tx, "library")?;
            let books = PSlab::new(tx)?;
            let title = PString::new(tx, "The Art of Computer Programming")?;
            let authors = words(tx, &["Knuth"])?;
            books.insert(tx, Book { title, authors })?;
            let visits = [PVec::from_slice(tx, &[1, 2])?, PVec::null()];
            let bytes = PBytes::from_slice(tx, b"note")?;
            let note = POption::some(tx, bytes)?;
            Ok(Library { name, books, wanted: PVecDeque::null(), visits, note, count: 3 })
        },
        |segment| {
            let Library { name, books, wanted, visits, note, count } = *segment.root()?;
            assert_eq!((name.as_str(segment)?, count), ("library", 3));
            let (id, book) = books.iter(segment)?.next().unwrap();
            assert_eq!((id, book.authors.first(segment)?.unwrap().as_str(segment)?), (0, "Knuth"));
            assert_eq!((visits[0].as_slice(segment)?, visits[1].len(segment)?), (&[1, 2][..], 0));
            assert!(wanted.is_empty(segment)? && note.is_some(segment)?);
            Ok(())
        },
    );
}

/// A tree: a value that owns values of its own type.
#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Node {
    name: u64,
    children: PVec<Node>,
}

/// A chain of so many nodes.
fn chain(tx: &mut Tx<'_, Node>, len: u32) -> vista::Result<Node> {
    let mut node = Node { name: 0, children: PVec::null() };
    for name in 1..len {
        let children = PVec::from_slice(tx, &[node, Node { name: 1000, children: PVec::null() }])?;
        node = Node { name: name.into(), children };
    }
    Ok(node)
}

#[test]
fn a_type_that_owns_its_own_kind() {
    check::<Node>(|tx| chain(tx, 10), |segment| Ok(assert_eq!(segment.root()?.children.len(segment)?, 2)));
    // As deep as is followed.
    check::<Node>(
        |tx| chain(tx, MAX_DEPTH + 1),
        |segment| Ok(assert_eq!(segment.root()?.name, u64::from(MAX_DEPTH))),
    );
}

#[test]
fn values_that_own_each_other_too_deep_are_an_error() {
    let mut segment = segment::<Node>(Domain::PageCache);
    let make =
        |tx: &mut Tx<'_, Node>| -> vista::Result<()> { Ok(*tx.root_mut()? = chain(tx, MAX_DEPTH + 2)?) };
    segment.transaction(make).unwrap();
    assert!(segment.check_content().unwrap().iter().any(|violation| violation.invariant == "INV-C3"));
    let result = segment.transaction(|tx| {
        let root = *tx.root();
        tx.release(root)
    });
    assert!(matches!(result, Err(Error::TooDeep { limit: MAX_DEPTH, .. })));
    // Step by step, as the error says: the children of the root, one after the other.
    let release = |tx: &mut Tx<'_, Node>| -> vista::Result<()> {
        let children = tx.root().children;
        *tx.root_mut()? = Node { name: 0, children: PVec::null() };
        while let Some(child) = children.pop(tx)? {
            tx.release(child)?;
        }
        tx.release(children)
    };
    segment.transaction(release).unwrap();
    assert_eq!(segment.check_content().unwrap(), []);
}
