use vista::Persistent;

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
union Either {
    integer: u64,
    float: f64,
}

fn main() {}
