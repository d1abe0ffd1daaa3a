use vista::{Error, PPtr, Segment};

fn add(segment: &mut Segment<u64>, ptr: PPtr<u64>) -> Result<(), Error> {
    segment.transaction(|tx| {
        *tx.get(ptr)? += 1;
        Ok(())
    })
}

fn main() {}
