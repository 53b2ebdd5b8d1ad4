use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    time::{Duration, Instant},
};

use vedette_event::{
    Clock, State, StateLimits,
    alert::Node,
    decode,
    recording::{Frames, Header, Reader},
    testing::RecordBuilder,
};
use vedette_policy::RuleMatching;

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

fn pipeline() -> Pipeline {
    let state = State::new(StateLimits::default());
    Pipeline::new(state, Clock::default(), Node::default(), RuleMatching::All)
}

fn key(tgid: u32) -> ProcessKey {
    ProcessKey { tgid, start: u64::from(tgid) }
}

/// Nothing is known, and nobody has a name.
struct Nothing;

impl vedette_policy::pipeline::Outside for Nothing {
    fn process(&mut self, _key: ProcessKey) -> Option<Process> {
        None
    }
    fn names(&self) -> &dyn UserNames {
        &vedette_event::NoNames
    }
}

/// As the engine does it with a batch.
fn feed(tap: &mut Tap, pipeline: &mut Pipeline, records: &[Vec<u8>]) {
    for bytes in records {
        let record = decode(bytes).unwrap();
        tap.before(&record, None);
        pipeline.record(&record, &mut Nothing, |_| {});
        tap.record(bytes);
    }
    tap.flush(pipeline, None);
}

fn execs(from: u32, to: u32, argument: &str) -> Vec<Vec<u8>> {
    (from..to)
        .map(|n| RecordBuilder::process_exec(key(n), "/bin/x", &["x", argument]).time(u64::from(n)).build())
        .collect()
}

/// The frames that wait, in short.
fn received(frames: &recorder::Frames) -> Vec<String> {
    let mut out = Vec::new();
    while let Ok(Some(chunk)) = frames.receive(Duration::ZERO) {
        let mut inner = Frames::new(&chunk);
        while let Some(frame) = inner.next_frame().unwrap() {
            out.push(match frame {
                Frame::Record(_) => "record".to_owned(),
                Frame::SnapshotBegin(known) => format!("snapshot of {}", known.number),
                Frame::Process { process, .. } => format!("process {}", process.key.tgid),
                Frame::SnapshotEnd { .. } => "whole".to_owned(),
                Frame::Lost { records, .. } => format!("lost {records}"),
                other => format!("{other:?}"),
            });
        }
        frames.written(&chunk);
    }
    out
}

#[test]
fn one_who_comes_gets_what_is_known_and_then_what_happens() {
    let (joins, queue) = crossbeam_channel::bounded(1);
    let (mut tap, mut pipeline) = (Tap::new(queue), pipeline());
    feed(&mut tap, &mut pipeline, &execs(1, 3, ""));
    assert!(!tap.is_on(), "and nothing was noted");
    let (join, frames) = Join::new();
    joins.send(join).unwrap();
    tap.join(tap.joins().try_recv().ok(), &pipeline, None);
    feed(&mut tap, &mut pipeline, &execs(3, 5, ""));
    let got = received(&frames);
    assert_eq!(got, ["snapshot of 2", "process 1", "process 2", "whole", "record", "record"]);
    drop(frames);
    feed(&mut tap, &mut pipeline, &execs(5, 6, ""));
    assert!(!tap.is_on(), "one who has gone is forgotten");
}

#[test]
fn one_who_is_slow_loses_a_known_number_and_gets_a_snapshot() {
    let (mut tap, mut pipeline) = (Tap::off(), pipeline());
    let (slow, slow_frames) = Join::new();
    let (quick, quick_frames) = Join::new();
    tap.join(Some(slow), &pipeline, None);
    tap.join(Some(quick), &pipeline, None);
    received(&quick_frames);
    // The clock of snapshots is real; before its interval is over there is no second one.
    let argument = "a".repeat(6000);
    let mut sent = 0;
    while tap.recorders[0].lost_records() == 0 {
        assert!(sent < 10_000, "the queue has no bound");
        feed(&mut tap, &mut pipeline, &execs(sent, sent + 100, &argument));
        sent += 100;
        assert_eq!(received(&quick_frames).len(), 100, "the quick one loses nothing");
    }
    let queued = received(&slow_frames).iter().filter(|f| *f == "record").count() as u32;
    assert!(queued > 0 && queued < sent, "{queued} of {sent}");
    let deadline = Instant::now() + PATIENCE;
    let rest = loop {
        assert!(Instant::now() < deadline, "no snapshot came");
        tap.flush(&pipeline, None);
        if let Ok(Some(chunk)) = slow_frames.receive(Duration::from_millis(10)) {
            break chunk;
        }
    };
    let mut rest = Frames::new(&rest);
    let lost = sent - queued;
    let first = rest.next_frame().unwrap().unwrap();
    assert!(matches!(first, Frame::Lost { records, .. } if records == u64::from(lost)), "{first:?} {lost}");
    let mut processes = 0;
    while let Some(frame) = rest.next_frame().unwrap() {
        processes += u32::from(matches!(frame, Frame::Process { .. }));
    }
    assert_eq!(processes, sent, "all of them are in the snapshot");
    assert!(received(&quick_frames).is_empty());
}

fn ask(path: &std::path::Path, request: &str) -> UnixStream {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

fn header() -> Header {
    Header::new(&Node::default(), Clock::default(), StateLimits::default())
}

#[test]
fn the_socket_serves_recordings_to_its_owner() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run/vedette/agent.sock");
    let (server, joins) = Server::start(&path, header()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(Server::start(&path, header()), Err(TapError::InUse(_))));

    let stream = ask(&path, "{\"want\":\"recording\"}\n");
    let (mut tap, mut pipeline) = (Tap::new(joins), pipeline());
    let join = tap.joins().recv_timeout(PATIENCE).unwrap();
    tap.join(Some(join), &pipeline, None);
    feed(&mut tap, &mut pipeline, &execs(1, 4, ""));
    // The engine ends.
    drop(tap);
    assert!(server.finish(PATIENCE));
    let mut reader = Reader::new(stream);
    let mut records = 0;
    while let Some(frame) = reader.next_frame().unwrap() {
        records += u32::from(matches!(frame, Frame::Record(_)));
    }
    assert_eq!(records, 3);
    assert_eq!(reader.ending(), vedette_event::recording::Ending::Complete);
    assert!(!path.exists(), "the socket is taken away at the end");
}

#[test]
fn what_is_not_understood_is_answered() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("agent.sock");
    let (_server, _joins) = Server::start(&path, header()).unwrap();
    for request in ["{\"want\":\"coffee\"}\n", "\n", "GET / HTTP/1.1\n"] {
        let mut line = String::new();
        BufReader::new(ask(&path, request)).read_line(&mut line).unwrap();
        let answer: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert!(answer["error"].is_string(), "{request}: {line}");
    }
}

#[test]
fn a_socket_that_was_left_behind_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("agent.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let (server, joins) = Server::start(&path, header()).unwrap();
    let mut stream = ask(&path, "{\"want\":\"recording\"}\n");
    drop(joins.recv_timeout(PATIENCE).unwrap());
    assert!(server.finish(PATIENCE));
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes[..8], vedette_event::recording::MAGIC);
}
