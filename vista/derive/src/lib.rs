//! The derive macro behind `vista::Persistent`.
//!
//! It reads a struct and writes three impls: `Zeroable` and `Pod`, whose obligations it makes the compiler
//! prove (each failure is an error at the field or struct that is to blame), and `Persistent`, which describes
//! the fields. What cannot be proved at the struct's definition is refused. Start at `expand`.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{
    Attribute, Data, DeriveInput, Error, Fields, GenericParam, Generics, Index, LitStr, Member, Meta, Path,
    Result, Token, Type, parse_macro_input, parse_quote,
};

/// Implements `Persistent`, and with it `bytemuck`'s `Pod` and `Zeroable`, for a struct.
///
/// ```ignore
/// #[derive(Clone, Copy, Persistent)]
/// #[repr(C)]
/// struct Account {
///     id: u32,
///     _pad: [u8; 4],
///     balance: i64,
/// }
/// ```
///
/// The struct must be
///
/// - `#[repr(C)]`, also with `align(N)` up to 4096, or `#[repr(transparent)]`;
/// - `Copy`, and so without anything that is dropped;
/// - free of padding: bytes that are never written must not be stored. The error names the field after which
///   they lie, and how many they are; make them a field `_pad: [u8; N]`;
/// - made of fields that are `Persistent` themselves;
/// - without parameters, for padding is only known once they are. A `#[repr(transparent)]` struct has none,
///   and may have type and const parameters; its type parameters are bounded by `Persistent`.
///
/// Enums and unions are refused: any bytes must be a valid value. Keep an integer, and convert.
///
/// The macro writes `unsafe impl`s; they compile in a crate that denies or forbids `unsafe_code`, because
/// rustc does not hold a crate to that for what a derive wrote.
///
/// # Attributes of the struct
///
/// - `#[persistent(name = "bank::Account")]`: the name in the description, instead of the struct's own. A
///   struct can be renamed, and files stay readable.
/// - `#[persistent(crate = path::to::vista)]`: where `vista` is found, instead of `::vista`.
#[proc_macro_derive(Persistent, attributes(persistent))]
pub fn derive_persistent(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(input).unwrap_or_else(Error::into_compile_error).into()
}

fn expand(input: DeriveInput) -> Result<TokenStream> {
    let fields = Field::all_of(&input)?;
    let repr = Repr::of(&input)?;
    check_parameters(&input.generics, repr)?;
    let options = Options::of(&input)?;

    let vista = &options.vista;
    let name = &input.ident;
    let describe = describe(&input, &fields, &options);
    let content = content(&fields, vista);
    let checks = match repr {
        Repr::C => check_layout(&input, &fields, vista),
        // Its one field with bytes has the same layout, and that field is persistent.
        Repr::Transparent => TokenStream::new(),
    };

    let mut generics = input.generics.clone();
    for parameter in generics.type_params_mut() {
        parameter.bounds.push(parse_quote!(#vista::Persistent));
    }
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();

    // Why both are sound: (1) every field is persistent, hence `Pod`: `describe` compiles for no other.
    // (2) There is no padding: `checks`. (3) `Copy` and `'static` are bounds of `Pod` itself.
    Ok(quote! {
        #[automatically_derived]
        unsafe impl #impl_generics #vista::__private::Zeroable for #name #type_generics #where_clause {}

        #[automatically_derived]
        unsafe impl #impl_generics #vista::__private::Pod for #name #type_generics #where_clause {}

        #[automatically_derived]
        #[diagnostic::do_not_recommend] // The list of what is persistent names the kinds, not every struct.
        impl #impl_generics #vista::Persistent for #name #type_generics #where_clause {
            #describe

            #content
        }

        #checks
    })
}

/// `Persistent::describe`, which is also the proof that each field is persistent.
fn describe(input: &DeriveInput, fields: &[Field<'_>], options: &Options) -> TokenStream {
    let vista = &options.vista;
    let lines = fields.iter().map(|Field { member, name, ty }| {
        quote! {
            #vista::__private::describe_field::<Self, #ty>(
                fields,
                #name,
                ::core::mem::offset_of!(Self, #member),
                |value| &raw const value.#member,
            );
        }
    });
    let fields_name = if fields.is_empty() { quote!(_) } else { quote!(fields) };
    let name = name_in_description(&input.generics, options);
    quote! {
        fn describe(describer: &mut #vista::Describer) -> ::std::string::String {
            let name = #name;
            describer.structure::<Self>(&name, |#fields_name| { #(#lines)* })
        }
    }
}

/// `Persistent::release` and its kin: field by field.
fn content(fields: &[Field<'_>], vista: &Path) -> TokenStream {
    let types: Vec<_> = fields.iter().map(|field| field.ty).collect();
    let members: Vec<_> = fields.iter().map(|field| &field.member).collect();
    quote! {
        const OWNS: bool = false #(|| <#types as #vista::Persistent>::OWNS)*;

        fn release(
            &self,
            tx: &mut impl #vista::Writer,
            depth: #vista::Depth,
        ) -> #vista::Result<()> {
            if <Self as #vista::Persistent>::OWNS {
                #(#vista::Persistent::release(&self.#members, tx, depth)?;)*
            }
            ::core::result::Result::Ok(())
        }

        fn audit(&self, on: &impl #vista::Reader, audit: &mut #vista::Audit, depth: #vista::Depth) {
            if <Self as #vista::Persistent>::OWNS {
                #(#vista::Persistent::audit(&self.#members, on, audit, depth);)*
            }
        }
    }
}

/// An expression for the name, with the arguments of a generic struct: `Id<Account>`.
fn name_in_description(generics: &Generics, options: &Options) -> TokenStream {
    let own_name = &options.name;
    let vista = &options.vista;
    if generics.params.is_empty() {
        return quote!(#own_name);
    }
    let arguments = generics.params.iter().filter_map(|parameter| match parameter {
        GenericParam::Type(parameter) => {
            let name = &parameter.ident;
            Some(quote!(<#name as #vista::Persistent>::describe(describer)))
        }
        GenericParam::Const(parameter) => {
            let name = &parameter.ident;
            Some(quote!(::std::string::ToString::to_string(&#name)))
        }
        GenericParam::Lifetime(_) => None,
    });
    quote!(::std::format!("{}<{}>", #own_name, [#(#arguments),*].join(", ")))
}

/// Assertions, evaluated where the struct is defined, that its alignment is allowed and its fields touch.
///
/// An error is shown from the first to the last token of the call. That is why the functions are imported: a
/// path would begin where the user wrote it, or at the derive.
fn check_layout(input: &DeriveInput, fields: &[Field<'_>], vista: &Path) -> TokenStream {
    let name = &input.ident;
    let at_struct = located_at(name.span());
    let alignment = quote_spanned! {at_struct=>
        const _: () = {
            use #vista::__private::refuse_alignment;
            refuse_alignment(::core::mem::align_of::<#name>())
        };
    };
    let gaps = fields.iter().enumerate().map(|(place, Field { member, ty, .. })| {
        let next = match fields.get(place + 1) {
            Some(Field { member, .. }) => quote!(::core::mem::offset_of!(#name, #member)),
            None => quote!(::core::mem::size_of::<#name>()),
        };
        let start = quote!(::core::mem::offset_of!(#name, #member));
        let size = quote!(#vista::__private::size_of_field(|value: &#name| &raw const value.#member));
        let at_field = located_at(match member {
            Member::Named(ident) => ident.span(),
            Member::Unnamed(_) => ty.span(),
        });
        quote_spanned! {at_field=>
            const _: () = {
                use #vista::__private::refuse_padding;
                refuse_padding(#next - #start - #size)
            };
        }
    });
    quote! { #alignment #(#gaps)* }
}

/// Where the user wrote something, for an error to point to; but still known as written by the macro.
fn located_at(place: Span) -> Span {
    Span::call_site().located_at(place)
}

/// A field, by the three things that are said of it.
struct Field<'a> {
    member: Member,
    name: String,
    ty: &'a Type,
}

impl<'a> Field<'a> {
    fn all_of(input: &'a DeriveInput) -> Result<Vec<Self>> {
        let fields = match &input.data {
            Data::Struct(data) => &data.fields,
            Data::Enum(data) => {
                return Err(Error::new(
                    data.enum_token.span,
                    "an enum cannot be `Persistent`: any bytes in the file must be a valid value; keep an \
                     integer field, and convert it to the enum when it is read",
                ));
            }
            Data::Union(data) => {
                return Err(Error::new(
                    data.union_token.span,
                    "a union cannot be `Persistent`: its bytes need not all be written; keep an array of \
                     bytes, or a struct with a field for each variant",
                ));
            }
        };
        let members = match fields {
            Fields::Named(fields) => &fields.named,
            Fields::Unnamed(fields) => &fields.unnamed,
            Fields::Unit => return Ok(Vec::new()),
        };
        Ok(members.iter().enumerate().map(|(place, field)| Self::new(place, field)).collect())
    }

    fn new(place: usize, field: &'a syn::Field) -> Self {
        let ty = &field.ty;
        match &field.ident {
            Some(ident) => Self { member: Member::Named(ident.clone()), name: ident.unraw().to_string(), ty },
            None => Self { member: Member::Unnamed(Index::from(place)), name: place.to_string(), ty },
        }
    }
}

/// The two representations of which the layout is fixed.
#[derive(Clone, Copy, PartialEq)]
enum Repr {
    C,
    Transparent,
}

impl Repr {
    fn of(input: &DeriveInput) -> Result<Self> {
        let mut repr = None;
        for attribute in attributes_named(input, "repr") {
            for meta in attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)? {
                if meta.path().is_ident("packed") {
                    return Err(Error::new(
                        meta.span(),
                        "a packed struct cannot be `Persistent`: references to its fields would be \
                         unaligned; order the fields by size, or make padding a field `_pad: [u8; N]`",
                    ));
                } else if meta.path().is_ident("C") {
                    repr = Some(Self::C);
                } else if meta.path().is_ident("transparent") {
                    repr = Some(Self::Transparent);
                }
            }
        }
        repr.ok_or_else(|| {
            Error::new(
                input.ident.span(),
                format!(
                    "`{}` needs `#[repr(C)]` to be `Persistent`: without it each compiler may order the \
                     fields differently, and the file outlives the compiler",
                    input.ident
                ),
            )
        })
    }
}

/// Refuses parameters for which the proof cannot be given at the definition.
fn check_parameters(generics: &Generics, repr: Repr) -> Result<()> {
    for parameter in &generics.params {
        match parameter {
            GenericParam::Lifetime(lifetime) => {
                return Err(Error::new(
                    lifetime.span(),
                    "a struct with a lifetime cannot be `Persistent`: a reference means nothing to the next \
                     process; keep a `PPtr` or a `PSlice`",
                ));
            }
            GenericParam::Type(_) | GenericParam::Const(_) if repr == Repr::C => {
                return Err(Error::new(
                    parameter.span(),
                    "a generic struct can be `Persistent` only if it is `#[repr(transparent)]`: whether \
                     there is padding depends on the parameters; write the struct once for each use, or \
                     let a macro write it",
                ));
            }
            GenericParam::Type(_) | GenericParam::Const(_) => {}
        }
    }
    Ok(())
}

/// What `#[persistent(...)]` says, or else the defaults.
struct Options {
    vista: Path,
    name: String,
}

impl Options {
    fn of(input: &DeriveInput) -> Result<Self> {
        let mut options = Self { vista: parse_quote!(::vista), name: input.ident.unraw().to_string() };
        for attribute in attributes_named(input, "persistent") {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("crate") {
                    options.vista = meta.value()?.parse()?;
                    Ok(())
                } else if meta.path.is_ident("name") {
                    options.name = stable_name(&meta.value()?.parse()?)?;
                    Ok(())
                } else {
                    Err(meta.error("expected `name = \"...\"` or `crate = path`"))
                }
            })?;
        }
        Ok(options)
    }
}

/// The name that the user chose. Only a path of identifiers, because a description has punctuation of its own.
fn stable_name(literal: &LitStr) -> Result<String> {
    let plain = |path: &Path| path.segments.iter().all(|segment| segment.arguments.is_none());
    match literal.parse::<Path>() {
        Ok(path) if plain(&path) => Ok(path.to_token_stream().to_string().replace(' ', "")),
        _ => Err(Error::new(literal.span(), "a name is a path of identifiers, as in \"bank::Account\"")),
    }
}

fn attributes_named<'a>(input: &'a DeriveInput, name: &'static str) -> impl Iterator<Item = &'a Attribute> {
    input.attrs.iter().filter(move |attribute| attribute.path().is_ident(name))
}
