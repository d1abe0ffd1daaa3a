//! What an open log has done so far, and how it stands.

/// Counts since the log was opened.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
/// # lrvm::create_log(&log, 1 << 16)?;
/// # lrvm::create_segment(&data, 4096)?;
/// # let rvm = lrvm::Options::new().background(false).open(&log)?;
/// # let mut region = rvm.map(&data, 0..4096)?;
/// # let mut tx = rvm.begin(lrvm::Begin::Restore)?;
/// # let all = tx.enlist(&mut region)?;
/// tx.write(all, 0, &7_u64)?;
/// tx.commit(lrvm::End::Flush)?;
/// let counts = rvm.statistics();
/// assert_eq!((counts.flush_commits, counts.flushes, counts.records_written), (1, 1, 1));
/// # drop(region);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Transactions that committed with a flush.
    pub flush_commits: u64,
    /// Transactions that committed without.
    pub no_flush_commits: u64,
    /// Transactions that were rolled back, or given up.
    pub aborts: u64,
    /// Batches written to the log, each with one sync.
    pub flushes: u64,
    /// Records in them.
    pub records_written: u64,
    /// Bytes in them.
    pub bytes_written: u64,
    /// Bytes that merging the ranges of a transaction kept out of the log.
    pub intra_bytes_saved: u64,
    /// Bytes of records that were left out since later ones overwrote all of them.
    pub inter_bytes_saved: u64,
    /// Those records.
    pub inter_records_saved: u64,
    /// Most commits that one sync has made durable.
    pub largest_group: u64,
    /// Truncations by epoch.
    pub epoch_truncations: u64,
    /// Steps of incremental truncation that moved the head.
    pub incremental_truncations: u64,
    /// Pages written by them.
    pub pages_written: u64,
    /// Bytes that truncations by epoch wrote to segments.
    pub epoch_bytes: u64,
    /// Commits that had to wait for a truncation, since the log had no room for them.
    pub waits_for_room: u64,
    /// The most bytes of the log that were in use.
    pub most_used: u64,
}

/// How a log stands: what RVM's `query` tells.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
/// # lrvm::create_log(&log, 1 << 16)?;
/// # lrvm::create_segment(&data, 4096)?;
/// # let rvm = lrvm::Options::new().background(false).open(&log)?;
/// # let mut region = rvm.map(&data, 0..4096)?;
/// # let mut tx = rvm.begin(lrvm::Begin::Restore)?;
/// # let all = tx.enlist(&mut region)?;
/// tx.write(all, 0, &7_u64)?;
/// tx.commit(lrvm::End::NoFlush)?;
/// let query = rvm.query();
/// assert_eq!((query.waiting, query.used, query.region_count), (1, 0, 1));
/// # drop(region);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Query {
    /// Bytes that the log has for records.
    pub log_len: u64,
    /// Bytes of them in use.
    pub used: u64,
    /// Position of the oldest record that is needed.
    pub head: u64,
    /// Position behind the newest that is durable.
    pub tail: u64,
    /// Commits that wait for a flush.
    pub waiting: u64,
    /// Their bytes.
    pub waiting_len: u64,
    /// Regions that are mapped.
    pub region_count: usize,
    /// Numbers of the transactions that have neither committed nor aborted.
    pub uncommitted: Vec<u64>,
    /// Names of the segments that the log knows, as it keeps them.
    pub segments: Vec<String>,
    /// The failure after which the log is out of use, in a line.
    pub poisoned: Option<String>,
}

/// How a region stands.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
/// # lrvm::create_log(&log, 1 << 16)?;
/// # lrvm::create_segment(&data, 4096)?;
/// # let rvm = lrvm::Options::new().background(false).open(&log)?;
/// # let mut region = rvm.map(&data, 0..4096)?;
/// # let mut tx = rvm.begin(lrvm::Begin::Restore)?;
/// # let all = tx.enlist(&mut region)?;
/// tx.write(all, 0, &7_u64)?;
/// tx.commit(lrvm::End::Flush)?;
/// assert_eq!(region.query().dirty_page_count, 1); // The segment gets it when the log is truncated.
/// # drop(region);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegionQuery {
    /// The transaction on it that has neither committed nor aborted.
    pub uncommitted: Option<u64>,
    /// Its pages.
    pub page_count: u64,
    /// Those with committed changes that are not in the segment yet.
    pub dirty_page_count: u64,
    /// Those that an uncommitted transaction has declared ranges in.
    pub uncommitted_page_count: u64,
}

/// What opening a log has found and done.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let (log, data) = (dir.path().join("log"), dir.path().join("data"));
/// # lrvm::create_log(&log, 1 << 16)?;
/// # lrvm::create_segment(&data, 4096)?;
/// # let rvm = lrvm::Options::new().background(false).open(&log)?;
/// # let mut region = rvm.map(&data, 0..4096)?;
/// # let mut tx = rvm.begin(lrvm::Begin::Restore)?;
/// # let all = tx.enlist(&mut region)?;
/// tx.write(all, 0, &7_u64)?;
/// tx.commit(lrvm::End::Flush)?;
/// drop((region, rvm)); // As a crash would.
/// # let rvm = lrvm::Rvm::open(&log)?;
/// # let region = ();
/// assert_eq!((rvm.recovery().was_clean, rvm.recovery().transactions), (false, 1)); // Opened again.
/// # drop(region);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// Whether the log had been closed in order, so that there was nothing to do.
    pub was_clean: bool,
    /// Transactions that were recovered.
    pub transactions: u64,
    /// Bytes of the log that were read for them.
    pub log_bytes: u64,
    /// Bytes written to segments.
    pub applied_bytes: u64,
    /// Bytes of whole records at the end that were dropped, since their batch was not whole.
    pub torn_bytes: u64,
    /// Offset in the log of the damage before which a [salvage](crate::Options::salvage) stopped.
    pub salvaged_before: Option<u64>,
    /// Whether one copy of the status block was not good, as a crash may leave it.
    pub status_was_torn: bool,
}
