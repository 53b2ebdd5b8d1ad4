//! Names and types: the syntax tree of a condition, macros expanded, to a typed condition.

use std::sync::Arc;

use super::cond::{Atom, Cond, NumberOp, Test, TextOp};
use super::lower_value::{self as value, Number};
use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::event_type::EventType;
use crate::field::{FieldId, FieldName, FieldNameError, FieldType};
use crate::source::Span;
use crate::spelling;
use crate::syntax::ast::{
    Argument, Check, Expr, ExprKind, Function, Literal, Op, Operand, OperandKind, Quantifier, Right,
};
use crate::term::{Term, TermArg};

/// How many values `oneof` may have.
const MAX_ONE_OF: usize = 32;

type Lowered<T> = Result<T, Diagnostic>;

/// Types a condition. All errors in it go to `diagnostics`.
pub(super) fn lower(expr: &Expr, diagnostics: &mut Vec<Diagnostic>) -> Option<Cond> {
    let mut all = |parts: &[Expr]| {
        let lowered: Vec<_> = parts.iter().map(|p| lower(p, diagnostics)).collect();
        lowered.into_iter().collect::<Option<Vec<_>>>()
    };
    match &expr.kind {
        ExprKind::And(parts) => all(parts).map(Cond::And),
        ExprKind::Or(parts) => all(parts).map(Cond::Or),
        ExprKind::Not(inner) => lower(inner, diagnostics).map(|c| Cond::Not(Box::new(c))),
        ExprKind::Check(check) => match lower_check(check, expr.span) {
            Ok(cond) => Some(cond),
            Err(error) => {
                diagnostics.push(error);
                None
            }
        },
        ExprKind::Macro(name) => {
            diagnostics.push(Diagnostic::error(
                Code::UnknownMacro,
                expr.span,
                format!("there is no macro `{name}`"),
            ));
            None
        }
    }
}

/// A field or transformer with its names resolved.
pub(super) fn lower_operand(operand: &Operand) -> Lowered<Term> {
    match &operand.kind {
        OperandKind::Field { name, arg } => lower_field(name, arg.as_deref(), operand.span).map(Term::Field),
        OperandKind::Call { function, args, index } => {
            lower_call(*function, args, index.as_deref(), operand.span)
        }
    }
}

/// A field's name with its argument.
pub(super) fn lower_field(name: &str, arg: Option<&str>, span: Span) -> Lowered<FieldName> {
    let field = FieldName::resolve(name, arg).map_err(|error| {
        let message = error.to_string();
        match error {
            FieldNameError::Unknown { nearest, .. } => {
                let hint = nearest.map(|n| format!("did you mean `{n}`?"));
                Diagnostic::error(Code::UnknownField, span, message).with_some_hint(hint)
            }
            _ => Diagnostic::error(Code::FieldArgument, span, message),
        }
    })?;
    if field.id == FieldId::EvtTypeIs
        && let Some(key) = field.arg.key()
    {
        event_type(key, span)?;
    }
    Ok(field)
}

/// The event type of that name, or the finding that there is none.
fn event_type(name: &str, span: Span) -> Lowered<EventType> {
    EventType::from_name(name).ok_or_else(|| {
        let hint =
            nearest(name, EventType::ALL.iter().map(|t| t.name())).map(|n| format!("did you mean `{n}`?"));
        Diagnostic::error(Code::UnknownEvent, span, format!("unknown event type `{name}`"))
            .with_some_hint(hint)
    })
}

fn lower_call(function: Function, args: &[Argument], index: Option<&str>, span: Span) -> Lowered<Term> {
    let mut lowered = Vec::with_capacity(args.len());
    for arg in args {
        lowered.push(match arg {
            Argument::Operand(operand) => TermArg::Term(lower_operand(operand)?),
            Argument::Literal(literal) => TermArg::Literal(literal.bytes.clone()),
        });
    }
    let name = function.as_str();
    let wrong = |message: String| Err(Diagnostic::error(Code::Type, span, message));
    let text_or_list = |arg: &TermArg| match arg {
        TermArg::Term(term) => term.value_type().is_text(),
        TermArg::Literal(_) => true,
    };
    match function {
        Function::ToLower | Function::ToUpper | Function::B64 | Function::Basename => {
            let [TermArg::Term(term)] = lowered.as_slice() else {
                return wrong(format!("`{name}` takes one field"));
            };
            if !term.value_type().is_text() {
                return wrong(format!(
                    "`{name}` takes a string, and `{term}` is {}",
                    term.value_type().with_article()
                ));
            }
        }
        Function::Len => {
            let [TermArg::Term(term)] = lowered.as_slice() else {
                return wrong("`len` takes one field".to_owned());
            };
            if !term.value_type().is_text() {
                return wrong(format!(
                    "`len` takes a string or a list, and `{term}` is {}",
                    term.value_type().with_article()
                ));
            }
        }
        Function::Join => match lowered.as_slice() {
            [TermArg::Term(_), TermArg::Literal(_)] => {}
            [TermArg::Literal(_), TermArg::Term(_)] => lowered.swap(0, 1),
            _ => return wrong("`join` takes a list and a separator, as in join(fd.types, \",\")".to_owned()),
        },
        Function::Concat => {
            if lowered.len() < 2 {
                return wrong("`concat` takes at least two values".to_owned());
            }
        }
        Function::GetOpt => match lowered.as_slice() {
            [TermArg::Term(_), TermArg::Literal(_)] if text_or_list(&lowered[0]) => {}
            _ => {
                return wrong(
                    "`getopt` takes a string and the options, as in getopt(proc.args, \"n:v\")".to_owned(),
                );
            }
        },
    }
    if index.is_some() && function != Function::GetOpt {
        return wrong(format!("`{name}` takes no argument in brackets"));
    }
    Ok(Term::Call { function, args: lowered, index: index.map(str::to_owned) })
}

fn lower_check(check: &Check, span: Span) -> Lowered<Cond> {
    let term = lower_operand(&check.left)?;
    let Some(quantifier) = check.quantifier else { return compare(&term, check, span) };
    let Right::List(values) = &check.right else {
        let message = format!("`{}` needs a list in parentheses", quantifier.as_str());
        return Err(Diagnostic::error(Code::Type, span, message));
    };
    let each = |value: &Literal| {
        let right = Right::Value(value.clone());
        compare(&term, &Check { left: check.left.clone(), op: check.op, quantifier: None, right }, span)
    };
    let parts = values.iter().map(each).collect::<Lowered<Vec<_>>>()?;
    match quantifier {
        Quantifier::AnyOf => Ok(Cond::Or(parts)),
        // Over nothing, `allof` would hold for every event; that is never meant.
        Quantifier::AllOf if parts.is_empty() => Ok(Cond::Or(parts)),
        Quantifier::AllOf => Ok(Cond::And(parts)),
        Quantifier::OneOf if parts.len() > MAX_ONE_OF => {
            let message = format!("`oneof` takes at most {MAX_ONE_OF} values");
            Err(Diagnostic::error(Code::Limit, span, message).with_hint("`anyof` takes any number"))
        }
        Quantifier::OneOf => {
            let exactly = |i: usize| {
                let others =
                    parts.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, c)| c.clone()).collect();
                Cond::And(vec![parts[i].clone(), Cond::Not(Box::new(Cond::Or(others)))])
            };
            Ok(Cond::Or((0..parts.len()).map(exactly).collect()))
        }
    }
}

/// What a comparison is made of, while it is being typed.
struct Comparison<'c> {
    term: &'c Term,
    op: Op,
    span: Span,
    text: String,
}

fn compare(term: &Term, check: &Check, span: Span) -> Lowered<Cond> {
    let comparison = Comparison { term, op: check.op, span, text: check.to_string() };
    let test = match &check.right {
        Right::None => Test::Exists,
        Right::Value(literal) => comparison.with_literals(std::slice::from_ref(literal))?,
        Right::List(literals) => comparison.with_literals(literals)?,
        Right::Field(operand) | Right::Call(operand) => comparison.with_term(operand)?,
    };
    Ok(Cond::Atom(Arc::new(Atom {
        many: term.multiplicity(),
        negated: check.op == Op::Ne,
        every: check.op == Op::In,
        test,
        text: comparison.text,
        term: term.clone(),
        span,
        is_scope: false,
    })))
}

impl Comparison<'_> {
    fn does_not_go(&self, hint: Option<String>) -> Diagnostic {
        let of = self.term.value_type();
        let message = format!(
            "`{}` does not go with `{}`, which is {}",
            self.op.as_str(),
            self.term,
            of.with_article()
        );
        Diagnostic::error(Code::Type, self.span, message).with_some_hint(hint)
    }

    fn with_literals(&self, literals: &[Literal]) -> Lowered<Test> {
        let of = self.term.value_type();
        let equality = matches!(self.op, Op::Eq | Op::Ne | Op::In | Op::Intersects);
        match of {
            FieldType::Bool if equality => self.bools(literals),
            FieldType::Bool => {
                Err(self.does_not_go(Some("compare it with `= true` or `= false`".to_owned())))
            }
            _ if of.is_number() => self.numbers(literals),
            FieldType::Ip | FieldType::Net if equality => {
                let field = self.term.to_string();
                Ok(Test::Net(value::networks(literals, of, &field)?))
            }
            FieldType::Ip | FieldType::Net => Err(self.does_not_go(Some("use = != or in".to_owned()))),
            _ => self.texts(literals),
        }
    }

    fn bools(&self, literals: &[Literal]) -> Lowered<Test> {
        let values = literals.iter().map(value::bool).collect::<Lowered<Vec<_>>>()?;
        match values.as_slice() {
            [] => Ok(Test::NumberIn(Vec::new())),
            [first, rest @ ..] if rest.iter().all(|v| v == first) => Ok(Test::Bool(*first)),
            _ => Ok(Test::Exists),
        }
    }

    fn numbers(&self, literals: &[Literal]) -> Lowered<Test> {
        let of = self.term.value_type();
        let op = match self.op {
            Op::Eq | Op::Ne => NumberOp::Eq,
            Op::Lt => NumberOp::Lt,
            Op::Le => NumberOp::Le,
            Op::Gt => NumberOp::Gt,
            Op::Ge => NumberOp::Ge,
            Op::In | Op::Intersects => {
                let mut values = Vec::with_capacity(literals.len());
                for literal in literals {
                    match value::number(literal, of)? {
                        Number::Whole(whole) => values.push(whole),
                        Number::Fraction(_) => {
                            let message = "a list of fractions cannot be compared; use < and >";
                            return Err(Diagnostic::error(Code::Type, literal.span, message));
                        }
                    }
                }
                return Ok(Test::NumberIn(values));
            }
            _ => return Err(self.does_not_go(Some("use = != < <= > >= or in".to_owned()))),
        };
        let Some(literal) = literals.first() else { return Err(self.does_not_go(None)) };
        Ok(match value::number(literal, of)? {
            Number::Whole(whole) => Test::Number(op, whole as f64, whole),
            Number::Fraction(fraction) => Test::Number(op, fraction, fraction as i128),
        })
    }

    fn texts(&self, literals: &[Literal]) -> Lowered<Test> {
        let plain = || literals.iter().map(|l| l.bytes.clone()).collect::<Vec<_>>();
        let hex = || literals.iter().map(value::hex).collect::<Lowered<Vec<_>>>();
        let equality = matches!(self.op, Op::Eq | Op::Ne | Op::In | Op::Intersects);
        if equality && self.is_host_name() {
            return Ok(Test::Host(literals.iter().map(|l| l.text().into_owned()).collect()));
        }
        let (op, values) = match self.op {
            Op::Eq | Op::Ne | Op::In | Op::Intersects => {
                self.check_event_types(literals)?;
                (TextOp::Equal, plain())
            }
            Op::StartsWith => (TextOp::StartsWith, plain()),
            Op::EndsWith => (TextOp::EndsWith, plain()),
            Op::Contains => (TextOp::Contains, plain()),
            Op::IContains => (TextOp::IContains, plain()),
            Op::BContains => (TextOp::Contains, hex()?),
            Op::BStartsWith => (TextOp::StartsWith, hex()?),
            Op::Glob => (TextOp::Glob, plain()),
            Op::IGlob => (TextOp::IGlob, plain()),
            Op::PMatch => (TextOp::PMatch, plain()),
            Op::Regex => {
                let patterns = literals.iter().map(value::regex).collect::<Lowered<Vec<_>>>()?;
                let texts = literals.iter().map(|l| l.text().into_owned()).collect();
                return Ok(Test::Regex(patterns, texts));
            }
            Op::Exists | Op::Lt | Op::Le | Op::Gt | Op::Ge => {
                let hint = match self.term {
                    Term::Field(FieldName { id: FieldId::EvtArg, arg }) => {
                        arg.key().map(|key| format!("`evt.arg` is text; `evt.rawarg.{key}` is a number"))
                    }
                    _ => None,
                };
                return Err(self.does_not_go(hint));
            }
        };
        Ok(Test::Text(op, self.with_merged_spelling(op, values)))
    }

    fn is_host_name(&self) -> bool {
        matches!(self.term, Term::Field(field) if field.id.info().address_of_name().is_some())
    }

    /// Names that `evt.type` is compared with must be event types.
    fn check_event_types(&self, literals: &[Literal]) -> Lowered<()> {
        if let Term::Field(field) = self.term
            && matches!(field.id, FieldId::EvtType | FieldId::SyscallType)
        {
            for literal in literals {
                event_type(&literal.text(), literal.span)?;
            }
        }
        Ok(())
    }

    /// For resolved paths, the other spelling of each literal too.
    fn with_merged_spelling(&self, op: TextOp, mut values: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let is_path = match self.term {
            Term::Field(field) => {
                field.id.info().is_path()
                    || field.id == FieldId::EvtArg
                        && matches!(
                            field.arg.key(),
                            Some("path" | "name" | "oldpath" | "newpath" | "filename")
                        )
            }
            Term::Call { .. } => false,
        };
        if is_path && matches!(op, TextOp::Equal | TextOp::StartsWith | TextOp::Glob | TextOp::PMatch) {
            let others: Vec<_> =
                values.iter().filter_map(|v| spelling::merged(v)).filter(|v| !values.contains(v)).collect();
            values.extend(others);
        }
        values
    }

    fn with_term(&self, operand: &Operand) -> Lowered<Test> {
        let right = lower_operand(operand)?;
        let (left_type, right_type) = (self.term.value_type(), right.value_type());
        if matches!(self.op, Op::PMatch | Op::Regex) || left_type == FieldType::Net {
            let message = format!("`{}` takes no field on its right-hand side here", self.op.as_str());
            return Err(
                Diagnostic::error(Code::Type, operand.span, message).with_hint("write the value itself")
            );
        }
        let same = left_type == right_type
            || left_type.is_number() && right_type.is_number()
            || left_type.is_text() && right_type.is_text();
        if !same {
            let message = format!(
                "`{}` is {}, but `{right}` is {}",
                self.term,
                left_type.with_article(),
                right_type.with_article()
            );
            return Err(Diagnostic::error(Code::Type, operand.span, message));
        }
        let number_op = match self.op {
            Op::Eq | Op::Ne => Some(NumberOp::Eq),
            Op::Lt => Some(NumberOp::Lt),
            Op::Le => Some(NumberOp::Le),
            Op::Gt => Some(NumberOp::Gt),
            Op::Ge => Some(NumberOp::Ge),
            _ => None,
        };
        if matches!(self.op, Op::In | Op::Intersects) {
            return Ok(Test::InField(right));
        }
        if left_type.is_number() {
            return number_op.map(|op| Test::NumberField(op, right)).ok_or_else(|| self.does_not_go(None));
        }
        let text_op = match self.op {
            Op::Eq | Op::Ne => TextOp::Equal,
            Op::StartsWith if left_type.is_text() => TextOp::StartsWith,
            Op::EndsWith if left_type.is_text() => TextOp::EndsWith,
            Op::Contains if left_type.is_text() => TextOp::Contains,
            Op::IContains if left_type.is_text() => TextOp::IContains,
            Op::Glob if left_type.is_text() => TextOp::Glob,
            Op::IGlob if left_type.is_text() => TextOp::IGlob,
            _ => return Err(self.does_not_go(None)),
        };
        Ok(Test::TextField(text_op, right))
    }
}
