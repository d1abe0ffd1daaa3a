//! Who is on trial: std's collections, vista's, and peers, by name and with what they survive.
//!
//! Start at [`contenders`].

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::PathBuf;

use clap::ValueEnum;
use rio::Region;
use serde::{Deserialize, Serialize};
use vista::layout::LOG_OFFSET;
use vista::{PBTreeMap, PHashMap, PVec, PVecDeque};

use super::ours::{Handle, LOG_LEN, Ours, Sliced};
use super::subject::Subject;
use crate::counting::{Counters, Counting};
use crate::engine::Level;
use crate::files::{Files, Setting};
use crate::records::Place;

/// A kind of collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum Structure {
    /// A map without an order.
    Hash,
    /// A map in the order of its keys.
    Btree,
    /// A growable array.
    Vec,
    /// A queue.
    Deque,
}

/// Structures that are side by side: maps do the same, and peers are beside both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Family {
    /// Both maps.
    Maps,
    /// The array.
    Vec,
    /// The queue.
    Deque,
}

impl Structure {
    /// What tables call it.
    pub fn title(self) -> &'static str {
        match self {
            Structure::Hash => "hash map",
            Structure::Btree => "B-tree",
            Structure::Vec => "vector",
            Structure::Deque => "queue",
        }
    }

    /// Where it belongs.
    pub fn family(self) -> Family {
        match self {
            Structure::Hash | Structure::Btree => Family::Maps,
            Structure::Vec => Family::Vec,
            Structure::Deque => Family::Deque,
        }
    }
}

impl Family {
    /// All of them.
    pub const ALL: [Family; 3] = [Family::Maps, Family::Vec, Family::Deque];

    /// What tables call it.
    pub fn title(self) -> &'static str {
        match self {
            Family::Maps => "maps",
            Family::Vec => "vec",
            Family::Deque => "deque",
        }
    }

    /// Whether entries are looked up by position.
    pub fn is_sequence(self) -> bool {
        self != Family::Maps
    }
}

/// Whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// std's: the bound.
    Bound,
    /// Vista's.
    Ours,
    /// Somebody else's.
    Peer,
}

/// A collection that was made, with what it lies on.
pub struct Made {
    /// The collection.
    pub subject: Box<dyn Subject>,
    /// Goes after it.
    _place: Option<Place>,
}

impl Made {
    /// In memory, or in a file without a name.
    pub fn nowhere(subject: impl Subject + 'static) -> Self {
        Made { subject: Box::new(subject), _place: None }
    }

    /// In a file or directory, which is removed in the end.
    pub fn at(path: PathBuf, subject: impl Subject + 'static) -> Self {
        Made { subject: Box::new(subject), _place: Some(Place(path)) }
    }
}

/// How a collection is made.
type Make = Box<dyn Fn(&Files, u64) -> Made>;
/// How it is made on a medium that counts.
type MakeCounting = Box<dyn Fn(&Files) -> (Made, Counters)>;

/// A collection by name.
pub struct Contender {
    /// What tables call it.
    pub name: &'static str,
    /// Whose it is.
    pub role: Role,
    /// What it is.
    pub structure: Structure,
    /// What its transactions survive.
    pub level: Level,
    /// What was chosen for that; empty if there was no choice.
    pub configuration: &'static str,
    make: Make,
    make_counting: Option<MakeCounting>,
}

impl Contender {
    /// A collection of std's.
    pub fn bound<S: Subject + Default + 'static>(name: &'static str, structure: Structure) -> Self {
        let make = Box::new(|_: &Files, _| Made::nowhere(S::default()));
        let (role, level, configuration) = (Role::Bound, Level::Nothing, "");
        Contender { name, role, structure, level, configuration, make, make_counting: None }
    }

    /// One of vista's.
    pub fn ours<C: Handle<LEN>, const LEN: usize>(name: &'static str, structure: Structure) -> Self {
        Self::ours_by::<C, LEN, _>(name, structure, |ours| ours)
    }

    /// The same, asked in a way of its own.
    fn ours_by<C: Handle<LEN>, const LEN: usize, S: Subject + 'static>(
        name: &'static str,
        structure: Structure,
        by: fn(Ours<C, Region, LEN>) -> S,
    ) -> Self {
        let make = move |files: &Files, _| Made::nowhere(by(Ours::<C, Region, LEN>::new(region(files))));
        let make_counting = |files: &Files| {
            let (medium, counters) = Counting::new(region(files), LOG_OFFSET..LOG_OFFSET + LOG_LEN);
            (Made::nowhere(Ours::<C, Counting<Region>, LEN>::new(medium)), counters)
        };
        Contender {
            name,
            role: Role::Ours,
            structure,
            level: Level::ProcessCrash,
            configuration: "",
            make: Box::new(make),
            make_counting: Some(Box::new(make_counting)),
        }
    }

    /// A peer at the level of a process crash; `make` makes it for so many entries.
    pub fn peer(
        name: &'static str,
        structure: Structure,
        configuration: &'static str,
        make: impl Fn(&Files, u64) -> Made + 'static,
    ) -> Self {
        let (role, level) = (Role::Peer, Level::ProcessCrash);
        Contender { name, role, structure, level, configuration, make: Box::new(make), make_counting: None }
    }

    /// Makes it for so many entries, and some more.
    pub fn make(&self, files: &Files, entries: u64) -> Made {
        (self.make)(files, entries)
    }

    /// Makes it on a medium that counts, if it has a medium.
    pub fn make_counting(&self, files: &Files) -> Option<(Made, Counters)> {
        self.make_counting.as_ref().map(|make| make(files))
    }
}

/// A region as short as will do for a thousand entries; it grows.
fn region(files: &Files) -> Region {
    files.region(16 << 20, Setting::page_cache())
}

/// Everybody of a family, with values of `LEN` bytes.
pub fn contenders<const LEN: usize>(family: Family) -> Vec<Contender> {
    match family {
        Family::Maps => {
            let mut contenders = vec![
                Contender::bound::<HashMap<u64, [u8; LEN]>>("std HashMap", Structure::Hash),
                Contender::bound::<BTreeMap<u64, [u8; LEN]>>("std BTreeMap", Structure::Btree),
                Contender::ours::<PHashMap<u64, [u8; LEN]>, LEN>("vista PHashMap", Structure::Hash),
                Contender::ours::<PBTreeMap<u64, [u8; LEN]>, LEN>("vista PBTreeMap", Structure::Btree),
            ];
            contenders.extend(others::<LEN>());
            contenders
        }
        Family::Vec => vec![
            Contender::bound::<Vec<[u8; LEN]>>("std Vec", Structure::Vec),
            Contender::ours::<PVec<[u8; LEN]>, LEN>("vista PVec", Structure::Vec),
            Contender::ours_by::<PVec<[u8; LEN]>, LEN, _>("vista PVec as_slice", Structure::Vec, Sliced),
        ],
        Family::Deque => vec![
            Contender::bound::<VecDeque<[u8; LEN]>>("std VecDeque", Structure::Deque),
            Contender::ours::<PVecDeque<[u8; LEN]>, LEN>("vista PVecDeque", Structure::Deque),
        ],
    }
}

/// The peers that were compiled in.
fn others<const LEN: usize>() -> Vec<Contender> {
    let peers: Vec<Vec<Contender>> = Vec::from([
        #[cfg(feature = "peers")]
        super::peers::contenders::<LEN>(),
        #[cfg(pmdk_maps)]
        super::pmdk::contenders::<LEN>(),
    ]);
    peers.into_iter().flatten().collect()
}
