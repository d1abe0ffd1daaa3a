use vista::{PPtr, Persistent};

struct Volatile {
    names: Vec<String>,
}

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Root {
    volatile: PPtr<Volatile>,
}

fn main() {}
