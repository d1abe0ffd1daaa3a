//! Who takes part: the engines behind the seam by name, with what they survive and how they were configured.
//!
//! Peers are there if their feature was chosen: `peers` for redb, fjall, LMDB and SQLite, `pmdk` for libpmemobj. Start at
//! [`visit`].

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use vista::{PBTreeMap, PHashMap};
use workloads::Transfer;
use workloads::order_entry::{Scale, Transaction};
use workloads::ycsb::{Record, Request};

use crate::array::OneRange;
use crate::bank::DebitCredit;
use crate::bare::{Nothing, Ordered, Undo};
use crate::engine::{Entry, Level};
use crate::files::{Files, Setting};
use crate::mapped::MapKind;
use crate::memory::{BareKind, VistaKind};
use crate::one_range::Fill;
use crate::order_entry::OrderEntry;
use crate::plain::Plain;
use crate::records::{Both, On, OnMedium, Size, Store, Workload};
use crate::workload::{Durable, Places};
use crate::ycsb::Ycsb;

/// An engine that others have made.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// What tables call it.
    pub name: &'static str,
    /// What its transactions survive.
    pub level: Level,
    /// What was chosen for that.
    pub configuration: &'static str,
    /// What it stands beside.
    pub home: Home,
    /// What its process has to have in its environment.
    pub variables: &'static [(&'static str, &'static str)],
}

/// Where an engine's files lie, and with whom it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// In memory: among those that survive the process by the page cache.
    Memory,
    /// On the disk that its commits wait for.
    Disk,
    /// In memory: among those that write back and fence as ADR has it.
    Adr,
}

/// Is shown the peers, each with its own type.
pub trait Visitor {
    /// A peer; `open` opens it at a path, or creates it there with these tables.
    fn visit<S: Store + 'static>(&mut self, peer: Peer, open: fn(&Path, &[Size]) -> S);
}

/// Shows lrvm, and all peers that were compiled in, at each of their levels.
pub fn visit(visitor: &mut impl Visitor) {
    visit_anywhere(visitor);
    #[cfg(feature = "pmdk")]
    crate::pmdk::visit(visitor);
}

/// The same, also those peers whose environment this process does not have.
pub fn visit_everywhere(visitor: &mut impl Visitor) {
    visit_anywhere(visitor);
    #[cfg(feature = "pmdk")]
    crate::pmdk::visit_all(visitor);
}

/// Those whose environment does not matter.
fn visit_anywhere(visitor: &mut impl Visitor) {
    crate::redo::visit(visitor);
    #[cfg(feature = "peers")]
    {
        crate::redb::visit(visitor);
        crate::fjall::visit(visitor);
        crate::lmdb::visit(visitor);
        crate::sqlite::visit(visitor);
    }
}

/// Shows peers at levels at which they lose what they have acknowledged, for a check to catch.
pub fn visit_weak(visitor: &mut impl Visitor) {
    let _ = &visitor;
    #[cfg(feature = "peers")]
    {
        crate::redb::visit_weak(visitor);
        crate::fjall::visit_weak(visitor);
    }
}

/// Collects entries for a workload.
struct Entries<'a, W: Workload> {
    places: &'a Places,
    durable: Durable,
    inputs: &'a Arc<[W::Input]>,
    workload: W,
    entries: Vec<Entry>,
}

/// Fewest transactions of a peer that are timed together: SQLite writes its log back every few hundred.
const LEAST: usize = 500;

impl<W: Workload> Visitor for Entries<'_, W> {
    fn visit<S: Store + 'static>(&mut self, peer: Peer, open: fn(&Path, &[Size]) -> S) {
        let files = match (peer.home, self.durable) {
            (Home::Memory, Durable::PageCache) | (Home::Adr, Durable::Adr) => self.places.memory.clone(),
            (Home::Disk, Durable::PageCache) => self.places.disk.clone(),
            _ => return,
        };
        let workload = self.workload.clone();
        let make = move || {
            let path = files.path();
            let store = open(&path, &workload.sizes());
            On::new(workload.clone(), store).removing(path)
        };
        let entry = Entry::elsewhere(peer.name, peer.level, self.inputs, make);
        self.entries.push(entry.configured(peer.configuration).with_least(LEAST));
    }
}

fn peers<W: Workload>(
    places: &Places,
    durable: Durable,
    inputs: &Arc<[W::Input]>,
    workload: W,
) -> Vec<Entry> {
    let mut entries = Entries { places, durable, inputs, workload, entries: Vec::new() };
    visit(&mut entries);
    entries.entries
}

/// The peers on debit-credit.
pub fn debit_credit(
    places: &Places,
    durable: Durable,
    inputs: &Arc<[Transfer]>,
    scale: workloads::Scale,
) -> Vec<Entry> {
    peers(places, durable, inputs, DebitCredit::new(scale))
}

/// The peers on one range of `N` integers, in pieces of [`piece_len`](crate::array::piece_len).
///
/// # Panics
/// If there are no such pieces.
pub fn one_range<const N: usize>(
    places: &Places,
    durable: Durable,
    inputs: &Arc<[Fill]>,
    array_len: usize,
) -> Vec<Entry> {
    // The length of a piece depends on the range's, and the language does not compute with constants of functions.
    match crate::array::piece_len(N) {
        64 => peers(places, durable, inputs, OneRange::<N, 64>::new(array_len)),
        512 => peers(places, durable, inputs, OneRange::<N, 512>::new(array_len)),
        1024 => peers(places, durable, inputs, OneRange::<N, 1024>::new(array_len)),
        other => panic!("no pieces of {other} bytes"),
    }
}

/// Everybody on order-entry.
pub fn order_entry(
    places: &Places,
    durable: Durable,
    inputs: &Arc<[Transaction]>,
    scale: Scale,
) -> Vec<Entry> {
    let workload = OrderEntry::new(scale);
    let mut entries = ours(places, durable, inputs, workload);
    entries.extend(peers(places, durable, inputs, workload));
    entries
}

/// Everybody on YCSB, std's maps among the bounds; vista as for the others, with records under their numbers, and with
/// its maps.
pub fn ycsb(places: &Places, durable: Durable, inputs: &Arc<[Request]>, record_count: u32) -> Vec<Entry> {
    const LEN: usize = size_of::<Record>();
    let workload = Ycsb::new(record_count);
    let count = u64::from(record_count);
    let mut entries = ours(places, durable, inputs, workload);
    let hash = move || On::new(workload, Plain::<HashMap<u64, [u8; LEN]>, LEN>::new(count));
    let tree = move || On::new(workload, Plain::<BTreeMap<u64, [u8; LEN]>, LEN>::new(count));
    entries.insert(1, Entry::elsewhere("std HashMap", Level::Nothing, inputs, hash));
    entries.insert(2, Entry::elsewhere("std BTreeMap", Level::Nothing, inputs, tree));
    let (files, forced) = (&places.memory, Setting::forced(durable.domain()));
    let kind = MapKind::<PHashMap<u64, [u8; LEN]>, LEN>::new();
    entries.push(entry("vista PHashMap", files, forced, inputs, kind, workload));
    let kind = MapKind::<PBTreeMap<u64, [u8; LEN]>, LEN>::new();
    entries.push(entry("vista PBTreeMap", files, forced, inputs, kind, workload));
    entries.extend(peers(places, durable, inputs, workload));
    entries
}

/// The bounds, and vista on tables.
fn ours<W: Workload + Copy>(
    places: &Places,
    durable: Durable,
    inputs: &Arc<[W::Input]>,
    workload: W,
) -> Vec<Entry> {
    let files = &places.memory;
    let (cached, forced) = (Setting::page_cache(), Setting::forced(durable.domain()));
    let stores = entry("bare stores", files, cached, inputs, BareKind::<Nothing>::new(), workload);
    match durable {
        Durable::PageCache => vec![
            stores,
            entry("bare undo log", files, cached, inputs, BareKind::<Undo>::new(), workload),
            entry("vista", files, cached, inputs, VistaKind::<false>, workload),
        ],
        Durable::Adr => vec![
            stores,
            entry("bare undo log", files, forced, inputs, BareKind::<Ordered>::new(), workload),
            entry("vista", files, forced, inputs, VistaKind::<true>, workload),
        ],
    }
}

/// What a process that races in this domain has to have in its environment, for peers that read it when they are loaded.
/// It is the same for all who run there, and means nothing to the others.
pub fn variables(durable: Durable) -> &'static [(&'static str, &'static str)] {
    #[cfg(feature = "pmdk")]
    return match durable {
        Durable::PageCache => crate::pmdk::Regime::Plain.variables(),
        Durable::Adr => crate::pmdk::Regime::WriteBack.variables(),
    };
    #[cfg(not(feature = "pmdk"))]
    match durable {
        Durable::PageCache | Durable::Adr => &[],
    }
}

fn entry<K: OnMedium, W: Workload>(
    name: &'static str,
    files: &Files,
    setting: Setting,
    inputs: &Arc<[W::Input]>,
    kind: K,
    workload: W,
) -> Entry {
    Entry::new(name, files, setting, inputs, Both { kind, workload })
}
