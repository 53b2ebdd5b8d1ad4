//! Agents, a controller and a sink, and what befalls them.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use fastrand::Rng;
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
};
use vedette_e2e::{
    controller::{Controller, free_port},
    process::{Log, Process},
    proxy::Proxy,
};

use crate::books::Books;

const SIMULATED: &str = env!("CARGO_BIN_EXE_e2e-simulated");

/// Kinds of faults: see [`World::fault`].
pub const FAULTS: usize = 8;

/// How many agents.
const AGENTS: u32 = 4;
/// Bytes of their spools: that of the first is on a disk of its own, which is smaller; that of the second is small.
const SPOOLS: [u64; AGENTS as usize] = [64 << 20, 256 << 10, 64 << 20, 64 << 20];
/// Bytes of the disks that are filled: the first agent's, the controller's log's.
const DISKS: (u64, u64) = (4 << 20, 64 << 20);

/// An agent's side.
struct Agent {
    number: u32,
    data: PathBuf,
    proxy: Proxy,
    process: Option<Process>,
}

/// Everything of one seed.
pub struct World {
    name: String,
    rng: Rng,
    books: Books,
    log: Log,
    agents: Vec<Agent>,
    controller: Controller,
    sink: Option<Process>,
    sink_port: u16,
    disks: Vec<Disk>,
    _directory: tempfile::TempDir,
}

/// A file system of its own, which can be filled. It is mounted for the thread that made it, and its processes.
struct Disk(PathBuf);

impl Disk {
    fn mount(path: &Path, bytes: u64) -> Self {
        fs::create_dir_all(path).unwrap();
        let options = format!("size={bytes}");
        mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::empty(), Some(options.as_str())).unwrap();
        Self(path.to_owned())
    }

    /// Takes all room that there is.
    fn fill(&self) {
        let mut file = fs::File::create(self.0.join("filling")).unwrap();
        let full = loop {
            if let Err(error) = file.write_all(&[0; 4096]) {
                break error;
            }
        };
        assert_eq!(full.kind(), io::ErrorKind::StorageFull, "{full}");
    }

    fn free(&self) {
        fs::remove_file(self.0.join("filling")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Else it goes with the thread.
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

impl World {
    /// Starts everything. To be called in a thread of its own: it gets mounts of its own.
    pub fn start(name: &str, seed: u64, open: bool) -> Self {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let sink_port = free_port();
        let sink = format!(
            "start: oldest\nbatch: {{delay: 20ms, alerts: 100}}\nretry: {{initial: 50ms, max: 500ms}}\ntimeout: 10s\n\
             webhook: {{url: \"http://127.0.0.1:{sink_port}/\", array: true}}\n"
        );
        let program = env!("CARGO_BIN_EXE_e2e-controller");
        let mut controller = Controller::new(program, root, ("siem", &sink));
        let policy =
            "- rule: any\n  desc: x\n  condition: evt.type = execve\n  output: x\n  priority: NOTICE\n";
        fs::write(controller.policies.join("any.yaml"), policy).unwrap();
        let disks = vec![
            Disk::mount(&root.join("agent-0"), DISKS.0),
            Disk::mount(&controller.data.join("alerts"), DISKS.1),
        ];
        controller.start();
        let agents = (0..AGENTS).map(|number| Agent {
            number,
            data: root.join(format!("agent-{number}")),
            proxy: Proxy::start(controller.port),
            process: None,
        });
        let mut world = Self {
            name: name.to_owned(),
            rng: Rng::with_seed(seed),
            books: Books::default(),
            log: Log::default(),
            agents: agents.collect(),
            controller,
            sink: None,
            sink_port,
            disks,
            _directory: directory,
        };
        world.start_sink();
        for number in 0..AGENTS as usize {
            if !open {
                world.agents[number].proxy.hold();
            }
            world.start_agent(number);
        }
        world
    }

    fn start_sink(&mut self) {
        let mut command = Command::new(SIMULATED);
        command.args(["sink", &self.sink_port.to_string()]);
        let (books, log, ready) = (self.books.clone(), self.log.clone(), Log::default());
        let told = ready.clone();
        let out = move |line: &str| if line == "ready" { told.push(line) } else { books.note_arrived(line) };
        self.sink = Some(Process::spawn(command, out, move |line| log.push(&format!("sink: {line}"))));
        ready.wait_text(0, "ready");
    }

    fn start_agent(&mut self, number: usize) {
        let agent = &mut self.agents[number];
        let mut command = Command::new(SIMULATED);
        command.args(["agent", "--node", &agent.number.to_string(), "--data"]).arg(&agent.data);
        command.args(["--url", &format!("https://127.0.0.1:{}", agent.proxy.port)]);
        command.arg("--ca").arg(self.controller.ca()).arg("--token").arg(self.controller.token());
        command.args(["--spool", &SPOOLS[number].to_string(), "--segment", "32768"]);
        let (books, log, ready) = (self.books.clone(), self.log.clone(), Log::default());
        let (told, node) = (ready.clone(), agent.number);
        let out =
            move |line: &str| if line == "ready" { told.push(line) } else { books.note_done(node, line) };
        let err = move |line: &str| log.push(&format!("agent {node}: {line}"));
        agent.process = Some(Process::spawn(command, out, err));
        ready.wait_text(0, "ready");
    }

    /// Tells an agent to produce alerts.
    fn produce(&mut self, number: usize, count: u64) {
        let batch = self.rng.u64(1..50);
        let agent = &mut self.agents[number];
        let first = self.books.produce(agent.number, count);
        if let Some(process) = &mut agent.process {
            process.say(&format!("add {first} {count} {batch}"));
        }
    }

    /// Some alerts of everybody; how many at least.
    fn produce_some(&mut self) -> usize {
        let mut all = 0;
        for number in 0..self.agents.len() {
            let count = self.rng.u64(20..150);
            self.produce(number, count);
            all += count as usize;
        }
        all
    }

    fn any_agent(&mut self) -> usize {
        self.rng.usize(0..self.agents.len())
    }

    /// So many faults, one after the other, each at a moment when alerts are on their way; then everything must be there.
    pub fn run(mut self, steps: usize) {
        let mut faults = Vec::new();
        for step in 0..steps {
            if faults.is_empty() {
                faults = (0..FAULTS).collect();
                self.rng.shuffle(&mut faults);
            }
            let fault = faults.pop().unwrap();
            let produced = self.produce_some();
            let more = self.rng.usize(0..produced / 2);
            self.books.wait_for_more(&self.name, more);
            eprintln!("{}, step {step}: fault {fault} after {more} alerts", self.name);
            self.fault(fault);
        }
        self.end(false);
    }

    fn fault(&mut self, fault: usize) {
        match fault {
            0 | 1 => {
                let number = self.any_agent();
                self.agents[number].process.take().unwrap().kill();
                self.start_agent(number);
            }
            2 | 3 => {
                self.controller.kill();
                self.produce_some();
                self.controller.start();
            }
            4 => {
                self.sink.take().unwrap().kill();
                self.produce_some();
                self.start_sink();
            }
            5 => {
                for number in 0..self.agents.len() {
                    let bytes = self.rng.usize(0..100_000);
                    match self.rng.u32(0..3) {
                        0 => self.agents[number].proxy.cut(),
                        1 => self.agents[number].proxy.cut_after(bytes),
                        _ => {}
                    }
                    self.produce(number, 200);
                }
            }
            6 => self.fill_spools(),
            _ => self.fill_log(),
        }
    }

    /// No connection, no room: the first agent's disk is full, the second's spool is.
    fn fill_spools(&mut self) {
        for number in [0, 1] {
            self.agents[number].proxy.hold();
            self.produce(number, 300);
            self.books.wait_done(&self.name, self.agents[number].number);
        }
        self.disks[0].fill();
        for number in [0, 1] {
            self.produce(number, 300);
        }
        if self.rng.bool() {
            let number = self.rng.usize(0..2);
            self.agents[number].process.take().unwrap().kill();
            self.start_agent(number);
            self.produce(number, 100);
        }
        for number in [0, 1] {
            self.books.wait_done(&self.name, self.agents[number].number);
        }
        self.disks[0].free();
        for number in [0, 1] {
            self.agents[number].proxy.release();
        }
    }

    /// The controller's log has no room, for so long that it has refused alerts.
    fn fill_log(&mut self) {
        let mark = self.controller.log.mark();
        self.disks[1].fill();
        self.produce_some();
        self.controller.log.wait_text(mark, "alerts could not be kept");
        if self.rng.bool() {
            self.controller.kill();
            self.disks[1].free();
            self.controller.start();
        } else {
            self.disks[1].free();
        }
    }

    /// More than there is room for, and no way to the controller until the end: then it is known to the last alert what
    /// must be missing.
    pub fn overflow(mut self) {
        for number in 0..self.agents.len() {
            self.produce(number, 500);
            self.books.wait_done(&self.name, self.agents[number].number);
        }
        self.disks[0].fill();
        for round in 0..3 {
            for number in 0..self.agents.len() {
                self.produce(number, 200);
                self.books.wait_done(&self.name, self.agents[number].number);
                if round == 1 {
                    self.agents[number].process.take().unwrap().kill();
                    self.start_agent(number);
                }
            }
        }
        self.disks[0].free();
        self.produce_some();
        for agent in &self.agents {
            self.books.wait_done(&self.name, agent.number);
            agent.proxy.release();
        }
        self.books.close(&self.name, true);
        assert!(self.books.lock().shed() > 500, "{}", self.books.lock().summary());
        self.end(true);
    }

    fn end(mut self, exactly: bool) {
        // The last word of each: whoever was killed has said nothing of what it died with.
        self.produce_some();
        for agent in &self.agents {
            self.books.wait_done(&self.name, agent.number);
        }
        self.books.close(&self.name, exactly);
        for agent in &mut self.agents {
            agent.process.take().unwrap().kill();
        }
        self.controller.terminate();
        eprintln!("{}: {}", self.name, self.books.lock().summary());
    }
}
