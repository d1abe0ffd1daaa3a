//! One workload, compiled at an opt-level of its own: transactions of several ranges, an allocation, an abort.

use crash_sim::{Campaign, Sim};
use rio::Domain;
use vista::{PPtr, Persistent, Segment};

/// Four balances in lines of their own, and a block.
#[derive(Clone, Copy, Persistent)]
#[repr(C)]
pub struct Root {
    words: [u64; 32],
    block: PPtr<[u64; 8]>,
}

/// The campaign over it.
pub fn campaign(domain: Domain) -> Campaign<Segment<Root, Sim>> {
    Campaign::new("levels", 80 << 10)
        .domain(domain)
        .create(|sim| Segment::<Root, Sim>::create_on(sim, 4096))
        .open(Segment::<Root, Sim>::open_on)
        .operations(3, |segment, number| match number {
            0 => segment.transaction(|tx| {
                let word = |index: u64| PPtr::<u64>::from_offset(tx.root_ptr().offset() + 8 * index);
                let (a, b, c, d) = (word(0), word(8), word(16), word(24));
                let (a, b, c, d) = tx.get_disjoint_mut((a, b, c, d))?;
                (*a, *b, *c, *d) = (1, 2, 3, 4);
                Ok(())
            }),
            1 => segment.transaction(|tx| {
                let block = tx.alloc([5u64; 8])?;
                tx.root_mut()?.block = block;
                Ok(())
            }),
            _ => {
                let mut tx = segment.begin()?;
                tx.root_mut()?.words = [6; 32];
                tx.abort()
            }
        })
        .check(|segment, expect| -> Result<(), crash_sim::BoxError> {
            let root = segment.root()?;
            let block = if root.block.is_null() { 0 } else { segment.get(root.block)?[7] };
            let found = [root.words[0], root.words[8], root.words[16], root.words[24], block];
            expect.one_of(&[[0; 5], [1, 2, 3, 4, 0], [1, 2, 3, 4, 5], [1, 2, 3, 4, 5]], &found)
        })
}
