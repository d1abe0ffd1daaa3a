//! Many connections at once, measured: how many requests a second, and how long each took.
//!
//! Bounded in time and in number. Each connection comes from an address of its own below 127, so that each has a bucket of
//! its own, as clients in the world have. It logs in, asks who it is, and logs out again after a hundred times.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use hyper::StatusCode;

use crate::client::{Answer, Connection};

/// How much load there is.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many connections ask at the same time.
    pub connections: u16,
    /// How long at most.
    pub time: Duration,
    /// How many requests at most.
    pub requests: u64,
}

/// What was measured.
#[derive(Debug)]
pub struct Measured {
    /// Answers by their status.
    pub answers: BTreeMap<u16, u64>,
    /// Connections that broke.
    pub broken: u64,
    /// How long it took in all.
    pub time: Duration,
    /// How long each answer took, in nanoseconds.
    pub nanos: Histogram<u64>,
}

impl Measured {
    fn new() -> Result<Measured, hdrhistogram::CreationError> {
        Ok(Measured { answers: BTreeMap::new(), broken: 0, time: Duration::ZERO, nanos: Histogram::new(3)? })
    }

    /// Requests that were answered.
    pub fn answer_count(&self) -> u64 {
        self.answers.values().sum()
    }

    /// Notes an answer, and how long it took.
    fn note(&mut self, status: StatusCode, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        // Not `saturating_record`: a histogram that grows begins with a range up to 2, and that would clamp to it.
        self.nanos.record(nanos).expect("a histogram that grows takes any value");
        *self.answers.entry(status.as_u16()).or_default() += 1;
    }
}

/// Asks a server as much as it answers.
///
/// # Errors
/// The system's, if the first connection cannot be made.
pub async fn run(server: SocketAddr, options: Options) -> io::Result<Measured> {
    let begin = Instant::now();
    let end = begin + options.time;
    let left = Arc::new(AtomicU64::new(options.requests));
    let mut clients = Vec::new();
    for number in 0..options.connections {
        let [high, low] = number.to_be_bytes();
        // Not .0 and not .255, which are no hosts; not 127.0.x, where the server and other tests are.
        let from = IpAddr::V4(Ipv4Addr::new(127, 1 + high, low, 1));
        let connection = Connection::open(server, from).await?;
        clients.push(tokio::spawn(client(connection, number, end, left.clone())));
    }
    let mut all = Measured::new().map_err(io::Error::other)?;
    for client in clients {
        let one = client.await.map_err(io::Error::other)?.map_err(io::Error::other)?;
        all.nanos.add(&one.nanos).map_err(io::Error::other)?;
        all.broken += one.broken;
        for (status, count) in one.answers {
            *all.answers.entry(status).or_default() += count;
        }
    }
    all.time = begin.elapsed();
    Ok(all)
}

async fn client(
    mut connection: Connection,
    number: u16,
    end: Instant,
    left: Arc<AtomicU64>,
) -> Result<Measured, hdrhistogram::CreationError> {
    const SESSION_LEN: u32 = 100;
    let mut measured = Measured::new()?;
    let (mut token, mut asked) = (None, 0);
    let is_one_left =
        || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
    while Instant::now() < end && is_one_left() {
        let begin = Instant::now();
        let answer = match token {
            None => connection.login(&format!("user-{number}")).await,
            Some(token) if asked < SESSION_LEN => connection.me(token).await,
            Some(token) => connection.logout(token).await,
        };
        let Ok(Answer { status, .. }) = &answer else {
            measured.broken += 1;
            break;
        };
        measured.note(*status, begin.elapsed());
        match (*status, token) {
            (StatusCode::OK, None) => (token, asked) = (answer.ok().and_then(|answer| answer.token()), 0),
            (StatusCode::NO_CONTENT, Some(_)) => token = None,
            _ => asked += 1,
        }
    }
    Ok(measured)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_answer_counts_as_long_as_it_took() {
        let mut measured = Measured::new().unwrap();
        for micros in [40, 50, 60, 5_000_000] {
            measured.note(StatusCode::OK, Duration::from_micros(micros));
        }
        assert_eq!(measured.answers, BTreeMap::from([(200, 4)]));
        let is_near = |nanos: u64, wanted: u64| nanos.abs_diff(wanted) <= wanted / 1000;
        assert!(is_near(measured.nanos.value_at_quantile(0.5), 50_000), "{:?}", measured.nanos);
        assert!(is_near(measured.nanos.max(), 5_000_000_000), "{:?}", measured.nanos);
    }
}
