//! A controller without Kubernetes, as a process.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
};

use crate::process::{Log, Process};

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// A controller: its files, its port, and the process, while it runs.
#[derive(Debug)]
pub struct Controller {
    program: PathBuf,
    /// Its data directory.
    pub data: PathBuf,
    /// Its directory of policies.
    pub policies: PathBuf,
    sink: PathBuf,
    /// Where agents connect.
    pub port: u16,
    process: Option<Process>,
    /// What all its runs said of themselves.
    pub log: Log,
}

impl Controller {
    /// Makes its files in a directory; it does not run yet. `sink` is the file that describes its sink, by the sink's name.
    pub fn new(program: &str, directory: &Path, sink: (&str, &str)) -> Self {
        let data = directory.join("controller");
        let policies = directory.join("policies");
        fs::create_dir_all(&data).unwrap();
        fs::create_dir_all(&policies).unwrap();
        let file = directory.join(format!("{}.yaml", sink.0));
        fs::write(&file, sink.1).unwrap();
        Self {
            program: program.into(),
            data,
            policies,
            sink: file,
            port: free_port(),
            process: None,
            log: Log::default(),
        }
    }

    /// Starts it, and waits until agents can connect.
    ///
    /// # Panics
    /// It is not ready in time.
    pub fn start(&mut self) {
        let mut command = Command::new(&self.program);
        command.args(["run", "--standalone", "--listen", &format!("127.0.0.1:{}", self.port)]);
        command.arg("--policies").arg(&self.policies).arg("--data").arg(&self.data);
        command.arg("--sink").arg(&self.sink);
        let mark = self.log.mark();
        let (out, err) = (self.log.clone(), self.log.clone());
        self.process = Some(Process::spawn(command, move |line| out.push(line), move |line| err.push(line)));
        self.log.wait_text(mark, "ready: agents connect to TLS");
    }

    /// Kills it.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// Ends it in order.
    ///
    /// # Panics
    /// It does not end well.
    pub fn terminate(&mut self) {
        if let Some(process) = self.process.take() {
            let status = process.terminate();
            assert!(status.success(), "{status}:\n{}", self.log.since(0).join("\n"));
        }
    }

    /// The authorities to trust.
    pub fn ca(&self) -> PathBuf {
        self.data.join("ca.pem")
    }

    /// The bootstrap token of agents.
    pub fn token(&self) -> PathBuf {
        self.data.join("agent-token")
    }
}
