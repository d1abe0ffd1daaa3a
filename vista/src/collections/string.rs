//! A growable string of UTF-8. Start at [`PString::new`].

use crate::collections::PBytes;
use crate::collections::handle::handle;
use crate::collections::layout::BytesHeader;
use crate::content::{Audit, Depth};
use crate::error::Result;
use crate::{Describer, Persistent, Reader, Writer};

handle! {
    /// A growable string of UTF-8: std's `String`, in a segment.
    ///
    /// ```
    /// use vista::{PString, SegmentOptions};
    ///
    /// let mut segment = SegmentOptions::new().size(1 << 20).anonymous::<PString>()?;
    /// segment.transaction(|tx| -> vista::Result<()> {
    ///     *tx.root_mut()? = PString::new(tx, "Grüße")?;
    ///     Ok(())
    /// })?;
    /// assert_eq!(segment.root()?.as_str(&segment)?, "Grüße");
    /// # Ok::<_, vista::Error>(())
    /// ```
    ///
    /// It is a [`PBytes`] whose bytes are checked when they are read as a `str`.
    PString<> of BytesHeader, described as "PString"
}

impl PString {
    /// Makes a string.
    ///
    /// # Errors
    /// As [`PBytes::from_slice`].
    pub fn new(tx: &mut impl Writer, text: &str) -> Result<Self> {
        Ok(Self::from_bytes(PBytes::from_slice(tx, text.as_bytes())?))
    }

    /// The text.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) if it is not UTF-8, and as [`PBytes::as_slice`].
    pub fn as_str<A: Reader>(self, on: &A) -> Result<&str> {
        let bytes = self.into_bytes().as_slice(on)?;
        std::str::from_utf8(bytes).map_err(|error| {
            let at = error.valid_up_to();
            on.damaged(self.offset(), "string: UTF-8", bytes[at].into(), "the next character")
        })
    }

    /// The bytes, whether they are UTF-8 or not.
    ///
    /// # Errors
    /// As [`PBytes::as_slice`].
    pub fn as_bytes<A: Reader>(self, on: &A) -> Result<&[u8]> {
        self.into_bytes().as_slice(on)
    }

    /// The same string as bytes: another view of it, not a copy.
    pub const fn into_bytes(self) -> PBytes {
        PBytes::from_header(self.header)
    }

    /// The string that these bytes are. They are checked when they are read as a `str`.
    pub const fn from_bytes(bytes: PBytes) -> Self {
        Self::from_header(bytes.header())
    }
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
