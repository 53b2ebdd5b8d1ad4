//! The driver and the set of sinks, with far sides that do as they are told.

use std::{
    collections::VecDeque,
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::{
    config::{Bytes, Interval, NamedSink, Priority, SinkSpec, Start, StdoutSink},
    secrets::LocalSecrets,
    set::Sinks,
    status::{SinkState, SinkStatus},
    *,
};
use crate::alert_log::{AlertLog, Entry, MemoryLog};

const ALERT: &str = include_str!("../../tests/data/alert.json");

fn entry(number: u64) -> Entry {
    Entry {
        uid: format!("uid-{number}"),
        node: format!("n{}", number % 3).into(),
        sequence: number,
        time: Timestamp::UNIX_EPOCH,
        json: bytes::Bytes::from_static(ALERT.trim_ascii_end().as_bytes()),
    }
}

fn entries(numbers: std::ops::Range<u64>) -> Vec<Entry> {
    numbers.map(entry).collect()
}

type Answer = Box<dyn FnMut(&[u64]) -> Report + Send>;

/// When it was asked, and the numbers of the alerts.
type Asked = (Instant, Vec<u64>);

/// A far side: the answers that it gives, and what it was asked.
#[derive(Clone)]
struct FarSide {
    answer: Arc<Mutex<Answer>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    built: Arc<AtomicUsize>,
    news: Arc<tokio::sync::Notify>,
}

impl FarSide {
    fn new(answer: impl FnMut(&[u64]) -> Report + Send + 'static) -> Self {
        Self {
            answer: Arc::new(Mutex::new(Box::new(answer))),
            asked: Arc::default(),
            built: Arc::default(),
            news: Arc::default(),
        }
    }

    /// Gives these answers, then takes everything.
    fn script(answers: impl IntoIterator<Item = fn(usize) -> Report>) -> Self {
        let mut answers: VecDeque<fn(usize) -> Report> = answers.into_iter().collect();
        Self::new(move |batch| answers.pop_front().unwrap_or(Report::delivered)(batch.len()))
    }

    fn batches(&self) -> Vec<Vec<u64>> {
        self.asked.lock().unwrap().iter().map(|(_, batch)| batch.clone()).collect()
    }

    /// How long after the first batch each of the others came.
    fn times(&self) -> Vec<Duration> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|(time, _)| *time - asked[0].0).collect()
    }

    /// Waits until it was asked so many times.
    async fn asked(&self, times: usize) -> Vec<Vec<u64>> {
        let waiting = async {
            loop {
                let news = self.news.notified();
                let batches = self.batches();
                if batches.len() >= times {
                    return batches;
                }
                news.await;
            }
        };
        timeout(Duration::from_hours(24), waiting).await.unwrap()
    }
}

#[async_trait]
impl Sink for FarSide {
    async fn send(&mut self, batch: &[Item]) -> Report {
        let numbers: Vec<u64> = batch.iter().map(|item| item.entry.sequence).collect();
        let report = (self.answer.lock().unwrap())(&numbers);
        self.asked.lock().unwrap().push((Instant::now(), numbers));
        self.news.notify_one();
        if report.outcomes.is_empty() {
            std::future::pending::<()>().await;
        }
        report
    }
}

#[async_trait]
impl Builder for FarSide {
    async fn build(&self) -> Result<Box<dyn Sink>, String> {
        self.built.fetch_add(1, Relaxed);
        Ok(Box::new(self.clone()))
    }
}

fn spec() -> SinkSpec {
    SinkSpec { stdout: Some(StdoutSink::default()), start: Start::Oldest, ..SinkSpec::default() }
}

struct Setup {
    log: Arc<MemoryLog>,
    sinks: Sinks,
    directory: tempfile::TempDir,
}

impl Setup {
    fn new() -> Self {
        let log = Arc::new(MemoryLog::default());
        let directory = tempfile::tempdir().unwrap();
        let sinks = Sinks::new(Arc::clone(&log) as _, directory.path(), Arc::new(LocalSecrets));
        Self { log, sinks, directory }
    }

    async fn with(far_side: &FarSide, spec: SinkSpec, alerts: u64) -> Self {
        let setup = Self::new();
        setup.log.append(entries(0..alerts)).await.unwrap();
        setup.sinks.add("a", spec, Arc::new(far_side.clone())).await;
        setup
    }

    async fn status(&self) -> SinkStatus {
        self.sinks.statuses().await.remove(0)
    }

    /// Waits until the sink is as it should be.
    async fn until(&self, holds: impl Fn(&SinkStatus) -> bool) -> SinkStatus {
        let waiting = async {
            loop {
                let status = self.status().await;
                if holds(&status) {
                    return status;
                }
                // Time stands still as long as there is something to do.
                tokio::time::advance(Duration::from_millis(1)).await;
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_hours(24), waiting).await.unwrap()
    }

    /// Waits until the sink has everything up to there.
    async fn at(&self, position: u64) -> SinkStatus {
        self.until(|status| status.cursor >= position).await
    }

    fn letters(&self) -> Vec<Value> {
        letters(self.directory.path())
    }
}

fn letters(directory: &Path) -> Vec<Value> {
    let text = fs::read_to_string(dead_letters::path(directory, "a")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn everything_is_delivered_in_order_and_in_batches() {
    let far_side = FarSide::script([]);
    let mut spec = spec();
    spec.batch.alerts = 10;
    let setup = Setup::with(&far_side, spec, 25).await;
    let status = setup.at(25).await;
    assert_eq!(far_side.batches().concat(), (0..25).collect::<Vec<_>>());
    assert_eq!(far_side.batches().iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 5]);
    assert_eq!((status.state, status.delivered, status.lag), (SinkState::Ok, 25, 0));
    // What comes later, too, after the time that a batch may take.
    setup.log.append(entries(25..27)).await.unwrap();
    setup.at(27).await;
    assert_eq!(far_side.batches().last().unwrap(), &[25, 26]);
}

#[tokio::test(start_paused = true)]
async fn batches_have_a_limit_of_bytes() {
    let far_side = FarSide::script([]);
    let mut spec = spec();
    spec.batch.bytes = Bytes(ALERT.len() as u64 * 3 + 10);
    let setup = Setup::with(&far_side, spec, 7).await;
    setup.at(7).await;
    assert_eq!(far_side.batches().iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 1]);
}

#[tokio::test(start_paused = true)]
async fn failures_are_tried_again_with_growing_pauses() {
    let fails: fn(usize) -> Report = |count| Report::retry(count, "out of order");
    let far_side = FarSide::script([fails; 6]);
    let setup = Setup::with(&far_side, spec(), 3).await;
    far_side.asked(4).await;
    let status = setup.status().await;
    assert!(matches!(status.state, SinkState::Retrying { .. }));
    assert_eq!((status.cursor, status.lag, status.delivered), (0, 3, 0));
    assert_eq!(status.last_error.unwrap().1, "out of order");
    let status = setup.at(3).await;
    assert_eq!((status.state, status.delivered), (SinkState::Ok, 3));
    assert_eq!(far_side.batches(), vec![vec![0, 1, 2]; 7]);
    let times = far_side.times();
    for (attempt, pause) in [500, 1000, 2000, 4000, 8000, 16000].into_iter().enumerate() {
        let waited = (times[attempt + 1] - times[attempt]).as_millis();
        assert!((pause / 2..=pause + 10).contains(&waited), "{attempt}: {waited}");
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_honoured() {
    let far_side = FarSide::script([(|count| Report {
        retry_after: Some(Duration::from_secs(20)),
        ..Report::retry(count, "429")
    }) as fn(usize) -> _]);
    let setup = Setup::with(&far_side, spec(), 1).await;
    setup.at(1).await;
    let waited = far_side.times()[1];
    assert!(waited >= Duration::from_secs(20) && waited < Duration::from_secs(21), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_has_an_end() {
    // No outcomes: it does not answer.
    let far_side = FarSide::script([(|_| Report::delivered(0)) as fn(usize) -> _]);
    let mut spec = spec();
    spec.timeout.0 = Interval::from_secs(7);
    let setup = Setup::with(&far_side, spec, 1).await;
    let status = setup.at(1).await;
    assert!(far_side.times()[1] >= Duration::from_secs(7));
    assert_eq!(status.last_error.unwrap().1, "no answer within 7s");
}

#[tokio::test(start_paused = true)]
async fn of_a_partial_success_only_the_rest_is_sent_again() {
    let far_side = FarSide::script([(|_| {
        let outcomes = vec![
            Outcome::Delivered,
            Outcome::Retry("busy".to_owned()),
            Outcome::Refused("no such field".to_owned()),
            Outcome::Delivered,
            Outcome::Retry("busy".to_owned()),
        ];
        Report { outcomes, retry_after: None, stale: false }
    }) as fn(usize) -> _]);
    let setup = Setup::with(&far_side, spec(), 5).await;
    far_side.asked(1).await;
    let status = setup.at(5).await;
    assert_eq!(far_side.batches(), [vec![0, 1, 2, 3, 4], vec![1, 4]]);
    assert_eq!((status.delivered, status.refused), (4, 1));
    let letters = setup.letters();
    assert_eq!(letters.len(), 1);
    assert_eq!((&letters[0]["uid"], &letters[0]["reason"]), (&"uid-2".into(), &"no such field".into()));
    assert_eq!(
        (&letters[0]["sink"], &letters[0]["node"], &letters[0]["position"]),
        (&"a".into(), &"n2".into(), &3.into())
    );
    assert_eq!(letters[0]["alert"], serde_json::from_str::<Value>(ALERT).unwrap());
}

#[tokio::test(start_paused = true)]
async fn the_one_bad_alert_of_a_refused_batch_is_found() {
    let far_side = FarSide::new(|batch| {
        let count = batch.len();
        if batch.contains(&13) {
            Report::all(count, Outcome::RefusedTogether("400".to_owned()))
        } else {
            Report::delivered(count)
        }
    });
    let setup = Setup::with(&far_side, spec(), 40).await;
    let status = setup.at(40).await;
    assert_eq!((status.delivered, status.refused), (39, 1));
    assert_eq!(setup.letters()[0]["uid"], "uid-13");
    assert!(far_side.batches().len() < 20, "{:?}", far_side.batches());
    let taken: Vec<u64> =
        far_side.batches().into_iter().filter(|batch| !batch.contains(&13)).flatten().collect();
    assert_eq!(taken, (0..40).filter(|number| *number != 13).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn who_is_not_known_is_made_anew() {
    let far_side = FarSide::script([
        (|count| Report { stale: true, ..Report::retry(count, "401") }) as fn(usize) -> _,
        (|count| Report::retry(count, "503")) as fn(usize) -> _,
    ]);
    let setup = Setup::with(&far_side, spec(), 1).await;
    setup.at(1).await;
    assert_eq!(far_side.built.load(Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn lower_priorities_are_left_out() {
    let far_side = FarSide::script([]);
    let spec = SinkSpec { minimum_priority: Some(Priority::Critical), ..spec() };
    let setup = Setup::with(&far_side, spec, 0).await;
    let mut low = entry(1);
    low.json = ALERT.replacen("\"Critical\"", "\"Error\"", 1).into();
    setup.log.append(vec![entry(0), low, entry(2)]).await.unwrap();
    setup.at(3).await;
    assert_eq!(far_side.batches(), [[0, 2]]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_put_into_the_format_is_parked() {
    let far_side = FarSide::script([]);
    let setup = Setup::with(&far_side, SinkSpec { format: Some(config::Format::Ocsf), ..spec() }, 0).await;
    let odd = Entry { json: "{\"no\":\n\"alert\"}".into(), ..entry(0) };
    setup.log.append(vec![odd, entry(1)]).await.unwrap();
    let status = setup.at(2).await;
    assert_eq!((status.delivered, status.refused), (1, 1));
    assert!(setup.letters()[0]["reason"].as_str().unwrap().contains("cannot be read"));
    assert_eq!(setup.letters()[0]["text"], "{\"no\":\n\"alert\"}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_while_dead_letters_cannot_be_written() {
    let far_side =
        FarSide::script([(|count| Report::all(count, Outcome::Refused("bad".to_owned()))) as fn(usize) -> _]);
    let setup = Setup::new();
    let path = dead_letters::path(setup.directory.path(), "a");
    fs::create_dir(&path).unwrap();
    setup.log.append(entries(0..1)).await.unwrap();
    setup.sinks.add("a", spec(), Arc::new(far_side.clone())).await;
    setup.until(|status| status.last_error.is_some()).await;
    let status = setup.status().await;
    assert!(status.last_error.unwrap().1.contains("dead letters cannot be written"));
    assert_eq!(status.cursor, 0);
    fs::remove_dir(path).unwrap();
    assert_eq!(setup.at(1).await.refused, 1);
    assert_eq!(setup.letters().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stuck_sink_holds_up_nobody() {
    let stuck = FarSide::new(|_| Report::delivered(0));
    let quick = FarSide::script([]);
    let setup = Setup::with(&quick, spec(), 10).await;
    setup.sinks.add("stuck", spec(), Arc::new(stuck.clone())).await;
    setup.at(10).await;
    stuck.asked(1).await;
    assert_eq!(setup.log.cursor("stuck").await.unwrap(), Some(0));
    assert_eq!(setup.sinks.statuses().await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_panics_is_started_again() {
    let mut first = true;
    let far_side = FarSide::new(move |batch| {
        assert!(!std::mem::take(&mut first), "as planned");
        Report::delivered(batch.len())
    });
    // A panic while a lock is held would poison it.
    let setup = Setup::with(&far_side, spec(), 2).await;
    setup.until(|status| status.last_error.is_some()).await;
    far_side.answer.clear_poison();
    setup.at(2).await;
    assert_eq!(far_side.batches(), [[0, 1]]);
}

#[tokio::test(start_paused = true)]
async fn stopping_lets_the_attempt_end_and_keeps_the_cursor() {
    let far_side = FarSide::script([]);
    let setup = Setup::with(&far_side, spec(), 5).await;
    setup.at(5).await;
    let begun = Instant::now();
    setup.sinks.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(1));
    setup.log.append(entries(5..8)).await.unwrap();
    // Another run goes on where this one was.
    let next = FarSide::script([]);
    setup.sinks.add("a", spec(), Arc::new(next.clone())).await;
    setup.at(8).await;
    assert_eq!(next.batches().concat(), [5, 6, 7]);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_sink_is_stopped_all_the_same() {
    let far_side = FarSide::new(|_| Report::delivered(0));
    let setup = Setup::with(&far_side, spec(), 1).await;
    far_side.asked(1).await;
    timeout(Duration::from_secs(10), setup.sinks.stop()).await.unwrap();
    assert_eq!(setup.log.cursor("a").await.unwrap(), Some(0));
}

#[tokio::test]
async fn applying_starts_changes_and_forgets() {
    let setup = Setup::new();
    let file = |name: &str| {
        let path = setup.directory.path().join(format!("out-{name}"));
        let spec = format!("file: {{path: {}}}\n", path.display());
        (config::parse(&format!("{name}.yaml"), &spec).unwrap(), path)
    };
    let ((one, one_path), (two, two_path)) = (file("one"), file("two"));
    // A sink of an earlier run, which is no more.
    setup.log.advance("old", 0).await.unwrap();
    setup.log.append(entries(0..2)).await.unwrap();
    setup.sinks.apply(vec![one.clone(), two.clone()]).await.unwrap();
    assert_eq!(setup.log.sinks().await.unwrap(), ["one", "two"]);
    setup.log.append(entries(2..5)).await.unwrap();
    let lines = |path: &Path| fs::read_to_string(path).unwrap_or_default().lines().count();
    let until = async |path: &Path, count: usize| {
        let waiting = async {
            while lines(path) < count {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(20), waiting).await.unwrap();
    };
    until(&one_path, 3).await;
    until(&two_path, 3).await;
    // New sinks begin with what comes: three, not five. Then one changes, and one goes.
    let mut changed = one.clone();
    changed.spec.format = Some(config::Format::Ocsf);
    let bad = NamedSink { name: "bad".to_owned(), spec: SinkSpec::default() };
    let errors = setup.sinks.apply(vec![changed, bad]).await.unwrap_err();
    assert!(errors[0].to_string().contains("sink bad") && errors.len() == 1, "{errors:?}");
    setup.log.append(entries(5..7)).await.unwrap();
    until(&one_path, 5).await;
    let last = fs::read_to_string(&one_path).unwrap().lines().last().unwrap().to_owned();
    assert!(last.contains("\"class_uid\":2004"), "{last}");
    assert_eq!((lines(&one_path), lines(&two_path)), (5, 3));
    assert_eq!(setup.log.sinks().await.unwrap(), ["one"]);
    setup.sinks.stop().await;
    let mut registry = prometheus_client::registry::Registry::default();
    setup.sinks.metrics().register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    assert!(text.contains("sink_delivered_total{sink=\"one\"} 5") && !text.contains("two"), "{text}");
}

#[tokio::test]
async fn what_is_wanted_is_followed() {
    let setup = Setup::new();
    let sinks = Arc::new(setup.sinks);
    let (wanted, receiver) = tokio::sync::watch::channel(None);
    let stop = tokio_util::sync::CancellationToken::new();
    let following = tokio::spawn({
        let (sinks, stop) = (Arc::clone(&sinks), stop.clone());
        async move { sinks.follow(receiver, stop).await }
    });
    let until = async |names: &[&str]| {
        let waiting = async {
            while setup.log.sinks().await.unwrap() != names {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(20), waiting).await.unwrap();
    };
    wanted.send_replace(Some(vec![NamedSink { name: "one".to_owned(), spec: spec() }]));
    until(&["one"]).await;
    wanted.send_replace(Some(vec![NamedSink { name: "two".to_owned(), spec: spec() }]));
    until(&["two"]).await;
    stop.cancel();
    timeout(Duration::from_secs(20), following).await.unwrap().unwrap();
    // Its cursor stays for the next run.
    assert_eq!(setup.log.sinks().await.unwrap(), ["two"]);
}
