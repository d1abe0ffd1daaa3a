//! Links what the chosen features need, and says clearly what is missing.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_PMDK").is_none() {
        return;
    }
    // Without pkg-config the linker is left to say it.
    if let Ok(output) = Command::new("pkg-config").args(["--modversion", "libpmemobj"]).output()
        && !output.status.success()
    {
        panic!("feature `pmdk`: libpmemobj was not found; on Debian it is in the package libpmemobj-dev");
    }
    println!("cargo::rustc-link-lib=pmemobj");
}
