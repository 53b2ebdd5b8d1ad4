//! The names that a file must have somewhere in its path for a rule on opens to match. What has none of them is dropped
//! in the kernel.
//!
//! A condition is followed twice, for opens that write and for those that do not, everything else left open. Of what
//! must hold together the part that asks for the rarest names is taken; where no part asks for a whole name of a
//! directory or file, every such open is wanted.

use std::collections::BTreeSet;

use vedette_abi::{NameSet, name_bit};
use vedette_policy::{
    EventType, EventTypes, FieldId, Rule,
    check::{Atom, Cond, Test, TextOp},
    term::Term,
};

use super::OPENS;

/// Names that nearly every path has: asked for only where nothing better is.
const COMMON: &[&[u8]] = &[
    b"usr",
    b"lib",
    b"lib64",
    b"bin",
    b"sbin",
    b"etc",
    b"var",
    b"home",
    b"root",
    b"proc",
    b"sys",
    b"dev",
    b"tmp",
    b"run",
    b"opt",
    b"srv",
    b"share",
    b"local",
    b"x86_64-linux-gnu",
    b"aarch64-linux-gnu",
];

/// Names that a path may lack although it has another spelling with them (`/usr/bin` is also `/bin`).
const MERGED: &[&[u8]] = &[b"usr", b"var"];

/// What the rules ask of the names of opened files, of one kind of open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// One of these names; of none: no rule can match.
    Names(BTreeSet<Vec<u8>>),
    /// Whatever the names.
    Every,
}

impl Need {
    const NEVER: Self = Self::Names(BTreeSet::new());

    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Names(mut all), Self::Names(more)) => {
                all.extend(more);
                Self::Names(all)
            }
            _ => Self::Every,
        }
    }

    /// Both must hold, so either may be asked for: the rarer.
    fn and(self, other: Self) -> Self {
        if self.cost() <= other.cost() { self } else { other }
    }

    fn cost(&self) -> usize {
        match self {
            Self::Names(names) => {
                names.iter().map(|name| if COMMON.contains(&name.as_slice()) { 1000 } else { 1 }).sum()
            }
            Self::Every => usize::MAX,
        }
    }

    /// Puts the names into a set; false where every name is wanted.
    pub fn put_into(&self, set: &mut NameSet) -> bool {
        let Self::Names(names) = self else { return false };
        for name in names {
            let mut first = [0; 8];
            let kept = name.len().min(8);
            first[..kept].copy_from_slice(&name[..kept]);
            let bit = name_bit(u64::from_le_bytes(first), name.len() as u64);
            set.bits[bit as usize / 64] |= 1 << (bit % 64);
        }
        true
    }
}

/// What a rule on events of these types needs, of opens that write or of those that do not.
pub fn needed(rule: &Rule, types: &EventTypes, is_write: bool) -> Need {
    if !OPENS.iter().any(|t| types.contains(*t)) && !types.contains(EventType::OpenByHandleAt) {
        return Need::NEVER;
    }
    rule.conditions().iter().map(|c| of(&c.cond, is_write)).fold(Need::NEVER, Need::or)
}

fn of(cond: &Cond, is_write: bool) -> Need {
    match cond {
        Cond::And(parts) => parts.iter().map(|part| of(part, is_write)).fold(Need::Every, Need::and),
        Cond::Or(parts) => parts.iter().map(|part| of(part, is_write)).fold(Need::NEVER, Need::or),
        Cond::Not(inner) => match inner.as_ref() {
            Cond::Atom(atom) => match known(atom, is_write) {
                Some(true) => Need::NEVER,
                _ => Need::Every,
            },
            _ => Need::Every,
        },
        Cond::Atom(atom) => match known(atom, is_write) {
            Some(false) => Need::NEVER,
            Some(true) => Need::Every,
            None => names(atom).map_or(Need::Every, Need::Names),
        },
    }
}

/// What a comparison comes to for such an open, where that can be told.
fn known(atom: &Atom, is_write: bool) -> Option<bool> {
    let Term::Field(field) = &atom.term else { return None };
    let holds = match (field.id, &atom.test) {
        (FieldId::EvtIsOpenWrite, Test::Bool(value)) => *value == is_write,
        (FieldId::EvtType | FieldId::SyscallType, Test::Text(TextOp::Equal, values)) => {
            let is_open = |value: &Vec<u8>| {
                OPENS.iter().chain([&EventType::OpenByHandleAt]).any(|t| t.name().as_bytes() == value)
            };
            if values.iter().any(is_open) {
                return None;
            }
            false
        }
        _ => return None,
    };
    Some(holds != atom.negated)
}

/// Names of which a path must have one for a comparison to hold; nothing where it need not have any.
fn names(atom: &Atom) -> Option<BTreeSet<Vec<u8>>> {
    let (Term::Field(field), Test::Text(op, values), false) = (&atom.term, &atom.test, atom.negated) else {
        return None;
    };
    let name: fn(TextOp, &[u8]) -> Option<&[u8]> = match field.id {
        FieldId::FdName | FieldId::FdDirectory => name_in_path,
        FieldId::FdFilename => |op, value| (op == TextOp::Equal).then_some(value),
        _ => return None,
    };
    let is_whole = |name: &&[u8]| {
        !name.is_empty()
            && name.len() < 256
            && !name.contains(&b'/')
            && !matches!(*name, b"." | b"..")
            && !MERGED.contains(name)
    };
    values.iter().map(|value| name(*op, value).filter(is_whole).map(<[u8]>::to_vec)).collect()
}

/// A whole name that a path must have, the last one: nearest to the file, and the same in all spellings of the path.
fn name_in_path(op: TextOp, value: &[u8]) -> Option<&[u8]> {
    let mut parts: Vec<&[u8]> = value.split(|b| *b == b'/').collect();
    if parts.len() < 2 {
        // Part of a name, or no path at all.
        return None;
    }
    // What is before the first slash may be the end of a name only.
    parts.remove(0);
    match op {
        TextOp::Equal | TextOp::PMatch | TextOp::EndsWith => {
            if parts.last().is_some_and(|part| part.is_empty()) {
                parts.pop();
            }
        }
        // What is behind the last slash may be the beginning of a name only.
        TextOp::StartsWith | TextOp::Contains => {
            parts.pop();
        }
        TextOp::Glob if !value.iter().any(|b| matches!(b, b'[' | b'{' | b'\\')) => {
            parts.retain(|part| !part.iter().any(|b| matches!(b, b'*' | b'?' | b'!')));
        }
        _ => return None,
    }
    parts.pop()
}

#[cfg(test)]
mod tests {
    use super::*;
    use vedette_policy::{PolicySet, Source};

    fn of(condition: &str, is_write: bool) -> Need {
        let text = format!(
            "- rule: r\n  desc: d\n  condition: evt.type in (openat, execve) and {condition}\n  output: o\n  priority: INFO\n"
        );
        let loaded = PolicySet::load([Source::new("t.yaml", text)]);
        let set = loaded.set.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
        needed(&set.rules()[0], &set.event_types_of(0), is_write)
    }

    fn names<const N: usize>(names: [&str; N]) -> Need {
        Need::Names(names.iter().map(|name| name.as_bytes().to_vec()).collect())
    }

    #[test]
    fn the_last_whole_name_of_what_a_path_must_have() {
        for (condition, name) in [
            ("fd.name = /etc/shadow", "shadow"),
            ("fd.name pmatch (/etc/cron.d)", "cron.d"),
            ("fd.name startswith /var/lib/kubelet/pki/kubelet-client", "pki"),
            ("fd.name startswith /proc/", "proc"),
            ("fd.name endswith /.aws/credentials", "credentials"),
            ("fd.name contains /.ssh/", ".ssh"),
            ("fd.name contains x/.ssh/y", ".ssh"),
            ("fd.name glob */.aws/sso/cache/*.json", "cache"),
            ("fd.name glob */.azure/msal_token_cache.*", ".azure"),
            ("fd.directory endswith /.ssh", ".ssh"),
            ("fd.filename = token", "token"),
        ] {
            assert_eq!(of(condition, false), names([name]), "{condition}");
        }
        for condition in [
            "fd.name endswith .so",
            "fd.name contains shadow",
            "fd.name startswith /etc",
            "fd.name glob */[a/b]/c",
            "fd.name icontains /.SSH/",
            "fd.name regex .*/etc/shadow",
            "fd.nameraw = /etc/shadow",
            "fd.name startswith /usr/",
            "fd.name != /etc/shadow",
            "not fd.name = /etc/shadow",
            "fd.filename startswith id_",
            "fd.directory = /",
            "proc.name = x",
        ] {
            assert_eq!(of(condition, false), Need::Every, "{condition}");
        }
    }

    #[test]
    fn what_must_hold_together_gives_the_rarest_and_either_gives_both() {
        assert_eq!(
            of("fd.name startswith /etc/ and fd.filename = shadow and proc.name = x", false),
            names(["shadow"])
        );
        assert_eq!(of("(fd.name = /a/b or fd.filename in (c, d))", false), names(["b", "c", "d"]));
        assert_eq!(of("(fd.name = /a/b or proc.name = x)", false), Need::Every);
        assert_eq!(of("(fd.name = /a/b or evt.type = execve)", false), names(["b"]));
    }

    #[test]
    fn opens_that_write_are_told_apart() {
        let condition = "evt.is_open_write = true and fd.name = /a/b";
        assert_eq!((of(condition, true), of(condition, false)), (names(["b"]), Need::NEVER));
        let condition = "not evt.is_open_write = true";
        assert_eq!((of(condition, true), of(condition, false)), (Need::NEVER, Need::Every));
    }

    /// Nothing that no rule is about comes up while files are read: what makes the built-in rules cheap.
    #[test]
    fn the_built_in_rules_ask_for_files_by_name() {
        let set = PolicySet::load(crate::policies::built_in()).set.unwrap();
        for (index, rule) in set.rules().iter().enumerate() {
            let need = needed(rule, &set.event_types_of(index), false);
            assert_ne!(need, Need::Every, "`{}` asks for every file that is read", rule.name);
        }
    }
}
