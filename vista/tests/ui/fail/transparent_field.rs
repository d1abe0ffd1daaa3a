use vista::Persistent;

#[derive(Clone, Copy, Persistent)]
#[repr(transparent)]
struct Shared<T>(*const T);

fn main() {}
