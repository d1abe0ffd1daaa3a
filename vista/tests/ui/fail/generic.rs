use vista::Persistent;

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Pair<A, B> {
    first: A,
    second: B,
}

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Name<const N: usize> {
    len: u64,
    bytes: [u8; N],
}

fn main() {}
