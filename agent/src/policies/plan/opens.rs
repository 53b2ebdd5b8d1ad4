//! What a rule on opens needs of the names in the path of a file, or of the name of the program that opens it. Opens that
//! have nothing of it are dropped in the kernel.
//!
//! A condition is followed twice, for opens that may change something and for those that do not, everything else left
//! open. Of what must hold together the part that asks for the rarest names is taken; where no part asks for a name,
//! every such open is wanted.

use std::collections::BTreeSet;

use vedette_abi::{NameSet, name_bit, name_kind};
use vedette_policy::{
    EventType, EventTypes, FieldId, Rule,
    check::{Atom, Cond, Test, TextOp},
    term::{Function, Term, TermArg},
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

/// A name, as far as a condition tells it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// A directory or file in the path has this name.
    Whole(Vec<u8>),
    /// A directory or file in the path begins with these three bytes.
    Begins([u8; name_kind::PREFIX as usize]),
    /// A directory or file in the path ends with these four bytes.
    Ends([u8; name_kind::SUFFIX as usize]),
    /// A directory or file in the path ends with these six bytes.
    EndsLong([u8; name_kind::LONG_SUFFIX as usize]),
    /// The file of the program has this name.
    Program(Vec<u8>),
    /// The name of that file begins with these three bytes.
    ProgramBegins([u8; name_kind::PREFIX as usize]),
}

impl Name {
    fn whole(name: &[u8]) -> Option<Self> {
        let is_one = is_plain(name) && !MERGED.contains(&name);
        is_one.then(|| Self::Whole(name.to_vec()))
    }

    fn begins(name: &[u8]) -> Option<Self> {
        name.first_chunk().copied().filter(|bytes| is_plain(bytes)).map(Self::Begins)
    }

    fn ends(name: &[u8]) -> Option<Self> {
        let long = name.last_chunk().copied().filter(|bytes| is_plain(bytes)).map(Self::EndsLong);
        long.or_else(|| name.last_chunk().copied().filter(|bytes| is_plain(bytes)).map(Self::Ends))
    }

    fn program(name: &[u8]) -> Option<Self> {
        is_plain(name).then(|| Self::Program(name.to_vec()))
    }

    fn bit(&self) -> u32 {
        let (kind, name): (u64, &[u8]) = match self {
            Self::Whole(name) => (name_kind::WHOLE, name),
            Self::Begins(bytes) => (name_kind::BEGINS, bytes),
            Self::Ends(bytes) => (name_kind::ENDS, bytes),
            Self::EndsLong(bytes) => (name_kind::ENDS_LONG, bytes),
            Self::Program(name) => (name_kind::PROGRAM, name),
            Self::ProgramBegins(bytes) => (name_kind::PROGRAM_BEGINS, bytes),
        };
        let mut first = [0; 8];
        first.iter_mut().zip(name).for_each(|(to, from)| *to = *from);
        name_bit(kind, u64::from_le_bytes(first), name.len() as u64)
    }

    /// How many opens it is likely to keep.
    fn cost(&self) -> usize {
        match self {
            Self::Whole(name) if COMMON.contains(&name.as_slice()) => 1000,
            Self::Whole(_) => 1,
            Self::Ends(_) | Self::EndsLong(_) | Self::Begins(_) => 4,
            Self::Program(_) | Self::ProgramBegins(_) => 20,
        }
    }
}

/// One name, and not one with a meaning of its own.
fn is_plain(name: &[u8]) -> bool {
    !name.is_empty() && name.len() < 256 && !name.contains(&b'/') && !matches!(name, b"." | b"..")
}

/// What the rules ask of the names of opens of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// One of these; of none: no rule can match.
    Names(BTreeSet<Name>),
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
            Self::Names(names) => names.iter().map(Name::cost).sum(),
            Self::Every => usize::MAX,
        }
    }

    /// Puts the names into a set; false where every name is wanted.
    pub fn put_into(&self, set: &mut NameSet) -> bool {
        let Self::Names(names) = self else { return false };
        for bit in names.iter().map(Name::bit) {
            set.bits[bit as usize / 64] |= 1 << (bit % 64);
        }
        true
    }
}

/// What a rule on events of these types needs, of opens that may change something or of those that do not.
pub fn needed(rule: &Rule, types: &EventTypes, may_change: bool) -> Need {
    if !OPENS.iter().any(|t| types.contains(*t)) && !types.contains(EventType::OpenByHandleAt) {
        return Need::NEVER;
    }
    rule.conditions().iter().map(|c| of(&c.cond, may_change)).fold(Need::NEVER, Need::or)
}

fn of(cond: &Cond, may_change: bool) -> Need {
    match cond {
        Cond::And(parts) => parts.iter().map(|part| of(part, may_change)).fold(Need::Every, Need::and),
        Cond::Or(parts) => parts.iter().map(|part| of(part, may_change)).fold(Need::NEVER, Need::or),
        Cond::Not(inner) => match inner.as_ref() {
            Cond::Atom(atom) => match known(atom, may_change) {
                Some(true) => Need::NEVER,
                _ => Need::Every,
            },
            _ => Need::Every,
        },
        Cond::Atom(atom) => match known(atom, may_change) {
            Some(false) => Need::NEVER,
            Some(true) => Need::Every,
            None => names(atom).map_or(Need::Every, Need::Names),
        },
    }
}

/// What a comparison comes to for such an open, where that can be told.
fn known(atom: &Atom, may_change: bool) -> Option<bool> {
    let Term::Field(field) = &atom.term else { return None };
    let holds = match (field.id, &atom.test) {
        (FieldId::EvtIsOpenWrite | FieldId::EvtIsOpenCreate | FieldId::EvtIsOpenExec, Test::Bool(value))
            if !may_change =>
        {
            !*value
        }
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

/// Names of which an open must have one for a comparison to hold; nothing where it need not have any.
fn names(atom: &Atom) -> Option<BTreeSet<Name>> {
    let (Test::Text(op, values), false) = (&atom.test, atom.negated) else { return None };
    let name: fn(TextOp, &[u8]) -> Option<Name> = match &atom.term {
        Term::Field(field) => match field.id {
            FieldId::FdName | FieldId::FdRealpath | FieldId::FsPathName | FieldId::FsPathPlace => in_path,
            // Of what lies in the root directory it is `/`.
            FieldId::FdDirectory => in_path,
            FieldId::FdFilename => in_name,
            FieldId::ProcExepath => |op, value| match op {
                TextOp::Equal => Name::program(value.rsplit(|b| *b == b'/').next()?),
                _ => None,
            },
            _ => return None,
        },
        Term::Call { function: Function::Basename, args, index: None } => match args.as_slice() {
            [TermArg::Term(Term::Field(field))] if field.id == FieldId::ProcExepath => |op, value| match op {
                TextOp::Equal => Name::program(value),
                TextOp::StartsWith => value.first_chunk().copied().map(Name::ProgramBegins),
                _ => None,
            },
            _ => return None,
        },
        Term::Call { .. } => return None,
    };
    values.iter().map(|value| name(*op, value)).collect()
}

/// What the last name of a path is, by a comparison with it.
fn in_name(op: TextOp, value: &[u8]) -> Option<Name> {
    match op {
        TextOp::Equal => Name::whole(value),
        TextOp::StartsWith => Name::begins(value),
        TextOp::EndsWith => Name::ends(value),
        TextOp::Glob => in_pattern(value),
        _ => None,
    }
}

/// A name that a path must have by a comparison with it: the last one, nearest to the file, and the same in all spellings
/// of the path.
fn in_path(op: TextOp, value: &[u8]) -> Option<Name> {
    let parts: Vec<&[u8]> = value.split(|b| *b == b'/').collect();
    // What is before the first slash may be the end of a name only.
    let (first, rest) = parts.split_first()?;
    let last = rest.iter().rev().find(|part| !part.is_empty());
    match op {
        TextOp::Equal | TextOp::PMatch => Name::whole(last?),
        TextOp::EndsWith => match last {
            Some(last) => Name::whole(last),
            None => Name::ends(first),
        },
        // What is behind the last slash may be the beginning of a name only.
        TextOp::StartsWith | TextOp::Contains => {
            let (open, whole) = rest.split_last()?;
            let begins = Name::begins(open);
            begins.or_else(|| Name::whole(whole.iter().rev().find(|part| !part.is_empty())?))
        }
        TextOp::Glob if is_simple(value) => rest.iter().rev().find_map(|part| in_pattern(part)),
        _ => None,
    }
}

/// Whether a shell pattern has no signs but `*` and `?`.
fn is_simple(pattern: &[u8]) -> bool {
    !pattern.iter().any(|b| matches!(b, b'[' | b'{' | b'\\' | b'!'))
}

/// What a shell pattern says of a name.
fn in_pattern(pattern: &[u8]) -> Option<Name> {
    if !is_simple(pattern) {
        return None;
    }
    let is_sign = |b: &u8| matches!(b, b'*' | b'?');
    let Some(first) = pattern.iter().position(is_sign) else { return Name::whole(pattern) };
    let behind = pattern.iter().rposition(is_sign).map_or(pattern.len(), |last| last + 1);
    // A `*` also goes for slashes, so only what has no sign between it and the next slash belongs to one name.
    Name::begins(&pattern[..first]).or_else(|| Name::ends(&pattern[behind..]))
}

#[cfg(test)]
mod tests;
