//! An event that no rule matches costs no allocation.

#![allow(clippy::unwrap_used)]

#[path = "support/common.rs"]
mod common;

use serde_json::{Value as Json, json};
use vedette_policy::{Evaluator, MapFacts};

const RULES: &str = r#"
- list: shells
  items: [ash, bash, csh, ksh, sh, zsh, dash, fish]
- macro: opened
  condition: evt.type in (open, openat, openat2) and fd.typechar = f and fd.num >= 0
- rule: sets and prefixes
  desc: d
  condition: >
    opened and fd.name startswith anyof (/etc, /root/, /home/) and not proc.name in (shells)
    and not fd.name endswith anyof (.so, _history, .conf)
  output: "%fd.name"
  priority: Info
- rule: searches
  desc: d
  condition: >
    opened and (proc.cmdline contains curl or proc.cmdline icontains anyof (WGET, NCAT)
    or fd.name glob /proc/*/environ or fd.name regex "/tmp/[a-z]+[.]so" or basename(fd.name) = id_rsa)
  output: "%fd.name"
  priority: Info
- rule: ancestors and ends
  desc: d
  condition: >
    (evt.type = execve and proc.aname in (nginx, httpd) and proc.name = val(proc.pname))
    or (evt.type = connect and fd.net in (10.0.0.0/8, fd00::/8) and fd.port != 443)
  output: "%fd.name"
  priority: Info
"#;

fn facts(event: &Json) -> MapFacts {
    MapFacts::from_json(event.as_object().unwrap().iter().map(|(k, v)| (k.as_str(), v))).unwrap()
}

#[test]
fn no_match_no_allocation() {
    let open = |path: &str, command: &str| {
        json!({
            "evt.type": "openat", "fd.typechar": "f", "fd.num": 3, "fd.name": path, "proc.name": "cat",
            "proc.cmdline": command,
        })
    };
    let events = [
        open("/etc/ld.so.conf", "cat"),
        open("/tmp/Xx.so", "cat /tmp/Xx.so --with --many --words --so --that --it --is --long"),
        json!({"evt.type": "execve", "proc.name": "sh", "proc.aname": ["bash", "sshd", "systemd"]}),
        json!({"evt.type": "connect", "fd.cip": "10.0.0.1", "fd.sip": "9.9.9.9", "fd.cport": 443, "fd.sport": 443}),
        json!({"evt.type": "read"}),
    ];
    let events: Vec<_> = events.iter().map(facts).collect();
    let mut evaluator = Evaluator::new(common::load(RULES).set.unwrap());
    let mut matches = 0;
    let mut round = |evaluator: &mut Evaluator| {
        for event in &events {
            evaluator.evaluate(event, |_| matches += 1);
        }
    };
    // The first events make room that is kept.
    round(&mut evaluator);
    let measured = allocation_counter::measure(|| {
        for _ in 0..100 {
            round(&mut evaluator);
        }
    });
    assert_eq!(matches, 0);
    assert_eq!(measured.count_total, 0, "{measured:?}");
    // The same set does match: the events above were evaluated, not skipped.
    let mut matched = 0;
    evaluator.evaluate(&facts(&open("/etc/shadow", "cat")), |_| matched += 1);
    assert_eq!(matched, 1);
}
