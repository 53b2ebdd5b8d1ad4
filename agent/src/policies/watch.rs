//! Noticing that policy files have changed.
//!
//! Files are watched through their directories, because editors, `kubectl` and configuration management replace files
//! rather than write to them. Changes are gathered until they have been quiet for a moment, so that a half-copied
//! directory is not loaded.

use std::{
    collections::HashSet,
    os::fd::AsFd,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::inotify::{AddWatchFlags, InitFlags, Inotify},
};
use tokio::sync::mpsc;

/// How long files must have been left alone.
const QUIET: Duration = Duration::from_millis(200);

/// Longest time for which changes are gathered.
const PATIENCE: Duration = Duration::from_secs(2);

/// Something below the watched paths changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change;

/// Watches the directories of policy files, on a thread that sleeps in the kernel.
pub struct Watch {
    changes: mpsc::Receiver<Change>,
}

impl Watch {
    /// Watches files and directories.
    ///
    /// # Errors
    /// The system has no inotify instance or thread left.
    pub fn new(paths: &[PathBuf]) -> std::io::Result<Self> {
        let watcher = Watcher {
            inotify: Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?,
            paths: paths.to_vec(),
        };
        watcher.register();
        // One that waits already says everything that a second one would.
        let (sender, changes) = mpsc::channel(1);
        std::thread::Builder::new().name("vedette-watch".into()).spawn(move || watcher.run(&sender))?;
        Ok(Self { changes })
    }

    /// Waits for a change that has settled.
    ///
    /// # Errors
    /// The thread has ended: the kernel takes no watches from us any more.
    pub async fn changed(&mut self) -> std::io::Result<Change> {
        self.changes.recv().await.ok_or_else(|| std::io::Error::other("inotify failed"))
    }
}

struct Watcher {
    inotify: Inotify,
    paths: Vec<PathBuf>,
}

impl Watcher {
    /// Tells of changes until nobody listens or inotify fails; both end the channel.
    fn run(&self, changes: &mpsc::Sender<Change>) {
        loop {
            match self.wait(None) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(_) => return,
            }
            let patience = Instant::now() + PATIENCE;
            while Instant::now() < patience && matches!(self.wait(Some(QUIET)), Ok(true)) {}
            self.register();
            if changes.is_closed() {
                return;
            }
            // Full: a change is waiting to be seen already.
            let _ = changes.try_send(Change);
        }
    }

    /// Waits for events, at most that long, and reads them. Returns whether one concerns us.
    fn wait(&self, at_most: Option<Duration>) -> nix::Result<bool> {
        let timeout = match at_most {
            None => PollTimeout::NONE,
            Some(time) => PollTimeout::try_from(time).unwrap_or(PollTimeout::ZERO),
        };
        match poll(&mut [PollFd::new(self.inotify.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => return Ok(false),
            Ok(_) => {}
            Err(error) => return Err(error),
        }
        match self.inotify.read_events() {
            Ok(events) => Ok(events.iter().any(|e| self.concerns(e.name.as_deref()))),
            Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EINTR) => Ok(false),
            Err(error) => Err(error),
        }
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
            if let Err(error) = self.inotify.add_watch(&directory, flags) {
                tracing::debug!(directory = %directory.display(), %error, "not watched for changes");
            }
        }
    }

    /// Whether an event in a watched directory is about one of our paths. A directory's own files count, a file's
    /// neighbours do not.
    fn concerns(&self, name: Option<&std::ffi::OsStr>) -> bool {
        let Some(name) = name else { return true };
        self.paths.iter().any(|path| {
            let is_file_there =
                path.is_dir() && Path::new(name).extension().is_some_and(|e| e == "yaml" || e == "yml");
            // A ConfigMap's files are links through `..data`, which is what gets replaced.
            is_file_there || name == "..data" || path.file_name() == Some(name)
        })
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
