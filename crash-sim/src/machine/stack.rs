//! The stacks that the handlers run on.
//!
//! The kernel puts all registers there, with AVX-512 some 3 KiB of them and with AMX 11; a traced thread has a large
//! stack of its own for that ([`AlternateStack`]). Other threads that touch an arena have the little one that the
//! standard library gives to each for reporting a stack overflow. The handlers are content with it, but for decoding,
//! which is done on one more stack for all threads ([`spaciously`]).

#![allow(unsafe_code)] // sigaltstack, mmap, and a change of the stack pointer.

use std::cell::Cell;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::MachineError;
use super::mapping::system;

const LEN: usize = 256 << 10;

/// Memory for a stack.
struct Stack(*mut libc::c_void);

// SAFETY: it is memory, which belongs to no thread.
unsafe impl Send for Stack {}
// SAFETY: as above; it is used under a lock.
unsafe impl Sync for Stack {}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: mapped by `Stack::new`; no trace is on in a thread that ends, and statics are not dropped.
        unsafe { libc::munmap(self.0, LEN) };
    }
}

impl Stack {
    fn new() -> Result<Stack, MachineError> {
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
        // SAFETY: the kernel chooses the place.
        let start = unsafe { libc::mmap(ptr::null_mut(), LEN, prot, flags, -1, 0) };
        match start == libc::MAP_FAILED {
            true => Err(system("mmap", "memory or address space may be exhausted")),
            false => Ok(Stack(start)),
        }
    }
}

thread_local! {
    /// The stack of this thread, made when it first traces and kept for the next time.
    static STACK: Cell<Option<Stack>> = const { Cell::new(None) };
}

/// Handlers run on our stack until this is dropped.
pub(super) struct AlternateStack {
    stack: Option<Stack>,
    before: libc::stack_t,
}

impl AlternateStack {
    pub(super) fn enter() -> Result<Self, MachineError> {
        let stack = match STACK.take() {
            Some(stack) => stack,
            None => Stack::new()?,
        };
        let new = libc::stack_t { ss_sp: stack.0, ss_flags: 0, ss_size: LEN };
        let mut before = libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
        // SAFETY: the stack is mapped, and stays so until the old one is set again.
        if unsafe { libc::sigaltstack(&raw const new, &raw mut before) } != 0 {
            return Err(system("sigaltstack", "a trace cannot begin within a signal handler"));
        }
        Ok(AlternateStack { stack: Some(stack), before })
    }
}

impl Drop for AlternateStack {
    fn drop(&mut self) {
        // SAFETY: it was this thread's before.
        unsafe { libc::sigaltstack(&raw const self.before, ptr::null_mut()) };
        STACK.set(self.stack.take());
    }
}

/// The stack for decoding, and whether a thread is using it.
static SPACIOUS: OnceLock<Stack> = OnceLock::new();
static IS_USED: AtomicBool = AtomicBool::new(false);

/// Makes the stack for decoding, the first time.
pub(super) fn prepare() -> Result<(), MachineError> {
    if SPACIOUS.get().is_none() {
        let _ = SPACIOUS.set(Stack::new()?); // If another thread was faster, its stack is as good.
    }
    Ok(())
}

/// Does some work on the stack for decoding; other threads that come with such work wait by spinning, for microseconds.
/// It is called within a handler, where no other signal comes, and the work may not panic.
pub(super) fn spaciously<T>(work: impl FnOnce() -> T) -> T {
    /// The work, and then its result.
    struct Call<F, T>(Option<F>, Option<T>);
    extern "C" fn call<F: FnOnce() -> T, T>(argument: *mut libc::c_void) {
        // SAFETY: the pointer that is given below, which nobody else uses meanwhile.
        let call = unsafe { &mut *argument.cast::<Call<F, T>>() };
        call.1 = call.0.take().map(|work| work());
    }
    fn call_of<F: FnOnce() -> T, T>(_: &Call<F, T>) -> extern "C" fn(*mut libc::c_void) {
        call::<F, T>
    }
    let Some(stack) = SPACIOUS.get() else { return work() };
    while IS_USED.swap(true, Ordering::Acquire) {
        std::hint::spin_loop();
    }
    let mut argument = Call(Some(work), None);
    let function = call_of(&argument);
    let top = stack.0.wrapping_byte_add(LEN);
    // SAFETY: the stack is ours alone by the lock, and aligned to a page. The callee follows the C calling convention,
    // under which r12 stays what it is, and does not unwind: a panic in an `extern "C"` function ends the process.
    unsafe {
        std::arch::asm!(
            "mov r12, rsp",
            "mov rsp, {top}",
            "call {function}",
            "mov rsp, r12",
            top = in(reg) top,
            function = in(reg) function,
            in("rdi") &raw mut argument,
            out("r12") _,
            clobber_abi("C"),
        );
    }
    IS_USED.store(false, Ordering::Release);
    match argument.1 {
        Some(result) => result,
        None => super::engine::die("work on the stack for decoding was not done"),
    }
}
