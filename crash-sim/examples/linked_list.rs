//! A linked list, and two mistakes: to link a node before there is anything in it, and to link one that is only in the
//! cache.
//!
//! A node is written where nobody looks, made durable, and then one store of eight bytes, to the head, puts it in the
//! list. That store happens or it does not, so the list needs no log and no recovery. All of this rests on the order of the
//! two steps: the first mistake swaps them, and any crash shows it. The second leaves out the flush between them, and
//! only a power cut shows that: the caches write back what they like, when they like.
//!
//! `cargo run -p crash-sim --example linked_list` prints the report of each.

use crash_sim::{Campaign, Model, Sim};

/// Right, or with a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Right,
    /// The node is linked, and then initialised.
    LinkedFirst,
    /// The node is initialised, but not flushed, and then linked.
    NodeNotFlushed,
}

/// The first node's offset; 0 if there is none.
const HEAD: u64 = 0;
/// A node: its value, and behind it the offset of the next one.
const NODE_LEN: u64 = 64;
const NEXT: u64 = 8;

/// The list, on the memory that a campaign gives.
pub(crate) struct List {
    sim: Sim,
    version: Version,
    /// Where the next node goes: behind all that are linked. Nodes are never freed.
    free: u64,
}

impl List {
    fn open(sim: Sim, version: Version) -> Self {
        let mut list = List { sim, version, free: NODE_LEN };
        list.free += NODE_LEN * list.values().len() as u64;
        list
    }

    /// The operation: the value is the first of the list when it returns.
    fn push(&mut self, value: u64) {
        let (node, next) = (self.free, self.sim.load(HEAD));
        match self.version {
            Version::Right => {
                self.initialise(node, value, next);
                self.sim.persist(node, 16); // Orders: the node, then the link to it.
                self.link(node);
            }
            Version::LinkedFirst => {
                self.link(node);
                self.initialise(node, value, next);
                self.sim.persist(node, 16);
            }
            Version::NodeNotFlushed => {
                self.initialise(node, value, next);
                self.link(node);
            }
        }
        self.free += NODE_LEN;
    }

    fn initialise(&mut self, node: u64, value: u64, next: u64) {
        self.sim.store(node, value);
        self.sim.store(node + NEXT, next);
    }

    fn link(&mut self, node: u64) {
        self.sim.store(HEAD, node);
        self.sim.persist(HEAD, 8); // Orders: the link, then whatever follows on its acknowledgement.
    }

    /// From the first on.
    fn values(&self) -> Vec<u64> {
        let mut values = Vec::new();
        let mut node = self.sim.load(HEAD);
        while node != 0 {
            values.push(self.sim.load(node));
            node = self.sim.load(node + NEXT);
        }
        values
    }
}

/// Every crash while three values are pushed.
pub(crate) fn campaign(version: Version) -> Campaign<List> {
    Campaign::new(format!("linked-list-{version:?}"), 4096)
        .create(move |sim| Ok::<_, String>(List::open(sim, version)))
        .open(move |sim| Ok::<_, String>(List::open(sim, version)))
        .operations(3, |list, n| {
            list.push(n as u64 + 10);
            Ok::<_, String>(())
        })
        .model(Vec::new(), |values, n| values.insert(0, n as u64 + 10), |list| list.values())
}

fn main() {
    println!("{}\n", campaign(Version::Right).explore(Model::Adr));
    println!("{}\n", campaign(Version::LinkedFirst).explore(Model::Coherent));
    println!("{}", campaign(Version::NodeNotFlushed).explore(Model::Adr));
}
