use vista::Persistent;

#[derive(Clone, Copy, Persistent)]
#[repr(C, align(8192))]
struct Huge([u8; 8192]);

fn main() {}
