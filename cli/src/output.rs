//! Lines on stdout, and numbers for people.

use std::fmt::{self, Display};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::failure::Failure;

/// What a command has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Good,
    Bad,
}

impl Verdict {
    pub(crate) fn good_if(is_good: bool) -> Verdict {
        if is_good { Verdict::Good } else { Verdict::Bad }
    }
}

/// Stdout. A reader who has read enough and gone (`vista info … | head -3`) is no error: what comes after is not
/// written.
#[derive(Default)]
pub(crate) struct Output {
    is_closed: bool,
}

impl Output {
    /// Whether the reader has gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    pub(crate) fn line(&mut self, line: impl Display) -> Result<(), Failure> {
        self.bytes(format!("{line}\n").as_bytes())
    }

    /// Writes these bytes, at once.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.is_closed {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.is_closed = true,
            Err(error) => return Err(Failure::system(Path::new("<stdout>"), "write", &error)),
            Ok(()) => {}
        }
        Ok(())
    }

    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value);
        self.line(text.map_err(|error| Failure::new(format!("<stdout>: JSON: {error}")))?)
    }
}

/// Many lines, written together.
pub(crate) struct Lines {
    output: Output,
    buffer: Vec<u8>,
}

impl Lines {
    const LEN: usize = 1 << 16;

    pub(crate) fn new() -> Lines {
        Lines { output: Output::default(), buffer: Vec::with_capacity(Self::LEN) }
    }

    /// Whether the reader has gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.output.is_closed
    }

    /// The next line is what `write` appends.
    pub(crate) fn line(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), Failure> {
        write(&mut self.buffer);
        self.buffer.push(b'\n');
        if self.buffer.len() >= Self::LEN { self.flush() } else { Ok(()) }
    }

    /// Writes what is left.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        self.flush()
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.output.bytes(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

/// A number in groups of three digits.
pub(crate) struct Grouped(pub(crate) u64);

impl Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut text = String::new();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        f.pad(&text)
    }
}

/// A length in bytes, with a short form beside it where that helps.
pub(crate) struct Bytes(pub(crate) u64);

impl Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = counted(self.0, "byte");
        let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];
        if let Some((unit, shift)) = units.into_iter().rfind(|(_, shift)| self.0 >> shift > 0) {
            text += &format!(" ({:.1} {unit})", self.0 as f64 / (1u64 << shift) as f64);
        }
        f.pad(&text)
    }
}

/// A time, in a unit that leaves three digits or so.
pub(crate) struct Time(pub(crate) Duration);

impl Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_secs_f64() * 1e6;
        f.pad(&match micros {
            ..10.0 => format!("{micros:.1} us"),
            ..10_000.0 => format!("{micros:.0} us"),
            ..10_000_000.0 => format!("{:.1} ms", micros / 1e3),
            _ => format!("{:.1} s", micros / 1e6),
        })
    }
}

/// `1 record`, `2 records`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", Grouped(count), if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1234567, "1,234,567")] {
            assert_eq!(Grouped(number).to_string(), text);
        }
        assert_eq!(format!("{:>7}|{:<6}|", Grouped(1000), Grouped(1000)), "  1,000|1,000 |");
        assert_eq!(Bytes(1).to_string(), "1 byte");
        assert_eq!(Bytes(1536).to_string(), "1,536 bytes (1.5 KiB)");
        assert_eq!(Bytes(3 << 30).to_string(), "3,221,225,472 bytes (3.0 GiB)");
        assert_eq!(Time(Duration::from_nanos(2340)).to_string(), "2.3 us");
        assert_eq!(Time(Duration::from_micros(234)).to_string(), "234 us");
        assert_eq!(Time(Duration::from_millis(23)).to_string(), "23.0 ms");
        assert_eq!(counted(1, "record"), "1 record");
        assert_eq!(counted(2, "record"), "2 records");
    }
}
