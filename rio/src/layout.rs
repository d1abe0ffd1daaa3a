//! The bytes of the header: every persistent structure of rio, each of fixed size and place.
//!
//! A region begins with two pages of 4096 bytes, and each holds one [`HeaderCopy`] followed by zeroes. All
//! that is built on rio begins after them. Integers are in the byte order of the machine that made the region,
//! which `byte_order` tells. Checking is done in `header.rs`.

use std::mem::{offset_of, size_of};

use crate::HEADER_LEN;

/// What a region begins with.
pub const MAGIC: [u8; 8] = *b"RIO\x89REG\n";

/// Read with the wrong byte order it is another number.
pub const BYTE_ORDER: u32 = 0x0102_0304;

/// The version of these structures. A higher one is refused, never guessed at.
pub const VERSION: u32 = 1;

/// Bytes from one copy of the header to the next: a copy of its own page cannot be torn by writing the other.
pub const COPY_LEN: usize = 4096;

/// One copy of the header.
#[repr(C)]
pub struct HeaderCopy {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`BYTE_ORDER`].
    pub byte_order: u32,
    /// [`VERSION`].
    pub version: u32,
    /// Length of the region in bytes, with its header; the file is at least as long.
    pub len: u64,
    /// Counts the updates; of two good copies the one with the higher number holds.
    pub generation: u64,
    /// Identity of the region, given at create.
    pub id: [u8; 16],
    /// Boot of the kernel that opened it last.
    pub boot_id: [u8; 16],
    /// 1 open, 2 closed cleanly.
    pub state: u8,
    /// Domain of the last open: 1 page cache, 2 eADR, 3 ADR.
    pub domain: u8,
    /// Backing of the last open: 1 page cache, 2 tmpfs, 3 fsdax, 4 devdax, 5 anonymous.
    pub backing: u8,
    /// What the last open promised to survive: bit 0 process crash, bit 1 kernel crash, bit 2 power loss.
    pub survives: u8,
    /// Zero.
    pub reserved: [u8; 56],
    /// CRC-32 (IEEE) of all bytes before it. The rest of the page is zero, and checked too.
    pub crc: u32,
}

const _: () = {
    assert!(size_of::<HeaderCopy>() == 128);
    assert!(offset_of!(HeaderCopy, magic) == 0);
    assert!(offset_of!(HeaderCopy, byte_order) == 8);
    assert!(offset_of!(HeaderCopy, version) == 12);
    assert!(offset_of!(HeaderCopy, len) == 16);
    assert!(offset_of!(HeaderCopy, generation) == 24);
    assert!(offset_of!(HeaderCopy, id) == 32);
    assert!(offset_of!(HeaderCopy, boot_id) == 48);
    assert!(offset_of!(HeaderCopy, state) == 64);
    assert!(offset_of!(HeaderCopy, domain) == 65);
    assert!(offset_of!(HeaderCopy, backing) == 66);
    assert!(offset_of!(HeaderCopy, survives) == 67);
    assert!(offset_of!(HeaderCopy, reserved) == 68);
    assert!(offset_of!(HeaderCopy, crc) == 124);
    assert!(2 * COPY_LEN as u64 == HEADER_LEN);
};
