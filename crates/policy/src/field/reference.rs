//! The field reference, as Markdown.

use std::fmt::Write as _;

use super::{ArgKind, Dimension, FIELDS, FieldInfo, Multiplicity};

/// The reference of all fields, one table for each class.
pub fn markdown() -> String {
    let mut text = String::from(
        "# Fields\n\nWhat conditions and outputs can read. Generated from the field registry; do not edit.\n\n\
         *Kernel* says where a comparison can be decided: `exactly` in the kernel alone, by a `mask` that user space works \
         out for each process, or in `user space` only. Fields marked *to come* are checked, but no event brings them yet.\n",
    );
    let mut class = "";
    for field in FIELDS {
        let this = field.name.split('.').next().unwrap_or_default();
        if this != class {
            class = this;
            let _ =
                write!(text, "\n## {class}\n\n| Field | Type | Kernel | What it is |\n|:--|:--|:--|:--|\n");
        }
        let doc = field.doc.replace('|', "\\|");
        let come = if field.filled { "" } else { " *To come.*" };
        let _ =
            writeln!(text, "| `{}` | {} | {} | {doc}{come} |", usage(field), type_text(field), kernel(field));
    }
    text
}

/// The field with its argument.
fn usage(field: &FieldInfo) -> String {
    match field.arg {
        ArgKind::None => field.name.to_owned(),
        ArgKind::Level => format!("{0}, {0}[n]", field.name),
        ArgKind::Key => format!("{}[key]", field.name),
        ArgKind::OptionalKey => format!("{0}, {0}[key]", field.name),
    }
}

fn type_text(field: &FieldInfo) -> String {
    let of = field.r#type.as_str();
    match field.multiplicity {
        Multiplicity::One => of.to_owned(),
        Multiplicity::Ancestors => format!("{of}, of each ancestor"),
        Multiplicity::BothEnds => format!("{of}, of both ends"),
        Multiplicity::List => format!("list of {of}"),
    }
}

fn kernel(field: &FieldInfo) -> &'static str {
    match field.dimension {
        Dimension::Event | Dimension::Identity | Dimension::Path | Dimension::Flags => "exactly",
        Dimension::Address | Dimension::Port => "exactly",
        Dimension::Subject => "mask",
        Dimension::Argument | Dimension::UserSpace => "user space",
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_field_has_a_row() {
        let text = super::markdown();
        let rows = text.lines().filter(|l| l.starts_with("| `")).count();
        assert_eq!(rows, super::FIELDS.len());
        assert!(text.contains("| `proc.aname, proc.aname[n]` | string, of each ancestor | mask |"));
    }
}
