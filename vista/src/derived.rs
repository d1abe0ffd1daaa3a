//! What the derive macro's output calls. Not part of the interface: it changes together with the macro.
//!
//! The assertions have `track_caller`, so that the compiler reports a failure at the field or struct for which
//! the macro wrote the call.

use crate::persistent::{Fields, Persistent};

pub use crate::persistent::refuse_alignment;
pub use bytemuck::{Pod, Zeroable};

/// Describes a field of `S`, and proves that its type is persistent.
///
/// The witness is a raw pointer because a reference might be coerced to one of another type: the proof is of
/// the field itself.
pub fn describe_field<S, F: Persistent>(
    fields: &mut Fields<'_>,
    name: &str,
    offset: usize,
    _witness: fn(&S) -> *const F,
) {
    fields.field::<F>(name, offset);
}

/// The size of a field, in bytes.
pub const fn size_of_field<S, F>(_witness: fn(&S) -> *const F) -> usize {
    size_of::<F>()
}

/// Asserts that no bytes lie between the end of a field and the next one, or the end of the struct.
#[track_caller]
pub const fn refuse_padding(gap_bytes: usize) {
    // A message in a constant cannot be formatted, so the likely ones are written out.
    macro_rules! refuse {
        ($($bytes:literal)*) => {
            match gap_bytes {
                0 => {}
                $($bytes => panic!(concat!(
                    "padding follows this field, and padding cannot be stored: ",
                    "add a field `_pad: [u8; ", $bytes, "]` after it"
                )),)*
                _ => panic!(
                    "padding follows this field, and padding cannot be stored: \
                     add a field `_pad: [u8; N]` after it that fills the struct"
                ),
            }
        };
    }
    refuse!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 20 24 28 32 40 48 56);
}
