use vista::Persistent;

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Account {
    balance: i64,
    open: bool,
    _pad: [u8; 7],
}

fn main() {}
