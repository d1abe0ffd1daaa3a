//! The index against a map of maps, over random histories.

use std::collections::BTreeMap;

use example_index::{Content, Index, Stamp};
use proptest::prelude::*;
use vista::rio::{Medium, RegionOptions};

/// The words of each file.
pub(crate) type Files = BTreeMap<Vec<u8>, BTreeMap<String, u32>>;

#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// A file, and which words it has how often.
    Put(u8, Vec<(u8, u32)>),
    Skip(u8),
    Remove(u8),
    Tidy,
}

pub(crate) fn path(number: u8) -> Vec<u8> {
    format!("/texts/{number}").into_bytes()
}

pub(crate) fn word(number: u8) -> String {
    format!("word{number}")
}

fn counts(words: &[(u8, u32)]) -> BTreeMap<String, u32> {
    words.iter().map(|&(number, count)| (word(number), count)).collect()
}

pub(crate) fn stamp(number: u64) -> Stamp {
    Stamp { len: number, modified_nanos: 0, seen_nanos: 1 }
}

pub(crate) fn step(files: &mut Files, operation: &Operation) {
    match operation {
        Operation::Put(file, words) => drop(files.insert(path(*file), counts(words))),
        Operation::Skip(file) => drop(files.insert(path(*file), BTreeMap::new())),
        Operation::Remove(file) => drop(files.remove(&path(*file))),
        Operation::Tidy => {}
    }
}

pub(crate) fn apply<M: Medium>(index: &mut Index<M>, operation: &Operation) -> example_index::Result<()> {
    match operation {
        Operation::Put(file, words) => {
            let content = Content::Text(counts(words).into_iter().collect());
            index.put(&path(*file), stamp(1), [1, 2], &content)
        }
        Operation::Skip(file) => index.put(&path(*file), stamp(1), [3, 4], &Content::Binary),
        Operation::Remove(file) => index.remove(&path(*file)).map(drop),
        Operation::Tidy => index.tidy().map(drop),
    }
}

/// What a search from end to end finds: the files that have all of the words, by how often.
fn query(files: &Files, words: &[String]) -> BTreeMap<Vec<u8>, u64> {
    let count = |counts: &BTreeMap<String, u32>| {
        words.iter().try_fold(0, |sum, word| Some(sum + u64::from(*counts.get(word)?)))
    };
    files.iter().filter_map(|(path, counts)| Some((path.clone(), count(counts)?))).collect()
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let words = prop::collection::vec((0..12u8, 1..4u32), 0..10);
    let operation = prop_oneof![
        8 => (0..30u8, words).prop_map(|(file, words)| Operation::Put(file, words)),
        1 => (0..30u8).prop_map(Operation::Skip),
        3 => (0..30u8).prop_map(Operation::Remove),
        1 => Just(Operation::Tidy),
    ];
    prop::collection::vec(operation, 0..150)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn the_index_finds_what_a_search_from_end_to_end_finds(
        operations in operations(),
        queries in prop::collection::vec(prop::collection::btree_set(0..13u8, 1..4), 5),
    ) {
        let region = RegionOptions::new().size(1 << 20).anonymous().unwrap();
        let mut index = Index::create_on(region).unwrap();
        let mut files = Files::new();
        for operation in &operations {
            apply(&mut index, operation).unwrap();
            step(&mut files, operation);
        }
        prop_assert_eq!(index.contents().unwrap(), files.clone());
        prop_assert_eq!(index.check().unwrap(), Vec::<String>::new());
        for query_words in queries {
            let words: Vec<String> = query_words.into_iter().map(word).collect();
            let expected = query(&files, &words);
            let (hits, count) = index.query(&words.join(" "), 1000).unwrap();
            prop_assert!(hits.is_sorted_by(|a, b| a.count >= b.count));
            let hits: BTreeMap<Vec<u8>, u64> = hits.into_iter().map(|hit| (hit.path, hit.count)).collect();
            prop_assert_eq!(count, hits.len());
            prop_assert_eq!(hits, expected);
        }
    }
}

#[test]
fn words_that_stand_nowhere_are_forgotten_and_their_memory_is_used_again() {
    let region = RegionOptions::new().size(1 << 20).max_len(1 << 20).anonymous().unwrap();
    let mut index = Index::create_on(region).unwrap();
    // Without forgetting, a segment of this length would be full by the tenth time.
    for round in 0..100u32 {
        let words = (0..300).map(|n| (format!("word_{round}_{n}"), 1)).collect();
        index.put(b"/text", stamp(1), [0, 0], &Content::Text(words)).unwrap();
        let forgotten = index.tidy().unwrap();
        assert_eq!(forgotten, if round == 0 { 0 } else { 300 });
    }
    assert_eq!(index.stats().unwrap().words, 300);
    assert_eq!(index.check().unwrap(), Vec::<String>::new());
}

#[test]
fn a_full_index_refuses_a_file_and_has_all_others() {
    let region = RegionOptions::new().size(512 << 10).max_len(512 << 10).anonymous().unwrap();
    let mut index = Index::create_on(region).unwrap();
    let put = |index: &mut Index<_>, n: u32| {
        let words = (0..100).map(|word| (format!("word_{n}_{word}"), 1)).collect();
        index.put(format!("/{n}").as_bytes(), stamp(1), [0, 0], &Content::Text(words))
    };
    let count = (0..).find(|&n| put(&mut index, n).is_err()).unwrap();
    let refused = put(&mut index, count);
    assert!(matches!(refused, Err(example_index::Error::Vista(vista::Error::NoSpace { .. }))), "{refused:?}");
    assert_eq!(index.stats().unwrap().text_files, u64::from(count));
    assert_eq!(index.check().unwrap(), Vec::<String>::new());
}
