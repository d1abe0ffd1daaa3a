//! String instructions (`movs`, `stos`, `lods`, `cmps`, `scas`), with and without a repeat prefix, element by element.
//!
//! Their operands are implied, so they cannot be aimed at the alias. One trap does all the elements of which one end
//! lies in an arena; each is an event of its own, since the processor may be interrupted, or crash, between any two. When
//! the elements leave the arena the registers are what they would be there, and the program goes on with the rest.

#![allow(unsafe_code)] // Elements are loaded and stored by address, as the program would.

use std::ptr;

use iced_x86::{Code, Register};

use super::arena::Shared;
use super::decode::Registers;
use super::table;
use super::tracer::Tracer;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Deed {
    Move,
    Store,
    Load,
    Compare,
    Scan,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeat {
    Once,
    /// As long as the count is not zero; a comparison also as long as it finds this equality.
    While {
        equal: bool,
    },
}

/// A string instruction.
#[derive(Clone, Copy)]
pub(super) struct Element {
    deed: Deed,
    len: u32,
    repeat: Repeat,
}

const CARRY: u64 = 1;
const PARITY: u64 = 1 << 2;
const ADJUST: u64 = 1 << 4;
const ZERO: u64 = 1 << 6;
const SIGN: u64 = 1 << 7;
const DIRECTION: u64 = 1 << 10;
const OVERFLOW: u64 = 1 << 11;

/// How a trap at a string instruction ended.
pub(super) enum Outcome {
    /// The instruction is done.
    Done,
    /// The rest of it is the processor's, for its next element lies in no arena.
    Rest,
    /// An element lies in an arena with some of its bytes only.
    Refused,
}

impl Element {
    /// None if it has 32-bit addresses, a source in `fs` or `gs`, or is one for ports.
    pub(super) fn of(instruction: &iced_x86::Instruction) -> Option<Element> {
        let (deed, len) = match instruction.code() {
            Code::Movsb_m8_m8 => (Deed::Move, 1),
            Code::Movsw_m16_m16 => (Deed::Move, 2),
            Code::Movsd_m32_m32 => (Deed::Move, 4),
            Code::Movsq_m64_m64 => (Deed::Move, 8),
            Code::Stosb_m8_AL => (Deed::Store, 1),
            Code::Stosw_m16_AX => (Deed::Store, 2),
            Code::Stosd_m32_EAX => (Deed::Store, 4),
            Code::Stosq_m64_RAX => (Deed::Store, 8),
            Code::Lodsb_AL_m8 => (Deed::Load, 1),
            Code::Lodsw_AX_m16 => (Deed::Load, 2),
            Code::Lodsd_EAX_m32 => (Deed::Load, 4),
            Code::Lodsq_RAX_m64 => (Deed::Load, 8),
            Code::Cmpsb_m8_m8 => (Deed::Compare, 1),
            Code::Cmpsw_m16_m16 => (Deed::Compare, 2),
            Code::Cmpsd_m32_m32 => (Deed::Compare, 4),
            Code::Cmpsq_m64_m64 => (Deed::Compare, 8),
            Code::Scasb_AL_m8 => (Deed::Scan, 1),
            Code::Scasw_AX_m16 => (Deed::Scan, 2),
            Code::Scasd_EAX_m32 => (Deed::Scan, 4),
            Code::Scasq_RAX_m64 => (Deed::Scan, 8),
            _ => return None,
        };
        // The operands of a string instruction tell the width of its addresses by their kind.
        let has_wide_addresses = (0..instruction.op_count()).all(|index| {
            use iced_x86::OpKind::*;
            !matches!(instruction.op_kind(index), MemorySegSI | MemorySegESI | MemoryESDI | MemoryESEDI)
        });
        let source_segment = instruction.segment_prefix();
        if !has_wide_addresses || matches!(source_segment, Register::FS | Register::GS) {
            return None;
        }
        let repeat = if instruction.has_repne_prefix() {
            Repeat::While { equal: false }
        } else if instruction.has_rep_prefix() {
            Repeat::While { equal: true }
        } else {
            Repeat::Once
        };
        Some(Element { deed, len, repeat })
    }

    /// Does the elements from where the registers are, and moves the registers (but for the instruction pointer).
    pub(super) fn run(
        &self,
        site: u64,
        registers: &mut Registers,
        mut tracer: Option<&mut Tracer>,
    ) -> Outcome {
        let mut is_first = true;
        loop {
            if self.repeat != Repeat::Once && registers[libc::REG_RCX as usize] == 0 {
                return Outcome::Done;
            }
            let source = self.has_source().then(|| self.place(registers[libc::REG_RSI as usize]));
            let target = self.has_target().then(|| self.place(registers[libc::REG_RDI as usize]));
            let places = [source, target];
            if places.iter().flatten().any(|place| matches!(place, Place::Torn)) {
                return Outcome::Refused;
            }
            let is_ours = places.iter().flatten().any(|place| matches!(place, Place::Inside { .. }));
            if !is_ours && !is_first {
                return Outcome::Rest;
            }
            is_first = false;
            self.one(site, registers, source, target, tracer.as_deref_mut());
            if !self.step(registers) {
                return Outcome::Done;
            }
        }
    }

    fn has_source(&self) -> bool {
        matches!(self.deed, Deed::Move | Deed::Load | Deed::Compare)
    }

    fn has_target(&self) -> bool {
        self.deed != Deed::Load
    }

    fn place<'a>(&self, address: i64) -> Place<'a> {
        let (first, last) = (address as u64, (address as u64).wrapping_add(u64::from(self.len) - 1));
        match (table::find(first as usize), table::find(last as usize)) {
            (None, None) => Place::Outside(first),
            (Some(first_arena), Some(last_arena)) if first_arena == last_arena => {
                // SAFETY: the program is using an address of this arena, so it is alive.
                let arena = unsafe { &*first_arena };
                let Some(offset) = arena.offset(first) else { return Place::Torn };
                Place::Inside { arena, offset }
            }
            _ => Place::Torn,
        }
    }

    fn one(
        &self,
        site: u64,
        registers: &mut Registers,
        source: Option<Place<'_>>,
        target: Option<Place<'_>>,
        mut tracer: Option<&mut Tracer>,
    ) {
        let accumulator = registers[libc::REG_RAX as usize] as u64;
        let mut load = |place: Option<Place<'_>>| {
            let Some(place) = place else { return 0 };
            if let (Place::Inside { arena, offset }, Some(tracer)) = (place, tracer.as_deref_mut()) {
                tracer.load(arena, offset, self.len, site);
            }
            self.read(place)
        };
        match self.deed {
            Deed::Move | Deed::Store => {
                let value = if self.deed == Deed::Move { load(source) } else { accumulator };
                let Some(place) = target else { return };
                let bytes = value.to_le_bytes();
                let bytes = &bytes[..self.len as usize];
                let is_executed = match (place, tracer) {
                    (Place::Inside { arena, offset }, Some(tracer)) => {
                        tracer.store_now(arena, offset, bytes, site)
                    }
                    _ => true,
                };
                if is_executed {
                    // SAFETY: the program stores these bytes here; of an arena, to the alias of the same byte.
                    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), place.pointer(), bytes.len()) };
                }
            }
            Deed::Load => {
                let value = load(source);
                registers[libc::REG_RAX as usize] = match self.len {
                    4 | 8 => value, // A 32-bit result clears the upper half.
                    len => accumulator & !mask(len) | value,
                } as i64;
            }
            Deed::Compare => {
                let (left, right) = (load(source), load(target));
                self.compare(left, right, registers);
            }
            Deed::Scan => {
                let right = load(target);
                self.compare(accumulator & mask(self.len), right, registers);
            }
        }
    }

    fn read(&self, place: Place<'_>) -> u64 {
        let mut bytes = [0; 8];
        let source = place.pointer().cast_const();
        // SAFETY: the program loads these bytes here; of an arena, from the alias of the same byte.
        unsafe { ptr::copy_nonoverlapping(source, bytes.as_mut_ptr(), self.len as usize) };
        u64::from_le_bytes(bytes)
    }

    /// Sets the flags as `cmp left, right` does.
    fn compare(&self, left: u64, right: u64, registers: &mut Registers) {
        let sign = 1 << (8 * self.len - 1);
        let difference = left.wrapping_sub(right) & mask(self.len);
        let flag = |is_set: bool, flag: u64| if is_set { flag } else { 0 };
        let flags = flag(left < right, CARRY)
            | flag((difference as u8).count_ones().is_multiple_of(2), PARITY)
            | flag((left ^ right ^ difference) & 0x10 != 0, ADJUST)
            | flag(difference == 0, ZERO)
            | flag(difference & sign != 0, SIGN)
            | flag((left ^ right) & (left ^ difference) & sign != 0, OVERFLOW);
        let all = CARRY | PARITY | ADJUST | ZERO | SIGN | OVERFLOW;
        let before = registers[libc::REG_EFL as usize] as u64;
        registers[libc::REG_EFL as usize] = (before & !all | flags) as i64;
    }

    /// Moves the registers to the next element; whether there may be one.
    fn step(&self, registers: &mut Registers) -> bool {
        let flags = registers[libc::REG_EFL as usize] as u64;
        let step = if flags & DIRECTION == 0 { i64::from(self.len) } else { -i64::from(self.len) };
        let mut advance = |register: i32| {
            let register = &mut registers[register as usize];
            *register = register.wrapping_add(step);
        };
        if self.has_source() {
            advance(libc::REG_RSI);
        }
        if self.has_target() {
            advance(libc::REG_RDI);
        }
        let Repeat::While { equal } = self.repeat else { return false };
        let count = &mut registers[libc::REG_RCX as usize];
        *count = count.wrapping_sub(1);
        let compares = matches!(self.deed, Deed::Compare | Deed::Scan);
        !compares || (flags & ZERO != 0) == equal
    }
}

/// Where an element lies.
#[derive(Clone, Copy)]
enum Place<'a> {
    /// In ordinary memory, or the alias of an arena: here.
    Outside(u64),
    /// In an arena.
    Inside { arena: &'a Shared, offset: u64 },
    /// Partly in an arena.
    Torn,
}

impl Place<'_> {
    fn pointer(self) -> *mut u8 {
        match self {
            Place::Outside(address) => ptr::with_exposed_provenance_mut(address as usize),
            Place::Inside { arena, offset } => arena.alias(offset),
            Place::Torn => ptr::null_mut(),
        }
    }
}

/// The bits of so many bytes.
fn mask(len: u32) -> u64 {
    u64::MAX >> (64 - 8 * len)
}
