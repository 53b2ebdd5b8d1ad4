//! The evidence of a finding: process, file, connection, container.

use serde::Serialize;

use super::super::{Alert, Endpoint, ProcessInfo, UserInfo, is_false};

#[derive(Serialize)]
pub(super) struct Evidence<'a> {
    name: &'a str,
    process: Process<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<File<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_info: Option<ConnectionInfo<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_endpoint: Option<NetworkEndpoint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dst_endpoint: Option<NetworkEndpoint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<Container<'a>>,
}

#[derive(Serialize)]
struct Process<'a> {
    pid: u32,
    uid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace_pid: Option<u32>,
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    cmd_line: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<File<'a>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    working_directory: &'a str,
    created_time: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    terminated_time: Option<u64>,
    #[serde(flatten)]
    user: Option<Ids<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<Session<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<Container<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_process: Option<Box<Process<'a>>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ancestry: Vec<ProcessEntity<'a>>,
}

#[derive(Serialize)]
struct ProcessEntity<'a> {
    pid: u32,
    uid: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    cmd_line: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    path: &'a str,
    created_time: u64,
}

#[derive(Serialize)]
struct Ids<'a> {
    user: Principal<'a>,
    group: Principal<'a>,
    euid: u32,
    egid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    auid: Option<u32>,
}

/// A user or a group.
#[derive(Serialize)]
struct Principal<'a> {
    uid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

#[derive(Serialize)]
struct Session<'a> {
    terminal: &'a str,
}

#[derive(Serialize)]
struct File<'a> {
    name: &'a str,
    path: &'a str,
    type_id: u8,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<Principal<'a>>,
    #[serde(skip_serializing_if = "is_false")]
    is_deleted: bool,
}

#[derive(Serialize)]
struct ConnectionInfo<'a> {
    direction_id: u8,
    direction: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol_ver_id: Option<u8>,
}

#[derive(Serialize)]
struct NetworkEndpoint {
    ip: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
}

#[derive(Serialize)]
struct Container<'a> {
    uid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    runtime: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    orchestrator: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod_uuid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<Image<'a>>,
}

/// The schema wants a uid: the digest, the id, or else the reference, which names the image as well as is known.
#[derive(Serialize)]
struct Image<'a> {
    uid: &'a str,
    name: &'a str,
}

impl<'a> From<&'a Alert> for Evidence<'a> {
    fn from(alert: &'a Alert) -> Self {
        let event = &alert.event;
        Self {
            name: &event.kind,
            process: Process::of_alert(alert),
            file: file(alert),
            connection_info: event.remote.as_ref().map(|remote| ConnectionInfo {
                direction_id: 2,
                direction: "Outbound",
                protocol_name: event.protocol.as_deref(),
                protocol_ver_id: Some(if remote.ip.is_ipv4() { 4 } else { 6 }),
            }),
            src_endpoint: event.local.as_ref().map(NetworkEndpoint::from),
            dst_endpoint: event.remote.as_ref().map(NetworkEndpoint::from),
            container: container(alert),
        }
    }
}

impl<'a> Process<'a> {
    fn of_alert(alert: &'a Alert) -> Self {
        let process = &alert.process;
        Self {
            container: container(alert),
            parent_process: process.ancestors.first().map(|p| Box::new(Self::one(p))),
            ancestry: process.ancestors.iter().map(ProcessEntity::from).collect(),
            ..Self::one(process)
        }
    }

    fn one(process: &'a ProcessInfo) -> Self {
        let path = process.exe_path.as_str();
        Self {
            pid: process.pid,
            uid: &process.id,
            tid: process.tid,
            namespace_pid: process.vpid,
            name: &process.name,
            cmd_line: &process.cmdline,
            path,
            file: (!path.is_empty()).then(|| File::regular(path)),
            working_directory: &process.cwd,
            created_time: process.start.millis(),
            terminated_time: process.end.map(|t| t.millis()),
            user: process.user.as_ref().map(Ids::from),
            session: process.tty.as_deref().map(|terminal| Session { terminal }),
            container: None,
            parent_process: None,
            ancestry: Vec::new(),
        }
    }
}

impl<'a> From<&'a ProcessInfo> for ProcessEntity<'a> {
    fn from(process: &'a ProcessInfo) -> Self {
        Self {
            pid: process.pid,
            uid: &process.id,
            name: &process.name,
            cmd_line: &process.cmdline,
            path: &process.exe_path,
            created_time: process.start.millis(),
        }
    }
}

impl<'a> From<&'a UserInfo> for Ids<'a> {
    fn from(user: &'a UserInfo) -> Self {
        Self {
            user: Principal { uid: user.uid.to_string(), name: user.name.as_deref() },
            group: Principal { uid: user.gid.to_string(), name: user.group.as_deref() },
            euid: user.euid,
            egid: user.egid,
            auid: user.loginuid,
        }
    }
}

impl From<&Endpoint> for NetworkEndpoint {
    fn from(endpoint: &Endpoint) -> Self {
        Self { ip: endpoint.ip.to_string(), port: endpoint.port }
    }
}

impl<'a> File<'a> {
    fn of(path: &'a str, (type_id, kind): (u8, &'static str)) -> Self {
        let name = path.rsplit('/').next().filter(|n| !n.is_empty()).unwrap_or(path);
        Self { name, path, type_id, kind, uid: None, owner: None, is_deleted: false }
    }

    fn regular(path: &'a str) -> Self {
        Self::of(path, (1, "Regular File"))
    }
}

/// The file an event is about. An executable is with its process.
fn file(alert: &Alert) -> Option<File<'_>> {
    let event = &alert.event;
    let path = event.path.as_str();
    match event.kind.as_str() {
        _ if path.is_empty() => None,
        "file_open" => Some(match &event.file {
            Some(info) => File {
                uid: Some(format!("{}:{}", info.device, info.inode)),
                owner: Some(Principal { uid: info.uid.to_string(), name: None }),
                is_deleted: info.deleted,
                ..File::of(path, file_type(&info.mode))
            },
            None => File::of(path, (0, "Unknown")),
        }),
        "net_connect" => Some(File::of(path, (5, "Local Socket"))),
        _ => None,
    }
}

/// From the type bits of `st_mode` (`inode(7)`).
fn file_type(mode: &str) -> (u8, &'static str) {
    match u32::from_str_radix(mode, 8).unwrap_or(0) & 0o170_000 {
        0o100_000 => (1, "Regular File"),
        0o040_000 => (2, "Folder"),
        0o020_000 => (3, "Character Device"),
        0o060_000 => (4, "Block Device"),
        0o140_000 => (5, "Local Socket"),
        0o010_000 => (6, "Named Pipe"),
        0o120_000 => (7, "Symbolic Link"),
        _ => (0, "Unknown"),
    }
}

fn container(alert: &Alert) -> Option<Container<'_>> {
    let container = alert.container.as_ref()?;
    let pod_uuid = alert.k8s.as_ref().and_then(|k| k.pod_uid.as_deref());
    let id = container.image_digest.as_deref().or(container.image_id.as_deref());
    Some(Container {
        uid: &container.id,
        name: container.name.as_deref(),
        runtime: &container.runtime,
        orchestrator: pod_uuid.map(|_| "kubernetes"),
        pod_uuid,
        image: container.image.as_deref().map(|image| Image { uid: id.unwrap_or(image), name: image }),
    })
}
