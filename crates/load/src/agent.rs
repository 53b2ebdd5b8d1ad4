//! A simulated agent: it says hello, takes bundles and says that it runs them, and sends alerts, a few batches before
//! the first is acknowledged. What is not acknowledged when a connection ends is sent again on the next one.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail};
use prost::Message as _;
use ring::digest::{SHA256, digest};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use vedette_proto::v1::{
    self, agent_service_client::AgentServiceClient, alert_service_client::AlertServiceClient,
    policy_service_client::PolicyServiceClient, push_request, watch_request,
};

use crate::{
    alert::Alerts,
    connect::{Calls, Target},
};

/// Batches on their way, as a real agent has them.
const WINDOW: usize = 4;
/// Most alerts of a batch of a backlog, as of a real agent.
const BATCH: usize = 500;
/// How often an agent says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// Longest time for a connection to come up; a real agent waits as long for TCP and TLS alone.
const PATIENCE: Duration = Duration::from_secs(60);
/// First and longest wait after a failure.
const WAITS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// What all agents are to do.
#[derive(Clone)]
pub struct Command {
    /// Ends the connections.
    pub cut: CancellationToken,
    /// Alerts that each has had no connection for, when it connects again.
    pub backlog: usize,
    /// Alerts to be sent all the time.
    pub sending: Option<Sending>,
}

/// Alerts to be sent.
#[derive(Clone, Copy)]
pub struct Sending {
    /// When it begins and ends.
    pub time: (Instant, Instant),
    /// Alerts of a batch.
    pub batch: usize,
    /// Time between batches of one agent.
    pub interval: Duration,
}

/// What an agent tells.
pub enum Event {
    /// It is connected, has its policies, and may send alerts.
    Up,
    /// Its connection failed, for this reason.
    Failed(String),
    /// It has said that it runs the policies of this round.
    Runs(u32, Instant),
    /// So many alerts were acknowledged so long after they were due.
    Acknowledged(usize, Duration),
    /// It has sent everything it had to.
    Sent,
}

/// What is the same for all agents.
pub struct Common {
    /// Where the controller is.
    pub target: Target,
    /// Where events go, with the number of the agent.
    pub events: mpsc::UnboundedSender<(usize, Event)>,
    /// What to do.
    pub command: watch::Receiver<Command>,
}

struct Batch {
    due: Instant,
    alerts: Vec<v1::Alert>,
}

/// An agent.
pub struct Agent {
    common: Arc<Common>,
    number: usize,
    node: String,
    token: String,
    random: fastrand::Rng,
    alerts: Alerts,
    sequence: u64,
    acknowledged: u64,
    pending: VecDeque<Batch>,
    flight: VecDeque<Batch>,
    /// The rounds of the documents that are known, by digest.
    rounds: HashMap<String, u32>,
    manifest: v1::Manifest,
    running: String,
    failures: u32,
}

/// The name and the token of an agent.
pub fn credentials(number: usize) -> (String, String) {
    (format!("load-{number}.example.org"), format!("token-of-agent-{number:08}"))
}

/// The channels of a session.
struct Streams {
    agents: AgentServiceClient<Calls>,
    status: mpsc::Sender<v1::WatchRequest>,
    bundles: tonic::Streaming<v1::WatchResponse>,
    batches: mpsc::Sender<v1::PushRequest>,
    answers: tonic::Streaming<v1::PushResponse>,
}

impl Agent {
    /// The agent of this number.
    pub fn new(common: Arc<Common>, number: usize) -> Self {
        let (node, token) = credentials(number);
        Self {
            alerts: Alerts::new(&node, number as u64),
            random: fastrand::Rng::with_seed(number as u64),
            common,
            number,
            node,
            token,
            sequence: 0,
            acknowledged: 0,
            pending: VecDeque::new(),
            flight: VecDeque::new(),
            rounds: HashMap::new(),
            manifest: v1::Manifest::default(),
            running: String::new(),
            failures: 0,
        }
    }

    fn tell(&self, event: Event) {
        // Nobody listens any more when everything ends.
        let _ = self.common.events.send((self.number, event));
    }

    /// Runs for ever.
    pub async fn run(mut self) {
        loop {
            let command = self.common.command.borrow().clone();
            let Err(error) = self.session(&command).await else { continue };
            while let Some(batch) = self.flight.pop_back() {
                self.pending.push_front(batch);
            }
            if command.cut.is_cancelled() {
                let backlog = self.common.command.borrow().backlog;
                self.fill(backlog);
                continue;
            }
            self.tell(Event::Failed(format!("{error:#}")));
            let most = WAITS.0.saturating_mul(1 << self.failures.min(10)).min(WAITS.1);
            self.failures += 1;
            sleep(most.mul_f64(self.random.f64())).await;
        }
    }

    fn fill(&mut self, mut count: usize) {
        while count > 0 {
            let some = count.min(BATCH);
            self.batch(some, Instant::now());
            count -= some;
        }
    }

    fn batch(&mut self, count: usize, due: Instant) {
        let alerts = (0..count).map(|_| {
            self.sequence += 1;
            self.alerts.next(self.sequence)
        });
        self.pending.push_back(Batch { due, alerts: alerts.collect() });
    }

    async fn session(&mut self, first: &Command) -> Result<()> {
        let opening = timeout(PATIENCE, self.open(&first.cut));
        let mut streams = opening.await.context("no connection in time")??;
        let mut commands = self.common.command.clone();
        let mut sending = first.sending;
        let mut due = self.first_due(sending);
        let mut finished = sending.is_none() && self.pending.is_empty();
        let (mut has_policies, mut may_send, mut up) = (false, false, false);
        let mut beat = Instant::now() + HEARTBEAT.mul_f64(self.random.f64());
        loop {
            let next = if self.pending.is_empty() { due } else { None };
            tokio::select! {
                () = first.cut.cancelled() => bail!("cut"),
                changed = commands.changed() => {
                    changed?;
                    let now = commands.borrow_and_update().sending;
                    if now.map(|s| s.time) != sending.map(|s| s.time) {
                        sending = now;
                        due = self.first_due(sending);
                        finished = sending.is_none();
                    }
                }
                bundle = streams.bundles.message() => {
                    let bundle = bundle?.ok_or_else(|| anyhow!("the stream of policies has ended"))?;
                    self.take(bundle, &streams.status).await?;
                    has_policies = true;
                }
                answer = streams.answers.message() => {
                    let answer = answer?.ok_or_else(|| anyhow!("the stream of alerts has ended"))?;
                    self.acknowledge(&answer);
                    may_send = true;
                }
                () = sleep_until(next.unwrap_or(beat)), if next.is_some() => {
                    if let (Some(at), Some(what)) = (due, sending) {
                        self.batch(what.batch, at);
                        due = Some(at + what.interval).filter(|at| *at < what.time.1);
                    }
                }
                () = sleep_until(beat) => {
                    beat += HEARTBEAT;
                    let heartbeat = v1::HeartbeatRequest {
                        node: self.node.clone(),
                        running: self.running.clone(),
                        ..Default::default()
                    };
                    let mut agents = streams.agents.clone();
                    tokio::spawn(async move { agents.heartbeat(heartbeat).await.map(drop) });
                }
            }
            if has_policies && may_send && !up {
                up = true;
                self.failures = 0;
                self.tell(Event::Up);
            }
            if may_send {
                self.send(&streams.batches)?;
            }
            if !finished && due.is_none() && may_send && self.pending.is_empty() && self.flight.is_empty() {
                finished = true;
                self.tell(Event::Sent);
            }
        }
    }

    /// Each agent begins at another time of the interval.
    fn first_due(&mut self, sending: Option<Sending>) -> Option<Instant> {
        sending.map(|what| what.time.0 + what.interval.mul_f64(self.random.f64()))
    }

    async fn open(&self, cut: &CancellationToken) -> Result<Streams> {
        let calls = self.common.target.connect(&self.token, cut).await?;
        let origin = &self.common.target.origin;
        let mut agents = AgentServiceClient::with_origin(calls.clone(), origin.clone());
        let hello = v1::HelloRequest {
            node: self.node.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            kernel: "6.12.0".into(),
            architecture: "x86_64".into(),
            ..Default::default()
        };
        agents.hello(hello).await.context("Hello")?;
        let hello = v1::WatchHello {
            node: self.node.clone(),
            running: self.running.clone(),
            documents: self.manifest.documents.iter().map(|document| document.digest.clone()).collect(),
            serial: self.manifest.serial,
        };
        let (status, statuses) = mpsc::channel(2);
        status.try_send(v1::WatchRequest { message: Some(watch_request::Message::Hello(hello)) })?;
        let watch = PolicyServiceClient::with_origin(calls.clone(), origin.clone())
            .max_decoding_message_size(64 << 20)
            .watch(ReceiverStream::new(statuses))
            .await
            .context("Watch")?;
        let hello = v1::PushHello { node: self.node.clone(), spool: "load".into(), oldest: 1 };
        let (batches, requests) = mpsc::channel(WINDOW + 1);
        batches.try_send(v1::PushRequest { message: Some(push_request::Message::Hello(hello)) })?;
        let push = AlertServiceClient::with_origin(calls, origin.clone())
            .push(ReceiverStream::new(requests))
            .await
            .context("Push")?;
        Ok(Streams { agents, status, bundles: watch.into_inner(), batches, answers: push.into_inner() })
    }

    /// Takes a bundle and says that it runs.
    async fn take(
        &mut self,
        bundle: v1::WatchResponse,
        status: &mpsc::Sender<v1::WatchRequest>,
    ) -> Result<()> {
        for document in bundle.documents {
            let round = crate::policy::round(&document.content);
            self.rounds.insert(document.digest, round);
        }
        let manifest = v1::Manifest::decode(&*bundle.manifest)?;
        if let Some(missing) = manifest.documents.iter().find(|d| !self.rounds.contains_key(&d.digest)) {
            bail!("the document {} was not sent", missing.name);
        }
        let round = manifest.documents.iter().map(|document| self.rounds[&document.digest]).max();
        self.rounds.retain(|digest, _| manifest.documents.iter().any(|document| document.digest == *digest));
        self.running =
            digest(&SHA256, &bundle.manifest).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let policies = manifest.documents.iter().map(|document| v1::PolicyStatus {
            document: document.name.clone(),
            generation: document.generation,
            ..Default::default()
        });
        let said = v1::BundleStatus {
            digest: self.running.clone(),
            accepted: true,
            error: String::new(),
            running: self.running.clone(),
            policies: policies.collect(),
        };
        self.manifest = manifest;
        status.send(v1::WatchRequest { message: Some(watch_request::Message::Status(said)) }).await?;
        self.tell(Event::Runs(round.unwrap_or_default(), Instant::now()));
        Ok(())
    }

    fn acknowledge(&mut self, answer: &v1::PushResponse) {
        self.acknowledged = self.acknowledged.max(answer.acknowledged);
        for queue in [&mut self.flight, &mut self.pending] {
            while let Some(batch) = queue.front()
                && batch.alerts.last().is_some_and(|last| last.sequence <= self.acknowledged)
            {
                let event = Event::Acknowledged(batch.alerts.len(), batch.due.elapsed());
                let _ = self.common.events.send((self.number, event));
                queue.pop_front();
            }
        }
    }

    fn send(&mut self, out: &mpsc::Sender<v1::PushRequest>) -> Result<()> {
        while self.flight.len() < WINDOW
            && let Some(batch) = self.pending.pop_front()
        {
            let sent = v1::PushBatch { alerts: batch.alerts.clone(), shed: Vec::new() };
            out.try_send(v1::PushRequest { message: Some(push_request::Message::Batch(sent)) })?;
            self.flight.push_back(batch);
        }
        Ok(())
    }
}
