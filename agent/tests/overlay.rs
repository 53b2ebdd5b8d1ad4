//! Which layer of an overlay a file is in: asked of a real one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/harness.rs"]
mod harness;
#[path = "support/sensor.rs"]
mod sensor;

use std::process::Command;

use harness::may_load_bpf;
use sensor::record;
use vedette_abi::path_flags::{LOWER_LAYER, UPPER_LAYER};
use vedette_event::Body;

/// Mounts an overlay in a mount namespace of its own, and opens and runs files of both layers in it.
const SCRIPT: &str = r#"
cd "$1"
mkdir lower upper work merged
cp "$(readlink -f /bin/true)" lower/below
cp lower/below lower/changed
mount -t overlay none -o lowerdir=lower,upperdir=upper,workdir=work merged || exit 1
cp lower/below merged/above
chmod u+w merged/changed; echo >> merged/changed
for file in below above changed; do cat "merged/$file" > /dev/null || exit 1; done
"$1/merged/below" || exit 1
"$1/merged/above" || exit 1
cat lower/below > /dev/null
"#;

#[test]
fn layers_of_opened_and_executed_files() {
    if !may_load_bpf("overlay") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    // A temporary directory may lie on an overlay itself, which is no place for a lower layer.
    let records = record(&["open", "openat"], || {
        let script = format!("mount -t tmpfs none \"$1\" || exit 1\n{SCRIPT}");
        let status = Command::new("unshare")
            .args(["-m", "sh", "-c", &script, "sh", root.to_str().unwrap()])
            .status()
            .unwrap();
        assert!(status.success());
    });
    let layers = |name: &str| -> Vec<u32> {
        let wanted = format!("{}/{name}", root.display());
        records
            .iter()
            .filter_map(|record| match record.body {
                // Those that read: an open that writes to a file of the lower layer has lifted it already.
                Body::FileOpen { facts, path, .. } if path == wanted.as_bytes() && facts.flags & 3 == 0 => {
                    Some(facts.inode.path_flags & (UPPER_LAYER | LOWER_LAYER))
                }
                Body::ProcessExec { facts, exe, .. } if exe == wanted.as_bytes() => {
                    Some(facts.exe.path_flags & (UPPER_LAYER | LOWER_LAYER))
                }
                _ => None,
            })
            .collect()
    };
    assert_eq!(layers("merged/below"), [LOWER_LAYER, LOWER_LAYER], "opened and executed");
    assert_eq!(layers("merged/above"), [UPPER_LAYER, UPPER_LAYER], "opened and executed");
    assert_eq!(layers("merged/changed"), [UPPER_LAYER]);
    let below = layers("lower/below");
    assert!(below.contains(&0) && below.iter().all(|layer| *layer == 0), "in no overlay: {below:?}");
}
