//! A condition on its own: what a person types to look at events, with the lists and macros of policy files at hand.

use crate::diagnostic::{Code, has_errors};
use crate::document::item::{At, Item, RuleChange, RuleFields, RuleItem};
use crate::document::{self, Document};
use crate::set::{Loaded, PolicySet};
use crate::source::{MappedText, Source, SourceMap, Span};
use crate::syntax::parse_condition;

/// The name of the rule that a condition becomes.
const NAME: &str = "condition";

impl PolicySet {
    /// Makes a set of one rule, which matches when all conditions hold. `output` is the template of its text.
    ///
    /// The name of a source is what findings call it; a finding points at the character in it. Of the definitions,
    /// lists and macros count, those of native policies too; their rules do not.
    pub fn load_condition(
        conditions: impl IntoIterator<Item = Source>,
        output: Source,
        definitions: impl IntoIterator<Item = Source>,
    ) -> Loaded {
        let mut map = SourceMap::default();
        let mut diagnostics = Vec::new();
        let mut items = Vec::new();
        for source in definitions {
            let id = map.add(source);
            for document in document::read_source(&map, id, &mut diagnostics) {
                items.extend(definitions_of(document));
            }
        }
        let mut joined = MappedText::default();
        for condition in conditions {
            let text = whole(&mut map, condition);
            // Each by itself, or a parenthesis of one could be closed by another.
            if let Err(error) = parse_condition(&text) {
                diagnostics.push(error.into_diagnostic(Code::Syntax));
                continue;
            }
            let span = text.span(0..text.as_str().len());
            let before = if joined.is_empty() { "(" } else { " and (" };
            joined.push_for(before, Span { end: span.start, ..span });
            joined.push(&text);
            joined.push_for(")", Span { start: span.end, ..span });
        }
        let output = whole(&mut map, output);
        let span = joined.span(0..joined.as_str().len());
        let at = |text: &str| At::new(text.to_owned(), span);
        let fields = RuleFields {
            condition: Some(At::new(joined, span)),
            output: Some(At::new(output, span)),
            desc: Some(at("")),
            priority: Some(at("Debug")),
            warn_evttypes: Some(false),
            ..RuleFields::default()
        };
        if !has_errors(&diagnostics) {
            let rule = RuleItem { name: at(NAME), span, fields, change: RuleChange::Define };
            items.push(Item::Rule(Box::new(rule)));
        }
        let mut loaded =
            Self::of_documents(vec![Document::Falco(items)], map, diagnostics, crate::Level::Audit);
        loaded.diagnostics.retain(|d| d.code != Code::Unused);
        for diagnostic in &mut loaded.diagnostics {
            diagnostic.subject.take_if(|subject| subject == NAME);
        }
        loaded
    }
}

/// The whole text of a source, every character where it is.
fn whole(map: &mut SourceMap, source: Source) -> MappedText {
    let mut text = MappedText::default();
    let content = source.text.clone();
    text.push_exact(&content, map.add(source), 0);
    text
}

/// The lists and macros of a document.
fn definitions_of(document: Document) -> Vec<Item> {
    match document {
        Document::Falco(items) => {
            items.into_iter().filter(|item| matches!(item, Item::List(_) | Item::Macro(_))).collect()
        }
        Document::Native(policy) => {
            let lists = policy.lists.into_iter().map(Item::List);
            lists.chain(policy.macros.into_iter().map(Item::Macro)).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Severity;
    use crate::event_type::{EventType, EventTypes};

    fn load(conditions: &[&str], definitions: &str) -> Loaded {
        let conditions = conditions.iter().map(|text| Source::new("--where", *text));
        let definitions = (!definitions.is_empty()).then(|| Source::new("lists.yaml", definitions));
        PolicySet::load_condition(conditions, Source::new("--fields", "%fd.name"), definitions)
    }

    #[test]
    fn all_conditions_must_hold_and_their_event_types_are_known() {
        let loaded = load(&["evt.type in (open, connect) or evt.type = execve", "evt.type != connect"], "");
        assert_eq!(loaded.render(Severity::Note, false), "");
        let set = loaded.set.unwrap();
        let types: EventTypes = [EventType::Open, EventType::Execve].into_iter().collect();
        assert_eq!((set.rules().len(), set.event_types_of(0)), (1, types));
        assert_eq!(load(&["fd.name = /x"], "").set.unwrap().event_types_of(0), EventTypes::all());
    }

    #[test]
    fn a_finding_points_into_the_condition() {
        for (condition, finding) in [
            ("evt.type = open and fd.nmae = x", "--where:1:21"),
            ("evt.type = open and (fd.name = x", "--where:1:"),
            ("evt.type = open) or (fd.name = x", "--where:1:16"),
            ("", "the condition is empty"),
            ("opened", "no macro `opened`"),
        ] {
            let loaded = load(&[condition], "");
            let text = loaded.render(Severity::Note, false);
            assert!(loaded.set.is_none() && text.contains(finding), "{condition}: {text}");
        }
        let text = load(&["evt.type = open and fd.nmae = x"], "").render(Severity::Error, false);
        assert!(text.starts_with("error[unknown-field]: unknown field `fd.nmae`"), "{text}");
        assert!(text.contains("^^^^^^^") && text.contains("did you mean `fd.name`?"), "{text}");
    }

    #[test]
    fn lists_and_macros_of_both_kinds_of_files_count_and_their_rules_do_not() {
        let native = "apiVersion: vedette.dev/v1alpha1\nkind: ClusterSecurityPolicy\nmetadata: {name: a}\nspec:\n  \
                      lists: [{name: shells, items: [sh, bash]}]\n  macros: [{name: spawned, condition: evt.type = execve}]\n  \
                      rules: [{name: r, condition: evt.type = connect, output: x}]\n";
        let falco = "- list: shells\n  items: [sh, bash]\n- macro: spawned\n  condition: evt.type = execve\n\
                     - rule: r\n  desc: d\n  condition: evt.type = connect\n  output: x\n  priority: Info\n";
        for definitions in [native, falco] {
            let loaded = load(&["spawned and proc.name in (shells)"], definitions);
            let set =
                loaded.set.as_ref().unwrap_or_else(|| panic!("{}", loaded.render(Severity::Note, false)));
            assert_eq!(set.rules().len(), 1);
            assert_eq!(set.needs().event_types, [EventType::Execve].into_iter().collect());
        }
    }
}
