//! Numbers with units.

use std::{borrow::Cow, fmt, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use vedette_policy::document::native::parse_duration;

/// A time, such as `500ms`, `30s`, `1m30s`, `12h` or `7d`; at most 30 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval(pub Duration);

impl Interval {
    /// So many milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// So many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        match [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")]
            .into_iter()
            .find(|(unit, _)| millis >= *unit && millis.is_multiple_of(*unit))
        {
            Some((unit, name)) => write!(f, "{}{name}", millis / unit),
            None => write!(f, "{millis}ms"),
        }
    }
}

impl Serialize for Interval {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text).map(Self).ok_or_else(|| {
            de::Error::custom(format!("`{text}` is no time such as 500ms, 30s or 1m30s, of at most 30d"))
        })
    }
}

impl JsonSchema for Interval {
    fn schema_name() -> Cow<'static, str> {
        "Interval".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^([0-9]+(ms|s|m|h|d))+$", "maxLength": 64})
    }
}

/// A number of bytes: a number, or one with a unit, such as `512Ki`, `64MiB` or `10Gi`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl Bytes {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
        let shift = match unit.trim() {
            "" | "B" => 0,
            "Ki" | "KiB" => 10,
            "Mi" | "MiB" => 20,
            "Gi" | "GiB" => 30,
            _ => return None,
        };
        digits.parse::<u64>().ok()?.checked_mul(1 << shift).map(Self)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.0;
        match [(30, "Gi"), (20, "Mi"), (10, "Ki")]
            .into_iter()
            .find(|(shift, _)| number != 0 && number.is_multiple_of(1 << shift))
        {
            Some((shift, unit)) => write!(f, "{}{unit}", number >> shift),
            None => write!(f, "{number}"),
        }
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Bytes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes, such as 65536, 512Ki or 64MiB")
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Bytes, E> {
                Ok(Bytes(number))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Bytes, E> {
                u64::try_from(number)
                    .map(Bytes)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
                Bytes::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Bytes {
    fn schema_name() -> Cow<'static, str> {
        "Bytes".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // What Kubernetes calls int-or-string.
        json_schema!({
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "pattern": "^[0-9]+ ?(B|Ki|KiB|Mi|MiB|Gi|GiB)?$",
            "x-kubernetes-int-or-string": true
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_with_and_without_units() {
        let read = |json: &str| serde_json::from_str::<Bytes>(json);
        for (text, number) in
            [("7", 7), ("\"7\"", 7), ("\"512Ki\"", 512 << 10), ("\"2 MiB\"", 2 << 20), ("\"1Gi\"", 1 << 30)]
        {
            assert_eq!(read(text).unwrap(), Bytes(number), "{text}");
        }
        for bad in ["-1", "1.5", "\"\"", "\"x\"", "\"5k\"", "\"99999999999Gi\"", "null"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        for number in [0, 1, 1000, 1024, 3 << 20, 10 << 30] {
            assert_eq!(read(&serde_json::to_string(&Bytes(number)).unwrap()).unwrap(), Bytes(number));
        }
    }

    #[test]
    fn intervals_are_written_as_they_are_read() {
        for (text, millis) in
            [("\"500ms\"", 500), ("\"1m30s\"", 90_000), ("\"2d\"", 172_800_000), ("\"0s\"", 0)]
        {
            let interval: Interval = serde_json::from_str(text).unwrap();
            assert_eq!(interval, Interval::from_millis(millis));
            assert_eq!(
                serde_json::from_str::<Interval>(&serde_json::to_string(&interval).unwrap()).unwrap(),
                interval
            );
        }
        for bad in ["5", "\"\"", "\"5\"", "\"-1s\"", "\"31d\""] {
            assert!(serde_json::from_str::<Interval>(bad).is_err(), "{bad}");
        }
    }
}
