//! Makes Rust of the protocol. The compiler for it is a library, so nobody has to install one.

use std::{env, error::Error, fs, path::Path};

use prost::Message;

const FILES: &[&str] = &[
    "vedette/v1/agent.proto",
    "vedette/v1/alert.proto",
    "vedette/v1/controller.proto",
    "vedette/v1/policy.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    let descriptors = protox::compile(FILES, ["."])?;
    for file in FILES {
        println!("cargo::rerun-if-changed={file}");
    }
    // Reflection serves what was compiled.
    let out = env::var("OUT_DIR")?;
    fs::write(Path::new(&out).join("vedette.v1.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().bytes(".vedette.v1").compile_fds(descriptors)?;
    Ok(())
}
