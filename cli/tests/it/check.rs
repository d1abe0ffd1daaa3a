//! `check`: what it finds in collections, by the description of the root alone.

use std::fs;
use std::path::Path;

use vista::collections::layout::{BTreeHeader, BytesHeader, HashMapHeader, SlabHeader, VecHeader};
use vista::{
    PBTreeMap, PBytes, PCell, PHashMap, PHashSet, POption, PPtr, PSlab, PString, PVec, PVecDeque, Persistent,
    Segment, Transaction,
};

use crate::support::{Dir, Said, make_segment, text, vista};

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Office {
    clerks: PSlab<Clerk>,
    by_name: PHashMap<PString, PVec<PBytes>>,
    by_date: PBTreeMap<i32, PVecDeque<PString>>,
    rooms: PHashSet<u16>,
    sign: POption<PCell<PString>>,
}

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Clerk {
    name: PString,
    letters: PVec<PString>,
}

type Tx<'s> = Transaction<'s, Office>;

fn fill(tx: &mut Tx<'_>) -> vista::Result<()> {
    let (clerks, by_name) = (PSlab::new(tx)?, PHashMap::with_seed(tx, 7)?);
    let (by_date, rooms) = (PBTreeMap::new(tx)?, PHashSet::with_seed(tx, 8)?);
    for number in 0..40_i32 {
        let letters = PVec::new(tx)?;
        let letter = PString::new(tx, &format!("letter {number}, longer than there is room for"))?;
        letters.push(tx, letter)?;
        let name = PString::new(tx, "Ada")?;
        clerks.insert(tx, Clerk { name, letters })?;
        let list = PVec::new(tx)?;
        let bytes = PBytes::from_slice(tx, &[number as u8; 3])?;
        list.push(tx, bytes)?;
        by_name.insert(tx, format!("clerk {number}"), list)?;
        let queue = PVecDeque::new(tx)?;
        let entry = PString::new(tx, "entry")?;
        queue.push_front(tx, entry)?;
        by_date.insert(tx, 20 - number, queue)?;
        rooms.insert(tx, number as u16)?;
    }
    let gone = clerks.remove(tx, 3)?;
    tx.release(gone)?;
    let sign = PString::new(tx, "Grüße")?;
    let sign = PCell::new(tx, sign)?;
    let sign = POption::some(tx, sign)?;
    *tx.root_mut()? = Office { clerks, by_name, by_date, rooms, sign };
    Ok(())
}

fn make_office(path: &Path) {
    let mut segment = Segment::<Office>::create(path, 1 << 20).unwrap();
    segment.transaction(fill).unwrap();
    segment.close().unwrap();
}

#[test]
fn sound_collections_are_counted() {
    let dir = Dir::new();
    let path = dir.path("office");
    make_office(&path);
    let said = vista(&["check", text(&path)]);
    assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{}", said.stdout);
    assert!(said.stdout.contains("sound: ") && said.stdout.contains(" collections\n"), "{}", said.stdout);
    assert_eq!(said.stdout.lines().count(), 1, "no notes: {}", said.stdout);
    let json = vista(&["check", "--json", text(&path)]).json();
    // 39 clerks of three, 40 lists of two, 40 queues of two, the sign of three, and what holds them.
    assert_eq!(json["content"]["collection_count"], 39 * 3 + 40 * 3 + 40 * 2 + 3 + 4);
    assert_eq!((&json["notes"], &json["violations"]), (&serde_json::json!([]), &serde_json::json!([])));
}

/// What `check` says after a change.
fn after(change: impl FnOnce(&mut Tx<'_>, Office) -> vista::Result<()>) -> Said {
    let dir = Dir::new();
    let path = dir.path("office");
    make_office(&path);
    let mut segment = Segment::<Office>::open(&path).unwrap();
    segment.transaction(|tx| change(tx, *tx.root())).unwrap();
    segment.close().unwrap();
    let json = vista(&["check", text(&path), "--json"]);
    let said = vista(&["check", text(&path)]);
    assert_eq!(said.code, json.code);
    let json = json.json();
    assert_eq!(json["is_sound"], said.code == 0);
    for violation in json["violations"].as_array().unwrap() {
        assert!(said.stdout.contains(violation["invariant"].as_str().unwrap()), "{}", said.stdout);
    }
    said
}

#[track_caller]
fn is_broken(invariant: &str, change: impl FnOnce(&mut Tx<'_>, Office) -> vista::Result<()>) {
    let said = after(change);
    assert_eq!((said.code, said.stderr.as_str()), (1, ""), "{}", said.stdout);
    assert!(said.stdout.contains(invariant), "{invariant} is not in: {}", said.stdout);
    assert!(said.stdout.contains("not sound"), "{}", said.stdout);
}

fn header<H: Persistent>(offset: u64) -> PPtr<H> {
    PPtr::from_offset(offset)
}

#[test]
fn damaged_collections_are_told_by_number_and_by_the_exit_code() {
    let letters =
        |tx: &Tx<'_>, office: Office| Ok::<_, vista::Error>(office.clerks.get(tx, 0)?.unwrap().letters);
    is_broken("INV-C3", |tx, office| {
        let vec = letters(tx, office)?;
        tx.get_mut(header::<VecHeader>(vec.offset()))?.len = 1 << 40;
        Ok(())
    });
    is_broken("INV-C1", |tx, office| {
        let vec = letters(tx, office)?;
        tx.release(vec)
    });
    is_broken("INV-C6", |tx, office| {
        tx.get_mut(header::<SlabHeader>(office.clerks.offset()))?.free_head = 1;
        Ok(())
    });
    is_broken("INV-C20", |tx, office| {
        tx.get_mut(header::<HashMapHeader>(office.rooms.offset()))?.len -= 1;
        Ok(())
    });
    is_broken("INV-C23", |tx, office| {
        tx.get_mut(header::<HashMapHeader>(office.by_name.offset()))?.seed += 1;
        Ok(())
    });
    is_broken("INV-C40", |tx, office| {
        tx.get_mut(header::<BTreeHeader>(office.by_date.offset()))?.len = 7;
        Ok(())
    });
    is_broken("INV-C3", |tx, office| {
        let sign = *office.sign.get(tx)?.unwrap().get(tx)?;
        sign.into_bytes().as_mut_slice(tx)?[2] = 0xFF;
        Ok(())
    });
    is_broken("INV-C3", |tx, office| {
        let name = office.clerks.get(tx, 9)?.unwrap().name;
        tx.get_mut(header::<BytesHeader>(name.offset()))?.len = u32::MAX;
        Ok(())
    });
}

#[test]
fn what_nothing_owns_is_a_note_and_no_fault() {
    let said = after(|tx, _| PBytes::from_slice(tx, b"lost").map(drop));
    assert_eq!(said.code, 0);
    for part in ["note: no collection owns 1 block, ", "they are leaked (INV-C2)", ": sound: "] {
        assert!(said.stdout.contains(part), "{part:?} is not in: {}", said.stdout);
    }
    let dir = Dir::new();
    let path = dir.path("list");
    make_segment(&path);
    let said = vista(&["check", text(&path)]);
    assert_eq!(said.code, 0);
    assert!(
        said.stdout.contains("300 blocks") && said.stdout.contains("raw pointers hold them"),
        "{}",
        said.stdout
    );
    let json = vista(&["check", text(&path), "--json"]).json();
    assert_eq!(
        (&json["content"]["unowned_count"], &json["content"]["has_raw_pointers"]),
        (&300.into(), &true.into())
    );
    assert_eq!(json["content"]["unowned"].as_array().unwrap().len(), 100, "the first of them");
}

/// Two mentions of this name are more than a description has room for.
macro_rules! undescribed {
    ($($field:ident)*) => {
        #[derive(Clone, Copy, Persistent)]
        #[repr(C)]
        struct Undescribed { $($field: Long,)* }
    };
}

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
#[persistent(
    name = "AVeryLongNameOfAStructAVeryLongNameOfAStructAVeryLongNameOfAStructAVeryLongNameOfAStructAVeryLongNameOfAStruct"
)]
struct Long {
    words: PVec<PString>,
}

undescribed!(a b c d e f g h i j k l m n o p q r s t u v w x y z aa bb cc dd ee ff gg hh ii jj kk ll mm nn);

#[test]
fn a_root_without_a_description_is_told_in_one_line() {
    let dir = Dir::new();
    let path = dir.path("undescribed");
    Segment::<Undescribed>::create(&path, 1 << 20).unwrap().close().unwrap();
    let said = vista(&["check", text(&path)]);
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    let lines: Vec<_> = said.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{}", said.stdout);
    assert!(lines[0].contains("note: contents were not looked at"), "{}", said.stdout);
    assert!(lines[0].len() < 300, "{}", said.stdout);
}

/// Bytes all over the content are damaged: it is sound, or it is not, or it cannot be opened, and always that is said.
#[test]
fn no_flipped_byte_of_the_content_makes_it_panic_or_hang() {
    let dir = Dir::new();
    let (path, spoiled) = (dir.path("office"), dir.path("spoiled"));
    make_office(&path);
    let whole = fs::read(&path).unwrap();
    let blocks = vista::inspect::Inspector::open(&path).unwrap().blocks();
    let mut codes = [0; 3];
    for (number, block) in blocks.iter().enumerate().step_by(11) {
        let mut bytes = whole.clone();
        bytes[block.offset as usize + number % 8] ^= 0x5a;
        fs::write(&spoiled, &bytes).unwrap();
        for json in [&[][..], &["--json"]] {
            let said = vista(&[&["check", text(&spoiled)], json].concat());
            assert!((0..=1).contains(&said.code), "{}: {}", block.offset, said.stderr);
            codes[said.code as usize] += 1;
        }
    }
    assert!(codes[1] > 20, "{codes:?}");
}
