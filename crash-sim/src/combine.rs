//! What may have become of the units that are under way: all combinations of a few, and samples of many.

use crate::image::Canvas;
use crate::model::Unit;

/// How many combinations were tried, of how many there are.
pub(crate) struct Combined {
    pub(crate) tried: u64,
    pub(crate) all: u128,
}

/// Shows every combination to `see`, with the canvas drawn and the number of atoms that each unit keeps; if there are
/// more than `eager`, some `samples` of them.
pub(crate) fn combine(
    canvas: &mut Canvas,
    units: &[Unit],
    eager: u64,
    samples: u64,
    seed: u64,
    mut see: impl FnMut(&mut Canvas, &[u16]),
) -> Combined {
    let all = units.iter().fold(1u128, |all, unit| all.saturating_mul(unit.steps.len() as u128 + 1));
    let mut kept = vec![0; units.len()];
    if all <= u128::from(eager.max(samples)) {
        each(canvas, units, 0, &mut kept, &mut Vec::new(), &mut see);
        return Combined { tried: all as u64, all };
    }
    let mut tried = 0;
    let before = Before::of(canvas, units);
    let mut show = |canvas: &mut Canvas, kept: &[u16]| {
        for (unit, &count) in units.iter().zip(kept) {
            unit.draw(canvas, usize::from(count));
        }
        see(canvas, kept);
        before.restore(canvas);
        tried += 1;
        tried < samples
    };
    sample(units, seed, |kept| show(canvas, kept));
    Combined { tried, all }
}

/// Draws all units, but for what is lost.
pub(crate) fn draw(canvas: &mut Canvas, units: &[Unit], lost: &[(u16, u16)]) {
    for unit in units {
        let kept = lost.iter().find(|(lost, _)| *lost == unit.number);
        unit.draw(canvas, kept.map_or(unit.atoms.len(), |&(_, kept)| usize::from(kept)));
    }
}

/// `undo` has room for the words that are drawn over, so that nothing is allocated here.
fn each(
    canvas: &mut Canvas,
    units: &[Unit],
    number: usize,
    kept: &mut [u16],
    undo: &mut Vec<(u32, u64)>,
    see: &mut impl FnMut(&mut Canvas, &[u16]),
) {
    let Some(unit) = units.get(number) else {
        see(canvas, kept);
        return;
    };
    let mark = undo.len();
    kept[number] = 0;
    each(canvas, units, number + 1, kept, undo, see);
    let mut done = 0;
    for &step in &unit.steps {
        for atom in &unit.atoms[done..usize::from(step)] {
            undo.push((atom.word, canvas.get(atom.word)));
            canvas.set_masked(atom.word, atom.value, atom.mask);
        }
        done = usize::from(step);
        kept[number] = step;
        each(canvas, units, number + 1, kept, undo, see);
    }
    for (word, value) in undo.drain(mark..).rev() {
        canvas.set(word, value);
    }
}

/// The words under some units, as they were.
struct Before(Vec<(u32, u64)>);

impl Before {
    fn of(canvas: &Canvas, units: &[Unit]) -> Self {
        let mut words: Vec<u32> = units.iter().flat_map(|unit| &unit.atoms).map(|atom| atom.word).collect();
        words.sort_unstable();
        words.dedup();
        Before(words.into_iter().map(|word| (word, canvas.get(word))).collect())
    }

    fn restore(&self, canvas: &mut Canvas) {
        self.0.iter().for_each(|&(word, value)| canvas.set(word, value));
    }
}

/// Chooses combinations until `show` has seen enough: all kept and all lost; one unit that differs from the others; two;
/// then by chance.
fn sample(units: &[Unit], seed: u64, mut show: impl FnMut(&[u16]) -> bool) {
    let none = vec![0; units.len()];
    let full: Vec<u16> = units.iter().map(|unit| *unit.steps.last().expect("a unit has a step")).collect();
    if !show(&none) || !show(&full) {
        return;
    }
    let mut kept = full.clone();
    for (one, unit) in units.iter().enumerate() {
        for &step in [0].iter().chain(&unit.steps) {
            for all in [&full, &none] {
                kept.copy_from_slice(all);
                kept[one] = step;
                if kept != *all && !show(&kept) {
                    return;
                }
            }
        }
    }
    for one in 0..units.len() {
        for two in 0..one {
            for (all, other) in [(&full, &none), (&none, &full)] {
                kept.copy_from_slice(all);
                (kept[one], kept[two]) = (other[one], other[two]);
                if !show(&kept) {
                    return;
                }
            }
        }
    }
    let mut random = fastrand::Rng::with_seed(seed);
    loop {
        for (kept, unit) in kept.iter_mut().zip(units) {
            let choice = random.usize(0..=unit.steps.len());
            *kept = if choice == 0 { 0 } else { unit.steps[choice - 1] };
        }
        if !show(&kept) {
            return;
        }
    }
}
