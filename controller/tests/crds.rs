//! The custom resources: what the API server accepts is what the policy language reads.

#![allow(clippy::unwrap_used, reason = "a test says so by failing")]

#[path = "cluster/structural.rs"]
mod structural;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value as Json, json};
use structural::Structural;
use vedette_controller::kube::check::Checker;
use vedette_controller::kube::crd;
use vedette_controller::policies::built_in;
use vedette_policy::document::native::PolicyKind;
use vedette_policy::document::yaml;
use vedette_policy::source::SourceId;
use vedette_policy::{Code, PolicySet, Source};

fn definitions() -> BTreeMap<String, Json> {
    let all = crd::definitions().into_iter().map(|crd| serde_json::to_value(crd).unwrap());
    all.map(|crd| (crd["spec"]["names"]["kind"].as_str().unwrap().to_owned(), crd)).collect()
}

fn schemas() -> BTreeMap<String, Structural> {
    definitions().iter().map(|(kind, crd)| (kind.clone(), Structural::of(crd))).collect()
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn documents(text: &str) -> Vec<Json> {
    yaml::parse(text, SourceId(0)).unwrap().iter().map(yaml::Node::to_json).collect()
}

#[test]
fn the_schemas_are_structural() {
    for (kind, schema) in schemas() {
        assert_eq!(schema.faults(), Vec::<String>::new(), "{kind}");
    }
}

#[test]
fn people_find_them() {
    let mut short = Vec::new();
    for (kind, crd) in definitions() {
        let version = &crd["spec"]["versions"][0];
        assert_eq!(crd["spec"]["names"]["categories"], json!(["vedette"]), "{kind}");
        short.extend(crd["spec"]["names"]["shortNames"].as_array().unwrap().iter().cloned());
        assert_eq!(version["subresources"]["status"], json!({}), "{kind}");
        let columns = version["additionalPrinterColumns"].as_array().unwrap();
        assert_eq!(columns.last().unwrap()["jsonPath"], ".metadata.creationTimestamp", "{kind}");
        let root = &version["schema"]["openAPIV3Schema"];
        for column in columns {
            // A column of a field that is not there stays empty and nobody notices.
            let path = column["jsonPath"].as_str().unwrap();
            let mut at = root;
            for key in path.split('.').filter(|key| !key.is_empty()) {
                if at["type"].is_null() || key == "metadata" || path.contains("[?") {
                    break;
                }
                at = &at["properties"][key];
                assert!(at.is_object(), "{kind}: {path}");
            }
        }
    }
    let count = short.len();
    short.sort_by_key(ToString::to_string);
    short.dedup();
    assert_eq!(short.len(), count, "{short:?}");
}

#[test]
fn the_built_in_policies_can_be_applied() {
    let schemas = schemas();
    let checker = Checker::new(built_in::sources());
    let mut applied = 0;
    for source in built_in::sources() {
        for mut document in documents(&source.text).into_iter().filter(Json::is_object) {
            let schema = &schemas[document["kind"].as_str().unwrap()];
            assert_eq!(schema.prune(&mut document), Vec::<String>::new(), "{}", source.name);
            schema.default(&mut document);
            assert_eq!(schema.complaints(&document, None), Vec::<String>::new(), "{}", source.name);
            // What comes back from the API server is good, too.
            let (kind, name) =
                (document["kind"].as_str().unwrap(), document["metadata"]["name"].as_str().unwrap());
            assert_eq!(kind, "ClusterSecurityPolicy");
            let checked = checker.check(PolicyKind::ClusterSecurityPolicy, None, name, &document["spec"]);
            assert_eq!((checked.errors, checked.warnings), (Vec::new(), Vec::new()), "{}", source.name);
            applied += 1;
        }
    }
    assert!(applied >= 8, "{applied}");
}

#[test]
fn what_is_wrong_in_shape_is_refused_by_both() {
    let schemas = schemas();
    let bad = [
        json!({"mode": "enforce"}),
        json!({"level": "loud"}),
        json!({"podSelector": {"matchLabels": {"tier": 1}}}),
        json!({"nodeSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}),
        json!({"nodeSelector": {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}}),
        json!({"nodeSelector": {"matchExpressions": [{"key": "a", "operator": "Is", "values": ["b"]}]}}),
        json!({"lists": [{"name": "l", "items": ["a"]}, {"name": "l", "items": ["b"]}]}),
        json!({"macros": [{"name": "m", "condition": "evt.type = open"}, {"name": "m", "condition": "evt.type = open"}]}),
        json!({"rules": [{"name": "r"}]}),
        json!({"rules": [{"condition": "evt.type = open"}]}),
        json!({"rules": [{"name": "r", "condition": ""}]}),
        json!({"rules": [{"name": "r", "condition": "evt.type = open"}, {"name": "r", "condition": "evt.type = close"}]}),
        json!({"rules": [{"name": "r", "condition": "evt.type = open", "priority": "urgent"}]}),
        json!({"rules": [{"name": "r", "condition": "evt.type = open", "action": "Block"}]}),
        json!({"rules": [{"name": "r", "condition": "evt.type = open", "attack": ["cron"]}]}),
        json!({"rules": [{"name": "r", "condition": "evt.type = open", "throttle": {"interval": "soon"}}]}),
        json!({"rules": [{"name": "r", "condition": "evt.type = open", "threshold": {"count": 1, "within": "1s"}}]}),
        json!({"rules": [{"name": "r", "sequence": {"within": "1s", "steps": [{"condition": "evt.type = open"}]}}]}),
        json!({"rules": [{"name": "r", "condition": "evt.type = open", "sequence": {"within": "1s", "steps": [
            {"condition": "evt.type = open"}, {"condition": "evt.type = close"}]}}]}),
        json!({"rules": [{"name": "r", "threshold": {"count": 2, "within": "1s"}, "sequence": {"within": "1s", "steps": [
            {"condition": "evt.type = open"}, {"condition": "evt.type = close"}]}}]}),
        json!({"rules": [{"name": "r", "condition": "evt.type = open", "exceptions": [{"fields": "proc.name"}]}]}),
        json!({"rules": (0..1001).map(|i| json!({"name": format!("r{i}"), "condition": "evt.type = open"})).collect::<Json>()}),
    ];
    for spec in bad {
        let object = json!({
            "apiVersion": "vedette.dev/v1alpha1", "kind": "SecurityPolicy",
            "metadata": {"name": "n", "namespace": "shop"}, "spec": spec,
        });
        let shown = &object["spec"].to_string()[..object["spec"].to_string().len().min(300)];
        assert_ne!(schemas["SecurityPolicy"].complaints(&object, None), Vec::<String>::new(), "{shown}");
        let loaded = PolicySet::load([Source::new("object", object.to_string())]);
        assert!(loaded.set.is_none(), "the checker takes {shown}");
    }
}

#[test]
fn a_sink_has_one_far_side_and_its_secrets_in_secrets() {
    let schema = &schemas()["AlertSink"];
    let sink = |spec: Json| {
        json!({
            "apiVersion": "vedette.dev/v1alpha1", "kind": "AlertSink", "metadata": {"name": "n"}, "spec": spec,
        })
    };
    let token = json!({"secret": {"name": "hec", "key": "token"}});
    let good = [
        json!({"stdout": {}}),
        json!({"splunkHec": {"url": "https://hec.example:8088", "token": token}, "timeout": "5s"}),
    ];
    for spec in good {
        assert_eq!(schema.complaints(&sink(spec), None), Vec::<String>::new());
    }
    for spec in
        [json!({}), json!({"timeout": "5s"}), json!({"stdout": {}, "otlp": {"url": "http://collector:4317"}})]
    {
        let complaints = schema.complaints(&sink(spec.clone()), None);
        assert!(
            complaints.iter().any(|c| c.contains("exactly one of stdout, file")),
            "{spec}: {complaints:?}"
        );
    }
    // Files and variables of the controller are not for objects: there is no such key.
    for place in ["env", "file"] {
        let mut spec =
            sink(json!({"splunkHec": {"url": "https://hec.example:8088", "token": {place: "TOKEN"}}}));
        assert_eq!(schema.prune(&mut spec), [format!(".spec.splunkHec.token.{place}")]);
        assert_ne!(schema.complaints(&spec, None), Vec::<String>::new());
    }
    // Every far side that the settings know is counted.
    let text =
        definitions()["AlertSink"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
            .clone();
    let rule = text["x-kubernetes-validations"][0]["rule"].as_str().unwrap();
    let common = ["batch", "deadLetters", "format", "minimumPriority", "retry", "start", "timeout"];
    for name in text["properties"].as_object().unwrap().keys().filter(|name| !common.contains(&name.as_str()))
    {
        assert!(rule.contains(&format!("has(self.{name})")), "{name}");
    }
}

/// Every key that the schema of the objects has, and what is known of its value, with the policy files' schema.
#[test]
fn objects_and_files_have_the_same_keys() {
    let text = std::fs::read_to_string(workspace().join("deploy/schema/policy.schema.json")).unwrap();
    let files: Json = serde_json::from_str(&text).unwrap();
    let of_files = keys(&files, &files["$defs"]["spec"]);
    for (kind, schema) in schemas().iter().filter(|(kind, _)| kind.ends_with("SecurityPolicy")) {
        let mut expected = of_files.clone();
        if kind == "SecurityPolicy" {
            expected.retain(|path, _| !path.starts_with(".namespaceSelector"));
        }
        let found = keys(schema.schema(), &schema.schema()["properties"]["spec"]);
        let missing: Vec<_> = expected.iter().filter(|(path, _)| !found.contains_key(*path)).collect();
        let surplus: Vec<_> = found.keys().filter(|path| !expected.contains_key(*path)).collect();
        assert!(missing.is_empty() && surplus.is_empty(), "{kind}: missing {missing:?}, surplus {surplus:?}");
        for (path, what) in expected {
            assert_eq!(found[&path], what, "{kind}{path}");
        }
    }
}

/// Each key with what both schemas say in the same words: whether it must be there, and which words it takes.
fn keys(root: &Json, schema: &Json) -> BTreeMap<String, (bool, Json)> {
    let mut found = BTreeMap::new();
    collect(root, schema, "", &mut found);
    found
}

fn collect(root: &Json, schema: &Json, path: &str, found: &mut BTreeMap<String, (bool, Json)>) {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        let required = schema["required"].as_array().is_some_and(|r| r.iter().any(|r| r == name));
        let resolved = match property["$ref"].as_str() {
            Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap(),
            None => property,
        };
        found.insert(path.clone(), (required, resolved["enum"].clone()));
        collect(root, property, &path, found);
    }
    // Alternatives in files are for the checker in objects.
    if schema["items"].is_object() {
        collect(root, &schema["items"], &format!("{path}[]"), found);
    }
}

/// Each key of the schema is one that the checker knows.
#[test]
fn the_checker_reads_every_key() {
    for (kind, schema) in schemas().iter().filter(|(kind, _)| kind.ends_with("SecurityPolicy")) {
        let spec = sample(&schema.schema()["properties"]["spec"]);
        let object = json!({
            "apiVersion": "vedette.dev/v1alpha1", "kind": kind, "metadata": {"name": "n"}, "spec": spec,
        });
        let loaded = PolicySet::load([Source::new("object", object.to_string())]);
        let unknown: Vec<_> = loaded.diagnostics.iter().filter(|d| d.code == Code::UnknownKey).collect();
        assert!(unknown.is_empty(), "{kind}: {unknown:?}");
        assert!(object["spec"]["rules"][0]["sequence"]["steps"][0]["condition"].is_string());
    }
}

/// A value with every key.
fn sample(schema: &Json) -> Json {
    match schema["type"].as_str() {
        Some("object") if schema["properties"].is_object() => {
            let entries = schema["properties"].as_object().unwrap().iter();
            entries.map(|(name, property)| (name.clone(), sample(property))).collect()
        }
        Some("object") => json!({"label": "value"}),
        Some("array") => json!([sample(&schema["items"])]),
        Some("integer") => json!(2),
        Some("boolean") => json!(true),
        _ => schema["enum"].get(0).cloned().unwrap_or_else(|| json!("evt.type")),
    }
}
