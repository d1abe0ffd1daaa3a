//! `example-session serve` and `example-session load`. Only ever on 127.0.0.1.

#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use example_session::server::{Shared, serve};
use example_session::{Micros, Rate, Store, load};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// A web session cache and rate limiter that is still warm after a crash.
#[derive(Parser)]
#[command(name = "example-session", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve sessions on 127.0.0.1, until interrupted.
    Serve(Serve),
    /// Ask a server as much as it answers, and say how much that was.
    Load(Load),
}

#[derive(Parser)]
struct Serve {
    /// The file that keeps sessions and buckets; made if it is not there.
    #[arg(long, default_value = "sessions.vista")]
    file: PathBuf,
    /// The port; 0 for any. The line that is printed says which.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// How long a session lasts if nobody asks for it.
    #[arg(long, default_value = "30m")]
    lifetime: humantime::Duration,
    /// How long it takes until a client may ask once more.
    #[arg(long, default_value = "20ms")]
    interval: humantime::Duration,
    /// How often a client may ask at once.
    #[arg(long, default_value_t = 100)]
    burst: u32,
    /// How long the file may become, in MiB.
    #[arg(long, default_value_t = 1024)]
    max_mib: u64,
}

#[derive(Parser)]
struct Load {
    /// A server that runs already. Without this, one is started here for the time, on a file in the temporary directory,
    /// which lets everybody in.
    #[arg(long)]
    port: Option<u16>,
    /// How many connections ask at the same time.
    #[arg(long, default_value_t = 32)]
    connections: u16,
    /// How long at most.
    #[arg(long, default_value = "10s")]
    time: humantime::Duration,
    /// How many requests at most.
    #[arg(long, default_value_t = 10_000_000)]
    requests: u64,
}

type BoxError = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    let done = tokio::runtime::Runtime::new().map_err(BoxError::from).and_then(|runtime| {
        runtime.block_on(async {
            match Cli::parse().command {
                Command::Serve(args) => run_server(args).await,
                Command::Load(args) => run_load(args).await,
            }
        })
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("example-session: {error}");
            ExitCode::from(2)
        }
    }
}

fn micros(duration: Duration) -> Micros {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

async fn run_server(args: Serve) -> Result<(), BoxError> {
    let rate = Rate { interval: micros(args.interval.into()), burst: args.burst };
    let max_bytes = args.max_mib.saturating_mul(1 << 20);
    let store = Store::open(&args.file, max_bytes, rate, micros(args.lifetime.into()), getrandom::u64()?)?;
    let held = store.stats()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).await?;
    let (address, file) = (listener.local_addr()?, args.file.display());
    println!(
        "listening on {address}, with {} sessions and {} buckets from {file}",
        held.sessions, held.buckets
    );

    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let end = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    let shared = Shared::new(store);
    serve(listener, shared.clone(), end).await?;
    // A request may still hold it for a moment. What it committed is kept without closing, too.
    if let Some(store) = shared.into_store() {
        store.close()?;
    }
    Ok(())
}

async fn run_load(args: Load) -> Result<(), BoxError> {
    let options =
        load::Options { connections: args.connections, time: args.time.into(), requests: args.requests };
    let Some(port) = args.port else { return load_own_server(options).await };
    report(&load::run((Ipv4Addr::LOCALHOST, port).into(), options).await?)
}

/// Starts a server in this process for as long as the load lasts.
async fn load_own_server(options: load::Options) -> Result<(), BoxError> {
    let dir = tempfile::tempdir()?;
    let rate = Rate { interval: 1, burst: u32::MAX }; // Every request writes its bucket, and none has to wait.
    let lifetime = micros(Duration::from_secs(1800));
    let shared =
        Shared::new(Store::open(&dir.path().join("sessions"), 1 << 30, rate, lifetime, getrandom::u64()?)?);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let server: SocketAddr = listener.local_addr()?;
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(serve(listener, shared.clone(), async {
        let _ = ended.await; // Sent, or dropped: the end in either case.
    }));
    println!("a server on {server}, in this process; its sessions in {}", dir.path().display());
    let measured = load::run(server, options).await;
    drop(end);
    serving.await??;
    report(&measured?)
}

fn report(measured: &load::Measured) -> Result<(), BoxError> {
    let count = measured.answer_count();
    let mut out = io::stdout().lock();
    writeln!(out, "{count} requests in {:.2} s", measured.time.as_secs_f64())?;
    writeln!(
        out,
        "{:.0} requests a second",
        count as f64 / measured.time.as_secs_f64().max(f64::MIN_POSITIVE)
    )?;
    for (status, count) in &measured.answers {
        writeln!(out, "  {count:>10} answered {status}")?;
    }
    for (name, share) in [("50 %", 0.5), ("90 %", 0.9), ("99 %", 0.99), ("99.9 %", 0.999)] {
        let nanos = measured.nanos.value_at_quantile(share);
        writeln!(out, "{name:>8} within {:>8.1} us", nanos as f64 / 1000.0)?;
    }
    writeln!(out, "{:>8} within {:>8.1} us", "all", measured.nanos.max() as f64 / 1000.0)?;
    match measured.broken {
        0 => Ok(()),
        broken => Err(format!("{broken} connections broke").into()),
    }
}
