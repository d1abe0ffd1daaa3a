//! Links what the chosen features need, and says clearly what is missing.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(pmdk_maps)");
    #[cfg(feature = "pmdk")]
    pmdk::link();
}

#[cfg(feature = "pmdk")]
mod pmdk {
    use std::path::Path;
    use std::process::Command;

    /// Where Debian's libpmemobj-dev puts PMDK's examples, maps among them.
    const EXAMPLES: &str = "/usr/share/doc/libpmemobj-dev/examples";

    pub(super) fn link() {
        // Without pkg-config the linker is left to say it.
        if let Ok(output) = Command::new("pkg-config").args(["--modversion", "libpmemobj"]).output()
            && !output.status.success()
        {
            panic!("feature `pmdk`: libpmemobj was not found; on Debian it is in the package libpmemobj-dev");
        }
        let [hash, tree] = ["hashmap", "tree_map"].map(|folder| Path::new(EXAMPLES).join(folder));
        let sources = [hash.join("hashmap_tx.c"), tree.join("btree_map.c")];
        if sources.iter().all(|source| source.exists()) {
            let mut build = cc::Build::new();
            build.files(&sources).include(&hash).include(&tree);
            build.opt_level(2).define("NDEBUG", None).warnings(false).compile("pmdk_maps");
            println!("cargo::rustc-cfg=pmdk_maps");
        } else {
            println!("cargo::warning=PMDK's maps are not in {EXAMPLES}: they do not take part");
        }
        println!("cargo::rustc-link-lib=pmemobj");
    }
}
