//! SIGKILL to processes that run transfers on lrvm, on real files, with a thread that truncates.
//!
//! A process opens the log, which recovers, compares both segments with a plain model, says what it found, and goes on
//! with its transfers, two threads with a segment each, some with a flush and some without. It says of each that it
//! begins, and of those with a flush that they have returned. It is killed by its parent at any time, or kills itself at
//! one of its writes and syncs: before it, behind it, or with part of a write made. The next process finds at least what
//! was acknowledged, and nothing that had not begun. What a kill cannot show is a sync that is missing: what was written
//! is there. Start at [`main`].

use std::fs::File;
use std::io::{self, IoSlice, Read, Write};
use std::ops::RangeInclusive;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use lrvm::{Begin, Device, Devices, End, FileDevice, FileSystem, Options, Region, Rvm, Truncation};
use nix::sys::signal::{Signal, raise};

/// Pages of a segment.
const PAGES: u64 = 8;
const SEGMENT_LEN: u64 = PAGES * 4096;
/// Balances in a segment, spread over its pages.
const ACCOUNTS: u64 = 64;
const RING_LEN: u64 = 16 << 10;
const NAMES: [&str; 2] = ["one", "two"];
/// Rounds that share their files.
const ROUNDS_PER_FILE: usize = 50;
/// How long a process may take.
const TIME_LIMIT: Duration = Duration::from_secs(30);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many processes are killed.
    #[arg(default_value_t = 1000)]
    rounds: usize,
    /// What chance begins with.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the files are made; by default in the directory for temporary files.
    #[arg(long)]
    dir: Option<PathBuf>,
}

#[derive(clap::Args)]
pub(crate) struct Child {
    dir: PathBuf,
    #[arg(long)]
    epoch: bool,
    /// The call at which it kills itself; 0 for none.
    #[arg(long)]
    call: u64,
    /// How: 0 before it, 1 behind it, 2 in the middle.
    #[arg(long)]
    how: u64,
    /// Only opens and compares.
    #[arg(long)]
    verify: bool,
}

/// What the parent knows of a segment: transfers that must be there, and those that may be.
#[derive(Clone, Copy, Debug, Default)]
struct Bounds {
    acked: u64,
    begun: u64,
}

/// What a round came to.
#[derive(Default)]
struct Told {
    opened: [Option<u64>; 2],
    bounds: [Bounds; 2],
}

/// Whether everything holds.
pub(crate) fn main(arguments: &Arguments) -> bool {
    let started = Instant::now();
    let dir = arguments.dir.clone().unwrap_or_else(std::env::temp_dir);
    match rounds(arguments.rounds, arguments.seed, &dir) {
        Ok(transfers) => {
            let seconds = started.elapsed().as_secs_f64();
            println!(
                "lrvm: {} kills, {transfers} transfers begun, all held; {seconds:.1} s",
                arguments.rounds
            );
            true
        }
        Err((round, why)) => {
            println!("lrvm: round {round} of seed {}: {why}", arguments.seed);
            false
        }
    }
}

/// Kills so many processes; how many transfers had begun, or the round that failed and why.
pub(crate) fn rounds(count: usize, seed: u64, dir: &Path) -> Result<u64, (usize, String)> {
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut place, mut bounds, mut transfers) = (None, [Bounds::default(); 2], 0);
    for round in 0..count {
        let failed = |why: String| (round, why);
        if round % ROUNDS_PER_FILE == 0 {
            transfers += bounds.iter().map(|bounds| bounds.begun).sum::<u64>();
            bounds = [Bounds::default(); 2];
            place = Some(create(dir).map_err(|error| failed(format!("creation: {error}")))?);
        }
        let dir = place.as_ref().expect("made in the first round").path();
        let kill = match random.u64(0..4) {
            0 => Kill::At { call: random.u64(1..25), how: random.u64(0..3) },
            1 | 2 => Kill::At { call: random.u64(1..1500), how: random.u64(0..3) },
            _ => Kill::After(Duration::from_micros(random.u64(0..40_000))),
        };
        bounds =
            one(dir, random.bool(), Some(kill), bounds).map_err(|why| failed(format!("{kill:?}: {why}")))?;
        if round + 1 == count || (round + 1) % ROUNDS_PER_FILE == 0 {
            bounds =
                one(dir, random.bool(), None, bounds).map_err(|why| failed(format!("the end: {why}")))?;
        }
    }
    Ok(transfers + bounds.iter().map(|bounds| bounds.begun).sum::<u64>())
}

fn create(dir: &Path) -> Result<tempfile::TempDir, lrvm::Error> {
    let place = tempfile::tempdir_in(dir).expect("a directory can be made");
    lrvm::create_log(place.path().join("log"), RING_LEN)?;
    NAMES.iter().try_for_each(|name| lrvm::create_segment(place.path().join(name), SEGMENT_LEN))?;
    Ok(place)
}

#[derive(Clone, Copy, Debug)]
enum Kill {
    At { call: u64, how: u64 },
    After(Duration),
}

/// One process. What must and may be there behind it, or what did not hold.
fn one(dir: &Path, is_epoch: bool, kill: Option<Kill>, before: [Bounds; 2]) -> Result<[Bounds; 2], String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    let (call, how) = match kill {
        Some(Kill::At { call, how }) => (call, how),
        _ => (0, 0),
    };
    command.arg("lrvm-child").arg(dir);
    command.args(["--call", &call.to_string(), "--how", &how.to_string()]);
    command.args(is_epoch.then_some("--epoch")).args(kill.is_none().then_some("--verify"));
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(|error| error.to_string())?;
    let pipe = child.stdout.take().expect("it is a pipe");
    let listener = thread::spawn(move || listen(pipe, before));
    if let Some(Kill::After(time)) = kill {
        thread::sleep(time);
        let _ = child.kill(); // It may have ended.
    }
    let status = wait(&mut child)?;
    let told = listener.join().expect("the listener does not panic")?;
    let mut words = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        let _ = stderr.read_to_string(&mut words);
    }
    if status.signal() != Some(Signal::SIGKILL as i32) && !status.success() {
        return Err(format!("it ended with {status}: {}", words.trim()));
    }
    if kill.is_none() && told.opened.contains(&None) {
        return Err(format!("it found nothing: {}", words.trim()));
    }
    Ok(told.bounds)
}

fn wait(child: &mut std::process::Child) -> Result<ExitStatus, String> {
    let until = Instant::now() + TIME_LIMIT;
    while Instant::now() < until {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            return Ok(status);
        }
        thread::sleep(Duration::from_micros(200));
    }
    let _ = child.kill();
    let _ = child.wait();
    Err(format!("it did not end in {} s", TIME_LIMIT.as_secs()))
}

/// Kinds of messages: ten bytes of kind, segment, and number.
const OPENED: u8 = 0;
const BEGUN: u8 = 1;
const ACKED: u8 = 2;

fn listen(mut pipe: impl Read, before: [Bounds; 2]) -> Result<Told, String> {
    let mut told = Told { opened: [None; 2], bounds: before };
    let mut message = [0; 10];
    while pipe.read_exact(&mut message).is_ok() {
        let segment = usize::from(message[1]);
        let number = u64::from_le_bytes(message[2..].try_into().expect("eight bytes"));
        let bounds = &mut told.bounds[segment];
        match message[0] {
            OPENED => {
                let allowed: RangeInclusive<u64> = before[segment].acked..=before[segment].begun;
                if !allowed.contains(&number) {
                    return Err(format!("segment {segment} has {number} transfers, expected {allowed:?}"));
                }
                told.opened[segment] = Some(number);
                *bounds = Bounds { acked: number, begun: number };
            }
            BEGUN => bounds.begun = number,
            _ => bounds.acked = number,
        }
    }
    Ok(told)
}

/// What runs in the process that is killed. Whether it came to its end.
pub(crate) fn child(child: &Child) -> bool {
    match work(child) {
        Ok(()) => true,
        Err(error) => {
            eprintln!("{error}");
            false
        }
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn work(child: &Child) -> Result<(), Failure> {
    let trigger = Arc::new(Trigger { calls: AtomicU64::new(0), call: child.call, how: child.how });
    let files = Files { system: FileSystem::new(&child.dir)?, trigger: trigger.clone() };
    let log = child.dir.join("log");
    let device = Fatal { device: Box::new(FileDevice::open(&log)?), trigger };
    let truncation = if child.epoch { Truncation::Epoch } else { Truncation::Incremental };
    let options = Options::new().truncation(truncation).background(true).status_interval(7);
    let rvm = options.open_on(Box::new(device), Box::new(files), "log")?;
    let regions = NAMES.map(|name| rvm.map(child.dir.join(name), 0..SEGMENT_LEN));
    let [one, two] = regions;
    let mut regions = [one?, two?];
    for (segment, region) in regions.iter().enumerate() {
        let count = region.read::<u64>(0)?;
        if let Some(at) =
            (0..ACCOUNTS).find(|&at| balance(region, at) != Model::after(segment, count).0[at as usize])
        {
            return Err(format!("segment {segment} after {count} transfers: account {at} is wrong").into());
        }
        say(OPENED, segment, count);
    }
    if child.verify {
        drop(regions);
        return Ok(rvm.close()?);
    }
    thread::scope(|scope| {
        let rvm = &rvm;
        let workers = regions.iter_mut().enumerate();
        let workers: Vec<_> =
            workers.map(|(segment, region)| scope.spawn(move || transfers(rvm, segment, region))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("a worker does not panic"))
    })
}

/// Transfer after transfer, until it is killed, or for a while.
fn transfers(rvm: &Rvm, segment: usize, region: &mut Region) -> Result<(), Failure> {
    let first = region.read::<u64>(0)?;
    for number in first..first + 4000 {
        let (from, to, amount) = transfer(segment, number);
        say(BEGUN, segment, number + 1);
        let mut tx = rvm.begin(Begin::Restore)?;
        let enlisted = tx.enlist(region)?;
        tx.write(enlisted, 0, &(number + 1))?;
        for (account, sign) in [(from, amount.wrapping_neg()), (to, amount)] {
            let bytes = tx.set_range(enlisted, place(account), 8)?;
            let old = u64::from_le_bytes(bytes.try_into()?);
            bytes.copy_from_slice(&old.wrapping_add(sign).to_le_bytes());
        }
        if number % 11 == 0 {
            // Declared and not changed: long records, so that the ring goes round.
            tx.set_range(enlisted, 4096, 1000)?;
        }
        let is_flush = number % 3 == 2;
        tx.commit(if is_flush { End::Flush } else { End::NoFlush })?;
        if is_flush {
            say(ACKED, segment, number + 1);
        }
    }
    Ok(())
}

fn place(account: u64) -> u64 {
    64 + account * ((SEGMENT_LEN - 64) / ACCOUNTS / 8 * 8)
}

fn balance(region: &Region, account: u64) -> u64 {
    region.read(place(account)).expect("an account lies in its segment")
}

/// Accounts and amount of a transfer.
fn transfer(segment: usize, number: u64) -> (u64, u64, u64) {
    let mut random = fastrand::Rng::with_seed(number << 1 | segment as u64);
    (random.u64(0..ACCOUNTS), random.u64(0..ACCOUNTS), random.u64(1..1000))
}

/// What the balances should be.
struct Model([u64; ACCOUNTS as usize]);

impl Model {
    fn after(segment: usize, count: u64) -> Model {
        let mut model = Model([0; ACCOUNTS as usize]);
        for number in 0..count {
            let (from, to, amount) = transfer(segment, number);
            model.0[from as usize] = model.0[from as usize].wrapping_sub(amount);
            model.0[to as usize] = model.0[to as usize].wrapping_add(amount);
        }
        model
    }
}

/// Tells the parent, in one write, so that it is told whole or not at all.
fn say(kind: u8, segment: usize, number: u64) {
    static PIPE: Mutex<()> = Mutex::new(());
    let mut message = [kind, segment as u8, 0, 0, 0, 0, 0, 0, 0, 0];
    message[2..].copy_from_slice(&number.to_le_bytes());
    let _one = PIPE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut stdout = io::stdout().lock();
    // A parent that is gone has no question any more.
    let _ = stdout.write_all(&message).and_then(|()| stdout.flush());
}

/// Counts writes and syncs, and ends the process at one of them.
struct Trigger {
    calls: AtomicU64,
    call: u64,
    how: u64,
}

impl Trigger {
    /// How the process is to end at this call, if it is to.
    fn pull(&self) -> Option<u64> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        (call == self.call).then_some(self.how)
    }
}

fn die() -> ! {
    let _ = raise(Signal::SIGKILL);
    unreachable!("nobody lives on behind that signal")
}

/// A file on which the process may die.
struct Fatal {
    device: Box<dyn Device>,
    trigger: Arc<Trigger>,
}

impl Device for Fatal {
    fn len(&self) -> u64 {
        self.device.len()
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.device.read_at(offset, bytes)
    }

    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        match self.trigger.pull() {
            None => self.device.write_at(offset, parts),
            Some(0) => die(),
            Some(1) => {
                self.device.write_at(offset, parts)?;
                die()
            }
            Some(_) => {
                let bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
                let kept = fastrand::usize(0..bytes.len().max(1));
                self.device.write_at(offset, &[IoSlice::new(&bytes[..kept])])?;
                die()
            }
        }
    }

    fn sync(&self) -> io::Result<()> {
        match self.trigger.pull() {
            None => self.device.sync(),
            Some(0) => die(),
            Some(_) => {
                self.device.sync()?;
                die()
            }
        }
    }

    fn file(&self) -> Option<&File> {
        self.device.file()
    }
}

/// Segments on which the process may die.
struct Files {
    system: FileSystem,
    trigger: Arc<Trigger>,
}

impl Devices for Files {
    fn resolve(&self, name: &Path) -> io::Result<PathBuf> {
        self.system.resolve(name)
    }

    fn open(&self, name: &Path) -> io::Result<Box<dyn Device>> {
        Ok(Box::new(Fatal { device: self.system.open(name)?, trigger: self.trigger.clone() }))
    }
}
