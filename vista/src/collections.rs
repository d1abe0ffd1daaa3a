//! Collections that live in a segment: what std has, durable.
//!
//! | here | in std | memory |
//! |---|---|---|
//! | [`PVec<T>`] | `Vec<T>` | one header, one array |
//! | [`PString`], [`PBytes`] | `String`, `Vec<u8>` | one block, while it does not outgrow it |
//! | [`PHashMap<K, V>`] | `HashMap<K, V>` | open addressing, grown step by step |
//! | [`PBTreeMap<K, V>`] | `BTreeMap<K, V>` | wide nodes whose entries do not move |
//! | [`PVecDeque<T>`] | `VecDeque<T>` | one header, one ring |
//! | [`PSlab<T>`] | the `slab` crate's `Slab<T>` | values that keep their number |
//! | [`PCell<T>`] | `Box<T>` | one block |
//! | [`POption<T>`] | `Option<Box<T>>` | one block |
//!
//! # Handles
//! Each is a *handle*: 8 bytes, `Copy`, plain data, and so a field or an element of any other persistent type:
//! `PHashMap<PString, PVec<u64>>` is a map from words to lists. A copy of a handle is the same collection, not another.
//! The null handle, all zero, is a collection that was never made: it reads as empty, and a write to it is
//! [`Error::NullPointer`](crate::Error::NullPointer). `new` makes one, and `or_new` makes the one that a field is to hold,
//! if it holds none yet.
//!
//! ```
//! use vista::{Error, PString, PVec, SegmentOptions};
//!
//! let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<[PVec<PString>; 2]>()?;
//! segment.transaction(|tx| -> vista::Result<()> {
//!     let [names, _] = *tx.root();
//!     assert!(names.is_null() && names.offset() == 0 && names.is_empty(tx)?);
//!     let ada = PString::new(tx, "Ada")?;
//!     assert!(matches!(names.push(tx, ada), Err(Error::NullPointer { .. })));
//!
//!     let names = PVec::new(tx)?;
//!     names.push(tx, ada)?;
//!     *tx.root_mut()? = [names, PVec::null()];
//!     let same = tx.root()[0];
//!     same.push(tx, PString::null())?; // An empty one.
//!     assert!(same.ptr_eq(names) && names.len(tx)? == 2);
//!     Ok(())
//! })?;
//! # Ok::<_, vista::Error>(())
//! ```
//!
//! Nothing is freed when a handle is overwritten. [`release`](crate::Transaction::release) frees a collection with
//! everything in it, also the collections among its elements; forgetting it leaks, which
//! [`check_content`](crate::Segment::check_content) shows.
//!
//! # Reading and writing
//! Reading takes a [`Reader`](crate::Reader): a segment, or a transaction. Writing takes a [`Writer`](crate::Writer): a
//! transaction. What was lent by reading borrows the reader, so that iterating while a transaction changes anything does
//! not compile.
//!
//! # Errors
//! Names and meaning are std's, with one difference, the same everywhere: *nothing panics*. Where std would (an index out
//! of bounds), the result is [`Error::OutOfBounds`](crate::Error::OutOfBounds); every access can also meet damage
//! ([`Error::Damaged`](crate::Error::Damaged), [`Error::BadPointer`](crate::Error::BadPointer)), because what a file holds
//! is checked when it is followed. A method that returns an error in the middle of a transaction may have changed a
//! part, which the transaction's rollback takes back: go on only behind a [savepoint](crate::Transaction::nested), or
//! end it.
//!
//! # What an operation logs
//! The log is what a write costs: bytes are copied into it, and in an ordered domain flushed. In bytes, for elements of 8
//! bytes, where there is room; 16 of each record are its footer.
//!
//! | collection | operation | records | bytes |
//! |---|---|---|---|
//! | any | reading | none | 0 |
//! | `PVec` | `push`; `extend_from_slice`, whatever its length | the length | 24 |
//! | | `pop`, `truncate`, `clear` | the length | 24 |
//! | | `set`, `get_mut` | the element | 24 |
//! | | `remove`, `drain` | what moves, the length | 40 + 8 for each that moves |
//! | `PVecDeque` | `push_back`, `push_front`; `extend_from_slice` | a counter | 24 |
//! | | `pop_front`, `pop_back`, `truncate`, `clear` | a counter | 24 |
//! | | `insert` | what moves, the place, a counter | 64 + 8 for each that moves |
//! | `PSlab` | `insert` into a slot that was never used | two words of header | 32 |
//! | | `insert` into one that was | its link, two words of header | 56 |
//! | | `remove` | the link, two words of header | 56 |
//! | `PBytes`, `PString` | `extend_from_slice`, `push_str` | the length | 24 |
//! | | `pop`, `truncate`, `clear` | the length | 24 |
//! | `PCell` | `set`, `get_mut`, `take` | the value | 24 |
//! | `POption` | `replace` | the value; or whether there is one, if there was none | 24 |
//! | | `take` | whether there is one | 24 |
//! | `PHashMap` | `insert` of a new key | the control word of its group, two counts | 56 |
//! | | `insert` over a value, `get_mut` | the value | 24 |
//! | | `remove` | the control word, two counts | 56 |
//! | `PBTreeMap` | `insert` of a new key, `remove` | the order of a leaf, a count | 80 |
//! | | `insert` over a value, `get_mut` | the value | 24 |
//!
//! What comes to stand where nothing stands is not logged, as long as its collection (a map: that group or leaf) has given up
//! no place in the same transaction; behind a removal it is, since a rollback may have to bring back what stood there.
//!
//! Tests (`vista/tests/collections/logged.rs`, `hash_map/steps.rs` and `btree_map/log.rs` beside it) count them. Growing logs the header and what
//! the heap changes in its own metadata, not the elements; how a hash map grows, [it](PHashMap) tells itself.
//!
//! What is damaged may also say of bytes in use that nothing stands there; a write then spoils them, and its rollback does
//! not bring them back. [`check_content`](crate::Segment::check_content) finds damage before it spreads.
//!
//! # What a crash leaves
//! Each operation is part of a transaction: after a crash all of it is there or nothing. That holds for its memory too:
//! blocks that were allocated are free again, and blocks that were freed are not.

pub mod layout; // their headers on the medium
mod handle; // 8 bytes that name a collection
mod key; // what maps are searched by
pub(crate) mod erased; // where things lie, by sizes alone
pub(crate) mod audit; // whether a collection is sound
mod vec; // PVec
mod bytes; // PBytes
mod string; // PString
pub mod vec_deque; // PVecDeque, its iterator
pub mod slab; // PSlab, its iterator
mod cell; // PCell
mod option; // POption
pub mod btree_map; // PBTreeMap, its iterators and entries
pub mod hash_map; // PHashMap, PHashSet

pub use btree_map::PBTreeMap;
pub use bytes::PBytes;
pub use cell::PCell;
pub use hash_map::{PHashMap, PHashSet};
pub use key::Key;
pub use option::POption;
pub use slab::PSlab;
pub use string::PString;
pub use vec::PVec;
pub use vec_deque::PVecDeque;
