//! Whether this host can run the agent at all, in one sentence if not.

use std::path::Path;

use super::RunError;
use crate::btf::KERNEL_BTF;

/// Capabilities without which nothing works, by number (`include/uapi/linux/capability.h`).
const NEEDED: &[(u32, &str)] = &[(38, "CAP_PERFMON"), (39, "CAP_BPF")];

/// Whether BPF programs can be loaded here at all.
///
/// # Errors
/// They cannot; the text says what is in the way.
pub fn check() -> Result<(), RunError> {
    obstacle().map_or(Ok(()), |obstacle| Err(RunError::input(obstacle)))
}

/// What is in the way.
fn obstacle() -> Option<String> {
    if !Path::new(KERNEL_BTF).exists() {
        return Some(format!(
            "this kernel has no {KERNEL_BTF}: boot one with CONFIG_DEBUG_INFO_BTF=y (6.1 or later; distributions have it)"
        ));
    }
    let missing = missing_capabilities(&std::fs::read_to_string("/proc/self/status").ok()?);
    (!missing.is_empty())
        .then(|| format!("loading BPF programs needs {}: run as root, e.g. with sudo", missing.join(" and ")))
}

/// Of what is needed, what `/proc/self/status` does not list as effective. `CAP_SYS_ADMIN` stands for both.
fn missing_capabilities(status: &str) -> Vec<&'static str> {
    const SYS_ADMIN: u32 = 21;
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(0);
    let has = |number: u32| effective >> number & 1 == 1;
    NEEDED.iter().filter(|(number, _)| !has(*number) && !has(SYS_ADMIN)).map(|(_, name)| *name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_off_the_status() {
        assert_eq!(missing_capabilities("CapEff:\t0000000000000000\n"), ["CAP_PERFMON", "CAP_BPF"]);
        assert_eq!(missing_capabilities("CapEff:\t000000c000000000\n"), [""; 0]);
        assert_eq!(missing_capabilities("CapEff:\t0000000000200000\n"), [""; 0]);
        assert_eq!(missing_capabilities("garbage"), ["CAP_PERFMON", "CAP_BPF"]);
    }
}
