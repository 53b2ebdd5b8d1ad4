//! An image as a tar: the OCI layout, with the file that Docker looks for beside it.
//!
//! The formats are those of the OCI image specification 1.1 (image layout, index, manifest, configuration) and of
//! `docker save` (`manifest.json`).

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

/// A file or directory of an image.
#[derive(Debug)]
pub struct Entry {
    path: String,
    mode: u32,
    /// None for a directory.
    content: Option<Vec<u8>>,
}

impl Entry {
    /// A directory.
    pub fn directory(path: &str) -> Self {
        Self { path: format!("{path}/"), mode: 0o755, content: None }
    }

    /// A file that everybody may read.
    pub fn file(path: &str, content: Vec<u8>) -> Self {
        Self { path: path.to_owned(), mode: 0o644, content: Some(content) }
    }

    /// A file that everybody may run.
    pub fn program(path: &str, content: Vec<u8>) -> Self {
        Self { path: path.to_owned(), mode: 0o755, content: Some(content) }
    }
}

/// An image of one layer.
#[derive(Debug)]
pub struct Image {
    /// Its name, without registry and repository.
    pub name: String,
    /// Its tag.
    pub tag: String,
    /// The program that it runs.
    pub entrypoint: String,
    /// As whom: `UID:GID`.
    pub user: String,
    /// Seconds since 1970.
    pub created: u64,
    /// What is in it.
    pub entries: Vec<Entry>,
}

/// Something in the layout that is named by its digest.
struct Blob {
    digest: String,
    content: Vec<u8>,
}

impl Blob {
    fn new(content: Vec<u8>) -> Self {
        let digest = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
        Self { digest, content }
    }

    fn json(value: &Json) -> Self {
        Self::new(value.to_string().into_bytes())
    }

    fn path(&self) -> String {
        format!("blobs/sha256/{}", self.digest)
    }

    fn descriptor(&self, media_type: &str) -> Json {
        json!({"mediaType": media_type, "digest": format!("sha256:{}", self.digest), "size": self.content.len()})
    }
}

impl Image {
    /// What the image is called, as people write it.
    pub fn reference(&self) -> String {
        format!("vedette/{}:{}", self.name, self.tag)
    }

    /// Writes the tar.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let layer = Blob::new(self.layer()?);
        let config = Blob::json(&self.config(&layer));
        let manifest = Blob::json(&json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config.descriptor("application/vnd.oci.image.config.v1+json"),
            "layers": [layer.descriptor("application/vnd.oci.image.layer.v1.tar")],
        }));
        let mut described = manifest.descriptor("application/vnd.oci.image.manifest.v1+json");
        described["platform"] = json!({"os": "linux", "architecture": architecture()});
        described["annotations"] = json!({
            // containerd takes the first as the name, and others the tag alone.
            "io.containerd.image.name": format!("docker.io/{}", self.reference()),
            "org.opencontainers.image.ref.name": self.tag,
        });
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [described],
        });
        let docker =
            json!([{"Config": config.path(), "RepoTags": [self.reference()], "Layers": [layer.path()]}]);
        let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
        let mut tar = tar::Builder::new(BufWriter::new(file));
        for directory in ["blobs", "blobs/sha256"] {
            self.append(&mut tar, &Entry::directory(directory))?;
        }
        let layout = json!({"imageLayoutVersion": "1.0.0"}).to_string();
        for (name, content) in
            [("oci-layout", layout), ("index.json", index.to_string()), ("manifest.json", docker.to_string())]
        {
            self.append(&mut tar, &Entry::file(name, content.into_bytes()))?;
        }
        for blob in [layer, config, manifest] {
            self.append(&mut tar, &Entry::file(&blob.path(), blob.content))?;
        }
        tar.into_inner()?.flush()?;
        Ok(())
    }

    fn layer(&self) -> Result<Vec<u8>> {
        let mut tar = tar::Builder::new(Vec::new());
        for entry in &self.entries {
            self.append(&mut tar, entry)?;
        }
        Ok(tar.into_inner()?)
    }

    /// Appends an entry that is root's, with the time of the image.
    fn append<W: Write>(&self, tar: &mut tar::Builder<W>, entry: &Entry) -> Result<()> {
        let content = entry.content.as_deref().unwrap_or_default();
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(match entry.content {
            None => tar::EntryType::Directory,
            Some(_) => tar::EntryType::Regular,
        });
        header.set_mode(entry.mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(self.created);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, &entry.path, content).with_context(|| format!("add {}", entry.path))
    }

    fn config(&self, layer: &Blob) -> Json {
        json!({
            "created": timestamp(self.created),
            "architecture": architecture(),
            "os": "linux",
            "config": {
                "User": self.user,
                "Entrypoint": [self.entrypoint],
                "Env": ["PATH=/usr/bin"],
                "WorkingDir": "/",
                "Labels": {
                    "org.opencontainers.image.title": self.name,
                    "org.opencontainers.image.version": self.tag,
                    "org.opencontainers.image.source": env!("CARGO_PKG_REPOSITORY"),
                    "org.opencontainers.image.licenses": "Apache-2.0",
                },
            },
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", layer.digest)]},
            "history": [{"created": timestamp(self.created), "created_by": "cargo xtask image"}],
        })
    }
}

/// The machine, as Go names it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Seconds since 1970 as RFC 3339.
fn timestamp(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant's civil_from_days, for days that are not negative.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hours, minutes, seconds) = (rest / 3600, rest % 3600 / 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}Z")
}

#[cfg(test)]
mod tests;
