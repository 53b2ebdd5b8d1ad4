//! What `explain` says of a rule, and which rules may deny.

#![allow(clippy::unwrap_used)]

#[path = "support/common.rs"]
mod common;

use vedette_policy::explain::{Decision, Explanation, explain};
use vedette_policy::field::Dimension;
use vedette_policy::{Code, Severity};

fn explained(condition: &str) -> Explanation {
    let text = format!(
        "- list: files\n  items: [/etc/shadow, /bin/sh]\n- macro: opened\n  condition: evt.type in (open, openat)\n- rule: r\n  desc: d\n  condition: {condition:?}\n  output: o\n  priority: Info\n"
    );
    explain(&common::load(&text).set.unwrap(), 0).unwrap()
}

#[test]
fn branches_with_their_dimensions() {
    let rule =
        explained("opened and (fd.name in (files) or proc.aname = sshd and not evt.is_open_read = true)");
    let types: Vec<_> = rule.event_types.iter().map(|t| t.name()).collect();
    assert_eq!(types, ["open", "openat"]);
    let condition = &rule.conditions[0];
    assert_eq!(
        condition.condition,
        "(evt.type in (open, openat)) and (fd.name in (/etc/shadow, /bin/sh) or (proc.aname = sshd and not evt.is_open_read = true))"
            .replace("(evt.type in (open, openat))", "evt.type in (open, openat)")
    );
    assert_eq!(condition.branches.len(), 2);
    let [path, subject] = condition.branches.as_slice() else { panic!() };
    assert!(path.exact && !subject.exact && !rule.exact);
    assert_eq!(path.dimensions, [Dimension::Path]);
    assert_eq!(path.literals[0].also, ["/usr/bin/sh"]);
    assert_eq!(subject.dimensions, [Dimension::Subject, Dimension::Flags]);
    assert_eq!(subject.literals[0].decision, Decision::Mask);
    assert_eq!(subject.literals[1].text, "not evt.is_open_read = true");
}

#[test]
fn what_only_user_space_decides() {
    let rule = explained("opened and fd.name contains secret and evt.arg.flags contains O_TRUNC");
    let branch = &rule.conditions[0].branches[0];
    assert!(branch.dimensions.is_empty());
    assert!(branch.literals.iter().all(|l| l.decision == Decision::No));
}

#[test]
fn branches_that_cannot_hold_are_left_out() {
    let rule = explained(
        "(opened and proc.name = a or evt.type = connect and fd.sport = 1) and not evt.type = open",
    );
    let branches = &rule.conditions[0].branches;
    let types: Vec<Vec<_>> =
        branches.iter().map(|b| b.event_types.iter().map(|t| t.name()).collect()).collect();
    assert_eq!(types, [vec!["openat"], vec!["connect"]]);
}

fn deny(condition: &str) -> Vec<Code> {
    let text = format!(
        "apiVersion: vedette.dev/v1alpha1\nkind: SecurityPolicy\nmetadata: {{name: p, namespace: n}}\nspec:\n  podSelector: {{matchLabels: {{app: web}}}}\n  rules: [{{name: r, condition: {condition:?}, action: Deny}}]\n"
    );
    let loaded = common::load(&text);
    loaded.diagnostics.iter().filter(|d| d.severity == Severity::Error).map(|d| d.code).collect()
}

#[test]
fn rules_that_may_deny() {
    for good in [
        "evt.type = connect and fd.sip = 169.254.169.254",
        "evt.type in (connect, sendto) and fd.snet in (rfc1918) and fd.sport in (22, 23) and fd.l4proto = tcp",
        "evt.type in (open, openat, openat2) and evt.is_open_write = true and fd.name startswith /etc/",
        "evt.type in (execve, execveat) and proc.exepath startswith /dev/shm/ and user.uid != 0",
        "evt.type = unlink and fs.path.name pmatch (/var/log)",
        "evt.type = execve and not proc.exepath in (/bin/sh, /bin/true)",
    ] {
        assert_eq!(deny(good), [], "{good}");
    }
    for bad in [
        "evt.type = execve and proc.name = sh",
        "evt.type = open and fd.name regex \"/etc/.*\"",
        "evt.type = connect and fd.sip.name = example.com",
        "evt.type = open and fd.name = /etc/shadow and fd.num >= 0",
        "evt.type = open and fd.name = val(proc.exepath)",
        "evt.type = read and fd.name = /etc/shadow",
        "fd.name = /etc/shadow",
    ] {
        assert!(deny(bad).contains(&Code::NotDecidable), "{bad}");
    }
}
