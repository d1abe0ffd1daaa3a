//! A root of another type, in one transaction. (Every crash of one: `crash-sim/campaigns/tests/it/migration.rs`.)

use rio::Domain;
use vista::{Error, PPtr, PString, PVec, Persistent, Segment, SegmentOptions, Transaction};

use crate::support::{DOMAINS, SMALL, assert_sound, reopen, small};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Persistent)]
#[repr(C)]
#[persistent(name = "Ledger")]
struct V1 {
    balance: u32,
    count: u32,
    block: PPtr<[u64; 8]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Persistent)]
#[repr(C)]
#[persistent(name = "Ledger")]
struct V2 {
    balance: i64,
    block: PPtr<[u64; 8]>,
    history: [u64; 600], // Of another size class than the root before.
}

fn filled(domain: Domain) -> (Segment<V1, crate::traced::Traced>, crate::traced::Tape) {
    let (mut segment, tape) = small(domain);
    segment
        .transaction(|tx: &mut Transaction<'_, V1, _>| {
            let block = tx.alloc([7u64; 8])?;
            *tx.root_mut()? = V1 { balance: 41, count: 2, block };
            Ok::<_, Error>(())
        })
        .unwrap();
    (segment, tape)
}

fn to_v2<M: rio::Medium>(tx: &mut Transaction<'_, V1, M>) -> Result<V2, Error> {
    let V1 { balance, count, block } = *tx.root();
    tx.get_mut(block)?[0] = 8;
    let mut history = [0; 600];
    history[0] = count.into();
    Ok(V2 { balance: i64::from(balance) + 1, block, history })
}

#[test]
fn a_migrated_segment_opens_as_the_new_type_alone() {
    for domain in DOMAINS {
        let (segment, tape) = filled(domain);
        let before = segment.blocks().unwrap().len();
        let migrated = segment.migrate(to_v2).unwrap();
        let root = *migrated.root().unwrap();
        assert_eq!((root.balance, root.history[0]), (42, 2));
        assert_eq!(migrated.get(root.block).unwrap()[0], 8);
        assert_eq!(migrated.blocks().unwrap().len(), before, "the old root is freed");
        assert_sound(&migrated);
        drop(migrated);

        let image = tape.bytes();
        assert_eq!(*reopen::<V2>(&image, domain).unwrap().root().unwrap(), root);
        let error = reopen::<V1>(&image, domain).unwrap_err();
        assert!(matches!(error, Error::RootMismatch { .. }));
        assert!(error.to_string().contains("migrate"), "{error}");
    }
}

#[test]
fn transactions_go_on_behind_a_migration() {
    let (segment, tape) = filled(Domain::PageCache);
    let mut migrated = segment.migrate(to_v2).unwrap();
    migrated.transaction(|tx| Ok::<_, Error>(tx.root_mut()?.balance = 5)).unwrap();
    assert_eq!(reopen::<V2>(&tape.bytes(), Domain::PageCache).unwrap().root().unwrap().balance, 5);
}

#[test]
fn a_migration_that_fails_leaves_the_old_root() {
    for domain in DOMAINS {
        let (segment, tape) = filled(domain);
        let root = *segment.root().unwrap();
        let result = segment.migrate(|tx| {
            to_v2(tx)?;
            tx.get(PPtr::<V2>::null()).copied() // Fails.
        });
        assert!(matches!(result, Err(Error::NullPointer { .. })));
        let old = reopen::<V1>(&tape.bytes(), domain).unwrap();
        assert_eq!((*old.root().unwrap(), old.get(root.block).unwrap()[0]), (root, 7));
        assert_sound(&old);
    }
}

#[test]
fn a_migration_without_room_leaves_the_old_root() {
    let (segment, tape) = filled(Domain::PageCache);
    let result = segment.migrate(|_| Ok::<_, Error>([[0u64; 512]; (SMALL / 4096) as usize]));
    assert!(matches!(result, Err(Error::NoSpace { .. })));
    assert_eq!(reopen::<V1>(&tape.bytes(), Domain::PageCache).unwrap().root().unwrap().balance, 41);
}

#[test]
fn a_file_is_opened_or_migrated() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger");
    SegmentOptions::new()
        .size(1 << 20)
        .create_with(&path, |tx| {
            Ok::<_, Error>(*tx.root_mut()? = V1 { balance: 1, count: 0, block: PPtr::null() })
        })
        .unwrap();
    let convert = |tx: &mut Transaction<'_, V1>| {
        let V1 { balance, block, .. } = *tx.root();
        Ok::<_, Error>(V2 { balance: balance.into(), block, history: [0; 600] })
    };
    for round in 0..2 {
        let segment: Segment<V2> = SegmentOptions::new().open_or_migrate(&path, convert).unwrap();
        assert_eq!(segment.root().unwrap().balance, 1, "round {round}");
    }
    let neither =
        SegmentOptions::new().open_or_migrate(&path, |_: &mut Transaction<'_, u32>| Ok::<_, Error>(7u64));
    assert!(matches!(neither, Err(Error::RootMismatch { .. })));
    assert_eq!(Segment::<V2>::open(&path).unwrap().root().unwrap().balance, 1, "and nothing has changed");
}

#[test]
fn collections_are_handed_over() {
    let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PVec<u32>>().unwrap();
    segment
        .transaction(|tx| {
            let numbers = PVec::or_new(tx, tx.root_ptr())?;
            numbers.extend(tx, 0..100)
        })
        .unwrap();
    let words = segment
        .migrate(|tx| {
            let (numbers, words) = (*tx.root(), PVec::new(tx)?);
            for number in numbers.as_slice(tx)?.to_vec() {
                let word = PString::new(tx, &number.to_string())?;
                words.push(tx, word)?;
            }
            tx.release(numbers)?;
            Ok::<_, Error>(words)
        })
        .unwrap();
    let last = words.root().unwrap().last(&words).unwrap().unwrap();
    assert_eq!(last.as_str(&words).unwrap(), "99");
    assert_eq!(words.check_content().unwrap(), []);
}
