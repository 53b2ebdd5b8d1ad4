//! The image of all containers: busybox, and the test program as a helper.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::json;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::{run, tools};

/// The helper in the image: this test program, to be called with `--act`.
pub const HELPER: &str = "/opt/helper";

/// Where a dynamically linked program has its loader.
const LOADER: &str =
    if cfg!(target_arch = "aarch64") { "/lib/ld-linux-aarch64.so.1" } else { "/lib64/ld-linux-x86-64.so.2" };

/// A root file system in a directory of its own.
pub struct Image {
    directory: TempDir,
}

impl Image {
    /// With busybox under all its names, users and logs.
    pub fn new() -> Self {
        let image = Self { directory: tempfile::Builder::new().prefix("vedette-image-").tempdir().unwrap() };
        for directory in [
            "bin",
            "dev",
            "etc",
            "home/cook/.ssh",
            "lib",
            "lib64",
            "opt",
            "proc",
            "root",
            "sys",
            "tmp",
            "var/log",
        ] {
            fs::create_dir_all(image.root().join(directory)).unwrap();
        }
        let busybox = tools::busybox().expect("a static busybox (`cargo xtask setup`)");
        fs::copy(&busybox, image.root().join("bin/busybox")).unwrap();
        for applet in run(Command::new(busybox).arg("--list")).lines().filter(|applet| *applet != "busybox") {
            symlink("busybox", image.root().join("bin").join(applet)).unwrap();
        }
        // Not the host's names: who mixes them up is found out.
        image.file("etc/passwd", "captain:x:0:0::/root:/bin/sh\ncook:x:1000:1000::/home/cook:/bin/sh\n");
        image.file("etc/group", "bridge:x:0:\ngalley:x:1000:\n");
        image.file("etc/shadow", "captain:!:20000::::::\n");
        image.file("etc/hostname", "test\n");
        image.file("home/cook/.ssh/id_rsa", "made by a test\n");
        image.file("var/log/auth.log", "made by a test\n");
        image
    }

    /// With the test program as a helper, and the libraries it needs.
    pub fn with_helper() -> Self {
        let image = Self::new();
        image.copy(Path::new("/proc/self/exe"), HELPER);
        for library in mapped_libraries() {
            let name = library.file_name().unwrap().to_string_lossy();
            // The loader goes where programs ask for it, and the others where it looks for them.
            let place = if LOADER.ends_with(&*name) { LOADER.into() } else { format!("/lib/{name}") };
            image.copy(&library, &place);
        }
        image
    }

    /// The helper under another name.
    pub fn link_helper(&self, path: &str) {
        symlink(HELPER, self.root().join(path.trim_start_matches('/'))).unwrap();
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        self.directory.path()
    }

    fn file(&self, path: &str, text: &str) {
        fs::write(self.root().join(path), text).unwrap();
    }

    fn copy(&self, from: &Path, to: &str) {
        fs::copy(from, self.root().join(to.trim_start_matches('/'))).unwrap();
    }

    /// Writes it as a tar in the layout that runtimes import, under a name; a single layer.
    ///
    /// The format: <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>. The annotation with the
    /// full name is containerd's.
    pub fn archive(&self, name: &str, command: &[&str]) -> io::Result<PathBuf> {
        let path = self.directory.path().with_extension("tar");
        let layer = self.layer()?;
        let config = json!({
            "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
            "os": "linux",
            "config": {"Cmd": command, "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]},
        });
        let config = config.to_string().into_bytes();
        let blob = |kind: &str, bytes: &[u8]| {
            json!({"mediaType": format!("application/vnd.oci.image.{kind}"), "digest": digest(bytes),
                "size": bytes.len()})
        };
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": blob("config.v1+json", &config),
            "layers": [blob("layer.v1.tar", &layer)],
        });
        let manifest = manifest.to_string().into_bytes();
        let mut entry = blob("manifest.v1+json", &manifest);
        entry["annotations"] = json!({"io.containerd.image.name": name});
        let index = json!({"schemaVersion": 2, "manifests": [entry]}).to_string().into_bytes();

        let mut archive = tar::Builder::new(File::create(&path)?);
        let mut add = |name: &str, bytes: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, name, bytes)
        };
        add("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        add("index.json", &index)?;
        for bytes in [&layer, &config, &manifest] {
            add(&format!("blobs/sha256/{}", hex(bytes)), bytes)?;
        }
        archive.into_inner()?.flush()?;
        Ok(path)
    }

    fn layer(&self) -> io::Result<Vec<u8>> {
        let mut layer = tar::Builder::new(Vec::new());
        layer.follow_symlinks(false);
        layer.append_dir_all(".", self.root())?;
        layer.into_inner()
    }
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(bytes))
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The libraries of this very program, the loader included: what is mapped of them.
fn mapped_libraries() -> Vec<PathBuf> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let paths = maps.lines().filter_map(|line| Some(PathBuf::from(&line[line.find('/')?..])));
    let mut libraries: Vec<PathBuf> = paths
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().contains(".so")))
        .collect();
    libraries.sort();
    libraries.dedup();
    libraries
}
