//! Order-entry for any store: the five transactions of [`workloads::order_entry`], written against the seam.
//!
//! The model there and the code here have nothing in common but the records. Start at [`OrderEntry`].

use std::sync::Arc;

use workloads::Id;
use workloads::Money;
use workloads::order_entry::{
    BadStanding, Customer, DISTRICTS, Delivered, District, Index, Item, LINES_MAX, Level, Line, Model,
    NewOrder, Order, Paid, RECENT_ORDERS, Scale, Standing, Stock, Told, Transaction, Warehouse, total,
};

use crate::field_of;
use crate::records::{Change, Digest, End, Look, Read, Size, Store, Table, Workload, Write};

macro_rules! tables {
    ($($name:ident: $record:ty = $index:literal, $what:literal;)+) => {
        $(
            #[doc = $what]
            pub struct $name;

            impl Table for $name {
                type Record = $record;
                const INDEX: usize = $index;
            }
        )+
    };
}

tables! {
    Warehouses: Warehouse = 0, "The one warehouse.";
    Districts: District = 1, "Its districts.";
    Customers: Customer = 2, "The customers, district by district.";
    Items: Item = 3, "What is sold.";
    Stocks: Stock = 4, "How much there is of it.";
    Orders: Order = 5, "A ring of orders for each district.";
    Payments: Paid = 6, "The ring of payments.";
}

/// The first `count` transactions of a run.
pub fn transactions(scale: Scale, seed: u64, count: usize) -> Arc<[Transaction]> {
    (0..count as u64).map(|index| Transaction::at(scale, seed, index)).collect()
}

/// The digest of the tables, and of what was told, after these transactions.
///
/// # Panics
/// If the model breaks one of TPC-C's conditions.
pub fn model(scale: Scale, inputs: &[Transaction]) -> u64 {
    let mut model = Model::new(scale);
    inputs.iter().for_each(|input| model.apply(input));
    model.check().expect("tables that agree with each other");
    let mut digest = Digest::default();
    let tables: [&[u8]; 7] = [
        bytemuck::bytes_of(&model.warehouse),
        bytemuck::cast_slice(&model.districts),
        bytemuck::cast_slice(&model.customers),
        bytemuck::cast_slice(&model.items),
        bytemuck::cast_slice(&model.stock),
        bytemuck::cast_slice(&model.orders),
        bytemuck::cast_slice(&model.history),
    ];
    for table in tables {
        digest.add(table);
        digest.end_table();
    }
    crate::engine::digest([digest.get(), model.told().digest()])
}

/// The workload.
#[derive(Clone, Copy, Debug)]
pub struct OrderEntry {
    scale: Scale,
}

impl OrderEntry {
    /// At this scale.
    pub fn new(scale: Scale) -> Self {
        OrderEntry { scale }
    }
}

/// What it keeps in volatile memory.
pub struct State {
    index: Index,
    told: Told,
    /// Number of transactions so far; after a restart, the newest that has left a date.
    count: u64,
    /// Where the next payment goes in the ring.
    slot: u64,
}

struct Enter<'a> {
    scale: Scale,
    new: &'a NewOrder,
    at: i64,
    /// The order's number and what it costs, once it was entered.
    entered: Option<(u32, i64)>,
}

impl Change for Enter<'_> {
    #[inline(always)]
    fn run(&mut self, records: &mut impl Write) -> End {
        let &mut Enter { scale, new, at, .. } = self;
        let warehouse_tax = records.read::<Warehouses, _>(0, |warehouse| warehouse.tax);
        let next_order = field_of!(Districts, District, next_order);
        let (number, district_tax) = records.update(new.district.into(), next_order, |district| {
            let number = district.next_order.get();
            (Id::new(number.wrapping_add(1)), (number, district.tax))
        });
        let customer = scale.customer_index(new.district, new.customer);
        let discount = records.read::<Customers, _>(customer, |customer| customer.discount);

        let mut lines = [Line::NONE; LINES_MAX];
        let mut amount = 0;
        for (line, (item, quantity)) in lines.iter_mut().zip(new.lines()) {
            let price = records.read::<Items, _>(item.into(), |item| item.price.get());
            let cost = price * i64::from(quantity);
            amount += cost;
            let info = |stock: &Stock| stock.info[new.district as usize];
            let info = if scale.draws_stock() {
                let level = field_of!(Stocks, Stock, level);
                records.update(item.into(), level, |stock| {
                    let left: Level = stock.level.after(quantity);
                    (left, info(stock))
                })
            } else {
                records.read::<Stocks, _>(item.into(), info)
            };
            *line = Line::new(item, quantity, cost, info);
        }
        let order = Order::new(number, new.customer, at, new.lines().len() as u32, lines);
        records.replace::<Orders>(scale.order_index(new.district, number), &order);
        if new.aborts {
            return End::Abort; // The last item is found not to exist after all the others are written.
        }
        self.entered = Some((number, total(amount, discount, [warehouse_tax, district_tax])));
        End::Commit
    }
}

struct Pay {
    scale: Scale,
    district: u32,
    customer: u32,
    amount: i64,
    at: i64,
    slot: u64,
}

impl Change for Pay {
    #[inline(always)]
    fn run(&mut self, records: &mut impl Write) -> End {
        let &mut Pay { scale, district, customer, amount, at, slot } = self;
        let paid = Paid::new(at, district, customer, amount);
        let after = |money: Money| {
            let mut money = money;
            money.add(amount);
            (money, ())
        };
        records.update(0, field_of!(Warehouses, Warehouse, ytd), |warehouse| after(warehouse.ytd));
        records.update(district.into(), field_of!(Districts, District, ytd), |district| after(district.ytd));
        let customer = scale.customer_index(district, customer);
        // TPC-C too asks for the customer's credit before it says what it changes.
        if records.read::<Customers, _>(customer, |customer| customer.has_bad_credit) == 1 {
            let field = field_of!(Customers, Customer, bad);
            records.update(customer, field, |customer| {
                let bad: BadStanding = customer.bad.after_payment(&paid);
                (bad, ())
            });
        } else {
            let field = field_of!(Customers, Customer, bad.standing);
            records.update(customer, field, |customer| {
                let standing: Standing = customer.bad.standing.after_payment(amount);
                (standing, ())
            });
        }
        records.replace::<Payments>(slot, &paid);
        End::Commit
    }
}

struct Deliver<'a> {
    scale: Scale,
    index: &'a Index,
    carrier: u32,
    at: i64,
    /// The order that was delivered in each district, or 0.
    delivered: [u32; DISTRICTS as usize],
}

impl Change for Deliver<'_> {
    #[inline(always)]
    fn run(&mut self, records: &mut impl Write) -> End {
        let stamp = Delivered { carrier: Id::new(self.carrier), at: Money::new(self.at) };
        for (district, delivered) in (0..).zip(&mut self.delivered) {
            let next = records.read::<Districts, _>(district.into(), |district| district.next_order.get());
            let number = self.index.head(district, next);
            if number == next {
                continue;
            }
            let field = field_of!(Orders, Order, delivered);
            let (customer, amount) =
                records.update(self.scale.order_index(district, number), field, |order| {
                    (stamp, (order.customer.get(), order.amount()))
                });
            let field = field_of!(Customers, Customer, bad.standing);
            records.update(self.scale.customer_index(district, customer), field, |customer| {
                let standing: Standing = customer.bad.standing.after_delivery(amount);
                (standing, ())
            });
            *delivered = number;
        }
        End::Commit
    }
}

struct TellOrder<'a> {
    scale: Scale,
    told: &'a mut Told,
    district: u32,
    customer: u32,
    number: u32,
}

impl Look for TellOrder<'_> {
    #[inline(always)]
    fn run(&mut self, records: &mut impl Read) {
        let TellOrder { scale, district, customer, number, .. } = *self;
        let balance = |customer: &Customer| customer.bad.standing.balance.get();
        self.told
            .note(records.read::<Customers, _>(scale.customer_index(district, customer), balance) as u64);
        if number > 0 {
            records.read::<Orders, _>(scale.order_index(district, number), |order| {
                if order.number.get() == number {
                    self.told.note_order(order);
                }
            });
        }
    }
}

struct TellStock<'a> {
    scale: Scale,
    told: &'a mut Told,
    district: u32,
    threshold: u32,
}

impl Look for TellStock<'_> {
    #[inline(always)]
    fn run(&mut self, records: &mut impl Read) {
        let TellStock { scale, district, threshold, .. } = *self;
        let next = records.read::<Districts, _>(district.into(), |district| district.next_order.get());
        let mut items = [0; RECENT_ORDERS as usize * LINES_MAX];
        let mut count = 0;
        for number in scale.oldest_kept(next).max(next.saturating_sub(RECENT_ORDERS))..next {
            records.read::<Orders, _>(scale.order_index(district, number), |order| {
                for line in &order.lines[..(order.line_count.get() as usize).min(LINES_MAX)] {
                    items[count] = line.item.get();
                    count += 1;
                }
            });
        }
        items[..count].sort_unstable();
        let (mut low, mut before) = (0, None);
        for &item in &items[..count] {
            if before != Some(item) {
                let quantity = records.read::<Stocks, _>(item.into(), |stock| stock.level.quantity.get());
                low += u64::from(quantity < threshold);
            }
            before = Some(item);
        }
        self.told.note(low);
    }
}

/// Reads what the volatile state is found from.
struct Survey {
    scale: Scale,
    index: Option<Index>,
    newest: i64,
    slot: u64,
}

impl Look for Survey {
    fn run(&mut self, records: &mut impl Read) {
        let mut next_orders = [0; DISTRICTS as usize];
        for (id, next) in (0..).zip(&mut next_orders) {
            *next = records.read::<Districts, _>(id, |district| district.next_order.get());
        }
        let order = |slot| {
            let order = records.read::<Orders, _>(slot, |order| *order);
            self.newest = self.newest.max(order.entered.get()).max(order.delivered.at.get());
            order
        };
        self.index = Some(Index::find(self.scale, next_orders, order));
        let mut newest_payment = 0;
        for slot in 0..self.scale.payments() {
            let at = records.read::<Payments, _>(slot, |paid| paid.at.get());
            if at > newest_payment {
                (newest_payment, self.slot) = (at, slot + 1);
            }
        }
        self.newest = self.newest.max(newest_payment);
    }
}

impl Workload for OrderEntry {
    type Input = Transaction;
    type State = State;

    fn sizes(&self) -> Vec<Size> {
        let scale = self.scale;
        vec![
            Size::of::<Warehouses>("warehouse", 1),
            Size::of::<Districts>("districts", DISTRICTS.into()),
            Size::of::<Customers>("customers", scale.customers()),
            Size::of::<Items>("items", scale.items()),
            Size::of::<Stocks>("stock", scale.items()),
            Size::of::<Orders>("orders", scale.orders()),
            Size::of::<Payments>("history", scale.payments()),
        ]
    }

    fn load(&self, store: &mut impl Store) {
        let scale = self.scale;
        store.load::<Warehouses>(|_| Warehouse::new());
        store.load::<Districts>(|id| District::new(scale, id as u32));
        store.load::<Customers>(Customer::new);
        store.load::<Items>(Item::new);
        store.load::<Stocks>(Stock::new);
        store.load::<Orders>(|index| Order::initial(scale, index));
        store.load::<Payments>(|_| Paid::NONE);
    }

    fn state(&self, store: &impl Store) -> State {
        let mut survey = Survey { scale: self.scale, index: None, newest: 0, slot: 0 };
        store.look(&mut survey);
        // What the tables begin with has the date 1, and was no transaction.
        let count = if survey.newest > 1 { survey.newest as u64 } else { 0 };
        let index = survey.index.expect("the survey has run");
        State { index, told: Told::default(), count, slot: survey.slot }
    }

    fn admits(&self, input: &Transaction) -> bool {
        let scale = self.scale;
        let is_there = |district, customer| district < DISTRICTS && customer < scale.customers_per_district();
        match *input {
            Transaction::NewOrder(ref new) => {
                is_there(new.district, new.customer)
                    && new.lines().all(|(item, _)| u64::from(item) < scale.items())
            }
            Transaction::Payment { district, customer, .. } => is_there(district, customer),
            Transaction::OrderStatus { district, customer } => is_there(district, customer),
            Transaction::StockLevel { district, .. } => district < DISTRICTS,
            Transaction::Delivery { .. } => true,
        }
    }

    #[inline(always)]
    fn transact(&self, state: &mut State, store: &mut impl Store, input: &Transaction) {
        state.count += 1;
        let (scale, at) = (self.scale, state.count as i64);
        match *input {
            Transaction::NewOrder(ref new) => enter(scale, state, store, new),
            Transaction::Payment { district, customer, amount } => {
                store.change(&mut Pay {
                    scale,
                    district,
                    customer,
                    amount,
                    at,
                    slot: state.slot % scale.payments(),
                });
                state.slot += 1;
            }
            Transaction::Delivery { carrier } => {
                let delivered = [0; DISTRICTS as usize];
                let mut work = Deliver { scale, index: &state.index, carrier, at, delivered };
                store.change(&mut work);
                for (district, number) in (0..).zip(work.delivered) {
                    if number > 0 {
                        state.index.delivered(district, number);
                    }
                }
            }
            Transaction::OrderStatus { district, customer } => {
                let number = state.index.last_order(district, customer);
                store.look(&mut TellOrder { scale, told: &mut state.told, district, customer, number });
            }
            Transaction::StockLevel { district, threshold } => {
                store.look(&mut TellStock { scale, told: &mut state.told, district, threshold });
            }
        }
    }

    fn digest(&self, state: &State, store: &impl Store) -> u64 {
        let mut digest = Digest::default();
        digest.add_table::<Warehouses>(store, 1);
        digest.add_table::<Districts>(store, DISTRICTS.into());
        digest.add_table::<Customers>(store, self.scale.customers());
        digest.add_table::<Items>(store, self.scale.items());
        digest.add_table::<Stocks>(store, self.scale.items());
        digest.add_table::<Orders>(store, self.scale.orders());
        digest.add_table::<Payments>(store, self.scale.payments());
        crate::engine::digest([digest.get(), state.told.digest()])
    }
}

#[inline(always)]
fn enter<S: Store>(scale: Scale, state: &mut State, store: &mut S, new: &NewOrder) {
    if new.aborts && !S::CAN_ABORT {
        return; // Without a log all has to be looked up before the first store; here nothing is done.
    }
    let mut work = Enter { scale, new, at: state.count as i64, entered: None };
    store.change(&mut work);
    if let Some((number, total)) = work.entered {
        state.told.note(total as u64);
        state.index.entered(new.district, new.customer, number);
    }
}
