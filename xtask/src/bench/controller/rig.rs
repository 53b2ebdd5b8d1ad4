//! A controller with a data directory of its own.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use crate::bench::daemon::Daemon;
use crate::exec;
use crate::workspace::Workspace;

/// How long to wait for `ready` and for the end.
const PATIENCE: Duration = Duration::from_secs(60);
/// Policies that do not change.
const POLICIES: u32 = 10;
/// Bytes of one of them, about.
const POLICY: usize = 4096;

/// A running controller; dropping it ends it and removes its directory.
pub struct Rig {
    daemon: Option<Daemon>,
    directory: PathBuf,
    address: String,
    metrics: SocketAddr,
}

impl Rig {
    /// Starts it.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(workspace: &Workspace, controller: &Path, load: &Path, agents: u32) -> Result<Self> {
        // Not in /tmp, which may be memory: what is durable is measured on a disk.
        let directory = workspace.root().join(format!("target/bench-controller-{}", std::process::id()));
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr())?;
        let mut rig = Self { daemon: None, directory, address: String::new(), metrics: free };
        fs::create_dir_all(rig.policies())?;
        for number in 0..POLICIES {
            fs::write(rig.policies().join(format!("{number}.yaml")), policy(number))?;
        }
        let tokens = exec::output(Command::new(load).arg("--tokens").arg(format!("--agents={agents}")))?;
        fs::write(rig.path("tokens"), tokens)?;
        let sink = format!("file: {{path: {}, keep: 2}}\n", rig.path("sink/alerts").display());
        fs::write(rig.path("file.yaml"), sink)?;
        let path = |name: &str| rig.path(name).display().to_string();
        let arguments = [
            ("--policies", rig.policies().display().to_string()),
            ("--listen", "127.0.0.1:0".to_owned()),
            ("--data", path("data")),
            ("--tokens", path("tokens")),
            ("--sink", path("file.yaml")),
            ("--metrics", rig.metrics.to_string()),
        ];
        let mut all = vec!["run".to_owned(), "--standalone".to_owned()];
        all.extend(arguments.into_iter().flat_map(|(name, value)| [name.to_owned(), value]));
        let daemon = Daemon::start(controller, &all, PATIENCE)?;
        let address = daemon.ready_line.rsplit(' ').next().unwrap_or_default();
        address.clone_into(&mut rig.address);
        rig.daemon = Some(daemon);
        Ok(rig)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn policies(&self) -> PathBuf {
        self.path("policies")
    }

    /// Where agents connect.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The authority that agents trust.
    pub fn ca(&self) -> PathBuf {
        self.path("data/ca.pem")
    }

    /// The policy that is changed.
    pub fn policy(&self) -> PathBuf {
        self.policies().join("round.yaml")
    }

    /// The controller's process id.
    pub fn pid(&self) -> u32 {
        self.daemon.as_ref().map_or(0, Daemon::pid)
    }

    /// Waits until all alerts are in the log once and at the sink.
    ///
    /// # Errors
    /// When they do not arrive.
    pub fn wait_for_sink(&self, alerts: u64, patience: Duration) -> Result<Duration> {
        let start = Instant::now();
        loop {
            let metrics = get(self.metrics, "/metrics").context("read the controller's metrics")?;
            let taken = value(&metrics, "vedette_controller_alerts_taken_total");
            let delivered = value(&metrics, "vedette_controller_sink_delivered_total{sink=\"file\"}");
            if (taken, delivered) == (Some(alerts), Some(alerts)) {
                return Ok(start.elapsed());
            }
            if start.elapsed() > patience {
                bail!("of {alerts} alerts the log has {taken:?} and the sink {delivered:?}");
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Ends it, and everything of it.
    ///
    /// # Errors
    /// When it does not end well.
    pub fn stop(mut self) -> Result<()> {
        let daemon = self.daemon.take().ok_or_else(|| anyhow!("the controller does not run"))?;
        daemon.stop(PATIENCE).map(drop)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // The controller first, which writes there.
        self.daemon = None;
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A policy of usual size.
fn policy(number: u32) -> String {
    let mut text = format!(
        "apiVersion: vedette.dev/v1alpha1\nkind: ClusterSecurityPolicy\nmetadata:\n  name: bench-{number}\nspec:\n  \
         description: One of those that do not change\n  rules:\n"
    );
    let mut rule = 0;
    while text.len() < POLICY {
        text += &format!(
            "    - name: Rule {rule} of policy {number}\n      \
             condition: evt.type = openat and fd.name = /etc/file-{number}-{rule} and not proc.name in (sshd, cron)\n      \
             output: \"%proc.name opened %fd.name (command %proc.cmdline)\"\n      priority: Warning\n"
        );
        rule += 1;
    }
    text
}

/// The value of a metric in the text format of OpenMetrics.
fn value(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

fn get(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_metrics() {
        let text = "# HELP a x\na_total 5\na_totals 6\nb{sink=\"file\"} 7\n# EOF\n";
        assert_eq!(value(text, "a_total"), Some(5));
        assert_eq!(value(text, "b{sink=\"file\"}"), Some(7));
        assert_eq!(value(text, "c"), None);
    }
}
