//! Crash images as differences to a base, with a hash that is kept up to date word by word.
//!
//! A campaign looks at thousands of images that differ in a few words. None of them is ever copied whole. Start at
//! [`Canvas`].

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

/// The words in which an image differs from its base, by index, and the hash of the image.
#[derive(Clone, Default)]
pub(crate) struct Delta {
    words: Box<[(u32, u64)]>,
    hash: u128,
}

impl Delta {
    pub(crate) fn words(&self) -> &[(u32, u64)] {
        &self.words
    }
}

/// An image that is drawn upon.
pub(crate) struct Canvas {
    base: Vec<u64>,
    words: Vec<u64>,
    is_touched: Vec<bool>,
    touched: Vec<u32>,
    hash: u128,
}

impl Canvas {
    /// An image that equals its base.
    pub(crate) fn new(base: Vec<u64>) -> Self {
        let is_touched = vec![false; base.len()];
        Canvas { words: base.clone(), base, is_touched, touched: Vec::new(), hash: 0 }
    }

    /// What it is a difference to.
    pub(crate) fn base(&self) -> &[u64] {
        &self.base
    }

    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    /// Hash of the image's content: equal for equal images over this base, however they were made.
    pub(crate) fn hash(&self) -> u128 {
        self.hash
    }

    pub(crate) fn get(&self, index: u32) -> u64 {
        self.words[index as usize]
    }

    #[inline]
    pub(crate) fn set(&mut self, index: u32, word: u64) {
        let at = index as usize;
        let old = self.words[at];
        if old == word {
            return;
        }
        self.touch(index);
        self.hash ^= self.toggle(index, old, word);
        self.words[at] = word;
    }

    /// Sets the bytes of a word that the mask selects.
    #[inline]
    pub(crate) fn set_masked(&mut self, index: u32, word: u64, mask: u64) {
        self.set(index, self.get(index) & !mask | word & mask);
    }

    /// What the hash changes by when a word does.
    #[inline]
    pub(crate) fn toggle(&self, index: u32, old: u64, new: u64) -> u128 {
        let base = self.base[index as usize];
        let part = |word: u64| if word == base { 0 } else { mix(index, word) };
        part(old) ^ part(new)
    }

    #[inline]
    fn touch(&mut self, index: u32) {
        if !std::mem::replace(&mut self.is_touched[index as usize], true) {
            self.touched.push(index);
        }
    }

    /// Becomes the image of this difference.
    pub(crate) fn load(&mut self, delta: &Delta) {
        for index in self.touched.drain(..) {
            self.words[index as usize] = self.base[index as usize];
            self.is_touched[index as usize] = false;
        }
        for &(index, word) in delta.words() {
            self.touch(index);
            self.words[index as usize] = word;
        }
        self.hash = delta.hash;
    }

    /// The difference to the base.
    pub(crate) fn delta(&self) -> Delta {
        let differs = |&index: &u32| self.words[index as usize] != self.base[index as usize];
        // Counted first: most images are kept for long, and none takes more than it needs.
        let count = self.touched.iter().filter(|&index| differs(index)).count();
        let mut words = Vec::with_capacity(count);
        words.extend(self.touched.iter().copied().filter(differs).map(|index| (index, self.get(index))));
        Delta { words: words.into(), hash: self.hash }
    }
}

/// Hash of one word at its place; an image's hash is the exclusive or of those of all words that differ from the base.
#[inline]
fn mix(index: u32, word: u64) -> u128 {
    let index = u64::from(index);
    let a = fold(word ^ 0x9E37_79B9_7F4A_7C15, index ^ 0xD1B5_4A32_D192_ED03);
    let b = fold(word ^ 0xA076_1D64_78BD_642F, index ^ 0xE703_7ED1_A0B4_28DB);
    u128::from(fold(a, 0x8EBC_6AF0_9C88_C6E3 ^ b)) << 64 | u128::from(fold(b, 0x5899_65CC_7537_4CC3 ^ a))
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// Hash of a sequence of words, of 128 bits: FNV-1a, by words instead of bytes.
pub(crate) struct Sequence(u128);

impl Sequence {
    /// Hash of no word, which is another for each `start`.
    pub(crate) fn new(start: u128) -> Self {
        Sequence(start)
    }

    #[inline]
    pub(crate) fn add(&mut self, word: u64) {
        self.0 = (self.0 ^ u128::from(word)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013B);
    }

    pub(crate) fn hash(&self) -> u128 {
        self.0
    }
}

/// A set of what is a hash already.
#[derive(Default)]
pub(crate) struct Seen(HashSet<u128, BuildHasherDefault<AsIs>>);

impl Seen {
    /// Whether it was not there yet.
    pub(crate) fn insert(&mut self, hash: u128) -> bool {
        self.0.insert(hash)
    }
}

#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.chunks(8).for_each(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 ^= u64::from_le_bytes(word);
        });
    }

    fn write_u128(&mut self, hash: u128) {
        self.0 = hash as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_images_have_equal_hashes_however_they_were_made() {
        let mut a = Canvas::new(vec![1, 2, 3, 4]);
        let mut b = Canvas::new(vec![1, 2, 3, 4]);
        a.set(0, 9);
        a.set(3, 8);
        b.set(3, 7);
        b.set(1, 5);
        assert_ne!(a.hash(), b.hash());
        b.set(1, 2);
        b.set_masked(3, 8, 0xFF);
        b.set(0, 9);
        assert_eq!((a.hash(), a.words()), (b.hash(), b.words()));
        let delta = b.delta();
        assert_eq!(delta.words().len(), 2, "a word that is as before is no difference: {:?}", delta.words());
        a.load(&Delta::default());
        assert_eq!((a.hash(), a.words()), (0, &[1, 2, 3, 4][..]));
        a.load(&delta);
        assert_eq!((a.hash(), a.words()), (b.hash(), b.words()));
    }
}
