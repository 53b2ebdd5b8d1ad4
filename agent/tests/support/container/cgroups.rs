//! Control groups of a test's own.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// A group at the top of every hierarchy, for all containers of a runtime. It is removed with all groups below it.
#[derive(Debug)]
pub struct Groups {
    name: String,
    hierarchies: Vec<PathBuf>,
}

impl Groups {
    /// A new name; runtimes make the groups.
    pub fn new() -> Self {
        static NUMBERS: AtomicUsize = AtomicUsize::new(0);
        let name = format!("vedette-test-{}-{}", std::process::id(), NUMBERS.fetch_add(1, Relaxed));
        Self { name, hierarchies: hierarchies() }
    }

    /// The path of a group below ours.
    pub fn path(&self, below: &str) -> String {
        format!("/{}{below}", self.name)
    }

    /// Makes a group inside another, and puts a process into it.
    pub fn nest(&self, path: &str, pid: u32) {
        for hierarchy in &self.hierarchies {
            let directory = hierarchy.join(path.trim_start_matches('/'));
            if directory.parent().is_some_and(Path::is_dir) {
                fs::create_dir_all(&directory).unwrap();
                fs::write(directory.join("cgroup.procs"), pid.to_string()).unwrap_or_else(|error| {
                    panic!("{}: {error}", directory.display());
                });
            }
        }
    }

    /// The directories of a group, one in each hierarchy that has it.
    pub fn directories(&self, path: &str) -> Vec<PathBuf> {
        let all = self.hierarchies.iter().map(|hierarchy| hierarchy.join(path.trim_start_matches('/')));
        all.filter(|directory| directory.is_dir()).collect()
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        for hierarchy in &self.hierarchies {
            // Fails while a process is in one of them; then that has been told already.
            let _ = remove(&hierarchy.join(&self.name));
        }
    }
}

/// Removes a group and those below it. The files in the directories cannot be and need not be removed.
fn remove(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(directory)
}

/// Where control group hierarchies are mounted.
fn hierarchies() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    fields.filter(|fields| fields[2].starts_with("cgroup")).map(|fields| PathBuf::from(fields[1])).collect()
}
