//! `/etc/passwd` and `/etc/group` (`passwd(5)`, `group(5)`) of one mount namespace.

use std::{
    collections::HashMap,
    fs::File,
    io::Read,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::PathBuf,
    sync::{Arc, Weak},
};

use nix::{
    fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat},
    sys::stat::Mode,
};

use crate::proc::namespace;

/// Most bytes that are read of the host's files.
const HOST_CAP: u64 = 8 << 20;
/// Most bytes that are read of a container's files, so that many containers cannot fill the agent's memory.
const CONTAINER_CAP: u64 = 64 << 10;
/// Most processes that are looked at for one in a mount namespace.
const PROCESSES: usize = 16_384;
/// Longest name that is taken over.
const NAME_CAP: usize = 256;

/// Tells whether a file has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    dev: u64,
    ino: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Names by id.
type Table = HashMap<u32, Arc<str>>;

#[derive(Clone, Debug, Default)]
struct Listing {
    stamp: Option<Stamp>,
    table: Arc<Table>,
}

/// The names in one mount namespace.
#[derive(Clone, Debug, Default)]
pub struct Files {
    users: Listing,
    groups: Listing,
}

impl Files {
    /// Name of a user.
    pub fn user(&self, uid: u32) -> Option<Arc<str>> {
        self.users.table.get(&uid).cloned()
    }

    /// Name of a group.
    pub fn group(&self, gid: u32) -> Option<Arc<str>> {
        self.groups.table.get(&gid).cloned()
    }
}

/// Whose files to read.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// The agent's own.
    Own,
    /// Those of process 1.
    Init,
    /// Those of a process, if it is in this mount namespace, else of another that is.
    Of {
        /// The process.
        tgid: u32,
        /// The namespace.
        ns: u32,
    },
}

/// Reads files, and remembers those that several namespaces share: services of the host have a mount namespace of
/// their own and the host's files.
#[derive(Debug)]
pub struct Reader {
    root: PathBuf,
    proc: PathBuf,
    shared: Vec<(Stamp, Weak<Table>)>,
}

impl Reader {
    /// With the root directory of the agent and a proc file system.
    pub fn new(root: PathBuf, proc: PathBuf) -> Self {
        Self { root, proc, shared: Vec::new() }
    }

    /// Mount namespace of a process (`self` or a number).
    pub fn namespace_of(&self, process: &str) -> Option<u32> {
        let link = std::fs::read_link(self.proc.join(process).join("ns/mnt")).ok()?;
        namespace(link.as_os_str().as_encoded_bytes())
    }

    /// Reads what has changed since `old`. `None` when nothing has, or when the process is gone.
    pub fn read(&mut self, place: Place, old: &Files) -> Option<Files> {
        let (root, cap) = match place {
            Place::Own => (directory(AT_FDCWD, &self.root)?, HOST_CAP),
            Place::Init => (directory(AT_FDCWD, &self.proc.join("1/root"))?, HOST_CAP),
            Place::Of { tgid, ns } => {
                let root = self.root_of(tgid, ns).or_else(|| self.root_in(ns))?;
                (root, CONTAINER_CAP)
            }
        };
        let users = self.listing(&root, "etc/passwd", cap, &old.users);
        let groups = self.listing(&root, "etc/group", cap, &old.groups);
        (users.is_some() || groups.is_some()).then(|| Files {
            users: users.unwrap_or_else(|| old.users.clone()),
            groups: groups.unwrap_or_else(|| old.groups.clone()),
        })
    }

    /// The root directory of a process, if it is in this mount namespace.
    fn root_of(&self, tgid: u32, ns: u32) -> Option<OwnedFd> {
        // Through one descriptor, so that a reused number cannot pass its files off as this namespace's.
        let process = directory(AT_FDCWD, &self.proc.join(tgid.to_string()))?;
        let link = readlinkat(&process, "ns/mnt").ok()?;
        (namespace(link.as_encoded_bytes()) == Some(ns))
            .then(|| directory(&process, &PathBuf::from("root")))?
    }

    /// The root directory of any process in this mount namespace: the one that was asked for may have ended already.
    fn root_in(&self, ns: u32) -> Option<OwnedFd> {
        let entries = std::fs::read_dir(&self.proc).ok()?;
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.take(PROCESSES).find_map(|pid| self.root_of(pid, ns))
    }

    fn listing(&mut self, root: &OwnedFd, path: &str, cap: u64, old: &Listing) -> Option<Listing> {
        // Links stay inside the root, and a FIFO does not hold the open.
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        let how = OpenHow::new().flags(flags).resolve(resolve);
        let file = File::from(openat2(root, path, how).ok()?);
        let meta = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
        let stamp = Stamp {
            dev: meta.dev(),
            ino: meta.ino(),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        };
        if old.stamp == Some(stamp) {
            return None;
        }
        self.shared.retain(|(_, table)| table.strong_count() > 0);
        let known = self.shared.iter().find(|(s, _)| *s == stamp).and_then(|(_, table)| table.upgrade());
        let table = match known {
            Some(table) => table,
            None => {
                let mut text = Vec::new();
                file.take(cap).read_to_end(&mut text).ok()?;
                let table = Arc::new(parse(&text));
                self.shared.push((stamp, Arc::downgrade(&table)));
                table
            }
        };
        Some(Listing { stamp: Some(stamp), table })
    }
}

fn directory(at: impl std::os::fd::AsFd, path: &PathBuf) -> Option<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    openat(at, path, flags, Mode::empty()).ok()
}

/// Both files have the name in the first and the id in the third field. The first name of an id counts, as for the
/// C library; lines that are cut, commented out or malformed do not.
fn parse(text: &[u8]) -> Table {
    let mut table = Table::new();
    for line in text.split(|b| *b == b'\n') {
        let mut fields = line.split(|b| *b == b':');
        let (Some(name), Some(_), Some(id), Some(_)) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let Some(id) = str::from_utf8(id).ok().and_then(|id| id.parse().ok()) else { continue };
        if !name.is_empty() && name.len() <= NAME_CAP && name[0] != b'#' {
            table.entry(id).or_insert_with(|| String::from_utf8_lossy(name).into());
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_of_both_files() {
        let text =
            b"root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:/bin/sh\n# no:x:5:5\nweb:x:33:33::/:\nbroken\n\
            :x:7:7::\n+nis::::::\nneg:x:-1:1::\nodd\xff:x:9:1::\nstaff:x:50:\ncut:x:6";
        let table = parse(text);
        let name = |id: u32| table.get(&id).map(|n| &**n);
        assert_eq!((name(0), name(33), name(50)), (Some("root"), Some("web"), Some("staff")));
        assert_eq!(name(9), Some("odd\u{fffd}"));
        assert_eq!(table.len(), 4);
        assert!(parse(&[&vec![b'x'; NAME_CAP + 1][..], b":x:1:1:"].concat()).is_empty());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&text);
        }
    }
}
