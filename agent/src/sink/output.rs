//! Open destinations.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::{
        fd::AsFd,
        unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use super::Destination;

/// An open destination. Nothing is buffered here.
#[derive(Debug)]
pub(super) enum Output {
    /// Something that cannot be opened anew: standard output.
    Stream(File),
    /// Something with a path.
    Path {
        /// The path.
        path: PathBuf,
        /// What was there when it was opened.
        file: File,
        /// Its device and inode number.
        id: (u64, u64),
    },
}

impl Output {
    /// Opens a destination.
    pub(super) fn open(destination: &Destination) -> io::Result<Self> {
        match destination {
            // Not `io::Stdout`: its buffer would hide which bytes have been written.
            Destination::Stdout => Ok(Self::Stream(io::stdout().as_fd().try_clone_to_owned()?.into())),
            Destination::File(path) => {
                let (file, id) = open_path(path)?;
                Ok(Self::Path { path: path.clone(), file, id })
            }
        }
    }

    /// Writes some of the bytes, and says how many.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stream(file) | Self::Path { file, .. } => file.write(bytes),
        }
    }

    /// Opens the path anew if another file or none is there now, or if told to. Returns whether it did.
    pub(super) fn refresh(&mut self, always: bool) -> io::Result<bool> {
        let Self::Path { path, file, id } = self else { return Ok(false) };
        if !always && fs::metadata(&path).is_ok_and(|m| (m.dev(), m.ino()) == *id) {
            return Ok(false);
        }
        (*file, *id) = open_path(path)?;
        Ok(true)
    }

    /// Brings a regular file to the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        match self {
            Self::Path { file, .. } if file.metadata()?.is_file() => file.sync_all(),
            _ => Ok(()),
        }
    }
}

/// Opens for appending; only root may read a new file. A last line that was cut, by a crash or a full disk, is
/// ended, so that it does not spoil the first new one.
fn open_path(path: &Path) -> io::Result<(File, (u64, u64))> {
    // Opened for reading too, for the look at the last byte; and so a named pipe needs no reader to be opened.
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() && metadata.len() > 0 {
        let mut last = [0];
        file.read_exact_at(&mut last, metadata.len() - 1)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok((file, (metadata.dev(), metadata.ino())))
}
