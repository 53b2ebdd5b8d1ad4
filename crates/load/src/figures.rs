//! Times, as a few figures.

use std::time::Duration;

use tokio::time::Instant;

/// Percentiles in seconds.
pub struct Figures(Vec<Duration>);

impl Figures {
    /// Of these times.
    pub fn of(times: &[Duration]) -> Self {
        let mut times = times.to_vec();
        times.sort_unstable();
        Self(times)
    }

    /// Of the times since a moment.
    pub fn since(start: Instant, at: &[Instant]) -> Self {
        Self::of(&at.iter().map(|at| at.saturating_duration_since(start)).collect::<Vec<_>>())
    }

    /// The time that so many of a hundred do not exceed.
    fn percentile(&self, percent: usize) -> f64 {
        let index = (self.0.len() * percent / 100).min(self.0.len().saturating_sub(1));
        self.0.get(index).copied().unwrap_or_default().as_secs_f64()
    }
}

impl serde::Serialize for Figures {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let mut map = serializer.serialize_map(Some(3))?;
        for (name, percent) in [("p50", 50), ("p99", 99), ("max", 100)] {
            map.serialize_entry(name, &self.percentile(percent))?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_occurred() {
        let times: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        let figures = Figures::of(&times);
        assert_eq!(
            (figures.percentile(50), figures.percentile(99), figures.percentile(100)),
            (0.101, 0.199, 0.2)
        );
        assert_eq!(Figures::of(&[]).percentile(99), 0.0);
    }
}
