//! Holds Falco's published rules, as they are, against what they look for and what only looks like it.
//!
//! One agent runs with `falco_rules.yaml` while all tests go on. Each stable rule has attacks, which must raise its
//! alert with the right fields, and benign twins, which must not. They are real, and take place in real containers
//! where the rule asks for one. The files are found in `$FALCO_RULES_DIR`, or in `../shared/falco-rules` beside the
//! workspace.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cases;
mod deed;
mod published;
mod scene;

#[path = "../support/act.rs"]
mod act;
#[path = "../support/container.rs"]
mod container;
#[path = "../support/harness.rs"]
mod harness;
#[path = "../support/stage.rs"]
mod stage;
#[path = "../support/wait.rs"]
mod wait;

use std::{collections::BTreeSet, process::ExitCode, sync::Arc};

use libtest_mimic::{Arguments, Failed, Trial};

use self::{
    cases::Case,
    harness::{Agent, PATIENCE},
    scene::Scene,
};

fn main() -> ExitCode {
    if let Some(code) = act::requested() {
        return code;
    }
    let arguments = Arguments::from_args();
    if !harness::may_load_bpf("published_rules") {
        return ExitCode::SUCCESS;
    }
    let Some(files) = published::files() else { return ExitCode::SUCCESS };
    let mut trials = vec![
        {
            let files = files.clone();
            Trial::test("every_stable_rule_has_cases", move || every_stable_rule_has_cases(&files))
        },
        {
            let files = files.clone();
            Trial::test("all_93_rules_are_active", move || all_93_rules_are_active(&files))
        },
    ];
    let wanted = |name: &str| {
        let matches = |filter: &str| if arguments.exact { name == filter } else { name.contains(filter) };
        arguments.filter.as_deref().is_none_or(matches)
    };
    // What takes time to set up is set up only for somebody.
    let names = |case: &Case| [case.attack_name(), case.benign_name()];
    let scene = (!arguments.list && cases::all().flat_map(|case| names(&case)).any(|name| wanted(&name)))
        .then(|| Arc::new(Scene::new(&files.stable)));
    for case in cases::all() {
        let s = scene.clone();
        trials.push(Trial::test(case.attack_name(), move || detects(&case, s.as_deref().unwrap())));
        let s = scene.clone();
        trials.push(Trial::test(case.benign_name(), move || quiet(&case, s.as_deref().unwrap())));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Some(scene) = scene {
        Arc::into_inner(scene).unwrap().end();
    }
    conclusion.exit_code()
}

fn every_stable_rule_has_cases(files: &published::Files) -> Result<(), Failed> {
    let loaded = vedette_policy::PolicySet::load([published::source(&files.stable)]);
    let rules: BTreeSet<_> = loaded.set.unwrap().rules().iter().map(|rule| rule.name.to_string()).collect();
    let tested: BTreeSet<_> = cases::all().map(|case| case.rule.to_owned()).collect();
    assert_eq!(tested, rules);
    assert_eq!(rules.len(), 25);
    Ok(())
}

/// The three files as they are, and with everything in them switched on: no rule waits for what nobody reports.
fn all_93_rules_are_active(files: &published::Files) -> Result<(), Failed> {
    let everything = files.with_all_enabled();
    let mut arguments = vec!["run", "--no-default-policies", "--no-socket", "--output", "json"];
    for file in everything.paths() {
        arguments.extend(["--policy", file.to_str().unwrap()]);
    }
    let agent = Agent::start(arguments);
    let ready = agent.wait_ready(PATIENCE);
    let ended = agent.terminate();
    assert!(ready.text.contains("93 rules"), "{}", ready.text);
    // A field that this kernel lacks is another matter.
    let all_seen = ["nothing degraded", "degraded: 0 programs, 0 event types,"];
    assert!(all_seen.iter().any(|words| ready.text.contains(words)), "{:#?}", ended.stderr);
    Ok(())
}

/// The attack is told, with what happened.
fn detects(case: &Case, scene: &Scene) -> Result<(), Failed> {
    let mark = scene.agent.stdout.mark();
    let deed = (case.attack)(scene);
    let alert = scene.agent.expect_alert(mark, case.rule, |line| deed.by.is_in(line));
    let wrong = deed.differences(&alert);
    assert!(wrong.is_empty(), "{}\nin {}", wrong.join("\n"), alert.text);
    Ok(())
}

/// The benign twin raises no alert of that rule.
fn quiet(case: &Case, scene: &Scene) -> Result<(), Failed> {
    let mark = scene.agent.stdout.mark();
    let twin = (case.benign)(scene);
    let by = twin.by();
    scene.wait_judged(mark, &twin);
    let raised = scene.agent.stdout.since(mark);
    let raised: Vec<_> = raised.iter().filter(|line| line.rule() == case.rule && by.is_in(line)).collect();
    assert!(raised.is_empty(), "it was taken for an attack: {raised:#?}");
    Ok(())
}
