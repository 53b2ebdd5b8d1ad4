//! The webhook: Falco's way of sending alerts.

use std::time::{Duration, Instant};

use crate::{
    http_server::{Asked, Reply, Server, script},
    rig::{Rig, uid},
    tls::Authority,
};

fn settings(server: &Server, more: &str) -> String {
    format!("webhook:\n  url: http://{}/falco\n{more}", server.address)
}

fn uids(asked: &[Asked]) -> Vec<String> {
    asked.iter().map(|asked| asked.json()["uid"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn each_alert_is_a_request_as_falco_sends_it() {
    let server = Server::start(script([])).await;
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "t0ken\n").unwrap();
    let more = format!(
        "  headers:\n    X-Team: {{value: blue}}\n    X-Key: {{file: {}}}\n  auth: {{basic: {{username: ada, password: {{file: {}}}}}}}\n  compression: gzip\n",
        token.path().display(),
        token.path().display(),
    );
    let rig = Rig::start(&settings(&server, &more)).await;
    rig.append(0..3).await;
    rig.settled(3).await;
    let asked = server.asked();
    assert_eq!(uids(&asked), [uid(0), uid(1), uid(2)]);
    let first = asked[0].json();
    for key in ["time", "rule", "priority", "source", "hostname", "output", "output_fields", "tags"] {
        assert!(!first[key].is_null(), "{key}");
    }
    assert_eq!((asked[0].path.as_str(), asked[0].header("content-type")), ("/falco", "application/json"));
    assert_eq!((asked[0].header("x-team"), asked[0].header("x-key")), ("blue", "t0ken"));
    assert_eq!(asked[0].header("authorization"), "Basic YWRhOnQwa2Vu");
}

#[tokio::test]
async fn falcos_format_has_no_more_than_falcos_keys() {
    let server = Server::start(script([])).await;
    let rig = Rig::start(&format!("format: falco\n{}", settings(&server, ""))).await;
    rig.append(0..1).await;
    rig.settled(1).await;
    let keys: Vec<String> = server.asked()[0].json().as_object().unwrap().keys().cloned().collect();
    let expected =
        ["hostname", "output", "output_fields", "priority", "rule", "source", "tags", "time", "uuid"];
    let mut keys = keys;
    keys.sort();
    assert_eq!(keys, expected);
}

#[tokio::test]
async fn order_stays_when_one_has_to_wait() {
    let ok = || Reply::Status(200, String::new());
    let server = Server::start(script([
        ok(),
        Reply::Status(503, "restarting".to_owned()),
        Reply::Reset,
        ok(),
        Reply::Status(400, "no".to_owned()),
    ]))
    .await;
    let rig = Rig::start(&settings(&server, "")).await;
    rig.append(0..4).await;
    let status = rig.settled(4).await;
    assert_eq!(uids(&server.asked()), [0, 1, 1, 1, 2, 3].map(uid));
    assert_eq!((status.delivered, status.refused), (3, 1));
    let letter = &rig.letters()[0];
    assert_eq!(letter["uid"], uid(2).as_str());
    assert_eq!(letter["reason"], "HTTP status 400 Bad Request: no");
}

#[tokio::test]
async fn too_many_requests_are_answered_with_patience() {
    let server = Server::start(script([Reply::With(429, "retry-after", "1")])).await;
    let rig = Rig::start(&settings(&server, "")).await;
    let begun = Instant::now();
    rig.append(0..1).await;
    rig.settled(1).await;
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up() {
    let server = Server::start(script([Reply::Hang])).await;
    let rig = Rig::start(&format!("timeout: 200ms\n{}", settings(&server, ""))).await;
    rig.append(0..1).await;
    let status = rig.settled(1).await;
    assert_eq!(status.last_error.unwrap().1, "no answer within 200ms");
}

#[tokio::test]
async fn arrays_are_taken_apart_when_they_are_refused() {
    let server = Server::start(|asked: &Asked| {
        let refused = asked.json().as_array().unwrap().iter().any(|alert| alert["uid"] == uid(5).as_str());
        Reply::Status(if refused { 422 } else { 200 }, "a field is missing".to_owned())
    })
    .await;
    let rig = Rig::start(&settings(&server, "  array: true\n")).await;
    rig.append(0..8).await;
    let status = rig.settled(8).await;
    assert_eq!((status.delivered, status.refused), (7, 1));
    assert_eq!(rig.letters()[0]["uid"], uid(5).as_str());
}

#[tokio::test]
async fn the_token_is_read_again_and_never_told() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "old-token").unwrap();
    let server = Server::start(|asked: &Asked| match asked.header("authorization") {
        "Bearer new-token" => Reply::Status(200, String::new()),
        other => Reply::Status(401, format!("{other} is not known")),
    })
    .await;
    let auth = format!("  auth: {{bearer: {{file: {}}}}}\n", file.path().display());
    let rig = Rig::start(&settings(&server, &auth)).await;
    rig.append(0..1).await;
    let trouble = rig.trouble().await;
    assert!(trouble.contains("401") && !trouble.contains("old-token"), "{trouble}");
    std::fs::write(file.path(), "new-token").unwrap();
    assert_eq!(rig.settled(1).await.delivered, 1);
}

#[tokio::test]
async fn tls_with_certificates_of_both_sides() {
    let authority = Authority::new();
    let server = Server::start_with(Some(authority.acceptor(true)), script([])).await;
    let settings = |with| {
        format!(
            "webhook:\n  url: https://localhost:{}/\n  tls: {}\n",
            server.address.port(),
            authority.settings(with)
        )
    };
    let without = Rig::start(&settings(false)).await;
    without.append(0..1).await;
    assert!(!without.trouble().await.is_empty());
    let with = Rig::start(&settings(true)).await;
    with.append(0..1).await;
    with.settled(1).await;
    // Another authority is not trusted.
    let other = Authority::new();
    let url = format!("https://localhost:{}/", server.address.port());
    let distrustful = Rig::start(&format!("webhook:\n  url: {url}\n  tls: {}\n", other.settings(true))).await;
    distrustful.append(0..1).await;
    let trouble = distrustful.trouble().await;
    assert!(trouble.contains("certificate"), "{trouble}");
    assert_eq!(server.asked().len(), 1);
}
