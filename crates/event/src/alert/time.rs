//! Points in time, as alerts show them.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Nanoseconds since the Unix epoch; written as RFC 3339 in UTC with nine digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// Milliseconds since the Unix epoch.
    pub fn millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// `HH:MM:SS.fff` in UTC, with 3 or 9 digits of the second's fraction.
    pub fn time_of_day(self, digits: u8) -> String {
        self.timestamp().strftime(if digits == 3 { "%H:%M:%S.%3f" } else { "%H:%M:%S.%9f" }).to_string()
    }

    fn timestamp(self) -> Timestamp {
        // All of u64 is in range: its end is in the year 2554.
        Timestamp::from_nanosecond(i128::from(self.0)).unwrap_or_default()
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.timestamp().strftime("%Y-%m-%dT%H:%M:%S.%9fZ"))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let timestamp: Timestamp = text.parse().map_err(D::Error::custom)?;
        u64::try_from(timestamp.as_nanosecond())
            .map(Self)
            .map_err(|_| D::Error::custom("a time before 1970 or after 2554"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds_in_utc_at_both_ends() {
        assert_eq!(Time(0).to_string(), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(Time(1_795_498_834_123_456_789).to_string(), "2026-11-24T05:40:34.123456789Z");
        assert_eq!(Time(u64::MAX).to_string(), "2554-07-21T23:34:33.709551615Z");
        assert_eq!(Time(1_795_498_834_123_456_789).time_of_day(9), "05:40:34.123456789");
        assert_eq!(Time(1_795_498_834_123_956_789).time_of_day(3), "05:40:34.123");
        assert_eq!(Time(1_795_498_834_123_456_789).millis(), 1_795_498_834_123);
    }

    #[test]
    fn what_is_written_can_be_read() {
        for ns in [0, 1, 1_795_498_834_123_456_789, u64::MAX] {
            let text = serde_json::to_string(&Time(ns)).unwrap();
            assert_eq!(serde_json::from_str::<Time>(&text).unwrap(), Time(ns));
        }
        for bad in ["\"\"", "\"1969-12-31T23:59:59Z\"", "\"9999-01-01T00:00:00Z\"", "7"] {
            assert!(serde_json::from_str::<Time>(bad).is_err(), "{bad}");
        }
    }
}
