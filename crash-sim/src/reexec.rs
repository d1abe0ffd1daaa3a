//! This program, started once more as a child that does one thing and tells its parent about it.
//!
//! A forked copy of a process with threads may do almost nothing, so the child is a fresh run of the same executable: for
//! a test, of that test alone. An environment variable tells it what it is there for. It speaks through a pipe, which it
//! finds in the place of its standard input: that is inherited without a race against other threads that start
//! processes. Start at [`Kin`].

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, PipeReader, Read};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// The variables that tell a child what it is for. One of them in the environment makes a process a child.
pub(crate) const KILL: &str = "CRASH_SIM_KILL";
/// As [`KILL`], for the single-stepper.
pub(crate) const STEP: &str = "CRASH_SIM_STEP";
/// The process id of the parent.
const PARENT: &str = "CRASH_SIM_PARENT";

/// How this program is started again.
#[derive(Clone, Debug)]
pub(crate) struct Kin {
    program: PathBuf,
    arguments: Vec<String>,
}

impl Kin {
    /// With the command that was given; without one, the test that runs on this thread.
    ///
    /// # Panics
    /// If no command was given and this thread is not one that a test harness has named after its test.
    pub(crate) fn new(command: Option<&[String]>) -> io::Result<Kin> {
        if let Some([program, arguments @ ..]) = command {
            return Ok(Kin { program: program.into(), arguments: arguments.to_vec() });
        }
        let thread = std::thread::current();
        let test = thread.name().filter(|name| *name != "main").unwrap_or_else(|| {
            panic!(
                "the child has to be started by a command: this thread is not named after a test, so give the \
                 command that comes here again by `command`"
            )
        });
        let fixed = ["--exact", "--include-ignored", "--nocapture", "--test-threads=1"];
        let arguments = [test].into_iter().chain(fixed).map(str::to_owned).collect();
        Ok(Kin { program: std::env::current_exe()?, arguments })
    }

    /// The words of the command.
    pub(crate) fn words(&self) -> String {
        let words = [self.program.display().to_string()].into_iter().chain(self.arguments.iter().cloned());
        words.collect::<Vec<_>>().join(" ")
    }

    /// Starts it. What it writes to its standard error goes to a file.
    pub(crate) fn start<'v>(
        &self,
        variables: impl IntoIterator<Item = (&'v str, &'v OsStr)>,
        stderr: &Path,
    ) -> io::Result<Running> {
        let (pipe, writer) = io::pipe()?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_remove(crate::report::REPLAY)
            .env_remove(KILL)
            .env_remove(STEP)
            .env(PARENT, std::process::id().to_string())
            .env("TMPDIR", stderr.parent().unwrap_or(stderr)) // What it leaves is removed with the rest.
            .envs(variables)
            .stdin(writer)
            .stdout(Stdio::null())
            .stderr(File::create(stderr)?)
            // An interrupt from the terminal is for the parent, whose end the child notices.
            .process_group(0);
        let child = command.spawn()?;
        Ok(Running { child, pipe, stderr: stderr.to_owned() })
    }
}

/// A running child. Dropping it kills it.
pub(crate) struct Running {
    child: Child,
    pipe: PipeReader,
    stderr: PathBuf,
}

/// What came of waiting for the child's words.
pub(crate) enum Word {
    /// So many bytes.
    Bytes(usize),
    /// It has closed its end, or ended.
    End,
    /// Nothing, until then.
    Late,
}

impl Running {
    /// Waits for words of the child.
    pub(crate) fn hear(&mut self, bytes: &mut [u8], until: Instant) -> io::Result<Word> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            // The last millisecond is waited for without sleeping, to be exact.
            let timeout = PollTimeout::try_from(left.saturating_sub(Duration::from_millis(1)));
            let mut fds = [PollFd::new(self.pipe.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, timeout.unwrap_or(PollTimeout::MAX)) {
                Ok(0) if left.is_zero() => return Ok(Word::Late),
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => {
                    let count = self.pipe.read(bytes)?;
                    return Ok(if count == 0 { Word::End } else { Word::Bytes(count) });
                }
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Its process id.
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it. A child that has ended already is left in peace.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
    }

    /// How it ended; None if it does not until then.
    pub(crate) fn end(&mut self, until: Instant) -> io::Result<Option<ExitStatus>> {
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() >= until {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_micros(50));
        }
    }

    /// The end of what it wrote to its standard error, as a part of a sentence.
    pub(crate) fn last_words(&self) -> String {
        let text = std::fs::read(&self.stderr).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
        if last.is_empty() { String::new() } else { format!("; it said: {}", last.join(" | ")) }
    }
}

const LAST_LINES: usize = 4;

impl Drop for Running {
    fn drop(&mut self) {
        // Both do nothing to a child that is reaped already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Why a child may have ended before it came to where it should, as a part of a sentence.
pub(crate) fn reason(status: ExitStatus) -> &'static str {
    match status.code() {
        Some(ORPHANED) => "; the command has to be the program itself, and nothing that starts it",
        _ => "",
    }
}

/// Whether a child ended by SIGKILL.
pub(crate) fn is_killed(status: ExitStatus) -> bool {
    status.signal() == Some(libc::SIGKILL)
}

/// In a child: what it is there for, of the kind that this variable names.
pub(crate) fn task(variable: &str) -> Option<String> {
    std::env::var(variable).ok()
}

/// Whether this process is a child, whatever for.
pub(crate) fn is_child() -> bool {
    [KILL, STEP].iter().any(|variable| std::env::var_os(variable).is_some())
}

/// In a child: the pipe to the parent. From here on the child does not outlive it.
pub(crate) fn parent() -> io::Result<File> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
    let parent = std::env::var(PARENT).ok().and_then(|text| text.parse().ok());
    // It may have ended before the line above.
    if parent != Some(std::os::unix::process::parent_id()) {
        std::process::exit(ORPHANED);
    }
    Ok(io::stdin().as_fd().try_clone_to_owned()?.into())
}

/// What a child ends with that finds another parent than the one that started it.
const ORPHANED: i32 = 77;
