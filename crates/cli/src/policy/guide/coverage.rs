//! Which techniques are covered, and which are knowingly not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use vedette_event::alert::attack::{self, Technique};

use vedette_policy::document::yaml;
use vedette_policy::source::SourceId;

use super::Entry;
use crate::exit::Failure;

/// What the file of techniques that are not covered says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    reasons: Vec<Reason>,
}

/// Techniques that are not covered for one reason.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// The reason.
    pub why: String,
    /// Their ids; that of a technique is also for its sub-techniques, unless those are covered or named themselves.
    pub techniques: Vec<String>,
}

/// The state of the matrix.
pub struct Coverage {
    /// The covered ones, by id.
    pub covered: BTreeSet<&'static str>,
    /// The reason for each that is knowingly not covered, by id.
    reasons: BTreeMap<&'static str, usize>,
    /// The reasons.
    pub why: Vec<String>,
}

/// The ids of the techniques that rules are about, each once.
pub fn techniques<'r>(entries: &[Entry<'r>]) -> Vec<&'r str> {
    let ids: BTreeSet<&str> = entries.iter().flat_map(|e| e.attack.iter().map(String::as_str)).collect();
    ids.into_iter().collect()
}

impl Coverage {
    /// What the rules cover, and what the file says about the rest.
    ///
    /// # Errors
    /// The file cannot be read, names what is no technique, or one that is covered.
    pub fn of(entries: &[Entry<'_>], file: Option<&Path>) -> Result<Self, Failure> {
        let claimed = techniques(entries);
        let covered: BTreeSet<_> =
            attack::techniques().map(|t| t.id).filter(|id| claimed.contains(id)).collect();
        let mut coverage = Self { covered, reasons: BTreeMap::new(), why: Vec::new() };
        if let Some(path) = file {
            let failed =
                |error: &dyn std::fmt::Display| Failure::Input(format!("{}: {error}", path.display()));
            let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
            let documents =
                yaml::parse(&text, SourceId::default()).map_err(|error| failed(&error.message))?;
            let document = documents.first().ok_or_else(|| failed(&"it is empty"))?;
            let file: File = serde_json::from_value(document.to_json()).map_err(|error| failed(&error))?;
            coverage.take_reasons(file).map_err(|error| failed(&error))?;
        }
        Ok(coverage)
    }

    fn take_reasons(&mut self, file: File) -> Result<(), String> {
        for (number, reason) in file.reasons.into_iter().enumerate() {
            for id in &reason.techniques {
                let Some(technique) = attack::technique(id) else {
                    return Err(format!("`{id}` is no technique for Linux or containers"));
                };
                if self.covered.contains(technique.id) {
                    return Err(format!("`{id}` is covered by a rule"));
                }
                if self.reasons.insert(technique.id, number).is_some() {
                    return Err(format!("`{id}` is there twice"));
                }
            }
            self.why.push(reason.why.trim().to_owned());
        }
        Ok(())
    }

    /// Why a technique is not covered, if somebody has said so.
    pub fn reason(&self, technique: &Technique) -> Option<&str> {
        let parent = technique.parent();
        let number =
            self.reasons.get(technique.id).or_else(|| self.reasons.get(parent.as_ref().map(|p| p.id)?))?;
        self.why.get(*number).map(String::as_str)
    }

    /// Whether a technique is covered itself, or by a sub-technique.
    pub fn is_covered(&self, technique: &Technique) -> bool {
        let below = |id: &str| id.split_once('.').is_some_and(|(parent, _)| parent == technique.id);
        self.covered.contains(technique.id) || self.covered.iter().any(|id| below(id))
    }
}
