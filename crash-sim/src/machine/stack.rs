//! The stack that the handlers of a traced thread run on.
//!
//! The kernel puts all registers there, with AVX-512 some 3 KiB of them and with AMX 11, and the decoder needs more than
//! the little stack that the standard library gives to each thread for reporting a stack overflow.

#![allow(unsafe_code)] // sigaltstack and mmap.

use std::cell::Cell;
use std::ptr;

use super::MachineError;
use super::arena::system;

const LEN: usize = 256 << 10;

/// A stack of this thread, made when it first traces and kept for the next time.
struct Stack(*mut libc::c_void);

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: mapped by `Stack::new`; no trace is on in a thread that ends.
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
