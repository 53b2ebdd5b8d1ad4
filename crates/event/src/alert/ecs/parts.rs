//! The field sets of the schema.

use std::{collections::BTreeMap, collections::BTreeSet};

use serde::Serialize;

use super::super::{
    Alert, Attack, ContainerInfo, Endpoint, EventInfo, KubernetesInfo, ProcessInfo, Time, UserInfo,
    attack::{tactic_id, technique},
    is_false,
};

#[derive(Serialize)]
pub(super) struct Threat<'a> {
    framework: &'static str,
    #[serde(skip_serializing_if = "Named::is_empty")]
    tactic: Named<'a>,
    #[serde(skip_serializing_if = "Technique::is_empty")]
    technique: Technique<'a>,
}

/// Lists side by side, as the schema has them.
#[derive(Default, Serialize)]
struct Named<'a> {
    id: Vec<&'a str>,
    name: Vec<&'a str>,
}

#[derive(Serialize)]
struct Technique<'a> {
    #[serde(flatten)]
    technique: Named<'a>,
    #[serde(skip_serializing_if = "Named::is_empty")]
    subtechnique: Named<'a>,
}

impl<'a> Named<'a> {
    fn is_empty(&self) -> bool {
        self.id.is_empty()
    }

    fn add(&mut self, id: &'a str, name: &'a str) {
        if !self.id.contains(&id) {
            self.id.push(id);
            self.name.push(name);
        }
    }
}

impl Technique<'_> {
    fn is_empty(&self) -> bool {
        self.technique.is_empty()
    }
}

impl<'a> Threat<'a> {
    pub(super) fn of(attack: &'a Attack) -> Option<Self> {
        let mut tactics = Named::default();
        for name in &attack.tactics {
            tactics.add(tactic_id(name).unwrap_or(name), name);
        }
        let (mut techniques, mut subs) = (Named::default(), Named::default());
        // An id that the tables do not have is its own name.
        let name = |id: &'a str| technique(id).map_or(id, |t| t.name);
        for id in &attack.techniques {
            let parent = id.split_once('.').map_or(id.as_str(), |(parent, _)| parent);
            techniques.add(parent, name(parent));
            if parent != id {
                subs.add(id, name(id));
            }
        }
        (!attack.is_empty()).then_some(Self {
            framework: "MITRE ATT&CK",
            tactic: tactics,
            technique: Technique { technique: techniques, subtechnique: subs },
        })
    }
}

#[derive(Serialize)]
pub(super) struct Host<'a> {
    hostname: &'a str,
    name: &'a str,
    os: Os,
}

#[derive(Serialize)]
struct Os {
    #[serde(rename = "type")]
    kind: &'static str,
}

impl<'a> Host<'a> {
    pub(super) fn of(alert: &'a Alert) -> Self {
        let node = alert.k8s.as_ref().and_then(|k| k.node.as_deref());
        Self { hostname: &alert.hostname, name: node.unwrap_or(&alert.hostname), os: Os { kind: "linux" } }
    }
}

#[derive(Serialize)]
pub(super) struct Process<'a> {
    pid: u32,
    entity_id: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    executable: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    args: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    args_count: Option<usize>,
    #[serde(skip_serializing_if = "str::is_empty")]
    command_line: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    working_directory: &'a str,
    start: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vpid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread: Option<Thread>,
    interactive: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<User<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<Group<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<Box<Process<'a>>>,
}

#[derive(Serialize)]
struct Thread {
    id: u32,
}

impl<'a> Process<'a> {
    pub(super) fn of(process: &'a ProcessInfo, event: &EventInfo) -> Self {
        let parent = process.ancestors.first().map(|parent| Box::new(Self::one(parent)));
        Self { exit_code: event.exit_code, parent, ..Self::one(process) }
    }

    fn one(process: &'a ProcessInfo) -> Self {
        let args = process.args.as_slice();
        Self {
            pid: process.pid,
            entity_id: &process.id,
            name: &process.name,
            executable: &process.exe_path,
            args,
            args_count: (!args.is_empty() && !process.args_truncated).then_some(args.len()),
            command_line: &process.cmdline,
            working_directory: &process.cwd,
            start: process.start,
            end: process.end,
            exit_code: None,
            vpid: process.vpid,
            thread: process.tid.map(|id| Thread { id }),
            interactive: process.tty.is_some(),
            user: process.user.as_ref().map(User::from),
            group: process.user.as_ref().map(Group::from),
            parent: None,
        }
    }
}

#[derive(Serialize)]
pub(super) struct User<'a> {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effective: Option<Effective>,
}

#[derive(Serialize)]
struct Effective {
    id: String,
}

impl<'a> From<&'a UserInfo> for User<'a> {
    fn from(user: &'a UserInfo) -> Self {
        let other = user.euid != user.uid;
        Self {
            id: user.uid.to_string(),
            name: user.name.as_deref(),
            effective: other.then(|| Effective { id: user.euid.to_string() }),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Group<'a> {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

impl<'a> From<&'a UserInfo> for Group<'a> {
    fn from(user: &'a UserInfo) -> Self {
        Self { id: user.gid.to_string(), name: user.group.as_deref() }
    }
}

#[derive(Serialize)]
pub(super) struct File<'a> {
    path: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    directory: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gid: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    deleted: bool,
}

impl<'a> File<'a> {
    /// The file an event is about. An executable is with its process.
    pub(super) fn of(event: &'a EventInfo) -> Option<Self> {
        let path = event.path.as_str();
        if path.is_empty() || !event.kind.starts_with("file_") {
            return None;
        }
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        let file = event.file.as_ref();
        Some(Self {
            path,
            name: if name.is_empty() { path } else { name },
            directory: path.starts_with('/').then_some(if directory.is_empty() { "/" } else { directory }),
            inode: file.map(|file| file.inode.to_string()),
            device: file.map(|file| file.device.as_str()),
            // Its last four digits are the permissions.
            mode: file.and_then(|file| file.mode.get(file.mode.len().saturating_sub(4)..)),
            uid: file.map(|file| file.uid.to_string()),
            gid: file.map(|file| file.gid.to_string()),
            deleted: file.is_some_and(|file| file.deleted),
        })
    }
}

#[derive(Serialize)]
pub(super) struct Network<'a> {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transport: Option<&'a str>,
}

impl<'a> Network<'a> {
    pub(super) fn of(event: &'a EventInfo) -> Option<Self> {
        let remote = event.remote.as_ref().or(event.local.as_ref());
        let kind = remote.map(|side| if side.ip.is_ipv4() { "ipv4" } else { "ipv6" });
        let transport = event.protocol.as_deref();
        (kind.is_some() || transport.is_some()).then_some(Self { kind, transport })
    }
}

#[derive(Serialize)]
pub(super) struct Side {
    address: String,
    ip: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
}

impl From<&Endpoint> for Side {
    fn from(endpoint: &Endpoint) -> Self {
        let ip = endpoint.ip.to_string();
        Self { address: ip.clone(), ip, port: endpoint.port }
    }
}

#[derive(Serialize)]
pub(super) struct Container<'a> {
    id: &'a str,
    runtime: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<Image<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    security_context: Option<SecurityContext>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
struct SecurityContext {
    privileged: bool,
}

#[derive(Serialize)]
struct Image<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<[&'a str; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<ImageHash<'a>>,
}

#[derive(Serialize)]
struct ImageHash<'a> {
    all: [&'a str; 1],
}

impl<'a> From<&'a ContainerInfo> for Container<'a> {
    fn from(container: &'a ContainerInfo) -> Self {
        let image = container.image.as_deref().map(|reference| {
            let whole = reference.split_once('@').map_or(reference, |(name, _)| name);
            // A colon before a slash is that of a port.
            let (name, tag) = match whole.rsplit_once(':') {
                Some((name, tag)) if !tag.contains('/') => (name, Some([tag])),
                _ => (whole, None),
            };
            let hash = container.image_digest.as_deref().map(|digest| ImageHash { all: [digest] });
            Image { name, tag, hash }
        });
        Self {
            id: &container.id,
            runtime: &container.runtime,
            name: container.name.as_deref(),
            image,
            security_context: container.privileged.map(|privileged| SecurityContext { privileged }),
            labels: &container.labels,
        }
    }
}

#[derive(Serialize)]
pub(super) struct Orchestrator<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    resource: Resource<'a>,
}

#[derive(Serialize)]
struct Resource<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<[&'a str; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<Parent<'a>>,
}

#[derive(Serialize)]
struct Parent<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
}

impl<'a> Orchestrator<'a> {
    pub(super) fn of(k8s: &'a KubernetesInfo) -> Option<Self> {
        (k8s.pod.is_some() || k8s.pod_uid.is_some()).then(|| Self {
            kind: "kubernetes",
            namespace: k8s.namespace.as_deref(),
            resource: Resource {
                kind: "pod",
                id: k8s.pod_uid.as_deref(),
                name: k8s.pod.as_deref(),
                ip: k8s.pod_ip.as_deref().map(|ip| [ip]),
                parent: k8s.workload.as_ref().map(|workload| Parent { kind: &workload.kind }),
            },
        })
    }
}

/// What searches across field sets look at.
#[derive(Serialize)]
pub(super) struct Related<'a> {
    hosts: [&'a str; 1],
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    ip: BTreeSet<String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    user: BTreeSet<&'a str>,
}

impl<'a> Related<'a> {
    pub(super) fn of(alert: &'a Alert) -> Self {
        let sides = [&alert.event.local, &alert.event.remote];
        let users = alert.process.user.as_ref().into_iter();
        Self {
            hosts: [&alert.hostname],
            ip: sides.into_iter().flatten().map(|side| side.ip.to_string()).collect(),
            user: users
                .flat_map(|user| [user.name.as_deref(), user.loginname.as_deref()])
                .flatten()
                .collect(),
        }
    }
}
