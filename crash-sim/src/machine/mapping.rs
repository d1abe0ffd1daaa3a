//! The mappings that an arena is made of.
//!
//! One reservation holds, in this order, the slots (a page of code for each of 256 threads), a scratch page for stores that are
//! skipped, a page that nothing can reach, the alias, and another such page. So `[rip+disp32]` in a slot reaches every
//! byte of the alias and of the scratch page. The view lies wherever it likes.

#![allow(unsafe_code)] // mmap and its kin.

use std::fs;
use std::io;
use std::ops::Range;
use std::ptr;

use super::MachineError;

/// The pages that are protected.
pub(super) const PAGE_LEN: u64 = 4096;
/// Threads that ever trap in one arena; each has a page of slots.
pub(super) const THREAD_COUNT: usize = 256;
const SLOTS_LEN: u64 = THREAD_COUNT as u64 * PAGE_LEN;
/// From the start of the reservation to the scratch page, and to the alias.
pub(super) const SCRATCH_AT: u64 = SLOTS_LEN;
pub(super) const ALIAS_AT: u64 = SCRATCH_AT + 2 * PAGE_LEN;

/// Bytes of the reservation of an arena of this length.
pub(super) fn reservation_len(len: u64) -> u64 {
    ALIAS_AT + len + PAGE_LEN
}

pub(super) fn system(call: &'static str, hint: &'static str) -> MachineError {
    MachineError::System { call, source: io::Error::last_os_error(), hint }
}

const MEMORY_HINT: &str =
    "memory, address space or the number of mappings (vm.max_map_count) may be exhausted";
const CODE_HINT: &str =
    "a policy may forbid memory that is writable and executable, such as SELinux execmem: allow it for tests";

/// The slots, mapped as code that we write; the scratch page; and room for the alias.
pub(super) struct Reservation {
    pub(super) start: usize,
    len: u64,
}

impl Reservation {
    pub(super) fn new(arena_len: u64) -> Result<Self, MachineError> {
        let len = reservation_len(arena_len);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: the kernel chooses the place, and nothing can be read or written there.
        let start = unsafe { libc::mmap(ptr::null_mut(), len as usize, libc::PROT_NONE, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(system("mmap", MEMORY_HINT));
        }
        let reservation = Reservation { start: start.expose_provenance(), len };
        set_prot(reservation.start, SCRATCH_AT..SCRATCH_AT + PAGE_LEN, libc::PROT_READ | libc::PROT_WRITE)?;
        let code = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
        set_prot(reservation.start, 0..SLOTS_LEN, code).map_err(|error| match error {
            MachineError::System { call, source, .. } => {
                MachineError::System { call, source, hint: CODE_HINT }
            }
            other => other,
        })?;
        Ok(reservation)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        release(self.start, self.len);
    }
}

/// A mapping that is unmapped when dropped.
pub(super) struct Mapped {
    pub(super) start: usize,
    len: u64,
}

impl Mapped {
    pub(super) fn new(start: usize, len: u64) -> Self {
        Mapped { start, len }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        release(self.start, self.len);
    }
}

/// Memory with a descriptor, so that it can be mapped twice.
pub(super) struct Memfd(fs::File);

impl Memfd {
    pub(super) fn new(len: u64) -> Result<Self, MachineError> {
        let hint = "memfd_create exists since Linux 3.17; a seccomp filter may refuse it";
        let failed = |source: io::Error| MachineError::System { call: "memfd_create", source, hint };
        let flags = nix::sys::memfd::MFdFlags::MFD_CLOEXEC;
        let fd = nix::sys::memfd::memfd_create(c"crash-sim", flags).map_err(|errno| failed(errno.into()))?;
        let file = fs::File::from(fd);
        file.set_len(len).map_err(failed)?;
        Ok(Memfd(file))
    }

    /// Maps all of it, at `place` (within a reservation of ours) or, for 0, anywhere.
    pub(super) fn map(&self, place: usize, len: u64, prot: i32) -> Result<usize, MachineError> {
        use std::os::fd::AsRawFd;
        let flags = libc::MAP_SHARED | if place == 0 { 0 } else { libc::MAP_FIXED };
        let place = ptr::without_provenance_mut(place);
        // SAFETY: a fixed place lies in our reservation, and nothing refers to it yet.
        let start = unsafe { libc::mmap(place, len as usize, prot, flags, self.0.as_raw_fd(), 0) };
        if start == libc::MAP_FAILED {
            return Err(system("mmap", MEMORY_HINT));
        }
        Ok(start.expose_provenance())
    }
}

/// The parts of a range of this process's memory that are mapped shared and writable, by their offset, one for each
/// mapping of the kernel.
pub(super) fn writable_parts(view: u64, len: u64) -> Result<Vec<Range<u64>>, MachineError> {
    let hint = "/proc must be mounted";
    let maps = fs::read_to_string("/proc/self/maps").map_err(|source| MachineError::System {
        call: "read /proc/self/maps",
        source,
        hint,
    })?;
    let mut parts = Vec::new();
    for line in maps.lines() {
        let Some((range, perms)) = mapping(line) else { continue };
        let start = range.start.max(view);
        let end = range.end.min(view + len);
        if start >= end || perms.starts_with("---") {
            continue;
        }
        let not_shared = |reason| MachineError::NotShared { address: start, reason };
        match perms.as_bytes() {
            [b'r', b'w', _, b's', ..] => parts.push(start - view..end - view),
            [_, _, _, b's', ..] => return Err(not_shared("it is not mapped for reading and writing")),
            _ => return Err(not_shared("it is mapped privately, and cannot be mapped twice")),
        }
    }
    Ok(parts)
}

/// The range and the permissions of a line such as `7f0000000000-7f0000001000 rw-s 00000000 00:01 1 /memfd`.
fn mapping(line: &str) -> Option<(Range<u64>, &str)> {
    let mut words = line.split_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let range = u64::from_str_radix(start, 16).ok()?..u64::from_str_radix(end, 16).ok()?;
    Some((range, words.next()?))
}

/// Maps the pages of a shared mapping a second time, at `to`, which lies in a reservation of ours.
pub(super) fn duplicate(from: usize, to: usize, len: u64) -> Result<(), MachineError> {
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    let from = ptr::with_exposed_provenance_mut(from);
    let to = ptr::without_provenance_mut::<libc::c_void>(to);
    // SAFETY: an old length of 0 leaves the old mapping as it is; the new place lies in our reservation, and nothing
    // refers to it yet.
    let placed = unsafe { libc::mremap(from, 0, len as usize, flags, to) };
    if placed == libc::MAP_FAILED {
        return Err(system(
            "mremap",
            "the memory must be mapped shared, and not by a driver that forbids it",
        ));
    }
    placed.expose_provenance();
    Ok(())
}

/// Parts that touch each other as one: each is one call to protect.
pub(super) fn joined(parts: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let mut joined: Vec<Range<u64>> = Vec::with_capacity(parts.len());
    for part in parts {
        match joined.last_mut() {
            Some(last) if last.end == part.start => last.end = part.end,
            _ => joined.push(part),
        }
    }
    joined
}

pub(super) fn set_prot(base: usize, range: Range<u64>, prot: i32) -> Result<(), MachineError> {
    let start = ptr::with_exposed_provenance_mut(base + range.start as usize);
    // SAFETY: the range lies in a mapping of the arena; what is made inaccessible is the view, whose accesses the
    // handler answers for.
    match unsafe { libc::mprotect(start, (range.end - range.start) as usize, prot) } {
        0 => Ok(()),
        _ => Err(system("mprotect", MEMORY_HINT)),
    }
}

pub(super) fn release(start: usize, len: u64) {
    // SAFETY: mapped by the caller, who owns it, and nothing refers to it any more.
    unsafe { libc::munmap(ptr::with_exposed_provenance_mut(start), len as usize) };
}
