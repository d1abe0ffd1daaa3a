use vista::Persistent;

#[derive(Clone, Copy, Persistent)]
#[repr(C, packed)]
struct Account {
    kind: u8,
    balance: i64,
}

fn main() {}
