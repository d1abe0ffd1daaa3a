//! Each deliberate mistake of vista, looked for by each tool.
//!
//! The mistakes are compiled in by `--cfg vista_planted` alone. [`main`] builds this program so, aside, and runs it once
//! for each plant, since a plant is chosen for a whole process and may well end it; [`one`] is what runs there.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::crew::{self, Tasks};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only plants whose name begins so.
    #[arg(default_value = "")]
    only: String,
    /// Distinct images per scenario at most, for a plant that the first thousand do not show.
    #[arg(long, default_value_t = 20_000)]
    images: usize,
    /// Seconds in which one plant is looked for.
    #[arg(long, default_value_t = 240)]
    seconds: u64,
    /// Plants at the same time; by default as many as there are processors.
    #[arg(long)]
    threads: Option<usize>,
    /// Prints the table as Markdown, and nothing else until it is there.
    #[arg(long)]
    markdown: bool,
}

#[derive(clap::Args)]
pub(crate) struct One {
    name: String,
    #[arg(long, default_value_t = 20_000)]
    images: usize,
    #[arg(long, default_value_t = 240)]
    seconds: u64,
    /// Only kills processes, in this scenario.
    #[arg(long)]
    kill: Option<String>,
}

/// What one tool found of a plant.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Finding {
    tool: String,
    /// The scenario in which it was found; none if it was not.
    scenario: Option<String>,
    /// Crashes of the case.
    crashes: usize,
    /// Recoveries until then, or in all.
    recoveries: u64,
    seconds: f64,
    /// What did not hold.
    oracle: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Found {
    name: String,
    what: String,
    findings: Vec<Finding>,
}

/// Whether each plant was found by a tool at least.
pub(crate) fn main(arguments: &Arguments) -> bool {
    let program = match build() {
        Ok(program) => program,
        Err(error) => {
            eprintln!("{error}");
            return false;
        }
    };
    let listed = Command::new(&program).args(["plant", "list"]).output().expect("the planted program runs");
    let names = String::from_utf8(listed.stdout).expect("names are text");
    let names: Vec<&str> = names.lines().filter(|name| name.starts_with(&arguments.only)).collect();
    let results = crew::each(
        &Tasks { noun: "plants", tasks: &names, threads: arguments.threads },
        |_| 1.0,
        |name| look_for(&program, name, arguments),
        |name, found| {
            let by = found.findings.iter().filter(|finding| finding.scenario.is_some()).count();
            let line = format!("{name}: found by {by} of {} tools", TOOLS.len());
            (!arguments.markdown).then_some(line)
        },
    );
    print(&results, arguments.markdown)
}

/// Builds this program with the plants, beside the other builds.
pub(crate) fn build() -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).ok_or("the workspace is above")?;
    let target = root.join("target").join("planted");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(root)
        .args(["build", "--release", "--package", "campaigns", "--target-dir"])
        .arg(&target)
        .env("RUSTFLAGS", "--cfg vista_planted")
        .status()
        .map_err(|error| format!("cargo does not start: {error}"))?;
    if status.success() {
        Ok(target.join("release").join("campaigns"))
    } else {
        Err("the planted build failed".to_owned())
    }
}

/// Runs one plant in a process of its own, which may die of it.
fn look_for(program: &Path, name: &str, arguments: &Arguments) -> Found {
    let mut child = Command::new(program)
        .args(["plant", name, "--images", &arguments.images.to_string()])
        .args(["--seconds", &arguments.seconds.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the planted program starts");
    let mut stdout = child.stdout.take().expect("a pipe");
    let reader = thread::spawn(move || {
        let mut text = String::new();
        let _ = stdout.read_to_string(&mut text);
        text
    });
    // It looks at the clock itself; this is for one that the plant has caught in a loop.
    let until = Instant::now() + Duration::from_secs(2 * arguments.seconds);
    let mut is_late = false;
    while matches!(child.try_wait(), Ok(None)) && !is_late {
        thread::sleep(Duration::from_millis(20));
        is_late = Instant::now() > until;
    }
    if is_late {
        let _ = child.kill();
    }
    let why = match child.wait() {
        Ok(status) if status.success() => None,
        _ if is_late => Some(format!("not done after {} s", 2 * arguments.seconds)),
        Ok(status) => Some(format!("the process died: {status}")),
        Err(error) => Some(format!("the process is lost: {error}")),
    };
    let text = reader.join().unwrap_or_default();
    let mut lines = text.lines();
    let what = lines.next().unwrap_or_default().to_owned();
    let mut findings: Vec<Finding> = lines.filter_map(|line| serde_json::from_str(line).ok()).collect();
    if let Some(why) = why {
        findings.push(Finding {
            tool: "process".to_owned(),
            scenario: Some(why),
            crashes: 0,
            recoveries: 0,
            seconds: 0.0,
            oracle: String::new(),
        });
    }
    Found { name: name.to_owned(), what, findings }
}

const TOOLS: [&str; 7] =
    ["coherent", "coherent, ordered", "ADR", "ADR, resumed", "ADR, killed first", "machine", "kill"];

fn print(results: &[Found], is_markdown: bool) -> bool {
    let cell = |found: &Found, tool: &str| {
        let finding = found.findings.iter().find(|finding| finding.tool == tool);
        match finding {
            Some(Finding { scenario: Some(_), crashes, recoveries, seconds, .. }) if tool == "kill" => {
                let _ = crashes;
                format!("{recoveries}, {seconds:.1} s")
            }
            Some(Finding { scenario: Some(_), crashes, recoveries, seconds, .. }) => {
                format!("{recoveries} ({crashes}), {:.0} ms", seconds * 1e3)
            }
            Some(_) => "-".to_owned(),
            None => "".to_owned(),
        }
    };
    if is_markdown {
        println!("| plant | {} |", TOOLS.join(" | "));
        println!("|---|{}", "---|".repeat(TOOLS.len()));
    } else {
        println!("{:28} {}", "plant", TOOLS.map(|tool| format!("{tool:>20}")).join(" "));
    }
    let mut missed = Vec::new();
    for found in results {
        let cells = TOOLS.map(|tool| cell(found, tool));
        if is_markdown {
            println!("| {} | {} |", found.name, cells.join(" | "));
        } else {
            println!("{:28} {}", found.name, cells.map(|cell| format!("{cell:>20}")).join(" "));
        }
        let ended = found.findings.iter().find(|finding| finding.tool == "process");
        if let Some(Finding { scenario: Some(why), .. }) = ended {
            println!("{:28} {why}", "");
        }
        // A process that dies of its plant has found it as well; one that does not end may just be slow.
        let is_late = |why: &String| why.starts_with("not done");
        if !found.findings.iter().any(|finding| finding.scenario.as_ref().is_some_and(|why| !is_late(why))) {
            missed.push(found);
        }
    }
    println!(
        "\n{} of {} plants are found. A cell: recoveries until then (crashes of the case), time; - if not found.",
        results.len() - missed.len(),
        results.len()
    );
    for found in &missed {
        println!("not found: {}: {}", found.name, found.what);
    }
    missed.is_empty()
}

/// Looks for one plant with all tools, and prints a line for each as it ends.
#[cfg(not(vista_planted))]
pub(crate) fn one(one: &One) -> bool {
    let One { name, images, seconds, kill } = one;
    eprintln!(
        "{name} ({images} images, {seconds} s, {kill:?}): this build has no plants; `campaigns plants` makes one"
    );
    false
}

/// Looks for one plant with all tools, and prints a line for each as it ends.
#[cfg(vista_planted)]
pub(crate) fn one(one: &One) -> bool {
    use vista::plant::PLANTS;
    if one.name == "list" {
        PLANTS.iter().for_each(|(_, name, _)| println!("{name}"));
        return true;
    }
    let plant = PLANTS.iter().find(|(_, name, _)| *name == one.name);
    let Some(&(_, name, what)) = plant else {
        eprintln!("there is no plant `{}`", one.name);
        return false;
    };
    match &one.kill {
        Some(scenario) => look::kill_in(scenario, name),
        None => {
            println!("{}", what.replace('\n', " "));
            look::tools(name, one);
        }
    }
    true
}

#[cfg(vista_planted)]
mod look {
    use std::time::{Duration, Instant};

    use campaigns::scenarios::{self, Scenario, Subject};
    use campaigns::{campaign, collections};
    use crash_sim::{Campaign, KillOptions, Model, Oracle, Recorder};
    use rio::Domain;
    use vista::Persistent;

    use super::{Finding, One, TOOLS};

    /// Distinct images per scenario at which most plants show.
    const FEW: usize = 1000;
    /// Scenarios that take long.
    const LONG: [&str; 4] = ["anything-", "longer-than-the-log", "log-over-freed", "growth-in-"];

    /// How a tool runs a scenario.
    type Tool = fn(Campaign<Subject>) -> Campaign<Subject>;

    const EXPLORING: [(&str, Model, Domain, Tool); 5] = [
        (TOOLS[0], Model::Coherent, Domain::PageCache, |campaign| campaign),
        (TOOLS[1], Model::Coherent, Domain::Adr, |campaign| campaign),
        (TOOLS[2], Model::Adr, Domain::Adr, |campaign| campaign),
        (TOOLS[3], Model::Adr, Domain::Adr, |campaign| campaign.resume(100)),
        (TOOLS[4], Model::Adr, Domain::Adr, |campaign| campaign.kill_before_power_cut().resume(100)),
    ];

    /// A campaign over a scenario that runs right without the plant: what a segment should hold is found first.
    fn planted(scenario: &Scenario, domain: Domain, name: &'static str) -> Campaign<Subject> {
        vista::plant::set(None);
        let campaign = campaign(scenario, domain).lazy();
        vista::plant::set(Some(name));
        if scenario.name == "nothing" { campaign.crash_creation() } else { campaign }
    }

    /// Plants that show in the scenarios of collections alone.
    const COLLECTIONS: [&str; 5] = [
        "spare-not-flushed",
        "vacated-forgotten",
        "popped-element-as-spare",
        "deleted-slot-as-spare",
        "used-slot-as-spare",
    ];

    pub(super) fn tools(name: &'static str, one: &One) {
        if COLLECTIONS.contains(&name) {
            return in_collections(name, one);
        }
        let images = one.images;
        let until = Instant::now() + Duration::from_secs(one.seconds);
        // One campaign has a part of the time; the machine and the killer have theirs when one has found it.
        let time = |campaign: Campaign<Subject>, part: u32| {
            let left = until.saturating_duration_since(Instant::now());
            campaign.time_max(left.min(Duration::from_secs(one.seconds) / part))
        };
        let is_wanted = |scenario: &Scenario| {
            !scenario.name.starts_with("blocks-of-")
                || ["blocks-of-16", "blocks-of-2048", "blocks-of-8192"].contains(&scenario.name.as_str())
        };
        let scenarios: Vec<Scenario> = scenarios::all().into_iter().filter(is_wanted).collect();
        let mut first = None;
        // Long scenarios only for what the short ones do not show, and only until one tool has found it.
        let is_short = |scenario: &&Scenario| !LONG.iter().any(|long| scenario.name.starts_with(long));
        let (short, long): (Vec<Scenario>, Vec<Scenario>) =
            scenarios.iter().cloned().partition(|scenario| is_short(&scenario));
        let few = FEW.min(images);
        let stages = [(&short, few, 60), (&long, few, 20), (&short, images, 30), (&long, images, 10)];
        for (stage, (scenarios, images, part)) in stages.into_iter().enumerate() {
            let mut findings = Vec::new();
            for (index, (tool, model, domain, make)) in EXPLORING.into_iter().enumerate() {
                if stage > 0 && first.is_some() {
                    break;
                }
                let finding = explore(tool, scenarios, |scenario| {
                    time(make(planted(scenario, domain, name)).images_max(images), part).explore(model)
                });
                first = first.or(finding.scenario.clone().map(|name| (index, name)));
                findings.push(finding);
            }
            if first.is_some() {
                findings.iter().for_each(say);
                break;
            }
        }
        let Some((tool, scenario)) = first else { return };
        let (_, model, domain, make) = EXPLORING[tool];
        let scenario = scenarios.iter().find(|one| one.name == scenario).expect("it was just run");
        let just = std::slice::from_ref(scenario);
        let finding = explore(TOOLS[5], just, |scenario| {
            make(planted(scenario, domain, name))
                .recorder(Recorder::Machine)
                .images_max(images)
                .time_max(Duration::from_secs(one.seconds) / 3)
                .explore(model)
        });
        say(&finding);
        if !scenario.operations.is_empty() {
            say(&kill(scenario, name));
        }
    }

    /// Plants in the collections: their own scenarios, by the seam in either domain, and by the machine where the seam has
    /// found it first.
    fn in_collections(name: &'static str, one: &One) {
        use campaigns::collections::{btree_map, hash_map, linear, mixed};
        let mut is_found = false;
        for domain in [Domain::PageCache, Domain::Adr] {
            let here = in_some(name, one, &linear::all(), domain, !is_found)
                || in_some(name, one, &hash_map::all(), domain, !is_found)
                || in_some(name, one, &btree_map::all(), domain, !is_found)
                || in_some(name, one, &mixed::all(), domain, !is_found);
            is_found |= here;
        }
    }

    /// One kind of collections. Whether it shows there.
    fn in_some<R: Persistent>(
        name: &'static str,
        one: &One,
        scenarios: &[collections::Scenario<R>],
        domain: Domain,
        asks_machine: bool,
    ) -> bool {
        let (tool, model) = match domain {
            Domain::Adr => (TOOLS[2], Model::Adr),
            _ => (TOOLS[0], Model::Coherent),
        };
        let run = |scenario: &collections::Scenario<R>, recorder| {
            vista::plant::set(None);
            let campaign = collections::campaign(scenario, domain).lazy().recorder(recorder);
            vista::plant::set(Some(name));
            let time = Duration::from_secs(one.seconds) / 60;
            campaign.images_max(one.images).time_max(time).explore(model)
        };
        let finding = explore(tool, scenarios, |scenario| run(scenario, Recorder::Seam));
        let Some(found) = &finding.scenario else { return false };
        say(&finding);
        if asks_machine {
            let just: Vec<_> = scenarios.iter().filter(|one| one.name == found).cloned().collect();
            say(&explore(TOOLS[5], &just, |scenario| run(scenario, Recorder::Machine)));
        }
        true
    }

    fn say(finding: &Finding) {
        println!("{}", serde_json::to_string(finding).expect("plain data"));
    }

    /// Runs scenario after scenario until one fails by a crash.
    fn explore<S>(tool: &str, scenarios: &[S], run: impl Fn(&S) -> crash_sim::Report) -> Finding {
        let started = Instant::now();
        let mut recoveries = 0;
        for scenario in scenarios {
            let report = run(scenario);
            recoveries += report.recoveries;
            let Some(failure) = report.failure.filter(|failure| failure.oracle != Oracle::Workload) else {
                continue;
            };
            let finding = Finding {
                tool: tool.to_owned(),
                scenario: Some(report.name.clone()),
                crashes: failure.case.split('/').count(),
                recoveries,
                seconds: started.elapsed().as_secs_f64(),
                oracle: failure.oracle.to_string(),
            };
            return finding;
        }
        let seconds = started.elapsed().as_secs_f64();
        let (tool, oracle) = (tool.to_owned(), String::new());
        Finding { tool, scenario: None, crashes: 0, recoveries, seconds, oracle }
    }

    /// What the processes come to that are killed.
    pub(super) fn kill_in(scenario: &str, name: &'static str) {
        let scenarios = scenarios::all();
        if let Some(scenario) = scenarios.iter().find(|one| one.name == scenario) {
            say(&kill(scenario, name));
        }
    }

    /// Kills a real process some times.
    fn kill(scenario: &Scenario, name: &'static str) -> Finding {
        let started = Instant::now();
        let program = std::env::args().next().expect("a program has a name");
        let command = [&program, "plant", name, "--kill", &scenario.name].map(str::to_owned);
        let options = KillOptions::new().rounds(60).command(command.to_vec());
        let report = planted(scenario, Domain::PageCache, name).kill(&options);
        let scenario = (!report.failures.is_empty()).then(|| scenario.name.clone());
        Finding {
            tool: TOOLS[6].to_owned(),
            scenario,
            crashes: 0,
            recoveries: report.rounds as u64,
            seconds: started.elapsed().as_secs_f64(),
            oracle: String::new(),
        }
    }
}
