use vista::{Error, Segment};

fn keep(segment: &mut Segment<u64>) -> Result<(), Error> {
    let mut tx = segment.begin()?;
    let root = tx.root_mut()?;
    tx.commit()?;
    *root = 1;
    Ok(())
}

fn main() {}
