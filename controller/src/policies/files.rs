//! Policies from files: the controller without Kubernetes. Every node needs all of them.
//!
//! The files are one set: lists of one may be used in another. So a set with a mistake in it is refused
//! as a whole, its findings go to the log, and nodes go on with the one before.

mod watch;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::watch as channel;
use tokio_util::sync::CancellationToken;
use vedette_policy::{PolicySet, Severity, Source, load};

use super::{Document, NodePolicies, NodeReport, PolicySource, RuleState};
use watch::PathWatch;

/// Why a directory of policies cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// It, or a file in it, cannot be read.
    #[error(transparent)]
    Read(#[from] load::LoadError),
    /// Something is wrong in a policy. The text has file, line, column and remedy of every finding.
    #[error("{0}")]
    Invalid(String),
    /// The kernel does not tell of changes.
    #[error("cannot watch policies for changes: {0}")]
    Watch(std::io::Error),
    /// A task of ours ended.
    #[error("reading policies: {0}")]
    Task(String),
}

/// The policies of files and directories.
#[derive(Debug)]
pub struct FilesSource {
    paths: Vec<PathBuf>,
    /// What the policies are checked together with.
    before: Vec<Source>,
    changes: channel::Sender<u64>,
    current: Mutex<Arc<NodePolicies>>,
    reports: Mutex<HashMap<String, NodeReport>>,
}

impl FilesSource {
    /// Reads files, and those of directories, in this order. `before` are the policies that agents read before these: see
    /// [`built_in`](super::built_in).
    ///
    /// # Errors
    /// One cannot be read, or a policy is wrong: there is no older set to go on with.
    pub fn open(paths: Vec<PathBuf>, before: Vec<Source>) -> Result<Self, FilesError> {
        let policies = read(&paths, &before)?;
        tracing::info!(files = policies.documents.len(), "policies read");
        Ok(Self {
            paths,
            before,
            changes: channel::Sender::new(1),
            current: Mutex::new(Arc::new(policies)),
            reports: Mutex::default(),
        })
    }

    /// Reads them again whenever something changes, until it is told to stop.
    ///
    /// # Errors
    /// The kernel tells nothing (any more) of changes.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) -> Result<(), FilesError> {
        let mut watch = PathWatch::new(&self.paths).map_err(FilesError::Watch)?;
        // What changed between the first reading and the watch.
        self.reload().await?;
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                changed = watch.changed() => changed.map_err(FilesError::Watch)?,
            }
            self.reload().await?;
        }
    }

    /// Takes in what there is now, on a thread where that may take its time.
    async fn reload(self: &Arc<Self>) -> Result<(), FilesError> {
        let source = Arc::clone(self);
        let reload = tokio::task::spawn_blocking(move || source.reload_now());
        reload.await.map_err(|error| FilesError::Task(error.to_string()))
    }

    /// Takes in what there is now, if it is good and not the same.
    fn reload_now(&self) {
        let policies = match read(&self.paths, &self.before) {
            Ok(policies) => Arc::new(policies),
            Err(FilesError::Invalid(findings)) => {
                tracing::error!("policies refused; nodes go on with those before\n{}", findings.trim_end());
                return;
            }
            Err(error) => {
                tracing::error!(%error, "policies not read; nodes go on with those before");
                return;
            }
        };
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if *current == policies {
            return;
        }
        tracing::info!(files = policies.documents.len(), "policies changed");
        *current = policies;
        drop(current);
        self.changes.send_modify(|change| *change += 1);
    }
}

impl PolicySource for FilesSource {
    fn changes(&self) -> channel::Receiver<u64> {
        self.changes.subscribe()
    }

    fn for_node(&self, _node: &str) -> Arc<NodePolicies> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn report(&self, node: &str, report: Option<NodeReport>) {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(report) = report else {
            reports.remove(node);
            return;
        };
        // A node says the same again each time it connects: that is no news.
        if reports.get(node) == Some(&report) {
            return;
        }
        if let Some((bundle, reason)) = &report.refused {
            tracing::error!(node, bundle, "the node refused its policies: {reason}");
        }
        for policy in report.policies.iter().filter(|p| p.state >= RuleState::Degraded) {
            let (reason, message) = (policy.reason.as_deref(), policy.message.as_deref());
            tracing::warn!(node, policy = policy.document, rules = ?policy.rules, reason, message, "{:?}", policy.state);
        }
        reports.insert(node.to_owned(), report);
    }
}

/// Reads and checks what is there.
fn read(paths: &[PathBuf], before: &[Source]) -> Result<NodePolicies, FilesError> {
    let mut sources = Vec::new();
    let mut documents = Vec::new();
    for (index, path) in paths.iter().enumerate() {
        for source in load::read_sources([path])? {
            let file = Path::new(&source.name);
            let base = if path.is_dir() { Some(path.as_path()) } else { path.parent() };
            let below = base.and_then(|base| file.strip_prefix(base).ok()).unwrap_or(file).display();
            // Agents read documents in the order of their names, and files of one directory after those of another.
            let name = if paths.len() > 1 { format!("{index}/{below}") } else { below.to_string() };
            documents.push(Document { name, generation: 0, text: Bytes::from(source.text.clone()) });
            sources.push(source);
        }
    }
    let loaded = PolicySet::load(before.iter().cloned().chain(sources));
    if loaded.set.is_none() {
        return Err(FilesError::Invalid(loaded.render(Severity::Error, false)));
    }
    documents.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(NodePolicies { documents })
}

#[cfg(test)]
mod tests;
