//! Noticing that policy files have changed.
//!
//! Files are watched through their directories, because editors, `kubectl` and configuration management replace files
//! rather than write to them. Changes are gathered until they have been quiet for a moment, so that a half-copied
//! directory is not loaded.

use std::{
    collections::HashSet,
    os::fd::{AsFd, AsRawFd, RawFd},
    path::{Path, PathBuf},
    time::Duration,
};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::io::{Interest, unix::AsyncFd};

/// How long files must have been left alone.
const QUIET: Duration = Duration::from_millis(200);

/// Longest time for which changes are gathered.
const PATIENCE: Duration = Duration::from_secs(2);

/// Something below the watched paths changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change;

/// An inotify instance as a descriptor that tokio can wait on.
struct Events(Inotify);

impl AsRawFd for Events {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// Watches the directories of policy files.
pub struct Watch {
    events: AsyncFd<Events>,
    paths: Vec<PathBuf>,
}

impl Watch {
    /// Watches files and directories.
    ///
    /// # Errors
    /// The system has no inotify instance left.
    pub fn new(paths: &[PathBuf]) -> std::io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let watch = Self { events: AsyncFd::with_interest(Events(inotify), Interest::READABLE)?, paths: paths.to_vec() };
        watch.register();
        Ok(watch)
    }

    /// Watches what there is now. A path that is not there is found again through its directory.
    fn register(&self) {
        let flags = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF;
        let mut directories: HashSet<PathBuf> = HashSet::new();
        for path in &self.paths {
            if path.is_dir() {
                directories.insert(path.clone());
            }
            let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            directories.insert(parent.to_owned());
        }
        for directory in directories {
            if let Err(error) = self.events.get_ref().0.add_watch(&directory, flags) {
                tracing::debug!(directory = %directory.display(), %error, "not watched for changes");
            }
        }
    }

    /// Whether an event in a watched directory is about one of our paths. A directory's own files count, a file's
    /// neighbours do not.
    fn concerns(&self, name: Option<&std::ffi::OsStr>) -> bool {
        let Some(name) = name else { return true };
        self.paths.iter().any(|path| {
            let is_file_there = path.is_dir() && Path::new(name).extension().is_some_and(|e| e == "yaml" || e == "yml");
            // A ConfigMap's files are links through `..data`, which is what gets replaced.
            is_file_there || name == "..data" || path.file_name() == Some(name)
        })
    }

    /// Waits for a change, and then for quiet.
    ///
    /// # Errors
    /// The descriptor failed.
    pub async fn changed(&mut self) -> std::io::Result<Change> {
        while !self.read_events().await? {}
        let patience = tokio::time::Instant::now() + PATIENCE;
        while tokio::time::Instant::now() < patience {
            if tokio::time::timeout(QUIET, self.read_events()).await.is_err() {
                break;
            }
        }
        self.register();
        Ok(Change)
    }

    /// Waits for events and reads them. Returns whether one concerns us.
    async fn read_events(&self) -> std::io::Result<bool> {
        loop {
            let mut ready = self.events.readable().await?;
            let result = ready.try_io(|fd| fd.get_ref().0.read_events().map_err(std::io::Error::from));
            match result {
                Ok(Ok(events)) => return Ok(events.iter().any(|e| self.concerns(e.name.as_deref()))),
                Ok(Err(error)) => return Err(error),
                Err(_would_block) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longest wait for a change that must come.
    const DEADLINE: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn a_file_that_is_replaced_is_noticed_and_its_neighbours_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let policy = dir.path().join("policy.yaml");
        std::fs::write(&policy, "a").unwrap();
        let mut watch = Watch::new(std::slice::from_ref(&policy)).unwrap();
        std::fs::write(dir.path().join("other.txt"), "x").unwrap();
        assert!(tokio::time::timeout(QUIET * 3, watch.changed()).await.is_err(), "a neighbour is no change");
        std::fs::write(dir.path().join("new"), "b").unwrap();
        std::fs::rename(dir.path().join("new"), &policy).unwrap();
        tokio::time::timeout(DEADLINE, watch.changed()).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_directory_is_noticed_when_it_gains_and_loses_a_policy() {
        let dir = tempfile::tempdir().unwrap();
        let mut watch = Watch::new(&[dir.path().to_owned()]).unwrap();
        std::fs::write(dir.path().join("a.yaml"), "x").unwrap();
        tokio::time::timeout(DEADLINE, watch.changed()).await.unwrap().unwrap();
        std::fs::remove_file(dir.path().join("a.yaml")).unwrap();
        tokio::time::timeout(DEADLINE, watch.changed()).await.unwrap().unwrap();
    }
}
