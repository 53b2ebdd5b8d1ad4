//! Macros: each is parsed once, and put in place of its name in the tree.

use std::collections::HashMap;

use indexmap::IndexMap;

use super::collect::Macro;
use super::lists::Lists;
use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::source::MappedText;
use crate::syntax::ast::{Expr, ExprKind};
use crate::syntax::parse_condition;

/// How many nodes a condition may have once its macros are expanded.
const MAX_NODES: usize = 100_000;
/// How deeply macros may use macros.
const MAX_DEPTH: usize = 64;

/// The macros in reach, parsed.
pub(super) struct Macros<'m> {
    macros: &'m IndexMap<String, Macro>,
    lists: &'m Lists,
    parsed: HashMap<&'m str, Option<Expr>>,
}

impl<'m> Macros<'m> {
    /// Parses all macros; those that do not parse are reported and stand for nothing.
    pub fn parse(
        macros: &'m IndexMap<String, Macro>,
        lists: &'m Lists,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut all = Self { macros, lists, parsed: HashMap::new() };
        for (name, item) in macros {
            let parsed =
                all.parse_text(&item.condition).map_err(|d| diagnostics.push(d.about(name.clone()))).ok();
            all.parsed.insert(name, parsed);
        }
        for (name, item) in macros {
            // Reports macros that use themselves, or ones defined later, also when no rule uses them.
            let Some(Some(expr)) = all.parsed.get(name.as_str()) else { continue };
            let mut budget = MAX_NODES;
            if let Err(error) = all.expand_in(expr, item.visibility, &mut vec![name], &mut budget, false) {
                diagnostics.push(error.about(name.clone()));
            }
        }
        all
    }

    fn parse_text(&self, text: &MappedText) -> Result<Expr, Diagnostic> {
        let error = match parse_condition(&self.lists.substitute(text)) {
            Ok(expr) => return Ok(expr),
            Err(error) => error,
        };
        // A list where a condition should be: say so, rather than what its items look like there.
        let misplaced = parse_condition(text).ok().and_then(|expr| self.list_as_macro(&expr));
        Err(misplaced.unwrap_or_else(|| error.into_diagnostic(Code::Syntax)))
    }

    fn list_as_macro(&self, expr: &Expr) -> Option<Diagnostic> {
        match &expr.kind {
            ExprKind::And(parts) | ExprKind::Or(parts) => parts.iter().find_map(|p| self.list_as_macro(p)),
            ExprKind::Not(inner) => self.list_as_macro(inner),
            ExprKind::Check(_) => None,
            ExprKind::Macro(name) => self.lists.contains(name).then(|| self.unknown(name, expr)),
        }
    }

    /// Parses the condition of a rule and expands its macros. `None`: a macro in it is reported already.
    pub fn expand(&self, text: &MappedText) -> Result<Option<Expr>, Diagnostic> {
        let expr = self.parse_text(text)?;
        let mut budget = MAX_NODES;
        self.expand_in(&expr, usize::MAX, &mut Vec::new(), &mut budget, true)
    }

    fn expand_in<'e>(
        &'e self,
        expr: &'e Expr,
        visibility: usize,
        open: &mut Vec<&'e str>,
        budget: &mut usize,
        mark: bool,
    ) -> Result<Option<Expr>, Diagnostic> {
        let Some(left) = budget.checked_sub(1) else {
            let message =
                format!("the condition has more than {MAX_NODES} parts once its macros are expanded");
            return Err(Diagnostic::error(Code::Limit, expr.span, message));
        };
        *budget = left;
        let mut all = |parts: &'e [Expr]| -> Result<Option<Vec<Expr>>, Diagnostic> {
            parts.iter().map(|p| self.expand_in(p, visibility, open, budget, mark)).collect()
        };
        let kind = match &expr.kind {
            ExprKind::And(parts) => all(parts)?.map(ExprKind::And),
            ExprKind::Or(parts) => all(parts)?.map(ExprKind::Or),
            ExprKind::Not(inner) => all(std::slice::from_ref(inner.as_ref()))?
                .and_then(|mut inner| inner.pop())
                .map(|inner| ExprKind::Not(Box::new(inner))),
            ExprKind::Check(check) => Some(ExprKind::Check(check.clone())),
            ExprKind::Macro(name) => {
                if open.contains(&name.as_str()) || open.len() > MAX_DEPTH {
                    let message = format!("the macro `{name}` uses itself");
                    return Err(Diagnostic::error(Code::RecursiveMacro, expr.span, message));
                }
                let Some(item) = self.macros.get(name).filter(|m| m.index < visibility) else {
                    return Err(self.unknown(name, expr));
                };
                if mark {
                    item.used.set(true);
                }
                let Some(Some(inner)) = self.parsed.get(name.as_str()) else { return Ok(None) };
                open.push(name);
                let expanded = self.expand_in(inner, item.visibility, open, budget, mark);
                open.pop();
                return expanded;
            }
        };
        Ok(kind.map(|kind| Expr { kind, span: expr.span }))
    }

    fn unknown(&self, name: &str, expr: &Expr) -> Diagnostic {
        let message = format!("there is no macro `{name}`");
        let hint = if self.macros.contains_key(name) {
            Some(format!("`{name}` is defined further down; a macro must be defined before its use"))
        } else if self.lists.contains(name) {
            Some(format!("`{name}` is a list; use it as in `proc.name in ({name})`"))
        } else {
            nearest(name, self.macros.keys().map(String::as_str)).map(|n| format!("did you mean `{n}`?"))
        };
        Diagnostic::error(Code::UnknownMacro, expr.span, message).with_some_hint(hint)
    }
}
