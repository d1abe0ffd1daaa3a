use vista::Persistent;

#[derive(Persistent)]
#[repr(C)]
struct Account {
    balance: i64,
}

fn main() {}
