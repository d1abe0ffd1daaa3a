//! The memory that is looked at: a fixed range, or wherever a file is mapped. Start at [`Watched`].

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::Pid;

use super::StepError;
use super::tracee::Tracee;

/// A range of addresses, and the offset of its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Area {
    start: u64,
    end: u64,
    offset: u64,
    is_writable: bool,
}

/// See the module.
pub(super) struct Watched {
    areas: Vec<Area>,
    file: Option<Mapped>,
}

/// A file that is looked at wherever it is mapped.
struct Mapped {
    process: Pid,
    path: PathBuf,
    inode: Option<u64>,
    len: u64,
}

/// All of the memory, at one moment.
pub(super) struct Snapshot(Vec<(Area, Vec<u8>)>);

impl Watched {
    pub(super) fn memory(start: u64, len: u64) -> Self {
        Watched { areas: vec![Area { start, end: start + len, offset: 0, is_writable: true }], file: None }
    }

    pub(super) fn file(process: Pid, path: &Path) -> Self {
        let metadata = fs::metadata(path);
        let inode = metadata.as_ref().map(MetadataExt::ino).ok();
        let len = metadata.map_or(0, |metadata| metadata.len());
        let mapped = Mapped { process, path: path.to_owned(), inode, len };
        let mut watched = Watched { areas: Vec::new(), file: Some(mapped) };
        watched.look_again();
        watched
    }

    /// Where the parts of an access lie: address, length, offset.
    pub(super) fn parts(&self, address: u64, len: u64) -> impl Iterator<Item = (u64, u64, u64)> {
        let end = address.saturating_add(len);
        self.areas.iter().filter_map(move |area| {
            let (start, end) = (address.max(area.start), end.min(area.end));
            (start < end).then(|| (start, end - start, start - area.start + area.offset))
        })
    }

    /// All bytes that can be stored to and read.
    pub(super) fn snapshot(&self, tracee: &Tracee) -> Result<Snapshot, StepError> {
        let mut areas = Vec::new();
        for &area in self.areas.iter().filter(|area| area.is_writable) {
            let mut bytes = vec![0; (area.end - area.start) as usize];
            let count = tracee.read(area.start, &mut bytes)?;
            bytes.truncate(count);
            areas.push((area, bytes));
        }
        Ok(Snapshot(areas))
    }

    /// The range that a system call was told to sync, as offsets.
    pub(super) fn synced(&self, address: u64, len: u64) -> Option<(u64, u64)> {
        self.file.as_ref()?;
        self.parts(address, len).next().map(|(_, len, offset)| (offset, len))
    }

    /// Whether a descriptor of the process is the file; its length then.
    pub(super) fn descriptor(&self, number: u64) -> Option<u64> {
        let file = self.file.as_ref()?;
        let metadata = fs::metadata(format!("/proc/{}/fd/{number}", file.process)).ok()?;
        (Some(metadata.ino()) == file.inode).then_some(metadata.len())
    }

    /// Behind a system call the file may be mapped elsewhere. Its length, if that is another one than before.
    pub(super) fn look_again(&mut self) -> Option<u64> {
        let file = self.file.as_mut()?;
        let maps = fs::read_to_string(format!("/proc/{}/maps", file.process)).unwrap_or_default();
        self.areas.clear();
        for line in maps.lines() {
            if let Some((area, inode)) = parse(line, &file.path) {
                self.areas.push(area);
                file.inode = Some(inode);
            }
        }
        let len = length_of(file)?;
        (len != std::mem::replace(&mut file.len, len)).then_some(len)
    }
}

impl Snapshot {
    /// The words that have changed since: offset and bytes.
    pub(super) fn changes(&self, tracee: &Tracee) -> Result<Vec<(u64, Vec<u8>)>, StepError> {
        let mut changes = Vec::new();
        for (area, before) in &self.0 {
            let mut after = before.clone();
            if tracee.read(area.start, &mut after)? < before.len() {
                continue; // It was unmapped.
            }
            for (number, (old, new)) in before.chunks(8).zip(after.chunks(8)).enumerate() {
                if old != new {
                    changes.push((area.offset + number as u64 * 8, new.to_vec()));
                }
            }
        }
        Ok(changes)
    }

    /// The bytes of the first area.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0.into_iter().next().map(|(_, bytes)| bytes).unwrap_or_default()
    }
}

/// A shared mapping of the file, and the file's inode. A file that was made without a name stands there as a number in its
/// directory.
fn parse(line: &str, path: &Path) -> Option<(Area, u64)> {
    let mut words = line.splitn(6, ' ');
    let (start, end) = words.next()?.split_once('-')?;
    let access = words.next()?;
    let offset = words.next()?;
    let inode = words.nth(1)?.parse().ok()?;
    let name = words.next()?.trim_start();
    let nameless = Path::new(name.strip_suffix(" (deleted)").unwrap_or_default());
    let is_nameless = nameless.parent() == path.parent()
        && nameless.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"#"));
    let number = |text| u64::from_str_radix(text, 16).ok();
    let is_shared = access.ends_with('s');
    let is_readable = access.starts_with('r'); // A guard is not.
    if !is_shared || !is_readable || !(Path::new(name) == path || is_nameless) {
        return None;
    }
    let is_writable = access.as_bytes().get(1) == Some(&b'w');
    Some((Area { start: number(start)?, end: number(end)?, offset: number(offset)?, is_writable }, inode))
}

/// The length of the file, with or without a name.
fn length_of(file: &Mapped) -> Option<u64> {
    if let Ok(metadata) = fs::metadata(&file.path)
        && file.inode.is_none_or(|inode| inode == metadata.ino())
    {
        return Some(metadata.len());
    }
    let inode = file.inode?;
    let descriptors = fs::read_dir(format!("/proc/{}/fd", file.process)).ok()?;
    let mut files = descriptors.flatten().filter_map(|entry| fs::metadata(entry.path()).ok());
    files.find(|metadata| metadata.ino() == inode).map(|metadata| metadata.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_mappings_of_the_file_are_found() {
        let path = Path::new("/tmp/a b/file");
        let area = Area { start: 0x1000, end: 0x3000, offset: 0x2000, is_writable: true };
        let lines = [
            ("1000-3000 rw-s 00002000 00:1a 77     /tmp/a b/file", Some((area, 77))),
            ("1000-3000 rw-s 00002000 00:1a 77     /tmp/a b/#77 (deleted)", Some((area, 77))),
            ("1000-3000 rw-p 00002000 00:1a 77     /tmp/a b/file", None),
            ("1000-3000 ---s 00002000 00:1a 77     /tmp/a b/file", None),
            ("1000-3000 rw-s 00002000 00:1a 77     /tmp/a b/other", None),
            ("1000-3000 rw-s 00000000 00:00 0 ", None),
        ];
        for (line, expected) in lines {
            assert_eq!(parse(line, path), expected, "{line}");
        }
    }
}
