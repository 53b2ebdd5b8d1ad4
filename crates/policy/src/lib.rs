//! The policy language: parse, check, compile, evaluate.
//!
//! Text becomes a verdict on an event in five steps, each a module:
//!
//! 1. [`document`]: YAML files with source positions: Falco rule files and native policies.
//! 2. [`syntax`]: the text of conditions and output templates to trees.
//! 3. [`check`]: lists, macros, exceptions and overrides resolved; names and types checked against the [`field`]
//!    registry and the [`event_type`] table; findings as [`diagnostic`]s.
//! 4. `compile`: all rules to one graph of tests, specialised for each event type.
//! 5. [`evaluator`]: events, which implement [`facts::Facts`], to matches.
//!
//! [`correlate`] makes one match of several events where a rule asks for it.
//!
//! [`PolicySet::load`] does the first four; an [`Evaluator`] the last.
//!
//! ```
//! use serde_json::json;
//! use vedette_policy::{Evaluator, MapFacts, PolicySet, Source};
//!
//! let loaded = PolicySet::load([Source::new("shadow.yaml", r#"
//! - macro: opened_to_read
//!   condition: evt.type in (open, openat, openat2) and evt.is_open_read = true
//! - rule: Shadow file read
//!   desc: Password hashes are read.
//!   condition: opened_to_read and fd.name = /etc/shadow and not proc.name in (sshd, login)
//!   output: "%fd.name read by %proc.name (parent %proc.pname)"
//!   priority: Warning
//!   tags: [T1003.008]
//! "#)]);
//! let set = loaded.set.expect("it is good");
//! let mut evaluator = Evaluator::new(set);
//! let event = json!({
//!     "evt.type": "openat", "evt.is_open_read": true, "fd.name": "/etc/shadow", "proc.name": "cat",
//! });
//! let fields = event.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value));
//! let mut outputs = Vec::new();
//! evaluator.evaluate(&MapFacts::from_json(fields)?, |matched| outputs.push(matched.output));
//! assert_eq!(outputs, ["/etc/shadow read by cat (parent <NA>)"]);
//! # Ok::<(), vedette_policy::facts::FactsError>(())
//! ```

pub mod check;
mod compile;
mod condition;
pub mod correlate;
pub mod diagnostic;
pub mod document;
mod eval;
pub mod evaluator;
pub mod event_type;
pub mod explain;
pub mod facts;
pub mod field;
pub mod load;
pub mod output;
pub mod pipeline;
#[cfg(feature = "recording")]
pub mod replay;
pub mod resolve;
pub mod rule;
pub mod set;
pub mod source;
pub mod spelling;
pub mod syntax;
pub mod term;
pub mod value;

pub use check::convert;
pub use correlate::{Correlation, CorrelationStats, Limits};
pub use diagnostic::{Code, Diagnostic, Severity};
pub use evaluator::{Evaluator, Match, RuleMatching};
pub use event_type::{EventType, EventTypes};
pub use facts::{Facts, LiveFacts, MapFacts};
pub use field::{FieldArg, FieldId, FieldName};
pub use rule::{Action, Level, Mode, Priority, Rule};
pub use set::{Loaded, Needs, PolicySet};
pub use source::{Source, SourceMap};
pub use value::Value;
