//! What a comparison, an output or a key reads from an event: a field, or something computed from fields.

use std::fmt;

use crate::field::{FieldName, FieldType, Multiplicity};
pub use crate::syntax::ast::Function;

/// A field, or something computed from fields, with its names resolved.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Term {
    /// A field.
    Field(FieldName),
    /// A transformer.
    Call {
        /// Which.
        function: Function,
        /// Its arguments.
        args: Vec<TermArg>,
        /// The trailing `[…]`.
        index: Option<String>,
    },
}

/// An argument of a transformer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TermArg {
    /// Something to read.
    Term(Term),
    /// Bytes as they are.
    Literal(Vec<u8>),
}

impl Term {
    /// The type of its values.
    pub fn value_type(&self) -> FieldType {
        match self {
            Self::Field(field) => field.id.info().r#type,
            Self::Call { function: Function::Len, .. } => FieldType::Uint,
            Self::Call { function: Function::B64, .. } => FieldType::Bytes,
            Self::Call { .. } => FieldType::String,
        }
    }

    /// How many values it has.
    pub fn multiplicity(&self) -> Multiplicity {
        match self {
            Self::Field(field) => {
                let many = field.id.info().multiplicity;
                let one_level = many == Multiplicity::Ancestors && field.arg.index().is_some();
                if one_level { Multiplicity::One } else { many }
            }
            Self::Call { function: Function::Len | Function::Join | Function::Concat, .. } => {
                Multiplicity::One
            }
            Self::Call { function: Function::GetOpt, index, .. } => {
                if index.is_some() {
                    Multiplicity::One
                } else {
                    Multiplicity::List
                }
            }
            Self::Call { args, .. } => match args.first() {
                Some(TermArg::Term(term)) => term.multiplicity(),
                _ => Multiplicity::One,
            },
        }
    }

    /// The fields it reads.
    pub fn fields(&self) -> Vec<&FieldName> {
        match self {
            Self::Field(field) => vec![field],
            Self::Call { args, .. } => args.iter().filter_map(TermArg::term).flat_map(Term::fields).collect(),
        }
    }

    /// What reading it costs, as for [`FieldInfo::cost`](crate::field::FieldInfo::cost).
    pub fn cost(&self) -> u32 {
        match self {
            Self::Field(field) => u32::from(field.id.info().cost),
            Self::Call { args, .. } => 3 + args.iter().filter_map(TermArg::term).map(Term::cost).sum::<u32>(),
        }
    }
}

impl TermArg {
    /// The term, if it is one.
    pub fn term(&self) -> Option<&Term> {
        match self {
            Self::Term(term) => Some(term),
            Self::Literal(_) => None,
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(field) => field.fmt(f),
            Self::Call { function, args, index } => {
                write!(f, "{}(", function.as_str())?;
                for (i, arg) in args.iter().enumerate() {
                    if i > 0 {
                        f.write_str(", ")?;
                    }
                    match arg {
                        TermArg::Term(term) => term.fmt(f)?,
                        TermArg::Literal(bytes) => write!(f, "{:?}", String::from_utf8_lossy(bytes))?,
                    }
                }
                f.write_str(")")?;
                index.as_ref().map_or(Ok(()), |index| write!(f, "[{index}]"))
            }
        }
    }
}
