//! The bytes of a medium as checked places: the only file in which a segment touches its memory.
//!
//! A [`Place`] is the proof that a range lies inside a [`Window`] of the medium and is aligned for its type;
//! whoever holds one need not check again. Shared references are lent with `&Space`, exclusive ones and stores
//! need `&mut Space`, so that the borrow checker answers for aliasing. Start at [`Space`].

#![allow(unsafe_code)] // Mapped memory is reached through addresses; each obligation is answered where it arises.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering, compiler_fence};

use bytemuck::Pod;
use rio::Medium;

use crate::seal::{Digest, LONG_LEN, LongDigest, digest_long, digest_word};

/// A range of the medium that holds `count` values of `T`, in bounds and aligned.
///
/// Made only by [`Window::place`] and what narrows a place, hence valid for the one space whose windows its
/// segment keeps, for as long as that lives: a medium never shrinks or moves.
pub(crate) struct Place<T> {
    offset: u64,
    count: u64,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for Place<T> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Place<T> {}

impl<T> Place<T> {
    /// Offset in the medium.
    #[inline(always)]
    pub(crate) fn offset(self) -> u64 {
        self.offset
    }

    /// Length in bytes.
    #[inline(always)]
    pub(crate) fn len(self) -> u64 {
        self.count * size_of::<T>() as u64
    }

    /// The offset behind it.
    #[inline(always)]
    pub(crate) fn end(self) -> u64 {
        self.offset + self.len()
    }

    /// The same range as bytes.
    #[inline(always)]
    pub(crate) fn bytes(self) -> Place<u8> {
        Place { offset: self.offset, count: self.len(), of: PhantomData }
    }
}

impl Place<u64> {
    /// The first `count` words, and the rest.
    ///
    /// # Panics
    /// If there are not so many.
    #[inline(always)]
    pub(crate) fn split(self, count: u64) -> (Self, Self) {
        assert!(count <= self.count, "a place is split inside");
        let rest = Place { offset: self.offset + count * 8, count: self.count - count, of: PhantomData };
        (Place { count, ..self }, rest)
    }
}

impl Place<u8> {
    /// The same range as one value, if it has its size and alignment.
    #[inline(always)]
    pub(crate) fn typed<T>(self) -> Option<Place<T>> {
        let fits = self.count == size_of::<T>() as u64 && self.offset & (align_of::<T>() as u64 - 1) == 0;
        fits.then_some(Place { offset: self.offset, count: 1, of: PhantomData })
    }

    /// The part of the range from `from` on, at most `len` bytes long.
    pub(crate) fn part(self, from: u64, len: u64) -> Self {
        assert!(from <= self.count, "a part begins inside its place");
        Place { offset: self.offset + from, count: len.min(self.count - from), of: PhantomData }
    }
}

/// One aligned word of the medium: a place that need not be asked for its length.
#[derive(Clone, Copy)]
pub(crate) struct Word {
    offset: u64,
}

impl Word {
    /// The first word of a place.
    pub(crate) fn of(place: Place<u64>) -> Self {
        assert!(place.count > 0, "a word takes eight bytes");
        Word { offset: place.offset }
    }

    #[inline(always)]
    fn place(self) -> Place<u64> {
        Place { offset: self.offset, count: 1, of: PhantomData }
    }
}

/// A range of the medium that is all one kind of memory: no guard page, no foreign structure inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    start: u64,
    len: u64,
}

impl Window {
    /// A window without a byte.
    pub(crate) const EMPTY: Window = Window { start: 0, len: 0 };

    /// The window from `start` to `end`, if the medium has it.
    pub(crate) fn new<M: Medium>(space: &Space<M>, start: u64, end: u64) -> Option<Self> {
        (start <= end && end <= space.medium.len()).then(|| Window { start, len: end - start })
    }

    /// The same window, ending no later than `end`.
    pub(crate) fn until(self, end: u64) -> Self {
        Window { start: self.start, len: end.clamp(self.start, self.end()) - self.start }
    }

    pub(crate) fn start(self) -> u64 {
        self.start
    }

    pub(crate) fn end(self) -> u64 {
        self.start + self.len
    }

    /// The place of `count` values at `offset`, if it lies inside and is aligned.
    #[inline(always)]
    pub(crate) fn place<T>(self, offset: u64, count: u64) -> Option<Place<T>> {
        Window::place_in_any(offset, count, |offset, len| self.contains(offset, len))
    }

    #[inline(always)]
    pub(crate) fn contains(self, offset: u64, len: u64) -> bool {
        len <= self.len && offset.wrapping_sub(self.start) <= self.len - len
    }

    /// The place of `count` values at `offset`, if `is_inside` finds that one window contains the range.
    ///
    /// The caller's `is_inside` asks [`contains`](Window::contains) of windows of the space, and nothing else. (A
    /// place is made here, of the caller's numbers, so that their being constants is not lost on the way.)
    #[inline(always)]
    pub(crate) fn place_in_any<T>(
        offset: u64,
        count: u64,
        is_inside: impl FnOnce(u64, u64) -> bool,
    ) -> Option<Place<T>> {
        let len =
            if count == 1 { size_of::<T>() as u64 } else { (size_of::<T>() as u64).checked_mul(count)? };
        let is_aligned = offset & (align_of::<T>() as u64 - 1) == 0;
        (is_aligned && is_inside(offset, len)).then_some(Place { offset, count, of: PhantomData })
    }
}

/// Room for records: from where the next one begins to the end of its extent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    next: u64,
    end: u64,
}

impl Room {
    /// All of a window, from its first whole word on.
    pub(crate) fn of(window: Window) -> Self {
        Room { next: window.start.next_multiple_of(8).min(window.end()), end: window.end() }
    }

    /// No room at all, at an offset.
    pub(crate) fn none(at: u64) -> Self {
        Room { next: at, end: at }
    }

    /// Offset of the next record.
    #[inline(always)]
    pub(crate) fn next(self) -> u64 {
        self.next
    }

    /// The offset behind it.
    pub(crate) fn end(self) -> u64 {
        self.end
    }

    /// Bytes left.
    #[inline(always)]
    pub(crate) fn left(self) -> u64 {
        self.end - self.next
    }

    /// Takes the next `count` words, if there are so many.
    #[inline(always)]
    pub(crate) fn take(&mut self, count: u64) -> Option<Place<u64>> {
        let len = count * 8;
        if len > self.end - self.next {
            return None;
        }
        let offset = self.next;
        self.next += len;
        Some(Place { offset, count, of: PhantomData })
    }
}

/// A medium, reached by places.
pub(crate) struct Space<M> {
    medium: M,
}

impl<M: Medium> Space<M> {
    pub(crate) fn new(medium: M) -> Self {
        Space { medium }
    }

    #[inline(always)]
    pub(crate) fn medium(&self) -> &M {
        &self.medium
    }

    pub(crate) fn medium_mut(&mut self) -> &mut M {
        &mut self.medium
    }

    pub(crate) fn into_medium(self) -> M {
        self.medium
    }

    /// Lends through the view of readers, where a wild store kills the process and spares the bytes.
    #[inline(always)]
    pub(crate) fn read<T: Pod>(&self, place: Place<T>) -> &[T] {
        self.medium.loaded(place.offset, place.len());
        let start = self.at(self.medium.read_base(), place);
        // SAFETY: (1) the place lies inside the medium, whose view is readable, and is aligned for `T`. (2) Any
        // bytes are a valid `T: Pod`. (3) Stores need `&mut self` (or `store_behind`, which answers for it).
        unsafe { std::slice::from_raw_parts(start, place.count as usize) }
    }

    /// Lends through the view of stores: what a transaction reads, so that no page is touched through both.
    #[inline(always)]
    pub(crate) fn read_inside<T: Pod>(&self, place: Place<T>) -> &[T] {
        self.medium.loaded(place.offset, place.len());
        let start = self.at(self.medium.write_base(), place);
        // SAFETY: as in `read`; both views show the same bytes.
        unsafe { std::slice::from_raw_parts(start, place.count as usize) }
    }

    /// Lends for writing. Only for bytes that are logged, or new in this transaction.
    #[inline(always)]
    pub(crate) fn lend<T: Pod>(&mut self, place: Place<T>) -> &mut [T] {
        self.medium.lent(place.offset, place.len());
        let start = self.at(self.medium.write_base(), place).cast_mut();
        // SAFETY: (1) as in `read`, and the view is writable. (2) `&mut self` is alone, for as long as the slice.
        unsafe { std::slice::from_raw_parts_mut(start, place.count as usize) }
    }

    /// One value, through the view of stores.
    #[inline(always)]
    pub(crate) fn load<T: Pod>(&self, place: Place<T>) -> T {
        self.read_inside(place)[0]
    }

    /// Stores bytes at the start of a place.
    #[inline(always)]
    pub(crate) fn store_bytes(&mut self, place: Place<u8>, bytes: &[u8]) {
        // SAFETY: `&mut self`: no reference into the medium is alive.
        unsafe { self.store_behind(place, bytes) }
    }

    /// Stores one value.
    #[inline(always)]
    pub(crate) fn store<T: Pod>(&mut self, place: Place<T>, value: T) {
        assert!(place.count > 0, "a value to store has a place");
        let to = self.at(self.medium.write_base(), place).cast_mut();
        // SAFETY: (1) the place lies inside the writable view and is aligned for `T`. (2) `&mut self`: no reference into
        // the medium is alive.
        unsafe { to.write(value) };
        self.medium.stored(place.offset, size_of::<T>() as u64);
    }

    /// Stores one word.
    #[inline(always)]
    pub(crate) fn store_word(&mut self, at: Word, word: u64) {
        self.store_bytes(at.place().bytes(), &word.to_le_bytes());
    }

    /// Loads one word.
    #[inline(always)]
    pub(crate) fn load_word(&self, at: Word) -> u64 {
        self.load(at.place())
    }

    /// Stores bytes at the start of a place through a shared space.
    ///
    /// # Safety
    /// The caller promises that (1) no reference to any byte of the place is alive, and (2) no other thread
    /// uses the space during the call.
    #[inline(always)]
    pub(crate) unsafe fn store_behind(&self, place: Place<u8>, bytes: &[u8]) {
        assert!(bytes.len() as u64 <= place.count, "bytes to store fit their place");
        let to = self.at(self.medium.write_base(), place).cast_mut();
        // SAFETY: (1) the place lies inside the writable view and is long enough. (2) `bytes` is no memory of
        // the medium or a part that the place does not overlap: nobody holds a reference to the place.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
        self.medium.stored(place.offset, bytes.len() as u64);
    }

    /// Sets all bytes of a place to zero.
    pub(crate) fn store_zeroes(&mut self, place: Place<u8>) {
        let to = self.at(self.medium.write_base(), place).cast_mut();
        // SAFETY: the place lies inside the writable view, and `&mut self` is alone.
        unsafe { std::ptr::write_bytes(to, 0, place.count as usize) };
        self.medium.stored(place.offset, place.count);
    }

    /// Looks the address of the bytes up once, for several stores.
    #[inline(always)]
    pub(crate) fn pen(&mut self) -> Pen<'_, M> {
        let base = self.medium.write_base();
        Pen { space: self, base }
    }

    /// One store that is not moved: see [`Pen::publish`].
    #[inline(always)]
    pub(crate) fn publish(&mut self, at: Word, word: u64) {
        self.pen().publish(at, word);
    }

    /// The digest that [`copy_image`](Pen::copy_image) made of these bytes.
    pub(crate) fn digest(&self, place: Place<u8>) -> u64 {
        let bytes = self.read_inside(place);
        if let Ok(word) = bytes.try_into() {
            return digest_word(u64::from_le_bytes(word));
        }
        if bytes.len() >= LONG_LEN {
            return digest_long(bytes);
        }
        let mut digest = Digest::new();
        for pair in bytes.chunks(16) {
            let mut words = [0; 16];
            words[..pair.len()].copy_from_slice(pair);
            let [a, b]: [u64; 2] = bytemuck::cast(words);
            digest.pair(a, b);
        }
        digest.sum()
    }

    /// As [`copy_image`](Pen::copy_image), for what is long enough that a call of its own is worth it.
    #[inline(never)]
    fn copy_long_image(&mut self, from: Place<u8>, to: Place<u64>) -> u64 {
        self.medium.loaded(from.offset, from.len());
        let source = self.at(self.medium.write_base(), from);
        let target = self.at(self.medium.write_base(), to).cast_mut();
        let line_count = from.count as usize / LINE;
        let mut digest = LongDigest::new();
        copy_lines(source.cast(), target.cast(), line_count, &mut digest);
        let (rest, room) = (from.part((line_count * LINE) as u64, LINE as u64), to.bytes());
        let mut tail = [0u8; LINE];
        let tail_len = rest.count as usize;
        tail[..tail_len].copy_from_slice(self.read_inside(rest));
        digest.add_rest(&tail[..tail_len]);
        let padded_len = tail_len.next_multiple_of(8);
        self.store_bytes(room.part((line_count * LINE) as u64, padded_len as u64), &tail[..padded_len]);
        digest.sum()
    }

    /// Copies an image back from the log.
    pub(crate) fn copy_back(&mut self, from: Place<u8>, to: Place<u8>) {
        let len = from.count.min(to.count);
        self.medium.loaded(from.offset, len);
        let source = self.at(self.medium.write_base(), from);
        let target = self.at(self.medium.write_base(), to).cast_mut();
        // SAFETY: (1) both places lie inside the writable view. (2) They may overlap in a hostile file. (3)
        // `&mut self` is alone.
        unsafe { std::ptr::copy(source, target, len as usize) };
        self.medium.stored(to.offset, len);
    }

    #[inline(always)]
    fn at<T, U>(&self, base: *const U, place: Place<T>) -> *const T {
        // SAFETY: a place lies inside the medium, whose view is one mapping.
        unsafe { base.cast::<u8>().add(place.offset as usize) }.cast()
    }
}

/// A space that is being stored to.
///
/// It keeps the address of the bytes: as far as the compiler knows, every store through an address may change the field
/// that the address was read from, and it would read it again for the next one.
pub(crate) struct Pen<'s, M> {
    space: &'s mut Space<M>,
    base: *mut u8,
}

impl<M: Medium> Pen<'_, M> {
    /// One aligned 8-byte store that the compiler neither splits, drops nor moves: everything before it in the
    /// program is stored before, everything behind it after. (The processor's order is the domain's affair.)
    #[inline(always)]
    pub(crate) fn publish(&mut self, at: Word, word: u64) {
        let place = at.place();
        let to = self.space.at(self.base, place).cast_mut();
        if cfg!(vista_planted = "compiler-fence") {
            // SAFETY: as below.
            unsafe { to.write(word) };
            return self.space.medium.stored(place.offset, 8);
        }
        compiler_fence(Ordering::SeqCst);
        // SAFETY: the place lies inside the writable view, aligned; the pen has the space to itself, so that nobody else
        // reaches the word meanwhile, atomically or not.
        let to = unsafe { AtomicU64::from_ptr(to) };
        // Release: also a processor that reorders stores makes those before it first, which the words of the log's
        // header, all in one line, rely on in an ordered domain. On x86-64 it is a plain store.
        to.store(word, Ordering::Release);
        compiler_fence(Ordering::SeqCst);
        self.space.medium.stored(place.offset, 8);
    }

    /// Stores words at the start of a place.
    #[inline(always)]
    pub(crate) fn store_words<const N: usize>(&mut self, place: Place<u64>, words: [u64; N]) {
        assert!(N as u64 <= place.count, "words to store fit their place");
        let to = self.space.at(self.base, place).cast_mut().cast::<[u64; N]>();
        // SAFETY: (1) the place lies inside the writable view, aligned for words, and is long enough. (2) The pen has
        // the space to itself.
        unsafe { to.write(words) };
        self.space.medium.stored(place.offset, N as u64 * 8);
    }

    /// Copies a place into the log and digests it on the way; the last word is filled up with zeroes.
    /// Returns the digest. `to` is the log's room for it, `from` rounded up to whole words.
    #[inline(always)]
    pub(crate) fn copy_image(&mut self, from: Place<u8>, to: Place<u64>) -> u64 {
        assert!(to.count == from.count.div_ceil(8), "an image fits its room");
        let digest = if from.count >= LONG_LEN as u64 {
            self.space.copy_long_image(from, to)
        } else {
            let source = self.space.at(self.base, from);
            let target = self.space.at(self.base, to).cast_mut();
            copy_words(source, target, from.count as usize)
        };
        self.space.medium.stored(to.offset, to.len());
        digest
    }
}

const LINE: usize = 64;

/// Copies whole lines and digests them, with the widest registers that the processor has.
fn copy_lines(source: *const [u64; 8], target: *mut [u64; 8], count: usize, digest: &mut LongDigest) {
    #[cfg(target_arch = "x86_64")]
    {
        if std::is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has what the function was compiled for.
            return unsafe { copy_lines_avx512(source, target, count, digest) };
        }
        if std::is_x86_feature_detected!("avx2") {
            // SAFETY: as above.
            return unsafe { copy_lines_avx2(source, target, count, digest) };
        }
    }
    copy_lines_here(source, target, count, digest);
}

/// The loop of [`copy_lines_here`] in wide registers: left to itself the compiler takes the lanes apart.
#[cfg(target_arch = "x86_64")]
macro_rules! copy_lines_wide {
    ($name:ident, $feature:literal, [$register:ident; $per_line:literal], $add:ident) => {
        #[target_feature(enable = $feature)]
        fn $name(source: *const [u64; 8], target: *mut [u64; 8], count: usize, digest: &mut LongDigest) {
            use std::arch::x86_64::{$add, $register};
            type Line = [$register; $per_line];
            let mut lanes = digest.lanes();
            let [mut sums, mut sums_of_sums] = [lanes.sums, lanes.sums_of_sums].map(|words| {
                // SAFETY: eight words, of any value, are a line of registers.
                unsafe { std::mem::transmute::<[u64; 8], Line>(words) }
            });
            for i in 0..count {
                // SAFETY: line `i` lies inside the source; any bytes are words, and need not be aligned.
                let words = unsafe { source.wrapping_add(i).cast::<Line>().read_unaligned() };
                // SAFETY: line `i` lies inside the target, which is the log's room, and nobody else holds.
                unsafe { target.wrapping_add(i).cast::<Line>().write_unaligned(words) };
                for part in 0..$per_line {
                    sums[part] = $add(sums[part], words[part]);
                    sums_of_sums[part] = $add(sums_of_sums[part], sums[part]);
                }
            }
            [lanes.sums, lanes.sums_of_sums] = [sums, sums_of_sums].map(|line| {
                // SAFETY: a line of registers is eight words.
                unsafe { std::mem::transmute::<Line, [u64; 8]>(line) }
            });
            digest.set_lanes(lanes);
        }
    };
}

#[cfg(target_arch = "x86_64")]
copy_lines_wide!(copy_lines_avx512, "avx512f", [__m512i; 1], _mm512_add_epi64);
#[cfg(target_arch = "x86_64")]
copy_lines_wide!(copy_lines_avx2, "avx2", [__m256i; 2], _mm256_add_epi64);

/// The loop of [`copy_lines`], compiled for whatever calls it. Source and target hold `count` lines, and need not be
/// aligned; only [`Space::copy_long_image`] comes here.
#[inline(always)]
fn copy_lines_here(source: *const [u64; 8], target: *mut [u64; 8], count: usize, digest: &mut LongDigest) {
    let mut lanes = digest.lanes();
    for i in 0..count {
        // SAFETY: line `i` lies inside the source; any bytes are words, and need not be aligned.
        let words = unsafe { source.wrapping_add(i).read_unaligned() };
        // SAFETY: line `i` lies inside the target, which is the log's room, and nobody else holds.
        unsafe { target.wrapping_add(i).write_unaligned(words) };
        lanes.add(words);
    }
    digest.set_lanes(lanes);
}

/// Copies `len` bytes, word by word with the last one filled up by zeroes, and digests them.
#[inline(always)]
fn copy_words(source: *const u8, target: *mut u64, len: usize) -> u64 {
    let words = len / 8;
    let load = |i: usize| -> u64 {
        // SAFETY: word `i` lies inside the source; it need not be aligned.
        unsafe { source.wrapping_add(i * 8).cast::<u64>().read_unaligned() }
    };
    let store = |i: usize, word: u64| {
        // SAFETY: word `i` lies inside the target, which is `len` rounded up to words, and is aligned.
        unsafe { target.wrapping_add(i).write(word) }
    };
    if len == 8 {
        let word = load(0);
        store(0, word);
        return digest_word(word);
    }
    let mut digest = Digest::new();
    let mut i = 0;
    while i + 1 < words {
        let (a, b) = (load(i), load(i + 1));
        store(i, a);
        store(i + 1, b);
        digest.pair(a, b);
        i += 2;
    }
    let mut rest = [0u8; 8];
    let rest_len = len % 8;
    if rest_len > 0 {
        // SAFETY: the last `rest_len` bytes of the source, into an array of eight.
        unsafe { std::ptr::copy_nonoverlapping(source.wrapping_add(words * 8), rest.as_mut_ptr(), rest_len) };
        store(words, u64::from_le_bytes(rest));
    }
    if i < words {
        let a = load(i);
        store(i, a);
        digest.pair(a, u64::from_le_bytes(rest));
    } else if rest_len > 0 {
        digest.pair(u64::from_le_bytes(rest), 0);
    }
    digest.sum()
}

/// Tuples of places that can be lent together.
pub(crate) trait Disjoint<'s> {
    /// What is lent: a tuple of exclusive slices.
    type Lent;

    /// Lends all, if no two share a byte.
    fn lend<M: Medium>(self, space: &'s mut Space<M>) -> Option<Self::Lent>;
}

/// Whether no two ranges, given by start and end, share a byte. Ranges in ascending order are recognised at a glance.
#[inline(always)]
fn are_disjoint<const N: usize>(ranges: &[(u64, u64); N]) -> bool {
    let mut is_ascending = true;
    for i in 1..N {
        is_ascending &= ranges[i - 1].1 <= ranges[i].0;
    }
    is_ascending || are_pairwise_disjoint(ranges)
}

#[inline(never)]
fn are_pairwise_disjoint(ranges: &[(u64, u64)]) -> bool {
    let apart = |a: &(u64, u64), b: &(u64, u64)| a.1 <= b.0 || b.1 <= a.0;
    ranges.iter().enumerate().all(|(i, a)| ranges[..i].iter().all(|b| apart(a, b)))
}

macro_rules! disjoint {
    ($($name:ident $index:tt),+) => {
        impl<'s, $($name: Pod),+> Disjoint<'s> for ($(Place<$name>,)+) {
            type Lent = ($(&'s mut [$name],)+);

            #[inline(always)]
            fn lend<M: Medium>(self, space: &'s mut Space<M>) -> Option<Self::Lent> {
                let ranges = [$((self.$index.offset(), self.$index.end())),+];
                if !are_disjoint(&ranges) {
                    return None;
                }
                Some(($({
                    space.medium.lent(self.$index.offset, self.$index.len());
                    let start = space.at(space.medium.write_base(), self.$index).cast_mut();
                    // SAFETY: (1) as in `Space::lend`. (2) No two of the places share a byte, as checked above, and
                    // `&mut Space` is borrowed for as long as any of the slices.
                    unsafe { std::slice::from_raw_parts_mut::<'s>(start, self.$index.count as usize) }
                },)+))
            }
        }
    };
}

disjoint!(A 0);
disjoint!(A 0, B 1);
disjoint!(A 0, B 1, C 2);
disjoint!(A 0, B 1, C 2, D 3);
disjoint!(A 0, B 1, C 2, D 3, E 4);
disjoint!(A 0, B 1, C 2, D 3, E 4, F 5);
disjoint!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
disjoint!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);

#[cfg(test)]
mod tests {
    use super::*;
    use rio::Buffer;

    fn space() -> (Space<Buffer>, Window) {
        let space = Space::new(Buffer::new(8192, 8192));
        let window = Window::new(&space, 4096, 8192).unwrap();
        (space, window)
    }

    #[test]
    fn a_window_places_only_what_lies_inside_and_is_aligned() {
        let (space, window) = space();
        assert!(window.place::<u64>(4096, 512).is_some());
        for (offset, count) in [
            (4088, 1),
            (4097, 1),
            (8185, 1),
            (8192, 1),
            (0, 1),
            (4096, 513),
            (u64::MAX - 7, 1),
            (4096, u64::MAX),
        ] {
            assert!(window.place::<u64>(offset, count).is_none(), "{count} words at {offset}");
        }
        assert!(Window::new(&space, 4096, 8193).is_none());
        assert!(Window::new(&space, 2, 1).is_none());
    }

    #[test]
    fn an_image_is_copied_with_the_digest_of_its_bytes() {
        let (mut space, window) = space();
        for len in 1..80 {
            let from = window.place::<u8>(4096 + 3, len).unwrap();
            let bytes: Vec<u8> = (0..len).map(|i| (i * 7 + len) as u8).collect();
            space.store_bytes(from, &bytes);
            let to = window.place::<u64>(6000, len.div_ceil(8)).unwrap();
            let digest = space.pen().copy_image(from, to);
            assert_eq!(space.read(to.bytes())[..len as usize], bytes);
            assert!(space.read(to.bytes())[len as usize..].iter().all(|&byte| byte == 0));
            assert_eq!(space.digest(from), digest);
            assert_eq!(space.digest(to.bytes().part(0, len)), digest);
        }
    }

    #[test]
    fn overlapping_places_are_not_lent_together() {
        let (mut space, window) = space();
        let [a, b, c] = [4096, 4104, 4100].map(|offset| window.place::<u32>(offset, 2).unwrap());
        let (first, second) = (a, b).lend(&mut space).unwrap();
        first[0] = 1;
        second[1] = 2;
        assert!((a, c).lend(&mut space).is_none());
        assert_eq!(space.read(window.place::<u32>(4096, 4).unwrap()), [1, 0, 0, 2]);
    }
}
