//! The closure: every crash image, recovered; every crash of that recovery, recovered; until nothing new appears.
//!
//! Images are met breadth first, so that the first failure has the fewest crashes. Each is a difference to the medium
//! before the first operation, told apart by a hash of 128 bits of its content and of what it may hold. Start at [`run`].

use std::collections::VecDeque;
use std::mem;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use rio::Domain;

use crate::campaign::{Budget, Campaign, Expect};
use crate::case::{Case, Crash};
use crate::combine::{Combined, combine, draw};
use crate::image::{Canvas, Delta, Seen};
use crate::lazy::{Loss, Open, Undecided, open_lines};
use crate::model::{Model, Pending, Unit, step, walk};
use crate::mutants::{self, Dropped};
use crate::report::{Failure, Oracle, Report};
use crate::sim::{Loader, Stage};
use crate::trace::{Event, Trace};
use crate::{panics, symbols};

/// Runs a campaign under a model.
pub(crate) fn run<T>(campaign: &Campaign<T>, model: Model) -> Report {
    if crate::reexec::is_child() {
        // This program was started once more for something else in the same test.
        let mut report = Report::new(campaign, model, campaign.domain.unwrap_or(model.domain()));
        report.skipped = Some("this process was started to be killed, or stepped through".to_owned());
        return report;
    }
    if campaign.dropped.is_none()
        && let Some(case) = crate::report::asked_for(&campaign.name, campaign.recorder, model)
    {
        return replay(campaign, model, &case);
    }
    let started = Instant::now();
    let mut explorer = match Explorer::new(campaign, model) {
        Ok(explorer) => explorer,
        Err(report) => return *report,
    };
    explorer.images_of_workload();
    while let Some(job) = explorer.queue.pop_front() {
        if explorer.report.failure.is_some() && !campaign.keeps_going {
            explorer.queue.push_front(job);
            break;
        }
        explorer.visit(&job);
    }
    explorer.finish(started)
}

/// Runs one case of a campaign.
pub(crate) fn replay<T>(campaign: &Campaign<T>, model: Model, case: &str) -> Report {
    let case: Case = case.parse().unwrap_or_else(|error| panic!("{}: {error}", campaign.name));
    let started = Instant::now();
    let mut explorer = match Explorer::new(campaign, model) {
        Ok(explorer) => explorer,
        Err(report) => return *report,
    };
    match explorer.follow(&case) {
        Ok(()) => {}
        // What was mended since may do less, or persist it earlier.
        Err(Stop::NotThere(why)) => explorer.report.skipped = Some(format!("case {case}: {why}")),
        Err(Stop::Fails(why)) => panic!("{}: case {case}: {why}", campaign.name),
    }
    explorer.finish(started)
}

/// The stream of the workload.
pub(crate) fn record<T>(campaign: &Campaign<T>) -> Result<Trace, String> {
    match Explorer::new(campaign, Model::Coherent) {
        Ok(explorer) => Ok(explorer.workload),
        Err(report) => Err(report.to_string()),
    }
}

/// The events that can be left out of the workload, and of its recoveries, and where each came from. The campaign must be
/// one that holds.
pub(crate) fn droppable<T>(
    campaign: &Campaign<T>,
    model: Model,
) -> Result<Vec<(Dropped, Event, String)>, String> {
    let mut explorer = Explorer::new(campaign, model).map_err(|report| report.to_string())?;
    let mut found = Vec::new();
    let workload = explorer.workload.clone();
    for (number, index) in
        (0..workload.len()).filter(|&at| mutants::can_be_dropped(&workload.events()[at])).enumerate()
    {
        let source = explorer.source_of(&workload, index, &[]);
        found.push((Dropped::Workload(number), workload.events()[index], source));
    }
    // The recovery with the most events that can be left out stands for all.
    explorer.images_of_workload();
    let mut longest: (usize, usize) = (0, 0);
    while let Some(job) = explorer.queue.pop_front().filter(|job| job.depth == 0) {
        let _ = explorer.recover(&job, Resume::Never);
        explorer.undecided = Undecided::default();
        let count = explorer.trace.events().iter().filter(|event| mutants::can_be_dropped(event)).count();
        if count > longest.0 {
            longest = (count, job.node);
        }
    }
    if longest.0 > 0 {
        let case = explorer.case_of(longest.1);
        let at = explorer.position(&case.0).map_err(|(Stop::NotThere(why) | Stop::Fails(why))| why)?;
        let end = end_of_recovery(&at.trace);
        let events = (0..end).filter(|&index| mutants::can_be_dropped(&at.trace.events()[index]));
        for (number, index) in events.enumerate() {
            let source = explorer.source_of(&at.trace, index, &case.0);
            found.push((Dropped::Recovery(number), at.trace.events()[index], source));
        }
    }
    Ok(found)
}

/// What an image may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Context {
    expect: Expect,
    /// Creation has not returned: the image may be refused.
    is_creating: bool,
}

impl Context {
    fn hash(self) -> u128 {
        let Expect { acked, begun } = self.expect;
        let word = (acked as u64) << 33 | (begun as u64) << 1 | u64::from(self.is_creating);
        u128::from(word).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
    }
}

/// An image that is to be recovered.
struct Job {
    /// The image as the recovery finds it.
    delta: Delta,
    /// After a kill: what has surely arrived of it, and what is still under way.
    carried: Option<Box<(Delta, Pending)>>,
    /// What may be there over `delta` or not, to be decided when somebody reads it.
    open: Rc<[Open]>,
    len: u64,
    context: Context,
    depth: usize,
    /// Its place in the tree of crashes.
    node: usize,
}

/// How an image came about.
struct Node {
    parent: usize,
    crash: Crash,
    /// What was decided here of crashes before.
    decided: Vec<Loss>,
}

/// What a run of the program under test came to.
enum Ran {
    /// It was refused, as it may be.
    Refused,
    /// It holds, and is this state if that could be told.
    Holds(Option<usize>),
    Fails(Oracle, String),
}

/// Whether the workload goes on behind a recovery. Where recovery stored nothing there is less to find, in what the
/// opener keeps in memory and what the operation in flight has left: such images get half of the budget.
#[derive(Clone, Copy)]
enum Resume {
    Never,
    IfRecovered,
    Always,
}

/// Why a case could not be followed to its end.
enum Stop {
    /// The program does not come to where it was to crash, or does not leave there what was to be lost.
    NotThere(String),
    /// A crash before the last one fails already.
    Fails(String),
}

struct Explorer<'c, T> {
    campaign: &'c Campaign<T>,
    model: Model,
    domain: Domain,
    budget: Budget,
    stage: Arc<Stage>,
    loader: Loader,
    canvas: Canvas,
    /// The stream of the last run.
    trace: Trace,
    workload: Trace,
    /// Context of the start of the workload, and the length of the medium then.
    origin: (Context, u64),
    seen: Seen,
    nodes: Vec<Node>,
    queue: VecDeque<Job>,
    resumed: usize,
    undecided: Undecided,
    report: Report,
}

impl<'c, T> Explorer<'c, T> {
    /// Runs the workload under the recorder. A report if that fails already.
    fn new(campaign: &'c Campaign<T>, model: Model) -> Result<Self, Box<Report>> {
        panics::install();
        let domain = campaign.domain.unwrap_or(model.domain());
        let mut report = Report::new(campaign, model, domain);
        let stage = match Stage::new(campaign.capacity.max(campaign.size), campaign.recorder) {
            Ok(stage) => stage,
            Err(error) => {
                report.skipped = Some(error.to_string());
                return Err(Box::new(report));
            }
        };
        let zero = vec![0; stage.capacity() as usize / 8];
        let mut explorer = Explorer {
            campaign,
            model,
            domain,
            budget: campaign.budget,
            loader: Loader::new(stage.clone(), zero.clone()),
            canvas: Canvas::new(zero),
            stage,
            trace: Trace::new(),
            workload: Trace::new(),
            origin: (
                Context { expect: Expect::exactly(0), is_creating: campaign.crashes_creation },
                campaign.size,
            ),
            seen: Seen::default(),
            nodes: Vec::new(),
            queue: VecDeque::new(),
            resumed: 0,
            undecided: Undecided::default(),
            report,
        };
        explorer.run_workload().map_err(|message| {
            let mut report = explorer.report_so_far();
            report.failure = Some(Box::new(Failure::of_workload(campaign, model, message)));
            Box::new(report)
        })?;
        Ok(explorer)
    }

    fn report_so_far(&mut self) -> Report {
        mem::replace(&mut self.report, Report::new(self.campaign, self.model, self.domain))
    }

    /// Creates, operates and closes, as if nothing ever crashed.
    fn run_workload(&mut self) -> Result<(), String> {
        let campaign = self.campaign;
        let create = campaign.create.as_ref().expect("a campaign creates its structure");
        assert!(campaign.apply.is_some(), "a campaign has operations");
        self.start_from_zero();
        self.stage.watch_stores(campaign.crashes_creation);
        let is_recorded = campaign.crashes_creation;
        let medium = self.stage.medium(self.domain);
        let made =
            if is_recorded { self.record(|| create(medium)) } else { panics::catch(|| create(medium)) };
        let mut subject =
            made.map_err(|panic| format!("creation: {panic}"))?.map_err(|e| format!("creation: {e}"))?;
        if is_recorded {
            self.trace.push(Event::Ack { op: 0 }, 0);
        } else {
            self.stage.watch_stores(true);
            self.rebase();
            self.origin.1 = self.stage.len();
        }
        for number in 0..campaign.operation_count {
            self.operate(&mut subject, number)?;
        }
        let closed = self.record(|| match &campaign.close {
            Some(close) => close(subject),
            None => {
                drop(subject);
                Ok(())
            }
        });
        closed.map_err(|panic| format!("close: {panic}"))?.map_err(|error| format!("close: {error}"))?;
        self.loader.note(&self.trace);
        let checked = self.check_announced(&Delta::default());
        self.workload = mem::take(&mut self.trace);
        self.report.events = self.workload.len();
        checked
    }

    fn start_from_zero(&mut self) {
        let zero = vec![0; self.stage.capacity() as usize / 8];
        self.canvas = Canvas::new(zero.clone());
        self.loader = Loader::new(self.stage.clone(), zero);
        self.stage.set_len(self.campaign.size);
        self.trace.clear();
    }

    /// The memory as it is now is what all images are differences to.
    fn rebase(&mut self) {
        let words = self.stage.words();
        self.canvas = Canvas::new(words.clone());
        self.loader = Loader::new(self.stage.clone(), words);
    }

    /// The stream explains all that has changed.
    fn check_announced(&mut self, before: &Delta) -> Result<(), String> {
        self.canvas.load(before);
        for index in 0..self.trace.len() {
            step(Model::Coherent, &self.trace, index, &mut Pending::default(), &mut self.canvas);
        }
        let words = self.stage.words();
        match (0..words.len()).find(|&index| words[index] != self.canvas.words()[index]) {
            None => Ok(()),
            Some(index) => Err(format!(
                "the word at {} was changed, and the medium was not told: a structure announces its stores by \
                 `Medium::stored`, or what it lends by `Medium::lent`",
                index * 8
            )),
        }
    }

    /// Runs a piece of the program under test, and adds what happens to the stream.
    fn record<R>(&mut self, run: impl FnOnce() -> R) -> Result<R, String> {
        self.stage.record(&mut self.trace, &mut self.undecided, self.budget.events, run)
    }

    /// Meets all images of the workload.
    fn images_of_workload(&mut self) {
        let dropped = self.dropped_of_workload();
        let trace = mem::take(&mut self.workload);
        let start = self.start_of_workload();
        self.canvas.load(&Delta::default());
        if self.seen.insert(start.moment.hash() ^ self.canvas.hash()) {
            let crash = Crash { point: 0, lost: Box::default(), is_kill: false };
            self.enqueue(start, self.canvas.delta(), None, Rc::default(), crash);
        }
        self.images_of(&trace, dropped, &mut Pending::default(), start, &[]);
        self.workload = trace;
    }

    /// The event of the workload that is left out.
    fn dropped_of_workload(&self) -> Option<usize> {
        match self.campaign.dropped {
            Some(Dropped::Workload(number)) => dropped_in(&self.workload, number, self.workload.len()),
            _ => None,
        }
    }

    /// The event of a recovery that is left out.
    fn dropped_of_recovery(&mut self, trace: &Trace) -> Option<usize> {
        let Some(Dropped::Recovery(number)) = self.campaign.dropped else { return None };
        dropped_in(trace, number, end_of_recovery(trace))
    }

    /// How the runs of a replay go on: as those of the campaign may have.
    fn as_in_campaign(&self) -> Resume {
        if self.budget.resumed > 0 { Resume::Always } else { Resume::Never }
    }

    fn start_of_workload(&self) -> Start {
        let (context, len) = self.origin;
        Start {
            moment: Moment { context, len, is_crashed: true },
            depth: 0,
            node: usize::MAX,
            is_after_kill: false,
        }
    }

    /// Recovers an image, and meets the images of that recovery. Where units are open: as often as it goes another way.
    fn visit(&mut self, job: &Job) {
        if job.open.is_empty() {
            self.visit_one(job, job.node, &job.delta, &mut Vec::new());
            return;
        }
        // Lines that were read, in that order, and which of its contents each has.
        let mut path: Vec<(u16, u16)> = Vec::new();
        let mut runs = 0;
        loop {
            self.canvas.load(&job.delta);
            let decided = |number: usize| path.iter().find(|&&(line, _)| usize::from(line) == number);
            for (number, line) in job.open.iter().enumerate() {
                let content = decided(number).map_or(0, |&(_, content)| usize::from(content));
                line.contents[content].draw(&mut self.canvas);
            }
            self.undecided = Undecided::new(&job.open, |number| decided(number).is_some());
            let run = Job { delta: self.canvas.delta(), open: job.open.clone(), carried: None, ..*job };
            let node = self.nodes.len();
            self.nodes.push(self.node_of(job, &path));
            self.visit_one(&run, node, &job.delta, &mut path);
            runs += 1;
            if runs > 1 {
                self.report.images += 1;
            }
            // The next way: another content of the line that was read last.
            let is_last = |&(line, content): &(u16, u16)| {
                usize::from(content) + 1 == job.open[usize::from(line)].contents.len()
            };
            while path.last().is_some_and(is_last) {
                path.pop();
            }
            match path.last_mut() {
                Some(_) if self.report.failure.is_some() && !self.campaign.keeps_going => {
                    self.report.uncovered += 1;
                    return;
                }
                Some(_) if runs == self.budget.samples || self.report.images >= self.budget.images => {
                    self.report.uncovered += 1;
                    return;
                }
                Some((_, content)) => *content += 1,
                None => return,
            }
        }
    }

    /// The place in the tree of a run with these decisions.
    fn node_of(&self, job: &Job, path: &[(u16, u16)]) -> Node {
        let Node { parent, ref crash, .. } = self.nodes[job.node];
        let mut node = Node { parent, crash: crash.clone(), decided: Vec::new() };
        let mut lost = Vec::new();
        for &(line, content) in path {
            for loss in &job.open[usize::from(line)].contents[usize::from(content)].losses {
                match loss.node {
                    Some(_) => node.decided.push(*loss),
                    None => lost.push((loss.unit, loss.kept)),
                }
            }
        }
        lost.sort_unstable();
        node.crash.lost = lost.into();
        node
    }

    /// One recovery, and the images of it. Open lines that it reads are added to `path`, with their first content.
    /// `arrived` is the image without what is open.
    fn visit_one(&mut self, job: &Job, node: usize, arrived: &Delta, path: &mut Vec<(u16, u16)>) {
        let resume = match self.resumed {
            done if done >= self.budget.resumed => Resume::Never,
            done if done >= self.budget.resumed.div_ceil(2) => Resume::IfRecovered,
            _ => Resume::Always,
        };
        let ran = self.recover(job, resume);
        if !job.open.is_empty() {
            path.extend(mem::take(&mut self.undecided).read.iter().map(|&line| (line, 0)));
            self.nodes[node] = self.node_of(job, path);
        }
        if let Ran::Fails(mut oracle, mut message) = ran {
            // What was cut off has stored what it did not come to announce.
            if oracle != Oracle::Panic
                && let Err(unannounced) = self.check_announced(&job.delta)
            {
                (oracle, message) = (Oracle::Unannounced, unannounced);
            }
            self.fail(job, node, oracle, message);
            return;
        }
        if job.depth + 1 >= self.budget.crashes {
            return;
        }
        let trace = mem::take(&mut self.trace);
        if job.carried.is_some() || trace.events().iter().any(Event::is_change) {
            let (mut start, mut pending) = self.start_behind(job);
            start.node = node;
            let mut left = Vec::new();
            if !job.open.is_empty() {
                self.canvas.load(arrived);
                for (number, line) in job.open.iter().enumerate() {
                    match path.iter().find(|&&(read, _)| usize::from(read) == number) {
                        Some(&(_, content)) => line.contents[usize::from(content)].draw(&mut self.canvas),
                        None => left.push(line.clone().since(node)),
                    }
                }
            }
            let dropped = self.dropped_of_recovery(&trace);
            self.images_of(&trace, dropped, &mut pending, start, &left);
        }
        self.trace = trace;
    }

    /// Where the images of the recovery of an image begin; the canvas is what has surely arrived then.
    fn start_behind(&mut self, job: &Job) -> (Start, Pending) {
        let (arrived, pending) = match &job.carried {
            Some(carried) => (&carried.0, carried.1.clone()),
            None => (&job.delta, Pending::default()),
        };
        self.canvas.load(arrived);
        let moment = Moment { context: job.context, len: job.len, is_crashed: true };
        let is_after_kill = job.carried.is_some();
        (Start { moment, depth: job.depth + 1, node: job.node, is_after_kill }, pending)
    }

    /// Meets all images of a stream, with the canvas as what has surely arrived before it.
    /// `left` is what crashes before have left open, and is so still.
    fn images_of(
        &mut self,
        trace: &Trace,
        dropped: Option<usize>,
        pending: &mut Pending,
        start: Start,
        left: &[Open],
    ) {
        if self.campaign.crashes_after_kill && self.model == Model::Adr && !start.is_after_kill {
            if left.is_empty() {
                self.kills_of(trace, dropped, pending.clone(), start);
            } else {
                self.report.uncovered += 1; // Kills where lines are open are not looked at.
            }
        }
        let moments = Moments::of(trace, start.moment);
        let mut canvas = mem::replace(&mut self.canvas, Canvas::new(Vec::new()));
        let Budget { eager, samples, seed, .. } = self.budget;
        let is_lazy = self.campaign.is_lazy;
        pending.arrived = (!left.is_empty()).then(Vec::new);
        let unit_len = self.model.unit_len();
        let is_open = |offset| left.iter().any(|open| open.offset(unit_len) == offset / unit_len * unit_len);
        walk(self.model, trace, dropped, pending, &mut canvas, is_open, |canvas, index, units, arrived| {
            let moment = moments.at(index);
            if !moment.is_crashed {
                return;
            }
            self.report.points += 1;
            if !left.is_empty() || is_lazy && combination_count(units) > u128::from(eager) {
                self.meet_open(Start { moment, ..start }, canvas, index, units, left, arrived);
                return;
            }
            let seed = seed ^ (index as u64) << 20 ^ units.len() as u64;
            let Combined { tried, all } = combine(canvas, units, eager, samples, seed, |canvas, kept| {
                if self.seen.insert(moment.hash() ^ canvas.hash()) {
                    let lost = lost_of(units, kept);
                    let crash = Crash { point: index as u32, lost, is_kill: false };
                    self.enqueue(Start { moment, ..start }, canvas.delta(), None, Rc::default(), crash);
                }
            });
            self.report.combinations += u128::from(tried);
            self.report.uncovered = self.report.uncovered.saturating_add(all - u128::from(tried));
        });
        self.canvas = canvas;
    }

    /// Meets what a kill leaves at each store: all that was stored, some of it still under way.
    fn kills_of(&mut self, trace: &Trace, dropped: Option<usize>, mut pending: Pending, start: Start) {
        let moments = Moments::of(trace, start.moment);
        let before = self.canvas.delta();
        for index in 0..trace.len() {
            if Some(index) != dropped {
                step(self.model, trace, index, &mut pending, &mut self.canvas);
            }
            let moment = moments.at(index + 1);
            let event = trace.events()[index];
            let is_point = matches!(event, Event::Store { .. } | Event::Grow { .. } | Event::Ack { .. });
            if is_point && moment.is_crashed && !pending.is_empty() {
                let arrived = self.canvas.delta();
                let under_way = pending.hash() ^ self.canvas.hash().rotate_left(1);
                pending.draw(&mut self.canvas);
                if self.seen.insert(moment.hash() ^ self.canvas.hash() ^ under_way) {
                    let crash = Crash { point: index as u32 + 1, lost: Box::default(), is_kill: true };
                    let carried = Some(Box::new((arrived.clone(), pending.clone().carried())));
                    self.enqueue(
                        Start { moment, ..start },
                        self.canvas.delta(),
                        carried,
                        Rc::default(),
                        crash,
                    );
                }
                self.canvas.load(&arrived);
            }
        }
        self.canvas.load(&before);
    }

    /// Enqueues all images at a point as one, to be told apart when they are read.
    fn meet_open(
        &mut self,
        start: Start,
        canvas: &mut Canvas,
        index: usize,
        units: &[Unit],
        left: &[Open],
        arrived: &[u32],
    ) {
        let open = open_lines(left, arrived, units, self.model.unit_len(), canvas);
        let mut hash = 0x13198A2E_03707344_A4093822_299F31D0_u128;
        for open in &open {
            open.add_to_hash(|word| {
                hash = (hash ^ u128::from(word)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013B);
            });
        }
        if self.seen.insert(start.moment.hash() ^ canvas.hash() ^ hash) {
            let crash = Crash { point: index as u32, lost: Box::default(), is_kill: false };
            self.enqueue(start, canvas.delta(), None, open.into(), crash);
        }
    }

    fn enqueue(
        &mut self,
        start: Start,
        delta: Delta,
        carried: Option<Box<(Delta, Pending)>>,
        open: Rc<[Open]>,
        crash: Crash,
    ) {
        if self.report.images >= self.budget.images {
            self.report.left += 1;
            return;
        }
        self.report.images += 1;
        if self.report.levels.len() <= start.depth {
            self.report.levels.resize(start.depth + 1, 0);
        }
        self.report.levels[start.depth] += 1;
        self.nodes.push(Node { parent: start.node, crash, decided: Vec::new() });
        let Moment { context, len, .. } = start.moment;
        self.queue.push_back(Job {
            delta,
            carried,
            open,
            len,
            context,
            depth: start.depth,
            node: self.nodes.len() - 1,
        });
    }

    /// Opens an image and checks what it holds; then lets the workload go on, if it may. The stream of all of it is left
    /// in `trace`.
    fn recover(&mut self, job: &Job, resume: Resume) -> Ran {
        let campaign = self.campaign;
        let open = campaign.open.as_ref().expect("a campaign opens its structure");
        self.loader.load(&job.delta);
        self.stage.set_len(job.len);
        self.trace.clear();
        self.report.recoveries += 1;
        let medium = self.stage.medium(self.domain);
        let ran = match self.record(|| open(medium)) {
            Err(panic) => Ran::Fails(Oracle::Panic, format!("recovery panicked: {panic}")),
            Ok(Err(_)) if job.context.is_creating => Ran::Refused,
            Ok(Err(error)) => Ran::Fails(Oracle::Refused, format!("recovery refused it: {error}")),
            Ok(Ok(subject)) => self.check_and_resume(job, subject, resume),
        };
        self.loader.note(&self.trace);
        if !matches!(ran, Ran::Fails(Oracle::Panic, _))
            && self.report.recoveries.is_power_of_two()
            && let Err(message) = self.check_announced(&job.delta)
        {
            return Ran::Fails(Oracle::Unannounced, message);
        }
        ran
    }

    fn check_and_resume(&mut self, job: &Job, mut subject: T, resume: Resume) -> Ran {
        let opened = self.trace.len();
        self.trace.push(Event::Opened { state: None }, 0);
        let ran = self.check(&mut subject, job.context);
        if let Ran::Holds(Some(state)) = ran {
            self.trace.replace(opened, Event::Opened { state: Some(state as u32) });
            let is_recovered = self.trace.events()[..opened].iter().any(Event::is_change);
            let is_due = match resume {
                Resume::Never => false,
                Resume::IfRecovered => is_recovered,
                Resume::Always => true,
            };
            if is_due && state < self.campaign.operation_count {
                self.resumed += 1;
                let mut rest = state..self.campaign.operation_count;
                if let Err(message) = rest.try_for_each(|number| self.operate(&mut subject, number)) {
                    return Ran::Fails(Oracle::Resume, message);
                }
            }
        }
        match self.record(|| drop(subject)) {
            Ok(()) => ran,
            Err(panic) => Ran::Fails(Oracle::Panic, format!("dropping it panicked: {panic}")),
        }
    }

    /// One operation of the workload, with its marks.
    fn operate(&mut self, subject: &mut T, number: usize) -> Result<(), String> {
        let apply = self.campaign.apply.as_ref().expect("a campaign has operations");
        self.trace.push(Event::Begin { op: number as u32 + 1 }, 0);
        self.record(|| apply(subject, number))
            .map_err(|panic| format!("operation {number} panicked: {panic}"))?
            .map_err(|error| format!("operation {number}: {error}"))?;
        self.trace.push(Event::Ack { op: number as u32 + 1 }, 0);
        Ok(())
    }

    /// Which state a structure is in, of those that it may be in.
    fn check(&mut self, subject: &mut T, context: Context) -> Ran {
        let check = self.campaign.check.as_ref().expect("a campaign checks what it finds");
        let Expect { acked, begun } = context.expect;
        let mut holds = |expect: Expect| match self.record(|| check(subject, &expect)) {
            Ok(result) => result.map_err(|error| (Oracle::Atomicity, error.to_string())),
            Err(panic) => Err((Oracle::Panic, format!("the check panicked: {panic}"))),
        };
        let mut wrong = None;
        for state in acked..=begun {
            match holds(Expect::exactly(state)) {
                Ok(()) => return Ran::Holds(Some(state)),
                Err(error) => wrong = Some(error),
            }
        }
        if acked < begun {
            // A check that takes both and neither of them alone is a loose one.
            match holds(context.expect) {
                Ok(()) => return Ran::Holds(None),
                Err(error) => wrong = Some(error),
            }
        }
        let (mut oracle, message) = wrong.expect("at least one state was tried");
        if oracle == Oracle::Atomicity && (0..acked).any(|state| holds(Expect::exactly(state)).is_ok()) {
            oracle = Oracle::Durability;
        }
        Ran::Fails(oracle, message)
    }

    fn fail(&mut self, job: &Job, node: usize, oracle: Oracle, message: String) {
        self.report.failures += 1;
        if self.report.failure.is_none() {
            let mut failure = Failure::new(self.campaign, self.model, oracle, job.context.expect, message);
            // Of a mutant it is enough to know that it was noticed.
            if self.campaign.dropped.is_none() {
                self.explain(node, &mut failure);
            }
            self.report.failure = Some(Box::new(failure));
        }
    }

    /// Where it crashed, what the fewest losses are, and how to run it again.
    fn explain(&mut self, node: usize, failure: &mut Failure) {
        let mut case = self.case_of(node);
        let recoveries = self.report.recoveries;
        if let Some(smaller) = self.minimise(&case, failure.oracle) {
            case = smaller;
        }
        failure.crashes = self.describe(&case);
        failure.set_case(&case);
        self.report.recoveries = recoveries;
    }

    /// The crashes that led to an image.
    fn case_of(&self, mut node: usize) -> Case {
        let mut crashes = Vec::new();
        let mut decided: Vec<Loss> = Vec::new();
        while node != usize::MAX {
            let Node { parent, crash, decided: here } = &self.nodes[node];
            let mut crash = crash.clone();
            decided.extend(here);
            let later = decided.iter().filter(|loss| loss.node == Some(node));
            crash.lost = crash.lost.iter().copied().chain(later.map(|loss| (loss.unit, loss.kept))).collect();
            crashes.push(crash);
            node = *parent;
        }
        crashes.reverse();
        Case(crashes)
    }

    /// The same crash with fewer units lost, if it fails as well: none, one, two, or without those that do not matter.
    fn minimise(&mut self, case: &Case, oracle: Oracle) -> Option<Case> {
        let (last, before) = case.0.split_last()?;
        if last.is_kill || last.lost.is_empty() {
            return None;
        }
        let mut at = self.position(before).ok()?;
        let units = self.units_at(&mut at, last.point as usize)?;
        let fails = |explorer: &mut Self, lost: &[(u16, u16)]| {
            let crash = Crash { point: last.point, lost: lost.into(), is_kill: false };
            let job = explorer.image_at(&at, &units, &crash)?;
            let resume = explorer.as_in_campaign();
            let is_same = |ran| matches!(ran, Ran::Fails(again, _) if again == oracle);
            is_same(explorer.recover(&job, resume)).then_some(crash)
        };
        let all: Vec<(u16, u16)> = last.lost.to_vec();
        let mut best = fails(self, &[]);
        best = best.or_else(|| all.iter().find_map(|&one| fails(self, &[one])));
        let pairs = || all.iter().enumerate().flat_map(|(i, &a)| all[..i].iter().map(move |&b| [b, a]));
        best = best.or_else(|| pairs().take(MINIMISE_MAX).find_map(|pair| fails(self, &pair)));
        if best.is_none() {
            let mut left = all.clone();
            for one in all {
                let fewer: Vec<_> = left.iter().copied().filter(|&other| other != one).collect();
                if let Some(crash) = fails(self, &fewer) {
                    left = fewer;
                    best = Some(crash);
                }
            }
        }
        let mut crashes = before.to_vec();
        crashes.push(best?);
        Some(Case(crashes))
    }

    /// Follows a case up to the stream in which its next crash falls.
    fn position(&mut self, crashes: &[Crash]) -> Result<Position, Stop> {
        let mut at = Position {
            trace: self.workload.clone(),
            dropped: self.dropped_of_workload(),
            arrived: Delta::default(),
            pending: Pending::default(),
            start: self.start_of_workload(),
        };
        for (number, crash) in crashes.iter().enumerate() {
            let job = self.job_at(&mut at, number, crash)?;
            if let Ran::Fails(_, message) = self.recover(&job, self.as_in_campaign()) {
                return Err(Stop::Fails(format!("crash {number} fails already: {message}")));
            }
            let (start, pending) = self.start_behind(&job);
            let trace = mem::take(&mut self.trace);
            at = Position {
                dropped: self.dropped_of_recovery(&trace),
                trace,
                arrived: self.canvas.delta(),
                pending,
                start,
            };
        }
        Ok(at)
    }

    /// The image of a crash of a case.
    fn job_at(&mut self, at: &mut Position, number: usize, crash: &Crash) -> Result<Job, Stop> {
        let units = self.units_at(at, crash.point as usize).ok_or_else(|| {
            Stop::NotThere(format!("crash {number} is at {} of {} events", crash.point, at.trace.len()))
        })?;
        self.image_at(at, &units, crash)
            .ok_or_else(|| Stop::NotThere(format!("crash {number} loses what is not under way there")))
    }

    /// The units at a point of a stream; the canvas is what has surely arrived then, and `at` knows what is under way.
    fn units_at(&mut self, at: &mut Position, point: usize) -> Option<Vec<Unit>> {
        if point > at.trace.len() {
            return None;
        }
        self.canvas.load(&at.arrived);
        for index in (0..point).filter(|&index| Some(index) != at.dropped) {
            step(self.model, &at.trace, index, &mut at.pending, &mut self.canvas);
        }
        at.arrived = self.canvas.delta();
        Some(at.pending.all_units(&self.canvas))
    }

    /// The image of one crash, from what [`units_at`](Explorer::units_at) has found.
    fn image_at(&mut self, at: &Position, units: &[Unit], crash: &Crash) -> Option<Job> {
        self.canvas.load(&at.arrived);
        let moment = Moments::of(&at.trace, at.start.moment).at(crash.point as usize);
        let mut carried = None;
        if crash.is_kill {
            at.pending.draw(&mut self.canvas);
            carried = Some(Box::new((at.arrived.clone(), at.pending.clone().carried())));
        } else {
            let is_there = |&(unit, kept): &(u16, u16)| {
                units.get(usize::from(unit)).is_some_and(|unit| usize::from(kept) < unit.atoms.len())
            };
            if !crash.lost.iter().all(is_there) {
                return None;
            }
            draw(&mut self.canvas, units, &crash.lost);
        }
        let Moment { context, len, .. } = moment;
        Some(Job {
            delta: self.canvas.delta(),
            carried,
            open: Rc::default(),
            len,
            context,
            depth: at.start.depth,
            node: usize::MAX,
        })
    }

    /// Runs one case.
    fn follow(&mut self, case: &Case) -> Result<(), Stop> {
        let Some((last, before)) = case.0.split_last() else { return Ok(()) };
        let mut at = self.position(before)?;
        let job = self.job_at(&mut at, before.len(), last)?;
        self.report.images = 1;
        if let Ran::Fails(oracle, message) = self.recover(&job, self.as_in_campaign()) {
            self.report.failures = 1;
            let mut failure = Failure::new(self.campaign, self.model, oracle, job.context.expect, message);
            failure.crashes = self.describe(case);
            failure.set_case(case);
            self.report.failure = Some(Box::new(failure));
        }
        Ok(())
    }

    /// Each crash in words.
    fn describe(&mut self, case: &Case) -> Vec<String> {
        let mut words = Vec::new();
        for (number, crash) in case.0.iter().enumerate() {
            let Ok(mut at) = self.position(&case.0[..number]) else { return words };
            let Some(units) = self.units_at(&mut at, crash.point as usize) else { return words };
            words.extend(self.describe_crash(number, crash, &at, &units, &case.0[..number]));
        }
        words
    }

    fn describe_crash(
        &mut self,
        number: usize,
        crash: &Crash,
        at: &Position,
        units: &[Unit],
        before: &[Crash],
    ) -> Vec<String> {
        let point = crash.point as usize;
        let whose = if number == 0 { "the workload".to_owned() } else { format!("recovery {number}") };
        let mut lines = vec![format!(
            "{} {whose}, {} of {} events",
            if crash.is_kill { "killed in" } else { "crashed in" },
            point,
            at.trace.len()
        )];
        if let Some(event) = at.trace.events().get(point) {
            lines.push(format!(
                "  before {}{}",
                event_words(event),
                self.source_of(&at.trace, point, before)
            ));
        }
        if let Some(last) = (0..point).rev().find(|&index| !at.trace.events()[index].is_mark()) {
            let event = &at.trace.events()[last];
            lines.push(format!("  behind {}{}", event_words(event), self.source_of(&at.trace, last, before)));
        }
        for &(number, kept) in &crash.lost {
            let unit = &units[usize::from(number)];
            let first = unit.atoms[usize::from(kept)].event as usize;
            let source =
                if first < at.trace.len() { self.source_of(&at.trace, first, before) } else { String::new() };
            lines.push(format!(
                "  lost at {}: all but the first {kept} of {} words, from the store of event {first} on{source}",
                unit.offset,
                unit.atoms.len(),
            ));
        }
        lines
    }

    /// Where an event of the stream behind these crashes came from, by the address that the recorder noted, or by running
    /// it once more and looking at the stack.
    fn source_of(&mut self, trace: &Trace, index: usize, before: &[Crash]) -> String {
        let site = trace.site(index);
        if site != 0 {
            return symbols::of_address(site);
        }
        symbols::capture_at(index);
        if before.is_empty() {
            let _ = self.run_workload();
        } else {
            let _ = self.position(before);
        }
        symbols::captured()
    }

    fn finish(mut self, started: Instant) -> Report {
        self.report.left += self.queue.len();
        self.report.duration = started.elapsed();
        self.report
    }
}

/// How many pairs of losses are tried to make a failure small.
const MINIMISE_MAX: usize = 10_000;

/// What an image may hold at a moment of a stream.
#[derive(Clone, Copy, Debug)]
struct Moment {
    context: Context,
    len: u64,
    /// Whether a crash may fall here.
    is_crashed: bool,
}

impl Moment {
    fn hash(self) -> u128 {
        self.context.hash() ^ u128::from(self.len).wrapping_mul(0xD6E8_FEB8_6659_FD93_8EBC_6AF0_9C88_C6E3)
    }
}

/// The moments of a stream, each from some number of events on.
struct Moments(Vec<(usize, Moment)>);

impl Moments {
    fn of(trace: &Trace, start: Moment) -> Self {
        let mut moments = vec![(0, start)];
        let mut now = start;
        for (index, event) in trace.events().iter().enumerate() {
            match *event {
                Event::Grow { len } => now.len = len,
                Event::Begin { op } => {
                    now.context.expect.begun = op as usize;
                    now.is_crashed = true;
                }
                Event::Ack { op } => {
                    now.context = Context { expect: Expect::exactly(op as usize), is_creating: false };
                }
                Event::Opened { state } => {
                    if let Some(state) = state {
                        // What a completed recovery has come to, another one must come to as well.
                        now.context = Context { expect: Expect::exactly(state as usize), is_creating: false };
                    }
                    moments.push((index + 1, now));
                    now.is_crashed = false;
                    moments.push((index + 2, now));
                    continue;
                }
                _ => continue,
            }
            moments.push((index + 1, now));
        }
        Moments(moments)
    }

    /// When so many events have happened.
    fn at(&self, index: usize) -> Moment {
        let behind = self.0.partition_point(|&(from, _)| from <= index);
        self.0[behind - 1].1
    }
}

/// Where the images of a stream come from.
#[derive(Clone, Copy)]
struct Start {
    moment: Moment,
    depth: usize,
    node: usize,
    is_after_kill: bool,
}

/// A stream, and what was there before it.
struct Position {
    trace: Trace,
    dropped: Option<usize>,
    arrived: Delta,
    pending: Pending,
    start: Start,
}

/// How many events a recovery has, of a stream that goes on behind it.
fn end_of_recovery(trace: &Trace) -> usize {
    let is_end = |event: &Event| matches!(event, Event::Opened { .. });
    trace.events().iter().position(is_end).unwrap_or(trace.len())
}

/// The `number`-th event before `end` that can be left out.
fn dropped_in(trace: &Trace, number: usize, end: usize) -> Option<usize> {
    let can_be = |&index: &usize| mutants::can_be_dropped(&trace.events()[index]);
    (0..end).filter(can_be).nth(number)
}

/// In how many ways some units may have arrived.
fn combination_count(units: &[Unit]) -> u128 {
    units.iter().fold(1, |count: u128, unit| count.saturating_mul(unit.steps.len() as u128 + 1))
}

/// The units that did not arrive whole.
fn lost_of(units: &[Unit], kept: &[u16]) -> Box<[(u16, u16)]> {
    let lost = |(index, unit): (usize, &Unit)| {
        let kept = kept[index];
        (Some(&kept) != unit.steps.last()).then_some((unit.number, kept))
    };
    units.iter().enumerate().filter_map(lost).collect()
}

pub(crate) fn event_words(event: &Event) -> String {
    match *event {
        Event::Store { offset, len, is_streaming, .. } => {
            format!("a {}store of {len} bytes at {offset}", if is_streaming { "streaming " } else { "" })
        }
        Event::Flush { offset } => format!("the write-back of the line at {}", offset / 64 * 64),
        Event::Fence => "a fence".to_owned(),
        Event::Sync { .. } => "a sync".to_owned(),
        Event::Load { offset, len } => format!("a load of {len} bytes at {offset}"),
        Event::Grow { len } => format!("the growth to {len} bytes"),
        Event::Begin { op } => format!("the begin of operation {}", op - 1),
        Event::Ack { op: 0 } => "the acknowledgement of the creation".to_owned(),
        Event::Ack { op } => format!("the acknowledgement of operation {}", op - 1),
        Event::Opened { .. } => "the end of the recovery".to_owned(),
    }
}
