//! `required_engine_version` and `required_plugin_versions`.

use crate::diagnostic::{Code, Diagnostic};
use crate::document::item::At;

/// The version of Falco's rule engine whose language this is.
pub const ENGINE_VERSION: (u64, u64, u64) = (0, 63, 0);

/// What plugins give in Falco and the agent gives by itself: their names and versions.
const PROVIDED: &[(&str, (u64, u64, u64))] = &[("container", (0, 7, 0)), ("k8smeta", (0, 4, 0))];

/// `x.y.z`, or an integer, which is the minor version.
fn parse(text: &str) -> Option<(u64, u64, u64)> {
    if let Ok(minor) = text.parse() {
        return Some((0, minor, 0));
    }
    let core = text.split(['-', '+']).next()?;
    let mut parts = core.split('.').map(|p| p.parse().ok());
    let version = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some(version)
}

/// Same major version, and not newer.
fn provides(have: (u64, u64, u64), want: (u64, u64, u64)) -> bool {
    have.0 == want.0 && want <= have
}

pub(super) fn check_engine(wanted: &At<String>, diagnostics: &mut Vec<Diagnostic>) {
    let Some(version) = parse(&wanted.value) else {
        let message = format!("`{}` is no version", wanted.value);
        let hint = "an integer such as 26, or three numbers such as 0.57.0";
        diagnostics.push(Diagnostic::error(Code::EngineVersion, wanted.span, message).with_hint(hint));
        return;
    };
    if !provides(ENGINE_VERSION, version) {
        let (major, minor, patch) = ENGINE_VERSION;
        let message =
            format!("the file requires engine version {}, and this is {major}.{minor}.{patch}", wanted.value);
        diagnostics.push(Diagnostic::error(Code::EngineVersion, wanted.span, message));
    }
}

pub(super) fn check_plugin(alternatives: &[(At<String>, At<String>)], diagnostics: &mut Vec<Diagnostic>) {
    let mut found = false;
    for (name, version) in alternatives {
        let Some(wanted) = parse(&version.value) else {
            let message = format!("`{}` is no version", version.value);
            let hint = "three numbers such as 0.4.0";
            diagnostics.push(Diagnostic::error(Code::PluginVersion, version.span, message).with_hint(hint));
            return;
        };
        found |= PROVIDED.iter().any(|(n, have)| *n == name.value && provides(*have, wanted));
    }
    if let Some((name, version)) = alternatives.first()
        && !found
    {
        let message = format!("nothing here provides the plugin `{}` {}", name.value, version.value);
        let hint = "rules that read its fields will not load";
        diagnostics.push(Diagnostic::error(Code::PluginVersion, name.span, message).with_hint(hint));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(parse("26"), Some((0, 26, 0)));
        assert_eq!(parse("0.57.0"), Some((0, 57, 0)));
        assert_eq!(parse("0.57"), None);
        assert!(provides(ENGINE_VERSION, (0, 57, 0)));
        assert!(!provides(ENGINE_VERSION, (0, 64, 0)));
        assert!(!provides(ENGINE_VERSION, (1, 0, 0)));
    }
}
