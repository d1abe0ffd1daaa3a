//! Marks around a loop, for those who look at the process from outside: a tracer and callgrind.
//!
//! Without an onlooker they are two system calls and some instructions that do nothing. Start at [`between_marks`].

#![allow(unsafe_code)] // A system call with arguments that it does not have, and callgrind's own instructions.

/// First argument of the system call that is a mark. `getppid` has none and ignores them.
pub(crate) const MARK: u64 = 0x5249_4F56_4953_5441;
/// Second argument at the beginning; at the end it is 0.
pub(crate) const BEGIN: u64 = 1;

/// Runs `work` so that an onlooker can tell it from what comes before and behind.
pub fn between_marks(work: impl FnOnce()) {
    callgrind::start();
    mark(BEGIN);
    work();
    mark(0);
    callgrind::stop();
}

fn mark(which: u64) {
    // SAFETY: the call takes no arguments, cannot fail and changes nothing.
    unsafe { libc::syscall(libc::SYS_getppid, MARK, which) };
}

/// Callgrind's client requests: a sequence of instructions that does nothing, by which valgrind knows that it is spoken
/// to. The sequences and numbers are those of `valgrind.h` and `callgrind.h`.
mod callgrind {
    const BASE: usize = ((b'C' as usize) << 24) | ((b'T' as usize) << 16);

    pub(super) fn start() {
        request(BASE + 4);
    }

    pub(super) fn stop() {
        request(BASE + 5);
    }

    #[cfg(target_arch = "x86_64")]
    fn request(number: usize) {
        let arguments = [number, 0, 0, 0, 0, 0];
        // SAFETY: the rotations add up to 128 bits and leave the register as it was; an exchange with itself changes
        // nothing. Valgrind reads six words behind `rax`, which are there, and answers in `rdx`.
        unsafe {
            std::arch::asm!(
                "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
                in("rax") arguments.as_ptr(), inout("rdx") 0_usize => _, options(nostack)
            );
        }
    }

    #[cfg(target_arch = "aarch64")]
    fn request(number: usize) {
        let arguments = [number, 0, 0, 0, 0, 0];
        // SAFETY: as above, with `x4` and `x3`.
        unsafe {
            std::arch::asm!(
                "ror x12, x12, #3", "ror x12, x12, #13", "ror x12, x12, #51", "ror x12, x12, #61", "orr x10, x10, x10",
                in("x4") arguments.as_ptr(), inout("x3") 0_usize => _, options(nostack)
            );
        }
    }
}
