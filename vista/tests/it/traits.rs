//! What may be sent and shared between threads.

use rio::{Buffer, Region};
use vista::inspect::Inspector;
use vista::{Savepoint, Segment, Transaction};

/// Whether a type is `Sync`, found by which of two functions of the same name the compiler takes.
struct IsSync<T>(std::marker::PhantomData<T>);

trait NotSync {
    const IS_SYNC: bool = false;
}

impl<T> NotSync for T {}

impl<T: Sync> IsSync<T> {
    const IS_SYNC: bool = true;
}

#[test]
fn a_segment_is_shared_and_a_transaction_is_not() {
    fn send_and_sync<T: Send + Sync>() {}
    fn send<T: Send>() {}
    send_and_sync::<Segment<u64, Region>>();
    send_and_sync::<Segment<u64, Buffer>>();
    send_and_sync::<Inspector<Region>>();
    send_and_sync::<Savepoint>();
    send_and_sync::<vista::Error>();
    send::<Transaction<'static, u64, Region>>();
    const { assert!(IsSync::<Segment<u64, Region>>::IS_SYNC) };
    const { assert!(!IsSync::<Transaction<'static, u64, Region>>::IS_SYNC) };
}

#[test]
fn a_transaction_may_go_to_another_thread() {
    let mut segment = Segment::<u64, _>::create_on(Buffer::new(1 << 17, 1 << 17), 4096).unwrap();
    let mut tx = segment.begin().unwrap();
    *tx.root_mut().unwrap() = 1;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            *tx.root_mut().unwrap() += 1;
            tx.commit().unwrap();
        });
    });
    assert_eq!(*segment.root().unwrap(), 2);
}
