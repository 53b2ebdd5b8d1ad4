//! What is in `deploy/`: every manifest is what the API types say, and asks for no more than is needed.

#![allow(clippy::unwrap_used, reason = "a test says so by failing")]

#[path = "cluster/manifests.rs"]
mod manifests;

use std::collections::BTreeSet;
use std::process::Command;

use clap::Parser as _;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use vedette_policy::document::yaml;
use vedette_policy::source::SourceId;

/// What the API type of the manifest keeps of it: all, unless a key is misspelt or in the wrong place.
fn through_its_type(manifest: &Json) -> Json {
    fn through<T: DeserializeOwned + Serialize>(manifest: &Json) -> Json {
        let typed: T =
            serde_json::from_value(manifest.clone()).unwrap_or_else(|e| panic!("{e}: {manifest:#}"));
        serde_json::to_value(typed).unwrap()
    }
    match manifest["kind"].as_str().unwrap() {
        "Namespace" => through::<Namespace>(manifest),
        "ServiceAccount" => through::<ServiceAccount>(manifest),
        "Service" => through::<Service>(manifest),
        "PersistentVolumeClaim" => through::<PersistentVolumeClaim>(manifest),
        "Deployment" => through::<Deployment>(manifest),
        "DaemonSet" => through::<DaemonSet>(manifest),
        "NetworkPolicy" => through::<NetworkPolicy>(manifest),
        "Role" => through::<Role>(manifest),
        "RoleBinding" => through::<RoleBinding>(manifest),
        "ClusterRole" => through::<ClusterRole>(manifest),
        "ClusterRoleBinding" => through::<ClusterRoleBinding>(manifest),
        "ValidatingWebhookConfiguration" => through::<ValidatingWebhookConfiguration>(manifest),
        "CustomResourceDefinition" => through::<CustomResourceDefinition>(manifest),
        other => panic!("a manifest of kind {other} has to be added here"),
    }
}

fn of(all: &[Json], kind: &str, name: &str) -> Json {
    let found = all.iter().find(|m| m["kind"] == kind && m["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}")).clone()
}

fn words(value: &Json) -> BTreeSet<&str> {
    value.as_array().into_iter().flatten().map(|word| word.as_str().unwrap()).collect()
}

fn words_in_order(value: &Json) -> Vec<String> {
    value.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

/// What holds of the manifests and of each overlay.
fn check(all: &[Json]) {
    for manifest in all {
        let kept = through_its_type(manifest);
        // Definitions are written from the type itself, and tools write their numbers in other ways.
        if manifest["kind"] != "CustomResourceDefinition" {
            assert_eq!(without_empty(&kept), without_empty(manifest), "a key that nobody reads");
            assert_eq!(manifest["metadata"]["labels"]["app.kubernetes.io/name"], "vedette", "{manifest:#}");
        }
    }
    let agent = of(all, "DaemonSet", "vedette-agent")["spec"]["template"]["spec"].clone();
    assert_eq!(agent["hostPID"], true);
    let container = &agent["containers"][0];
    let security = &container["securityContext"];
    assert_eq!(security["capabilities"]["drop"], json!(["ALL"]));
    let wanted = BTreeSet::from(["BPF", "PERFMON", "SYS_PTRACE", "DAC_READ_SEARCH"]);
    assert_eq!(words(&security["capabilities"]["add"]), wanted);
    assert!(security.get("privileged").is_none());
    for profile in ["seccompProfile", "appArmorProfile"] {
        assert_eq!(security[profile]["type"], "Unconfined", "{profile} would keep it from its work");
    }
    // A container runtime refuses to hand on later mounts of a directory that is not in a shared mount.
    let mounts = container["volumeMounts"].as_array().unwrap();
    assert!(mounts.iter().all(|mount| mount.get("mountPropagation").is_none()));
    // What is mounted of the host is read-only, but for the agent's own state.
    for mount in container["volumeMounts"].as_array().unwrap() {
        let own = matches!(mount["name"].as_str(), Some("state" | "run"));
        assert_eq!(mount["readOnly"] == true, !own, "{mount}");
    }
    let controller = of(all, "Deployment", "vedette-controller")["spec"]["template"]["spec"].clone();
    assert_eq!(controller["securityContext"]["runAsNonRoot"], true);
    assert!(controller["containers"][0]["securityContext"]["capabilities"].get("add").is_none());
    for pod in [&agent, &controller] {
        let container = &pod["containers"][0];
        assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
        assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
        for resource in ["cpu", "memory"] {
            assert!(container["resources"]["requests"][resource].is_string(), "{resource}");
        }
        assert!(container["resources"]["limits"]["memory"].is_string());
        for (probe, path) in [("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")] {
            assert_eq!(container[probe]["httpGet"]["path"], path);
            // It asks where the program was told to answer.
            let port = container[probe]["httpGet"]["port"].as_str().unwrap();
            let ports = container["ports"].as_array().unwrap();
            let number = &ports.iter().find(|p| p["name"] == port).unwrap()["containerPort"];
            let told =
                words(&container["args"]).into_iter().find_map(|arg| arg.strip_prefix("--metrics=")).unwrap();
            assert!(told.ends_with(&format!(":{number}")), "{told}");
        }
        // Each mount has its volume, and each volume is mounted.
        let names = |list: &Json| -> BTreeSet<String> {
            list.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names(&container["volumeMounts"]), names(&pod["volumes"]));
        assert!(
            all.iter()
                .any(|m| m["kind"] == "ServiceAccount" && m["metadata"]["name"] == pod["serviceAccountName"])
        );
    }
    // The program takes these arguments.
    let args = words_in_order(&controller["containers"][0]["args"]);
    let given = std::iter::once("vedette-controller".to_owned()).chain(args);
    vedette_controller::cli::Cli::try_parse_from(given).unwrap();
    let tokens =
        agent["volumes"].as_array().unwrap().iter().flat_map(|v| v["projected"]["sources"].as_array());
    let audiences: Vec<_> =
        tokens.flatten().filter_map(|source| source["serviceAccountToken"]["audience"].as_str()).collect();
    assert_eq!(audiences, ["vedette-controller"]);
    // A service finds its pods.
    let labels = &of(all, "Deployment", "vedette-controller")["spec"]["template"]["metadata"]["labels"];
    for service in all.iter().filter(|m| m["kind"] == "Service") {
        assert_eq!(&service["spec"]["selector"], labels);
        for port in service["spec"]["ports"].as_array().unwrap() {
            let ports = controller["containers"][0]["ports"].as_array().unwrap();
            assert!(ports.iter().any(|p| p["name"] == port["targetPort"]), "{port}");
        }
    }
    let webhook = &of(all, "ValidatingWebhookConfiguration", "vedette-controller")["webhooks"][0];
    assert_eq!((&webhook["failurePolicy"], &webhook["sideEffects"]), (&json!("Ignore"), &json!("None")));
}

/// Types write nothing for what is empty; and `null` is nothing.
fn without_empty(value: &Json) -> Json {
    match value {
        Json::Object(map) => {
            let kept = map.iter().map(|(k, v)| (k.clone(), without_empty(v)));
            kept.filter(|(_, v)| !v.is_null() && *v != json!({}) && *v != json!([])).collect()
        }
        Json::Array(items) => items.iter().map(without_empty).collect(),
        other => other.clone(),
    }
}

#[test]
fn the_manifests_are_good() {
    check(&manifests::all());
}

#[test]
fn every_rule_of_a_role_says_why() {
    for file in ["controller-rbac.yaml", "agent.yaml"] {
        let text =
            std::fs::read_to_string(manifests::workspace().join("deploy/manifests").join(file)).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let mut rules = 0;
        for (index, line) in
            lines.iter().enumerate().filter(|(_, line)| line.trim_start().starts_with("- apiGroups:"))
        {
            rules += 1;
            // Rules on the same resources share what is said before the first of them.
            let goes_on = lines[index - 1].trim_start().starts_with("verbs:") && {
                let before = lines[..index].iter().rfind(|line| line.trim_start().starts_with("resources:"));
                before == Some(&lines[index + 1])
            };
            assert!(
                lines[index - 1].trim_start().starts_with('#') || goes_on,
                "{file}:{}: {line}",
                index + 1
            );
        }
        assert!(rules >= 2, "{file}");
    }
}

#[test]
fn overlays_are_good() {
    let overlay = manifests::workspace().join("deploy/examples/single-node");
    let Ok(output) = Command::new("kubectl").arg("kustomize").arg(overlay).output() else {
        assert!(std::env::var_os("CI").is_none(), "there is no kubectl");
        println!("skipped: there is no kubectl");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let documents = yaml::parse(&text, SourceId(0)).unwrap();
    let all: Vec<Json> = documents.iter().map(yaml::Node::to_json).collect();
    check(&all);
    for (kind, name) in [("DaemonSet", "vedette-agent"), ("Deployment", "vedette-controller")] {
        let pod = of(&all, kind, name)["spec"]["template"]["spec"].clone();
        assert_eq!(pod["hostNetwork"], true);
        let args =
            words(&pod["containers"][0]["args"]).into_iter().map(str::to_owned).collect::<Vec<_>>().join(" ");
        assert!(!args.contains(".svc") && !args.contains("POD_IP"), "{args}");
        let env = pod["containers"][0]["env"].as_array().unwrap();
        assert!(env.iter().any(|e| e["name"] == "KUBERNETES_SERVICE_HOST" && e["value"] == "127.0.0.1"));
    }
    let webhook = &of(&all, "ValidatingWebhookConfiguration", "vedette-controller")["webhooks"][0];
    assert_eq!(webhook["clientConfig"], json!({"url": "https://127.0.0.1:9443/validate"}));
}
