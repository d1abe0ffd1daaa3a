// Every shape of struct that the derive accepts.
#![deny(warnings)]

use std::marker::PhantomData;
use vista::{PPtr, PSlice, Persistent, field, layout_of};

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Unit;

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Empty {}

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Tuple(u64, (), [Unit; 3], i32, f32);

#[derive(Clone, Copy, Persistent)]
#[repr(C, align(64))]
struct Line([u8; 64]);

#[derive(Clone, Copy, Persistent)]
#[repr(transparent)]
struct Cents(i64);

#[derive(Clone, Copy, Persistent)]
#[repr(transparent)]
struct Id<T> {
    raw: u64,
    of: PhantomData<T>,
}

#[derive(Clone, Copy, Persistent)]
#[repr(transparent)]
struct Many<T, const N: usize>(pub [T; N])
where
    T: PartialEq;

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Node {
    r#type: u64,
    id: Id<Node>,
    next: PPtr<Self>,
    children: PSlice<Node>,
}

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
#[persistent(crate = vista, name = "old::Name")]
struct Renamed {
    pair: Tuple,
}

// What takes the place of a generic struct: a macro that writes it once for each use.
macro_rules! entry {
    ($name:ident, $key:ty, $($field:ident: $type:ty),*) => {
        #[derive(Clone, Copy, Persistent)]
        #[repr(C)]
        struct $name {
            key: $key,
            $($field: $type,)*
            next: PPtr<$name>,
        }
    };
}

entry!(ByNumber, u64, value: [u32; 2]);
entry!(ByName, [u8; 32], low: u64, high: u64);

fn main() {
    let _ = (layout_of::<ByNumber>(), layout_of::<ByName>());
    let _: PPtr<[u32; 2]> = field!(PPtr::<ByNumber>::NULL, ByNumber, value);
    let _ = (layout_of::<Line>(), layout_of::<Empty>(), layout_of::<Node>(), layout_of::<Many<Cents2, 4>>());
    let _: PPtr<f32> = field!(PPtr::<Renamed>::NULL, Renamed, pair.4);
    let _: PPtr<u64> = field!(PPtr::<Id<Node>>::NULL, Id<Node>, raw);
    let _: PPtr<i64> = field!(PPtr::<Cents>::NULL, Cents, 0);
    let _: PPtr<PPtr<Node>> = field!(PPtr::<Node>::NULL, Node, next);
    let _: PPtr<u64> = field!(PPtr::<Node>::NULL, Node, r#type);
}

#[derive(Clone, Copy, PartialEq, Persistent)]
#[repr(C)]
struct Cents2(i64);
