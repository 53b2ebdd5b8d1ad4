//! Generated files are what their generators would write today.

use std::fs;

use anyhow::{Context, Result};

use super::Finding;
use crate::codegen::GENERATED;
use crate::workspace::Workspace;

/// Compares each generated file with what its generator makes.
///
/// # Errors
/// When a generator fails.
pub fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for file in GENERATED {
        let wanted = (file.generate)(workspace).with_context(|| format!("generate {}", file.path))?;
        let present = fs::read_to_string(workspace.root().join(file.path)).ok();
        findings.extend(compare(file.path, present.as_deref(), &wanted));
        findings.extend(unexplained(file.path, &wanted));
    }
    Ok(findings)
}

/// What the document of the detections says of techniques that neither a rule nor a reason is about.
const UNEXPLAINED: &str = "**Nobody has looked at these yet.**";

fn unexplained(path: &str, text: &str) -> Option<Finding> {
    let line = text.lines().position(|line| line.starts_with(UNEXPLAINED))?;
    let remedy = "write a rule, or the reason why there is none into docs/not-covered.yaml";
    Some(Finding::error(path, line + 1, "techniques without a rule and without a reason", remedy))
}

fn compare(path: &str, present: Option<&str>, wanted: &str) -> Option<Finding> {
    let remedy = "run `cargo xtask codegen` and commit the result";
    let Some(present) = present else {
        return Some(Finding::error(path, 0, "the generated file is missing", remedy));
    };
    if present == wanted {
        return None;
    }
    let same = present.lines().zip(wanted.lines()).take_while(|(old, new)| old == new).count();
    Some(Finding::error(path, same + 1, "the generated file is out of date", remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_file_is_found_with_the_first_line_that_differs() {
        assert_eq!(compare("a.md", Some("1\n2\n"), "1\n2\n"), None);
        assert_eq!(compare("a.md", Some("1\n2\n"), "1\n3\n").unwrap().line, 2);
        assert_eq!(compare("a.md", Some("1\n"), "1\n2\n").unwrap().line, 2);
        assert_eq!(compare("a.md", None, "1\n").unwrap().message, "the generated file is missing");
    }

    #[test]
    fn techniques_that_nobody_has_looked_at_are_found() {
        assert_eq!(unexplained("a.md", "1\n2\n"), None);
        let text = format!("1\n\n{UNEXPLAINED} (3)\n");
        assert_eq!(unexplained("a.md", &text).unwrap().line, 3);
    }
}
