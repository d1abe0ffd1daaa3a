//! What may be there or not, to be decided when somebody reads it.
//!
//! A run that never reads what a lost store would have changed goes the same way whether it was lost or not (the idea of
//! Jaaru, ASPLOS 2021). So a line with several possible contents stays open, through crashes of recovery as well, until
//! a run reads a word in which they differ. Start at [`Open`].

use std::collections::BTreeMap;

use crate::image::{Canvas, Sequence};
use crate::model::Unit;

/// A line of the medium whose content is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Open {
    line: u64,
    /// What it may hold, each different. Where a word is missing it is as the image has it.
    pub(crate) contents: Vec<Content>,
}

/// One possible content of a line.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    /// Words that differ from the image, ascending.
    words: Vec<(u32, u64)>,
    /// What was lost for it to come about.
    pub(crate) losses: Vec<Loss>,
}

/// Of a unit of a crash not all has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loss {
    /// The crash; none for the one that the line is open since.
    pub(crate) node: Option<usize>,
    pub(crate) unit: u16,
    pub(crate) kept: u16,
}

/// Contents are equal if the line is.
impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        self.words == other.words
    }
}

impl Eq for Content {}

/// The open lines at a crash point: what crashes before have left open, without what has `arrived` since, and under
/// the units of this crash. A line is as long as a unit of the model.
pub(crate) fn open_lines(
    left: &[Open],
    arrived: &[u32],
    units: &[&Unit],
    unit_len: u64,
    canvas: &mut Canvas,
) -> Vec<Open> {
    let mut lines: BTreeMap<u64, Vec<Content>> = BTreeMap::new();
    for open in left {
        let mut contents = open.contents.clone();
        for content in &mut contents {
            content.words.retain(|(word, value)| !arrived.contains(word) && canvas.get(*word) != *value);
        }
        lines.insert(open.line, distinct(contents));
    }
    for unit in units {
        let line = unit.offset / unit_len;
        let before =
            lines.remove(&line).unwrap_or_else(|| vec![Content { words: Vec::new(), losses: Vec::new() }]);
        let mut contents = Vec::new();
        for content in &before {
            for kept in [0].into_iter().chain(unit.steps.iter().copied()) {
                contents.push(content.then(unit, kept, canvas));
            }
        }
        lines.insert(line, distinct(contents));
    }
    let is_open = |(line, contents): (u64, Vec<Content>)| {
        let is_plain = contents.len() == 1 && contents[0].words.is_empty();
        (!is_plain).then_some(Open { line, contents })
    };
    lines.into_iter().filter_map(is_open).collect()
}

/// Each content once, in the order of their words.
fn distinct(mut contents: Vec<Content>) -> Vec<Content> {
    contents.sort_by(|a, b| (&a.words, a.losses.len()).cmp(&(&b.words, b.losses.len())));
    contents.dedup();
    contents
}

impl Content {
    /// Draws it over an image.
    pub(crate) fn draw(&self, canvas: &mut Canvas) {
        self.words.iter().for_each(|&(word, value)| canvas.set(word, value));
    }

    /// This content with the first atoms of a unit upon it.
    fn then(&self, unit: &Unit, kept: u16, canvas: &mut Canvas) -> Content {
        let mut before: Vec<(u32, u64)> =
            self.words.iter().map(|&(word, _)| (word, canvas.get(word))).collect();
        before.extend(unit.atoms.iter().map(|atom| (atom.word, canvas.get(atom.word))));
        before.sort_unstable();
        before.dedup();
        self.draw(canvas);
        unit.draw(canvas, usize::from(kept));
        let now = before.iter().map(|&(word, old)| (word, canvas.get(word), old));
        let words = now.filter(|(_, new, old)| new != old).map(|(word, new, _)| (word, new)).collect();
        before.iter().for_each(|&(word, old)| canvas.set(word, old));
        let mut losses = self.losses.clone();
        if Some(&kept) != unit.steps.last() {
            losses.push(Loss { node: None, unit: unit.number, kept });
        }
        Content { words, losses }
    }
}

impl Open {
    /// Offset of the line, of which each is so long.
    pub(crate) fn offset(&self, unit_len: u64) -> u64 {
        self.line * unit_len
    }

    /// Adds all that tells it from other lines to a hash.
    pub(crate) fn add_to_hash(&self, hash: &mut Sequence) {
        for content in &self.contents {
            hash.add(content.words.len() as u64);
            for &(word, value) in &content.words {
                hash.add(u64::from(word));
                hash.add(value);
            }
        }
    }

    /// The same line, open since the crash of a node.
    pub(crate) fn since(mut self, node: usize) -> Self {
        for loss in self.contents.iter_mut().flat_map(|content| &mut content.losses) {
            loss.node.get_or_insert(node);
        }
        self
    }

    /// The words in which its contents differ.
    fn differing(&self) -> impl Iterator<Item = u32> {
        let mut words: Vec<(u32, u64)> =
            self.contents.iter().flat_map(|content| content.words.clone()).collect();
        words.sort_unstable();
        let count = self.contents.len();
        let groups: Vec<u32> = words
            .chunk_by(|a, b| a.0 == b.0)
            .filter(|group| group.len() < count || group.iter().any(|pair| pair.1 != group[0].1))
            .map(|group| group[0].0)
            .collect();
        groups.into_iter()
    }
}

/// The open lines of a run, and which of them it has read so far.
#[derive(Default)]
pub(crate) struct Undecided {
    /// Words in which the contents of a line differ, ascending, with the line's number.
    words: Vec<(u32, u16)>,
    is_overwritten: Vec<bool>,
    is_open: Vec<bool>,
    /// Lines that were read, in that order.
    pub(crate) read: Vec<u16>,
}

impl Undecided {
    /// Nothing is open.
    pub(crate) const NONE: Undecided =
        Undecided { words: Vec::new(), is_overwritten: Vec::new(), is_open: Vec::new(), read: Vec::new() };

    /// All of these lines but the decided ones are open.
    pub(crate) fn new(lines: &[Open], is_decided: impl Fn(usize) -> bool) -> Self {
        let is_open: Vec<bool> = (0..lines.len()).map(|number| !is_decided(number)).collect();
        let open = lines.iter().enumerate().filter(|&(number, _)| is_open[number]);
        let mut words: Vec<(u32, u16)> =
            open.flat_map(|(number, line)| line.differing().map(move |word| (word, number as u16))).collect();
        words.sort_unstable();
        Undecided { is_overwritten: vec![false; words.len()], words, is_open, read: Vec::new() }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Is told of bytes that are read.
    pub(crate) fn loaded(&mut self, offset: u64, len: u64) {
        let (first, end) = ((offset / 8) as u32, (offset + len).div_ceil(8) as u32);
        let from = self.words.partition_point(|&(word, _)| word < first);
        for at in from..self.words.len() {
            let (word, unit) = self.words[at];
            if word >= end {
                break;
            }
            if !self.is_overwritten[at] && std::mem::take(&mut self.is_open[usize::from(unit)]) {
                self.read.push(unit);
            }
        }
    }

    /// Is told of bytes that were stored. A word of which a part was stored keeps the rest, as if it had been read.
    pub(crate) fn stored(&mut self, offset: u64, len: u64) {
        if !offset.is_multiple_of(8) {
            self.loaded(offset, 1);
        }
        if !(offset + len).is_multiple_of(8) {
            self.loaded(offset + len - 1, 1);
        }
        let (first, end) = (offset.div_ceil(8) as u32, ((offset + len) / 8) as u32);
        let from = self.words.partition_point(|&(word, _)| word < first);
        for at in from..self.words.len() {
            if self.words[at].0 >= end {
                break;
            }
            self.is_overwritten[at] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Atom;

    /// A line of which some words were stored, in that order.
    fn unit(words: &[(u32, u64)]) -> Unit {
        let atoms =
            words.iter().map(|&(word, value)| Atom { word, value, mask: u64::MAX, event: 0 }).collect();
        Unit { offset: u64::from(words[0].0) * 8 / 64 * 64, atoms, ..Unit::default() }
    }

    fn open(units: &[Unit], left: &[Open], canvas: &mut Canvas) -> Vec<Open> {
        let mut units = units.to_vec();
        units.iter_mut().for_each(|unit| unit.find_steps(canvas, &mut Vec::new()));
        let units: Vec<&Unit> = units.iter().filter(|unit| !unit.steps.is_empty()).collect();
        open_lines(left, &[], &units, 64, canvas)
    }

    fn lines(words: &[&[u32]]) -> Vec<Open> {
        let units: Vec<Unit> = words
            .iter()
            .map(|words| unit(&words.iter().map(|&word| (word, 1)).collect::<Vec<_>>()))
            .collect();
        open(&units, &[], &mut Canvas::new(vec![0; 64]))
    }

    #[test]
    fn what_was_stored_again_opens_nothing_more() {
        let mut canvas = Canvas::new(vec![0; 64]);
        let once = open(&[unit(&[(1, 5), (2, 5)])], &[], &mut canvas);
        assert_eq!((once.len(), once[0].contents.len()), (1, 3));
        let twice = open(&[unit(&[(1, 5), (2, 5)])], &once, &mut canvas);
        assert_eq!(once, twice);
        let other = open(&[unit(&[(1, 6)])], &once, &mut canvas);
        assert_eq!(
            other[0].contents.len(),
            5,
            "5 or 6 or nothing in the first word, but 5 in the second only on 5 or 6"
        );
        // Stores of what the image has already: torn, they leave what was open before in the rest.
        let mut zeroes = unit(&[(1, 0), (2, 0)]);
        zeroes.steps = vec![1, 2];
        let torn = open_lines(&once, &[], &[&zeroes], 64, &mut canvas);
        let has = |words: &[(u32, u64)]| torn[0].contents.iter().any(|content| content.words == words);
        assert!(has(&[]) && has(&[(1, 5)]) && has(&[(1, 5), (2, 5)]) && has(&[(2, 5)]));
        canvas.set(1, 5);
        let arrived = open_lines(&once, &[1], &[], 64, &mut canvas);
        assert_eq!(arrived[0].contents.len(), 2);
    }

    #[test]
    fn what_is_read_before_it_is_overwritten_is_noted_once_and_in_order() {
        let mut undecided = Undecided::new(&lines(&[&[1, 2], &[8], &[16], &[24]]), |number| number == 3);
        undecided.stored(8 * 8, 8);
        undecided.loaded(0, 8);
        assert_eq!(undecided.read, []);
        undecided.loaded(8 * 8, 8 * 9);
        undecided.loaded(0, 4096);
        assert_eq!(undecided.read, [2, 0], "8 was overwritten; 24 is decided");
    }

    #[test]
    fn a_store_to_a_part_of_a_word_reads_the_rest() {
        let mut undecided = Undecided::new(&lines(&[&[7], &[8], &[16]]), |_| false);
        undecided.stored(60, 72);
        assert_eq!(undecided.read, [0, 2]); // Bytes 60 to 132: words 7 and 16 in part.
    }
}
