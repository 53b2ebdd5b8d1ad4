//! What ran, how long it took, and how it ended.

use std::fmt::Write;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::exec;

/// The steps so far.
#[derive(Default)]
pub struct Report {
    steps: Vec<Step>,
    left_out: Vec<String>,
    why_left_out: String,
}

struct Step {
    title: &'static str,
    took: Duration,
    outcome: Outcome,
}

enum Outcome {
    Passed,
    Failed(String),
    NotRun(String),
}

impl Report {
    /// Runs a step under its title. A failure is kept for the end, and `None` comes back.
    pub fn step<T>(&mut self, title: &'static str, run: impl FnOnce() -> Result<T>) -> Option<T> {
        eprintln!("\n=== {title}");
        let start = Instant::now();
        let result = run();
        let took = start.elapsed();
        let (value, outcome) = match result {
            Ok(value) => (Some(value), Outcome::Passed),
            Err(error) => {
                eprintln!("error: {error:#}");
                // The summary has room for the outermost sentence; the whole chain was just printed.
                (None, Outcome::Failed(error.to_string()))
            }
        };
        eprintln!("--- {title}: {}", seconds(took));
        self.steps.push(Step { title, took, outcome });
        value
    }

    /// Notes a step that cannot run. It counts as a failure: what it depends on has failed.
    pub fn not_run<T>(&mut self, title: &'static str, why: &str) -> Option<T> {
        self.steps.push(Step { title, took: Duration::ZERO, outcome: Outcome::NotRun(why.to_owned()) });
        None
    }

    /// Notes tests that this host cannot run.
    pub fn left_out(&mut self, tests: &[String], why: &str) {
        self.left_out.extend_from_slice(tests);
        why.clone_into(&mut self.why_left_out);
    }

    /// Prints the summary.
    ///
    /// # Errors
    /// When a step failed, or in CI when a test was left out.
    pub fn finish(self) -> Result<()> {
        let (summary, verdict) = self.summary(exec::is_ci());
        eprint!("\n{summary}");
        verdict
    }

    fn summary(&self, ci: bool) -> (String, Result<()>) {
        let mut text = String::from("=== summary\n");
        let mut failed: Vec<&str> = Vec::new();
        for step in &self.steps {
            let (word, remark) = match &step.outcome {
                Outcome::Passed => ("ok", ""),
                Outcome::Failed(why) => ("FAILED", why.as_str()),
                Outcome::NotRun(why) => ("NOT RUN", why.as_str()),
            };
            if word != "ok" {
                failed.push(step.title);
            }
            let line = format!("{word:<8} {:<36} {:>8}  {remark}", step.title, seconds(step.took));
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}", line.trim_end());
        }
        if !self.why_left_out.is_empty() {
            let _ = writeln!(text, "LEFT OUT the tests that load BPF programs: {}", self.why_left_out);
            for test in &self.left_out {
                let _ = writeln!(text, "         {test}");
            }
            if ci {
                failed.push("tests were left out, and CI=true allows none to be");
            }
        }
        let verdict = if failed.is_empty() { Ok(()) } else { verdict(&failed) };
        (text, verdict)
    }
}

fn verdict(failed: &[&str]) -> Result<()> {
    bail!("failed: {}", failed.join("; "))
}

fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{} min {:02} s", duration.as_secs() / 60, duration.as_secs() % 60)
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_report_without_failures_passes() {
        let mut report = Report::default();
        assert_eq!(report.step("one", || Ok(1)), Some(1));
        let (text, verdict) = report.summary(true);
        verdict.unwrap();
        assert!(text.contains("ok       one"), "{text}");
    }

    #[test]
    fn every_failed_step_is_listed() {
        let mut report = Report::default();
        report.step("one", || Err::<(), _>(anyhow!("broken")));
        report.step("two", || Ok(()));
        report.not_run::<()>("three", "one is missing");
        let (text, verdict) = report.summary(false);
        assert_eq!(verdict.unwrap_err().to_string(), "failed: one; three");
        assert!(text.contains("FAILED   one") && text.contains("broken"), "{text}");
        assert!(text.contains("NOT RUN  three") && text.contains("one is missing"), "{text}");
    }

    #[test]
    fn leaving_tests_out_fails_in_ci_only() {
        let mut report = Report::default();
        report.left_out(&["agent/tests/exec.rs".to_owned()], "no root");
        let (text, verdict) = report.summary(false);
        verdict.unwrap();
        assert!(text.contains("no root") && text.contains("agent/tests/exec.rs"), "{text}");
        assert!(report.summary(true).1.is_err());
    }

    #[test]
    fn long_steps_are_shown_in_minutes() {
        assert_eq!(seconds(Duration::from_millis(1234)), "1.2 s");
        assert_eq!(seconds(Duration::from_secs(125)), "2 min 05 s");
    }
}
