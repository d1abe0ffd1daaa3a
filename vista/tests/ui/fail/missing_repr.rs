use vista::Persistent;

#[derive(Clone, Copy, Persistent)]
struct Account {
    balance: i64,
}

fn main() {}
