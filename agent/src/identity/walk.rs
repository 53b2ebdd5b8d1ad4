//! All groups of a hierarchy, as its directories show them.

use std::{
    collections::VecDeque,
    fs::ReadDir,
    os::unix::fs::{DirEntryExt, MetadataExt},
    path::PathBuf,
};

use super::Hierarchy;

/// Deepest nesting that is followed.
const DEPTH: usize = 64;

/// Most groups that a walk gives: more than a node has, and few enough to bound memory and time.
const GROUPS: usize = 65_536;

/// A control group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its id, the inode number of its directory.
    pub id: u64,
    /// Its path in the hierarchy.
    pub path: String,
}

/// Goes through all groups, parents before children, at most 65,536 of them. Groups that come or go meanwhile may or
/// may not be seen; those that come are reported by the kernel if the sensor is attached before the walk.
#[derive(Debug)]
pub struct Walk {
    mount: PathBuf,
    /// Path of the mount's root in the hierarchy, without the slash at the end.
    prefix: String,
    /// Groups whose directories are still to be read: path below the mount, depth.
    todo: VecDeque<(String, usize)>,
    /// The directory being read.
    reading: Option<(ReadDir, String, usize)>,
    start: Option<Group>,
    given: usize,
}

impl Hierarchy {
    /// All groups of this hierarchy.
    pub fn walk(&self) -> Walk {
        let prefix = self.root.trim_end_matches('/').to_owned();
        let start = std::fs::metadata(&self.mount).ok().map(|meta| Group {
            id: meta.ino(),
            path: if prefix.is_empty() { "/".into() } else { prefix.clone() },
        });
        Walk {
            mount: self.mount.clone(),
            prefix,
            todo: VecDeque::from([(String::new(), 0)]),
            reading: None,
            start,
            given: 0,
        }
    }
}

impl Iterator for Walk {
    type Item = Group;

    fn next(&mut self) -> Option<Group> {
        if self.given >= GROUPS {
            return None;
        }
        self.given += 1;
        if let Some(start) = self.start.take() {
            return Some(start);
        }
        loop {
            let Some((entries, parent, depth)) = &mut self.reading else {
                let (path, depth) = self.todo.pop_front()?;
                // A group may be gone by now.
                if let Ok(entries) = std::fs::read_dir(self.mount.join(path.trim_start_matches('/'))) {
                    self.reading = Some((entries, path, depth));
                }
                continue;
            };
            let Some(entry) = entries.next() else {
                self.reading = None;
                continue;
            };
            let Ok(entry) = entry else { continue };
            // kernfs gives the type and the inode number with the entry; no look at each file is needed.
            if !entry.file_type().is_ok_and(|t| t.is_dir()) {
                continue;
            }
            let path = format!("{parent}/{}", entry.file_name().to_string_lossy());
            if *depth < DEPTH {
                self.todo.push_back((path.clone(), *depth + 1));
            }
            return Some(Group { id: entry.ino(), path: format!("{}{path}", self.prefix) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_come_before_children_and_files_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["a/b/c", "d"] {
            std::fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        std::fs::write(dir.path().join("a/cgroup.procs"), "").unwrap();
        std::os::unix::fs::symlink("a", dir.path().join("link")).unwrap();
        for (root, first, prefix) in [("/", "/", ""), ("/docker/x", "/docker/x", "/docker/x")] {
            let hierarchy =
                Hierarchy { controller: None, number: 0, mount: dir.path().into(), root: root.into() };
            let groups: Vec<Group> = hierarchy.walk().collect();
            assert_eq!(groups[0].path, first);
            let mut paths: Vec<&str> = groups.iter().map(|g| g.path.as_str()).collect();
            for (place, path) in paths.iter().enumerate().skip(1) {
                let parent = path.rsplit_once('/').unwrap().0;
                let parent = if parent.is_empty() { "/" } else { parent };
                assert!(paths[..place].contains(&parent), "{path} before its parent");
            }
            paths.sort_unstable();
            let below = ["/a", "/a/b", "/a/b/c", "/d"].map(|p| format!("{prefix}{p}"));
            assert_eq!(paths[1..], below.each_ref().map(String::as_str));
            for group in &groups {
                assert_eq!(hierarchy.id_of(&group.path), Some(group.id));
            }
        }
    }

    #[test]
    fn depth_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join(vec!["x"; DEPTH + 10].join("/"))).unwrap();
        let hierarchy = Hierarchy { controller: None, number: 0, mount: dir.path().into(), root: "/".into() };
        assert_eq!(hierarchy.walk().count(), 1 + DEPTH + 1);
    }

    #[test]
    fn a_mount_that_is_gone_has_no_groups() {
        let hierarchy =
            Hierarchy { controller: None, number: 0, mount: "/nonexistent".into(), root: "/".into() };
        assert_eq!(hierarchy.walk().count(), 0);
    }
}
