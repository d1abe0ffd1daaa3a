//! One entry as a line: of JSON, or of two fields set apart by a tab. Any bytes come through both.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

/// How entries are written in a file of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// JSON, an object in each line.
    Jsonl,
    /// Key and value, set apart by a tab.
    Tsv,
}

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
}

/// One entry, as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Owned {
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
}

/// An entry as JSON has it.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_base64: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
}

impl Line {
    fn with_key(key: &[u8]) -> Line {
        let (key, key_base64) = text_or_base64(key);
        Line { key, key_base64, ..Line::default() }
    }
}

fn text_or_base64(bytes: &[u8]) -> (Option<String>, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (None, Some(BASE64_STANDARD.encode(bytes))),
    }
}

impl Entry<'_> {
    /// As JSON, in one line.
    pub(super) fn json(self) -> String {
        let (value, value_base64) = text_or_base64(self.value);
        let line = Line { value, value_base64, ..Line::with_key(self.key) };
        serde_json::to_string(&line).expect("strings are JSON")
    }
}

impl Format {
    /// That of a file, by the end of its name.
    pub(super) fn of_name(name: &std::path::Path) -> Option<Format> {
        match name.extension()?.to_str()? {
            "tsv" => Some(Format::Tsv),
            "jsonl" | "json" | "ndjson" => Some(Format::Jsonl),
            _ => None,
        }
    }

    /// Writes an entry behind what is in `line`, without the line's end.
    pub(super) fn write(self, entry: Entry<'_>, line: &mut Vec<u8>) {
        match self {
            Format::Jsonl => line.extend_from_slice(entry.json().as_bytes()),
            Format::Tsv => {
                escape(entry.key, line);
                line.push(b'\t');
                escape(entry.value, line);
            }
        }
    }

    /// Writes a key alone.
    pub(super) fn write_key(self, key: &[u8], line: &mut Vec<u8>) {
        match self {
            Format::Jsonl => {
                let text = serde_json::to_string(&Line::with_key(key)).expect("strings are JSON");
                line.extend_from_slice(text.as_bytes());
            }
            Format::Tsv => escape(key, line),
        }
    }

    /// Reads a line, without its end.
    pub(super) fn read(self, line: &[u8]) -> Result<Owned, Wrong> {
        match self {
            Format::Jsonl => {
                let Line { key, key_base64, value, value_base64 } =
                    serde_json::from_slice(line).map_err(|error| Wrong::json(&error))?;
                Ok(Owned {
                    key: one_of("key", key, key_base64)?,
                    value: one_of("value", value, value_base64)?,
                })
            }
            Format::Tsv => {
                let tab = line.iter().position(|&byte| byte == b'\t');
                let (key, value) = line.split_at(tab.ok_or_else(|| Wrong("no tab".to_owned()))?);
                if value[1..].contains(&b'\t') {
                    return Err(Wrong("more than one tab: inside of a value it is written \\t".to_owned()));
                }
                Ok(Owned { key: unescape(key)?, value: unescape(&value[1..])? })
            }
        }
    }
}

/// What is wrong with a line.
#[derive(Debug)]
pub(super) struct Wrong(String);

impl Wrong {
    /// The number of the line is the caller's to say: here it is always the first.
    fn json(error: &serde_json::Error) -> Wrong {
        Wrong(error.to_string().replacen(" at line 1 column ", " at column ", 1))
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn one_of(name: &str, text: Option<String>, base64: Option<String>) -> Result<Vec<u8>, Wrong> {
    match (text, base64) {
        (Some(text), None) => Ok(text.into_bytes()),
        (None, Some(base64)) => {
            BASE64_STANDARD.decode(base64).map_err(|error| Wrong(format!("{name}_base64: {error}")))
        }
        _ => Err(Wrong(format!("expected either \"{name}\" or \"{name}_base64\""))),
    }
}

fn escape(bytes: &[u8], line: &mut Vec<u8>) {
    for &byte in bytes {
        match byte {
            b'\t' => line.extend_from_slice(b"\\t"),
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            b'\\' => line.extend_from_slice(b"\\\\"),
            _ => line.push(byte),
        }
    }
}

fn unescape(text: &[u8]) -> Result<Vec<u8>, Wrong> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next() {
                Some(b't') => b'\t',
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b'\\') => b'\\',
                _ => return Err(Wrong("a backslash that is not part of \\t, \\n, \\r or \\\\".to_owned())),
            },
            byte => byte,
        });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_come_back_out_of_both_formats() {
        let all: Vec<u8> = (0..=255).collect();
        let samples: [&[u8]; 8] =
            [b"", b"a", b"a\tb\nc\\d\re", "Grüße\u{0}".as_bytes(), b"\xff\xfe", &all, b"\\t", b"\""];
        for format in [Format::Jsonl, Format::Tsv] {
            for key in samples {
                for value in samples {
                    let mut line = Vec::new();
                    format.write(Entry { key, value }, &mut line);
                    assert!(!line.contains(&b'\n'), "{format:?} {key:?}");
                    let read =
                        format.read(&line).unwrap_or_else(|wrong| panic!("{format:?} {key:?}: {wrong}"));
                    assert_eq!((read.key.as_slice(), read.value.as_slice()), (key, value), "{format:?}");
                }
            }
        }
    }

    #[test]
    fn a_line_that_is_none_is_refused() {
        for (format, line, mention) in [
            (Format::Tsv, "alone", "no tab"),
            (Format::Tsv, "a\tb\tc", "more than one tab"),
            (Format::Tsv, "a\tb\\x", "backslash"),
            (Format::Tsv, "a\\\tb", "backslash"),
            (Format::Jsonl, "", "EOF"),
            (Format::Jsonl, "[]", "key"),
            (Format::Jsonl, "{\"key\":\"a\"}", "value"),
            (Format::Jsonl, "{\"key\":\"a\",\"key_base64\":\"\",\"value\":\"\"}", "either"),
            (Format::Jsonl, "{\"key\":\"a\",\"value_base64\":\"?\"}", "base64"),
            (Format::Jsonl, "{\"key\":\"a\",\"value\":\"b\",\"more\":1}", "unknown field"),
            (Format::Jsonl, "{\"key\":1,\"value\":\"b\"}", "string"),
        ] {
            let wrong = format.read(line.as_bytes()).unwrap_err().to_string();
            assert!(wrong.contains(mention), "{line}: {wrong}");
        }
    }
}
