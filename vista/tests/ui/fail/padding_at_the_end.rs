use vista::Persistent;

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Account {
    balance: i64,
    kind: u8,
}

#[derive(Clone, Copy, Persistent)]
#[repr(C, align(64))]
struct Line(u64, u64);

fn main() {}
