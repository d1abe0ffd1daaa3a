//! No offset and no length, however damaged, makes pointer arithmetic panic, overflow, or wrap round.

use std::ops::Bound;

use proptest::prelude::*;
use vista::{PPtr, PSlice, Persistent, field};

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Account {
    id: u64,
    history: [i64; 12],
    owner: Owner,
}

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Owner {
    name: [u8; 20],
    since: u32,
}

/// Small values, values near the ends and near powers of two, and any others.
fn hostile() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..64u64,
        (0..64u64).prop_map(|less| u64::MAX - less),
        (0..64u32, -2..=2i64).prop_map(|(bit, off)| (1u64 << bit).wrapping_add_signed(off)),
        any::<u64>(),
    ]
}

fn bound() -> impl Strategy<Value = Bound<usize>> {
    let at = || hostile().prop_map(|at| at as usize);
    prop_oneof![at().prop_map(Bound::Included), at().prop_map(Bound::Excluded), Just(Bound::Unbounded)]
}

/// Compares with the same arithmetic in numbers too wide to overflow.
fn check_slice<T>(offset: u64, len: u64, index: usize, range: (Bound<usize>, Bound<usize>)) {
    let slice = PSlice::<T>::from_raw_parts(offset, len);
    let size = size_of::<T>() as u128;
    let most = if size == 0 { u64::MAX } else { u64::MAX / size as u64 };
    let len = len.min(most) as usize;
    let place = |index: usize| (offset as u128 + index as u128 * size).min(u64::MAX as u128) as u64;

    assert_eq!(slice.len(), len);
    assert_eq!(slice.is_empty(), len == 0);
    assert_eq!(slice.at(index).map(PPtr::offset), (index < len).then(|| place(index)));
    assert_eq!(slice.iter().len(), len);
    assert_eq!(slice.iter().next(), slice.at(0));
    assert_eq!(slice.iter().next_back(), len.checked_sub(1).and_then(|last| slice.at(last)));

    let start = match range.0 {
        Bound::Included(start) => start as u128,
        Bound::Excluded(before) => before as u128 + 1,
        Bound::Unbounded => 0,
    };
    let end = match range.1 {
        Bound::Included(last) => last as u128 + 1,
        Bound::Excluded(end) => end as u128,
        Bound::Unbounded => len as u128,
    };
    let expected = (start <= end && end <= len as u128)
        .then(|| PSlice::from_raw_parts(place(start as usize), (end - start) as u64));
    assert_eq!(slice.slice(range), expected);
}

proptest! {
    #[test]
    fn slices_saturate(
        offset in hostile(),
        len in hostile(),
        index in hostile(),
        range in (bound(), bound()),
    ) {
        let index = index as usize;
        check_slice::<()>(offset, len, index, range);
        check_slice::<u8>(offset, len, index, range);
        check_slice::<i64>(offset, len, index, range);
        check_slice::<Account>(offset, len, index, range);
        check_slice::<[u8; 3]>(offset, len, index, range);
    }

    #[test]
    fn short_slices_are_cut_as_slices_are(
        offset in 1..(1u64 << 40),
        len in 0..20usize,
        range in (0..24usize, 0..24usize),
    ) {
        let places: Vec<u64> = (0..len as u64).map(|index| offset + index * 8).collect();
        let slice = PSlice::<u64>::from_raw_parts(offset, len as u64);
        let of = |slice: PSlice<u64>| slice.iter().map(PPtr::offset).collect::<Vec<_>>();
        prop_assert_eq!(of(slice), places.clone());
        let range = range.0..range.1;
        let cut = slice.slice(range.clone()).map(of);
        prop_assert_eq!(cut, places.get(range).map(<[u64]>::to_vec));
    }

    #[test]
    fn fields_saturate(offset in hostile(), index in hostile()) {
        let account = PPtr::<Account>::from_offset(offset);
        let place = |distance: u64| if offset == 0 { 0 } else { offset.saturating_add(distance) };
        prop_assert_eq!(field!(account, Account, id).offset(), place(0));
        prop_assert_eq!(field!(account, Account, owner.since).offset(), place(124));
        let history = field!(account, Account, history);
        let expected = (index < 12).then(|| {
            // Element by element, because each step stops at the end by itself.
            if offset == 0 { 0 } else { place(8).saturating_add(index * 8) }
        });
        prop_assert_eq!(history.at(index as usize).map(PPtr::offset), expected);
        prop_assert_eq!(history.as_slice().len(), if offset == 0 { 0 } else { 12 });
        prop_assert_eq!(history.as_slice().as_ptr(), history.cast());
    }
}

#[test]
fn null_stays_null() {
    assert!(field!(PPtr::<Account>::null(), Account, owner).is_null());
    assert_eq!(PPtr::<[u64; 3]>::NULL.at(2), Some(PPtr::NULL));
    assert_eq!(PPtr::<[u64; 3]>::NULL.as_slice(), PSlice::empty());
    assert_eq!(PPtr::<Account>::default(), PPtr::NULL);
    assert_eq!(PSlice::<Account>::default(), bytemuck::Zeroable::zeroed());
}

#[test]
fn pointers_are_plain_data_whatever_they_point_to() {
    fn plain<T: Copy + Ord + std::hash::Hash + std::fmt::Debug + Default + Send + Sync>() {}
    plain::<PPtr<std::cell::Cell<*const u8>>>();
    plain::<PSlice<std::cell::Cell<*const u8>>>();
    assert_eq!(bytemuck::bytes_of(&PPtr::<Account>::from_offset(0x0102)), 0x0102u64.to_ne_bytes());
}

#[test]
fn they_show_their_target_and_offset() {
    let pointer = PPtr::<Account>::from_offset(0x2000);
    assert_eq!(format!("{pointer:?}"), "PPtr<Account>(0x2000)");
    assert_eq!(format!("{:?}", PPtr::<PPtr<[Owner; 3]>>::NULL), "PPtr<PPtr<[Owner; 3]>>(null)");
    assert_eq!(
        format!("{:?}", PSlice::<Option<Account>>::from_raw_parts(0x2000, 10)),
        "PSlice<Option<Account>>(0x2000; 10)"
    );
}
