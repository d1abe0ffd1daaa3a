//! What the bytes of a segment say, by the names that its layout has for them.
//!
//! Bytes are taken as they are: a part that cannot be read is a value that says so, and stands beside those that can.
//! Whatever the bytes hold, the walk ends: [`Limits`] bound its length and its depth. Start at [`Schema::value`].

use std::collections::HashSet;

use crate::inspect::entries::Handle;
use crate::inspect::schema::{Number, Schema, Type};
use crate::{Error, PSlice, Reader};

/// How deep values may stand in each other, pointers included: what the stack is good for.
const NESTING_MAX: u32 = 200;

/// How much of a value is read.
///
/// ```
/// # use vista::inspect::{Inspector, Limits, Target, Value};
/// # use vista::{PString, PVec, Segment};
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("segment");
/// Segment::<[u64; 100]>::create(&path, 1 << 20)?.close()?;
/// let limits = Limits { items: 10, ..Limits::default() };
/// let root = Inspector::open(&path)?.value(&limits)?;
/// assert!(matches!(root, Value::List { len: 100, items } if items.len() == 10));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many pointers, slices and collections are followed in a row.
    pub depth: u32,
    /// How many elements of an array, a slice or a collection are read.
    pub items: usize,
    /// How many bytes of a string are read.
    pub bytes: usize,
    /// How many values are read in all.
    pub values: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { depth: 16, items: 32, bytes: 256, values: 10_000 }
    }
}

/// What stands somewhere in a segment.
///
/// ```
/// # use vista::inspect::{Inspector, Limits, Target, Value};
/// # use vista::{PString, PVec, Segment};
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("segment");
/// Segment::<PString>::options().size(1 << 20).create_with(&path, |tx| -> vista::Result<()> {
///     *tx.root_mut()? = PString::new(tx, "Ada")?;
///     Ok(())
/// })?;
/// let root = Inspector::open(&path)?.value(&Limits::default())?;
/// let Value::Reference { to: Target::Value(text), .. } = root else { panic!("{root:?}") };
/// assert!(matches!(*text, Value::Text { len: 3, text } if text == "Ada"));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Value {
    /// A number without a sign.
    Unsigned(u128),
    /// A number with a sign.
    Signed(i128),
    /// A number of type `f32`.
    Float32(f32),
    /// A number of type `f64`.
    Float64(f64),
    /// No bytes.
    Nothing,
    /// A `POption` without a value.
    None,
    /// Bytes: an array, a slice or a vector of `u8`, or a `PBytes`.
    Bytes {
        /// How many there are.
        len: u64,
        /// The first of them.
        bytes: Vec<u8>,
    },
    /// A `PString`.
    Text {
        /// How many bytes it has.
        len: u64,
        /// Its beginning, up to the end of a character.
        text: String,
    },
    /// A struct.
    Struct {
        /// Its name.
        name: String,
        /// The names of its fields, and what they hold.
        fields: Vec<(String, Value)>,
    },
    /// An array, a slice, or a collection of elements.
    List {
        /// How many there are.
        len: u64,
        /// The first of them.
        items: Vec<Value>,
    },
    /// A collection of keys and values.
    Map {
        /// How many there are.
        len: u64,
        /// The first of them.
        entries: Vec<(Value, Value)>,
    },
    /// A pointer, or the handle of a collection.
    Reference {
        /// Its type.
        of: Type,
        /// The offset that it holds.
        offset: u64,
        /// What it leads to.
        to: Target,
    },
    /// Bytes of a type that is not known here.
    Unknown {
        /// Its name.
        of: Type,
    },
    /// What cannot be read, and why.
    Unreadable(Error),
    /// A value behind a limit.
    Omitted,
}

/// What a pointer leads to.
///
/// ```
/// # use vista::inspect::{Inspector, Limits, Target, Value};
/// # use vista::{PString, PVec, Segment};
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("segment");
/// Segment::<PVec<u64>>::create(&path, 1 << 20)?.close()?;
/// let root = Inspector::open(&path)?.value(&Limits::default())?;
/// assert!(matches!(root, Value::Reference { to: Target::Null, .. }));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Target {
    /// Nothing: it is null.
    Null,
    /// A value.
    Value(Box<Value>),
    /// A value that was shown before, at another pointer to it.
    Seen,
    /// A value behind a limit.
    Omitted,
}

impl Schema {
    /// Reads the value of a type at an offset.
    ///
    /// ```
    /// use vista::inspect::{Limits, Schema, Value};
    /// use vista::{SegmentOptions, layout_of};
    ///
    /// let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<[u16; 3]>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     *tx.root_mut()? = [1, 2, 3];
    ///     Ok(())
    /// })?;
    /// let schema = Schema::parse(&layout_of::<[u16; 3]>().text).unwrap();
    /// let root = schema.value(&segment, schema.root(), segment.root_ptr().offset(), &Limits::default());
    /// let Value::List { len: 3, items } = root else { panic!("{root:?}") };
    /// assert!(matches!(items[2], Value::Unsigned(3)));
    /// # Ok::<_, vista::Error>(())
    /// ```
    pub fn value(&self, on: &impl Reader, of: &Type, offset: u64, limits: &Limits) -> Value {
        let mut walk = Walk { schema: self, on, limits, left: limits.values, seen: HashSet::new() };
        walk.at(of, offset, Depth { nesting: 0, followed: 0 })
    }
}

/// How far the walk has come in one place.
#[derive(Clone, Copy)]
pub(super) struct Depth {
    nesting: u32,
    followed: u32,
}

pub(super) struct Walk<'a, A> {
    pub(super) schema: &'a Schema,
    pub(super) on: &'a A,
    pub(super) limits: &'a Limits,
    /// How many values may still be read.
    pub(super) left: usize,
    /// Where pointers have led.
    seen: HashSet<(u64, Type)>,
}

impl<'a, A: Reader> Walk<'a, A> {
    /// The value at an offset.
    pub(super) fn at(&mut self, of: &Type, offset: u64, depth: Depth) -> Value {
        let (Some(size), Some(align)) = (self.schema.size_of(of), self.schema.align_of(of)) else {
            return Value::Unknown { of: of.clone() };
        };
        match self.bytes(offset, size, align) {
            Ok(bytes) => self.value(of, bytes, depth),
            Err(error) => Value::Unreadable(error),
        }
    }

    /// The value that these bytes are.
    pub(super) fn value(&mut self, of: &Type, bytes: &'a [u8], mut depth: Depth) -> Value {
        let Some(left) = self.left.checked_sub(1).filter(|_| depth.nesting < NESTING_MAX) else {
            return Value::Omitted;
        };
        self.left = left;
        depth.nesting += 1;
        match of {
            Type::Number(number) => value_of_number(*number, bytes),
            Type::Nothing => Value::Nothing,
            Type::Array { of, count } => self.elements(of, *count, bytes, depth),
            Type::Struct { name, index } => {
                let structure = &self.schema.structs()[*index];
                let fields = structure.fields.iter().map(|field| {
                    (field.name.clone(), self.field(&field.of, &bytes[field.offset as usize..], depth))
                });
                Value::Struct { name: name.clone(), fields: fields.collect() }
            }
            Type::Pointer(_) | Type::Slice(_) | Type::Handle { .. } => {
                let offset = word(bytes);
                let to = self.follow(of, bytes, depth);
                Value::Reference { of: of.clone(), offset, to }
            }
            Type::Unknown(_) => Value::Unknown { of: of.clone() },
        }
    }

    /// The value at the beginning of these bytes.
    fn field(&mut self, of: &Type, bytes: &'a [u8], depth: Depth) -> Value {
        match self.schema.size_of(of).and_then(|size| bytes.get(..usize::try_from(size).ok()?)) {
            Some(bytes) => self.value(of, bytes, depth),
            None => Value::Unknown { of: of.clone() },
        }
    }

    /// Elements that stand one behind the other.
    pub(super) fn elements(&mut self, of: &Type, len: u64, bytes: &'a [u8], depth: Depth) -> Value {
        if *of == Type::Number(Number::U8) {
            return Value::Bytes { len, bytes: bytes[..bytes.len().min(self.limits.bytes)].to_vec() };
        }
        let size = match self.schema.size_of(of) {
            Some(size) => size as usize,
            None => return Value::Unknown { of: of.clone() },
        };
        let shown = len.min(self.limits.items as u64) as usize;
        let mut items = Vec::new();
        for place in 0..shown {
            if self.left == 0 {
                break;
            }
            items.push(self.value(of, &bytes[place * size..][..size], depth));
        }
        Value::List { len, items }
    }

    /// What a pointer, a slice or a handle leads to.
    fn follow(&mut self, of: &Type, bytes: &'a [u8], mut depth: Depth) -> Target {
        let offset = word(bytes);
        let is_slice = matches!(of, Type::Slice(_));
        if offset == 0 && !is_slice {
            return Target::Null;
        }
        if depth.followed == self.limits.depth || self.left == 0 {
            return Target::Omitted;
        }
        depth.followed += 1;
        // Slices may begin at one place and end at several.
        if !is_slice && !self.seen.insert((offset, of.clone())) {
            return Target::Seen;
        }
        let value = match of {
            Type::Pointer(of) => self.at(of, offset, depth),
            Type::Slice(of) => self.list(of, offset, word(&bytes[8..]), depth),
            Type::Handle { collection, of } => {
                let handle = Handle { collection: *collection, of, offset, bytes };
                self.collection(handle, depth).unwrap_or_else(Value::Unreadable)
            }
            _ => Value::Unknown { of: of.clone() },
        };
        Target::Value(Box::new(value))
    }

    /// `len` elements from an offset on.
    pub(super) fn list(&mut self, of: &Type, offset: u64, len: u64, depth: Depth) -> Value {
        let (Some(size), Some(align)) = (self.schema.size_of(of), self.schema.align_of(of)) else {
            return Value::Unknown { of: of.clone() };
        };
        // One that cannot be lies nowhere.
        let bytes = if len == 0 { Ok(&[][..]) } else { self.bytes(offset, size.saturating_mul(len), align) };
        match bytes {
            Ok(bytes) => self.elements(of, len, bytes, depth),
            Err(error) => Value::Unreadable(error),
        }
    }

    /// Bytes of the user data.
    pub(super) fn bytes(&self, offset: u64, len: u64, align: u64) -> Result<&'a [u8], Error> {
        if len == 0 {
            return Ok(&[]);
        }
        if !offset.is_multiple_of(align) {
            return Err(Error::BadPointer { segment: self.on.segment_name(), offset, len, align });
        }
        self.on.slice(PSlice::from_raw_parts(offset, len))
    }
}

/// The first eight bytes.
pub(super) fn word(bytes: &[u8]) -> u64 {
    bytemuck::pod_read_unaligned(&bytes[..8])
}

fn value_of_number(number: Number, bytes: &[u8]) -> Value {
    macro_rules! read {
        ($of:ty) => {
            bytemuck::pod_read_unaligned::<$of>(bytes)
        };
    }
    match number {
        Number::U8 => Value::Unsigned(read!(u8).into()),
        Number::U16 => Value::Unsigned(read!(u16).into()),
        Number::U32 => Value::Unsigned(read!(u32).into()),
        Number::U64 => Value::Unsigned(read!(u64).into()),
        Number::U128 => Value::Unsigned(read!(u128)),
        Number::I8 => Value::Signed(read!(i8).into()),
        Number::I16 => Value::Signed(read!(i16).into()),
        Number::I32 => Value::Signed(read!(i32).into()),
        Number::I64 => Value::Signed(read!(i64).into()),
        Number::I128 => Value::Signed(read!(i128)),
        Number::F32 => Value::Float32(read!(f32)),
        Number::F64 => Value::Float64(read!(f64)),
    }
}
