//! Elements without bytes, and elements with an alignment of their own.

use rio::Domain;
use vista::{Error, PCell, POption, PSlab, PVec, PVecDeque, Persistent};

use crate::history::{LEN, segment};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Persistent)]
#[repr(C, align(256))]
pub(crate) struct Wide([u8; 256]);

pub(crate) fn wide(n: u8) -> Wide {
    Wide([n; 256])
}

/// Puts three elements into one of each collection, reads them, and takes them out again.
fn check<T: Persistent + PartialEq + std::fmt::Debug>(values: [T; 3]) {
    let [one, two, three] = values;
    for domain in [Domain::PageCache, Domain::Adr] {
        let mut vecs = segment::<PVec<T>>(domain);
        vecs.transaction(|tx| -> vista::Result<()> {
            let vec = PVec::or_new(tx, tx.root_ptr())?;
            vec.push(tx, two)?;
            vec.insert(tx, 0, one)?;
            vec.extend_from_slice(tx, &[three])?;
            assert_eq!(vec.as_slice(tx)?, values);
            vec.shrink_to_fit(tx)?;
            assert_eq!(vec.drain(tx, 1..)?, [two, three]);
            Ok(())
        })
        .unwrap();
        let vec = *vecs.root().unwrap();
        assert_eq!((vec.as_slice(&vecs).unwrap(), vecs.check_content().unwrap()), (&[one][..], vec![]));

        let mut deques = segment::<PVecDeque<T>>(domain);
        deques
            .transaction(|tx| -> vista::Result<()> {
                let deque = PVecDeque::or_new(tx, tx.root_ptr())?;
                deque.push_back(tx, three)?;
                deque.push_front(tx, one)?;
                deque.insert(tx, 1, two)?;
                assert_eq!(deque.make_contiguous(tx)?, values);
                deque.rotate_left(tx, 1)?;
                assert!(deque.iter(tx)?.eq(&[two, three, one]));
                deque.shrink_to_fit(tx)?;
                assert_eq!((deque.pop_front(tx)?, deque.pop_back(tx)?), (Some(two), Some(one)));
                Ok(())
            })
            .unwrap();
        let deque = *deques.root().unwrap();
        assert_eq!((deque.front(&deques).unwrap(), deques.check_content().unwrap()), (Some(&three), vec![]));

        let mut slabs = segment::<PSlab<T>>(domain);
        slabs
            .transaction(|tx| -> vista::Result<()> {
                let slab = PSlab::or_new(tx, tx.root_ptr())?;
                for (id, value) in (0..).zip(values) {
                    assert_eq!(slab.insert(tx, value)?, id);
                }
                slab.reserve(tx, 20)?;
                assert_eq!((slab.remove(tx, 1)?, slab.insert(tx, one)?), (two, 1));
                Ok(())
            })
            .unwrap();
        let slab = *slabs.root().unwrap();
        assert!(slab.iter(&slabs).unwrap().eq([(0, &one), (1, &one), (2, &three)]));
        assert_eq!(slabs.check_content().unwrap(), []);

        let mut options = segment::<POption<PCell<T>>>(domain);
        options
            .transaction(|tx| -> vista::Result<()> {
                let cell = PCell::new(tx, one)?;
                let option = POption::or_new(tx, tx.root_ptr())?;
                option.insert(tx, cell)?;
                cell.set(tx, two)
            })
            .unwrap();
        let cell = options.root().unwrap().get(&options).unwrap().unwrap();
        assert_eq!((*cell.get(&options).unwrap(), options.check_content().unwrap()), (two, vec![]));
        let mut plain = segment::<POption<T>>(domain);
        plain
            .transaction(|tx| -> vista::Result<()> {
                *tx.root_mut()? = POption::some(tx, three)?;
                Ok(())
            })
            .unwrap();
        assert_eq!(plain.root().unwrap().get(&plain).unwrap(), Some(&three));
        assert_eq!(plain.check_content().unwrap(), []);
    }
}

#[test]
fn elements_that_are_aligned_more_than_their_headers() {
    check([wide(1), wide(2), wide(3)]);
}

#[test]
fn elements_larger_than_a_page() {
    check([[1_u64; 700], [2; 700], [3; 700]]);
}

#[test]
fn elements_without_bytes() {
    check([(), (), ()]);
    check([[0_u64; 0]; 3]);
}

/// They take no memory, and are still not counted without end.
#[test]
fn there_are_as_many_elements_without_bytes_as_the_segment_has_bytes() {
    let mut segment = segment::<PVec<()>>(Domain::PageCache);
    let most = LEN as usize;
    segment
        .transaction(|tx| -> vista::Result<()> {
            let vec = PVec::or_new(tx, tx.root_ptr())?;
            vec.extend_from_slice(tx, &vec![(); most - 1])?;
            vec.push(tx, ())?;
            let is_full = |result: vista::Result<()>| matches!(result, Err(Error::NoSpace { .. }));
            assert!(is_full(vec.push(tx, ())) && is_full(vec.resize(tx, usize::MAX, ())));
            let deque = PVecDeque::from_slice(tx, &vec![(); most])?;
            assert!(is_full(deque.push_back(tx, ())) && is_full(deque.push_front(tx, ())));
            assert_eq!((vec.len(tx)?, deque.len(tx)?), (most, most));
            tx.release(deque)
        })
        .unwrap();
    assert_eq!(segment.check_content().unwrap(), []);
}
