use vista::Persistent;

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Account<'a> {
    owner: &'a [u8; 8],
}

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Forever {
    owner: &'static [u8; 8],
}

fn main() {}
