//! Jobs in a segment. Each method that changes anything is one transaction: when it returns, the change outlives the
//! process, and a process that dies before leaves nothing of it.
//!
//! A job is *fresh* until it is taken first. Taking leases it; if the lease runs out, or it is given back, it waits for its next
//! attempt; after the last one it is *dead*, and stays so until somebody looks. Acknowledging removes it.

use std::path::Path;
use std::time::Duration;

use vista::rio::{Medium, Region};
use vista::{
    PBTreeMap, PBytes, PHashMap, PString, PVecDeque, Persistent, Reader, Segment, Transaction, Violation,
    Writer, field,
};

use crate::{Error, Millis, Result};

/// A new segment has this length, and grows from it.
const LEN_AT_FIRST: u64 = 1 << 20;

/// What a job counts for, with its payload: the most that is allocated for it, in lists and blocks, rounded and half empty as they
/// may be, and for the reason of its failures.
fn cost(payload_len: u64) -> u64 {
    payload_len.saturating_mul(2).saturating_add(512)
}

/// How many jobs without an attempt left one transaction buries, so that its log stays short.
const BURIED_AT_ONCE: usize = 100;

/// The longest reason for a failure that is kept, in bytes.
const REASON_LEN_MAX: usize = 120;

/// The root of the segment.
#[derive(Clone, Copy, Persistent)]
#[repr(C)]
pub struct Root {
    /// All jobs that are not acknowledged, by their number.
    jobs: PHashMap<u64, Job>,
    /// The fresh ones, in the order in which they came. No clock is asked.
    fresh: PVecDeque<u64>,
    /// Those that may be taken again, by when.
    waiting: PBTreeMap<Due, ()>,
    /// Those that ran out of attempts, in the order of their numbers.
    dead: PBTreeMap<u64, ()>,
    /// How many were ever pushed: the number of the latest. A number is never used again, so that a late acknowledgement
    /// cannot meet another job.
    pushed: u64,
    /// How many were acknowledged.
    acked: u64,
    /// What the jobs count for, against the length that the file may have: see `cost`.
    held_bytes: u64,
}

#[derive(Clone, Copy, Persistent)]
#[repr(C)]
struct Job {
    payload: PBytes,
    /// Why the last attempt failed; empty if none has.
    reason: PString,
    /// Until when it is leased or waits, or when it died.
    at: Millis,
    attempts: u32,
    state: u32,
}

const FRESH: u32 = 0;
const LEASED: u32 = 1;
const DELAYED: u32 = 2;
const DEAD: u32 = 3;

#[derive(Clone, Copy, Persistent, PartialEq, Eq, PartialOrd, Ord)]
#[repr(C)]
struct Due {
    at: Millis,
    id: u64,
}

/// How a queue is opened.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How often a job is delivered before it is given up; at least 1. Not kept: it is that of whoever takes.
    pub attempts_max: u32,
    /// How long the file may become, in bytes. Pushing is an error when the jobs count for three quarters of it, each for twice
    /// its payload and half a KiB; the rest is there so that all else goes on.
    pub bytes_max: u64,
    /// How long to wait for another process that has the queue open.
    pub lock_wait: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options { attempts_max: 5, bytes_max: 1 << 30, lock_wait: Duration::from_secs(5) }
    }
}

/// A job that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Its number.
    pub id: u64,
    /// Which attempt this is, from 1 on.
    pub attempt: u32,
    /// What is to be done.
    pub payload: Vec<u8>,
}

/// Names a leased job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its number.
    pub id: u64,
    /// The attempt that is meant. Without one, whichever is under way: then somebody whose lease ran out speaks for the
    /// one who has the job now.
    pub attempt: Option<u32>,
}

impl Taken {
    /// Names this attempt.
    pub fn receipt(&self) -> Receipt {
        Receipt { id: self.id, attempt: Some(self.attempt) }
    }
}

impl From<u64> for Receipt {
    fn from(id: u64) -> Self {
        Receipt { id, attempt: None }
    }
}

/// What becomes of a job that was given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is delivered again, from then on.
    Again(Millis),
    /// It has no attempt left.
    Dead,
}

/// A job that is not acknowledged: its number, its payload, how often it was taken, and whether it is fresh, waiting or dead.
pub type JobInfo = (u64, Vec<u8>, u32, &'static str);

/// A job that was given up.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct DeadJob {
    /// Its number.
    pub id: u64,
    /// How often it was tried.
    pub attempts: u32,
    /// When it died.
    pub died_at: Millis,
    /// Why its last attempt failed.
    pub reason: String,
    /// What was to be done.
    #[serde(serialize_with = "as_text")]
    pub payload: Vec<u8>,
}

fn as_text<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(bytes))
}

/// How many jobs there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Stats {
    /// Never taken.
    pub fresh: u64,
    /// Leased, given back, or with a lease that ran out.
    pub waiting: u64,
    /// Given up.
    pub dead: u64,
    /// Pushed, ever.
    pub pushed: u64,
    /// Acknowledged, ever.
    pub acked: u64,
    /// Removed from among the dead, ever.
    pub discarded: u64,
}

/// A job queue in a segment.
#[derive(Debug)]
pub struct Queue<M: Medium = Region> {
    segment: Segment<Root, M>,
    attempts_max: u32,
}

impl Queue {
    /// Opens the queue of this name, or makes it.
    ///
    /// # Errors
    /// As [`vista::SegmentOptions::open_or_create`], such as another process that has it open and does not close it in time.
    pub fn open(path: &Path, options: &Options) -> Result<Self> {
        let segment = Segment::<Root>::options()
            .size(LEN_AT_FIRST)
            .max_len(options.bytes_max.max(LEN_AT_FIRST))
            .lock_wait(options.lock_wait)
            .open_or_create_with(path, make)?;
        Ok(Queue { segment, attempts_max: options.attempts_max })
    }

    /// Closes the file, so that it is as durable as any other.
    ///
    /// # Errors
    /// The system's error.
    pub fn close(self) -> Result<()> {
        Ok(self.segment.close()?)
    }
}

impl<M: Medium> Queue<M> {
    /// Makes a queue on a medium of any kind: for crash tests.
    ///
    /// # Errors
    /// As [`Segment::create_on`].
    pub fn create_on(medium: M, attempts_max: u32) -> Result<Self> {
        let mut segment = Segment::create_on(medium, 4096)?;
        segment.transaction(make)?;
        Ok(Queue { segment, attempts_max })
    }

    /// Opens the queue on a medium of any kind.
    ///
    /// # Errors
    /// As [`Segment::open_on`].
    pub fn open_on(medium: M, attempts_max: u32) -> Result<Self> {
        Ok(Queue { segment: Segment::open_on(medium)?, attempts_max })
    }

    /// Adds a job, and gives its number. Once this returns, the job is delivered until it is acknowledged.
    ///
    /// # Errors
    /// [`Error::Full`] if there are too many jobs for the length that the file may have.
    pub fn push(&mut self, payload: &[u8]) -> Result<u64> {
        self.push_all(&[payload]).map(|ids| ids.start)
    }

    /// Adds jobs, all or none, and gives their numbers.
    ///
    /// # Errors
    /// As [`push`](Queue::push).
    pub fn push_all(&mut self, payloads: &[impl AsRef<[u8]>]) -> Result<std::ops::Range<u64>> {
        let limit = self.segment.medium()?.max_len() / 4 * 3;
        self.segment.transaction(|tx| {
            let root = *tx.root();
            let first = root.pushed + 1;
            let (mut id, mut held_bytes) = (first, root.held_bytes);
            for payload in payloads {
                held_bytes = held_bytes.saturating_add(cost(payload.as_ref().len() as u64));
                if held_bytes > limit {
                    return Err(Error::Full { held_bytes: root.held_bytes, limit });
                }
                let payload = PBytes::from_slice(tx, payload.as_ref())?;
                let job = Job { payload, reason: PString::NULL, at: 0, attempts: 0, state: FRESH };
                root.jobs.insert(tx, id, job)?;
                root.fresh.push_back(tx, id)?;
                id += 1;
            }
            tx.write(field!(tx.root_ptr(), Root, pushed), id - 1)?;
            tx.write(field!(tx.root_ptr(), Root, held_bytes), held_bytes)?;
            Ok(first..id)
        })
    }

    /// Leases a job until `visibility` from now: first one whose time has come again, else the oldest fresh one. If it is
    /// not acknowledged by then, it is delivered once more; and a process that dies meanwhile need not tell anybody.
    ///
    /// # Errors
    /// [`vista::Error::Damaged`] if the file is; [`vista::Error::NoSpace`] if there is no room to note the lease.
    pub fn take(&mut self, visibility: Millis, now: Millis) -> Result<Option<Taken>> {
        loop {
            match self.take_or_bury(visibility, now)? {
                Found::Job(taken) => return Ok(Some(taken)),
                Found::Nothing => return Ok(None),
                Found::DeadOnly => {}
            }
        }
    }

    fn take_or_bury(&mut self, visibility: Millis, now: Millis) -> Result<Found> {
        let attempts_max = self.attempts_max;
        self.segment.transaction(|tx| {
            let root = *tx.root();
            for _ in 0..BURIED_AT_ONCE {
                let first = root.waiting.first_key_value(tx)?.map(|(due, ())| *due);
                let due = first.filter(|due| due.at <= now);
                let id = match due {
                    Some(due) => {
                        root.waiting.remove(tx, due)?;
                        due.id
                    }
                    None => match root.fresh.pop_front(tx)? {
                        Some(id) => id,
                        None => return Ok(Found::Nothing),
                    },
                };
                let (place, job) = job_of(tx, &root, id)?;
                if due.is_some() && job.attempts >= attempts_max {
                    set_reason(tx, place, "the lease ran out")?;
                    bury(tx, &root, id, now)?;
                    continue;
                }
                let (at, attempt) = (now.saturating_add(visibility), job.attempts.saturating_add(1));
                root.waiting.insert(tx, Due { at, id }, ())?;
                let place = job_of(tx, &root, id)?.0;
                tx.write(place, Job { at, attempts: attempt, state: LEASED, ..*tx.get(place)? })?;
                let payload = job.payload.as_slice(tx)?.to_vec();
                return Ok(Found::Job(Taken { id, attempt, payload }));
            }
            Ok(Found::DeadOnly)
        })
    }

    /// Removes a job that is done: it is never delivered again.
    ///
    /// A lease that ran out is good as long as nobody else took the job.
    ///
    /// # Errors
    /// [`Error::NoJob`], [`Error::NotLeased`], [`Error::OtherAttempt`].
    pub fn ack(&mut self, receipt: impl Into<Receipt>) -> Result<()> {
        let receipt = receipt.into();
        self.segment.transaction(|tx| {
            let root = *tx.root();
            let (_, job) = leased(tx, &root, receipt)?;
            root.waiting.remove(tx, Due { at: job.at, id: receipt.id })?;
            remove(tx, receipt.id)?;
            tx.write(field!(tx.root_ptr(), Root, acked), root.acked + 1)?;
            Ok(())
        })
    }

    /// Gives a job back that could not be done, and says why. It is delivered again after `delay`, or is dead.
    ///
    /// # Errors
    /// As [`ack`](Queue::ack).
    pub fn nack(
        &mut self,
        receipt: impl Into<Receipt>,
        delay: Millis,
        reason: &str,
        now: Millis,
    ) -> Result<Fate> {
        let (receipt, attempts_max) = (receipt.into(), self.attempts_max);
        self.segment.transaction(|tx| {
            let root = *tx.root();
            let (place, job) = leased(tx, &root, receipt)?;
            let id = receipt.id;
            root.waiting.remove(tx, Due { at: job.at, id })?;
            set_reason(tx, place, reason)?;
            if job.attempts >= attempts_max {
                bury(tx, &root, id, now)?;
                return Ok(Fate::Dead);
            }
            let at = now.saturating_add(delay);
            delay_until(tx, &root, id, at)?;
            Ok(Fate::Again(at))
        })
    }

    /// Lets a lease end `visibility` from now, for a job that takes longer than was thought.
    ///
    /// # Errors
    /// As [`ack`](Queue::ack).
    pub fn extend(&mut self, receipt: impl Into<Receipt>, visibility: Millis, now: Millis) -> Result<()> {
        let receipt = receipt.into();
        self.segment.transaction(|tx| {
            let root = *tx.root();
            let (place, job) = leased(tx, &root, receipt)?;
            let at = now.saturating_add(visibility);
            tx.write(field!(place, Job, at), at)?;
            root.waiting.remove(tx, Due { at: job.at, id: receipt.id })?;
            root.waiting.insert(tx, Due { at, id: receipt.id }, ())?;
            Ok(())
        })
    }

    /// The jobs that were given up, in the order in which they came.
    ///
    /// # Errors
    /// [`vista::Error::Damaged`] if the file is.
    pub fn dead(&self) -> Result<Vec<DeadJob>> {
        let (on, root) = (&self.segment, self.segment.root()?);
        let mut dead = Vec::new();
        for entry in root.dead.iter(on)? {
            let id = *entry?.0;
            let job = root.jobs.get(on, id)?.ok_or(Error::NoJob { id })?;
            dead.push(DeadJob {
                id,
                attempts: job.attempts,
                died_at: job.at,
                reason: job.reason.as_str(on)?.to_owned(),
                payload: job.payload.as_slice(on)?.to_vec(),
            });
        }
        Ok(dead)
    }

    /// Gives a dead job all its attempts again.
    ///
    /// # Errors
    /// [`Error::NoJob`], [`Error::NotDead`].
    pub fn requeue(&mut self, id: u64, now: Millis) -> Result<()> {
        self.segment.transaction(|tx| {
            let root = *tx.root();
            let place = dead_job(tx, &root, id)?;
            tx.write(field!(place, Job, attempts), 0)?;
            delay_until(tx, &root, id, now)
        })
    }

    /// Removes a dead job for good.
    ///
    /// # Errors
    /// As [`requeue`](Queue::requeue).
    pub fn discard(&mut self, id: u64) -> Result<()> {
        self.segment.transaction(|tx| {
            let root = *tx.root();
            dead_job(tx, &root, id)?;
            remove(tx, id)
        })
    }

    /// How many jobs there are.
    ///
    /// # Errors
    /// [`vista::Error::Damaged`] if the file is.
    pub fn stats(&self) -> Result<Stats> {
        let (on, root) = (&self.segment, self.segment.root()?);
        let held = root.jobs.len(on)? as u64;
        Ok(Stats {
            fresh: root.fresh.len(on)? as u64,
            waiting: root.waiting.len(on)? as u64,
            dead: root.dead.len(on)? as u64,
            pushed: root.pushed,
            acked: root.acked,
            discarded: root.pushed.saturating_sub(root.acked).saturating_sub(held),
        })
    }

    /// All jobs that are not acknowledged, by number.
    ///
    /// # Errors
    /// [`vista::Error::Damaged`] if the file is.
    pub fn jobs(&self) -> Result<Vec<JobInfo>> {
        let on = &self.segment;
        let mut jobs = Vec::new();
        for (&id, job) in self.segment.root()?.jobs.iter(on)? {
            let state = match job.state {
                FRESH => "fresh",
                LEASED | DELAYED => "waiting",
                _ => "dead",
            };
            jobs.push((id, job.payload.as_slice(on)?.to_vec(), job.attempts, state));
        }
        jobs.sort();
        Ok(jobs)
    }

    /// What is not sound: in the heap, in the collections, and between them. Each job stands in the one list where its state
    /// says, and the lists hold no other.
    ///
    /// # Errors
    /// [`vista::Error::Damaged`] if the file is.
    pub fn check(&self) -> Result<Vec<String>> {
        let (on, root) = (&self.segment, self.segment.root()?);
        let mut found: Vec<String> = on.check_content()?.iter().map(Violation::to_string).collect();
        let (mut counts, mut held_bytes) = ([0; 4], 0);
        for (&id, job) in root.jobs.iter(on)? {
            held_bytes += cost(job.payload.as_slice(on)?.len() as u64);
            let is_listed = match job.state {
                FRESH => true, // Counted below.
                LEASED | DELAYED => root.waiting.contains_key(on, Due { at: job.at, id })?,
                DEAD => root.dead.contains_key(on, id)?,
                _ => false,
            };
            if !is_listed || id > root.pushed {
                found.push(format!("job {id} in state {} stands in no list", job.state));
            }
            counts[(job.state % 4) as usize] += 1;
        }
        let mut last = 0;
        for &id in root.fresh.iter(on)? {
            if id <= last || root.jobs.get(on, id)?.is_none_or(|job| job.state != FRESH) {
                found.push(format!("{id} behind {last} among the fresh"));
            }
            last = id;
        }
        let listed = [root.fresh.len(on)?, root.waiting.len(on)?, root.dead.len(on)?];
        if listed != [counts[0], counts[1] + counts[2], counts[3]] {
            found.push(format!("lists of {listed:?} for {counts:?}"));
        }
        if held_bytes != root.held_bytes {
            found.push(format!("jobs for {held_bytes} bytes, counted as {}", root.held_bytes));
        }
        Ok(found)
    }
}

/// What taking has come upon.
enum Found {
    Job(Taken),
    Nothing,
    /// So many without an attempt left that the rest is another transaction's.
    DeadOnly,
}

type Place = vista::PPtr<Job>;

fn make<M: Medium>(tx: &mut Transaction<'_, Root, M>) -> vista::Result<()> {
    let root = Root {
        jobs: PHashMap::new(tx)?,
        fresh: PVecDeque::new(tx)?,
        waiting: PBTreeMap::new(tx)?,
        dead: PBTreeMap::new(tx)?,
        pushed: 0,
        acked: 0,
        held_bytes: 0,
    };
    tx.write(tx.root_ptr(), root)
}

/// A job, and where it lies until the map changes.
fn job_of(on: &impl Reader, root: &Root, id: u64) -> Result<(Place, Job)> {
    let place = root.jobs.place(on, id)?.ok_or(Error::NoJob { id })?;
    Ok((place, *on.get(place)?))
}

/// The job that a receipt names, if it is leased.
fn leased(on: &impl Reader, root: &Root, receipt: Receipt) -> Result<(Place, Job)> {
    let id = receipt.id;
    let (place, job) = job_of(on, root, id)?;
    match receipt.attempt {
        _ if job.state != LEASED => Err(Error::NotLeased { id }),
        Some(attempt) if attempt != job.attempts => {
            Err(Error::OtherAttempt { id, attempt, current: job.attempts })
        }
        _ => Ok((place, job)),
    }
}

/// A job that is dead, and is so no more.
fn dead_job(tx: &mut impl Writer, root: &Root, id: u64) -> Result<Place> {
    let (place, job) = job_of(tx, root, id)?;
    if job.state != DEAD {
        return Err(Error::NotDead { id });
    }
    root.dead.remove(tx, id)?;
    Ok(place)
}

fn set_reason(tx: &mut impl Writer, place: Place, reason: &str) -> Result<()> {
    let cut = (0..=REASON_LEN_MAX.min(reason.len())).rev().find(|&at| reason.is_char_boundary(at));
    let new = PString::new(tx, &reason[..cut.unwrap_or(0)])?;
    let old = *tx.get(field!(place, Job, reason))?;
    tx.write(field!(place, Job, reason), new)?;
    Ok(old.release(tx, vista::Depth::default())?)
}

/// Makes a job dead that stands in no list.
fn bury(tx: &mut impl Writer, root: &Root, id: u64, now: Millis) -> Result<()> {
    let (place, job) = job_of(tx, root, id)?;
    tx.write(place, Job { at: now, state: DEAD, ..job })?;
    root.dead.insert(tx, id, ())?;
    Ok(())
}

/// Lets a job wait that stands in no list.
fn delay_until(tx: &mut impl Writer, root: &Root, id: u64, at: Millis) -> Result<()> {
    let (place, job) = job_of(tx, root, id)?;
    tx.write(place, Job { at, state: DELAYED, ..job })?;
    root.waiting.insert(tx, Due { at, id }, ())?;
    Ok(())
}

/// Removes a job that stands in no list, with what it owns.
fn remove<M: Medium>(tx: &mut Transaction<'_, Root, M>, id: u64) -> Result<()> {
    let root = *tx.root();
    let job = root.jobs.remove(tx, id)?.ok_or(Error::NoJob { id })?;
    let freed = cost(job.payload.as_slice(tx)?.len() as u64);
    tx.write(field!(tx.root_ptr(), Root, held_bytes), root.held_bytes.saturating_sub(freed))?;
    Ok(job.release(tx, vista::Depth::default())?)
}
