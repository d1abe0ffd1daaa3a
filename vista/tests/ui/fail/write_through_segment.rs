use vista::{Error, Segment};

fn add(segment: &mut Segment<u64>) -> Result<(), Error> {
    *segment.root()? += 1;
    Ok(())
}

fn main() {}
