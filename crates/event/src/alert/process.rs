//! A process and its ancestors, as alerts show them.

use serde::{Deserialize, Serialize};

use super::{Time, is_false, lossy};
use crate::{Process, View};

/// Most ancestors that an alert carries.
pub const MAX_ANCESTORS: usize = 16;

/// Most bytes of an ancestor's command line: there are up to 16 of them, and only the process itself has to be
/// told whole.
const ANCESTOR_CMDLINE: usize = 1024;

/// A process. What is not known is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessInfo {
    /// Process id in the initial pid namespace.
    pub pid: u32,
    /// Thread that caused the event; only for the process itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tid: Option<u32>,
    /// Process id in its own pid namespace, where that is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpid: Option<u32>,
    /// Names the process for as long as the machine runs: `pid:start`, the start in nanoseconds since boot.
    pub id: String,
    /// Name of the task, at most 15 bytes.
    pub name: String,
    /// File name as passed to exec.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub exe: String,
    /// Path of the executable, symbolic links resolved.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub exe_path: String,
    /// The arguments, `argv[0]` first; only for the process itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// The arguments, joined with spaces; an ancestor's is cut at 1 KiB.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cmdline: String,
    /// Whether the end of the arguments is missing.
    #[serde(default, skip_serializing_if = "is_false")]
    pub args_truncated: bool,
    /// Working directory at its exec.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cwd: String,
    /// On whose behalf it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserInfo>,
    /// Controlling terminal (`pts/3`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tty: Option<String>,
    /// When it started.
    pub start: Time,
    /// When it ended, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Time>,
    /// Id of the container it runs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_id: Option<String>,
    /// Parent first, at most [`MAX_ANCESTORS`]; only for the process itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ancestors: Vec<ProcessInfo>,
    /// Whether there are more ancestors than told.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ancestors_truncated: bool,
}

/// The users and groups of a process. Ids are those of the initial user namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserInfo {
    /// Real user id.
    pub uid: u32,
    /// Its name, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Real group id.
    pub gid: u32,
    /// Its name, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Effective user id.
    pub euid: u32,
    /// Effective group id.
    pub egid: u32,
    /// Login user id of the audit system, where it is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loginuid: Option<u32>,
    /// Its name, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loginname: Option<String>,
}

impl ProcessInfo {
    /// The process of an event, with its ancestors.
    pub(super) fn of_view(view: &View<'_>) -> Self {
        let process = view.process;
        let mut ancestors = view.ancestors();
        Self {
            tid: Some(view.record.header.tid),
            args: process.exec.args().map(lossy).collect(),
            ancestors: ancestors.by_ref().take(MAX_ANCESTORS).map(|p| Self::ancestor(view, p)).collect(),
            ancestors_truncated: ancestors.next().is_some(),
            ..Self::one(view, process)
        }
    }

    fn ancestor(view: &View<'_>, process: &Process) -> Self {
        let mut info = Self::one(view, process);
        let cut = info.cmdline.floor_char_boundary(ANCESTOR_CMDLINE);
        if cut < info.cmdline.len() {
            info.cmdline.truncate(cut);
            info.args_truncated = true;
        }
        info
    }

    fn one(view: &View<'_>, process: &Process) -> Self {
        let (task, exec) = (&process.task, &process.exec);
        let group = view.state.cgroups.get(task.cgroup);
        // Of a process that only a header named, the ids are not known: zero would say root. Others have a parent,
        // but for the first of all, and these have a name.
        let known = task.parent_tgid != 0 || !process.comm().is_empty();
        Self {
            pid: process.key.tgid,
            vpid: (task.vpid != 0 && task.vpid != task.tgid).then_some(task.vpid),
            id: format!("{}:{}", process.key.tgid, process.key.start),
            name: lossy(process.comm()),
            exe: lossy(&exec.filename),
            exe_path: lossy(&exec.exe_path),
            cmdline: cmdline(process),
            args_truncated: exec.is_cut(),
            cwd: lossy(&process.cwd),
            user: known.then(|| UserInfo::of(view, process)),
            tty: tty_name(task.tty),
            start: Time(view.clock.realtime(process.key.start)),
            end: process.exited.map(|t| Time(view.clock.realtime(t))),
            container_id: group.and_then(|g| g.container.as_ref()).map(|c| c.id.clone()),
            ..Self::default()
        }
    }

    /// What people call it: its name, else its id.
    pub(super) fn display_name(&self) -> String {
        if self.name.is_empty() { format!("pid {}", self.pid) } else { self.name.clone() }
    }
}

impl UserInfo {
    fn of(view: &View<'_>, process: &Process) -> Self {
        let task = &process.task;
        let user = |uid| view.names.user(uid, process).map(|name| name.to_string());
        let loginuid = (task.loginuid != u32::MAX).then_some(task.loginuid);
        Self {
            uid: task.uid,
            name: user(task.uid),
            gid: task.gid,
            group: view.names.group(task.gid, process).map(|name| name.to_string()),
            euid: task.euid,
            egid: task.egid,
            loginuid,
            loginname: loginuid.and_then(user),
        }
    }
}

fn cmdline(process: &Process) -> String {
    let mut line = Vec::with_capacity(process.exec.argv.len());
    for (i, arg) in process.exec.args().enumerate() {
        if i > 0 {
            line.push(b' ');
        }
        line.extend_from_slice(arg);
    }
    lossy(&line)
}

/// Name of a terminal under `/dev`, from `major << 20 | minor`. Numbers: `Documentation/admin-guide/devices.txt`
/// of the kernel.
fn tty_name(device: u32) -> Option<String> {
    let (major, minor) = (device >> 20, device & 0xf_ffff);
    Some(match (major, minor) {
        (0, 0) => return None,
        (4, 0..=63) => format!("tty{minor}"),
        (4, 64..=255) => format!("ttyS{}", minor - 64),
        (5, 0) => "tty".to_owned(),
        (5, 1) => "console".to_owned(),
        (136..=143, _) => format!("pts/{}", (major - 136) * 256 + minor),
        _ => format!("{major}:{minor}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_by_name() {
        let name = |major: u32, minor: u32| tty_name(major << 20 | minor);
        assert_eq!(name(0, 0), None);
        assert_eq!(name(136, 3).as_deref(), Some("pts/3"));
        assert_eq!(name(137, 1).as_deref(), Some("pts/257"));
        assert_eq!(name(4, 1).as_deref(), Some("tty1"));
        assert_eq!(name(4, 64).as_deref(), Some("ttyS0"));
        assert_eq!(name(5, 1).as_deref(), Some("console"));
        assert_eq!(name(204, 64).as_deref(), Some("204:64"));
        assert!(tty_name(u32::MAX).is_some());
    }
}
