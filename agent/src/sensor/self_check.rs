//! Does what the programs read agree with what this process knows of itself?
//!
//! A wrong offset does not fail: it reads zeros, or something else. So after the snapshot the agent looks for itself
//! in it. A sensor that does not know the agent would not know anybody.

use nix::unistd::{getegid, geteuid, getgid, getppid, getuid};
use vedette_event::{Process, ProcessTable};

/// Looks for this process among those that the kernel told of.
///
/// # Errors
/// It is not there, or a fact about it is wrong; the sentence says which.
pub fn self_check(processes: &ProcessTable) -> Result<(), String> {
    let pid = std::process::id();
    // In a pid namespace of our own, our number is not the kernel's.
    let Some(own) = processes.iter().find(|p| p.task.vpid == pid && is_own_name(p)) else {
        return Err(format!("process {pid} ({}) is not among those that were read", own_name()));
    };
    let task = &own.task;
    let facts = [
        ("uid", task.uid, getuid().as_raw()),
        ("gid", task.gid, getgid().as_raw()),
        ("effective uid", task.euid, geteuid().as_raw()),
        ("effective gid", task.egid, getegid().as_raw()),
    ];
    for (what, read, known) in facts {
        // In a user namespace of our own, ids are mapped, and the kernel's say nothing to us.
        if read != known && in_initial_user_namespace() {
            return Err(format!("the {what} of this process was read as {read}, it is {known}"));
        }
    }
    let parent = getppid().as_raw().unsigned_abs();
    if task.pid_level == 0 && task.parent_tgid != parent {
        return Err(format!("the parent of this process was read as {}, it is {parent}", task.parent_tgid));
    }
    if task.start == 0 || task.start > crate::clock::boottime() {
        return Err(format!("this process was read to have started at {} ns after boot", task.start));
    }
    Ok(())
}

fn own_name() -> String {
    std::fs::read_to_string("/proc/self/comm").unwrap_or_default().trim_end().to_owned()
}

fn is_own_name(process: &Process) -> bool {
    // The comm of the thread group leader, not of the thread that runs this.
    process.comm() == own_name().as_bytes()
}

fn in_initial_user_namespace() -> bool {
    std::fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| map.split_whitespace().eq(["0", "0", "4294967295"]))
}
