//! Container ids in the paths of control groups.

use super::Container;

/// What runtimes put before the id, and what it says about the runtime. `conmon` scopes (`crio-conmon-ID`,
/// `libpod-conmon-ID`) are not among them: they hold the monitor of a container, which runs outside of it.
const PREFIXES: &[(&str, &str)] = &[
    ("cri-containerd", "containerd"),
    ("docker", "docker"),
    ("crio", "cri-o"),
    ("libpod", "podman"),
    ("nerdctl", "containerd"),
    ("runc", "container"),
    ("crun", "container"),
];

/// The directory in which podman's cgroupfs driver keeps its groups. An id directly in it is a pod's.
const PODMAN_PARENT: &str = "libpod_parent";

/// Reads a container id off a control group path: the last component that is one in a shape that runtimes give it.
///
/// | shape | made by |
/// |---|---|
/// | `ID` | the cgroupfs driver of Docker, containerd, Kubernetes, runc |
/// | `PREFIX-ID` | that of CRI-O and podman |
/// | `PREFIX-ID.scope` | the systemd driver of all of them |
/// | `PARENT:PREFIX:ID` | runc, told to use systemd's notation by a runtime with the cgroupfs driver |
///
/// An id is 64 lower-case hex digits; what only looks like one (a session, a job, another length) is not a container.
/// Groups below a container's are the container's; of nested containers the innermost counts.
pub fn container_of_path(path: &str) -> Option<Container> {
    let mut above = path;
    let (id, runtime) = loop {
        let (parents, component) = above.rsplit_once('/')?;
        above = parents;
        if let Some(found) = id_of(component, parents) {
            break found;
        }
    };
    let runtime = match runtime {
        Some(runtime) => runtime,
        None if above.rsplit('/').next() == Some("docker") => "docker",
        None => "container",
    };
    Some(Container { id: id.to_owned(), runtime, pod_uid: pod_uid(path), ..Container::default() })
}

/// The id in one component, and the runtime if it is named there.
fn id_of<'a>(component: &'a str, parents: &str) -> Option<(&'a str, Option<&'static str>)> {
    // Nothing shorter is an id, and most are.
    if component.len() < 64 {
        return None;
    }
    if is_id(component) {
        let is_pod = parents.rsplit('/').next() == Some(PODMAN_PARENT);
        return (!is_pod).then_some((component, None));
    }
    let name = component.strip_suffix(".scope").unwrap_or(component);
    let (before, id) = name.split_at_checked(name.len().checked_sub(64)?)?;
    let prefix = match before.strip_suffix(':') {
        Some(slice_and_prefix) => slice_and_prefix.rsplit(':').next()?,
        None => before.strip_suffix('-')?,
    };
    let (_, runtime) = PREFIXES.iter().find(|(known, _)| *known == prefix)?;
    is_id(id).then_some((id, Some(runtime)))
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// The pod's uid in `…/pod<uid>/…` (cgroupfs driver) or `…-pod<uid>.slice` (systemd driver, dashes as underscores),
/// below a group of Kubernetes. A static pod's uid is 32 hex digits, others have dashes. Of nested clusters the
/// innermost counts.
fn pod_uid(path: &str) -> Option<String> {
    if !path.contains("kubepods") {
        return None;
    }
    path.rsplit('/').find_map(|component| {
        // With systemd's notation: `kubepods-pod….slice:cri-containerd:ID`.
        let name = component.split(':').next().unwrap_or(component);
        let name = name.strip_suffix(".slice").unwrap_or(name);
        let (before, uid) = name.rsplit_once("pod")?;
        let in_pods = before.is_empty() || before.ends_with('-');
        let uid = uid.replace('_', "-");
        let shaped = uid.len() >= 32 && uid.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        (in_pods && shaped).then_some(uid)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const OUTER: &str = "f123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const UID: &str = "0c6a2b57-26f6-4d2e-9e41-7a0dbb5e7b9f";
    const UID_: &str = "0c6a2b57_26f6_4d2e_9e41_7a0dbb5e7b9f";
    /// A static pod's: the hash of its manifest.
    const STATIC: &str = "7a0dbb5e7b9f0c6a2b5726f64d2e9e41";

    /// Path, runtime, whether the pod's uid is told. `{ID}` and the like stand for the constants.
    const CONTAINERS: &[(&str, &str, bool)] = &[
        // Docker: cgroupfs, systemd, a parent of the user's choice, rootless, systemd's notation taken literally.
        ("/docker/{ID}", "docker", false),
        ("/docker/{ID}/init.scope", "docker", false),
        ("/system.slice/docker-{ID}.scope", "docker", false),
        ("/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{ID}.scope", "docker", false),
        ("/actions_job/{ID}", "container", false),
        ("/system.slice:docker:{ID}", "docker", false),
        ("/ecs/0f3c1d2e4b5a69788796a5b4c3d2e1f0/{ID}", "container", false),
        // Docker in Docker, and a container in a container.
        ("/docker/{OUTER}/docker/{ID}", "docker", false),
        ("/system.slice/docker-{OUTER}.scope/docker/{ID}", "docker", false),
        ("/system.slice/docker-{OUTER}.scope/system.slice/docker-{ID}.scope", "docker", false),
        ("/machine.slice/libpod-{OUTER}.scope/container/libpod_parent/libpod-{ID}", "podman", false),
        // containerd by itself: ctr and nerdctl, which name the group by namespace and id.
        ("/default/{ID}", "container", false),
        ("/k8s.io/{ID}", "container", false),
        ("/system.slice/nerdctl-{ID}.scope", "containerd", false),
        ("/user.slice/user-1000.slice/user@1000.service/user.slice/nerdctl-{ID}.scope", "containerd", false),
        // runc and crun by themselves.
        ("/{ID}", "container", false),
        ("/system.slice/runc-{ID}.scope", "container", false),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/crun-{ID}.scope", "container", false),
        // podman: systemd with its sub-group for the payload, cgroupfs, pods, systemd as the container's init.
        ("/machine.slice/libpod-{ID}.scope", "podman", false),
        ("/machine.slice/libpod-{ID}.scope/container", "podman", false),
        ("/machine.slice/libpod-{ID}.scope/container/system.slice/sshd.service", "podman", false),
        ("/libpod_parent/libpod-{ID}", "podman", false),
        ("/libpod_parent/{OUTER}/libpod-{ID}", "podman", false),
        ("/machine.slice/machine-libpod_pod_{OUTER}.slice/libpod-{ID}.scope/container", "podman", false),
        (
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope/container",
            "podman",
            false,
        ),
        // Kubernetes, systemd driver: containerd, CRI-O, Docker; guaranteed pods have no class of service.
        ("/kubepods.slice/kubepods-pod{UID_}.slice/cri-containerd-{ID}.scope", "containerd", true),
        (
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{UID_}.slice/cri-containerd-{ID}.scope",
            "containerd",
            true,
        ),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID_}.slice/crio-{ID}.scope/container",
            "cri-o",
            true,
        ),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID_}.slice/crio-{ID}.scope",
            "cri-o",
            true,
        ),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID_}.slice/docker-{ID}.scope",
            "docker",
            true,
        ),
        // cgroupfs driver.
        ("/kubepods/pod{UID}/{ID}", "container", true),
        ("/kubepods/besteffort/pod{UID}/{ID}", "container", true),
        ("/kubepods/burstable/pod{UID}/crio-{ID}", "cri-o", true),
        // containerd with the cgroupfs driver under a kubelet with systemd's.
        (
            "/system.slice/containerd.service/kubepods-burstable-pod{UID_}.slice:cri-containerd:{ID}",
            "containerd",
            true,
        ),
        ("/kubepods-besteffort-pod{UID_}.slice:cri-containerd:{ID}", "containerd", true),
        ("/kubepods-burstable-pod{UID_}.slice:crio:{ID}", "cri-o", true),
        // Kubernetes in a container (kind, k3d, minikube), and containers made in a pod.
        ("/docker/{OUTER}/kubelet/kubepods/besteffort/pod{UID}/{ID}", "container", true),
        (
            "/system.slice/docker-{OUTER}.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod{UID_}.slice/cri-containerd-{ID}.scope",
            "containerd",
            true,
        ),
        ("/kubepods/burstable/pod{UID}/{OUTER}/docker/{ID}", "docker", true),
        (
            "/kubepods.slice/kubepods-pod7a0dbb5e_7b9f_4d2e_9e41_0c6a2b5726f6.slice/cri-containerd-{OUTER}.scope/kubepods/pod{UID}/{ID}",
            "container",
            true,
        ),
    ];

    const NOT_CONTAINERS: &[&str] = &[
        "",
        "/",
        "/init.scope",
        "/user.slice/user-1000.slice/session-3.scope",
        "/user.slice/user-1000.slice/user@1000.service/app.slice/dbus.service",
        // The monitors of containers.
        "/machine.slice/libpod-conmon-{ID}.scope",
        "/libpod_parent/conmon",
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID_}.slice/crio-conmon-{ID}.scope",
        "/kubepods/besteffort/pod{UID}/crio-conmon-{ID}",
        "/system.slice/crio-conmon-{ID}.scope",
        // The groups of pods.
        "/kubepods/besteffort/pod{UID}",
        "/kubepods.slice/kubepods-pod{UID_}.slice",
        "/libpod_parent/{ID}",
        "/machine.slice/machine-libpod_pod_{ID}.slice",
        // Other lengths, other letters, other prefixes, other suffixes.
        "/jobs/8cf223809caece297514292f300314c0",
        "/jobs/0{ID}",
        "/0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF",
        "/jobs/{ID}.slice",
        "/jobs/{ID}.service",
        "/system.slice/build-{ID}.scope",
        "/system.slice/docker{ID}.scope",
        "/system.slice/docker-0{ID}.scope",
        "/system.slice/docker-é123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde.scope",
        "/x:unknown:{ID}",
        "/lxc.payload.web",
        "/machine.slice/systemd-nspawn@web.service/payload",
        "/system.slice/snap.docker.dockerd.service",
        "{ID}",
    ];

    fn spelled(shape: &str) -> String {
        [("{ID}", ID), ("{OUTER}", OUTER), ("{UID}", UID), ("{UID_}", UID_)]
            .iter()
            .fold(shape.to_owned(), |text, (name, value)| text.replace(name, value))
    }

    #[test]
    fn container_ids_in_the_shapes_that_runtimes_use() {
        for (shape, runtime, in_pod) in CONTAINERS {
            let found = container_of_path(&spelled(shape)).unwrap_or_else(|| panic!("none in {shape}"));
            assert_eq!((found.id.as_str(), found.runtime), (ID, *runtime), "{shape}");
            assert_eq!(found.pod_uid.as_deref(), in_pod.then_some(UID), "{shape}");
        }
    }

    #[test]
    fn what_only_looks_like_a_container() {
        for shape in NOT_CONTAINERS {
            assert_eq!(container_of_path(&spelled(shape)), None, "{shape}");
        }
    }

    #[test]
    fn monitors_and_services_in_a_container_are_the_containers() {
        for below in ["libpod-conmon-{ID}.scope", "system.slice/sshd.service", "0{ID}", "init"] {
            let path = spelled(&format!("/system.slice/docker-{OUTER}.scope/{below}"));
            assert_eq!(container_of_path(&path).map(|c| c.id).as_deref(), Some(OUTER), "{path}");
        }
    }

    #[test]
    fn static_pods_have_uids_without_dashes() {
        for path in [
            format!("/kubepods/burstable/pod{STATIC}/{ID}"),
            format!(
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{STATIC}.slice/crio-{ID}.scope"
            ),
        ] {
            assert_eq!(container_of_path(&path).and_then(|c| c.pod_uid).as_deref(), Some(STATIC), "{path}");
        }
        let unclear = format!("/kubepods/podshort/{ID}");
        assert_eq!(container_of_path(&unclear).unwrap().pod_uid, None);
    }

    proptest! {
        #[test]
        fn no_path_panics_and_what_is_found_is_an_id(path in "(/|[a-z0-9:._-]|é|\\PC|0123456789abcdef){0,300}") {
            if let Some(found) = container_of_path(&path) {
                prop_assert!(is_id(&found.id) && path.contains(&found.id));
            }
        }
    }
}
