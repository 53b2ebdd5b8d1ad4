//! Places in MITRE ATT&CK: what a rule says about itself, and the tables of tactics and techniques.

use serde::{Deserialize, Serialize};

/// The version of ATT&CK that the tables are of.
pub const VERSION: &str = "19";

/// The techniques and sub-techniques of the enterprise matrix for Linux and containers, sorted by id: id, platforms
/// (`L`, `C`), tactics and name. Facts of MITRE ATT&CK (<https://attack.mitre.org/resources/legal-and-branding/>).
const TECHNIQUES: &str = include_str!("attack/techniques.txt");

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

/// The tactics of the enterprise matrix (<https://attack.mitre.org/tactics/enterprise/>): id and name. The last is
/// what `TA0005` was called before version 19; older rules name it so.
const TACTICS: [(&str, &str); 16] = [
    ("TA0043", "Reconnaissance"),
    ("TA0042", "Resource Development"),
    ("TA0001", "Initial Access"),
    ("TA0002", "Execution"),
    ("TA0003", "Persistence"),
    ("TA0004", "Privilege Escalation"),
    ("TA0005", "Stealth"),
    ("TA0112", "Defense Impairment"),
    ("TA0006", "Credential Access"),
    ("TA0007", "Discovery"),
    ("TA0008", "Lateral Movement"),
    ("TA0009", "Collection"),
    ("TA0011", "Command and Control"),
    ("TA0010", "Exfiltration"),
    ("TA0040", "Impact"),
    ("TA0005", "Defense Evasion"),
];

/// A technique or sub-technique.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Technique {
    /// Its id (`T1059.004`).
    pub id: &'static str,
    /// Its name (`Unix Shell`); that of a sub-technique is short for it and its technique.
    pub name: &'static str,
    /// Whether it is in the matrix for Linux.
    pub linux: bool,
    /// Whether it is in the matrix for containers.
    pub containers: bool,
    /// The keys of its tactics, separated by commas.
    tactics: &'static str,
}

impl Technique {
    /// The names of its tactics, in the order of the matrix.
    pub fn tactics(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.tactics.split(',').filter_map(|key| {
            let is_it =
                |name: &str| name.len() == key.len() && name.replace(' ', "-").eq_ignore_ascii_case(key);
            TACTICS.iter().map(|(_, name)| *name).find(|name| is_it(name))
        })
    }

    /// The technique that a sub-technique belongs to.
    pub fn parent(&self) -> Option<Self> {
        technique(self.id.split_once('.')?.0)
    }

    fn of_line(line: &'static str) -> Option<Self> {
        let mut parts = line.splitn(4, '|');
        let (id, platforms, tactics, name) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let (linux, containers) = (platforms.contains('L'), platforms.contains('C'));
        Some(Self { id, name, linux, containers, tactics })
    }
}

/// The techniques and sub-techniques for Linux and containers, by id.
pub fn techniques() -> impl Iterator<Item = Technique> {
    TECHNIQUES.lines().filter_map(Technique::of_line)
}

/// The technique or sub-technique of that id, if Linux or containers have it.
pub fn technique(id: &str) -> Option<Technique> {
    techniques().find(|technique| technique.id == id)
}

/// The names of the tactics, in the order of the matrix.
pub fn tactics() -> impl Iterator<Item = &'static str> {
    TACTICS.iter().map(|(_, name)| *name).filter(|name| *name != "Defense Evasion")
}

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

    /// What a rule says by its list of techniques and by its tags. Where the tags name no tactic, they are those of
    /// the techniques.
    pub fn of_rule(techniques: &[String], tags: &[String]) -> Self {
        let tagged = Self::of_tags(tags);
        let mut attack = Self { techniques: Vec::new(), tactics: tagged.tactics };
        let all = techniques.iter().chain(&tagged.techniques);
        all.for_each(|id| push(&mut attack.techniques, id.clone()));
        if attack.tactics.is_empty() {
            let known = techniques.iter().filter_map(|id| technique(id));
            known.flat_map(|t| t.tactics()).for_each(|name| push(&mut attack.tactics, name.to_owned()));
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

/// Whether a word has the form of a technique's id: `T` and four digits, perhaps a dot and three more.
pub fn is_technique(word: &str) -> bool {
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
        assert_eq!(Attack::of_tags(&["mitre_defense_evasion".to_owned()]).tactics, ["Defense Evasion"]);
        assert_eq!(Attack::of_tags(&["TA0005".to_owned()]).tactics, ["Stealth"]);
    }

    #[test]
    fn the_table_of_techniques_is_whole_and_sorted() {
        let all: Vec<_> = techniques().collect();
        assert_eq!(all.len(), TECHNIQUES.lines().count());
        assert!(all.is_sorted_by(|a, b| a.id < b.id));
        for technique in &all {
            assert!(is_technique(technique.id) && !technique.name.is_empty(), "{technique:?}");
            assert!(technique.linux || technique.containers, "{technique:?}");
            assert_eq!(technique.tactics().count(), technique.tactics.split(',').count(), "{technique:?}");
            if technique.id.contains('.') {
                assert!(technique.parent().is_some(), "{technique:?}");
            }
        }
    }

    #[test]
    fn a_rules_list_comes_before_its_tags() {
        let (list, tags) = (["T1053.003".to_owned()], ["T1053.003".to_owned(), "T1105".to_owned()]);
        let attack = Attack::of_rule(&list, &tags);
        assert_eq!(attack.techniques, ["T1053.003", "T1105"]);
        assert_eq!(attack.tactics, ["Execution", "Persistence", "Privilege Escalation"]);
        let attack = Attack::of_rule(&list, &["mitre_persistence".to_owned()]);
        assert_eq!(attack.tactics, ["Persistence"]);
    }
}
