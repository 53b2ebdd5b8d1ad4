//! What the helper does with other processes.

use std::{
    io,
    process::{Child, Command, Stdio},
};

use nix::{
    errno::Errno,
    sys::{
        ptrace::{self, Options},
        signal::{Signal, raise},
        wait::{WaitStatus, waitpid},
    },
    unistd::Pid,
};

/// Does it, if it is an operation of this family.
pub fn perform(operation: &str) -> Option<io::Result<()>> {
    Some(match operation {
        "trace-attach" => other("wait", |pid| {
            ptrace::attach(pid)?;
            // It may still be about to tell of its exec.
            while !matches!(waitpid(pid, None)?, WaitStatus::Stopped(_, Signal::SIGSTOP)) {
                ptrace::cont(pid, None)?;
            }
            detach(pid)
        }),
        "trace-seize" => other("wait", |pid| ptrace::seize(pid, Options::empty())),
        "trace-write" => other("be-traced-and-stop", |pid| {
            let stack = stopped(pid)?.rsp as ptrace::AddressType;
            ptrace::write(pid, stack, ptrace::read(pid, stack)?)?;
            detach(pid)
        }),
        // The page of code that the kernel gives every process.
        "trace-write-vdso" => other("be-traced-and-stop", |pid| {
            stopped(pid)?;
            let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).map_err(|_| Errno::ESRCH)?;
            let vdso =
                maps.lines().find(|line| line.ends_with("[vdso]")).and_then(|line| line.split('-').next());
            let start = vdso.and_then(|start| usize::from_str_radix(start, 16).ok()).ok_or(Errno::ESRCH)?;
            let address = start as ptrace::AddressType;
            ptrace::write(pid, address, ptrace::read(pid, address)?)?;
            detach(pid)
        }),
        "trace-set-registers" => other("be-traced-and-stop", |pid| {
            let registers = stopped(pid)?;
            ptrace::setregs(pid, registers)?;
            detach(pid)
        }),
        "trace-look" => other("be-traced-and-stop", |pid| {
            ptrace::read(pid, stopped(pid)?.rsp as ptrace::AddressType)?;
            detach(pid)
        }),
        "be-traced" => ptrace::traceme().map_err(io::Error::from),
        "be-traced-and-stop" => {
            ptrace::traceme().and_then(|()| raise(Signal::SIGSTOP)).map_err(io::Error::from)
        }
        _ => return None,
    })
}

/// Does something to another process, which does this until it may end.
fn other(act: &str, then: impl FnOnce(Pid) -> nix::Result<()>) -> io::Result<()> {
    let mut child: Child = Command::new("/proc/self/exe")
        .arg(super::FLAG)
        .arg(act)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    let pid = Pid::from_raw(child.id().try_into().map_err(io::Error::other)?);
    let done = then(pid);
    drop(child.stdin.take());
    if done.is_err() {
        child.kill()?;
    }
    child.wait()?;
    done.map_err(io::Error::from)
}

/// The registers of a process that stops itself.
fn stopped(pid: Pid) -> nix::Result<nix::libc::user_regs_struct> {
    match waitpid(pid, None)? {
        WaitStatus::Stopped(..) => ptrace::getregs(pid),
        _ => Err(Errno::ECHILD),
    }
}

fn detach(pid: Pid) -> nix::Result<()> {
    ptrace::detach(pid, None)
}
