//! Deliberate mistakes that a crash tester has to catch; only in a build with `--cfg vista_planted`.
//!
//! Each stands in the code as `if planted!(Name)`, at most one is in force at a time, and in any other build the
//! question is the literal `false`: `docs/decisions/0016-plants-by-cfg.md`. Start at [`PLANTS`] and [`set`].

use std::sync::atomic::{AtomicU8, Ordering};

/// Whether a plant is in force.
macro_rules! planted {
    ($plant:ident) => {
        $crate::plant::is_set($crate::plant::Plant::$plant)
    };
}

/// Where a plant shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// Every store before the crash is kept: a killed process.
    Coherent,
    /// What is not flushed and fenced may be lost: a power cut.
    Adr,
    /// A process is killed, then the power is cut.
    PowerCutAfterKill,
    /// Only where several threads use the log.
    Threads,
    /// Only where a device fails.
    Failure,
}

/// The plant in force: a number of [`Plant`], or one of the two below.
static CHOSEN: AtomicU8 = AtomicU8::new(UNREAD);
/// None.
const NONE: u8 = u8::MAX - 1;
/// The environment has not been asked.
const UNREAD: u8 = u8::MAX;

/// Chooses the plant of this process by its name, instead of the environment variable `LRVM_PLANT`; or none.
///
/// # Panics
/// If no plant has this name.
pub fn set(name: Option<&str>) {
    CHOSEN.store(name.map_or(NONE, |name| by_name(name) as u8), Ordering::Relaxed);
}

/// The plant of this name.
///
/// # Panics
/// If there is none.
pub fn by_name(name: &str) -> Plant {
    let found = PLANTS.iter().find(|(_, known, _)| *known == name);
    found.unwrap_or_else(|| panic!("no plant is called {name:?}")).0
}

/// Whether this plant is in force.
pub(crate) fn is_set(plant: Plant) -> bool {
    let chosen = CHOSEN.load(Ordering::Relaxed);
    let chosen = if chosen == UNREAD { read_environment() } else { chosen };
    chosen == plant as u8
}

#[cold]
fn read_environment() -> u8 {
    let name = std::env::var("LRVM_PLANT").ok();
    set(name.as_deref().filter(|name| !name.is_empty()));
    CHOSEN.load(Ordering::Relaxed)
}

macro_rules! plants {
    ($($plant:ident $name:literal $shows:ident $what:literal)+) => {
        /// A deliberate mistake.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Plant {
            $(#[doc = $what] $plant),+
        }

        /// All plants: the plant, its name, and what is wrong and what a crash then leaves behind.
        pub const PLANTS: &[(Plant, &str, &str)] = &[$((Plant::$plant, $name, $what)),+];

        impl Plant {
            /// Its name.
            pub fn name(self) -> &'static str {
                PLANTS[self as usize].1
            }

            /// Where it shows.
            pub fn shows(self) -> Shows {
                match self {
                    $(Plant::$plant => Shows::$shows),+
                }
            }
        }
    };
}

plants! {
    // Commits and batches.
    AcknowledgedBeforeWrite "acknowledged-before-write" Coherent
        "a commit with flush returns before its record is written: it is lost"
    LogNotSynced "log-not-synced" Adr
        "a batch is written and not synced before its commits are acknowledged: it is lost, or torn"
    EveryRecordIsLast "every-record-is-last" Coherent
        "every record says that it ends its batch: half of a batch is kept, although later records made earlier ones needless"
    FollowerReleasedEarly "follower-released-early" Threads
        "who finds a flush under way returns when that ends, although his commit came after it began: it is lost"
    FailureNotKept "failure-not-kept" Failure
        "a failed write or sync does not put the log out of use: later commits are acknowledged behind a hole"
    WrapSplitsWrong "wrap-splits-wrong" Coherent
        "a write over the end of the ring is split eight bytes too early: its records are not whole"
    // Optimisations.
    MergeDropsTail "merge-drops-tail" Coherent
        "ranges are merged to the end of the last and not of the longest: a range that holds another is cut short in the log"
    ElidedInPart "elided-in-part" Coherent
        "a record that waits is left out when a later one overwrites some of it: the rest of it is lost"
    // Scanning.
    RecordCheckSkipped "record-check-skipped" Adr
        "the checksums of ranges are not compared: a torn record is applied"
    PlaceNotChecked "place-not-checked" Coherent
        "where a record says that it stands is not compared: those of an earlier round of the ring are applied again"
    IncarnationNotChecked "incarnation-not-checked" Adr
        "whose log a record is of is not compared: what an earlier opening left torn is taken into a later batch"
    IncarnationNotBumped "incarnation-not-bumped" Adr
        "an opening does not make strangers of the records behind the tail: what an earlier one left torn is taken into a later batch"
    PartOfBatchKept "part-of-batch-kept" Coherent
        "recovery keeps the whole records of a batch that is not whole, although later ones made earlier ones needless"
    TailNotScanned "tail-not-scanned" Coherent
        "recovery ends at the tail that the status block knows: what was committed since is lost"
    // Recovery.
    NotSettled "not-settled" PowerCutAfterKill
        "recovery builds upon records and a status block that a killed process stored and did not make durable"
    RecoveryEmptiesFirst "recovery-empties-first" Coherent
        "recovery empties the log, then applies: cut off, it leaves what is not applied yet"
    OldestWins "oldest-wins" Coherent
        "of several records the oldest bytes get to the segment"
    SegmentsNotSynced "segments-not-synced" Adr
        "the head of the log moves before what was applied is durable in the segments"
    // Truncation.
    HeadBeforeEpoch "head-before-epoch" Coherent
        "an epoch moves the head, then writes to the segments: cut off, it leaves what is not there yet"
    HeadBeforePages "head-before-pages" Coherent
        "incremental truncation moves the head, then writes the pages: cut off, it leaves what is not there yet"
    PagesNotSynced "pages-not-synced" Adr
        "incremental truncation moves the head before the pages are durable"
    EpochFreesAll "epoch-frees-all" Threads
        "an epoch frees the log up to where it ends by then, and not to where it ended when it began: commits are lost"
    PageWithUncommitted "page-with-uncommitted" Coherent
        "a page is written in which a transaction has declared ranges: what has not committed is in the segment"
    PageNotDurable "page-not-durable" Coherent
        "a page is written whose latest commit is not in the log yet: cut off, it is there in part"
    PositionTooNew "position-too-new" Coherent
        "a page is queued at its latest record, not at its first: the head moves past that while the page waits"
    // Status block and table.
    StatusOverItself "status-over-itself" Coherent
        "the status block is written over the copy in force: torn, it leaves an older one, whose records are gone"
    StatusNotSynced "status-not-synced" Adr
        "the status block is not synced before the space that it frees is written to: torn records stand before the head"
    StatusCheckSkipped "status-check-skipped" Adr
        "the checksum of a status block is not compared: a torn one is in force"
    EntryNotSynced "entry-not-synced" Adr
        "a segment's entry in the table is not synced before a record has its number: recovery does not know the segment"
    // Memory.
    MapReadsStale "map-reads-stale" Coherent
        "what is mapped again is read from the segment, although the log has newer bytes"
    NewestImageRestored "newest-image-restored" Coherent
        "an abort restores the oldest images first: a range that was declared twice is left half way"
}
