//! What the kernel can do with a comparison.

use serde::Serialize;

use crate::check::{Atom, Test, TextOp};
use crate::event_type::EventType;
use crate::field::{Dimension, FieldId};
use crate::term::Term;

/// What the kernel can do with a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "kernel", rename_all = "lowercase")]
pub enum Decision {
    /// Decide it.
    Exactly,
    /// Exclude events by a mask that user space works out for each process.
    Mask,
    /// Nothing: user space decides.
    No,
}

/// The dimension of a comparison in the kernel's classifier.
pub(super) fn dimension(atom: &Atom) -> Dimension {
    match &atom.term {
        _ if atom.is_scope => Dimension::Identity,
        Term::Field(field) => field.id.info().dimension,
        // A transformer of facts of the subject is a fact of the subject.
        Term::Call { .. } => {
            let of_subject = |d| matches!(d, Dimension::Subject | Dimension::Identity);
            if atom.term.fields().iter().all(|f| of_subject(f.id.info().dimension)) {
                Dimension::Subject
            } else {
                Dimension::UserSpace
            }
        }
    }
}

/// What the kernel can do with a comparison.
pub fn decision(atom: &Atom) -> Decision {
    let against_field = matches!(atom.test, Test::NumberField(..) | Test::TextField(..) | Test::InField(_));
    match dimension(atom) {
        _ if why_not_exact(atom).is_none() => Decision::Exactly,
        Dimension::Subject | Dimension::Identity if !against_field => Decision::Mask,
        _ => Decision::No,
    }
}

/// Why the kernel cannot decide a comparison exactly; `None` if it can.
pub(super) fn why_not_exact(atom: &Atom) -> Option<&'static str> {
    if atom.is_scope {
        return None;
    }
    let Term::Field(field) = &atom.term else { return Some("the kernel computes no transformers") };
    if matches!(atom.test, Test::NumberField(..) | Test::TextField(..) | Test::InField(_)) {
        return Some("the kernel compares no two fields");
    }
    let equality = matches!(atom.test, Test::Text(TextOp::Equal, _) | Test::NumberIn(_));
    let prefix = matches!(atom.test, Test::Text(TextOp::StartsWith | TextOp::PMatch, _));
    let number = matches!(atom.test, Test::Number(..) | Test::NumberIn(_));
    match field.id.info().dimension {
        Dimension::Event => None,
        Dimension::Identity if equality || number || prefix && field.id == FieldId::ProcExepath => None,
        Dimension::Identity => Some("the kernel compares this fact with whole values only"),
        Dimension::Subject => {
            Some("user space works this out after the exec, so the kernel may not know it yet")
        }
        Dimension::Path
            if !matches!(
                field.id,
                FieldId::FdName | FieldId::FdRealpath | FieldId::FsPathName | FieldId::FsPathPlace
            ) =>
        {
            match field.id {
                FieldId::FdDirectory if equality => None,
                _ => Some(
                    "the kernel compares whole resolved paths (fd.name), or directories (fd.directory =)",
                ),
            }
        }
        Dimension::Path if equality || prefix => None,
        Dimension::Path => Some("the kernel compares paths with =, in, startswith and pmatch only"),
        Dimension::Flags if matches!(atom.test, Test::Bool(_)) => None,
        Dimension::Flags => Some("the kernel compares flags with true and false only"),
        Dimension::Address if matches!(atom.test, Test::Net(_)) => None,
        Dimension::Address => Some("the kernel knows addresses, not names"),
        Dimension::Port if number => None,
        Dimension::Port => Some("the kernel compares ports with numbers only"),
        Dimension::Argument => match field.id {
            FieldId::FdTypechar | FieldId::FdType | FieldId::FdL4proto | FieldId::FdSockfamily
                if equality =>
            {
                None
            }
            FieldId::EvtRawarg if number => None,
            FieldId::FdNum | FieldId::EvtRes | FieldId::EvtRawres | FieldId::EvtFailed => {
                Some("the result is not known before the operation is allowed")
            }
            FieldId::EvtArg => Some("this is text that user space formats; compare evt.rawarg with numbers"),
            _ => Some("user space works this out"),
        },
        Dimension::UserSpace => Some("user space works this out"),
    }
}

/// Whether the kernel has a hook that can refuse an event of that type.
pub fn can_deny(event_type: EventType) -> bool {
    use EventType as E;
    matches!(
        event_type,
        E::Execve
            | E::Execveat
            | E::Open
            | E::Openat
            | E::Openat2
            | E::OpenByHandleAt
            | E::Creat
            | E::Unlink
            | E::Unlinkat
            | E::Rmdir
            | E::Rename
            | E::Renameat
            | E::Renameat2
            | E::Mkdir
            | E::Mkdirat
            | E::Link
            | E::Linkat
            | E::Symlink
            | E::Symlinkat
            | E::Mount
            | E::Umount2
            | E::MoveMount
            | E::PivotRoot
            | E::Ptrace
            | E::Bpf
            | E::InitModule
            | E::FinitModule
            | E::Socket
            | E::Bind
            | E::Connect
            | E::Sendto
            | E::Sendmsg
            | E::Sendmmsg
    )
}
