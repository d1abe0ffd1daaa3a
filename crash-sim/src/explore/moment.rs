//! What an image may hold at each moment of a stream, and whether a crash may fall there. Start at [`Moments`].

use std::mem;

use crate::campaign::Expect;
use crate::trace::{Event, Trace};

/// What an image may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Context {
    pub(super) expect: Expect,
    /// Creation has not returned: the image may be refused.
    pub(super) is_creating: bool,
}

impl Context {
    fn hash(self) -> u128 {
        let Expect { acked, begun } = self.expect;
        let word = (acked as u64) << 33 | (begun as u64) << 1 | u64::from(self.is_creating);
        u128::from(word).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
    }
}

/// What an image may hold at a moment of a stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) context: Context,
    pub(super) len: u64,
    /// Whether a crash may fall here.
    pub(super) is_crashed: bool,
}

impl Moment {
    pub(super) fn hash(self) -> u128 {
        self.context.hash() ^ u128::from(self.len).wrapping_mul(0xD6E8_FEB8_6659_FD93_8EBC_6AF0_9C88_C6E3)
    }
}

/// The moments of a stream, one after the other.
pub(super) struct Moments<'t> {
    now: Moment,
    /// Hash of it.
    pub(super) salt: u128,
    events: &'t [Event],
    /// How many of them have happened.
    count: usize,
    /// Whether the last of them was the end of a recovery: behind the next one no crash falls.
    has_opened: bool,
}

impl<'t> Moments<'t> {
    pub(super) fn of(trace: &'t Trace, start: Moment) -> Self {
        Moments { now: start, salt: start.hash(), events: trace.events(), count: 0, has_opened: false }
    }

    /// When so many events have happened: no fewer than last time.
    #[inline]
    pub(super) fn at(&mut self, index: usize) -> Moment {
        while self.count < index {
            self.pass(&self.events[self.count]);
            self.count += 1;
        }
        self.now
    }

    #[inline]
    fn pass(&mut self, event: &Event) {
        if mem::take(&mut self.has_opened) {
            self.now.is_crashed = false;
        }
        match *event {
            Event::Grow { len } => self.now.len = len,
            Event::Begin { op } => {
                self.now.context.expect.begun = op as usize;
                self.now.is_crashed = true;
            }
            Event::Ack { op } => {
                self.now.context = Context { expect: Expect::exactly(op as usize), is_creating: false };
            }
            Event::Opened { state } => {
                if let Some(state) = state {
                    // What a completed recovery has come to, another one must come to as well.
                    self.now.context =
                        Context { expect: Expect::exactly(state as usize), is_creating: false };
                }
                self.has_opened = true;
            }
            _ => return,
        }
        self.salt = self.now.hash();
    }
}
