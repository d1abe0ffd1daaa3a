use vista::{Error, Segment};

fn keep(segment: &mut Segment<u64>) -> Result<(), Error> {
    let root = segment.transaction(|tx| Ok::<_, Error>(tx.root_mut()?))?;
    *root = 1;
    Ok(())
}

fn main() {}
