//! What docs/FORMAT.md states in tables, and how it differs from what the code states. Start at [`differences`].

use std::collections::BTreeMap;

/// One field: offset, size, name.
pub(crate) type Field = (u64, u64, String);

/// What a format consists of, as the document or as the code says it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Format {
    /// Size and fields of each structure.
    pub(crate) structures: BTreeMap<String, (u64, Vec<Field>)>,
    /// Each constant as text.
    pub(crate) constants: BTreeMap<String, String>,
}

impl Format {
    /// Reads the tables of a document.
    ///
    /// A heading ``### `name`: N bytes`` names the structure of the next table of fields.
    pub(crate) fn of(document: &str) -> Format {
        let mut format = Format::default();
        let mut structure = None;
        let mut columns = Vec::new();
        for line in document.lines() {
            if let Some(heading) = line.strip_prefix('#') {
                structure = heading_of_structure(heading);
                if let Some((name, len)) = &structure {
                    let twice = format.structures.insert(name.clone(), (*len, Vec::new()));
                    assert!(twice.is_none(), "two sections describe {name}");
                }
            }
            let Some(cells) = cells(line) else {
                columns.clear();
                continue;
            };
            if columns.is_empty() {
                columns = cells.iter().map(|cell| cell.to_string()).collect();
                continue;
            }
            if cells[0].starts_with("---") {
                continue;
            }
            match columns.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["offset", "size", "field", "meaning"] => {
                    let (name, _) = structure.as_ref().expect("a table of fields stands below its heading");
                    let field = (number(cells[0]), number(cells[1]), cells[2].to_owned());
                    format.structures.get_mut(name).expect("just inserted").1.push(field);
                }
                ["constant", "value", "meaning"] => {
                    let twice =
                        format.constants.insert(cells[0].trim_matches('`').to_owned(), cells[1].to_owned());
                    assert!(twice.is_none(), "two rows for {}", cells[0]);
                }
                _ => {}
            }
        }
        format
    }

    /// Of this what has a name that is wanted: each layer's tests know its own.
    pub(crate) fn only(mut self, is_wanted: impl Fn(&str) -> bool) -> Format {
        self.structures.retain(|name, _| is_wanted(name));
        self.constants.retain(|name, _| is_wanted(name));
        self
    }
}

/// The cells of a table's row.
pub(crate) fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.strip_prefix('|')?.trim_end().strip_suffix('|')?;
    Some(inner.split('|').map(str::trim).collect())
}

/// Name and length in a heading ``## `name`: N bytes``.
fn heading_of_structure(heading: &str) -> Option<(String, u64)> {
    let (name, rest) = heading.trim_start_matches('#').trim().strip_prefix('`')?.split_once('`')?;
    let len = rest.strip_prefix(": ")?.strip_suffix(" bytes")?;
    Some((name.to_owned(), number(len)))
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
}

/// Every way in which the document differs from the code, as sentences.
pub(crate) fn differences(document: &Format, code: &Format) -> Vec<String> {
    let mut found = Vec::new();
    for (name, (len, fields)) in &code.structures {
        let Some((told_len, told)) = document.structures.get(name) else {
            found.push(format!("{name} is not described"));
            continue;
        };
        if told_len != len {
            found.push(format!("{name} has {len} bytes, not {told_len}"));
        }
        for field in fields.iter().filter(|field| !told.contains(field)) {
            found.push(format!(
                "{name}: offset {}, size {}: {} is not described so",
                field.0, field.1, field.2
            ));
        }
        for field in told.iter().filter(|field| !fields.contains(field)) {
            found
                .push(format!("{name}: offset {}, size {}: there is no {} there", field.0, field.1, field.2));
        }
        if told.len() != fields.len() {
            found.push(format!("{name} has {} fields, not {}", fields.len(), told.len()));
        }
    }
    for name in document.structures.keys().filter(|name| !code.structures.contains_key(*name)) {
        found.push(format!("there is no {name}"));
    }
    for (name, value) in &code.constants {
        match document.constants.get(name) {
            Some(told) if told == value => {}
            Some(told) => found.push(format!("{name} is {value}, not {told}")),
            None => found.push(format!("{name} is not described")),
        }
    }
    for name in document.constants.keys().filter(|name| !code.constants.contains_key(*name)) {
        found.push(format!("there is no {name}"));
    }
    found
}
