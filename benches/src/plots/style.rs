//! Colours and order of the engines.
//!
//! A family has a colour, a member of it a shade and a shape. The colours are told apart by the colour-blind (Okabe and
//! Ito's, with darker ones where the paper is white).

use plotters::style::RGBColor;

/// Families by how their names begin, in order. Members follow one another as they do in the race.
const FAMILIES: [(&str, RGBColor); 13] = [
    ("bare stores", RGBColor(0, 0, 0)),
    ("malloc", RGBColor(0, 0, 0)),
    ("std", RGBColor(60, 60, 60)),
    ("bare undo log", RGBColor(130, 130, 130)),
    ("vista", RGBColor(0, 90, 160)),
    ("lrvm", RGBColor(213, 94, 0)),
    ("bare pwrite", RGBColor(150, 110, 60)),
    ("libpmemobj", RGBColor(190, 90, 150)),
    ("redb", RGBColor(0, 158, 115)),
    ("LMDB", RGBColor(200, 160, 0)),
    ("SQLite", RGBColor(110, 30, 80)),
    ("fjall", RGBColor(70, 160, 210)),
    ("", RGBColor(90, 90, 200)),
];

fn family(name: &str) -> usize {
    FAMILIES.iter().position(|(family, _)| name.starts_with(family)).expect("the last takes all")
}

/// In the order of the families.
pub(super) fn in_order<T>(items: &[T], name: impl Fn(&T) -> &str) -> impl Iterator<Item = &T> {
    let mut items: Vec<_> = items.iter().collect();
    items.sort_by_key(|item| family(name(item)));
    items.into_iter()
}

/// How an engine is drawn.
#[derive(Clone, Copy)]
pub(super) struct Style {
    pub(super) color: RGBColor,
    /// Which shape its points have.
    pub(super) shape: usize,
}

/// The styles of these names, which are in order.
pub(super) fn styles<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Style> {
    let mut styles: Vec<(usize, Style)> = Vec::new();
    for name in names {
        let family = family(name);
        let shape = styles.iter().filter(|(other, _)| *other == family).count();
        styles.push((family, Style { color: shade(FAMILIES[family].1, shape), shape }));
    }
    styles.into_iter().map(|(_, style)| style).collect()
}

/// Lighter for every further member, up to a half.
fn shade(RGBColor(red, green, blue): RGBColor, member: usize) -> RGBColor {
    let share = 0.18 * member.min(3) as f64;
    let light = |part: u8| (f64::from(part) + (255.0 - f64::from(part)) * share) as u8;
    RGBColor(light(red), light(green), light(blue))
}
