//! Names of users and groups, read from `/etc/passwd` and `/etc/group` of the host and of each container.
//!
//! No name service is asked: that may go over the network, and a container's answer would come from the host. Which
//! files count is decided by the mount namespace: the agent's own, that of process 1 (the host, where the agent itself
//! runs in a container), or a container's, which is reached through `/proc/PID/root`. User ids are those of the initial
//! user namespace; in a container with a user namespace of its own they are not the ones in its files.
//!
//! What a container presents as its files is its own business, and may be a FIFO, a symbolic link to the host, or a FUSE
//! file that never answers. So a thread of its own does all reading, links are resolved inside the container, only
//! regular files of bounded size count, and the event path waits [`WAIT`] at most, and that only when there is
//! something new to read.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{self, SyncSender},
    },
    time::{Duration, Instant},
};

use vedette_event::{Process, UserNames};

mod files;

use files::{Files, Place, Reader};

/// How long what was read counts as fresh.
const FRESH: Duration = Duration::from_secs(1);
/// The same when an id is asked for that has no name: somebody may just have been added.
const FRESH_UNKNOWN: Duration = Duration::from_millis(250);
/// How long a lookup waits for files that have not been read yet.
const WAIT: Duration = Duration::from_millis(50);
/// Most mount namespaces that are remembered.
const NAMESPACES: usize = 256;
/// Most requests that wait for the reading thread.
const REQUESTS: usize = 64;

/// Caches the names of the node's users and groups. Ends its thread when dropped.
#[derive(Debug)]
pub struct Names {
    /// The agent's own mount namespace.
    own: Option<u32>,
    /// That of process 1.
    init: Option<u32>,
    shared: Arc<Shared>,
    requests: SyncSender<Request>,
}

#[derive(Debug, Default)]
struct Shared {
    spaces: Mutex<Spaces>,
    changed: Condvar,
}

impl Shared {
    // What is behind the lock is whole between any two statements, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Spaces> {
        self.spaces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct Spaces {
    by_key: HashMap<Key, Space>,
    /// Counts lookups, to tell which namespace was used last.
    clock: u64,
}

/// What is known about one mount namespace.
#[derive(Debug)]
struct Space {
    files: Arc<Files>,
    /// When the files were looked at last; `None` until they were for the first time.
    checked: Option<Instant>,
    /// A request is under way.
    requested: bool,
    used: u64,
}

/// A mount namespace. The kernel gives the number of one that is gone to the next that is made, often at once; so the
/// control group, which differs between containers and is never given twice, belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    ns: u32,
    /// 0 for the agent's and the host's own, which stay.
    cgroup: u64,
}

#[derive(Clone, Copy, Debug)]
struct Request {
    key: Key,
    place: Place,
}

#[derive(Clone, Copy, Debug)]
enum Which {
    User,
    Group,
}

impl Names {
    /// Names as this host gives them.
    ///
    /// # Errors
    /// The thread that reads the files cannot be started.
    pub fn of_host() -> std::io::Result<Self> {
        Self::new("/", "/proc")
    }

    /// The same with another root directory for the agent's own mount namespace and another proc file system.
    ///
    /// # Errors
    /// As for [`Self::of_host`].
    pub fn new(root: impl Into<PathBuf>, proc: impl Into<PathBuf>) -> std::io::Result<Self> {
        let reader = Reader::new(root.into(), proc.into());
        let (own, init) = (reader.namespace_of("self"), reader.namespace_of("1"));
        let shared = Arc::new(Shared::default());
        let (requests, received) = mpsc::sync_channel(REQUESTS);
        let work = Arc::clone(&shared);
        std::thread::Builder::new().name("names".into()).spawn(move || {
            let mut reader = reader;
            for request in received {
                read(&work, &mut reader, request);
            }
        })?;
        Ok(Self { own, init, shared, requests })
    }

    fn place(&self, process: &Process) -> Request {
        let ns = process.task.ns_mnt;
        let own = self.own.unwrap_or(0);
        if ns == 0 || ns == own {
            Request { key: Key { ns: own, cgroup: 0 }, place: Place::Own }
        } else if Some(ns) == self.init {
            Request { key: Key { ns, cgroup: 0 }, place: Place::Init }
        } else {
            let key = Key { ns, cgroup: process.task.cgroup };
            Request { key, place: Place::Of { tgid: process.key.tgid, ns } }
        }
    }

    fn lookup(&self, which: Which, id: u32, process: &Process) -> Option<Arc<str>> {
        let request = self.place(process);
        let mut spaces = self.shared.lock();
        let (space, mut name) = spaces.find(request.key, which, id);
        let (first, age) = (space.checked.is_none(), space.checked.map(|c| c.elapsed()));
        let fresh = if name.is_some() { FRESH } else { FRESH_UNKNOWN };
        if age.is_some_and(|age| age < fresh) || (space.requested && !first) {
            return name;
        }
        let asked = !space.requested && {
            space.requested = true;
            // The thread is behind: the next lookup tries again.
            self.requests.try_send(request).inspect_err(|_| space.requested = false).is_ok()
        };
        // A name that is known is good enough meanwhile, and nobody waits twice for the same request.
        if asked && name.is_none() {
            let reading = |spaces: &mut Spaces| spaces.by_key.get(&request.key).is_some_and(|s| s.requested);
            let (mut spaces, _) = self
                .shared
                .changed
                .wait_timeout_while(spaces, WAIT, reading)
                .unwrap_or_else(PoisonError::into_inner);
            name = spaces.find(request.key, which, id).1;
        }
        name
    }
}

impl UserNames for Names {
    fn user(&self, uid: u32, process: &Process) -> Option<Arc<str>> {
        self.lookup(Which::User, uid, process)
    }

    fn group(&self, gid: u32, process: &Process) -> Option<Arc<str>> {
        self.lookup(Which::Group, gid, process)
    }
}

impl Spaces {
    /// The namespace, made room for if it is new, and the name in it.
    fn find(&mut self, key: Key, which: Which, id: u32) -> (&mut Space, Option<Arc<str>>) {
        self.clock += 1;
        if self.by_key.len() >= NAMESPACES
            && !self.by_key.contains_key(&key)
            && let Some(oldest) = self.by_key.iter().min_by_key(|(_, s)| s.used).map(|(key, _)| *key)
        {
            self.by_key.remove(&oldest);
        }
        let space = self.by_key.entry(key).or_insert_with(|| Space {
            files: Arc::default(),
            checked: None,
            requested: false,
            used: 0,
        });
        space.used = self.clock;
        let name = match which {
            Which::User => space.files.user(id),
            Which::Group => space.files.group(id),
        };
        (space, name)
    }
}

/// Answers one request, in the thread.
fn read(shared: &Shared, reader: &mut Reader, request: Request) {
    let Some(old) = shared.lock().by_key.get(&request.key).map(|s| Arc::clone(&s.files)) else { return };
    let new = reader.read(request.place, &old);
    let mut spaces = shared.lock();
    if let Some(space) = spaces.by_key.get_mut(&request.key) {
        if let Some(new) = new {
            space.files = Arc::new(new);
        }
        space.checked = Some(Instant::now());
        space.requested = false;
    }
    drop(spaces);
    shared.changed.notify_all();
}

#[cfg(test)]
mod tests;
