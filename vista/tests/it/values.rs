//! What a root holds is read by the names that its layout has, and neither text nor bytes can make that panic or go on
//! for ever.

use rio::{Buffer, Domain};
use vista::inspect::{Content, Inspector, Limits, Schema, SchemaError, Target, Type, Usage, Value};
use vista::layout::{PAGE_LEN, ROOT_TEXT_LEN, SEGMENT_OFFSET};
use vista::{
    PBTreeMap, PBytes, PCell, PHashMap, PHashSet, POption, PPtr, PSlab, PSlice, PString, PVec, PVecDeque,
    Persistent, Segment, fingerprint_of, layout_of,
};

use crate::forge::Image;
use crate::support::{SMALL, SplitMix};

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Everything {
    numbers: [i16; 4],
    ratio: f64,
    small: f32,
    tag: [u8; 4],
    count: u64,
    wide: u128,
    list: PPtr<Node>,
    names: PVec<PString>,
    blob: PBytes,
    window: PSlice<u32>,
    own: Inner,
}

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Node {
    value: i64,
    next: PPtr<Node>,
}

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Inner {
    none: (),
    marks: [[u8; 2]; 4],
}

/// A segment with some of everything; its list is a circle.
fn image() -> Vec<u8> {
    let buffer = Buffer::new(SMALL, SMALL).with_domain(Domain::PageCache);
    let mut segment = Segment::<Everything, Buffer>::create_on(buffer, PAGE_LEN).unwrap();
    segment
        .transaction(|tx| -> vista::Result<()> {
            let last = tx.alloc(Node { value: -2, next: PPtr::NULL })?;
            let first = tx.alloc(Node { value: -1, next: last })?;
            tx.get_mut(last)?.next = first;
            let names = [PString::new(tx, "Grüße")?, PString::null(), PString::new(tx, &"ß".repeat(200))?];
            let (names, blob) = (PVec::from_slice(tx, &names)?, PBytes::from_slice(tx, &[7; 1000])?);
            let window = tx.alloc_slice(&[9u32; 5])?;
            *tx.root_mut()? = Everything {
                numbers: [1, -2, 3, -4],
                ratio: 0.5,
                small: -0.25,
                tag: *b"abcd",
                count: 12,
                wide: u128::MAX,
                list: first,
                names,
                blob,
                window,
                own: Inner { none: (), marks: [[1, 2]; 4] },
            };
            Ok(())
        })
        .unwrap();
    segment.into_medium().unwrap().bytes().to_vec()
}

fn inspector(image: &[u8]) -> Inspector<Buffer> {
    Inspector::open_on(Buffer::from_bytes(image).with_domain(Domain::PageCache)).unwrap()
}

/// A field of a struct.
fn field<'v>(value: &'v Value, name: &str) -> &'v Value {
    let Value::Struct { fields, .. } = value else { panic!("{name} of {value:?}") };
    &fields.iter().find(|(field, _)| field == name).unwrap().1
}

/// What a pointer leads to.
fn target(value: &Value) -> &Value {
    let Value::Reference { to: Target::Value(value), .. } = value else { panic!("{value:?}") };
    value
}

#[test]
fn a_root_is_shown_by_the_names_of_its_fields() {
    let root = inspector(&image()).value(&Limits::default()).unwrap();
    let Value::List { len: 4, items } = field(&root, "numbers") else { panic!() };
    assert!(matches!(items[..], [Value::Signed(1), Value::Signed(-2), Value::Signed(3), Value::Signed(-4)]));
    assert!(matches!(field(&root, "ratio"), Value::Float64(0.5)));
    assert!(matches!(field(&root, "small"), Value::Float32(-0.25)));
    assert!(matches!(field(&root, "tag"), Value::Bytes { len: 4, bytes } if bytes == b"abcd"));
    assert!(matches!(field(&root, "wide"), Value::Unsigned(u128::MAX)));
    let Value::List { len: 3, items } = target(field(&root, "names")) else { panic!() };
    assert!(matches!(target(&items[0]), Value::Text { len: 7, text } if text == "Grüße"));
    assert!(matches!(&items[1], Value::Reference { offset: 0, to: Target::Null, .. }));
    let Value::Text { len: 400, text } = target(&items[2]) else { panic!() };
    assert_eq!(text.len(), 256, "a limit");
    assert!(matches!(target(field(&root, "blob")), Value::Bytes { len: 1000, bytes } if bytes == &[7; 256]));
    let Value::List { len: 5, items } = target(field(&root, "window")) else { panic!() };
    assert!(items.iter().all(|item| matches!(item, Value::Unsigned(9))));
    assert!(matches!(field(field(&root, "own"), "none"), Value::Nothing));
    let Value::List { len: 4, items } = field(field(&root, "own"), "marks") else { panic!() };
    assert!(matches!(&items[3], Value::Bytes { len: 2, bytes } if bytes == &[1, 2]));
    // Round the circle once.
    let first = target(field(&root, "list"));
    let second = target(field(first, "next"));
    assert!(matches!(field(second, "value"), Value::Signed(-2)));
    assert!(matches!(field(second, "next"), Value::Reference { to: Target::Seen, .. }));
}

#[test]
fn limits_are_kept() {
    let image = image();
    let inspector = inspector(&image);
    let limits = Limits { depth: 1, items: 2, bytes: 3, values: 1000 };
    let root = inspector.value(&limits).unwrap();
    assert!(matches!(field(&root, "numbers"), Value::List { len: 4, items } if items.len() == 2));
    assert!(matches!(target(field(&root, "blob")), Value::Bytes { len: 1000, bytes } if bytes.len() == 3));
    let first = target(field(&root, "list"));
    assert!(matches!(field(first, "next"), Value::Reference { to: Target::Omitted, .. }));

    let none = inspector.value(&Limits { values: 0, ..limits }).unwrap();
    assert!(matches!(none, Value::Omitted));
    let few = inspector.value(&Limits { values: 3, ..limits }).unwrap();
    assert!(matches!(field(&few, "ratio"), Value::Omitted));
}

/// That a description is read back with the sizes that the compiler has.
fn check_sizes<T: Persistent>() {
    let text = layout_of::<T>().text;
    let schema = Schema::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(schema.size_of(schema.root()), Some(size_of::<T>() as u64), "{text}");
    assert_eq!(schema.align_of(schema.root()), Some(align_of::<T>() as u64), "{text}");
    assert!(!schema.is_cut(), "{text}");
}

#[test]
fn every_description_is_read_back_with_its_sizes() {
    check_sizes::<Everything>();
    check_sizes::<Node>();
    check_sizes::<[[Node; 3]; 2]>();
    check_sizes::<PVec<PVec<Node>>>();
    check_sizes::<()>();
    check_sizes::<[(); 3]>();
    check_sizes::<[u8; 0]>();
    check_sizes::<PPtr<[PSlice<Inner>; 2]>>();
    check_sizes::<PString>();
    check_sizes::<std::marker::PhantomData<Node>>();
    check_sizes::<u8>();
    check_sizes::<i128>();
}

#[test]
fn a_text_that_is_no_layout_is_refused_with_its_place() {
    for (text, at, expected) in [
        ("", 0, "a layout"),
        ("{a:u8@0}size=1,align=1", 0, "a name"),
        ("A{a:u8@0}size=1,align=3", 22, "power of two"),
        ("A{a:u8@0}size=1,align=8192", 22, "power of two"),
        ("A{a:u8@0}size=3,align=2", 22, "divides"),
        ("A{a:u64@0}size=4,align=4", 2, "fits"),
        ("A{a:u8@0,b:u8@0}size=2,align=1", 9, "behind the one before"),
        ("A{a:u8@0,b:u32@1}size=8,align=4", 9, "aligned"),
        ("A{a:u32@0}size=4,align=1", 2, "aligned"),
        ("A{a:[u64; 4294967296]@0}size=8,align=8", 2, "fits"),
        ("A{a:[[u64; 4294967296]; 4294967296]@0}size=8,align=8", 2, "an array that fits"),
        ("A{a:A@0}size=8,align=8", 0, "contain itself"),
        ("A{b:B@0}size=8,align=8;B{a:[A; 1]@0}size=8,align=8", 0, "contain itself"),
        ("A{}size=0,align=1;A{}size=0,align=1", 18, "another name"),
        ("A{}size=0,align=1;u64;B", 21, "the fields"),
        ("A{}size=99999999999999999999,align=1", 8, "a number"),
        ("A{a=u8@0}size=1,align=1", 3, "a colon"),
        ("u64 ;", 3, "a semicolon"),
        ("PPtr<u64", 8, "the rest"),
        ("A{}size=0,align=1;", 18, "the rest"),
    ] {
        let SchemaError { at: found, expected: said } = Schema::parse(text).unwrap_err();
        assert!(found == at && said.contains(expected), "{text}: {found}: {said}");
    }
    let deep = ["[".repeat(100), "u8".to_owned(), "; 1]".repeat(100)].concat();
    assert_eq!(Schema::parse(&deep).unwrap_err().at, 32);
}

#[test]
fn a_text_that_was_cut_is_read_as_far_as_it_goes() {
    let text = layout_of::<Everything>().text;
    for len in 1..text.len() {
        let schema = Schema::parse_cut(&text[..len]).unwrap_or_else(|error| panic!("cut at {len}: {error}"));
        assert!(schema.is_cut(), "cut at {len}");
        if !text[..len].contains("align=") {
            assert!(matches!(schema.root(), Type::Unknown(_)), "cut at {len}: {schema:?}");
        }
    }
    // A struct whose description is not there any more.
    let cut = Schema::parse_cut("A{n:u64@0,b:B@8,c:u64@16}size=24,align=8;B{x:u6").unwrap();
    assert!(cut.is_cut());
    let image = image();
    let inspector = inspector(&image);
    let offset = inspector.root().unwrap().offset;
    let value = cut.value(&inspector, cut.root(), offset, &Limits::default());
    assert!(matches!(field(&value, "n"), Value::Unsigned(_)));
    assert!(matches!(field(&value, "b"), Value::Unknown { of: Type::Unknown(name) } if name == "B"));
    assert!(matches!(field(&value, "c"), Value::Unsigned(_)));
}

#[test]
fn no_damaged_text_makes_it_panic_or_go_on() {
    let text = layout_of::<Everything>().text;
    let image = image();
    let inspector = inspector(&image);
    let offset = inspector.root().unwrap().offset;
    let mut random = SplitMix(5);
    let alphabet = b"{}[]<>();:,@#=0189 APu_\xc3";
    for round in 0..4000 {
        let mut bytes = text.clone().into_bytes();
        for _ in 0..1 + random.below(3) {
            let at = random.below(bytes.len() as u64) as usize;
            match random.below(3) {
                0 => bytes[at] = alphabet[random.below(alphabet.len() as u64) as usize],
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, alphabet[random.below(alphabet.len() as u64) as usize]),
            }
        }
        let damaged = String::from_utf8_lossy(&bytes);
        for parsed in [Schema::parse(&damaged), Schema::parse_cut(&damaged)] {
            match parsed {
                Ok(schema) => drop(schema.value(&inspector, schema.root(), offset, &Limits::default())),
                Err(error) => assert!(error.at <= damaged.len(), "round {round}: {damaged}: {error}"),
            }
        }
    }
    // Structs in structs, more than a stack would take.
    let mut chain = String::new();
    for n in 0..20_000 {
        chain += &format!("S{n}{{a:S{}@0}}size=8,align=8;", n + 1);
    }
    let chain = Schema::parse(&(chain + "S20000{}size=8,align=8")).unwrap();
    drop(chain.value(&inspector, chain.root(), offset, &Limits::default()));
    // A great many values without a byte.
    let wide = Schema::parse("[[[(); 4294967296]; 4294967296]; 4294967296]").unwrap();
    let limits = Limits { items: usize::MAX, ..Limits::default() };
    drop(wide.value(&inspector, wide.root(), offset, &limits));
}

#[test]
fn no_damaged_bytes_make_it_panic_or_go_on() {
    let image = image();
    let blocks = inspector(&image).blocks();
    let interesting = [0u64, 1, 7, 8, 0xff, 1 << 31, 1 << 32, 1 << 44, u64::MAX / 8, u64::MAX];
    for block in blocks {
        for word in (block.offset..block.offset + block.len.min(192)).step_by(8) {
            for value in interesting {
                let mut damaged = image.clone();
                damaged[word as usize..][..8].copy_from_slice(&value.to_le_bytes());
                drop(inspector(&damaged).value(&Limits::default()).unwrap());
            }
        }
    }
}

#[test]
fn the_map_of_pages_has_no_gap_and_agrees_with_the_blocks() {
    let image = image();
    let inspector = inspector(&image);
    let runs = inspector.runs();
    let mut end = 0;
    for run in &runs {
        assert_eq!(run.offset, end, "{runs:?}");
        assert!(run.page_count > 0);
        end = run.offset + run.page_count * PAGE_LEN;
    }
    assert_eq!(end, SMALL);
    assert!(runs.iter().any(|run| run.offset <= SEGMENT_OFFSET && run.usage == Usage::Header));
    let used: u32 =
        runs.iter().map(|run| if let Usage::Slab { used, .. } = run.usage { used } else { 0 }).sum();
    assert_eq!(used as usize, inspector.blocks().len());

    // What does not pass its check is shown as such, wherever it stands.
    let table = runs.iter().rfind(|run| run.usage == Usage::Metadata).unwrap().offset;
    let mut damaged = image.clone();
    damaged[table as usize] ^= 0x5a;
    let runs = self::inspector(&damaged).runs();
    assert!(runs.iter().any(|run| run.usage == Usage::Damaged), "{runs:?}");
}

/// One of each collection.
#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Kept {
    deque: PVecDeque<u16>,
    slab: PSlab<u32>,
    cell: PCell<[u16; 3]>,
    some: POption<u16>,
    none: POption<u16>,
    hash: PHashMap<u16, PString>,
    wide: PHashMap<PString, [u64; 3]>,
    set: PHashSet<u32>,
    tree: PBTreeMap<PString, u8>,
    large: PBTreeMap<u16, [u16; 500]>,
}

/// A segment with `count` elements in each, and some removed.
fn collections(count: u16, page_count: u64) -> Vec<u8> {
    let buffer = Buffer::new(page_count * PAGE_LEN, page_count * PAGE_LEN).with_domain(Domain::PageCache);
    let mut segment = Segment::<Kept, Buffer>::create_on(buffer, 4 * PAGE_LEN).unwrap();
    segment
        .transaction(|tx| -> vista::Result<()> {
            let kept = Kept {
                deque: PVecDeque::new(tx)?,
                slab: PSlab::new(tx)?,
                cell: PCell::new(tx, [1, 2, 3])?,
                some: POption::some(tx, 7)?,
                none: POption::none(tx)?,
                hash: PHashMap::new(tx)?,
                wide: PHashMap::new(tx)?,
                set: PHashSet::new(tx)?,
                tree: PBTreeMap::new(tx)?,
                large: PBTreeMap::new(tx)?,
            };
            for n in 0..count {
                kept.deque.push_back(tx, n)?;
                kept.slab.insert(tx, n.into())?;
                let text = PString::new(tx, &n.to_string())?;
                assert!(kept.hash.insert(tx, n, text)?.is_none());
                kept.wide.insert(tx, n.to_string().as_str(), [n.into(); 3])?;
                kept.set.insert(tx, u32::from(n))?;
                kept.tree.insert(tx, n.to_string().as_str(), n as u8)?;
                kept.large.insert(tx, n, [n; 500])?;
            }
            for n in (0..count).step_by(3) {
                kept.deque.pop_front(tx)?;
                kept.slab.remove(tx, n.into())?;
                let text = kept.hash.remove(tx, n)?.unwrap();
                tx.release(text)?;
                kept.wide.remove(tx, n.to_string().as_str())?;
                kept.set.remove(tx, u32::from(n))?;
                kept.tree.remove(tx, n.to_string().as_str())?;
                kept.large.remove(tx, n)?;
            }
            *tx.root_mut()? = kept;
            Ok(())
        })
        .unwrap();
    assert_eq!(segment.check_content().unwrap(), []);
    segment.into_medium().unwrap().bytes().to_vec()
}

/// A value in few words.
fn short(value: &Value) -> String {
    match value {
        Value::Unsigned(number) => number.to_string(),
        Value::Text { text, .. } => text.clone(),
        Value::None => "none".to_owned(),
        Value::Reference { to: Target::Value(value), .. } => short(value),
        Value::Reference { to: Target::Null, .. } => "null".to_owned(),
        Value::List { items, .. } => items.iter().map(short).collect::<Vec<_>>().join(" "),
        other => panic!("{other:?}"),
    }
}

/// The entries of a map, in the order in which they are found.
fn entries(value: &Value) -> Vec<(String, String)> {
    let Value::Map { len, entries } = target(value) else { panic!("{value:?}") };
    assert_eq!(*len, entries.len() as u64);
    entries.iter().map(|(key, value)| (short(key), short(value))).collect()
}

#[test]
fn collections_are_shown_with_what_they_hold() {
    let limits = Limits { items: usize::MAX, values: usize::MAX, ..Limits::default() };
    // With tables of one group, while they grow, and with trees of several levels.
    for count in (0..40).chain([100, 200, 300]) {
        let root = inspector(&collections(count, 400)).value(&limits).unwrap();
        let left: Vec<u16> = (0..count).filter(|n| n % 3 != 0).collect();
        let sorted = |mut entries: Vec<(String, String)>| {
            entries.sort();
            entries
        };
        let expect = |value: fn(u16) -> String| -> Vec<(String, String)> {
            left.iter().map(|n| (n.to_string(), value(*n))).collect()
        };
        let in_order = expect(|n| n.to_string());
        let in_order_of_text = sorted(in_order.clone());

        let removed = count.div_ceil(3);
        let deque: Vec<_> = (removed..count).map(|n| n.to_string()).collect();
        assert_eq!(short(field(&root, "deque")), deque.join(" "), "{count}");
        assert_eq!(entries(field(&root, "slab")), in_order, "{count}");
        assert_eq!(short(field(&root, "cell")), "1 2 3");
        assert_eq!(short(field(&root, "some")), "7");
        assert_eq!(short(field(&root, "none")), "none");
        assert_eq!(sorted(entries(field(&root, "hash"))), in_order_of_text, "{count}");
        assert_eq!(
            sorted(entries(field(&root, "wide"))),
            sorted(expect(|n| format!("{n} {n} {n}"))),
            "{count}"
        );
        let mut set: Vec<u32> =
            short(field(&root, "set")).split_whitespace().map(|n| n.parse().unwrap()).collect();
        set.sort_unstable();
        assert_eq!(set, left.iter().map(|n| u32::from(*n)).collect::<Vec<_>>(), "{count}");
        assert_eq!(entries(field(&root, "tree")), sorted(expect(|n| (n as u8).to_string())), "{count}");
        let large = entries(field(&root, "large"));
        assert!(large.iter().zip(&in_order).all(|(found, expected)| found.0 == expected.0), "{count}");
        assert_eq!(large.len(), left.len(), "{count}");
    }
}

#[test]
fn few_elements_of_a_collection_are_shown_if_so_asked() {
    let image = collections(100, 200);
    let root = inspector(&image).value(&Limits { items: 2, ..Limits::default() }).unwrap();
    for name in ["slab", "hash", "wide", "tree", "large"] {
        let value = target(field(&root, name));
        assert!(matches!(value, Value::Map { len: 66, entries } if entries.len() == 2), "{name}: {value:?}");
    }
    for name in ["deque", "set"] {
        let value = target(field(&root, name));
        assert!(matches!(value, Value::List { len: 66, items } if items.len() == 2), "{name}: {value:?}");
    }
}

#[test]
fn no_damaged_bytes_of_a_collection_make_it_panic_or_go_on() {
    let image = collections(25, 44);
    let blocks = inspector(&image).blocks();
    let interesting =
        [0u64, 1, 7, 0x0101_0101_0101_0101, 0xff, 1 << 32, 48 | 48 << 32, 69_632, u64::MAX / 8, u64::MAX];
    let mut words = 0;
    for block in blocks {
        for word in (block.offset..block.offset + block.len.min(72)).step_by(8) {
            for value in interesting {
                let mut damaged = image.clone();
                damaged[word as usize..][..8].copy_from_slice(&value.to_le_bytes());
                drop(inspector(&damaged).value(&Limits::default()).unwrap());
                words += 1;
            }
        }
    }
    assert!(words > 1000, "{words}");
}

/// What a check of the content says by another description of the root.
fn checked_by(image: &[u8], text: &str) -> vista::Result<Content> {
    let mut image = Image(image.to_vec());
    image.set_root(|root| {
        root.text = [0; ROOT_TEXT_LEN];
        root.text[..text.len()].copy_from_slice(text.as_bytes());
        root.text_len = text.len() as u32;
        root.fingerprint = fingerprint_of(text);
    });
    inspector(&image.0).check_content()
}

#[test]
fn no_forged_description_makes_a_check_panic_or_go_on() {
    let text = layout_of::<Everything>().text;
    let image = image();
    let sound = checked_by(&image, &text).unwrap();
    assert_eq!((sound.violations.len(), sound.collection_count), (0, 4));
    let mut random = SplitMix(6);
    let names =
        ["PVec<", "PHashMap<u8, ", "PBTreeMap<PBytes, ", "PSlab<", "PVecDeque<", "PHashSet<", "PCell<", "["];
    let numbers = ["0", "8", "16", "4294967296", "1152921504606846976", "18446744073709551608"];
    let mut read = 0;
    for _ in 0..3000 {
        let mut forged = text.clone();
        for _ in 0..1 + random.below(3) {
            // One name or one number becomes another one.
            let (from, to) = match random.below(2) {
                0 => ("PVec<", names[random.below(names.len() as u64) as usize]),
                _ => (["@8", "=8", "=16", "; 4"][random.below(4) as usize], ""),
            };
            let places: Vec<_> = forged.match_indices(from).map(|(at, _)| at).collect();
            if places.is_empty() {
                continue;
            }
            let at = places[random.below(places.len() as u64) as usize];
            let number = numbers[random.below(numbers.len() as u64) as usize];
            let sign = from.trim_end_matches(|c: char| c.is_ascii_digit());
            let new = if to.is_empty() { format!("{sign}{number}") } else { to.to_owned() };
            forged.replace_range(at..at + from.len(), &new);
        }
        read += usize::from(checked_by(&image, &forged).is_ok());
    }
    assert!(read > 100, "{read}");
}

#[test]
fn elements_of_any_length_are_no_room_for_a_check_to_go_wrong() {
    let buffer = Buffer::new(SMALL, SMALL).with_domain(Domain::PageCache);
    let mut segment = Segment::<PVec<[u64; 8]>, Buffer>::create_on(buffer, PAGE_LEN).unwrap();
    segment
        .transaction(|tx| -> vista::Result<()> {
            // As good a header of any collection as zeroes and small numbers are.
            let vec = PVec::from_slice(tx, &[[1, 1, 1, 1, 0, 0, 0, 0]; 8])?;
            *tx.root_mut()? = vec;
            Ok(())
        })
        .unwrap();
    let image = segment.into_medium().unwrap().bytes().to_vec();
    for name in
        ["PVec<A>", "PVecDeque<A>", "PSlab<A>", "PCell<A>", "POption<A>", "PHashSet<A>", "PHashMap<A, A>"]
    {
        for (size, align) in
            [(0, 1), (0, 4096), (1, 1), (1 << 40, 4096), (u64::MAX - 4095, 4096), (u64::MAX, 1)]
        {
            let content = checked_by(&image, &format!("{name};A{{}}size={size},align={align}"));
            assert!(content.is_ok(), "{name}, {size}, {align}: {content:?}");
            let tree = checked_by(&image, &format!("PBTreeMap<A, A>;A{{}}size={size},align={align}"));
            assert!(tree.is_ok(), "{size}, {align}: {tree:?}");
        }
    }
}

/// A value in 30 arrays of one.
macro_rules! nested {
    ($of:ty; ) => { $of };
    ($of:ty; $one:tt $($more:tt)*) => { nested!([$of; 1]; $($more)*) };
}

type Deep = nested!(PCell<Chain>; . . . . . . . . . . . . . . . . . . . . . . . . . . . . . .);

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Chain {
    next: Deep,
}

#[test]
fn what_stands_in_more_others_than_a_stack_would_take_is_told() {
    let buffer = Buffer::new(SMALL, SMALL).with_domain(Domain::PageCache);
    let mut segment = Segment::<Chain, Buffer>::create_on(buffer, PAGE_LEN).unwrap();
    for count in 1..=vista::MAX_DEPTH {
        segment
            .transaction(|tx| -> vista::Result<()> {
                let cell = PCell::new(tx, *tx.root())?;
                *tx.root_mut()? = bytemuck::cast(cell.offset());
                Ok(())
            })
            .unwrap();
        assert_eq!(segment.check_content().unwrap(), []);
        let content = inspector(segment.medium().unwrap().bytes()).check_content().unwrap();
        assert_eq!(content.violations, []);
        let is_told = !content.unknown.is_empty();
        assert!(is_told || content.collection_count == u64::from(count), "{count}: {content:?}");
        assert_eq!(is_told, count >= 15, "16 times 32 levels are too many: {count}");
        assert_eq!(content.unowned.len() as u64, u64::from(count) - content.collection_count);
    }
}
