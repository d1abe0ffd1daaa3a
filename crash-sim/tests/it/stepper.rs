//! The single-stepper sees every store, write-back and fence, with the bytes that are there afterwards.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(unsafe_code)] // The instructions to be seen are written out.

use std::arch::asm;
use std::cell::UnsafeCell;
use std::path::Path;
use std::time::Duration;

use crash_sim::stepper::{Recording, StepError, Stepper, record};
use crash_sim::trace::{Event, Trace};
use rio::{Buffer, HEADER_LEN, Medium, Region};
use vista::Segment;

#[repr(align(4096))]
struct Page(UnsafeCell<[u8; 4096]>);

// SAFETY: each test has a page of its own, and one thread.
unsafe impl Sync for Page {}

impl Page {
    const fn new() -> Self {
        Page(UnsafeCell::new([0; 4096]))
    }

    fn start(&self) -> *mut u8 {
        self.0.get().cast()
    }
}

/// What was recorded; None where it cannot be, which is said.
fn ran(result: Result<Recording, StepError>) -> Option<Recording> {
    match result {
        Ok(recording) => Some(recording),
        Err(error) if error.is_skip() => {
            eprintln!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Events in a few words each.
fn words(trace: &Trace) -> Vec<String> {
    let word = |event: &Event| match *event {
        Event::Store { offset, len, at, is_streaming } => {
            let kind = if is_streaming { "stream" } else { "store" };
            format!("{kind} {offset} {}", hex(trace.data(at, len)))
        }
        Event::Flush { offset } => format!("flush {offset}"),
        Event::Fence => "fence".to_owned(),
        Event::Load { offset, len } => format!("load {offset} {len}"),
        Event::Grow { len } => format!("grow {len}"),
        Event::Sync { offset, len } => format!("sync {offset} {len}"),
        ref other => format!("{other:?}"),
    };
    trace.events().iter().map(word).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes before, with every store made.
fn replayed(recording: &Recording) -> Vec<u8> {
    let mut bytes = recording.before.clone();
    for event in recording.trace.events() {
        match *event {
            Event::Store { offset, len, at, .. } => {
                let end = offset as usize + len as usize;
                bytes.resize(bytes.len().max(end), 0);
                bytes[offset as usize..end].copy_from_slice(recording.trace.data(at, len));
            }
            Event::Grow { len } => bytes.resize(bytes.len().max(len as usize), 0),
            _ => {}
        }
    }
    bytes
}

#[test]
fn stores_of_each_kind_are_seen() {
    static PAGES: [Page; 3] = [Page::new(), Page::new(), Page::new()];
    let start = PAGES[1].start();
    let recorded = record("kinds", start, 4096, || {
        // SAFETY: all stores are inside the three pages, which are this test's.
        unsafe {
            asm!(
                "mov byte ptr [{p}], 0x11",
                "mov word ptr [{p} + 2], 0x2233",
                "mov dword ptr [{p} + {i} * 4], 0x44556677",
                "mov qword ptr [{p} + 16], {v}",
                "movups [{p} + 24], {x}",
                "movnti [{p} + 64], {v}",
                "sfence",
                "mov qword ptr [{p} + 64], {v}", // The same bytes again.
                "mov qword ptr [{p} - 8], 0",    // Before the memory: nothing is seen.
                "add qword ptr [{p} + 4092], 1", // Half of it is behind the memory.
                p = in(reg) start,
                i = in(reg) 1_u64,
                v = in(reg) 0x0102_0304_0506_0708_u64,
                x = in(xmm_reg) 1.0_f64,
            );
        }
    });
    let Some(recording) = ran(recorded) else { return };
    let expected = [
        "store 0 11",
        "store 2 3322",
        "store 4 77665544",
        "store 16 0807060504030201",
        "store 24 000000000000f03f0000000000000000",
        "stream 64 0807060504030201",
        "fence",
        "store 64 0807060504030201",
        "store 4092 01000000",
    ];
    assert_eq!(words(&recording.trace), expected);
    assert_eq!(replayed(&recording), recording.after);
    assert!(recording.trace.site(0) < recording.trace.site(1));
}

#[test]
fn repeated_instructions_are_a_store_for_each_element() {
    static PAGE: Page = Page::new();
    let start = PAGE.start();
    let recorded = record("repeated", start, 4096, || {
        // SAFETY: eight bytes forward and four backward, inside the page; the direction is set back.
        unsafe {
            asm!(
                "rep stosb",
                "mov rcx, 2",
                "mov rdi, {p}",
                "add rdi, 128",
                "mov rsi, {p}",
                "std",
                "rep movsw",
                "cld",
                "xor ecx, ecx",
                "rep stosq", // Nothing at all.
                p = in(reg) start,
                inout("rdi") start => _,
                inout("rcx") 3_u64 => _,
                in("al") 0xaa_u8,
                out("rsi") _,
            );
        }
    });
    let Some(recording) = ran(recorded) else { return };
    let expected = ["store 0 aa", "store 1 aa", "store 2 aa", "store 128 aaaa", "store 126 0000"];
    assert_eq!(words(&recording.trace), expected);
    assert_eq!(replayed(&recording), recording.after);
}

#[test]
fn locked_instructions_are_a_store_and_a_fence() {
    static PAGE: Page = Page::new();
    let start = PAGE.start();
    let elsewhere = Box::new(0_u64);
    let recorded = record("locked", start, 4096, || {
        // SAFETY: aligned words inside the page, and one of a box that nobody else uses.
        unsafe {
            asm!(
                "lock xadd qword ptr [{p}], {v}",
                "xchg dword ptr [{p} + 8], {w:e}",
                "lock inc qword ptr [{q}]",
                "lock cmpxchg qword ptr [{p} + 16], {v}", // It fails: rax is 9.
                p = in(reg) start,
                q = in(reg) &raw const *elsewhere,
                v = inout(reg) 5_u64 => _,
                w = inout(reg) 6_u64 => _,
                inout("rax") 9_u64 => _,
            );
        }
    });
    let Some(recording) = ran(recorded) else { return };
    let expected = [
        "store 0 0500000000000000",
        "fence",
        "store 8 06000000",
        "fence",
        "store 16 0000000000000000",
        "fence",
    ];
    assert_eq!(words(&recording.trace), expected);
}

#[test]
fn write_backs_and_fences_are_seen() {
    static PAGE: Page = Page::new();
    let start = PAGE.start();
    let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap();
    let has = |flag: &str| flags.split_whitespace().any(|other| other == flag);
    let recorded = record("write-backs", start, 4096, || {
        // SAFETY: the page is mapped; `clflush` is part of every x86-64 processor.
        unsafe {
            asm!(
                "mov byte ptr [{p} + 70], 1",
                "clflush [{p} + 70]",
                "sfence",
                "lfence",
                "mfence",
                p = in(reg) start,
            );
        }
        if has("clflushopt") {
            // SAFETY: the page is mapped, and the processor has it.
            unsafe { asm!("clflushopt [{p} + 130]", p = in(reg) start) };
        }
        if has("clwb") {
            // SAFETY: as above.
            unsafe { asm!("clwb [{p} + 192]", "sfence", p = in(reg) start) };
        }
    });
    let Some(recording) = ran(recorded) else { return };
    let mut expected = vec!["store 70 01", "flush 64", "fence", "fence"];
    if has("clflushopt") {
        expected.push("flush 128");
    }
    if has("clwb") {
        expected.extend(["flush 192", "fence"]);
    }
    assert_eq!(words(&recording.trace), expected);
}

#[test]
fn loads_are_seen_if_asked_for() {
    static PAGE: Page = Page::new();
    let start = PAGE.start();
    let stepper = Stepper::new("loads").loads();
    let recorded = stepper.memory(start, 4096, || {
        // SAFETY: inside the page.
        unsafe {
            asm!(
                "mov {v}, qword ptr [{p} + 32]",
                "inc dword ptr [{p}]",
                p = in(reg) start,
                v = out(reg) _,
            );
        }
    });
    let Some(recording) = ran(recorded) else { return };
    assert_eq!(words(&recording.trace), ["load 32 8", "load 0 4", "store 0 01000000"]);
}

#[test]
fn what_a_system_call_stores_is_seen() {
    static PAGE: Page = Page::new();
    let start = PAGE.start();
    let recorded = record("call", start, 4096, || {
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        std::io::Write::write_all(&mut writer, &[7; 12]).unwrap();
        let start = start.wrapping_add(8);
        // SAFETY: inside the page, which nobody else uses meanwhile.
        let bytes = unsafe { std::slice::from_raw_parts_mut(start, 12) };
        std::io::Read::read_exact(&mut reader, bytes).unwrap();
    });
    let Some(recording) = ran(recorded) else { return };
    assert_eq!(words(&recording.trace), ["store 8 0707070707070707", "store 16 0707070700000000"]);
}

type Counters<M> = Segment<[u64; 8], M>;

fn count_up<M: Medium>(segment: &mut Counters<M>) {
    let counted = segment.transaction(|tx| -> vista::Result<()> {
        let root = tx.root_mut()?;
        root[0] += 1;
        root[7] += 1;
        Ok(())
    });
    counted.unwrap();
}

#[test]
fn a_transaction_is_what_its_stores_make_of_the_bytes() {
    let buffer = Buffer::new(64 << 10, 64 << 10);
    let (start, len) = (buffer.write_base(), buffer.len());
    let mut segment = Counters::create_on(buffer, 4096).unwrap();
    count_up(&mut segment);
    let Some(recording) = ran(record("transaction", start, len, || count_up(&mut segment))) else { return };
    assert_eq!(replayed(&recording), recording.after);
    assert_ne!(recording.before, recording.after);
    let stores = recording.trace.events().iter().filter(|event| matches!(event, Event::Store { .. }));
    assert!(stores.count() >= 4, "{recording:?}");
    println!("{} steps in {:?}, {} events", recording.steps, recording.duration, recording.trace.len());
}

#[test]
fn the_same_code_gives_the_same_stream() {
    let buffer = Buffer::new(64 << 10, 64 << 10);
    let (start, len) = (buffer.write_base(), buffer.len());
    let mut segment = Counters::create_on(buffer, 4096).unwrap();
    let mut run = |name| ran(record(name, start, len, || count_up(&mut segment)));
    let (Some(first), Some(second)) = (run("first"), run("second")) else { return };
    assert_eq!(first.trace, second.trace);
}

#[test]
fn a_region_is_seen_from_its_creation_to_its_close() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    let recorded = Stepper::new("region").file(&path, || work_in(&path));
    let Some(recording) = ran(recorded) else { return };
    let words = words(&recording.trace);
    let has = |what: &str| words.iter().any(|word| word == what);
    assert!(has("grow 16384") && has("grow 32768"), "{words:?}");
    assert!(has(&format!("store {HEADER_LEN} 07")), "{words:?}");
    assert!(words.iter().any(|word| word.starts_with("store 0 ")), "{words:?}");
    assert!(!path.exists(), "the file is the child's");
    assert_eq!(recording.after.len(), 32 << 10);
    assert_eq!(replayed(&recording), recording.after);
    println!("{} steps in {:?}: {words:?}", recording.steps, recording.duration);
}

fn work_in(path: &Path) {
    let mut region = Region::options().size(16 << 10).reserve(1 << 20).create(path).unwrap();
    region.grow(32 << 10).unwrap();
    region.bytes_mut(HEADER_LEN..HEADER_LEN + 1).unwrap()[0] = 7;
    region.close().unwrap();
}

#[test]
fn code_that_does_not_end_is_ended() {
    static PAGE: Page = Page::new();
    let stepper = Stepper::new("endless").time_limit(Duration::from_millis(700));
    let result = stepper.memory(PAGE.start(), 4096, || {
        loop {
            std::hint::spin_loop();
        }
    });
    assert!(matches!(&result, Err(error) if error.is_skip()) || matches!(result, Err(StepError::Late(_))));
}

#[test]
fn code_that_panics_is_told() {
    static PAGE: Page = Page::new();
    let stepper = Stepper::new("panics");
    let result = stepper.memory(PAGE.start(), 4096, || panic!("out of luck"));
    match result {
        Err(StepError::Child(words)) => assert!(words.contains("out of luck"), "{words}"),
        Err(error) if error.is_skip() => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn code_that_kills_its_process_is_told() {
    static PAGE: Page = Page::new();
    let result = record("aborts", PAGE.start(), 4096, || std::process::abort());
    match result {
        Err(StepError::Child(words)) => assert!(words.contains("SIGABRT"), "{words}"),
        Err(error) if error.is_skip() => {}
        other => panic!("{other:?}"),
    }
}
