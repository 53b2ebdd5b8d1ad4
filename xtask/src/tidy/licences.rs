//! Licences of dependencies: only those that `deny.toml` allows.
//!
//! `cargo deny check licenses` reads the same file and gives the same answer; this check is here because
//! it needs no tool that would take minutes to build.

use serde::Deserialize;
use spdx::{Expression, LicenseReq, ParseMode};

use super::Finding;
use super::metadata::ForeignPackage;

const FILE: &str = "deny.toml";

#[derive(Deserialize)]
struct Deny {
    licenses: Licences,
}

#[derive(Deserialize)]
struct Licences {
    /// SPDX identifiers, an exception after ` WITH `.
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

/// What one package may have on top of the list for everybody.
#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    package: String,
    allow: Vec<String>,
}

/// Checks every package from elsewhere against the text of `deny.toml`.
pub fn check(deny: &str, packages: &[ForeignPackage]) -> Vec<Finding> {
    let licences = match toml::from_str::<Deny>(deny) {
        Ok(deny) => deny.licenses,
        Err(error) => {
            let line = error.span().map_or(0, |span| super::tokens::line_of(deny, span.start));
            return vec![Finding::error(
                FILE,
                line,
                error.message(),
                "state [licenses] with `allow = [...]`",
            )];
        }
    };
    packages.iter().filter_map(|package| check_package(&licences, package)).collect()
}

fn check_package(licences: &Licences, package: &ForeignPackage) -> Option<Finding> {
    let name = format!("{} {}", package.name, package.version);
    let remedy = "use another library; if the licence is fine with us, allow it in deny.toml and say why";
    let Some(text) = &package.licence else {
        return Some(Finding::error(FILE, 0, format!("{name} states no licence"), remedy));
    };
    // Older manifests write MIT/Apache-2.0 for "or".
    let expression = match Expression::parse_mode(text, ParseMode::LAX) {
        Ok(expression) => expression,
        Err(error) => {
            return Some(Finding::error(
                FILE,
                0,
                format!("{name}: licence `{text}`: {}", error.reason),
                remedy,
            ));
        }
    };
    let own = licences.exceptions.iter().filter(|exception| exception.package == package.name);
    let allowed: Vec<&String> =
        licences.allow.iter().chain(own.flat_map(|exception| &exception.allow)).collect();
    if expression
        .evaluate(|requirement: &LicenseReq| allowed.iter().any(|name| **name == requirement.to_string()))
    {
        return None;
    }
    Some(Finding::error(FILE, 0, format!("{name} is licensed under `{text}`, which is not allowed"), remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENY: &str = "[licenses]\nallow = [\"MIT\", \"Apache-2.0\", \"Apache-2.0 WITH LLVM-exception\"]\n\
                        [[licenses.exceptions]]\ncrate = \"certs\"\nallow = [\"CDLA-Permissive-2.0\"]\n";

    fn messages(name: &str, licence: Option<&str>) -> Vec<String> {
        let package = ForeignPackage {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            licence: licence.map(str::to_owned),
        };
        check(DENY, &[package]).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn allowed_licences_pass() {
        for licence in [
            "MIT",
            "MIT OR Apache-2.0",
            "MIT/Apache-2.0",
            "GPL-3.0-only OR MIT",
            "(MIT OR GPL-2.0-only) AND Apache-2.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-3.0-only",
        ] {
            assert!(messages("lib", Some(licence)).is_empty(), "{licence}");
        }
        assert!(messages("certs", Some("CDLA-Permissive-2.0")).is_empty());
    }

    #[test]
    fn other_licences_are_refused() {
        for licence in
            ["GPL-3.0-only", "MIT AND GPL-3.0-only", "AGPL-3.0-or-later OR BUSL-1.1", "CDLA-Permissive-2.0"]
        {
            assert_eq!(messages("lib", Some(licence)).len(), 1, "{licence}");
        }
        assert_eq!(messages("lib", None), ["lib 1.0.0 states no licence"]);
        assert!(messages("lib", Some("do what you like"))[0].contains("`do what you like`"));
    }

    #[test]
    fn a_broken_deny_file_is_a_finding() {
        let found = check("\n[licenses]\nallow = 3\n", &[]);
        assert_eq!((found[0].path.as_str(), found[0].line), ("deny.toml", 3));
    }
}
