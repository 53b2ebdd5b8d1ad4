//! Room for batches of alerts, of all agents together.
//!
//! After an outage all agents come at once, each with as much as its spool holds. A message of `Push` is let in when
//! there is room for it, in the order in which they came; before that it stays with its agent, for nobody reads on and
//! the window of its stream is full. The room is given back when what was in the message is durable.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::{Request, body::Frame};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Sleep, sleep},
};
use tokio_util::sync::PollSemaphore;
use tonic::{Status, body::Body};
use tower_layer::Layer;
use tower_service::Service;

/// Bytes for which there is room: few enough that what was let in is soon whole, when processors are short.
const ROOM: usize = 64 << 20;
/// Bytes that are counted as one.
const UNIT: usize = 1 << 10;
/// Longest time that a message may take from its first byte to its last while others wait for room.
const MESSAGE: Duration = Duration::from_secs(20);
/// Bytes before each message: a flag, and the length.
const PREFIX: usize = 5;
/// The call that this is about.
const PATH: &str = "/vedette.v1.AlertService/Push";

/// The room that the messages of one stream take.
#[derive(Clone, Debug, Default)]
pub struct Taken(Arc<Mutex<VecDeque<OwnedSemaphorePermit>>>);

impl Taken {
    /// Gives back the room of the oldest message.
    pub fn done(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    }

    fn push(&self, permit: OwnedSemaphorePermit) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(permit);
    }
}

/// Lets messages of `Push` in.
#[derive(Clone, Debug)]
pub struct RoomLayer {
    room: Arc<Semaphore>,
    most: usize,
}

impl RoomLayer {
    /// Everything is free.
    pub fn new() -> Self {
        Self::of(ROOM / UNIT)
    }

    fn of(units: usize) -> Self {
        Self { room: Arc::new(Semaphore::new(units)), most: units }
    }
}

impl<S> Layer<S> for RoomLayer {
    type Service = Room<S>;

    fn layer(&self, inner: S) -> Room<S> {
        Room { room: self.clone(), inner }
    }
}

/// See [`RoomLayer`].
#[derive(Clone, Debug)]
pub struct Room<S> {
    room: RoomLayer,
    inner: S,
}

impl<S: Service<Request<Body>>> Service<Request<Body>> for Room<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if request.uri().path() == PATH {
            let taken = Taken::default();
            request.extensions_mut().insert(taken.clone());
            request = request.map(|body| Body::new(Metered::new(body, &self.room, taken)));
        }
        self.inner.call(request)
    }
}

/// A body whose messages wait for room.
struct Metered<B> {
    body: B,
    room: PollSemaphore,
    /// The room that there is in all.
    most: usize,
    taken: Taken,
    framing: Framing,
    /// What has come and is not let in, with the room that its messages need.
    waiting: Option<(Bytes, VecDeque<usize>)>,
    /// When the message that has begun must be whole.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<B> Metered<B> {
    fn new(body: B, room: &RoomLayer, taken: Taken) -> Self {
        Self {
            body,
            room: PollSemaphore::new(Arc::clone(&room.room)),
            most: room.most,
            taken,
            framing: Framing::default(),
            waiting: None,
            deadline: None,
        }
    }
}

impl<B> hyper::body::Body for Metered<B>
where
    B: hyper::body::Body<Data = Bytes, Error = Status> + Unpin,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        loop {
            if let Some((_, needed)) = &mut this.waiting {
                while let Some(units) = needed.front() {
                    let units = u32::try_from((*units).min(this.most)).unwrap_or(u32::MAX);
                    match ready!(this.room.poll_acquire_many(cx, units)) {
                        Some(permit) => this.taken.push(permit),
                        None => return Poll::Ready(Some(Err(Status::unavailable("the controller stops")))),
                    }
                    needed.pop_front();
                }
            }
            if let Some((chunk, _)) = this.waiting.take() {
                if this.framing.is_within() {
                    this.deadline.get_or_insert_with(|| Box::pin(sleep(MESSAGE)));
                }
                return Poll::Ready(Some(Ok(Frame::data(chunk))));
            }
            let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) else {
                let Some(deadline) = &mut this.deadline else { return Poll::Pending };
                ready!(deadline.as_mut().poll(cx));
                if this.room.available_permits() > 0 {
                    // Nobody waits for it: a slow line is no fault.
                    this.deadline = Some(Box::pin(sleep(MESSAGE)));
                    continue;
                }
                // Who has room and sends nothing takes it from others.
                return Poll::Ready(Some(Err(Status::deadline_exceeded("a message took too long"))));
            };
            let Some(frame) = frame else { return Poll::Ready(None) };
            match frame?.into_data() {
                Ok(chunk) => {
                    let (needed, ended) = this.framing.take_in(&chunk);
                    if ended {
                        this.deadline = None;
                    }
                    this.waiting = Some((chunk, needed));
                }
                Err(other) => return Poll::Ready(Some(Ok(other))),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.waiting.is_none() && self.body.is_end_stream()
    }
}

/// Where messages begin and end in a stream of bytes.
#[derive(Debug, Default)]
struct Framing {
    prefix: [u8; PREFIX],
    /// Bytes of the prefix that are there.
    have: usize,
    /// Bytes of the message that are not there yet.
    left: usize,
}

impl Framing {
    /// Looks at what comes next. Returns the room that each message needs whose length is known now, and whether one has
    /// ended.
    fn take_in(&mut self, mut chunk: &[u8]) -> (VecDeque<usize>, bool) {
        let (mut needed, mut ended) = (VecDeque::new(), false);
        while !chunk.is_empty() {
            if self.left > 0 {
                let some = self.left.min(chunk.len());
                self.left -= some;
                chunk = &chunk[some..];
            } else {
                let some = (PREFIX - self.have).min(chunk.len());
                self.prefix[self.have..self.have + some].copy_from_slice(&chunk[..some]);
                self.have += some;
                chunk = &chunk[some..];
                if self.have < PREFIX {
                    continue;
                }
                let [_, length @ ..] = self.prefix;
                self.have = 0;
                self.left = u32::from_be_bytes(length) as usize;
                needed.push_back(self.left / UNIT + 1);
            }
            ended |= self.left == 0 && self.have == 0;
        }
        (needed, ended)
    }

    /// Whether a message has begun and not ended.
    fn is_within(&self) -> bool {
        self.left > 0 || self.have > 0
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, StreamBody};
    use tokio::sync::mpsc;
    use tokio_stream::wrappers::UnboundedReceiverStream;

    use super::*;

    fn message(size: usize) -> Vec<u8> {
        let mut bytes = vec![0];
        bytes.extend((size as u32).to_be_bytes());
        bytes.resize(PREFIX + size, 7);
        bytes
    }

    #[test]
    fn messages_are_found_wherever_they_are_cut() {
        let bytes = [message(0), message(3000), message(1), message(70_000)].concat();
        for size in [1, 2, 3, 4, 5, 6, 7, 1000, 16_384, bytes.len()] {
            let mut framing = Framing::default();
            let mut needed = Vec::new();
            for (index, chunk) in bytes.chunks(size).enumerate() {
                let (some, _) = framing.take_in(chunk);
                needed.extend(some);
                let at = (index + 1) * size;
                let ends = [5, 5 + 3005, 5 + 3005 + 6, bytes.len()];
                assert_eq!(framing.is_within(), !ends.contains(&at.min(bytes.len())), "{size} {at}");
            }
            assert_eq!(needed, [1, 3, 1, 69], "{size}");
        }
    }

    type Chunks = mpsc::UnboundedSender<Result<Frame<Bytes>, Status>>;

    fn stream(
        room: &RoomLayer,
    ) -> (Chunks, impl hyper::body::Body<Data = Bytes, Error = Status> + Unpin, Taken) {
        let (sender, chunks) = mpsc::unbounded_channel();
        let taken = Taken::default();
        let body = StreamBody::new(UnboundedReceiverStream::new(chunks));
        (sender, Metered::new(body, room, taken.clone()), taken)
    }

    fn give(to: &Chunks, bytes: &[u8]) {
        to.send(Ok(Frame::data(Bytes::copy_from_slice(bytes)))).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_waits_for_room_and_in_turn() {
        let room = RoomLayer::of(100);
        let (one, mut first, taken) = stream(&room);
        let (two, mut second, other) = stream(&room);
        give(&one, &message(60 << 10));
        give(&two, &message(60 << 10));
        assert!(first.frame().await.unwrap().is_ok());
        let waiting = tokio::time::timeout(Duration::from_secs(3600), second.frame()).await;
        assert!(waiting.is_err(), "it waits as long as it takes");
        taken.done();
        assert!(second.frame().await.unwrap().is_ok());
        // One that is larger than all the room waits for all of it.
        give(&one, &message(400 << 10));
        assert!(tokio::time::timeout(Duration::from_secs(1), first.frame()).await.is_err());
        drop((second, other));
        assert!(first.frame().await.unwrap().is_ok());
        drop((first, taken));
        assert_eq!(room.room.available_permits(), 100, "who goes gives everything back");
    }

    #[tokio::test(start_paused = true)]
    async fn who_dawdles_within_a_message_is_cut_off_and_who_is_silent_is_not() {
        let room = RoomLayer::of(100);
        let (one, mut body, taken) = stream(&room);
        assert!(tokio::time::timeout(10 * MESSAGE, body.frame()).await.is_err());
        let whole = message(5000);
        give(&one, &whole[..1000]);
        assert!(body.frame().await.unwrap().is_ok());
        give(&one, &whole[1000..]);
        assert!(body.frame().await.unwrap().is_ok());
        taken.done();
        assert!(tokio::time::timeout(10 * MESSAGE, body.frame()).await.is_err());
        give(&one, &whole[..1000]);
        assert!(body.frame().await.unwrap().is_ok());
        assert!(tokio::time::timeout(10 * MESSAGE, body.frame()).await.is_err(), "nobody else wants to");
        let (other, mut full, _taken) = stream(&room);
        give(&other, &message(98 << 10));
        assert!(tokio::time::timeout(Duration::from_millis(1), full.frame()).await.is_err());
        let error = body.frame().await.unwrap().unwrap_err();
        assert_eq!(error.code(), tonic::Code::DeadlineExceeded);
    }
}
