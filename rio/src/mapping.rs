//! The mapping: address space set aside, a file mapped into it once or twice, and guards within.
//!
//! Each view has a reservation of its own, inaccessible address space from which the file grows without moving.
//! What is mapped, and what of it is guarded, is kept here, so that every method below checks its range and none
//! of them is unsafe to call. Start at [`Mapping::reserve`] and [`Mapping::map`].
//!
//! INV-M1: `[0, mapped)` of each view shows the same bytes of the file, and is accessible but for `guards`.
//! INV-M2: `[mapped, reserved)` of each view is inaccessible and ours.

#![allow(unsafe_code)] // mmap and its kin, and the references into what they return.

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::os::fd::AsFd;
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::libc::c_void;
use nix::sys::mman::{
    MapFlags, MmapAdvise, MsFlags, ProtFlags, madvise, mmap, mmap_anonymous, mprotect, msync, munmap,
};
use nix::unistd::{SysconfVar, sysconf};

/// Reservations begin at a multiple of this, so that huge pages fit.
const HUGE_LEN: u64 = 2 << 20;

/// How a file is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Stores reach the file.
    Shared,
    /// Stores reach the file, and the file system's own data never lag behind the pages (DAX only).
    SharedSync,
    /// Stores stay with this mapping.
    Private,
}

impl Sharing {
    fn flags(self) -> MapFlags {
        match self {
            Sharing::Shared => MapFlags::MAP_SHARED,
            Sharing::SharedSync => MapFlags::MAP_SHARED_VALIDATE | MapFlags::MAP_SYNC,
            Sharing::Private => MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE,
        }
    }
}

/// One or two views of a file.
#[derive(Debug)]
#[repr(C)] // The addresses first, as `Region` wants it.
pub(crate) struct Mapping {
    /// The view for readers.
    read: NonNull<u8>,
    /// The view for stores; the same one without protection.
    write: NonNull<u8>,
    reserved: u64,
    mapped: u64,
    /// Inaccessible ranges of `[0, mapped)`.
    guards: Vec<Range<u64>>,
    page_len: u64,
    /// The process that mapped it. A forked child has no such mapping and must not unmap what it may have put there.
    owner: u32,
}

// SAFETY: the mapping owns its address space alone, and stores need `&mut self` (or an unsafe block elsewhere).
unsafe impl Send for Mapping {}
// SAFETY: as above; `&Mapping` lends only addresses and shared slices.
unsafe impl Sync for Mapping {}

/// Whether the file can be mapped so that no sync is needed: whether it lies on DAX.
pub(crate) fn maps_with_sync(file: &File) -> bool {
    let len = NonZeroUsize::new(page_len() as usize).expect("a page has bytes");
    // SAFETY: (1) the kernel chooses the place. (2) Nothing is read or written through it.
    match unsafe { mmap(None, len, ProtFlags::PROT_READ, Sharing::SharedSync.flags(), file, 0) } {
        Ok(start) => {
            // SAFETY: just mapped, and no reference into it exists.
            let _ = unsafe { munmap(start, len.get()) };
            true
        }
        Err(_) => false,
    }
}

/// The kernel's page, in bytes.
pub(crate) fn page_len() -> u64 {
    match sysconf(SysconfVar::PAGE_SIZE) {
        Ok(Some(len)) => len as u64,
        _ => 4096, // Linux always answers.
    }
}

impl Mapping {
    /// Sets aside `wanted` bytes of address space for each view, or as much as the system allows, but at least
    /// `least`; all views begin at a multiple of `align` or of 2 MiB.
    pub(crate) fn reserve(least: u64, wanted: u64, align: u64, protected: bool) -> io::Result<Mapping> {
        let align = align.max(HUGE_LEN);
        let round = |len: u64| len.checked_next_multiple_of(align).ok_or(io::Error::from(Errno::ENOMEM));
        let least = round(least)?;
        let mut reserved = round(wanted)?.max(least);
        let mut views = reserve_views(reserved, align, protected);
        while let Err(errno) = views {
            if reserved == least {
                return Err(errno.into());
            }
            reserved = round(reserved / 2)?.max(least);
            views = reserve_views(reserved, align, protected);
            if views.is_ok() && reserved > least {
                // There is a limit, and we have just taken more than half of it: leave some to the others.
                release_views(views, reserved);
                reserved = round(reserved / 2)?.max(least);
                views = reserve_views(reserved, align, protected);
            }
        }
        let (read, write) = views?;
        Ok(Mapping {
            read,
            write,
            reserved,
            mapped: 0,
            guards: Vec::new(),
            page_len: page_len(),
            owner: std::process::id(),
        })
    }

    /// Start of the view for readers.
    #[inline(always)]
    pub(crate) fn read_base(&self) -> *const u8 {
        self.read.as_ptr()
    }

    /// Start of the view for stores.
    #[inline(always)]
    pub(crate) fn write_base(&self) -> *mut u8 {
        self.write.as_ptr()
    }

    /// Address space set aside for each view, in bytes.
    pub(crate) fn reserved(&self) -> u64 {
        self.reserved
    }

    /// Bytes of the file that are mapped.
    pub(crate) fn mapped(&self) -> u64 {
        self.mapped
    }

    /// Whether readers have a view of their own.
    pub(crate) fn is_protected(&self) -> bool {
        self.read != self.write
    }

    /// Whether this process made the mapping, and is no forked child of the one that did.
    pub(crate) fn is_ours(&self) -> bool {
        self.owner == std::process::id()
    }

    /// Maps the file from what is mapped already up to `to`, in all views. On failure nothing has changed.
    pub(crate) fn map(&mut self, file: &File, to: u64, sharing: Sharing) -> io::Result<()> {
        assert!(to <= self.reserved, "{to} bytes do not fit {} reserved ones", self.reserved);
        if to <= self.mapped {
            return Ok(());
        }
        // Where the page is longer than the unit of length, its mapped part is mapped once more: the same bytes.
        let from = self.mapped / self.page_len * self.page_len;
        let read_prot = if self.is_protected() { ProtFlags::PROT_READ } else { READ_WRITE };
        map_fixed(self.read, from..to, read_prot, file, sharing)
            .inspect_err(|_| inaccessible_again(self.read, self.mapped_pages()..to))?;
        if self.is_protected() {
            map_fixed(self.write, from..to, READ_WRITE, file, sharing).inspect_err(|_| {
                inaccessible_again(self.read, self.mapped_pages()..to);
                inaccessible_again(self.write, self.mapped_pages()..to);
            })?;
        }
        self.mapped = to;
        self.advise(from..to, MmapAdvise::MADV_DONTFORK);
        Ok(())
    }

    /// Takes back what [`Mapping::map`] added beyond `to`.
    pub(crate) fn unmap(&mut self, to: u64) {
        let pages = to.next_multiple_of(self.page_len)..self.mapped;
        self.views().for_each(|view| inaccessible_again(view, pages.clone()));
        self.mapped = self.mapped.min(to);
    }

    /// Makes a range of whole pages inaccessible in all views. On failure nothing has changed.
    pub(crate) fn guard(&mut self, range: Range<u64>, fine: bool) -> io::Result<()> {
        assert!(range.start < range.end && range.end <= self.mapped, "{range:?} is not mapped");
        assert!(range.start.is_multiple_of(self.page_len) && range.end.is_multiple_of(self.page_len));
        if fine {
            protect(self.read, range.clone(), ProtFlags::PROT_NONE)?;
            if self.is_protected() {
                protect(self.write, range.clone(), ProtFlags::PROT_NONE).inspect_err(|_| {
                    // It was possible a moment ago; if not now, a guard too many stands in the view for readers.
                    let _ = protect(self.read, range.clone(), ProtFlags::PROT_READ);
                })?;
            }
        }
        self.guards.push(range);
        Ok(())
    }

    /// Whether the range touches a guard.
    pub(crate) fn guarded(&self, range: &Range<u64>) -> Option<&Range<u64>> {
        self.guards.iter().find(|guard| range.start < guard.end && guard.start < range.end)
    }

    /// A range of the view for readers.
    pub(crate) fn bytes(&self, range: Range<u64>) -> &[u8] {
        self.check(&range);
        let start = self.read_base().wrapping_add(range.start as usize);
        // SAFETY: (1) checked: the range is mapped, readable and no guard (INV-M1). (2) Stores need `&mut self`;
        // who stores through `write_base` while `&self` is borrowed breaks promise 4 of `Medium`.
        unsafe { std::slice::from_raw_parts(start, (range.end - range.start) as usize) }
    }

    /// A range of the view for stores.
    pub(crate) fn bytes_mut(&mut self, range: Range<u64>) -> &mut [u8] {
        self.check(&range);
        let start = self.write_base().wrapping_add(range.start as usize);
        // SAFETY: (1) checked: the range is mapped, writable and no guard (INV-M1). (2) `&mut self` is alone, and
        // the view for readers lends nothing meanwhile.
        unsafe { std::slice::from_raw_parts_mut(start, (range.end - range.start) as usize) }
    }

    /// Copies bytes into the view for stores.
    pub(crate) fn store(&mut self, offset: u64, bytes: &[u8]) {
        self.bytes_mut(offset..offset + bytes.len() as u64).copy_from_slice(bytes);
    }

    /// Writes these bytes to the file and waits for them.
    pub(crate) fn sync(&self, range: Range<u64>) -> io::Result<()> {
        self.check(&range);
        let start = range.start / self.page_len * self.page_len;
        // SAFETY: the range is mapped and ours; no byte changes.
        unsafe { msync(at(self.write, start), (range.end - start) as usize, MsFlags::MS_SYNC) }?;
        Ok(())
    }

    /// Asks for huge pages, and for all pages now. Both are hints, and what the system makes of them is its own.
    pub(crate) fn hint(&self, range: Range<u64>, huge_pages: bool, prefault: bool) {
        if huge_pages {
            self.advise(range.clone(), MmapAdvise::MADV_HUGEPAGE);
        }
        if prefault {
            advise(self.write, range.clone(), MmapAdvise::MADV_POPULATE_WRITE);
            if self.is_protected() {
                advise(self.read, range, MmapAdvise::MADV_POPULATE_READ);
            }
        }
    }

    fn advise(&self, range: Range<u64>, advice: MmapAdvise) {
        self.views().for_each(|view| advise(view, range.clone(), advice));
    }

    /// The parts of a mapped range that are not guarded.
    pub(crate) fn accessible(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut guards: Vec<_> = self.guards.iter().filter(|guard| guard.start < range.end).collect();
        guards.sort_by_key(|guard| guard.start);
        let mut parts = Vec::new();
        let mut start = range.start;
        for guard in guards {
            if start < guard.start {
                parts.push(start..guard.start);
            }
            start = start.max(guard.end);
        }
        if start < range.end {
            parts.push(start..range.end);
        }
        parts
    }

    fn check(&self, range: &Range<u64>) {
        assert!(range.start <= range.end && range.end <= self.mapped, "{range:?} of {} bytes", self.mapped);
        assert!(self.guarded(range).is_none(), "{range:?} touches a guard");
    }

    fn mapped_pages(&self) -> u64 {
        self.mapped.next_multiple_of(self.page_len)
    }

    fn views(&self) -> impl Iterator<Item = NonNull<u8>> + use<> {
        let write = self.is_protected().then_some(self.write);
        std::iter::once(self.read).chain(write)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.is_ours() {
            self.views().for_each(|view| release(view, 0..self.reserved));
        }
    }
}

const READ_WRITE: ProtFlags = ProtFlags::PROT_READ.union(ProtFlags::PROT_WRITE);

/// The reservations of both views, or of the only one twice.
fn reserve_views(len: u64, align: u64, protected: bool) -> Result<(NonNull<u8>, NonNull<u8>), Errno> {
    let read = reserve_aligned(len, align)?;
    if !protected {
        return Ok((read, read));
    }
    let write = reserve_aligned(len, align).inspect_err(|_| release(read, 0..len))?;
    Ok((read, write))
}

fn release_views(views: Result<(NonNull<u8>, NonNull<u8>), Errno>, len: u64) {
    let Ok((read, write)) = views else { return };
    release(read, 0..len);
    if read != write {
        release(write, 0..len);
    }
}

/// Inaccessible address space that begins at a multiple of `align`.
fn reserve_aligned(len: u64, align: u64) -> Result<NonNull<u8>, Errno> {
    let longer =
        len.checked_add(align).and_then(|len| NonZeroUsize::new(len as usize)).ok_or(Errno::ENOMEM)?;
    let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE;
    // SAFETY: the kernel chooses the place, and nothing can be read or written there.
    let start = unsafe { mmap_anonymous(None, longer, ProtFlags::PROT_NONE, flags) }?.cast::<u8>();
    let before = start.addr().get().next_multiple_of(align as usize) - start.addr().get();
    let base = at(start, before as u64).cast();
    release(start, 0..before as u64);
    release(base, len..longer.get() as u64 - before as u64);
    Ok(base)
}

/// Maps a range of the file to its place in a view.
fn map_fixed(
    view: NonNull<u8>,
    range: Range<u64>,
    prot: ProtFlags,
    file: impl AsFd,
    sharing: Sharing,
) -> io::Result<()> {
    let len = NonZeroUsize::new((range.end - range.start) as usize).expect("a range to map has bytes");
    let flags = sharing.flags() | MapFlags::MAP_FIXED;
    // SAFETY: (1) the place lies in our reservation (INV-M2), so nobody else's memory is replaced. (2) No
    // reference into it exists: it was inaccessible, or `&mut self` of the caller rules it out. (3) It may be that
    // others change or truncate the file; the lock keeps those who ask for it away, and promise 4 of `Medium`
    // leaves out the rest.
    unsafe { mmap(Some(at(view, range.start).addr()), len, prot, flags, file, range.start as i64) }?;
    Ok(())
}

/// Makes a range of a view part of the reservation again, after it was mapped or mapping it failed.
fn inaccessible_again(view: NonNull<u8>, range: Range<u64>) {
    let Some(len) = range.end.checked_sub(range.start).and_then(|len| NonZeroUsize::new(len as usize)) else {
        return;
    };
    let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE | MapFlags::MAP_FIXED;
    let place = at(view, range.start).addr();
    // SAFETY: (1) the place lies in our reservation. (2) No reference into it exists: it was never lent.
    // If it fails the range stays mapped, which only `mapped` has to know, and `mapped` leaves it out. Kernels
    // before 6.12 may have left a hole where a mapping failed; this closes it at once.
    let _ = unsafe { mmap_anonymous(Some(place), len, ProtFlags::PROT_NONE, flags) };
}

fn protect(view: NonNull<u8>, range: Range<u64>, prot: ProtFlags) -> io::Result<()> {
    // SAFETY: (1) the range lies in our mapping. (2) No reference into it exists, by `&mut self` of the caller.
    unsafe { mprotect(at(view, range.start), (range.end - range.start) as usize, prot) }?;
    Ok(())
}

fn advise(view: NonNull<u8>, range: Range<u64>, advice: MmapAdvise) {
    // SAFETY: (1) the range lies in our mapping. (2) None of the advices used here changes a byte of it. A failure
    // costs time or a fork its protection, but no promise.
    let _ = unsafe { madvise(at(view, range.start), (range.end - range.start) as usize, advice) };
}

fn release(view: NonNull<u8>, range: Range<u64>) {
    if range.is_empty() {
        return;
    }
    // SAFETY: (1) the range lies in our reservation. (2) No reference into it exists: its owner is being dropped or
    // was not made yet. It can fail only for want of memory, and then address space leaks.
    let _ = unsafe { munmap(at(view, range.start), (range.end - range.start) as usize) };
}

/// An address within a reservation.
fn at(view: NonNull<u8>, offset: u64) -> NonNull<c_void> {
    NonNull::new(view.as_ptr().wrapping_add(offset as usize)).expect("no reservation wraps around").cast()
}
