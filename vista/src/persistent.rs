//! What may live in a segment: plain data that can describe itself.
//!
//! A [`Persistent`] type is one whose bytes mean the same to every process that maps the file, and for which
//! any bytes are a valid value, so that no content of a file can cause undefined behaviour. Its description,
//! a [`Layout`], is kept in the segment and compared when the segment is opened. Start at [`layout_of`].

use std::any::TypeId;
use std::fmt;
use std::marker::PhantomData;

use bytemuck::Pod;

use crate::content::{Audit, Depth};
use crate::error::Result;
use crate::{Reader, Writer};

/// The greatest alignment that a persistent type may ask for.
///
/// A region is mapped at a page boundary, which need not be the same in the next process: an offset cannot
/// promise more than a page's alignment.
pub const MAX_ALIGN_BYTES: usize = 4096;

/// Plain data that may live in a segment.
///
/// Derive it on a `#[repr(C)]` struct of persistent fields; the derive proves what [`Pod`] demands (no
/// padding, no value with forbidden bytes) and writes the description.
///
/// Persistent are the integers of fixed size, `f32` and `f64`, `()`, arrays, [`PPtr`](crate::PPtr),
/// [`PSlice`](crate::PSlice), and the handles of [collections](crate::collections). Not persistent are:
///
/// - `usize` and `isize`, whose size depends on the platform: use `u64`, `i64`;
/// - `bool`, `char` and enums, for which some bytes are not a value: keep an integer and convert;
/// - references, `Box`, `String`, `Vec`: an address means nothing to the next process. Use `PPtr`, `PSlice`,
///   an array, or one of the [collections](crate::collections).
///
/// The trait is safe to implement: memory safety rests on [`Pod`] alone, and a wrong description only makes
/// the comparison at open weaker. `Send` and `Sync` are asked for because everything in a segment is shared
/// with whoever reads it.
///
/// ```
/// use vista::{PVec, Persistent, SegmentOptions};
///
/// #[derive(Clone, Copy, Persistent)]
/// #[repr(C)]
/// struct Account {
///     balance: i64,
///     history: PVec<i64>,
/// }
///
/// let segment = SegmentOptions::new().size(1 << 20).anonymous::<Account>()?;
/// assert_eq!(segment.root()?.balance, 0); // All bytes are zero at first.
/// # Ok::<_, vista::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot live in a persistent segment",
    label = "not `Persistent`",
    note = "a segment holds plain data: fixed-size integers and floats, arrays, `PPtr`, `PSlice`, and \
            `#[repr(C)]` structs of these with `#[derive(Clone, Copy, Persistent)]`",
    note = "instead of `bool`, `char` or an enum keep an integer and convert; instead of `usize` keep `u64`; \
            instead of a reference, `Box`, `Vec` or `String` keep a `PPtr`, `PCell`, `PVec` or `PString`"
)]
pub trait Persistent: Pod + Send + Sync {
    /// Returns the name by which a description refers to this type, and tells `describer` of the structs that
    /// the name mentions.
    ///
    /// It is called whenever a segment is opened and must give the same answer each time. A struct gives its
    /// fields through [`Describer::structure`].
    ///
    /// Example: see [`Describer::structure`].
    fn describe(describer: &mut Describer) -> String;

    /// Whether a value may own memory of the segment: false for plain numbers, true for collections and for what has one
    /// among its fields.
    const OWNS: bool = false;

    /// Frees what this value owns: the memory of collections in it, and of those in their elements. The value itself is
    /// left as it is. A [`PPtr`](crate::PPtr) owns nothing. [`Transaction::release`](crate::Transaction::release) calls it,
    /// and the derive macro writes it: it calls it of every field.
    ///
    /// A crash leaves all of it allocated, and as it was.
    ///
    /// Example: see [`Transaction::release`](crate::Transaction::release).
    ///
    /// # Errors
    /// [`Error::NotABlock`](crate::Error::NotABlock), [`Error::DoubleFree`](crate::Error::DoubleFree) or
    /// [`Error::Damaged`](crate::Error::Damaged) if a collection is not sound; [`Error::TooDeep`](crate::Error::TooDeep)
    /// if values own each other deeper than [`MAX_DEPTH`](crate::MAX_DEPTH). A part may be freed then: roll back.
    fn release(&self, tx: &mut impl Writer, depth: Depth) -> Result<()> {
        let _ = (tx, depth);
        Ok(())
    }

    /// Looks at what this value owns, for [`Segment::check_content`](crate::Segment::check_content).
    ///
    /// Example: see [`Audit`] and [`Audit::owns`].
    fn audit(&self, on: &impl Reader, audit: &mut Audit, depth: Depth) {
        let _ = (on, audit, depth);
    }

    /// Looks at what these values own.
    #[doc(hidden)]
    fn audit_all(values: &[Self], on: &impl Reader, audit: &mut Audit, depth: Depth) {
        if Self::OWNS {
            values.iter().for_each(|value| value.audit(on, audit, depth));
        }
    }
}

/// The description of a type and of all the types it can reach through pointers.
///
/// ```
/// let layout = vista::layout_of::<[u16; 3]>();
/// assert_eq!(layout.text, "[u16; 3]");
/// assert_eq!(layout.fingerprint, vista::fingerprint_of("[u16; 3]"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    /// Each struct once, the root first: its fields with name, type and offset, its size and its alignment.
    ///
    /// For a root that is not a struct, its name stands first. Two structs of the same name are told apart by
    /// a suffix: `Node`, `Node#2`.
    pub text: String,
    /// [`fingerprint_of`] the text.
    pub fingerprint: u64,
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Describes `T` and everything that it can reach.
///
/// Types with the same description have the same bytes in the file, on one platform. The cost is that of
/// building a string; it is paid when a segment is opened.
///
/// ```
/// use vista::{PPtr, PSlice, layout_of};
///
/// assert_eq!(layout_of::<PSlice<[u8; 84]>>().text, "PSlice<[u8; 84]>");
/// ```
pub fn layout_of<T: Persistent>() -> Layout {
    let _ = align_bytes_of::<T>(); // a struct describes itself, and need not have asked
    let mut describer = Describer { definitions: Vec::new() };
    let name = T::describe(&mut describer);
    let text = describer.finish(&name, TypeId::of::<T>());
    let fingerprint = fingerprint_of(&text);
    Layout { text, fingerprint }
}

/// The 64-bit FNV-1a hash of a description's text.
///
/// It is part of the file format and never changes: offset basis `0xcbf29ce484222325`, prime `0x100000001b3`,
/// over the UTF-8 bytes (Fowler, Noll, Vo and Eastlake, "The FNV Non-Cryptographic Hash Algorithm",
/// draft-eastlake-fnv). It notices mistakes, not malice; nothing in memory safety rests on it.
///
/// ```
/// let layout = vista::layout_of::<u64>();
/// assert_eq!(vista::fingerprint_of(&layout.text), layout.fingerprint);
/// ```
pub const fn fingerprint_of(text: &str) -> u64 {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let bytes = text.as_bytes();
    let mut hash = OFFSET_BASIS;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(PRIME);
        at += 1;
    }
    hash
}

/// The alignment of `T`, in bytes; asking for it is the proof that an offset can promise it, for it does not
/// compile otherwise.
pub(crate) const fn align_bytes_of<T>() -> usize {
    const { refuse_alignment(align_of::<T>()) };
    align_of::<T>()
}

/// Asserts that an alignment is one that an offset can promise.
#[track_caller]
pub const fn refuse_alignment(align_bytes: usize) {
    assert!(align_bytes <= MAX_ALIGN_BYTES, "a persistent type may be aligned to at most 4096 bytes");
}

/// Room for the fields of most structs. A description is put together of parts, which takes a third of the time that
/// formatting it takes: every opening of a segment does it.
const FIELDS_LEN: usize = 256;

/// Collects the structs that a root type can reach, each of them once.
///
/// Example: see [`structure`](Describer::structure).
#[derive(Debug)]
pub struct Describer {
    definitions: Vec<Definition>, // in the order in which they were met
}

#[derive(Debug)]
struct Definition {
    type_id: TypeId,
    own_name: String,
    name: String, // `own_name`, made unique
    body: String, // empty while the struct is being described
}

impl Describer {
    /// Describes struct `T` by its name and what `describe_fields` says of its fields, unless it is known
    /// already; returns the name, made unique.
    ///
    /// ```
    /// use vista::{Describer, Persistent};
    ///
    /// #[derive(Clone, Copy)]
    /// #[repr(C)]
    /// struct Point {
    ///     x: f64,
    ///     y: f64,
    /// }
    /// // SAFETY: (what the derive would have proved) two `f64` leave no padding, and any bytes are a value.
    /// unsafe impl bytemuck::Zeroable for Point {}
    /// // SAFETY: as above.
    /// unsafe impl bytemuck::Pod for Point {}
    ///
    /// impl Persistent for Point {
    ///     fn describe(describer: &mut Describer) -> String {
    ///         describer.structure::<Self>("Point", |fields| {
    ///             fields.field::<f64>("x", std::mem::offset_of!(Point, x));
    ///             fields.field::<f64>("y", std::mem::offset_of!(Point, y));
    ///         })
    ///     }
    /// }
    ///
    /// assert_eq!(vista::layout_of::<Point>().text, "Point{x:f64@0,y:f64@8}size=16,align=8");
    /// ```
    pub fn structure<T: Persistent>(
        &mut self,
        own_name: &str,
        describe_fields: impl FnOnce(&mut Fields<'_>),
    ) -> String {
        let type_id = TypeId::of::<T>();
        if let Some(known) = self.definitions.iter().find(|known| known.type_id == type_id) {
            return known.name.clone();
        }
        let place = self.definitions.len();
        let name = self.unique(own_name);
        // Entered before its fields are described, so that a struct may reach itself.
        self.definitions.push(Definition {
            type_id,
            own_name: own_name.to_owned(),
            name: name.clone(),
            body: String::new(),
        });
        let mut fields = Fields { describer: self, text: String::with_capacity(FIELDS_LEN) };
        describe_fields(&mut fields);
        let text = fields.text;
        let (size, align) = (size_of::<T>().to_string(), align_bytes_of::<T>().to_string());
        self.definitions[place].body = ["{", &text, "}size=", &size, ",align=", &align].concat();
        name
    }

    /// `own_name`, with a number behind it if other types of that name were met before.
    fn unique(&self, own_name: &str) -> String {
        match self.definitions.iter().filter(|known| known.own_name == own_name).count() {
            0 => own_name.to_owned(),
            namesakes => format!("{own_name}#{}", namesakes + 1),
        }
    }

    /// All definitions, the root's first.
    fn finish(mut self, root_name: &str, root: TypeId) -> String {
        let mut parts = Vec::with_capacity(self.definitions.len() * 3);
        match self.definitions.iter().position(|known| known.type_id == root) {
            // A generic root meets its arguments before itself.
            Some(place) => self.definitions[..=place].rotate_right(1),
            None => parts.extend([root_name, ";"]),
        }
        parts.extend(self.definitions.iter().flat_map(|known| [&*known.name, &*known.body, ";"]));
        parts.pop(); // The last of what stands between.
        parts.concat()
    }
}

/// The fields of one struct, while it is being described.
///
/// Example: see [`Describer::structure`].
#[derive(Debug)]
pub struct Fields<'a> {
    describer: &'a mut Describer,
    text: String,
}

impl Fields<'_> {
    /// The next field: its name, its type `F`, and its offset in the struct.
    ///
    /// Example: see [`Describer::structure`].
    pub fn field<F: Persistent>(&mut self, name: &str, offset: usize) {
        let type_name = F::describe(self.describer);
        let comma = if self.text.is_empty() { "" } else { "," };
        for part in [comma, name, ":", &type_name, "@", &offset.to_string()] {
            self.text.push_str(part);
        }
    }
}

macro_rules! persistent_primitives {
    ($($type:ty),*) => {$(
        impl Persistent for $type {
            fn describe(_: &mut Describer) -> String {
                stringify!($type).to_owned()
            }
        }
    )*};
}

persistent_primitives!(u8, u16, u32, u64, u128, i8, i16, i32, i64, i128, f32, f64, ());

impl<T: Persistent, const N: usize> Persistent for [T; N] {
    fn describe(describer: &mut Describer) -> String {
        ["[", &T::describe(describer), "; ", &N.to_string(), "]"].concat()
    }

    const OWNS: bool = T::OWNS;

    fn release(&self, tx: &mut impl Writer, depth: Depth) -> Result<()> {
        if T::OWNS { self.iter().try_for_each(|value| value.release(tx, depth)) } else { Ok(()) }
    }

    fn audit(&self, on: &impl Reader, audit: &mut Audit, depth: Depth) {
        T::audit_all(self, on, audit, depth);
    }
}

/// No bytes at all; for a struct that keeps a type parameter without a value of it.
impl<T: Persistent> Persistent for PhantomData<T> {
    fn describe(describer: &mut Describer) -> String {
        format!("PhantomData<{}>", T::describe(describer))
    }
}
