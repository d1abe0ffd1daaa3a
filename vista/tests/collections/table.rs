//! Every method of the collections that reads, and every one that writes, as tables. Start at [`Methods`].

use rio::Buffer;
use vista::{PBytes, PCell, POption, PSlab, PString, PVec, PVecDeque, Persistent, Transaction};

pub(crate) type Tx<'s, C> = Transaction<'s, C, Buffer>;

/// Reads something, and tells whether it is what an empty collection has.
pub(crate) type Read<C> = fn(&Tx<'_, C>, C) -> vista::Result<bool>;

/// Writes something.
pub(crate) type Write<C> = fn(&mut Tx<'_, C>, C) -> vista::Result<()>;

/// The methods of a collection, by name.
pub(crate) struct Methods<C: Persistent> {
    pub(crate) reads: Vec<(&'static str, Read<C>)>,
    pub(crate) writes: Vec<(&'static str, Write<C>)>,
    /// Those that need no table: they make one, or ask nothing of the segment.
    pub(crate) others: &'static [&'static str],
    pub(crate) source: &'static str,
}

/// A method that reads, and what is to be true of what an empty one gives.
macro_rules! read {
    ($name:ident($($argument:expr),*), $is_empty:expr) => {
        (stringify!($name), |on, it| it.$name(on $(, $argument)*).map($is_empty))
    };
}

/// A method that writes.
macro_rules! write {
    ($name:ident($($argument:expr),*)) => {
        (stringify!($name), |tx, it| it.$name(tx $(, $argument)*).map(drop))
    };
}

pub(crate) fn vec<T: Persistent>() -> Methods<PVec<T>> {
    Methods {
        reads: vec![
            read!(len(), |len| len == 0),
            read!(is_empty(), |is_empty| is_empty),
            read!(capacity(), |capacity| capacity == 0),
            read!(as_slice(), <[T]>::is_empty),
            read!(iter(), |mut all| all.next().is_none()),
            read!(get(0), |first| first.is_none()),
            read!(get(3), |other| other.is_none()),
            read!(get(usize::MAX), |other| other.is_none()),
            read!(place(0), |place| place.is_none()),
            read!(first(), |first| first.is_none()),
            read!(last(), |last| last.is_none()),
        ],
        writes: vec![
            write!(get_mut(0)),
            write!(get_mut(usize::MAX)),
            ("as_mut_slice", |tx, it| it.as_mut_slice(tx).map(|all| all.fill(T::zeroed()))),
            write!(set(1, T::zeroed())),
            write!(swap(0, 1)),
            write!(push(T::zeroed())),
            write!(pop()),
            write!(extend_from_slice(&[T::zeroed(); 20])),
            write!(extend_from_slice(&[])),
            write!(extend(std::iter::repeat_n(T::zeroed(), 20))),
            write!(insert(0, T::zeroed())),
            write!(insert(usize::MAX, T::zeroed())),
            write!(remove(0)),
            write!(remove(usize::MAX)),
            write!(swap_remove(0)),
            write!(truncate(1)),
            write!(clear()),
            write!(resize(2, T::zeroed())),
            write!(resize(100, T::zeroed())),
            write!(retain(|_| false)),
            write!(retain(|_| true)),
            write!(drain(..)),
            write!(drain(1..=2)),
            write!(drain(..=usize::MAX)),
            write!(reserve(10)),
            write!(reserve(usize::MAX)),
            write!(shrink_to_fit()),
        ],
        others: &["new", "with_capacity", "from_slice", "or_new", "contains", "sort"],
        source: include_str!("../../src/collections/vec.rs"),
    }
}

pub(crate) fn deque<T: Persistent>() -> Methods<PVecDeque<T>> {
    Methods {
        reads: vec![
            read!(len(), |len| len == 0),
            read!(is_empty(), |is_empty| is_empty),
            read!(capacity(), |capacity| capacity == 0),
            read!(as_slices(), |(front, back)| front.is_empty() && back.is_empty()),
            read!(iter(), |mut all| all.next_back().is_none() && all.count() == 0),
            read!(get(0), |first| first.is_none()),
            read!(get(usize::MAX), |other| other.is_none()),
            read!(place(0), |place| place.is_none()),
            read!(front(), |front| front.is_none()),
            read!(back(), |back| back.is_none()),
        ],
        writes: vec![
            write!(get_mut(0)),
            write!(get_mut(usize::MAX)),
            write!(front_mut()),
            write!(back_mut()),
            write!(set(1, T::zeroed())),
            write!(swap(0, 1)),
            write!(push_back(T::zeroed())),
            write!(push_front(T::zeroed())),
            write!(pop_front()),
            write!(pop_back()),
            write!(extend_from_slice(&[T::zeroed(); 20])),
            write!(extend_from_slice(&[])),
            write!(extend(std::iter::repeat_n(T::zeroed(), 20))),
            write!(insert(1, T::zeroed())),
            write!(insert(2, T::zeroed())),
            write!(insert(usize::MAX, T::zeroed())),
            write!(remove(0)),
            write!(remove(2)),
            write!(remove(usize::MAX)),
            write!(truncate(1)),
            write!(clear()),
            write!(retain(|_| false)),
            write!(retain(|_| true)),
            write!(drain(..)),
            write!(drain(1..=2)),
            write!(drain(..=usize::MAX)),
            write!(rotate_left(1)),
            write!(rotate_left(2)),
            write!(rotate_left(usize::MAX)),
            write!(rotate_right(1)),
            ("make_contiguous", |tx, it| it.make_contiguous(tx).map(|all| all.fill(T::zeroed()))),
            write!(reserve(10)),
            write!(reserve(usize::MAX)),
            write!(shrink_to_fit()),
        ],
        others: &["new", "with_capacity", "from_slice", "or_new", "contains"],
        source: include_str!("../../src/collections/vec_deque.rs"),
    }
}

pub(crate) fn slab<T: Persistent>() -> Methods<PSlab<T>> {
    Methods {
        reads: vec![
            read!(len(), |len| len == 0),
            read!(is_empty(), |is_empty| is_empty),
            read!(capacity(), |capacity| capacity == 0),
            read!(vacant_key(), |id| id == 0),
            read!(place(0), |place| place.is_none()),
            read!(get(0), |value| value.is_none()),
            read!(get(1), |value| value.is_none()),
            read!(get(u64::MAX), |value| value.is_none()),
            read!(contains(0), |is_there| !is_there),
            read!(iter(), |mut all| all.next_back().is_none() && all.count() == 0),
        ],
        writes: vec![
            write!(get_mut(0)),
            write!(get_mut(u64::MAX)),
            write!(insert(T::zeroed())),
            ("insert", |tx, it| (0..20).try_for_each(|_| it.insert(tx, T::zeroed()).map(drop))),
            write!(set(0, T::zeroed())),
            write!(set(u64::MAX, T::zeroed())),
            write!(remove(0)),
            write!(remove(1)),
            write!(remove(u64::MAX)),
            write!(try_remove(0)),
            ("try_remove", |tx, it| (0..20).try_for_each(|id| it.try_remove(tx, id).map(drop))),
            write!(retain(|_, _| false)),
            write!(retain(|_, _| true)),
            write!(drain()),
            write!(clear()),
            write!(reserve(10)),
            write!(reserve(usize::MAX)),
        ],
        others: &["new", "with_capacity", "or_new"],
        source: include_str!("../../src/collections/slab.rs"),
    }
}

pub(crate) fn cell<T: Persistent>() -> Methods<PCell<T>> {
    Methods {
        reads: vec![("get", |on, it| it.get(on).map(|_| true))],
        writes: vec![
            write!(get_mut()),
            write!(set(T::zeroed())),
            write!(replace(T::zeroed())),
            write!(take()),
            ("swap", |tx, it| it.swap(tx, it)),
            write!(update(|value| value)),
            write!(into_inner()),
        ],
        others: &["new", "or_new"],
        source: include_str!("../../src/collections/cell.rs"),
    }
}

pub(crate) fn option<T: Persistent>() -> Methods<POption<T>> {
    Methods {
        reads: vec![
            read!(is_some(), |is_some| !is_some),
            read!(is_none(), |is_none| is_none),
            read!(place(), |place| place.is_none()),
            read!(get(), |value| value.is_none()),
        ],
        writes: vec![
            write!(get_mut()),
            write!(set(None)),
            write!(set(Some(T::zeroed()))),
            write!(replace(T::zeroed())),
            write!(take()),
            write!(insert(T::zeroed())),
            write!(clear()),
            write!(get_or_insert(T::zeroed())),
            write!(get_or_insert_with(|_| Ok(T::zeroed()))),
        ],
        others: &["new", "none", "some", "or_new"],
        source: include_str!("../../src/collections/option.rs"),
    }
}

pub(crate) fn bytes() -> Methods<PBytes> {
    Methods {
        reads: vec![
            read!(as_slice(), <[u8]>::is_empty),
            read!(len(), |len| len == 0),
            read!(is_empty(), |is_empty| is_empty),
            read!(capacity(), |capacity| capacity == 0),
            read!(get(0), |byte| byte.is_none()),
            read!(get(usize::MAX), |byte| byte.is_none()),
            read!(first(), |byte| byte.is_none()),
            read!(last(), |byte| byte.is_none()),
            read!(contains(7), |is_there| !is_there),
            read!(starts_with(b"a"), |is_so| !is_so),
            read!(ends_with(b"a"), |is_so| !is_so),
        ],
        writes: vec![
            ("as_mut_slice", |tx, it| it.as_mut_slice(tx).map(|all| all.fill(1))),
            write!(push(1)),
            write!(pop()),
            write!(extend_from_slice(&[2; 50])),
            write!(extend_from_slice(&[])),
            write!(insert_slice(0, b"abc")),
            write!(insert_slice(usize::MAX, b"abc")),
            write!(drain(..)),
            write!(drain(1..=2)),
            write!(drain(..=usize::MAX)),
            write!(truncate(1)),
            write!(clear()),
            write!(resize(2, 3)),
            write!(resize(100, 3)),
            write!(resize(usize::MAX, 3)),
            write!(set(b"set")),
            write!(set(&[4; 50])),
            write!(reserve(100)),
            write!(reserve(usize::MAX)),
            write!(shrink_to_fit()),
        ],
        others: &["new", "with_capacity", "from_slice", "or_new", "duplicate"],
        source: include_str!("../../src/collections/bytes.rs"),
    }
}

pub(crate) fn string() -> Methods<PString> {
    Methods {
        reads: vec![
            read!(as_str(), str::is_empty),
            read!(as_bytes(), <[u8]>::is_empty),
            read!(len(), |len| len == 0),
            read!(is_empty(), |is_empty| is_empty),
            read!(capacity(), |capacity| capacity == 0),
            read!(is_char_boundary(1), |is_so| !is_so),
        ],
        writes: vec![
            write!(push('ß')),
            write!(push_str("some text that is longer than what there is room for")),
            write!(pop()),
            write!(insert(0, 'ß')),
            write!(insert_str(1, "text")),
            write!(insert_str(usize::MAX, "text")),
            write!(drain(..)),
            write!(drain(1..=2)),
            write!(drain(..=usize::MAX)),
            write!(remove(0)),
            write!(remove(usize::MAX)),
            write!(truncate(1)),
            write!(clear()),
            write!(set("set")),
            write!(reserve(100)),
            write!(reserve(usize::MAX)),
            write!(shrink_to_fit()),
        ],
        others: &["new", "with_capacity", "or_new", "duplicate"],
        source: include_str!("../../src/collections/string.rs"),
    }
}
