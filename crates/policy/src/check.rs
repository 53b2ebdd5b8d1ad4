//! From what the files say to checked rules: definitions, lists, macros, exceptions, types.

mod collect;
mod cond;
mod exceptions;
mod expand;
mod lint;
mod lists;
mod lower;
mod lower_value;
mod policy;
mod scope;
mod version;

pub(crate) use collect::Definitions;
pub use cond::{Atom, Cond, NumberOp, Test, TextOp};
pub(crate) use expand::Macros;
pub use lint::lint_rules;
pub(crate) use lists::Lists;
pub use policy::check_documents;
pub use version::ENGINE_VERSION;
