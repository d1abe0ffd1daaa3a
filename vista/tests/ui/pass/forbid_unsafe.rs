// The derive and `field!` need no `unsafe` of their user.
#![forbid(unsafe_code)]
#![deny(warnings, missing_docs)]
//! A crate of a careful user.

use vista::{PPtr, PSlice, Persistent, field};

/// A bank.
#[derive(Clone, Copy, Persistent)]
#[repr(C)]
pub struct Bank {
    /// Its accounts.
    pub accounts: PSlice<Account>,
    /// The account of the bank itself.
    pub own: Account,
}

/// An account.
#[derive(Clone, Copy, Persistent)]
#[repr(C)]
pub struct Account {
    /// In cents.
    pub balance: i64,
    owner: [u8; 24],
}

fn main() {
    let bank = PPtr::<Bank>::from_offset(0x1000);
    let balance: PPtr<i64> = field!(bank, Bank, own.balance);
    assert_eq!(balance.offset(), 0x1010);
    let owner: PPtr<[u8; 24]> = field!(bank, Bank, own.owner);
    assert_eq!(owner.offset(), 0x1018);
}
