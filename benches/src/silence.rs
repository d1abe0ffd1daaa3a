//! The proof that a path makes no system call: the process gives up the right to make any, and goes on.
//!
//! In seccomp's strict mode the kernel kills a thread at its first call other than read, write, exit and sigreturn. Start
//! at [`silently`].

#![allow(unsafe_code)] // System calls that have no safe form.

/// Runs `work` without system calls, says so by one byte on standard output, and ends the process: with success, or
/// killed at the first system call.
pub fn silently(work: impl FnOnce()) -> ! {
    // SAFETY: the call takes plain numbers; from here on it limits what the kernel does for this thread, nothing else.
    let refused = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_STRICT) };
    if refused != 0 {
        std::process::exit(2);
    }
    work();
    // SAFETY: one byte of static memory is read.
    unsafe { libc::write(1, c".".as_ptr().cast(), 1) };
    // SAFETY: the call ends the thread, the only one, without running anything else. (The library's own exit makes
    // another call, which is not allowed.)
    unsafe { libc::syscall(libc::SYS_exit, 0) };
    unreachable!("the thread has ended")
}

/// A system call, to see that it is caught.
pub fn make_a_call() {
    // SAFETY: the call has no arguments and changes nothing. (The library does not remember its answer.)
    unsafe { libc::syscall(libc::SYS_getppid) };
}
