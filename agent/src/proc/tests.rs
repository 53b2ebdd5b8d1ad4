//! Reading of made-up `/proc` directories and of this machine's own.

use std::{
    collections::HashSet,
    os::unix::{
        fs::{MetadataExt, symlink},
        process::CommandExt,
    },
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use vedette_abi::{ARGV_CAP, path_flags, task_flags};
use vedette_event::{StateLimits, decode};

use super::*;
use crate::sensor::{Sensor, SensorOptions};

/// A `/proc` of files.
struct Fixture(tempfile::TempDir);

impl Fixture {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn proc(&self) -> Proc {
        Proc::new(self.0.path())
    }

    fn add(&self, pid: u32, ppid: u32, ticks: u64, comm: &str, flags: u32) -> PathBuf {
        let dir = self.0.path().join(pid.to_string());
        std::fs::create_dir_all(dir.join("ns")).unwrap();
        let zeros = vec!["0"; 25].join(" ");
        let stat = format!(
            "{pid} ({comm}) S {ppid} {pid} {pid} 34817 -1 {flags} 0 0 0 0 0 0 0 0 20 0 1 0 {ticks} {zeros} 100 109 200 260 0\n"
        );
        std::fs::write(dir.join("stat"), stat).unwrap();
        let status =
            format!("Uid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nNSpid:\t{pid}\t7\nCapEff:\t00000000000000ff\n");
        std::fs::write(dir.join("status"), status).unwrap();
        std::fs::write(dir.join("cmdline"), "prog\0-x\0\0").unwrap();
        std::fs::write(dir.join("environ"), "A=1\0B=2\0").unwrap();
        std::fs::write(dir.join("loginuid"), "1000").unwrap();
        std::fs::write(dir.join("sessionid"), "4294967295").unwrap();
        symlink("mnt:[4026531841]", dir.join("ns/mnt")).unwrap();
        dir
    }
}

fn key(tgid: u32, ticks: u64) -> ProcessKey {
    ProcessKey { tgid, start: ticks * TICK + 1234 }
}

#[test]
fn a_process_with_its_parent() {
    let fixture = Fixture::new();
    fixture.add(10, 0, 500, "parent", 0);
    let dir = fixture.add(20, 10, 900, "a) b (c", 0);
    symlink("/bin/sh", dir.join("exe")).unwrap();
    symlink("/home/x", dir.join("cwd")).unwrap();

    let process = fixture.proc().complete(key(20, 900)).unwrap();
    assert_eq!((process.key, process.approximate_start), (key(20, 900), false));
    assert_eq!(process.comm(), b"a) b (c");
    let task = process.task;
    assert_eq!(
        (task.parent_tgid, task.parent_start, &task.parent_comm[..7]),
        (10, 500 * TICK, &b"parent\0"[..])
    );
    assert_eq!((task.uid, task.euid, task.suid, task.fsuid), (1, 2, 3, 4));
    assert_eq!((task.loginuid, task.audit_session, task.vpid, task.tty), (1000, u32::MAX, 7, 136 << 20 | 1));
    assert_eq!((task.ns_mnt, task.ns_net, task.cap_effective), (4_026_531_841, 0, 0xff));
    assert_eq!(&*process.exec.exe_path, b"/bin/sh");
    assert_eq!(process.exec.exe.0.ino, std::fs::metadata("/bin/sh").unwrap().ino());
    assert_eq!(process.exec.args().collect::<Vec<_>>(), [&b"prog"[..], b"-x", b""]);
    assert_eq!((process.exec.argv_total, process.exec.env_total), (9, 60));
    assert!(process.exec.env.is_empty(), "nobody asked for it");
    assert_eq!(&*process.cwd, b"/home/x");
    let with = fixture.proc().with_environment(true).complete(key(20, 900)).unwrap();
    assert_eq!(&*with.exec.env, b"A=1\0B=2\0");
}

#[test]
fn a_reused_number_is_another_process() {
    let fixture = Fixture::new();
    fixture.add(20, 0, 900, "new", 0);
    assert!(matches!(fixture.proc().complete(key(20, 899)), Err(ProcError::Reused(20))));
    assert!(matches!(fixture.proc().complete(key(21, 899)), Err(ProcError::Gone(21))));
    assert!(fixture.proc().is_running(key(20, 900)));
    assert!(!fixture.proc().is_running(key(20, 901)) && !fixture.proc().is_running(key(21, 900)));
}

#[test]
fn kernel_threads_have_no_program() {
    let fixture = Fixture::new();
    fixture.add(2, 0, 1, "kthreadd", 0x0020_8040);
    let process = fixture.proc().process(2).unwrap();
    assert!(process.is_kthread() && process.approximate_start);
    assert!(!process.exec.is_known() && process.cwd.is_empty());
}

#[test]
fn deleted_files_and_files_that_are_only_called_so() {
    let fixture = Fixture::new();
    let dir = fixture.add(20, 0, 900, "x", 0);
    symlink("/tmp/gone (deleted)", dir.join("exe")).unwrap();
    symlink("/tmp/cwd (deleted)", dir.join("cwd")).unwrap();
    // The link of a real deleted executable can still be opened; this one cannot.
    let process = fixture.proc().complete(key(20, 900)).unwrap();
    assert_eq!(&*process.cwd, b"/tmp/cwd");

    let named = fixture.0.path().join("tool (deleted)");
    std::fs::write(&named, "").unwrap();
    std::fs::remove_file(dir.join("exe")).unwrap();
    symlink(&named, dir.join("exe")).unwrap();
    symlink("/", dir.join("root")).unwrap();
    let process = fixture.proc().complete(key(20, 900)).unwrap();
    assert_eq!(&*process.exec.exe_path, named.as_os_str().as_encoded_bytes());
    assert_eq!(process.exec.exe.0.path_flags, 0);
}

#[test]
fn arguments_are_cut_and_marked() {
    let fixture = Fixture::new();
    let dir = fixture.add(20, 0, 900, "x", 0);
    std::fs::write(dir.join("cmdline"), vec![b'a'; 3 * ARGV_CAP]).unwrap();
    let process = fixture.proc().complete(key(20, 900)).unwrap();
    assert_eq!(process.exec.argv.len(), ARGV_CAP);
    assert!(process.exec.is_cut());
}

#[test]
fn malformed_and_missing_files_are_errors_not_panics() {
    let fixture = Fixture::new();
    let dir = fixture.add(20, 0, 900, "x", 0);
    for file in ["loginuid", "sessionid", "ns/mnt", "environ"] {
        std::fs::remove_file(dir.join(file)).unwrap();
    }
    let process = fixture.proc().complete(key(20, 900)).unwrap();
    assert_eq!((process.task.loginuid, process.task.ns_mnt), (u32::MAX, 0), "older kernels lack these");
    std::fs::write(dir.join("stat"), "20 (x").unwrap();
    assert!(matches!(fixture.proc().process(20), Err(ProcError::Malformed { tgid: 20, file: "stat" })));
    assert!(Proc::new("/nonexistent").snapshot().is_err());
}

/// Ends its process when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `sleep` and waits until it runs it.
fn sleeper(command: &mut Command) -> Running {
    let child = Running(command.stdin(Stdio::null()).spawn().unwrap());
    let cmdline = format!("/proc/{}/cmdline", child.0.id());
    let end = Instant::now() + Duration::from_secs(10);
    while !std::fs::read(&cmdline).is_ok_and(|c| c.ends_with(b"60\0")) {
        assert!(Instant::now() < end, "sleep does not start");
        std::thread::yield_now();
    }
    child
}

#[test]
fn a_child_of_this_test() {
    let child = sleeper(Command::new("/bin/sleep").arg0("my sleep").arg("60").current_dir("/tmp"));
    let proc = Proc::default().with_hierarchy(Hierarchy::of_host().unwrap());
    let process = proc.process(child.0.id()).unwrap();
    let own = proc.process(std::process::id()).unwrap();
    assert_eq!(process.task.parent_tgid, own.key.tgid);
    assert_eq!(process.task.parent_start, own.key.start);
    assert_eq!(process.task.cgroup, own.task.cgroup);
    assert_ne!(process.task.cgroup, 0);
    assert_eq!(process.exec.args().collect::<Vec<_>>(), [&b"my sleep"[..], b"60"]);
    assert_eq!(&*process.cwd, b"/tmp");
    let file = std::fs::canonicalize("/bin/sleep").unwrap();
    let meta = std::fs::metadata(&file).unwrap();
    assert_eq!(&*process.exec.exe_path, file.as_os_str().as_encoded_bytes());
    let exe = process.exec.exe.0;
    assert_eq!(
        (exe.ino, exe.mode, exe.uid, i64::from(exe.nlink)),
        (meta.ino(), meta.mode(), meta.uid(), meta.nlink() as i64)
    );
    assert_eq!((exe.mtime_sec, exe.path_flags), (meta.mtime(), 0));
    assert_ne!(exe.magic, 0);
    assert!(process.task.ns_mnt != 0 && process.task.ns_mnt == own.task.ns_mnt);
    assert!(process.exec.env_total > 0);

    assert!(proc.is_running(process.key));
    let completed = proc.complete(ProcessKey { start: process.key.start + 77, ..process.key }).unwrap();
    assert_eq!(completed.exec, process.exec);
    assert!(!completed.approximate_start);
    drop(child);
    assert!(!proc.is_running(process.key));
    assert!(matches!(proc.complete(process.key), Err(ProcError::Gone(_) | ProcError::Reused(_))));
}

#[test]
fn an_executable_that_was_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("doomed");
    std::fs::copy("/bin/sleep", &copy).unwrap();
    let child = sleeper(Command::new(&copy).arg("60"));
    std::fs::remove_file(&copy).unwrap();
    let process = Proc::default().process(child.0.id()).unwrap();
    assert_eq!(&*process.exec.exe_path, copy.as_os_str().as_encoded_bytes());
    assert_eq!((process.exec.exe.0.path_flags, process.exec.exe.0.nlink), (path_flags::DELETED, 0));
}

#[test]
fn a_zombie_has_ended() {
    let child = Running(Command::new("/bin/true").spawn().unwrap());
    let proc = Proc::default();
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let process = proc.process(child.0.id()).unwrap();
        if process.exited.is_some() {
            assert!(!proc.is_running(process.key));
            return;
        }
        assert!(Instant::now() < end, "true does not end");
        std::thread::yield_now();
    }
}

#[test]
fn a_snapshot_of_this_machine_links_everybody_to_a_root() {
    let started = Instant::now();
    let processes: Vec<Process> = Proc::default().snapshot().unwrap().filter_map(Result::ok).collect();
    eprintln!("{} processes in {:?}", processes.len(), started.elapsed());
    let mut state = State::new(StateLimits::default());
    let count = processes.len();
    for process in processes {
        state.complete(process);
    }
    state.link_parents();
    assert_eq!(state.processes.len(), count);
    let own = state.processes.latest(std::process::id()).unwrap();
    let top = state.processes.ancestors(own).last().unwrap().1.clone();
    assert_eq!(top.task.parent_tgid, 0, "the ancestry ends at {:?}", top.comm());
    let mut seen = HashSet::new();
    for (id, process) in state.processes.entries() {
        assert!(seen.insert(process.key));
        assert!(!process.is_incomplete());
        assert!(process.is_kthread() || process.exited.is_some() || process.exec.is_known(), "{process:?}");
        if process.task.parent_tgid != 0 {
            assert!(process.parent.is_some() || state.missing_parent(id).is_some());
        }
    }
    let init = state.processes.get(state.processes.latest(1).unwrap()).unwrap();
    assert_ne!(init.task.flags & task_flags::NS_INIT, 0);
}

#[test]
fn processes_that_come_and_go_do_no_harm() {
    let end = Instant::now() + Duration::from_millis(300);
    let proc = Proc::default();
    let mut read = 0;
    while Instant::now() < end {
        let child = Running(Command::new("/bin/true").stdin(Stdio::null()).spawn().unwrap());
        match proc.process(child.0.id()) {
            Ok(process) => {
                // Before its exec it runs this test, and a zombie runs nothing.
                let exec = &process.exec;
                assert!(process.exited.is_some() || exec.is_known(), "{process:?}");
                read += 1;
            }
            Err(ProcError::Gone(_) | ProcError::Busy(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert!(read > 0);
}

/// Compares a state with a proc file system, a few processes at a time.
fn sweep(state: &mut State, proc: &Proc, most: usize) -> Swept {
    let mut sweep = Sweep::new(state, proc);
    let mut steps = 0;
    while sweep.step(state, proc, 77, most, |_| ()) {
        steps += 1;
        assert!(steps < 1000, "it comes to an end");
    }
    sweep.found()
}

#[test]
fn a_sweep_ends_what_is_gone() {
    let fixture = Fixture::new();
    let mut state = State::new(StateLimits::default());
    for pid in 10..40 {
        fixture.add(pid, 0, u64::from(pid), "x", 0);
        state.complete(fixture.proc().process(pid).unwrap());
    }
    std::fs::remove_dir_all(fixture.0.path().join("12")).unwrap();
    std::fs::remove_dir_all(fixture.0.path().join("13")).unwrap();
    fixture.add(13, 0, 900, "another", 0);
    let found = sweep(&mut state, &fixture.proc(), 7);
    assert_eq!((found.ended, found.added, found.changed), (2, 1, 0), "13 is another process now");
    let ended: Vec<u32> =
        state.processes.iter().filter(|p| p.exited == Some(77)).map(|p| p.key.tgid).collect();
    assert_eq!(ended, [12, 13]);
}

#[test]
fn proc_and_the_kernel_say_the_same() {
    if !nix::unistd::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "needs root");
        eprintln!("skipped: needs root to load the task iterator");
        return;
    }
    let child = sleeper(Command::new("/bin/sleep").arg("60"));
    let hierarchy = Hierarchy::of_host().unwrap();
    let mut sensor = Sensor::load(&SensorOptions {
        cgroup_controller: hierarchy.controller.map(|c| c.enumerator),
        ..SensorOptions::default()
    })
    .unwrap();
    let bytes = sensor.snapshot().unwrap();
    let proc = Proc::default().with_hierarchy(hierarchy);
    let (mut compared, mut rest) = (0, bytes.as_slice());
    while let Some(len) = rest.first_chunk().map(|len| u32::from_le_bytes(*len) as usize) {
        let (record, tail) = rest.split_at(len);
        rest = tail;
        let vedette_event::Body::ProcessSnapshot(body) = decode(record).unwrap().body else { panic!() };
        let mut kernel = body.task;
        let key = ProcessKey { tgid: kernel.tgid, start: kernel.start };
        // Others may change between the two looks.
        if kernel.tgid != child.0.id() && kernel.tgid != 1 && kernel.tgid != 2 {
            continue;
        }
        let mut read = proc.complete(key).unwrap().task;
        assert_eq!(read.parent_start / TICK, kernel.parent_start / TICK);
        (read.parent_start, kernel.parent_start) = (0, 0);
        // The kernel names the thread that forked, or the idle task; /proc the parent's first thread, or nobody.
        (read.parent_comm, kernel.parent_comm) = ([0; 16], [0; 16]);
        // When a pid namespace began the kernel's records tell only.
        assert_eq!(std::mem::take(&mut read.ns_pid_start), 0);
        assert_ne!(std::mem::take(&mut kernel.ns_pid_start), 0);
        assert_eq!(read, kernel);
        compared += 1;
    }
    assert!(compared >= 2, "the child, kthreadd, and process 1 where the iterator gives it");
}

#[test]
fn what_the_iterator_left_out_is_filled_in() {
    let fixture = Fixture::new();
    let mut state = State::new(StateLimits::default());
    for pid in 10..13 {
        fixture.add(pid, pid - 1, u64::from(pid), "x", 0);
    }
    state.complete(fixture.proc().complete(key(12, 12)).unwrap());
    assert_eq!(fixture.proc().fill_in(&mut state).unwrap(), 2);
    assert_eq!(fixture.proc().fill_in(&mut state).unwrap(), 0);
    let last = state.processes.find(key(12, 12)).unwrap();
    assert_eq!(state.processes.ancestors(last).map(|(_, p)| p.key.tgid).collect::<Vec<_>>(), [11, 10]);
}
