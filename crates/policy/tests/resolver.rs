//! Host names in rules are asked of the resolver by address; an event never causes a look-up.

#![allow(clippy::unwrap_used)]

#[path = "support/common.rs"]
mod common;

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::json;
use vedette_policy::resolve::Resolver;
use vedette_policy::{Evaluator, MapFacts};

#[derive(Debug)]
struct Known;

impl Resolver for Known {
    fn is_host(&self, host: &str, address: IpAddr) -> bool {
        host == "pool.example" && address == IpAddr::from([192, 0, 2, 7])
    }
}

#[test]
fn by_address() {
    let rule = |condition: &str| {
        format!(
            "- rule: r\n  desc: d\n  condition: evt.type = connect and {condition}\n  output: o\n  priority: Info\n"
        )
    };
    let matches = |condition: &str, address: &str| {
        let set = common::load(&rule(condition)).set.unwrap();
        assert_eq!(set.needs().hosts, ["other.example", "pool.example"]);
        let mut evaluator = Evaluator::new(set).with_resolver(Arc::new(Known));
        let event = json!({"evt.type": "connect", "fd.sip": address});
        let facts =
            MapFacts::from_json(event.as_object().unwrap().iter().map(|(k, v)| (k.as_str(), v))).unwrap();
        let mut matched = false;
        evaluator.evaluate(&facts, |_| matched = true);
        matched
    };
    let named = "fd.sip.name in (pool.example, other.example)";
    assert!(matches(named, "192.0.2.7") && matches(named, "::ffff:192.0.2.7"));
    assert!(!matches(named, "192.0.2.8"));
    let not_named = "fd.sip.name != pool.example and fd.sip.name != other.example";
    assert!(!matches(not_named, "192.0.2.7") && matches(not_named, "192.0.2.8"));
}
