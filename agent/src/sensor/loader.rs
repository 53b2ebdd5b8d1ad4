//! Loading the object: offsets first, then each program on its own, so that one refusal costs one capability.

use std::{borrow::Cow, io::Read, os::unix::fs::MetadataExt};

use aya::{
    Ebpf, EbpfError, EbpfLoader, VerifierLogLevel,
    maps::{Array, HashMap, MapData, MapError, PerCpuArray, ProgramArray, RingBuf},
    programs::{BtfTracePoint, Iter, ProgramError, ProgramFd, tp_btf::BtfTracePointLinkId},
};
use vedette_abi::{Call, CallSpec, CpuState, Gap, IO_URING_PENDING_SIZE, KERNEL_FIELDS, PATH_CAP};

use super::{
    Counters, FilterTables, Plan,
    programs::{Hook, PROGRAMS, Program, ProgramState, ProgramStatus},
};
use crate::btf::{Btf, BtfError, Offsets};

/// Why the sensor could not start at all. What costs only a capability is a [`ProgramStatus`] instead.
#[derive(Debug, thiserror::Error)]
pub enum SensorError {
    /// The kernel's types could not be used.
    #[error(transparent)]
    Btf(#[from] BtfError),
    /// The object could not be loaded.
    #[error("the BPF object could not be loaded: {}", chain(.0))]
    Load(#[from] EbpfError),
    /// A map was not as expected, or the kernel refused a write.
    #[error("a BPF map could not be used: {}", chain(.0))]
    Map(#[from] MapError),
    /// The offsets do not fit the running kernel: what the programs read of this process is wrong.
    #[error("the kernel's structures are not where its BTF says: {0}")]
    Offsets(String),
    /// No program that is needed could be loaded.
    #[error("no BPF program could be loaded; the first failure: {0}")]
    Nothing(String),
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !out.contains(&text) {
            out = format!("{out}: {text}");
        }
        source = cause.source();
    }
    out
}

/// How to load.
#[derive(Clone, Debug)]
pub struct SensorOptions {
    /// The object; the built-in one unless a development build is wanted.
    pub object: Cow<'static, [u8]>,
    /// Bytes of the state ring: a power of two of at least a page.
    pub state_ring: u32,
    /// Bytes of the event ring.
    pub events_ring: u32,
    /// Most control groups that the filter knows.
    pub cgroups: u32,
    /// Controller whose hierarchy names containers, by its enumerator in the kernel's `cgroup_subsys_id`; `None` for
    /// cgroup v2.
    pub cgroup_controller: Option<&'static str>,
    /// Process whose own events are left out.
    pub skip_tgid: u32,
    /// Offsets to use in place of the kernel's; for the test that proves stale ones are noticed.
    pub offsets: Option<Offsets>,
}

impl Default for SensorOptions {
    fn default() -> Self {
        Self {
            object: Cow::Borrowed(super::BPF_OBJECT),
            state_ring: 2 << 20,
            events_ring: 4 << 20,
            cgroups: 16_384,
            cgroup_controller: None,
            skip_tgid: 0,
            offsets: None,
        }
    }
}

/// The loaded object.
pub struct Sensor {
    ebpf: Ebpf,
    programs: Vec<ProgramStatus>,
    /// By place in `programs`: what keeps it running.
    links: Vec<(usize, BtfTracePointLinkId)>,
    filter: FilterTables,
    plan: Plan,
    cpu: PerCpuArray<MapData, CpuPod>,
    handlers: ProgramArray<MapData>,
    io_uring: HashMap<MapData, u64, [u8; IO_URING_PENDING_SIZE]>,
    io_uring_names: HashMap<MapData, u64, [u8; PATH_CAP]>,
    missing_fields: Vec<String>,
}

/// A `CpuState` as aya wants it.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct CpuPod(CpuState);

// SAFETY: `#[repr(C)]` of integers without padding, which `record_struct!` asserts by size.
#[allow(unsafe_code, reason = "aya asks for this promise about plain bytes")]
unsafe impl aya::Pod for CpuPod {}

/// A `CallSpec` as aya wants it.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct SpecPod(CallSpec);

// SAFETY: as above.
#[allow(unsafe_code, reason = "aya asks for this promise about plain bytes")]
unsafe impl aya::Pod for SpecPod {}

/// The mount namespace of the host's first process, by its inode number; 0 where it cannot be told.
fn host_mount_namespace() -> u32 {
    // Where the first process keeps its namespaces to itself, the agent's own is taken for the host's.
    ["/proc/1/ns/mnt", "/proc/self/ns/mnt"]
        .iter()
        .find_map(|path| std::fs::metadata(path).ok())
        .map_or(0, |meta| meta.ino() as u32)
}

impl Sensor {
    /// Loads the object and every program that the kernel takes. Nothing runs yet.
    ///
    /// # Errors
    /// The kernel has no usable BTF, refuses the maps, or refuses every program.
    pub fn load(options: &SensorOptions) -> Result<Self, SensorError> {
        let btf = Btf::of_kernel()?;
        let offsets = match &options.offsets {
            Some(offsets) => offsets.clone(),
            None => crate::btf::resolve_all(&btf)?,
        };
        let exit_args = btf.tracepoint_args("sched_process_exit");
        let upid_size = btf.struct_size("upid")?;
        let subsystem = options
            .cgroup_controller
            .and_then(|enumerator| btf.enumerator("cgroup_subsys_id", enumerator))
            .unwrap_or(vedette_abi::ABSENT);
        let targets: Vec<Result<&str, String>> = PROGRAMS.iter().map(|p| p.target(&btf)).collect();
        let skip_links = btf.enumerator("", "REQ_F_SKIP_LINK_CQES_BIT").filter(|bit| *bit < 32);
        let newest_first = u32::from(btf.field("mount", "mnt_next_for_sb")?.is_some());
        drop(btf);

        let group_dead = u32::from(exit_args.is_some_and(|n| n > 1));
        let values: Vec<(&str, u32)> = offsets
            .globals()
            .chain([
                ("EXIT_HAS_GROUP_DEAD", group_dead),
                ("UPID_SIZE", upid_size),
                ("CGROUP_SUBSYS", subsystem),
                ("SKIP_TGID", options.skip_tgid),
                ("IO_URING_SKIP_LINKS", skip_links.map_or(0, |bit| 1 << bit)),
                ("HOST_MNT_NS", host_mount_namespace()),
                ("MOUNTS_NEWEST_FIRST", newest_first),
            ])
            .collect();
        debug_assert!(values.len() >= KERNEL_FIELDS.len());
        let cpus = aya::util::nr_cpus().map_or(1, |n| n as u32);
        let aya_btf = aya::Btf::from_sys_fs().ok();
        let mut loader = EbpfLoader::new();
        loader
            .btf(aya_btf.as_ref())
            .verifier_log_level(VerifierLogLevel::STATS)
            .map_max_entries("RECORDS", cpus)
            .map_max_entries("PATHS", cpus)
            .map_max_entries("STATE", options.state_ring)
            .map_max_entries("EVENTS", options.events_ring)
            .map_max_entries("SCOPES", options.cgroups.saturating_mul(2));
        for (symbol, value) in &values {
            loader.override_global(symbol, value, true);
        }
        let mut ebpf = loader.load(&options.object)?;
        #[cfg(feature = "bpf-log")]
        super::bpf_log::start(&mut ebpf);
        let filter = FilterTables::take(&mut ebpf)?;
        let mut map = |name: &str| ebpf.take_map(name).ok_or(MapError::InvalidName { name: name.into() });
        let cpu = map("CPU")?.try_into()?;
        let handlers = map("HANDLERS")?.try_into()?;
        let io_uring = map("IO_URING_PENDING")?.try_into()?;
        let io_uring_names = map("IO_URING_NAMES")?.try_into()?;
        let mut specs: Array<MapData, SpecPod> = map("SPECS")?.try_into()?;
        for call in Call::ALL {
            specs.set(u32::from(*call as u8), SpecPod(call.spec()), 0)?;
        }

        let mut programs = Vec::new();
        for (program, target) in PROGRAMS.iter().zip(targets) {
            programs.push(load_program(&mut ebpf, program, target, aya_btf.as_ref()));
        }
        if let Some(failure) = programs.iter().find_map(ProgramStatus::degradation)
            && programs.iter().all(|p| matches!(p.state, ProgramState::Unavailable(_)))
        {
            return Err(SensorError::Nothing(failure));
        }
        let mut sensor = Self {
            ebpf,
            programs,
            links: Vec::new(),
            filter,
            plan: Plan::default(),
            cpu,
            handlers,
            io_uring,
            io_uring_names,
            missing_fields: offsets.missing().to_vec(),
        };
        sensor.connect_handlers()?;
        Ok(sensor)
    }

    /// Puts the handlers of system calls where `sys_exit` finds them.
    fn connect_handlers(&mut self) -> Result<(), SensorError> {
        for status in &mut self.programs {
            let Hook::SyscallExit(kind) = status.program.hook else { continue };
            if status.state != ProgramState::Loaded {
                continue;
            }
            let fd: Option<&ProgramFd> = self
                .ebpf
                .program(status.program.name)
                .and_then(|p| <&BtfTracePoint>::try_from(p).ok())
                .and_then(|p| p.fd().ok());
            match fd {
                Some(fd) => {
                    for call in Call::ALL.iter().filter(|call| call.kind() == kind) {
                        self.handlers.set(u32::from(*call as u8), fd, 0)?;
                    }
                }
                None => status.state = ProgramState::Unavailable("its descriptor is gone".into()),
            }
        }
        Ok(())
    }

    /// The state ring, then the event ring. Each can be taken once.
    ///
    /// # Errors
    /// They were taken already, or cannot be mapped.
    pub fn take_rings(&mut self) -> Result<(RingBuf<MapData>, RingBuf<MapData>), SensorError> {
        let mut ring = |name: &str| -> Result<RingBuf<MapData>, MapError> {
            self.ebpf.take_map(name).ok_or(MapError::InvalidName { name: name.into() })?.try_into()
        };
        Ok((ring("STATE")?, ring("EVENTS")?))
    }

    /// Installs `plan` and attaches or detaches programs accordingly.
    ///
    /// # Errors
    /// The kernel refused a write to a table. What can not be attached is in [`Self::programs`].
    pub fn apply(&mut self, plan: &Plan) -> Result<(), SensorError> {
        self.filter.install(plan)?;
        self.plan = plan.clone();
        for i in 0..self.programs.len() {
            let program = self.programs[i].program;
            let wanted = match program.hook {
                Hook::IoUring { .. } => plan.needs_io_uring() && self.has_io_uring(),
                _ => program.always || plan.needs_syscalls(),
            };
            match (program.hook, &self.programs[i].state) {
                (Hook::Tracepoint { .. } | Hook::IoUring { .. }, ProgramState::Loaded) if wanted => {
                    self.attach(i);
                }
                (Hook::Tracepoint { .. } | Hook::IoUring { .. }, ProgramState::Attached) if !wanted => {
                    self.detach(i);
                }
                (Hook::SyscallExit(kind), ProgramState::Loaded) if plan.wants(kind) => {
                    self.programs[i].state = ProgramState::Attached;
                }
                (Hook::SyscallExit(kind), ProgramState::Attached) if !plan.wants(kind) => {
                    self.programs[i].state = ProgramState::Loaded;
                }
                _ => {}
            }
        }
        if !plan.needs_io_uring() {
            self.forget_io_uring();
        }
        Ok(())
    }

    /// Forgets operations under way: nobody will tell of their end.
    fn forget_io_uring(&mut self) {
        let keys: Vec<u64> = self.io_uring.keys().filter_map(Result::ok).collect();
        for key in keys {
            // The second name's key is the request's plus one. Not there is as good as removed.
            let _ = self.io_uring.remove(&key);
            let _ = self.io_uring_names.remove(&key);
            let _ = self.io_uring_names.remove(&(key | 1));
        }
    }

    /// Whether both ends of an operation can be seen; one without the other would only keep what never ends.
    fn has_io_uring(&self) -> bool {
        self.programs
            .iter()
            .filter(|p| matches!(p.program.name, "io_uring_submit" | "io_uring_complete"))
            .all(|p| !matches!(p.state, ProgramState::Unavailable(_)))
    }

    /// Operations of io_uring that were submitted and whose end has not been seen.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn io_uring_pending(&self) -> Result<usize, SensorError> {
        let mut keys = self.io_uring.keys();
        Ok(keys.try_fold(0, |n, key| key.map(|_| n + 1))?)
    }

    fn tracepoint(&mut self, i: usize) -> Option<&mut BtfTracePoint> {
        self.ebpf.program_mut(self.programs[i].program.name)?.try_into().ok()
    }

    fn attach(&mut self, i: usize) {
        let result = match self.tracepoint(i) {
            Some(program) => program.attach().map_err(|e| chain(&e)),
            None => Err("not in the object".into()),
        };
        self.programs[i].state = match result {
            Ok(link) => {
                self.links.push((i, link));
                ProgramState::Attached
            }
            Err(why) => ProgramState::Unavailable(why),
        };
    }

    fn detach(&mut self, i: usize) {
        while let Some(at) = self.links.iter().position(|(program, _)| *program == i) {
            let (_, link) = self.links.swap_remove(at);
            if let Some(program) = self.tracepoint(i) {
                // A link that is not there any more is as good as detached.
                let _ = program.detach(link);
            }
        }
        self.programs[i].state = ProgramState::Loaded;
    }

    /// Stops everything that runs; what is in the rings stays there.
    pub fn detach_all(&mut self) {
        for i in 0..self.programs.len() {
            let hook = self.programs[i].program.hook;
            if matches!(hook, Hook::Tracepoint { .. } | Hook::IoUring { .. })
                && self.programs[i].state == ProgramState::Attached
            {
                self.detach(i);
            }
        }
    }

    /// Runs the task iterator: the bytes of one record for each process there is.
    ///
    /// # Errors
    /// The iterator is not available or failed; the sentence says why.
    pub fn snapshot(&mut self) -> Result<Vec<u8>, String> {
        let program: &mut Iter = self
            .ebpf
            .program_mut("process_snapshot")
            .ok_or("not in the object")?
            .try_into()
            .map_err(|e: ProgramError| chain(&e))?;
        let link = program.attach().map_err(|e| chain(&e))?;
        let link = program.take_link(link).map_err(|e| chain(&e))?;
        let mut file = link.into_file().map_err(|e| chain(&e))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|e| e.to_string())?;
        Ok(bytes)
    }

    /// What became of each program.
    pub fn programs(&self) -> &[ProgramStatus] {
        &self.programs
    }

    /// The plan that is live.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Optional kernel fields that this kernel lacks.
    pub fn missing_fields(&self) -> &[String] {
        &self.missing_fields
    }

    /// The filter tables, to tell them about control groups.
    pub fn filter(&mut self) -> &mut FilterTables {
        &mut self.filter
    }

    /// The kernel's books.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn counters(&self) -> Result<Counters, SensorError> {
        let cpus = self.cpu.get(&0, 0)?;
        let mut counters = Counters::sum(cpus.iter().map(|c| &c.0));
        counters.missed_runs = self.missed_runs();
        Ok(counters)
    }

    /// Losses that no gap record has reported yet, because nothing came after them.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn pending_gaps(&self) -> Result<Vec<Gap>, SensorError> {
        let cpus = self.cpu.get(&0, 0)?;
        Ok(cpus.iter().flat_map(|c| c.0.pending).filter(|gap| gap.total > 0).collect())
    }

    /// Runs that the kernel skipped, as `/proc/self/fdinfo` tells for each program.
    fn missed_runs(&self) -> u64 {
        use std::os::fd::{AsFd, AsRawFd};
        self.ebpf
            .programs()
            .filter_map(|(_, program)| program.fd().ok().map(|fd| fd.as_fd().as_raw_fd()))
            .filter_map(|fd| std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok())
            .filter_map(|text| {
                text.lines().find_map(|l| l.strip_prefix("recursion_misses:")?.trim().parse::<u64>().ok())
            })
            .sum()
    }
}

/// Loads one program. `target` is what it attaches to in this kernel.
fn load_program(
    ebpf: &mut Ebpf,
    program: &'static Program,
    target: Result<&'static str, String>,
    btf: Option<&aya::Btf>,
) -> ProgramStatus {
    let unavailable = |why: String| ProgramStatus {
        program,
        state: ProgramState::Unavailable(why),
        verified_instructions: None,
    };
    let Some(btf) = btf else { return unavailable("no BTF".into()) };
    let target = match target {
        Ok(target) => target,
        Err(why) => return unavailable(why),
    };
    let Some(loaded) = ebpf.program_mut(program.name) else { return unavailable("not in the object".into()) };
    let result = match loaded {
        aya::programs::Program::BtfTracePoint(p) => p.load(target, btf),
        aya::programs::Program::Iter(p) => p.load(target, btf),
        _ => return unavailable("of an unexpected type".into()),
    };
    match result {
        Ok(()) => ProgramStatus {
            program,
            state: ProgramState::Loaded,
            verified_instructions: loaded.info().ok().and_then(|i| i.verified_instruction_count()),
        },
        Err(error) => unavailable(load_failure(&error)),
    }
}

/// A refusal with the end of the verifier's log, which is where the reason stands.
fn load_failure(error: &ProgramError) -> String {
    match error {
        ProgramError::LoadError { io_error, verifier_log } => {
            let log = verifier_log.to_string();
            let tail: Vec<&str> = log.lines().rev().filter(|l| !l.trim().is_empty()).take(4).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            if tail.is_empty() {
                format!("{io_error}, the verifier said nothing")
            } else {
                format!("{io_error}; the verifier: {}", tail.join(" | "))
            }
        }
        other => chain(other),
    }
}
