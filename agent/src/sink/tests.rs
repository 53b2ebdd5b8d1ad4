use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, pipe},
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
    path::Path,
    sync::mpsc,
};

use vedette_event::alert::{Finding, Node, Priority};
use vedette_event::{
    Body, Clock, NoNames, Process, ProcessKey, Record, State, StateLimits, View,
    abi::{FileOpen, Header, Kind},
};
use zerocopy::FromZeros;

use super::*;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(10);

fn alert(number: u64) -> Arc<Alert> {
    let mut state = State::new(StateLimits::default());
    let id = state.processes.insert(Process::unknown(ProcessKey { tgid: 1, start: 1 }));
    let mut header = Header::new_zeroed();
    (header.seq, header.time, header.tgid) = (number, number, 1);
    let body = Body::FileOpen {
        facts: FileOpen::new_zeroed(),
        path: b"/etc/shadow",
        raw: b"x",
        cwd: b"",
        alias: b"",
    };
    let record = Record { header, kind: Kind::FileOpen, call: None, body, bytes: &[] };
    let view = View {
        record: &record,
        number,
        process: state.processes.get(id).unwrap(),
        id,
        state: &state,
        clock: Clock::default(),
        hostname: "h",
        names: &NoNames,
    };
    let finding = Finding::new("Rule", Priority::Notice, format!("number {number}"));
    Arc::new(Alert::new(&view, finding, &Node::default()))
}

fn nobody() -> OnClosed {
    Arc::new(|name| panic!("{name} was closed"))
}

fn config(path: &Path) -> SinkConfig {
    SinkConfig { destination: Destination::File(path.to_owned()), format: Format::Json, queue: 64 }
}

fn file_sink(path: &Path) -> Sinks {
    Sinks::start(vec![config(path)], nobody()).unwrap()
}

/// A sink that writes into a pipe as if it were standard output.
fn pipe_sink(queue: usize, on_closed: OnClosed) -> (Sinks, io::PipeReader) {
    let (reader, writer) = pipe().unwrap();
    let output = Output::Stream(File::from(OwnedFd::from(writer)));
    let config = SinkConfig { destination: Destination::Stdout, format: Format::Json, queue };
    (Sinks { sinks: vec![Sink::start(config, output, on_closed).unwrap()] }, reader)
}

/// Waits until `condition` holds.
fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        thread::park_timeout(Duration::from_millis(1));
    }
}

fn numbers(text: &str) -> Vec<u64> {
    assert!(text.is_empty() || text.ends_with('\n'), "a cut line: {text:?}");
    text.lines().map(|l| serde_json::from_str::<Alert>(l).unwrap().event.number).collect()
}

fn numbers_in(path: &Path) -> Vec<u64> {
    numbers(&fs::read_to_string(path).unwrap())
}

fn assert_balanced(stats: &SinkStats) {
    assert_eq!(stats.received, stats.written + stats.dropped + stats.queued, "{stats:?}");
}

#[test]
fn an_alert_is_in_the_file_at_once_and_only_root_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts");
    let sinks = file_sink(&path);
    for number in 1..=3 {
        sinks.send(&alert(number));
        until("the alert is in the file", || numbers_in(&path).len() as u64 == number);
    }
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let stats = sinks.shutdown(PATIENCE).remove(0);
    assert_eq!((stats.received, stats.written, stats.dropped, stats.errors), (3, 3, 0, 0));
    assert_eq!(stats.bytes, fs::metadata(&path).unwrap().len());
    assert_eq!(numbers_in(&path), [1, 2, 3]);
}

#[test]
fn shutdown_writes_everything_that_is_queued() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts");
    let config = SinkConfig { queue: 5000, ..config(&path) };
    let sinks = Sinks::start(vec![config], nobody()).unwrap();
    let alert = alert(1);
    for _ in 0..5000 {
        sinks.send(&alert);
    }
    let stats = sinks.shutdown(PATIENCE).remove(0);
    assert_eq!((stats.written, stats.dropped, stats.queued), (5000, 0, 0), "{stats:?}");
    assert_eq!(numbers_in(&path).len(), 5000);
    // After the end nothing is taken, and that is counted.
    sinks.send(&alert);
    let stats = sinks.shutdown(PATIENCE).remove(0);
    assert_eq!((stats.received, stats.dropped), (5001, 1));
}

#[test]
fn a_file_is_appended_to_and_a_cut_line_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts");
    fs::write(&path, "{\"cut\":").unwrap();
    let sinks = file_sink(&path);
    sinks.send(&alert(1));
    sinks.shutdown(PATIENCE);
    let text = fs::read_to_string(&path).unwrap();
    let (first, rest) = text.split_once('\n').unwrap();
    assert_eq!(first, "{\"cut\":");
    assert_eq!(numbers(rest), [1]);
}

#[test]
fn a_file_that_was_moved_or_removed_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (path, moved) = (dir.path().join("alerts"), dir.path().join("alerts.1"));
    let sinks = file_sink(&path);
    sinks.send(&alert(1));
    until("the first is written", || sinks.stats()[0].written == 1);
    fs::rename(&path, &moved).unwrap();
    sinks.send(&alert(2));
    until("the second is written", || sinks.stats()[0].written == 2);
    assert_eq!((numbers_in(&moved), numbers_in(&path)), (vec![1], vec![2]));
    fs::remove_file(&path).unwrap();
    sinks.send(&alert(3));
    until("the third is written", || sinks.stats()[0].written == 3);
    assert_eq!(numbers_in(&path), [3]);
    // Told to, it does not wait for an alert.
    fs::remove_file(&path).unwrap();
    sinks.reopen();
    until("the file is there again", || path.exists());
    assert_eq!(sinks.shutdown(PATIENCE)[0].errors, 0);
}

#[test]
fn a_directory_that_is_gone_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("logs");
    fs::create_dir(&logs).unwrap();
    let path = logs.join("alerts");
    let sinks = file_sink(&path);
    fs::remove_dir_all(&logs).unwrap();
    sinks.send(&alert(1));
    until("it fails", || sinks.stats()[0].errors > 0);
    assert_eq!(sinks.stats()[0].written, 0);
    fs::create_dir(&logs).unwrap();
    until("it is written", || sinks.stats()[0].written == 1);
    assert_eq!(numbers_in(&path), [1]);
    sinks.shutdown(PATIENCE);
}

#[test]
fn a_full_disk_is_tried_again_and_given_up_at_the_deadline() {
    let sinks = file_sink(Path::new("/dev/full"));
    for number in 1..=3 {
        sinks.send(&alert(number));
    }
    until("it is tried again", || sinks.stats()[0].errors > 1);
    let stats = sinks.stats().remove(0);
    assert_eq!((stats.received, stats.written), (3, 0));
    assert_balanced(&stats);
    let before = Instant::now();
    let stats = sinks.shutdown(Duration::from_millis(100)).remove(0);
    assert!(before.elapsed() < PATIENCE / 2, "{:?}", before.elapsed());
    assert_eq!((stats.written, stats.dropped, stats.queued), (0, 3, 0), "{stats:?}");
}

#[test]
fn nothing_is_lost_when_a_full_disk_has_room_again() {
    let dir = tempfile::tempdir().unwrap();
    let (path, new) = (dir.path().join("alerts"), dir.path().join("new"));
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let sinks = file_sink(&path);
    for number in 1..=3 {
        sinks.send(&alert(number));
    }
    until("it fails", || sinks.stats()[0].errors > 0);
    fs::write(&new, "").unwrap();
    fs::rename(&new, &path).unwrap();
    until("all is written", || sinks.stats()[0].written == 3);
    assert_eq!(numbers_in(&path), [1, 2, 3]);
    assert_eq!(sinks.shutdown(PATIENCE)[0].dropped, 0);
}

#[test]
fn a_slow_reader_costs_alerts_and_no_time() {
    let (sinks, mut reader) = pipe_sink(8, nobody());
    let alert = alert(1);
    let before = Instant::now();
    // Far more than the pipe, the batch and the queue hold.
    for _ in 0..5000 {
        sinks.send(&alert);
    }
    assert!(before.elapsed() < PATIENCE / 2, "{:?}", before.elapsed());
    let stats = sinks.stats().remove(0);
    assert!(stats.dropped > 0, "{stats:?}");
    assert_balanced(&stats);
    let reading = thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).map(|_| text)
    });
    let stats = sinks.shutdown(PATIENCE).remove(0);
    assert_eq!(stats.queued, 0, "{stats:?}");
    assert_balanced(&stats);
    let read = numbers(&reading.join().unwrap().unwrap());
    assert_eq!(read.len() as u64, stats.written);
}

#[test]
fn a_stuck_reader_does_not_hold_up_the_shutdown() {
    let (sinks, reader) = pipe_sink(512, Arc::new(|_| {}));
    let alert = alert(1);
    // More than the 64 KiB that a pipe holds.
    for _ in 0..512 {
        sinks.send(&alert);
    }
    let before = Instant::now();
    let stats = sinks.shutdown(Duration::from_millis(100)).remove(0);
    assert!(before.elapsed() < PATIENCE / 2, "{:?}", before.elapsed());
    assert!(stats.queued > 0, "{stats:?}");
    assert_balanced(&stats);
    // So that the thread ends with the test.
    drop(reader);
    until("the rest is given up", || sinks.stats()[0].queued == 0);
}

#[test]
fn a_reader_that_goes_ends_the_sink_in_peace() {
    let (tell, told) = mpsc::channel();
    let on_closed: OnClosed = Arc::new(move |name| tell.send(name.to_owned()).unwrap());
    let (sinks, reader) = pipe_sink(8, on_closed);
    let mut reader = BufReader::new(reader);
    sinks.send(&alert(1));
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert_eq!(numbers(&line), [1]);
    drop(reader);
    sinks.send(&alert(2));
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), "stdout");
    sinks.send(&alert(3));
    let stats = sinks.shutdown(PATIENCE).remove(0);
    assert!(stats.closed);
    assert_eq!((stats.received, stats.written, stats.dropped, stats.errors), (3, 1, 2, 0));
}

#[test]
fn one_bad_sink_does_not_harm_another() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts");
    let bad = SinkConfig { queue: 1, ..config(Path::new("/dev/full")) };
    let sinks = Sinks::start(vec![bad, config(&path)], nobody()).unwrap();
    for number in 1..=10 {
        sinks.send(&alert(number));
        until("the good one writes", || sinks.stats()[1].written == number);
    }
    let stats = sinks.shutdown(Duration::from_millis(50));
    assert_eq!((stats[0].written, stats[0].dropped), (0, 10));
    assert_eq!(numbers_in(&path).len(), 10);
}

#[test]
fn what_cannot_be_opened_is_named() {
    let error = Sinks::start(vec![config(Path::new("/nonexistent/alerts"))], nobody()).unwrap_err();
    assert!(
        error.to_string().starts_with("cannot open /nonexistent/alerts for alerts: No such file"),
        "{error}"
    );
}

#[test]
fn the_format_follows_who_reads() {
    assert_eq!(choose_format(None, true, true), Format::Text { color: true });
    assert_eq!(choose_format(None, false, false), Format::Json);
    assert_eq!(choose_format(Some(Format::Text { color: false }), true, true), Format::Text { color: true });
    assert_eq!(
        choose_format(Some(Format::Text { color: true }), false, false),
        Format::Text { color: false }
    );
    assert_eq!(choose_format(Some(Format::Ocsf), true, true), Format::Ocsf);
    assert_eq!(Destination::from(Path::new("-")), Destination::Stdout);
    assert_eq!(Destination::from(Path::new("/a")), Destination::File("/a".into()));
}
