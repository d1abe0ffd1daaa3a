//! The process that is killed. It does as it was told and never returns to the program. Start at [`run`].

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rio::{Domain, DomainChoice, Region};

use super::message::{Goal, Message, Task};
use super::victim::{Clockwork, Victim, die};
use crate::campaign::{Campaign, Expect};
use crate::{Oracle, Sim, panics, reexec};

/// The variables beside [`reexec::KILL`], which names the campaign.
pub(super) const TASK: &str = "CRASH_SIM_KILL_TASK";
pub(super) const FILE: &str = "CRASH_SIM_KILL_FILE";

/// The domain of the campaign's code on a real file.
pub(super) fn domain<T>(campaign: &Campaign<T>) -> Domain {
    campaign.domain.unwrap_or(Domain::PageCache)
}

/// What does not hold, and in which words; None if the system refuses something.
type Failed = (Option<Oracle>, String);

/// Does the task of this process.
pub(super) fn run<T>(campaign: &Campaign<T>) -> ! {
    panics::install();
    let Ok(pipe) = reexec::parent() else { std::process::exit(1) };
    let task = std::env::var(TASK).ok().and_then(|text| Task::parse(&text));
    let file = std::env::var_os(FILE).map(PathBuf::from);
    let (Some(task), Some(file)) = (task, file) else { std::process::exit(1) };
    let linger = if let Goal::Run { linger, .. } = task.goal { linger } else { 0 };
    let mut child =
        Worker { campaign, task, file, pipe, clockwork: Clockwork::new(Duration::from_nanos(linger)) };
    child.tell(Message::Hello);
    match child.work() {
        Ok(()) => {
            child.tell(Message::Done);
            std::process::exit(0)
        }
        Err((oracle, words)) => {
            child
                .tell(oracle.map_or(Message::Denied(words.clone()), |oracle| Message::Failed(oracle, words)));
            std::process::exit(1)
        }
    }
}

struct Worker<'c, T> {
    campaign: &'c Campaign<T>,
    task: Task,
    file: PathBuf,
    pipe: File,
    clockwork: Arc<Clockwork>,
}

impl<T> Worker<'_, T> {
    fn tell(&mut self, message: Message) {
        if message.write(&mut self.pipe).is_err() {
            die(); // Nobody listens any more.
        }
    }

    fn work(&mut self) -> Result<(), Failed> {
        let (mut subject, mut state) = if self.file.exists() {
            match self.open(self.task.expect)? {
                Some(opened) => opened,
                None => return Ok(()),
            }
        } else {
            (self.create()?, 0)
        };
        let count = self.campaign.operation_count;
        let started = Instant::now();
        match self.task.goal {
            Goal::Create { .. } | Goal::Recover { .. } => die(), // It had fewer calls than expected.
            Goal::Count => return self.leave(subject),
            Goal::Measure => self.operate(&mut subject, &mut state, count)?,
            Goal::Operate { number, call } => {
                self.operate(&mut subject, &mut state, number)?;
                if state == number {
                    self.apply(&mut subject, number, call)?;
                    if self.clockwork.calls() + 1 == call {
                        die(); // Behind its last call, and before its acknowledgement.
                    }
                    self.tell(Message::Acked(number + 1));
                }
                die()
            }
            Goal::Run { to, .. } => {
                self.operate(&mut subject, &mut state, to)?;
                loop {
                    std::thread::park(); // Until the parent kills it.
                }
            }
            Goal::Finish => {
                self.operate(&mut subject, &mut state, count)?;
                self.close(subject)?;
                let reopened = self.open(Expect::exactly(count))?;
                return reopened.map_or(Ok(()), |(subject, _)| self.leave(subject));
            }
        }
        self.tell(Message::Nanos(started.elapsed().as_nanos() as u64));
        self.close(subject)
    }

    /// Makes the file.
    fn create(&mut self) -> Result<T, Failed> {
        let campaign = self.campaign;
        let create = campaign.create.as_ref().expect("a campaign creates its structure");
        let region = self.options().size(campaign.size).create(&self.file);
        let region = region.map_err(|error| denied(error, Oracle::Workload))?;
        let last = if let Goal::Create { call } = self.task.goal { call } else { 0 };
        let medium = self.medium(region, last);
        let made = panics::catch(|| create(medium));
        let made = made.map_err(|panic| (Some(Oracle::Workload), format!("creation panicked: {panic}")))?;
        let subject = made.map_err(|error| (Some(Oracle::Workload), format!("creation: {error}")))?;
        let calls = self.clockwork.calls();
        self.clockwork.wind(0);
        self.tell(Message::Calls(calls));
        self.tell(Message::Opened(0));
        Ok(subject)
    }

    /// Opens the file, which recovers, and checks what it holds. None if there is nothing to go on with.
    fn open(&mut self, expect: Expect) -> Result<Option<(T, usize)>, Failed> {
        let open = self.campaign.open.as_ref().expect("a campaign opens its structure");
        let region = self.options().open(&self.file).map_err(|error| denied(error, Oracle::Refused))?;
        let last = if let Goal::Recover { call } = self.task.goal { call } else { 0 };
        let medium = self.medium(region, last);
        let opened = panics::catch(|| open(medium));
        let opened = opened.map_err(|panic| (Some(Oracle::Panic), format!("recovery panicked: {panic}")))?;
        let calls = self.clockwork.calls();
        self.clockwork.wind(0);
        let mut subject = match opened {
            Ok(subject) => subject,
            Err(_) if self.task.is_creating => {
                self.tell(Message::Refused);
                return Ok(None);
            }
            Err(error) => return Err((Some(Oracle::Refused), format!("recovery refused it: {error}"))),
        };
        let state = self.state_of(&mut subject, expect)?;
        self.tell(Message::Calls(calls));
        match state {
            Some(state) => self.tell(Message::Opened(state)),
            None => self.tell(Message::Loose),
        }
        match state {
            Some(state) => Ok(Some((subject, state))),
            None => self.leave(subject).map(|()| None),
        }
    }

    fn options(&self) -> rio::RegionOptions {
        let capacity = self.campaign.capacity.max(self.campaign.size);
        let choice = DomainChoice::Forced(domain(self.campaign));
        Region::options().domain(choice).max_len(capacity.next_multiple_of(1 << 16))
    }

    fn medium(&self, region: Region, last: u64) -> Sim {
        self.clockwork.wind(last);
        Sim::on_file(Victim::new(region, self.clockwork.clone()))
    }

    /// Which state it is, of those that it may be; None if that cannot be told.
    fn state_of(&self, subject: &mut T, expect: Expect) -> Result<Option<usize>, Failed> {
        let check = self.campaign.check.as_ref().expect("a campaign checks what it finds");
        let mut holds = |expect: Expect| match panics::catch(|| check(subject, &expect)) {
            Ok(result) => result.map_err(|error| (Some(Oracle::Atomicity), error.to_string())),
            Err(panic) => Err((Some(Oracle::Panic), format!("the check panicked: {panic}"))),
        };
        let mut wrong = None;
        for state in expect.acked..=expect.begun {
            match holds(Expect::exactly(state)) {
                Ok(()) => return Ok(Some(state)),
                Err(error) => wrong = Some(error),
            }
        }
        if expect.acked < expect.begun {
            // A check that takes both and neither of them alone is a loose one.
            match holds(expect) {
                Ok(()) => return Ok(None),
                Err(error) => wrong = Some(error),
            }
        }
        let (mut oracle, words) = wrong.expect("at least one state was tried");
        if oracle == Some(Oracle::Atomicity)
            && (0..expect.acked).any(|state| holds(Expect::exactly(state)).is_ok())
        {
            oracle = Some(Oracle::Durability);
        }
        Err((oracle, words))
    }

    /// The operations up to this one, acknowledged one by one.
    fn operate(&mut self, subject: &mut T, state: &mut usize, to: usize) -> Result<(), Failed> {
        for number in *state..to {
            self.apply(subject, number, 0)?;
            if self.task.goal == Goal::Measure {
                let calls = self.clockwork.calls();
                self.tell(Message::Calls(calls));
            }
            self.tell(Message::Acked(number + 1));
            *state = number + 1;
        }
        Ok(())
    }

    fn apply(&mut self, subject: &mut T, number: usize, last: u64) -> Result<(), Failed> {
        let apply = self.campaign.apply.as_ref().expect("a campaign has operations");
        self.clockwork.wind(last);
        let applied = panics::catch(|| apply(subject, number));
        let failed = |words: String| (self.oracle_of_work(), format!("operation {number} {words}"));
        applied
            .map_err(|panic| failed(format!("panicked: {panic}")))?
            .map_err(|error| failed(format!("failed: {error}")))
    }

    fn close(&mut self, subject: T) -> Result<(), Failed> {
        self.clockwork.wind(0);
        let closed = panics::catch(|| match &self.campaign.close {
            Some(close) => close(subject),
            None => {
                drop(subject);
                Ok(())
            }
        });
        let failed = |words: String| (self.oracle_of_work(), format!("close {words}"));
        closed
            .map_err(|panic| failed(format!("panicked: {panic}")))?
            .map_err(|error| failed(format!("failed: {error}")))
    }

    fn leave(&mut self, subject: T) -> Result<(), Failed> {
        let left = panics::catch(|| drop(subject));
        left.map_err(|panic| (Some(Oracle::Panic), format!("dropping it panicked: {panic}")))
    }

    fn oracle_of_work(&self) -> Option<Oracle> {
        Some(if self.task.goal == Goal::Measure { Oracle::Workload } else { Oracle::Resume })
    }
}

/// What the file itself is to blame for, or the system.
fn denied(error: rio::Error, oracle: Oracle) -> Failed {
    let is_system = matches!(error, rio::Error::System { .. } | rio::Error::NoSpace { .. });
    ((!is_system).then_some(oracle), format!("the file: {error}"))
}

/// What the environment of a child says, for one that does this.
pub(super) fn variables<'v>(
    name: &'v str,
    task: &'v str,
    file: &'v Path,
) -> [(&'v str, &'v std::ffi::OsStr); 3] {
    [(reexec::KILL, name.as_ref()), (TASK, task.as_ref()), (FILE, file.as_ref())]
}
