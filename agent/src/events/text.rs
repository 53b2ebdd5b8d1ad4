//! Events as lines for people.
//!
//! Names, paths and arguments come from whoever is being watched: nothing of them that a terminal obeys passes.

use std::fmt::{self, Display, Write as _};

use anstyle::{AnsiColor, Style};
use serde_json::Value as Json;
use vedette_abi::Kind;
use vedette_event::{
    Body, Record,
    alert::{Escaped, Time},
};
use vedette_policy::{
    EventType, FieldArg, FieldId, FieldName, LiveFacts, Value,
    facts::Facts,
    output::{MISSING, write_values},
};

use super::arguments::arguments;

/// Widest column of a table; what is longer pushes the rest of its line to the right.
const COLUMN: usize = 48;

/// Writes lines.
#[derive(Debug)]
pub struct Text {
    colour: bool,
    /// Characters of an argument that are shown.
    width: usize,
    /// Of the columns of a table, so far.
    columns: Vec<usize>,
}

impl Text {
    /// With or without colour; `width` is the number of characters of an argument that are shown, 0 for all.
    pub fn new(colour: bool, width: usize) -> Self {
        Self { colour, width: if width == 0 { usize::MAX } else { width }, columns: Vec::new() }
    }

    fn paint<T>(&self, style: Style, text: T) -> Painted<T> {
        Painted { style: if self.colour { style } else { Style::new() }, text }
    }

    /// An event, like `strace` would show it, without the end of the line.
    pub fn event(&self, facts: &LiveFacts<'_>, out: &mut String) -> fmt::Result {
        let view = facts.view();
        let header = &view.record.header;
        let text = |field| shown(facts, field);
        let place = match text(FieldId::ContainerName) {
            name if name == MISSING => text(FieldId::ContainerId),
            name => name,
        };
        write!(out, "{} ", self.paint(DIM, format_args!("{}Z", Time(facts.time()).time_of_day(3))))?;
        write!(out, "{} ", self.paint(PLACE, Escaped(&place)))?;
        write!(out, "{}", self.paint(BOLD, Escaped(&text(FieldId::ProcName))))?;
        match header.tid == header.tgid {
            true => write!(out, "[{}] ", header.tgid)?,
            false => write!(out, "[{}/{}] ", header.tgid, header.tid)?,
        }
        write!(out, "{}(", self.paint(CALL, facts.event_type().name()))?;
        let arguments = arguments(facts);
        let mut first = true;
        for (name, value) in arguments.iter().filter(|(_, value)| !value.is_empty()) {
            let comma = if std::mem::take(&mut first) { "" } else { ", " };
            write!(
                out,
                "{comma}{}{}",
                self.paint(DIM, format_args!("{}=", Escaped(name))),
                self.value(value)
            )?;
        }
        out.push(')');
        self.result(facts, out)?;
        for field in resolved(facts.event_type()) {
            let value = text(*field);
            // Said already.
            if value != MISSING && !arguments.iter().any(|(_, argument)| *argument == value) {
                write!(out, "  {}", self.paint(DIM, format_args!("{}=", field.name())))?;
                write!(out, "{}", self.paint(RESOLVED, self.value(&value)))?;
            }
        }
        Ok(())
    }

    fn result(&self, facts: &LiveFacts<'_>, out: &mut String) -> fmt::Result {
        match facts.get(FieldId::EvtRawres, &FieldArg::None).as_whole() {
            None => Ok(()),
            Some(n) if n < 0 => write!(out, " = {}", self.paint(FAILED, shown(facts, FieldId::EvtRes))),
            Some(n) => write!(out, " = {n}"),
        }
    }

    /// A value that may stand between commas.
    fn value(&self, value: &str) -> Shortened {
        Shortened::new(value, self.width)
    }

    /// A record that is no event of a process.
    pub fn record(&self, record: &Record<'_>, time: u64, out: &mut String) -> fmt::Result {
        write!(out, "{} ", self.paint(DIM, format_args!("{}Z", Time(time).time_of_day(3))))?;
        write!(out, "{}", self.paint(CALL, record.kind.name()))?;
        match &record.body {
            Body::CgroupMkdir { facts, path } | Body::CgroupRmdir { facts, path } => {
                let path = String::from_utf8_lossy(path);
                write!(out, "(id={}, hierarchy={}, path={})", facts.id, facts.hierarchy, self.value(&path))
            }
            Body::Gap(gap) => {
                write!(out, "(cpu={}, total={}", record.header.cpu, gap.total)?;
                for loss in gap.losses.iter().filter(|loss| loss.count > 0) {
                    let kind = u16::try_from(loss.kind).ok().and_then(|kind| Kind::try_from(kind).ok());
                    let kind = kind.map_or("mixed", Kind::name);
                    write!(out, ", {kind}={}", loss.count)?;
                    if loss.cgroup != 0 {
                        write!(out, " in cgroup {}", loss.cgroup)?;
                    }
                }
                out.push(')');
                Ok(())
            }
            _ => write!(out, "()"),
        }
    }

    /// The heads of the columns of a table.
    pub fn heads(&mut self, fields: &[FieldName], out: &mut String) -> fmt::Result {
        let names: Vec<String> = fields.iter().map(ToString::to_string).collect();
        self.columns = vec![0; names.len()];
        self.row(names.iter().map(String::as_str), Some(BOLD), out)
    }

    /// The values of the fields that were asked for, under their heads.
    pub fn fields(&mut self, fields: &[(String, Json)], out: &mut String) -> fmt::Result {
        let values: Vec<String> = fields.iter().map(|(_, value)| json_as_text(value)).collect();
        self.row(values.iter().map(String::as_str), None, out)
    }

    fn row<'t>(
        &mut self,
        cells: impl ExactSizeIterator<Item = &'t str>,
        style: Option<Style>,
        out: &mut String,
    ) -> fmt::Result {
        let last = cells.len().saturating_sub(1);
        for (index, cell) in cells.enumerate() {
            let cell = Escaped(cell).to_string();
            let len = cell.chars().count();
            write!(out, "{}", self.paint(style.unwrap_or_default(), &cell))?;
            if let Some(column) = self.columns.get_mut(index).filter(|_| index < last) {
                *column = len.min(COLUMN).max(*column);
                out.extend(std::iter::repeat_n(' ', column.saturating_sub(len) + 2));
            }
        }
        Ok(())
    }
}

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();
const PLACE: Style = AnsiColor::Magenta.on_default();
const CALL: Style = AnsiColor::Cyan.on_default();
const RESOLVED: Style = AnsiColor::Green.on_default();
const FAILED: Style = AnsiColor::Red.on_default();

struct Painted<T> {
    style: Style,
    text: T,
}

impl<T: Display> Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{:#}", self.style, self.text, self.style)
    }
}

/// The fields that tell what the kernel made of a call, and what it was asked for.
fn resolved(event_type: EventType) -> &'static [FieldId] {
    match event_type {
        EventType::Execve | EventType::Execveat => &[FieldId::ProcExepath, FieldId::ProcPname],
        _ => &[FieldId::FdName, FieldId::FdNameraw],
    }
}

/// A field as an output would show it.
fn shown(facts: &impl Facts, field: FieldId) -> String {
    let value: Value<'_> = facts.get(field, &FieldArg::None);
    let mut text = String::new();
    match value.is_absent() {
        true => write_values(&mut text, &[]),
        false => write_values(&mut text, std::slice::from_ref(&value)),
    }
    text
}

fn json_as_text(value: &Json) -> String {
    match value {
        Json::Null => MISSING.to_owned(),
        Json::String(text) => text.clone(),
        Json::Array(values) => {
            let values: Vec<String> = values.iter().map(json_as_text).collect();
            format!("({})", values.join(","))
        }
        other => other.to_string(),
    }
}

/// A value cut to a number of characters, quoted where it could be mistaken for something else.
struct Shortened {
    text: String,
    cut: bool,
}

impl Shortened {
    fn new(value: &str, width: usize) -> Self {
        let end = value.char_indices().nth(width).map_or(value.len(), |(at, _)| at);
        Self { text: value[..end].to_owned(), cut: end < value.len() }
    }
}

impl Display for Shortened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = if self.cut { "…" } else { "" };
        if self.text.contains([' ', ',', '"', '\'', '(', ')']) {
            let inner = self.text.replace('\\', "\\\\").replace('"', "\\\"");
            write!(f, "\"{}\"{more}", Escaped(&inner))
        } else {
            write!(f, "{}{more}", Escaped(&self.text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_cut_quoted_and_harmless() {
        for (value, width, shown) in [
            ("/etc/passwd", 80, "/etc/passwd"),
            ("O_RDONLY|O_CLOEXEC", 80, "O_RDONLY|O_CLOEXEC"),
            ("-c true, \"x\"", 80, r#""-c true, \"x\"""#),
            ("abcdef", 3, "abc…"),
            ("ä b c", 3, "\"ä b\"…"),
            ("a\x1b[2J\n", 80, "a\\x1b[2J\\n"),
        ] {
            assert_eq!(Shortened::new(value, width).to_string(), shown);
        }
    }

    #[test]
    fn a_table_grows_with_its_values() {
        let mut text = Text::new(false, 0);
        let mut out = String::new();
        let fields: Vec<_> = ["proc.name", "proc.aname"].map(|f| FieldName::parse(f).unwrap()).into();
        text.heads(&fields, &mut out).unwrap();
        let row = |name: &str, ancestors: Json| {
            vec![("proc.name".to_owned(), Json::from(name)), ("proc.aname".to_owned(), ancestors)]
        };
        for values in [
            row("sh", Json::Null),
            row("a-long-name-it-is", serde_json::json!(["a", "b"])),
            row("sh", Json::from(7)),
        ] {
            out.push('\n');
            text.fields(&values, &mut out).unwrap();
        }
        let expected = "\
proc.name  proc.aname
sh         <NA>
a-long-name-it-is  (a,b)
sh                 7";
        assert_eq!(out, expected);
    }
}
