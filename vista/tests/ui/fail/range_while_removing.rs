use vista::{Error, PBTreeMap, Segment};

fn forget_the_old(segment: &mut Segment<PBTreeMap<u64, u64>>) -> Result<(), Error> {
    let map = *segment.root()?;
    segment.transaction(|tx| {
        for entry in map.range(tx, ..1000)? {
            map.remove(tx, entry?.0)?;
        }
        Ok::<_, Error>(())
    })
}

fn main() {}
