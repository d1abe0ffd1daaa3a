//! Makes the book, by mdBook as a library: `cargo run --profile book -p guide --features book`.
//! It is then in `target/book`.

use std::path::Path;
use std::process::ExitCode;

use mdbook_driver::MDBook;

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let made = MDBook::load(root).and_then(|book| {
        book.build()?;
        Ok(book.build_dir_for("html"))
    });
    match made {
        Ok(dir) => {
            println!("{}", dir.join("index.html").display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("the book cannot be made: {error:#}");
            ExitCode::FAILURE
        }
    }
}
