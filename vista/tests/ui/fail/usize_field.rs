use vista::Persistent;

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Account(usize);

fn main() {}
