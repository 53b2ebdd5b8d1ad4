//! `vedette status`.

use serde_json::{Value as Json, json};
use vedette_proto::v1;

use crate::rig::{Controller, run};
use crate::wait::soon;

fn status(controller: &Controller) -> (i32, Json) {
    let (code, out, error) = run(&mut controller.vedette(&["status"]));
    assert_eq!(error, "");
    (code, serde_json::from_str(&out).unwrap())
}

const POLICY: &str = "- rule: Mine\n  desc: d\n  condition: evt.type = execve and proc.name = mine\n  output: o\n  priority: Notice\n";

#[tokio::test(flavor = "multi_thread")]
async fn it_says_what_is_not_well_and_the_exit_code_whether_something_is() {
    let controller = Controller::start(true, &[]);
    controller.policy("mine.yaml", POLICY);
    let (code, report) = status(&controller);
    assert_eq!((code, &report["problems"]), (1, &json!(["no agent has ever connected"])));

    let mut agent = controller.agent("n1").await;
    // Until the file has been read, the bundle is empty.
    let digest = loop {
        let bundle = agent.bundles.message().await.unwrap().unwrap();
        if !bundle.documents.is_empty() {
            let digest = ring::digest::digest(&ring::digest::SHA256, &bundle.manifest);
            break data_encoding::HEXLOWER.encode(digest.as_ref());
        }
    };
    let (_, report) = status(&controller);
    assert_eq!(report["nodes"][0]["state"], "updating");
    let rule = |name: &str, state: v1::RuleState| v1::RuleStatus {
        rule: name.into(),
        state: state.into(),
        reason: "Why".into(),
        message: "because".into(),
    };
    let policy = |rules| v1::PolicyStatus { document: "mine.yaml".into(), generation: 0, rules, active: 1 };
    let says = |policies| v1::BundleStatus {
        digest: digest.clone(),
        accepted: true,
        running: digest.clone(),
        policies,
        ..Default::default()
    };
    agent.says(says(vec![policy(vec![rule("R", v1::RuleState::Degraded)])])).await;
    let losses = v1::LossCounters {
        events: [("kernel".into(), 7)].into(),
        shed: [("PRIORITY_DEBUG".into(), 3)].into(),
        ..Default::default()
    };
    agent.heartbeat(losses, 12).await;
    let report = soon("the agent's word", async || {
        let (code, report) = status(&controller);
        (report["nodes"][0]["state"] == "degraded").then_some((code, report))
    });
    let (code, report) = report.await;
    assert_eq!((code, &report["problems"]), (1, &json!(["node n1 is degraded"])));
    let node = &report["nodes"][0];
    assert_eq!(node["rules"], json!({"active": 1, "degraded": 1}));
    assert_eq!(node["missing"], json!({"bpf_lsm": "the kernel runs no BPF LSM"}));
    assert_eq!(node["lost"], json!({"alerts given up, debug": 3, "events, ring kernel": 7}));
    assert_eq!(node["spooled"], 12);
    assert_eq!(report["policies"][0]["rules"], 1);

    let (code, text, _) = run(controller.vedette(&["status", "--output", "text"]).env("NO_COLOR", "1"));
    let text = text.replace(&controller.address, "ADDRESS");
    // What the clock says is another thing each time.
    let text = regex_free(&text);
    assert_eq!(code, 1);
    let expected = "\
controller  http://ADDRESS  0.1.0, standalone, up T
alert log   embedded, 0 alerts, 0 B of 10 GiB

policies
  NAME       RULES  NODES  STATE
  mine.yaml  1      all    good

nodes  1 of 1 connected
  NAME  STATE     AGENT  KERNEL  RULES                 WAITING  LOST  SEEN
  n1    degraded  1.2.3  6.1.0   1 active, 1 degraded  12       10    T ago
  n1: missing bpf_lsm: the kernel runs no BPF LSM
  n1: rule R is degraded: because
  n1: lost 3 (alerts given up, debug)
  n1: lost 7 (events, ring kernel)

sinks
  none: alerts stay in the log (docs/sinks.md)

problems
  ✗ node n1 is degraded
";
    assert_eq!(text, expected);

    let (code, _, error) = run(&mut controller.vedette(&["status", "--node", "n9"]));
    assert!(code == 1 && error.contains("knows no node n9"), "{error}");

    // A node that refuses, a set that is refused, and a node that has gone.
    let refusal = v1::BundleStatus { accepted: false, error: "mine.yaml:1:1: no".into(), ..says(vec![]) };
    agent.says(refusal).await;
    controller.policy("bad.yaml", &POLICY.replace("proc.name", "proc.nam").replace("Mine", "Bad"));
    let (_, report) = soon("both refusals", async || {
        let (code, report) = status(&controller);
        let both = report["nodes"][0]["state"] == "refused" && report["policiesRefused"].is_string();
        both.then_some((code, report))
    })
    .await;
    assert_eq!(report["nodes"][0]["refused"], "mine.yaml:1:1: no");
    assert!(report["policiesRefused"].as_str().unwrap().contains("bad.yaml:3:"), "{report}");
    drop(agent);
    soon("its end", async || (status(&controller).1["nodes"][0]["state"] == "gone").then_some(())).await;
}

/// The text with every time since something replaced by `T`.
fn regex_free(text: &str) -> String {
    let is_time = |word: &str| {
        word.len() > 1
            && word.starts_with(|c: char| c.is_ascii_digit())
            && word.ends_with('s')
            && word.trim_end_matches('s').chars().all(|c| c.is_ascii_digit() || c == 'm')
    };
    let line = |line: &str| {
        let words: Vec<&str> = line.split(' ').map(|word| if is_time(word) { "T" } else { word }).collect();
        words.join(" ") + "\n"
    };
    text.lines().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn sinks_that_do_not_deliver_are_named_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let (good, bad) = (directory.path().join("good.yaml"), directory.path().join("bad.yaml"));
    std::fs::write(&good, format!("file:\n  path: {}\n", directory.path().join("out").display())).unwrap();
    std::fs::write(&bad, "retry: {max: 1s}\nwebhook:\n  url: http://127.0.0.1:1/\n").unwrap();
    let sinks = ["--sink", good.to_str().unwrap(), "--sink", bad.to_str().unwrap()];
    let controller = Controller::start(true, &sinks);
    let mut agent = controller.agent("n1").await;
    agent.push(&[(1, "A", "Warning"), (2, "A", "Warning")]).await;
    let report = soon("one that delivers and one that does not", async || {
        let (_, report) = status(&controller);
        let [bad, good] = report["sinks"].as_array().unwrap().as_slice() else { panic!("{report}") };
        (bad["state"] == "retrying" && good["delivered"] == 2).then(|| report.clone())
    })
    .await;
    let [bad, good] = report["sinks"].as_array().unwrap().as_slice() else { panic!("{report}") };
    assert_eq!((&bad["name"], &bad["kind"], &bad["lag"]), (&json!("bad"), &json!("webhook"), &json!(2)));
    assert_eq!((&good["name"], &good["state"], &good["lag"]), (&json!("good"), &json!("ok"), &json!(0)));
    let problems = report["problems"].to_string();
    assert!(problems.contains("sink bad does not deliver: "), "{problems}");
    assert!(!problems.contains("sink good"), "{problems}");
    // Over TLS, too, the same is told.
    let secure = Controller::start(false, &[]);
    let (code, report) = status(&secure);
    assert_eq!((code, report["controller"]["standalone"].clone()), (1, json!(true)));
}
