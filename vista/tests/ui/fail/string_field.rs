use vista::Persistent;

#[derive(Clone, Persistent)]
#[repr(C)]
struct Account {
    owner: String,
}

fn main() {}
