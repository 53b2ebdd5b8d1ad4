//! The parser of conditions: recursive descent, bounded in depth.
//!
//! `or` binds least, then `and`, then `not`. Keywords are case-sensitive; `and`, `or` and `not` may be followed by `(`
//! without a blank.

use super::SyntaxError;
use super::ast::{
    Argument, Check, Expr, ExprKind, Function, Literal, Op, Operand, OperandKind, Quantifier, Right,
};
use super::lexer::Lexer;
use crate::diagnostic::nearest;
use crate::source::MappedText;

/// How deeply parentheses and transformers may nest.
pub const MAX_DEPTH: usize = 128;

/// Parses a condition, in which lists are already substituted.
///
/// # Errors
/// The first place that does not parse, with what was expected there.
pub fn parse_condition(text: &MappedText) -> Result<Expr, SyntaxError> {
    let mut parser = Parser { lexer: Lexer::new(text), depth: 0 };
    parser.lexer.blanks();
    if parser.lexer.at_end() {
        return Err(parser.lexer.error_at(0..text.as_str().len(), "the condition is empty".into(), None));
    }
    let expr = parser.or()?;
    parser.lexer.blanks();
    if parser.lexer.at_end() {
        return Ok(expr);
    }
    Err(parser.unexpected_rest())
}

struct Parser<'t> {
    lexer: Lexer<'t>,
    depth: usize,
}

type Parsed<T> = Result<T, SyntaxError>;

impl Parser<'_> {
    fn or(&mut self) -> Parsed<Expr> {
        let start = self.skip_blanks();
        let mut parts = vec![self.and()?];
        while self.keyword("or")? {
            parts.push(self.and()?);
        }
        Ok(self.joined(start, parts, ExprKind::Or))
    }

    fn and(&mut self) -> Parsed<Expr> {
        let start = self.skip_blanks();
        let mut parts = vec![self.not()?];
        while self.keyword("and")? {
            parts.push(self.not()?);
        }
        Ok(self.joined(start, parts, ExprKind::And))
    }

    fn joined(&self, start: usize, mut parts: Vec<Expr>, kind: fn(Vec<Expr>) -> ExprKind) -> Expr {
        match (parts.len(), parts.pop()) {
            (1, Some(only)) => only,
            (_, last) => {
                parts.extend(last);
                Expr { kind: kind(parts), span: self.lexer.span_from(start) }
            }
        }
    }

    fn not(&mut self) -> Parsed<Expr> {
        let start = self.skip_blanks();
        let mut negated = false;
        while self.lexer.take_word("not") {
            negated = !negated;
            self.lexer.blanks();
        }
        let expr = self.primary()?;
        if negated {
            Ok(Expr { kind: ExprKind::Not(Box::new(expr)), span: self.lexer.span_from(start) })
        } else {
            Ok(expr)
        }
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let start = self.skip_blanks();
        if self.lexer.take("(") {
            self.enter()?;
            let inner = self.or()?;
            self.depth -= 1;
            self.lexer.blanks();
            if !self.lexer.take(")") {
                let opened = self.lexer.error_at(start..start + 1, String::new(), None).span;
                let mut error = self.unexpected_rest();
                if self.lexer.at_end() {
                    error.message = "this ( is never closed".into();
                    error.span = opened;
                    error.hint = Some("add a closing )".into());
                }
                return Err(error);
            }
            return Ok(inner);
        }
        if let Some(left) = self.operand()? {
            return self.check(start, left);
        }
        let Some(name) = self.lexer.identifier() else {
            let found = self.lexer.found();
            return Err(self
                .lexer
                .error_here(format!("expected a field, a macro or `(`, found {found}"), None));
        };
        if self.lexer.peek() == Some(b'(') && !matches!(name, "and" | "or") {
            let known = Function::ALL.iter().map(|f| f.as_str()).chain(["val"]);
            let hint = nearest(name, known).map(|n| format!("did you mean `{n}(…)`?"));
            let range = start..self.lexer.pos;
            return Err(self.lexer.error_at(range, format!("there is no transformer `{name}`"), hint));
        }
        if matches!(name, "and" | "or") {
            let range = start..self.lexer.pos;
            return Err(self.lexer.error_at(range, format!("`{name}` needs a condition before it"), None));
        }
        Ok(Expr { kind: ExprKind::Macro(name.to_owned()), span: self.lexer.span_from(start) })
    }

    /// A field or a transformer, if one is next.
    fn operand(&mut self) -> Parsed<Option<Operand>> {
        let start = self.skip_blanks();
        if let Some(name) = self.lexer.field_name() {
            let name = name.to_owned();
            let arg = self.bracketed()?;
            let kind = OperandKind::Field { name, arg };
            return Ok(Some(Operand { kind, span: self.lexer.span_from(start) }));
        }
        let Some(function) =
            Function::ALL.iter().copied().find(|f| self.lexer.take(&format!("{}(", f.as_str())))
        else {
            return Ok(None);
        };
        self.enter()?;
        let mut args = vec![self.argument()?];
        self.lexer.blanks();
        while self.lexer.take(",") {
            args.push(self.argument()?);
            self.lexer.blanks();
        }
        self.depth -= 1;
        self.close(&format!("{}(", function.as_str()))?;
        let index = self.bracketed()?;
        let kind = OperandKind::Call { function, args, index };
        Ok(Some(Operand { kind, span: self.lexer.span_from(start) }))
    }

    fn argument(&mut self) -> Parsed<Argument> {
        self.lexer.blanks();
        if let Some(operand) = self.operand()? {
            return Ok(Argument::Operand(operand));
        }
        match self.literal()? {
            Some(literal) => Ok(Argument::Literal(literal)),
            None => {
                let found = self.lexer.found();
                let message = format!("expected a field, a transformer or a value, found {found}");
                Err(self.lexer.error_here(message, None))
            }
        }
    }

    /// The argument in brackets that may follow a field or a transformer.
    fn bracketed(&mut self) -> Parsed<Option<String>> {
        let start = self.lexer.pos;
        if !self.lexer.take("[") {
            return Ok(None);
        }
        let arg = match self.lexer.quoted()? {
            Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            None => self.lexer.bare_argument().unwrap_or_default().to_owned(),
        };
        if arg.is_empty() || !self.lexer.take("]") {
            let hint = Some("write it as in `proc.aname[2]` or `proc.env[\"PATH\"]`".to_owned());
            let range = start..self.lexer.pos.max(start + 1);
            return Err(self.lexer.error_at(range, "this argument in brackets is incomplete".into(), hint));
        }
        Ok(Some(arg))
    }

    fn check(&mut self, start: usize, left: Operand) -> Parsed<Expr> {
        self.lexer.blanks();
        let op_start = self.lexer.pos;
        let Some(op) = self.operator() else { return Err(self.no_operator()) };
        self.lexer.blanks();
        let quantifier = match op.takes_quantifier() {
            true => Quantifier::ALL.iter().copied().find(|q| self.lexer.take_word(q.as_str())),
            false => None,
        };
        let right = match op {
            Op::Exists => Right::None,
            _ if op.takes_list() || quantifier.is_some() => self.right_list(op, op_start)?,
            _ => self.right_value(op)?,
        };
        let check = Check { left, op, quantifier, right };
        Ok(Expr { kind: ExprKind::Check(check), span: self.lexer.span_from(start) })
    }

    fn operator(&mut self) -> Option<Op> {
        // Longer symbols first: `<=` is not `<` and then `=`.
        const SYMBOLS: [(&str, Op); 7] = [
            ("<=", Op::Le),
            ("<", Op::Lt),
            (">=", Op::Ge),
            (">", Op::Gt),
            ("==", Op::Eq),
            ("=", Op::Eq),
            ("!=", Op::Ne),
        ];
        if let Some((_, op)) = SYMBOLS.iter().find(|(text, _)| self.lexer.take(text)) {
            return Some(*op);
        }
        Op::ALL.iter().copied().filter(|op| op.is_word()).find(|op| self.lexer.take_word(op.as_str()))
    }

    fn no_operator(&self) -> SyntaxError {
        let word = self.lexer.next_word();
        let words = Op::ALL.iter().filter(|op| op.is_word()).map(|op| op.as_str());
        let hint = match nearest(&word.to_ascii_lowercase(), words) {
            Some(near) if !word.is_empty() => format!("did you mean `{near}`?"),
            _ => "one of = != < <= > >= in intersects pmatch contains startswith endswith glob regex exists"
                .into(),
        };
        let found = self.lexer.found();
        self.lexer
            .error_here(format!("expected a comparison operator after the field, found {found}"), Some(hint))
    }

    fn right_list(&mut self, op: Op, op_start: usize) -> Parsed<Right> {
        self.lexer.blanks();
        let start = self.lexer.pos;
        if self.lexer.take("(") {
            let mut values = Vec::new();
            self.lexer.blanks();
            if self.lexer.take(")") {
                return Ok(Right::List(values));
            }
            loop {
                self.lexer.blanks();
                let Some(value) = self.literal()? else {
                    let found = self.lexer.found();
                    return Err(self
                        .lexer
                        .error_here(format!("expected a value in the list, found {found}"), None));
                };
                values.push(value);
                self.lexer.blanks();
                if !self.lexer.take(",") {
                    break;
                }
            }
            self.close_list(start)?;
            return Ok(Right::List(values));
        }
        if let Some(right) = self.right_operand()? {
            return Ok(right);
        }
        if self.lexer.identifier().is_some() {
            let span = self.lexer.span_from(start);
            let bytes = self.lexer_text(start).as_bytes().to_vec();
            return Ok(Right::List(vec![Literal { bytes, span }]));
        }
        let range = op_start..self.lexer.pos + self.lexer.next_word().len();
        let hint = Some(format!("write the values in parentheses: {} (a, b)", op.as_str()));
        Err(self.lexer.error_at(range, format!("`{}` needs a list", op.as_str()), hint))
    }

    fn right_value(&mut self, op: Op) -> Parsed<Right> {
        self.lexer.blanks();
        if let Some(right) = self.right_operand()? {
            return Ok(right);
        }
        match self.literal()? {
            Some(value) => Ok(Right::Value(value)),
            None => {
                let hint = (self.lexer.peek() == Some(b'('))
                    .then(|| format!("for several values write `in (…)` or `{} anyof (…)`", op.as_str()));
                let found = self.lexer.found();
                Err(self
                    .lexer
                    .error_here(format!("expected a value after `{}`, found {found}", op.as_str()), hint))
            }
        }
    }

    /// `val(field)`, or a transformer, on the right-hand side.
    fn right_operand(&mut self) -> Parsed<Option<Right>> {
        if self.lexer.take("val(") {
            self.lexer.blanks();
            let start = self.lexer.pos;
            let Some(name) = self.lexer.field_name().map(str::to_owned) else {
                let found = self.lexer.found();
                return Err(self
                    .lexer
                    .error_here(format!("expected a field in `val(…)`, found {found}"), None));
            };
            let arg = self.bracketed()?;
            let operand =
                Operand { kind: OperandKind::Field { name, arg }, span: self.lexer.span_from(start) };
            self.close("val(")?;
            return Ok(Some(Right::Field(operand)));
        }
        // A bare value may look like a field (`httpd.service`), so only a transformer counts here.
        let start = self.lexer.pos;
        if Function::ALL.iter().any(|f| self.lexer.take(&format!("{}(", f.as_str()))) {
            self.lexer.pos = start;
            return Ok(self.operand()?.map(Right::Call));
        }
        Ok(None)
    }

    fn literal(&mut self) -> Parsed<Option<Literal>> {
        let start = self.lexer.pos;
        if let Some(bytes) = self.lexer.quoted()? {
            return Ok(Some(Literal { bytes, span: self.lexer.span_from(start) }));
        }
        let Some(bare) = self.lexer.bare() else { return Ok(None) };
        Ok(Some(Literal { bytes: bare.as_bytes().to_vec(), span: self.lexer.span_from(start) }))
    }

    /// Takes `and` or `or`, if it is next. After it must come a blank or `(`.
    fn keyword(&mut self, word: &str) -> Parsed<bool> {
        self.lexer.blanks();
        Ok(self.lexer.take_word(word))
    }

    fn close(&mut self, opened: &str) -> Parsed<()> {
        self.lexer.blanks();
        if self.lexer.take(")") {
            return Ok(());
        }
        let found = self.lexer.found();
        Err(self.lexer.error_here(format!("expected `)` to close `{opened}`, found {found}"), None))
    }

    fn close_list(&mut self, opened: usize) -> Parsed<()> {
        if self.lexer.take(")") {
            return Ok(());
        }
        if self.lexer.at_end() {
            let hint = Some("add a closing )".to_owned());
            return Err(self.lexer.error_at(opened..opened + 1, "this list is never closed".into(), hint));
        }
        let found = self.lexer.found();
        let hint = Some("separate values with a comma; quote a value that has blanks".to_owned());
        Err(self.lexer.error_here(format!("expected `,` or `)` in the list, found {found}"), hint))
    }

    fn enter(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let message = format!("the condition nests deeper than {MAX_DEPTH} levels");
            return Err(self.lexer.error_here(message, Some("move parts into macros".into())));
        }
        Ok(())
    }

    fn unexpected_rest(&self) -> SyntaxError {
        let word = self.lexer.next_word();
        let hint = match word {
            "AND" | "OR" | "NOT" | "And" | "Or" | "Not" => {
                Some(format!("keywords are written in small letters: `{}`", word.to_ascii_lowercase()))
            }
            "&&" => Some("write `and`".to_owned()),
            "||" => Some("write `or`".to_owned()),
            "," => Some("a list stands in parentheses: `in (a, b)`".to_owned()),
            ")" => Some("there is no `(` for it".to_owned()),
            _ => None,
        };
        self.lexer.error_here(format!("expected `and`, `or` or the end, found {}", self.lexer.found()), hint)
    }

    fn skip_blanks(&mut self) -> usize {
        self.lexer.blanks();
        self.lexer.pos
    }

    fn lexer_text(&self, start: usize) -> &str {
        self.lexer.text_between(start, self.lexer.pos)
    }
}
