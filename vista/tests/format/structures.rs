//! docs/FORMAT.md and the layouts of `rio` and `vista` state the same structs and constants.

use std::collections::BTreeSet;
use std::fmt::Write;

use vista::collections;

use crate::document::{Format, differences};

const DOCUMENT: &str = include_str!("../../../docs/FORMAT.md");
const RIO_SOURCE: &str = include_str!("../../../rio/src/layout.rs");
const VISTA_SOURCE: &str = include_str!("../../src/layout.rs");
const COLLECTIONS_SOURCE: &str = include_str!("../../src/collections/layout.rs");
const SEAL_SOURCE: &str = include_str!("../../src/seal.rs");

fn size_of_field<S, F>(_witness: fn(&S) -> &F) -> u64 {
    size_of::<F>() as u64
}

/// Enters structs with all their fields: one that is not listed here does not compile.
macro_rules! structures {
    ($format:ident: $($layer:ident::$name:ident { $($field:ident),* })*) => {$(
        let fields = vec![$((
            std::mem::offset_of!($layer::layout::$name, $field) as u64,
            size_of_field::<$layer::layout::$name, _>(|value| &value.$field),
            stringify!($field).to_owned(),
        )),*];
        let _all_fields = |value: $layer::layout::$name| {
            let $layer::layout::$name { $($field: _),* } = value;
        };
        let len = size_of::<$layer::layout::$name>() as u64;
        $format.structures.insert(concat!(stringify!($layer), "::", stringify!($name)).to_owned(), (len, fields));
    )*};
}

macro_rules! constants {
    ($format:ident: $($layer:ident::$name:ident)*) => {$(
        $format.constants.insert(
            concat!(stringify!($layer), "::", stringify!($name)).to_owned(),
            $layer::layout::$name.to_string(),
        );
    )*};
}

/// What a document states of these layers; `lrvm/tests/format` looks at the rest.
fn told(document: &str) -> Format {
    Format::of(document).only(|name| !name.starts_with("lrvm::"))
}

/// What the code states.
fn code() -> Format {
    let mut format = Format::default();
    structures! { format:
        rio::HeaderCopy { magic, byte_order, version, len, generation, id, boot_id, state, domain, backing, survives,
            reserved, crc }
        vista::SegmentHeader { magic, version, page_len, log_offset, log_len, meta_offset, reserved, crc,
            reserved_end }
        vista::LogHeader { state, sequence, batch }
        vista::RecordFooter { target, check }
        vista::RootPage { root_offset, root_len, fingerprint, text_len, crc, text }
        vista::HeapPage { zone_count, partial, runs, reserved }
        vista::ZoneEntry { offset, page_count, top, check }
        vista::PageDescriptor { kind, class, reserved, freed_sequence, run_pages, next, prev, reserved_word, bitmap,
            check }
        collections::VecHeader { len, capacity, data }
        collections::BytesHeader { len, inline_capacity }
        collections::DequeHeader { head, tail, capacity, data }
        collections::SlabHeader { free_head, len, used, capacity, links, values }
        collections::BTreeHeader { root, len }
        collections::BTreeNode { used, level, count, reserved, order }
        collections::HashMapHeader { seed, table, next, table_bits, next_bits, len, room, progress }
    }
    constants! { format:
        rio::VERSION rio::COPY_LEN
        vista::PAGE_LEN vista::PAGE_SHIFT vista::MEDIUM_LEN_MAX vista::FORMAT_VERSION vista::SEGMENT_OFFSET
        vista::LOG_OFFSET vista::LOG_RECORDS vista::KIND_IMAGE vista::KIND_FRESH vista::KIND_LINK
        vista::KIND_SAVEPOINT vista::RECORD_LEN_BITS vista::RECORD_LOW_BITS vista::PAYLOAD_LEN_MAX
        vista::ROOT_TEXT_LEN vista::CLASS_LISTS vista::RUN_LISTS vista::ZONES_MAX vista::PAGE_INNER vista::PAGE_FREE
        vista::PAGE_FREE_TAIL vista::PAGE_SLAB vista::PAGE_LARGE vista::DESCRIPTOR_LEN vista::META_PAGES
        collections::IS_APART collections::INLINE_MIN collections::OCCUPIED
        collections::BTREE_SLOTS_MAX collections::BTREE_SLOTS_MIN collections::BTREE_ENTRIES_LEN
        collections::BTREE_LEVELS_MAX
        collections::CTRL_LEN collections::GROUP_SLOTS collections::SLOT_EMPTY collections::SLOT_DELETED collections::SLOT_FULL
        collections::HASH_KEY collections::HASH_FINISH
    }
    let classes = vista::layout::CLASSES.map(|class| class.to_string()).join(" ");
    for (name, value) in [
        ("rio::HEADER_LEN", rio::HEADER_LEN.to_string()),
        ("rio::LINE_LEN", rio::LINE_LEN.to_string()),
        ("rio::MAGIC", hex(&rio::layout::MAGIC)),
        ("rio::BYTE_ORDER", format!("{:#x}", rio::layout::BYTE_ORDER)),
        ("vista::SEGMENT_MAGIC", hex(&vista::layout::SEGMENT_MAGIC)),
        ("vista::LOG_EMPTY", format!("{:#x}", vista::layout::LOG_EMPTY)),
        ("vista::CLASSES", classes),
    ] {
        format.constants.insert(name.to_owned(), value);
    }
    // Private, so read from the source; `formulas.rs` tries them on real bytes.
    for name in ["KEY_A", "KEY_B", "KEY_C", "VALUE_BITS", "LONG_LEN"] {
        let value = source_constant(SEAL_SOURCE, name);
        format.constants.insert(format!("seal::{name}"), value);
    }
    format
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// The value of a number in a source, in one spelling.
fn source_constant(source: &str, name: &str) -> String {
    let (_, rest) = source.split_once(&format!("const {name}:")).unwrap_or_else(|| panic!("no {name}"));
    let value = rest.split(['=', ';']).nth(1).expect("a constant has a value").trim();
    value.replace('_', "").to_lowercase()
}

/// The names that follow this in a source.
fn names_after<'a>(source: &'a str, keyword: &str) -> BTreeSet<&'a str> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let lines = source.lines().filter_map(|line| line.strip_prefix(keyword));
    lines.map(|rest| rest.split(|c| !is_name(c)).next().expect("a split has a first part")).collect()
}

#[test]
fn the_document_describes_the_code() {
    let differences = differences(&told(DOCUMENT), &code());
    assert!(differences.is_empty(), "docs/FORMAT.md: {differences:#?}");
}

#[test]
fn this_test_knows_every_struct_and_constant_of_the_layouts() {
    let code = code();
    for (layer, source) in [("rio", RIO_SOURCE), ("vista", VISTA_SOURCE), ("collections", COLLECTIONS_SOURCE)]
    {
        for name in names_after(source, "pub struct ") {
            assert!(code.structures.contains_key(&format!("{layer}::{name}")), "{layer}::{name}");
        }
        for name in names_after(source, "pub const ") {
            assert!(code.constants.contains_key(&format!("{layer}::{name}")), "{layer}::{name}");
        }
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

/// Changes the document and expects that the differences speak of `about`.
#[track_caller]
fn notices(from: &str, to: &str, about: &str) {
    assert_eq!(DOCUMENT.matches(from).count(), 1, "{from:?} stands in the document once");
    let doctored = DOCUMENT.replace(from, to);
    let differences = differences(&told(&doctored), &code());
    assert!(differences.iter().any(|difference| difference.contains(about)), "{from:?}: {differences:#?}");
}

/// The row of the document that begins so.
fn row(start: &str) -> String {
    let line = DOCUMENT.lines().find(|line| line.starts_with(start)).expect("a row that begins so");
    format!("{line}\n")
}

#[test]
fn a_missing_field_is_noticed() {
    notices(&row("| 8 | 8 | sequence |"), "", "sequence is not described");
    notices(&row("| 64 | 1 | state |"), "", "state is not described");
}

#[test]
fn an_extra_field_is_noticed() {
    let sequence = row("| 8 | 8 | sequence |");
    let mut extra = sequence.clone();
    writeln!(extra, "| 16 | 8 | owner | the process |").unwrap();
    notices(&sequence, &extra, "there is no owner");
    notices(&sequence, &sequence.repeat(2), "has 3 fields, not 4");
}

#[test]
fn a_moved_field_is_noticed() {
    notices("| 16 | 8 | batch |", "| 24 | 8 | batch |", "there is no batch");
    // Two fields that change places.
    notices("| 0 | 1 | kind |", "| 1 | 1 | kind |", "kind is not described so");
}

#[test]
fn a_resized_field_is_noticed() {
    notices("| 24 | 32 | bitmap |", "| 24 | 24 | bitmap |", "there is no bitmap");
    notices("| 68 | 56 | reserved |", "| 68 | 52 | reserved |", "reserved is not described so");
}

#[test]
fn a_renamed_field_is_noticed() {
    notices("| 4 | 4 | freed_sequence |", "| 4 | 4 | freed_by |", "there is no freed_by");
}

#[test]
fn a_struct_of_another_size_or_name_is_noticed() {
    notices("`vista::ZoneEntry`: 32 bytes", "`vista::ZoneEntry`: 40 bytes", "has 32 bytes, not 40");
    notices("`vista::ZoneEntry`: 32 bytes", "`vista::Zone`: 32 bytes", "vista::ZoneEntry is not described");
    notices("`vista::ZoneEntry`: 32 bytes", "`vista::Zone`: 32 bytes", "there is no vista::Zone");
}

#[test]
fn another_constant_is_noticed() {
    notices("| `vista::KIND_LINK` | 2 |", "| `vista::KIND_LINK` | 3 |", "vista::KIND_LINK is 2, not 3");
    notices("| `vista::KIND_LINK` | 2 |", "| `vista::KIND_CHAIN` | 2 |", "there is no vista::KIND_CHAIN");
    notices(&row("| `vista::FORMAT_VERSION`"), "", "vista::FORMAT_VERSION is not described");
    notices(" 576 672 816 ", " 576 680 816 ", "vista::CLASSES");
    notices("0xa9696bffffffffff", "0xa9696bfffffffffe", "vista::LOG_EMPTY");
    notices("0x9e3779b97f4a7c15", "0x9e3779b97f4a7c17", "seal::KEY_A");
    notices("| 56 49 53 54 41 53 45 47 |", "| 56 49 53 54 41 53 45 48 |", "vista::SEGMENT_MAGIC");
}
