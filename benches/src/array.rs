//! One range for any store: a part of an array is filled with one integer.
//!
//! The same inputs, array and digest as in [`one_range`](crate::one_range), which has the engines that are written for it.
//! An engine of keys and values keeps the array in pieces of `PIECE` bytes, and stores only those that the range touches:
//! as long as the range, but no shorter than 64 bytes and no longer than 1 KiB ([`piece_len`]), so that a piece stays
//! in a page of the B-tree. Start at [`OneRange`].

use std::marker::PhantomData;

use crate::one_range::Fill;
use crate::records::{Change, Digest, End, Size, Store, Table, Workload, Write};

/// The array.
pub struct Pieces<const PIECE: usize>;

impl<const PIECE: usize> Table for Pieces<PIECE> {
    type Record = [u8; PIECE];
    const INDEX: usize = 0;
}

/// What pieces an engine of keys and values is given for ranges of so many integers.
pub const fn piece_len(words: usize) -> usize {
    match words * 8 {
        ..=64 => 64,
        65..=1024 => words * 8,
        _ => 1024,
    }
}

/// The workload, with ranges of `N` integers.
#[derive(Clone, Copy, Debug)]
pub struct OneRange<const N: usize, const PIECE: usize> {
    array_len: usize,
}

impl<const N: usize, const PIECE: usize> OneRange<N, PIECE> {
    /// On an array of so many integers, which are cut up into whole pieces.
    pub fn new(array_len: usize) -> Self {
        assert!((array_len * 8).is_multiple_of(PIECE), "whole pieces");
        OneRange { array_len }
    }

    fn piece_count(&self) -> u64 {
        (self.array_len * 8 / PIECE) as u64
    }
}

struct FillOne<'a, const N: usize, const PIECE: usize>(&'a Fill, PhantomData<[u8; PIECE]>);

impl<const N: usize, const PIECE: usize> Change for FillOne<'_, N, PIECE> {
    #[inline(always)]
    fn run(&mut self, records: &mut impl Write) -> End {
        records.fill::<Pieces<PIECE>>(self.0.at as u64 * 8, N, self.0.value);
        End::Commit
    }
}

impl<const N: usize, const PIECE: usize> Workload for OneRange<N, PIECE> {
    type Input = Fill;
    type State = ();

    fn sizes(&self) -> Vec<Size> {
        vec![Size::of::<Pieces<PIECE>>("array", self.piece_count())]
    }

    fn load(&self, store: &mut impl Store) {
        store.load::<Pieces<PIECE>>(|_| [0; PIECE]);
    }

    fn state(&self, _: &impl Store) {}

    fn admits(&self, input: &Fill) -> bool {
        input.at <= self.array_len - N
    }

    #[inline(always)]
    fn transact(&self, (): &mut (), store: &mut impl Store, input: &Fill) {
        store.change(&mut FillOne::<N, PIECE>(input, PhantomData));
    }

    fn digest(&self, (): &(), store: &impl Store) -> u64 {
        let mut digest = Digest::default();
        digest.add_table::<Pieces<PIECE>>(store, self.piece_count());
        digest.get()
    }
}
