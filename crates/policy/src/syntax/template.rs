//! Output templates: text with `%field`, `%field[arg]`, `%toupper(field)` and `%20field` in it.

use super::SyntaxError;
use super::ast::{Argument, Function, Operand, OperandKind};
use crate::source::MappedText;

/// A template, split into text and fields.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template {
    /// The parts in order.
    pub parts: Vec<Part>,
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Text as it is.
    Text(String),
    /// The value of a field.
    Value {
        /// The field or transformer.
        operand: Operand,
        /// Pad or cut to so many characters.
        width: Option<usize>,
    },
}

const MAX_WIDTH: usize = 4096;

/// Parses a template.
///
/// # Errors
/// The first `%` after which there is no field; `%%` is a percent sign.
pub fn parse_template(text: &MappedText) -> Result<Template, SyntaxError> {
    let all = text.as_str();
    let mut template = Template::default();
    let mut plain = String::new();
    let mut pos = 0;
    while let Some(c) = all[pos..].chars().next() {
        if c != '%' {
            plain.push(c);
            pos += c.len_utf8();
            continue;
        }
        if all[pos + 1..].starts_with('%') {
            plain.push('%');
            pos += 2;
            continue;
        }
        let start = pos;
        let mut reader = Reader { text, pos: pos + 1 };
        let width = reader.width(start)?;
        let Some(operand) = reader.operand(0)? else {
            let hint = Some("write %% for a percent sign, or a field as in %proc.name".to_owned());
            return Err(reader.error(start, "no field follows this %", hint));
        };
        if !plain.is_empty() {
            template.parts.push(Part::Text(std::mem::take(&mut plain)));
        }
        pos = reader.pos;
        template.parts.push(Part::Value { operand, width });
    }
    if !plain.is_empty() {
        template.parts.push(Part::Text(plain));
    }
    Ok(template)
}

struct Reader<'t> {
    text: &'t MappedText,
    pos: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.text.as_str().get(self.pos..).unwrap_or_default()
    }

    fn error(&self, start: usize, message: &str, hint: Option<String>) -> SyntaxError {
        let span = self.text.span(start..self.pos.max(start + 1));
        SyntaxError { message: message.to_owned(), span, hint }
    }

    fn width(&mut self, start: usize) -> Result<Option<usize>, SyntaxError> {
        let digits = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return Ok(None);
        }
        let width = self.rest()[..digits].parse().ok().filter(|w| *w <= MAX_WIDTH);
        self.pos += digits;
        match width {
            Some(width) => Ok(Some(width)),
            None => Err(self.error(start, "this width is too large", Some(format!("at most {MAX_WIDTH}")))),
        }
    }

    fn operand(&mut self, depth: usize) -> Result<Option<Operand>, SyntaxError> {
        let start = self.pos;
        let function = Function::ALL
            .iter()
            .copied()
            .find(|f| self.rest().strip_prefix(f.as_str()).is_some_and(|rest| rest.starts_with('(')));
        if let Some(function) = function
            && depth < 8
        {
            self.pos += function.as_str().len() + 1;
            let Some(inner) = self.operand(depth + 1)? else {
                return Err(self.error(start, "expected a field in this transformer", None));
            };
            if !self.rest().starts_with(')') {
                return Err(self.error(start, "expected `)` after the field", None));
            }
            self.pos += 1;
            let kind = OperandKind::Call { function, args: vec![Argument::Operand(inner)], index: None };
            return Ok(Some(Operand { kind, span: self.text.span(start..self.pos) }));
        }
        let Some(name) = self.field_name() else { return Ok(None) };
        let mut arg = None;
        if let Some(rest) = self.rest().strip_prefix('[') {
            let Some(end) = rest.find(']') else {
                return Err(self.error(start, "this argument in brackets is never closed", None));
            };
            let inner = &rest[..end];
            let inner = inner.trim_matches(|c| c == '"' || c == '\'').to_owned();
            self.pos += end + 2;
            arg = Some(inner);
        }
        let kind = OperandKind::Field { name, arg };
        Ok(Some(Operand { kind, span: self.text.span(start..self.pos) }))
    }

    /// `identifier(.identifier)+`; a dot that ends a sentence is not part of it.
    fn field_name(&mut self) -> Option<String> {
        let rest = self.rest();
        let mut end = 0;
        let mut dotted = false;
        loop {
            let part = &rest[end..];
            if !part.starts_with(|c: char| c.is_ascii_alphabetic()) {
                break;
            }
            end += part.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
            let follows = rest[end..]
                .strip_prefix('.')
                .is_some_and(|r| r.starts_with(|c: char| c.is_ascii_alphabetic()));
            if !follows {
                break;
            }
            dotted = true;
            end += 1;
        }
        if !dotted {
            return None;
        }
        let name = rest[..end].to_owned();
        self.pos += end;
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceId;

    fn parse(text: &str) -> Result<Vec<String>, String> {
        let mut mapped = MappedText::default();
        mapped.push_exact(text, SourceId(0), 0);
        let show = |part: &Part| match part {
            Part::Text(text) => format!("{text:?}"),
            Part::Value { operand, width } => format!("{operand} {width:?}"),
        };
        parse_template(&mapped).map(|t| t.parts.iter().map(show).collect()).map_err(|e| e.to_string())
    }

    #[test]
    fn templates() {
        assert_eq!(
            parse("a %proc.name."),
            Ok(vec!["\"a \"".into(), "proc.name None".into(), "\".\"".into()])
        );
        assert_eq!(parse("%20proc.aname[2]"), Ok(vec!["proc.aname[2] Some(20)".into()]));
        assert_eq!(parse("%toupper(proc.name)"), Ok(vec!["toupper(proc.name) None".into()]));
        assert_eq!(parse("100%%"), Ok(vec!["\"100%\"".into()]));
        assert!(parse("50% more").is_err());
        assert!(parse("%proc.aname[2").is_err());
        assert!(parse("%99999proc.name").is_err());
    }
}
