//! The signal handlers: one for accesses that trap, one for the breakpoints.
//!
//! They are installed once, with the first arena, and stay; what is none of theirs goes to the handler that was there
//! before. They wait for no lock. A panic in one would end the process, since it cannot unwind. Start at [`on_fault`].

#![allow(unsafe_code)] // Signal handlers.

use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;

use super::arena::Shared;
use super::decode::{self, Decoded, Kind, Redirect, Registers};
use super::strings::Outcome;
use super::tracer::{Local, Tracer};
use super::{MachineError, Protection, fences, stack, table};

/// The handlers that were there before ours.
struct Previous {
    fault: libc::sigaction,
    breakpoint: libc::sigaction,
}

static PREVIOUS: OnceLock<Result<Previous, i32>> = OnceLock::new();

/// Installs the handlers, the first time.
pub(super) fn install() -> Result<(), MachineError> {
    stack::prepare()?;
    let installed = PREVIOUS.get_or_init(|| {
        // Until this returns, what is not ours gets the default action.
        let fault = set_handler(libc::SIGSEGV, on_fault)?;
        let breakpoint = set_handler(libc::SIGTRAP, on_breakpoint)?;
        Ok(Previous { fault, breakpoint })
    });
    match installed {
        Ok(_) => Ok(()),
        Err(errno) => Err(MachineError::System {
            call: "sigaction",
            source: std::io::Error::from_raw_os_error(*errno),
            hint: "a seccomp filter may refuse it",
        }),
    }
}

type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

fn set_handler(signal: libc::c_int, handler: Handler) -> Result<libc::sigaction, i32> {
    let mut new = default_action();
    new.sa_sigaction = handler as *const () as usize;
    // Not deferred: what our own code does wrong shall reach the handler that was there before, and not hang. Signals
    // from elsewhere wait until the handler is done.
    new.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER | libc::SA_RESTART;
    // SAFETY: it fills a set that is ours.
    unsafe { libc::sigfillset(&raw mut new.sa_mask) };
    for synchronous in [libc::SIGSEGV, libc::SIGTRAP, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT]
    {
        // SAFETY: as above.
        unsafe { libc::sigdelset(&raw mut new.sa_mask, synchronous) };
    }
    let mut old = default_action();
    // SAFETY: the handler is one for three arguments, as the flag says, and lives as long as the process.
    match unsafe { libc::sigaction(signal, &raw const new, &raw mut old) } {
        0 => Ok(old),
        _ => Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(0)),
    }
}

fn default_action() -> libc::sigaction {
    // SAFETY: all zero is a value of it: the default action, no flags, an empty mask.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

/// Ends the process: something of ours is broken, and the program cannot go on.
pub(super) fn die(why: &str) -> ! {
    let message = ["crash-sim: ", why, "\n"].concat();
    // SAFETY: the bytes are there; nothing is left to do if it fails.
    unsafe { libc::write(2, message.as_ptr().cast(), message.len()) };
    std::process::abort()
}

/// Whether a signal was ours.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Us,
    Other,
}

extern "C" fn on_fault(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let errno = Errno::now();
    // SAFETY: the kernel gives both for the time of the handler.
    let registers = unsafe { registers(context) };
    // SAFETY: as above.
    let happened = unsafe { &*info };
    // SAFETY: a fault has an address; for what is none it is a number that nothing is done with.
    let address = unsafe { happened.si_addr() }.addr() as u64;
    let is_fault = happened.si_code > 0;
    let owner = match is_fault {
        true => Local::handle(Owner::Other, |local| fault(local, address, registers)),
        false => Owner::Other,
    };
    drop(errno);
    if owner == Owner::Other {
        let previous = PREVIOUS.get().and_then(|previous| previous.as_ref().ok());
        pass_on(previous.map(|previous| &previous.fault), signal, info, context, is_fault);
    }
}

extern "C" fn on_breakpoint(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let errno = Errno::now();
    // SAFETY: the kernel gives both for the time of the handler.
    let registers = unsafe { registers(context) };
    // SAFETY: as above.
    let happened = unsafe { &*info };
    let address = (registers[libc::REG_RIP as usize] as u64).wrapping_sub(1);
    let site = fences::at(address).filter(|_| happened.si_code > 0);
    if let Some(site) = site {
        registers[libc::REG_RIP as usize] = site.next as i64;
        let registers: &Registers = registers;
        // Within our own handler (an allocator's fence) nothing is recorded.
        Local::handle((), |local| breakpoint(local, address, site, registers));
        fences::real_fence();
    }
    drop(errno);
    if site.is_none() {
        let previous = PREVIOUS.get().and_then(|previous| previous.as_ref().ok());
        pass_on(previous.map(|previous| &previous.breakpoint), signal, info, context, false);
    }
}

/// An access to an address trapped.
fn fault(local: &Local, address: u64, registers: &mut Registers) -> Owner {
    const FETCH: i64 = 1 << 4; // Of the processor's error code: the fault was to fetch an instruction.
    let Some(arena) = table::find(address as usize) else { return Owner::Other };
    // SAFETY: the program is using an address of the arena, so it is alive.
    let arena: &Shared = unsafe { &*arena };
    let Some(offset) = arena.offset(address) else { return Owner::Other };
    if arena.is_guard(offset) || registers[libc::REG_ERR as usize] & FETCH != 0 {
        return Owner::Other;
    }
    if arena.protection() == Protection::Open {
        return Owner::Us; // Another thread has just opened it: try again.
    }
    let decoded = decode::at(registers[libc::REG_RIP as usize] as u64);
    let site = decoded.instruction.site;
    let tracer = local.tracer();
    if tracer.is_none() {
        arena.count_foreign_if_traced();
    }
    let is_done = match &decoded.kind {
        Kind::Redirect(redirect) => aim(redirect, arena, local, tracer, site, registers),
        Kind::Elements(element) => match element.run(site, registers, tracer) {
            Outcome::Done => {
                registers[libc::REG_RIP as usize] = decoded.next() as i64;
                true
            }
            Outcome::Rest => true,
            Outcome::Refused => false,
        },
        Kind::WriteBack(operand) => {
            if let Some(tracer) = tracer {
                tracer.flush(operand.address(registers), site);
            }
            registers[libc::REG_RIP as usize] = decoded.next() as i64;
            true
        }
        Kind::Refuse => false,
    };
    if !is_done {
        refuse(decoded, arena);
    }
    Owner::Us
}

#[cold]
fn refuse(decoded: &Decoded, arena: &Shared) {
    arena.refuse(decoded.instruction);
}

/// Has the program go on in its slot, with the operand at the alias; whether it can.
fn aim(
    redirect: &Redirect,
    arena: &Shared,
    local: &Local,
    tracer: Option<&mut Tracer>,
    site: u64,
    registers: &mut Registers,
) -> bool {
    let (operand, start) = redirect.place(registers);
    let Some(offset) = arena.offset(start) else { return false };
    if !arena.holds(offset, u64::from(redirect.len)) && !redirect.is_masked {
        return false;
    }
    let stack = registers[libc::REG_RSP as usize] as usize;
    if redirect.uses_stack && (table::find(stack).is_some() || table::find(stack.wrapping_sub(8)).is_some()) {
        return false;
    }
    // A masked access may end beyond the arena: what is masked there is not accessed.
    let len = redirect.len.min((arena.len() - offset).min(u64::from(u32::MAX)) as u32);
    let own = tracer.as_deref().filter(|tracer| tracer.is_of(arena)).map(Tracer::slots);
    let Some(slots) = own.unwrap_or_else(|| arena.slots(local.thread())) else { return false };
    let alias = arena.alias(offset);
    // A bit test may have its bit far from its operand; half a GiB is surely within reach of the slot.
    let is_near = i32::try_from(operand.wrapping_sub(start) as i64).is_ok_and(|far| far.abs() < 1 << 29);
    if !is_near {
        return false;
    }
    let mut place = alias;
    match tracer {
        Some(tracer) if tracer.is_of(arena) => {
            if redirect.loads {
                tracer.load(arena, offset, len, site);
            }
            if redirect.stores && !tracer.store(offset, len, site, redirect.is_streaming, redirect.is_locked)
            {
                // Skipped: it executes on a copy, so that only the store is lost.
                place = arena.scratch(offset);
                // SAFETY: both have so many bytes (at most 1,024), and they do not overlap.
                unsafe { ptr::copy_nonoverlapping(alias, place, len as usize) };
            }
        }
        Some(_) => arena.count_foreign_if_traced(),
        None => {}
    }
    let target = (place.addr() as u64).wrapping_add(operand.wrapping_sub(start));
    // SAFETY: the slots are this thread's, and it is not executing in them.
    let Some(slot) = (unsafe { redirect.write_to(slots, site, target) }) else {
        die("the alias is out of reach of its slot") // An arena is at most 1 GiB, with little before it.
    };
    registers[libc::REG_RIP as usize] = slot.addr() as i64;
    true
}

/// A breakpoint was met.
fn breakpoint(local: &Local, address: u64, site: &fences::Site, registers: &Registers) {
    let Some(tracer) = local.tracer() else { return fences::met_untraced() };
    match site.deed {
        fences::Deed::WriteBack(operand) => tracer.flush(operand.address(registers), address),
        fences::Deed::Fence => tracer.fence(address),
        fences::Deed::Nothing => {}
    }
}

/// Gives a signal that is not ours to the handler that was there before, or lets its default action happen.
fn pass_on(
    previous: Option<&libc::sigaction>,
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
    happens_again: bool,
) {
    let previous = previous.filter(|old| !matches!(old.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN));
    let Some(previous) = previous else {
        let default = default_action();
        // SAFETY: the default action needs no handler.
        unsafe { libc::sigaction(signal, &raw const default, ptr::null_mut()) };
        if !happens_again {
            // SAFETY: it takes a number; the signal is not blocked here, so the process ends.
            unsafe { libc::raise(signal) };
        }
        return;
    };
    let address = ptr::with_exposed_provenance::<()>(previous.sa_sigaction);
    if previous.sa_flags & libc::SA_SIGINFO != 0 {
        // SAFETY: the kernel gave it as a handler with three arguments.
        let handler = unsafe { std::mem::transmute::<*const (), Handler>(address) };
        handler(signal, info, context);
    } else {
        // SAFETY: the kernel gave it as a handler with one argument.
        let handler = unsafe { std::mem::transmute::<*const (), extern "C" fn(libc::c_int)>(address) };
        handler(signal);
    }
}

/// # Safety
/// The kernel gave the context to a handler that is still running and has no other reference into it.
unsafe fn registers<'a>(context: *mut libc::c_void) -> &'a mut Registers {
    // SAFETY: as promised to us.
    unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs }
}

/// The number of this thread's last error, which is put back when this is dropped: the program must not notice.
struct Errno {
    place: *mut i32,
    value: i32,
}

impl Errno {
    fn now() -> Self {
        // SAFETY: it takes nothing and cannot fail.
        let place = unsafe { libc::__errno_location() };
        // SAFETY: it is this thread's own number.
        let value = unsafe { place.read() };
        Errno { place, value }
    }
}

impl Drop for Errno {
    fn drop(&mut self) {
        // SAFETY: as in `now`; a handler stays in its thread.
        unsafe { self.place.write(self.value) };
    }
}
