//! A simulated disk, for write-ahead logs: files that drop, tear and reorder what was not synced, and calls that fail.
//!
//! A [`DiskCampaign`] is told how a structure is made and opened on a [`Disk`], what it does, and what it then holds. It
//! takes the disk of every crash, opens the structure on it, crashes that opening in its turn, goes on working behind it,
//! and so on until no new image appears. What fails is made small and ends in one line that replays it.
//!
//! ```
//! use std::io::{self, IoSlice};
//! use crash_sim::disk::{Ack, Disk, DiskCampaign, Turn};
//!
//! // A counter in two places: the second is written when the first is durable, and the larger one counts.
//! let campaign = DiskCampaign::new("counter", 0u64)
//!     .file("counter", 1024)
//!     .create(|disk: &Disk| Ok::<_, io::Error>(disk.clone()))
//!     .open(|disk: &Disk| {
//!         disk.file("counter").unwrap().sync()?; // A killed process may have written without a sync.
//!         Ok::<_, io::Error>(disk.clone())
//!     })
//!     .operations(3, |disk: &mut Disk, turn: Turn| {
//!         let file = disk.file("counter").unwrap();
//!         let mut old = [0; 8];
//!         file.read_at((turn.number as u64 + 1) % 2 * 512, &mut old)?;
//!         let new = u64::from_le_bytes(old) + 1;
//!         file.write_all_at(turn.number as u64 % 2 * 512, &[IoSlice::new(&new.to_le_bytes())])?;
//!         file.sync()?;
//!         Ok::<_, io::Error>(Ack::Durable)
//!     })
//!     .step(|counter, _| *counter += 1)
//!     .view(|disk: &mut Disk| {
//!         let mut places = [[0; 8]; 2];
//!         let file = disk.file("counter").unwrap();
//!         file.read_at(0, &mut places[0])?;
//!         file.read_at(512, &mut places[1])?;
//!         Ok::<_, io::Error>(places.map(u64::from_le_bytes).into_iter().max().unwrap())
//!     });
//! let report = campaign.explore();
//! report.assert();
//! assert!(report.is_complete());
//! ```
//!
//! # The model
//!
//! * **Power cut.** Every sector of 512 bytes holds, independently of all others, what it held at the last successful sync
//!   of its file or any version that was written since. A sector itself is never torn.
//! * **Killed process.** All writes that had returned are there, and any number of sectors of the one in flight, from its
//!   start on. They are as little durable as before: a power cut later on may take them yet.
//! * **Failed write.** Nothing, a part, or all of it was written. A *short* one says how much.
//! * **Failed sync**, as Linux has it: what was dirty may have arrived or not, is clean from then on, and reads still see
//!   it. A later sync succeeds and does not make it durable.
//!
//! Not modelled: sectors that are damaged or exchanged, a sync that lies, and files that grow.
//!
//! Start at [`DiskCampaign`], or at [`Disk`] for a test of one's own.

mod campaign; // what is tested, and the closure
mod case; // one case in a few characters
mod image; // what a disk holds, and what a crash may leave of it
mod report; // what was found

use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use campaign::{Ack, DiskCampaign, Turn};
pub use image::Image;
pub use report::{DiskFailure, DiskReport};

pub(crate) use image::{Event, Fate, Sector};

/// Bytes that a disk writes whole or not at all.
pub const SECTOR_LEN: usize = 512;

/// A disk with some files of fixed length. Clones are the same disk.
///
/// ```
/// use std::io::IoSlice;
/// use crash_sim::disk::Disk;
///
/// let disk = Disk::new([("log", 4096)]);
/// let log = disk.file("log").unwrap();
/// log.write_all_at(0, &[IoSlice::new(b"durable")])?;
/// log.sync()?;
/// log.write_all_at(1000, &[IoSlice::new(&[1; 100])])?; // In two sectors, of which a power cut may lose each.
/// let images = disk.power_cuts();
/// assert_eq!(images.len(), 4);
/// for image in images {
///     let after = Disk::of(image);
///     let mut bytes = [0; 7];
///     after.file("log").unwrap().read_at(0, &mut bytes)?;
///     assert_eq!(&bytes, b"durable");
/// }
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Disk {
    state: Arc<Mutex<State>>,
}

/// A file of a [`Disk`].
///
/// ```
/// # use crash_sim::disk::{Disk, Fault};
/// # use std::io::IoSlice;
/// let disk = Disk::new([("log", 4096)]);
/// let log = disk.file("log").unwrap();
/// log.write_all_at(0, &[IoSlice::new(b"written")])?;
/// log.sync()?;
/// let mut bytes = [0; 7];
/// log.read_at(0, &mut bytes)?;
/// assert_eq!(&bytes, b"written");
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DiskFile {
    disk: Disk,
    file: usize,
}

/// A call of a run that fails, or is cut short.
///
/// ```
/// # use crash_sim::disk::{Disk, Fault};
/// # use std::io::IoSlice;
/// let disk = Disk::new([("log", 4096)]);
/// let log = disk.file("log").unwrap();
/// disk.fail(1, Fault::SyncLost);
/// log.write_all_at(0, &[IoSlice::new(b"lost")])?; // Call 0.
/// assert!(log.sync().is_err());
/// log.sync()?; // Says that all is well, and makes nothing durable.
/// assert!(disk.power_cuts().iter().all(|image| image.bytes("log")[..4] == [0; 4]));
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The write fails, and has written nothing.
    WriteNothing,
    /// The disk is full: the write fails behind half of its bytes.
    WritePart,
    /// The write fails, and has written everything.
    WriteAll,
    /// The write returns that it has written half of the bytes.
    WriteShort,
    /// The sync fails, and what was dirty is lost.
    SyncLost,
    /// The sync fails, and what was dirty has arrived.
    SyncKept,
    /// The sync fails, and every other sector that was dirty has arrived.
    SyncMixed,
}

impl Fault {
    /// All of a write.
    pub const OF_WRITES: [Fault; 4] =
        [Fault::WriteNothing, Fault::WritePart, Fault::WriteAll, Fault::WriteShort];
    /// All of a sync.
    pub const OF_SYNCS: [Fault; 3] = [Fault::SyncLost, Fault::SyncKept, Fault::SyncMixed];

    fn is_of_write(self) -> bool {
        Fault::OF_WRITES.contains(&self)
    }
}

#[derive(Debug)]
struct State {
    image: Image,
    /// What happened, if it is recorded.
    events: Vec<Event>,
    is_recorded: bool,
    /// Writes and syncs so far, and whether each is a write.
    calls: Vec<bool>,
    fault: Option<(u32, Fault)>,
    /// How many events there were when the fault was met.
    fault_point: Option<u32>,
    events_max: usize,
    is_dead: bool,
}

impl Disk {
    /// A disk with files of these names and lengths, all zero.
    ///
    /// ```
    /// # use crash_sim::disk::{Disk, Fault};
    /// # use std::io::IoSlice;
    /// let disk = Disk::new([("log", 4096)]);
    /// let log = disk.file("log").unwrap();
    /// assert_eq!(log.len(), 4096);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn new<N: Into<String>>(files: impl IntoIterator<Item = (N, u64)>) -> Disk {
        Disk::of(Image::new(files.into_iter().map(|(name, len)| (name.into(), len))))
    }

    /// A disk that holds what a crash left.
    ///
    /// ```
    /// # use crash_sim::disk::{Disk, Fault};
    /// # use std::io::IoSlice;
    /// let disk = Disk::new([("log", 4096)]);
    /// let log = disk.file("log").unwrap();
    /// log.write_all_at(0, &[IoSlice::new(b"written")])?;
    /// let after = Disk::of(disk.image()); // The process was killed.
    /// let mut bytes = [0; 7];
    /// after.file("log").unwrap().read_at(0, &mut bytes)?;
    /// assert_eq!(&bytes, b"written");
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn of(image: Image) -> Disk {
        let state = State {
            image,
            events: Vec::new(),
            is_recorded: false,
            calls: Vec::new(),
            fault: None,
            fault_point: None,
            events_max: usize::MAX,
            is_dead: false,
        };
        Disk { state: Arc::new(Mutex::new(state)) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file of this name.
    ///
    /// ```
    /// # use crash_sim::disk::{Disk, Fault};
    /// # use std::io::IoSlice;
    /// let disk = Disk::new([("log", 4096)]);
    /// let log = disk.file("log").unwrap();
    /// assert!(disk.file("data").is_none());
    /// # let _ = log;
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn file(&self, name: &str) -> Option<DiskFile> {
        let file = self.lock().image.find(name)?;
        Some(DiskFile { disk: self.clone(), file })
    }

    /// What it holds now, with what is not synced: as it is when the process is killed.
    ///
    /// ```
    /// # use crash_sim::disk::{Disk, Fault};
    /// # use std::io::IoSlice;
    /// let disk = Disk::new([("log", 4096)]);
    /// let log = disk.file("log").unwrap();
    /// log.write_all_at(0, &[IoSlice::new(b"written")])?;
    /// assert!(disk.image().bytes("log").starts_with(b"written"));
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn image(&self) -> Image {
        self.lock().image.clone()
    }

    /// Everything that a power cut may leave now, if there are at most 4,096 different things; otherwise some of them.
    ///
    /// ```
    /// # use crash_sim::disk::{Disk, Fault};
    /// # use std::io::IoSlice;
    /// let disk = Disk::new([("log", 4096)]);
    /// let log = disk.file("log").unwrap();
    /// log.write_all_at(0, &[IoSlice::new(b"kept?")])?;
    /// assert_eq!(disk.power_cuts().len(), 2); // The sector has arrived, or not.
    /// log.sync()?;
    /// assert_eq!(disk.power_cuts().len(), 1);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn power_cuts(&self) -> Vec<Image> {
        let image = self.image();
        let (cuts, mut images) = (image.cuts(), Vec::new());
        image.power_cuts(1 << 12, 1 << 12, 1, |kept| images.push(cuts.image(kept)));
        images
    }

    /// Lets a call fail: the one of this number, where writes and syncs are counted together from 0 on.
    ///
    /// ```
    /// # use crash_sim::disk::{Disk, Fault};
    /// # use std::io::IoSlice;
    /// let disk = Disk::new([("log", 4096)]);
    /// let log = disk.file("log").unwrap();
    /// disk.fail(0, Fault::WriteShort);
    /// assert_eq!(log.write_at(0, &[IoSlice::new(b"12345678")])?, 4);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn fail(&self, call: u32, fault: Fault) {
        self.lock().fault = Some((call, fault));
    }

    /// How many writes and syncs there were.
    ///
    /// ```
    /// # use crash_sim::disk::{Disk, Fault};
    /// # use std::io::IoSlice;
    /// let disk = Disk::new([("log", 4096)]);
    /// let log = disk.file("log").unwrap();
    /// log.write_all_at(0, &[IoSlice::new(b"written")])?;
    /// log.sync()?;
    /// assert_eq!(disk.call_count(), 2);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn call_count(&self) -> u32 {
        self.lock().calls.len() as u32
    }

    /// From now on every call fails, so that nothing changes any more: what a process does that has been killed.
    ///
    /// ```
    /// # use crash_sim::disk::{Disk, Fault};
    /// # use std::io::IoSlice;
    /// let disk = Disk::new([("log", 4096)]);
    /// let log = disk.file("log").unwrap();
    /// log.write_all_at(0, &[IoSlice::new(b"written")])?;
    /// disk.kill();
    /// assert!(log.sync().is_err() && log.read_at(0, &mut [0]).is_err());
    /// assert!(disk.image().bytes("log").starts_with(b"written"));
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn kill(&self) {
        self.lock().is_dead = true;
    }

    fn record(&self, fault: Option<(u32, Fault)>, events_max: usize) {
        let mut state = self.lock();
        state.is_recorded = true;
        state.fault = fault;
        state.events_max = events_max;
    }

    fn event_count(&self) -> u32 {
        self.lock().events.len() as u32
    }
}

impl State {
    /// Begins a call: whether it fails, and how.
    fn call(&mut self, is_write: bool) -> io::Result<Option<Fault>> {
        if self.is_dead {
            return Err(io::Error::other("the process has been killed"));
        }
        if self.events.len() > self.events_max {
            return Err(io::Error::other("more events than the campaign allows"));
        }
        let number = self.calls.len() as u32;
        self.calls.push(is_write);
        let fault = self.fault.filter(|&(call, fault)| call == number && fault.is_of_write() == is_write);
        if fault.is_some() {
            self.fault_point = Some(self.events.len() as u32);
        }
        Ok(fault.map(|(_, fault)| fault))
    }

    fn happen(&mut self, event: Event) {
        self.image.apply(&event);
        if self.is_recorded {
            self.events.push(event);
        }
    }
}

impl DiskFile {
    /// Length in bytes.
    ///
    /// ```
    /// # use crash_sim::disk::{Disk, Fault};
    /// # use std::io::IoSlice;
    /// let disk = Disk::new([("log", 4096)]);
    /// let log = disk.file("log").unwrap();
    /// assert_eq!(log.len(), 4096);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn len(&self) -> u64 {
        self.disk.lock().image.len_of(self.file)
    }

    /// Whether there is no byte.
    ///
    /// ```
    /// # use crash_sim::disk::{Disk, Fault};
    /// # use std::io::IoSlice;
    /// let disk = Disk::new([("log", 4096)]);
    /// let log = disk.file("log").unwrap();
    /// assert!(!log.is_empty());
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads so many bytes, as they were written last.
    ///
    /// ```
    /// # use crash_sim::disk::{Disk, Fault};
    /// # use std::io::IoSlice;
    /// let disk = Disk::new([("log", 4096)]);
    /// let log = disk.file("log").unwrap();
    /// let mut bytes = [1; 8];
    /// log.read_at(4088, &mut bytes)?;
    /// assert_eq!(bytes, [0; 8]);
    /// assert!(log.read_at(4090, &mut bytes).is_err());
    /// # Ok::<_, std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] behind the end; a [killed](Disk::kill) process.
    pub fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let state = self.disk.lock();
        if state.is_dead {
            return Err(io::Error::other("the process has been killed"));
        }
        check(&state.image, self.file, offset, bytes.len())?;
        state.image.read(self.file, offset, bytes);
        Ok(())
    }

    /// Writes these parts, one behind the other, and returns how many bytes it has written: all, but for a
    /// [fault](Fault::WriteShort).
    ///
    /// ```
    /// # use crash_sim::disk::{Disk, Fault};
    /// # use std::io::IoSlice;
    /// let disk = Disk::new([("log", 4096)]);
    /// let log = disk.file("log").unwrap();
    /// assert_eq!(log.write_at(0, &[IoSlice::new(b"one"), IoSlice::new(b"two")])?, 6);
    /// assert!(log.write_at(4096, &[IoSlice::new(b"more")]).is_err());
    /// # Ok::<_, std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] behind the end, and nothing is written; a fault; a killed process.
    pub fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.disk.lock();
        let bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        check(&state.image, self.file, offset, bytes.len())?;
        let fault = state.call(true)?;
        let len = match fault {
            Some(Fault::WriteNothing) => 0,
            Some(Fault::WritePart | Fault::WriteShort) => bytes.len() / 2,
            _ => bytes.len(),
        };
        let call = state.calls.len() as u32 - 1;
        let mut at = 0;
        while at < len {
            let here = offset + at as u64;
            let (sector, from) = ((here / SECTOR_LEN as u64) as u32, here as usize % SECTOR_LEN);
            let part = (SECTOR_LEN - from).min(len - at);
            let mut new = *state.image.sector(self.file, sector).bytes();
            new[from..from + part].copy_from_slice(&bytes[at..at + part]);
            state.happen(Event::Written { call, file: self.file, sector, new: Sector::new(new) });
            at += part;
        }
        match fault {
            Some(Fault::WriteNothing | Fault::WriteAll) => Err(io::Error::other("a write that fails")),
            Some(Fault::WritePart) => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(len),
        }
    }

    /// The same until all is written.
    ///
    /// ```
    /// # use crash_sim::disk::{Disk, Fault};
    /// # use std::io::IoSlice;
    /// let disk = Disk::new([("log", 4096)]);
    /// let log = disk.file("log").unwrap();
    /// disk.fail(0, Fault::WriteShort);
    /// log.write_all_at(0, &[IoSlice::new(b"12345678")])?;
    /// assert_eq!(disk.call_count(), 2); // The rest was written by a second call.
    /// # Ok::<_, std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`write_at`](DiskFile::write_at).
    pub fn write_all_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let written = self.write_at(offset, parts)?;
        if written == len {
            return Ok(());
        }
        let rest: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).skip(written).collect();
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.write_all_at(offset + written as u64, &[IoSlice::new(&rest)])
    }

    /// Makes durable all that was written to this file before.
    ///
    /// ```
    /// # use crash_sim::disk::{Disk, Fault};
    /// # use std::io::IoSlice;
    /// let disk = Disk::new([("log", 4096)]);
    /// let log = disk.file("log").unwrap();
    /// log.write_all_at(0, &[IoSlice::new(b"durable")])?;
    /// log.sync()?;
    /// assert!(disk.power_cuts()[0].bytes("log").starts_with(b"durable"));
    /// # Ok::<_, std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// A fault; a killed process.
    pub fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.lock();
        let fate = match state.call(false)? {
            Some(Fault::SyncLost) => Some(Fate::Lost),
            Some(Fault::SyncKept) => Some(Fate::Kept),
            Some(_) => Some(Fate::Mixed),
            None => None,
        };
        state.happen(Event::Synced { file: self.file, fate });
        match fate {
            Some(_) => Err(io::Error::other("a sync that fails")),
            None => Ok(()),
        }
    }
}

fn check(image: &Image, file: usize, offset: u64, len: usize) -> io::Result<()> {
    match offset.checked_add(len as u64) {
        Some(end) if end <= image.len_of(file) => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk() -> (Disk, DiskFile) {
        let disk = Disk::new([("a", 2048)]);
        let file = disk.file("a").unwrap();
        (disk, file)
    }

    fn firsts(image: &Image) -> Vec<u8> {
        (0..4u64)
            .map(|sector| {
                let mut byte = [0];
                image.read(0, sector * 512, &mut byte);
                byte[0]
            })
            .collect()
    }

    fn write(file: &DiskFile, offset: u64, len: usize, value: u8) -> io::Result<()> {
        file.write_all_at(offset, &[IoSlice::new(&vec![value; len])])
    }

    #[test]
    fn every_sector_has_any_of_its_versions() {
        let (disk, file) = disk();
        write(&file, 0, 1024, 1).unwrap();
        file.sync().unwrap();
        write(&file, 0, 1024, 2).unwrap();
        write(&file, 512, 512, 3).unwrap();
        let mut images: Vec<_> = disk.power_cuts().iter().map(firsts).collect();
        images.sort();
        let expected = [[1, 1], [1, 2], [1, 3], [2, 1], [2, 2], [2, 3]].map(|[a, b]| vec![a, b, 0, 0]);
        assert_eq!(images, expected);
    }

    #[test]
    fn a_sync_makes_everything_durable_and_a_failed_one_for_ever_nothing() {
        let (disk, file) = disk();
        write(&file, 0, 2048, 1).unwrap();
        disk.fail(1, Fault::SyncLost);
        file.sync().unwrap_err();
        let mut seen = [0];
        file.read_at(0, &mut seen).unwrap();
        assert_eq!(seen, [1]);
        file.sync().unwrap();
        assert_eq!(disk.power_cuts().iter().map(firsts).collect::<Vec<_>>(), [[0; 4]]);
        write(&file, 0, 512, 1).unwrap();
        file.sync().unwrap();
        assert_eq!(disk.power_cuts().iter().map(firsts).collect::<Vec<_>>(), [[1, 0, 0, 0]]);
    }

    #[test]
    fn a_write_may_fail_with_nothing_half_or_all_of_it_written_or_be_short() {
        let expected =
            [(Fault::WriteNothing, [0; 4]), (Fault::WritePart, [1, 1, 0, 0]), (Fault::WriteAll, [1; 4])];
        for (fault, expected) in expected {
            let (disk, file) = disk();
            disk.fail(0, fault);
            write(&file, 0, 2048, 1).unwrap_err();
            assert_eq!(firsts(&disk.image()), expected, "{fault:?}");
        }
        let (disk, file) = disk();
        disk.fail(0, Fault::WriteShort);
        write(&file, 0, 2048, 1).unwrap();
        assert_eq!((firsts(&disk.image()), disk.call_count()), (vec![1; 4], 2));
    }

    #[test]
    fn what_lies_outside_is_refused() {
        let (disk, file) = disk();
        assert!(disk.file("b").is_none());
        for offset in [2048, u64::MAX] {
            assert_eq!(write(&file, offset, 1, 1).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
            assert_eq!(file.read_at(offset, &mut [0]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
        disk.kill();
        assert!(write(&file, 0, 1, 1).is_err() && file.sync().is_err() && file.read_at(0, &mut [0]).is_err());
    }
}
