//! A growable string of UTF-8. Start at [`PString::new`].

use std::ops::RangeBounds;

use crate::collections::PBytes;
use crate::collections::handle::handle;
use crate::collections::layout::BytesHeader;
use crate::collections::vec::resolve;
use crate::content::{Audit, Depth};
use crate::error::Result;
use crate::{Describer, PPtr, Persistent, Reader, Writer};

handle! {
    /// A growable string of UTF-8: std's `String`, in a segment.
    ///
    /// ```
    /// use vista::{PString, SegmentOptions};
    ///
    /// let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PString>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     let text = PString::new(tx, "Gr")?;
    ///     *tx.root_mut()? = text;
    ///     text.push(tx, 'ü')?;
    ///     text.push_str(tx, "ße")?;
    ///     text.insert_str(tx, 0, "Viele ")?;
    ///     assert_eq!(text.drain(tx, ..6)?, "Viele ");
    ///     Ok(())
    /// })?;
    /// assert_eq!(segment.root()?.as_str(&segment)?, "Grüße");
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// It is a [`PBytes`] whose bytes are checked when they are read as a `str`; what is written is UTF-8, so that no
    /// `&mut str` has to be lent. Positions count bytes, as std's do; one that is not at a character's begin is
    /// [`Error::OutOfBounds`](crate::Error::OutOfBounds).
    ///
    /// # Cost
    /// That of [`PBytes`], and for [`as_str`](PString::as_str) the check.
    ///
    /// # A crash in the middle
    /// leaves the text as it was before the transaction.
    PString<> of BytesHeader, described as "PString"
}

impl PString {
    /// Makes a string.
    ///
    /// ```
    /// # use vista::{PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PString>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// let name = PString::new(tx, "Ada")?;
    /// *tx.root_mut()? = name; // What nothing holds can never be released.
    /// assert_eq!(name.as_str(tx)?, "Ada");
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PBytes::from_slice`].
    pub fn new(tx: &mut impl Writer, text: &str) -> Result<Self> {
        Ok(Self::from_bytes(PBytes::from_slice(tx, text.as_bytes())?))
    }

    /// Makes an empty string with room for `capacity` bytes.
    ///
    /// ```
    /// # use vista::{PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PString>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// let name = PString::with_capacity(tx, 100)?;
    /// *tx.root_mut()? = name;
    /// assert_eq!((name.len(tx)?, name.capacity(tx)?), (0, 100));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PBytes::from_slice`].
    pub fn with_capacity(tx: &mut impl Writer, capacity: usize) -> Result<Self> {
        Ok(Self::from_bytes(PBytes::with_capacity(tx, capacity)?))
    }

    /// The string that a field holds; if it holds none yet, makes an empty one and stores it there.
    ///
    /// A crash leaves the field null again, and the string's memory free.
    ///
    /// ```
    /// # use vista::{PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PString>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// let name = PString::or_new(tx, tx.root_ptr())?;
    /// name.push_str(tx, "Ada")?;
    /// let same = PString::or_new(tx, tx.root_ptr())?;
    /// assert_eq!(same.as_str(tx)?, "Ada");
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PBytes::or_new`].
    pub fn or_new(tx: &mut impl Writer, field: PPtr<Self>) -> Result<Self> {
        Self::or_make(tx, field, |tx| PBytes::new(tx).map(Self::from_bytes))
    }

    /// The text.
    ///
    /// ```
    /// # use vista::{PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PString>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let name = PString::or_new(tx, tx.root_ptr())?;
    /// name.set(tx, "Ada")?;
    /// let text: &str = name.as_str(tx)?;
    /// assert_eq!(text.to_uppercase(), "ADA");
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) if it is not UTF-8, and as [`PBytes::as_slice`].
    pub fn as_str<A: Reader>(self, on: &A) -> Result<&str> {
        self.text(on, self.as_bytes(on)?)
    }

    /// Bytes of this string as text.
    fn text<'a>(self, on: &'a impl Reader, bytes: &'a [u8]) -> Result<&'a str> {
        std::str::from_utf8(bytes).map_err(|error| {
            let at = error.valid_up_to();
            on.damaged(self.offset(), "string: UTF-8", bytes[at].into(), "the next character")
        })
    }

    /// The bytes, whether they are UTF-8 or not.
    ///
    /// ```
    /// # use vista::{PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PString>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let name = PString::or_new(tx, tx.root_ptr())?;
    /// name.set(tx, "Zoë")?;
    /// assert_eq!(name.as_bytes(tx)?, [b'Z', b'o', 0xc3, 0xab]);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PBytes::as_slice`].
    pub fn as_bytes<A: Reader>(self, on: &A) -> Result<&[u8]> {
        self.into_bytes().as_slice(on)
    }

    /// The same string as bytes: another view of it, not a copy.
    ///
    /// ```
    /// # use vista::{PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PString>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let text = PString::or_new(tx, tx.root_ptr())?;
    /// text.into_bytes().set(tx, b"\xFF")?; // Not checked here.
    /// assert!(text.as_str(tx).is_err());
    /// assert_eq!(text.as_bytes(tx)?, b"\xFF");
    /// assert!(PString::from_bytes(text.into_bytes()).ptr_eq(text));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    pub const fn into_bytes(self) -> PBytes {
        PBytes::from_header(self.header)
    }

    /// The string that these bytes are. They are checked when they are read as a `str`.
    ///
    /// ```
    /// # use vista::{PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PString>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// use vista::PBytes;
    ///
    /// let bytes = PBytes::from_slice(tx, b"Ada\xff")?;
    /// let name = PString::from_bytes(bytes);
    /// *tx.root_mut()? = name;
    /// assert!(name.as_str(tx).is_err());
    /// bytes.pop(tx)?;
    /// assert_eq!(name.as_str(tx)?, "Ada");
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    pub const fn from_bytes(bytes: PBytes) -> Self {
        Self::from_header(bytes.header())
    }

    /// Number of bytes.
    ///
    /// ```
    /// # use vista::{PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PString>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let name = PString::or_new(tx, tx.root_ptr())?;
    /// name.set(tx, "Zoë")?;
    /// assert_eq!(name.len(tx)?, 4); // As in std, not the number of characters.
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PBytes::as_slice`].
    pub fn len(self, on: &impl Reader) -> Result<usize> {
        self.into_bytes().len(on)
    }

    /// Whether there is no text.
    ///
    /// ```
    /// # use vista::{PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PString>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let name = PString::or_new(tx, tx.root_ptr())?;
    /// assert!(name.is_empty(tx)? && PString::null().is_empty(tx)?);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PBytes::as_slice`].
    pub fn is_empty(self, on: &impl Reader) -> Result<bool> {
        self.into_bytes().is_empty(on)
    }

    /// Number of bytes for which there is memory.
    ///
    /// ```
    /// # use vista::{PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PString>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let name = PString::or_new(tx, tx.root_ptr())?;
    /// assert_eq!(name.capacity(tx)?, 16);
    /// name.set(tx, "Augusta Ada King, Countess of Lovelace")?;
    /// assert!(name.capacity(tx)? >= name.len(tx)?);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PBytes::as_slice`].
    pub fn capacity(self, on: &impl Reader) -> Result<usize> {
        self.into_bytes().capacity(on)
    }

    /// Whether `index` is 0, the end, or the begin of a character. No position behind the end is.
    ///
    /// ```
    /// # use vista::{PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PString>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let name = PString::or_new(tx, tx.root_ptr())?;
    /// name.set(tx, "Zoë")?;
    /// assert!(name.is_char_boundary(tx, 2)? && !name.is_char_boundary(tx, 3)?);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PBytes::as_slice`].
    pub fn is_char_boundary(self, on: &impl Reader, index: usize) -> Result<bool> {
        Ok(is_boundary(self.as_bytes(on)?, index))
    }

    /// An error if `index` is none, or for the null handle.
    fn refuse_inside(self, on: &impl Reader, index: usize) -> Result<()> {
        let bytes = self.into_bytes().as_slice_to_write(on)?;
        if is_boundary(bytes, index) {
            Ok(())
        } else {
            Err(on.out_of_bounds(index as u64, bytes.len() as u64))
        }
    }

    /// Appends a character.
    ///
    /// ```
    /// # use vista::{PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PString>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let name = PString::or_new(tx, tx.root_ptr())?;
    /// for character in ['Z', 'o', 'ë'] {
    ///     name.push(tx, character)?;
    /// }
    /// assert_eq!(name.as_str(tx)?, "Zoë");
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PBytes::push`].
    pub fn push(self, tx: &mut impl Writer, character: char) -> Result<()> {
        self.push_str(tx, character.encode_utf8(&mut [0; 4]))
    }

    /// Appends text.
    ///
    /// ```
    /// # use vista::{PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PString>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let name = PString::or_new(tx, tx.root_ptr())?;
    /// name.push_str(tx, "Ada")?;
    /// name.push_str(tx, " Lovelace")?;
    /// assert_eq!(name.as_str(tx)?, "Ada Lovelace");
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PBytes::push`].
    pub fn push_str(self, tx: &mut impl Writer, text: &str) -> Result<()> {
        self.into_bytes().extend_from_slice(tx, text.as_bytes())
    }

    /// Removes the last character and returns it.
    ///
    /// ```
    /// # use vista::{PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PString>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let text = PString::or_new(tx, tx.root_ptr())?;
    /// text.set(tx, "Grüße")?;
    /// assert_eq!((text.pop(tx)?, text.remove(tx, 2)?), (Some('e'), 'ü'));
    /// text.insert(tx, 2, 'ö')?;
    /// assert_eq!((text.as_str(tx)?, text.len(tx)?), ("Größ", 6));
    /// assert!(!text.is_char_boundary(tx, 3)? && text.truncate(tx, 3).is_err());
    /// text.truncate(tx, 2)?;
    /// assert_eq!(text.as_str(tx)?, "Gr");
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) if the end is not UTF-8, and as [`PBytes::pop`].
    pub fn pop(self, tx: &mut impl Writer) -> Result<Option<char>> {
        let bytes = self.into_bytes().as_slice_to_write(tx)?;
        let Some(last) = bytes.len().checked_sub(1) else { return Ok(None) };
        // A character has four bytes at most.
        let start = (last.saturating_sub(3)..=last).rev().find(|&at| is_boundary(bytes, at)).unwrap_or(last);
        let character = self.text(tx, &bytes[start..])?.chars().next();
        self.into_bytes().truncate(tx, start)?;
        Ok(character)
    }

    /// Inserts a character at `index`, and moves what is behind; logs what moves.
    ///
    /// ```
    /// # use vista::{PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PString>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let name = PString::or_new(tx, tx.root_ptr())?;
    /// name.set(tx, "Zo")?;
    /// name.insert(tx, 2, 'ë')?;
    /// assert_eq!(name.as_str(tx)?, "Zoë");
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`insert_str`](PString::insert_str).
    pub fn insert(self, tx: &mut impl Writer, index: usize, character: char) -> Result<()> {
        self.insert_str(tx, index, character.encode_utf8(&mut [0; 4]))
    }

    /// Inserts text at `index`, and moves what is behind; logs what moves.
    ///
    /// ```
    /// # use vista::{PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PString>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let name = PString::or_new(tx, tx.root_ptr())?;
    /// name.set(tx, "Lovelace")?;
    /// name.insert_str(tx, 0, "Ada ")?;
    /// assert_eq!(name.as_str(tx)?, "Ada Lovelace");
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OutOfBounds`](crate::Error::OutOfBounds) if no character begins at `index`; and as [`PBytes::push`].
    pub fn insert_str(self, tx: &mut impl Writer, index: usize, text: &str) -> Result<()> {
        self.refuse_inside(tx, index)?;
        self.into_bytes().insert_slice(tx, index, text.as_bytes())
    }

    /// Removes the text of a range of bytes and returns it; moves what is behind, and logs what moves.
    ///
    /// ```
    /// # use vista::{PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PString>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let name = PString::or_new(tx, tx.root_ptr())?;
    /// name.set(tx, "Ada Lovelace")?;
    /// assert_eq!(name.drain(tx, 3..)?, " Lovelace");
    /// assert_eq!(name.as_str(tx)?, "Ada");
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OutOfBounds`](crate::Error::OutOfBounds), also if no character begins at one of its ends;
    /// [`Error::Damaged`](crate::Error::Damaged) if it is not UTF-8; and as [`PBytes::drain`].
    pub fn drain(self, tx: &mut impl Writer, range: impl RangeBounds<usize>) -> Result<String> {
        let bytes = self.into_bytes().as_slice_to_write(tx)?;
        let range = resolve(tx, &range, bytes.len() as u64)?;
        let range = range.start as usize..range.end as usize;
        for end in [range.start, range.end] {
            self.refuse_inside(tx, end)?;
        }
        let text = self.text(tx, &bytes[range.clone()])?.to_owned();
        self.into_bytes().drain(tx, range)?;
        Ok(text)
    }

    /// Removes the character that begins at `index` and returns it; moves what is behind, and logs what moves.
    ///
    /// ```
    /// # use vista::{PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PString>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let name = PString::or_new(tx, tx.root_ptr())?;
    /// name.set(tx, "Zoë!")?;
    /// assert_eq!(name.remove(tx, 2)?, 'ë');
    /// assert_eq!(name.as_str(tx)?, "Zo!");
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`drain`](PString::drain).
    pub fn remove(self, tx: &mut impl Writer, index: usize) -> Result<char> {
        self.refuse_inside(tx, index)?;
        let bytes = self.as_bytes(tx)?;
        let rest = &bytes[index..];
        let end = (1..=rest.len()).find(|&at| is_boundary(rest, at));
        let Some(character) = end.map(|end| self.text(tx, &rest[..end])).transpose()?.and_then(first) else {
            return Err(tx.out_of_bounds(index as u64, bytes.len() as u64));
        };
        self.into_bytes().drain(tx, index..index + character.len_utf8())?;
        Ok(character)
    }

    /// Keeps the first `len` bytes.
    ///
    /// ```
    /// # use vista::{PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PString>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let name = PString::or_new(tx, tx.root_ptr())?;
    /// name.set(tx, "Zoë")?;
    /// assert!(name.truncate(tx, 3).is_err()); // Inside of the last character.
    /// name.truncate(tx, 2)?;
    /// assert_eq!(name.as_str(tx)?, "Zo");
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OutOfBounds`](crate::Error::OutOfBounds) if that is inside of a character; and as [`PBytes::truncate`].
    pub fn truncate(self, tx: &mut impl Writer, len: usize) -> Result<()> {
        if len < self.into_bytes().as_slice_to_write(tx)?.len() {
            self.refuse_inside(tx, len)?;
        }
        self.into_bytes().truncate(tx, len)
    }

    /// Removes all text; keeps the memory.
    ///
    /// ```
    /// # use vista::{PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PString>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let name = PString::or_new(tx, tx.root_ptr())?;
    /// name.set(tx, "Ada")?;
    /// name.clear(tx)?;
    /// assert!(name.is_empty(tx)? && name.capacity(tx)? == 16);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PBytes::truncate`].
    pub fn clear(self, tx: &mut impl Writer) -> Result<()> {
        self.into_bytes().clear(tx)
    }

    /// Stores another text in the place of all that there is.
    ///
    /// A crash leaves all of the old text, never a mixture.
    ///
    /// ```
    /// # use vista::{PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PString>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let name = PString::or_new(tx, tx.root_ptr())?;
    /// name.set(tx, "Ada")?;
    /// name.set(tx, "Grace")?;
    /// assert_eq!(name.as_str(tx)?, "Grace");
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PBytes::set`].
    pub fn set(self, tx: &mut impl Writer, text: &str) -> Result<()> {
        self.into_bytes().set(tx, text.as_bytes())
    }

    /// Makes room for `additional` bytes more, at least.
    ///
    /// ```
    /// # use vista::{PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PString>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let name = PString::or_new(tx, tx.root_ptr())?;
    /// name.reserve(tx, 1000)?;
    /// assert!(name.capacity(tx)? >= 1000);
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PBytes::reserve`].
    pub fn reserve(self, tx: &mut impl Writer, additional: usize) -> Result<()> {
        self.into_bytes().reserve(tx, additional)
    }

    /// Gives back memory, as [`PBytes::shrink_to_fit`].
    ///
    /// ```
    /// # use vista::{PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PString>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// # let name = PString::or_new(tx, tx.root_ptr())?;
    /// name.reserve(tx, 1000)?;
    /// name.set(tx, "Ada")?;
    /// name.shrink_to_fit(tx)?;
    /// assert_eq!((name.as_str(tx)?, name.capacity(tx)?), ("Ada", 16));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PBytes::shrink_to_fit`].
    pub fn shrink_to_fit(self, tx: &mut impl Writer) -> Result<()> {
        self.into_bytes().shrink_to_fit(tx)
    }

    /// A second string of the same text: see [`PBytes::duplicate`].
    ///
    /// ```
    /// # use vista::{PString, SegmentOptions};
    /// # let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PString>()?;
    /// # segment.transaction(|tx| -> vista::Result<()> {
    /// let name = PString::new(tx, "Ada")?;
    /// let other = name.duplicate(tx)?;
    /// other.push_str(tx, " Lovelace")?;
    /// assert_eq!((name.as_str(tx)?, other.as_str(tx)?), ("Ada", "Ada Lovelace"));
    /// # Ok(())
    /// # })?;
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PBytes::duplicate`].
    pub fn duplicate(self, tx: &mut impl Writer) -> Result<Self> {
        Ok(Self::from_bytes(self.into_bytes().duplicate(tx)?))
    }
}

fn first(text: &str) -> Option<char> {
    text.chars().next()
}

/// Whether `index` is 0 or the end, or no continuation byte stands there: `str::is_char_boundary` for bytes.
fn is_boundary(bytes: &[u8], index: usize) -> bool {
    index == 0 || index == bytes.len() || bytes.get(index).is_some_and(|byte| byte & 0xC0 != 0x80)
}

impl Persistent for PString {
    const OWNS: bool = true;

    fn describe(_: &mut Describer) -> String {
        "PString".to_owned()
    }

    fn release(&self, tx: &mut impl Writer, depth: Depth) -> Result<()> {
        self.into_bytes().release(tx, depth)
    }

    fn audit(&self, on: &impl Reader, audit: &mut Audit, depth: Depth) {
        self.into_bytes().audit(on, audit, depth);
        if let Err(error) = self.as_str(on) {
            audit.failed(self.offset(), &error);
        }
    }
}
