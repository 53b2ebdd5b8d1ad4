//! `vedette fields`: the field registry, for people, for programs, and as the reference in the documentation.

mod markdown;

use std::fmt::Write as _;

use clap::ValueEnum;
use vedette_policy::FieldName;
use vedette_policy::field::{ArgKind, Exists, FIELDS, FieldInfo, FieldNameError, Multiplicity};

use crate::console::{Console, Style};
use crate::exit::{self, Failure, Verdict};

/// List the fields that conditions and outputs can use, or explain one.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// A field such as `fd.name`, or a group such as `proc`.
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Only the fields in whose name or description this occurs.
    #[arg(long, value_name = "TEXT", conflicts_with = "name")]
    search: Option<String>,
    /// The form of the list.
    #[arg(long, value_enum, default_value_t = ListFormat::Text)]
    output: ListFormat,
}

const AFTER_HELP: &str = "\
Examples:
  vedette fields                     all of them
  vedette fields proc                those of the process
  vedette fields 'proc.aname[2]'     what is this?
  vedette fields --search symlink    which field says something about symlinks?";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ListFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// The page of the documentation.
    Markdown,
}

/// Runs the command.
pub fn run(args: &Args, console: &mut Console) -> exit::Result {
    let fields = select(args)?;
    match args.output {
        ListFormat::Json => console.json(&fields)?,
        ListFormat::Markdown => console.print(markdown::page(&fields))?,
        ListFormat::Text => match fields.as_slice() {
            [field] if args.name.is_some() => describe(field, console)?,
            _ => list(&fields, console)?,
        },
    }
    Ok(Verdict::Good)
}

fn select(args: &Args) -> Result<Vec<&'static FieldInfo>, Failure> {
    if let Some(text) = &args.search {
        let text = text.to_lowercase();
        let hits = |f: &&FieldInfo| f.name.contains(&text) || f.doc.to_lowercase().contains(&text);
        let found: Vec<_> = FIELDS.iter().filter(hits).collect();
        if found.is_empty() {
            return Err(Failure::Input(format!("no field has `{text}` in its name or description")));
        }
        return Ok(found);
    }
    let Some(name) = &args.name else { return Ok(FIELDS.iter().collect()) };
    if let Some(field) = FIELDS.iter().find(|f| f.name == name) {
        return Ok(vec![field]);
    }
    let prefix = format!("{}.", name.trim_end_matches(['.', '*']));
    let group: Vec<_> = FIELDS.iter().filter(|f| f.name.starts_with(&prefix)).collect();
    if !group.is_empty() {
        return Ok(group);
    }
    match FieldName::parse(name) {
        Ok(field) => Ok(vec![field.id.info()]),
        Err(FieldNameError::Unknown { nearest: Some(nearest), .. }) => {
            Err(Failure::Input(format!("unknown field `{name}`; did you mean `{nearest}`?")))
        }
        Err(error) => Err(Failure::Input(format!("{error}; `vedette fields --search TEXT` finds fields"))),
    }
}

fn list(fields: &[&FieldInfo], console: &mut Console) -> std::io::Result<()> {
    let name_width = fields.iter().map(|f| f.name.len()).max().unwrap_or_default();
    let type_width = fields.iter().map(|f| f.r#type.as_str().len()).max().unwrap_or_default();
    for field in fields {
        let name = console.paint(Style::Heading, format!("{:name_width$}", field.name));
        let kind = console.paint(Style::Faint, format!("{:type_width$}", field.r#type.as_str()));
        let mut doc = field.doc.to_owned();
        if !field.filled {
            let _ = write!(doc, " {}", console.paint(Style::Unsure, "(not filled yet)"));
        }
        console.line(format_args!("{name}  {kind}  {doc}"))?;
    }
    Ok(())
}

fn describe(field: &FieldInfo, console: &mut Console) -> std::io::Result<()> {
    let heading = console.paint(Style::Heading, field.name).to_string();
    console.line(format_args!("{heading}: {}", field.doc))?;
    let mut rows = vec![("type", field.r#type.as_str().to_owned())];
    if field.arg != ArgKind::None {
        rows.push(("argument", argument(field)));
    }
    if field.multiplicity != Multiplicity::One {
        rows.push(("values", values(field).to_owned()));
    }
    rows.push(("exists for", exists(field).to_owned()));
    rows.push(("operators", operators(field).to_owned()));
    rows.push(("filled", if field.filled { "yes" } else { "not yet: comparisons are false" }.to_owned()));
    for (key, value) in rows {
        console.line(format_args!("  {key:10}  {value}"))?;
    }
    Ok(())
}

fn argument(field: &FieldInfo) -> String {
    let name = field.name;
    match field.arg {
        ArgKind::None => "none".to_owned(),
        ArgKind::Level => {
            format!("`{name}[n]`: the n-th ancestor, 1 is the parent; without it all ancestors")
        }
        ArgKind::Key => format!("`{name}[key]`"),
        ArgKind::OptionalKey => format!("`{name}[key]`, or none"),
    }
}

fn values(field: &FieldInfo) -> &'static str {
    match field.multiplicity {
        Multiplicity::One => "one",
        Multiplicity::Ancestors => "those of all ancestors: a comparison holds if it holds for one of them",
        Multiplicity::BothEnds => "both ends: `=` and `in` hold for either, `!=` for both",
        Multiplicity::List => "a list: `in` needs every value in the set, `intersects` one",
    }
}

fn exists(field: &FieldInfo) -> &'static str {
    match field.exists {
        Exists::Always => "every event",
        Exists::Descriptors => "events that open, or act on, a descriptor",
        Exists::Sockets => "events on sockets",
        Exists::Paths => "events with path arguments",
        Exists::Buffers => "events that move data",
        Exists::Dns => "name queries",
        Exists::Tls => "TLS handshakes",
        Exists::Flow => "flow summaries",
        Exists::IoUring => "io_uring operations",
        Exists::Depends => "events that have this argument",
    }
}

fn operators(field: &FieldInfo) -> &'static str {
    use vedette_policy::field::FieldType as T;
    match field.r#type {
        T::String | T::Bytes => {
            "= != in exists contains icontains bcontains startswith bstartswith endswith glob iglob regex pmatch intersects"
        }
        T::Bool => "= != exists, with true or false",
        T::Uint | T::Int | T::Float | T::Port | T::Time | T::Duration => "= != < <= > >= in exists",
        T::Ip | T::Net => "= != in exists, with addresses and networks such as 10.0.0.0/8",
    }
}
