//! Conditions on several lines.

use vedette_policy::source::{MappedText, SourceId};
use vedette_policy::syntax::ast::{Expr, ExprKind};
use vedette_policy::syntax::parse_condition;

/// A condition in lines of at most `width` characters where that can be done, each indented by `indent`.
///
/// What does not parse, which the printer does not make, stands as it is.
pub fn lay_out(condition: &str, indent: usize, width: usize) -> String {
    let mut text = MappedText::default();
    text.push_exact(condition, SourceId(0), 0);
    let Ok(expr) = parse_condition(&text) else { return format!("{:indent$}{condition}", "") };
    let mut lines = Vec::new();
    place(&expr, "", indent, width, &mut lines);
    lines.join("\n")
}

/// `lead` is the word before the part: `and `, `or not ` and the like.
fn place(expr: &Expr, lead: &str, indent: usize, width: usize, lines: &mut Vec<String>) {
    let compound = matches!(expr.kind, ExprKind::And(_) | ExprKind::Or(_));
    // Behind a word, `and` and `or` want parentheses.
    let enclosed = compound && !lead.is_empty();
    let whole = if enclosed { format!("({expr})") } else { expr.to_string() };
    if indent + lead.len() + whole.chars().count() <= width {
        lines.push(format!("{:indent$}{lead}{whole}", ""));
        return;
    }
    match &expr.kind {
        ExprKind::Not(inner) => place(inner, &format!("{lead}not "), indent, width, lines),
        ExprKind::And(parts) | ExprKind::Or(parts) => {
            let word = if matches!(expr.kind, ExprKind::And(_)) { "and " } else { "or " };
            let inner = if enclosed { indent + 4 } else { indent };
            if enclosed {
                lines.push(format!("{:indent$}{lead}(", ""));
            }
            for (index, part) in parts.iter().enumerate() {
                match (index, &part.kind) {
                    (0, ExprKind::And(_) | ExprKind::Or(_)) => group(part, inner, width, lines),
                    (0, _) => place(part, "", inner, width, lines),
                    _ => place(part, word, inner, width, lines),
                }
            }
            if enclosed {
                lines.push(format!("{:indent$})", ""));
            }
        }
        ExprKind::Macro(_) | ExprKind::Check(_) => wrap(lead, &whole, indent, width, lines),
    }
}

/// The first part of a chain, in parentheses.
fn group(expr: &Expr, indent: usize, width: usize, lines: &mut Vec<String>) {
    let whole = format!("({expr})");
    if indent + whole.chars().count() <= width {
        lines.push(format!("{:indent$}{whole}", ""));
        return;
    }
    lines.push(format!("{:indent$}(", ""));
    place(expr, "", indent + 4, width, lines);
    lines.push(format!("{:indent$})", ""));
}

/// A comparison with a long list: broken after commas.
fn wrap(lead: &str, text: &str, indent: usize, width: usize, lines: &mut Vec<String>) {
    let mut line = format!("{:indent$}{lead}", "");
    let hang = indent + lead.len() + 4;
    for (index, piece) in text.split_inclusive(", ").enumerate() {
        if index > 0 && line.chars().count() + piece.trim_end().chars().count() > width {
            lines.push(line.trim_end().to_owned());
            line = " ".repeat(hang);
        }
        line.push_str(piece);
    }
    lines.push(line.trim_end().to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_conditions_stay_on_a_line() {
        assert_eq!(
            lay_out("proc.name = sh and not user.uid = 0", 2, 80),
            "  proc.name = sh and not user.uid = 0"
        );
    }

    #[test]
    fn long_ones_are_broken_at_their_operators_and_mean_the_same() {
        let condition = "evt.type in (open, openat) and (fd.name startswith /etc or fd.name startswith /usr/share) \
                         and not (proc.name in (aaaaaaa, bbbbbbbb, ccccccccc, ddddddd) or proc.pname = x)";
        let expected = "\
evt.type in (open, openat)
and (
    fd.name startswith /etc
    or fd.name startswith /usr/share
)
and not (
    proc.name in (aaaaaaa, bbbbbbbb,
        ccccccccc, ddddddd)
    or proc.pname = x
)";
        let laid_out = lay_out(condition, 0, 40);
        assert_eq!(laid_out, expected);
        let parse = |text: &str| {
            let mut mapped = MappedText::default();
            mapped.push_exact(text, SourceId(0), 0);
            parse_condition(&mapped).unwrap()
        };
        assert_eq!(parse(&laid_out), parse(condition));
    }
}
