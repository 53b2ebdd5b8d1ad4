//! The names of files.
//!
//! A file can have several: the one that the kernel resolved, the one that it has without the bind mount it was
//! reached through, and the one that was asked for. The policies are held against each of them in turn, so that no
//! other name hides a watched file; [`Naming`] says which of them the facts tell.

use std::cell::OnceCell;

use vedette_event::{
    Body, Strings,
    abi::{Call, FileOpen},
};

use super::{LiveFacts, text::Assembled};
use crate::spelling;
use crate::value::Value;

/// A path that is put together.
pub type Text = Assembled<192>;

/// Which of a file's names the facts tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Naming {
    /// What the kernel resolved, or where it is not told, what was asked for.
    #[default]
    Resolved,
    /// Without the bind mount that it was reached through; there can be several such names, counted from 0.
    Alias(usize),
    /// What was asked for, made absolute as text.
    Passed,
}

/// Which path of a call that takes two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The first string of the record.
    First,
    /// The second.
    Second,
}

/// What the paths of a call are in the words of `fs.path.*`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Roles {
    /// `fs.path.name`
    pub name: Option<Which>,
    /// `fs.path.place`
    pub place: Option<Which>,
    /// `fs.path.source`
    pub source: Option<Which>,
    /// `fs.path.target`
    pub target: Option<Which>,
}

/// The roles of a call's paths. A link's source is the new name, its target is what it leads to.
pub fn roles(call: Call) -> Roles {
    let (first, second) = (Some(Which::First), Some(Which::Second));
    match call {
        Call::Rename | Call::Renameat | Call::Renameat2 => {
            Roles { name: None, place: second, source: first, target: second }
        }
        Call::Link | Call::Linkat | Call::Symlink | Call::Symlinkat => {
            Roles { name: None, place: second, source: second, target: first }
        }
        Call::Mount | Call::MoveMount => Roles { name: None, place: first, source: second, target: first },
        call if call.spec().raw != 0 => Roles { name: first, place: first, source: None, target: None },
        _ => Roles::default(),
    }
}

/// Whether [`normalise`] would change nothing.
fn is_normal(path: &[u8]) -> bool {
    path == b"/" || path.split(|b| *b == b'/').skip(1).all(|part| !matches!(part, b"" | b"." | b".."))
}

/// Takes `.`, `..` and doubled slashes out of an absolute path, as text. The path may come in pieces.
fn normalise(pieces: &[&[u8]]) -> Text {
    let mut out = Assembled::new();
    for part in pieces.iter().flat_map(|piece| piece.split(|b| *b == b'/')) {
        match part {
            b"" | b"." => {}
            b".." => {
                let parent = out.as_bytes().iter().rposition(|b| *b == b'/').unwrap_or(0);
                out.truncate(parent);
            }
            part => {
                out.push(b"/");
                out.push(part);
            }
        }
    }
    if out.as_bytes().is_empty() {
        out.push(b"/");
    }
    out
}

/// A path as it was passed, made absolute. `base` is the directory that it begins in: of an absolute path the root of
/// a process that has one of its own, else empty.
fn passed<'a>(cell: &'a OnceCell<Text>, base: &'a [u8], raw: &'a [u8]) -> Value<'a> {
    match (base, raw) {
        ([], []) => Value::Absent,
        // Of a call on a descriptor itself.
        (base, []) => Value::bytes(base),
        ([], [b'/', ..]) if is_normal(raw) => Value::bytes(raw),
        ([], [b'/', ..]) => Value::bytes(cell.get_or_init(|| normalise(&[raw])).as_bytes()),
        // Relative to a directory that is not told: as it is.
        ([], _) => Value::bytes(raw),
        (base, raw) => Value::bytes(cell.get_or_init(|| normalise(&[base, raw])).as_bytes()),
    }
}

/// The directory that the path of an open begins in.
fn base_of_open<'a>(open: &FileOpen, path: &'a [u8], cwd: &'a [u8]) -> &'a [u8] {
    match open.base_end.checked_sub(1) {
        Some(end) => path.get(..usize::from(end)).unwrap_or_default(),
        None => cwd,
    }
}

/// The path that an event is about: of what was opened, of what is behind the descriptor, of what a call names.
pub fn name<'a>(facts: &'a LiveFacts<'_>) -> Value<'a> {
    match &facts.view.record.body {
        Body::FileOpen { facts: open, path, raw, cwd, alias } => {
            let relative = !raw.is_empty() && raw[0] != b'/';
            let base = base_of_open(open, path, cwd);
            let told = open.base_end != 0 && relative;
            match facts.naming {
                Naming::Alias(nth) => match aliases(alias).nth(nth) {
                    Some(alias) => Value::bytes(alias),
                    None => Value::Absent,
                },
                Naming::Resolved if !path.is_empty() => Value::bytes(path),
                // The directory is the root itself.
                _ if told && base.is_empty() => {
                    Value::bytes(facts.first.get_or_init(|| normalise(&[raw])).as_bytes())
                }
                _ => passed(&facts.first, base, raw),
            }
        }
        Body::Syscall { strings, .. } if !strings.path.is_empty() => Value::bytes(strings.path),
        _ => Value::Absent,
    }
}

fn strings<'a>(facts: &'a LiveFacts<'_>) -> Option<&'a Strings<'a>> {
    match &facts.view.record.body {
        Body::Syscall { strings, .. } | Body::ProcessChange { strings, .. } => Some(strings),
        _ => None,
    }
}

/// A path of a call: as it was resolved, else as passed and made absolute.
pub fn of_call<'a>(facts: &'a LiveFacts<'_>, which: Which) -> Value<'a> {
    let Some(strings) = strings(facts) else { return Value::Absent };
    let (cell, target, base, raw) = match which {
        Which::First => (&facts.first, strings.target, strings.base, strings.raw),
        Which::Second => (&facts.second, strings.target2, strings.base2, strings.raw2),
    };
    if facts.naming != Naming::Passed && !target.is_empty() {
        return Value::bytes(target);
    }
    // What is mounted is not looked for in the working directory: a device has a whole path, and the rest are no files.
    if which == Which::Second && facts.view.record.call == Some(Call::Mount) && target.is_empty() {
        return self::raw(facts, which);
    }
    // What a symbolic link holds is read from the directory that the link is in.
    if which == Which::First && !raw.starts_with(b"/") && is_symlink(facts) && !raw.is_empty() {
        let link = of_call(facts, Which::Second);
        let directory = link.as_bytes().map(directory).unwrap_or_default();
        return Value::bytes(facts.first.get_or_init(|| normalise(&[directory, raw])).as_bytes());
    }
    passed(cell, base, raw)
}

fn is_symlink(facts: &LiveFacts<'_>) -> bool {
    matches!(facts.view.record.call, Some(Call::Symlink | Call::Symlinkat))
}

/// A path of a call as passed.
pub fn raw<'a>(facts: &'a LiveFacts<'_>, which: Which) -> Value<'a> {
    let raw = match (&facts.view.record.body, which) {
        (Body::FileOpen { raw, .. }, Which::First) => raw,
        (Body::Syscall { strings, .. } | Body::ProcessChange { strings, .. }, Which::First) => strings.raw,
        (Body::Syscall { strings, .. } | Body::ProcessChange { strings, .. }, Which::Second) => strings.raw2,
        _ => return Value::Absent,
    };
    if raw.is_empty() { Value::Absent } else { Value::bytes(raw) }
}

/// The directory of a path.
pub fn directory(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|b| *b == b'/') {
        Some(0) => &path[..1],
        Some(at) => &path[..at],
        // Not `&[]`: that would be no part of the path.
        None => &path[..0],
    }
}

/// The last component of a path.
pub fn filename(path: &[u8]) -> &[u8] {
    path.rsplit(|b| *b == b'/').next().unwrap_or_default()
}

/// The names that a record tells beside the path.
fn aliases(alias: &[u8]) -> impl Iterator<Item = &[u8]> {
    alias.split(|b| *b == 0).filter(|name| !name.is_empty())
}

/// Names under which the policies have to be held against the event once more.
pub fn further<'v>(facts: &LiveFacts<'v>) -> impl Iterator<Item = LiveFacts<'v>> + use<'v> {
    let (alias, passed) = match &facts.view.record.body {
        Body::FileOpen { facts: open, path, raw, alias, .. } => {
            let mut is_other = [false; 2];
            for (is_other, alias) in is_other.iter_mut().zip(aliases(alias)) {
                *is_other = alias != *path;
            }
            (is_other, !path.is_empty() && !says_the_same(open, path, raw) && differs(facts, name))
        }
        Body::Syscall { strings, .. } if !strings.target.is_empty() || !strings.target2.is_empty() => {
            let differs = |which| differs(facts, |facts| of_call(facts, which));
            ([false; 2], differs(Which::First) || differs(Which::Second))
        }
        _ => ([false; 2], false),
    };
    let view = facts.view;
    let namings = [
        alias[0].then_some(Naming::Alias(0)),
        alias[1].then_some(Naming::Alias(1)),
        passed.then_some(Naming::Passed),
    ];
    namings.into_iter().flatten().filter_map(move |naming| LiveFacts::named(view, naming))
}

/// Whether an open asked for what it got, told without making the path absolute: the plain case.
fn says_the_same(open: &FileOpen, path: &[u8], raw: &[u8]) -> bool {
    let Some(end) = open.base_end.checked_sub(1) else { return raw == path };
    let Some((base, rest)) = path.split_at_checked(usize::from(end)) else { return false };
    match raw {
        // From the root, also where that is the process's own.
        [b'/', ..] => rest == raw,
        raw => rest.strip_prefix(b"/") == Some(raw) || raw == b"." && (rest.is_empty() || base.is_empty()),
    }
}

/// Whether what was asked for is another name than what was resolved, merged spellings apart.
fn differs(facts: &LiveFacts<'_>, name: impl for<'f> Fn(&'f LiveFacts<'_>) -> Value<'f>) -> bool {
    let Some(asked) = LiveFacts::named(facts.view, Naming::Passed) else { return false };
    let (resolved, asked) = (name(facts), name(&asked));
    match (resolved.as_bytes(), asked.as_bytes()) {
        (Some(resolved), Some(asked)) => {
            // A path that is not absolute names nothing.
            asked.starts_with(b"/")
                && asked != resolved
                && spelling::merged(asked).is_none_or(|merged| merged != resolved)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_canonical_as_text() {
        for (from, to) in [
            ("/etc//passwd", "/etc/passwd"),
            ("/a/./b/../c", "/a/c"),
            ("/../..", "/"),
            ("/a/..", "/"),
            ("/", "/"),
        ] {
            assert_eq!(normalise(&[from.as_bytes()]).as_bytes(), to.as_bytes(), "{from}");
            assert_eq!(is_normal(from.as_bytes()), from == to, "{from}");
        }
    }

    #[test]
    fn long_paths_and_pieces() {
        let long = "/x".repeat(2000);
        let whole = format!("{long}/./../y");
        let out = normalise(&[whole.as_bytes(), b"../z"]);
        assert_eq!(out.as_bytes(), format!("{}/z", "/x".repeat(1999)).as_bytes());
        let up = "../".repeat(3000);
        assert_eq!(normalise(&[long.as_bytes(), up.as_bytes(), b"etc"]).as_bytes(), b"/etc");
    }

    #[test]
    fn a_path_in_its_parts() {
        for (path, dir, file) in
            [("/etc/shadow", "/etc", "shadow"), ("/x", "/", "x"), ("x", "", "x"), ("/a/", "/a", "")]
        {
            assert_eq!(directory(path.as_bytes()), dir.as_bytes(), "{path}");
            assert_eq!(filename(path.as_bytes()), file.as_bytes(), "{path}");
        }
    }
}
