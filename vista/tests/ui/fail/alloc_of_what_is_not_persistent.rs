use vista::{Error, Segment};

fn keep(segment: &mut Segment<u64>) -> Result<(), Error> {
    segment.transaction(|tx| {
        tx.alloc(String::new())?;
        tx.alloc_slice(&[true])?;
        Ok(())
    })
}

fn main() {}
