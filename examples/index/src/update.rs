//! The index and a directory: what is new is read, what changed is read again, what is gone is taken out.
//!
//! Each file is a transaction. A process that is killed has taken in what it has told of, and the next one goes on with the
//! file behind.

use std::collections::HashSet;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use twox_hash::XxHash3_128;
use vista::rio::Medium;
use walkdir::WalkDir;

use crate::words;
use crate::{Content, Error, Index, Known, Result, Stamp};

/// How many files that were read may wait to be taken in.
const READ_AHEAD: usize = 64;

/// So many bytes without a zero are taken for the beginning of a text.
const BINARY_WITHIN: usize = 8192;

/// How to update.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// A longer file is not read.
    pub file_len_max: u64,
    /// Whether what symbolic links lead to is read; a link to a directory above itself is not followed. By default no link
    /// is: what it leads to inside of the directory is read under its own name.
    pub follows_links: bool,
    /// Whether files are read whose length and time have not changed.
    pub reads_all: bool,
    /// How many threads read.
    pub readers: usize,
    /// Device and inode of a file to leave out: that of the index, which may lie in the directory.
    pub left_out: Option<(u64, u64)>,
}

impl Default for Options {
    fn default() -> Self {
        let readers = thread::available_parallelism().map_or(1, usize::from);
        Options { file_len_max: 4 << 20, follows_links: false, reads_all: false, readers, left_out: None }
    }
}

/// What became of the files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// Files that the directory has.
    pub found: u64,
    /// Of these: not read, because length and time are what they were.
    pub unchanged: u64,
    /// Read, and new.
    pub added: u64,
    /// Read, and different.
    pub changed: u64,
    /// Read, and the same as before.
    pub same: u64,
    /// Of the added and changed: files that are no text in UTF-8.
    pub binary: u64,
    /// Of the added and changed: files that are too long.
    pub too_long: u64,
    /// Files or directories that could not be read. What the index has of them, and below them, stays.
    pub unreadable: u64,
    /// Files that are in the index and not in the directory any more: taken out.
    pub removed: u64,
    /// Words that stand in no file any more, and were forgotten.
    pub forgotten_words: u64,
}

/// What is going on.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// So many files will be read.
    ToRead(u64),
    /// This one is in the index, and stays there whatever happens.
    Put(&'a Path),
    /// This one is the same as before.
    Same(&'a Path),
    /// This one is taken out.
    Removed(&'a Path),
    /// This one could not be read.
    Unreadable(&'a Path, &'a io::Error),
}

/// Brings the index up to date with a directory. What other directories have given stays.
///
/// # Errors
/// The index's; and the system's, if there is no such directory. A file that cannot be read is an [`Event`].
pub fn update<M: Medium>(
    index: &mut Index<M>,
    dir: &Path,
    options: &Options,
    mut tell: impl FnMut(Event<'_>),
) -> Result<Report> {
    let dir = dir.canonicalize().map_err(Error::system(dir, "find"))?;
    fs::read_dir(&dir).map_err(Error::system(&dir, "read"))?;
    let mut report = Report::default();
    let mut walk = Walk::of(&dir, options, &mut tell);
    report.found = walk.files.len() as u64;
    report.unreadable = walk.unreadable.len() as u64;
    let mut to_read = Vec::new();
    for (path, stamp) in &walk.files {
        let known = index.known(path.as_os_str().as_bytes())?;
        if known.is_some_and(|known| !options.reads_all && known.stamp.proves_unchanged(stamp)) {
            report.unchanged += 1;
        } else {
            to_read.push((path.as_path(), known));
        }
    }
    tell(Event::ToRead(to_read.len() as u64));
    let vanished = take_in(index, &to_read, options, &mut report, &mut tell)?;

    walk.files.retain(|(path, _)| !vanished.contains(path));
    let there: HashSet<&Path> = walk.files.iter().map(|(path, _)| path.as_path()).collect();
    let mut start = dir.as_os_str().as_bytes().to_vec();
    if start.last() != Some(&b'/') {
        start.push(b'/');
    }
    for path in index.paths(&start)? {
        let path = PathBuf::from(std::ffi::OsString::from_vec(path));
        let is_hidden = walk.unreadable.iter().any(|unreadable| path.starts_with(unreadable));
        if !there.contains(path.as_path()) && !is_hidden && index.remove(path.as_os_str().as_bytes())? {
            report.removed += 1;
            tell(Event::Removed(&path));
        }
    }
    report.forgotten_words = index.tidy()?;
    Ok(report)
}

/// What a directory has.
struct Walk {
    files: Vec<(PathBuf, Stamp)>,
    unreadable: Vec<PathBuf>,
}

impl Walk {
    fn of(dir: &Path, options: &Options, tell: &mut impl FnMut(Event<'_>)) -> Walk {
        let mut walk = Walk { files: Vec::new(), unreadable: Vec::new() };
        for entry in WalkDir::new(dir).follow_links(options.follows_links).sort_by_file_name() {
            let looked_at = entry.and_then(|entry| Ok((entry.metadata()?, entry.into_path())));
            match looked_at {
                Ok((metadata, path)) => {
                    let is_left_out = options.left_out == Some((metadata.dev(), metadata.ino()));
                    if metadata.is_file() && !is_left_out {
                        walk.files.push((path, stamp_of(&metadata)));
                    }
                }
                Err(error) => {
                    let path = error.path().unwrap_or(dir).to_owned();
                    let is_loop = error.loop_ancestor().is_some();
                    let error = io::Error::from(error);
                    // What a loop leads to is read where it is; what is gone by now was there a moment ago.
                    if !is_loop && error.kind() != io::ErrorKind::NotFound {
                        tell(Event::Unreadable(&path, &error));
                        walk.unreadable.push(path);
                    }
                }
            }
        }
        walk
    }
}

fn stamp_of(metadata: &Metadata) -> Stamp {
    Stamp {
        len: metadata.len(),
        modified_nanos: metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec()),
        seen_nanos: nanos(SystemTime::now()),
    }
}

fn nanos(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// Reads files with several threads, and takes them in with this one. Gives those that are not there any more.
fn take_in<M: Medium>(
    index: &mut Index<M>,
    to_read: &[(&Path, Option<Known>)],
    options: &Options,
    report: &mut Report,
    tell: &mut impl FnMut(Event<'_>),
) -> Result<HashSet<PathBuf>> {
    let mut vanished = HashSet::new();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (sender, receiver) = sync_channel(READ_AHEAD);
        for _ in 0..options.readers.clamp(1, to_read.len().max(1)) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || read_some(to_read, next, options, &sender));
        }
        drop(sender); // So that the receiver ends with the last reader; and the readers end if this one does.
        for (number, read) in receiver {
            let (path, known) = to_read[number];
            match read {
                Ok(read) => put(index, path, known, &read, report, tell)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    vanished.insert(path.to_owned());
                }
                Err(error) => {
                    report.unreadable += 1;
                    tell(Event::Unreadable(path, &error));
                }
            }
        }
        Ok(vanished)
    })
}

/// What a file held.
struct FileRead {
    stamp: Stamp,
    hash: [u64; 2],
    /// Not looked at, if the hash is the one that is known.
    content: Option<Content>,
}

fn put<M: Medium>(
    index: &mut Index<M>,
    path: &Path,
    known: Option<Known>,
    read: &FileRead,
    report: &mut Report,
    tell: &mut impl FnMut(Event<'_>),
) -> Result<()> {
    let bytes = path.as_os_str().as_bytes();
    let Some(content) = &read.content else {
        index.touch(bytes, read.stamp)?;
        report.same += 1;
        tell(Event::Same(path));
        return Ok(());
    };
    index.put(bytes, read.stamp, read.hash, content)?;
    match content {
        Content::Text(_) => {}
        Content::Binary => report.binary += 1,
        Content::TooLong => report.too_long += 1,
    }
    match known {
        Some(_) => report.changed += 1,
        None => report.added += 1,
    }
    tell(Event::Put(path));
    Ok(())
}

/// A reader: takes the next file until there are no more, or nobody wants them.
fn read_some(
    to_read: &[(&Path, Option<Known>)],
    next: &AtomicUsize,
    options: &Options,
    sender: &SyncSender<(usize, io::Result<FileRead>)>,
) {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let Some((path, known)) = to_read.get(number) else { return };
        if sender.send((number, read(path, *known, options))).is_err() {
            return;
        }
    }
}

fn read(path: &Path, known: Option<Known>, options: &Options) -> io::Result<FileRead> {
    let file = File::open(path)?;
    // Looked up before the content is: what changes in between is noticed the next time.
    let stamp = stamp_of(&file.metadata()?);
    let mut bytes = Vec::new();
    if stamp.len <= options.file_len_max {
        file.take(options.file_len_max.saturating_add(1)).read_to_end(&mut bytes)?;
    }
    let is_too_long = stamp.len > options.file_len_max || bytes.len() as u64 > options.file_len_max;
    if is_too_long {
        // Its length stands for its content, of which it is known that it is not read.
        let hash = [u64::MAX, stamp.len];
        let is_known = known.is_some_and(|known| known.hash == hash);
        return Ok(FileRead { stamp, hash, content: (!is_known).then_some(Content::TooLong) });
    }
    let hash = XxHash3_128::oneshot(&bytes);
    let hash = [(hash >> 64) as u64, hash as u64];
    let content = match known {
        Some(known) if known.hash == hash => None,
        _ => Some(content_of(&bytes)),
    };
    Ok(FileRead { stamp, hash, content })
}

fn content_of(bytes: &[u8]) -> Content {
    if bytes[..bytes.len().min(BINARY_WITHIN)].contains(&0) {
        return Content::Binary;
    }
    std::str::from_utf8(bytes).map_or(Content::Binary, |text| Content::Text(words::count(text)))
}
