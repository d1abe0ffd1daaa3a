//! Any history of transactions on a collection, beside the same on a model. Start at [`check`].

use std::fmt::Debug;

use proptest::prelude::*;
use rio::{Buffer, Domain};
use vista::{Error, Persistent, Reader, Segment, Writer};

/// A collection beside its model.
pub(crate) trait Subject: Persistent {
    type Model: Clone + Debug + PartialEq + Default;
    type Op: Clone + Debug;

    /// Makes an empty one.
    fn make(tx: &mut impl Writer) -> vista::Result<Self>;

    /// Does an operation to both, and compares what they return.
    fn apply(self, tx: &mut impl Writer, model: &mut Self::Model, op: &Self::Op) -> vista::Result<()>;

    /// What it holds, by every way of reading it.
    fn read(self, on: &impl Reader) -> vista::Result<Self::Model>;
}

/// How a transaction ends.
#[derive(Clone, Debug)]
pub(crate) enum End {
    Commit,
    Abort,
    /// Rolls back to a savepoint before the last so many operations, then commits.
    Rollback(usize),
}

/// Transactions of operations.
pub(crate) fn transactions<O: Debug>(
    op: impl Strategy<Value = O>,
) -> impl Strategy<Value = Vec<(Vec<O>, End)>> {
    let end = prop_oneof![Just(End::Commit), Just(End::Abort), (0..6usize).prop_map(End::Rollback)];
    prop::collection::vec((prop::collection::vec(op, 1..12), end), 1..12)
}

/// How many histories a test runs: so many as a rule, and for a long look as many as `PROPTEST_CASES` says.
pub(crate) fn cases(usual: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(usual)
}

pub(crate) const LEN: u64 = 1 << 20;

/// A segment in memory.
pub(crate) fn segment<R: Persistent>(domain: Domain) -> Segment<R, Buffer> {
    Segment::create_on(Buffer::new(LEN, LEN).with_domain(domain), 1 << 14).unwrap()
}

/// Whether it is the error that takes the place of std's panic.
pub(crate) fn is_out(result: vista::Result<impl Debug>) -> bool {
    matches!(result, Err(Error::OutOfBounds { .. }))
}

/// Runs a history, with commits, aborts and rollbacks to savepoints. After each transaction the collection equals its
/// model, reopened too, and the content of the segment is sound; released at the end it leaves nothing.
pub(crate) fn check<S: Subject>(transactions: &[(Vec<S::Op>, End)]) {
    for domain in [Domain::PageCache, Domain::Adr] {
        check_in::<S>(domain, transactions);
    }
}

fn check_in<S: Subject>(domain: Domain, transactions: &[(Vec<S::Op>, End)]) {
    let mut segment = segment::<S>(domain);
    segment.transaction(|tx| -> vista::Result<()> { Ok(*tx.root_mut()? = S::make(tx)?) }).unwrap();
    let subject = *segment.root().unwrap();
    let mut model = S::Model::default();
    for (ops, end) in transactions {
        let before = model.clone();
        let mut tx = segment.begin().unwrap();
        let kept = match end {
            End::Rollback(count) => ops.len().saturating_sub(*count),
            _ => ops.len(),
        };
        for op in &ops[..kept] {
            subject.apply(&mut tx, &mut model, op).unwrap();
            assert_eq!(subject.read(&tx).unwrap(), model, "{domain}: after {op:?}");
        }
        let savepoint = tx.savepoint().unwrap();
        let mut lost = model.clone();
        for op in &ops[kept..] {
            subject.apply(&mut tx, &mut lost, op).unwrap();
            assert_eq!(subject.read(&tx).unwrap(), lost, "{domain}: after {op:?}");
        }
        tx.rollback_to(&savepoint).unwrap();
        assert_eq!(subject.read(&tx).unwrap(), model, "{domain}: rolled back");
        match end {
            End::Abort => {
                tx.abort().unwrap();
                model = before;
            }
            _ => tx.commit().unwrap(),
        }
        assert_eq!(subject.read(&segment).unwrap(), model, "{domain}: ended by {end:?}");
        assert_eq!(segment.check_content().unwrap(), [], "{domain}");
    }
    segment
        .transaction(|tx| -> vista::Result<()> {
            *tx.root_mut()? = S::zeroed();
            tx.release(subject)
        })
        .unwrap();
    assert_eq!(segment.blocks().unwrap().len(), 1, "everything is freed but the root");
}
