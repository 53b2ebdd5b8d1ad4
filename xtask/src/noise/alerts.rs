//! The alerts of the agent under observation: read from its file, up to a mark, and counted.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::Value;

/// The rule that marks the end of a scene.
const MARKER: &str = "End of a scene";

/// After how long a mark is made again.
const AGAIN: Duration = Duration::from_secs(5);

/// The file that the agent writes its alerts to.
pub struct AlertFile {
    path: PathBuf,
    policy: PathBuf,
    /// What the paths of marks begin with.
    marker: PathBuf,
    /// How many marks there were.
    marks: u32,
    reader: Option<BufReader<File>>,
    partial: String,
}

/// The alerts of a rule.
#[derive(Clone, Debug, Serialize)]
pub struct Raised {
    /// The level of the rule.
    pub level: String,
    /// How many there are.
    pub count: u64,
    /// The text of the first.
    pub example: String,
    /// The benign causes that the rule's guide names.
    pub benign: Vec<String>,
}

/// Alerts, counted.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Tally {
    /// Those of the processes that were asked for, by rule.
    pub rules: BTreeMap<String, Raised>,
    /// Those of other processes of this machine.
    pub elsewhere: u64,
}

impl Tally {
    /// Adds those of another.
    pub fn add(&mut self, other: Self) {
        self.elsewhere += other.elsewhere;
        for (rule, raised) in other.rules {
            let count = raised.count;
            self.rules.entry(rule).and_modify(|r| r.count += count).or_insert(raised);
        }
    }

    fn note(&mut self, alert: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let causes = alert["guide"]["benign"].as_array();
        let raised = self.rules.entry(text(&alert["rule"])).or_insert_with(|| Raised {
            level: text(&alert["level"]),
            count: 0,
            example: text(&alert["output"]),
            benign: causes.into_iter().flatten().map(text).collect(),
        });
        raised.count += 1;
    }
}

impl AlertFile {
    /// A file in a directory, and beside it what marks the end of a scene.
    ///
    /// # Errors
    /// When the directory cannot be written to.
    pub fn new(directory: &Path) -> Result<Self> {
        let (path, marker) = (directory.join("alerts.json"), directory.join("end-of-scene"));
        let policy = directory.join("marker.yaml");
        let rule = format!(
            "- rule: {MARKER}\n  desc: A scene has ended.\n  condition: evt.type = openat and fd.name startswith {}\n  \
             output: \"%fd.name\"\n  priority: Debug\n",
            marker.display()
        );
        fs::write(&policy, rule)?;
        Ok(Self { path, policy, marker, marks: 0, reader: None, partial: String::new() })
    }

    /// Where the agent is to write.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The policy with the rule for the mark.
    pub fn marker_policy(&self) -> &Path {
        &self.policy
    }

    /// Makes a mark, and counts the alerts up to it: those of a process and its descendants, and the others.
    ///
    /// # Errors
    /// When the mark does not come, or the file cannot be read.
    pub fn until_marker(&mut self, patience: Duration, pid: u32) -> Result<Tally> {
        self.marks += 1;
        let marker = PathBuf::from(format!("{}-{}", self.marker.display(), self.marks));
        fs::write(&marker, "")?;
        let deadline = Instant::now() + patience;
        let mut tally = Tally::default();
        let mut told = None;
        loop {
            // Under a storm of events one may be lost, so it is made again.
            if told.is_none_or(|at: Instant| at.elapsed() > AGAIN) {
                drop(File::open(&marker)?);
                told = Some(Instant::now());
            }
            while let Some(alert) = self.next()? {
                if alert["rule"] != MARKER {
                    count(&mut tally, &alert, pid);
                } else if alert["output_fields"]["fd.name"].as_str().map(Path::new) == Some(&marker) {
                    return Ok(tally);
                }
            }
            if Instant::now() > deadline {
                bail!("the agent has not told of {} within {patience:?}", marker.display());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Counts what is left in the file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn rest(&mut self, pid: u32) -> Result<Tally> {
        let mut tally = Tally::default();
        while let Some(alert) = self.next()? {
            count(&mut tally, &alert, pid);
        }
        Ok(tally)
    }

    /// The next whole line, if there is one yet.
    fn next(&mut self) -> Result<Option<Value>> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => none.insert(BufReader::new(
                File::open(&self.path).with_context(|| format!("open {}", self.path.display()))?,
            )),
        };
        reader.read_line(&mut self.partial)?;
        if !self.partial.ends_with('\n') {
            return Ok(None);
        }
        let alert = serde_json::from_str(&self.partial).context("an alert is no JSON")?;
        self.partial.clear();
        Ok(Some(alert))
    }
}

fn count(tally: &mut Tally, alert: &Value, pid: u32) {
    let is_it = |process: &Value| process["pid"].as_u64() == Some(pid.into());
    let process = &alert["process"];
    let above = process["ancestors"].as_array();
    if is_it(process) || above.is_some_and(|all| all.iter().any(is_it)) {
        tally.note(alert);
    } else {
        tally.elsewhere += 1;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn alerts_are_counted_by_whose_they_are() {
        let alert = |pid: u32, above: u32| {
            json!({
                "rule": "R", "level": "strict", "output": format!("by {pid}"), "guide": {"benign": ["a build"]},
                "process": {"pid": pid, "ancestors": [{"pid": above}]},
            })
        };
        let mut tally = Tally::default();
        [alert(7, 1), alert(8, 7), alert(9, 1)].iter().for_each(|a| count(&mut tally, a, 7));
        let raised = &tally.rules["R"];
        assert_eq!((raised.count, raised.level.as_str(), raised.example.as_str()), (2, "strict", "by 7"));
        assert_eq!((raised.benign.as_slice(), tally.elsewhere), (&["a build".to_owned()][..], 1));
        tally.add(tally.clone());
        assert_eq!((tally.rules["R"].count, tally.elsewhere), (4, 2));
    }
}
