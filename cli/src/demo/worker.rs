//! The child that is killed, and the parent's hold on it.
//!
//! The child writes to its stdout, in 8-byte little-endian words: once the number of transactions that it found when
//! it had opened the bank, and then the index of each transaction after its commit. A write is never longer than a
//! pipe takes at once, so that a kill does not cut a word in two. Start at [`run`], the child.

use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use vista::{Persistent, Segment, Transaction, field};
use workloads::{Account, Bank, Scale, Transfer, debit_credit, transaction_count};

use crate::failure::Failure;
use crate::output::Verdict;
use crate::stress::map;

/// What the children change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Structure {
    /// Transfers between the accounts of a bank, in the manner of TPC-B.
    Bank,
    /// Entries of a B-tree and of a hash map, with the same content.
    Map,
}

impl Structure {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Structure::Bank => "the bank",
            Structure::Map => "the maps",
        }
    }

    /// As the option has it.
    pub(crate) fn option(self) -> &'static str {
        match self {
            Structure::Bank => "bank",
            Structure::Map => "map",
        }
    }
}

/// Acknowledgements in one write at most: PIPE_BUF, the length that a pipe takes whole, is 4096 on Linux.
pub(crate) const BATCH_MAX: u64 = 4096 / 8;
/// Accounts that one long transaction changes at most.
const SWEEP_ACCOUNTS: usize = 200_000;
/// A transaction takes a tenth of a microsecond, and its stores a small part of that: a kill would seldom find one
/// in flight.
const LINGER_SPINS: u32 = 50;
const SIGKILL: i32 = 9;

/// Change a structure until killed. For `vista demo` and `vista stress`, which start it.
#[derive(clap::Args)]
pub(crate) struct Args {
    path: PathBuf,
    #[arg(long)]
    structure: Structure,
    #[arg(long)]
    seed: u64,
    /// Commits after which their acknowledgements are written together.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=BATCH_MAX))]
    batch: u64,
    /// Begin, after each batch, a long transaction that is never committed.
    #[arg(long)]
    sweep: bool,
    /// Spend most of the time between a transaction's stores and its commit.
    #[arg(long)]
    linger: bool,
    /// Leave the last transaction of each batch out, but acknowledge it: a mistake that has to be caught.
    #[arg(long)]
    plant: bool,
}

/// What a child does. A transaction is a pure function of the seed and its index.
pub(crate) trait Work: Sized {
    /// The segment's root.
    type Root: Persistent;

    /// Looks at the segment, and says how many transactions are there.
    fn find(segment: &Segment<Self::Root>, seed: u64) -> Result<(Self, u64), Failure>;

    /// Makes the transaction with this index.
    fn transact(&self, tx: &mut Transaction<'_, Self::Root>, index: u64) -> vista::Result<()>;

    /// Changes as much as it may: for a transaction that is taken back.
    fn sweep(&self, tx: &mut Transaction<'_, Self::Root>) -> vista::Result<()>;
}

/// The child.
pub(crate) fn run(args: &Args) -> Result<Verdict, Failure> {
    match args.structure {
        Structure::Bank => work::<Transfers>(args),
        Structure::Map => work::<map::Changes>(args),
    }
}

/// It ends by itself only if the parent has gone, or on an error.
fn work<W: Work>(args: &Args) -> Result<Verdict, Failure> {
    let mut segment = Segment::<W::Root>::open(&args.path)?;
    let (work, mut index) = W::find(&segment, args.seed)?;

    let mut stdout = io::stdout().lock();
    let mut acknowledgements = index.to_le_bytes().to_vec();
    loop {
        match stdout.write_all(&acknowledgements).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Verdict::Good),
            Err(error) => return Err(Failure::system(Path::new("<stdout>"), "write", &error)),
            Ok(()) => acknowledgements.clear(),
        }
        for place in 1..=args.batch {
            let mut tx = segment.begin()?;
            work.transact(&mut tx, index)?;
            if args.linger {
                (0..LINGER_SPINS).for_each(|_| std::hint::spin_loop());
            }
            if args.plant && place == args.batch {
                tx.abort()?;
            } else {
                tx.commit()?;
            }
            // It is durable from here on, and not before.
            acknowledgements.extend_from_slice(&index.to_le_bytes());
            index += 1;
        }
        if args.sweep {
            // Changes much and takes it all back: a long log, for a kill to leave behind.
            let mut tx = segment.begin()?;
            work.sweep(&mut tx)?;
            tx.abort()?;
        }
    }
}

/// Transfers of the bank.
struct Transfers {
    bank: Bank,
    scale: Scale,
    seed: u64,
}

impl Work for Transfers {
    type Root = Bank;

    fn find(segment: &Segment<Bank>, seed: u64) -> Result<(Self, u64), Failure> {
        let count = transaction_count(segment)?;
        let bank = *segment.root()?;
        let scale = bank.scale().ok_or_else(|| Failure::new("the bank has no branches"))?;
        Ok((Transfers { bank, scale, seed }, count))
    }

    fn transact(&self, tx: &mut Transaction<'_, Bank>, index: u64) -> vista::Result<()> {
        debit_credit(tx, &self.bank, &Transfer::at(self.scale, self.seed, index), index)
    }

    fn sweep(&self, tx: &mut Transaction<'_, Bank>) -> vista::Result<()> {
        for index in 0..self.bank.accounts.len().min(SWEEP_ACCOUNTS) {
            let account = self.bank.accounts.at(index).expect("an index below the length");
            tx.get_mut(field!(account, Account, balance))?.add(1);
        }
        Ok(())
    }
}

/// How the child is to run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) batch: u64,
    pub(crate) sweep: bool,
    pub(crate) linger: bool,
    pub(crate) plant: bool,
}

/// A running child, as the parent holds it. Dropping it kills it.
pub(crate) struct Worker {
    child: Child,
    started: Instant,
    hello: Receiver<Duration>,
    reader: Option<JoinHandle<io::Result<Heard>>>,
}

/// What a child has said before it was killed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// Number of transactions that it found when it had opened the bank; `None` if it did not get as far.
    pub(crate) found: Option<u64>,
    /// Number that it acknowledged, one after the other.
    pub(crate) acknowledged: u64,
    /// An acknowledgement out of its order, and the one that was due.
    pub(crate) out_of_order: Option<(u64, u64)>,
}

impl Worker {
    /// Starts this program again, as the child.
    pub(crate) fn start(structure: Structure, path: &Path, seed: u64, pace: Pace) -> Result<Worker, Failure> {
        let fail = |error: io::Error| Failure::system(Path::new("vista"), "start the child", &error);
        let mut command = Command::new(std::env::current_exe().map_err(fail)?);
        command.arg("demo-worker").arg(format!("--structure={}", structure.option()));
        command.arg(format!("--seed={seed}")).arg(format!("--batch={}", pace.batch));
        let flags = [("--sweep", pace.sweep), ("--linger", pace.linger), ("--plant", pace.plant)];
        command.args(flags.into_iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| flag));
        let started = Instant::now();
        let mut child = command
            .arg("--")
            .arg(path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // An interrupt from the terminal is for the parent, whose end the child notices by its pipe.
            .process_group(0)
            .spawn()
            .map_err(fail)?;
        let pipe = child.stdout.take().expect("its stdout is a pipe");
        let (said_hello, hello) = mpsc::channel();
        // A pipe holds 64 KiB, after which the child would stand still: somebody has to read while it runs.
        let reader = thread::spawn(move || {
            listen(pipe, || {
                let _ = said_hello.send(started.elapsed());
            })
        });
        Ok(Worker { child, started, hello, reader: Some(reader) })
    }

    /// Waits until the child has opened the bank; returns how long that took since it was started.
    pub(crate) fn wait_for_hello(&mut self) -> Result<Duration, Failure> {
        match self.hello.recv_timeout(Duration::from_secs(60)) {
            Ok(elapsed) => Ok(elapsed),
            Err(RecvTimeoutError::Timeout) => Err(Failure::new("the child did not open the bank in 60 s")),
            // Its pipe is closed.
            Err(RecvTimeoutError::Disconnected) => Err(self.ended_by_itself()),
        }
    }

    /// Lets it run until so long after its start.
    pub(crate) fn wait_since_start(&self, time: Duration) {
        thread::sleep(time.saturating_sub(self.started.elapsed()));
    }

    /// Kills it, and returns what it has said until then. A child that was not killed by this is an error.
    pub(crate) fn kill(mut self) -> Result<Heard, Failure> {
        let fail = |error: io::Error| Failure::system(Path::new("vista"), "kill the child", &error);
        self.child.kill().map_err(fail)?;
        // Once it is reaped it has no memory and no lock any more.
        let status = self.child.wait().map_err(fail)?;
        let reader = self.reader.take().expect("a reader until now");
        let heard = reader.join().expect("the reader does not panic").map_err(fail)?;
        if status.signal() != Some(SIGKILL) {
            return Err(self.ended_by_itself());
        }
        Ok(heard)
    }

    fn ended_by_itself(&mut self) -> Failure {
        match self.child.wait() {
            Ok(status) => Failure::new(format!("the child ended before it was killed: {status}")),
            Err(error) => Failure::system(Path::new("vista"), "wait for the child", &error),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Both do nothing to a child that is reaped already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads what the child says, to the end.
fn listen(mut pipe: ChildStdout, said_hello: impl FnOnce()) -> io::Result<Heard> {
    let mut said_hello = Some(said_hello);
    let mut heard = Heard::default();
    let mut next = 0;
    let mut buffer = vec![0; 1 << 16];
    let mut filled = 0;
    loop {
        let count = pipe.read(&mut buffer[filled..])?;
        if count == 0 {
            return Ok(heard);
        }
        filled += count;
        let (words, rest) = buffer[..filled].as_chunks::<8>();
        for word in words {
            let word = u64::from_le_bytes(*word);
            if let Some(said_hello) = said_hello.take() {
                heard.found = Some(word);
                next = word;
                said_hello();
            } else if word == next {
                heard.acknowledged += 1;
                next += 1;
            } else {
                heard.out_of_order.get_or_insert((word, next));
            }
        }
        let (start, len) = (filled - rest.len(), rest.len());
        buffer.copy_within(start..filled, 0);
        filled = len;
    }
}
