//! Each deliberate mistake of lrvm, looked for by each tool. The build is that of `campaigns plants`.
//!
//! Start at [`main`]; [`one`] is what runs in the planted program, in a process for each plant.

use std::process::{Command, Stdio};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only plants whose name begins so.
    #[arg(default_value = "")]
    only: String,
    /// Distinct images per scenario at most.
    #[arg(long, default_value_t = 3000)]
    images: usize,
    /// Prints the table as Markdown.
    #[arg(long)]
    markdown: bool,
}

#[derive(clap::Args)]
pub(crate) struct One {
    name: String,
    #[arg(long, default_value_t = 3000)]
    images: usize,
}

/// The tools, in the order of the table.
const TOOLS: [&str; 6] = ["coherent", "ADR", "ADR, resumed", "ADR, killed first", "SIGKILL", "by hand"];

/// Whether each plant was found by a tool at least.
pub(crate) fn main(arguments: &Arguments) -> bool {
    let program = match crate::plants::build() {
        Ok(program) => program,
        Err(error) => {
            eprintln!("{error}");
            return false;
        }
    };
    let listed =
        Command::new(&program).args(["lrvm-plant", "list"]).output().expect("the planted program runs");
    let names = String::from_utf8(listed.stdout).expect("names are text");
    let (mut count, mut missed) = (0, Vec::new());
    if arguments.markdown {
        println!("| plant | {} |\n|---|{}", TOOLS.join(" | "), "---|".repeat(TOOLS.len()));
    }
    for name in names.lines().filter(|name| name.starts_with(&arguments.only)) {
        let output = Command::new(&program)
            .args(["lrvm-plant", name, "--images", &arguments.images.to_string()])
            .env("LRVM_PLANT", name)
            .stderr(Stdio::null())
            .output()
            .expect("the planted program runs");
        // A line is a cell; a tool in which the process died has none.
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut cells: Vec<&str> = text.lines().collect();
        if cells.len() < TOOLS.len() {
            cells.push("the process died");
        }
        cells.resize(TOOLS.len(), "");
        if arguments.markdown {
            println!("| {name} | {} |", cells.join(" | "));
        } else {
            println!("{name:26} {}", cells.iter().map(|cell| format!("{cell:>20}")).collect::<String>());
        }
        count += 1;
        if cells.iter().all(|cell| ["-", ""].contains(cell)) {
            missed.push(name);
        }
    }
    println!(
        "\n{} of {count} plants are found. A cell: recoveries until then, or kills; time; - if not found.",
        count - missed.len()
    );
    missed.iter().for_each(|name| println!("not found: {name}"));
    missed.is_empty()
}

/// Looks for one plant with all tools, and prints a line for each.
#[cfg(not(vista_planted))]
pub(crate) fn one(one: &One) -> bool {
    eprintln!(
        "{} ({} images): this build has no plants; `campaigns lrvm-plants` makes one",
        one.name, one.images
    );
    false
}

/// Looks for one plant with all tools, and prints a line for each.
#[cfg(vista_planted)]
pub(crate) fn one(one: &One) -> bool {
    if one.name == "list" {
        lrvm::plant::PLANTS.iter().for_each(|(_, name, _)| println!("{name}"));
        return true;
    }
    for tool in 0..TOOLS.len() {
        println!("{}", look::by(tool, one.images));
    }
    true
}

#[cfg(vista_planted)]
mod look {
    use std::io::{self, IoSlice};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    use campaigns::rvm;
    use crash_sim::{Model, Sim};
    use lrvm::on_rio::{MediumDevice, Partition};
    use lrvm::{Begin, Device, End, Options, Region, Rvm};
    use rio::Domain;

    use crate::lrvm::{Kind, campaign_of};

    fn seconds(time: Duration) -> String {
        format!("{:.2} s", time.as_secs_f64())
    }

    /// What a tool has found of the plant in force.
    pub(super) fn by(tool: usize, images: usize) -> String {
        match tool {
            0 => explore(Model::Coherent, Domain::PageCache, Kind::Plain, images),
            1 => explore(Model::Adr, Domain::Adr, Kind::Plain, images),
            2 => explore(Model::Adr, Domain::Adr, Kind::Resume, images),
            3 => explore(Model::Adr, Domain::Adr, Kind::KillFirst, images),
            4 => kill(),
            _ => by_hand(),
        }
    }

    fn explore(model: Model, domain: Domain, kind: Kind, images: usize) -> String {
        let (started, mut recoveries) = (Instant::now(), 0);
        // A few images of all scenarios first.
        for images in [images / 10, images] {
            for scenario in rvm::all() {
                let report = campaign_of(&scenario, domain, kind, images).explore(model);
                recoveries += report.recoveries;
                if report.failure.is_some() {
                    return format!("{recoveries}, {}", seconds(started.elapsed()));
                }
            }
        }
        "-".to_owned()
    }

    fn kill() -> String {
        let started = Instant::now();
        match crate::lrvm_kill::rounds(60, 1, &std::env::temp_dir()) {
            Ok(_) => "-".to_owned(),
            Err((round, _)) => format!("{}, {}", round + 1, seconds(started.elapsed())),
        }
    }

    /// What takes no campaign: a device that fails, and bytes that are lost twice.
    fn by_hand() -> String {
        let started = Instant::now();
        let is_found = acknowledges_behind_a_failure() || takes_over_what_was_torn();
        if is_found { format!("1, {}", seconds(started.elapsed())) } else { "-".to_owned() }
    }

    const LOG_LEN: u64 = lrvm::layout::RING_OFFSET + 4096;

    /// A new log and a segment.
    fn place() -> Partition<Sim> {
        let size = rio::HEADER_LEN + LOG_LEN + 4096;
        let medium = Sim::new(size, size, Domain::PageCache);
        let parts = Partition::new(medium, [("log", LOG_LEN), ("data", 4096)]).expect("it has room for both");
        lrvm::create_log_on(&parts.device("log").expect("nobody has it")).expect("a log");
        parts
    }

    fn open(log: Box<dyn Device>, parts: &Partition<Sim>) -> lrvm::Result<Rvm> {
        Options::new().background(false).open_on(log, Box::new(parts.clone()), "log")
    }

    fn commit(rvm: &Rvm, region: &mut Region, end: End, offset: u64, value: u8) -> lrvm::Result<()> {
        let mut tx = rvm.begin(Begin::Restore)?;
        let data = tx.enlist(region)?;
        tx.set_range(data, offset, 8)?.fill(value);
        tx.commit(end)
    }

    /// A sync fails once: nothing may be acknowledged behind that.
    fn acknowledges_behind_a_failure() -> bool {
        let (parts, fails) = (place(), Arc::new(AtomicBool::new(false)));
        let device = Failing { device: parts.device("log").expect("nobody has it"), fails: fails.clone() };
        let Ok(rvm) = open(Box::new(device), &parts) else { return true };
        let Ok(mut region) = rvm.map("data", 0..4096) else { return true };
        fails.store(true, Ordering::Relaxed);
        let mut is_acknowledged = || commit(&rvm, &mut region, End::Flush, 0, 1).is_ok();
        is_acknowledged() || is_acknowledged()
    }

    /// Of a batch of two the first record is lost; the next opening writes another one there, whose second record is lost.
    /// What was the second before may not take its place.
    fn takes_over_what_was_torn() -> bool {
        let parts = place();
        let ring = |parts: &Partition<Sim>| {
            let mut bytes = vec![0; 4096];
            let log = parts.device("log").expect("nobody has it");
            log.read_at(LOG_LEN - 4096, &mut bytes).expect("it lies inside");
            bytes
        };
        let batch = |value: u8| -> lrvm::Result<()> {
            let rvm = open(Box::new(parts.device("log").expect("nobody has it")), &parts)?;
            let mut region = rvm.map("data", 0..4096)?;
            commit(&rvm, &mut region, End::NoFlush, 0, value)?;
            commit(&rvm, &mut region, End::NoFlush, 64, value + 1)?;
            rvm.flush()
        };
        const RECORD_LEN: usize = 64 + 32 + 8 + 40;
        let before = ring(&parts);
        for (value, lost) in [(10, 0..RECORD_LEN), (20, RECORD_LEN..2 * RECORD_LEN)] {
            let old = if value == 10 { before.clone() } else { ring(&parts) };
            if batch(value).is_err() {
                return true;
            }
            let log = parts.device("log").expect("nobody has it");
            let offset = LOG_LEN - 4096 + lost.start as u64;
            log.write_at(offset, &[IoSlice::new(&old[lost])]).expect("it lies inside");
        }
        let Ok(rvm) = open(Box::new(parts.device("log").expect("nobody has it")), &parts) else {
            return true;
        };
        let Ok(region) = rvm.map("data", 0..4096) else { return true };
        region.bytes().iter().any(|&byte| byte != 0)
    }

    struct Failing {
        device: MediumDevice<Sim>,
        fails: Arc<AtomicBool>,
    }

    impl Device for Failing {
        fn len(&self) -> u64 {
            self.device.len()
        }

        fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
            self.device.read_at(offset, bytes)
        }

        fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
            self.device.write_at(offset, parts)
        }

        fn sync(&self) -> io::Result<()> {
            if self.fails.swap(false, Ordering::Relaxed) {
                return Err(io::Error::other("a sync that fails once"));
            }
            self.device.sync()
        }
    }
}
