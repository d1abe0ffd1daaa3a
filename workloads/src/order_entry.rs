//! Order-entry, in the manner of TPC-C: the tables, and what the transaction with a given index does.
//!
//! All five transactions of TPC-C, in this mix: 45 % new-order, of which 1 % abort; 43 % payment; 4 % each delivery,
//! order-status and stock-level. One warehouse with ten districts. Records have fixed lengths, those of TPC-C (its
//! table of row lengths, clause 1.2 and 4.2 of revision 5.11), but for an order, which holds its lines. Start at
//! [`Transaction::at`].
//!
//! # Ranges
//!
//! As the Vista literature counts them: a new-order stores to 2 ranges (the district's next number; the order), a
//! payment to 4 (warehouse, district, customer, history), a delivery to 20 (an order and a customer per district), the
//! other two to none. TPC-C proper asks for more, and this is what was chosen:
//!
//! - *Stock.* TPC-C has a new-order draw each line's quantity from the stock, which makes one more range per line, ten
//!   on the average. [`Scale::draws_stock`] does so; by default it is off, and the stock is read only.
//! - *Lines.* TPC-C keeps up to 15 lines of an order as rows of their own, and stamps each one when it is delivered.
//!   Here they lie in the order, with one stamp for all.
//! - *The queue of new orders.* TPC-C keeps a row for each; here an order is in the queue as long as it has no carrier.
//! - *Indexes.* What TPC-C looks up by an index (the oldest order of the queue, a customer's last order) is kept in
//!   volatile memory, [`Index`], and found again from the tables. Customers are looked up by number and never by name.
//! - *Rings.* TPC-C's tables of orders and payments grow without end. Here they are rings: the oldest order goes, be it
//!   delivered or not.
//! - *Scale.* 3,000 customers a district, as in TPC-C; 10,000 items rather than 100,000, so that all tables together are
//!   about as long as those of the other workloads.

use std::fmt;

use vista::Persistent;

use crate::random::{below, draw};
use crate::{Id, Money};

/// Number of districts.
pub const DISTRICTS: u32 = 10;
/// Most lines of an order.
pub const LINES_MAX: usize = 15;
/// Orders of a district that stock-level looks at.
pub const RECENT_ORDERS: u32 = 20;

/// Lengths of the tables, and whether a new-order draws from the stock.
///
/// ```
/// # use workloads::order_entry::*;
/// # use workloads::{Id, Money};
/// let scale = Scale::default();
/// assert_eq!((scale.customers(), scale.items(), scale.orders()), (30_000, 10_000, 20_480));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    customers: u32,
    items: u32,
    orders: u32,
    payments: u32,
    draws_stock: bool,
}

impl Default for Scale {
    fn default() -> Self {
        Scale { customers: 3000, items: 10_000, orders: 2048, payments: 40_000, draws_stock: false }
    }
}

impl Scale {
    /// A small one, for tests: rings that come round, and customers that come back.
    ///
    /// ```
    /// # use workloads::order_entry::*;
    /// # use workloads::{Id, Money};
    /// assert_eq!(Scale::small().customers_per_district(), 30);
    /// ```
    pub fn small() -> Scale {
        Scale { customers: 30, items: 100, orders: 64, payments: 200, draws_stock: false }
    }

    /// The same, and a new-order draws what it sells from the stock, as in TPC-C: one range more per line.
    ///
    /// ```
    /// # use workloads::order_entry::*;
    /// # use workloads::{Id, Money};
    /// assert!(Scale::small().with_stock().draws_stock() && !Scale::small().draws_stock());
    /// ```
    pub fn with_stock(self) -> Scale {
        Scale { draws_stock: true, ..self }
    }

    /// Whether a new-order draws from the stock.
    ///
    /// Example: see [`with_stock`](Scale::with_stock).
    #[inline]
    pub fn draws_stock(self) -> bool {
        self.draws_stock
    }

    /// Number of customers of all districts.
    ///
    /// ```
    /// # use workloads::order_entry::*;
    /// # use workloads::{Id, Money};
    /// assert_eq!(Scale::small().customers(), 300);
    /// ```
    pub fn customers(self) -> u64 {
        u64::from(DISTRICTS) * u64::from(self.customers)
    }

    /// Number of customers of a district.
    ///
    /// ```
    /// # use workloads::order_entry::*;
    /// # use workloads::{Id, Money};
    /// assert_eq!(Scale::default().customers_per_district(), 3000);
    /// ```
    pub fn customers_per_district(self) -> u32 {
        self.customers
    }

    /// Number of items, which is the length of the stock. Below 65,536.
    ///
    /// ```
    /// # use workloads::order_entry::*;
    /// # use workloads::{Id, Money};
    /// assert_eq!(Scale::small().items(), 100);
    /// ```
    pub fn items(self) -> u64 {
        self.items.into()
    }

    /// Number of orders that are kept, of all districts.
    ///
    /// ```
    /// # use workloads::order_entry::*;
    /// # use workloads::{Id, Money};
    /// assert_eq!(Scale::small().orders(), 640);
    /// ```
    pub fn orders(self) -> u64 {
        u64::from(DISTRICTS) * u64::from(self.orders)
    }

    /// Number of orders that are kept of each district.
    ///
    /// ```
    /// # use workloads::order_entry::*;
    /// # use workloads::{Id, Money};
    /// assert_eq!(Scale::small().orders_per_district(), 64);
    /// ```
    pub fn orders_per_district(self) -> u32 {
        self.orders
    }

    /// Number of payments that are kept.
    ///
    /// ```
    /// # use workloads::order_entry::*;
    /// # use workloads::{Id, Money};
    /// assert_eq!(Scale::small().payments(), 200);
    /// ```
    pub fn payments(self) -> u64 {
        self.payments.into()
    }

    /// Number of orders that each district has from the beginning: seven of ten are delivered, as in TPC-C.
    ///
    /// ```
    /// # use workloads::order_entry::*;
    /// # use workloads::{Id, Money};
    /// assert_eq!((Scale::small().initial_orders(), Scale::small().initial_head()), (32, 23));
    /// ```
    pub fn initial_orders(self) -> u32 {
        self.orders / 2
    }

    /// Number of the first order that is not delivered in the beginning.
    ///
    /// Example: see [`initial_orders`](Scale::initial_orders).
    pub fn initial_head(self) -> u32 {
        1 + self.initial_orders() * 7 / 10
    }

    /// Where a customer lies in the table of customers.
    ///
    /// ```
    /// # use workloads::order_entry::*;
    /// # use workloads::{Id, Money};
    /// assert_eq!(Scale::small().customer_index(2, 5), 65);
    /// ```
    #[inline(always)]
    pub fn customer_index(self, district: u32, customer: u32) -> u64 {
        u64::from(district) * u64::from(self.customers) + u64::from(customer)
    }

    /// Where an order lies in the table of orders. Numbers begin at 1.
    ///
    /// ```
    /// # use workloads::order_entry::*;
    /// # use workloads::{Id, Money};
    /// let scale = Scale::small();
    /// assert_eq!((scale.order_index(1, 1), scale.order_index(1, 65)), (64, 64)); // The ring has come round.
    /// ```
    #[inline(always)]
    pub fn order_index(self, district: u32, number: u32) -> u64 {
        u64::from(district) * u64::from(self.orders) + u64::from((number - 1) % self.orders)
    }

    /// The oldest order that the ring can still hold if `next` is the next number.
    ///
    /// ```
    /// # use workloads::order_entry::*;
    /// # use workloads::{Id, Money};
    /// assert_eq!((Scale::small().oldest_kept(10), Scale::small().oldest_kept(100)), (1, 36));
    /// ```
    #[inline(always)]
    pub fn oldest_kept(self, next: u32) -> u32 {
        next.saturating_sub(self.orders).max(1)
    }
}

/// The warehouse: 89 bytes.
///
/// ```
/// # use workloads::order_entry::*;
/// # use workloads::{Id, Money};
/// assert_eq!(Warehouse::new().tax.get(), 1250); // 12.5 %
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Persistent)]
#[repr(C)]
pub struct Warehouse {
    /// What has been paid.
    pub ytd: Money,
    /// Tax in units of a ten-thousandth.
    pub tax: Id,
    filler: [u8; 77],
}

/// A district: 95 bytes.
///
/// Example: see [`District::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Persistent)]
#[repr(C)]
pub struct District {
    /// Number of the next order.
    pub next_order: Id,
    /// What has been paid.
    pub ytd: Money,
    /// Tax in units of a ten-thousandth.
    pub tax: Id,
    filler: [u8; 79],
}

/// What changes of a customer with each payment and delivery: one range.
///
/// Example: see [`after_payment`](Standing::after_payment).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Persistent)]
#[repr(C)]
pub struct Standing {
    /// What the customer owes.
    pub balance: Money,
    /// What the customer has paid.
    pub paid: Money,
    /// Number of payments.
    pub payments: Id,
    /// Number of deliveries.
    pub deliveries: Id,
}

/// What changes with a payment if the credit is bad, as it is of one customer in ten: one range too.
///
/// Example: see [`after_payment`](BadStanding::after_payment).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Persistent)]
#[repr(C)]
pub struct BadStanding {
    /// As with the others.
    pub standing: Standing,
    /// The last payments, the newest first.
    pub data: [u8; 500],
}

/// A customer: 655 bytes.
///
/// Example: see [`Customer::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Persistent)]
#[repr(C)]
pub struct Customer {
    /// What changes.
    pub bad: BadStanding,
    /// Discount in units of a ten-thousandth.
    pub discount: Id,
    /// 1 if the credit is bad, else 0.
    pub has_bad_credit: u8,
    filler: [u8; 126],
}

/// An item: 82 bytes.
///
/// Example: see [`Item::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Persistent)]
#[repr(C)]
pub struct Item {
    /// What one costs.
    pub price: Money,
    filler: [u8; 74],
}

/// What changes of a stock if a new-order draws from it.
///
/// Example: see [`after`](Level::after).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Persistent)]
#[repr(C)]
pub struct Level {
    /// How many there are.
    pub quantity: Id,
    /// How many have been sold.
    pub ytd: Money,
    /// In how many orders.
    pub order_count: Id,
}

/// The stock of an item: 306 bytes.
///
/// Example: see [`Stock::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Persistent)]
#[repr(C)]
pub struct Stock {
    /// What changes.
    pub level: Level,
    /// What an order's line copies, by district.
    pub info: [[u8; 24]; DISTRICTS as usize],
    filler: [u8; 50],
}

/// A line of an order: 54 bytes.
///
/// Example: see [`Line::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Persistent)]
#[repr(C)]
pub struct Line {
    /// Index of the item.
    pub item: Id,
    /// How many; 0 if there is no such line.
    pub quantity: Id,
    /// What they cost.
    pub amount: Money,
    /// The stock's, for the district.
    pub info: [u8; 24],
    filler: [u8; 14],
}

/// What changes of an order when it is delivered: one range.
///
/// ```
/// # use workloads::order_entry::*;
/// # use workloads::{Id, Money};
/// let order = Order::initial(Scale::small(), 0); // The oldest of the first district.
/// assert!(order.delivered.carrier.get() > 0, "it is out of the queue");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Persistent)]
#[repr(C)]
pub struct Delivered {
    /// The carrier, from 1 to 10; 0 as long as the order is in the queue.
    pub carrier: Id,
    /// Number of the transaction, counted from 1; 0 as long as the order is in the queue.
    pub at: Money,
}

/// An order with its lines: 842 bytes.
///
/// Example: see [`Order::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Persistent)]
#[repr(C)]
pub struct Order {
    /// Its number in the district, counted from 1; 0 if there is none.
    pub number: Id,
    /// Number of the customer in the district.
    pub customer: Id,
    /// Number of the transaction, counted from 1; 0 if it was there from the beginning.
    pub entered: Money,
    /// Number of its lines.
    pub line_count: Id,
    /// Whether it was delivered.
    pub delivered: Delivered,
    /// Its lines.
    pub lines: [Line; LINES_MAX],
}

/// What the history keeps of a payment: 46 bytes.
///
/// Example: see [`Paid::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Persistent)]
#[repr(C)]
pub struct Paid {
    /// Number of the transaction, counted from 1; 0 if there is none.
    pub at: Money,
    /// The district.
    pub district: Id,
    /// Number of the customer in the district.
    pub customer: Id,
    /// How much.
    pub amount: Money,
    filler: [u8; 22],
}

const _: () = {
    assert!(size_of::<Warehouse>() == 89);
    assert!(size_of::<District>() == 95);
    assert!(size_of::<Customer>() == 655);
    assert!(size_of::<Item>() == 82);
    assert!(size_of::<Stock>() == 306);
    assert!(size_of::<Line>() == 54);
    assert!(size_of::<Order>() == 842);
    assert!(size_of::<Paid>() == 46);
    assert!(align_of::<Order>() == 1 && align_of::<Customer>() == 1 && align_of::<Stock>() == 1);
};

impl Warehouse {
    /// The warehouse in the beginning.
    ///
    /// Example: see [`Warehouse`].
    pub fn new() -> Warehouse {
        Warehouse { ytd: Money::new(30_000_000), tax: Id::new(1250), filler: [b'w'; 77] }
    }
}

impl Default for Warehouse {
    fn default() -> Self {
        Warehouse::new()
    }
}

impl District {
    /// District number `id` in the beginning.
    ///
    /// ```
    /// # use workloads::order_entry::*;
    /// # use workloads::{Id, Money};
    /// let district = District::new(Scale::small(), 0);
    /// assert_eq!(district.next_order.get(), 33); // Behind those that are there from the beginning.
    /// ```
    pub fn new(scale: Scale, id: u32) -> District {
        District {
            next_order: Id::new(scale.initial_orders() + 1),
            ytd: Money::new(3_000_000),
            tax: Id::new(id * 200),
            filler: [b'd'; 79],
        }
    }
}

impl Customer {
    /// The customer with this index in the table, in the beginning.
    ///
    /// ```
    /// # use workloads::order_entry::*;
    /// # use workloads::{Id, Money};
    /// let customer = Customer::new(7);
    /// assert!(customer.has_bad_credit <= 1 && customer.discount.get() < 10_000);
    /// ```
    pub fn new(index: u64) -> Customer {
        let bits = draw(0xC057, index);
        let standing = Standing {
            balance: Money::new(-1000),
            paid: Money::new(1000),
            payments: Id::new(1),
            deliveries: Id::new(0),
        };
        Customer {
            bad: BadStanding { standing, data: [b'c'; 500] },
            discount: Id::new(below(5001, bits as u32)),
            has_bad_credit: u8::from(below(10, (bits >> 32) as u32) == 0),
            filler: [b'n'; 126],
        }
    }
}

impl Item {
    /// The item with this index: it costs from 1.00 to 100.00.
    ///
    /// ```
    /// # use workloads::order_entry::*;
    /// # use workloads::{Id, Money};
    /// assert!((100..=10_000).contains(&Item::new(7).price.get()));
    /// ```
    pub fn new(index: u64) -> Item {
        let price = 100 + below(9901, draw(0x17E3, index) as u32);
        Item { price: Money::new(price.into()), filler: [b'i'; 74] }
    }
}

impl Stock {
    /// The stock of the item with this index in the beginning: from 10 to 100 of it.
    ///
    /// ```
    /// # use workloads::order_entry::*;
    /// # use workloads::{Id, Money};
    /// assert!((10..=100).contains(&Stock::new(7).level.quantity.get()));
    /// ```
    pub fn new(index: u64) -> Stock {
        let bits = draw(0x570C, index);
        let quantity = Id::new(10 + below(91, bits as u32));
        let info = std::array::from_fn(|district| [(bits >> (district * 4)) as u8; 24]);
        Stock {
            level: Level { quantity, ytd: Money::new(0), order_count: Id::new(0) },
            info,
            filler: [b's'; 50],
        }
    }
}

impl Level {
    /// After so many have been sold: what falls below ten is filled up, as TPC-C has it.
    ///
    /// ```
    /// # use workloads::order_entry::*;
    /// # use workloads::{Id, Money};
    /// let level = Level { quantity: Id::new(30), ytd: Money::new(0), order_count: Id::new(0) };
    /// assert_eq!(level.after(20).quantity.get(), 10);
    /// assert_eq!(level.after(25).quantity.get(), 96); // 5, and filled up by 91.
    /// ```
    #[inline]
    pub fn after(self, quantity: u32) -> Level {
        let left = self.quantity.get().wrapping_sub(quantity);
        let is_enough = self.quantity.get() >= quantity + 10;
        let mut ytd = self.ytd;
        ytd.add(quantity.into());
        Level {
            quantity: Id::new(if is_enough { left } else { left.wrapping_add(91) }),
            ytd,
            order_count: Id::new(self.order_count.get().wrapping_add(1)),
        }
    }
}

impl Line {
    /// No line.
    pub const NONE: Line = Line {
        item: Id::new(0),
        quantity: Id::new(0),
        amount: Money::new(0),
        info: [0; 24],
        filler: [0; 14],
    };

    /// So many of an item.
    ///
    /// ```
    /// # use workloads::order_entry::*;
    /// # use workloads::{Id, Money};
    /// let line = Line::new(7, 3, 3 * 250, [0; 24]);
    /// assert_eq!((line.item.get(), line.quantity.get(), line.amount.get()), (7, 3, 750));
    /// ```
    #[inline]
    pub fn new(item: u32, quantity: u32, amount: i64, info: [u8; 24]) -> Line {
        Line {
            item: Id::new(item),
            quantity: Id::new(quantity),
            amount: Money::new(amount),
            info,
            filler: [0; 14],
        }
    }
}

impl Order {
    /// No order.
    pub const NONE: Order = Order {
        number: Id::new(0),
        customer: Id::new(0),
        entered: Money::new(0),
        line_count: Id::new(0),
        delivered: Delivered { carrier: Id::new(0), at: Money::new(0) },
        lines: [Line::NONE; LINES_MAX],
    };

    /// What lies at this index of the table in the beginning.
    ///
    /// ```
    /// # use workloads::order_entry::*;
    /// # use workloads::{Id, Money};
    /// let scale = Scale::small();
    /// assert_eq!(Order::initial(scale, 0).number.get(), 1);
    /// assert_eq!(Order::initial(scale, scale.initial_orders().into()), Order::NONE);
    /// ```
    pub fn initial(scale: Scale, index: u64) -> Order {
        let (district, slot) = (index / u64::from(scale.orders), (index % u64::from(scale.orders)) as u32);
        if slot >= scale.initial_orders() {
            return Order::NONE;
        }
        let number = slot + 1;
        let is_delivered = number < scale.initial_head();
        let seed = draw(0x0DE5, index);
        let line_count = 5 + below(11, draw(seed, 0) as u32);
        let mut lines = [Line::NONE; LINES_MAX];
        for (place, line) in (1..).zip(&mut lines[..line_count as usize]) {
            let bits = draw(seed, place);
            let item = below(scale.items, bits as u32);
            // As in TPC-C: what was delivered in the beginning has cost nothing, so that the balances agree.
            let amount = if is_delivered { 0 } else { 1 + i64::from(below(999_999, (bits >> 32) as u32)) };
            *line = Line::new(item, 5, amount, Stock::new(item.into()).info[district as usize]);
        }
        let carrier = if is_delivered { 1 + below(10, (draw(seed, 0) >> 32) as u32) } else { 0 };
        Order {
            number: Id::new(number),
            customer: Id::new(slot % scale.customers),
            entered: Money::new(0),
            line_count: Id::new(line_count),
            delivered: Delivered { carrier: Id::new(carrier), at: Money::new(is_delivered.into()) },
            lines,
        }
    }

    /// A new one.
    ///
    /// ```
    /// # use workloads::order_entry::*;
    /// # use workloads::{Id, Money};
    /// let mut lines = [Line::NONE; LINES_MAX];
    /// lines[0] = Line::new(7, 3, 750, [0; 24]);
    /// lines[1] = Line::new(8, 1, 250, [0; 24]);
    /// let order = Order::new(33, 5, 1, 2, lines);
    /// assert_eq!((order.number.get(), order.amount()), (33, 1000));
    /// ```
    #[inline]
    pub fn new(number: u32, customer: u32, at: i64, line_count: u32, lines: [Line; LINES_MAX]) -> Order {
        Order {
            number: Id::new(number),
            customer: Id::new(customer),
            entered: Money::new(at),
            line_count: Id::new(line_count),
            delivered: Delivered { carrier: Id::new(0), at: Money::new(0) },
            lines,
        }
    }

    /// What all of its lines cost.
    ///
    /// Example: see [`new`](Order::new).
    #[inline]
    pub fn amount(&self) -> i64 {
        self.lines.iter().fold(0, |sum: i64, line| sum.wrapping_add(line.amount.get()))
    }
}

impl Paid {
    /// No payment.
    pub const NONE: Paid = Paid {
        at: Money::new(0),
        district: Id::new(0),
        customer: Id::new(0),
        amount: Money::new(0),
        filler: [0; 22],
    };

    /// A payment.
    ///
    /// ```
    /// # use workloads::order_entry::*;
    /// # use workloads::{Id, Money};
    /// let paid = Paid::new(1, 2, 5, 1000);
    /// assert_eq!((paid.district.get(), paid.amount.get()), (2, 1000));
    /// ```
    #[inline]
    pub fn new(at: i64, district: u32, customer: u32, amount: i64) -> Paid {
        Paid {
            at: Money::new(at),
            district: Id::new(district),
            customer: Id::new(customer),
            amount: Money::new(amount),
            filler: [0; 22],
        }
    }
}

impl Standing {
    /// After a payment.
    ///
    /// ```
    /// # use workloads::order_entry::*;
    /// # use workloads::{Id, Money};
    /// let standing = Customer::new(7).bad.standing;
    /// let after = standing.after_payment(1000);
    /// assert_eq!(after.balance.get(), standing.balance.get() - 1000);
    /// assert_eq!(after.payments.get(), standing.payments.get() + 1);
    /// ```
    #[inline]
    pub fn after_payment(self, amount: i64) -> Standing {
        Standing {
            balance: Money::new(self.balance.get().wrapping_sub(amount)),
            paid: Money::new(self.paid.get().wrapping_add(amount)),
            payments: Id::new(self.payments.get().wrapping_add(1)),
            ..self
        }
    }

    /// After the delivery of an order that costs so much.
    ///
    /// ```
    /// # use workloads::order_entry::*;
    /// # use workloads::{Id, Money};
    /// let standing = Customer::new(7).bad.standing;
    /// assert_eq!(standing.after_delivery(1000).balance.get(), standing.balance.get() + 1000);
    /// ```
    #[inline]
    pub fn after_delivery(self, amount: i64) -> Standing {
        Standing {
            balance: Money::new(self.balance.get().wrapping_add(amount)),
            deliveries: Id::new(self.deliveries.get().wrapping_add(1)),
            ..self
        }
    }
}

impl BadStanding {
    /// After a payment, which is put before the earlier ones.
    ///
    /// ```
    /// # use workloads::order_entry::*;
    /// # use workloads::{Id, Money};
    /// let bad = Customer::new(7).bad;
    /// let after = bad.after_payment(&Paid::new(1, 2, 5, 1000));
    /// assert_eq!(after.standing, bad.standing.after_payment(1000));
    /// assert_eq!(after.data[24..], bad.data[..476]); // The earlier ones, moved on.
    /// ```
    #[inline]
    pub fn after_payment(&self, paid: &Paid) -> BadStanding {
        const LEN: usize = 24;
        let mut data = [0; 500];
        data[LEN..].copy_from_slice(&self.data[..500 - LEN]);
        data[..LEN].copy_from_slice(&bytemuck::bytes_of(paid)[..LEN]);
        BadStanding { standing: self.standing.after_payment(paid.amount.get()), data }
    }
}

/// One transaction.
///
/// Example: see [`at`](Transaction::at).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transaction {
    /// A customer orders.
    NewOrder(NewOrder),
    /// A customer pays.
    Payment {
        /// The district.
        district: u32,
        /// Number of the customer in it.
        customer: u32,
        /// How much.
        amount: i64,
    },
    /// The oldest order of each district is delivered.
    Delivery {
        /// By whom, from 1 to 10.
        carrier: u32,
    },
    /// A customer asks after the last order. Stores to nothing.
    OrderStatus {
        /// The district.
        district: u32,
        /// Number of the customer in it.
        customer: u32,
    },
    /// How many of the items of the last twenty orders are about to run out? Stores to nothing.
    StockLevel {
        /// The district.
        district: u32,
        /// What is too few, from 10 to 20.
        threshold: u32,
    },
}

/// What is ordered.
///
/// Example: see [`lines`](NewOrder::lines).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// The district.
    pub district: u32,
    /// Number of the customer in it.
    pub customer: u32,
    /// Whether the last item turns out not to exist, so that all is rolled back: 1 % of them.
    pub aborts: bool,
    line_count: u8,
    items: [u16; LINES_MAX],
    quantities: [u8; LINES_MAX],
}

impl NewOrder {
    /// Items and quantities, from 5 to 15 of them; no item twice.
    ///
    /// ```
    /// # use workloads::order_entry::*;
    /// # use workloads::{Id, Money};
    /// let orders = (0..100).filter_map(|index| match Transaction::at(Scale::small(), 42, index) {
    ///     Transaction::NewOrder(order) => Some(order),
    ///     _ => None,
    /// });
    /// for order in orders {
    ///     assert!((5..=15).contains(&order.lines().len()));
    ///     assert!(order.lines().all(|(item, quantity)| item < 100 && quantity > 0));
    /// }
    /// ```
    #[inline]
    pub fn lines(&self) -> impl ExactSizeIterator<Item = (u32, u32)> + '_ {
        let count = self.line_count.into();
        let items = self.items[..count].iter().map(|&item| item.into());
        items.zip(self.quantities[..count].iter().map(|&quantity| quantity.into()))
    }

    fn at(scale: Scale, seed: u64) -> NewOrder {
        let (who, what) = (draw(seed, 0), draw(seed, 1));
        let line_count = 5 + below(11, what as u32) as u8;
        let mut order = NewOrder {
            district: below(DISTRICTS, who as u32),
            customer: uneven(1023, scale.customers, draw(seed, 2)),
            aborts: below(100, (what >> 32) as u32) == 0,
            line_count,
            items: [0; LINES_MAX],
            quantities: [0; LINES_MAX],
        };
        for line in 0..usize::from(line_count) {
            let mut item = uneven(1023, scale.items, draw(seed, 3 + line as u64)) as u16;
            while order.items[..line].contains(&item) {
                item = (item + 1) % scale.items as u16;
            }
            order.items[line] = item;
            order.quantities[line] = 1 + below(10, draw(seed, 20 + line as u64) as u32) as u8;
        }
        order
    }
}

/// TPC-C's NURand: some numbers below `bound` come more often than others. `a` is 2^n - 1.
fn uneven(a: u32, bound: u32, bits: u64) -> u32 {
    const C: u32 = 123;
    ((below(a + 1, bits as u32) | below(bound, (bits >> 32) as u32)) + C) % bound
}

impl Transaction {
    /// Transaction number `index` of the run with this seed. Every index and seed has one.
    ///
    /// ```
    /// # use workloads::order_entry::*;
    /// # use workloads::{Id, Money};
    /// let transaction = Transaction::at(Scale::small(), 42, 7);
    /// assert_eq!(transaction, Transaction::at(Scale::small(), 42, 7));
    /// ```
    pub fn at(scale: Scale, seed: u64, index: u64) -> Transaction {
        let seed = draw(seed, index);
        let (kind, who, what) = (draw(seed, 100), draw(seed, 101), draw(seed, 102));
        let district = below(DISTRICTS, who as u32);
        let customer = uneven(1023, scale.customers, draw(seed, 103));
        match below(100, kind as u32) {
            0..45 => Transaction::NewOrder(NewOrder::at(scale, seed)),
            45..88 => Transaction::Payment {
                district,
                customer,
                amount: 100 + i64::from(below(499_901, what as u32)),
            },
            88..92 => Transaction::Delivery { carrier: 1 + below(10, what as u32) },
            92..96 => Transaction::OrderStatus { district, customer },
            _ => Transaction::StockLevel { district, threshold: 10 + below(11, what as u32) },
        }
    }
}

/// What transactions have read and told: a digest, by which it is compared, and by which reading cannot be left out.
///
/// Example: see [`note`](Told::note).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told(u64);

impl Default for Told {
    fn default() -> Self {
        Told(0xCBF2_9CE4_8422_2325)
    }
}

impl Told {
    /// Notes a number; the order matters.
    ///
    /// ```
    /// # use workloads::order_entry::*;
    /// # use workloads::{Id, Money};
    /// let (mut one, mut other) = (Told::default(), Told::default());
    /// [1, 2].map(|word| one.note(word));
    /// [2, 1].map(|word| other.note(word));
    /// assert_ne!(one.digest(), other.digest());
    /// ```
    #[inline(always)]
    pub fn note(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01B3).rotate_left(29);
    }

    /// The digest.
    ///
    /// Example: see [`note`](Told::note).
    pub fn digest(self) -> u64 {
        self.0
    }

    /// What order-status tells of an order and its lines.
    ///
    /// ```
    /// # use workloads::order_entry::*;
    /// # use workloads::{Id, Money};
    /// let mut told = Told::default();
    /// told.note_order(&Order::initial(Scale::small(), 0));
    /// assert_ne!(told, Told::default());
    /// ```
    #[inline]
    pub fn note_order(&mut self, order: &Order) {
        self.note(order.number.get().into());
        self.note(order.entered.get() as u64);
        self.note(order.delivered.carrier.get().into());
        self.note(order.delivered.at.get() as u64);
        for line in &order.lines[..(order.line_count.get() as usize).min(LINES_MAX)] {
            self.note(line.item.get().into());
            self.note(line.quantity.get().into());
            self.note(line.amount.get() as u64);
        }
    }
}

/// What an order costs its customer: discount and taxes in units of a ten-thousandth.
///
/// ```
/// # use workloads::order_entry::*;
/// # use workloads::{Id, Money};
/// // 100.00 with 10 % off, and 5 % and 15 % of taxes:
/// assert_eq!(total(10_000, Id::new(1000), [Id::new(500), Id::new(1500)]), 10_800);
/// ```
#[inline]
pub fn total(amount: i64, discount: Id, taxes: [Id; 2]) -> i64 {
    let tax = i64::from(taxes[0].get()) + i64::from(taxes[1].get());
    amount * (10_000 - i64::from(discount.get())) / 10_000 * (10_000 + tax) / 10_000
}

/// What TPC-C finds by an index, in volatile memory: found again from the tables after a restart.
///
/// Example: see [`find`](Index::find).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    heads: [u32; DISTRICTS as usize],
    last_orders: Vec<u32>,
    scale: Scale,
}

impl Index {
    /// From the orders, by their place in the table, and each district's next number.
    ///
    /// ```
    /// # use workloads::order_entry::*;
    /// # use workloads::{Id, Money};
    /// let scale = Scale::small();
    /// let next = scale.initial_orders() + 1;
    /// let mut index = Index::find(scale, [next; 10], |place| Order::initial(scale, place));
    /// assert_eq!(index.head(0, next), scale.initial_head());
    /// index.delivered(0, scale.initial_head());
    /// assert_eq!(index.head(0, next), scale.initial_head() + 1);
    /// ```
    pub fn find(
        scale: Scale,
        next_orders: [u32; DISTRICTS as usize],
        mut order: impl FnMut(u64) -> Order,
    ) -> Index {
        let mut index = Index { heads: next_orders, last_orders: vec![0; scale.customers() as usize], scale };
        for (district, next) in (0..).zip(next_orders) {
            for number in scale.oldest_kept(next)..next {
                let order = order(scale.order_index(district, number));
                let is_queued = order.delivered.carrier == Id::new(0);
                let head = &mut index.heads[district as usize];
                if is_queued && number < *head {
                    *head = number;
                }
                index.entered(district, order.customer.get(), number);
            }
        }
        index
    }

    /// The oldest order in a district's queue if `next` is the district's next number, or `next` if there is none.
    ///
    /// Example: see [`find`](Index::find).
    #[inline]
    pub fn head(&self, district: u32, next: u32) -> u32 {
        self.heads[district as usize].max(self.scale.oldest_kept(next))
    }

    /// The order was delivered, and that is committed.
    ///
    /// Example: see [`find`](Index::find).
    #[inline]
    pub fn delivered(&mut self, district: u32, number: u32) {
        self.heads[district as usize] = number + 1;
    }

    /// Number of a customer's last order; 0 if there is none. It may have left the ring.
    ///
    /// Example: see [`entered`](Index::entered).
    #[inline]
    pub fn last_order(&self, district: u32, customer: u32) -> u32 {
        self.last_orders[self.scale.customer_index(district, customer) as usize]
    }

    /// The order was entered, and that is committed.
    ///
    /// ```
    /// # use workloads::order_entry::*;
    /// # use workloads::{Id, Money};
    /// let scale = Scale::small();
    /// let mut index = Index::find(scale, [1; 10], |_| Order::NONE);
    /// assert_eq!(index.last_order(2, 5), 0);
    /// index.entered(2, 5, 33);
    /// assert_eq!(index.last_order(2, 5), 33);
    /// ```
    #[inline]
    pub fn entered(&mut self, district: u32, customer: u32, number: u32) {
        self.last_orders[self.scale.customer_index(district, customer) as usize] = number;
    }
}

/// All tables in plain vectors, and a replay of the transactions on them.
///
/// ```
/// # use workloads::order_entry::*;
/// let scale = Scale::small();
/// let mut model = Model::new(scale);
/// for index in 0..100 {
///     model.apply(&Transaction::at(scale, 42, index));
/// }
/// model.check().unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Model {
    scale: Scale,
    /// The warehouse.
    pub warehouse: Warehouse,
    /// The districts.
    pub districts: Vec<District>,
    /// The customers, district by district.
    pub customers: Vec<Customer>,
    /// The items.
    pub items: Vec<Item>,
    /// The stock of each item.
    pub stock: Vec<Stock>,
    /// A ring of orders for each district.
    pub orders: Vec<Order>,
    /// A ring of payments.
    pub history: Vec<Paid>,
    told: Told,
    payment_count: u64,
    count: u64,
}

impl Model {
    /// The tables in the beginning.
    ///
    /// ```
    /// # use workloads::order_entry::*;
    /// # use workloads::{Id, Money};
    /// let model = Model::new(Scale::small());
    /// assert_eq!((model.districts.len(), model.customers.len()), (10, 300));
    /// ```
    pub fn new(scale: Scale) -> Model {
        Model {
            scale,
            warehouse: Warehouse::new(),
            districts: (0..DISTRICTS).map(|id| District::new(scale, id)).collect(),
            customers: (0..scale.customers()).map(Customer::new).collect(),
            items: (0..scale.items()).map(Item::new).collect(),
            stock: (0..scale.items()).map(Stock::new).collect(),
            orders: (0..scale.orders()).map(|index| Order::initial(scale, index)).collect(),
            history: vec![Paid::NONE; scale.payments() as usize],
            told: Told::default(),
            payment_count: 0,
            count: 0,
        }
    }

    /// What all transactions have told.
    ///
    /// ```
    /// # use workloads::order_entry::*;
    /// let scale = Scale::small();
    /// let mut model = Model::new(scale);
    /// for index in 0..100 {
    ///     model.apply(&Transaction::at(scale, 42, index));
    /// }
    /// println!("{:#x}", model.told().digest());
    /// # assert_ne!(model.told(), Told::default());
    /// ```
    pub fn told(&self) -> Told {
        self.told
    }

    /// The transaction that comes next.
    ///
    /// Example: see [`Model`].
    pub fn apply(&mut self, transaction: &Transaction) {
        self.count += 1;
        match *transaction {
            Transaction::NewOrder(ref order) => self.enter(order),
            Transaction::Payment { district, customer, amount } => self.pay(district, customer, amount),
            Transaction::Delivery { carrier } => (0..DISTRICTS).for_each(|id| self.deliver(id, carrier)),
            Transaction::OrderStatus { district, customer } => self.tell_order(district, customer),
            Transaction::StockLevel { district, threshold } => self.tell_stock(district, threshold),
        }
    }

    fn enter(&mut self, new: &NewOrder) {
        if new.aborts {
            return;
        }
        let district = &mut self.districts[new.district as usize];
        let number = district.next_order.get();
        district.next_order = Id::new(number + 1);
        let mut lines = Vec::new();
        for (item, quantity) in new.lines() {
            let stock = &mut self.stock[item as usize];
            let amount = self.items[item as usize].price.get() * i64::from(quantity);
            lines.push(Line::new(item, quantity, amount, stock.info[new.district as usize]));
            if self.scale.draws_stock {
                stock.level = stock.level.after(quantity);
            }
        }
        let customer = &self.customers[self.scale.customer_index(new.district, new.customer) as usize];
        let amount = lines.iter().map(|line| line.amount.get()).sum();
        let line_count = lines.len();
        lines.resize(LINES_MAX, Line::NONE);
        let slot = self.scale.order_index(new.district, number) as usize;
        let lines = lines.try_into().expect("as many as an order has");
        self.orders[slot] = Order::new(number, new.customer, self.count as i64, line_count as u32, lines);
        self.told.note(total(amount, customer.discount, [self.warehouse.tax, district.tax]) as u64);
    }

    fn pay(&mut self, district: u32, customer: u32, amount: i64) {
        self.warehouse.ytd.add(amount);
        self.districts[district as usize].ytd.add(amount);
        let paid = Paid::new(self.count as i64, district, customer, amount);
        let customer = &mut self.customers[self.scale.customer_index(district, customer) as usize];
        if customer.has_bad_credit == 1 {
            customer.bad = customer.bad.after_payment(&paid);
        } else {
            customer.bad.standing = customer.bad.standing.after_payment(amount);
        }
        self.history[(self.payment_count % self.scale.payments()) as usize] = paid;
        self.payment_count += 1;
    }

    /// The ring of a district, the oldest order first.
    fn recent(&self, district: u32) -> impl DoubleEndedIterator<Item = usize> + use<> {
        let next = self.districts[district as usize].next_order.get();
        let scale = self.scale;
        (scale.oldest_kept(next)..next).map(move |number| scale.order_index(district, number) as usize)
    }

    fn deliver(&mut self, district: u32, carrier: u32) {
        let is_queued = |&slot: &usize| self.orders[slot].delivered.carrier.get() == 0;
        let Some(slot) = self.recent(district).find(is_queued) else { return };
        let order = &mut self.orders[slot];
        order.delivered = Delivered { carrier: Id::new(carrier), at: Money::new(self.count as i64) };
        let customer = self.scale.customer_index(district, order.customer.get()) as usize;
        let standing = &mut self.customers[customer].bad.standing;
        *standing = standing.after_delivery(order.amount());
    }

    fn tell_order(&mut self, district: u32, customer: u32) {
        let balance =
            self.customers[self.scale.customer_index(district, customer) as usize].bad.standing.balance;
        self.told.note(balance.get() as u64);
        let is_last = |&slot: &usize| self.orders[slot].customer.get() == customer;
        if let Some(slot) = self.recent(district).rev().find(is_last) {
            self.told.note_order(&self.orders[slot]);
        }
    }

    fn tell_stock(&mut self, district: u32, threshold: u32) {
        let slots: Vec<_> = self.recent(district).rev().take(RECENT_ORDERS as usize).collect();
        let mut items: Vec<_> = slots
            .iter()
            .flat_map(|&slot| self.orders[slot].lines)
            .filter(|line| line.quantity.get() > 0)
            .map(|line| line.item.get())
            .collect();
        items.sort_unstable();
        items.dedup();
        let is_low = |&&item: &&u32| self.stock[item as usize].level.quantity.get() < threshold;
        self.told.note(items.iter().filter(is_low).count() as u64);
    }

    /// Whether the tables agree with each other, by TPC-C's consistency conditions (clause 3.3.2 of revision 5.11). Those
    /// that add up all orders or all payments are left out once the ring has come round.
    ///
    /// ```
    /// # use workloads::order_entry::*;
    /// let scale = Scale::small();
    /// let mut model = Model::new(scale);
    /// for index in 0..100 {
    ///     model.apply(&Transaction::at(scale, 42, index));
    /// }
    /// model.warehouse.ytd.add(1);
    /// println!("{}", model.check().unwrap_err());
    /// ```
    ///
    /// # Errors
    /// The first condition that does not hold.
    pub fn check(&self) -> Result<(), Inconsistency> {
        let scale = self.scale;
        let is = |rule, place: u64, found: i128, expected: i128| {
            if found == expected { Ok(()) } else { Err(Inconsistency { rule, place, found, expected }) }
        };
        let district_sum = self.districts.iter().map(|district| i128::from(district.ytd.get())).sum();
        is("the warehouse's year is its districts'", 0, self.warehouse.ytd.get().into(), district_sum)?;

        let mut delivered = vec![0i128; self.customers.len()];
        let mut sold = vec![0i128; self.items.len()];
        let mut has_all_orders = true;
        for id in 0..DISTRICTS {
            let next = self.districts[id as usize].next_order.get();
            has_all_orders &= next <= scale.orders + 1;
            let ring = &self.orders[scale.order_index(id, 1) as usize..][..scale.orders as usize];
            let newest = ring.iter().map(|order| order.number.get()).max().unwrap_or(0);
            is("the next order is the newest and one", id.into(), i128::from(newest) + 1, next.into())?;
            let mut has_queue = false;
            for slot in self.recent(id) {
                let (order, place) = (&self.orders[slot], slot as u64);
                let line_count = order.lines.iter().filter(|line| line.quantity.get() > 0).count();
                is("an order has its lines", place, line_count as i128, order.line_count.get().into())?;
                let (is_queued, has_no_date) =
                    (order.delivered.carrier.get() == 0, order.delivered.at.get() == 0);
                is("a carrier has a date", place, is_queued.into(), has_no_date.into())?;
                is("the queue has no gap", place, (has_queue && !is_queued).into(), 0)?;
                has_queue |= is_queued;
                let customer = scale.customer_index(id, order.customer.get()) as usize;
                if !is_queued {
                    delivered[customer] += i128::from(order.amount());
                }
                if order.entered.get() > 0 {
                    for line in &order.lines[..line_count] {
                        sold[line.item.get() as usize] += i128::from(line.quantity.get());
                    }
                }
            }
        }
        if has_all_orders {
            for (place, (customer, amount)) in (0..).zip(std::iter::zip(&self.customers, delivered)) {
                let Standing { balance, paid, .. } = customer.bad.standing;
                let found = i128::from(balance.get()) + i128::from(paid.get());
                is("what a customer owes and has paid was delivered", place, found, amount)?;
            }
            for (place, (stock, sold)) in (0..).zip(std::iter::zip(&self.stock, sold)) {
                let sold = if scale.draws_stock { sold } else { 0 };
                is("what has left the stock was ordered", place, stock.level.ytd.get().into(), sold)?;
            }
        }
        if self.payment_count <= scale.payments() {
            let sum: i128 = self.history.iter().map(|paid| i128::from(paid.amount.get())).sum();
            let found = i128::from(self.warehouse.ytd.get()) - i128::from(Warehouse::new().ytd.get());
            is("the warehouse's year is the payments'", 0, found, sum)?;
        }
        Ok(())
    }
}

/// Two things that do not agree.
///
/// Example: see [`check`](Model::check).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inconsistency {
    /// What has to hold.
    pub rule: &'static str,
    /// Index of the district, order, customer or stock.
    pub place: u64,
    /// One side.
    pub found: i128,
    /// The other.
    pub expected: i128,
}

impl fmt::Display for Inconsistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inconsistency { rule, place, found, expected } = self;
        write!(f, "{rule}: at {place} found {found}, expected {expected}")
    }
}

impl std::error::Error for Inconsistency {}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: u64 = 11;

    fn after(scale: Scale, count: u64) -> Model {
        let mut model = Model::new(scale);
        (0..count).for_each(|index| model.apply(&Transaction::at(scale, SEED, index)));
        model
    }

    #[test]
    fn the_mix_is_the_one_of_the_definition() {
        let scale = Scale::default();
        let mut counts = [0u32; 6];
        for index in 0..100_000 {
            let kind = match Transaction::at(scale, SEED, index) {
                Transaction::NewOrder(NewOrder { aborts: true, .. }) => {
                    counts[5] += 1;
                    0
                }
                Transaction::NewOrder(_) => 0,
                Transaction::Payment { .. } => 1,
                Transaction::Delivery { .. } => 2,
                Transaction::OrderStatus { .. } => 3,
                Transaction::StockLevel { .. } => 4,
            };
            counts[kind] += 1;
        }
        let shares = [45_000, 43_000, 4000, 4000, 4000, 450];
        for (count, share) in std::iter::zip(counts, shares) {
            assert!(count.abs_diff(share) < share / 5, "{counts:?}");
        }
    }

    #[test]
    fn transactions_stay_in_their_tables_and_no_item_comes_twice() {
        for scale in [Scale::default(), Scale::small()] {
            let mut line_counts = [false; LINES_MAX + 1];
            for index in (0..20_000).chain(u64::MAX - 10..=u64::MAX) {
                match Transaction::at(scale, SEED, index) {
                    Transaction::NewOrder(order) => {
                        assert!(order.district < DISTRICTS && order.customer < scale.customers);
                        let mut items: Vec<_> = order.lines().map(|(item, _)| item).collect();
                        line_counts[items.len()] = true;
                        assert!(order.lines().all(|(item, n)| item < scale.items && (1..=10).contains(&n)));
                        items.sort_unstable();
                        items.dedup();
                        assert_eq!(items.len(), order.lines().len());
                    }
                    Transaction::Payment { district, customer, amount } => {
                        assert!(district < DISTRICTS && customer < scale.customers);
                        assert!((100..=500_000).contains(&amount));
                    }
                    Transaction::Delivery { carrier } => assert!((1..=10).contains(&carrier)),
                    Transaction::OrderStatus { district, customer } => {
                        assert!(district < DISTRICTS && customer < scale.customers);
                    }
                    Transaction::StockLevel { district, threshold } => {
                        assert!(district < DISTRICTS && (10..=20).contains(&threshold));
                    }
                }
            }
            assert_eq!(line_counts[..5], [false; 5]);
            assert_eq!(line_counts[5..], [true; 11]);
        }
    }

    #[test]
    fn the_tables_agree_before_within_and_beyond_the_rings() {
        for scale in [Scale::small(), Scale::small().with_stock()] {
            for count in [0, 1, 50, 300, 1000, 10_000] {
                after(scale, count).check().unwrap();
            }
        }
        let scale = Scale { orders: 2048, payments: 4000, ..Scale::small() }.with_stock();
        let model = after(scale, 5000);
        assert!(model.payment_count <= 4000, "nothing has come round: all conditions are checked");
        model.check().unwrap();
    }

    #[test]
    fn an_order_that_aborts_has_never_been() {
        let mut model = after(Scale::small(), 100);
        let (orders, told) = (model.orders.clone(), model.told);
        let aborts = |index| match Transaction::at(Scale::small(), SEED, index) {
            Transaction::NewOrder(order) => order.aborts,
            _ => false,
        };
        let index = (0..).find(|&index| aborts(index)).unwrap();
        model.apply(&Transaction::at(Scale::small(), SEED, index));
        assert!(model.orders == orders && model.told == told);
    }

    #[test]
    fn an_index_is_found_again_from_the_tables() {
        let scale = Scale::small();
        for count in [0, 100, 5000] {
            let model = after(scale, count);
            let next_orders = std::array::from_fn(|id| model.districts[id].next_order.get());
            let index = Index::find(scale, next_orders, |slot| model.orders[slot as usize]);
            for (district, next) in (0..).zip(next_orders) {
                let head = index.head(district, next);
                let queued =
                    model.recent(district).filter(|&slot| model.orders[slot].delivered.carrier.get() == 0);
                assert_eq!(queued.count(), (next - head) as usize);
                for customer in 0..scale.customers {
                    let of_customer = |&slot: &usize| model.orders[slot].customer.get() == customer;
                    let last = model.recent(district).rev().find(of_customer);
                    let number = last.map_or(0, |slot| model.orders[slot].number.get());
                    assert_eq!(index.last_order(district, customer), number);
                }
            }
        }
    }

    #[test]
    fn what_order_status_and_stock_level_tell_depends_on_what_they_read() {
        let told = |spoil: fn(&mut Model), ask: Transaction| {
            let mut model = after(Scale::small(), 300);
            spoil(&mut model);
            model.apply(&ask);
            model.told
        };
        let status = Transaction::OrderStatus { district: 3, customer: 7 };
        assert_eq!(told(|_| (), status), told(|_| (), status));
        assert_ne!(
            told(|_| (), status),
            told(|model| model.customers[97].bad.standing.balance.add(1), status)
        );
        let spoil_lines: fn(&mut Model) =
            |model| model.orders.iter_mut().for_each(|o| o.lines[4].amount.add(1));
        assert_ne!(told(|_| (), status), told(spoil_lines, status));
        let level = Transaction::StockLevel { district: 3, threshold: 15 };
        let empty: fn(&mut Model) =
            |model| model.stock.iter_mut().for_each(|s| s.level.quantity = Id::new(0));
        assert_ne!(told(|_| (), level), told(empty, level));
    }

    #[test]
    fn each_condition_is_seen_to_be_broken() {
        let scale = Scale { orders: 2048, payments: 4000, ..Scale::small() }.with_stock();
        let check = |rule: &str, spoil: fn(&mut Model)| {
            let mut model = after(scale, 2000);
            model.check().unwrap();
            spoil(&mut model);
            let found = model.check().unwrap_err();
            assert_eq!(found.rule, rule, "{found}");
        };
        check("the warehouse's year is its districts'", |model| model.warehouse.ytd.add(1));
        check("the next order is the newest and one", |model| model.districts[9].next_order = Id::new(1));
        check("an order has its lines", |model| model.orders[2048].lines[4].quantity = Id::new(0));
        check("a carrier has a date", |model| model.orders[2048].delivered.at = Money::new(0));
        check("the queue has no gap", |model| {
            model.orders[0].delivered = Delivered { carrier: Id::new(0), at: Money::new(0) };
        });
        check("what a customer owes and has paid was delivered", |model| {
            model.customers[8].bad.standing.balance.add(1);
        });
        check("what has left the stock was ordered", |model| model.stock[8].level.ytd.add(1));
        check("the warehouse's year is the payments'", |model| {
            model.warehouse.ytd.add(1);
            model.districts[0].ytd.add(1);
        });
    }
}
