//! From marker to marker: the child that executes, and the parent that steps it. Start at [`record`].

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use libc::user_regs_struct;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill, raise};
use nix::unistd::{Pid, gettid};

use super::decode::{Access, Decoded, Deed};
use super::tracee::{Stepped, Tracee, refused, system};
use super::watched::{Snapshot, Watched};
use super::{Recording, StepError, Stepper, Subject};
use crate::panics;
use crate::reexec::{self, Kin, Running, Word};
use crate::trace::{Event, Trace};

/// Records, or is recorded.
pub(super) fn record(
    stepper: &Stepper,
    subject: Subject<'_>,
    run: impl FnOnce(),
) -> Result<Recording, StepError> {
    match reexec::task(reexec::STEP) {
        Some(name) if name == stepper.name => be_recorded(subject, run),
        _ if reexec::is_child() => Err(StepError::NotHere),
        _ => watch(stepper),
    }
}

/// The child: announces what to look at, and runs the code between two markers.
fn be_recorded(subject: Subject<'_>, run: impl FnOnce()) -> ! {
    panics::install();
    let Ok(mut pipe) = reexec::parent() else { std::process::exit(1) };
    let mut announcement = match ptrace::traceme() {
        Ok(()) => {
            Announcement { tag: MEMORY, thread: gettid().as_raw() as u64, start: 0, len: 0, text: Vec::new() }
        }
        Err(errno) => {
            let refusal =
                Announcement { tag: REFUSED, thread: errno as u64, start: 0, len: 0, text: Vec::new() };
            let _ = pipe.write_all(&refusal.bytes());
            std::process::exit(0);
        }
    };
    match subject {
        Subject::Memory { start, len } => (announcement.start, announcement.len) = (start, len),
        Subject::File(path) => {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            (announcement.tag, announcement.text) = (FILE, path.as_os_str().as_bytes().to_vec());
        }
    }
    if pipe.write_all(&announcement.bytes()).is_err() {
        std::process::exit(1);
    }
    let ran = panics::catch(|| {
        let _ = raise(Signal::SIGSTOP);
        run();
        let _ = raise(Signal::SIGSTOP);
    });
    if let Err(panic) = ran {
        let panic = Announcement { tag: PANICKED, thread: 0, start: 0, len: 0, text: panic.into_bytes() };
        let _ = pipe.write_all(&panic.bytes());
        let _ = raise(Signal::SIGSTOP);
    }
    std::process::exit(0)
}

/// What the child says: words of eight bytes, and a text.
#[derive(Debug, PartialEq, Eq)]
struct Announcement {
    tag: u64,
    thread: u64,
    start: u64,
    len: u64,
    text: Vec<u8>,
}

const MEMORY: u64 = 1;
const FILE: u64 = 2;
const REFUSED: u64 = 3;
const PANICKED: u64 = 4;

impl Announcement {
    fn bytes(&self) -> Vec<u8> {
        let text_len = self.text.len() as u64;
        let words = [self.tag, self.thread, self.start, self.len, text_len];
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.extend_from_slice(&self.text);
        bytes
    }

    fn parse(bytes: &[u8]) -> Option<Announcement> {
        let word = |index: usize| Some(u64::from_le_bytes(*bytes.get(index * 8..)?.first_chunk()?));
        let text = bytes.get(40..40 + word(4)? as usize)?.to_vec();
        Some(Announcement { tag: word(0)?, thread: word(1)?, start: word(2)?, len: word(3)?, text })
    }
}

/// The parent: starts the child, and steps it.
fn watch(stepper: &Stepper) -> Result<Recording, StepError> {
    let failed = |call| move |source| StepError::System { call, source };
    let kin = Kin::new(stepper.command.as_deref()).map_err(failed("current_exe"))?;
    let dir = tempfile::Builder::new().prefix("crash-sim-").tempdir().map_err(failed("mkdir"))?;
    let variables = [(reexec::STEP, stepper.name.as_ref())];
    let mut child = kin.start(variables, &dir.path().join("stderr")).map_err(failed("spawn"))?;
    let deadline = Instant::now() + stepper.time_limit;
    let announcement = hear(&mut child, deadline, stepper)?.ok_or_else(|| {
        let words = child.last_words();
        StepError::Child(format!("`{}` did not come to this recording{words}", kin.words()))
    })?;
    if announcement.tag == REFUSED {
        return Err(refused(nix::errno::Errno::from_raw(announcement.thread as i32)));
    }
    let process = Pid::from_raw(child.id() as i32);
    let watchdog = Watchdog::new(process, deadline);
    let recorded = step_all(stepper, &announcement, process);
    // The child has not been reaped yet, so that its process id is still its own.
    let is_late = watchdog.end();
    let recording = match recorded {
        Err(_) if is_late => return Err(StepError::Late(stepper.time_limit)),
        recorded => recorded?,
    };
    match hear(&mut child, deadline, stepper)? {
        None => Ok(recording),
        Some(panic) => {
            let text = String::from_utf8_lossy(&panic.text).into_owned();
            Err(StepError::Child(format!("the code panicked: {text}")))
        }
    }
}

/// What the child says next; None if nothing comes any more.
fn hear(
    child: &mut Running,
    deadline: Instant,
    stepper: &Stepper,
) -> Result<Option<Announcement>, StepError> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let heard = child.hear(&mut chunk, deadline);
        match heard.map_err(|source| StepError::System { call: "read", source })? {
            Word::Bytes(count) => bytes.extend_from_slice(&chunk[..count]),
            Word::Late => return Err(StepError::Late(stepper.time_limit)),
            Word::End => return Ok(None),
        }
        if let Some(announcement) = Announcement::parse(&bytes) {
            return Ok(Some(announcement));
        }
    }
}

/// Kills a process that is late.
struct Watchdog {
    thread: thread::JoinHandle<()>,
    stop: mpsc::Sender<()>,
    is_late: Arc<AtomicBool>,
}

impl Watchdog {
    fn new(process: Pid, deadline: Instant) -> Self {
        let (stop, stopped) = mpsc::channel();
        let is_late = Arc::new(AtomicBool::new(false));
        let late = is_late.clone();
        let thread = thread::spawn(move || {
            let left = deadline.saturating_duration_since(Instant::now());
            if stopped.recv_timeout(left) == Err(mpsc::RecvTimeoutError::Timeout) {
                late.store(true, Ordering::Relaxed);
                let _ = kill(process, Signal::SIGKILL);
            }
        });
        Watchdog { thread, stop, is_late }
    }

    fn end(self) -> bool {
        drop(self.stop);
        let _ = self.thread.join();
        self.is_late.load(Ordering::Relaxed)
    }
}

fn step_all(stepper: &Stepper, announcement: &Announcement, process: Pid) -> Result<Recording, StepError> {
    let tracee = Tracee::at_marker(process, Pid::from_raw(announcement.thread as i32))?;
    let path = (announcement.tag == FILE)
        .then(|| PathBuf::from(std::ffi::OsString::from_vec(announcement.text.clone())));
    let watched = match &path {
        Some(path) => Watched::file(process, path),
        None => Watched::memory(announcement.start, announcement.len),
    };
    let content = |watched: &Watched, tracee: &Tracee| match &path {
        Some(path) => Ok(fs::read(path).unwrap_or_default()),
        None => watched.snapshot(tracee).map(Snapshot::into_bytes),
    };
    let before = content(&watched, &tracee)?;
    let started = Instant::now();
    let mut walk = Walk {
        tracee,
        watched,
        loads: stepper.loads,
        decoded: HashMap::new(),
        trace: Trace::new(),
        steps: 0,
    };
    walk.run()?;
    let duration = started.elapsed();
    let Walk { tracee, watched, trace, steps, .. } = walk;
    let after = content(&watched, &tracee)?;
    tracee.let_go()?;
    Ok(Recording { trace, before, after, steps, duration })
}

/// A thread on its way.
struct Walk {
    tracee: Tracee,
    watched: Watched,
    loads: bool,
    decoded: HashMap<u64, Arc<Decoded>>,
    trace: Trace,
    steps: u64,
}

impl Walk {
    /// To the next marker.
    fn run(&mut self) -> Result<(), StepError> {
        let mut registers = self.tracee.registers()?;
        let mut signal = None;
        loop {
            let instruction = self.decode(registers.rip)?;
            let accesses = instruction.accesses(&registers);
            let is_opaque = accesses.is_none() || instruction.deed == Deed::SystemCall;
            let snapshot = if is_opaque { Some(self.watched.snapshot(&self.tracee)?) } else { None };
            match self.tracee.step(signal.take())? {
                Stepped::Done => {}
                Stepped::Marker => return Ok(()),
                Stepped::Signal(which) => {
                    // Of a crash nothing remains to be seen; other signals are the program's.
                    signal = Some(which);
                    registers = self.tracee.registers()?;
                    continue;
                }
                Stepped::Gone(status) => {
                    return Err(StepError::Child(format!("the child ended: {status:?}")));
                }
            }
            let after = self.tracee.registers()?;
            self.steps += 1;
            self.note(&instruction, &accesses.unwrap_or_default(), &registers, &after)?;
            if let Some(snapshot) = snapshot {
                for (offset, bytes) in snapshot.changes(&self.tracee)? {
                    self.trace.push_store(offset, &bytes, false, registers.rip);
                }
            }
            if instruction.deed == Deed::SystemCall {
                self.note_call(&registers, &after);
            }
            registers = after;
        }
    }

    /// The instruction at an address.
    fn decode(&mut self, address: u64) -> Result<Arc<Decoded>, StepError> {
        if let Some(decoded) = self.decoded.get(&address) {
            return Ok(decoded.clone());
        }
        let mut bytes = [0; 15];
        let count = self.tracee.read(address, &mut bytes)?;
        if count == 0 {
            return Err(system("reading the code", nix::errno::Errno::EFAULT));
        }
        let decoded = Arc::new(Decoded::new(&bytes[..count], address));
        self.decoded.insert(address, decoded.clone());
        Ok(decoded)
    }

    /// What an instruction has done.
    fn note(
        &mut self,
        instruction: &Decoded,
        accesses: &[Access],
        before: &user_regs_struct,
        after: &user_regs_struct,
    ) -> Result<(), StepError> {
        let site = before.rip;
        match instruction.deed {
            Deed::Fence => self.trace.push(Event::Fence, site),
            Deed::WriteBack => {
                for access in accesses {
                    // A part of the line may lie before what is looked at.
                    let line = access.address / LINE * LINE;
                    if self.watched.parts(access.address, 1).next().is_some()
                        && let Some((_, _, offset)) = self.watched.parts(line, LINE).next()
                    {
                        self.trace.push(Event::Flush { offset }, site);
                    }
                }
            }
            Deed::Elements { len, is_repeated } => {
                let count = if is_repeated { before.rcx.wrapping_sub(after.rcx) } else { 1 };
                let is_backward = before.eflags & DIRECTION != 0;
                for element in 0..count {
                    for access in accesses {
                        let moved = len * element;
                        let address = if is_backward {
                            access.address.wrapping_sub(moved)
                        } else {
                            access.address.wrapping_add(moved)
                        };
                        self.note_access(Access { address, ..*access }, instruction, site)?;
                    }
                }
            }
            Deed::Plain | Deed::SystemCall => {
                for access in accesses {
                    self.note_access(*access, instruction, site)?;
                }
            }
        }
        Ok(())
    }

    fn note_access(&mut self, access: Access, instruction: &Decoded, site: u64) -> Result<(), StepError> {
        let parts: Vec<_> = self.watched.parts(access.address, access.len).collect();
        for (address, len, offset) in parts {
            if access.loads && self.loads {
                self.trace.push(Event::Load { offset, len: len as u32 }, site);
            }
            if access.stores {
                let mut bytes = vec![0; len as usize];
                let count = self.tracee.read(address, &mut bytes)?;
                self.trace.push_store(offset, &bytes[..count], instruction.is_streaming, site);
                if instruction.is_locked {
                    self.trace.push(Event::Fence, site);
                }
            }
        }
        Ok(())
    }

    /// What a system call has done to the file.
    fn note_call(&mut self, before: &user_regs_struct, after: &user_regs_struct) {
        let site = before.rip;
        let call = before.rax as i64;
        let synced = if after.rax != 0 {
            None // It failed, or is another call.
        } else if call == libc::SYS_msync {
            self.watched.synced(before.rdi, before.rsi)
        } else if call == libc::SYS_fsync || call == libc::SYS_fdatasync {
            self.watched.descriptor(before.rdi).map(|len| (0, len))
        } else {
            None
        };
        if let Some((offset, len)) = synced {
            self.trace.push(Event::Sync { offset, len }, site);
        }
        if let Some(len) = self.watched.look_again() {
            self.trace.push(Event::Grow { len }, site);
        }
    }
}

const LINE: u64 = 64;
/// The direction flag: string instructions go downwards.
const DIRECTION: u64 = 1 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_arrives_as_it_was_sent() {
        let sent = Announcement { tag: FILE, thread: 2, start: 3, len: 4, text: b"/a/b".to_vec() };
        assert_eq!(Announcement::parse(&sent.bytes()), Some(sent));
        assert_eq!(Announcement::parse(&[0; 39]), None);
    }
}
