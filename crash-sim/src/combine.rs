//! What may have become of the units that are under way: all combinations of a few, and samples of many.

use crate::image::Canvas;
use crate::model::Unit;

/// How many combinations were tried, of how many there are.
pub(crate) struct Combined {
    pub(crate) tried: u64,
    pub(crate) all: u128,
}

/// What is done with the images of a crash point.
pub(crate) trait Meet {
    /// Whether the image of this hash was not met before.
    fn is_new(&mut self, hash: u128) -> bool;

    /// Is shown an image that is new, and the number of atoms that each unit keeps.
    fn see(&mut self, canvas: &Canvas, kept: &[u16]);
}

/// Meets every combination; if there are more than `eager`, some `samples` of them.
pub(crate) fn combine(
    canvas: &mut Canvas,
    units: &[&Unit],
    eager: u64,
    samples: u64,
    seed: u64,
    meet: &mut impl Meet,
) -> Combined {
    let all = combination_count(units);
    let mut show = Show { canvas, units, undo: Vec::new(), meet };
    if all <= u128::from(eager.max(samples)) {
        let hash = show.canvas.hash();
        if units.iter().any(|unit| unit.is_streamed) {
            each(units, 0, &mut vec![0; units.len()], hash, &mut |_, kept| show.drawn(kept));
        } else {
            each(units, 0, &mut vec![0; units.len()], hash, &mut |hash, kept| show.hashed(hash, kept));
        }
        return Combined { tried: all as u64, all };
    }
    let mut tried = 0;
    sample(units, seed, |kept| {
        show.drawn(kept);
        tried += 1;
        tried < samples
    });
    Combined { tried, all }
}

/// In how many ways some units may have arrived.
pub(crate) fn combination_count(units: &[&Unit]) -> u128 {
    units.iter().fold(1, |count: u128, unit| count.saturating_mul(unit.steps.len() as u128 + 1))
}

/// Shows combinations, one after the other.
struct Show<'a, M> {
    canvas: &'a mut Canvas,
    units: &'a [&'a Unit],
    /// What the words that are drawn over were.
    undo: Vec<(u32, u64)>,
    meet: &'a mut M,
}

impl<M: Meet> Show<'_, M> {
    /// A combination whose hash is known: most were met before, and need not be drawn.
    #[inline]
    fn hashed(&mut self, hash: u128, kept: &[u16]) {
        if self.meet.is_new(hash) {
            self.draw(kept);
            debug_assert_eq!(self.canvas.hash(), hash, "the units are disjoint");
            self.meet.see(self.canvas, kept);
            self.restore();
        }
    }

    fn drawn(&mut self, kept: &[u16]) {
        self.draw(kept);
        if self.meet.is_new(self.canvas.hash()) {
            self.meet.see(self.canvas, kept);
        }
        self.restore();
    }

    fn draw(&mut self, kept: &[u16]) {
        for (unit, &count) in self.units.iter().zip(kept) {
            for atom in &unit.atoms[..usize::from(count)] {
                self.undo.push((atom.word, self.canvas.get(atom.word)));
                self.canvas.set_masked(atom.word, atom.value, atom.mask);
            }
        }
    }

    fn restore(&mut self) {
        for (word, value) in self.undo.drain(..).rev() {
            self.canvas.set(word, value);
        }
    }
}

/// Draws all units, but for what is lost.
pub(crate) fn draw(canvas: &mut Canvas, units: &[Unit], lost: &[(u16, u16)]) {
    for unit in units {
        let kept = lost.iter().find(|(lost, _)| *lost == unit.number);
        unit.draw(canvas, kept.map_or(unit.atoms.len(), |&(_, kept)| usize::from(kept)));
    }
}

/// Every combination of the units from `number` on, with the hash that its image has if units are disjoint.
fn each(units: &[&Unit], number: usize, kept: &mut [u16], hash: u128, show: &mut impl FnMut(u128, &[u16])) {
    let Some(unit) = units.get(number) else {
        show(hash, kept);
        return;
    };
    kept[number] = 0;
    each(units, number + 1, kept, hash, show);
    for (&step, toggle) in unit.steps.iter().zip(&unit.toggles) {
        kept[number] = step;
        each(units, number + 1, kept, hash ^ toggle, show);
    }
}

/// Chooses combinations until `show` has seen enough: all kept and all lost; one unit that differs from the others; two;
/// then by chance.
fn sample(units: &[&Unit], seed: u64, mut show: impl FnMut(&[u16]) -> bool) {
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
