//! A transaction: the only way to write to a segment.
//!
//! Every call that lends `&mut` logs the before-image first; dropping a transaction rolls it back. Start at
//! [`Transaction::get_mut`].

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;

use rio::{Medium, Region};

use crate::batch::Batch;
use crate::core::Core;
use crate::error::Result;
use crate::space::Place;
use crate::undo::Mark;
use crate::{Error, PPtr, PSlice, Persistent};

/// Changes to a segment that become durable together or not at all.
///
/// Made by [`Segment::transaction`](crate::Segment::transaction), which commits when its closure returns `Ok`, or
/// by [`Segment::begin`](crate::Segment::begin), which leaves [`commit`](Transaction::commit) to the caller. A
/// transaction that is dropped, whose closure returns `Err` or panics, or whose process dies, has never been.
///
/// No call makes a system call or allocates volatile memory, unless the segment has to grow. An error leaves
/// the transaction usable: go on, commit or abort.
pub struct Transaction<'s, R: Persistent, M: Medium = Region> {
    core: &'s mut Core<M>,
    // A reader may have to make stores that wait; hence not `Sync`, which readers of a transaction can do without.
    batch: RefCell<&'s mut Batch>,
    is_open: &'s mut bool,
    /// How often this transaction was rolled back to a savepoint.
    savepoints: Savepoints,
    root: PPtr<R>,
}

/// Which savepoints are alive: those numbered up to `latest`, made in the current branch.
#[derive(Default)]
struct Savepoints {
    made_count: u64,
    /// For each rollback: savepoints made after the one rolled back to are gone. Kept as one number since a
    /// rollback to savepoint n takes all of a higher log position.
    floor_tail: u64,
}

/// A position in a transaction to which it can be rolled back.
#[derive(Clone, Copy)]
pub struct Savepoint {
    mark: Mark,
    sequence: u64,
    number: u64,
}

impl fmt::Debug for Savepoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Savepoint").field("transaction", &self.sequence).field("number", &self.number).finish()
    }
}
