//! The command line of `vedette-agent events`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use vedette_policy::{FieldName, field::FieldNameError};

use super::kinds::{self, Asked};

/// What `--help` ends with.
pub const EVENTS_HELP: &str = r#"Examples:
  vedette-agent events                                       everything that is reported
  vedette-agent events --kinds process,connect               new programs, exits, connections
  vedette-agent events --where 'evt.type in (open, openat, openat2) and fd.name startswith /etc/'
  vedette-agent events --where 'vedette_opened_for_writing' --macros deploy/policies/common.yaml
  vedette-agent events --comm sshd --fields evt.type,fd.name,proc.aname[2]
  vedette-agent events --kinds net | jq -r '."fd.name"'

A line of text is the time, the container (or `host`), the process, the call with its arguments and its result:
  09:12:44.306Z host cat[4711] openat(fd=3, name=/etc/shadow, flags=O_RDONLY, …) = 3  fd.nameraw=/tmp/x
An argument is `evt.arg.NAME` in a condition, the result `evt.rawres` and `evt.res`. Behind the result, under the names of
their fields, stand what the kernel made of the call and what it was asked for, where that is not said yet.
`vedette fields` lists all fields.

In a pipe each event is one JSON object, whose keys are fields: an event as `vedette policy test` takes it.

Only what is asked for is hooked in the kernel. Needs what `run` needs, and can run beside it. Losses are told on stderr.
Exit codes: 0 ended as asked (Ctrl-C, SIGTERM, --count, nobody reads any more), 1 the condition, a file or this host is not
as needed, 64 usage, 70 internal error."#;

/// What to print, and how.
#[derive(Clone, Debug, Args)]
pub struct EventsArgs {
    /// Which events: event types (`openat,connect`), groups (`file`, `net`, `process`, `all`, …; what `evt.category`
    /// says) and kinds of records (`file_open`, `cgroup_mkdir`, …) [default: those that the condition names, else all].
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = kinds::parse)]
    pub kinds: Vec<Asked>,

    /// Only events for which this condition of the policy language holds.
    #[arg(long = "where", value_name = "CONDITION")]
    pub condition: Option<String>,

    /// A policy file or directory whose macros and lists the condition uses. Can be given several times.
    #[arg(long = "macros", visible_alias = "policy", value_name = "PATH")]
    pub definitions: Vec<PathBuf>,

    /// Print these fields instead, such as `proc.name,fd.name,evt.arg.flags`.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = parse_field)]
    pub fields: Vec<FieldName>,

    /// Only events in this container: its name, its id, or the beginning of that; `host` for those in none.
    #[arg(long, value_name = "ID")]
    pub container: Option<String>,

    /// Only events of this process and its descendants. Can be given several times.
    #[arg(long, value_name = "PID")]
    pub pid: Vec<u32>,

    /// Only events of processes of this name. Can be given several times.
    #[arg(long, value_name = "NAME")]
    pub comm: Vec<String>,

    /// How events look [default: text on a terminal, else json].
    #[arg(long, value_enum)]
    pub output: Option<Look>,

    /// End after so many events.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,

    /// Show so many characters of an argument in text; 0 for all.
    #[arg(long, value_name = "N", default_value_t = 80)]
    pub width: usize,

    /// Size of the ring for events; a power of two. Larger loses less in a burst.
    #[arg(long, value_name = "SIZE", default_value = "16MiB", value_parser = crate::config::parse_ring_size)]
    pub events_ring: u32,

    /// How much to log on stderr: error, warn, info, debug, trace.
    #[arg(long, value_name = "LEVEL", default_value = "warn")]
    pub log: crate::config::LogLevel,
}

/// How events look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Look {
    /// One line for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A field by its name, with or without argument.
fn parse_field(text: &str) -> Result<FieldName, String> {
    FieldName::parse(text.trim()).map_err(|error| match &error {
        FieldNameError::Unknown { nearest: Some(nearest), .. } => {
            format!("{error}; did you mean `{nearest}`?")
        }
        FieldNameError::Unknown { nearest: None, .. } => format!("{error}; `vedette fields` lists all"),
        _ => error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn parse(args: &[&str]) -> Result<EventsArgs, String> {
        let all = ["vedette-agent", "events"].iter().chain(args);
        match Cli::try_parse_from(all).map_err(|e| e.to_string())?.command {
            Command::Events(args) => Ok(*args),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn lists_and_their_mistakes() {
        let args = parse(&["--kinds", "openat,net", "--fields", "proc.name,evt.arg.flags"]).unwrap();
        assert_eq!(args.kinds.len(), 2);
        let fields: Vec<String> = args.fields.iter().map(ToString::to_string).collect();
        assert_eq!(fields, ["proc.name", "evt.arg.flags"]);
        let wrong = parse(&["--fields", "proc.nmae"]).unwrap_err();
        assert!(wrong.contains("did you mean `proc.name`?"), "{wrong}");
        let wrong = parse(&["--kinds", "openta"]).unwrap_err();
        assert!(wrong.contains("did you mean `openat`?"), "{wrong}");
        assert!(parse(&["--count", "0"]).is_err());
    }
}
