//! Write-backs and fences of the executable: found once by decoding, and made breakpoints while traces are on.
//!
//! They touch no protected page, so nothing else would trap. Bytes that look like one are searched for, and then the
//! function around them is decoded from its start, so that nothing but a true instruction is patched. None of them
//! changes a register or a byte, and so a thread that is not traced passes over the breakpoint with a fence of ours.
//!
//! Patching costs as much as some dozens of breakpoints, and traces often follow each other closely. So the breakpoints
//! stay when the last trace ends, until so many were met outside of any trace. Start at [`Breakpoints::on`].

#![allow(unsafe_code)] // It patches the program's code.

use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use iced_x86::{Decoder, DecoderOptions, Mnemonic};

use super::decode::Operand;
use super::mapping::system;
use super::{MachineError, executable};

/// What stands at a breakpoint.
#[derive(Clone, Copy)]
pub(super) enum Deed {
    /// clwb, clflushopt or clflush, of the line at this address.
    WriteBack(Operand),
    /// sfence or mfence.
    Fence,
    /// A write-back whose address is out of the ordinary (relative to `fs`): of no arena.
    Nothing,
}

/// An instruction that is made a breakpoint.
pub(super) struct Site {
    address: u64,
    pub(super) next: u64,
    pub(super) deed: Deed,
    first_byte: u8,
}

const BREAKPOINT: u8 = 0xcc;
/// Breakpoints met outside of any trace, for each run of pages that hold some, before all are taken out: about what it
/// costs to take them out and set them again.
const PATIENCE: usize = 4;

/// All of them, by address.
static SITES: OnceLock<Vec<Site>> = OnceLock::new();
/// How many met outside of any trace since the last one began.
static MET: AtomicUsize = AtomicUsize::new(0);
static STATE: Mutex<State> = Mutex::new(State { traces: 0, are_set: false });

struct State {
    /// How many traces are on.
    traces: usize,
    are_set: bool,
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Breakpoints are set until this is dropped, and perhaps a little longer.
pub(super) struct Breakpoints(());

impl Breakpoints {
    pub(super) fn on() -> Result<Self, MachineError> {
        let sites = SITES.get_or_init(find);
        let mut state = state();
        if !state.are_set {
            patch(sites, true)?;
            state.are_set = true;
        }
        state.traces += 1;
        MET.store(0, Ordering::Relaxed);
        Ok(Breakpoints(()))
    }
}

impl Drop for Breakpoints {
    fn drop(&mut self) {
        state().traces -= 1;
    }
}

/// The breakpoint at this address, if it is one of ours.
pub(super) fn at(address: u64) -> Option<&'static Site> {
    let sites = SITES.get()?;
    let index = sites.binary_search_by_key(&address, |site| site.address).ok()?;
    Some(&sites[index])
}

/// Is told by the handler that a breakpoint was met by a thread that is not traced. After many, with no trace on, they
/// are taken out. Nothing is waited for: the thread that was interrupted may hold the lock.
pub(super) fn met_untraced() {
    let sites = SITES.get().map_or(&[][..], Vec::as_slice);
    if MET.fetch_add(1, Ordering::Relaxed) < PATIENCE * page_runs(sites).count() {
        return;
    }
    let Ok(mut state) = STATE.try_lock() else { return };
    if state.traces == 0 && state.are_set && patch(sites, false).is_ok() {
        state.are_set = false;
    }
}

/// A fence that orders all that sfence and mfence do, and is not one of those that are made breakpoints.
pub(super) fn real_fence() {
    // SAFETY: a locked instruction on our own stack that leaves the byte as it is.
    unsafe { std::arch::asm!("lock or byte ptr [rsp], 0") };
}

/// All write-backs and fences of the executable.
fn find() -> Vec<Site> {
    let code = executable::code();
    let starts = executable::function_starts();
    let mut sites: Vec<Site> = Vec::new();
    for segment in &code.segments {
        let bytes = executable::bytes(segment);
        for at in candidates(bytes) {
            let candidate = segment.start + at as u64;
            let after = starts.partition_point(|start| start + code.bias <= candidate);
            let start = after.checked_sub(1).map_or(segment.start, |index| starts[index] + code.bias);
            // Decoding never has to begin before the instruction that was found last.
            let found = sites.last().map_or(segment.start, |site| site.next);
            let start = if start < segment.start { segment.start } else { start };
            let start = if start < found && found <= candidate { found } else { start };
            sites.extend(decode_to(candidate, start, segment, bytes));
        }
    }
    sites.sort_by_key(|site| site.address);
    sites.dedup_by_key(|site| site.address);
    sites
}

/// Where there are bytes such as those of the opcode 0f ae /6 and /7.
fn candidates(bytes: &[u8]) -> impl Iterator<Item = usize> + '_ {
    let opcode = |window: &[u8]| window[0] == 0x0f && window[1] == 0xae && window[2] >> 3 & 7 >= 6;
    bytes.windows(3).enumerate().filter(move |(_, window)| opcode(window)).map(|(at, _)| at)
}

/// The instruction that holds the byte at `candidate`, if it is a write-back or a fence; decoding begins at `start`.
fn decode_to(candidate: u64, start: u64, segment: &Range<u64>, bytes: &[u8]) -> Option<Site> {
    let from = (start - segment.start) as usize;
    let mut decoder = Decoder::with_ip(64, &bytes[from..], start, DecoderOptions::NONE);
    while decoder.can_decode() && decoder.ip() <= candidate {
        let instruction = decoder.decode();
        if instruction.next_ip() <= candidate {
            continue;
        }
        let deed = match instruction.mnemonic() {
            Mnemonic::Clwb | Mnemonic::Clflushopt | Mnemonic::Clflush => {
                Operand::of(&instruction).map_or(Deed::Nothing, Deed::WriteBack)
            }
            Mnemonic::Sfence | Mnemonic::Mfence => Deed::Fence,
            _ => return None,
        };
        let first_byte = bytes[(instruction.ip() - segment.start) as usize];
        return Some(Site { address: instruction.ip(), next: instruction.next_ip(), deed, first_byte });
    }
    None
}

const PAGE_LEN: u64 = 4096;

/// The pages that hold the sites, and the sites in them. Pages that touch each other are one run: one call to protect.
fn page_runs(sites: &[Site]) -> impl Iterator<Item = (Range<u64>, &[Site])> {
    let page = |site: &Site| site.address / PAGE_LEN;
    sites.chunk_by(move |left, right| page(right) - page(left) <= 1).map(move |run| {
        let (first, last) = (&run[0], &run[run.len() - 1]); // No run is empty.
        (page(first) * PAGE_LEN..(page(last) + 1) * PAGE_LEN, run)
    })
}

/// Sets the first byte of each site. The code is writable only meanwhile. A single byte is the one change that other
/// processors may meet at any moment.
fn patch(sites: &[Site], breakpoints: bool) -> Result<(), MachineError> {
    let read_execute = libc::PROT_READ | libc::PROT_EXEC;
    for (pages, run) in page_runs(sites) {
        set_prot(pages.clone(), read_execute | libc::PROT_WRITE)?;
        for site in run {
            let byte = ptr::with_exposed_provenance_mut::<u8>(site.address as usize);
            // SAFETY: it lies in the executable's code, just made writable; others only fetch it.
            let byte = unsafe { AtomicU8::from_ptr(byte) };
            byte.store(if breakpoints { BREAKPOINT } else { site.first_byte }, Ordering::SeqCst);
        }
        set_prot(pages, read_execute)?;
    }
    Ok(())
}

fn set_prot(range: Range<u64>, prot: i32) -> Result<(), MachineError> {
    let start = ptr::with_exposed_provenance_mut(range.start as usize);
    // SAFETY: whole pages of the executable's code, which stay readable and executable throughout.
    match unsafe { libc::mprotect(start, (range.end - range.start) as usize, prot) } {
        0 => Ok(()),
        _ => Err(system(
            "mprotect",
            "the program's code must be made writable to see its fences; a policy may forbid it, such as SELinux \
             execmod: allow it for tests",
        )),
    }
}
