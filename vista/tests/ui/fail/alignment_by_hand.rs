use vista::{Describer, Persistent};

#[derive(Clone, Copy)]
#[repr(C, align(8192))]
struct Huge([u8; 8192]);

unsafe impl bytemuck::Zeroable for Huge {}
unsafe impl bytemuck::Pod for Huge {}

impl Persistent for Huge {
    fn describe(_: &mut Describer) -> String {
        "Huge".to_owned()
    }
}

fn main() {
    let _ = vista::layout_of::<Huge>();
}
