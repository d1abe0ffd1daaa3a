//! The null handle reads as empty, and a write to it is an error: every method of every collection.

use std::collections::BTreeSet;

use rio::Domain;
use vista::{Error, PCell, PString, PVec, Persistent};

use crate::history::segment;
use crate::table::{self, Methods};

/// The methods that a source has.
fn methods(source: &str) -> BTreeSet<&str> {
    let named = source.lines().filter_map(|line| line.strip_prefix("    pub fn "));
    named.map(|rest| rest.split(['(', '<']).next().expect("a split has a first part")).collect()
}

fn check<C: Persistent>(methods_of: &Methods<C>) {
    let Methods { reads, writes, others, source } = methods_of;
    let mut segment = segment::<C>(Domain::PageCache);
    let mut tx = segment.begin().unwrap();
    for (name, read) in reads {
        assert!(read(&tx, C::zeroed()).unwrap(), "{name}");
    }
    for (name, write) in writes {
        // An index is looked at only where there is something.
        assert!(matches!(write(&mut tx, C::zeroed()), Err(Error::NullPointer { .. })), "{name}");
    }
    tx.release(C::zeroed()).unwrap();
    drop(tx);
    assert_eq!(segment.check_content().unwrap(), []);
    let named = reads.iter().map(|(name, _)| *name).chain(writes.iter().map(|(name, _)| *name));
    let told: BTreeSet<_> = named.chain(others.iter().copied()).collect();
    assert_eq!(told, methods(source), "left: the table; right: the source");
}

#[test]
fn the_null_handle_reads_as_empty_and_cannot_be_written_to() {
    check(&table::vec::<PString>());
    check(&table::deque::<PString>());
    check(&table::slab::<PString>());
    check(&table::option::<PString>());
    check(&table::bytes());
    check(&table::string());
}

/// There is no empty value that a reference could lead to.
#[test]
fn a_null_cell_cannot_be_read_either() {
    let mut cell = table::cell::<PVec<u8>>();
    let mut segment = segment::<PCell<PVec<u8>>>(Domain::PageCache);
    let tx = segment.begin().unwrap();
    for (name, read) in std::mem::take(&mut cell.reads) {
        assert!(matches!(read(&tx, PCell::null()), Err(Error::NullPointer { .. })), "{name}");
        cell.others = &["new", "or_new", "get"];
    }
    drop(tx);
    check(&cell);
}

#[test]
fn what_asks_for_more_of_its_elements_does_so_too() {
    let mut segment = segment::<PVec<u64>>(Domain::PageCache);
    let mut tx = segment.begin().unwrap();
    let null = PVec::<u64>::null();
    assert!(!null.contains(&tx, &1).unwrap() && !vista::PVecDeque::<u64>::null().contains(&tx, &1).unwrap());
    assert!(matches!(null.sort(&mut tx), Err(Error::NullPointer { .. })));
    assert!(vista::PBytes::null().duplicate(&mut tx).unwrap().is_empty(&tx).unwrap());
    assert!(PString::null().duplicate(&mut tx).unwrap().is_empty(&tx).unwrap());
    assert!(format!("{null:?}").contains("null") && null.is_null() && null.ptr_eq(PVec::default()));
}
