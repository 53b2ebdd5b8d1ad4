//! The choice of the hierarchy that names containers.

use std::{collections::HashMap, os::unix::fs::MetadataExt, path::PathBuf};

use super::mounts::CgroupMount;

/// A v1 controller that container runtimes put their containers into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Controller {
    /// Its name in mount options and `/proc/cgroups`.
    pub name: &'static str,
    /// Its enumerator in the kernel's `enum cgroup_subsys_id`, which is also its row in `css_set.subsys`.
    pub enumerator: &'static str,
}

/// Controllers that may name containers, the preferred first.
pub const CONTROLLERS: &[Controller] = &[
    Controller { name: "memory", enumerator: "memory_cgrp_id" },
    Controller { name: "pids", enumerator: "pids_cgrp_id" },
    Controller { name: "cpu", enumerator: "cpu_cgrp_id" },
    Controller { name: "cpuacct", enumerator: "cpuacct_cgrp_id" },
    Controller { name: "cpuset", enumerator: "cpuset_cgrp_id" },
    Controller { name: "devices", enumerator: "devices_cgrp_id" },
    Controller { name: "freezer", enumerator: "freezer_cgrp_id" },
    Controller { name: "blkio", enumerator: "io_cgrp_id" },
];

/// The hierarchy whose groups stand for containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// The v1 controller, `None` for cgroup v2.
    pub controller: Option<Controller>,
    /// The kernel's number of the hierarchy, 0 for v2; as in [`vedette_abi::CgroupDir::hierarchy`].
    pub number: u32,
    /// Where it is mounted.
    pub mount: PathBuf,
    /// The group that is mounted there: `/`, unless only part of the hierarchy is seen.
    pub root: String,
}

impl Hierarchy {
    /// Whether groups outside of a subtree cannot be seen: containers that are there already stay nameless.
    pub fn is_partial(&self) -> bool {
        self.root != "/"
    }

    /// The path of a process's group, from the text of its `/proc/PID/cgroup`. Lines: `4:memory:/path`, `0::/path`.
    pub fn path_in<'t>(&self, proc_cgroup: &'t str) -> Option<&'t str> {
        proc_cgroup.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':');
            let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
            let found = match self.controller {
                None => controllers.is_empty(),
                Some(controller) => controllers.split(',').any(|c| c == controller.name),
            };
            found.then_some(path)
        })
    }

    /// The id of the group with this path: the inode number of its directory. `None` where the group is gone, or where
    /// the path leads outside of what is mounted (`/../…` in a control group namespace).
    pub fn id_of(&self, path: &str) -> Option<u64> {
        let below = match self.root.as_str() {
            "/" => path,
            root => path.strip_prefix(root).filter(|rest| rest.is_empty() || rest.starts_with('/'))?,
        };
        if below.split('/').any(|component| component == "..") {
            return None;
        }
        let meta = std::fs::symlink_metadata(self.mount.join(below.trim_start_matches('/'))).ok()?;
        meta.is_dir().then(|| meta.ino())
    }
}

/// Chooses the hierarchy by the rule in the module's head. `v1` tells the hierarchy numbers of v1 controllers,
/// `has_containers` whether some container lives in a hierarchy.
pub fn choose(
    mounts: &[CgroupMount],
    v1: &HashMap<String, u32>,
    has_containers: impl Fn(&Hierarchy) -> bool,
) -> Option<Hierarchy> {
    let of_v1 = CONTROLLERS.iter().filter_map(|controller| {
        let number = *v1.get(controller.name)?;
        let mount = best(mounts, |m| !m.v2 && m.options.iter().any(|o| o == controller.name))?;
        Some(hierarchy(Some(*controller), number, mount))
    });
    let of_v2 = best(mounts, |m| m.v2).map(|mount| hierarchy(None, 0, mount));
    let mut candidates: Vec<Hierarchy> = of_v1.chain(of_v2).collect();
    let chosen = candidates.iter().position(has_containers).unwrap_or(0);
    (chosen < candidates.len()).then(|| candidates.swap_remove(chosen))
}

fn hierarchy(controller: Option<Controller>, number: u32, mount: &CgroupMount) -> Hierarchy {
    let root = if mount.is_whole() { "/".to_owned() } else { mount.root.clone() };
    Hierarchy { controller, number, mount: mount.point.clone(), root }
}

/// Of several mounts of one hierarchy: one that shows all of it, else the one that shows most; the first of equals.
fn best(mounts: &[CgroupMount], wanted: impl Fn(&CgroupMount) -> bool) -> Option<&CgroupMount> {
    let depth = |m: &CgroupMount| m.root.split('/').filter(|c| !c.is_empty()).count();
    mounts.iter().filter(|m| wanted(m)).min_by_key(|m| if m.is_whole() { 0 } else { depth(m) })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::identity::{cgroup_mounts, v1_hierarchies};

    const V2: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    const V2_PROC: &str = "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t0\t90\t1\npids\t0\t90\t1\n";
    const HYBRID: &str = "\
        31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
        32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
        35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
        39 31 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
        40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
    const HYBRID_PROC: &str = "cpu\t1\t1\t1\ncpuacct\t1\t1\t1\nmemory\t4\t17\t1\npids\t8\t1\t1\n";

    fn chosen(mountinfo: &str, proc: &str, containers: impl Fn(&Hierarchy) -> bool) -> Option<Hierarchy> {
        choose(&cgroup_mounts(mountinfo, Path::new("/")), &v1_hierarchies(proc), containers)
    }

    fn name(hierarchy: &Hierarchy) -> (&str, u32) {
        (hierarchy.controller.map_or("v2", |c| c.enumerator), hierarchy.number)
    }

    #[test]
    fn pure_v2() {
        let hierarchy = chosen(V2, V2_PROC, |_| false).unwrap();
        assert_eq!(name(&hierarchy), ("v2", 0));
        assert_eq!(hierarchy.mount, Path::new("/sys/fs/cgroup"));
        assert!(!hierarchy.is_partial());
        assert_eq!(
            chosen(V2, "", |_| false).as_ref().map(name),
            Some(("v2", 0)),
            "kernels without /proc/cgroups"
        );
    }

    #[test]
    fn hybrid_and_v1_take_memory_first() {
        assert_eq!(chosen(HYBRID, HYBRID_PROC, |_| false).as_ref().map(name), Some(("memory_cgrp_id", 4)));
        assert_eq!(chosen(HYBRID, HYBRID_PROC, |_| true).as_ref().map(name), Some(("memory_cgrp_id", 4)));
        let v1: String =
            HYBRID.lines().filter(|l| !l.contains("cgroup2")).map(|l| format!("{l}\n")).collect();
        assert_eq!(chosen(&v1, HYBRID_PROC, |_| false).as_ref().map(name), Some(("memory_cgrp_id", 4)));
    }

    #[test]
    fn a_controller_that_is_switched_off_or_not_mounted_is_passed_over() {
        let off = HYBRID_PROC.replace("memory\t4\t17\t1", "memory\t4\t1\t0");
        assert_eq!(chosen(HYBRID, &off, |_| false).as_ref().map(name), Some(("pids_cgrp_id", 8)));
        let unmounted: String =
            HYBRID.lines().filter(|l| !l.contains("/memory")).map(|l| format!("{l}\n")).collect();
        assert_eq!(chosen(&unmounted, HYBRID_PROC, |_| false).as_ref().map(name), Some(("pids_cgrp_id", 8)));
    }

    #[test]
    fn the_hierarchy_with_containers_wins() {
        let only = |number| move |h: &Hierarchy| h.number == number;
        assert_eq!(chosen(HYBRID, HYBRID_PROC, only(1)).as_ref().map(name), Some(("cpu_cgrp_id", 1)));
        assert_eq!(chosen(HYBRID, HYBRID_PROC, only(0)).as_ref().map(name), Some(("v2", 0)));
    }

    #[test]
    fn a_stray_v1_controller_on_a_v2_machine_does_not_count() {
        let mounts = format!("{V2}50 23 0:50 / /run/net_cls rw - cgroup cgroup rw,net_cls\n");
        let proc = format!("{V2_PROC}net_cls\t9\t1\t1\n");
        assert_eq!(chosen(&mounts, &proc, |_| false).as_ref().map(name), Some(("v2", 0)));
    }

    #[test]
    fn the_mount_that_shows_most_is_used() {
        let mounts = "\
            1 2 0:1 /docker/a/b /deep rw - cgroup2 cgroup2 rw\n\
            1 2 0:1 /docker /shallow rw - cgroup2 cgroup2 rw\n";
        let part = chosen(mounts, "", |_| false).unwrap();
        assert_eq!(
            (part.mount.as_path(), part.root.as_str(), part.is_partial()),
            (Path::new("/shallow"), "/docker", true)
        );
        let all =
            chosen(&format!("{mounts}1 2 0:1 / /all rw - cgroup2 cgroup2 rw\n"), "", |_| false).unwrap();
        assert_eq!((all.mount.as_path(), all.is_partial()), (Path::new("/all"), false));
    }

    #[test]
    fn nothing_mounted() {
        assert_eq!(chosen("22 27 0:21 / /proc rw - proc proc rw\n", HYBRID_PROC, |_| true), None);
    }

    #[test]
    fn paths_of_processes() {
        let text = "9:name=systemd:/user\n4:memory:/a:b\n3:cpu,cpuacct:/c\n0::/u\n";
        let hierarchy = chosen(HYBRID, HYBRID_PROC, |_| false).unwrap();
        assert_eq!(hierarchy.path_in(text), Some("/a:b"));
        let cpuacct = Hierarchy { controller: CONTROLLERS.get(3).copied(), ..hierarchy.clone() };
        assert_eq!(cpuacct.path_in(text), Some("/c"));
        let v2 = Hierarchy { controller: None, ..hierarchy };
        assert_eq!(v2.path_in(text), Some("/u"));
        assert_eq!(v2.path_in("junk\n1:x\n"), None);
    }

    #[test]
    fn ids_are_inode_numbers_and_stay_inside() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/tasks"), "").unwrap();
        let whole = Hierarchy { controller: None, number: 0, mount: dir.path().into(), root: "/".into() };
        let ino = |p: &str| std::fs::metadata(dir.path().join(p)).unwrap().ino();
        assert_eq!(whole.id_of("/a/b"), Some(ino("a/b")));
        assert_eq!(whole.id_of("/"), Some(ino("")));
        for none in ["/nothing", "/a/tasks", "/../x", "/a/../a"] {
            assert_eq!(whole.id_of(none), None, "{none}");
        }
        let part = Hierarchy { root: "/docker/x".into(), ..whole };
        assert_eq!(part.id_of("/docker/x/a"), Some(ino("a")));
        assert_eq!((part.id_of("/docker/xy/a"), part.id_of("/a")), (None, None));
    }
}
