//! What an instruction is about to do to memory, from its bytes and the registers. Start at [`Decoded`].

use iced_x86::{
    Decoder, DecoderOptions, Instruction, InstructionInfoFactory, MemorySize, Mnemonic, OpAccess, OpKind,
    Register, UsedMemory,
};
use libc::user_regs_struct;

/// An instruction.
pub(super) struct Decoded {
    pub(super) deed: Deed,
    memory: Vec<Memory>,
    /// Whether it orders write-backs if it stores to the memory.
    pub(super) is_locked: bool,
    pub(super) is_streaming: bool,
}

/// What kind of an instruction it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// One that loads, stores, or neither.
    Plain,
    /// One of elements of this length, perhaps repeated.
    Elements {
        len: u64,
        is_repeated: bool,
    },
    WriteBack,
    Fence,
    SystemCall,
}

/// A place in memory that an instruction uses.
#[derive(Clone, Copy)]
struct Memory {
    used: UsedMemory,
    /// None if the instruction does not tell.
    len: Option<u64>,
    loads: bool,
    stores: bool,
    /// The bit number, of a bit test, and the bytes of its operand: it may lie far from the operand.
    bit: Option<(Register, i64)>,
    /// Bytes that the stack pointer moves before the address is made.
    popped: u64,
}

/// Where an instruction loads or stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Access {
    pub(super) address: u64,
    pub(super) len: u64,
    pub(super) loads: bool,
    pub(super) stores: bool,
}

impl Decoded {
    /// Of the bytes at this address.
    pub(super) fn new(bytes: &[u8], address: u64) -> Decoded {
        let instruction = Decoder::with_ip(64, bytes, address, DecoderOptions::NONE).decode();
        let mut factory = InstructionInfoFactory::new();
        let used = factory.info(&instruction).used_memory();
        let deed = deed_of(&instruction);
        let memory = used.iter().map(|&used| Memory::of(&instruction, used, deed));
        Decoded {
            deed,
            memory: memory
                .filter(|memory| memory.loads || memory.stores || deed == Deed::WriteBack)
                .collect(),
            is_locked: instruction.has_lock_prefix() || instruction.mnemonic() == Mnemonic::Xchg,
            is_streaming: is_streaming(instruction.mnemonic()),
        }
    }

    /// Where it loads and stores, element 0 of a repeated one. None if it stores where or how much cannot be told.
    pub(super) fn accesses(&self, registers: &user_regs_struct) -> Option<Vec<Access>> {
        let mut accesses = Vec::new();
        for memory in &self.memory {
            match memory.access(registers) {
                Some(access) => accesses.push(access),
                None if memory.stores => return None,
                None => {} // A gather, or the source of something large.
            }
        }
        // What is read is read before.
        accesses.sort_by_key(|access| access.stores);
        Some(accesses)
    }
}

impl Memory {
    fn of(instruction: &Instruction, used: UsedMemory, deed: Deed) -> Memory {
        use OpAccess::*;
        let len = match deed {
            Deed::Elements { len, .. } => Some(len),
            _ => Some(used.memory_size().size() as u64).filter(|&len| len > 0),
        };
        let is_operand =
            |index| instruction.op_count() > index && instruction.op_kind(index) == OpKind::Memory;
        let is_bit_test =
            matches!(instruction.mnemonic(), Mnemonic::Bt | Mnemonic::Bts | Mnemonic::Btr | Mnemonic::Btc);
        let is_far = is_bit_test && is_operand(0) && instruction.op1_kind() == OpKind::Register;
        let is_popped = instruction.mnemonic() == Mnemonic::Pop
            && is_operand(0)
            && instruction.memory_base() == Register::RSP
            && matches!(used.access(), Write);
        Memory {
            used,
            len,
            loads: matches!(used.access(), Read | CondRead | ReadWrite | ReadCondWrite),
            stores: matches!(used.access(), Write | CondWrite | ReadWrite | ReadCondWrite),
            bit: is_far.then(|| (instruction.op1_register(), instruction.op1_register().size() as i64)),
            popped: if is_popped { instruction.memory_size().size() as u64 } else { 0 },
        }
    }

    fn access(&self, registers: &user_regs_struct) -> Option<Access> {
        let place = self
            .used
            .try_virtual_address(0, |register, _, _| value_of(registers, register).map(|v| v as u64))?;
        let mut address = place.wrapping_add(self.popped);
        if let Some((register, len)) = self.bit {
            let bit = value_of(registers, register)?;
            let elements = bit.div_euclid(8 * len);
            address = address.wrapping_add((elements * len) as u64);
        }
        Some(Access { address, len: self.len?, loads: self.loads, stores: self.stores })
    }
}

/// A general register, as a number with its sign, or the base of a segment; None for all others.
fn value_of(registers: &user_regs_struct, register: Register) -> Option<i64> {
    use Register::*;
    let whole = match register.full_register() {
        RAX => registers.rax,
        RBX => registers.rbx,
        RCX => registers.rcx,
        RDX => registers.rdx,
        RSI => registers.rsi,
        RDI => registers.rdi,
        RBP => registers.rbp,
        RSP => registers.rsp,
        R8 => registers.r8,
        R9 => registers.r9,
        R10 => registers.r10,
        R11 => registers.r11,
        R12 => registers.r12,
        R13 => registers.r13,
        R14 => registers.r14,
        R15 => registers.r15,
        FS => return Some(registers.fs_base as i64),
        GS => return Some(registers.gs_base as i64),
        // In 64-bit code these begin at 0; a place relative to the instruction is absolute already.
        CS | DS | ES | SS | RIP => return Some(0),
        _ => return Option::None,
    };
    Some(match (register, register.size()) {
        (AH, _) => i64::from((whole >> 8) as i8),
        (_, 8) => whole as i64,
        (_, 4) => i64::from(whole as i32),
        (_, 2) => i64::from(whole as i16),
        _ => i64::from(whole as i8),
    })
}

fn deed_of(instruction: &Instruction) -> Deed {
    use Mnemonic::*;
    if instruction.is_string_instruction() {
        let len = match instruction.memory_size() {
            MemorySize::UInt8 | MemorySize::Int8 => 1,
            size => size.size() as u64,
        };
        let is_repeated = instruction.has_rep_prefix() || instruction.has_repne_prefix();
        return Deed::Elements { len, is_repeated };
    }
    match instruction.mnemonic() {
        Clwb | Clflushopt | Clflush => Deed::WriteBack,
        Sfence | Mfence => Deed::Fence,
        Syscall | Sysenter | Int => Deed::SystemCall,
        _ => Deed::Plain,
    }
}

fn is_streaming(mnemonic: Mnemonic) -> bool {
    use Mnemonic::*;
    let stores = [
        Movnti,
        Movntq,
        Movntdq,
        Movntps,
        Movntpd,
        Movntss,
        Movntsd,
        Vmovntdq,
        Vmovntps,
        Vmovntpd,
        Movdiri,
        Movdir64b,
        Maskmovq,
        Maskmovdqu,
        Vmaskmovdqu,
    ];
    stores.contains(&mnemonic)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the instruction does with these registers: rax = 0x1000, rcx = 2, rdx = -1, rdi = 0x2000, rsi = 0x3000,
    /// rsp = 0x4000, fs at 0x5000; it lies at 0x10000.
    fn check(bytes: &[u8], deed: Deed, expected: &[(u64, u64, bool, bool)]) {
        let mut registers = registers();
        (registers.rax, registers.rcx, registers.rdx) = (0x1000, 2, u64::MAX);
        (registers.rdi, registers.rsi, registers.rsp) = (0x2000, 0x3000, 0x4000);
        registers.fs_base = 0x5000;
        let decoded = Decoded::new(bytes, 0x10000);
        assert_eq!(decoded.deed, deed, "{bytes:x?}");
        let accesses = decoded.accesses(&registers).unwrap();
        let accesses: Vec<_> = accesses.iter().map(|a| (a.address, a.len, a.loads, a.stores)).collect();
        assert_eq!(accesses, expected, "{bytes:x?}");
    }

    fn registers() -> user_regs_struct {
        user_regs_struct {
            r15: 0,
            r14: 0,
            r13: 0,
            r12: 0,
            rbp: 0,
            rbx: 0,
            r11: 0,
            r10: 0,
            r9: 0,
            r8: 0,
            rax: 0,
            rcx: 0,
            rdx: 0,
            rsi: 0,
            rdi: 0,
            orig_rax: 0,
            rip: 0,
            cs: 0,
            eflags: 0,
            rsp: 0,
            ss: 0,
            fs_base: 0,
            gs_base: 0,
            ds: 0,
            es: 0,
            fs: 0,
            gs: 0,
        }
    }

    #[test]
    fn addresses_are_made_as_the_processor_makes_them() {
        let plain = Deed::Plain;
        check(&[0x48, 0x89, 0x08], plain, &[(0x1000, 8, false, true)]); // mov [rax], rcx
        check(&[0x88, 0x4c, 0x88, 0x05], plain, &[(0x100d, 1, false, true)]); // mov [rax+rcx*4+5], cl
        check(&[0x67, 0x89, 0x0c, 0x10], plain, &[(0xfff, 4, false, true)]); // mov [eax+edx], ecx
        check(&[0x64, 0x89, 0x08], plain, &[(0x6000, 4, false, true)]); // mov fs:[rax], ecx
        check(&[0xc7, 0x05, 4, 0, 0, 0, 9, 0, 0, 0], plain, &[(0x1000e, 4, false, true)]); // mov dword [rip+4], 9
        check(&[0xf0, 0x48, 0x0f, 0xc1, 0x08], plain, &[(0x1000, 8, true, true)]); // lock xadd [rax], rcx
        check(&[0x0f, 0x11, 0x00], plain, &[(0x1000, 16, false, true)]); // movups [rax], xmm0
        check(&[0x48, 0x0f, 0xab, 0x10], plain, &[(0xff8, 8, true, true)]); // bts [rax], rdx
    }

    #[test]
    fn string_instructions_have_elements() {
        let of = |len, is_repeated| Deed::Elements { len, is_repeated };
        check(&[0xf3, 0xaa], of(1, true), &[(0x2000, 1, false, true)]); // rep stosb
        check(&[0xf3, 0x48, 0xab], of(8, true), &[(0x2000, 8, false, true)]); // rep stosq
        check(&[0xa5], of(4, false), &[(0x3000, 4, true, false), (0x2000, 4, false, true)]); // movsd
    }

    #[test]
    fn write_backs_and_fences_are_known() {
        assert_eq!(Decoded::new(&[0x66, 0x0f, 0xae, 0x30], 0).deed, Deed::WriteBack); // clwb [rax]
        assert_eq!(Decoded::new(&[0x66, 0x0f, 0xae, 0x38], 0).deed, Deed::WriteBack); // clflushopt [rax]
        assert_eq!(Decoded::new(&[0x0f, 0xae, 0x38], 0).deed, Deed::WriteBack); // clflush [rax]
        assert_eq!(Decoded::new(&[0x0f, 0xae, 0xf8], 0).deed, Deed::Fence); // sfence
        assert_eq!(Decoded::new(&[0x0f, 0xae, 0xf0], 0).deed, Deed::Fence); // mfence
        assert_eq!(Decoded::new(&[0x0f, 0xae, 0xe8], 0).deed, Deed::Plain); // lfence
    }

    #[test]
    fn what_cannot_be_told_is_not_guessed() {
        let decoded = Decoded::new(&[0x48, 0x0f, 0xae, 0x20], 0); // xsave64 [rax]
        assert_eq!(decoded.accesses(&registers()), None);
        // vpscatterdd [rax+zmm1*4]{k1}, zmm2
        let decoded = Decoded::new(&[0x62, 0xf2, 0x7d, 0x49, 0xa0, 0x14, 0x88], 0);
        assert_eq!(decoded.accesses(&registers()), None);
    }
}
