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
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("counter");
/// # vista::Segment::<u64>::create(&path, 1 << 20)?.close()?;
/// # use vista::inspect::Inspector;
/// let root = Inspector::open(&path)?.root()?;
/// assert_eq!((root.len, root.layout.as_str()), (8, "u64"));
/// assert_eq!(root.fingerprint, vista::layout_of::<u64>().fingerprint);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
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
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("counter");
/// # use vista::{Segment, inspect::{Inspector, RecordKind}};
/// let mut segment = Segment::<u64>::create(&path, 1 << 20)?;
/// let mut tx = segment.begin()?;
/// *tx.root_mut()? = 7;
/// # let copy = dir.path().join("copy");
/// # std::fs::copy(&path, &copy)?;
/// // A copy of the file at this moment, which is what a crash would leave:
/// let log = Inspector::open(&copy)?.log()?;
/// assert!(log.is_in_flight && log.sequence == tx.number());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
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
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("counter");
/// # use vista::{Segment, inspect::{Inspector, RecordKind}};
/// let mut segment = Segment::<u64>::create(&path, 1 << 20)?;
/// let mut tx = segment.begin()?;
/// *tx.root_mut()? = 7;
/// # let copy = dir.path().join("copy");
/// # std::fs::copy(&path, &copy)?;
/// // A copy of the file at this moment, which is what a crash would leave:
/// let record = Inspector::open(&copy)?.log()?.records[0];
/// assert_eq!((record.target, record.len), (tx.root_ptr().offset(), 8));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
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
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("counter");
/// # use vista::{Segment, inspect::{Inspector, RecordKind}};
/// let mut segment = Segment::<u64>::create(&path, 1 << 20)?;
/// let mut tx = segment.begin()?;
/// *tx.root_mut()? = 7;
/// # let copy = dir.path().join("copy");
/// # std::fs::copy(&path, &copy)?;
/// // A copy of the file at this moment, which is what a crash would leave:
/// let record = Inspector::open(&copy)?.log()?.records[0];
/// assert_eq!(record.kind, RecordKind::Image);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
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
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("counter");
    /// # vista::Segment::<u64>::create(&path, 1 << 20)?.close()?;
    /// # use vista::inspect::Inspector;
    /// let bytes = std::fs::read(&path)?;
    /// Inspector::open(&path)?.recover()?;
    /// assert!(std::fs::read(&path)? == bytes);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
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
    /// ```
    /// use vista::rio::Buffer;
    /// use vista::{Segment, inspect::Inspector};
    ///
    /// let segment = Segment::<u64, Buffer>::create_on(Buffer::new(1 << 20, 1 << 20), 4096)?;
    /// let inspector = Inspector::open_on(segment.into_medium()?)?;
    /// assert_eq!(inspector.root()?.layout, "u64");
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Segment::open_on`](crate::Segment::open_on), but for the log and the root's type.
    pub fn open_on(medium: M) -> Result<Self> {
        Ok(Inspector { core: format::open_raw(medium)? })
    }

    /// The medium below.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("counter");
    /// # vista::Segment::<u64>::create(&path, 1 << 20)?.close()?;
    /// # use vista::inspect::Inspector;
    /// use vista::rio::Medium;
    ///
    /// let inspector = Inspector::open(&path)?;
    /// assert_eq!(inspector.medium().len(), 1 << 20);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn medium(&self) -> &M {
        self.core.space.medium()
    }

    /// Version of the segment's format.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("counter");
    /// # vista::Segment::<u64>::create(&path, 1 << 20)?.close()?;
    /// # use vista::inspect::Inspector;
    /// let inspector = Inspector::open(&path)?;
    /// assert_eq!(inspector.format_version(), vista::layout::FORMAT_VERSION);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn format_version(&self) -> u32 {
        FORMAT_VERSION // An other one is not opened.
    }

    /// Bytes of the file in front of the first zone: headers, log and metadata.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("counter");
    /// # vista::Segment::<u64>::create(&path, 1 << 20)?.close()?;
    /// # use vista::inspect::Inspector;
    /// let inspector = Inspector::open(&path)?;
    /// assert!(inspector.fixed_len() < inspector.root()?.offset);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn fixed_len(&self) -> u64 {
        self.core.fixed_len()
    }

    /// The root.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("counter");
    /// # vista::Segment::<u64>::create(&path, 1 << 20)?.close()?;
    /// # use vista::inspect::Inspector;
    /// let root = Inspector::open(&path)?.root()?;
    /// println!("{}: {} bytes at offset {}", root.layout, root.len, root.offset);
    /// # assert_eq!((root.layout.as_str(), root.len), ("u64", 8));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
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
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("counter");
    /// # vista::Segment::<u64>::create(&path, 1 << 20)?.close()?;
    /// # use vista::inspect::Inspector;
    /// let schema = Inspector::open(&path)?.schema()?;
    /// assert_eq!(schema.root().to_string(), "u64");
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
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
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("counter");
    /// # use vista::{Segment, inspect::{Inspector, RecordKind}};
    /// let mut segment = Segment::<u64>::create(&path, 1 << 20)?;
    /// let mut tx = segment.begin()?;
    /// *tx.root_mut()? = 7;
    /// # let copy = dir.path().join("copy");
    /// # std::fs::copy(&path, &copy)?;
    /// // A copy of the file at this moment, which is what a crash would leave:
    /// let log = Inspector::open(&copy)?.log()?;
    /// assert!(log.is_in_flight && log.records.len() == 1);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
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
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("counter");
    /// # use vista::{Segment, inspect::{Inspector, RecordKind}};
    /// let mut segment = Segment::<u64>::create(&path, 1 << 20)?;
    /// let mut tx = segment.begin()?;
    /// *tx.root_mut()? = 7;
    /// # let copy = dir.path().join("copy");
    /// # std::fs::copy(&path, &copy)?;
    /// // A copy of the file at this moment, which is what a crash would leave:
    /// let mut inspector = Inspector::open(&copy)?;
    /// assert_eq!(inspector.recover()?.byte_count, 8);
    /// assert!(!inspector.log()?.is_in_flight);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) if a record fails its check; nothing has changed then.
    pub fn recover(&mut self) -> Result<Recovery> {
        self.core.recover()
    }

    /// Sizes and counts. Meaningful after [`recover`](Inspector::recover).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("counter");
    /// # vista::Segment::<u64>::create(&path, 1 << 20)?.close()?;
    /// # use vista::inspect::Inspector;
    /// let stats = Inspector::open(&path)?.stats();
    /// assert_eq!(stats.block_count, 1); // The root.
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn stats(&self) -> Stats {
        self.core.stats()
    }

    /// Every broken invariant of root and heap. Meaningful after [`recover`](Inspector::recover). What the root holds is for
    /// [`check_content`](Inspector::check_content).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("counter");
    /// # vista::Segment::<u64>::create(&path, 1 << 20)?.close()?;
    /// # use vista::inspect::Inspector;
    /// let mut inspector = Inspector::open(&path)?;
    /// inspector.recover()?;
    /// for violation in inspector.check() {
    ///     println!("{violation}");
    /// }
    /// # assert_eq!(inspector.check(), []);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn check(&self) -> Vec<Violation> {
        self.core.check_heap()
    }

    /// All allocated blocks, by offset. Meaningful after [`recover`](Inspector::recover).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("counter");
    /// # vista::Segment::<u64>::create(&path, 1 << 20)?.close()?;
    /// # use vista::inspect::Inspector;
    /// let inspector = Inspector::open(&path)?;
    /// assert_eq!(inspector.blocks()[0].offset, inspector.root()?.offset);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
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
