//! Measured values against their limits, as a table or as JSON.

use anyhow::{Result, bail};
use serde::Serialize;

/// One measured quantity.
#[derive(Serialize)]
pub struct Measure {
    /// What was measured.
    pub name: &'static str,
    /// Unit of all the values: `s`, `MB`, `%`.
    pub unit: &'static str,
    /// One value per run.
    pub runs: Vec<f64>,
    /// Which of the runs is the result.
    pub of: Of,
    /// What the result must stay under, if it is limited.
    pub limit: Option<f64>,
}

/// How several runs become one result.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Of {
    /// The middle run: for times, which a busy machine disturbs in one direction only.
    Median,
    /// The highest run: for what must never be exceeded.
    Worst,
    /// The lowest run, the least disturbed one: for times of code alone, to which other work on the processor only ever
    /// adds.
    Fastest,
}

impl Measure {
    /// The result over all runs; 0 without a run.
    pub fn result(&self) -> f64 {
        let mut sorted = self.runs.clone();
        sorted.sort_by(f64::total_cmp);
        let index = match self.of {
            Of::Median => sorted.len() / 2,
            Of::Worst => sorted.len().saturating_sub(1),
            Of::Fastest => 0,
        };
        sorted.get(index).copied().unwrap_or(0.0)
    }

    /// Whether the result breaks the limit.
    fn broken(&self) -> bool {
        self.limit.is_some_and(|limit| self.result() >= limit)
    }
}

/// Prints the measures and judges them.
///
/// # Errors
/// When a limit is broken.
pub fn conclude(benchmark: &str, measures: &[Measure], notes: &[String], json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(&document(benchmark, measures, notes))?);
    } else {
        print!("{}", table(measures));
        for note in notes {
            println!("{note}");
        }
    }
    let broken: Vec<String> = measures
        .iter()
        .filter(|measure| measure.broken())
        .map(|measure| format!("{} is {}", measure.name, shown(measure.result(), measure.unit)))
        .collect();
    if broken.is_empty() {
        return Ok(());
    }
    bail!("limit broken: {}", broken.join(", "))
}

fn document(benchmark: &str, measures: &[Measure], notes: &[String]) -> serde_json::Value {
    let entries: Vec<serde_json::Value> = measures
        .iter()
        .map(|measure| {
            serde_json::json!({
                "name": measure.name,
                "unit": measure.unit,
                "of": measure.of,
                "result": measure.result(),
                "limit": measure.limit,
                "ok": !measure.broken(),
                "runs": measure.runs,
            })
        })
        .collect();
    let ok = !measures.iter().any(Measure::broken);
    serde_json::json!({ "benchmark": benchmark, "ok": ok, "measures": entries, "notes": notes })
}

fn table(measures: &[Measure]) -> String {
    let mut text = format!("{:<24} {:>12} {:>12} {:>9}  runs\n", "", "result", "limit", "");
    for measure in measures {
        let limit = measure.limit.map_or_else(|| "-".to_owned(), |limit| shown(limit, measure.unit));
        let verdict = match measure.limit {
            None => "",
            Some(_) if measure.broken() => "BROKEN",
            Some(_) => "ok",
        };
        let runs: Vec<String> = measure.runs.iter().map(|run| rounded(*run)).collect();
        let result = shown(measure.result(), measure.unit);
        text += &format!("{:<24} {result:>12} {limit:>12} {verdict:>9}  {}\n", measure.name, runs.join(" "));
    }
    text
}

fn shown(value: f64, unit: &str) -> String {
    format!("{} {unit}", rounded(value))
}

fn rounded(value: f64) -> String {
    if value >= 10.0 { format!("{value:.1}") } else { format!("{value:.3}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(runs: &[f64], of: Of, limit: Option<f64>) -> Measure {
        Measure { name: "ready after", unit: "s", runs: runs.to_vec(), of, limit }
    }

    #[test]
    fn the_result_is_the_median_or_the_worst() {
        assert_eq!(measure(&[3.0, 1.0, 2.0], Of::Median, None).result(), 2.0);
        assert_eq!(measure(&[3.0, 1.0, 2.0], Of::Worst, None).result(), 3.0);
        assert_eq!(measure(&[3.0, 1.0, 2.0], Of::Fastest, None).result(), 1.0);
        assert_eq!(measure(&[], Of::Median, None).result(), 0.0);
    }

    #[test]
    fn a_broken_limit_fails_and_shows() {
        let good = measure(&[1.0], Of::Worst, Some(1.5));
        let bad = measure(&[1.0, 1.5], Of::Worst, Some(1.5));
        conclude("start", &[good], &[], true).unwrap();
        assert!(table(&[measure(&[1.5], Of::Worst, Some(1.5))]).contains("BROKEN"));
        let error = conclude("start", &[bad], &[], true).unwrap_err().to_string();
        assert_eq!(error, "limit broken: ready after is 1.500 s");
    }

    #[test]
    fn json_has_every_run() {
        let json =
            document("start", &[measure(&[1.0, 2.0, 3.0], Of::Median, Some(1.5))], &["a note".to_owned()]);
        assert_eq!(json["ok"], false);
        assert_eq!(json["measures"][0]["runs"][2], 3.0);
        assert_eq!(json["measures"][0]["of"], "median");
    }
}
