//! The value of a field.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::net::IpAddr;

/// One value, borrowed from the event where that is possible.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value<'a> {
    /// There is none; comparisons with it are false.
    #[default]
    Absent,
    /// Text or raw bytes; names and paths need not be UTF-8.
    Bytes(Cow<'a, [u8]>),
    /// An unsigned number; also a time or duration in nanoseconds, and a port.
    Uint(u64),
    /// A signed number.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// An address.
    Ip(IpAddr),
}

impl<'a> Value<'a> {
    /// Borrowed text.
    #[inline]
    pub fn str(text: &'a str) -> Self {
        Self::Bytes(Cow::Borrowed(text.as_bytes()))
    }

    /// Borrowed bytes.
    #[inline]
    pub fn bytes(bytes: &'a [u8]) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }

    /// Text made for the occasion.
    pub fn owned(text: impl Into<String>) -> Self {
        Self::Bytes(Cow::Owned(text.into().into_bytes()))
    }

    /// The same value, borrowed.
    pub fn borrow(&self) -> Value<'_> {
        match self {
            Self::Bytes(bytes) => Value::bytes(bytes),
            Self::Absent => Value::Absent,
            Self::Uint(n) => Value::Uint(*n),
            Self::Int(n) => Value::Int(*n),
            Self::Float(n) => Value::Float(*n),
            Self::Bool(b) => Value::Bool(*b),
            Self::Ip(ip) => Value::Ip(*ip),
        }
    }

    /// Whether there is none.
    #[inline]
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// The bytes, if it is text or bytes.
    #[inline]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// How two values compare: numbers by size, everything else only with its own kind.
    pub fn compare(&self, other: &Value<'_>) -> Option<Ordering> {
        match (self, other) {
            (Self::Bytes(a), Value::Bytes(b)) => Some(a.as_ref().cmp(b.as_ref())),
            (Self::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
            (Self::Ip(a), Value::Ip(b)) => Some(a.to_canonical().cmp(&b.to_canonical())),
            (Self::Float(a), _) => a.partial_cmp(&other.as_f64()?),
            (_, Value::Float(b)) => self.as_f64()?.partial_cmp(b),
            _ => Some(self.as_whole()?.cmp(&other.as_whole()?)),
        }
    }

    /// The number, if it is a whole one.
    #[inline]
    pub fn as_whole(&self) -> Option<i128> {
        match self {
            Self::Uint(n) => Some(i128::from(*n)),
            Self::Int(n) => Some(i128::from(*n)),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Float(n) => Some(*n),
            _ => self.as_whole().map(|n| n as f64),
        }
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Absent, Into::into)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::str(text)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::bytes(bytes)
    }
}

macro_rules! numbers {
    ($($type:ty => $variant:ident as $wide:ty),*) => {$(
        impl From<$type> for Value<'_> {
            fn from(value: $type) -> Self {
                Self::$variant(<$wide>::from(value))
            }
        }
    )*};
}
numbers!(u8 => Uint as u64, u16 => Uint as u64, u32 => Uint as u64, u64 => Uint as u64,
    i32 => Int as i64, i64 => Int as i64, f64 => Float as f64, bool => Bool as bool, IpAddr => Ip as IpAddr);
