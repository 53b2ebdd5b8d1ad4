//! Holds the built-in policies against what attacks, and everyday work, really do to this host.
//!
//! One agent runs with the built-in policies while all tests go on. Each rule has an attack, which must raise its
//! alert, and a benign twin that looks like it, which must raise none at all. The actions are real; what they make is
//! removed, what they touch they only open. The table in [`cases`] has to name every rule.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cases;

#[path = "../support/act.rs"]
mod act;
#[path = "../support/harness.rs"]
mod harness;
#[path = "../support/stage.rs"]
mod stage;

use std::{process::ExitCode, sync::Arc};

use libtest_mimic::{Arguments, Failed, Trial};

use self::{
    cases::Case,
    harness::{Agent, PATIENCE},
    stage::Stage,
};

/// The rule of which each quiet test makes an alert on purpose, to know that everything before it has been judged.
const SENTINEL: &str = "Password hashes read";

fn main() -> ExitCode {
    if let Some(code) = act::requested() {
        return code;
    }
    let arguments = Arguments::from_args();
    if !harness::may_load_bpf("detections") {
        return ExitCode::SUCCESS;
    }
    // A ring that holds what others on this host do meanwhile.
    let agent = Arc::new(Agent::start(["run", "--output", "json", "--events-ring", "64MiB"]));
    agent.wait_ready(PATIENCE);
    let stage = Arc::new(Stage::new());

    let mut trials = vec![Trial::test("every_rule_is_in_the_table", every_rule_is_in_the_table)];
    for case in cases::all() {
        let name = case.rule.to_lowercase().replace([' ', '-'], "_");
        let (a, s) = (Arc::clone(&agent), Arc::clone(&stage));
        trials.push(Trial::test(format!("detects::{name}"), move || detects(&case, &a, &s)));
        let (a, s) = (Arc::clone(&agent), Arc::clone(&stage));
        trials.push(Trial::test(format!("quiet::{name}"), move || quiet(&case, &a, &s)));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    let ended = Arc::into_inner(agent).unwrap().terminate();
    assert!(ended.status.success(), "the agent ended with {}: {:?}", ended.status, ended.stderr);
    conclusion.exit_code()
}

fn every_rule_is_in_the_table() -> Result<(), Failed> {
    let loaded = vedette_policy::PolicySet::load(vedette_agent::policies::built_in());
    let mut rules: Vec<_> = loaded.set.unwrap().rules().iter().map(|rule| rule.name.to_string()).collect();
    let mut tested: Vec<_> = cases::all().map(|case| case.rule.to_owned()).collect();
    rules.sort();
    tested.sort();
    assert_eq!(tested, rules);
    Ok(())
}

/// The attack is told, with who did it.
fn detects(case: &Case, agent: &Agent, stage: &Stage) -> Result<(), Failed> {
    let mark = agent.stdout.mark();
    let pid = (case.attack)(stage);
    let alert = agent.expect_alert(mark, case.rule, |line| line.is_of(pid));
    for key in ["priority", "description", "process.exe_path", "process.user.uid", "attack.techniques"] {
        assert!(!alert.at(key).is_null(), "the alert has no {key}: {}", alert.text);
    }
    let output = alert.at("output").as_str().unwrap_or_default();
    assert!(
        output.contains("started by") && !output.contains('%'),
        "who did it, and who started that: {output}"
    );
    Ok(())
}

/// The benign twin raises no alert of any rule.
fn quiet(case: &Case, agent: &Agent, stage: &Stage) -> Result<(), Failed> {
    let mark = agent.stdout.mark();
    let pid = (case.benign)(stage);
    let marker = stage.link_to("/etc/shadow");
    stage.run(stage.act(["read"]).arg(&marker));
    agent.expect_alert(mark, SENTINEL, |line| line.at("event.raw_path").as_str() == marker.to_str());
    let raised: Vec<_> = agent.stdout.since(mark).into_iter().filter(|line| line.is_of(pid)).collect();
    assert!(raised.is_empty(), "everyday work raised alerts: {raised:#?}");
    Ok(())
}
