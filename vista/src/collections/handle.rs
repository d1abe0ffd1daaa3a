//! A handle: 8 bytes that name a collection, by the offset of its header.

/// Declares a handle: a struct around the offset of the collection's header, and what all handles can do.
macro_rules! handle {
    ($(#[$doc:meta])* $name:ident<$($parameter:ident),*> of $header:ty, described as $text:literal) => {
        $(#[$doc])*
        #[repr(transparent)]
        pub struct $name<$($parameter),*> {
            header: $crate::PPtr<$header>,
            // Owns no value in this process: whatever the parameters are, a handle may be sent, shared and copied.
            of: ::std::marker::PhantomData<fn() -> ($($parameter,)*)>,
        }

        impl<$($parameter),*> $name<$($parameter),*> {
            /// The handle of no collection: all zero. It reads as empty, and cannot be written to.
            pub const NULL: Self = Self::from_header($crate::PPtr::NULL);

            /// The handle of no collection.
            ///
            /// Example: see [handles](crate::collections#handles).
            pub const fn null() -> Self {
                Self::NULL
            }

            /// Whether there is no collection.
            ///
            /// Example: see [handles](crate::collections#handles).
            pub const fn is_null(self) -> bool {
                self.header.is_null()
            }

            /// Whether two handles name the same collection. (What collections hold is compared by reading them.)
            ///
            /// Example: see [handles](crate::collections#handles).
            pub const fn ptr_eq(self, other: Self) -> bool {
                self.header.offset() == other.header.offset()
            }

            /// Offset of the collection's header in the segment; 0 for null.
            ///
            /// Example: see [handles](crate::collections#handles).
            pub const fn offset(self) -> u64 {
                self.header.offset()
            }

            /// The handle that a field holds; if that is null, the one that `make` gives, which is stored there.
            fn or_make<W: $crate::Writer>(
                tx: &mut W,
                field: $crate::PPtr<Self>,
                make: impl FnOnce(&mut W) -> $crate::Result<Self>,
            ) -> $crate::Result<Self>
            where
                Self: $crate::Persistent,
            {
                let found = *tx.get(field)?;
                if !found.is_null() {
                    return Ok(found);
                }
                let new = make(tx)?;
                tx.write(field, new)?;
                Ok(new)
            }

            /// The pointer to the header.
            #[allow(dead_code, reason = "not every collection is asked")]
            pub(in crate::collections) const fn header(self) -> $crate::PPtr<$header> {
                self.header
            }

            pub(in crate::collections) const fn from_header(header: $crate::PPtr<$header>) -> Self {
                Self { header, of: ::std::marker::PhantomData }
            }
        }

        #[allow(unsafe_code, reason = "`Zeroable` has no other form")]
        // SAFETY: zero is an offset, and `PhantomData` has no bytes.
        unsafe impl<$($parameter),*> ::bytemuck::Zeroable for $name<$($parameter),*> {}

        #[allow(unsafe_code, reason = "`Pod` has no other form")]
        // SAFETY: (1) any bytes are an offset, and `PhantomData` has no bytes. (2) `repr(transparent)`, so there is no
        // padding. (3) It is `Copy` and `'static`, and has no interior mutability. (4) It holds an offset and not an
        // address, so it carries no provenance.
        unsafe impl<$($parameter: 'static),*> ::bytemuck::Pod for $name<$($parameter),*> {}

        // By hand, because derived they would ask the same of the parameters, of which there is no value here.

        impl<$($parameter),*> Clone for $name<$($parameter),*> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<$($parameter),*> Copy for $name<$($parameter),*> {}

        impl<$($parameter),*> Default for $name<$($parameter),*> {
            fn default() -> Self {
                Self::NULL
            }
        }

        impl<$($parameter),*> ::std::fmt::Debug for $name<$($parameter),*> {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                if self.is_null() {
                    write!(f, concat!($text, "(null)"))
                } else {
                    write!(f, concat!($text, "({:#x})"), self.offset())
                }
            }
        }
    };
}

pub(super) use handle;
