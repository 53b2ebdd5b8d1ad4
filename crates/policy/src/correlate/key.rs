//! What events have in common: the values of the `by` fields as one key.

use std::num::NonZeroUsize;

use lru::LruCache;

use crate::value::Value;

/// The values of the `by` fields. An absent value is a value of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key(Box<[u8]>);

impl Key {
    /// The key for the values of each field.
    pub fn new<'v, 'a: 'v>(fields: impl Iterator<Item = &'v [Value<'a>]>) -> Self {
        let mut bytes = Vec::new();
        for values in fields {
            bytes.extend((values.len() as u32).to_le_bytes());
            values.iter().for_each(|v| encode(&mut bytes, v));
        }
        Self(bytes.into())
    }
}

/// A value with its kind and length, so that no two lists of values give the same bytes.
fn encode(out: &mut Vec<u8>, value: &Value<'_>) {
    let mut put = |kind: u8, bytes: &[u8]| {
        out.push(kind);
        out.extend((bytes.len() as u32).to_le_bytes());
        out.extend(bytes);
    };
    match value {
        Value::Absent => put(0, &[]),
        Value::Bytes(bytes) => put(1, bytes),
        Value::Uint(n) => put(2, &i128::from(*n).to_le_bytes()),
        Value::Int(n) => put(2, &i128::from(*n).to_le_bytes()),
        Value::Float(n) => put(3, &n.to_le_bytes()),
        Value::Bool(b) => put(4, &[u8::from(*b)]),
        Value::Ip(ip) => put(5, ip.to_canonical().to_string().as_bytes()),
    }
}

/// The states of the keys of a rule; the key unused for longest goes when there is no more room.
#[derive(Debug)]
pub(super) struct Keys<S> {
    states: LruCache<Key, S>,
    pub evicted: u64,
}

impl<S> Keys<S> {
    pub fn new(limit: usize) -> Self {
        let limit = NonZeroUsize::new(limit).unwrap_or(NonZeroUsize::MIN);
        Self { states: LruCache::new(limit), evicted: 0 }
    }

    pub fn len(&self) -> usize {
        self.states.len()
    }

    pub fn get(&mut self, key: &Key) -> Option<&mut S> {
        self.states.get_mut(key)
    }

    /// Adds a key that is not there, and gives the one that had to go.
    pub fn add(&mut self, key: Key, state: S) -> Option<(Key, S)> {
        let gone = self.states.push(key, state);
        self.evicted += u64::from(gone.is_some());
        gone
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &Key) -> Option<S> {
        self.states.pop(key)
    }

    /// Forgets the key unused for longest.
    pub fn evict(&mut self) -> Option<S> {
        let (_, state) = self.states.pop_lru()?;
        self.evicted += 1;
        Some(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_values_apart() {
        let key = |values: &[&[Value<'_>]]| Key::new(values.iter().copied());
        let (a, b, ab) = (Value::str("a"), Value::str("b"), Value::str("ab"));
        assert_ne!(
            key(&[std::slice::from_ref(&ab), &[]]),
            key(&[std::slice::from_ref(&a), std::slice::from_ref(&b)])
        );
        assert_ne!(key(&[&[]]), key(&[&[Value::str("")]]));
        assert_eq!(key(&[&[Value::Uint(1)]]), key(&[&[Value::Int(1)]]));
    }

    #[test]
    fn the_oldest_key_goes() {
        let key = |n: u64| Key::new([&[Value::Uint(n)][..]].into_iter());
        let mut keys = Keys::new(2);
        assert!(keys.add(key(1), 1).is_none());
        assert!(keys.add(key(2), 2).is_none());
        keys.get(&key(1));
        assert_eq!(keys.add(key(3), 3).map(|(_, s)| s), Some(2));
        assert_eq!((keys.len(), keys.evicted), (2, 1));
    }
}
