//! How far each sink is, in a file of its own.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::segment::sync_directory;
use crate::alert_log::Position;

const NAME: &str = "cursors.json";

/// The cursors of all sinks.
#[derive(Debug)]
pub(super) struct Cursors {
    path: PathBuf,
    positions: BTreeMap<String, Position>,
    dirty: bool,
    /// Whether the file was there and could not be read: then every sink begins with the oldest entry, since having
    /// an alert twice is better than not having it.
    lost: bool,
}

#[derive(Serialize, Deserialize)]
struct Content {
    version: u32,
    cursors: BTreeMap<String, Position>,
}

impl Cursors {
    /// Reads them.
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        let path = directory.join(NAME);
        let content = match fs::read(&path) {
            Ok(bytes) => {
                serde_json::from_slice::<Content>(&bytes).ok().filter(|content| content.version == 1)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Some(Content { version: 1, cursors: BTreeMap::new() })
            }
            Err(error) => return Err(error),
        };
        let lost = content.is_none();
        if lost {
            tracing::error!(path = %path.display(), "the cursors are damaged; all sinks begin with the oldest alert");
        }
        let positions = content.map(|content| content.cursors).unwrap_or_default();
        Ok(Self { path, positions, dirty: false, lost })
    }

    /// Up to where a sink has everything.
    pub(super) fn get(&self, sink: &str) -> Option<Position> {
        self.positions.get(sink).copied().or(self.lost.then_some(0))
    }

    /// Up to where all sinks have everything; nothing, if there is no sink.
    pub(super) fn least(&self) -> Option<Position> {
        self.positions.values().copied().min()
    }

    /// The furthest of them.
    pub(super) fn most(&self) -> Option<Position> {
        self.positions.values().copied().max()
    }

    pub(super) fn advance(&mut self, sink: &str, position: Position) {
        let cursor = match self.positions.get_mut(sink) {
            Some(cursor) => cursor,
            None => {
                self.dirty = true;
                self.positions.entry(sink.to_owned()).or_default()
            }
        };
        if position > *cursor {
            *cursor = position;
            self.dirty = true;
        }
    }

    pub(super) fn forget(&mut self, sink: &str) {
        self.dirty |= self.positions.remove(sink).is_some();
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.positions.keys().cloned().collect()
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// What has to be written, if anything has changed since the last time.
    pub(super) fn take_changes(&mut self) -> Option<Save> {
        self.dirty.then(|| {
            self.dirty = false;
            Save { path: self.path.clone(), cursors: self.positions.clone() }
        })
    }

    /// They are not on disk after all.
    pub(super) fn not_saved(&mut self) {
        self.dirty = true;
    }
}

/// Cursors on their way to disk.
pub(super) struct Save {
    path: PathBuf,
    cursors: BTreeMap<String, Position>,
}

impl Save {
    /// Replaces the file as a whole.
    pub(super) fn write(self) -> io::Result<()> {
        let mut bytes = serde_json::to_vec_pretty(&Content { version: 1, cursors: self.cursors })?;
        bytes.push(b'\n');
        let temporary = self.path.with_extension("json.new");
        let mut file = File::create(&temporary)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, &self.path)?;
        self.path.parent().map_or(Ok(()), sync_directory)
    }
}
