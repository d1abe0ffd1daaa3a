use vista::Persistent;

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
enum Kind {
    Saving,
    Giro,
}

fn main() {}
