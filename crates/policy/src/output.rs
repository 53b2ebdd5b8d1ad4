//! The text of an alert: a template whose fields are resolved.

use std::fmt::Write as _;

use serde_json::Value as Json;

use crate::term::Term;
use crate::value::Value;

/// What is printed for a field without a value.
pub const MISSING: &str = "<NA>";

/// A checked output template.
#[derive(Debug, Clone, Default)]
pub struct Output {
    /// The parts in order.
    pub parts: Vec<OutputPart>,
}

/// A part of an output.
#[derive(Debug, Clone)]
pub enum OutputPart {
    /// Text as it is.
    Text(String),
    /// A value.
    Value {
        /// What is read.
        term: Term,
        /// The name under which it stands in `output_fields`.
        name: String,
        /// Pad or cut to so many characters.
        width: Option<usize>,
    },
}

impl Output {
    /// What it reads.
    pub fn terms(&self) -> impl Iterator<Item = &Term> {
        self.parts.iter().filter_map(|part| match part {
            OutputPart::Value { term, .. } => Some(term),
            OutputPart::Text(_) => None,
        })
    }

    /// The template as text, in canonical form.
    pub fn to_template(&self) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                OutputPart::Text(part) => text.push_str(&part.replace('%', "%%")),
                OutputPart::Value { term, width, .. } => {
                    let _ = match width {
                        Some(width) => write!(text, "%{width}{term}"),
                        None => write!(text, "%{term}"),
                    };
                }
            }
        }
        text
    }
}

/// Appends values as text: `<NA>` for none, `(a,b)` for several.
pub fn write_values(out: &mut String, values: &[Value<'_>]) {
    match values {
        [] => out.push_str(MISSING),
        [one] => write_value(out, one),
        many => {
            out.push('(');
            for (i, value) in many.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_value(out, value);
            }
            out.push(')');
        }
    }
}

fn write_value(out: &mut String, value: &Value<'_>) {
    let _ = match value {
        Value::Absent => write!(out, "{MISSING}"),
        Value::Bytes(bytes) => write!(out, "{}", String::from_utf8_lossy(bytes)),
        Value::Uint(n) => write!(out, "{n}"),
        Value::Int(n) => write!(out, "{n}"),
        Value::Float(n) => write!(out, "{n}"),
        Value::Bool(b) => write!(out, "{b}"),
        Value::Ip(ip) => write!(out, "{ip}"),
    };
}

/// Values as JSON: `null` for none, an array for several.
pub fn to_json(values: &[Value<'_>]) -> Json {
    let one = |value: &Value<'_>| match value {
        Value::Absent => Json::Null,
        Value::Bytes(bytes) => Json::String(String::from_utf8_lossy(bytes).into_owned()),
        Value::Uint(n) => Json::from(*n),
        Value::Int(n) => Json::from(*n),
        Value::Float(n) => Json::from(*n),
        Value::Bool(b) => Json::Bool(*b),
        Value::Ip(ip) => Json::String(ip.to_string()),
    };
    match values {
        [] => Json::Null,
        [value] => one(value),
        many => Json::Array(many.iter().map(one).collect()),
    }
}

/// Pads with blanks, or cuts, to so many characters.
pub(crate) fn fit(text: &str, width: usize) -> String {
    let mut fitted: String = text.chars().take(width).collect();
    let have = fitted.chars().count();
    fitted.extend(std::iter::repeat_n(' ', width - have));
    fitted
}
