//! Noticing that policy files have changed.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt as _;
use inotify::{EventStream, Inotify, WatchMask};
use tokio::time::{Instant, timeout_at};

/// How long files must have been left alone: a half-copied directory is not read.
const QUIET: Duration = Duration::from_millis(200);

/// Longest time for which changes are gathered.
const PATIENCE: Duration = Duration::from_secs(2);

/// Watched files and directories.
///
/// Each is watched together with the directory that holds it, because tools replace files, directories and links to
/// them rather than write into them.
pub(super) struct PathWatch {
    paths: Vec<PathBuf>,
    events: EventStream<[u8; 4096]>,
}

impl PathWatch {
    /// Begins to watch.
    pub(super) fn new(paths: &[PathBuf]) -> io::Result<Self> {
        let events = Inotify::init()?.into_event_stream([0; 4096])?;
        let mut watch = Self { paths: paths.to_vec(), events };
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
        let mut watches = self.events.watches();
        for path in &self.paths {
            let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            watches.add(parent, mask)?;
            // A file is watched through its directory.
            match watches.add(path, mask | WatchMask::ONLYDIR) {
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                result => _ = result?,
            }
        }
        Ok(())
    }

    /// Whether an event may be about policies: one without a name is about a directory itself, a ConfigMap's files are
    /// links through `..data`, and a path may be seen from its parent. What is read twice does no harm.
    fn concerns(&self, name: Option<OsString>) -> bool {
        let Some(name) = name else { return true };
        let extension = Path::new(&name).extension();
        extension.is_some_and(|e| e == "yaml" || e == "yml")
            || name == "..data"
            || self.paths.iter().any(|path| path.file_name() == Some(&name))
    }
}
