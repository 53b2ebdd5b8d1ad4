//! Reading policy files from disk: the one place in the crate that does.

use std::path::{Path, PathBuf};

use crate::source::Source;

/// How large a policy file may be.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// Why policy files cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file or directory cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not text.
    #[error("{}: not UTF-8 text", path.display())]
    NotText {
        /// Which.
        path: PathBuf,
    },
    /// The file is too large to be a policy.
    #[error("{}: larger than {} MiB", path.display(), MAX_FILE_BYTES >> 20)]
    TooLarge {
        /// Which.
        path: PathBuf,
    },
}

/// Whether a file holds tests of policies, not policies: `NAME.test.yaml` or `NAME.test.yml`.
pub fn is_test_file(path: &Path) -> bool {
    let name = path.file_name().map(|n| n.to_string_lossy()).unwrap_or_default();
    name.ends_with(".test.yaml") || name.ends_with(".test.yml")
}

/// Reads files, and the `*.yaml` and `*.yml` files of directories in the order of their names.
///
/// Files of tests are passed over, named or not, so that `DIR` and `DIR/*.yaml` mean the same.
///
/// # Errors
/// The first file or directory that cannot be read.
pub fn read_sources<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Result<Vec<Source>, LoadError> {
    let mut sources = Vec::new();
    for path in paths {
        let path = path.as_ref();
        if path.is_dir() {
            for file in policy_files(path)? {
                sources.push(read(&file)?);
            }
        } else if !is_test_file(path) {
            sources.push(read(path)?);
        }
    }
    Ok(sources)
}

fn policy_files(directory: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let io = |source| LoadError::Io { path: directory.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let is_yaml = path.extension().is_some_and(|e| e == "yaml" || e == "yml");
        // What begins with a dot is an editor's or kubelet's own business.
        let is_hidden = path.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b"."));
        if is_yaml && !is_hidden && !is_test_file(&path) && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Reads one file, whatever its name.
///
/// # Errors
/// When it cannot be read, is not text or is too large.
pub fn read(path: &Path) -> Result<Source, LoadError> {
    let io = |source| LoadError::Io { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(io)?.len() > MAX_FILE_BYTES {
        return Err(LoadError::TooLarge { path: path.to_owned() });
    }
    let bytes = std::fs::read(path).map_err(io)?;
    let text = String::from_utf8(bytes).map_err(|_| LoadError::NotText { path: path.to_owned() })?;
    Ok(Source::new(path.display().to_string(), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_no_policies() {
        for (name, is_test) in [
            ("a/web.test.yaml", true),
            ("web.test.yml", true),
            ("test.yaml", false),
            ("web.tests/a.yaml", false),
        ] {
            assert_eq!(is_test_file(Path::new(name)), is_test, "{name}");
        }
    }
}
