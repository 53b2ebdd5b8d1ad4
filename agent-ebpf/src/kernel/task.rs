//! `task_struct` and what hangs directly off it.

use aya_ebpf::helpers::generated::bpf_get_current_task_btf;

use super::{
    cgroup::CssSet,
    cred::Cred,
    file::{File, FilesStruct},
    kfields, kstruct,
    mount::FsStruct,
    namespace::Nsproxy,
    pid::Pid,
    tty::Tty,
};

kstruct!(
    /// `task_struct`
    Task
);
kfields!(direct Task {
    pid: u32 = TASK_PID;
    tgid: u32 = TASK_TGID;
    task_flags: u32 = TASK_FLAGS;
    real_parent -> Task = TASK_REAL_PARENT;
    group_leader -> Task = TASK_GROUP_LEADER;
    start_boottime: u64 = TASK_START_BOOTTIME;
    cred -> Cred = TASK_CRED;
    fs -> FsStruct = TASK_FS;
    files -> FilesStruct = TASK_FILES;
    mm -> Mm = TASK_MM;
    nsproxy -> Nsproxy = TASK_NSPROXY;
    signal -> Signal = TASK_SIGNAL;
    thread_pid -> Pid = TASK_THREAD_PID;
    css_set -> CssSet = TASK_CGROUPS;
    exit_code: u32 = TASK_EXIT_CODE;
    ti_status: u32 = TASK_TI_STATUS;
    comm: [u64; 2] = TASK_COMM;
});

/// `PF_KTHREAD` of `include/linux/sched.h`.
const PF_KTHREAD: u32 = 0x0020_0000;
/// `TS_COMPAT` of `arch/x86/include/asm/thread_info.h`.
const TS_COMPAT: u32 = 0x0002;

impl Task {
    /// The running task.
    #[inline(always)]
    pub fn current() -> Self {
        Self(unsafe { bpf_get_current_task_btf() }.cast_const().cast())
    }

    /// As the helpers want it.
    #[inline(always)]
    pub fn as_btf(self) -> *mut aya_ebpf::bindings::task_struct {
        self.0.cast_mut().cast()
    }

    /// Whether it is a kernel thread.
    #[inline(always)]
    pub fn is_kthread(self) -> bool {
        self.task_flags() & PF_KTHREAD != 0
    }

    /// Whether the system call it is in came by the 32-bit entry.
    #[inline(always)]
    pub fn in_compat_call(self) -> bool {
        self.ti_status() & TS_COMPAT != 0
    }

    /// Id of its control group in the hierarchy that the loader chose.
    #[inline(always)]
    pub fn cgroup_id(self) -> u64 {
        self.css_set().cgroup().id()
    }

    /// Login user id, `u32::MAX` where unset or unknown.
    #[inline(always)]
    pub fn loginuid(self) -> u32 {
        self.or_unset(&super::TASK_LOGINUID)
    }

    /// Audit session, `u32::MAX` where unset or unknown.
    #[inline(always)]
    pub fn audit_session(self) -> u32 {
        self.or_unset(&super::TASK_SESSIONID)
    }

    #[inline(always)]
    fn or_unset(self, offset: &aya_ebpf::Global<u32>) -> u32 {
        if offset.load() == vedette_abi::ABSENT { u32::MAX } else { super::direct(self.0, offset) }
    }
}

kstruct!(
    /// `signal_struct`
    Signal
);
kfields!(direct Signal {
    live: u32 = SIGNAL_LIVE;
    nr_threads: u32 = SIGNAL_NR_THREADS;
    group_exit_code: u32 = SIGNAL_GROUP_EXIT_CODE;
    tty -> Tty = SIGNAL_TTY;
});

/// Rows of `signal_struct.pids` (`enum pid_type` of `include/linux/pid_types.h`).
#[derive(Clone, Copy)]
pub enum PidType {
    /// Process group.
    Pgid = 2,
    /// Session.
    Sid = 3,
}

impl Signal {
    /// The process group's or session's pid structure.
    #[inline(always)]
    pub fn pid(self, which: PidType) -> Pid {
        let row = super::SIGNAL_PIDS.load() as usize + which as usize * 8;
        Pid(unsafe { core::ptr::read_volatile(self.0.byte_add(row).cast::<*const u8>()) })
    }
}

kstruct!(
    /// `mm_struct`
    Mm
);
kfields!(direct Mm {
    arg_start: u64 = MM_ARG_START;
    arg_end: u64 = MM_ARG_END;
    env_start: u64 = MM_ENV_START;
    env_end: u64 = MM_ENV_END;
    exe_file -> File = MM_EXE_FILE;
});
