//! A segment in a private copy, as `info` and `check` see it: nothing that happens here reaches the file.
//!
//! Each part is looked at by itself, so that damage to one does not hide the others. Start at [`look`].

use std::path::Path;

use serde::Serialize;
use vista::inspect::{Inspector, LogInfo, RecordKind, RootInfo};
use vista::{Recovery, Stats, Violation};

use crate::failure::Failure;

/// All that there is to see.
pub(crate) struct Sight {
    pub(crate) header: Header,
    pub(crate) root: vista::Result<RootInfo>,
    pub(crate) log: vista::Result<LogInfo>,
    /// What the rollback in the private copy did, and what there is behind it.
    pub(crate) settled: vista::Result<Settled>,
    /// The copy, to look further.
    pub(crate) inspector: Inspector,
}

/// What holds when no transaction is in flight any more.
pub(crate) struct Settled {
    pub(crate) recovery: Recovery,
    pub(crate) root: vista::Result<RootInfo>,
    pub(crate) stats: Stats,
    pub(crate) violations: Vec<Violation>,
}

/// The region below.
#[derive(Serialize)]
pub(crate) struct Header {
    pub(crate) id: String,
    pub(crate) len: u64,
    pub(crate) backing: String,
    pub(crate) domain: String,
    pub(crate) was_closed: bool,
    pub(crate) format_version: u32,
}

/// The records of one kind in the log.
#[derive(Serialize)]
pub(crate) struct Records {
    pub(crate) kind: &'static str,
    pub(crate) count: u64,
    pub(crate) bytes: u64,
}

/// Opens a private copy and looks at everything.
pub(crate) fn look(path: &Path) -> Result<Sight, Failure> {
    let mut inspector = Inspector::open(path)?;
    let region = inspector.medium();
    let header = Header {
        id: region.id().to_string(),
        len: region.len(),
        backing: region.backing().to_string(),
        domain: region.domain().to_string(),
        was_closed: region.was_clean(),
        format_version: inspector.format_version(),
    };
    let (root, log) = (inspector.root(), inspector.log());
    let settled = inspector.recover().map(|recovery| Settled {
        recovery,
        root: inspector.root(),
        stats: inspector.stats(),
        violations: inspector.check(),
    });
    Ok(Sight { header, root, log, settled, inspector })
}

/// The records of a log by their kind; kinds that do not occur are left out.
pub(crate) fn by_kind(log: &LogInfo) -> Vec<Records> {
    let kinds = [
        (RecordKind::Image, "before-image"),
        (RecordKind::Fresh, "new range"),
        (RecordKind::Link, "link to an earlier extent"),
        (RecordKind::Savepoint, "savepoint"),
    ];
    let count = |(kind, name)| {
        let records = log.records.iter().filter(|record| record.kind == kind);
        let (count, bytes) = records.fold((0, 0), |(count, bytes), record| (count + 1, bytes + record.len));
        Records { kind: name, count, bytes }
    };
    kinds.into_iter().map(count).filter(|records| records.count > 0).collect()
}
