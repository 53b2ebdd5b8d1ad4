//! What the tests of the whole have in common: processes, a proxy that cuts, and agents that are made up.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

pub mod controller;
pub mod process;
pub mod proxy;
pub mod simulated;
pub mod wait;

/// The variable by which `cargo xtask test` says that tests may load BPF programs into this host's kernel.
const GATE: &str = "VEDETTE_BPF_TESTS";

/// Whether this run may do what needs root: load BPF programs into this host's kernel, mount. Where it may not, says that
/// the tests named `what` are left out; in CI that is a failure.
///
/// # Panics
/// With `CI=true` and without the permission.
pub fn may_use_root(what: &str) -> bool {
    let is = |name: &str, value: &str| std::env::var_os(name).is_some_and(|v| v == value);
    if is(GATE, "1") {
        return true;
    }
    assert!(!is("CI", "true"), "{what}: in CI the tests that need root must run (root, {GATE}=1)");
    eprintln!("{what}: left out, because {GATE}=1 is not set; `cargo xtask test` as root runs them");
    false
}
