//! ARCHITECTURE.md: each crate has its place in the code map, and one invariant.

use super::Finding;
use super::metadata::OwnCrate;

const FILE: &str = "ARCHITECTURE.md";

/// Crates that are tools around the product and have no invariant of their own.
const WITHOUT_INVARIANT: &[&str] = &["xtask", "vedette-e2e"];

/// Checks that the document covers the crates, and no crate that is gone.
pub fn check(document: Option<&str>, crates: &[OwnCrate]) -> Vec<Finding> {
    let Some(document) = document else {
        let remedy = "write it: a bird's-eye view, a code map, one invariant per crate";
        return vec![Finding::error(FILE, 0, "it is missing", remedy)];
    };
    let mut findings = Vec::new();
    for own in crates {
        if !document.contains(&format!("`{}`", own.directory))
            && !document.contains(&format!("`{}/", own.directory))
        {
            let message = format!("the code map does not mention `{}` ({})", own.directory, own.name);
            findings.push(Finding::error(FILE, 0, message, "say in one line what the crate does"));
        }
        if WITHOUT_INVARIANT.contains(&own.name.as_str()) {
            continue;
        }
        let stated = invariants(document).filter(|(_, name, _)| *name == own.name).count();
        if stated != 1 {
            let message = format!("{stated} invariants of {}, and there should be one", own.name);
            let remedy = format!(
                "have one line `Invariant ({}): ...`: what always holds, and who relies on it",
                own.name
            );
            findings.push(Finding::error(FILE, 0, message, remedy));
        }
    }
    for (line, name, text) in invariants(document) {
        if text.is_empty() {
            findings.push(Finding::error(
                FILE,
                line,
                format!("the invariant of {name} says nothing"),
                "state it",
            ));
        }
        if !crates.iter().any(|own| own.name == name) {
            let message = format!("an invariant of {name}, which is no crate of this workspace");
            findings.push(Finding::error(FILE, line, message, "remove it, or correct the name"));
        }
    }
    findings
}

/// Every `Invariant (NAME): text`, wherever it stands in its line (a list item, bold), with its line.
fn invariants(document: &str) -> impl Iterator<Item = (usize, &str, &str)> {
    document.lines().enumerate().filter_map(|(index, line)| {
        let (name, text) = line.split_once("Invariant (")?.1.split_once(')')?;
        let text = text.trim_start_matches(['*', ':', ' ']);
        Some((index + 1, name.trim_matches('`'), text.trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crates() -> Vec<OwnCrate> {
        let own = |name: &str, directory: &str| OwnCrate {
            name: name.to_owned(),
            directory: directory.to_owned(),
            ..OwnCrate::default()
        };
        vec![own("vedette-abi", "crates/abi"), own("xtask", "xtask")]
    }

    #[test]
    fn a_complete_document_passes() {
        let text =
            "- `crates/abi`: records.\n- **Invariant (vedette-abi):** no padding.\n- `xtask/`: commands\n";
        assert_eq!(check(Some(text), &crates()), []);
    }

    #[test]
    fn gaps_are_found() {
        let messages = |text: Option<&str>| -> Vec<String> {
            check(text, &crates()).into_iter().map(|finding| finding.message).collect()
        };
        assert_eq!(messages(None), ["it is missing"]);
        let map = "`crates/abi` `xtask`\n";
        assert_eq!(messages(Some(map)), ["0 invariants of vedette-abi, and there should be one"]);
        let one = "`crates/abi`\nInvariant (vedette-abi): x\n";
        assert_eq!(messages(Some(one)), ["the code map does not mention `xtask` (xtask)"]);
        let two = format!("{map}Invariant (vedette-abi): x\nInvariant (vedette-abi): y\n");
        assert_eq!(messages(Some(&two)), ["2 invariants of vedette-abi, and there should be one"]);
        let empty = format!("{map}Invariant (vedette-abi):\n");
        assert_eq!(messages(Some(&empty)), ["the invariant of vedette-abi says nothing"]);
        let gone = format!("{map}Invariant (vedette-abi): x\nInvariant (vedette-old): y\n");
        assert_eq!(
            messages(Some(&gone)),
            ["an invariant of vedette-old, which is no crate of this workspace"]
        );
    }
}
