//! Building a program in Rust.

use super::Scene;

/// The scene.
pub const SCENE: Scene = Scene {
    name: "build_rust",
    what: "Rust: a new crate with a build script; build, test, run, install",
    needs: &["cargo"],
    quick: false,
    script: r##"export CARGO_NET_OFFLINE=true CARGO_TARGET_DIR="$PWD/target"
unset CARGO CARGO_MANIFEST_DIR RUSTC RUSTUP_TOOLCHAIN_OVERRIDE || true
cargo new --vcs git noise && cd noise
printf 'fn main() { std::fs::write(format!("{}/made.rs", std::env::var("OUT_DIR").unwrap()), "pub const N: u32 = 7;").unwrap(); }' > build.rs
cat > src/main.rs <<'RUST'
include!(concat!(env!("OUT_DIR"), "/made.rs"));
fn main() { println!("{}", std::process::Command::new("uname").output().map(|o| o.stdout.len() as u32 + N).unwrap()); }
#[test] fn works() { assert_eq!(N, 7); }
RUST
cargo build && cargo test && cargo run && cargo build --release
cargo install --path . --root "$PWD/root" && ./root/bin/noise
cargo clean
"##,
};
