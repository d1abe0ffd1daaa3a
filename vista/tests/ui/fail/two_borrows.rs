use vista::{Error, PPtr, Segment};

fn swap(segment: &mut Segment<u64>, a: PPtr<u64>, b: PPtr<u64>) -> Result<(), Error> {
    segment.transaction(|tx| {
        let first = tx.get_mut(a)?;
        let second = tx.get_mut(b)?;
        std::mem::swap(first, second);
        Ok(())
    })
}

fn main() {}
