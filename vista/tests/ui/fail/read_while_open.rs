use vista::{Error, Segment};

fn look(segment: &mut Segment<u64>) -> Result<(), Error> {
    let mut tx = segment.begin()?;
    *tx.root_mut()? = 1;
    assert_eq!(*segment.root()?, 0);
    tx.commit()
}

fn main() {}
