//! Which images of a stream are recovered where there is no room for all: some of them by chance, each as likely as any
//! other, so that a limited campaign looks at all of its workload and not at its beginning. Start at [`Spread`].

/// What becomes of an image that is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// There is room.
    Keep,
    /// It takes the place of the one that was kept as this number.
    InPlaceOf(usize),
    Leave,
}

/// A sample of a stream whose length nobody knows before its end (Vitter's algorithm R).
pub(crate) struct Spread {
    random: fastrand::Rng,
    room: usize,
    met: usize,
}

impl Spread {
    pub(crate) fn new(seed: u64) -> Self {
        Spread { random: fastrand::Rng::with_seed(seed), room: 0, met: 0 }
    }

    /// A stream begins, of which so many images are kept.
    pub(crate) fn begin(&mut self, room: usize) {
        (self.room, self.met) = (room, 0);
    }

    /// What becomes of the next image.
    pub(crate) fn choose(&mut self) -> Choice {
        self.met += 1;
        if self.met <= self.room {
            return Choice::Keep;
        }
        match self.random.usize(0..self.met) {
            place if place < self.room => Choice::InPlaceOf(place),
            _ => Choice::Leave,
        }
    }

    /// Whether there were more than there was room for.
    pub(crate) fn is_over(&self) -> bool {
        self.met > self.room
    }

    /// Puts what was kept into an order by chance: any beginning of it is a sample as well.
    pub(crate) fn shuffle<T>(&mut self, kept: &mut [T]) {
        self.random.shuffle(kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is kept of so many.
    fn kept(room: usize, count: usize, seed: u64) -> Vec<usize> {
        let mut spread = Spread::new(seed);
        spread.begin(room);
        let mut kept = Vec::new();
        for number in 0..count {
            match spread.choose() {
                Choice::Keep => kept.push(number),
                Choice::InPlaceOf(place) => kept[place] = number,
                Choice::Leave => {}
            }
        }
        assert_eq!(spread.is_over(), count > room);
        kept
    }

    #[test]
    fn all_are_kept_in_their_order_where_there_is_room() {
        assert_eq!(kept(10, 10, 1), (0..10).collect::<Vec<_>>());
        assert_eq!(kept(0, 10, 1), []);
    }

    /// Each tenth of a long stream has its share: 100 of 1,000 on average, with a deviation of less than ten.
    #[test]
    fn what_is_kept_is_spread_over_all_of_the_stream() {
        for seed in 0..20 {
            let kept = kept(1000, 50_000, seed);
            for tenth in 0..10 {
                let count = kept.iter().filter(|&&number| number / 5000 == tenth).count();
                assert!((50..=150).contains(&count), "{count} of the tenth {tenth}, by seed {seed}");
            }
        }
    }
}
