//! Where the controller keeps its keys: files, or a Secret. Every replica has the same.

use std::{
    fs, io,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use async_trait::async_trait;

/// Why a secret cannot be had or kept.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {why}")]
pub struct SecretError {
    /// The secret.
    pub name: String,
    /// Why.
    pub why: String,
}

/// Keeps secrets by name.
#[async_trait]
pub trait SecretStore: Send + Sync + 'static {
    /// The secret, if there is one.
    ///
    /// # Errors
    /// It cannot be read.
    async fn load(&self, name: &str) -> Result<Option<Vec<u8>>, SecretError>;

    /// Replaces what was there: `before`, as it was loaded. Returns whether it did; if not, somebody else has replaced it
    /// since, and it is to be loaded again.
    ///
    /// # Errors
    /// It cannot be written.
    async fn replace(&self, name: &str, before: Option<&[u8]>, secret: &[u8]) -> Result<bool, SecretError>;

    /// Puts what everybody may know where agents find it, such as `ca.pem`.
    ///
    /// # Errors
    /// It cannot be written.
    async fn publish(&self, name: &str, text: &str) -> Result<(), SecretError>;
}

/// Files in a directory, for one process.
#[derive(Clone, Debug)]
pub struct SecretFiles(PathBuf);

impl SecretFiles {
    /// In this directory.
    pub fn new(directory: &Path) -> Self {
        Self(directory.to_owned())
    }

    fn write(&self, name: &str, bytes: &[u8], mode: u32) -> Result<(), SecretError> {
        let fail = |error: io::Error| SecretError { name: name.to_owned(), why: error.to_string() };
        let path = self.0.join(name);
        let new = self.0.join(format!(".{name}.new"));
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(mode).open(&new).map_err(fail)?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(fail)?;
        fs::rename(&new, &path).map_err(fail)?;
        fs::File::open(&self.0).and_then(|directory| directory.sync_all()).map_err(fail)
    }
}

#[async_trait]
impl SecretStore for SecretFiles {
    async fn load(&self, name: &str) -> Result<Option<Vec<u8>>, SecretError> {
        match fs::read(self.0.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(SecretError { name: name.to_owned(), why: error.to_string() }),
        }
    }

    async fn replace(&self, name: &str, before: Option<&[u8]>, secret: &[u8]) -> Result<bool, SecretError> {
        if self.load(name).await?.as_deref() != before {
            return Ok(false);
        }
        self.write(name, secret, 0o600)?;
        Ok(true)
    }

    async fn publish(&self, name: &str, text: &str) -> Result<(), SecretError> {
        self.write(name, text.as_bytes(), 0o644)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_was_seen_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let files = SecretFiles::new(dir.path());
        assert_eq!(files.load("k").await.unwrap(), None);
        assert!(files.replace("k", None, b"1").await.unwrap());
        assert!(!files.replace("k", None, b"2").await.unwrap());
        assert!(files.replace("k", Some(b"1"), b"2").await.unwrap());
        assert_eq!(files.load("k").await.unwrap().unwrap(), b"2");
        files.publish("ca.pem", "text").await.unwrap();
        let mode = |name: &str| {
            std::os::unix::fs::PermissionsExt::mode(
                &fs::metadata(dir.path().join(name)).unwrap().permissions(),
            )
        };
        assert_eq!((mode("k") & 0o777, mode("ca.pem") & 0o022), (0o600, 0));
        assert!(SecretFiles::new(&dir.path().join("none")).publish("x", "").await.is_err());
    }
}
