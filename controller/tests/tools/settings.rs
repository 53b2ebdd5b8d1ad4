//! Settings, as the program takes and refuses them.

use std::process::{Command, Stdio};

use crate::{
    far_side,
    rig::{Controller, run},
};

fn refused(args: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vedette-controller"));
    let (code, out, error) = run(command.arg("run").args(args).stdin(Stdio::null()));
    assert_eq!(out, "");
    (code, error)
}

#[test]
fn what_is_not_usable_is_refused_with_the_remedy() {
    let (code, error) = refused(&["--log", "nonsense"]);
    assert!(
        code == 64 && error.contains("`nonsense` is no level") && error.contains("error, warn"),
        "{error}"
    );
    let (code, error) = refused(&["--metrics", "fd00::1"]);
    assert!(code == 64 && error.contains("[::1]:PORT"), "{error}");
    let (code, error) = refused(&["--tls-cert", "/c.pem"]);
    assert!(code == 1 && error.contains("tlsKey"), "{error}");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.yaml");
    std::fs::write(&path, "standalone: true\nalertLog: {kind: jetstream}\n").unwrap();
    let (code, error) = refused(&["--config", path.to_str().unwrap()]);
    assert!(code == 1 && error.contains("c.yaml:2: alertLog.urls: ") && error.contains("tls://"), "{error}");
    std::fs::write(&path, "polices: [/p]\n").unwrap();
    let (code, error) = refused(&["--config", path.to_str().unwrap()]);
    assert!(
        code == 1 && error.contains("c.yaml:1: unknown field `polices`") && error.contains("policies"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_memory_and_a_certificate_of_ones_own() {
    let given = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(path("tls.pem"), given.cert.pem()).unwrap();
    std::fs::write(path("tls.key"), given.signing_key.serialize_pem()).unwrap();
    let settings =
        format!("alertLog: {{kind: memory}}\ntlsCert: {}\ntlsKey: {}\n", path("tls.pem"), path("tls.key"));
    std::fs::write(path("c.yaml"), settings).unwrap();
    let controller = Controller::start(false, &["--config", &path("c.yaml")]);
    let (code, out, error) = run(controller.vedette(&["status"]).env("VEDETTE_CA", path("tls.pem")));
    let report: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{error}"));
    assert_eq!((code, report["alertLog"]["kind"].as_str()), (1, Some("memory")));
    assert!(!controller.data("alerts").exists() && !controller.data("ca.pem").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_controllers_with_a_log_in_jetstream_show_the_same_alerts() {
    let Some((_server, url)) = far_side::nats() else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.yaml");
    std::fs::write(&path, format!("alertLog:\n  kind: jetstream\n  urls: ['{url}']\n  limit: 16Mi\n"))
        .unwrap();
    let start = || Controller::start(true, &["--config", path.to_str().unwrap()]);
    let (one, two) = (start(), start());
    one.agent("n1").await.push(&[(1, "A", "Warning")]).await;
    two.agent("n2").await.push(&[(2, "A", "Warning")]).await;
    for controller in [&one, &two] {
        let (code, out, error) = run(&mut controller.vedette(&["alerts", "query"]));
        assert_eq!((code, out.lines().count()), (0, 2), "{error}");
    }
    // A server that is not there is told at the start.
    let settings = "standalone: true\nplaintext: true\npolicies: [DIR]\nalertLog: {kind: jetstream, urls: ['nats://127.0.0.1:1']}\n";
    let policies = dir.path().join("policies");
    std::fs::create_dir(&policies).unwrap();
    std::fs::write(&path, settings.replace("DIR", &policies.display().to_string())).unwrap();
    let data = dir.path().join("data").display().to_string();
    let (code, error) = refused(&["--config", path.to_str().unwrap(), "--data", &data]);
    assert!(code == 1 && error.contains("alertLog: nats://127.0.0.1:1: "), "{error}");
}
