//! From what the files say to checked rules: definitions, lists, macros, exceptions, types.

mod amend;
mod collect;
mod cond;
pub mod convert;
mod exceptions;
mod expand;
mod lint;
mod lists;
mod lower;
mod lower_value;
mod policy;
mod scope;
mod version;

pub use cond::{Atom, Cond, NumberOp, Test, TextOp};
pub use lint::lint_rules;
pub use policy::check_documents;
pub use version::ENGINE_VERSION;
