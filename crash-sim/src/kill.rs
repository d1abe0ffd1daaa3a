//! SIGKILL to a real process under load, on a real file.
//!
//! The process is this program, started again (`reexec`). It opens the file, which recovers, and goes on
//! with the operations where they ended; it acknowledges each by a pipe. It is killed by its parent at any time, or
//! kills itself at one store, flush, fence or growth that it has counted to, in an operation or in the recovery. The next
//! process checks what it finds. Only processes touch the file that may be killed, so one that hangs is found and
//! ended. Start at [`Campaign::kill`].

mod plan; // which kills there are
mod message; // what a child is told, and tells
mod victim; // the region below a child's medium
mod child; // the process that is killed
mod report; // what the kills have shown

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::campaign::{Campaign, Expect};
use crate::reexec::{self, Kin, Running, Word};
use crate::{Oracle, report as replays};
use message::{Goal, Message, Task};
use plan::{Kill, Plan, Round};

pub use report::{KillFailure, KillMoment, KillReport};
pub(crate) use victim::Victim;

/// How processes are killed by [`Campaign::kill`].
///
/// ```no_run
/// # use crash_sim::{Campaign, Sim};
/// # fn campaign() -> Campaign<Sim> {
/// #     Campaign::new("word", 4096)
/// #         .create(|sim: Sim| Ok::<_, String>(sim))
/// #         .open(|sim: Sim| Ok::<_, String>(sim))
/// #         .operations(2, |sim, n| {
/// #             sim.store(0, n as u64 + 1);
/// #             sim.persist(0, 8);
/// #             Ok::<_, String>(())
/// #         })
/// #         .model(0, |model, n| *model = n as u64 + 1, |sim| sim.load(0))
/// # }
/// use crash_sim::KillOptions;
///
/// let report = campaign().kill(&KillOptions::new().rounds(30).seed(7));
/// report.assert();
/// ```
pub struct KillOptions {
    rounds: usize,
    seed: u64,
    only: Option<usize>,
    time_limit: Duration,
    dir: Option<PathBuf>,
    command: Option<Vec<String>>,
    progress: RefCell<Progress>,
}

type Progress = Option<Box<dyn FnMut(&KillReport)>>;

impl Default for KillOptions {
    fn default() -> Self {
        KillOptions::new()
    }
}

impl KillOptions {
    /// Twelve rounds of seed 1, in the directory for temporary files; a process is given 20 seconds.
    ///
    /// ```
    /// let options = crash_sim::KillOptions::new();
    /// assert_eq!(format!("{options:?}"), "KillOptions { rounds: 12, seed: 1, only: None, .. }");
    /// ```
    pub fn new() -> Self {
        KillOptions {
            rounds: 12,
            seed: 1,
            only: None,
            time_limit: Duration::from_secs(20),
            dir: None,
            command: None,
            progress: RefCell::new(None),
        }
    }

    /// How many rounds there are: each kills one process in an operation, and every third of them its recoveries too.
    ///
    /// ```
    /// let options = crash_sim::KillOptions::new().rounds(100);
    /// # assert!(format!("{options:?}").contains("rounds: 100"));
    /// ```
    pub fn rounds(mut self, rounds: usize) -> Self {
        self.rounds = rounds;
        self
    }

    /// What chance begins with. Counted moments are the same for the same seed.
    ///
    /// ```
    /// let options = crash_sim::KillOptions::new().seed(7);
    /// # assert!(format!("{options:?}").contains("seed: 7"));
    /// ```
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Runs one round of this seed again, on a file that has seen the rounds before it: for regression tests. What was
    /// found at a counted moment is found again; a kill by the clock comes at the same time, and not at the same
    /// instruction.
    ///
    /// ```
    /// let options = crash_sim::KillOptions::new().replay(7, 3); // As `7.3` in a replay line.
    /// # assert!(format!("{options:?}").contains("only: Some(3)"));
    /// ```
    pub fn replay(mut self, seed: u64, round: usize) -> Self {
        self.seed = seed;
        self.only = Some(round);
        self
    }

    /// How long one process may take before it is said to hang.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let options = crash_sim::KillOptions::new().time_limit(Duration::from_secs(60));
    /// ```
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Where the files are, for as long as the rounds last. What a kill shows does not depend on it, but the speed does:
    /// rio syncs files on disks.
    ///
    /// ```
    /// let options = crash_sim::KillOptions::new().dir("/dev/shm"); // Where no sync takes time.
    /// ```
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// The program and its arguments that come to this call again: needed outside of tests, where it cannot be known. It
    /// is killed, so it must be the program itself, and nothing that starts it.
    ///
    /// ```
    /// let program = std::env::current_exe()?.display().to_string();
    /// let options = crash_sim::KillOptions::new().command(vec![program, "kill".to_owned()]);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    ///
    /// # Panics
    /// If there is no program.
    pub fn command(mut self, command: Vec<String>) -> Self {
        assert!(!command.is_empty(), "a command begins with a program");
        self.command = Some(command);
        self
    }

    /// Is called behind each round.
    ///
    /// ```
    /// let options = crash_sim::KillOptions::new().progress(|report| eprint!("\r{} kills", report.kills.len()));
    /// ```
    pub fn progress(mut self, progress: impl FnMut(&KillReport) + 'static) -> Self {
        self.progress = RefCell::new(Some(Box::new(progress)));
        self
    }
}

impl fmt::Debug for KillOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KillOptions")
            .field("rounds", &self.rounds)
            .field("seed", &self.seed)
            .field("only", &self.only)
            .finish_non_exhaustive()
    }
}

impl<T> Campaign<T> {
    /// Runs the operations in processes that are killed by SIGKILL, on a real file, and checks behind every kill.
    ///
    /// Each process is this test once more, up to this call, which does not return there: what the test does before
    /// should be quick, and always the same. A campaign that is killed has a name of its own in its test.
    ///
    /// ```no_run
    /// # use crash_sim::{Campaign, Sim};
    /// # fn campaign() -> Campaign<Sim> {
    /// #     Campaign::new("word", 4096)
    /// #         .create(|sim: Sim| Ok::<_, String>(sim))
    /// #         .open(|sim: Sim| Ok::<_, String>(sim))
    /// #         .operations(2, |sim, n| {
    /// #             sim.store(0, n as u64 + 1);
    /// #             sim.persist(0, 8);
    /// #             Ok::<_, String>(())
    /// #         })
    /// #         .model(0, |model, n| *model = n as u64 + 1, |sim| sim.load(0))
    /// # }
    /// use crash_sim::KillOptions;
    ///
    /// #[test]
    /// fn survives_being_killed() {
    ///     let report = campaign().kill(&KillOptions::new());
    ///     assert!(report.is_ok(), "{report}");
    ///     println!("{} kills, {} of them in a recovery", report.kills.len(), report.recovery_kills());
    /// }
    /// ```
    ///
    /// # Panics
    /// If a closure or the operations are missing, or if this is not a thread of a test and no
    /// [`command`](KillOptions::command) was given.
    pub fn kill(&self, options: &KillOptions) -> KillReport {
        if let Some(name) = reexec::task(reexec::KILL)
            && name == self.name
        {
            child::run(self);
        }
        let mut report = KillReport::new(&self.name, child::domain(self), options.seed);
        if reexec::is_child() {
            report.skipped = Some("this process is the child of something else".to_owned());
            return report;
        }
        let is_whole = self.create.is_some() && self.open.is_some() && self.check.is_some();
        assert!(is_whole && self.operation_count > 0, "`{}` lacks a closure, or operations", self.name);
        let started = Instant::now();
        let kin = match Kin::new(options.command.as_deref()) {
            Ok(kin) => kin,
            Err(error) => {
                report.skipped = Some(format!("this program cannot be found to be started again: {error}"));
                return report;
            }
        };
        let only = match replays::asked_for_key(&key(&self.name)) {
            None => options.only,
            Some(case) => {
                let (seed, round) = parse_case(&case)
                    .unwrap_or_else(|| panic!("{}: `{case}` is no seed.round, such as 7.3", self.name));
                report.seed = seed;
                Some(round)
            }
        };
        match Rounds::new(self, options, &kin, report) {
            Ok(rounds) => rounds.run(only, started),
            Err(report) => *report,
        }
    }
}

/// What stands for a campaign in a replay line.
fn key(name: &str) -> String {
    format!("{name}:kill")
}

fn parse_case(case: &str) -> Option<(u64, usize)> {
    let (seed, round) = case.split_once('.')?;
    Some((seed.parse().ok()?, round.parse().ok()?))
}

/// What ends a round before its end.
enum Trouble {
    Fails(Oracle, String),
    /// The system refuses.
    Refused(String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Trouble::Refused(format!("the system refuses: {error}"))
    }
}

/// What a child has told, and how it ended.
#[derive(Default)]
struct Told {
    came: bool,
    opened: Option<usize>,
    is_loose: bool,
    is_refused: bool,
    is_done: bool,
    calls: Vec<u64>,
    acked: Option<usize>,
    nanos: u64,
    trouble: Option<Trouble>,
    /// How long it was open when its parent killed it.
    killed_at: Option<Duration>,
}

/// What the workload is without a kill.
#[derive(Default)]
struct Measured {
    creation_calls: u64,
    operation_calls: Vec<u64>,
    nanos: u64,
}

/// The parent's side.
struct Rounds<'c, T> {
    campaign: &'c Campaign<T>,
    options: &'c KillOptions,
    kin: &'c Kin,
    dir: TempDir,
    measured: Measured,
    report: KillReport,
    /// What the file may hold.
    expect: Expect,
    is_creating: bool,
    /// Whether the file was left by a kill that nobody has looked behind yet.
    is_killed: bool,
    /// The kills that this file has seen.
    kills: Vec<KillMoment>,
}

impl<'c, T> Rounds<'c, T> {
    fn new(
        campaign: &'c Campaign<T>,
        options: &'c KillOptions,
        kin: &'c Kin,
        mut report: KillReport,
    ) -> Result<Self, Box<KillReport>> {
        let parent = options.dir.clone().unwrap_or_else(std::env::temp_dir);
        let dir = match tempfile::Builder::new().prefix("crash-sim-").tempdir_in(&parent) {
            Ok(dir) => dir,
            Err(error) => {
                report.skipped =
                    Some(format!("{}: no directory can be made there: {error}", parent.display()));
                return Err(Box::new(report));
            }
        };
        let expect = Expect::exactly(0);
        let measured = Measured::default();
        let (is_creating, is_killed, kills) = (false, false, Vec::new());
        Ok(Rounds { campaign, options, kin, dir, measured, report, expect, is_creating, is_killed, kills })
    }

    fn run(mut self, only: Option<usize>, started: Instant) -> KillReport {
        if let Err(trouble) = self.measure() {
            self.note(trouble, None);
        }
        let plan =
            || Plan::new(self.report.seed, self.campaign.operation_count, self.campaign.crashes_creation);
        let (first, last) = match only {
            Some(round) => (plan().take(round + 1).filter(|round| round.is_first).last(), round + 1),
            None => (None, self.options.rounds),
        };
        let first = first.map_or(0, |round| round.number);
        for round in plan().take(last).skip(first) {
            if self.report.skipped.is_some() || self.is_over() {
                break;
            }
            if round.is_first {
                self.forget();
            }
            self.round(&round, round.is_last || round.number + 1 == last);
            self.report.rounds += 1;
            self.report.duration = started.elapsed();
            if let Some(progress) = &mut *self.options.progress.borrow_mut() {
                progress(&self.report);
            }
        }
        self.report.duration = started.elapsed();
        self.report
    }

    fn is_over(&self) -> bool {
        let of_workload = |failure: &KillFailure| failure.round.is_none();
        !self.report.failures.is_empty()
            && (!self.campaign.keeps_going || self.report.failures.iter().any(of_workload))
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("region")
    }

    /// The next process makes another file.
    fn forget(&mut self) {
        let _ = std::fs::remove_file(self.file());
        self.expect = Expect::exactly(0);
        (self.is_creating, self.is_killed) = (false, false);
        self.kills.clear();
    }

    /// Counts the calls of each operation.
    fn measure(&mut self) -> Result<(), Trouble> {
        let file = self.dir.path().join("measured");
        let told = self.attend(Goal::Measure, &file, None)?;
        let _ = std::fs::remove_file(file);
        let [creation_calls, ref operation_calls @ ..] = told.calls[..] else {
            return Err(Trouble::Fails(Oracle::Workload, "the child told nothing".to_owned()));
        };
        let operation_calls = operation_calls.to_vec();
        self.measured = Measured { creation_calls, operation_calls, nanos: told.nanos };
        Ok(())
    }

    fn round(&mut self, round: &Round, is_last: bool) {
        let number = round.number;
        let result = self.kill_creation(round).and_then(|()| {
            // What this process finds at first is what the round before has left.
            self.kill_operation(round)
        });
        if let Err((trouble, is_before)) = result {
            return self.note(trouble, Some(if is_before { number.saturating_sub(1) } else { number }));
        }
        if let Err(trouble) = self.kill_recoveries(round) {
            return self.note(trouble, Some(number));
        }
        if is_last && let Err(trouble) = self.work(Goal::Finish, None) {
            self.note(trouble, Some(number));
        }
    }

    fn kill_creation(&mut self, round: &Round) -> Result<(), (Trouble, bool)> {
        let Some(draw) = round.creation else { return Ok(()) };
        let of = self.measured.creation_calls;
        let call = draw.one_of(of);
        self.work(Goal::Create { call }, None).map_err(|trouble| (trouble, false))?;
        self.is_creating = true;
        self.killed(KillMoment::Creation { call, of });
        Ok(())
    }

    /// The bool of an error: it is the fault of the round before.
    fn kill_operation(&mut self, round: &Round) -> Result<(), (Trouble, bool)> {
        let was_killed = self.is_killed && !round.is_first;
        let (goal, draw) = match round.kill {
            Kill::Counted { number, call } => {
                let of = self.measured.operation_calls.get(number).copied().unwrap_or(0);
                (Goal::Operate { number, call: call.one_of(of + 1) }, None)
            }
            Kill::Random { to, time, lingers } => {
                let (linger, nanos) = self.span(to, lingers);
                (Goal::Run { to, linger }, Some(Duration::from_nanos(time.one_of(nanos))))
            }
        };
        let mut result = self.work(goal, draw);
        if matches!(result, Ok(Told { is_refused: true, .. })) {
            // Its creation was killed.
            self.report.refused += 1;
            self.forget();
            result = self.work(goal, draw);
        }
        let told = result.map_err(|trouble| (trouble, was_killed && self.is_killed))?;
        let moment = match goal {
            Goal::Operate { number, call } => {
                let of = self.measured.operation_calls.get(number).copied().unwrap_or(0);
                KillMoment::Operation { number, call, of }
            }
            _ => KillMoment::Random { micros: told.killed_at.unwrap_or_default().as_micros() as u64 },
        };
        if told.is_loose {
            self.forget(); // Where to go on cannot be told.
        } else {
            self.killed(moment);
        }
        Ok(())
    }

    /// How long each call of the operations lingers, and how long all up to one of them may take then.
    fn span(&self, to: usize, lingers: bool) -> (u64, u64) {
        let from = self.expect.acked.min(to);
        let linger = if lingers { LINGER_NANOS } else { 0 };
        let calls: u64 = self.measured.operation_calls.get(from..to).unwrap_or_default().iter().sum();
        let count = self.campaign.operation_count.max(1) as u64;
        let nanos = self.measured.nanos / count * (to - from) as u64 + calls * linger;
        (linger, nanos + nanos / 4 + 10_000)
    }

    fn kill_recoveries(&mut self, round: &Round) -> Result<(), Trouble> {
        for draw in &round.recoveries {
            let (mut of, state) = self.look_at_recovery()?;
            if of == 0 {
                of = self.make_recovery(round, state)?;
            }
            if of == 0 {
                return Ok(());
            }
            let call = draw.one_of(of);
            self.attend(Goal::Recover { call }, &self.file(), None)?;
            self.killed(KillMoment::Recovery { call, of });
        }
        Ok(())
    }

    /// How many calls the recovery of the file has, and the state that it comes to, as a copy tells.
    fn look_at_recovery(&mut self) -> Result<(u64, Option<usize>), Trouble> {
        if !self.file().exists() {
            return Ok((0, None));
        }
        let copy = self.dir.path().join("copy");
        std::fs::copy(self.file(), &copy)?;
        let told = self.attend(Goal::Count, &copy, None)?;
        let _ = std::fs::remove_file(copy);
        Ok((told.calls.first().copied().unwrap_or(0), told.opened))
    }

    /// Where the kill of this round has left nothing to recover, the same operation is killed at its other calls. How many
    /// calls the recovery has at last; 0 if there is none.
    fn make_recovery(&mut self, round: &Round, mut state: Option<usize>) -> Result<u64, Trouble> {
        let Kill::Counted { number, call } = round.kill else { return Ok(0) };
        let of = self.measured.operation_calls.get(number).copied().unwrap_or(0);
        let first = call.one_of(of + 1);
        for shift in 1..=of.min(OTHER_CALLS_MAX) {
            if state != Some(number) {
                return Ok(0); // It is done, or where it is cannot be told.
            }
            let call = (first + shift - 1) % (of + 1) + 1;
            self.work(Goal::Operate { number, call }, None)?;
            self.killed(KillMoment::Operation { number, call, of });
            let calls;
            (calls, state) = self.look_at_recovery()?;
            if calls > 0 {
                return Ok(calls);
            }
        }
        Ok(0)
    }

    /// A process that goes on with the operations of the file.
    fn work(&mut self, goal: Goal, kill_after: Option<Duration>) -> Result<Told, Trouble> {
        if !self.file().exists() {
            self.report.files += 1;
            self.kills.clear();
        }
        self.attend(goal, &self.file(), kill_after)
    }

    fn killed(&mut self, moment: KillMoment) {
        self.is_killed = true;
        self.kills.push(moment.clone());
        self.report.kills.push(moment);
    }

    /// Starts a child, hears it to its end, and learns from that what the file may hold.
    fn attend(&mut self, goal: Goal, file: &Path, kill_after: Option<Duration>) -> Result<Told, Trouble> {
        let task = Task { expect: self.expect, is_creating: self.is_creating, goal }.to_string();
        let variables = child::variables(&self.campaign.name, &task, file);
        let mut child = self.kin.start(variables, &self.dir.path().join("stderr"))?;
        let mut told = Told::default();
        let result = self.hear(&mut child, goal, kill_after, &mut told);
        if file == self.file() {
            self.learn(&told);
        }
        result.map(|()| told)
    }

    fn hear(
        &self,
        child: &mut Running,
        goal: Goal,
        kill_after: Option<Duration>,
        told: &mut Told,
    ) -> Result<(), Trouble> {
        let deadline = Instant::now() + self.options.time_limit;
        let mut opened_at = None;
        let mut bytes = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            let kill_at = opened_at.zip(kill_after).filter(|_| told.killed_at.is_none());
            let kill_at = kill_at.map(|(opened_at, after): (Instant, _)| opened_at + after);
            match child.hear(&mut chunk, kill_at.unwrap_or(deadline).min(deadline))? {
                Word::Bytes(count) => {
                    bytes.extend_from_slice(&chunk[..count]);
                    while let Some(message) = Message::take(&mut bytes) {
                        told.note(message);
                    }
                    if opened_at.is_none() && told.opened.is_some() {
                        opened_at = Some(Instant::now());
                    }
                }
                Word::End => break,
                Word::Late if Instant::now() >= deadline => return Err(self.hangs(child, goal, told)),
                Word::Late => {
                    child.kill();
                    told.killed_at = Some(kill_after.unwrap_or_default());
                }
            }
        }
        let Some(status) = child.end(deadline)? else { return Err(self.hangs(child, goal, told)) };
        if let Some(trouble) = told.trouble.take() {
            return Err(trouble);
        }
        let may_be_killed = !matches!(goal, Goal::Measure | Goal::Count | Goal::Finish);
        if told.came && (told.is_done || may_be_killed && reexec::is_killed(status)) {
            return Ok(());
        }
        let words = child.last_words();
        if told.came {
            let words = format!("the process ended by itself ({status}){words}");
            return Err(Trouble::Fails(oracle_of(goal, told), words));
        }
        Err(Trouble::Fails(
            Oracle::Workload,
            format!(
                "`{}` did not come to this campaign ({status}){}{words}",
                self.kin.words(),
                reexec::reason(status)
            ),
        ))
    }

    fn hangs(&self, child: &mut Running, goal: Goal, told: &Told) -> Trouble {
        child.kill();
        let whereabouts = match (told.came, told.opened) {
            (false, _) => "before it came to the campaign".to_owned(),
            (true, None) => "in the recovery, or the creation".to_owned(),
            (true, Some(state)) => format!("behind operation {}", told.acked.unwrap_or(state)),
        };
        let limit = self.options.time_limit;
        Trouble::Fails(
            oracle_of(goal, told),
            format!("the process did not end in {limit:?}: it hangs {whereabouts}"),
        )
    }

    /// What the file may hold after a child that told this.
    fn learn(&mut self, told: &Told) {
        let Some(state) = told.opened else { return };
        if self.is_killed {
            let found = if state == self.expect.acked {
                &mut self.report.found_before
            } else {
                &mut self.report.found_after
            };
            *found += 1;
        }
        (self.is_killed, self.is_creating) = (false, false);
        let acked = told.acked.unwrap_or(state);
        self.report.acknowledged += acked - state;
        self.expect = Expect { acked, begun: (acked + 1).min(self.campaign.operation_count) };
    }

    fn note(&mut self, trouble: Trouble, round: Option<usize>) {
        let (oracle, message) = match trouble {
            Trouble::Refused(why) => {
                self.report.skipped = Some(why);
                return;
            }
            Trouble::Fails(oracle, message) => (oracle, message),
        };
        let key = key(&self.campaign.name);
        let case = format!("{}.{}", self.report.seed, round.unwrap_or(0));
        self.report.failures.push(KillFailure {
            oracle,
            message,
            expect: self.expect,
            round,
            kills: self.kills.clone(),
            replay: format!("{}='{key}:{case}' {}", replays::REPLAY, replays::command()),
        });
        self.forget();
    }
}

/// How many other calls are tried to come to a recovery.
const OTHER_CALLS_MAX: u64 = 8;
/// How long a call lingers in some of the rounds, so that most kills by the clock come between two of them.
const LINGER_NANOS: u64 = 5_000;

impl Told {
    fn note(&mut self, message: Message) {
        match message {
            Message::Hello => self.came = true,
            // The first one is what was found; a child that finishes opens once more.
            Message::Opened(state) => _ = self.opened.get_or_insert(state),
            Message::Loose => self.is_loose = true,
            Message::Refused => self.is_refused = true,
            Message::Calls(calls) => self.calls.push(calls),
            Message::Acked(count) => self.acked = Some(count),
            Message::Nanos(nanos) => self.nanos = nanos,
            Message::Done => self.is_done = true,
            Message::Failed(oracle, words) => self.trouble = Some(Trouble::Fails(oracle, words)),
            Message::Denied(words) => self.trouble = Some(Trouble::Refused(words)),
        }
    }
}

/// Which promise a process breaks that ends or hangs here.
fn oracle_of(goal: Goal, told: &Told) -> Oracle {
    match (goal, told.opened) {
        (Goal::Measure, _) => Oracle::Workload,
        (_, None) => Oracle::Panic,
        (_, Some(_)) => Oracle::Resume,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_a_seed_and_a_round() {
        assert_eq!(parse_case("7.3"), Some((7, 3)));
        assert_eq!(parse_case("7"), None);
        assert_eq!(parse_case("7.x"), None);
    }
}
