//! From the text of a field, such as `proc.aname[2]` or `evt.arg.flags`, to the field and its argument.

use std::fmt;

use super::{ArgKind, FIELDS, FieldId};
use crate::diagnostic::nearest;

/// The argument of a field.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum FieldArg {
    /// None given.
    #[default]
    None,
    /// A number: a level of ancestry or the position of an argument.
    Index(u32),
    /// A key.
    Key(Box<str>),
}

impl FieldArg {
    /// The key, if it is one.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Key(key) => Some(key),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub fn index(&self) -> Option<u32> {
        match self {
            Self::Index(index) => Some(*index),
            _ => None,
        }
    }
}

/// A field with its argument.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldName {
    /// The field.
    pub id: FieldId,
    /// Its argument.
    pub arg: FieldArg,
}

/// Why a text names no field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldNameError {
    /// There is no such field.
    #[error("unknown field `{name}`")]
    Unknown {
        /// The text.
        name: String,
        /// The nearest name there is.
        nearest: Option<&'static str>,
    },
    /// The field takes an argument.
    #[error("`{name}` needs an argument, as in `{name}[…]`")]
    NeedsArgument {
        /// The field.
        name: &'static str,
    },
    /// The field takes none.
    #[error("`{name}` takes no argument")]
    TakesNoArgument {
        /// The field.
        name: &'static str,
    },
    /// The field takes a number.
    #[error("`{name}` takes a level of ancestry such as `{name}[2]`, not `{arg}`")]
    NotALevel {
        /// The field.
        name: &'static str,
        /// What was given.
        arg: String,
    },
}

impl FieldName {
    /// A field without argument.
    pub fn plain(id: FieldId) -> Self {
        Self { id, arg: FieldArg::None }
    }

    /// Finds the field of that name (`evt.arg.flags` has a dotted argument), with the argument in brackets, if any.
    pub fn resolve(name: &str, arg: Option<&str>) -> Result<Self, FieldNameError> {
        if let Some(field) = FIELDS.iter().find(|f| f.name == name) {
            let arg = match (field.arg, arg) {
                (ArgKind::None, None) | (ArgKind::OptionalKey | ArgKind::Level, None) => FieldArg::None,
                (ArgKind::None, Some(_)) => {
                    return Err(FieldNameError::TakesNoArgument { name: field.name });
                }
                (ArgKind::Key, None) => return Err(FieldNameError::NeedsArgument { name: field.name }),
                (ArgKind::Level, Some(arg)) => match arg.parse() {
                    Ok(level) => FieldArg::Index(level),
                    Err(_) => {
                        return Err(FieldNameError::NotALevel { name: field.name, arg: arg.to_owned() });
                    }
                },
                (ArgKind::Key | ArgKind::OptionalKey, Some(arg)) => match arg.parse() {
                    Ok(index) => FieldArg::Index(index),
                    Err(_) => FieldArg::Key(arg.into()),
                },
            };
            return Ok(Self { id: field.id, arg });
        }
        let dotted = FIELDS
            .iter()
            .filter(|f| matches!(f.arg, ArgKind::Key | ArgKind::OptionalKey) && arg.is_none())
            .filter_map(|f| Some((f, name.strip_prefix(f.name)?.strip_prefix('.')?)))
            .max_by_key(|(f, _)| f.name.len());
        if let Some((field, key)) = dotted
            && !key.is_empty()
        {
            return Ok(Self { id: field.id, arg: FieldArg::Key(key.into()) });
        }
        Err(FieldNameError::Unknown {
            name: name.to_owned(),
            nearest: nearest(name, FIELDS.iter().map(|f| f.name)),
        })
    }

    /// Parses `name`, `name[arg]` or `name.arg`.
    pub fn parse(text: &str) -> Result<Self, FieldNameError> {
        match text.split_once('[') {
            Some((name, rest)) => Self::resolve(name, Some(rest.strip_suffix(']').unwrap_or(rest))),
            None => Self::resolve(text, None),
        }
    }
}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id.name())?;
        match &self.arg {
            FieldArg::None => Ok(()),
            FieldArg::Index(index) => write!(f, "[{index}]"),
            FieldArg::Key(key)
                if matches!(self.id, FieldId::EvtArg | FieldId::EvtRawarg | FieldId::EvtTypeIs) =>
            {
                write!(f, ".{key}")
            }
            FieldArg::Key(key) => write!(f, "[{key}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, String> {
        FieldName::parse(text).map(|f| f.to_string()).map_err(|e| e.to_string())
    }

    #[test]
    fn names_and_arguments() {
        assert_eq!(parse("proc.name"), Ok("proc.name".into()));
        assert_eq!(parse("proc.aname[2]"), Ok("proc.aname[2]".into()));
        assert_eq!(parse("evt.arg[flags]"), Ok("evt.arg.flags".into()));
        assert_eq!(parse("evt.arg.res_or_fd"), Ok("evt.arg.res_or_fd".into()));
        assert_eq!(parse("evt.arg[0]"), Ok("evt.arg[0]".into()));
        assert_eq!(parse("proc.env[PATH]"), Ok("proc.env[PATH]".into()));
        assert_eq!(
            parse("container.mount.dest[/etc/kubernetes]"),
            Ok("container.mount.dest[/etc/kubernetes]".into())
        );
        assert_eq!(parse("k8s.pod.label.app"), Ok("k8s.pod.label[app]".into()));
        assert_eq!(parse("proc.nam"), Err("unknown field `proc.nam`".into()));
        assert!(parse("proc.name[1]").is_err());
        assert!(parse("proc.aname[x]").is_err());
        assert!(parse("evt.arg").is_err());
    }

    #[test]
    fn a_wrong_name_has_a_near_one() {
        let Err(FieldNameError::Unknown { nearest, .. }) = FieldName::parse("proc.exepth") else { panic!() };
        assert_eq!(nearest, Some("proc.exepath"));
    }
}
