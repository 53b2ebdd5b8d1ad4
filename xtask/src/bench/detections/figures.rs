//! What was measured, as ratios.

use std::collections::BTreeMap;

use super::counters::Books;
use super::work::Workload;
use super::{Setup, Spent};
use crate::bench::report::{Measure, Of};

/// How much dearer the built-in rules may be than Falco's.
const LIMIT: f64 = 1.1;

/// One measurement.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What the workload took.
    pub spent: Spent,
    /// Seconds of the agent's processor time.
    pub agent: f64,
    /// What came up and what was lost.
    pub books: Books,
}

impl Sample {
    /// Processor time of workload and agent.
    fn cpu(&self) -> f64 {
        self.spent.cpu + self.agent
    }

    /// In a few words.
    pub fn in_short(&self, setup: Setup) -> String {
        let kinds: Vec<String> = self
            .books
            .produced
            .iter()
            .filter(|(_, count)| **count > 0)
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        let name = format!("{setup:?}").to_lowercase();
        format!(
            "{name:<8} wall {:.3} s, cpu {:.3} s + agent {:.3} s; {} dropped; {}",
            self.spent.wall,
            self.spent.cpu,
            self.agent,
            self.books.dropped,
            kinds.join(", ")
        )
    }
}

/// All measurements.
#[derive(Default)]
pub struct Figures {
    samples: BTreeMap<Workload, BTreeMap<u8, Vec<Sample>>>,
}

impl Figures {
    /// Adds one.
    pub fn add(&mut self, workload: Workload, setup: Setup, sample: Sample) {
        self.samples.entry(workload).or_default().entry(setup as u8).or_default().push(sample);
    }

    fn of(&self, workload: Workload, setup: Setup) -> &[Sample] {
        self.samples.get(&workload).and_then(|by| by.get(&(setup as u8))).map_or(&[], Vec::as_slice)
    }

    /// The ratios that are judged: one of each round, and the median counts.
    pub fn measures(&self) -> Vec<Measure> {
        let mut measures = Vec::new();
        for workload in self.samples.keys().copied() {
            let (falco, ours) = (self.of(workload, Setup::Falco), self.of(workload, Setup::BuiltIn));
            let ratios = |value: fn(&Sample) -> f64| -> Vec<f64> {
                falco.iter().zip(ours).map(|(falco, ours)| value(ours) / value(falco)).collect()
            };
            let mut add =
                |name, unit, runs, of, limit| measures.push(Measure { name, unit, runs, of, limit });
            add(names(workload)[0], "x", ratios(|s| s.spent.wall), Of::Median, Some(LIMIT));
            add(names(workload)[1], "x", ratios(Sample::cpu), Of::Median, Some(LIMIT));
            let dropped = ours.iter().map(|sample| sample.books.dropped as f64).collect();
            // A result has to stay under its limit.
            add("  dropped", "", dropped, Of::Worst, Some(0.5));
        }
        measures
    }

    /// Medians in full, a line for each workload.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = vec![
            "Medians. x: times the work without an agent. CPU: of the workload and the agent.".to_owned(),
            format!(
                "{:<22} {:>8} {:>8} | {:>6} {:>6} {:>8} {:>9} | {:>6} {:>6} {:>8} {:>9} | cost x",
                "",
                "bare s",
                "cpu s",
                "falco",
                "cpu x",
                "agent s",
                "events",
                "ours",
                "cpu x",
                "agent s",
                "events"
            ),
        ];
        for workload in self.samples.keys().copied() {
            let median = |setup, value: fn(&Sample) -> f64| {
                middle(self.of(workload, setup).iter().map(value).collect())
            };
            let (wall, cpu) = (median(Setup::Bare, |s| s.spent.wall), median(Setup::Bare, |s| s.spent.cpu));
            let columns = |setup| {
                format!(
                    "{:>6.3} {:>6.3} {:>8.3} {:>9.0}",
                    median(setup, |s| s.spent.wall) / wall,
                    median(setup, Sample::cpu) / cpu,
                    median(setup, |s| s.agent),
                    median(setup, |s| s.books.produced.values().sum::<u64>() as f64),
                )
            };
            let cost = |setup| median(setup, Sample::cpu) - cpu;
            notes.push(format!(
                "{:<22} {wall:>8.3} {cpu:>8.3} | {} | {} | {:.2}",
                workload.name(),
                columns(Setup::Falco),
                columns(Setup::BuiltIn),
                cost(Setup::BuiltIn) / cost(Setup::Falco)
            ));
        }
        notes
    }
}

/// The names of a workload's two ratios.
const fn names(workload: Workload) -> [&'static str; 2] {
    match workload {
        Workload::OpenClose => ["open+close, wall", "  cpu"],
        Workload::OpenRead => ["open+fstat+read+close, wall", "  cpu"],
        Workload::Getppid => ["getppid, wall", "  cpu"],
        Workload::Spawn => ["spawn, wall", "  cpu"],
        Workload::Connect => ["connect, wall", "  cpu"],
        Workload::FindCat => ["find + cat, wall", "  cpu"],
        Workload::Compile => ["compile, wall", "  cpu"],
    }
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_the_same_round_and_the_median_counts() {
        let mut figures = Figures::default();
        let sample =
            |cpu: f64| Sample { spent: Spent { wall: 1.0, cpu }, agent: 1.0, books: Books::default() };
        for (falco, ours) in [(1.0, 1.2), (3.0, 3.0), (1.0, 9.0)] {
            figures.add(Workload::Spawn, Setup::Bare, sample(0.5));
            figures.add(Workload::Spawn, Setup::Falco, sample(falco));
            figures.add(Workload::Spawn, Setup::BuiltIn, sample(ours));
        }
        let measures = figures.measures();
        assert_eq!(measures.len(), 3);
        assert!((measures[1].result() - 1.1).abs() < 1e-9, "{}", measures[1].result());
        assert!(figures.notes()[2].starts_with("spawn /bin/true"));
    }
}
