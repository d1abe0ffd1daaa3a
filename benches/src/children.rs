//! This program again, with a part of the work.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use benches::contest;
use benches::race::Turn;
use benches::task::{Finding, Message, Stopped, Task};
use benches::work::{self, Counter, Work};
use benches::workload::{Durable, Places, Workload};
use clap::ValueEnum;

/// Where children put their files: directories of ours, so that nothing is left of one that died.
pub(crate) struct Nursery {
    dir: PathBuf,
    disk: PathBuf,
}

impl Nursery {
    /// Inside of these directories.
    pub(crate) fn new(dir: &Path, disk: &Path) -> Self {
        Nursery { dir: dir.to_owned(), disk: disk.to_owned() }
    }

    /// Directories for one child, which go with the value.
    fn places(&self) -> std::io::Result<Places> {
        Places::new(&self.dir, &self.disk)
    }

    /// Does a task in a process of its own. `watch` is told whose turn it is.
    pub(crate) fn run(&self, task: &Task, watch: &mut dyn FnMut(&Turn)) -> Result<Finding, Stopped> {
        let mut turn = None;
        self.attempt(task, watch, &mut turn).map_err(|error| Stopped { turn, reason: error.to_string() })?
    }

    fn attempt(
        &self,
        task: &Task,
        watch: &mut dyn FnMut(&Turn),
        turn: &mut Option<Turn>,
    ) -> std::io::Result<Result<Finding, Stopped>> {
        let places = self.places()?;
        let json = serde_json::to_string(task)?;
        let mut command = program();
        command.args(["task", &json]).args(directories(&places)).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.envs(task.variables().iter().copied()).spawn()?;
        let mut finding = None;
        for line in BufReader::new(child.stdout.take().expect("it is piped")).lines() {
            match serde_json::from_str(&line?)? {
                Message::Turn(now) => {
                    watch(&now);
                    *turn = Some(now);
                }
                Message::Found(found) => finding = Some(Ok(*found)),
                // The task has said so itself: it is not the fault of the one whose turn it was.
                Message::Failed(reason) => finding = Some(Err(Stopped { turn: None, reason })),
            }
        }
        let status = child.wait()?;
        Ok(finding.unwrap_or_else(|| Err(Stopped::by(status, turn.clone()))))
    }

    /// Instructions and system calls of a contender.
    pub(crate) fn work(
        &self,
        workload: Workload,
        durable: Durable,
        name: &str,
        counter: Counter,
        count: usize,
    ) -> std::io::Result<Work> {
        let places = self.places()?;
        let warm_up = count.min(1000).to_string();
        let mut arguments: Vec<_> =
            ["run", &word(workload), name, "--domain", &word(durable), "--warm-up", &warm_up]
                .map(str::to_owned)
                .into();
        arguments.extend(directories(&places));
        let out = places.memory.path();
        let variables = contest::variables(durable);
        work::measure(Path::new(program().get_program()), &arguments, variables, counter, count, &out)
    }

    /// Runs a contender without the right to make a system call; whether it lives to say so.
    pub(crate) fn is_silent(
        &self,
        workload: Workload,
        durable: Durable,
        name: &str,
        makes_a_call: bool,
    ) -> std::io::Result<bool> {
        use std::os::unix::process::ExitStatusExt;
        let places = self.places()?;
        let mut command = program();
        command
            .args(["silent", &word(workload), name, "--domain", &word(durable)])
            .args(directories(&places));
        if makes_a_call {
            command.arg("--make-a-call");
        }
        let output = command.output()?;
        let killed = output.status.signal().is_some();
        if !killed && !output.status.success() {
            return Err(std::io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        Ok(!killed && output.stdout == b".")
    }
}

fn program() -> Command {
    Command::new(std::env::current_exe().expect("the path of this program"))
}

fn directories(places: &Places) -> [String; 4] {
    let [dir, disk] = places.paths().map(|path| path.display().to_string());
    ["--dir".to_owned(), dir, "--disk".to_owned(), disk]
}

/// A value as it is given on the command line.
fn word(value: impl ValueEnum) -> String {
    value.to_possible_value().expect("a value that can be given").get_name().to_owned()
}
