//! The header: length, identity and the clean/open mark of a region, kept in two copies.
//!
//! An update writes the older copy, makes it durable, and only then the other, so that at every moment one whole
//! copy exists and a torn write loses nothing; when the update is done both say the same, so that damage to
//! either one loses nothing either. The newest good copy holds. Bytes become a [`Header`] in [`select`] alone,
//! and holding one is the proof of the check.

use std::mem::offset_of;

use uuid::Uuid;

use crate::layout::{BYTE_ORDER, COPY_LEN, HeaderCopy, MAGIC, VERSION};
use crate::{Backing, Domain, Error, HEADER_LEN, Survives};

/// Both copies, as bytes.
pub(crate) type Bytes = [u8; HEADER_LEN as usize];

/// What the header says, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) len: u64,
    pub(crate) generation: u64,
    pub(crate) id: Uuid,
    pub(crate) boot_id: Uuid,
    pub(crate) state: State,
    pub(crate) domain: Domain,
    pub(crate) backing: Backing,
    pub(crate) survives: Survives,
}

/// The clean/open mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Somebody has it open, or had when he ended.
    Open,
    /// Everything was made durable and nobody has stored to it since.
    Clean,
}

/// What a copy of the header failed on.
#[derive(Debug)]
pub(crate) struct Fault {
    offset: u64,
    what: &'static str,
    found: String,
    expected: String,
    /// The version, where it is one that this library does not know.
    version: Option<u32>,
    /// The checksum is right: the copy was meant so, and no other copy may stand in for it.
    meant: bool,
}

impl Fault {
    /// The error that names the file.
    pub(crate) fn of(self, path: String) -> Error {
        match self.version {
            Some(found) => Error::Version { path, offset: self.offset, found, expected: VERSION },
            None => Error::Damaged {
                path,
                offset: self.offset,
                what: self.what,
                found: self.found,
                expected: self.expected,
            },
        }
    }
}

/// The newest good copy, and which of the two it is.
pub(crate) fn select(bytes: &Bytes) -> Result<(Header, usize), Fault> {
    let (first, second) = bytes.split_at(COPY_LEN);
    match (parse(first, 0), parse(second, COPY_LEN as u64)) {
        // A fault that was meant is no accident, and the other copy is no replacement.
        (Err(fault), _) | (_, Err(fault)) if fault.meant => Err(fault),
        (Ok(a), Ok(b)) if a.id != b.id => Err(Fault {
            offset: (COPY_LEN + offset_of!(HeaderCopy, id)) as u64,
            what: "identity in the second copy of the header",
            found: b.id.to_string(),
            expected: a.id.to_string(),
            version: None,
            meant: true,
        }),
        (Ok(a), Ok(b)) if a.generation == b.generation => Err(Fault {
            offset: (COPY_LEN + offset_of!(HeaderCopy, generation)) as u64,
            what: "generation in the second copy of the header",
            found: b.generation.to_string(),
            expected: "another than in the first copy".to_owned(),
            version: None,
            meant: true,
        }),
        (Ok(a), Ok(b)) => Ok(if a.generation > b.generation { (a, 0) } else { (b, 1) }),
        (Ok(a), Err(_)) => Ok((a, 0)),
        (Err(_), Ok(b)) => Ok((b, 1)),
        // Both are bad: the one that a reader can learn more from is the one that at least begins like a header.
        (Err(a), Err(b)) => Err(if a.what == MAGIC_FIELD { b.or(a) } else { a }),
    }
}

const MAGIC_FIELD: &str = "magic at the start of the header";

impl Fault {
    /// This fault, unless it too is that nothing looks like a header.
    fn or(self, other: Fault) -> Fault {
        if self.what == MAGIC_FIELD { other } else { self }
    }
}

/// Whether either page begins like a region, however damaged the rest: such bytes are never formatted over.
pub(crate) fn looks_like_one(bytes: &Bytes) -> bool {
    [0, COPY_LEN].into_iter().any(|start| bytes[start..].starts_with(&MAGIC))
}

/// One copy, checked; `base` is its offset in the file.
fn parse(page: &[u8], base: u64) -> Result<Header, Fault> {
    let fault = |offset: usize, what, found: String, expected: String| Fault {
        offset: base + offset as u64,
        what,
        found,
        expected,
        version: None,
        meant: false,
    };

    let magic: [u8; 8] = take(page, offset_of!(HeaderCopy, magic));
    if magic != MAGIC {
        return Err(fault(0, MAGIC_FIELD, hex(&magic), hex(&MAGIC)));
    }
    let byte_order = take_u32(page, offset_of!(HeaderCopy, byte_order));
    if byte_order != BYTE_ORDER {
        let swapped = byte_order.swap_bytes() == BYTE_ORDER;
        let found = if swapped { "of the opposite order".to_owned() } else { format!("{byte_order:#010x}") };
        let expected = format!("{BYTE_ORDER:#010x}, the order of this machine");
        return Err(fault(offset_of!(HeaderCopy, byte_order), "byte order", found, expected));
    }
    let crc_offset = offset_of!(HeaderCopy, crc);
    let crc = crc32fast::hash(&page[..crc_offset]);
    let crc_found = take_u32(page, crc_offset);
    let version = take_u32(page, offset_of!(HeaderCopy, version));
    if version != VERSION {
        let mut fault = fault(
            offset_of!(HeaderCopy, version),
            "format version",
            version.to_string(),
            VERSION.to_string(),
        );
        fault.version = Some(version);
        fault.meant = crc == crc_found;
        return Err(fault);
    }
    if crc != crc_found {
        return Err(fault(
            crc_offset,
            "header checksum",
            format!("{crc_found:#010x}"),
            format!("{crc:#010x}"),
        ));
    }

    // From here on the bytes are as somebody wrote them; a value that cannot be was written by no version of rio.
    let zero_from = offset_of!(HeaderCopy, reserved);
    let zero = |at: &usize| page[*at] != 0 && !(crc_offset..crc_offset + 4).contains(at);
    if let Some(at) = (zero_from..COPY_LEN).find(zero) {
        return Err(fault(
            at,
            "reserved byte of the header",
            format!("{:#04x}", page[at]),
            "0x00".to_owned(),
        ));
    }
    let len = take_u64(page, offset_of!(HeaderCopy, len));
    if len < HEADER_LEN || !len.is_multiple_of(COPY_LEN as u64) || len > i64::MAX as u64 {
        let expected = format!("a multiple of {COPY_LEN} from {HEADER_LEN}");
        return Err(fault(offset_of!(HeaderCopy, len), "length", len.to_string(), expected));
    }
    let code = |offset: usize, what, max: u8| match page[offset] {
        code if (1..=max).contains(&code) => Ok(code),
        code => Err(fault(offset, what, code.to_string(), format!("1 to {max}"))),
    };
    let state = match code(offset_of!(HeaderCopy, state), "clean/open mark", 2)? {
        1 => State::Open,
        _ => State::Clean,
    };
    let domain = match code(offset_of!(HeaderCopy, domain), "domain", 3)? {
        1 => Domain::PageCache,
        2 => Domain::Eadr,
        _ => Domain::Adr,
    };
    let backing = match code(offset_of!(HeaderCopy, backing), "backing", 5)? {
        1 => Backing::PageCache,
        2 => Backing::Tmpfs,
        3 => Backing::FsDax,
        4 => Backing::DevDax,
        _ => Backing::Anonymous,
    };
    let survives = page[offset_of!(HeaderCopy, survives)];
    if survives > 7 {
        let found = format!("{survives:#04x}");
        return Err(fault(
            offset_of!(HeaderCopy, survives),
            "survival bits",
            found,
            "0x00 to 0x07".to_owned(),
        ));
    }
    Ok(Header {
        len,
        generation: take_u64(page, offset_of!(HeaderCopy, generation)),
        id: Uuid::from_bytes(take(page, offset_of!(HeaderCopy, id))),
        boot_id: Uuid::from_bytes(take(page, offset_of!(HeaderCopy, boot_id))),
        state,
        domain,
        backing,
        survives: Survives {
            process_crash: survives & 1 != 0,
            kernel_crash: survives & 2 != 0,
            power_loss: survives & 4 != 0,
        },
    })
}

impl Header {
    /// The page that holds this header.
    pub(crate) fn page(&self) -> [u8; COPY_LEN] {
        let mut page = [0; COPY_LEN];
        let mut put = |offset: usize, bytes: &[u8]| page[offset..offset + bytes.len()].copy_from_slice(bytes);
        put(offset_of!(HeaderCopy, magic), &MAGIC);
        put(offset_of!(HeaderCopy, byte_order), &BYTE_ORDER.to_ne_bytes());
        put(offset_of!(HeaderCopy, version), &VERSION.to_ne_bytes());
        put(offset_of!(HeaderCopy, len), &self.len.to_ne_bytes());
        put(offset_of!(HeaderCopy, generation), &self.generation.to_ne_bytes());
        put(offset_of!(HeaderCopy, id), self.id.as_bytes());
        put(offset_of!(HeaderCopy, boot_id), self.boot_id.as_bytes());
        let state = match self.state {
            State::Open => 1,
            State::Clean => 2,
        };
        let domain = match self.domain {
            Domain::PageCache => 1,
            Domain::Eadr => 2,
            Domain::Adr => 3,
        };
        let backing = match self.backing {
            Backing::PageCache => 1,
            Backing::Tmpfs => 2,
            Backing::FsDax => 3,
            Backing::DevDax => 4,
            Backing::Anonymous => 5,
        };
        let Survives { process_crash, kernel_crash, power_loss } = self.survives;
        let survives = u8::from(process_crash) | u8::from(kernel_crash) << 1 | u8::from(power_loss) << 2;
        put(offset_of!(HeaderCopy, state), &[state, domain, backing, survives]);
        let crc_offset = offset_of!(HeaderCopy, crc);
        let crc = crc32fast::hash(&page[..crc_offset]);
        page[crc_offset..crc_offset + 4].copy_from_slice(&crc.to_ne_bytes());
        page
    }
}

fn take<const N: usize>(page: &[u8], offset: usize) -> [u8; N] {
    page[offset..offset + N].try_into().expect("N bytes make an array of N")
}

fn take_u32(page: &[u8], offset: usize) -> u32 {
    u32::from_ne_bytes(take(page, offset))
}

fn take_u64(page: &[u8], offset: usize) -> u64 {
    u64::from_ne_bytes(take(page, offset))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(generation: u64) -> Header {
        Header {
            len: 1 << 20,
            generation,
            id: Uuid::from_u128(7),
            boot_id: Uuid::from_u128(9),
            state: State::Open,
            domain: Domain::Adr,
            backing: Backing::FsDax,
            survives: Survives { process_crash: true, kernel_crash: true, power_loss: false },
        }
    }

    fn both(a: Header, b: Header) -> Bytes {
        let mut bytes = [0; HEADER_LEN as usize];
        bytes[..COPY_LEN].copy_from_slice(&a.page());
        bytes[COPY_LEN..].copy_from_slice(&b.page());
        bytes
    }

    #[test]
    fn the_newest_good_copy_holds() {
        assert_eq!(select(&both(header(1), header(2))).unwrap(), (header(2), 1));
        assert_eq!(select(&both(header(3), header(2))).unwrap(), (header(3), 0));
        let mut bytes = both(header(3), header(2));
        bytes[40] ^= 1;
        assert_eq!(select(&bytes).unwrap(), (header(2), 1));
        bytes[COPY_LEN + 40] ^= 1;
        let error = select(&bytes).unwrap_err().of("f".to_owned());
        assert!(matches!(error, Error::Damaged { offset: 124, what: "header checksum", .. }), "{error}");
    }

    #[test]
    fn copies_that_contradict_each_other_are_refused() {
        assert!(select(&both(header(2), header(2))).is_err());
        let other = Header { id: Uuid::from_u128(8), ..header(3) };
        assert!(select(&both(header(2), other)).is_err());
    }

    #[test]
    fn a_later_version_is_refused_though_the_other_copy_is_known() {
        let mut bytes = both(header(1), header(2));
        bytes[12..16].copy_from_slice(&(VERSION + 1).to_ne_bytes());
        // As damage to the number it costs this copy only.
        assert_eq!(select(&bytes).unwrap(), (header(2), 1));
        let crc = crc32fast::hash(&bytes[..124]);
        bytes[124..128].copy_from_slice(&crc.to_ne_bytes());
        let error = select(&bytes).unwrap_err().of("f".to_owned());
        assert!(matches!(error, Error::Version { offset: 12, found: 2, expected: 1, .. }), "{error}");
    }

    #[test]
    fn the_opposite_byte_order_is_named() {
        let mut bytes = both(header(1), header(2));
        for base in [0, COPY_LEN] {
            bytes[base + 8..base + 12].reverse();
        }
        let error = select(&bytes).unwrap_err().of("f".to_owned());
        assert!(error.to_string().contains("opposite order"), "{error}");
    }

    proptest! {
        #[test]
        fn no_bytes_at_all_make_it_panic(
            noise in proptest::collection::vec((0..HEADER_LEN as usize, any::<u8>()), 0..40),
            mend in any::<bool>(),
        ) {
            let mut bytes = both(header(1), header(2));
            for (at, byte) in noise {
                bytes[at] = byte;
            }
            if mend {
                for base in [0, COPY_LEN] {
                    let crc = crc32fast::hash(&bytes[base..base + 124]);
                    bytes[base + 124..base + 128].copy_from_slice(&crc.to_ne_bytes());
                }
            }
            let _ = select(&bytes);
        }

        #[test]
        fn a_header_is_read_as_it_was_written(len in 2u64..1 << 40, generation in any::<u64>(), id in any::<u128>()) {
            let written = Header { len: len * 4096, generation, id: Uuid::from_u128(id), ..header(0) };
            prop_assert_eq!(parse(&written.page(), 0).unwrap(), written);
        }
    }
}
