//! Deliberate mistakes that a crash tester has to catch; only in a build with `--cfg vista_planted`.
//!
//! Each stands in the code as `if planted!(Name)`, at most one is in force at a time, and in any other build the
//! question is the literal `false`. Without a crash a plant changes nothing that a transaction which commits would
//! notice; some also spoil an abort. Start at [`PLANTS`] and [`set`].
//!
//! One mistake cannot be chosen while the program runs: `--cfg vista_planted="compiler-fence"`, a build of its own, makes
//! the store that publishes a state a plain one, without a fence of the compiler on either side.

use std::sync::atomic::{AtomicU8, Ordering};

/// Whether a plant is in force.
macro_rules! planted {
    ($plant:ident) => {
        $crate::plant::is_set($crate::plant::Plant::$plant)
    };
}

/// In which model of a crash a plant shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// Every store before the crash is kept: a killed process. Masked in an ordered domain.
    Coherent,
    /// What is not flushed and fenced may be lost: only in an ordered domain.
    Adr,
    /// Either, in the domain that belongs to it: the page cache or an ordered one.
    Both,
    /// Only in an ordered domain, and there also if every store is kept.
    Ordered,
}

/// What has to happen for it to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// One crash, then an opening.
    Crash,
    /// A crash, and another in the recovery from it.
    CrashInRecovery,
    /// A crash, an opening, more transactions, and another crash.
    CrashAfterCrash,
    /// A kill that keeps all stores, an opening, more transactions, then a power cut.
    PowerCutAfterKill,
}

/// The plant in force: a number of [`Plant`], or one of the two below.
static CHOSEN: AtomicU8 = AtomicU8::new(UNREAD);
/// None.
const NONE: u8 = u8::MAX - 1;
/// The environment has not been asked.
const UNREAD: u8 = u8::MAX;

/// Chooses the plant of this process by its name, instead of the environment variable `VISTA_PLANT`; or none.
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
#[inline(always)]
pub(crate) fn is_set(plant: Plant) -> bool {
    let chosen = CHOSEN.load(Ordering::Relaxed);
    let chosen = if chosen == UNREAD { read_environment() } else { chosen };
    chosen == plant as u8
}

#[cold]
fn read_environment() -> u8 {
    let name = std::env::var("VISTA_PLANT").ok();
    set(name.as_deref().filter(|name| !name.is_empty()));
    CHOSEN.load(Ordering::Relaxed)
}

macro_rules! plants {
    ($($plant:ident $name:literal $shows:ident $needs:ident $what:literal)+) => {
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

            /// In which model it shows.
            pub fn shows(self) -> Shows {
                match self {
                    $(Plant::$plant => Shows::$shows),+
                }
            }

            /// What has to happen for it to show.
            pub fn needs(self) -> Needs {
                match self {
                    $(Plant::$plant => Needs::$needs),+
                }
            }
        }
    };
}

plants! {
    // Records, and the batches that they are fenced in.
    PublishedBeforeWhole "published-before-whole" Coherent Crash
        "the state counts a record that is not stored yet: opening finds a log whose newest record does not fit"
    StoredBeforePublished "stored-before-published" Both Crash
        "a record is published only behind the store that it covers, or by the next one: the store stays, half of a transaction"
    RecordsNotFlushed "records-not-flushed" Adr Crash
        "a batch flushes the log's header and not its records: they are lost, and the stores under them are not"
    LogHeaderNotFlushed "log-header-not-flushed" Adr Crash
        "a batch behind the log's first line flushes its records and not the state: stores stand under a tail that does not count them"
    RecordsNotFenced "records-not-fenced" Adr Crash
        "no fence between a batch and the stores that it covers: the stores arrive and the records do not"
    BatchWordNotStored "batch-word-not-stored" Ordered Crash
        "the batch word is that of an older transaction: opening refuses the log"
    BatchFromTheStart "batch-from-the-start" Adr Crash
        "the batch word always names the start: a torn batch takes those before it along, whose stores are then not rolled back"
    WritesDoNotWait "writes-do-not-wait" Adr Crash
        "a write by value is stored at once, although its record is not fenced: the store arrives and the record does not"
    CheckWithoutNumber "check-without-number" Adr Crash
        "a record's check does not bind the transaction: a torn batch lets an old record show through, and its image is restored"
    NumberNotAdvanced "number-not-advanced" Adr Crash
        "all transactions have one number: a torn batch lets an old record show through, and its image is restored"
    EmptyTransactionCounts "empty-transaction-counts" Adr CrashAfterCrash
        "a transaction without a record uses up its number: torn records of it are later taken for those of another base"
    SeenOutlivesTransaction "seen-outlives-transaction" Both Crash
        "what the transaction before has logged counts as logged: its ranges are stored to without an image"
    // Extents.
    LinkPublishedFirst "link-published-first" Coherent Crash
        "the state counts the link to a new extent before it is stored: opening finds no record there"
    LinkOutsideOfBatch "link-outside-of-batch" Adr Crash
        "the batch word names the new extent's start, where no record ends: if the link is torn, opening refuses the log"
    ExtentWithoutSettle "extent-without-settle" Adr Crash
        "the log grows with a batch open, whose records are then counted as fenced and never flushed"
    ExtentOverFreed "extent-over-freed" Both Crash
        "the log grows into what this transaction freed: a rollback makes it live again with the log's bytes in it"
    // Commit.
    DataNotFlushed "data-not-flushed" Adr Crash
        "a commit does not flush what was stored: the log is empty and the data are the old ones, in part"
    FirstLineFlushed "first-line-flushed" Adr Crash
        "a commit flushes the first line of each range: the lines behind it are lost"
    FreshNotFlushed "fresh-not-flushed" Adr Crash
        "a commit does not flush new blocks: they are allocated and hold what was there before"
    FlushStopsAtLink "flush-stops-at-link" Adr Crash
        "a commit flushes what the log's last extent covers, and not what those before it do"
    DataNotFenced "data-not-fenced" Adr Crash
        "no fence between the data and the empty state: the log is empty and data are missing"
    WaitingStoredAfterEnd "waiting-stored-after-end" Ordered Crash
        "a commit empties the log, then makes the stores that wait: they are lost in part"
    EndNotFlushed "end-not-flushed" Adr Crash
        "the empty state is not flushed: a transaction that was acknowledged is rolled back"
    EndNotFenced "end-not-fenced" Adr Crash
        "the empty state is flushed and not fenced: a transaction that was acknowledged is rolled back"
    // Rollback, to the start or to a savepoint.
    AbortEmptiesFirst "abort-empties-first" Both Crash
        "an abort empties the log, then restores: what is not restored yet stays"
    PoppedBeforeRestored "popped-before-restored" Both Crash
        "a rollback takes each record off the log, then restores it: the one it was at is lost (an abort; a recovery if it is cut off too)"
    UndoStrikesOut "undo-strikes-out" Both Crash
        "a rollback strikes each record out once it is restored: if it is cut off, the log does not fit any more"
    RestoredNotFlushed "restored-not-flushed" Adr Crash
        "a rollback does not flush what it restored: the log is empty and the aborted stores are there"
    RestoredNotFenced "restored-not-fenced" Adr Crash
        "no fence between what a rollback restored and the state behind it: the log is empty and aborted stores are there"
    CutBeforeUndone "cut-before-undone" Both Crash
        "a rollback to a savepoint cuts the log, then restores: what is not restored yet has no record any more"
    CutNotPublished "cut-not-published" Both Crash
        "a rollback to a savepoint leaves the old tail standing: new records overwrite the old ones under it, and the log does not fit"
    RollbackNotStruckOut "rollback-not-struck-out" Adr Crash
        "a rollback to a savepoint leaves its records as they are: a torn batch in their place lets them show through"
    BatchWordNotCut "batch-word-not-cut" Adr Crash
        "a rollback to a savepoint leaves the batch word, which then may lie behind the tail: opening walks the wrong log"
    SeenOutlivesRollback "seen-outlives-rollback" Both Crash
        "what was logged behind a savepoint counts as logged after the rollback to it: it is stored to without an image"
    // Recovery.
    RecordCheckSkipped "record-check-skipped" Adr Crash
        "the checks of records are not compared: a torn batch passes for a whole one, and what stands in it is restored"
    TornBatchRefused "torn-batch-refused" Adr Crash
        "a torn batch passes for a whole one, and is damage to the rollback: the segment does not open"
    TornLogDropped "torn-log-dropped" Adr Crash
        "a torn batch makes recovery leave out the whole log: stores under the batches before stay"
    RecoveryEmptiesFirst "recovery-empties-first" Both CrashInRecovery
        "recovery empties the log, then restores: cut off, it leaves what is not restored yet"
    RecoveryClosesBatch "recovery-closes-batch" Adr CrashInRecovery
        "recovery notes all records as fenced, then restores: cut off behind a torn batch, the next one finds damage"
    NewestImageWins "newest-image-wins" Both Crash
        "recovery restores a range once, by its newest image: a range that was logged twice is left half way"
    NewestSkipped "newest-skipped" Both Crash
        "recovery leaves out the newest record, as if nothing could have been stored under it yet"
    WholeLinesRestored "whole-lines-restored" Both Crash
        "recovery restores whole lines of 64 bytes of longer images, and not the rest"
    OpenWithoutFlush "open-without-flush" Adr PowerCutAfterKill
        "opening builds upon headers and metadata that a killed process stored and did not flush: a zone or the segment is lost"
    // Heap.
    ReuseNotLogged "reuse-not-logged" Both Crash
        "a block from space that the transaction freed itself is taken for a new one: a rollback makes it live with the wrong bytes"
    ReuseNotSettled "reuse-not-settled" Adr Crash
        "such a block is logged, and lent before its record is fenced: the stores arrive and the record does not"
    FreeNotNoted "free-not-noted" Both Crash
        "a freed block's page does not note the transaction: the block is taken for a new one, and has no image"
    LoweredTopNotNoted "lowered-top-not-noted" Both Crash
        "a run given back to the space above the top is not noted: it is taken for new, for blocks or for the log"
    HeadNotLogged "head-not-logged" Both Crash
        "heads of lists and tops of zones are stored without an image: after a rollback they disagree with the pages"
    SlabNotLogged "slab-not-logged" Both Crash
        "the descriptors of slabs, with their bitmaps, are stored without an image: blocks leak, or are free and in use"
    TailNotLogged "tail-not-logged" Both Crash
        "the tag at the end of a free run is stored without an image: after a rollback it stands inside of another run"
    ZoneCountedFirst "zone-counted-first" Both Crash
        "a zone is counted before its entry is stored: opening finds no zone there"
    ZoneNotFlushed "zone-not-flushed" Adr Crash
        "a zone's entry is not flushed before it is counted: opening finds no zone there"
    // Creation.
    HeaderFirst "header-first" Both Crash
        "creation stores the segment header first: something opens that is no segment yet"
    CreationNotFenced "creation-not-fenced" Adr Crash
        "no fence between a new segment's content and its header: something opens that lacks content"
    // Collections.
    SpareNotFlushed "spare-not-flushed" Adr Crash
        "a commit does not flush what was stored to spare bytes: a collection counts entries that are lost"
    VacatedForgotten "vacated-forgotten" Both Crash
        "a transaction forgets that elements were removed in it, and stores to their places without an image"
    PoppedElementAsSpare "popped-element-as-spare" Both Crash
        "a vector takes the place of an element that this transaction popped for spare: a rollback does not bring it back"
    DeletedSlotAsSpare "deleted-slot-as-spare" Both Crash
        "a hash map takes a slot for spare whose entry this transaction removed: a rollback does not bring it back"
    UsedSlotAsSpare "used-slot-as-spare" Both Crash
        "a B-tree takes a slot for spare whose entry this transaction removed: a rollback does not bring it back"
}
