//! Files that are rotated: a full one gets `.1` behind its name, the one before that `.2`, and so on.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// Who may read alerts: they say what happens on machines.
const MODE: u32 = 0o640;

/// A file that is appended to.
#[derive(Debug)]
pub(super) struct RotatedFile {
    path: PathBuf,
    bytes: u64,
    after: Option<Duration>,
    keep: u32,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    size: u64,
    begun: SystemTime,
}

impl RotatedFile {
    /// Nothing is opened before something is written.
    pub(super) fn new(path: PathBuf, bytes: u64, after: Option<Duration>, keep: u32) -> Self {
        Self { path, bytes, after, keep, open: None }
    }

    /// Appends whole lines, all of them or none, and makes them durable.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let mut open = match self.open.take().filter(|open| open.is_at(&self.path)) {
            Some(open) => open,
            None => Open::at(&self.path)?,
        };
        let old = |after| open.begun.elapsed().is_ok_and(|age| age >= after);
        let full = open.size + lines.len() as u64 > self.bytes || self.after.is_some_and(old);
        if open.size > 0 && full {
            self.rotate()?;
            open = Open::at(&self.path)?;
        }
        if let Err(error) = open.file.write_all(lines).and_then(|()| open.file.sync_data()) {
            // A part of a line would spoil the next one. If this fails too, that is how it is.
            let _ = open.file.set_len(open.size);
            return Err(error);
        }
        open.size += lines.len() as u64;
        self.open = Some(open);
        Ok(())
    }

    fn rotate(&self) -> io::Result<()> {
        if self.keep == 0 {
            return fs::remove_file(&self.path);
        }
        for number in (1..self.keep).rev() {
            match fs::rename(self.numbered(number), self.numbered(number + 1)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, self.numbered(1))
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(format!(".{number}"));
        PathBuf::from(name)
    }
}

impl Open {
    fn at(path: &Path) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        let file = OpenOptions::new().append(true).create(true).mode(MODE).open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Ok(Self { file, size: 0, begun: SystemTime::now() });
        }
        let begun = if metadata.len() == 0 {
            SystemTime::now()
        } else {
            metadata.created().unwrap_or_else(|_| SystemTime::now())
        };
        Ok(Self { file, size: metadata.len(), begun })
    }

    /// Whether the path still names this file: somebody else may have moved it.
    fn is_at(&self, path: &Path) -> bool {
        let identity = |data: fs::Metadata| (data.dev(), data.ino());
        let ours = self.file.metadata().map(identity);
        matches!((ours, fs::metadata(path).map(identity)), (Ok(ours), Ok(there)) if ours == there)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap_or_else(|_| "none".to_owned())
    }

    #[test]
    fn full_files_are_rotated_and_the_oldest_goes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/alerts");
        let mut file = RotatedFile::new(path.clone(), 10, None, 2);
        for line in
            ["one\n", "two\n", "three\n", "four\n", "five\n", "a line longer than the file may be\n", "x\n"]
        {
            file.append(line.as_bytes()).unwrap();
        }
        assert_eq!(read(&path), "x\n");
        assert_eq!(read(&path.with_extension("1")), "a line longer than the file may be\n");
        assert_eq!(read(&path.with_extension("2")), "four\nfive\n");
        assert_eq!(read(&path.with_extension("3")), "none");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
    }

    #[test]
    fn age_rotates_too_and_nothing_is_kept_if_nothing_shall_be() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("alerts");
        let mut file = RotatedFile::new(path.clone(), 1000, Some(Duration::ZERO), 0);
        file.append(b"one\n").unwrap();
        file.append(b"two\n").unwrap();
        assert_eq!(read(&path), "two\n");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn it_goes_on_where_it_was_and_notices_when_it_was_moved() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("alerts");
        RotatedFile::new(path.clone(), 1000, None, 1).append(b"one\n").unwrap();
        let mut file = RotatedFile::new(path.clone(), 1000, None, 1);
        file.append(b"two\n").unwrap();
        assert_eq!(read(&path), "one\ntwo\n");
        fs::rename(&path, directory.path().join("elsewhere")).unwrap();
        file.append(b"three\n").unwrap();
        assert_eq!(read(&path), "three\n");
    }

    #[test]
    fn a_directory_is_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = RotatedFile::new(directory.path().to_owned(), 10, None, 1);
        assert!(file.append(b"x\n").is_err());
    }
}
