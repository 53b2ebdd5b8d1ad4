//! `AlertService`: takes alerts from agents, and shows them to people and tools.

use std::{collections::VecDeque, pin::Pin, sync::Arc};

use tokio::sync::{Semaphore, mpsc};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use vedette_proto::v1::{self, alert_service_server::AlertService, push_request::Message};

use super::{
    Counters,
    agents::{self, Registry},
    auth,
    filter::Filter,
    ingest::Ingest,
    push::Pusher,
    room::Taken,
};
use crate::{
    alert_log::{AlertLog, LogError, Position},
    config::Limits,
};

/// Entries that are read of the log at once.
const CHUNK: usize = 512;
/// Most alerts of a page.
const PAGE: usize = 1000;
/// Most bytes of the alerts of a page.
const PAGE_BYTES: usize = 3 << 20;
/// Entries that are looked at for one page; then the page ends with what was found.
const LOOKED_AT: u64 = 100_000;
/// Readers at once.
const READERS: usize = 64;
/// Most characters of a spool's name.
const SPOOL: usize = 128;

/// `AlertService`.
pub struct Alerts {
    log: Arc<dyn AlertLog>,
    ingest: Ingest,
    registry: Arc<Registry>,
    counters: Counters,
    limits: Limits,
    readers: Arc<Semaphore>,
    stop: CancellationToken,
}

impl std::fmt::Debug for Alerts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Alerts")
    }
}

impl Alerts {
    /// Over these.
    pub fn new(
        log: Arc<dyn AlertLog>,
        ingest: Ingest,
        registry: Arc<Registry>,
        counters: Counters,
        limits: Limits,
        stop: CancellationToken,
    ) -> Self {
        let readers = Arc::new(Semaphore::new(READERS));
        Self { log, ingest, registry, counters, limits, readers, stop }
    }
}

fn broken(error: LogError) -> Status {
    Status::unavailable(error.to_string())
}

#[tonic::async_trait]
impl AlertService for Alerts {
    type PushStream = Pin<Box<dyn Stream<Item = Result<v1::PushResponse, Status>> + Send>>;
    type TailStream = Pin<Box<dyn Stream<Item = Result<v1::TailResponse, Status>> + Send>>;

    async fn push(
        &self,
        request: Request<Streaming<v1::PushRequest>>,
    ) -> Result<Response<Self::PushStream>, Status> {
        let identity = auth::caller(&request)?;
        auth::agent(&identity)?;
        let lost = auth::watch(&request, &identity, &self.limits)?;
        let taken = request.extensions().get::<Taken>().cloned().unwrap_or_default();
        let mut incoming = request.into_inner();
        let first = tokio::time::timeout(super::FIRST_MESSAGE, incoming.message());
        let first = first.await.map_err(|_| Status::deadline_exceeded("the hello did not come"))??;
        taken.done();
        let Some(Message::Hello(hello)) = first.and_then(|first| first.message) else {
            return Err(Status::invalid_argument("the first message is a hello"));
        };
        auth::speaks_for(&identity, &hello.node)?;
        if hello.spool.is_empty() || hello.spool.len() > SPOOL {
            return Err(Status::invalid_argument("the spool has no name, or one that is too long"));
        }
        let (out, responses) = mpsc::channel(4);
        let pusher = Pusher {
            entered: self.registry.enter(&hello.node, agents::Stream::Push),
            acknowledged: self.registry.pushed(&hello.node, &hello.spool),
            quota: self.registry.quota(&hello.node),
            registry: Arc::clone(&self.registry),
            ingest: self.ingest.clone(),
            counters: self.counters.clone(),
            limits: self.limits,
            taken,
            node: hello.node.into(),
            spool: hello.spool,
            lost,
            out,
        };
        tokio::spawn(pusher.run(incoming, self.stop.clone()));
        Ok(Response::new(Box::pin(ReceiverStream::new(responses))))
    }

    async fn tail(&self, request: Request<v1::TailRequest>) -> Result<Response<Self::TailStream>, Status> {
        let identity = auth::caller(&request)?;
        auth::operator(&identity)?;
        let lost = auth::watch(&request, &identity, &self.limits)?;
        let request = request.into_inner();
        let filter = Filter::new(request.filter)?;
        let slot = Arc::clone(&self.readers)
            .try_acquire_owned()
            .map_err(|_| Status::resource_exhausted("there are too many readers"))?;
        let (log, stop) = (Arc::clone(&self.log), self.stop.clone());
        let (_, last) = log.range().await.map_err(broken)?;
        let backlog = u64::from(request.backlog).min(PAGE as u64);
        let (resume, positions) = (request.after, request.positions);
        let (out, responses) = mpsc::channel(16);
        tokio::spawn(async move {
            let _slot = slot;
            let tail = async {
                let after = match resume {
                    Some(after) if after <= last => after,
                    // Of another log: here, everything is new.
                    Some(_) => 0,
                    None => backlog_start(&*log, &filter, last, backlog).await?,
                };
                let first = log.range().await?.0;
                // What went before a reader came that begins at the beginning was not missed by it.
                let after = if after == 0 { after.max(first.saturating_sub(1)) } else { after };
                let tail = Tail { log: &*log, filter: &filter, positions, out: &out };
                tail.run(after).await
            };
            let end = tokio::select! {
                ended = tail => ended.map_err(broken),
                () = stop.cancelled() => Err(Status::unavailable("the controller stops")),
                Ok(status) = lost => Err(status),
                () = out.closed() => return,
            };
            if let Err(status) = end {
                // Nobody may be there any more.
                let _ = out.send(Err(status)).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(responses))))
    }

    async fn query(&self, request: Request<v1::QueryRequest>) -> Result<Response<v1::QueryResponse>, Status> {
        auth::operator(&auth::caller(&request)?)?;
        let request = request.into_inner();
        let filter = Filter::new(request.filter)?;
        let _slot = self
            .readers
            .try_acquire()
            .map_err(|_| Status::resource_exhausted("there are too many readers"))?;
        let (_, last) = self.log.range().await.map_err(broken)?;
        let before = match request.page_token.as_str() {
            "" => last + 1,
            token => token.parse().map_err(|_| Status::invalid_argument("that is no page token"))?,
        };
        let size = match request.page_size as usize {
            0 => 100,
            size => size.min(PAGE),
        };
        page(&*self.log, &filter, before.min(last + 1), size).await.map(Response::new).map_err(broken)
    }
}

/// One reader of what arrives.
struct Tail<'a> {
    log: &'a dyn AlertLog,
    filter: &'a Filter,
    /// Whether positions without an alert are wanted.
    positions: bool,
    out: &'a mpsc::Sender<Result<v1::TailResponse, Status>>,
}

impl Tail<'_> {
    /// Sends what comes after the position, for as long as somebody reads.
    async fn run(&self, mut after: Position) -> Result<(), LogError> {
        let mut missed = 0;
        // The last position that was said.
        let mut said = None;
        loop {
            let entries = self.log.read(after, CHUNK).await?;
            if entries.is_empty() {
                // Where the log has been read to its end, so that a reader who comes again goes on from there.
                if self.positions && said != Some(after) {
                    said = Some(after);
                    let missed = std::mem::take(&mut missed);
                    let here = v1::TailResponse { position: after, missed, ..Default::default() };
                    if self.out.send(Ok(here)).await.is_err() {
                        return Ok(());
                    }
                }
                self.log.wait(after).await;
                continue;
            }
            for (position, entry) in entries {
                // What every sink has may go before a slow reader has it.
                missed += position.saturating_sub(after + 1);
                after = position;
                if let Some(mut response) = self.filter.apply(position, &entry) {
                    response.missed = std::mem::take(&mut missed);
                    said = Some(position);
                    if self.out.send(Ok(response)).await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }
}

/// The position after which so many wanted alerts are there already.
async fn backlog_start(
    log: &dyn AlertLog,
    filter: &Filter,
    last: Position,
    backlog: u64,
) -> Result<Position, LogError> {
    if backlog == 0 {
        return Ok(last);
    }
    let page = page(log, filter, last + 1, backlog as usize).await?;
    Ok(page.alerts.last().map_or(last, |oldest| oldest.position.saturating_sub(1)))
}

/// The wanted alerts before a position, newest first.
async fn page(
    log: &dyn AlertLog,
    filter: &Filter,
    before: Position,
    size: usize,
) -> Result<v1::QueryResponse, LogError> {
    let (first, _) = log.range().await?;
    let mut page = v1::QueryResponse::default();
    let (mut end, mut bytes) = (before, 0);
    // Positions in [first, end) have not been looked at.
    while first != 0 && end > first && before - end < LOOKED_AT {
        let start = end.saturating_sub(CHUNK as u64).max(first);
        for alert in newest(log, filter, start, end).await?.into_iter().rev() {
            bytes += json_len(&alert);
            if page.alerts.len() == size || (bytes > PAGE_BYTES && !page.alerts.is_empty()) {
                page.next_page_token = (alert.position + 1).to_string();
                return Ok(page);
            }
            page.alerts.push(alert);
        }
        end = start;
    }
    if first != 0 && end > first {
        page.next_page_token = end.to_string();
    }
    Ok(page)
}

/// The wanted alerts in `[start, end)`, oldest first: all of them or, if those are more than a page has room for, the
/// newest of them, which are still more than that.
async fn newest(
    log: &dyn AlertLog,
    filter: &Filter,
    start: Position,
    end: Position,
) -> Result<VecDeque<v1::TailResponse>, LogError> {
    let (mut found, mut bytes, mut after) = (VecDeque::new(), 0, start - 1);
    // A log may give fewer than it is asked for, and have more behind them.
    while after + 1 < end {
        let entries = log.read(after, (end - 1 - after) as usize).await?;
        let Some((last, _)) = entries.last() else { break };
        after = *last;
        for (position, entry) in entries.iter().filter(|(position, _)| *position < end) {
            let Some(alert) = filter.apply(*position, entry) else { continue };
            bytes += json_len(&alert);
            found.push_back(alert);
            while found.len() > 2
                && let Some(oldest) = found.pop_front_if(|oldest| bytes - json_len(oldest) > PAGE_BYTES)
            {
                bytes -= json_len(&oldest);
            }
        }
    }
    Ok(found)
}

fn json_len(response: &v1::TailResponse) -> usize {
    response.alert.as_ref().map_or(0, |alert| alert.json.len())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::alert_log::{EmbeddedLog, Entry, embedded};

    fn entry(number: u64, size: usize) -> Entry {
        // Such as does not become small by compression.
        let filling: String =
            std::iter::repeat_with(|| format!("{:032x}", fastrand::u128(..))).take(size / 32).collect();
        Entry {
            uid: format!("u{number}"),
            node: "n1".into(),
            sequence: number,
            time: Timestamp::UNIX_EPOCH,
            json: format!(r#"{{"uid":"u{number}","x":"{filling}"}}"#).into(),
        }
    }

    /// The sequence numbers of all pages.
    async fn all(log: &dyn AlertLog, size: usize) -> Vec<u64> {
        let (mut numbers, mut before) = (Vec::new(), log.range().await.unwrap().1 + 1);
        loop {
            let page = page(log, &Filter::default(), before, size).await.unwrap();
            numbers.extend(page.alerts.iter().map(|alert| alert.alert.as_ref().unwrap().sequence));
            match page.next_page_token.as_str() {
                "" => return numbers,
                token => before = token.parse().unwrap(),
            }
        }
    }

    #[tokio::test]
    async fn no_page_leaves_out_what_a_log_gives_later() {
        let directory = tempfile::tempdir().unwrap();
        let options = || embedded::Options { limit: 256 << 10, ..embedded::Options::new(directory.path()) };
        let log = EmbeddedLog::open(options()).await.unwrap();
        for number in 1..=100 {
            log.append(vec![entry(number, 1000)]).await.unwrap();
        }
        log.close().await;
        drop(log);
        // From disk now, where a reading ends with the file.
        let log = EmbeddedLog::open(options()).await.unwrap();
        assert!(log.read(0, 100).await.unwrap().len() < 100, "several files");
        for size in [7, 1000] {
            assert_eq!(all(&log, size).await, (1..=100).rev().collect::<Vec<_>>());
        }
    }

    #[tokio::test]
    async fn large_alerts_are_on_more_pages() {
        let log = crate::alert_log::MemoryLog::default();
        let sizes = [100, 2 << 20, 2 << 20, 100, 4_000_000, 4_000_000, 100, 100, 2 << 20];
        let entries = (1..).zip(sizes).map(|(number, size)| entry(number, size)).collect();
        log.append(entries).await.unwrap();
        assert_eq!(all(&log, 1000).await, (1..=9).rev().collect::<Vec<_>>());
    }
}
