//! Files by word in a segment. Each method that changes anything is one transaction: when it returns, the change outlives
//! the process, and a process that dies before leaves nothing of it.
//!
//! Each version of a file gets a number, counted up. So the files of a word are appended in order, and stay sorted without
//! ever being moved; a search in them is a binary one. A version that is gone leaves its place in the list empty, and a
//! list that is half empty is written anew. To find these places, each version keeps the numbers of its words.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use vista::rio::{Medium, Region};
use vista::{
    Depth, PBTreeMap, PBytes, PHashMap, PPtr, PSlab, PString, PVec, Persistent, Reader, Segment,
    SegmentOptions, Transaction, Violation, Writer, field,
};

use crate::words::words;
use crate::{Error, Result};

/// A new segment has this length, and grows from it.
const LEN_AT_FIRST: u64 = 16 << 20;

/// How long to wait for the owner before this one: a process that was killed has the file until the kernel has taken it apart.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// A list of fewer files is not written anew, however empty it is.
const REWRITTEN_FROM: usize = 16;

/// How many words without a file one transaction forgets, so that its log stays short.
const FORGOTTEN_AT_ONCE: usize = 1000;

/// The root of the segment.
#[derive(Clone, Copy, Persistent)]
#[repr(C)]
pub struct Root {
    /// The numbers of all words.
    words: PHashMap<PString, u64>,
    /// What there is to each of them. A number stays what it is while a file has the word.
    vocabulary: PSlab<Word>,
    /// The numbers of all files, by path.
    files: PBTreeMap<PBytes, u64>,
    /// What there is to each of them.
    versions: PHashMap<u64, Version>,
    /// The last number that was given to a version of a file. None is used again.
    version_count: u64,
    /// How many words stand in no file any more.
    empty_word_count: u64,
}

/// A word, and where it stands.
#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Word {
    /// In the order of the versions' numbers.
    postings: PVec<Posting>,
    /// How many of the postings are empty.
    gone_count: u64,
}

/// How often a word stands in a version of a file.
#[derive(Clone, Copy, Debug, Persistent)]
#[repr(C)]
struct Posting {
    version: u32,
    /// 0 if the version is gone.
    count: u32,
}

/// What a file held when it was read.
#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Version {
    path: PBytes,
    /// The numbers of its words.
    words: PVec<u32>,
    stamp: Stamp,
    hash: [u64; 2],
    content: u64,
}

const TEXT: u64 = 0;
const BINARY: u64 = 1;
const TOO_LONG: u64 = 2;

/// By what it is noticed that a file may have changed.
#[derive(Clone, Copy, Debug, Persistent, PartialEq, Eq)]
#[repr(C)]
pub struct Stamp {
    /// Its length in bytes.
    pub len: u64,
    /// When it was changed last, in nanoseconds since the epoch, as the file system says.
    pub modified_nanos: i64,
    /// When this was looked up, by the clock of this machine.
    pub seen_nanos: i64,
}

impl Stamp {
    /// Whether a file that looks like `other` now is the one that looked like this, without being read.
    ///
    /// A file system's clock ticks some hundred times a second: a file that was changed twice within a tick looks the same
    /// in between. So a file that was read within two seconds of its change is not trusted, and read once more.
    pub fn proves_unchanged(&self, other: &Stamp) -> bool {
        const NANOS: i64 = 2_000_000_000;
        self.len == other.len
            && self.modified_nanos == other.modified_nanos
            && self.modified_nanos.saturating_add(NANOS) < self.seen_nanos
    }
}

/// What is in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Words, and how often each of them. No word is there twice.
    Text(Vec<(String, u32)>),
    /// No text in UTF-8. The file is known, so that it is not read each time.
    Binary,
    /// More than is read.
    TooLong,
}

/// What the index knows of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// What it looked like.
    pub stamp: Stamp,
    /// Hash of its bytes.
    pub hash: [u64; 2],
}

/// A file that has all the words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// How often it has them, all together.
    pub count: u64,
    /// Its path.
    pub path: Vec<u8>,
}

/// What an [`Index`] holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Files with words.
    pub text_files: u64,
    /// Files that hold no text, or one too long.
    pub skipped_files: u64,
    /// Words that stand in any file.
    pub words: u64,
    /// How many words each file has, summed up.
    pub postings: u64,
    /// Bytes of the files with words.
    pub text_bytes: u64,
    /// Length of the index in bytes.
    pub index_bytes: u64,
}

/// An inverted index in a segment.
#[derive(Debug)]
pub struct Index<M: Medium = Region> {
    segment: Segment<Root, M>,
}

impl Index {
    /// Opens the index of this name, or makes it. It grows up to `max_bytes`.
    ///
    /// # Errors
    /// As [`vista::SegmentOptions::open_or_create`], such as another process that has it open for five seconds more.
    pub fn open_or_create(path: &Path, max_bytes: u64) -> Result<Self> {
        let options = options().size(LEN_AT_FIRST).max_len(max_bytes.max(LEN_AT_FIRST));
        Ok(Index { segment: options.open_or_create_with(path, make)? })
    }

    /// Opens the index of this name.
    ///
    /// # Errors
    /// As [`vista::SegmentOptions::open`], such as another process that has it open for five seconds more.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Index { segment: options().open(path)? })
    }

    /// Closes the file, so that it is as durable as any other.
    ///
    /// # Errors
    /// The system's error.
    pub fn close(self) -> Result<()> {
        Ok(self.segment.close()?)
    }
}

fn options() -> SegmentOptions {
    SegmentOptions::new().lock_wait(LOCK_WAIT)
}

impl<M: Medium> Index<M> {
    /// Makes an index on a medium of any kind: for crash tests.
    ///
    /// # Errors
    /// As [`Segment::create_on`].
    pub fn create_on(medium: M) -> Result<Self> {
        let mut segment = Segment::create_on(medium, 4096)?;
        segment.transaction(make)?;
        Ok(Index { segment })
    }

    /// Opens the index on a medium of any kind.
    ///
    /// # Errors
    /// As [`Segment::open_on`].
    pub fn open_on(medium: M) -> Result<Self> {
        Ok(Index { segment: Segment::open_on(medium)? })
    }

    /// What is known of a file; nothing, if it is not in the index.
    ///
    /// # Errors
    /// [`vista::Error::Damaged`] if the index is.
    pub fn known(&self, path: &[u8]) -> Result<Option<Known>> {
        let (on, root) = (&self.segment, self.segment.root()?);
        let Some(&number) = root.files.get(on, path)? else { return Ok(None) };
        let version = root.versions.get(on, number)?;
        Ok(version.map(|version| Known { stamp: version.stamp, hash: version.hash }))
    }

    /// The paths that begin with `start`, in their order.
    ///
    /// # Errors
    /// As [`known`](Index::known).
    pub fn paths(&self, start: &[u8]) -> Result<Vec<Vec<u8>>> {
        use std::ops::Bound::{Included, Unbounded};
        let on = &self.segment;
        let mut paths = Vec::new();
        for entry in self.segment.root()?.files.range(on, (Included(start), Unbounded))? {
            let path = entry?.0.as_slice(on)?;
            if !path.starts_with(start) {
                break;
            }
            paths.push(path.to_vec());
        }
        Ok(paths)
    }

    /// Takes a file in, in place of what was known of it. A query finds all of the new content, or all of the old.
    ///
    /// # Errors
    /// [`vista::Error::NoSpace`] if the index may not grow any more; [`Error::NumbersUsedUp`].
    pub fn put(&mut self, path: &[u8], stamp: Stamp, hash: [u64; 2], content: &Content) -> Result<()> {
        self.segment.transaction(|tx| {
            remove(tx, path)?;
            let root = *tx.root();
            let number = root.version_count + 1;
            let short = u32::try_from(number).map_err(|_| used_up())?;
            let words = match content {
                Content::Text(words) => insert_words(tx, short, words)?,
                Content::Binary | Content::TooLong => PVec::NULL,
            };
            let content = match content {
                Content::Text(_) => TEXT,
                Content::Binary => BINARY,
                Content::TooLong => TOO_LONG,
            };
            let version = Version { path: PBytes::from_slice(tx, path)?, words, stamp, hash, content };
            root.versions.insert(tx, number, version)?;
            root.files.insert(tx, path, number)?;
            tx.write(field!(tx.root_ptr(), Root, version_count), number)?;
            Ok(())
        })
    }

    /// Notes that a file looks different, and has the same content. False if it is not in the index.
    ///
    /// # Errors
    /// As [`put`](Index::put).
    pub fn touch(&mut self, path: &[u8], stamp: Stamp) -> Result<bool> {
        self.segment.transaction(|tx| {
            let root = *tx.root();
            let Some(&number) = root.files.get(tx, path)? else { return Ok(false) };
            let Some(place) = root.versions.place(tx, number)? else { return Ok(false) };
            tx.write(field!(place, Version, stamp), stamp)?;
            Ok(true)
        })
    }

    /// Takes a file out. False if it is not in the index.
    ///
    /// # Errors
    /// As [`put`](Index::put).
    pub fn remove(&mut self, path: &[u8]) -> Result<bool> {
        self.segment.transaction(|tx| remove(tx, path))
    }

    /// Forgets words that stand in no file any more, if they are an eighth of all, and gives their number. They are found by
    /// looking at every word, which is why it is not done each time.
    ///
    /// # Errors
    /// As [`put`](Index::put).
    pub fn tidy(&mut self) -> Result<u64> {
        let (on, root) = (&self.segment, *self.segment.root()?);
        if root.empty_word_count * 8 < root.words.len(on)? as u64 {
            return Ok(0);
        }
        let mut empty = Vec::new();
        for (word, &number) in root.words.iter(on)? {
            if word_of(on, &root, number)?.postings.is_null() {
                empty.push(word.as_str(on)?.to_owned());
            }
        }
        for words in empty.chunks(FORGOTTEN_AT_ONCE) {
            self.segment.transaction(|tx| {
                let root = *tx.root();
                for word in words {
                    if let Some(number) = root.words.remove(tx, word.as_str())? {
                        root.vocabulary.remove(tx, number)?;
                    }
                }
                let left = root.empty_word_count.saturating_sub(words.len() as u64);
                tx.write(field!(tx.root_ptr(), Root, empty_word_count), left)
            })?;
        }
        Ok(empty.len() as u64)
    }

    /// The files that have all of the words, those first that have them most often, up to `limit` of them; and how many there
    /// are in all. Words are taken apart as those of files are. Without a word there is no file.
    ///
    /// # Errors
    /// As [`known`](Index::known).
    pub fn query(&self, text: &str, limit: usize) -> Result<(Vec<Hit>, usize)> {
        let (on, root) = (&self.segment, self.segment.root()?);
        let wanted: BTreeSet<_> = words(text).collect();
        let mut lists = Vec::new();
        for word in wanted {
            let Some(&number) = root.words.get(on, &*word)? else { return Ok((Vec::new(), 0)) };
            lists.push(word_of(on, root, number)?.postings.as_slice(on)?);
        }
        lists.sort_by_key(|list| list.len());
        let Some((shortest, others)) = lists.split_first() else { return Ok((Vec::new(), 0)) };
        let count_in = |list: &[Posting], version: u32| {
            let at = list.binary_search_by_key(&version, |posting| posting.version).ok()?;
            Some(u64::from(list[at].count)).filter(|&count| count > 0)
        };
        let mut found = Vec::new();
        for posting in shortest.iter().filter(|posting| posting.count > 0) {
            let mut counts = others.iter().map(|list| count_in(list, posting.version));
            let sum = counts.try_fold(u64::from(posting.count), |sum, count| Some(sum + count?));
            found.extend(sum.map(|sum| (sum, posting.version)));
        }
        let found_count = found.len();
        // Those of the same count by their paths. By their numbers they would be in the order in which threads have read them.
        found.sort_unstable_by_key(|&(count, _)| std::cmp::Reverse(count));
        let least =
            limit.checked_sub(1).map_or(u64::MAX, |last| found.get(last).map_or(0, |&(count, _)| count));
        let mut hits = Vec::new();
        for &(count, version) in found.iter().take_while(|&&(count, _)| count >= least) {
            if let Some(version) = root.versions.get(on, u64::from(version))? {
                hits.push(Hit { count, path: version.path.as_slice(on)?.to_vec() });
            }
        }
        hits.sort_unstable_by(|a, b| b.count.cmp(&a.count).then_with(|| a.path.cmp(&b.path)));
        hits.truncate(limit);
        Ok((hits, found_count))
    }

    /// What there is. Looks at every file.
    ///
    /// # Errors
    /// As [`known`](Index::known).
    pub fn stats(&self) -> Result<Stats> {
        let (on, root) = (&self.segment, self.segment.root()?);
        let words = (root.words.len(on)? as u64).saturating_sub(root.empty_word_count);
        let mut stats = Stats { words, index_bytes: on.stats()?.len, ..Stats::default() };
        for version in root.versions.values(on)? {
            if version.content == TEXT {
                stats.text_files += 1;
                stats.text_bytes += version.stamp.len;
                stats.postings += version.words.len(on)? as u64;
            } else {
                stats.skipped_files += 1;
            }
        }
        Ok(stats)
    }

    /// Everything, turned back: the words of each file, and how often each of them.
    ///
    /// # Errors
    /// As [`known`](Index::known).
    pub fn contents(&self) -> Result<BTreeMap<Vec<u8>, BTreeMap<String, u32>>> {
        let (on, root) = (&self.segment, self.segment.root()?);
        let mut contents: BTreeMap<Vec<u8>, BTreeMap<String, u32>> = BTreeMap::new();
        for path in self.paths(b"")? {
            contents.insert(path, BTreeMap::new());
        }
        for (word, &number) in root.words.iter(on)? {
            for posting in word_of(on, root, number)?.postings.iter(on)?.filter(|posting| posting.count > 0) {
                let version = root.versions.get(on, u64::from(posting.version))?;
                let path = version
                    .map_or(Ok(&b"a version that is not there"[..]), |version| version.path.as_slice(on))?;
                contents.entry(path.to_vec()).or_default().insert(word.as_str(on)?.to_owned(), posting.count);
            }
        }
        Ok(contents)
    }

    /// What is not sound: in the heap, in the collections, and between them. Files know their words, and words their files.
    ///
    /// # Errors
    /// As [`known`](Index::known).
    pub fn check(&self) -> Result<Vec<String>> {
        let (on, root) = (&self.segment, self.segment.root()?);
        let mut found: Vec<String> = on.check_content()?.iter().map(Violation::to_string).collect();
        let mut pairs = BTreeSet::new();
        for (&number, version) in root.versions.iter(on)? {
            let path = version.path.as_slice(on)?;
            if number > root.version_count || root.files.get(on, path)? != Some(&number) {
                found.push(format!("version {number} of no file"));
            }
            pairs.extend(version.words.iter(on)?.map(|&word| (u64::from(word), number)));
        }
        if root.files.len(on)? != root.versions.len(on)? {
            found.push("a file without a version".to_owned());
        }
        let (mut pair_count, mut empty_count) = (0, 0);
        for (_, &number) in root.words.iter(on)? {
            let word = word_of(on, root, number)?;
            let postings = word.postings.as_slice(on)?;
            let there: Vec<_> = postings.iter().filter(|posting| posting.count > 0).collect();
            pair_count += there.len();
            empty_count += u64::from(there.is_empty());
            let is_sound = postings.is_sorted_by(|a, b| a.version < b.version)
                && (postings.len() - there.len()) as u64 == word.gone_count
                && there.is_empty() == word.postings.is_null()
                && there.iter().all(|posting| pairs.contains(&(number, posting.version.into())));
            if !is_sound {
                found.push(format!("word {number} has {postings:?}, of which {} are gone", word.gone_count));
            }
        }
        if pair_count != pairs.len() || empty_count != root.empty_word_count {
            found.push(format!("{pair_count} of {} postings; {empty_count} empty words", pairs.len()));
        }
        Ok(found)
    }
}

fn make<M: Medium>(tx: &mut Transaction<'_, Root, M>) -> vista::Result<()> {
    let root = Root {
        words: PHashMap::new(tx)?,
        vocabulary: PSlab::new(tx)?,
        files: PBTreeMap::new(tx)?,
        versions: PHashMap::new(tx)?,
        version_count: 0,
        empty_word_count: 0,
    };
    tx.write(tx.root_ptr(), root)
}

fn used_up() -> Error {
    Error::NumbersUsedUp { limit: u32::MAX.into() }
}

/// The word of a number. What has none there is damage, and reads as a word without a file.
fn word_of(on: &impl Reader, root: &Root, number: u64) -> Result<Word> {
    let word = root.vocabulary.get(on, number)?;
    Ok(word.copied().unwrap_or(Word { postings: PVec::NULL, gone_count: 0 }))
}

/// Enters a version into the lists of its words, and gives their numbers.
fn insert_words<M: Medium>(
    tx: &mut Transaction<'_, Root, M>,
    version: u32,
    words: &[(String, u32)],
) -> Result<PVec<u32>> {
    let root = *tx.root();
    let mut empty_word_count = root.empty_word_count;
    let mut numbers = Vec::with_capacity(words.len());
    for (text, count) in words.iter().filter(|(_, count)| *count > 0) {
        let posting = Posting { version, count: *count };
        let known = root.words.get(tx, text.as_str())?.copied();
        let number = match known {
            None => {
                let postings = PVec::from_slice(tx, &[posting])?;
                let number = root.vocabulary.insert(tx, Word { postings, gone_count: 0 })?;
                root.words.insert(tx, text.as_str(), number)?;
                number
            }
            Some(number) => {
                match word_of(tx, &root, number)?.postings {
                    postings if postings.is_null() => {
                        let postings = PVec::from_slice(tx, &[posting])?;
                        root.vocabulary.set(tx, number, Word { postings, gone_count: 0 })?;
                        empty_word_count -= 1;
                    }
                    postings => postings.push(tx, posting)?,
                }
                number
            }
        };
        numbers.push(u32::try_from(number).map_err(|_| used_up())?);
    }
    if empty_word_count != root.empty_word_count {
        tx.write(field!(tx.root_ptr(), Root, empty_word_count), empty_word_count)?;
    }
    Ok(PVec::from_slice(tx, &numbers)?)
}

/// Takes a file out with all that refers to it. False if it is not in the index.
fn remove<M: Medium>(tx: &mut Transaction<'_, Root, M>, path: &[u8]) -> Result<bool> {
    let root = *tx.root();
    let Some(number) = root.files.remove(tx, path)? else { return Ok(false) };
    let Some(version) = root.versions.remove(tx, number)? else { return Ok(true) };
    let mut empty_word_count = root.empty_word_count;
    for word in version.words.as_slice(tx)?.to_vec() {
        if let Some(place) = root.vocabulary.place(tx, word.into())? {
            empty_word_count += u64::from(remove_posting(tx, place, number)?);
        }
    }
    if empty_word_count != root.empty_word_count {
        tx.write(field!(tx.root_ptr(), Root, empty_word_count), empty_word_count)?;
    }
    version.release(tx, Depth::default())?;
    Ok(true)
}

/// Takes a version out of a word's list. True if the word stands in no file then.
fn remove_posting(tx: &mut impl Writer, place: PPtr<Word>, number: u64) -> Result<bool> {
    let Word { postings, gone_count } = *tx.get(place)?;
    let list = postings.as_slice(tx)?;
    let Ok(at) = list.binary_search_by_key(&number, |posting| posting.version.into()) else {
        return Ok(false);
    };
    let gone_count = gone_count + 1;
    let left = (list.len() as u64).saturating_sub(gone_count);
    if left == 0 || (list.len() >= REWRITTEN_FROM && left < gone_count) {
        let is_there = |posting: &&Posting| posting.count > 0 && u64::from(posting.version) != number;
        let there: Vec<Posting> = list.iter().filter(is_there).copied().collect();
        // A new list is stored without a before-image, so that the log does not hold all of the old one.
        let rewritten = if there.is_empty() { PVec::NULL } else { PVec::from_slice(tx, &there)? };
        tx.write(place, Word { postings: rewritten, gone_count: 0 })?;
        postings.release(tx, Depth::default())?;
        return Ok(there.is_empty());
    }
    if let Some(posting) = postings.place(tx, at)? {
        tx.write(field!(posting, Posting, count), 0)?;
    }
    tx.write(field!(place, Word, gone_count), gone_count)?;
    Ok(false)
}
