//! Recovery: what is durable in the log gets to the segments, newest first; and so does truncation by epoch.
//!
//! Both may be cut off anywhere: the log keeps what it has until the segments have it. Start at [`recover`].

use std::collections::{BTreeMap, HashMap};
use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use crate::device::{Device, Devices};
use crate::error::{Error, Result};
use crate::log::{Extent, Log};
use crate::options::{Options, open_error};
use crate::ranges::Newest;
use crate::statistics::Recovery;

/// A segment, to be written.
pub(crate) type Target = (Arc<dyn Device>, Arc<str>);

/// Brings all that is durable into the segments and empties the log.
pub(crate) fn recover(log: &Log, devices: &dyn Devices, options: &Options) -> Result<Recovery> {
    // Orders: whoever had the log before may have been killed before a sync. The records that get to the segments, and the
    // status block that is in force, are durable before anything is built upon them.
    if !planted!(NotSettled) {
        log.settle()?;
    }
    let mut recovery = Recovery { was_clean: log.status().clean == 1, ..Recovery::default() };
    let (mut tail, mut last_transaction) = (log.status().tail, 0);
    if !recovery.was_clean {
        let scan = log.scan(options.read_len as usize)?;
        if let Some(fault) = &scan.damage {
            if !options.salvage {
                return Err(log.damaged(fault));
            }
            recovery.salvaged_before = Some(log.offset_of(fault.position));
        }
        log.write_again(Extent { head: scan.doubtful, tail: scan.tail }, options.read_len as usize)?;
        log.write_status_again()?;
        // Orders: whoever crashed may have written without a sync. What gets to the segments is durable in the log before.
        log.sync()?;
        let end = if planted!(TailNotScanned) { log.status().tail } else { scan.tail };
        let extent = Extent { head: log.status().head, tail: end };
        if planted!(RecoveryEmptiesFirst) {
            log.write_status(|status| (status.head, status.tail) = (scan.tail, scan.tail))?;
        }
        let mut opened = HashMap::new();
        recovery.applied_bytes = apply(log, extent, options.read_len as usize, |number| {
            if let Some(target) = opened.get(&number) {
                return Ok(Target::clone(target));
            }
            let name: Arc<str> = log.read_segment(number)?.into();
            let device = devices.open(Path::new(&*name)).map_err(|source| open_error(&name, source))?;
            let target: Target = (device.into(), name);
            opened.insert(number, target.clone());
            Ok(target)
        })?;
        recovery.transactions = scan.record_count;
        recovery.log_bytes = extent.tail - extent.head;
        recovery.torn_bytes = scan.torn_len;
        (tail, last_transaction) = (scan.tail, scan.last_transaction);
    }
    // Both copies: the older one must not be taken for the log as it is from now on, should the newer one be damaged.
    // The new incarnation makes strangers of the records behind the tail, which the next ones may come to stand before.
    for step in [1, 0] {
        log.write_status(|status| {
            (status.head, status.tail) = (tail, tail);
            status.clean = 0;
            status.incarnation += if planted!(IncarnationNotBumped) { 0 } else { step };
            status.next_transaction = status.next_transaction.max(last_transaction + 1);
        })?;
    }
    Ok(recovery)
}

/// Writes the newest bytes that these records have to their segments, which have them durably on return; how many.
///
/// All is checked before anything is written.
pub(crate) fn apply(
    log: &Log,
    extent: Extent,
    read_len: usize,
    mut segment: impl FnMut(u32) -> Result<Target>,
) -> Result<u64> {
    let mut newest: BTreeMap<u32, Newest> = BTreeMap::new();
    log.walk_back(extent, read_len, |record| {
        for range in record.ranges_back() {
            if planted!(OldestWins) {
                let newest = newest.entry(range.segment).or_default();
                let newer = std::mem::take(newest);
                newest.add(range.offset, range.new);
                newer.runs().iter().for_each(|(offset, parts)| newest.add(*offset, &parts.concat()));
                continue;
            }
            newest.entry(range.segment).or_default().add(range.offset, range.new);
        }
        Ok(())
    })?;
    let mut targets = Vec::with_capacity(newest.len());
    for (&number, newest) in &newest {
        let (device, name) = segment(number)?;
        let (len, needed) = (device.len(), newest.end());
        if needed > len {
            return Err(Error::SegmentTooShort { segment: name, len, needed });
        }
        targets.push((device, name));
    }
    let mut written = 0;
    for ((device, name), newest) in targets.iter().zip(newest.values()) {
        for (offset, parts) in newest.runs() {
            let parts: Vec<_> = parts.into_iter().map(IoSlice::new).collect();
            device.write_at(offset, &parts).map_err(|source| Error::system(name, "write", source))?;
            written += parts.iter().map(|part| part.len() as u64).sum::<u64>();
        }
    }
    for (device, name) in &targets {
        // Orders: the segments have it before the head of the log moves past it.
        if !planted!(SegmentsNotSynced) {
            device.sync().map_err(|source| Error::system(name, "sync", source))?;
        }
    }
    Ok(written)
}
