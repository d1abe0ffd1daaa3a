//! The text of a layout, read back: what the bytes of a root mean, for who does not have its type.
//!
//! The text is what [`layout_of`](crate::layout_of) writes and the segment keeps:
//!
//! ```text
//! layout = [ type ";" ] struct { ";" struct }  |  type
//! struct = name "{" [ field { "," field } ] "}size=" number ",align=" number
//! field  = name ":" type "@" number
//! type   = "()"  |  "[" type "; " number "]"  |  name [ "<" type { ", " type } ">" ]
//! ```
//!
//! Whatever the text is, the result is a [`Schema`] whose sizes fit each other, or an error with its place in the text.
//! Start at [`Schema::parse`].

use std::collections::HashMap;
use std::fmt;

use crate::MAX_ALIGN_BYTES;
use crate::collections::erased::Extent;

/// How deep types may stand in each other.
const NESTING_MAX: u32 = 32;

/// What a layout's text describes.
///
/// ```
/// use vista::inspect::Schema;
///
/// let schema = Schema::parse("Point{x:f64@0,y:f64@8}size=16,align=8")?;
/// assert_eq!(schema.root().to_string(), "Point");
/// assert_eq!(schema.size_of(schema.root()), Some(16));
/// assert_eq!(schema.structs()[0].fields[1].name, "y");
///
/// let error = Schema::parse("Point{x:f64@0,y:f64@12}size=16,align=8").unwrap_err();
/// assert_eq!(error.at, 14);
/// # Ok::<_, vista::inspect::SchemaError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    root: Type,
    structs: Vec<Structure>,
    is_cut: bool,
}

/// A struct of a layout.
///
/// ```
/// let schema = vista::inspect::Schema::parse("Point{x:f64@0,y:f64@8}size=16,align=8")?;
/// let point = &schema.structs()[0];
/// assert_eq!((point.name.as_str(), point.fields.len(), point.size, point.align), ("Point", 2, 16, 8));
/// # Ok::<_, vista::inspect::SchemaError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structure {
    /// Its name.
    pub name: String,
    /// Its fields, in the order of their offsets.
    pub fields: Vec<Field>,
    /// Its size in bytes.
    pub size: u64,
    /// Its alignment in bytes.
    pub align: u64,
}

/// A field of a struct.
///
/// ```
/// let schema = vista::inspect::Schema::parse("Point{x:f64@0,y:f64@8}size=16,align=8")?;
/// let y = &schema.structs()[0].fields[1];
/// assert_eq!((y.name.as_str(), y.of.to_string(), y.offset), ("y", "f64".into(), 8));
/// # Ok::<_, vista::inspect::SchemaError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type.
    pub of: Type,
    /// Its offset in the struct, in bytes.
    pub offset: u64,
}

/// A type of a layout.
///
/// ```
/// use vista::inspect::{Number, Schema, Type};
///
/// let schema = Schema::parse("PSlice<u32>")?;
/// assert_eq!(*schema.root(), Type::Slice(Box::new(Type::Number(Number::U32))));
/// # Ok::<_, vista::inspect::SchemaError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Type {
    /// A number.
    Number(Number),
    /// `()` or `PhantomData`: no bytes.
    Nothing,
    /// An array.
    Array {
        /// Type of its elements.
        of: Box<Type>,
        /// Number of its elements.
        count: u64,
    },
    /// A struct.
    Struct {
        /// Its name.
        name: String,
        /// Its index in [`Schema::structs`].
        index: usize,
    },
    /// A `PPtr`.
    Pointer(Box<Type>),
    /// A `PSlice`.
    Slice(Box<Type>),
    /// A handle of a collection.
    Handle {
        /// Which one.
        collection: Collection,
        /// The types of what it holds.
        of: Vec<Type>,
    },
    /// A type that this version does not know, or whose description was cut off.
    Unknown(String),
}

/// A type of numbers.
///
/// ```
/// use vista::inspect::{Number, Schema, Type};
///
/// assert_eq!(*Schema::parse("i64")?.root(), Type::Number(Number::I64));
/// # Ok::<_, vista::inspect::SchemaError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names of Rust's own types")]
pub enum Number {
    U8,
    U16,
    U32,
    U64,
    U128,
    I8,
    I16,
    I32,
    I64,
    I128,
    F32,
    F64,
}

impl Number {
    const NAMES: [(&'static str, Number); 12] = [
        ("u8", Number::U8),
        ("u16", Number::U16),
        ("u32", Number::U32),
        ("u64", Number::U64),
        ("u128", Number::U128),
        ("i8", Number::I8),
        ("i16", Number::I16),
        ("i32", Number::I32),
        ("i64", Number::I64),
        ("i128", Number::I128),
        ("f32", Number::F32),
        ("f64", Number::F64),
    ];

    /// Its name in Rust.
    ///
    /// ```
    /// assert_eq!(vista::inspect::Number::F64.name(), "f64");
    /// ```
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, number)| *number == self).map_or("", |(name, _)| name)
    }

    const fn size_and_align(self) -> (u64, u64) {
        const fn of<T>() -> (u64, u64) {
            (size_of::<T>() as u64, align_of::<T>() as u64)
        }
        match self {
            Number::U8 | Number::I8 => of::<u8>(),
            Number::U16 | Number::I16 => of::<u16>(),
            Number::U32 | Number::I32 | Number::F32 => of::<u32>(),
            Number::U64 | Number::I64 | Number::F64 => of::<u64>(),
            Number::U128 | Number::I128 => of::<u128>(),
        }
    }
}

/// A collection, by its handle.
///
/// ```
/// use vista::inspect::{Collection, Schema, Type};
///
/// let schema = Schema::parse("PHashMap<PString, u64>")?;
/// let Type::Handle { collection, of } = schema.root() else { panic!() };
/// assert_eq!((*collection, of.len()), (Collection::PHashMap, 2));
/// # Ok::<_, vista::inspect::SchemaError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of the collections")]
pub enum Collection {
    PVec,
    PBytes,
    PString,
    PVecDeque,
    PSlab,
    PCell,
    POption,
    PHashMap,
    PHashSet,
    PBTreeMap,
}

impl Collection {
    /// Each with its name and the number of its parameters.
    const ALL: [(&'static str, usize, Collection); 10] = [
        ("PVec", 1, Collection::PVec),
        ("PBytes", 0, Collection::PBytes),
        ("PString", 0, Collection::PString),
        ("PVecDeque", 1, Collection::PVecDeque),
        ("PSlab", 1, Collection::PSlab),
        ("PCell", 1, Collection::PCell),
        ("POption", 1, Collection::POption),
        ("PHashMap", 2, Collection::PHashMap),
        ("PHashSet", 1, Collection::PHashSet),
        ("PBTreeMap", 2, Collection::PBTreeMap),
    ];

    /// Its name.
    ///
    /// ```
    /// assert_eq!(vista::inspect::Collection::PVec.name(), "PVec");
    /// ```
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, _, collection)| *collection == self).map_or("", |(name, ..)| name)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Number(number) => f.write_str(number.name()),
            Type::Nothing => f.write_str("()"),
            Type::Array { of, count } => write!(f, "[{of}; {count}]"),
            Type::Struct { name, .. } | Type::Unknown(name) => f.write_str(name),
            Type::Pointer(of) => write!(f, "PPtr<{of}>"),
            Type::Slice(of) => write!(f, "PSlice<{of}>"),
            Type::Handle { collection, of } => {
                f.write_str(collection.name())?;
                for (place, of) in of.iter().enumerate() {
                    write!(f, "{}{of}", if place == 0 { "<" } else { ", " })?;
                }
                f.write_str(if of.is_empty() { "" } else { ">" })
            }
        }
    }
}

/// A text that is no layout.
///
/// ```
/// let error = vista::inspect::Schema::parse("Point{x:f64@0").unwrap_err();
/// assert_eq!(error.at, 13);
/// println!("{error}");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("layout: at byte {at} of its text: expected {expected}")]
pub struct SchemaError {
    /// Where, in bytes from the beginning of the text.
    pub at: usize,
    /// What should stand there.
    pub expected: &'static str,
}

type Result<T, E = SchemaError> = std::result::Result<T, E>;

impl Schema {
    /// Reads the text of a layout.
    ///
    /// ```
    /// use vista::inspect::Schema;
    ///
    /// let schema = Schema::parse(&vista::layout_of::<[u16; 3]>().text)?;
    /// assert_eq!(schema.root().to_string(), "[u16; 3]");
    /// assert!(Schema::parse("[u16; ").is_err());
    /// # Ok::<_, vista::inspect::SchemaError>(())
    /// ```
    ///
    /// # Errors
    /// The first place that cannot be.
    pub fn parse(text: &str) -> Result<Schema> {
        let schema = Self::parse_parts(text, false)?;
        if schema.is_cut {
            return Err(SchemaError { at: text.len(), expected: "the rest of the layout" });
        }
        Ok(schema)
    }

    /// Reads the beginning of a text that was too long for its segment: the structs that are whole.
    ///
    /// ```
    /// use vista::inspect::{Schema, Type};
    ///
    /// let schema = Schema::parse_cut("A{n:u64@0,b:PPtr<B>@8}size=16,align=8;B{x:u6")?;
    /// assert_eq!(schema.structs().len(), 1);
    /// let Type::Pointer(to) = &schema.structs()[0].fields[1].of else { panic!() };
    /// assert_eq!(**to, Type::Unknown("B".to_owned()));
    /// # Ok::<_, vista::inspect::SchemaError>(())
    /// ```
    ///
    /// # Errors
    /// As [`parse`](Schema::parse).
    pub fn parse_cut(text: &str) -> Result<Schema> {
        Self::parse_parts(text, true)
    }

    fn parse_parts(text: &str, is_cut: bool) -> Result<Schema> {
        let (definitions, root, is_cut) = Parser { text, at: 0 }.layout(is_cut)?;
        let mut indices = HashMap::new();
        for (index, definition) in definitions.iter().enumerate() {
            if indices.insert(definition.name, index).is_some() {
                return Err(SchemaError { at: definition.at, expected: "a struct of another name" });
            }
        }
        let structs = definitions.iter().map(|definition| Structure {
            name: definition.name.to_owned(),
            fields: definition.fields.iter().map(|field| field.resolve(&indices)).collect(),
            size: definition.size,
            align: definition.align,
        });
        let schema = Schema { root: root.resolve(&indices), structs: structs.collect(), is_cut };
        schema.refuse_endless(&definitions)?;
        schema.check_fields(&definitions)?;
        Ok(schema)
    }

    /// Type of the root.
    ///
    /// ```
    /// use vista::inspect::{Schema, Type};
    ///
    /// assert!(matches!(Schema::parse("[u16; 3]")?.root(), Type::Array { count: 3, .. }));
    /// # Ok::<_, vista::inspect::SchemaError>(())
    /// ```
    pub fn root(&self) -> &Type {
        &self.root
    }

    /// All structs that the root can reach, as far as the text goes.
    ///
    /// ```
    /// let schema = vista::inspect::Schema::parse("A{b:PPtr<B>@0}size=8,align=8;B{n:u64@0}size=8,align=8")?;
    /// let names: Vec<&str> = schema.structs().iter().map(|found| found.name.as_str()).collect();
    /// assert_eq!(names, ["A", "B"]);
    /// # Ok::<_, vista::inspect::SchemaError>(())
    /// ```
    pub fn structs(&self) -> &[Structure] {
        &self.structs
    }

    /// Whether the text ends in the middle.
    ///
    /// ```
    /// use vista::inspect::Schema;
    ///
    /// assert!(!Schema::parse("A{n:u64@0}size=8,align=8")?.is_cut());
    /// assert!(Schema::parse_cut("A{b:PPtr<B>@0}size=8,align=8;B{n:u6")?.is_cut());
    /// # Ok::<_, vista::inspect::SchemaError>(())
    /// ```
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Size of a type in bytes; `None` for one that is not known, or too large to be.
    ///
    /// ```
    /// let schema = vista::inspect::Schema::parse("[u16; 3]")?;
    /// assert_eq!(schema.size_of(schema.root()), Some(6));
    /// # Ok::<_, vista::inspect::SchemaError>(())
    /// ```
    pub fn size_of(&self, of: &Type) -> Option<u64> {
        Some(match of {
            Type::Number(number) => number.size_and_align().0,
            Type::Nothing => 0,
            Type::Array { of, count } => self.size_of(of)?.checked_mul(*count)?,
            Type::Struct { index, .. } => self.structs.get(*index)?.size,
            Type::Pointer(_) | Type::Handle { .. } => 8,
            Type::Slice(_) => 16,
            Type::Unknown(_) => return None,
        })
    }

    /// Alignment of a type in bytes; `None` for one that is not known.
    ///
    /// ```
    /// let schema = vista::inspect::Schema::parse("[u16; 3]")?;
    /// assert_eq!(schema.align_of(schema.root()), Some(2));
    /// # Ok::<_, vista::inspect::SchemaError>(())
    /// ```
    pub fn align_of(&self, of: &Type) -> Option<u64> {
        Some(match of {
            Type::Number(number) => number.size_and_align().1,
            Type::Nothing => 1,
            Type::Array { of, .. } => self.align_of(of)?,
            Type::Struct { index, .. } => self.structs.get(*index)?.align,
            Type::Pointer(_) | Type::Handle { .. } | Type::Slice(_) => 8,
            Type::Unknown(_) => return None,
        })
    }

    /// Size and alignment of a type; `None` for one that is not known, or too large to be.
    pub(super) fn extent_of(&self, of: &Type) -> Option<Extent> {
        Some(Extent { size: self.size_of(of)?, align: self.align_of(of)? })
    }

    /// An error if a struct stands in itself, and not behind a pointer.
    fn refuse_endless(&self, definitions: &[Definition<'_>]) -> Result<()> {
        const NEW: u8 = 0;
        const OPEN: u8 = 1;
        const DONE: u8 = 2;
        let mut states = vec![NEW; self.structs.len()];
        for first in 0..self.structs.len() {
            // The structs that are open, each with the next of its fields.
            let mut path = vec![(first, 0)];
            while let Some((index, field)) = path.last_mut() {
                states[*index] = if states[*index] == DONE { DONE } else { OPEN };
                let next = self.structs[*index].fields.get(*field).filter(|_| states[*index] != DONE);
                *field += 1;
                let Some(next) = next else {
                    states[*index] = DONE;
                    path.pop();
                    continue;
                };
                if let Some(inner) = struct_in(&next.of) {
                    if states[inner] == OPEN {
                        let at = definitions[inner].at;
                        return Err(SchemaError { at, expected: "a struct that does not contain itself" });
                    }
                    path.push((inner, 0));
                }
            }
        }
        Ok(())
    }

    /// Fields lie in their struct, one behind the other, each aligned.
    fn check_fields(&self, definitions: &[Definition<'_>]) -> Result<()> {
        for (structure, definition) in self.structs.iter().zip(definitions) {
            let mut end = 0;
            for (field, spelled) in structure.fields.iter().zip(&definition.fields) {
                let expected = |expected| SchemaError { at: spelled.at, expected };
                if field.offset < end || field.offset > structure.size {
                    return Err(expected("a field behind the one before, inside of its struct"));
                }
                let (Some(size), Some(align)) = (self.size_of(&field.of), self.align_of(&field.of)) else {
                    if matches!(field.of, Type::Array { .. }) && !names_unknown(&field.of) {
                        return Err(expected("an array that fits its struct"));
                    }
                    end = field.offset;
                    continue;
                };
                if size > structure.size - field.offset {
                    return Err(expected("a field that fits its struct"));
                }
                if !field.offset.is_multiple_of(align) || align > structure.align {
                    return Err(expected("a field that is aligned"));
                }
                end = field.offset + size;
            }
        }
        Ok(())
    }
}

/// The struct that stands in a value of this type, without a pointer in between.
fn struct_in(of: &Type) -> Option<usize> {
    match of {
        Type::Struct { index, .. } => Some(*index),
        Type::Array { of, .. } => struct_in(of),
        _ => None,
    }
}

fn names_unknown(of: &Type) -> bool {
    match of {
        Type::Unknown(_) => true,
        Type::Array { of, .. } => names_unknown(of),
        _ => false,
    }
}

/// A struct as it is spelled.
struct Definition<'t> {
    name: &'t str,
    at: usize,
    fields: Vec<SpelledField<'t>>,
    size: u64,
    align: u64,
}

struct SpelledField<'t> {
    name: &'t str,
    at: usize,
    of: Spelled<'t>,
    offset: u64,
}

impl SpelledField<'_> {
    fn resolve(&self, indices: &HashMap<&str, usize>) -> Field {
        Field { name: self.name.to_owned(), of: self.of.resolve(indices), offset: self.offset }
    }
}

/// A type as it is spelled.
enum Spelled<'t> {
    Nothing,
    Array(Box<Spelled<'t>>, u64),
    Name { whole: &'t str, name: &'t str, arguments: Vec<Spelled<'t>> },
}

impl Spelled<'_> {
    /// What the spelling means. A struct of the text comes before everything that has its name elsewhere.
    fn resolve(&self, indices: &HashMap<&str, usize>) -> Type {
        let (whole, name, arguments) = match self {
            Spelled::Nothing => return Type::Nothing,
            Spelled::Array(of, count) => {
                return Type::Array { of: Box::new(of.resolve(indices)), count: *count };
            }
            Spelled::Name { whole, name, arguments } => (*whole, *name, arguments),
        };
        if let Some(&index) = indices.get(whole) {
            return Type::Struct { name: whole.to_owned(), index };
        }
        let number = Number::NAMES.iter().find(|(known, _)| *known == name);
        let collection = Collection::ALL.iter().find(|(known, ..)| *known == name);
        let of = |place: usize| Box::new(arguments[place].resolve(indices));
        match (name, arguments.len(), number, collection) {
            (_, 0, Some((_, number)), _) => Type::Number(*number),
            ("PPtr", 1, ..) => Type::Pointer(of(0)),
            ("PSlice", 1, ..) => Type::Slice(of(0)),
            ("PhantomData", 1, ..) => Type::Nothing,
            (_, count, _, Some((_, parameters, collection))) if count == *parameters => Type::Handle {
                collection: *collection,
                of: arguments.iter().map(|argument| argument.resolve(indices)).collect(),
            },
            _ => Type::Unknown(whole.to_owned()),
        }
    }
}

/// What parsing stops at.
enum Stop {
    /// The text ends where something has to follow.
    Cut,
    Wrong(SchemaError),
}

impl From<SchemaError> for Stop {
    fn from(error: SchemaError) -> Self {
        Stop::Wrong(error)
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Parser<'t> {
    /// The structs that are whole, the root's type, and whether the text ends in the middle.
    fn layout(mut self, is_cut: bool) -> Result<(Vec<Definition<'t>>, Spelled<'t>, bool)> {
        let mut definitions: Vec<Definition<'t>> = Vec::new();
        let mut root = None;
        loop {
            // Of a text that was cut, the number at its end may have had more digits.
            let part = self.part();
            let part = if is_cut && self.rest().is_empty() { part.and(Err(Stop::Cut)) } else { part };
            match part {
                Ok(Part::Struct(definition)) => definitions.push(definition),
                Ok(Part::Type(of)) if root.is_none() && definitions.is_empty() => root = Some(of),
                Ok(Part::Type(_)) => return Err(self.error("the fields of a struct")),
                Err(Stop::Wrong(error)) => return Err(error),
                Err(Stop::Cut) => {
                    let root = root.or_else(|| definitions.first().map(Definition::spelled));
                    return match root {
                        Some(root) => Ok((definitions, root, true)),
                        None if self.text.is_empty() => Err(self.error("a layout")),
                        // Not even the root's struct is whole.
                        None => Ok((definitions, Spelled::unknown(self.text), true)),
                    };
                }
            }
            if self.rest().is_empty() {
                let root = root.or_else(|| definitions.first().map(Definition::spelled));
                return Ok((definitions, root.expect("a part was read"), false));
            }
            self.expect(";", "a semicolon, or the end").map_err(|stop| match stop {
                Stop::Wrong(error) => error,
                Stop::Cut => unreachable!("the rest is not empty"),
            })?;
        }
    }

    /// A struct, or a type.
    fn part(&mut self) -> Result<Part<'t>, Stop> {
        let at = self.at;
        let of = self.of(0)?;
        let Spelled::Name { whole, .. } = of else { return Ok(Part::Type(of)) };
        if !self.rest().starts_with('{') {
            return Ok(Part::Type(of));
        }
        self.at += 1;
        let mut fields = Vec::new();
        while !self.rest().starts_with('}') {
            if !fields.is_empty() {
                self.expect(",", "a comma, or the end of the fields")?;
            }
            fields.push(self.field()?);
        }
        self.expect("}size=", "the size of a struct")?;
        let (size, _) = self.number()?;
        self.expect(",align=", "the alignment of a struct")?;
        let (align, align_at) = self.number()?;
        if !align.is_power_of_two() || align > MAX_ALIGN_BYTES as u64 {
            return Err(SchemaError { at: align_at, expected: "a power of two up to 4096" }.into());
        }
        if !size.is_multiple_of(align) {
            return Err(SchemaError { at: align_at, expected: "an alignment that divides the size" }.into());
        }
        Ok(Part::Struct(Definition { name: whole, at, fields, size, align }))
    }

    fn field(&mut self) -> Result<SpelledField<'t>, Stop> {
        let at = self.at;
        let name = self.name()?;
        self.expect(":", "a colon")?;
        let of = self.of(0)?;
        self.expect("@", "the offset of a field")?;
        let (offset, _) = self.number()?;
        Ok(SpelledField { name, at, of, offset })
    }

    fn of(&mut self, nesting: u32) -> Result<Spelled<'t>, Stop> {
        if nesting == NESTING_MAX {
            return Err(self.error("a type that stands in fewer others").into());
        }
        if self.rest().starts_with('(') {
            self.expect("()", "()")?;
            return Ok(Spelled::Nothing);
        }
        if self.rest().starts_with('[') {
            self.at += 1;
            let of = self.of(nesting + 1)?;
            self.expect("; ", "the length of an array")?;
            let (count, _) = self.number()?;
            self.expect("]", "the end of an array")?;
            return Ok(Spelled::Array(Box::new(of), count));
        }
        let start = self.at;
        let name = self.name()?;
        let mut arguments = Vec::new();
        if self.rest().starts_with('<') {
            self.at += 1;
            arguments.push(self.of(nesting + 1)?);
            while !self.rest().starts_with('>') {
                self.expect(", ", "another type, or the end of them")?;
                arguments.push(self.of(nesting + 1)?);
            }
            self.at += 1;
        }
        Ok(Spelled::Name { whole: &self.text[start..self.at], name, arguments })
    }

    /// A name: what Rust takes for one, with a number behind it for a namesake.
    fn name(&mut self) -> Result<&'t str, Stop> {
        let rest = self.rest();
        let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '#';
        let len = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        // Only a root that is no struct and reaches none ends with a name.
        if len == rest.len() && (self.at > 0 || rest.is_empty()) {
            return Err(Stop::Cut);
        }
        if len == 0 {
            return Err(self.error("a name").into());
        }
        self.at += len;
        Ok(&rest[..len])
    }

    fn number(&mut self) -> Result<(u64, usize), Stop> {
        let (rest, at) = (self.rest(), self.at);
        let len = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        if rest.is_empty() {
            return Err(Stop::Cut);
        }
        let number = rest[..len].parse().map_err(|_| self.error("a number"))?;
        self.at += len;
        Ok((number, at))
    }

    fn expect(&mut self, token: &str, expected: &'static str) -> Result<(), Stop> {
        let rest = self.rest();
        if rest.starts_with(token) {
            self.at += token.len();
            Ok(())
        } else if token.starts_with(rest) {
            Err(Stop::Cut)
        } else {
            Err(self.error(expected).into())
        }
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn error(&self, expected: &'static str) -> SchemaError {
        SchemaError { at: self.at, expected }
    }
}

enum Part<'t> {
    Struct(Definition<'t>),
    Type(Spelled<'t>),
}

impl<'t> Definition<'t> {
    fn spelled(&self) -> Spelled<'t> {
        Spelled::unknown(self.name)
    }
}

impl<'t> Spelled<'t> {
    /// A name as a whole, whatever it consists of.
    fn unknown(whole: &'t str) -> Self {
        Spelled::Name { whole, name: whole, arguments: Vec::new() }
    }
}
