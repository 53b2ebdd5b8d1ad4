//! What tests make real containers with: runc, containerd, and a busybox that needs no libraries.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::Consent;
use super::unpack::{self, Tool};

const TOOLS: &[Tool] = &[
    Tool { program: "runc", package: "runc", good: Path::is_file },
    Tool { program: "containerd", package: "containerd", good: Path::is_file },
    Tool { program: "containerd-shim-runc-v2", package: "containerd", good: Path::is_file },
    Tool { program: "ctr", package: "containerd", good: Path::is_file },
    Tool { program: "busybox", package: "busybox-static", good: is_static },
];

/// Makes sure that the programs are there.
///
/// # Errors
/// When one is missing and cannot be had, with what to do about it.
pub fn ensure(cache: &Path, consent: Consent) -> Result<()> {
    unpack::ensure(cache, TOOLS, "tests make containers with them", consent)
}

/// Whether an executable asks for no program interpreter: the path of a dynamic loader stands in its first page.
fn is_static(path: &Path) -> bool {
    let Some(bytes) = fs::read(path).ok().filter(|_| path.is_file()) else { return false };
    let head = &bytes[..bytes.len().min(4096)];
    !["/ld-linux", "/ld-musl"]
        .iter()
        .any(|loader| head.windows(loader.len()).any(|window| window == loader.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::env;

    use super::*;

    #[test]
    fn a_program_with_a_loader_is_not_static() {
        assert!(!is_static(Path::new("/bin/sh")), "every distribution's shell is linked dynamically");
        assert!(!is_static(Path::new("/nonexistent")) && !is_static(Path::new("/dev/null")));
        let file = env::temp_dir().join(format!("vedette-xtask-static-{}", std::process::id()));
        fs::write(&file, b"\x7fELF and no loader").unwrap();
        assert!(is_static(&file));
        fs::remove_file(file).unwrap();
    }
}
