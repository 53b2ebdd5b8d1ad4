//! Finds the BPF object that the agent embeds.

use std::{env, path::PathBuf};

fn main() {
    println!("cargo::rerun-if-env-changed=VEDETTE_BPF_OBJECT");
    // Embedded by a macro that does not notice a file that is new.
    println!("cargo::rerun-if-changed=../deploy/policies");
    let object = env::var_os("VEDETTE_BPF_OBJECT").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/ebpf/vedette-ebpf.o"),
        PathBuf::from,
    );
    println!("cargo::rerun-if-changed={}", object.display());
    match object.canonicalize() {
        Ok(path) => println!("cargo::rustc-env=VEDETTE_BPF_OBJECT_PATH={}", path.display()),
        Err(error) => {
            println!(
                "cargo::error=the BPF object {} is not there ({error}): run `cargo xtask build-ebpf`",
                object.display()
            );
            std::process::exit(1);
        }
    }
}
