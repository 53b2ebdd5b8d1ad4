//! Noticing that a directory of policies has changed.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt as _;
use inotify::{EventStream, Inotify, WatchMask};
use tokio::time::{Instant, timeout_at};

/// How long the directory must have been left alone: a half-copied one is not read.
const QUIET: Duration = Duration::from_millis(200);

/// Longest time for which changes are gathered.
const PATIENCE: Duration = Duration::from_secs(2);

/// A watched directory.
///
/// It is watched together with the directory that holds it, because tools replace directories (or links to them)
/// rather than write into them.
pub(super) struct DirectoryWatch {
    directory: PathBuf,
    events: EventStream<[u8; 4096]>,
}

impl DirectoryWatch {
    /// Begins to watch.
    pub(super) fn new(directory: &Path) -> io::Result<Self> {
        let events = Inotify::init()?.into_event_stream([0; 4096])?;
        let mut watch = Self { directory: directory.to_owned(), events };
        watch.register()?;
        Ok(watch)
    }

    /// Waits for a change that has settled. It may be dropped at any time.
    pub(super) async fn changed(&mut self) -> io::Result<()> {
        loop {
            let name = self.next().await?;
            if self.concerns(name) {
                break;
            }
        }
        let patience = Instant::now() + PATIENCE;
        loop {
            let until = (Instant::now() + QUIET).min(patience);
            match timeout_at(until, self.next()).await {
                Ok(event) => _ = event?,
                Err(_) => break,
            }
        }
        self.register()
    }

    async fn next(&mut self) -> io::Result<Option<OsString>> {
        match self.events.next().await {
            Some(event) => Ok(event?.name),
            None => Err(io::Error::other("inotify ended")),
        }
    }

    /// Watches what there is now. Adding what is watched already changes nothing.
    fn register(&mut self) -> io::Result<()> {
        let mask = WatchMask::CLOSE_WRITE
            | WatchMask::CREATE
            | WatchMask::DELETE
            | WatchMask::MOVED_FROM
            | WatchMask::MOVED_TO
            | WatchMask::DELETE_SELF
            | WatchMask::MOVE_SELF;
        let parent = self.directory.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut watches = self.events.watches();
        watches.add(parent, mask)?;
        match watches.add(&self.directory, mask) {
            // Gone for now; the parent tells when it is back.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result.map(drop),
        }
    }

    /// Whether an event is about the policies: the directory itself (no name), a policy file in it, the link that is
    /// replaced when a ConfigMap changes, or the directory as seen from its parent.
    fn concerns(&self, name: Option<OsString>) -> bool {
        let Some(name) = name else { return true };
        let extension = Path::new(&name).extension();
        extension.is_some_and(|e| e == "yaml" || e == "yml")
            || name == "..data"
            || self.directory.file_name() == Some(&name)
    }
}
