//! What a rule says about itself: for whom it is, what it is about in ATT&CK, and what to do when it fires.

use vedette_event::alert::{Level, attack};

use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::document::falco::read_exception;
use crate::document::item::{At, ExceptionItem};
use crate::document::reader::Reader;

/// A guide as written.
#[derive(Debug, Clone, Default)]
pub struct GuideItem {
    /// What an alert means.
    pub meaning: Option<At<String>>,
    /// Why that is bad.
    pub why: Option<At<String>>,
    /// What to do now.
    pub response: Option<At<String>>,
    /// Known causes that are no attack.
    pub benign: Vec<BenignItem>,
}

/// A known cause that is no attack.
#[derive(Debug, Clone)]
pub struct BenignItem {
    /// Who does this, and when.
    pub cause: At<String>,
    /// The exception for it, ready to be enabled.
    pub exception: Option<ExceptionItem>,
}

/// Longest response, in characters: it is the end of a line that a tired person reads.
const MAX_RESPONSE: usize = 160;

/// Reads `level` of a policy or a rule.
pub(super) fn read_level(reader: &mut Reader<'_, '_>) -> Option<At<Level>> {
    let text = reader.text("level")?;
    match text.value.parse() {
        Ok(level) => Some(At::new(level, text.span)),
        Err(_) => {
            reader.error(Code::Shape, text.span, "`level` is default, strict or audit");
            None
        }
    }
}

/// Reads `attack`: ids of techniques.
pub(super) fn read_attack(reader: &mut Reader<'_, '_>) -> Vec<At<String>> {
    let ids = reader.texts("attack").unwrap_or_default();
    for (index, id) in ids.iter().enumerate() {
        if !attack::is_technique(&id.value) || !id.value.starts_with('T') {
            let message = format!("`{}` is no technique id", id.value);
            let hint = "write it as T1059, or T1059.004 for a sub-technique";
            reader.report(Diagnostic::error(Code::Attack, id.span, message).with_hint(hint));
        } else if ids[..index].iter().any(|other| other.value == id.value) {
            reader.report(Diagnostic::warning(
                Code::Attack,
                id.span,
                format!("`{}` is there twice", id.value),
            ));
        } else if attack::technique(&id.value).is_none() {
            let version = attack::VERSION;
            let message = format!("ATT&CK {version} has no technique `{}` for Linux or containers", id.value);
            let near = nearest(&id.value, attack::techniques().map(|t| t.id));
            let hint = near.map(|near| format!("did you mean `{near}`?"));
            reader.report(Diagnostic::warning(Code::Attack, id.span, message).with_some_hint(hint));
        }
    }
    ids
}

/// Reads `guide`.
pub(super) fn read_guide(reader: &mut Reader<'_, '_>) -> Option<GuideItem> {
    let node = reader.mapping("guide")?;
    let mut inner = Reader { node, subject: reader.subject.clone(), diagnostics: &mut *reader.diagnostics };
    inner.known_keys(&["meaning", "why", "response", "benign"]);
    let mut guide = GuideItem {
        meaning: inner.text("meaning"),
        why: inner.text("why"),
        response: inner.text("response"),
        benign: Vec::new(),
    };
    if let Some(response) = &guide.response {
        let text = response.value.trim();
        if text.chars().count() > MAX_RESPONSE || text.contains('\n') {
            let message =
                format!("`response` ends each alert: one line of at most {MAX_RESPONSE} characters");
            let hint = "say first what to do first; the rest belongs into `why`";
            let warning = Diagnostic::warning(Code::Shape, response.span, message);
            inner.report(warning.with_hint(hint));
        }
    }
    for node in inner.mappings("benign") {
        let mut cause = Reader { node, subject: inner.subject.clone(), diagnostics: &mut *inner.diagnostics };
        cause.known_keys(&["cause", "exception"]);
        let Some(text) = cause.required("cause") else { continue };
        let exception = cause.mapping("exception").and_then(|node| {
            let mut inner =
                Reader { node, subject: cause.subject.clone(), diagnostics: &mut *cause.diagnostics };
            read_exception(&mut inner)
        });
        guide.benign.push(BenignItem { cause: text, exception });
    }
    Some(guide)
}
