//! The policies of a node: where they come from, and what they need of the sensor.

mod plan;
mod watch;

use std::{path::PathBuf, sync::Arc};

use include_dir::{Dir, include_dir};
use vedette_policy::{Level, PolicySet, Severity, Source, load};

pub use plan::plan;
pub use watch::{Change, Watch};

use crate::config::Config;

/// The policies that every build carries.
static BUILT_IN: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../deploy/policies");

/// Why policies could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// A file or directory could not be read.
    #[error(transparent)]
    Read(#[from] load::LoadError),
    /// Something is wrong in a policy. The text has file, line, column and remedy of every finding.
    #[error("{0}")]
    Invalid(String),
}

/// Where the policies of a run come from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Whether the built-in policies are among them.
    pub built_in: bool,
    /// Which of their rules are on.
    pub level: Level,
    /// Files and directories.
    pub paths: Vec<PathBuf>,
}

impl Origin {
    /// As the settings say.
    pub fn of(config: &Config) -> Self {
        Self { built_in: config.default_policies, level: config.level, paths: config.policies.clone() }
    }

    /// Reads and compiles them. `colour` is for the findings' text, of which warnings come back with the set.
    ///
    /// # Errors
    /// A file cannot be read, or a policy is wrong.
    pub fn load(&self, colour: bool) -> Result<(Arc<PolicySet>, String), PolicyError> {
        self.load_with(Vec::new(), colour).map(|(set, warnings, _)| (set, warnings))
    }

    /// The same, with more policies behind them; also how many come before these.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_with(
        &self,
        more: Vec<Source>,
        colour: bool,
    ) -> Result<(Arc<PolicySet>, String, usize), PolicyError> {
        let mut sources = if self.built_in { built_in() } else { Vec::new() };
        sources.extend(load::read_sources(&self.paths)?);
        let own = sources.len();
        sources.extend(more);
        let loaded = PolicySet::load_at(sources, self.level);
        match &loaded.set {
            Some(set) => Ok((Arc::clone(set), loaded.render(Severity::Warning, colour), own)),
            None => Err(PolicyError::Invalid(loaded.render(Severity::Error, colour))),
        }
    }
}

/// The built-in policies as sources, in the order of their names.
pub fn built_in() -> Vec<Source> {
    let mut files: Vec<_> =
        BUILT_IN.files().filter(|f| f.path().extension().is_some_and(|e| e == "yaml")).collect();
    files.sort_by_key(|f| f.path());
    files
        .into_iter()
        .filter_map(|f| Some(Source::new(format!("<built-in>/{}", f.path().display()), f.contents_utf8()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_policies_have_no_findings() {
        let loaded = PolicySet::load(built_in());
        assert_eq!(loaded.render(Severity::Warning, false), "");
        let set = loaded.set.unwrap();
        assert!(set.rules().len() >= 15, "{} rules", set.rules().len());
        for rule in set.rules() {
            assert!(!rule.attack.is_empty(), "{} names no ATT&CK technique", rule.name);
            let guide = rule.guide.as_ref().unwrap_or_else(|| panic!("{} has no guide", rule.name));
            for (key, text) in
                [("meaning", &guide.meaning), ("why", &guide.why), ("response", &guide.response)]
            {
                assert!(!text.is_empty(), "{} does not say its {key}", rule.name);
            }
        }
        let mut names: Vec<_> = set.rules().iter().map(|rule| rule.slug()).collect();
        names.sort();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "two rules of one name: {names:?}");
    }
}
