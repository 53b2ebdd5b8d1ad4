//! What was produced, what arrived and what was reported as given up.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use serde_json::Value;
use vedette_controller::grpc::SHED_RULE;
use vedette_e2e::simulated::{Done, json, node_name, of_uid, priority};
use vedette_event::alert::Time;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// The books, written by who reads what the processes say.
#[derive(Clone, Default)]
pub struct Books(Arc<(Mutex<Pages>, Condvar)>);

#[derive(Default)]
pub struct Pages {
    nodes: BTreeMap<u32, Node>,
    /// The reports, by uid.
    reports: HashMap<String, Report>,
    /// Alerts that arrived, without those that came again.
    pub arrived: usize,
    /// Those that came again.
    pub repeated: usize,
    /// What must never be.
    wrong: Vec<String>,
}

/// A node's alerts by their index.
#[derive(Default)]
struct Node {
    /// What its agent was told to produce, up to this index.
    next: u64,
    /// What it has produced for certain. Of the others, it died before it could say.
    certain: BTreeMap<u64, Done>,
    /// What arrived, with its time, and the greatest index of it.
    arrived: BTreeMap<u64, u64>,
    greatest: Option<u64>,
}

/// What an agent says it has given up.
struct Report {
    node: String,
    priority: String,
    count: u64,
    sequences: (u64, u64),
    times: (u64, u64),
    whole: Value,
}

impl Report {
    fn read(alert: &Value) -> Self {
        let fields = &alert["output_fields"];
        let number = |name: &str| fields[name].as_u64().unwrap();
        let gap = &alert["gaps"][0];
        let time = |name: &str| serde_json::from_value::<Time>(gap[name].clone()).unwrap().0;
        Self {
            node: alert["hostname"].as_str().unwrap().to_owned(),
            priority: fields["shed.priority"].as_str().unwrap().to_owned(),
            count: number("shed.count"),
            sequences: (number("shed.first_sequence"), number("shed.last_sequence")),
            times: (time("from"), time("to")),
            whole: alert.clone(),
        }
    }

    fn covers(&self, done: &Done) -> bool {
        (self.sequences.0..=self.sequences.1).contains(&done.sequence)
            && (self.times.0..=self.times.1).contains(&done.time)
    }
}

impl Books {
    pub fn lock(&self) -> MutexGuard<'_, Pages> {
        self.0.0.lock().unwrap()
    }

    fn write(&self, act: impl FnOnce(&mut Pages)) {
        act(&mut self.lock());
        self.0.1.notify_all();
    }

    /// Gives so many new indices to a node; the first of them.
    pub fn produce(&self, node: u32, count: u64) -> u64 {
        let mut pages = self.lock();
        let node = pages.nodes.entry(node).or_default();
        let first = node.next;
        node.next += count;
        first
    }

    /// Notes what an agent says.
    pub fn note_done(&self, node: u32, line: &str) {
        let Some(done) = Done::parse(line) else { return };
        self.write(|pages| {
            pages.nodes.entry(node).or_default().certain.insert(done.index, done);
        });
    }

    /// Notes what the sink has taken.
    pub fn note_arrived(&self, line: &str) {
        let Ok(alert) = serde_json::from_str::<Value>(line) else { return };
        self.write(|pages| pages.arrive(&alert));
    }

    /// Waits until something holds.
    ///
    /// # Panics
    /// It does not in time, or something is wrong.
    pub fn wait(&self, who: &str, what: &str, mut holds: impl FnMut(&Pages) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut pages = self.lock();
        loop {
            assert!(pages.wrong.is_empty(), "{who}: {:#?}", pages.wrong);
            if holds(&pages) {
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{who}: waited in vain: {what}\n{}", pages.open().join("\n"));
            pages = self.0.1.wait_timeout(pages, left).unwrap().0;
        }
    }

    /// Waits until so many more alerts have arrived.
    pub fn wait_for_more(&self, who: &str, more: usize) {
        let before = self.lock().arrived;
        self.wait(who, &format!("{more} more alerts"), |pages| pages.arrived >= before + more);
    }

    /// Waits until the agent has done all that it was told to.
    pub fn wait_done(&self, who: &str, node: u32) {
        self.wait(who, "the agent's work", |pages| {
            let node = &pages.nodes[&node];
            node.next == 0 || node.certain.contains_key(&(node.next - 1))
        });
    }

    /// Waits until nothing is open any more, and holds the books against each other. Where nobody was killed, what is
    /// missing is `exactly` what was reported.
    ///
    /// # Panics
    /// They do not agree.
    pub fn close(&self, who: &str, exactly: bool) {
        self.wait(who, "everything to arrive or to be reported", |pages| pages.open().is_empty());
        self.lock().audit(who, exactly);
    }
}

impl Pages {
    fn arrive(&mut self, alert: &Value) {
        let uid = alert["uid"].as_str().unwrap_or_default();
        if alert["rule"] == SHED_RULE {
            let report = Report::read(alert);
            if report.whole["output"].as_str().is_some_and(|text| text.contains("no alert")) {
                self.wrong.push(format!("an alert was refused: {alert}"));
            }
            if let Some(before) = self.reports.insert(uid.to_owned(), report)
                && before.whole != *alert
            {
                self.wrong.push(format!("one uid, two reports: {} and {alert}", before.whole));
            }
            return;
        }
        let Some((number, index)) = of_uid(uid) else {
            self.wrong.push(format!("a uid that nobody gave: {alert}"));
            return;
        };
        let time = serde_json::from_value::<Time>(alert["time"].clone()).unwrap().0;
        if *alert != json(number, index, time) {
            self.wrong.push(format!("not as it was sent: {alert}"));
        }
        let node = self.nodes.entry(number).or_default();
        if index >= node.next {
            self.wrong.push(format!("{uid} was never asked for"));
        }
        match node.arrived.insert(index, time) {
            Some(before) => {
                self.repeated += 1;
                if before != time {
                    self.wrong.push(format!("one uid, two alerts: {uid} of {before} and of {time}"));
                }
            }
            None => {
                self.arrived += 1;
                if let Some(greatest) = node.greatest.filter(|greatest| *greatest > index) {
                    self.wrong.push(format!("{} {index} came after {greatest}", node_name(number)));
                }
                node.greatest = Some(index);
            }
        }
    }

    /// Missing alerts of a node and priority: those that were produced for certain, and how many others.
    fn missing<'a>(&self, node: &'a Node, urgency: u8) -> (Vec<&'a Done>, u64) {
        let of = |index: &u64| priority(*index) == urgency && !node.arrived.contains_key(index);
        let certain = node.certain.iter().filter(|(index, _)| of(index)).map(|(_, done)| done).collect();
        let uncertain =
            (0..node.next).filter(|index| !node.certain.contains_key(index)).filter(of).count() as u64;
        (certain, uncertain)
    }

    fn reports(&self, number: u32, urgency: u8) -> Vec<&Report> {
        let all = ["Emergency", "Alert", "Critical", "Error", "Warning", "Notice", "Informational", "Debug"];
        let (node, priority) = (node_name(number), all[usize::from(urgency)]);
        self.reports.values().filter(|r| r.node == node && r.priority == priority).collect()
    }

    fn each(&self) -> impl Iterator<Item = (u32, &Node, u8)> {
        self.nodes.iter().flat_map(|(number, node)| (0..8).map(move |urgency| (*number, node, urgency)))
    }

    /// Where more is missing than was reported.
    fn open(&self) -> Vec<String> {
        let open = self.each().filter_map(|(number, node, urgency)| {
            let missing = self.missing(node, urgency).0;
            let reported: u64 = self.reports(number, urgency).iter().map(|report| report.count).sum();
            let first = missing.first()?;
            (missing.len() as u64 > reported).then(|| {
                format!(
                    "{} priority {urgency}: {} missing from {first:?}, {reported} reported",
                    node_name(number),
                    missing.len()
                )
            })
        });
        open.collect()
    }

    fn audit(&self, who: &str, exactly: bool) {
        assert!(self.wrong.is_empty(), "{who}: {:#?}", self.wrong);
        for (number, node, urgency) in self.each() {
            let place = format!("{who}: {} priority {urgency}", node_name(number));
            let (missing, uncertain) = self.missing(node, urgency);
            let reports = self.reports(number, urgency);
            let reported: u64 = reports.iter().map(|report| report.count).sum();
            for done in &missing {
                assert!(
                    reports.iter().any(|report| report.covers(done)),
                    "{place}: no report covers {done:?}"
                );
            }
            // An alert that was given up while its acknowledgement was on its way is reported, and is there.
            let there = node.certain.values().filter(|done| {
                priority(done.index) == urgency
                    && node.arrived.contains_key(&done.index)
                    && reports.iter().any(|report| report.covers(done))
            });
            let more = if exactly { 0 } else { uncertain + there.count() as u64 };
            let missing = missing.len() as u64;
            assert!(
                (missing..=missing + more).contains(&reported),
                "{place}: {missing} missing, {reported} reported, {uncertain} not known"
            );
        }
    }

    /// In one line.
    pub fn summary(&self) -> String {
        let certain: usize = self.nodes.values().map(|node| node.certain.len()).sum();
        let asked: u64 = self.nodes.values().map(|node| node.next).sum();
        let shed: u64 = self.reports.values().map(|report| report.count).sum();
        format!(
            "{certain} alerts for certain of {asked}, {} arrived, {} of them again, {shed} given up in {} reports",
            self.arrived,
            self.repeated,
            self.reports.len()
        )
    }

    /// How many were given up.
    pub fn shed(&self) -> u64 {
        self.reports.values().map(|report| report.count).sum()
    }
}
