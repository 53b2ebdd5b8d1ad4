//! What can be named with `--kinds`.

use std::collections::BTreeSet;

use vedette_abi::{Call, Kind};
use vedette_policy::{EventType, EventTypes, diagnostic::nearest};

/// What names ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Events of these types.
    pub types: EventTypes,
    /// Records that are no event of a process.
    pub records: BTreeSet<Kind>,
}

impl Asked {
    fn of(types: EventTypes) -> Self {
        Self { types, records: BTreeSet::new() }
    }

    /// Both together.
    pub fn union(mut self, other: &Self) -> Self {
        self.records.extend(&other.records);
        Self { types: self.types.union(other.types), ..self }
    }
}

/// The name for everything.
const ALL: &str = "all";

/// The event types that a program reports.
pub fn reported() -> EventTypes {
    EventType::ALL.iter().copied().filter(|t| t.is_reported()).collect()
}

/// The names of groups: what `evt.category` says of some event that is reported.
fn groups() -> Vec<&'static str> {
    let mut names: Vec<_> = reported().iter().map(|t| t.category().as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Kinds of records that can be asked for. Those of the snapshot come before anything is printed.
fn records() -> impl Iterator<Item = Kind> {
    Kind::ALL.iter().copied().filter(|kind| *kind != Kind::ProcessSnapshot)
}

/// The event types that come in records of a kind.
fn types_of(kind: Kind) -> EventTypes {
    let calls = Call::ALL.iter().filter(|call| call.kind() == kind);
    calls.filter_map(|call| EventType::from_name(call.name())).filter(|t| t.is_reported()).collect()
}

/// Reads one name.
///
/// # Errors
/// There is nothing of that name; the text has the nearest one, and all.
pub fn parse(name: &str) -> Result<Asked, String> {
    let name = name.trim();
    if name == ALL {
        return Ok(Asked::of(reported()));
    }
    // Also what is not reported yet: it is said later that nothing will come.
    if let Some(event_type) = EventType::from_name(name) {
        return Ok(Asked::of([event_type].into_iter().collect()));
    }
    if groups().contains(&name) {
        return Ok(Asked::of(reported().iter().filter(|t| t.category().as_str() == name).collect()));
    }
    if let Some(kind) = records().find(|kind| kind.name() == name) {
        let types = types_of(kind);
        return Ok(match types.is_empty() {
            false => Asked::of(types),
            true => Asked { types, records: [kind].into() },
        });
    }
    Err(unknown(name))
}

fn unknown(name: &str) -> String {
    let types: Vec<&str> = reported().iter().map(EventType::name).collect();
    let groups: Vec<&str> = [ALL].into_iter().chain(groups()).collect();
    let kinds: Vec<&str> = records().map(Kind::name).collect();
    let known = types.iter().chain(&groups).chain(&kinds).copied();
    let hint = nearest(name, known).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
    format!(
        "there is no such kind of event{hint}\n\n  groups: {}\n  event types: {}\n  kinds of records: {}",
        groups.join(", "),
        types.join(", "),
        kinds.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types(name: &str) -> Vec<&'static str> {
        parse(name).unwrap().types.iter().map(EventType::name).collect()
    }

    #[test]
    fn types_groups_and_kinds() {
        assert_eq!(types("openat"), ["openat"]);
        assert_eq!(types("all").len(), reported().len());
        assert!(types("net").contains(&"connect") && !types("net").contains(&"openat"));
        assert!(types("file_open").contains(&"openat") && !types("file_open").contains(&"connect"));
        assert_eq!(types("process_exit"), ["procexit"]);
        let made = parse("cgroup_mkdir").unwrap();
        assert!(made.types.is_empty() && made.records.contains(&Kind::CgroupMkdir));
        let both = made.union(&parse("connect").unwrap());
        assert_eq!((both.types.len(), both.records.len()), (1, 1));
    }

    #[test]
    fn a_wrong_name_is_answered_with_a_near_one_and_with_all() {
        let text = parse("conect").unwrap_err();
        assert!(text.contains("did you mean `connect`?"), "{text}");
        assert!(
            text.contains("groups: all, file, ") && text.contains("execve") && text.contains("cgroup_mkdir")
        );
        assert!(parse("process_snapshot").is_err());
    }
}
