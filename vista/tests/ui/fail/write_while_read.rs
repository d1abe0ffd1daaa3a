use vista::{Error, Segment};

fn change(segment: &mut Segment<u64>) -> Result<u64, Error> {
    let root = segment.root()?;
    segment.transaction(|tx| Ok::<_, Error>(*tx.root_mut()? += 1))?;
    Ok(*root)
}

fn main() {}
