//! The table: for each stable rule attacks, and what only looks like them.

mod access;
mod credentials;
mod execution;
mod files;
mod network;
mod privilege;
mod shells;

use std::{fs, path::Path};

use crate::{
    container::Container,
    deed::{By, Deed, Doer, Twin},
    scene::Scene,
};

/// An attack that a rule must tell, and a benign twin.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Name of the rule.
    pub rule: &'static str,
    /// What distinguishes this case from others of the rule; may be empty.
    pub variant: &'static str,
    /// The attack.
    pub attack: fn(&Scene) -> Deed,
    /// The benign twin.
    pub benign: fn(&Scene) -> Twin,
}

impl Case {
    /// Name of the test of the attack.
    pub fn attack_name(&self) -> String {
        format!("detects::{}", self.slug())
    }

    /// Name of the test of the benign twin.
    pub fn benign_name(&self) -> String {
        format!("quiet::{}", self.slug())
    }

    fn slug(&self) -> String {
        let name = self.rule.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        if self.variant.is_empty() { name } else { format!("{name}::{}", self.variant) }
    }
}

/// All cases.
pub fn all() -> impl Iterator<Item = Case> {
    [
        access::CASES,
        credentials::CASES,
        execution::CASES,
        files::CASES,
        network::CASES,
        privilege::CASES,
        shells::CASES,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// The names of this test and its ancestors, as `/proc` has them.
fn lineage() -> Vec<String> {
    let mut names = Vec::new();
    let mut pid = std::process::id();
    while pid != 0 {
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { break };
        let (head, tail) = stat.rsplit_once(") ").unwrap();
        names.push(head.split_once('(').unwrap().1.to_owned());
        pid = tail.split(' ').nth(1).unwrap().parse().unwrap();
    }
    names
}

/// The terminal of this test, in the encoding of `/proc/PID/stat`.
fn terminal() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    stat.rsplit_once(") ").unwrap().1.split(' ').nth(4).unwrap().parse().unwrap()
}

/// What a process started by this test did on the host.
fn on_host(pid: u32, event: &str, (name, exe_path, command): (&str, &Path, &str)) -> Deed {
    let lineage = lineage();
    let exe_path = exe_path.to_str().unwrap();
    Deed::new(By::Process(pid), event, &Doer { name, exe_path, parent: &lineage[0], command })
        .by_user("root", 0)
        .with("proc.tty", terminal())
        .with_ancestors(&lineage[1..lineage.len().min(4)])
}

/// What the helper did on the host: `helper --act …`.
fn by_helper(scene: &Scene, pid: u32, event: &str, act: &str) -> Deed {
    let helper = scene.stage.helper();
    on_host(pid, event, ("helper", &helper, &format!("helper --act {act}")))
}

/// What a process that runc has put into a container did. `command`: the program's name and arguments.
fn in_container(container: Container, event: &str, exe_path: &str, command: &str) -> Deed {
    let name = command.split(' ').next().unwrap();
    let lineage = lineage();
    let doer = Doer { name, exe_path, parent: "runc", command };
    Deed::new(By::Container(container.id().to_owned()), event, &doer)
        // The container's own name for root.
        .by_user("captain", 0)
        .with("proc.tty", 0)
        .with_ancestors(&lineage[..lineage.len().min(3)])
        .holding(container)
}

/// Where busybox is in containers.
const BUSYBOX: &str = "/bin/busybox";
