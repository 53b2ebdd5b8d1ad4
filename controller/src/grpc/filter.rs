//! Which alerts somebody wants to see.

use std::borrow::Cow;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use tonic::Status;
use vedette_proto::v1;

use super::timestamp;
use crate::alert_log::{Entry, Position};

/// Most values of each list of a filter.
const VALUES: usize = 256;

/// What a filter looks at, of an alert's JSON.
#[derive(Deserialize)]
struct Looked<'a> {
    #[serde(borrow, default)]
    rule: Cow<'a, str>,
    #[serde(borrow, default)]
    priority: Cow<'a, str>,
    #[serde(borrow, default)]
    k8s: Option<Kubernetes<'a>>,
}

#[derive(Deserialize)]
struct Kubernetes<'a> {
    #[serde(borrow, default)]
    namespace: Cow<'a, str>,
    #[serde(borrow, default)]
    pod: Cow<'a, str>,
}

/// A filter that was looked through.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    filter: v1::AlertFilter,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Filter {
    /// Looks a filter through.
    ///
    /// # Errors
    /// A time or priority is none, or there are too many values.
    pub fn new(filter: Option<v1::AlertFilter>) -> Result<Self, Status> {
        let filter = filter.unwrap_or_default();
        let lists = [&filter.rules, &filter.nodes, &filter.namespaces, &filter.pods];
        if lists.iter().any(|list| list.len() > VALUES) {
            return Err(Status::invalid_argument(format!("a filter has at most {VALUES} values of a kind")));
        }
        if v1::Priority::try_from(filter.at_least).is_err() {
            return Err(Status::invalid_argument("that is no priority"));
        }
        let time = |time: Option<prost_types::Timestamp>| {
            let convert = |time: prost_types::Timestamp| {
                Timestamp::new(time.seconds, time.nanos)
                    .map_err(|_| Status::invalid_argument("that is no time"))
            };
            time.map(convert).transpose()
        };
        Ok(Self { since: time(filter.since)?, until: time(filter.until)?, filter })
    }

    /// The alert, if it is wanted.
    pub fn apply(&self, position: Position, entry: &Entry) -> Option<v1::TailResponse> {
        if self.since.is_some_and(|since| entry.time < since)
            || self.until.is_some_and(|until| entry.time >= until)
        {
            return None;
        }
        let one_of = |list: &[String], value: &str| list.is_empty() || list.iter().any(|one| one == value);
        if !one_of(&self.filter.nodes, &entry.node) {
            return None;
        }
        let looked: Looked<'_> = serde_json::from_slice(&entry.json).ok()?;
        let priority = priority(&looked.priority);
        let least = self.filter.at_least;
        if least != 0 && (priority == v1::Priority::Unspecified || priority as i32 > least) {
            return None;
        }
        if !one_of(&self.filter.rules, &looked.rule) {
            return None;
        }
        let namespace = looked.k8s.as_ref().map_or("", |k8s| &*k8s.namespace);
        let pod = looked.k8s.as_ref().map_or("", |k8s| &*k8s.pod);
        if !one_of(&self.filter.namespaces, namespace) || !one_of(&self.filter.pods, pod) {
            return None;
        }
        Some(v1::TailResponse {
            position,
            node: entry.node.to_string(),
            alert: Some(v1::Alert {
                uid: entry.uid.clone(),
                sequence: entry.sequence,
                time: Some(timestamp(entry.time)),
                rule: looked.rule.into_owned(),
                priority: priority.into(),
                // The log's own would keep the whole block that it is a part of.
                json: Bytes::copy_from_slice(&entry.json),
            }),
            missed: 0,
        })
    }
}

fn priority(name: &str) -> v1::Priority {
    let all = (1..=8).filter_map(|number| v1::Priority::try_from(number).ok());
    all.into_iter()
        .find(|priority| super::shed::priority_name(*priority).eq_ignore_ascii_case(name))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_given_must_hold() {
        let json = r#"{"rule":"Shell \"x\"","priority":"Warning","k8s":{"namespace":"shop","pod":"web-1"},"uid":"u"}"#;
        let entry = Entry {
            uid: "u".into(),
            node: "n1".into(),
            sequence: 5,
            time: "2026-01-01T00:00:00Z".parse().unwrap(),
            json: json.into(),
        };
        let keeps = |filter: v1::AlertFilter| Filter::new(Some(filter)).unwrap().apply(3, &entry).is_some();
        let time = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let at = entry.time.as_second();
        let list = |text: &str| vec![text.to_owned(), "other".to_owned()];
        let all = v1::AlertFilter {
            at_least: v1::Priority::Warning.into(),
            rules: list("Shell \"x\""),
            nodes: list("n1"),
            namespaces: list("shop"),
            pods: list("web-1"),
            since: time(at),
            until: time(at + 1),
        };
        assert!(keeps(v1::AlertFilter::default()) && keeps(all.clone()));
        assert!(!keeps(v1::AlertFilter { at_least: v1::Priority::Error.into(), ..all.clone() }));
        assert!(!keeps(v1::AlertFilter { rules: list("y"), ..all.clone() }));
        assert!(!keeps(v1::AlertFilter { nodes: list("n2"), ..all.clone() }));
        assert!(!keeps(v1::AlertFilter { namespaces: list("x"), ..all.clone() }));
        assert!(!keeps(v1::AlertFilter { pods: list("web-2"), ..all.clone() }));
        assert!(!keeps(v1::AlertFilter { since: time(at + 1), ..all.clone() }));
        assert!(!keeps(v1::AlertFilter { until: time(at), ..all.clone() }));
        assert!(Filter::new(Some(v1::AlertFilter { at_least: 99, ..all.clone() })).is_err());
        assert!(Filter::new(Some(v1::AlertFilter { rules: vec![String::new(); 1000], ..all })).is_err());
    }
}
