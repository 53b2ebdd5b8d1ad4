//! A real Alertmanager.

use serde_json::Value;

use crate::{
    far_side::{FarSide, free_port, start},
    http_server::{Asked, Reply, Server},
    rig::{Rig, uid},
    wait::until,
};

fn alertmanager() -> Option<(FarSide, String)> {
    let port = free_port();
    let server = start("prometheus-alertmanager", port, |directory| {
        let config = directory.join("alertmanager.yml");
        std::fs::write(&config, "route: {receiver: none}\nreceivers: [{name: none}]\n").unwrap();
        vec![
            format!("--config.file={}", config.display()),
            format!("--storage.path={}", directory.join("data").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--cluster.listen-address=".to_owned(),
        ]
    })?;
    Some((server, format!("http://127.0.0.1:{port}")))
}

#[tokio::test]
async fn alerts_fire_in_alertmanager() {
    let Some((_server, url)) = alertmanager() else { return };
    let settings = format!("alertmanager:\n  url: {url}\n  labels: {{cluster: east}}\n  resolveAfter: 10m\n");
    let rig = Rig::start(&settings).await;
    rig.append(0..3).await;
    rig.settled(3).await;
    let alerts: Vec<Value> = until("the alert fires", async || {
        let answer = get(&format!("{url}/api/v2/alerts")).await;
        let alerts: Vec<Value> = serde_json::from_str(&answer).unwrap();
        Some(alerts).filter(|alerts| !alerts.is_empty())
    })
    .await;
    // The same rule, policy, node and container: one alert, with the newest annotations.
    assert_eq!(alerts.len(), 1);
    let labels = &alerts[0]["labels"];
    let expected = [
        ("alertname", "Scan, then a way out"),
        ("cluster", "east"),
        ("severity", "critical"),
        ("node", "n7"),
        ("namespace", "shop"),
        ("pod", "web-5c9-x"),
        ("policy", "web-baseline"),
    ];
    for (name, value) in expected {
        assert_eq!(labels[name], value, "{name}");
    }
    assert_eq!(alerts[0]["annotations"]["uid"], uid(2).as_str());
    assert_eq!(alerts[0]["status"]["state"], "active");
}

/// A request without a library: the answer's body, of one that closes.
async fn get(url: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (host, path) = url.trim_start_matches("http://").split_once('/').unwrap();
    let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
    let request = format!("GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[tokio::test]
async fn refused_alerts_are_found_and_faults_waited_for() {
    let mut first = true;
    let server = Server::start(move |asked: &Asked| {
        if std::mem::take(&mut first) {
            return Reply::Status(500, "starting".to_owned());
        }
        let alerts = asked.json();
        let bad =
            alerts.as_array().unwrap().iter().any(|alert| alert["annotations"]["uid"] == uid(1).as_str());
        Reply::Status(if bad { 400 } else { 200 }, "bad label".to_owned())
    })
    .await;
    let rig = Rig::start(&format!("alertmanager: {{url: 'http://{}'}}\n", server.address)).await;
    rig.append(0..3).await;
    let status = rig.settled(3).await;
    assert_eq!((status.delivered, status.refused), (2, 1));
    assert_eq!(server.asked()[0].path, "/api/v2/alerts");
}
