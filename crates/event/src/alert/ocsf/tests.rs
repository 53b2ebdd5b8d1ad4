//! Findings are what the published schema says.

use serde_json::Value;

use super::super::{Alert, Format, samples};

/// Class 2004 of OCSF 1.5.0 with our profiles; it allows no attribute that the schema does not have.
const SCHEMA: &str = include_str!("../../../tests/data/ocsf-1.5.0-detection-finding.json");

fn finding(alert: &Alert) -> Value {
    let mut line = Vec::new();
    Format::Ocsf.write_line(alert, &mut line).unwrap();
    serde_json::from_slice(&line).unwrap()
}

#[test]
fn findings_are_valid() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let alerts = [
        samples::host_alert(),
        samples::pod_alert(),
        samples::guided_alert(),
        samples::deep_alert(20),
        samples::unknown_alert(),
    ];
    for alert in alerts {
        let finding = finding(&alert);
        let faults: Vec<_> = validator
            .iter_errors(&finding)
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect();
        assert_eq!(faults, [""; 0], "{finding:#}");
    }
}

#[test]
fn the_schema_is_strict() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let good = finding(&samples::host_alert());
    for (path, value) in [
        ("/class_uid", Value::from(2005)),
        ("/severity_id", Value::from(42)),
        ("/metadata/profiles", Value::from("host")),
        ("/evidences/0/process/pid", Value::from("1")),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(path).unwrap() = value;
        assert!(!validator.is_valid(&bad), "{path}");
    }
    let mut more = good;
    more["evidences"][0]["process"]["colour"] = "red".into();
    assert!(!validator.is_valid(&more));
}
