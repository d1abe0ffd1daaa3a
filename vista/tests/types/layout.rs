//! A description is exact, the same every time, and different for different types.

use std::marker::PhantomData;

use vista::{PPtr, PSlice, Persistent, fingerprint_of, layout_of};

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Bank {
    accounts: PSlice<Account>,
    tellers: PSlice<Teller>,
}

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Account {
    balance: i64,
    filler: [u8; 84],
    branch: i32,
}

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Teller(u32, f32, Account);

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Node {
    value: u64,
    next: PPtr<Node>,
}

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Left {
    right: PPtr<Right>,
}

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Right {
    left: PPtr<Left>,
}

#[derive(Clone, Copy, Persistent)]
#[repr(transparent)]
struct Id<T> {
    raw: u64,
    of: PhantomData<T>,
}

#[derive(Clone, Copy, Persistent)]
#[repr(transparent)]
struct Many<T, const N: usize>([T; N]);

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Entry {
    id: Id<Entry>,
}

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Marker;

mod other {
    use vista::{PPtr, Persistent};

    #[derive(Clone, Copy, Persistent)]
    #[repr(C)]
    pub(super) struct Node {
        first: PPtr<super::Node>,
        again: PPtr<Node>,
    }

    #[derive(Clone, Copy, Persistent)]
    #[repr(C)]
    #[persistent(name = "bank::Node")]
    pub(super) struct Renamed(u128);
}

#[track_caller]
fn check<T: Persistent>(text: &str) {
    let layout = layout_of::<T>();
    assert_eq!(layout.text, text);
    assert_eq!(layout.fingerprint, fingerprint_of(text));
    assert_eq!(layout, layout_of::<T>());
}

#[test]
fn a_struct_gives_its_fields_and_what_they_reach() {
    check::<Bank>(
        "Bank{accounts:PSlice<Account>@0,tellers:PSlice<Teller>@16}size=32,align=8;\
         Account{balance:i64@0,filler:[u8; 84]@8,branch:i32@92}size=96,align=8;\
         Teller{0:u32@0,1:f32@4,2:Account@8}size=104,align=8",
    );
}

#[test]
fn a_type_may_reach_itself() {
    check::<Node>("Node{value:u64@0,next:PPtr<Node>@8}size=16,align=8");
    check::<Left>("Left{right:PPtr<Right>@0}size=8,align=8;Right{left:PPtr<Left>@0}size=8,align=8");
}

#[test]
fn the_root_comes_first() {
    check::<Right>("Right{left:PPtr<Left>@0}size=8,align=8;Left{right:PPtr<Right>@0}size=8,align=8");
    check::<Id<Marker>>(
        "Id<Marker>{raw:u64@0,of:PhantomData<Marker>@8}size=8,align=8;Marker{}size=0,align=1",
    );
    check::<[Node; 3]>("[Node; 3];Node{value:u64@0,next:PPtr<Node>@8}size=16,align=8");
    check::<u64>("u64");
    check::<()>("()");
}

#[test]
fn a_generic_struct_names_its_arguments() {
    check::<Many<PPtr<u8>, 4>>("Many<PPtr<u8>, 4>{0:[PPtr<u8>; 4]@0}size=32,align=8");
    check::<Entry>(
        "Entry{id:Id<Entry>@0}size=8,align=8;\
         Id<Entry>{raw:u64@0,of:PhantomData<Entry>@8}size=8,align=8",
    );
    check::<Id<Entry>>(
        "Id<Entry>{raw:u64@0,of:PhantomData<Entry>@8}size=8,align=8;\
         Entry{id:Id<Entry>@0}size=8,align=8",
    );
}

#[test]
fn namesakes_are_told_apart() {
    check::<other::Node>(
        "Node{first:PPtr<Node#2>@0,again:PPtr<Node>@8}size=16,align=8;\
         Node#2{value:u64@0,next:PPtr<Node#2>@8}size=16,align=8",
    );
}

#[test]
fn a_name_can_be_kept() {
    check::<other::Renamed>("bank::Node{0:u128@0}size=16,align=16");
}

/// The test vectors that Landon Curt Noll publishes with the hash.
#[test]
fn the_fingerprint_is_fnv_1a() {
    assert_eq!(fingerprint_of(""), 0xcbf2_9ce4_8422_2325);
    assert_eq!(fingerprint_of("a"), 0xaf63_dc4c_8601_ec8c);
    assert_eq!(fingerprint_of("foobar"), 0x8594_4171_f739_67e8);
}
