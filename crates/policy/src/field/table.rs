//! The table of fields. Add a row here and the field can be checked, documented and planned for; filling it is the
//! business of the [`Facts`](crate::facts::Facts) that describe an event.

use super::ArgKind as A;
use super::Dimension as D;
use super::Exists as E;
use super::FieldInfo;
use super::FieldType as T;
use super::Multiplicity as M;

macro_rules! fields {
    ($($variant:ident $name:literal $type:ident $arg:ident $many:ident $exists:ident $dimension:ident $cost:literal
       $filled:literal $doc:literal;)*) => {
        /// A field, by its number in [`FIELDS`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum FieldId {
            $(#[doc = concat!("`", $name, "`: ", $doc)] $variant,)*
        }

        /// The table: one row for each field.
        pub static FIELDS: &[FieldInfo] = &[$(FieldInfo {
            id: FieldId::$variant,
            name: $name,
            r#type: T::$type,
            arg: A::$arg,
            multiplicity: M::$many,
            exists: E::$exists,
            dimension: D::$dimension,
            cost: $cost,
            filled: $filled,
            doc: $doc,
        },)*];
    };
}

// variant, name, type, argument, multiplicity, exists for, dimension, cost, filled, doc
#[rustfmt::skip]
fields! {
    EvtNum "evt.num" Uint None One Always UserSpace 0 true "Number of the event, counted from 1.";
    EvtTime "evt.time" String None One Always UserSpace 3 true "Time of day of the event with nanoseconds, UTC.";
    EvtTimeS "evt.time.s" String None One Always UserSpace 3 true "Time of day of the event in whole seconds, UTC.";
    EvtTimeIso8601 "evt.time.iso8601" String None One Always UserSpace 3 true "Time of the event in ISO 8601, UTC, with nanoseconds.";
    EvtDatetime "evt.datetime" String None One Always UserSpace 3 true "Date and time of the event with nanoseconds, UTC.";
    EvtDatetimeS "evt.datetime.s" String None One Always UserSpace 3 true "Date and time of the event in whole seconds, UTC.";
    EvtRawtime "evt.rawtime" Time None One Always UserSpace 0 true "Time of the event, nanoseconds since 1970.";
    EvtRawtimeS "evt.rawtime.s" Time None One Always UserSpace 0 true "Time of the event, whole seconds since 1970.";
    EvtRawtimeNs "evt.rawtime.ns" Time None One Always UserSpace 0 true "The nanoseconds within the second of the event.";
    EvtReltime "evt.reltime" Duration None One Always UserSpace 0 true "Time since the first event that the agent saw.";
    EvtReltimeS "evt.reltime.s" Duration None One Always UserSpace 0 true "Whole seconds since the first event.";
    EvtReltimeNs "evt.reltime.ns" Duration None One Always UserSpace 0 true "The nanoseconds within the second since the first event.";
    EvtLatency "evt.latency" Duration None One Always UserSpace 0 false "Time the system call took. Not filled: would cost every system call a second hook, at its start.";
    EvtLatencyS "evt.latency.s" Duration None One Always UserSpace 0 false "Time the system call took, whole seconds. Not filled: would cost every system call a second hook, at its start.";
    EvtLatencyNs "evt.latency.ns" Duration None One Always UserSpace 0 false "Time the system call took, the nanoseconds within the second. Not filled: would cost every system call a second hook, at its start.";
    EvtLatencyHuman "evt.latency.human" String None One Always UserSpace 3 false "Time the system call took, for people. Not filled: would cost every system call a second hook, at its start.";
    EvtDeltatime "evt.deltatime" Duration None One Always UserSpace 0 true "Time since the event before; 0 where CPUs handed events over out of order.";
    EvtDir "evt.dir" String None One Always UserSpace 0 true "Direction: always `<`, for an event is seen when its call returns.";
    EvtType "evt.type" String None One Always Event 0 true "Name of the event type, such as `openat`.";
    EvtTypeIs "evt.type.is" Uint Key One Always Event 0 true "1 if the event is of the type given, as in `evt.type.is.open`, else 0.";
    SyscallType "syscall.type" String None One Always Event 0 true "Name of the system call; absent for events that are none.";
    EvtCategory "evt.category" String None One Always Event 0 true "What the event is about: file, net, process, io, system, sensor.";
    EvtSource "evt.source" String None One Always Event 0 true "Source of the event: `syscall`.";
    EvtIsAsync "evt.is_async" Bool None One Always Event 0 true "Whether the event did not happen in the context of a thread.";
    EvtAsynctype "evt.asynctype" String None One Always Event 0 false "Type of an asynchronous event. Always absent: every event is told by the thread that it happened to.";
    EvtHostname "evt.hostname" String None One Always UserSpace 0 true "Name of the host, or of the node.";
    EvtPluginname "evt.pluginname" String None One Always UserSpace 0 false "Name of the plugin that made the event. Always absent: there are no plugins.";
    EvtPlugininfo "evt.plugininfo" String None One Always UserSpace 0 false "What the plugin says of the event. Always absent: there are no plugins.";
    EvtCpu "evt.cpu" Uint None One Always UserSpace 0 true "Number of the CPU on which it happened.";
    EvtArgs "evt.args" String None One Always UserSpace 6 true "All arguments as one text.";
    EvtArg "evt.arg" String Key One Depends Argument 3 true "One argument as text, by name (`evt.arg.flags`) or position (`evt.arg[0]`).";
    EvtRawarg "evt.rawarg" Int Key One Depends Argument 1 true "One argument as a number, as in `evt.rawarg.flags`.";
    EvtInfo "evt.info" String None One Always UserSpace 6 true "All arguments as one text, or what the event says of itself.";
    EvtBuffer "evt.buffer" Bytes None One Buffers UserSpace 2 true "The data read or written, at most its first 256 bytes.";
    EvtBuflen "evt.buflen" Uint None One Buffers Argument 0 true "Length of the data read or written.";
    EvtRes "evt.res" String None One Always Argument 1 true "Result: `SUCCESS`, or the name of the error such as `ENOENT`.";
    EvtRawres "evt.rawres" Int None One Always Argument 0 true "Result as a number; errors are negative.";
    EvtFailed "evt.failed" Bool None One Always Argument 0 true "Whether the call returned an error.";
    EvtIsIo "evt.is_io" Bool None One Always Event 0 true "Whether the event reads or writes data.";
    EvtIsIoRead "evt.is_io_read" Bool None One Always Event 0 true "Whether the event reads data.";
    EvtIsIoWrite "evt.is_io_write" Bool None One Always Event 0 true "Whether the event writes data.";
    EvtIoDir "evt.io_dir" String None One Buffers Event 0 true "`r` if the event reads data, `w` if it writes.";
    EvtIsWait "evt.is_wait" Bool None One Always Event 0 true "Whether the event makes the thread wait.";
    EvtWaitLatency "evt.wait_latency" Duration None One Always UserSpace 0 false "Time spent waiting. Not filled: would cost every system call a second hook, at its start.";
    EvtIsSyslog "evt.is_syslog" Bool None One Always UserSpace 1 true "Whether the event writes to /dev/log.";
    EvtCount "evt.count" Uint None One Always UserSpace 0 true "Always 1.";
    EvtCountError "evt.count.error" Uint None One Always Argument 0 true "1 if the call returned an error, else 0.";
    EvtCountExit "evt.count.exit" Uint None One Always UserSpace 0 true "1 for the return of a call.";
    EvtAbspath "evt.abspath" String OptionalKey One Paths Path 3 true "Absolute path made of the directory and name arguments; `src` and `dst` where there are two.";
    EvtIsOpenRead "evt.is_open_read" Bool None One Always Flags 0 true "Whether a file was opened for reading.";
    EvtIsOpenWrite "evt.is_open_write" Bool None One Always Flags 0 true "Whether a file was opened for writing.";
    EvtIsOpenExec "evt.is_open_exec" Bool None One Always Flags 0 true "Whether a file was created with execute permission.";
    EvtIsOpenCreate "evt.is_open_create" Bool None One Always Flags 0 true "Whether a file was created.";
    ProcExe "proc.exe" String None One Always Subject 1 true "First argument of the command line, argv[0].";
    ProcPexe "proc.pexe" String None One Always Subject 2 true "argv[0] of the parent.";
    ProcAexe "proc.aexe" String Level Ancestors Always Subject 5 true "argv[0] of an ancestor, or of any.";
    ProcExepath "proc.exepath" String None One Always Identity 1 true "Path of the executable, resolved.";
    ProcPexepath "proc.pexepath" String None One Always Subject 2 true "Path of the parent's executable, resolved.";
    ProcAexepath "proc.aexepath" String Level Ancestors Always Subject 5 true "Path of an ancestor's executable, or of any.";
    ProcName "proc.name" String None One Always Subject 0 true "Name of the process (comm, 15 bytes).";
    ProcPname "proc.pname" String None One Always Subject 2 true "Name of the parent.";
    ProcAname "proc.aname" String Level Ancestors Always Subject 5 true "Name of an ancestor ([0] is the process itself, [1] its parent), or of any.";
    ProcArgs "proc.args" String None One Always Subject 2 true "Arguments of the command line without argv[0], joined by blanks.";
    ProcCmdline "proc.cmdline" String None One Always Subject 2 true "`proc.name` and the arguments, joined by blanks.";
    ProcPcmdline "proc.pcmdline" String None One Always Subject 3 true "Command line of the parent.";
    ProcAcmdline "proc.acmdline" String Level Ancestors Always Subject 6 true "Command line of an ancestor, or of any.";
    ProcCmdnargs "proc.cmdnargs" Uint None One Always Subject 1 true "Number of arguments.";
    ProcCmdlenargs "proc.cmdlenargs" Uint None One Always Subject 1 true "Length of all arguments together.";
    ProcExeline "proc.exeline" String None One Always Subject 2 true "`proc.exe` and the arguments, joined by blanks.";
    ProcEnv "proc.env" String OptionalKey One Always Subject 4 true "Environment at the exec as `NAME=value …`, or the value of one variable.";
    ProcAenv "proc.aenv" String OptionalKey Ancestors Always Subject 7 true "Environment of an ancestor, or the value of one variable there.";
    ProcCwd "proc.cwd" String None One Always Subject 1 true "Working directory.";
    ProcPcwd "proc.pcwd" String None One Always Subject 2 true "Working directory of the parent.";
    ProcLoginshellid "proc.loginshellid" Int None One Always Subject 5 true "Pid of the oldest shell among the ancestors.";
    ProcTty "proc.tty" Uint None One Always Subject 0 true "Controlling terminal; 0 if there is none.";
    ProcPtty "proc.ptty" Uint None One Always Subject 1 true "Controlling terminal of the parent; 0 if there is none.";
    ProcPid "proc.pid" Int None One Always Subject 0 true "Pid of the process.";
    ProcPpid "proc.ppid" Int None One Always Subject 1 true "Pid of the parent.";
    ProcApid "proc.apid" Int Level Ancestors Always Subject 5 true "Pid of an ancestor, or of any.";
    ProcVpid "proc.vpid" Int None One Always Subject 0 true "Pid as seen in the process's own namespace.";
    ProcPvpid "proc.pvpid" Int None One Always Subject 1 true "Pid of the parent as seen in its own namespace.";
    ProcSid "proc.sid" Int None One Always Subject 0 true "Session id.";
    ProcSname "proc.sname" String None One Always Subject 3 true "Name of the session's leader.";
    ProcSidExe "proc.sid.exe" String None One Always Subject 3 true "argv[0] of the session's leader.";
    ProcSidExepath "proc.sid.exepath" String None One Always Subject 3 true "Path of the executable of the session's leader.";
    ProcVpgid "proc.vpgid" Int None One Always Subject 0 true "Process group as seen in the process's own namespace.";
    ProcVpgidName "proc.vpgid.name" String None One Always Subject 3 true "Name of the process group's leader.";
    ProcVpgidExe "proc.vpgid.exe" String None One Always Subject 3 true "argv[0] of the process group's leader.";
    ProcVpgidExepath "proc.vpgid.exepath" String None One Always Subject 3 true "Path of the executable of the process group's leader.";
    ProcPgid "proc.pgid" Int None One Always Subject 0 true "Process group.";
    ProcPgidName "proc.pgid.name" String None One Always Subject 3 true "Name of the process group's leader on the host.";
    ProcDuration "proc.duration" Duration None One Always UserSpace 1 true "Time since the process started.";
    ProcPpidDuration "proc.ppid.duration" Duration None One Always UserSpace 2 true "Time since the parent started.";
    ProcPidTs "proc.pid.ts" Time None One Always Subject 1 true "When the process started.";
    ProcPpidTs "proc.ppid.ts" Time None One Always Subject 2 true "When the parent started.";
    ProcIsExeWritable "proc.is_exe_writable" Bool None One Always Subject 1 true "Whether the executable is writable by the user of the process.";
    ProcIsExeUpperLayer "proc.is_exe_upper_layer" Bool None One Always Subject 1 true "Whether the executable lies in the upper layer of an overlay.";
    ProcIsExeLowerLayer "proc.is_exe_lower_layer" Bool None One Always Subject 1 true "Whether the executable lies in the lower layer of an overlay.";
    ProcIsExeFromMemfd "proc.is_exe_from_memfd" Bool None One Always Subject 1 true "Whether the executable is a memfd, a file that exists in memory only.";
    ProcIsSidLeader "proc.is_sid_leader" Bool None One Always Subject 0 true "Whether the process leads its session.";
    ProcIsVpgidLeader "proc.is_vpgid_leader" Bool None One Always Subject 0 true "Whether the process leads its process group.";
    ProcExeDev "proc.exe_dev" Uint None One Always Subject 1 true "Device that holds the executable.";
    ProcExeIno "proc.exe_ino" Int None One Always Subject 1 true "Inode of the executable.";
    ProcExeInoCtime "proc.exe_ino.ctime" Time None One Always Subject 1 true "When the executable's inode last changed.";
    ProcExeInoMtime "proc.exe_ino.mtime" Time None One Always Subject 1 true "When the executable was last written.";
    ProcExeInoCtimeDurationProcStart "proc.exe_ino.ctime_duration_proc_start" Duration None One Always Subject 1 true "Time from the change of the executable's inode to the start of the process.";
    ProcExeInoCtimeDurationPidnsStart "proc.exe_ino.ctime_duration_pidns_start" Duration None One Always Subject 1 true "Time from the start of the pid namespace to the change of the executable's inode.";
    ProcPidnsInitStartTs "proc.pidns_init_start_ts" Time None One Always Subject 2 true "When the pid namespace started.";
    ProcIsContainerHealthcheck "proc.is_container_healthcheck" Bool None One Always Subject 2 false "Whether the process belongs to the container's health check. Not filled: processes that a probe starts are not told from others in the container.";
    ProcIsContainerLivenessProbe "proc.is_container_liveness_probe" Bool None One Always Subject 2 false "Whether the process belongs to the container's liveness probe. Not filled: processes that a probe starts are not told from others in the container.";
    ProcIsContainerReadinessProbe "proc.is_container_readiness_probe" Bool None One Always Subject 2 false "Whether the process belongs to the container's readiness probe. Not filled: processes that a probe starts are not told from others in the container.";
    ProcFdopencount "proc.fdopencount" Uint None One Always UserSpace 8 true "Number of open descriptors. Read when it is asked for.";
    ProcFdlimit "proc.fdlimit" Int None One Always UserSpace 8 true "How many descriptors the process may open; -1 without a limit. Read when it is asked for.";
    ProcFdusage "proc.fdusage" Float None One Always UserSpace 8 true "Open descriptors in percent of those allowed. Read when it is asked for.";
    ProcVmsize "proc.vmsize" Uint None One Always UserSpace 8 true "Virtual memory in KiB. Read when it is asked for.";
    ProcVmrss "proc.vmrss" Uint None One Always UserSpace 8 true "Resident memory in KiB. Read when it is asked for.";
    ProcVmswap "proc.vmswap" Uint None One Always UserSpace 8 true "Swapped memory in KiB. Read when it is asked for.";
    ProcNthreads "proc.nthreads" Uint None One Always UserSpace 8 true "Number of threads. Read when it is asked for.";
    ProcNchilds "proc.nchilds" Uint None One Always UserSpace 8 true "Number of threads besides the first. Read when it is asked for.";
    ProcStdinType "proc.stdin.type" String None One Always UserSpace 3 true "Type of the descriptor 0.";
    ProcStdoutType "proc.stdout.type" String None One Always UserSpace 3 true "Type of the descriptor 1.";
    ProcStderrType "proc.stderr.type" String None One Always UserSpace 3 true "Type of the descriptor 2.";
    ProcStdinName "proc.stdin.name" String None One Always UserSpace 3 true "Name of the descriptor 0.";
    ProcStdoutIno "proc.stdout.ino" Uint None One Always UserSpace 3 true "Inode of the file, pipe or socket behind the descriptor 1.";
    ProcStdoutName "proc.stdout.name" String None One Always UserSpace 3 true "Name of the descriptor 1.";
    ProcStderrName "proc.stderr.name" String None One Always UserSpace 3 true "Name of the descriptor 2.";
    ThreadCapPermitted "thread.cap_permitted" String None One Always Subject 2 true "Permitted capabilities, such as `CAP_SYS_ADMIN CAP_BPF`.";
    ThreadCapInheritable "thread.cap_inheritable" String None One Always Subject 2 true "Inheritable capabilities.";
    ThreadCapEffective "thread.cap_effective" String None One Always Subject 2 true "Effective capabilities.";
    ThreadPfmajor "thread.pfmajor" Uint None One Always UserSpace 8 true "Major page faults since the thread started. Read when it is asked for.";
    ThreadPfminor "thread.pfminor" Uint None One Always UserSpace 8 true "Minor page faults since the thread started. Read when it is asked for.";
    ThreadTid "thread.tid" Int None One Always UserSpace 0 true "Id of the thread.";
    ThreadIsmain "thread.ismain" Bool None One Always UserSpace 0 true "Whether the thread is the process's first.";
    ThreadVtid "thread.vtid" Int None One Always UserSpace 0 true "Id of the thread as seen in its own namespace.";
    ThreadNametid "thread.nametid" String None One Always UserSpace 2 true "Name of the process and id of the thread.";
    ThreadExectime "thread.exectime" Duration None One Always UserSpace 2 false "CPU time of the last slice. Not filled: switches between threads are not traced.";
    ThreadTotexectime "thread.totexectime" Duration None One Always UserSpace 8 true "CPU time of the thread since it started. Read when it is asked for.";
    ThreadCgroups "thread.cgroups" String None One Always Subject 2 true "Cgroups of the thread as `CONTROLLER=PATH CONTROLLER=PATH …`, in the hierarchy that tells containers.";
    ThreadCgroup "thread.cgroup" String Key One Always Subject 2 true "Cgroup of the thread for one controller of cgroup v2, as in `thread.cgroup.memory`.";
    ThreadCpu "thread.cpu" Float None One Always UserSpace 2 false "CPU used in the last second. Not filled: would need a sample of every thread each second.";
    ThreadCpuUser "thread.cpu.user" Float None One Always UserSpace 2 false "CPU used in user mode in the last second. Not filled: would need a sample of every thread each second.";
    ThreadCpuSystem "thread.cpu.system" Float None One Always UserSpace 2 false "CPU used in the kernel in the last second. Not filled: would need a sample of every thread each second.";
    ThreadVmsize "thread.vmsize" Uint None One Always UserSpace 8 true "Virtual memory in KiB, for the first thread; 0 for others. Read when it is asked for.";
    ThreadVmrss "thread.vmrss" Uint None One Always UserSpace 8 true "Resident memory in KiB, for the first thread; 0 for others. Read when it is asked for.";
    UserUid "user.uid" Uint None One Always Identity 0 true "Effective user id.";
    UserRuid "user.ruid" Uint None One Always UserSpace 0 true "Real user id, after the event where that changes it. A set-uid program keeps that of who started it.";
    UserRuidBefore "user.ruid_before" Uint None One Always UserSpace 0 true "Real user id that was known before a fork, an exec or a change of ids: of the process, for a new one of its parent. A fork or exec does not change it.";
    UserName "user.name" String None One Always Subject 1 true "Name of the user.";
    UserHomedir "user.homedir" String None One Always Subject 2 true "Home directory of the user.";
    UserShell "user.shell" String None One Always Subject 2 true "Shell of the user.";
    UserLoginuid "user.loginuid" Int None One Always Subject 0 true "Login user id (audit id); -1 if there is none.";
    UserLoginname "user.loginname" String None One Always Subject 1 true "Name of the login user.";
    GroupGid "group.gid" Uint None One Always Subject 0 true "Effective group id.";
    GroupName "group.name" String None One Always Subject 1 true "Name of the group.";
    ContainerId "container.id" String None One Always Identity 0 true "Id of the container (12 digits); `host` outside of containers.";
    ContainerFullId "container.full_id" String None One Always Subject 0 true "Id of the container in full.";
    ContainerName "container.name" String None One Always Subject 1 true "Name of the container; `host` outside of containers.";
    ContainerImage "container.image" String None One Always Subject 1 true "Image with its tag.";
    ContainerImageId "container.image.id" String None One Always Subject 1 true "Id of the image.";
    ContainerImageRepository "container.image.repository" String None One Always Subject 1 true "Repository of the image.";
    ContainerImageTag "container.image.tag" String None One Always Subject 1 true "Tag of the image.";
    ContainerImageDigest "container.image.digest" String None One Always Subject 1 true "Digest of the image.";
    ContainerType "container.type" String None One Always Subject 1 true "Runtime of the container.";
    ContainerPrivileged "container.privileged" Bool None One Always Subject 1 true "Whether the container is privileged.";
    ContainerMounts "container.mounts" String None One Always Subject 3 true "All mounts, as `source:dest:mode:rdwr:propagation,…`.";
    ContainerMount "container.mount" String Key One Always Subject 3 true "One mount as `source:dest:mode:rdwr:propagation`, by position or source (a glob).";
    ContainerMountSource "container.mount.source" String Key One Always Subject 3 true "Source of one mount, by position or destination (a glob).";
    ContainerMountDest "container.mount.dest" String Key One Always Subject 3 true "Destination of one mount, by position or source (a glob).";
    ContainerMountMode "container.mount.mode" String Key One Always Subject 3 true "Mode of one mount, by position or source (a glob).";
    ContainerMountRdwr "container.mount.rdwr" String Key One Always Subject 3 true "`true` or `false`: whether one mount is writable, by position or source (a glob).";
    ContainerMountPropagation "container.mount.propagation" String Key One Always Subject 3 true "Propagation of one mount, by position or source (a glob).";
    ContainerHealthcheck "container.healthcheck" String None One Always Subject 2 true "Command of the container's health check; `NONE` if it has none. Known to Docker only.";
    ContainerLivenessProbe "container.liveness_probe" String None One Always Subject 2 true "Command of the container's liveness probe; `NONE` if it has none.";
    ContainerReadinessProbe "container.readiness_probe" String None One Always Subject 2 true "Command of the container's readiness probe; `NONE` if it has none.";
    ContainerStartTs "container.start_ts" Time None One Always Subject 1 true "When the container started: when its control group was made, or else as its runtime says.";
    ContainerDuration "container.duration" Duration None One Always UserSpace 1 true "Time since the container started.";
    ContainerIp "container.ip" String None One Always Subject 2 true "First address of the container.";
    ContainerCniJson "container.cni.json" String None One Always Subject 3 true "Result of the network plugin for the container, as JSON, as far as the CRI tells it.";
    ContainerHostPid "container.host_pid" Bool None One Always Subject 2 true "Whether the container shares the host's pid namespace.";
    ContainerHostNetwork "container.host_network" Bool None One Always Subject 2 true "Whether the container shares the host's network.";
    ContainerHostIpc "container.host_ipc" Bool None One Always Subject 2 true "Whether the container shares the host's IPC namespace.";
    ContainerLabel "container.label" String Key One Always Subject 2 true "One label of the container.";
    ContainerLabels "container.labels" String None One Always Subject 3 true "All labels of the container, as `key:value, key:value`, without those of Kubernetes itself.";
    FdNum "fd.num" Int None One Descriptors Argument 0 true "Number of the descriptor; negative if the call failed.";
    FdType "fd.type" String None One Descriptors Argument 0 true "Type: file, directory, ipv4, ipv6, unix, netlink, pipe, event, signalfd, eventpoll, inotify, timerfd, memfd, bpf, userfaultfd, io_uring, pidfd.";
    FdTypechar "fd.typechar" String None One Descriptors Argument 0 true "Type in one letter: f file, d directory, 4 IPv4, 6 IPv6, u unix or userfaultfd, n netlink, p pipe, e event, s signalfd, l eventpoll, i inotify, t timerfd, m memfd, b bpf, r io_uring, P pidfd.";
    FdName "fd.name" String None One Descriptors Path 2 true "Path as the kernel resolved it, or the two ends of a connection.";
    FdNameraw "fd.nameraw" String None One Paths Argument 2 true "Path as the program passed it.";
    FdRealpath "fd.realpath" String None One Paths Path 2 true "Path as the kernel resolved it; `fd.name` under an unmistakable name.";
    FdDirectory "fd.directory" String None One Paths Path 2 true "Directory that holds the file.";
    FdFilename "fd.filename" String None One Paths Path 2 true "Name of the file without its directory.";
    FdIp "fd.ip" Ip None BothEnds Sockets Address 1 true "Address of either end.";
    FdCip "fd.cip" Ip None One Sockets Address 1 true "Address of the client.";
    FdSip "fd.sip" Ip None One Sockets Address 1 true "Address of the server.";
    FdLip "fd.lip" Ip None One Sockets Address 1 true "Local address.";
    FdRip "fd.rip" Ip None One Sockets Address 1 true "Remote address.";
    FdNet "fd.net" Net None BothEnds Sockets Address 1 true "Address of either end, compared with networks.";
    FdCnet "fd.cnet" Net None One Sockets Address 1 true "Address of the client, compared with networks.";
    FdSnet "fd.snet" Net None One Sockets Address 1 true "Address of the server, compared with networks.";
    FdLnet "fd.lnet" Net None One Sockets Address 1 true "Local address, compared with networks.";
    FdRnet "fd.rnet" Net None One Sockets Address 1 true "Remote address, compared with networks.";
    FdPort "fd.port" Port None BothEnds Sockets Port 1 true "Port of either end.";
    FdCport "fd.cport" Port None One Sockets Port 1 true "Port of the client.";
    FdSport "fd.sport" Port None One Sockets Port 1 true "Port of the server.";
    FdLport "fd.lport" Port None One Sockets Port 1 true "Local port.";
    FdRport "fd.rport" Port None One Sockets Port 1 true "Remote port.";
    FdL4proto "fd.l4proto" String None One Sockets Argument 0 true "Protocol: tcp, udp, icmp, raw.";
    FdSockfamily "fd.sockfamily" String None One Sockets Argument 0 true "Family: ip or unix.";
    FdIsServer "fd.is_server" Bool None One Sockets Argument 1 true "Whether the process is the server of the connection.";
    FdConnected "fd.connected" Bool None One Sockets Argument 1 true "Whether the socket is connected.";
    FdNameChanged "fd.name_changed" Bool None One Sockets Argument 1 true "Whether the event changed the ends of the socket.";
    FdCipName "fd.cip.name" String None One Sockets Address 4 true "Name of the client's address; a literal is resolved when the rule loads, not per event.";
    FdSipName "fd.sip.name" String None One Sockets Address 4 true "Name of the server's address; a literal is resolved when the rule loads, not per event.";
    FdLipName "fd.lip.name" String None One Sockets Address 4 true "Name of the local address; a literal is resolved when the rule loads, not per event.";
    FdRipName "fd.rip.name" String None One Sockets Address 4 true "Name of the remote address; a literal is resolved when the rule loads, not per event.";
    FdUid "fd.uid" String None One Descriptors UserSpace 3 true "Id of the thread and number of the descriptor, as one text.";
    FdContainername "fd.containername" String None One Descriptors UserSpace 4 true "Container id and name of the descriptor, as `id:name`.";
    FdContainerdirectory "fd.containerdirectory" String None One Paths UserSpace 4 true "Container id and directory of the file, as `id:directory`.";
    FdProto "fd.proto" String None BothEnds Sockets UserSpace 2 true "Service name of either port, or its number.";
    FdCproto "fd.cproto" String None One Sockets UserSpace 2 true "Service name of the client's port, or its number.";
    FdSproto "fd.sproto" String None One Sockets UserSpace 2 true "Service name of the server's port, or its number.";
    FdLproto "fd.lproto" String None One Sockets UserSpace 2 true "Service name of the local port, or its number.";
    FdRproto "fd.rproto" String None One Sockets UserSpace 2 true "Service name of the remote port, or its number.";
    FdDev "fd.dev" Uint None One Paths UserSpace 1 true "Device that holds the file.";
    FdDevMajor "fd.dev.major" Uint None One Paths UserSpace 1 true "Major number of the device.";
    FdDevMinor "fd.dev.minor" Uint None One Paths UserSpace 1 true "Minor number of the device.";
    FdIno "fd.ino" Int None One Paths UserSpace 1 true "Inode of the file.";
    FdTypes "fd.types" String OptionalKey List Descriptors UserSpace 4 false "Types of the process's descriptors, or of one. Not filled: no table of the descriptors of each process is kept.";
    FdIsUpperLayer "fd.is_upper_layer" Bool None One Paths UserSpace 1 true "Whether the file lies in the upper layer of an overlay.";
    FdIsLowerLayer "fd.is_lower_layer" Bool None One Paths UserSpace 1 true "Whether the file lies in the lower layer of an overlay.";
    FdIsBlockDevice "fd.is_block_device" Bool None One Paths UserSpace 1 true "Whether the file is a block device, such as a disk, whatever its name.";
    FsPathName "fs.path.name" String None One Paths Path 2 true "Path the call acts on, resolved.";
    FsPathNameraw "fs.path.nameraw" String None One Paths Argument 2 true "Path the call acts on, as passed.";
    FsPathPlace "fs.path.place" String None One Paths Path 2 true "Path at which something is after the call: of what was opened, the new name of what was renamed, the link that was made, the place that was mounted on, else the path the call acts on.";
    FsPathSource "fs.path.source" String None One Paths Path 2 true "Path the call acts on first, where there are two, resolved.";
    FsPathSourceraw "fs.path.sourceraw" String None One Paths Argument 2 true "Path the call acts on first, where there are two, as passed.";
    FsPathTarget "fs.path.target" String None One Paths Path 2 true "Path the call acts on second, where there are two, resolved.";
    FsPathTargetraw "fs.path.targetraw" String None One Paths Argument 2 true "Path the call acts on second, where there are two, as passed.";
    K8sNsName "k8s.ns.name" String None One Always Subject 1 true "Namespace of the pod.";
    K8sNsLabel "k8s.ns.label" String Key One Always Subject 2 true "One label of the namespace, as the API server tells it.";
    K8sPodName "k8s.pod.name" String None One Always Subject 1 true "Name of the pod.";
    K8sPodId "k8s.pod.id" String None One Always Subject 1 true "Uid of the pod; `k8s.pod.uid` under its old name.";
    K8sPodUid "k8s.pod.uid" String None One Always Subject 1 true "Uid of the pod.";
    K8sPodSandboxId "k8s.pod.sandbox_id" String None One Always Subject 1 true "Id of the pod's sandbox (12 digits).";
    K8sPodFullSandboxId "k8s.pod.full_sandbox_id" String None One Always Subject 1 true "Id of the pod's sandbox in full.";
    K8sPodLabel "k8s.pod.label" String Key One Always Subject 2 true "One label of the pod.";
    K8sPodLabels "k8s.pod.labels" String None One Always Subject 3 true "All labels of the pod, as `key:value, key:value`, without those of Kubernetes itself.";
    K8sPodIp "k8s.pod.ip" String None One Always Subject 2 true "Address of the pod.";
    K8sPodCniJson "k8s.pod.cni.json" String None One Always Subject 3 true "Result of the network plugin for the pod, as JSON, as far as the CRI tells it.";
    K8sNodeName "k8s.node.name" String None One Always Subject 0 true "Name of the node.";
    K8sDeploymentName "k8s.deployment.name" String None One Always Subject 2 true "Name of the deployment that owns the pod, as the API server tells it.";
    K8sRsName "k8s.rs.name" String None One Always Subject 2 true "Name of the replica set that owns the pod, as the API server tells it.";
    K8sSaName "k8s.sa.name" String None One Always Subject 2 true "Service account of the pod, as the API server tells it.";
    DnsQname "dns.qname" String None One Dns Argument 1 false "Name that was asked for. Not filled: comes with the inspection of network traffic.";
    DnsQtype "dns.qtype" String None One Dns Argument 1 false "Type that was asked for, such as `AAAA`. Not filled: comes with the inspection of network traffic.";
    DnsRcode "dns.rcode" String None One Dns Argument 1 false "Result of the answer, such as `NXDOMAIN`. Not filled: comes with the inspection of network traffic.";
    DnsAnswers "dns.answers" String None List Dns UserSpace 3 false "Addresses and names of the answer. Not filled: comes with the inspection of network traffic.";
    DnsServer "dns.server" Ip None One Dns Address 1 false "Server that was asked. Not filled: comes with the inspection of network traffic.";
    TlsSni "tls.sni" String None One Tls Argument 1 false "Server name in the client's hello. Not filled: comes with the inspection of network traffic.";
    TlsVersion "tls.version" String None One Tls Argument 1 false "Highest version that the client offers. Not filled: comes with the inspection of network traffic.";
    TlsJa4 "tls.ja4" String None One Tls UserSpace 3 false "JA4 fingerprint of the client's hello. Not filled: comes with the inspection of network traffic.";
    FlowBytesOut "flow.bytes_out" Uint None One Flow UserSpace 0 false "Bytes sent. Not filled: comes with the inspection of network traffic.";
    FlowBytesIn "flow.bytes_in" Uint None One Flow UserSpace 0 false "Bytes received. Not filled: comes with the inspection of network traffic.";
    FlowDuration "flow.duration" Duration None One Flow UserSpace 0 false "Time from the first to the last packet. Not filled: comes with the inspection of network traffic.";
    FlowDirection "flow.direction" String None One Flow Argument 0 false "Who began: `ingress` or `egress`. Not filled: comes with the inspection of network traffic.";
    IoUringOp "io_uring.op" String None One IoUring Argument 0 true "Operation, such as `IORING_OP_OPENAT`.";
    IoUringSqpoll "io_uring.sqpoll" Bool None One IoUring Argument 0 true "Whether a kernel thread took the operation from the queue.";
    IoUringDirect "io_uring.direct" Bool None One IoUring Argument 0 true "Whether the descriptor is a place in the ring's own table of files.";
    IoUringConfirmed "io_uring.confirmed" Bool None One IoUring Argument 0 true "Whether the result is known; an operation whose success is told to nobody is reported when it is submitted.";
}
