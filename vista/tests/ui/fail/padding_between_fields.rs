use vista::Persistent;

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Account {
    kind: u32,
    balance: i64,
}

fn main() {}
