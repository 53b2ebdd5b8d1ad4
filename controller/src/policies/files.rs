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

use super::{Document, NodePolicies, NodeReport, PoliciesState, PolicySource, PolicyState, RuleState};
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
    current: Mutex<Current>,
    reports: Mutex<HashMap<String, NodeReport>>,
}

/// What nodes need, and what is said of it.
#[derive(Debug)]
struct Current {
    policies: Arc<NodePolicies>,
    /// How many rules each of them has.
    rules: Vec<usize>,
    /// Why what is there now is refused.
    refused: Option<String>,
}

impl FilesSource {
    /// Reads files, and those of directories, in this order. `before` are the policies that agents read before these: see
    /// [`built_in`](super::built_in).
    ///
    /// # Errors
    /// One cannot be read, or a policy is wrong: there is no older set to go on with.
    pub fn open(paths: Vec<PathBuf>, before: Vec<Source>) -> Result<Self, FilesError> {
        let (policies, rules) = read(&paths, &before)?;
        tracing::info!(files = policies.documents.len(), "policies read");
        let current = Current { policies: Arc::new(policies), rules, refused: None };
        Ok(Self {
            paths,
            before,
            changes: channel::Sender::new(1),
            current: Mutex::new(current),
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
        let read = read(&self.paths, &self.before);
        match &read {
            Ok(_) => {}
            Err(FilesError::Invalid(findings)) => {
                tracing::error!("policies refused; nodes go on with those before\n{}", findings.trim_end());
            }
            Err(error) => tracing::error!(%error, "policies not read; nodes go on with those before"),
        }
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let (policies, rules) = match read {
            Ok(read) => read,
            Err(error) => {
                current.refused = Some(error.to_string());
                return;
            }
        };
        current.refused = None;
        if *current.policies == policies {
            return;
        }
        tracing::info!(files = policies.documents.len(), "policies changed");
        *current = Current { policies: Arc::new(policies), rules, refused: None };
        drop(current);
        self.changes.send_modify(|change| *change += 1);
    }
}

impl PolicySource for FilesSource {
    fn changes(&self) -> channel::Receiver<u64> {
        self.changes.subscribe()
    }

    fn for_node(&self, _node: &str) -> Arc<NodePolicies> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner).policies)
    }

    fn state(&self) -> PoliciesState {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let policies =
            current.policies.documents.iter().zip(&current.rules).map(|(document, rules)| PolicyState {
                name: document.name.clone(),
                generation: document.generation,
                rules: *rules,
                nodes: None,
                diagnostics: Vec::new(),
                accepted: true,
            });
        PoliciesState { policies: policies.collect(), refused: current.refused.clone() }
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

/// Reads and checks what is there. Beside the documents stands how many rules each has.
fn read(paths: &[PathBuf], before: &[Source]) -> Result<(NodePolicies, Vec<usize>), FilesError> {
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
    let Some(set) = &loaded.set else {
        return Err(FilesError::Invalid(loaded.render(Severity::Error, false)));
    };
    let mut rules = vec![0; documents.len()];
    for rule in set.rules() {
        let own = (rule.span.source.0 as usize).checked_sub(before.len());
        if let Some(count) = own.and_then(|own| rules.get_mut(own)) {
            *count += 1;
        }
    }
    let mut all: Vec<(Document, usize)> = documents.into_iter().zip(rules).collect();
    all.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    let (documents, rules) = all.into_iter().unzip();
    Ok((NodePolicies { documents }, rules))
}

#[cfg(test)]
mod tests;
