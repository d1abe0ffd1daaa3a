//! The server, killed: whatever was answered is there when it comes back.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use example_session::{Rate, Root, Store, Token};
use hyper::StatusCode;
use vista::Segment;

use crate::support::{Server, dir, run};

/// One token comes back in an hour: none during the test.
const OPTIONS: [&str; 4] = ["--interval", "1h", "--burst", "5000"];

#[test]
fn some_hundred_sessions_and_an_empty_bucket_outlive_a_kill() {
    const SESSIONS: usize = 300;
    let dir = dir();
    let file = dir.path().join("sessions");
    let options = ["--interval", "1h", "--burst", "301"];
    run(async {
        let server = Server::start(&file, &options);
        let mut connection = server.connect(2).await;
        let mut tokens = Vec::new();
        for n in 0..SESSIONS {
            let answer = connection.login(&format!("user-{n}")).await.unwrap();
            tokens.push(answer.token().unwrap());
        }
        // 300 of 301 are taken.
        assert_eq!(connection.me(tokens[0]).await.unwrap().status, StatusCode::OK);
        let refused = connection.me(tokens[0]).await.unwrap();
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        server.kill();

        let server = Server::start(&file, &options);
        let again = server.connect(2).await.me(tokens[0]).await.unwrap();
        assert_eq!(again.status, StatusCode::TOO_MANY_REQUESTS, "the limit is still warm");
        assert!(again.headers.contains_key("retry-after"));
        let mut other = server.connect(3).await;
        for (n, &token) in tokens.iter().enumerate() {
            let me = other.me(token).await.unwrap().me();
            assert_eq!(me.map(|me| me.user), Some(format!("user-{n}")));
        }
    });
}

#[test]
fn a_server_waits_for_the_one_before_it_to_go() {
    let dir = dir();
    let file = dir.path().join("sessions");
    let rate = Rate { interval: 1, burst: 1 };
    let owner = Store::open(&file, 1 << 30, rate, 1, 1).unwrap();
    let going = thread::spawn(move || {
        thread::sleep(Duration::from_millis(200));
        drop(owner);
    });
    run(async {
        let server = Server::start(&file, &OPTIONS);
        let stats = server.connect(2).await.stats().await.unwrap();
        assert_eq!(stats.status, StatusCode::OK);
    });
    going.join().unwrap();
}

/// What was answered before the kill, and how often nobody saw an answer.
#[derive(Default)]
struct Seen {
    users: BTreeMap<Token, String>,
    ended: Vec<Token>,
    /// Requests that no answer came to: logins of whose sessions nobody knows, and logouts that may not have been.
    unanswered: u64,
}

#[test]
fn whatever_was_answered_outlives_kills_at_any_time() {
    let dir = dir();
    let file = dir.path().join("sessions");
    let mut random = fastrand::Rng::with_seed(9);
    let mut seen = Seen::default();
    for round in 0..15 {
        run(async {
            let server = Server::start(&file, &OPTIONS);
            check(&server, &mut seen).await;
            work(server, &mut seen, &mut random, round).await;
        });
    }
    let sound = Segment::<Root>::open(&file).unwrap().check_content().unwrap();
    assert_eq!(sound, []);
}

/// Logs in and out until the server is gone.
async fn work(server: Server, seen: &mut Seen, random: &mut fastrand::Rng, round: u8) {
    let mut connection = server.connect(100 + round).await;
    let delay = Duration::from_micros(random.u64(1_000..60_000));
    let killer = thread::spawn(move || {
        thread::sleep(delay);
        server.kill();
    });
    for n in 0.. {
        let leaver = seen.users.keys().next().copied().filter(|_| random.u8(0..3) == 0);
        if let Some(token) = leaver {
            seen.users.remove(&token);
            let Ok(answer) = connection.logout(token).await else { break };
            assert_eq!(answer.status, StatusCode::NO_CONTENT);
            seen.ended.push(token);
        } else {
            let user = format!("user-{round}-{n}");
            let Ok(answer) = connection.login(&user).await else { break };
            assert_eq!(answer.status, StatusCode::OK);
            seen.users.insert(answer.token().unwrap(), user);
        }
    }
    seen.unanswered += 1;
    killer.join().unwrap();
}

/// All that was answered is still so.
async fn check(server: &Server, seen: &mut Seen) {
    let mut connection = server.connect(99).await;
    // Of many sessions a part, so that a round stays short: the newest, which the kill was close to, and some others.
    let held: Vec<(&Token, &String)> = seen.users.iter().collect();
    for (token, user) in held.iter().rev().take(30).chain(held.iter().take(30)) {
        let me = connection.me(**token).await.unwrap().me();
        assert_eq!(me.map(|me| me.user).as_ref(), Some(*user));
    }
    for token in seen.ended.iter().rev().take(30) {
        assert_eq!(connection.me(*token).await.unwrap().status, StatusCode::UNAUTHORIZED);
    }
    let stats = connection.stats().await.unwrap();
    let stats: BTreeMap<String, u64> = serde_json::from_slice(&stats.body).unwrap();
    let count = seen.users.len() as u64;
    assert!((count..=count + seen.unanswered).contains(&stats["sessions"]), "{count} of {stats:?}");
}
