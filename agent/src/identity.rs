//! Which container a process belongs to: the control group hierarchy that tells, its groups, and what the runtimes on
//! this machine and the API server say about containers and pods (`lookup.rs` asks them, on a thread of its own).
//!
//! # The hierarchy that names containers
//!
//! A machine may have one hierarchy (cgroup v2), many (v1), or both (hybrid). The rule ([`choose`]):
//! 1. Candidates are the v1 controllers of [`CONTROLLERS`], in this order, that are bound to a v1 hierarchy which is
//!    mounted here, and then v2 if it is mounted. Other v1 controllers (`net_cls`, `name=systemd`, …) do not count:
//!    people mount them for purposes of their own on machines whose containers live in v2.
//! 2. The first candidate with a container in it is taken; if there is none, the first candidate.
//!
//! So a pure v2 machine gives v2, a v1 or hybrid machine gives `memory` unless that controller is switched off.
//!
//! # Agents in containers
//!
//! The mount table is read from the agent's own view first. Where that view does not reach the root of a hierarchy (the
//! agent has a control group namespace of its own, or only its own subtree mounted), process 1's view is used through
//! `/proc/1/root`, which is the host's if the agent shares the host's pid namespace. Failing that, too, only the agent's
//! own subtree is seen, and [`Hierarchy::is_partial`] says so.

mod containerd;
mod cri;
#[cfg(test)]
mod fake;
mod grpc;
mod hierarchy;
mod lookup;
mod mounts;
mod pods;
mod runtimes;
mod walk;

use std::path::{Path, PathBuf};

use vedette_abi::{SCOPE_CONTAINER, SCOPE_HOST, SCOPE_POD};
use vedette_event::container_of_path;

pub use hierarchy::{CONTROLLERS, Controller, Hierarchy, choose};
pub use lookup::{Answer, Identity, IdentitySettings, IdentityStats};
pub use mounts::{CgroupMount, cgroup_mounts, v1_hierarchies};
pub use pods::PodSettings;
pub use runtimes::Runtimes;
pub use walk::{Group, Walk};

/// Why containers cannot be told apart on this machine.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file that says how control groups are set up could not be read.
    #[error("{path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        error: std::io::Error,
    },
    /// Nothing to go by.
    #[error(
        "no control group hierarchy that could name containers is mounted (looked for cgroup2 and the v1 controllers memory, pids, cpu and the like)"
    )]
    NoHierarchy,
}

impl Hierarchy {
    /// The hierarchy that names containers on this machine.
    ///
    /// # Errors
    /// The mount table cannot be read, or no control group file system is mounted.
    pub fn of_host() -> Result<Self, IdentityError> {
        Self::of_proc(Path::new("/proc"))
    }

    /// The same with another proc file system.
    ///
    /// # Errors
    /// As for [`Self::of_host`].
    pub fn of_proc(proc: &Path) -> Result<Self, IdentityError> {
        // Absent on kernels without v1: then there are no v1 hierarchies.
        let cgroups = std::fs::read_to_string(proc.join("cgroups")).unwrap_or_default();
        let own = Self::in_view(&proc.join("self/mountinfo"), Path::new("/"), &cgroups);
        match own {
            Ok(hierarchy) if !hierarchy.is_partial() => Ok(hierarchy),
            own => match Self::in_view(&proc.join("1/mountinfo"), &proc.join("1/root"), &cgroups) {
                Ok(hosts) if own.is_err() || !hosts.is_partial() => Ok(hosts),
                _ => own,
            },
        }
    }

    fn in_view(mountinfo: &Path, root: &Path, cgroups: &str) -> Result<Self, IdentityError> {
        // A mount point may be any bytes; the lines that matter here are text.
        let text = std::fs::read(mountinfo)
            .map_err(|error| IdentityError::Read { path: mountinfo.to_owned(), error })?;
        let text = String::from_utf8_lossy(&text);
        choose(&cgroup_mounts(&text, root), &v1_hierarchies(cgroups), |hierarchy| {
            hierarchy.walk().any(|group| container_of_path(&group.path).is_some())
        })
        .ok_or(IdentityError::NoHierarchy)
    }
}

/// The scopes of a control group for the kernel's filter, by its path: the host, or a container and perhaps a pod.
/// It agrees with what [`vedette_event::View::container`] will say.
pub fn scopes_of_path(path: &str) -> u64 {
    match container_of_path(path) {
        None => SCOPE_HOST,
        Some(_) if path.contains("kubepods") => SCOPE_CONTAINER | SCOPE_POD,
        Some(_) => SCOPE_CONTAINER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn scopes_by_path() {
        let pod = format!("/kubepods.slice/kubepods-pod0c6a.slice/cri-containerd-{ID}.scope");
        assert_eq!(scopes_of_path(&pod), SCOPE_CONTAINER | SCOPE_POD);
        assert_eq!(
            scopes_of_path(&format!("{pod}/init")),
            SCOPE_CONTAINER | SCOPE_POD,
            "groups inside count too"
        );
        assert_eq!(scopes_of_path(&format!("/docker/{ID}")), SCOPE_CONTAINER);
        for host in ["/", "/system.slice/sshd.service", "/kubepods.slice", ""] {
            assert_eq!(scopes_of_path(host), SCOPE_HOST);
        }
    }

    #[test]
    fn this_host_has_a_hierarchy_that_agrees_with_proc() {
        let hierarchy = Hierarchy::of_host().unwrap();
        assert!(hierarchy.mount.is_dir());
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap();
        let path = hierarchy.path_in(&own).unwrap();
        let number = own.lines().find(|l| l.ends_with(path)).unwrap().split(':').next().unwrap();
        assert!(
            own.lines().any(|l| l.starts_with(&format!("{}:", hierarchy.number)) && l.ends_with(path)),
            "hierarchy {} is not {number}",
            hierarchy.number
        );
        let id = hierarchy.id_of(path).unwrap();
        let found = hierarchy.walk().find(|g| g.id == id).unwrap();
        assert_eq!(found.path, path, "the walk and a direct look agree");
        assert!(hierarchy.walk().count() >= 1);
    }
}
