//! docs/FORMAT.md and `layout.rs` state the same structs and constants.

use std::collections::BTreeSet;

use lrvm::layout;

use crate::document::{Format, differences};

const DOCUMENT: &str = include_str!("../../../docs/FORMAT.md");
const SOURCE: &str = include_str!("../../src/layout.rs");

fn told(document: &str) -> Format {
    Format::of(document).only(|name| name.starts_with("lrvm::"))
}

fn size_of_field<S, F>(_witness: fn(&S) -> &F) -> u64 {
    size_of::<F>() as u64
}

/// Enters structs with all their fields: one that is not listed here does not compile.
macro_rules! structures {
    ($format:ident: $($name:ident { $($field:ident),* })*) => {$(
        let fields = vec![$((
            std::mem::offset_of!(layout::$name, $field) as u64,
            size_of_field::<layout::$name, _>(|value| &value.$field),
            stringify!($field).to_owned(),
        )),*];
        let _all_fields = |value: layout::$name| {
            let layout::$name { $($field: _),* } = value;
        };
        let len = size_of::<layout::$name>() as u64;
        $format.structures.insert(concat!("lrvm::", stringify!($name)).to_owned(), (len, fields));
    )*};
}

macro_rules! constants {
    ($format:ident: $($name:ident)*) => {$(
        $format.constants.insert(concat!("lrvm::", stringify!($name)).to_owned(), layout::$name.to_string());
    )*};
}

/// What the code states.
fn code() -> Format {
    let mut format = Format::default();
    structures! { format:
        Status { magic, version, clean, id, ring_len, generation, incarnation, head, tail, next_transaction, flush_count,
            truncation_count, written_nanos, created_nanos, reserved, crc, reserved_end }
        SegmentEntry { crc, name_len, incarnation, name }
        RecordHeader { magic, flags, log, position, len, batch, transaction, range_count, crc, reserved }
        RangeHeader { segment, crc, offset, len, back }
        RecordTrailer { magic, crc, position, len, all, reserved, last }
    }
    constants! { format:
        PAGE_LEN FORMAT_VERSION SEGMENTS_OFFSET SEGMENT_COUNT SEGMENT_NAME_LEN RING_OFFSET RING_LEN_MIN RING_LEN_MAX COUNT_MAX
        LAST_OF_BATCH RECORD_HEADER_LEN RANGE_HEADER_LEN RECORD_TRAILER_LEN
    }
    for (name, value) in [
        ("LOG_MAGIC", hex(&layout::LOG_MAGIC)),
        ("RECORD_MAGIC", hex(&layout::RECORD_MAGIC)),
        ("TRAILER_MAGIC", hex(&layout::TRAILER_MAGIC)),
        ("STATUS_OFFSETS", layout::STATUS_OFFSETS.map(|offset| offset.to_string()).join(" ")),
    ] {
        format.constants.insert(format!("lrvm::{name}"), value);
    }
    format
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// The names that follow this in the source.
fn names_after(keyword: &str) -> BTreeSet<&'static str> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let lines = SOURCE.lines().filter_map(|line| line.strip_prefix(keyword));
    lines.map(|rest| rest.split(|c| !is_name(c)).next().expect("a split has a first part")).collect()
}

#[test]
fn the_document_describes_the_code() {
    let differences = differences(&told(DOCUMENT), &code());
    assert!(differences.is_empty(), "docs/FORMAT.md: {differences:#?}");
}

#[test]
fn this_test_knows_every_struct_and_constant_of_the_layout() {
    let code = code();
    for name in names_after("pub struct ") {
        assert!(code.structures.contains_key(&format!("lrvm::{name}")), "{name}");
    }
    for name in names_after("pub const ") {
        assert!(code.constants.contains_key(&format!("lrvm::{name}")), "{name}");
    }
}

#[test]
fn fields_fill_their_structs_without_a_gap() {
    for (name, (len, fields)) in &told(DOCUMENT).structures {
        let mut end = 0;
        for (offset, size, field) in fields {
            assert_eq!(*offset, end, "{name}: {field}");
            end += size;
        }
        assert_eq!(end, *len, "{name}");
    }
}

#[test]
fn what_differs_is_noticed() {
    for (from, to, about) in [
        ("| 8 | 8 | log | bytes", "| 8 | 4 | log | bytes", "there is no log"),
        ("| 24 | 8 | back |", "| 24 | 8 | before |", "back is not described so"),
        ("`lrvm::RangeHeader`: 32 bytes", "`lrvm::RangeHeader`: 40 bytes", "has 32 bytes, not 40"),
        ("| `lrvm::SEGMENT_COUNT` | 256 |", "| `lrvm::SEGMENT_COUNT` | 255 |", "is 256, not 255"),
        ("| 4c 45 4e 44 |", "| 4c 45 4e 45 |", "lrvm::TRAILER_MAGIC"),
    ] {
        assert_eq!(DOCUMENT.matches(from).count(), 1, "{from:?} stands in the document once");
        let differences = differences(&told(&DOCUMENT.replace(from, to)), &code());
        assert!(
            differences.iter().any(|difference| difference.contains(about)),
            "{from:?}: {differences:#?}"
        );
    }
}
