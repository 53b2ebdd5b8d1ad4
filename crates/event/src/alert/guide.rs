//! What a rule says to the person who reads its alerts, and how often it may disturb one.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// For whom a rule is. Each level has the rules of those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Quiet enough to page someone.
    #[default]
    Default,
    /// For who looks at alerts by day, and sorts out what everyday work explains.
    Strict,
    /// Context for hunting: what happens on every machine, worth keeping.
    Audit,
}

/// A word that is no level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no level; there are default, strict and audit")]
pub struct UnknownLevel(pub String);

impl Level {
    /// All, the quietest first.
    pub const ALL: [Self; 3] = [Self::Default, Self::Strict, Self::Audit];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Strict => "strict",
            Self::Audit => "audit",
        }
    }
}

impl FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Self, UnknownLevel> {
        Self::ALL.into_iter().find(|l| l.as_str() == text).ok_or_else(|| UnknownLevel(text.to_owned()))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why an alert matters, and what to do about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guide {
    /// Why it is bad.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// What to do now: one short sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub response: String,
    /// Known causes that are no attack.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub benign: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_words() {
        for level in Level::ALL {
            assert_eq!(level.as_str().parse(), Ok(level));
            assert_eq!(serde_json::to_string(&level).unwrap(), format!("\"{level}\""));
        }
        assert!("Strict".parse::<Level>().is_err());
        assert!(Level::Default < Level::Strict && Level::Strict < Level::Audit);
    }
}
