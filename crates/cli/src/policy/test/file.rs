//! Files of tests.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use regex::Regex;
use serde_json::Value as Json;
use vedette_policy::diagnostic::{has_errors, nearest};
use vedette_policy::document::native::parse_duration;
use vedette_policy::document::reader::Reader;
use vedette_policy::document::yaml::{self, Node};
use vedette_policy::load;
use vedette_policy::source::Span;
use vedette_policy::{Code, Diagnostic, EventType, FieldName, MapFacts, RuleMatching, SourceMap};

use crate::console::Console;
use crate::exit::Failure;

/// The time of the first event: 2026-01-01T00:00:00Z, in nanoseconds since 1970.
const START: u64 = 1_767_225_600_000_000_000;
/// The time between events that do not say when they happen.
const STEP: Duration = Duration::from_millis(1);

/// A file of tests.
pub struct TestFile {
    pub path: PathBuf,
    pub policies: Vec<PathBuf>,
    /// The addresses of hosts that rules name.
    pub hosts: Vec<(String, Vec<IpAddr>)>,
    /// The rules that it is about; all, if there are none.
    pub only: Vec<(String, Span)>,
    pub matching: RuleMatching,
    pub tests: Vec<Test>,
    pub sources: SourceMap,
}

/// A test.
pub struct Test {
    pub name: String,
    pub line: u32,
    pub events: Vec<MapFacts>,
    pub expect: Vec<Expected>,
}

/// An alert that is expected.
pub struct Expected {
    pub rule: String,
    pub span: Span,
    /// Text that its output has.
    pub output: Option<String>,
    /// A regular expression that its output matches somewhere.
    pub output_regex: Option<Regex>,
    /// The number of the event that raises it, from 1.
    pub event: Option<usize>,
}

impl TestFile {
    /// Reads a file. What is wrong with it is said on the console, and there is no file then.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(path: &Path, console: &mut Console) -> Result<Option<Self>, Failure> {
        let mut sources = SourceMap::default();
        let text = load::read(path)?;
        let source = sources.add(text);
        let text = sources.get(source).map(|s| s.text.clone()).unwrap_or_default();
        let mut diagnostics = Vec::new();
        let file = match yaml::parse(&text, source) {
            Ok(documents) => read_documents(path, &documents, sources.clone(), &mut diagnostics),
            Err(error) => {
                diagnostics.push(error);
                None
            }
        };
        for diagnostic in &diagnostics {
            console.say(diagnostic.render(&sources, console.err_colour()));
            console.say("");
        }
        Ok(file.filter(|_| !has_errors(&diagnostics)))
    }
}

fn read_documents(
    path: &Path,
    documents: &[Node],
    sources: SourceMap,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<TestFile> {
    let [node] = documents else {
        let span = documents.get(1).map_or_else(Span::default, |n| n.span);
        let message = "a file of tests holds one document: a mapping with `tests`";
        diagnostics.push(Diagnostic::error(Code::Shape, span, message));
        return None;
    };
    if node.as_mapping().is_none() {
        let message = format!("a file of tests is a mapping with `tests`, not {}", node.what());
        diagnostics.push(Diagnostic::error(Code::Shape, node.span, message));
        return None;
    }
    let mut reader = Reader { node, subject: String::new(), diagnostics };
    reader.known_keys(&["policies", "given", "hosts", "only", "rule_matching", "tests"]);
    let directory = path.parent().unwrap_or(Path::new(""));
    let policies = match reader.texts("policies") {
        Some(names) => names.iter().map(|name| directory.join(&name.value)).collect(),
        None => vec![policy_of(path)],
    };
    let matching = match reader.text("rule_matching") {
        None => RuleMatching::All,
        Some(text) if text.value == "all" => RuleMatching::All,
        Some(text) if text.value == "first" => RuleMatching::First,
        Some(text) => {
            reader.error(Code::Shape, text.span, "`rule_matching` is all or first");
            return None;
        }
    };
    let given = reader.mapping("given").map(|node| fields(node, &mut reader)).unwrap_or_default();
    let hosts = read_hosts(&mut reader);
    let only = reader.texts("only").unwrap_or_default().into_iter().map(|r| (r.value, r.span)).collect();
    if reader.get("tests").is_none() {
        reader.required("tests");
    }
    let mut tests = Vec::new();
    for node in reader.mappings("tests") {
        let subject = node.get("name").and_then(Node::as_str).unwrap_or_default().to_owned();
        let mut inner = Reader { node, subject, diagnostics: &mut *reader.diagnostics };
        tests.extend(read_test(&mut inner, &given, &sources));
    }
    Some(TestFile { path: path.to_owned(), policies, hosts, only, matching, tests, sources })
}

/// The policy that `NAME.test.yaml` lies beside.
fn policy_of(path: &Path) -> PathBuf {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = name.trim_end_matches(".yaml").trim_end_matches(".yml").trim_end_matches(".test");
    let candidates = [format!("{stem}.yaml"), format!("{stem}.yml")].map(|n| path.with_file_name(n));
    let [first, second] = candidates;
    if second.is_file() && !first.is_file() { second } else { first }
}

fn read_hosts(reader: &mut Reader<'_, '_>) -> Vec<(String, Vec<IpAddr>)> {
    let mut hosts = Vec::new();
    let Some(node) = reader.mapping("hosts") else { return hosts };
    let mut inner = Reader { node, subject: String::new(), diagnostics: &mut *reader.diagnostics };
    for (key, _) in node.as_mapping().unwrap_or_default() {
        let Some(name) = key.as_str() else { continue };
        let mut addresses = Vec::new();
        for text in inner.texts(name).unwrap_or_default() {
            match text.value.parse() {
                Ok(address) => addresses.push(address),
                Err(_) => {
                    inner.error(Code::Type, text.span, format!("`{}` is no IP address", text.value));
                }
            }
        }
        hosts.push((name.to_owned(), addresses));
    }
    hosts
}

/// A field of an event, with the places of its name and its value.
#[derive(Clone)]
struct FieldValue {
    name: String,
    span: Span,
    value: Json,
}

fn fields(node: &Node, reader: &mut Reader<'_, '_>) -> Vec<FieldValue> {
    let mut fields: Vec<FieldValue> = Vec::new();
    for (key, value) in node.as_mapping().unwrap_or_default() {
        let Some(name) = key.as_str() else {
            reader.error(Code::Shape, key.span, "the name of a field is a word");
            continue;
        };
        if fields.iter().any(|f| f.name == name) {
            reader.error(Code::Shape, key.span, format!("`{name}` is there twice"));
            continue;
        }
        fields.push(FieldValue {
            name: name.to_owned(),
            span: key.span.to(value.span),
            value: value.to_json(),
        });
    }
    fields
}

fn read_test(reader: &mut Reader<'_, '_>, given: &[FieldValue], sources: &SourceMap) -> Option<Test> {
    reader.known_keys(&["name", "events", "expect"]);
    let name = reader.required("name")?;
    let line = sources.position(name.span.source, name.span.start).line;
    let mut events = Vec::new();
    let mut time = START;
    for node in reader.mappings("events") {
        let subject = reader.subject.clone();
        let mut inner = Reader { node, subject, diagnostics: &mut *reader.diagnostics };
        events.extend(read_event(&mut inner, given, &mut time, events.is_empty()));
    }
    if reader.get("events").is_none() {
        reader.error(Code::Shape, name.span, "the test has no `events`");
    }
    if reader.get("expect").is_none() {
        let hint = "`expect: []` says that no rule must match";
        let error = Diagnostic::error(Code::Shape, name.span, "the test does not say what to `expect`");
        reader.report(error.with_hint(hint));
        return None;
    }
    let mut expect = Vec::new();
    for node in reader.mappings("expect") {
        let subject = reader.subject.clone();
        let mut inner = Reader { node, subject, diagnostics: &mut *reader.diagnostics };
        expect.extend(read_expected(&mut inner, events.len()));
    }
    Some(Test { name: name.value, line, events, expect })
}

fn read_event(
    reader: &mut Reader<'_, '_>,
    given: &[FieldValue],
    time: &mut u64,
    first: bool,
) -> Option<MapFacts> {
    let node = reader.node;
    let own = fields(node, reader);
    let earlier = *time;
    match reader.text("at") {
        Some(at) => {
            let Some(offset) = offset(&at.value) else {
                let message = format!("`{}` is no time since the start of the test", at.value);
                let error = Diagnostic::error(Code::Type, at.span, message);
                reader.report(error.with_hint("such as 500ms, 2s or 1m30s"));
                return None;
            };
            *time = START.saturating_add(nanos(offset));
            if *time < earlier {
                reader.error(
                    Code::Shape,
                    at.span,
                    "this is before the event above; events are in order of time",
                );
            }
        }
        None if first => {}
        None => *time = time.saturating_add(nanos(STEP)),
    }
    // What an event says itself stands over what is given for all.
    let inherited = given.iter().filter(|g| !own.iter().any(|f| f.name == g.name));
    let all: Vec<&FieldValue> = inherited.chain(own.iter().filter(|f| f.name != "at")).collect();
    let Some(of_type) = all.iter().find(|f| f.name == "evt.type") else {
        let error = Diagnostic::error(Code::Shape, node.span, "the event has no `evt.type`");
        reader.report(error.with_hint("such as `evt.type: execve`"));
        return None;
    };
    let type_name = of_type.value.as_str().unwrap_or_default();
    let Some(event_type) = EventType::from_name(type_name) else {
        let hint = nearest(type_name, EventType::ALL.iter().map(|t| t.name()))
            .map(|n| format!("did you mean `{n}`?"));
        let error =
            Diagnostic::error(Code::UnknownEvent, of_type.span, format!("unknown event `{type_name}`"));
        reader.report(error.with_some_hint(hint));
        return None;
    };
    let mut facts = MapFacts::new(event_type).at(*time);
    for field in all.iter().filter(|f| f.name != "evt.type") {
        if let Err(error) = facts.set(&field.name, &field.value) {
            let code = if FieldName::parse(&field.name).is_ok() { Code::Type } else { Code::UnknownField };
            let hint = match FieldName::parse(&field.name) {
                Err(vedette_policy::field::FieldNameError::Unknown { nearest: Some(nearest), .. }) => {
                    Some(format!("did you mean `{nearest}`?"))
                }
                _ => None,
            };
            reader.report(Diagnostic::error(code, field.span, error.to_string()).with_some_hint(hint));
        }
    }
    Some(facts)
}

fn offset(text: &str) -> Option<Duration> {
    if text.trim() == "0" { Some(Duration::ZERO) } else { parse_duration(text) }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn read_expected(reader: &mut Reader<'_, '_>, events: usize) -> Option<Expected> {
    reader.known_keys(&["rule", "output", "output_regex", "event"]);
    let rule = reader.required("rule")?;
    let output = reader.text("output").map(|o| o.value);
    let output_regex = match reader.text("output_regex") {
        None => None,
        Some(text) => match Regex::new(&text.value) {
            Ok(regex) => Some(regex),
            Err(error) => {
                reader.error(Code::Pattern, text.span, error.to_string());
                return None;
            }
        },
    };
    let event = match reader.text("event") {
        None => None,
        Some(text) => match text.value.parse().ok().filter(|n| (1..=events).contains(n)) {
            Some(number) => Some(number),
            None => {
                let message = format!("`event` is the number of an event, from 1 to {events}");
                reader.error(Code::Shape, text.span, message);
                return None;
            }
        },
    };
    Some(Expected { rule: rule.value, span: rule.span, output, output_regex, event })
}
