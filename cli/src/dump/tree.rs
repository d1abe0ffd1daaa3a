//! A value as a tree of lines, and as JSON.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, Serializer};
use vista::inspect::{Target, Value};

use crate::failure::Failure;
use crate::output::{Grouped, Output, counted};
use crate::paint::Paint;

/// Lists that are no longer stand in one line.
const LINE_LEN: usize = 100;

/// A value, to be shown.
pub(super) struct Tree(pub(super) Value);

impl Tree {
    /// Prints it below a heading.
    pub(super) fn print(&self, output: &mut Output, paint: Paint) -> Result<(), Failure> {
        lines("", &self.0, 1, output, paint)
    }

    /// What in it cannot be read.
    pub(super) fn errors(&self, errors: &mut Vec<String>) {
        collect_errors(&self.0, errors);
    }
}

fn collect_errors(value: &Value, errors: &mut Vec<String>) {
    match value {
        Value::Unreadable(error) => errors.push(error.to_string()),
        Value::Struct { fields, .. } => fields.iter().for_each(|(_, value)| collect_errors(value, errors)),
        Value::List { items, .. } => items.iter().for_each(|value| collect_errors(value, errors)),
        Value::Map { entries, .. } => entries.iter().for_each(|(key, value)| {
            collect_errors(key, errors);
            collect_errors(value, errors);
        }),
        Value::Reference { to: Target::Value(value), .. } => collect_errors(value, errors),
        _ => {}
    }
}

/// One line for a value, and more below it for its parts.
fn lines(
    label: &str,
    value: &Value,
    indent: usize,
    output: &mut Output,
    paint: Paint,
) -> Result<(), Failure> {
    let colon = if label.is_empty() { "" } else { ": " };
    let head = head(value, paint);
    output.line(format!("{:width$}{}{colon}{head}", "", paint.name(label), width = indent * 2))?;
    for (label, part) in parts(value) {
        lines(&label, part, indent + 1, output, paint)?;
    }
    match left_out(value) {
        0 => Ok(()),
        more => {
            let more = format!("and {} more", Grouped(more));
            output.line(format!("{:width$}{}", "", paint.aside(more), width = (indent + 1) * 2))
        }
    }
}

/// What stands in the line of a value.
fn head(value: &Value, paint: Paint) -> String {
    match value {
        Value::Unsigned(number) => number.to_string(),
        Value::Signed(number) => number.to_string(),
        Value::Float32(number) => format!("{number:?}"),
        Value::Float64(number) => format!("{number:?}"),
        Value::Nothing => "()".to_owned(),
        Value::None => "none".to_owned(),
        Value::Bytes { len, bytes } => {
            let mut text = format!("b\"{}\"", bytes.escape_ascii());
            if (bytes.len() as u64) < *len {
                text += &paint.aside(format!("... {} in all", counted(*len, "byte"))).to_string();
            }
            text
        }
        Value::Text { len, text } => {
            let mut shown = format!("{text:?}");
            if (text.len() as u64) < *len {
                shown += &paint.aside(format!("... {} in all", counted(*len, "byte"))).to_string();
            }
            shown
        }
        Value::Struct { name, .. } => paint.aside(name).to_string(),
        Value::List { items, len } => match in_line(value, paint) {
            Some(line) => line,
            None if items.is_empty() && *len == 0 => "[]".to_owned(),
            None => paint.aside(counted(*len, "element")).to_string(),
        },
        Value::Map { len: 0, .. } => "{}".to_owned(),
        Value::Map { len: 1, .. } => paint.aside("1 entry").to_string(),
        Value::Map { len, .. } => paint.aside(format!("{} entries", Grouped(*len))).to_string(),
        Value::Reference { of, to: Target::Null, .. } => paint.aside(format!("{of} null")).to_string(),
        Value::Reference { of, offset, to } => {
            let start = paint.aside(format!("{of} at {offset:#x}"));
            match to {
                Target::Value(value) => format!("{start} {}", head(value, paint)),
                Target::Seen => format!("{start} (shown above)"),
                _ => format!("{start} ..."),
            }
        }
        Value::Unknown { of } => format!("({of} is not known)"),
        Value::Unreadable(error) => paint.bad(format!("({error})")).to_string(),
        _ => "...".to_owned(),
    }
}

/// A short list of plain values, whole.
fn in_line(value: &Value, paint: Paint) -> Option<String> {
    let Value::List { len, items } = value else { return None };
    let is_plain = |value: &Value| match value {
        Value::Struct { .. } | Value::List { .. } | Value::Map { .. } => false,
        Value::Reference { to: Target::Value(to), .. } => {
            !matches!(**to, Value::Struct { .. } | Value::List { .. } | Value::Map { .. })
        }
        _ => true,
    };
    if items.is_empty() || !items.iter().all(is_plain) {
        return None;
    }
    let all: Vec<_> = items.iter().map(|item| head(item, paint)).collect();
    let more = len - items.len() as u64;
    let text = match more {
        0 => format!("[{}]", all.join(", ")),
        more => format!("[{}, and {} more]", all.join(", "), Grouped(more)),
    };
    let plain: usize = items.iter().map(|item| head(item, Paint::off()).len() + 2).sum();
    (plain <= LINE_LEN).then_some(text)
}

/// The parts of a value that have lines of their own.
fn parts(value: &Value) -> Vec<(String, &Value)> {
    match value {
        Value::Struct { fields, .. } => fields.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::List { items, .. } if in_line(value, Paint::off()).is_none() => {
            items.iter().enumerate().map(|(place, item)| (place.to_string(), item)).collect()
        }
        Value::Map { entries, .. } => entries.iter().map(|(key, value)| (key_text(key), value)).collect(),
        Value::Reference { to: Target::Value(value), .. } => parts(value),
        _ => Vec::new(),
    }
}

/// A key in front of its value: without where its text lies.
fn key_text(key: &Value) -> String {
    match key {
        Value::Reference { to: Target::Value(value), .. } => key_text(value),
        Value::Struct { fields, .. } => {
            let fields: Vec<_> =
                fields.iter().map(|(name, value)| format!("{name}: {}", key_text(value))).collect();
            format!("{{{}}}", fields.join(", "))
        }
        _ => head(key, Paint::off()),
    }
}

/// How many elements a limit left out, for a line below the others.
fn left_out(value: &Value) -> u64 {
    match value {
        Value::List { len, items } if in_line(value, Paint::off()).is_none() => len - items.len() as u64,
        Value::Map { len, entries } => len.saturating_sub(entries.len() as u64),
        Value::Reference { to: Target::Value(value), .. } => left_out(value),
        _ => 0,
    }
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Json(&self.0).serialize(serializer)
    }
}

struct Json<'v>(&'v Value);

/// An object of one field.
struct Single<T>(&'static str, T);

impl<T: Serialize> Serialize for Single<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.0, &self.1)?;
        map.end()
    }
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            // Readers of JSON take larger ones for floats.
            Value::Unsigned(number) => match u64::try_from(*number) {
                Ok(number) => serializer.serialize_u64(number),
                Err(_) => serializer.serialize_str(&number.to_string()),
            },
            Value::Signed(number) => match i64::try_from(*number) {
                Ok(number) => serializer.serialize_i64(number),
                Err(_) => serializer.serialize_str(&number.to_string()),
            },
            Value::Float32(number) if number.is_finite() => serializer.serialize_f32(*number),
            Value::Float64(number) if number.is_finite() => serializer.serialize_f64(*number),
            Value::Float32(number) => serializer.serialize_str(&number.to_string()),
            Value::Float64(number) => serializer.serialize_str(&number.to_string()),
            Value::Nothing | Value::None => serializer.serialize_unit(),
            Value::Text { len, text } if text.len() as u64 == *len => serializer.serialize_str(text),
            Value::Text { len, text } => {
                let mut map = serializer.serialize_map(None)?;
                map.serialize_entry("text", text)?;
                map.serialize_entry("omitted", &(len - text.len() as u64))?;
                map.end()
            }
            Value::Bytes { len, bytes } => {
                let mut map = serializer.serialize_map(None)?;
                map.serialize_entry("base64", &BASE64_STANDARD.encode(bytes))?;
                if bytes.len() as u64 != *len {
                    map.serialize_entry("omitted", &(len - bytes.len() as u64))?;
                }
                map.end()
            }
            Value::Struct { fields, .. } => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    map.serialize_entry(name, &Json(value))?;
                }
                map.end()
            }
            Value::List { len, items } => {
                let mut list = serializer.serialize_seq(None)?;
                items.iter().try_for_each(|item| list.serialize_element(&Json(item)))?;
                if items.len() as u64 != *len {
                    list.serialize_element(&Single("omitted", len - items.len() as u64))?;
                }
                list.end()
            }
            Value::Map { len, entries } => {
                let mut list = serializer.serialize_seq(None)?;
                for (key, value) in entries {
                    list.serialize_element(&Entry { key: Json(key), value: Json(value) })?;
                }
                if (entries.len() as u64) < *len {
                    list.serialize_element(&Single("omitted", len - entries.len() as u64))?;
                }
                list.end()
            }
            Value::Reference { to: Target::Null, .. } => serializer.serialize_none(),
            Value::Reference { offset, to, .. } => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("at", offset)?;
                match to {
                    Target::Value(value) => map.serialize_entry("is", &Json(value))?,
                    Target::Seen => map.serialize_entry("seen", &true)?,
                    _ => map.serialize_entry("omitted", &true)?,
                }
                map.end()
            }
            Value::Unknown { of } => Single("unknown", of.to_string()).serialize(serializer),
            Value::Unreadable(error) => Single("error", error.to_string()).serialize(serializer),
            _ => Single("omitted", true).serialize(serializer),
        }
    }
}

#[derive(Serialize)]
struct Entry<'v> {
    key: Json<'v>,
    value: Json<'v>,
}
