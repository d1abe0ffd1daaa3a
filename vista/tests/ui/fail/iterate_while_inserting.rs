use vista::{Error, PHashMap, Segment};

fn double(segment: &mut Segment<PHashMap<u64, u64>>) -> Result<(), Error> {
    let map = *segment.root()?;
    segment.transaction(|tx| {
        for (key, value) in map.iter(tx)? {
            map.insert(tx, key + 1000, *value)?;
        }
        Ok::<_, Error>(())
    })
}

fn main() {}
