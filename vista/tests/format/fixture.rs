//! A segment of format 1 with one of every collection and a transaction in flight, as it was when the process died: every
//! later version opens it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use vista::inspect::Inspector;
use vista::{
    Error, PBTreeMap, PBytes, PCell, PHashMap, POption, PPtr, PSlab, PString, PVec, PVecDeque, Persistent,
    Segment, SegmentOptions, Transaction,
};

/// The file's bytes that are not zero, sixteen a line behind their offset; the first line is its length.
const SEGMENT: &str = include_str!("../fixtures/v1-segment.txt");
const NAME: &str = "v1-segment.txt";

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Root {
    counter: u64,
    block: PPtr<[u64; 4]>,
    numbers: PVec<u32>,
    words: PVec<PString>,
    bytes: PBytes,
    queue: PVecDeque<u64>,
    slab: PSlab<u64>,
    cell: PCell<i64>,
    option: POption<u64>,
    by_word: PHashMap<PString, PVec<u64>>,
    sorted: PBTreeMap<u64, u64>,
}

fn fill(tx: &mut Transaction<'_, Root>) -> Result<(), Error> {
    let block = tx.alloc([1u64, 2, 3, 4])?;
    let numbers = PVec::from_slice(tx, &[10, 20, 30])?;
    let words = PVec::new(tx)?;
    for word in ["one", "two", "a word that is longer than what stands behind a header"] {
        let word = PString::new(tx, word)?;
        words.push(tx, word)?;
    }
    let bytes = PBytes::from_slice(tx, b"short")?;
    bytes.extend_from_slice(tx, b", and then too long for the block that it began in")?;
    let queue = PVecDeque::new(tx)?;
    for number in 0..6 {
        queue.push_back(tx, number)?;
    }
    queue.pop_front(tx)?;
    let slab = PSlab::new(tx)?;
    for number in 0..4 {
        slab.insert(tx, number * 11)?;
    }
    slab.remove(tx, 2)?;
    let cell = PCell::new(tx, -5)?;
    let option = POption::some(tx, 7)?;
    let by_word = PHashMap::with_seed(tx, 42)?;
    // Enough that the map is growing when it ends, and that the tree has split.
    for number in 0..13u64 {
        let list = PVec::from_slice(tx, &[number, number * number])?;
        by_word.insert(tx, format!("word {number}"), list)?;
    }
    let sorted = PBTreeMap::new(tx)?;
    for number in 0..50u64 {
        sorted.insert(tx, number * 7 % 50, number)?;
    }
    *tx.root_mut()? =
        Root { counter: 1, block, numbers, words, bytes, queue, slab, cell, option, by_word, sorted };
    Ok(())
}

/// What the fixture's process was doing when it died.
fn change(tx: &mut Transaction<'_, Root>) -> Result<(), Error> {
    let root = *tx.root();
    tx.root_mut()?.counter = 2;
    tx.get_mut(root.block)?[0] = 100;
    root.numbers.push(tx, 40)?;
    root.queue.push_back(tx, 6)?;
    if let Some(list) = root.by_word.remove(tx, "word 3")? {
        tx.release(list)?;
    }
    root.sorted.insert(tx, 50, 50)?;
    Ok(())
}

/// Makes the file anew: `cargo test -p rio-vista --test format make_segment -- --ignored`. Only for a new format, in a new
/// file.
#[test]
#[ignore = "writes the fixture"]
fn make_segment() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("segment");
    let options = SegmentOptions::new().size(40 * 4096).log_len(4096);
    let mut segment = options.create_with(&path, fill).unwrap();
    let mut tx = segment.begin().unwrap();
    change(&mut tx).unwrap();
    let bytes = fs::read(&path).unwrap();
    drop(tx);
    let mut text = format!("{}\n", bytes.len());
    for (line, bytes) in bytes.chunks(16).enumerate().filter(|(_, bytes)| bytes.iter().any(|&byte| byte != 0))
    {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(text, "{} {hex}", line * 16).unwrap();
    }
    fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(NAME), text).unwrap();
}

/// The bytes of the file.
fn fixture() -> Vec<u8> {
    let mut lines = SEGMENT.lines();
    let mut bytes = vec![0; lines.next().unwrap().parse().unwrap()];
    for line in lines {
        let (offset, hex) = line.split_once(' ').unwrap();
        let offset: usize = offset.parse().unwrap();
        for (index, byte) in bytes[offset..offset + hex.len() / 2].iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).unwrap();
        }
    }
    bytes
}

fn opened(path: &Path) -> Segment<Root> {
    fs::write(path, fixture()).unwrap();
    // It comes from another boot.
    SegmentOptions::new().accept_reboot(true).open(path).unwrap()
}

#[test]
fn a_segment_of_format_1_is_rolled_back_and_read() {
    let dir = tempfile::tempdir().unwrap();
    let segment = opened(&dir.path().join("segment"));
    assert!(segment.recovery().record_count > 5);
    assert_eq!(segment.check_content().unwrap().first().map(|found| found.invariant), None);
    let (root, on) = (*segment.root().unwrap(), &segment);
    assert_eq!((root.counter, on.get(root.block).unwrap()), (1, &[1, 2, 3, 4]));
    assert_eq!(root.numbers.as_slice(on).unwrap(), [10, 20, 30]);
    let words: Vec<_> = root.words.iter(on).unwrap().map(|word| word.as_str(on).unwrap()).collect();
    assert_eq!(words, ["one", "two", "a word that is longer than what stands behind a header"]);
    assert_eq!(root.bytes.as_slice(on).unwrap(), b"short, and then too long for the block that it began in");
    assert_eq!(root.queue.iter(on).unwrap().copied().collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    let slab: Vec<_> = root.slab.iter(on).unwrap().map(|(id, &value)| (id, value)).collect();
    assert_eq!(slab, [(0, 0), (1, 11), (3, 33)]);
    assert_eq!((root.cell.get(on).unwrap(), root.option.get(on).unwrap()), (&-5, Some(&7)));
    assert_eq!(root.by_word.len(on).unwrap(), 13);
    for number in 0..13u64 {
        let list = root.by_word.get(on, format!("word {number}")).unwrap().unwrap();
        assert_eq!(list.as_slice(on).unwrap(), [number, number * number]);
    }
    let sorted: Vec<_> =
        root.sorted.iter(on).unwrap().map(|entry| entry.map(|(&key, &value)| (key, value))).collect();
    let sorted: Vec<_> = sorted.into_iter().collect::<Result<_, _>>().unwrap();
    let mut expected: Vec<_> = (0..50u64).map(|number| (number * 7 % 50, number)).collect();
    expected.sort();
    assert_eq!(sorted, expected);
}

#[test]
fn a_segment_of_format_1_is_checked_by_its_description() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("segment");
    fs::write(&path, fixture()).unwrap();
    let mut inspector = Inspector::open(&path).unwrap();
    inspector.recover().unwrap();
    assert_eq!(inspector.check(), []);
    let content = inspector.check_content().unwrap();
    // Nine fields, three words in a list, and thirteen words with a list each.
    assert_eq!((content.violations, content.collection_count), (vec![], 9 + 3 + 13 * 2));
    assert_eq!((content.unowned.len(), content.has_raw_pointers), (1, true), "the block of the raw pointer");
}

#[test]
fn a_segment_of_format_1_is_written_to_and_migrated() {
    let dir = tempfile::tempdir().unwrap();
    let mut segment = opened(&dir.path().join("segment"));
    segment.transaction(change).unwrap();
    assert_eq!(segment.check_content().unwrap().first().map(|found| found.invariant), None);
    let root = *segment.root().unwrap();
    assert_eq!(root.by_word.len(&segment).unwrap(), 12);
    let migrated = segment
        .migrate(|tx| {
            let root = *tx.root();
            tx.free(root.block)?;
            tx.release(root.numbers)?;
            tx.release(root.words)?;
            tx.release(root.bytes)?;
            tx.release(root.queue)?;
            tx.release(root.slab)?;
            tx.release(root.cell)?;
            tx.release(root.option)?;
            tx.release(root.by_word)?;
            Ok::<_, Error>(root.sorted)
        })
        .unwrap();
    assert_eq!(migrated.check_content().unwrap().first().map(|found| found.invariant), None);
    assert_eq!(migrated.root().unwrap().last_key_value(&migrated).unwrap(), Some((&50, &50)));
}
