//! Macros: each is parsed once, and put in place of its name in the tree.

use std::cell::Cell;
use std::collections::HashMap;

use indexmap::IndexMap;

use super::collect::Macro;
use super::lists::Lists;
use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::source::MappedText;
use crate::syntax::ast::{Check, Expr, ExprKind, Right};
use crate::syntax::parse_condition;

/// How many comparisons, values and connectives a condition may have once its macros are expanded.
const MAX_PARTS: usize = 300_000;
/// How many all conditions together may have.
const MAX_TOTAL: usize = 3_000_000;
/// How deeply a condition may nest once its macros are expanded: whatever walks it recurses so deeply.
const MAX_NESTING: usize = 256;

/// An expansion: what is left of its bounds, and the macros it is in.
struct Expansion<'e> {
    parts: usize,
    nesting: usize,
    open: Vec<&'e str>,
    /// Whether the macros met count as used.
    mark: bool,
}

/// What a node counts: a comparison as much as it has values.
fn weight(expr: &Expr) -> usize {
    match &expr.kind {
        ExprKind::Check(Check { right: Right::List(values), .. }) => 1 + values.len(),
        _ => 1,
    }
}

/// The macros in reach, parsed.
pub(crate) struct Macros<'m> {
    macros: &'m IndexMap<String, Macro>,
    lists: &'m Lists,
    parsed: HashMap<&'m str, Option<Expr>>,
    /// What is left for all expansions together.
    left: Cell<usize>,
}

impl<'m> Macros<'m> {
    /// Parses all macros; those that do not parse are reported and stand for nothing.
    pub fn parse(
        macros: &'m IndexMap<String, Macro>,
        lists: &'m Lists,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut all = Self { macros, lists, parsed: HashMap::new(), left: Cell::new(MAX_TOTAL) };
        for (name, item) in macros {
            let parsed =
                all.parse_text(&item.condition).map_err(|d| diagnostics.push(d.about(name.clone()))).ok();
            all.parsed.insert(name, parsed);
        }
        for (name, item) in macros {
            // Reports macros that use themselves, or ones defined later, also when no rule uses them.
            let Some(Some(expr)) = all.parsed.get(name.as_str()) else { continue };
            let open = vec![name.as_str()];
            if let Err(error) = all.expand_whole(expr, item.visibility, open, false) {
                diagnostics.push(error.about(name.clone()));
            }
        }
        all.left.set(MAX_TOTAL);
        all
    }

    fn parse_text(&self, text: &MappedText) -> Result<Expr, Diagnostic> {
        let error = match parse_condition(&self.lists.substitute(text)?) {
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
        self.expand_whole(&expr, usize::MAX, Vec::new(), true)
    }

    fn expand_whole<'e>(
        &'e self,
        expr: &'e Expr,
        visibility: usize,
        open: Vec<&'e str>,
        mark: bool,
    ) -> Result<Option<Expr>, Diagnostic> {
        let budget = MAX_PARTS.min(self.left.get());
        let mut expansion = Expansion { parts: budget, nesting: 0, open, mark };
        let expanded = self.expand_in(expr, visibility, &mut expansion);
        self.left.set(self.left.get() - (budget - expansion.parts));
        expanded
    }

    fn expand_in<'e>(
        &'e self,
        expr: &'e Expr,
        visibility: usize,
        expansion: &mut Expansion<'e>,
    ) -> Result<Option<Expr>, Diagnostic> {
        let left = expansion.parts.checked_sub(weight(expr)).filter(|_| expansion.nesting < MAX_NESTING);
        let Some(left) = left else {
            let message = format!(
                "once its macros are expanded, the condition has more than {MAX_PARTS} parts or nests deeper than \
                 {MAX_NESTING} levels, or all conditions together have too many parts"
            );
            return Err(Diagnostic::error(Code::Limit, expr.span, message));
        };
        expansion.parts = left;
        expansion.nesting += 1;
        let expanded = self.expand_node(expr, visibility, expansion)?;
        expansion.nesting -= 1;
        Ok(expanded)
    }

    fn expand_node<'e>(
        &'e self,
        expr: &'e Expr,
        visibility: usize,
        expansion: &mut Expansion<'e>,
    ) -> Result<Option<Expr>, Diagnostic> {
        let mut all = |parts: &'e [Expr]| -> Result<Option<Vec<Expr>>, Diagnostic> {
            parts.iter().map(|p| self.expand_in(p, visibility, expansion)).collect()
        };
        let kind = match &expr.kind {
            ExprKind::And(parts) => all(parts)?.map(ExprKind::And),
            ExprKind::Or(parts) => all(parts)?.map(ExprKind::Or),
            ExprKind::Not(inner) => all(std::slice::from_ref(inner.as_ref()))?
                .and_then(|mut inner| inner.pop())
                .map(|inner| ExprKind::Not(Box::new(inner))),
            ExprKind::Check(check) => Some(ExprKind::Check(check.clone())),
            ExprKind::Macro(name) => {
                if expansion.open.contains(&name.as_str()) {
                    let message = format!("the macro `{name}` uses itself");
                    return Err(Diagnostic::error(Code::RecursiveMacro, expr.span, message));
                }
                let Some(item) = self.macros.get(name).filter(|m| m.index < visibility) else {
                    return Err(self.unknown(name, expr));
                };
                if expansion.mark {
                    item.used.set(true);
                }
                let Some(Some(inner)) = self.parsed.get(name.as_str()) else { return Ok(None) };
                expansion.open.push(name);
                let expanded = self.expand_in(inner, item.visibility, expansion);
                expansion.open.pop();
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
