//! The derive accepts what is sound, and refuses the rest with an error that says what to do. Nor does it compile to
//! write where nothing was logged, or to keep what a transaction lent longer than it lasts.
//!
//! The expected errors lie beside the cases in `tests/ui/fail`. They are rustc's words in part, and differ
//! between compilers; after a change, `TRYBUILD=overwrite cargo test -p rio-vista --test types` writes them
//! anew, to be read before they are kept.

#[test]
fn what_compiles_and_what_does_not() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}
