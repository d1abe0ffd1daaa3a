//! What a child is told, and what it tells.
//!
//! A [`Task`] is a line in the environment. A child answers in words of eight bytes, a tag in the highest of them; none of
//! its writes is longer than what a pipe takes whole, so that a kill does not cut a word. Start at [`Task`].

use std::fmt;
use std::fs::File;
use std::io::{self, Write};

use crate::Oracle;
use crate::campaign::Expect;

/// What a child is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Task {
    /// What the file may hold, if there is one.
    pub(super) expect: Expect,
    /// Its creation was killed: it may be refused.
    pub(super) is_creating: bool,
    pub(super) goal: Goal,
}

/// How far it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// Makes the file and does everything, and tells how many calls that were.
    Measure,
    /// Dies at a call of the creation.
    Create { call: u64 },
    /// Opens the file, checks, and tells how many calls that were.
    Count,
    /// Dies at a call of the recovery.
    Recover { call: u64 },
    /// Goes on with the operations, and dies at a call of this one.
    Operate { number: usize, call: u64 },
    /// Does the operations below this one, and waits to be killed. Each call lingers so many nanoseconds.
    Run { to: usize, linger: u64 },
    /// Does the rest of the operations, closes, opens once more, and ends.
    Finish,
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Task { expect, is_creating, goal } = *self;
        let (name, a, b) = match goal {
            Goal::Measure => ("measure", 0, 0),
            Goal::Create { call } => ("create", call, 0),
            Goal::Count => ("count", 0, 0),
            Goal::Recover { call } => ("recover", call, 0),
            Goal::Operate { number, call } => ("operate", number as u64, call),
            Goal::Run { to, linger } => ("run", to as u64, linger),
            Goal::Finish => ("finish", 0, 0),
        };
        write!(f, "{} {} {} {name} {a} {b}", expect.acked, expect.begun, u8::from(is_creating))
    }
}

impl Task {
    pub(super) fn parse(text: &str) -> Option<Task> {
        let words: Vec<&str> = text.split(' ').collect();
        let &[acked, begun, is_creating, name, a, b] = &words[..] else { return None };
        let (a, b): (u64, u64) = (a.parse().ok()?, b.parse().ok()?);
        let goal = match name {
            "measure" => Goal::Measure,
            "create" => Goal::Create { call: a },
            "count" => Goal::Count,
            "recover" => Goal::Recover { call: a },
            "operate" => Goal::Operate { number: a as usize, call: b },
            "run" => Goal::Run { to: a as usize, linger: b },
            "finish" => Goal::Finish,
            _ => return None,
        };
        let expect = Expect { acked: acked.parse().ok()?, begun: begun.parse().ok()? };
        Some(Task { expect, is_creating: is_creating == "1", goal })
    }
}

/// What a child tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// It has come to the campaign.
    Hello,
    /// The file is open, and holds the state after so many operations.
    Opened(usize),
    /// The file is open and holds what it may, but the check takes every state that it may be.
    Loose,
    /// The file was refused, as it may be.
    Refused,
    /// What it did last took so many calls.
    Calls(u64),
    /// So many operations are acknowledged.
    Acked(usize),
    /// All operations together took so many nanoseconds.
    Nanos(u64),
    /// It has done what it was to do.
    Done,
    /// Something does not hold.
    Failed(Oracle, String),
    /// The system refuses something.
    Denied(String),
}

const ORACLES: [Oracle; 6] =
    [Oracle::Atomicity, Oracle::Durability, Oracle::Refused, Oracle::Panic, Oracle::Resume, Oracle::Workload];

/// What a pipe takes whole on every Unix, less a word.
const TEXT_MAX: usize = 512 - 8;

impl Message {
    /// Writes it, at once.
    pub(super) fn write(&self, pipe: &mut File) -> io::Result<()> {
        let (tag, value, text) = match self {
            Message::Hello => (1, 0, ""),
            Message::Opened(state) => (2, *state as u64, ""),
            Message::Loose => (3, 0, ""),
            Message::Refused => (4, 0, ""),
            Message::Calls(calls) => (5, *calls, ""),
            Message::Acked(count) => (6, *count as u64, ""),
            Message::Nanos(nanos) => (7, *nanos, ""),
            Message::Done => (8, 0, ""),
            Message::Denied(text) => {
                let text = cut(text);
                (10, text.len() as u64, text)
            }
            Message::Failed(oracle, text) => {
                let text = cut(text);
                let number = ORACLES.iter().position(|other| other == oracle).expect("all are listed");
                (9, (number as u64) << 32 | text.len() as u64, text)
            }
        };
        let mut bytes = (tag << 56 | value).to_le_bytes().to_vec();
        bytes.extend_from_slice(text.as_bytes());
        pipe.write_all(&bytes)
    }

    /// Takes one from the front of what was read; None if there is none, whole.
    pub(super) fn take(bytes: &mut Vec<u8>) -> Option<Message> {
        let word = u64::from_le_bytes(*bytes.first_chunk()?);
        let value = word & ((1 << 56) - 1);
        let mut len = 8;
        let message = match word >> 56 {
            1 => Message::Hello,
            2 => Message::Opened(value as usize),
            3 => Message::Loose,
            4 => Message::Refused,
            5 => Message::Calls(value),
            6 => Message::Acked(value as usize),
            7 => Message::Nanos(value),
            8 => Message::Done,
            tag @ (9 | 10) => {
                len += value as usize & 0xffff;
                let text = String::from_utf8_lossy(bytes.get(8..len)?).into_owned();
                let oracle = ORACLES.get((value >> 32) as usize).copied().unwrap_or(Oracle::Panic);
                if tag == 9 { Message::Failed(oracle, text) } else { Message::Denied(text) }
            }
            _ => Message::Failed(Oracle::Panic, format!("what the child told is not understood: {word:#x}")),
        };
        bytes.drain(..len);
        Some(message)
    }
}

/// As much of a text as goes into one write.
fn cut(text: &str) -> &str {
    let len = (0..=TEXT_MAX.min(text.len())).rev().find(|&len| text.is_char_boundary(len));
    &text[..len.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_reads_as_it_is_written() {
        let goals = [
            Goal::Measure,
            Goal::Create { call: 2 },
            Goal::Count,
            Goal::Recover { call: 3 },
            Goal::Operate { number: 4, call: 5 },
            Goal::Run { to: 6, linger: 7 },
            Goal::Finish,
        ];
        for goal in goals {
            let task = Task { expect: Expect { acked: 8, begun: 9 }, is_creating: true, goal };
            assert_eq!(Task::parse(&task.to_string()), Some(task));
        }
        assert_eq!(Task::parse("1 2 0 walk 0 0"), None);
    }

    #[test]
    fn messages_arrive_as_they_were_sent() {
        let long = "é".repeat(TEXT_MAX);
        let messages = [Message::Opened(3), Message::Failed(Oracle::Resume, long), Message::Done];
        let mut file = tempfile::tempfile().unwrap();
        messages.iter().for_each(|message| message.write(&mut file).unwrap());
        let mut bytes = Vec::new();
        io::Seek::rewind(&mut file).unwrap();
        io::Read::read_to_end(&mut file, &mut bytes).unwrap();
        assert_eq!(Message::take(&mut bytes), Some(Message::Opened(3)));
        let Some(Message::Failed(Oracle::Resume, text)) = Message::take(&mut bytes) else { panic!() };
        assert_eq!(text, "é".repeat(TEXT_MAX / 2));
        let mut cut = bytes[..7].to_vec();
        assert_eq!(Message::take(&mut cut), None);
        assert_eq!(Message::take(&mut bytes), Some(Message::Done));
    }
}
