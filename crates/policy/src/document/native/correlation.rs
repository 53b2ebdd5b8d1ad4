//! `sequence`, `threshold` and `throttle` as written.

use std::time::Duration;

use crate::diagnostic::{Code, Diagnostic};
use crate::document::item::At;
use crate::document::reader::{Reader, key_span};
use crate::source::MappedText;

/// Several events, one after the other.
#[derive(Debug, Clone)]
pub struct SequenceItem {
    /// The fields that the events have in common.
    pub by: Vec<At<String>>,
    /// How long the whole may take.
    pub within: Duration,
    /// Whether the events may come in any order.
    pub any_order: bool,
    /// The events.
    pub steps: Vec<StepItem>,
}

/// One event of a sequence.
#[derive(Debug, Clone)]
pub struct StepItem {
    /// Its name in the alert.
    pub name: Option<String>,
    /// The fields in which it has what the events have in common, if they are others than the sequence's.
    pub by: Option<Vec<At<String>>>,
    /// Its condition.
    pub condition: At<MappedText>,
}

/// So many events in so much time.
#[derive(Debug, Clone)]
pub struct ThresholdItem {
    /// How many.
    pub count: u32,
    /// Count different values of this field instead of events.
    pub distinct: Option<Distinct>,
    /// The fields that the events have in common.
    pub by: Vec<At<String>>,
    /// In how much time.
    pub within: Duration,
}

/// The field whose values are counted.
pub type Distinct = At<String>;

/// How often a rule may raise an alert.
#[derive(Debug, Clone)]
pub struct ThrottleItem {
    /// The fields by which alerts count as the same.
    pub by: Vec<At<String>>,
    /// One alert at once, then one summary for each interval.
    pub interval: Duration,
}

/// Parses `500ms`, `60s`, `2m`, `1h`, `1d` and sums such as `1m30s`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let part = match &rest[..letters] {
            "ms" => Duration::from_millis(number),
            "s" => Duration::from_secs(number),
            "m" => Duration::from_secs(number.checked_mul(60)?),
            "h" => Duration::from_secs(number.checked_mul(3600)?),
            "d" => Duration::from_secs(number.checked_mul(86400)?),
            _ => return None,
        };
        total = total.checked_add(part)?;
        rest = &rest[letters..];
    }
    (total <= Duration::from_secs(30 * 86400)).then_some(total)
}

fn duration(reader: &mut Reader<'_, '_>, key: &str) -> Option<Duration> {
    let text = reader.required(key)?;
    match parse_duration(&text.value) {
        Some(duration) if !duration.is_zero() => Some(duration),
        _ => {
            let message = format!("`{}` is no length of time", text.value);
            let hint = "such as 500ms, 60s, 2m or 1h; at most 30d";
            reader.report(Diagnostic::error(Code::Correlation, text.span, message).with_hint(hint));
            None
        }
    }
}

pub(super) fn read_sequence(reader: &mut Reader<'_, '_>) -> Option<SequenceItem> {
    let node = reader.mapping("sequence")?;
    let mut inner = Reader { node, subject: reader.subject.clone(), diagnostics: &mut *reader.diagnostics };
    inner.known_keys(&["by", "within", "order", "steps"]);
    let by = inner.texts("by").unwrap_or_default();
    let within = duration(&mut inner, "within")?;
    let any_order = match inner.text("order") {
        None => false,
        Some(order) if order.value == "given" => false,
        Some(order) if order.value == "any" => true,
        Some(order) => {
            inner.error(Code::Correlation, order.span, "`order` is `given` or `any`");
            return None;
        }
    };
    let mut steps = Vec::new();
    for node in inner.mappings("steps") {
        let mut step = Reader { node, subject: inner.subject.clone(), diagnostics: &mut *inner.diagnostics };
        step.known_keys(&["name", "by", "condition"]);
        step.required("condition")?;
        let Some(condition) = step.mapped("condition") else { continue };
        let fields = step.texts("by");
        if let Some(fields) = fields.as_ref().filter(|fields| fields.len() != by.len()) {
            let (is, has) = (fields.len(), by.len());
            let message = format!("the step has {is} fields in `by`, the sequence {has}");
            let hint = "each field of the step stands for the one of the sequence in the same place";
            let span = key_span(node, "by");
            step.report(Diagnostic::error(Code::Correlation, span, message).with_hint(hint));
            continue;
        }
        steps.push(StepItem { name: step.text("name").map(|n| n.value), by: fields, condition });
    }
    if steps.len() < 2 || steps.len() > 16 {
        let span = key_span(node, "steps");
        inner.error(Code::Correlation, span, format!("a sequence has 2 to 16 steps, not {}", steps.len()));
        return None;
    }
    Some(SequenceItem { by, within, any_order, steps })
}

pub(super) fn read_threshold(reader: &mut Reader<'_, '_>) -> Option<ThresholdItem> {
    let node = reader.mapping("threshold")?;
    let mut inner = Reader { node, subject: reader.subject.clone(), diagnostics: &mut *reader.diagnostics };
    inner.known_keys(&["count", "distinct", "by", "within"]);
    let count = inner.required("count")?;
    let Some(number) = count.value.parse().ok().filter(|n| (2..=100_000).contains(n)) else {
        inner.error(Code::Correlation, count.span, "`count` is a number from 2 to 100000");
        return None;
    };
    Some(ThresholdItem {
        count: number,
        distinct: inner.text("distinct"),
        by: inner.texts("by").unwrap_or_default(),
        within: duration(&mut inner, "within")?,
    })
}

pub(super) fn read_throttle(reader: &mut Reader<'_, '_>) -> Option<ThrottleItem> {
    let node = reader.mapping("throttle")?;
    let mut inner = Reader { node, subject: reader.subject.clone(), diagnostics: &mut *reader.diagnostics };
    inner.known_keys(&["by", "interval"]);
    let by = inner.texts("by").unwrap_or_default();
    Some(ThrottleItem { by, interval: duration(&mut inner, "interval")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(parse_duration("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(parse_duration("500ms"), Some(Duration::from_millis(500)));
        for bad in ["", "5", "s", "5 s", "99999999999999999999s", "18446744073709551615h", "40d", "-1s"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }
}
