//! Work: the instructions and the system calls of a transaction, counted over a run in a process of its own.
//!
//! All threads of the process are counted, and nothing but the transactions. Instructions are those of user space, by the
//! processor's counter where the system offers it, else by callgrind. Start at [`Counter`].

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use perf_event::Builder;
use perf_event::events::Hardware;
use serde::{Deserialize, Serialize};

use crate::system_calls;

/// What a transaction makes the processor and the kernel do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// Instructions in user space, if they could be counted.
    pub instructions: Option<f64>,
    /// System calls.
    pub system_calls: f64,
}

/// Who counts instructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Counter {
    /// The processor.
    Hardware,
    /// Valgrind's callgrind.
    Callgrind,
    /// Nobody.
    #[default]
    None,
}

impl Counter {
    /// The best that this machine offers.
    pub fn here() -> Self {
        if hardware().is_ok() {
            Counter::Hardware
        } else if has_valgrind() {
            Counter::Callgrind
        } else {
            Counter::None
        }
    }

    /// As a line of text.
    pub fn line(self) -> &'static str {
        match self {
            Counter::Hardware => "instructions: by the processor's counter, user space",
            Counter::Callgrind => "instructions: by callgrind (the system offers no hardware counter)",
            Counter::None => {
                "instructions: not counted: the system offers no hardware counter, and there is no valgrind (apt \
                 install valgrind)"
            }
        }
    }
}

fn has_valgrind() -> bool {
    let version =
        Command::new("valgrind").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

/// The processor's counter of instructions, off, for this thread and those that it will start.
///
/// # Errors
/// The system's: it does not offer one, or not to this user.
pub fn hardware() -> io::Result<perf_event::Counter> {
    Builder::new(Hardware::INSTRUCTIONS).exclude_kernel(true).inherit(true).build()
}

/// Counts for `count` transactions of the program, which takes these arguments and `--count`.
///
/// # Errors
/// The system's, or the program's.
pub fn measure(
    program: &Path,
    arguments: &[String],
    variables: &[(&str, &str)],
    counter: Counter,
    count: usize,
    out: &Path,
) -> io::Result<Work> {
    let each = |sum: u64| sum as f64 / count as f64;
    let command = |mut command: Command| {
        command.args(arguments).args(["--count", &count.to_string()]).envs(variables.iter().copied());
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        command
    };
    let mut traced = command(Command::new(program));
    let system_calls = each(system_calls::count(traced.arg("--traced"))?);
    let instructions = match counter {
        Counter::Hardware => Some(each(by_hardware(&mut command(Command::new(program)))?)),
        Counter::Callgrind => {
            let mut valgrind = Command::new("valgrind");
            let file = format!("--callgrind-out-file={}", out.display());
            valgrind.args(["--tool=callgrind", "--instr-atstart=no", &file]).arg(program);
            Some(each(by_callgrind(&mut command(valgrind), out)?))
        }
        Counter::None => None,
    };
    Ok(Work { instructions, system_calls })
}

/// The program counts its own and prints the number.
fn by_hardware(command: &mut Command) -> io::Result<u64> {
    let output = command.arg("--instructions").output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().map_err(|_| io::Error::other("the program did not say how many instructions it took"))
}

fn by_callgrind(command: &mut Command, out: &Path) -> io::Result<u64> {
    let status = command.status()?;
    let text = fs::read_to_string(out).unwrap_or_default();
    let _ = fs::remove_file(out); // It lies in a directory that goes, too.
    if !status.success() {
        return Err(io::Error::other(format!("callgrind: {status}")));
    }
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    let total = total.and_then(|total| total.trim().parse().ok());
    total.ok_or_else(|| io::Error::other("callgrind's file has no total"))
}
