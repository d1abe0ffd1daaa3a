//! Sessions and buckets in a segment. Each method that changes anything is one transaction: when it returns, the change
//! outlives the process, and a process that dies before leaves nothing of it.

use std::path::Path;
use std::time::Duration;

use vista::rio::{Medium, Region};
use vista::{
    Depth, PBTreeMap, PHashMap, PString, Persistent, Segment, Transaction, Violation, Writer, field,
};

use crate::{Admission, Client, Micros, Rate, Token};

/// A new segment has this length, and grows from it.
const LEN_AT_FIRST: u64 = 4 << 20;

/// How long to wait for the owner before this one: a process that was killed has the file until the kernel has taken it apart.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// The root of the segment.
#[derive(Clone, Copy, Persistent)]
#[repr(C)]
pub struct Root {
    sessions: PHashMap<Token, Session>,
    /// The same sessions by the moment at which they end, so that a sweep looks at those alone that have ended.
    endings: PBTreeMap<Ending, ()>,
    /// The buckets of clients that asked since the last turn.
    young: PHashMap<Client, Micros>,
    /// The buckets of clients that asked before it. At the turn after that they are full, and can go all at once.
    old: PHashMap<Client, Micros>,
    /// When that last turn was.
    turned_at: Micros,
    /// Of the maps of buckets: clients choose their addresses, and must not choose where these lie.
    seed: u64,
}

/// Somebody who is logged in.
#[derive(Clone, Copy, Debug, Persistent)]
#[repr(C)]
pub struct Session {
    user: PString,
    /// When it began.
    pub began_at: Micros,
    /// When it ends, if nobody asks for it.
    pub ends_at: Micros,
}

#[derive(Clone, Copy, Persistent, PartialEq, Eq, PartialOrd, Ord)]
#[repr(C)]
struct Ending {
    at: Micros,
    token: Token,
}

/// What a [`Store`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Sessions, those included that have ended and were not swept up yet.
    pub sessions: usize,
    /// Buckets that are not known to be full.
    pub buckets: usize,
    /// Length of the segment in bytes.
    pub segment_bytes: u64,
}

/// Sessions by token, and a bucket for each client, in a segment.
#[derive(Debug)]
pub struct Store<M: Medium = Region> {
    segment: Segment<Root, M>,
    rate: Rate,
    lifetime: Micros,
}

impl Store {
    /// Opens the store of this name, or makes it. It grows up to `max_bytes`; then who is new, a
    /// session or a client, is refused with [`NoSpace`](vista::Error::NoSpace), and who is in goes on.
    ///
    /// Rate and lifetime are not kept: they are those of whoever opens it. `seed` is that of a new store's maps; have it
    /// from a source that clients do not know.
    ///
    /// # Errors
    /// As [`vista::SegmentOptions::open_or_create`], such as another process that has it open for five seconds
    /// more.
    pub fn open(path: &Path, max_bytes: u64, rate: Rate, lifetime: Micros, seed: u64) -> vista::Result<Self> {
        let max_bytes = max_bytes.max(LEN_AT_FIRST);
        let segment = Segment::<Root>::options()
            .size(LEN_AT_FIRST)
            .max_len(max_bytes)
            .lock_wait(LOCK_WAIT)
            .open_or_create_with(path, |tx| make(tx, seed))?;
        Ok(Store { segment, rate, lifetime })
    }

    /// Closes the file, so that it is as durable as any other.
    ///
    /// # Errors
    /// The system's error.
    pub fn close(self) -> vista::Result<()> {
        self.segment.close()
    }
}

impl<M: Medium> Store<M> {
    /// Makes a store on a medium of any kind: for crash tests. `seed` is that of its maps.
    ///
    /// # Errors
    /// As [`Segment::create_on`].
    pub fn create_on(medium: M, rate: Rate, lifetime: Micros, seed: u64) -> vista::Result<Self> {
        let mut segment = Segment::create_on(medium, 4096)?;
        segment.transaction(|tx| make(tx, seed))?;
        Ok(Store { segment, rate, lifetime })
    }

    /// Opens the store on a medium of any kind.
    ///
    /// # Errors
    /// As [`Segment::open_on`].
    pub fn open_on(medium: M, rate: Rate, lifetime: Micros) -> vista::Result<Self> {
        Ok(Store { segment: Segment::open_on(medium)?, rate, lifetime })
    }

    /// Begins a session of a user.
    ///
    /// # Errors
    /// [`vista::Error::NoSpace`] if the segment may not grow any more: nothing has changed then.
    pub fn login(&mut self, token: Token, user: &str, now: Micros) -> vista::Result<()> {
        let ends_at = now.saturating_add(self.lifetime);
        self.segment.transaction(|tx| {
            let root = *tx.root();
            let user = PString::new(tx, user)?;
            let before = root.sessions.insert(tx, token, Session { user, began_at: now, ends_at })?;
            if let Some(before) = before {
                // The token of another session, which nobody has ever met: 128 random bits.
                root.endings.remove(tx, Ending { at: before.ends_at, token })?;
                tx.release(before)?;
            }
            root.endings.insert(tx, Ending { at: ends_at, token }, ())?;
            Ok(())
        })
    }

    /// The session of a token, and who it is: nothing, if it ended. Only reads, so that any number of threads can ask at
    /// the same time.
    ///
    /// # Errors
    /// [`vista::Error::Damaged`] if the file is.
    pub fn session(&self, token: Token, now: Micros) -> vista::Result<Option<(&str, &Session)>> {
        let session = self.segment.root()?.sessions.get(&self.segment, token)?;
        match session.filter(|session| now < session.ends_at) {
            Some(session) => Ok(Some((session.user.as_str(&self.segment)?, session))),
            None => Ok(None),
        }
    }

    /// Whether less than half of a session's lifetime is left, so that it is time to [renew](Store::renew) it. Doing that at
    /// each request would make every reader a writer.
    pub fn is_waning(&self, session: &Session, now: Micros) -> bool {
        session.ends_at.saturating_sub(now) < self.lifetime / 2
    }

    /// Gives a session its full lifetime again. False if there is none.
    ///
    /// # Errors
    /// As [`login`](Store::login).
    pub fn renew(&mut self, token: Token, now: Micros) -> vista::Result<bool> {
        let ends_at = now.saturating_add(self.lifetime);
        self.segment.transaction(|tx| {
            let root = *tx.root();
            let Some(place) = root.sessions.place(tx, token)? else { return Ok(false) };
            let before = *tx.get(place)?;
            if before.ends_at <= now {
                return Ok(false);
            }
            tx.write(field!(place, Session, ends_at), ends_at)?;
            root.endings.remove(tx, Ending { at: before.ends_at, token })?;
            root.endings.insert(tx, Ending { at: ends_at, token }, ())?;
            Ok(true)
        })
    }

    /// Ends a session. False if there is none.
    ///
    /// # Errors
    /// As [`session`](Store::session), and [`vista::Error::NoSpace`] if the log has no room.
    pub fn logout(&mut self, token: Token) -> vista::Result<bool> {
        self.segment.transaction(|tx| {
            let root = *tx.root();
            end(tx, &root, token)
        })
    }

    /// Takes a token from a client's bucket.
    ///
    /// # Errors
    /// As [`login`](Store::login).
    pub fn admit(&mut self, client: Client, now: Micros) -> vista::Result<Admission> {
        let rate = self.rate;
        self.segment.transaction(|tx| {
            let root = *tx.root();
            if let Some(place) = root.young.place(tx, client)? {
                return match rate.take(*tx.get(place)?, now) {
                    Ok(full_at) => tx.write(place, full_at).map(|()| Admission::Yes),
                    Err(wait) => Ok(Admission::NotBefore(wait)),
                };
            }
            // A client that was not seen since the last turn. It comes to the young also when it has to wait.
            let full_at = root.old.remove(tx, client)?.unwrap_or(0);
            let taken = rate.take(full_at, now);
            root.young.insert(tx, client, taken.unwrap_or(full_at))?;
            Ok(taken.map_or_else(Admission::NotBefore, |_| Admission::Yes))
        })
    }

    /// Removes up to `at_most` sessions that have ended, and gives their number: once it is less, there are no more of them.
    /// It is one transaction, so `at_most` bounds how long others wait for it, and how long its log gets. Where a full file has
    /// no room for such a log, it is several, each of fewer: else some of what has ended could not be removed.
    ///
    /// # Errors
    /// As [`logout`](Store::logout). What was removed before stays so.
    pub fn sweep(&mut self, now: Micros, at_most: usize) -> vista::Result<usize> {
        let (mut count, mut at_once) = (0, at_most);
        while count < at_most {
            let wanted = at_once.min(at_most - count);
            match self.sweep_at_once(now, wanted) {
                Ok(swept) if swept < wanted => return Ok(count + swept),
                Ok(swept) => count += swept,
                Err(vista::Error::NoSpace { .. }) if wanted > 1 => at_once = wanted / 2,
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }

    fn sweep_at_once(&mut self, now: Micros, at_most: usize) -> vista::Result<usize> {
        self.segment.transaction(|tx| {
            let root = *tx.root();
            for count in 0..at_most {
                let first = root.endings.first_key_value(tx)?.map(|(ending, ())| *ending);
                match first {
                    Some(ending) if ending.at <= now => end(tx, &root, ending.token)?,
                    _ => return Ok(count),
                };
            }
            Ok(at_most)
        })
    }

    /// Forgets the buckets that nobody has used for the time in which an empty one is filled: they are full, and so is one
    /// that was never made. That is known of all of them together, and none is looked at. False if it is not time yet.
    ///
    /// # Errors
    /// As [`login`](Store::login).
    pub fn turn(&mut self, now: Micros) -> vista::Result<bool> {
        let fill_time = self.rate.fill_time();
        self.segment.transaction(|tx| {
            let root = *tx.root();
            // `abs_diff`: a clock that was set back by more than this must not put off the turn for as long.
            if now.abs_diff(root.turned_at) < fill_time {
                return Ok(false);
            }
            tx.release(root.old)?;
            let young = PHashMap::with_seed(tx, root.seed)?;
            tx.write(tx.root_ptr(), Root { young, old: root.young, turned_at: now, ..root })?;
            Ok(true)
        })
    }

    /// What there is.
    ///
    /// # Errors
    /// As [`session`](Store::session).
    pub fn stats(&self) -> vista::Result<Stats> {
        let (on, root) = (&self.segment, self.segment.root()?);
        Ok(Stats {
            sessions: root.sessions.len(on)?,
            buckets: root.young.len(on)? + root.old.len(on)?,
            segment_bytes: on.stats()?.len,
        })
    }

    /// All sessions, those included that have ended: token, user, and the session. In no order.
    ///
    /// # Errors
    /// As [`session`](Store::session).
    pub fn sessions(&self) -> vista::Result<Vec<(Token, String, Session)>> {
        let on = &self.segment;
        let mut sessions = Vec::new();
        for (token, session) in self.segment.root()?.sessions.iter(on)? {
            sessions.push((*token, session.user.as_str(on)?.to_owned(), *session));
        }
        Ok(sessions)
    }

    /// When the bucket of a client is full, if it was kept.
    ///
    /// # Errors
    /// As [`session`](Store::session).
    pub fn full_at(&self, client: Client) -> vista::Result<Option<Micros>> {
        let (on, root) = (&self.segment, self.segment.root()?);
        let young = root.young.get(on, client)?;
        Ok(if young.is_some() { young } else { root.old.get(on, client)? }.copied())
    }

    /// What is not sound: in the heap, in the collections, and between them. Each session has its ending, and the other way
    /// round.
    ///
    /// # Errors
    /// As [`session`](Store::session).
    pub fn check(&self) -> vista::Result<Vec<String>> {
        let (on, root) = (&self.segment, self.segment.root()?);
        let mut found: Vec<String> = on.check_content()?.iter().map(Violation::to_string).collect();
        let mut ending_count = 0;
        for ending in root.endings.iter(on)? {
            let (ending, ()) = ending?;
            ending_count += 1;
            match root.sessions.get(on, ending.token)? {
                Some(session) if session.ends_at == ending.at => {}
                other => found.push(format!("an ending at {} of {other:?}", ending.at)),
            }
        }
        let session_count = root.sessions.len(on)?;
        if ending_count != session_count {
            found.push(format!("{session_count} sessions and {ending_count} endings"));
        }
        Ok(found)
    }
}

/// Makes the maps of a new store.
fn make<M: Medium>(tx: &mut Transaction<'_, Root, M>, seed: u64) -> vista::Result<()> {
    let root = Root {
        sessions: PHashMap::new(tx)?,
        endings: PBTreeMap::new(tx)?,
        young: PHashMap::with_seed(tx, seed)?,
        old: PHashMap::with_seed(tx, seed)?,
        turned_at: 0,
        seed,
    };
    tx.write(tx.root_ptr(), root)
}

/// Removes a session with all that belongs to it. False if there is none.
fn end(tx: &mut impl Writer, root: &Root, token: Token) -> vista::Result<bool> {
    let Some(session) = root.sessions.remove(tx, token)? else { return Ok(false) };
    root.endings.remove(tx, Ending { at: session.ends_at, token })?;
    session.release(tx, Depth::default())?;
    Ok(true)
}
