//! Ranges of bytes: merged within a transaction, and followed between transactions.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// Sorts the ranges, and merges those that overlap or touch. Empty ones vanish. Takes n log n.
pub(crate) fn coalesce(ranges: &mut Vec<Range<u64>>) {
    ranges.retain(|range| !range.is_empty());
    if ranges.len() < 2 {
        return;
    }
    ranges.sort_unstable_by_key(|range| range.start);
    let mut last = 0;
    for next in 1..ranges.len() {
        let range = ranges[next].clone();
        if range.start <= ranges[last].end {
            let end = if planted!(MergeDropsTail) { 0 } else { ranges[last].end };
            ranges[last].end = end.max(range.end);
        } else {
            last += 1;
            ranges[last] = range;
        }
    }
    ranges.truncate(last + 1);
}

/// Which bytes were written last by whom. Each range costs a look-up, and once more when it is overwritten.
#[derive(Debug, Default)]
pub(crate) struct Latest {
    segments: HashMap<u32, BTreeMap<u64, Piece>>,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    end: u64,
    writer: u64,
}

impl Latest {
    /// Notes that `writer` wrote this range; `lost` is told how many bytes of which former writer that covers.
    pub(crate) fn write(
        &mut self,
        segment: u32,
        range: Range<u64>,
        writer: u64,
        mut lost: impl FnMut(u64, u64),
    ) {
        if range.is_empty() {
            return;
        }
        let pieces = self.segments.entry(segment).or_default();
        // The most frequent case by far: just the same range again.
        if let Some(piece) = pieces.get_mut(&range.start)
            && piece.end == range.end
        {
            lost(piece.writer, range.end - range.start);
            piece.writer = writer;
            return;
        }
        // The one that begins before the range may reach into it, and beyond it.
        let before = pieces.range(..range.start).next_back().map(|(&start, &piece)| (start, piece));
        if let Some((start, piece)) = before.filter(|(_, piece)| piece.end > range.start) {
            pieces.insert(start, Piece { end: range.start, ..piece });
            lost(piece.writer, piece.end.min(range.end) - range.start);
            if piece.end > range.end {
                pieces.insert(range.end, piece);
            }
        }
        while let Some((&start, &piece)) = pieces.range(range.clone()).next() {
            pieces.remove(&start);
            lost(piece.writer, piece.end.min(range.end) - start);
            if piece.end > range.end {
                pieces.insert(range.end, piece);
            }
        }
        pieces.insert(range.start, Piece { end: range.end, writer });
    }

    pub(crate) fn clear(&mut self) {
        self.segments.clear();
    }
}

/// The newest bytes of a segment, gathered newest first: what is there already is not covered any more.
#[derive(Debug, Default)]
pub(crate) struct Newest {
    /// By offset: length, and where the bytes are.
    pieces: BTreeMap<u64, (u64, usize)>,
    bytes: Vec<u8>,
}

impl Newest {
    /// Takes those of the bytes at `offset` that no newer ones cover.
    pub(crate) fn add(&mut self, offset: u64, bytes: &[u8]) {
        let end = offset + bytes.len() as u64;
        let mut from = match self.pieces.range(..=offset).next_back() {
            Some((&start, &(len, _))) => offset.max(start + len),
            None => offset,
        };
        while from < end {
            let next = self.pieces.range(from..end).next().map(|(&start, &(len, _))| (start, start + len));
            let (gap_end, resume) = next.unwrap_or((end, end));
            if from < gap_end {
                let place = self.bytes.len();
                self.bytes.extend_from_slice(&bytes[(from - offset) as usize..(gap_end - offset) as usize]);
                self.pieces.insert(from, (gap_end - from, place));
            }
            from = resume;
        }
    }

    /// The pieces in order, those that touch each other together: the offset, and the parts.
    pub(crate) fn runs(&self) -> Vec<(u64, Vec<&[u8]>)> {
        let mut runs: Vec<(u64, Vec<&[u8]>)> = Vec::new();
        let mut end = None;
        for (&start, &(len, place)) in &self.pieces {
            let part = &self.bytes[place..place + len as usize];
            match runs.last_mut() {
                Some((_, parts)) if end == Some(start) => parts.push(part),
                _ => runs.push((start, vec![part])),
            }
            end = Some(start + len);
        }
        runs
    }

    /// Where the last piece ends.
    pub(crate) fn end(&self) -> u64 {
        self.pieces.iter().next_back().map_or(0, |(&start, &(len, _))| start + len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ranges() -> impl Strategy<Value = Vec<(u64, u64)>> {
        prop::collection::vec((0u64..64, 0u64..20), 0..24)
    }

    proptest! {
        #[test]
        fn coalesced_ranges_cover_the_same_and_lie_apart(list in ranges()) {
            let mut merged: Vec<_> = list.iter().map(|&(start, len)| start..start + len).collect();
            let covered = |ranges: &[Range<u64>], at: u64| ranges.iter().any(|range| range.contains(&at));
            let before = merged.clone();
            coalesce(&mut merged);
            for at in 0..100 {
                prop_assert_eq!(covered(&before, at), covered(&merged, at));
            }
            prop_assert!(merged.windows(2).all(|pair| pair[0].end < pair[1].start));
        }

        #[test]
        fn the_latest_writers_have_the_bytes_that_a_plain_array_says(list in ranges()) {
            let (mut latest, mut plain) = (Latest::default(), [usize::MAX; 100]);
            let mut live = vec![0i64; list.len()];
            for (writer, &(start, len)) in list.iter().enumerate() {
                live[writer] += len as i64;
                latest.write(7, start..start + len, writer as u64, |loser, len| live[loser as usize] -= len as i64);
                plain[start as usize..(start + len) as usize].fill(writer);
            }
            for (writer, &live) in live.iter().enumerate() {
                prop_assert_eq!(live, plain.iter().filter(|&&last| last == writer).count() as i64);
            }
        }

        #[test]
        fn newest_first_gathers_what_writing_oldest_first_leaves(list in ranges()) {
            let mut plain = [None; 100];
            for (value, &(start, len)) in list.iter().enumerate() {
                plain[start as usize..(start + len) as usize].fill(Some(value as u8));
            }
            let mut newest = Newest::default();
            for (value, &(start, len)) in list.iter().enumerate().rev() {
                newest.add(start, &vec![value as u8; len as usize]);
            }
            let mut gathered = [None; 100];
            for (offset, parts) in newest.runs() {
                for (index, &byte) in parts.concat().iter().enumerate() {
                    gathered[offset as usize + index] = Some(byte);
                }
            }
            prop_assert_eq!(gathered, plain);
        }
    }
}
