//! The policies that every build carries.
//!
//! Agents run them as well as what the controller sends, and read them first. So a policy may use their lists and
//! macros, and change their rules by name: it can only be checked together with them.

use include_dir::{Dir, include_dir};
use vedette_policy::Source;

static BUILT_IN: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../deploy/policies");

/// The built-in policies, in the order in which agents read them.
pub fn sources() -> Vec<Source> {
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
    use vedette_policy::PolicySet;

    #[test]
    fn they_load() {
        let loaded = PolicySet::load(sources());
        assert!(loaded.set.is_some_and(|set| set.rules().len() >= 15));
    }
}
