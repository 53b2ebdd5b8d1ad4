//! `vedette policy test`: events in, alerts expected or not.

mod file;
mod run;
mod text;
mod why;

use std::path::{Path, PathBuf};

use serde::Serialize;
use vedette_policy::load::is_test_file;

use self::file::TestFile;
use self::run::Outcome;
use super::input::count;
use crate::cli::{Format, Level};
use crate::console::Console;
use crate::exit::{self, Failure, Verdict};

/// Run the tests beside policies: files NAME.test.yaml with events, and the alerts expected of them.
#[derive(clap::Args)]
#[command(after_long_help = AFTER_HELP, after_help = "--help shows an example of a test file.")]
pub struct Args {
    /// Files of tests, policies that have one beside them, or directories, which are searched with all in them.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The form of the results.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    output: Format,
    /// Run only the tests in whose names this occurs.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Which rules are on.
    #[arg(long, value_enum, default_value_t = Level::Audit)]
    level: Level,
    /// Name the tests that passed, too.
    #[arg(short, long)]
    verbose: bool,
}

const AFTER_HELP: &str = r#"A test file, web.test.yaml beside web.yaml:

  policies: [web.yaml]           # beside this file; without the key, NAME.yaml
  given: {container.id: 3ad7b26ded6d, container.name: web}    # every event has these
  tests:
    - name: a shell in the container is noticed
      events:
        - {evt.type: execve, proc.name: bash, proc.pname: nginx}
      expect:
        - {rule: Shell in web container, output: parent nginx}
    - name: scan, then a way out
      events:
        - {evt.type: execve, proc.name: nmap}
        - {at: 30s, evt.type: connect, fd.sip: 203.0.113.7}
      expect:
        - {rule: "Scan, then a way out", event: 2}
    - name: on the host nobody minds
      events: [{evt.type: execve, proc.name: bash, container.id: host, container.name: null}]
      expect: []

All alerts must be expected, unless `only: [RULE, …]` names the rules that the file is about. docs/policies.md says more.
The exit code is 1 if a test fails."#;

/// What is printed as JSON.
#[derive(Serialize)]
struct Report {
    tests: usize,
    passed: usize,
    failed: usize,
    results: Vec<Outcome>,
}

/// Runs the command.
pub fn run(args: &Args, console: &mut Console) -> exit::Result {
    let files = find(&args.paths)?;
    let mut results = Vec::new();
    let mut good = true;
    for path in &files {
        let Some(file) = TestFile::read(path, console)? else {
            good = false;
            continue;
        };
        let wanted = |name: &str| args.filter.as_ref().is_none_or(|text| name.contains(text.as_str()));
        match run::run(&file, args.level.into(), wanted, console)? {
            Some(outcomes) => results.extend(outcomes),
            None => good = false,
        }
    }
    let passed = results.iter().filter(|r| r.passed).count();
    let failed = results.len() - passed;
    if good && results.is_empty() {
        let what = args.filter.as_ref().map(|f| format!(" whose name has `{f}`")).unwrap_or_default();
        return Err(Failure::Input(format!("the test files have no test{what}")));
    }
    match args.output {
        Format::Json => console.json(&Report { tests: results.len(), passed, failed, results })?,
        Format::Text => {
            for outcome in results.iter().filter(|o| args.verbose || !o.passed) {
                text::print(outcome, console)?;
            }
            let tests = count(passed + failed, "test");
            console.line(format_args!("{tests}, {passed} passed, {failed} failed"))?;
        }
    }
    Ok(Verdict::from_good(good && failed == 0))
}

/// The files of tests at the paths, in the order of the paths and of their names.
fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        let before = files.len();
        if path.is_dir() {
            search(path, &mut files)?;
        } else if is_test_file(path) {
            files.push(path.clone());
        } else {
            files.extend(test_beside(path));
        }
        if files.len() == before {
            let remedy = if path.is_dir() {
                "files of tests are called NAME.test.yaml".to_owned()
            } else {
                format!("they would be in {}", path.with_extension("test.yaml").display())
            };
            return Err(Failure::Input(format!("there are no tests for {}: {remedy}", path.display())));
        }
    }
    let mut unique: Vec<PathBuf> = Vec::with_capacity(files.len());
    for file in files {
        if !unique.contains(&file) {
            unique.push(file);
        }
    }
    Ok(unique)
}

fn test_beside(policy: &Path) -> Option<PathBuf> {
    ["test.yaml", "test.yml"].map(|e| policy.with_extension(e)).into_iter().find(|p| p.is_file())
}

fn search(directory: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let failed = |error| Failure::Input(format!("{}: {error}", directory.display()));
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // The type of the entry, not of what a link leads to: links can lead in a ring.
        entries.push((entry.path(), entry.file_type().map_err(failed)?));
    }
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    for (path, kind) in entries {
        let hidden = path.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b"."));
        if kind.is_dir() && !hidden {
            search(&path, files)?;
        } else if is_test_file(&path) && path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}
