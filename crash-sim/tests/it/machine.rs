//! The machine recorder sees every store, write-back and fence, and the program does not notice.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(unsafe_code)] // What is tested is machine code.

use std::arch::asm;
use std::sync::Barrier;

use crash_sim::machine::{
    Arena, MachineError, Protection, TraceOptions, in_file, in_memory, is_counted, mark,
};
use crash_sim::trace::{Event, Trace};
use rio::{Medium, Region, WriteBack, store_fence};

const LEN: usize = 8192;

/// Bytes that differ from their neighbours.
fn pattern() -> Vec<u8> {
    (0..LEN).map(|at| (at * 7 + at / 256) as u8).collect()
}

fn bytes(start: *const u8) -> Vec<u8> {
    // SAFETY: all callers give memory of this length.
    unsafe { std::slice::from_raw_parts(start, LEN) }.to_vec()
}

fn fill(start: *mut u8) {
    let pattern = pattern();
    // SAFETY: all callers give memory of this length.
    unsafe { start.copy_from_nonoverlapping(pattern.as_ptr(), LEN) };
}

/// An arena that holds the pattern.
fn arena() -> Arena {
    let arena = Arena::new(LEN as u64).unwrap();
    fill(arena.alias());
    arena
}

/// What the stores of a trace make of these bytes.
fn replay(trace: &Trace, mut bytes: Vec<u8>) -> Vec<u8> {
    for event in trace.events() {
        if let Event::Store { offset, len, at, .. } = *event {
            bytes[offset as usize..][..len as usize].copy_from_slice(trace.data(at, len));
        }
    }
    bytes
}

#[repr(C, align(4096))]
struct Plain([u8; LEN]);

/// A piece of machine code that uses memory at the given address; what it returns (registers, flags) must not depend on
/// whether it is traced.
type Code = unsafe fn(*mut u8) -> [u64; 4];

/// Runs the code on ordinary memory and traced, compares all, and returns the trace.
fn check_with(name: &str, code: Code, options: &TraceOptions<'_>) -> Trace {
    let mut plain = Box::new(Plain([0; LEN]));
    let start = plain.0.as_mut_ptr();
    fill(start);
    // SAFETY: the code stays within `LEN` bytes.
    let expected = unsafe { code(start) };
    let arena = arena();
    let mut trace = Trace::new();
    // SAFETY: as above.
    let traced = arena.trace(options, &mut trace, || unsafe { code(arena.view()) });
    let traced = traced.unwrap_or_else(|error| panic!("{name}: {error}"));
    let relative = |values: [u64; 4], base: *mut u8| {
        values.map(|value| match value.wrapping_sub(base.addr() as u64) {
            offset if offset < LEN as u64 * 2 => offset,
            _ => value,
        })
    };
    assert_eq!(relative(traced, arena.view()), relative(expected, start), "{name}: registers and flags");
    assert!(bytes(arena.view()) == bytes(start), "{name}: the memory is not the same");
    assert!(replay(&trace, pattern()) == bytes(start), "{name}: the trace is not what happened: {trace:?}");
    assert_eq!(arena.protection(), Protection::Open);
    trace
}

/// As `check_with`, with loads and without; and the stores are these.
fn check(name: &str, code: Code, stores: &[(u64, u32)]) -> Trace {
    let trace = check_with(name, code, &TraceOptions::default());
    assert_eq!(stored(&trace), stores, "{name}");
    let loads = TraceOptions { loads: true, ..TraceOptions::default() };
    assert_eq!(stored(&check_with(name, code, &loads)), stores, "{name}, with loads");
    trace
}

fn stored(trace: &Trace) -> Vec<(u64, u32)> {
    let stores = trace.events().iter().filter_map(|event| match *event {
        Event::Store { offset, len, .. } => Some((offset, len)),
        _ => None,
    });
    stores.collect()
}

fn count(trace: &Trace, wanted: impl Fn(&Event) -> bool) -> usize {
    trace.events().iter().filter(|event| wanted(event)).count()
}

/// The arithmetic flags.
const FLAGS: u64 = 0x8d5;

/// Declares a [`Code`] of assembly that has the memory in `rdi`, sets all arithmetic flags before and returns them
/// after, with rax, rdx and rcx.
macro_rules! code {
    ($($line:literal),+ $(,)?) => {{
        unsafe fn code(start: *mut u8) -> [u64; 4] {
            let (mut rax, mut rdx, mut rcx): (u64, u64, u64) = (0x1122_3344_5566_7788, 0x99aa_bbcc_ddee_ff00, 5);
            let flags: u64;
            // SAFETY: it stays within the memory given; what it clobbers is named.
            unsafe {
                asm!(
                    "push rbx",
                    "mov rbx, 0x0f1e2d3c4b5a6978",
                    "mov r9d, 0x7fffffff",
                    "add r9d, 1", // Sign and overflow are set, zero is not.
                    "stc",
                    $($line,)+
                    "pushfq",
                    "pop {flags}",
                    "cld",
                    "pop rbx",
                    flags = lateout(reg) flags,
                    inout("rax") rax, inout("rdx") rdx, inout("rcx") rcx,
                    inout("rdi") start => _, out("rsi") _, out("r8") _, out("r9") _,
                    out("xmm0") _, out("xmm1") _,
                );
            }
            [rax, rdx, rcx, flags & FLAGS]
        }
        code as Code
    }};
}

#[test]
fn a_plain_store_of_any_width_is_recorded() {
    check("mov 8", code!("mov [rdi + 16], rax"), &[(16, 8)]);
    check("mov 4", code!("mov [rdi + rcx * 4 + 16], eax"), &[(36, 4)]);
    check("mov 2", code!("mov [rdi + 17], ax"), &[(17, 2)]);
    check("mov 1", code!("mov [rdi + 17], al"), &[(17, 1)]);
    check("mov high byte", code!("mov [rdi + 17], ah"), &[(17, 1)]);
    check("mov r8b", code!("mov r8, rax", "mov [rdi + 4095], r8b"), &[(4095, 1)]);
    check("mov across pages", code!("mov [rdi + 4092], rax"), &[(4092, 8)]);
    check("mov immediate", code!("mov dword ptr [rdi + 8], 0x12345678"), &[(8, 4)]);
    check("mov immediate 8", code!("mov qword ptr [rdi + 8], -2"), &[(8, 8)]);
    check("mov immediate 1", code!("mov byte ptr [rdi + 8191], 77"), &[(8191, 1)]);
    check("movbe", code!("movbe [rdi + 8], rax"), &[(8, 8)]);
}

#[test]
fn a_store_that_also_loads_keeps_its_flags() {
    check("add immediate", code!("add qword ptr [rdi + 64], 127"), &[(64, 8)]);
    check("sub", code!("sub [rdi + 64], eax"), &[(64, 4)]);
    check("adc", code!("adc [rdi + 64], rax"), &[(64, 8)]);
    check("inc", code!("inc byte ptr [rdi + 64]"), &[(64, 1)]);
    check("neg", code!("neg word ptr [rdi + 64]"), &[(64, 2)]);
    check("shl", code!("shl qword ptr [rdi + 64], cl"), &[(64, 8)]);
    check("shrd", code!("shrd [rdi + 64], rax, 7"), &[(64, 8)]);
    check("setc", code!("setc byte ptr [rdi + 9]", "seto byte ptr [rdi + 10]"), &[(9, 1), (10, 1)]);
}

#[test]
fn a_bit_test_reaches_beyond_its_operand() {
    check("bts immediate", code!("bts qword ptr [rdi + 64], 63"), &[(64, 8)]);
    check("bts", code!("mov eax, 200", "bts [rdi + 64], rax"), &[(88, 8)]);
    check("btr back", code!("mov rax, -1", "btr [rdi + 64], rax"), &[(56, 8)]);
    check("btc 4", code!("mov eax, 33", "btc [rdi + 64], eax"), &[(68, 4)]);
    check("btc 2 back", code!("mov eax, -17", "btc [rdi + 64], ax"), &[(60, 2)]);
    let trace = check("lock bts", code!("mov eax, 70", "lock bts [rdi], rax"), &[(8, 8)]);
    assert_eq!(trace.events()[1], Event::Fence);
}

#[test]
fn a_locked_store_is_followed_by_a_fence() {
    for (name, code, store) in [
        ("xchg", code!("xchg [rdi + 8], rax"), (8, 8)),
        ("xchg byte", code!("xchg [rdi + 9], dl"), (9, 1)),
        ("lock xadd", code!("lock xadd [rdi + 8], rax"), (8, 8)),
        ("lock inc", code!("lock inc dword ptr [rdi + 8]"), (8, 4)),
        ("cmpxchg fails", code!("lock cmpxchg [rdi + 8], rdx"), (8, 8)),
        ("cmpxchg succeeds", code!("mov rax, [rdi + 8]", "lock cmpxchg [rdi + 8], rdx"), (8, 8)),
        ("cmpxchg16b fails", code!("lock cmpxchg16b [rdi + 16]"), (16, 16)),
        (
            "cmpxchg16b succeeds",
            code!("mov rax, [rdi + 16]", "mov rdx, [rdi + 24]", "lock cmpxchg16b [rdi + 16]"),
            (16, 16),
        ),
    ] {
        let trace = check(name, code, &[store]);
        let counted: Vec<_> = trace.events().iter().filter(|event| is_counted(event)).collect();
        assert!(matches!(counted[..], [Event::Store { .. }, Event::Fence]), "{name}: {trace:?}");
    }
    let unlocked = check("cmpxchg", code!("cmpxchg [rdi + 8], rdx"), &[(8, 8)]);
    assert_eq!(unlocked.len(), 1);
}

#[test]
fn vector_stores_are_recorded() {
    check("movaps", code!("movq xmm0, rax", "movaps [rdi + 32], xmm0"), &[(32, 16)]);
    check("movups", code!("movq xmm0, rax", "movups [rdi + 33], xmm0"), &[(33, 16)]);
    check("movdqu", code!("movups xmm0, [rdi]", "movdqu [rdi + 4090], xmm0"), &[(4090, 16)]);
    check("movlps", code!("movq xmm0, rax", "movlps [rdi + 33], xmm0"), &[(33, 8)]);
    check("movd", code!("movq xmm0, rax", "movd [rdi + 33], xmm0"), &[(33, 4)]);
    check("movss", code!("movq xmm0, rax", "movss [rdi + 33], xmm0"), &[(33, 4)]);
    check("movsd", code!("movq xmm0, rax", "movsd [rdi + 33], xmm0"), &[(33, 8)]);
    if is_x86_feature_detected!("sse4.1") {
        check("pextrq", code!("movups xmm0, [rdi]", "pextrq [rdi + 65], xmm0, 1"), &[(65, 8)]);
        check("pextrb", code!("movups xmm0, [rdi]", "pextrb [rdi + 65], xmm0, 9"), &[(65, 1)]);
    }
    if is_x86_feature_detected!("avx") {
        let code = code!("vmovups ymm0, [rdi + 1]", "vmovdqu [rdi + 100], ymm0", "vzeroupper");
        check("vmovdqu", code, &[(100, 32)]);
        let masked = code!(
            "vxorps ymm1, ymm1, ymm1",
            "movq xmm1, rdx", // One lane whose sign is set, seven others.
            "vmovups ymm0, [rdi + 1]",
            "vmaskmovps [rdi + 100], ymm1, ymm0",
            "vzeroupper"
        );
        check("vmaskmovps", masked, &[(100, 32)]);
    }
    if is_x86_feature_detected!("avx512f") {
        let masked = code!(
            "mov eax, 0x5a3c",
            "kmovw k1, eax",
            "vmovups zmm0, [rdi + 3]",
            "vmovdqu32 [rdi + 130]{{k1}}, zmm0",
            "vmovups [rdi + 512], zmm0",
            "vpcompressd [rdi + 700]{{k1}}, zmm0",
            "vzeroupper"
        );
        check("avx-512", masked, &[(130, 64), (512, 64), (700, 64)]);
        let at_end = code!(
            "mov eax, 0x000f",
            "kmovw k1, eax",
            "vmovups zmm0, [rdi + 3]",
            "vmovdqu32 [rdi + 8176]{{k1}}, zmm0",
            "vzeroupper"
        );
        // On ordinary memory this is masked too, so it does not touch what lies behind.
        check("masked beyond the end", at_end, &[(8176, 16)]);
    }
}

#[test]
fn x87_stores_are_recorded() {
    check("fistp", code!("fild qword ptr [rdi]", "fistp qword ptr [rdi + 64]"), &[(64, 8)]);
    check("fstp", code!("fld1", "fstp tbyte ptr [rdi + 64]"), &[(64, 10)]);
    check("stmxcsr", code!("stmxcsr [rdi + 64]"), &[(64, 4)]);
}

#[test]
fn string_stores_are_one_event_for_each_element() {
    let five = |first: u64, step: i64, len: u32| -> Vec<_> {
        (0..5).map(|n| (first.wrapping_add_signed(n * step), len)).collect()
    };
    check("rep movsb", code!("lea rsi, [rdi + 1000]", "rep movsb"), &five(0, 1, 1));
    check("rep movsq", code!("lea rsi, [rdi + 1000]", "rep movsq"), &five(0, 8, 8));
    check("overlapping", code!("mov rsi, rdi", "inc rdi", "rep movsb"), &five(1, 1, 1));
    let back = code!("lea rsi, [rdi + 1000]", "add rdi, 100", "std", "rep movsb");
    check("backward", back, &five(100, -1, 1));
    let back = code!("lea rsi, [rdi + 1000]", "add rdi, 100", "std", "rep movsq");
    check("backward by 8", back, &five(100, -8, 8));
    check("rep stosb", code!("rep stosb"), &five(0, 1, 1));
    check("rep stosd", code!("rep stosd"), &five(0, 4, 4));
    check("stosd", code!("stosd"), &[(0, 4)]);
    check("stosq back", code!("add rdi, 64", "std", "stosq"), &[(64, 8)]);
    check("movsw", code!("lea rsi, [rdi + 1000]", "movsw"), &[(0, 2)]);
    check("none at all", code!("xor ecx, ecx", "mov rsi, rdi", "rep movsb"), &[]);
}

#[test]
fn string_instructions_that_load_keep_their_flags() {
    check("lods", code!("mov rsi, rdi", "lodsb", "lodsd", "lodsw"), &[]);
    check("repe cmps", code!("lea rsi, [rdi + 1]", "mov ecx, 300", "repe cmpsb"), &[]);
    check("repne scas", code!("mov ecx, 300", "mov al, 70", "repne scasb"), &[]);
    check("repe scas", code!("mov ecx, 300", "mov al, [rdi]", "repe scasb"), &[]);
    check("cmpsq", code!("lea rsi, [rdi + 8]", "cmpsq"), &[]);
    check("cmpsq overflow", code!("lea rsi, [rdi + 19]", "add rdi, 300", "cmpsd", "lahf"), &[]);
}

#[test]
fn a_copy_may_begin_or_end_outside_of_the_arena() {
    let arena = arena();
    let source = [0x5a_u8; 64];
    let mut target = [0_u8; 64];
    let mut trace = Trace::new();
    let copy = |from: *const u8, to: *mut u8| {
        // SAFETY: both have 64 bytes.
        unsafe { asm!("rep movsb", inout("rcx") 64 => _, inout("rsi") from => _, inout("rdi") to => _) };
    };
    let loads = TraceOptions { loads: true, ..TraceOptions::default() };
    let view = arena.view();
    arena.trace(&loads, &mut trace, || copy(source.as_ptr(), view)).unwrap();
    assert_eq!(count(&trace, |event| matches!(event, Event::Store { .. })), 64);
    assert_eq!(bytes(arena.alias())[..64], source);
    trace.clear();
    arena.trace(&loads, &mut trace, || copy(view, target.as_mut_ptr())).unwrap();
    assert_eq!(count(&trace, |event| matches!(event, Event::Load { .. })), 64);
    assert_eq!(trace.len(), 64);
    assert_eq!(target, source);
}

#[test]
fn streaming_stores_are_told_apart() {
    let is_streaming = |event: &Event| matches!(event, Event::Store { is_streaming: true, .. });
    for (name, code, store) in [
        ("movnti", code!("movnti [rdi + 8], rax"), (8, 8)),
        ("movnti 4", code!("movnti [rdi + 8], eax"), (8, 4)),
        ("movntdq", code!("movq xmm0, rax", "movntdq [rdi + 16], xmm0"), (16, 16)),
        ("movntps", code!("movq xmm0, rax", "movntps [rdi + 16], xmm0"), (16, 16)),
    ] {
        assert_eq!(count(&check(name, code, &[store]), is_streaming), 1, "{name}");
    }
    assert_eq!(count(&check("mov", code!("mov [rdi], rax"), &[(0, 8)]), is_streaming), 0);
}

#[test]
fn push_and_pop_of_the_arena_are_recorded() {
    check("push", code!("push qword ptr [rdi + 8]", "pop rax"), &[]);
    check("pop", code!("push rax", "pop qword ptr [rdi + 8]"), &[(8, 8)]);
    let jump =
        code!("lea rax, [rip + 2f]", "mov [rdi], rax", "jmp qword ptr [rdi]", "2: mov qword ptr [rdi], 1");
    check("jump", jump, &[(0, 8), (0, 8)]);
}

#[test]
fn all_forms_of_address_are_understood() {
    check("negative index", code!("mov rcx, -3", "mov [rdi + rcx * 8 + 64], rax"), &[(40, 8)]);
    check("no base", code!("lea rsi, [rdi + 8]", "mov [rsi * 1 + 0], rax"), &[(8, 8)]);
    check(
        "extended",
        code!("lea r8, [rdi + 800]", "mov r9, -9", "mov [r8 + r9 * 2 + 1000], rax"),
        &[(1782, 8)],
    );
    check(
        "segment prefix",
        code!("mov ds:[rdi + 8], rax", ".byte 0x3e", "mov [rdi], rax"),
        &[(8, 8), (0, 8)],
    );
}

#[test]
fn a_load_is_recorded_where_it_is_wanted() {
    let code = code!("mov rax, [rdi + 8]", "mov edx, [rdi + 5000]", "add [rdi + 16], eax");
    let all = TraceOptions { loads: true, ..TraceOptions::default() };
    let loads = |trace: &Trace| -> Vec<_> {
        let loads = trace.events().iter().filter_map(|event| match *event {
            Event::Load { offset, len } => Some((offset, len)),
            _ => None,
        });
        loads.collect()
    };
    assert_eq!(loads(&check_with("all", code, &all)), [(8, 8), (5000, 4), (16, 4)]);
    let second_page = TraceOptions { load_pages: Some(&[1, 999]), ..TraceOptions::default() };
    assert_eq!(loads(&check_with("second page", code, &second_page))[..1], [(5000, 4)]);
    assert_eq!(loads(&check_with("none", code, &TraceOptions::default())), []);
}

/// Stores, writes back and fences as a log would.
fn persist_two(start: *mut u8) {
    for line in [0, 128] {
        // SAFETY: within the memory that all callers give.
        let place = unsafe { start.add(line) };
        // SAFETY: as above.
        unsafe { place.write_volatile(1) };
        // SAFETY: (1) mapped, as above. (2) The processor's best instruction.
        unsafe { WriteBack::best().lines(place.wrapping_add(5), 8) };
        store_fence();
    }
}

#[test]
fn flushes_and_fences_come_in_order() {
    let arena = arena();
    let mut trace = Trace::new();
    arena.trace(&TraceOptions::default(), &mut trace, || persist_two(arena.view())).unwrap();
    let store = |offset, at| Event::Store { offset, len: 1, at, is_streaming: false };
    let expected = [
        store(0, 0),
        Event::Flush { offset: 0 },
        Event::Fence,
        store(128, 1),
        Event::Flush { offset: 128 },
        Event::Fence,
    ];
    assert_eq!(trace.events(), expected);
    for site in (0..trace.len()).map(|index| trace.site(index)) {
        assert_eq!(in_memory(in_file(site).unwrap()), Some(site));
    }
    // Untraced, until long after the breakpoints are gone again, and then traced once more.
    (0..200).for_each(|_| persist_two(arena.view()));
    let mut again = Trace::new();
    arena.trace(&TraceOptions::default(), &mut again, || persist_two(arena.view())).unwrap();
    assert_eq!(again, trace);
}

#[test]
fn every_kind_of_flush_and_fence_is_found() {
    let code = code!("clflush [rdi + 70]", "sfence", "mfence", "lfence", "clflush [rsp]");
    let trace = check("clflush", code, &[]);
    assert_eq!(trace.events(), [Event::Flush { offset: 64 }, Event::Fence, Event::Fence]);
    if is_x86_feature_detected!("avx512f") {
        let code = code!("mov r8, rdi", "clwb [r8 + rcx * 8]", "clflushopt [rdi + 4096]", "sfence");
        let trace = check("clwb", code, &[]);
        let flushes = [Event::Flush { offset: 0 }, Event::Flush { offset: 4096 }, Event::Fence];
        assert_eq!(trace.events(), flushes);
    }
}

#[test]
fn an_event_can_be_left_out() {
    let all = {
        let arena = arena();
        let mut trace = Trace::new();
        arena.trace(&TraceOptions::default(), &mut trace, || persist_two(arena.view())).unwrap();
        trace
    };
    for skip in 0..all.len() {
        for by_site in [false, true] {
            let arena = arena();
            let mut trace = Trace::new();
            let options = match by_site {
                false => TraceOptions { skip: Some(skip), ..TraceOptions::default() },
                true => TraceOptions { skip_site: Some(all.site(skip)), ..TraceOptions::default() },
            };
            arena.trace(&options, &mut trace, || persist_two(arena.view())).unwrap();
            let left = |index: &usize| match by_site {
                false => *index != skip,
                true => all.site(*index) != all.site(skip),
            };
            let kinds = |trace: &Trace, index| match trace.events()[index] {
                Event::Store { offset, len, .. } => Event::Load { offset, len }, // Its place in the data may differ.
                other => other,
            };
            let expected: Vec<_> = (0..all.len()).filter(left).map(|index| kinds(&all, index)).collect();
            let found: Vec<_> = (0..trace.len()).map(|index| kinds(&trace, index)).collect();
            assert_eq!(found, expected, "without {skip}");
            assert!(replay(&trace, pattern()) == bytes(arena.alias()), "without {skip}");
        }
    }
}

#[test]
fn a_store_that_is_left_out_changes_registers_all_the_same() {
    let arena = arena();
    let code: Code = code!("lock xadd [rdi + 8], rax");
    let mut trace = Trace::new();
    let options = TraceOptions { skip: Some(0), ..TraceOptions::default() };
    // SAFETY: within the arena.
    let values = arena.trace(&options, &mut trace, || unsafe { code(arena.view()) }).unwrap();
    assert_eq!(values[0].to_le_bytes(), pattern()[8..16], "the old value is in the register");
    assert!(bytes(arena.alias()) == pattern(), "the memory is as it was");
    assert_eq!(trace.events(), [Event::Fence]);
    trace.clear();
    let code: Code = code!("rep stosb");
    let options = TraceOptions { skip: Some(3), ..TraceOptions::default() };
    // SAFETY: within the arena.
    let values = arena.trace(&options, &mut trace, || unsafe { code(arena.view()) }).unwrap();
    assert_eq!(values[2], 0);
    assert_eq!(stored(&trace), [(0, 1), (1, 1), (2, 1), (4, 1)]);
    assert_eq!(bytes(arena.alias())[3], pattern()[3]);
}

#[test]
fn what_cannot_be_recorded_is_reported_and_executed() {
    let refused: &[(&str, Code)] = &[
        ("maskmovdqu", code!("pcmpeqd xmm0, xmm0", "movq xmm1, rax", "maskmovdqu xmm1, xmm0")),
        ("xsave", code!("mov eax, 1", "xor edx, edx", "add rdi, 64", "xsave [rdi]")),
    ];
    for (name, code) in refused {
        let arena = arena();
        let mut trace = Trace::new();
        let done = arena.trace(&TraceOptions::default(), &mut trace, || {
            // SAFETY: within the arena.
            unsafe { arena.view().wrapping_add(4096).write_volatile(1) };
            // SAFETY: within the arena.
            unsafe { code(arena.view()) };
            // SAFETY: within the arena.
            unsafe { arena.view().wrapping_add(4097).write_volatile(1) };
        });
        let Err(MachineError::Refused { instruction, site }) = done else { panic!("{name}: {done:?}") };
        assert!(instruction.contains(name), "{instruction}");
        assert_ne!(site, 0);
        assert_eq!(stored(&trace), [(4096, 1)], "{name}: recorded up to there");
        assert!(bytes(arena.alias())[..512] != pattern()[..512], "{name}: executed all the same");
        assert_eq!(bytes(arena.alias())[4097], 1);
        trace.clear();
        arena.trace(&TraceOptions::default(), &mut trace, || persist_two(arena.view())).unwrap();
        assert_eq!(stored(&trace), [(0, 1), (128, 1)], "the next trace is not disturbed");
    }
}

#[test]
fn calls_and_stacks_in_the_arena_are_refused() {
    extern "C" fn callee() {}
    let arena = arena();
    let slot = arena.alias().cast::<usize>();
    // SAFETY: aligned and within the arena.
    unsafe { slot.write(callee as *const () as usize) };
    let loads = TraceOptions { loads: true, ..TraceOptions::default() };
    let done = arena.trace(&loads, &mut Trace::new(), || {
        // SAFETY: the function takes nothing.
        unsafe { asm!("call [{}]", in(reg) arena.view(), clobber_abi("C")) };
    });
    assert!(matches!(done, Err(MachineError::Refused { .. })), "{done:?}");
    let done = arena.trace(&TraceOptions::default(), &mut Trace::new(), || {
        let top = arena.view().wrapping_add(4096);
        // SAFETY: the stack is our own again when it is over.
        unsafe {
            asm!("mov {old}, rsp", "mov rsp, {top}", "push 7", "mov rsp, {old}", top = in(reg) top, old = out(reg) _)
        };
    });
    assert!(matches!(done, Err(MachineError::Refused { .. })), "{done:?}");
    assert_eq!(bytes(arena.alias())[4088], 7);
}

#[test]
fn more_events_than_allowed_are_an_error_when_the_code_ends() {
    let arena = arena();
    let mut trace = Trace::new();
    let options = TraceOptions { event_limit: 5, ..TraceOptions::default() };
    let done = arena.trace(&options, &mut trace, || (0..10).for_each(|_| persist_two(arena.view())));
    assert!(matches!(done, Err(MachineError::TooManyEvents { limit: 5 })), "{done:?}");
    assert_eq!(trace.len(), 5);
    trace.clear();
    arena.trace(&TraceOptions::default(), &mut trace, || persist_two(arena.view())).unwrap();
    assert_eq!(trace.len(), 6);
}

#[test]
fn a_panic_goes_on_and_ends_the_recording() {
    let arena = arena();
    let mut trace = Trace::new();
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = arena.trace(&TraceOptions::default(), &mut trace, || {
            persist_two(arena.view());
            std::panic::resume_unwind(Box::new("expected"));
        });
    }));
    assert!(caught.is_err());
    assert_eq!(trace.len(), 6);
    assert_eq!(arena.protection(), Protection::Open);
    persist_two(arena.view());
    assert_eq!(trace.len(), 6);
    arena.trace(&TraceOptions::default(), &mut trace, || ()).unwrap();
}

#[test]
fn a_trace_within_a_trace_is_an_error() {
    let (outer, inner) = (arena(), arena());
    let options = TraceOptions::default();
    let (mut trace, mut unused) = (Trace::new(), Trace::new());
    let nested = outer.trace(&options, &mut trace, || inner.trace(&options, &mut unused, || ())).unwrap();
    assert!(matches!(nested, Err(MachineError::Nested)));
    let other_thread = outer.trace(&options, &mut trace, || {
        std::thread::scope(|scope| scope.spawn(|| outer.trace(&options, &mut unused, || ())).join().unwrap())
    });
    assert!(matches!(other_thread, Ok(Err(MachineError::Nested))));
    assert!(matches!(outer.trace(&options, &mut trace, || outer.protect(Protection::Open)), Ok(Err(_))));
}

#[test]
fn stores_outside_of_a_trace_are_executed_and_not_recorded() {
    let arena = arena();
    arena.protect(Protection::Stores).unwrap();
    persist_two(arena.view());
    assert_eq!(bytes(arena.alias())[128], 1);
    let mut trace = Trace::new();
    arena.trace(&TraceOptions::default(), &mut trace, || persist_two(arena.view())).unwrap();
    assert_eq!(trace.len(), 6);
    assert_eq!(arena.protection(), Protection::Stores);
    persist_two(arena.view());
    arena.protect(Protection::All).unwrap();
    // SAFETY: within the arena.
    assert_eq!(unsafe { arena.view().wrapping_add(128).read_volatile() }, 1);
    persist_two(arena.view());
    assert_eq!(arena.foreign_stores(), 0);
}

#[test]
fn threads_trace_arenas_of_their_own_at_once() {
    let barrier = Barrier::new(2);
    let run = |seed: u8| {
        let arena = arena();
        let mut trace = Trace::new();
        for round in 0..50_u8 {
            trace.clear();
            barrier.wait();
            let before = bytes(arena.alias());
            let work = || {
                for at in 0..40_usize {
                    // SAFETY: within the arena.
                    unsafe { arena.view().wrapping_add(at * 67).write_volatile(seed ^ round ^ at as u8) };
                    persist_two(arena.view());
                }
            };
            arena.trace(&TraceOptions::default(), &mut trace, work).unwrap();
            assert_eq!(trace.len(), 40 * 7);
            assert!(replay(&trace, before) == bytes(arena.alias()));
        }
        assert_eq!(arena.foreign_stores(), 0);
    };
    std::thread::scope(|scope| {
        scope.spawn(|| run(1));
        run(0x80);
    });
}

#[test]
fn what_another_thread_does_is_executed_and_not_recorded() {
    let arena = arena();
    let mut trace = Trace::new();
    let view = arena.view().expose_provenance();
    let work = || {
        std::thread::scope(|scope| {
            scope.spawn(|| persist_two(std::ptr::with_exposed_provenance_mut(view))).join().unwrap()
        });
    };
    arena.trace(&TraceOptions::default(), &mut trace, work).unwrap();
    assert_eq!(stored(&trace), []);
    assert_eq!(count(&trace, |event| matches!(event, Event::Flush { .. })), 0);
    assert_eq!(arena.foreign_stores(), 2);
    assert_eq!(bytes(arena.alias())[128], 1);
}

#[test]
fn marks_stand_between_the_stores() {
    let arena = arena();
    let mut trace = Trace::new();
    let store = |at: usize| {
        // SAFETY: within the arena.
        unsafe { arena.view().wrapping_add(at).write_volatile(9) };
    };
    assert!(!mark(Event::Begin { op: 0 }));
    let work = || {
        assert!(mark(Event::Begin { op: 1 }));
        store(1);
        assert!(mark(Event::Ack { op: 1 }));
        store(2);
    };
    arena.trace(&TraceOptions::default(), &mut trace, work).unwrap();
    let [Event::Begin { op: 1 }, Event::Store { .. }, Event::Ack { op: 1 }, Event::Store { .. }] =
        trace.events()
    else {
        panic!("{trace:?}")
    };
}

#[test]
fn a_region_is_traced_through_its_view_for_stores() {
    let mut region = Region::options().size(1 << 20).anonymous().unwrap();
    region.guard(65536, 4096).unwrap();
    let before = region.bytes(8192..65536).unwrap().to_vec();
    // SAFETY: the region outlives the arena and does not grow meanwhile.
    let arena = unsafe { Arena::over(region.write_base(), 4 << 20) }.unwrap();
    let mut trace = Trace::new();
    let mut store = || region.bytes_mut(10_000..10_300).unwrap().copy_from_slice(&[7; 300]);
    arena.trace(&TraceOptions::default(), &mut trace, &mut store).unwrap();
    assert_eq!(arena.protection(), Protection::Open);
    assert!(
        stored(&trace).iter().all(|(offset, len)| (10_000..10_300).contains(&(offset + u64::from(*len) - 1)))
    );
    let mut replayed = vec![0; 8192];
    replayed.extend(before);
    let replayed = replay(&trace, replayed);
    assert!(region.bytes(8192..65536).unwrap() == &replayed[8192..]);
    assert_eq!(replayed[10_299], 7);
    arena.protect(Protection::Stores).unwrap();
    drop(arena);
    region.bytes_mut(10_000..10_001).unwrap()[0] = 8;
    assert_eq!(region.bytes(10_000..10_001).unwrap(), [8]);
    region.close().unwrap();
}

#[test]
fn a_transaction_of_the_library_is_traced() {
    #[derive(Clone, Copy, vista::Persistent)]
    #[repr(C)]
    struct Root {
        values: [u64; 32],
    }
    let domain = rio::DomainChoice::Forced(rio::Domain::Adr);
    let region = Region::options().size(1 << 20).domain(domain).anonymous().unwrap();
    // SAFETY: the region outlives the arena, for it never leaves its segment, and does not grow meanwhile.
    let arena = unsafe { Arena::over(region.write_base(), 1 << 20) }.unwrap();
    let whole = || {
        // SAFETY: the arena has this length, and nobody stores meanwhile.
        unsafe { std::slice::from_raw_parts(arena.alias().cast_const(), 1 << 20) }.to_vec()
    };
    let mut segment = vista::Segment::<Root, Region>::create_on(region, 65536).unwrap();
    let mut traces = Vec::new();
    for round in 0..3 {
        let before = whole();
        let mut trace = Trace::new();
        let transaction = || {
            segment.transaction(|tx| -> vista::Result<()> {
                let values = &mut tx.root_mut()?.values;
                values.iter_mut().enumerate().for_each(|(at, value)| *value += at as u64 + round);
                Ok(())
            })
        };
        arena.trace(&TraceOptions::default(), &mut trace, transaction).unwrap().unwrap();
        assert!(replay(&trace, before) == whole());
        traces.push(trace);
    }
    assert_eq!(segment.root().unwrap().values[31], 31 * 3 + 3);
    assert!(count(&traces[1], |event| matches!(event, Event::Flush { .. })) > 0);
    assert!(count(&traces[1], |event| *event == Event::Fence) > 0);
    let last = traces[1].events().iter().rfind(|event| is_counted(event));
    assert_eq!(last, Some(&Event::Fence), "a commit ends with a fence");
    drop(segment);
}

#[test]
fn what_cannot_be_an_arena_is_refused() {
    assert!(matches!(Arena::new(0), Err(MachineError::TooLarge { .. })));
    assert!(matches!(Arena::new((1 << 30) + 1), Err(MachineError::TooLarge { .. })));
    let largest = Arena::new(1 << 30).unwrap();
    let mut trace = Trace::new();
    let last = largest.view().wrapping_add((1 << 30) - 1);
    // SAFETY: within the arena.
    largest.trace(&TraceOptions::default(), &mut trace, || unsafe { last.write_volatile(3) }).unwrap();
    assert_eq!(stored(&trace), [((1 << 30) - 1, 1)]);
    let private = Box::new(Plain([0; LEN]));
    let start = (&raw const private.0).cast_mut().cast();
    // SAFETY: it is refused.
    assert!(matches!(unsafe { Arena::over(start, LEN as u64) }, Err(MachineError::NotShared { .. })));
}

#[test]
fn a_stray_access_still_ends_the_process() {
    const VARIABLE: &str = "CRASH_SIM_MACHINE_STRAY";
    let name = "machine::a_stray_access_still_ends_the_process";
    if let Ok(kind) = std::env::var(VARIABLE) {
        let arena = arena();
        let _ = arena.trace(&TraceOptions::default(), &mut Trace::new(), || match kind.as_str() {
            // SAFETY: it ends the process, as it shall.
            "store" => unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) },
            // SAFETY: as above.
            "breakpoint" => unsafe { asm!("int3") },
            // SAFETY: as above.
            _ => unsafe { asm!("jmp {}", in(reg) arena.view()) },
        });
        return;
    }
    for (kind, signal) in [("store", libc::SIGSEGV), ("breakpoint", libc::SIGTRAP), ("jump", libc::SIGSEGV)] {
        use std::os::unix::process::ExitStatusExt;
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", name, "--nocapture"]).env(VARIABLE, kind);
        let output = command.output().unwrap();
        assert_eq!(output.status.signal(), Some(signal), "{kind}: {output:?}");
    }
}

#[test]
fn the_handlers_need_less_stack_than_the_standard_library_gives() {
    const STACK: usize = 128 << 10;
    let arena = arena();
    arena.protect(Protection::Stores).unwrap();
    let view = arena.view().expose_provenance();
    let used = move || {
        let mut stack = vec![0xaa_u8; STACK];
        let new = libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: STACK };
        let mut old = libc::stack_t { ss_sp: std::ptr::null_mut(), ss_flags: 0, ss_size: 0 };
        // SAFETY: it is taken back below.
        unsafe { libc::sigaltstack(&raw const new, &raw mut old) };
        let code: Code = code!("add dword ptr [rdi + 700], 17", "maskmovdqu xmm0, xmm0");
        // SAFETY: within the arena.
        unsafe { code(std::ptr::with_exposed_provenance_mut(view)) };
        // SAFETY: what it was before.
        unsafe { libc::sigaltstack(&raw const old, std::ptr::null_mut()) };
        STACK - stack.iter().position(|byte| *byte != 0xaa).unwrap_or(STACK)
    };
    let used = std::thread::spawn(used).join().unwrap();
    // SAFETY: it takes a number.
    let frame = unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) } as usize;
    assert!((frame / 2..frame + 4096).contains(&used), "{used} bytes, {frame} of them the kernel's");
}

/// What an event costs. Run with `--release -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn cost_of_an_event() {
    let arena = arena();
    let mut trace = Trace::new();
    let options = TraceOptions { event_limit: usize::MAX, ..TraceOptions::default() };
    let report = |what: &str, count: usize, work: &mut dyn FnMut()| {
        let start = std::time::Instant::now();
        work();
        println!("{what}: {} ns", start.elapsed().as_nanos() / count as u128);
    };
    let stores = |count: usize| {
        for at in 0..count {
            // SAFETY: within the arena.
            unsafe { arena.view().wrapping_add(at % LEN).write_volatile(1) };
        }
    };
    report("first trace", 1, &mut || arena.trace(&options, &mut Trace::new(), || ()).unwrap());
    arena.protect(Protection::Stores).unwrap();
    for _ in 0..3 {
        trace.clear();
        report("store", 200_000, &mut || arena.trace(&options, &mut trace, || stores(200_000)).unwrap());
        report("store, not recorded", 200_000, &mut || stores(200_000));
        trace.clear();
        let same = || {
            for _ in 0..200_000 {
                // SAFETY: within the arena.
                unsafe { arena.view().write_volatile(1) };
            }
        };
        report("store to the same byte", 200_000, &mut || arena.trace(&options, &mut trace, same).unwrap());
        trace.clear();
        let mut fences =
            || arena.trace(&options, &mut trace, || (0..200_000).for_each(|_| store_fence())).unwrap();
        report("fence", 200_000, &mut fences);
        report("empty trace", 10_000, &mut || {
            (0..10_000).for_each(|_| arena.trace(&options, &mut trace, || ()).unwrap());
        });
        report("trace of 1 store after 100 fences", 1_000, &mut || {
            for _ in 0..1_000 {
                trace.clear();
                arena.trace(&options, &mut trace, || stores(1)).unwrap();
                (0..100).for_each(|_| store_fence());
            }
        });
        report("new arena of 64 KiB", 1_000, &mut || {
            (0..1_000).for_each(|_| drop(Arena::new(65536).unwrap()))
        });
    }
}
