//! What an instruction does to memory, and the same instruction with its operand aimed elsewhere.
//!
//! Decoding allocates and takes some microseconds, so what was decoded is kept for as long as the process lives, in a
//! table that needs no lock: the cost is paid once for each instruction of the program. Start at [`at`].

#![allow(unsafe_code)] // It reads the program's code by address.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use iced_x86::{
    Code, Decoder, DecoderOptions, Encoder, FastFormatter, FlowControl, InstructionInfoFactory, Mnemonic,
    OpAccess, OpKind, Register,
};

use super::mapping::PAGE_LEN;
use super::strings::Element;
use super::{MachineError, stack};

/// Bytes of one slot: the longest instruction (15), a jump (6) and its target (8).
const SLOT_LEN: usize = 32;
/// Slots are a cache line apart, so that writing one does not disturb another.
const SLOT_PITCH: usize = 64;

/// The general registers of an interrupted program, as the kernel numbers them.
pub(super) type Registers = [i64; 23];

/// An instruction, by its bytes and its address.
#[derive(Clone, Copy)]
pub(super) struct Instruction {
    pub(super) site: u64,
    bytes: [u8; 15],
    len: u8,
}

impl Instruction {
    /// The error that names it.
    pub(super) fn refusal(&self) -> MachineError {
        let bytes = &self.bytes[..self.len as usize];
        let decoded = Decoder::with_ip(64, bytes, self.site, DecoderOptions::NONE).decode();
        let mut text = String::new();
        FastFormatter::new().format(&decoded, &mut text);
        MachineError::Refused { instruction: text, site: self.site }
    }
}

/// A memory operand's address as a sum of registers.
#[derive(Clone, Copy)]
pub(super) struct Operand {
    base: u8,
    index: u8,
    scale: u8,
    is_32_bit: bool,
    displacement: u64,
}

/// In place of a register's number: none.
const ABSENT: u8 = u8::MAX;

impl Operand {
    /// None if it is more than such a sum: relative to `fs` or `gs`, or a vector of addresses.
    pub(super) fn of(instruction: &iced_x86::Instruction) -> Option<Operand> {
        if instruction.is_vsib() || matches!(instruction.memory_segment(), Register::FS | Register::GS) {
            return None;
        }
        let (base, index) = (instruction.memory_base(), instruction.memory_index());
        let is_narrow = |register: Register| register.size() == 4;
        Some(Operand {
            // The displacement of a [rip+x] is its target already.
            base: if instruction.is_ip_rel_memory_operand() { ABSENT } else { number(base)? },
            index: number(index)?,
            scale: instruction.memory_index_scale() as u8,
            is_32_bit: is_narrow(base) || is_narrow(index),
            displacement: instruction.memory_displacement64(),
        })
    }

    pub(super) fn address(&self, registers: &Registers) -> u64 {
        let value = |register: u8| match register {
            ABSENT => 0,
            number => registers[number as usize] as u64,
        };
        let scaled = value(self.index).wrapping_mul(u64::from(self.scale));
        let sum = value(self.base).wrapping_add(scaled).wrapping_add(self.displacement);
        if self.is_32_bit { sum & u64::from(u32::MAX) } else { sum }
    }
}

/// The kernel's number of a general register of any width, or [`ABSENT`] for none.
fn number(register: Register) -> Option<u8> {
    let number = match register.full_register() {
        Register::None => return Some(ABSENT),
        Register::RAX => libc::REG_RAX,
        Register::RBX => libc::REG_RBX,
        Register::RCX => libc::REG_RCX,
        Register::RDX => libc::REG_RDX,
        Register::RSI => libc::REG_RSI,
        Register::RDI => libc::REG_RDI,
        Register::RBP => libc::REG_RBP,
        Register::RSP => libc::REG_RSP,
        Register::R8 => libc::REG_R8,
        Register::R9 => libc::REG_R9,
        Register::R10 => libc::REG_R10,
        Register::R11 => libc::REG_R11,
        Register::R12 => libc::REG_R12,
        Register::R13 => libc::REG_R13,
        Register::R14 => libc::REG_R14,
        Register::R15 => libc::REG_R15,
        _ => return None,
    };
    Some(number as u8)
}

/// What to do about an instruction that trapped.
pub(super) enum Kind {
    /// Aim its memory operand at the alias.
    Redirect(Redirect),
    /// A string instruction: do its elements one by one.
    Elements(Element),
    /// A write-back in code where no breakpoint was put.
    WriteBack(Operand),
    /// It cannot be recorded.
    Refuse,
}

/// How an instruction is aimed at the alias.
pub(super) struct Redirect {
    operand: Operand,
    /// Bytes that the stack pointer moves before the operand's address is made.
    popped: u8,
    /// Of `bts` and its kin with a register: its number, and the bytes of the operand as a power of two. The register
    /// counts bits from the operand, and beyond it.
    bit_offset: Option<(u8, u8)>,
    /// Bytes loaded or stored.
    pub(super) len: u32,
    pub(super) loads: bool,
    pub(super) stores: bool,
    pub(super) is_streaming: bool,
    /// Whether it orders write-backs as a fence does.
    pub(super) is_locked: bool,
    /// Whether some of the bytes may be left alone, so that they need not even be there.
    pub(super) is_masked: bool,
    /// Whether it also pushes or pops.
    pub(super) uses_stack: bool,
    /// The instruction with [rip+disp32], and a jump to the one behind it.
    code: [u8; SLOT_LEN],
    displacement_at: u8,
    /// Where the instruction ends in `code`: what its displacement counts from.
    end: u8,
}

impl Redirect {
    /// Where the operand is, and where in memory the access begins; they differ for `bts` and its kin.
    pub(super) fn place(&self, registers: &Registers) -> (u64, u64) {
        let operand = self.operand.address(registers).wrapping_add(u64::from(self.popped));
        let Some((register, shift)) = self.bit_offset else { return (operand, operand) };
        let bits = match shift {
            1 => i64::from(registers[register as usize] as i16),
            2 => i64::from(registers[register as usize] as i32),
            _ => registers[register as usize],
        };
        let elements = bits >> (shift + 3);
        (operand, operand.wrapping_add((elements << shift) as u64))
    }

    /// Writes the code into one of a thread's slots, with its operand at `target`; the slot, or none if that is out of
    /// reach.
    ///
    /// Code that was written just now costs the processor some hundred nanoseconds to execute. A program that is traced
    /// over and over executes the same store at the same address each time: it finds its code in the slot already.
    ///
    /// # Safety
    /// `slots` is a writable page of code that no other thread uses, and this thread is not executing it.
    pub(super) unsafe fn write_to(&self, slots: *mut u8, site: u64, target: u64) -> Option<*mut u8> {
        let hash = (site ^ target.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let index = (hash >> 32) as usize % (PAGE_LEN as usize / SLOT_PITCH);
        let slot = slots.wrapping_add(index * SLOT_PITCH);
        let from = slot.addr() as u64 + u64::from(self.end);
        let displacement = i32::try_from(target.wrapping_sub(from) as i64).ok()?;
        let mut code = self.code;
        let at = self.displacement_at as usize;
        code[at..at + 4].copy_from_slice(&displacement.to_le_bytes());
        let slot = slot.cast::<[u8; SLOT_LEN]>();
        // SAFETY: as promised to us; the slot ends within the page.
        if unsafe { slot.read() } != code {
            // SAFETY: as above.
            unsafe { slot.write(code) };
        }
        Some(slot.cast())
    }
}

/// An instruction of the program, decoded.
pub(super) struct Decoded {
    pub(super) instruction: Instruction,
    pub(super) kind: Kind,
}

impl Decoded {
    /// The address of the instruction behind it.
    pub(super) fn next(&self) -> u64 {
        self.instruction.site + u64::from(self.instruction.len)
    }
}

const CACHE_LEN: usize = 1 << 14;
/// How far from its own place an instruction may be kept.
const PROBES: usize = 16;

static CACHE: [AtomicPtr<Decoded>; CACHE_LEN] = [const { AtomicPtr::new(ptr::null_mut()) }; CACHE_LEN];

/// The instruction at this address, which the processor has just tried to execute. What was decoded stays for good: an
/// instruction costs a quarter of a kilobyte, once.
pub(super) fn at(site: u64) -> &'static Decoded {
    let first = (site.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 50) as usize;
    let mut free = None;
    for probe in 0..PROBES {
        let entry = &CACHE[(first + probe) % CACHE_LEN];
        let kept = entry.load(Ordering::Acquire);
        if kept.is_null() {
            free = Some(entry);
            break;
        }
        // SAFETY: what stands in the table was leaked, and never changes.
        let kept: &'static Decoded = unsafe { &*kept };
        if kept.instruction.site == site {
            if still_there(&kept.instruction) {
                return kept;
            }
            free = Some(entry); // A library went, and another came to its place.
            break;
        }
    }
    let decoded = stack::spaciously(|| Box::into_raw(Box::new(decode(site))));
    if let Some(entry) = free {
        entry.store(decoded, Ordering::Release);
    }
    // SAFETY: leaked just now.
    unsafe { &*decoded }
}

/// Whether the code is what it was when it was decoded.
fn still_there(instruction: &Instruction) -> bool {
    let len = instruction.len as usize;
    let start = ptr::with_exposed_provenance::<u8>(instruction.site as usize);
    // SAFETY: the processor has just fetched an instruction of some length from there, and if it is another one the
    // bytes beyond it lie in the same or the next page of code; they were mapped when this one was decoded.
    let there = unsafe { std::slice::from_raw_parts(start, len) };
    there == &instruction.bytes[..len]
}

fn decode(site: u64) -> Decoded {
    let to_page_end = 4096 - site as usize % 4096;
    let start = ptr::with_exposed_provenance::<u8>(site as usize);
    let mut instruction = Instruction { site, bytes: [0; 15], len: 0 };
    let mut decoded = iced_x86::Instruction::default();
    // An instruction at the end of a page may be the last that is mapped: look beyond it only if it is longer.
    for len in [to_page_end.min(15), 15] {
        // SAFETY: the processor has just fetched this instruction, and it is not complete before the page's end.
        unsafe { ptr::copy_nonoverlapping(start, instruction.bytes.as_mut_ptr(), len) };
        decoded = Decoder::with_ip(64, &instruction.bytes[..len], site, DecoderOptions::NONE).decode();
        instruction.len = if decoded.is_invalid() { len as u8 } else { decoded.len() as u8 };
        if !decoded.is_invalid() {
            break;
        }
    }
    let kind = kind(&decoded).unwrap_or(Kind::Refuse);
    Decoded { instruction, kind }
}

/// None for what is refused.
fn kind(instruction: &iced_x86::Instruction) -> Option<Kind> {
    if instruction.is_invalid() {
        return None;
    }
    if instruction.is_string_instruction() {
        return Element::of(instruction).map(Kind::Elements);
    }
    if matches!(instruction.mnemonic(), Mnemonic::Clwb | Mnemonic::Clflushopt | Mnemonic::Clflush) {
        return Operand::of(instruction).map(Kind::WriteBack);
    }
    redirect(instruction).map(Kind::Redirect)
}

fn redirect(instruction: &iced_x86::Instruction) -> Option<Redirect> {
    // A call from a slot would return to the slot; the others also store where no operand says.
    let is_refused = matches!(instruction.flow_control(), FlowControl::IndirectCall | FlowControl::Call)
        || matches!(instruction.mnemonic(), Mnemonic::Movdir64b | Mnemonic::Enqcmd | Mnemonic::Enqcmds);
    let index = (0..instruction.op_count()).find(|index| instruction.op_kind(*index) == OpKind::Memory)?;
    let len = u32::try_from(instruction.memory_size().size()).ok()?;
    if is_refused || len == 0 || len > 1024 {
        return None; // A size of 0 is one that the instruction does not tell (xsave).
    }
    let mut factory = InstructionInfoFactory::new();
    let access = factory.info(instruction).op_access(index);
    let both = matches!(access, OpAccess::ReadWrite | OpAccess::ReadCondWrite);
    let loads = both || matches!(access, OpAccess::Read | OpAccess::CondRead);
    let stores = both || matches!(access, OpAccess::Write | OpAccess::CondWrite);
    let operand = Operand::of(instruction)?;
    let uses_stack = instruction.is_stack_instruction();
    let is_pop = instruction.mnemonic() == Mnemonic::Pop;
    let is_xchg = instruction.mnemonic() == Mnemonic::Xchg;
    let (code, displacement_at, end) = aimed(instruction)?;
    Some(Redirect {
        operand,
        popped: if is_pop && instruction.memory_base() == Register::RSP { len as u8 } else { 0 },
        bit_offset: bit_offset(instruction)?,
        len,
        loads,
        stores,
        is_streaming: is_streaming(instruction.mnemonic()),
        is_locked: stores && (instruction.has_lock_prefix() || is_xchg),
        is_masked: is_masked(instruction),
        uses_stack,
        code,
        displacement_at,
        end,
    })
}

/// The instruction with its memory operand as [rip+disp32] and the jump behind it; where its displacement is, and where
/// it ends.
fn aimed(instruction: &iced_x86::Instruction) -> Option<([u8; SLOT_LEN], u8, u8)> {
    const SOMEWHERE: u64 = 1 << 32;
    let mut copy = *instruction;
    copy.set_segment_prefix(Register::None);
    copy.set_memory_base(Register::RIP);
    copy.set_memory_index(Register::None);
    copy.set_memory_index_scale(1);
    copy.set_memory_displ_size(8);
    copy.set_memory_displacement64(SOMEWHERE);
    let mut encoder = Encoder::new(64);
    let end = encoder.encode(&copy, SOMEWHERE).ok()?;
    let offsets = encoder.get_constant_offsets();
    if offsets.displacement_size() != 4 {
        return None;
    }
    let mut code = [0xcc; SLOT_LEN];
    code[..end].copy_from_slice(&encoder.take_buffer());
    code[end..end + 6].copy_from_slice(&[0xff, 0x25, 0, 0, 0, 0]); // jmp [rip+0]
    code[end + 6..end + 14].copy_from_slice(&instruction.next_ip().to_le_bytes());
    Some((code, offsets.displacement_offset() as u8, end as u8))
}

/// Of a bit test with a register: see [`Redirect::bit_offset`]. None for one whose register is unknown to us.
fn bit_offset(instruction: &iced_x86::Instruction) -> Option<Option<(u8, u8)>> {
    let is_bit_test = matches!(
        instruction.code(),
        Code::Bt_rm16_r16
            | Code::Bt_rm32_r32
            | Code::Bt_rm64_r64
            | Code::Bts_rm16_r16
            | Code::Bts_rm32_r32
            | Code::Bts_rm64_r64
            | Code::Btr_rm16_r16
            | Code::Btr_rm32_r32
            | Code::Btr_rm64_r64
            | Code::Btc_rm16_r16
            | Code::Btc_rm32_r32
            | Code::Btc_rm64_r64
    );
    if !is_bit_test {
        return Some(None);
    }
    let register = instruction.op1_register();
    Some(Some((number(register)?, register.size().trailing_zeros() as u8)))
}

fn is_streaming(mnemonic: Mnemonic) -> bool {
    use Mnemonic::*;
    matches!(
        mnemonic,
        Movnti
            | Movntq
            | Movntdq
            | Movntps
            | Movntpd
            | Movntsd
            | Movntss
            | Vmovntdq
            | Vmovntps
            | Vmovntpd
            | Movdiri
    )
}

fn is_masked(instruction: &iced_x86::Instruction) -> bool {
    use Mnemonic::*;
    let by_vector = matches!(instruction.mnemonic(), Vmaskmovps | Vmaskmovpd | Vpmaskmovd | Vpmaskmovq);
    by_vector || instruction.op_mask() != Register::None
}
