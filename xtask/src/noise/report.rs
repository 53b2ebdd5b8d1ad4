//! What was raised, for people and for programs; and whether that is too much.

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::alerts::Tally;
use super::sandbox::Ended;

/// How a scene went.
pub struct Outcome {
    /// Its name.
    pub name: &'static str,
    /// What it is about.
    pub what: &'static str,
    /// How it ended.
    pub ended: Ended,
    /// How long it took.
    pub seconds: f64,
    /// What it raised.
    pub tally: Tally,
}

/// All scenes.
pub struct Report {
    /// In their order.
    pub outcomes: Vec<Outcome>,
}

impl Outcome {
    /// In a few words.
    pub fn in_short(&self) -> String {
        match &self.ended {
            Ended::Done => format!("{:.1} s, {}", self.seconds, self.counts()),
            Ended::LeftOut(why) => format!("left out: {why}"),
            Ended::Failed(text) => format!("failed:\n{text}"),
        }
    }

    fn counts(&self) -> String {
        let of = |level: &str| {
            self.tally.rules.values().filter(|raised| raised.level == level).map(|raised| raised.count).sum()
        };
        let counts: Vec<(u64, &str)> =
            ["default", "strict", "audit"].map(|level| (of(level), level)).to_vec();
        let told: Vec<_> =
            counts.iter().filter(|(n, _)| *n > 0).map(|(n, level)| format!("{n} {level}")).collect();
        if told.is_empty() { "quiet".to_owned() } else { told.join(", ") }
    }

    fn to_json(&self) -> Value {
        let (state, why) = match &self.ended {
            Ended::Done => ("done", None),
            Ended::LeftOut(why) => ("left out", Some(why)),
            Ended::Failed(text) => ("failed", Some(text)),
        };
        json!({
            "scene": self.name, "what": self.what, "state": state, "why": why, "seconds": self.seconds,
            "rules": self.tally.rules, "elsewhere": self.tally.elsewhere,
        })
    }
}

impl Report {
    /// Prints it.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn print(&self, as_json: bool) -> Result<()> {
        if as_json {
            let all = self.all();
            let scenes: Vec<_> = self.outcomes.iter().map(Outcome::to_json).collect();
            let value = json!({"scenes": scenes, "rules": all.rules, "elsewhere": all.elsewhere});
            println!("{}", serde_json::to_string_pretty(&value)?);
            return Ok(());
        }
        for outcome in &self.outcomes {
            println!("{:<15}{:<92}{}", outcome.name, outcome.what, outcome.in_short());
        }
        let all = self.all();
        for (rule, raised) in &all.rules {
            println!("\n{:>6} {:<8}{rule}\n         {}", raised.count, raised.level, raised.example);
            raised.benign.iter().for_each(|cause| println!("         explained by: {cause}"));
        }
        println!("\n{} alerts of other work on this machine", all.elsewhere);
        Ok(())
    }

    fn all(&self) -> Tally {
        let mut all = Tally::default();
        self.outcomes.iter().for_each(|outcome| all.add(outcome.tally.clone()));
        all
    }

    /// Whether it is good.
    ///
    /// # Errors
    /// A scene failed, a rule of level default fired, or one of level strict without naming a benign cause.
    pub fn judge(&self) -> Result<()> {
        let failed: Vec<_> =
            self.outcomes.iter().filter(|o| matches!(o.ended, Ended::Failed(_))).map(|o| o.name).collect();
        if !failed.is_empty() {
            bail!("scenes failed: {}", failed.join(", "));
        }
        let loud: Vec<_> = self
            .all()
            .rules
            .into_iter()
            .filter(|(_, r)| r.level == "default" || (r.level == "strict" && r.benign.is_empty()))
            .map(|(rule, raised)| format!("{rule} ({}, {})", raised.count, raised.level))
            .collect();
        if !loud.is_empty() {
            bail!("everyday work raised: {}", loud.join("; "));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::alerts::Raised;
    use super::*;

    fn report(level: &str, benign: &[&str], ended: Ended) -> Report {
        let raised = Raised {
            level: level.to_owned(),
            count: 2,
            example: "x".to_owned(),
            benign: benign.iter().map(|b| (*b).to_owned()).collect(),
        };
        let tally = Tally { rules: [("R".to_owned(), raised)].into(), elsewhere: 0 };
        Report { outcomes: vec![Outcome { name: "s", what: "w", ended, seconds: 1.0, tally }] }
    }

    #[test]
    fn what_is_too_loud() {
        assert!(report("default", &["a build"], Ended::Done).judge().is_err());
        assert!(report("strict", &[], Ended::Done).judge().is_err());
        assert!(report("strict", &["a build"], Ended::Done).judge().is_ok());
        assert!(report("audit", &[], Ended::Done).judge().is_ok());
        assert!(report("audit", &[], Ended::Failed("it".to_owned())).judge().is_err());
        assert!(report("audit", &[], Ended::LeftOut("no nginx".to_owned())).judge().is_ok());
    }
}
