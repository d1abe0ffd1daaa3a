//! A thread of another process, stopped between two instructions.

use std::io::{self, IoSliceMut};

use libc::user_regs_struct;
use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::StepError;

/// It is killed, with its process, when this is dropped before [`let_go`](Tracee::let_go).
pub(super) struct Tracee {
    process: Pid,
    thread: Pid,
    is_held: bool,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stepped {
    /// The instruction is done.
    Done,
    /// It is not: this signal comes first.
    Signal(Signal),
    /// It stopped itself.
    Marker,
    /// There is no thread any more.
    Gone(WaitStatus),
}

impl Tracee {
    /// A thread that has asked to be traced by us, when it stops itself.
    pub(super) fn at_marker(process: Pid, thread: Pid) -> Result<Tracee, StepError> {
        let tracee = Tracee { process, thread, is_held: true };
        match tracee.wait()? {
            Stepped::Marker => {}
            other => {
                return Err(StepError::Child(format!("the child did not come to its marker: {other:?}")));
            }
        }
        ptrace::setoptions(thread, Options::PTRACE_O_EXITKILL).map_err(refused)?;
        Ok(tracee)
    }

    fn wait(&self) -> Result<Stepped, StepError> {
        loop {
            return match waitpid(self.thread, Some(WaitPidFlag::__WALL)) {
                Ok(WaitStatus::Stopped(_, Signal::SIGTRAP)) => Ok(Stepped::Done),
                Ok(WaitStatus::Stopped(_, Signal::SIGSTOP)) => Ok(Stepped::Marker),
                Ok(WaitStatus::Stopped(_, signal)) => Ok(Stepped::Signal(signal)),
                Ok(status @ (WaitStatus::Exited(..) | WaitStatus::Signaled(..))) => Ok(Stepped::Gone(status)),
                Ok(_) | Err(Errno::EINTR) => continue,
                Err(errno) => Err(system("waitpid", errno)),
            };
        }
    }

    pub(super) fn registers(&self) -> Result<user_regs_struct, StepError> {
        ptrace::getregs(self.thread).map_err(|errno| self.failed("ptrace(PTRACE_GETREGS)", errno))
    }

    /// Executes one instruction, or one element of it; a signal that came is delivered.
    pub(super) fn step(&self, signal: Option<Signal>) -> Result<Stepped, StepError> {
        ptrace::step(self.thread, signal).map_err(|errno| self.failed("ptrace(PTRACE_SINGLESTEP)", errno))?;
        self.wait()
    }

    /// Reads as many bytes as can be read from there; how many those are.
    pub(super) fn read(&self, address: u64, bytes: &mut [u8]) -> Result<usize, StepError> {
        let remote = [RemoteIoVec { base: address as usize, len: bytes.len() }];
        match process_vm_readv(self.process, &mut [IoSliceMut::new(bytes)], &remote) {
            Ok(count) => Ok(count),
            Err(Errno::EFAULT) => Ok(0),
            Err(errno @ (Errno::EPERM | Errno::ENOSYS)) => Err(refused(errno)),
            Err(errno) => Err(system("process_vm_readv", errno)),
        }
    }

    /// Lets it run on by itself.
    pub(super) fn let_go(mut self) -> Result<(), StepError> {
        ptrace::detach(self.thread, None).map_err(|errno| system("ptrace(PTRACE_DETACH)", errno))?;
        self.is_held = false;
        Ok(())
    }

    /// A thread that somebody has killed can no longer be asked.
    fn failed(&self, call: &'static str, errno: Errno) -> StepError {
        match errno {
            Errno::ESRCH => StepError::Child("the child was killed".to_owned()),
            errno => system(call, errno),
        }
    }
}

impl Drop for Tracee {
    fn drop(&mut self) {
        if self.is_held {
            let _ = kill(self.process, Signal::SIGKILL);
            // Nobody else may reap a traced thread, and its process does not end before.
            while matches!(self.wait(), Ok(step) if !matches!(step, Stepped::Gone(_))) {
                let _ = ptrace::cont(self.thread, None);
            }
        }
    }
}

pub(super) fn system(call: &'static str, errno: Errno) -> StepError {
    StepError::System { call, source: io::Error::from(errno) }
}

pub(super) fn refused(errno: Errno) -> StepError {
    StepError::Refused { source: io::Error::from(errno) }
}
