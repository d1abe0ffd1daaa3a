//! lrvm on a simulated disk: what it does there, and what it must hold after any crash and any failure of a call.
//!
//! After a crash the segments hold what they held after some number of transactions: no fewer than were reported durable,
//! and no more than had begun. Start at [`scenarios`] and [`campaign`].

use std::cell::Cell;
use std::fmt;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use crash_sim::BoxError;
use crash_sim::disk::{Ack, Disk, DiskCampaign, DiskFile, Image, Turn};
use lrvm::layout::{
    LOG_MAGIC, PAGE_LEN, RECORD_MAGIC, RING_OFFSET, RecordHeader, SEGMENTS_OFFSET, STATUS_OFFSETS,
    SegmentEntry, Status,
};
use lrvm::{Begin, Device, Devices, End, Error, Options, Region, Rvm, Truncation};

/// A file of a simulated disk, for lrvm.
pub struct SimDevice(pub DiskFile);

impl Device for SimDevice {
    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, bytes)
    }

    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        self.0.write_all_at(offset, parts)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
}

/// The files of a simulated disk, by name.
pub struct SimFiles(pub Disk);

impl SimFiles {
    fn find(&self, name: &str) -> io::Result<SimDevice> {
        self.0.file(name).map(SimDevice).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Devices for SimFiles {
    fn resolve(&self, name: &Path) -> io::Result<PathBuf> {
        Ok(name.to_owned())
    }

    fn open(&self, name: &Path) -> io::Result<Box<dyn Device>> {
        Ok(Box::new(self.find(name.to_str().unwrap_or_default())?))
    }
}

/// Opens the log of a simulated disk.
///
/// # Errors
/// lrvm's.
pub fn open_on(disk: &Disk, options: &Options) -> lrvm::Result<Rvm> {
    let files = SimFiles(disk.clone());
    let log = files.find("log").expect("a disk with a log");
    options.open_on(Box::new(log), Box::new(files), "log")
}

/// What an operation does.
#[derive(Clone, Debug)]
pub enum Op {
    /// A transaction over these ranges: region, offset, length.
    Commit(End, &'static [(usize, u64, u64)]),
    /// One that is aborted.
    Abort(&'static [(usize, u64, u64)]),
    /// One that is forgotten, neither committed nor dropped.
    Forget(&'static [(usize, u64, u64)]),
    /// All that waits becomes durable.
    Flush,
    /// Truncation by epoch.
    Truncate,
    /// Incremental truncation.
    TruncateIncrementally,
    /// A region is unmapped.
    Unmap(usize),
    /// A region is mapped.
    Map(usize),
    /// The log is closed and opened again.
    Reopen,
}

/// A workload.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// Pages of the ring.
    pub ring_pages: u64,
    /// Segments, by their pages.
    pub segments: &'static [u64],
    /// Regions: segment, first page, pages, whether it is mapped at open.
    pub regions: &'static [(usize, u64, u64, bool)],
    /// How the log is opened.
    pub options: Options,
    /// What is done.
    pub operations: Vec<Op>,
    /// Whether the log is made, with crashes, in the place of an older one.
    pub is_made: bool,
}

const SEGMENT_NAMES: [&str; 2] = ["segment-0", "segment-1"];

/// What the segments hold.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Content(pub Vec<Vec<u8>>);

impl fmt::Debug for Content {
    /// Runs of equal bytes, without zeroes: segment, offset, length, value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        for (segment, bytes) in self.0.iter().enumerate() {
            let mut start = 0;
            for run in bytes.chunk_by(|a, b| a == b) {
                if run[0] != 0 {
                    list.entry(&format_args!("{segment}+{start}: {} x {:#x}", run.len(), run[0]));
                }
                start += run.len();
            }
        }
        list.finish()
    }
}

/// lrvm at work.
pub struct Subject {
    disk: Disk,
    rvm: Option<Rvm>,
    regions: Vec<Option<Region>>,
    scenario: Scenario,
}

impl Subject {
    fn open(disk: &Disk, scenario: &Scenario) -> lrvm::Result<Subject> {
        let rvm = open_on(disk, &scenario.options)?;
        let regions = scenario.regions.iter().map(|_| None).collect();
        let mut subject = Subject { disk: disk.clone(), rvm: Some(rvm), regions, scenario: scenario.clone() };
        for (number, &(.., is_mapped)) in scenario.regions.iter().enumerate() {
            if is_mapped {
                subject.map(number)?;
            }
        }
        Ok(subject)
    }

    fn rvm(&self) -> &Rvm {
        self.rvm.as_ref().expect("an open log")
    }

    fn map(&mut self, number: usize) -> lrvm::Result<()> {
        let (segment, first, pages, _) = self.scenario.regions[number];
        let bytes = first * PAGE_LEN..(first + pages) * PAGE_LEN;
        self.regions[number] = Some(self.rvm().map(SEGMENT_NAMES[segment], bytes)?);
        Ok(())
    }

    fn operate(&mut self, turn: Turn) -> Result<Ack, BoxError> {
        let operation = self.scenario.operations[turn.number].clone();
        match operation {
            Op::Commit(end, ranges) => {
                self.transact(ranges, turn, |tx| tx.commit(end))?;
                self.compare_regions()?;
                return Ok(if end == End::Flush { Ack::Durable } else { Ack::Later });
            }
            Op::Abort(ranges) => self.transact(ranges, turn, |tx| tx.abort())?,
            Op::Forget(ranges) => self.transact(ranges, turn, |tx| {
                std::mem::forget(tx);
                Ok(())
            })?,
            Op::Flush => self.rvm().flush()?,
            Op::Truncate => self.rvm().truncate()?,
            Op::TruncateIncrementally => drop(self.rvm().truncate_incrementally()?),
            Op::Unmap(number) => drop(self.regions[number].take()),
            Op::Map(number) if self.regions[number].is_none() => self.map(number)?,
            Op::Map(_) => {}
            Op::Reopen => {
                self.regions.iter_mut().for_each(|region| drop(region.take()));
                self.rvm.take().expect("an open log").close()?;
                *self = Subject::open(&self.disk, &self.scenario)?;
            }
        }
        Ok(match operation {
            Op::Flush | Op::Truncate | Op::TruncateIncrementally | Op::Reopen => Ack::Durable,
            _ => Ack::Later,
        })
    }

    fn transact(
        &mut self,
        ranges: &[(usize, u64, u64)],
        turn: Turn,
        end: impl FnOnce(lrvm::Transaction<'_>) -> lrvm::Result<()>,
    ) -> lrvm::Result<()> {
        let mut tx = self.rvm.as_ref().expect("an open log").begin(Begin::Restore)?;
        let mut enlisted = Vec::new();
        for region in &mut self.regions {
            enlisted.push(region.as_mut().map(|region| tx.enlist(region)).transpose()?);
        }
        for (index, &(region, offset, len)) in ranges.iter().enumerate() {
            let region = enlisted[region].expect("a region that is mapped");
            tx.set_range(region, offset, len)?.fill(value(turn, index));
        }
        end(tx)
    }

    /// Nothing to be compared with here: what commits is checked when it is opened. But no region may be spoiled.
    fn compare_regions(&self) -> Result<(), BoxError> {
        let is_open = |region: &Region| region.query().uncommitted.is_some();
        match self.regions.iter().flatten().find(|region| is_open(region)) {
            Some(region) => Err(format!("{region:?} has a transaction behind its commit").into()),
            None => Ok(()),
        }
    }

    /// What the segments hold after they were recovered, which is what the regions do.
    fn view(&self) -> Result<Content, BoxError> {
        let mut content = Vec::new();
        for (number, &pages) in self.scenario.segments.iter().enumerate() {
            let mut bytes = vec![0; (pages * PAGE_LEN) as usize];
            SimFiles(self.disk.clone()).find(SEGMENT_NAMES[number])?.read_at(0, &mut bytes)?;
            content.push(bytes);
        }
        for (region, &(segment, first, ..)) in self.regions.iter().zip(self.scenario.regions) {
            let Some(region) = region else { continue };
            let start = (first * PAGE_LEN) as usize;
            if region.bytes() != &content[segment][start..start + region.bytes().len()] {
                return Err(format!("{region:?} differs from its segment").into());
            }
        }
        Ok(Content(content))
    }

    /// Behind a failure nothing may go on.
    fn refused(&mut self, error: &BoxError) -> Result<(), BoxError> {
        let Some(rvm) = &self.rvm else { return Ok(()) };
        if !matches!(error.downcast_ref::<Error>(), Some(Error::System { .. } | Error::Poisoned { .. })) {
            return Err(format!("the failure is reported as: {error}").into());
        }
        let others = [
            rvm.begin(Begin::Restore).map(drop),
            rvm.flush(),
            rvm.truncate(),
            rvm.truncate_incrementally().map(drop),
            rvm.map(SEGMENT_NAMES[0], 0..PAGE_LEN).map(drop),
        ];
        for (number, other) in others.into_iter().enumerate() {
            if !matches!(other, Err(Error::Poisoned { .. })) {
                return Err(format!("call {number} behind the failure `{error}`: {other:?}").into());
            }
        }
        match &rvm.query().poisoned {
            Some(_) => Ok(()),
            None => Err(format!("nothing tells of the failure `{error}`").into()),
        }
    }
}

/// What is stored by which operation of which life.
fn value(turn: Turn, index: usize) -> u8 {
    1 + (turn.life * 101 + turn.number * 7 + index) as u8 % 255
}

fn step(scenario: &Scenario, content: &mut Content, turn: Turn) {
    let Op::Commit(_, ranges) = &scenario.operations[turn.number] else { return };
    for (index, &(region, offset, len)) in ranges.iter().enumerate() {
        let (segment, first, ..) = scenario.regions[region];
        let start = (first * PAGE_LEN + offset) as usize;
        content.0[segment][start..start + len as usize].fill(value(turn, index));
    }
}

/// A campaign over a scenario.
pub fn campaign(scenario: &Scenario) -> DiskCampaign<Subject, Content> {
    let start: Vec<Vec<u8>> =
        scenario.segments.iter().map(|pages| vec![0; (pages * PAGE_LEN) as usize]).collect();
    let log_len = RING_OFFSET + scenario.ring_pages * PAGE_LEN;
    let new = Disk::new([("log", log_len)]);
    lrvm::create_log_on(&SimDevice(new.file("log").expect("a log"))).expect("a new log");
    let template = new.image();
    let mut campaign =
        DiskCampaign::new(format!("lrvm-{}", scenario.name), Content(start)).file("log", log_len);
    for (name, pages) in SEGMENT_NAMES.iter().zip(scenario.segments) {
        campaign = campaign.file(*name, pages * PAGE_LEN);
    }
    let (created, opened, stepped) = (scenario.clone(), scenario.clone(), scenario.clone());
    let (ring_len, segment_count) =
        ((scenario.ring_pages * PAGE_LEN) as usize, scenario.segments.len() as u64);
    campaign
        .create(move |disk| -> Result<Subject, BoxError> {
            let log = SimDevice(disk.file("log").expect("a log"));
            // The same identity every time, so that equal runs leave equal images.
            for offset in STATUS_OFFSETS {
                let mut status = [0; size_of::<Status>()];
                template.read_at("log", offset, &mut status);
                log.write_at(offset, &[IoSlice::new(&status)])?;
            }
            log.sync()?;
            if created.is_made {
                lrvm::create_log_on(&log)?;
            }
            Ok(Subject::open(disk, &created)?)
        })
        .open(move |disk| Subject::open(disk, &opened))
        .operations(scenario.operations.len(), Subject::operate)
        .step(move |content, turn| step(&stepped, content, turn))
        .view(|subject| subject.view())
        .refused(Subject::refused)
        .close(|mut subject: Subject| -> Result<(), BoxError> {
            subject.regions.clear();
            Ok(subject.rvm.take().expect("an open log").close()?)
        })
        .normalise(move |image| normalise(image, ring_len, segment_count))
}

/// Takes out of an image what changes with every opening and means nothing: time, counts, and how often it was opened if
/// no record knows.
fn normalise(image: &mut Image, ring_len: usize, segment_count: u64) {
    let id = Cell::new(0);
    let (first, newest) = (Cell::new(u64::MAX), Cell::new(0));
    for offset in STATUS_OFFSETS {
        image.edit("log", offset, size_of::<Status>(), |bytes| {
            let status: &Status = bytemuck::from_bytes(bytes);
            if status.magic == LOG_MAGIC {
                id.set(u64::from_le_bytes(status.id[..8].try_into().expect("eight bytes")));
                first.set(first.get().min(status.generation));
            }
        });
    }
    let mut ring = vec![0; ring_len];
    image.read_at("log", RING_OFFSET, &mut ring);
    for at in (0..ring.len() - size_of::<RecordHeader>()).step_by(8) {
        if ring[at..at + 4] == RECORD_MAGIC {
            let header: RecordHeader =
                bytemuck::pod_read_unaligned(&ring[at..at + size_of::<RecordHeader>()]);
            newest.set(newest.get().max(header.log ^ id.get()));
        }
    }
    let normal = |incarnation: u64| incarnation.min(newest.get() + 1);
    for offset in STATUS_OFFSETS {
        image.edit("log", offset, size_of::<Status>(), |bytes| {
            let status: &mut Status = bytemuck::from_bytes_mut(bytes);
            if status.magic == LOG_MAGIC {
                status.generation -= first.get();
                status.incarnation = normal(status.incarnation);
                (status.written_nanos, status.created_nanos, status.crc) = (0, 0, 0);
                (status.flush_count, status.truncation_count, status.next_transaction) = (0, 0, 0);
            }
        });
    }
    for segment in 0..segment_count {
        let offset = SEGMENTS_OFFSET + segment * size_of::<SegmentEntry>() as u64;
        image.edit("log", offset, 16, |bytes| {
            let incarnation = u64::from_le_bytes(bytes[8..].try_into().expect("eight bytes"));
            if incarnation != 0 {
                bytes[8..].copy_from_slice(&normal(incarnation).to_le_bytes());
                bytes[..4].fill(0);
            }
        });
    }
}

/// Everything that lrvm does to a disk, in small logs.
pub fn scenarios() -> Vec<Scenario> {
    use End::{Flush, NoFlush};
    use Op::{Abort, Commit, Forget, Map, Reopen, Truncate, TruncateIncrementally, Unmap};
    let options = Options::new().background(false).read_len(4096).status_interval(2);
    let epoch = options.truncation(Truncation::Epoch);
    let one = Scenario {
        name: "",
        ring_pages: 2,
        segments: &[1],
        regions: &[(0, 0, 1, true)],
        options,
        operations: Vec::new(),
        is_made: false,
    };
    let two = Scenario { segments: &[2, 1], regions: &[(0, 0, 2, true), (1, 0, 1, true)], ..one.clone() };
    vec![
        Scenario {
            name: "flush",
            operations: vec![
                Commit(Flush, &[(0, 0, 8)]),
                Commit(Flush, &[(0, 100, 600), (0, 2000, 40)]),
                Commit(Flush, &[(0, 4, 8)]),
            ],
            ..one.clone()
        },
        Scenario {
            name: "no-flush",
            operations: vec![
                Commit(NoFlush, &[(0, 0, 8)]),
                Commit(NoFlush, &[(0, 4, 600)]),
                Op::Flush,
                Commit(NoFlush, &[(0, 0, 8)]),
                Commit(Flush, &[(0, 700, 8)]),
                Commit(NoFlush, &[(0, 500, 700)]),
            ],
            ..one.clone()
        },
        Scenario {
            name: "overwritten",
            operations: vec![
                Commit(NoFlush, &[(0, 0, 300)]),
                Commit(NoFlush, &[(0, 1000, 300)]),
                Commit(NoFlush, &[(0, 0, 300)]), // Makes the first needless, and must not be kept without the second.
                Op::Flush,
                Commit(NoFlush, &[(0, 1000, 300), (0, 2000, 8)]),
                Commit(NoFlush, &[(0, 1000, 150)]),
                Commit(Flush, &[(0, 1150, 150), (0, 2000, 8)]),
            ],
            ..one.clone()
        },
        Scenario {
            name: "several-regions",
            operations: vec![
                Commit(Flush, &[(0, 0, 8), (1, 0, 8)]),
                Commit(NoFlush, &[(1, 100, 500)]),
                Commit(NoFlush, &[(0, 4000, 200), (1, 300, 8)]),
                Op::Flush,
                Truncate,
                Commit(Flush, &[(1, 0, 8), (0, 4000, 8)]),
            ],
            ..two.clone()
        },
        Scenario {
            name: "wrap",
            ring_pages: 1,
            options: epoch.threshold(100),
            operations: vec![
                Commit(Flush, &[(0, 0, 1200)]),
                Commit(Flush, &[(0, 600, 1200)]),
                Commit(NoFlush, &[(0, 0, 900)]),
                Commit(Flush, &[(0, 1000, 1000)]),
                Commit(Flush, &[(0, 0, 1900)]),
            ],
            ..one.clone()
        },
        Scenario {
            name: "second-segment",
            regions: &[(0, 0, 1, true), (1, 0, 1, false), (0, 1, 1, false)],
            operations: vec![
                Commit(Flush, &[(0, 0, 8)]),
                Map(1),
                Commit(NoFlush, &[(0, 0, 8), (1, 0, 8)]),
                Map(2),
                Commit(Flush, &[(2, 0, 8), (1, 8, 8)]),
            ],
            ..two.clone()
        },
        Scenario {
            name: "epoch",
            options: epoch.threshold(20),
            operations: vec![
                Commit(NoFlush, &[(0, 0, 700)]),
                Commit(Flush, &[(0, 4000, 600), (1, 0, 20)]),
                Commit(NoFlush, &[(1, 10, 600)]),
                Truncate,
                Commit(NoFlush, &[(0, 8, 8)]),
                Truncate,
                Truncate,
            ],
            ..two.clone()
        },
        Scenario {
            name: "incremental",
            options: options.threshold(20),
            operations: vec![
                Commit(NoFlush, &[(0, 0, 700)]),
                Commit(Flush, &[(0, 4000, 600), (1, 0, 20)]),
                Commit(NoFlush, &[(1, 10, 600)]),
                TruncateIncrementally,
                Commit(NoFlush, &[(0, 8, 8)]),
                TruncateIncrementally,
            ],
            ..two.clone()
        },
        Scenario {
            name: "no-room",
            ring_pages: 1,
            options: options.threshold(100).spool_len(4096),
            operations: vec![
                Commit(NoFlush, &[(0, 0, 1500)]),
                Commit(NoFlush, &[(0, 2000, 1500)]),
                Commit(NoFlush, &[(0, 1000, 1500)]),
                Commit(Flush, &[(0, 0, 3900)]),
                Commit(Flush, &[(0, 0, 1)]),
            ],
            ..one.clone()
        },
        Scenario {
            name: "creation",
            is_made: true,
            operations: vec![Commit(Flush, &[(0, 0, 8)])],
            ..one.clone()
        },
        Scenario {
            name: "closed-and-opened",
            operations: vec![
                Commit(NoFlush, &[(0, 0, 600)]),
                Reopen,
                Commit(Flush, &[(0, 8, 8)]),
                Reopen,
                Reopen,
                Commit(Flush, &[(0, 500, 8)]),
            ],
            ..one.clone()
        },
        Scenario {
            name: "unmapped-and-mapped",
            operations: vec![
                Commit(NoFlush, &[(0, 0, 600)]),
                Unmap(0),
                Commit(NoFlush, &[(1, 0, 8)]),
                Map(0),
                Commit(NoFlush, &[(0, 300, 8), (1, 4, 8)]),
                Unmap(1),
                Map(1),
                Commit(Flush, &[(0, 0, 8)]),
            ],
            ..two.clone()
        },
        Scenario {
            name: "aborted-and-forgotten",
            options: options.threshold(10),
            operations: vec![
                Commit(NoFlush, &[(0, 0, 600)]),
                Forget(&[(0, 100, 1000)]),
                TruncateIncrementally,
                Abort(&[(0, 0, 50), (0, 25, 50)]),
                Forget(&[(0, 4000, 200), (1, 0, 8)]),
                Unmap(0),
                Map(0),
                Commit(Flush, &[(0, 600, 8)]),
            ],
            ..two
        },
    ]
}
