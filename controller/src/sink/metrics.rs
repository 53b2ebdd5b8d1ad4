//! Metrics of the sinks. The only label is the sink's name, and there are only as many as there are sinks.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

/// The label.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfSink {
    sink: String,
}

type NewHistogram = fn() -> Histogram;

/// The metrics of all sinks.
#[derive(Clone, Debug)]
pub struct Metrics {
    delivered: Family<OfSink, Counter>,
    refused: Family<OfSink, Counter>,
    retried: Family<OfSink, Counter>,
    skipped: Family<OfSink, Counter>,
    retrying: Family<OfSink, Gauge>,
    lag: Family<OfSink, Gauge<u64, AtomicU64>>,
    seconds: Family<OfSink, Histogram, NewHistogram>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            delivered: Family::default(),
            refused: Family::default(),
            retried: Family::default(),
            skipped: Family::default(),
            retrying: Family::default(),
            lag: Family::default(),
            // 1 ms to 33 s.
            seconds: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.001, 2.0, 16))),
        }
    }
}

impl Metrics {
    /// Adds them to a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("sink_delivered", "Alerts that the far side has", self.delivered.clone());
        registry.register("sink_refused", "Alerts parked as dead letters", self.refused.clone());
        registry.register(
            "sink_retried",
            "Attempts after which something had to be sent again",
            self.retried.clone(),
        );
        registry.register("sink_skipped", "Alerts of too low a priority for the sink", self.skipped.clone());
        registry.register("sink_retrying", "1 while the last attempt has failed", self.retrying.clone());
        registry.register("sink_lag", "Alerts of the log that the sink does not have yet", self.lag.clone());
        registry.register("sink_send_seconds", "How long one attempt takes", self.seconds.clone());
    }

    /// Those of one sink.
    pub(super) fn of(&self, sink: &str) -> SinkMetrics {
        let label = OfSink { sink: sink.to_owned() };
        SinkMetrics {
            delivered: self.delivered.get_or_create_owned(&label),
            refused: self.refused.get_or_create_owned(&label),
            retried: self.retried.get_or_create_owned(&label),
            skipped: self.skipped.get_or_create_owned(&label),
            retrying: self.retrying.get_or_create_owned(&label),
            lag: self.lag.get_or_create_owned(&label),
            seconds: self.seconds.get_or_create_owned(&label),
        }
    }

    /// A sink is no more.
    pub(super) fn forget(&self, sink: &str) {
        let label = OfSink { sink: sink.to_owned() };
        self.delivered.remove(&label);
        self.refused.remove(&label);
        self.retried.remove(&label);
        self.skipped.remove(&label);
        self.retrying.remove(&label);
        self.lag.remove(&label);
        self.seconds.remove(&label);
    }
}

/// The metrics of one sink.
#[derive(Clone, Debug)]
pub(super) struct SinkMetrics {
    pub(super) delivered: Counter,
    pub(super) refused: Counter,
    pub(super) retried: Counter,
    pub(super) skipped: Counter,
    pub(super) retrying: Gauge,
    pub(super) lag: Gauge<u64, AtomicU64>,
    pub(super) seconds: Histogram,
}
