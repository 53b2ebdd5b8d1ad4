//! Control groups and the containers they stand for.

use std::{collections::VecDeque, sync::Arc};

use hashbrown::HashMap;

use crate::process::GRACE;

/// What is known about a container. Metadata arrives later than the container; absent is not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// 64 hex digits.
    pub id: String,
    /// `docker`, `containerd`, `cri-o`, `podman`, as the control group's name tells; else `container`.
    pub runtime: &'static str,
    /// The pod's uid, as the control group's name tells.
    pub pod_uid: Option<String>,
    /// Name given by the runtime.
    pub name: Option<String>,
    /// Image as it was asked for.
    pub image: Option<String>,
}

impl Container {
    /// The first 12 digits, which is what people read.
    pub fn short_id(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }
}

/// A shared container.
pub type ContainerRef = Arc<Container>;

/// A control group.
#[derive(Clone, Debug)]
pub struct Cgroup {
    /// Path in its hierarchy.
    pub path: Box<str>,
    /// The container whose group this or an ancestor is.
    pub container: Option<ContainerRef>,
    /// When it was removed.
    pub(crate) retired: Option<u64>,
}

/// The control groups of the node, by id, and no more than a given number of them.
///
/// A group that is removed stays for a grace period, because events of the other ring may still name it.
#[derive(Debug)]
pub struct Cgroups {
    by_id: HashMap<u64, Cgroup, foldhash::fast::RandomState>,
    /// Containers, and the number of groups of each.
    containers: HashMap<String, (ContainerRef, usize), foldhash::fast::RandomState>,
    /// Removed groups in the order of their removal.
    retired: VecDeque<(u64, u64)>,
    cap: usize,
    /// Groups that found no room.
    pub refused: u64,
}

impl Cgroups {
    /// An empty table for at most `cap` groups.
    pub fn new(cap: usize) -> Self {
        Self {
            by_id: HashMap::default(),
            containers: HashMap::default(),
            retired: VecDeque::new(),
            cap,
            refused: 0,
        }
    }

    /// Takes note of a group. Returns false when there was no room.
    pub fn insert(&mut self, id: u64, path: &str) -> bool {
        // Those that are only waiting for their end give way first.
        while self.by_id.len() >= self.cap && !self.by_id.contains_key(&id) {
            let Some((time, old)) = self.retired.pop_front() else {
                self.refused += 1;
                return false;
            };
            self.remove_retired(old, time);
        }
        let container = container_of_path(path).map(|found| {
            let (known, groups) =
                self.containers.entry(found.id.clone()).or_insert_with(|| (Arc::new(found), 0));
            *groups += 1;
            Arc::clone(known)
        });
        if let Some(old) = self.by_id.insert(id, Cgroup { path: path.into(), container, retired: None }) {
            self.release(old);
        }
        true
    }

    /// Takes note that a group was removed at `time`.
    pub fn retire(&mut self, id: u64, time: u64) {
        if let Some(group) = self.by_id.get_mut(&id)
            && group.retired.is_none()
        {
            group.retired = Some(time);
            self.retired.push_back((time, id));
        }
    }

    /// Forgets the groups whose grace period is over at `now`.
    pub fn prune(&mut self, now: u64) {
        while let Some((time, id)) = self.retired.pop_front_if(|(time, _)| time.saturating_add(GRACE) <= now)
        {
            self.remove_retired(id, time);
        }
    }

    /// The queue may hold what has gone or come back.
    fn remove_retired(&mut self, id: u64, time: u64) {
        if self.by_id.get(&id).is_some_and(|group| group.retired == Some(time)) {
            self.remove(id);
        }
    }

    /// Forgets a group at once.
    pub fn remove(&mut self, id: u64) {
        if let Some(old) = self.by_id.remove(&id) {
            self.release(old);
        }
    }

    fn release(&mut self, group: Cgroup) {
        let Some(container) = group.container else { return };
        if let Some((_, groups)) = self.containers.get_mut(&container.id) {
            *groups -= 1;
            if *groups == 0 {
                self.containers.remove(&container.id);
            }
        }
    }

    /// Adds what a runtime says about a container. Returns false where no group of that container is known.
    pub fn describe(&mut self, id: &str, change: impl FnOnce(&mut Container)) -> bool {
        let Some((container, _)) = self.containers.get_mut(id) else { return false };
        let mut changed = Container::clone(container);
        change(&mut changed);
        id.clone_into(&mut changed.id);
        let changed = Arc::new(changed);
        *container = Arc::clone(&changed);
        for group in self.by_id.values_mut() {
            if group.container.as_ref().is_some_and(|c| c.id == id) {
                group.container = Some(Arc::clone(&changed));
            }
        }
        true
    }

    /// All containers.
    pub fn containers(&self) -> impl Iterator<Item = &ContainerRef> {
        self.containers.values().map(|(container, _)| container)
    }

    /// What is known about a group.
    pub fn get(&self, id: u64) -> Option<&Cgroup> {
        self.by_id.get(&id)
    }

    /// All groups.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Cgroup)> {
        self.by_id.iter().map(|(id, group)| (*id, group))
    }

    /// Number of groups.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}

/// Prefixes that runtimes put before the id, and what they say about the runtime.
const RUNTIMES: &[(&str, &str)] = &[
    ("cri-containerd-", "containerd"),
    ("docker-", "docker"),
    ("crio-", "cri-o"),
    ("libpod-", "podman"),
    ("nerdctl-", "containerd"),
];

/// Reads a container id off a control group path: the last component that is 64 hex digits, alone or in one of
/// the shapes that runtimes give it (`docker-ID.scope`, `cri-containerd-ID.scope`, `crio-ID.scope`,
/// `libpod-ID.scope`, `…:cri-containerd:ID`). Other hex-looking names are not containers.
pub fn container_of_path(path: &str) -> Option<Container> {
    let (id, runtime) = path.rsplit('/').find_map(|component| {
        let name = component.strip_suffix(".scope").unwrap_or(component);
        if let Some((_, id)) = name.rsplit_once(":cri-containerd:")
            && is_id(id)
        {
            return Some((id, "containerd"));
        }
        for (prefix, runtime) in RUNTIMES {
            if let Some(id) = name.strip_prefix(prefix)
                && is_id(id)
            {
                return Some((id, *runtime));
            }
        }
        is_id(name).then_some((name, if path.contains("/docker/") { "docker" } else { "container" }))
    })?;
    Some(Container { id: id.to_owned(), runtime, pod_uid: pod_uid(path), name: None, image: None })
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// The pod's uid in `…/pod<uid>/…` (cgroupfs driver) or `…-pod<uid>.slice` (systemd driver, dashes as underscores).
fn pod_uid(path: &str) -> Option<String> {
    path.split('/').find_map(|component| {
        let name = component.strip_suffix(".slice").unwrap_or(component);
        let (before, uid) = name.rsplit_once("pod")?;
        let in_pods = before.is_empty() || before.ends_with('-');
        let uid = uid.replace('_', "-");
        let shaped = uid.len() >= 32 && uid.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        (in_pods && shaped && path.contains("kubepods")).then_some(uid)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn container_ids_in_the_shapes_that_runtimes_use() {
        let cases = [
            (format!("/docker/{ID}"), Some("docker")),
            (format!("/system.slice/docker-{ID}.scope"), Some("docker")),
            (
                format!(
                    "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod0c6a_1.slice/cri-containerd-{ID}.scope"
                ),
                Some("containerd"),
            ),
            (format!("/kubepods/burstable/podd1b2/{ID}"), Some("container")),
            (
                format!("/system.slice/containerd.service/kubepods-pod1.slice:cri-containerd:{ID}"),
                Some("containerd"),
            ),
            (format!("/machine.slice/libpod-{ID}.scope/container"), Some("podman")),
            (format!("/kubepods.slice/crio-{ID}.scope"), Some("cri-o")),
            (format!("/docker/{}/docker/{ID}", ID.replace('0', "f")), Some("docker")),
            ("/user.slice/user-1000.slice/session-3.scope".to_owned(), None),
            ("/jobs/8cf223809caece297514292f300314c0".to_owned(), None),
            (format!("/{}", &ID[..63]), None),
            (format!("/{}", ID.to_uppercase()), None),
            ("/".to_owned(), None),
        ];
        for (path, runtime) in cases {
            let found = container_of_path(&path);
            assert_eq!(found.as_ref().map(|c| c.runtime), runtime, "{path}");
            assert!(found.is_none_or(|c| c.id == ID), "{path}");
        }
    }

    #[test]
    fn pod_uids_of_both_drivers() {
        let uid = "0c6a2b57-26f6-4d2e-9e41-7a0dbb5e7b9f";
        let systemd = format!(
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{}.slice/cri-containerd-{ID}.scope",
            uid.replace('-', "_")
        );
        let cgroupfs = format!("/kubepods/besteffort/pod{uid}/{ID}");
        for path in [systemd, cgroupfs] {
            assert_eq!(container_of_path(&path).and_then(|c| c.pod_uid).as_deref(), Some(uid), "{path}");
        }
    }

    #[test]
    fn the_table_is_bounded_and_counts_what_it_refuses() {
        let mut groups = Cgroups::new(2);
        assert!(groups.insert(1, "/") && groups.insert(2, "/a"));
        assert!(!groups.insert(3, "/b"));
        assert!(groups.insert(2, "/c"), "a known group can be renamed");
        assert_eq!((groups.len(), groups.refused), (2, 1));
        groups.remove(1);
        assert!(groups.insert(3, "/b"));
    }

    #[test]
    fn a_removed_group_stays_for_the_grace_period() {
        let mut groups = Cgroups::new(2);
        groups.insert(1, "/a");
        groups.insert(2, "/b");
        groups.retire(1, 10);
        groups.retire(1, 50);
        groups.prune(GRACE + 9);
        assert_eq!(groups.len(), 2);
        groups.prune(GRACE + 10);
        assert!(groups.get(1).is_none() && groups.get(2).is_some());
        // One that came back in the meantime is not the one that was removed.
        groups.retire(2, 20);
        groups.insert(2, "/b again");
        groups.prune(10 * GRACE);
        assert_eq!(groups.get(2).map(|g| &*g.path), Some("/b again"));
        // A removed group gives way to a new one.
        groups.insert(3, "/c");
        groups.retire(3, 30);
        assert!(groups.insert(4, "/d"));
        assert!(groups.get(3).is_none() && groups.refused == 0);
    }

    #[test]
    fn a_container_is_described_in_all_its_groups_and_forgotten_with_the_last() {
        let mut groups = Cgroups::new(8);
        let path = format!("/docker/{ID}");
        groups.insert(1, &path);
        groups.insert(2, &format!("{path}/init"));
        assert!(groups.describe(ID, |c| (c.id, c.name) = (String::new(), Some("web".into()))));
        groups.insert(3, &format!("{path}/late"));
        for group in 1..=3 {
            let container = groups.get(group).and_then(|g| g.container.clone()).unwrap();
            assert_eq!((container.id.as_str(), container.name.as_deref()), (ID, Some("web")));
        }
        assert_eq!(groups.containers().count(), 1);
        groups.insert(1, "/moved");
        groups.remove(2);
        assert_eq!(groups.containers().count(), 1);
        // That an alert still holds it does not matter.
        let _held = groups.get(3).and_then(|g| g.container.clone());
        groups.remove(3);
        assert_eq!(groups.containers().count(), 0);
        assert!(!groups.describe(ID, |_| ()));
    }
}
