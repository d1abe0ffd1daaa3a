//! Workloads behind the seam end in the model's state on every engine, and do what they say with its ranges.

use std::sync::Arc;

use benches::array::{OneRange, piece_len};
use benches::bank::DebitCredit;
use benches::bare::{Nothing, Ordered, Undo};
use benches::contest::{self, Peer, Visitor};
use benches::engine::{Contender, Entry, Runner, digest};
use benches::files::{Files, Setting};
use benches::memory::{BareKind, VistaKind};
use benches::order_entry::{self, OrderEntry};
use benches::records::{Both, On, OnMedium, Size, Store, Workload};
use benches::workload::{Durable, Places};
use benches::ycsb::{self, Ycsb};
use benches::{debit_credit, one_range};
use rio::Domain;
use workloads::order_entry::Scale;
use workloads::ycsb::Mix;

use crate::{dir, files};

/// Runs a workload on every store there is, and compares with the model.
struct Check<'a, W: Workload> {
    files: &'a Files,
    workload: W,
    inputs: Arc<[W::Input]>,
    expected: u64,
    names: Vec<&'static str>,
}

impl<W: Workload> Check<'_, W> {
    fn run(&mut self, mut runner: Box<dyn Runner>) {
        let name = runner.name();
        assert_ne!(runner.digest(), self.expected, "{name}: the model's state from the beginning");
        runner.run(0..self.inputs.len());
        assert_eq!(runner.digest(), self.expected, "{name}");
        self.names.push(name);
    }

    fn kind<K: OnMedium>(&mut self, name: &'static str, setting: Setting, kind: K) {
        let recipe = Both { kind, workload: self.workload.clone() };
        self.run(Entry::new(name, self.files, setting, &self.inputs, recipe).make());
    }

    fn all(mut self) -> Vec<&'static str> {
        let (cached, adr) = (Setting::page_cache(), Setting::forced(Domain::Adr));
        self.kind("bare stores", cached, BareKind::<Nothing>::new());
        self.kind("bare undo log", cached, BareKind::<Undo>::new());
        self.kind("bare undo log, ADR", adr, BareKind::<Ordered>::new());
        self.kind("vista", cached, VistaKind::<false>);
        self.kind("vista write", cached, VistaKind::<true>);
        self.kind("vista, ADR", adr, VistaKind::<false>);
        self.kind("vista write, ADR", adr, VistaKind::<true>);
        contest::visit(&mut self);
        self.names
    }
}

impl<W: Workload> Visitor for Check<'_, W> {
    fn visit<S: Store + 'static>(&mut self, peer: Peer, open: fn(&std::path::Path, &[Size]) -> S) {
        let path = self.files.path();
        let on = On::new(self.workload.clone(), open(&path, &self.workload.sizes()));
        self.run(Box::new(Contender::new(peer.name, on, self.inputs.clone())));
    }
}

#[test]
fn debit_credit_is_the_models_on_every_store() {
    let (files, scale) = (files(), workloads::Scale::new(1).unwrap());
    let workload = DebitCredit::new(scale).cut(1000, 500);
    let inputs: Arc<[_]> = (0..700).map(|index| workload.transfer(7, index)).collect();
    let expected = workload.model(7, 700);
    let names = Check { files: &files, workload, inputs, expected, names: Vec::new() }.all();
    assert!(names.len() >= 7, "{names:?}");
}

#[test]
fn both_models_of_debit_credit_agree() {
    let scale = workloads::Scale::new(1).unwrap();
    let inputs = debit_credit::transfers(scale, 7, 1000);
    assert_eq!(DebitCredit::new(scale).model(7, 1000), debit_credit::model(scale, &inputs));
}

#[test]
fn one_range_is_the_models_on_every_store() {
    fn of_length<const N: usize, const PIECE: usize>() {
        assert_eq!(PIECE, piece_len(N));
        let (files, array_len) = (files(), 20_480);
        let inputs = one_range::fills::<N>(7, 50, array_len);
        let expected = one_range::model::<N>(&inputs, array_len);
        let workload = OneRange::<N, PIECE>::new(array_len);
        Check { files: &files, workload, inputs, expected, names: Vec::new() }.all();
    }
    of_length::<1, 64>();
    of_length::<64, 512>();
    of_length::<512, 1024>();
}

#[test]
fn order_entry_is_the_models_on_every_store() {
    for scale in [Scale::small(), Scale::small().with_stock()] {
        let files = files();
        let inputs = order_entry::transactions(scale, 7, 2000);
        let expected = order_entry::model(scale, &inputs);
        let workload = OrderEntry::new(scale);
        Check { files: &files, workload, inputs, expected, names: Vec::new() }.all();
    }
}

#[test]
fn ycsb_is_the_models_on_every_store() {
    for mix in Mix::ALL {
        let (files, count) = (files(), 200);
        let inputs = ycsb::requests(mix, count, 7, 500);
        let expected = ycsb::model(count, &inputs);
        let check = Check { files: &files, workload: Ycsb::new(count), inputs, expected, names: Vec::new() };
        check.all();
    }
}

#[test]
fn ycsb_has_its_bounds_and_all_of_them_agree() {
    let (places, count) = (Places::new(&dir(), &dir()).unwrap(), 200);
    let inputs = ycsb::requests(Mix::F, count, 7, 500);
    let entries = contest::ycsb(&places, Durable::PageCache, &inputs, count);
    let names: Vec<_> = entries.iter().map(|entry| entry.name).collect();
    assert_eq!(names[..3], ["bare stores", "std HashMap", "std BTreeMap"], "{names:?}");
    for entry in entries {
        let mut runner = entry.make();
        runner.run(0..500);
        assert_eq!(runner.digest(), ycsb::model(count, &inputs), "{}", entry.name);
    }
}

#[test]
fn ranges_of_order_entry_are_those_of_the_definition() {
    use workloads::order_entry::Transaction;

    let scale = Scale::small();
    // A range of a bare log is a record: 16 bytes, and what it covers.
    let ranges = |wanted: fn(&Transaction) -> bool, bytes: u64| {
        let all = order_entry::transactions(scale, 7, 400);
        let inputs: Arc<[_]> = all.iter().copied().filter(wanted).take(1).collect();
        let recipe = Both { kind: BareKind::<Ordered>::new(), workload: OrderEntry::new(scale) };
        let entry = Entry::new("bare undo log", &files(), Setting::forced(Domain::Adr), &inputs, recipe);
        let (mut runner, counters) = entry.make_counting().unwrap();
        let before = counters.counts();
        runner.run(0..1);
        let tail = if bytes > 0 { 16 } else { 0 }; // The tail is stored twice.
        let found = counters.counts().since(before).log_bytes;
        (found - tail - bytes) / 16
    };
    assert_eq!(ranges(|t| matches!(t, Transaction::NewOrder(order) if !order.aborts), 4 + 842), 2);
    // Balances of 8 bytes, a standing of 24 or 524, and a payment of 46.
    let paid = |t: &Transaction| matches!(t, Transaction::Payment { .. });
    assert!([4, 4 + 500 / 16].contains(&ranges(paid, 8 + 8 + 24 + 46)));
    assert_eq!(ranges(|t| matches!(t, Transaction::Delivery { .. }), 10 * (12 + 24)), 20);
    assert_eq!(ranges(|t| matches!(t, Transaction::OrderStatus { .. }), 0), 0);
    assert_eq!(ranges(|t| matches!(t, Transaction::StockLevel { .. }), 0), 0);
}

#[test]
fn what_was_read_is_part_of_the_digest() {
    let scale = Scale::small();
    let all = order_entry::transactions(scale, 7, 500);
    let is_read = |input: &workloads::order_entry::Transaction| {
        use workloads::order_entry::Transaction::{OrderStatus, StockLevel};
        matches!(input, OrderStatus { .. } | StockLevel { .. })
    };
    let without: Arc<[_]> = all.iter().copied().filter(|input| !is_read(input)).collect();
    assert!(without.len() < all.len());
    assert_ne!(order_entry::model(scale, &all), order_entry::model(scale, &without));
    assert_ne!(digest([1, 2]), digest([2, 1]));
}
