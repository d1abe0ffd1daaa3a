//! Looking into a segment without its root type and without changing it: for tools.
//!
//! [`Inspector`] has what is common to all segments: root, log, heap. What the root holds is read by the description
//! that the segment keeps of it: a [`Schema`], and [`Value`]s. Start at [`Inspector::open`].

mod map; // what each page is used for
mod schema; // the text of a layout, read back
mod value; // what bytes say by it
mod entries; // what collections hold
mod content; // whether they are sound

use std::path::Path;

use rio::{Medium, Region};

use crate::check::{Block, Stats, Violation};
use crate::core::Core;
use crate::error::Result;
use crate::layout::{FORMAT_VERSION, KIND_FRESH, KIND_IMAGE, KIND_LINK, RootPage};
use crate::recovery::InFlight;
use crate::undo::RECORDS_START;
use crate::{Recovery, fingerprint_of, format};

pub use content::Content;
pub use map::{Area, Run, Usage};
pub use schema::{Collection, Field, Number, Schema, SchemaError, Structure, Type};
pub use value::{Limits, Target, Value};

use value::word;

/// A segment that is only looked at, whatever its root.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("counter");
/// use vista::{Segment, inspect::Inspector};
///
/// Segment::<u64>::create(&path, 1 << 20)?.close()?;
/// let mut inspector = Inspector::open(&path)?;
/// assert_eq!(inspector.root()?.layout, "u64");
/// assert!(!inspector.log()?.is_in_flight);
/// inspector.recover()?; // In this copy only: the file stays as it is.
/// assert_eq!(inspector.check(), []);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct Inspector<M: Medium = Region> {
    pub(crate) core: Core<M>,
}

impl<M: Medium> std::fmt::Debug for Inspector<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inspector").field("name", &self.core.name).finish_non_exhaustive()
    }
}

/// The root, as the segment describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootInfo {
    /// Offset of the root in the file.
    pub offset: u64,
    /// Its size in bytes.
    pub len: u64,
    /// Fingerprint of its layout.
    pub fingerprint: u64,
    /// Its layout as text, cut where it was too long to keep.
    pub layout: String,
}

/// The log, as it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogInfo {
    /// Number of the latest transaction.
    pub sequence: u64,
    /// Whether that transaction is in flight: had not committed when the process ended.
    pub is_in_flight: bool,
    /// Whether its last batch is torn and will be left out.
    pub has_torn_batch: bool,
    /// Its records, newest first: the order in which a rollback takes them.
    pub records: Vec<RecordInfo>,
}

/// One record of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordInfo {
    /// What it is.
    pub kind: RecordKind,
    /// Offset of its payload in the file.
    pub offset: u64,
    /// Offset of the range that it covers.
    pub target: u64,
    /// Length of its payload in bytes.
    pub len: u64,
}

/// What a record of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// A before-image.
    Image,
    /// A range that was new.
    Fresh,
    /// The link to an earlier extent.
    Link,
    /// A savepoint.
    Savepoint,
}

impl Inspector<Region> {
    /// Opens a private copy of the file: nothing that happens here reaches it. A log in flight is left as it is until
    /// [`recover`](Inspector::recover).
    ///
    /// # Errors
    /// As [`Segment::open`](crate::Segment::open), but for the root's type.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        // A look does no harm, whatever the kernel wrote back; what does not fit shows in the check.
        let region = Region::options().private(true).accept_reboot(true).open(path)?;
        Self::open_on(region)
    }
}

impl<M: Medium> Inspector<M> {
    /// Opens a medium that the caller does not mind to be changed by [`recover`](Inspector::recover).
    ///
    /// # Errors
    /// As [`Segment::open_on`](crate::Segment::open_on), but for the log and the root's type.
    pub fn open_on(medium: M) -> Result<Self> {
        Ok(Inspector { core: format::open_raw(medium)? })
    }

    /// The medium below.
    pub fn medium(&self) -> &M {
        self.core.space.medium()
    }

    /// Version of the segment's format.
    pub fn format_version(&self) -> u32 {
        FORMAT_VERSION // An other one is not opened.
    }

    /// Bytes of the file in front of the first zone: headers, log and metadata.
    pub fn fixed_len(&self) -> u64 {
        self.core.fixed_len()
    }

    /// The root.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) if its description fails its check.
    pub fn root(&self) -> Result<RootInfo> {
        let page = format::root_page(&self.core)?;
        Ok(RootInfo {
            offset: page.root_offset,
            len: page.root_len,
            fingerprint: page.fingerprint,
            layout: format::root_text(page),
        })
    }

    /// What the root's description says.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) if it fails its check, or cannot be read.
    pub fn schema(&self) -> Result<Schema> {
        let RootInfo { layout, len, fingerprint, .. } = self.root()?;
        let text_offset = self.core.heap.meta.start() + std::mem::offset_of!(RootPage, text) as u64;
        // The fingerprint is that of the whole text.
        let is_whole = fingerprint_of(&layout) == fingerprint;
        let schema = if is_whole { Schema::parse(&layout) } else { Schema::parse_cut(&layout) };
        let schema = schema.map_err(|error| {
            let found = layout.as_bytes().get(error.at).copied().unwrap_or(0);
            self.core.damaged(text_offset + error.at as u64, "root: layout", found.into(), error.expected)
        })?;
        match schema.size_of(schema.root()) {
            Some(size) if size != len => {
                Err(self.core.damaged(text_offset, "root: size by its layout", size, &format!("{len}")))
            }
            _ => Ok(schema),
        }
    }

    /// What the root holds. Meaningful after [`recover`](Inspector::recover).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("counters");
    /// use vista::Segment;
    /// use vista::inspect::{Inspector, Limits, Value};
    ///
    /// Segment::<[u64; 4]>::create(&path, 1 << 20)?.close()?;
    /// let root = Inspector::open(&path)?.value(&Limits::default())?;
    /// assert!(matches!(root, Value::List { len: 4, .. }));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`schema`](Inspector::schema). What the root leads to and cannot be read is a value that says so.
    pub fn value(&self, limits: &Limits) -> Result<Value> {
        let schema = self.schema()?;
        Ok(schema.value(self, schema.root(), self.root()?.offset, limits))
    }

    /// The log.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) if a record fails its check.
    pub fn log(&self) -> Result<LogInfo> {
        let sequence = self.core.log.sequence;
        let Some(InFlight { tail, whole_tail }) = self.core.in_flight()? else {
            return Ok(LogInfo { sequence, is_in_flight: false, has_torn_batch: false, records: Vec::new() });
        };
        self.core.verify_log(whole_tail, RECORDS_START, &mut Vec::new())?;
        let mut records = Vec::new();
        let mut at = whole_tail;
        while at != RECORDS_START {
            let record = self.core.record_before(at)?;
            records.push(RecordInfo {
                kind: match record.kind {
                    KIND_IMAGE => RecordKind::Image,
                    KIND_FRESH => RecordKind::Fresh,
                    KIND_LINK => RecordKind::Link,
                    _ => RecordKind::Savepoint,
                },
                offset: record.payload.offset(),
                target: record.target,
                len: record.payload.len(),
            });
            at = record.before;
        }
        Ok(LogInfo { sequence, is_in_flight: true, has_torn_batch: tail != whole_tail, records })
    }

    /// Rolls back what had not committed, in this copy.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) if a record fails its check; nothing has changed then.
    pub fn recover(&mut self) -> Result<Recovery> {
        self.core.recover()
    }

    /// Sizes and counts. Meaningful after [`recover`](Inspector::recover).
    pub fn stats(&self) -> Stats {
        self.core.stats()
    }

    /// Every broken invariant of root and heap. Meaningful after [`recover`](Inspector::recover). What the root holds is for
    /// [`check_content`](Inspector::check_content).
    pub fn check(&self) -> Vec<Violation> {
        self.core.check_heap()
    }

    /// All allocated blocks, by offset. Meaningful after [`recover`](Inspector::recover).
    pub fn blocks(&self) -> Vec<Block> {
        self.core.blocks()
    }

    /// Makes everything durable and marks the medium as cleanly closed: for a medium that is no private copy, after
    /// [`recover`](Inspector::recover).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("counter");
    /// use vista::inspect::Inspector;
    /// use vista::{Segment, rio::Region};
    ///
    /// Segment::<u64>::create(&path, 1 << 20)?.close()?;
    /// let mut inspector = Inspector::open_on(Region::open(&path)?)?; // The file itself.
    /// inspector.recover()?; // As opening it with its root's type would.
    /// inspector.close()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The medium's error; it then stays marked as open, which is always safe.
    pub fn close(self) -> Result<()> {
        Ok(self.core.space.into_medium().close()?)
    }
}
