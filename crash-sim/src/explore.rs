//! The closure: every crash image, recovered; every crash of that recovery, recovered; until nothing new appears.
//!
//! Images are met breadth first, so that the first failure has the fewest crashes. Each is a difference to the medium
//! before the first operation, told apart by a hash of 128 bits of its content and of what it may hold. Start at [`run`].

use std::collections::VecDeque;
use std::mem;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rio::Domain;

use crate::campaign::{Budget, Campaign, Expect};
use crate::case::{Case, Crash};
use crate::image::{Canvas, Delta, Seen};
use crate::lazy::{Loss, Open, Undecided};
use crate::model::{Model, Pending};
use crate::panics;
use crate::report::{Failure, Oracle, Report};
use crate::sim::{Loader, Stage};
use crate::spread::{Choice, Spread};
use crate::trace::{Event, Trace};
use moment::{Context, Moment};
use program::{Ran, Resume};

mod program; // the program under test, run
mod moment; // what an image may hold, at each moment of a stream
mod images; // the images of a stream
mod replay; // a case, followed
mod minimise; // a failure made small
mod words; // a failure in words
mod dropped; // events left out

pub(crate) use dropped::droppable;
pub(crate) use replay::run as replay;
pub(crate) use words::event_words;

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
    while let Some(job) = explorer.next_job() {
        if explorer.report.failure.is_some() && !campaign.keeps_going || explorer.is_late() {
            explorer.queue.push_front(job);
            break;
        }
        explorer.visit(&job);
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

struct Explorer<'c, T> {
    campaign: &'c Campaign<T>,
    model: Model,
    domain: Domain,
    budget: Budget,
    stage: Arc<Stage>,
    loader: Loader,
    canvas: Canvas,
    /// Room for what is under way in a stream.
    pending: Pending,
    nothing_open: Rc<[Open]>,
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
    started: Instant,
    spread: Spread,
    /// Images of the workload that are recovered if those of recoveries leave room for them.
    reserve: VecDeque<Job>,
    /// Where in the queue the images begin that are met now.
    met_from: usize,
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
        let mut explorer = Explorer {
            campaign,
            model,
            domain,
            budget: campaign.budget,
            loader: Loader::new(stage.clone()),
            canvas: Canvas::new(Vec::new()),
            pending: Pending::default(),
            nothing_open: Rc::default(),
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
            started: Instant::now(),
            spread: Spread::new(campaign.budget.seed),
            reserve: VecDeque::new(),
            met_from: 0,
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

    /// Meets all images of the workload.
    fn images_of_workload(&mut self) {
        let dropped = self.dropped_of_workload();
        let trace = mem::take(&mut self.workload);
        let start = self.start_of_workload();
        self.canvas.load(&Delta::default());
        self.spread.begin(self.budget.images);
        if self.seen.insert(start.moment.hash() ^ self.canvas.hash())
            && let Some(place) = self.place()
        {
            let crash = Crash { point: 0, lost: Box::default(), is_kill: false };
            self.enqueue(place, start, self.canvas.delta(), None, self.nothing_open.clone(), crash);
        }
        self.images_of(&trace, dropped, &mut Pending::default(), start, &[]);
        self.workload = trace;
        self.leave_room_for_recoveries();
    }

    /// Where the images of the workload alone are beyond the budget, half of it is for those of its recoveries. In any
    /// order but that of the program, a limit ends a campaign everywhere alike.
    fn leave_room_for_recoveries(&mut self) {
        let images = self.budget.images;
        if self.spread.is_over() || self.queue.len() > images / 2 || self.is_timed() {
            self.spread.shuffle(self.queue.make_contiguous());
        }
        if self.spread.is_over() {
            self.reserve = self.queue.split_off(images.div_ceil(2));
            self.report.images -= self.reserve.len();
            self.report.levels[0] -= self.reserve.len();
        }
    }

    /// The images of one recovery take at most a sixteenth of what is left of the budget.
    fn share_budget(&mut self) {
        let left = self.budget.images.saturating_sub(self.report.images);
        self.spread.begin(left.div_ceil(16));
        self.met_from = self.queue.len();
    }

    /// The next image: the one with the fewest crashes, or by turns the newest, if time may end it before there are no others
    /// left.
    fn next_job(&mut self) -> Option<Job> {
        if self.queue.is_empty() && self.report.images < self.budget.images {
            // The recoveries have not needed all of their half.
            let job = self.reserve.pop_front()?;
            self.report.images += 1;
            self.report.levels[0] += 1;
            return Some(job);
        }
        match self.is_timed() && self.report.recoveries % 2 == 1 {
            true => self.queue.pop_back(),
            false => self.queue.pop_front(),
        }
    }

    fn is_timed(&self) -> bool {
        self.budget.time != Duration::MAX
    }

    /// Whether the time is over. Reported, since whoever asks stops.
    fn is_late(&mut self) -> bool {
        self.report.is_out_of_time = self.is_timed() && self.started.elapsed() >= self.budget.time;
        self.report.is_out_of_time
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
        self.share_budget();
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
                Some(_)
                    if runs == self.budget.samples
                        || self.report.images >= self.budget.images
                        || self.is_late() =>
                {
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
            pending.clear();
            self.pending = pending;
        }
        self.trace = trace;
    }

    /// Where the images of the recovery of an image begin; the canvas is what has surely arrived then.
    fn start_behind(&mut self, job: &Job) -> (Start, Pending) {
        let (arrived, pending) = match &job.carried {
            Some(carried) => (&carried.0, carried.1.clone()),
            None => (&job.delta, mem::take(&mut self.pending)),
        };
        self.canvas.load(arrived);
        let moment = Moment { context: job.context, len: job.len, is_crashed: true };
        let is_after_kill = job.carried.is_some();
        (Start { moment, depth: job.depth + 1, node: job.node, is_after_kill }, pending)
    }

    /// Whether there is room for a new image, and where.
    fn place(&mut self) -> Option<Choice> {
        let choice = self.spread.choose();
        self.report.left += usize::from(choice != Choice::Keep);
        (choice != Choice::Leave).then_some(choice)
    }

    fn enqueue(
        &mut self,
        place: Choice,
        start: Start,
        delta: Delta,
        carried: Option<Box<(Delta, Pending)>>,
        open: Rc<[Open]>,
        crash: Crash,
    ) {
        let Moment { context, len, .. } = start.moment;
        let made = Node { parent: start.node, crash, decided: Vec::new() };
        let mut job = Job { delta, carried, open, len, context, depth: start.depth, node: self.nodes.len() };
        if let Choice::InPlaceOf(number) = place {
            let kept = &mut self.queue[self.met_from + number];
            job.node = kept.node;
            self.nodes[kept.node] = made;
            *kept = job;
            return;
        }
        self.nodes.push(made);
        self.report.images += 1;
        if self.report.levels.len() <= start.depth {
            self.report.levels.resize(start.depth + 1, 0);
        }
        self.report.levels[start.depth] += 1;
        self.queue.push_back(job);
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

    fn finish(mut self, started: Instant) -> Report {
        self.report.left += self.queue.len() + self.reserve.len();
        self.report.duration = started.elapsed();
        self.report
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
