//! Policies from a directory: the controller without Kubernetes. Every node needs all of them.
//!
//! The files of a directory are one set: lists of one may be used in another. So a set with a mistake in it is refused
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
use watch::DirectoryWatch;

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
    #[error("cannot watch {}: {source}", directory.display())]
    Watch {
        /// The directory.
        directory: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// The policies of a directory.
#[derive(Debug)]
pub struct FilesSource {
    directory: PathBuf,
    /// What the policies are checked together with.
    before: Vec<Source>,
    changes: channel::Sender<u64>,
    current: Mutex<Arc<NodePolicies>>,
    reports: Mutex<HashMap<String, NodeReport>>,
}

impl FilesSource {
    /// Reads the directory. `before` are the policies that agents read before these: see
    /// [`built_in`](super::built_in).
    ///
    /// # Errors
    /// The directory cannot be read, or a policy is wrong: there is no older set to go on with.
    pub fn open(directory: impl Into<PathBuf>, before: Vec<Source>) -> Result<Self, FilesError> {
        let directory = directory.into();
        let policies = read(&directory, &before)?;
        tracing::info!(directory = %directory.display(), files = policies.documents.len(), "policies read");
        Ok(Self {
            directory,
            before,
            changes: channel::Sender::new(1),
            current: Mutex::new(Arc::new(policies)),
            reports: Mutex::default(),
        })
    }

    /// Reads the directory again whenever it changes, until it is told to stop.
    ///
    /// # Errors
    /// The kernel tells nothing (any more) of changes.
    pub async fn watch(&self, stop: CancellationToken) -> Result<(), FilesError> {
        let failed = |source| FilesError::Watch { directory: self.directory.clone(), source };
        let mut watch = DirectoryWatch::new(&self.directory).map_err(failed)?;
        // What changed between the first reading and the watch.
        self.reload();
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                changed = watch.changed() => changed.map_err(failed)?,
            }
            self.reload();
        }
    }

    /// Takes in what the directory has now, if it is good and not the same.
    fn reload(&self) {
        let policies = match read(&self.directory, &self.before) {
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

/// Reads and checks a directory.
fn read(directory: &Path, before: &[Source]) -> Result<NodePolicies, FilesError> {
    let sources = load::read_sources([directory])?;
    let loaded = PolicySet::load(before.iter().cloned().chain(sources.iter().cloned()));
    if loaded.set.is_none() {
        return Err(FilesError::Invalid(loaded.render(Severity::Error, false)));
    }
    let mut documents: Vec<Document> =
        sources.into_iter().map(|source| document(directory, source)).collect();
    documents.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(NodePolicies { documents })
}

fn document(directory: &Path, source: Source) -> Document {
    let path = Path::new(&source.name);
    let name = path.strip_prefix(directory).unwrap_or(path).display().to_string();
    Document { name, generation: 0, text: Bytes::from(source.text) }
}

#[cfg(test)]
mod tests;
