//! Prometheus metrics and health, over HTTP on an address of the operator's choice.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use http_body_util::Full;
use hyper::{Request, Response, StatusCode, body::Bytes, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text::encode},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};
use tokio::net::TcpListener;
use vedette_abi::Kind;

use crate::{identity::IdentityStats, sensor::Counters, spool::Figures, stats::Stats};

/// What is served.
pub struct Exposed {
    /// The user side's counters.
    pub stats: Arc<Stats>,
    /// Counters of look-ups about containers and pods.
    pub identity: Arc<IdentityStats>,
    /// Reads the kernel's books; `None` while they cannot be read.
    pub counters: Box<dyn Fn() -> Option<Counters> + Send + Sync>,
    /// By sink: written, dropped.
    pub sinks: Box<dyn Fn() -> Vec<SinkCount> + Send + Sync>,
    /// Programs attached, programs unavailable.
    pub programs: Box<dyn Fn() -> (usize, usize) + Send + Sync>,
    /// Rules loaded.
    pub rules: Box<dyn Fn() -> usize + Send + Sync>,
    /// How the way to the controller does, where there is one.
    pub uplink: Option<Box<dyn Fn() -> UplinkFigures + Send + Sync>>,
    /// Whether everything is attached.
    pub ready: AtomicBool,
}

/// How the way to the controller does.
pub struct UplinkFigures {
    /// What waits, and what was given up.
    pub spool: Figures,
    /// Whether alerts can be sent now.
    pub connected: bool,
    /// How often the stream of alerts was opened.
    pub connections: u64,
    /// How often it was lost, or could not be opened.
    pub failures: u64,
}

/// What a sink did.
pub struct SinkCount {
    /// Its name.
    pub name: String,
    /// Alerts written.
    pub written: u64,
    /// Alerts dropped.
    pub dropped: u64,
}

impl Exposed {
    /// The metrics in the OpenMetrics text format.
    ///
    /// # Errors
    /// None in practice: writing to a string does not fail.
    pub fn text(self: &Arc<Self>) -> Result<String, std::fmt::Error> {
        let mut registry = Registry::with_prefix("vedette");
        registry.register_collector(Box::new(Snapshot(Arc::clone(self))));
        let mut out = String::new();
        encode(&mut out, &registry)?;
        Ok(out)
    }

    fn answer(self: &Arc<Self>, path: &str) -> Response<Full<Bytes>> {
        let (status, body) = match path {
            "/metrics" => match self.text() {
                Ok(text) => (StatusCode::OK, text),
                Err(_) => {
                    (StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written\n".to_owned())
                }
            },
            "/healthz" => (StatusCode::OK, "ok\n".to_owned()),
            "/readyz" if self.ready.load(Relaxed) => (StatusCode::OK, "ready\n".to_owned()),
            "/readyz" => (StatusCode::SERVICE_UNAVAILABLE, "starting\n".to_owned()),
            _ => (StatusCode::NOT_FOUND, "there are /metrics, /healthz and /readyz\n".to_owned()),
        };
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = status;
        response.headers_mut().insert(
            hyper::header::CONTENT_TYPE,
            hyper::header::HeaderValue::from_static(
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            ),
        );
        response
    }
}

/// Reads everything at the moment it is asked, so that one answer is about one moment.
struct Snapshot(Arc<Exposed>);

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Snapshot")
    }
}

/// One family while it is written.
struct Family<'a, 'e> {
    encoder: &'a mut DescriptorEncoder<'e>,
    name: &'static str,
    help: &'static str,
    kind: MetricType,
}

impl Family<'_, '_> {
    fn rows<L: EncodeLabelSet>(self, rows: impl IntoIterator<Item = (L, u64)>) -> std::fmt::Result {
        let mut family = self.encoder.encode_descriptor(self.name, self.help, None, self.kind)?;
        for (labels, value) in rows {
            let row = family.encode_family(&labels)?;
            match self.kind {
                MetricType::Gauge => ConstGauge::new(value as i64).encode(row)?,
                _ => ConstCounter::new(value).encode(row)?,
            }
        }
        Ok(())
    }

    fn one(self, value: u64) -> std::fmt::Result {
        let family = self.encoder.encode_descriptor(self.name, self.help, None, self.kind)?;
        match self.kind {
            MetricType::Gauge => ConstGauge::new(value as i64).encode(family),
            _ => ConstCounter::new(value).encode(family),
        }
    }
}

fn counter<'a, 'e>(
    encoder: &'a mut DescriptorEncoder<'e>,
    name: &'static str,
    help: &'static str,
) -> Family<'a, 'e> {
    Family { encoder, name, help, kind: MetricType::Counter }
}

fn gauge<'a, 'e>(
    encoder: &'a mut DescriptorEncoder<'e>,
    name: &'static str,
    help: &'static str,
) -> Family<'a, 'e> {
    Family { encoder, name, help, kind: MetricType::Gauge }
}

fn by_kind(value: impl Fn(Kind) -> u64) -> impl Iterator<Item = ([(&'static str, &'static str); 1], u64)> {
    Kind::ALL.iter().map(move |kind| ([("kind", kind.name())], value(*kind)))
}

impl Collector for Snapshot {
    #[rustfmt::skip] // one metric a line reads as the table it is
    fn encode(&self, mut e: DescriptorEncoder<'_>) -> std::fmt::Result {
        let e = &mut e;
        let stats = &self.0.stats;
        if let Some(counters) = (self.0.counters)() {
            counter(e, "events_produced", "Events that passed the filter in the kernel: delivered, dropped or in flight")
                .rows(by_kind(|k| counters.of(k).produced))?;
            counter(e, "events_filtered", "Events that no loaded policy wants, dropped in the kernel")
                .rows(by_kind(|k| counters.of(k).filtered))?;
            let dropped = Kind::ALL.iter().flat_map(|kind| {
                let count = counters.of(*kind);
                [("ring", count.ring_full), ("probe", count.errors)]
                    .map(|(stage, n)| ([("kind", kind.name()), ("stage", stage)], n))
            });
            counter(e, "events_dropped", "Events lost, by the stage that lost them").rows(dropped)?;
            counter(e, "probe_missed_runs", "Runs that the kernel skipped because the program was running on that CPU already")
                .one(counters.missed_runs)?;
        }
        counter(e, "events_delivered", "Records that reached the engine").rows(by_kind(|k| stats.delivered(k)))?;
        counter(e, "events_undecodable", "Records that the decoder refused").one(stats.undecodable.load(Relaxed))?;
        counter(e, "gaps", "Gaps that the kernel reported").one(stats.gaps.load(Relaxed))?;
        counter(e, "gap_records", "Records that gaps reported as lost").one(stats.gap_lost.load(Relaxed))?;
        counter(e, "rule_matches", "Matches of rules").one(stats.matches.load(Relaxed))?;
        counter(e, "alerts", "Alerts handed to the sinks").one(stats.alerts.load(Relaxed))?;
        gauge(e, "processes", "Processes in the table, ended ones that are still referred to included").one(stats.processes.load(Relaxed))?;
        counter(e, "processes_evicted", "Processes evicted because the table was full").one(stats.evicted.load(Relaxed))?;
        counter(e, "processes_unknown", "Events of processes that were not known").one(stats.unknown_processes.load(Relaxed))?;
        counter(e, "processes_healed", "Processes read from /proc after a loss").one(stats.healed.load(Relaxed))?;
        counter(e, "process_table_comparisons", "Comparisons of the process table with /proc after a loss of process state").one(stats.sweeps.load(Relaxed))?;
        counter(e, "processes_ended_unseen", "Processes whose end only such a comparison told").one(stats.sweep_ended.load(Relaxed))?;
        gauge(e, "cgroups", "Control groups in the table").one(stats.cgroups.load(Relaxed))?;
        let identity = &self.0.identity;
        counter(e, "containers_asked", "Containers that runtimes were asked about").one(identity.asked.load(Relaxed))?;
        counter(e, "containers_described", "Containers that a runtime knew").one(identity.described.load(Relaxed))?;
        counter(e, "containers_unknown", "Containers that no runtime knew").one(identity.unknown.load(Relaxed))?;
        counter(e, "containers_late", "Containers whose metadata did not come in time").one(identity.late.load(Relaxed))?;
        counter(e, "container_runtime_errors", "Calls to container runtimes that failed").one(identity.errors.load(Relaxed))?;
        counter(e, "pod_changes", "Changes of pods that the API server told of").one(identity.pod_events.load(Relaxed))?;
        counter(e, "pod_errors", "Failures of the API server").one(identity.pod_errors.load(Relaxed))?;
        gauge(e, "pods", "Pods of this node that are known").one(identity.pods.load(Relaxed))?;
        counter(e, "events_held", "Events that waited for the metadata of their container").one(stats.held.load(Relaxed))?;
        counter(e, "events_held_gave_up", "Events that waited and were evaluated without the metadata").one(stats.held_gave_up.load(Relaxed))?;
        counter(e, "events_held_refused", "Events that found no room to wait").one(stats.held_refused.load(Relaxed))?;
        counter(e, "policy_reloads", "Policy reloads that succeeded").one(stats.reloads.load(Relaxed))?;
        counter(e, "policy_reload_failures", "Policy reloads that failed; the old policies stayed").one(stats.reload_failures.load(Relaxed))?;
        counter(e, "engine_busy_nanoseconds", "Time the engine worked").one(stats.busy_ns.load(Relaxed))?;
        gauge(e, "rules", "Rules loaded").one((self.0.rules)() as u64)?;
        let (attached, unavailable) = (self.0.programs)();
        gauge(e, "programs_attached", "BPF programs that run").one(attached as u64)?;
        gauge(e, "programs_unavailable", "BPF programs that this kernel does not take").one(unavailable as u64)?;
        let sinks = (self.0.sinks)();
        counter(e, "sink_written", "Alerts written, by sink").rows(sinks.iter().map(|s| ([("sink", s.name.as_str())], s.written)))?;
        counter(e, "sink_dropped", "Alerts that a sink could not take").rows(sinks.iter().map(|s| ([("sink", s.name.as_str())], s.dropped)))?;
        match &self.0.uplink {
            Some(uplink) => encode_uplink(e, &uplink()),
            None => Ok(()),
        }
    }
}

#[rustfmt::skip] // as above
fn encode_uplink(e: &mut DescriptorEncoder<'_>, figures: &UplinkFigures) -> std::fmt::Result {
    let spool = &figures.spool;
    gauge(e, "spool_bytes", "Bytes of the spool's files").one(spool.bytes)?;
    gauge(e, "spool_alerts", "Alerts that wait for the controller").one(spool.waiting)?;
    let shed = PRIORITY_NAMES.iter().zip(spool.shed).map(|(name, count)| ([("priority", *name)], count));
    counter(e, "spool_alerts_shed", "Alerts that the spool gave up, by priority").rows(shed)?;
    counter(e, "spool_errors", "Failures of the disk under the spool").one(spool.errors)?;
    counter(e, "spool_corrupt", "Records of the spool that were not as written").one(spool.corrupt)?;
    counter(e, "uplink_alerts_acknowledged", "Alerts that the controller has").one(spool.arrived)?;
    gauge(e, "uplink_connected", "1 while alerts can be sent to the controller").one(figures.connected.into())?;
    counter(e, "uplink_reconnects", "How often the stream of alerts was opened again")
        .one(figures.connections.saturating_sub(1))?;
    counter(e, "uplink_failures", "How often the stream of alerts was lost or could not be opened").one(figures.failures)
}

/// Priorities as alerts have them, the most urgent first.
const PRIORITY_NAMES: [&str; 8] =
    ["Emergency", "Alert", "Critical", "Error", "Warning", "Notice", "Informational", "Debug"];

/// Connections served at once; more wait in the listener's queue.
const CONNECTIONS: usize = 16;

/// Longest time for one connection.
const CONNECTION_TIME: std::time::Duration = std::time::Duration::from_secs(10);

/// Opens the address.
///
/// # Errors
/// It is taken or not ours.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Serves until the task is dropped.
pub async fn serve(listener: TcpListener, exposed: Arc<Exposed>) {
    let slots = Arc::new(tokio::sync::Semaphore::new(CONNECTIONS));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection to the metrics address could not be accepted");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            }
        };
        let exposed = Arc::clone(&exposed);
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let response = exposed.answer(request.uri().path());
                async move { Ok::<_, Infallible>(response) }
            });
            let connection =
                http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
            // A client that goes away or dawdles is its own affair.
            let _ = tokio::time::timeout(CONNECTION_TIME, connection).await;
            drop(slot);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_the_controller_is_in_the_metrics() {
        let uplink = || UplinkFigures {
            spool: Figures {
                bytes: 9000,
                waiting: 7,
                shed: [0, 0, 0, 0, 3, 0, 0, 5],
                arrived: 40,
                errors: 2,
                corrupt: 1,
                ..Figures::default()
            },
            connected: true,
            connections: 3,
            failures: 4,
        };
        let exposed = Exposed {
            stats: Arc::default(),
            identity: Arc::default(),
            counters: Box::new(|| None),
            sinks: Box::new(Vec::new),
            programs: Box::new(|| (0, 0)),
            rules: Box::new(|| 0),
            uplink: Some(Box::new(uplink)),
            ready: true.into(),
        };
        let text = Arc::new(exposed).text().unwrap();
        for line in [
            "vedette_spool_bytes 9000",
            "vedette_spool_alerts 7",
            "vedette_spool_alerts_shed_total{priority=\"Warning\"} 3",
            "vedette_spool_alerts_shed_total{priority=\"Debug\"} 5",
            "vedette_spool_errors_total 2",
            "vedette_spool_corrupt_total 1",
            "vedette_uplink_alerts_acknowledged_total 40",
            "vedette_uplink_connected 1",
            "vedette_uplink_reconnects_total 2",
            "vedette_uplink_failures_total 4",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }
}
