//! What a campaign has found: figures, and at most one failure, made small. Start at [`Report`].

use std::fmt;
use std::time::Duration;

use rio::Domain;

use crate::Model;
use crate::campaign::{Campaign, Expect, Recorder};
use crate::case::Case;

/// The environment variable that names one case to run.
pub(crate) const REPLAY: &str = "CRASH_SIM_REPLAY";

/// See the module. Printing it gives a few lines for people.
///
/// ```
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
/// let report = campaign().explore(crash_sim::Model::Adr);
/// println!("{report}");
/// assert!(report.images > 0 && report.recoveries >= report.images as u64);
/// ```
#[derive(Clone, Debug)]
pub struct Report {
    /// Name of the campaign.
    pub name: String,
    /// The model.
    pub model: Model,
    /// The domain that the medium claimed.
    pub domain: Domain,
    /// Who recorded.
    pub recorder: Recorder,
    /// Events of the workload.
    pub events: usize,
    /// Crash points, those of recoveries among them.
    pub points: u64,
    /// Combinations of what may be lost that were looked at, over all crash points.
    pub combinations: u128,
    /// Combinations that were not, where a point has more than the budget. A point that was not looked at in time counts
    /// as one.
    pub uncovered: u128,
    /// Distinct crash images. Equal images that may hold different things count once for each.
    pub images: usize,
    /// Images met at each depth: of the workload, of its recoveries, of theirs, ...
    pub levels: Vec<usize>,
    /// Recoveries that were run and checked.
    pub recoveries: u64,
    /// Images that were met beyond the budget, or behind a failure, and not recovered. Their own recoveries would have
    /// shown more, of which nothing is known.
    pub left: usize,
    /// Whether it ended because its [time](Campaign::time_max) was over.
    pub is_out_of_time: bool,
    /// Images whose recovery failed; more than one only if the campaign keeps going.
    pub failures: usize,
    /// The first failure.
    pub failure: Option<Box<Failure>>,
    /// Why it could not run here.
    pub skipped: Option<String>,
    /// Time it took.
    pub duration: Duration,
}

/// What must hold and did not.
///
/// A campaign whose operations forget to flush:
///
/// ```
/// # use crash_sim::{Campaign, Model, Sim};
/// # let campaign = Campaign::new("word", 4096)
/// #     .create(|sim: Sim| Ok::<_, String>(sim))
/// #     .open(|sim: Sim| Ok::<_, String>(sim))
/// #     .operations(2, |sim, n| {
/// #         sim.store(0, n as u64 + 1); // And no flush.
/// #         Ok::<_, String>(())
/// #     })
/// #     .model(0, |model, n| *model = n as u64 + 1, |sim| sim.load(0));
/// let report = campaign.explore(Model::Adr);
/// assert_eq!(report.failure.unwrap().oracle, crash_sim::Oracle::Durability);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Oracle {
    /// The state is neither the one before the operation in flight nor the one after it.
    Atomicity,
    /// The state is an older one than the last that was acknowledged, or than one that a recovery had come to.
    Durability,
    /// Recovery returned an error.
    Refused,
    /// Something panicked, or did not end.
    Panic,
    /// The workload could not go on behind a recovery.
    Resume,
    /// Something was stored in a recovery, and the medium was not told. Looked for at some recoveries only.
    Unannounced,
    /// The workload failed without a crash.
    Workload,
}

impl fmt::Display for Oracle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Oracle::Atomicity => {
                "atomicity: the state is neither that before the operation nor that after it"
            }
            Oracle::Durability => "durability: what was acknowledged, or found by a recovery, is not there",
            Oracle::Refused => "recovery: it refuses what a crash leaves",
            Oracle::Panic => "recovery: it panics, or does not end",
            Oracle::Resume => "usability: an operation behind a recovery fails",
            Oracle::Unannounced => "the campaign: recovery stores something without announcing it",
            Oracle::Workload => "the workload fails without any crash",
        })
    }
}

/// A case in which something does not hold.
///
/// A campaign whose operations forget to flush:
///
/// ```
/// # use crash_sim::{Campaign, Model, Sim};
/// # let campaign = Campaign::new("word", 4096)
/// #     .create(|sim: Sim| Ok::<_, String>(sim))
/// #     .open(|sim: Sim| Ok::<_, String>(sim))
/// #     .operations(2, |sim, n| {
/// #         sim.store(0, n as u64 + 1); // And no flush.
/// #         Ok::<_, String>(())
/// #     })
/// #     .model(0, |model, n| *model = n as u64 + 1, |sim| sim.load(0));
/// let failure = campaign.explore(Model::Adr).failure.unwrap();
/// println!("{failure}"); // It ends in the line that replays it.
/// assert!(campaign.replay(Model::Adr, &failure.case).failure.is_some());
/// ```
#[derive(Clone, Debug)]
pub struct Failure {
    /// What does not hold.
    pub oracle: Oracle,
    /// What the check or the recovery said.
    pub message: String,
    /// What would have been right.
    pub expect: Expect,
    /// Each crash, in words: where, and what was lost.
    pub crashes: Vec<String>,
    /// The case, for [`Campaign::replay`].
    pub case: String,
    /// The line that runs exactly this case again.
    pub replay: String,
    campaign: String,
}

impl Failure {
    pub(crate) fn new<T>(
        campaign: &Campaign<T>,
        model: Model,
        oracle: Oracle,
        expect: Expect,
        message: String,
    ) -> Self {
        Failure {
            oracle,
            message,
            expect,
            crashes: Vec::new(),
            case: String::new(),
            replay: String::new(),
            campaign: key(&campaign.name, campaign.recorder, model),
        }
    }

    pub(crate) fn of_workload<T>(campaign: &Campaign<T>, model: Model, message: String) -> Self {
        Failure::new(campaign, model, Oracle::Workload, Expect::exactly(0), message)
    }

    pub(crate) fn set_case(&mut self, case: &Case) {
        self.case = case.to_string();
        self.replay = format!("{REPLAY}='{}:{case}' {}", self.campaign, command());
    }
}

/// The command that runs the test, or program, again.
pub(crate) fn command() -> String {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let release = if cfg!(debug_assertions) { "" } else { " --release" };
    match (std::env::var("CARGO_PKG_NAME"), std::thread::current().name()) {
        (Ok(package), Some(test)) if test != "main" => {
            format!("cargo test{release} -p {package} {test} -- --exact --nocapture")
        }
        (Ok(package), _) if !arguments.is_empty() => {
            format!("cargo run{release} -p {package}{} -- {}", example(), arguments.join(" "))
        }
        (Ok(package), _) => format!("cargo run{release} -p {package}{}", example()),
        _ => std::env::args().collect::<Vec<_>>().join(" "),
    }
}

/// What tells cargo of this program, if it is an example.
fn example() -> String {
    let program = std::env::current_exe().unwrap_or_default();
    let is_example = program.parent().is_some_and(|dir| dir.ends_with("examples"));
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    if is_example { format!(" --example {name}") } else { String::new() }
}

fn key(name: &str, recorder: Recorder, model: Model) -> String {
    format!("{name}:{recorder}:{model}")
}

/// The case of this campaign that the environment asks for.
pub(crate) fn asked_for(name: &str, recorder: Recorder, model: Model) -> Option<String> {
    asked_for_key(&key(name, recorder, model))
}

/// The case that the environment asks for, of what this stands for.
pub(crate) fn asked_for_key(key: &str) -> Option<String> {
    let asked = std::env::var(REPLAY).ok()?;
    let (campaign, case) = asked.rsplit_once(':')?;
    (campaign == key).then(|| case.to_owned())
}

impl Report {
    pub(crate) fn new<T>(campaign: &Campaign<T>, model: Model, domain: Domain) -> Self {
        Report {
            name: campaign.name.clone(),
            model,
            domain,
            recorder: campaign.recorder,
            events: 0,
            points: 0,
            combinations: 0,
            uncovered: 0,
            images: 0,
            levels: Vec::new(),
            recoveries: 0,
            left: 0,
            is_out_of_time: false,
            failures: 0,
            failure: None,
            skipped: None,
            duration: Duration::ZERO,
        }
    }

    /// The largest number of crashes after which an image appeared that none with fewer crashes had shown, less one: 0 if
    /// crashing recovery shows nothing new, 1 for a right undo log.
    ///
    /// ```
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
    /// assert_eq!(campaign().explore(crash_sim::Model::Adr).depth(), 0); // Opening stores nothing.
    /// ```
    pub fn depth(&self) -> usize {
        self.levels.len().saturating_sub(1)
    }

    /// Whether every image that the model allows was recovered: nothing sampled, nothing left, nothing skipped, and no
    /// end at a failure or by the clock. What is beyond the workload, such as how often it is resumed, does not count.
    ///
    /// ```
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
    /// let report = campaign().explore(crash_sim::Model::Adr);
    /// assert!(report.is_complete());
    /// ```
    pub fn is_complete(&self) -> bool {
        self.uncovered == 0
            && self.left == 0
            && !self.is_out_of_time
            && self.skipped.is_none()
            && self.failure.is_none()
    }

    /// Whether it ran and found nothing.
    ///
    /// ```
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
    /// use crash_sim::{Model, Recorder};
    ///
    /// let report = campaign().recorder(Recorder::Machine).explore(Model::Coherent);
    /// assert!(report.is_ok() || report.skipped.is_some(), "{report}");
    /// ```
    pub fn is_ok(&self) -> bool {
        self.failure.is_none() && self.skipped.is_none()
    }

    /// Ends the test if anything failed. What could not run here is printed, and passes.
    ///
    /// ```
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
    /// campaign().explore(crash_sim::Model::Coherent).assert();
    /// ```
    ///
    /// # Panics
    /// With the report, if there is a failure.
    pub fn assert(&self) {
        assert!(self.failure.is_none(), "{self}");
        if self.skipped.is_some() {
            eprintln!("{self}");
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { name, model, domain, recorder, .. } = self;
        writeln!(f, "crash-sim: {name}: {model} crashes of {domain} code, seen by the {recorder}")?;
        if let Some(why) = &self.skipped {
            return write!(f, "  skipped     {why}");
        }
        if let Some(failure) = &self.failure {
            writeln!(f, "{failure}")?;
        }
        writeln!(
            f,
            "  explored    {} events, {} crash points, {} images, {} recoveries in {:.3} s",
            self.events,
            self.points,
            self.images,
            self.recoveries,
            self.duration.as_secs_f64()
        )?;
        writeln!(f, "  depth       {} (images by number of crashes: {:?})", self.depth(), self.levels)?;
        let words = match (self.is_complete(), &self.failure) {
            (true, _) => "everything that the model allows".to_owned(),
            (false, Some(_)) => format!("ended at a failure, {} images left", self.left),
            (false, None) => {
                let late = if self.is_out_of_time { "out of time; " } else { "" };
                format!(
                    "{late}{} of the combinations were not tried; {} images are left",
                    self.uncovered, self.left
                )
            }
        };
        writeln!(f, "  covered     {words}")?;
        write!(f, "  not seen    {}", self.model.blind_spots())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  broken      {}", self.oracle)?;
        writeln!(f, "  found       {}", self.message)?;
        writeln!(f, "  expected    {}", self.expect)?;
        self.crashes.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        write!(f, "  replay      {}", self.replay)
    }
}
