//! Sinks from YAML text: the spec alone, or the manifest of an `AlertSink`.

use std::fmt;

use serde::Deserialize;

use super::SinkSpec;

/// A sink with its name.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedSink {
    /// Its name: the cursor, the metrics and the dead letters bear it.
    pub name: String,
    /// Its settings.
    pub spec: SinkSpec,
}

/// Something wrong in a file of a sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file.
    pub file: String,
    /// The line, where it is known; from 1.
    pub line: Option<u64>,
    /// The field (`splunkHec.url`), where it is known.
    pub field: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do about it, where there is something to say.
    pub remedy: Option<String>,
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(field) = self.field.as_ref().filter(|field| !field.is_empty()) {
            write!(f, ": {field}")?;
        }
        write!(f, ": {}", self.message)?;
        match &self.remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Probe {
    api_version: Option<String>,
    kind: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Manifest {
    #[allow(dead_code, reason = "the probe has looked at it")]
    api_version: String,
    #[allow(dead_code, reason = "the probe has looked at it")]
    kind: String,
    metadata: Metadata,
    spec: SinkSpec,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

/// Reads a sink. `file` is for messages; the name is that of the manifest, or else the file's without its extension.
///
/// # Errors
/// Everything that is wrong, each with its place.
pub fn parse(file: &str, text: &str) -> Result<NamedSink, Vec<ConfigError>> {
    let error =
        |line, field, message, remedy| ConfigError { file: file.to_owned(), line, field, message, remedy };
    let yaml = |fault: serde_saphyr::Error| {
        let fault = fault.without_snippet();
        let location = fault.location();
        // Not the text around it: it is not ours to show.
        let message = fault.render().lines().next().unwrap_or_default().to_owned();
        vec![error(location.map(|place| place.line()), None, message, None)]
    };
    let probe: Probe = serde_saphyr::from_str(text).map_err(yaml)?;
    let (name, spec) = if probe.api_version.is_some() || probe.kind.is_some() {
        let (version, kind) = (probe.api_version.unwrap_or_default(), probe.kind.unwrap_or_default());
        if kind != "AlertSink" || !version.starts_with("vedette.dev/") {
            let message = format!("it is a {version} {kind}, not an AlertSink of vedette.dev");
            return Err(vec![error(line_of(text, "kind"), Some("kind".to_owned()), message, None)]);
        }
        let manifest: Manifest = serde_saphyr::from_str(text).map_err(yaml)?;
        (manifest.metadata.name, manifest.spec)
    } else {
        let stem = std::path::Path::new(file).file_stem().map(|stem| stem.to_string_lossy().into_owned());
        (stem.unwrap_or_default(), serde_saphyr::from_str(text).map_err(yaml)?)
    };
    let mut errors = Vec::new();
    if let Err(message) = check_name(&name) {
        let remedy = "use 1 to 63 lower-case letters, digits and `-`".to_owned();
        errors.push(error(None, None, message, Some(remedy)));
    }
    if let Err(problems) = spec.far_side() {
        errors.extend(problems.into_iter().map(|problem| {
            let line = line_of(text, &problem.field);
            error(line, Some(problem.field), problem.message, Some(problem.remedy))
        }));
    }
    if errors.is_empty() { Ok(NamedSink { name, spec }) } else { Err(errors) }
}

/// Whether a name can be that of a sink: it stands in metrics and in names of files.
fn check_name(name: &str) -> Result<(), String> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let bad = name.is_empty() || name.len() > 63 || !name.chars().all(good) || name.starts_with('-');
    if bad { Err(format!("`{name}` is no name of a sink")) } else { Ok(()) }
}

/// The line of a field, by the keys on the way to it; that of the last key that is there, if it is not. Exact for YAML in
/// block style, and near for the rest.
pub(crate) fn line_of(text: &str, field: &str) -> Option<u64> {
    let mut lines = (1..).zip(text.lines());
    let mut found = None;
    for part in field.split('.').filter(|part| !part.is_empty()) {
        let line = lines.find(|(_, line)| {
            let line = line.trim_start().trim_start_matches("- ");
            line.strip_prefix(part).is_some_and(|rest| rest.trim_start().starts_with(':'))
        });
        match line {
            Some((number, _)) => found = Some(number),
            None => break,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::{Bytes, FarSide, Format, Interval};
    use super::*;

    fn fails(text: &str) -> Vec<String> {
        parse("/etc/vedette/siem.yaml", text).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_spec_is_named_by_its_file() {
        let text = "format: ocsf\nbatch: {bytes: 512Ki, delay: 1s}\nsplunkHec:\n  url: https://splunk:8088\n  token: {env: HEC}\n  ack: {}\n";
        let sink = parse("/etc/vedette/siem.yaml", text).unwrap();
        assert_eq!((sink.name.as_str(), sink.spec.format), ("siem", Some(Format::Ocsf)));
        assert_eq!(sink.spec.batch.bytes, Bytes(512 << 10));
        assert_eq!((sink.spec.batch.delay, sink.spec.batch.alerts), (Interval::from_secs(1), 500));
        assert!(matches!(sink.spec.far_side(), Ok(FarSide::SplunkHec(hec)) if hec.ack.is_some()));
    }

    #[test]
    fn a_manifest_has_its_name() {
        let text = "apiVersion: vedette.dev/v1alpha1\nkind: AlertSink\nmetadata:\n  name: central\n  labels: {a: b}\nspec:\n  stdout: {}\n";
        let sink = parse("x.yaml", text).unwrap();
        assert_eq!(sink.name, "central");
        let wrong = text.replace("AlertSink", "SecurityPolicy");
        assert!(
            fails(&wrong)[0].starts_with("/etc/vedette/siem.yaml:2: kind: it is a"),
            "{:?}",
            fails(&wrong)
        );
    }

    #[test]
    fn faults_have_file_line_field_and_remedy() {
        let text = "batch:\n  alerts: 0\nelasticsearch:\n  url: es:9200\n  index: Alerts\n  auth:\n    basic: {username: a, password: {}}\n";
        let faults = fails(text);
        let expected = [
            "/etc/vedette/siem.yaml:2: batch.alerts: 0 is out of range; state 1 to 10000",
            "/etc/vedette/siem.yaml:4: elasticsearch.url: it is no URL of http or https; write https://HOST:PORT",
            "/etc/vedette/siem.yaml:5: elasticsearch.index: `Alerts` is no name of an index; use lower-case letters, digits, `-`, `.` and `_`",
            "/etc/vedette/siem.yaml:7: elasticsearch.auth.basic.password: it needs exactly one place; state one of env, file, secret",
        ];
        assert_eq!(faults, expected);
    }

    #[test]
    fn unknown_fields_are_refused_with_their_line() {
        let faults = fails("stdout: {}\nformat: ocsf\nbatsch: {}\n");
        assert!(
            faults[0].starts_with("/etc/vedette/siem.yaml:3: ") && faults[0].contains("batsch"),
            "{faults:?}"
        );
        let faults = fails("stdout: {}\nbatch:\n  delay: soon\n");
        assert!(faults[0].contains(":3: ") && faults[0].contains("no time such as"), "{faults:?}");
    }

    #[test]
    fn one_sink_has_one_far_side() {
        assert!(fails("format: ocsf\n")[0].contains("does not say where"), "{:?}", fails("format: ocsf\n"));
        assert!(fails("stdout: {}\nfile: {path: /x}\n")[0].contains("stdout and file"));
        assert!(fails("stdout: {}\nformat: xml\n")[0].contains("xml"));
        assert!(parse("/x/Bad Name.yaml", "stdout: {}").unwrap_err()[0].to_string().contains("no name"));
    }

    #[test]
    fn passwords_do_not_belong_into_urls() {
        let faults = fails("webhook:\n  url: https://ada:secret@example.org/\n");
        assert!(faults[0].contains("state them as `auth`") && !faults[0].contains("secret"), "{faults:?}");
    }

    #[test]
    fn the_schema_is_structural() {
        let mut generator = schemars::generate::SchemaSettings::openapi3().into_generator();
        let schema = serde_json::to_value(generator.root_schema_for::<SinkSpec>()).unwrap();
        assert_eq!(schema["additionalProperties"], false);
        let text = schema.to_string();
        assert!(text.contains("x-kubernetes-int-or-string"));
        assert!(text.contains("splunkHec") && text.contains("minimumPriority"));
    }
}
