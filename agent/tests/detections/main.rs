//! Holds the built-in policies against what attacks, and everyday work, really do to this host and to containers.
//!
//! One agent runs with the built-in policies of all levels while all tests go on. Each rule has attacks, which must
//! raise its alert, and benign twins that look like them, which must raise neither it nor anything that would page
//! someone. The actions are real; what they make is removed, what they touch they only open. The table in [`cases`]
//! has to name every rule, and to show every technique that a rule claims.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod away;
mod cases;
mod scene;

#[path = "../support/act.rs"]
mod act;
#[path = "../support/container.rs"]
mod container;
#[path = "../support/harness.rs"]
mod harness;
#[allow(dead_code, reason = "shared by test targets")]
#[path = "../raw/ring.rs"]
mod ring;
#[path = "../support/stage.rs"]
mod stage;
#[path = "../support/wait.rs"]
mod wait;

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    sync::{Arc, PoisonError, RwLock},
};

use libtest_mimic::{Arguments, Failed, Trial};
use vedette_policy::{PolicySet, Rule, rule::slug};

use self::{
    cases::{Act, Case},
    harness::{Agent, PATIENCE},
    scene::Scene,
};

/// The rule of which each quiet test makes an alert on purpose, to know that everything before it has been judged.
const SENTINEL: &str = "Password hashes read";

/// What an act is held against.
type Check = fn(&Case, &Act, &Agent, &Scene, &Rules);

fn main() -> ExitCode {
    if let Some(code) = uring_requested().or_else(act::requested) {
        return code;
    }
    let arguments = Arguments::from_args();
    if !harness::may_load_bpf("detections") {
        return ExitCode::SUCCESS;
    }
    if !arguments.list
        && let Some(code) = away::run()
    {
        return code;
    }
    let rules = Arc::new(Rules::load());
    // A ring that holds what others on this host do meanwhile.
    let start = || Agent::start(["run", "--level", "audit", "--output", "json", "--events-ring", "64MiB"]);
    let shared = (!arguments.list).then(|| (start(), Scene::new(), Arc::clone(&rules))).map(Arc::new);
    if let Some((agent, ..)) = shared.as_deref() {
        agent.wait_ready(6 * PATIENCE);
    }

    let turns = Arc::new(RwLock::new(()));
    let mut trials = Vec::new();
    let mut trial = |name: String, run: fn(&Case, &Act, &Agent, &Scene, &Rules), case: Case, act: Act| {
        let (shared, turns) = (shared.clone(), Arc::clone(&turns));
        trials.push(Trial::test(name, move || {
            let (agent, scene, rules) = shared.as_deref().unwrap();
            let attempt = || catch_unwind(AssertUnwindSafe(|| run(&case, &act, agent, scene, rules)));
            // Rules that count, or follow a file by its inode, may take two tests for one. So what fails beside others
            // is judged alone.
            let beside_others = {
                let _others = turns.read().unwrap_or_else(PoisonError::into_inner);
                attempt()
            };
            beside_others
                .or_else(|_| {
                    let _alone = turns.write().unwrap_or_else(PoisonError::into_inner);
                    attempt()
                })
                .map_err(|_| Failed::without_message())
        }));
    };
    for case in cases::all() {
        let rule = slug(case.rule);
        let kinds: [(&str, _, Check); 3] = [
            ("detects", case.attacks, detects),
            ("evasion", case.evasions, detects),
            ("quiet", case.benign, quiet),
        ];
        for (kind, acts, run) in kinds {
            for act in acts {
                trial(format!("{kind}::{rule}::{}", act.name), run, case, *act);
            }
        }
    }
    trials.push(Trial::test("table::names_every_rule", {
        let rules = Arc::clone(&rules);
        move || names_every_rule(&rules)
    }));
    trials.push(Trial::test("table::shows_every_technique", move || shows_every_technique(&rules)));

    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Some((agent, ..)) = shared.map(|shared| Arc::into_inner(shared).unwrap()) {
        let ended = agent.terminate();
        assert!(ended.status.success(), "the agent ended with {}: {:?}", ended.status, ended.stderr);
    }
    conclusion.exit_code()
}

/// The one act of the helper that is not in [`act`], for not every test target has rings: `--act uring-read FILE`.
fn uring_requested() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip_while(|arg| arg != act::FLAG).skip(1);
    let file = args.next().filter(|operation| operation == "uring-read").and_then(|_| args.next())?;
    let path = ring::c(std::path::Path::new(&file));
    let directory = io_uring::types::Fd(nix::libc::AT_FDCWD);
    let open = io_uring::opcode::OpenAt::new(directory, path.as_ptr()).build();
    let results = ring::run(&mut ring::ring(ring::Mode::Plain, 2), vec![open]);
    ring::close(&results);
    Some(if results[0] >= 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The built-in rules, by name.
struct Rules(BTreeMap<String, Rule>);

impl Rules {
    fn load() -> Self {
        let loaded = PolicySet::load(vedette_agent::policies::built_in());
        Self(loaded.set.unwrap().rules().iter().map(|rule| (rule.name.clone(), rule.clone())).collect())
    }

    fn get(&self, name: &str) -> &Rule {
        self.0.get(name).unwrap_or_else(|| panic!("there is no built-in rule `{name}`"))
    }
}

fn names_every_rule(rules: &Rules) -> Result<(), Failed> {
    let mut tested: Vec<_> = cases::all().map(|case| case.rule).collect();
    tested.sort_unstable();
    assert_eq!(tested, rules.0.keys().collect::<Vec<_>>(), "each rule has one case, and each case a rule");
    for case in cases::all() {
        assert!(!case.attacks.is_empty(), "`{}` has no attack", case.rule);
        assert!(!case.benign.is_empty(), "`{}` has no benign twin", case.rule);
        let names: Vec<_> = case.positive().chain(case.benign.iter().copied()).map(|act| act.name).collect();
        let distinct: BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "`{}` has two acts of one name: {names:?}", case.rule);
    }
    Ok(())
}

/// A technique counts as covered if a rule claims it, so each claim needs an attack that shows it.
fn shows_every_technique(rules: &Rules) -> Result<(), Failed> {
    for case in cases::all() {
        let claimed: BTreeSet<&str> = rules.get(case.rule).attack.iter().map(String::as_str).collect();
        let mut shown = BTreeSet::new();
        for act in case.positive() {
            match act.shows {
                [] => shown.extend(&claimed),
                some => shown.extend(some),
            }
        }
        assert_eq!(
            shown, claimed,
            "`{}`: the techniques that its attacks show are those it claims",
            case.rule
        );
    }
    Ok(())
}

/// The attack is told: what happened, by whom, and what to do.
fn detects(case: &Case, act: &Act, agent: &Agent, scene: &Scene, rules: &Rules) {
    let rule = rules.get(case.rule);
    let mark = agent.stdout.mark();
    let pid = (act.run)(scene);
    let alert = agent.expect_alert(mark, case.rule, |line| line.is_of(pid));
    for key in ["priority", "description", "process.exe_path", "process.user.uid", "attack.techniques"] {
        assert!(!alert.at(key).is_null(), "the alert has no {key}: {}", alert.text);
    }
    assert_eq!(alert.at("level").as_str(), Some(rule.level.as_str()));
    let output = alert.at("output").as_str().unwrap_or_default();
    let response = alert.at("guide.response").as_str().unwrap_or_default();
    assert!(!response.is_empty() && output.ends_with(response), "what to do is said last: {output}");
    assert!(output.contains(" ← "), "who started it: {output}");
    assert!(!output.contains('%'), "no field is left unread: {output}");
}

/// The benign twin raises neither the rule nor any alert that would page someone.
fn quiet(case: &Case, act: &Act, agent: &Agent, scene: &Scene, _rules: &Rules) {
    let mark = agent.stdout.mark();
    let pid = (act.run)(scene);
    let marker = scene.link_to("/etc/shadow");
    scene.run(scene.act(["read"]).arg(&marker));
    agent.expect_alert(mark, SENTINEL, |line| line.at("event.raw_path").as_str() == marker.to_str());
    let is_noise =
        |line: &harness::Line| line.rule() == case.rule || line.at("level").as_str() == Some("default");
    let raised: Vec<_> =
        agent.stdout.since(mark).into_iter().filter(|line| line.is_of(pid) && is_noise(line)).collect();
    assert!(raised.is_empty(), "everyday work raised alerts: {raised:#?}");
}
