//! Which alerts somebody wants to see.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::{SignedDuration, Timestamp, civil::DateTime};
use vedette_event::alert::Priority;
use vedette_policy::document::native::parse_duration;
use vedette_proto::v1;

/// Which alerts. All that is given must hold; of what is given several times, one.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Which alerts")]
pub struct FilterArgs {
    /// Only of this priority or a more urgent one, e.g. warning.
    #[arg(long, short = 'p', value_name = "PRIORITY")]
    priority: Option<Priority>,
    /// Only of this rule. Can be given several times.
    #[arg(long = "rule", value_name = "NAME")]
    rules: Vec<String>,
    /// Only of this node. Can be given several times.
    #[arg(long = "node", value_name = "NAME")]
    nodes: Vec<String>,
    /// Only of pods of this namespace. Can be given several times.
    #[arg(long = "namespace", value_name = "NAME")]
    namespaces: Vec<String>,
    /// Only of this pod. Can be given several times.
    #[arg(long = "pod", value_name = "NAME")]
    pods: Vec<String>,
    /// Only from then on: a time such as 2026-01-31T12:00:00Z or 2026-01-31 (UTC), or how long ago, such as 15m or 2d.
    #[arg(long, short = 'S', value_name = "TIME", value_parser = parse_time)]
    since: Option<Timestamp>,
    /// Only from before then.
    #[arg(long, short = 'U', value_name = "TIME", value_parser = parse_time)]
    until: Option<Timestamp>,
}

impl FilterArgs {
    /// Whether there is a beginning.
    pub fn has_since(&self) -> bool {
        self.since.is_some()
    }

    /// As the protocol has it.
    pub fn filter(&self) -> v1::AlertFilter {
        let time = |time: Timestamp| prost_types::Timestamp {
            seconds: time.as_second(),
            nanos: time.subsec_nanosecond(),
        };
        v1::AlertFilter {
            // The protocol counts from 1.
            at_least: self.priority.map_or(0, |priority| priority as i32 + 1),
            rules: self.rules.clone(),
            nodes: self.nodes.clone(),
            namespaces: self.namespaces.clone(),
            pods: self.pods.clone(),
            since: self.since.map(time),
            until: self.until.map(time),
        }
    }
}

fn parse_time(text: &str) -> Result<Timestamp, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    time_at(text, Timestamp::UNIX_EPOCH + SignedDuration::try_from(now).unwrap_or_default())
}

fn time_at(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let text = text.trim();
    if let Some(ago) = parse_duration(text) {
        return SignedDuration::try_from(ago)
            .ok()
            .and_then(|ago| now.checked_sub(ago).ok())
            .ok_or_else(|| format!("`{text}` is too long ago"));
    }
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let civil = text.parse::<DateTime>().ok().and_then(|time| format!("{time}Z").parse::<Timestamp>().ok());
    civil.ok_or_else(|| {
        format!(
            "`{text}` is no time: write 2026-01-31T12:00:00Z, 2026-01-31 (UTC), or how long ago, such as 15m or 2d"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_how_long_ago() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        let at = |text: &str| time_at(text, now).map(|time| time.to_string());
        assert_eq!(at("15m").unwrap(), "2026-01-31T11:45:00Z");
        assert_eq!(at("2d").unwrap(), "2026-01-29T12:00:00Z");
        assert_eq!(at("2026-01-30T05:00:00+01:00").unwrap(), "2026-01-30T04:00:00Z");
        assert_eq!(at("2026-01-30").unwrap(), "2026-01-30T00:00:00Z");
        assert_eq!(at("2026-01-30 06:07").unwrap(), "2026-01-30T06:07:00Z");
        for bad in ["", "yesterday", "5", "2026-13-01", "-5m"] {
            assert!(at(bad).unwrap_err().contains("15m"), "{bad}");
        }
    }

    #[test]
    fn priorities_are_those_of_the_protocol() {
        for priority in Priority::ALL {
            let filter = FilterArgs { priority: Some(priority), ..FilterArgs::default() }.filter();
            let name = v1::Priority::try_from(filter.at_least).unwrap().as_str_name();
            assert_eq!(name, format!("PRIORITY_{}", priority.as_str().to_uppercase()));
        }
    }
}
