//! What the loaded policies need of the kernel. Everything here may ask for too much, never for too little.

mod opens;
mod traffic;

use vedette_abi::{EVERY_SCOPE, SCOPE_CONTAINER, SCOPE_HOST, SCOPE_POD};
use vedette_policy::{
    EventType, FieldId, PolicySet, Rule,
    check::{Atom, Cond, NumberOp, Test, TextOp},
    term::Term,
};

use crate::sensor::Plan;

/// Event types whose failures have a record of their own only when asked for.
const OPENS: &[EventType] = &[EventType::Open, EventType::Creat, EventType::Openat, EventType::Openat2];

/// Fields about the standard descriptors of a program.
const STDIO: &[FieldId] = &[
    FieldId::ProcStdinType,
    FieldId::ProcStdoutType,
    FieldId::ProcStderrType,
    FieldId::ProcStdinName,
    FieldId::ProcStdoutIno,
    FieldId::ProcStdoutName,
    FieldId::ProcStderrName,
];

/// Event types that are also those of programs that could not be started.
const EXECS: &[EventType] = &[EventType::Execve, EventType::Execveat];

/// The plan for a set of policies.
pub fn plan(set: &PolicySet) -> Plan {
    let mut plan = Plan::of_named_opens();
    for (index, rule) in set.rules().iter().enumerate().filter(|(_, r)| r.is_active()) {
        let scopes = scopes(rule);
        let types = set.event_types_of(index);
        for event_type in types.iter() {
            plan.want(event_type.name(), scopes);
        }
        for may_change in [false, true] {
            let need = opens::needed(rule, &types, may_change);
            plan.want_opens(may_change, scopes, |names| need.put_into(names));
        }
        if EXECS.iter().any(|t| types.contains(*t)) && can_match_failed_exec(rule) {
            plan.want_failed_execs(scopes);
        }
        if OPENS.iter().any(|t| types.contains(*t)) && !only_success(rule) {
            plan.want_failed_opens();
        }
        plan.want_traffic(traffic::needed(rule, &types));
    }
    if set.needs().fields.iter().any(|f| matches!(f.id, FieldId::ProcEnv | FieldId::ProcAenv)) {
        plan.want_environment();
    }
    if set.needs().fields.iter().any(|f| STDIO.contains(&f.id)) {
        plan.want_stdio();
    }
    plan
}

/// The scopes in which a rule can match, by its policy's selectors and by what its conditions require.
fn scopes(rule: &Rule) -> u64 {
    let selected = if rule.scope.is_everything() { EVERY_SCOPE } else { SCOPE_POD };
    let required = rule.conditions().iter().map(|c| required_scopes(&c.cond)).fold(0, |all, one| all | one);
    selected & required
}

/// Scopes outside of which a condition is false. Conjunctions narrow, everything else is taken as "anywhere".
fn required_scopes(cond: &Cond) -> u64 {
    match cond {
        Cond::And(parts) => parts.iter().map(required_scopes).fold(EVERY_SCOPE, |all, one| all & one),
        Cond::Or(parts) => parts.iter().map(required_scopes).fold(0, |all, one| all | one),
        Cond::Not(inner) => match inner.as_ref() {
            Cond::Atom(atom) if is_host(atom) == Some(true) => CONTAINERS,
            _ => EVERY_SCOPE,
        },
        Cond::Atom(atom) => match is_host(atom) {
            Some(true) => SCOPE_HOST,
            Some(false) => CONTAINERS,
            None => EVERY_SCOPE,
        },
    }
}

const CONTAINERS: u64 = SCOPE_CONTAINER | SCOPE_POD;

/// Whether an atom says that the container is (true) or is not (false) the host.
fn is_host(atom: &Atom) -> Option<bool> {
    let Term::Field(field) = &atom.term else { return None };
    let host = matches!(&atom.test, Test::Text(TextOp::Equal, values) if values.iter().all(|v| v == b"host"));
    (host && field.id == FieldId::ContainerId).then_some(!atom.negated)
}

/// Whether a rule can only match calls that succeeded.
fn only_success(rule: &Rule) -> bool {
    rule.conditions().iter().all(|c| requires_success(&c.cond))
}

/// Whether one of a rule's conditions is evaluated for programs that could not be started, and can hold for one.
fn can_match_failed_exec(rule: &Rule) -> bool {
    rule.conditions().iter().any(|c| c.asks_for_result() && !requires_success(&c.cond))
}

fn requires_success(cond: &Cond) -> bool {
    match cond {
        Cond::And(parts) => parts.iter().any(requires_success),
        Cond::Or(parts) => parts.iter().all(requires_success),
        Cond::Not(_) => false,
        Cond::Atom(atom) => {
            let Term::Field(field) = &atom.term else { return false };
            let not_negative = match &atom.test {
                Test::Number(NumberOp::Ge, _, n) => *n >= 0,
                Test::Number(NumberOp::Gt, _, n) => *n >= -1,
                Test::Number(NumberOp::Eq, _, n) => *n >= 0,
                _ => false,
            };
            !atom.negated
                && match field.id {
                    FieldId::FdNum | FieldId::EvtRawres => not_negative,
                    FieldId::EvtFailed => matches!(atom.test, Test::Bool(false)),
                    FieldId::EvtRes => {
                        matches!(&atom.test, Test::Text(TextOp::Equal, values) if values.iter().all(|v| v == b"SUCCESS"))
                    }
                    // A file that was not opened was not created either, and has no kernel path.
                    FieldId::EvtIsOpenCreate | FieldId::EvtIsOpenExec => {
                        matches!(atom.test, Test::Bool(true))
                    }
                    FieldId::FdRealpath => true,
                    _ => false,
                }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vedette_abi::{Kind, filter_flags};
    use vedette_policy::Source;

    fn of(condition: &str) -> Plan {
        let text = format!("- rule: r\n  desc: d\n  condition: {condition}\n  output: o\n  priority: INFO\n");
        let loaded = PolicySet::load([Source::new("t.yaml", text)]);
        plan(&loaded.set.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics)))
    }

    fn wanted(condition: &str, kind: Kind) -> u64 {
        of(condition).filter().wanted[kind as usize]
    }

    #[test]
    fn only_what_rules_name_is_wanted() {
        assert_eq!(wanted("evt.type = connect", Kind::NetConnect), EVERY_SCOPE);
        assert_eq!(wanted("evt.type = connect", Kind::FileOpen), 0);
        assert!(!of("evt.type = execve").needs_syscalls());
        assert!(of("evt.type in (futex, openat)").unseen.contains("futex"));
    }

    #[test]
    fn the_container_narrows_the_scope_only_where_it_must_hold() {
        let of = |c: &str| wanted(&format!("evt.type = openat and {c}"), Kind::FileOpen);
        assert_eq!(of("container.id != host"), CONTAINERS);
        assert_eq!(of("not container.id = host"), CONTAINERS);
        assert_eq!(of("container.id = host"), SCOPE_HOST);
        assert_eq!(of("(container.id != host or proc.name = x)"), EVERY_SCOPE);
        assert_eq!(of("not (container.id = host and proc.name = x)"), EVERY_SCOPE);
        assert_eq!(of("container.id != abc"), EVERY_SCOPE);
    }

    #[test]
    fn failed_opens_come_up_only_for_rules_that_can_match_them() {
        let flag = |c: &str| {
            of(&format!("evt.type = openat and {c}")).filter().flags & filter_flags::FAILED_OPENS != 0
        };
        assert!(!flag("fd.num >= 0"));
        assert!(!flag("evt.res = SUCCESS"));
        assert!(!flag("evt.failed = false and fd.name = /x"));
        assert!(flag("fd.name = /x"));
        assert!(flag("fd.num = -1"));
        assert!(flag("(fd.num >= 0 or fd.name = /x)"));
        assert!(flag("not fd.num >= 0"));
        assert!(!of("evt.type = execve").filter().flags & filter_flags::FAILED_OPENS != 0);
    }

    #[test]
    fn failed_execs_come_up_only_for_rules_that_ask_for_them() {
        let wanted = |c: &str| wanted(c, Kind::ExecFailed) != 0;
        assert!(!wanted("evt.type = execve and proc.name = x"));
        assert!(!wanted("evt.type in (execve, execveat) and evt.res = SUCCESS"));
        assert!(!wanted("evt.type = connect and evt.res = EACCES"));
        assert!(wanted("evt.type = execve and evt.res = EACCES"));
        assert!(wanted("evt.type = execveat and not evt.failed = false"));
        assert!(wanted("evt.type = execve and evt.arg.res != 0"));
        assert!(wanted("evt.rawres < 0"));
        let scoped = of("evt.type = execve and container.id != host and evt.rawres < 0");
        assert_eq!(scoped.filter().wanted[Kind::ExecFailed as usize], CONTAINERS);
        assert!(scoped.dispatch().iter().any(|(row, _)| *row == 59));
    }

    #[test]
    fn the_language_and_the_sensor_agree_about_what_is_reported() {
        let reported: Vec<_> = EventType::ALL.iter().filter(|t| t.is_reported()).map(|t| t.name()).collect();
        let mut calls: Vec<_> = vedette_abi::Call::ALL.iter().map(|c| c.name()).collect();
        calls.sort_unstable();
        calls.dedup();
        let mut sorted = reported.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, calls);
    }

    #[test]
    fn the_environment_is_carried_only_when_a_rule_reads_it() {
        let flag = |c: &str| of(c).filter().flags & filter_flags::ENVIRONMENT != 0;
        assert!(flag("evt.type = execve and proc.env contains LD_PRELOAD"));
        assert!(!flag("evt.type = execve and proc.name = x"));
    }
}
