use vista::{PPtr, Persistent, field};

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Account {
    balance: i64,
}

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Teller {
    total: i64,
}

fn main() {
    let teller = PPtr::<Teller>::NULL;
    let _ = field!(teller, Account, balance);
    let _ = field!(teller, Teller, balance);
    let _: PPtr<u64> = field!(teller, Teller, total);
}
