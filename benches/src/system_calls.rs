//! System calls of another program, of all its threads, between its marks.
//!
//! The program is traced and stops at each call; its times say nothing. Start at [`count`].

#![allow(unsafe_code)] // What the kernel tells of a stop is a union.

use std::collections::HashSet;
use std::io;
use std::process::Command;

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::marks::{BEGIN, MARK};

/// For the program that is to be traced: stops until its parent goes on with it.
///
/// # Errors
/// The system's: this process may not be traced.
pub fn wait_for_tracer() -> nix::Result<()> {
    ptrace::traceme()?;
    raise(Signal::SIGSTOP)
}

/// Runs a program that [waits for its tracer](wait_for_tracer), and counts the system calls that all its threads begin
/// between the marks.
///
/// # Errors
/// The system's; or the program did not end well, or had no marks.
pub fn count(command: &mut Command) -> io::Result<u64> {
    let child = command.spawn()?;
    let program = Pid::from_raw(child.id() as i32);
    // Threads come without a parent of their own: all that belongs to this thread is waited for, and nothing else.
    let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
    let WaitStatus::Stopped(..) = waitpid(program, Some(flags))? else {
        return Err(io::Error::other("the program ended before it could be traced"));
    };
    let options = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_EXITKILL;
    ptrace::setoptions(program, options)?;
    go_on(program, None)?;

    let mut calls = None; // Counted since the mark that begins; `Some` also behind the one that ends.
    let mut is_counting = false;
    let mut threads = HashSet::from([program]);
    loop {
        match waitpid(None, Some(flags))? {
            WaitStatus::PtraceSyscall(thread) => {
                match begun_call(thread) {
                    Some([MARK, which]) => {
                        is_counting = which == BEGIN;
                        calls.get_or_insert(0);
                    }
                    Some(_) if is_counting => *calls.get_or_insert(0) += 1,
                    _ => {}
                }
                go_on(thread, None)?;
            }
            // A new thread begins with a stop, which is not for it.
            WaitStatus::Stopped(thread, Signal::SIGSTOP) if threads.insert(thread) => go_on(thread, None)?,
            WaitStatus::Stopped(thread, signal) => go_on(thread, Some(signal))?,
            WaitStatus::PtraceEvent(thread, ..) => go_on(thread, None)?,
            WaitStatus::Exited(thread, code) if thread == program => {
                return match calls {
                    Some(calls) if code == 0 => Ok(calls),
                    _ => Err(io::Error::other(format!("the program ended with {code}, or had no marks"))),
                };
            }
            WaitStatus::Signaled(thread, signal, _) if thread == program => {
                return Err(io::Error::other(format!("the program was killed by {signal}")));
            }
            _ => {}
        }
    }
}

/// Goes on to the next call. A thread that has been killed meanwhile is not there any more, which is no error.
fn go_on(thread: Pid, signal: Option<Signal>) -> nix::Result<()> {
    match ptrace::syscall(thread, signal) {
        Err(Errno::ESRCH) => Ok(()),
        other => other,
    }
}

/// The first two arguments of the call at whose beginning the thread has stopped; none at the end of one.
fn begun_call(thread: Pid) -> Option<[u64; 2]> {
    let info = ptrace::syscall_info(thread).ok()?;
    if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
        return None;
    }
    // SAFETY: at the beginning of a call the kernel has filled in this member, of plain numbers.
    let entry = unsafe { info.u.entry };
    Some([entry.args[0], entry.args[1]])
}
