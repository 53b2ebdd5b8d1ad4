//! A real rsyslog that takes TLS and wants a certificate.

use std::path::Path;

use crate::{
    far_side::{FarSide, free_port, libraries, start},
    rig::{Rig, uid},
    tls::Authority,
    wait::until,
};

fn rsyslog(port: u16, authority: &Authority) -> Option<FarSide> {
    start("rsyslogd", port, |directory| {
        let path = |name: &str| authority.path(name).display().to_string();
        let config = format!(
            r#"
            global(workDirectory="{directory}"
                maxMessageSize="128k"
                defaultNetstreamDriver="ossl"
                defaultNetstreamDriverCAFile="{}"
                defaultNetstreamDriverCertFile="{}"
                defaultNetstreamDriverKeyFile="{}")
            module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="x509/certvalid")
            template(name="parts" type="string"
                string="%pri% %timereported:::date-rfc3339% %hostname% %app-name% %msg%\n")
            input(type="imtcp" address="127.0.0.1" port="{port}")
            action(type="omfile" file="{directory}/out" template="parts")
            "#,
            path("ca.pem"),
            path("server.pem"),
            path("server.key"),
            directory = directory.display(),
        );
        let file = directory.join("rsyslog.conf");
        std::fs::write(&file, config).unwrap();
        let text = |path: &Path| path.display().to_string();
        ["-n", "-f", &text(&file), "-i", &text(&directory.join("pid")), "-M", &libraries("/rsyslog")]
            .map(str::to_owned)
            .to_vec()
    })
}

#[tokio::test]
async fn alerts_arrive_at_rsyslog_over_tls() {
    let authority = Authority::new();
    let port = free_port();
    let Some(server) = rsyslog(port, &authority) else { return };
    let settings = format!("syslog:\n  address: localhost:{port}\n  tls: {}\n", authority.settings(true));
    let rig = Rig::start(&settings).await;
    rig.append(0..200).await;
    rig.settled(200).await;
    let out = until("rsyslog has written them", async || {
        let out = std::fs::read_to_string(server.directory.path().join("out")).unwrap_or_default();
        Some(out).filter(|out| out.lines().count() >= 200)
    })
    .await;
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 200, "{}", server.log());
    for (number, line) in (0..).zip(lines) {
        let (header, json) = line.split_at(line.find('{').unwrap());
        assert_eq!(header.trim_end(), "106 2026-11-24T05:40:34.123456Z n7.example.org vedette", "{line}");
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(json["uid"], uid(number).as_str());
    }
}
