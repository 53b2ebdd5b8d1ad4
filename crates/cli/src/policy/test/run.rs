//! Running the tests of a file.

use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;
use vedette_policy::diagnostic::nearest;
use vedette_policy::resolve::Resolver;
use vedette_policy::source::Span;
use vedette_policy::{Code, Diagnostic, Evaluator, Level, PolicySet, Severity};

use super::file::{Expected, Test, TestFile};
use super::why::{Why, why};
use crate::console::Console;
use crate::exit::Failure;
use crate::policy::input;

/// How a test went.
#[derive(Serialize)]
pub struct Outcome {
    pub file: String,
    pub line: u32,
    pub test: String,
    pub passed: bool,
    /// The alerts expected that were not raised.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
    /// The alerts raised that were not expected.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unexpected: Vec<Alert>,
    /// The alerts raised that were expected.
    pub expected: Vec<Alert>,
}

/// An alert that was raised.
#[derive(Serialize, Clone)]
pub struct Alert {
    pub rule: String,
    /// The number of the event, from 1; none for what a throttle told at the end.
    pub event: Option<usize>,
    pub output: String,
}

/// An alert that was expected and not raised.
#[derive(Serialize)]
pub struct Missing {
    pub rule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<usize>,
    pub why: Why,
}

/// Runs the tests of a file whose names are wanted. `None`: its policies are bad, which has been said.
///
/// # Errors
/// When its policies cannot be read.
pub fn run(
    file: &TestFile,
    level: Level,
    wanted: impl Fn(&str) -> bool,
    console: &mut Console,
) -> Result<Option<Vec<Outcome>>, Failure> {
    let loaded = input::load_at(&file.policies, level)
        .map_err(|error| Failure::Input(format!("{}: {error}", file.path.display())))?;
    let Some(set) = loaded.set.as_ref() else {
        let findings = loaded.render(Severity::Error, console.err_colour());
        console.say(findings.trim_end());
        return Ok(None);
    };
    if !rules_exist(file, set, console) {
        return Ok(None);
    }
    let resolver: Arc<dyn Resolver> = Arc::new(Hosts(file.hosts.clone()));
    let tests = file.tests.iter().filter(|t| wanted(&t.name));
    Ok(Some(tests.map(|test| run_test(file, test, set, &resolver)).collect()))
}

/// Whether every rule that the file names is there; says which is not.
fn rules_exist(file: &TestFile, set: &PolicySet, console: &mut Console) -> bool {
    let expected = file.tests.iter().flat_map(|t| &t.expect).map(|e| (&e.rule, e.span));
    let named: Vec<(&String, Span)> =
        expected.chain(file.only.iter().map(|(rule, span)| (rule, *span))).collect();
    let mut good = true;
    for (rule, span) in named.into_iter().filter(|(rule, _)| set.rule(rule).is_none()) {
        let near = nearest(rule, set.rules().iter().map(|r| r.name.as_str()));
        let error = Diagnostic::error(Code::Shape, span, format!("the policies have no rule `{rule}`"))
            .with_some_hint(near.map(|n| format!("did you mean `{n}`?")));
        console.say(error.render(&file.sources, console.err_colour()));
        console.say("");
        good = false;
    }
    good
}

/// The hosts that a test file names.
#[derive(Debug)]
struct Hosts(Vec<(String, Vec<IpAddr>)>);

impl Resolver for Hosts {
    fn is_host(&self, host: &str, address: IpAddr) -> bool {
        self.0.iter().any(|(name, addresses)| name == host && addresses.contains(&address))
    }
}

fn run_test(file: &TestFile, test: &Test, set: &Arc<PolicySet>, resolver: &Arc<dyn Resolver>) -> Outcome {
    let mut evaluator =
        Evaluator::new(Arc::clone(set)).with_matching(file.matching).with_resolver(Arc::clone(resolver));
    let mut alerts = Vec::new();
    let about = |rule: &str| file.only.is_empty() || file.only.iter().any(|(name, _)| name == rule);
    for (index, event) in test.events.iter().enumerate() {
        evaluator.evaluate(event, |m| {
            alerts.push(Alert { rule: m.rule.name.clone(), event: Some(index + 1), output: m.output });
        });
    }
    evaluator.finish(|m| alerts.push(Alert { rule: m.rule.name.clone(), event: None, output: m.output }));
    alerts.retain(|alert| about(&alert.rule));

    let mut left: Vec<Option<Alert>> = alerts.iter().cloned().map(Some).collect();
    let mut expected = Vec::new();
    let mut missing = Vec::new();
    for wanted in &test.expect {
        let found = left.iter_mut().find(|a| a.as_ref().is_some_and(|a| wanted.fits(a)));
        match found.and_then(Option::take) {
            Some(alert) => expected.push(alert),
            None => missing.push(Missing {
                rule: wanted.rule.clone(),
                output: wanted.output.clone().or(wanted.output_regex.as_ref().map(|r| r.to_string())),
                event: wanted.event,
                why: why(wanted, test, &alerts, set, resolver),
            }),
        }
    }
    let unexpected: Vec<Alert> = left.into_iter().flatten().collect();
    Outcome {
        file: file.path.display().to_string(),
        line: test.line,
        test: test.name.clone(),
        passed: missing.is_empty() && unexpected.is_empty(),
        missing,
        unexpected,
        expected,
    }
}

impl Expected {
    /// Whether an alert is the one expected.
    pub fn fits(&self, alert: &Alert) -> bool {
        self.rule == alert.rule
            && self.event.is_none_or(|event| alert.event == Some(event))
            && self.output.as_ref().is_none_or(|text| alert.output.contains(text.as_str()))
            && self.output_regex.as_ref().is_none_or(|regex| regex.is_match(&alert.output))
    }
}
