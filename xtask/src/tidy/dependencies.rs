//! Who may import whom.

use anyhow::Result;

use super::Finding;
use super::metadata::OwnCrate;
use crate::exec;
use crate::workspace::Workspace;

/// Each crate with the crates of ours that it may depend on. `None` = any: end-to-end tests look at
/// everything from outside.
const MAY_IMPORT: &[(&str, Option<&[&str]>)] = &[
    ("vedette-abi", Some(&[])),
    ("agent-ebpf", Some(&["vedette-abi"])),
    ("vedette-event", Some(&["vedette-abi"])),
    ("vedette-policy", Some(&["vedette-abi", "vedette-event"])),
    ("vedette-proto", Some(&[])),
    ("vedette-settings", Some(&[])),
    (
        "vedette-agent",
        Some(&["vedette-abi", "vedette-event", "vedette-policy", "vedette-proto", "vedette-settings"]),
    ),
    ("vedette-controller", Some(&["vedette-event", "vedette-policy", "vedette-proto", "vedette-settings"])),
    ("vedette-cli", Some(&["vedette-event", "vedette-policy", "vedette-proto", "vedette-settings"])),
    ("vedette-load", Some(&["vedette-proto"])),
    ("vedette-e2e", None),
    ("xtask", Some(&[])),
];

/// Crates with lints of their own, because cargo cannot add to the workspace's: the BPF half is unsafe
/// throughout, and has conditions that only its target knows.
const OWN_LINTS: &[&str] = &["agent-ebpf"];

/// The crates that only compute, and what they must not get through anybody's hands.
const KEPT_OUT: &[(&str, &[&str])] = &[
    ("vedette-abi", &["tokio", "kube", "tonic"]),
    ("vedette-event", &["tokio", "kube", "tonic"]),
    ("vedette-policy", &["tokio", "kube", "tonic"]),
];

/// Checks the manifests against the table.
pub fn check(crates: &[OwnCrate]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for own in crates {
        let manifest = manifest_path(own);
        if !inherits_lints(&own.manifest) && !OWN_LINTS.contains(&own.name.as_str()) {
            let message = "the crate does not inherit the workspace's lints";
            findings.push(Finding::error(&manifest, 0, message, "add `[lints]` with `workspace = true`"));
        }
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == own.name) else {
            let message = format!("{} is in no table of who may import whom", own.name);
            let remedy = "add it to MAY_IMPORT in xtask/src/tidy/dependencies.rs and to ARCHITECTURE.md";
            findings.push(Finding::error(manifest, 0, message, remedy));
            continue;
        };
        let Some(allowed) = allowed else { continue };
        for dependency in own.dependencies.iter().filter(|dependency| dependency.own) {
            if dependency.name != own.name && !allowed.contains(&dependency.name.as_str()) {
                let line = line_naming(&own.manifest, &dependency.name);
                let message = format!("{} must not import {}", own.name, dependency.name);
                let remedy = match *allowed {
                    [] => format!("{} imports none of our crates; move the code down instead", own.name),
                    _ => format!("it may import {}; move the code there instead", allowed.join(", ")),
                };
                findings.push(Finding::error(&manifest, line, message, remedy));
            }
        }
    }
    findings
}

/// Checks that the computing crates stay free of I/O libraries, also of those that a library brings in.
///
/// # Errors
/// When cargo fails.
pub fn check_kept_out(workspace: &Workspace, crates: &[OwnCrate]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (name, forbidden) in KEPT_OUT {
        let Some(own) = crates.iter().find(|own| own.name == *name) else { continue };
        // The metadata would not do: it unites the features that other crates of the workspace switch on.
        let mut cargo = workspace.cargo();
        cargo.args(["tree", "--locked", "--edges", "normal,build", "--prefix", "none", "--format", "{p}"]);
        let tree = exec::output(cargo.args(["--package", name]))?;
        findings.extend(kept_out(own, &tree, forbidden));
    }
    Ok(findings)
}

fn kept_out(own: &OwnCrate, tree: &str, forbidden: &[&str]) -> Vec<Finding> {
    let brought = |crate_name: &&&str| {
        tree.lines().any(|line| {
            let package = line.split(' ').next().unwrap_or_default();
            package == **crate_name || package.starts_with(&format!("{crate_name}-"))
        })
    };
    let found = forbidden.iter().filter(brought).map(|crate_name| {
        let message = format!("{} depends on {crate_name}, and it only computes", own.name);
        let remedy = format!(
            "`cargo tree -p {} -i {crate_name}` shows how; put it behind a feature or elsewhere",
            own.name
        );
        Finding::error(manifest_path(own), line_naming(&own.manifest, crate_name), message, remedy)
    });
    found.collect()
}

fn manifest_path(own: &OwnCrate) -> String {
    format!("{}/Cargo.toml", own.directory)
}

/// The 1-based line of a manifest that begins with the name, or 0.
fn line_naming(manifest: &str, name: &str) -> usize {
    manifest.lines().position(|line| line.starts_with(name)).map_or(0, |index| index + 1)
}

fn inherits_lints(manifest: &str) -> bool {
    let mut lines = manifest.lines().map(str::trim).skip_while(|line| *line != "[lints]").skip(1);
    lines
        .by_ref()
        .take_while(|line| !line.starts_with('['))
        .any(|line| line.replace(' ', "") == "workspace=true")
}

#[cfg(test)]
mod tests {
    use super::super::metadata::Dependency;
    use super::*;

    const LINTS: &str = "[lints]\nworkspace = true\n";

    fn own(name: &str, dependencies: &[&str]) -> OwnCrate {
        let named: String = dependencies.iter().map(|name| format!("{name}.workspace = true\n")).collect();
        OwnCrate {
            name: name.to_owned(),
            directory: format!("crates/{name}"),
            dependencies: dependencies
                .iter()
                .map(|name| Dependency { name: (*name).to_owned(), own: name.starts_with("vedette-") })
                .collect(),
            manifest: format!("{LINTS}[dependencies]\n{named}"),
        }
    }

    #[test]
    fn the_allowed_directions_pass() {
        let crates = [
            own("vedette-abi", &["zerocopy"]),
            own("vedette-event", &["vedette-abi"]),
            own("vedette-policy", &["vedette-event", "regex"]),
            own("vedette-agent", &["vedette-policy", "vedette-event", "vedette-abi", "tokio"]),
            own("vedette-e2e", &["vedette-agent"]),
        ];
        assert_eq!(check(&crates), []);
    }

    #[test]
    fn a_wrong_direction_is_named_with_its_line() {
        let found = check(&[own("vedette-event", &["vedette-abi", "vedette-policy"])]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].path.as_str(), found[0].line), ("crates/vedette-event/Cargo.toml", 5));
        assert_eq!(found[0].message, "vedette-event must not import vedette-policy");
    }

    #[test]
    fn an_unknown_crate_must_enter_the_table() {
        let found = check(&[own("vedette-extra", &[])]);
        assert!(found[0].message.contains("vedette-extra is in no table"), "{}", found[0].message);
    }

    #[test]
    fn lints_must_be_inherited() {
        let mut bare = own("vedette-abi", &[]);
        bare.manifest = "[package]\nworkspace = true\n[lints]\n[dependencies]\n".to_owned();
        assert!(check(&[bare])[0].message.contains("lints"));
    }

    #[test]
    fn io_libraries_are_found_at_any_depth() {
        let policy = own("vedette-policy", &[]);
        let tree = "vedette-policy v0.1.0 (/x)\nregex v1.0.0\ntokio-util v0.7.0\n";
        assert_eq!(kept_out(&policy, tree, &["tokio", "kube"]).len(), 1);
        assert_eq!(kept_out(&policy, "vedette-policy v0.1.0\nregex v1.0.0 (*)\n", &["tokio", "kube"]), []);
    }
}
