//! `vedette policy convert`.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;

use vedette_policy::convert::{NativePolicy, Style, convert, difference};
use vedette_policy::{Loaded, PolicySet, Source};

use super::input::{count, load_good};
use crate::console::Console;
use crate::exit::{self, Failure, Verdict};

/// Turn Falco rule files into native policies that mean the same.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Files and directories, in the order in which later ones change earlier ones.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Write one file for each policy into this directory, which is made if it is not there.
    #[arg(short, long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
    /// Replace files that are there already.
    #[arg(long, requires = "output_dir")]
    force: bool,
}

const AFTER_HELP: &str = "\
Examples:
  vedette policy convert falco_rules.yaml > falco-rules.yaml
  vedette policy convert falco_rules.yaml my_changes.yaml -o policies/

Each file becomes a ClusterSecurityPolicy with its lists, macros and exceptions; overrides and appends are carried out.
The result is loaded and compared with the input before anything is written. Rules for plugins are left out.";

/// Runs the command.
pub fn run(args: &Args, console: &mut Console) -> exit::Result {
    let loaded = load_good(&args.paths, console)?;
    let Some(set) = &loaded.set else { return Ok(Verdict::Bad) };
    let native = set.rules().iter().filter(|r| r.policy.kind.is_some()).count();
    if native == set.rules().len() {
        let message = "there is no Falco rule in these files; native policies need no conversion";
        return Err(Failure::Input(message.to_owned()));
    }
    if native > 0 {
        console.say(format_args!("note: {} of native policies left as they are", count(native, "rule")));
    }
    let files = converted(set, &loaded)?;
    match &args.output_dir {
        None => {
            for (index, (_, text)) in files.iter().enumerate() {
                let separator = if index > 0 { "---\n" } else { "" };
                console.print(format_args!("{separator}{text}"))?;
            }
        }
        Some(directory) => {
            std::fs::create_dir_all(directory)
                .map_err(|error| Failure::Input(format!("{}: {error}", directory.display())))?;
            for (name, text) in &files {
                write(&directory.join(name), text, args.force)?;
            }
            let rules = count(set.rules().len() - native, "rule");
            let policies =
                if files.len() == 1 { "1 policy".to_owned() } else { format!("{} policies", files.len()) };
            console.line(format_args!("{rules} in {policies}, in {}", directory.display()))?;
        }
    }
    Ok(Verdict::Good)
}

/// Names of files with their texts, checked to mean the same as the input.
fn converted(set: &PolicySet, loaded: &Loaded) -> Result<Vec<(String, String)>, Failure> {
    let mut difference = String::new();
    for style in [Style::Readable, Style::Expanded] {
        let files = convert(set, &loaded.sources, style).iter().map(file).collect::<Result<Vec<_>, _>>()?;
        match check(set, &files) {
            Ok(()) => return Ok(files),
            Err(found) => difference = found,
        }
    }
    Err(Failure::Internal(format!("the converted policies do not mean the same: {difference}")))
}

fn check(set: &PolicySet, files: &[(String, String)]) -> Result<(), String> {
    let again = PolicySet::load(files.iter().map(|(name, text)| Source::new(name, text)));
    match &again.set {
        Some(native) => difference(set, native).map_or(Ok(()), Err),
        None => Err(again.render(vedette_policy::Severity::Error, false)),
    }
}

fn file(policy: &NativePolicy) -> Result<(String, String), Failure> {
    let options = serde_saphyr::ser_options! { folded_wrap_chars: 100 };
    let yaml = serde_saphyr::to_string_with_options(policy, options)
        .map_err(|error| Failure::Internal(format!("cannot write YAML: {error}")))?;
    let from = policy.file.rsplit('/').next().unwrap_or_default();
    let text = format!("# Converted from {from} by `vedette policy convert`.\n{yaml}");
    Ok((format!("{}.yaml", policy.name()), text))
}

fn write(path: &std::path::Path, text: &str, replace: bool) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true);
    if replace {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let opened = options.open(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            Failure::Input(format!("{} is there already; --force replaces it", path.display()))
        }
        _ => Failure::Input(format!("{}: {error}", path.display())),
    });
    opened?.write_all(text.as_bytes())?;
    Ok(())
}
