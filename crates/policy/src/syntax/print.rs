//! The printer: conditions as text, such that parsing the text gives the same tree.

use std::fmt::{self, Display, Formatter, Write as _};

use super::ast::{Argument, Check, Expr, ExprKind, Literal, Operand, OperandKind, Right};
use super::lexer::is_bare;

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::And(parts) => joined(f, parts, " and "),
            ExprKind::Or(parts) => joined(f, parts, " or "),
            ExprKind::Not(inner) => {
                f.write_str("not ")?;
                in_parentheses_if_needed(f, inner)
            }
            ExprKind::Macro(name) => f.write_str(name),
            ExprKind::Check(check) => check.fmt(f),
        }
    }
}

fn joined(f: &mut Formatter<'_>, parts: &[Expr], word: &str) -> fmt::Result {
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            f.write_str(word)?;
        }
        match part.kind {
            ExprKind::Not(_) => part.fmt(f)?,
            _ => in_parentheses_if_needed(f, part)?,
        }
    }
    Ok(())
}

fn in_parentheses_if_needed(f: &mut Formatter<'_>, expr: &Expr) -> fmt::Result {
    match expr.kind {
        ExprKind::Macro(_) | ExprKind::Check(_) => expr.fmt(f),
        _ => write!(f, "({expr})"),
    }
}

impl Display for Check {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.left, self.op.as_str())?;
        if let Some(quantifier) = self.quantifier {
            write!(f, " {}", quantifier.as_str())?;
        }
        match &self.right {
            Right::None => Ok(()),
            Right::Value(value) => write!(f, " {value}"),
            Right::List(values) => {
                f.write_str(" (")?;
                for (i, value) in values.iter().enumerate() {
                    if i > 0 {
                        f.write_str(", ")?;
                    }
                    value.fmt(f)?;
                }
                f.write_str(")")
            }
            Right::Field(field) => write!(f, " val({field})"),
            Right::Call(call) => write!(f, " {call}"),
        }
    }
}

impl Display for Operand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let arg = match &self.kind {
            OperandKind::Field { name, arg } => {
                f.write_str(name)?;
                arg
            }
            OperandKind::Call { function, args, index } => {
                write!(f, "{}(", function.as_str())?;
                for (i, arg) in args.iter().enumerate() {
                    if i > 0 {
                        f.write_str(", ")?;
                    }
                    match arg {
                        Argument::Operand(operand) => operand.fmt(f)?,
                        // A literal must not be read as a field.
                        Argument::Literal(literal) => quoted(f, &literal.bytes)?,
                    }
                }
                f.write_str(")")?;
                index
            }
        };
        match arg {
            None => Ok(()),
            Some(arg) if arg.bytes().all(|b| !matches!(b, b'[' | b']' | b'"' | b'\'') && b > b' ') => {
                write!(f, "[{arg}]")
            }
            Some(arg) => {
                f.write_char('[')?;
                quoted(f, arg.as_bytes())?;
                f.write_char(']')
            }
        }
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let bare = !self.bytes.is_empty() && self.bytes.iter().all(|&b| is_bare(b) && b > b' ' && b != 0x7f);
        match std::str::from_utf8(&self.bytes) {
            Ok(text) if bare && !text.chars().any(char::is_whitespace) && !is_quantifier(text) => {
                f.write_str(text)
            }
            _ => quoted(f, &self.bytes),
        }
    }
}

/// A value that would be read as something else after a string operator.
fn is_quantifier(text: &str) -> bool {
    super::ast::Quantifier::from_name(text).is_some()
}

/// The bytes in double quotes, escaped.
fn quoted(f: &mut Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    f.write_char('"')?;
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if (c as u32) < 0x20 || c == '\x7f' => write!(f, "\\x{:02x}", c as u32)?,
                c => f.write_char(c)?,
            }
        }
        for b in chunk.invalid() {
            write!(f, "\\x{b:02x}")?;
        }
    }
    f.write_char('"')
}
