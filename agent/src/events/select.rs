//! From the command line to a set of one rule, which says what the kernel is asked for and what is printed.

use std::{collections::BTreeSet, sync::Arc};

use vedette_abi::Kind;
use vedette_policy::{EventType, EventTypes, FieldName, PolicySet, Severity, Source, load};

use super::{
    args::EventsArgs,
    kinds::{self, Asked},
};
use crate::run::RunError;

/// What is printed.
#[derive(Debug)]
pub struct Selection {
    /// A set whose one rule matches the events to print. Its output has the fields that were asked for.
    pub set: Arc<PolicySet>,
    /// The types of the events.
    pub types: EventTypes,
    /// Records to print that are no events of a process.
    pub records: BTreeSet<Kind>,
    /// Findings about the condition that do not make it wrong.
    pub notes: String,
}

/// Works out what is asked for. `colour` is for the findings' text.
///
/// # Errors
/// The condition or a file is wrong, or nothing can be seen of what is asked for.
pub fn select(args: &EventsArgs, colour: bool) -> Result<Selection, RunError> {
    let definitions = load::read_sources(&args.definitions).map_err(RunError::input)?;
    let condition = args.condition.as_ref().map(|text| Source::new("--where", text.as_str()));
    let can_match = match &condition {
        None => EventTypes::all(),
        Some(condition) => load_one([condition.clone()], &[], &definitions, colour)?.0.needs().event_types,
    };
    let Asked { types, records } = asked(&args.kinds, can_match);
    let narrowing = narrowing(args);
    if let Some(kind) =
        records.first().filter(|_| condition.is_some() || !narrowing.is_empty() || !args.fields.is_empty())
    {
        return Err(RunError::input(format_args!(
            "{} is no event of a process: it has no fields, and no condition can hold for it",
            kind.name()
        )));
    }
    let seen = types.intersection(can_match);
    if seen.is_empty() && records.is_empty() {
        return Err(RunError::input(format_args!(
            "the condition can only hold for {}; --kinds asks for {}",
            names(can_match),
            names(types)
        )));
    }
    if records.is_empty() && seen.iter().all(|t| !t.is_reported()) {
        return Err(RunError::input(format_args!("no program of this build reports {}", names(seen))));
    }
    let of_types = match seen.is_empty() {
        // Only records are asked for. Nothing that happens has this type.
        true => "evt.type = container".to_owned(),
        false => format!("evt.type in ({})", names(seen)),
    };
    let conditions = [Source::new("--kinds", of_types)].into_iter().chain(condition).chain(narrowing);
    let (set, notes) = load_one(conditions, &args.fields, &definitions, colour)?;
    Ok(Selection { set, types: seen, records, notes })
}

/// What `--kinds` says; without it what the condition names, else all that is reported.
fn asked(kinds: &[Asked], can_match: EventTypes) -> Asked {
    match kinds.split_first() {
        Some((first, rest)) => rest.iter().fold(first.clone(), Asked::union),
        None if can_match == EventTypes::all() => {
            Asked { types: kinds::reported(), records: BTreeSet::new() }
        }
        None => Asked { types: can_match, records: BTreeSet::new() },
    }
}

fn names(types: EventTypes) -> String {
    types.iter().map(EventType::name).collect::<Vec<_>>().join(", ")
}

/// The options that are conditions in short.
fn narrowing(args: &EventsArgs) -> Vec<Source> {
    let mut all = Vec::new();
    match args.container.as_deref() {
        None => {}
        Some("host") => all.push(Source::new("--container", "container.id = host")),
        Some(id) => {
            let id = quoted(id);
            let text = format!(
                "container.id != host and (container.name = {id} or container.id = {id} or container.full_id startswith {id})"
            );
            all.push(Source::new("--container", text));
        }
    }
    if !args.pid.is_empty() {
        let pids: Vec<String> = args.pid.iter().map(ToString::to_string).collect();
        let pids = pids.join(", ");
        all.push(Source::new("--pid", format!("proc.pid in ({pids}) or proc.apid in ({pids})")));
    }
    if !args.comm.is_empty() {
        let names: Vec<String> = args.comm.iter().map(|name| quoted(name)).collect();
        all.push(Source::new("--comm", format!("proc.name in ({})", names.join(", "))));
    }
    all
}

/// Text as the language writes it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn load_one(
    conditions: impl IntoIterator<Item = Source>,
    fields: &[FieldName],
    definitions: &[Source],
    colour: bool,
) -> Result<(Arc<PolicySet>, String), RunError> {
    let output: Vec<String> = fields.iter().map(|field| format!("%{field}")).collect();
    let output = Source::new("--fields", output.join(" "));
    let loaded = PolicySet::load_condition(conditions, output, definitions.iter().cloned());
    match &loaded.set {
        Some(set) => Ok((Arc::clone(set), loaded.render(Severity::Note, colour))),
        None => Err(RunError::Input(loaded.render(Severity::Error, colour))),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use vedette_abi::SCOPE_HOST;

    use super::*;
    use crate::{
        cli::{Cli, Command},
        policies::plan,
    };

    fn of(args: &[&str]) -> Result<Selection, String> {
        let cli = Cli::try_parse_from(["vedette-agent", "events"].iter().chain(args)).unwrap();
        let Command::Events(args) = cli.command else { panic!("{cli:?}") };
        select(&args, false).map_err(|error| error.to_string())
    }

    #[test]
    fn the_condition_decides_what_is_hooked() {
        let all = of(&[]).unwrap();
        assert_eq!(all.types, kinds::reported());
        let some = of(&["--where", "evt.type = connect and container.id = host"]).unwrap();
        assert_eq!(some.types, [EventType::Connect].into_iter().collect());
        let plan = plan(&some.set);
        assert_eq!(plan.filter().wanted[Kind::NetConnect as usize], SCOPE_HOST);
        assert!(!plan.wants(Kind::FileOpen));
        // One that names no type is about all.
        assert_eq!(of(&["--where", "proc.name = x"]).unwrap().types, kinds::reported());
        let both = of(&["--where", "evt.type in (open, connect)", "--kinds", "net"]).unwrap();
        assert_eq!(both.types, [EventType::Connect].into_iter().collect());
        assert!(plan_of(&["--fields", "proc.env[PATH]"]).wants_environment());
        assert!(!plan_of(&["--kinds", "process"]).wants_environment());
    }

    fn plan_of(args: &[&str]) -> crate::sensor::Plan {
        plan(&of(args).unwrap().set)
    }

    #[test]
    fn what_can_never_come_is_refused() {
        let error = of(&["--where", "evt.type = connect", "--kinds", "openat"]).unwrap_err();
        assert!(error.contains("can only hold for connect; --kinds asks for openat"), "{error}");
        let error = of(&["--kinds", "cgroup_mkdir", "--comm", "sh"]).unwrap_err();
        assert!(error.contains("cgroup_mkdir is no event of a process"), "{error}");
        let error = of(&["--kinds", "quotactl"]).unwrap_err();
        assert!(error.contains("no program of this build reports quotactl"), "{error}");
        let error = of(&["--where", "evt.type = connect and fd.prot = 1"]).unwrap_err();
        assert!(error.contains("--where:1:24"), "{error}");
    }

    #[test]
    fn options_are_conditions_in_short() {
        let selection = of(&["--pid", "7", "--pid", "8", "--comm", "a \"b\\", "--container", "web"]).unwrap();
        let text = selection.set.rules()[0].conditions()[0].text.clone();
        assert!(text.contains("proc.apid in (7, 8)"), "{text}");
        assert!(text.contains(r#"proc.name in ("a \"b\\")"#), "{text}");
        assert!(text.contains("container.full_id startswith web"), "{text}");
        let records = of(&["--kinds", "cgroup_mkdir,gap"]).unwrap();
        assert!(records.types.is_empty() && records.records.len() == 2);
        assert!(!plan(&records.set).needs_syscalls());
    }
}
