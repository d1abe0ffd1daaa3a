//! The pages of a segment as a picture: one character for a page, or for as many as it takes to fit. Start at [`print`].

use std::collections::BTreeMap;

use anstyle::{Ansi256Color, AnsiColor, Style};
use vista::inspect::{Run, Usage};
use vista::layout::{CLASSES, PAGE_LEN};

use crate::failure::Failure;
use crate::output::{Bytes, Grouped, Output, counted};
use crate::paint::{Paint, columns};

/// Lines of a picture at most.
const LINES_MAX: u64 = 24;
/// What stands in front of a line.
const MARGIN: usize = 16;

/// Prints the picture and its legend.
pub(super) fn print(runs: &[Run], output: &mut Output, paint: Paint) -> Result<(), Failure> {
    let page_count: u64 = runs.iter().map(|run| run.page_count).sum();
    let width = (columns().saturating_sub(MARGIN) / 16 * 16).clamp(16, 128);
    let scale = page_count.div_ceil(width as u64 * LINES_MAX).max(1).next_power_of_two();
    let what = match scale {
        1 => "one character for each page".to_owned(),
        scale => format!("one character for {} pages: what most of them are", Grouped(scale)),
    };
    output.line(format!("{} {}, {what}", paint.name("heap"), counted(page_count, "page")))?;
    for (place, line) in cells(runs, scale).chunks(width).enumerate() {
        let offset = (place * width) as u64 * scale * PAGE_LEN;
        let mut text = format!("{}  ", paint.aside(format!("{offset:#14x}")));
        // One style for as many characters as have it.
        for same in line.chunk_by(|a, b| a == b) {
            let symbols = symbol(same[0]).to_string().repeat(same.len());
            text += &paint.style(style(same[0]), symbols).to_string();
        }
        output.line(text)?;
    }
    legend(runs, output, paint)
}

/// What a character stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cell {
    Header,
    Log,
    Metadata,
    Guard,
    Slab { class: usize, is_full: bool },
    Large,
    Free,
    Untouched,
    Damaged,
}

fn cell(usage: Usage) -> Cell {
    match usage {
        Usage::Header => Cell::Header,
        Usage::Log => Cell::Log,
        Usage::Metadata => Cell::Metadata,
        Usage::Guard => Cell::Guard,
        Usage::Slab { class, used, capacity } => Cell::Slab { class, is_full: used == capacity },
        Usage::Large => Cell::Large,
        Usage::Free => Cell::Free,
        Usage::Untouched => Cell::Untouched,
        _ => Cell::Damaged,
    }
}

/// One cell for each `scale` pages: what most of them are; damage if there is any.
fn cells(runs: &[Run], scale: u64) -> Vec<Cell> {
    let mut cells = Vec::new();
    let mut counts: BTreeMap<Cell, u64> = BTreeMap::new();
    let mut room = scale;
    let choose = |counts: &mut BTreeMap<Cell, u64>| {
        let most = counts.iter().max_by_key(|(cell, count)| (**cell == Cell::Damaged, **count));
        let most = most.map(|(cell, _)| *cell);
        counts.clear();
        most
    };
    for run in runs {
        let (cell, mut left) = (cell(run.usage), run.page_count);
        if room < scale {
            let count = left.min(room);
            *counts.entry(cell).or_default() += count;
            (left, room) = (left - count, room - count);
        }
        if room == 0 {
            cells.extend(choose(&mut counts));
            room = scale;
        }
        if room == scale {
            cells.extend(std::iter::repeat_n(cell, (left / scale) as usize));
            left %= scale;
            if left > 0 {
                counts.insert(cell, left);
                room -= left;
            }
        }
    }
    cells.extend(choose(&mut counts));
    cells
}

fn symbol(cell: Cell) -> char {
    match cell {
        Cell::Header => '@',
        Cell::Log => '~',
        Cell::Metadata => '%',
        Cell::Guard => '|',
        Cell::Slab { class, is_full } => {
            let letter = char::from(b'a' + class.min(25) as u8);
            if is_full { letter.to_ascii_uppercase() } else { letter }
        }
        Cell::Large => '#',
        Cell::Free => '-',
        Cell::Untouched => '.',
        Cell::Damaged => '!',
    }
}

fn style(cell: Cell) -> Style {
    match cell {
        Cell::Header | Cell::Log | Cell::Metadata => AnsiColor::Blue.on_default(),
        Cell::Guard | Cell::Free | Cell::Untouched => Style::new().dimmed(),
        // Neighbours in size are neighbours in colour.
        Cell::Slab { class, .. } => Ansi256Color(HUES[class * HUES.len() / CLASSES.len()]).on_default(),
        Cell::Large => AnsiColor::Magenta.on_default(),
        Cell::Damaged => AnsiColor::Red.on_default().bold(),
    }
}

/// From green over yellow to red, of the 256 colours that terminals have.
const HUES: [u8; 11] = [35, 41, 77, 113, 149, 185, 221, 215, 209, 203, 197];

fn legend(runs: &[Run], output: &mut Output, paint: Paint) -> Result<(), Failure> {
    let mut pages: BTreeMap<Cell, (u64, u64)> = BTreeMap::new();
    for run in runs {
        let is_full = |usage| {
            if let Cell::Slab { class, .. } = usage { Cell::Slab { class, is_full: false } } else { usage }
        };
        let entry = pages.entry(is_full(cell(run.usage))).or_default();
        entry.0 += run.page_count;
        entry.1 += if let Usage::Slab { used, .. } = run.usage { u64::from(used) } else { 0 };
    }
    for (cell, (count, used)) in pages {
        let meaning = match cell {
            Cell::Header => "headers".to_owned(),
            Cell::Log => "log".to_owned(),
            Cell::Metadata => "metadata, page descriptors".to_owned(),
            Cell::Guard => "guard pages".to_owned(),
            Cell::Slab { class, .. } => {
                format!("{} of {} bytes", counted(used, "block"), CLASSES[class.min(CLASSES.len() - 1)])
            }
            Cell::Large => format!("large blocks: {}", Bytes(count * PAGE_LEN)),
            Cell::Free => "free".to_owned(),
            Cell::Untouched => "never used, or given back".to_owned(),
            Cell::Damaged => "descriptor damaged".to_owned(),
        };
        let symbols = match cell {
            Cell::Slab { .. } => format!("{0} {1}", symbol(cell), symbol(cell).to_ascii_uppercase()),
            _ => format!("{}  ", symbol(cell)),
        };
        let pages = counted(count, "page");
        output.line(format!("  {}  {pages:>14}  {meaning}", paint.style(style(cell), symbols)))?;
    }
    output.line(paint.aside("  (a capital letter: all blocks of the page are in use)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(page_count: u64, usage: Usage) -> Run {
        Run { offset: 0, page_count, usage }
    }

    fn picture(runs: &[Run], scale: u64) -> String {
        cells(runs, scale).into_iter().map(symbol).collect()
    }

    #[test]
    fn pages_become_characters() {
        let slab = |class, used| Usage::Slab { class, used, capacity: 4 };
        let runs = [
            run(1, Usage::Header),
            run(2, Usage::Log),
            run(1, slab(0, 1)),
            run(1, slab(21, 4)),
            run(3, Usage::Large),
            run(1, Usage::Damaged),
            run(4, Usage::Untouched),
        ];
        assert_eq!(picture(&runs, 1), "@~~aV###!....");
        assert_eq!(picture(&runs, 4), "~#!.", "most of four pages; damage always shows");
        assert_eq!(picture(&runs, 16), "!");
        assert_eq!(picture(&[run(9, Usage::Free)], 4), "---");
        assert_eq!(picture(&[], 1), "");
    }
}
