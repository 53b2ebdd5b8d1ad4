//! Exceptions, turned into text behind the condition: `(cond) and not (…)`.

use crate::check::lists::push_item;
use crate::diagnostic::{Code, Diagnostic};
use crate::document::item::{At, Entry, ExceptionItem};
use crate::source::{MappedText, Span};
use crate::syntax::ast::Op;

/// The condition with its exceptions behind it.
///
/// # Errors
/// An exception whose fields, comparisons and values do not go together.
pub(super) fn with_exceptions(
    condition: &MappedText,
    exceptions: &[ExceptionItem],
) -> Result<MappedText, Vec<Diagnostic>> {
    let mut text = MappedText::default();
    let mut errors = Vec::new();
    let whole = condition.span(0..condition.as_str().len());
    text.push_for("(", whole);
    text.push(condition);
    text.push_for(")", whole);
    for exception in exceptions {
        match exception_text(exception) {
            Ok(Some(part)) => {
                text.push_for(" and not ", exception.name.span);
                text.push(&part);
            }
            Ok(None) => {}
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(text) } else { Err(errors) }
}

/// Whether the parts of an exception go together, with or without values.
pub(super) fn validate(exception: &ExceptionItem) -> Result<(), Diagnostic> {
    let name = exception.name.span;
    let Some(fields) = &exception.fields else {
        return Err(Diagnostic::error(Code::Exception, name, "the exception lacks `fields`"));
    };
    match fields {
        Entry::One(_) => {
            let comp = single_comp(exception)?;
            if !matches!(comp.value.as_str(), "in" | "pmatch" | "intersects") {
                let message = "with a single field, `comps` is in, pmatch or intersects";
                return Err(Diagnostic::error(Code::Exception, comp.span, message));
            }
        }
        Entry::Many(fields, span) => {
            let comps = many_comps(exception, fields.len(), *span)?;
            for comp in &comps {
                let known = Op::from_name(&comp.value).is_some() || comp.value == "==";
                if !known {
                    let message = format!("`{}` is no comparison operator", comp.value);
                    return Err(Diagnostic::error(Code::Exception, comp.span, message));
                }
            }
            for field in fields {
                if let Entry::Many(_, span) = field {
                    return Err(Diagnostic::error(Code::Exception, *span, "a field is a word"));
                }
            }
        }
    }
    Ok(())
}

/// Adds an exception to those of a rule: its values to the one of that name, if there is one.
pub(super) fn append(
    exceptions: &mut Vec<ExceptionItem>,
    exception: ExceptionItem,
    span: Span,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let name = exception.name.clone();
    if !exception.has_values {
        let message = format!("the exception `{}` adds no values", name.value);
        diagnostics.push(Diagnostic::warning(Code::Exception, name.span, message));
    }
    let Some(previous) = exceptions.iter_mut().find(|e| e.name.value == name.value) else {
        let error = if exception.values.is_empty() {
            Err(Diagnostic::error(Code::Exception, name.span, "a new exception needs `fields` and `values`"))
        } else {
            validate(&exception)
        };
        match error {
            Ok(()) => exceptions.push(exception),
            Err(error) => diagnostics.push(error),
        }
        return;
    };
    if exception.fields.is_some() || exception.comps.is_some() {
        let message = "only values can be added to an exception that is there already";
        let hint = "leave out `fields` and `comps`";
        let at = exception.fields.as_ref().map_or(span, |f| f.span());
        diagnostics.push(Diagnostic::error(Code::Exception, at, message).with_hint(hint));
        return;
    }
    previous.values.extend(exception.values);
}

fn single_comp(exception: &ExceptionItem) -> Result<At<String>, Diagnostic> {
    match &exception.comps {
        None => Ok(At::new("in".to_owned(), exception.name.span)),
        Some(Entry::One(comp)) => Ok(comp.clone()),
        Some(Entry::Many(_, span)) => Err(Diagnostic::error(
            Code::Exception,
            *span,
            "`fields` is a single field, so `comps` is a single word",
        )),
    }
}

fn many_comps(exception: &ExceptionItem, fields: usize, span: Span) -> Result<Vec<At<String>>, Diagnostic> {
    let comps = match &exception.comps {
        None => return Ok(vec![At::new("=".to_owned(), span); fields]),
        Some(Entry::Many(comps, span)) => {
            let words = comps.iter().map(|c| match c {
                Entry::One(word) => Ok(word.clone()),
                Entry::Many(_, span) => {
                    Err(Diagnostic::error(Code::Exception, *span, "an operator is a word"))
                }
            });
            (words.collect::<Result<Vec<_>, _>>()?, *span)
        }
        Some(Entry::One(comp)) => {
            return Err(Diagnostic::error(
                Code::Exception,
                comp.span,
                "`fields` is a list, so `comps` is a list too",
            ));
        }
    };
    if comps.0.len() != fields {
        let message = format!("there are {fields} fields, but {} comparison operators", comps.0.len());
        return Err(Diagnostic::error(Code::Exception, comps.1, message));
    }
    Ok(comps.0)
}

fn exception_text(exception: &ExceptionItem) -> Result<Option<MappedText>, Diagnostic> {
    validate(exception)?;
    let mut text = MappedText::default();
    let name = exception.name.span;
    if exception.values.is_empty() {
        return Ok(None);
    }
    match &exception.fields {
        Some(Entry::One(field)) => {
            let comp = single_comp(exception)?;
            text.push_for("(", name);
            text.push_exact_for(&field.value, field.span);
            text.push_for(&format!(" {} (", comp.value), comp.span);
            for (i, value) in exception.values.iter().enumerate() {
                if i > 0 {
                    text.push_for(", ", value.span());
                }
                match value {
                    Entry::One(value) => push_item(&mut text, &value.value, value.span),
                    Entry::Many(_, span) => {
                        let message = "`fields` is a single field, so each value is a single word";
                        return Err(Diagnostic::error(Code::Exception, *span, message));
                    }
                }
            }
            text.push_for("))", name);
        }
        Some(Entry::Many(fields, span)) => {
            let comps = many_comps(exception, fields.len(), *span)?;
            text.push_for("(", name);
            for (i, value) in exception.values.iter().enumerate() {
                if i > 0 {
                    text.push_for(" or ", value.span());
                }
                tuple_text(&mut text, fields, &comps, value)?;
            }
            text.push_for(")", name);
        }
        None => return Ok(None),
    }
    Ok(Some(text))
}

/// One tuple of values: `(field1 comp1 value1 and field2 comp2 value2 …)`.
fn tuple_text(
    text: &mut MappedText,
    fields: &[Entry],
    comps: &[At<String>],
    values: &Entry,
) -> Result<(), Diagnostic> {
    let span = values.span();
    let count = match values {
        Entry::Many(values, _) => values.len(),
        Entry::One(_) => 0,
    };
    if count != fields.len() {
        let message =
            format!("there are {} fields, so each entry of `values` is a list of as many", fields.len());
        return Err(Diagnostic::error(Code::Exception, span, message));
    }
    let Entry::Many(values, _) = values else { return Ok(()) };
    text.push_for("(", span);
    for (i, ((field, comp), value)) in fields.iter().zip(comps).zip(values).enumerate() {
        if i > 0 {
            text.push_for(" and ", span);
        }
        if let Entry::One(field) = field {
            text.push_exact_for(&field.value, field.span);
        }
        text.push_for(&format!(" {} ", comp.value), comp.span);
        let list = Op::from_name(&comp.value).is_some_and(Op::takes_list);
        match value {
            Entry::One(value) if list && value.value.starts_with('(') => {
                text.push_for(&value.value, value.span)
            }
            Entry::One(value) if list => {
                text.push_for("(", value.span);
                push_item(text, &value.value, value.span);
                text.push_for(")", value.span);
            }
            Entry::One(value) => push_item(text, &value.value, value.span),
            Entry::Many(values, span) => {
                text.push_for("(", *span);
                for (i, value) in values.iter().enumerate() {
                    if i > 0 {
                        text.push_for(", ", value.span());
                    }
                    match value {
                        Entry::One(value) => push_item(text, &value.value, value.span),
                        Entry::Many(_, span) => {
                            return Err(Diagnostic::error(Code::Exception, *span, "a value is a word"));
                        }
                    }
                }
                text.push_for(")", *span);
            }
        }
    }
    text.push_for(")", span);
    Ok(())
}
