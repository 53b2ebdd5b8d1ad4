//! The alert log in NATS JetStream, for several controllers at once.
//!
//! One stream has the alerts, a second one the cursors, the last of each sink. Positions are the stream's sequence numbers. The
//! server knows alerts that are sent again by their uid, within the stream's duplicate window; what comes again later
//! than that is there twice, and bears the same uid.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_nats::{
    Client, HeaderMap,
    header::NATS_MESSAGE_ID,
    jetstream::{
        self, ErrorCode,
        context::{PublishError, PublishErrorKind},
        message::StreamMessage,
        stream::{self, DiscardPolicy, LastRawMessageErrorKind, RetentionPolicy, State, Stream},
    },
};
use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream::iter};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, time::timeout};

use super::{AlertLog, Appended, Entry, LogError, Position, Usage};
use crate::sink::far_side::nats::{message_id, token};

/// How often it is looked whether another controller has appended something.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How many entries are asked for at once.
const AT_ONCE: usize = 64;
/// Most entries that one reading gives.
const MOST: usize = 1024;
/// Where the uid and the rest stand.
const META: &str = "Vedette-Meta";

/// How the log is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Name of the stream; that of the cursors is called like it, with `_cursors`. Both are made, if they are not there.
    pub stream: String,
    /// The first part of the subjects; the second is the node. Those of the cursors have `_cursors` between them.
    pub subject: String,
    /// Servers that each keep everything (1, 3 or 5).
    pub replicas: usize,
    /// Most bytes.
    pub limit: u64,
    /// What every sink has is kept until there are more bytes than these, for queries.
    pub keep_bytes: u64,
    /// For how long the server knows alerts that are sent again.
    pub remembered: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            stream: "vedette_alerts".to_owned(),
            subject: "vedette.alerts".to_owned(),
            replicas: 1,
            limit: 10 << 30,
            keep_bytes: 1 << 30,
            remembered: Duration::from_mins(30),
        }
    }
}

/// An alert log in JetStream.
pub struct JetStreamLog {
    options: Options,
    client: Client,
    jetstream: jetstream::Context,
    stream: Stream,
    cursors: Stream,
    /// What was appended here; other controllers append, too.
    last: watch::Sender<Position>,
    /// The cursors as they were last seen, so that none is written that has not moved.
    seen: Mutex<BTreeMap<String, Position>>,
    /// After the first of these there is, up to the second, nothing that is an alert: who waits waits for what is behind.
    barren: Mutex<(Position, Position)>,
}

#[derive(Serialize, Deserialize)]
struct Meta {
    uid: String,
    node: String,
    sequence: u64,
    time: Timestamp,
}

fn store(what: &str, error: impl std::error::Error) -> LogError {
    LogError::Store(format!("JetStream: {what}: {}", crate::sink::far_side::chain(&error)))
}

impl JetStreamLog {
    /// Opens the log, or makes it.
    ///
    /// # Errors
    /// The server has no JetStream, or the stream cannot be had with these options.
    pub async fn open(client: Client, options: Options) -> Result<Self, LogError> {
        let jetstream = jetstream::new(client.clone());
        let config = stream::Config {
            name: options.stream.clone(),
            subjects: vec![format!("{}.>", options.subject)],
            retention: RetentionPolicy::Limits,
            // Nothing goes before the sinks have it.
            discard: DiscardPolicy::New,
            max_bytes: i64::try_from(options.limit).unwrap_or(i64::MAX),
            duplicate_window: options.remembered,
            num_replicas: options.replicas,
            ..stream::Config::default()
        };
        let stream = jetstream.get_or_create_stream(config).await.map_err(|e| store("open the stream", e))?;
        let config = stream::Config {
            name: format!("{}_cursors", options.stream),
            subjects: vec![format!("{}_cursors.*", options.subject)],
            max_messages_per_subject: 1,
            num_replicas: options.replicas,
            ..stream::Config::default()
        };
        let cursors = jetstream
            .get_or_create_stream(config)
            .await
            .map_err(|e| store("open the stream of cursors", e))?;
        let last = stream.cached_info().state.last_sequence;
        let (last, seen) = (watch::Sender::new(last), Mutex::default());
        Ok(Self { options, client, jetstream, stream, cursors, last, seen, barren: Mutex::default() })
    }

    /// Up to where it is known that there is no alert after the position.
    fn barren_after(&self, after: Position) -> Position {
        let (from, to) = *self.barren.lock().unwrap_or_else(PoisonError::into_inner);
        if after >= from { after.max(to) } else { after }
    }

    fn cursor_of(&self, sink: &str) -> String {
        format!("{}_cursors.{sink}", self.options.subject)
    }

    async fn state(&self) -> Result<State, LogError> {
        let mut stream = self.stream.clone();
        let info = stream.info().await.map_err(|error| store("ask for the state", error))?;
        self.last.send_if_modified(|last| {
            let newer = info.state.last_sequence > *last;
            *last = info.state.last_sequence.max(*last);
            newer
        });
        Ok(info.state.clone())
    }

    async fn publish(&self, entries: &[Entry]) -> Result<Appended, Failure> {
        let mut acks = Vec::with_capacity(entries.len());
        for entry in entries {
            let meta = Meta {
                uid: entry.uid.clone(),
                node: entry.node.as_ref().to_owned(),
                sequence: entry.sequence,
                time: entry.time,
            };
            let meta = serde_json::to_string(&meta).map_err(|error| Failure::Other(error.to_string()))?;
            let mut headers = HeaderMap::new();
            headers.insert(NATS_MESSAGE_ID, &*message_id(&format!("{}/{}", entry.node, entry.uid)));
            headers.insert(META, meta.as_str());
            let subject = format!("{}.{}", self.options.subject, token(&entry.node));
            let sent = self.jetstream.publish_with_headers(subject, headers, entry.json.clone()).await;
            acks.push(sent.map_err(|error| Failure::of(&error))?);
        }
        let mut done = Appended::default();
        for ack in acks {
            let ack = ack.await.map_err(|error| Failure::of(&error))?;
            done.last = ack.sequence.max(done.last);
            if ack.duplicate {
                done.repeated += 1;
            } else {
                done.written += 1;
            }
        }
        Ok(done)
    }

    /// Up to where every sink has everything.
    async fn least(&self) -> Result<Option<Position>, LogError> {
        let mut least = None;
        for sink in self.sinks().await? {
            let cursor = self.cursor(&sink).await?.unwrap_or(0);
            least = Some(least.map_or(cursor, |least: Position| least.min(cursor)));
        }
        Ok(least)
    }

    /// Removes of what every sink has the oldest, until no more than so many bytes are there. Returns whether anything
    /// was removed.
    async fn shrink(&self, bytes: u64) -> Result<bool, LogError> {
        let state = self.state().await?;
        if state.bytes <= bytes || state.messages == 0 {
            return Ok(false);
        }
        let average = (state.bytes / state.messages).max(1);
        let surplus = (state.bytes - bytes).div_ceil(average);
        let kept = self.least().await?.map_or(state.last_sequence, |least| least.min(state.last_sequence));
        let first_kept = (state.first_sequence + surplus).min(kept + 1);
        if first_kept <= state.first_sequence {
            return Ok(false);
        }
        let purged = self.stream.purge().sequence(first_kept).await;
        purged.map(|purged| purged.purged > 0).map_err(|error| store("remove old alerts", error))
    }

    async fn entry(&self, position: Position) -> Result<Option<(Position, Entry)>, LogError> {
        // The leader of the stream answers: another server might not have it yet.
        match self.stream.get_raw_message(position).await {
            Ok(message) => Ok(Self::decode(position, message)),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(store("read", error)),
        }
    }

    fn decode(position: Position, message: StreamMessage) -> Option<(Position, Entry)> {
        let meta = message.headers.get(META).map(|value| serde_json::from_str::<Meta>(value.as_str()));
        let Some(Ok(meta)) = meta else {
            tracing::warn!(position, "the stream of alerts has something that is no alert of ours; left out");
            return None;
        };
        let Meta { uid, node, sequence, time } = meta;
        Some((position, Entry { uid, node: node.into(), sequence, time, json: message.payload }))
    }
}

/// Why something was not published.
enum Failure {
    Full,
    TooLarge,
    Other(String),
}

impl Failure {
    fn of(error: &PublishError) -> Self {
        let source = std::error::Error::source(error);
        let said = source.and_then(|source| source.downcast_ref::<jetstream::Error>());
        match error.kind() {
            PublishErrorKind::MaxPayloadExceeded => Self::TooLarge,
            _ if said.is_some_and(|said| said.error_code() == ErrorCode::STREAM_STORE_FAILED) => Self::Full,
            _ => Self::Other(crate::sink::far_side::chain(error)),
        }
    }
}

#[async_trait]
impl AlertLog for JetStreamLog {
    async fn append(&self, entries: Vec<Entry>) -> Result<Appended, LogError> {
        entries.iter().try_for_each(Entry::check)?;
        let mut done = self.publish(&entries).await;
        if matches!(done, Err(Failure::Full)) {
            let wanted: usize = entries.iter().map(|entry| entry.size() + 512).sum();
            if self.shrink(self.options.limit.saturating_sub(wanted as u64)).await? {
                done = self.publish(&entries).await;
            }
        }
        match done {
            Ok(done) => {
                self.last.send_if_modified(|last| {
                    let newer = done.last > *last;
                    *last = done.last.max(*last);
                    newer
                });
                Ok(done)
            }
            Err(Failure::Full) => {
                let used = self.state().await?.bytes;
                Err(LogError::Full { used, limit: self.options.limit })
            }
            Err(Failure::TooLarge) => {
                let size = entries.iter().map(|entry| entry.json.len()).max().unwrap_or_default();
                Err(LogError::TooLarge { part: "JSON", size, most: self.client.server_info().max_payload })
            }
            Err(Failure::Other(reason)) => Err(LogError::Store(format!("JetStream: {reason}"))),
        }
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<(Position, Entry)>, LogError> {
        let state = self.state().await?;
        let mut from = (self.barren_after(after) + 1).max(state.first_sequence);
        // Where something else is in the way, the next ones.
        while from <= state.last_sequence && state.messages > 0 {
            let to = (from + limit.min(MOST) as u64 - 1).min(state.last_sequence);
            let read = iter(from..=to).map(|position| self.entry(position)).buffered(AT_ONCE);
            let entries: Vec<_> = read.try_filter_map(async |entry| Ok(entry)).try_collect().await?;
            if !entries.is_empty() {
                return Ok(entries);
            }
            from = to + 1;
        }
        if state.last_sequence > after {
            *self.barren.lock().unwrap_or_else(PoisonError::into_inner) = (after, state.last_sequence);
        }
        Ok(Vec::new())
    }

    async fn wait(&self, after: Position) {
        let (mut last, after) = (self.last.subscribe(), self.barren_after(after));
        loop {
            if timeout(LOOK_EVERY, last.wait_for(|last| *last > after)).await.is_ok() {
                return;
            }
            // Who reads next is told what is wrong.
            if let Err(error) = self.state().await {
                tracing::debug!(%error, "the alert log cannot be asked");
            }
        }
    }

    async fn usage(&self) -> Result<Usage, LogError> {
        let state = self.state().await?;
        let some = state.messages > 0;
        Ok(Usage {
            first: if some { state.first_sequence } else { 0 },
            last: if some { state.last_sequence } else { 0 },
            bytes: state.bytes,
            limit: self.options.limit,
            damaged: 0,
        })
    }

    async fn cursor(&self, sink: &str) -> Result<Option<Position>, LogError> {
        let last = match self.cursors.get_last_raw_message_by_subject(&self.cursor_of(sink)).await {
            Ok(last) => last,
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => return Ok(None),
            Err(error) => return Err(store("read a cursor", error)),
        };
        let position = std::str::from_utf8(&last.payload).ok().and_then(|text| text.parse().ok());
        // Having an alert twice is better than not having it.
        Ok(Some(position.unwrap_or(0)))
    }

    async fn advance(&self, sink: &str, position: Position) -> Result<(), LogError> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(sink).copied();
        let known = match seen {
            Some(seen) => Some(seen),
            None => self.cursor(sink).await?,
        };
        if known.is_none_or(|known| position > known) {
            let value = position.to_string().into();
            let sent = self.jetstream.publish(self.cursor_of(sink), value).await;
            let ack = sent.map_err(|error| store("write a cursor", error))?;
            ack.await.map_err(|error| store("write a cursor", error))?;
        }
        let now = known.unwrap_or(0).max(position);
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(sink.to_owned(), now);
        if known.is_some_and(|known| position > known) {
            self.shrink(self.options.keep_bytes).await?;
        }
        Ok(())
    }

    async fn forget(&self, sink: &str) -> Result<(), LogError> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(sink);
        let purged = self.cursors.purge().filter(self.cursor_of(sink)).await;
        purged.map(|_| ()).map_err(|error| store("forget a sink", error))
    }

    async fn sinks(&self) -> Result<Vec<String>, LogError> {
        let all = self.cursor_of("*");
        let subjects = self.cursors.info_with_subjects(all).await;
        let subjects = subjects.map_err(|error| store("list the cursors", error))?;
        let subjects: Vec<(String, usize)> =
            subjects.try_collect().await.map_err(|error| store("list the cursors", error))?;
        let name = |subject: &str| subject.rsplit('.').next().unwrap_or_default().to_owned();
        let mut names: Vec<String> = subjects.iter().map(|(subject, _)| name(subject)).collect();
        names.sort();
        Ok(names)
    }

    async fn close(&self) {
        if let Err(error) = self.client.flush().await {
            tracing::warn!(%error, "not everything was sent to NATS");
        }
    }
}
