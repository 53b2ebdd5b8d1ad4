//! Places in MITRE ATT&CK, read off a rule's tags.

use serde::{Deserialize, Serialize};

/// Techniques and tactics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attack {
    /// Ids of techniques and sub-techniques (`T1059.004`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub techniques: Vec<String>,
    /// Names of tactics (`Credential Access`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tactics: Vec<String>,
}

/// The tactics of the enterprise matrix (<https://attack.mitre.org/tactics/enterprise/>): id and name.
const TACTICS: [(&str, &str); 14] = [
    ("TA0043", "Reconnaissance"),
    ("TA0042", "Resource Development"),
    ("TA0001", "Initial Access"),
    ("TA0002", "Execution"),
    ("TA0003", "Persistence"),
    ("TA0004", "Privilege Escalation"),
    ("TA0005", "Defense Evasion"),
    ("TA0006", "Credential Access"),
    ("TA0007", "Discovery"),
    ("TA0008", "Lateral Movement"),
    ("TA0009", "Collection"),
    ("TA0011", "Command and Control"),
    ("TA0010", "Exfiltration"),
    ("TA0040", "Impact"),
];

impl Attack {
    /// What the tags say: techniques as `T1059`, `T1059.004` or `attack.t1059.004`; tactics as
    /// `mitre_credential_access`, `attack.credential_access` or `TA0006`. Other tags say nothing about it.
    pub fn of_tags(tags: &[String]) -> Self {
        let mut attack = Self::default();
        for tag in tags {
            let word = strip_prefix(tag, "attack.").or_else(|| strip_prefix(tag, "mitre_")).unwrap_or(tag);
            if is_technique(word) {
                push(&mut attack.techniques, word.to_uppercase());
            } else if let Some((_, name)) =
                TACTICS.iter().find(|(id, name)| id.eq_ignore_ascii_case(word) || same_name(name, word, tag))
            {
                push(&mut attack.tactics, (*name).to_owned());
            }
        }
        attack
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.techniques.is_empty() && self.tactics.is_empty()
    }
}

/// The id of a tactic (`TA0006`).
pub(super) fn tactic_id(name: &str) -> Option<&'static str> {
    TACTICS.iter().find(|(_, n)| *n == name).map(|(id, _)| *id)
}

fn push(list: &mut Vec<String>, item: String) {
    if !list.contains(&item) {
        list.push(item);
    }
}

fn strip_prefix<'a>(tag: &'a str, prefix: &str) -> Option<&'a str> {
    let head = tag.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &tag[prefix.len()..])
}

/// A bare word such as `discovery` is a tag like any other: only one with a prefix names a tactic.
fn same_name(name: &str, word: &str, tag: &str) -> bool {
    word.len() < tag.len()
        && word.len() == name.len()
        && word
            .bytes()
            .zip(name.bytes())
            .all(|(w, n)| w.eq_ignore_ascii_case(&n) || (n == b' ' && matches!(w, b'_' | b'-')))
}

/// `T` and four digits, perhaps a dot and three more.
fn is_technique(word: &str) -> bool {
    let bytes = word.as_bytes();
    let digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
    match bytes {
        [b'T' | b't', id @ ..] if id.len() == 4 => digits(id),
        [b'T' | b't', id @ ..] if id.len() == 8 => digits(&id[..4]) && id[4] == b'.' && digits(&id[5..]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_several_customs() {
        let tags = [
            "container",
            "T1059.004",
            "attack.t1059.004",
            "attack.t1003",
            "mitre_credential_access",
            "MITRE_Privilege_Escalation",
            "attack.command-and-control",
            "TA0040",
            "discovery",
            "mitre_nonsense",
            "T10590",
            "T1059.04",
            "attack.",
            "mitre_",
            "t",
            "",
            "é",
            "attacké",
        ];
        let attack = Attack::of_tags(&tags.map(str::to_owned));
        assert_eq!(attack.techniques, ["T1059.004", "T1003"]);
        assert_eq!(
            attack.tactics,
            ["Credential Access", "Privilege Escalation", "Command and Control", "Impact"]
        );
        assert!(Attack::of_tags(&[]).is_empty());
        assert!(TACTICS.iter().all(|(id, name)| tactic_id(name) == Some(id)));
    }
}
