//! The arguments of an event with their names.

use vedette_policy::{FieldArg, FieldId, facts::Facts};

/// More arguments than any event has.
const MOST: u32 = 64;

/// Names and texts, in order. What has no value is left out.
///
/// Which arguments an event has, and what they are called, only `evt.args` tells: it has all of them in one line, where
/// one that holds blanks looks like several. The values by position say where each ends.
pub fn arguments(facts: &impl Facts) -> Vec<(String, String)> {
    let line = facts.get(FieldId::EvtArgs, &FieldArg::None);
    let line = String::from_utf8_lossy(line.as_bytes().unwrap_or_default()).into_owned();
    let mut rest = line.as_str();
    let mut out = Vec::new();
    for index in 0..MOST {
        let value = facts.get(FieldId::EvtArg, &FieldArg::Index(index));
        let Some(value) = value.as_bytes() else { continue };
        let value = String::from_utf8_lossy(value);
        let Some((name, tail)) = rest.split_once('=') else { break };
        let Some(tail) = tail.strip_prefix(&*value) else { break };
        out.push((name.to_owned(), value.into_owned()));
        rest = tail.strip_prefix(' ').unwrap_or(tail);
    }
    out
}

#[cfg(test)]
mod tests {
    use vedette_policy::{EventType, MapFacts, Value, field::FieldName};

    use super::*;

    #[test]
    fn an_argument_with_blanks_and_equals_signs_is_one() {
        let arg = |index| FieldName { id: FieldId::EvtArg, arg: FieldArg::Index(index) };
        let facts = MapFacts::new(EventType::Execve)
            .with(FieldName::plain(FieldId::EvtArgs), Value::str("res=0 args=-c a=b x comm= uid=7"))
            .with(arg(0), Value::str("0"))
            .with(arg(2), Value::str("-c a=b x"))
            .with(arg(3), Value::str(""))
            .with(arg(5), Value::str("7"));
        let pairs = [("res", "0"), ("args", "-c a=b x"), ("comm", ""), ("uid", "7")];
        assert_eq!(arguments(&facts), pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
