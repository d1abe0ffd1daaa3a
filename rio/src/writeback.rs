//! Write-back: the instructions that take cache lines to the medium, and the fence that waits for them.
//!
//! Which instruction the processor has is asked once, when a region is opened. Start at [`WriteBack::best`].

#![allow(unsafe_code)] // The instructions have no other form than inline assembly.

use std::fmt;

use crate::LINE_LEN;

/// The instruction that writes a cache line back to the medium.
///
/// ```
/// println!("this processor writes lines back by {}", rio::WriteBack::best());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WriteBack {
    /// None: the domain does not need it, or the processor has none.
    None,
    /// x86-64 `clwb`: the line may stay in the cache.
    Clwb,
    /// x86-64 `clflushopt`: the line leaves the cache; unordered until the fence, as `clwb` is.
    ClflushOpt,
    /// x86-64 `clflush`: the line leaves the cache, and each waits for the one before.
    Clflush,
    /// AArch64 `dc cvap`: clean to the point of persistence.
    DcCvap,
}

impl WriteBack {
    /// The cheapest one that this processor has.
    ///
    /// Example: see [`lines`](WriteBack::lines).
    #[cfg(target_arch = "x86_64")]
    pub fn best() -> WriteBack {
        use std::arch::x86_64::{__cpuid, __cpuid_count};
        // CPUID exists on every x86-64 processor; a higher leaf than it knows would return those of the highest.
        #[allow(unused_unsafe)] // Safe in later versions of the standard library.
        // SAFETY: the instruction exists on every x86-64 processor, and leaf 0 with it.
        let highest = unsafe { __cpuid(0) }.eax;
        if highest < 7 {
            return WriteBack::Clflush;
        }
        #[allow(unused_unsafe)]
        // SAFETY: leaf 7 exists, as leaf 0 has just said.
        let features = unsafe { __cpuid_count(7, 0) }.ebx;
        if features & 1 << 24 != 0 {
            WriteBack::Clwb
        } else if features & 1 << 23 != 0 {
            WriteBack::ClflushOpt
        } else {
            WriteBack::Clflush // Part of SSE2, so of every x86-64 processor.
        }
    }

    /// The only one there is, where the processor has it.
    ///
    /// Example: see [`lines`](WriteBack::lines).
    #[cfg(target_arch = "aarch64")]
    pub fn best() -> WriteBack {
        if std::arch::is_aarch64_feature_detected!("dpb") { WriteBack::DcCvap } else { WriteBack::None }
    }

    /// Writes back the lines that hold the `len` bytes at `start`; they are durable after the next
    /// [`store_fence`](crate::store_fence).
    ///
    /// ```
    /// use rio::{WriteBack, store_fence};
    ///
    /// let bytes = [7; 100];
    /// // SAFETY: (1) The bytes are those of a slice. (2) The instruction is one that this processor has.
    /// unsafe { WriteBack::best().lines(bytes.as_ptr(), 100) };
    /// store_fence(); // On persistent memory they would be durable from here on.
    /// ```
    ///
    /// # Safety
    /// 1. The bytes are mapped and may be read, for the instruction takes the page fault that a load would take.
    /// 2. The processor has the instruction: `self` came from [`WriteBack::best`].
    #[inline]
    pub unsafe fn lines(self, start: *const u8, len: u64) {
        if len == 0 {
            return;
        }
        let end = start.addr() + len as usize;
        let mut line = start.addr() & !(LINE_LEN as usize - 1);
        while line < end {
            // SAFETY: (1) The line holds a byte of the range and does not cross a page. (2) As promised to us.
            unsafe { self.line(line) };
            line += LINE_LEN as usize;
        }
    }

    /// # Safety
    /// As for [`WriteBack::lines`], of one line.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn line(self, line: usize) {
        use std::arch::asm;
        match self {
            // SAFETY: (1) (2) as promised to us. It changes no byte, register or flag. Not being `nomem` it also
            // keeps the compiler from moving the stores that it shall write back behind it.
            WriteBack::Clwb => unsafe {
                asm!("clwb [{}]", in(reg) line, options(nostack, preserves_flags));
            },
            // SAFETY: as above.
            WriteBack::ClflushOpt => unsafe {
                asm!("clflushopt [{}]", in(reg) line, options(nostack, preserves_flags));
            },
            // SAFETY: as above.
            WriteBack::Clflush => unsafe {
                asm!("clflush [{}]", in(reg) line, options(nostack, preserves_flags));
            },
            WriteBack::None | WriteBack::DcCvap => {}
        }
    }

    /// # Safety
    /// As for [`WriteBack::lines`], of one line.
    #[cfg(target_arch = "aarch64")]
    #[inline(always)]
    unsafe fn line(self, line: usize) {
        if self == WriteBack::DcCvap {
            // `dc cvap` by its encoding, since the assembler knows the name only with the target feature.
            // SAFETY: (1) (2) as promised to us. It changes no byte, register or flag.
            unsafe {
                std::arch::asm!("sys #3, c7, c12, #1, {}", in(reg) line, options(nostack, preserves_flags));
            }
        }
    }
}

/// Waits until all lines written back before it have reached the medium, and orders stores around it. After
/// `clflush`, which needs no fence for its own sake, it still orders the stores that come later.
///
/// Example: see [`WriteBack::lines`].
#[inline(always)]
pub fn fence() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: `sfence` is part of SSE, so of every x86-64 processor; it changes no register, flag or byte.
    unsafe {
        std::arch::asm!("sfence", options(nostack, preserves_flags));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a barrier; it changes no register, flag or byte.
    unsafe {
        std::arch::asm!("dsb ish", options(nostack, preserves_flags));
    }
}

impl fmt::Display for WriteBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WriteBack::None => "none",
            WriteBack::Clwb => "clwb",
            WriteBack::ClflushOpt => "clflushopt",
            WriteBack::Clflush => "clflush",
            WriteBack::DcCvap => "dc cvap",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_back_changes_no_byte_wherever_the_range_begins_and_ends() {
        let bytes: Vec<u8> = (0..=255).cycle().take(1024).collect();
        let copy = bytes.clone();
        for (start, len) in [(0, 0), (0, 1), (63, 2), (64, 64), (1, 1023), (0, 1024), (1023, 1)] {
            let part = &bytes[start..start + len];
            // SAFETY: (1) a slice may be read. (2) The instruction is the processor's best.
            unsafe { WriteBack::best().lines(part.as_ptr(), part.len() as u64) };
            fence();
        }
        assert_eq!(bytes, copy);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_choice_agrees_with_the_kernels_list_of_features() {
        let list = std::fs::read_to_string("/proc/cpuinfo").unwrap();
        let has = |name: &str| list.split_whitespace().any(|word| word == name);
        let expected = if has("clwb") {
            WriteBack::Clwb
        } else if has("clflushopt") {
            WriteBack::ClflushOpt
        } else {
            WriteBack::Clflush
        };
        assert_eq!(WriteBack::best(), expected);
    }
}
