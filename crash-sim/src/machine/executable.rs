//! The code of this program: where it lies, and where its functions begin.
//!
//! Only the executable itself is looked at, no shared library. Without a symbol table, code is decoded from the start of
//! its segment. Start at [`code`] and [`function_starts`].

#![allow(unsafe_code)] // The program headers are given as raw pointers.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;
use std::{ptr, slice};

use crate::trace::Site;

/// Where this executable was loaded, and the addresses of its code.
pub(super) struct Code {
    /// What to add to an address of the file to have the one in memory.
    pub(super) bias: u64,
    pub(super) segments: Vec<Range<u64>>,
}

/// The address of an instruction in the executable's file, which is the same in every run and the one that debug
/// information has; none if the instruction is not of the executable itself.
///
/// ```
/// use crash_sim::machine::{in_file, in_memory};
///
/// let site = in_file as fn(u64) -> Option<u64> as usize as u64; // An address of code.
/// let address = in_file(site).expect("it is of this executable");
/// assert_eq!(in_memory(address), Some(site));
/// ```
pub fn in_file(site: Site) -> Option<u64> {
    let code = code();
    code.segments.iter().any(|segment| segment.contains(&site)).then(|| site - code.bias)
}

/// The reverse of [`in_file`]: where the instruction at an address of the executable's file stands in this process.
///
/// Example: see [`in_file`].
pub fn in_memory(address: u64) -> Option<Site> {
    let code = code();
    let site = address.wrapping_add(code.bias);
    code.segments.iter().any(|segment| segment.contains(&site)).then_some(site)
}

/// The code of this executable.
pub(super) fn code() -> &'static Code {
    static CODE: OnceLock<Code> = OnceLock::new();
    CODE.get_or_init(find_code)
}

/// Asks the dynamic linker; the executable is the first that it names.
fn find_code() -> Code {
    let mut code = Code { bias: 0, segments: Vec::new() };
    // SAFETY: the callback gets the pointer to `code`, which outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(first_object), (&raw mut code).cast()) };
    code
}

extern "C" fn first_object(
    info: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    code: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: the pointer that `find_code` gave, which nobody else uses meanwhile.
    let code = unsafe { &mut *code.cast::<Code>() };
    // SAFETY: the linker gives it for the time of this call.
    let info = unsafe { &*info };
    // SAFETY: as above; the headers are as many as it says.
    let headers = unsafe { slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
    code.bias = info.dlpi_addr;
    let executable = headers.iter().filter(|header| {
        header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_X != 0 && header.p_flags & libc::PF_R != 0
    });
    code.segments.extend(executable.map(|header| {
        let start = info.dlpi_addr + header.p_vaddr;
        start..start + header.p_memsz
    }));
    1 // Enough.
}

/// The bytes of a code segment.
pub(super) fn bytes(segment: &Range<u64>) -> &'static [u8] {
    let start = ptr::with_exposed_provenance(segment.start as usize);
    // SAFETY: it is mapped for reading as long as the process runs. A byte that is made a breakpoint meanwhile is never
    // looked at through this slice: finding comes before patching.
    unsafe { slice::from_raw_parts(start, (segment.end - segment.start) as usize) }
}

/// The addresses where functions begin, as the file's symbol table has them, sorted; without the bias. Empty if there
/// is no such table.
pub(super) fn function_starts() -> Vec<u64> {
    File::open("/proc/self/exe").and_then(|file| symbols(&file)).unwrap_or_default()
}

/// Section type of a symbol table, and symbol types of what has no type and of functions.
const SHT_SYMTAB: u64 = 2;
const STT_NOTYPE: u8 = 0;
const STT_FUNC: u8 = 2;

fn symbols(file: &File) -> io::Result<Vec<u64>> {
    let mut header = [0; 64];
    file.read_exact_at(&mut header, 0)?;
    let sections_at = number(&header, 40, 8);
    let (section_len, section_count) = (number(&header, 58, 2), number(&header, 60, 2));
    let mut starts = Vec::new();
    for index in 0..section_count {
        let mut section = [0; 64];
        file.read_exact_at(&mut section, sections_at + index * section_len)?;
        if number(&section, 4, 4) == SHT_SYMTAB {
            let mut table = vec![0; number(&section, 32, 8) as usize];
            file.read_exact_at(&mut table, number(&section, 24, 8))?;
            starts
                .extend(table.chunks_exact(24).filter(|symbol| begins_code(symbol)).map(|s| number(s, 8, 8)));
        }
    }
    starts.sort_unstable();
    starts.dedup();
    Ok(starts)
}

/// Whether a symbol is defined here and may be that of a function (or a label in assembly).
fn begins_code(symbol: &[u8]) -> bool {
    let is_defined = number(symbol, 6, 2) != 0;
    is_defined && matches!(symbol[4] & 0xf, STT_FUNC | STT_NOTYPE)
}

fn number(bytes: &[u8], at: usize, len: usize) -> u64 {
    bytes[at..at + len].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
