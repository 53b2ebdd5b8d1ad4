//! Alerts of about 2 KiB, as varied as real ones: the same words, other numbers.

use std::time::SystemTime;

use bytes::Bytes;
use vedette_proto::v1;

/// What is replaced by a random digit of base 16.
const HEX: u8 = b'~';
/// What is replaced by a random digit of base 10, where a number may not begin with 0 by one from 1 on.
const DIGIT: u8 = b'^';
/// How many ancestors the process has.
const ANCESTORS: usize = 6;

/// Makes the alerts of one node.
pub struct Alerts {
    template: Vec<u8>,
    random: fastrand::Rng,
}

impl Alerts {
    /// For this node.
    pub fn new(node: &str, seed: u64) -> Self {
        Self { template: template(node).into_bytes(), random: fastrand::Rng::with_seed(seed) }
    }

    /// The next one.
    pub fn next(&mut self, sequence: u64) -> v1::Alert {
        let mut json = self.template.clone();
        for byte in &mut json {
            match *byte {
                HEX => *byte = b"0123456789abcdef"[usize::from(self.random.u8(..16))],
                DIGIT => *byte = b'1' + self.random.u8(..9),
                _ => {}
            }
        }
        let uid = String::from_utf8_lossy(&json[UID.len()..UID.len() + 36]).into_owned();
        v1::Alert {
            uid,
            sequence,
            time: Some(SystemTime::now().into()),
            rule: "Sensitive file opened".into(),
            priority: v1::Priority::Warning.into(),
            json: Bytes::from(json),
        }
    }
}

/// What stands before the uid, so that it is found without a search.
const UID: &str = r#"{"uid":""#;

fn template(node: &str) -> String {
    let user = r#"{"uid":1000,"name":"ada","gid":1000,"group":"ada","euid":1000,"egid":1000,"loginuid":1000,"loginname":"ada"}"#;
    let ancestor = format!(
        r#"{{"pid":^^^^^^,"id":"^^^^^^:^^^^^^^^^^^^","name":"bash","exe":"/usr/bin/bash","exe_path":"/usr/bin/bash","cmdline":"bash -c ~~~~~~~~","cwd":"/srv/app","user":{user},"start":"2026-11-24T05:1^:1^.^^^^^^^^^Z"}}"#
    );
    let ancestors = vec![ancestor; ANCESTORS].join(",");
    format!(
        r#"{UID}~~~~~~~~-~~~~-5~~~-9~~~-~~~~~~~~~~~~","time":"2026-11-24T05:4^:1^.^^^^^^^^^Z","rule":"Sensitive file opened","priority":"Warning","source":"syscall","hostname":"{node}","output":"Sensitive file opened for reading (file=/etc/shadow process=cat command=cat ~~~~~~~~)","tags":["host","T1003.008"],"output_fields":{{"fd.name":"/etc/shadow","proc.name":"cat","proc.pid":^^^^^^}},"action":{{"requested":"Alert","taken":"Alert"}},"process":{{"pid":^^^^^^,"id":"^^^^^^:^^^^^^^^^^^^","name":"cat","exe_path":"/usr/bin/cat","cmdline":"cat ~~~~~~~~","user":{user},"start":"2026-11-24T05:1^:1^.^^^^^^^^^Z","ancestors":[{ancestors}]}},"event":{{"type":"file_open","number":^^^^^^}}}}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_differ_and_are_json() {
        let mut alerts = Alerts::new("n1", 7);
        let (one, two) = (alerts.next(1), alerts.next(2));
        assert_ne!(one.uid, two.uid);
        let json: serde_json::Value = serde_json::from_slice(&one.json).unwrap_or_default();
        assert_eq!(json["uid"], one.uid);
        assert!((1_500..3_500).contains(&one.json.len()), "{}", one.json.len());
    }
}
