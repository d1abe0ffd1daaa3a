use vista::Persistent;

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
#[persistent(name = "a{b}")]
struct Account(u64);

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
#[persistent(names = "Account")]
struct Other(u64);

fn main() {}
