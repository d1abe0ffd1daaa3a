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
const TOOLS: [&str; 6] = ["coherent", "ADR", "ADR, resumed", "ADR, killed first", "SIGKILL", "failing sync"];

/// Whether each plant was found by a tool at least.
pub(crate) fn main(arguments: &Arguments) -> bool {
    let program = match crate::plants::build() {
        Ok(program) => program,
        Err(error) => {
            eprintln!("{error}");
            return false;
        }
    };
    let listed = Command::new(&program).args(["lrvm-plant", "list"]).output().expect("the planted program runs");
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
    println!("\n{} of {count} plants are found. A cell: recoveries until then, or kills; time; - if not found.", count - missed.len());
    missed.iter().for_each(|name| println!("not found: {name}"));
    missed.is_empty()
}

/// Looks for one plant with all tools, and prints a line for each.
#[cfg(not(vista_planted))]
pub(crate) fn one(one: &One) -> bool {
    eprintln!("{} ({} images): this build has no plants; `campaigns lrvm-plants` makes one", one.name, one.images);
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
    use lrvm::{Begin, Device, End, Options};
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
            _ => fail(),
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

    /// A log whose sync fails once: nothing is acknowledged behind that.
    fn fail() -> String {
        let started = Instant::now();
        let log_len = lrvm::layout::RING_OFFSET + 4096;
        let size = rio::HEADER_LEN + log_len + 4096;
        let parts = Partition::new(Sim::new(size, size, Domain::PageCache), [("log", log_len), ("data", 4096)]);
        let parts = parts.expect("the medium has room for both");
        let fails = Arc::new(AtomicBool::new(false));
        let device = Failing { device: parts.device("log").expect("nobody has it"), fails: fails.clone() };
        lrvm::create_log_on(&device).expect("a log");
        let options = Options::new().background(false);
        let rvm = options.open_on(Box::new(device), Box::new(parts), "log").expect("an empty log opens");
        let mut region = rvm.map("data", 0..4096).expect("a segment is mapped");
        let mut commit = || {
            let mut tx = rvm.begin(Begin::Restore)?;
            let data = tx.enlist(&mut region)?;
            tx.write(data, 0, &1u64)?;
            tx.commit(End::Flush)
        };
        fails.store(true, Ordering::Relaxed);
        let is_right = commit().is_err() && commit().is_err();
        if is_right { "-".to_owned() } else { format!("1, {}", seconds(started.elapsed())) }
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
