//! How often a client may ask: a token bucket, in one number.
//!
//! A bucket holds up to `burst` tokens and gets one back every `interval`; a request takes one. All that has to be kept is the
//! moment at which the bucket will be full again: what is missing until then is `(full_at - now) / interval`. So a request
//! changes eight bytes, and a bucket that nobody used for a while is told from a full one by nothing and need not be kept.

use std::net::IpAddr;

use vista::Persistent;

use crate::Micros;

/// Who asks: the address of the peer, an IPv4 address in its mapped form.
#[derive(Clone, Copy, Debug, Persistent, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct Client([u8; 16]);

impl From<IpAddr> for Client {
    fn from(address: IpAddr) -> Self {
        Client(match address {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        })
    }
}

/// The limit for each client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How long it takes until a token comes back, in microseconds; at least 1.
    pub interval: Micros,
    /// How many tokens a full bucket has; at least 1.
    pub burst: u32,
}

/// What became of a request for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It got one.
    Yes,
    /// The bucket is empty; the next token comes in so many microseconds.
    NotBefore(Micros),
}

impl Rate {
    /// How long it takes to fill an empty bucket.
    pub fn fill_time(self) -> Micros {
        self.interval.max(1).saturating_mul(self.burst.max(1).into())
    }

    /// Takes a token from the bucket that is full at `full_at`. Gives the moment at which it is full afterwards, or how
    /// long there is no token.
    ///
    /// A bucket can lack no more than all of its tokens. So one that says otherwise was kept while the clock stood later, or
    /// the limit was another: it counts as empty, and a clock that was set back delays nobody for longer than the
    /// [fill time](Rate::fill_time).
    pub(crate) fn take(self, full_at: Micros, now: Micros) -> Result<Micros, Micros> {
        let fill_time = self.fill_time();
        let lacks = full_at.saturating_sub(now).min(fill_time);
        let lacks_then = lacks.saturating_add(self.interval.max(1));
        match lacks_then.checked_sub(fill_time) {
            None | Some(0) => Ok(now.saturating_add(lacks_then)),
            Some(wait) => Err(wait),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { interval: 10, burst: 3 };

    #[test]
    fn a_burst_is_let_in_and_then_one_each_interval() {
        let mut full_at = 0;
        for _ in 0..3 {
            full_at = RATE.take(full_at, 1000).unwrap();
        }
        assert_eq!(RATE.take(full_at, 1000), Err(10));
        assert_eq!(RATE.take(full_at, 1009), Err(1));
        full_at = RATE.take(full_at, 1010).unwrap();
        assert_eq!(RATE.take(full_at, 1010), Err(10));
    }

    #[test]
    fn a_clock_that_was_set_back_delays_no_longer_than_an_empty_bucket() {
        assert_eq!(RATE.take(u64::MAX, 1000), Err(10));
        assert_eq!(RATE.take(1_000_000, u64::MAX), Ok(u64::MAX));
    }

    #[test]
    fn no_limit_divides_by_zero() {
        let rate = Rate { interval: 0, burst: 0 };
        assert_eq!(rate.take(0, 5), Ok(6));
        assert_eq!(rate.take(6, 5), Err(1));
    }
}
