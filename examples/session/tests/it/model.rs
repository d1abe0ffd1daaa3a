//! The store against plain maps, over random histories.

use std::collections::BTreeMap;

use example_session::{Admission, Client, Micros, Rate, Root, Store, Token};
use proptest::prelude::*;
use vista::SegmentOptions;
use vista::rio::{Medium, RegionOptions};

pub(crate) const RATE: Rate = Rate { interval: 10, burst: 3 };
pub(crate) const LIFETIME: Micros = 100;

pub(crate) fn token(number: u8) -> Token {
    Token::from_bytes([number; 16])
}

pub(crate) fn client(number: u8) -> Client {
    std::net::IpAddr::from([127, 0, 0, number]).into()
}

/// The sessions: token, user and end.
pub(crate) type Sessions = BTreeMap<Token, (String, Micros)>;

/// What a store holds that somebody may notice.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Model {
    pub(crate) sessions: Sessions,
    /// Never forgets a bucket. What the store forgets is full, so that nobody can tell.
    pub(crate) full_at: BTreeMap<Client, Micros>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    Login(u8),
    Logout(u8),
    Renew(u8),
    Ask(u8),
    Admit(u8),
    Sweep(usize),
    Turn,
}

impl Model {
    /// Does the same as the operation, and says what it returns.
    pub(crate) fn apply(&mut self, operation: Operation, now: Micros) -> String {
        match operation {
            Operation::Login(n) => {
                self.sessions.insert(token(n), (user(n), now + LIFETIME));
                "()".into()
            }
            Operation::Logout(n) => format!("{:?}", self.sessions.remove(&token(n)).is_some()),
            Operation::Renew(n) => {
                let found = self.sessions.get_mut(&token(n)).filter(|session| now < session.1);
                format!("{:?}", found.map(|session| session.1 = now + LIFETIME).is_some())
            }
            Operation::Ask(n) => {
                let found = self.sessions.get(&token(n)).filter(|session| now < session.1);
                format!("{:?}", found.map(|session| session.0.clone()))
            }
            Operation::Admit(n) => {
                // A bucket as it is told: so many tokens, of which one came back each interval.
                let full_at = self.full_at.entry(client(n)).or_default();
                let empty = RATE.interval * Micros::from(RATE.burst);
                let lacks = full_at.saturating_sub(now);
                let admission = if lacks + RATE.interval <= empty {
                    *full_at = now + lacks + RATE.interval;
                    Admission::Yes
                } else {
                    Admission::NotBefore(lacks + RATE.interval - empty)
                };
                format!("{admission:?}")
            }
            Operation::Sweep(at_most) => {
                let mut ended: Vec<_> =
                    self.sessions.iter().map(|(&token, session)| (session.1, token)).collect();
                ended.sort();
                let ended = ended.into_iter().take_while(|&(end, _)| end <= now).take(at_most);
                let count = ended.map(|(_, token)| self.sessions.remove(&token)).count();
                format!("{count:?}")
            }
            Operation::Turn => "turned".into(),
        }
    }
}

pub(crate) fn user(number: u8) -> String {
    format!("user {number}")
}

pub(crate) fn apply<M: Medium>(
    store: &mut Store<M>,
    operation: Operation,
    now: Micros,
) -> vista::Result<String> {
    Ok(match operation {
        Operation::Login(n) => format!("{:?}", store.login(token(n), &user(n), now)?),
        Operation::Logout(n) => format!("{:?}", store.logout(token(n))?),
        Operation::Renew(n) => format!("{:?}", store.renew(token(n), now)?),
        Operation::Ask(n) => format!("{:?}", store.session(token(n), now)?.map(|(user, _)| user.to_owned())),
        Operation::Admit(n) => format!("{:?}", store.admit(client(n), now)?),
        Operation::Sweep(at_most) => format!("{:?}", store.sweep(now, at_most)?),
        Operation::Turn => store.turn(now).map(|_| "turned".into())?,
    })
}

pub(crate) fn sessions<M: Medium>(store: &Store<M>) -> Sessions {
    let sessions = store.sessions().unwrap().into_iter();
    sessions.map(|(token, user, session)| (token, (user, session.ends_at))).collect()
}

fn operations() -> impl Strategy<Value = Vec<(Operation, Micros)>> {
    let operation = prop_oneof![
        3 => (0..8u8).prop_map(Operation::Login),
        1 => (0..8u8).prop_map(Operation::Logout),
        1 => (0..8u8).prop_map(Operation::Renew),
        1 => (0..8u8).prop_map(Operation::Ask),
        6 => (0..5u8).prop_map(Operation::Admit),
        1 => (0..3usize).prop_map(Operation::Sweep),
        1 => Just(Operation::Turn),
    ];
    prop::collection::vec((operation, 0..20u64), 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn the_store_does_what_plain_maps_do(operations in operations()) {
        let region = RegionOptions::new().size(1 << 20).anonymous().unwrap();
        let mut store = Store::create_on(region, RATE, LIFETIME, 1).unwrap();
        let (mut model, mut now) = (Model::default(), 1000);
        for (operation, pause) in operations {
            now += pause;
            prop_assert_eq!(apply(&mut store, operation, now).unwrap(), model.apply(operation, now), "{:?}", operation);
        }
        prop_assert_eq!(sessions(&store), model.sessions);
        prop_assert_eq!(store.check().unwrap(), Vec::<String>::new());
    }
}

#[test]
fn a_full_file_refuses_logins_and_goes_on_with_all_else() {
    let region = RegionOptions::new().size(256 << 10).max_len(256 << 10).anonymous().unwrap();
    let mut store = Store::create_on(region, RATE, LIFETIME, 1).unwrap();
    let mut count = 0u64;
    let name = "x".repeat(200);
    let refused = loop {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&count.to_le_bytes());
        match store.login(Token::from_bytes(bytes), &name, 0) {
            Ok(()) => count += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, vista::Error::NoSpace { .. }), "{refused}");
    assert_eq!(store.stats().unwrap().sessions as u64, count);
    assert_eq!(store.check().unwrap(), Vec::<String>::new());

    // The log is a page here, and a full file has no room for it to go on in: more are asked for than it holds.
    while store.sweep(LIFETIME, 256).unwrap() == 256 {}
    assert_eq!(store.stats().unwrap().sessions, 0);
    store.login(token(1), "ada", 0).unwrap();
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

#[test]
fn rate_and_sessions_are_there_when_the_file_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sessions");
    let mut store = Store::open(&path, 1 << 30, RATE, LIFETIME, 1).unwrap();
    store.login(token(1), "ada", 0).unwrap();
    while store.admit(client(1), 0).unwrap() == Admission::Yes {}
    drop(store); // As a crash would.

    let mut store = Store::open(&path, 1 << 30, RATE, LIFETIME, 2).unwrap();
    assert_eq!(store.session(token(1), 99).unwrap().map(|(user, _)| user), Some("ada"));
    assert!(store.session(token(1), 100).unwrap().is_none());
    assert_eq!(store.admit(client(1), 5).unwrap(), Admission::NotBefore(5));
    store.close().unwrap();
    // The type of the root is written in the file: another program is refused.
    assert!(SegmentOptions::new().open::<u64>(&path).is_err());
    assert!(SegmentOptions::new().open::<Root>(&path).is_ok());
}
